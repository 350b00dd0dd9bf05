-- Why is the stock of an article what it is? Every change of it, the newest first.
select j.created_at, j.change, j.kind, o.number, j.actor, j.note
from inventory_journal j
join product_variants v on v.id = j.variant_id
left join orders o on o.id = j.order_id
where v.sku = 'SHIRT-OXF-WHT-M' order by j.id desc limit 50;
