import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { corsHeaders as libraryHeaders } from "@supabase/supabase-js/cors";
import {
  corsHeaders,
  json,
  readBody,
  readJson,
  respond,
} from "../../supabase/functions/_shared/http/endpoint.ts";
import { errorOf, keptLog } from "./fakes.ts";

const url = "http://functions.example/unit";
const origins = ["https://shop.example"];

function post(
  body: BodyInit | null,
  headers: Record<string, string> = { "content-type": "application/json" },
): Request {
  return new Request(url, { method: "POST", body, headers });
}

function answer(request: Request, run = () => Promise.resolve(json({ fine: true }))): Promise<Response> {
  return respond(request, { methods: ["POST"], allowedOrigins: origins, log: keptLog().log }, run);
}

Deno.test("respond() sets a request id and takes over a harmless one", async () => {
  assert.match((await answer(post("{}"))).headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
  const given = await answer(post("{}", { "x-request-id": "abc-12345678" }));
  assert.equal(given.headers.get("x-request-id"), "abc-12345678");
  const forged = await answer(post("{}", { "x-request-id": '{"level":"error"}' }));
  assert.match(forged.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
});

Deno.test("respond() answers 405 with Allow for other methods", async () => {
  const response = await answer(new Request(url, { method: "DELETE" }));
  assert.equal(response.status, 405);
  assert.equal(response.headers.get("allow"), "POST");
  assert.equal((await errorOf(response)).code, "method_not_allowed");
});

Deno.test("respond() answers a preflight of the shop and refuses a foreign one", async () => {
  const ours = await answer(
    new Request(url, { method: "OPTIONS", headers: { origin: "https://shop.example" } }),
  );
  assert.equal(ours.status, 204);
  assert.equal(ours.headers.get("access-control-allow-origin"), "https://shop.example");
  assert.match(ours.headers.get("access-control-allow-headers") ?? "", /idempotency-key/);
  const foreign = await answer(
    new Request(url, { method: "OPTIONS", headers: { origin: "https://evil.example" } }),
  );
  assert.equal(foreign.status, 403);
  assert.equal(foreign.headers.get("access-control-allow-origin"), null);
});

Deno.test("respond() refuses a foreign origin and lets servers without one pass", async () => {
  const foreign = await answer(post("{}", { origin: "https://evil.example" }));
  assert.equal(foreign.status, 403);
  assert.equal((await errorOf(foreign)).code, "origin_not_allowed");
  assert.equal((await answer(post("{}"))).status, 200);
});

Deno.test("respond() logs the origin that it refuses, and how to allow it", async () => {
  const { log, lines } = keptLog();
  const endpoint = { methods: ["POST"] as const, allowedOrigins: origins, log };
  const request = new Request(url, { method: "OPTIONS", headers: { origin: "https://new-shop.example" } });
  await respond(request, endpoint, () => Promise.resolve(json({})));
  assert.match(JSON.stringify(lines), /origin_refused.*https:\/\/new-shop\.example.*ALLOWED_ORIGINS/);
});

Deno.test("respond() turns an unknown error into 500 without its message", async () => {
  const response = await answer(post("{}"), () => Promise.reject(new Error("select secret from vault")));
  assert.equal(response.status, 500);
  const text = JSON.stringify(await response.json());
  assert(text.includes("internal_error") && !text.includes("vault"));
});

Deno.test("respond() carries details and Retry-After of an AppError", async () => {
  const failure = new AppError("velocity_exceeded", { details: [1], retryAfterSeconds: 12.2 });
  const response = await answer(post("{}"), () => Promise.reject(failure));
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("retry-after"), "13");
  assert.deepEqual((await errorOf(response)).details, [1]);
});

Deno.test("respond() sends those that an outage refuses together away for different times, and none for less than it was told", async () => {
  const waits = await Promise.all(Array.from({ length: 50 }, async () => {
    const failure = new AppError("database_unavailable", { retryAfterSeconds: 10 });
    const response = await answer(post("{}"), () => Promise.reject(failure));
    return Number(response.headers.get("retry-after"));
  }));
  assert.ok(Math.min(...waits) >= 10 && Math.max(...waits) < 20, waits.join());
  assert.ok(new Set(waits).size > 3, waits.join());
});

Deno.test("readBody() counts bytes while they stream, whatever Content-Length claims", async () => {
  const chunks = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let index = 0; index < 5; index++) controller.enqueue(new Uint8Array(300));
      controller.close();
    },
  });
  const request = new Request(url, { method: "POST", body: chunks, headers: { "content-length": "10" } });
  await assert.rejects(readBody(request, 1_024), { code: "body_too_large" });
});

