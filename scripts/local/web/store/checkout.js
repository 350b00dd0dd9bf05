import { request } from "./api.js";
import { cartLines, setQuantity } from "./cart.js";
import { accessToken, currentSession, forgetSession } from "./session.js";
import { read, write } from "./storage.js";

/**
 * What this browser remembers of its checkout: `{ fingerprint, key, session }`, where `session` is
 * `{ id, order, url, expires_at, held }` once the API has made one, and the one of an earlier bag until then.
 */
const NAME = "kct.checkout";

/** Answers that mean "take another Idempotency-Key": it belongs to another bag, or its checkout has ended. */
const NEEDS_NEW_KEY = new Set(["idempotency_conflict", "conflict"]);

/** Names a bag and where it is paid: the same lines in any order give the same text. */
function fingerprintOf(lines, email, uiMode) {
  return [email, uiMode, ...lines.map((line) => `${line.sku}×${line.quantity}`).sort()].join("|");
}

/**
 * The idempotency key of this bag. As long as the bag stays as it is, every click, reload and return from the
 * payment page uses the same key and so leads to the same order. It is kept before it is first used, so that a
 * reload in the middle of a request repeats that request.
 */
function keyFor(fingerprint) {
  const kept = read(NAME, null);
  if (kept?.fingerprint === fingerprint) return kept.key;
  const key = crypto.randomUUID();
  write(NAME, { fingerprint, key, session: kept?.session ?? null });
  return key;
}

/** Forgets the checkout: the next one, of whatever bag, is a new order. */
function forgetCheckout() {
  write(NAME, null);
}

async function attempt(lines, token, uiMode, fingerprint) {
  const key = keyFor(fingerprint);
  const store = `${location.origin}/store`;
  // Lets the API close the page of an earlier bag, so that its pieces are free for this one.
  const previous = read(NAME, null)?.session?.id;
  const session = await request("/functions/v1/create-checkout-session", {
    method: "POST",
    token,
    headers: { "idempotency-key": key },
    body: {
      items: lines.map(({ sku, quantity }) => ({ sku, quantity })),
      ui_mode: uiMode,
      ...(uiMode === "hosted_page"
        ? { success_url: `${store}/success`, cancel_url: `${store}/cancelled` }
        : { return_url: `${store}/success` }),
      ...(typeof previous === "string" ? { previous_session_id: previous } : {}),
    },
  });
  const held = Object.fromEntries(lines.map(({ sku, quantity }) => [sku, quantity]));
  write(NAME, {
    fingerprint,
    key,
    session: {
      id: session.session_id,
      order: session.order_number,
      // The secret of a page of our own is not kept: that page asks for it.
      url: session.url ?? `${store}/pay`,
      expires_at: session.expires_at,
      shopper: shopper(),
      held,
    },
  });
  return session;
}

/** Whose a checkout is: an account's address, or a guest's. */
function shopper() {
  return currentSession()?.email ?? "guest";
}

/**
 * The page of an earlier bag is closed for a new one before its stock is counted, but for a page of an account that
 * has signed out since. A closed one holds nothing.
 */
async function forgetClosedPage() {
  const kept = read(NAME, null);
  if (typeof kept?.session?.id !== "string") return;
  const order = await orderStatus(kept.session.id).catch(() => null);
  if (order !== null && order.status !== "pending") write(NAME, { ...kept, session: null });
}

/**
 * Turns the bag into a checkout session and returns `{ url, client_secret, session_id, order_number, … }`: the shopper
 * pays at `url`, or with `uiMode` "embedded_page" on a page of the store that mounts `client_secret`. For a bag that
 * has been paid already, `url` is the page of that order.
 */
export async function startCheckout(uiMode = "hosted_page") {
  const lines = cartLines();
  const token = await accessToken();
  const fingerprint = fingerprintOf(lines, shopper(), uiMode);
  try {
    return await attempt(lines, token, uiMode, fingerprint);
  } catch (error) {
    // Refused once, refused for ever: the next click goes on as a guest.
    if (error.code === "unauthorized") forgetSession();
    if (error.code === "insufficient_stock") await forgetClosedPage();
    if (!NEEDS_NEW_KEY.has(error.code)) throw error;
    forgetCheckout();
    return await attempt(lines, token, uiMode, fingerprint);
  }
}

/**
 * The payment page this browser was last sent to, `{ url, order, endsAt, held, closable }`, while it can still be paid,
 * or null. `closable`: a new bag closes it, so the API counts its pieces as free for that; not the page of an account
 * that has signed out since.
 */
export function openCheckout() {
  const session = read(NAME, null)?.session;
  const endsAt = Number(session?.expires_at) * 1000;
  return endsAt > Date.now()
    ? {
      url: session.url,
      order: session.order,
      endsAt: new Date(endsAt),
      held: session.held ?? {},
      closable: ["guest", shopper()].includes(session.shopper),
    }
    : null;
}

/**
 * How many pieces of a variant the open session of this browser holds. The shop counts them as taken, but they
 * are this shopper's own: coming back from the payment page must not make a last piece look sold out.
 */
export function heldPieces(sku) {
  const pieces = openCheckout()?.held[sku];
  return Number.isInteger(pieces) ? pieces : 0;
}

/**
 * To be called when an order has come to its end: forgets the checkout, and takes the pieces that were `bought` out of
 * the bag. The page it was paid on need not be the one this browser was sent to: a mail and Stripe's own page lead to
 * others. The link to an older order leaves the bag alone, and so do pieces that were added while paying.
 */
export function finishCheckout(orderNumber, { bought }) {
  const session = read(NAME, null)?.session;
  if (session?.order !== orderNumber) return;
  forgetCheckout();
  if (!bought) return;
  for (const { sku, quantity } of cartLines()) {
    const pieces = session.held?.[sku] ?? 0;
    if (pieces > 0) setQuantity(sku, quantity - pieces);
  }
}

/** Opens the unpaid order of a link from a mail again and returns the address of its payment page. */
export async function reopenCheckout(token) {
  const { url } = await request("/functions/v1/resume-checkout", { method: "POST", body: { token } });
  return url;
}

/** The order behind a session, as far as it has come. */
export async function orderStatus(sessionId) {
  return await request(`/functions/v1/order-status?session_id=${encodeURIComponent(sessionId)}`);
}

/** The order that the link of a mail leads to, as far as it has come. */
export async function orderOfLink(token) {
  return await request(`/functions/v1/order-status?token=${encodeURIComponent(token)}`);
}
