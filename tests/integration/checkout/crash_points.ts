/** The checkout handler inside the test's process, so that it can die between any two steps. */
import { handle } from "../../../supabase/functions/create-checkout-session/handler.ts";
import { stripeCalls } from "../../../supabase/functions/_shared/checkout/stripe_calls.ts";
import { loadEnv } from "../../../supabase/functions/_shared/env.ts";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { checkoutCalls } from "../../../supabase/functions/_shared/database/checkout.ts";
import { factCalls } from "../../../supabase/functions/_shared/database/facts.ts";
import { createStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import type { TestStack } from "../../support/stack.ts";

/** Where the process dies: before the named call is made, or when its answer has come. */
export type CrashPoint = `${"before" | "after"} ${"begin" | "customer" | "session" | "attach"}`;

export const crashPoints: CrashPoint[] = [
  "before begin",
  "after begin",
  "before customer",
  "after customer",
  "before session",
  "after session",
  "before attach",
  "after attach",
];

/** A request whose process dies at a point: no answer, no reaction, nothing tidied up. */
export async function crashedCheckout(
  stack: TestStack,
  request: RequestInit,
  point: CrashPoint,
): Promise<void> {
  const env = loadEnv({
    SUPABASE_URL: stack.api_url,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: stack.publishable_key }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.secret_key }),
    STRIPE_SECRET_KEY: stack.stripe_secret_key,
    STRIPE_WEBHOOK_SECRETS: stack.stripe_webhook_secret,
    STRIPE_API_BASE: stack.stripe_url,
    APP_ENV: "development",
    ALLOWED_ORIGINS: stack.web_url,
    SITE_URL: `${stack.web_url}/store`,
    SHIPPING_COUNTRIES: "US,CA,GB",
    LINK_SIGNING_SECRET: crypto.randomUUID(),
    VELOCITY_MODE: "off",
  });
  const died = Promise.withResolvers<void>();
  const dies =
    <A extends unknown[], T>(step: string, call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      if (point === `before ${step}`) return await death();
      const answer = await call(...args);
      return point === `after ${step}` ? await death() : answer;
    };
  const death = (): Promise<never> => {
    died.resolve();
    return new Promise(() => {});
  };
  const call = createCall(env);
  const rpc = { ...checkoutCalls(call), ...factCalls(call) };
  const stripe = stripeCalls(createStripe(env));
  const answered = handle(new Request("http://shop.example/create-checkout-session", request), {
    env,
    rpcWithin: () => ({
      ...rpc,
      beginCheckout: dies("begin", rpc.beginCheckout),
      attachCheckoutSession: dies("attach", rpc.attachCheckoutSession),
    }),
    limiter: { take: () => Promise.resolve({ allowed: true, retry_after_seconds: 0, key: null }) },
    stripe: {
      ...stripe,
      createCustomer: dies("customer", stripe.createCustomer),
      createSession: dies("session", stripe.createSession),
    },
    fetch,
    log: createLogger({}, () => {}),
    now: Date.now,
  });
  await Promise.race([
    died.promise,
    answered.then(async (response) => {
      throw new Error(`answered ${response.status} ${await response.text()} instead of dying ${point}`);
    }),
  ]);
}
