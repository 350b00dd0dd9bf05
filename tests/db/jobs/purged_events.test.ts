/** Rows of events go after years; their ids are known for ever. */
import assert from "node:assert/strict";
import { connect } from "../../../scripts/lib/connection.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { eventually } from "../../support/poll.ts";
import { admin, asRole, customer, sqlstateOf } from "../../support/role.ts";

const database = await createTestDatabase("seeded");
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const daysAgo = (days: number) => new Date(Math.floor(Date.now() / 1_000 - days * 86_400) * 1_000);
const old = daysAgo(1_100);

async function deliver(id: string, createdAt = old, error: string | null = null, db = sql): Promise<string> {
  const [row] = await db`
    select outcome from public.receive_stripe_event(${id}, 'product.created', false, null, ${createdAt}, null,
      ${db.json({ id })}, null, ${error === null ? "not ours" : null}, ${error}, '[]')`;
  return row?.["outcome"];
}

/** An event that was stored when it happened. */
async function stored(id: string, days: number): Promise<void> {
  assert.equal(await deliver(id, daysAgo(days)), "ignored");
  await sql`update public.webhook_events set received_at = stripe_created_at where id = ${id}`;
}

async function purge(limit = 10): Promise<{ events: number; more: boolean }> {
  const [report] = await sql`select purged, more from public.purge_old_data(${limit})`;
  return { events: report?.["purged"].events, more: report?.["more"] };
}

const rowsOf = async (id: string) => (await sql`select from public.webhook_events where id = ${id}`).length;

Deno.test("an event goes after retention_event_days, and is a duplicate for ever: delivered, together with others, or fetched", async () => {
  await stored("evt_old", 1_100);
  await stored("evt_kept", 1_090);
  assert.deepEqual(await purge(), { events: 1, more: false });
  assert.deepEqual([await rowsOf("evt_old"), await rowsOf("evt_kept")], [0, 1]);

  for (let round = 0; round < 2; round++) {
    assert.equal(await deliver("evt_old"), "duplicate");
    const [fetched] = await sql`select * from public.reconcile_stripe_event(${crypto.randomUUID()}, ${
      sql.json({ id: "evt_old", type: "product.created", livemode: false, created: old.getTime() / 1_000 })
    }, null, 'not ours', null, false)`;
    assert.deepEqual([fetched?.["outcome"], fetched?.["changed"]], ["duplicate", false]);
  }
  const together = await sql`select outcome from public.receive_stripe_events(${
    sql.json([{
      p_event_id: "evt_old",
      p_type: "product.created",
      p_livemode: false,
      p_stripe_created_at: old.toISOString(),
      p_payload: {},
      p_ignored_reason: "not ours",
      p_alerts: [{ kind: "flood", severity: "info", dedupe_key: "flood" }],
    }])
  })`;
  assert.deepEqual(together.map(({ outcome }) => outcome), ["duplicate"]);
  assert.equal(await rowsOf("evt_old"), 0);
  assert.equal((await sql`select from public.alerts where kind = 'flood'`).length, 0);
  assert.equal((await sql`select from public.reconciliation_drift`).length, 0);
  const [unknown] = await sql`select public.list_unknown_events('{evt_never,evt_old,evt_kept}') as ids`;
  assert.deepEqual(unknown?.["ids"], ["evt_never"]);
});

Deno.test("an event that waits, was given up or is to be applied anew stays until that is done; the rest goes in turns", async () => {
  for (const id of ["evt_failed", "evt_dead", "evt_anew", "evt_done1", "evt_done2"]) await stored(id, 1_200);
  await sql`update public.webhook_events set status = 'failed', next_attempt_at = now() where id = 'evt_failed'`;
  await sql`update public.webhook_events set status = 'dead' where id = 'evt_dead'`;
  await sql`update public.webhook_events set next_attempt_at = now() where id = 'evt_anew'`;
  assert.deepEqual(await purge(1), { events: 1, more: true });
  assert.deepEqual(await purge(1), { events: 1, more: true });
  assert.deepEqual(await purge(1), { events: 0, more: false });
  for (const id of ["evt_failed", "evt_dead", "evt_anew"]) assert.equal(await rowsOf(id), 1, id);
  await sql`update public.webhook_events set status = 'processed', next_attempt_at = null where id like 'evt%'`;
  assert.equal((await purge()).events, 3);
});

Deno.test("an old event that comes again while its row goes is a duplicate", async () => {
  await stored("evt_race", 1_200);
  const purger = connect(database.url, { max: 1 }), other = connect(database.url, { max: 1 });
  try {
    await purger`begin`.simple();
    await purger`select public.purge_old_data(10)`;
    const again = deliver("evt_race", daysAgo(1_200), null, other);
    await eventually("the delivery to wait", async () => {
      const [row] = await sql`select count(*)::int as waiting from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      return row?.["waiting"] === 1;
    });
    await purger`commit`.simple();
    assert.equal(await again, "duplicate");
    assert.equal(await rowsOf("evt_race"), 0);
  } finally {
    await Promise.all([purger.end(), other.end()]);
  }
});

Deno.test("no role of the API reads or writes the ids of events that have gone", async () => {
  const everybody = ["anon", "authenticated", "service_role", admin("aal2"), customer(crypto.randomUUID())];
  for (const identity of everybody as Parameters<typeof asRole>[1][]) {
    for (const statement of ["select 1 from", "delete from"]) {
      const state = await sqlstateOf(
        asRole(sql, identity, (tx) => tx.unsafe(`${statement} private.purged_webhook_events`)),
      );
      assert.equal(state, "42501", statement);
    }
  }
});

Deno.test("events are kept for sixty days at least: what Stripe may send again is known by its row", async () => {
  const set = (days: number) =>
    sql`update private.settings set value = ${String(days)}::text::jsonb where key = 'retention_event_days'`;
  for (const days of [1, 59]) await assert.rejects(set(days), /settings_retention_keeps_events/);
  await set(60);
  await set(1_095);
});
