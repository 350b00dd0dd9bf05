/**
 * Which fields of evidence matter, by what the customer says and how they paid. docs/disputes.md shows the same as a
 * table. Source: Stripe's guide to reasons, physical goods (https://docs.stripe.com/disputes/categories).
 */
import type Stripe from "stripe";

/** A field of evidence beside the card networks' programmes and the appeal. */
export type EvidenceField = keyof Omit<Stripe.DisputeUpdateParams.Evidence, "appeal" | "enhanced_evidence">;

/** Who bought what, in every answer. */
const always = [
  "customer_name",
  "customer_email_address",
  "billing_address",
  "product_description",
  "receipt",
  "uncategorized_text",
] as const satisfies EvidenceField[];

const delivery = [
  "shipping_address",
  "shipping_carrier",
  "shipping_date",
  "shipping_tracking_number",
  "shipping_documentation",
] as const satisfies EvidenceField[];

const refunds = [
  "refund_policy",
  "refund_policy_disclosure",
  "refund_refusal_explanation",
] as const satisfies EvidenceField[];

/** Beside what is always sent. A reason that is not named here is answered as `general`. */
export const fieldsByReason: Readonly<Record<string, readonly EvidenceField[]>> = {
  fraudulent: ["customer_purchase_ip", "customer_communication", ...delivery],
  unrecognized: ["customer_purchase_ip", "customer_communication", ...delivery],
  product_not_received: ["customer_purchase_ip", "customer_communication", ...delivery],
  product_unacceptable: ["customer_communication", ...delivery, ...refunds],
  credit_not_processed: ["customer_communication", ...refunds],
  duplicate: [
    "customer_communication",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    ...delivery,
  ],
  subscription_canceled: [
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
  ],
  general: ["customer_purchase_ip", "customer_communication", ...delivery, ...refunds],
};

/** Wallets and Klarna decide by whether the goods were delivered, whatever the reason. */
export const fieldsByMethod: Readonly<Record<string, readonly EvidenceField[]>> = {
  amazon_pay: delivery,
  klarna: delivery,
  paypal: delivery,
};

/** What decides which evidence matters. */
export type Disputed = Pick<Stripe.Dispute, "reason" | "payment_method_details">;

/** The fields to fill in for a dispute, as far as they are known. */
export function fieldsFor({ reason, payment_method_details }: Disputed): ReadonlySet<EvidenceField> {
  const byReason = Object.hasOwn(fieldsByReason, reason) ? fieldsByReason[reason] : fieldsByReason["general"];
  return new Set([
    ...always,
    ...byReason ?? [],
    ...fieldsByMethod[payment_method_details?.type ?? "card"] ?? [],
  ]);
}
