import Stripe from "stripe";
import { type RunningStripe, startStripe, type StripeOptions } from "../../scripts/stand-in/server.ts";

/** A stand-in for one test, with a client of Stripe's own library and the control API. */
export interface StandIn extends AsyncDisposable {
  url: string;
  stripe: Stripe;
  control<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: object,
  ): Promise<ControlAnswer<T>>;
  stop(): Promise<void>;
}
export interface ControlAnswer<T> {
  status: number;
  body: T;
}

/** A key of the right shape, put together at run time. */
export const TEST_KEY = ["sk", "test", "StandInTests0000"].join("_");

/** Everything that takes seconds takes milliseconds, so that tests need not wait. */
export const FAST = {
  retryDelaysMs: [20, 40, 80],
  refundMs: 20,
  disputeMs: 20,
  bankDebitMs: null,
  payoutMs: null,
} as const;

export function clientOf(url: string, config: Partial<Stripe.StripeConfig> = {}): Stripe {
  const { hostname, port } = new URL(url);
  return new Stripe(TEST_KEY, {
    host: hostname,
    port: Number(port),
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
    httpClient: Stripe.createFetchHttpClient(),
    ...config,
  });
}

/** Starts a stand-in in this process. */
export async function standIn(options: Partial<StripeOptions> = {}): Promise<StandIn> {
  const running: RunningStripe = await startStripe({ port: 0, dir: null, pace: FAST, ...options });
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await running.stop();
  };
  return {
    url: running.url,
    stripe: clientOf(running.url),
    control: async <T>(method: string, path: string, body?: object) => {
      const response = await fetch(`${running.url}/_control/${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: await response.json() as T };
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The least a session needs: one shirt for 129 dollars. */
export function shirt(
  change: Partial<Stripe.Checkout.SessionCreateParams> = {},
): Stripe.Checkout.SessionCreateParams {
  return {
    mode: "payment",
    success_url: "http://shop.test/done?session_id={CHECKOUT_SESSION_ID}",
    cancel_url: "http://shop.test/cart",
    line_items: [{
      price_data: {
        currency: "usd",
        unit_amount: 12_900,
        product_data: { name: "Oxford Button-Down Shirt" },
      },
      quantity: 1,
    }],
    ...change,
  };
}

/** The types of all events so far, oldest first. */
export async function eventTypes(stripe: Stripe): Promise<string[]> {
  const { data } = await stripe.events.list({ limit: 100 });
  return data.map(({ type }) => type).reverse();
}

/** A payment intent paid (or not) with one of Stripe's ready-made cards. */
export function payIntent(
  stripe: Stripe,
  method: string,
  change: Partial<Stripe.PaymentIntentCreateParams> = {},
): Promise<Stripe.PaymentIntent> {
  return stripe.paymentIntents.create({
    allowed_payment_method_types: ["card"],
    amount: 2000,
    currency: "usd",
    confirm: true,
    payment_method: method,
    ...change,
  });
}

/** The id behind an expandable property. */
export function idOf(reference: string | { id: string } | null | undefined): string {
  if (reference === null || reference === undefined) throw new Error("there is no id");
  return typeof reference === "string" ? reference : reference.id;
}

/** Runs `work` and returns the error that Stripe's library throws. */
export async function refusal(
  work: Promise<unknown>,
): Promise<InstanceType<typeof Stripe.errors.StripeError>> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error;
    throw error;
  }
  throw new Error("the request was accepted");
}
