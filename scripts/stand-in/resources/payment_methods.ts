import type Stripe from "stripe";
import { address, fullAddress } from "../core/address_fields.ts";
import { need } from "../core/context.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import {
  clearable,
  email,
  type Field,
  map,
  metadata,
  type MetadataChange,
  oneOf,
  paramsOf,
  required,
  text,
  whole,
} from "../core/fields.ts";
import { listParams, listRoute, type Route, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { FOREIGN_METHODS, METHOD_TYPES } from "../payments/foreign_methods.ts";
import { OTHER_METHODS } from "../payments/other_methods.ts";
import {
  attachToCustomer,
  checkAttachable,
  createPaymentMethod,
  usePaymentMethod,
} from "../payments/payment_methods.ts";

const billingDetails = map({
  address: clearable(address),
  email: clearable(email),
  name: clearable(text()),
  phone: clearable(text()),
}, { unsupported: ["tax_id"] });

const methodType: Field<"card" | "sepa_debit" | "us_bank_account"> = {
  read(node, context) {
    const value = oneOf(...METHOD_TYPES).read(node, context);
    if (value === "card" || value === "sepa_debit" || value === "us_bank_account") return value;
    throw unsupported(`the payment method type \`${value}\``);
  },
};

/** What describes a payment method, in its own call and inside a payment intent's. */
export const methodInputShape = {
  type: required(methodType),
  allow_redisplay: oneOf("always", "limited", "unspecified"),
  billing_details: {
    read: (node, context) => {
      const { address: place, ...rest } = billingDetails.read(node, context);
      return place === undefined || place === null ? rest : { ...rest, address: place };
    },
  } satisfies Field<object>,
  card: map({
    cvc: text(4),
    exp_month: whole(),
    exp_year: whole(),
    number: text(23),
    token: text(),
  }, { inert: ["networks"] }),
  metadata: {
    read: (node, context): Record<string, string> =>
      changedMetadata({}, metadata.read(node, context) as MetadataChange),
  } satisfies Field<Record<string, string>>,
  sepa_debit: map({ iban: required(text(42)) }),
  us_bank_account: map({
    account_holder_type: oneOf("company", "individual"),
    account_number: text(20),
    account_type: oneOf("checking", "savings"),
    routing_number: text(9),
  }, { unsupported: ["financial_connections_account"] }),
};

/** `/v1/payment_methods` */
export const paymentMethodRoutes: Route[] = [
  route(
    "POST",
    "/v1/payment_methods",
    paramsOf<Stripe.PaymentMethodCreateParams>()(methodInputShape, {
      unsupported: ["customer", "payment_method", ...FOREIGN_METHODS, ...OTHER_METHODS],
      inert: ["radar_options"],
    }),
    (context, params) => createPaymentMethod(context, params),
  ),
  route(
    "GET",
    "/v1/payment_methods/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => usePaymentMethod(context, id, 404),
  ),
  route(
    "POST",
    "/v1/payment_methods/:id",
    paramsOf<Stripe.PaymentMethodUpdateParams>()({
      allow_redisplay: oneOf("always", "limited", "unspecified"),
      billing_details: billingDetails,
      card: map({ exp_month: whole(1, 12), exp_year: whole(0, 9999) }, { unsupported: ["networks"] }),
      metadata,
    }, { unsupported: ["payto", "us_bank_account"] }),
    (context, params, id) => {
      const method = need(context, "payment_method", id);
      const billing = params.billing_details;
      const changed: Stripe.PaymentMethod = {
        ...method,
        billing_details: {
          ...method.billing_details,
          ...(billing === undefined ? {} : {
            address: billing.address === undefined || billing.address === null
              ? method.billing_details.address
              : fullAddress(billing.address),
            email: billing.email ?? method.billing_details.email,
            name: billing.name ?? method.billing_details.name,
            phone: billing.phone ?? method.billing_details.phone,
          }),
        },
        ...(method.card === undefined ? {} : { card: { ...method.card, ...params.card } }),
        metadata: changedMetadata(method.metadata ?? {}, params.metadata),
      };
      context.store.put("payment_method", changed);
      context.emit("payment_method.updated", changed, method);
      return changed;
    },
  ),
  route(
    "POST",
    "/v1/payment_methods/:id/attach",
    paramsOf<Stripe.PaymentMethodAttachParams>()({ customer: required(text()) }, {
      unsupported: ["customer_account"],
    }),
    (context, params, id) => {
      need(context, "customer", params.customer, "customer");
      const method = usePaymentMethod(context, id, 404);
      if (method.customer !== null && method.customer !== params.customer) {
        throw invalidRequest("The payment method you provided has already been attached to a customer.");
      }
      checkAttachable(context, method);
      return attachToCustomer(context, method, params.customer);
    },
  ),
  route("POST", "/v1/payment_methods/:id/detach", paramsOf<unknown>()({}), (context, _params, id) => {
    const method = need(context, "payment_method", id);
    if (method.customer === null) {
      throw invalidRequest(
        "The payment method you provided is not attached to a customer so detachment is impossible.",
      );
    }
    const detached: Stripe.PaymentMethod = { ...method, customer: null };
    context.store.put("payment_method", detached);
    context.emit("payment_method.detached", detached, method);
    return detached;
  }),
  listRoute(
    "/v1/payment_methods",
    "payment_method",
    paramsOf<Stripe.PaymentMethodListParams>()({ ...listParams, customer: text(), type: text() }, {
      unsupported: ["allow_redisplay", "customer_account"],
    }),
  ),
];
