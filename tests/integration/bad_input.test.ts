import assert from "node:assert/strict";
import { testStack } from "../support/stack.ts";

interface Case {
  name: string;
  path: string;
  method?: string;
  key?: "publishable" | "secret" | "none" | "wrong";
  headers?: Record<string, string>;
  body?: unknown;
  status: number;
  code: string;
}

const sku = "SHIRT-OXF-WHT-M";
const items = [{ sku, quantity: 1 }];
const checkout = "create-checkout-session";
const twoMegabytes = `{"items":"${"x".repeat(2 * 1024 * 1024)}"}`;

const checkoutCases: Case[] = [
  { name: "GET", path: checkout, method: "GET", status: 405, code: "method_not_allowed" },
  { name: "DELETE", path: checkout, method: "DELETE", status: 405, code: "method_not_allowed" },
  { name: "no key", path: checkout, key: "none", body: { items }, status: 401, code: "unauthorized" },
  { name: "a wrong key", path: checkout, key: "wrong", body: { items }, status: 401, code: "unauthorized" },
  {
    name: "a forged user token",
    path: checkout,
    headers: { authorization: "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9." },
    body: { items },
    status: 401,
    code: "unauthorized",
  },
  {
    name: "a foreign origin",
    path: checkout,
    headers: { origin: "https://evil.example" },
    body: { items },
    status: 403,
    code: "origin_not_allowed",
  },
  {
    name: "a form",
    path: checkout,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "items=1",
    status: 415,
    code: "unsupported_media_type",
  },
  { name: "two megabytes", path: checkout, body: twoMegabytes, status: 413, code: "body_too_large" },
  { name: "no body", path: checkout, body: "", status: 400, code: "invalid_request" },
  { name: "malformed JSON", path: checkout, body: '{"items":', status: 400, code: "invalid_request" },
  { name: "a JSON list", path: checkout, body: items, status: 400, code: "invalid_request" },
  { name: "wrong types", path: checkout, body: { items: "all" }, status: 400, code: "invalid_request" },
  {
    name: "an unknown field",
    path: checkout,
    body: { items, total: 1 },
    status: 400,
    code: "invalid_request",
  },
  {
    name: "a price of the caller's",
    path: checkout,
    body: { items: [{ sku, quantity: 1, unit_amount: 1 }] },
    status: 400,
    code: "invalid_request",
  },
  { name: "an empty cart", path: checkout, body: { items: [] }, status: 400, code: "invalid_request" },
  ...[0, -1, 100, 1.5, 1e21, "1", null].map((quantity) => ({
    name: `quantity ${JSON.stringify(quantity)}`,
    path: checkout,
    body: { items: [{ sku, quantity }] },
    status: 400,
    code: "invalid_request",
  })),
  {
    name: "__proto__ as a field",
    path: checkout,
    body: `{"items":[{"sku":"${sku}","quantity":1}],"__proto__":{"admin":true}}`,
    status: 400,
    code: "invalid_request",
  },
  {
    name: "an unknown SKU",
    path: checkout,
    body: { items: [{ sku: "NO-SUCH-SKU", quantity: 1 }] },
    status: 404,
    code: "unknown_sku",
  },
  {
    name: "SQL as a SKU",
    path: checkout,
    body: { items: [{ sku: "' or 1=1; --", quantity: 1 }] },
    status: 404,
    code: "unknown_sku",
  },
  {
    name: "more than there is",
    path: checkout,
    body: { items: [{ sku: "TIE-SILK-BUR", quantity: 99 }] },
    status: 409,
    code: "insufficient_stock",
  },
  {
    name: "mixed currencies",
    path: checkout,
    body: { items: [...items, { sku: "EURO-SOCK", quantity: 1 }] },
    status: 400,
    code: "invalid_request",
  },
  ...["success_url", "cancel_url"].flatMap((field) => [
    {
      name: `a foreign ${field}`,
      path: checkout,
      body: { items, [field]: "https://evil.example/" },
      status: 403,
      code: "origin_not_allowed",
    },
    {
      name: `a ${field} with a line break`,
      path: checkout,
      body: { items, [field]: "http://127.0.0.1/\r\nlocation: https://evil.example" },
      status: 400,
      code: "invalid_request",
    },
    {
      name: `a script as ${field}`,
      path: checkout,
      body: { items, [field]: "javascript:alert(1)" },
      status: 400,
      code: "invalid_request",
    },
  ]),
  {
    name: "an Idempotency-Key of 256 characters",
    path: checkout,
    headers: { "idempotency-key": "k".repeat(256) },
    body: { items },
    status: 400,
    code: "invalid_request",
  },
];

