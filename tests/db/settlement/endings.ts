/** How orders end, as far as several lifecycles have it in common. */
import type { Ending } from "./lifecycle.ts";

export const amount = 25_800;
export const shelf: Ending["stock"] = [10, 0, 0];
const sold: Ending["stock"] = [8, 0, 2];

export const unpaid: Ending = {
  status: "expired",
  fulfillment: "unfulfilled",
  stock: shelf,
  paid: 0,
  refunded: 0,
  mails: [],
  jobs: [],
  alerts: [],
};
export const paid: Ending = {
  ...unpaid,
  status: "paid",
  stock: sold,
  paid: amount,
  mails: ["order_confirmation"],
};
export const disputed: Ending = {
  ...paid,
  jobs: [
    "answer_dispute:d:needs_response",
    "remind_dispute:d:1",
    "remind_dispute:d:3",
    "remind_dispute:d:7",
    "submit_dispute_evidence:d",
  ],
  alerts: ["dispute_opened"],
};
/** Of an inquiry. */
export const inquired: Ending = {
  ...disputed,
  jobs: ["answer_dispute:d:warning_needs_response", ...disputed.jobs.slice(1)],
};
export const duplicate: Ending = {
  ...paid,
  jobs: ["expire_checkout_session:a", "expire_checkout_session:b", "refund_payment:duplicate:b"],
  alerts: ["duplicate_payment"],
};

export const reviewed = [
  "charge.succeeded",
  "payment_intent.succeeded",
  "checkout.session.completed",
  "review.opened",
];
