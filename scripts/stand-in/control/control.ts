import type Stripe from "stripe";
import { API_VERSION } from "../core/api_version.ts";
import type { Context } from "../core/context.ts";
import { idOf, need } from "../core/context.ts";
import { ApiError, invalidRequest } from "../core/errors.ts";
import {
  type Field,
  list,
  map,
  oneOf,
  type Params,
  paramsOf,
  readParams,
  required,
  type Shape,
  type ShapeValue,
  text,
  truth,
  whole,
} from "../core/fields.ts";
import type { RequestLog } from "../core/request_log.ts";
import { formFromJson, type FormMap } from "../core/form.ts";
import { newId } from "../core/ids.ts";
import { ungenerateEvent } from "../delivery/events.ts";
import type { ApiFault, Faults } from "../delivery/faults.ts";
import type { DeliveryQueue } from "../delivery/queue.ts";
import { concludeAsync, endChallenge, paySession } from "../checkout/pay_session.ts";
import { settleBankDebit } from "../payments/confirm.ts";
import { DISPUTE_REASONS } from "../payments/dispute_methods.ts";
import { PROGRAMMES } from "../payments/dispute_evidence.ts";
import { appealDispute, openDispute } from "../payments/disputes.ts";
import { warnOfFraud } from "../payments/early_fraud_warnings.ts";
import { movePayout, PAYOUT_MOVES } from "../payments/payouts.ts";
import { moveRefund, REFUND_MOVES } from "../payments/refunds.ts";
import { createPaymentMethod } from "../payments/payment_methods.ts";
import { openReview } from "../payments/reviews.ts";
import { methodInput, payParams } from "./pay_input.ts";
import { rollSecret } from "../resources/webhook_endpoints.ts";

export interface ControlHost {
  inContext<T>(work: (context: Context) => T): T;
  faults: Faults;
  log: RequestLog;
  queue: DeliveryQueue;
  flushMs: number;
  runTasks(aheadMs: number): number;
}

interface Call {
  readonly method: string;
  readonly path: string;
  run(form: FormMap, url: URL): object | Promise<object>;
}

const share: Field<number> = {
  takesEmpty: true,
  read(node, context) {
    const value = typeof node === "string" && node.trim() !== "" ? Number(node) : NaN;
    if (!(value >= 0 && value <= 1)) {
      throw invalidRequest(`${context.path} must be between 0 and 1`, context.path);
    }
    return value;
  },
};

/** `METHOD /path`: anything else would match no request, and the fault would silently never happen. */
const match: Field<string> = {
  read(node, context) {
    const value = text().read(node, context);
    if (!/^(GET|POST|DELETE|\*)( \/|$)/.test(value)) {
      throw invalidRequest(
        `${context.path} must be the beginning of "METHOD /path", such as "POST /v1/checkout/sessions"`,
        context.path,
      );
    }
    return value;
  },
};

/** A span of milliseconds, `[from, to]`, or one number for an exact wait. */
const delaySpan: Field<[number, number]> = {
  read(node, context) {
    const [from = 0, to = from] = list(whole(0, 120_000), 2).read(node, context);
    if (to < from) {
      throw invalidRequest(`${context.path} must be [from, to] with from <= to`, context.path);
    }
    return [from, to];
  },
};

const faultParams = paramsOf<{ api: unknown; deliver: unknown; rate_limit: unknown }>()({
  api: list(map({
    match: required(match),
    status: whole(400, 599),
    times: whole(1),
    delay_ms: whole(0, 120_000),
    after: truth,
  })),
  deliver: map({
    duplicate: whole(1, 100),
    drop: share,
    shuffle: truth,
    delay_ms: delaySpan,
  }),
  rate_limit: whole(1, 1_000_000),
});

const DEFAULT_ADDRESS = {
  line1: "510 Townsend St",
  city: "San Francisco",
  state: "CA",
  postal_code: "94103",
  country: "US",
};

/** `/_control/…`: what a shopper, a bank or bad luck would do. Offline only, so it asks for no key. */
export class ControlApi {
  readonly #host: ControlHost;
  readonly #calls: Call[];

