/** What staff are sent: an incident is one message, then one that it is over; what can wait is in the digest. */
import assert from "node:assert/strict";
import type {
  AlertMessage,
  TakenAlertMessage,
} from "../../../supabase/functions/_shared/database/notifications.ts";
import { eventually } from "../../support/poll.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

async function raise(kind: string, key: string, severity = "critical"): Promise<void> {
  await sql`select private.raise_alert(${kind}, ${severity}, ${`${kind}:${key}`}, ${
    sql.json({ order_number: key })
  })`;
}

/** Alerts of a kind that wait for a worker, oldest first. */
async function queued(kind: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select j.payload ->> 'alert_id' as id from private.jobs j
    join public.alerts a on a.id::text = j.payload ->> 'alert_id'
    where j.kind = 'send_alert' and a.kind = ${kind} order by j.id`;
  return rows.map(({ id }) => id);
}

async function take(alertId: string | undefined): Promise<TakenAlertMessage> {
  const [row] = await sql<{ message: TakenAlertMessage }[]>`
    select public.take_alert_message(${alertId ?? null}) as message`;
  assert(row !== undefined);
  return row.message;
}

async function taken(alertId: string | undefined): Promise<AlertMessage> {
  const message = await take(alertId);
  assert(message.outcome === "tell", message.outcome);
  return message;
}

async function sent({ alert_ids, over }: AlertMessage): Promise<void> {
  await sql`select public.record_alert_message(${alert_ids}, ${over})`;
}

/** Lets the time pass for which alerts of a kind are collected, or a lease runs. */
async function pass(kind: string): Promise<void> {
  await sql`update private.alert_incidents set told_at = told_at - interval '10 minutes',
    telling_until = telling_until - interval '10 minutes' where kind = ${kind}`;
}

async function resolve(kind: string, key: string): Promise<void> {
  await sql`update public.alerts set status = 'resolved' where dedupe_key = ${`${kind}:${key}`}`;
}

Deno.test("an incident is told at once, what follows is collected, and its end is told once", async () => {
  const kind = "incident";
  await raise(kind, "1");
  const [first] = await queued(kind);
  const begin = await taken(first);
  assert.deepEqual([begin.over, begin.count, begin.alerts[0]?.data], [false, 1, { order_number: "1" }]);
  await sent(begin);
  assert.equal((await take(first)).outcome, "told");

  for (let n = 2; n <= 40; n++) await raise(kind, `${n}`);
  await raise(kind, "40");
  const jobs = await queued(kind);
  assert.equal(jobs.length, 40, "each is a row before it is told");
  assert.equal((await take(jobs[1])).outcome, "wait");
  await pass(kind);
  const rest = await taken(jobs[7]);
  assert.deepEqual([rest.alert_ids.length, rest.alerts.length, rest.count], [39, 5, 40]);
  await sent(rest);
  assert.equal((await take(jobs[8])).outcome, "told");

  for (let n = 1; n < 40; n++) await resolve(kind, `${n}`);
  await pass(kind);
  assert.equal((await take((await queued(kind)).at(-1))).outcome, "told", "one of them is still open");
  await resolve(kind, "40");
  const end = await taken((await queued(kind)).at(-1));
  assert.deepEqual([end.over, end.alert_ids.length], [true, 40]);
  await sent(end);
  assert.equal((await take((await queued(kind)).at(-1))).outcome, "told");
});

Deno.test("what was resolved before anybody was told is not told, and its return is", async () => {
  const kind = "short";
  await raise(kind, "1");
  await resolve(kind, "1");
  const [first] = await queued(kind);
  assert.equal((await take(first)).outcome, "told");
  await raise(kind, "1");
  const back = await taken((await queued(kind)).at(-1));
  assert.equal(back.over, false);
  await sent(back);
  await resolve(kind, "1");
  await pass(kind);
  const end = await taken((await queued(kind)).at(-1));
  assert.equal(end.over, true);
  await sent(end);
  await pass(kind);
  await raise(kind, "1");
  assert.equal(
    (await taken((await queued(kind)).at(-1))).over,
    false,
    "an incident that comes back is told again",
  );
});

Deno.test("an alert that happens again while it is being resolved is told again", async () => {
  const kind = "again_meanwhile";
  await raise(kind, "1");
  const [first] = await queued(kind);
  await sent(await taken(first));
  const other = await sql.reserve();
  try {
    await other`begin`;
    await other`update public.alerts set status = 'resolved' where kind = ${kind}`;
    const raised = raise(kind, "1");
    await eventually("the alert to wait for who resolves it", async () => {
      // Not in the transaction itself, which sees the activity of its first look.
      const rows = await sql`select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      return rows.length > 0;
    });
    await other`commit`;
    await raised;
  } finally {
    other.release();
  }
  await pass(kind);
  const alerts = await sql`select status, told_at is null as untold from public.alerts where kind = ${kind}`;
  assert.deepEqual(alerts.map((row) => ({ ...row })), [{ status: "open", untold: true }]);
  const jobs = await sql`select dedupe_key from private.jobs where kind = 'send_alert'
    and dedupe_key like ${`send_alert:${kind}:%`} order by id`;
  assert.deepEqual(jobs.map(({ dedupe_key }) => dedupe_key), [
    `send_alert:${kind}:1`,
    `send_alert:${kind}:1:2`,
  ]);
});

