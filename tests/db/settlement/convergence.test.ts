import assert from "node:assert/strict";
import { arrange, endingOf } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { explore, sample, searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";
import { thorough } from "./runs.ts";
import { Story } from "./story.ts";

/** Seconds between two happenings. Events of one second are the hardest: no time tells them apart. */
const gaps: Record<string, number> = { "in the same second": 0, "a second apart": 1, "days apart": 200_000 };
/** Up to this many events a life is searched at every gap each time; longer ones when a thorough run is asked for. */
const shortLife = 4;
/** Longer than this and the everyday run tries random orders instead of all. */
const longLife = 6;

const database = await searchDatabase();

for (const lifecycle of lifecycles) {
  for (const [when, gap] of Object.entries(gaps)) {
    const length = eventsOf(lifecycle);
    if (gap > 0 && length > shortLife && !thorough) continue;
    const all = length <= longLife || thorough;
    Deno.test(`${all ? "every order" : "random orders"} of events end the same: ${lifecycle.name}, ${when}`, async () => {
      await undone(database.sql, async (tx) => {
        const story = new Story(await beginOrder(tx), gap, "T");
        const moves = await arrange(tx, lifecycle, story);
        const orderIds = [story.frame.orderId];
        const inspect = async () => {
          assert.deepEqual(await endingOf(tx, story), lifecycle.end);
          assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
        };
        if (!all) return await sample(tx, moves, orderIds, inspect);
        const explored = await explore(tx, moves, orderIds, inspect);
        assert(explored.states >= 2 ** moves.length - 1, "every set of events was reached");
      });
    });
  }
}

Deno.test("the search finds a rule that depends on the order of events", async () => {
  await undone(database.sql, async (tx) => {
    // Keeps whichever payment is heard of first, as one would write it at first.
    await tx`create or replace function private.kept_session(p_order_id uuid) returns public.checkout_sessions
      language sql stable security definer set search_path = '' as $$
        select cs.* from public.orders o join public.checkout_sessions cs on cs.order_id = o.id
        where o.id = p_order_id and cs.status = 'complete' and cs.payment_status = 'paid'
        order by (cs.id = o.session_id) desc nulls last limit 1
      $$`;
    const lifecycle = lifecycles.find((lifecycle) => lifecycle.name === "paid twice by two sessions");
    assert(lifecycle !== undefined);
    const story = new Story(await beginOrder(tx), 1, "T");
    const moves = await arrange(tx, lifecycle, story);
    const orderIds = [story.frame.orderId];
    await assert.rejects(explore(tx, moves, orderIds, () => Promise.resolve()), /ends differently from/);
  });
});

Deno.test("random orders find a rule that depends on the order of events, and name the seed", async () => {
  await undone(database.sql, async (tx) => {
    await tx`create or replace function private.stamp(p_at timestamptz) returns text
      language sql volatile set search_path = '' as $$ select lpad(txid_current()::text || clock_timestamp()::text, 60, '0') $$`;
    const lifecycle = lifecycles.find((lifecycle) => lifecycle.name === "dispute won");
    assert(lifecycle !== undefined);
    const story = new Story(await beginOrder(tx), 1, "T");
    const moves = await arrange(tx, lifecycle, story);
    const orderIds = [story.frame.orderId];
    await assert.rejects(
      sample(tx, moves, orderIds, () => Promise.resolve()),
      /CONVERGENCE_SEED=\d+: evt_T_/,
    );
  });
});

Deno.test.afterAll(() => database.drop());

function eventsOf(lifecycle: (typeof lifecycles)[number]): number {
  const frame = {
    orderId: crypto.randomUUID(),
    orderNumber: "",
    cartHash: "",
    amount: 25_800,
    currency: "usd",
    attempt: 1,
  };
  const story = new Story(frame, 0, "T");
  lifecycle.tell(story);
  return story.events.length;
}
