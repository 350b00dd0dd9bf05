import type Stripe from "stripe";
import type { FullShipping } from "../core/address_fields.ts";
import { MAX_METADATA_KEYS, type MetadataChange, tooManyKeys } from "../core/fields.ts";

/** A line as the session keeps it: what was asked for; amounts are computed from it. */
export interface SessionLine {
  id: string;
  price: Stripe.Price;
  quantity: number;
  name: string;
  description: string | null;
  image: string | null;
  metadata: Record<string, string>;
  taxInclusive: boolean;
  /** In the session's currency, where that is not the price's own. */
  unitAmount?: number;
  /** How many of it the shopper may make of it on the page. */
  adjustable?: { minimum: number; maximum: number };
}

/** What one of a line costs, in the session's currency. */
export function unitAmountOf({ unitAmount, price }: SessionLine): number {
  return unitAmount ?? price.unit_amount ?? 0;
}

/** What a session remembers beside the object that the API shows. */
export interface SessionInternals {
  lines: SessionLine[];
  paymentIntentData: {
    capture_method: Stripe.PaymentIntent.CaptureMethod;
    description: string | null;
    metadata: Record<string, string>;
    receipt_email: string | null;
    setup_future_usage: Stripe.PaymentIntent.SetupFutureUsage | null;
    shipping: FullShipping | null;
    statement_descriptor: string | null;
    statement_descriptor_suffix: string | null;
    transfer_group: string | null;
  };
  requestThreeDSecure: "any" | "automatic" | "challenge";
  excludedMethods: string[];
  allowedMethods: string[] | null;
  /** The shipping rate the shopper chose; the first option until then. */
  shippingRate: string | null;
  /** Where the parcel goes, known once the shopper typed it; tax needs it. */
  taxAddress: Stripe.Address | null;
  recoveryToken: string | null;
  /** Which of the customer's details the page may overwrite. */
  customerUpdate: { address: boolean; name: boolean; shipping: boolean };
  /** The page has a box "Save my payment details", and whether it was ticked. */
  offersSaving: boolean;
  savesMethod: boolean;
}

/** Applies a change to metadata: null for a key removes it, null removes all. */
export function changedMetadata(
  current: Record<string, string>,
  change: MetadataChange | undefined,
): Record<string, string> {
  if (change === null) return {};
  const next = { ...current };
  for (const [key, value] of Object.entries(change ?? {})) {
    if (value === null) delete next[key];
    else next[key] = value;
  }
  if (Object.keys(next).length > MAX_METADATA_KEYS) throw tooManyKeys("metadata");
  return next;
}
