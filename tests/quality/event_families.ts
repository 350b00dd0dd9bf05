/** Stripe's events that nobody here listens to, by family, each with the reason. */

export interface Family {
  /** Beginnings of types; a whole type is one too. The first family that has one is the event's. */
  prefixes: readonly string[];
  why: string;
}

/** Snapshot events, which webhook endpoints of version 1 deliver. */
export const snapshotFamilies: readonly Family[] = [
  {
    prefixes: ["payment_intent.requires_action", "setup_intent.requires_action", "three_d_secure."],
    why: "3D Secure happens on the payment page: its session stays open until the outcome, which is told",
  },
  {
    prefixes: ["payment_intent.created", "charge.pending"],
    why: "Nothing is decided yet; `payment_intent.processing` holds the stock of a slow payment",
  },
  {
    prefixes: ["payment_intent.amount_capturable_updated", "charge.captured", "charge.expired"],
    why: "Money is taken at once: no payment here waits to be captured",
  },
  {
    prefixes: ["payment_intent.partially_funded", "cash_balance.", "customer_cash_balance_transaction."],
    why: "Part payments from a customer's cash balance (bank transfers) are not offered",
  },
  {
    prefixes: ["customer.created"],
    why: "A Stripe customer counts once a session of ours names it, which the session's events say",
  },
  {
    prefixes: ["customer.discount.", "coupon.", "promotion_code."],
    why: "Discounts are made at Stripe; the session says what one took off",
  },
  {
    prefixes: ["customer.tax_id."],
    why: "A business buyer's tax ids come with the session in which they were given",
  },
  {
    prefixes: ["customer.source.", "source.", "payment_method.", "mandate.", "setup_intent."],
    why: "Saved ways to pay and their mandates stay at Stripe; a purchase says which one it used",
  },
  {
    prefixes: [
      "customer.subscription.",
      "subscription_schedule.",
      "invoice.",
      "invoice_payment.",
      "invoiceitem.",
      "plan.",
      "quote.",
      "credit_note.",
      "billing.",
      "billing_portal.",
      "entitlements.",
      "test_helpers.",
    ],
    why: "Billing: nothing is sold by subscription or invoice",
  },
  {
    prefixes: ["product.", "price.", "tax_rate.", "tax.", "payment_link."],
    why: "Prices come from this database, and no page is made from products, prices or links at Stripe",
  },
  {
    prefixes: ["balance.", "balance_settings.", "payout.", "topup.", "transfer.", "reserve."],
    why: "The account's own money: bookkeeping reads it from Stripe's reports",
  },
  {
    prefixes: [
      "account.",
      "application_fee.",
      "apps.",
      "capability.",
      "person.",
    ],
    why: "Connect and apps: the shop is one account of its own",
  },
  { prefixes: ["issuing_"], why: "Issuing: the shop issues no cards" },
  { prefixes: ["treasury."], why: "Treasury: the shop keeps no money for others" },
  { prefixes: ["terminal."], why: "Terminal: nothing is sold at a counter through this backend" },
  {
    prefixes: ["financial_connections.", "identity."],
    why: "Bank accounts are not linked, and nobody's identity is checked",
  },
  { prefixes: ["climate."], why: "Climate orders are no orders of this shop" },
  {
    prefixes: ["reporting.", "sigma.", "file."],
    why: "Reports and files are fetched by whoever asks for them",
  },
];

/** Thin events, which event destinations of version 2 deliver. */
export const thinFamilies: readonly Family[] = [
  {
    prefixes: ["v1.radar.early_fraud_warning."],
    why:
      "Left to the reconciler, which reads Stripe's list of events: one by its id would take a permission more",
  },
  { prefixes: ["v1."], why: "The notice of something that nobody here listens to as a snapshot either" },
  { prefixes: ["v2.core.account", "v2.core.event_destination."], why: "Connect, and pings of a destination" },
  { prefixes: ["v2.money_management."], why: "Money management: the account keeps no money for others" },
  { prefixes: ["v2.commerce."], why: "Catalogues for agents: the catalogue is in this database" },
];
