import assert from "node:assert/strict";
import { reconcile } from "../../scripts/live/reconcile.ts";
import type { LoggedRequest } from "../../scripts/stand-in/core/request_log.ts";
import { checkout, control, drain, flush, jobContext, pay } from "../integration/jobs/shop.ts";
import { startMock } from "../stand-in/stripe_mock.ts";
import { TEST_KEY } from "../stand-in/stand_in.ts";
import { type TestStack, testStack } from "../support/stack.ts";

const { test } = Deno;

/** Every switch that shapes a request, both ways. */
const SWITCHES: Record<string, string>[] = [
  {},
  {
    CHECKOUT_AUTOMATIC_TAX: "true",
    CHECKOUT_PROMOTION_CODES: "true",
    CHECKOUT_TERMS_CONSENT: "true",
    CHECKOUT_THREE_D_SECURE: "challenge",
    CHECKOUT_STATEMENT_DESCRIPTOR_SUFFIX: "SHOP",
    CHECKOUT_RECEIPTS: "false",
    CHECKOUT_SAVED_CARDS: "false",
  },
];

/** What our functions must have asked of Stripe, for the test to mean anything. */
const EXPECTED = [
  "POST /v1/checkout/sessions",
  "GET /v1/checkout/sessions/:id",
  "POST /v1/checkout/sessions/:id/expire",
  "POST /v1/refunds",
  "GET /v1/refunds/:id",
  "GET /v1/disputes/:id",
  "POST /v1/disputes/:id",
  "POST /v1/files",
  "GET /v1/events",
  "GET /v1/payment_intents",
  "GET /v1/refunds",
  "GET /v1/disputes",
];

/** A day in the shop's life: paid, refunded, disputed, cancelled, reconciled. */
async function aDay(stack: TestStack): Promise<void> {
  const order = await checkout(stack);
  await pay(stack, order.session_id);
  await flush(stack);
  const status = await fetch(`${stack.functions_url}/order-status?session_id=${order.session_id}`, {
    headers: { apikey: stack.publishable_key },
  });
  assert.equal(status.status, 200);
  await status.body?.cancel();
  await stack.sql`select public.request_refund(${order.order_number}, 500, 'requested_by_customer')`;
  await drain(stack);

  const fought = await checkout(stack);
  await pay(stack, fought.session_id, "4000000000000259");
  await flush(stack);
  const [dispute] = await stack.sql<
    { id: string }[]
  >`select id from public.disputes where order_id = ${fought.order_id}`;
  await stack.sql`select public.submit_dispute_evidence(${dispute?.id ?? ""}, 'delivered and signed for')`;

  const dropped = await checkout(stack);
  await stack.sql`select public.cancel_order(${dropped.order_number}, 'changed my mind')`;
  await drain(stack);
  await flush(stack);
  await drain(stack);

  // A session whose webhooks never came is read back from Stripe.
  await control(stack, "faults", { deliver: { drop: 1 } });
  const silent = await checkout(stack);
  await pay(stack, silent.session_id);
  const settled = await fetch(`${stack.functions_url}/order-status?session_id=${silent.session_id}`, {
    headers: { apikey: stack.publishable_key },
  });
  await settled.body?.cancel();
  await reconcile(jobContext(stack), { sinceMs: 3_600_000, dryRun: false });
  await drain(stack);
}

/** The operation of a request, its ids left out. */
function operation({ method, path }: LoggedRequest): string {
  return `${method} ${path.split("?")[0]?.replace(/\/[a-z]+_[A-Za-z0-9_]{10,}/g, "/:id")}`;
}

/** What a request carried; of a file the log keeps the name alone. */
function bodyOf({ path, body }: LoggedRequest): URLSearchParams | FormData {
  const fields = new URLSearchParams(body);
  if (path !== "/v1/files") return fields;
  const form = new FormData();
  for (const [name, value] of fields) {
    if (name === "file[name]") form.append("file", new Blob(["%PDF-1.4"]), value);
    else if (!name.startsWith("file[")) form.append(name, value);
  }
  return form;
}

test("every request our functions make is accepted by Stripe's own mock", async () => {
  await using mock = await startMock();
  if (mock === null) return;
  const ask = (method: string, path: string, body: URLSearchParams | FormData, version: string) =>
    fetch(mock.url + path, {
      method,
      headers: {
        authorization: `Bearer ${TEST_KEY}`,
        "stripe-version": version,
      },
      ...(method === "POST" ? { body } : {}),
    });
  const nonsense = await ask(
    "POST",
    "/v1/refunds",
    new URLSearchParams({ charge: "ch_1", nonsense: "1" }),
    "2026-10-28.endive",
  );
  assert.equal(nonsense.status, 400, "the mock accepts anything, so it proves nothing");
  await nonsense.body?.cancel();
  const seen = new Set<string>();
  const refused: string[] = [];
  for (const env of SWITCHES) {
    await using stack = await testStack({ env });
    await aDay(stack);
    const response = await fetch(`${stack.stripe_url}/_control/requests`);
    const { requests } = await response.json() as { requests: LoggedRequest[] };
    for (const request of requests) {
      // The stack itself sets its webhook endpoint up by hand, without a version.
      if (request.stripe_version === null) continue;
      seen.add(operation(request));
      const answer = await ask(request.method, request.path, bodyOf(request), request.stripe_version);
      const text = await answer.text();
      if (!answer.ok) {
        refused.push(
          `${request.method} ${request.path} ${request.body.slice(0, 300)}: ${text.slice(0, 300)}`,
        );
      }
    }
  }
  assert.deepEqual(refused, []);
  assert.deepEqual(EXPECTED.filter((wanted) => !seen.has(wanted)), []);
});
