/** Turns what the shop knows of an order into the fields of Stripe's dispute evidence. */
import type Stripe from "stripe";
import { formatMoney } from "../stripe/money.ts";
import { beginningOf, oneLine } from "../text/outside_text.ts";
import { type Disputed, type EvidenceField, fieldsFor } from "./dispute_fields.ts";
import type { DisputedOrder, EarlierOrder, Parcel, SentMail } from "../database/disputes.ts";
import type { Address } from "../stripe_events/facts.ts";

/** Stripe's limit for one text field of evidence. */
export const textMax = 20_000;
/** Visa takes earlier payments that are this many days older than the disputed one. */
const visaDays = { min: 120, max: 365 };
const visaOrders = 2;

/**
 * The evidence for an order, but for its files: what does not matter for this dispute is left out, and what is not known
 * is never sent empty. `note` is what staff add in their own words; `acknowledgesFee`: they agree to pay for a
 * compliance case.
 */
export function evidenceParams(
  order: DisputedOrder,
  note: string | null,
  dispute: Disputed & Pick<Stripe.Dispute, "enhanced_eligibility_types"> & {
    evidence?: Partial<Stripe.Dispute.Evidence>;
  },
  acknowledgesFee = false,
): Stripe.DisputeUpdateParams.Evidence {
  const enhanced = enhancedEvidence(order, dispute, acknowledgesFee);
  const fields = fieldsFor(dispute);
  const texts = {
    ...known("customer_name", given(order.customer_name) ?? given(order.shipping_name)),
    ...known("customer_email_address", order.email),
    ...known("customer_purchase_ip", order.purchase_ip),
    ...known("billing_address", addressText(order.billing_address)),
    ...known("shipping_address", addressText(order.shipping_address, order.shipping_name)),
    ...known("shipping_carrier", all(order.shipments.map(({ carrier }) => carrier))),
    ...known("shipping_tracking_number", all(order.shipments.map(({ tracking_number }) => tracking_number))),
    ...known("shipping_date", order.shipments[0]?.shipped_at.slice(0, 10) ?? null),
    ...known("product_description", description(order.items)),
    ...known("refund_policy_disclosure", termsText(order.terms)),
    ...known("refund_refusal_explanation", refusalText(order)),
    ...known("cancellation_policy_disclosure", termsText(order.terms)),
    ...known("cancellation_rebuttal", "This was one purchase of goods. There was no subscription."),
    ...known("duplicate_charge_id", order.twin?.charge_id ?? null),
    ...known("duplicate_charge_explanation", twinText(order)),
    ...known("uncategorized_text", narrative(order, note)),
  };
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([name]) => fields.has(name as EvidenceField))),
    ...(Object.keys(enhanced).length === 0 ? {} : { enhanced_evidence: enhanced }),
  };
}

/**
 * An appeal takes nothing but its own field, and says why the decision was wrong
 * (https://docs.stripe.com/changelog/endive/2026-10-28/evidence-submission-appeal-dispute-decisions).
 */
export function appealParams(order: DisputedOrder, note: string | null): Stripe.DisputeUpdateParams.Evidence {
  return { appeal: { card: { reason_for_filing: beginningOf(narrative(order, note), textMax) } } };
}

/** What the programmes of the card networks take. What a person has filled in there is left out. */
function enhancedEvidence(
  order: DisputedOrder,
  { enhanced_eligibility_types: types, evidence }: Parameters<typeof evidenceParams>[2],
  acknowledgesFee: boolean,
): Stripe.DisputeUpdateParams.Evidence.EnhancedEvidence {
  const there = evidence?.enhanced_evidence?.visa_compelling_evidence_3?.prior_undisputed_transactions ?? [];
  const visa = types.includes("visa_compelling_evidence_3") && there.length === 0
    ? visaEvidence(order)
    : null;
  const fee = { fee_acknowledged: true };
  return {
    ...(visa === null ? {} : { visa_compelling_evidence_3: visa }),
    ...(acknowledgesFee && types.includes("visa_compliance") ? { visa_compliance: fee } : {}),
    ...(acknowledgesFee && types.includes("mastercard_compliance") ? { mastercard_compliance: fee } : {}),
  };
}

