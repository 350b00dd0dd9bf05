import { finishCheckout, openCheckout, orderOfLink, orderStatus } from "../checkout.js";
import { el, notice, show } from "../dom.js";
import { BOUGHT, messageFor, messageForOrderLink, shownStatus } from "../messages.js";
import { drawOrder } from "./order_view.js";

/** Asked again after these times, the last one over and over: quick while the payment settles, then gentle. */
const DELAYS_MS = [500, 1000, 1000, 2000, 2000, 3000, 5000, 10_000];
/** A settled order changes when somebody packs it or pays it back. */
const SETTLED_DELAYS_MS = [15_000, 30_000, 60_000];
const OPEN = new Set(["pending", "processing", "needs_review", "refunding"]);

/** A payment that has not shown up by then was probably never made. */
const PATIENCE_MS = 20_000;

const NO_PAYMENT_YET = {
  tone: "info",
  title: "We have not seen a payment yet",
  text: "If you left the payment page without paying, your bag is as it was. This page goes on checking.",
};

/** From a page of the store, a bank or wallet leads here also whoever turned back there. */
const TURNED_BACK = {
  tone: "info",
  title: "We have not seen a payment yet",
  text: "If you turned back at your bank or wallet, you have not been charged and can pay in another way.",
};

const STILL_CHECKING = { tone: "info", title: "Still checking", text: "We will try again by ourselves." };

/** The way back to the frame on the store's page in which this order can still be paid, or null. */
function ownPageOf(order) {
  const open = openCheckout();
  const waits = order.status === "pending" && open?.order === order.order_number;
  return waits && new URL(open.url).pathname === "/store/pay" ? open.url : null;
}

function toTheShop() {
  return el("a", { class: "button", href: "/store" }, "Go to the shop");
}

function actionsOf({ url }) {
  return url === undefined ? [] : [el("a", { class: "button", href: url }, "Back to the payment")];
}

/** Waits so long, and longer for a page that nobody looks at; who comes back to the page sees news at once. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    const done = new AbortController();
    const end = () => {
      if (document.hidden) return;
      clearTimeout(timer);
      done.abort();
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener("focus", end, { signal: done.signal });
    document.addEventListener("visibilitychange", end, { signal: done.signal });
  });
}

function showIncompleteLink() {
  show(
    "Order",
    notice("error", "This link is incomplete", "Please use the link in your e-mail.", toTheShop()),
  );
}

/** The page that the payment page leads back to: follows the order of `?session_id=`. */
export async function successPage() {
  const sessionId = new URLSearchParams(location.search).get("session_id");
  if (!sessionId) return showIncompleteLink();
  await follow(() => orderStatus(sessionId), messageFor);
}

/**
 * The page that mails lead to: follows the order of `#token=`. What stands behind the # goes to no server and into no
 * Referer.
 */
export async function orderPage() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return showIncompleteLink();
  await follow(() => orderOfLink(token), messageForOrderLink);
}

/** Shows the order that `read` answers, and each change of it. */
async function follow(read, messageOf) {
  const started = Date.now();
  let order = null;
  let shown = "";
  const update = (next, note) => {
    const state = JSON.stringify([next, note]);
    if (state === shown) return false;
    shown = state;
    if (next === null) show("Order", notice(note.tone, note.title, note.text, toTheShop()));
    else drawOrder(next, note === null ? null : notice(note.tone, note.title, note.text, ...actionsOf(note)));
    return true;
  };
  let delays = DELAYS_MS;
  for (let round = 0;; round++) {
    try {
      const next = await read();
      const status = shownStatus(next);
      if (BOUGHT.has(status)) finishCheckout(next.order_number, { bought: true });
      // The same bag may be bought again, as another order.
      else if (status === "refunding" || status === "refunded") {
        finishCheckout(next.order_number, { bought: false });
      }
      order = next;
      delays = OPEN.has(status) ? DELAYS_MS : SETTLED_DELAYS_MS;
      const late = order.status === "pending" && Date.now() - started > PATIENCE_MS;
      const url = ownPageOf(order);
      const note = url !== null ? { ...TURNED_BACK, url } : late ? NO_PAYMENT_YET : null;
      if (update(order, note)) round = 0;
    } catch (error) {
      if (error.code === undefined) throw error;
      const { title, text, retry } = messageOf(error);
      update(order, retry ? STILL_CHECKING : { tone: "error", title, text });
      if (!retry) return;
    }
    await pause(delays[Math.min(round, delays.length - 1)]);
  }
}
