import assert from "node:assert/strict";
import {
  amountProblem,
  currencies,
  currencyRules,
} from "../../../supabase/functions/_shared/stripe/money.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { sqlstateOf } from "../../support/role.ts";
import { addVariants, beginCheckout, isRefusal, tryCheckout } from "./cart_support.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("SQL and TypeScript know the same of every currency's amounts", async () => {
  const asked = [...currencies, "xts", "usdc", "USD", "", "hrk"].flatMap((currency) => {
    const max = currencyRules(currency)?.max ?? 99_999_999;
    return [-1, 0, 1, 5, 10, 50, 99, 100, 101, 110, 1_000, max - 99, max - 9, max, max + 1].map((amount) => ({
      currency,
      amount,
    }));
  });
  const rows = await sql<{ currency: string; amount: number; problem: string | null }[]>`
    select a.currency, a.amount::float8 as amount, private.amount_problem(a.amount, a.currency) as problem
    from jsonb_to_recordset(${sql.json(asked)}) as a (currency text, amount bigint)`;
  assert.equal(rows.length, asked.length);
  for (const { currency, amount, problem } of rows) {
    // Codes in capitals are a caller's to lower: no column holds them.
    const expected = currency === "USD"
      ? "must be in a currency that Stripe takes"
      : amountProblem(amount, currency);
    assert.equal(problem, expected, `${amount} ${currency}`);
  }
});

const refused = [
  [12_345, "kwd"],
  [150, "isk"],
  [150, "ugx"],
  [100_000_000, "usd"],
  [100, "xts"],
] as const;
const taken = [
  [12_350, "kwd"],
  [1_299_000, "isk"],
  [1, "jpy"],
  [250_000_000, "idr"],
  [999_999_999_999, "idr"],
  [99_999_999, "usd"],
  [1_299_050, "huf"],
] as const;

Deno.test("add_variant() and delivery prices refuse what Stripe would refuse", async () => {
  await sql`insert into public.products (slug, name) values ('amounts', 'Suit')`;
  const price = (amount: number, currency: string) =>
    sqlstateOf(
      sql`select public.add_variant('amounts', ${`A-${crypto.randomUUID()}`}, ${amount}, ${currency})`,
    );
  const rate = (amount: number, currency: string) =>
    sqlstateOf(sql`
      insert into public.shipping_rates (name, amount, currency) values ('Post', ${amount}, ${currency})`);
  for (const [amount, currency] of refused) {
    assert.equal(await price(amount, currency), "SHINV", `${amount} ${currency}`);
    assert.equal(await rate(amount, currency), "23514", `${amount} ${currency}`);
  }
  for (const [amount, currency] of taken) {
    assert.equal(await price(amount, currency), null, `${amount} ${currency}`);
    assert.equal(await rate(amount, currency), null, `${amount} ${currency}`);
  }
  const alerts = await sql`select 1 from public.alerts where kind = 'unsellable_price'`;
  assert.equal(alerts.length, 0);
});

Deno.test("a price that Stripe would refuse, typed into the table, is told to staff until it is corrected", async () => {
  const [product] = await sql`insert into public.products (slug, name) values ('typed', 'Suit') returning id`;
  for (const [amount, currency] of refused) {
    const [variant] = await sql`
      insert into public.product_variants (product_id, sku, price_amount, currency)
      values (${product?.["id"]}, ${`T-${amount}-${currency}`}, ${amount}, ${currency}) returning id`;
    const alert = async () => {
      const [row] = await sql`select status, data ->> 'sku' as sku from public.alerts
        where dedupe_key = ${`unsellable_price:${variant?.["id"]}`}`;
      return row;
    };
    assert.deepEqual({ ...await alert() }, { status: "open", sku: `T-${amount}-${currency}` });
    await sql`update public.product_variants set price_amount = 10000, currency = 'usd' where id = ${
      variant?.["id"]
    }`;
    assert.equal((await alert())?.["status"], "resolved");
  }
});

