import { release } from "./arrange.ts";
import type { Ending, Lifecycle } from "./lifecycle.ts";
import { amount, disputed, inquired, paid, reviewed, shelf } from "./endings.ts";

/** What banks and Radar have to say of a payment. */
export const disputes: (Lifecycle & { end: Ending })[] = [
  {
    name: "dispute won",
    tell(story) {
      const dispute = story.disputed(story.paid("a"), "d", "needs_response");
      dispute.answered();
      dispute.closed("won");
    },
    end: { ...disputed, alerts: ["dispute_closed", "dispute_opened"] },
  },
  {
    name: "dispute lost",
    tell(story) {
      const dispute = story.disputed(story.paid("a"), "d", "needs_response");
      dispute.answered();
      dispute.closed("lost");
    },
    end: { ...disputed, fulfillment: "on_hold", alerts: ["dispute_closed", "dispute_opened"] },
  },
  {
    name: "dispute lost, then won on appeal",
    tell(story) {
      const dispute = story.disputed(story.paid("a"), "d", "needs_response");
      dispute.closed("lost");
      dispute.closed("won");
    },
    end: { ...disputed, alerts: ["dispute_closed", "dispute_closed", "dispute_opened"] },
  },
  {
    name: "inquiry closed",
    tell(story) {
      const inquiry = story.disputed(story.paid("a"), "d", "warning_needs_response");
      inquiry.answered();
      inquiry.closed("warning_closed");
    },
    end: { ...inquired, alerts: ["dispute_closed", "dispute_opened"] },
  },
  {
    name: "early fraud warning, then refund",
    tell(story) {
      const payment = story.paid("a");
      const warning = story.warned(payment, "1");
      story.refunded(payment, "1", amount, "succeeded", `shop:${payment.id}`);
      warning.spent();
    },
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      stock: shelf,
      refunded: amount,
      mails: ["order_confirmation", "refund_issued"],
      jobs: ["refund_payment:shop:a"],
      alerts: ["early_fraud_warning"],
    },
  },
  {
    name: "early fraud warning, refund that restocks, and bounces",
    tell(story) {
      const payment = story.paid("a");
      story.warned(payment, "1");
      story.refunded(payment, "1", amount, "succeeded", `shop:${payment.id}`).settled("failed");
    },
    end: {
      ...paid,
      status: "needs_review",
      fulfillment: "cancelled",
      stock: shelf,
      mails: ["order_confirmation", "refund_failed", "refund_issued"],
      jobs: ["refund_payment:shop:a"],
      alerts: ["early_fraud_warning", "refund_failed"],
    },
  },
  {
    name: "review opened and approved",
    tell: (story) => story.reviewed(story.paid("a"), "1").approved(),
    end: { ...paid, alerts: ["review"] },
  },
  {
    name: "review released, then a warning and its refund",
    act: { after: reviewed, by: release },
    tell(story) {
      const payment = story.paid("a");
      story.reviewed(payment, "1").approved();
      const warning = story.warned(payment, "1");
      story.refunded(payment, "1", amount);
      warning.spent();
    },
    end: {
      ...paid,
      status: "refunded",
      fulfillment: "cancelled",
      refunded: amount,
      mails: ["order_confirmation", "refund_issued"],
      jobs: ["refund_payment:shop:a"],
      alerts: ["early_fraud_warning", "review"],
    },
  },
  {
    name: "review released, then a warning and an inquiry",
    act: { after: reviewed, by: release },
    tell(story) {
      const payment = story.paid("a");
      story.reviewed(payment, "1");
      story.warned(payment, "1");
      story.disputed(payment, "d", "warning_needs_response");
    },
    end: {
      ...disputed,
      status: "needs_review",
      fulfillment: "on_hold",
      jobs: [
        "answer_dispute:d:warning_needs_response",
        "refund_payment:shop:a",
        "remind_dispute:d:1",
        "remind_dispute:d:3",
        "remind_dispute:d:7",
        "submit_dispute_evidence:d",
      ],
      alerts: ["dispute_opened", "early_fraud_warning", "review"],
    },
  },
];
