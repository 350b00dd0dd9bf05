/** Texts that are cut to what Stripe takes: half a character is no text, and Stripe's library throws for it. */
import assert from "node:assert/strict";
import Stripe from "stripe";
import { sessionMetadata } from "../../supabase/functions/_shared/checkout/session_params.ts";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";
import {
  appealParams,
  evidenceParams,
  textMax,
} from "../../supabase/functions/_shared/jobs/dispute_evidence.ts";
import { type JobContext, runJob } from "../../supabase/functions/_shared/jobs/mod.ts";
import { order } from "../support/disputed_order.ts";
import { checkoutOf, orderId } from "./checkout_world.ts";
import { keptLog, testEnv } from "./fakes.ts";

/** A text whose last character lies across a limit. */
function across(limit: number): string {
  return `${"a".repeat(limit - 1)}\u{1f4e6}`;
}

Deno.test("a refund goes out although its reason is cut within a character", async () => {
  const bodies: URLSearchParams[] = [];
  const stripe = new Stripe("sk_test_unit", {
    maxNetworkRetries: 0,
    httpClient: Stripe.createFetchHttpClient((_url, init) => {
      if (init?.method === "GET") {
        return Promise.resolve(Response.json({ object: "list", data: [], has_more: false }));
      }
      bodies.push(new URLSearchParams(String(init?.body)));
      return Promise.resolve(Response.json({ id: "re_1", amount: 1, currency: "usd", status: "succeeded" }));
    }),
  });
  const judgement = { outcome: "go", by: null, refusals: 0, restock: false, lines: null };
  const rpc = {
    applyStripeFacts: () => Promise.resolve(true),
    judgeRefund: () => Promise.resolve(judgement),
  };
  const payload = { payment_id: "pi_1", order_id: orderId, refund_request_id: "r1", reason: across(500) };
  const job = { id: 1, lease_id: "lease", kind: "refund_payment", payload, attempts: 1 } as unknown as Job;
  const context = { env: testEnv(), rpc, stripe, fetch, now: Date.now, log: keptLog().log };
  assert.deepEqual(await runJob(job, context as unknown as JobContext), { kind: "done" });
  assert.equal(bodies[0]?.get("metadata[reason]"), `${"a".repeat(499)}\ufffd`);
});

Deno.test("what is cut within a character can be sent all the same", () => {
  const dispute = {
    reason: "general",
    payment_method_details: null,
    enhanced_eligibility_types: [],
  } as never;
  const cut = [
    evidenceParams(order, across(textMax), dispute).uncategorized_text,
    JSON.parse(JSON.stringify(appealParams(order, across(textMax)))).appeal.card.reason_for_filing,
    sessionMetadata(checkoutOf({ terms_version: across(500) }))["terms_version"],
  ];
  for (const text of cut) assert(typeof text === "string" && text.isWellFormed() && text.endsWith("\ufffd"));
});
