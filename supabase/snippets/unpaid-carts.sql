-- Who left without paying in the last week, and was a card refused?
select number, created_at, email, items, amount_total_text, refused_payments, last_refusal
from reporting.abandoned_checkouts where created_at > now() - interval '7 days';
