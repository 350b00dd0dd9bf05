-- The payment page of an order that exists: what it shows, and the one way to it.

create function private.checkout_snapshot(p_order_id uuid, p_outcome text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  -- In plpgsql for its kept plan: planning this takes longer than running it, for every checkout.
  return (select jsonb_build_object(
    'outcome', p_outcome,
    'order_id', o.id,
    'order_number', o.number,
    'account_id', o.account_id,
    'shop_id', private.shop_id(),
    'terms_version', (
      select t.version from public.order_terms t where t.order_id = o.id and t.attempt = o.attempt
    ),
    'attempt', o.attempt,
    'currency', o.currency,
    'amount_subtotal', o.amount_subtotal,
    'session_expires_at', floor(extract(epoch from o.session_expires_at))::bigint,
    'email', o.email,
    'locale', o.locale,
    'stripe_customer_id', c.stripe_customer_id,
    -- An account that Stripe does not know yet. generation counts deletions: Stripe answers a repeated
    -- idempotency key with the customer it made first, also when that one is gone.
    'customer', case when c.user_id is not null and c.stripe_customer_id is null then jsonb_build_object(
      'id', c.id, 'email', c.email,
      'generation', coalesce(floor(extract(epoch from c.stripe_deleted_at) * 1000)::bigint, 0)
    ) end,
    -- An address that has changed since Stripe's customer was last given one.
    'customer_email', case when c.user_id is not null and c.stripe_customer_id is not null
      and c.email_changes > c.email_changes_told then c.email end,
    'customer_email_change', case when c.user_id is not null then c.email_changes end,
    'cart_hash', o.cart_hash,
    'three_d_secure', (private.risk_of(o.id)).three_d_secure,
    'prices_include_tax', o.prices_include_tax,
    'country', o.asked_country,
    'shipping_rates', o.shipping_rates,
    'items', (
      select jsonb_agg(jsonb_build_object(
        'variant_id', i.variant_id, 'sku', i.sku, 'name', i.name, 'description', p.description,
        'image_url', coalesce(v.image_url, p.image_url),
        'quantity', i.quantity, 'unit_amount', i.unit_amount, 'tax_code', i.tax_code
      ) order by i.sku collate "C")
      from public.order_items i
      join public.product_variants v on v.id = i.variant_id
      join public.products p on p.id = v.product_id
      where i.order_id = o.id and i.quantity > 0
    ),
    'session', (
      select jsonb_build_object(
        'id', s.id, 'url', s.url, 'status', s.status,
        'expires_at', floor(extract(epoch from s.expires_at))::bigint
      )
      from public.checkout_sessions s
      where s.order_id = o.id and (s.attempt = o.attempt or s.id = o.session_id)
      order by (s.id = o.session_id) desc nulls last, (s.status = 'open') desc, s.created_at desc
      limit 1
    )
  )
  from public.orders o
  left join public.customers c on c.id = o.customer_id
  where o.id = p_order_id);
end;
$$;
comment on function private.checkout_snapshot(uuid, text) is
  'All that the checkout function needs to create, repeat or return the session of an order''s current '
  'attempt. session null: Stripe has not been asked, or its answer was lost.';

create function private.reopen_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer)
returns void
language plpgsql
set search_path = ''
as $$
declare
  o public.orders;
  v_gone jsonb;
  v_cart jsonb;
