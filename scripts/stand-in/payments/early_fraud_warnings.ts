import type Stripe from "stripe";
import { type Context, idOf } from "../core/context.ts";
import { newId } from "../core/ids.ts";

/** The issuer reports a charge as probably fraudulent. */
export function warnOfFraud(
  context: Context,
  charge: Stripe.Charge,
  fraudType: string,
): Stripe.Radar.EarlyFraudWarning {
  const warning: Stripe.Radar.EarlyFraudWarning = {
    id: newId("early_fraud_warning"),
    object: "radar.early_fraud_warning",
    actionable: !charge.refunded && !charge.disputed,
    charge: charge.id,
    created: context.now,
    fraud_type: fraudType,
    livemode: false,
    payment_intent: idOf(charge.payment_intent) ?? "",
  };
  context.store.put("radar.early_fraud_warning", warning);
  context.emit("radar.early_fraud_warning.created", warning);
  return warning;
}

/** A refund or a dispute leaves nothing to do about a warning. */
export function settleWarningsOf(context: Context, charge: string): void {
  for (const warning of context.store.all("radar.early_fraud_warning", ["charge", charge])) {
    if (!warning.actionable) continue;
    const settled = { ...warning, actionable: false };
    context.store.put("radar.early_fraud_warning", settled);
    context.emit("radar.early_fraud_warning.updated", settled, warning);
  }
}
