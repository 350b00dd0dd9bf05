import assert from "node:assert/strict";
import { largestAmount, minorUnitStep } from "../../../supabase/functions/_shared/minor_units.ts";
import { createTestDatabase } from "../../support/database.ts";
import { sqlstateOf } from "../../support/role.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const [product] = await sql`insert into public.products (slug, name) values ('belt', 'Belt') returning id`;

Deno.test("private.amount_problem() and minor_units.ts refuse the same amounts in every currency", async () => {
  for (const code of Intl.supportedValuesOf("currency").map((code) => code.toLowerCase())) {
    const largest = largestAmount(code);
    const amounts = [
      0,
      1,
      5,
      10,
      50,
      100,
      12_990,
      12_995,
      1_299_000,
      99_999_900,
      99_999_999,
      largest,
      largest + 1,
    ];
    const rows = await sql`select a::text as amount, private.amount_problem(a, ${code}) is null as ok
      from unnest(${amounts}::bigint[]) a`;
    for (const row of rows) {
      const amount = Number(row["amount"]);
      assert.equal(row["ok"], amount <= largest && amount % minorUnitStep(code) === 0, `${amount} ${code}`);
    }
  }
});

Deno.test("the catalogue refuses a price that Stripe refuses, and takes the largest that it takes", async () => {
  const add = (price: number, currency: string) =>
    sqlstateOf(sql`insert into public.product_variants (product_id, sku, price_amount, currency)
      values (${product?.["id"]}, ${`${currency}-${price}`}, ${price}, ${currency})`);
  assert.equal(await add(1_299_050, "isk"), "23514");
  assert.equal(await add(12_995, "kwd"), "23514");
  assert.equal(await add(100_000_000, "usd"), "23514");
  assert.equal(await add(-1, "usd"), "23514");
  for (
    const [price, currency] of [[1_299_000, "isk"], [12_990, "kwd"], [12_995, "jpy"], [
      999_999_999_999,
      "idr",
    ]] as const
  ) {
    assert.equal(await add(price, currency), null, `${price} ${currency}`);
  }
  assert.equal(
    await sqlstateOf(
      sql`insert into public.shipping_rates (name, amount, currency) values ('Post', 50, 'isk')`,
    ),
    "23514",
  );
});

Deno.test("options and texts that somebody emptied are none", async () => {
  for (
    const [color, size, want] of [
      ["", "", "Belt"],
      [" ", "M", "Belt – M"],
      ["Black", "", "Belt – Black"],
      ["Black", "M", "Belt – Black, M"],
      [null, null, "Belt"],
    ]
  ) {
    const sku = crypto.randomUUID();
    await sql`insert into public.product_variants (product_id, sku, size, color, price_amount, image_url)
      values (${product?.["id"]}, ${sku}, ${size ?? null}, ${color ?? null}, 100, ' ')`;
    const [row] = await sql`select private.price_cart(${
      sql.json([{ sku, quantity: 1 }])
    }) #>> '{lines,0,name}' as name,
      (select image_url from public.product_variants where sku = ${sku}) as image_url`;
    assert.deepEqual({ ...row }, { name: want, image_url: null });
  }
  await sql`update public.products set description = '', image_url = '' where id = ${product?.["id"]}`;
  const [row] = await sql`select description, image_url from public.products where id = ${product?.["id"]}`;
  assert.deepEqual({ ...row }, { description: null, image_url: null });
});
