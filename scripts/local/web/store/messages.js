function wait(error) {
  // What is no answer of the API, a mistake of the page say, has no such field at all.
  if (!Number.isFinite(error.retryAfter)) return "in a moment";
  if (error.retryAfter === 1) return "in a second";
  if (error.retryAfter < 90) return `in ${error.retryAfter} seconds`;
  return `in about ${Math.ceil(error.retryAfter / 60)} minutes`;
}

function stockText(details, nameOf) {
  const lines = Array.isArray(details) ? details : [];
  return lines.map(({ sku, available }) =>
    available > 0 ? `${nameOf(sku)}: only ${available} left.` : `${nameOf(sku)} has just sold out.`
  ).join(" ");
}

/** What to tell a shopper for each error code of the API, and whether trying the same again can help. */
const MESSAGES = {
  insufficient_stock: (error, nameOf) => ({
    title: "Somebody was faster",
    text: stockText(error.details, nameOf) || "A piece in your bag is no longer available in this quantity.",
    retry: false,
  }),
  currency_unavailable: (error, nameOf) => ({
    title: "A piece is not sold in this currency",
    text: (Array.isArray(error.details) ? error.details : []).map(({ sku }) => `${nameOf(sku)}.`).join(" ") ||
      "Please choose another currency.",
    retry: false,
  }),
  shipping_unavailable: () => ({
    title: "We do not deliver there",
    text: "Please choose another country or currency, or write to us.",
    retry: false,
  }),
  unknown_sku: () => ({
    title: "A piece is no longer for sale",
    text: "Please remove it from your bag and try again.",
    retry: false,
  }),
  invalid_request: () => ({
    title: "We could not read your bag",
    text: "Please check the quantities. If this stays, empty the bag and add the pieces again.",
    retry: false,
  }),
  idempotency_conflict: () => ({
    title: "Your bag changed in another tab",
    text: "Please check it and go to checkout again.",
    retry: true,
  }),
  rate_limited: (error) => ({
    title: "A little too fast",
    text: `Please try again ${wait(error)}.`,
    retry: true,
  }),
  velocity_exceeded: (error) => ({
    title: "We cannot take more orders from here right now",
    text: `This is a safeguard against card fraud. Please try again ${wait(error)} or write to us.`,
    retry: true,
  }),
  stripe_unavailable: (error) => ({
    title: "The payment page cannot be reached",
    text: `You have not been charged and your bag is safe. Please try again ${wait(error)}.`,
    retry: true,
  }),
  checkout_closed: (error) => ({
    title: "The shop takes no orders for a few minutes",
    text: `Your bag is safe, and you have not been charged. Please try again ${wait(error)}.`,
    retry: true,
  }),
  busy: (error) => ({
    title: "Many others shop just now",
    text: `Your bag is safe, and you have not been charged. Please try again ${wait(error)}.`,
    retry: true,
  }),
  database_unavailable: (error) => ({
    title: "The shop cannot be reached",
    text: `Your bag is safe. Please try again ${wait(error)}.`,
    retry: true,
  }),
  checkout_refused: () => ({
    title: "This bag cannot be paid online right now",
    text:
      "You have not been charged. We have been told and will look into it; please write to us if it is urgent.",
    retry: false,
  }),
  conflict: () => ({
    title: "This checkout has ended",
    text: "Please go to checkout again.",
    retry: true,
  }),
  request_timeout: () => ({
    title: "Your connection is slow",
    text: "Please try again.",
    retry: true,
  }),
  link_expired: () => ({
    title: "This link has expired",
    text: "Your bag is still here: please go to checkout again.",
    retry: false,
  }),
  unauthorized: () => ({
    title: "You have been signed out",
    text: "Please sign in again, or check out as a guest.",
    retry: true,
  }),
  origin_not_allowed: () => ({
    title: "Checkout is not available on this address",
    text: "Open the shop at its usual address and try again.",
    retry: false,
  }),
  body_too_large: () => ({
    title: "Your bag is too large",
    text: "Please order in two steps.",
    retry: false,
  }),
  order_not_found: () => ({
    title: "We cannot find this order",
    text: "The link may be incomplete. If you have paid, you will get an e-mail from us.",
    retry: false,
  }),
  network: () => ({
    title: "No connection",
    text: "We could not reach the shop. Please check your connection and try again.",
    retry: true,
  }),
  timeout: () => ({
    title: "This takes too long",
    text:
      "The shop did not answer in time. Please try again; you have not been charged and will not be charged twice.",
    retry: true,
  }),
};

