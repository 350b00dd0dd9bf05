import assert from "node:assert/strict";
import { redrivenName } from "../../../supabase/functions/_shared/database/jobs.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { claim, clearQueue, enqueue, finish, jobRow } from "./queue.ts";
import { nonEmpty } from "../../support/non_empty.ts";

const database = await createTestDatabase();
const { sql } = database;

function test(name: string, work: () => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await clearQueue(sql);
      await work();
    },
  });
}
Deno.test.afterAll(() => database.drop());

async function deadEvent(id: string, type = "charge.failed"): Promise<number> {
  await sql`
    insert into public.webhook_events (id, type, status, livemode, stripe_created_at, payload)
    values (${id}, ${type}, 'failed', false, now(), '{}')`;
  const [job = 0] = await enqueue(sql, "retry_event", 1, { maxAttempts: 1, payload: { event_id: id } });
  await sql`update private.jobs set dedupe_key = 'retry_event:' || ${id} where id = ${job}`;
  await finish(sql, await claim(sql, 1, { kinds: ["retry_event"] }), { outcome: "retry", reason: "bug" });
  return job;
}

async function deadJob(kind: string): Promise<number> {
  const [job = 0] = await enqueue(sql, kind, 1, { maxAttempts: 1 });
  await finish(sql, await claim(sql, 1, { kinds: [kind] }), { outcome: "retry", reason: "bug" });
  assert.equal((await jobRow(sql, job)).status, "dead");
  return job;
}

async function settledEvent(id: string, type: string, payload: Record<string, unknown>): Promise<void> {
  await sql`
    insert into public.webhook_events (id, type, status, livemode, stripe_created_at, processed_at, payload)
    values (${id}, ${type}, 'processed', false, now(), now(), ${sql.json(payload as Json)})`;
}
type Json = Parameters<typeof sql.json>[0];

interface Selection {
  events?: string[];
  jobs?: number[];
  type?: string;
  all?: boolean;
  again?: boolean;
  dryRun?: boolean;
  after?: string | null;
  limit?: number | null;
}

async function redrive(
  { events = [], jobs = [], type, all = false, again = false, dryRun = false, after = null, limit = null }:
    Selection,
) {
  const [row] = await sql`
    select to_jsonb(public.redrive(${events}, ${jobs}::bigint[], ${
    type ?? null
  }, ${all}, ${dryRun}, 'test', ${again}, ${after}, ${limit})) as items`;
  return row?.items as { what: "event" | "job"; id: string; redriven: boolean; problem: string | null }[];
}

test("redrive() brings a dead event back with its job, and leaves an audit row", async () => {
  const job = await deadEvent("evt_1");
  await deadEvent("evt_2");
  const items = await redrive({ events: ["evt_1"] });
  assert.deepEqual(items.map(({ what, id, redriven }) => [what, id, redriven]), [["event", "evt_1", true]]);
  const events = await sql`select id, status from public.webhook_events order by id`;
  assert.deepEqual(events.map(({ status }) => status), ["failed", "dead"]);
  const row = await jobRow(sql, job);
  assert.deepEqual([row.status, row.attempts], ["queued", 0]);
  const [command] =
    await sql`select command, args, actor from public.staff_commands order by created_at desc limit 1`;
  assert.deepEqual(command, {
    command: "redrive_webhook_event",
    args: { event_id: "evt_1" },
    actor: "postgres (test)",
  });
});

test("redrive() by type and for all takes what is dead and nothing else", async () => {
  await deadEvent("evt_3", "charge.failed");
  await deadEvent("evt_4", "refund.updated");
  const mail = await deadJob("send_mail");
  const refund = await deadJob("refund_payment");
  const [done = 0] = await enqueue(sql, "purge");
  await finish(sql, await claim(sql, 1, { kinds: ["purge"] }), { outcome: "done" });

  assert.deepEqual((await redrive({ type: "send_mail" })).map(({ id }) => id), [String(mail)]);
  assert.deepEqual((await redrive({ type: "refund.updated" })).map(({ id }) => id), ["evt_4"]);
  const rest = await redrive({ all: true });
  assert.deepEqual(rest.map(({ id }) => id).sort(), ["evt_3", "evt_4", String(refund)].sort());
  assert.ok(nonEmpty(rest).every(({ redriven }) => redriven));
  assert.equal((await jobRow(sql, done)).status, "done");
});

