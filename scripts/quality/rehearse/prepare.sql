-- What a rehearsal needs in its shadow, and nowhere else: which tables are compared, what the live
-- database says, and the way back to where no event had been heard of.

create table rehearsal.chosen (
  order_id uuid primary key,
  number text not null,
  not_rehearsed text
);
comment on table rehearsal.chosen is
  'The orders of this rehearsal. not_rehearsed: why one is left out; null: it is rehearsed.';

create table rehearsal.failures (
  order_id uuid,
  what text not null,
  id text not null,
  error text not null
);
comment on table rehearsal.failures is 'Events and orders that this checkout could not work on.';

create table rehearsal.compared (
  name text primary key,
  key text not null,
  belongs_to text not null,
  hidden text[] not null default '{}',
  shown text[],
  rebuilt boolean not null default false,
  state text[],
  shows text
);
comment on table rehearsal.compared is
  'Tables of public that are compared. belongs_to: the order of row t, as SQL (%1$I: its schema). hidden: '
  'columns that are not compared; shown: the only ones that are. rebuilt: a table of facts, made anew by the '
  'events. state: the columns that move; shows: what of a payload e says the same, as SQL.';
insert into rehearsal.compared (name, key, belongs_to, hidden, shown, rebuilt, state, shows) values
  ('orders', $q$''$q$, 't.id', '{updated_at}', null, false, null, null),
  ('order_risk', $q$''$q$, 't.order_id', '{velocity_mode}', null, false, null, null),
  ('inventory_reservations', 't.variant_id::text', 't.order_id', '{updated_at}', null, false, null, null),
  ('returns', 't.id::text', 't.order_id', '{}', null, false, null, null),
  ('refund_requests', 't.id', 't.order_id', '{created_at}', null, false, null, null),
  (
    'notifications', $q$t.template || ' ' || t.dedupe_key$q$, 't.order_id', '{}', '{template,dedupe_key}',
    false, null, null
  ),
  (
    'checkout_sessions', 't.id', 't.order_id', '{version,contact_version,created_at}', null, true,
    '{status,payment_status}', $q$array[e ->> 'status', e ->> 'payment_status']$q$
  ),
  (
    'payments', 't.id', 't.order_id', '{version,created_at}', null, true, '{status}',
    $q$array[e ->> 'status']$q$
  ),
  (
    'payment_attempts', 't.id', 't.order_id', '{version}', null, true, '{outcome}',
    $q$array[e ->> 'status']$q$
  ),
  (
    'refunds', 't.id', 't.order_id', '{version,seen_at,released_at}', null, true, '{status}',
    $q$array[e ->> 'status']$q$
  ),
  (
    'refund_reasons', 't.refund_id', '(select r.order_id from %1$I.refunds r where r.id = t.refund_id)', '{}',
    null, false, null, null
  ),
  ('disputes', 't.id', 't.order_id', '{version}', null, true, '{status}', $q$array[e ->> 'status']$q$),
  (
    'fraud_signals', 'coalesce(t.source_id, t.id::text)', 't.order_id', '{id,version,answer,released_at}',
    null, true, '{open}', $q$array[coalesce(e ->> 'open', e ->> 'actionable')]$q$
  );

create function rehearsal.choose(p_from timestamptz, p_limit integer) returns void
language plpgsql
as $$
begin
  insert into rehearsal.chosen (order_id, number, not_rehearsed)
  select o.id, o.number, case when o.erased_at is not null then 'its person was erased' end
  from public.orders o
  where o.created_at >= coalesce(p_from, '-infinity')
  order by o.created_at desc, o.number desc
  limit p_limit;
  -- The id of what an event is about stays when its payload goes.
  update rehearsal.chosen c set not_rehearsed = 'payloads of its events are gone'
  where c.not_rehearsed is null and c.order_id in (
    select private.order_of(e.object_id) from rehearsal.events e where not e.payload ? 'object'
  );
end;
$$;
comment on function rehearsal.choose(timestamptz, integer) is
  'Notes the newest p_limit orders since p_from (null: all), and which of them cannot be rehearsed.';

create function rehearsal.keep_live() returns void
language plpgsql
as $$
declare
  v_name text;
