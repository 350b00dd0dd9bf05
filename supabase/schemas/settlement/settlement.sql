-- settle_order(): the one place where an order's state comes from. It locks the order, derives everything
-- from the fact tables, and fires each side effect once. Calling it again, or from somewhere else, changes
-- nothing.

insert into private.settings (key, value, description) values
  (
    'prices_include_tax', 'false',
    'true: Stripe''s tax is inside the prices (inclusive), so it does not add to the total.'
  );

create function private.settle_stock(p_order_id uuid, p_target text, p_source text) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_moved integer;
begin
  if not exists (
    select 1 from public.inventory_reservations r where r.order_id = p_order_id and r.status <> p_target
  ) then
    return true;
  end if;
  -- One order for all: every writer of inventory_levels locks by variant_id.
  perform 1
  from public.inventory_levels l
  where l.variant_id in (
    select r.variant_id from public.inventory_reservations r where r.order_id = p_order_id
  )
  order by l.variant_id
  for no key update;

  if p_target in ('committed', 'active') and exists (
    select 1
    from public.inventory_reservations r
    join public.inventory_levels l on l.variant_id = r.variant_id
    where r.order_id = p_order_id and r.status = 'released'
      and l.on_hand - l.reserved < r.quantity - r.returned
  ) then
    return false;
  end if;

  perform private.name_stock_move(
    case p_target when 'committed' then 'sale' else 'release' end, p_order_id, null, p_source
  );
  update public.inventory_levels l set
    on_hand = l.on_hand
      - case when p_target = 'committed' then r.pieces else 0 end
      + case when r.status = 'committed' then r.pieces else 0 end,
    reserved = l.reserved
      + case when p_target = 'active' then r.pieces else 0 end
      - case when r.status = 'active' then r.pieces else 0 end,
    committed = l.committed
      + case when p_target = 'committed' then r.pieces else 0 end
      - case when r.status = 'committed' then r.pieces else 0 end
  from (
    select x.order_id, x.variant_id, x.status, x.quantity - x.returned as pieces
    from public.inventory_reservations x
  ) r
  where r.order_id = p_order_id and r.variant_id = l.variant_id and r.status <> p_target;
  perform private.name_stock_move(null);

  update public.inventory_reservations
  set status = p_target, updated_at = now()
  where order_id = p_order_id and status <> p_target;
  get diagnostics v_moved = row_count;
  perform private.record_order_event(
    p_order_id, 'stock_' || p_target, p_source, jsonb_build_object('lines', v_moved)
  );
  return true;
end;
$$;
comment on function private.settle_stock(uuid, text, text) is
  'Moves all reservations of an order to committed (sold), active (held again) or released (given back; '
  'sold goods return to the shelf). Returns false, changing nothing, when released stock is to be taken '
  'again and is gone. Called by settle_order() only.';

