/** The views of the year that staff work with: orders, parcels, stock, what is open. */
import assert from "node:assert/strict";
import { nonEmpty } from "../support/non_empty.ts";
import {
  at,
  attempts,
  columns,
  database,
  disputes,
  items,
  levels,
  orderOf,
  orders,
  paidOrders,
  payments,
  refunds,
  type Row,
  rowsOf,
  shipments,
  shipped,
  sql,
  sums,
  table,
  variants,
} from "./reported_year.ts";
import { undone } from "./settlement/search.ts";

Deno.test.afterAll(() => database.drop());

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
  await undone(sql, async (tx) => {
    const asked = async (kept: string, said: string) => {
      await tx`update public.orders set phone = ${kept} where id = ${String(order["id"])}`;
      return (await tx`select number from reporting.find_order(${said})`).map(({ number }) => number);
    };
    assert.deepEqual(await asked("+442079461234", "020 7946 1234"), [order["number"]]);
    assert.deepEqual(await asked("020 7946 1234", "+44 20 7946 1234"), [order["number"]]);
    assert.deepEqual(await asked("+442079461234", "+33 20 7946 1234"), [], "of another country");
  });
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

function isRecentOrFailed(event: Record<string, unknown>): boolean {
  const age = Date.now() - new Date(String(event["received_at"])).getTime();
  return age < 30 * 86_400_000 || event["status"] === "failed" || event["status"] === "dead";
}

Deno.test("webhook_health, suspicious_activity and reconciliation_drift count what the year has", async () => {
  const events = await table("webhook_events");
  assert.deepEqual(
    columns(await rowsOf("select * from reporting.webhook_health"), ["type", "status"], [
      "events",
      "deliveries",
      "fetched",
    ]),
    sums(
      events.filter(isRecentOrFailed).map((event) => [`${event["type"]} ${event["status"]}`, {
        events: 1,
        deliveries: Number(event["delivery_count"]),
        fetched: event["delivery_count"] === 0 ? 1 : 0,
      }]),
    ),
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
