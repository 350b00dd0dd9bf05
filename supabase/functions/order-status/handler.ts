/**
 * What the page of an order shows: the success page, and the page that mails lead to. The browser often comes back
 * before the webhook does: then Stripe is asked, its answer goes through the same settlement, and the order is read
 * again. Nobody waits for the other one.
 */
import type Stripe from "stripe";
import { takeAddressLimit } from "../_shared/limits/address_limit.ts";
import { requireApiKey } from "../_shared/auth/caller.ts";
import { shopperAddress } from "../_shared/http/client_ip.ts";
import { type Deadline, startDeadline } from "../_shared/checkout/deadline.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import { json, respond } from "../_shared/http/endpoint.ts";
import type { Logger } from "../_shared/log.ts";
import type { RateLimiter } from "../_shared/limits/rate_limit.ts";
import type { FactCalls } from "../_shared/database/facts.ts";
import type { OrderCalls, OrderKey, OrderStatus } from "../_shared/database/orders.ts";
import { observe } from "../_shared/database/readings.ts";
import { readOrderPageToken } from "../_shared/checkout/order_link.ts";
import { classifyStripeFailure } from "../_shared/stripe/client.ts";
import { checkoutSessionFacts, isForeignSession } from "../_shared/stripe_events/checkout_session.ts";

export interface Deps {
  env: Env;
  /** The database under a deadline. */
  rpcWithin: (limitMs: () => number) => OrderCalls & FactCalls;
  /** With `payment_intent.latest_charge` expanded. */
  retrieveSession(id: string, limitMs: number): Promise<Stripe.Checkout.Session>;
  limiter: RateLimiter;
  /** Counts in this worker's memory: a poll must not cost a round trip more. */
  polls: RateLimiter;
  log: Logger;
  now: () => number;
}

type BoundDeps = Omit<Deps, "rpcWithin"> & { rpc: ReturnType<Deps["rpcWithin"]>; deadline: Deadline };

/** Of the page's patience: limits and Stripe may still have to be asked. */
const firstReadMs = 4_000;

/**
 * How often Stripe is asked about a session, so that no page becomes a load on it: a gentle page every time, one that
 * polls faster than it has reason to every two seconds.
 */
const pollLimits = [{ limit: 20, window_seconds: 60 }, { limit: 1, window_seconds: 2 }];

/** Answers `GET ?session_id=cs_…`, or `GET ?token=…` with the token of a mail. */
export function handle(request: Request, deps: Deps): Promise<Response> {
  const endpoint = { methods: ["GET"] as const, allowedOrigins: deps.env.allowedOrigins, log: deps.log };
  return respond(request, endpoint, async (context) => {
    const { key: apiKey } = await requireApiKey(request, deps.env);
    const address = shopperAddress(request.headers, apiKey === "secret");
    const key = await orderKeyOf(request, deps);
    const deadline = startDeadline(deps.now);
    const first = deps.rpcWithin(() => Math.min(firstReadMs, deadline.databaseMs()));
    const known = await first.getOrderStatus(key);
    const bound = { ...deps, rpc: deps.rpcWithin(deadline.databaseMs), deadline };
    if (known !== null) {
      const log = context.concerns(known.order_id);
      return json(publicStatus(await settled(key, known, bound, log)));
    }
    // A link of ours names an order that we made: nobody else knows more of one that is gone.
    if ("orderId" in key) throw new AppError("order_not_found");
    const found = await find(key.sessionId, address, bound);
    context.concerns(found.order_id);
    return json(publicStatus(found));
  });
}

/** @throws AppError `invalid_request`, `order_not_found`, `link_expired`. */
async function orderKeyOf(request: Request, { env, now }: Deps): Promise<OrderKey> {
  const query = new URL(request.url).searchParams;
  const token = query.get("token") ?? "";
  const sessionId = query.get("session_id") ?? "";
  if ((token === "") === (sessionId === "")) {
    throw new AppError("invalid_request", {
      details: [{ path: "session_id", message: "is required, or token in its stead" }],
    });
  }
  if (token !== "") return { orderId: await readOrderPageToken(token, env, now()) };
  // Nothing else can be a session, so nothing else needs a round trip.
  if (!/^cs_\w{1,250}$/.test(sessionId)) throw new AppError("order_not_found");
  return { sessionId };
}

