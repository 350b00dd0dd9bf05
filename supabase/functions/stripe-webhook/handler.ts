/**
 * The front door of the money. Checks in this order, each its own function: method, address, allowlist, and only then
 * what costs something: size, signature and time, payload. Then one round trip stores the event, merges its facts and settles.
 */
import { clientAddress } from "../_shared/http/client_ip.ts";
import type { Env } from "../_shared/env.ts";
import { AppError, type ErrorCode } from "../_shared/errors.ts";
import { json, readBody, type RequestContext, respond } from "../_shared/http/endpoint.ts";
import type { Logger } from "../_shared/log.ts";
import { type Alert, judged } from "../_shared/database/events.ts";
import { stripeApiVersion } from "../_shared/stripe/api_version.ts";
import { judge, type Judgement } from "../_shared/stripe_events/judge.ts";
import { mayBeSigned, verifySignature } from "../_shared/stripe/signature.ts";
import type { Allowlist } from "./allowlist.ts";
import { type Envelope, parseEnvelope } from "./envelope.ts";
import type { Receiver } from "./receiver.ts";
import type { Rejections } from "./rejections.ts";

export interface Deps {
  env: Pick<Env, "livemode" | "stripeAccountId" | "stripeWebhookSecrets" | "stripeWebhookIpMode">;
  receiver: Receiver;
  allowlist: Pick<Allowlist, "check">;
  rejections: Rejections;
  /** Begins to end payment pages and returns at once; what does not succeed is left to their jobs. */
  endSessions: (sessionIds: string[]) => void;
  log: Logger;
  now: () => number;
}

/** Stripe's largest events are a few hundred kilobytes. */
const bodyLimitBytes = 1024 * 1024;

/** Failed checks that say something about the caller and count towards its limit. */
const countedCodes: ReadonlySet<ErrorCode> = new Set([
  "missing_signature",
  "invalid_signature",
  "timestamp_out_of_tolerance",
  "invalid_payload",
  "ip_not_allowed",
  "body_too_large",
  "request_timeout",
]);

/** Where a request came from, as far as it matters here. */
interface Caller {
  address: string | null;
  membership: "listed" | "unlisted" | "unknown";
  /** Seconds for which it is shut out, having failed too often; null: it is not. */
  blockedSeconds: number | null;
}

/** Answers one delivery; `POST` only. */
export function handle(request: Request, deps: Deps): Promise<Response> {
  return respond(request, { methods: ["POST"], allowedOrigins: null, log: deps.log }, async (context) => {
    const caller: Caller = {
      address: clientAddress(request.headers),
      membership: "unknown",
      blockedSeconds: null,
    };
    try {
      await identifyCaller(caller, deps);
      const signature = request.headers.get("stripe-signature");
      refuseBlocked(caller, mayBeSigned(signature, deps.now()), deps);
      refuseUnlisted(caller, deps);
      const body = await readBody(request, bodyLimitBytes);
      await verifySignature(body, signature, deps.env.stripeWebhookSecrets, deps.now());
      return await receive(parseEnvelope(body), caller, deps, context);
    } catch (error) {
      throw await countFailure(error, caller, deps.rejections);
    }
  });
}

/** Addresses of Stripe's are never shut out, and neither is the bucket of callers without an address. */
async function identifyCaller(caller: Caller, deps: Deps): Promise<void> {
  if (caller.address === null) return;
  caller.membership = await deps.allowlist.check(caller.address);
  if (caller.membership !== "listed") caller.blockedSeconds = deps.rejections.blockedFor(caller.address);
}

/**
 * Turns away an address that has failed too often, before its body is read. Where Stripe may be behind the same address
 * (a proxy, a list that is out of date), what could be signed is still looked at: no authentic event is refused.
 */
function refuseBlocked(caller: Caller, signed: boolean, deps: Deps): void {
  if (caller.blockedSeconds === null || (signed && !isRefused(caller, deps))) return;
  throw turnedAway(caller, caller.blockedSeconds, deps.rejections);
}

function turnedAway({ address }: Caller, seconds: number, rejections: Rejections): AppError {
  rejections.countBlocked(address);
  return new AppError("rate_limited", { retryAfterSeconds: seconds });
}

