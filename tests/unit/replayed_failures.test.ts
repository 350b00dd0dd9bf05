/**
 * Stripe replays the answer of an idempotency key for a day, a 500 too: no key may be asked again in vain for so long,
 * and what is replayed says nothing of whether Stripe can be reached by now.
 */
import assert from "node:assert/strict";
import Stripe from "stripe";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";
import { uploadFiles } from "../../supabase/functions/_shared/jobs/dispute_files.ts";
import { type JobContext, resultOf, runJob } from "../../supabase/functions/_shared/jobs/mod.ts";
import { order } from "../support/disputed_order.ts";
import { fixedClock, keptLog, testEnv } from "./fakes.ts";

/** Stripe that fails the first request under each key and stores that; `keys` are those asked under, in order. */
function failingStripe(objects: Record<string, unknown>, succeeds: (key: string) => boolean = () => false) {
  const keys: string[] = [];
  const stripe = new Stripe("sk_test_unit", {
    maxNetworkRetries: 0,
    httpClient: Stripe.createFetchHttpClient((url, init) => {
      const { pathname } = new URL(String(url));
      if (init?.method === "GET") return Promise.resolve(Response.json(objects[pathname]));
      const key = new Headers(init?.headers).get("idempotency-key") ?? "";
      const headers: HeadersInit = keys.includes(key) ? { "idempotent-replayed": "true" } : {};
      keys.push(key);
      if (succeeds(key)) return Promise.resolve(Response.json({ id: "file_1" }));
      const error = { type: "api_error", message: "An unknown error occurred" };
      return Promise.resolve(Response.json({ error }, { status: 500, headers }));
    }),
  });
  return { stripe, keys };
}

function contextOf(stripe: Stripe, rpc: Partial<JobContext["rpc"]> = {}): JobContext {
  return {
    env: testEnv(),
    rpc: { applyStripeFacts: () => Promise.resolve(true), ...rpc } as JobContext["rpc"],
    stripe,
    fetch,
    now: fixedClock().now,
    log: keptLog().log,
  };
}

/** The same try again, as a job has it that is held while Stripe is taken for down: that costs no attempt. */
function jobOf(kind: string, payload: Record<string, string>, leaseId: string): Job {
  return { id: 7, lease_id: leaseId, kind, payload, attempts: 3 } as unknown as Job;
}

const tries: [string, Record<string, string>, Record<string, unknown>][] = [
  [
    "expire_checkout_session",
    { session_id: "cs_1" },
    { "/v1/checkout/sessions/cs_1": { id: "cs_1", status: "open" } },
  ],
  [
    "close_dispute",
    { dispute_id: "du_1" },
    { "/v1/disputes/du_1": { id: "du_1", status: "needs_response", currency: "usd" } },
  ],
];

for (const [kind, payload, objects] of tries) {
  Deno.test(`${kind} is not told a stored failure again while Stripe is down`, async () => {
    const { stripe, keys } = failingStripe(objects);
    for (const lease of ["lease-1", "lease-2", "lease-3"]) {
      const outcome = await runJob(jobOf(kind, payload, lease), contextOf(stripe));
      assert.equal(outcome.kind, "retry");
    }
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 3, keys.join());
  });
}

Deno.test("a refund whose failures Stripe has stored goes on under another key, and holds nobody else's calls", async () => {
  let refusals = 0;
  const { stripe, keys } = failingStripe({ "/v1/refunds": { object: "list", data: [], has_more: false } });
  const context = contextOf(stripe, {
    judgeRefund: () =>
      Promise.resolve({ outcome: "go", by: null, refusals, restock: false, lines: null } as const),
  });
  const payload = {
    payment_id: "pi_1",
    order_id: "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42",
    refund_request_id: "r1",
  };
  const states: (string | null)[] = [];
  for (let at = 0; at < 6; at++) {
    const job = jobOf("refund_payment", payload, `lease-${at}`);
    const result = resultOf(job, await runJob(job, context));
    assert.equal(result.outcome, "retry");
    states.push(result.provider_state);
    // As note_refund_outcome() counts what staff are told of.
    if (result.alert !== null) refusals++;
  }
  assert.deepEqual(states, ["down", "down", "down", null, "down", "down"]);
  assert.deepEqual([...new Set(keys)], [
    "refund_r1",
    "refund_r1_2",
    "refund_r1_3",
    "refund_r1_after_1",
    "refund_r1_after_1_2",
  ]);
});

Deno.test("a file whose upload Stripe has stored as failed is uploaded under another key", async () => {
  const { stripe, keys } = failingStripe({}, (key) => key.endsWith(":lease-2"));
  const dispute = {
    id: "du_1",
    reason: "general",
    metadata: {},
    payment_method_details: null,
  } as unknown as Stripe.Dispute;
  const { log } = keptLog();
  // The receipt alone, so that what fails first does not leave others under way.
  const written = [
    "shipping_documentation",
    "customer_communication",
    "refund_policy",
    "cancellation_policy",
  ];
  const upload = (lease_id: string) =>
    uploadFiles(dispute, order, written, { attempts: 1, lease_id }, { stripe, log });
  await assert.rejects(upload("lease-1"), { code: "stripe_unavailable" });
  assert.equal(keys.length, 1);
  assert.deepEqual((await upload("lease-2")).map(({ field, id }) => [field, id]), [["receipt", "file_1"]]);
});
