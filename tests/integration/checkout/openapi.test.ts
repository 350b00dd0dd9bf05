import assert from "node:assert/strict";
import { openapi, OPENAPI_PATH } from "../../../scripts/quality/openapi.ts";
import { orderPageToken } from "../../../supabase/functions/_shared/checkout/order_link.ts";
import { resumeToken } from "../../../supabase/functions/_shared/checkout/resume_link.ts";
import { unsubscribeLink } from "../../../supabase/functions/_shared/mails/unsubscribe_link.ts";
import { svixHeaders } from "../../../supabase/functions/mail-webhook/signature.ts";
import { testStack } from "../../support/stack.ts";
import { differences, type Schema } from "./json_schema.ts";
import { control, flush, setAvailable } from "./shop.ts";

interface Media {
  content?: Record<string, { schema: Schema }>;
}

interface Operation {
  requestBody?: Media;
  responses: Record<string, Media & { headers?: Record<string, { schema: Schema }> }>;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

const mailSecret = `whsec_${btoa(crypto.randomUUID())}`;
const linkSigningSecret = `openapi-${crypto.randomUUID()}`;

Deno.test("docs/openapi.json is what the schemas say; deno task types writes it", async () => {
  const kept = await Deno.readTextFile(new URL(`../../../${OPENAPI_PATH}`, import.meta.url));
  assert.equal(kept, openapi(), "run deno task types");
});

Deno.test("docs/openapi.json describes the real answers of every function", async () => {
  await using stack = await testStack({
    env: {
      LINK_SIGNING_SECRET: linkSigningSecret,
      RESEND_WEBHOOK_SECRETS: mailSecret,
      WEBHOOK_REJECTION_LIMIT: "100000",
    },
  });
  const document: Document = JSON.parse(openapi());
  const seen = new Set<string>();

  /** Calls a function and holds the answer against the document. */
  const call = async (method: "get" | "post", path: string, init: RequestInit, status: number) => {
    const name = `/functions/v1/${path.split("?")[0]}`;
    const operation = document.paths[name]?.[method];
    assert.ok(operation, `${method} ${name} is not in the document`);
    const response = await fetch(`${stack.functions_url}/${path}`, { method, redirect: "manual", ...init });
    const text = await response.text();
    assert.equal(response.status, status, `${name}: ${text}`);
    const described = operation.responses[String(status)];
    assert.ok(described, `${name} answers ${status}, which the document does not know`);
    seen.add(`${name} ${status}`);
    for (const header of Object.keys(described.headers ?? {})) {
      assert.ok(response.headers.has(header), `${name} ${status}: ${header} is missing`);
    }
    const schema = described.content?.["application/json"]?.schema;
    if (schema === undefined) return null;
    const body = JSON.parse(text);
    assert.deepEqual(
      differences(body, schema, document.components.schemas),
      [],
      `${name} ${status}: ${text}`,
    );
    return body;
  };
  const key = { apikey: stack.publishable_key };
  const jsonType = { "content-type": "application/json" };
  const cart = { items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }], customer_email: "ada@example.com" };
  const post = (body: unknown, headers: Record<string, string> = key): RequestInit => ({
    headers: { ...jsonType, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const checkout = "create-checkout-session";

  const request = document.paths[`/functions/v1/${checkout}`]?.["post"]?.requestBody?.content
    ?.["application/json"]?.schema;
  assert.ok(request);
  assert.deepEqual(differences(cart, request, {}), []);
  assert.notDeepEqual(differences({ ...cart, total: 1 }, request, {}), []);

  const order = await call("post", checkout, post(cart, { ...key, "idempotency-key": "doc" }), 201);
  await call("post", checkout, post(cart, { ...key, "idempotency-key": "doc" }), 200);
  await call("post", checkout, post({ ...cart, items: [] }), 400);
  await call("post", checkout, post(cart, {}), 401);
  await call("post", checkout, post(cart, { ...key, origin: "https://evil.example" }), 403);
  await call("post", checkout, post({ items: [{ sku: "NOPE", quantity: 1 }] }), 404);
  await call(
    "post",
    checkout,
    post({ items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 2 }] }, { ...key, "idempotency-key": "doc" }),
    409,
  );
  await call("post", checkout, post("x".repeat(100_000)), 413);
  await call("post", checkout, { headers: { ...key, "content-type": "text/plain" }, body: "x" }, 415);
  await control(stack, "faults", { api: [{ match: "POST /v1/checkout/sessions", status: 500, times: 2 }] });
  await call("post", checkout, post(cart), 503);
  await setAvailable(stack, "SHIRT-OXF-BLU-M", 0);
  const shortage = await call(
    "post",
    checkout,
    post({ items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 3 }] }),
    409,
  );
  assert.deepEqual(shortage.error.details, [{ sku: "SHIRT-OXF-BLU-M", requested: 3, available: 0 }]);

  const status = `order-status?session_id=${order.session_id}`;
  await call("get", status, { headers: key }, 200);
  await call("get", "order-status", { headers: key }, 400);
  await call("get", status, {}, 401);
  await call("get", "order-status?session_id=cs_none", { headers: key }, 404);
  const page = (at: number) => orderPageToken(order.order_id, { linkSigningSecret }, at);
  await call("get", `order-status?token=${await page(Date.now())}`, { headers: key }, 200);
  await call("get", `order-status?token=${await page(0)}`, { headers: key }, 410);

  const token = await resumeToken(order.order_id, Math.floor(Date.now() / 1000) + 60, { linkSigningSecret });
  await call("get", `resume-checkout?token=${token}`, {}, 303);
  await call("get", "resume-checkout?token=x", {}, 400);
  const late = await resumeToken(order.order_id, 1, { linkSigningSecret });
  await call("get", `resume-checkout?token=${late}`, {}, 410);
  await call("post", "resume-checkout", post({ token }, {}), 200);
  await call("post", "resume-checkout", post({ token, currency: "usd" }, {}), 400);
  await call("post", "resume-checkout", post({ token: late }, {}), 410);

  assert.ok((await control(stack, "pay", { session: order.session_id })).ok);
  await flush(stack);
  const paid = await call("get", status, { headers: key }, 200);
  assert.deepEqual([paid.status, typeof paid.paid_at], ["paid", "string"]);

  await call("post", "stripe-webhook", post({}, {}), 400);
  await call("post", "mail-webhook", post({}, {}), 400);
  const report = new TextEncoder().encode("{}");
  const signed = await svixHeaders(report, mailSecret, "msg_1", Math.floor(Date.now() / 1000));
  await call("post", "mail-webhook", { headers: signed, body: report }, 200);
  const unsubscribe = new URL(
    await unsubscribeLink("a".repeat(64), { linkSigningSecret, supabaseUrl: stack.api_url }),
  );
  const leave = `unsubscribe${unsubscribe.search}`;
  const oneClick = new URLSearchParams({ "List-Unsubscribe": "One-Click" });
  await call("get", leave, {}, 303);
  await call("get", "unsubscribe?token=x", {}, 400);
  await call("post", leave, { body: oneClick }, 200);
  await call("post", leave, { body: new URLSearchParams() }, 400);
  await call("post", leave, post({}), 415);
  await call("post", leave, { body: oneClick, headers: { origin: "https://evil.example" } }, 403);

  await call("post", "retry-jobs", post({ limit: 1 }, { apikey: stack.secret_key }), 200);
  await call("post", "retry-jobs", post({ limit: 0 }, { apikey: stack.secret_key }), 400);
  await call("post", "retry-jobs", post({}), 401);
  await call("get", "health", {}, 200);
  await call("get", "health", { headers: { apikey: stack.secret_key } }, 200);
  for (const [path, method] of [[checkout, "GET"], ["order-status", "POST"]] as const) {
    const response = await fetch(`${stack.functions_url}/${path}`, { method });
    assert.equal(response.status, 405);
    assert.deepEqual(
      differences(await response.json(), { $ref: "#/components/schemas/Error" }, document.components.schemas),
      [],
    );
  }
  assert.ok(seen.size >= 20, [...seen].join());
});
