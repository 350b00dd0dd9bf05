-- derive_order(): the table of docs/settlement.md as a function of facts alone.

create type private.order_facts as (
  paid boolean,
  amount_paid bigint,
  amount_refunded bigint,
  sessions_open integer,
  sessions_under_way integer,
  sessions_failed integer,
  attempt_has_ended boolean,
  cancelled boolean,
  oversold boolean,
  restocked boolean,
  fulfilled boolean,
  withdrawn boolean,
  mismatches text[],
  fraud_reasons text[],
  hold_reasons text[]
);
comment on type private.order_facts is
  'What derive_order() looks at. sessions_open: may still be paid; sessions_under_way: confirmed, the money '
  'is on its way; withdrawn: nothing has left and nothing is to be sent; attempt_has_ended: false while the '
  'session of the latest attempt is not known yet. Amounts '
  'in minor units.';

create type private.order_state as (
  stock text,
  review_reasons text[],
  status text,
  fulfillment_status text
);
comment on type private.order_state is
  'What facts make of an order. stock: committed, active (held again), released, or null: as it is.';

create function private.derive_order(f private.order_facts) returns private.order_state
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_not_to_ship constant boolean := f.cancelled or f.oversold;
  -- Where nothing was paid there is nothing to give back.
  v_nothing_to_ship constant boolean := f.paid and f.amount_paid = 0 and v_not_to_ship;
  v_refunded constant boolean := f.amount_paid > 0 and f.amount_refunded >= f.amount_paid;
  v_nothing_will_come constant boolean := f.sessions_open = 0 and f.attempt_has_ended;
  d private.order_state;
begin
  d.stock := case
    when f.paid and not (v_not_to_ship or f.restocked) then 'committed'
    when f.paid then 'released'
    -- Stock of an attempt in flight, of an open session and of a payment under way stays held.
    when v_nothing_will_come and f.sessions_under_way = 0 then 'released'
    -- Given back already when another session of the order was completed: held again until its money comes.
    when f.sessions_under_way > 0 and not f.cancelled then 'active'
  end;
  d.review_reasons := case
    -- A refund in full closes every open question.
    when not f.paid or v_nothing_to_ship or v_refunded then '{}'
    else f.mismatches || case when f.oversold then array['oversold'] else '{}' end || f.fraud_reasons
  end;
  -- The table of docs/settlement.md, first rule that holds.
  d.status := case
    when f.paid and cardinality(d.review_reasons) > 0 then 'needs_review'
    when v_refunded then 'refunded'
    when f.amount_refunded > 0 then 'partially_refunded'
    when v_nothing_to_ship then 'cancelled'
    when f.paid then 'paid'
    when f.sessions_under_way > 0 then 'processing'
    when f.cancelled then 'cancelled'
    when f.sessions_failed > 0 and v_nothing_will_come then 'payment_failed'
    when v_nothing_will_come then 'expired'
    else 'pending'
  end;
  d.fulfillment_status := case
    when f.fulfilled then 'fulfilled'
    when v_not_to_ship or f.restocked or f.withdrawn or d.status = 'refunded' then 'cancelled'
    when d.status = 'needs_review' or cardinality(f.hold_reasons) > 0 then 'on_hold'
    else 'unfulfilled'
  end;
  return d;
end;
$$;
comment on function private.derive_order(private.order_facts) is
  'The rules of docs/settlement.md: stock, review reasons and statuses of an order by its facts, and by '
  'nothing else.';
