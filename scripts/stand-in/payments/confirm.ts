import type Stripe from "stripe";
import { behaviourOf, type Context, idOf, need } from "../core/context.ts";
import { ApiError, invalidRequest } from "../core/errors.ts";
import type { Behaviour } from "../core/records.ts";
import { isRedirect } from "./other_methods.ts";
import type { BankBehaviour } from "./test_bank_accounts.ts";
import { type Authentication, createCharge, recordChargeBalance } from "./charges.ts";
import { AUTHENTICATION_FAILED, type Decline, DECLINES } from "./declines.ts";
import { openDispute } from "./disputes.ts";
import { warnOfFraud } from "./early_fraud_warnings.ts";
import { saveIntent, sessionOfIntent } from "./intents.ts";
import { settleMethod } from "./payment_methods.ts";
import { openReview } from "./reviews.ts";
import type { CardBehaviour } from "./test_cards.ts";

/** How a payment attempt ended. */
export type Attempt =
  | { kind: "action_required"; intent: Stripe.PaymentIntent }
  | { kind: "declined"; intent: Stripe.PaymentIntent; error: ApiError }
  | { kind: "processing"; intent: Stripe.PaymentIntent }
  | { kind: "requires_capture"; intent: Stripe.PaymentIntent }
  | { kind: "succeeded"; intent: Stripe.PaymentIntent };

export interface ConfirmOptions {
  returnUrl: string | null;
  /** Nobody is there to be challenged: a card that wants it is declined. */
  unattended: boolean;
}

/** How long a bank takes that answers "soon". */
const SOON_MS = 50;

/** An attempt that went through settles whose its method is; Checkout settles that for its own. */
function settled(context: Context, attempt: Attempt): Attempt {
  const through = attempt.kind !== "declined" && attempt.kind !== "action_required";
  if (through && sessionOfIntent(context, attempt.intent.id) === undefined) {
    settleMethod(context, attempt.intent);
  }
  return attempt;
}

/** Tries to pay an intent with a payment method, as Stripe does on confirmation. */
export function confirmIntent(
  context: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  options: ConfirmOptions,
): Attempt {
  return settled(context, tryToPay(context, intent, method, options));
}

function tryToPay(
  context: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  options: ConfirmOptions,
): Attempt {
  const behaviour = behaviourOf(context, method.id);
  const internals = context.store.internals("payment_intent", intent.id);
  context.store.setInternals("payment_intent", intent.id, {
    session: internals?.session ?? null,
    return_url: options.returnUrl,
    behaviour,
  });
  const ready = { ...intent, payment_method: method.id, next_action: null, last_payment_error: null };
  if (behaviour.type === "bank") return startBankDebit(context, ready, method, behaviour.bank);

  if (behaviour.type === "other") return startOther(context, ready, method, behaviour, options);

  const asked = intent.payment_method_options?.card?.request_three_d_secure;
  const { card } = behaviour;
  const challenged = card.threeDSecure === "always" ||
    (card.threeDSecure === "required" && method.customer === null) ||
    ((asked === "any" || asked === "challenge") && card.threeDSecure !== "unsupported");
  if (challenged && options.unattended) {
    return decline(context, ready, method, "none", DECLINES.authentication_required);
  }
  if (challenged) {
    return { kind: "action_required", intent: requireAction(context, ready, options.returnUrl) };
  }
  return chargeCard(context, ready, method, card, "none");
}

/** The shopper ended the bank's challenge. */
export function completeChallenge(context: Context, intent: Stripe.PaymentIntent, passed: boolean): Attempt {
  return settled(context, answerChallenge(context, intent, passed));
}

function answerChallenge(context: Context, intent: Stripe.PaymentIntent, passed: boolean): Attempt {
  if (intent.status !== "requires_action") {
    throw invalidRequest(
      `This PaymentIntent's status is ${intent.status}: there is no authentication to complete.`,
      "payment_intent",
      "payment_intent_unexpected_state",
    );
  }
  const method = need(context, "payment_method", idOf(intent.payment_method) ?? "");
  const behaviour = behaviourOf(context, method.id);
  const ready = { ...intent, next_action: null };
  if (!passed) {
    const failed = saveIntent(context, ready, {
      last_payment_error: {
        code: AUTHENTICATION_FAILED.code,
        message: AUTHENTICATION_FAILED.message,
        payment_method: method,
        type: behaviour.type === "card" ? "card_error" : "invalid_request_error",
      },
      payment_method: null,
      status: "requires_payment_method",
    });
    context.emit("payment_intent.payment_failed", failed);
    return { kind: "declined", intent: failed, error: declinedError(failed) };
  }
  if (behaviour.type === "other") return payOther(context, ready, method, behaviour);
  if (behaviour.type !== "card") throw invalidRequest("Only cards are authenticated.", "payment_intent");
  return chargeCard(context, ready, method, behaviour.card, "authenticated");
}

