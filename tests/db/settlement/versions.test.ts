/**
 * Every life told in every API version ends in the same rows: by an endpoint of one version, by two of different
 * versions on one address, and by one whose version is changed half way.
 */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { refundFacts } from "../../../supabase/functions/_shared/stripe_events/refund.ts";
import { olderVersions, toldIn } from "../../support/older_versions.ts";
import { arrange, deliver, endingOf } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { delivery, type Move } from "./moves.ts";
import { firstSeed, randomFrom, runs, shuffledWithDuplicates, thorough } from "./runs.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";
import { type Lifecycle } from "./lifecycle.ts";

const database = await searchDatabase();
Deno.test.afterAll(() => database.drop());

type Tx = Parameters<Parameters<typeof undone>[1]>[0];
const today = "2026-10-28.endive";
/** A thorough run tries more; each way of telling a life is tried in a few random orders always. */
const orders = thorough ? 20 : Math.min(runs, 2);

/** How an endpoint, or two of them, tell the events of a life. */
const tellings: Record<string, (index: number, random: () => number) => string[]> = {
  ...Object.fromEntries(olderVersions.map((version) => [version, () => [version]])),
  "an endpoint in each version": (_index, random) => [pick(random, [...olderVersions, today])],
  "two endpoints, an older and today's": (_index, random) => [pick(random, olderVersions), today],
};

/** Seconds between two happenings; events of one second, the hardest, when a thorough run is asked for. */
const gaps = thorough ? [0, 1] : [1];

for (const [lifecycle, gap] of lifecycles.flatMap((one) => gaps.map((gap) => [one, gap] as const))) {
  Deno.test(`told in any API version it ends in the same rows: ${lifecycle.name}, ${gap} s apart`, async () => {
    await undone(database.sql, async (tx) => {
      const story = new Story(await beginOrder(tx), gap, "T");
      const moves = await arrange(tx, lifecycle, story);
      const expected = await played(tx, moves, story, lifecycle, randomFrom(firstSeed));
      for (const [name, versionsOf] of Object.entries(tellings)) {
        for (let seed = firstSeed; seed < firstSeed + orders; seed++) {
          const random = randomFrom(seed);
          const told = inVersions(story.events, moves, (index) => versionsOf(index, random));
          assert.equal(
            await played(tx, told, story, lifecycle, random),
            expected,
            `${name}, CONVERGENCE_SEED=${seed}`,
          );
        }
      }
    });
  });
}

/** The moves that deliver the events in other versions; without those that the versions did not send, and with what is read instead. */
function inVersions(events: Stripe.Event[], moves: Move[], versionsOf: (index: number) => string[]): Move[] {
  return events.flatMap((event, index) => {
    // What was delivered while the life was arranged is not delivered again.
    if (!moves.some((move) => move.call === "event" && move.id === event.id)) return [];
    return versionsOf(index).flatMap((version) => {
      const before = events.slice(0, index);
      const told = toldIn(event, version, before);
      if (told === null) return [];
      const move = delivery(told);
      return [{ ...move, version }, ...reading(event, move, before)];
    });
  });
}

/** Delivers in a random order and describes the rows that come of it. */
async function played(
  tx: Tx,
  moves: Move[],
  story: Story,
  lifecycle: Lifecycle,
  random: () => number,
): Promise<string> {
  await tx`savepoint telling`;
  const sequence = shuffledWithDuplicates(moves.length, random);
  const outcomes = await deliver(tx, sequence.flatMap((index) => moves[index] ?? []));
  assert(!outcomes.includes("queued"), "every event can be applied");
  assert.deepEqual(await endingOf(tx, story), lifecycle.end);
  assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  const [row] = await tx`select jsonb_pretty(search.rows(search.state(${[
    story.frame.orderId,
  ]}::uuid[]))) as rows`;
  await tx`rollback to savepoint telling; release savepoint telling`.simple();
  return String(row?.["rows"]);
}

/**
 * What Stripe answers to the job that such an event asks for: the refunds of a charge as they were then. Facts merge
 * in any order, so it may come anywhere too.
 */
function reading(event: Stripe.Event, told: Move, before: Stripe.Event[]): Move[] {
  const asked = told.call === "event" &&
    told.facts.some((fact) => fact.fact === "unread" && fact.object === "charge");
  if (!asked) return [];
  const refunds = before.filter(({ type }) => type === "refund.created").map(({ data }) =>
    data.object as Stripe.Refund
  )
    .filter(({ charge }) => charge === (event.data.object as Stripe.Charge).id);
  return [{ call: "read", at: event.created, facts: refunds.flatMap(refundFacts) }];
}

function pick<T>(random: () => number, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)];
  assert(value !== undefined);
  return value;
}

Deno.test("a further delivery in a newer version is merged, in an older one or once erased it is a duplicate", async () => {
  await undone(database.sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    story.paid("a");
    const event = story.events.find(({ type }) => type === "checkout.session.completed");
    assert(event !== undefined);
    const told = (version: string, address: boolean) => {
      const given = structuredClone(toldIn(event, version) ?? event);
      const object = given.data.object as unknown as Record<string, unknown>;
      // As if this version had kept it where nobody looks.
      if (!address) object["shipping_details"] = null;
      return { ...delivery(given), version };
    };
    const state = async () => {
      const [row] = await tx`select o.shipping_address ->> 'city' as city, e.api_version, e.status
        from public.orders o, public.webhook_events e where o.id = ${story.frame.orderId} and e.id = ${event.id}`;
      return [row?.["city"], row?.["api_version"], row?.["status"]];
    };
    assert.deepEqual(await deliver(tx, [told("2022-11-15", false)]), ["applied"]);
    assert.deepEqual(await state(), [null, "2022-11-15", "processed"]);
    assert.deepEqual(await deliver(tx, [told("2022-11-15", true)]), ["duplicate"]);
    assert.deepEqual(await deliver(tx, [told("2024-06-20", true)]), ["applied"]);
    assert.deepEqual(await state(), ["Portland", "2024-06-20", "processed"]);
    assert.deepEqual(await deliver(tx, [told("2022-11-15", true), told("2024-06-20", true)]), [
      "duplicate",
      "duplicate",
    ]);
    await tx`update public.webhook_events set payload = '{"erased": true}' where id = ${event.id}`;
    assert.deepEqual(
      await deliver(tx, [told("2024-10-28.acacia", true)]),
      ["duplicate"],
      "what was erased stays so",
    );
  });
});

Deno.test("a refund or dispute that names only the charge finds its order, whichever comes first", async () => {
  await undone(database.sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    const payment = story.paid("a");
    story.refunded(payment, "r", 5_000);
    story.disputed(payment, "d", "needs_response");
    const events = story.events.filter(({ type }) => type !== "charge.refunded");
    for (const event of events) {
      const object = event.data.object as unknown as Record<string, unknown>;
      if (object["object"] === "refund" || object["object"] === "dispute") object["payment_intent"] = null;
      // A failed attempt of the same payment may be the one that is remembered as latest.
      if (object["object"] === "payment_intent") object["latest_charge"] = "ch_of_another_attempt";
    }
    const moves = events.map(delivery);
    for (const order of [moves, moves.toReversed()]) {
      await tx`savepoint telling`;
      await deliver(tx, order);
      const rows = await tx`select payment_id from public.refunds where order_id = ${story.frame.orderId}
        union all select payment_id from public.disputes where order_id = ${story.frame.orderId}`;
      assert.deepEqual(rows.map((row) => row["payment_id"]), [payment.id, payment.id]);
      await tx`rollback to savepoint telling; release savepoint telling`.simple();
    }
  });
});