create function private.settle_returns(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  -- Asked of every order that settles, and most have no return.
  if not exists (select 1 from public.returns r where r.order_id = o.id) then
    return;
  end if;
  update public.returns r set received_at = clock_timestamp(), status = 'closed'
  where r.order_id = o.id and r.status = 'requested' and private.refund_has_come_true(r.refund_request_id);

  v_ids := array(
    select r.id from public.returns r
    where r.order_id = o.id and r.received_at is not null and r.stocked_at is null
  );
  -- All of the order, as settle_stock() does: one order for all.
  perform 1 from public.inventory_levels l
  where cardinality(v_ids) > 0 and l.variant_id in (
    select r.variant_id from public.inventory_reservations r where r.order_id = o.id
  )
  order by l.variant_id
  for no key update;
  perform private.name_stock_move('return', o.id, null, p_source);
  with back as (
    select i.variant_id, sum(x.quantity) as pieces, sum(x.quantity) filter (where x.restock) as good
    from public.return_lines x join public.order_items i on i.id = x.order_item_id
    where x.return_id = any (v_ids) group by i.variant_id
  ), moved as (
    -- Of an order whose goods have all gone back, these have too.
    update public.inventory_levels l
    set committed = l.committed - b.pieces, on_hand = l.on_hand + coalesce(b.good, 0)
    from back b join public.inventory_reservations r
      on r.variant_id = b.variant_id and r.order_id = o.id and r.status = 'committed'
    where l.variant_id = b.variant_id
  )
  update public.inventory_reservations r set returned = r.returned + b.pieces, updated_at = now()
  from back b where r.order_id = o.id and r.variant_id = b.variant_id;
  perform private.name_stock_move(null);
  update public.returns r set stocked_at = clock_timestamp() where r.id = any (v_ids);

  update public.returns r set status = 'closed'
  where r.order_id = o.id and r.status = 'received' and not exists (
    select 1 from private.line_positions(o.id) p cross join lateral private.refunded_pieces(p.order_item_id) f
    where p.returned > f.made
  );
end;
$$;
comment on function private.settle_returns(public.orders, text) is
  'Books the pieces of each return once: what waited for its refund when that has succeeded, what staff '
  'received at once. Closes returns when all that came back is paid back. Called by settle_order() only.';

create function private.refund_has_come_true(p_request_id text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.refunds r where r.request_id = p_request_id and r.succeeded_at is not null
  ) or exists (
    -- Somebody had given back all of it by hand before the job ran.
    select 1 from public.refund_requests q join private.settled_payments p on p.id = q.payment_id
    where q.id = p_request_id and q.status = 'not_needed' and p.amount_received <= (
      select coalesce(sum(r.amount), 0) from public.refunds r
      where r.payment_id = q.payment_id and r.succeeded_at is not null
    )
  );
end;
$$;
comment on function private.refund_has_come_true(text) is
  'Whether the money of a refund request has left. Once true it stays so: a refund that bounces afterwards '
  'moves no goods.';

create function private.all_returned(p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.returns r where r.order_id = p_order_id)
    and not exists (select 1 from private.line_positions(p_order_id) p where p.returned < p.quantity);
end;
$$;
comment on function private.all_returned(uuid) is 'Whether every piece of an order has come back.';

create function private.is_withdrawn(p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.returns r where r.order_id = p_order_id)
    and not private.has_shipped(p_order_id)
    and not exists (select 1 from private.line_positions(p_order_id) p where p.to_ship > 0);
end;
$$;
comment on function private.is_withdrawn(uuid) is
  'Whether refunds have taken every piece out of an order before any left.';

create function private.settle_customer(o public.orders, s public.checkout_sessions) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid := o.customer_id;
begin
  if s.stripe_customer_id is null then
    return v_id;
  end if;
  if v_id is null then
    -- By another order of the same buyer as well: the row forgets the id of a deleted Stripe customer.
    select coalesce(
      (select c.id from public.customers c where c.stripe_customer_id = s.stripe_customer_id),
      (
        select other.customer_id
        from public.checkout_sessions cs
        join public.orders other on other.id = cs.order_id and other.session_id = cs.id
        where cs.stripe_customer_id = s.stripe_customer_id and other.customer_id is not null
        limit 1
      )
    ) into v_id;
    if v_id is null then
      insert into public.customers (email, name, stripe_customer_id, livemode)
      values (s.email, s.name, s.stripe_customer_id, s.livemode)
      on conflict on constraint customers_stripe_customer_id_key do update
        set email = coalesce(customers.email, excluded.email)
      returning id into v_id;
      perform private.settle_stripe_customer(s.stripe_customer_id);
    end if;
    return v_id;
  end if;
  update public.customers c
  set stripe_customer_id = s.stripe_customer_id
  where c.id = v_id and c.stripe_customer_id is null and c.livemode = s.livemode
    and not exists (
      select 1 from public.customers other where other.stripe_customer_id = s.stripe_customer_id
    )
    and not exists (
      select 1
      from private.stripe_customers gone where gone.id = s.stripe_customer_id and gone.deleted_at is not null
    );
  return v_id;
end;
$$;
comment on function private.settle_customer(public.orders, public.checkout_sessions) is
  'The customer row of a paid order: the account that ordered, or the guest whom Stripe knows. A deleted '
  'Stripe customer is not linked again. Called by settle_order() only.';

create function private.kept_session(p_order_id uuid) returns public.checkout_sessions
language plpgsql
stable
set search_path = ''
as $$
declare
  v_session public.checkout_sessions;
begin
  -- The one that was decided about; else free ones first, then by payment id: a rule over what every report
  -- of a paid session carries. So the choice among those known never falls on one that an earlier choice
  -- has passed over and refunded; nor does the decision, which is about the one kept then.
  select cs.* into v_session
  from private.settled_sessions s
  join public.checkout_sessions cs on cs.id = s.id
  join public.orders o on o.id = cs.order_id
  where s.order_id = p_order_id
  order by coalesce(cs.payment_id = o.decided_payment_id, false) desc,
    cs.payment_id collate "C" nulls first, cs.id collate "C"
  limit 1;
  return v_session;
end;
$$;
comment on function private.kept_session(uuid) is
  'The settled session whose payment an order keeps, or null. Any other settled payment of the order is '
  'refunded.';

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

create function private.order_as_paid(o public.orders, s public.checkout_sessions, p public.payments)
returns public.orders
language plpgsql
stable
set search_path = ''
as $$
begin
  o.paid_at := coalesce(p.succeeded_at, s.completed_at);
  o.amount_paid := coalesce(p.amount_received, 0);
  o.amount_discount := coalesce(s.amount_discount, 0);
  o.amount_shipping := coalesce(s.amount_shipping, 0);
  o.amount_tax := coalesce(s.amount_tax, 0);
  o.amount_total := coalesce(s.amount_total, 0);
  o.customer_name := s.name;
  o.phone := s.phone;
  o.shipping_name := s.shipping_name;
  o.shipping_address := s.shipping_address;
  o.billing_address := s.billing_address;
  o.amount_refunded := coalesce(
    (select back.made from private.refunded_amounts back where back.payment_id = o.payment_id), 0
  );
  return o;
end;
$$;
comment on function private.order_as_paid(public.orders, public.checkout_sessions, public.payments) is
  'The order with what its kept session, its payment and their refunds say.';

create function private.order_as_asked(o public.orders) returns public.orders
language plpgsql
stable
set search_path = ''
as $$
declare
  s public.checkout_sessions;
begin
  -- A debit under way shows what was confirmed, any other unpaid order its cart.
  select cs.* into s
  from public.checkout_sessions cs
  where cs.order_id = o.id and cs.status = 'complete' and not cs.async_payment_failed
  order by cs.attempt desc nulls last, cs.id collate "C"
  limit 1;
  o.amount_discount := coalesce(s.amount_discount, 0);
  o.amount_shipping := coalesce(s.amount_shipping, 0);
  o.amount_tax := coalesce(s.amount_tax, 0);
  o.amount_total := coalesce(s.amount_total, o.amount_subtotal);
  return o;
end;
$$;
comment on function private.order_as_asked(public.orders) is
  'An order that is not paid, with the amounts that would be.';

create function private.confirmed_email(p_order_id uuid) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select cs.email from public.checkout_sessions cs
    where cs.order_id = p_order_id and cs.status = 'complete' and cs.email is not null
    order by cs.attempt desc nulls last, cs.id collate "C"
    limit 1
  );
