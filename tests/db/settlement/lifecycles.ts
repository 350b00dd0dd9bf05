/** The lives an order can have, each with the end that every order of its events must lead to. */
import { askRefund, endRefundJob, redriveRefund, release, ship } from "./arrange.ts";
import type { Ending, Lifecycle } from "./lifecycle.ts";

const amount = 25_800;
const shelf: Ending["stock"] = [10, 0, 0];
const sold: Ending["stock"] = [8, 0, 2];

const unpaid: Ending = {
  status: "expired",
  fulfillment: "unfulfilled",
  stock: shelf,
  paid: 0,
  refunded: 0,
  mails: [],
  jobs: [],
  alerts: [],
};
const paid: Ending = {
  ...unpaid,
  status: "paid",
  stock: sold,
  paid: amount,
  mails: ["order_confirmation"],
};
const disputed: Ending = {
  ...paid,
  jobs: [
    "remind_dispute:d:1",
    "remind_dispute:d:3",
    "remind_dispute:d:7",
    "submit_dispute_evidence:d",
  ],
  alerts: ["dispute_opened"],
};
const duplicate: Ending = {
  ...paid,
  jobs: ["expire_checkout_session:a", "expire_checkout_session:b", "refund_payment:duplicate:b"],
  alerts: ["duplicate_payment"],
};

const reviewed = [
  "charge.succeeded",
  "payment_intent.succeeded",
  "checkout.session.completed",
  "review.opened",
];

/** The lifecycles that point 3 of the settlement contract names, and a few more. */
export const lifecycles: (Lifecycle & { end: Ending })[] = [
  {
    name: "pay",
    tell: (story) => void story.paid("a"),
    end: paid,
  },
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
    name: "pay with shipping, tax and a discount",
    tell: (story) => void story.paid("a", { discount: 800, shipping: 995, tax: 2_100 }),
    end: { ...paid, paid: amount - 800 + 995 + 2_100 },
  },
  {
    name: "pay with 3-D Secure, the charge is corrected later",
    tell(story) {
      const payment = story.paid("a", {}, null, "authenticated");
      story.chargeUpdated(payment);
    },
    end: paid,
  },
  {
    name: "free of charge by a promotion",
    tell: (story) => story.free("a"),
    end: { ...paid, paid: 0 },
  },
  {
    name: "declined, then paid",
    tell(story) {
      story.declined("a");
      story.paid("a");
    },
    end: paid,
  },
  {
    name: "authentication fails, then paid",
    tell(story) {
      story.notAuthenticated("a");
      story.paid("a");
    },
    end: paid,
  },
  {
    name: "slow payment arrives",
    tell: (story) => story.arrived(story.processing("a")),
    end: paid,
  },
  {
    name: "slow payment bounces",
    tell: (story) => story.bounced(story.processing("a")),
    end: { ...unpaid, status: "payment_failed", mails: ["payment_failed"] },
  },
  {
    name: "slow payment with shipping bounces",
    tell: (story) => story.bounced(story.processing("a", { shipping: 900 }), { shipping: 900 }),
    end: { ...unpaid, status: "payment_failed", mails: ["payment_failed"] },
  },
  {
    name: "expired",
    tell: (story) => story.expired("a"),
    end: unpaid,
  },
  {
    name: "declined, then expired",
    tell(story) {
      story.declined("a");
      story.expired("a");
      story.intentCanceled("a");
    },
    end: unpaid,
  },
  {
    name: "expired, then recovered and paid",
    tell(story) {
      story.expired("a");
      story.paid("b", {}, "a");
    },
    end: { ...paid, jobs: ["expire_checkout_session:a"] },
  },
  {
    name: "slow payment bounces, then paid by a second session",
    sessions: ["a", "b"],
    tell(story) {
      story.bounced(story.processing("a"));
      story.paid("b");
    },
    end: { ...paid, mails: ["order_confirmation", "payment_failed"], jobs: ["expire_checkout_session:a"] },
  },
  {
    name: "paid twice by two sessions",
    sessions: ["a", "b"],
    tell(story) {
      story.paid("b");
      story.paid("a");
    },
    end: duplicate,
  },
  {
    name: "paid twice, the first by a slow payment",
    sessions: ["a", "b"],
    tell(story) {
      const slow = story.processing("a");
      story.paid("b");
      story.arrived(slow);
    },
    end: duplicate,
  },
  {
    name: "paid twice, the second one refunded",
    sessions: ["a", "b"],
    tell(story) {
      story.paid("a");
      const second = story.paid("b");
      story.refunded(second, "1", amount);
    },
    end: {
      ...duplicate,
      mails: ["duplicate_payment_refunded", "order_confirmation", "refund_issued"],
    },
  },
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
      mails: ["order_confirmation", "refund_issued"],
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
    end: { ...disputed, alerts: ["dispute_closed", "dispute_opened"] },
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
      mails: ["payment_failed"],
      jobs: ["expire_checkout_session:a"],
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
        "refund_payment:shop:a",
        "remind_dispute:d:1",
        "remind_dispute:d:3",
        "remind_dispute:d:7",
        "submit_dispute_evidence:d",
      ],
      alerts: ["dispute_opened", "early_fraud_warning", "review"],
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
  {
    name: "guest changes the address, then is deleted at Stripe",
    tell(story) {
      story.paid("a");
      story.customerChanged("new@example.com").deleted();
    },
    end: paid,
  },
];
