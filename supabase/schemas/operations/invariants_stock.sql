-- What must always be true of stock; see check_invariants().

create function private.check_stock() returns table (invariant text, detail jsonb)
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
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.reserved <> r.active
  union all
  select 'committed is the sum of committed reservations',
    jsonb_build_object('variant_id', l.variant_id, 'committed', l.committed, 'sum', r.committed)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'committed'), 0) as committed
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.committed <> r.committed
  union all
  select 'on_hand and committed are what was received',
    jsonb_build_object(
      'variant_id', l.variant_id, 'on_hand', l.on_hand, 'committed', l.committed, 'received', a.received
    )
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(delta), 0) as received
    from public.inventory_adjustments where variant_id = l.variant_id
  ) a on true
  where l.on_hand + l.committed <> a.received;
end;
$$;
comment on function private.check_stock() is 'Rules about what is on the shelf: see check_invariants().';

create function private.check_reservations() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a paid order owns its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('paid', 'partially_refunded') and o.cancelled_at is null and o.oversold_at is null
    and o.restocked_at is null and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'committed'
        and r.quantity = i.quantity
    )
  )
  union all
  select 'an expired order holds no stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('expired', 'payment_failed') and exists (
    select 1 from public.inventory_reservations r where r.order_id = o.id and r.status <> 'released'
  )
  union all
  select 'a reservation is as large as its line',
    jsonb_build_object('order_id', r.order_id, 'variant_id', r.variant_id, 'quantity', r.quantity)
  from public.inventory_reservations r
  left join public.order_items i on i.order_id = r.order_id and i.variant_id = r.variant_id
  where i.quantity is distinct from r.quantity
  union all
  select 'an open order holds its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('pending', 'processing') and o.cancelled_at is null and exists (
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
  where (
    o.restocked_at is not null
    or (o.fulfilled_at is null and (o.cancelled_at is not null or o.oversold_at is not null))
  )
    and exists (
      select 1 from public.inventory_reservations r where r.order_id = o.id and r.status = 'committed'
    )
  union all
  select 'goods go back because a refund asked for it, staff received them, or nothing was sent',
    jsonb_build_object('order', o.number)
  from public.orders o
  where o.restocked_at is not null and not private.restock_due(o) and not exists (
    select 1
    from public.staff_commands c where c.order_id = o.id and c.command in ('receive_return', 'cancel_order')
  ) and not exists (
    select 1 from public.refund_requests q where q.order_id = o.id and (q.restock or q.cause = 'fraudulent')
  );
end;
$$;
comment on function private.check_reservations() is
  'Rules about the stock of orders: see check_invariants().';
