import type Stripe from "stripe";
import { need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { metadata, oneOf, paramsOf, required, text } from "../core/fields.ts";
import { ownId } from "../core/kinds.ts";
import { newId } from "../core/ids.ts";
import { datedListParams, listObject, listRoute, type Route, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { closeReview } from "../payments/reviews.ts";

const noParams = paramsOf<unknown>()({});

/** What the values of a list look like, by its type; the others may be anything. */
const ITEM_FORMATS: Readonly<Record<string, RegExp>> = {
  card_bin: /^\d{6,8}$/,
  country: /^[A-Z]{2}$/,
  customer_id: /^cus_\w+$/,
  email: /^[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+$/,
  ip_address: /^[\da-fA-F.:]{3,45}$/,
};

/** `/v1/reviews` and `/v1/radar`: fraud warnings and the lists that rules use. */
export const radarRoutes: Route[] = [
  route("GET", "/v1/reviews/:id", noParams, (context, _params, id) => need(context, "review", id)),
  route("POST", "/v1/reviews/:id/approve", noParams, (context, _params, id) => {
    const review = need(context, "review", id);
    if (!review.open) throw invalidRequest(`Review ${id} is already closed.`);
    return closeReview(context, review, "approved");
  }),
  listRoute("/v1/reviews", "review", paramsOf<Stripe.ReviewListParams>()(datedListParams)),
  route(
    "GET",
    "/v1/radar/early_fraud_warnings/:id",
    noParams,
    (context, _params, id) => need(context, "radar.early_fraud_warning", id),
  ),
  listRoute(
    "/v1/radar/early_fraud_warnings",
    "radar.early_fraud_warning",
    paramsOf<Stripe.Radar.EarlyFraudWarningListParams>()({
      ...datedListParams,
      charge: text(),
      payment_intent: text(),
    }),
  ),
  route(
    "POST",
    "/v1/radar/value_lists",
    paramsOf<Stripe.Radar.ValueListCreateParams>()({
      alias: required(ownId),
      name: required(text(100)),
      item_type: oneOf(
        "account",
        "card_bin",
        "card_fingerprint",
        "case_sensitive_string",
        "country",
        "crypto_fingerprint",
        "customer_id",
        "email",
        "ip_address",
        "sepa_debit_fingerprint",
        "string",
        "us_bank_account_fingerprint",
      ),
      metadata,
    }),
    (context, params) => {
      if (context.store.all("radar.value_list", ["alias", params.alias]).length > 0) {
        throw invalidRequest(`A list with alias '${params.alias}' already exists.`, "alias");
      }
      const id = newId("value_list");
      const valueList: Stripe.Radar.ValueList = {
        id,
        object: "radar.value_list",
        alias: params.alias,
        created: context.now,
        created_by: "local@stripe.test",
        item_type: params.item_type ?? "string",
        list_items: listObject(`/v1/radar/value_list_items?value_list=${id}`, [], false),
        livemode: false,
        metadata: changedMetadata({}, params.metadata),
        name: params.name,
      };
      context.store.put("radar.value_list", valueList);
      return valueList;
    },
  ),
  route(
    "GET",
    "/v1/radar/value_lists/:id",
    noParams,
    (context, _params, id) => need(context, "radar.value_list", id),
  ),
  route("DELETE", "/v1/radar/value_lists/:id", noParams, (context, _params, id) => {
    need(context, "radar.value_list", id);
    for (const item of context.store.all("radar.value_list_item", ["value_list", id])) {
      context.store.remove("radar.value_list_item", item.id);
    }
    context.store.remove("radar.value_list", id);
    return { id, object: "radar.value_list", deleted: true };
  }),
  listRoute(
    "/v1/radar/value_lists",
    "radar.value_list",
    paramsOf<Stripe.Radar.ValueListListParams>()({ ...datedListParams, alias: text() }, {
      unsupported: ["contains"],
    }),
  ),
  route(
    "POST",
    "/v1/radar/value_list_items",
    paramsOf<Stripe.Radar.ValueListItemCreateParams>()({
      value: required(text(800)),
      value_list: required(text()),
    }),
    (context, params) => {
      const valueList = need(context, "radar.value_list", params.value_list, "value_list");
      if (!(ITEM_FORMATS[valueList.item_type] ?? /./).test(params.value)) {
        throw invalidRequest(
          `The value '${params.value}' is not a valid \`${valueList.item_type}\`.`,
          "value",
        );
      }
      const there = context.store.all("radar.value_list_item", ["value_list", valueList.id], [
        "value",
        params.value,
      ]);
      if (there.length > 0) {
        throw invalidRequest(`The value '${params.value}' is already in the list.`, "value");
      }
      const item: Stripe.Radar.ValueListItem = {
        id: newId("value_list_item"),
        object: "radar.value_list_item",
        created: context.now,
        created_by: "local@stripe.test",
        livemode: false,
        value: params.value,
        value_list: valueList.id,
      };
      context.store.put("radar.value_list_item", item);
      return item;
    },
  ),
  route(
    "GET",
    "/v1/radar/value_list_items/:id",
    noParams,
    (context, _params, id) => need(context, "radar.value_list_item", id),
  ),
  route("DELETE", "/v1/radar/value_list_items/:id", noParams, (context, _params, id) => {
    need(context, "radar.value_list_item", id);
    context.store.remove("radar.value_list_item", id);
    return { id, object: "radar.value_list_item", deleted: true };
  }),
  listRoute(
    "/v1/radar/value_list_items",
    "radar.value_list_item",
    paramsOf<Stripe.Radar.ValueListItemListParams>()({
      ...datedListParams,
      value: text(800),
      value_list: required(text()),
    }),
  ),
];
