/**
 * A setting never changes an order that exists: what it decides is frozen when the decision is due. A shop with orders at
 * every point of every life changes all of its settings and settles everything again; no row may change.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { arrange, deliver } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { searchDatabase } from "./search.ts";
import { beginOrder } from "./shop.ts";
import { Story } from "./story.ts";
import { type Lifecycle } from "./lifecycle.ts";

/** Two values that a setting may have. A setting without an entry fails the test below. */
const settingValues: Record<string, [unknown, unknown]> = {
  low_stock_at: [3, 12],
  order_number_prefix: ["", "X-"],
  admin_require_mfa: [false, true],
  early_fraud_warning_policy: ["refund", "review"],
  event_retry_base_seconds: [10, 1],
  event_retry_max_seconds: [3_600, 60],
  prices_include_tax: [false, true],
  retention_payload_days: [90, 1],
  retention_log_days: [90, 1],
  retention_alert_days: [365, 1],
  retention_event_days: [1095, 60],
  retention_foreign_days: [3, 1],
  retention_signal_days: [365, 1],
  retention_unpaid_days: [90, 1],
  stock_shown_max: [20, 0],
  country_currencies: [{}, { DE: "eur" }],
  terms_version: [null, "2026-03"],
  shop_name: ["Our shop", "Another shop"],
  shop_sender_name: [null, "Orders"],
  shop_logo_url: [null, "/logo.png"],
  shop_accent_color: ["#1c1c1e", "#ffffff"],
  shop_contact_email: [null, "service@example.com"],
  shop_order_url: [null, "https://shop.example/orders/{number}"],
  shop_returns_url: [null, "/returns"],
  shop_privacy_url: [null, "/privacy"],
  shop_postal_address: [null, "Our shop\n1 Street"],
  shop_locale: ["en", "de-CH"],
  shop_time_zone: ["UTC", "Europe/Zurich"],
  shop_admin_order_url: [null, "https://shop.example/admin/{number}"],
  shop_runbook_url: [null, "https://shop.example/runbook"],
  digest_hour: [7, null],
  alert_at_once: ["critical", "info"],
  alert_group_minutes: [5, 0],
  recovery_decline_minutes: [15, null],
  recovery_reminder_hours: [[1, 24], [2]],
  recovery_needs_consent: [false, true],
  dispute_answer_hours: [48, null],
  dispute_accept_below: [{}, { usd: 99_999 }],
  dispute_win_percent: [{}, { fraudulent: 30 }],
  shop_statement_descriptor: [null, "OUR SHOP"],
};

/** Changes of the tables that are settings too, each to rows that are valid. */
const changes: Record<string, string> = {
  "velocity rules that hit everything": `update private.velocity_rules
    set enabled = true, threshold = 1, baseline_share = null, window_seconds = 31 * 86400, action = 'review'`,
  "new velocity rules on card and delivery address": `insert into private.velocity_rules
    (name, subject, measure, window_seconds, threshold, currency, action, description)
    select 'new_' || s || '_' || m, s, m, 31 * 86400, 1, 'usd', 'review', 'new'
    from unnest(array['card', 'shipping_address']) s, unnest(array['cards', 'emails', 'amount', 'unpaid_checkouts']) m`,
  "no velocity rules left": "delete from private.velocity_rules",
  "throw-away domains": "insert into private.disposable_email_domains values ('example.com')",
  "delivery prices": `insert into public.shipping_rates (name, amount, currency) values ('New', 1, 'usd')`,
  "kinds of job": `update private.job_kinds
    set max_attempts = 1, backoff_base_seconds = 1, backoff_max_seconds = 2, retention = interval '1 second', provider = null`,
  "periods": "update private.periodic_jobs set every = every * 2",
  "catalogue": `with p as (update public.products set name = 'New', active = false)
    update public.product_variants set sku = 'NEW', price_amount = 1, size = 'S', color = 'Red', currency = 'eur', active = false`,
};

/** Tables that the changes above write; everything else must stay as it is. */
const settings = [
  "private.settings",
  "private.velocity_rules",
  "private.disposable_email_domains",
  "public.shipping_rates",
  "private.job_kinds",
  "private.periodic_jobs",
  "public.products",
  "public.product_variants",
];

const database = await searchDatabase(10_000);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

/** Orders of every life, one for each number of its events that have come. Returns how many. */
async function fillShop(tx: Tx): Promise<number> {
  let count = 0;
  for (const [index, lifecycle] of lifecycles.entries()) {
    for (let told = 0, all = 1; told <= all; told++, count++) {
      const mode = count % 2 === 0 ? "enforce" : "report";
      const story = new Story(await beginOrder(tx), 60, `T${index}n${told}`);
      await tx`update public.order_risk set velocity_mode = ${mode} where order_id = ${story.frame.orderId}`;
      const moves = await arrange(tx, lifecycle satisfies Lifecycle, story);
      all = moves.length;
      await deliver(tx, moves.slice(0, told));
    }
  }
  return count;
}

/** Notes of what was settled, which say nothing of an order. */
const notes = ["private.unchecked_orders"];

/** A hash of the rows of every table that is no setting. */
async function rows(tx: Tx): Promise<Record<string, string>> {
  const tables = await tx`select n.nspname || '.' || c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'private') and c.relkind = 'r' order by 1`;
  const found: Record<string, string> = {};
  for (const { name } of tables.filter(({ name }) => ![...settings, ...notes].includes(name))) {
    const [row] = await tx.unsafe(
      `select md5(coalesce(string_agg(t::text, ';' order by t::text), '')) as hash from ${name} t`,
    );
    found[name] = row?.["hash"];
  }
  return found;
}

