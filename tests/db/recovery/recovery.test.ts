/** When a shopper who left without paying is mailed, and what stops it. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { attachSession, type Begun } from "../checkout/cart_support.ts";
import { pay } from "../checkout/velocity_support.ts";
import {
  begun,
  expired,
  later,
  mailsOf,
  queueAt,
  recoveryWorld,
  set,
  suppressReminders,
} from "./recovery_support.ts";

const database = await recoveryWorld();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** The orders of each test expire at a time of their own, so that one test's clock does not reach another's. */
let day = Date.UTC(2027, 0, 1);
const nextDay = () => new Date(day += 30 * 24 * 3_600_000);

Deno.test("an expired order is reminded of after one hour and after a day, each once however often it is asked", async () => {
  const at = nextDay();
  const order = await expired(sql, at);
  await queueAt(sql, later(at, 0.99));
  assert.deepEqual(await mailsOf(sql, order), []);
  assert.equal(await queueAt(sql, later(at, 1)), 1);
  assert.equal(await queueAt(sql, later(at, 1.1)), 0);
  assert.deepEqual(await mailsOf(sql, order), ["payment_reminder:1"]);
  await queueAt(sql, later(at, 23.9));
  assert.deepEqual(await mailsOf(sql, order), ["payment_reminder:1"]);
  await queueAt(sql, later(at, 24));
  await queueAt(sql, later(at, 25));
  await queueAt(sql, later(at, 300));
  assert.deepEqual(await mailsOf(sql, order), ["payment_reminder:1", "payment_reminder:2"]);
  const trail = await sql`select data from public.order_events
    where order_id = ${order.order_id} and kind = 'recovery_mail_queued' order by id`;
  assert.deepEqual(trail.map(({ data }) => data), [
    { template: "payment_reminder", step: 1 },
    { template: "payment_reminder", step: 2 },
  ]);
});

Deno.test("a reminder that was due before a restore counts as sent, also when the clock ticks meanwhile", async () => {
  const order = await expired(sql, later(new Date(), -1.1));
  await sql`select public.begin_rescue(now() - interval '1 hour', null)`;
  await sql`select public.enqueue_periodic_jobs()`;
  await sql`select public.finish_rescue()`;
  const mails = await sql`select n.status, j.status as job from public.notifications n
    join private.jobs j on j.payload ->> 'notification_id' = n.id::text where n.order_id = ${order.order_id}`;
  assert.deepEqual(mails.map(({ status, job }) => [status, job]), [["skipped", "done"]]);
});

Deno.test("after an outage the latest reminder goes out, and none that is hours too late", async () => {
  const at = nextDay();
  const missedFirst = await expired(sql, at);
  await queueAt(sql, later(at, 26));
  assert.deepEqual(await mailsOf(sql, missedFirst), ["payment_reminder:2"]);
  const missedBoth = await expired(sql, later(at, -10));
  await queueAt(sql, later(at, 26));
  assert.deepEqual(await mailsOf(sql, missedBoth), []);
});

Deno.test("how many reminders and when is a setting, and [] means none", async () => {
  const at = nextDay();
  const order = await expired(sql, at);
  await set(sql, "recovery_reminder_hours", []);
  await queueAt(sql, later(at, 2));
  assert.deepEqual(await mailsOf(sql, order), []);
  await set(sql, "recovery_reminder_hours", [2, 3, 4]);
  for (const hours of [2, 3, 4, 5]) await queueAt(sql, later(at, hours));
  assert.deepEqual(await mailsOf(sql, order), [1, 2, 3].map((step) => `payment_reminder:${step}`));
  await set(sql, "recovery_reminder_hours", [1, 24]);
});

Deno.test("settings of recovery that make no sense are refused", async () => {
  const bad: [string, postgres.JSONValue][] = [
    ["recovery_reminder_hours", [24, 1]],
    ["recovery_reminder_hours", [1, 1]],
    ["recovery_reminder_hours", ["1"]],
    ["recovery_reminder_hours", [0]],
    ["recovery_reminder_hours", [1, 2, 3, 4, 5, 6]],
    ["recovery_reminder_hours", 1],
    ["recovery_decline_minutes", -1],
    ["recovery_decline_minutes", "15"],
    ["recovery_needs_consent", "yes"],
  ];
  for (const [key, value] of bad) {
    await assert.rejects(
      () => set(sql, key, value),
      /settings_recovery_fits/,
      `${key} ${JSON.stringify(value)}`,
    );
  }
});

