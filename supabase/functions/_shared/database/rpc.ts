/**
 * One typed wrapper per SQL function, with the function's name in camelCase; the only caller of `.rpc()`.
 * Each call is one transaction and one round trip.
 */
import { PostgrestClient } from "@supabase/postgrest-js";
import { holdsId, maskCardNumbers } from "../text/card_numbers.ts";
import type { Env } from "../env.ts";
import { type DatabaseFailure, fromDatabaseFailure, isRepeatable } from "../errors.ts";
import { maskText } from "../log.ts";
import type {
  BegunCheckout,
  Bucket,
  Checkout,
  CheckoutRefusal,
  CheckoutRequest,
  DisputeEvidence,
  EndpointLook,
  EventOutcome,
  FoundCheckout,
  HealthFigures,
  Job,
  JobResult,
  LimitDecision,
  LostCheckout,
  Notification,
  ObjectState,
  OrderStatus,
  ReceivedEvent,
  RedrivenItem,
  RedriveSelection,
  RefundJudgement,
  Repair,
  RestartedCheckout,
  ResumedCheckout,
  ResumeRequest,
  StoredAlert,
  StoredEvent,
} from "./rpc_shapes.ts";
import type { CheckoutSessionFact, Fact } from "../stripe_events/facts.ts";

export type * from "./rpc_shapes.ts";

/** Slower than this and the caller is better served by a retry; Stripe itself waits longer. */
const timeoutMs = 10_000;
const repeatLimit = 3;

type RpcEnv = Pick<Env, "supabaseUrl" | "secretKeys">;
type RpcCalls = ReturnType<typeof rpcCalls>;
export interface Rpc extends RpcCalls {
  /** The same calls for a caller with a deadline: each gives up after what `limitMs` says as it begins. */
  within(limitMs: () => number): RpcCalls;
}

/** Wrappers around the SQL functions, called with the project's secret key. */
export function createRpc(env: RpcEnv, fetcher: typeof fetch = fetch): Rpc {
  const client = new PostgrestClient(`${env.supabaseUrl}/rest/v1`, {
    headers: { apikey: env.secretKeys["default"] ?? Object.values(env.secretKeys)[0] ?? "" },
    fetch: fetcher,
    retry: false,
  });
  const within = (limitMs: () => number) => rpcCalls(client, limitMs);
  return { ...within(() => timeoutMs), within };
}

