import assert from "node:assert/strict";
import { arrange, endingOf } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { explore, sample, searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";
import type { Move } from "./moves.ts";
import { Story } from "./story.ts";
import { type Lifecycle } from "./lifecycle.ts";

/** Exactly as many pieces as the two orders of two pieces need: nothing is left to hide a mistake behind. */
const database = await searchDatabase(4);

const pairs: [string, string][] = [
  ["expired", "pay"],
  ["expired, then recovered and paid", "declined, then paid"],
  ["paid twice by two sessions", "expired, then recovered and paid"],
  ["slow payment bounces, then paid by a second session", "full refund"],
  ["cancelled, then paid", "refund that fails after it had succeeded"],
  ["early fraud warning, then refund", "dispute won"],
  ["slow payment arrives", "two partial refunds"],
];

for (const [one, other] of pairs) {
  Deno.test(`two orders sharing their stock, interleaved, end the same: ${one} / ${other}`, async () => {
    await undone(database.sql, async (tx) => {
      const stories = [new Story(await beginOrder(tx), 1, "A"), new Story(await beginOrder(tx), 1, "B")];
      const moves: Move[] = [];
      for (const [index, story] of stories.entries()) {
        moves.push(...await arrange(tx, lifecycleOf([one, other][index]), story));
      }
      const orderIds = stories.map((story) => story.frame.orderId);
      await sample(tx, moves, orderIds, async () => {
        for (const [index, story] of stories.entries()) {
          const { stock: _, ...end } = lifecycleOf([one, other][index]).end;
          const { stock: __, ...actual } = await endingOf(tx, story);
          assert.deepEqual(actual, end);
        }
        assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
      });
    });
  });
}

Deno.test("two orders sharing their stock, every interleaving: one expires and is recovered, one pays", async () => {
  await undone(database.sql, async (tx) => {
    const a = new Story(await beginOrder(tx), 1, "A");
    const b = new Story(await beginOrder(tx), 1, "B");
    const moves = [
      ...await arrange(tx, lifecycleOf("expired, then recovered and paid"), a),
      ...await arrange(tx, lifecycleOf("pay"), b),
    ];
    const explored = await explore(tx, moves, [a.frame.orderId, b.frame.orderId], async () => {
      assert.deepEqual((await endingOf(tx, a)).stock, [0, 0, 4]);
    });
    assert.equal(explored.permutations, 5_040);
  });
});

Deno.test.afterAll(() => database.drop());

function lifecycleOf(name: string | undefined): Lifecycle & { end: (typeof lifecycles)[number]["end"] } {
  const found = lifecycles.find((lifecycle) => lifecycle.name === name);
  assert(found !== undefined, `no lifecycle ${name}`);
  return found;
}
