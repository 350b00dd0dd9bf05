-- Which mails did not reach the customer? skipped: what it says was no longer true.
select o.number, n.template, n.status, n.last_error, n.created_at
from notifications n join orders o on o.id = n.order_id
where n.status <> 'sent' order by n.created_at desc limit 100;