begin
  select * into o from public.orders where id = p_order_id;
  select jsonb_agg(
    jsonb_build_object('sku', i.sku, 'requested', i.quantity, 'available', 0) order by i.sku collate "C"
  ) into v_gone
  from public.order_items i
  join public.product_variants v on v.id = i.variant_id
  where i.order_id = p_order_id and not private.is_offered(v, o.currency);
  if v_gone is not null then
    raise exception 'no longer sold' using errcode = 'SHSTK', detail = v_gone::text;
  end if;

  perform private.reserve_stock(p_order_id, now() + make_interval(secs => p_hold_seconds));
  -- Today's prices and names: the shopper sees them on the new payment page, and an old order is no way to an
  -- old price. The lines stay its own: their goods are known by variant, and their SKU is the one that was
  -- asked for.
  select private.price_lines(
    jsonb_agg(jsonb_build_object('variant_id', i.variant_id, 'sku', i.sku, 'quantity', i.quantity)),
    o.currency
  )
  into v_cart
  from public.order_items i where i.order_id = p_order_id;
  update public.order_items i set unit_amount = l.unit_amount, name = l.name, tax_code = l.tax_code
  from jsonb_to_recordset(v_cart -> 'lines') as l (
    variant_id uuid, name text, unit_amount bigint, tax_code text
  )
  where i.order_id = p_order_id and i.variant_id = l.variant_id
    and (i.unit_amount, i.name, i.tax_code) is distinct from (l.unit_amount, l.name, l.tax_code);
  update public.orders set
    attempt = attempt + 1,
    session_expires_at = now() + make_interval(secs => p_session_seconds),
    prices_include_tax = coalesce((private.setting('prices_include_tax'))::boolean, false),
    shipping_rates = private.offered_shipping_rates(currency, asked_country),
    abandoned_at = null,
    cart_hash = v_cart ->> 'hash',
    amount_subtotal = (v_cart ->> 'amount')::bigint,
    amount_total = (v_cart ->> 'amount')::bigint
  where id = p_order_id;
  perform private.record_order_event(
    p_order_id, 'checkout_reopened', 'checkout', jsonb_build_object('amount_subtotal', v_cart -> 'amount')
  );
  perform private.settle_order(p_order_id, 'checkout');
end;
$$;
comment on function private.reopen_checkout(uuid, integer, integer) is
  'A new attempt of an unpaid order at today''s prices in its currency: holds stock again (SHSTK when it is '
  'gone or no longer sold) and counts up the attempt. SHSHP: no delivery price holds any more. The caller '
  'has locked the order.';

create function private.find_checkout(
  p_idempotency_key text,
  p_lines jsonb,
  p_email text,
  p_superseded jsonb,
  p_client_ip inet,
  p_ui_mode text,
  p_currency text,
  p_country text,
  p_livemode boolean
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  -- 'guest:' and what can still be guessed: a UUID has 36 characters.
  c_guessable constant integer := 6 + 16;
  o public.orders;
begin
  select * into o from public.orders where idempotency_key = p_idempotency_key for no key update;
  if not found then
    return null;
  end if;
  -- Compared as asked for, not as priced: a price change meanwhile is not another cart. A guest's address is
  -- part of it (none, too), and of a key that can be guessed the network: a key that two guests happen to
  -- share, or that somebody tries, does not show one the other's payment page. Once a payment page was
  -- confirmed, the address is the one typed there, and what was asked for is not known any more.
  -- A project that goes live keeps its test orders, and nothing that is paid for one would be heard of.
  if p_lines is distinct from private.order_lines(o.id) or o.ui_mode <> p_ui_mode or o.livemode <> p_livemode
    or (p_currency, p_country) is distinct from (o.asked_currency, o.asked_country)
    or (p_idempotency_key like 'guest:%' and o.session_id is null and private.confirmed_email(o.id) is null
      and lower(o.email) is distinct from lower(p_email))
    or (p_idempotency_key like 'guest:%' and length(p_idempotency_key) < c_guessable
      and private.address_key(o.purchase_ip) is distinct from private.address_key(p_client_ip)) then
    raise exception 'this Idempotency-Key was used for another cart or page' using errcode = 'SHIDC';
  end if;
  if o.cancelled_at is not null then
    raise exception 'this order has been cancelled' using errcode = 'SHSTA';
  elsif o.status in ('expired', 'payment_failed') then
    if p_superseded is not null then
      perform private.refuse_shortage(jsonb_agg(to_jsonb(i)), p_superseded)
      from public.order_items i where i.order_id = o.id and i.quantity > 0;
      return jsonb_build_object('outcome', 'superseded', 'session_ids', p_superseded);
    end if;
    return jsonb_build_object('outcome', 'ended', 'order_id', o.id);
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$$;
comment on function private.find_checkout(text, jsonb, text, jsonb, inet, text, text, text, boolean) is
  'The order that an Idempotency-Key made before, or null. ended: it has expired or failed and can be '
  'opened again. superseded: it can, once other pages of the shopper (p_superseded) are closed. p_lines as '
  'of asked_lines(). SHIDC: the key belongs to another cart, kind of page or mode. SHSTA: staff have '
  'cancelled the order.';

create function private.velocity_exceeded(p_risk jsonb) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'outcome', 'velocity_exceeded', 'retry_after_seconds', p_risk -> 'retry_after_seconds'
  );
