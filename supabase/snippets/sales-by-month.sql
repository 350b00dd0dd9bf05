-- What was sold in each month?
select to_char(day, 'YYYY-MM') as month, currency, sum(orders) as orders,
  private.money_text(sum(amount_paid)::bigint, currency) as paid,
  private.money_text(sum(amount_net)::bigint, currency) as kept
from reporting.revenue_daily group by 1, currency order by 1 desc, currency;
