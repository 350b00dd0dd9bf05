-- Generated from supabase/schemas/settlement by 'deno task migrations': edit there.

-- What of an order a person should look at: money that does not match, signs of fraud.

create function private.review_reasons(o public.orders, s public.checkout_sessions, p public.payments)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array_remove(array[
    case when s.metadata_order_id <> o.id or p.metadata_order_id <> o.id then 'order_mismatch' end,
    case when s.currency is distinct from o.currency or p.currency <> o.currency
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded'
          and a.currency is distinct from o.currency
      ) then 'currency_mismatch' end,
    case when s.amount_subtotal is distinct from o.amount_subtotal
      or s.amount_total is distinct from
        s.amount_subtotal - s.amount_discount + s.amount_shipping
        + case when o.prices_include_tax then 0 else s.amount_tax end
      or (s.payment_id is null and s.amount_total <> 0)
      or (s.payment_status = 'no_payment_required' and (s.amount_total <> 0 or s.payment_id is not null))
      or p.amount <> s.amount_total
      or p.amount_received <> s.amount_total
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded'
          and a.amount is distinct from s.amount_total
      ) then 'amount_mismatch' end,
    case when s.livemode <> o.livemode or p.livemode <> o.livemode
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded' and a.livemode <> o.livemode
      ) then 'livemode_mismatch' end,
    case when s.cart_hash is distinct from o.cart_hash then 'cart_mismatch' end,
    case when p.order_id <> o.id then 'payment_of_another_order' end
  ], null);
end;
$$;
comment on function private.review_reasons(public.orders, public.checkout_sessions, public.payments) is
  'Compares the kept session and payment with the frozen order. Empty: the money is right. Shipping, tax '
  'and discount are accepted as Stripe computed them, as long as the sum holds.';

create function private.unreleased_mismatches(p_order_id uuid, p_session_id text, p_reasons text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return case when p_reasons = '{}' then '{}' else (
    select coalesce(array_agg(x.reason order by x.position), '{}')
    from unnest(p_reasons) with ordinality as x (reason, position)
    where not exists (
      select 1 from private.released_mismatches m
      where m.order_id = p_order_id and m.session_id = p_session_id and m.reason = x.reason
    )
  ) end;
end;
$$;
comment on function private.unreleased_mismatches(uuid, text, text[]) is
  'What of review_reasons() nobody has released: another reason, or the same one in the money of another '
  'session, is news.';

create function private.holds_order(f public.fraud_signals) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return f.released_at is null and case f.kind
    when 'early_fraud_warning' then f.was_actionable
    when 'review' then f.open
    else f.open and f.data ->> 'action' = 'review'
  end;
end;
$$;
comment on function private.holds_order(public.fraud_signals) is
  'Whether a sign of fraud holds its order: an early fraud warning, an open Radar review, a velocity rule '
  'with action review, that staff have not released.';

create function private.fraud_reasons(p_order_id uuid) returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(array_agg(distinct
      case f.kind
        when 'early_fraud_warning' then 'early_fraud_warning'
        when 'review' then 'radar_review'
        else 'velocity_review'
      end
    ), '{}')
    from public.fraud_signals f
    where f.order_id = p_order_id and private.holds_order(f)
  );
end;
$$;
comment on function private.fraud_reasons(uuid) is 'Fraud holds of an order: see holds_order().';

-- settle_stock(): the goods of an order follow its money.

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
  perform private.lock_stock_of_orders(array[p_order_id]);

  if p_target in ('committed', 'active') and (private.effects_are_past() or private.rescue_under_way()) then
    perform private.top_up_stock(p_order_id);
  end if;
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

-- What has come back of an order, booked once.

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

create function private.settle_returns(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  update public.returns r set received_at = clock_timestamp(), status = 'closed'
  where r.order_id = o.id and r.status = 'requested' and private.refund_has_come_true(r.refund_request_id);

  v_ids := array(
    select r.id from public.returns r
    where r.order_id = o.id and r.received_at is not null and r.stocked_at is null
  );
  if cardinality(v_ids) > 0 then
    perform private.lock_stock_of_order(o.id);
  end if;
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
    where p.returned - p.exchanged > f.made
  );
end;
$$;
comment on function private.settle_returns(public.orders, text) is
  'Books the pieces of each return once: what waited for its refund when that has succeeded, what staff '
  'received at once. Closes returns when all that came back is paid back or exchanged. '
  'Called by settle_order() only.';

