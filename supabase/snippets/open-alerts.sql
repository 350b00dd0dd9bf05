-- What have we been told and not resolved, and what helps?
select kind, severity, order_number, what_to_do, count, last_at, id from reporting.open_alerts;
