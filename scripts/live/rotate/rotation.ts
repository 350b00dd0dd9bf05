/** What rotating a secret is made of; `engine.ts` takes the steps in their order. */
import type { SetupContext } from "../setup/step.ts";
import type { Progress } from "./progress.ts";

/** A function's worker keeps the environment that it started with, and Supabase ends it after 400 seconds at most. */
export const workerMs = 7 * 60_000;

/** What the steps share. */
export interface RotateContext extends SetupContext {
  /** Epoch milliseconds. */
  now: () => number;
  fetch: typeof fetch;
  /** Has a person hand over a value that was made elsewhere. It is shown nowhere. */
  ask: (variable: string) => Promise<string>;
  /** The env file, which is where the values are kept. Each call happens or does not. */
  file: {
    set(name: string, value: string): Promise<void>;
    remove(name: string): Promise<void>;
  };
}

/** How an old and a new secret stand in one variable. */
export interface Shape {
  /** Both are accepted and the old one is used. */
  accepting(old: string, fresh: string): string;
  /** Both are accepted and the new one is used. */
  using(old: string, fresh: string): string;
  /** Without the old one. */
  alone(old: string, fresh: string): string;
  /** What the variable has that it had not before; null: nothing. */
  freshIn(value: string, old: string): string | null;
  /** What keeps a rotation of this value from beginning, and how to mend it; null: nothing. */
  problem(value: string): string | null;
}

/** How one secret is rotated. Each part may be called again after a crash, and then goes on. */
export interface Rotation {
  variable: string;
  shape: Shape;
  /** We check it: it must be known to every worker before anybody uses it. Else only others do. */
  checkedHere: boolean;
  /** What was made with it outlives the rotation: going back is then a rotation the other way. */
  outlives?: boolean;
  /** How long the old one must stay valid once the new one is used. */
  finishAfterMs: number;
  says: { obtain: string; use: string; retire: string; hand?: string };
  /** Makes or asks for a new secret and keeps it before anything else can fail. */
  obtain(context: RotateContext, progress: Progress, keep: (fresh: string) => Promise<void>): Promise<void>;
  /** Why nobody may use the new one yet; null: it is known everywhere. */
  notReady?(context: RotateContext, progress: Progress): Promise<string | null>;
  /** Has others use the new one. */
  use?(context: RotateContext, progress: Progress): Promise<void>;
  /** Why the old one is all that works: what the new one belongs to is gone. However urgent it is; null: it is there. */
  lost?(context: RotateContext, progress: Progress): Promise<string | null>;
  /** Why the old one is still needed, or not gone; null: proved that it is not. */
  unproved?(context: RotateContext, progress: Progress): Promise<string | null>;
  /** Has others forget the old one, before we do. */
  retire?(context: RotateContext, progress: Progress): Promise<void>;
  /** Has others go back to the old one and forget the new one, before we do. */
  undo?(context: RotateContext, progress: Progress): Promise<void>;
}

/** What stands between commas. */
export function itemsOf(value: string): string[] {
  return value.split(",").map((item) => item.trim()).filter((item) => item !== "");
}

/** Secrets between commas. */
export const list: Shape = {
  accepting: (old, fresh) => `${old},${fresh}`,
  using: (old, fresh) => `${fresh},${old}`,
  alone: (_old, fresh) => fresh,
  freshIn: (value, old) => itemsOf(value).find((item) => !itemsOf(old).includes(item)) ?? null,
  problem: (value) =>
    itemsOf(value).length === 1
      ? null
      : "holds several values and no rotation was begun here: take out those that nobody uses any more",
};

/** One value: whoever checks it accepts both, and we only use it. */
export const single: Shape = {
  accepting: (_old, fresh) => fresh,
  using: (_old, fresh) => fresh,
  alone: (_old, fresh) => fresh,
  freshIn: (value, old) => value === old ? null : value,
  problem: () => null,
};

/** Random text that is safe in lists, headers and files: 256 bits. */
export function randomSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
