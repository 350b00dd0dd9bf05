/**
 * The Stripe session for an order: everything in it comes from the database and the environment, and the same
 * attempt always gives the same parameters. Pure, so that a test can hold all combinations against Stripe's
 * published specification.
 */
import type Stripe from "stripe";
import type { Env } from "../env.ts";
import { bestLocale } from "../text/locale.ts";
import { beginningOf } from "../text/outside_text.ts";
import { sha256 } from "../text/sha256.ts";
import { webAddress } from "../text/web_address.ts";
import type { Checkout, CheckoutItem, ShippingRate } from "../database/checkout.ts";
import { AppError } from "../errors.ts";
import { soldLinesMetadata } from "../stripe/metadata_lines.ts";
import { type Delivery, deliveryOf } from "./delivery.ts";

/**
 * Where the shopper pays, as Stripe's parameters: on Stripe's page, or on the shop's own, which holds Stripe's page or
 * elements in frames of Stripe's. The URL after paying carries Stripe's placeholder for the session id.
 */
export type PaymentPage =
  | { ui_mode: "hosted_page"; success_url: string; cancel_url: string }
  | { ui_mode: "embedded_page" | "elements"; return_url: string };

/** What of the configuration shapes a session. */
export type SessionEnv = Pick<Env, "shippingCountries" | "checkout" | "siteUrl">;

type Params = Stripe.Checkout.SessionCreateParams;
type LineItem = NonNullable<Params["line_items"]>[number];
type ShippingOption = NonNullable<Params["shipping_options"]>[number];

/** Stripe shows five at most. */
const shippingRatesMax = 5;
/** Stripe's limit for a product's name; ours is shorter, but colour and size come on top. */
const nameLength = 250;

/** Stripe's page languages (https://docs.stripe.com/js/appendix/supported_locales). */
export const locales: readonly string[] = [
  ..."bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hi-IN hr hu id it ja ko lt lv ms mt nb nl pl"
    .split(" "),
  ..."pt pt-BR ro ru sk sl sv th tr vi zh zh-HK zh-TW".split(" "),
];

/**
 * Parameters of the session that pays for a checkout's current attempt.
 * @throws AppError `shipping_unavailable` when no delivery price holds for any country that the shop delivers to.
 */
export function sessionParams(checkout: Checkout, page: PaymentPage, env: SessionEnv): Params {
  const metadata = sessionMetadata(checkout);
  const delivery = deliveryOf(checkout, env.shippingCountries);
  if (delivery === null) {
    throw new AppError("shipping_unavailable", { details: { country: checkout.country } });
  }
  const { automaticTax, promotionCodes, termsConsent, taxIds } = env.checkout;
  return {
    mode: "payment",
    // Always said: left out, the switch of Stripe's dashboard would decide.
    adaptive_pricing: { enabled: env.checkout.adaptivePricing },
    line_items: checkout.items.map((item) => lineItem(item, checkout, env)),
    client_reference_id: checkout.order_id,
    metadata,
    payment_intent_data: paymentIntentData(checkout, metadata, env),
    ...customerParams(checkout, env),
    shipping_address_collection: {
      allowed_countries: delivery.countries,
    },
    ...shippingOptions(delivery, checkout, env),
    billing_address_collection: "required",
    phone_number_collection: { enabled: true },
    expires_at: checkout.session_expires_at,
    locale: stripeLocale(checkout.locale),
    ...page,
    ...(automaticTax ? { automatic_tax: { enabled: true } } : {}),
    ...(promotionCodes ? { allow_promotion_codes: true } : {}),
    ...(termsConsent ? { consent_collection: { terms_of_service: "required" } } : {}),
    ...(taxIds ? { tax_id_collection: { enabled: true } } : {}),
    ...methods(env),
    ...threeDSecure(checkout, env),
  };
}

/**
 * What session and payment carry of their order, enough to rebuild it from Stripe alone (`deno task rescue`): whose it
 * is, its number, and its lines. Frozen with the attempt, so that a repeat sends the same; nothing personal, as
 * metadata is seen by everybody at Stripe's dashboard and in exports. (https://docs.stripe.com/metadata)
 */
export function sessionMetadata(checkout: Checkout): Record<string, string> {
  return {
    order_id: checkout.order_id,
    order_number: checkout.order_number,
    attempt: String(checkout.attempt),
    cart_hash: checkout.cart_hash,
    shop_id: checkout.shop_id,
    ...(checkout.account_id === null ? {} : { account_id: checkout.account_id }),
    ...(checkout.terms_version === null ? {} : { terms_version: beginningOf(checkout.terms_version, 500) }),
    ...soldLinesMetadata(checkout.items),
  };
}

/**
 * Stripe's idempotency key: one per order, attempt and content. With the parameters in it, a changed setting
 * makes a new session instead of an error about other parameters.
 */
export async function sessionIdempotencyKey(
  checkout: Pick<Checkout, "order_id" | "attempt">,
  params: Params,
): Promise<string> {
  return `checkout_${checkout.order_id}_${checkout.attempt}_${await shortHash(JSON.stringify(params))}`;
}

