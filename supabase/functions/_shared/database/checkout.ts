/**
 * From a cart to an order that waits for its payment. These functions answer one of several shapes by `outcome`, with
 * lists inside, which no generator can say: they are written down here.
 */
import type { CheckoutSessionFact } from "../stripe_events/facts.ts";
import type { Arguments, Call, Known } from "./client.ts";

export type CheckoutCalls = ReturnType<typeof checkoutCalls>;

type VelocityMode = "enforce" | "report" | "off";

/**
 * `p_previous_session_id`: a session that this shopper has been sent to before. `p_supersede`: other open payment pages
 * of this shopper are to be ended first.
 */
export type CheckoutRequest = Known<Required<Arguments<"begin_checkout">>, {
  p_items: { sku: string; quantity: number }[];
  p_velocity_mode: VelocityMode;
}>;

/** How a resume link is opened: the rules count the caller's address as well. */
export type ResumeRequest = Known<Required<Arguments<"resume_checkout">>, { p_velocity_mode: VelocityMode }>;

/** Why Stripe refused to make a session, for staff. */
export interface CheckoutRefusal {
  /** Stripe's code, or the type of its error. */
  code: string;
  param: string | null;
  status: number | null;
  message: string;
}

export type CheckoutItem = {
  variant_id: string;
  sku: string;
  name: string;
  description: string | null;
  image_url: string | null;
  quantity: number;
  unit_amount: number;
  /** Stripe's code of what it is for taxes; null: the account's default. */
  tax_code: string | null;
};

/** A delivery price, in minor units of the order's currency; `countries` null: for all. */
export type ShippingRate = {
  id: string;
  name: string;
  amount: number;
  countries: string[] | null;
  delivery_days_min: number | null;
  delivery_days_max: number | null;
  tax_code: string | null;
};

/** An order that waits for its payment, as the Stripe session is made from it. */
export type Checkout = {
  outcome: "created" | "existing";
  order_id: string;
  order_number: string;
  /** The account that was signed in, frozen with the order; null for a guest. */
  account_id: string | null;
  /** Which installation's order it is, among those that share an account at Stripe. */
  shop_id: string;
  /** Version of the terms that the attempt's page asks to accept; null: none is noted. */
  terms_version: string | null;
  attempt: number;
  currency: string;
  amount_subtotal: number;
  /** Epoch seconds, fixed for the attempt: a repeated Stripe call sends the same parameters. */
  session_expires_at: number;
  email: string | null;
  locale: string | null;
  stripe_customer_id: string | null;
  /** The account's row while Stripe does not know the account; `generation` changes when Stripe's customer is deleted. */
  customer: { id: string; email: string | null; generation: number } | null;
  /** The account's address where Stripe's customer still has an older one. */
  customer_email: string | null;
  /** Which of its addresses the account has now; null for guests. */
  customer_email_change: number | null;
  cart_hash: string;
  /** What the velocity rules ask of the card; null: Stripe decides. */
  three_d_secure: "any" | "challenge" | null;
  prices_include_tax: boolean;
  /** Where the parcel goes, as far as the shopper has said beforehand. */
  country: string | null;
  shipping_rates: ShippingRate[];
  items: CheckoutItem[];
  session: { id: string; url: string | null; status: string; expires_at: number } | null;
};

/** What keeps a shopper from a payment page that exists, or could. */
export type VelocityExceeded = { outcome: "velocity_exceeded"; retry_after_seconds: number };

/** Expire these sessions at Stripe, then ask again without `p_supersede`. */
export type Superseded = { outcome: "superseded"; session_ids: string[] };

export type BegunCheckout = Checkout | Superseded | VelocityExceeded;

export type RestartedCheckout = Checkout | VelocityExceeded;

/** The order leads to no payment page any more. */
export type EndedCheckout = { outcome: "paid"; session_id: string } | { outcome: "cancelled" };

/** What opening an unpaid order again comes to. */
export type ResumedCheckout = Checkout | Superseded | VelocityExceeded | EndedCheckout;

/** What a resume link leads to as things are; `session` is the one that can still be paid. */
export type FoundCheckout =
  | { outcome: "unpaid"; session: { id: string; url: string } | null }
  | EndedCheckout;

export const checkoutCalls = (call: Call) => ({
  /** @throws AppError `unknown_sku`, `insufficient_stock`, `currency_unavailable`, `shipping_unavailable`,
   * `idempotency_conflict`, `invalid_request`. */
  beginCheckout: (request: CheckoutRequest) => call("begin_checkout", request) as Promise<BegunCheckout>,

  /** A further attempt for an order whose session can no longer be created as it was first asked for. */
  restartCheckoutAttempt: (orderId: string, attempt: number, sessionSeconds: number, holdSeconds: number) =>
    call("restart_checkout_attempt", {
      p_order_id: orderId,
      p_attempt: attempt,
      p_session_seconds: sessionSeconds,
      p_hold_seconds: holdSeconds,
    }) as Promise<RestartedCheckout>,

  /** `emailChange`: the snapshot's `customer_email_change`; null when Stripe's customer was not touched. */
  attachCheckoutSession: (
    orderId: string,
    attempt: number,
    fact: CheckoutSessionFact,
    emailChange: number | null = null,
  ): Promise<void> =>
    call("attach_checkout_session", {
      p_order_id: orderId,
      p_attempt: attempt,
      p_fact: fact,
      p_email_change: emailChange,
    }),

  /** Changes nothing. @throws AppError `order_not_found`. */
  findOpenCheckout: (orderId: string, livemode: boolean) =>
    call("find_open_checkout", { p_order_id: orderId, p_livemode: livemode }) as Promise<FoundCheckout>,

  /** @throws AppError `order_not_found`, `insufficient_stock`, `shipping_unavailable`. */
  resumeCheckout: (request: ResumeRequest) => call("resume_checkout", request) as Promise<ResumedCheckout>,

  /** Stripe says that this customer is gone; answers the order's checkout without it. */
  forgetStripeCustomer: (orderId: string, stripeCustomerId: string) =>
    call("forget_stripe_customer", {
      p_order_id: orderId,
      p_stripe_customer_id: stripeCustomerId,
    }) as Promise<Checkout>,

  /** Stripe knows no such session: it counts as expired once it has been over for a day. True: it does. */
  forgetCheckoutSession: (sessionId: string): Promise<boolean> =>
    call("forget_checkout_session", { p_session_id: sessionId }),

  /**
   * Gives up an attempt that has no session at Stripe; its stock becomes free. With `refusal` staff are told why
   * Stripe does not take the order. False: the attempt has a session, or is not the current one.
   */
  abandonCheckout: (
    orderId: string,
    attempt: number,
    refusal: CheckoutRefusal | null = null,
  ): Promise<boolean> =>
    call("abandon_checkout", { p_order_id: orderId, p_attempt: attempt, p_refusal: refusal }),
});
