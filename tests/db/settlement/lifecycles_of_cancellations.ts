import type { Ending, Lifecycle } from "./lifecycle.ts";
import { amount, paid, shelf, unpaid } from "./endings.ts";

/** Orders that staff cancel, before or after the money. */
export const cancellations: (Lifecycle & { end: Ending })[] = [
  {
    name: "free of charge, then cancelled",
    cancelAfter: ["checkout.session.completed"],
    tell: (story) => story.free("a"),
    end: {
      ...paid,
      status: "cancelled",
      fulfillment: "cancelled",
      stock: shelf,
      paid: 0,
      mails: ["order_cancelled", "order_confirmation"],
      jobs: ["expire_checkout_session:a"],
    },
  },
  {
    name: "cancelled, then completed free of charge",
    cancelAfter: [],
    tell: (story) => story.free("a"),
    end: {
      ...paid,
      status: "cancelled",
      fulfillment: "cancelled",
      stock: shelf,
      paid: 0,
      mails: ["order_cancelled"],
      jobs: ["expire_checkout_session:a"],
    },
  },
  {
    name: "cancelled, and the slow payment bounces",
    cancelAfter: [],
    tell: (story) => story.bounced(story.processing("a")),
    end: {
      ...unpaid,
      status: "cancelled",
      fulfillment: "cancelled",
      mails: ["payment_failed", "payment_processing"],
      jobs: ["expire_checkout_session:a"],
    },
  },
  {
    name: "cancelled, then paid",
    cancelAfter: [],
    tell: (story) => void story.refunded(story.paid("a"), "1", amount),
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      stock: shelf,
      refunded: amount,
      mails: ["order_cancelled", "refund_issued"],
      jobs: ["expire_checkout_session:a", "refund_payment:cancelled:a"],
      alerts: ["cancelled_order_paid"],
    },
  },
  {
    name: "paid, then cancelled",
    cancelAfter: ["checkout.session.completed"],
    tell: (story) => void story.refunded(story.paid("a"), "1", amount),
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      stock: shelf,
      refunded: amount,
      mails: ["order_cancelled", "order_confirmation", "refund_issued"],
      jobs: ["expire_checkout_session:a", "refund_payment:cancelled:a"],
      alerts: ["cancelled_order_paid"],
    },
  },
  {
    name: "cancelled, then expired",
    cancelAfter: [],
    tell: (story) => story.expired("a"),
    end: {
      ...unpaid,
      status: "cancelled",
      fulfillment: "cancelled",
      jobs: ["expire_checkout_session:a"],
    },
  },
];
