-- What must be packed? Paid, held by nothing, the oldest first.
select number, days_waiting, ship_to, items, pieces, phone from reporting.orders_to_ship;
