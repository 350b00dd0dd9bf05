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