end;
$$;
comment on function private.confirmed_email(uuid) is
  'The address that was confirmed on the latest payment page of an order, or null. Before the money too: who '
  'hears of a debit that failed is known from the page where it was ordered.';

create function private.facts_of_order(o public.orders, p_mismatches text[]) returns private.order_facts
language plpgsql
stable
set search_path = ''
as $$
declare
  f private.order_facts;
begin
  select
    -- A state that this code does not know holds the stock: it must not be taken for an end.
    count(*) filter (where cs.status not in ('complete', 'expired')),
    count(*) filter (where cs.status = 'complete' and s.id is null and not cs.async_payment_failed),
    count(*) filter (where cs.async_payment_failed),
    coalesce(bool_or(cs.attempt = o.attempt), false) or o.abandoned_at is not null
  into f.sessions_open, f.sessions_under_way, f.sessions_failed, f.attempt_has_ended
  from public.checkout_sessions cs
  left join private.settled_sessions s on s.id = cs.id
  where cs.order_id = o.id;
  f.paid := o.session_id is not null;
  f.amount_paid := o.amount_paid;
  f.amount_refunded := o.amount_refunded;
  f.cancelled := o.cancelled_at is not null;
  f.oversold := o.oversold_at is not null;
  f.restocked := o.restocked_at is not null;
  f.fulfilled := o.fulfilled_at is not null;
  f.withdrawn := f.paid and private.is_withdrawn(o.id);
  f.mismatches := p_mismatches;
  f.fraud_reasons := case when f.paid then private.fraud_reasons(o.id) else '{}' end;
  -- Review is what is about to be derived.
  f.hold_reasons := array_remove(private.hold_reasons(o), 'review');
  return f;
end;
$$;
comment on function private.facts_of_order(public.orders, text[]) is
  'What derive_order() needs to know of an order as it is now; p_mismatches: see unreleased_mismatches().';

