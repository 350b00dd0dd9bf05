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
