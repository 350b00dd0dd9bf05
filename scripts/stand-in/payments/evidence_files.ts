import type Stripe from "stripe";
import { type Context, idOf } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";

/** The fields of evidence that name a file. */
export const EVIDENCE_FILES = [
  "cancellation_policy",
  "customer_communication",
  "customer_signature",
  "duplicate_charge_documentation",
  "receipt",
  "refund_policy",
  "service_documentation",
  "shipping_documentation",
  "uncategorized_file",
] as const;

/** What the files of one dispute may have together: https://docs.stripe.com/disputes/responding */
const MAX_TOTAL = 4.5 * 1024 * 1024;

/** @throws ApiError 400 unless this is a file that was uploaded for disputes. */
export function requireEvidenceFile(context: Context, id: string, param: string): void {
  const file = context.store.get("file", id);
  if (file === undefined) throw invalidRequest(`No such file upload: '${id}'`, param, "resource_missing");
  if (file.purpose !== "dispute_evidence") {
    throw invalidRequest(
      `The file '${id}' has the purpose '${file.purpose}', and must have the purpose 'dispute_evidence'.`,
      param,
    );
  }
}

/** @throws ApiError 400 when the files of the evidence are too much together. */
export function requireRoom(context: Context, evidence: Stripe.Dispute.Evidence): void {
  const ids = EVIDENCE_FILES.map((name) => idOf(evidence[name])).filter((id) => id !== null);
  const files = new Set([...ids, ...evidence.appeal?.card?.supporting_files ?? []]);
  let size = 0;
  for (const id of files) size += context.store.get("file", id)?.size ?? 0;
  if (size > MAX_TOTAL) {
    throw invalidRequest(
      "The files you've attached to this dispute as evidence will exceed the limit for a dispute's total size. Try using smaller files as evidence.",
      "evidence",
    );
  }
}
