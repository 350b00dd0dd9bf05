-- What must always be true of money; see check_invariants().

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

create function private.check_amounts(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'lines add up to the subtotal', jsonb_build_object('order', o.number, 'subtotal', o.amount_subtotal)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.amount_subtotal <> (
    select coalesce(sum(i.unit_amount * i.quantity), 0) from public.order_items i where i.order_id = o.id
  )
  union all
  select 'what is exchanged has one price', jsonb_build_object('return_line', l.id)
  from public.return_lines l
  join public.order_items i on i.id = l.order_item_id join public.order_items x on x.id = l.exchanged_for
  where (p_orders is null or i.order_id = any (p_orders))
    and (i.order_id, i.unit_amount) <> (x.order_id, x.unit_amount)
  union all
  select 'the hash of an order is that of its lines',
    jsonb_build_object('order', o.number, 'cart_hash', o.cart_hash)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.cart_hash is distinct from private.hash_of_order(o.id)
  union all
  select 'subtotal, discount, shipping and tax add up to the total',
    jsonb_build_object('order', o.number, 'amount_total', o.amount_total)
  from public.orders o join public.order_risk k on k.order_id = o.id
  where (p_orders is null or o.id = any (p_orders))
    and o.session_id is not null and cardinality(k.review_reasons) = 0
    and not private.is_released(o, 'amount_mismatch')
    and o.amount_total <> o.amount_subtotal - o.amount_discount + o.amount_shipping
      + case when o.prices_include_tax then 0 else o.amount_tax end
    and o.status <> 'refunded'
  union all
  select 'a paid order was paid in full',
    jsonb_build_object('order', o.number, 'amount_paid', o.amount_paid, 'amount_total', o.amount_total)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.status in ('paid', 'partially_refunded') and o.amount_paid <> o.amount_total
    and not private.is_released(o, 'amount_mismatch');
end;
$$;
comment on function private.check_amounts(uuid[]) is
  'Rules about the figures of orders: see check_invariants().';

create function private.check_refunds(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'refunded is the sum of succeeded refunds',
    jsonb_build_object('order', o.number, 'amount_refunded', o.amount_refunded)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.amount_refunded <> (
    select coalesce(sum(r.amount), 0)
    from private.refund_states r where r.payment_id = o.payment_id and r.is_made
  )
  union all
  select 'no payment is refunded by more than it brought',
    jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from private.settled_payments p
  where (p_orders is null or p.order_id = any (p_orders)) and p.amount_received < (
    select b.made from private.refunded_amounts b where b.payment_id = p.id
  )
  union all
  select 'what is given back and what can still run is no more than the payment brought',
    jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from private.settled_payments p
  cross join lateral (
    select coalesce((select b.given from private.refunded_amounts b where b.payment_id = p.id), 0) as given
  ) back
  where (p_orders is null or p.order_id = any (p_orders)) and p.amount_received < back.given + (
    select coalesce(sum(q.amount), 0) from public.refund_requests q
    -- Where all is given back nothing can run, and one that another may stand in for will be judged so.
    where q.payment_id = p.id and q.status = 'queued' and back.given < p.amount_received
      and private.refund_overtaken_by(q) is null
      and not exists (select 1 from public.refunds r where r.request_id = q.id)
  )
  union all
  select 'a second payment is on its way back', jsonb_build_object('order', o.number, 'payment_id', p.id)
  from public.orders o
  join private.settled_sessions s on s.order_id = o.id
  join private.settled_payments p on p.id = s.payment_id and p.order_id = o.id
    and p.id is distinct from o.payment_id
  where (p_orders is null or o.id = any (p_orders)) and not exists (
    select 1 from public.refund_requests q where q.id = 'duplicate:' || p.id
  )
  union all
  select 'money of an order that is not to ship is on its way back',
    jsonb_build_object('order', o.number, 'payment_id', o.payment_id)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.payment_id is not null and not private.has_shipped(o.id)
    and (o.cancelled_at is not null or o.oversold_at is not null)
    and not exists (
      select 1
      from public.refund_requests q where q.id in ('cancelled:' || o.payment_id, 'oversold:' || o.payment_id)
        and not private.refund_is_missed(q)
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
  where (p_orders is null or p.order_id = any (p_orders)) and x.order_id is distinct from p.order_id;
end;
$$;
comment on function private.check_refunds(uuid[]) is
  'Rules about money that goes back: see check_invariants().';

create function private.check_payments(p_orders uuid[]) returns table (invariant text, detail jsonb)
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
  where (p_orders is null or o.id = any (p_orders))
    and o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded')
    and (
      o.session_id is null or (o.payment_id is null and o.amount_total > 0)
      or (o.payment_id is not null and p.id is null)
    )
  union all
  select 'an order keeps the first of its settled sessions',
    jsonb_build_object('order', o.number, 'session_id', o.session_id)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.session_id is distinct from (private.kept_session(o.id)).id
  union all
  select 'an order keeps the payment that was decided about',
    jsonb_build_object('order', o.number, 'payment_id', o.payment_id)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.decided_payment_id is not null and o.payment_id is distinct from o.decided_payment_id
  union all
  select 'money of an order came through one of its sessions',
    jsonb_build_object('order', o.number, 'payment_id', p.id)
  from private.settled_payments p
  join public.orders o on o.id = p.order_id
  -- The payment may be an hour ahead of its session's event.
  where (p_orders is null or o.id = any (p_orders)) and p.succeeded_at < now() - interval '1 hour'
    and not exists (select 1 from public.checkout_sessions s where s.payment_id = p.id)
  union all
  select 'test and live mode do not mix', jsonb_build_object('order', o.number, 'session_id', s.id)
  from public.orders o
  join public.checkout_sessions s on s.id = o.session_id
  left join public.payments p on p.id = o.payment_id
  where (p_orders is null or o.id = any (p_orders))
    and (s.livemode <> o.livemode or p.livemode <> o.livemode) and o.status in ('paid', 'partially_refunded')
    and not private.is_released(o, 'livemode_mismatch');
end;
$$;
comment on function private.check_payments(uuid[]) is
  'Rules about money that came: see check_invariants().';
