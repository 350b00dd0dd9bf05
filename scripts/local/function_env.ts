import { environmentVariables } from "../../supabase/functions/_shared/env.ts";
import { publicJwks, type StackKeys } from "./keys.ts";
import { PROJECT_VARIABLES } from "../lib/real_project.ts";

/** Where the parts of a stack answer. */
export interface PartUrls {
  api: string;
  web: string;
  stripe: string;
}

/** Returns the variables of `given` that a stack hands on: those that `env.ts` reads, but for the project's own. */
export function functionVariables(given: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).filter(([name]) =>
      environmentVariables.includes(name) && !PROJECT_VARIABLES.includes(name)
    ),
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
    AUTH_ISSUER: `${urls.api}/auth/v1`,
    STRIPE_SECRET_KEY: keys.stripe_restricted_key,
    STRIPE_WEBHOOK_SECRETS: keys.stripe_webhook_secret,
    STRIPE_API_BASE: urls.stripe,
    STRIPE_WEBHOOK_IP_MODE: "enforce",
    STRIPE_WEBHOOK_EXTRA_IPS: "127.0.0.1,::1",
    APP_ENV: "development",
    ALLOWED_ORIGINS: `${urls.web},${localhost}`,
    SITE_URL: `${urls.web}/store`,
    SHIPPING_COUNTRIES: "US,CA,GB",
    LINK_SIGNING_SECRET: keys.link_signing_secret,
    MAIL_PER_SECOND: "100",
    RESEND_API_KEY: keys.resend_api_key,
    RESEND_API_BASE: `${urls.web}/resend`,
    RESEND_WEBHOOK_SECRETS: keys.resend_webhook_secret,
    EMAIL_FROM: "KCT Menswear <orders@example.com>",
    ALERT_EMAIL: "alerts@example.com",
  };
}