/** Everything that speaks against a reminder, and what the mail that waits says then. */
const stops: [what: string, stop: (order: Begun, at: Date) => Promise<unknown>, problem: string][] = [
  ["cancelled", (o) => sql`select public.cancel_order(${o.order_number})`, "the order has been cancelled"],
  ["erased", async (o) => {
    const [row] = await sql<{ email: string }[]>`select email from public.orders where id = ${o.order_id}`;
    await sql`select public.erase_customer(${row?.email ?? ""})`;
  }, "the personal data of the order has been erased"],
  ["paid late", (o) => pay(sql, o, `card_${o.order_number}`, "succeeded"), "the order has been paid"],
  ["opened again by its shopper", async (o) => {
    await sql`select public.resume_checkout(${o.order_id}, 1860, 3660)`;
  }, "the order is open again"],
  [
    "of somebody who hit a velocity rule",
    (o) =>
      sql`insert into public.fraud_signals (order_id, kind, severity, data)
      values (${o.order_id}, 'velocity', 'warning', '{}')`,
    "a velocity rule was hit",
  ],
  [
    "with a payment that Radar blocked",
    (o) =>
      sql`insert into public.payment_attempts (id, payment_id, order_id, outcome, livemode, version, created_at)
      values (${`ch_${o.order_number}`}, ${`pi_${o.order_number}`}, ${o.order_id}, 'blocked', false, '', now())`,
    "a payment was blocked",
  ],
  ["of somebody who has unsubscribed", async (o) => {
    const [row] = await sql<{ email: string }[]>`select email from public.orders where id = ${o.order_id}`;
    await suppressReminders(sql, row?.email ?? "");
  }, "the shopper has unsubscribed"],
  ["of somebody who has ordered again", async (o) => {
    const [row] = await sql<{ email: string }[]>`select email from public.orders where id = ${o.order_id}`;
    await begun(sql, { email: row?.email.toUpperCase() ?? "" });
  }, "the shopper has ordered again"],
  [
    "of goods that are no longer offered",
    () => sql`update public.product_variants set active = false where sku = 'HAT'`,
    "the goods are sold out",
  ],
];

for (const [what, stop, problem] of stops) {
  Deno.test(`no reminder of an order ${what}, whether it comes before the mail is queued or after`, async () => {
    const at = nextDay();
    const sku = what.startsWith("of goods") ? "HAT" : "SHIRT";
    const waiting = await expired(sql, at, { sku });
    assert.equal(await queueAt(sql, later(at, 1)), 1);
    await stop(waiting, at);
    const [mail] = await sql<{ id: string }[]>`
      select id from public.notifications where order_id = ${waiting.order_id} and template = 'payment_reminder'`;
    const [row] = await sql`select public.get_notification(${mail?.id ?? null}) ->> 'problem' as problem`;
    assert.equal(row?.["problem"], problem);

    const again = nextDay();
    await sql`update public.product_variants set active = true where sku = 'HAT'`;
    const stopped = await expired(sql, again, { sku });
    await stop(stopped, again);
    assert.equal(await queueAt(sql, later(again, 1)), 0);
    assert.equal(await queueAt(sql, later(again, 24)), 0);
    await sql`update public.product_variants set active = true where sku = 'HAT'`;
  });
}

Deno.test("the last piece, sold to somebody else, ends the reminders of it", async () => {
  const at = nextDay();
  const order = await expired(sql, at, { sku: "HAT" });
  const others = [1, 2, 3].map(() => begun(sql, { sku: "HAT" }));
  await Promise.all(others);
  assert.equal(await queueAt(sql, later(at, 1)), 0);
  assert.deepEqual(await mailsOf(sql, order), []);
});

