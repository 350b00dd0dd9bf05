import { refusalOf } from "./http/strangers.ts";
import { Api } from "./core/api.ts";
import { API_VERSION } from "./core/api_version.ts";
import type { Context, Pace, TaskKind } from "./core/context.ts";
import { previousOf } from "./core/previous.ts";
import { RequestLog } from "./core/request_log.ts";
import { Router } from "./core/router.ts";
import { Store } from "./core/store.ts";
import { Tasks } from "./core/tasks.ts";
import { ControlApi } from "./control/control.ts";
import { CliListeners } from "./delivery/cli_listeners.ts";
import { type EventType, recordEvent, type StoredEvent } from "./delivery/events.ts";
import { Faults } from "./delivery/faults.ts";
import { DeliveryQueue } from "./delivery/queue.ts";
import { HostedPages } from "./page/hosted_pages.ts";
import { decideDispute, lapseDispute } from "./payments/disputes.ts";
import { settleBankDebit } from "./payments/confirm.ts";
import { releaseFunds } from "./payments/balance.ts";
import { payOutDaily, payPayout } from "./payments/payouts.ts";
import { failRefund, succeedRefund } from "./payments/refunds.ts";
import { concludeAsync } from "./checkout/pay_session.ts";
import { lapseCoupon, lapsePromotionCode } from "./checkout/discounts.ts";
import { expireOnTime } from "./checkout/expire_session.ts";
import { allRoutes, includable } from "./resources/all.ts";
import { newId } from "./core/ids.ts";
import { linkedFile } from "./resources/files.ts";

export interface StripeOptions {
  /** 0 takes any free port. */
  port: number;
  /** Where the state is kept; null keeps it in memory. */
  dir: string | null;
  /** A key to accept beside every `sk_test_…` and `rk_test_…`. */
  secretKey?: string;
  /** Restricted keys (`rk_test_…`) and the permissions of each; a key that is not named here may do everything. */
  restrictedKeys?: Readonly<Record<string, readonly string[]>>;
  /** The secret of webhook endpoints created from now on, and of `stripe listen`. */
  webhookSecret?: string;
  pace?: Partial<Pace>;
  /** How long `/_control/flush` waits for deliveries. */
  flushMs?: number;
}

export interface RunningStripe {
  url: string;
  port: number;
  stop(): Promise<void>;
}

const DEFAULT_PACE: Pace = {
  retryDelaysMs: [1000, 2000, 4000, 8000, 15_000, 30_000, 60_000],
  disableAfterMs: 3 * 3600_000,
  giveUpAfterMs: 3 * 3600_000,
  deliveryTimeoutMs: 20_000,
  refundMs: 1000,
  bankDebitMs: 60_000,
  disputeMs: 500,
  payoutMs: 60_000,
};

/** Starts the Stripe stand-in on 127.0.0.1. */
export function startStripe(options: StripeOptions): Promise<RunningStripe> {
  return new Promise((resolve) => {
    if (options.dir !== null) Deno.mkdirSync(options.dir, { recursive: true });
    const store = new Store(options.dir === null ? null : `${options.dir}/stripe.db`);
    resolve(new StandIn(store, options).listen(options.port));
  });
}

/** The stand-in without a port of its own. */
export interface StripeParts {
  handle(request: Request): Response | Promise<Response>;
  stop(): Promise<void>;
}

/** The stand-in in this process, in memory: whoever calls `handle` says that it answers at `url`. */
export function createStripe(options: Omit<StripeOptions, "dir" | "port">, url: string): StripeParts {
  return new StandIn(new Store(null), { ...options, dir: null, port: 0 }).answerAt(url);
}

/** The parts of the stand-in and what binds them: one store, one queue, one clock. */
class StandIn {
  readonly #store: Store;
  readonly #pace: Pace;
  readonly #faults = new Faults();
  readonly #log = new RequestLog();
  readonly #queue: DeliveryQueue;
  readonly #listeners: CliListeners;
  readonly #tasks: Tasks;
  readonly #api: Api;
  readonly #pages: HostedPages;
  readonly #control: ControlApi;
  #baseUrl = "";