/** Settles from Stripe; when that fails, what the database knows is the answer and the webhook will follow. */
async function settled(
  key: OrderKey,
  known: OrderStatus,
  deps: BoundDeps,
  log: Logger,
): Promise<OrderStatus> {
  const { session_id: sessionId } = known;
  if (known.settled || sessionId === null || !(await mayAsk(sessionId, deps))) return known;
  try {
    await settleFromStripe(sessionId, known, deps);
    return await deps.rpc.getOrderStatus(key) ?? known;
  } catch (error) {
    log.warn("order_not_settled", { session_id: sessionId, error });
    return known;
  }
}

async function mayAsk(sessionId: string, { polls }: Pick<Deps, "polls">): Promise<boolean> {
  for (const limit of pollLimits) {
    if ((await polls.take([{ key: sessionId, ...limit }])).allowed) return true;
  }
  return false;
}

/**
 * The order of a session that only Stripe knows yet: its own link to a new page for an expired session was paid, or
 * we died before we wrote down the session that we had made, and the browser is here before the webhook.
 * @throws AppError `order_not_found`; `rate_limited`, since anybody can make up ids; `stripe_unavailable`.
 */
async function find(sessionId: string, address: string | null, deps: BoundDeps): Promise<OrderStatus> {
  if (!isOfStripe(sessionId, deps.env)) throw new AppError("order_not_found");
  await takeAddressLimit("order-status", address, deps);
  deps.deadline.check();
  try {
    if (await settleFromStripe(sessionId, null, deps)) {
      const found = await deps.rpc.getOrderStatus({ sessionId });
      if (found !== null) return found;
    }
  } catch (error) {
    if (classifyStripeFailure(error) !== "discard") throw error;
  }
  throw new AppError("order_not_found");
}

/** Stripe names its mode in the id and makes it long: anything else is made up, and asking about it costs our quota. */
function isOfStripe(sessionId: string, { livemode }: Pick<Env, "livemode">): boolean {
  const random = sessionId.startsWith(livemode ? "cs_live_" : "cs_test_")
    ? sessionId.slice("cs_live_".length)
    : "";
  return /^[A-Za-z0-9]{20,}$/.test(random);
}

/** Whether the session is one of ours; then it is settled. */
async function settleFromStripe(
  sessionId: string,
  known: OrderStatus | null,
  deps: BoundDeps,
): Promise<boolean> {
  // Of an open page that we did not record, the search for lost sessions decides.
  const isOthers = (session: Stripe.Checkout.Session) =>
    known === null && (isForeignSession(session) || session.status === "open");
  const session = await observe(
    { ...deps, source: "order_status" },
    () => deps.retrieveSession(sessionId, deps.deadline.stripeMs()),
    (session) => isOthers(session) ? [] : checkoutSessionFacts(session),
  );
  return !isOthers(session);
}

/** Exactly the fields of docs/contract.md: what SQL adds for us is not for the public. */
function publicStatus(status: OrderStatus): Omit<OrderStatus, "settled" | "session_id" | "order_id"> {
  return {
    order_number: status.order_number,
    status: status.status,
    fulfillment_status: status.fulfillment_status,
    currency: status.currency,
    amount_subtotal: status.amount_subtotal,
    amount_discount: status.amount_discount,
    amount_shipping: status.amount_shipping,
    amount_tax: status.amount_tax,
    amount_total: status.amount_total,
    amount_refunded: status.amount_refunded,
    items: status.items,
    paid_at: status.paid_at,
    presentment: status.presentment,
    shipments: status.shipments,
    returns: status.returns,
    refunds: status.refunds,
    live_topic: status.live_topic,
  };
}
