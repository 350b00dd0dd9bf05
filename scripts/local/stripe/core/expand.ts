import { invalidRequest } from "./errors.ts";
import type { FormMap } from "./form.ts";
import type { Store } from "./store.ts";

/** Properties that appear only when asked for: object name and property, and how to make the value. */
export type Includable = Record<string, (id: string) => unknown>;

const DEEPEST = 4;

/** The `expand[]` paths of a request. */
export function expandPaths(form: FormMap): string[] {
  const node = form.expand;
  if (node === undefined) return [];
  const values = typeof node === "string" ? [node] : Object.values(node);
  return values.map((value) => {
    if (typeof value !== "string") throw invalidRequest("Invalid array", "expand");
    if (value.split(".").length > DEEPEST + 1) {
      throw invalidRequest(
        `You cannot expand more than ${DEEPEST} levels of a property (${value}).`,
        "expand",
      );
    }
    return value;
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Replaces ids by the objects they stand for, in place. */
export function expand(
  target: unknown,
  paths: readonly string[],
  store: Store,
  includable: Includable,
): void {
  for (const path of paths) expandPath(target, path.split("."), path, store, includable);
}

function expandPath(
  target: unknown,
  [name, ...rest]: string[],
  path: string,
  store: Store,
  includable: Includable,
): void {
  if (name === undefined || target === null) return;
  if (Array.isArray(target)) {
    for (const item of target) expandPath(item, [name, ...rest], path, store, includable);
    return;
  }
  if (!isRecord(target)) throw cannot(path);
  const make = typeof target.object === "string" ? includable[`${target.object}.${name}`] : undefined;
  if (make !== undefined && target[name] === undefined) target[name] = make(String(target.id));
  const value = target[name];
  if (value === undefined) {
    // What only some objects of a kind have (a review on a charge) is no error where it is missing.
    if (target.object === undefined || rest.length > 0) return;
    throw cannot(path);
  }
  if (typeof value === "string") {
    const object = store.find(value);
    if (object === undefined) throw cannot(path);
    target[name] = object;
  } else if (rest.length === 0 && make === undefined && !isRecord(value) && value !== null) {
    throw cannot(path);
  }
  expandPath(target[name], rest, path, store, includable);
}

function cannot(path: string) {
  return invalidRequest(`This property cannot be expanded (${path}).`, "expand");
}
