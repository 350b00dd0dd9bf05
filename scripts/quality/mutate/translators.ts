import type { Mutant } from "./mutant.ts";

const tests = ["tests/unit/stripe_events", "tests/unit/order_status.test.ts"];

/** Mistakes in what is read from events. */
export const translatorMutants: Mutant[] = [
  {
    name: "translators: a refund without a status is under way",
    file: "supabase/functions/_shared/stripe_events/refund.ts",
    find: `refund.status ?? "succeeded"`,
    replace: `refund.status ?? "pending"`,
    tests: tests,
  },
  {
    name: "translators: a refund forgets who asked for it",
    file: "supabase/functions/_shared/stripe_events/refund.ts",
    find: `refund.metadata?.["refund_request_id"] ?? null`,
    replace: "null",
    tests: tests,
  },
  {
    name: "translators: withdrawn money is reinstated",
    file: "supabase/functions/_shared/stripe_events/dispute.ts",
    find: `withdrawn: event.type === "charge.dispute.funds_withdrawn"`,
    replace: `withdrawn: event.type === "charge.dispute.funds_reinstated"`,
    tests: tests,
  },
  {
    name: "translators: movements of money do not say that it was withdrawn",
    file: "supabase/functions/_shared/stripe_events/dispute.ts",
    find: "funds.withdrawn || movements.some(({ amount }) => amount < 0)",
    replace: "funds.withdrawn",
    tests: tests,
  },
  {
    name: "translators: a session of another shop is taken for ours",
    file: "supabase/functions/_shared/stripe_events/checkout_session.ts",
    find: `if (isForeignSession(session)) return { kind: "ignored", reason: "foreign_object" };`,
    replace: "",
    tests: tests,
  },
  {
    name: "translators: a bounced debit is not heard of",
    file: "supabase/functions/_shared/stripe_events/checkout_session.ts",
    find: `const failed = event.type === "checkout.session.async_payment_failed";`,
    replace: "const failed = false;",
    tests: tests,
  },
  {
    name: "translators: a paid session without its sums is compared all the same",
    file: "supabase/functions/_shared/stripe_events/checkout_session.ts",
    find: "unread.length > 0 && !isMoneyKnown(told) ? [] :",
    replace: "false ? [] :",
    tests: tests,
  },
  {
    name: "translators: a payment that came back unpaid has not bounced",
    file: "supabase/functions/_shared/stripe_events/checkout_session.ts",
    find: `["requires_payment_method", "canceled"].includes(intent.status)`,
    replace: `["canceled"].includes(intent.status)`,
    tests: tests,
  },
  {
    name: "translators: an attempt number of seven digits is believed",
    file: "supabase/functions/_shared/stripe_events/checkout_session.ts",
    find: "/^[1-9]\\d{0,5}$/",
    replace: "/^[1-9]\\d*$/",
    tests: tests,
  },
  {
    name: "translators: a refused authentication is told twice",
    file: "supabase/functions/_shared/stripe_events/payment_intent.ts",
    find: "if (error === null || error === undefined || error.charge !== undefined) return [];",
    replace: "if (error === null || error === undefined) return [];",
    tests: tests,
  },
  {
    name: "translators: a blocked payment is a failed one",
    file: "supabase/functions/_shared/stripe_events/charge.ts",
    find: `outcome?.type === "blocked" ? "blocked" : charge.status`,
    replace: "charge.status",
    tests: tests,
  },
  {
    name: "translators: the bank's code is taken from payments that succeeded",
    file: "supabase/functions/_shared/stripe_events/charge.ts",
    find: `charge.status === "failed" ? outcome?.reason ?? null : null`,
    replace: "outcome?.reason ?? null",
    tests: tests,
  },
  {
    name: "translators: refunds that failed account for money that went back",
    file: "supabase/functions/_shared/stripe_events/charge.ts",
    find: `refunds.filter(({ status }) => status !== "failed" && status !== "canceled")`,
    replace: "refunds",
    tests: tests,
  },
  {
    name: "translators: a payment without a charge is not read again",
    file: "supabase/functions/_shared/stripe_events/payment_intent.ts",
    find: `if (intent.status !== "succeeded" || latestChargeOf(intent) !== null) return [];`,
    replace: "return [];",
    tests: tests,
  },
];
