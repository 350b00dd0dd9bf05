/** `docs/pci/controls.yaml`: every requirement, who meets it and what proves it; `records.yaml`: what the shop has done. */
import { parse } from "yaml";
import { z } from "zod";
import { TaskError } from "../../lib/errors.ts";
import { checkNames } from "./checks.ts";

const name = z.string().regex(/^[a-z][a-z0-9-]*$/);

const evidence = z.union([
  z.strictObject({ check: z.enum(checkNames) }),
  z.strictObject({ document: z.string().regex(/^[\w./-]+$/) }),
  z.strictObject({ record: name }),
], { error: "names neither a check that there is, nor a document, nor a record" });

const requirement = z.strictObject({
  id: z.string().regex(/^(?:\d+(?:\.\d+)+|E\d|S\d)$/).meta({
    description:
      "As in SAQ A; E: an eligibility criterion of SAQ A, in its order; S: a rule of ours beyond SAQ A",
  }),
  text: z.string().min(10).meta({ description: "In short words of our own; the standard's text decides" }),
  who: z.array(z.enum(["shop", "stripe", "supabase", "upstash", "resend", "host"])).min(1),
  how: z.string().min(10),
  evidence: z.array(evidence).min(1),
});

const task = z.strictObject({
  name,
  text: z.string().min(10),
  days: z.number().int().positive().meta({ description: "At most so many days apart" }),
});

/** Shape of `controls.yaml`. */
export const controlsFile = z.strictObject({
  standard: z.string(),
  tasks: z.array(task).meta({ description: "What a person does again and again" }),
  requirements: z.array(requirement),
}).meta({ title: "Controls for SAQ A" });

const recordsFile = z.strictObject({
  records: z.array(z.strictObject({
    what: z.string().regex(/^(?:[a-z][a-z0-9-]*|key:[A-Z][A-Z0-9_]*)$/),
    on: z.iso.date(),
    by: z.string().min(2),
    note: z.string().optional(),
  })),
});

export type Controls = z.infer<typeof controlsFile>;
export type Requirement = Controls["requirements"][number];
/** Something that the shop has done: a task of controls.yaml, or the rotation of a key (`key:STRIPE_SECRET_KEY`). */
export type ShopRecord = z.infer<typeof recordsFile>["records"][number];

/**
 * Reads and checks `controls.yaml`.
 * @throws TaskError that names what is wrong with it.
 */
export async function readControls(path: string): Promise<Controls> {
  const controls = await readYaml(path, controlsFile);
  const tasks = new Set(controls.tasks.map((each) => each.name));
  for (const { id, evidence } of controls.requirements) {
    for (const each of evidence) {
      if ("record" in each && !tasks.has(each.record)) {
        throw new TaskError(`${path}: ${id} names the task ${each.record}, which is not there`);
      }
    }
  }
  for (const ids of [controls.requirements.map(({ id }) => id), controls.tasks.map((each) => each.name)]) {
    const twice = ids.find((id, at) => ids.indexOf(id) !== at);
    if (twice !== undefined) throw new TaskError(`${path}: ${twice} stands there twice`);
  }
  return controls;
}

/**
 * Reads and checks `records.yaml`.
 * @throws TaskError that names what is wrong with it.
 */
export async function readRecords(path: string, controls: Controls, now: Date): Promise<ShopRecord[]> {
  const { records } = await readYaml(path, recordsFile);
  // By the clock that is furthest ahead: a day that has not come anywhere would vouch for years.
  const today = new Date(now.getTime() + 14 * 3_600_000).toISOString().slice(0, 10);
  const early = records.find(({ on }) => on > today);
  if (early !== undefined) {
    throw new TaskError(`${path}: ${early.what} is noted for ${early.on}, which is yet to come`);
  }
  const unknown = records.find(({ what }) =>
    !what.startsWith("key:") && !controls.tasks.some((task) => task.name === what)
  );
  if (unknown !== undefined) throw new TaskError(`${path}: ${unknown.what} is no task of controls.yaml`);
  return records;
}

async function readYaml<T>(path: string, shape: z.ZodType<T>): Promise<T> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new TaskError(`${path} does not exist`);
  });
  const result = shape.safeParse(parse(text));
  if (result.success) return result.data;
  throw new TaskError(`${path}: ${z.prettifyError(result.error)}`);
}
