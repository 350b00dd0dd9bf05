/** One run: a seed gives the stories and the kills; the verdict says what was wrong in the end. */
import { armKills, describeKill, planKills } from "./kills.ts";
import { Random } from "./random.ts";
import { judge, settleDown, type Violation } from "./verdict.ts";
import { liveStory, planStories, tickJobs } from "./workload.ts";
import type { World } from "./world.ts";

export interface RunReport {
  seed: number;
  planned: string[];
  /** Kills that happened: a point that no call passed strikes nobody. */
  struck: string[];
  orders: number;
  durationMs: number;
  /** Where the time went. */
  phasesMs: { storm: number; settling: number; judging: number };
  violations: Violation[];
}

const storiesMin = 4;
const storiesMax = 8;
const killsMin = 2;
const killsMax = 5;
const spanMs = 900;

/** Runs the workload of `seed` under its kills and judges the whole world, earlier runs included. */
export async function runOnce(world: World, seed: number): Promise<RunReport> {
  const startedAt = performance.now();
  const random = new Random(seed);
  const stories = planStories(random, random.whole(storiesMin, storiesMax));
  const plan = planKills(random, random.whole(killsMin, killsMax), spanMs);
  const stopped = new AbortController();
  await restock(world);
  const kills = armKills(world, plan);
  const ticking = tickJobs(world, stopped.signal);
  await Promise.all(stories.map((story) => liveStory(world, story)));
  await kills.disarm();
  stopped.abort();
  await ticking;
  const stormEnd = performance.now();
  const unsettled = await settleDown(world);
  const settledAt = performance.now();
  const violations = [...unsettled, ...await judge(world)];
  const judgedAt = performance.now();
  return {
    seed,
    planned: plan.map(describeKill),
    struck: kills.struck,
    orders: stories.length,
    durationMs: Math.round(judgedAt - startedAt),
    phasesMs: {
      storm: Math.round(stormEnd - startedAt),
      settling: Math.round(settledAt - stormEnd),
      judging: Math.round(judgedAt - settledAt),
    },
    violations,
  };
}

/** Shelves never run empty, however many runs there are; the journal knows. */
async function restock(world: World): Promise<void> {
  await world.sql`update public.inventory_levels set on_hand = 30 where on_hand - reserved < 20`;
}
