/** What jobs ask of the database. */
import type { Call } from "../database/client.ts";
import { checkoutCalls } from "../database/checkout.ts";
import { disputeCalls } from "../database/disputes.ts";
import { eventCalls } from "../database/events.ts";
import { factCalls } from "../database/facts.ts";
import { queueCalls } from "../database/jobs.ts";
import { notificationCalls } from "../database/notifications.ts";
import { reconciliationCalls } from "../database/reconciliation.ts";
import { refundCalls } from "../database/refunds.ts";
import { webhookCalls } from "../database/webhooks.ts";

export type JobCalls = ReturnType<typeof jobCalls>;

/** The calls of all kinds of jobs, and of the queue that runs them. */
export const jobCalls = (call: Call) => ({
  ...checkoutCalls(call),
  ...disputeCalls(call),
  ...eventCalls(call),
  ...factCalls(call),
  ...notificationCalls(call),
  ...queueCalls(call),
  ...reconciliationCalls(call),
  ...refundCalls(call),
  ...webhookCalls(call),
});
