import type Stripe from "stripe";
import { fullShipping, type ShippingInput } from "../core/address_fields.ts";
import { behaviourOf, type Context, idOf, need, needCustomer } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { metadata, type MetadataChange, oneOf, paramsOf, text, whole } from "../core/fields.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { automaticMethods } from "../payments/automatic_methods.ts";
import { recordChargeBalance } from "../payments/charges.ts";
import { checkAmount, checkUnits } from "../core/money.ts";
import { confirmIntent } from "../payments/confirm.ts";
import { createIntent, saveIntent, sessionOfIntent } from "../payments/intents.ts";
import { checkUnspent, createPaymentMethod, usePaymentMethod } from "../payments/payment_methods.ts";
import {
  checkAllowed,
  checkChangeable,
  checkDescriptor,
  checkMandate,
  checkNewCustomer,
  methodTypes,
  OPEN,
  typesAfter,
  unexpected,
} from "./payment_intent_checks.ts";
import { confirmParams, createParams, updateParams } from "./payment_intent_params.ts";

interface ConfirmInput {
  error_on_requires_action?: boolean;
  mandate_data?: object | null;
  off_session?: boolean;
  /** Of API versions before Endive alone. */
  payment_method_types?: string[];
  payment_method?: string;
  payment_method_data?: Parameters<typeof createPaymentMethod>[1];
  receipt_email?: string | null;
  return_url?: string;
  shipping?: ShippingInput | null;
}

function confirm(context: Context, given: Stripe.PaymentIntent, input: ConfirmInput): Stripe.PaymentIntent {
  if (!OPEN.includes(given.status)) {
    throw unexpected(
      given,
      given.status === "succeeded"
        ? "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
        : `You cannot confirm this PaymentIntent because it has a status of ${given.status}.`,
    );
  }
  if (sessionOfIntent(context, given.id)?.status === "open") {
    throw unexpected(given, "You cannot confirm this PaymentIntent because it was created by Checkout.");
  }
  if (input.off_session === true && given.setup_future_usage !== null) {
    throw invalidRequest(
      "You cannot confirm with the `off_session` parameter when `setup_future_usage` is also set on the PaymentIntent because you cannot set up future usages when processing payments off-session.",
      "off_session",
    );
  }
  const intent = saveIntent(context, given, {
    ...(input.payment_method_types === undefined
      ? {}
      : { payment_method_types: typesAfter(given, { payment_method_types: input.payment_method_types }) }),
    ...(input.receipt_email === undefined ? {} : { receipt_email: input.receipt_email }),
    ...(input.shipping === undefined
      ? {}
      : { shipping: input.shipping === null ? null : fullShipping(input.shipping) }),
  });
  const chosen = input.payment_method ?? idOf(intent.payment_method);
  const method = input.payment_method_data !== undefined
    ? createPaymentMethod(context, input.payment_method_data)
    : chosen === null
    ? missingMethod(intent)
    : methodOf(context, intent.customer, chosen);
  checkAllowed(intent, method);
  checkMandate(context, method, input.mandate_data ?? null);
  if (
    intent.automatic_payment_methods?.enabled === true &&
    intent.automatic_payment_methods.allow_redirects !== "never" && input.return_url === undefined &&
    input.off_session !== true
  ) {
    throw invalidRequest(
      `This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a \`return_url\`. If you don't want to accept redirect-based payment methods, set \`automatic_payment_methods[enabled]\` to \`true\` and \`automatic_payment_methods[allow_redirects]\` to \`never\` when creating Setup Intents and Payment Intents.`,
      "return_url",
    );
  }
  if (intent.automatic_payment_methods?.enabled === true && input.error_on_requires_action === true) {
    throw invalidRequest(
      "The parameter `error_on_requires_action` cannot be used with automatic payment methods. Name the payment methods of this PaymentIntent instead.",
      "error_on_requires_action",
    );
  }
  const attempt = confirmIntent(context, intent, method, {
    returnUrl: input.return_url ?? null,
    unattended: input.off_session === true || input.error_on_requires_action === true,
  });
  if (attempt.kind === "declined") throw attempt.error;
  return attempt.intent;
}

