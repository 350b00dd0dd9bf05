-- Merging facts about refunds, disputes, signs of fraud and customers; the rules are those of the file
-- before.

create function private.merge_refund(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_before constant public.refunds := (select r from public.refunds r where r.id = p_fact ->> 'id');
  v_after public.refunds;
  v_snapshot constant jsonb := p_fact - '{payment_id,charge_id,request_id}'::text[];
  v_version constant text := private.version(
    private.rank(
      array['pending', 'succeeded', 'canceled', 'failed'],
      -- Under way both times, and either may follow the other.
      case p_fact ->> 'status' when 'requires_action' then 'pending' else p_fact ->> 'status' end
    ),
    private.stamp(p_at), private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
begin
  insert into public.refunds as r (
    id, order_id, payment_id, charge_id, amount, currency, status, reason, failure_reason, request_id,
    presentment_amount, presentment_currency, was_pending, succeeded_at, failed_at, version, created_at
  )
  select f.id, p_order_id, f.payment_id, f.charge_id, f.amount, f.currency, f.status,
    nullif(f.reason, 'fraudulent'), f.failure_reason, f.request_id, f.presentment_amount,
    f.presentment_currency, f.status in ('pending', 'requires_action'),
    case f.status when 'succeeded' then p_at end, case when f.status in ('failed', 'canceled') then p_at end,
    v_version, to_timestamp(f.created)
  from jsonb_to_record(p_fact) as f (
    id text, payment_id text, charge_id text, amount bigint, currency text, status text, reason text,
    failure_reason text, request_id text, created bigint, presentment_amount bigint,
    presentment_currency text
  )
  on conflict (id) do update set
    order_id = coalesce(r.order_id, excluded.order_id),
    payment_id = least(r.payment_id, excluded.payment_id), charge_id = least(r.charge_id, excluded.charge_id),
    request_id = least(r.request_id, excluded.request_id),
    created_at = least(r.created_at, excluded.created_at),
    was_pending = r.was_pending or excluded.was_pending,
    succeeded_at = least(r.succeeded_at, excluded.succeeded_at),
    failed_at = least(r.failed_at, excluded.failed_at),
    (amount, currency, status, reason, failure_reason, presentment_amount, presentment_currency,
      version) = (
      select (n.r).amount, (n.r).currency, (n.r).status, (n.r).reason, (n.r).failure_reason,
        (n.r).presentment_amount, (n.r).presentment_currency, (n.r).version
      from (select case when r.version <= excluded.version then excluded else r end as r offset 0) n
    )
  returning * into v_after;
  if v_after.version = v_version then
    insert into public.refund_reasons (refund_id, reason) values (v_after.id, p_fact ->> 'reason')
    on conflict (refund_id) do update set reason = excluded.reason;
  end if;
  v_after.version := v_before.version;
  return v_after is distinct from v_before;
end;
$$;
comment on function private.merge_refund(jsonb, uuid, timestamptz) is
  'Merges a refund fact seen at p_at into refunds, and returns whether that is news.';

create function private.merge_dispute(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_before constant public.disputes := (select d from public.disputes d where d.id = p_fact ->> 'id');
  v_after public.disputes;
  v_snapshot constant jsonb := p_fact - array[
    'payment_id', 'charge_id', 'funds_withdrawn', 'funds_reinstated', 'funds_reinstated_at'
  ];
  v_version constant text := private.version(
    private.stamp(p_at),
    private.rank(
      array[
        'warning_needs_response', 'warning_under_review', 'needs_response', 'under_review', 'lost',
        'appeal_needs_response', 'appeal_under_review', 'warning_closed', 'prevented', 'won'
      ],
      p_fact ->> 'status'
    ),
    private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
begin
  insert into public.disputes as d (
    id, order_id, payment_id, charge_id, livemode, amount, currency, reason, status, statuses_seen,
    evidence_due_by, first_due_by, evidence_submission_count, has_evidence, network_reason_code,
    funds_withdrawn, funds_reinstated, funds_reinstated_at, version, created_at
  )
  select f.id, p_order_id, f.payment_id, f.charge_id, f.livemode, f.amount, f.currency, f.reason, f.status,
    array[f.status], to_timestamp(f.evidence_due_by), to_timestamp(f.evidence_due_by),
    f.evidence_submission_count, f.has_evidence, f.network_reason_code,
    f.funds_withdrawn, f.funds_reinstated,
    case when f.funds_reinstated then least(to_timestamp(f.funds_reinstated_at), p_at) end, v_version,
    to_timestamp(f.created)
  from jsonb_to_record(p_fact) as f (
    id text, payment_id text, charge_id text, livemode boolean, amount bigint, currency text, reason text,
    status text, evidence_due_by bigint, evidence_submission_count integer, has_evidence boolean,
    network_reason_code text, funds_withdrawn boolean, funds_reinstated boolean,
    funds_reinstated_at bigint, created bigint
  )
  on conflict (id) do update set
    order_id = coalesce(d.order_id, excluded.order_id),
    payment_id = least(d.payment_id, excluded.payment_id), charge_id = least(d.charge_id, excluded.charge_id),
    created_at = least(d.created_at, excluded.created_at),
    statuses_seen = (
      select array_agg(distinct x collate "C" order by x collate "C")
      from unnest(d.statuses_seen || excluded.statuses_seen) x
    ),
    first_due_by = least(d.first_due_by, excluded.first_due_by),
    funds_withdrawn = d.funds_withdrawn or excluded.funds_withdrawn,
    funds_reinstated = d.funds_reinstated or excluded.funds_reinstated,
    funds_reinstated_at = least(d.funds_reinstated_at, excluded.funds_reinstated_at),
    (livemode, amount, currency, reason, status, evidence_due_by, evidence_submission_count,
      has_evidence, network_reason_code, version) = (
      select (n.r).livemode, (n.r).amount, (n.r).currency, (n.r).reason, (n.r).status,
        (n.r).evidence_due_by, (n.r).evidence_submission_count, (n.r).has_evidence,
        (n.r).network_reason_code, (n.r).version
      from (select case when d.version <= excluded.version then excluded else d end as r offset 0) n
    )
  returning * into v_after;
  v_after.version := v_before.version;
  return v_after is distinct from v_before;
end;
$$;
comment on function private.merge_dispute(jsonb, uuid, timestamptz) is
  'Merges a dispute fact seen at p_at into disputes, and returns whether that is news.';

create function private.merge_fraud_signal(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_before constant public.fraud_signals := (
    select s from public.fraud_signals s where s.source_id = p_fact ->> 'id'
  );
  v_after public.fraud_signals;
  v_snapshot constant jsonb := p_fact - '{payment_id,charge_id}'::text[];
  -- Events know the second only: within the one in which it was read, being closed is the later of the two.
  v_version constant text := private.version(
    private.stamp(date_trunc('second', p_at)), private.rank(array['true', 'false'], p_fact ->> 'open'),
    private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
begin
  insert into public.fraud_signals as s (
    source_id, order_id, payment_id, charge_id, kind, severity, open, was_actionable, data, version,
    created_at
  )
  select f.id, p_order_id, f.payment_id, f.charge_id, f.kind,
    case f.kind when 'early_fraud_warning' then 'critical' else 'warning' end,
    f.open, f.open, jsonb_build_object('reason', f.reason), v_version, to_timestamp(f.created)
  from jsonb_to_record(p_fact) as f (
    id text, kind text, payment_id text, charge_id text, open boolean, reason text, created bigint
  )
  on conflict on constraint fraud_signals_source_id_key do update set
    order_id = coalesce(s.order_id, excluded.order_id),
    payment_id = least(s.payment_id, excluded.payment_id), charge_id = least(s.charge_id, excluded.charge_id),
    created_at = least(s.created_at, excluded.created_at),
    was_actionable = s.was_actionable or excluded.was_actionable,
    (open, data, version) = (
      select (n.r).open, (n.r).data, (n.r).version
      from (select case when s.version <= excluded.version then excluded else s end as r offset 0) n
    )
  returning * into v_after;
  v_after.version := v_before.version;
  return v_after is distinct from v_before;
end;
$$;
comment on function private.merge_fraud_signal(jsonb, uuid, timestamptz) is
  'Merges an early fraud warning or a review seen at p_at into fraud_signals, and returns whether that is '
  'news.';

create function private.merge_customer(p_fact jsonb, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  f record;
begin
  select * into f
  from jsonb_to_record(p_fact) as x (id text, livemode boolean, email text, name text, deleted boolean);
  insert into private.stripe_customers as c (id, livemode, email, name, deleted_at, version)
  values (
    f.id, f.livemode, f.email, f.name, case when f.deleted then p_at end,
    -- What it said before its deletion stays what we know of it.
    private.version(
      case when f.deleted then '0' else '1' end, private.stamp(p_at), private.knowledge(p_fact),
      md5(p_fact::text)
    )
  )
  on conflict (id) do update set
    email = case when c.version <= excluded.version then excluded.email else c.email end,
    name = case when c.version <= excluded.version then excluded.name else c.name end,
    deleted_at = least(c.deleted_at, excluded.deleted_at),
    version = greatest(c.version, excluded.version)
  where c.livemode = excluded.livemode;
  perform private.settle_stripe_customer(f.id);
end;
$$;
comment on function private.merge_customer(jsonb, timestamptz) is
  'Merges a customer fact seen at p_at into private.stripe_customers. apply_facts() passes over customers '
  'who never bought here.';

create function private.know_customer(p_id text, p_livemode boolean) returns void
language plpgsql
set search_path = ''
as $$
declare
  e record;
begin
  insert into private.stripe_customers (id, livemode, version)
  select p_id, p_livemode, '' where p_id is not null
  on conflict (id) do nothing;
  if not found then
    return;
  end if;
  -- What came before we knew that this is a customer of ours was not kept, except in the event that brought
  -- it.
  for e in
    select w.type = 'customer.deleted' as deleted, w.payload #> '{data,object}' as customer,
      w.stripe_created_at
    from public.webhook_events w
    where w.type in ('customer.updated', 'customer.deleted') and w.payload #>> '{data,object,id}' = p_id
      and w.livemode = p_livemode
  loop
    perform private.merge_customer(
      jsonb_build_object(
        'fact', 'customer', 'id', p_id, 'livemode', p_livemode, 'deleted', e.deleted,
        'email', case when not e.deleted then e.customer -> 'email' end,
        'name', case when not e.deleted then e.customer -> 'name' end
      ),
      e.stripe_created_at
    );
  end loop;
end;
$$;
comment on function private.know_customer(text, boolean) is
  'A session of ours names a Stripe customer: from now on its events are merged, and so are those that came '
  'before and are still stored.';

create function private.without_person(p_fact jsonb, p_order_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Everything in a fact that says who somebody is.
  c_personal constant text[] := array[
    'email', 'name', 'phone', 'shipping_name', 'shipping_address', 'billing_address', 'business',
    'promotions_consent', 'card_fingerprint', 'receipt_url'
  ];
begin
  if not private.is_erased(p_fact, p_order_id) then
    return p_fact;
  end if;
  return p_fact || (
    select coalesce(jsonb_object_agg(k, null), '{}') from unnest(c_personal) k where p_fact ? k
  );
end;
$$;
comment on function private.without_person(jsonb, uuid) is
  'A fact as it may be merged: of an erased order or customer without personal data, any other as it is.';

create function private.is_erased(p_fact jsonb, p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.orders o where o.id = p_order_id and o.erased_at is not null)
    or (p_fact ->> 'fact' = 'customer' and exists (
      select 1 from private.stripe_customers c where c.id = p_fact ->> 'id' and c.erased_at is not null
    ));
end;
$$;
comment on function private.is_erased(jsonb, uuid) is
  'Whether a fact is about an order or a Stripe customer that has been erased.';

create function private.settle_stripe_customer(p_stripe_customer_id text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid;
begin
  for v_id in
    select known.id from public.customers known where known.stripe_customer_id = p_stripe_customer_id
    union
    -- Forgotten with the deletion: then by what they bought.
    select gone.id
    from public.checkout_sessions cs
    join public.orders o on o.id = cs.order_id and o.session_id = cs.id
    join public.customers gone on gone.id = o.customer_id and gone.stripe_customer_id is null
    where cs.stripe_customer_id = p_stripe_customer_id
    order by id
  loop
    update public.customers c set
      -- An account's address comes from Supabase Auth; only guests take theirs from Stripe.
      email = case when c.user_id is null then coalesce(s.email, c.email) else c.email end,
      name = case when c.user_id is null then coalesce(s.name, c.name) else c.name end,
      stripe_deleted_at = s.deleted_at,
      -- Forgetting the id makes the next checkout create a new customer.
      stripe_customer_id = case when s.deleted_at is null then c.stripe_customer_id end
    from private.stripe_customers s
    where s.id = p_stripe_customer_id and c.livemode = s.livemode and c.id = v_id;
  end loop;
end;
$$;
comment on function private.settle_stripe_customer(text) is
  'Brings the customers row of a Stripe customer up to what Stripe last said of it: a guest''s address and '
  'name, a deletion.';
