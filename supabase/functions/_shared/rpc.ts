/**
 * One typed wrapper per SQL function, with the function's name in camelCase; the only caller of `.rpc()`.
 * Each call is one transaction and one round trip.
 */
import { PostgrestClient } from "@supabase/postgrest-js";
import type { Env } from "./env.ts";
import { AppError, type DatabaseFailure, fromDatabaseFailure, isRepeatable } from "./errors.ts";
import type { Address, CheckoutSessionFact, Fact } from "./stripe_events/facts.ts";

/** What the database says about a received event. */
export interface EventOutcome {
  outcome: "applied" | "duplicate" | "ignored" | "queued";
  delivery_count: number;
  reason?: string | null;
}

/** Something staff should know; repeated raises with one `dedupe_key` count up instead of piling up. */
export interface Alert {
  kind: string;
  severity: "info" | "warning" | "critical";
  dedupe_key: string;
  data: Record<string, unknown>;
}

export interface ReceivedEvent {
  p_event_id: string;
  p_type: string;
  p_livemode: boolean;
  p_api_version: string;
  /** ISO 8601. */
  p_stripe_created_at: string;
  p_source_ip: string | null;
  p_payload: unknown;
  /** Exactly one of the next three is set. */
  p_facts: Fact[] | null;
  p_ignored_reason: string | null;
  p_error: string | null;
  p_alerts: Alert[];
}

export interface StoredEvent {
  id: string;
  type: string;
  livemode: boolean;
  api_version: string;
  stripe_created_at: string;
  status: string;
  payload: unknown;
}

export interface Bucket {
  key: string;
  limit: number;
  window_seconds: number;
}

export interface LimitDecision {
  allowed: boolean;
  retry_after_seconds: number;
  /** The bucket that refused. */
  key: string | null;
}

export interface CheckoutRequest {
  p_items: { sku: string; quantity: number }[];
  p_idempotency_key: string | null;
  p_user_id: string | null;
  p_email: string | null;
  p_client_ip: string | null;
  p_user_agent: string | null;
  p_locale: string | null;
  p_livemode: boolean;
  p_session_seconds: number;
  p_hold_seconds: number;
}

export interface CheckoutItem {
  sku: string;
  name: string;
  description: string | null;
  image_url: string | null;
  quantity: number;
  unit_amount: number;
  stripe_price_id: string | null;
}

/** An order that waits for its payment, as the Stripe session is made from it. */
export interface Checkout {
  outcome: "created" | "existing";
  order_id: string;
  order_number: string;
  attempt: number;
  currency: string;
  amount_subtotal: number;
  /** Epoch seconds, fixed for the attempt: a repeated Stripe call sends the same parameters. */
  session_expires_at: number;
  email: string | null;
  stripe_customer_id: string | null;
  cart_hash: string;
  items: CheckoutItem[];
  session: { id: string; url: string | null; status: string; expires_at: number } | null;
}

export type BegunCheckout = Checkout | { outcome: "velocity_exceeded"; retry_after_seconds: number };

export interface OrderStatus {
  order_number: string;
  status: string;
  fulfillment_status: string;
  currency: string;
  amount_total: number;
  items: { sku: string; name: string; quantity: number; unit_amount: number }[];
  paid_at: string | null;
  /** False: Stripe may know more than the database; ask it. */
  settled: boolean;
}

export interface Job {
  id: number;
  kind: string;
  payload: Record<string, unknown>;
  attempts: number;
  max_attempts: number;
  lease_id: string;
  created_at: string;
}

export interface HealthFigures {
  checks: Record<string, Record<string, unknown>>;
}

export interface Notification {
  id: string;
  order_id: string | null;
  template: string;
  /** Null: no address is known yet. */
  recipient: string | null;
  status: "queued" | "sent" | "failed";
  data: Record<string, unknown>;
  order: NotificationOrder;
}

/** What a mail can show of its order. */
export interface NotificationOrder {
  number: string;
  status: string;
  fulfillment_status: string;
  currency: string;
  amount_subtotal: number;
  amount_discount: number;
  amount_shipping: number;
  amount_tax: number;
  amount_total: number;
  amount_refunded: number;
  customer_name: string | null;
  shipping_name: string | null;
  shipping_address: Address | null;
  carrier: string | null;
  tracking_number: string | null;
  locale: string | null;
  paid_at: string | null;
  items: { sku: string; name: string; quantity: number; unit_amount: number }[];
}

export interface StoredAlert extends Alert {
  id: string;
  status: string;
  count: number;
  first_at: string;
  last_at: string;
}

/** Slower than this and the caller is better served by a retry; Stripe itself waits longer. */
const timeoutMs = 10_000;
const repeatLimit = 3;

type RpcEnv = Pick<Env, "supabaseUrl" | "secretKeys">;
export type Rpc = ReturnType<typeof createRpc>;

