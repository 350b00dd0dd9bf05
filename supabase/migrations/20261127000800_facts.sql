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
-- Each merge says whether it brought news: whether a column that orders are judged by has changed. What
-- brings none need not settle the order again.
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
  return lpad(
    jsonb_array_length(jsonb_path_query_array(
      p_fact, 'strict $.** ? (@.type() == "string" || @.type() == "number" || @.type() == "boolean")'
    ))::text, 3, '0'
  );
end;
$$;
comment on function private.knowledge(jsonb) is
  'How many fields of a fact say something, as three digits: of two translations of one event the fuller '
  'one wins.';

create function private.upsert_session(
  p_fact jsonb,
  p_order_id uuid,
  p_at timestamptz,
  p_version text,
  p_contact_version text
) returns public.checkout_sessions
language plpgsql
set search_path = ''
as $$
declare
  v_session public.checkout_sessions;
begin
  insert into public.checkout_sessions as s (
    id, order_id, attempt, status, payment_status, async_payment_failed, awaited_payment, payment_id,
    stripe_customer_id, currency, amount_subtotal, amount_total, amount_discount, amount_shipping, amount_tax,
    livemode, metadata_order_id, cart_hash, email, name, phone, shipping_name, shipping_address,
    billing_address, business, url, expires_at, recovered_from, terms_consent, promotions_consent,
    completed_at, presentment_amount, presentment_currency, version, contact_version
  )
  select f.id, p_order_id, f.attempt, f.status, f.payment_status, f.async_payment_failed,
    coalesce(f.awaited_payment, false), f.payment_id, f.customer_id, f.currency, f.amount_subtotal,
    f.amount_total, f.amount_discount, f.amount_shipping, f.amount_tax, f.livemode, f.order_id, f.cart_hash,
    f.email, f.name, f.phone, f.shipping_name, f.shipping_address, f.billing_address, f.business, f.url,
    to_timestamp(f.expires_at), f.recovered_from, f.terms_consent, f.promotions_consent,
    case when f.status = 'complete' then p_at end, f.presentment_amount, f.presentment_currency, p_version,
    p_contact_version
  from jsonb_to_record(p_fact) as f (
    id text, attempt integer, status text, payment_status text, async_payment_failed boolean,
    awaited_payment boolean, payment_id text, customer_id text, currency text, amount_subtotal bigint,
    amount_total bigint, amount_discount bigint, amount_shipping bigint, amount_tax bigint, livemode boolean,
    order_id uuid, cart_hash text, email text, name text, phone text, shipping_name text,
    shipping_address jsonb, billing_address jsonb, business jsonb, url text, expires_at bigint,
    recovered_from text, terms_consent text, promotions_consent text, presentment_amount bigint,
    presentment_currency text
  )
  on conflict (id) do update set
    attempt = least(s.attempt, excluded.attempt),
    async_payment_failed = s.async_payment_failed or excluded.async_payment_failed,
    awaited_payment = s.awaited_payment or excluded.awaited_payment,
    url = least(s.url, excluded.url),
    recovered_from = least(s.recovered_from, excluded.recovered_from),
    terms_consent = least(s.terms_consent, excluded.terms_consent),
    promotions_consent = least(s.promotions_consent, excluded.promotions_consent),
    completed_at = least(s.completed_at, excluded.completed_at),
    (status, payment_status, payment_id, stripe_customer_id, currency, amount_subtotal, amount_total,
      amount_discount, amount_shipping, amount_tax, livemode, metadata_order_id, cart_hash, expires_at,
      presentment_amount, presentment_currency, version) = (
      select (n.r).status, (n.r).payment_status, (n.r).payment_id, (n.r).stripe_customer_id, (n.r).currency,
        (n.r).amount_subtotal, (n.r).amount_total, (n.r).amount_discount, (n.r).amount_shipping,
        (n.r).amount_tax, (n.r).livemode, (n.r).metadata_order_id, (n.r).cart_hash, (n.r).expires_at,
        (n.r).presentment_amount, (n.r).presentment_currency, (n.r).version
      from (select case when s.version <= excluded.version then excluded else s end as r offset 0) n
    ),
    -- Stripe never takes an address back: a snapshot without one is told by an event that cannot carry it.
    (email, name, phone, shipping_name, shipping_address, billing_address, business, contact_version) =
      (
      select (n.r).email, (n.r).name, (n.r).phone, (n.r).shipping_name, (n.r).shipping_address,
        (n.r).billing_address, (n.r).business, (n.r).contact_version
      from (
        select case when s.contact_version <= excluded.contact_version then excluded else s end as r offset 0
      ) n
    )
  returning * into v_session;
  return v_session;
