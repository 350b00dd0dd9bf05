import type Stripe from "stripe";
import type { Context } from "../core/context.ts";
import { newId } from "../core/ids.ts";

/** What a customer allows: one payment of this amount, or null for any that is to come. */
export type MandateScope = { amount: number; currency: string } | null;

/** The customer's leave to debit their bank account. */
export function createMandate(
  context: Context,
  method: Stripe.PaymentMethod,
  scope: MandateScope,
): Stripe.Mandate {
  const id = newId("mandate");
  const reference = newId("token").slice(0, 16).toUpperCase();
  const mandate: Stripe.Mandate = {
    id,
    object: "mandate",
    customer_acceptance: {
      accepted_at: context.now,
      online: { ip_address: "127.0.0.1", user_agent: null },
      type: "online",
    },
    livemode: false,
    ...(scope === null ? { multi_use: {} } : { single_use: scope }),
    payment_method: method.id,
    payment_method_details: method.type === "sepa_debit"
      ? { sepa_debit: { reference, url: `${context.baseUrl}/mandates/${id}` }, type: "sepa_debit" }
      : { type: "us_bank_account", us_bank_account: {} },
    status: "active",
    type: scope === null ? "multi_use" : "single_use",
  };
  context.store.put("mandate", mandate);
  return mandate;
}
