/**
 * Uploads the files of an answer. Which of a dispute's files are ours stands in its metadata beside the other marks:
 * field, a hash of what is in it, and its id. So a file is uploaded once, whatever dies in between.
 */
import type Stripe from "stripe";
import { callStripe, classifyStripeFailure, isReplayedFailure } from "../stripe/client.ts";
import { type Bytes, writePdf } from "../text/pdf.ts";
import { sha256 } from "../text/sha256.ts";
import { evidenceDocuments } from "./dispute_documents.ts";
import type { EvidenceField } from "./dispute_fields.ts";
import type { DisputedOrder } from "../database/disputes.ts";
import type { Job } from "../database/jobs.ts";
import type { JobContext } from "./outcome.ts";

/** Key of the dispute's metadata that names our files. */
export const filesKey = "files";

/** After so many tries in vain an answer goes without its files. */
const triesMax = 3;

/** A file of ours at Stripe. */
export interface StagedFile {
  field: EvidenceField;
  hash: string;
  id: string;
}

/** The files of a dispute that we have staged. */
export function ourFiles({ metadata }: Pick<Stripe.Dispute, "metadata">): StagedFile[] {
  return (metadata[filesKey] ?? "").split(" ").flatMap((entry) => {
    const [field, hash, id] = entry.split(":");
    return field && hash && id ? [{ field: field as EvidenceField, hash, id }] : [];
  });
}

/** Our files as the metadata has them. Empty: none, which removes the key. */
export function filesText(files: readonly StagedFile[]): string {
  return files.map(({ field, hash, id }) => `${field}:${hash}:${id}`).join(" ");
}

/**
 * Uploads the files of an answer, but for those in whose place a person has put one, and those that are there already
 * with the same in them. What Stripe refuses, or does not take three times, is left out: the answer counts more than
 * its files. `written`: the fields that a person has filled in.
 * @throws AppError when Stripe does not answer and there is time to try again.
 */
export async function uploadFiles(
  dispute: Stripe.Dispute,
  order: DisputedOrder,
  written: readonly string[],
  job: Pick<Job, "attempts" | "lease_id">,
  { stripe, log }: Pick<JobContext, "stripe" | "log">,
): Promise<StagedFile[]> {
  const staged = ourFiles(dispute);
  const files = await Promise.all(
    evidenceDocuments(order, dispute, written).map(async (document): Promise<StagedFile[]> => {
      const data = writePdf(document);
      const { field } = document;
      const digest = await sha256(data);
      const hash = digest.slice(0, 8);
      const same = staged.find((file) => file.field === field && file.hash === hash);
      if (same !== undefined) return [same];
      const file = { data, name: `${field}.pdf`, type: "application/pdf" };
      // The same contents have the same key: a try that died after its upload left no second file.
      const idempotencyKey = `dispute_file:${dispute.id}:${field}:${digest.slice(0, 32)}`;
      try {
        return [{ field, hash, id: await upload(file, idempotencyKey, job.lease_id, stripe) }];
      } catch (error) {
        if (classifyStripeFailure(error) === "retry" && job.attempts < triesMax) throw error;
        log.warn("dispute_file_left_out", { dispute_id: dispute.id, field, error });
        return [];
      }
    }),
  );
  return files.flat();
}

/** Uploads a file and answers its id. What Stripe replays as failed has ended: this try has a key of its own then. */
async function upload(
  file: { data: Bytes; name: string; type: string },
  key: string,
  leaseId: string,
  stripe: Stripe,
): Promise<string> {
  const create = async (idempotencyKey: string) =>
    (await callStripe(() => stripe.files.create({ file, purpose: "dispute_evidence" }, { idempotencyKey })))
      .id;
  try {
    return await create(key);
  } catch (error) {
    if (!isReplayedFailure(error)) throw error;
    return await create(`${key}:${leaseId}`);
  }
}

/** The parameters without our files; null when they have none. */
export function withoutFiles(params: Stripe.DisputeUpdateParams): Stripe.DisputeUpdateParams | null {
  const metadata = params.metadata ? params.metadata : {};
  const text = metadata[filesKey];
  const ours = new Set(ourFiles({ metadata: { [filesKey]: String(text ?? "") } }).map(({ id }) => id));
  if (ours.size === 0) return null;
  const evidence = Object.fromEntries(
    Object.entries(params.evidence ?? {}).filter(([, value]) => !ours.has(String(value))),
  ) as Stripe.DisputeUpdateParams.Evidence;
  const card = evidence.appeal ? evidence.appeal.card : undefined;
  if (card) {
    const supporting_files = (card.supporting_files || []).filter((id) => !ours.has(id));
    evidence.appeal = { card: { ...card, supporting_files } };
  }
  return { ...params, evidence, metadata: { ...metadata, [filesKey]: "" } };
}
