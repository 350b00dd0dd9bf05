-- Views for the dashboard. They run with the rights of who reads them, and schema reporting is not exposed.

create view reporting.webhook_health with (security_invoker = true) as
select e.type, e.status, count(*) as events, sum(e.delivery_count) as deliveries,
  count(*) filter (where e.delivery_count = 0) as fetched, max(e.delivered_at) as last_delivered_at,
  max(e.received_at) as last_received_at,
  count(*) filter (where e.received_at > now() - interval '1 day') as last_day
from public.webhook_events e
group by e.type, e.status;
comment on view reporting.webhook_health is
  'Events per type and outcome. fetched: Stripe never delivered them, reconciliation read them.';

create view reporting.payment_health with (security_invoker = true) as
select date_trunc('day', a.created_at) as day, a.outcome, coalesce(a.decline_code, a.failure_code) as code,
  count(*) as attempts
from public.payment_attempts a
group by 1, 2, 3;
comment on view reporting.payment_health is 'Payment attempts per day, outcome and decline code.';

create view reporting.orders_needing_attention with (security_invoker = true) as
with found (order_id, reason) as (
  select o.id, reason
  from public.orders o join public.order_risk k on k.order_id = o.id, unnest(k.review_reasons) reason
  where o.status = 'needs_review'
  union all
  select d.order_id, case d.status when 'lost' then 'dispute_lost' else 'dispute_open' end
  from public.disputes d join public.orders o on o.id = d.order_id
  where private.dispute_holds(d, o.payment_id)
    -- Of a lost one the goods are left to decide on, if they are still here.
    and (d.status <> 'lost' or o.fulfillment_status = 'on_hold')
  union all
  select q.order_id, 'refund_refused' from public.refund_requests q
  -- Paid in another way: staff have resolved its alert.
  where private.refund_is_owed(q) and exists (
    select 1 from public.alerts a where a.dedupe_key = 'refund_refused:' || q.id and a.status <> 'resolved'
  )
  union all
  select q.order_id, 'refund_delayed' from public.refund_requests q
  where q.status = 'queued' and q.problem is not null
  union all
  select r.order_id, 'refund_failed'
  from public.refunds r join private.refund_states s on s.id = r.id and s.has_bounced
  where private.money_left(r.payment_id) > 0
    and not private.refund_tried_again(r)
    -- Paid in another way: staff have resolved its alert.
    and exists (
      select 1 from public.alerts a where a.dedupe_key = 'refund_failed:' || r.id and a.status <> 'resolved'
    )
  union all
  select o.id, 'checkout_not_ended'
  from public.orders o
  where o.status in ('pending', 'cancelled') and o.session_expires_at < now() - interval '1 hour'
    and exists (select 1 from public.inventory_reservations r where r.order_id = o.id and r.status = 'active')
  union all
  -- The slowest debits take three weeks.
  select o.id, 'payment_not_ended'
  from public.orders o
  where o.status = 'processing' and o.session_expires_at < now() - interval '21 days'
  union all
  -- As long as a parcel can still be stopped, the last word counts: a mail since may have arrived.
  select o.id, 'mail_returned'
  from public.orders o
  cross join lateral (
    select n.status from public.notifications n
    where n.order_id = o.id and n.status not in ('queued', 'skipped')
    order by n.created_at desc, n.id limit 1
  ) last
  where o.fulfillment_status in ('unfulfilled', 'on_hold') and o.paid_at is not null
    and last.status in ('bounced', 'suppressed')
)
select o.number, r.reasons, o.status, o.fulfillment_status, o.amount_total, o.currency, o.created_at
from (
  select f.order_id, array_agg(distinct f.reason order by f.reason) as reasons
  from found f group by f.order_id
) r
join public.orders o on o.id = r.order_id;
comment on view reporting.orders_needing_attention is
  'Orders that wait for a person, one row each, with every reason: the review reasons; dispute_open; '
  'dispute_lost (and the goods are still here); refund_refused, refund_delayed, refund_failed; '
  'checkout_not_ended (should have an hour ago, and holds stock); payment_not_ended (under way for three '
  'weeks); mail_returned (the customer''s address takes no mail). docs/operations.md says what to do.';

create view reporting.disputes_due with (security_invoker = true) as
select d.id, o.number as order_number, d.reason, d.status, d.amount, d.currency, d.evidence_due_by,
  d.evidence_due_by - now() as time_left, d.has_evidence
from public.disputes d left join public.orders o on o.id = d.order_id
where private.awaits_evidence(d)
order by d.evidence_due_by;
comment on view reporting.disputes_due is 'Disputes that wait for evidence, most urgent first.';

create view reporting.revenue_daily with (security_invoker = true) as
select date_trunc('day', o.paid_at) as day, o.currency, o.livemode, count(*) as orders,
  sum(o.amount_paid) as amount_paid,
  sum(o.amount_refunded) as amount_refunded, sum(o.amount_paid - o.amount_refunded) as amount_net
from public.orders o
where o.paid_at is not null
group by 1, 2, 3;
comment on view reporting.revenue_daily is 'Paid orders per day (by payment day) in minor units.';

create view reporting.inventory_position with (security_invoker = true) as
select v.sku, p.name, v.size, v.color, l.on_hand, l.reserved, l.available, l.committed
from public.inventory_levels l
join public.product_variants v on v.id = l.variant_id
join public.products p on p.id = v.product_id;
comment on view reporting.inventory_position is 'Stock per SKU.';

create view reporting.suspicious_activity with (security_invoker = true) as
select 'rejected webhooks' as what, host(r.source_ip) as who, r.reason as detail, r.count, r.last_at
from public.webhook_rejections r
union all
select 'fraud signal', o.number, f.kind, 1, f.created_at
from public.fraud_signals f left join public.orders o on o.id = f.order_id;
comment on view reporting.suspicious_activity is 'Refused webhook requests and fraud signals.';

grant select on all tables in schema reporting to service_role;
