/**
 * What a worker of stripe-webhook keeps in memory, and what a delivery takes of the processor. The database is played:
 * only the function is asked.
 * `deno run -A --v8-flags=--expose-gc scripts/quality/bench/memory.ts [100000]`
 */
import Stripe from "stripe";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { eventCalls } from "../../../supabase/functions/_shared/database/events.ts";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import { type Deps, handle } from "../../../supabase/functions/stripe-webhook/handler.ts";
import { createReceiver } from "../../../supabase/functions/stripe-webhook/receiver.ts";
import { processorSeconds } from "./processor.ts";

const requests = Number(Deno.args[0] ?? 100_000);
const width = 16;
const shownAt = [0.1, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * requests));
const secret = "whsec_bench";
const folder = new URL("../../../tests/fixtures/events/", import.meta.url);
const names = ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"];
const fixtures: Record<string, unknown>[] = await Promise.all(
  names.map(async (name) => JSON.parse(await Deno.readTextFile(new URL(`${name}.json`, folder)))),
);

const outcome = { outcome: "applied", reason: null, delivery_count: 1, order_ids: [], closing_sessions: [] };
const database = createCall(
  { supabaseUrl: "http://database.example", secretKeys: { default: "sb_secret_bench" } },
  (url, init) => {
    const body = JSON.parse(String(init?.body));
    const answer = String(url).endsWith("/receive_stripe_events")
      ? (body.p_events as unknown[]).map(() => outcome)
      : outcome;
    return Promise.resolve(Response.json(answer));
  },
);
const deps: Deps = {
  env: {
    livemode: false,
    stripeAccountId: null,
    stripeWebhookSecrets: [secret],
    stripeWebhookIpMode: "off",
  },
  receiver: createReceiver(eventCalls(database)),
  allowlist: { check: () => Promise.resolve("listed") },
  rejections: { blockedFor: () => null, countBlocked: () => {}, count: () => Promise.resolve(null) },
  endSessions: () => {},
  log: createLogger({}, () => {}),
  now: Date.now,
};

async function deliver(n: number): Promise<void> {
  const payload = JSON.stringify({ ...fixtures[n % fixtures.length], id: `evt_bench_${n}` });
  const signature = await Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret });
  const response = await handle(
    new Request("http://functions.example/stripe-webhook", {
      method: "POST",
      headers: { "stripe-signature": signature, "content-type": "application/json" },
      body: payload,
    }),
    deps,
  );
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
}

/** Garbage is no leak: it goes before memory is read. */
const { gc } = globalThis as { gc?: () => void };
if (gc === undefined) throw new Error("run it with --v8-flags=--expose-gc");

const processor = () => processorSeconds(({ pid }) => pid === Deno.pid ? "own" : null).get("own") ?? 0;

console.log(
  `${"requests".padStart(9)}${"memory".padStart(10)}${"heap".padStart(10)}${"each, processor".padStart(18)}`,
);
let done = 0, before = processor(), beforeDone = 0;
for (const goal of shownAt) {
  await Promise.all(Array.from({ length: width }, async () => {
    while (done < goal) await deliver(done++);
  }));
  const eachMs = (processor() - before) / (done - beforeDone) * 1_000;
  gc();
  const { rss, heapUsed } = Deno.memoryUsage();
  console.log(
    `${String(done).padStart(9)}${megabytes(rss)}${megabytes(heapUsed)}${
      `${eachMs.toFixed(2)} ms`.padStart(18)
    }`,
  );
  [before, beforeDone] = [processor(), done];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`.padStart(10);
}
