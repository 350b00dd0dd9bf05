/** Locks are taken in the order of docs/architecture.md: pairs that once waited for each other in a circle. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { eventually } from "../../support/poll.ts";
import { sqlstateOf } from "../../support/role.ts";
import { deliver } from "./arrange.ts";
import { delivery, type Move } from "./moves.ts";
import { searchDatabase } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

type EventMove = Extract<Move, { call: "event" }>;

/** A paid order with its events stored whole, and a connection that holds the row of one of them. */
async function heldEvent(status: "processed" | "dead") {
  const database = await searchDatabase();
  const { sql } = database;
  const story = new Story(await beginOrder(sql), 60, "T");
  await attachSession(sql, story, "a");
  story.paid("a");
  for (const event of story.events) {
    await deliver(sql, [delivery(event)]);
    await sql`update public.webhook_events set payload = ${
      sql.json(JSON.parse(JSON.stringify(event)))
    } where id = ${event.id}`;
  }
  const event = story.events.find(({ type }) => type === "payment_intent.succeeded");
  assert(event !== undefined);
  await sql`select private.enqueue_job('retry_event', ${`retry_event:${event.id}`}, ${
    sql.json({ event_id: event.id })
  })`;
  await sql`update public.webhook_events set status = ${status}, next_attempt_at = now() where id = ${event.id}`;
  const holder = postgres(database.url, { max: 1, onnotice: () => {} });
  await holder`begin`;
  await holder`select 1 from public.webhook_events where id = ${event.id} for no key update`;
  const waits = () =>
    eventually(
      "somebody to wait for the event",
      async () =>
        (await sql`select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)
          .length > 0,
    );
  return {
    sql,
    event: delivery(event) as EventMove,
    holder,
    waits,
    [Symbol.asyncDispose]: async () => {
      await holder.end();
      await database.drop();
    },
  };
}

Deno.test("an erasure and an event that is tried again do not wait for each other", async () => {
  await using world = await heldEvent("processed");
  const { sql, event, holder, waits } = world;
  const erasure = sqlstateOf(sql`select public.erase_customer('ada@example.com')`);
  await waits();
  const retry = holder`select (public.retry_stripe_event(${event.id}, ${
    holder.json(JSON.parse(JSON.stringify(event.facts)))
  }, null, null)).outcome`;
  assert.deepEqual([...await retry], [{ outcome: "applied" }]);
  await holder`commit`;
  assert.equal(await erasure, null);
  const [left] = await sql`select (select count(*)::int from public.orders where email is not null) as orders,
    (select count(*)::int from public.webhook_events where payload::text ilike '%ada@example.com%') as events`;
  assert.deepEqual({ ...left }, { orders: 0, events: 0 });
});

Deno.test("an erasure that finds more than it has locked begins again, and takes that too", async () => {
  await using world = await heldEvent("processed");
  const { sql, holder, waits } = world;
  const erasure = sqlstateOf(sql`select public.erase_customer('ada@example.com')`);
  await waits();
  const late = new Story(await beginOrder(sql), 60, "L");
  await attachSession(sql, late, "l");
  late.paid("l");
  await deliver(sql, late.moves);
  await holder`commit`;
  assert.equal(await erasure, null);
  assert.equal((await sql`select 1 from public.orders where email is not null`).length, 0);
});

Deno.test("a job of an event that ends and the event that is delivered again do not wait for each other", async () => {
  await using world = await heldEvent("dead");
  const { sql, event, holder, waits } = world;
  const lease = crypto.randomUUID();
  await sql`update private.jobs set status = 'running', lease_id = ${lease}, leased_until = now() + interval '1 minute',
    attempts = 1 where kind = 'retry_event'`;
  const [job] = await sql`select id::text from private.jobs where kind = 'retry_event'`;
  const result = [{ id: job?.["id"], lease_id: lease, outcome: "retry", reason: "a test" }];
  const finished = sqlstateOf(sql`select * from public.finish_jobs(${sql.json(result)})`);
  await waits();
  await holder`select private.redrive_event(${event.id})`;
  await holder`commit`;
  assert.equal(await finished, null);
});
