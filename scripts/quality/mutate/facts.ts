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
    find: "case when x.shipping_address is null then '0' else '1' end, p_version",
    replace: "'1', p_version",
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
    find: "private.rank(array['canceled', 'succeeded'], f.status),",
    replace: "private.rank(array['succeeded', 'canceled'], f.status),",
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
    find: "select lpad(count(*)::text, 3, '0')",
    replace: "select lpad((count(*) * 0)::text, 3, '0')",
    tests: tests,
  },
  {
    name: "facts: an attempt that succeeded may fail later",
    file: "supabase/schemas/facts/facts.sql",
    find: "array['pending', 'failed', 'blocked', 'succeeded'], f.outcome",
    replace: "array['pending', 'succeeded', 'blocked', 'failed'], f.outcome",
    tests: tests,
  },
];
