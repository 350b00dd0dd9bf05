import { publicJwks, type StackKeys } from "./keys.ts";

/** Where the parts of a stack answer. */
export interface PartUrls {
  api: string;
  web: string;
  stripe: string;
}

/** The contract's variables that are handed on when they are set; `CHECKOUT_*` are as well. */
const HANDED_ON = [
  "SUPABASE_URL",
  "SUPABASE_PUBLISHABLE_KEYS",
  "SUPABASE_SECRET_KEYS",
  "SUPABASE_JWKS",
  "STRIPE_SECRET_KEY",
  "STRIPE_WEBHOOK_SECRETS",
  "STRIPE_API_BASE",
  "STRIPE_WEBHOOK_IP_MODE",
  "STRIPE_WEBHOOK_EXTRA_IPS",
  "APP_ENV",
  "ALLOWED_ORIGINS",
  "SITE_URL",
  "SHIPPING_COUNTRIES",
  "VELOCITY_MODE",
  "UPSTASH_REDIS_REST_URL",
  "UPSTASH_REDIS_REST_TOKEN",
  "RESEND_API_KEY",
  "RESEND_API_BASE",
  "RESEND_WEBHOOK_SECRET",
  "EMAIL_FROM",
  "ALERT_WEBHOOK_URL",
  "ALERT_EMAIL",
  "LINK_SIGNING_SECRET",
  "ADMIN_REQUIRE_MFA",
];

/** Returns the variables of `given` that are meant for the functions. */
export function functionVariables(given: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).filter(([name]) => HANDED_ON.includes(name) || name.startsWith("CHECKOUT_")),
  );
}

/** Returns what the offline stack sets for the functions where the developer sets nothing. */
export function defaultFunctionEnv(keys: StackKeys, urls: PartUrls): Record<string, string> {
  const localhost = urls.web.replace("127.0.0.1", "localhost");
  return {
    SUPABASE_URL: urls.api,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: keys.publishable_key }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: keys.secret_key }),
    SUPABASE_JWKS: JSON.stringify(publicJwks(keys)),
    STRIPE_SECRET_KEY: keys.stripe_secret_key,
    STRIPE_WEBHOOK_SECRETS: keys.stripe_webhook_secret,
    STRIPE_API_BASE: urls.stripe,
    STRIPE_WEBHOOK_IP_MODE: "enforce",
    STRIPE_WEBHOOK_EXTRA_IPS: "127.0.0.1,::1",
    APP_ENV: "development",
    ALLOWED_ORIGINS: `${urls.web},${localhost}`,
    SITE_URL: `${urls.web}/store`,
    SHIPPING_COUNTRIES: "US,CA,GB",
    LINK_SIGNING_SECRET: keys.link_signing_secret,
    RESEND_API_KEY: keys.resend_api_key,
    RESEND_API_BASE: `${urls.web}/resend`,
    EMAIL_FROM: "KCT Menswear <orders@example.com>",
    ALERT_EMAIL: "alerts@example.com",
  };
}
