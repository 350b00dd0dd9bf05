/**
 * Generated hostile requests. Everything comes from a seeded generator, so that a seed and an index name a
 * request again.
 */
import { signPayload } from "../../../supabase/functions/_shared/stripe/signature.ts";

export interface HostileRequest {
  /** Which recipe made it. */
  recipe: string;
  path: string;
  method: string;
  headers: [string, string][];
  body: Uint8Array | null;
}

export interface Ingredients {
  webhookSecret: string;
  publishableKey: string;
  secretKey: string;
  /** A genuine event; what is derived from it is never delivered unchanged. */
  event: Record<string, unknown>;
}

/** A small generator of numbers in [0, 1), the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

type Random = () => number;
type Recipe = (
  random: Random,
  given: Ingredients,
) => Promise<Omit<HostileRequest, "recipe">> | Omit<HostileRequest, "recipe">;

const encoder = new TextEncoder();
const json: [string, string] = ["content-type", "application/json"];

/** The request of a seed and an index. */
export async function hostileRequest(
  seed: number,
  index: number,
  given: Ingredients,
): Promise<HostileRequest> {
  const random = randomFrom(seed * 1_000_003 + index);
  const [recipe, make] = pick(random, Object.entries(recipes));
  return { recipe, ...await make(random, given) };
}

