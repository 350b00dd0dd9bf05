/**
 * `deno run -A scripts/quality/bench/flash.ts`: a flash sale. Shoppers come within a minute for far fewer pieces, some
 * leave, some cards are declined, Stripe tells of every payment, jobs run by the minute. Prints how it goes, and in the
 * end what each of them waited for, what piled up, and which part was busy; exit code 1 when the sale was not exact.
 */
import { runTask, wholeNumber } from "../../lib/task.ts";
import { articles as articlesOf, planShoppers, type Sale } from "./flash/plan.ts";
import { printProgress, printReport } from "./flash/report.ts";
import { live, plannedVisit } from "./flash/shopping.ts";
import { endSessions, judge, stockOf } from "./flash/verdict.ts";
import { watch } from "./flash/watch.ts";
import { startWorld, type World } from "./flash/world.ts";

const usage = `deno run -A scripts/quality/bench/flash.ts [--shoppers 10000] [--seconds 60] [--seed 1]
  [--connections 10] [--rest stand-in|postgrest]

  --shoppers      how many come, for a tenth as many pieces of three articles
  --seconds       the window in which they come, a third of them in its first tenth
  --seed          who comes when, and what becomes of it
  --connections   of the REST API to the database
  --rest          postgrest: the real one, from npm (Linux on x86-64)

  Shoppers who are told to come back do so five times, then they give up; who has paid looks at the shop's page for
  a minute. What has piled up has a quarter of an hour to go: after that the run ends as wrong.`;

const flags = {
  shoppers: { type: "string", default: "10000" },
  seconds: { type: "string", default: "60" },
  seed: { type: "string", default: "1" },
  connections: { type: "string", default: "10" },
  rest: { type: "string", default: "stand-in" },
} as const;

/** What piled up must be gone by then. */
const drainMs = 900_000;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      offline: true,
      run: async ({ values }) => {
        const sale = {
          shoppers: wholeNumber("--shoppers", values.shoppers, 1),
          seconds: wholeNumber("--seconds", values.seconds, 1),
          seed: wholeNumber("--seed", values.seed, 0),
        };
        const connections = wholeNumber("--connections", values.connections, 1);
        const dir = await Deno.makeTempDir({ prefix: "kct-bench-flash-" });
        const world = await startWorld({ dir, connections, postgrest: values.rest === "postgrest" });
        try {
          return await sell(world, sale);
        } finally {
          await world.stop();
          await Deno.remove(dir, { recursive: true });
        }
      },
    }, Deno.args),
  );
}

async function sell(world: World, sale: Sale): Promise<number> {
  const articles = articlesOf(sale);
  const { sql } = world;
  await sql`update public.inventory_levels set on_hand = 1000`;
  await warmUp(world, Math.min(20, sale.shoppers));
  for (const { sku, stock } of articles) {
    await sql`
      update public.inventory_levels set on_hand = ${stock} - committed
      where variant_id = (select id from public.product_variants where sku = ${sku})`;
  }
  const workedBefore = world.worked();
  const visits = planShoppers(sale).map(plannedVisit);
  const [openedAt, openedOn] = [performance.now(), Date.now()];
  const watching = watch(world, openedAt, sale.seconds, (sample) => printProgress(visits, sample));
  await Promise.all(visits.map((visit) => live(world, visit, openedAt)));
  const wentMs = performance.now() - openedAt;
  console.log(`${seconds(wentMs)}: the last has gone; what has piled up is worked off`);
  let drained = await watching.drained(drainMs);
  const drainedMs = performance.now() - openedAt;
  const worked = world.worked();
  const stock = await stockOf(world, articles);
  console.log(
    `${seconds(drainedMs)}: ${
      drained ? "nothing waits" : "something still waits"
    }; pages that nobody paid end`,
  );
  await endSessions(world);
  drained = await watching.drained(drainMs) && drained;
  await watching.stop();
  const wrong = await judge(world, articles, visits);
  if (!drained) wrong.unshift(`something still waited after ${drainMs / 1_000} s`);
  const deliveries = await attempts(world, openedOn);
  printReport({
    sale,
    visits,
    stock,
    samples: watching.samples,
    deliveries,
    wentMs,
    drainedMs,
    spent: new Map([...worked].map(([part, seconds]) => [part, seconds - (workedBefore.get(part) ?? 0)])),
    wrong,
  });
  return wrong.length === 0 ? 0 : 1;
}

/** Until the functions are compiled and the plans are made: of an article that is not in the sale. */
async function warmUp(world: World, early: number): Promise<void> {
  const shoppers = planShoppers({ shoppers: early, seconds: 1, seed: 0 });
  await Promise.all(
    shoppers.map((shopper) =>
      live(world, plannedVisit({ ...shopper, sku: "COAT-CML-M" }), performance.now())
    ),
  );
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(0)} s`;
}

/** Milliseconds that the webhook took for each delivery from then on, so with its effect. */
async function attempts({ stripeUrl }: World, from: number): Promise<number[]> {
  const response = await fetch(`${stripeUrl}/_control/deliveries?limit=100000`);
  const { deliveries } = await response.json();
  return deliveries.flatMap(({ at, duration_ms }: { at: string; duration_ms: number }) =>
    Date.parse(at) >= from ? [duration_ms] : []
  );
}