/** The payment method with this id; a saved one is charged for its own customer only. */
function methodOf(
  context: Context,
  customer: Stripe.PaymentIntent["customer"],
  id: string,
): Stripe.PaymentMethod {
  const method = usePaymentMethod(context, id);
  checkUnspent(context, method);
  if (method.customer === null || idOf(method.customer) === idOf(customer)) return method;
  throw invalidRequest(
    customer === null
      ? `The PaymentMethod ${id} belongs to a Customer. Please include the Customer in the \`customer\` parameter on the PaymentIntent.`
      : `The PaymentMethod ${id} does not belong to the Customer you supplied. Please use this PaymentMethod with the Customer that it belongs to instead.`,
    "payment_method",
  );
}

function missingMethod(intent: Stripe.PaymentIntent): never {
  throw unexpected(
    intent,
    "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
  );
}

function capture(
  context: Context,
  intent: Stripe.PaymentIntent,
  { amount_to_capture: wanted, metadata: change }: { amount_to_capture?: number; metadata?: MetadataChange },
): Stripe.PaymentIntent {
  if (intent.status !== "requires_capture") {
    throw unexpected(
      intent,
      `This PaymentIntent could not be captured because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.`,
    );
  }
  const amount = wanted ?? intent.amount_capturable;
  if (amount > intent.amount_capturable) {
    throw invalidRequest(
      `The amount to capture (${amount}) is greater than the capturable amount (${intent.amount_capturable}).`,
      "amount_to_capture",
      "amount_too_large",
    );
  }
  checkUnits(amount, intent.currency, "amount_to_capture");
  const charge = need(context, "charge", idOf(intent.latest_charge) ?? "");
  const captured: Stripe.Charge = {
    ...charge,
    amount_captured: amount,
    // What is not captured goes back to the card, and is counted so.
    amount_refunded: charge.amount - amount,
    captured: true,
  };
  captured.balance_transaction =
    recordChargeBalance(context, captured, behaviourOf(context, charge.payment_method ?? "")).id;
  context.store.put("charge", captured);
  const paid = saveIntent(context, intent, {
    amount_capturable: 0,
    amount_received: amount,
    metadata: changedMetadata(intent.metadata, change),
    status: "succeeded",
  });
  const session = sessionOfIntent(context, intent.id);
  if (session !== undefined) context.store.put("checkout.session", { ...session, payment_status: "paid" });
  context.emit("charge.captured", captured, charge);
  context.emit("payment_intent.succeeded", paid);
  return paid;
}

function cancel(
  context: Context,
  intent: Stripe.PaymentIntent,
  reason: Stripe.PaymentIntent.CancellationReason | null,
): Stripe.PaymentIntent {
  if (["canceled", "processing", "succeeded"].includes(intent.status)) {
    throw unexpected(
      intent,
      `You cannot cancel this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, requires_action.`,
    );
  }
  if (sessionOfIntent(context, intent.id)?.status === "open") {
    throw unexpected(
      intent,
      "You cannot cancel this PaymentIntent because it is part of a Checkout Session. Expire the Checkout Session instead.",
    );
  }
  const charge = context.store.get("charge", idOf(intent.latest_charge) ?? "");
  if (charge !== undefined && intent.status === "requires_capture") {
    const released: Stripe.Charge = { ...charge, amount_refunded: charge.amount, refunded: true };
    context.store.put("charge", released);
    context.emit("charge.refunded", released, charge);
  }
  const canceled = saveIntent(context, intent, {
    amount_capturable: 0,
    canceled_at: context.now,
    cancellation_reason: reason,
    next_action: null,
    status: "canceled",
  });
  context.emit("payment_intent.canceled", canceled);
  return canceled;
}

