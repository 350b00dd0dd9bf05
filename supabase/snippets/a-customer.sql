-- What has this customer bought, and what came back?
select * from reporting.customer_history where email = lower('ada@example.com');
