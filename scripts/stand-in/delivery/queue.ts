import type Stripe from "stripe";
import type { Pace } from "../core/context.ts";
import { API_VERSION } from "../core/api_version.ts";
import { eventAsOf } from "../core/older_shapes.ts";
import type { Store } from "../core/store.ts";
import type { Faults } from "./faults.ts";
import { signatureHeader } from "./signature.ts";
import { type StoredEvent, wants } from "./events.ts";

interface DueDelivery {
  id: number;
  event_id: string;
  endpoint_id: string;
  attempts: number;
  type: string;
  body: string;
  created: number;
}

/** One attempt, as `/_control/deliveries` shows it. */
export interface Attempt {
  event_id: string;
  type: string;
  endpoint_id: string;
  url: string;
  attempt: number;
  /** HTTP status; 0 when there was no answer. */
  status: number;
  error: string | null;
  response: string | null;
  at: string;
  duration_ms: number;
}

const CONCURRENCY = 16;
const RESPONSE_EXCERPT = 300;

/** Delivers queued events to webhook endpoints, with retries that outlive a restart. */
export class DeliveryQueue {
  readonly #store: Store;
  readonly #faults: Faults;
  readonly #pace: Pace;
  readonly #inFlight = new Map<number, Promise<void>>();
  readonly #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endpoints: Stripe.WebhookEndpoint[] | undefined;
  #waiters: (() => void)[] = [];
  #stopped = false;

  constructor(store: Store, faults: Faults, pace: Pace) {
    this.#store = store;
    this.#faults = faults;
    this.#pace = pace;
  }

  /** Endpoints changed: read them again. */
  forgetEndpoints(): void {
    this.#endpoints = undefined;
  }

  /** The enabled endpoints that want this type. */
  endpointsFor(type: string): Stripe.WebhookEndpoint[] {
    this.#endpoints ??= this.#store.all("webhook_endpoint").filter(({ status }) => status === "enabled");
    return this.#endpoints.filter(({ enabled_events }) => wants(enabled_events, type));
  }

  /** Queues an event for an endpoint, as often as the faults say. */
  enqueue(eventId: string, endpointId: string): void {
    const copies = Math.max(1, this.#faults.deliver.duplicate);
    for (let copy = 0; copy < copies; copy++) {
      this.#store.run(
        "insert into deliveries (event_id, endpoint_id, next_at) values (?, ?, ?)",
        eventId,
        endpointId,
        Date.now() + this.#faults.initialDelayMs(),
      );
    }
  }

