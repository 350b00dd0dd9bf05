-- Checkout: from a cart to a frozen order with reserved stock, and the session that pays for it.

create function private.hash_cart(p_order_id uuid) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select left(encode(sha256(convert_to(
    o.currency || ';' || string_agg(i.sku || 'x' || i.quantity || '@' || i.unit_amount, ';' order by i.sku collate "C"), 'UTF8'
  )), 'hex'), 32)
  from public.orders o join public.order_items i on i.order_id = o.id
  where o.id = p_order_id
  group by o.currency
$$;
comment on function private.hash_cart(uuid) is 'Hash of an order''s frozen lines (sku, quantity, price) and currency; goes into the session''s metadata.';
revoke execute on function private.hash_cart(uuid) from public, anon, authenticated;

create function private.checkout_snapshot(p_order_id uuid, p_outcome text) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'outcome', p_outcome,
    'order_id', o.id,
    'order_number', o.number,
    'attempt', o.attempt,
    'currency', o.currency,
    'amount_subtotal', o.amount_subtotal,
    'session_expires_at', floor(extract(epoch from o.session_expires_at))::bigint,
    'email', o.email,
    'locale', o.locale,
    'stripe_customer_id', (select c.stripe_customer_id from public.customers c where c.id = o.customer_id),
    'cart_hash', o.cart_hash,
    'items', (
      select jsonb_agg(jsonb_build_object(
        'sku', i.sku, 'name', i.name, 'description', p.description, 'image_url', p.image_url,
        'quantity', i.quantity, 'unit_amount', i.unit_amount, 'stripe_price_id', v.stripe_price_id
      ) order by i.sku collate "C")
      from public.order_items i
      join public.product_variants v on v.id = i.variant_id
      join public.products p on p.id = v.product_id
      where i.order_id = o.id
    ),
    'session', (
      select jsonb_build_object('id', s.id, 'url', s.url, 'status', s.status, 'expires_at', floor(extract(epoch from s.expires_at))::bigint)
      from public.checkout_sessions s
      where s.order_id = o.id and (s.attempt = o.attempt or s.id = o.session_id)
      order by (s.id = o.session_id) desc nulls last, s.created_at desc
      limit 1
    )
  )
  from public.orders o
  where o.id = p_order_id
$$;
comment on function private.checkout_snapshot(uuid, text) is
  'All that the checkout function needs to create, repeat or return the session of an order''s current attempt. session null: Stripe has not been asked, or its answer was lost.';
revoke execute on function private.checkout_snapshot(uuid, text) from public, anon, authenticated;

create function private.refuse_shortage(p_wanted jsonb) returns void
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_short jsonb;
begin
  select jsonb_agg(jsonb_build_object(
    'sku', v.sku, 'requested', w.quantity, 'available', greatest(coalesce(l.on_hand - l.reserved, 0), 0)
  ) order by v.sku collate "C")
  into v_short
  from jsonb_to_recordset(p_wanted) as w (variant_id uuid, quantity integer)
  join public.product_variants v on v.id = w.variant_id
  left join public.inventory_levels l on l.variant_id = w.variant_id
  where coalesce(l.on_hand - l.reserved, 0) < w.quantity;
  if v_short is not null then
    raise exception 'not enough stock' using errcode = 'KCSTK', detail = v_short::text;
  end if;
end;
$$;
comment on function private.refuse_shortage(jsonb) is 'Raises KCSTK with [{ sku, requested, available }] when stock does not cover [{ variant_id, quantity }]. Call with the rows locked.';
revoke execute on function private.refuse_shortage(jsonb) from public, anon, authenticated;

