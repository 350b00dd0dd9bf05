-- What was sold on each day of the last thirty?
select day, currency, orders, private.money_text(amount_paid, currency) as paid,
  private.money_text(amount_refunded, currency) as refunded_since, amount_net_text as kept
from reporting.revenue_daily where day > current_date - 30;
