-- What is on the shelf?
select sku, name, size, color, available, on_hand, reserved, committed, price_amount_text, on_sale
from reporting.inventory_position;