  /** Starts what is due, and sets the alarm for what comes next. */
  pump(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const free = CONCURRENCY - this.#inFlight.size;
    if (free <= 0) return;
    // One moment for both questions: what falls due between two would be asked for by neither, and wait for ever.
    const now = Date.now();
    const due = this.#store.rows<DueDelivery>(
      `select d.id, d.event_id, d.endpoint_id, d.attempts, e.type, e.body, e.created
       from deliveries d join events e on e.id = d.event_id
       where d.state = 'pending' and d.next_at <= ? order by d.next_at, d.id limit ?`,
      now,
      free + this.#inFlight.size,
    ).filter(({ id }) => !this.#inFlight.has(id)).slice(0, free);
    for (const delivery of due) {
      const work = this.#attempt(delivery).finally(() => {
        this.#inFlight.delete(delivery.id);
        this.pump();
      });
      this.#inFlight.set(delivery.id, work);
    }
    if (due.length === free) return;
    const next = this.#store.row<{ at: number | null }>(
      "select min(next_at) as at from deliveries where state = 'pending' and next_at > ?",
      now,
    )?.at ?? null;
    if (next !== null) this.#timer = setTimeout(() => this.pump(), Math.max(1, next - Date.now()));
    else if (this.#inFlight.size === 0 && this.pending() === 0) this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  pending(): number {
    return this.#store.row<{ n: number }>("select count(*) as n from deliveries where state = 'pending'")
      ?.n ?? 0;
  }

  /** True when nothing is pending any more; false when the time ran out first. */
  async flushed(timeoutMs: number): Promise<boolean> {
    if (this.pending() === 0) return true;
    const idle = new Promise<boolean>((resolve) => this.#waiters.push(() => resolve(true)));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    try {
      return await Promise.race([idle, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #attempt(delivery: DueDelivery): Promise<void> {
    const endpoint = this.#store.get("webhook_endpoint", delivery.endpoint_id);
    if (endpoint === undefined || endpoint.status !== "enabled") {
      this.#store.run("update deliveries set state = 'given_up' where id = ?", delivery.id);
      return;
    }
    const startedAt = Date.now();
    const outcome = this.#faults.loses()
      ? { status: 0, error: "lost by fault injection", response: null }
      : await this.#post(endpoint, delivery);
    if (this.#stopped) return;
    const attempt = delivery.attempts + 1;
    this.#store.transaction(() => {
      this.#store.run(
        `insert into attempts (event_id, type, endpoint_id, url, attempt, status, error, response, at, duration_ms)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        delivery.event_id,
        delivery.type,
        endpoint.id,
        endpoint.url,
        attempt,
        outcome.status,
        outcome.error,
        outcome.response,
        startedAt,
        Date.now() - startedAt,
      );
      const delivered = outcome.status >= 200 && outcome.status < 300;
      if (delivered) this.#succeed(delivery.id, endpoint.id, attempt);
      else this.#retryLater(delivery, endpoint, attempt);
    });
  }

  async #post(
    endpoint: Stripe.WebhookEndpoint,
    delivery: DueDelivery,
  ): Promise<{ status: number; error: string | null; response: string | null }> {
    const body = this.#bodyFor(endpoint, delivery.body);
    const internals = this.#store.internals("webhook_endpoint", endpoint.id);
    const secrets = [
      ...(internals === undefined ? [] : [internals.secret]),
      ...(internals !== undefined && internals.previousSecret !== null &&
          internals.previousUntilMs > Date.now()
        ? [internals.previousSecret]
        : []),
    ];
    try {
      const response = await fetch(endpoint.url, {
        method: "POST",
        // Stripe counts a redirect as a failure and never follows it.
        redirect: "manual",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "cache-control": "no-cache",
          "stripe-signature": signatureHeader(body, secrets, Math.floor(Date.now() / 1000)),
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
        body,
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(this.#pace.deliveryTimeoutMs)]),
      });
      const text = await response.text();
      return { status: response.status, error: null, response: text.slice(0, RESPONSE_EXCERPT) };
    } catch (error) {
      return { status: 0, error: error instanceof Error ? error.message : String(error), response: null };
    }
  }

  /** What an endpoint gets: the event in the shapes of the API version that it is pinned to. */
  #bodyFor({ api_version: version }: Stripe.WebhookEndpoint, body: string): string {
    if (version === null || version === API_VERSION) return body;
    const event = JSON.parse(body) as StoredEvent;
    return JSON.stringify(eventAsOf(version, event, this.#store));
  }

  #succeed(id: number, endpointId: string, attempt: number): void {
    this.#store.run("update deliveries set state = 'done', attempts = ? where id = ?", attempt, id);
    const internals = this.#store.internals("webhook_endpoint", endpointId);
    if (internals !== undefined && internals.failingSinceMs !== null) {
      this.#store.setInternals("webhook_endpoint", endpointId, { ...internals, failingSinceMs: null });
    }
  }

  #retryLater(delivery: DueDelivery, endpoint: Stripe.WebhookEndpoint, attempt: number): void {
    const delays = this.#pace.retryDelaysMs;
    const delay = delays[Math.min(attempt, delays.length) - 1] ?? 1000;
    const tooOld = Date.now() - delivery.created * 1000 > this.#pace.giveUpAfterMs;
    this.#store.run(
      "update deliveries set attempts = ?, next_at = ?, state = ? where id = ?",
      attempt,
      Date.now() + delay,
      tooOld ? "given_up" : "pending",
      delivery.id,
    );
    const internals = this.#store.internals("webhook_endpoint", endpoint.id);
    if (internals === undefined) return;
    const failingSinceMs = internals.failingSinceMs ?? Date.now();
    this.#store.setInternals("webhook_endpoint", endpoint.id, { ...internals, failingSinceMs });
    if (Date.now() - failingSinceMs < this.#pace.disableAfterMs) return;
    // Read again: it may have been changed or deleted while the attempt was under way.
    const current = this.#store.get("webhook_endpoint", endpoint.id);
    if (current !== undefined) this.#store.put("webhook_endpoint", { ...current, status: "disabled" });
    this.#store.run(
      "update deliveries set state = 'given_up' where endpoint_id = ? and state = 'pending'",
      endpoint.id,
    );
    this.forgetEndpoints();
  }

  /** The newest attempts first; `limit` null shows all. */
  attempts(limit: number | null, eventId?: string): Attempt[] {
    const rows = this.#store.rows<Omit<Attempt, "at"> & { at: number }>(
      `select event_id, type, endpoint_id, url, attempt, status, error, response, at, duration_ms from attempts
       where (? is null or event_id = ?) order by id desc limit ?`,
      eventId ?? null,
      eventId ?? null,
      limit ?? -1,
    );
    return rows.map((row) => ({ ...row, at: new Date(row.at).toISOString() }));
  }

  /** Ends attempts under way; they stay queued and start anew next time. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
    await Promise.allSettled(this.#inFlight.values());
    this.#wake();
  }
}