/** The first 64 bits of a SHA-256 digest in hexadecimal. */
export async function shortHash(text: string): Promise<string> {
  return (await sha256(text)).slice(0, 16);
}

/** The page language nearest to a language tag; `auto` lets Stripe look at the browser. */
function stripeLocale(tag: string | null): string {
  return bestLocale(tag, locales) ?? "auto";
}

function lineItem(item: CheckoutItem, checkout: Checkout, env: SessionEnv): LineItem {
  // What Stripe would refuse is left out: a picture is no reason not to sell.
  const image = webAddress(item.image_url, env.siteUrl);
  return {
    quantity: item.quantity,
    price_data: {
      currency: checkout.currency,
      unit_amount: item.unit_amount,
      ...(env.checkout.automaticTax ? { tax_behavior: taxBehavior(checkout) } : {}),
      product_data: {
        // By characters: half of one cannot be sent.
        name: [...item.name].slice(0, nameLength).join(""),
        metadata: { sku: item.sku },
        ...(item.description === null || item.description.trim() === ""
          ? {}
          : { description: item.description }),
        ...(image === null ? {} : { images: [image] }),
        ...taxCode(item, env),
      },
    },
  };
}

function taxBehavior(checkout: Checkout): "inclusive" | "exclusive" {
  return checkout.prices_include_tax ? "inclusive" : "exclusive";
}

/** What goods or delivery are for taxes; said where tax is computed, and left to the account where nobody has said. */
function taxCode({ tax_code }: { tax_code: string | null }, env: SessionEnv): { tax_code?: string } {
  return env.checkout.automaticTax && tax_code !== null ? { tax_code } : {};
}

function paymentIntentData(
  checkout: Checkout,
  metadata: Record<string, string>,
  env: SessionEnv,
): NonNullable<Params["payment_intent_data"]> {
  const { receipts, statementDescriptorSuffix } = env.checkout;
  return {
    metadata,
    ...(receipts && checkout.email !== null ? { receipt_email: checkout.email } : {}),
    ...(statementDescriptorSuffix === null ? {} : { statement_descriptor_suffix: statementDescriptorSuffix }),
  };
}

function customerParams(checkout: Checkout, env: SessionEnv): Partial<Params> {
  if (checkout.stripe_customer_id === null) {
    return {
      customer_creation: "always",
      ...(checkout.email === null ? {} : { customer_email: checkout.email }),
    };
  }
  return {
    customer: checkout.stripe_customer_id,
    // What is typed on the page is kept for the next time; with automatic tax Stripe insists on it.
    customer_update: { address: "auto", name: "auto", shipping: "auto" },
    ...(env.checkout.savedCards ? { saved_payment_method_options: { payment_method_save: "enabled" } } : {}),
  };
}

function shippingOptions(delivery: Delivery, checkout: Checkout, env: SessionEnv): Partial<Params> {
  const rates = delivery.rates.slice(0, shippingRatesMax);
  if (rates.length === 0) return {};
  return { shipping_options: rates.map((rate) => shippingOption(rate, checkout, env)) };
}

function shippingOption(rate: ShippingRate, checkout: Checkout, env: SessionEnv): ShippingOption {
  const days = (value: number) => ({ unit: "business_day" as const, value });
  const { delivery_days_min: min, delivery_days_max: max } = rate;
  return {
    shipping_rate_data: {
      type: "fixed_amount",
      display_name: rate.name,
      fixed_amount: { amount: rate.amount, currency: checkout.currency },
      metadata: { shipping_rate_id: rate.id },
      ...(min === null && max === null ? {} : {
        delivery_estimate: {
          ...(min === null ? {} : { minimum: days(min) }),
          ...(max === null ? {} : { maximum: days(max) }),
        },
      }),
      ...(env.checkout.automaticTax ? { tax_behavior: taxBehavior(checkout) } : {}),
      ...taxCode(rate, env),
    },
  };
}

/**
 * Stripe chooses the methods by currency, country, amount and the shop's own account
 * (https://docs.stripe.com/payments/payment-methods/dynamic-payment-methods); a list only narrows that choice.
 */
function methods({ checkout: { paymentMethods: { allowed, excluded } } }: SessionEnv): Partial<Params> {
  return {
    ...(allowed.length === 0 ? {} : { allowed_payment_method_types: allowed }),
    ...(excluded.length === 0 ? {} : { excluded_payment_method_types: excluded }),
  };
}

/** The shop's setting, raised by risk: what a velocity rule asks for is never less than the setting. */
function threeDSecure(checkout: Checkout, env: SessionEnv): Partial<Params> {
  const asked = (["challenge", "any"] as const).find((level) =>
    level === checkout.three_d_secure || level === env.checkout.threeDSecure
  );
  return asked === undefined ? {} : { payment_method_options: { card: { request_three_d_secure: asked } } };
}
