-- What mails about unpaid orders have brought.

create view reporting.recovery with (security_invoker = true) as
with mailed as (
  select n.order_id, min(n.sent_at) as first_at, count(*) as mails
  from public.notifications n
  where n.template in ('payment_declined', 'payment_reminder') and n.sent_at is not null
  group by n.order_id
)
select r.*, private.money_text(r.amount_recovered, r.currency) as amount_recovered_text
from (
  select (m.first_at at time zone (select private.report_setting('shop_time_zone')))::date as day,
    o.currency, o.livemode, count(*) as orders_mailed, sum(m.mails)::bigint as mails_sent,
    count(*) filter (where o.paid_at > m.first_at) as orders_recovered,
    coalesce(sum(o.amount_paid) filter (where o.paid_at > m.first_at), 0)::bigint as amount_recovered
  from mailed m join public.orders o on o.id = m.order_id
  where (select private.sees_reports())
  group by 1, 2, 3
) r
order by r.day desc, r.currency;
comment on view reporting.recovery is
  'Unpaid orders whose shoppers were mailed, by the day of the first mail in the shop''s time zone, and how '
  'many of them paid afterwards. Amounts in minor units, as paid.';
comment on column reporting.recovery.day is 'The shop''s day of the first mail.';
comment on column reporting.recovery.currency is 'ISO code in lower case. Sum each by itself.';
comment on column reporting.recovery.livemode is 'False: made with test keys.';
comment on column reporting.recovery.orders_mailed is 'Unpaid orders that were mailed first on that day.';
comment on column reporting.recovery.mails_sent is 'Mails to them, on that day and later.';
comment on column reporting.recovery.orders_recovered is 'Of them, those that were paid afterwards.';
comment on column reporting.recovery.amount_recovered is 'What those brought, in minor units.';
comment on column reporting.recovery.amount_recovered_text is 'The same as text.';
