import type Stripe from "stripe";
import { fullShipping, shipping } from "../core/address_fields.ts";
import { type Context, need, needCustomer } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { clearable, email, map, metadata, oneOf, paramsOf, required, text } from "../core/fields.ts";
import {
  datedListParams,
  listOf,
  listParams,
  listRoute,
  missing,
  type PageInput,
  type Route,
  route,
} from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { closeReviewOf } from "../payments/reviews.ts";

const noParams = paramsOf<unknown>()({});

/** The refunds of a charge, as the property that appears when expanded. */
export function chargeRefunds(context: Context, id: string, page: PageInput = {}) {
  return listOf(context, "refund", `/v1/charges/${id}/refunds`, page, [["charge", id]]);
}

/** `/v1/charges` */
export const chargeRoutes: Route[] = [
  missing("POST", "/v1/charges", "direct charges: create a PaymentIntent or a Checkout Session"),
  route("GET", "/v1/charges/:id", noParams, (context, _params, id) => need(context, "charge", id)),
  route(
    "POST",
    "/v1/charges/:id",
    paramsOf<Stripe.ChargeUpdateParams>()({
      customer: text(),
      description: text(),
      fraud_details: map({ user_report: required(clearable(oneOf("fraudulent", "safe"))) }),
      metadata,
      receipt_email: email,
      shipping,
    }, { unsupported: ["transfer_group"] }),
    (context, params, id) => {
      const charge = need(context, "charge", id);
      if (params.customer !== undefined && charge.customer !== null) {
        throw invalidRequest("This charge already has a customer, which cannot be changed.", "customer");
      }
      if (params.customer !== undefined) needCustomer(context, params.customer);
      const changed: Stripe.Charge = {
        ...charge,
        customer: params.customer ?? charge.customer,
        description: params.description ?? charge.description,
        fraud_details: params.fraud_details === undefined
          ? charge.fraud_details
          : params.fraud_details.user_report === null
          ? {}
          : { user_report: params.fraud_details.user_report },
        metadata: changedMetadata(charge.metadata, params.metadata),
        receipt_email: params.receipt_email ?? charge.receipt_email,
        shipping: params.shipping === undefined ? charge.shipping : fullShipping(params.shipping),
      };
      context.store.put("charge", changed);
      context.emit("charge.updated", changed, charge);
      if (params.fraud_details?.user_report === "fraudulent") closeReviewOf(context, id, "refunded_as_fraud");
      return need(context, "charge", id);
    },
  ),
  route("GET", "/v1/charges/:id/refunds", paramsOf<PageInput>()(listParams), (context, params, id) => {
    need(context, "charge", id);
    return chargeRefunds(context, id, params);
  }),
  listRoute(
    "/v1/charges",
    "charge",
    paramsOf<Stripe.ChargeListParams>()({ ...datedListParams, customer: text(), payment_intent: text() }, {
      unsupported: ["transfer_group"],
    }),
  ),
];
