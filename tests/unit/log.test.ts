import assert from "node:assert/strict";
import { createLogger, maskText } from "../../supabase/functions/_shared/log.ts";

function lineOf(fields: Record<string, unknown>): string {
  let written = "";
  createLogger({ function: "unit" }, (_level, line) => written = line).info("something_happened", fields);
  return written;
}

const secrets = [
  ["sk", "test", "abcdef123456"].join("_"),
  ["whsec", "abcdef123456"].join("_"),
  ["sb", "secret", "abcdef"].join("_"),
  ["re", "abcdef", "123456"].join("_"),
  "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
  "ada@example.com",
  "+1 (415) 555-0132",
  "+4915112345678",
  "4242 4242 4242 4242",
  "4242424242424242",
];

for (const secret of secrets) {
  Deno.test(`log lines do not carry ${secret.slice(0, 6)}…`, () => {
    const nested = { note: `before ${secret} after`, deep: { list: [secret] }, error: new Error(secret) };
    assert(!lineOf(nested).includes(secret));
  });
}

Deno.test("log lines hide personal fields by name", () => {
  const line = lineOf({
    email: "x",
    customer_email: "y",
    shipping_address: { line1: "z" },
    payload: { a: 1 },
  });
  const fields = JSON.parse(line);
  assert.equal(fields.email, "***");
  assert.equal(fields.customer_email, "***");
  assert.equal(fields.shipping_address, "***");
  assert.equal(fields.payload, "***");
});

Deno.test("log lines keep ids, figures and causes", () => {
  const cause = Object.assign(new Error("refused"), { code: "40001" });
  const fields = JSON.parse(
    lineOf({ event_id: "evt_1SRk2m", refund_id: "re_3SRk2m", count: 3, error: new Error("x", { cause }) }),
  );
  assert.equal(fields.event_id, "evt_1SRk2m");
  assert.equal(fields.refund_id, "re_3SRk2m");
  assert.equal(fields.count, 3);
  assert.equal(fields.error.cause.code, "40001");
});

Deno.test("a log line stays below Supabase's 10 000 characters and valid JSON", () => {
  const line = lineOf(
    Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`field_${index}`, "x".repeat(2_000)])),
  );
  assert(line.length < 10_000);
  assert.equal(JSON.parse(line).truncated, true);
});

Deno.test("maskText() shortens long texts", () => {
  assert(maskText("x".repeat(5_000)).length < 1_100);
});

Deno.test("log lines carry nothing that breaks, turns or hides a line, and still say what it was", () => {
  const text = "a\n\u0085\u2028\u202e\u200b\ufeff\u009bb";
  const line = lineOf({ sku: text });
  assert.doesNotMatch(line, /[^\x20-\x7e…]/);
  assert.equal(JSON.parse(line).sku, text);
});
