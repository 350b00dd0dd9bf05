import type Stripe from "stripe";
import { type Context, idOf } from "../core/context.ts";
import { newId } from "../core/ids.ts";
import type { Behaviour } from "../core/records.ts";
import { DAY_S, midnight, recordBalance } from "./balance.ts";
import type { Decline } from "./declines.ts";
import { createMandate } from "./mandates.ts";
import { otherDetails } from "./other_methods.ts";
import type { CardBehaviour } from "./test_cards.ts";

const FEE_SHARE = 0.029;
const FEE_FIXED = 30;
const SETTLEMENT_DAYS = 2;

const RISK_SCORES: Record<CardBehaviour["risk"], number> = { normal: 22, elevated: 68, highest: 92 };

/** How authentication went before the charge. */
export type Authentication = "authenticated" | "none" | "not_supported";

export interface ChargeInput {
  intent: Stripe.PaymentIntent;
  method: Stripe.PaymentMethod;
  behaviour: Behaviour;
  authentication: Authentication;
  outcome: { kind: "declined"; decline: Decline } | { kind: "pending" } | {
    kind: "succeeded";
    captured: boolean;
  };
}

function outcomeOf({ behaviour, outcome }: ChargeInput): Stripe.Charge.Outcome {
  const blocked = outcome.kind === "declined" && outcome.decline.decline_code === "fraudulent";
  const risk = behaviour.type === "card" ? behaviour.card.risk : "normal";
  const scored = behaviour.type === "card"
    ? { risk_level: risk, risk_score: RISK_SCORES[risk] }
    : { risk_level: "not_assessed" };
  if (outcome.kind === "declined") {
    return {
      advice_code: outcome.decline.advice_code,
      network_advice_code: null,
      network_decline_code: outcome.decline.network_decline_code,
      network_status: blocked ? "not_sent_to_network" : "declined_by_network",
      reason: blocked ? "highest_risk_level" : outcome.decline.decline_code,
      ...scored,
      seller_message: outcome.decline.seller_message,
      type: blocked ? "blocked" : "issuer_declined",
    };
  }
  return {
    advice_code: null,
    network_advice_code: null,
    network_decline_code: null,
    network_status: "approved_by_network",
    reason: risk === "elevated" ? "elevated_risk_level" : null,
    ...scored,
    ...(risk === "elevated"
      ? {
        rule: {
          action: "review",
          id: "manual_review_if_elevated_risk",
          predicate: "Review if :risk_level: = 'elevated'",
        },
      }
      : {}),
    seller_message: risk === "elevated"
      ? "Stripe evaluated this payment as having elevated risk, and placed it in your manual review queue."
      : "Payment complete.",
    type: risk === "elevated" ? "manual_review" : "authorized",
  };
}

function cardDetails(
  { intent, method, authentication, outcome }: ChargeInput,
  card: CardBehaviour,
): Stripe.Charge.PaymentMethodDetails {
  const typed = method.card?.checks?.cvc_check !== null;
  const address = method.billing_details.address;
  const postal = address === null || address.postal_code === null
    ? null
    : card.postalCodeFails === true
    ? "fail"
    : "pass";
  return {
    card: {
      amount_authorized: outcome.kind === "declined" ? null : intent.amount,
      authorization_code: outcome.kind === "declined" ? null : "123456",
      brand: card.brand,
      checks: {
        address_line1_check: address === null || address.line1 === null ? null : "pass",
        address_postal_code_check: postal,
        cvc_check: !typed ? null : card.cvcFails === true ? "fail" : "pass",
      },
      country: card.country,
      electronic_commerce_indicator: authentication === "authenticated" ? "05" : null,
      exp_month: method.card?.exp_month ?? 12,
      exp_year: method.card?.exp_year ?? 2030,
      fingerprint: method.card?.fingerprint ?? null,
      funding: card.funding,
      installments: null,
      last4: card.last4,
      mandate: null,
      network: card.brand,
      network_token: { used: false },
      network_transaction_id: outcome.kind === "declined" ? null : newId("token").slice(0, 15),
      regulated_status: "unregulated",
      three_d_secure: authentication === "authenticated"
        ? {
          authentication_flow: "challenge",
          electronic_commerce_indicator: "05",
          exemption_indicator: null,
          result: "authenticated",
          result_reason: null,
          transaction_id: crypto.randomUUID(),
          version: "2.2.0",
        }
        : null,
      transaction_link_id: null,
      wallet: walletOf(method),
    },
    type: "card",
  };
}