Deno.test("readBody() accepts a body of exactly the limit", async () => {
  assert.equal((await readBody(post(new Uint8Array(1_024)), 1_024)).byteLength, 1_024);
  await assert.rejects(readBody(post(new Uint8Array(1_025)), 1_024), { code: "body_too_large" });
});

Deno.test("readBody() gives up on a body that trickles", async () => {
  const silent = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(1)),
  });
  await assert.rejects(readBody(post(silent), 1_024, 20), { code: "request_timeout" });
});

const badBodies: [string, Request, string][] = [
  ["no content type", post("{}", {}), "unsupported_media_type"],
  ["a form", post("a=1", { "content-type": "application/x-www-form-urlencoded" }), "unsupported_media_type"],
  [
    "another charset",
    post("{}", { "content-type": "application/json; charset=utf-16" }),
    "unsupported_media_type",
  ],
  [
    "gzip",
    post("x", { "content-type": "application/json", "content-encoding": "gzip" }),
    "unsupported_media_type",
  ],
  ["broken JSON", post("{"), "invalid_request"],
  ["broken UTF-8", post(new Uint8Array([0x22, 0xff, 0x22])), "invalid_request"],
  ["an empty body", post(null), "invalid_request"],
];

for (const [name, request, code] of badBodies) {
  Deno.test(`readJson() refuses ${name} with ${code}`, async () => {
    await assert.rejects(readJson(request, 1_024), { code });
  });
}

Deno.test("readJson() takes the given value for an empty body", async () => {
  assert.deepEqual(await readJson(post(null, {}), 1_024, {}), {});
  await assert.rejects(readJson(post("{}", {}), 1_024, {}), { code: "unsupported_media_type" });
});

Deno.test("a preflight allows every header that supabase-js sends by its own list", () => {
  const sent = (libraryHeaders["Access-Control-Allow-Headers"] ?? "").split(",").map((name) =>
    name.trim().toLowerCase()
  );
  assert.ok(sent.length >= 4, "the library has a list");
  assert.deepEqual(sent.filter((name) => !corsHeaders.includes(name)), []);
});

Deno.test("respond() answers HEAD where GET works, with GET's headers and no body", async () => {
  const endpoint = { methods: ["GET"] as const, allowedOrigins: origins, log: keptLog().log };
  const run = () => Promise.resolve(json({ fine: true }, 201));
  const head = await respond(new Request(url, { method: "HEAD" }), endpoint, run);
  assert.deepEqual([head.status, head.body], [201, null]);
  assert.equal(head.headers.get("content-type"), "application/json; charset=utf-8");
  assert.ok(head.headers.has("x-request-id"));

  const refused = await respond(new Request(url, { method: "DELETE" }), endpoint, run);
  assert.equal(refused.headers.get("allow"), "GET, HEAD");
  const preflight = await respond(
    new Request(url, { method: "OPTIONS", headers: { origin: "https://shop.example" } }),
    endpoint,
    run,
  );
  assert.equal(preflight.headers.get("access-control-allow-methods"), "GET, HEAD, OPTIONS");
  assert.equal((await answer(new Request(url, { method: "HEAD" }))).status, 405, "where only POST works");
});