Deno.test("an alert that retention removed is told each time that it comes again", async () => {
  const kind = "seasonal";
  await sql`update private.settings set value = '1' where key = 'retention_alert_days'`;
  const season = async () => {
    for (const time of ["first", "second"]) {
      await raise(kind, "1");
      const begin = await taken((await queued(kind)).at(-1));
      assert.equal(begin.over, false, time);
      await sent(begin);
      await pass(kind);
      await resolve(kind, "1");
      const end = await taken((await queued(kind)).at(-1));
      assert.equal(end.over, true, time);
      await sent(end);
      await pass(kind);
    }
    assert.equal((await queued(kind)).length, 4, "two begins and two ends");
  };
  await season();
  await sql`update private.jobs set status = 'done', finished_at = now() where kind = 'send_alert'`;
  await sql`update public.alerts set last_at = now() - interval '2 days' where kind = ${kind}`;
  await sql`select private.purge_alerts(1000)`;
  assert.deepEqual(await queued(kind), []);
  await season();
});

Deno.test("what could not be told for hours is told once staff can be reached again", async () => {
  await raise("unreachable", "1");
  const [unreachable] = await sql`select id from private.jobs where dedupe_key = 'send_alert:unreachable:1'`;
  await sql`select private.bury_job(${unreachable?.["id"]}, 'the alert webhook answered 503')`;
  await raise("unreachable", "1");
  const job = async () => {
    const [row] = await sql`select status, attempts, run_at <= now() as due, finished_at from private.jobs
      where id = ${unreachable?.["id"]}`;
    return { ...row };
  };
  assert.equal((await job()).status, "dead");
  await raise("reachable", "1");
  await sent(await taken((await queued("reachable"))[0]));
  assert.deepEqual(await job(), { status: "queued", attempts: 0, due: true, finished_at: null });
  const late = await taken((await queued("unreachable"))[0]);
  assert.deepEqual([late.over, late.count], [false, 2]);
});

Deno.test("an alert that comes back while its message is being judged is told", async () => {
  await raise("judged", "1");
  await sql`select private.follow_alert('judged:1', false)`;
  await sql`update private.jobs set status = 'running', lease_id = gen_random_uuid(), leased_until = now() + '1 minute'
    where dedupe_key = 'send_alert:judged:1'`;
  await sql`select private.follow_alert('judged:1', true)`;
  await sql`update private.jobs set status = 'discarded', lease_id = null, leased_until = null, finished_at = now()
    where dedupe_key = 'send_alert:judged:1'`;
  const waiting =
    await sql`select 1 from private.jobs j join public.alerts a on a.id::text = j.payload ->> 'alert_id'
    where a.kind = 'judged' and j.status = 'queued'`;
  assert.equal(waiting.length, 1);
});

Deno.test("one worker at a time tells of a kind, and what it did not report another one tells", async () => {
  const kind = "two_workers";
  await raise(kind, "1");
  await raise(kind, "2");
  const [first, second] = await queued(kind);
  const both = await Promise.all([take(first), take(second)]);
  assert.deepEqual(both.map(({ outcome }) => outcome).sort(), ["tell", "wait"]);
  await pass(kind);
  const again = await taken(second);
  assert.equal(again.alert_ids.length, 2);
  // Resolved while the message was on its way: it was told, so its end is.
  await resolve(kind, "1");
  await resolve(kind, "2");
  await sent(again);
  await pass(kind);
  assert.equal((await taken((await queued(kind)).at(-1))).over, true);
});

Deno.test("what is less than critical waits for the digest, unless the setting says otherwise", async () => {
  const kind = "warned";
  await raise(kind, "1", "warning");
  assert.deepEqual(await queued(kind), []);
  await sql`update private.settings set value = '"warning"' where key = 'alert_at_once'`;
  await raise(kind, "2", "warning");
  await raise(kind, "3", "info");
  const [job, ...none] = await queued(kind);
  assert.deepEqual(none, []);
  assert.equal((await taken(job)).severity, "warning");
  await sql`update private.settings set value = '"critical"' where key = 'alert_at_once'`;
});

Deno.test("the digest comes once a day, from its hour on by the shop's clock, and not at all when it is off", async () => {
  const queueAt = async (at: string) =>
    (await sql<{ queued: boolean }[]>`select private.queue_digest(${at}) as queued`)[0]?.queued;
  await sql`update private.settings set value = '"Europe/Zurich"' where key = 'shop_time_zone'`;
  assert.equal(await queueAt("2027-01-10T05:59:00Z"), false);
  assert.equal(await queueAt("2027-01-10T06:00:00Z"), true);
  assert.equal(await queueAt("2027-01-10T06:01:00Z"), false);
  assert.equal(await queueAt("2027-01-10T22:59:00Z"), false);
  assert.equal(await queueAt("2027-01-10T23:30:00Z"), false, "past midnight, before the hour");
  assert.equal(await queueAt("2027-01-11T12:00:00Z"), true);
  const days =
    await sql`select payload ->> 'day' as day from private.jobs where kind = 'send_digest' order by id`;
  assert.deepEqual(days.map(({ day }) => day), ["2027-01-09", "2027-01-10"]);
  await sql`update private.settings set value = 'null' where key = 'digest_hour'`;
  assert.equal(await queueAt("2027-01-12T12:00:00Z"), false);
});