create function private.reserve_stock(p_order_id uuid, p_expires_at timestamptz) returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_wanted jsonb;
begin
  -- Every writer of inventory_levels locks by variant_id, so two carts cannot wait for each other.
  perform 1
  from public.inventory_levels l
  where l.variant_id in (select i.variant_id from public.order_items i where i.order_id = p_order_id)
  order by l.variant_id
  for no key update;

  select coalesce(jsonb_agg(jsonb_build_object('variant_id', i.variant_id, 'quantity', i.quantity)), '[]')
  into v_wanted
  from public.order_items i
  left join public.inventory_reservations r on r.order_id = i.order_id and r.variant_id = i.variant_id
  where i.order_id = p_order_id and coalesce(r.status, 'released') = 'released';
  perform private.refuse_shortage(v_wanted);

  update public.inventory_levels l set reserved = l.reserved + w.quantity
  from jsonb_to_recordset(v_wanted) as w (variant_id uuid, quantity integer)
  where l.variant_id = w.variant_id;

  insert into public.inventory_reservations as r (order_id, variant_id, quantity, expires_at)
  select i.order_id, i.variant_id, i.quantity, p_expires_at
  from public.order_items i
  where i.order_id = p_order_id
  on conflict on constraint inventory_reservations_order_variant_key do update set
    status = case r.status when 'released' then 'active' else r.status end,
    expires_at = greatest(r.expires_at, excluded.expires_at),
    updated_at = now();
end;
$$;
comment on function private.reserve_stock(uuid, timestamptz) is
  'Holds stock for all lines of an order or, raising KCSTK, for none. Lines already held keep their hold; p_expires_at extends it.';
revoke execute on function private.reserve_stock(uuid, timestamptz) from public, anon, authenticated;

create function private.price_cart(p_items jsonb) returns table (variant_id uuid, sku text, name text, quantity bigint, unit_amount bigint, currency text)
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_unknown jsonb;
begin
  select jsonb_agg(distinct w.sku) into v_unknown
  from jsonb_to_recordset(p_items) as w (sku text)
  where not exists (
    select 1 from public.product_variants v join public.products p on p.id = v.product_id
    where v.sku = w.sku and v.active and p.active
  );
  if v_unknown is not null then
    raise exception 'unknown sku' using errcode = 'KCSKU', detail = v_unknown::text;
  end if;
  return query
    select v.id, v.sku, concat_ws(' – ', p.name, nullif(concat_ws(', ', v.color, v.size), '')), sum(w.quantity), v.price_amount, v.currency
    from jsonb_to_recordset(p_items) as w (sku text, quantity integer)
    join public.product_variants v on v.sku = w.sku
    join public.products p on p.id = v.product_id
    group by v.id, v.sku, p.name, v.color, v.size, v.price_amount, v.currency;
end;
$$;
comment on function private.price_cart(jsonb) is 'The lines of a cart, summed per SKU, with names and today''s prices. KCSKU with the list: unknown or inactive SKUs (the two look alike on purpose).';
revoke execute on function private.price_cart(jsonb) from public, anon, authenticated;

create function private.reopen_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.reserve_stock(p_order_id, now() + make_interval(secs => p_hold_seconds));
  update public.orders set
    attempt = attempt + 1,
    session_expires_at = now() + make_interval(secs => p_session_seconds),
    abandoned_at = null
  where id = p_order_id;
  perform private.record_order_event(p_order_id, 'checkout_reopened', 'checkout');
  perform private.settle_order(p_order_id, 'checkout');
end;
$$;
comment on function private.reopen_checkout(uuid, integer, integer) is
  'A new attempt of an order at its frozen prices: holds stock again (KCSTK when it is gone) and counts up the attempt. The caller has locked the order.';
revoke execute on function private.reopen_checkout(uuid, integer, integer) from public, anon, authenticated;

create function private.find_checkout(p_idempotency_key text, p_lines jsonb, p_session_seconds integer, p_hold_seconds integer) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  o public.orders;
begin
  select * into o from public.orders where idempotency_key = p_idempotency_key for no key update;
  if not found then
    return null;
  end if;
  -- Compared as asked for, not as priced: a price change meanwhile is not another cart.
  if p_lines is distinct from (
    select jsonb_agg(jsonb_build_array(i.sku, i.quantity) order by i.sku collate "C") from public.order_items i where i.order_id = o.id
  ) then
    raise exception 'this Idempotency-Key was used for another cart' using errcode = 'KCIDC';
  end if;
  if o.status in ('expired', 'payment_failed') then
    perform private.reopen_checkout(o.id, p_session_seconds, p_hold_seconds);
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$$;
comment on function private.find_checkout(text, jsonb, integer, integer) is
  'The order that an Idempotency-Key made before, or null. An expired one gets a new attempt. p_lines: [[sku, quantity]…] sorted by sku. KCIDC: the key belongs to another cart.';
