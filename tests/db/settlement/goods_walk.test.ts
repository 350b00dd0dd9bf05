/** Staff and Stripe in random order: whatever they do, goods and money add up. See goods_walk.ts. */
import assert from "node:assert/strict";
import { Walk } from "./goods_walk.ts";
import { firstSeed, randomFrom, runs } from "./runs.ts";
import { searchDatabase, undone } from "./search.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const stepsMax = 40;
/** Walks of an everyday run; `CONVERGENCE_RUNS` divided by ten otherwise. */
const walks = Math.ceil(runs / 10);

for (let seed = firstSeed; seed < firstSeed + walks; seed++) {
  Deno.test(`goods and money of an order add up, whatever staff and Stripe do: walk ${seed}`, async () => {
    // What was undone before makes every plan slow.
    await sql`vacuum`;
    await undone(sql, async (tx) => {
      const walk = await Walk.begin(tx, randomFrom(seed));
      try {
        for (let step = 0; step < stepsMax; step++) {
          const before = await walk.goods();
          const from = walk.log.length;
          await walk.step();
          for (const { refused } of walk.log.slice(from)) {
            assert.match(refused ?? "SH", /^SH/, "staff are told in words of ours");
          }
          await walk.check(before);
        }
        await walk.last();
        await walk.check(await walk.goods());
        await walk.stripe.calm();
        await walk.end();
        assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
      } catch (error) {
        const steps = walk.log.map(({ step, refused }) => refused === null ? step : `${step} – ${refused}`);
        throw new Error(`CONVERGENCE_SEED=${seed}\n${steps.join("\n")}`, { cause: error });
      }
    });
  });
}
