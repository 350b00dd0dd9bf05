import type { Mutant } from "./mutant.ts";

const tests = ["tests/db/settlement"];

/** Mistakes in what becomes of an order. */
export const settlementMutants: Mutant[] = [
  {
    name: "settlement: another currency is not noticed",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "s.currency is distinct from o.currency or p.currency <> o.currency",
    replace: "p.currency <> o.currency",
    tests: tests,
  },
  {
    name: "settlement: tax is not in the sum",
    file: "supabase/schemas/settlement/settlement.sql",
    find: `+ case when o.prices_include_tax then 0 else s.amount_tax end
      or (s.payment_id is null`,
    replace: "or (s.payment_id is null",
    tests: tests,
  },
  {
    name: "settlement: a payment of too little is enough",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "or p.amount_received <> s.amount_total",
    replace: "or p.amount_received > s.amount_total",
    tests: tests,
  },
  {
    name: "settlement: another cart is not noticed",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "case when s.cart_hash is distinct from o.cart_hash then 'cart_mismatch' end,",
    replace: "null::text,",
    tests: tests,
  },
  {
    name: "settlement: test money pays a live order",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "case when s.livemode <> o.livemode or p.livemode <> o.livemode",
    replace: "case when s.livemode <> o.livemode",
    tests: tests,
  },
  {
    name: "settlement: released stock is sold without looking",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "l.on_hand - l.reserved < r.quantity",
    replace: "l.on_hand < r.quantity",
    tests: tests,
  },
  {
    name: "settlement: sold goods do not come back to the shelf",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "+ case when r.status = 'committed' then r.quantity else 0 end,",
    replace: "+ 0,",
    tests: tests,
  },
  {
    name: "settlement: a pending refund counts as given back",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "where r.payment_id = o.payment_id and r.status = 'succeeded';",
    replace: "where r.payment_id = o.payment_id and r.status in ('succeeded', 'pending');",
    tests: tests,
  },
  {
    name: "settlement: a refund in full leaves the order in review",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "or (o.amount_paid > 0 and o.amount_refunded >= o.amount_paid) then '{}'",
    replace: "then '{}'",
    tests: tests,
  },
  {
    name: "settlement: a full refund is a partial one",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "when o.amount_refunded >= o.amount_paid and o.amount_paid > 0 then 'refunded'",
    replace: "when o.amount_refunded > o.amount_paid and o.amount_paid > 0 then 'refunded'",
    tests: tests,
  },
  {
    name: "settlement: stock is released while a debit is under way",
    file: "supabase/schemas/settlement/settlement.sql",
    find: `when v_sessions.open = 0 and v_sessions.processing = 0
      and (v_sessions.attempt_known`,
    replace: `when v_sessions.open = 0
      and (v_sessions.attempt_known`,
    tests: tests,
  },
  {
    name: "settlement: a session in an unknown state is taken for an end",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "count(*) filter (where cs.status not in ('complete', 'expired')) as open,",
    replace: "count(*) filter (where cs.status = 'open') as open,",
    tests: tests,
  },
  {
    name: "settlement: other tabs stay open when an order is paid",
    file: "supabase/schemas/settlement/settlement_effects.sql",
    find: "where other.order_id = o.id and other.id <> cs.id and other.status = 'complete'",
    replace: "where other.order_id = o.id and other.id = cs.id and other.status = 'complete'",
    tests: tests,
  },
  {
    name: "settlement: the kept payment changes when a smaller id arrives",
    file: "supabase/schemas/settlement/settlement.sql",
    find: `order by coalesce(cs.payment_id = o.decided_payment_id, false) desc,
    cs.payment_id`,
    replace: "order by cs.payment_id",
    tests: tests,
  },
  {
    name: "settlement: free sessions come after paid ones",
    file: "supabase/schemas/settlement/settlement.sql",
    find: `collate "C" nulls first`,
    replace: `collate "C" nulls last`,
    tests: tests,
  },
  {
    name: "settlement: the audit trail does not tell the old status",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "jsonb_build_object('from', v_before.status, 'to', o.status)",
    replace: "jsonb_build_object('from', o.status, 'to', o.status)",
    tests: tests,
  },
  {
    name: "refunds: a failed refund is not available again",
    file: "supabase/schemas/settlement/refunds.sql",
    find: "where r.payment_id = p_payment_id and r.status not in ('failed', 'canceled');",
    replace: "where r.payment_id = p_payment_id and r.status <> 'canceled';",
    tests: tests,
  },
  {
    name: "refunds: a request that waits is given away twice",
    file: "supabase/schemas/settlement/refunds.sql",
    find: "coalesce(v_received, 0) - v_live - v_queued end",
    replace: "coalesce(v_received, 0) - v_live end",
    tests: tests,
  },
  {
    name: "refunds: a second request side by side does not know the first is for all",
    file: "supabase/schemas/settlement/refunds.sql",
    find: "return case when v_all_queued then 0 else",
    replace: "return case when false then 0 else",
    tests: tests,
  },
];
