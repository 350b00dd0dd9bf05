import { request } from "./api.js";
import { cartLines } from "./cart.js";
import { accessToken, currentSession } from "./session.js";
import { read, write } from "./storage.js";

const NAME = "kct.checkout";
/** A session this close to its end is not worth sending a shopper to. */
const TOO_LATE_MS = 60_000;

/** Names the content of a bag: the same lines in any order give the same text. */
export function cartFingerprint(lines, email) {
  const parts = lines.map((line) => `${line.sku}×${line.quantity}`).sort();
  return [email, ...parts].join("|");
}

/**
 * The idempotency key of this bag. As long as the bag stays as it is, every click, reload and return from the
 * payment page uses the same key and so leads to the same order; another bag, or a session that has run out, starts anew.
 */
function checkoutFor(fingerprint) {
  const kept = read(NAME, null);
  const usable = kept?.fingerprint === fingerprint &&
    (kept.expires_at === null || Date.parse(kept.expires_at) - Date.now() > TOO_LATE_MS);
  if (usable) return kept;
  const fresh = { fingerprint, key: crypto.randomUUID(), expires_at: null };
  write(NAME, fresh);
  return fresh;
}

/** Forgets the key, so that the same bag is ordered anew. */
export function forgetCheckout() {
  write(NAME, null);
}

async function createSession(lines, token, key) {
  const store = `${location.origin}/store`;
  return await request("/functions/v1/create-checkout-session", {
    method: "POST",
    token,
    headers: { "idempotency-key": key },
    body: {
      items: lines.map(({ sku, quantity }) => ({ sku, quantity })),
      success_url: `${store}/success?session_id={CHECKOUT_SESSION_ID}`,
      cancel_url: `${store}/cancelled`,
    },
  });
}

async function attempt(lines, token, fingerprint) {
  const { key, session_id: earlier } = checkoutFor(fingerprint);
  const session = await createSession(lines, token, key);
  const held = Object.fromEntries(lines.map(({ sku, quantity }) => [sku, quantity]));
  write(NAME, { fingerprint, key, expires_at: session.expires_at, session_id: session.session_id, held });
  return { ...session, repeated: earlier === session.session_id };
}

/**
 * Turns the bag into a checkout session and returns `{ url, session_id, order_number, …, repeated }`: the shopper
 * pays at `url`; `repeated` says that this browser was sent to this session before. A key that the API knows with
 * another bag (changed in a second tab) is replaced once.
 */
export async function startCheckout() {
  const lines = cartLines();
  const token = await accessToken();
  const fingerprint = cartFingerprint(lines, currentSession()?.email ?? "guest");
  try {
    return await attempt(lines, token, fingerprint);
  } catch (error) {
    if (error.code !== "idempotency_conflict") throw error;
    forgetCheckout();
    return await attempt(lines, token, fingerprint);
  }
}

/**
 * How many pieces of a variant the open session of this browser holds. The shop counts them as taken, but they
 * are this shopper's own: coming back from the payment page must not make a last piece look sold out.
 */
export function heldPieces(sku) {
  const kept = read(NAME, null);
  const open = typeof kept?.expires_at === "string" && Date.parse(kept.expires_at) > Date.now();
  const pieces = open ? kept.held?.[sku] : 0;
  return Number.isInteger(pieces) ? pieces : 0;
}

/** The order behind a session, as far as it has come. */
export async function orderStatus(sessionId) {
  return await request(`/functions/v1/order-status?session_id=${encodeURIComponent(sessionId)}`);
}
