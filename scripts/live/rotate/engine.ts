/**
 * The order in which a secret is rotated, the same for all of them:
 *
 * 1. `obtain`: there is a new one, kept, and the functions accept both; the old one is used.
 * 2. Once no worker is left that knows the old one alone, `use`: the new one is used, both are accepted.
 * 3. `--finish`, once nothing needs the old one: others forget it, then the functions do.
 *
 * A step is noted when it is done. Whatever dies in between is done again, and is the same the second time.
 */
import { envWith, SetupError } from "../setup/project.ts";
import { differingSecrets, readDeployedSecrets, setSecrets } from "../setup/secrets.ts";
import { type Progress, progressName, progressText, readProgress, type Stage } from "./progress.ts";
import { type RotateContext, type Rotation, workerMs } from "./rotation.ts";

export interface RotateOptions {
  finish: boolean;
  back: boolean;
  /** The old one may be known: nothing is waited for. */
  leaked: boolean;
  dryRun: boolean;
}

/** Takes the next step, and says what comes then. Returns the exit code: 1 where it is too early. */
export async function rotate(
  context: RotateContext,
  rotation: Rotation,
  options: RotateOptions,
): Promise<number> {
  const progress = readProgress(context.project.values, rotation.variable);
  if (options.back) return await goBack(context, rotation, progress, options);
  if (options.finish) return await finish(context, rotation, progress, options);
  return await goOn(context, rotation, progress, options);
}

async function goOn(
  context: RotateContext,
  rotation: Rotation,
  progress: Progress | null,
  options: RotateOptions,
): Promise<number> {
  const { variable, says, checkedHere } = rotation;
  if (progress?.stage === "used" || progress?.stage === "ending") {
    return tellRest(context, rotation, progress);
  }
  if (progress === null) await requireBeginning(context, rotation);
  const steps = progress?.stage === "accepted" ? [says.use] : [says.obtain, ...checkedHere ? [] : [says.use]];
  for (const line of steps) context.say(`${variable}: ${line}`);
  if (options.dryRun) return tellNothing(context);

  let now = progress ?? await note(context, rotation, "begun", valueOf(context, rotation));
  if (now.stage === "begun") {
    now = await accept(context, rotation, now);
    if (now.stage === "accepted" && !options.leaked) {
      context.say(
        `Functions accept both. Next, from ${time(now.at + workerMs)} on: deno task rotate ${variable}`,
      );
      return 0;
    }
  }
  if (now.stage === "accepted") {
    if (
      tooEarly(context, now.at + workerMs, options, "functions that started before know the old one alone")
    ) {
      return 1;
    }
    const obstacle = await rotation.notReady?.(context, now) ?? null;
    if (obstacle !== null) return refuse(context, obstacle);
    await put(context, rotation, rotation.shape.using(now.old, freshOf(context, rotation, now)));
    await rotation.use?.(context, now);
    now = await note(context, rotation, "used", now.old);
  }
  return tellRest(context, rotation, now);
}

/** Obtains the new secret, unless a run that died had it already, and has the functions know it. */
async function accept(context: RotateContext, rotation: Rotation, progress: Progress): Promise<Progress> {
  const { shape, variable } = rotation;
  if (shape.freshIn(valueOf(context, rotation), progress.old) === null) {
    await rotation.obtain(
      context,
      progress,
      (fresh) => keep(context, variable, shape.accepting(progress.old, fresh)),
    );
  }
  await put(context, rotation, shape.accepting(progress.old, freshOf(context, rotation, progress)));
  return await note(context, rotation, rotation.checkedHere ? "accepted" : "used", progress.old);
}

async function finish(
  context: RotateContext,
  rotation: Rotation,
  progress: Progress | null,
  options: RotateOptions,
): Promise<number> {
  const { variable, says, finishAfterMs } = rotation;
  if (progress === null) {
    throw new SetupError(`No rotation of ${variable} is under way: deno task rotate ${variable} begins one`);
  }
  const isProved = progress.stage === "ending";
  if (progress.stage !== "used" && !isProved) {
    throw new SetupError(`The new ${variable} is not used yet: deno task rotate ${variable} goes on`);
  }
  if (
    !isProved &&
    tooEarly(context, progress.at + finishAfterMs, options, "what was made with the old one is still about")
  ) {
    return 1;
  }
  const obstacle = isProved ? null : await rotation.lost?.(context, progress) ?? null;
  if (obstacle !== null) return refuse(context, obstacle);
  const missing = options.leaked || isProved ? null : await rotation.unproved?.(context, progress) ?? null;
  if (missing !== null) return refuse(context, missing);
  context.say(`${variable}: ${says.retire}`);
  if (options.dryRun) return tellNothing(context);
  const fresh = freshOf(context, rotation, progress);
  await note(context, rotation, "ending", progress.old);
  await rotation.retire?.(context, progress);
  await put(context, rotation, rotation.shape.alone(progress.old, fresh));
  await context.file.remove(progressName(variable));
  context.say(`Rotated. Note it in docs/pci/records.yaml as key:${variable}`);
  return 0;
}

