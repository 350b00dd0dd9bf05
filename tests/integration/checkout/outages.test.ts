import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import {
  answeredMeanwhile,
  assertInvariants,
  checkout,
  forwardAll,
  type Interceptor,
  sessionsOf,
  startProxy,
  stockOf,
} from "./shop.ts";

const sku = "SHIRT-OXF-WHT-M";
const createSession = "POST /v1/checkout/sessions";
const attach = "POST /rest/v1/rpc/attach_checkout_session";
/** Answers calls to create a session with something else; the rest passes. */
function insteadOfSession(answer: () => Response | Promise<Response>): Interceptor {
  return (call, forward) => call === createSession ? answer() : forward();
}

const html = () =>
  new Response("<html>Bad Gateway</html>", { status: 502, headers: { "content-type": "text/html" } });

const stripeTroubles: [string, Interceptor][] = [
  [
    "limits our rate",
    insteadOfSession(() =>
      Response.json({ error: { type: "invalid_request_error", code: "rate_limit", message: "slow down" } }, {
        status: 429,
        headers: { "retry-after": "7" },
      })
    ),
  ],
  ["answers a proxy's page", insteadOfSession(html)],
  ["answers 200 with a page", insteadOfSession(() => new Response("<html>hello</html>"))],
  [
    "answers half an object",
    insteadOfSession(() =>
      new Response('{"id":"cs_test_half"', { headers: { "content-type": "application/json" } })
    ),
  ],
  ["answers another object", insteadOfSession(() => Response.json({ id: "pi_1", object: "payment_intent" }))],
  ["answers null", insteadOfSession(() => Response.json(null))],
];

/** What Stripe understands and refuses: the answer that the shopper gets, and Stripe's status. */
const refusals = [[401, 500, "internal_error"], [400, 409, "checkout_refused"]] as const;

