import { ship } from "./arrange.ts";
import type { Ending, Lifecycle } from "./lifecycle.ts";
import { amount, disputed, paid } from "./endings.ts";

/** Orders that have left in part, or come back in part. */
export const parcels: (Lifecycle & { end: Ending })[] = [
  {
    name: "one of two coats has shipped, and the bank is asked for the money",
    act: { after: ["checkout.session.completed"], by: (sql, story) => ship(sql, story, 1) },
    tell(story) {
      const payment = story.paid("a");
      story.disputed(payment, "d", "needs_response").closed("lost");
    },
    end: {
      ...disputed,
      fulfillment: "on_hold",
      mails: ["order_confirmation", "order_shipped"],
      alerts: ["dispute_closed", "dispute_opened"],
    },
  },
  {
    name: "one of two coats has shipped, and all of the money goes back",
    act: { after: ["checkout.session.completed"], by: (sql, story) => ship(sql, story, 1) },
    tell(story) {
      const payment = story.paid("a");
      story.refunded(payment, "1", 5_800);
      story.refunded(payment, "2", 20_000);
    },
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      refunded: amount,
      mails: ["order_confirmation", "order_shipped", "refund_issued", "refund_issued"],
    },
  },
  {
    name: "one of two coats has shipped when the bank warns of fraud",
    act: { after: ["checkout.session.completed"], by: (sql, story) => ship(sql, story, 1) },
    tell(story) {
      const payment = story.paid("a");
      story.warned(payment, "1");
    },
    end: {
      ...paid,
      status: "needs_review",
      fulfillment: "on_hold",
      mails: ["order_confirmation", "order_shipped"],
      alerts: ["early_fraud_warning"],
    },
  },
];
