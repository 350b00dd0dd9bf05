/**
 * The views over a generated year: every lifecycle, three currencies, a shop in New York. Each is compared with what
 * is worked out here from the tables' bare rows, by other means than SQL's.
 */
import assert from "node:assert/strict";
import { formatMoney } from "../../supabase/functions/_shared/stripe/money.ts";
import { nonEmpty } from "../support/non_empty.ts";
import {
  at,
  attempts,
  columns,
  database,
  dayOf,
  disputes,
  orders,
  paidOrders,
  payments,
  refunds,
  type Row,
  rowsOf,
  sql,
  sums,
} from "./reported_year.ts";

Deno.test.afterAll(() => database.drop());

Deno.test("the year is one that settling would leave behind: nothing is broken, and settling again changes no order", async () => {
  assert.deepEqual([...await sql`select * from public.check_invariants()`], []);
  const state =
    "select o.*, k.review_reasons from public.orders o join public.order_risk k on k.order_id = o.id";
  const connection = await sql.reserve();
  try {
    await connection`begin`;
    const read = () =>
      connection.unsafe(`select to_jsonb(x) - 'updated_at' as row from (${state}) x order by number`);
    const before = (await read()).map(({ row }) => row);
    await connection`select private.settle_order(id, 'test') from public.orders`;
    assert.deepEqual((await read()).map(({ row }) => row), before);
  } finally {
    await connection`rollback`;
    connection.release();
  }
});

Deno.test("the year has every status of an order and of its goods, and three currencies", () => {
  const statuses = new Set(orders.map((order) => `${order["status"]}`));
  assert.deepEqual(
    [...statuses].sort(),
    [
      "cancelled",
      "expired",
      "needs_review",
      "paid",
      "partially_refunded",
      "payment_failed",
      "pending",
      "processing",
      "refunded",
    ],
  );
  assert.deepEqual([...new Set(orders.map((order) => order["currency"]))].sort(), ["eur", "jpy", "usd"]);
  assert.equal(new Set(orders.map((order) => order["fulfillment_status"])).size, 4);
});

Deno.test("revenue_daily is what was paid and given back, by the day in New York on which the order was paid", async () => {
  assert(
    paidOrders.some((order) => dayOf(order["paid_at"]) !== String(order["paid_at"]).slice(0, 10)),
    "days differ",
  );
  assert.deepEqual(
    columns(
      await rowsOf("select * from reporting.revenue_daily"),
      ["day", "currency", "livemode"],
      [
        "orders",
        "amount_paid",
        "amount_refunded",
        "amount_net",
        "amount_tax",
        "amount_shipping",
        "amount_discount",
      ],
    ),
    sums(paidOrders.map((order) => {
      const number = (name: string) => Number(order[name]);
      return [`${dayOf(order["paid_at"])} ${order["currency"]} ${order["livemode"]}`, {
        orders: 1,
        amount_paid: number("amount_paid"),
        amount_refunded: number("amount_refunded"),
        amount_net: number("amount_paid") - number("amount_refunded"),
        amount_tax: number("amount_tax"),
        amount_shipping: number("amount_shipping"),
        amount_discount: number("amount_discount"),
      }];
    })),
  );
});

Deno.test("refunds_daily has each refund on the day it was made, and one that bounced on the day it came back", async () => {
  const made = nonEmpty(refunds.filter((refund) => refund["succeeded_at"] !== null));
  const bounced = nonEmpty(made.filter((refund) => refund["failed_at"] !== null));
  const booked = (rows: Row[], time: string, make: (amount: number) => Record<string, number>) =>
    rows.map((refund): [string, Record<string, number>] => [
      `${dayOf(refund[time])} ${refund["currency"]} false`,
      make(Number(refund["amount"])),
    ]);
  assert.deepEqual(
    columns(
      await rowsOf("select * from reporting.refunds_daily"),
      ["day", "currency", "livemode"],
      ["refunds", "amount_refunded", "returned", "amount_returned", "amount_net"],
    ),
    sums([
      ...booked(made, "succeeded_at", (amount) => ({
        refunds: 1,
        amount_refunded: amount,
        returned: 0,
        amount_returned: 0,
        amount_net: amount,
      })),
      ...booked(bounced, "failed_at", (amount) => ({
        refunds: 0,
        amount_refunded: 0,
        returned: 1,
        amount_returned: amount,
        amount_net: -amount,
      })),
    ]),
  );
});