create function private.settle_exchanges(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if not exists (
    select 1 from public.order_items i join public.return_lines l on l.exchanged_for = i.id
    where i.order_id = o.id
  ) then
    return;
  end if;
  perform private.lock_stock_of_order(o.id);
  perform private.name_stock_move('exchange', o.id, null, p_source);
  with due as (
    select r.id, r.variant_id, r.status,
      i.quantity + (private.exchanged_pieces(i.id)).came - r.quantity as pieces
    from public.inventory_reservations r
    join public.order_items i on i.order_id = r.order_id and i.variant_id = r.variant_id
    where r.order_id = o.id
  ), moved as (
    -- Of an order whose goods have all gone back, these have too.
    update public.inventory_levels l set on_hand = l.on_hand - d.pieces, committed = l.committed + d.pieces
    from due d where l.variant_id = d.variant_id and d.status = 'committed' and d.pieces <> 0
  )
  update public.inventory_reservations r set quantity = r.quantity + d.pieces, updated_at = now()
  from due d where r.id = d.id and d.pieces <> 0;
  perform private.name_stock_move(null);
end;
$$;
comment on function private.settle_exchanges(public.orders, text) is
  'Makes what an order owns as many pieces as its lines have with their exchanges: takes from the shelf what '
  'an exchange has brought, and gives back what one that was closed had. Called by settle_order() only.';

-- settle_customer(): whose a paid order is.

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

-- settle_order(): the one place where an order's state comes from. It locks the order, derives everything
-- from the fact tables, and fires each side effect once. Calling it again, or from somewhere else, changes
-- nothing.
--
-- What it asks on its way is in plpgsql, whose plans are kept: functions in SQL are planned at every call,
-- which takes longer than running them.

insert into private.settings (key, value, description) values
  (
    'prices_include_tax', 'false',
    'true: Stripe''s tax is inside the prices (inclusive), so it does not add to the total.'
  );

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
  from public.checkout_sessions cs
  where cs.id = (
    select s.id
    from private.settled_sessions s
    where s.order_id = p_order_id
    order by coalesce(
      s.payment_id = (select o.decided_payment_id from public.orders o where o.id = p_order_id), false
    ) desc, s.payment_id collate "C" nulls first, s.id collate "C"
    limit 1
  );
  return v_session;
end;
$$;
comment on function private.kept_session(uuid) is
  'The settled session whose payment an order keeps, or null. Any other settled payment of the order is '
  'refunded.';

create type private.order_history as (
  has_sessions_to_tell boolean,
  has_refunds boolean,
  has_disputes boolean,
  has_signals boolean,
  has_returns boolean,
  has_shipments boolean
);
comment on type private.order_history is
  'What an order has, so that settling passes over what it has not, as most have none of it. '
  'has_sessions_to_tell: another one than it keeps, or one whose payment took time or failed; has_refunds: '
  'of its own or of the payment that it keeps, made or asked for.';

create function private.history_of(p_order_id uuid, p_session_id text, p_payment_id text)
returns private.order_history
language plpgsql
stable
set search_path = ''
as $$
declare
  h private.order_history;
begin
  select
    exists (
      select 1 from public.checkout_sessions cs
      where cs.order_id = p_order_id
        and (cs.id is distinct from p_session_id or cs.awaited_payment or cs.async_payment_failed)
    ),
    exists (select 1 from public.refunds r where r.order_id = p_order_id)
      or exists (select 1 from public.refunds r where r.payment_id = p_payment_id)
      or exists (select 1 from public.refund_requests q where q.order_id = p_order_id)
      or exists (select 1 from public.refund_requests q where q.payment_id = p_payment_id),
    exists (select 1 from public.disputes d where d.order_id = p_order_id),
    exists (select 1 from public.fraud_signals f where f.order_id = p_order_id),
    exists (select 1 from public.returns r where r.order_id = p_order_id),
    exists (select 1 from public.shipments s where s.order_id = p_order_id)
  into h;
  return h;
end;
$$;
comment on function private.history_of(uuid, text, text) is
  'What an order has that keeps p_session_id and p_payment_id, or none (null).';

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
  return o;
end;
$$;
comment on function private.order_as_paid(public.orders, public.checkout_sessions, public.payments) is
  'The order with what its kept session and its payment say.';

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

create function private.facts_of_order(o public.orders, h private.order_history, p_mismatches text[])
returns private.order_facts
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
  -- By the order as well: so no plan reads the sessions of all orders.
  left join private.settled_sessions s on s.id = cs.id and s.order_id = o.id
  where cs.order_id = o.id;
  f.paid := o.session_id is not null;
  f.amount_paid := o.amount_paid;
  f.amount_refunded := o.amount_refunded;
  f.cancelled := o.cancelled_at is not null;
  f.oversold := o.oversold_at is not null;
  f.restocked := o.restocked_at is not null;
  f.fulfilled := o.fulfilled_at is not null;
  f.withdrawn := f.paid and h.has_returns and private.is_withdrawn(o.id);
  f.mismatches := p_mismatches;
  f.fraud_reasons := case when f.paid and h.has_signals then private.fraud_reasons(o.id) else '{}' end;
  f.hold_reasons := case
    -- Review is what is about to be derived.
    when h.has_refunds or h.has_disputes then array_remove(private.hold_reasons(o), 'review') else '{}'
  end;
  return f;
end;
$$;
comment on function private.facts_of_order(public.orders, private.order_history, text[]) is
  'What derive_order() needs to know of an order as it is now; p_mismatches: see unreleased_mismatches().';

create function private.order_since(o public.orders, h private.order_history) returns public.orders
language plpgsql
stable
set search_path = ''
as $$
begin
  if o.session_id is not null then
    o.amount_refunded := case
      when h.has_refunds then coalesce(
        (select back.made from private.refunded_amounts back where back.payment_id = o.payment_id), 0
      ) else 0
    end;
    o.fulfilled_at := case when h.has_shipments then private.completed_at(o.id) end;
  end if;
  if o.oversold_at is null and h.has_refunds and private.effects_are_past() then
    -- How much there was is lost with a database; what was given back for want of it is not.
    o.oversold_at := (
      select min(q.created_at) from public.refund_requests q
      where q.order_id = o.id and q.cause = 'oversold'
    );
  end if;
  if o.restocked_at is null and (
    (h.has_refunds and private.restock_due(o)) or (h.has_returns and private.all_returned(o.id))
  ) then
    o.restocked_at := now();
  end if;
  if o.restocked_at is not null then
    o.decided_payment_id := coalesce(o.decided_payment_id, o.payment_id);
  end if;
  return o;
end;
$$;
comment on function private.order_since(public.orders, private.order_history) is
  'The order with what has happened since it was paid: refunds, parcels, and goods that are back on the '
  'shelf.';

create function private.judge_order(o public.orders, k public.order_risk) returns public.order_risk
language plpgsql
set search_path = ''
as $$
begin
  if exists (
    select 1 from public.payment_attempts a where a.order_id = o.id and a.outcome in ('failed', 'blocked')
  ) then
    k.declined_attempts := private.check_declined_velocity(o, k);
    k.outage_attempts := private.check_outages(o, k);
  else
    k.declined_attempts := 0;
    k.outage_attempts := 0;
  end if;
  if o.session_id is not null then
    k.velocity_rule_set := private.check_paid_velocity(o, k);
  end if;
  return k;
end;
$$;
comment on function private.judge_order(public.orders, public.order_risk) is
  'Runs the velocity rules over what has come in since, and returns how far they have looked.';

create function private.write_order(
  o public.orders,
  p_before public.orders,
  k public.order_risk,
  k_before public.order_risk,
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
  if k is distinct from k_before then
    update public.order_risk x set
      review_reasons = k.review_reasons, declined_attempts = k.declined_attempts,
      outage_attempts = k.outage_attempts, velocity_rule_set = k.velocity_rule_set
    where x.order_id = o.id;
  end if;
  if o.status <> p_before.status then
    perform private.record_order_event(
      o.id, 'status_changed', p_source, jsonb_build_object('from', p_before.status, 'to', o.status)
    );
  end if;
end;
$$;
comment on function private.write_order(
  public.orders, public.orders, public.order_risk, public.order_risk, text
) is
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
  h private.order_history;
  k_before constant public.order_risk := private.risk_of(o.id);
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
    o.customer_id := private.settle_customer(o, s);
  else
    o := private.order_as_asked(o);
  end if;
  -- First, because it may note a sign of fraud.
  k := private.judge_order(o, k_before);
  h := private.history_of(o.id, o.session_id, o.payment_id);
  if h.has_returns then
    perform private.settle_returns(o, p_source);
    perform private.settle_exchanges(o, p_source);
  end if;
  o := private.order_since(o, h);

  f := private.facts_of_order(o, h, v_mismatches);
  d := private.derive_order(f);
  if d.stock is not null and not private.settle_stock(o.id, d.stock, p_source) and f.paid then
    o.oversold_at := now();
    f.oversold := true;
    d := private.derive_order(f);
  end if;

  o.status := d.status;
  o.fulfillment_status := d.fulfillment_status;
  k.review_reasons := d.review_reasons;
  perform private.write_order(o, v_before, k, k_before, p_source);
  perform private.settle_effects(o, v_before, h, v_mismatches, p_source);
  perform private.tell_order_page(o.id);
  -- One that waits already is locked and left as it is: whoever checks passes it by until this has committed.
  insert into private.unchecked_orders (order_id) values (o.id)
  on conflict (order_id) do update set noted_at = excluded.noted_at where false;
  return o.status;
end;
$$;
comment on function private.settle_order(uuid, text) is
  'Derives an order from its facts under a row lock, moves its stock and fires each side effect once. The '
  'only writer of order status and committed stock. p_source: who asked (event id, order_status, reconcile, '
  'job, staff), for the audit trail. Returns the status. SHORD: no such order.';

-- What may be given back of a payment, and what is still owed.
--
-- A payment can give back what it brought, less the refunds that have not failed, less what is asked for and
-- can still run. A request that was given up no longer counts, so it may come back only while nothing has
-- happened that stands in for it: see refund_overtaken_by().

create function private.refundable_amount(p_payment_id text, p_except text default null) returns bigint
language plpgsql
stable
set search_path = ''
as $$
declare
  v_received bigint := (
    select p.amount_received from private.settled_payments p where p.id = p_payment_id
  );
  v_given bigint := (
    select back.given from private.refunded_amounts back where back.payment_id = p_payment_id
  );
  v_queued bigint;
  v_all_queued boolean;
begin
  select coalesce(sum(q.amount), 0), coalesce(bool_or(q.amount is null), false) into v_queued, v_all_queued
  from public.refund_requests q
  where q.payment_id = p_payment_id and q.status = 'queued' and q.id is distinct from p_except
    and not exists (select 1 from public.refunds r where r.request_id = q.id);
  return case
    when v_all_queued then 0
    else coalesce(v_received, 0) - coalesce(v_given, 0) - v_queued
  end;
end;
$$;
comment on function private.refundable_amount(text, text) is
  'Minor units of a payment that can still be refunded; what is asked for and can still run counts as given '
  'back, except the request p_except. Call with the order locked.';

create function private.refund_overtaken_by(q public.refund_requests) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Two requests that wait side by side are two refunds. One that was made by hand and not heard of before,
  -- or asked for after this one had been given up, may be meant in its stead: nobody can know, and the
  -- customer must not get it twice.
  return case when q.amount is not null then coalesce(
    (
      select r.id from public.refunds r
      -- One that failed stands in as well: staff have an alert of its own about that money.
      where r.payment_id = q.payment_id and r.seen_at > q.created_at
        and not exists (select 1 from public.refund_requests known where known.id = r.request_id)
      order by r.created_at, r.id
      limit 1
    ),
    (
      select later.id from public.refund_requests later
      where later.payment_id = q.payment_id and later.created_at > q.given_up_at
      order by later.created_at
      limit 1
    )
  ) end;
end;
$$;
comment on function private.refund_overtaken_by(public.refund_requests) is
  'The refund made in Stripe''s dashboard that was first heard of since a request, or the request made '
  'after it was given up, that may stand in for it; null when there is none. A request for all that is '
  'left is never overtaken: it gives back the rest.';
grant execute on function private.refund_overtaken_by(public.refund_requests) to authenticated, service_role;

create function private.money_left(p_payment_id text) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select p.amount_received
      - coalesce((select back.given from private.refunded_amounts back where back.payment_id = p.id), 0)
      -- The bank has given it to the customer: only what was disputed, which may be a part. In another
      -- currency nobody can tell, and it counts as all.
      - coalesce((
        select sum(case when d.currency = p.currency then d.amount else p.amount_received end)
        from public.disputes d where d.payment_id = p.id and d.status = 'lost'
      ), 0)
    from public.payments p
    where p.id = p_payment_id
  );
end;
$$;
comment on function private.money_left(text) is
  'Minor units of a payment that the customer has not got back, neither by refunds under way or made nor '
  'by lost disputes.';
grant execute on function private.money_left(text) to authenticated, service_role;

create function private.refund_awaits_dispute(q public.refund_requests) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Staff who asked for one hear that Stripe refuses it, and decide.
  return q.cause <> 'requested' and private.is_charged_back(q.payment_id) and (
    private.money_left(q.payment_id) <= 0 or exists (
      select 1 from public.disputes d where d.payment_id = q.payment_id and private.dispute_undecided(d)
    )
  );
end;
$$;
comment on function private.refund_awaits_dispute(public.refund_requests) is
  'Whether a refund that settling asked for is not to be made as things are: a bank decides about the '
  'payment, or has given all of it back. What a bank has left of a payment is owed, and Stripe refunds '
  'nothing of it: that is for a person.';

create function private.refund_is_owed(q public.refund_requests) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return q.status = 'given_up' and private.refund_overtaken_by(q) is null
    and private.money_left(q.payment_id) > coalesce((
      -- One made since that failed has an alert of its own.
      select sum(r.amount) from public.refunds r join private.refund_states s on s.id = r.id
      where r.payment_id = q.payment_id and s.has_bounced and r.seen_at > q.created_at
    ), 0);
end;
$$;
comment on function private.refund_is_owed(public.refund_requests) is
  'Whether a refund that was given up still waits for a person: nothing stands in for it, and the '
  'customer has not got all of the payment back.';
grant execute on function private.refund_is_owed(public.refund_requests) to authenticated, service_role;

create function private.refund_is_missed(q public.refund_requests) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Of what came back staff have an alert.
  return q.status = 'not_needed' and private.money_left(q.payment_id) > 0 and not exists (
    select 1 from public.refunds r join private.refund_states s on s.id = r.id and s.has_bounced
    where r.payment_id = q.payment_id
  );
end;
$$;
comment on function private.refund_is_missed(public.refund_requests) is
  'Whether a refund is said not to be needed although the shop has the money, and no refund came back.';

create function private.refund_tried_again(r public.refunds) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- What failed first is made good first. What waited when r had failed is the greatest sum, over all
  -- failures up to it, of what failed since less what was given back between.
  return coalesce((
    select sum(later.amount) from public.refunds later
    where later.payment_id = r.payment_id and later.created_at > r.failed_at
  ), 0) >= (
    select max((
      select sum(f.amount) from public.refunds f
      where f.payment_id = r.payment_id and (f.failed_at, f.id) between (first.failed_at, first.id)
        and (r.failed_at, r.id)
    ) - coalesce((
      select sum(made.amount) from public.refunds made
      where made.payment_id = r.payment_id and made.created_at > first.failed_at
        and made.created_at <= r.failed_at
    ), 0))
    from public.refunds first
    where first.payment_id = r.payment_id and (first.failed_at, first.id) <= (r.failed_at, r.id)
  );
end;
$$;
comment on function private.refund_tried_again(public.refunds) is
  'Whether the money of a refund that failed has been given back anew since, whatever became of that: '
  'what failed too waits by itself. What was given back before the failure does not count, and one refund '
  'makes good one.';
grant execute on function private.refund_tried_again(public.refunds) to authenticated, service_role;

-- What becomes of a refund that was asked for.

create function private.ask_refund(
  p_id text,
  p_order_id uuid,
  p_payment_id text,
  p_amount bigint,
  p_cause text,
  p_reason text,
  p_restock boolean
) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  insert into public.refund_requests (id, order_id, payment_id, amount, cause, restock)
  values (p_id, p_order_id, p_payment_id, p_amount, p_cause, p_restock)
  on conflict (id) do nothing;
  if not found then
    return false;
  end if;
  perform private.enqueue_job(
    'refund_payment', 'refund_payment:' || p_id,
    jsonb_build_object(
      'payment_id', p_payment_id, 'order_id', p_order_id, 'amount', p_amount, 'reason', p_reason,
      'cause', p_cause, 'refund_request_id', p_id
    ),
    now(), 20
  );
  return true;
end;
$$;
comment on function private.ask_refund(text, uuid, text, bigint, text, text, boolean) is
  'Asks for a refund, once per p_id: the request and its job. p_amount null: all that is left. Returns '
  'whether it is new.';

create function private.refuse_refund_amount(p_amount bigint, p_currency text) returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_amount is not null and private.amount_problem(p_amount, p_currency) is not null then
    raise exception 'a refund of % is not one that Stripe takes: %', p_amount,
      private.amount_problem(p_amount, p_currency)
      using errcode = 'SHREF';
  end if;
end;
$$;
comment on function private.refuse_refund_amount(bigint, text) is
  'Raises SHREF for an amount that Stripe does not refund in this currency. Null, all that is left, is '
  'Stripe''s own figure.';

create function private.refund_request_id(p_cause text, p_payment_id text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- The customer reads it with their refund, and need not read there that the shop was warned of them.
  return case p_cause when 'fraudulent' then 'shop' else p_cause end || ':' || p_payment_id;
end;
$$;
comment on function private.refund_request_id(text, text) is
  'The id of the refund that settling asks for, once per payment and cause.';

create function private.queue_refund(
  p_payment_id text,
  p_order_id uuid,
  p_cause text,
  p_source text
) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  if not private.ask_refund(
    private.refund_request_id(p_cause, p_payment_id), p_order_id, p_payment_id, null, p_cause, p_cause, false
  ) then
    return false;
  end if;
  perform private.record_order_event(
    p_order_id, 'refund_queued', p_source, jsonb_build_object('payment_id', p_payment_id, 'why', p_cause)
  );
  return true;
end;
$$;
comment on function private.queue_refund(text, uuid, text, text) is
  'Queues the refund of all that is left of a payment, once per payment and cause. Returns whether it is '
  'new.';

create function private.lines_of_request(p_request_id text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'sku', i.sku, 'quantity', l.quantity, 'restock', exists (
        select 1 from public.return_lines b join public.returns r on r.id = b.return_id
        where r.refund_request_id = p_request_id and b.order_item_id = i.id and b.restock
      )
    ) order by i.sku collate "C"), '[]')
    from public.refund_lines l join public.order_items i on i.id = l.order_item_id
    where l.request_id = p_request_id
  );