/** What is broken. Some sessions here will never be heard of; that their money waits for them is no fault. */
async function violations(tx: Tx): Promise<unknown[]> {
  return [
    ...await tx`select * from public.check_invariants()
      where invariant <> 'money of an order came through one of its sessions'`,
  ];
}

async function settleAll(tx: Tx): Promise<void> {
  await tx`select private.settle_order(id, 'test') from public.orders order by id`;
}

/** By way of a text: the driver takes a JSON null for no value at all. */
const write = (tx: Tx | postgres.Sql, key: string, value: unknown) =>
  tx`update private.settings set value = (${JSON.stringify(value)}::text)::jsonb where key = ${key}`;

Deno.test("every setting has its values in this file, and every table of settings its changes", async () => {
  const keys = await sql`select key from private.settings order by key`;
  assert.deepEqual(keys.map(({ key }) => key), Object.keys(settingValues).sort());
});

Deno.test("a setting that mails show has a value that they can show", async () => {
  const refused: [string, unknown][] = [
    ["shop_name", null],
    ["shop_name", "two\nlines"],
    ["shop_name", 1],
    ["shop_accent_color", "red"],
    ["shop_accent_color", "#fff"],
    ["shop_logo_url", "http://shop.example/logo.png"],
    ["shop_logo_url", "//shop.example/logo.png"],
    ["shop_order_url", "javascript:alert(1)"],
    ["shop_returns_url", "https://shop.example/a b"],
    ["shop_privacy_url", "https://me@shop.example/"],
    ["shop_contact_email", "service"],
    ["shop_locale", "English"],
    ["shop_time_zone", "Europe/Atlantis"],
    ["shop_postal_address", ""],
  ];
  for (const [key, value] of refused) {
    await assert.rejects(write(sql, key, value), /settings_shop_fits/, `${key} = ${JSON.stringify(value)}`);
  }
});

Deno.test("a setting of disputes has a value that the decision can read", async () => {
  const refused: [string, unknown][] = [
    ["dispute_answer_hours", 0],
    ["dispute_answer_hours", "48"],
    ["dispute_accept_below", null],
    ["dispute_accept_below", { USD: 100 }],
    ["dispute_accept_below", { usd: -1 }],
    ["dispute_accept_below", { usd: "100" }],
    ["dispute_win_percent", { fraudulent: 101 }],
    ["dispute_win_percent", []],
  ];
  for (const [key, value] of refused) {
    await assert.rejects(
      write(sql, key, value),
      /settings_dispute_fits/,
      `${key} = ${JSON.stringify(value)}`,
    );
  }
});

/** Makes the changes, settles everything again, and says whether the rows of all orders stayed as they were. */
async function survives(tx: Tx, base: number, names: string[], before: Record<string, string>) {
  await tx`savepoint change`;
  for (const name of names) {
    const statement = changes[name];
    if (statement !== undefined) await tx.unsafe(statement);
    else await write(tx, name, settingValues[name]?.[1 - base]);
  }
  await settleAll(tx);
  const after = await rows(tx);
  const broken = await violations(tx);
  await tx`rollback to savepoint change`;
  return broken.length === 0 && Object.keys(before).every((table) => before[table] === after[table]);
}

/** Two rounds, since no rule at all hides what other rules would do. */
async function keepsThePast(tx: Tx, base: number): Promise<void> {
  const before = await rows(tx);
  assert.deepEqual(await violations(tx), []);
  const every = [...Object.keys(settingValues), ...Object.keys(changes)];
  const strict = every.filter((name) => !name.startsWith("no velocity rule"));
  const none = ["no velocity rules left"];
  for (const names of [strict, none]) {
    if (await survives(tx, base, names, before)) continue;
    const guilty = [];
    for (const name of names) if (!await survives(tx, base, [name], before)) guilty.push(name);
    assert.fail(`orders that exist are changed by ${guilty.join(", ") || names.join(" and ")}`);
  }
}

/** Old alerts and finished jobs go, and settling everything again tells nobody anything. */
async function forgetsInPeace(tx: Tx): Promise<void> {
  await tx`update public.alerts set status = 'resolved', last_at = now() - interval '400 days'`;
  await tx`update private.jobs set status = 'done', finished_at = now() - interval '400 days',
    lease_id = null, leased_until = null`;
  await tx`update public.notifications set status = 'sent'`;
  await tx`update public.refund_requests set status = 'done' where status = 'queued'`;
  await settleAll(tx);
  await tx`update private.jobs set status = 'done', finished_at = now() - interval '400 days'`;
  for (let round = 0; round < 2; round++) await tx`select public.purge_old_data(100000)`;
  assert.equal((await tx`select 1 from public.alerts`).length, 0);
  await settleAll(tx);
  assert.deepEqual([...await tx`select kind, dedupe_key from public.alerts`], []);
  const told = await tx`select distinct kind from private.jobs where status = 'queued' order by 1`;
  // Content with a page that has ended: the one thing that is cheaper to ask twice than to remember.
  assert.deepEqual(told.map(({ kind }) => kind), ["expire_checkout_session"]);
}

for (const base of [0, 1]) {
  Deno.test(`a shop with orders at every point of every life, made under ${base === 0 ? "the defaults" : "other settings"}`, async (t) => {
    const tx = await sql.reserve();
    try {
      await tx`begin`;
      for (const [key, values] of Object.entries(settingValues)) await write(tx, key, values[base]);
      const orders = await fillShop(tx);
      assert(orders > 150, `${orders} orders`);
      await settleAll(tx);
      await tx`savepoint filled`;
      await t.step("no setting changes the past", () => keepsThePast(tx, base));
      if (base === 1) return;
      await tx`rollback to savepoint filled`;
      await t.step("what retention deleted is no news", () => forgetsInPeace(tx));
    } finally {
      await tx`rollback`;
      tx.release();
    }
  });
}
