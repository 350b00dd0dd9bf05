/** The Stripe session for an order: everything in it comes from the database and the environment. */
import type Stripe from "stripe";
import type { Env } from "../_shared/env.ts";
import type { Checkout, CheckoutItem } from "../_shared/rpc.ts";

export interface ReturnUrls {
  success: string;
  cancel: string;
}

type Params = Stripe.Checkout.SessionCreateParams;
type SettingsEnv = Pick<Env, "shippingCountries" | "checkout">;

/** Stripe's page languages (https://docs.stripe.com/js/appendix/supported_locales). */
const locales = [
  ..."bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hi-IN hr hu id it ja ko lt lv ms mt nb nl pl"
    .split(" "),
  ..."pt pt-BR ro ru sk sl sv th tr vi zh zh-HK zh-TW".split(" "),
];

/** Parameters of the session; the same attempt always gives the same parameters. */
export function sessionParams(
  checkout: Checkout,
  urls: ReturnUrls,
  locale: string | null,
  env: SettingsEnv,
): Params {
  const metadata = {
    order_id: checkout.order_id,
    attempt: String(checkout.attempt),
    cart_hash: checkout.cart_hash,
  };
  const { automaticTax, promotionCodes, termsConsent, threeDSecure, statementDescriptorSuffix } =
    env.checkout;
  return {
    mode: "payment",
    line_items: checkout.items.map((item) => lineItem(item, checkout.currency)),
    client_reference_id: checkout.order_id,
    metadata,
    payment_intent_data: {
      metadata,
      ...(statementDescriptorSuffix === null
        ? {}
        : { statement_descriptor_suffix: statementDescriptorSuffix }),
    },
    ...customer(checkout, automaticTax),
    shipping_address_collection: {
      allowed_countries: env
        .shippingCountries as Stripe.Checkout.SessionCreateParams.ShippingAddressCollection.AllowedCountry[],
    },
    billing_address_collection: "required",
    phone_number_collection: { enabled: true },
    expires_at: checkout.session_expires_at,
    after_expiration: { recovery: { enabled: true, allow_promotion_codes: promotionCodes } },
    locale: stripeLocale(locale),
    success_url: urls.success,
    cancel_url: urls.cancel,
    ...(automaticTax ? { automatic_tax: { enabled: true } } : {}),
    ...(promotionCodes ? { allow_promotion_codes: true } : {}),
    ...(termsConsent ? { consent_collection: { terms_of_service: "required" } } : {}),
    ...(threeDSecure === "automatic"
      ? {}
      : { payment_method_options: { card: { request_three_d_secure: threeDSecure } } }),
  };
}

/**
 * Stripe's idempotency key: one per order, attempt and content. With the parameters in it, a changed setting
 * makes a new session instead of an error about other parameters.
 */
export async function sessionIdempotencyKey(checkout: Checkout, params: Params): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(params));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hash = [...digest.slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `checkout_${checkout.order_id}_${checkout.attempt}_${hash}`;
}

/** The page language nearest to a language tag; `auto` lets Stripe look at the browser. */
export function stripeLocale(tag: string | null): string {
  const wanted = (tag ?? "auto").toLowerCase();
  const exact = locales.find((locale) => locale.toLowerCase() === wanted);
  return exact ?? locales.find((locale) => locale === wanted.split("-")[0]) ?? "auto";
}

function lineItem(item: CheckoutItem, currency: string): Stripe.Checkout.SessionCreateParams.LineItem {
  return {
    quantity: item.quantity,
    price_data: {
      currency,
      unit_amount: item.unit_amount,
      product_data: {
        name: item.name,
        metadata: { sku: item.sku },
        ...(item.description === null || item.description.trim() === ""
          ? {}
          : { description: item.description }),
        // Stripe fetches images itself, so a path of our own site means nothing to it.
        ...(item.image_url !== null && isHttps(item.image_url) ? { images: [item.image_url] } : {}),
      },
    },
  };
}

function customer(checkout: Checkout, automaticTax: boolean): Partial<Params> {
  if (checkout.stripe_customer_id !== null) {
    return {
      customer: checkout.stripe_customer_id,
      // Tax follows the address, so Stripe wants to keep the one entered on its page.
      ...(automaticTax ? { customer_update: { address: "auto", name: "auto", shipping: "auto" } } : {}),
    };
  }
  return {
    customer_creation: "always",
    ...(checkout.email === null ? {} : { customer_email: checkout.email }),
  };
}

function isHttps(value: string): boolean {
  return URL.canParse(value) && new URL(value).protocol === "https:";
}
