-- What mails about unpaid orders have brought.

create view reporting.recovery with (security_invoker = true) as
with mailed as (
  select n.order_id, min(n.sent_at) as first_at, count(*) as mails
  from public.notifications n
  where n.template in ('payment_declined', 'payment_reminder') and n.sent_at is not null
  group by n.order_id
)
select (m.first_at at time zone (private.setting('shop_time_zone') #>> '{}'))::date as day,
  o.currency, o.livemode, count(*) as orders_mailed, sum(m.mails)::bigint as mails_sent,
  count(*) filter (where o.paid_at > m.first_at) as orders_recovered,
  coalesce(sum(o.amount_paid) filter (where o.paid_at > m.first_at), 0)::bigint as amount_recovered
from mailed m join public.orders o on o.id = m.order_id
group by 1, 2, 3;
comment on view reporting.recovery is
  'Unpaid orders whose shoppers were mailed, by the day of the first mail in the shop''s time zone, and how '
  'many of them paid afterwards. Amounts in minor units, as paid.';
grant select on reporting.recovery to service_role;
