/** Saving a way to pay for later, without a payment. */
import type Stripe from "stripe";
import { behaviourOf, type Context, idOf, need } from "../core/context.ts";
import { ApiError, invalidRequest, unsupported } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import { AUTHENTICATION_FAILED, type Decline, DECLINES } from "./declines.ts";
import { createMandate } from "./mandates.ts";
import { attachToCustomer, declineOnSaving } from "./payment_methods.ts";

export interface SetupInput {
  allowedMethods: string[] | null;
  automaticMethods: Stripe.SetupIntent.AutomaticPaymentMethods | null;
  customer: string | null;
  description: string | null;
  excludedMethods: string[] | null;
  metadata: Record<string, string>;
  methodTypes: string[];
  requestThreeDSecure: "any" | "automatic" | "challenge";
  usage: "off_session" | "on_session";
}

/** Creates a setup intent and says so. */
export function createSetup(context: Context, input: SetupInput): Stripe.SetupIntent {
  const id = newId("setup_intent");
  const setup: Stripe.SetupIntent = {
    id,
    object: "setup_intent",
    allowed_payment_method_types: input.allowedMethods,
    application: null,
    automatic_payment_methods: input.automaticMethods,
    cancellation_reason: null,
    client_secret: `${id}_${newId("client_secret")}`,
    created: context.now,
    customer: input.customer,
    customer_account: null,
    description: input.description,
    excluded_payment_method_types: input.excludedMethods,
    flow_directions: null,
    last_setup_error: null,
    latest_attempt: null,
    livemode: false,
    mandate: null,
    metadata: input.metadata,
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: {
        mandate_options: null,
        network: null,
        request_three_d_secure: input.requestThreeDSecure,
      },
    },
    payment_method_types: input.methodTypes,
    single_use_mandate: null,
    status: "requires_payment_method",
    usage: input.usage,
  };
  context.store.put("setup_intent", setup);
  context.store.setInternals("setup_intent", id, { return_url: null });
  context.emit("setup_intent.created", setup);
  return setup;
}

/** Writes a changed setup intent. */
export function saveSetup(
  context: Context,
  setup: Stripe.SetupIntent,
  change: Partial<Stripe.SetupIntent>,
): Stripe.SetupIntent {
  const saved = { ...setup, ...change };
  context.store.put("setup_intent", saved);
  return saved;
}

/** What an attempt is made with. */
export interface SetupConfirmation {
  method: Stripe.PaymentMethod;
  hasMandateData: boolean;
  returnUrl: string | null;
}

/** Tries to set a payment method up. Throws the card error that keeps what the attempt left behind. */
export function confirmSetup(
  context: Context,
  setup: Stripe.SetupIntent,
  { method, hasMandateData, returnUrl }: SetupConfirmation,
): Stripe.SetupIntent {
  if (!setup.payment_method_types.includes(method.type)) {
    throw invalidRequest(
      `The PaymentMethod provided (${method.type}) is not allowed for this SetupIntent. Please attach a PaymentMethod of one of the following types: ${
        setup.payment_method_types.join(", ")
      }.`,
      "payment_method",
      "setup_intent_invalid_parameter",
    );
  }
  context.store.setInternals("setup_intent", setup.id, { return_url: returnUrl });
  const ready = { ...setup, payment_method: method.id, next_action: null, last_setup_error: null };
  const behaviour = behaviourOf(context, method.id);
  if (behaviour.type === "other") throw unsupported(`setting up the payment method type \`${method.type}\``);
  if (behaviour.type === "bank") {
    if (behaviour.bank.method !== "sepa_debit") {
      throw unsupported("setting up a `us_bank_account`, which is verified first");
    }
    if (!hasMandateData) {
      throw invalidRequest(
        "This SetupIntent requires a mandate, but no existing mandate was found. Collect mandate acceptance from the customer and try again, providing acceptance data in the mandate_data parameter.",
        "mandate_data",
        "setup_intent_mandate_invalid",
      );
    }
    return succeed(context, ready, method);
  }
  const asked = setup.payment_method_options?.card?.request_three_d_secure;
  const { threeDSecure } = behaviour.card;
  const challenged = threeDSecure === "always" || threeDSecure === "required" ||
    ((asked === "any" || asked === "challenge") && threeDSecure !== "unsupported");
  if (challenged) {
    const url = `${context.baseUrl}/3ds/${setup.id}`;
    const waiting = saveSetup(context, ready, {
      latest_attempt: attempt(context, ready, method, "requires_action", null),
      next_action: returnUrl === null
        ? { type: "use_stripe_sdk", use_stripe_sdk: { type: "three_d_secure_redirect", stripe_js: url } }
        : { type: "redirect_to_url", redirect_to_url: { return_url: returnUrl, url } },
      status: "requires_action",
    });
    context.emit("setup_intent.requires_action", waiting);
    return waiting;
  }
  const refused = declineOnSaving(behaviour.card);
  if (refused !== undefined) throw fail(context, ready, method, DECLINES[refused]);
  return succeed(context, ready, method);
}

