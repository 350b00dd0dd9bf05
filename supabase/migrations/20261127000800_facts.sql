-- Generated from supabase/schemas/facts by 'deno task migrations': edit there.

-- Merging facts. Each fact row is a last-writer-wins register: the snapshot with the greatest `version`
-- stays. A version is a fixed-width text compared in the C collation, built so that it orders the states of
-- one object the way Stripe's lifecycle does, whatever order they arrive in:
--
--   sessions   status rank, payment status rank, time, knowledge, hash    (states never go back)
--   payments   terminal rank, source, time, status rank, knowledge, hash  (processing may fall back)
--   attempts   outcome rank, time, knowledge, hash
--   refunds    status rank, time, knowledge, hash                         (succeeded may become failed)
--   disputes   time, status rank, knowledge, hash                         (lost may become won on appeal)
--   signals    time, closed after open, knowledge, hash
--
-- Knowledge is how many fields a fact fills: the same event in an older API version, or translated by an
-- older release, may know less, and yields to the translation that knows more. The same fact merged again
-- writes its row again, so that a redriven event repairs what was damaged.
--
-- max() over a total order is commutative, associative and idempotent, hence so is the merge. Flags that an
-- event states and the object does not (async failure, funds withdrawn) merge by OR, first times by least(),
-- identities that never change by least() as well, so that a fact without them takes nothing away.
-- The table of all columns stands in docs/settlement.md.

create function private.rank(p_ladder text[], p_value text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return lpad(coalesce(array_position(p_ladder, p_value), 0)::text, 2, '0');
end;
$$;
comment on function private.rank(text[], text) is
  'Position of a value on a ladder as two digits; 00 for a value this code does not know.';

create function private.version(variadic p_parts text[]) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array_to_string(p_parts, '|');
end;
$$;
comment on function private.version(text[]) is 'Joins the fixed-width parts of a version.';

create function private.stamp(p_at timestamptz) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return lpad(floor(extract(epoch from p_at) * 1000)::bigint::text, 15, '0');
end;
$$;
comment on function private.stamp(timestamptz) is
  'A time in milliseconds, fifteen digits. Stripe stamps events with whole seconds, so what was read within '
  'that second counts as newer; should it not be, the refresh a few seconds later corrects it.';

create function private.knowledge(p_fact jsonb) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select lpad(count(*)::text, 3, '0')
    from jsonb_path_query(p_fact, 'strict $.**') as x (value)
    where jsonb_typeof(x.value) not in ('null', 'object', 'array')
  );
end;
$$;
comment on function private.knowledge(jsonb) is
  'How many fields of a fact say something, as three digits: of two translations of one event the fuller '
  'one wins.';

create function private.merge_checkout_session(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  f record;
  v_snapshot jsonb := p_fact
    - '{async_payment_failed,awaited_payment,attempt,url,recovered_from,terms_consent,promotions_consent}'
      ::text[];
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, attempt integer, status text, payment_status text, async_payment_failed boolean,
    awaited_payment boolean, payment_id text, customer_id text, currency text, amount_subtotal bigint,
    amount_total bigint, amount_discount bigint, amount_shipping bigint, amount_tax bigint, livemode boolean,
    cart_hash text, url text, expires_at bigint, recovered_from text, order_id uuid, terms_consent text,
    promotions_consent text, presentment_amount bigint, presentment_currency text
  );
  v_version := private.version(
    private.rank(array['open', 'expired', 'complete'], f.status),
    private.rank(array['unpaid', 'no_payment_required', 'paid'], f.payment_status),
    private.stamp(p_at), private.knowledge(v_snapshot), md5(v_snapshot::text)
  );

  insert into public.checkout_sessions as s (
    id, order_id, attempt, status, payment_status, async_payment_failed, awaited_payment, livemode, url,
    expires_at, recovered_from, terms_consent, promotions_consent, completed_at, version, contact_version
  ) values (
    f.id, p_order_id, f.attempt, f.status, f.payment_status, f.async_payment_failed,
    coalesce(f.awaited_payment, false), f.livemode, f.url, to_timestamp(f.expires_at), f.recovered_from,
    f.terms_consent, f.promotions_consent, case when f.status = 'complete' then p_at end, '', ''
  )
  on conflict (id) do update set
    attempt = least(s.attempt, excluded.attempt),
    async_payment_failed = s.async_payment_failed or excluded.async_payment_failed,
    awaited_payment = s.awaited_payment or excluded.awaited_payment,
    url = least(s.url, excluded.url),
    recovered_from = least(s.recovered_from, excluded.recovered_from),
    terms_consent = least(s.terms_consent, excluded.terms_consent),
    promotions_consent = least(s.promotions_consent, excluded.promotions_consent),
    completed_at = least(s.completed_at, excluded.completed_at);

  update public.checkout_sessions s set
    status = f.status, payment_status = f.payment_status, payment_id = f.payment_id,
    stripe_customer_id = f.customer_id, currency = f.currency, amount_subtotal = f.amount_subtotal,
    amount_total = f.amount_total, amount_discount = f.amount_discount, amount_shipping = f.amount_shipping,
    amount_tax = f.amount_tax, presentment_amount = f.presentment_amount,
    presentment_currency = f.presentment_currency, livemode = f.livemode, metadata_order_id = f.order_id,
    cart_hash = f.cart_hash, expires_at = to_timestamp(f.expires_at), version = v_version
  where s.id = f.id and s.version <= v_version;
  perform private.know_customer(f.customer_id, f.livemode);
  perform private.merge_session_contact(f.id, v_snapshot, v_version);
  perform private.merge_session_payment(p_fact, p_order_id, p_at);
