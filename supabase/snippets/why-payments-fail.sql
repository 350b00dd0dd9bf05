-- Why did payments fail in the last thirty days?
select code, sum(attempts) as attempts from reporting.payment_health
where outcome = 'failed' and day > current_date - 30 group by code order by attempts desc;