end;
$$;
comment on function private.lines_of_request(text) is
  'The pieces that a refund request is about: [{ sku, quantity, restock }]. restock: they go back on the '
  'shelf with it.';

create type public.refund_judgement as (
  outcome text,
  by text,
  refusals integer,
  restock boolean,
  lines jsonb
);
comment on type public.refund_judgement is
  'Whether a refund may be made now: go, made (it has been), overtaken, or disputed (a bank has the money '
  'or decides about it); by names the refund or request that may stand in for it; refusals counts how '
  'often Stripe has refused it. What it is about travels in its metadata: restock, and lines [{ sku, '
  'quantity, restock }].';

create function public.judge_refund(p_request_id text) returns public.refund_judgement
language plpgsql
security definer
set search_path = ''
as $$
declare
  q public.refund_requests;
  v_by text;
  v_outcome text;
begin
  perform private.lock_order(x.order_id) from public.refund_requests x where x.id = p_request_id;
  select * into q from public.refund_requests where id = p_request_id;
  if not found then
    raise exception 'there is no refund request %', p_request_id using errcode = 'SHINV';
  end if;
  if exists (select 1 from public.refunds r where r.request_id = q.id) then
    return row('made', null, q.refusals, q.restock, null)::public.refund_judgement;
  end if;
  v_by := private.refund_overtaken_by(q);
  v_outcome := case
    when v_by is not null then 'overtaken'
    when private.refund_awaits_dispute(q) then 'disputed'
    else 'go'
  end;
  -- Noted at once: the dispute may end before the job does.
  update public.refund_requests x
  set status = case v_outcome when 'disputed' then 'disputed' else 'queued' end
  where x.id = q.id and x.status in ('queued', 'disputed');
  return row(
    v_outcome, v_by, q.refusals, q.restock,
    private.lines_of_request(q.id)
  )::public.refund_judgement;
end;
$$;
comment on function public.judge_refund(text) is
  'Whether a refund may be made now, with all that is known of its payment. Apply what Stripe lists first. '
  'SHINV: no such request.';
grant execute on function public.judge_refund(text) to service_role;

create function private.check_refund_redrive(p_job private.jobs) returns void
language plpgsql
set search_path = ''
as $$
declare
  q public.refund_requests;
  v_by text;
  v_left bigint;
  v_gone text;
begin
  select * into q from public.refund_requests where id = p_job.payload ->> 'refund_request_id';
  if not found or exists (select 1 from public.refunds r where r.request_id = q.id) then
    -- The job finds the refund and is content.
    return;
  end if;
  v_by := private.refund_overtaken_by(q);
  v_left := private.refundable_amount(q.payment_id, q.id);
  select string_agg(p.sku, ', ' order by p.sku collate "C") into v_gone
  from public.refund_lines l join private.line_positions(q.order_id) p on p.order_item_id = l.order_item_id
  where l.request_id = q.id and l.quantity > p.paid - p.refunded;
  if v_left <= 0 then
    raise exception 'refund %: nothing of its payment is left to give back', q.id
      using errcode = 'SHREF', hint = 'Goods that have come back go on the shelf with receive_return().';
  elsif q.status = 'not_needed' and q.amount is not null then
    raise exception 'refund % was not needed: the payment had been refunded', q.id
      using errcode = 'SHREF', hint = 'Should the customer get more, ask for it anew with request_refund().';
  elsif v_by is not null then
    raise exception 'refund % was given up, and % came in its stead', q.id, v_by
      using errcode = 'SHREF', hint = 'Should the customer get both, ask for it anew with request_refund().';
  elsif v_gone is not null then
    raise exception 'refund % was given up, and pieces of it have been exchanged or refunded since: %', q.id,
      v_gone
      using errcode = 'SHREF', hint = 'Ask for what is still owed anew with request_refund().';
  elsif q.amount > v_left then
    raise exception 'refund % is about % (minor units), and % can still be refunded', q.id, q.amount, v_left
      using errcode = 'SHREF', hint = 'Refunds under way count as given back.';
  end if;
end;
$$;
comment on function private.check_refund_redrive(private.jobs) is
  'Raises SHREF when a refund must not run again: nothing or less is left, a part was not needed, or '
  'another one may stand in for it. One of all that is left may: it gives back what a bounced refund has '
  'left. Call with the order locked.';

create function private.resume_refund(p_job private.jobs) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.refund_requests set status = 'queued', given_up_at = null
  where id = p_job.payload ->> 'refund_request_id' and status <> 'done';
  if found then
    perform private.settle_order((p_job.payload ->> 'order_id')::uuid, 'staff');
  end if;
end;
$$;
comment on function private.resume_refund(private.jobs) is
  'A refund that was given up runs again: its money counts as given back once more.';

