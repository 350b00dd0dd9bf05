-- What must always be true. Each rule is a sentence; what is returned breaks it.

create function private.check_order_state(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'the money of an order shows in its status',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and (o.session_id is not null) <> (o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded'))
    and not (
      o.status = 'cancelled' and o.amount_paid = 0
      and (o.cancelled_at is not null or o.oversold_at is not null)
    )
  union all
  select 'an order that staff cancelled and nobody pays reads cancelled',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.cancelled_at is not null and o.amount_paid = 0 and o.status not in ('cancelled', 'processing')
  union all
  select 'an order that is not to ship does not wait for shipment',
    jsonb_build_object('order', o.number, 'fulfillment_status', o.fulfillment_status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.fulfilled_at is null and o.fulfillment_status <> 'cancelled'
    and (o.cancelled_at is not null or o.oversold_at is not null or o.restocked_at is not null)
  union all
  select 'nothing ships while all of its money is on its way back', jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.fulfillment_status = 'unfulfilled' and cardinality(private.hold_reasons(o)) > 0
  union all
  select 'what holds an order and nobody has released stands in its review reasons',
    jsonb_build_object('order', o.number, 'signal', f.id)
  from public.fraud_signals f join public.orders o on o.id = f.order_id
  where (p_orders is null or o.id = any (p_orders))
    and private.holds_order(f) and o.session_id is not null and o.status in ('paid', 'partially_refunded')
  union all
  select 'a disputed order is on hold until it has shipped',
    jsonb_build_object('order', o.number, 'dispute_id', d.id)
  from public.disputes d join public.orders o on o.id = d.order_id
  where (p_orders is null or o.id = any (p_orders))
    and private.dispute_holds(d, o.payment_id) and o.fulfillment_status = 'unfulfilled'
  union all
  select 'an order that is held for review is on hold until it has shipped',
    jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.status = 'needs_review' and o.fulfillment_status = 'unfulfilled'
  union all
  select 'money received is in the audit trail', jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.session_id is not null and not exists (
    select 1 from public.order_events e
    where e.order_id = o.id and e.kind = 'payment_received' and e.data ->> 'session_id' = o.session_id
  )
  union all
  select 'an order that is paid and held by nothing has its confirmation',
    jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.status = 'paid' and o.cancelled_at is null and o.oversold_at is null
    and not exists (
      select 1 from public.notifications n where n.order_id = o.id and n.template = 'order_confirmation'
    );
end;
$$;
comment on function private.check_order_state(uuid[]) is
  'Rules about the state of orders: see check_invariants().';

create function private.check_outbox(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a refund that is asked for has a job that can run, and one that was given up has none',
    jsonb_build_object('request_id', q.id, 'status', q.status)
  from public.refund_requests q
  where (p_orders is null or q.order_id = any (p_orders))
    and q.status in ('queued', 'given_up') and (q.status = 'queued') <> exists (
    select 1 from private.jobs j
    where j.kind = 'refund_payment' and j.dedupe_key = 'refund_payment:' || q.id
      and j.status in ('queued', 'running')
  )
  union all
  select 'a refund waits for a bank while it has the money, and no longer',
    jsonb_build_object('request_id', q.id)
  from public.refund_requests q
  where (p_orders is null or q.order_id = any (p_orders))
    and q.status = 'disputed' and not private.refund_awaits_dispute(q) and not exists (
    select 1 from private.jobs j
    where j.dedupe_key = 'refund_payment:' || q.id and j.status in ('queued', 'running')
  )
  union all
  select 'staff know of a refund that was given up and is still owed', jsonb_build_object('request_id', q.id)
  from public.refund_requests q
  -- Resolved by a person is known to a person; an old one may have been purged since.
  where (p_orders is null or q.order_id = any (p_orders))
    and private.refund_is_owed(q) and q.given_up_at > now() - interval '30 days' and not exists (
    select 1 from public.alerts a
    where a.dedupe_key = 'refund_refused:' || q.id and (a.status <> 'resolved' or not a.data ? 'not_owed')
  );
end;
$$;
comment on function private.check_outbox(uuid[]) is
  'Rules about effects that are owed: see check_invariants().';

create function private.check_queue() returns table (invariant text, detail jsonb)
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
  select 'a queued mail has a job', jsonb_build_object('notification_id', n.id)
  from public.notifications n
  where n.status = 'queued' and not exists (
    select 1 from private.jobs j
    where j.kind = 'send_mail' and j.payload ->> 'notification_id' = n.id::text
      and j.status in ('queued', 'running', 'dead')
  );
end;
$$;
comment on function private.check_queue() is
  'Rules about what waits, whichever order it is of: see check_invariants().';

create function private.check_orders(p_orders uuid[]) returns table (invariant text, detail jsonb)
language sql
stable
set search_path = ''
as $$
  select * from private.check_stock(p_orders)
  union all select * from private.check_reservations(p_orders)
  union all select * from private.check_amounts(p_orders)
  union all select * from private.check_refunds(p_orders)
  union all select * from private.check_payments(p_orders)
  union all select * from private.check_order_state(p_orders)
  union all select * from private.check_parcels(p_orders)
  union all select * from private.check_outbox(p_orders)
$$;
comment on function private.check_orders(uuid[]) is
  'What is not true of these orders, their money, their parcels and the stock of what is in them; null: of '
  'all of the shop. One row per violation.';

create function public.check_invariants() returns table (invariant text, detail jsonb)
language sql
stable
security definer
set search_path = ''
as $$
  select * from private.check_orders(null)
  union all select * from private.check_queue()
  union all select * from public.check_audit_chain()
$$;
comment on function public.check_invariants() is
  'What must always be true and is not: one row per violation, none when all is well. For tests, doctor and '
  'staff.';
grant execute on function public.check_invariants() to service_role;
