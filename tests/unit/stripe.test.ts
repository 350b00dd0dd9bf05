import assert from "node:assert/strict";
import Stripe from "stripe";
import {
  callStripe,
  classifyStripeFailure,
  createStripe,
  isReplayedFailure,
  stripeErrorOf,
} from "../../supabase/functions/_shared/stripe/client.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";

/** A server that answers as told and keeps what it was asked. */
async function withStripe(
  answer: (request: Request, count: number) => Response | Promise<Response>,
  work: (stripe: Stripe, asked: Request[]) => Promise<void>,
): Promise<void> {
  const asked: Request[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    // Copied: Deno closes a request's headers with its answer.
    asked.push(new Request(request.url, { method: request.method, headers: new Headers(request.headers) }));
    return answer(request, asked.length);
  });
  const stripeApiBase = new URL(`http://127.0.0.1:${server.addr.port}`);
  try {
    await work(createStripe({ stripeSecretKey: "sk_test_unit", stripeApiBase }), asked);
  } finally {
    await server.shutdown();
  }
}

function refusal(status: number, error: object, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers });
}

Deno.test("createStripe() pins the SDK's own API version and asks STRIPE_API_BASE", async () => {
  await withStripe(() => Response.json({ id: "re_1", object: "refund" }), async (stripe, asked) => {
    await callStripe(() => stripe.refunds.retrieve("re_1"));
    assert.equal(asked[0]?.headers.get("stripe-version"), stripeApiVersion);
    assert.match(asked[0]?.url ?? "", /\/v1\/refunds\/re_1$/);
  });
});

const failures: [string, Response, ReturnType<typeof classifyStripeFailure>][] = [
  ["a 500", refusal(500, { type: "api_error" }, { "stripe-should-retry": "false" }), "retry"],
  ["a 429", refusal(429, { type: "invalid_request_error", code: "rate_limit" }), "retry"],
  [
    "a lock",
    refusal(409, { type: "invalid_request_error", code: "lock_timeout" }, { "stripe-should-retry": "false" }),
    "retry",
  ],
  ["a card error", refusal(402, { type: "card_error", code: "card_declined" }), "discard"],
  ["an invalid request", refusal(400, { type: "invalid_request_error", param: "amount" }), "discard"],
  ["a missing object", refusal(404, { type: "invalid_request_error", code: "resource_missing" }), "discard"],
  ["a wrong key", refusal(401, { type: "invalid_request_error" }), "authentication"],
  ["a page that is no JSON", new Response("<html>", { status: 200 }), "retry"],
];

for (const [name, answer, expected] of failures) {
  const code = expected === "retry" ? "stripe_unavailable" : "internal_error";
  Deno.test(`callStripe() turns ${name} into ${code}, classified as ${expected}`, async () => {
    await withStripe(() => answer.clone(), async (stripe) => {
      await assert.rejects(
        callStripe(() => stripe.refunds.retrieve("re_1")),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, code);
          assert(stripeErrorOf(error) !== null);
          assert.equal(classifyStripeFailure(error), expected);
          return true;
        },
      );
    });
  });
}

Deno.test("callStripe() retries a 500 once, with the same idempotency key", async () => {
  await withStripe(
    (_request, count) =>
      count === 1 ? refusal(500, { type: "api_error" }) : Response.json({ id: "re_1", object: "refund" }),
    async (stripe, asked) => {
      await callStripe(() => stripe.refunds.create({ payment_intent: "pi_1" }, { idempotencyKey: "job_1" }));
      assert.deepEqual(asked.map((request) => request.headers.get("idempotency-key")), ["job_1", "job_1"]);
    },
  );
});

Deno.test("callStripe() passes Stripe's Retry-After on, a minute at most", async () => {
  for (const [given, expected] of [["7", 7], ["3600", 60], ["soon", 5]] as const) {
    await withStripe(() => refusal(429, { type: "api_error" }, { "retry-after": given }), async (stripe) => {
      await assert.rejects(callStripe(() => stripe.refunds.retrieve("re_1")), {
        retryAfterSeconds: expected,
      });
    });
  }
});

Deno.test("callStripe() gives up at its deadline, whatever the SDK still waits for", async () => {
  const { setTimeout } = globalThis;
  const waits: unknown[] = [];
  const atOnce = (callback: () => void, ms: number) => {
    waits.push(ms);
    return setTimeout(callback, 0);
  };
  Object.assign(globalThis, { setTimeout: atOnce });
  try {
    const never = new Promise<never>(() => {});
    await assert.rejects(callStripe(() => never, 4_321), { code: "stripe_unavailable", status: 503 });
  } finally {
    Object.assign(globalThis, { setTimeout });
  }
  assert.deepEqual(waits, [4_321]);
});

Deno.test("isReplayedFailure() knows a stored 5xx from a fresh one", async () => {
  for (const [headers, expected] of [[{ "idempotent-replayed": "true" }, true], [{}, false]] as const) {
    const answer = () => refusal(500, { type: "api_error" }, { ...headers, "stripe-should-retry": "false" });
    await withStripe(answer, async (stripe) => {
      await assert.rejects(callStripe(() => stripe.refunds.create({ payment_intent: "pi_1" })), (error) => {
        assert.equal(isReplayedFailure(error), expected);
        return true;
      });
    });
  }
});

Deno.test("the pinned API version is the installed SDK's", () => {
  assert.equal(stripeApiVersion, Stripe.API_VERSION);
});
