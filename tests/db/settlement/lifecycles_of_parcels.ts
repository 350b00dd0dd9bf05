import { askRefund, refundPieces, ship } from "./arrange.ts";
import type { Ending, Lifecycle } from "./lifecycle.ts";
import { amount, disputed, paid, shelf } from "./endings.ts";

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
  {
    name: "one of two coats comes back, and its refund bounces after all",
    act: {
      after: ["checkout.session.completed"],
      async by(sql, story) {
        await ship(sql, story, 2);
        await refundPieces(sql, story, "1", 1, 12_900);
      },
    },
    tell(story) {
      const payment = story.paid("a");
      story.refunded(payment, "1", 12_900, "succeeded", story.id("req", "1")).settled("failed");
    },
    end: {
      ...paid,
      fulfillment: "fulfilled",
      stock: [9, 0, 1],
      mails: ["order_confirmation", "order_shipped", "refund_failed", "refund_issued"],
      jobs: ["refund_payment:1"],
      alerts: ["refund_failed"],
    },
  },
  {
    name: "one of two coats has shipped, the other is refunded, and the bank asks for the money of the first",
    act: {
      after: ["checkout.session.completed"],
      async by(sql, story) {
        await ship(sql, story, 1);
        await refundPieces(sql, story, "1", 1, 12_900);
      },
    },
    tell(story) {
      const payment = story.paid("a");
      story.refunded(payment, "1", 12_900, "succeeded", story.id("req", "1"));
      story.disputed(payment, "d", "needs_response");
    },
    end: {
      ...disputed,
      status: "partially_refunded",
      fulfillment: "fulfilled",
      stock: [9, 0, 1],
      refunded: 12_900,
      mails: ["order_confirmation", "order_shipped", "refund_issued"],
      jobs: [...disputed.jobs, "refund_payment:1"].sort(),
    },
  },
  {
    name: "one of two coats is refunded by its line, the rest in full with restock",
    act: {
      after: ["checkout.session.completed"],
      async by(sql, story) {
        await refundPieces(sql, story, "1", 1, 12_900);
        await askRefund(sql, story, "2", null, true);
      },
    },
    tell(story) {
      const payment = story.paid("a");
      story.refunded(payment, "1", 12_900, "succeeded", story.id("req", "1"));
      story.refunded(payment, "2", 12_900, "succeeded", story.id("req", "2"));
    },
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      stock: shelf,
      refunded: amount,
      mails: ["order_confirmation", "refund_issued", "refund_issued"],
      jobs: ["refund_payment:1", "refund_payment:2"],
    },
  },
];