Deno.test("the alert about a price closes when the variant that was typed wrongly is deleted", async () => {
  const [product] = await sql`insert into public.products (slug, name) values ('wrong', 'Suit') returning id`;
  const [variant] = await sql`
    insert into public.product_variants (product_id, sku, price_amount, currency)
    values (${product?.["id"]}, 'WRONG', 12345, 'kwd') returning id`;
  await sql`delete from public.product_variants where id = ${variant?.["id"]}`;
  const [alert] = await sql`
    select status from public.alerts where dedupe_key = ${`unsellable_price:${variant?.["id"]}`}`;
  assert.equal(alert?.["status"], "resolved");
});

Deno.test("add_variant() puts a variant on sale with its stock, and refuses what cannot be one", async () => {
  await sql`insert into public.products (slug, name) values ('belt-2', 'Belt')`;
  await sql`select public.add_variant('belt-2', 'BELT-2-M', 4900, 'USD', 'M', '', 5)`;
  const [row] = await sql`select v.size, v.color, v.currency, l.on_hand, l.available
    from public.product_variants v join public.inventory_levels l on l.variant_id = v.id where v.sku = 'BELT-2-M'`;
  assert.deepEqual({ ...row }, { size: "M", color: null, currency: "usd", on_hand: 5, available: 5 });
  const refusals = [
    sql`select public.add_variant('belt-2', 'BELT-2-M', 4900, 'usd')`,
    sql`select public.add_variant('no-such', 'BELT-3', 4900, 'usd')`,
    sql`select public.add_variant('belt-2', 'BELT-4', 4900, 'usd', null, null, -1)`,
  ];
  for (const refusal of refusals) assert.equal(await sqlstateOf(refusal), "SHINV");
});

Deno.test("a cart may come to twelve digits of rupiah, and to no more than Stripe takes of its currency", async () => {
  await addVariants(sql, [
    { sku: "R-SUIT", onHand: 99, price: 250_000_000, currency: "idr" },
    { sku: "R-VAST", onHand: 99, price: 999_999_999_999, currency: "idr" },
    { sku: "D-SUIT", onHand: 99, price: 60_000_000 },
  ]);
  const rupiah = await beginCheckout(sql, { items: [{ sku: "R-SUIT", quantity: 3 }] });
  assert.equal(Number(rupiah.amount_subtotal), 750_000_000);
  for (const [sku, quantity] of [["R-VAST", 99], ["R-VAST", 2], ["D-SUIT", 2]] as const) {
    const answer = await tryCheckout(sql, { items: [{ sku, quantity }] });
    assert(isRefusal(answer), sku);
    assert.equal(answer.sqlstate, "SHINV");
  }
});

Deno.test("a size or colour that is not there leaves no trace in a name, however it is not there", async () => {
  const [product] =
    await sql`insert into public.products (slug, name) values ('belt', ' Belt ') returning id`;
  const cases: [string | null, string | null, string][] = [
    [null, null, "Belt"],
    ["", "", "Belt"],
    [" \t", "\u00a0\u200b", "Belt"],
    ["", "M", "Belt – M"],
    ["Black", " ", "Belt – Black"],
    [" Dark\n Blue", "M ", "Belt – Dark Blue, M"],
  ];
  for (const [index, [color, size, expected]] of cases.entries()) {
    const sku = `BELT-${index}`;
    const [variant] = await sql<{ id: string; color: string | null; size: string | null }[]>`
      insert into public.product_variants (product_id, sku, color, size, price_amount)
      values (${product?.["id"]}, ${sku}, ${color}, ${size}, 100) returning id, color, size`;
    assert.notEqual(variant?.color, "");
    assert.notEqual(variant?.size, "");
    await sql`insert into public.inventory_levels (variant_id, on_hand) values (${variant?.id ?? null}, 9)`;
    const { order_id } = await beginCheckout(sql, { items: [{ sku, quantity: 1 }] });
    const [item] = await sql`select name from public.order_items where order_id = ${order_id}`;
    assert.equal(item?.["name"], expected);
    await sql`update public.product_variants set color = '' where id = ${variant?.id ?? null}`;
    const [cleared] = await sql`select color from public.product_variants where id = ${variant?.id ?? null}`;
    assert.equal(cleared?.["color"], null);
  }
  assert.equal(await sqlstateOf(sql`insert into public.products (slug, name) values ('none', ' ')`), "23514");
  assert.equal(
    await sqlstateOf(sql`insert into public.shipping_rates (name, amount, currency) values (' ', 1, 'usd')`),
    "23514",
  );
});