end;
$$;
comment on function private.merge_checkout_session(jsonb, uuid, timestamptz) is
  'Merges a checkout_session fact seen at p_at into checkout_sessions. The order of a known session never '
  'changes.';

create function private.merge_session_contact(p_session_id text, p_fact jsonb, p_version text) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Stripe never takes an address back: a snapshot without one is told by an event that cannot carry it.
  update public.checkout_sessions s set
    email = f.email, name = f.name, phone = f.phone, shipping_name = f.shipping_name,
    shipping_address = f.shipping_address, billing_address = f.billing_address, business = f.business,
    contact_version = f.version
  from (
    select x.*,
      private.version(case when x.shipping_address is null then '0' else '1' end, p_version) as version
    from jsonb_to_record(p_fact) as x (
      email text, name text, phone text, shipping_name text, shipping_address jsonb, billing_address jsonb,
      business jsonb
    )
  ) f
  where s.id = p_session_id and s.contact_version <= f.version;
end;
$$;
comment on function private.merge_session_contact(text, jsonb, text) is
  'Who bought, and where the parcel goes: the newest snapshot that has a delivery address, or else the '
  'newest.';

create function private.merge_session_payment(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A paid session proves that its payment succeeded, also when the payment's own events are still under way.
  if p_fact ->> 'status' = 'complete' and p_fact ->> 'payment_status' = 'paid'
    and p_fact ->> 'payment_id' is not null then
    perform private.merge_payment(
      jsonb_build_object(
        'id', p_fact -> 'payment_id', 'livemode', p_fact -> 'livemode', 'status', 'succeeded',
        'amount', coalesce((p_fact ->> 'amount_total')::bigint, 0),
        'amount_received', coalesce((p_fact ->> 'amount_total')::bigint, 0),
        'currency', coalesce(p_fact ->> 'currency', ''), 'customer_id', p_fact -> 'customer_id',
        'order_id', p_fact -> 'order_id'
      ),
      p_order_id, p_at, 'session'
    );
  end if;
end;
$$;
comment on function private.merge_session_payment(jsonb, uuid, timestamptz) is
  'Merges what a paid session says of its payment.';

create function private.merge_payment(
  p_fact jsonb,
  p_order_id uuid,
  p_at timestamptz,
  p_source text default 'intent'
) returns void
language plpgsql
set search_path = ''
as $$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, status text, amount bigint, amount_received bigint, currency text, livemode boolean,
    customer_id text, charge_id text, failure_code text, decline_code text, order_id uuid,
    presentment_amount bigint, presentment_currency text
  );
  v_version := private.version(
    private.rank(array['canceled', 'succeeded'], f.status),
    -- What a session tells of its payment yields to what the payment tells of itself.
    private.rank(array['session', 'intent'], p_source),
    private.stamp(p_at),
    private.rank(
      array[
        'requires_confirmation', 'requires_action', 'processing', 'requires_payment_method',
        'requires_capture', 'canceled', 'succeeded'
      ],
      f.status
    ),
    private.knowledge(p_fact), md5(p_fact::text)
  );

  insert into public.payments as p (
    id, order_id, status, amount, amount_received, currency, livemode, metadata_order_id, stripe_customer_id,
    charge_id, failure_code, decline_code, presentment_amount, presentment_currency, succeeded_at, version
  ) values (
    f.id, p_order_id, f.status, f.amount, f.amount_received, f.currency, f.livemode, f.order_id,
    f.customer_id, f.charge_id, f.failure_code, f.decline_code, f.presentment_amount, f.presentment_currency,
    case when f.status = 'succeeded' then p_at end, v_version
  )
  on conflict (id) do update set
    order_id = coalesce(p.order_id, excluded.order_id),
    succeeded_at = least(p.succeeded_at, excluded.succeeded_at);

  update public.payments p set
    status = f.status, amount = f.amount, amount_received = f.amount_received, currency = f.currency,
    livemode = f.livemode, metadata_order_id = f.order_id, stripe_customer_id = f.customer_id,
    charge_id = f.charge_id, failure_code = f.failure_code, decline_code = f.decline_code,
    presentment_amount = f.presentment_amount, presentment_currency = f.presentment_currency,
    version = v_version
  where p.id = f.id and p.version <= v_version;
