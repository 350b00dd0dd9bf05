import type { Mutant } from "./mutant.ts";

const files = (...names: string[]) => names.map((name) => `tests/db/checkout/${name}.test.ts`);
const tests = files("velocity", "velocity_pages", "held_stock", "velocity_crowds");

/** Mistakes in the rules against card testing. */
export const velocityMutants: Mutant[] = [
  {
    name: "velocity: an outage counts as a refusal",
    file: "supabase/schemas/velocity/velocity_rules.sql",
    find:
      "  return coalesce(array_remove(array[lower(p_failure_code), lower(p_decline_code)], null) && array[",
    replace:
      "  return false and coalesce(array_remove(array[lower(p_failure_code), lower(p_decline_code)], null) && array[",
    tests: files("velocity_simulation"),
  },
  {
    name: "velocity: every alias of a mailbox is a buyer of its own",
    file: "supabase/schemas/velocity/velocity_rules.sql",
    find: "split_part(split_part(v_address, '@', 1), '+', 1)",
    replace: "split_part(v_address, '@', 1)",
    tests: tests,
  },
  {
    name: "velocity: a failed challenge is why the shop goes on asking",
    file: "supabase/schemas/velocity/velocity_measures.sql",
    find: "p_rule.subject <> 'shop' or y.failure_code is distinct from c_failed_challenge",
    replace: "true",
    tests: tests,
  },
  {
    name: "velocity: one buyer can raise the alarm alone",
    file: "supabase/schemas/velocity/velocity_measures.sql",
    find: "c.of_buyer <= c_of_one_max or",
    replace: "true or",
    tests: tests,
  },
  {
    name: "velocity: one network can raise the alarm alone",
    file: "supabase/schemas/velocity/velocity_measures.sql",
    find: "and (c.of_network <= c_of_one_max or p_rule.subject <> 'shop')",
    replace: "",
    tests: tests,
  },
  {
    name: "velocity: an order counts against itself",
    file: "supabase/schemas/velocity/velocity_measures.sql",
    find: "where o.id is distinct from p_order_id\n      union all",
    replace: "union all",
    tests: tests,
  },
  {
    name: "velocity: report refuses",
    file: "supabase/schemas/velocity/velocity.sql",
    find: "case p_mode when 'enforce' then (v_rule.rule).action else 'allow' end",
    replace: "(v_rule.rule).action",
    tests: tests,
  },
  {
    name: "velocity: a burst under one mailbox slips through",
    file: "supabase/schemas/velocity/velocity.sql",
    find: `  if v_mailbox is not null then
    perform pg_advisory_xact_lock`,
    replace: `  if false then
    perform pg_advisory_xact_lock`,
    tests: tests,
  },
  {
    name: "velocity: a stranger locks an account out by its address",
    file: "supabase/schemas/velocity/velocity_subjects.sql",
    find: "case when p_user_id is not null then 'disposable_email' end, p_mailbox",
    replace: "null::text, p_mailbox",
    tests: tests,
  },
  {
    name: "velocity: goods that an old debit holds are forgotten",
    file: "supabase/schemas/velocity/velocity_bounds.sql",
    find: "where t.created_at >= v_since or t.status in ('pending', 'processing')",
    replace: "where t.created_at >= v_since",
    tests: files("velocity_bounds"),
  },
  {
    name: "velocity: refusals of a page that was opened yesterday are not looked at",
    file: "supabase/schemas/velocity/velocity_bounds.sql",
    find: "v_since timestamptz := p_since - interval '1 day'",
    replace: "v_since timestamptz := p_since",
    tests: files("velocity_bounds"),
  },
];