function requireAction(
  context: Context,
  intent: Stripe.PaymentIntent,
  returnUrl: string | null,
  page: "3ds" | "authorize" = "3ds",
): Stripe.PaymentIntent {
  const url = `${context.baseUrl}/${page}/${intent.id}`;
  const saved = saveIntent(context, intent, {
    status: "requires_action",
    next_action: returnUrl === null
      ? { type: "use_stripe_sdk", use_stripe_sdk: { type: "three_d_secure_redirect", stripe_js: url } }
      : { type: "redirect_to_url", redirect_to_url: { return_url: returnUrl, url } },
  });
  context.emit("payment_intent.requires_action", saved);
  return saved;
}

/** A method that leads away goes on when the shopper has answered there; Link pays at once. */
function startOther(
  context: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  behaviour: Behaviour & { type: "other" },
  options: ConfirmOptions,
): Attempt {
  if (!isRedirect(behaviour.method)) return payOther(context, intent, method, behaviour);
  if (options.returnUrl === null) {
    throw invalidRequest(
      `A \`return_url\` must be given for the payment method type \`${behaviour.method}\`.`,
      "return_url",
      "parameter_missing",
    );
  }
  return { kind: "action_required", intent: requireAction(context, intent, options.returnUrl, "authorize") };
}

function payOther(
  context: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  behaviour: Behaviour & { type: "other" },
): Attempt {
  const charge = createCharge(context, {
    intent,
    method,
    behaviour,
    authentication: "none",
    outcome: { kind: "succeeded", captured: true },
  });
  const paid = saveIntent(context, intent, {
    amount_received: intent.amount,
    latest_charge: charge.id,
    status: "succeeded",
  });
  context.emit("charge.succeeded", charge);
  context.emit("payment_intent.succeeded", paid);
  return { kind: "succeeded", intent: paid };
}

function chargeCard(
  context: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  card: CardBehaviour,
  authentication: Authentication,
): Attempt {
  if (card.decline !== undefined) {
    return decline(context, intent, method, authentication, DECLINES[card.decline]);
  }
  const behaviour = { type: "card" as const, card };
  const captured = intent.capture_method !== "manual";
  const charge = createCharge(context, {
    intent,
    method,
    behaviour,
    authentication,
    outcome: { kind: "succeeded", captured },
  });
  if (!captured) {
    const held = saveIntent(context, intent, {
      amount_capturable: intent.amount,
      latest_charge: charge.id,
      status: "requires_capture",
    });
    context.emit("charge.succeeded", charge);
    context.emit("payment_intent.amount_capturable_updated", held);
    return { kind: "requires_capture", intent: held };
  }
  const review = card.risk === "elevated" ? openReview(context, charge) : null;
  const reviewed = review === null ? charge : { ...charge, review: review.id };
  if (review !== null) context.store.put("charge", reviewed);
  const paid = saveIntent(context, intent, {
    amount_received: intent.amount,
    latest_charge: charge.id,
    review: review?.id ?? null,
    status: "succeeded",
  });
  context.emit("charge.succeeded", reviewed);
  context.emit("payment_intent.succeeded", paid);
  if (review !== null) context.emit("review.opened", review);
  if (card.earlyFraudWarning === true) warnOfFraud(context, reviewed, "made_with_stolen_card");
  if (card.dispute !== undefined) openDispute(context, reviewed, card.dispute);
  return { kind: "succeeded", intent: paid };
}

function decline(
  context: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  authentication: Authentication,
  reason: Decline,
): Attempt {
  const behaviour = behaviourOf(context, method.id);
  const charge = createCharge(context, {
    intent,
    method,
    behaviour,
    authentication,
    outcome: { kind: "declined", decline: reason },
  });
  const failed = saveIntent(context, intent, {
    last_payment_error: {
      ...(reason.advice_code === null ? {} : { advice_code: reason.advice_code }),
      charge: charge.id,
      code: reason.code as Stripe.PaymentIntent.LastPaymentError.Code,
      decline_code: reason.decline_code,
      message: reason.message,
      ...(reason.network_decline_code === null ? {} : { network_decline_code: reason.network_decline_code }),
      ...(reason.param === undefined ? {} : { param: reason.param }),
      payment_method: method,
      type: "card_error",
    },
    latest_charge: charge.id,
    payment_method: null,
    status: "requires_payment_method",
  });
  context.emit("charge.failed", charge);
  context.emit("payment_intent.payment_failed", failed);
  return { kind: "declined", intent: failed, error: declinedError(failed) };
}

