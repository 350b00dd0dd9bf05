/**
 * The views over a generated year: every lifecycle, three currencies, a shop in New York. Each is compared with what
 * is worked out here from the tables' bare rows, by other means than SQL's.
 */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { fillYear } from "../../scripts/quality/year/year.ts";
import { formatMoney } from "../../supabase/functions/_shared/stripe/money.ts";
import { nonEmpty } from "../support/non_empty.ts";

const zone = "America/New_York";
const database = await createTestDatabase();
const { sql } = database;
await fillYear(sql, { orders: 500, seed: 7, ends: new Date() });
await sql`update private.settings set value = '"KCT-"' where key = 'order_number_prefix'`;
await sql`update private.settings set value = ${sql.json(zone)} where key = 'shop_time_zone'`;
Deno.test.afterAll(() => database.drop());

/** A row as it stands: whole numbers as numbers, dates of days as text. */
type Row = Record<string, unknown>;
async function rowsOf(from: string): Promise<Row[]> {
  const rows = await sql.unsafe(`select to_jsonb(x) as row from (${from}) x`);
  return rows.map(({ row }) => row);
}
const table = (name: string) => rowsOf(`select * from public.${name}`);

const [orders, items, payments, refunds, disputes, attempts, levels, variants, shipments, shipped] =
  await Promise
    .all([
      table("orders"),
      table("order_items"),
      table("payments"),
      table("refunds"),
      table("disputes"),
      table("payment_attempts"),
      table("inventory_levels"),
      table("product_variants"),
      table("shipments"),
      table("shipment_lines"),
    ]);
const orderOf = new Map(orders.map((order) => [order["id"], order]));
const paidOrders = nonEmpty(orders.filter((order) => order["paid_at"] !== null));

const days = new Intl.DateTimeFormat("en-CA", {
  timeZone: zone,
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
});
const dayOf = (at: unknown) => days.format(new Date(String(at)));
const at = (value: unknown) => new Date(String(value)).getTime();

/** Sums of columns by a key, as rows that sort the same however they come. */
function sums(rows: [string, Record<string, number>][]): string[] {
  const found = new Map<string, Record<string, number>>();
  for (const [key, values] of rows) {
    const sum = found.get(key) ?? {};
    for (const [name, value] of Object.entries(values)) sum[name] = (sum[name] ?? 0) + value;
    found.set(key, sum);
  }
  return [...found].map(([key, sum]) => `${key} ${JSON.stringify(sum)}`).sort();
}

function columns(rows: Row[], key: string[], values: string[]): string[] {
  return sums(
    rows.map((row) => [
      key.map((name) => row[name]).join(" "),
      Object.fromEntries(values.map((name) => [name, Number(row[name])])),
    ]),
  );
}

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

/** Pieces of a line that have not left. The year has no returns of what never left. */
function toShip(item: Row): number {
  const sent = shipped.filter((line) => line["order_item_id"] === item["id"]);
  return Number(item["quantity"]) - sent.reduce((sum, line) => sum + Number(line["quantity"]), 0);
}

Deno.test("orders_to_ship has the paid orders that nothing holds, with the pieces that are still here, the oldest first", async () => {
  const waiting = nonEmpty(
    paidOrders.filter((order) => order["fulfillment_status"] === "unfulfilled")
      .sort((a, b) => at(a["paid_at"]) - at(b["paid_at"])),
  );
  const found = await rowsOf("select * from reporting.orders_to_ship");
  assert.deepEqual(found.map((row) => row["number"]), waiting.map((order) => order["number"]));
  const sku = (a: Row, b: Row) => String(a["sku"]) < String(b["sku"]) ? -1 : 1;
  for (const [n, order] of waiting.entries()) {
    const open = items.filter((item) => item["order_id"] === order["id"] && toShip(item) > 0).sort(sku);
    const row = found[n];
    assert.equal(
      row?.["items"],
      open.map((item) => `${toShip(item)} × ${item["name"]} (${item["sku"]})`).join("\n"),
    );
    assert.equal(row?.["pieces"], open.reduce((sum, item) => sum + toShip(item), 0));
    assert.equal(
      row?.["parcels_sent"],
      shipments.filter((parcel) => parcel["order_id"] === order["id"]).length,
    );
  }
  assert(found.some((row) => Number(row["parcels_sent"]) > 0), "one has gone in part");
});

