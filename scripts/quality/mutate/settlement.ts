import type { Mutant } from "./mutant.ts";

const files = (...names: string[]) => names.map((name) => `tests/db/settlement/${name}.test.ts`);
const money = files("tamper", "totals", "livemode", "convergence");
const stock = files("derive", "late_money", "sell_out");
const refunds = files(
  "refunds",
  "refund_commands",
  "refund_restock",
  "refunds_given_up",
  "refunds_disputed",
  "attention",
  "disputes",
  "refund_requests",
);
const statuses = files("derive", "refunds", "refund_restock", "attention", "fraud_warnings");
const orders = files("confirmed_email", "kept_session", "status_trail", "totals", "convergence");

/** Mistakes in what becomes of an order. */
export const settlementMutants: Mutant[] = [
  {
    name: "settlement: another currency is not noticed",
    file: "supabase/schemas/settlement/review.sql",
    find: "s.currency is distinct from o.currency or p.currency <> o.currency",
    replace: "p.currency <> o.currency",
    tests: money,
  },
  {
    name: "settlement: a refund is asked for while a bank has the money",
    file: "supabase/schemas/settlement/refunds.sql",
    find: "when private.refund_awaits_dispute(q) then 'disputed'",
    replace: "when false then 'disputed'",
    tests: files("refunds_disputed"),
  },
  {
    name: "settlement: a refund that waited for a bank is forgotten",
    file: "supabase/schemas/settlement/refunds.sql",
    find: "when p_job.status = 'discarded' and x.status = 'disputed' then 'disputed'",
    replace: "when false then 'disputed'",
    tests: files("refunds_disputed"),
  },
  {
    name: "settlement: tax is not in the sum",
    file: "supabase/schemas/settlement/review.sql",
    find: `+ case when o.prices_include_tax then 0 else s.amount_tax end
      or (s.payment_id is null`,
    replace: "or (s.payment_id is null",
    tests: money,
  },
  {
    name: "settlement: a payment of too little is enough",
    file: "supabase/schemas/settlement/review.sql",
    find: "or p.amount_received <> s.amount_total",
    replace: "or p.amount_received > s.amount_total",
    tests: money,
  },
  {
    name: "settlement: another cart is not noticed",
    file: "supabase/schemas/settlement/review.sql",
    find: "case when s.cart_hash is distinct from o.cart_hash then 'cart_mismatch' end,",
    replace: "null::text,",
    tests: money,
  },
  {
    name: "settlement: test money pays a live order",
    file: "supabase/schemas/settlement/review.sql",
    find: "case when s.livemode <> o.livemode or p.livemode <> o.livemode",
    replace: "case when s.livemode <> o.livemode",
    tests: money,
  },
  {
    name: "settlement: released stock is sold without looking",
    file: "supabase/schemas/settlement/settle_stock.sql",
    find: "l.on_hand - l.reserved < r.quantity",
    replace: "l.on_hand < r.quantity",
    tests: stock,
  },
  {
    name: "settlement: sold goods do not come back to the shelf",
    file: "supabase/schemas/settlement/settle_stock.sql",
    find: "+ case when r.status = 'committed' then r.pieces else 0 end,",
    replace: "+ 0,",
    tests: files("refund_restock", "late_money"),
  },
  {
    name: "settlement: refunds that are under way count as given back",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "(select back.made from private.refunded_amounts back where back.payment_id = o.payment_id), 0",
    replace: "(select back.given from private.refunded_amounts back where back.payment_id = o.payment_id), 0",
    tests: refunds,
  },
  {
    name: "settlement: a refund in full leaves the order in review",
    file: "supabase/schemas/settlement/derive_order.sql",
    find: "when not f.paid or v_nothing_to_ship or v_refunded then '{}'",
    replace: "when not f.paid or v_nothing_to_ship then '{}'",
    tests: statuses,
  },
  {
    name: "settlement: a full refund is a partial one",
    file: "supabase/schemas/settlement/derive_order.sql",
    find: "f.amount_paid > 0 and f.amount_refunded >= f.amount_paid;",
    replace: "f.amount_paid > 0 and f.amount_refunded > f.amount_paid;",
    tests: statuses,
  },
  {
    name: "settlement: stock is released while a debit is under way",
    file: "supabase/schemas/settlement/derive_order.sql",
    find: "when v_nothing_will_come and f.sessions_under_way = 0 then 'released'",
    replace: "when v_nothing_will_come then 'released'",
    tests: stock,
  },
  {
    name: "settlement: a session in an unknown state is taken for an end",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "count(*) filter (where cs.status not in ('complete', 'expired')),",
    replace: "count(*) filter (where cs.status = 'open'),",
    tests: files("unknown_values"),
  },
  {
    name: "settlement: what was oversold is not in review",
    file: "supabase/schemas/settlement/derive_order.sql",
    find: "case when f.oversold then array['oversold'] else '{}' end || f.fraud_reasons",
    replace: "f.fraud_reasons",
    tests: stock,
  },
  {
    name: "settlement: a restocked order is sold again",
    file: "supabase/schemas/settlement/derive_order.sql",
    find: "when f.paid and not (v_not_to_ship or f.restocked) then 'committed'",
    replace: "when f.paid and not v_not_to_ship then 'committed'",
    tests: statuses,
  },
  {
    name: "settlement: an order ships while it is in review",
    file: "supabase/schemas/settlement/derive_order.sql",
    find: "when d.status = 'needs_review' or cardinality(f.hold_reasons) > 0 then 'on_hold'",
    replace: "when cardinality(f.hold_reasons) > 0 then 'on_hold'",
    tests: statuses,
  },
  {
    name: "settlement: the first of two pages gives the address",
    file: "supabase/schemas/settlement/settlement.sql",
    find: `order by cs.attempt desc nulls last, cs.id collate "C"
    limit 1
  );`,
    replace: `order by cs.attempt nulls last, cs.id collate "C"
    limit 1
  );`,
    tests: orders,
  },
  {
    name: "settlement: other tabs stay open when an order is paid",
    file: "supabase/schemas/settlement/settlement_effects.sql",
    find: "where other.order_id = o.id and other.id <> cs.id",
    replace: "where other.order_id = o.id and other.id = cs.id",
    tests: orders,
  },
  {
    name: "settlement: the kept payment changes when a smaller id arrives",
    file: "supabase/schemas/settlement/settlement.sql",
    find: `order by coalesce(
      s.payment_id = (select o.decided_payment_id from public.orders o where o.id = p_order_id), false
    ) desc, s.payment_id`,
    replace: "order by s.payment_id",
    tests: orders,
  },
  {
    name: "settlement: free sessions come after paid ones",
    file: "supabase/schemas/settlement/settlement.sql",
    find: `collate "C" nulls first`,
    replace: `collate "C" nulls last`,
    tests: orders,
  },
  {
    name: "settlement: the audit trail does not tell the old status",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "jsonb_build_object('from', p_before.status, 'to', o.status)",
    replace: "jsonb_build_object('from', o.status, 'to', o.status)",
    tests: orders,
  },
  {
    name: "refunds: what is given back can be given again",
    file: "supabase/schemas/settlement/refund_rules.sql",
    find: "coalesce(v_received, 0) - coalesce(v_given, 0) - v_queued",
    replace: "coalesce(v_received, 0) - v_queued",
    tests: refunds,
  },
  {
    name: "refunds: a request that waits is given away twice",
    file: "supabase/schemas/settlement/refund_rules.sql",
    find: "coalesce(v_received, 0) - coalesce(v_given, 0) - v_queued",
    replace: "coalesce(v_received, 0) - coalesce(v_given, 0)",
    tests: refunds,
  },
  {
    name: "refunds: a request for a part does not know that all is asked for",
    file: "supabase/schemas/settlement/refund_rules.sql",
    find: `when v_all_queued then 0
`,
    replace: `when false then 0
`,
    tests: refunds,
  },
  {
    name: "refunds: a request is counted beside the refund that it became",
    file: "supabase/schemas/settlement/refund_rules.sql",
    find: `q.id is distinct from p_except
    and not exists (select 1 from public.refunds r where r.request_id = q.id);`,
    replace: "q.id is distinct from p_except;",
    tests: refunds,
  },
  {
    name: "refunds: a refund by hand is repeated by the job",
    file: "supabase/schemas/settlement/refund_rules.sql",
    find: `      where r.payment_id = q.payment_id and r.seen_at > q.created_at
        and not exists (select 1 from public.refund_requests known where known.id = r.request_id)
      order by r.created_at, r.id
      limit 1
    ),`,
    replace: `      where false
      limit 1
    ),`,
    tests: refunds,
  },
  {
    name: "refunds: a lost dispute leaves all of the money owed",
    file: "supabase/schemas/settlement/refund_rules.sql",
    find: "where d.payment_id = p.id and d.status = 'lost'",
    replace: "where false",
    tests: refunds,
  },
];
