import assert from "node:assert/strict";
import type Stripe from "stripe";
import { callsUnder, type DatabaseDeadline } from "../../supabase/functions/_shared/checkout/calls.ts";
import { startDeadline } from "../../supabase/functions/_shared/checkout/deadline.ts";
import { resumeToken } from "../../supabase/functions/_shared/checkout/resume_link.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { type Call, createCall } from "../../supabase/functions/_shared/database/client.ts";
import { createRateLimiter } from "../../supabase/functions/_shared/limits/rate_limit.ts";
import {
  type Deps as CheckoutDeps,
  handle as handleCheckout,
} from "../../supabase/functions/create-checkout-session/handler.ts";
import { handle as handleOrderStatus } from "../../supabase/functions/order-status/handler.ts";
import {
  type Deps as ResumeDeps,
  handle as handleResume,
} from "../../supabase/functions/resume-checkout/handler.ts";
import { checkoutOf, orderId, requestOf, sessionOf, world } from "./checkout_world.ts";
import type { OrderStatus } from "../../supabase/functions/_shared/database/orders.ts";
import { eventually } from "../support/poll.ts";
import { errorOf, fakeCall, fixedClock, keptLog, publishableKey, uncounted } from "./fakes.ts";

/** What storefronts wait (the "bounded time"). */
const patienceMs = 10_000;
const sessionId = "cs_test_a1b2c3d4e5f6g7h8i9j0k1l2";

/** How a call goes: at once; with its answer at the last moment; or with none at all. */
const paces = ["quick", "late", "never"] as const;
type Pace = typeof paces[number];
type Step = "read" | "begin" | "customer" | "session" | "retrieve" | "attach" | "expire" | "apply";
type PaceOf = (step: Step) => Pace;

/** Runs a request once for every way in which the calls that it gets to can go. */
async function atEveryPace(run: (paceOf: PaceOf, taken: Map<Step, Pace>) => Promise<void>): Promise<number> {
  const choices: number[] = [];
  for (let runs = 1;; runs++) {
    const taken = new Map<Step, Pace>();
    await run((step) => {
      const pace = taken.get(step) ?? paces[choices[taken.size] ??= 0] as Pace;
      taken.set(step, pace);
      return pace;
    }, taken);
    while (choices.at(-1) === paces.length - 1) choices.pop();
    if (choices.length === 0) return runs;
    choices.push((choices.pop() ?? 0) + 1);
  }
}

/** Both functions in a time of their own: a call costs its limit and no more, and nothing really waits. */
function slowWorld(paceOf: PaceOf, begun: "new" | "paid" | "superseded") {
  const clock = fixedClock();
  const pass = async <T>(step: Step, limitMs: number, answer: () => T): Promise<T> => {
    const pace = paceOf(step);
    await Promise.resolve();
    clock.advance(pace === "quick" ? 5 : pace === "late" ? limitMs - 1 : limitMs);
    if (pace !== "never") return answer();
    const database = step === "read" || step === "begin" || step === "attach" || step === "apply";
    throw new AppError(database ? "database_unavailable" : "stripe_unavailable", { retryAfterSeconds: 5 });
  };
  const here = world();
  const customer = { id: "c0ffee00-0000-4000-8000-000000000001", email: null, generation: 0 };
  const session = (params: Partial<Stripe.Checkout.SessionCreateParams>) =>
    sessionOf(params as Stripe.Checkout.SessionCreateParams) as unknown as Stripe.Checkout.Session;
  const old = { id: "cs_old", url: "https://pay.example", status: "open" };
  let begins = 0;
  const begin = () => {
    const first = begins++ === 0;
    if (first && begun === "superseded") return { outcome: "superseded" as const, session_ids: ["cs_old"] };
    return checkoutOf({
      outcome: "existing",
      customer,
      session: first && begun === "paid" ? { ...old, expires_at: 1e10 } : null,
    });
  };
  const rpcWithin = (deadline: DatabaseDeadline) => {
    const { databaseMs, startMs } = deadline;
    return {
      ...here.deps.rpcWithin(deadline),
      beginCheckout: async () => await pass("begin", startMs(), begin),
      findOpenCheckout: () => Promise.reject(new Error("only POST takes long")),
      resumeCheckout: async () => await pass("begin", startMs(), begin),
      attachCheckoutSession: () => pass("attach", databaseMs(), () => {}),
      applyStripeFacts: () => pass("apply", databaseMs(), () => true),
    };
  };
  const deps = {
    ...here.deps,
    rpcWithin,
    // Both limiters that can hang do.
    limiter: createRateLimiter({
      env: { upstash: null },
      call: fakeCall((_name, _args, limitMs) => {
        clock.advance(1_000 + limitMs);
        return Promise.reject(new Error("no answer"));
      }),
      log: keptLog().log,
      metrics: uncounted,
      now: clock.now,
    }),
    stripe: {
      createSession: (params: Stripe.Checkout.SessionCreateParams, _key: string, limitMs: number) =>
        pass("session", limitMs, () => ({ session: session(params), replayed: true })),
      retrieveSession: (id: string, limitMs: number) =>
        pass(
          "retrieve",
          limitMs,
          () => id === old.id ? { ...session({}), status: "complete" as const } : session({}),
        ),
      expireSession: (_id: string, limitMs: number) =>
        pass("expire", limitMs, () => ({ ...session({}), status: "expired" as const })),
      createCustomer: (_params: unknown, _key: string, limitMs: number) =>
        pass("customer", limitMs, () => ({ id: "cus_1" }) as Stripe.Customer),
      updateCustomer: (id: string, _params: unknown, limitMs: number) =>
        pass("customer", limitMs, () => ({ id }) as Stripe.Customer),
    },
    now: clock.now,
  };
  return { deps, clock, pass };
}

