/** What a dispute would be answered with at this moment: asked of the code that answers, sent to nobody. */
import type Stripe from "stripe";
import type { DisputedOrder } from "../../../supabase/functions/_shared/database/disputes.ts";
import {
  answerParams,
  obstacleOf,
  waiting,
  writtenByHand,
} from "../../../supabase/functions/_shared/jobs/dispute_answer.ts";
import { evidenceDocuments } from "../../../supabase/functions/_shared/jobs/dispute_documents.ts";
import { ourFiles } from "../../../supabase/functions/_shared/jobs/dispute_files.ts";
import { fieldsFor } from "../../../supabase/functions/_shared/jobs/dispute_fields.ts";
import { pdfPages, type PdfRow, writePdf } from "../../../supabase/functions/_shared/text/pdf.ts";

/** Who has filled in a field: the shop's code, a person in the dashboard, or Stripe itself. */
export type Whose = "shop" | "person" | "stripe";

export interface PreviewText {
  field: string;
  text: string;
  whose: Whose;
}

export interface PreviewFile {
  field: string;
  /** As it is saved beside the page. */
  name: string;
  bytes: Uint8Array;
  whose: Whose;
  /** What stands in one of ours; null: a person's, to be opened. */
  pages: PdfRow[][] | null;
}

export interface Preview {
  dispute: Stripe.Dispute;
  order: string;
  /** False: the bank has it already, and this is what was sent. */
  open: boolean;
  /** Why nothing is sent without a person; null: nothing stands in the way. */
  obstacle: "fee" | "no_field" | null;
  texts: PreviewText[];
  files: PreviewFile[];
  /** Fields that matter for this dispute, of which nothing is known. */
  missing: string[];
}

/** Fetches what is in a file at Stripe. */
export type ReadFile = (id: string) => Promise<Pick<PreviewFile, "name" | "bytes">>;

/** The whole answer, with staff's note where there is one. */
export async function previewOf(
  dispute: Stripe.Dispute,
  order: DisputedOrder,
  note: string | null,
  readFile: ReadFile,
): Promise<Preview> {
  const open = waiting.includes(dispute.status);
  const obstacle = open ? obstacleOf(dispute) : null;
  const written = await writtenByHand(dispute);
  const documents = open && obstacle !== "no_field" ? evidenceDocuments(order, dispute, written) : [];
  const drafts = new Map(documents.map((document) => [`draft_${document.field}`, document]));
  const files = [...drafts].map(([id, { field }]) => ({ field, hash: "draft", id }));
  const answer = { note, submit: true, acknowledgesFee: false, files };
  const sent = open && obstacle !== "no_field"
    ? (await answerParams(dispute, order, written, answer)).evidence ?? {}
    : {};
  const { appeal, ...before } = { ...dispute.evidence, ...sent };
  const appealed = dispute.status.startsWith("appeal_");
  // An appeal is read by itself.
  const evidence = flat(appealed ? { appeal } : before);
  const ours = new Set(ourFiles(dispute).map(({ id }) => id));
  const whose = (name: string): Whose => {
    const field = name.split(".")[0] ?? name;
    return written.includes(field) ? "person" : field in sent || !open ? "shop" : "stripe";
  };
  const preview: Preview = {
    dispute,
    order: order.number,
    open,
    obstacle,
    texts: [],
    files: [],
    missing: open && !appealed && obstacle !== "no_field"
      ? [...fieldsFor(dispute)].filter((field) => evidence[field] === undefined)
      : [],
  };
  for (const [field, value] of Object.entries(evidence)) {
    const draft = drafts.get(value);
    if (draft !== undefined) {
      const name = `${field.replaceAll(/\W+/g, "_")}.pdf`;
      preview.files.push({ field, name, bytes: writePdf(draft), whose: "shop", pages: pdfPages(draft) });
    } else if (/^file_\w+$/.test(value)) {
      const file = await readFile(value);
      preview.files.push({ ...file, field, whose: ours.has(value) ? "shop" : "person", pages: null });
    } else {
      preview.texts.push({ field, text: value, whose: whose(field) });
    }
  }
  return preview;
}

/** Each text and id of the evidence under the way to it; what is empty is left out. */
function flat(value: unknown, way = ""): Record<string, string> {
  if (value === null || value === undefined || value === "") return {};
  if (typeof value !== "object") return { [way]: String(value) };
  // An expanded file stands for its id.
  if ("id" in value) return { [way]: String(value.id) };
  const inside = Object.entries(value).map(([name, member]) =>
    flat(member, way === "" ? name : `${way}.${name}`)
  );
  return Object.assign({}, ...inside);
}