Deno.test("accounting_export adds up to what came less what went, and its tax to that of what the shop keeps", async () => {
  const booked = await rowsOf("select * from reporting.accounting_export");
  const total = (rows: Row[], amount: (row: Row) => number) =>
    sums(rows.map((row) => [String(row["currency"]), { sum: amount(row) }]));
  const went = refunds.filter((refund) => refund["status"] === "succeeded");
  const taken = disputes.filter((dispute) =>
    dispute["funds_withdrawn"] === true && dispute["funds_reinstated"] === false
  );
  const received = payments.filter((payment) => payment["succeeded_at"] !== null);
  assert.deepEqual(
    total(booked, (row) => Number(row["amount_gross"])),
    total([
      ...received.map((row) => ({ ...row, sum: Number(row["amount_received"]) })),
      ...went.map((row) => ({ ...row, sum: -Number(row["amount"]) })),
      ...taken.map((row) => ({ ...row, sum: -Number(row["amount"]) })),
    ], (row) => Number(row["sum"])),
  );
  for (const row of booked) {
    assert.equal(Number(row["amount_gross"]) - Number(row["amount_tax"]), Number(row["amount_net"]));
  }
  const sales = booked.filter((row) => row["kind"] === "sale");
  assert.equal(sales.length, paidOrders.length);
  for (const row of sales) {
    const order = paidOrders.find((candidate) => candidate["number"] === row["order_number"]);
    const parts = ["amount_goods", "amount_discount", "amount_shipping"].map((name) => Number(row[name]));
    const onTop = order?.["prices_include_tax"] === true ? 0 : Number(row["amount_tax"]);
    assert.equal(parts.reduce((sum, part) => sum + part, onTop), Number(row["amount_gross"]), "parts add up");
    assert.equal(row["day"], dayOf(order?.["paid_at"]));
  }
  const counts = (kind: string) => booked.filter((row) => row["kind"] === kind).length;
  assert.equal(
    counts("duplicate_payment"),
    received.length - paidOrders.filter((o) => o["payment_id"]).length,
  );
  assert.equal(counts("dispute"), disputes.length);
  assert.equal(counts("dispute_returned"), disputes.length - taken.length);
  // All of the money back is all of the tax back, in however many refunds it went.
  for (const order of nonEmpty(paidOrders.filter((order) => order["status"] === "refunded"))) {
    const own = booked.filter((row) => row["order_number"] === order["number"]);
    assert.equal(own.reduce((sum, row) => sum + Number(row["amount_tax"]), 0), 0, String(order["number"]));
  }
});

