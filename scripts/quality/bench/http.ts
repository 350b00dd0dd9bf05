/**
 * `deno run -A scripts/quality/bench/http.ts [checkouts] [at once]`: checkouts over HTTP with hundreds at once, against
 * plain inserts of a row through the same REST API, by turns; and the processor time of each part, which does not
 * depend on what else the machine does.
 */
import { startWorld, type World } from "./flash/world.ts";

const checkouts = Number(Deno.args[0] ?? 2_000);
const atOnce = Number(Deno.args[1] ?? 500);
const turns = 4;
/** Of a checkout, one of them a call to Stripe besides; `tests/integration/round_trips.test.ts` counts them. */
const roundTrips = 3;

interface Measured {
  seconds: number;
  spent: Map<string, number>;
  waitedMs: number[];
  cameBack: number;
}

const nothing = (): Measured => ({ seconds: 0, spent: new Map(), waitedMs: [], cameBack: 0 });

const dir = await Deno.makeTempDir({ prefix: "kct-bench-http-" });
const world = await startWorld({ dir, connections: 10, postgrest: false });
try {
  await world.sql`
    update public.inventory_levels set on_hand = 1000000;
    create table public.bench_rows (id uuid primary key, payload jsonb);
    grant insert on public.bench_rows to service_role;
    notify pgrst, 'reload schema'`.simple();
  const ours = nothing(), rest = nothing();
  const perTurn = Math.ceil(checkouts / turns);
  await measure(world, nothing(), perTurn, checkOut);
  await measure(world, nothing(), perTurn, insert);
  for (let turn = 0; turn < turns; turn++) {
    await measure(world, ours, perTurn, checkOut);
    await measure(world, rest, perTurn * roundTrips, insert);
  }
  const [row] = await world.sql<{ reserved: number; ordered: number }[]>`
    select (select sum(reserved)::int from public.inventory_levels) as reserved,
      (select sum(quantity)::int from public.order_items) as ordered`;
  if (row?.reserved !== row?.ordered) throw new Error(`${row?.reserved} held for ${row?.ordered} ordered`);
  const done = turns * perTurn;
  const rate = done / ours.seconds, bound = done / rest.seconds;
  console.log(`${atOnce} at once: ${rate.toFixed(0)} checkouts/s, told to come back ${ours.cameBack} times`);
  console.log(
    `${roundTrips} inserts each through the same REST API: ${bound.toFixed(0)}/s, ratio ${
      (rate / bound).toFixed(2)
    }`,
  );
  const sorted = ours.waitedMs.toSorted((a, b) => a - b);
  const at = (share: number) => `${Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? NaN)} ms`;
  console.log(`an answer takes p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}\n`);
  console.log(
    `${"processor, ms".padEnd(24)}${"checkout".padStart(12)}${`${roundTrips} inserts`.padStart(12)}`,
  );
  for (const part of new Set([...ours.spent.keys(), ...rest.spent.keys()])) {
    const of = ({ spent }: Measured) => (1_000 * (spent.get(part) ?? 0) / done).toFixed(2).padStart(12);
    console.log(`${part.padEnd(24)}${of(ours)}${of(rest)}`);
  }
} finally {
  await world.stop();
  await Deno.remove(dir, { recursive: true });
}

async function measure(
  world: World,
  into: Measured,
  count: number,
  work: (world: World, into: Measured) => Promise<void>,
): Promise<void> {
  const before = world.worked();
  const startedAt = performance.now();
  const left = Array(count).keys();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const _ of left) await work(world, into);
  }));
  into.seconds += (performance.now() - startedAt) / 1_000;
  for (const [part, seconds] of world.worked()) {
    into.spent.set(part, (into.spent.get(part) ?? 0) + seconds - (before.get(part) ?? 0));
  }
}

async function insert({ apiUrl, keys }: World): Promise<void> {
  const response = await fetch(`${apiUrl}/rest/v1/bench_rows`, {
    method: "POST",
    headers: { apikey: keys.secret_key, "content-type": "application/json", prefer: "return=minimal" },
    body: JSON.stringify({ id: crypto.randomUUID(), payload: { sku: "SHIRT-OXF-WHT-M", quantity: 1 } }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`insert: ${response.status} ${text}`);
}

/** A guest that nobody has seen before, who comes back when told to. */
async function checkOut({ functionsUrl, keys }: World, into: Measured): Promise<void> {
  const key = crypto.randomUUID();
  const number = () => Math.floor(Math.random() * 256);
  const address = `10.${number()}.${number()}.${number()}`;
  for (;;) {
    const startedAt = performance.now();
    const response = await fetch(`${functionsUrl}/create-checkout-session`, {
      method: "POST",
      headers: {
        apikey: keys.secret_key,
        "x-shopper-ip": address,
        "content-type": "application/json",
        "idempotency-key": key,
      },
      body: JSON.stringify({ items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }] }),
    });
    const text = await response.text();
    into.waitedMs.push(performance.now() - startedAt);
    if (response.ok) return;
    const seconds = Number(response.headers.get("retry-after"));
    if (response.status !== 503 || seconds === 0) throw new Error(`checkout: ${response.status} ${text}`);
    into.cameBack++;
    await new Promise((wake) => setTimeout(wake, 1_000 * seconds));
  }
}
