-- Which orders wait for a person, why, and what helps?
select number, reasons, what_to_do, amount_total_text, email, paid_at from reporting.orders_needing_attention;
