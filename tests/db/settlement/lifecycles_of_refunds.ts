import { askRefund, endRefundJob, redriveRefund } from "./arrange.ts";
import type { Ending, Lifecycle } from "./lifecycle.ts";
import { amount, paid, shelf } from "./endings.ts";

/** Money that goes back, and comes back. */
export const refunds: (Lifecycle & { end: Ending })[] = [
  {
    name: "full refund",
    tell: (story) => void story.refunded(story.paid("a"), "1", amount),
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      refunded: amount,
      mails: ["order_confirmation", "refund_issued"],
    },
  },
  {
    name: "two partial refunds",
    tell(story) {
      const payment = story.paid("a");
      story.refunded(payment, "1", 5_000);
      story.refunded(payment, "2", 7_000);
    },
    end: {
      ...paid,
      status: "partially_refunded",
      refunded: 12_000,
      mails: ["order_confirmation", "refund_issued", "refund_issued"],
    },
  },
  {
    name: "refund that is pending, then succeeds",
    tell: (story) => story.refunded(story.paid("a"), "1", amount, "pending").settled("succeeded"),
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      refunded: amount,
      mails: ["order_confirmation", "refund_issued", "refund_settled"],
    },
  },
  {
    name: "refund that fails after it had succeeded",
    tell: (story) => story.refunded(story.paid("a"), "1", amount).settled("failed"),
    end: {
      ...paid,
      fulfillment: "on_hold",
      mails: ["order_confirmation", "refund_failed", "refund_issued"],
      alerts: ["refund_failed"],
    },
  },
  {
    name: "refund that fails, and is made again",
    tell(story) {
      const payment = story.paid("a");
      story.refunded(payment, "1", amount).settled("failed");
      story.refunded(payment, "2", amount);
    },
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      refunded: amount,
      mails: ["order_confirmation", "refund_failed", "refund_issued", "refund_issued"],
      alerts: ["refund_failed"],
    },
  },
  {
    name: "pending refund that is cancelled in the dashboard",
    tell: (story) => story.refunded(story.paid("a"), "1", 5_000, "pending").settled("canceled"),
    end: {
      ...paid,
      mails: ["order_confirmation", "refund_failed", "refund_issued"],
      alerts: ["refund_failed"],
    },
  },
  {
    name: "refund that was given up, and redriven",
    tell: (story) => void story.refunded(story.paid("a"), "1", 3_000, "succeeded", story.id("req", "1")),
    act: {
      after: ["checkout.session.completed"],
      async by(sql, story) {
        await askRefund(sql, story, "1", 3_000);
        await endRefundJob(sql, story.id("req", "1"), "discard", "critical");
        await redriveRefund(sql, story.id("req", "1"));
      },
    },
    end: {
      ...paid,
      status: "partially_refunded",
      refunded: 3_000,
      mails: ["order_confirmation", "refund_issued"],
      jobs: ["refund_payment:1"],
      alerts: ["refund_refused"],
    },
  },
  {
    name: "refund that was given up, and asked for anew",
    tell: (story) => void story.refunded(story.paid("a"), "1", 3_000, "succeeded", story.id("req", "2")),
    act: {
      after: ["checkout.session.completed"],
      async by(sql, story) {
        await askRefund(sql, story, "1", 3_000);
        await endRefundJob(sql, story.id("req", "1"), "discard", "critical");
        await askRefund(sql, story, "2", 3_000);
      },
    },
    end: {
      ...paid,
      status: "partially_refunded",
      refunded: 3_000,
      mails: ["order_confirmation", "refund_issued"],
      jobs: ["refund_payment:1", "refund_payment:2"],
      alerts: ["refund_refused"],
    },
  },
  {
    name: "full refund that restocks, then bounces",
    tell: (story) =>
      story.refunded(story.paid("a"), "1", amount, "pending", story.id("req", "1")).settled("failed"),
    act: {
      after: ["checkout.session.completed"],
      by: (sql, story) => askRefund(sql, story, "1", null, true),
    },
    end: {
      ...paid,
      fulfillment: "on_hold",
      mails: ["order_confirmation", "refund_failed", "refund_issued"],
      jobs: ["refund_payment:1"],
      alerts: ["refund_failed"],
    },
  },
  {
    name: "full refund that restocks, and bounces after it had succeeded",
    tell(story) {
      const refund = story.refunded(story.paid("a"), "1", amount, "succeeded", story.id("req", "1"));
      refund.settled("failed");
    },
    act: {
      after: ["checkout.session.completed"],
      by: (sql, story) => askRefund(sql, story, "1", null, true),
    },
    end: {
      ...paid,
      fulfillment: "cancelled",
      stock: shelf,
      mails: ["order_confirmation", "refund_failed", "refund_issued"],
      jobs: ["refund_payment:1"],
      alerts: ["refund_failed"],
    },
  },
];
