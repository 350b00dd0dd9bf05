/** How much longer a shopper waits for a payment page while a day is reconciled with Stripe. By turns, in one shop. */
import { startWorld, type World } from "./flash/world.ts";
import { post } from "./post.ts";
import type { Reconciliation } from "./reconcile_worker.ts";

export interface DayBench {
  orders: number;
  /** Milliseconds of checkouts, sorted. */
  aloneMs: number[];
  besideMs: number[];
  /** How many times the day was reconciled, and for how long in all. */
  runs: number;
  reconcilingMs: number;
  /** What Stripe knew and the shop did not. */
  repaired: number;
}

const turns = 8;
/** Of the orders, all of whose events were lost: the first run has something to repair. */
const lost = 0.05;
/** What Stripe takes to read something, roughly: without it the stand-in, which shares these cores, is asked without a pause. */
const stripeReadsMs = 150;
/** Shoppers come so often, whatever the shop does. */
const everyMs = 100;
const atLeastMs = 3_000;
const dayMs = 86_400_000;

/** A day of `orders` paid orders. */
export async function benchReconciledDay(orders: number): Promise<DayBench> {
  const dir = await Deno.makeTempDir({ prefix: "kct-bench-day-" });
  const world = await startWorld({ dir, connections: 10, postgrest: false });
  const reconciler = new Worker(new URL("./reconcile_worker.ts", import.meta.url).href, { type: "module" });
  try {
    await world.sql`update public.inventory_levels set on_hand = 1000000`;
    await liveDay(world, orders);
    const result: DayBench = { orders, aloneMs: [], besideMs: [], runs: 0, reconcilingMs: 0, repaired: 0 };
    await control(world, "faults", { api: [{ match: "GET /v1/", delay_ms: stripeReadsMs }] });
    for (let turn = 0; turn < turns; turn++) {
      result.aloneMs.push(...await checkOuts(world, new Promise((wake) => setTimeout(wake, atLeastMs))));
      const startedAt = performance.now();
      const over = (async () => {
        do {
          const { repaired } = await reconcileDay(world, reconciler);
          result.repaired += repaired;
          result.runs++;
        } while (performance.now() - startedAt < atLeastMs);
      })();
      result.besideMs.push(...await checkOuts(world, over));
      await over;
      result.reconcilingMs += performance.now() - startedAt;
    }
    for (const times of [result.aloneMs, result.besideMs]) times.sort((first, second) => first - second);
    return result;
  } finally {
    reconciler.terminate();
    await world.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Throws when something could not be compared. */
async function reconcileDay(
  { apiUrl, stripeUrl, keys }: World,
  reconciler: Worker,
): Promise<{ repaired: number }> {
  const env = {
    SUPABASE_URL: apiUrl,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: keys.secret_key }),
    STRIPE_SECRET_KEY: keys.stripe_restricted_key,
    STRIPE_API_BASE: stripeUrl,
  };
  const { promise, resolve, reject } = Promise.withResolvers<{ repaired: number; problems: number }>();
  reconciler.onmessage = ({ data }) => resolve(data);
  reconciler.onerror = ({ message }) => reject(new Error(message));
  reconciler.postMessage({ env, sinceMs: dayMs } satisfies Reconciliation);
  const { repaired, problems } = await promise;
  if (problems > 0) throw new Error(`${problems} objects could not be reconciled`);
  return { repaired };
}

/** Orders that are paid. From the lost ones on no event arrives any more: nothing else works beside what is measured. */
async function liveDay(world: World, orders: number): Promise<void> {
  const lostOrders = Math.ceil(lost * orders);
  await pay(world, orders - lostOrders);
  await control(world, "faults", { deliver: { drop: 1 } });
  await pay(world, lostOrders);
}

async function pay(world: World, orders: number): Promise<void> {
  const left = Array(orders).keys();
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (const _ of left) await control(world, "pay", { session: await checkOut(world) });
  }));
}

/** Milliseconds of each checkout that began before then. */
async function checkOuts(world: World, until: Promise<unknown>): Promise<number[]> {
  const times: Promise<number>[] = [];
  let over = false;
  void until.finally(() => over = true);
  while (!over) {
    const startedAt = performance.now();
    times.push(checkOut(world).then(() => performance.now() - startedAt));
    await new Promise((wake) => setTimeout(wake, everyMs));
  }
  return await Promise.all(times);
}

async function control({ stripeUrl }: World, call: string, body: object): Promise<void> {
  await post(`${stripeUrl}/_control/${call}`, body);
}

async function checkOut({ functionsUrl, keys }: World): Promise<string> {
  const number = () => Math.floor(Math.random() * 256);
  const answer = await post(`${functionsUrl}/create-checkout-session`, {
    items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }],
  }, {
    apikey: keys.secret_key,
    "x-shopper-ip": `10.${number()}.${number()}.${number()}`,
    "idempotency-key": crypto.randomUUID(),
  });
  return String(answer["session_id"]);
}
