/** The registry of job kinds: one line per kind. A new kind is a line here, one in private.job_kinds, and a test. */
import type { Job } from "../database/jobs.ts";
import { answerDispute } from "./answer_dispute.ts";
import { checkOrders } from "./check_orders.ts";
import { checkWebhookEndpoint } from "./check_webhook_endpoint.ts";
import { closeDispute } from "./close_dispute.ts";
import { deleteStripeCustomer } from "./delete_stripe_customer.ts";
import { evaluateAlertRules } from "./evaluate_alert_rules.ts";
import { expireCheckoutSession } from "./expire_checkout_session.ts";
import { findLostSessions } from "./find_lost_sessions.ts";
import { type JobContext, type JobHandler, type Outcome, outcomeOf } from "./outcome.ts";
import { purge } from "./purge.ts";
import { reconcileEventsJob } from "./reconcile_events.ts";
import { reconcileObjectsJob } from "./reconcile_objects.ts";
import {
  refreshCharge,
  refreshCheckoutSession,
  refreshCustomer,
  refreshDispute,
  refreshPayment,
  refreshRefund,
  refreshReview,
} from "./refresh.ts";
import { refreshWebhookAddresses } from "./refresh_webhook_addresses.ts";
import { refundPayment } from "./refund_payment.ts";
import { remindDispute } from "./remind_dispute.ts";
import { retryEvent } from "./retry_event.ts";
import { sendAlert } from "./send_alert.ts";
import { sendBudgetReport } from "./send_budget_report.ts";
import { sendDigest } from "./send_digest.ts";
import { sendMail } from "./send_mail.ts";
import { submitDisputeEvidence } from "./submit_dispute_evidence.ts";

export { type JobContext, type Outcome, resultOf } from "./outcome.ts";

const registry: Record<string, JobHandler> = {
  retry_event: retryEvent,
  expire_checkout_session: expireCheckoutSession,
  find_lost_sessions: findLostSessions,
  refund_payment: refundPayment,
  refresh_dispute: refreshDispute,
  refresh_refund: refreshRefund,
  refresh_review: refreshReview,
  refresh_customer: refreshCustomer,
  refresh_checkout_session: refreshCheckoutSession,
  refresh_payment: refreshPayment,
  refresh_charge: refreshCharge,
  submit_dispute_evidence: submitDisputeEvidence,
  answer_dispute: answerDispute,
  close_dispute: closeDispute,
  remind_dispute: remindDispute,
  send_mail: sendMail,
  send_alert: sendAlert,
  send_digest: sendDigest,
  send_budget_report: sendBudgetReport,
  reconcile_events: reconcileEventsJob,
  reconcile_objects: reconcileObjectsJob,
  refresh_webhook_addresses: refreshWebhookAddresses,
  check_webhook_endpoint: checkWebhookEndpoint,
  delete_stripe_customer: deleteStripeCustomer,
  check_orders: checkOrders,
  evaluate_alert_rules: evaluateAlertRules,
  purge,
};

/** All kinds that this deployment can run. */
export const jobKinds: readonly string[] = Object.keys(registry);

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
