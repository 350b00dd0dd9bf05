import { type Context, need } from "./context.ts";
import { ApiError, invalidRequest, resourceMissing, unsupported } from "./errors.ts";
import {
  type Field,
  map,
  type Params,
  readParams,
  type Shape,
  type ShapeValue,
  text,
  timestamp,
  whole,
} from "./fields.ts";
import type { FormMap } from "./form.ts";
import { type Kind, LABELS, type Records } from "./records.ts";
import type { CreatedRange, Filter } from "./store.ts";

export type Method = "DELETE" | "GET" | "POST";

/** One operation of the API. */
export interface Route {
  method: Method;
  path: string;
  /** Checks the parameters; what it returns carries the request out. */
  prepare(context: Context, form: FormMap, ids: readonly string[]): () => object;
}

/** Declares an operation: `handler` gets the checked parameters and the ids in the path. */
export function route<S extends Shape>(
  method: Method,
  path: string,
  params: Params<S>,
  handler: (context: Context, params: ShapeValue<S>, id: string, secondId: string) => object,
): Route {
  const operation = `${method} ${path}`;
  return {
    method,
    path,
    prepare(context, form, ids) {
      const value = readParams(params, form, { path: "", version: context.version, operation });
      return () => handler(context, value, ids[0] ?? "", ids[1] ?? "");
    },
  };
}

/** An operation that Stripe has and the stand-in has not, whatever it is sent. */
export function missing(method: Method, path: string, feature: string): Route {
  return {
    method,
    path,
    prepare: () => {
      throw unsupported(feature);
    },
  };
}

/** What a filter of a list names, where Stripe refuses what does not exist. */
const NAMED_KINDS: Readonly<Record<string, Kind>> = {
  charge: "charge",
  coupon: "coupon",
  customer: "customer",
  payment_intent: "payment_intent",
  payment_method: "payment_method",
  product: "product",
  setup_intent: "setup_intent",
  value_list: "radar.value_list",
};

const createdRange: Field<CreatedRange> = {
  read(node, context) {
    if (typeof node === "string") {
      const at = timestamp.read(node, context);
      return { gte: at, lte: at };
    }
    return map({ gt: timestamp, gte: timestamp, lt: timestamp, lte: timestamp }).read(node, context);
  },
};

/** The parameters that every list has. */
const pageParams = {
  limit: whole(1, 100),
  starting_after: text(),
  ending_before: text(),
};

/** The parameters of lists that can also be cut by time of creation. */
export const listParams = { ...pageParams };
export const datedListParams = { ...pageParams, created: createdRange };

export interface PageInput {
  limit?: number;
  starting_after?: string;
  ending_before?: string;
  created?: CreatedRange;
}

/** The page part of a query. */
export function pageQuery(input: PageInput): {
  limit: number;
  startingAfter?: string;
  endingBefore?: string;
  created?: CreatedRange;
} {
  if (input.starting_after !== undefined && input.ending_before !== undefined) {
    throw invalidRequest("You may only specify one of these parameters: ending_before, starting_after.");
  }
  return {
    limit: input.limit ?? 10,
    ...(input.starting_after === undefined ? {} : { startingAfter: input.starting_after }),
    ...(input.ending_before === undefined ? {} : { endingBefore: input.ending_before }),
    ...(input.created === undefined ? {} : { created: input.created }),
  };
}

/** Stripe's list object. */
export function listObject<T>(url: string, data: T[], hasMore: boolean) {
  return { object: "list" as const, data, has_more: hasMore, url };
}

/** Answers a list call of stored objects. */
export function listOf<K extends Kind>(
  context: Context,
  kind: K,
  url: string,
  input: PageInput,
  filters: readonly Filter[] = [],
): { object: "list"; data: Records[K][]; has_more: boolean; url: string } {
  const query = pageQuery(input);
  const cursor = query.startingAfter ?? query.endingBefore;
  if (cursor !== undefined && context.store.get(kind, cursor) === undefined) {
    throw invalidRequest(
      `No such ${LABELS[kind]}: '${cursor}'`,
      input.starting_after === undefined ? "ending_before" : "starting_after",
      "resource_missing",
    );
  }
  const { data, hasMore } = context.store.list(kind, { ...query, filters });
  return listObject(url, data, hasMore);
}

/** Answers a list call of objects that are not stored by themselves, newest first as they are given. */
export function pageOf<T extends { id: string }>(
  url: string,
  all: readonly T[],
  input: PageInput,
  label: string,
): { object: "list"; data: T[]; has_more: boolean; url: string } {
  const { limit, startingAfter, endingBefore } = pageQuery(input);
  const indexOf = (cursor: string, param: string) => {
    const index = all.findIndex(({ id }) => id === cursor);
    if (index < 0) throw resourceMissing(label, cursor, param, 400);
    return index;
  };
  if (endingBefore !== undefined) {
    const until = indexOf(endingBefore, "ending_before");
    const from = Math.max(0, until - limit);
    return listObject(url, all.slice(from, until), from > 0);
  }
  const from = startingAfter === undefined ? 0 : indexOf(startingAfter, "starting_after") + 1;
  return listObject(url, all.slice(from, from + limit), all.length > from + limit);
}

