import type Stripe from "stripe";
import { invalidRequest } from "../core/errors.ts";

/** What a cardholder can say; `/_control/dispute` takes each. */
export const DISPUTE_REASONS = [
  "credit_not_processed",
  "duplicate",
  "fraudulent",
  "general",
  "product_not_received",
  "product_unacceptable",
  "subscription_canceled",
  "unrecognized",
] as const;

export type DisputeReason = (typeof DISPUTE_REASONS)[number];

/** Visa's codes of them. */
const VISA_CODES: Record<string, string> = {
  credit_not_processed: "13.6",
  duplicate: "12.6.1",
  fraudulent: "10.4",
  product_not_received: "13.1",
  product_unacceptable: "13.3",
  subscription_canceled: "13.2",
};

/** PayPal's. */
const PAYPAL_CODES: Record<string, string> = {
  credit_not_processed: "CREDIT_NOT_PROCESSED",
  duplicate: "DUPLICATE_TRANSACTION",
  fraudulent: "UNAUTHORISED",
  product_not_received: "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
  product_unacceptable: "MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED",
};

/** How the disputed payment was made, where Stripe says so: of cards, Klarna and PayPal. */
export function methodDetails(
  charge: Stripe.Charge,
  reason: string,
  caseType: Stripe.Dispute.PaymentMethodDetails.Card.CaseType,
): Pick<Stripe.Dispute, "payment_method_details"> {
  const type = charge.payment_method_details?.type ?? "card";
  if (type === "klarna") return { payment_method_details: { klarna: { reason_code: null }, type } };
  if (type === "paypal") {
    const paypal = { case_id: `PP-R-${charge.id.slice(-6)}`, reason_code: PAYPAL_CODES[reason] ?? null };
    return { payment_method_details: { paypal, type } };
  }
  if (type !== "card") return {};
  const brand = charge.payment_method_details?.card?.brand ?? "visa";
  const network_reason_code = VISA_CODES[reason] ?? null;
  return {
    payment_method_details: {
      card: { brand, case_type: caseType, network: brand, network_reason_code },
      type,
    },
  };
}

/** @throws ApiError 400 for an inquiry of Klarna's: https://docs.stripe.com/payments/klarna/disputes */
export function refuseKlarnaInquiry(dispute: Stripe.Dispute): void {
  if (dispute.payment_method_details?.type === "klarna" && dispute.status === "warning_needs_response") {
    throw invalidRequest(
      "Klarna takes no evidence while a dispute is an inquiry: agree with the customer, or refund them.",
      "evidence",
    );
  }
}
