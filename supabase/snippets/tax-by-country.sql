-- What tax is due for the last ninety days, by country of delivery? Refunds are taken off.
select country, currency, private.money_text(sum(amount_net)::bigint, currency) as net,
  private.money_text(sum(amount_tax)::bigint, currency) as tax
from reporting.accounting_export where day > current_date - 90 and kind in ('sale', 'refund', 'refund_returned')
group by country, currency order by country, currency;
