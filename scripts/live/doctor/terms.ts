import type Stripe from "stripe";
import { type Finding, ok, unseen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const lookedAt = 20;

/**
 * Whether Stripe makes payment pages that ask for consent to the terms. It makes none while the account has no address
 * of its terms, which no API shows; a page that asks is the proof that it has one.
 */
export async function checkTerms({ env, stripe }: Pick<Subject, "env" | "stripe">): Promise<Finding[]> {
  if (!env.checkout.termsConsent) return [];
  try {
    const { data } = await stripe.checkout.sessions.list({ limit: lookedAt });
    return [judgeTerms(data)];
  } catch {
    return [
      unseen("payment pages could not be looked at for the consent to the terms", "fix Stripe's key first"),
    ];
  }
}

function judgeTerms(sessions: Pick<Stripe.Checkout.Session, "consent_collection">[]): Finding {
  const asks = sessions.some(({ consent_collection: consent }) => consent?.terms_of_service === "required");
  return asks ? ok("payment pages ask for consent to the terms") : warning(
    "terms_never_asked",
    `CHECKOUT_TERMS_CONSENT is on, and none of the last ${sessions.length} payment pages asks for it`,
    "set the address of your terms in Stripe's dashboard (Settings, Public details): without one Stripe refuses every " +
      "page; then buy something",
  );
}