type TextField = keyof {
  [
    Field in keyof Stripe.DisputeUpdateParams.Evidence as Stripe.DisputeUpdateParams.Evidence[Field] extends
      string | undefined ? Field : never
  ]: true;
};

function known(field: TextField, text: string | null): Stripe.DisputeUpdateParams.Evidence {
  return text === null || text === "" ? {} : { [field]: beginningOf(text, textMax) };
}

function description(items: DisputedOrder["items"]): string {
  return items.map((item) => `${item.quantity} × ${item.name} (${item.sku})`).join(", ");
}

/** An address as lines; null when there is none. */
export function addressText(address: Address | null, name: string | null = null): string | null {
  if (address === null) return null;
  const { line1, line2, postal_code, city, state, country } = address;
  const place = [postal_code, city, state].filter(Boolean).join(" ");
  return [name, line1, line2, place, country].map((line) => oneLine(line ?? "")).filter(Boolean).join("\n");
}

/** The story of the order in plain sentences, for the person at the bank who reads it. */
function narrative(order: DisputedOrder, note: string | null): string {
  const lines = [
    note,
    `Order ${order.number} was placed on ${day(order.created_at)} and paid on ${day(order.paid_at)}: ` +
    `${formatMoney(order.amount_total, order.currency)}${chargedAs(order)}.`,
    order.payment?.three_d_secure_result === "authenticated"
      ? "The cardholder authenticated the payment with 3-D Secure."
      : null,
    ...order.shipments.map((parcel, index) => shipped(parcel, index, order.shipments.length)),
    order.amount_refunded > 0
      ? `${formatMoney(order.amount_refunded, order.currency)} have been refunded.`
      : null,
    order.user_agent === null ? null : `Browser at checkout: ${order.user_agent}`,
    ...list("Mails sent to the customer:", order.mails.map(mailText)),
    ...list("Earlier orders of this customer, none of them disputed:", order.earlier_orders.map(earlierText)),
  ];
  return lines.filter((line) => line !== null && line !== "").join("\n");
}

/** A bank knows the amount that it has charged, which is not the order's where the buyer paid in another currency. */
function chargedAs({ presentment }: DisputedOrder): string {
  if (presentment === null) return "";
  return `, charged to the cardholder as ${formatMoney(presentment.amount, presentment.currency)}`;
}

function shipped({ carrier, tracking_number, shipped_at }: Parcel, index: number, count: number): string {
  const by = given(carrier);
  const number = given(tracking_number);
  return `${count === 1 ? "It" : `Parcel ${index + 1} of ${count}`} was shipped on ${day(shipped_at)}` +
    `${by === null ? "" : ` with ${by}`}${number === null ? "" : `, tracking number ${number}`}.`;
}

/** Stripe wants several carriers or tracking numbers separated by commas. Null: there are none. */
function all(texts: (string | null)[]): string | null {
  const distinct = new Set(texts.map(given).filter((text) => text !== null));
  return distinct.size === 0 ? null : [...distinct].join(", ");
}

/** What somebody typed, on one line; null when they typed nothing to be seen. */
function given(text: string | null): string | null {
  const line = oneLine(text ?? "");
  return line === "" ? null : line;
}

/** That the shop's terms, which have its policies, were shown and accepted before the purchase. */
function termsText(terms: DisputedOrder["terms"]): string | null {
  if (terms === null) return null;
  const version = terms.version === null ? "" : `, version ${oneLine(terms.version)}`;
  return `The shop's terms${
    version === "" ? "" : `${version},`
  } were shown on the payment page, and the customer accepted them there on ` +
    `${day(terms.accepted_at)}, before paying.`;
}