revoke execute on function private.find_checkout(text, jsonb, integer, integer) from public, anon, authenticated;

create function public.begin_checkout(
  p_items jsonb,
  p_idempotency_key text,
  p_user_id uuid,
  p_email text,
  p_client_ip text,
  p_user_agent text,
  p_locale text,
  p_livemode boolean,
  p_session_seconds integer,
  p_hold_seconds integer
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- Also keeps a sum of lines far below what bigint and Stripe's 99 999 999 hold.
  c_quantity_max constant integer := 99;
  -- Stripe takes amounts of at most eight digits.
  c_amount_max constant bigint := 99999999;
  v_key text := case when p_idempotency_key is not null then coalesce(p_user_id::text, 'guest') || ':' || p_idempotency_key end;
  v_lines jsonb;
  v_currencies text[];
  v_quantity_max bigint;
  v_amount bigint;
  v_customer_id uuid;
  v_found jsonb;
  v_order_id uuid;
begin
  if v_key is not null then
    -- Parallel repeats queue up here and find the order that the first one made.
    perform pg_advisory_xact_lock(hashtextextended('checkout:' || v_key, 0));
    select jsonb_agg(jsonb_build_array(w.sku, w.quantity) order by w.sku collate "C") into v_lines
    from (
      select x.sku, sum(x.quantity) as quantity from jsonb_to_recordset(p_items) as x (sku text, quantity integer) group by x.sku
    ) w;
    v_found := private.find_checkout(v_key, v_lines, p_session_seconds, p_hold_seconds);
    if v_found is not null then
      return v_found;
    end if;
  end if;

  select array_agg(distinct c.currency), max(c.quantity), sum(c.unit_amount * c.quantity)
  into v_currencies, v_quantity_max, v_amount
  from private.price_cart(p_items) c;
  if v_currencies is null or v_quantity_max > c_quantity_max or v_quantity_max < 1 then
    raise exception 'a line must have a quantity from 1 to %, counting repeated SKUs together', c_quantity_max using errcode = 'KCINV';
  elsif cardinality(v_currencies) > 1 then
    raise exception 'all items of a cart must have the same currency' using errcode = 'KCCUR', detail = to_jsonb(v_currencies)::text;
  elsif v_amount > c_amount_max then
    raise exception 'the total of the cart is too large' using errcode = 'KCINV';
  end if;

  if p_user_id is not null then
    insert into public.customers as c (user_id, email, livemode) values (p_user_id, p_email, p_livemode)
    on conflict on constraint customers_user_id_key do update set email = coalesce(excluded.email, c.email)
    returning id into v_customer_id;
  end if;

  insert into public.orders (
    customer_id, email, locale, currency, amount_subtotal, amount_total, livemode, cart_hash, idempotency_key,
    session_expires_at, purchase_ip, user_agent
  ) values (
    v_customer_id, p_email, p_locale, v_currencies[1], v_amount, v_amount, p_livemode, '', v_key,
    now() + make_interval(secs => p_session_seconds), p_client_ip::inet, left(p_user_agent, 500)
  ) returning id into v_order_id;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
  select v_order_id, c.variant_id, c.sku, c.name, c.quantity::integer, c.unit_amount from private.price_cart(p_items) c;
  update public.orders set cart_hash = private.hash_cart(v_order_id) where id = v_order_id;

  perform private.reserve_stock(v_order_id, now() + make_interval(secs => p_hold_seconds));
  perform private.record_order_event(v_order_id, 'order_created', 'checkout', jsonb_build_object('amount_subtotal', v_amount, 'currency', v_currencies[1]));
  perform private.record_order_event(v_order_id, 'stock_reserved', 'checkout');
  return private.checkout_snapshot(v_order_id, 'created');
end;
$$;
comment on function public.begin_checkout(jsonb, text, uuid, text, text, text, text, boolean, integer, integer) is
  'Makes a pending order with frozen prices and reserved stock from [{ sku, quantity }], or finds the one this Idempotency-Key made before. Returns the snapshot to send to Stripe (outcome created or existing). KCSKU unknown_sku, KCSTK insufficient_stock, KCIDC idempotency_conflict, KCCUR mixed currencies, KCINV invalid.';
revoke execute on function public.begin_checkout(jsonb, text, uuid, text, text, text, text, boolean, integer, integer) from public, anon, authenticated;
grant execute on function public.begin_checkout(jsonb, text, uuid, text, text, text, text, boolean, integer, integer) to service_role;

create function public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  o public.orders;
begin
  select * into o from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  -- Only the attempt that Stripe refused moves on; a parallel repeat finds that it already has.
  if o.attempt = p_attempt and not exists (select 1 from public.checkout_sessions s where s.order_id = o.id and s.attempt = p_attempt) then
    perform private.reopen_checkout(o.id, p_session_seconds, p_hold_seconds);
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$$;
comment on function public.restart_checkout_attempt(uuid, integer, integer, integer) is
  'Replaces an attempt that Stripe never carried out, because its expires_at had come too near, by the next one. Same answer as begin_checkout(). KCORD, KCSTK.';
revoke execute on function public.restart_checkout_attempt(uuid, integer, integer, integer) from public, anon, authenticated;
grant execute on function public.restart_checkout_attempt(uuid, integer, integer, integer) to service_role;

create function public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_created boolean;
  v_status text;
begin
  perform 1 from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  v_created := not exists (select 1 from public.checkout_sessions where id = p_fact ->> 'id');
  -- Time zero: whatever an event says of this session is newer than what its creation said.
  perform private.merge_checkout_session(p_fact || jsonb_build_object('attempt', p_attempt), p_order_id, to_timestamp(0));
  -- A webhook that came first has merged the session without its link.
  update public.checkout_sessions set url = p_fact ->> 'url' where id = p_fact ->> 'id' and url is null;
  if v_created then
    perform private.record_order_event(p_order_id, 'checkout_session_created', 'checkout', jsonb_build_object('session_id', p_fact ->> 'id', 'attempt', p_attempt));
  end if;
  v_status := private.settle_order(p_order_id, 'checkout');
  return jsonb_build_object('created', v_created, 'status', v_status);
end;
$$;
comment on function public.attach_checkout_session(uuid, integer, jsonb) is
  'Notes the session that Stripe made for an attempt. Idempotent: created is true for the first call only. KCORD: no such order.';
revoke execute on function public.attach_checkout_session(uuid, integer, jsonb) from public, anon, authenticated;
grant execute on function public.attach_checkout_session(uuid, integer, jsonb) to service_role;

create function public.get_order_status(p_session_id text) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'order_number', o.number,
    'status', o.status,
    'fulfillment_status', o.fulfillment_status,
    'currency', o.currency,
    'amount_total', o.amount_total,
    'items', (
      select jsonb_agg(jsonb_build_object('sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount) order by i.sku collate "C")
      from public.order_items i where i.order_id = o.id
    ),
    'paid_at', o.paid_at,
    -- Settled, or asked a moment ago: a polling page must not become a load on Stripe.
    'settled', o.status not in ('pending', 'processing') or s.status = 'expired' or coalesce(s.observed_at > now() - interval '2 seconds', false)
  )
  from public.checkout_sessions s join public.orders o on o.id = s.order_id
  where s.id = p_session_id
$$;
comment on function public.get_order_status(text) is
  'What the success page shows, found by session id; no personal data. settled false: Stripe may know more, ask it. Null: no such session.';
revoke execute on function public.get_order_status(text) from public, anon, authenticated;
grant execute on function public.get_order_status(text) to service_role;
