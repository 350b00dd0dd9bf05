/**
 * What the functions answer, field by field. `docs/openapi.json` is generated from these schemas, and tests hold
 * real answers against them; at run time only their types are used.
 */
import { z } from "zod";

const currency = z.string().regex(/^[a-z]{3}$/).describe("ISO 4217, lower case.");
const minorUnits = z.int().min(0).describe("Minor units of the currency.");

const presentment = z.strictObject({ amount: minorUnits, currency }).nullable().describe(
  "The same money where the customer paid in a currency of their own (Adaptive Pricing); null: as it stands.",
);

export const checkoutAnswer = z.strictObject({
  order_id: z.uuid(),
  order_number: z.string(),
  session_id: z.string().regex(/^cs_\w+$/),
  url: z.url().nullable().describe(
    "Send the shopper there. When the order has been paid meanwhile, the page after paying. Null for a page of the " +
      "shop's own.",
  ),
  client_secret: z.string().nullable().describe(
    "For Stripe.js on the shop's own page (`ui_mode` `embedded_page` or `elements`), else null. Not to be kept or logged.",
  ),
  expires_at: z.int().describe("Epoch seconds until which the page can be paid."),
  currency,
  amount_subtotal: minorUnits.describe("Minor units, before shipping, tax and discounts."),
});

export const resumeAnswer = z.strictObject({
  url: z.url().describe(
    "Send the shopper there: a payment page, or the success page of an order that is paid.",
  ),
});

const pieces = z.strictObject({ sku: z.string(), name: z.string(), quantity: z.int().min(1) });

export const orderStatusAnswer = z.strictObject({
  order_number: z.string(),
  status: z.enum([
    "pending",
    "processing",
    "paid",
    "needs_review",
    "payment_failed",
    "expired",
    "cancelled",
    "partially_refunded",
    "refunded",
  ]),
  fulfillment_status: z.enum(["unfulfilled", "on_hold", "fulfilled", "cancelled"]),
  currency,
  amount_subtotal: minorUnits.describe("Minor units: the items, before discount, shipping and tax."),
  amount_discount: minorUnits,
  amount_shipping: minorUnits,
  amount_tax: minorUnits.describe("Minor units; part of the prices where adding it would pass the total."),
  amount_total: minorUnits,
  amount_refunded: minorUnits.describe("Minor units of the total that the customer has back."),
  items: z.array(pieces.extend({ unit_amount: minorUnits })),
  paid_at: z.string().nullable().describe("ISO 8601, or null."),
  presentment,
  shipments: z.array(z.strictObject({
    parcel: z.int().min(1),
    carrier: z.string().nullable(),
    tracking_number: z.string().nullable(),
    tracking_url: z.string().nullable().describe("The carrier's page of the parcel, where it is known."),
    shipped_at: z.string().describe("ISO 8601."),
    items: z.array(pieces),
  })),
  returns: z.array(z.strictObject({ status: z.enum(["awaited", "received"]), items: z.array(pieces) })),
  refunds: z.array(z.strictObject({
    amount: minorUnits,
    status: z.enum(["on_its_way", "details_needed", "done", "failed"]).describe(
      "details_needed: Stripe has asked the customer by mail where to; failed: the customer has not got it.",
    ),
    created_at: z.string().describe("ISO 8601."),
    presentment,
  })),
  live_topic: z.string().describe("Public Realtime topic; a broadcast `changed` there means: ask again."),
});

export const webhookAnswer = z.strictObject({
  received: z.literal(true),
  event_id: z.string(),
  outcome: z.enum(["applied", "duplicate", "ignored", "queued"]),
});

export const mailWebhookAnswer = z.strictObject({
  received: z.literal(true),
  outcome: z.enum(["recorded", "unchanged", "unknown", "ignored"])
    .describe("unchanged: the same or more is known; unknown: no mail of this shop; ignored: nobody asks."),
});

export const unsubscribeAnswer = z.strictObject({ unsubscribed: z.literal(true) });

export const jobsAnswer = z.strictObject({
  claimed: z.int().min(0),
  succeeded: z.int().min(0),
  retried: z.int().min(0),
  discarded: z.int().min(0),
  dead: z.int().min(0),
  remaining: z.int().min(0),
});

const health = z.enum(["ok", "degraded", "down"]);
export const healthAnswer = z.strictObject({
  status: health,
  checks: z.record(
    z.string(),
    z.looseObject({ status: health }).describe("With the secret key, figures beside the status."),
  ),
});

export const errorAnswer = z.strictObject({
  error: z.strictObject({
    code: z.string().describe("One of the codes of this endpoint, for programs."),
    message: z.string().describe("For people."),
    details: z.unknown().optional(),
    request_id: z.string().describe("Also in x-request-id; names the request in the logs."),
  }),
});

export type CheckoutAnswer = z.infer<typeof checkoutAnswer>;

/** A schema in the dialect of OpenAPI 3.1: of what comes in, or of what goes out. */
export function jsonSchema(schema: z.core.$ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, target: "draft-2020-12" });
  return json;
}