Deno.test("where consent is needed only those are reminded who gave it; nobody without an address is", async () => {
  const at = nextDay();
  const silent = await expired(sql, at);
  const refused = await expired(sql, at, { acceptsMarketing: false });
  const agreed = await expired(sql, at, { acceptsMarketing: true });
  const unknown = await expired(sql, at, { email: null, acceptsMarketing: true });
  const [optedIn, optedOut] = [await expired(sql, at), await expired(sql, at)];
  for (const [order, consent] of [[optedIn, "opt_in"], [optedOut, "opt_out"]] as const) {
    const { id } = await attachSession(sql, order);
    await sql`update public.checkout_sessions set promotions_consent = ${consent}, status = 'expired' where id = ${id}`;
    await sql`update public.orders set status = 'expired' where id = ${order.order_id}`;
  }
  await set(sql, "recovery_needs_consent", true);
  assert.equal(await queueAt(sql, later(at, 1)), 2);
  for (const order of [agreed, optedIn]) assert.deepEqual(await mailsOf(sql, order), ["payment_reminder:1"]);
  await set(sql, "recovery_needs_consent", false);
  assert.equal(await queueAt(sql, later(at, 1)), 1);
  assert.deepEqual(await mailsOf(sql, silent), ["payment_reminder:1"]);
  for (const order of [refused, unknown, optedOut]) assert.deepEqual(await mailsOf(sql, order), []);
});

/** A bank's no, `minutes` before now. */
async function declined({ order_id, order_number }: Begun, minutes: number): Promise<void> {
  await sql`insert into public.payment_attempts
      (id, payment_id, order_id, outcome, failure_code, livemode, version, created_at)
    values (${`ch_${order_number}_${minutes}`}, ${`pi_${order_number}`}, ${order_id}, 'failed', 'card_declined', false,
      '', now() - make_interval(mins => ${minutes}))`;
}

Deno.test("a decline that nobody paid after is mailed about once, fifteen minutes after the last one", async () => {
  const order = await begun(sql), trying = await begun(sql), early = await begun(sql), old = await begun(sql);
  for (const one of [order, trying, early, old]) await attachSession(sql, one);
  await declined(order, 20);
  await declined(trying, 20);
  await declined(trying, 3);
  await declined(early, 14);
  await declined(old, 8 * 60);
  const now = new Date();
  assert.equal(await queueAt(sql, now), 1);
  assert.equal(await queueAt(sql, now), 0);
  assert.deepEqual(await mailsOf(sql, order), ["payment_declined:1"]);
  for (const other of [trying, early, old]) assert.deepEqual(await mailsOf(sql, other), []);

  await set(sql, "recovery_decline_minutes", null);
  assert.equal(await queueAt(sql, later(now, 0.5)), 0);
  await set(sql, "recovery_decline_minutes", 15);
  // The page closes: the reminders go on from there.
  await sql`update public.checkout_sessions set status = 'expired' where order_id = ${early.order_id}`;
  assert.equal(await queueAt(sql, later(now, 0.1)), 0);
});

Deno.test("the heartbeat queues what is due", async () => {
  const order = await expired(sql, later(new Date(), -1.1));
  await sql`select public.enqueue_periodic_jobs()`;
  assert.deepEqual(await mailsOf(sql, order), ["payment_reminder:1"]);
});

Deno.test("the dashboard sees what reminders have brought", async () => {
  const at = later(new Date(), -2);
  const came = await expired(sql, at, { sku: "SHIRT" }), stayed = await expired(sql, at, { sku: "SHIRT" });
  assert.equal(await queueAt(sql, later(at, 1)), 2);
  await sql`update public.notifications set status = 'sent', sent_at = '2026-11-20T12:00:00Z'
    where order_id in ${sql([came.order_id, stayed.order_id])}`;
  await pay(sql, came, "card_recovered", "succeeded");
  const rows =
    await sql`select day::text, currency, orders_mailed, mails_sent, orders_recovered, amount_recovered
    from reporting.recovery where day = '2026-11-20'`;
  assert.deepEqual(rows.map((row) => ({ ...row })), [{
    day: "2026-11-20",
    currency: "usd",
    orders_mailed: "2",
    mails_sent: "2",
    orders_recovered: "1",
    amount_recovered: "1000",
  }]);
});