const recipes: Record<string, Recipe> = {
  truncated: async (random, given) => {
    const { body, signature } = await signedEvent(random, given);
    return webhook(body.slice(0, Math.floor(random() * body.length)), signature);
  },

  bit_flipped: async (random, given) => {
    const { body, signature } = await signedEvent(random, given);
    const at = Math.floor(random() * body.length);
    body[at] = (body[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    return webhook(body, signature);
  },

  other_time: async (random, given) => {
    const offset = (300 + random() * 1e7) * (random() < 0.5 ? 1 : -1) + (random() < 0.5 ? 10 : -10);
    const { body, signature } = await signedEvent(
      random,
      given,
      Math.abs(offset) < 320 ? 400 : Math.floor(offset),
    );
    return webhook(body, signature);
  },

  forged_signature: (random, given) => {
    const time = Math.floor(Date.now() / 1000);
    const forged = pick(random, [
      `t=${time},v1=${hex(random, 64)}`,
      `t=${time},v1=${hex(random, 64)},v1=${hex(random, 64)}`,
      `t=${time},v0=${hex(random, 64)}`,
      `t=${"9".repeat(400)},v1=${hex(random, 64)}`,
      `t=NaN,v1=${hex(random, 64)}`,
      `t=${time},v1=${"é".repeat(32)}`,
      `t=${time}`,
      "v1=",
      ",,,,====",
      "=".repeat(3_000),
      `t=${time},${Array(200).fill(`v1=${hex(random, 64)}`).join(",")}`,
      noise(random, 200),
    ]);
    return webhook(encoder.encode(JSON.stringify(given.event)), forged);
  },

  signed_garbage: async (random, given) => {
    const body = pick(random, [
      encoder.encode(""),
      encoder.encode("null"),
      encoder.encode("[]"),
      encoder.encode('"evt_1"'),
      encoder.encode("{}"),
      encoder.encode(`{"id":"evt_1","object":"event"}`),
      encoder.encode(`${"[".repeat(20_000)}${"]".repeat(20_000)}`),
      encoder.encode(`${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`),
      new Uint8Array([0xff, 0xfe, 0x7b, 0x00]),
      bytes(random, 500),
    ]);
    return webhook(body, await sign(body, given));
  },

  signed_misshapen: async (random, given) => {
    // Authentic, and of a shape that Stripe never sends: another id each time, so that nothing is a duplicate.
    const event: Record<string, unknown> = structuredClone(given.event);
    event["id"] = pick(random, ["evt_", 7, null, "x".repeat(300), "evt_<script>", { $ne: null }]);
    if (random() < 0.5) {
      event["id"] = `evt_hostile${hex(random, 20)}`;
      // Zero is a time, if an old one: with it the event would be as good as any.
      event[pick(random, ["created", "livemode", "type", "data", "object"])] = strange(random) || null;
    }
    const body = encoder.encode(JSON.stringify(event));
    return webhook(body, await sign(body, given));
  },

  signed_foreign_types: async (random, given) => {
    const event = {
      ...given.event,
      id: `evt_hostile${hex(random, 20)}`,
      type: pick(random, ["toString", "__proto__", "constructor", "a.b.c", "\u202e", "hasOwnProperty"]),
    };
    const body = encoder.encode(`${JSON.stringify(event).slice(0, -1)},"__proto__":{"livemode":true}}`);
    return webhook(body, await sign(body, given));
  },

  unsigned_bulk: (random) => {
    const size = pick(random, [0, 1, 1_000, 100_000, 1024 * 1024, 1024 * 1024 + 1, 1_500_000]);
    return webhook(new Uint8Array(random() < 0.98 ? Math.min(size, 20_000) : size), null);
  },

  gzip_bomb: async (random) => {
    const body = await compressedZeros();
    const headers: [string, string][] = [json, ["content-encoding", "gzip"], [
      "stripe-signature",
      `t=1,v1=${hex(random, 64)}`,
    ]];
    return {
      path: pick(random, ["stripe-webhook", "create-checkout-session"]),
      method: "POST",
      headers,
      body,
    };
  },

  odd_headers: (random, given) => ({
    path: "stripe-webhook",
    method: "POST",
    headers: [
      [
        "content-type",
        pick(random, ["text/plain", "application/json; charset=utf-16", "multipart/form-data", "\u00e9"]),
      ],
      [
        "x-forwarded-for",
        pick(random, ["3.18.12.63", "3.18.12.63, ::1, junk", ",".repeat(500), "9".repeat(3_000)]),
      ],
      ["cf-connecting-ip", pick(random, ["3.18.12.63", "[", "::ffff:0:0:0", noise(random, 40)])],
      ["stripe-signature", noise(random, 60)],
      [
        "x-request-id",
        pick(random, ['{"level":"error"}', "a".repeat(4_000), "../../etc/passwd", "id-12345678"]),
      ],
      ["authorization", `Bearer ${noise(random, 30)}`],
    ],
    body: encoder.encode(JSON.stringify(given.event)),
  }),

  wrong_method: (random) => ({
    path: pick(random, [
      "stripe-webhook",
      "create-checkout-session",
      "retry-jobs",
      "order-status",
      "health",
      "mail-webhook",
      "unsubscribe",
    ]),
    method: pick(random, ["PUT", "PATCH", "DELETE", "PROPFIND", "OPTIONS"]),
    headers: [json],
    body: null,
  }),

  checkout_shapes: (random, given) => ({
    path: "create-checkout-session",
    method: "POST",
    headers: [json, ["apikey", given.publishableKey], ["idempotency-key", noise(random, 20)]],
    body: encoder.encode(JSON.stringify({
      items: pick<unknown>(random, [
        strange(random),
        [strange(random)],
        [{ sku: strange(random), quantity: 1 }],
        [{ sku: "SHIRT-OXF-WHT-M", quantity: pick<unknown>(random, [0, -1, 1e9, 0.5, "1", null, [1]]) }],
        [{ sku: `NO-SUCH-${noise(random, 10)}`, quantity: 1 }],
        Array(51).fill({ sku: "SHIRT-OXF-WHT-M", quantity: 1 }),
      ]),
      ...(random() < 0.3
        ? { success_url: pick(random, ["https://evil.example", "javascript:0", "//evil", "\r\n"]) }
        : {}),
      ...(random() < 0.3 ? { [noise(random, 8)]: strange(random) } : {}),
    })),
  }),

  checkout_bytes: (random, given) => ({
    path: "create-checkout-session",
    method: "POST",
    headers: [json, ["apikey", pick(random, [given.publishableKey, "", noise(random, 40)])]],
    body: pick(random, [
      bytes(random, 300),
      encoder.encode(`${"[".repeat(30_000)}`),
      encoder.encode(`{"items":${"[".repeat(20_000)}${"]".repeat(20_000)}}`),
      encoder.encode('{"items":1e99999}'),
      encoder.encode('{"items":[{"sku":"\\ud800\\u0000","quantity":1}]}'),
    ]),
  }),

  status_queries: (random, given) => ({
    path: `order-status?session_id=${
      encodeURIComponent(pick(random, [
        `cs_test_${hex(random, 30)}`,
        "cs_' or '1'='1",
        "cs_\u0000",
        "../../rest/v1/orders",
        noise(random, 50),
        "cs_".padEnd(3_000, "a"),
      ]))
    }&${encodeURIComponent(noise(random, 10))}`,
    method: "GET",
    headers: [["apikey", given.publishableKey]],
    body: null,
  }),

  resume_tokens: (random) => ({
    path: `resume-checkout?token=${
      encodeURIComponent(pick(random, [
        noise(random, 80),
        `${hex(random, 40)}.${hex(random, 40)}`,
        "..",
        "\u0000",
        "a".repeat(3_000),
        btoa(JSON.stringify({ order_id: hex(random, 32), expires_at: 9e15 })),
      ]))
    }`,
    method: "GET",
    headers: [],
    body: null,
  }),

  mail_reports: (random) => ({
    path: "mail-webhook",
    method: "POST",
    headers: [
      json,
      ["svix-id", pick(random, ["msg_1", noise(random, 40), "a".repeat(3_000)])],
      ["svix-timestamp", pick(random, [String(Math.floor(Date.now() / 1000)), "-1", "NaN", "9".repeat(40)])],
      ["svix-signature", pick(random, [`v1,${"A".repeat(43)}=`, noise(random, 60), "v1,= ".repeat(300)])],
    ],
    body: encoder.encode(JSON.stringify(strange(random))),
  }),

  unsubscribe_forms: (random) => ({
    path: `unsubscribe?token=${
      encodeURIComponent(
        pick(random, [`${hex(random, 64)}.${"A".repeat(43)}`, noise(random, 80), ".", "\u0000"]),
      )
    }`,
    method: "POST",
    headers: [[
      "content-type",
      pick(random, ["application/x-www-form-urlencoded", "multipart/form-data", "x"]),
    ]],
    body: encoder.encode(pick(random, ["List-Unsubscribe=One-Click", noise(random, 200), ""])),
  }),

  resume_bodies: (random) => ({
    path: "resume-checkout",
    method: "POST",
    headers: [json],
    body: encoder.encode(JSON.stringify(pick<unknown>(random, [
      { token: noise(random, 80) },
      { token: strange(random) },
      { token: "..", [noise(random, 3_000)]: 1 },
      { token: "a".repeat(5_000) },
      [noise(random, 8)],
      strange(random),
    ]))),
  }),

  job_limits: (random, given) => ({
    path: "retry-jobs",
    method: "POST",
    headers: [json, ["apikey", pick(random, [given.secretKey, given.publishableKey, noise(random, 30)])]],
    body: encoder.encode(
      JSON.stringify({ limit: pick<unknown>(random, [0, -1, 1001, "10", 1e308, [], strange(random)]) }),
    ),
  }),
};

function webhook(body: Uint8Array, signature: string | null): Omit<HostileRequest, "recipe"> {
  const headers: [string, string][] = signature === null ? [json] : [json, ["stripe-signature", signature]];
  return { path: "stripe-webhook", method: "POST", headers, body };
}

async function signedEvent(random: Random, given: Ingredients, offsetSeconds = 0) {
  const body = encoder.encode(JSON.stringify({ ...given.event, id: `evt_hostile${hex(random, 20)}` }));
  return { body, signature: await sign(body, given, offsetSeconds) };
}

function sign(body: Uint8Array, given: Ingredients, offsetSeconds = 0): Promise<string> {
  return signPayload(body, given.webhookSecret, Math.max(0, Math.floor(Date.now() / 1000) + offsetSeconds));
}

function strange(random: Random): unknown {
  return pick<unknown>(random, [
    null,
    true,
    -0,
    1e308,
    2 ** 53,
    "",
    "\u0000",
    "\ud800",
    "\u202e\u200b",
    "💥".repeat(50),
    "' or 1=1; --",
    "${jndi:ldap://x}",
    [],
    {},
    [[[[[[]]]]]],
    { toString: 1, constructor: { prototype: {} } },
    "a".repeat(10_000),
  ]);
}

function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)] as T;
}

/** Printable Latin-1, which is what a header may hold. */
function noise(random: Random, length: number): string {
  return Array.from({ length }, () => String.fromCharCode(0x21 + Math.floor(random() * 0x5d))).join("");
}

function hex(random: Random, length: number): string {
  return Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join("");
}

function bytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

let zeros: Promise<Uint8Array> | null = null;

/** Ten megabytes of zeros in about ten kilobytes. */
function compressedZeros(): Promise<Uint8Array> {
  zeros ??= new Response(
    new Blob([new Uint8Array(10 * 1024 * 1024)]).stream().pipeThrough(new CompressionStream("gzip")),
  )
    .bytes();
  return zeros;
}
