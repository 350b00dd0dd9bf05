/**
 * Answers a dispute whose deadline is near and which nobody has answered, as the settings say, and watches it until
 * it is over: a day apart, so that a deadline that was moved, or whose event was lost, is heard of in time.
 */
import type Stripe from "stripe";
import { observe } from "../database/readings.ts";
import { callStripe, stripeErrorOf } from "../stripe/client.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import { answerParams, obstacleOf, sendAnswer, writtenByHand } from "./dispute_answer.ts";
import { uploadFiles } from "./dispute_files.ts";
import { type JobHandler, type Outcome, textField } from "./outcome.ts";

const dayMs = 86_400_000;

/** Payload: { dispute_id, round }: the status that waits for an answer. */
export const answerDispute: JobHandler = async (job, context) => {
  const { stripe, rpc, now } = context;
  const id = textField(job, "dispute_id");
  const observer = { rpc, now, source: "job" } as const;
  const ask = async (call: () => Promise<Stripe.Dispute>) => await observe(observer, call, disputeFacts);
  const read = () => callStripe(() => stripe.disputes.retrieve(id));
  const watch = (reason: string): Outcome => ({ kind: "snooze", until: new Date(now() + dayMs), reason });
  // Each try has a key of its own: what is known may have grown since the last one, and Stripe itself submits once.
  const idempotencyKey = `job_${job.id}_${job.lease_id}`;
  const act = async (reason: string, call: () => Promise<Stripe.Dispute>): Promise<Outcome> => {
    try {
      await ask(call);
      return watch(reason);
    } catch (error) {
      if (stripeErrorOf(error)?.statusCode !== 400) throw error;
      const { status } = await ask(read);
      // Answered by a person in the same moment; else Stripe refuses what we sent.
      if (status === dispute.status) throw error;
      return watch(`somebody was faster (${status})`);
    }
  };

  // Right before anything is done: a person may have been faster.
  const dispute = await ask(read);
  const written = await writtenByHand(dispute);
  const { action, run_at } = await rpc.decideDispute(id, textField(job, "round"), {
    written: written.length > 0,
    obstacle: obstacleOf(dispute),
  });
  switch (action) {
    case "over":
      return { kind: "discard", reason: `nothing is left to answer (${dispute.status})` };
    case "wait":
      return { kind: "snooze", until: new Date(run_at), reason: `not yet, or no more (${dispute.status})` };
    case "accept":
      return await act("accepted", () => callStripe(() => stripe.disputes.close(id, {}, { idempotencyKey })));
    case "fight": {
      const known = await rpc.getDisputeEvidence(id);
      if (known === null || known.order === null) {
        return { kind: "discard", reason: "the dispute is not about an order of this shop" };
      }
      const files = await uploadFiles(dispute, known.order, written, job, context);
      const answer = { note: null, submit: true, acknowledgesFee: false, files };
      const params = await answerParams(dispute, known.order, written, answer);
      return await act("evidence is submitted", () => sendAnswer(stripe, id, params, idempotencyKey));
    }
  }
};
