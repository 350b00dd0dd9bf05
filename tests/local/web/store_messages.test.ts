import assert from "node:assert/strict";
import {
  messageFor,
  messageForLink,
  messageForOrderLink,
  shippedWords,
  shownStatus,
} from "../../../scripts/local/web/store/messages.js";

interface StoreError {
  code: string;
  details?: unknown;
  retryAfter?: number | null;
  requestId?: string | null;
}

const error = (given: StoreError) => ({ details: null, retryAfter: null, requestId: null, ...given });
const FALLBACK = messageFor(error({ code: "no such code" })).title;

/** Every error code of what the store calls, and what a browser adds. */
const CODES = [
  "invalid_request",
  "unauthorized",
  "origin_not_allowed",
  "unknown_sku",
  "insufficient_stock",
  "currency_unavailable",
  "shipping_unavailable",
  "idempotency_conflict",
  "conflict",
  "checkout_refused",
  "body_too_large",
  "rate_limited",
  "velocity_exceeded",
  "stripe_unavailable",
  "database_unavailable",
  "order_not_found",
  "link_expired",
  "network",
  "timeout",
];

Deno.test("store has words of its own for every error a shopper can meet, without codes in them", () => {
  for (const code of CODES) {
    const { title, text } = messageFor(error({ code }));
    assert.notEqual(title, FALLBACK, code);
    assert.doesNotMatch(`${title} ${text}`, /_|undefined|null|\bSKU\b/, code);
  }
});

Deno.test("store speaks of the order, not of the bag, where a link from a mail leads nowhere", () => {
  for (
    const code of ["invalid_request", "link_expired", "conflict", "insufficient_stock", "checkout_refused"]
  ) {
    const { title, text, retry } = messageForLink(error({ code }));
    assert.doesNotMatch(`${title} ${text}`, /\bbag\b|_|undefined|null/, code);
    assert.equal(retry, false, code);
  }
  assert.equal(messageForLink(error({ code: "rate_limited", retryAfter: 20 })).retry, true);
});

Deno.test("store names the pieces that ran out, and how many are left", () => {
  const details = [{ sku: "A", requested: 3, available: 2 }, { sku: "B", requested: 1, available: 0 }];
  const names: Record<string, string> = { A: "Blue shirt, M", B: "Red tie" };
  const { text } = messageFor(error({ code: "insufficient_stock", details }), (sku: string) => names[sku]);
  assert.equal(text, "Blue shirt, M: only 2 left. Red tie has just sold out.");
});

Deno.test("store says when to try again, in the unit a person would use", () => {
  const after = (retryAfter: number | null) => messageFor(error({ code: "rate_limited", retryAfter })).text;
  assert.match(after(20), /in 20 seconds/);
  assert.match(after(3600), /in about 60 minutes/);
  assert.match(after(null), /in a moment/);
});

Deno.test("store gives the reference of a failure it has no words for", () => {
  assert.match(messageFor(error({ code: "internal_error", requestId: "req_1" })).text, /req_1/);
});

Deno.test("shownStatus() says that the money comes back when a paid order will not be sent", () => {
  assert.equal(shownStatus({ status: "needs_review", fulfillment_status: "on_hold" }), "needs_review");
  assert.equal(shownStatus({ status: "needs_review", fulfillment_status: "cancelled" }), "refunding");
  assert.equal(shownStatus({ status: "paid", fulfillment_status: "cancelled" }), "refunding");
  assert.equal(shownStatus({ status: "refunded", fulfillment_status: "cancelled" }), "refunded");
});

Deno.test("store names no time where a mistake of the page itself has none", () => {
  const { text } = messageFor(new TypeError("color is null"));
  assert.match(text, /try again in a moment/);
  assert.doesNotMatch(text, /NaN|undefined/);
});

Deno.test("store sends who follows an old link to an order to the account, and does not speak of money", () => {
  const { title, text, retry } = messageForOrderLink(error({ code: "link_expired" }));
  assert.match(`${title} ${text}`, /expired.*sign in/);
  assert.doesNotMatch(text, /charged/);
  assert.equal(retry, false);
  assert.deepEqual(
    messageForOrderLink(error({ code: "invalid_request" })),
    messageForLink(error({ code: "invalid_request" })),
  );
});

Deno.test("shippedWords() tells an order that has left in part from one that is being packed", () => {
  const words = (fulfillment_status: string, shipments: unknown[]) =>
    shippedWords({ fulfillment_status, shipments });
  assert.equal(words("unfulfilled", []), "Being packed");
  assert.match(words("unfulfilled", [{}]), /in part/);
  assert.equal(words("fulfilled", [{}, {}]), "Shipped");
});
