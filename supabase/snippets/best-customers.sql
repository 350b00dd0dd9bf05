-- Who has bought most?
select email, name, orders, amount_net_text, disputes, last_paid_at
from reporting.customer_history order by amount_net desc, email limit 20;
