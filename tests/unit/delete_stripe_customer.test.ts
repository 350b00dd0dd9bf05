import assert from "node:assert/strict";
import Stripe from "stripe";
import { type JobContext, runJob } from "../../supabase/functions/_shared/jobs/mod.ts";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";
import { fixedClock, keptLog, testEnv } from "./fakes.ts";

const clock = fixedClock();

function outcomeOf(answer: { status: number; body: unknown }) {
  const asked: string[] = [];
  const stripe = new Stripe("sk_test_unit", {
    maxNetworkRetries: 0,
    httpClient: Stripe.createFetchHttpClient((url, init) => {
      asked.push(`${init?.method} ${new URL(String(url)).pathname}`);
      return Promise.resolve(Response.json(answer.body, { status: answer.status }));
    }),
  });
  const job = {
    id: 1,
    kind: "delete_stripe_customer",
    payload: { stripe_customer_id: "cus_1" },
    attempts: 1,
  };
  const context = {
    env: testEnv(),
    rpc: {} as JobContext["rpc"],
    stripe,
    fetch,
    now: clock.now,
    log: keptLog().log,
  };
  return runJob(job as unknown as Job, context).then((outcome) => ({ outcome, asked }));
}

Deno.test("delete_stripe_customer deletes the customer at Stripe", async () => {
  const { outcome, asked } = await outcomeOf({ status: 200, body: { id: "cus_1", deleted: true } });
  assert.deepEqual(outcome, { kind: "done" });
  assert.deepEqual(asked, ["DELETE /v1/customers/cus_1"]);
});

Deno.test("delete_stripe_customer is content with a customer that is gone: it may run again a week later", async () => {
  const error = { type: "invalid_request_error", code: "resource_missing", message: "No such customer" };
  const { outcome } = await outcomeOf({ status: 404, body: { error } });
  assert.deepEqual(outcome, { kind: "done" });
});

Deno.test("delete_stripe_customer goes on trying while Stripe is down", async () => {
  const { outcome } = await outcomeOf({
    status: 500,
    body: { error: { type: "api_error", message: "down" } },
  });
  assert.equal(outcome.kind, "retry");
});
