-- What is on the shelf, and what runs out.

create view reporting.inventory_position with (security_invoker = true) as
select v.sku, p.name, v.size, v.color, l.on_hand, l.reserved, l.available, l.committed, v.price_amount,
  private.money_text(v.price_amount, v.currency) as price_amount_text, v.currency,
  p.active and v.active as on_sale
from public.inventory_levels l
join public.product_variants v on v.id = l.variant_id
join public.products p on p.id = v.product_id
where (select private.sees_reports())
order by v.sku collate "C";
comment on view reporting.inventory_position is 'Stock by SKU.';
comment on column reporting.inventory_position.sku is 'The article.';
comment on column reporting.inventory_position.name is 'The product''s name.';
comment on column reporting.inventory_position.size is 'Null: it has none.';
comment on column reporting.inventory_position.color is 'Null: it has none.';
comment on column reporting.inventory_position.on_hand is 'In the house and not sold.';
comment on column reporting.inventory_position.reserved is 'Of it, held by open checkouts.';
comment on column reporting.inventory_position.available is 'Can be sold now: on_hand less reserved.';
comment on column reporting.inventory_position.committed is 'Sold and not come back, sent or not.';
comment on column reporting.inventory_position.price_amount is 'Today''s price, in minor units.';
comment on column reporting.inventory_position.price_amount_text is 'The same as text.';
comment on column reporting.inventory_position.currency is 'ISO code in lower case.';
comment on column reporting.inventory_position.on_sale is 'Shoppers see it.';

create view reporting.low_stock with (security_invoker = true) as
select v.sku, p.name, v.size, v.color, l.available, l.on_hand, l.reserved,
  coalesce(s.sold, 0) as sold_30_days, floor(l.available * 30.0 / nullif(s.sold, 0))::integer as days_left
from public.inventory_levels l
join public.product_variants v on v.id = l.variant_id and v.active
join public.products p on p.id = v.product_id and p.active
left join (
  select i.variant_id, sum(i.quantity) as sold
  from public.orders o join public.order_items i on i.order_id = o.id
  where o.paid_at > now() - interval '30 days' and o.livemode in (true, false)
  group by i.variant_id
) s on s.variant_id = v.id
where (select private.sees_reports())
  and l.available <= (select private.report_setting('low_stock_at'))::integer
order by l.available, v.sku collate "C";
comment on view reporting.low_stock is
  'Articles on sale that run out: at most setting low_stock_at pieces to sell, the fewest first.';
comment on column reporting.low_stock.sku is 'The article.';
comment on column reporting.low_stock.name is 'The product''s name.';
comment on column reporting.low_stock.size is 'Null: it has none.';
comment on column reporting.low_stock.color is 'Null: it has none.';
comment on column reporting.low_stock.available is 'Can be sold now.';
comment on column reporting.low_stock.on_hand is 'In the house and not sold.';
comment on column reporting.low_stock.reserved is 'Of it, held by open checkouts.';
comment on column reporting.low_stock.sold_30_days is 'Pieces in orders paid in the last 30 days.';
comment on column reporting.low_stock.days_left is 'How long it lasts at that pace; null: none was sold.';