/** What a shopper who wants a page to pay at is answered, by a cart or by a link. */
async function answerOf(
  name: "create-checkout-session" | "resume-checkout",
  deps: CheckoutDeps & ResumeDeps,
): Promise<Response> {
  if (name === "create-checkout-session") return await handleCheckout(requestOf(), deps);
  const token = await resumeToken(orderId, deps.now() / 1000 + 60, deps.env);
  return await handleResume(
    new Request("http://shop.example/resume-checkout", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token }),
    }),
    deps,
  );
}

Deno.test("order-status answers within ten seconds, whatever hangs or answers at the last moment", async () => {
  for (const found of [true, false]) {
    const runs = await atEveryPace(async (paceOf, taken) => {
      const { deps, clock, pass } = slowWorld(paceOf, "new");
      const order = { order_id: orderId, session_id: sessionId, settled: false } as OrderStatus;
      const began = clock.now();
      const response = await handleOrderStatus(
        new Request(`http://shop.example/order-status?session_id=${sessionId}`, {
          headers: { apikey: publishableKey },
        }),
        {
          ...deps,
          rpcWithin: (limitMs) => ({
            getOrderStatus: () => pass("read", limitMs(), () => found || taken.has("apply") ? order : null),
            applyStripeFacts: () => pass("apply", limitMs(), () => true),
          }),
          retrieveSession: (_id, limitMs) =>
            pass("retrieve", limitMs, () => sessionOf({}) as unknown as Stripe.Checkout.Session),
          polls: { take: () => Promise.resolve({ allowed: true, retry_after_seconds: 0, key: null }) },
        },
      );
      const ms = clock.now() - began;
      const what = `${found} ${JSON.stringify([...taken])}: ${response.status} after ${ms} ms`;
      assert.ok(ms <= patienceMs, what);
      assert.ok([200, 404, 503].includes(response.status), what);
      if (response.status === 503) assert.ok(Number(response.headers.get("retry-after")) >= 1, what);
    });
    assert.ok(runs > 5, `${runs} ways`);
  }
});

for (const name of ["create-checkout-session", "resume-checkout"] as const) {
  Deno.test(`${name} answers within ten seconds, whatever hangs or answers at the last moment`, async () => {
    for (const begun of ["new", "paid", "superseded"] as const) {
      // Only a link asks whether its page was paid.
      if (begun === "paid" && name !== "resume-checkout") continue;
      const runs = await atEveryPace(async (paceOf, taken) => {
        const { deps, clock } = slowWorld(paceOf, begun);
        const began = clock.now();
        const response = await answerOf(name, deps);
        const ms = clock.now() - began;
        const what = `${begun} ${JSON.stringify([...taken])}: ${response.status} after ${ms} ms`;
        assert.ok(ms <= patienceMs, what);
        if (response.status < 400) return;
        assert.equal(response.status, 503, what);
        assert.match((await errorOf(response)).code, /^((stripe|database)_unavailable|busy)$/, what);
        assert.ok(Number(response.headers.get("retry-after")) >= 1, what);
      });
      assert.ok(runs > 30, `${runs} ways`);
    }
  });
}

