import assert from "node:assert/strict";
import {
  isWithinTolerance,
  matchesAnySecret,
  parseSignatureHeader,
  signPayload,
  verifySignature,
} from "../../supabase/functions/_shared/stripe/signature.ts";

const secret = "whsec_unit_tests";
const other = "whsec_another_one";
const body = new TextEncoder().encode('{"id":"evt_1"}');
const nowMs = Date.parse("2026-11-08T12:00:00Z");
const now = nowMs / 1000;

function verify(header: string | null, secrets = [secret], given = body): Promise<void> {
  return verifySignature(given, header, secrets, nowMs);
}

Deno.test("verifySignature() accepts what was signed with the secret", async () => {
  await verify(await signPayload(body, secret, now));
});

Deno.test("signPayload() makes the signature that Stripe documents: HMAC-SHA256 of time, dot and body", async () => {
  const header = await signPayload(new TextEncoder().encode("{}"), "whsec_vector", 1_700_000_000);
  const { createHmac } = await import("node:crypto");
  const expected = createHmac("sha256", "whsec_vector").update("1700000000.{}").digest("hex");
  assert.equal(header, `t=1700000000,v1=${expected}`);
});

Deno.test("verifySignature() accepts any of several secrets, with white space around them", async () => {
  await verify(await signPayload(body, secret, now), [other, ` ${secret}\n`]);
});

Deno.test("verifySignature() accepts several v1, as sent while a secret is rolled", async () => {
  const [, fromOther] = (await signPayload(body, other, now)).split(",");
  const ours = await signPayload(body, secret, now);
  await verify(`${ours},${fromOther}`);
  await verify(`t=${now},${fromOther},${ours.split(",")[1]}`);
});

Deno.test("verifySignature() ignores v0", async () => {
  const [time, v1] = (await signPayload(body, secret, now)).split(",");
  await assert.rejects(verify(`${time},${v1?.replace("v1=", "v0=")}`), { code: "invalid_signature" });
  await verify(`${time},v0=${"0".repeat(64)},${v1}`);
});

Deno.test("verifySignature() refuses the same signature with another body", async () => {
  const header = await signPayload(body, secret, now);
  const changed = new TextEncoder().encode('{"id":"evt_2"}');
  await assert.rejects(verify(header, [secret], changed), { code: "invalid_signature" });
});

Deno.test("verifySignature() refuses a foreign secret and a changed time", async () => {
  await assert.rejects(verify(await signPayload(body, other, now)), { code: "invalid_signature" });
  const [, v1] = (await signPayload(body, secret, now)).split(",");
  await assert.rejects(verify(`t=${now - 1},${v1}`), { code: "invalid_signature" });
});

Deno.test("verifySignature() says when there is no signature at all", async () => {
  await assert.rejects(verify(null), { code: "missing_signature" });
  await assert.rejects(verify("  "), { code: "missing_signature" });
});

Deno.test("verifySignature() refuses old and future times beyond five minutes", async () => {
  for (const offset of [-300, 300]) await verify(await signPayload(body, secret, now + offset));
  for (const offset of [-301, 301, -86_400, 86_400]) {
    await assert.rejects(verify(await signPayload(body, secret, now + offset)), {
      code: "timestamp_out_of_tolerance",
    });
  }
});

const badHeaders = [
  "nonsense",
  "t=1",
  "v1=00",
  `t=,v1=${"a".repeat(64)}`,
  `t=-1,v1=${"a".repeat(64)}`,
  `t=1e9,v1=${"a".repeat(64)}`,
  `t=1,t=2,v1=${"a".repeat(64)}`,
  `t=1,v1=${"g".repeat(64)}`,
  `t=1,v1=${"a".repeat(63)}`,
  `t=1,${Array(11).fill(`v1=${"a".repeat(64)}`).join(",")}`,
  "t=1,v1=".padEnd(5_000, "a"),
];

for (const header of badHeaders) {
  Deno.test(`parseSignatureHeader() refuses ${header.slice(0, 40)}`, () => {
    assert.equal(parseSignatureHeader(header), null);
  });
}

Deno.test("matchesAnySecret() is false when no secret matches", async () => {
  const header = parseSignatureHeader(await signPayload(body, other, now));
  assert(header !== null);
  assert.equal(await matchesAnySecret(body, header, [secret]), false);
  assert.equal(await matchesAnySecret(body, header, [secret, other]), true);
});

Deno.test("isWithinTolerance() counts both directions", () => {
  assert.equal(isWithinTolerance(now - 300, nowMs), true);
  assert.equal(isWithinTolerance(now + 300, nowMs), true);
  assert.equal(isWithinTolerance(now - 301, nowMs), false);
  assert.equal(isWithinTolerance(now + 301, nowMs), false);
});

Deno.test("a body is hashed once for each secret, however many signatures the header has", async () => {
  const body = new Uint8Array(1024);
  const signatures = Array.from({ length: 10 }, () => new ArrayBuffer(32));
  const { sign } = crypto.subtle;
  let hashed = 0;
  crypto.subtle.sign = (...args) => {
    hashed += 1;
    return sign.apply(crypto.subtle, args);
  };
  try {
    assert.equal(await matchesAnySecret(body, { timestamp: 1, signatures }, ["whsec_a", "whsec_b"]), false);
  } finally {
    crypto.subtle.sign = sign;
  }
  assert.equal(hashed, 2);
});
