/**
 * Events that Stripe never generated: neither delivered nor listed. Whichever of an order's events these are, comparing
 * objects brings it to where it would be.
 */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { inLanes } from "../../../supabase/functions/_shared/jobs/lanes.ts";
import { randomFrom, runs, thorough } from "../../db/settlement/runs.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { live, lives, portrait, reconcileByItself } from "./lives.ts";
import {
  blockWebhooks,
  type Checkout,
  checkout,
  control,
  drain,
  flush,
  jobContext,
  unblockWebhooks,
  violations,
} from "./shop.ts";

/** Which events of a life are missing, by their place in it. */
interface Loss {
  life: number;
  missing: number[];
}

/** The events that tell of each order, oldest first. */
async function eventsByOrder(stack: TestStack): Promise<Map<string, Stripe.Event[]>> {
  const { stripe } = jobContext(stack);
  const events = await stripe.events.list({ limit: 100 }).autoPagingToArray({ limit: 10_000 });
  const found = new Map<string, Stripe.Event[]>();
  const orderOf = new Map<string, string>();
  for (const event of events.reverse()) {
    const object = event.data.object as {
      id?: string;
      metadata?: { order_id?: string };
      payment_intent?: string | null;
    };
    const order = object.metadata?.order_id ?? orderOf.get(object.payment_intent ?? "") ?? null;
    if (order === null) continue;
    for (const id of [object.id, object.payment_intent]) if (id) orderOf.set(id, order);
    found.set(order, [...(found.get(order) ?? []), event]);
  }
  return found;
}

/** Each single event and each pair in a thorough run, else each single one and some of the pairs. */
function losses(counts: number[]): Loss[] {
  const random = randomFrom(1);
  return counts.flatMap((count, life) => {
    const places = Array.from({ length: count }, (_, at) => at);
    const singles = places.map((at) => ({ life, missing: [at] }));
    const pairs = places.flatMap((at) =>
      places.slice(at + 1).map((other) => ({ life, missing: [at, other] }))
    );
    return [...singles, ...pairs.filter(() => thorough || random() < runs / 2_000)];
  });
}

/** Where an order has come to; which way it came depends on what was heard first. */
async function end(stack: TestStack, order: Checkout): Promise<unknown> {
  const { trail: _way, ...rest } = await portrait(stack, order);
  return rest;
}

Deno.test("whichever events Stripe never generated, two rounds of reconciliation make up for them", async () => {
  await using stack = await testStack({ web: true });
  await stack.sql`update public.inventory_levels set on_hand = on_hand + 5000`;
  const trade = async (which: number[]): Promise<Checkout[]> => {
    const made: Checkout[] = [];
    await inLanes(which.map((life, at) => ({ life, at })), 4, async ({ life, at }) => {
      const order = await checkout(stack);
      made[at] = order;
      await live(stack, order, life);
    });
    // What Stripe does by itself a little later.
    await control(stack, "advance", { seconds: 10 });
    return made;
  };
  const twins = await trade(Array.from({ length: lives }, (_, life) => life));
  await flush(stack);
  await drain(stack);
  await drain(stack);
  const told = await eventsByOrder(stack);
  const counts = twins.map(({ order_id }) => told.get(order_id)?.length ?? 0);

  await blockWebhooks(stack);
  const lost = losses(counts);
  const orders = await trade(lost.map(({ life }) => life));
  const events = await eventsByOrder(stack);
  let erased = 0;
  for (const [at, { missing }] of lost.entries()) {
    const own = events.get(orders[at]?.order_id ?? "") ?? [];
    for (const place of missing) {
      const event = own[place];
      // What Stripe tells of our own answer, which these orders have not had.
      if (event === undefined) continue;
      await control(stack, "ungenerate", { event: event.id });
      erased += 1;
    }
  }
  assert.ok(erased >= lost.length / 2, `${erased} events`);
  // Their time has run out meanwhile: until then nobody can know.
  await stack
    .sql`update public.checkout_sessions set expires_at = now() - interval '1 minute' where status = 'open'`;
  await unblockWebhooks(stack);
  await reconcileByItself(stack);
  await reconcileByItself(stack);

  const wanted = await Promise.all(twins.map((twin) => end(stack, twin)));
  for (const [at, { life, missing }] of lost.entries()) {
    const order = orders[at] ?? assert.fail();
    const types = missing.map((place) => events.get(order.order_id)?.[place]?.type);
    assert.deepEqual(
      await end(stack, order),
      wanted[life],
      `life ${life} without ${types.join(" and ")}`,
    );
  }
  assert.deepEqual(await violations(stack), []);
  console.log(`${lost.length} orders without ${erased} of their events`);
});
