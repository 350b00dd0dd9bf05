-- What must always be true. Each rule is a sentence; what is returned breaks it.

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
    select coalesce(sum(quantity - returned) filter (where status = 'committed'), 0) as committed
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.committed <> r.committed
  union all
  select 'on_hand is the sum of its journal',
    jsonb_build_object('variant_id', l.variant_id, 'on_hand', l.on_hand, 'sum', j.sum)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(change), 0) as sum
    from public.inventory_journal where variant_id = l.variant_id
  ) j on true
  where l.on_hand <> j.sum;
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
    or (not private.has_shipped(o.id) and (o.cancelled_at is not null or o.oversold_at is not null))
  )
    and exists (
      select 1 from public.inventory_reservations r where r.order_id = o.id and r.status = 'committed'
    )
  union all
  select 'goods go back because a refund asked for it, staff received them, or nothing was sent',
    jsonb_build_object('order', o.number)
  from public.orders o
  where o.restocked_at is not null and not private.restock_due(o) and not private.all_returned(o.id)
  and not exists (
    select 1
    from public.staff_commands c where c.order_id = o.id and c.command in ('receive_return', 'cancel_order')
  ) and not exists (
    select 1 from public.refund_requests q where q.order_id = o.id and (q.restock or q.cause = 'fraudulent')
  );
end;
$$;
comment on function private.check_reservations() is
  'Rules about the stock of orders: see check_invariants().';

create function private.is_released(o public.orders, p_reason text) returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select 1 from private.released_mismatches m
    where m.order_id = o.id and m.session_id = o.session_id and m.reason = p_reason
  )
$$;
comment on function private.is_released(public.orders, text) is
  'Whether staff have released this mismatch of the money that the order keeps.';

create function private.check_amounts() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'lines add up to the subtotal', jsonb_build_object('order', o.number, 'subtotal', o.amount_subtotal)
  from public.orders o
  where o.amount_subtotal <> (
    select coalesce(sum(i.unit_amount * i.quantity), 0) from public.order_items i where i.order_id = o.id
  )
  union all
  select 'the hash of an order is that of its lines',
    jsonb_build_object('order', o.number, 'cart_hash', o.cart_hash)
  from public.orders o
  where o.cart_hash is distinct from private.hash_of_order(o.id)
  union all
  select 'subtotal, discount, shipping and tax add up to the total',
    jsonb_build_object('order', o.number, 'amount_total', o.amount_total)
  from public.orders o join public.order_risk k on k.order_id = o.id
  where o.session_id is not null and cardinality(k.review_reasons) = 0
    and not private.is_released(o, 'amount_mismatch')
    and o.amount_total <> o.amount_subtotal - o.amount_discount + o.amount_shipping
      + case when o.prices_include_tax then 0 else o.amount_tax end
    and o.status <> 'refunded'
  union all
  select 'a paid order was paid in full',
    jsonb_build_object('order', o.number, 'amount_paid', o.amount_paid, 'amount_total', o.amount_total)
  from public.orders o
  where o.status in ('paid', 'partially_refunded') and o.amount_paid <> o.amount_total
    and not private.is_released(o, 'amount_mismatch');
end;
$$;
comment on function private.check_amounts() is 'Rules about the figures of orders: see check_invariants().';

create function private.check_refunds() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'refunded is the sum of succeeded refunds',
    jsonb_build_object('order', o.number, 'amount_refunded', o.amount_refunded)
  from public.orders o
  where o.amount_refunded <> (
    select coalesce(sum(r.amount), 0)
    from private.refund_states r where r.payment_id = o.payment_id and r.is_made
  )
  union all
  select 'no payment is refunded by more than it brought',
    jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from private.settled_payments p join private.refunded_amounts back on back.payment_id = p.id
  where p.amount_received < back.made
  union all
  select 'what is given back and what can still run is no more than the payment brought',
    jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from private.settled_payments p
  left join private.refunded_amounts back on back.payment_id = p.id
  where p.amount_received < coalesce(back.given, 0) + (
    select coalesce(sum(q.amount), 0) from public.refund_requests q
    -- Where all is given back nothing can run, and one that another may stand in for will be judged so.
    where q.payment_id = p.id and q.status = 'queued' and coalesce(back.given, 0) < p.amount_received
      and private.refund_overtaken_by(q) is null
      and not exists (select 1 from public.refunds r where r.request_id = q.id)
  )
  union all
  select 'a second payment is on its way back', jsonb_build_object('order', o.number, 'payment_id', p.id)
  from public.orders o
  join private.settled_sessions s on s.order_id = o.id
  join private.settled_payments p on p.id = s.payment_id and p.order_id = o.id
    and p.id is distinct from o.payment_id
  where not exists (
    select 1 from public.refund_requests q where q.id = 'duplicate:' || p.id
  )
  union all
  select 'money of an order that is not to ship is on its way back',
    jsonb_build_object('order', o.number, 'payment_id', o.payment_id)
  from public.orders o
  where o.payment_id is not null and not private.has_shipped(o.id)
    and (o.cancelled_at is not null or o.oversold_at is not null)
    and not exists (
      select 1
      from public.refund_requests q where q.id in ('cancelled:' || o.payment_id, 'oversold:' || o.payment_id)
    )
  union all
  select 'attempts, refunds, disputes and signals belong to the order of their payment',
    jsonb_build_object('id', x.id, 'payment_id', x.payment_id)
  from (
    select a.id, a.payment_id, a.order_id from public.payment_attempts a
    union all select r.id, r.payment_id, r.order_id from public.refunds r
    union all select d.id, d.payment_id, d.order_id from public.disputes d
    union all select f.source_id, f.payment_id, f.order_id from public.fraud_signals f
  ) x
  join public.payments p on p.id = x.payment_id
  where x.order_id is distinct from p.order_id;