end;
$$;
comment on function private.upsert_session(jsonb, uuid, timestamptz, text, text) is
  'Writes what merge_checkout_session() has judged, and returns the row. Two snapshots, each the newest of '
  'its kind: how the session stands, and who bought and where the parcel goes.';

create function private.merge_checkout_session(p_fact jsonb, p_order_id uuid, p_at timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_before constant public.checkout_sessions := (
    select s from public.checkout_sessions s where s.id = p_fact ->> 'id'
  );
  v_after public.checkout_sessions;
  v_snapshot constant jsonb := p_fact
    - '{async_payment_failed,awaited_payment,attempt,url,recovered_from,terms_consent,promotions_consent}'
      ::text[];
  v_version constant text := private.version(
    private.rank(array['open', 'expired', 'complete'], p_fact ->> 'status'),
    private.rank(array['unpaid', 'no_payment_required', 'paid'], p_fact ->> 'payment_status'),
    private.stamp(p_at), private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
begin
  v_after := private.upsert_session(
    p_fact, p_order_id, p_at, v_version,
    private.version(case when p_fact ->> 'shipping_address' is null then '0' else '1' end, v_version)
  );
  perform private.know_customer(p_fact ->> 'customer_id', v_after.livemode);
  v_after.version := v_before.version;
  v_after.contact_version := v_before.contact_version;
  return private.merge_session_payment(p_fact, p_order_id, p_at) or v_after is distinct from v_before;
end;
$$;
comment on function private.merge_checkout_session(jsonb, uuid, timestamptz) is
  'Merges a checkout_session fact seen at p_at into checkout_sessions. The order of a known session never '
  'changes. Returns whether that is news: whether anything is known now that was not known before.';

create function private.merge_session_payment(p_fact jsonb, p_order_id uuid, p_at timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- A paid session proves that its payment succeeded, also when the payment's own events are still under way.
  if p_fact ->> 'status' = 'complete' and p_fact ->> 'payment_status' = 'paid'
    and p_fact ->> 'payment_id' is not null then
    return private.merge_payment(
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
  return false;
end;
$$;
comment on function private.merge_session_payment(jsonb, uuid, timestamptz) is
  'Merges what a paid session says of its payment, and returns whether that is news.';

create function private.merge_payment(
  p_fact jsonb,
  p_order_id uuid,
  p_at timestamptz,
  p_source text default 'intent'
) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_before constant public.payments := (select p from public.payments p where p.id = p_fact ->> 'id');
  v_after public.payments;
  v_version constant text := private.version(
    private.rank(array['canceled', 'succeeded'], p_fact ->> 'status'),
    -- What a session tells of its payment yields to what the payment tells of itself.
    private.rank(array['session', 'intent'], p_source),
    private.stamp(p_at),
    private.rank(
      array[
        'requires_confirmation', 'requires_action', 'processing', 'requires_payment_method',
        'requires_capture', 'canceled', 'succeeded'
      ],
      p_fact ->> 'status'
    ),
    private.knowledge(p_fact), md5(p_fact::text)
  );
begin
  insert into public.payments as p (
    id, order_id, status, amount, amount_received, currency, livemode, metadata_order_id, stripe_customer_id,
    charge_id, failure_code, decline_code, presentment_amount, presentment_currency, succeeded_at, version
  )
  select f.id, p_order_id, f.status, f.amount, f.amount_received, f.currency, f.livemode, f.order_id,
    f.customer_id, f.charge_id, f.failure_code, f.decline_code, f.presentment_amount, f.presentment_currency,
    case when f.status = 'succeeded' then p_at end, v_version
  from jsonb_to_record(p_fact) as f (
    id text, status text, amount bigint, amount_received bigint, currency text, livemode boolean,
    customer_id text, charge_id text, failure_code text, decline_code text, order_id uuid,
    presentment_amount bigint, presentment_currency text
  )
  on conflict (id) do update set
    order_id = coalesce(p.order_id, excluded.order_id),
    succeeded_at = least(p.succeeded_at, excluded.succeeded_at),
    (status, amount, amount_received, currency, livemode, metadata_order_id, stripe_customer_id,
      charge_id, failure_code, decline_code, presentment_amount, presentment_currency, version) = (
      select (n.r).status, (n.r).amount, (n.r).amount_received, (n.r).currency, (n.r).livemode,
        (n.r).metadata_order_id, (n.r).stripe_customer_id, (n.r).charge_id, (n.r).failure_code,
        (n.r).decline_code, (n.r).presentment_amount, (n.r).presentment_currency, (n.r).version
      from (select case when p.version <= excluded.version then excluded else p end as r offset 0) n
    )
  returning * into v_after;
  v_after.version := v_before.version;
  -- It ties other facts to the payment, which link_payments() sees to; no order is judged by it.
  v_after.charge_id := v_before.charge_id;
  return v_after is distinct from v_before;
end;
$$;
comment on function private.merge_payment(jsonb, uuid, timestamptz, text) is
  'Merges a payment fact seen at p_at into payments, and returns whether that is news. p_source: intent (the '
  'payment itself) or session (what a paid session says of it). link_payments() has the last word on its '
  'order.';

create function private.merge_payment_attempt(p_fact jsonb, p_order_id uuid, p_at timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_before constant public.payment_attempts := (
    select a from public.payment_attempts a where a.id = p_fact ->> 'id'
  );
  v_after public.payment_attempts;
  v_version constant text := private.version(
    private.rank(array['pending', 'failed', 'blocked', 'succeeded'], p_fact ->> 'outcome'),
    private.stamp(p_at), private.knowledge(p_fact), md5(p_fact::text)
  );
begin
  insert into public.payment_attempts as a (
    id, payment_id, order_id, livemode, outcome, amount, currency, failure_code, decline_code, advice_code,
    payment_method_type, card_brand, card_last4, card_funding, card_country, card_fingerprint,
    three_d_secure_result, risk_level, risk_score, seller_message, receipt_url, presentment_amount,
    presentment_currency, version, created_at
  )
  select f.id, f.payment_id, p_order_id, f.livemode, f.outcome, f.amount, f.currency, f.failure_code,
    f.decline_code, f.advice_code, f.payment_method_type, f.card_brand, f.card_last4, f.card_funding,
    f.card_country, f.card_fingerprint, f.three_d_secure_result, f.risk_level, f.risk_score, f.seller_message,
    f.receipt_url, f.presentment_amount, f.presentment_currency, v_version, to_timestamp(f.created)
  from jsonb_to_record(p_fact) as f (
    id text, payment_id text, livemode boolean, outcome text, amount bigint, currency text, failure_code text,
    decline_code text, advice_code text, payment_method_type text, card_brand text, card_last4 text,
    card_funding text, card_country text, card_fingerprint text, three_d_secure_result text, risk_level text,
    risk_score integer, seller_message text, receipt_url text, created bigint, presentment_amount bigint,
    presentment_currency text
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
  where a.version <= excluded.version
  returning * into v_after;
  v_after.version := v_before.version;
  -- Not found: an older one, so nothing was written.
  return found and v_after is distinct from v_before;
end;
$$;
comment on function private.merge_payment_attempt(jsonb, uuid, timestamptz) is
  'Merges a payment_attempt fact seen at p_at into payment_attempts, and returns whether that is news.';

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

-- From an event, or an object read from the API, to settled orders: one transaction, one round trip.

create function private.object_of_event(p_payload jsonb) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(p_payload #>> '{data,object,id}', p_payload #>> '{related_object,id}');
end;
$$;
comment on function private.object_of_event(jsonb) is
  'The object at Stripe that an event is about, snapshot or thin; null: none.';

create function private.without_secrets(p_payload jsonb) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
declare
  -- With a client secret, whoever reads the log could act on the payment page as the shopper.
  c_secret constant text[] := array['client_secret', 'next_action'];
  v_payload jsonb := p_payload;
  v_path text[];
begin
  foreach v_path slice 1 in array array[
    ['data', 'object', ''], ['data', 'previous_attributes', ''], ['data', 'object', 'payment_intent'],
    ['data', 'object', 'setup_intent']
  ] loop
    v_path := array_remove(v_path, '');
    if (p_payload #> v_path) ?| c_secret then
      v_payload := jsonb_set(v_payload, v_path, (v_payload #> v_path) - c_secret);
    end if;
  end loop;
  return v_payload;
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

create function private.event_lock(p_event_id text) returns bigint
language plpgsql
immutable
set search_path = ''
as $$
begin
  return hashtextextended('event:' || p_event_id, 0);
end;
$$;
comment on function private.event_lock(text) is 'The number of the advisory lock of an event.';

create function private.lock_event(p_event_id text) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock(private.event_lock(p_event_id));
  perform 1 from public.webhook_events e where e.id = p_event_id for no key update;
end;
$$;
comment on function private.lock_event(text) is
  'Concurrent deliveries of one event queue up here, and only the first one gets to apply it: its row is '
  'written once, when it is known what became of it. The row is locked too, where there is one.';

create function private.write_event(e public.webhook_events) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.webhook_events as w
  select e.*
  on conflict (id) do update set
    status = excluded.status, ignored_reason = excluded.ignored_reason, attempts = excluded.attempts,
    processed_at = excluded.processed_at, next_attempt_at = excluded.next_attempt_at,
    last_error = excluded.last_error, payload = excluded.payload, api_version = excluded.api_version;
end;
$$;
comment on function private.write_event(public.webhook_events) is
  'Writes an event, new or tried again. How often it was delivered stands in its row already.';

create function private.closing_sessions() returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select s.id from public.checkout_sessions s
    where s.status = 'open' and s.closing_at = now() order by s.id
  );
end;
$$;
comment on function private.closing_sessions() is 'The payment pages that this transaction has ended.';

create function private.queue_retry(p_event_id text, p_run_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_key constant text := 'retry_event:' || p_event_id;
begin
  if not private.enqueue_job(
    'retry_event', v_key, jsonb_build_object('event_id', p_event_id), p_run_at, 10
  ) then
    -- It had failed and was applied since; delivered again in a newer version, it has failed anew.
    update private.jobs set status = 'queued', run_at = p_run_at, attempts = 0, finished_at = null
    where dedupe_key = v_key and status in ('done', 'discarded');
  end if;
end;
$$;
comment on function private.queue_retry(text, timestamptz) is
  'Queues another try of an event that could not be applied. A job that waits, or is at it, stays as it is.';

create function private.process_stripe_event(
  e public.webhook_events,
  p_facts jsonb,
  p_ignored_reason text,
  p_error text,
  p_settle text default 'news'
) returns public.event_outcome
language plpgsql
set search_path = ''
as $$
declare
  v_applied_before constant boolean := e.processed_at is not null;
  r private.applied_facts;
  v_past constant boolean := private.date_effects(e.stripe_created_at);
  v_outcome public.event_outcome;
begin
  e.ignored_reason := p_ignored_reason;
  e.last_error := p_error;
  if p_ignored_reason is null and p_error is null then
    begin
      r := private.apply_facts(
        p_facts, e.stripe_created_at, e.id, e.livemode,
        -- What is applied anew is to repair what was damaged; never settles all of them later.
        case when e.attempts = 0 or p_settle = 'never' then p_settle else 'always' end
      );
      if r.applied = 0 and not jsonb_path_exists(p_facts, '$[*] ? (@.fact == "unknown_value")') then
        e.ignored_reason := 'foreign_object';
      else
        perform private.queue_refreshes(p_facts, e.stripe_created_at);
      end if;
    exception when others then
      -- Stored all the same: from here on our queue owns the retry.
      e.last_error := private.error_text(sqlstate, sqlerrm);
    end;
  end if;

  e.attempts := e.attempts + 1;
  e.next_attempt_at := null;
  if e.last_error is not null then
    e.status := 'failed';
    e.next_attempt_at := now() + private.backoff(1);
    perform private.queue_retry(e.id, e.next_attempt_at);
    v_outcome.outcome := 'queued';
    v_outcome.reason := e.last_error;
  else
    e.status := case when e.ignored_reason is null then 'processed' else 'ignored' end;
    e.processed_at := now();
    v_outcome.outcome := case when e.ignored_reason is null then 'applied' else 'ignored' end;
    v_outcome.reason := e.ignored_reason;
    if r.erased then
      e.payload := '{"erased": true}';
    end if;
  end if;
  perform private.write_event(e);

  if v_outcome.outcome = 'applied' then
    if not v_applied_before then
      perform private.observe_metric(
        'webhook_lag_seconds', array[case e.delivery_count when 0 then 'fetched' else 'delivered' end],
        extract(epoch from clock_timestamp() - e.stripe_created_at)
      );
    end if;
    v_outcome.order_ids := r.order_ids;
    v_outcome.closing_sessions := case when p_settle <> 'never' then private.closing_sessions() end;
  end if;
  return v_outcome;
end;
$$;
comment on function private.process_stripe_event(public.webhook_events, jsonb, text, text, text) is
  'Applies the facts of an event, or notes why it is ignored, and writes its row. When that fails the event '
  'is stored as failed with a retry_event job, and the failure leaves no other trace. closing_sessions: '
  'payment pages that it had ended; their jobs are queued, and who can ends them at once.';

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
  p_delivered boolean,
  p_settle text default 'news'
) returns public.event_outcome
language plpgsql
set search_path = ''
as $$
declare
  e public.webhook_events;
  v_outcome public.event_outcome;
begin
  -- The row, where there is one, is locked by its update.
  perform pg_advisory_xact_lock(private.event_lock(p_event_id));
  update public.webhook_events w set
    delivery_count = w.delivery_count + p_delivered::integer,
    delivered_at = case when p_delivered then now() else w.delivered_at end,
    source_ip = coalesce(w.source_ip, p_source_ip::inet)
  where w.id = p_event_id
  returning * into e;
  if not found then
    if private.was_purged(p_event_id, p_stripe_created_at) then
      return row('duplicate', null, 0, null, null)::public.event_outcome;
    end if;
    e.id := p_event_id;
    e.type := p_type;
    e.livemode := p_livemode;
    e.api_version := p_api_version;
    e.stripe_created_at := p_stripe_created_at;
    e.source_ip := p_source_ip::inet;
    -- Customers who never bought here leave no trace but the event.
    e.object_id := case when p_type !~ '^(v1\.)?customer\.' then private.object_of_event(p_payload) end;
    e.payload := private.without_secrets(p_payload);
    e.attempts := 0;
    e.delivery_count := p_delivered::integer;
    e.delivered_at := case when p_delivered then now() end;
    e.received_at := now();
  end if;

  if e.status in ('processed', 'ignored') and (
    p_facts is null or e.payload ? 'erased' or not private.is_newer_version(p_api_version, e.api_version)
  ) then
    v_outcome.outcome := 'duplicate';
    v_outcome.delivery_count := e.delivery_count;
    return v_outcome;
  elsif e.status = 'dead' then
    -- Delivered anew, it lives again: its job goes on trying if this fails too, and ends well (with its
    -- alert) if not.
    perform private.redrive_event(p_event_id);
  end if;
  if private.is_newer_version(p_api_version, e.api_version) then
    -- While an endpoint's version is changed, two endpoints deliver each event: the newer may know more.
    e.api_version := p_api_version;
    e.payload := private.without_secrets(p_payload);
  end if;

  v_outcome := private.process_stripe_event(e, p_facts, p_ignored_reason, p_error, p_settle);
  v_outcome.delivery_count := e.delivery_count;
  return v_outcome;
end;
$$;
comment on function private.store_stripe_event(
  text, text, boolean, text, timestamptz, text, jsonb, jsonb, text, text, boolean, text
) is
  'receive_stripe_event() for both ways an event comes: p_delivered tells whether Stripe posted it to us, '
  'which delivery_count and delivered_at count, or we fetched it. One whose row has been purged is a '
  'duplicate with a delivery_count of 0.';

create function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text)
returns public.event_outcome
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_event public.webhook_events;
  v_outcome public.event_outcome;
begin
  perform private.lock_event(p_event_id);
  select * into v_event from public.webhook_events where id = p_event_id;
  if not found then
    raise exception 'event % is not stored', p_event_id using errcode = 'SHEVT';
  elsif v_event.status in ('processed', 'ignored') and v_event.next_attempt_at is null then
    v_outcome.outcome := 'duplicate';
  else
    v_outcome := private.process_stripe_event(v_event, p_facts, p_ignored_reason, p_error);
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
set plan_cache_mode = 'force_generic_plan'
as $$
begin
  -- It stands in the audit trail: nobody passes for staff or for an event there.
  if p_source is null or p_source not in ('order_status', 'reconcile', 'job', 'checkout') then
    raise exception 'facts do not come from %', p_source using errcode = 'SHINV';
  end if;
  -- What a reading shows may have had its effects before the database was lost: the rescue knows when it
  -- happened, and takes it over itself. But a job in hand that is about to pay must know what was paid.
  if p_source <> 'job' and private.rescue_under_way() then
    return false;
  end if;
  return (private.apply_facts(p_facts, p_observed_at, p_source)).applied > 0;
end;
$$;
comment on function public.apply_stripe_facts(jsonb, text, timestamptz) is
  'Merges facts read from Stripe''s API at p_observed_at (before the request was sent) and settles. '
  'p_source: order_status, reconcile, job or checkout. Returns whether anything was ours. While a '
  'restored database catches up, only a job''s reading is merged. SHINV: any other source.';
grant execute on function public.apply_stripe_facts(jsonb, text, timestamptz) to service_role;

-- The doors that deliveries come in by: one alone, or several together.

create function private.raise_alerts(p_alerts jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  a record;
begin
  for a in
    select * from jsonb_to_recordset(p_alerts) as x (kind text, severity text, dedupe_key text, data jsonb)
    order by x.dedupe_key
  loop
    perform private.raise_alert(a.kind, a.severity, a.dedupe_key, coalesce(a.data, '{}'));
  end loop;
end;
$$;
comment on function private.raise_alerts(jsonb) is
  'Raises what deliveries come with, [{ kind, severity, dedupe_key, data }], by key: deliveries that have '
  'the same oddities do not wait for each other in a circle. Call with all else locked that is needed.';

create function private.receive_event(
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
  p_settle text
) returns public.event_outcome
language plpgsql
set search_path = ''
as $$
declare
  v_outcome public.event_outcome := private.store_stripe_event(
    p_event_id, p_type, p_livemode, p_api_version, p_stripe_created_at, p_source_ip, p_payload,
    nullif(p_facts, 'null'), p_ignored_reason, p_error, true, p_settle
  );
begin
  if v_outcome.order_ids is null then
    -- For the log: the caller says which order a delivery was about, whatever became of it.
    v_outcome.order_ids := array_remove(array[private.order_of(private.object_of_event(p_payload))], null);
  end if;
  perform private.count_metric('webhook_deliveries', array[
    -- Only types that we listen to are counted by name: the others come with a reason to ignore them.
    case when p_ignored_reason is null then p_type else 'other' end, v_outcome.outcome
  ]);
  return v_outcome;
end;
$$;
comment on function private.receive_event(
  text, text, boolean, text, timestamptz, text, jsonb, jsonb, text, text, text
) is
  'Stores and applies a delivery, its alerts apart: see receive_stripe_event(). p_settle: see apply_facts().';

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
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_outcome public.event_outcome := private.receive_event(
    p_event_id, p_type, p_livemode, p_api_version, p_stripe_created_at, p_source_ip, p_payload, p_facts,
    p_ignored_reason, p_error, 'news'
  );
begin
  if v_outcome.delivery_count = 1 and p_alerts <> '[]' then
    perform private.raise_alerts(p_alerts);
  end if;
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

create function public.receive_stripe_events(p_events jsonb) returns setof public.event_outcome
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  e record;
  v_outcome public.event_outcome;
  v_outcomes public.event_outcome[] := '{}';
  v_facts jsonb := '[]';
  v_alerts jsonb := '[]';
  v_order_ids uuid[] := '{}';
  v_sources text[] := '{}';
  v_latest timestamptz;
  v_past boolean;
  r record;
begin
  -- All that any of them may touch, in the order that everybody locks in.
  for e in
    select x.p_event_id, nullif(x.p_facts, 'null') as facts
    from jsonb_to_recordset(p_events) as x (p_event_id text, p_facts jsonb)
    order by x.p_event_id
  loop
    perform private.lock_event(e.p_event_id);
    v_facts := v_facts || coalesce(e.facts, '[]');
  end loop;
  perform private.lock_facts(v_facts);
  for e in
    select * from jsonb_to_recordset(p_events) as x (
      p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamptz,
      p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb
    )
  loop
    v_outcome := private.receive_event(
      e.p_event_id, e.p_type, e.p_livemode, e.p_api_version, e.p_stripe_created_at, e.p_source_ip,
      e.p_payload, e.p_facts, e.p_ignored_reason, e.p_error, 'never'
    );
    v_outcomes := v_outcomes || v_outcome;
    v_latest := greatest(v_latest, e.p_stripe_created_at);
    if v_outcome.delivery_count = 1 then
      v_alerts := v_alerts || coalesce(nullif(e.p_alerts, 'null'), '[]');
    end if;
    if v_outcome.outcome = 'applied' then
      v_order_ids := v_order_ids || v_outcome.order_ids;
      v_sources := v_sources || array_fill(e.p_event_id, array[cardinality(v_outcome.order_ids)]);
    end if;
  end loop;
  v_past := private.date_effects(v_latest);
  perform private.lock_stock_of_orders(v_order_ids);
  for r in
    select distinct on (x.order_id) x.order_id, x.source
    from unnest(v_order_ids, v_sources) with ordinality as x (order_id, source, at)
    order by x.order_id, x.at
  loop
    perform private.settle_order(r.order_id, r.source);
  end loop;
  perform private.raise_alerts(v_alerts);
  v_outcomes[1].closing_sessions := private.closing_sessions();
  return query select o.* from unnest(v_outcomes) o;
end;
$$;
comment on function public.receive_stripe_events(jsonb) is
  'receive_stripe_event() for several deliveries in one transaction: [{ its parameters by name }], and one '
  'outcome each, in the same order. Each order is settled once. An error means that none of them was stored: '
  'the caller then gives each of them alone. closing_sessions: of all, with the first.';
grant execute on function public.receive_stripe_events(jsonb) to service_role;
