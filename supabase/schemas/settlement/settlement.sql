-- settle_order(): the one place where an order's state comes from. It locks the order, derives everything
-- from the fact tables, and fires each side effect once. Calling it again, or from somewhere else, changes
-- nothing.

insert into private.settings (key, value, description) values
  (
    'prices_include_tax', 'false',
    'true: Stripe''s tax is inside the prices (inclusive), so it does not add to the total.'
  );

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
  return (
    select coalesce(array_agg(x.reason order by x.position), '{}')
    from unnest(p_reasons) with ordinality as x (reason, position)
    where not exists (
      select 1 from private.released_mismatches m
      where m.order_id = p_order_id and m.session_id = p_session_id and m.reason = x.reason
    )
  );
end;
$$;
comment on function private.unreleased_mismatches(uuid, text, text[]) is
  'What of review_reasons() nobody has released: another reason, or the same one in the money of another '
  'session, is news.';

create function private.holds_order(f public.fraud_signals) returns boolean
language sql
stable
set search_path = ''
as $$
  select f.released_at is null and case f.kind
    when 'early_fraud_warning' then f.was_actionable
    when 'review' then f.open
    else f.open and f.data ->> 'action' = 'review'
  end
$$;
comment on function private.holds_order(public.fraud_signals) is
  'Whether a sign of fraud holds its order: an early fraud warning, an open Radar review, a velocity rule '
  'with action review, that staff have not released.';

create function private.fraud_reasons(p_order_id uuid) returns text[]
language sql
stable
set search_path = ''
as $$
  select coalesce(array_agg(distinct
    case
      f.kind
      when 'early_fraud_warning' then 'early_fraud_warning'
      when 'review' then 'radar_review'
      else 'velocity_review'
    end
  ), '{}')
  from public.fraud_signals f
  where f.order_id = p_order_id and private.holds_order(f)
$$;
comment on function private.fraud_reasons(uuid) is 'Fraud holds of an order: see holds_order().';

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
    where r.order_id = p_order_id and r.status = 'released' and l.on_hand - l.reserved < r.quantity
  ) then
    return false;
  end if;

  update public.inventory_levels l set
    on_hand = l.on_hand
      - case when p_target = 'committed' then r.quantity else 0 end
      + case when r.status = 'committed' then r.quantity else 0 end,
    reserved = l.reserved
      + case when p_target = 'active' then r.quantity else 0 end
      - case when r.status = 'active' then r.quantity else 0 end,
    committed = l.committed
      + case when p_target = 'committed' then r.quantity else 0 end
      - case when r.status = 'committed' then r.quantity else 0 end
  from public.inventory_reservations r
  where r.order_id = p_order_id and r.variant_id = l.variant_id and r.status <> p_target;

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
  from public.checkout_sessions cs
  join public.orders o on o.id = cs.order_id
  left join public.payments p on p.id = cs.payment_id
  where cs.order_id = p_order_id and cs.status = 'complete'
    and (cs.payment_status in ('paid', 'no_payment_required') or p.status = 'succeeded')
  order by coalesce(cs.payment_id = o.decided_payment_id, false) desc,
    cs.payment_id collate "C" nulls first, cs.id collate "C"
  limit 1;
  return v_session;
end;
$$;
comment on function private.kept_session(uuid) is
  'The settled session whose payment an order keeps, or null. Any other settled payment of the order is '
  'refunded.';

create function private.settle_order(p_order_id uuid, p_source text) returns text
language plpgsql
set search_path = ''
as $$
declare
  o public.orders;
  v_before public.orders;
  k public.order_risk;
  s public.checkout_sessions;
  p public.payments;
  v_under_way public.checkout_sessions;
  v_sessions record;
  v_paid boolean;
  v_nothing_to_ship boolean;
  v_target text;
  v_mismatches text[] := '{}';