end;
$$;
comment on function private.merge_payment(jsonb, uuid, timestamptz, text) is
  'Merges a payment fact seen at p_at into payments. p_source: intent (the payment itself) or session (what '
  'a paid session says of it). link_payments() has the last word on its order.';

create function private.merge_payment_attempt(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, livemode boolean, outcome text, amount bigint, currency text, failure_code text,
    decline_code text, advice_code text, payment_method_type text, card_brand text, card_last4 text,
    card_funding text, card_country text, card_fingerprint text, three_d_secure_result text, risk_level text,
    risk_score integer, seller_message text, receipt_url text, created bigint,
    presentment_amount bigint, presentment_currency text
  );
  v_version := private.version(
    private.rank(array['pending', 'failed', 'blocked', 'succeeded'], f.outcome), private.stamp(p_at),
    private.knowledge(p_fact), md5(p_fact::text)
  );
  insert into public.payment_attempts as a (
    id, payment_id, order_id, livemode, outcome, amount, currency, failure_code, decline_code, advice_code,
    payment_method_type, card_brand, card_last4, card_funding, card_country, card_fingerprint,
    three_d_secure_result, risk_level, risk_score, seller_message, receipt_url, presentment_amount,
    presentment_currency, version, created_at
  ) values (
    f.id, f.payment_id, p_order_id, f.livemode, f.outcome, f.amount, f.currency, f.failure_code,
    f.decline_code, f.advice_code, f.payment_method_type, f.card_brand, f.card_last4, f.card_funding,
    f.card_country, f.card_fingerprint, f.three_d_secure_result, f.risk_level, f.risk_score, f.seller_message,
    f.receipt_url, f.presentment_amount, f.presentment_currency, v_version, to_timestamp(f.created)
  )
  on conflict (id) do update set
    payment_id = excluded.payment_id, created_at = excluded.created_at,
    outcome = excluded.outcome, amount = excluded.amount, currency = excluded.currency,
    livemode = excluded.livemode, failure_code = excluded.failure_code, decline_code = excluded.decline_code,
    advice_code = excluded.advice_code, payment_method_type = excluded.payment_method_type,
    card_brand = excluded.card_brand, card_last4 = excluded.card_last4, card_funding = excluded.card_funding,
    card_country = excluded.card_country, card_fingerprint = excluded.card_fingerprint,
    three_d_secure_result = excluded.three_d_secure_result, risk_level = excluded.risk_level,
    risk_score = excluded.risk_score, seller_message = excluded.seller_message,
    receipt_url = excluded.receipt_url, presentment_amount = excluded.presentment_amount,
    presentment_currency = excluded.presentment_currency, version = excluded.version
  where a.version <= excluded.version;
end;
$$;
comment on function private.merge_payment_attempt(jsonb, uuid, timestamptz) is
  'Merges a payment_attempt fact seen at p_at into payment_attempts.';

-- Merging facts about refunds, disputes, signs of fraud and customers; the rules are those of the file
-- before.

