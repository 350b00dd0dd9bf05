/** What a PaymentIntent is refused for. */
import type Stripe from "stripe";
import { type Context, idOf, needCustomer } from "../core/context.ts";
import { ApiError, invalidRequest, unsupported } from "../core/errors.ts";
import { canWait, methodsFor, OTHER_METHODS } from "../payments/other_methods.ts";

/** Stripe's refusal of what a payment's state does not allow. */
export function unexpected(intent: Stripe.PaymentIntent, message: string, param?: string): ApiError {
  return new ApiError(400, {
    type: "invalid_request_error",
    code: "payment_intent_unexpected_state",
    message,
    ...(param === undefined ? {} : { param }),
    payment_intent: intent,
  });
}

/** The states in which nothing has been paid yet. */
export const OPEN = ["requires_payment_method", "requires_confirmation", "requires_action"];

/** What cannot be changed once a payment is under way, or has ended. */
const FIXED = [
  "amount",
  "currency",
  "customer",
  "payment_method",
  "payment_method_types",
  "statement_descriptor",
  "statement_descriptor_suffix",
] as const;

/** Refuses to change what a payment under way, or ended, has fixed. */
export function checkChangeable(
  intent: Stripe.PaymentIntent,
  params: Partial<Record<typeof FIXED[number], unknown>>,
) {
  if (OPEN.includes(intent.status)) return;
  const name = FIXED.find((fixed) => params[fixed] !== undefined);
  if (name === undefined) return;
  throw unexpected(
    intent,
    `This PaymentIntent's ${name} could not be updated because it has a status of ${intent.status}. You may only update the ${name} of a PaymentIntent with one of the following statuses: ${
      OPEN.join(", ")
    }.`,
    name,
  );
}

/** Refuses another customer than the one that a payment has: it is given once. */
export function checkNewCustomer(context: Context, intent: Stripe.PaymentIntent, customer: string): void {
  needCustomer(context, customer);
  const known = idOf(intent.customer);
  if (known === null || known === customer) return;
  throw invalidRequest(
    "You cannot modify `customer` on a PaymentIntent once it already has been set. To fulfill a payment with a different Customer, cancel this PaymentIntent and create a new one.",
    "customer",
  );
}

/** Refuses a descriptor where a card may pay: cards have a suffix alone. */
export function checkDescriptor(descriptor: string | undefined, types: readonly string[]): void {
  if (descriptor === undefined || !types.includes("card")) return;
  throw invalidRequest(
    "The `statement_descriptor` parameter is not supported for PaymentIntents that can be paid by card. Use `statement_descriptor_suffix` instead.",
    "statement_descriptor",
  );
}

/** Refuses to debit an account whose holder has not allowed it, now or for every time. */
export function checkMandate(
  context: Context,
  { id, type }: Stripe.PaymentMethod,
  given: object | null,
): void {
  if (given !== null || !["sepa_debit", "us_bank_account"].includes(type)) return;
  const standing = context.store.all("mandate", ["payment_method", id]).some((mandate) =>
    mandate.type === "multi_use" && mandate.status === "active"
  );
  if (standing) return;
  throw invalidRequest(
    "This PaymentIntent requires a mandate, but no existing mandate was found. Collect mandate acceptance from the customer and try again, providing acceptance data in the mandate_data parameter.",
    "mandate_data",
    "payment_intent_mandate_invalid",
  );
}

/** Refuses a payment method of a type that this payment does not take. */
export function checkAllowed(intent: Stripe.PaymentIntent, { type }: Stripe.PaymentMethod): void {
  if (intent.payment_method_types.includes(type)) return;
  throw invalidRequest(
    `The PaymentMethod provided (${type}) is not allowed for this PaymentIntent. Please attach a payment method of one of the following types to this PaymentIntent: ${
      intent.payment_method_types.join(", ")
    }.`,
    "payment_method",
    "payment_intent_incompatible_payment_method",
  );
}

/** The ways to pay of an intent after a change: those that were chosen, or what goes with its new currency. */
export function typesAfter(
  intent: Stripe.PaymentIntent,
  change: { currency?: string; payment_method_types?: string[] },
): string[] {
  const { allowed_payment_method_types: allowed, excluded_payment_method_types: excluded } = intent;
  const common = {
    capture_method: intent.capture_method,
    ...(allowed === null ? {} : { allowed_payment_method_types: allowed }),
    ...(excluded === null ? {} : { excluded_payment_method_types: excluded }),
  };
  const { currency = intent.currency, payment_method_types: wanted } = change;
  if (currency === intent.currency && wanted === undefined) return intent.payment_method_types;
  const chosen = wanted ?? intent.payment_method_types;
  const usual = methodTypes({ ...common, currency: intent.currency });
  const isUsual = wanted === undefined && JSON.stringify(chosen) === JSON.stringify(usual);
  return methodTypes({ ...common, currency, ...(isUsual ? {} : { payment_method_types: chosen }) });
}

/** The ways to pay that an intent takes: what was asked for, as far as its currency goes with it. */
export function methodTypes(params: {
  currency: string;
  allowed_payment_method_types?: string[];
  capture_method?: string;
  excluded_payment_method_types?: string[];
}): string[] {
  const own = methodsFor(params.currency).filter((type) =>
    params.capture_method !== "manual" || canWait(type)
  );
  const asked = (params as { payment_method_types?: string[] }).payment_method_types ??
    params.allowed_payment_method_types;
  const foreign = asked?.find((type) =>
    !own.includes(type) && !OTHER_METHODS.some((other) => other === type) &&
    !["sepa_debit", "us_bank_account"].includes(type)
  );
  if (foreign !== undefined) throw unsupported(`the payment method type \`${foreign}\``);
  const wrong = (params as { payment_method_types?: string[] }).payment_method_types?.find((type) =>
    !own.includes(type)
  );
  if (wrong !== undefined) {
    throw invalidRequest(
      `The payment method type \`${wrong}\` is invalid for the currency or the capture method of this PaymentIntent.`,
      "payment_method_types",
    );
  }
  const types = (asked ?? own).filter((type) =>
    own.includes(type) && !(params.excluded_payment_method_types ?? []).includes(type)
  );
  if (types.length > 0) return types;
  throw invalidRequest(
    "No valid payment method types for this PaymentIntent: none of those asked for goes with its currency.",
    params.allowed_payment_method_types === undefined
      ? "excluded_payment_method_types"
      : "allowed_payment_method_types",
  );
}