function walletOf(method: Stripe.PaymentMethod): Stripe.Charge.PaymentMethodDetails.Card.Wallet | null {
  const type = method.card?.wallet?.type;
  if (type !== "apple_pay" && type !== "google_pay") return null;
  return { dynamic_last4: method.card?.last4 ?? null, type, [type]: {} };
}

function methodDetails(context: Context, input: ChargeInput): Stripe.Charge.PaymentMethodDetails {
  if (input.behaviour.type === "card") return cardDetails(input, input.behaviour.card);
  if (input.behaviour.type === "other") {
    return otherDetails(input.behaviour.method, input.method.billing_details);
  }
  const { amount, currency, setup_future_usage: reuse } = input.intent;
  const mandate = createMandate(context, input.method, reuse === null ? { amount, currency } : null).id;
  if (input.behaviour.bank.method === "sepa_debit") {
    const { sepa_debit } = input.method;
    return {
      sepa_debit: {
        bank_code: sepa_debit?.bank_code ?? null,
        branch_code: sepa_debit?.branch_code ?? null,
        country: sepa_debit?.country ?? null,
        fingerprint: sepa_debit?.fingerprint ?? null,
        last4: sepa_debit?.last4 ?? null,
        mandate,
      },
      type: "sepa_debit",
    };
  }
  const { us_bank_account } = input.method;
  return {
    us_bank_account: {
      account_holder_type: "individual",
      account_type: "checking",
      bank_name: us_bank_account?.bank_name ?? null,
      fingerprint: us_bank_account?.fingerprint ?? null,
      last4: us_bank_account?.last4 ?? null,
      mandate,
      payment_reference: null,
      routing_number: us_bank_account?.routing_number ?? null,
    },
    type: "us_bank_account",
  };
}

/** Writes the charge of a payment attempt. Events are the caller's business. */
export function createCharge(context: Context, input: ChargeInput): Stripe.Charge {
  const { intent, method, outcome } = input;
  const captured = outcome.kind === "pending" || (outcome.kind === "succeeded" && outcome.captured);
  const decline = outcome.kind === "declined" ? outcome.decline : null;
  const id = newId(input.behaviour.type === "card" ? "charge" : "bank_charge");
  const charge: Stripe.Charge = {
    id,
    object: "charge",
    amount: intent.amount,
    amount_captured: outcome.kind === "succeeded" && captured ? intent.amount : 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: method.billing_details,
    calculated_statement_descriptor: "KCT MENSWEAR",
    captured: captured && decline === null,
    created: context.now,
    currency: intent.currency,
    customer: idOf(intent.customer),
    description: intent.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: decline?.code ?? null,
    failure_message: decline?.message ?? null,
    fraud_details: decline?.decline_code === "fraudulent" ? { stripe_report: "fraudulent" } : {},
    livemode: false,
    metadata: intent.metadata,
    on_behalf_of: null,
    outcome: outcomeOf(input),
    paid: outcome.kind === "succeeded",
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: methodDetails(context, input),
    ...(intent.presentment_details === undefined ? {} : { presentment_details: intent.presentment_details }),
    receipt_email: intent.receipt_email,
    receipt_number: null,
    receipt_url: outcome.kind === "succeeded" ? `${context.baseUrl}/receipts/${id}` : null,
    refunded: false,
    review: null,
    shipping: intent.shipping,
    source: null,
    source_transfer: null,
    statement_descriptor: intent.statement_descriptor,
    statement_descriptor_suffix: intent.statement_descriptor_suffix,
    status: decline === null ? (outcome.kind === "pending" ? "pending" : "succeeded") : "failed",
    transfer_data: null,
    transfer_group: intent.transfer_group,
  };
  if (outcome.kind === "succeeded" && captured) {
    charge.balance_transaction = recordChargeBalance(context, charge, input.behaviour).id;
  }
  context.store.put("charge", charge);
  return charge;
}

/** The balance transaction of money that came in, with Stripe's card fee of 2.9 % + 30. */
export function recordChargeBalance(
  context: Context,
  charge: Stripe.Charge,
  behaviour: Behaviour,
): Stripe.BalanceTransaction {
  const fee = Math.round(charge.amount_captured * FEE_SHARE) + FEE_FIXED;
  const atOnce = behaviour.type === "card" && behaviour.card.availableAtOnce === true;
  return recordBalance(context, {
    amount: charge.amount_captured,
    currency: charge.currency,
    fee,
    source: charge.id,
    type: behaviour.type === "card" ? "charge" : "payment",
    reportingCategory: "charge",
    availableOn: atOnce ? context.now : midnight(context.now + SETTLEMENT_DAYS * DAY_S),
  });
}