end;
$$;
comment on function private.check_refunds() is 'Rules about money that goes back: see check_invariants().';

create function private.check_payments() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a paid order has a settled session, and a succeeded payment unless it was free',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  left join private.settled_payments p on p.id = o.payment_id
  where o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded')
    and (
      o.session_id is null or (o.payment_id is null and o.amount_total > 0)
      or (o.payment_id is not null and p.id is null)
    )
  union all
  select 'an order keeps the first of its settled sessions',
    jsonb_build_object('order', o.number, 'session_id', o.session_id)
  from public.orders o
  where o.session_id is distinct from (private.kept_session(o.id)).id
  union all
  select 'an order keeps the payment that was decided about',
    jsonb_build_object('order', o.number, 'payment_id', o.payment_id)
  from public.orders o
  where o.decided_payment_id is not null and o.payment_id is distinct from o.decided_payment_id
  union all
  select 'money of an order came through one of its sessions',
    jsonb_build_object('order', o.number, 'payment_id', p.id)
  from private.settled_payments p
  join public.orders o on o.id = p.order_id
  -- The payment may be an hour ahead of its session's event.
  where p.succeeded_at < now() - interval '1 hour'
    and not exists (select 1 from public.checkout_sessions s where s.payment_id = p.id)
  union all
  select 'test and live mode do not mix', jsonb_build_object('order', o.number, 'session_id', s.id)
  from public.orders o
  join public.checkout_sessions s on s.id = o.session_id
  left join public.payments p on p.id = o.payment_id
  where (s.livemode <> o.livemode or p.livemode <> o.livemode) and o.status in ('paid', 'partially_refunded')
    and not private.is_released(o, 'livemode_mismatch');
end;
$$;
comment on function private.check_payments() is 'Rules about money that came: see check_invariants().';