function rpcCalls(client: PostgrestClient, limitMs: () => number) {
  async function call<T>(name: string, args: object = {}): Promise<T> {
    const signal = AbortSignal.timeout(limitMs());
    for (let round = 1;; round++) {
      const { data, error, status } = await client.rpc(name, storable(args)).abortSignal(signal);
      if (error === null) return data as T;
      const failure: DatabaseFailure = {
        code: error.code ?? "",
        message: error.message,
        details: error.details ?? null,
        status,
      };
      if (!isRepeatable(failure) || round === repeatLimit) throw fromDatabaseFailure(failure);
      await pause(round * 20 * (1 + Math.random()));
    }
  }

  return {
    /** Stores a verified event, merges its facts and settles, in one transaction. */
    receiveStripeEvent: (event: ReceivedEvent) =>
      call<EventOutcome>("receive_stripe_event", { ...event, p_error: maskedOrNull(event.p_error) }),

    /** Applies a stored event again after a failure. */
    retryStripeEvent: (
      eventId: string,
      result: { facts: Fact[] } | { ignoredReason: string } | { error: string },
    ) =>
      call<Omit<EventOutcome, "delivery_count">>("retry_stripe_event", {
        p_event_id: eventId,
        p_facts: "facts" in result ? result.facts : null,
        p_ignored_reason: "ignoredReason" in result ? result.ignoredReason : null,
        p_error: "error" in result ? maskText(result.error) : null,
      }),

    getStripeEvent: (eventId: string) =>
      call<StoredEvent | null>("get_stripe_event", { p_event_id: eventId }),

    /** Merges facts that were read from Stripe's API and settles their orders. */
    applyStripeFacts: (
      facts: Fact[],
      source: "order_status" | "reconcile" | "job" | "checkout",
      observedAt: Date,
    ) =>
      call<{ applied: boolean; order_ids: string[] }>("apply_stripe_facts", {
        p_facts: facts,
        p_source: source,
        p_observed_at: observedAt.toISOString(),
      }),

    /** Counts one request in each bucket; refused when any is full. */
    takeRateLimits: (buckets: Bucket[]) => call<LimitDecision>("take_rate_limits", { p_buckets: buckets }),

    /** @throws AppError `unknown_sku`, `insufficient_stock`, `idempotency_conflict`, `invalid_request`. */
    beginCheckout: (request: CheckoutRequest) => call<BegunCheckout>("begin_checkout", request),

    /** A further attempt for an order whose session can no longer be created as it was first asked for. */
    restartCheckoutAttempt: (orderId: string, attempt: number, sessionSeconds: number, holdSeconds: number) =>
      call<RestartedCheckout>("restart_checkout_attempt", {
        p_order_id: orderId,
        p_attempt: attempt,
        p_session_seconds: sessionSeconds,
        p_hold_seconds: holdSeconds,
      }),

    /** `emailChange`: the snapshot's `customer_email_change`; null when Stripe's customer was not touched. */
    attachCheckoutSession: (
      orderId: string,
      attempt: number,
      fact: CheckoutSessionFact,
      emailChange: number | null = null,
    ) =>
      call<{ created: boolean; status: string }>("attach_checkout_session", {
        p_order_id: orderId,
        p_attempt: attempt,
        p_fact: fact,
        p_email_change: emailChange,
      }),

    /** Changes nothing. @throws AppError `order_not_found`. */
    findOpenCheckout: (orderId: string) => call<FoundCheckout>("find_open_checkout", { p_order_id: orderId }),

    /** @throws AppError `order_not_found`, `insufficient_stock`. */
    resumeCheckout: (request: ResumeRequest) => call<ResumedCheckout>("resume_checkout", request),

    /** Stripe says that this customer is gone; answers the order's checkout without it. */
    forgetStripeCustomer: (orderId: string, stripeCustomerId: string) =>
      call<Checkout>("forget_stripe_customer", {
        p_order_id: orderId,
        p_stripe_customer_id: stripeCustomerId,
      }),

    getOrderStatus: (sessionId: string) =>
      call<OrderStatus | null>("get_order_status", { p_session_id: sessionId }),

    recordWebhookRejection: (reason: string, sourceIp: string | null, count: number) =>
      call<{ recorded: true }>("record_webhook_rejection", {
        p_reason: reason,
        p_source_ip: sourceIp,
        p_count: count,
      }),

    getWebhookAllowlist: () =>
      call<{ addresses: string[]; refreshed_at: string | null }>("get_webhook_allowlist"),

    getHealth: () => call<HealthFigures>("get_health"),

    /** Leases due jobs to this worker; kinds null takes any. */
    claimJobs: (worker: string, limit: number, leaseSeconds: number, kinds: string[] | null) =>
      call<{ jobs: Job[] }>("claim_jobs", {
        p_worker: worker,
        p_limit: limit,
        p_lease_seconds: leaseSeconds,
        p_kinds: kinds,
      }),

    /** Ends leases. `finished` is false where the lease was lost: someone else owns that job now. */
    finishJobs: (results: JobResult[]) =>
      call<{ jobs: { id: number; finished: boolean; status: string | null }[] }>("finish_jobs", {
        p_results: storable(results.map((result) => ({ ...result, reason: maskedOrNull(result.reason) }))),
      }),

    /** Queues what is due by the clock, and notes that somebody works. */
    enqueuePeriodicJobs: (settings: { admin_require_mfa: boolean }) =>
      call<{ queued: number }>("enqueue_periodic_jobs", { p_settings: settings }),

    countJobs: () => call<{ remaining: number }>("count_jobs"),

    /** Whether a refund may be made now; apply what Stripe lists first. */
    judgeRefund: (requestId: string) => call<RefundJudgement>("judge_refund", { p_request_id: requestId }),

    getNotification: (id: string) => call<Notification | null>("get_notification", { p_notification_id: id }),

    recordNotificationResult: (
      id: string,
      recipient: string | null,
      result: { status: "sent"; providerId: string | null } | { status: "failed" | "skipped"; error: string },
    ) =>
      call<{ recorded: boolean }>("record_notification_result", {
        p_notification_id: id,
        p_status: result.status,
        p_recipient: recipient,
        p_provider_id: result.status === "sent" ? result.providerId : null,
        p_error: result.status === "sent" ? null : maskText(result.error),
      }),

    /** What a dispute can be answered with; null for a dispute that is not stored. */
    getDisputeEvidence: (id: string) =>
      call<DisputeEvidence | null>("get_dispute_evidence", { p_dispute_id: id }),

    /** Tells staff that evidence is due; `run_at` (ISO 8601) is set when it is too early for that. */
    remindDispute: (id: string, days: number) =>
      call<{ outcome: "reminded" | "over"; run_at: null } | { outcome: "early"; run_at: string }>(
        "remind_dispute",
        { p_dispute_id: id, p_days: days },
      ),

    getAlert: (id: string) => call<StoredAlert | null>("get_alert", { p_alert_id: id }),

    /** Attempts whose session nobody knows, and that can get none any more. */
    getLostCheckouts: (limit: number) =>
      call<{ checkouts: LostCheckout[] }>("get_lost_checkouts", { p_limit: limit }),

    /**
     * Gives up an attempt that has no session at Stripe; its stock becomes free. With `refusal` staff are told why
     * Stripe does not take the order.
     */
    abandonCheckout: (orderId: string, attempt: number, refusal: CheckoutRefusal | null = null) =>
      call<unknown>("abandon_checkout", { p_order_id: orderId, p_attempt: attempt, p_refusal: refusal }),

    replaceWebhookAddresses: (addresses: string[]) =>
      call<{ added: string[]; removed: string[] }>("replace_webhook_addresses", { p_addresses: addresses }),

    /** Notes what Stripe says of the endpoint at our address, in the mode of the key. */
    recordWebhookEndpoint: (livemode: boolean, look: EndpointLook) =>
      call<{ recorded: true }>("record_webhook_endpoint", {
        p_livemode: livemode,
        p_state: look.state,
        p_endpoint_id: look.endpointId,
        p_differences: look.differences,
      }),

    purgeOldData: (limit: number) =>
      call<{ purged: Record<string, number>; more: boolean }>("purge_old_data", { p_limit: limit }),

    getReconciliationCursor: (name: string) =>
      call<{ position: string }>("get_reconciliation_cursor", { p_name: name }),

    advanceReconciliationCursor: (name: string, position: Date) =>
      call<{ position: string }>("advance_reconciliation_cursor", {
        p_name: name,
        p_position: position.toISOString(),
      }),

    listUnknownEvents: (eventIds: string[]) =>
      call<{ event_ids: string[] }>("list_unknown_events", { p_event_ids: eventIds }),

    /** Receives an event that never arrived, and writes down what that repaired. */
    reconcileStripeEvent: (
      runId: string,
      event: unknown,
      judgement: { facts: Fact[] } | { ignoredReason: string } | { error: string },
      dryRun: boolean,
    ) =>
      call<Repair & { outcome: EventOutcome["outcome"] }>("reconcile_stripe_event", {
        p_run_id: runId,
        p_event: storable(event),
        p_facts: "facts" in judgement ? storable(judgement.facts) : null,
        p_ignored_reason: "ignoredReason" in judgement ? judgement.ignoredReason : null,
        p_error: "error" in judgement ? maskText(judgement.error) : null,
        p_dry_run: dryRun,
      }),

    /** Applies what Stripe's API says of an object, and writes down what that repaired. */
    reconcileStripeObject: (
      runId: string,
      object: { kind: string; id: string },
      facts: Fact[],
      observedAt: Date,
      dryRun: boolean,
    ) =>
      call<Repair>("reconcile_stripe_object", {
        p_run_id: runId,
        p_kind: object.kind,
        p_object_id: object.id,
        p_facts: facts,
        p_observed_at: observedAt.toISOString(),
        p_dry_run: dryRun,
      }),

    listDifferingObjects: (objects: ObjectState[]) =>
      call<{ ids: string[] }>("list_differing_objects", { p_objects: objects }),

    listOpenCheckouts: (limit: number) =>
      call<{ session_ids: string[] }>("list_open_checkouts", { p_limit: limit }),

    /** Queues dead and failed events and jobs again; see the SQL function. */
    redrive: (selection: RedriveSelection) => call<{ items: RedrivenItem[] }>("redrive", selection),
  };
}

/**
 * A JSON value that may be stored. NUL characters and lone surrogates, legal in JSON, are refused by Postgres, and an
 * event that cannot be stored would be delivered again for days. A card number that somebody has typed into a name, an
 * address or whatever else is masked: the shop must not keep one.
 */
export function storable<T>(value: T): T {
  if (typeof value === "string") return maskCardNumbers(wellFormed(value)) as T;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(storable) as T;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      storable(key),
      typeof item === "string" && holdsId(key) ? wellFormed(item) : storable(item),
    ]),
  ) as T;
}

/** What a provider or the database said, as it may be kept and shown to staff. */
function maskedOrNull(text: string | null): string | null {
  return text === null ? null : maskText(text);
}

function wellFormed(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
