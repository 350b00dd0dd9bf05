import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { productsOf } from "./totals.ts";

/** Why a code typed on the page does not apply, as the page says it; null when it does. */
export function codeProblem(
  context: Context,
  code: Stripe.PromotionCode | undefined,
  session: Stripe.Checkout.Session,
): string | null {
  if (code === undefined) return "This code is invalid.";
  if (usedUp(code.times_redeemed, code.max_redemptions)) return "This code has expired.";
  if (!code.active) return "This code is invalid.";
  if (code.expires_at !== null && code.expires_at <= context.now) return "This code has expired.";
  if (idOf(code.customer) !== null && idOf(code.customer) !== idOf(session.customer)) {
    return "This code is invalid.";
  }
  const { first_time_transaction, minimum_amount, minimum_amount_currency } = code.restrictions;
  if (first_time_transaction && hasPaidBefore(context, idOf(session.customer))) {
    return "This code is invalid.";
  }
  if (minimum_amount !== null && minimum_amount_currency !== session.currency) return "This code is invalid.";
  if (minimum_amount !== null && (session.amount_subtotal ?? 0) < minimum_amount) {
    return "Your order does not reach the minimum amount for this code.";
  }
  const coupon = context.store.get("coupon", idOf(code.promotion.coupon) ?? "");
  if (coupon === undefined || !couponApplies(context, coupon, session)) {
    return "This code is invalid.";
  }
  return null;
}

function hasPaidBefore(context: Context, customer: string | null): boolean {
  return customer !== null &&
    context.store.all("payment_intent", ["customer", customer]).some(({ status }) => status === "succeeded");
}

function couponApplies(context: Context, coupon: Stripe.Coupon, session: Stripe.Checkout.Session): boolean {
  const expired = coupon.redeem_by !== null && coupon.redeem_by <= context.now;
  const products = productsOf(context, coupon.id);
  const lines = context.store.internals("session", session.id)?.lines ?? [];
  const hasProduct = products === null ||
    lines.some(({ price }) => products.includes(idOf(price.product) ?? ""));
  return coupon.valid && !expired && hasProduct &&
    (coupon.currency === null || coupon.currency === session.currency);
}

/** The session with this discount, or none. Totals are the caller's. */
export function applyDiscount(
  context: Context,
  session: Stripe.Checkout.Session,
  discount: { coupon?: string; promotion_code?: string } | undefined,
): Stripe.Checkout.Session {
  if (discount === undefined) return { ...session, discounts: [] };
  if (discount.promotion_code !== undefined) {
    const code = need(context, "promotion_code", discount.promotion_code, "discounts[0][promotion_code]");
    const problem = codeProblem(context, code, session);
    if (problem !== null) throw invalidRequest(problem, "discounts[0][promotion_code]");
    return { ...session, discounts: [{ coupon: idOf(code.promotion.coupon), promotion_code: code.id }] };
  }
  if (discount.coupon === undefined) {
    throw invalidRequest(
      "You must specify either `coupon` or `promotion_code`.",
      "discounts[0]",
      "parameter_missing",
    );
  }
  const coupon = need(context, "coupon", discount.coupon, "discounts[0][coupon]");
  if (!couponApplies(context, coupon, session)) {
    throw invalidRequest(
      `Coupon ${coupon.id} is not valid for this Checkout Session.`,
      "discounts[0][coupon]",
    );
  }
  return { ...session, discounts: [{ coupon: coupon.id, promotion_code: null }] };
}

function usedUp(timesRedeemed: number, maxRedemptions: number | null): boolean {
  return maxRedemptions !== null && timesRedeemed >= maxRedemptions;
}

/** Counts a redemption once the order is placed. */
export function redeem(context: Context, session: Stripe.Checkout.Session): void {
  for (const applied of session.discounts ?? []) {
    const coupon = context.store.get("coupon", idOf(applied.coupon) ?? "");
    if (coupon !== undefined) {
      const times_redeemed = coupon.times_redeemed + 1;
      context.store.put("coupon", { ...coupon, times_redeemed });
      if (usedUp(times_redeemed, coupon.max_redemptions)) lapseCoupon(context, coupon.id);
    }
    const code = context.store.get("promotion_code", idOf(applied.promotion_code) ?? "");
    if (code !== undefined) {
      const times_redeemed = code.times_redeemed + 1;
      const active = code.active && !usedUp(times_redeemed, code.max_redemptions);
      const redeemed: Stripe.PromotionCode = { ...code, times_redeemed, active };
      context.store.put("promotion_code", redeemed);
      context.emit("promotion_code.updated", redeemed, code);
    }
  }
}

/** A coupon that is past its time or used up is valid no more, and no code of it is active. */
export function lapseCoupon(context: Context, id: string): void {
  const coupon = context.store.get("coupon", id);
  if (coupon === undefined) return;
  context.store.put("coupon", { ...coupon, valid: false });
  endCodesOf(context, id);
}

/** A code without a coupon that is valid is not active. */
export function endCodesOf(context: Context, coupon: string): void {
  for (const code of context.store.all("promotion_code", ["promotion.coupon", coupon])) {
    context.store.put("promotion_code", { ...code, active: false });
  }
}

/** A code is past its own time. */
export function lapsePromotionCode(context: Context, id: string): void {
  const code = context.store.get("promotion_code", id);
  if (code !== undefined) context.store.put("promotion_code", { ...code, active: false });
}