/**
 * A list operation: the page parameters page, and each further parameter filters by the property of the same
 * name (or by the path that `paths` gives for it).
 */
export function listRoute<K extends Kind, S extends Shape>(
  path: string,
  kind: K,
  params: Params<S>,
  paths: Record<string, string> = {},
): Route {
  return route("GET", path, params, (context, value) => {
    const filters: Filter[] = [];
    for (const [name, wanted] of Object.entries(value)) {
      if (name in datedListParams) continue;
      const named = NAMED_KINDS[name];
      if (named !== undefined && typeof wanted === "string") need(context, named, wanted, name);
      if (
        typeof wanted === "string" || typeof wanted === "boolean" || typeof wanted === "number" ||
        (Array.isArray(wanted) && wanted.every((value) => typeof value === "string"))
      ) {
        filters.push([paths[name] ?? name, wanted]);
      }
    }
    return listOf(context, kind, path, value as PageInput, filters);
  });
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

interface Node {
  literal: Map<string, Node>;
  parameter?: Node;
  routes: Partial<Record<Method, Route>>;
}

/** Resources Stripe has and a shop that sells goods does not need; they are named in the refusal. */
const FOREIGN =
  "account_links,account_sessions,accounts,apple_pay,application_fees,apps,balance_settings,billing,billing_portal,climate,confirmation_tokens,country_specs,credit_notes,crypto,customer_sessions,entitlements,ephemeral_keys,exchange_rates,external_accounts,financial_connections,forwarding,identity,invoiceitems,invoice_payments,invoice_rendering_templates,invoices,issuing,link_account_sessions,linked_accounts,payment_attempt_records,payment_method_configurations,payment_method_domains,payment_records,plans,quotes,reporting,sigma,sources,subscription_items,subscription_schedules,subscriptions,tax,tax_codes,tax_ids,terminal,test_helpers,topups,transfers,treasury"
    .split(",");

/** What hangs below an object of a resource that the stand-in has, and is left out all the same. */
const FOREIGN_BELOW: Record<string, readonly string[]> = {
  balance: ["history"],
  charges: ["capture", "dispute", "refund", "refunds"],
  customers:
    "balance_transactions,bank_accounts,cards,cash_balance,cash_balance_transactions,discount,funding_instructions,payment_methods,sources,subscriptions,tax_ids"
      .split(","),
  payment_intents: [
    "amount_details_line_items",
    "apply_customer_balance",
    "increment_authorization",
    "verify_microdeposits",
  ],
  payouts: ["reverse"],
  products: ["features"],
  setup_intents: ["verify_microdeposits"],
  radar: ["payment_evaluations", "value_lists"],
};

/** Finds the operation of a request. */
export class Router {
  readonly #root: Node = { literal: new Map(), routes: {} };

  add(routes: readonly Route[]): void {
    for (const added of routes) {
      let node = this.#root;
      for (const part of added.path.split("/").slice(1)) {
        if (part.startsWith(":")) {
          node = node.parameter ??= { literal: new Map(), routes: {} };
        } else {
          let next = node.literal.get(part);
          if (next === undefined) node.literal.set(part, next = { literal: new Map(), routes: {} });
          node = next;
        }
      }
      node.routes[added.method] = added;
    }
  }

  /** The route and the ids in the path; Stripe's 404 when there is none, our 501 for what is left out on purpose. */
  find(method: string, path: string): { route: Route; ids: string[] } {
    const ids: string[] = [];
    let node: Node | undefined = this.#root;
    for (const part of path.split("/").slice(1)) {
      const literal: Node | undefined = node.literal.get(part);
      if (literal !== undefined) {
        node = literal;
      } else {
        node = node.parameter;
        ids.push(decoded(part));
      }
      if (node === undefined) break;
    }
    const found = node?.routes[method as Method];
    if (found !== undefined) return { route: found, ids };
    const [, version, resource, id, below] = path.split("/");
    if (version === "v2") throw unsupported("API v2");
    if (version === "v1" && resource !== undefined && FOREIGN.includes(resource)) {
      throw unsupported(`\`${method} /v1/${resource}\``);
    }
    const known = version === "v1" && resource !== undefined ? FOREIGN_BELOW[resource] ?? [] : [];
    if (known.includes(below ?? "")) throw unsupported(`\`${method} /v1/${resource}/:id/${below}\``);
    if (known.includes(id ?? "")) throw unsupported(`\`${method} /v1/${resource}/${id}\``);
    throw new ApiError(404, {
      type: "invalid_request_error",
      message:
        `Unrecognized request URL (${method}: ${path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`,
    });
  }
}