Deno.test("order_overview tells of one order its goods, address, parcels, last mail and why it waits", async () => {
  const overview = async (match: (order: Row) => boolean) => {
    const order = orders.find(match);
    assert(order !== undefined);
    const [row] = await rowsOf(`select * from reporting.order_overview where number = '${order["number"]}'`);
    return { order, row };
  };
  const { order, row } = await overview((order) => order["fulfillment_status"] === "fulfilled");
  const address = order["shipping_address"] as Row;
  assert.equal(
    row?.["ship_to"],
    [order["shipping_name"], address["line1"], "62701 Springfield IL", address["country"]].join("\n"),
  );
  const lines = items.filter((item) => item["order_id"] === order["id"])
    .sort((a, b) => String(a["sku"]) < String(b["sku"]) ? -1 : 1);
  assert.equal(
    row?.["items"],
    lines.map((item) => `${item["quantity"]} × ${item["name"]} (${item["sku"]})`).join("\n"),
  );
  const [parcel] = shipments.filter((candidate) => candidate["order_id"] === order["id"]);
  assert.equal(row?.["tracking"], `UPS ${parcel?.["tracking_number"]}`);
  assert.equal(row?.["tracking_urls"], parcel?.["tracking_url"]);
  assert.equal(row?.["last_mail"], "order_shipped sent");
  assert.equal(row?.["waits_for"], null);
  const payment = payments.find((candidate) => candidate["id"] === order["payment_id"]);
  assert.equal(row?.["paid_with"], `${payment?.["card_brand"]} ${payment?.["card_last4"]}`);

  const waits = async (match: (order: Row) => boolean) => (await overview(match)).row?.["waits_for"];
  assert.equal(await waits((order) => order["status"] === "needs_review"), "early_fraud_warning");
  assert.equal(await waits((order) => order["status"] === "pending"), "payment");
  assert.equal(
    await waits((order) => order["status"] === "paid" && order["fulfillment_status"] === "unfulfilled"),
    "shipping",
  );
  const open = disputes.find((dispute) => dispute["status"] === "needs_response");
  assert.equal(await waits((order) => order["id"] === open?.["order_id"]), "dispute_open");
  const bounced = refunds.find((refund) => refund["status"] === "failed");
  assert.equal(await waits((order) => order["id"] === bounced?.["order_id"]), "refund_failed");
});

Deno.test("order_overview has a row for every order, and counts no order twice", async () => {
  const found = await rowsOf("select number, amount_total from reporting.order_overview");
  assert.deepEqual(
    found.map((row) => `${row["number"]} ${row["amount_total"]}`).sort(),
    orders.map((order) => `${order["number"]} ${order["amount_total"]}`).sort(),
  );
});

Deno.test("find_order finds by number, address, name, last four digits and phone, and nothing by a pattern", async () => {
  const order = paidOrders.find((candidate) => candidate["payment_id"] !== null);
  assert(order !== undefined);
  const find = async (text: string) =>
    (await rowsOf(`select number from reporting.find_order('${text}')`))
      .map((row) => String(row["number"])).sort();
  const numbers = (match: (order: Row) => boolean) =>
    orders.filter(match).map((row) => String(row["number"])).sort();
  const email = String(order["email"]).toLowerCase();
  assert.deepEqual(await find(String(order["number"]).toLowerCase()), [order["number"]]);
  assert.deepEqual(await find(String(order["number"]).slice(4)), [order["number"]]);
  assert.deepEqual(
    await find(` ${email.toUpperCase()} `),
    numbers((candidate) => String(candidate["email"]).toLowerCase() === email),
  );
  const name = String(order["customer_name"]);
  assert.deepEqual(
    await find(name.slice(2).toUpperCase()),
    numbers((candidate) => String(candidate["customer_name"]).includes(name.slice(2))),
  );
  const payment = payments.find((candidate) => candidate["id"] === order["payment_id"]);
  const paidWith = payments.filter((candidate) => candidate["card_last4"] === payment?.["card_last4"]);
  assert.deepEqual(
    await find(String(payment?.["card_last4"])),
    [...new Set(paidWith.map((candidate) => String(orderOf.get(candidate["order_id"])?.["number"])))].sort(),
  );
  const phone = String(order["phone"]);
  assert.deepEqual(
    await find(`(${phone.slice(3, 6)}) ${phone.slice(7, 10)}-${phone.slice(11)}`),
    numbers((candidate) => candidate["phone"] === phone),
  );
  for (const text of ["", "%", "_____", "%%%", "@", "nobody@example.com", "0", "5550"]) {
    assert.deepEqual(await find(text), [], text);
  }
});

Deno.test("abandoned_checkouts has the carts that ended unpaid and whose shoppers are still known", async () => {
  const expected = nonEmpty(
    orders.filter((order) =>
      order["paid_at"] === null && order["erased_at"] === null &&
      at(order["session_expires_at"]) < Date.now() &&
      ["pending", "expired", "payment_failed"].includes(String(order["status"]))
    ),
  );
  const found = await rowsOf("select * from reporting.abandoned_checkouts");
  assert.deepEqual(
    found.map((row) => row["number"]),
    expected.sort((a, b) => at(b["created_at"]) - at(a["created_at"])).map((order) => order["number"]),
  );
  for (const [n, order] of expected.entries()) {
    const refused = attempts.filter((attempt) =>
      attempt["order_id"] === order["id"] && attempt["outcome"] === "failed"
    );
    assert.equal(found[n]?.["refused_payments"], refused.length);
    assert.equal(found[n]?.["last_refusal"], refused.at(-1)?.["decline_code"] ?? null);
  }
  assert(found.some((row) => row["last_refusal"] !== null));
});

