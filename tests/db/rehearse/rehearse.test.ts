/** A rehearsal against a small log of all lifecycles, in a shadow beside the live database. */
import assert from "node:assert/strict";
import { atOneMoment } from "../../../scripts/quality/rehearse/live.ts";
import { type RehearsalReport, rehearse } from "../../../scripts/quality/rehearse/rehearsal.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { lifecycles } from "../settlement/lifecycles.ts";
import type { Story } from "../settlement/story.ts";
import { openShop, tellOrder } from "./log.ts";

const live = await createTestDatabase();
const { sql } = live;
Deno.test.afterAll(() => live.drop());

await openShop(sql);
const stories = new Map<string, Story>();
for (const [at, life] of lifecycles.entries()) stories.set(life.name, await tellOrder(sql, life, `L${at}`));

interface Options {
  url?: string;
  /** SQL that makes the checkout another one. */
  code?: string;
  limit?: number;
  since?: Date;
}

async function rehearsal({ url = live.url, code, limit, since }: Options = {}): Promise<RehearsalReport> {
  await using shadow = await createTestDatabase();
  if (code !== undefined) await shadow.sql.unsafe(code).simple();
  return await rehearse({
    liveUrl: url,
    since: since ?? null,
    limit: limit ?? null,
    shadowUrl: shadow.url,
    progress: () => {},
  });
}

/** Rehearses with something changed in the live database, and changes it back. */
async function withChange(
  { change, back }: { change: string; back: string },
  options: Options = {},
): Promise<RehearsalReport> {
  await sql.unsafe(change).simple();
  try {
    return await rehearsal(options);
  } finally {
    await sql.unsafe(back).simple();
  }
}

function storyOf(name: string): Story {
  const story = stories.get(name);
  assert.ok(story !== undefined, name);
  return story;
}

/** What a report says of each order that differs, without the names of its rows. */
function columns({ differing }: RehearsalReport): Record<string, string[]> {
  return Object.fromEntries(differing.map(({ number, differences }) => [
    number,
    differences.map(({ what, live, shadow }) => `${what}: ${live} → ${shadow}`),
  ]));
}

/** A function of the schema with a text of its source replaced. */
async function changedFunction(name: string, from: string, to: string): Promise<string> {
  const [row] = await sql`select pg_get_functiondef(${name}::regproc) as source`;
  const source: string = row?.["source"];
  assert.ok(source.includes(from), name);
  return source.replace(from, to);
}

/** A digest of every row that a database has. */
async function contents(): Promise<string> {
  const [row] = await sql`select md5(string_agg(
      table_schema || table_name
        || query_to_xml(format('select md5(string_agg(t::text || t.xmin::text, '','' order by t::text)) from %I.%I t',
          table_schema, table_name), false, false, '')::text,
      ',' order by table_schema, table_name)) as digest
    from information_schema.tables where table_type = 'BASE TABLE'
      and table_schema in ('public', 'private', 'supabase_migrations')`;
  return row?.["digest"];
}

Deno.test("an unchanged checkout finds no difference in any lifecycle, and writes nothing to the live database", async () => {
  // Whoever may only read is enough, and every row is as it was, down to who wrote it last.
  const reader = `reader_${crypto.randomUUID().slice(0, 8)}`;
  await sql.unsafe(`create role ${reader} login password 'reader' in role pg_read_all_data`);
  const before = await contents();
  try {
    const url = new URL(live.url);
    [url.username, url.password] = [reader, "reader"];
    await assert.rejects(rehearsal({ url: url.href }), /role may not read the whole live database/);
    await sql.unsafe(`alter role ${reader} bypassrls`);
    const report = await rehearsal({ url: url.href });
    assert.deepEqual(columns(report), {});
    assert.deepEqual([report.failures, report.not_rehearsed, report.with_readings], [[], [], []]);
    assert.equal(report.orders, lifecycles.length);
    const [stored] = await sql`select count(*)::int as events from public.webhook_events`;
    assert.equal(report.events, stored?.["events"]);
    assert.equal(await contents(), before);
  } finally {
    await sql.unsafe(`drop role ${reader}`);
  }
});

Deno.test("a superuser's rehearsal writes nothing either: Postgres itself refuses", async () => {
  await assert.rejects(
    atOneMoment(live.url, async ({ read }) => {
      await read(
        "public.orders",
        ["id"],
        "where public.purge_old_data(1) is not null",
        () => Promise.resolve(),
      );
    }),
    /read-only transaction/,
  );
});