  constructor(host: ControlHost) {
    this.#host = host;
    this.#calls = [
      this.#call("POST", "/_control/pay", payParams, (params) => this.#pay(params)),
      this.#call("POST", "/_control/faults", faultParams, (params) => this.#setFaults(params)),
      this.#call("GET", "/_control/faults", paramsOf<unknown>()({}), () => this.#showFaults()),
      this.#call("DELETE", "/_control/faults", paramsOf<unknown>()({}), () => {
        host.faults.clear();
        return this.#showFaults();
      }),
      this.#call(
        "POST",
        "/_control/ungenerate",
        paramsOf<{ event: string }>()({ event: required(text()) }),
        (params) => host.inContext((context) => ungenerateEvent(context.store, params.event)),
      ),
      this.#call(
        "POST",
        "/_control/settle",
        paramsOf<{ outcome: string; payment_intent: string }>()({
          payment_intent: required(text()),
          outcome: required(oneOf("failed", "succeeded")),
        }),
        (params) =>
          host.inContext((context) => {
            const intent = need(context, "payment_intent", params.payment_intent);
            const settled = settleBankDebit(context, intent, params.outcome, null);
            concludeAsync(context, settled);
            return { payment_intent: settled.id, status: settled.status };
          }),
      ),
      this.#call(
        "POST",
        "/_control/redirect",
        paramsOf<{ outcome: string; payment_intent: string }>()({
          payment_intent: required(text()),
          outcome: required(oneOf("authorize", "cancel")),
        }),
        (params) =>
          host.inContext((context) => {
            const ended = endChallenge(context, params.payment_intent, params.outcome === "authorize");
            return { payment_intent: ended.attempt.intent.id, status: ended.attempt.intent.status };
          }),
      ),
      this.#call(
        "POST",
        "/_control/refund",
        paramsOf<{ refund: string; status: string }>()({
          refund: required(text()),
          status: required(oneOf(...REFUND_MOVES)),
        }),
        (params) =>
          host.inContext((context) =>
            moveRefund(context, need(context, "refund", params.refund), params.status)
          ),
      ),
      this.#call(
        "POST",
        "/_control/payout",
        paramsOf<{ payout: string; status: string }>()({
          payout: required(text()),
          status: required(oneOf(...PAYOUT_MOVES)),
        }),
        (params) =>
          host.inContext((context) =>
            movePayout(context, need(context, "payout", params.payout), params.status)
          ),
      ),
      this.#call(
        "GET",
        "/_control/deliveries",
        paramsOf<{ event: string; limit: number }>()({ event: text(), limit: whole(1, 100_000) }),
        (params) => ({
          deliveries: host.queue.attempts(params.limit ?? null, params.event),
          pending: host.queue.pending(),
        }),
      ),
      this.#call("GET", "/_control/requests", paramsOf<unknown>()({}), () => ({ requests: host.log.all })),
      this.#call("POST", "/_control/flush", paramsOf<unknown>()({}), () => this.#flush()),
      this.#call(
        "POST",
        "/_control/advance",
        paramsOf<{ seconds: number }>()({ seconds: required(whole(0, 40 * 24 * 3600)) }),
        (params) => ({ ran: host.runTasks(params.seconds * 1000) }),
      ),
      this.#chargeCall("/_control/dispute", {
        kind: oneOf("inquiry", ...DISPUTE_REASONS),
        eligible: list(oneOf(...PROGRAMMES)),
        packet: truth,
      }, (context, charge, { kind = "fraudulent", ...traits }) => openDispute(context, charge, kind, traits)),
      this.#call(
        "POST",
        "/_control/appeal",
        paramsOf<{ dispute: string }>()({ dispute: required(text()) }),
        (params) =>
          host.inContext((context) => appealDispute(context, need(context, "dispute", params.dispute))),
      ),
      this.#chargeCall(
        "/_control/early_fraud_warning",
        { fraud_type: text() },
        (context, charge, params) =>
          warnOfFraud(context, charge, params.fraud_type ?? "made_with_stolen_card"),
      ),
      this.#chargeCall("/_control/review", {}, (context, charge) => {
        const review = openReview(context, charge);
        context.store.put("charge", { ...charge, review: review.id });
        context.emit("review.opened", review);
        return review;
      }),
      this.#call(
        "POST",
        "/_control/roll_secret",
        paramsOf<{ secret: string; webhook_endpoint: string }>()({
          webhook_endpoint: required(text()),
          secret: text(),
        }),
        (params) => {
          const secret = params.secret ?? newId("webhook_secret");
          host.inContext((context) => rollSecret(context, params.webhook_endpoint, secret));
          return { webhook_endpoint: params.webhook_endpoint, secret };
        },
      ),
    ];
  }

  async handle(request: Request, url: URL): Promise<Response> {
    try {
      const call = this.#calls.find(({ method, path }) => method === request.method && path === url.pathname);
      if (call === undefined) {
        const known = this.#calls.map(({ method, path }) => `${method} ${path}`).join(", ");
        throw new ApiError(404, {
          type: "invalid_request_error",
          message: `No control call ${request.method} ${url.pathname}. There are: ${known}.`,
        });
      }
      return Response.json(await call.run(await readForm(request, url), url));
    } catch (error) {
      if (error instanceof ApiError) return Response.json({ error: error.body }, { status: error.status });
      throw error;
    }
  }

  #call<S extends Shape>(
    method: string,
    path: string,
    params: Params<S>,
    run: (params: ShapeValue<S>) => object | Promise<object>,
  ): Call {
    const operation = `${method} ${path}`;
    return {
      method,
      path,
      run: (form) => run(readParams(params, form, { path: "", version: API_VERSION, operation })),
    };
  }

  /** A call about a charge, named by itself or by its payment intent. */
  #chargeCall<S extends Shape>(
    path: string,
    shape: S,
    run: (context: Context, charge: Stripe.Charge, params: ShapeValue<S>) => object,
  ): Call {
    const params = { shape: { ...shape, charge: text(), payment_intent: text() }, notes: {} };
    return this.#call("POST", path, params, (value) =>
      this.#host.inContext((context) => {
        const { charge, payment_intent } = value as { charge?: string; payment_intent?: string };
        if (charge === undefined && payment_intent === undefined) {
          throw invalidRequest("Missing required param: charge or payment_intent.", "charge");
        }
        const id = charge ?? idOf(need(context, "payment_intent", payment_intent ?? "").latest_charge) ?? "";
        return run(context, need(context, "charge", id), value as ShapeValue<S>);
      }));
  }

  #pay(params: ShapeValue<typeof payParams.shape>): object {
    const input = methodInput(params);
    const name = params.name ?? "Jenny Rosen";
    const shopper = params.email ?? "jenny.rosen@example.com";
    // Only an address in the default's country can be completed from it.
    const abroad = (params.address?.country ?? DEFAULT_ADDRESS.country) !== DEFAULT_ADDRESS.country;
    const place = abroad ? { ...params.address } : { ...DEFAULT_ADDRESS, ...params.address };
    const outcome = this.#host.inContext((context) => {
      const attempt = paySession(
        context,
        params.session,
        {
          email: shopper,
          name,
          billingAddress: place,
          shippingName: name,
          shippingAddress: place,
          acceptsTerms: true,
          business: {
            ...(params.business_name === undefined ? {} : { name: params.business_name }),
            ...(params.tax_id === undefined ? {} : { taxId: params.tax_id }),
          },
          ...(params.currency === undefined ? {} : { currency: params.currency }),
        },
        () =>
          createPaymentMethod(context, {
            ...input,
            billing_details: { address: place, email: shopper, name },
          }),
      );
      if (attempt.kind !== "action_required" || params.redirect === "leave") return attempt;
      const passed = params.three_d_secure !== "fail" && params.redirect !== "cancel";
      const ended = endChallenge(context, attempt.intent.id, passed);
      return { ...ended.attempt, session: ended.session ?? attempt.session };
    });
    if (outcome.kind === "declined") throw outcome.error;
    return {
      session: outcome.session.id,
      payment_intent: idOf(outcome.session.payment_intent),
      payment_status: outcome.session.payment_status,
    };
  }

  #setFaults(params: ShapeValue<typeof faultParams.shape>): object {
    const { faults } = this.#host;
    const { deliver } = params;
    if (deliver !== undefined) {
      faults.deliver = {
        duplicate: deliver.duplicate ?? 1,
        drop: deliver.drop ?? 0,
        shuffle: deliver.shuffle ?? false,
        delayMs: deliver.delay_ms ?? [0, 0],
      };
    }
    faults.addApi((params.api ?? []).map((fault): ApiFault => ({
      match: fault.match,
      ...(fault.status === undefined ? {} : { status: fault.status }),
      ...(fault.times === undefined ? {} : { times: fault.times }),
      ...(fault.delay_ms === undefined ? {} : { delayMs: fault.delay_ms }),
      ...(fault.after === undefined ? {} : { after: fault.after }),
    })));
    if (params.rate_limit !== undefined) faults.rateLimit = params.rate_limit;
    return this.#showFaults();
  }

  #showFaults(): object {
    const { faults } = this.#host;
    const { delayMs, ...deliver } = faults.deliver;
    return { deliver: { ...deliver, delay_ms: delayMs }, api: faults.api, rate_limit: faults.rateLimit };
  }

  async #flush(): Promise<object> {
    const { queue, flushMs } = this.#host;
    if (await queue.flushed(flushMs)) return { pending: 0 };
    throw new ApiError(504, {
      type: "api_error",
      message: `${queue.pending()} deliveries are still pending after ${flushMs / 1000} s.`,
    });
  }
}

async function readForm(request: Request, url: URL): Promise<FormMap> {
  const query: Record<string, string> = Object.fromEntries(url.searchParams);
  const body = request.method === "POST" ? await request.text() : "";
  let json: unknown = {};
  if (body.trim() !== "") {
    try {
      json = JSON.parse(body);
    } catch {
      throw invalidRequest("The body must be JSON.");
    }
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalidRequest("The body must be a JSON object.");
  }
  return formFromJson({ ...query, ...json }) as FormMap;
}