/** `/v1/payment_intents` */
export const paymentIntentRoutes: Route[] = [
  route("POST", "/v1/payment_intents", createParams, (context, params) => {
    checkAmount(params.amount, params.currency, "amount");
    const types = methodTypes(params);
    checkDescriptor(params.statement_descriptor, types);
    if (params.customer !== undefined) needCustomer(context, params.customer);
    const intent = createIntent(context, {
      amount: params.amount,
      currency: params.currency,
      allowedMethods: params.allowed_payment_method_types ?? null,
      excludedMethods: params.excluded_payment_method_types ?? null,
      automaticMethods: automaticMethods(context, params),
      captureMethod: params.capture_method ?? "automatic",
      confirmationMethod: params.confirmation_method ?? "automatic",
      customer: params.customer ?? null,
      description: params.description ?? null,
      metadata: changedMetadata({}, params.metadata),
      methodTypes: types,
      presentment: null,
      receiptEmail: params.receipt_email ?? null,
      requestThreeDSecure: params.payment_method_options?.card?.request_three_d_secure ?? "automatic",
      session: null,
      setupFutureUsage: params.setup_future_usage ?? null,
      shipping: params.shipping === undefined ? null : fullShipping(params.shipping),
      statementDescriptor: params.statement_descriptor ?? null,
      statementDescriptorSuffix: params.statement_descriptor_suffix ?? null,
      transferGroup: params.transfer_group ?? null,
    });
    if (params.confirm === true) return confirm(context, intent, params);
    const method = params.payment_method_data !== undefined
      ? createPaymentMethod(context, params.payment_method_data)
      : params.payment_method === undefined
      ? null
      : methodOf(context, intent.customer, params.payment_method);
    return method === null
      ? intent
      : saveIntent(context, intent, { payment_method: method.id, status: "requires_confirmation" });
  }),
  route(
    "GET",
    "/v1/payment_intents/:id",
    paramsOf<Stripe.PaymentIntentRetrieveParams>()({ client_secret: text() }),
    (context, { client_secret: secret }, id) => {
      const intent = need(context, "payment_intent", id);
      if (secret === undefined || secret === intent.client_secret) return intent;
      throw invalidRequest(
        "The client_secret provided does not match the client_secret associated with the PaymentIntent.",
        "client_secret",
      );
    },
  ),
  route("POST", "/v1/payment_intents/:id", updateParams, (context, params, id) => {
    const intent = need(context, "payment_intent", id);
    const { metadata: change, payment_method, shipping: parcel, ...rest } = params;
    const types = (params as ConfirmInput).payment_method_types;
    checkChangeable(intent, params);
    if (params.amount !== undefined || params.currency !== undefined) {
      if (sessionOfIntent(context, id)?.status === "open") {
        throw unexpected(intent, "You cannot change what a Checkout Session asks for.", "amount");
      }
      checkAmount(params.amount ?? intent.amount, params.currency ?? intent.currency, "amount");
    }
    checkDescriptor(params.statement_descriptor, types ?? intent.payment_method_types);
    if (params.customer !== undefined) checkNewCustomer(context, intent, params.customer);
    const method = payment_method === undefined || payment_method === null
      ? null
      : methodOf(context, params.customer ?? intent.customer, payment_method);
    return saveIntent(context, intent, {
      ...rest,
      payment_method_types: typesAfter(intent, params),
      metadata: changedMetadata(intent.metadata, change),
      ...(method === null ? {} : { payment_method: method.id, status: "requires_confirmation" }),
      ...(payment_method === null ? { payment_method: null, status: "requires_payment_method" } : {}),
      ...(parcel === undefined ? {} : { shipping: parcel === null ? null : fullShipping(parcel) }),
    });
  }),
  route(
    "POST",
    "/v1/payment_intents/:id/confirm",
    confirmParams,
    (context, params, id) => confirm(context, need(context, "payment_intent", id), params),
  ),
  route(
    "POST",
    "/v1/payment_intents/:id/capture",
    paramsOf<Stripe.PaymentIntentCaptureParams>()({ amount_to_capture: whole(1), metadata }, {
      unsupported: [
        "amount_details",
        "application_fee_amount",
        "final_capture",
        "hooks",
        "payment_details",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
      ],
    }),
    (context, params, id) => capture(context, need(context, "payment_intent", id), params),
  ),
  route(
    "POST",
    "/v1/payment_intents/:id/cancel",
    paramsOf<Stripe.PaymentIntentCancelParams>()({
      cancellation_reason: oneOf("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
    }),
    (context, params, id) =>
      cancel(context, need(context, "payment_intent", id), params.cancellation_reason ?? null),
  ),
  listRoute(
    "/v1/payment_intents",
    "payment_intent",
    paramsOf<Stripe.PaymentIntentListParams>()({ ...datedListParams, customer: text() }, {
      unsupported: ["customer_account"],
    }),
  ),
];