Deno.test("checkout survives the outages of others", async (test) => {
  await using database = startProxy();
  await using stripe = startProxy();
  await using stack = await testStack({ env: { SUPABASE_URL: database.url, STRIPE_API_BASE: stripe.url } });
  database.target = stack.api_url;
  stripe.target = stack.stripe_url;

  for (const [trouble, interceptor] of stripeTroubles) {
    await test.step(`Stripe ${trouble}: 503 with Retry-After, and the same key completes later`, async () => {
      const before = await stockOf(stack, sku);
      const key = crypto.randomUUID();
      stripe.intercept = interceptor;
      const failed = await checkout(stack, {}, { key });
      stripe.intercept = forwardAll;
      assert.deepEqual([failed.status, failed.body.error.code], [503, "stripe_unavailable"]);
      assert.ok((failed.retryAfter ?? 0) >= 1, "Retry-After");
      if (trouble === "limits our rate") assert.ok((failed.retryAfter ?? 0) >= 7, `${failed.retryAfter}`);

      const worked = await checkout(stack, {}, { key });
      assert.equal(worked.status, 200, JSON.stringify(worked.body));
      assert.equal(
        (await stockOf(stack, sku)).reserved,
        before.reserved + 1,
        "one hold, however often it was tried",
      );
      assert.deepEqual(await sessionsOf(stack, worked.body.order_id), [{
        id: worked.body.session_id,
        status: "open",
      }]);
    });
  }

  for (const [stripeStatus, status, code] of refusals) {
    await test.step(`Stripe refuses with ${stripeStatus}: ${status} ${code}, staff are told, and the same key completes later`, async () => {
      const before = await stockOf(stack, sku);
      const key = crypto.randomUUID();
      const error = { type: "invalid_request_error", message: `no, mail ada@example.com of ${stripeStatus}` };
      stripe.intercept = insteadOfSession(() => Response.json({ error }, { status: stripeStatus }));
      const failed = await checkout(stack, {}, { key });
      stripe.intercept = forwardAll;
      assert.deepEqual([failed.status, failed.body.error.code, failed.retryAfter], [status, code, null]);
      assert.deepEqual(await stockOf(stack, sku), before, "nothing stays held for what cannot be paid");
      const [alert] = await stack
        .sql`select severity, data from public.alerts
        where kind = 'checkout_refused' and data ->> 'status' = ${String(stripeStatus)}`;
      assert.equal(alert?.severity, "critical");
      assert.deepEqual([alert?.data.skus, alert?.data.status], [[sku], stripeStatus]);
      assert.equal(alert?.data.message, `no, mail … of ${stripeStatus}`);

      const worked = await checkout(stack, {}, { key });
      assert.equal(worked.status, 200, JSON.stringify(worked.body));
    });
  }

  await test.step("Stripe hangs: 503 with Retry-After meanwhile, and the same key completes later", async () => {
    const key = crypto.randomUUID();
    const failed = await answeredMeanwhile((hang) => {
      stripe.intercept = insteadOfSession(hang);
      return checkout(stack, {}, { key });
    });
    stripe.intercept = forwardAll;
    assert.deepEqual([failed.status, failed.body.error.code], [503, "stripe_unavailable"]);
    assert.ok((failed.retryAfter ?? 0) >= 1, "Retry-After");
    assert.equal((await checkout(stack, {}, { key })).status, 200);
  });

  await test.step("the database hangs: 503 with Retry-After meanwhile, and Stripe is not even asked", async () => {
    stripe.calls.length = 0;
    const failed = await answeredMeanwhile((hang) => {
      database.intercept = hang;
      return checkout(stack, {});
    });
    database.intercept = forwardAll;
    assert.deepEqual([failed.status, failed.body.error.code], [503, "database_unavailable"]);
    assert.ok((failed.retryAfter ?? 0) >= 1, "Retry-After");
    assert.deepEqual(stripe.calls, []);
  });

  await test.step("Stripe's answer is lost: the repeat finds the session that it had made", async () => {
    const key = crypto.randomUUID();
    stripe.intercept = async (call, forward) => {
      const answer = await forward();
      if (call !== createSession) return answer;
      await answer.body?.cancel();
      return html();
    };
    assert.equal((await checkout(stack, {}, { key })).status, 503);
    stripe.intercept = forwardAll;
    const worked = await checkout(stack, {}, { key });
    assert.equal((await sessionsOf(stack, worked.body.order_id)).length, 1);
  });

  await test.step("the database is down from the start: 503, and Stripe is not even asked", async () => {
    database.intercept = () => new Response("upstream connect error", { status: 503 });
    stripe.calls.length = 0;
    const failed = await checkout(stack, {});
    database.intercept = forwardAll;
    assert.deepEqual([failed.status, failed.body.error.code], [503, "database_unavailable"]);
    assert.ok((failed.retryAfter ?? 0) >= 1);
    assert.deepEqual(stripe.calls, []);
  });

  for (const lost of [false, true]) {
    const name = lost ? "goes down while it notes the session" : "is down when the session is to be noted";
    await test.step(`the database ${name}: 503, no payable session, and the same key completes later`, async () => {
      const key = crypto.randomUUID();
      database.intercept = async (call, forward) => {
        if (call !== attach) return await forward();
        if (lost) await forward().then((answer) => answer.body?.cancel());
        return new Response("", { status: 503 });
      };
      const failed = await checkout(stack, {}, { key });
      database.intercept = forwardAll;
      assert.deepEqual([failed.status, failed.body.error.code], [503, "database_unavailable"]);
      const [order] = await stack.sql<{ id: string }[]>`
        select id from public.orders where idempotency_key = ${`guest:${key}`}`;
      assert.deepEqual((await sessionsOf(stack, order?.id ?? "")).map(({ status }) => status), ["expired"]);

      const worked = await checkout(stack, {}, { key });
      assert.equal(worked.status, 200, JSON.stringify(worked.body));
      const open = (await sessionsOf(stack, order?.id ?? "")).filter(({ status }) => status === "open");
      assert.deepEqual(open.map(({ id }) => id), [worked.body.session_id]);
      assert.equal(worked.body.order_id, order?.id);
    });
  }

  await test.step("a deadlock or a lost connection in the database is no business of the shopper's when a repeat helps", async () => {
    let failures = 0;
    database.intercept = async (call, forward) => {
      if (call === "POST /rest/v1/rpc/begin_checkout" && failures++ === 0) {
        return Response.json({ code: "40P01", message: "deadlock detected", details: null, hint: null }, {
          status: 500,
        });
      }
      return await forward();
    };
    const answer = await checkout(stack, {});
    database.intercept = forwardAll;
    assert.equal(answer.status, 201);
  });

  await assertInvariants(stack);
});
