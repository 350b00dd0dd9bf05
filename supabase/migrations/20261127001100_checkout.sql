-- Generated from supabase/schemas/checkout by 'deno task migrations': edit there.

-- A cart becomes frozen lines with reserved stock.

create function private.problem_of_items(p_message text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_array(jsonb_build_object('path', 'items', 'message', p_message))::text;
end;
$$;
comment on function private.problem_of_items(text) is
  'What an invalid request says of its lines, in the form of details.';

create function private.country_currencies_fit(p_value jsonb) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_typeof(p_value) = 'object' and not exists (
    select 1 from jsonb_each_text(p_value) x
    where x.key !~ '^[A-Z]{2}$' or private.amount_problem(0, x.value) is not null
  );
end;
$$;
comment on function private.country_currencies_fit(jsonb) is
  'Whether the setting country_currencies has a value that makes sense: countries (ISO, upper case), each '
  'with a currency that Stripe takes.';

alter table private.settings add constraint settings_country_currencies_fit
  check (key <> 'country_currencies' or private.country_currencies_fit(value));

insert into private.settings (key, value, description) values
  (
    'country_currencies', '{}',
    'Currencies of countries, say {"GB": "gbp", "DE": "eur"}: what a checkout is in that names its country '
    'and no currency; others are in the currency of their articles.'
  );

create function private.refuse_currency(p_wanted jsonb, p_currency text) returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  v_unsold jsonb;
begin
  select jsonb_agg(distinct jsonb_build_object('sku', w.sku, 'currencies', (
    select jsonb_agg(c.currency order by c.currency)
    from (
      select v.currency union select p.currency from public.variant_prices p where p.variant_id = v.id
    ) c
  )))
  into v_unsold
  from jsonb_to_recordset(p_wanted) as w (variant_id uuid, sku text)
  join public.product_variants v on v.id = w.variant_id
  where private.price_in(v, p_currency) is null;
  if v_unsold is not null then
    raise exception 'not sold in this currency' using errcode = 'SHNIC', detail = v_unsold::text;
  end if;
end;
$$;
comment on function private.refuse_currency(jsonb, text) is
  'Raises SHNIC with [{ sku, currencies }] for lines [{ variant_id, sku }] that have no price in a currency.';

create function private.price_lines(p_wanted jsonb, p_currency text default null) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Also keeps a sum of lines far below what bigint holds.
  c_quantity_max constant integer := 99;
  v_cart record;
begin
  if p_currency is not null then
    perform private.refuse_currency(p_wanted, p_currency);
  end if;
  -- One statement, so that names, prices and their sum are those of one moment.
  select
    jsonb_agg(jsonb_build_object(
      'variant_id', c.variant_id, 'sku', c.sku, 'name', c.name, 'quantity', c.quantity,
      'unit_amount', c.unit_amount, 'tax_code', c.tax_code
    ) order by c.sku collate "C") as lines,
    array_agg(distinct c.currency) as currencies,
    min(c.quantity_min) as quantity_min,
    max(c.quantity) as quantity_max,
    sum(c.unit_amount * c.quantity) as amount
  into v_cart
  from (
    select v.id as variant_id, w.sku, p.tax_code, coalesce(p_currency, v.currency) as currency,
      private.price_in(v, coalesce(p_currency, v.currency)) as unit_amount,
      private.variant_name(p.name, v.color, v.size) as name,
      sum(w.quantity) as quantity, min(w.quantity) as quantity_min
    from jsonb_to_recordset(p_wanted) as w (variant_id uuid, sku text, quantity integer)
    join public.product_variants v on v.id = w.variant_id
    join public.products p on p.id = v.product_id
    group by v.id, p.id, w.sku
  ) c;
  if v_cart.lines is null or v_cart.quantity_min is null or v_cart.quantity_min < 1
    or v_cart.quantity_max > c_quantity_max then
    raise exception 'the cart is not valid' using errcode = 'SHINV', detail = private.problem_of_items(
      format('must have quantities from 1 to %s, counting repeated SKUs together', c_quantity_max)
    );
  elsif cardinality(v_cart.currencies) > 1 then
    raise exception 'the cart is not valid'
      using errcode = 'SHCUR', detail = private.problem_of_items('must all have the same currency');
  elsif v_cart.amount > private.largest_amount(v_cart.currencies[1]) then
    raise exception 'the cart is not valid'
      using errcode = 'SHINV', detail = private.problem_of_items('come to a total that is too large');
  end if;
  return jsonb_build_object(
    'lines', v_cart.lines,
    'currency', v_cart.currencies[1],
    'amount', v_cart.amount,
    'hash', private.hash_lines(v_cart.lines, v_cart.currencies[1])
  );
end;
$$;
comment on function private.price_lines(jsonb, text) is
  'Today''s names and prices of [{ variant_id, sku, quantity }], the SKU as the caller calls it: { lines: '
  '[{ variant_id, sku, name, quantity, unit_amount, tax_code }] summed and sorted by SKU, currency, amount, '
  'hash }. '
  'p_currency null: that of the variants, which must be one. SHINV, SHCUR, SHNIC.';

create function private.price_cart(
  p_items jsonb,
  p_currency text default null,
  p_country text default null
) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_wanted jsonb;
  v_unknown jsonb;
begin
  -- The one place where a SKU becomes a variant: from here on a line is known by variant_id, whatever it is
  -- called.
  select jsonb_agg(jsonb_build_object('variant_id', v.id, 'sku', w.sku, 'quantity', w.quantity)),
    jsonb_agg(distinct w.sku) filter (where v.id is null)
  into v_wanted, v_unknown
  from jsonb_to_recordset(p_items) as w (sku text, quantity integer)
  left join public.product_variants v on v.sku = w.sku and v.active
    and exists (select 1 from public.products p where p.id = v.product_id and p.active);
  if v_unknown is not null then
    raise exception 'unknown sku' using errcode = 'SHSKU', detail = v_unknown::text;
  end if;
  return jsonb_build_object('asked_currency', p_currency, 'asked_country', p_country) || private.price_lines(
    coalesce(v_wanted, '[]'),
    coalesce(p_currency, private.setting('country_currencies') ->> p_country)
  );
end;
$$;
comment on function private.price_cart(jsonb, text, text) is
  'Today''s cart from [{ sku, quantity }], as of price_lines(), with asked_currency and asked_country: in '
  'the currency that is asked for, else that of the country (setting country_currencies), else that of the '
  'articles. SHSKU with the list: unknown or inactive SKUs (the two look alike on purpose). SHINV, SHCUR, '
  'SHNIC.';

create function private.hash_lines(p_lines jsonb, p_currency text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select left(encode(sha256(convert_to(
      p_currency || ';'
        || string_agg(l.variant_id || 'x' || l.quantity || '@' || l.unit_amount, ';' order by l.variant_id),
      'UTF8'
    )), 'hex'), 32)
    from jsonb_to_recordset(p_lines) as l (variant_id uuid, quantity integer, unit_amount bigint)
  );
end;
$$;
comment on function private.hash_lines(jsonb, text) is
  'Hash of lines (variant, quantity, price) and currency. It goes into the session''s metadata and must '
  'come back unchanged. By variant: two SKUs may be swapped while an order waits.';

create function private.hash_of_order(p_order_id uuid) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select private.hash_lines(
      jsonb_agg(jsonb_build_object(
        'variant_id', i.variant_id, 'quantity', i.quantity, 'unit_amount', i.unit_amount
      )),
      o.currency
    )
    from public.orders o join public.order_items i on i.order_id = o.id
    where o.id = p_order_id and i.quantity > 0
    group by o.id
  );
