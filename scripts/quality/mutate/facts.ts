import type { Mutant } from "./mutant.ts";

const tests = ["tests/db/settlement/merge_rules.test.ts", "tests/db/settlement/convergence.test.ts"];

/** Mistakes in how facts merge. */
export const factMutants: Mutant[] = [
  {
    name: "facts: a session goes back from complete to expired",
    file: "supabase/schemas/facts/facts.sql",
    find: "array['open', 'expired', 'complete']",
    replace: "array['open', 'complete', 'expired']",
    tests: tests,
  },
  {
    name: "facts: a paid session goes back to unpaid",
    file: "supabase/schemas/facts/facts.sql",
    find: "array['unpaid', 'no_payment_required', 'paid']",
    replace: "array['paid', 'no_payment_required', 'unpaid']",
    tests: tests,
  },
  {
    name: "facts: a failed debit is forgotten",
    file: "supabase/schemas/facts/facts.sql",
    find: "async_payment_failed = s.async_payment_failed or excluded.async_payment_failed",
    replace: "async_payment_failed = excluded.async_payment_failed",
    tests: tests,
  },
  {
    name: "facts: the last completion counts, not the first",
    file: "supabase/schemas/facts/facts.sql",
    find: "completed_at = least(s.completed_at, excluded.completed_at)",
    replace: "completed_at = excluded.completed_at",
    tests: tests,
  },
  {
    name: "facts: an address is lost to an event without one",
    file: "supabase/schemas/facts/facts.sql",
    find: "case when p_fact ->> 'shipping_address' is null then '0' else '1' end, v_version",
    replace: "'1', v_version",
    tests: tests,
  },
  {
    name: "facts: the session is believed about its payment, not the payment",
    file: "supabase/schemas/facts/facts.sql",
    find: "private.rank(array['session', 'intent'], p_source)",
    replace: "private.rank(array['intent', 'session'], p_source)",
    tests: tests,
  },
  {
    name: "facts: a succeeded payment may be canceled later",
    file: "supabase/schemas/facts/facts.sql",
    find: "private.rank(array['canceled', 'succeeded'], p_fact ->> 'status'),",
    replace: "private.rank(array['succeeded', 'canceled'], p_fact ->> 'status'),",
    tests: tests,
  },
  {
    name: "facts: the payment is dated by what came last",
    file: "supabase/schemas/facts/facts.sql",
    find: "succeeded_at = least(p.succeeded_at, excluded.succeeded_at)",
    replace: "succeeded_at = excluded.succeeded_at",
    tests: tests,
  },
  {
    name: "facts: knowledge counts for nothing",
    file: "supabase/schemas/facts/facts.sql",
    find: "return lpad(\n    jsonb_array_length(",
    replace: "return lpad(\n    0 * jsonb_array_length(",
    tests: tests,
  },
  {
    name: "facts: an attempt that succeeded may fail later",
    file: "supabase/schemas/facts/facts.sql",
    find: "array['pending', 'failed', 'blocked', 'succeeded'], p_fact ->> 'outcome'",
    replace: "array['pending', 'succeeded', 'blocked', 'failed'], p_fact ->> 'outcome'",
    tests: tests,
  },
  {
    name: "facts: a refund is no news",
    file: "supabase/schemas/facts/facts_after_payment.sql",
    find: "on conflict (refund_id) do update set reason = excluded.reason;\n  end if;\n  v_after.version",
    replace:
      "on conflict (refund_id) do update set reason = excluded.reason;\n  end if;\n  return false;\n  v_after.version",
    tests: tests,
  },
  {
    name: "facts: what is linked to another order settles nobody",
    file: "supabase/schemas/facts/apply_facts.sql",
    find: "array_remove(v_news || private.link_payments(v_payment_ids), null)",
    replace: "array_remove(v_news || (private.link_payments(v_payment_ids))[1:0], null)",
    tests: ["tests/db/settlement/together.test.ts"],
  },
];
