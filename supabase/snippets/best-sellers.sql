-- What sold best in the last thirty days?
select i.sku, max(i.name) as name, sum(i.quantity) as pieces
from order_items i join orders o on o.id = i.order_id
where o.paid_at > now() - interval '30 days' group by i.sku order by pieces desc, i.sku limit 20;