Deno.test("what the events of three orders now say otherwise is reported as exactly those three", async () => {
  const [refunded, arrived, expired] = ["full refund", "slow payment arrives", "expired"].map(storyOf);
  const changed = (path: string, from: string, to: string, id?: string) => ({
    change: `update public.webhook_events set payload = jsonb_set(payload, '${path}', '${to}')
      where id = '${id}' and payload #> '${path}' = '${from}';`,
    back:
      `update public.webhook_events set payload = jsonb_set(payload, '${path}', '${from}') where id = '${id}';`,
  });
  const eventOf = (story: Story | undefined, type: string) => story?.events.find((e) => e.type === type)?.id;
  const changes = [
    changed("{data,object,amount}", "25800", "5800", eventOf(refunded, "refund.created")),
    changed(
      "{data,object,amount_total}",
      "25800",
      "25900",
      eventOf(arrived, "checkout.session.async_payment_succeeded"),
    ),
    changed("{data,object,status}", '"expired"', '"complete"', eventOf(expired, "checkout.session.expired")),
  ];
  const report = await withChange({
    change: changes.map(({ change }) => change).join(""),
    back: changes.map(({ back }) => back).join(""),
  });
  const numbers = [refunded, arrived, expired].map((story) => story?.frame.orderNumber ?? "");
  const found = columns(report);
  assert.deepEqual(Object.keys(found).sort(), [...numbers].sort());
  const [ofRefunded = [], ofArrived = [], ofExpired = []] = numbers.map((number) => found[number] ?? []);
  assert.ok(ofRefunded.includes("orders.amount_refunded: 25800 → 5800"), String(ofRefunded));
  assert.ok(ofRefunded.includes("orders.status: refunded → partially_refunded"), String(ofRefunded));
  assert.ok(ofArrived.includes("orders.status: paid → needs_review"), String(ofArrived));
  assert.ok(ofExpired.includes("orders.status: expired → processing"), String(ofExpired));
  assert.ok(
    ofExpired.some((text) => /^inventory_reservations.*: released → active$/.test(text)),
    String(ofExpired),
  );
});

Deno.test("a changed rule is reported for the orders that it concerns, and no other", async () => {
  const code = await changedFunction("private.derive_order", "then 'payment_failed'", "then 'expired'");
  const failed = await sql`select number from public.orders where status = 'payment_failed'`;
  assert.ok(failed.length > 0 && failed.length < lifecycles.length);
  const found = columns(await rehearsal({ code }));
  assert.deepEqual(
    found,
    Object.fromEntries(failed.map(({ number }) => [
      number,
      ["orders.status: payment_failed → expired"],
    ])),
  );
});

Deno.test("a refund and a mail that this checkout would make are reported", async () => {
  const code = [
    await changedFunction(
      "private.settle_paid_effects",
      "if o.oversold_at is not null or o.cancelled_at is not null then",
      "if o.paid_at is not null then",
    ),
    await changedFunction(
      "private.settle_unfulfillable",
      "o.oversold_at is not null",
      "o.paid_at is not null",
    ),
  ].join(";\n");
  const number = storyOf("pay").frame.orderNumber;
  const found = columns(await rehearsal({ code }))[number];
  assert.deepEqual(found?.filter((text) => !text.startsWith("orders.")), [
    "notifications[order_unfulfillable ]: (none) → (there)",
    `refund_requests[oversold:${storyOf("pay").id("pi", "a")}]: (none) → (there)`,
  ]);
});

Deno.test("an order whose payloads are gone, or whose person was erased, is not rehearsed but named", async () => {
  const [purged, erased] = ["pay", "expired"].map(storyOf);
  const of = `where id like 'evt_${purged?.tag}_%'`;
  await sql.unsafe(`create table kept as select id, payload from public.webhook_events ${of}`);
  const id = erased?.frame.orderId;
  const report = await withChange({
    change: `update public.webhook_events set payload = '{"purged": true}' ${of};
      update public.orders set erased_at = now(), amount_paid = 1 where id = '${id}'`,
    back: `update public.webhook_events e set payload = k.payload from kept k where k.id = e.id;
      update public.orders set erased_at = null, amount_paid = 0 where id = '${id}'; drop table kept`,
  });
  assert.deepEqual(columns(report), {});
  assert.equal(report.orders, lifecycles.length - 2);
  assert.deepEqual(Object.fromEntries(report.not_rehearsed.map(({ number, reason }) => [number, reason])), {
    [purged?.frame.orderNumber ?? ""]: "payloads of its events are gone",
    [erased?.frame.orderNumber ?? ""]: "its person was erased",
  });
});

Deno.test("what only a reading from Stripe told is taken over and named; what an event told is not", async () => {
  const [missed, told] = ["refund that is pending, then succeeds", "two partial refunds"].map(storyOf);
  const lost = `id = 'evt_${missed?.tag}_06_refund.updated'`;
  const refund = (name: string | undefined) => `id = '${name}'`;
  await sql.unsafe(`create table kept as select * from public.webhook_events where ${lost};
    create table kept_refunds as select * from public.refunds`).simple();
  // The event never came: the job that reads each refund again found what had become of it. And it read another one,
  // of which an event has told the same already.
  const read = (id: string | undefined) =>
    `update public.refunds set version = regexp_replace(version, '\\d{12}\\|', '000000000123|') where ${
      refund(id)
    };`;
  const report = await withChange({
    change: `delete from public.webhook_events where ${lost}; ${read(missed?.id("re", "1"))}
      ${read(told?.id("re", "1"))} update public.refunds set amount = amount + 1 where ${
      refund(told?.id("re", "1"))
    }`,
    back: `insert into public.webhook_events select * from kept; drop table kept;
      update public.refunds r set version = k.version, amount = k.amount from kept_refunds k where k.id = r.id;
      drop table kept_refunds`,
  });
  assert.deepEqual(report.with_readings, [missed?.frame.orderNumber]);
  assert.deepEqual(columns(report), {
    [told?.frame.orderNumber ?? ""]: [`refunds[${told?.id("re", "1")}].amount: 5001 → 5000`],
  });
});

Deno.test("limit and since choose the newest orders", async () => {
  assert.equal((await rehearsal({ limit: 3 })).orders, 3);
  assert.equal((await rehearsal({ since: new Date(Date.now() + 60_000) })).orders, 0);
});