begin
  select * into o from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  v_before := o;
  k := private.risk_of(o.id);

  s := private.kept_session(o.id);
  o.session_id := s.id;
  o.payment_id := s.payment_id;
  v_paid := s.id is not null;

  select
    -- A state that this code does not know holds the stock: it must not be taken for an end.
    count(*) filter (where cs.status not in ('complete', 'expired')) as open,
    count(*) filter (
      where cs.status = 'complete' and cs.payment_status not in ('paid', 'no_payment_required')
        and not cs.async_payment_failed
        and coalesce(pi.status, '') <> 'succeeded'
    ) as processing,
    count(*) filter (where cs.async_payment_failed) as failed,
    coalesce(bool_or(cs.attempt = o.attempt), false) as attempt_known,
    (
      array_agg(
        cs.email order by cs.attempt desc nulls last, cs.id collate "C"
      ) filter (where cs.status = 'complete' and cs.email is not null)
    )[1] as email
  into v_sessions
  from public.checkout_sessions cs
  left join public.payments pi on pi.id = cs.payment_id
  where cs.order_id = o.id;

  -- Before the payment too: who hears of a debit that failed is known from the page where it was ordered.
  o.email := coalesce(s.email, v_sessions.email, o.email);
  if v_paid then
    select * into p from public.payments where id = o.payment_id;
    v_mismatches := private.unreleased_mismatches(o.id, s.id, private.review_reasons(o, s, p));
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
    o.customer_id := private.settle_customer(o, s);
    select coalesce(sum(r.amount), 0) into o.amount_refunded
    from public.refunds r
    where r.payment_id = o.payment_id and r.status = 'succeeded';
  else
    -- A debit under way shows what was confirmed, any other unpaid order its cart.
    select cs.* into v_under_way
    from public.checkout_sessions cs
    where cs.order_id = o.id and cs.status = 'complete' and not cs.async_payment_failed
    order by cs.attempt desc nulls last, cs.id collate "C"
    limit 1;
    o.amount_discount := coalesce(v_under_way.amount_discount, 0);
    o.amount_shipping := coalesce(v_under_way.amount_shipping, 0);
    o.amount_tax := coalesce(v_under_way.amount_tax, 0);
    o.amount_total := coalesce(v_under_way.amount_total, o.amount_subtotal);
  end if;
  k.declined_attempts := private.check_declined_velocity(o);
  k.outage_attempts := private.check_outages(o);
  if o.restocked_at is null and private.restock_due(o) then
    o.restocked_at := now();
  end if;
  if o.restocked_at is not null then
    o.decided_payment_id := coalesce(o.decided_payment_id, o.payment_id);
  end if;

  v_target := case
    when v_paid and o.cancelled_at is null and o.oversold_at is null
      and o.restocked_at is null then 'committed'
    when v_paid then 'released'
    -- Stock of an attempt in flight, of an open session and of a payment under way stays held.
    when v_sessions.open = 0 and v_sessions.processing = 0
      and (v_sessions.attempt_known or o.abandoned_at is not null)
      then 'released'
    -- Given back already when another session of the order was completed: held again until its money comes.
    when v_sessions.processing > 0 and o.cancelled_at is null then 'active'
  end;
  if v_target is not null and not private.settle_stock(o.id, v_target, p_source) and v_paid then
    o.oversold_at := now();
  end if;

  if v_paid then
    k.velocity_rule_set := private.check_paid_velocity(o);
  end if;
  -- Where nothing was paid there is nothing to give back.
  v_nothing_to_ship := v_paid and o.amount_paid = 0
    and (o.cancelled_at is not null or o.oversold_at is not null);
  -- A refund in full closes every open question.
  k.review_reasons := case
    when not v_paid or v_nothing_to_ship
      or (o.amount_paid > 0 and o.amount_refunded >= o.amount_paid) then '{}'
    else v_mismatches
      || case when o.oversold_at is not null then array['oversold'] else '{}' end
      || private.fraud_reasons(o.id)
  end;

  -- The table of docs/settlement.md, first rule that holds.
  o.status := case
    when v_paid and cardinality(k.review_reasons) > 0 then 'needs_review'
    when o.amount_refunded >= o.amount_paid and o.amount_paid > 0 then 'refunded'
    when o.amount_refunded > 0 then 'partially_refunded'
    when v_nothing_to_ship then 'cancelled'
    when v_paid then 'paid'
    when v_sessions.processing > 0 then 'processing'
    when o.cancelled_at is not null then 'cancelled'
    when v_sessions.failed > 0 and v_sessions.open = 0
      and (v_sessions.attempt_known or o.abandoned_at is not null) then 'payment_failed'
    when v_sessions.open = 0 and (v_sessions.attempt_known or o.abandoned_at is not null) then 'expired'
    else 'pending'
  end;
  o.fulfillment_status := case
    when o.fulfilled_at is not null then 'fulfilled'
    when o.cancelled_at is not null or o.oversold_at is not null or o.restocked_at is not null
      or o.status = 'refunded'
      then 'cancelled'
    when cardinality(private.hold_reasons(o)) > 0 then 'on_hold'
    else 'unfulfilled'
  end;

  if o is distinct from v_before then
    o.updated_at := now();
    update public.orders set
      session_id = o.session_id, payment_id = o.payment_id, decided_payment_id = o.decided_payment_id,
      customer_id = o.customer_id, email = o.email,
      customer_name = o.customer_name, phone = o.phone, shipping_name = o.shipping_name,
      shipping_address = o.shipping_address, billing_address = o.billing_address, status = o.status,
      fulfillment_status = o.fulfillment_status, amount_discount = o.amount_discount,
      amount_shipping = o.amount_shipping, amount_tax = o.amount_tax, amount_total = o.amount_total,
      amount_paid = o.amount_paid, amount_refunded = o.amount_refunded,
      oversold_at = o.oversold_at, restocked_at = o.restocked_at, paid_at = o.paid_at,
      updated_at = o.updated_at
    where id = o.id;
  end if;
  update public.order_risk x set
    review_reasons = k.review_reasons, declined_attempts = k.declined_attempts,
    outage_attempts = k.outage_attempts, velocity_rule_set = k.velocity_rule_set
  where x.order_id = o.id and x is distinct from k;
  if o.status <> v_before.status then
    perform private.record_order_event(
      o.id, 'status_changed', p_source, jsonb_build_object('from', v_before.status, 'to', o.status)
    );
  end if;
  perform private.settle_effects(o, v_mismatches, p_source);
  return o.status;
end;
$$;
comment on function private.settle_order(uuid, text) is
  'Derives an order from its facts under a row lock, moves its stock and fires each side effect once. The '
  'only writer of order status and committed stock. p_source: who asked (event id, order_status, reconcile, '
  'job, staff), for the audit trail. Returns the status. KCORD: no such order.';
