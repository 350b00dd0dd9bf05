/** Where one is in the console: the part of the address behind the `#`. */

/** A page, what it is about, and how its list is narrowed. */
export interface Route {
  page: string;
  /** An order's number, an event's id, an article, a kind of alert; empty: the list. */
  id: string;
  filters: Record<string, string>;
}

/** Reads `#/orders/KCT-1?status=paid`; what cannot be read is the first page. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [page = "", ...rest] = path.split("/");
  return { page: page === "" ? "now" : page, id: decoded(rest.join("/")), filters: filtersOf(query) };
}

/** Writes what {@linkcode parseRoute} reads; empty filters are left out. */
export function linkTo(page: string, id = "", filters: Record<string, string> = {}): string {
  const given = Object.entries(filters).filter(([, value]) => value !== "");
  const query = given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
  return `#/${page}${id === "" ? "" : `/${encodeURIComponent(id)}`}${query}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray per cent sign: typed by hand, so taken as it stands.
    return text;
  }
}

function filtersOf(query: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(query));
}
