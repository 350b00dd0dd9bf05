import { cartCount } from "../cart.js";
import { announce, el, show } from "../dom.js";
import {
  BOUGHT,
  PAID,
  REFUND_WORDS,
  RETURN_WORDS,
  shippedWords,
  shownStatus,
  STATUS_WORDS,
} from "../messages.js";
import { billLines, formatMoney } from "../money.js";

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

/** "€129.00", and beside it what it was in the currency that the shopper paid in. */
function moneyText(amount, currency, presentment) {
  const other = presentment ? ` (${formatMoney(presentment.amount, presentment.currency)})` : "";
  return formatMoney(amount, currency) + other;
}

function row(name, amount, currency, kind) {
  return el(
    "li",
    { class: "row", "data-kind": kind },
    el("span", {}, name),
    el("span", {}, formatMoney(amount, currency)),
  );
}

/** The pieces, what makes the total of them, and what has come back of it. */
function bill(order) {
  const { currency } = order;
  const lines = billLines(order);
  const line = ({ kind, label, amount }) => row(label, amount, currency, kind);
  const parts = lines.filter(({ included }) => !included);
  return el(
    "ul",
    { class: "receipt" },
    ...order.items.map((item) =>
      el(
        "li",
        { class: "row" },
        el("span", {}, `${item.quantity} × ${item.name}`, el("span", { class: "soft small sku" }, item.sku)),
        el("span", {}, formatMoney(item.unit_amount * item.quantity, currency)),
      )
    ),
    parts.length === 0 ? null : row("Subtotal", order.amount_subtotal, currency, "subtotal"),
    ...parts.map(line),
    el(
      "li",
      { class: "row total" },
      el("b", {}, "Total"),
      el("b", { id: "total" }, moneyText(order.amount_total, currency, order.presentment)),
    ),
    ...lines.filter(({ included }) => included).map(line),
    order.amount_refunded > 0 ? row("Paid back", -order.amount_refunded, currency, "refunded") : null,
  );
}

function pieces(items) {
  return el(
    "ul",
    { class: "pieces" },
    ...items.map(({ quantity, name }) => el("li", {}, `${quantity} × ${name}`)),
  );
}

/** The carrier and the number, which leads to the carrier's page where that is known. */
function tracking({ carrier, tracking_number, tracking_url }) {
  const text = [carrier, tracking_number].filter(Boolean).join(" ");
  if (text === "") return null;
  return el(
    "p",
    {},
    tracking_url ? el("a", { href: tracking_url, rel: "noreferrer" }, `Track with ${text}`) : text,
  );
}

/** A heading over a list, or nothing over an empty one. */
function section(title, kind, entries) {
  return entries.length === 0
    ? null
    : el("section", { class: `news ${kind}` }, el("h2", {}, title), el("ul", {}, ...entries));
}

function parcels({ shipments }) {
  return section(
    shipments.length === 1 ? "Your parcel" : "Your parcels",
    "parcels",
    shipments.map((parcel) =>
      el(
        "li",
        { "data-parcel": parcel.parcel },
        el(
          "p",
          { class: "row" },
          el("b", {}, shipments.length === 1 ? "Sent" : `Parcel ${parcel.parcel}`),
          el("span", { class: "soft" }, dateOf(parcel.shipped_at)),
        ),
        tracking(parcel),
        pieces(parcel.items),
      )
    ),
  );
}

function returns(order) {
  return section(
    "Returns",
    "returns",
    order.returns.map(({ status, items }) =>
      el("li", { "data-return": status }, el("p", {}, RETURN_WORDS[status] ?? status), pieces(items))
    ),
  );
}

function refunds({ refunds, currency }) {
  return section(
    "Refunds",
    "refunds",
    refunds.map(({ amount, status, presentment }) =>
      el(
        "li",
        { class: "row", "data-refund": status },
        el("span", {}, REFUND_WORDS[status] ?? status),
        el("b", {}, moneyText(amount, currency, presentment)),
      )
    ),
  );
}

function dateOf(at) {
  return new Date(at).toLocaleDateString(undefined, { dateStyle: "long" });
}

/** The way on: to the bag as long as there is something to pay for in it. */
function wayOn(order) {
  const again = !BOUGHT.has(shownStatus(order)) && cartCount() > 0;
  return again
    ? el("a", { class: "button", href: "/store/cart" }, "Back to the bag")
    : el("a", { class: "button", href: "/store" }, "Continue shopping");
}

/** What a screen reader hears of parcels and money. */
function newsOf({ shipments, refunds, currency }) {
  return [
    ...shipments.map(({ parcel }) => `Parcel ${parcel} has been sent.`),
    ...refunds.map(({ amount, status, presentment }) =>
      `${moneyText(amount, currency, presentment)}: ${REFUND_WORDS[status] ?? status}.`
    ),
  ];
}

function paidAt(order) {
  return new Date(order.paid_at).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
}

function headlineOf(order) {
  const status = shownStatus(order);
  if (status === "paid" && order.shipments.length > 0) {
    const all = order.fulfillment_status === "fulfilled";
    return ["Thank you", all ? "Your order is on its way." : "A part of your order is on its way."];
  }
  return HEADLINES[status] ?? ["Your order", ""];
}

/** Shows an order as `order-status` answers it, with a notice or null. */
export function drawOrder(order, note) {
  const status = shownStatus(order);
  const [headline, text] = headlineOf(order);
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
            el("dd", { id: "delivery" }, shippedWords(order)),
          )
          : null,
        order.paid_at ? el("div", {}, el("dt", {}, "Paid"), el("dd", {}, paidAt(order))) : null,
      ),
      parcels(order),
      returns(order),
      refunds(order),
      bill(order),
      note,
      el(
        "p",
        { class: "notice-actions" },
        wayOn(order),
      ),
    ),
  );
  announce([`${headline}. ${text}`, ...newsOf(order)].join(" "));
}
