-- From facts to settled orders: which order they are about, locks, merges, and what is read anew.

create function private.payment_of_fact(p_fact jsonb) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case p_fact ->> 'fact' when 'payment' then p_fact ->> 'id' else p_fact ->> 'payment_id' end;
end;
$$;
comment on function private.payment_of_fact(jsonb) is 'The payment a fact is about, or null.';

create function private.payment_of_charge(p_charge_id text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(
    (select a.payment_id from public.payment_attempts a where a.id = p_charge_id),
    (select p.id from public.payments p where p.charge_id = p_charge_id order by p.id limit 1)
  );
end;
$$;
comment on function private.payment_of_charge(text) is
  'The payment that a charge belongs to, for facts that name only the charge; null while neither has been '
  'heard of.';

create function private.order_of_fact(p_fact jsonb) returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  v_order_id uuid;
begin
  -- What we linked ourselves comes before what metadata says.
  if coalesce(p_fact ->> 'object', p_fact ->> 'fact') = 'checkout_session' then
    select s.order_id into v_order_id from public.checkout_sessions s where s.id = p_fact ->> 'id';
    if v_order_id is null and p_fact ->> 'recovered_from' is not null then
      select s.order_id into v_order_id
      from public.checkout_sessions s where s.id = p_fact ->> 'recovered_from';
    end if;
  end if;
  if v_order_id is null then
    select p.order_id into v_order_id from public.payments p where p.id = private.payment_of_fact(p_fact);
  end if;
  if v_order_id is null then
    select o.id into v_order_id from public.orders o where o.id = (p_fact ->> 'order_id')::uuid;
  end if;
  if v_order_id is null and p_fact ->> 'charge_id' is not null then
    select p.order_id into v_order_id
    from public.payments p where p.id = private.payment_of_charge(p_fact ->> 'charge_id');
  end if;
  return v_order_id;
end;
$$;
comment on function private.order_of_fact(jsonb) is
  'The order a fact belongs to, or null when it is not (yet) known.';

create type private.locked_orders as (
  erased_ids uuid[],
  live_ids uuid[],
  order_ids uuid[]
);
comment on type private.locked_orders is
  'Of the orders that facts may touch, now locked: which have been erased, and which are of live mode. '
  'order_ids: what order_of_fact() said of each fact.';

create function private.lock_facts(p_facts jsonb) returns private.locked_orders
language plpgsql
set search_path = ''
as $$
declare
  c_last constant integer := coalesce(jsonb_array_length(p_facts), 0) - 1;
  v_fact jsonb;
  v_payment_id text;
  v_payment_ids text[] := '{}';
  v_names text[] := '{}';
  v_name text;
  v_order_ids uuid[] := '{}';
  v_order_id uuid;
  v_order record;
  v_locked private.locked_orders;
begin
  for i in 0 .. c_last loop
    v_fact := p_facts -> i;
    v_payment_id := private.payment_of_fact(v_fact);
    v_payment_ids := v_payment_ids || v_payment_id;
    v_names := v_names || ('payment:' || v_payment_id) || case v_fact ->> 'fact'
      when 'customer' then 'customer:' || (v_fact ->> 'id')
      when 'checkout_session' then 'customer:' || (v_fact ->> 'customer_id')
    end;
  end loop;
  -- A refund and the event that tells whose payment it is may run side by side: whoever comes second sees the
  -- first. Customers, because one has several orders, and facts of several come together.
  foreach v_name in array private.each_once(v_names) loop
    perform pg_advisory_xact_lock(hashtextextended(v_name, 0));
  end loop;
  for i in 0 .. c_last loop
    v_order_ids := v_order_ids || private.order_of_fact(p_facts -> i);
  end loop;

  v_locked := row('{}', '{}', v_order_ids);
  foreach v_payment_id in array array_remove(v_payment_ids, null) loop
    v_order_ids := v_order_ids || private.orders_of_payment(v_payment_id);
  end loop;
  -- Each by its id: a list of unknown length is looked for in the whole table while that is small.
  foreach v_order_id in array private.each_once(v_order_ids) loop
    select o.id, o.erased_at, o.livemode into v_order
    from public.orders o where o.id = v_order_id for no key update;
    if v_order.erased_at is not null then
      v_locked.erased_ids := v_locked.erased_ids || v_order.id;
    end if;
    if v_order.livemode then
      v_locked.live_ids := v_locked.live_ids || v_order.id;
    end if;
  end loop;
  return v_locked;
end;
$$;
comment on function private.lock_facts(jsonb) is
  'Locks what facts may touch, in the one order that all use: Stripe''s customers and payments (advisory), '
  'orders by id. Stock by variant comes after, in settle_order().';

create function private.merge_fact(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  case p_fact ->> 'fact'
    when 'checkout_session' then return private.merge_checkout_session(p_fact, p_order_id, p_at);
    when 'payment' then
      return private.merge_payment(p_fact, p_order_id, p_at) and private.is_confirmed(p_order_id);
    when 'payment_attempt' then
      return private.merge_payment_attempt(p_fact, p_order_id, p_at)
        -- The velocity rules count what was refused.
        and (p_fact ->> 'outcome' in ('failed', 'blocked') or private.is_confirmed(p_order_id));
    when 'refund' then return private.merge_refund(p_fact, p_order_id, p_at);
    when 'dispute' then return private.merge_dispute(p_fact, p_order_id, p_at);
    when 'fraud_signal' then return private.merge_fraud_signal(p_fact, p_order_id, p_at);
    when 'customer' then
      perform private.merge_customer(p_fact, p_at);
      return false;
    else raise exception 'unknown fact %', p_fact ->> 'fact' using errcode = 'SHINV';
  end case;
end;
$$;
comment on function private.merge_fact(jsonb, uuid, timestamptz) is
  'Merges one fact of an order, or of none yet, seen at p_at. Returns whether it is news that its order is '
  'judged by. SHINV: a fact that nobody knows.';

create function private.tell_of_fact(p_fact jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_subject constant text := p_fact ->> 'subject';
begin
  if p_fact ->> 'fact' = 'unknown_value' then
    perform private.raise_alert(
      'unknown_stripe_value', 'warning',
      format('unknown_stripe_value:%s:%s', p_fact ->> 'field', p_fact ->> 'value'), p_fact - 'fact'
    );
  elsif v_subject = 'event_generation_failure' then
    -- Told once it is over, and what was not generated is not delivered later either.
    perform private.enqueue_job(
      'reconcile_objects', 'reconcile_objects:' || (p_fact ->> 'event_id'), '{}', now(), 20
    );
    perform private.raise_alert('stripe_health', 'warning', 'stripe_health:' || v_subject, p_fact - 'fact');
  elsif (p_fact ->> 'over')::boolean then
    update public.alerts set status = 'resolved'
    where dedupe_key = 'stripe_health:' || v_subject and status <> 'resolved';
  else
    perform private.raise_alert('stripe_health', 'warning', 'stripe_health:' || v_subject, p_fact - 'fact');
  end if;
end;
$$;
comment on function private.tell_of_fact(jsonb) is
  'Tells staff what a fact says that is about no object: a value that nobody knows, or the health of Stripe. '
  'Events that were never generated are looked for at once.';

create function private.is_to_be_read(p_fact jsonb) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Of customers who never bought here nothing would be kept.
  if p_fact ->> 'object' = 'customer' then
    return exists (select 1 from private.stripe_customers c where c.id = p_fact ->> 'id');
  end if;
  -- A thin event does not say whose its object is; any other does.
  return p_fact ? 'event_id' or private.order_of_fact(p_fact) is not null;
end;
$$;
comment on function private.is_to_be_read(jsonb) is
  'Whether what an event did not tell (unread) is to be read from Stripe: what is of no order of ours is '
  'not.';

create type private.applied_facts as (
  applied integer,
  order_ids uuid[],
  erased boolean
);
comment on type private.applied_facts is
  'What became of facts. applied: how many are of ours; order_ids: the orders that they are about; erased: '
  'whether one of these, or a customer, has been erased.';

create function private.apply_facts(
  p_facts jsonb,
  p_at timestamptz,
  p_source text,
  p_livemode boolean default null,
  p_settle text default 'always'
) returns private.applied_facts
language plpgsql
set search_path = ''
as $$
declare
  v_locked constant private.locked_orders := private.lock_facts(p_facts);
  c_last constant integer := coalesce(jsonb_array_length(p_facts), 0) - 1;
  v_fact jsonb;
  v_kind text;
  v_order_id uuid;
  v_erased boolean;
  v_order_ids uuid[] := '{}';
  v_news uuid[];
  v_payment_ids text[] := '{}';
  r private.applied_facts := row(0, '{}', v_locked.erased_ids <> '{}');
begin
  for i in 0 .. c_last loop
    v_fact := p_facts -> i;
    v_kind := v_fact ->> 'fact';
    -- Those before it may have told whose the next one is.
    v_order_id := case i when 0 then v_locked.order_ids[1] else private.order_of_fact(v_fact) end;
    v_erased := v_order_id = any (v_locked.erased_ids)
      or (v_kind = 'customer' and private.is_erased(v_fact, null));
    r.erased := r.erased or coalesce(v_erased, false);
    if v_kind in ('unknown_value', 'stripe_health') then
      perform private.tell_of_fact(v_fact);
      r.applied := r.applied + (v_kind = 'stripe_health')::integer;
      continue;
    elsif v_kind in ('checkout_session', 'payment', 'payment_attempt') and v_order_id is null then
      -- Somebody else's: only these three carry our metadata, so without an order they are not ours.
      continue;
    elsif (v_order_id = any (v_locked.live_ids)) <> p_livemode then
      -- Test and live mode are two worlds: the same id means another object there.
      continue;
    end if;
    -- Of what is unread nothing is merged: queue_refreshes() has it read.
    r.applied := r.applied + (v_kind <> 'unread' or private.is_to_be_read(v_fact))::integer;
    continue when v_kind = 'unread';
    if v_kind = 'customer' then
      -- Of those who never bought here nothing is kept. Should they buy later, know_customer() looks again.
      continue when not exists (select 1 from private.stripe_customers c where c.id = v_fact ->> 'id');
    end if;
    if private.merge_fact(
      case when v_erased then private.without_person(v_fact, v_order_id) else v_fact end, v_order_id, p_at
    ) or p_settle = 'always' then
      v_news := v_news || v_order_id;
    end if;
    v_order_ids := v_order_ids || v_order_id;
    v_payment_ids := v_payment_ids
      || coalesce(private.payment_of_fact(v_fact), private.payment_of_charge(v_fact ->> 'charge_id'));
  end loop;

  v_news := array_remove(v_news || private.link_payments(v_payment_ids), null);
  if p_settle <> 'never' and v_news <> '{}' then
    foreach v_order_id in array private.each_once(v_news) loop
      perform private.settle_order(v_order_id, p_source);
    end loop;
  end if;
  r.order_ids := private.each_once(v_order_ids || v_news);
  return r;
end;
$$;
comment on function private.apply_facts(jsonb, timestamptz, text, boolean, text) is
  'Merges facts seen at p_at and settles orders. p_settle: news, those that they bring news of; always, all '
  'that they are about, which repairs what was damaged; never, the caller settles them. p_livemode: mode of '
  'the event that brought them; facts about an order of the other mode are passed over.';

create function private.link_payments(p_payment_ids text[]) returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
  p record;
  v_payment_id text;
  v_order_ids uuid[] := '{}';
begin
  foreach v_payment_id in array array_remove(p_payment_ids, null) loop
    with known as materialized (
      select pi.id, pi.order_id as before,
        -- Failed attempts too: what names only a charge may name any of them.
        array(select a.id from public.payment_attempts a where a.payment_id = pi.id)
          || pi.charge_id as charge_ids,
        coalesce(
          (
            select s.order_id from public.checkout_sessions s
            where s.payment_id = pi.id order by s.id limit 1
          ),
          (select o.id from public.orders o where o.id = pi.metadata_order_id),
          pi.order_id
        ) as order_id
      from public.payments pi
      where pi.id = v_payment_id
    )
    select k.* into p
    from known k
    where k.order_id is distinct from k.before or exists (
      select 1 from public.payment_attempts x
      where x.payment_id = k.id and x.order_id is distinct from k.order_id
    ) or exists (
      select 1 from (
        select x.order_id, x.payment_id, x.charge_id from public.refunds x
        union all select x.order_id, x.payment_id, x.charge_id from public.disputes x
        union all select x.order_id, x.payment_id, x.charge_id from public.fraud_signals x
      ) x
      where (x.payment_id = k.id and x.order_id is distinct from k.order_id)
        or (x.payment_id is null and x.charge_id = any (k.charge_ids))
    );
    continue when not found;
    update public.payments x set order_id = p.order_id
    where x.id = p.id and x.order_id is distinct from p.order_id;
    update public.payment_attempts x set order_id = p.order_id
    where x.payment_id = p.id and x.order_id is distinct from p.order_id;
    update public.refunds x set order_id = p.order_id, payment_id = p.id
    where (x.payment_id = p.id or (x.payment_id is null and x.charge_id = any (p.charge_ids)))
      and (x.order_id is distinct from p.order_id or x.payment_id is null);
    update public.disputes x set order_id = p.order_id, payment_id = p.id
    where (x.payment_id = p.id or (x.payment_id is null and x.charge_id = any (p.charge_ids)))
      and (x.order_id is distinct from p.order_id or x.payment_id is null);
    update public.fraud_signals x set order_id = p.order_id, payment_id = p.id
    where (x.payment_id = p.id or (x.payment_id is null and x.charge_id = any (p.charge_ids)))
      and (x.order_id is distinct from p.order_id or x.payment_id is null);
    v_order_ids := v_order_ids || p.order_id || p.before;
  end loop;
  return v_order_ids;
end;
$$;
comment on function private.link_payments(text[]) is
  'Gives payments their order (the session''s word before that of metadata), and to what hangs on them: '
  'attempts, refunds, disputes, signals, whichever came first. Returns the orders to settle, before and '
  'after, where anything has found another one.';

create function private.queue_refreshes(p_facts jsonb, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_fact jsonb;
  v_object text;
  v_unread boolean;
begin
  for i in 0 .. jsonb_array_length(p_facts) - 1 loop
    v_fact := p_facts -> i;
    v_unread := v_fact ->> 'fact' = 'unread';
    v_object := case
      when v_fact ->> 'fact' in ('dispute', 'refund') then v_fact ->> 'fact'
      when v_fact ->> 'kind' = 'review' then 'review'
      when v_unread and private.is_to_be_read(v_fact) then v_fact ->> 'object'
    end;
    if v_object is not null then
      perform private.enqueue_job(
        'refresh_' || v_object,
        format(
          'refresh_%s:%s:%s', v_object, v_fact ->> 'id',
          coalesce(v_fact ->> 'event_id', floor(extract(epoch from p_at))::bigint::text)
        ),
        jsonb_build_object(v_object || '_id', v_fact ->> 'id'),
        -- A few seconds later, so that one reading serves all events of the same second; at once, and before
        -- the mails, where the event did not tell it all.
        now() + case when v_unread then interval '0' else interval '5 seconds' end,
        case when v_unread then 20 else 150 end
      );
    end if;
  end loop;
end;
$$;
comment on function private.queue_refreshes(jsonb, timestamptz) is
  'Reads again from Stripe, once per object and second: each dispute, refund and review, because two events '
  'of one second cannot be told apart by time; and what an event''s API version does not tell in full, or a '
  'thin event not at all (unread; once per thin event).';
