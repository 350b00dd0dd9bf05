import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import { saveIntent } from "../payments/intents.ts";
import { needInternals } from "./pay_session.ts";
import { CLOSED } from "./ui_mode.ts";
import { withTotals } from "./totals.ts";

const RECOVERY_S = 30 * 24 * 3600;

/** Ends an open session; with recovery enabled it gets a link that starts a copy of it. */
export function expireSession(context: Context, id: string): Stripe.Checkout.Session {
  const session = need(context, "checkout.session", id);
  if (session.status !== "open") {
    throw invalidRequest(
      `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of \`${session.status}\`.`,
    );
  }
  const internals = needInternals(context, id);
  const recovery = session.after_expiration?.recovery ?? null;
  let afterExpiration = session.after_expiration;
  if (recovery !== null && recovery.enabled) {
    const token = newId("token");
    context.store.setInternals("session", id, { ...internals, recoveryToken: token });
    afterExpiration = {
      recovery: {
        ...recovery,
        expires_at: context.now + RECOVERY_S,
        url: `${context.baseUrl}/r/${id}/${token}`,
      },
    };
  }
  const expired: Stripe.Checkout.Session = {
    ...session,
    after_expiration: afterExpiration,
    status: "expired",
    ...CLOSED,
  };
  context.store.put("checkout.session", expired);
  cancelIntent(context, session);
  context.emit("checkout.session.expired", expired);
  return expired;
}

/** A payment that a declined or unfinished attempt left behind can no longer be made. */
function cancelIntent(context: Context, session: Stripe.Checkout.Session): void {
  const intent = context.store.get("payment_intent", idOf(session.payment_intent) ?? "");
  if (intent === undefined || intent.status === "succeeded" || intent.status === "canceled") return;
  const canceled = saveIntent(context, intent, {
    canceled_at: context.now,
    cancellation_reason: "automatic",
    next_action: null,
    status: "canceled",
  });
  context.emit("payment_intent.canceled", canceled);
}

/** The timer of a session went off. It may have been paid or expired long since. */
export function expireOnTime(context: Context, id: string): void {
  const session = context.store.get("checkout.session", id);
  if (session?.status === "open") expireSession(context, id);
}

/** A fresh session with the cart of an expired one, as its recovery link promises. */
export function recoverSession(context: Context, id: string, token: string): Stripe.Checkout.Session {
  const session = need(context, "checkout.session", id);
  const internals = needInternals(context, id);
  const recovery = session.after_expiration?.recovery ?? null;
  if (recovery === null || internals.recoveryToken === null || internals.recoveryToken !== token) {
    throw invalidRequest("This link is not valid.");
  }
  if ((recovery.expires_at ?? 0) <= context.now) throw invalidRequest("This link has expired.");
  const open = context.store.all("checkout.session", ["recovered_from", id]).find(({ status }) =>
    status === "open"
  );
  if (open !== undefined) return open;
  const copyId = newId("checkout_session");
  const copyInternals = { ...internals, recoveryToken: null, taxAddress: null };
  const copy = withTotals(context, {
    ...session,
    id: copyId,
    after_expiration: { recovery: { ...recovery, expires_at: null, url: null } },
    allow_promotion_codes: recovery.allow_promotion_codes ? true : session.allow_promotion_codes,
    collected_information: null,
    consent: null,
    created: context.now,
    expires_at: context.now + 24 * 3600,
    payment_intent: null,
    payment_status: "unpaid",
    recovered_from: id,
    status: "open",
    url: `${context.baseUrl}/c/pay/${copyId}`,
  }, copyInternals);
  context.store.put("checkout.session", copy);
  context.store.setInternals("session", copyId, copyInternals);
  context.schedule("expire_session", copyId, (copy.expires_at - context.now) * 1000);
  return copy;
}
