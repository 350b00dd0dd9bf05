import assert from "node:assert/strict";
import Stripe from "stripe";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { outcomeOf, resultOf } from "../../supabase/functions/_shared/jobs/outcome.ts";
import { type JobContext, runJob } from "../../supabase/functions/_shared/jobs/mod.ts";
import { createLogger } from "../../supabase/functions/_shared/log.ts";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";

const job = { id: 1, lease_id: "lease" };

function stripeFailure(statusCode: number, type: "invalid_request_error" | "card_error"): AppError {
  const cause = Stripe.errors.StripeError.generate({ type, message: "no", statusCode } as never);
  return new AppError("stripe_unavailable", { cause });
}

Deno.test("outcomeOf(): what Stripe refuses is given up, and shows that Stripe can be reached", () => {
  for (const failure of [stripeFailure(400, "invalid_request_error"), stripeFailure(402, "card_error")]) {
    const result = resultOf(job, outcomeOf(failure, Date.now()));
    assert.deepEqual([result.outcome, result.alert, result.provider_state], ["discard", "critical", "up"]);
  }
});

Deno.test("refresh jobs: an object that cannot be read is this job's failure, not an outage of Stripe", async () => {
  const log = createLogger({}, () => {});
  const strange = { retrieve: () => Promise.resolve(null) };
  const stripe = { disputes: strange, refunds: strange, reviews: strange };
  const context = { stripe, now: Date.now, log } as unknown as JobContext;
  for (const object of ["dispute", "refund", "review"]) {
    for (const payload of [{ [`${object}_id`]: "x" }, {}]) {
      const outcome = await runJob({ ...job, kind: `refresh_${object}`, payload } as unknown as Job, context);
      assert.equal(outcome.kind, "retry");
      assert.equal(resultOf(job, outcome).provider_state, null);
    }
  }
});
