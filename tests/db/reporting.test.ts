/**
 * The dashboard's views: a shop's day goes in as Stripe tells it, and what each view must say of it was worked out by
 * hand. Read as the dashboard reads them; who else may is a matter of rls.test.ts.
 */
import assert from "node:assert/strict";
import { deliver } from "./settlement/arrange.ts";
import { searchDatabase } from "./settlement/search.ts";
import { attachSession, beginOrder } from "./settlement/shop.ts";
import { Story } from "./settlement/story.ts";

const database = await searchDatabase(10);
const { sql } = database;
Deno.test.afterAll(() => database.drop());
// A number that looks like one would be read as a count.
await sql`update private.settings set value = '"T-"' where key = 'order_number_prefix'`;

/** 1 November 2026, 01:46:40 in UTC, when the stories begin; a story told a day later begins at its end. */
const morning = 1_793_500_000;
const nextDay = morning + 86_400;

/** One piece costs 12 900 cents; an order is of two. */
async function order(name: string, tell: (story: Story) => void, start = morning): Promise<Story> {
  const story = new Story(await beginOrder(sql), 60, name, start);
  await attachSession(sql, story, "a");
  tell(story);
  const outcomes = await deliver(sql, story.moves);
  assert.deepEqual(outcomes.filter((outcome) => outcome !== "applied" && outcome !== "ignored"), []);
  return story;
}

const paid = await order("P", (story) => story.paid("a"));
await order("R", (story) => {
  story.declined("a");
  story.refunded(story.paid("a"), "r", 5_000);
});
const disputed = await order("D", (story) => story.disputed(story.paid("a"), "d", "needs_response"), nextDay);
await order("O", (story) => story.declined("a"), nextDay);
const held = await order("W", (story) => story.warned(story.paid("a"), "w"), nextDay);

/** What a view says as the dashboard's reader sees it; counts and sums as numbers. */
async function read(view: string, columns: string): Promise<unknown[][]> {
  const names = columns.split(", ");
  const rows = await sql.begin(async (tx) => {
    await tx`set local role service_role`;
    return await tx.unsafe(`select ${columns} from reporting.${view}`);
  });
  const plain = (value: unknown) =>
    typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
  return rows.map((row) => names.map((name) => plain(row[name])));
}

/** The same in an order that does not depend on the database's. */
async function sorted(view: string, columns: string): Promise<unknown[][]> {
  const text = (row: unknown[]) => JSON.stringify(row);
  return (await read(view, columns)).sort((a, b) => text(a) < text(b) ? -1 : 1);
}

Deno.test("revenue_daily adds up what was paid and given back, by the day of payment", async () => {
  assert.deepEqual(
    await sorted(
      "revenue_daily",
      "day, currency, livemode, orders, amount_paid, amount_refunded, amount_net",
    ),
    [
      [new Date("2026-11-01"), "usd", false, 2, 51_600, 5_000, 46_600],
      [new Date("2026-11-02"), "usd", false, 2, 51_600, 0, 51_600],
    ],
  );
});

Deno.test("payment_health counts attempts by day, outcome and the bank's code", async () => {
  assert.deepEqual(await sorted("payment_health", "day, outcome, code, attempts"), [
    [new Date("2026-11-01"), "failed", "insufficient_funds", 1],
    [new Date("2026-11-01"), "succeeded", null, 2],
    [new Date("2026-11-02"), "failed", "insufficient_funds", 1],
    [new Date("2026-11-02"), "succeeded", null, 2],
  ]);
});

Deno.test("inventory_position has of ten pieces eight sold and two held, and none to sell", async () => {
  assert.deepEqual(
    await read("inventory_position", "sku, name, size, color, on_hand, reserved, available, committed"),
    [["COAT-GRY-L", "Coat", "L", "Grey", 2, 2, 0, 8]],
  );
});

Deno.test("orders_needing_attention names the disputed order and the one that Radar warns of, and no other", async () => {
  assert.deepEqual(
    await sorted(
      "orders_needing_attention",
      "number, reasons, status, fulfillment_status, amount_total, currency",
    ),
    [
      [disputed.frame.orderNumber, ["dispute_open"], "paid", "on_hold", 25_800, "usd"],
      [held.frame.orderNumber, ["early_fraud_warning"], "needs_review", "on_hold", 25_800, "usd"],
    ],
  );
});