const otherCases: Case[] = [
  {
    name: "POST",
    path: "order-status?session_id=cs_1",
    method: "POST",
    body: {},
    status: 405,
    code: "method_not_allowed",
  },
  {
    name: "no key",
    path: "order-status?session_id=cs_1",
    method: "GET",
    key: "none",
    status: 401,
    code: "unauthorized",
  },
  { name: "no session", path: "order-status", method: "GET", status: 400, code: "invalid_request" },
  {
    name: "an unknown session",
    path: "order-status?session_id=cs_1",
    method: "GET",
    status: 404,
    code: "order_not_found",
  },
  {
    name: "SQL as a session",
    path: `order-status?session_id=${encodeURIComponent("cs_' or 1=1")}`,
    method: "GET",
    status: 404,
    code: "order_not_found",
  },
  {
    name: "no signature",
    path: "mail-webhook",
    key: "none",
    body: {},
    status: 400,
    code: "invalid_signature",
  },
  {
    name: "the secret key",
    path: "mail-webhook",
    key: "secret",
    body: {},
    status: 400,
    code: "invalid_signature",
  },
  { name: "GET", path: "mail-webhook", method: "GET", status: 405, code: "method_not_allowed" },
  { name: "no token", path: "unsubscribe", method: "GET", key: "none", status: 400, code: "invalid_request" },
  {
    name: "a forged token and the secret key",
    path: `unsubscribe?token=${"a".repeat(64)}.${"A".repeat(43)}`,
    key: "secret",
    body: {},
    status: 400,
    code: "invalid_request",
  },
  { name: "GET", path: "retry-jobs", method: "GET", key: "secret", status: 405, code: "method_not_allowed" },
  { name: "no key", path: "retry-jobs", key: "none", body: {}, status: 401, code: "unauthorized" },
  { name: "the publishable key", path: "retry-jobs", body: {}, status: 401, code: "unauthorized" },
  ...[0, -1, 1001, 1.5, "100", null].map((limit) => ({
    name: `limit ${JSON.stringify(limit)}`,
    path: "retry-jobs",
    key: "secret" as const,
    body: { limit },
    status: 400,
    code: "invalid_request",
  })),
  {
    name: "an unknown field",
    path: "retry-jobs",
    key: "secret",
    body: { limits: 1 },
    status: 400,
    code: "invalid_request",
  },
  {
    name: "malformed JSON",
    path: "retry-jobs",
    key: "secret",
    body: "{",
    status: 400,
    code: "invalid_request",
  },
  {
    name: "two megabytes",
    path: "retry-jobs",
    key: "secret",
    body: twoMegabytes,
    status: 413,
    code: "body_too_large",
  },
  { name: "DELETE", path: "health", method: "DELETE", status: 405, code: "method_not_allowed" },
  {
    name: "GET",
    path: "stripe-webhook",
    method: "GET",
    key: "none",
    status: 405,
    code: "method_not_allowed",
  },
  {
    name: "two megabytes",
    path: "stripe-webhook",
    key: "none",
    body: twoMegabytes,
    status: 413,
    code: "body_too_large",
  },
  {
    name: "no signature",
    path: "stripe-webhook",
    key: "none",
    body: {},
    status: 400,
    code: "missing_signature",
  },
  {
    name: "a secret key instead of a signature",
    path: "stripe-webhook",
    key: "secret",
    body: {},
    status: 400,
    code: "missing_signature",
  },
  {
    name: "a signature of nobody's",
    path: "stripe-webhook",
    key: "none",
    headers: { "stripe-signature": `t=1,v1=${"0".repeat(64)}` },
    body: {},
    status: 400,
    code: "invalid_signature",
  },
];