begin
  for v_name in select c.name from rehearsal.compared c loop
    execute format('create table rehearsal.%1$I as table public.%1$I', v_name);
    execute format('analyze rehearsal.%I', v_name);
  end loop;
  create index on rehearsal.refunds (id);
end;
$$;
comment on function rehearsal.keep_live() is 'Keeps what the live database says of all compared tables.';

create function rehearsal.forget_events() returns void
language plpgsql
as $$
begin
  update public.orders o set
    session_id = null, payment_id = null, customer_name = null, phone = null, shipping_name = null,
    shipping_address = null, billing_address = null, status = 'pending', fulfillment_status = 'unfulfilled',
    amount_discount = 0, amount_shipping = 0, amount_tax = 0, amount_total = o.amount_subtotal,
    amount_paid = 0, amount_refunded = 0, paid_at = null, fulfilled_at = null
  from rehearsal.rehearsed c where c.order_id = o.id;
  -- Velocity rules judge a moment that has passed: what they found then is carried over.
  update public.order_risk k set review_reasons = '{}', velocity_mode = 'off'
  from rehearsal.rehearsed c where c.order_id = k.order_id;
  -- The checkout made these rows, so they and what it noted stay.
  update public.checkout_sessions s set
    status = 'open', payment_status = 'unpaid', async_payment_failed = false, awaited_payment = false,
    payment_id = null, stripe_customer_id = null, currency = null, amount_subtotal = null,
    amount_total = null, amount_discount = null, amount_shipping = null, amount_tax = null,
    metadata_order_id = null,
    cart_hash = null, email = null, name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, business = null, terms_consent = null, promotions_consent = null,
    completed_at = null, version = '', contact_version = ''
  from rehearsal.rehearsed c where c.order_id = s.order_id;
  delete from public.refund_reasons x using public.refunds r, rehearsal.rehearsed c
  where r.id = x.refund_id and c.order_id = r.order_id;
  delete from public.payments x using rehearsal.rehearsed c where c.order_id = x.order_id;
  delete from public.payment_attempts x using rehearsal.rehearsed c where c.order_id = x.order_id;
  delete from public.refunds x using rehearsal.rehearsed c where c.order_id = x.order_id;
  delete from public.disputes x using rehearsal.rehearsed c where c.order_id = x.order_id;
  delete from public.fraud_signals x using rehearsal.rehearsed c
  where c.order_id = x.order_id and x.source_id is not null;
  -- Whether goods were there is of its moment too (oversold_at): here there are always enough.
  update public.inventory_levels set on_hand = on_hand + 1000000;
end;
$$;
comment on function rehearsal.forget_events() is
  'Takes the rehearsed orders back to where no event had been heard of. Stays: what checkout, staff and jobs '
  'did, and what was decided once. Run with triggers asleep.';

create view rehearsal.rehearsed as
select c.order_id, c.number from rehearsal.chosen c where c.not_rehearsed is null;
comment on view rehearsal.rehearsed is 'The orders that are rehearsed.';

create function rehearsal.hold_settling() returns text
language plpgsql
as $$
declare
  v_settle constant regprocedure := 'private.settle_order'::regproc::regprocedure;
  v_source constant text := pg_get_functiondef(v_settle);
begin
  execute format(
    'create or replace function private.settle_order(%s) returns %s language plpgsql '
      'as $f$ begin return null; end $f$',
    pg_get_function_arguments(v_settle), pg_get_function_result(v_settle)
  );
  return v_source;
end;
$$;
comment on function rehearsal.hold_settling() is
  'Until its answer is executed, settle_order() does nothing: facts merge in any order to the same rows, so '
  'each order is settled once, when all of them are there.';

create function rehearsal.number_on() returns void
language plpgsql
as $$
declare
  r record;
begin
  for r in
    select c.oid::regclass::text as name, a.attname::text as key
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attidentity <> ''
    where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
  loop
    execute format(
      'select setval(pg_get_serial_sequence(%1$L, %2$L), coalesce(max(%2$I), 0) + 1, false) from %1$s',
      r.name, r.key
    );
  end loop;
end;
$$;
comment on function rehearsal.number_on() is 'New rows are numbered after those that were copied.';
