-- What was given back on each day of the last thirty?
select day, currency, refunds, private.money_text(amount_refunded, currency) as given_back, returned as bounced
from reporting.refunds_daily where day > current_date - 30;
