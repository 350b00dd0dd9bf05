import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";

const SEED = new URL("../../../supabase/seed.sql", import.meta.url);

Deno.test("seed fills the demo catalogue, and applied again it changes nothing, not even the stock journal", async () => {
  await using database = await createTestDatabase("seeded");
  const { sql } = database;
  const content = async () => ({
    variants: await sql`
      select v.sku, v.size, v.color, v.price_amount, v.currency, v.image_url, p.slug, l.on_hand, l.reserved
      from public.product_variants v
      join public.products p on p.id = v.product_id
      join public.inventory_levels l on l.variant_id = v.id
      order by v.sku`,
    journal: await sql`select variant_id, change from public.inventory_journal order by id`,
  });
  const before = await content();
  assert.equal(before.variants.length, 62);
  assert.ok(before.variants.some((variant) => variant.on_hand === 0), "nothing is sold out");
  const stock = new Map(before.variants.map((variant) => [variant.sku, variant.on_hand]));
  assert.deepEqual(
    ["SHIRT-OXF-WHT-M", "SHIRT-OXF-BLU-M", "TIE-SILK-BUR"].map((sku) => stock.get(sku)),
    [25, 25, 1],
  );

  await sql`update public.product_variants set price_amount = 1 where sku = 'TIE-SILK-BUR'`;
  const changed = await content();
  await sql.unsafe(await Deno.readTextFile(SEED)).simple();
  assert.deepEqual(await content(), changed);
});
