/** A shop as these tests drive it: shoppers over HTTP, staff over SQL, the worker in this process. */
import assert from "node:assert/strict";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import { type Env, loadEnv } from "../../../supabase/functions/_shared/env.ts";
import type { JobContext } from "../../../supabase/functions/_shared/jobs/mod.ts";
import { jobCalls } from "../../../supabase/functions/_shared/jobs/calls.ts";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { createStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import { work } from "../../../supabase/functions/retry-jobs/worker.ts";
import type { TestStack } from "../../support/stack.ts";

export interface Checkout {
  order_id: string;
  order_number: string;
  session_id: string;
}

export const plentySku = "SHIRT-OXF-BLU-M";

/** The functions' environment of this stack, as the worker in this process needs it. */
function stackEnv(stack: TestStack, changes: Record<string, string> = {}): Env {
  return loadEnv({
    SUPABASE_URL: stack.api_url,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: stack.publishable_key }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.secret_key }),
    STRIPE_SECRET_KEY: stack.stripe_secret_key,
    STRIPE_WEBHOOK_SECRETS: stack.stripe_webhook_secret,
    STRIPE_API_BASE: stack.stripe_url,
    APP_ENV: "development",
    ALLOWED_ORIGINS: stack.web_url,
    SITE_URL: `${stack.web_url}/store`,
    SHIPPING_COUNTRIES: "US",
    LINK_SIGNING_SECRET: "x".repeat(32),
    RESEND_API_KEY: "re_test_key_for_the_stand_in",
    RESEND_API_BASE: `${stack.web_url}/resend`,
    EMAIL_FROM: "Shop <orders@example.com>",
    ...changes,
  });
}

/** What a job handler gets, with this stack behind it. */
export function jobContext(stack: TestStack, changes: Record<string, string> = {}): JobContext {
  const env = stackEnv(stack, changes);
  return {
    env,
    rpc: jobCalls(createCall(env)),
    stripe: createStripe(env),
    fetch,
    now: Date.now,
    log: createLogger({}, () => {}),
  };
}

/** Runs everything that is due, round after round, until nothing is. */
export async function drain(stack: TestStack, context: JobContext = jobContext(stack)): Promise<void> {
  for (let round = 0; round < 50; round++) {
    await stack.sql`update private.jobs set run_at = now() where status = 'queued'
      and kind not in ('remind_dispute', 'answer_dispute')`;
    // What is collected for one message waits no longer.
    await stack.sql`update private.alert_incidents set told_at = null, telling_until = null`;
    const tally = await work(1000, context);
    if (tally.claimed === 0) return;
  }
  assert.fail("the queue does not drain");
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

export async function checkout(
  stack: TestStack,
  sku = plentySku,
  quantity = 1,
  email = `shopper-${crypto.randomUUID()}@example.com`,
): Promise<Checkout> {
  const response = await post(`${stack.functions_url}/create-checkout-session`, {
    items: [{ sku, quantity }],
    customer_email: email,
  }, { apikey: stack.publishable_key });
  const text = await response.text();
  assert.equal(response.status, 201, text);
  return JSON.parse(text);
}

/** Pays a session as a shopper would; declines are answered, not thrown. */
export async function pay(stack: TestStack, session: string, card = "4242424242424242"): Promise<Response> {
  const response = await post(`${stack.stripe_url}/_control/pay`, { session, card });
  await response.body?.cancel();
  return response;
}

export async function control(stack: TestStack, path: string, body: unknown): Promise<void> {
  const response = await post(`${stack.stripe_url}/_control/${path}`, body);
  assert.ok(response.ok, `${path}: ${await response.text()}`);
}

export async function setFaults(stack: TestStack, faults: unknown): Promise<void> {
  await control(stack, "faults", faults);
}

export async function clearFaults(stack: TestStack): Promise<void> {
  const response = await fetch(`${stack.stripe_url}/_control/faults`, { method: "DELETE" });
  await response.body?.cancel();
}

/** From now on no webhook arrives, and none is tried again later. */
export async function blockWebhooks(stack: TestStack): Promise<void> {
  const { stripe } = jobContext(stack);
  for (const endpoint of (await stripe.webhookEndpoints.list({ limit: 100 })).data) {
    await stripe.webhookEndpoints.update(endpoint.id, { disabled: true });
  }
}

/** Webhooks arrive again, of what happens from now on. */
export async function unblockWebhooks(stack: TestStack): Promise<void> {
  const { stripe } = jobContext(stack);
  for (const endpoint of (await stripe.webhookEndpoints.list({ limit: 100 })).data) {
    await stripe.webhookEndpoints.update(endpoint.id, { disabled: false });
  }
}

/** Waits until every webhook has arrived. */
export async function flush(stack: TestStack): Promise<void> {
  await control(stack, "flush", {});
}

export async function orderRow(stack: TestStack, id: string) {
  const [row] = await stack.sql<
    {
      status: string;
      fulfillment_status: string;
      payment_id: string;
      amount_paid: number;
      amount_refunded: number;
    }[]
  >`
    select status, fulfillment_status, payment_id, amount_paid::integer, amount_refunded::integer from public.orders where id = ${id}`;
  assert.ok(row !== undefined, `no order ${id}`);
  return row;
}

export async function holdOf(stack: TestStack, orderId: string): Promise<string> {
  const rows = await stack
    .sql`select distinct status from public.inventory_reservations where order_id = ${orderId}`;
  return rows.map(({ status }) => String(status)).join(", ");
}

export async function violations(stack: TestStack): Promise<unknown[]> {
  return [...await stack.sql`select * from public.check_invariants()`];
}
