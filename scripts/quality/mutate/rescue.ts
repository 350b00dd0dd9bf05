import type { Mutant } from "./mutant.ts";

const tests = ["tests/integration/rescue/rescue.test.ts"];

/** Mistakes in what a restored database takes over from Stripe. */
export const rescueMutants: Mutant[] = [
  {
    name: "rescue: the orders of another installation are made here",
    file: "scripts/live/rescue/rescue.ts",
    find: "(shopIdOf(object) ?? shop_id) === shop_id",
    replace: "shop_id !== null",
    tests,
  },
  {
    name: "rescue: an order has the terms of the setting that the backup had",
    file: "supabase/schemas/reconciliation/rescue_orders.sql",
    find: "if not p_order ? 'terms_version' then",
    replace: "if true then",
    tests,
  },
];
