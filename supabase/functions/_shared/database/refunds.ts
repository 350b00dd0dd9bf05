/** Refunds, as the queue makes them. */
import type { RefundedLine } from "../stripe/metadata_lines.ts";
import type { Call, Known, Returned } from "./client.ts";

/**
 * Whether a refund may be made now; `by`, when overtaken: the refund or request that may stand in for it. `restock`,
 * `lines`: what it is about; null: it has been made.
 */
export type RefundJudgement = Known<Returned<"judge_refund">, {
  outcome: "go" | "made" | "overtaken" | "disputed";
  refusals: number;
  restock: boolean;
  lines: RefundedLine[] | null;
}>;

export const refundCalls = (call: Call) => ({
  /** Whether a refund may be made now; apply what Stripe lists first. */
  judgeRefund: (requestId: string) =>
    call("judge_refund", { p_request_id: requestId }) as Promise<RefundJudgement>,
});