  constructor(store: Store, options: StripeOptions) {
    this.#store = store;
    this.#pace = { ...DEFAULT_PACE, ...options.pace };
    this.#queue = new DeliveryQueue(store, this.#faults, this.#pace);
    this.#listeners = new CliListeners(listenSecret(store, options.webhookSecret));
    this.#tasks = new Tasks(store, taskHandlers, (work) => this.#inContext(work));
    const router = new Router();
    router.add(allRoutes(
      { fixedSecret: options.webhookSecret ?? null, changed: () => this.#queue.forgetEndpoints() },
      (event, endpoint) => this.#resend(event, endpoint),
      (baseUrl) => this.#listeners.createSession(baseUrl),
    ));
    this.#api = new Api({
      store,
      router,
      faults: this.#faults,
      log: this.#log,
      secretKey: options.secretKey ?? null,
      restrictedKeys: new Map(
        Object.entries(options.restrictedKeys ?? {}).map(([key, names]) => [key, new Set(names)]),
      ),
      inContext: (work, request, version) => this.#inContext(work, request, version),
      includable,
    });
    const inContext = <T>(work: (context: Context) => T) => this.#inContext(work);
    this.#pages = new HostedPages(inContext);
    this.#control = new ControlApi({
      inContext,
      faults: this.#faults,
      log: this.#log,
      queue: this.#queue,
      flushMs: options.flushMs ?? 30_000,
      runTasks: (aheadMs) => this.#tasks.run(aheadMs),
    });
  }

  listen(port: number): RunningStripe {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port, onListen: () => {} },
      (request) => this.#handle(request),
    );
    const url = `http://127.0.0.1:${server.addr.port}`;
    this.#start(url);
    return { url, port: server.addr.port, stop: () => this.#stop(() => server.shutdown()) };
  }

  answerAt(url: string): StripeParts {
    this.#start(url);
    return { handle: (request) => this.#handle(request), stop: () => this.#stop() };
  }

  #start(url: string): void {
    this.#baseUrl = url;
    this.#tasks.run();
    this.#queue.pump();
  }

  async #stop(shutDown?: () => Promise<void>): Promise<void> {
    this.#tasks.stop();
    this.#listeners.closeAll();
    await this.#queue.stop();
    await shutDown?.();
    this.#store.close();
  }

  #handle(request: Request): Response | Promise<Response> {
    const refusal = refusalOf(request);
    if (refusal !== null) return Response.json({ error: { message: refusal } }, { status: 403 });
    const url = new URL(request.url);
    const { pathname } = url;
    if (pathname.startsWith("/v1/stripecli/listen/")) {
      return this.#listeners.connect(request, pathname.split("/").at(-1) ?? "");
    }
    if (pathname.startsWith("/v1/") || pathname.startsWith("/v2/")) return this.#api.handle(request, url);
    if (pathname.startsWith("/links/")) return this.#inContext((context) => linkedFile(context, url.href));
    if (pathname.startsWith("/_control/")) return this.#control.handle(request, url);
    return this.#pages.handle(request, url);
  }

  /** Runs work as one transaction. Events it emits are queued in the same transaction, and sent after it. */
  #inContext<T>(
    work: (context: Context) => T,
    request: Context["request"] = null,
    version: string = API_VERSION,
  ): T {
    const emitted: { event: StoredEvent; body: string }[] = [];
    let scheduled = false;
    const now = Math.floor(Date.now() / 1000);
    const context: Context = {
      store: this.#store,
      pace: this.#pace,
      baseUrl: this.#baseUrl,
      now,
      request,
      version,
      emit: (type, object, before) => {
        const previous = before === undefined ? undefined : previousOf(before, object);
        if (before !== undefined && previous === undefined) return;
        emitted.push(this.#emit(type, object, previous, now, request));
      },
      schedule: (kind, subject, afterMs) => {
        scheduled = true;
        this.#tasks.add(kind, subject, afterMs);
      },
    };
    const result = this.#store.transaction(() => work(context));
    if (emitted.length > 0) {
      queueMicrotask(() => this.#queue.pump());
      for (const { event, body } of emitted) this.#listeners.send(event, body);
    }
    if (scheduled) queueMicrotask(() => this.#tasks.run());
    return result;
  }

  #emit(
    type: EventType,
    object: object,
    previous: object | undefined,
    created: number,
    request: Context["request"],
  ): { event: StoredEvent; body: string } {
    const endpoints = this.#queue.endpointsFor(type);
    const recorded = recordEvent(this.#store, {
      created,
      data: { object, ...(previous === undefined ? {} : { previous_attributes: previous }) },
      pending_webhooks: endpoints.length,
      request: { id: request?.id ?? null, idempotency_key: request?.idempotencyKey ?? null },
      type,
    });
    for (const endpoint of endpoints) this.#queue.enqueue(recorded.event.id, endpoint.id);
    return recorded;
  }

  #resend(event: StoredEvent, endpoint: string | null): void {
    if (endpoint === null) {
      const connected = this.#listeners.count > 0;
      this.#listeners.send(event, JSON.stringify(event));
      if (connected) return;
    }
    const targets = endpoint === null ? this.#queue.endpointsFor(event.type).map(({ id }) => id) : [endpoint];
    for (const target of targets) this.#queue.enqueue(event.id, target);
    queueMicrotask(() => this.#queue.pump());
  }
}

const taskHandlers: Record<TaskKind, (context: Context, subject: string) => void> = {
  decide_dispute: decideDispute,
  expire_session: expireOnTime,
  fail_refund: failRefund,
  funds_available: (context, day) => {
    if (releaseFunds(context, day)) payOutDaily(context);
  },
  lapse_coupon: lapseCoupon,
  lapse_dispute: lapseDispute,
  lapse_promotion_code: lapsePromotionCode,
  pay_payout: payPayout,
  succeed_refund: succeedRefund,
  settle_bank_debit: (context, id) => {
    const intent = context.store.get("payment_intent", id);
    const behaviour = context.store.internals("payment_intent", id)?.behaviour;
    if (intent?.status !== "processing" || behaviour?.type !== "bank") return;
    concludeAsync(
      context,
      settleBankDebit(context, intent, behaviour.bank.outcome, behaviour.bank.failureCode),
    );
  },
};

/** The secret of `stripe listen` stays the same as long as the state does, as with a real device. */
function listenSecret(store: Store, fixed: string | undefined): string {
  const saved = store.internals("settings", "listen") ?? {};
  const secret = fixed ?? saved.secret ?? newId("webhook_secret");
  store.setInternals("settings", "listen", { ...saved, secret });
  return secret;
}