/** The 402 that a failed attempt answers with. It keeps what the attempt left behind. */
function declinedError(intent: Stripe.PaymentIntent): ApiError {
  const cause = intent.last_payment_error;
  return new ApiError(
    402,
    {
      type: "card_error",
      ...(cause?.code === undefined ? {} : { code: cause.code }),
      ...(cause?.decline_code === undefined ? {} : { decline_code: cause.decline_code }),
      ...(cause?.advice_code === undefined ? {} : { advice_code: cause.advice_code }),
      ...(cause?.network_decline_code === undefined
        ? {}
        : { network_decline_code: cause.network_decline_code }),
      ...(cause?.charge === undefined ? {} : { charge: cause.charge }),
      ...(cause?.param === undefined ? {} : { param: cause.param }),
      message: cause?.message ?? "Your card was declined.",
      payment_intent: intent,
      ...(cause?.payment_method === undefined ? {} : { payment_method: cause.payment_method }),
    },
    true,
  );
}

function startBankDebit(
  context: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  bank: BankBehaviour,
): Attempt {
  const charge = createCharge(context, {
    intent,
    method,
    behaviour: { type: "bank", bank },
    authentication: "none",
    outcome: { kind: "pending" },
  });
  const started = saveIntent(context, intent, { latest_charge: charge.id, status: "processing" });
  context.emit("charge.pending", charge);
  context.emit("payment_intent.processing", started);
  const wait = bank.settles === "soon" ? SOON_MS : context.pace.bankDebitMs;
  if (wait !== null) context.schedule("settle_bank_debit", intent.id, wait);
  return { kind: "processing", intent: started };
}

/** The bank's answer to a debit under way. Returns the intent and whether it was paid. */
export function settleBankDebit(
  context: Context,
  intent: Stripe.PaymentIntent,
  outcome: "failed" | "succeeded",
  failureCode: string | null,
): Stripe.PaymentIntent {
  if (intent.status !== "processing") {
    throw invalidRequest(
      `This PaymentIntent's status is ${intent.status}: only one in \`processing\` can be settled.`,
      "payment_intent",
      "payment_intent_unexpected_state",
    );
  }
  const charge = need(context, "charge", idOf(intent.latest_charge) ?? "");
  const method = need(context, "payment_method", idOf(intent.payment_method) ?? "");
  if (outcome === "failed") {
    const code = failureCode ?? "insufficient_funds";
    const message = "The customer's bank account could not be debited.";
    const failedCharge: Stripe.Charge = {
      ...charge,
      captured: false,
      failure_code: code,
      failure_message: message,
      outcome: charge.outcome === null ? null : {
        ...charge.outcome,
        network_status: "declined_by_network",
        reason: code,
        seller_message: `The bank returned the decline code \`${code}\`.`,
        type: "issuer_declined",
      },
      paid: false,
      status: "failed",
    };
    context.store.put("charge", failedCharge);
    const failed = saveIntent(context, intent, {
      last_payment_error: {
        charge: charge.id,
        code: "payment_intent_payment_attempt_failed",
        decline_code: code,
        message,
        payment_method: method,
        type: "invalid_request_error",
      },
      payment_method: null,
      status: "requires_payment_method",
    });
    context.emit("charge.failed", failedCharge);
    context.emit("payment_intent.payment_failed", failed);
    return failed;
  }
  const paidCharge: Stripe.Charge = {
    ...charge,
    amount_captured: charge.amount,
    captured: true,
    paid: true,
    receipt_url: `${context.baseUrl}/receipts/${charge.id}`,
    status: "succeeded",
  };
  paidCharge.balance_transaction =
    recordChargeBalance(context, paidCharge, behaviourOf(context, method.id)).id;
  context.store.put("charge", paidCharge);
  const paid = saveIntent(context, intent, { amount_received: intent.amount, status: "succeeded" });
  context.emit("charge.succeeded", paidCharge);
  context.emit("payment_intent.succeeded", paid);
  return paid;
}
