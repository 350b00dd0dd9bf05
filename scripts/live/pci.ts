/**
 * `deno task pci [--env .env] [--out evidence]`: collects evidence for the requirements of SAQ A. Changes nothing in
 * the project; exit code 1 when a control fails, or earlier evidence was changed.
 */
import { join, resolve } from "node:path";
import type postgres from "postgres";
import { runCommand } from "../lib/command.ts";
import { openReadOnly } from "../lib/connection.ts";
import { TaskError } from "../lib/errors.ts";
import { ROOT } from "../lib/paths.ts";
import { runTask, UsageError } from "../lib/task.ts";
import { findSource, openSubject, type Source } from "./doctor/subject.ts";
import type { Scene } from "./pci/check.ts";
import { collect } from "./pci/collect.ts";
import { changesBetween, type Collection, collectionFolders, readCollections } from "./pci/compare.ts";
import { readControls, readRecords } from "./pci/controls.ts";
import type { Status } from "./pci/evidence.ts";
import { openSigningKey, verifyCollection } from "./pci/sign.ts";

const usage = `deno task pci [--env .env] [--out evidence] [--logs FOLDER] [--records FILE] [--diff-only]

  --env         look at the project of this file; else at the stack that runs in LOCAL_DIR, the project of the
                environment, or the project of .env
  --out         folder of all evidence (evidence)
  --logs        folder of exported logs to search; of a local stack its own
  --records     what the shop has done (docs/pci/records.yaml)
  --diff-only   collect nothing: check the evidence there is, and say what differs between the last two`;

const flags = {
  env: { type: "string" },
  out: { type: "string", default: "evidence" },
  logs: { type: "string" },
  records: { type: "string", default: join(ROOT, "docs/pci/records.yaml") },
  "diff-only": { type: "boolean", default: false },
} as const;

const keyVariable = "PCI_SIGNING_KEY";

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: async ({ values }) => {
        const out = resolve(values.out);
        if (values["diff-only"]) {
          if (values.env !== undefined || values.logs !== undefined) {
            throw new UsageError("--diff-only collects nothing, so it takes neither --env nor --logs");
          }
          return await compareLast(out, console.log, Deno.env.get(keyVariable));
        }
        const { env = null, logs = null, records } = values;
        return await main({ out, envFile: env, logs, records }, {
          env: Deno.env.toObject(),
          say: console.log,
        });
      },
    }, Deno.args),
  );
}

interface Options {
  out: string;
  envFile: string | null;
  logs: string | null;
  records: string;
}

/** Where things are, and what a test puts in their place. */
interface Surroundings {
  env: Record<string, string>;
  say: (line: string) => void;
  replaced?: Partial<Scene>;
}

/** Collects, says what is not well, and returns the exit code. */
export async function main(
  { out, envFile, logs, records }: Options,
  { env: given, say, replaced = {} }: Surroundings,
): Promise<number> {
  const found = await findSource(envFile, given);
  const signingKey = found.values[keyVariable] ?? given[keyVariable];
  const source = signingKey === undefined
    ? found
    : { ...found, values: { ...found.values, [keyVariable]: signingKey } };
  const dir = given["LOCAL_DIR"] ?? ".local";
  await using database = openReadOnly(source.values["SUPABASE_DB_URL"]);
  const collection = await collectFrom({
    source,
    sql: await database.session(),
    out,
    logs: logs ?? (source.kind === "local" ? join(dir, "logs") : null),
    records,
    replaced,
  });
  const { folder, manifest } = collection;
  for (const line of notWell(collection)) say(line);
  for (const change of manifest.changes) say(`changed       ${change}`);
  const count = (status: Status) => Object.values(manifest.statuses).filter((each) => each === status).length;
  say(
    `${count("failed")} failed, ${count("not_examined")} not examined, ${count("to_confirm")} to confirm, ` +
      `${count("passed")} passed: ${join(out, folder, "report.md")}`,
  );
  return count("failed") > 0 ? 1 : 0;
}

/** What failed or was not examined, each once, with the requirements that rest on it and the reasons. */
function notWell({ files }: Collection): string[] {
  const lines = new Map<string, string[]>();
  for (const { requirement, evidence } of files) {
    for (const { kind, name, status, findings, not_examined } of evidence) {
      if (status !== "failed" && status !== "not_examined") continue;
      const reasons = [...findings.map(({ where, what }) => `${where}: ${what}`), ...not_examined];
      const text = `${status.replace("_", " ").padEnd(14)}${kind} ${name}\n${
        reasons.map((each) => `  ${each}`).join("\n")
      }`;
      lines.set(text, [...lines.get(text) ?? [], requirement]);
    }
  }
  return [...lines].map(([text, ids]) => text.replace("\n", ` (${ids.join(", ")})\n`));
}

/** What a collection looks at, and where it goes. */
export interface Collecting {
  source: Source;
  sql: postgres.Sql | null;
  out: string;
  logs: string | null;
  records: string;
  /** Given by tests. */
  replaced?: Partial<Scene>;
}

/**
 * Checks the evidence there is, then collects anew.
 * @throws TaskError when earlier evidence was changed: nothing is added to a folder that cannot be trusted.
 */
export async function collectFrom(
  { source, sql, out, logs, records, replaced }: Collecting,
): Promise<Collection> {
  const controls = await readControls(join(ROOT, "docs/pci/controls.yaml"));
  const collections = await readVerified(out);
  const now = replaced?.now ?? new Date();
  const scene: Scene = {
    root: ROOT,
    kind: source.kind,
    subject: openSubject(source),
    sql,
    logs,
    records: await readRecords(records, controls, now),
    now,
    fetch,
    run: runCommand,
    ...replaced,
  };
  const previous = collections.at(-1) ?? null;
  return await collect({ scene, controls, subject: source.name, out, values: source.values, previous });
}

/**
 * Checks the evidence there is, says what differs between the last two collections, and returns the exit code.
 * @throws TaskError when evidence was changed, or is signed with another key than the one given.
 */
export async function compareLast(
  out: string,
  say: (line: string) => void,
  signingKey = "",
): Promise<number> {
  const collections = await readVerified(out);
  if (collections.length > 0 && signingKey !== "") await openSigningKey(out, signingKey);
  const [before, after] = collections.slice(-2);
  if (before === undefined || after === undefined) {
    throw new TaskError(`${out} holds fewer than two collections`);
  }
  const changes = changesBetween(before.files, after.files);
  say(`${before.folder} → ${after.folder}:${changes.length === 0 ? " nothing changed" : ""}`);
  for (const change of changes) say(`  ${change}`);
  return 0;
}

async function readVerified(out: string): Promise<Collection[]> {
  const folders = await collectionFolders(out);
  const problems: string[] = [];
  for (const folder of folders) problems.push(...await verifyCollection(out, folder));
  if (problems.length > 0) throw new TaskError(problems.join("\n"));
  return await readCollections(out, folders);
}
