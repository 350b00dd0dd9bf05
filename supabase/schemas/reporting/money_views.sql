-- Money, by the shop's day (setting shop_time_zone).

create view reporting.accounting_export with (security_invoker = true) as
with refund_bookings as (
  select r.id, r.order_id, r.payment_id, r.currency, -r.amount as amount, r.succeeded_at as booked_at,
    'refund' as kind
  from public.refunds r where r.succeeded_at is not null
  union all
  select r.id, r.order_id, r.payment_id, r.currency, r.amount, r.failed_at, 'refund_returned'
  from public.refunds r where r.succeeded_at is not null and r.failed_at is not null
), refund_sums as (
  -- Of the first refund on, so that the shares of all refunds together are the share of all of the money.
  select b.*, sum(-b.amount) over (
    partition by b.payment_id order by b.booked_at, b.id, b.kind rows unbounded preceding
  ) as given
  from refund_bookings b
), booked as (
  select o.paid_at as booked_at, 'sale' as kind, o.number, o.shipping_address ->> 'country' as country,
    coalesce(o.payment_id, o.session_id) as reference, o.currency, o.livemode, o.amount_subtotal as goods,
    -o.amount_discount as discount, o.amount_shipping as shipping, o.amount_tax as tax,
    o.amount_paid as gross
  from public.orders o where o.paid_at is not null
  union all
  -- Settling has asked for its refund in the moment in which it found it.
  select p.succeeded_at, 'duplicate_payment', o.number, o.shipping_address ->> 'country', p.id, p.currency,
    p.livemode, 0, 0, 0, 0, p.amount_received
  from public.refund_requests q
  join public.payments p on p.id = q.payment_id and p.succeeded_at is not null
  -- An order that keeps a free page has no payment of its own.
  join public.orders o on o.id = p.order_id and o.payment_id is distinct from p.id
  where q.cause = 'duplicate'
  union all
  select b.booked_at, b.kind, o.number, o.shipping_address ->> 'country', b.id, b.currency, p.livemode,
    0, 0, 0,
    -- Only the payment that the order keeps has paid its tax.
    case when o.payment_id = b.payment_id and o.amount_paid > 0 then
      div(o.amount_tax * (b.given + b.amount), o.amount_paid) - div(o.amount_tax * b.given, o.amount_paid)
    else 0 end::bigint,
    b.amount
  from refund_sums b
  left join public.payments p on p.id = b.payment_id
  -- Of others at the same account only what went is known, and not what came: none of it is the shop's.
  join public.orders o on o.id = coalesce(b.order_id, p.order_id)
  union all
  select d.created_at, 'dispute', o.number, o.shipping_address ->> 'country', d.id, d.currency, d.livemode,
    0, 0, 0, 0, -d.amount
  from public.disputes d join public.orders o on o.id = d.order_id
  where d.funds_withdrawn
  union all
  select d.funds_reinstated_at, 'dispute_returned', o.number,
    o.shipping_address ->> 'country', d.id, d.currency, d.livemode, 0, 0, 0, 0, d.amount
  from public.disputes d join public.orders o on o.id = d.order_id
  where d.funds_withdrawn and d.funds_reinstated
)
select (b.booked_at at time zone (select private.report_setting('shop_time_zone')))::date as day, b.kind,
  b.number as order_number, b.reference, b.country, b.currency, b.goods as amount_goods,
  b.discount as amount_discount, b.shipping as amount_shipping, b.tax as amount_tax,
  b.gross as amount_gross, b.gross - b.tax as amount_net,
  private.money_text(b.gross, b.currency) as amount_gross_text,
  private.money_text(b.gross - b.tax, b.currency) as amount_net_text,
  case when b.kind = 'sale' then (
    select string_agg(t ->> 'value', ', ' order by t ->> 'value')
    from public.orders o
    join public.checkout_sessions s on s.id = o.session_id
    cross join lateral jsonb_array_elements(s.business -> 'tax_ids') t
    where o.number = b.number
  ) end as tax_ids, b.booked_at, b.livemode
from booked b
where (select private.sees_reports());
comment on view reporting.accounting_export is
  'Every movement of money, a row each, for a spreadsheet: kind is sale, duplicate_payment (an order was '
  'paid twice; its refund follows), refund, refund_returned (it bounced), dispute (the bank took the money) '
  'or dispute_returned. What leaves is negative: the sum of amount_gross is what came and stayed. Stripe''s '
  'fees and payouts are in Stripe''s reports.';