/** Title and text for an ApiError; `nameOf` turns a sku into the name the shopper knows. */
export function messageFor(error, nameOf = (sku) => sku) {
  const known = MESSAGES[error.code];
  if (known !== undefined) return known(error, nameOf);
  return {
    title: "Something went wrong on our side",
    text: `Please try again ${wait(error)}.${error.requestId ? ` Reference: ${error.requestId}` : ""}`,
    retry: true,
  };
}

/** What differs where the shopper has come by a link to an order, which has nothing to do with the bag. */
const LINK_MESSAGES = {
  insufficient_stock: {
    title: "Something in this order has sold out",
    text: "You have not been charged. You are welcome to choose something else in the shop.",
    retry: false,
  },
  invalid_request: {
    title: "This link is not complete",
    text: "Please open it again from the mail, or copy all of it.",
    retry: false,
  },
  link_expired: {
    title: "This link has expired",
    text: "You have not been charged. You are welcome to order again in the shop.",
    retry: false,
  },
  conflict: {
    title: "This order has been cancelled",
    text: "You have not been charged. You are welcome to order again in the shop.",
    retry: false,
  },
  checkout_refused: {
    title: "This order cannot be paid online right now",
    text: "You have not been charged. We have been told and will look into it.",
    retry: false,
  },
};

/** As {@link messageFor}, for a link from a mail. */
export function messageForLink(error) {
  return LINK_MESSAGES[error.code] ?? messageFor(error);
}

/** As {@link messageFor}, for a link from a mail to the page of an order. */
export function messageForOrderLink(error) {
  if (error.code !== "link_expired") return messageForLink(error);
  return {
    title: "This link has expired",
    text: "Please sign in to see your orders, or write to us.",
    retry: false,
  };
}

/**
 * The status to show. A paid order that will not be sent (cancelled, or sold out while it was paid) is `refunding`: its
 * money is on the way back.
 */
export function shownStatus({ status, fulfillment_status }) {
  const paid = status === "paid" || status === "needs_review";
  return paid && fulfillment_status === "cancelled" ? "refunding" : status;
}

/** What `shownStatus` answers in the shopper's words. */
export const STATUS_WORDS = {
  pending: "Waiting for payment",
  processing: "Payment is being processed",
  paid: "Paid",
  needs_review: "Paid, being checked",
  refunding: "Being refunded",
  payment_failed: "Payment failed",
  expired: "Expired",
  cancelled: "Cancelled",
  partially_refunded: "Partly refunded",
  refunded: "Refunded",
};

/** Where the parcel is, in the shopper's words. */
export const FULFILLMENT_WORDS = {
  unfulfilled: "Being packed",
  on_hold: "On hold",
  fulfilled: "Shipped",
  cancelled: "Not shipped",
};

/** Statuses of an order that has money, and of one that is bought: its bag is done with. */
export const PAID = new Set(["paid", "needs_review", "partially_refunded"]);
export const BOUGHT = new Set([...PAID, "processing"]);

/** How much of an order is on its way, in the shopper's words. */
export function shippedWords({ fulfillment_status, shipments }) {
  if (fulfillment_status === "unfulfilled" && shipments.length > 0) {
    return "Sent in part, the rest is being packed";
  }
  return FULFILLMENT_WORDS[fulfillment_status] ?? fulfillment_status;
}

/** Where money that goes back is, in the shopper's words. */
export const REFUND_WORDS = {
  on_its_way: "On its way to you",
  details_needed: "Waits for your bank account: please answer Stripe’s e-mail",
  done: "Paid back",
  failed: "Did not reach you: we will write to you",
};

/** Where goods that come back are, in the shopper's words. */
export const RETURN_WORDS = {
  awaited: "We are waiting for it",
  received: "It has reached us",
};
