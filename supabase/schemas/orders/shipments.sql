-- What has left the house: one row for each parcel, with the pieces in it. An order may go in several.

create table private.carriers (
  name text primary key,
  tracking_url text not null,
  constraint carriers_name_lower check (name = lower(name)),
  constraint carriers_tracking_url_https check (tracking_url ~ '^https://' and tracking_url like '%{number}%')
);
comment on table private.carriers is
  'Where each carrier shows its parcels; {number} stands for the tracking number. name in lower case.';
alter table private.carriers enable row level security;
insert into private.carriers (name, tracking_url) values
  ('ups', 'https://www.ups.com/track?tracknum={number}'),
  ('usps', 'https://tools.usps.com/go/TrackConfirmAction?tLabels={number}'),
  ('fedex', 'https://www.fedex.com/fedextrack/?trknbr={number}'),
  ('dhl', 'https://www.dhl.com/global-en/home/tracking.html?tracking-id={number}'),
  ('dpd', 'https://www.dpdgroup.com/mydpd/my-parcels/track?parcelNumber={number}'),
  ('gls', 'https://gls-group.com/track/{number}'),
  ('royal mail', 'https://www.royalmail.com/track-your-item#/tracking-results/{number}'),
  (
    'canada post',
    'https://www.canadapost-postescanada.ca/track-reperage/en#/search?searchFor={number}'
  );

create function private.tracking_url(p_carrier text, p_tracking_number text) returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_number constant text := regexp_replace(p_tracking_number, '\s', '', 'g');
begin
  -- Whatever else somebody typed does not become part of an address.
  return (
    select replace(c.tracking_url, '{number}', v_number)
    from private.carriers c
    where c.name = lower(btrim(p_carrier)) and v_number ~ '^[A-Za-z0-9-]{4,40}$'
  );
end;
$$;
comment on function private.tracking_url(text, text) is
  'The page that shows a parcel, or null: an unknown carrier, or nothing like a tracking number.';

create table public.shipments (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references public.orders (id) on delete cascade,
  parcel integer not null,
  carrier text,
  tracking_number text,
  tracking_url text,
  shipped_at timestamptz not null default now(),
  constraint shipments_order_parcel_key unique (order_id, parcel),
  constraint shipments_parcel_positive check (parcel > 0)
);
comment on table public.shipments is
  'Parcels of an order, numbered from 1. Noted by mark_fulfilled(), corrected by correct_shipment().';
comment on column public.shipments.tracking_url is 'The carrier''s page of the parcel, where it is known.';

create table public.shipment_lines (
  shipment_id uuid not null references public.shipments (id) on delete cascade,
  order_item_id uuid not null references public.order_items (id) on delete cascade,
  quantity integer not null,
  constraint shipment_lines_pkey primary key (shipment_id, order_item_id),
  constraint shipment_lines_quantity_positive check (quantity > 0)
);
comment on table public.shipment_lines is 'Pieces in a parcel, by line of the order.';
create index shipment_lines_order_item_id_idx on public.shipment_lines (order_item_id);

alter table public.shipments enable row level security;
alter table public.shipment_lines enable row level security;
-- The inner selects are under the policies of orders: a customer sees the parcels of their own.
create policy shipments_read on public.shipments for select to authenticated
  -- As in customers_read, here and below.
  using (
    (select private.is_admin()) and (
      id between (select private.first_for_staff()) and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
      or id >= private.first_for_staff()
    )
    or order_id = any (array(
      select o.id from public.orders o join public.customers c on c.id = o.customer_id
      where c.user_id = (select auth.uid())
    ))
  );
create policy shipment_lines_read on public.shipment_lines for select to authenticated
  using (
    (select private.is_admin()) and (
      shipment_id between (select private.first_for_staff())
        and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
      or shipment_id >= private.first_for_staff()
    )
    or shipment_id = any (array(
      select s.id from public.shipments s
        join public.orders o on o.id = s.order_id
        join public.customers c on c.id = o.customer_id
      where c.user_id = (select auth.uid())
    ))
  );
revoke all on public.shipments, public.shipment_lines from public, anon, authenticated, service_role;
grant select on public.shipments, public.shipment_lines to authenticated, service_role;

create function private.has_shipped(p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.shipments s where s.order_id = p_order_id);
end;
$$;
comment on function private.has_shipped(uuid) is 'Whether anything of an order has left the house.';

