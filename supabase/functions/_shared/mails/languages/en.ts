/** All words of all mails, in English. Every other language has the same keys. */
import type { DeclineAdvice } from "../../stripe/decline_advice.ts";

const advice: Record<DeclineAdvice, string> = {
  check_details: "Please check the number, the expiry date, the security code and the billing address.",
  confirm_with_bank:
    "Your bank wants you to confirm the payment. Please try again and follow its instructions.",
  try_again: "This may be over soon. Please try again in a few minutes.",
  other_card: "Please use another card or another payment method.",
  ask_bank: "Please ask your bank, or use another card.",
  declined: "Your card was declined. Please use another payment method.",
};

export const en = {
  advice,
  greeting: (name: string) => `Dear ${name},`,
  greetingWithoutName: "Hello,",
  signature: (shop: string) => `Your ${shop} team`,
  questions: "Questions? Write to us:",
  returns: "Returns",
  privacy: "Privacy",
  unsubscribe: "No more reminders",
  order: "Order",
  orderDate: "Date",
  viewOrder: "View your order",
  visitShop: "Visit the shop",
  payNow: "Complete your payment",
  trackParcel: "Track your parcel",
  refundFor: "Refund for",
  tracking: "Tracking",
  payment: "Payment",
  chargedAs: "Charged in your currency",
  onStatement: "On your statement",
  shippingMethod: "Shipping method",
  company: "Company",
  taxId: "Tax ID",
  card: (brand: string, last4: string) => `${brand} ending in ${last4}`,
  shipTo: "Delivery address",
  billTo: "Billing address",
  quantity: (count: number, price: string) => `${count} × ${price}`,
  subtotal: "Subtotal",
  discount: "Discount",
  shipping: "Shipping",
  tax: "Tax",
  other: "Other",
  total: "Total",
  tax_included: "Includes tax",

  order_confirmation: {
    subject: (order: string) => `Your order ${order}`,
    heading: "Thank you for your order",
    received: (order: string) => `Thank you for your order ${order}. We have received your payment.`,
    free: (order: string) => `Thank you for your order ${order}. There is nothing to pay.`,
    next: "We will write again when your parcel is on its way.",
  },
  payment_declined: {
    subject: (order: string) => `Your payment for order ${order} was declined`,
    heading: "Your payment was declined",
    told: (order: string) => `Your payment for order ${order} did not go through. Nothing was charged.`,
    reserved: "Your order is still there: you can complete it as long as everything is in stock.",
  },
  payment_processing: {
    subject: (order: string) => `Your payment for order ${order} is on its way`,
    heading: "Your payment is being processed",
    told: (order: string) =>
      `Thank you for your order ${order}. Your payment has not arrived yet: with the method that you chose this can take some days.`,
    next: "You do not have to do anything. We will write again as soon as it is here.",
  },
  payment_failed: {
    subject: (order: string) => `Your payment for order ${order} did not go through`,
    heading: "Your payment did not go through",
    told: (order: string) =>
      `Your payment for order ${order} did not go through, so nothing was charged and nothing will be sent.`,
    again: "You can pay with another payment method, as long as everything is in stock.",
    anew: "You are welcome to order again with another payment method.",
  },
  payment_reminder: {
    subject: (order: string) => `Your order ${order} is waiting for you`,
    heading: "You left something behind",
    told: (order: string) =>
      `Your order ${order} has not been paid. You can complete it as long as everything is in stock.`,
  },
  refund_issued: {
    subject: (order: string) => `Refund for your order ${order}`,
    heading: "Your refund is on its way",
    whole: (amount: string, order: string) =>
      `We have refunded ${amount} for your order ${order}: all that you paid.`,
    part: (amount: string, paid: string, order: string) =>
      `We have refunded ${amount} of the ${paid} that you paid for your order ${order}.`,
    where: "It goes back to the payment method that you paid with.",
    whereCard: (card: string) => `It goes back to your ${card}.`,
    when: "Banks usually show it within 5 to 10 days.",
    headingDetails: "Your refund needs your bank account",
    detailsNeeded:
      "Your way to pay cannot take the money back. Stripe, who processes our payments, has written to you to ask which bank account it should go to. Please answer that mail; nobody else will ask you.",
  },
  refund_settled: {
    subject: (order: string) => `Your refund for order ${order} is complete`,
    heading: "Your refund is complete",
    told: (amount: string, order: string) =>
      `Your bank has the ${amount} that we refunded for your order ${order}.`,
    when: "It may take a few days to show on your statement.",
  },
  refund_failed: {
    subject: (order: string) => `The refund for your order ${order} did not go through`,
    heading: "Your refund did not go through",
    told: (amount: string, order: string) =>
      `The refund of ${amount} for your order ${order} could not be completed, so you have not received this money.`,
    toldWithoutAmount: (order: string) =>
      `The refund for your order ${order} could not be completed, so you have not received this money.`,
    next: "You do not have to do anything: we are looking into it and will write to you again.",
  },
  duplicate_payment_refunded: {
    subject: (order: string) => `Your second payment for order ${order}`,
    heading: "You have paid twice",
    told: (order: string) => `Your order ${order} was paid twice.`,
    once: "We keep one payment, and you get the goods once.",
    refund:
      "The second payment goes back to the payment method that you used for it. Banks usually show it within 5 to 10 days.",
  },
  order_unfulfillable: {
    subject: (order: string) => `We cannot fulfil your order ${order}`,
    heading: "We are sorry",
    paid: (order: string) =>
      `We are sorry: when your payment for order ${order} arrived, the last piece had been sold.`,
    free: (order: string) => `We are sorry: when your order ${order} arrived, the last piece had been sold.`,
    refund: "You do not have to do anything: we will write to you as soon as your refund is on its way.",
    instead: "Perhaps something else suits you.",
  },
  order_cancelled: {
    subject: (order: string) => `Your order ${order} was cancelled`,
    heading: "Your order was cancelled",
    told: (order: string) => `Your order ${order} was cancelled, and nothing will be sent.`,
    money: "We will write to you separately about the money.",
  },
  order_shipped: {
    subject: (order: string) => `Your order ${order} is on its way`,
    heading: "Your parcel is on its way",
    told: (order: string) => `Your order ${order} is on its way.`,
    partSubject: (order: string) => `Part of your order ${order} is on its way`,
    part: (order: string) =>
      `A part of your order ${order} is on its way. The rest follows; we write again when it leaves.`,
    restSubject: (order: string) => `The rest of your order ${order} is on its way`,
    rest: (order: string) => `The rest of your order ${order} is on its way.`,
    contents: "In this parcel",
    correctedSubject: (order: string) => `Corrected tracking of your order ${order}`,
    correctedHeading: "A new tracking number",
    corrected: (order: string) =>
      `The tracking number that we sent you for your order ${order} was wrong. This is the right one:`,
  },

  digest: {
    subject: (shop: string, day: string) => `${shop}: ${day}`,
    told: "The day, and what waits for you.",
    sales: "Orders paid",
    refunds: "Refunded",
    toShip: "Orders to send",
    attention: "Orders that need a person",
    disputes: "Disputes to answer",
    alerts: "Open alerts",
    mailsFailed: "Mails that did not arrive",
  },
  budgetReport: {
    subject: (shop: string, day: string) => `${shop}: how the shop kept its promises, week of ${day}`,
    heading: (day: string) => `Week of ${day}`,
    kept: "All promises are within what may go wrong in four weeks.",
    overdrawn: "More went wrong in four weeks than may: see the promises above 100 %.",
    figures: (share: string, target: string, bad: number, used: string) =>
      `${share} good (promised ${target}), ${bad} bad; ${used} of what may go wrong in four weeks is used up`,
    objectives: {
      checkout: "Checkouts answered",
      webhook: "Payments settled within 10 seconds",
      mail: "Mails sent within 5 minutes",
      page: "Order pages answered",
      stock: "Paid orders in stock",
    } as Record<string, string>,
  },
  alert: {
    seen: (kind: string, severity: string, since: string, count: number) =>
      `${kind} (${severity}), first seen ${since}${count > 1 ? `, seen ${count} times` : ""}.`,
    over: (kind: string, many: number, since: string, until: string) =>
      `${kind} is over${many > 1 ? ` (${many} alerts)` : ""}: first seen ${since}, last seen ${until}.`,
    overTag: "over",
    more: (count: number) => `and ${count} more`,
    openInStripe: "Open in Stripe",
    openOrder: "Open the order",
    openRunbook: "What to do",
    kinds: {
      dispute_opened: "A payment is disputed. Look at the evidence and submit it in time.",
      dispute_escalated: "A dispute waits for an answer again.",
      dispute_due: "The deadline of a dispute is near, and nothing has been submitted.",
      dispute_closed: "A dispute is closed.",
      payment_mismatch: "What was paid is not what was ordered. The order waits for a review.",
      review: "A payment waits for a review before anything is sent.",
      early_fraud_warning: "The card's bank has warned of fraud.",
      oversold: "An order was paid when its goods were gone. Its money goes back.",
      refund_failed: "A refund did not reach the customer.",
      refund_refused: "Stripe refuses a refund.",
      duplicate_payment: "An order was paid twice. The second payment goes back.",
      audit_trail_broken: "The audit trail was changed past the rules of the database.",
      invariant_violated: "Something that must always be true of orders, money or stock is not.",
      cancelled_order_paid: "A cancelled order was paid. Its money goes back.",
    } as Record<string, string>,
  },
};

export type Texts = typeof en;
