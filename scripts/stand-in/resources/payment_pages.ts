import { need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { paramsOf, required, text, whole } from "../core/fields.ts";
import { type Route, route } from "../core/router.ts";
import { needOpenSession, paySession } from "../checkout/pay_session.ts";
import { needInternals } from "../checkout/pay_session.ts";
import { usePaymentMethod } from "../payments/payment_methods.ts";

/** `/v1/payment_pages`: not in the published API; the Stripe CLI's Checkout fixtures pay through it. */
export const paymentPageRoutes: Route[] = [
  route("GET", "/v1/payment_pages/:id", paramsOf<unknown>()({}), (context, _params, id) => {
    const session = need(context, "checkout.session", id);
    return {
      id: session.id,
      object: "checkout.session",
      session_id: session.id,
      currency: session.currency,
      livemode: false,
      mode: session.mode,
      payment_method_types: session.payment_method_types,
      payment_status: session.payment_status,
      state: session.status,
      total_summary: {
        due: session.amount_total,
        subtotal: session.amount_subtotal,
        total: session.amount_total,
      },
    };
  }),
  route(
    "POST",
    "/v1/payment_pages/:id/confirm",
    paramsOf<{ expected_amount: number; payment_method: string; return_url: string }>()({
      expected_amount: whole(0),
      payment_method: required(text()),
      return_url: text(),
    }),
    (context, params, id) => {
      const { session } = needOpenSession(context, id);
      if (params.expected_amount !== undefined && params.expected_amount !== session.amount_total) {
        throw invalidRequest(
          `The expected amount (${params.expected_amount}) does not match the amount of the Checkout Session (${session.amount_total}).`,
          "expected_amount",
          "checkout_amount_mismatch",
        );
      }
      const method = usePaymentMethod(context, params.payment_method);
      const parcel = needInternals(context, id).paymentIntentData.shipping;
      const billing = method.billing_details;
      const attempt = paySession(context, id, {
        ...(billing.email === null ? {} : { email: billing.email }),
        ...(billing.name === null ? {} : { name: billing.name }),
        ...(billing.phone === null ? {} : { phone: billing.phone }),
        ...(billing.address === null ? {} : { billingAddress: present(billing.address) }),
        ...(parcel === null ? {} : { shippingName: parcel.name }),
        acceptsTerms: true,
      }, () => method);
      if (attempt.kind === "declined") throw attempt.error;
      return attempt.session;
    },
  ),
];

/** Only the members that are known. */
function present<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], null> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null)) as {
    [K in keyof T]?: Exclude<T[K], null>;
  };
}