create function private.line_positions(p_order_id uuid)
returns table (
  order_item_id uuid, variant_id uuid, sku text, name text, unit_amount bigint, quantity integer,
  shipped integer, sent_back integer, returned integer, announced integer, refunded integer,
  here integer, to_ship integer, paid integer, exchanged integer, exchanging integer
)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select i.id, i.variant_id, i.sku, i.name, i.unit_amount, i.quantity + e.came, s.shipped, b.sent_back,
    b.returned, b.announced, f.given, i.quantity + e.came - s.shipped - b.put_back,
    i.quantity + e.came - s.shipped - b.withdrawn, i.quantity + e.came - e.went, b.exchanged,
    e.went - b.exchanged
  from public.order_items i
  cross join lateral private.exchanged_pieces(i.id) e
  cross join lateral (
    select coalesce(sum(l.quantity), 0)::integer as shipped
    from public.shipment_lines l where l.order_item_id = i.id
  ) s
  cross join lateral (
    select coalesce(sum(l.quantity - l.unsent), 0)::integer as sent_back,
      coalesce(sum(l.quantity) filter (where r.received_at is not null), 0)::integer as returned,
      coalesce(sum(l.quantity) filter (where r.received_at is null), 0)::integer as announced,
      coalesce(sum(l.unsent) filter (where r.received_at is not null), 0)::integer as put_back,
      coalesce(sum(l.unsent), 0)::integer as withdrawn,
      coalesce(
        sum(l.quantity) filter (where r.received_at is not null and l.exchanged_for is not null), 0
      )::integer as exchanged
    from public.return_lines l join public.returns r on r.id = l.return_id
    -- A return that was closed and never came is none.
    where l.order_item_id = i.id and (r.received_at is not null or r.status = 'requested')
  ) b
  cross join lateral private.refunded_pieces(i.id) f
  where i.order_id = p_order_id
  order by i.sku collate "C", i.id;
end;
$$;
comment on function private.line_positions(uuid) is
  'Where the pieces of each line of an order are. quantity: bought, and come by exchange; shipped: have left '
  'the house; sent_back: of those in '
  'returns, the ones that had left; returned and announced: in returns that came, and that are awaited; '
  'refunded: money given back or on its way; here: sold and still in the house; to_ship: still to be sent; '
  'paid: pieces whose price is on this line; exchanged and exchanging: of those returned and announced, what '
  'another piece goes out for. '
  'Call with the order locked.';

create function private.completed_at(p_order_id uuid) returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  if not private.has_shipped(p_order_id)
    or exists (select 1 from private.line_positions(p_order_id) p where p.to_ship > 0) then
    return null;
  end if;
  return (select max(s.shipped_at) from public.shipments s where s.order_id = p_order_id);
end;
$$;
comment on function private.completed_at(uuid) is
  'When the last parcel of an order left; null while pieces are still to be sent, or nothing was.';

create function private.parse_order_lines(p_order_id uuid, p_lines jsonb, p_fields text[])
returns table (order_item_id uuid, sku text, quantity integer, line jsonb)
language plpgsql
stable
set search_path = ''
as $$
declare
  c record;
  v_skus constant text := (
    select string_agg(i.sku, ', ' order by i.sku collate "C")
    from public.order_items i where i.order_id = p_order_id
  );
begin
  if jsonb_array_length(p_lines) = 0 then
    raise exception 'p_lines has no line' using errcode = 'SHINV', hint = 'Leave it out to mean all.';
  end if;
  for c in select x.value as line, x.ordinality as n from jsonb_array_elements(p_lines) with ordinality x loop
    if jsonb_typeof(c.line) <> 'object' or c.line - ('{sku,quantity}'::text[] || p_fields) <> '{}'
      or jsonb_typeof(c.line -> 'sku') is distinct from 'string'
      or coalesce(c.line ->> 'quantity', '') !~ '^[1-9][0-9]{0,4}$'
      or coalesce(jsonb_typeof(c.line -> 'restock'), 'boolean') <> 'boolean' then
      raise exception 'line % must be a SKU of the order and a whole number of pieces', c.n
        using errcode = 'SHINV', hint = '[{"sku": "SHIRT-OXF-WHT-M", "quantity": 1}]';
    end if;
    sku := c.line ->> 'sku';
    quantity := (c.line ->> 'quantity')::integer;
    line := c.line;
    select i.id into order_item_id
    from public.order_items i where i.order_id = p_order_id and i.sku = parse_order_lines.sku;
    if not found then
      raise exception 'the order has no %; it has: %', left(sku, 64), v_skus using errcode = 'SHSKU';
    elsif (select count(*) from jsonb_array_elements(p_lines) x where x ->> 'sku' = parse_order_lines.sku) > 1
    then
      raise exception '% is listed twice', sku using errcode = 'SHINV';
    end if;
    return next;
  end loop;
end;
$$;
comment on function private.parse_order_lines(uuid, jsonb, text[]) is
  'Lines [{ sku, quantity, … }] that a command names, as pieces of an order; p_fields: what else a line may '
  'have. SHINV: malformed, or listed twice; SHSKU: not in the order.';
