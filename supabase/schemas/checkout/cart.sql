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
