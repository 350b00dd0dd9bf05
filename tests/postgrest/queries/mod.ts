/** The requests of the comparison, by kind. */
import { type Ask, ask } from "./ask.ts";
import { calls } from "./calls.ts";
import { orders, selects } from "./columns.ts";
import { embeddings } from "./embeddings.ts";
import { errors, roles } from "./errors.ts";
import { lists, logic, operators } from "./filters.ts";
import { accepts, preferences, profiles, ranges } from "./pages.ts";
import { writes } from "./writes.ts";

/** All requests, in the order in which they are sent; the name of the kind first. */
export const QUERIES: Record<string, Ask[]> = {
  operators: operators(),
  lists: lists(),
  logic: logic(),
  orders: orders(),
  selects: selects(),
  embeddings: embeddings(),
  ranges: ranges(),
  preferences: preferences(),
  profiles: profiles(),
  roles: roles(),
  errors: errors(),
  calls: calls(),
  accepts: accepts(),
  writes: writes(),
  last: [
    ask("PATCH", "no_key", { body: '{"y": "z"}' }),
    ask("DELETE", "no_key"),
  ],
};
