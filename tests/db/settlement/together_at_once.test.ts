/** Shared calls beside single deliveries, retries and an erasure: nobody waits for somebody in a circle, and nothing is lost. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { endingOf } from "./arrange.ts";
import { delivery, eventOf, type Json, type Move } from "./moves.ts";
import { randomFrom } from "./runs.ts";
import { searchDatabase } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

/** A delivery as the webhook gives it to the database, of one of few customers, in a version that staff hear of. */
function received(move: Move, at: number): Json {
  if (move.call !== "event") throw new Error(`${move.call} is no event`);
  const facts = JSON.stringify(move.facts).replaceAll(/cus_P\d+x/g, `cus_shared${at % 5}`)
    .replaceAll("ada@example.com", `buyer${at % 5}@example.com`);
  return {
    p_event_id: move.id,
    p_type: move.type,
    p_livemode: move.livemode,
    p_api_version: "2026-10-28.endive",
    p_stripe_created_at: new Date(move.at * 1000).toISOString(),
    p_payload: move.payload ?? {},
    p_facts: JSON.parse(facts),
    p_alerts: ["api_version", `address_unlisted:203.0.113.${at % 3}`].map((what) => ({
      kind: "webhook_api_version",
      severity: "warning",
      dedupe_key: `webhook_${what}`,
    })),
  };
}

Deno.test("shared calls, single deliveries and an erasure at once: no deadlock, and every order is settled", async () => {
  const ours = await searchDatabase(1_000);
  const { sql } = ours;
  const options = { max: 1, onnotice: () => {}, connection: { deadlock_timeout: 50 } };
  const clients = Array.from({ length: 8 }, () => postgres(ours.url, options));
  try {
    const stories: Story[] = [];
    const events: Json[] = [];
    for (let index = 0; index < 30; index++) {
      const story = new Story(await beginOrder(sql, 1), 1, `P${index}x`);
      await attachSession(sql, story, "a");
      const payment = story.paid("a");
      if (index % 3 === 0) story.refunded(payment, "1", 1_000);
      stories.push(story);
      events.push(...story.moves.map((move) => received(move, index)));
    }
    for (let index = 0; index < 120; index++) {
      const event = eventOf("customer.updated", `evt_c${index}`, 1_793_500_000 + index, {
        id: `cus_shared${index % 5}`,
        email: `buyer${index % 5}@example.com`,
      });
      events.push(received(delivery(event), index));
    }
    const random = randomFrom(7);
    const shuffled = [...events, ...events].map((event) => ({ event, at: random() }))
      .sort((a, b) => a.at - b.at).map(({ event }) => event);

    const failures: string[] = [];
    const send = async (client: postgres.Sql, batch: Json[]) => {
      const json = client.json(JSON.parse(JSON.stringify(batch)));
      const call = batch.length > 1
        ? client`select outcome, reason from public.receive_stripe_events(${json})`
        : client`select r.outcome, r.reason
          from jsonb_to_recordset(${json}) as x (p_event_id text, p_type text, p_livemode boolean,
            p_api_version text, p_stripe_created_at timestamptz, p_payload jsonb, p_facts jsonb, p_alerts jsonb),
          public.receive_stripe_event(x.p_event_id, x.p_type, x.p_livemode, x.p_api_version,
            x.p_stripe_created_at, null, x.p_payload, x.p_facts, null, null, x.p_alerts) r`;
      try {
        for (const { outcome, reason } of await call) if (outcome === "queued") failures.push(reason);
      } catch (error) {
        failures.push(`${batch.length} ${String(error)}`);
      }
    };
    const tryAgain = async (client: postgres.Sql, { p_event_id: id, p_facts: facts }: Json) => {
      try {
        await client`select private.redrive_event(${String(id)})`;
        const [row] = await client`select (public.retry_stripe_event(${String(id)}, ${
          client.json(facts as postgres.JSONValue)
        }, null, null)).outcome`;
        if (row?.["outcome"] === "queued") failures.push(`retry of ${id}`);
      } catch (error) {
        // What has been erased is not tried again.
        if (!String(error).includes("its payload is gone")) failures.push(`retry ${String(error)}`);
      }
    };
    const erase = async (client: postgres.Sql) => {
      try {
        await client`select public.erase_customer('buyer0@example.com')`;
      } catch (error) {
        failures.push(`erasure ${String(error)}`);
      }
    };
    const batches: Json[][] = [];
    for (let at = 0; at < shuffled.length;) {
      const size = random() < 0.5 ? 1 : 10;
      batches.push(shuffled.slice(at, at += size));
    }
    await Promise.all(clients.map(async (client, lane) => {
      for (const [place, batch] of batches.entries()) {
        if (place % clients.length !== lane) continue;
        await send(client, batch);
        if (place % 5 === 0) await tryAgain(client, batch[0] ?? assert.fail());
        if (place % 9 === 0) await erase(client);
      }
    }));
    assert.deepEqual(failures, []);
    for (const [index, story] of stories.entries()) {
      const { status, mails } = await endingOf(sql, story);
      assert.equal(status, index % 3 === 0 ? "partially_refunded" : "paid");
      if (index % 5 !== 0) assert.equal(mails.filter((mail) => mail === "order_confirmation").length, 1);
    }
    assert.deepEqual([...await sql`select * from public.check_invariants()`], []);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    await ours.drop();
  }
});