end;
$$;
comment on function private.hash_of_order(uuid) is
  'hash_lines() of the lines that were bought with an order.';

create function private.asked_lines(p_items jsonb) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(jsonb_build_array(w.sku, w.quantity) order by w.sku collate "C")
    from (
      select x.sku, sum(x.quantity) as quantity
      from jsonb_to_recordset(p_items) as x (sku text, quantity integer) group by x.sku
    ) w
  );
end;
$$;
comment on function private.asked_lines(jsonb) is
  'A cart as asked for: [[sku, quantity]…], summed and sorted. Two carts are the same cart when this is '
  'equal; prices do not matter.';

create function private.order_lines(p_order_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(jsonb_build_array(i.sku, i.quantity) order by i.sku collate "C")
    from public.order_items i where i.order_id = p_order_id and i.quantity > 0
  );
end;
$$;
comment on function private.order_lines(uuid) is 'The lines of an order in the form of asked_lines().';

create function private.refuse_shortage(p_wanted jsonb, p_closing jsonb default '[]') returns void
language plpgsql
set search_path = ''
as $$
declare
  v_short jsonb;
begin
  select jsonb_agg(jsonb_build_object(
    'sku', w.sku, 'requested', w.quantity, 'available', private.shown_stock(a.pieces)
  ) order by w.sku collate "C")
  into v_short
  from jsonb_to_recordset(p_wanted) as w (variant_id uuid, sku text, quantity integer)
  left join public.inventory_levels l on l.variant_id = w.variant_id
  cross join lateral (
    select coalesce(l.on_hand - l.reserved, 0) + coalesce((
      select sum(r.quantity) from public.inventory_reservations r
      where r.variant_id = w.variant_id and r.status = 'active' and r.order_id in (
        select s.order_id from public.checkout_sessions s
        where s.id in (select x from jsonb_array_elements_text(p_closing) x)
      )
    ), 0)::integer as pieces
  ) a
  where a.pieces < w.quantity;
  if v_short is not null then
    raise exception 'not enough stock' using errcode = 'SHSTK', detail = v_short::text;
  end if;