comment on column reporting.accounting_export.day is 'The shop''s day on which it happened.';
comment on column reporting.accounting_export.kind is
  'sale, duplicate_payment, refund, refund_returned, dispute, dispute_returned.';
comment on column reporting.accounting_export.order_number is 'The order''s number.';
comment on column reporting.accounting_export.reference is
  'Stripe''s id: pi_… of a payment (cs_… where nothing was to pay), re_…, du_….';
comment on column reporting.accounting_export.country is 'Where the goods went, two letters.';
comment on column reporting.accounting_export.currency is 'ISO code in lower case. Sum each by itself.';
comment on column reporting.accounting_export.amount_goods is
  'Goods before the discount, in minor units; sales only.';
comment on column reporting.accounting_export.amount_discount is
  'Discount, in minor units, negative; sales only.';
comment on column reporting.accounting_export.amount_shipping is 'Delivery, in minor units; sales only.';
comment on column reporting.accounting_export.amount_tax is
  'Tax, in minor units: of a sale as Stripe computed it, of a refund its share by amount; 0 of disputes.';
comment on column reporting.accounting_export.amount_gross is 'What was paid or went back, in minor units.';
comment on column reporting.accounting_export.amount_net is 'Gross less tax, in minor units.';
comment on column reporting.accounting_export.amount_gross_text is 'Gross as text.';
comment on column reporting.accounting_export.amount_net_text is 'Net as text.';
comment on column reporting.accounting_export.tax_ids is
  'Tax ids that a business buyer has given; sales only. Null: none, or the buyer was erased.';
comment on column reporting.accounting_export.booked_at is
  'The moment: payment, success or failure of the refund, opening of the dispute; of dispute_returned, the '
  'earliest word of it.';
comment on column reporting.accounting_export.livemode is 'False: made with test keys.';

create view reporting.revenue_daily with (security_invoker = true) as
select s.*, private.money_text(s.amount_net, s.currency) as amount_net_text
from (
  select (o.paid_at at time zone (select private.report_setting('shop_time_zone')))::date as day, o.currency,
    o.livemode, count(*) as orders, sum(o.amount_paid)::bigint as amount_paid,
    sum(o.amount_refunded)::bigint as amount_refunded,
    sum(o.amount_paid - o.amount_refunded)::bigint as amount_net, sum(o.amount_tax)::bigint as amount_tax,
    sum(o.amount_shipping)::bigint as amount_shipping, sum(o.amount_discount)::bigint as amount_discount
  from public.orders o
  where (select private.sees_reports()) and o.paid_at is not null
  group by 1, 2, 3
) s
order by s.day desc, s.currency;
comment on view reporting.revenue_daily is
  'Paid orders by the shop''s day on which they were paid; what was given back of them since counts on that '
  'day too. refunds_daily has refunds on their own day.';
comment on column reporting.revenue_daily.day is 'The shop''s day on which they were paid.';
comment on column reporting.revenue_daily.currency is 'ISO code in lower case. Sum each by itself.';
comment on column reporting.revenue_daily.livemode is 'False: made with test keys.';
comment on column reporting.revenue_daily.orders is 'Orders paid on that day.';
comment on column reporting.revenue_daily.amount_paid is 'What was paid for them, in minor units.';
comment on column reporting.revenue_daily.amount_refunded is
  'What was given back of them so far, in minor units.';
comment on column reporting.revenue_daily.amount_net is 'What remained, in minor units, tax included.';
comment on column reporting.revenue_daily.amount_tax is 'Tax in amount_paid, in minor units.';
comment on column reporting.revenue_daily.amount_shipping is 'Delivery in amount_paid, in minor units.';
comment on column reporting.revenue_daily.amount_discount is 'Discounts given on them, in minor units.';
comment on column reporting.revenue_daily.amount_net_text is 'amount_net as text.';