for (const name of ["create-checkout-session", "resume-checkout"] as const) {
  Deno.test(`${name} holds nothing for a request that is late before it begins`, async () => {
    const steps: Step[] = [];
    const { deps, clock } = slowWorld((step) => {
      steps.push(step);
      return "quick";
    }, "new");
    const limiter = {
      take: () => {
        clock.advance(5_000);
        return Promise.resolve({ allowed: true, retry_after_seconds: 0, key: null });
      },
    };
    const response = await answerOf(name, { ...deps, limiter });
    assert.deepEqual([response.status, (await errorOf(response)).code, steps], [503, "busy", []]);
  });

  Deno.test(`${name} holds nothing when ending the page before has taken too long`, async () => {
    const steps: Step[] = [];
    const { deps } = slowWorld((step) => {
      steps.push(step);
      return step === "expire" ? "late" : "quick";
    }, "superseded");
    const limiter = { take: () => Promise.resolve({ allowed: true, retry_after_seconds: 0, key: null }) };
    const response = await answerOf(name, { ...deps, limiter });
    assert.deepEqual([response.status, (await errorOf(response)).code], [503, "busy"]);
    assert.deepEqual(steps, ["begin", "expire", "apply"]);
  });
}

for (const name of ["create-checkout-session", "resume-checkout"] as const) {
  Deno.test(`${name} holds nothing for a request that has become late in the line`, async () => {
    const { deps, clock } = slowWorld(() => "quick", "new");
    const sent: { url: string; answer: () => void }[] = [];
    const call = createCall(
      deps.env,
      (input) =>
        new Promise((answer) => sent.push({ url: String(input), answer: () => answer(Response.json(null)) })),
    );
    const others = Array.from({ length: 20 }, () => call("count_jobs", {}));
    await eventually("the line", () => sent.length === 20);
    let came = false;
    // Whoever comes to the line says first how long the call may take.
    const seen: Pick<Call, "within"> = {
      within: (limitMs, turn) =>
        call.within(() => {
          came = true;
          return limitMs();
        }, turn),
    };
    const response = answerOf(name, {
      ...deps,
      limiter: { take: () => Promise.resolve({ allowed: true, retry_after_seconds: 0, key: null }) },
      rpcWithin: (deadline) => callsUnder(seen, deadline),
    });
    await eventually("its place in the line", () => came);
    clock.advance(5_000);
    sent[0]?.answer();
    const answered = await response;
    assert.deepEqual([answered.status, (await errorOf(answered)).code], [503, "busy"]);
    for (const { answer } of sent) answer();
    await Promise.all(others);
    assert.deepEqual(sent.filter(({ url }) => !url.endsWith("/count_jobs")), []);
  });
}

Deno.test("create-checkout-session leaves seconds to spare when only Stripe hangs", async () => {
  for (const step of ["customer", "session", "retrieve"] as const) {
    const { deps, clock } = slowWorld((each) => each === step ? "never" : "quick", "new");
    const began = clock.now();
    const response = await handleCheckout(requestOf(), {
      ...deps,
      limiter: { take: () => Promise.resolve({ allowed: true, retry_after_seconds: 0, key: null }) },
    });
    assert.equal(response.status, 503);
    assert.ok(clock.now() - began <= 0.65 * patienceMs, `${step}: ${clock.now() - began} ms`);
  }
});

Deno.test("startDeadline() does not wait longer when the clock is set back", () => {
  const clock = fixedClock();
  const deadline = startDeadline(clock.now);
  const [stripe, database] = [deadline.stripeMs(), deadline.databaseMs()];
  clock.advance(-3_600_000);
  assert.deepEqual([deadline.stripeMs(), deadline.databaseMs()], [stripe, database]);
});
