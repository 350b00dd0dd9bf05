/** A checkout function whose dependencies are plain objects, and what they were asked. */
import Stripe from "stripe";
import type { Deps } from "../../supabase/functions/create-checkout-session/handler.ts";
import type {
  BegunCheckout,
  Checkout,
  CheckoutRefusal,
  CheckoutRequest,
} from "../../supabase/functions/_shared/database/checkout.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { keptLog, publishableKey, testEnv } from "./fakes.ts";

export const orderId = "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42";

export function checkoutOf(changes: Partial<Checkout> = {}): Checkout {
  return {
    outcome: "created",
    order_id: orderId,
    order_number: "KCT-1042",
    account_id: null,
    shop_id: "8f0e1d2c3b4a5968",
    terms_version: null,
    attempt: 1,
    currency: "usd",
    amount_subtotal: 25_800,
    session_expires_at: 1_762_522_260,
    email: "ada@example.com",
    locale: null,
    stripe_customer_id: null,
    customer: null,
    customer_email: null,
    customer_email_change: null,
    cart_hash: "9b1f",
    three_d_secure: null,
    prices_include_tax: false,
    country: null,
    shipping_rates: [],
    items: [{
      variant_id: "11111111-2222-4333-8444-555555555555",
      sku: "SHIRT-OXF-WHT-M",
      name: "Oxford Button-Down Shirt – White, M",
      description: "Sturdy oxford.",
      image_url: "/store/images/oxford-shirt.svg",
      quantity: 2,
      unit_amount: 12_900,
      tax_code: null,
    }],
    session: null,
    ...changes,
  };
}

export interface World {
  deps: Deps;
  begun: CheckoutRequest[];
  asked: { params: Stripe.Checkout.SessionCreateParams; key: string }[];
  attached: [string, number, unknown, number | null | undefined][];
  limited: unknown[];
  restarted: number;
  forgotten: string[];
  /** What staff were told of each attempt that was given up. */
  abandoned: (CheckoutRefusal | null)[];
  expired: string[];
  /** Refusals of Stripe's customer call, in turn; the rest is accepted. */
  customerRefusals: AppError[];
  updatedCustomers: [string, Stripe.CustomerUpdateParams][];
  customers: { params: Stripe.CustomerCreateParams; key: string }[];
  applied: unknown[];
}

export function world(changes: {
  begin?: () => Promise<BegunCheckout>;
  create?: (attempt: number) => Promise<unknown>;
  replayed?: boolean;
  retrieve?: () => Promise<unknown>;
  expire?: (id: string) => Promise<unknown>;
  attach?: () => Promise<void>;
  allowed?: boolean;
  env?: Record<string, string | undefined>;
} = {}): World {
  const here: World = {
    deps: {} as Deps,
    begun: [],
    asked: [],
    attached: [],
    limited: [],
    restarted: 0,
    forgotten: [],
    abandoned: [],
    expired: [],
    customerRefusals: [],
    updatedCustomers: [],
    customers: [],
    applied: [],
  };
  here.deps = {
    env: testEnv(changes.env),
    rpcWithin: () => ({
      beginCheckout: (request) => {
        here.begun.push(request);
        return changes.begin?.() ?? Promise.resolve(checkoutOf());
      },
      restartCheckoutAttempt: () => {
        here.restarted += 1;
        return Promise.resolve(checkoutOf({ outcome: "existing", attempt: 2 }));
      },
      attachCheckoutSession: (id, attempt, fact, emailChange) => {
        here.attached.push([id, attempt, fact, emailChange]);
        return changes.attach?.() ?? Promise.resolve();
      },
      forgetStripeCustomer: (_orderId, customerId) => {
        here.forgotten.push(customerId);
        const customer = {
          id: "c0ffee00-0000-4000-8000-000000000001",
          email: "ada@example.com",
          generation: 7,
        };
        return Promise.resolve(checkoutOf({ customer }));
      },
      abandonCheckout: (_orderId, _attempt, refusal = null) => {
        here.abandoned.push(refusal);
        return Promise.resolve(true);
      },
      applyStripeFacts: (facts) => {
        here.applied.push(...facts);
        return Promise.resolve(true);
      },
    }),
    limiter: {
      take: (buckets) => {
        here.limited.push(buckets);
        const allowed = changes.allowed ?? true;
        return Promise.resolve({ allowed, retry_after_seconds: allowed ? 0 : 33, key: null });
      },
    },
    stripe: {
      createSession: async (params, key) => {
        here.asked.push({ params, key });
        const answer = await (changes.create?.(here.asked.length) ?? Promise.resolve(sessionOf(params)));
        return { session: answer as Stripe.Checkout.Session, replayed: changes.replayed ?? false };
      },
      retrieveSession: async () =>
        await (changes.retrieve?.() ?? Promise.reject(down())) as Stripe.Checkout.Session,
      expireSession: async (id) => {
        here.expired.push(id);
        return await (changes.expire?.(id) ?? Promise.reject(down())) as Stripe.Checkout.Session;
      },
      updateCustomer: (id, params) => {
        here.updatedCustomers.push([id, params]);
        const refusal = here.customerRefusals.shift();
        return refusal === undefined ? Promise.resolve({ id } as Stripe.Customer) : Promise.reject(refusal);
      },
      createCustomer: (params, key) => {
        here.customers.push({ params, key });
        const refusal = here.customerRefusals.shift();
        if (refusal !== undefined) return Promise.reject(refusal);
        return Promise.resolve({ id: "cus_new" } as Stripe.Customer);
      },
    },
    fetch: () => Promise.reject(new Error("nothing to fetch")),
    log: keptLog().log,
    now: Date.now,
  };
  return here;
}

export function down(): AppError {
  return new AppError("stripe_unavailable", { retryAfterSeconds: 5, cause: new Error("down") });
}

export function sessionOf(params: Stripe.Checkout.SessionCreateParams) {
  const own = params.ui_mode !== undefined && params.ui_mode !== "hosted_page";
  return {
    id: "cs_test_unit",
    object: "checkout.session",
    url: own ? null : "https://checkout.stripe.com/c/pay/cs_test_unit",
    client_secret: own ? "cs_test_unit_secret_1" : null,
    expires_at: params.expires_at,
    status: "open",
    payment_status: "unpaid",
    livemode: false,
    metadata: params.metadata,
    currency: "usd",
    amount_subtotal: 25_800,
    amount_total: 25_800,
    payment_intent: null,
    customer: null,
  };
}

export const cart = { items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 2 }], customer_email: "ada@example.com" };

export function requestOf(body: unknown = cart, headers: Record<string, string> = {}): Request {
  return new Request("http://functions.example/create-checkout-session", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "apikey": publishableKey,
      "cf-connecting-ip": "203.0.113.7",
      ...headers,
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export function stripeRefusal(
  param: string,
  headers: Record<string, string> = {},
  statusCode = 400,
): AppError {
  const cause = Stripe.errors.StripeError.generate(
    {
      type: statusCode >= 500 ? "api_error" : "invalid_request_error",
      param,
      statusCode,
      headers,
      message: "refused",
    } as unknown as Parameters<typeof Stripe.errors.StripeError.generate>[0],
  );
  const passes = statusCode >= 500 || statusCode === 429 || statusCode === 409;
  return new AppError(passes ? "stripe_unavailable" : "internal_error", { cause });
}
