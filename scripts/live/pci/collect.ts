/** Runs the checks that the controls name, and writes what they say, each thing once. */
import { join } from "node:path";
import { maskText } from "../../../supabase/functions/_shared/log.ts";
import { runCommand } from "../../lib/command.ts";
import { masked } from "../setup/project.ts";
import { type Check, type CheckResult, daysBetween, emptyResult, type Scene } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";
import type { CheckName } from "./checks.ts";
import { changesBetween, type Collection } from "./compare.ts";
import type { Controls, Requirement } from "./controls.ts";
import { type EvidenceFile, format, type Manifest, type Piece, type Status } from "./evidence.ts";
import { checks } from "./registry.ts";
import { lastDone, writeReport } from "./report.ts";
import { openSigningKey, writeSigned } from "./sign.ts";

/** What a collection is made from. */
export interface Order {
  scene: Scene;
  controls: Controls;
  /** Name of what is looked at, for readers. */
  subject: string;
  /** Folder of all evidence. */
  out: string;
  /** Values of which none may appear in evidence. */
  values: Record<string, string>;
  /** Fit for evidence until now. */
  previous: Collection | null;
}

/** Collects, writes and signs. Returns the folder and what is in it. */
export async function collect(order: Order): Promise<Collection> {
  const { scene, controls, subject, out, values, previous } = order;
  const results = new Map<CheckName, Piece>();
  const asked = new Set(
    controls.requirements.flatMap(({ evidence }) =>
      evidence.flatMap((each) => "check" in each ? [each.check] : [])
    ),
  );
  for (const [name, check] of Object.entries(checks) as [CheckName, Check][]) {
    if (asked.has(name)) results.set(name, clean(await runCheck(name, check, scene), values));
  }
  const collected_at = scene.now.toISOString();
  const files: EvidenceFile[] = [];
  for (const requirement of controls.requirements) {
    const evidence = await Promise.all(
      requirement.evidence.map((each) => pieceOf(each, scene, controls, results)),
    );
    const { id, text, who, how } = requirement;
    files.push({
      format,
      requirement: id,
      text,
      who,
      how,
      collected_at,
      subject,
      status: worst(evidence),
      evidence,
    });
  }
  await Deno.mkdir(out, { recursive: true });
  const key = await openSigningKey(out, values["PCI_SIGNING_KEY"]);
  const folder = await newFolder(out, collected_at.slice(0, 10));
  const manifest: Manifest = {
    format,
    collected_at,
    subject,
    commit: await commitOf(scene.root),
    statuses: Object.fromEntries(files.map(({ requirement, status }) => [requirement, status])),
    previous: previous === null ? null : {
      folder: previous.folder,
      manifest_sha256: await sha256(await Deno.readFile(join(out, previous.folder, "manifest.json"))),
    },
    changes: previous === null ? [] : changesBetween(previous.files, files),
    files: {},
  };
  const texts = files.map((
    file,
  ): [string, string] => [`${file.requirement}.json`, `${JSON.stringify(file, null, 2)}\n`]);
  for (
    const [name, text] of [
      ...texts,
      ["report.md", writeReport(manifest, files, controls, scene.records)] as const,
    ]
  ) {
    await Deno.writeTextFile(join(out, folder, name), text);
    manifest.files[name] = await sha256(text);
  }
  await writeSigned(join(out, folder), manifest, key);
  return { folder, manifest, files };
}

/** Runs a check. What had nothing to look at has passed nothing. */
export async function runCheck(name: CheckName, check: Check, scene: Scene): Promise<Piece> {
  const result = await check(scene).catch((failure): CheckResult => ({
    ...emptyResult(),
    findings: [{
      where: name,
      what: `the check itself failed: ${failure instanceof Error ? failure.message : failure}`,
    }],
  }));
  const { examined, facts, findings } = result;
  const notExamined = [
    ...result.notExamined,
    ...examined.filter(({ items }) => items === 0).map(({ what }) => `${what}: there are none yet`),
  ];
  const status = findings.length > 0 ? "failed" : notExamined.length > 0 ? "not_examined" : "passed";
  return { kind: "check", name, status, examined, facts, findings, not_examined: notExamined };
}

/** Nothing secret or personal gets into evidence, whatever a check has said. */
function clean(piece: Piece, values: Record<string, string>): Piece {
  const text = (given: string) => maskText(masked(given, values));
  return {
    ...piece,
    facts: piece.facts.map(text),
    findings: piece.findings.map(({ where, what }) => ({ where: text(where), what: text(what) })),
    not_examined: piece.not_examined.map(text),
  };
}

async function pieceOf(
  each: Requirement["evidence"][number],
  scene: Scene,
  controls: Controls,
  results: Map<CheckName, Piece>,
): Promise<Piece> {
  if ("check" in each) {
    const piece = results.get(each.check);
    if (piece === undefined) throw new Error(`The check ${each.check} has not run`);
    return piece;
  }
  return "document" in each
    ? await documentPiece(each.document, scene)
    : recordPiece(each.record, scene, controls);
}

async function documentPiece(path: string, { root }: Scene): Promise<Piece> {
  const piece: Piece = {
    kind: "document",
    name: path,
    status: "to_confirm",
    examined: [],
    facts: [],
    findings: [],
    not_examined: [],
  };
  const content = await Deno.readFile(join(root, path)).catch(() => null);
  if (content === null) {
    return { ...piece, status: "failed", findings: [{ where: path, what: "does not exist" }] };
  }
  return {
    ...piece,
    examined: [{ what: "document", items: 1, sha256: await sha256(content), moves: false }],
  };
}

function recordPiece(name: string, { records, now, kind }: Scene, controls: Controls): Piece {
  const task = controls.tasks.find((each) => each.name === name);
  const last = lastDone(records, name);
  const piece = { kind: "record" as const, name, examined: [], facts: [], findings: [], not_examined: [] };
  const where = "docs/pci/records.yaml";
  if (task === undefined) throw new Error(`controls.yaml has no task ${name}`);
  if (last !== null && daysBetween(new Date(last), now) <= task.days) {
    return { ...piece, status: "passed", facts: [`last done on ${last}`] };
  }
  const what = last === null ? "was never done" : `was last done on ${last}, more than ${task.days} days ago`;
  // A stack on a developer's machine has no shop behind it that could have done anything.
  return last === null && kind === "local"
    ? { ...piece, status: "not_examined", not_examined: [`${where} says nothing of ${name}`] }
    : { ...piece, status: "failed", findings: [{ where, what: `${name} ${what}` }] };
}

function worst(evidence: Piece[]): Status {
  const order = ["failed", "not_examined", "to_confirm", "passed"] as const;
  return order.find((status) => evidence.some((piece) => piece.status === status)) ?? "to_confirm";
}

/** The day's folder, and for a further collection of that day one with a number. Nothing is overwritten. */
async function newFolder(out: string, day: string): Promise<string> {
  for (let number = 1;; number++) {
    const name = number === 1 ? day : `${day}-${number}`;
    try {
      await Deno.mkdir(join(out, name));
      return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

async function commitOf(root: string): Promise<string> {
  const head = await runCommand("git", ["rev-parse", "HEAD"], { cwd: root });
  const changed = await runCommand("git", ["status", "--porcelain"], { cwd: root });
  return head.success ? `${head.stdout.trim()}${changed.stdout.trim() === "" ? "" : "+"}` : "unknown";
}
