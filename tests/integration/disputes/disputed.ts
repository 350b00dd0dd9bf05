/** Disputes as these tests need them: of orders that were paid and shipped, answered before their deadlines. */
import { runJob } from "../../../supabase/functions/_shared/jobs/mod.ts";
import type { JobContext } from "../../../supabase/functions/_shared/jobs/mod.ts";
import type { Job } from "../../../supabase/functions/_shared/database/jobs.ts";
import type { TestStack } from "../../support/stack.ts";
import { type Checkout, checkout, control, flush, pay } from "../jobs/shop.ts";

export function disputeWorld(stack: TestStack, context: JobContext) {
  /** A paid order that has shipped, and is disputed afterwards. Returns it with the dispute's id. */
  async function disputedOrder(
    kind = "fraudulent",
    traits: Record<string, unknown> = {},
    email?: string,
    paidWith?: string,
  ): Promise<Checkout & { dispute: string }> {
    const order = await checkout(stack, undefined, undefined, email);
    if (paidWith === undefined) await pay(stack, order.session_id);
    else await control(stack, "pay", { session: order.session_id, payment_method: paidWith });
    await flush(stack);
    await stack.sql`select public.mark_fulfilled(${order.order_number}, 'UPS', '1Z999')`;
    const [payment] = await stack
      .sql`select charge_id from public.payments where order_id = ${order.order_id}`;
    await control(stack, "dispute", { charge: payment?.["charge_id"], kind, ...traits });
    await flush(stack);
    const [dispute] = await stack.sql`select id from public.disputes where order_id = ${order.order_id}`;
    return { ...order, dispute: dispute?.["id"] };
  }

  /** Runs a job of this kind, by itself. */
  function run(kind: string, payload: Job["payload"], attempts = 1) {
    const job = {
      id: 1,
      kind,
      payload,
      attempts,
      max_attempts: 12,
      lease_id: crypto.randomUUID(),
      created_at: new Date().toISOString(),
      order_id: null,
    };
    return runJob(job, context);
  }

  const answer = (dispute: string, round = "needs_response", attempts = 1) =>
    run("answer_dispute", { dispute_id: dispute, round }, attempts);

  /** Deadlines are near for the time of `work`. */
  async function nearDeadlines(work: () => Promise<void>): Promise<void> {
    const set = (hours: number) =>
      stack
        .sql`update private.settings set value = to_jsonb(${hours}::int) where key = 'dispute_answer_hours'`;
    await set(999);
    try {
      await work();
    } finally {
      await set(48);
    }
  }

  return { disputedOrder, run, answer, nearDeadlines };
}