/** The second fence. Without an address or without a list it stays open: the signature is the authentication. */
function refuseUnlisted(caller: Caller, deps: Deps): void {
  if (isRefused(caller, deps)) throw new AppError("ip_not_allowed");
}

function isRefused({ membership }: Caller, { env }: Deps): boolean {
  return membership === "unlisted" && env.stripeWebhookIpMode === "enforce";
}

/** Counts a refused request; one too many becomes 429. Failures on our own side are not the caller's. */
async function countFailure(error: unknown, caller: Caller, rejections: Rejections): Promise<unknown> {
  if (!(error instanceof AppError) || !countedCodes.has(error.code)) return error;
  if (caller.blockedSeconds !== null) return turnedAway(caller, caller.blockedSeconds, rejections);
  const wait = await rejections.count(error.code, caller.address, caller.membership === "listed");
  return wait === null ? error : new AppError("rate_limited", { retryAfterSeconds: wait });
}

async function receive(
  event: Envelope,
  caller: Caller,
  deps: Deps,
  context: RequestContext,
): Promise<Response> {
  const startedAt = deps.now();
  context.span?.set({ "event.id": event.id, "event.type": event.type });
  const stored = await store(event, caller, judge(event.payload, deps.env), deps);
  const [orderId] = stored.order_ids ?? [];
  const log = orderId === undefined ? context.log : context.concerns(orderId);
  context.span?.set({ "event.outcome": stored.outcome, "event.deliveries": stored.delivery_count });
  log.info("webhook_received", {
    event_id: event.id,
    type: event.type,
    outcome: stored.outcome,
    reason: stored.reason ?? undefined,
    delivery_count: stored.delivery_count,
    duration_ms: deps.now() - startedAt,
  });
  if (stored.closing_sessions?.length) deps.endSessions(stored.closing_sessions);
  return json({ received: true, event_id: event.id, outcome: stored.outcome });
}

async function store(event: Envelope, caller: Caller, judgement: Judgement, deps: Deps) {
  try {
    return await deps.receiver.receive({
      p_event_id: event.id,
      p_type: event.type,
      p_livemode: event.livemode,
      p_api_version: event.apiVersion,
      p_stripe_created_at: event.created.toISOString(),
      p_source_ip: caller.address,
      p_payload: event.payload,
      p_alerts: alertsFor(event, caller, judgement, deps),
      ...judged(judgement),
    });
  } catch (error) {
    // Not stored, so not acknowledged: Stripe delivers it again.
    throw new AppError("not_recorded", { details: { event_id: event.id, type: event.type }, cause: error });
  }
}

/** What staff should know about a delivery that is authentic and odd. */
function alertsFor(event: Envelope, caller: Caller, judgement: Judgement, { env, log }: Deps): Alert[] {
  const ignored = "ignoredReason" in judgement ? judgement.ignoredReason : null;
  const alerts: Alert[] = [];
  const raise = (kind: string, dedupe: string, data: Record<string, unknown>) => {
    alerts.push({
      kind,
      severity: "warning",
      dedupe_key: `${kind}:${dedupe}`,
      data: { event_id: event.id, ...data },
    });
    log.warn(kind, { event_id: event.id, type: event.type });
  };
  if (ignored === "thin_payload") raise("webhook_thin_payload", event.type, { type: event.type });
  else if (ignored === "connected_account") {
    raise("webhook_connected_account", "any", {
      account: event.payload["account"] ?? event.payload["context"],
    });
  } else if (ignored === "other_livemode") {
    raise("webhook_other_livemode", "any", { livemode: event.livemode });
  } else if (!event.thin && event.apiVersion !== stripeApiVersion) {
    raise("webhook_api_version", event.apiVersion, {
      expected: stripeApiVersion,
      received: event.apiVersion,
    });
  }
  if (caller.address === null) raise("webhook_address_unknown", "any", {});
  else if (caller.membership === "unlisted" && env.stripeWebhookIpMode === "report") {
    raise("webhook_address_unlisted", caller.address, { source_ip: caller.address });
  }
  return alerts;
}