/** What the shop's records say of money that was given back; null where they do not speak against a refund. */
function refusalText(
  { money_back: { refunds, returns }, amount_total, currency }: DisputedOrder,
): string | null {
  const back = refunds.reduce((sum, { amount }) => sum + amount, 0);
  const given = refunds.map(({ amount, succeeded_at }) =>
    `${formatMoney(amount, currency)} were refunded on ${day(succeeded_at)}.`
  );
  if (back >= amount_total) return [...given, "That is the whole amount of the order."].join(" ");
  // Goods that are back in the house may be owed for: that is for staff to say.
  if (returns.some(({ received_at }) => received_at !== null)) return null;
  const asked = returns.map(({ requested_at }) =>
    `A return was agreed on ${day(requested_at)}; the goods have not come back.`
  );
  const rest = returns.length > 0 ? asked : ["The shop has no record of a return of these goods."];
  return [...given, ...rest].join(" ");
}

/** That the other payment was for another order. */
function twinText({ number, paid_at, twin, items }: DisputedOrder): string | null {
  if (twin === null) return null;
  const parcels = twin.parcels === null || twin.parcels === "" ? "" : `, shipped as ${oneLine(twin.parcels)}`;
  return `The two payments are for two orders. ${number}, paid on ${day(paid_at)}: ${description(items)}. ` +
    `${twin.number}, paid on ${day(twin.paid_at)}: ${twin.description ?? "other goods"}${parcels}.`;
}

function list(heading: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : [heading, ...lines.map((line) => `- ${line}`)];
}

function mailText(mail: SentMail): string {
  const to = mail.recipient === null ? "" : ` to ${mail.recipient}`;
  return `${mail.template.replaceAll("_", " ")}${to} on ${day(mail.sent_at)}`;
}

function earlierText(order: EarlierOrder): string {
  const shared = [
    order.same_account ? "same account" : null,
    order.same_ip ? "same network address" : null,
    order.same_address ? "same shipping address" : null,
  ].filter((text) => text !== null);
  return `${order.number}, paid on ${day(order.paid_at)} (${order.charge_id})${
    shared.length === 0 ? "" : `: ${shared.join(", ")}`
  }`;
}

function day(time: string | null): string {
  return time?.slice(0, 10) ?? "an unknown day";
}

/**
 * Visa Compelling Evidence 3.0: two earlier payments, 120 to 365 days old, that share the network address and one
 * more of account and shipping address with the disputed one. Null when there are not two.
 */
function visaEvidence(
  order: DisputedOrder,
): Stripe.DisputeUpdateParams.Evidence.EnhancedEvidence.VisaCompellingEvidence3 | null {
  const prior = order.earlier_orders.filter((earlier) =>
    earlier.days_before >= visaDays.min && earlier.days_before <= visaDays.max &&
    earlier.same_ip && (earlier.same_account || earlier.same_address)
  ).slice(0, visaOrders);
  if (prior.length < visaOrders) return null;
  return {
    disputed_transaction: {
      ...visaBuyer(order),
      product_description: description(order.items),
      merchandise_or_services: "merchandise",
    },
    prior_undisputed_transactions: prior.map((earlier) => ({
      charge: earlier.charge_id,
      ...visaBuyer(earlier),
      ...(earlier.description === null ? {} : { product_description: earlier.description }),
    })),
  };
}

function visaBuyer(order: Pick<DisputedOrder, "user_id" | "email" | "purchase_ip" | "shipping_address">) {
  return {
    ...(order.user_id === null ? {} : { customer_account_id: order.user_id }),
    ...(order.email === null ? {} : { customer_email_address: order.email }),
    ...(order.purchase_ip === null ? {} : { customer_purchase_ip: order.purchase_ip }),
    ...(order.shipping_address === null ? {} : { shipping_address: addressParam(order.shipping_address) }),
  };
}

function addressParam(address: Address): Stripe.AddressParam {
  return Object.fromEntries(Object.entries(address).filter(([, value]) => value !== null));
}
