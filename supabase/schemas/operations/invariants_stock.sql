-- What must always be true of stock; see check_invariants().

create function private.check_stock(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'reserved is the sum of active reservations',
    jsonb_build_object('variant_id', l.variant_id, 'reserved', l.reserved, 'sum', r.active)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'active'), 0) as active
    from public.inventory_reservations where variant_id = l.variant_id and status <> 'released'
  ) r on true
  where l.reserved <> r.active and (p_orders is null or l.variant_id in (
    select v.variant_id from public.inventory_reservations v where v.order_id = any (p_orders)
  ))
  union all
  select 'committed is the sum of committed reservations',
    jsonb_build_object('variant_id', l.variant_id, 'committed', l.committed, 'sum', r.committed)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity - returned) filter (where status = 'committed'), 0) as committed
    from public.inventory_reservations where variant_id = l.variant_id and status <> 'released'
  ) r on true
  where l.committed <> r.committed and (p_orders is null or l.variant_id in (
    select v.variant_id from public.inventory_reservations v where v.order_id = any (p_orders)
  ))
  union all
  select 'on_hand is the sum of its journal',
    jsonb_build_object('variant_id', l.variant_id, 'on_hand', l.on_hand, 'sum', j.sum)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(change), 0) as sum
    from public.inventory_journal where variant_id = l.variant_id
  ) j on true
  where l.on_hand <> j.sum and (p_orders is null or l.variant_id in (
    select v.variant_id from public.inventory_reservations v where v.order_id = any (p_orders)
  ));
end;
$$;
comment on function private.check_stock(uuid[]) is
  'Rules about what is on the shelf: see check_invariants().';

create function private.check_reservations(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a paid order owns its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.cancelled_at is null and o.oversold_at is null
    and o.restocked_at is null and o.status in ('paid', 'partially_refunded') and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'committed'
        and r.quantity = i.quantity + (private.exchanged_pieces(i.id)).came
    )
  )
  union all
  select 'an expired order holds no stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.status in ('expired', 'payment_failed') and exists (
    select 1 from public.inventory_reservations r where r.order_id = o.id and r.status <> 'released'
  )
  union all
  select 'a reservation is as large as its line',
    jsonb_build_object('order_id', r.order_id, 'variant_id', r.variant_id, 'quantity', r.quantity)
  from public.inventory_reservations r
  left join public.order_items i on i.order_id = r.order_id and i.variant_id = r.variant_id
  where (p_orders is null or r.order_id = any (p_orders))
    and i.quantity + (private.exchanged_pieces(i.id)).came is distinct from r.quantity
  union all
  select 'an open order holds its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.status in ('pending', 'processing') and o.cancelled_at is null and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'active'
    )
  )
  -- A payment that got under way after the goods had been given back may have found them gone.
  and not (o.status = 'processing' and exists (
    select 1 from public.order_events e where e.order_id = o.id and e.kind = 'stock_released'
  ))
  union all
  select 'an order that is not to ship owns no stock',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and (
    o.restocked_at is not null
    or (not private.has_shipped(o.id) and (o.cancelled_at is not null or o.oversold_at is not null))
  ) and exists (
    select 1 from public.inventory_reservations r where r.order_id = o.id and r.status = 'committed'
  )
  union all
  select 'goods go back because a refund asked for it, staff received them, or nothing was sent',
    jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.restocked_at is not null and not private.restock_due(o) and not private.all_returned(o.id)
  and not exists (
    select 1
    from public.staff_commands c where c.order_id = o.id and c.command in ('receive_return', 'cancel_order')
  ) and not exists (
    select 1 from public.refund_requests q where q.order_id = o.id and (q.restock or q.cause = 'fraudulent')
  );
end;
$$;
comment on function private.check_reservations(uuid[]) is
  'Rules about the stock of orders: see check_invariants().';

create function private.check_parcels(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'no more is sent of a line than was sold', jsonb_build_object('order', o.number, 'sku', p.sku)
  from public.orders o cross join lateral private.line_positions(o.id) p
  where (p_orders is null or o.id = any (p_orders)) and p.to_ship < 0
  union all
  select 'a parcel has lines of its own order', jsonb_build_object('shipment_id', s.id)
  from public.shipments s
  where (p_orders is null or s.order_id = any (p_orders)) and (
    not exists (select 1 from public.shipment_lines l where l.shipment_id = s.id) or exists (
      select 1 from public.shipment_lines l join public.order_items i on i.id = l.order_item_id
      where l.shipment_id = s.id and i.order_id <> s.order_id
    )
  )
  union all
  select 'of every line sold is what was kept and what came back',
    jsonb_build_object('order', o.number, 'sku', p.sku, 'quantity', p.quantity, 'returned', p.returned)
  from public.orders o
  join public.inventory_reservations r on r.order_id = o.id
  cross join lateral private.line_positions(o.id) p
  where (p_orders is null or o.id = any (p_orders))
    and p.variant_id = r.variant_id and r.returned <> p.returned
  union all
  select 'no more of a line comes back, or is paid back, than was sold',
    jsonb_build_object('order', o.number, 'sku', p.sku)
  from public.orders o cross join lateral private.line_positions(o.id) p
  where (p_orders is null or o.id = any (p_orders)) and (
    p.returned + p.announced > p.quantity or p.refunded > p.paid or p.sent_back > p.shipped
  )
  union all
  select 'pieces that came back are booked', jsonb_build_object('return_id', x.id)
  from public.returns x
  where (p_orders is null or x.order_id = any (p_orders)) and (
    (x.received_at is null) <> (x.stocked_at is null)
      or (x.status = 'requested' and private.refund_has_come_true(x.refund_request_id))
  )
  union all
  select 'an order is fulfilled when all that was to be sent has left', jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and (o.fulfilled_at is null) <> (private.completed_at(o.id) is null);
end;
$$;
comment on function private.check_parcels(uuid[]) is
  'Rules about what has left the house: see check_invariants().';
