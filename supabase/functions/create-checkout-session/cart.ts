/** What a storefront may ask for, checked field by field; nothing here is trusted for prices. */
import * as z from "zod/mini";
import { emailAddress, normalizeEmail } from "../_shared/text/email_address.ts";
import type { PaymentPage } from "../_shared/checkout/session_params.ts";
import { AppError } from "../_shared/errors.ts";
import { validBody } from "../_shared/http/valid_body.ts";
import { maskCardNumbers } from "../_shared/text/card_numbers.ts";
import { sha256 } from "../_shared/text/sha256.ts";

export interface Cart {
  /** One entry per SKU, quantities summed. */
  items: { sku: string; quantity: number }[];
  customerEmail: string | null;
  successUrl: string | null;
  cancelUrl: string | null;
  /** How the shopper pays; decides which of the addresses counts. */
  uiMode: PaymentPage["ui_mode"];
  returnUrl: string | null;
  locale: string | null;
  /** The session of this shopper's last checkout, to be ended if it is still open. */
  previousSessionId: string | null;
  turnstileToken: string | null;
  /** Whether reminders may follow; null: not asked. */
  acceptsMarketing: boolean | null;
  /** What the shopper wants to pay in; null: not said. */
  currency: string | null;
  /** Where the parcel goes; null: not said. */
  country: string | null;
}

// deno-lint-ignore no-control-regex -- control characters are what must not pass, and neither what hides or turns text
const printable = /^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$/;

const withoutControls = z.regex(printable, { error: "must not contain control characters" });
const webUrl = z.string().check(z.maxLength(2_000), withoutControls);

/** The body of a checkout request; `docs/openapi.json` is generated from it. */
export const cartSchema = z.strictObject({
  items: z.array(z.strictObject({
    sku: z.string().check(z.minLength(1), z.maxLength(100), withoutControls),
    quantity: z.int().check(z.minimum(1), z.maximum(99)),
  })).check(z.minLength(1), z.maxLength(50)),
  customer_email: z.optional(emailAddress),
  success_url: z.optional(webUrl),
  cancel_url: z.optional(webUrl),
  ui_mode: z.optional(z.enum(["hosted_page", "embedded_page", "elements"])),
  return_url: z.optional(webUrl),
  // Written out for both cases: the flag of a pattern does not reach docs/openapi.json.
  locale: z.optional(
    z.string().check(
      z.maxLength(35),
      z.regex(/^(auto|[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*)$/, { error: "must be a language tag" }),
    ),
  ),
  previous_session_id: z.optional(
    z.string().check(z.maxLength(255), z.regex(/^cs_\w+$/, { error: "must be a session id" })),
  ),
  turnstile_token: z.optional(z.string().check(z.minLength(1), z.maxLength(2_048), z.regex(printable))),
  accepts_marketing: z.optional(z.boolean()),
  currency: z.optional(z.string().check(z.regex(/^[A-Za-z]{3}$/, { error: "must be a currency's code" }))),
  country: z.optional(z.string().check(z.regex(/^[A-Za-z]{2}$/, { error: "must be a country's code" }))),
}).check(z.superRefine((body, context) => {
  // As Stripe has it: a page of its own leads back to two places, one in the shop's page to one.
  const hosted = (body.ui_mode ?? "hosted_page") === "hosted_page";
  for (const path of hosted ? ["return_url"] as const : ["success_url", "cancel_url"] as const) {
    if (body[path] === undefined) continue;
    const message = `is not for ui_mode ${body.ui_mode ?? "hosted_page"}`;
    context.addIssue({ code: "custom", path: [path], message });
  }
}));

/**
 * Checks the body of a checkout request.
 * @throws AppError `invalid_request` with `details: [{ path, message }]`.
 */
export function parseCart(body: unknown): Cart {
  const {
    items,
    customer_email,
    success_url,
    cancel_url,
    ui_mode,
    return_url,
    locale,
    previous_session_id,
    turnstile_token,
    accepts_marketing,
    currency,
    country,
  } = validBody(cartSchema, normalized(body));
  return {
    items: sumBySku(items),
    customerEmail: customer_email ?? null,
    successUrl: success_url ?? null,
    cancelUrl: cancel_url ?? null,
    uiMode: ui_mode ?? "hosted_page",
    returnUrl: return_url ?? null,
    locale: locale ?? null,
    previousSessionId: previous_session_id ?? null,
    turnstileToken: turnstile_token ?? null,
    acceptsMarketing: accepts_marketing ?? null,
    currency: currency?.toLowerCase() ?? null,
    country: country?.toUpperCase() ?? null,
  };
}

/** Fields that a storefront may leave empty, as the inputs of a form do, where it has nothing to say. */
const optionalFields = Object.entries(cartSchema.shape).flatMap(([name, field]) =>
  field instanceof z.ZodMiniOptional ? [name] : []
);

/** The body in its one form: no space around texts, and what is empty or null is not there. */
function normalized(body: unknown): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(
    Object.entries(body).flatMap(([name, value]) => {
      if (!optionalFields.includes(name)) return [[name, value]];
      const trimmed: unknown = typeof value === "string" ? value.trim() : value;
      if (trimmed === null || trimmed === "") return [];
      const email = name === "customer_email" && typeof trimmed === "string";
      return [[name, email ? normalizeEmail(trimmed) : trimmed]];
    }),
  );
}

/**
 * The `Idempotency-Key` header, or null.
 * @param ofGuest whether the key is all that tells this shopper from others: a single character cannot.
 * @throws AppError `invalid_request` when it is empty, too long or not printable ASCII.
 */
export function parseIdempotencyKey(headers: Headers, ofGuest: boolean): string | null {
  const key = headers.get("idempotency-key");
  if (key === null) return null;
  const shortest = ofGuest ? 2 : 1;
  if (/^[\x20-\x7e]{1,255}$/.test(key) && key.length >= shortest) return key;
  throw new AppError("invalid_request", {
    details: [{
      path: "Idempotency-Key",
      message: `must be ${shortest} to 255 printable characters${ofGuest ? "; make it random" : ""}`,
    }],
  });
}

/**
 * The key as the database may be told. One that holds what looks like a card number, as random digits do at times, would
 * be masked on the way and be the same as others that end alike: whose key it is would be a matter of four digits. It
 * goes as its length and digest, of which `begin_checkout()` stores a keyed one.
 */
export async function toldKey(key: string | null): Promise<string | null> {
  if (key === null || maskCardNumbers(key) === key) return key;
  return `digest:${key.length}:${await sha256(key)}`;
}

function sumBySku(items: Cart["items"]): Cart["items"] {
  const sums = new Map<string, number>();
  for (const { sku, quantity } of items) sums.set(sku, (sums.get(sku) ?? 0) + quantity);
  return [...sums].map(([sku, quantity]) => ({ sku, quantity }));
}