for (const dryRun of [false, true]) {
  test(`redrive() takes so many at a time, each once, ${dryRun ? "to look" : "and no others"}`, async () => {
    const ids = ["a", "A", "b"].map((name) => `evt_${dryRun}_${name}`);
    for (const id of ids) await deadEvent(id);
    const jobs = [await deadJob("send_mail"), await deadJob("refund_payment")];
    const taken: string[] = [];
    for (let after: string | null = null; taken.length < 10;) {
      const items = await redrive({ all: true, dryRun, after, limit: 2 });
      taken.push(...items.map(redrivenName));
      const [queued] = await sql`select count(*)::int as count from public.staff_commands
        where coalesce(args ->> 'event_id', args ->> 'job_id') = any (${[...ids, ...jobs.map(String)]})`;
      assert.equal(queued?.["count"], dryRun ? 0 : taken.length);
      after = taken.at(-1) ?? null;
      if (items.length < 2) break;
    }
    assert.deepEqual(
      taken.toSorted(),
      [...ids.map((id) => `event ${id}`), ...jobs.map((id) => `job ${id}`)].sort(),
    );
  });
}

test("redrive() hurries what has failed and waits for its next try, and asks its provider at once", async () => {
  const [failed = 0] = await enqueue(sql, "refund_payment");
  const failure = { outcome: "retry", reason: "503", provider_state: "down", run_at: "2100-01-01T00:00:00Z" };
  await finish(sql, await claim(sql, 1), failure);
  await enqueue(sql, "refund_payment");
  await sql`
    insert into private.circuit_breakers (provider, failures, opened_at, open_until)
    values ('stripe', 9, now(), now() + interval '1 hour')
    on conflict (provider) do update set failures = 9, opened_at = now(), open_until = excluded.open_until`;
  const items = await redrive({ all: true });
  assert.deepEqual(items.map(({ id, redriven }) => [id, redriven]), [[String(failed), true]]);
  assert.ok((await jobRow(sql, failed)).wait_seconds <= 0);
  assert.equal((await claim(sql, 10)).length, 1, "one job finds out whether the provider is back");
});

test("redrive() in a dry run lists and changes nothing", async () => {
  await deadEvent("evt_5");
  const job = await deadJob("send_mail");
  const before = await sql`select count(*)::integer as count from public.staff_commands`;
  const items = await redrive({ all: true, dryRun: true });
  assert.deepEqual(items.map(({ redriven }) => redriven), [false, false]);
  assert.equal((await jobRow(sql, job)).status, "dead");
  assert.deepEqual(await sql`select count(*)::integer as count from public.staff_commands`, before);
});

test("redrive() says why it leaves something alone", async () => {
  const [done = 0] = await enqueue(sql, "purge");
  await finish(sql, await claim(sql, 1), { outcome: "done" });
  const items = await redrive({ events: ["evt_unknown"], jobs: [done, 999_999] });
  assert.deepEqual(items.map(({ problem }) => problem), [
    "is not stored here; reconcile fetches it, if Stripe still has it",
    "is done",
    "is not stored here",
  ]);
});

test("a dead event that is delivered again and fails again is tried again", async () => {
  const job = await deadEvent("evt_6");
  const deliver = async (error: string | null) => {
    const [row] = await sql`
      select outcome from public.receive_stripe_event('evt_6', 'charge.failed', false, null, now(), null, '{}', '[]',
        ${error === null ? "not ours" : null}, ${error}, '[]')`;
    return row?.outcome;
  };
  assert.equal(await deliver("the same bug"), "queued");
  const [event] = await sql`select status from public.webhook_events where id = 'evt_6'`;
  assert.equal(event?.status, "failed");
  assert.deepEqual([(await jobRow(sql, job)).status, (await jobRow(sql, job)).attempts], ["queued", 0]);

  await finish(sql, await claim(sql, 1, { kinds: ["retry_event"] }), { outcome: "discard", reason: "" });
  await sql`update public.webhook_events set status = 'dead' where id = 'evt_6'`;
  await sql`update private.jobs set status = 'dead' where id = ${job}`;
  assert.equal(await deliver(null), "ignored");
  assert.equal((await jobRow(sql, job)).status, "queued", "its job comes to an end, and its alert with it");
});

