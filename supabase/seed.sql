-- Demo shop: a small menswear shop, its name and its catalogue. Applied once to a fresh local database and harmless
-- to apply again: rows are matched by slug, sku and variant, and existing rows (prices, stock) are left as they are.

update private.settings s set value = x.value
from (
  values
    ('order_number_prefix', '""', '"KCT-"'::jsonb),
    ('shop_name', '"Our shop"', '"KCT Menswear"'),
    ('shop_accent_color', '"#1c1c1e"', '"#1f2f4f"'),
    ('shop_contact_email', 'null', '"service@example.com"'),
    ('shop_order_url', 'null', '"/store/order#token={token}"'),
    ('shop_returns_url', 'null', '"/store"'),
    ('shop_privacy_url', 'null', '"/store"'),
    ('shop_postal_address', 'null', '"12 Example Street, Springfield"'),
    ('shop_statement_descriptor', 'null', '"KCT MENSWEAR"')
) x (key, before, value)
where s.key = x.key and s.value = x.before::jsonb;

insert into public.products (slug, name, description, image_url, active)
values
  ('wool-suit', 'Two-Piece Wool Suit',
   'A half-canvassed suit in four-season worsted wool. Notch lapels, natural shoulders, and trousers with a clean, plain front.',
   '/store/images/wool-suit.svg', true),
  ('shawl-tuxedo', 'Shawl Collar Tuxedo',
   'Barathea dinner suit with a satin shawl collar and one covered button. Made for evenings that go on longer than planned.',
   '/store/images/shawl-tuxedo.svg', true),
  ('oxford-shirt', 'Oxford Button-Down Shirt',
   'Sturdy two-ply oxford cotton that softens with every wash. Soft roll collar, mother-of-pearl buttons, locker loop.',
   '/store/images/oxford-shirt.svg', true),
  ('flannel-trousers', 'Wool Flannel Trousers',
   'Brushed Italian flannel with a single pleat and a gentle taper. Side adjusters instead of belt loops.',
   '/store/images/flannel-trousers.svg', true),
  ('merino-crewneck', 'Merino Crewneck',
   'Extra-fine merino, knitted in one piece so that no seam shows under a jacket. Ribbed at the cuffs and hem.',
   '/store/images/merino-crewneck.svg', true),
  ('wool-overcoat', 'Double-Faced Overcoat',
   'A straight, single-breasted coat in unlined double-faced wool. Long enough for a jacket, light enough to travel.',
   '/store/images/wool-overcoat.svg', true),
  ('cap-toe-oxfords', 'Cap-Toe Oxfords',
   'Calf leather, closed lacing and a stitched cap. Goodyear welted, so the soles can be replaced for decades.',
   '/store/images/cap-toe-oxfords.svg', true),
  ('silk-tie', 'Grenadine Silk Tie',
   'Garza-grossa grenadine from Como, untipped and hand-rolled, 8 cm wide. Ties a proper four-in-hand.',
   '/store/images/silk-tie.svg', true)
on conflict (slug) do nothing;

