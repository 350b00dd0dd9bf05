-- What waits for a person, and why.

create view reporting.attention_reasons with (security_invoker = true) as
with found (order_id, reason) as (
  select o.id, r.reason
  from public.orders o join public.order_risk k on k.order_id = o.id, unnest(k.review_reasons) as r (reason)
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
  union all
  -- Nobody knows any more where to.
  select o.id, 'address_erased'
  from public.orders o
  where o.erased_at is not null and o.paid_at is not null and o.fulfillment_status = 'unfulfilled'
)
select f.order_id, f.reason from found f where (select private.sees_reports());
comment on view reporting.attention_reasons is
  'Why orders wait for a person, a row for each order and reason; orders_needing_attention has a row '
  'for each order.';
comment on column reporting.attention_reasons.order_id is 'The order: orders.id.';
comment on column reporting.attention_reasons.reason is
  'The reason, a word of the list in docs/operations.md.';

create view reporting.orders_needing_attention with (security_invoker = true) as
select o.number, r.reasons, r.what_to_do, o.status, o.fulfillment_status, o.amount_total,
  private.money_text(o.amount_total, o.currency) as amount_total_text, o.currency, o.email, o.created_at,
  o.paid_at, o.livemode
from (
  select f.order_id, array_agg(distinct f.reason order by f.reason) as reasons,
    string_agg(distinct coalesce(g.what_to_do, 'See docs/operations.md.'), E'\n') as what_to_do
  from reporting.attention_reasons f
  left join (values
    ('early_fraud_warning', 'Look at the payment: release_review(), or cancel_order(), which refunds it.'),
    ('radar_review', 'Look at the payment: release_review(), or cancel_order(), which refunds it.'),
    ('velocity_review', 'Look at the payment: release_review(), or cancel_order(), which refunds it.'),
    ('amount_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('currency_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('livemode_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('cart_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('order_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('payment_of_another_order', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('oversold', 'Nothing: its refund is on its way.'),
    ('dispute_open', 'submit_dispute_evidence() before the deadline in reporting.disputes_due.'),
    ('dispute_lost', 'The goods are still here: cancel_order().'),
    ('refund_refused', 'Ask for another amount, or pay in another way and resolve the alert.'),
    ('refund_delayed', 'Add funds to the Stripe balance if sales do not fill it.'),
    ('refund_failed', 'request_refund() again, or pay in another way and resolve the alert.'),
    ('checkout_not_ended', 'See that the queue runs: Stripe ends the payment page.'),
    ('payment_not_ended', 'Look at the payment in Stripe''s dashboard.'),
    ('mail_returned', 'Ask for another address by phone; then lift_mail_suppression().'),
    ('address_erased', 'cancel_order(), which refunds it; or mark_fulfilled(), if the parcel has left.')
  ) as g (reason, what_to_do) on g.reason = f.reason
  group by f.order_id
) r
join public.orders o on o.id = r.order_id
order by o.created_at;
comment on view reporting.orders_needing_attention is
  'Orders that wait for a person, one row each, with every reason: the review reasons; dispute_open; '
  'dispute_lost (and the goods are still here); refund_refused, refund_delayed, refund_failed; '
  'checkout_not_ended (should have an hour ago, and holds stock); payment_not_ended (under way for three '
  'weeks); mail_returned (the customer''s address takes no mail); address_erased (before it was sent). '
  'Oldest first.';
comment on column reporting.orders_needing_attention.number is 'The order''s number.';
comment on column reporting.orders_needing_attention.reasons is 'Every reason, in alphabetical order.';
comment on column reporting.orders_needing_attention.what_to_do is
  'What helps, a line for each kind of reason.';
comment on column reporting.orders_needing_attention.status is 'orders.status.';
comment on column reporting.orders_needing_attention.fulfillment_status is 'orders.fulfillment_status.';
comment on column reporting.orders_needing_attention.amount_total is 'What it costs, in minor units.';
comment on column reporting.orders_needing_attention.amount_total_text is 'The same as text.';
comment on column reporting.orders_needing_attention.currency is 'ISO code in lower case.';
comment on column reporting.orders_needing_attention.email is 'The customer''s address; null: not known.';
comment on column reporting.orders_needing_attention.created_at is 'When checkout began.';
comment on column reporting.orders_needing_attention.paid_at is 'When it was paid; null: not yet.';
comment on column reporting.orders_needing_attention.livemode is 'False: made with test keys.';