end;
$$;
comment on function private.refuse_shortage(jsonb, jsonb) is
  'Raises SHSTK with [{ sku, requested, available }] when stock does not cover [{ variant_id, sku, '
  'quantity }]. Call with the rows locked; or before pages are closed (p_closing, ids of sessions, whose '
  'pieces will be free then), to look ahead: a shopper must not lose them for a cart that cannot be had.';

create function private.reserve_stock(p_order_id uuid, p_expires_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_ids uuid[];
  v_quantities integer[];
  v_covered integer;
begin
  select coalesce(array_agg(i.variant_id), '{}'), array_agg(i.quantity) into v_ids, v_quantities
  from public.order_items i
  left join public.inventory_reservations r on r.order_id = i.order_id and r.variant_id = i.variant_id
  where i.order_id = p_order_id and coalesce(r.status, 'released') = 'released';

  -- Every writer of inventory_levels locks by variant_id, so two carts cannot wait for each other. Nothing
  -- refers to the stock before it is locked: the share locks of foreign keys, many at a time on one row, cost
  -- far more than the wait for it.
  select count(*) into v_covered
  from (
    select l.variant_id, l.on_hand - l.reserved as available
    from public.inventory_levels l
    where l.variant_id = any (v_ids)
    order by l.variant_id
    for no key update
  ) l
  join unnest(v_ids, v_quantities) as w (variant_id, quantity) on w.variant_id = l.variant_id
  where l.available >= w.quantity;
  if v_covered < cardinality(v_ids) then
    perform private.refuse_shortage((
      select jsonb_agg(jsonb_build_object('variant_id', i.variant_id, 'sku', i.sku, 'quantity', i.quantity))
      from public.order_items i where i.order_id = p_order_id and i.variant_id = any (v_ids)
    ));
  end if;

  update public.inventory_levels l set reserved = l.reserved + w.quantity
  from unnest(v_ids, v_quantities) as w (variant_id, quantity)
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
  'Holds stock for all lines of an order or, raising SHSTK, for none. Lines already held keep their hold; '
  'p_expires_at extends it.';

-- What delivery costs. Stripe's page shows the active rates in the order's currency, and the shopper picks
-- one.

create table public.shipping_rates (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  amount bigint not null,
  currency text not null,
  countries text[],
  delivery_days_min integer,
  delivery_days_max integer,
  tax_code text,
  sort_order integer not null default 100,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  constraint shipping_rates_name_length check (char_length(name) between 1 and 100),
  constraint shipping_rates_name_visible check (private.one_line(name) is not null),
  constraint shipping_rates_currency_format check (currency ~ '^[a-z]{3}$'),
  constraint shipping_rates_amount_at_stripe check (private.amount_problem(amount, currency) is null),
  constraint shipping_rates_tax_code_format check (tax_code ~ '^txcd_[0-9]{8}$'),
  constraint shipping_rates_countries_format
    check (array_to_string(countries, ',') ~ '^[A-Z]{2}(,[A-Z]{2})*$'),
  constraint shipping_rates_delivery_days_ordered check (
    delivery_days_min > 0 and delivery_days_max > 0 and delivery_days_min <= delivery_days_max
  )
);
comment on table public.shipping_rates is
  'Delivery prices offered at checkout, cheapest sort_order first, five at most (Stripe''s limit). amount '
  'is in minor units. Without an active rate delivery is free.';
comment on column public.shipping_rates.countries is
  'Null: for every country. Stripe''s page cannot tie a rate to the address that is entered there, so a page '
  'offers only rates that hold for every country that it delivers to: the one that was asked for, else all '
  'of SHIPPING_COUNTRIES, else those of the first rate.';
comment on column public.shipping_rates.tax_code is
  'What delivery is for taxes, of https://docs.stripe.com/tax/tax-codes, say txcd_92010001; null: the '
  'account''s default at Stripe.';
comment on constraint shipping_rates_amount_at_stripe on public.shipping_rates is
  'An amount that Stripe takes in this currency: private.amount_problem() says why it is not.';
create index shipping_rates_offer_idx on public.shipping_rates (currency, sort_order) where active;

alter table public.shipping_rates enable row level security;
create policy shipping_rates_read on public.shipping_rates for select to anon, authenticated
  using (active or (select private.is_admin()));
revoke all on public.shipping_rates from public, anon, authenticated, service_role;
grant select on public.shipping_rates to anon, authenticated, service_role;

create function private.rate_holds(r public.shipping_rates, p_currency text, p_country text) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return r.active and r.currency = p_currency
    and (p_country is null or r.countries is null or p_country = any (r.countries));
end;
$$;
comment on function private.rate_holds(public.shipping_rates, text, text) is
  'Whether a delivery price is offered in a currency, and for a country where one is known.';

create function private.can_deliver(p_currency text, p_country text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.shipping_rates r where private.rate_holds(r, p_currency, p_country))
    or not exists (select 1 from public.shipping_rates r where r.active);
end;
$$;
comment on function private.can_deliver(text, text) is
  'Whether a delivery price holds for an order, or the shop has none at all and delivers free.';

create function private.offered_shipping_rates(p_currency text, p_country text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_rates jsonb;
begin
  select jsonb_agg(jsonb_build_object(
    'id', r.id, 'name', r.name, 'amount', r.amount, 'countries', r.countries,
    'delivery_days_min', r.delivery_days_min, 'delivery_days_max', r.delivery_days_max,
    'tax_code', r.tax_code
  ) order by r.sort_order, r.amount, r.id)
  into v_rates
  from public.shipping_rates r
  where private.rate_holds(r, p_currency, p_country);
  if not private.can_deliver(p_currency, p_country) then
    raise exception 'no delivery price holds'
      using errcode = 'SHSHP',
        detail = jsonb_build_object('currency', p_currency, 'country', p_country)::text;
  end if;
  return coalesce(v_rates, '[]');
end;
$$;
comment on function private.offered_shipping_rates(text, text) is
  'The active rates of a currency, and of a country where one is known, in the order in which a shopper '
  'sees them. None where the shop has none at all. SHSHP: it has some, and none of them holds.';

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

-- begin_checkout(): a new order from a cart, or the one that the same request made before.

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
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(s.id order by s.id)
    from private.open_checkouts(p_user_id, p_session_id, p_livemode) o
    join public.checkout_sessions s on s.order_id = o.id
    where s.status = 'open' and (p_key is null or o.idempotency_key is distinct from p_key)
  );
end;
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
  p_hold_seconds integer,
  p_accepts_marketing boolean,
  p_ui_mode text
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_customer_id uuid := case
    when p_user_id is not null then private.account_customer(p_user_id, p_email, p_livemode)
  end;
  v_order_id uuid;
  v_snapshot jsonb;
begin
  insert into public.orders (
    customer_id, account_id, email, mail_to_account, locale, accepts_marketing, currency, amount_subtotal,
    amount_total, livemode, cart_hash, idempotency_key, ui_mode, session_expires_at, purchase_ip,
    user_agent, prices_include_tax, shipping_rates, asked_currency, asked_country
  ) values (
    v_customer_id, case when v_customer_id is not null then p_user_id end, p_email,
    coalesce((select lower(u.email) = lower(p_email) from auth.users u where u.id = p_user_id), false),
    p_locale, p_accepts_marketing, p_cart ->> 'currency', (p_cart ->> 'amount')::bigint,
    (p_cart ->> 'amount')::bigint, p_livemode,
    p_cart ->> 'hash', p_key, p_ui_mode, now() + make_interval(secs => p_session_seconds), p_client_ip,
    left(p_user_agent, 500), coalesce((private.setting('prices_include_tax'))::boolean, false),
    private.offered_shipping_rates(p_cart ->> 'currency', p_cart ->> 'asked_country'),
    p_cart ->> 'asked_currency', p_cart ->> 'asked_country'
  ) returning id into v_order_id;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount, tax_code)
  select v_order_id, l.variant_id, l.sku, l.name, l.quantity, l.unit_amount, l.tax_code
  from jsonb_to_recordset(p_cart -> 'lines') as l (
    variant_id uuid, sku text, name text, quantity integer, unit_amount bigint, tax_code text
  );
  update public.order_risk set velocity_mode = p_velocity_mode, three_d_secure = p_risk ->> 'three_d_secure'
  where order_id = v_order_id;
  perform private.record_velocity_hits(p_risk, v_order_id);
  perform private.record_order_event(
    v_order_id, 'order_created', 'checkout',
    jsonb_build_object('amount_subtotal', p_cart -> 'amount', 'currency', p_cart ->> 'currency')
  );
  perform private.record_order_event(v_order_id, 'stock_reserved', 'checkout');
  v_snapshot := private.checkout_snapshot(v_order_id, 'created');
  -- Last, because whoever else buys these goods waits from here to the commit.
  perform private.reserve_stock(v_order_id, now() + make_interval(secs => p_hold_seconds));
  return v_snapshot;