-- One row per sku: product, sku, size, colour, price in minor units.
with variants (slug, sku, size, color, price_amount) as (
  values
    ('wool-suit', 'SUIT-NVY-38R', '38R', 'Navy', 64900),
    ('wool-suit', 'SUIT-NVY-40R', '40R', 'Navy', 64900),
    ('wool-suit', 'SUIT-NVY-42R', '42R', 'Navy', 64900),
    ('wool-suit', 'SUIT-NVY-44R', '44R', 'Navy', 64900),
    ('wool-suit', 'SUIT-NVY-46R', '46R', 'Navy', 67900),
    ('wool-suit', 'SUIT-CHR-38R', '38R', 'Charcoal', 64900),
    ('wool-suit', 'SUIT-CHR-40R', '40R', 'Charcoal', 64900),
    ('wool-suit', 'SUIT-CHR-42R', '42R', 'Charcoal', 64900),
    ('wool-suit', 'SUIT-CHR-44R', '44R', 'Charcoal', 64900),
    ('wool-suit', 'SUIT-CHR-46R', '46R', 'Charcoal', 67900),
    ('shawl-tuxedo', 'TUX-BLK-38R', '38R', 'Black', 78900),
    ('shawl-tuxedo', 'TUX-BLK-40R', '40R', 'Black', 78900),
    ('shawl-tuxedo', 'TUX-BLK-42R', '42R', 'Black', 78900),
    ('shawl-tuxedo', 'TUX-BLK-44R', '44R', 'Black', 78900),
    ('shawl-tuxedo', 'TUX-BLK-46R', '46R', 'Black', 81900),
    ('oxford-shirt', 'SHIRT-OXF-WHT-S', 'S', 'White', 12900),
    ('oxford-shirt', 'SHIRT-OXF-WHT-M', 'M', 'White', 12900),
    ('oxford-shirt', 'SHIRT-OXF-WHT-L', 'L', 'White', 12900),
    ('oxford-shirt', 'SHIRT-OXF-WHT-XL', 'XL', 'White', 12900),
    ('oxford-shirt', 'SHIRT-OXF-BLU-S', 'S', 'Blue', 12900),
    ('oxford-shirt', 'SHIRT-OXF-BLU-M', 'M', 'Blue', 12900),
    ('oxford-shirt', 'SHIRT-OXF-BLU-L', 'L', 'Blue', 12900),
    ('oxford-shirt', 'SHIRT-OXF-BLU-XL', 'XL', 'Blue', 12900),
    ('flannel-trousers', 'TRS-FLN-GRY-30', '30', 'Grey', 18900),
    ('flannel-trousers', 'TRS-FLN-GRY-32', '32', 'Grey', 18900),
    ('flannel-trousers', 'TRS-FLN-GRY-34', '34', 'Grey', 18900),
    ('flannel-trousers', 'TRS-FLN-GRY-36', '36', 'Grey', 18900),
    ('flannel-trousers', 'TRS-FLN-GRY-38', '38', 'Grey', 18900),
    ('flannel-trousers', 'TRS-FLN-NVY-30', '30', 'Navy', 18900),
    ('flannel-trousers', 'TRS-FLN-NVY-32', '32', 'Navy', 18900),
    ('flannel-trousers', 'TRS-FLN-NVY-34', '34', 'Navy', 18900),
    ('flannel-trousers', 'TRS-FLN-NVY-36', '36', 'Navy', 18900),
    ('flannel-trousers', 'TRS-FLN-NVY-38', '38', 'Navy', 18900),
    ('merino-crewneck', 'KNIT-CRW-OAT-S', 'S', 'Oatmeal', 14500),
    ('merino-crewneck', 'KNIT-CRW-OAT-M', 'M', 'Oatmeal', 14500),
    ('merino-crewneck', 'KNIT-CRW-OAT-L', 'L', 'Oatmeal', 14500),
    ('merino-crewneck', 'KNIT-CRW-OAT-XL', 'XL', 'Oatmeal', 14500),
    ('merino-crewneck', 'KNIT-CRW-GRN-S', 'S', 'Bottle Green', 14500),
    ('merino-crewneck', 'KNIT-CRW-GRN-M', 'M', 'Bottle Green', 14500),
    ('merino-crewneck', 'KNIT-CRW-GRN-L', 'L', 'Bottle Green', 14500),
    ('merino-crewneck', 'KNIT-CRW-GRN-XL', 'XL', 'Bottle Green', 14500),
    ('wool-overcoat', 'COAT-CML-S', 'S', 'Camel', 54900),
    ('wool-overcoat', 'COAT-CML-M', 'M', 'Camel', 54900),
    ('wool-overcoat', 'COAT-CML-L', 'L', 'Camel', 54900),
    ('wool-overcoat', 'COAT-CML-XL', 'XL', 'Camel', 54900),
    ('wool-overcoat', 'COAT-CHR-S', 'S', 'Charcoal', 54900),
    ('wool-overcoat', 'COAT-CHR-M', 'M', 'Charcoal', 54900),
    ('wool-overcoat', 'COAT-CHR-L', 'L', 'Charcoal', 54900),
    ('wool-overcoat', 'COAT-CHR-XL', 'XL', 'Charcoal', 54900),
    ('cap-toe-oxfords', 'SHOE-CAP-BLK-8', '8', 'Black', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BLK-9', '9', 'Black', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BLK-10', '10', 'Black', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BLK-11', '11', 'Black', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BLK-12', '12', 'Black', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BRN-8', '8', 'Brown', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BRN-9', '9', 'Brown', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BRN-10', '10', 'Brown', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BRN-11', '11', 'Brown', 27900),
    ('cap-toe-oxfords', 'SHOE-CAP-BRN-12', '12', 'Brown', 27900),
    ('silk-tie', 'TIE-SILK-BUR', 'One size', 'Burgundy', 5900),
    ('silk-tie', 'TIE-SILK-NVY', 'One size', 'Navy', 5900),
    ('silk-tie', 'TIE-SILK-GRN', 'One size', 'Forest', 5900)
)
insert into public.product_variants (product_id, sku, size, color, price_amount, currency, image_url, active)
select p.id, v.sku, v.size, v.color, v.price_amount, 'usd', p.image_url || '?color=' || replace(v.color, ' ', '%20'), true
from variants v
join public.products p on p.slug = v.slug
on conflict (sku) do nothing;

-- Twelve of everything, except what is listed: popular, nearly gone or sold out.
with stock (sku, on_hand) as (
  values
    ('SHIRT-OXF-WHT-M', 25), ('SHIRT-OXF-BLU-M', 25),
    ('TIE-SILK-BUR', 1), ('TIE-SILK-NVY', 40),
    ('SUIT-NVY-46R', 0), ('SUIT-CHR-38R', 2), ('SUIT-CHR-44R', 0),
    ('TUX-BLK-38R', 0), ('TUX-BLK-46R', 3),
    ('SHIRT-OXF-BLU-XL', 0),
    ('TRS-FLN-GRY-30', 2), ('TRS-FLN-NVY-38', 0),
    ('KNIT-CRW-GRN-S', 0), ('KNIT-CRW-GRN-M', 3),
    ('COAT-CML-S', 1), ('COAT-CHR-XL', 0),
    ('SHOE-CAP-BRN-8', 0), ('SHOE-CAP-BRN-12', 2)
)
insert into public.inventory_levels (variant_id, on_hand)
select v.id, coalesce(s.on_hand, 12)
from public.product_variants v
left join stock s on s.sku = v.sku
where v.sku ~ '^(SUIT-(NVY|CHR)|TUX-BLK|SHIRT-OXF|TRS-FLN|KNIT-CRW|COAT-(CML|CHR)|SHOE-CAP|TIE-SILK)-'
  -- Asked first: the stock journal is written before an insert finds its conflict.
  and not exists (select 1 from public.inventory_levels l where l.variant_id = v.id)
on conflict (variant_id) do nothing;
