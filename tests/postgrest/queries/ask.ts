/** A request of the comparison. */

/** Whose key or token a request carries; most of them are no good. */
export type Bearer =
  | "anon"
  | "service"
  | "user"
  | "expired"
  | "forged"
  | "strange"
  | "nameless"
  | "early"
  | "future"
  | "unsigned"
  | "garbled"
  | "half";

/** One request; `as` is whose key or token it carries. */
export interface Ask {
  method: string;
  path: string;
  as: Bearer;
  headers: Record<string, string>;
  body: string | undefined;
}

export type More = { as?: Ask["as"]; headers?: Record<string, string>; body?: string };

/** Makes a request; a body is JSON unless a header says otherwise. */
export function ask(method: string, path: string, { as = "service", headers = {}, body }: More = {}): Ask {
  const type = body === undefined ? {} : { "content-type": "application/json" };
  return { method, path, as, headers: { ...type, ...headers }, body };
}

export const get = (path: string, more: More = {}) => ask("GET", path, more);
export const gets = (table: string, ...queries: string[]) => queries.map((query) => get(`${table}?${query}`));
export const prefer = (value: string) => ({ prefer: value });
