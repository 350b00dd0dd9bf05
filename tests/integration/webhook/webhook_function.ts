/**
 * The webhook function against a real stack, in this process: tests choose the caller's address, which over the
 * gateway is always 127.0.0.1, and count the function's round trips.
 */
import { loadEnv } from "../../../supabase/functions/_shared/env.ts";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import { createRateLimiter } from "../../../supabase/functions/_shared/limits/rate_limit.ts";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { eventCalls } from "../../../supabase/functions/_shared/database/events.ts";
import { webhookCalls } from "../../../supabase/functions/_shared/database/webhooks.ts";
import { signPayload } from "../../../supabase/functions/_shared/stripe/signature.ts";
import { uncounted } from "../../unit/fakes.ts";
import { createAllowlist } from "../../../supabase/functions/stripe-webhook/allowlist.ts";
import { handle } from "../../../supabase/functions/stripe-webhook/handler.ts";
import { createReceiver } from "../../../supabase/functions/stripe-webhook/receiver.ts";
import { createRejections } from "../../../supabase/functions/stripe-webhook/rejections.ts";
import type { Stack } from "../../../scripts/local/stack.ts";

/** Three addresses of Stripe's published list, which the migrations seed. */
export const stripeAddresses = ["3.18.12.63", "54.88.130.119", "54.187.216.72"] as const;
/** An address of nobody's (RFC 5737). */
export const foreignAddress = "203.0.113.7";

export interface WebhookFunction {
  fetch(request: Request): Promise<Response>;
  /** Signs an event and posts it from an address. */
  deliver(event: object | string, options?: DeliveryOptions): Promise<Response>;
  /** Names of the SQL functions called so far. */
  calls: string[];
  /** Parsed log lines. */
  lines: Record<string, unknown>[];
}

export interface DeliveryOptions {
  address?: string | null;
  secret?: string;
  /** Seconds from now of the signature's time. */
  offsetSeconds?: number;
  headers?: Record<string, string>;
}

type StackKeys = Pick<Stack, "api_url" | "publishable_key" | "secret_key" | "stripe_webhook_secret">;

/** Builds the function as its `index.ts` does; `changes` replace variables of the environment. */
export function webhookFunction(
  stack: StackKeys,
  changes: Record<string, string> = {},
  fetcher: typeof fetch = fetch,
): WebhookFunction {
  const env = loadEnv({
    SUPABASE_URL: stack.api_url,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: stack.publishable_key }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.secret_key }),
    STRIPE_SECRET_KEY: "sk_test_integration",
    STRIPE_WEBHOOK_SECRETS: stack.stripe_webhook_secret,
    APP_ENV: "development",
    ALLOWED_ORIGINS: "http://localhost:3000",
    SITE_URL: "http://localhost:3000",
    SHIPPING_COUNTRIES: "US",
    LINK_SIGNING_SECRET: "0123456789abcdef0123456789abcdef",
    ...changes,
  });
  const calls: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({}, (_level, line) => lines.push(JSON.parse(line)));
  const call = createCall(env, (input, init) => {
    calls.push(String(input).replace(/^.*\/rpc\//, ""));
    return fetcher(input, init);
  });
  const rpc = { ...eventCalls(call), ...webhookCalls(call) };
  const deps = {
    env,
    receiver: createReceiver(rpc),
    allowlist: createAllowlist({ rpc, extraAddresses: env.stripeWebhookExtraIps, log }),
    rejections: createRejections({
      rpc,
      limiter: createRateLimiter({ env, call, log, metrics: uncounted }),
      limitPerMinute: env.webhookRejectionLimit,
      log,
      later: () => {},
    }),
    endSessions: () => {},
    log,
    now: Date.now,
  };
  const secret = env.stripeWebhookSecrets[0] ?? "";
  return {
    calls,
    lines,
    fetch: (request) => handle(request, deps),
    deliver: async (event, options = {}) => handle(await signedRequest(event, { secret, ...options }), deps),
  };
}

/** A delivery as Stripe sends it. */
export async function signedRequest(
  event: object | string,
  { address = stripeAddresses[0], secret = "", offsetSeconds = 0, headers = {} }: DeliveryOptions,
  url = "http://functions.example/stripe-webhook",
): Promise<Request> {
  const body = typeof event === "string" ? event : JSON.stringify(event);
  const time = Math.floor(Date.now() / 1000) + offsetSeconds;
  return new Request(url, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "stripe-signature": await signPayload(new TextEncoder().encode(body), secret, time),
      ...(address === null ? {} : { "cf-connecting-ip": address }),
      ...headers,
    },
  });
}

/** An event that nothing is to be done for: not ours. */
export function foreignEvent(id: string = newEventId()): Record<string, unknown> {
  return {
    id,
    object: "event",
    api_version: "2026-10-28.endive",
    created: Math.floor(Date.now() / 1000),
    data: { object: { id: "cs_test_foreign", object: "checkout.session", metadata: {} } },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type: "checkout.session.completed",
  };
}

/** An id that no other event has. */
export function newEventId(): string {
  return `evt_${crypto.randomUUID().replaceAll("-", "")}`;
}
