import { invalidRequest } from "./errors.ts";

/** A decoded form: text, a list, or a map without a prototype. */
export type FormNode = string | FormNode[] | FormMap;
export interface FormMap {
  [name: string]: FormNode;
}

const MAX_DEPTH = 12;

function emptyMap(): FormMap {
  return Object.create(null) as FormMap;
}

function keyParts(key: string): string[] {
  const open = key.indexOf("[");
  if (open <= 0 || !key.endsWith("]")) return [key];
  return [key.slice(0, open), ...key.slice(open + 1, -1).split("][")];
}

/**
 * `name[]=value` appends. Of maps, `name[][a]=1&name[][b]=2` is one, and a second begins with a member that the last
 * one has.
 */
function nextIndex(node: FormMap, inner: readonly string[]): string {
  const count = Object.keys(node).length;
  const last = node[String(count - 1)];
  const goesOn = inner.length > 0 && inner[0] !== "" && last !== undefined && typeof last !== "string" &&
    !Array.isArray(last) && !holds(last, inner);
  return String(goesOn ? count - 1 : count);
}

function holds(node: FormNode | undefined, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return node !== undefined;
  if (node === undefined || typeof node === "string" || Array.isArray(node)) return false;
  return name === "" ? false : holds(node[name], rest);
}

function assign(root: FormMap, key: string, value: string): void {
  const parts = keyParts(key);
  if (parts.length > MAX_DEPTH) throw invalidRequest(`Invalid parameter: ${key} is nested too deeply.`, key);
  let node = root;
  parts.forEach((part, index) => {
    const name = part === "" ? nextIndex(node, parts.slice(index + 1)) : part;
    if (index === parts.length - 1) {
      node[name] = value;
      return;
    }
    const child = node[name];
    if (child === undefined || typeof child === "string" || Array.isArray(child)) {
      node = node[name] = emptyMap();
    } else {
      node = child;
    }
  });
}

/** Decodes Stripe's form encoding: `a[b][0][c]=x`, `a[]=x`. Numbered maps become lists where a list is asked for. */
export function decodeForm(text: string): FormMap {
  const root = emptyMap();
  for (const [key, value] of new URLSearchParams(text)) assign(root, key, value);
  return root;
}

/** A JSON body (control API) in the shape of a decoded form, so that one set of checks serves both. */
export function formFromJson(value: unknown): FormNode {
  if (Array.isArray(value)) return value.map(formFromJson);
  if (typeof value === "object" && value !== null) {
    const map = emptyMap();
    for (const [name, member] of Object.entries(value)) {
      if (member !== undefined && member !== null) map[name] = formFromJson(member);
    }
    return map;
  }
  return String(value);
}
