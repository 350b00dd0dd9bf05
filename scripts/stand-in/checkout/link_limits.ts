import type Stripe from "stripe";
import { type Context, idOf } from "../core/context.ts";

/** Why a link leads nowhere, as its page says it; null when it can be paid by. */
export function linkProblem(link: Stripe.PaymentLink): string | null {
  const { count, limit } = link.restrictions?.completed_sessions ?? { count: 0, limit: Infinity };
  if (link.active && count < limit) return null;
  return link.inactive_message ??
    "This link is no longer active. If you believe this is an error, contact the shop.";
}

/** Counts a session of a link that was completed; the last one that it allows closes it. */
export function countCompleted(context: Context, session: Stripe.Checkout.Session): void {
  const link = context.store.get("payment_link", idOf(session.payment_link) ?? "");
  const restriction = link?.restrictions?.completed_sessions;
  if (link === undefined || restriction === undefined) return;
  const count = restriction.count + 1;
  const changed: Stripe.PaymentLink = {
    ...link,
    active: link.active && count < restriction.limit,
    restrictions: { completed_sessions: { ...restriction, count } },
  };
  context.store.put("payment_link", changed);
  context.emit("payment_link.updated", changed, link);
}
