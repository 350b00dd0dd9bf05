import { mailWebhookSecret } from "./mail_webhook.ts";
import { linkSigning, metricsToken } from "./own_secrets.ts";
import { providerKeyRotations } from "./provider_keys.ts";
import type { Rotation } from "./rotation.ts";
import { stripeWebhook } from "./stripe_webhook.ts";
import { supabaseSecretKey } from "./supabase_keys.ts";

/** Every secret that can be rotated. */
export const rotations: readonly Rotation[] = [
  supabaseSecretKey,
  stripeWebhook,
  mailWebhookSecret,
  linkSigning,
  metricsToken,
  ...providerKeyRotations,
];