create function private.judge_order(o public.orders) returns public.order_risk
language plpgsql
set search_path = ''
as $$
declare
  k public.order_risk := private.risk_of(o.id);
begin
  k.declined_attempts := private.check_declined_velocity(o);
  k.outage_attempts := private.check_outages(o);
  if o.session_id is not null then
    k.velocity_rule_set := private.check_paid_velocity(o);
  end if;
  return k;
end;
$$;
comment on function private.judge_order(public.orders) is
  'Runs the velocity rules over what has come in since, and returns how far they have looked.';

create function private.write_order(
  o public.orders,
  p_before public.orders,
  k public.order_risk,
  p_source text
) returns void
language plpgsql
set search_path = ''
as $$
begin
  if o is distinct from p_before then
    update public.orders set
      session_id = o.session_id, payment_id = o.payment_id, decided_payment_id = o.decided_payment_id,
      customer_id = o.customer_id, email = o.email,
      customer_name = o.customer_name, phone = o.phone, shipping_name = o.shipping_name,
      shipping_address = o.shipping_address, billing_address = o.billing_address, status = o.status,
      fulfillment_status = o.fulfillment_status, amount_discount = o.amount_discount,
      amount_shipping = o.amount_shipping, amount_tax = o.amount_tax, amount_total = o.amount_total,
      amount_paid = o.amount_paid, amount_refunded = o.amount_refunded,
      oversold_at = o.oversold_at, restocked_at = o.restocked_at, fulfilled_at = o.fulfilled_at,
      paid_at = o.paid_at, updated_at = now()
    where id = o.id;
  end if;
  update public.order_risk x set
    review_reasons = k.review_reasons, declined_attempts = k.declined_attempts,
    outage_attempts = k.outage_attempts, velocity_rule_set = k.velocity_rule_set
  where x.order_id = o.id and x is distinct from k;
  if o.status <> p_before.status then
    perform private.record_order_event(
      o.id, 'status_changed', p_source, jsonb_build_object('from', p_before.status, 'to', o.status)
    );
  end if;
end;
$$;
comment on function private.write_order(public.orders, public.orders, public.order_risk, text) is
  'Writes what settling has changed of an order and its risk, if anything. Called by settle_order() only.';

create function private.settle_order(p_order_id uuid, p_source text) returns text
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order(p_order_id);
  v_before constant public.orders := o;
  s constant public.checkout_sessions := private.kept_session(o.id);
  p public.payments;
  k public.order_risk;
  f private.order_facts;
  d private.order_state;
  v_mismatches text[] := '{}';
begin
  o.session_id := s.id;
  o.payment_id := s.payment_id;
  o.email := coalesce(s.email, private.confirmed_email(o.id), o.email);
  if s.id is not null then
    select * into p from public.payments where id = s.payment_id;
    v_mismatches := private.unreleased_mismatches(o.id, s.id, private.review_reasons(o, s, p));
    o := private.order_as_paid(o, s, p);
    o.fulfilled_at := private.completed_at(o.id);
    o.customer_id := private.settle_customer(o, s);
  else
    o := private.order_as_asked(o);
  end if;
  perform private.settle_returns(o, p_source);
  if o.restocked_at is null and (private.restock_due(o) or private.all_returned(o.id)) then
    o.restocked_at := now();
  end if;
  if o.restocked_at is not null then
    o.decided_payment_id := coalesce(o.decided_payment_id, o.payment_id);
  end if;
  k := private.judge_order(o);

  f := private.facts_of_order(o, v_mismatches);
  d := private.derive_order(f);
  if d.stock is not null and not private.settle_stock(o.id, d.stock, p_source) and f.paid then
    o.oversold_at := now();
    f.oversold := true;
    d := private.derive_order(f);
  end if;

  o.status := d.status;
  o.fulfillment_status := d.fulfillment_status;
  k.review_reasons := d.review_reasons;
  perform private.write_order(o, v_before, k, p_source);
  perform private.settle_effects(o, v_mismatches, p_source);
  return o.status;
end;
$$;
comment on function private.settle_order(uuid, text) is
  'Derives an order from its facts under a row lock, moves its stock and fires each side effect once. The '
  'only writer of order status and committed stock. p_source: who asked (event id, order_status, reconcile, '
  'job, staff), for the audit trail. Returns the status. KCORD: no such order.';