create function private.merge_refund(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  f record;
  v_snapshot jsonb := p_fact - '{payment_id,charge_id,request_id}'::text[];
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, charge_id text, amount bigint, currency text, status text, reason text,
    failure_reason text, request_id text, created bigint, presentment_amount bigint,
    presentment_currency text
  );
  v_version := private.version(
    private.rank(array['pending', 'requires_action', 'succeeded', 'canceled', 'failed'], f.status),
    private.stamp(p_at), private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
  insert into public.refunds as r (
    id, order_id, payment_id, charge_id, amount, currency, status, reason, failure_reason, request_id,
    presentment_amount, presentment_currency, was_pending, succeeded_at, failed_at, version, created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.amount, f.currency, f.status,
    nullif(f.reason, 'fraudulent'), f.failure_reason, f.request_id, f.presentment_amount,
    f.presentment_currency, f.status in ('pending', 'requires_action'),
    case f.status when 'succeeded' then p_at end, case when f.status in ('failed', 'canceled') then p_at end,
    v_version, to_timestamp(f.created)
  )
  on conflict (id) do update set
    order_id = coalesce(r.order_id, excluded.order_id),
    payment_id = least(r.payment_id, excluded.payment_id), charge_id = least(r.charge_id, excluded.charge_id),
    request_id = least(r.request_id, excluded.request_id),
    created_at = least(r.created_at, excluded.created_at),
    was_pending = r.was_pending or excluded.was_pending,
    succeeded_at = least(r.succeeded_at, excluded.succeeded_at),
    failed_at = least(r.failed_at, excluded.failed_at);
  update public.refunds r set
    amount = f.amount, currency = f.currency, status = f.status, reason = nullif(f.reason, 'fraudulent'),
    failure_reason = f.failure_reason, presentment_amount = f.presentment_amount,
    presentment_currency = f.presentment_currency, version = v_version
  where r.id = f.id and r.version <= v_version;
  if found then
    insert into public.refund_reasons (refund_id, reason) values (f.id, f.reason)
    on conflict (refund_id) do update set reason = excluded.reason;
  end if;
end;
$$;
comment on function private.merge_refund(jsonb, uuid, timestamptz) is
  'Merges a refund fact seen at p_at into refunds.';

create function private.merge_dispute(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  f record;
  v_snapshot jsonb := p_fact - '{payment_id,charge_id,funds_withdrawn,funds_reinstated}'::text[];
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, charge_id text, livemode boolean, amount bigint, currency text, reason text,
    status text, evidence_due_by bigint, evidence_submission_count integer, has_evidence boolean,
    network_reason_code text, funds_withdrawn boolean, funds_reinstated boolean, created bigint
  );
  v_version := private.version(
    private.stamp(p_at),
    private.rank(
      array[
        'warning_needs_response', 'warning_under_review', 'needs_response', 'under_review', 'lost',
        'appeal_needs_response', 'appeal_under_review', 'warning_closed', 'prevented', 'won'
      ],
      f.status
    ),
    private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
  insert into public.disputes as d (
    id, order_id, payment_id, charge_id, livemode, amount, currency, reason, status, statuses_seen,
    evidence_due_by, first_due_by, evidence_submission_count, has_evidence, network_reason_code,
    funds_withdrawn, funds_reinstated, version, created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.livemode, f.amount, f.currency, f.reason, f.status,
    array[f.status], to_timestamp(f.evidence_due_by), to_timestamp(f.evidence_due_by),
      f.evidence_submission_count, f.has_evidence, f.network_reason_code,
    f.funds_withdrawn, f.funds_reinstated, v_version, to_timestamp(f.created)
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
    funds_reinstated = d.funds_reinstated or excluded.funds_reinstated;
  update public.disputes d set
    livemode = f.livemode, amount = f.amount, currency = f.currency, reason = f.reason, status = f.status,
    evidence_due_by = to_timestamp(f.evidence_due_by),
    evidence_submission_count = f.evidence_submission_count, has_evidence = f.has_evidence,
    network_reason_code = f.network_reason_code, version = v_version
  where d.id = f.id and d.version <= v_version;
end;
$$;
comment on function private.merge_dispute(jsonb, uuid, timestamptz) is
  'Merges a dispute fact seen at p_at into disputes.';

create function private.merge_fraud_signal(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  f record;
  v_snapshot jsonb := p_fact - '{payment_id,charge_id}'::text[];
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, kind text, payment_id text, charge_id text, open boolean, reason text, created bigint
  );
  v_version := private.version(
    private.stamp(p_at), private.rank(array['true', 'false'], f.open::text),
    private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
  insert into public.fraud_signals as s (
    source_id, order_id, payment_id, charge_id, kind, severity, open, was_actionable, data, version,
    created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.kind,
    case f.kind when 'early_fraud_warning' then 'critical' else 'warning' end,
    f.open, f.open, jsonb_build_object('reason', f.reason), v_version, to_timestamp(f.created)
  )
  on conflict on constraint fraud_signals_source_id_key do update set
    order_id = coalesce(s.order_id, excluded.order_id),
    payment_id = least(s.payment_id, excluded.payment_id), charge_id = least(s.charge_id, excluded.charge_id),
    created_at = least(s.created_at, excluded.created_at),
    was_actionable = s.was_actionable or excluded.was_actionable;
  update public.fraud_signals s set
    open = f.open, data = jsonb_build_object('reason', f.reason), version = v_version
  where s.source_id = f.id and s.version <= v_version;
end;
$$;
comment on function private.merge_fraud_signal(jsonb, uuid, timestamptz) is
  'Merges an early fraud warning or a review seen at p_at into fraud_signals.';

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
begin
  update public.customers c set
    -- An account's address comes from Supabase Auth; only guests take theirs from Stripe.
    email = case when c.user_id is null then coalesce(s.email, c.email) else c.email end,
    name = case when c.user_id is null then coalesce(s.name, c.name) else c.name end,
    stripe_deleted_at = s.deleted_at,
    -- Forgetting the id makes the next checkout create a new customer.
    stripe_customer_id = case when s.deleted_at is null then c.stripe_customer_id end
  from private.stripe_customers s
  where s.id = p_stripe_customer_id and c.livemode = s.livemode and (
    c.stripe_customer_id = s.id
    -- Forgotten with the deletion: then by what they bought.
    or (c.stripe_customer_id is null and c.id in (
      select o.customer_id
      from public.checkout_sessions cs join public.orders o on o.id = cs.order_id and o.session_id = cs.id
      where cs.stripe_customer_id = s.id
    ))
  );
end;
$$;
comment on function private.settle_stripe_customer(text) is
  'Brings the customers row of a Stripe customer up to what Stripe last said of it: a guest''s address and '
  'name, a deletion.';

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

create function private.lock_facts(p_facts jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_payment_id text;
begin
  -- A refund and the event that tells whose payment it is may run side by side: whoever comes second sees the
  -- first.
  for v_payment_id in
    select distinct private.payment_of_fact(f) as payment_id
    from jsonb_array_elements(p_facts) f order by payment_id
  loop
    if v_payment_id is not null then
      perform pg_advisory_xact_lock(hashtextextended('payment:' || v_payment_id, 0));
    end if;
  end loop;

  perform 1
  from public.orders o
  where o.id in (
    select private.order_of_fact(f) from jsonb_array_elements(p_facts) f
    union
    select p.order_id
    from jsonb_array_elements(p_facts) f join public.payments p on p.id = private.payment_of_fact(f)
    union
    select s.order_id from jsonb_array_elements(p_facts) f
    join public.checkout_sessions s on s.payment_id = private.payment_of_fact(f)
  )
  order by o.id
  for no key update;
end;
$$;
comment on function private.lock_facts(jsonb) is
  'Locks what facts may touch, in the one order that all use: payments (advisory), orders by id. Stock by '
  'variant comes after, in settle_order().';

create function private.merge_fact(p_fact jsonb, p_order_id uuid, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_fact constant jsonb := private.without_person(p_fact, p_order_id);
begin
  case p_fact ->> 'fact'
    when 'checkout_session' then perform private.merge_checkout_session(v_fact, p_order_id, p_at);
    when 'payment' then perform private.merge_payment(v_fact, p_order_id, p_at);
    when 'payment_attempt' then perform private.merge_payment_attempt(v_fact, p_order_id, p_at);
    when 'refund' then perform private.merge_refund(v_fact, p_order_id, p_at);
    when 'dispute' then perform private.merge_dispute(v_fact, p_order_id, p_at);
    when 'fraud_signal' then perform private.merge_fraud_signal(v_fact, p_order_id, p_at);
    when 'customer' then perform private.merge_customer(v_fact, p_at);
    else raise exception 'unknown fact %', p_fact ->> 'fact' using errcode = 'SHINV';
  end case;
end;
$$;
comment on function private.merge_fact(jsonb, uuid, timestamptz) is
  'Merges one fact of an order, or of none yet, seen at p_at; of an erased order without the person. SHINV: '
  'a fact that nobody knows.';

create function private.apply_facts(
  p_facts jsonb,
  p_at timestamptz,
  p_source text,
  p_livemode boolean default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_fact jsonb;
  v_kind text;
  v_order_id uuid;
  v_order_ids uuid[] := '{}';
  v_payment_ids text[] := '{}';
  v_applied integer := 0;
begin
  perform private.lock_facts(p_facts);

  for v_fact in select f from jsonb_array_elements(p_facts) f loop
    v_kind := v_fact ->> 'fact';
    v_order_id := private.order_of_fact(v_fact);
    if v_kind = 'unknown_value' then
      perform private.raise_alert(
        'unknown_stripe_value', 'warning',
        format('unknown_stripe_value:%s:%s', v_fact ->> 'field', v_fact ->> 'value'),
        v_fact - 'fact'
      );
      continue;
    elsif v_kind in ('checkout_session', 'payment', 'payment_attempt') and v_order_id is null then
      -- Somebody else's: only these three carry our metadata, so without an order they are not ours.
      continue;
    elsif exists (select 1 from public.orders o where o.id = v_order_id and o.livemode <> p_livemode) then
      -- Test and live mode are two worlds: the same id means another object there.
      continue;
    elsif v_kind = 'unread' then
      -- Nothing to merge: queue_refreshes() has it read. What is of no order of ours is not.
      v_applied := v_applied + (v_order_id is not null)::integer;
      continue;
    end if;
    if v_kind = 'customer'
      and not exists (select 1 from private.stripe_customers c where c.id = v_fact ->> 'id') then
      -- Nobody who bought here, so nothing of them is kept. Should they buy later, know_customer() looks
      -- again.
      v_applied := v_applied + 1;
      continue;
    end if;
    perform private.merge_fact(v_fact, v_order_id, p_at);
    v_applied := v_applied + 1;
    v_order_ids := v_order_ids || v_order_id;
    v_payment_ids := v_payment_ids
      || coalesce(private.payment_of_fact(v_fact), private.payment_of_charge(v_fact ->> 'charge_id'));
  end loop;

  v_order_ids := v_order_ids || private.link_payments(v_payment_ids);
  select coalesce(array_agg(distinct x.id order by x.id), '{}') into v_order_ids
  from unnest(v_order_ids) as x (id) where x.id is not null;
  foreach v_order_id in array v_order_ids loop
    perform private.settle_order(v_order_id, p_source);
  end loop;
  return jsonb_build_object('applied', v_applied, 'order_ids', to_jsonb(v_order_ids));
end;
$$;
comment on function private.apply_facts(jsonb, timestamptz, text, boolean) is
  'Merges facts seen at p_at and settles the orders they touch. p_livemode: mode of the event that brought '
  'them; facts about an order of the other mode are passed over. Returns { applied, order_ids }; applied 0: '
  'nothing here is ours.';

create function private.link_payments(p_payment_ids text[]) returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
  p record;
  v_order_ids uuid[] := '{}';
begin
  for p in
    select pi.id, pi.order_id as before,
      -- Failed attempts too: what names only a charge may name any of them.
      array(select a.id from public.payment_attempts a where a.payment_id = pi.id)
        || pi.charge_id as charge_ids,
      coalesce(
      (select s.order_id from public.checkout_sessions s where s.payment_id = pi.id order by s.id limit 1),
      (select o.id from public.orders o where o.id = pi.metadata_order_id),
      pi.order_id
    ) as order_id
    from public.payments pi
    where pi.id = any (p_payment_ids)
  loop
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
  'attempts, refunds, disputes, signals, whichever came first. Returns the orders to settle.';

create function private.queue_refreshes(p_facts jsonb, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_fact jsonb;
  v_object text;
  v_unread boolean;
begin
  for v_fact in select f from jsonb_array_elements(p_facts) f loop
    v_unread := v_fact ->> 'fact' = 'unread';
    v_object := case
      when v_fact ->> 'fact' in ('dispute', 'refund') then v_fact ->> 'fact'
      when v_fact ->> 'kind' = 'review' then 'review'
      when v_unread and private.order_of_fact(v_fact) is not null then v_fact ->> 'object'
    end;
    if v_object is not null then
      perform private.enqueue_job(
        'refresh_' || v_object,
        format('refresh_%s:%s:%s', v_object, v_fact ->> 'id', floor(extract(epoch from p_at))::bigint),
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
  'of one second cannot be told apart by time; and what an event''s API version does not tell in full '
  '(unread).';

-- From an event, or an object read from the API, to settled orders: one transaction, one round trip.

create function private.concerns_erased(p_facts jsonb, p_order_ids jsonb) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.orders o
    where o.erased_at is not null and (
      o.id in (select x::uuid from jsonb_array_elements_text(p_order_ids) x)
      or o.id in (select private.order_of_fact(f) from jsonb_array_elements(p_facts) f)
    )
  ) or exists (select 1 from jsonb_array_elements(p_facts) f where private.is_erased(f, null));
end;
$$;
comment on function private.concerns_erased(jsonb, jsonb) is
  'Whether an event with these facts, which touched these orders, is about somebody who has been erased: '
  'its payload is not kept.';

create function private.without_secrets(p_payload jsonb) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- With a client secret, whoever reads the log could act on the payment page as the shopper.
  return p_payload #- '{data,object,client_secret}' #- '{data,object,next_action}'
    #- '{data,object,payment_intent,client_secret}' #- '{data,object,payment_intent,next_action}'
    #- '{data,object,setup_intent,client_secret}' #- '{data,previous_attributes,client_secret}'
    #- '{data,previous_attributes,next_action}';
end;
$$;
comment on function private.without_secrets(jsonb) is
  'A webhook''s payload as it is stored: without client secrets and the addresses that carry them.';

create type public.event_outcome as (
  outcome text,
  reason text,
  delivery_count integer,
  order_ids uuid[],
  closing_sessions text[]
);
comment on type public.event_outcome is
  'What became of an event: applied, duplicate, ignored or queued (both with the reason), how often Stripe '
  'has delivered it, the orders it touched (where it was not applied now: the order it is about), and the '
  'payment pages that it had ended.';

create function private.process_stripe_event(
  p_event_id text,
  p_stripe_created_at timestamptz,
  p_facts jsonb,
  p_ignored_reason text,
  p_error text
) returns public.event_outcome
language plpgsql
set search_path = ''
as $$
declare
  v_reason text := p_ignored_reason;
  v_error text := p_error;
  v_result jsonb;
  v_run_at timestamptz := now() + private.backoff(1);
  v_before constant public.webhook_events := (select e from public.webhook_events e where e.id = p_event_id);
  v_outcome public.event_outcome;
begin
  if v_reason is null and v_error is null then
    begin
      v_result := private.apply_facts(p_facts, p_stripe_created_at, p_event_id, v_before.livemode);
      if (v_result ->> 'applied')::integer = 0
        and not jsonb_path_exists(p_facts, '$[*] ? (@.fact == "unknown_value")') then
        v_reason := 'foreign_object';
      else
        perform private.queue_refreshes(p_facts, p_stripe_created_at);
      end if;
    exception when others then
      -- Stored all the same: from here on our queue owns the retry.
      v_error := private.error_text(sqlstate, sqlerrm);
    end;
  end if;

  update public.webhook_events set
    status = case
      when v_error is not null then 'failed'
      when v_reason is not null then 'ignored'
      else 'processed'
    end, ignored_reason = v_reason,
    attempts = attempts + 1,
    processed_at = case when v_error is null then now() else processed_at end,
    next_attempt_at = case when v_error is not null then v_run_at end,
    last_error = v_error,
    payload = case when v_error is null and private.concerns_erased(p_facts, v_result -> 'order_ids')
      then '{"erased": true}' else payload end
  where id = p_event_id;

  if v_error is not null then
    perform private.enqueue_job(
      'retry_event', 'retry_event:' || p_event_id, jsonb_build_object('event_id', p_event_id), v_run_at, 10
    );
    v_outcome.outcome := 'queued';
    v_outcome.reason := v_error;
  elsif v_reason is not null then
    v_outcome.outcome := 'ignored';
    v_outcome.reason := v_reason;
  else
    v_outcome.outcome := 'applied';
    perform private.count_applied(v_before);
    v_outcome.order_ids := array(select x::uuid from jsonb_array_elements_text(v_result -> 'order_ids') x);
    v_outcome.closing_sessions := array(
      select s.id from public.checkout_sessions s
      where s.status = 'open' and s.closing_at = now() order by s.id
    );
  end if;
  return v_outcome;
end;
$$;
comment on function private.process_stripe_event(text, timestamptz, jsonb, text, text) is
  'Applies the facts of a stored event, or notes why it is ignored. When that fails the event stays stored '
  'as failed with a retry_event job, and the failure leaves no other trace. closing_sessions: payment pages '
  'that it had ended; their jobs are queued, and who can ends them at once.';

create function private.is_newer_version(p_version text, p_than text) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Versions begin with their date; what has none (thin events, none) is older than all.
  return coalesce(substring(p_version from '^\d{4}-\d{2}-\d{2}'), '') collate "C"
    > coalesce(substring(p_than from '^\d{4}-\d{2}-\d{2}'), '') collate "C";
end;
$$;
comment on function private.is_newer_version(text, text) is 'Whether an API version is newer than another.';

create function private.store_stripe_event(
  p_event_id text,
  p_type text,
  p_livemode boolean,
  p_api_version text,
  p_stripe_created_at timestamptz,
  p_source_ip text,
  p_payload jsonb,
  p_facts jsonb,
  p_ignored_reason text,
  p_error text,
  p_alerts jsonb,
  p_delivered boolean
) returns public.event_outcome
language plpgsql
set search_path = ''
as $$
declare
  v_event public.webhook_events;
  v_outcome public.event_outcome;
begin
  -- Concurrent deliveries of one event queue up on its primary key; only the first one gets to apply it.
  insert into public.webhook_events as e (
    id, type, status, livemode, api_version, stripe_created_at, source_ip, object_id, payload,
    delivery_count, delivered_at
  ) values (
    p_event_id, p_type, 'failed', p_livemode, p_api_version, p_stripe_created_at, p_source_ip::inet,
    -- Customers who never bought here leave no trace but the event.
    case when p_type not like 'customer.%' then p_payload #>> '{data,object,id}' end,
    private.without_secrets(p_payload), p_delivered::integer, case when p_delivered then now() end
  )
  on conflict (id) do update set
    delivery_count = e.delivery_count + p_delivered::integer,
    delivered_at = case when p_delivered then now() else e.delivered_at end,
    source_ip = coalesce(e.source_ip, excluded.source_ip)
  returning * into v_event;

  if p_delivered and v_event.delivery_count = 1 then
    perform private.raise_alert(a.kind, a.severity, a.dedupe_key, coalesce(a.data, '{}'))
    from jsonb_to_recordset(coalesce(p_alerts, '[]')) as a (
      kind text, severity text, dedupe_key text, data jsonb
    );
  end if;
  if v_event.status in ('processed', 'ignored') and (
    p_facts is null or v_event.payload ? 'erased'
    or not private.is_newer_version(p_api_version, v_event.api_version)
  ) then
    v_outcome.outcome := 'duplicate';
    v_outcome.delivery_count := v_event.delivery_count;
    return v_outcome;
  elsif v_event.status = 'dead' then
    -- Delivered anew, it lives again: its job goes on trying if this fails too, and ends well (with its
    -- alert) if not.
    perform private.redrive_event(p_event_id);
  end if;
  if private.is_newer_version(p_api_version, v_event.api_version) then
    -- While an endpoint's version is changed, two endpoints deliver each event: the newer may know more.
    update public.webhook_events set api_version = p_api_version, payload = private.without_secrets(p_payload)
    where id = p_event_id;
  end if;

  v_outcome := private.process_stripe_event(
    p_event_id, p_stripe_created_at, p_facts, p_ignored_reason, p_error
  );
  v_outcome.delivery_count := v_event.delivery_count;
  return v_outcome;
end;
$$;
comment on function private.store_stripe_event(
  text, text, boolean, text, timestamptz, text, jsonb, jsonb, text, text, jsonb, boolean
) is
  'receive_stripe_event() for both ways an event comes: p_delivered tells whether Stripe posted it to us, '
  'which delivery_count and delivered_at count, or we fetched it.';

create function public.receive_stripe_event(
  p_event_id text,
  p_type text,
  p_livemode boolean,
  p_api_version text,
  p_stripe_created_at timestamptz,
  p_source_ip text,
  p_payload jsonb,
  p_facts jsonb,
  p_ignored_reason text,
  p_error text,
  p_alerts jsonb
) returns public.event_outcome
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_outcome public.event_outcome := private.store_stripe_event(
    p_event_id, p_type, p_livemode, p_api_version, p_stripe_created_at, p_source_ip, p_payload, p_facts,
    p_ignored_reason, p_error, p_alerts, true
  );
begin
  if v_outcome.order_ids is null then
    -- For the log: the caller says which order a delivery was about, whatever became of it.
    v_outcome.order_ids := array_remove(array[private.order_of(p_payload #>> '{data,object,id}')], null);
  end if;
  perform private.count_metric('webhook_deliveries', array[
    -- Only types that we listen to are counted by name: the others come with a reason to ignore them.
    case when p_ignored_reason is null then p_type else 'other' end, v_outcome.outcome
  ]);
  return v_outcome;
end;
$$;
comment on function public.receive_stripe_event(
  text, text, boolean, text, timestamptz, text, jsonb, jsonb, text, text, jsonb
) is
  'Stores an authentic event that Stripe delivered and applies it, in one transaction. Exactly one of '
  'p_facts, p_ignored_reason and p_error (the translator threw) is given; p_alerts: [{ kind, severity, '
  'dedupe_key, data }]. A further delivery in a newer API version is merged as well. An error means '
  'that nothing was stored.';
grant execute on function public.receive_stripe_event(
  text, text, boolean, text, timestamptz, text, jsonb, jsonb, text, text, jsonb
) to service_role;

create function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text)
returns public.event_outcome
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_event public.webhook_events;
  v_outcome public.event_outcome;
begin
  select * into v_event from public.webhook_events where id = p_event_id for no key update;
  if not found then
    raise exception 'event % is not stored', p_event_id using errcode = 'SHEVT';
  elsif v_event.status in ('processed', 'ignored') and v_event.next_attempt_at is null then
    v_outcome.outcome := 'duplicate';
  else
    v_outcome := private.process_stripe_event(
      p_event_id, v_event.stripe_created_at, p_facts, p_ignored_reason, p_error
    );
  end if;
  v_outcome.delivery_count := v_event.delivery_count;
  return v_outcome;
end;
$$;
comment on function public.retry_stripe_event(text, jsonb, text, text) is
  'Tries a stored event again with a fresh translation of its payload. duplicate: it has been applied '
  'meanwhile, and nobody asked for it to be applied anew. SHEVT: no such event.';
grant execute on function public.retry_stripe_event(text, jsonb, text, text) to service_role;

create function public.get_stripe_event(p_event_id text) returns setof public.webhook_events
language sql
stable
security definer
set search_path = ''
as $$
  select * from public.webhook_events e where e.id = p_event_id
$$;
comment on function public.get_stripe_event(text) is 'A stored event, or no row.';
grant execute on function public.get_stripe_event(text) to service_role;

create function public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamptz)
returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- It stands in the audit trail: nobody passes for staff or for an event there.
  if p_source is null or p_source not in ('order_status', 'reconcile', 'job', 'checkout') then
    raise exception 'facts do not come from %', p_source using errcode = 'SHINV';
  end if;
  return (private.apply_facts(p_facts, p_observed_at, p_source) ->> 'applied')::integer > 0;
end;
$$;
comment on function public.apply_stripe_facts(jsonb, text, timestamptz) is
  'Merges facts read from Stripe''s API at p_observed_at (before the request was sent) and settles. '
  'p_source: order_status, reconcile, job or checkout. Returns whether anything was ours. SHINV: any other '
  'source.';
grant execute on function public.apply_stripe_facts(jsonb, text, timestamptz) to service_role;
