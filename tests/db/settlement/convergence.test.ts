import assert from "node:assert/strict";
import { arrange, endingOf } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { explore, searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";
import { thorough } from "./runs.ts";
import { Story } from "./story.ts";

/** Seconds between two happenings. Events of one second are the hardest: no time tells them apart. */
const gaps: Record<string, number> = { "in the same second": 0, "a second apart": 1, "days apart": 200_000 };
/** Up to this many events a life is searched at every gap each time; longer ones when a thorough run is asked for. */
const shortLife = 5;
/** Longer than this and the everyday run tries random orders instead of all. */
const longLife = 7;

const database = await searchDatabase();

for (const lifecycle of lifecycles) {
  for (const [when, gap] of Object.entries(gaps)) {
    const length = eventsOf(lifecycle);
    if (gap > 0 && length > shortLife && !thorough) continue;
    if (length > longLife && !thorough) continue;
    Deno.test(`every order of events ends the same: ${lifecycle.name}, ${when}`, async () => {
      await undone(database.sql, async (tx) => {
        const story = new Story(await beginOrder(tx), gap, "T");
        const moves = await arrange(tx, lifecycle, story);
        const explored = await explore(tx, moves, [story.frame.orderId], async () => {
          assert.deepEqual(await endingOf(tx, story), lifecycle.end);
          assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
        });
        assert(explored.states >= 2 ** moves.length - 1, "every set of events was reached");
      });
    });
  }
}

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
