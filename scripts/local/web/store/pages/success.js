import { cartCount } from "../cart.js";
import { finishCheckout, orderStatus } from "../checkout.js";
import { announce, el, notice, show } from "../dom.js";
import { FULFILLMENT_WORDS, messageFor, shownStatus, STATUS_WORDS } from "../messages.js";
import { formatMoney } from "../money.js";

/** Asked again after these times, the last one over and over: quick while the payment settles, then gentle. */
const DELAYS_MS = [500, 1000, 1000, 2000, 2000, 3000, 5000, 10_000];
const OPEN = new Set(["pending", "processing", "needs_review", "refunding"]);
const PAID = new Set(["paid", "needs_review", "partially_refunded"]);
const BOUGHT = new Set([...PAID, "processing"]);

/** A payment that has not shown up by then was probably never made. */
const PATIENCE_MS = 20_000;

const NO_PAYMENT_YET = {
  tone: "info",
  title: "We have not seen a payment yet",
  text: "If you left the payment page without paying, your bag is as it was. This page goes on checking.",
};

const STILL_CHECKING = { tone: "info", title: "Still checking", text: "We will try again by ourselves." };

const HEADLINES = {
  pending: ["One moment", "We are confirming your payment."],
  processing: [
    "Thank you",
    "Your bank is processing the payment. This can take a few days; we will write to you.",
  ],
  paid: ["Thank you", "Your payment has arrived and we are packing your order."],
  needs_review: [
    "Thank you",
    "Your payment has arrived. We check the order by hand and will write to you shortly.",
  ],
  refunding: [
    "We cannot send this order",
    "It was cancelled, or a piece sold out while you were paying. Your money is on its way back, and we will write to you.",
  ],
  payment_failed: [
    "The payment did not go through",
    "You have not been charged. We have sent you an e-mail with a link to pay in another way.",
  ],
  expired: ["The checkout has expired", "You have not been charged."],
  cancelled: ["This order was cancelled", "You have not been charged, or your money is on its way back."],
  refunded: ["This order was refunded", "The money is on its way back to you."],
  partially_refunded: ["Thank you", "A part of this order was refunded."],
};

/** What the total has beside the pieces, when it has anything. */
function extras(order) {
  const amount = order.items.reduce(
    (rest, item) => rest - item.unit_amount * item.quantity,
    order.amount_total,
  );
  return amount === 0 ? null : el(
    "li",
    { class: "row" },
    el("span", {}, "Shipping, tax and discounts"),
    el("span", { id: "extras" }, formatMoney(amount, order.currency)),
  );
}

function items(order) {
  return el(
    "ul",
    { class: "receipt" },
    ...order.items.map((item) =>
      el(
        "li",
        { class: "row" },
        el("span", {}, `${item.quantity} × ${item.name}`, el("span", { class: "soft small sku" }, item.sku)),
        el("span", {}, formatMoney(item.unit_amount * item.quantity, order.currency)),
      )
    ),
    extras(order),
    el(
      "li",
      { class: "row total" },
      el("b", {}, "Total"),
      el("b", { id: "total" }, formatMoney(order.amount_total, order.currency)),
    ),
  );
}

/** The way on: to the bag as long as there is something to pay for in it. */
function wayOn(order) {
  const again = !BOUGHT.has(shownStatus(order)) && cartCount() > 0;
  return again
    ? el("a", { class: "button", href: "/store/cart" }, "Back to the bag")
    : el("a", { class: "button", href: "/store" }, "Continue shopping");
}

function paidAt(order) {
  return new Date(order.paid_at).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
}

function draw(order, note) {
  const status = shownStatus(order);
  const [headline, text] = HEADLINES[status] ?? ["Your order", ""];
  show(
    headline,
    el(
      "article",
      { class: "order", "data-status": order.status },
      el(
        "div",
        { "aria-busy": order.status === "pending" ? "true" : null },
        el("p", { class: `state state-${status}` }, STATUS_WORDS[status] ?? status),
        el("h1", {}, headline),
        el("p", { class: "description" }, text),
      ),
      el(
        "dl",
        { class: "facts" },
        el("div", {}, el("dt", {}, "Order"), el("dd", { id: "order-number" }, String(order.order_number))),
        PAID.has(status)
          ? el(
            "div",
            {},
            el("dt", {}, "Delivery"),
            el("dd", {}, FULFILLMENT_WORDS[order.fulfillment_status] ?? order.fulfillment_status),
          )
          : null,
        order.paid_at ? el("div", {}, el("dt", {}, "Paid"), el("dd", {}, paidAt(order))) : null,
      ),
      items(order),
      note,
      el(
        "p",
        { class: "notice-actions" },
        wayOn(order),
      ),
    ),
  );
  announce(`${headline}. ${text}`);
}

function toTheShop() {
  return el("a", { class: "button", href: "/store" }, "Go to the shop");
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Follows the order of `?session_id=` until it is settled. */
export async function successPage() {
  const sessionId = new URLSearchParams(location.search).get("session_id");
  if (!sessionId) {
    show(
      "Order",
      notice(
        "error",
        "This link is incomplete",
        "Please use the link in your e-mail.",
        toTheShop(),
      ),
    );
    return;
  }
  const started = Date.now();
  let order = null;
  let shown = "";
  const update = (next, note) => {
    const state = JSON.stringify([next, note]);
    if (state === shown) return;
    shown = state;
    if (next === null) show("Order", notice(note.tone, note.title, note.text, toTheShop()));
    else draw(next, note === null ? null : notice(note.tone, note.title, note.text));
  };
  for (let round = 0;; round++) {
    try {
      const next = await orderStatus(sessionId);
      const status = shownStatus(next);
      if (BOUGHT.has(status)) finishCheckout(next.order_number, { bought: true });
      // The same bag may be bought again, as another order.
      else if (status === "refunding" || status === "refunded") {
        finishCheckout(next.order_number, { bought: false });
      }
      order = next;
      update(order, order.status === "pending" && Date.now() - started > PATIENCE_MS ? NO_PAYMENT_YET : null);
      if (!OPEN.has(status)) return;
    } catch (error) {
      if (error.code === undefined) throw error;
      const { title, text, retry } = messageFor(error);
      update(order, retry ? STILL_CHECKING : { tone: "error", title, text });
      if (!retry) return;
    }
    await pause(DELAYS_MS[Math.min(round, DELAYS_MS.length - 1)]);
  }
}
