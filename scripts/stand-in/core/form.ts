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

function assign(root: FormMap, key: string, value: string): void {
  const parts = keyParts(key);
  if (parts.length > MAX_DEPTH) throw invalidRequest(`Invalid parameter: ${key} is nested too deeply.`, key);
  let node = root;
  parts.forEach((part, index) => {
    // `name[]=value` appends: the next free number is its key.
    const name = part === "" ? String(Object.keys(node).length) : part;
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