test("redrive(): a job that gets done after all resolves its alert", async () => {
  const job = await deadJob("send_mail");
  await redrive({ jobs: [job] });
  await finish(sql, await claim(sql, 1, { kinds: ["send_mail"] }), { outcome: "done" });
  const [alert] = await sql`select status from public.alerts where kind = 'job_dead'`;
  assert.equal(alert?.status, "resolved");
});

test("redrive() has a named event translated anew that was processed; by type only when asked for", async () => {
  await settledEvent("evt_7", "charge.updated", { id: "evt_7" });
  await settledEvent("evt_8", "charge.updated", { id: "evt_8" });
  assert.deepEqual(await redrive({ type: "charge.updated" }), []);
  assert.deepEqual((await redrive({ events: ["evt_7"] })).map(({ problem }) => problem), [null]);
  const dueAgain = async () =>
    (await sql`select id, status from public.webhook_events where next_attempt_at is not null and type = 'charge.updated' order by id`)
      .map(({ id, status }) => `${id} ${status}`);
  assert.deepEqual(await dueAgain(), ["evt_7 processed"], "it stays processed until it has been tried");
  assert.deepEqual((await redrive({ type: "charge.updated", again: true })).map(({ id }) => id), [
    "evt_7",
    "evt_8",
  ]);
  assert.deepEqual(await dueAgain(), ["evt_7 processed", "evt_8 processed"]);

  const retry = async (id: string) => {
    const [row] = await sql`select outcome from public.retry_stripe_event(${id}, '[]', 'not ours', null)`;
    return row?.outcome;
  };
  assert.equal(await retry("evt_7"), "ignored", "the new translation has the last word");
  assert.equal(await retry("evt_7"), "duplicate", "once");
  const [job] = await sql`select id from private.jobs where dedupe_key = 'retry_event:evt_7'`;
  await finish(sql, await claim(sql, 9, { kinds: ["retry_event"] }), { outcome: "done" });
  await redrive({ events: ["evt_7"] });
  assert.equal((await jobRow(sql, Number(job?.id))).status, "queued", "again, after its job was done");
});

test("redrive() leaves alone what has no payload any more", async () => {
  await settledEvent("evt_9", "charge.updated", { erased: true });
  await settledEvent("evt_10", "charge.updated", { purged: true });
  const items = await redrive({ events: ["evt_9", "evt_10"] });
  assert.deepEqual(items.map(({ problem }) => problem), [
    "has no payload any more",
    "has no payload any more",
  ]);
  assert.deepEqual(
    await redrive({ type: "charge.updated", again: true, dryRun: true }).then((all) =>
      all.filter(({ id }) => id === "evt_9" || id === "evt_10")
    ),
    [],
  );
});

test("an event that fails anew after its job had ended is tried again", async () => {
  // Facts that nobody can merge.
  const deliver = (version: string) =>
    sql`select public.receive_stripe_event(
      'evt_again', 'charge.failed', false, ${version}, now(), null, '{"id": "evt_again"}',
      '[{"fact": "riddle"}]', null, null, '[]')`;
  await deliver("2025-01-01");
  const [job] = await sql<{ id: string }[]>`
    select id from private.jobs where dedupe_key = 'retry_event:evt_again'`;
  await sql`select public.retry_stripe_event('evt_again', '[]', null, null)`;
  await sql`update private.jobs set status = 'done', finished_at = now() where id = ${job?.id ?? null}`;
  await deliver("2026-01-01");
  const [event] = await sql`select status from public.webhook_events where id = 'evt_again'`;
  assert.equal(event?.["status"], "failed");
  assert.equal((await jobRow(sql, Number(job?.id))).status, "queued");
});

test("purge_old_data() leaves an old event its payload while it waits to be applied anew", async () => {
  await settledEvent("evt_old", "charge.failed", { id: "evt_old" });
  await settledEvent("evt_waits", "charge.failed", { id: "evt_waits" });
  await sql`update public.webhook_events set received_at = now() - interval '1 year'
    where id in ('evt_old', 'evt_waits')`;
  await redrive({ events: ["evt_waits"] });
  await sql`select public.purge_old_data(1000)`;
  const rows = await sql`select id, payload ? 'purged' as purged from public.webhook_events
    where id in ('evt_old', 'evt_waits') order by id`;
  assert.deepEqual(rows.map(({ id, purged }) => [id, purged]), [["evt_old", true], ["evt_waits", false]]);
});
