/** One world: a seed and a list of steps in, a verdict and the hash of all that happened out. */
import { Actors } from "./actors.ts";
import { createWorldDatabase } from "./database.ts";
import { beginning, Kernel } from "./kernel.ts";
import { calm } from "./network.ts";
import { openShop, orderEvents, origins, type Shop } from "./shop.ts";
import type { Step } from "./steps.ts";
import { judge, unrest, type Violation } from "./verdict.ts";

export interface World {
  seed: number;
  steps: readonly Step[];
}

export interface WorldOptions {
  /** A server on which the template is. */
  adminUrl: string;
  /** Is told each line of the trace. */
  onLine?: (line: string) => void;
  /** SQL that is run first: a mistake to be found. */
  sabotage?: string;
  /** Turns of the event loop between two events; the outcome must not depend on it. */
  turns?: number;
  /** Events after which the database tidies up. */
  tidyEvery?: number;
}

export interface WorldReport {
  /** SHA-256 of the trace. */
  hash: string;
  violations: Violation[];
  /** Orders that were made, messages and timers that happened, instances that died. */
  orders: number;
  events: number;
  deaths: number;
  /** From the first step to rest. */
  hours: number;
}

const minute = 60_000;
const restDays = 5;
/** Less often, and queries wade through what is dead; more often, and tidying costs more than it saves. */
const tidyEvery = 6000;

/** What Stripe never told is found by asking: within two rounds of reconcile_objects, hourly, at ticks that are rare by then. */
const askedMs = 180 * minute;

/** Lives a world to its end and judges it. */
export async function liveWorld({ seed, steps }: World, options: WorldOptions): Promise<WorldReport> {
  await using database = await createWorldDatabase(options.adminUrl, seed);
  if (options.sabotage !== undefined) await database.sql.unsafe(options.sabotage).simple();
  const kernel = new Kernel({ seed, ...options });
  const shop = await openShop(kernel, database);
  try {
    const actors = new Actors(shop);
    actors.opening = await openingOf(shop);
    let violations: Violation[] | null = null;
    let failure: unknown = null;
    kernel.plan(0, kernel.cause("opening"), () => {
      orderEvents(shop).then(() => steps.forEach((step, number) => actors.plan(step, number)))
        .then(() => void tick(shop, steps))
        .then(() => void tidy(shop, options.tidyEvery ?? tidyEvery))
        .then(() => end(shop, actors, steps))
        .then((found) => violations = found, (error) => failure = error ?? new Error("failed"));
    });
    await kernel.run(() => violations !== null || failure !== null);
    if (failure !== null) throw failure;
    const [row] = await shop.ask((sql) =>
      sql<{ count: number }[]>`select count(*)::integer as count from public.orders`
    );
    return {
      hash: kernel.hash(),
      violations: violations ?? [{ rule: "a world comes to an end", detail: "nothing happens any more" }],
      orders: row?.count ?? 0,
      events: kernel.events,
      deaths: shop.network.deaths,
      hours: (kernel.now - beginning) / 3_600_000,
    };
  } finally {
    await shop.close();
  }
}

async function openingOf(shop: Shop): Promise<Map<string, number>> {
  const rows = await shop.ask((sql) =>
    sql<{ sku: string; pieces: number }[]>`select v.sku, l.on_hand::integer as pieces
      from public.inventory_levels l join public.product_variants v on v.id = l.variant_id`
  );
  return new Map(rows.map(({ sku, pieces }) => [sku, pieces]));
}

/**
 * The scheduler calls each minute; once nobody buys any more it waits a sixth of the time since then, two hours at most,
 * so that hours in which the shop only waits for a bank are cheap.
 */
function tickMs(sinceClosing: number): number {
  return Math.min(Math.max(minute, sinceClosing / 6), 120 * minute);
}

/** As pg_cron does, whether or not the last call is over. */
async function tick({ kernel, keys }: Shop, steps: readonly Step[]): Promise<void> {
  const closing = beginning +
    steps.reduce((last, step) => step.do === "buy" ? Math.max(last, step.at) : last, 0);
  for (let number = 0;; number++) {
    await kernel.sleep(tickMs(kernel.now - closing));
    kernel.plan(0, kernel.cause(`tick ${number}`), () => {
      fetch(`${origins.api}/functions/v1/retry-jobs`, {
        method: "POST",
        headers: { apikey: keys.secret_key, "content-type": "application/json" },
        body: JSON.stringify({ limit: 1_000 }),
        signal: AbortSignal.timeout(150_000),
      }).then((response) => response.body?.cancel()).catch(() => {});
    });
  }
}

/** As autovacuum does, but by the world's count: it decides where rows lie and how they are looked for. */
async function tidy({ kernel, tidy }: Shop, everyEvents: number): Promise<void> {
  for (let before = kernel.events;;) {
    await kernel.sleep(5 * minute);
    if (kernel.events - before < everyEvents) continue;
    await tidy();
    before = kernel.events;
  }
}

/** Waits for everybody to be done and for the shop to rest, in fair weather, and judges. */
async function end(shop: Shop, actors: Actors, steps: readonly Step[]): Promise<Violation[]> {
  const { kernel, network, functions } = shop;
  while (actors.busy > 0) await kernel.sleep(minute);
  const troubled = steps.some((step) => ["weather", "cut off", "kill"].includes(step.do));
  // A fuse that was lit last has time to burn down.
  if (troubled) await kernel.sleep(5 * minute);
  network.weather = calm;
  network.unreachable.clear();
  for (const name of ["create-checkout-session", "stripe-webhook", "retry-jobs", "order-status"]) {
    const instance = functions.instanceOf(name);
    if (instance !== null) instance.fuse = null;
  }
  if (steps.some((step) => "unheard" in step && step.unheard === true)) await kernel.sleep(askedMs);
  const deadline = kernel.now + restDays * 86_400_000;
  for (let left: unknown = "everything"; kernel.now < deadline;) {
    await kernel.sleep(Math.max(3 * minute, (kernel.now - beginning) / 24) + 30_000);
    left = await unrest(shop);
    if (left === null) return await judge(shop, actors, troubled);
    kernel.note("watch", JSON.stringify(left));
  }
  return [{ rule: "everything comes to an end", detail: await unrest(shop) }];
}
