-- What a shopper sees of an order, and how an open page hears that it has changed. Nothing personal in it:
-- who has the address of the page is not asked who they are.

create function private.order_page(o public.orders) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'order_number', o.number, 'status', o.status, 'fulfillment_status', o.fulfillment_status,
    'currency', o.currency, 'amount_subtotal', o.amount_subtotal, 'amount_discount', o.amount_discount,
    'amount_shipping', o.amount_shipping, 'amount_tax', o.amount_tax, 'amount_total', o.amount_total,
    'amount_refunded', o.amount_refunded, 'paid_at', o.paid_at, 'presentment', private.presentment(o),
    'items', coalesce((
      select jsonb_agg(jsonb_build_object(
        'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount
      ) order by i.sku collate "C", i.id)
      from public.order_items i where i.order_id = o.id and i.quantity > 0
    ), '[]'),
    'shipments', coalesce((
      select jsonb_agg(jsonb_build_object(
        'parcel', s.parcel, 'carrier', s.carrier, 'tracking_number', s.tracking_number,
        'tracking_url', s.tracking_url, 'shipped_at', s.shipped_at, 'items', private.parcel_pieces(s.id)
      ) order by s.parcel)
      from public.shipments s where s.order_id = o.id
    ), '[]'),
    'returns', coalesce((
      select jsonb_agg(jsonb_build_object(
        'status', case when r.received_at is null then 'awaited' else 'received' end,
        'items', private.returned_pieces(r.id)
      ) order by r.created_at, r.id)
      from public.returns r
      where r.order_id = o.id and private.returned_pieces(r.id) <> '[]'
        -- One that was closed and never came is none.
        and (r.received_at is not null or r.status = 'requested')
    ), '[]'),
    'refunds', coalesce((
      select jsonb_agg(jsonb_build_object(
        'amount', f.amount,
        'status', case when s.has_bounced then 'failed' when s.is_made then 'done'
          when f.status = 'requires_action' then 'details_needed' else 'on_its_way' end,
        'created_at', f.created_at, 'presentment', private.refund_presentment(f)
      ) order by f.created_at, f.id collate "C")
      from public.refunds f join private.refund_states s on s.id = f.id where f.order_id = o.id
    ), '[]')
  );
end;
$$;
comment on function private.order_page(public.orders) is
  'What the page of an order shows: amounts in minor units, lines, parcels, what comes back, and refunds '
  '(on_its_way, details_needed, done, failed); presentment where the customer paid in another currency. No '
  'name, no address, no e-mail.';

create function private.parcel_pieces(p_shipment_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((
    select jsonb_agg(
      jsonb_build_object('sku', i.sku, 'name', i.name, 'quantity', l.quantity)
      order by i.sku collate "C", i.id
    )
    from public.shipment_lines l join public.order_items i on i.id = l.order_item_id
    where l.shipment_id = p_shipment_id
  ), '[]');
end;
$$;
comment on function private.parcel_pieces(uuid) is 'What is in a parcel: [{ sku, name, quantity }].';

create function private.returned_pieces(p_return_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((
    select jsonb_agg(
      jsonb_build_object('sku', i.sku, 'name', i.name, 'quantity', l.quantity - l.unsent)
      order by i.sku collate "C", i.id
    )
    from public.return_lines l join public.order_items i on i.id = l.order_item_id
    where l.return_id = p_return_id and l.quantity > l.unsent
  ), '[]');
end;
$$;
comment on function private.returned_pieces(uuid) is
  'What of a return had left the house before: [{ sku, name, quantity }].';

create function private.live_topic(p_order_id uuid) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return 'order-page:' || encode(sha256(convert_to('order-page/1:' || p_order_id, 'UTF8')), 'hex');
end;
$$;
comment on function private.live_topic(uuid) is
  'The Realtime topic of an order''s page. Nobody can guess it, and it does not tell the order''s id.';

create table private.order_pages (
  order_id uuid primary key references public.orders (id) on delete cascade,
  digest bytea not null
);
comment on table private.order_pages is
  'What the page of each order showed when it was last told to look again. Empty where there is no Realtime.';
alter table private.order_pages enable row level security;

create function private.tell_order_page(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A plain Postgres has none: there, pages ask again by themselves.
  if to_regnamespace('realtime') is null then
    return;
  end if;
  begin
    insert into private.order_pages as x (order_id, digest)
    select o.id, sha256(convert_to(private.order_page(o)::text, 'UTF8'))
    from public.orders o where o.id = p_order_id
    on conflict (order_id) do update set digest = excluded.digest where x.digest <> excluded.digest;
    if found then
      -- A public topic: shoppers have no account, and what is sent says nothing.
      execute 'select realtime.send($1, $2, $3, $4)'
      using '{}'::jsonb, 'changed'::text, private.live_topic(p_order_id), false;
    end if;
  exception when others then
    raise warning 'page of order % not told: %', p_order_id, private.error_text(sqlstate, sqlerrm);
  end;
end;
$$;
comment on function private.tell_order_page(uuid) is
  'Has open pages of an order ask again, through Realtime, when what they show has changed since the last '
  'time. Realtime sends it when the transaction commits; what fails is a warning, and no reason to undo it.';
