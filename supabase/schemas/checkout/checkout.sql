-- Checkout: from a cart to a frozen order that waits for its session.

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
    'shipping_rates', o.shipping_rates,
    'items', (
      select jsonb_agg(jsonb_build_object(
        'sku', i.sku, 'name', i.name, 'description', p.description,
        'image_url', coalesce(v.image_url, p.image_url),
        'quantity', i.quantity, 'unit_amount', i.unit_amount, 'stripe_price_id', v.stripe_price_id
      ) order by i.sku collate "C")
      from public.order_items i
      join public.product_variants v on v.id = i.variant_id
      join public.products p on p.id = v.product_id
      where i.order_id = o.id
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
  v_currency text;
  v_gone jsonb;
  v_cart jsonb;
begin
  select currency into v_currency from public.orders where id = p_order_id;
  select jsonb_agg(
    jsonb_build_object('sku', i.sku, 'requested', i.quantity, 'available', 0) order by i.sku collate "C"
  ) into v_gone
  from public.order_items i
  join public.product_variants v on v.id = i.variant_id
  join public.products p on p.id = v.product_id
  where i.order_id = p_order_id and (not v.active or not p.active or v.currency <> v_currency);
  if v_gone is not null then
    raise exception 'no longer sold' using errcode = 'KCSTK', detail = v_gone::text;
  end if;

  perform private.reserve_stock(p_order_id, now() + make_interval(secs => p_hold_seconds));
  -- Today's prices and names: the shopper sees them on the new payment page, and an old order is no way to an
  -- old price. The lines stay its own: their goods are known by variant, and their SKU is the one that was
  -- asked for.
  select private.price_lines(jsonb_agg(
    jsonb_build_object('variant_id', i.variant_id, 'sku', i.sku, 'quantity', i.quantity)
  ))
  into v_cart
  from public.order_items i where i.order_id = p_order_id;
  update public.order_items i set unit_amount = l.unit_amount, name = l.name
  from jsonb_to_recordset(v_cart -> 'lines') as l (variant_id uuid, name text, unit_amount bigint)
  where i.order_id = p_order_id and i.variant_id = l.variant_id
    and (i.unit_amount, i.name) is distinct from (l.unit_amount, l.name);
  update public.orders set
    attempt = attempt + 1,
    session_expires_at = now() + make_interval(secs => p_session_seconds),
    prices_include_tax = coalesce((private.setting('prices_include_tax'))::boolean, false),
    shipping_rates = private.offered_shipping_rates(currency),
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
  'A new attempt of an unpaid order at today''s prices: holds stock again (KCSTK when it is gone or no '
  'longer sold) and counts up the attempt. The caller has locked the order.';

create function private.find_checkout(
  p_idempotency_key text,
  p_lines jsonb,
  p_email text,
  p_superseded jsonb,
  p_client_ip inet
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
  -- share, or that somebody tries, does not show one the other's payment page.
  if p_lines is distinct from private.order_lines(o.id)
    or (p_idempotency_key like 'guest:%' and o.session_id is null
      and lower(o.email) is distinct from lower(p_email))
    or (p_idempotency_key like 'guest:%' and length(p_idempotency_key) < c_guessable
      and private.address_key(o.purchase_ip) is distinct from private.address_key(p_client_ip)) then
    raise exception 'this Idempotency-Key was used for another cart' using errcode = 'KCIDC';
  end if;
  if o.cancelled_at is not null then
    raise exception 'this order has been cancelled' using errcode = 'KCSTA';
  elsif o.status in ('expired', 'payment_failed') then
    if p_superseded is not null then
      return jsonb_build_object('outcome', 'superseded', 'session_ids', p_superseded);
    end if;
    return jsonb_build_object('outcome', 'ended', 'order_id', o.id);
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$$;
comment on function private.find_checkout(text, jsonb, text, jsonb, inet) is
  'The order that an Idempotency-Key made before, or null. ended: it has expired or failed and can be '
  'opened again. superseded: it can, once other pages of the shopper (p_superseded) are closed. p_lines as '
  'of asked_lines(). KCIDC: the key belongs to another cart. KCSTA: staff have cancelled the order.';

create function private.velocity_exceeded(p_risk jsonb) returns jsonb
language sql
immutable
set search_path = ''
as $$
  select jsonb_build_object(
    'outcome', 'velocity_exceeded', 'retry_after_seconds', p_risk -> 'retry_after_seconds'
  )
$$;
comment on function private.velocity_exceeded(jsonb) is
  'The outcome of a checkout that check_velocity() blocks.';

create function private.admit_checkout(
  o public.orders,
  p_velocity_mode text,
  p_client_ip text,
  p_supersede boolean
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
    or private.three_d_secure_rank(v_risk ->> 'three_d_secure')
      > private.three_d_secure_rank((private.risk_of(o.id)).three_d_secure)
  );
  if v_pages is not null then
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_pages);
  end if;
  return v_risk;
end;
$$;
comment on function private.admit_checkout(public.orders, text, text, boolean) is
  'The velocity rules at every door to the payment page of an order that exists: velocity_exceeded, '
  'superseded (its open page has run out, is being ended, or asks for less than the rules do now), or the '
  'risk to go in with. p_client_ip null: where the order came from.';

create function private.enter_checkout(
  p_order_id uuid,
  p_velocity_mode text,
  p_client_ip text,
  p_supersede boolean,
  p_reopen boolean,
  p_session_seconds integer,
  p_hold_seconds integer
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
  v_risk := private.admit_checkout(o, p_velocity_mode, p_client_ip, p_supersede);
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
comment on function private.enter_checkout(uuid, text, text, boolean, boolean, integer, integer) is
  'The one way to the payment page of an order that exists: repeats, resumed and restarted attempts all '
  'pass the velocity rules here. p_reopen: begin a new attempt. Outcomes: existing, superseded, '
  'velocity_exceeded.';

create function private.open_checkouts(p_user_id uuid, p_session_id text, p_livemode boolean)
returns setof public.orders
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_user_id is not null then
    return query select o.* from public.orders o
      join public.customers c on c.id = o.customer_id
      where c.user_id = p_user_id and o.livemode = p_livemode and o.status = 'pending';
  end if;
  -- Whoever knows the id of a session has been to its payment page. That of another account is none of
  -- theirs.
  if p_session_id is not null then
    return query select o.* from public.checkout_sessions s
      join public.orders o on o.id = s.order_id
      left join public.customers c on c.id = o.customer_id
      where s.id = p_session_id and o.livemode = p_livemode and o.status = 'pending' and c.user_id is null;
  end if;
end;
$$;
comment on function private.open_checkouts(uuid, text, boolean) is
  'The unpaid checkouts of a shopper: those of the account, and for guests the one whose session id they '
  'present. An e-mail address is no proof of anything and is not looked at.';

create function private.superseded_sessions(p_key text, p_user_id uuid, p_session_id text, p_livemode boolean)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_agg(s.id order by s.id)
  from private.open_checkouts(p_user_id, p_session_id, p_livemode) o
  join public.checkout_sessions s on s.order_id = o.id
  where s.status = 'open' and (p_key is null or o.idempotency_key is distinct from p_key)
$$;
comment on function private.superseded_sessions(text, uuid, text, boolean) is
  'Open payment pages of a shopper that a checkout with this key takes the place of, or null.';

create function private.account_customer(p_user_id uuid, p_email text, p_livemode boolean) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_email text;
  v_id uuid;
begin
  -- The account's own address, not the one that this cart names.
  select coalesce(nullif(lower(trim(u.email)), ''), p_email) into v_email
  from auth.users u where u.id = p_user_id;
  if not found then
    -- Deleted while their token still runs: they go on as a guest.
    return null;
  end if;
  insert into public.customers as c (user_id, email, livemode) values (p_user_id, v_email, p_livemode)
  on conflict on constraint customers_user_id_key do update set email = coalesce(excluded.email, c.email)
  returning id into v_id;
  return v_id;
end;
$$;
comment on function private.account_customer(uuid, text, boolean) is
  'The customers row of an account, made at its first checkout. Null when the account is gone.';

create function private.create_order(
  p_cart jsonb,
  p_risk jsonb,
  p_key text,
  p_user_id uuid,
  p_email text,
  p_client_ip inet,
  p_user_agent text,
  p_locale text,
  p_livemode boolean,
  p_velocity_mode text,
  p_session_seconds integer,
  p_hold_seconds integer
) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_customer_id uuid := case
    when p_user_id is not null then private.account_customer(p_user_id, p_email, p_livemode)
  end;
  v_order_id uuid;
begin
  insert into public.orders (
    customer_id, account_id, email, mail_to_account, locale, currency, amount_subtotal, amount_total,
    livemode, cart_hash, idempotency_key, session_expires_at, purchase_ip, user_agent, prices_include_tax,
    shipping_rates
  ) values (
    v_customer_id, case when v_customer_id is not null then p_user_id end, p_email,
    coalesce((select lower(u.email) = lower(p_email) from auth.users u where u.id = p_user_id), false),
    p_locale, p_cart ->> 'currency', (p_cart ->> 'amount')::bigint, (p_cart ->> 'amount')::bigint, p_livemode,
    p_cart ->> 'hash', p_key, now() + make_interval(secs => p_session_seconds), p_client_ip,
    left(p_user_agent, 500), coalesce((private.setting('prices_include_tax'))::boolean, false),
    private.offered_shipping_rates(p_cart ->> 'currency')
  ) returning id into v_order_id;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
  select v_order_id, l.variant_id, l.sku, l.name, l.quantity, l.unit_amount
  from jsonb_to_recordset(p_cart -> 'lines') as l (
    variant_id uuid, sku text, name text, quantity integer, unit_amount bigint
  );
  update public.order_risk set velocity_mode = p_velocity_mode, three_d_secure = p_risk ->> 'three_d_secure'
  where order_id = v_order_id;
  perform private.record_velocity_hits(p_risk, v_order_id);
  perform private.reserve_stock(v_order_id, now() + make_interval(secs => p_hold_seconds));
  perform private.record_order_event(
    v_order_id, 'order_created', 'checkout',
    jsonb_build_object('amount_subtotal', p_cart -> 'amount', 'currency', p_cart ->> 'currency')
  );
  perform private.record_order_event(v_order_id, 'stock_reserved', 'checkout');
  return v_order_id;
end;
$$;
comment on function private.create_order(
  jsonb, jsonb, text, uuid, text, inet, text, text, boolean, text, integer, integer
) is
  'A pending order with the frozen prices of p_cart (see price_cart()), what the velocity rules found, and '
  'its stock reserved. Returns its id.';

create function private.wait_for_repeats(p_key text, p_user_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_key is not null then
    perform pg_advisory_xact_lock(hashtextextended('checkout:' || p_key, 0));
  end if;
  if p_user_id is not null then
    perform pg_advisory_xact_lock(hashtextextended('checkout-of:' || p_user_id, 0));
  end if;
end;
$$;
comment on function private.wait_for_repeats(text, uuid) is
  'Parallel checkouts of one key, and of one account, queue up here: the later one finds what the '
  'first made.';

create function private.same_checkout_again(
  p_user_id uuid,
  p_session_id text,
  p_livemode boolean,
  p_cart_hash text
) returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  -- "The same cart again a few seconds later": longer than a browser waits before it gives up and repeats.
  c_repeat_window constant interval := '30 seconds';
begin
  return (
    select o.id
    from private.open_checkouts(p_user_id, p_session_id, p_livemode) o
    where o.created_at > now() - c_repeat_window and o.cart_hash = p_cart_hash
    order by o.created_at desc limit 1
  );
end;
$$;
comment on function private.same_checkout_again(uuid, text, boolean, text) is
  'The open order that a request without an Idempotency-Key repeats, or null: same shopper, same cart, '
  'seconds ago.';

create function public.begin_checkout(
  p_items jsonb,
  p_idempotency_key text,
  p_user_id uuid,
  p_email text,
  p_client_ip text, p_user_agent text, p_locale text,
  p_livemode boolean,
  p_session_seconds integer, p_hold_seconds integer,
  p_velocity_mode text default 'off',
  p_previous_session_id text default null,
  p_supersede boolean default true
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_key text := coalesce(p_user_id::text, 'guest') || ':' || p_idempotency_key;
  v_found jsonb;
  v_cart jsonb;
  v_order_id uuid;
  v_superseded jsonb;
  v_risk jsonb;
begin
  perform private.wait_for_repeats(v_key, p_user_id);
  if p_supersede then
    v_superseded := private.superseded_sessions(v_key, p_user_id, p_previous_session_id, p_livemode);
  end if;
  if v_key is not null then
    v_found := private.find_checkout(
      v_key, private.asked_lines(p_items), p_email, v_superseded, p_client_ip::inet
    );
    if v_found ->> 'outcome' in ('ended', 'existing') then
      return private.enter_checkout(
        (v_found ->> 'order_id')::uuid, p_velocity_mode, p_client_ip, p_supersede,
        v_found ->> 'outcome' = 'ended', p_session_seconds, p_hold_seconds
      );
    elsif v_found is not null then
      return v_found;
    end if;
  end if;
  v_cart := private.price_cart(p_items);

  if p_idempotency_key is null then
    v_order_id := private.same_checkout_again(
      p_user_id, p_previous_session_id, p_livemode, v_cart ->> 'hash'
    );
    if v_order_id is not null then
      return private.enter_checkout(
        v_order_id, p_velocity_mode, p_client_ip, p_supersede, false, p_session_seconds, p_hold_seconds
      );
    end if;
  end if;
  if v_superseded is not null then
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_superseded);
  end if;

  v_risk := private.check_velocity(
    p_velocity_mode, p_user_id, p_email, p_client_ip::inet, v_cart, p_livemode
  );
  if v_risk ->> 'action' = 'block' then
    return private.velocity_exceeded(v_risk);
  end if;
  v_order_id := private.create_order(
    v_cart, v_risk, v_key, p_user_id, p_email, p_client_ip::inet, p_user_agent, p_locale, p_livemode,
    p_velocity_mode, p_session_seconds, p_hold_seconds
  );
  return private.checkout_snapshot(v_order_id, 'created');
end;
$$;
comment on function public.begin_checkout(
  jsonb, text, uuid, text, text, text, text, boolean, integer, integer, text, text, boolean
) is
  'Makes a pending order with frozen prices and reserved stock from [{ sku, quantity }], or finds the one '
  'this Idempotency-Key (or this shopper, seconds ago) made before. Outcomes: created, existing (the '
  'snapshot to send to Stripe), superseded (expire session_ids at Stripe, then ask again with p_supersede '
  'false), velocity_exceeded. KCSKU unknown_sku, KCSTK insufficient_stock, KCIDC idempotency_conflict, '
  'KCCUR mixed currencies, KCINV invalid.';
grant execute on function public.begin_checkout(
  jsonb, text, uuid, text, text, text, text, boolean, integer, integer, text, text, boolean
) to service_role;
