-- What runs out, and how long does it last?
select sku, name, size, color, available, sold_30_days, days_left from reporting.low_stock;
