-- What happened to this order, and through whom?
select e.created_at, e.kind, e.source, e.data
from order_events e join orders o on o.id = e.order_id
where o.number = 'KCT-100001' order by e.id;
