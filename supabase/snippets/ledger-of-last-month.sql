-- Every movement of money of last month, for the accountant: export it as CSV.
select * from reporting.accounting_export
where day >= date_trunc('month', current_date) - interval '1 month' and day < date_trunc('month', current_date)
order by booked_at, reference;