/** The shopper ended the bank's challenge. */
export function completeSetup(
  context: Context,
  setup: Stripe.SetupIntent,
  passed: boolean,
): Stripe.SetupIntent {
  if (setup.status !== "requires_action") {
    throw invalidRequest(
      `This SetupIntent's status is ${setup.status}: there is no authentication to complete.`,
      "setup_intent",
      "setup_intent_unexpected_state",
    );
  }
  const method = need(context, "payment_method", idOf(setup.payment_method) ?? "");
  const ready = { ...setup, next_action: null };
  if (passed) return succeed(context, ready, method);
  fail(context, ready, method, {
    ...AUTHENTICATION_FAILED,
    code: "setup_intent_authentication_failure",
  });
  return need(context, "setup_intent", setup.id);
}

function succeed(
  context: Context,
  setup: Stripe.SetupIntent,
  method: Stripe.PaymentMethod,
): Stripe.SetupIntent {
  const customer = idOf(setup.customer);
  if (customer !== null && method.customer === null) attachToCustomer(context, method, customer);
  const done = saveSetup(context, setup, {
    latest_attempt: attempt(context, setup, method, "succeeded", null),
    mandate: method.type === "sepa_debit" ? createMandate(context, method, null).id : null,
    next_action: null,
    status: "succeeded",
  });
  context.emit("setup_intent.succeeded", done);
  return done;
}

/** Records a failed attempt; returns the error that it answers with. */
function fail(
  context: Context,
  setup: Stripe.SetupIntent,
  method: Stripe.PaymentMethod,
  reason: Pick<Decline, "code" | "message"> & { decline_code?: string },
): ApiError {
  const cause: Stripe.SetupIntent.LastSetupError = {
    code: reason.code as Stripe.SetupIntent.LastSetupError.Code,
    ...(reason.decline_code === undefined ? {} : { decline_code: reason.decline_code }),
    message: reason.message,
    payment_method: method,
    type: "card_error",
  };
  const failed = saveSetup(context, setup, {
    last_setup_error: cause,
    latest_attempt: attempt(context, setup, method, "failed", cause),
    payment_method: null,
    status: "requires_payment_method",
  });
  context.emit("setup_intent.setup_failed", failed);
  return new ApiError(
    402,
    {
      type: "card_error",
      code: reason.code,
      ...(reason.decline_code === undefined ? {} : { decline_code: reason.decline_code }),
      message: reason.message,
      payment_method: method,
      setup_intent: failed,
    },
    true,
  );
}

/** Writes one attempt, or how the one that waited for the bank ended; returns its id. */
function attempt(
  context: Context,
  setup: Stripe.SetupIntent,
  method: Stripe.PaymentMethod,
  status: "failed" | "requires_action" | "succeeded",
  cause: Stripe.SetupIntent.LastSetupError | null,
): string {
  const waiting = context.store.get("setup_attempt", idOf(setup.latest_attempt) ?? "");
  const again = waiting?.status === "requires_action" ? waiting : undefined;
  const { card } = method;
  const record: Stripe.SetupAttempt = {
    id: again?.id ?? newId("setup_attempt"),
    object: "setup_attempt",
    application: null,
    created: again?.created ?? context.now,
    customer: idOf(setup.customer),
    customer_account: null,
    flow_directions: null,
    livemode: false,
    on_behalf_of: null,
    payment_method: method.id,
    payment_method_details: card === undefined ? { sepa_debit: {}, type: "sepa_debit" } : {
      card: {
        brand: card.brand,
        checks: {
          address_line1_check: null,
          address_postal_code_check: null,
          cvc_check: card.checks?.cvc_check === null ? null : "pass",
        },
        country: card.country,
        exp_month: card.exp_month,
        exp_year: card.exp_year,
        fingerprint: card.fingerprint ?? null,
        funding: card.funding,
        last4: card.last4,
        network: card.brand,
        three_d_secure: null,
        wallet: null,
      },
      type: "card",
    },
    setup_error: cause,
    setup_intent: setup.id,
    status,
    usage: setup.usage,
  };
  context.store.put("setup_attempt", record);
  return record.id;
}