end;
$$;
comment on function private.velocity_exceeded(jsonb) is
  'The outcome of a checkout that check_velocity() blocks.';

create function private.admit_checkout(
  o public.orders,
  p_velocity_mode text,
  p_client_ip text,
  p_supersede boolean,
  p_ui_mode text
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_user_id uuid := (select c.user_id from public.customers c where c.id = o.customer_id);
  v_cart jsonb;
  v_risk jsonb;
  v_pages jsonb;
begin
  select jsonb_build_object('amount', o.amount_subtotal, 'currency', o.currency, 'lines', jsonb_agg(
    jsonb_build_object('variant_id', i.variant_id, 'quantity', i.quantity)
  )) into v_cart
  from public.order_items i where i.order_id = o.id;
  v_risk := private.check_velocity(
    p_velocity_mode, v_user_id, o.email, coalesce(p_client_ip::inet, o.purchase_ip), v_cart, o.livemode, o.id
  );
  if v_risk ->> 'action' = 'block' then
    return private.velocity_exceeded(v_risk);
  end if;
  -- Stripe cannot make an open page ask for more: its own buyer, who is here, gets another one instead.
  select jsonb_agg(s.id order by s.id) into v_pages
  from public.checkout_sessions s
  where s.order_id = o.id and s.status = 'open' and p_supersede and (
    s.closing_at is not null
    -- Nobody has told us of its end: the page would be a dead end.
    or s.expires_at <= now()
    -- Only a hosted page has an address, and one kind of page cannot become the other.
    or (s.url is null) <> (p_ui_mode <> 'hosted_page')
    or private.three_d_secure_rank(v_risk ->> 'three_d_secure')
      > private.three_d_secure_rank((private.risk_of(o.id)).three_d_secure)
  );
  if v_pages is not null then
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_pages);
  end if;
  return v_risk;
end;
$$;
comment on function private.admit_checkout(public.orders, text, text, boolean, text) is
  'The velocity rules at every door to the payment page of an order that exists: velocity_exceeded, '
  'superseded (its open page has run out, is being ended, asks for less than the rules do now, or is not of '
  'the kind p_ui_mode), or the risk to go in with. p_client_ip null: where the order came from. p_ui_mode '
  'null: any kind.';

create function private.enter_checkout(
  p_order_id uuid,
  p_velocity_mode text,
  p_client_ip text,
  p_supersede boolean,
  p_reopen boolean,
  p_session_seconds integer,
  p_hold_seconds integer,
  p_ui_mode text
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order(p_order_id);
  v_risk jsonb;
  v_raised boolean;
begin
  if o.session_id is not null or o.status = 'processing' or o.cancelled_at is not null
    or o.erased_at is not null then
    -- Leads to no payment page.
    return private.checkout_snapshot(o.id, 'existing');
  end if;
  v_risk := private.admit_checkout(o, p_velocity_mode, p_client_ip, p_supersede, p_ui_mode);
  if v_risk ? 'outcome' then
    return v_risk;
  end if;
  v_raised := private.three_d_secure_rank(v_risk ->> 'three_d_secure')
    > private.three_d_secure_rank((private.risk_of(o.id)).three_d_secure);
  update public.order_risk set
    velocity_mode = case when p_reopen then p_velocity_mode else velocity_mode end,
    three_d_secure = v_risk ->> 'three_d_secure'
  where order_id = o.id and (p_reopen or v_raised);
  if p_reopen then
    perform private.reopen_checkout(o.id, p_session_seconds, p_hold_seconds);
  end if;
  perform private.record_velocity_hits(v_risk, o.id);
  return private.checkout_snapshot(o.id, 'existing');
end;
$$;
comment on function private.enter_checkout(uuid, text, text, boolean, boolean, integer, integer, text) is
  'The one way to the payment page of an order that exists: repeats, resumed and restarted attempts all '
  'pass the velocity rules here. p_reopen: begin a new attempt. p_ui_mode: as of '
  'admit_checkout(). Outcomes: existing, superseded, velocity_exceeded.';
