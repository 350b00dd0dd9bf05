import type Stripe from "stripe";
import { fullAddress } from "../core/address_fields.ts";
import { type Context, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { paramsOf } from "../core/fields.ts";
import { listObject, listOf, pageOf, type Route, route } from "../core/router.ts";
import type { Filter } from "../core/store.ts";
import { readShippingOptions } from "../checkout/cart_input.ts";
import { createSession } from "../checkout/create_session.ts";
import { expireSession } from "../checkout/expire_session.ts";
import { needInternals } from "../checkout/pay_session.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import {
  lineItemListParams,
  sessionCreateParams,
  sessionListParams,
  sessionUpdateParams,
} from "../checkout/session_params.ts";
import { lineItems, totalsOf, withTotals } from "../checkout/totals.ts";

const noParams = paramsOf<unknown>()({});

/** All line items of a session, as a list object. */
export function sessionLineItems(context: Context, id: string) {
  const session = need(context, "checkout.session", id);
  const items = lineItems(totalsOf(context, session, needInternals(context, id)), session.currency ?? "usd");
  return listObject(`/v1/checkout/sessions/${id}/line_items`, items, false);
}

/** `/v1/checkout/sessions` */
export const checkoutSessionRoutes: Route[] = [
  route("POST", "/v1/checkout/sessions", sessionCreateParams, createSession),
  route("GET", "/v1/checkout/sessions", sessionListParams, (context, params) => {
    const filters: Filter[] = [];
    if (params.customer !== undefined) filters.push(["customer", params.customer]);
    if (params.customer_details !== undefined) {
      filters.push(["customer_details.email", params.customer_details.email]);
    }
    if (params.payment_intent !== undefined) filters.push(["payment_intent", params.payment_intent]);
    if (params.payment_link !== undefined) filters.push(["payment_link", params.payment_link]);
    if (params.status !== undefined) filters.push(["status", params.status]);
    return listOf(context, "checkout.session", "/v1/checkout/sessions", params, filters);
  }),
  route(
    "GET",
    "/v1/checkout/sessions/:id",
    noParams,
    (context, _params, id) => need(context, "checkout.session", id),
  ),
  route(
    "POST",
    "/v1/checkout/sessions/:id/expire",
    noParams,
    (context, _params, id) => expireSession(context, id),
  ),
  route("POST", "/v1/checkout/sessions/:id", sessionUpdateParams, (context, params, id) => {
    const session = need(context, "checkout.session", id);
    const internals = needInternals(context, id);
    if (session.status === "expired") {
      throw invalidRequest("You cannot update an expired Checkout Session.");
    }
    if (params.collected_information !== undefined && session.ui_mode === "hosted_page") {
      throw invalidRequest(
        "`collected_information` can only be set when updating sessions with `ui_mode: embedded_page` or `ui_mode: elements`.",
        "collected_information",
      );
    }
    const touchesCart = params.shipping_options !== undefined || params.collected_information !== undefined;
    if (touchesCart && session.status !== "open") {
      throw invalidRequest(`A Checkout Session with a status of \`${session.status}\` cannot be updated.`);
    }
    const details = params.collected_information?.shipping_details;
    const options = params.shipping_options === undefined
      ? session.shipping_options
      : readShippingOptions(context, params.shipping_options, session.currency ?? "usd");
    const first = options[0]?.shipping_rate;
    const nextInternals = {
      ...internals,
      shippingRate: params.shipping_options === undefined
        ? internals.shippingRate
        : typeof first === "string"
        ? first
        : null,
      taxAddress: details === undefined ? internals.taxAddress : fullAddress(details.address),
    };
    const changed: Stripe.Checkout.Session = {
      ...session,
      collected_information: details === undefined ? session.collected_information : {
        business_name: null,
        individual_name: null,
        shipping_details: { address: fullAddress(details.address), name: details.name },
      },
      metadata: changedMetadata(session.metadata ?? {}, params.metadata),
      shipping_options: options,
    };
    const saved = touchesCart ? withTotals(context, changed, nextInternals) : changed;
    context.store.put("checkout.session", saved);
    context.store.setInternals("session", id, nextInternals);
    return saved;
  }),
  route("GET", "/v1/checkout/sessions/:id/line_items", lineItemListParams, (context, params, id) => {
    const all = sessionLineItems(context, id);
    return pageOf(all.url, all.data, params, "line item");
  }),
];