Deno.test("inventory_position and low_stock say what there is, and what of it sold in the last thirty days", async () => {
  const skuOf = new Map(variants.map((variant) => [variant["id"], String(variant["sku"])]));
  const figures = ["on_hand", "reserved", "available", "committed"];
  const keyed = levels.map((level): Row => ({ ...level, sku: skuOf.get(level["variant_id"]) }));
  assert.deepEqual(
    columns(await rowsOf("select * from reporting.inventory_position"), ["sku"], figures),
    columns(keyed, ["sku"], figures),
  );
  const recent = new Set(
    paidOrders.filter((order) => at(order["paid_at"]) > Date.now() - 30 * 86_400_000).map((order) =>
      order["id"]
    ),
  );
  await sql`update private.settings set value = '12' where key = 'low_stock_at'`;
  const low = nonEmpty(keyed.filter((level) => Number(level["available"]) <= 12));
  assert.deepEqual(
    columns(await rowsOf("select * from reporting.low_stock"), ["sku"], ["available", "sold_30_days"]),
    sums(low.map((level) => [String(level["sku"]), {
      available: Number(level["available"]),
      sold_30_days: items.filter((item) =>
        item["variant_id"] === level["variant_id"] && recent.has(item["order_id"])
      )
        .reduce((sum, item) => sum + Number(item["quantity"]), 0),
    }])),
  );
});

Deno.test("orders_needing_attention, disputes_due and open_alerts have what is open in the year, and say what to do", async () => {
  const openDisputes = nonEmpty(disputes.filter((dispute) => dispute["status"] === "needs_response"));
  assert.deepEqual(
    (await rowsOf("select * from reporting.disputes_due")).map((row) => row["id"]).sort(),
    openDisputes.map((dispute) => dispute["id"]).sort(),
  );
  const bounced = nonEmpty(refunds.filter((refund) => refund["status"] === "failed"));
  // Of what the year holds: warnings, open disputes, refunds that bounced, lost disputes of goods that are here.
  const expected = new Map<unknown, string[]>();
  const add = (id: unknown, reason: string) => {
    const number = orderOf.get(id)?.["number"];
    expected.set(number, [...expected.get(number) ?? [], reason].sort());
  };
  for (const order of orders) if (order["status"] === "needs_review") add(order["id"], "early_fraud_warning");
  for (const dispute of openDisputes) add(dispute["order_id"], "dispute_open");
  for (const dispute of disputes) {
    if (
      dispute["status"] === "lost" && orderOf.get(dispute["order_id"])?.["fulfillment_status"] === "on_hold"
    ) {
      add(dispute["order_id"], "dispute_lost");
    }
  }
  for (const refund of bounced) add(refund["order_id"], "refund_failed");
  for (const order of orders) {
    if (order["status"] === "processing" && at(order["session_expires_at"]) < Date.now() - 21 * 86_400_000) {
      add(order["id"], "payment_not_ended");
    }
  }
  const found = await rowsOf("select * from reporting.orders_needing_attention");
  const listed = (rows: [unknown, unknown][]) =>
    rows.map(([number, reasons]) => `${number} ${reasons}`).sort();
  assert.deepEqual(listed(found.map((row) => [row["number"], row["reasons"]])), listed([...expected]));
  for (const row of found) {
    assert(!String(row["what_to_do"]).includes("docs/"), `${row["reasons"]} has advice`);
  }
  const alerts = await rowsOf("select * from reporting.open_alerts");
  assert.deepEqual(
    alerts.map((row) => row["order_number"]).sort(),
    bounced.map((refund) => orderOf.get(refund["order_id"])?.["number"]).sort(),
  );
});

Deno.test("webhook_health, suspicious_activity and reconciliation_drift count what the year has", async () => {
  const events = await table("webhook_events");
  assert.deepEqual(
    columns(await rowsOf("select * from reporting.webhook_health"), ["type", "status"], [
      "events",
      "deliveries",
      "fetched",
    ]),
    sums(events.map((event) => [`${event["type"]} ${event["status"]}`, {
      events: 1,
      deliveries: Number(event["delivery_count"]),
      fetched: event["delivery_count"] === 0 ? 1 : 0,
    }])),
  );
  const [rejections, signals, drift] = await Promise.all(
    ["webhook_rejections", "fraud_signals", "reconciliation_drift"].map(table),
  );
  assert.deepEqual(
    columns(await rowsOf("select * from reporting.suspicious_activity"), ["what"], ["count"]),
    sums([
      ...nonEmpty(rejections ?? []).map((row): [string, Record<string, number>] => [
        "rejected webhooks",
        { count: Number(row["count"]) },
      ]),
      ...nonEmpty(signals ?? []).map((): [string, Record<string, number>] => ["fraud signal", { count: 1 }]),
    ]),
  );
  assert.equal(
    (await rowsOf("select * from reporting.reconciliation_drift")).length,
    nonEmpty(drift ?? []).length,
  );
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