/** Wrappers around the SQL functions, called with the project's secret key. */
export function createRpc(env: RpcEnv, fetcher: typeof fetch = fetch) {
  const client = new PostgrestClient(`${env.supabaseUrl}/rest/v1`, {
    headers: { apikey: env.secretKeys["default"] ?? Object.values(env.secretKeys)[0] ?? "" },
    fetch: (input, init) => fetcher(input, { ...init, signal: AbortSignal.timeout(timeoutMs) }),
    retry: false,
  });

  async function call<T>(name: string, args: object = {}): Promise<T> {
    for (let round = 1;; round++) {
      const { data, error, status } = await client.rpc(name, args);
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
      call<EventOutcome>("receive_stripe_event", {
        ...event,
        p_payload: storable(event.p_payload),
        p_facts: storable(event.p_facts),
      }),

    /** Applies a stored event again after a failure. */
    retryStripeEvent: (
      eventId: string,
      result: { facts: Fact[] } | { ignoredReason: string } | { error: string },
    ) =>
      call<Omit<EventOutcome, "delivery_count">>("retry_stripe_event", {
        p_event_id: eventId,
        p_facts: "facts" in result ? storable(result.facts) : null,
        p_ignored_reason: "ignoredReason" in result ? result.ignoredReason : null,
        p_error: "error" in result ? result.error : null,
      }),

    getStripeEvent: (eventId: string) =>
      call<StoredEvent | null>("get_stripe_event", { p_event_id: eventId }),

    /** Merges facts that were read from Stripe's API and settles their orders. */
    applyStripeFacts: (facts: Fact[], source: "order_status" | "reconcile" | "job", observedAt: Date) =>
      call<{ applied: boolean; order_ids: string[] }>("apply_stripe_facts", {
        p_facts: storable(facts),
        p_source: source,
        p_observed_at: observedAt.toISOString(),
      }),

    /** Counts one request in each bucket; refused when any is full. */
    takeRateLimits: (buckets: Bucket[]) => call<LimitDecision>("take_rate_limits", { p_buckets: buckets }),

    /** @throws AppError `unknown_sku`, `insufficient_stock`, `idempotency_conflict`, `invalid_request`. */
    beginCheckout: (request: CheckoutRequest) => call<BegunCheckout>("begin_checkout", request),

    /** A further attempt for an order whose session can no longer be created as it was first asked for. */
    restartCheckoutAttempt: (orderId: string, attempt: number, sessionSeconds: number, holdSeconds: number) =>
      call<Checkout>("restart_checkout_attempt", {
        p_order_id: orderId,
        p_attempt: attempt,
        p_session_seconds: sessionSeconds,
        p_hold_seconds: holdSeconds,
      }),

    attachCheckoutSession: (orderId: string, attempt: number, fact: CheckoutSessionFact) =>
      call<{ created: boolean; status: string }>("attach_checkout_session", {
        p_order_id: orderId,
        p_attempt: attempt,
        p_fact: storable(fact),
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

    /** `finished` is false when the lease was lost: someone else owns the job now. */
    finishJob: (
      job: Pick<Job, "id" | "lease_id">,
      outcome: "done" | "discard" | "retry" | "snooze",
      reason: string | null,
      runAt: Date | null,
    ) =>
      call<{ finished: boolean; status: string }>("finish_job", {
        p_job_id: job.id,
        p_lease_id: job.lease_id,
        p_outcome: outcome,
        p_reason: reason,
        p_run_at: runAt?.toISOString() ?? null,
      }),

    countJobs: () => call<{ remaining: number }>("count_jobs"),

    getNotification: (id: string) => call<Notification | null>("get_notification", { p_notification_id: id }),

    recordNotificationResult: (
      id: string,
      recipient: string | null,
      result: { status: "sent"; providerId: string } | { status: "failed"; error: string },
    ) =>
      call<{ recorded: boolean }>("record_notification_result", {
        p_notification_id: id,
        p_status: result.status,
        p_recipient: recipient,
        p_provider_id: result.status === "sent" ? result.providerId : null,
        p_error: result.status === "failed" ? result.error : null,
      }),

    getAlert: (id: string) => call<StoredAlert | null>("get_alert", { p_alert_id: id }),
  };
}

/**
 * A JSON value that `jsonb` accepts: NUL characters and lone surrogates, legal in JSON, are refused by
 * Postgres, and an event that cannot be stored would be delivered again for days.
 */
export function storable<T>(value: T): T {
  if (typeof value === "string") return value.toWellFormed().replaceAll("\0", "\uFFFD") as T;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(storable) as T;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [storable(key), storable(item)])) as T;
}

/** True for failures of the database that a later call may not meet. */
export function isDatabaseOutage(error: unknown): boolean {
  return error instanceof AppError && error.code === "database_unavailable";
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
