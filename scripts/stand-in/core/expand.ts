import { METHOD_TYPES } from "../payments/foreign_methods.ts";
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

/** Where expanded objects come from. */
export interface Source {
  store: Store;
  includable: Includable;
  /** Throws when the key may not read objects of this name; null: it may read all. */
  mayRead: ((object: unknown) => void) | null;
}

/** Replaces ids by the objects they stand for, in place. */
export function expand(target: unknown, paths: readonly string[], source: Source): void {
  for (const path of paths) new Walk(path, source).step(target, path.split("."), null, "");
}

/** What only some objects of a kind have (a card's details on a charge) is no error where it is missing. */
function mayBeMissing(owner: Record<string, unknown>, way: string, goesOn: boolean): boolean {
  if (owner.deleted === true || `${owner.object}.${way}` === "refund.failure_balance_transaction") {
    return true;
  }
  return goesOn && (way.includes(".") || METHOD_TYPES.includes(way));
}

/** One path being followed through an object. */
class Walk {
  readonly #path: string;
  readonly #source: Source;

  constructor(path: string, source: Source) {
    this.#path = path;
    this.#source = source;
  }

  /** `owner` is the API object around the target, and `inside` the way from it to the target. */
  step(
    target: unknown,
    [name, ...rest]: string[],
    owner: Record<string, unknown> | null,
    inside: string,
  ): void {
    if (name === undefined || target === null) return;
    if (Array.isArray(target)) {
      for (const item of target) this.step(item, [name, ...rest], owner, inside);
      return;
    }
    if (!isRecord(target)) throw this.#cannot();
    const isObject = typeof target.object === "string" && target.object !== "list";
    const nearest = isObject ? target : owner;
    const way = isObject ? name : `${inside}.${name}`;
    const make = nearest === null ? undefined : this.#source.includable[`${nearest.object}.${way}`];
    if (make !== undefined && nearest !== null && target[name] === undefined) {
      target[name] = make(String(nearest.id));
    }
    const value = target[name];
    if (value === undefined) {
      if (nearest !== null && mayBeMissing(nearest, way, rest.length > 0)) return;
      throw this.#cannot();
    }
    if (typeof value === "string") {
      const object = this.#source.store.find(value);
      if (object === undefined) throw this.#cannot();
      this.#source.mayRead?.(object.object);
      target[name] = object;
    } else if (rest.length === 0 && !isRecord(value) && value !== null && make === undefined) {
      throw this.#cannot();
    }
    this.step(target[name], rest, nearest, way);
  }

  #cannot() {
    return invalidRequest(`This property cannot be expanded (${this.#path}).`, "expand");
  }
}