async function goBack(
  context: RotateContext,
  rotation: Rotation,
  progress: Progress | null,
  options: RotateOptions,
): Promise<number> {
  const { variable, shape } = rotation;
  if (progress === null) {
    throw new SetupError(`No rotation of ${variable} is under way: nothing to go back from`);
  }
  if (progress.stage === "ending") {
    throw new SetupError(`The old ${variable} may be gone: deno task rotate ${variable} --finish goes on`);
  }
  const turned = rotation.outlives === true && progress.stage === "used";
  context.say(
    turned
      ? `${variable}: use the one before, and accept the new one until what was made with it has ended`
      : `${variable}: go back to the one before, and forget the new one`,
  );
  if (options.dryRun) return tellNothing(context);
  if (turned) {
    const fresh = freshOf(context, rotation, progress);
    await put(context, rotation, shape.accepting(progress.old, fresh));
    return tellRest(context, rotation, await note(context, rotation, "used", fresh));
  }
  await rotation.undo?.(context, progress);
  await put(context, rotation, progress.old);
  await context.file.remove(progressName(variable));
  context.say("As before.");
  return 0;
}

/** What is written down as the old value is what is used, or there would be no way back. */
async function requireBeginning(context: RotateContext, rotation: Rotation): Promise<void> {
  const { project, supabase } = context;
  const { variable } = rotation;
  const value = project.values[variable]?.trim() ?? "";
  if (value === "") {
    throw new SetupError(`${variable} is not set in ${project.envFile}: there is nothing to rotate`);
  }
  const problem = rotation.shape.problem(value);
  if (problem !== null) throw new SetupError(`${variable} ${problem}`);
  if (!isDeployed(variable)) return;
  const differing = await differingSecrets(project.values, await readDeployedSecrets(project, supabase));
  if (differing.includes(variable)) {
    throw new SetupError(
      `${variable} has another value in the project than in ${project.envFile}: correct it there, or run ` +
        "'deno task setup'",
    );
  }
}

/** Supabase gives the functions its own variables by itself. */
function isDeployed(variable: string): boolean {
  return !variable.startsWith("SUPABASE_");
}

/** Keeps a value in the file and gives it to the functions, each unless it is there. */
async function put(context: RotateContext, rotation: Rotation, value: string): Promise<void> {
  const { project, supabase } = context;
  const { variable } = rotation;
  await keep(context, variable, value);
  if (!isDeployed(variable)) return;
  const differing = await differingSecrets(project.values, await readDeployedSecrets(project, supabase));
  if (differing.includes(variable)) await setSecrets(project, supabase, [variable]);
}

/** @throws SetupError before anything is written, for a value that the functions would not start with. */
async function keep(context: RotateContext, name: string, value: string): Promise<void> {
  const { project, file } = context;
  if (project.values[name]?.trim() === value) return;
  const env = envWith(project, { [name]: value });
  await file.set(name, value);
  project.env = env;
}

async function note(
  context: RotateContext,
  { variable }: Rotation,
  stage: Stage,
  old: string,
): Promise<Progress> {
  const progress = { stage, at: context.now(), old };
  await context.file.set(progressName(variable), progressText(progress));
  return progress;
}

function valueOf({ project }: RotateContext, { variable }: Rotation): string {
  return project.values[variable]?.trim() ?? "";
}

function freshOf(context: RotateContext, rotation: Rotation, { old }: Progress): string {
  const fresh = rotation.shape.freshIn(valueOf(context, rotation), old);
  if (fresh !== null) return fresh;
  const { variable } = rotation;
  throw new SetupError(
    `${context.project.envFile} does not have the new ${variable}: put it back, or deno task rotate ${variable} --back`,
  );
}

function tooEarly(
  { now, say }: RotateContext,
  from: number,
  { leaked }: RotateOptions,
  why: string,
): boolean {
  if (leaked || now() >= from) return false;
  say(`Not before ${time(from)}: ${why}`);
  return true;
}

function refuse({ say }: RotateContext, why: string): number {
  say(`Not yet: ${why}`);
  return 1;
}

function tellNothing({ say }: RotateContext): number {
  say("Dry run: nothing was changed.");
  return 0;
}

function tellRest(
  { say }: RotateContext,
  { variable, says, finishAfterMs }: Rotation,
  { at }: Progress,
): number {
  say("The new one is used, and the old one still accepted.");
  if (says.hand !== undefined) say(`By hand: ${says.hand}`);
  say(`Then, from ${time(at + finishAfterMs)} on: deno task rotate ${variable} --finish`);
  return 0;
}

/** Rounded up: who comes at this minute is not too early. */
function time(ms: number): string {
  return `${new Date(Math.ceil(ms / 60_000) * 60_000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