Deno.test("accounting_export splits the tax of several refunds without losing or making a cent, also when one bounces", async () => {
  const order = paidOrders.find((row) =>
    row["status"] === "paid" && row["payment_id"] && Number(row["amount_tax"]) % 3 !== 0
  );
  assert(order !== undefined);
  const third = Math.floor(Number(order["amount_paid"]) / 3);
  const parts = [third, third, Number(order["amount_paid"]) - 2 * third];
  const undo = new Error("undone");
  const attempt = sql.begin(async (tx) => {
    for (const [n, amount] of parts.entries()) {
      await tx`insert into public.refunds (id, order_id, payment_id, amount, currency, status, succeeded_at, failed_at,
          version, created_at)
        values (${`re_part_${n}`}, ${String(order["id"])}, ${String(order["payment_id"])}, ${amount},
          ${String(order["currency"])}, ${n === 1 ? "failed" : "succeeded"}, now() - ${
        3 - n
      } * interval '1 hour',
          ${n === 1 ? new Date() : null}, '1', now())`;
    }
    const taxes = await tx<{ tax: number }[]>`select amount_tax::int as tax from reporting.accounting_export
      where order_number = ${String(order["number"])} order by booked_at, reference`;
    const sum = taxes.reduce((total, { tax }) => total + tax, 0);
    const kept = Math.floor(Number(order["amount_tax"]) * third / Number(order["amount_paid"]));
    assert.equal(taxes.length, 5, "a sale, three refunds, one that came back");
    assert(Math.abs(sum - kept) <= 1, `${sum} of ${kept}`);
    throw undo;
  });
  await assert.rejects(attempt, undo);
});

Deno.test("payment_health counts the attempts of each day by outcome and code", async () => {
  assert.deepEqual(
    columns(await rowsOf("select * from reporting.payment_health"), ["day", "outcome", "code"], ["attempts"]),
    sums(attempts.map((attempt) => [
      `${dayOf(attempt["created_at"])} ${attempt["outcome"]} ${attempt["decline_code"] ?? ""}`,
      { attempts: 1 },
    ])),
  );
});

Deno.test("customer_history adds up each address in any case, by currency", async () => {
  const disputed = (order: Row) => disputes.filter((dispute) => dispute["order_id"] === order["id"]).length;
  const known = orders.filter((order) => order["email"] !== null);
  assert(known.some((order) => String(order["email"]).startsWith("Shopper")), "cases differ");
  const expected = sums(
    known.map((order) => [`${String(order["email"]).toLowerCase()} ${order["currency"]}`, {
      checkouts: 1,
      orders: order["paid_at"] === null ? 0 : 1,
      amount_paid: Number(order["amount_paid"]),
      amount_refunded: Number(order["amount_refunded"]),
      amount_net: Number(order["amount_paid"]) - Number(order["amount_refunded"]),
      disputes: disputed(order),
    }]),
  );
  const found = await rowsOf("select * from reporting.customer_history");
  const names = ["checkouts", "orders", "amount_paid", "amount_refunded", "amount_net", "disputes"];
  assert.deepEqual(columns(found, ["email", "currency"], names), expected);
  assert(expected.length < known.length, "some come again");
  for (const row of found) {
    const own = known.filter((order) =>
      String(order["email"]).toLowerCase() === row["email"] && order["currency"] === row["currency"]
    ).sort((a, b) => at(b["created_at"]) - at(a["created_at"]));
    assert.equal(row["last_number"], own[0]?.["number"]);
  }
});

Deno.test("every amount as text is the amount in the currency's own decimals", async () => {
  const views = await sql<{ view: string; column: string }[]>`
    select c.relname as view, a.attname as column
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'reporting'::regnamespace and a.attname like '%\_text'`;
  assert(views.length > 10);
  for (const { view, column } of views) {
    for (const row of (await rowsOf(`select * from reporting.${view}`)).slice(0, 40)) {
      const amount = Number(row[column.replace(/_text$/, "")]), currency = String(row["currency"]);
      const shown = formatMoney(amount, currency).replace(/[^0-9.-]/g, "");
      assert.equal(row[column], `${shown} ${currency.toUpperCase()}`, `${view}.${column}`);
    }
  }
  const texts =
    await sql`select private.money_text(a, c) as text from (values (12340::bigint, 'kwd'), (129000, 'isk'),
    (129050, 'isk'), (0, 'usd'), (-5, 'usd'), (12900, 'jpy')) as x (a, c)`;
  assert.deepEqual(
    texts.map(({ text }) => text),
    ["12.340 KWD", "1290 ISK", "1290.50 ISK", "0.00 USD", "-0.05 USD", "12900 JPY"],
  );
});
