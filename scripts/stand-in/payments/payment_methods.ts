import type Stripe from "stripe";
import { createHash } from "node:crypto";
import { type AddressInput, fullAddress } from "../core/address_fields.ts";
import { behaviourOf, type Context, idOf } from "../core/context.ts";
import { ApiError, invalidRequest, resourceMissing } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import type { Behaviour } from "../core/records.ts";
import { type DeclineName, DECLINES } from "./declines.ts";
import { isOther, type OtherMethod, type OtherRefund, otherView } from "./other_methods.ts";
import { type BankBehaviour, sepaDebit, usBankAccount } from "./test_bank_accounts.ts";
import { type CardBehaviour, cardBehaviour, namedCard, type ReadCard } from "./test_cards.ts";

export interface BillingInput {
  address?: AddressInput;
  email?: string | null;
  name?: string | null;
  phone?: string | null;
}

export interface CardInput {
  number?: string;
  token?: string;
  exp_month?: number;
  exp_year?: number;
  cvc?: string;
}

export interface MethodInput {
  type: "card" | "sepa_debit" | "us_bank_account" | OtherMethod;
  /** The wallet that holds the card. */
  wallet?: "apple_pay" | "google_pay";
  /** How a refund of what is neither card nor bank debit goes. */
  refund?: OtherRefund;
  card?: CardInput;
  sepa_debit?: { iban: string };
  us_bank_account?: { account_number?: string; routing_number?: string };
  billing_details?: BillingInput;
  metadata?: Record<string, string>;
}

function cardError(code: string, message: string, param: string): ApiError {
  return new ApiError(402, { type: "card_error", code, message, param });
}

/** Stable per card, as Stripe's fingerprints are. */
export function fingerprint(behaviour: CardBehaviour | BankBehaviour): string {
  const digest = createHash("sha256").update(JSON.stringify(behaviour)).digest("base64");
  return digest.replace(/[^A-Za-z0-9]/g, "").slice(0, 16);
}

/** The card of a token that was made before; it can be used once. */
function spendToken(context: Context, id: string): ReadCard {
  const token = context.store.get("token", id);
  const internals = context.store.internals("token", id);
  if (token === undefined || internals === undefined) {
    throw resourceMissing("token", id, "card[token]", 400);
  }
  if (token.used) {
    throw invalidRequest(
      `You cannot use a Stripe token more than once: ${id}.`,
      "card[token]",
      "token_already_used",
    );
  }
  context.store.put("token", { ...token, used: true });
  return internals;
}

/** Checks what the shopper typed, in the order and words of Stripe. */
export function readCard(context: Context, input: CardInput): ReadCard {
  const named = input.token === undefined ? undefined : namedCard(input.token);
  if (input.token !== undefined && named === undefined) return spendToken(context, input.token);
  const number = named ?? input.number;
  if (number === undefined) {
    throw invalidRequest("Missing required param: card[number].", "card[number]", "parameter_missing");
  }
  const card = cardBehaviour(number);
  if (card === "incorrect_number") {
    throw cardError("incorrect_number", "Your card number is incorrect.", "number");
  }
  const today = new Date(context.now * 1000);
  const month = input.exp_month ?? 12;
  const given = input.exp_year ?? today.getUTCFullYear() + 4;
  const year = given < 100 ? 2000 + given : given;
  if (month < 1 || month > 12) {
    throw cardError("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month");
  }
  const thisYear = today.getUTCFullYear();
  if (year > thisYear + 50) {
    throw cardError("invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year");
  }
  if (year < thisYear || (year === thisYear && month < today.getUTCMonth() + 1)) {
    const param = year < thisYear ? "exp_year" : "exp_month";
    const word = year < thisYear ? "year" : "month";
    throw cardError(`invalid_expiry_${word}`, `Your card's expiration ${word} is invalid.`, param);
  }
  if (input.cvc !== undefined && !(card.brand === "amex" ? /^\d{3,4}$/ : /^\d{3}$/).test(input.cvc)) {
    throw cardError("invalid_cvc", "Your card's security code is invalid.", "cvc");
  }
  return { card, month, year };
}

function cardView(
  card: CardBehaviour,
  month: number,
  year: number,
  input: CardInput,
): Stripe.PaymentMethod.Card {
  return {
    brand: card.brand,
    checks: {
      address_line1_check: null,
      address_postal_code_check: null,
      cvc_check: input.cvc === undefined && input.token === undefined ? null : "unchecked",
    },
    country: card.country,
    display_brand: card.brand === "amex" ? "american_express" : card.brand,
    exp_month: month,
    exp_year: year,
    fingerprint: fingerprint(card),
    funding: card.funding,
    generated_from: null,
    last4: card.last4,
    networks: { available: [card.brand], preferred: null },
    regulated_status: "unregulated",
    three_d_secure_usage: { supported: card.threeDSecure !== "unsupported" },
    wallet: null,
  };
}

function readBank(input: MethodInput): BankBehaviour {
  if (input.type === "sepa_debit") {
    const iban = input.sepa_debit?.iban ?? "";
    const bank = sepaDebit(iban);
    if (bank === undefined) {
      throw invalidRequest(
        "The IBAN you provided is invalid.",
        "sepa_debit[iban]",
        "invalid_bank_account_iban",
      );
    }
    return bank;
  }
  const number = input.us_bank_account?.account_number ?? "000123456789";
  const bank = usBankAccount(number);
  if (bank === undefined) {
    throw invalidRequest(
      `You must use a test bank account number in test mode. Try 000123456789 or see more options at https://stripe.com/docs/testing.`,
      "us_bank_account[account_number]",
      "account_number_invalid",
    );
  }
  return bank;
}

