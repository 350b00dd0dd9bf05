/** What is to be done about a stored or delivered event: one judgement for webhook, retry and reconciliation. */
import type Stripe from "stripe";
import type { Fact } from "./facts.ts";
import { isWanted, translate } from "./mod.ts";
import { translateThin } from "./thin.ts";

/** Facts to merge, a reason why there is nothing to do, or what went wrong while translating. */
export type Judgement = { facts: Fact[] } | { ignoredReason: string } | { error: string };

/** Whose events these are to be. */
export interface Ours {
  livemode: boolean;
  /** Our account at Stripe, where the deployment says it; events of other accounts are never ours. */
  stripeAccountId: string | null;
}

/** The outer fields of an event, as far as they decide whose it is. */
interface Outside {
  object?: unknown;
  account?: unknown;
  context?: unknown;
  livemode?: unknown;
}

/** Judges an event's payload. A translator that throws is an error to be stored, not a crash. */
export function judge(payload: unknown, ours: Ours): Judgement {
  const event = payload as Outside;
  const isThin = event.object === "v2.core.event";
  if (isOfAnotherAccount(event, ours.stripeAccountId)) return { ignoredReason: "connected_account" };
  if (event.livemode !== ours.livemode) return { ignoredReason: "other_livemode" };
  try {
    const translation = isThin
      ? translateThin(payload as Parameters<typeof translateThin>[0], isWanted)
      : translate(payload as Stripe.Event);
    return translation.kind === "facts"
      ? { facts: translation.facts }
      : { ignoredReason: translation.reason };
  } catch (error) {
    return { error: `translation failed: ${error instanceof Error ? error.message : "unknown error"}` };
  }
}

/**
 * Events of connected accounts name theirs in `account` (https://docs.stripe.com/connect/webhooks): our key cannot
 * read their objects. Those of an organisation name it in `context`, which says nothing while we do not know our own.
 */
function isOfAnotherAccount({ account, context }: Outside, own: string | null): boolean {
  if (typeof account === "string" && account !== "") return account !== own;
  if (own === null || typeof context !== "string") return false;
  const accounts = context.split("/").filter((part) => part.startsWith("acct_"));
  return accounts.length > 0 && !accounts.includes(own);
}
