import type Stripe from "stripe";
import { ENDIVE } from "../core/api_version.ts";
import { type Context, idOf, need, needCustomer } from "../core/context.ts";
import { ApiError, invalidRequest } from "../core/errors.ts";
import {
  clearable,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  text,
  truth,
  until,
} from "../core/fields.ts";
import { returnUrl } from "../core/kinds.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { onlyOneOf, onlyWhere } from "../core/rules.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { automaticMethods } from "../payments/automatic_methods.ts";
import { ALLOWED_TYPES, FOREIGN_METHODS, METHOD_TYPES, PLAIN_METHODS } from "../payments/foreign_methods.ts";
import { checkUnspent, createPaymentMethod, usePaymentMethod } from "../payments/payment_methods.ts";
import { confirmSetup, createSetup, saveSetup } from "../payments/setup_intents.ts";
import { mandateData, methodData } from "./payment_intent_params.ts";

const noParams = paramsOf<unknown>()({});

const methodOptions = map({
  card: map({ request_three_d_secure: oneOf("any", "automatic", "challenge") }, {
    unsupported: ["mandate_options", "moto", "network", "setup_credential_usage", "three_d_secure"],
  }),
}, { unsupported: [...FOREIGN_METHODS, ...PLAIN_METHODS] });

const methodTypes = list(oneOf(...METHOD_TYPES), 100);

const older = {
  payment_method_types: until(ENDIVE, methodTypes, "payment_method_types_no_longer_supported"),
};

const createParams = paramsOf<Stripe.SetupIntentCreateParams>()({
  allowed_payment_method_types: list(oneOf(...ALLOWED_TYPES), 100),
  automatic_payment_methods: map({ enabled: required(truth), allow_redirects: oneOf("always", "never") }),
  confirm: truth,
  customer: text(),
  description: text(1000),
  excluded_payment_method_types: methodTypes,
  mandate_data: clearable(mandateData),
  metadata,
  payment_method: text(),
  payment_method_data: methodData,
  payment_method_options: methodOptions,
  return_url: returnUrl,
  usage: oneOf("off_session", "on_session"),
  use_stripe_sdk: truth,
}, {
  unsupported: [
    "attach_to_self",
    "confirmation_token",
    "customer_account",
    "flow_directions",
    "on_behalf_of",
    "payment_method_configuration",
    "single_use",
  ],
  older,
  rules: [
    onlyOneOf("payment_method", "payment_method_data"),
    onlyOneOf("payment_method_types", "allowed_payment_method_types"),
    onlyWhere(
      ({ confirm }) => confirm === true,
      (name) =>
        `The parameter \`${name}\` cannot be passed when creating a SetupIntent unless \`confirm\` is set to true.`,
      "mandate_data",
      "return_url",
    ),
  ],
});

const updateParams = paramsOf<Stripe.SetupIntentUpdateParams>()({
  customer: text(),
  description: text(1000),
  metadata,
  payment_method: clearable(text()),
}, {
  unsupported: [
    "allowed_payment_method_types",
    "attach_to_self",
    "customer_account",
    "excluded_payment_method_types",
    "flow_directions",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
  ],
  older,
});

const confirmParams = paramsOf<Stripe.SetupIntentConfirmParams>()({
  mandate_data: clearable(mandateData),
  payment_method: text(),
  payment_method_data: methodData,
  return_url: returnUrl,
  use_stripe_sdk: truth,
}, {
  unsupported: [
    "allowed_payment_method_types",
    "client_secret",
    "confirmation_token",
    "payment_method_options",
  ],
  rules: [onlyOneOf("payment_method", "payment_method_data")],
});

function unexpected(setup: Stripe.SetupIntent, doing: string): ApiError {
  return new ApiError(400, {
    type: "invalid_request_error",
    code: "setup_intent_unexpected_state",
    message: `You cannot ${doing} this SetupIntent because it has a status of ${setup.status}.`,
    setup_intent: setup,
  });
}

interface ConfirmInput {
  mandate_data?: object | null;
  payment_method?: string;
  payment_method_data?: Parameters<typeof createPaymentMethod>[1];
  return_url?: string;
}

function confirm(context: Context, setup: Stripe.SetupIntent, input: ConfirmInput): Stripe.SetupIntent {
  if (!["requires_action", "requires_confirmation", "requires_payment_method"].includes(setup.status)) {
    throw unexpected(setup, "confirm");
  }
  const chosen = input.payment_method ?? idOf(setup.payment_method);
  const method = input.payment_method_data !== undefined
    ? createPaymentMethod(context, input.payment_method_data)
    : chosen === null
    ? missingMethod()
    : methodOf(context, idOf(setup.customer), chosen);
  const automatic = setup.automatic_payment_methods;
  if (
    automatic?.enabled === true && automatic.allow_redirects !== "never" && input.return_url === undefined
  ) {
    throw invalidRequest(
      "This SetupIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.",
      "return_url",
    );
  }
  return confirmSetup(context, setup, {
    method,
    hasMandateData: input.mandate_data !== undefined && input.mandate_data !== null,
    returnUrl: input.return_url ?? null,
  });
}

