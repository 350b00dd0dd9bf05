import type { Ending, Lifecycle } from "./lifecycle.ts";
import { amount, duplicate, paid, unpaid } from "./endings.ts";

/** Orders that are paid, or not, in one or several tries. */
export const payments: (Lifecycle & { end: Ending })[] = [
  {
    name: "pay",
    tell: (story) => void story.paid("a"),
    end: paid,
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
    end: { ...paid, mails: ["order_confirmation", "payment_processing"] },
  },
  {
    name: "slow payment bounces",
    tell: (story) => story.bounced(story.processing("a")),
    end: { ...unpaid, status: "payment_failed", mails: ["payment_failed", "payment_processing"] },
  },
  {
    name: "slow payment with shipping bounces",
    tell: (story) => story.bounced(story.processing("a", { shipping: 900 }), { shipping: 900 }),
    end: { ...unpaid, status: "payment_failed", mails: ["payment_failed", "payment_processing"] },
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
    end: {
      ...paid,
      mails: ["order_confirmation", "payment_failed", "payment_processing"],
      jobs: ["expire_checkout_session:a"],
    },
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
    end: { ...duplicate, mails: ["order_confirmation", "payment_processing"] },
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
    name: "guest changes the address, then is deleted at Stripe",
    tell(story) {
      story.paid("a");
      story.customerChanged("new@example.com").deleted();
    },
    end: paid,
  },
];
