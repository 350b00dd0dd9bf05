/** Whether the key may do what the functions do at Stripe, and no more. */
import Stripe from "stripe";
import {
  keyCreationUrl,
  type KeyPermission,
  keyPermissions,
} from "../../../supabase/functions/_shared/stripe/permissions.ts";
import { error, type Finding, ok, unseen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

/**
 * Stripe looks at the key before it looks at what is asked: what names an object that does not exist is refused for the
 * one reason or the other, and changes nothing.
 */
export const probes: Record<KeyPermission, (stripe: Stripe) => Promise<unknown>> = {
  rak_checkout_session_write: (stripe) => stripe.checkout.sessions.expire("cs_test_doctor"),
  rak_customer_write: (stripe) => stripe.customers.update("cus_doctor", {}),
  rak_payment_intent_read: (stripe) => stripe.paymentIntents.list({ limit: 1 }),
  rak_charge_write: (stripe) => stripe.refunds.create({ charge: "ch_doctor" }),
  rak_dispute_write: (stripe) => stripe.disputes.update("du_doctor", { submit: false }),
  rak_file_write: (stripe) =>
    stripe.files.create({ file: { data: "", name: "doctor" }, purpose: "dispute_evidence" }),
  rak_review_read: (stripe) => stripe.reviews.list({ limit: 1 }),
  rak_event_read: (stripe) => stripe.events.list({ limit: 1 }),
  rak_webhook_read: (stripe) => stripe.webhookEndpoints.list({ limit: 1 }),
};

/** What no function ever asks for, and who has the key could take money or data with. */
const surplus: Record<string, (stripe: Stripe) => Promise<unknown>> = {
  "read payouts": (stripe) => stripe.payouts.list({ limit: 1 }),
  "read the balance": (stripe) => stripe.balance.retrieve(),
  "write webhook endpoints": (stripe) => stripe.webhookEndpoints.update("we_doctor", {}),
  "write payments": (stripe) => stripe.paymentIntents.cancel("pi_doctor"),
};

/** Findings about the rights of STRIPE_SECRET_KEY. */
export async function checkPermissions(
  { env, stripe, kind }: Pick<Subject, "env" | "stripe" | "kind">,
): Promise<Finding[]> {
  const url = keyCreationUrl(env.livemode);
  if (env.stripeSecretKey.startsWith("sk_")) {
    return kind === "local" ? [] : [
      warning(
        "stripe_key_full",
        "STRIPE_SECRET_KEY may do everything at Stripe",
        `make a restricted key: ${url}`,
      ),
    ];
  }
  const missing = await refused(stripe, Object.values(probes));
  const allowed = await refused(stripe, Object.values(surplus));
  const untold = [...missing, ...allowed].filter((answer) => answer === null).length;
  const lacking = keyPermissions.filter((_, at) => missing[at] === true);
  const extra = Object.keys(surplus).filter((_, at) => allowed[at] === false);
  return [
    ...lacking.map(({ resource, right }) =>
      error(
        "stripe_key_lacks",
        `the restricted key lacks "${resource}: ${right}"`,
        `add it in Stripe's dashboard, or ${url}`,
      )
    ),
    ...extra.map((what) =>
      warning(
        "stripe_key_surplus",
        `the restricted key may also ${what}`,
        "take what the functions do not need",
      )
    ),
    ...(untold > 0
      ? [
        unseen(
          `of ${untold} rights it cannot be told whether the restricted key has them`,
          "see whether Stripe takes the key and answers, then run this again",
        ),
      ]
      : []),
    ...(lacking.length + extra.length + untold === 0
      ? [ok("the restricted key has the rights that the functions need")]
      : []),
  ];
}

/** For each call whether Stripe refuses it to this key; null: it cannot be told. */
async function refused(
  stripe: Stripe,
  calls: ((stripe: Stripe) => Promise<unknown>)[],
): Promise<(boolean | null)[]> {
  return await Promise.all(calls.map(async (call) => {
    try {
      await call(stripe);
      return false;
    } catch (failure) {
      if (failure instanceof Stripe.errors.StripePermissionError) return true;
      return failure instanceof Stripe.errors.StripeInvalidRequestError ? false : null;
    }
  }));
}