Deno.test("disputes_due lists what waits for evidence, most urgent first, and nothing that is answered", async () => {
  await sql`update public.disputes set evidence_due_by = now() + interval '3 days'`;
  for (
    const [id, status, due] of [
      ["du_urgent", "warning_needs_response", "1 day"],
      ["du_appeal", "appeal_needs_response", "5 days"],
      ["du_answered", "under_review", "1 hour"],
      ["du_lost", "lost", "1 hour"],
    ] as const
  ) {
    // A dispute like the other one, of a charge that nobody knows.
    await sql`insert into public.disputes
      select (jsonb_populate_record(d, jsonb_build_object('id', ${id}::text, 'status', ${status}::text,
        'order_id', null, 'payment_id', null, 'evidence_due_by', now() + ${due}::interval))).*
      from public.disputes d where d.id = 'du_D_d'`;
  }
  assert.deepEqual(
    await read("disputes_due", "id, order_number, reason, status, amount, currency, has_evidence"),
    [
      ["du_urgent", null, "fraudulent", "warning_needs_response", 25_800, "usd", false],
      ["du_D_d", disputed.frame.orderNumber, "fraudulent", "needs_response", 25_800, "usd", false],
      ["du_appeal", null, "fraudulent", "appeal_needs_response", 25_800, "usd", false],
    ],
  );
  const left = await sql`select extract(day from time_left)::integer as days from reporting.disputes_due`;
  assert.deepEqual(left.map(({ days }) => days), [0, 2, 4]);
});

Deno.test("suspicious_activity has refused webhooks with who sent them, and signs of fraud with their order", async () => {
  await sql`insert into public.webhook_rejections (reason, source_ip, count)
    values ('bad_signature', '203.0.113.9', 7), ('not_listed', null, 2)`;
  const refused = sql.json({
    hits: [{ rule: "address_declined_orders", subject_digest: "0f", window_seconds: 3600, action: "block" }],
  });
  for (let times = 0; times < 3; times++) await sql`select private.record_velocity_hits(${refused}, null)`;
  assert.deepEqual(await sorted("suspicious_activity", "what, who, detail, count"), [
    ["fraud signal", held.frame.orderNumber, "early_fraud_warning", 1],
    ["fraud signal", null, "velocity", 3],
    ["rejected webhooks", "203.0.113.9", "bad_signature", 7],
    ["rejected webhooks", null, "not_listed", 2],
  ]);
});

Deno.test("webhook_health counts events and deliveries by type and outcome, those that were fetched, the last day, and of the last month what has not failed", async () => {
  const of = async (type: string) =>
    (await read("webhook_health", "type, status, events, deliveries, fetched, last_day"))
      .filter(([name]) => name === type);
  const charges = "charge.succeeded";
  assert.deepEqual(await of(charges), [[charges, "processed", 4, 4, 0, 4]]);
  // One came three times, one was never delivered and read instead, one is of last week, and one has failed.
  const ids = (await sql`select id from public.webhook_events where type = ${charges} order by id`)
    .map(({ id }) => id);
  assert.equal(ids.length, 4);
  await sql`update public.webhook_events set delivery_count = 3 where id = ${ids[0]}`;
  await sql`update public.webhook_events set delivery_count = 0, delivered_at = null where id = ${ids[1]}`;
  await sql`update public.webhook_events set received_at = now() - interval '7 days' where id = ${ids[2]}`;
  await sql`update public.webhook_events set status = 'failed' where id = ${ids[3]}`;
  assert.deepEqual((await of(charges)).sort(), [
    [charges, "failed", 1, 1, 0, 1],
    [charges, "processed", 3, 4, 1, 2],
  ]);
  await sql`
    update public.webhook_events set received_at = now() - interval '31 days' where id in ${
    sql([ids[0], ids[3]])
  }`;
  assert.deepEqual((await of(charges)).sort(), [
    [charges, "failed", 1, 1, 0, 0],
    [charges, "processed", 2, 1, 1, 1],
  ]);
});

Deno.test("reconciliation_drift says what was repaired in which order, newest first", async () => {
  const number = paid.frame.orderNumber, run = crypto.randomUUID();
  const note = (kind: string, id: string, minutes: number) =>
    sql`insert into public.reconciliation_drift (run_id, kind, object_id, order_id, before, after, found_at)
      values (${run}, ${kind}, ${id}, ${kind === "payment" ? paid.frame.orderId : null}, '{"status": "open"}',
        '{"status": "complete"}', now() - make_interval(mins => ${minutes}))`;
  await note("missed_event", "evt_older", 5);
  await note("payment", "pi_newer", 1);
  assert.deepEqual(
    await read("reconciliation_drift", "kind, object_id, order_number, before, after, run_id"),
    [
      ["payment", "pi_newer", number, { status: "open" }, { status: "complete" }, run],
      ["missed_event", "evt_older", null, { status: "open" }, { status: "complete" }, run],
    ],
  );
});
