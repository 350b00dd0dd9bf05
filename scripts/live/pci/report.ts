/** `report.md`: the same evidence for a reader. */
import { type Controls, type ShopRecord } from "./controls.ts";
import type { EvidenceFile, Manifest, Piece, Status } from "./evidence.ts";

const words: Record<Status, string> = {
  failed: "**failed**",
  not_examined: "not examined",
  to_confirm: "to confirm",
  passed: "passed",
};

/** Writes the report of a collection. */
export function writeReport(
  manifest: Manifest,
  files: EvidenceFile[],
  controls: Controls,
  records: ShopRecord[],
): string {
  return `# PCI evidence of ${manifest.collected_at.slice(0, 10)}

${controls.standard}. Looked at: ${manifest.subject}, by the checkout of commit ${manifest.commit}, at ${manifest.collected_at}.

This is evidence, not a verdict: the shop fills in and signs its self-assessment questionnaire itself. **passed** means
that the checks named found nothing; **to confirm** that a document or a person is the evidence, and that somebody has
to say that it is so.

${summary(files)}

## Requirements

${
    table(
      ["requirement", "what", "who", "state"],
      files.map((
        { requirement, text, who, status },
      ) => [`[${requirement}](#${anchor(requirement)})`, text, who.join(", "), words[status]]),
    )
  }

## Changes since ${manifest.previous?.folder ?? "the last time"}

${manifest.previous === null ? "This is the first collection." : list(manifest.changes)}

## What comes next

${table(["task", "last done", "due"], controls.tasks.map((task) => dueRow(task, records)))}

${files.map(section).join("\n\n")}
`;
}

function summary(files: EvidenceFile[]): string {
  return (["failed", "not_examined", "to_confirm", "passed"] as const)
    .map((status) => `${files.filter((file) => file.status === status).length} ${words[status]}`).join(", ") +
    ".";
}

function section({ requirement, text, who, how, status, evidence }: EvidenceFile): string {
  return `## ${requirement}

${text} (${who.join(", ")})

How: ${how}

State: ${words[status]}.

${evidence.map(describe).join("\n")}`;
}

function describe({ kind, name, status, examined, facts, findings, not_examined }: Piece): string {
  const lines = [
    ...findings.map(({ where, what }) => `  - **${where}**: ${what}`),
    ...not_examined.map((what) => `  - not examined: ${what}`),
    ...facts.map((fact) => `  - ${fact}`),
    ...examined.map(({ what, items, sha256 }) =>
      `  - looked at ${items} ${what} (sha256 ${sha256.slice(0, 16)}…)`
    ),
  ];
  return [`- ${kind} \`${name}\`: ${words[status]}`, ...lines].join("\n");
}

function dueRow({ name, text, days }: Controls["tasks"][number], records: ShopRecord[]): string[] {
  const last = lastDone(records, name);
  if (last === null) return [`\`${name}\`: ${text}`, "never", "now"];
  const due = new Date(Date.parse(last) + days * 86_400_000).toISOString().slice(0, 10);
  return [`\`${name}\`: ${text}`, last, due];
}

/** The last day on which something was done, by the shop's records. */
export function lastDone(records: ShopRecord[], name: string): string | null {
  return records.filter(({ what }) => what === name).map(({ on }) => on).sort().at(-1) ?? null;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function list(lines: string[]): string {
  return lines.length === 0 ? "Nothing." : lines.map((line) => `- ${line}`).join("\n");
}

function anchor(requirement: string): string {
  return requirement.toLowerCase().replaceAll(".", "");
}
