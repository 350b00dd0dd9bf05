/** The registry of job kinds: one line per kind. A new kind is a line here, a handler and a test. */
import type { Job } from "../rpc.ts";
import { expireCheckoutSession } from "./expire_checkout_session.ts";
import { type JobContext, type JobHandler, type Outcome, outcomeOf } from "./outcome.ts";
import { refreshDispute, refreshRefund, refreshReview } from "./refresh.ts";
import { refundPayment } from "./refund_payment.ts";
import { retryEvent } from "./retry_event.ts";
import { sendAlert } from "./send_alert.ts";
import { sendMail } from "./send_mail.ts";

export type { JobContext, Outcome } from "./outcome.ts";

const registry: Record<string, JobHandler> = {
  retry_event: retryEvent,
  expire_checkout_session: expireCheckoutSession,
  refund_payment: refundPayment,
  refresh_dispute: refreshDispute,
  refresh_refund: refreshRefund,
  refresh_review: refreshReview,
  send_mail: sendMail,
  send_alert: sendAlert,
};

/** Kinds that call Stripe: what one of them learns about Stripe's health holds for all. */
const stripeKinds: ReadonlySet<string> = new Set([
  "expire_checkout_session",
  "refund_payment",
  "refresh_dispute",
  "refresh_refund",
  "refresh_review",
]);

/** True for kinds that stop when Stripe is down or the key is wrong. */
export function needsStripe(kind: string): boolean {
  return stripeKinds.has(kind);
}

/** Runs one job. Never throws: whatever goes wrong becomes an outcome. */
export async function runJob(job: Job, context: JobContext): Promise<Outcome> {
  const handler = Object.hasOwn(registry, job.kind) ? registry[job.kind] : undefined;
  // A newer database may queue kinds that this deployment does not know yet.
  if (handler === undefined) return { kind: "retry", error: `no handler for jobs of kind ${job.kind}` };
  try {
    return await handler(job, context);
  } catch (error) {
    return outcomeOf(error, context.now());
  }
}