create function private.tell_of_refund(q public.refund_requests, p_job_id bigint, p_cause text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_kind constant text := case
    when q.status = 'queued' then 'refund_delayed'
    when private.refund_overtaken_by(q) is not null then 'refund_overtaken'
    else 'refund_refused'
  end;
begin
  perform private.raise_alert(
    v_kind, case v_kind when 'refund_refused' then 'critical' else 'warning' end, v_kind || ':' || q.id,
    jsonb_build_object(
      'order_number', o.number, 'amount', coalesce(q.amount, private.refundable_amount(q.payment_id, q.id)),
      'currency', o.currency, 'cause', p_cause, 'payment_id', q.payment_id, 'request_id', q.id,
      'job_id', p_job_id,
      'action', case v_kind
        when 'refund_delayed' then 'It is tried again for days. If the Stripe balance is empty, add funds.'
        when 'refund_overtaken' then 'Should the customer get both, ask for it anew with request_refund().'
        else 'Remove the cause and redrive the job, or give the money back in another way.'
      end
    )
  )
  from public.orders o where o.id = q.order_id;
end;
$$;
comment on function private.tell_of_refund(public.refund_requests, bigint, text) is
  'Alerts staff about a refund that Stripe does not take: order, amount, cause and what to do now. Kinds '
  'refund_delayed, refund_overtaken, refund_refused.';

create function private.note_refund_outcome(p_job private.jobs, p_reason text, p_alert text) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  -- Stripe has refused for good, or its answer was never had: either way nobody tries again by itself.
  v_given_up constant boolean := p_job.status = 'dead'
  or (p_job.status = 'discarded' and p_alert is not null);
  q public.refund_requests;
begin
  update public.refund_requests x set
    status = case
      when v_given_up then 'given_up'
      when p_job.status = 'discarded' and x.status = 'disputed' then 'disputed'
      when p_job.status = 'discarded' then 'not_needed'
      when p_job.status = 'done' then 'done'
      else 'queued'
    end,
    problem = case p_job.status when 'done' then null else p_reason end,
    refusals = x.refusals
      + case when p_alert is not null or (p_job.status = 'discarded' and x.status = 'disputed') then 1
        else 0 end,
    given_up_at = case when v_given_up then clock_timestamp() end
  where x.id = p_job.payload ->> 'refund_request_id'
  returning * into q;
  if not found then
    return false;
  end if;
  if p_alert is not null or v_given_up then
    perform private.tell_of_refund(q, p_job.id, p_reason);
  end if;
  perform private.settle_order(q.order_id, 'job');
  return true;
end;
$$;
comment on function private.note_refund_outcome(private.jobs, text, text) is
  'Books how a refund job ended (or that it waits for another try) on its request, tells staff, and settles '
  'the order. False: the job has no request. The order is locked.';

create function private.resume_disputed_refunds(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  with resumed as (
    update private.jobs j
    set status = 'queued', run_at = now(), attempts = 0, lost_leases = 0, finished_at = null
    from public.refund_requests q
    where q.order_id = p_order_id and q.status = 'disputed' and not private.refund_awaits_dispute(q)
      and j.dedupe_key = 'refund_payment:' || q.id and j.status = 'discarded'
    returning q.id
  )
  update public.refund_requests q set status = 'queued', problem = null
  from resumed r where q.id = r.id;
end;
$$;
comment on function private.resume_disputed_refunds(uuid) is
  'Refunds of an order that waited for a bank run again once it has decided: for the shop, whose customer '
  'gets the money now; or against it, about less than all, and Stripe tells what becomes of the rest. A job '
  'that is just ending comes by here when it has. Called by settle_order() only.';

create function private.settle_refund_alerts(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.alerts a set
    status = 'resolved',
    data = a.data || case a.kind when 'refund_refused' then '{"not_owed": true}' else '{}' end::jsonb
  from public.refund_requests q
  where q.order_id = p_order_id and a.status <> 'resolved' and (
    (a.dedupe_key = 'refund_refused:' || q.id and not private.refund_is_owed(q))
    or (a.dedupe_key = 'refund_delayed:' || q.id and (q.status <> 'queued' or q.problem is null))
    or (a.dedupe_key = 'refund_overtaken:' || q.id and (private.money_left(q.payment_id) <= 0 or exists (
      select 1 from public.refund_requests later
      where later.payment_id = q.payment_id and later.created_at > q.given_up_at
    )))
  );
  -- Tried again, whatever becomes of it: should it fail too, it has an alert of its own.
  update public.alerts a set
    status = 'resolved',
    data = a.data || case when private.refund_tried_again(r) then '{}' else '{"not_owed": true}' end::jsonb
  from public.refunds r join private.refund_states s on s.id = r.id and s.has_bounced
  where r.order_id = p_order_id and a.dedupe_key = 'refund_failed:' || r.id
    and a.status <> 'resolved' and (private.refund_tried_again(r) or private.money_left(r.payment_id) <= 0);
  -- What closed by itself opens by itself: a lost dispute was won after all, a refund that stood in for it
  -- bounced.
  perform private.tell_of_refund(q, j.id, q.problem)
  from public.refund_requests q
  join public.alerts a on a.dedupe_key = 'refund_refused:' || q.id and a.status = 'resolved'
    and a.data ? 'not_owed'
  left join private.jobs j on j.dedupe_key = 'refund_payment:' || q.id
  where q.order_id = p_order_id and private.refund_is_owed(q);
  perform private.raise_alert(a.kind, a.severity, a.dedupe_key, a.data - 'not_owed')
  from public.refunds r
  join public.alerts a on a.dedupe_key = 'refund_failed:' || r.id and a.status = 'resolved'
    and a.data ? 'not_owed'
  where r.order_id = p_order_id and r.released_at is null and not private.refund_tried_again(r)
    and private.money_left(r.payment_id) > 0;
end;
$$;
comment on function private.settle_refund_alerts(uuid) is
  'Resolves the alerts about refunds of an order that were made, asked for anew or tried again, or are '
  'not owed any more; opens again those that are owed once more, except what staff have resolved. Called '
  'by settle_order() only.';

-- Goods that come back with the money, and what keeps goods from leaving.

create function private.restock_due(o public.orders) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1
    from public.refunds r left join public.refund_requests q on q.id = r.request_id
    where r.payment_id = o.payment_id and r.succeeded_at is not null and (
      q.restock
      -- A warning stops parcels that have not left. By its name: the refund may be heard of before the
      -- warning.
      or (r.request_id = private.refund_request_id('fraudulent', r.payment_id)
        and not private.has_shipped(o.id))
    )
  ) or exists (
    -- Somebody had given back all of it by hand before the job ran: what was asked for is true, once that
    -- money has left.
    select 1 from public.refund_requests q
    where q.order_id = o.id and q.payment_id = o.payment_id and q.status = 'not_needed'
      and (q.restock or (q.cause = 'fraudulent' and not private.has_shipped(o.id)))
      and o.amount_paid <= (
        select coalesce(sum(r.amount), 0) from public.refunds r
        where r.payment_id = o.payment_id and r.succeeded_at is not null
      )
  );
end;
$$;
comment on function private.restock_due(public.orders) is
  'Whether a refund that asked for it has put the goods of an order back on the shelf. Once true it stays '
  'so: a refund that bounces afterwards moves no goods.';

create function private.hold_reasons(o public.orders) returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array_remove(array[
    case when o.status = 'needs_review' then 'review' end,
    case when exists (
      select 1 from public.disputes d
      where d.order_id = o.id and private.dispute_holds(d, o.payment_id)
    ) then 'dispute' end,
    case when o.amount_paid > o.amount_refunded and (
      exists (
        select 1 from public.refund_requests q
        where q.payment_id = o.payment_id and q.status = 'queued' and q.amount is null
      )
      or o.amount_paid <= (
        select back.given from private.refunded_amounts back where back.payment_id = o.payment_id
      )
    ) then 'refund_under_way' end,
    case when exists (
      select 1 from public.refunds r join private.refund_states s on s.id = r.id and s.has_bounced
      where r.payment_id = o.payment_id and r.released_at is null
        and o.amount_paid <= r.amount + (
          select back.given from private.refunded_amounts back where back.payment_id = o.payment_id
        )
        and not private.refund_tried_again(r)
    ) then 'refund_failed' end,
    case when exists (
      select 1 from public.refund_requests q
      where q.payment_id = o.payment_id and q.amount is null and private.refund_is_owed(q)
    ) then 'refund_refused' end
  ], null);
end;
$$;
comment on function private.hold_reasons(public.orders) is
  'What keeps an order that has not shipped from shipping: review; dispute (see dispute_holds()); '
  'refund_under_way (all of its money); refund_failed (all of its money was to go back, bounced, and '
  'nobody has tried again or released the order); refund_refused (the same of a refund that Stripe does '
  'not take).';
grant execute on function private.hold_reasons(public.orders) to authenticated, service_role;

-- Side effects of settling. Each condition here only ever goes from false to true while facts come in, and
-- each effect has a key, so that any order of events ends in the same set of jobs, mails and alerts.

create function private.settle_effects(
  o public.orders,
  p_before public.orders,
  h private.order_history,
  p_mismatches text[],
  p_source text
) returns void
language plpgsql
set search_path = ''
as $$
begin
  if o.session_id is not null then
    perform private.settle_paid_effects(o, p_before, h, p_mismatches, p_source);
  end if;
  if h.has_sessions_to_tell or o.cancelled_at is not null then
    perform private.settle_session_effects(o);
  end if;
  if h.has_refunds then
    perform private.settle_refund_effects(o, p_source);
  end if;
  if h.has_disputes then
    perform private.settle_dispute_effects(o, p_source);
  end if;
  if h.has_signals then
    perform private.settle_fraud_effects(o, p_source);
  end if;
  perform private.settle_risk_alerts(o, p_before, h, p_mismatches);
end;
$$;
comment on function private.settle_effects(
  public.orders, public.orders, private.order_history, text[], text
) is
  'Side effects of a settled order: jobs, mails, alerts. Called by settle_order() only.';

create function private.settle_session_effects(o public.orders) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
begin
  for r in
    select cs.id, cs.awaited_payment, cs.async_payment_failed, exists (
      select 1 from private.settled_sessions other where other.order_id = o.id and other.id <> cs.id
    ) as other_settled
    from public.checkout_sessions cs where cs.order_id = o.id
  loop
    -- A shopper must not be able to pay what was cancelled, or pay twice. Not only sessions that look open:
    -- which do depends on the order of events, and the job is content with one that has ended.
    if o.cancelled_at is not null or r.other_settled then
      perform private.enqueue_job(
        'expire_checkout_session', 'expire_checkout_session:' || r.id,
        jsonb_build_object('session_id', r.id, 'order_id', o.id), now(), 30
      );
    end if;
    if r.awaited_payment then
      perform private.queue_notification(o.id, 'payment_processing', r.id);
    end if;
    if r.async_payment_failed then
      perform private.queue_notification(o.id, 'payment_failed', r.id);
    end if;
  end loop;
end;
$$;
comment on function private.settle_session_effects(public.orders) is
  'Ends the payment pages that must not be paid any more, and tells of payments that take time or have '
  'failed. Called by settle_order() only.';

create function private.settle_refund_effects(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_data jsonb;
begin
  for r in
    select f.id, f.amount, f.currency, f.status, f.failure_reason, s.has_bounced, s.took_time
    from public.refunds f join private.refund_states s on s.id = f.id
    where f.order_id = o.id
  loop
    v_data := jsonb_build_object('amount', r.amount, 'refund_id', r.id);
    -- Queued also when it is first heard of as failed, so that every order of events queues the same mails.
    -- What has stopped being true is not sent: see notification_problem().
    perform private.queue_notification(o.id, 'refund_issued', r.id, v_data);
    if r.took_time then
      perform private.queue_notification(o.id, 'refund_settled', r.id, v_data);
    end if;
    if r.has_bounced then
      perform private.queue_notification(o.id, 'refund_failed', r.id, v_data);
      if private.raise_alert_once(
        'refund_failed', 'critical', 'refund_failed:' || r.id,
        jsonb_build_object(
          'order_number', o.number, 'refund_id', r.id, 'amount', r.amount, 'currency', r.currency,
          'status', r.status, 'cause', r.failure_reason,
          'action',
          'The customer has not got this money: ask for it anew with request_refund() (a second payment of '
            || 'the order is refunded in Stripe''s dashboard), or pay it in another way.'
        )
      ) then
        perform private.record_order_event(
          o.id, 'refund_failed', p_source, jsonb_build_object('refund_id', r.id)
        );
      end if;
    end if;
  end loop;
  perform private.resume_disputed_refunds(o.id);
  perform private.settle_refund_alerts(o.id);
end;
$$;
comment on function private.settle_refund_effects(public.orders, text) is
  'What customer and staff hear of refunds that exist, the alerts that they close, and what waited for a '
  'bank. Called by settle_order() only.';

create function private.mismatch_alert(p_order_id uuid) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  -- What turns up after a release is news.
  return (
    select concat_ws(':', 'payment_mismatch', p_order_id, extract(epoch from k.review_released_at))
    from public.order_risk k where k.order_id = p_order_id
  );
end;
$$;
comment on function private.mismatch_alert(uuid) is
  'The dedupe_key of the alert payment_mismatch of an order: another one after each release.';

create function private.follow_alert(p_dedupe_key text, p_wanted boolean) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_alert public.alerts;
begin
  update public.alerts a set
    status = case when p_wanted then 'open' else 'resolved' end,
    data = case when p_wanted then a.data - 'over' else a.data || '{"over": true}' end,
    told_at = case when not p_wanted or a.over_told_at is null then a.told_at end,
    over_told_at = case when not p_wanted then a.over_told_at end
  where a.dedupe_key = p_dedupe_key
    and case when p_wanted then a.status = 'resolved' and a.data ? 'over' else a.status <> 'resolved' end
  returning * into v_alert;
  -- Closed before anybody was told, or told to be over: they are told that it is not.
  if found and p_wanted and v_alert.told_at is null and private.sent_at_once(v_alert.severity) then
    perform private.queue_alert_message(v_alert);
  end if;
end;
$$;
comment on function private.follow_alert(text, boolean) is
  'Closes an alert whose cause is gone, and opens it again when the cause is back: so it ends the same in '
  'any order of events. Staff are sent another message only where they do not know that it is open. What '
  'staff have resolved stays resolved.';

create function private.settle_risk_alerts(
  o public.orders,
  p_before public.orders,
  h private.order_history,
  p_mismatches text[]
) returns void
language plpgsql
set search_path = ''
as $$
begin
  if h.has_disputes then
    perform private.follow_alert(x.kind || ':' || d.id || x.status, private.awaits_evidence(d))
    from public.disputes d
    cross join (values
      ('dispute_opened', ''), ('dispute_escalated', ':needs_response'),
      ('dispute_escalated', ':appeal_needs_response')
    ) as x (kind, status)
    where d.order_id = o.id;
    -- A reminder is about one deadline, and does not come back.
    update public.alerts a set status = 'resolved'
    from public.disputes d
    where d.order_id = o.id and not private.awaits_evidence(d) and a.status <> 'resolved'
      and a.kind = 'dispute_due' and a.data ->> 'dispute_id' = d.id;
  end if;
  if h.has_signals then
    perform private.follow_alert(
      f.kind || ':' || f.source_id, o.status = 'needs_review' and private.holds_order(f)
    )
    from public.fraud_signals f
    where f.order_id = o.id and f.source_id is not null;
  end if;
  -- Its alert is open only while the order is in review.
  if o.session_id is not null and (
    'needs_review' in (o.status, p_before.status) or cardinality(p_mismatches) > 0
  ) then
    perform private.follow_alert(
      private.mismatch_alert(o.id), o.status = 'needs_review' and cardinality(p_mismatches) > 0
    );
  end if;
end;
$$;
comment on function private.settle_risk_alerts(
  public.orders, public.orders, private.order_history, text[]
) is
  'Resolves the alerts that leave nothing to do: of disputes that wait for no answer, and of signs of '
  'fraud and mismatches that hold the order no longer. Called by settle_order() only.';

create function private.note_received_money(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
begin
  for r in
    select s.id, s.payment_id, s.amount_total, s.currency
    from private.settled_sessions s
    where s.order_id = o.id and not exists (
      select 1 from public.order_events e
      where e.order_id = o.id and e.kind = 'payment_received' and e.data ->> 'session_id' = s.id
    )
  loop
    perform private.record_order_event(
      o.id, 'payment_received', p_source,
      jsonb_build_object(
        'session_id', r.id, 'payment_id', r.payment_id, 'amount', r.amount_total, 'currency', r.currency
      )
    );
  end loop;
end;
$$;
comment on function private.note_received_money(public.orders, text) is
  'Notes each settled session of an order once in its audit trail.';

create function private.settle_unfulfillable(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if o.oversold_at is not null then
    perform private.queue_notification(o.id, 'order_unfulfillable');
    perform private.raise_alert_once(
      'oversold', 'critical', 'oversold:' || o.id, jsonb_build_object('order_number', o.number)
    );
    if o.payment_id is not null then
      perform private.queue_refund(o.payment_id, o.id, 'oversold', p_source);
    end if;
  end if;
  if o.cancelled_at is not null and not private.has_shipped(o.id) then
    perform private.queue_notification(o.id, 'order_cancelled');
    if o.payment_id is not null and private.queue_refund(o.payment_id, o.id, 'cancelled', p_source) then
      perform private.raise_alert_once(
        'cancelled_order_paid', 'warning',
        'cancelled_order_paid:' || o.id, jsonb_build_object('order_number', o.number)
      );
    end if;
  end if;
end;
$$;
comment on function private.settle_unfulfillable(public.orders, text) is
  'Money of an order that will not ship, because it is oversold or cancelled, goes back; customer and staff '
  'hear of it.';

create function private.refund_second_payments(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
begin
  for r in
    -- Only money that a session of ours brought in: a payment that is ahead of its session may be the one to
    -- keep.
    select p.id
    from private.settled_sessions s join private.settled_payments p on p.id = s.payment_id
    where s.order_id = o.id and p.order_id = o.id and p.id is distinct from o.payment_id
    group by p.id
  loop
    if private.queue_refund(r.id, o.id, 'duplicate', p_source) then
      perform private.raise_alert_once(
        'duplicate_payment', 'warning',
        'duplicate_payment:' || r.id, jsonb_build_object('order_number', o.number, 'payment_id', r.id)
      );
    end if;
    -- Not before Stripe has taken the refund: until then nothing is on its way.
    if exists (select 1 from public.refunds f where f.payment_id = r.id) then
      perform private.queue_notification(o.id, 'duplicate_payment_refunded', r.id);
    end if;
  end loop;
end;
$$;
comment on function private.refund_second_payments(public.orders, text) is
  'Gives back what came beside the payment that the order keeps, and tells customer and staff.';

create function private.show_cards(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.payments pi set
    payment_method_type = a.payment_method_type, card_brand = a.card_brand, card_last4 = a.card_last4,
    card_country = a.card_country, risk_level = a.risk_level, risk_score = a.risk_score,
    three_d_secure_result = a.three_d_secure_result
  from (
    select distinct on (t.payment_id) t.*
    from public.payment_attempts t
    where t.order_id = p_order_id
    order by t.payment_id, (t.outcome = 'succeeded') desc, t.created_at desc, t.id
  ) a
  where pi.id = a.payment_id
    and (
      pi.payment_method_type, pi.card_brand, pi.card_last4, pi.card_country, pi.risk_level, pi.risk_score,
      pi.three_d_secure_result
    ) is distinct from (
      a.payment_method_type, a.card_brand, a.card_last4, a.card_country, a.risk_level, a.risk_score,
      a.three_d_secure_result
    );
end;
$$;
comment on function private.show_cards(uuid) is
  'Details of the card on each payment of an order, for staff: those of the attempt that succeeded, else of '
  'the latest.';

create function private.settle_paid_effects(
  o public.orders,
  p_before public.orders,
  h private.order_history,
  p_mismatches text[],
  p_source text
) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- The session that it kept before was noted when it came to keep it.
  if o.session_id is distinct from p_before.session_id or h.has_sessions_to_tell then
    perform private.note_received_money(o, p_source);
  end if;
  if cardinality(p_mismatches) > 0 then
    perform private.raise_alert_once(
      'payment_mismatch', 'critical', private.mismatch_alert(o.id),
      jsonb_build_object('order_number', o.number, 'reasons', to_jsonb(p_mismatches))
    );
  end if;
  if cardinality(p_mismatches) = 0 and o.oversold_at is null and o.cancelled_at is null then
    perform private.queue_notification(o.id, 'order_confirmation');
  end if;
  if o.oversold_at is not null or o.cancelled_at is not null then
    perform private.settle_unfulfillable(o, p_source);
  end if;
  if h.has_sessions_to_tell then
    perform private.refund_second_payments(o, p_source);
  end if;
  perform private.show_cards(o.id);
end;
$$;
comment on function private.settle_paid_effects(
  public.orders, public.orders, private.order_history, text[], text
) is
  'Side effects of an order that has money: confirmation, refunds of money it cannot keep, alerts, card '
  'details. Called by settle_order() only.';

-- Side effects of disputes and signs of fraud, by the rules of settlement_effects.sql.

create function private.refunds_on_warning(f public.fraud_signals, o public.orders) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_answer text := f.answer;
begin
  if v_answer is null then
    v_answer := case
      -- Whether it had shipped is not known any more; whether its money was given back is.
      when private.effects_are_past() then case when exists (
        select 1 from public.refund_requests q
        where q.id = private.refund_request_id('fraudulent', f.payment_id)
      ) then 'refund' else 'review' end
      when not private.has_shipped(o.id) and private.setting('early_fraud_warning_policy') = '"refund"'
        then 'refund'
      else 'review'
    end;
    update public.fraud_signals set answer = v_answer where id = f.id;
  end if;
  return v_answer = 'refund' and f.released_at is null and not private.has_shipped(o.id);
end;
$$;
comment on function private.refunds_on_warning(public.fraud_signals, public.orders) is
  'Whether an actionable early fraud warning gives the money back by itself: nothing has shipped, nobody '
  'has released it, and the policy said so when the warning was first seen actionable, which is noted '
  'here. Of one from before a restored database was lost, what was done then. Otherwise a person decides.';

create function private.queue_dispute_reminders(d public.disputes) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- Days before the evidence deadline on which staff are reminded.
  c_reminders constant integer[] := array[7, 3, 1];
  v_days integer;
  v_key text;
  v_run_at timestamptz;
begin
  foreach v_days in array c_reminders loop
    v_key := format('remind_dispute:%s:%s', d.id, v_days);
    v_run_at := coalesce(d.evidence_due_by, d.first_due_by) - make_interval(days => v_days);
    -- The job looks again: the deadline may have moved, the dispute may be over.
    if not private.enqueue_job(
      'remind_dispute', v_key, jsonb_build_object('dispute_id', d.id, 'days', v_days), v_run_at
    ) and private.awaits_evidence(d) then
      -- Spent for an earlier deadline: an inquiry that was answered has become a chargeback, or there is an
      -- appeal. Or it waits for a later one: the chargeback came before the inquiry's deadline.
      update private.jobs set status = 'queued', run_at = v_run_at, attempts = 0, finished_at = null
      where dedupe_key = v_key and (
        (status in ('done', 'discarded') and v_run_at > now())
        or (status = 'queued' and attempts = 0 and run_at > v_run_at)
      );
    end if;
  end loop;
end;
$$;
comment on function private.queue_dispute_reminders(public.disputes) is
  'Reminders 7, 3 and 1 days before the evidence deadline, one job each for all deadlines that a dispute '
  'ever has. Called by settle_order() only.';

create function private.settle_dispute_effects(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r public.disputes;
  v_status text;
begin
  for r in select d.* from public.disputes d where d.order_id = o.id loop
    if private.raise_alert_once(
      'dispute_opened', 'critical', 'dispute_opened:' || r.id,
      jsonb_build_object(
        'order_number', o.number, 'dispute_id', r.id, 'amount', r.amount, 'currency', r.currency,
        'reason', r.reason
      )
    ) then
      perform private.record_order_event(
        o.id, 'dispute_opened', p_source, jsonb_build_object('dispute_id', r.id)
      );
    end if;
    foreach v_status in array r.statuses_seen loop
      if (v_status = 'appeal_needs_response' or (v_status = 'needs_response' and r.statuses_seen && array[
        'warning_needs_response', 'warning_under_review', 'warning_closed'
      ])) and private.raise_alert_once(
        'dispute_escalated', 'critical', 'dispute_escalated:' || r.id || ':' || v_status,
        jsonb_build_object(
          'order_number', o.number, 'dispute_id', r.id, 'status', v_status, 'amount', r.amount,
          'currency', r.currency
        )
      ) then
        perform private.record_order_event(
          o.id, 'dispute_escalated', p_source, jsonb_build_object('dispute_id', r.id, 'status', v_status)
        );
      elsif v_status in ('won', 'lost', 'warning_closed', 'prevented') and private.raise_alert_once(
        'dispute_closed', case v_status when 'lost' then 'critical' else 'info' end,
        'dispute_closed:' || r.id || ':' || v_status,
        jsonb_build_object('order_number', o.number, 'dispute_id', r.id, 'status', v_status)
      ) then
        perform private.record_order_event(
          o.id, 'dispute_closed', p_source, jsonb_build_object('dispute_id', r.id, 'status', v_status)
        );
      end if;
    end loop;
    -- Staged, so that staff see it in the dashboard and Smart Disputes can use it; submitting is final.
    perform private.enqueue_job(
      'submit_dispute_evidence', 'stage_dispute_evidence:' || r.id,
      jsonb_build_object('dispute_id', r.id, 'note', null, 'submit', false), now(), 120
    );
    perform private.queue_dispute_answers(r);
    if r.first_due_by is not null then
      perform private.queue_dispute_reminders(r);
    end if;
  end loop;
end;
$$;
comment on function private.settle_dispute_effects(public.orders, text) is
  'Alerts, staged evidence, answers and reminders for the disputes of an order. Called by settle_order() '
  'only.';

create function private.settle_fraud_effects(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_signal public.fraud_signals;
begin
  for v_signal in
    select f.* from public.fraud_signals f
    where f.order_id = o.id and f.kind in ('early_fraud_warning', 'review') and f.was_actionable
  loop
    perform private.raise_alert_once(
      v_signal.kind, v_signal.severity, v_signal.kind || ':' || v_signal.source_id,
      jsonb_build_object('order_number', o.number, 'signal_id', v_signal.source_id)
    );
    -- The payment that was warned of, which need not be the one that the order keeps.
    if v_signal.kind = 'early_fraud_warning' and private.refunds_on_warning(v_signal, o)
      and exists (select 1 from private.settled_payments p where p.id = v_signal.payment_id) then
      perform private.queue_refund(v_signal.payment_id, o.id, 'fraudulent', p_source);
    end if;
  end loop;
end;
$$;
comment on function private.settle_fraud_effects(public.orders, text) is
  'Alerts and the refund policy for early fraud warnings and reviews. Called by settle_order() only.';

-- What a dispute is answered with: everything the shop knows of the order, and the orders before it that the
-- same buyer did not dispute (Visa Compelling Evidence 3.0 asks for two of them). Settling stages it, staff
-- submit it.

create function private.is_same_buyer(o public.orders, b public.orders) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Anybody can type anybody's e-mail address, and reads what the bank was sent: it takes what a stranger has
  -- not.
  return coalesce(b.customer_id = o.customer_id, false) or (
    lower(b.email) = lower(o.email) and (
      coalesce(b.shipping_address = o.shipping_address, false) or exists (
        select 1
        from public.payment_attempts x
        join public.payment_attempts y on y.card_fingerprint = x.card_fingerprint
        where x.payment_id = o.payment_id and y.payment_id = b.payment_id
          and x.outcome = 'succeeded' and y.outcome = 'succeeded'
      )
    )
  );
end;
$$;
comment on function private.is_same_buyer(public.orders, public.orders) is
  'Whether two orders are of one buyer for certain: of one account, or under one e-mail address with one '
  'delivery address or one card.';

create function private.earlier_orders(p_order_id uuid) returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(e) order by e.paid_at desc), '[]')
  from (
    select b.number, b.paid_at, b.amount_paid, b.currency, p.charge_id, b.email,
      host(b.purchase_ip) as purchase_ip, b.shipping_address,
      c.user_id,
      floor(extract(epoch from o.paid_at - b.paid_at) / 86400)::integer as days_before,
      coalesce(b.purchase_ip = o.purchase_ip, false) as same_ip,
      coalesce(b.shipping_address = o.shipping_address, false) as same_address,
      coalesce(c.user_id is not null and b.customer_id = o.customer_id, false) as same_account,
      (
        select string_agg(i.quantity || ' × ' || i.name, ', ' order by i.sku collate "C")
        from public.order_items i where i.order_id = b.id and i.quantity > 0
      ) as description
    from public.orders o
    join public.orders b on b.id <> o.id and b.paid_at < o.paid_at and b.livemode = o.livemode
      and (b.customer_id = o.customer_id or lower(b.email) = lower(o.email)) and private.is_same_buyer(o, b)
    join public.payments p on p.id = b.payment_id
    left join public.customers c on c.id = b.customer_id
    where o.id = p_order_id and b.status = 'paid' and p.charge_id is not null
      and not exists (select 1 from public.disputes d where d.order_id = b.id)
      and not exists (
        select 1 from public.fraud_signals f where f.order_id = b.id and f.kind = 'early_fraud_warning'
      )
    order by b.paid_at desc
    limit 20
  ) e
$$;
comment on function private.earlier_orders(uuid) is
  'Orders that the buyer of an order (see is_same_buyer()) paid before it, kept, and did not dispute; what '
  'they have in common with it is marked.';

create function private.twin_order(p_order_id uuid) returns jsonb
language sql
stable
set search_path = ''
as $$
  select to_jsonb(e)
  from (
    select b.number, b.paid_at, b.amount_paid, b.currency, p.charge_id, b.shipping_name, b.shipping_address,
      (
        select string_agg(i.quantity || ' × ' || i.name, ', ' order by i.sku collate "C")
        from public.order_items i where i.order_id = b.id and i.quantity > 0
      ) as description,
      (
        select string_agg(concat_ws(' ', x.carrier, x.tracking_number), ', ' order by x.parcel)
        from public.shipments x where x.order_id = b.id
      ) as parcels
    from public.orders o
    join public.orders b on b.id <> o.id and b.livemode = o.livemode and b.currency = o.currency
      and b.amount_paid = o.amount_paid
      and b.paid_at between o.paid_at - interval '14 days' and o.paid_at + interval '14 days'
      and (b.customer_id = o.customer_id or lower(b.email) = lower(o.email)) and private.is_same_buyer(o, b)
    join public.payments p on p.id = b.payment_id
    where o.id = p_order_id and b.status = 'paid' and p.charge_id is not null
    order by abs(extract(epoch from b.paid_at - o.paid_at)), b.number
    limit 1
  ) e
$$;
comment on function private.twin_order(uuid) is
  'The order that a disputed one may be taken for a duplicate of: paid by the same buyer, the same amount, '
  'at most 14 days before or after; null: there is none.';

create function private.money_back(p_order_id uuid) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'refunds', (
      select coalesce(
        jsonb_agg(
          jsonb_build_object(
            'amount', r.amount, 'currency', r.currency, 'succeeded_at', r.succeeded_at
          ) order by r.succeeded_at, r.id
        ), '[]'
      )
      from public.refunds r where r.order_id = p_order_id and r.succeeded_at is not null
        and r.failed_at is null
    ),
    'returns', (
      select coalesce(
        jsonb_agg(
          jsonb_build_object('requested_at', r.created_at, 'received_at', r.received_at)
          order by r.created_at, r.id
        ), '[]'
      )
      from public.returns r where r.order_id = p_order_id
    )
  )
$$;
comment on function private.money_back(uuid) is
  'The refunds of an order that have arrived, and the returns that were asked for; received_at null: the '
  'goods have not come back.';

create function public.get_dispute_evidence(p_dispute_id text) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'dispute', jsonb_build_object(
      'id', d.id, 'status', d.status, 'reason', d.reason, 'network_reason_code', d.network_reason_code
    ),
    'order', case when o.id is not null then jsonb_build_object(
      'shop_name', private.setting('shop_name') #>> '{}',
      'number', o.number, 'email', o.email, 'customer_name', o.customer_name, 'phone', o.phone,
      'user_id', c.user_id, 'purchase_ip', host(o.purchase_ip), 'user_agent', o.user_agent,
      'billing_address', o.billing_address, 'shipping_name', o.shipping_name,
      'shipping_address', o.shipping_address,
      'currency', o.currency, 'amount_subtotal', o.amount_subtotal, 'amount_discount', o.amount_discount,
      'amount_shipping', o.amount_shipping, 'amount_tax', o.amount_tax, 'amount_total', o.amount_total,
      'amount_refunded', o.amount_refunded,
      'presentment', private.presentment(o),
      'created_at', o.created_at, 'paid_at', o.paid_at,
      'shipments', (
        select coalesce(
          jsonb_agg(
            jsonb_build_object(
              'carrier', x.carrier, 'tracking_number', x.tracking_number, 'shipped_at', x.shipped_at
            ) order by x.parcel
          ), '[]'
        )
        from public.shipments x where x.order_id = o.id
      ),
      'items', (
        select jsonb_agg(
          jsonb_build_object(
            'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount
          ) order by i.sku collate "C"
        )
        from public.order_items i where i.order_id = o.id and i.quantity > 0
      ),
      'mails', (
        select coalesce(
          jsonb_agg(
            jsonb_build_object('template', n.template, 'recipient', n.recipient, 'sent_at', n.sent_at)
            order by n.sent_at
          ), '[]'
        )
        from public.notifications n where n.order_id = o.id and private.mail_arrived(n.status)
      ),
      'payment', (
        select jsonb_build_object(
          'charge_id', p.charge_id, 'card_brand', p.card_brand, 'card_last4', p.card_last4,
          'three_d_secure_result', p.three_d_secure_result, 'risk_level', p.risk_level
        )
        from public.payments p where p.id = d.payment_id
      ),
      'terms', private.accepted_terms(o.id), 'money_back', private.money_back(o.id),
      'twin', private.twin_order(o.id),
      'earlier_orders', private.earlier_orders(o.id)
    ) end
  )
  from public.disputes d
  left join public.orders o on o.id = d.order_id
  left join public.customers c on c.id = o.customer_id
  where d.id = p_dispute_id
$$;
comment on function public.get_dispute_evidence(text) is
  'A dispute with what the shop knows of its order: customer, addresses, items, parcels, mails '
  'sent, purchase address, terms accepted, earlier undisputed orders. '
  'Null: no such dispute; order null: not one of ours.';
grant execute on function public.get_dispute_evidence(text) to service_role;

create type public.dispute_reminder as (outcome text, run_at timestamptz);
comment on type public.dispute_reminder is
  'What became of a reminder: reminded, early (not before run_at: the deadline has moved) or over (nothing '
  'to answer any more).';

create function public.remind_dispute(p_dispute_id text, p_days integer) returns public.dispute_reminder
language plpgsql
security definer
set search_path = ''
as $$
declare
  d public.disputes;
  v_run_at timestamptz;
begin
  select * into d from public.disputes where id = p_dispute_id;
  if not found or not private.awaits_evidence(d) or d.evidence_due_by is null then
    return row('over', null)::public.dispute_reminder;
  end if;
  v_run_at := d.evidence_due_by - make_interval(days => p_days);
  -- The deadline has been moved since this reminder was made.
  if v_run_at > now() then
    return row('early', v_run_at)::public.dispute_reminder;
  end if;
  perform private.raise_alert_once(
    'dispute_due', case when p_days <= 1 then 'critical' else 'warning' end,
    format('dispute_due:%s:%s:%s', d.id, p_days, floor(extract(epoch from d.evidence_due_by))),
    jsonb_build_object(
      'dispute_id', d.id, 'order_number', (select o.number from public.orders o where o.id = d.order_id),
      'days', p_days, 'evidence_due_by', d.evidence_due_by, 'amount', d.amount, 'currency', d.currency
    )
  );
  return row('reminded', null)::public.dispute_reminder;
end;
$$;
comment on function public.remind_dispute(text, integer) is
  'Tells staff that evidence is due in p_days days, once for each deadline.';
grant execute on function public.remind_dispute(text, integer) to service_role;

-- Disputes that nobody answers are answered all the same: fought, accepted or left alone, by these settings
-- and not before the last hours, so that staff have all the time there is. A dispute can want an answer up to
-- three times (an inquiry, the chargeback, an appeal); each such round is a status of Stripe's and has one
-- decision. What becomes of it at Stripe is the job answer_dispute.

alter table private.settings
  add constraint settings_dispute_fits check (
    case key
      when 'dispute_answer_hours' then
        value = 'null' or (jsonb_typeof(value) = 'number' and value #>> '{}' ~ '^[1-9][0-9]{0,2}$')
      when 'dispute_accept_below' then
        jsonb_typeof(value) = 'object' and not jsonb_path_exists(
          value,
          '$.keyvalue() ? (!(@.key like_regex "^[a-z]{3}$") || @.value.type() != "number" || @.value < 0)'
        )
      when 'dispute_win_percent' then
        jsonb_typeof(value) = 'object' and not jsonb_path_exists(
          value,
          '$.keyvalue() ? (!(@.key like_regex "^[a-z_]{1,60}$") || @.value.type() != "number"
            || @.value < 0 || @.value > 100)'
        )
      else true
    end
  );

insert into private.settings (key, value, description) values
  (
    'dispute_answer_hours', '48',
    'So many hours before its deadline a dispute is answered that staff have not answered; null: never.'
  ),
  (
    'dispute_accept_below', '{}',
    'Disputes of less than so much are accepted instead of fought, by currency in minor units: '
    '{"usd": 2500}. The amount counts by its chance, see dispute_win_percent. Inquiries are always answered.'
  ),
  (
    'dispute_win_percent', '{}',
    'Of 100 disputes of a reason so many are won: {"fraudulent": 30, "product_not_received": 70}. A reason '
    'that is not named counts as 100, so that its amount alone decides.'
  );

create table public.dispute_decisions (
  dispute_id text not null references public.disputes (id) on delete cascade,
  round text not null,
  decision text not null,
  reason text not null,
  submissions integer not null,
  created_at timestamptz not null default now(),
  constraint dispute_decisions_pkey primary key (dispute_id, round),
  constraint dispute_decisions_decision_known check (decision in ('fight', 'accept', 'leave')),
  constraint dispute_decisions_reason_known
    check (reason in ('policy', 'below_limit', 'written', 'staff', 'fee', 'no_field'))
);
comment on table public.dispute_decisions is
  'What was decided about a dispute that staff had not answered, once for each round. What staff submit or '
  'accept themselves is in staff_commands.';
comment on column public.dispute_decisions.dispute_id is 'disputes.id.';
comment on column public.dispute_decisions.round is
  'The status that waited for the answer: warning_needs_response, needs_response, appeal_needs_response.';
comment on column public.dispute_decisions.decision is
  'fight: evidence is submitted; accept: the dispute is closed; leave: nothing is done.';
comment on column public.dispute_decisions.reason is
  'Why: policy (the settings), below_limit (worth less than dispute_accept_below), written (somebody has '
  'written evidence at Stripe), staff (leave_dispute()), fee (fighting costs one, which only staff '
  'acknowledge), no_field (Stripe takes no evidence in this round: of an appeal of another payment than by '
  'card, of an inquiry of Klarna''s).';
comment on column public.dispute_decisions.submissions is
  'How often evidence had been submitted when it was decided: more means that it has been answered.';
comment on column public.dispute_decisions.created_at is 'When it was decided.';
alter table public.dispute_decisions enable row level security;
create policy dispute_decisions_read on public.dispute_decisions for select to authenticated
  using ((select private.is_admin()));
revoke all on public.dispute_decisions from public, anon, authenticated, service_role;
grant select on public.dispute_decisions to authenticated, service_role;

create function private.queue_dispute_answers(d public.disputes) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.enqueue_job(
    'answer_dispute', 'answer_dispute:' || d.id || ':' || s.status,
    jsonb_build_object('dispute_id', d.id, 'round', s.status), now(), 20
  )
  from unnest(d.statuses_seen) s (status)
  where s.status in ('warning_needs_response', 'needs_response', 'appeal_needs_response');
end;
$$;
comment on function private.queue_dispute_answers(public.disputes) is
  'One job for each round that a dispute was ever seen in; it waits until the deadline is near. Called by '
  'settle_order() only.';

create function private.dispute_answer_on_its_way(p_dispute_id text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from private.jobs j
    where j.status in ('queued', 'running') and j.payload ->> 'dispute_id' = p_dispute_id
      and (
        j.kind = 'close_dispute'
        or (j.kind = 'submit_dispute_evidence' and j.payload -> 'submit' = 'true')
      )
  );
end;
$$;
comment on function private.dispute_answer_on_its_way(text) is
  'Whether staff have submitted evidence or accepted a dispute, and the job has not done it yet.';

create function private.dispute_policy(d public.disputes, p_written boolean, p_obstacle text)
returns table (decision text, reason text)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_limit constant numeric := (private.setting('dispute_accept_below') ->> d.currency)::numeric;
  v_percent constant numeric := coalesce((private.setting('dispute_win_percent') ->> d.reason)::numeric, 100);
begin
  return query select x.decision, x.reason from (values
    (1, p_obstacle is not null, 'leave', p_obstacle),
    -- Somebody meant to fight, and was kept from finishing.
    (2, p_written, 'fight', 'written'),
    -- An answered inquiry costs nothing, and may keep the chargeback from coming.
    (3, d.status = 'warning_needs_response', 'fight', 'policy'),
    (4, d.amount * v_percent / 100 < v_limit, 'accept', 'below_limit'),
    (5, true, 'fight', 'policy')
  ) as x (place, applies, decision, reason)
  where x.applies order by x.place limit 1;
end;
$$;
comment on function private.dispute_policy(public.disputes, boolean, text) is
  'What the settings say of a dispute that staff have not answered. p_written: a person has written '
  'evidence at Stripe; p_obstacle: why it cannot be fought without a person (fee, no_field), or null.';

create type public.dispute_action as (action text, run_at timestamptz);
comment on type public.dispute_action is
  'What the job answer_dispute has to do: fight, accept, wait (look again at run_at) or over.';

create function public.decide_dispute(
  p_dispute_id text,
  p_round text,
  p_written boolean default false,
  p_obstacle text default null
) returns public.dispute_action
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_over constant public.dispute_action := row('over', null);
  v_tomorrow constant public.dispute_action := row('wait', now() + interval '1 day');
  v_hours constant integer := (private.setting('dispute_answer_hours') #>> '{}')::integer;
  d public.disputes;
  x public.dispute_decisions;
  v_at timestamptz;
begin
  perform private.lock_order(i.order_id) from public.disputes i
  where i.id = p_dispute_id and i.order_id is not null;
  select * into d from public.disputes i where i.id = p_dispute_id for no key update;
  if not found or d.order_id is null or d.status in ('won', 'lost', 'warning_closed', 'prevented')
    or (private.awaits_evidence(d) and d.status <> p_round) then
    return c_over;
  end if;
  select * into x from public.dispute_decisions i where i.dispute_id = d.id and i.round = p_round;
  -- A later round is heard of by looking, should its event be lost.
  if not private.awaits_evidence(d) or x.decision = 'leave'
    or d.evidence_submission_count > x.submissions then
    return v_tomorrow;
  elsif private.dispute_answer_on_its_way(d.id) then
    return row('wait', now() + interval '10 minutes')::public.dispute_action;
  elsif x.decision = 'fight' or (x.decision = 'accept' and not p_written) then
    return row(x.decision, null)::public.dispute_action;
  end if;
  v_at := d.evidence_due_by - make_interval(hours => v_hours);
  if v_at is null or v_at > now() then
    return row('wait', least(v_at, v_tomorrow.run_at))::public.dispute_action;
  end if;
  insert into public.dispute_decisions (dispute_id, round, decision, reason, submissions)
  select d.id, p_round, p.decision, p.reason, d.evidence_submission_count
  from private.dispute_policy(d, p_written, p_obstacle) p
  on conflict on constraint dispute_decisions_pkey do update
    set decision = excluded.decision, reason = excluded.reason, created_at = now()
  returning * into x;
  perform private.record_order_event(
    d.order_id, 'dispute_decided', 'job', to_jsonb(x) - '{created_at,submissions}'::text[]
  );
  return case x.decision when 'leave' then v_tomorrow else row(x.decision, null)::public.dispute_action end;
end;
$$;
comment on function public.decide_dispute(text, text, boolean, text) is
  'Decides about a dispute whose deadline is near and which nobody has answered, once for each round '
  '(p_round: the status), and notes it. The same again for whoever asks again, except that what was to be '
  'accepted is fought once somebody has written evidence at Stripe (p_written). p_obstacle: fee or '
  'no_field, see dispute_decisions.reason.';
grant execute on function public.decide_dispute(text, text, boolean, text) to service_role;

-- What a shopper sees of an order, and how an open page hears that it has changed. Nothing personal in it:
-- who has the address of the page is not asked who they are.

create function private.order_page(o public.orders) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'order_number', o.number, 'status', o.status, 'fulfillment_status', o.fulfillment_status,
    'currency', o.currency, 'amount_subtotal', o.amount_subtotal, 'amount_discount', o.amount_discount,
    'amount_shipping', o.amount_shipping, 'amount_tax', o.amount_tax, 'amount_total', o.amount_total,
    'amount_refunded', o.amount_refunded, 'paid_at', o.paid_at, 'presentment', private.presentment(o),
    'items', coalesce((
      select jsonb_agg(jsonb_build_object(
        'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount
      ) order by i.sku collate "C", i.id)
      from public.order_items i where i.order_id = o.id and i.quantity > 0
    ), '[]'),
    'shipments', coalesce((
      select jsonb_agg(jsonb_build_object(
        'parcel', s.parcel, 'carrier', s.carrier, 'tracking_number', s.tracking_number,
        'tracking_url', s.tracking_url, 'shipped_at', s.shipped_at, 'items', private.parcel_pieces(s.id)
      ) order by s.parcel)
      from public.shipments s where s.order_id = o.id
    ), '[]'),
    'returns', coalesce((
      select jsonb_agg(jsonb_build_object(
        'status', case when r.received_at is null then 'awaited' else 'received' end,
        'items', private.returned_pieces(r.id)
      ) order by r.created_at, r.id)
      from public.returns r
      where r.order_id = o.id and private.returned_pieces(r.id) <> '[]'
        -- One that was closed and never came is none.
        and (r.received_at is not null or r.status = 'requested')
    ), '[]'),
    'refunds', coalesce((
      select jsonb_agg(jsonb_build_object(
        'amount', f.amount,
        'status', case when s.has_bounced then 'failed' when s.is_made then 'done'
          when f.status = 'requires_action' then 'details_needed' else 'on_its_way' end,
        'created_at', f.created_at, 'presentment', private.refund_presentment(f)
      ) order by f.created_at, f.id collate "C")
      from public.refunds f join private.refund_states s on s.id = f.id where f.order_id = o.id
    ), '[]')
  );
end;
$$;
comment on function private.order_page(public.orders) is
  'What the page of an order shows: amounts in minor units, lines, parcels, what comes back, and refunds '
  '(on_its_way, details_needed, done, failed); presentment where the customer paid in another currency. No '
  'name, no address, no e-mail.';

create function private.parcel_pieces(p_shipment_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((
    select jsonb_agg(
      jsonb_build_object('sku', i.sku, 'name', i.name, 'quantity', l.quantity)
      order by i.sku collate "C", i.id
    )
    from public.shipment_lines l join public.order_items i on i.id = l.order_item_id
    where l.shipment_id = p_shipment_id
  ), '[]');
end;
$$;
comment on function private.parcel_pieces(uuid) is 'What is in a parcel: [{ sku, name, quantity }].';

create function private.returned_pieces(p_return_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce((
    select jsonb_agg(
      jsonb_build_object('sku', i.sku, 'name', i.name, 'quantity', l.quantity - l.unsent)
      order by i.sku collate "C", i.id
    )
    from public.return_lines l join public.order_items i on i.id = l.order_item_id
    where l.return_id = p_return_id and l.quantity > l.unsent
  ), '[]');
end;
$$;
comment on function private.returned_pieces(uuid) is
  'What of a return had left the house before: [{ sku, name, quantity }].';

create function private.live_topic(p_order_id uuid) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return 'order-page:' || encode(sha256(convert_to('order-page/1:' || p_order_id, 'UTF8')), 'hex');
end;
$$;
comment on function private.live_topic(uuid) is
  'The Realtime topic of an order''s page. Nobody can guess it, and it does not tell the order''s id.';

create table private.order_pages (
  order_id uuid primary key references public.orders (id) on delete cascade,
  digest bytea not null
);
comment on table private.order_pages is
  'What the page of each order showed when it was last told to look again. Empty where there is no Realtime.';
alter table private.order_pages enable row level security;

create function private.tell_order_page(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A plain Postgres has none: there, pages ask again by themselves.
  if to_regnamespace('realtime') is null then
    return;
  end if;
  begin
    insert into private.order_pages as x (order_id, digest)
    select o.id, sha256(convert_to(private.order_page(o)::text, 'UTF8'))
    from public.orders o where o.id = p_order_id
    on conflict (order_id) do update set digest = excluded.digest where x.digest <> excluded.digest;
    if found then
      -- A public topic: shoppers have no account, and what is sent says nothing.
      execute 'select realtime.send($1, $2, $3, $4)'
      using '{}'::jsonb, 'changed'::text, private.live_topic(p_order_id), false;
    end if;
  exception when others then
    raise warning 'page of order % not told: %', p_order_id, private.error_text(sqlstate, sqlerrm);
  end;
end;
$$;
comment on function private.tell_order_page(uuid) is
  'Has open pages of an order ask again, through Realtime, when what they show has changed since the last '
  'time. Realtime sends it when the transaction commits; what fails is a warning, and no reason to undo it.';