function bankView(bank: BankBehaviour): Pick<Stripe.PaymentMethod, "sepa_debit" | "us_bank_account"> {
  if (bank.method === "sepa_debit") {
    return {
      sepa_debit: {
        bank_code: "37040044",
        branch_code: "",
        country: bank.country,
        fingerprint: fingerprint(bank),
        generated_from: { charge: null, setup_attempt: null },
        last4: bank.last4,
      },
    };
  }
  return {
    us_bank_account: {
      account_holder_type: "individual",
      account_type: "checking",
      bank_name: "STRIPE TEST BANK",
      financial_connections_account: null,
      fingerprint: fingerprint(bank),
      last4: bank.last4,
      networks: { preferred: "ach", supported: ["ach"] },
      routing_number: "110000000",
      status_details: null,
    },
  };
}

/** Makes a payment method from what was typed, or from one of Stripe's test tokens. */
export function createPaymentMethod(context: Context, input: MethodInput): Stripe.PaymentMethod {
  const billing = input.billing_details ?? {};
  const base: Stripe.PaymentMethod = {
    id: newId("payment_method"),
    object: "payment_method",
    allow_redisplay: "unspecified",
    billing_details: {
      address: fullAddress(billing.address ?? {}),
      email: billing.email ?? null,
      name: billing.name ?? null,
      phone: billing.phone ?? null,
      tax_id: null,
    },
    created: context.now,
    customer: null,
    customer_account: null,
    livemode: false,
    metadata: input.metadata ?? {},
    type: input.type,
  };
  let behaviour: Behaviour;
  let method: Stripe.PaymentMethod;
  if (input.type === "card") {
    const { card, month, year } = readCard(context, input.card ?? {});
    behaviour = { type: "card", card };
    const view = cardView(card, month, year, input.card ?? {});
    const wallet = input.wallet === undefined
      ? null
      : { dynamic_last4: card.last4, type: input.wallet, [input.wallet]: {} };
    method = { ...base, card: { ...view, wallet } };
  } else if (isOther(input.type)) {
    behaviour = { type: "other", method: input.type, refund: input.refund ?? "soon" };
    method = { ...base, ...otherView(input.type, base.billing_details.email) };
  } else {
    const bank = readBank(input);
    behaviour = { type: "bank", bank };
    method = { ...base, ...bankView(bank) };
  }
  context.store.put("payment_method", method);
  context.store.setInternals("payment_method", method.id, behaviour);
  return method;
}

/**
 * The payment method with this id; Stripe's ready-made `pm_card_…` become a fresh one. `status` is that of an
 * unknown one: 404 where the address names it.
 */
export function usePaymentMethod(context: Context, id: string, status = 400): Stripe.PaymentMethod {
  if (id.startsWith("pm_card_") && namedCard(id) !== undefined) {
    return createPaymentMethod(context, { type: "card", card: { token: id } });
  }
  if (id === "pm_usBankAccount_success" || id === "pm_usBankAccount") {
    return createPaymentMethod(context, { type: "us_bank_account" });
  }
  const method = context.store.get("payment_method", id);
  if (method === undefined) throw resourceMissing("PaymentMethod", id, "payment_method", status);
  return method;
}

/** Why a bank does not let this card be saved, if it does not. */
export function declineOnSaving(card: CardBehaviour): DeclineName | undefined {
  return card.declinesOnlyPayments === true || card.threeDSecure === "always" ? undefined : card.decline;
}

/** From now on the payment method can be used no more. */
export function spend(context: Context, id: string): void {
  context.store.setInternals("payment_method", id, { ...behaviourOf(context, id), spent: true });
}

/** After a payment the method belongs to the customer it was to be kept for, or is used up. */
export function settleMethod(context: Context, intent: Stripe.PaymentIntent): void {
  const method = context.store.get("payment_method", idOf(intent.payment_method) ?? "");
  if (method === undefined || method.customer !== null) return;
  const customer = idOf(intent.customer);
  if (customer !== null && intent.setup_future_usage !== null) attachToCustomer(context, method, customer);
  else spend(context, method.id);
}

/** Refuses what was used up. */
export function checkUnspent(context: Context, method: Stripe.PaymentMethod): void {
  if (context.store.internals("payment_method", method.id)?.spent !== true) return;
  throw invalidRequest(
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
    "payment_method",
  );
}

/** Refuses a card that its bank declines; the bank is asked when a card is saved without a payment. */
export function checkAttachable(context: Context, method: Stripe.PaymentMethod): void {
  const behaviour = behaviourOf(context, method.id);
  const decline = behaviour.type === "card" ? declineOnSaving(behaviour.card) : undefined;
  if (decline === undefined) return;
  const { code, decline_code, message } = DECLINES[decline];
  throw new ApiError(402, { type: "card_error", code, decline_code, message });
}

/** Binds a payment method to a customer. */
export function attachToCustomer(
  context: Context,
  method: Stripe.PaymentMethod,
  customer: string,
): Stripe.PaymentMethod {
  const attached: Stripe.PaymentMethod = { ...method, customer };
  context.store.put("payment_method", attached);
  context.emit("payment_method.attached", attached);
  return attached;
}