Deno.test("bad input is refused with the documented status and code, and changes nothing", async (test) => {
  await using stack = await testStack({ env: { WEBHOOK_REJECTION_LIMIT: "1000" } });
  const { sql } = stack;
  await sql`
    with product as (insert into products (slug, name) values ('euro-sock', 'Euro sock') returning id),
    variant as (
      insert into product_variants (product_id, sku, price_amount, currency)
      select id, 'EURO-SOCK', 900, 'eur' from product returning id
    )
    insert into inventory_levels (variant_id, on_hand) select id, 5 from variant`;
  const keys = {
    publishable: stack.publishable_key,
    secret: stack.secret_key,
    wrong: `${stack.publishable_key}x`,
    none: null,
  };

  for (
    const { name, path, method = "POST", key = "publishable", headers = {}, body, status, code } of [
      ...checkoutCases,
      ...otherCases,
    ]
  ) {
    await test.step(`${path.split("?")[0]}: ${name}`, async () => {
      const apikey = keys[key];
      const response = await fetch(`${stack.functions_url}/${path}`, {
        method,
        headers: { "content-type": "application/json", ...(apikey === null ? {} : { apikey }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const answer = await response.json();
      assert.equal(response.status, status, JSON.stringify(answer));
      assert.equal(answer.error.code, code);
      assert.equal(answer.error.request_id, response.headers.get("x-request-id"));
      assert.equal(typeof answer.error.message, "string");
    });
  }

  await test.step("nothing was stored, ordered or reserved", async () => {
    const [row] = await sql`
      select (select count(*)::int from orders) as orders, (select count(*)::int from webhook_events) as events,
        (select sum(reserved)::int from inventory_levels) as reserved`;
    assert.deepEqual({ ...row }, { orders: 0, events: 0, reserved: 0 });
  });

  await test.step("the shortage names the article, what was asked for and what is there", async () => {
    const response = await fetch(`${stack.functions_url}/${checkout}`, {
      method: "POST",
      headers: { "apikey": stack.publishable_key, "content-type": "application/json" },
      body: JSON.stringify({ items: [{ sku: "TIE-SILK-BUR", quantity: 2 }] }),
    });
    const [level] = await sql`
      select on_hand - reserved as available from inventory_levels l join product_variants v on v.id = l.variant_id
      where v.sku = 'TIE-SILK-BUR'`;
    assert.deepEqual((await response.json()).error.details, [
      { sku: "TIE-SILK-BUR", requested: 2, available: Number(level?.["available"]) },
    ]);
  });

  await test.step("what is wrong with the lines together is said of the lines", async () => {
    for (
      const items of [
        [{ sku, quantity: 60 }, { sku, quantity: 60 }],
        [{ sku, quantity: 1 }, { sku: "EURO-SOCK", quantity: 1 }],
      ]
    ) {
      const response = await fetch(`${stack.functions_url}/${checkout}`, {
        method: "POST",
        headers: { "apikey": stack.publishable_key, "content-type": "application/json" },
        body: JSON.stringify({ items }),
      });
      const { error } = await response.json();
      assert.deepEqual([response.status, error.code, error.details[0].path], [
        400,
        "invalid_request",
        "items",
      ]);
    }
  });

  await test.step("duplicate lines of one SKU are summed", async () => {
    const response = await fetch(`${stack.functions_url}/${checkout}`, {
      method: "POST",
      headers: { "apikey": stack.publishable_key, "content-type": "application/json" },
      body: JSON.stringify({ items: [{ sku, quantity: 1 }, { sku, quantity: 2 }] }),
    });
    const order = await response.json();
    assert.equal(response.status, 201, JSON.stringify(order));
    const lines = await sql`select sku, quantity from order_items where order_id = ${order.order_id}`;
    assert.deepEqual([...lines], [{ sku, quantity: 3 }]);
  });

  await test.step("an answer to a header of the caller's carries no header of the caller's choice", async () => {
    const response = await fetch(`${stack.functions_url}/health`, { headers: { "x-request-id": "a b: c" } });
    assert.match(response.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
    await response.body?.cancel();
  });
});
