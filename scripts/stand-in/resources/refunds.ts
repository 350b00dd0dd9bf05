import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { metadata, oneOf, paramsOf, text, whole } from "../core/fields.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { onlyOneOf } from "../core/rules.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { createRefund, failRefund, updateRefund } from "../payments/refunds.ts";

/** `/v1/refunds` */
export const refundRoutes: Route[] = [
  route(
    "POST",
    "/v1/refunds",
    paramsOf<Stripe.RefundCreateParams>()({
      amount: whole(1),
      charge: text(),
      metadata,
      payment_intent: text(),
      reason: oneOf("duplicate", "fraudulent", "requested_by_customer"),
    }, {
      unsupported: [
        "currency",
        "customer",
        "customer_account",
        "instructions_email",
        "origin",
        "payment_method_details",
        "refund_application_fee",
        "reverse_transfer",
      ],
      rules: [onlyOneOf("charge", "payment_intent")],
    }),
    (context, params) =>
      createRefund(context, {
        ...(params.amount === undefined ? {} : { amount: params.amount }),
        ...(params.charge === undefined ? {} : { charge: params.charge }),
        ...(params.payment_intent === undefined ? {} : { payment_intent: params.payment_intent }),
        metadata: changedMetadata({}, params.metadata),
        reason: params.reason ?? null,
      }),
  ),
  route(
    "GET",
    "/v1/refunds/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "refund", id),
  ),
  route(
    "POST",
    "/v1/refunds/:id",
    paramsOf<Stripe.RefundUpdateParams>()({ metadata }),
    (context, params, id) => {
      const refund = need(context, "refund", id);
      return updateRefund(context, refund, changedMetadata(refund.metadata ?? {}, params.metadata));
    },
  ),
  route("POST", "/v1/refunds/:id/cancel", paramsOf<unknown>()({}), (context: Context, _params, id) => {
    const refund = need(context, "refund", id);
    if (refund.status !== "requires_action") {
      throw invalidRequest(`Refund ${id} with status ${refund.status} cannot be canceled.`);
    }
    failRefund(context, id, "canceled");
    return need(context, "refund", id);
  }),
  listRoute(
    "/v1/refunds",
    "refund",
    paramsOf<Stripe.RefundListParams>()({ ...datedListParams, charge: text(), payment_intent: text() }),
  ),
];