create view reporting.refunds_daily with (security_invoker = true) as
select s.*, private.money_text(s.amount_net, s.currency) as amount_net_text
from (
  select b.day, b.currency, b.livemode, count(*) filter (where b.kind = 'refund') as refunds,
    coalesce(-sum(b.amount_gross) filter (where b.kind = 'refund'), 0)::bigint as amount_refunded,
    count(*) filter (where b.kind = 'refund_returned') as returned,
    coalesce(sum(b.amount_gross) filter (where b.kind = 'refund_returned'), 0)::bigint as amount_returned,
    -sum(b.amount_gross)::bigint as amount_net
  from reporting.accounting_export b
  where b.kind in ('refund', 'refund_returned')
  group by 1, 2, 3
) s
order by s.day desc, s.currency;
comment on view reporting.refunds_daily is
  'Refunds by the shop''s day on which they happened, whenever the order was paid.';
comment on column reporting.refunds_daily.day is 'The shop''s day on which the money went, or came back.';
comment on column reporting.refunds_daily.currency is 'ISO code in lower case. Sum each by itself.';
comment on column reporting.refunds_daily.livemode is 'False: made with test keys.';
comment on column reporting.refunds_daily.refunds is 'Refunds made on that day.';
comment on column reporting.refunds_daily.amount_refunded is 'What went back to customers, in minor units.';
comment on column reporting.refunds_daily.returned is
  'Refunds that bounced on that day, after they had succeeded.';
comment on column reporting.refunds_daily.amount_returned is 'What came back of them, in minor units.';
comment on column reporting.refunds_daily.amount_net is 'What went less what came back, in minor units.';
comment on column reporting.refunds_daily.amount_net_text is 'The same as text.';

create view reporting.payment_health with (security_invoker = true) as
select (a.created_at at time zone (select private.report_setting('shop_time_zone')))::date as day, a.outcome,
  coalesce(a.decline_code, a.failure_code) as code, count(*) as attempts, a.livemode
from public.payment_attempts a
where (select private.sees_reports())
group by 1, 2, 3, 5
order by 1 desc, 4 desc;
comment on view reporting.payment_health is
  'Attempts to pay by the shop''s day, outcome and the bank''s code.';
comment on column reporting.payment_health.day is 'The shop''s day.';
comment on column reporting.payment_health.outcome is 'succeeded or failed.';
comment on column reporting.payment_health.code is
  'Why it failed: Stripe''s decline or failure code; null: it did not.';
comment on column reporting.payment_health.attempts is 'How many.';
comment on column reporting.payment_health.livemode is 'False: made with test keys.';

create view reporting.disputes_due with (security_invoker = true) as
select d.id, o.number as order_number, d.reason, d.status, d.amount,
  private.money_text(d.amount, d.currency) as amount_text, d.currency, d.evidence_due_by,
  d.evidence_due_by - now() as time_left, d.has_evidence, o.email, o.fulfillment_status, d.created_at,
  d.livemode
from public.disputes d left join public.orders o on o.id = d.order_id
where (select private.sees_reports()) and private.awaits_evidence(d)
order by d.evidence_due_by;
comment on view reporting.disputes_due is
  'Disputes that wait for evidence, most urgent first: submit_dispute_evidence() or accept_dispute().';
comment on column reporting.disputes_due.id is 'The dispute at Stripe, du_… or dp_….';
comment on column reporting.disputes_due.order_number is
  'The order''s number; null: of a payment that is not ours.';
comment on column reporting.disputes_due.reason is 'What the customer says, in Stripe''s words.';
comment on column reporting.disputes_due.status is
  'needs_response; warning_needs_response: an inquiry, no money has moved; appeal_needs_response.';
comment on column reporting.disputes_due.amount is 'What is disputed, in minor units.';
comment on column reporting.disputes_due.amount_text is 'The same as text.';
comment on column reporting.disputes_due.currency is 'ISO code in lower case.';
comment on column reporting.disputes_due.evidence_due_by is 'Until when Stripe takes evidence.';
comment on column reporting.disputes_due.time_left is 'How long that is from now; negative: it is too late.';
comment on column reporting.disputes_due.has_evidence is
  'Evidence is staged at Stripe, and waits to be submitted.';
comment on column reporting.disputes_due.email is 'The customer''s address.';
comment on column reporting.disputes_due.fulfillment_status is
  'Whether the goods have left: orders.fulfillment_status.';
comment on column reporting.disputes_due.created_at is 'When it was opened.';
comment on column reporting.disputes_due.livemode is 'False: made with test keys.';
