import type Stripe from "stripe";
import type { Context } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { expandPaths } from "../core/expand.ts";
import { paramsOf, readParams, required, text, whole } from "../core/fields.ts";
import type { Kind, Records } from "../core/records.ts";
import type { Route } from "../core/router.ts";
import { matchesQuery, parseQuery, type Searchable } from "../core/search.ts";

const params = paramsOf<Stripe.ChargeSearchParams>()({
  limit: whole(1, 100),
  page: text(),
  query: required(text()),
});

/** https://docs.stripe.com/search#supported-query-fields-for-each-resource */
const SEARCHABLE: Partial<Record<Kind, Searchable>> = {
  charge: {
    resource: "charges",
    fields: {
      amount: "numeric",
      "billing_details.address.postal_code": "token",
      created: "numeric",
      currency: "token",
      customer: "token",
      disputed: "token",
      metadata: "token",
      "payment_method_details.card.brand": "token",
      "payment_method_details.card.exp_month": "token",
      "payment_method_details.card.exp_year": "token",
      "payment_method_details.card.fingerprint": "token",
      "payment_method_details.card.last4": "token",
      refunded: "token",
      status: "token",
    },
  },
  customer: {
    resource: "customers",
    fields: { created: "numeric", email: "string", metadata: "token", name: "string", phone: "string" },
  },
  payment_intent: {
    resource: "payment_intents",
    fields: {
      amount: "numeric",
      created: "numeric",
      currency: "token",
      customer: "token",
      metadata: "token",
      status: "token",
    },
  },
  price: {
    resource: "prices",
    fields: {
      active: "token",
      currency: "token",
      lookup_key: "token",
      metadata: "token",
      product: "token",
      type: "token",
    },
  },
  product: {
    resource: "products",
    fields: {
      active: "token",
      description: "string",
      metadata: "token",
      name: "string",
      shippable: "token",
      url: "string",
    },
  },
};

/** The objects after those of the page before, newest first. The cursor is the last one's id, made unreadable. */
function after<T extends { id: string }>(all: readonly T[], page: string | undefined): readonly T[] {
  if (page === undefined) return all;
  const index = all.findIndex(({ id }) => cursor(id) === page);
  if (index >= 0) return all.slice(index + 1);
  throw invalidRequest("The `page` parameter is not one that a search answered with.", "page");
}

function cursor(id: string): string {
  return btoa(id).replaceAll("=", "");
}

function search<K extends Kind>(
  context: Context,
  kind: K,
  searchable: Searchable,
  input: { limit?: number; page?: string; query: string },
) {
  const query = parseQuery(input.query, searchable);
  const found: Records[K][] = context.store.all(kind).filter((object) =>
    !("deleted" in object && object.deleted === true) && matchesQuery(query, object)
  );
  const left = after(found, input.page);
  const data = left.slice(0, input.limit ?? 10);
  const last = data.at(-1);
  const hasMore = left.length > data.length;
  return {
    total: found.length,
    result: {
      object: "search_result",
      data,
      has_more: hasMore,
      next_page: hasMore && last !== undefined ? cursor(last.id) : null,
      url: `/v1/${searchable.resource}/search`,
    },
  };
}

function searchRoute(kind: Kind, searchable: Searchable): Route {
  const path = `/v1/${searchable.resource}/search`;
  return {
    method: "GET",
    path,
    prepare(context, form) {
      const value = readParams(params, form, {
        path: "",
        version: context.version,
        operation: `GET ${path}`,
      });
      return () => {
        const { result, total } = search(context, kind, searchable, value);
        return expandPaths(form).includes("total_count") ? { ...result, total_count: total } : result;
      };
    },
  };
}

/** `/v1/charges/search` and its kin */
export const searchRoutes: Route[] = Object.entries(SEARCHABLE).map(([kind, searchable]) =>
  searchRoute(kind as Kind, searchable)
);