function missingMethod(): never {
  throw invalidRequest(
    "You cannot confirm this SetupIntent because it's missing a payment method. Update the SetupIntent with a payment method and then confirm it again.",
    undefined,
    "setup_intent_unexpected_state",
  );
}

/** The payment method with this id; one that is saved is set up again for its own customer only. */
function methodOf(context: Context, customer: string | null, id: string): Stripe.PaymentMethod {
  const method = usePaymentMethod(context, id);
  checkUnspent(context, method);
  if (method.customer === null || idOf(method.customer) === customer) return method;
  throw invalidRequest(
    customer === null
      ? `The PaymentMethod ${id} belongs to a Customer. Please include the Customer in the \`customer\` parameter on the SetupIntent.`
      : `The PaymentMethod ${id} does not belong to the Customer you supplied. Please use this PaymentMethod with the Customer that it belongs to instead.`,
    "payment_method",
  );
}

/** `/v1/setup_intents`, `/v1/setup_attempts` and `/v1/mandates` */
export const setupIntentRoutes: Route[] = [
  route("POST", "/v1/setup_intents", createParams, (context, params) => {
    const given = (params as { payment_method_types?: string[] }).payment_method_types;
    const allowed = params.allowed_payment_method_types;
    if (params.customer !== undefined) needCustomer(context, params.customer);
    const setup = createSetup(context, {
      allowedMethods: allowed ?? null,
      automaticMethods: automaticMethods(context, params),
      customer: params.customer ?? null,
      description: params.description ?? null,
      excludedMethods: params.excluded_payment_method_types ?? null,
      metadata: changedMetadata({}, params.metadata),
      methodTypes: given ?? allowed ?? ["card"],
      requestThreeDSecure: params.payment_method_options?.card?.request_three_d_secure ?? "automatic",
      usage: params.usage ?? "off_session",
    });
    if (params.confirm === true) return confirm(context, setup, params);
    const method = params.payment_method_data !== undefined
      ? createPaymentMethod(context, params.payment_method_data)
      : params.payment_method === undefined
      ? null
      : methodOf(context, idOf(setup.customer), params.payment_method);
    return method === null
      ? setup
      : saveSetup(context, setup, { payment_method: method.id, status: "requires_confirmation" });
  }),
  route(
    "GET",
    "/v1/setup_intents/:id",
    paramsOf<Stripe.SetupIntentRetrieveParams>()({ client_secret: text() }),
    (context, { client_secret: secret }, id) => {
      const setup = need(context, "setup_intent", id);
      if (secret === undefined || secret === setup.client_secret) return setup;
      throw invalidRequest(
        "The client_secret provided does not match the client_secret associated with the SetupIntent.",
        "client_secret",
      );
    },
  ),
  route("POST", "/v1/setup_intents/:id", updateParams, (context, params, id) => {
    const setup = need(context, "setup_intent", id);
    if (["canceled", "processing", "succeeded"].includes(setup.status) && touchesMethod(params)) {
      throw unexpected(setup, "update");
    }
    if (params.customer !== undefined) needCustomer(context, params.customer);
    const customer = params.customer ?? idOf(setup.customer);
    const method = params.payment_method === undefined || params.payment_method === null
      ? null
      : methodOf(context, customer, params.payment_method);
    return saveSetup(context, setup, {
      customer,
      description: params.description ?? setup.description,
      payment_method_types: (params as { payment_method_types?: string[] }).payment_method_types ??
        setup.payment_method_types,
      metadata: changedMetadata(setup.metadata ?? {}, params.metadata),
      ...(method === null ? {} : { payment_method: method.id, status: "requires_confirmation" }),
      ...(params.payment_method === null ? { payment_method: null, status: "requires_payment_method" } : {}),
    });
  }),
  route(
    "POST",
    "/v1/setup_intents/:id/confirm",
    confirmParams,
    (context, params, id) => confirm(context, need(context, "setup_intent", id), params),
  ),
  route(
    "POST",
    "/v1/setup_intents/:id/cancel",
    paramsOf<Stripe.SetupIntentCancelParams>()({
      cancellation_reason: oneOf("abandoned", "duplicate", "requested_by_customer"),
    }),
    (context, params, id) => {
      const setup = need(context, "setup_intent", id);
      if (["canceled", "processing", "succeeded"].includes(setup.status)) throw unexpected(setup, "cancel");
      const canceled = saveSetup(context, setup, {
        cancellation_reason: params.cancellation_reason ?? null,
        next_action: null,
        status: "canceled",
      });
      context.emit("setup_intent.canceled", canceled);
      return canceled;
    },
  ),
  listRoute(
    "/v1/setup_intents",
    "setup_intent",
    paramsOf<Stripe.SetupIntentListParams>()({
      ...datedListParams,
      customer: text(),
      payment_method: text(),
    }, { unsupported: ["attach_to_self", "customer_account"] }),
  ),
  listRoute(
    "/v1/setup_attempts",
    "setup_attempt",
    paramsOf<Stripe.SetupAttemptListParams>()({ ...datedListParams, setup_intent: required(text()) }),
  ),
  route("GET", "/v1/mandates/:id", noParams, (context, _params, id) => need(context, "mandate", id)),
];

function touchesMethod(params: { customer?: string; payment_method?: string | null }): boolean {
  return params.customer !== undefined || params.payment_method !== undefined;
}