create function private.check_order_state() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'the money of an order shows in its status',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (o.session_id is not null) <> (o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded'))
    and not (
      o.status = 'cancelled' and o.amount_paid = 0
      and (o.cancelled_at is not null or o.oversold_at is not null)
    )
  union all
  select 'an order that staff cancelled and nobody pays reads cancelled',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.cancelled_at is not null and o.amount_paid = 0 and o.status not in ('cancelled', 'processing')
  union all
  select 'an order that is not to ship does not wait for shipment',
    jsonb_build_object('order', o.number, 'fulfillment_status', o.fulfillment_status)
  from public.orders o
  where o.fulfilled_at is null and o.fulfillment_status <> 'cancelled'
    and (o.cancelled_at is not null or o.oversold_at is not null or o.restocked_at is not null)
  union all
  select 'nothing ships while all of its money is on its way back', jsonb_build_object('order', o.number)
  from public.orders o
  where o.fulfillment_status = 'unfulfilled' and cardinality(private.hold_reasons(o)) > 0
  union all
  select 'what holds an order and nobody has released stands in its review reasons',
    jsonb_build_object('order', o.number, 'signal', f.id)
  from public.fraud_signals f
  join public.orders o on o.id = f.order_id
  where private.holds_order(f) and o.session_id is not null and o.status in ('paid', 'partially_refunded')
  union all
  select 'a disputed order is on hold until it has shipped',
    jsonb_build_object('order', o.number, 'dispute_id', d.id)
  from public.disputes d
  join public.orders o on o.id = d.order_id
  where private.dispute_holds(d, o.payment_id) and o.fulfillment_status = 'unfulfilled'
  union all
  select 'an order that is held for review is on hold until it has shipped',
    jsonb_build_object('order', o.number)
  from public.orders o
  where o.status = 'needs_review' and o.fulfillment_status = 'unfulfilled'
  union all
  select 'money received is in the audit trail', jsonb_build_object('order', o.number)
  from public.orders o
  where o.session_id is not null and not exists (
    select 1 from public.order_events e
    where e.order_id = o.id and e.kind = 'payment_received' and e.data ->> 'session_id' = o.session_id
  )
  union all
  select 'an order that is paid and held by nothing has its confirmation',
    jsonb_build_object('order', o.number)
  from public.orders o
  where o.status = 'paid' and o.cancelled_at is null and o.oversold_at is null
    and not exists (
      select 1 from public.notifications n where n.order_id = o.id and n.template = 'order_confirmation'
    );
end;
$$;
comment on function private.check_order_state() is 'Rules about the state of orders: see check_invariants().';

create function private.check_parcels() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'no more is sent of a line than was sold', jsonb_build_object('order', o.number, 'sku', p.sku)
  from public.orders o cross join lateral private.line_positions(o.id) p
  where p.to_ship < 0
  union all
  select 'a parcel has lines of its own order', jsonb_build_object('shipment_id', s.id)
  from public.shipments s
  where not exists (select 1 from public.shipment_lines l where l.shipment_id = s.id) or exists (
    select 1 from public.shipment_lines l join public.order_items i on i.id = l.order_item_id
    where l.shipment_id = s.id and i.order_id <> s.order_id
  )
  union all
  select 'of every line sold is what was kept and what came back',
    jsonb_build_object('order', o.number, 'sku', p.sku, 'quantity', p.quantity, 'returned', p.returned)
  from public.orders o
  join public.inventory_reservations r on r.order_id = o.id
  cross join lateral private.line_positions(o.id) p
  where p.variant_id = r.variant_id and r.returned <> p.returned
  union all
  select 'no more of a line comes back, or is paid back, than was sold',
    jsonb_build_object('order', o.number, 'sku', p.sku)
  from public.orders o cross join lateral private.line_positions(o.id) p
  where p.returned + p.announced > p.quantity or p.refunded > p.quantity or p.sent_back > p.shipped
  union all
  select 'pieces that came back are booked', jsonb_build_object('return_id', x.id)
  from public.returns x
  where (x.received_at is null) <> (x.stocked_at is null)
    or (x.status = 'requested' and private.refund_has_come_true(x.refund_request_id))
  union all
  select 'an order is fulfilled when all that was to be sent has left', jsonb_build_object('order', o.number)
  from public.orders o
  where (o.fulfilled_at is null) <> (private.completed_at(o.id) is null);
end;
$$;
comment on function private.check_parcels() is 'Rules about what has left the house: see check_invariants().';

create function private.check_outbox() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'an unfinished event has a job', jsonb_build_object('event_id', e.id, 'status', e.status)
  from public.webhook_events e
  where e.status = 'failed' and not exists (
    select 1
    from private.jobs j where j.dedupe_key = 'retry_event:' || e.id and j.status in ('queued', 'running')
  )
  union all
  select 'a refund that is asked for has a job that can run, and one that was given up has none',
    jsonb_build_object('request_id', q.id, 'status', q.status)
  from public.refund_requests q
  where q.status in ('queued', 'given_up') and (q.status = 'queued') <> exists (
    select 1 from private.jobs j
    where j.kind = 'refund_payment' and j.dedupe_key = 'refund_payment:' || q.id
      and j.status in ('queued', 'running')
  )
  union all
  select 'staff know of a refund that was given up and is still owed', jsonb_build_object('request_id', q.id)
  from public.refund_requests q
  -- Resolved by a person is known to a person; an old one may have been purged since.
  where private.refund_is_owed(q) and q.given_up_at > now() - interval '30 days' and not exists (
    select 1 from public.alerts a
    where a.dedupe_key = 'refund_refused:' || q.id and (a.status <> 'resolved' or not a.data ? 'not_owed')
  )
  union all
  select 'a queued mail has a job', jsonb_build_object('notification_id', n.id)
  from public.notifications n
  where n.status = 'queued' and not exists (
    select 1 from private.jobs j
    where j.kind = 'send_mail' and j.payload ->> 'notification_id' = n.id::text
      and j.status in ('queued', 'running', 'dead')
  );
end;
$$;
comment on function private.check_outbox() is 'Rules about effects that are owed: see check_invariants().';

create function public.check_invariants() returns table (invariant text, detail jsonb)
language sql
stable
security definer
set search_path = ''
as $$
  select * from private.check_stock()
  union all select * from private.check_reservations()
  union all select * from private.check_amounts()
  union all select * from private.check_refunds()
  union all select * from private.check_payments()
  union all select * from private.check_order_state()
  union all select * from private.check_parcels()
  union all select * from private.check_outbox()
$$;
comment on function public.check_invariants() is
  'What must always be true and is not: one row per violation, none when all is well. For tests, doctor and '
  'staff.';
grant execute on function public.check_invariants() to service_role;
