/**
 * How far a rotation is: a line `ROTATION_<variable>` in the env file, beside the values that it is about. It never
 * reaches the functions.
 */
import { SetupError } from "../setup/project.ts";

/**
 * - `begun`: the old value is written down, nobody knows a new one for sure.
 * - `accepted`: the functions accept both, and the old one is used.
 * - `used`: the new one is used, and the old one still accepted.
 * - `ending`: nothing needs the old one, and it is being forgotten: there is no way back.
 */
export type Stage = "begun" | "accepted" | "used" | "ending";

export interface Progress {
  stage: Stage;
  /** When it was reached, in epoch milliseconds. */
  at: number;
  /** The variable's value before. */
  old: string;
}

const prefix = "ROTATION_";

/** The name of the line. */
export function progressName(variable: string): string {
  return `${prefix}${variable}`;
}

/** What the line says; null: no rotation is under way. @throws SetupError for a line that was written by nobody here. */
export function readProgress(values: Record<string, string>, variable: string): Progress | null {
  const name = progressName(variable);
  const text = values[name];
  if (text === undefined) return null;
  const [, stage, at, old] = /^(begun|accepted|used|ending) (\S+) (.+)$/s.exec(text) ?? [];
  if (stage === undefined || at === undefined || old === undefined || Number.isNaN(Date.parse(at))) {
    throw new SetupError(`${name} in the env file is not what rotate wrote: restore the line, or remove it`);
  }
  return { stage: stage as Stage, at: Date.parse(at), old };
}

/** The line's value. */
export function progressText({ stage, at, old }: Progress): string {
  return `${stage} ${new Date(at).toISOString()} ${old}`;
}

/** The variables whose rotation is under way. */
export function underWay(values: Record<string, string>): string[] {
  return Object.keys(values).filter((name) => name.startsWith(prefix)).map((name) =>
    name.slice(prefix.length)
  );
}
