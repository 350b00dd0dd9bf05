import { AUGUST_2023, CLI_FIXTURE_VERSION, isBefore } from "../core/api_version.ts";
import type { Context } from "../core/context.ts";

interface AutomaticMethods {
  allow_redirects?: "always" | "never";
  enabled: boolean;
}

/**
 * Since 2023-08-16 an intent takes the Dashboard's methods unless it names its own. Confirmation by hand does not go
 * with them. Some of the Stripe CLI's fixtures (`setup_intent.requires_action`, `transfer.created`) confirm with
 * neither methods nor a `return_url`: they are of accounts with an older version, so they are read as before.
 */
export function automaticMethods(
  { version }: Context,
  params: {
    allowed_payment_method_types?: string[];
    automatic_payment_methods?: AutomaticMethods;
    confirmation_method?: string;
    /** Of API versions before Endive alone. */
    payment_method_types?: string[];
  },
): AutomaticMethods | null {
  if (params.automatic_payment_methods !== undefined) return params.automatic_payment_methods;
  const named = params.allowed_payment_method_types ?? params.payment_method_types;
  const byDashboard = named === undefined && params.confirmation_method !== "manual" &&
    !isBefore(version, AUGUST_2023) && version !== CLI_FIXTURE_VERSION;
  return byDashboard ? { allow_redirects: "always", enabled: true } : null;
}
