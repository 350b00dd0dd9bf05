/** stripe-webhook with everything around it replaced, and deliveries to it. */
import type { EventOutcome, ReceivedEvent } from "../../supabase/functions/_shared/database/events.ts";
import { signPayload } from "../../supabase/functions/_shared/stripe/signature.ts";
import { type Deps, handle } from "../../supabase/functions/stripe-webhook/handler.ts";
import { createRejections } from "../../supabase/functions/stripe-webhook/rejections.ts";
import { createMemoryLimiter } from "../../supabase/functions/_shared/limits/rate_limit.ts";
import { fixedClock, keptLog } from "./fakes.ts";

/** The endpoint's signing secret. */
export const secret = "whsec_unit_tests";
/** On Stripe's list. */
export const stripeAddress = "3.18.12.63";
/** On nobody's list. */
export const foreignAddress = "203.0.113.7";

/** What a test looks at afterwards. */
export interface World {
  deps: Deps;
  received: ReceivedEvent[];
  rejected: [string, string | null, number][];
  ended: string[];
  lines: Record<string, unknown>[];
  clock: ReturnType<typeof fixedClock>;
}

/** The database's answer to a delivery; `changes` to it. */
export function outcomeOf(changes: Partial<EventOutcome> = {}): EventOutcome {
  return {
    outcome: "applied",
    reason: null,
    delivery_count: 1,
    order_ids: [],
    closing_sessions: [],
    ...changes,
  };
}

/** Everything around the handler; `changes` to it. */
export function world(changes: {
  mode?: "enforce" | "report" | "off";
  secrets?: string[];
  livemode?: boolean;
  accountId?: string;
  membership?: "listed" | "unlisted" | "unknown";
  receive?: () => Promise<EventOutcome>;
} = {}): World {
  const clock = fixedClock();
  const { log, lines } = keptLog();
  const received: ReceivedEvent[] = [];
  const rejected: World["rejected"] = [];
  const ended: string[] = [];
  const receiver = {
    receive: (event: ReceivedEvent) => {
      received.push(event);
      return changes.receive?.() ?? Promise.resolve(outcomeOf());
    },
  };
  const rpc = {
    recordWebhookRejection: (reason: string, address: string | null, count: number) => {
      rejected.push([reason, address, count]);
      return Promise.resolve();
    },
  };
  const limiter = createMemoryLimiter({ now: clock.now });
  const deps: Deps = {
    env: {
      livemode: changes.livemode ?? false,
      stripeAccountId: changes.accountId ?? null,
      stripeWebhookSecrets: changes.secrets ?? [secret],
      stripeWebhookIpMode: changes.mode ?? "enforce",
    },
    receiver,
    allowlist: {
      check: (address) =>
        Promise.resolve(changes.membership ?? (address === stripeAddress ? "listed" : "unlisted")),
    },
    rejections: createRejections({ rpc, limiter, limitPerMinute: 10, log, now: clock.now, later: () => {} }),
    endSessions: (ids) => ended.push(...ids),
    log,
    now: clock.now,
  };
  return { deps, received, rejected, ended, lines, clock };
}

/** How one delivery differs from a genuine one. */
export interface Delivery {
  body?: BodyInit;
  signature?: string | null;
  address?: string | null;
  method?: string;
}

/** A signed request with the event as its body. */
export function requestOf(
  { body = "{}", signature = null, address = stripeAddress, method = "POST" }: Delivery,
): Request {
  const headers = new Headers({ "content-type": "application/json" });
  if (signature !== null) headers.set("stripe-signature", signature);
  if (address !== null) headers.set("cf-connecting-ip", address);
  return new Request("http://functions.example/stripe-webhook", {
    method,
    headers,
    ...(method === "POST" ? { body } : {}),
  });
}

/** Sends an event and returns the answer. */
export async function deliver(
  { deps, clock }: World,
  event: unknown,
  { address = stripeAddress, signer = secret, at = 0 }: {
    address?: string | null;
    signer?: string;
    at?: number;
  } = {},
): Promise<Response> {
  const body = typeof event === "string" ? event : JSON.stringify(event);
  const signature = await signPayload(
    new TextEncoder().encode(body),
    signer,
    Math.floor(clock.now() / 1000) + at,
  );
  return await handle(requestOf({ body, signature, address }), deps);
}