end;
$$;
comment on function private.create_order(
  jsonb, jsonb, text, uuid, text, inet, text, text, boolean, text, integer, integer, boolean, text
) is
  'A pending order with the frozen prices of p_cart (see price_cart()), what the velocity rules found, and '
  'its stock reserved. Returns its checkout_snapshot(). SHSTK.';

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

create function private.checkout_key(p_user_id uuid, p_idempotency_key text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(p_user_id::text, 'guest') || ':' || case
    -- How long a guest's key was says how hard it is to guess.
    when starts_with(p_idempotency_key, 'digest:') then left(
      'k' || private.keyed_digest(p_idempotency_key),
      coalesce(substring(p_idempotency_key from '^digest:(\d{1,3}):')::integer, length(p_idempotency_key))
    )
    else p_idempotency_key
  end;
end;
$$;
comment on function private.checkout_key(uuid, text) is
  'What is stored of an Idempotency-Key, with whose it is; null: there is none. One that holds what looks '
  'like a card number comes as digest:<length>:<SHA-256>, and is stored as a digest with the key of the '
  'database, as long as it was: who has a bare one can try all card numbers.';

create function private.same_checkout_again(
  p_user_id uuid,
  p_email text,
  p_session_id text,
  p_livemode boolean,
  p_cart jsonb,
  p_ui_mode text
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
    where o.created_at > now() - c_repeat_window and o.cart_hash = p_cart ->> 'hash'
      and o.asked_country is not distinct from p_cart ->> 'asked_country' and o.ui_mode = p_ui_mode
      -- Who has signed in since wants it in the account; who names another address mistyped the first.
      and o.account_id is not distinct from p_user_id and lower(o.email) is not distinct from lower(p_email)
    order by o.created_at desc limit 1
  );
end;
$$;
comment on function private.same_checkout_again(uuid, text, text, boolean, jsonb, text) is
  'The open order that a request without an Idempotency-Key repeats, or null: same shopper and address, '
  'same cart, same kind of page, seconds ago.';

create function private.note_marketing_choice(p_order_id uuid, p_accepts_marketing boolean) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.orders set accepts_marketing = p_accepts_marketing
  where id = p_order_id and accepts_marketing is distinct from p_accepts_marketing
    and p_accepts_marketing is not null;
end;
$$;
comment on function private.note_marketing_choice(uuid, boolean) is
  'Whether reminders may follow, as a repeat of a checkout says; null: it says nothing. The last word '
  'counts: a box that is unticked meanwhile must not bring mails.';

create function public.begin_checkout(
  p_items jsonb,
  p_idempotency_key text, p_user_id uuid, p_email text,
  p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean,
  p_session_seconds integer, p_hold_seconds integer,
  p_velocity_mode text default 'off',
  p_previous_session_id text default null, p_supersede boolean default true,
  p_accepts_marketing boolean default null, p_ui_mode text default 'hosted_page',
  p_currency text default null, p_country text default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_key text := private.checkout_key(p_user_id, p_idempotency_key);
  v_found jsonb;
  v_cart jsonb;
  v_order_id uuid;
  v_superseded jsonb; v_risk jsonb;
begin
  perform private.refuse_during_rescue();
  perform private.wait_for_repeats(v_key, p_user_id);
  if p_supersede then
    v_superseded := private.superseded_sessions(v_key, p_user_id, p_previous_session_id, p_livemode);
  end if;
  if v_key is not null then
    v_found := private.find_checkout(
      v_key, private.asked_lines(p_items), p_email, v_superseded, p_client_ip::inet, p_ui_mode, p_currency,
      p_country, p_livemode
    );
    if v_found ->> 'outcome' in ('ended', 'existing') then
      v_order_id := (v_found ->> 'order_id')::uuid;
    elsif v_found is not null then
      return v_found;
    end if;
  end if;
  if v_order_id is null then
    v_cart := private.price_cart(p_items, p_currency, p_country);
  end if;
  if p_idempotency_key is null then
    v_order_id := private.same_checkout_again(
      p_user_id, p_email, p_previous_session_id, p_livemode, v_cart, p_ui_mode
    );
  end if;
  if v_order_id is not null then
    perform private.note_marketing_choice(v_order_id, p_accepts_marketing);
    return private.enter_checkout(
      v_order_id, p_velocity_mode, p_client_ip, p_supersede,
      coalesce(v_found ->> 'outcome' = 'ended', false), p_session_seconds, p_hold_seconds, p_ui_mode
    );
  end if;
  if v_superseded is not null then
    perform private.refuse_shortage(v_cart -> 'lines', v_superseded);
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_superseded);
  end if;

  v_risk := private.check_velocity(
    p_velocity_mode, p_user_id, p_email, p_client_ip::inet, v_cart, p_livemode
  );
  if v_risk ->> 'action' = 'block' then
    return private.velocity_exceeded(v_risk);
  end if;
  return private.create_order(
    v_cart, v_risk, v_key, p_user_id, p_email, p_client_ip::inet, p_user_agent, p_locale, p_livemode,
    p_velocity_mode, p_session_seconds, p_hold_seconds, p_accepts_marketing, p_ui_mode
  );
end;
$$;
comment on function public.begin_checkout(
  jsonb, text, uuid, text, text, text, text, boolean, integer, integer, text, text, boolean, boolean, text,
  text, text
) is
  'Makes a pending order with frozen prices and reserved stock from [{ sku, quantity }], or finds the one '
  'this Idempotency-Key (or this shopper, seconds ago) made before. Outcomes: created, existing (the '
  'snapshot to send to Stripe), superseded (expire session_ids at Stripe, then ask again with p_supersede '
  'false), velocity_exceeded. p_currency, p_country: what the shopper wants to pay in, and where the parcel '
  'goes; null: not said. SHSKU unknown_sku, SHSTK insufficient_stock, SHIDC idempotency_conflict, SHCUR '
  'mixed currencies, SHNIC currency_unavailable, SHSHP shipping_unavailable, SHINV invalid, SHCLO checkout '
  'is closed.';
grant execute on function public.begin_checkout(
  jsonb, text, uuid, text, text, text, text, boolean, integer, integer, text, text, boolean, boolean, text,
  text, text
) to service_role;

-- The life of an attempt after the order exists: its session, a new attempt, or none at all.

create function public.attach_checkout_session(
  p_order_id uuid,
  p_attempt integer,
  p_fact jsonb,
  p_email_change integer default null
) returns void
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_created boolean;
begin
  perform private.lock_order(p_order_id);
  v_created := not exists (select 1 from public.checkout_sessions where id = p_fact ->> 'id');
  -- Time zero: whatever an event says of this session is newer than what its creation said. One that is not
  -- open any more was read later: it may have been paid, and not in 1970.
  perform private.merge_checkout_session(
    private.without_person(p_fact, p_order_id) || jsonb_build_object('attempt', p_attempt), p_order_id,
    case p_fact ->> 'status' when 'open' then to_timestamp(0) else now() end
  );
  -- A webhook that came first has merged the session without its link.
  update public.checkout_sessions set url = p_fact ->> 'url' where id = p_fact ->> 'id' and url is null;
  -- An account's first session tells us the customer that Stripe made for it.
  update public.customers c set stripe_customer_id = p_fact ->> 'customer_id'
  from public.orders o
  where o.id = p_order_id and c.id = o.customer_id and c.stripe_customer_id is null
    and c.livemode = (p_fact ->> 'livemode')::boolean
    and not exists (
      select 1 from public.customers other where other.stripe_customer_id = p_fact ->> 'customer_id'
    )
    and not exists (
      select 1 from private.stripe_customers gone
      where gone.id = p_fact ->> 'customer_id' and gone.deleted_at is not null
    );
  -- Only of the customer that the session is for: another one was given another address.
  update public.customers c set email_changes_told = greatest(c.email_changes_told, p_email_change)
  from public.orders o
  where o.id = p_order_id and c.id = o.customer_id and c.stripe_customer_id = p_fact ->> 'customer_id'
    and p_email_change is not null;
  if v_created then
    perform private.record_order_event(
      p_order_id, 'checkout_session_created', 'checkout',
      jsonb_build_object('session_id', p_fact ->> 'id', 'attempt', p_attempt)
    );
  end if;
  perform private.settle_order(p_order_id, 'checkout');
end;
$$;
comment on function public.attach_checkout_session(uuid, integer, jsonb, integer) is
  'Notes the session that Stripe made for an attempt. p_email_change: which address of the account '
  'Stripe''s customer has now, as customer_email_change of the snapshot. Idempotent. '
  'SHORD: no such order.';
grant execute on function public.attach_checkout_session(uuid, integer, jsonb, integer) to service_role;

create function public.restart_checkout_attempt(
  p_order_id uuid,
  p_attempt integer,
  p_session_seconds integer,
  p_hold_seconds integer
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  o public.orders := private.lock_order(p_order_id);
begin
  perform private.refuse_during_rescue();
  -- Only the attempt that the caller saw end moves on; a parallel repeat finds that it already has.
  if o.attempt = p_attempt and o.session_id is null and o.cancelled_at is null and o.erased_at is null
    and not exists (
      select 1 from public.checkout_sessions s
      where s.order_id = o.id and s.attempt = p_attempt and s.status <> 'expired'
    ) then
    return private.enter_checkout(
      o.id, (private.risk_of(o.id)).velocity_mode, null, false, true, p_session_seconds, p_hold_seconds,
      null
    );
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$$;
comment on function public.restart_checkout_attempt(uuid, integer, integer, integer) is
  'Replaces an attempt that Stripe never carried out (its expires_at had come too near), or whose session '
  'has expired, by the next one, if the velocity rules let it. Same answer as begin_checkout(): existing or '
  'velocity_exceeded. SHORD, SHSTK, SHCLO.';
grant execute on function public.restart_checkout_attempt(uuid, integer, integer, integer) to service_role;

create function private.alert_refused_checkout(p_order_id uuid, p_refusal jsonb) returns void
language sql
set search_path = ''
as $$
  select private.raise_alert(
    'checkout_refused', 'critical',
    -- One cause, one alert: which line of the cart it was says nothing.
    concat_ws(
      ':', 'checkout_refused', p_refusal ->> 'status', p_refusal ->> 'code',
      regexp_replace(p_refusal ->> 'param', '\[\d+\]', '[]', 'g')
    ),
    p_refusal || jsonb_build_object(
      'order_number', o.number, 'amount', o.amount_subtotal, 'currency', o.currency,
      'skus', (
        select jsonb_agg(i.sku order by i.sku collate "C") from public.order_items i where i.order_id = o.id
      )
    )
  )
  from public.orders o where o.id = p_order_id
$$;
comment on function private.alert_refused_checkout(uuid, jsonb) is
  'Tells staff that Stripe refuses to sell an order, and why: { code, param, status, message }. One alert '
  'per cause, counted up.';

create function public.abandon_checkout(
  p_order_id uuid,
  p_attempt integer,
  p_refusal jsonb default null
) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  o public.orders := private.lock_order(p_order_id);
  v_abandoned boolean;
begin
  v_abandoned := o.attempt = p_attempt and o.abandoned_at is null
    and not exists (
      select 1 from public.checkout_sessions s where s.order_id = o.id and s.attempt = p_attempt
    );
  if v_abandoned then
    update public.orders set abandoned_at = now() where id = o.id;
    perform private.record_order_event(
      o.id, 'checkout_abandoned', 'checkout', jsonb_build_object('attempt', p_attempt)
    );
    perform private.settle_order(o.id, 'checkout');
  end if;
  if p_refusal is not null then
    perform private.alert_refused_checkout(o.id, p_refusal);
  end if;
  return v_abandoned;
end;
$$;
comment on function public.abandon_checkout(uuid, integer, jsonb) is
  'Ends an attempt that has no session, which frees its stock. Call it only when Stripe has refused the '
  'attempt, or has been asked and knows no session of it that could still be paid. p_refusal: what Stripe '
  'said, for an alert. Returns false when the attempt has a session, or is not the current one. SHORD: no '
  'such order.';
grant execute on function public.abandon_checkout(uuid, integer, jsonb) to service_role;

create function public.forget_checkout_session(p_session_id text) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- A wrong key knows no session either: there is a day to put it right.
  c_patience constant interval := '1 day';
  v_order_id uuid;
begin
  select s.order_id into v_order_id
  from public.checkout_sessions s
  where s.id = p_session_id and s.status = 'open' and s.expires_at < now() - c_patience;
  if v_order_id is null then
    return false;
  end if;
  perform private.lock_order(v_order_id);
  update public.checkout_sessions set status = 'expired' where id = p_session_id and status = 'open';
  if found then
    perform private.record_order_event(
      v_order_id, 'checkout_session_forgotten', 'job', jsonb_build_object('session_id', p_session_id)
    );
    perform private.settle_order(v_order_id, 'job');
  end if;
  return true;
end;
$$;
comment on function public.forget_checkout_session(text) is
  'Stripe says that there is no such session: its account is another one now, or its test data was deleted. '
  'Counts it as expired, which frees its stock, once it has been over for a day. Returns whether it has '
  'been. Should Stripe tell of its payment after all, that is settled as late money.';
grant execute on function public.forget_checkout_session(text) to service_role;

create function private.checkout_end(o public.orders, p_livemode boolean) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  if o.session_id is not null or o.status = 'processing' then
    return jsonb_build_object('outcome', 'paid', 'session_id', coalesce(o.session_id, (
      select s.id from public.checkout_sessions s
      where s.order_id = o.id and s.status = 'complete' order by s.completed_at desc limit 1
    )));
  elsif o.cancelled_at is not null or o.erased_at is not null or o.livemode <> p_livemode then
    return jsonb_build_object('outcome', 'cancelled');
  end if;
  return null;
end;
$$;
comment on function private.checkout_end(public.orders, boolean) is
  'Why an order leads to no payment page any more: paid { session_id }, also while the payment is under '
  'way, or cancelled, as are all of the other mode once a project has gone live. Null while it waits to be '
  'paid. p_livemode null: of either mode.';

create function public.find_open_checkout(p_order_id uuid, p_livemode boolean default null) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  o public.orders;
begin
  select * into o from public.orders where id = p_order_id;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'SHORD';
  end if;
  return coalesce(private.checkout_end(o, p_livemode), jsonb_build_object('outcome', 'unpaid', 'session', (
    select jsonb_build_object('id', s.id, 'url', s.url)
    from public.checkout_sessions s
    where s.order_id = o.id and s.attempt = o.attempt and s.status = 'open' and s.url is not null
      and s.expires_at > now() and s.closing_at is null
    order by s.created_at desc limit 1
  )));
end;
$$;
comment on function public.find_open_checkout(uuid, boolean) is
  'What a resume link leads to without changing anything: unpaid with the session { id, url } that can '
  'still be paid, or null; paid: { session_id } for the success page; cancelled, also for an order of the '
  'other mode than p_livemode. SHORD: no such order.';
grant execute on function public.find_open_checkout(uuid, boolean) to service_role;

create function public.resume_checkout(
  p_order_id uuid,
  p_session_seconds integer,
  p_hold_seconds integer,
  p_velocity_mode text default null,
  p_client_ip text default null,
  p_supersede boolean default true,
  p_livemode boolean default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  o public.orders := private.lock_order(p_order_id);
  v_ended constant boolean := o.status in ('expired', 'payment_failed');
  v_end constant jsonb := private.checkout_end(o, p_livemode);
  v_superseded jsonb;
begin
  perform private.refuse_during_rescue();
  if v_end is not null then
    return v_end;
  end if;
  if v_ended and p_supersede then
    -- As under its key: what the account's other page holds may be what this order needs.
    v_superseded := private.superseded_sessions(
      o.idempotency_key, (select c.user_id from public.customers c where c.id = o.customer_id), null,
      o.livemode
    );
  end if;
  if v_superseded is not null then
    perform private.refuse_shortage(jsonb_agg(to_jsonb(i)), v_superseded)
    from public.order_items i where i.order_id = o.id and i.quantity > 0;
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_superseded);
  end if;
  return private.enter_checkout(
    o.id, coalesce(p_velocity_mode, (private.risk_of(o.id)).velocity_mode), p_client_ip, p_supersede,
    v_ended, p_session_seconds, p_hold_seconds, 'hosted_page'
  );
end;
$$;
comment on function public.resume_checkout(uuid, integer, integer, text, text, boolean, boolean) is
  'Opens an unpaid order again, on a hosted page. existing: the snapshot of an attempt that can be paid, '
  'a new one at today''s prices when the last has expired or failed; paid: { session_id } for the success '
  'page; cancelled, also for an order of the other mode than p_livemode; superseded: expire session_ids at '
  'Stripe, then ask again with p_supersede false; velocity_exceeded. p_velocity_mode null: that of the last '
  'attempt. SHORD: no such order. SHSTK: sold out. SHCLO: checkout is closed.';
grant execute on function public.resume_checkout(uuid, integer, integer, text, text, boolean, boolean)
  to service_role;

create function public.forget_stripe_customer(p_order_id uuid, p_stripe_customer_id text) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.merge_customer(
    jsonb_build_object(
      'id', p_stripe_customer_id, 'livemode', o.livemode, 'email', null, 'name', null, 'deleted', true
    ), now()
  )
  from public.orders o where o.id = p_order_id;
  return private.checkout_snapshot(p_order_id, 'existing');
end;
$$;
comment on function public.forget_stripe_customer(uuid, text) is
  'Stripe says that this customer is gone, before its event has come. Returns the snapshot of the order, '
  'now without it.';
grant execute on function public.forget_stripe_customer(uuid, text) to service_role;

-- What the page of an order asks.

create function public.get_order_status(p_session_id text default null, p_order_id uuid default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  s public.checkout_sessions;
  o public.orders;
begin
  if p_order_id is null then
    select * into s from public.checkout_sessions where id = p_session_id;
    select * into o from public.orders where id = s.order_id;
  else
    select * into o from public.orders where id = p_order_id;
    select * into s from public.checkout_sessions x where x.order_id = p_order_id
    -- The one that was paid, else the newest.
    order by coalesce(x.id = o.session_id, false) desc, x.attempt desc nulls last, x.id collate "C" limit 1;
  end if;
  if o.id is null then
    return null;
  end if;
  return private.order_page(o) || jsonb_build_object(
    'live_topic', private.live_topic(o.id),
    'order_id', o.id,
    'session_id', s.id,
    -- An order that is cancelled, or paid through another page, says nothing of a page that is open for all
    -- we know: it may just have been paid.
    'settled', s.id is null or (o.status not in ('pending', 'processing') and s.status <> 'open')
      or s.status = 'expired'
  );
end;
$$;
comment on function public.get_order_status(text, uuid) is
  'What the page of an order shows, found by one of its sessions or by its id; no personal data. live_topic: '
  'the Realtime topic that says when to ask again. settled false: Stripe may know more of session_id, ask '
  'it. Null: no such session or order.';
grant execute on function public.get_order_status(text, uuid) to service_role;
