/** The shapes of what `deno task pci` writes. `docs/pci/evidence.schema.json` is the same as JSON Schema. */
import { z } from "zod";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const examined = z.strictObject({
  what: z.string().meta({ description: "What was looked at" }),
  items: z.number().int().nonnegative().meta({ description: "How many files, rows, lines, …" }),
  sha256: sha256.meta({ description: "Of what was looked at" }),
  moves: z.boolean().meta({ description: "Changes by itself from run to run, so a new hash says nothing" }),
});

const finding = z.strictObject({
  where: z.string().meta({ description: "File and line, table, column and row key, or a name" }),
  what: z.string().meta({ description: "What is wrong; card numbers, secrets and personal data are masked" }),
});

const status = z.enum(["failed", "not_examined", "to_confirm", "passed"]).meta({
  description: "to_confirm: nothing speaks against it, and a person has to confirm it",
});

const piece = z.strictObject({
  kind: z.enum(["check", "document", "record"]),
  name: z.string().meta({
    description: "Name of the check, path of the document, name of the recorded task",
  }),
  status,
  examined: z.array(examined),
  facts: z.array(z.string()).meta({ description: "What was found and is as it should be" }),
  findings: z.array(finding),
  not_examined: z.array(z.string()).meta({ description: "What could not be looked at, and why" }),
});

const FORMAT = "pci-evidence/1";

/** What was collected for one requirement: `<requirement>.json`. */
export const evidenceFile = z.strictObject({
  format: z.literal(FORMAT),
  requirement: z.string(),
  text: z.string(),
  who: z.array(z.string()),
  how: z.string(),
  collected_at: z.iso.datetime(),
  subject: z.string().meta({ description: "The project or stack that was looked at" }),
  status,
  evidence: z.array(piece),
}).meta({ title: "Evidence for one requirement of SAQ A" });

/** What was collected, and what differs from the collection before: `manifest.json`, signed in `manifest.sig`. */
export const manifestFile = z.strictObject({
  format: z.literal(FORMAT),
  collected_at: z.iso.datetime(),
  subject: z.string(),
  commit: z.string().meta({ description: "The checkout that looked; + where files differ from the commit" }),
  statuses: z.record(z.string(), status),
  previous: z.strictObject({ folder: z.string(), manifest_sha256: sha256 }).nullable(),
  changes: z.array(z.string()),
  files: z.record(z.string(), sha256),
}).meta({ title: "Manifest of one collection of evidence" });

export type Examined = z.infer<typeof examined>;
export type Finding = z.infer<typeof finding>;
export type Status = z.infer<typeof status>;
export type Piece = z.infer<typeof piece>;
export type EvidenceFile = z.infer<typeof evidenceFile>;
export type Manifest = z.infer<typeof manifestFile>;

/** The format's name, in every file. */
export const format = FORMAT;

/** Both shapes as one JSON Schema, for whoever checks evidence with other tools. */
export function evidenceSchema(): unknown {
  const { $schema: _, ...evidence } = z.toJSONSchema(evidenceFile);
  const { $schema, ...manifest } = z.toJSONSchema(manifestFile);
  return {
    $schema,
    $defs: { evidence, manifest },
    oneOf: [{ $ref: "#/$defs/evidence" }, { $ref: "#/$defs/manifest" }],
  };
}
