-- Where personal data is, how long it stays, and how it goes before that.
--
-- private.retention_rules lists every column that can hold text. A test holds it against the schema, so that
-- a new column is judged the day it appears. Erasing empties what is `person` by hand, below, and searches
-- what is `text`.

create table private.retention_rules (
  table_name text not null,
  columns text[] not null,
  holds text not null,
  kept text not null,
  ended_by text not null,
  constraint retention_rules_pkey primary key (table_name, holds),
  constraint retention_rules_holds_known check (holds in ('person', 'text', 'nothing'))
);
comment on table private.retention_rules is
  'What each table holds of people, and for how long. holds: person (names, addresses, what identifies '
  'somebody; emptied by erasure), text (written by people or providers: may mention somebody, so erasure '
  'searches it), nothing (ids, closed sets of words, figures, the catalogue).';
comment on column private.retention_rules.kept is 'How long: a setting, an event, or for good.';
comment on column private.retention_rules.ended_by is 'The functions that remove it.';
alter table private.retention_rules enable row level security;

insert into private.retention_rules (table_name, columns, holds, kept, ended_by) values
  ('public.orders',
    '{email,customer_name,phone,shipping_name,shipping_address,billing_address,purchase_ip,user_agent,'
    'idempotency_key}', 'person',
    'paid: as bookkeeping law wants, until erased; never paid: retention_unpaid_days',
    'erase_person(), forget_unpaid_orders()'),
  ('public.returns', '{reason}', 'text', 'with the order', 'erase_person()'),
  ('public.returns', '{status,refund_request_id}', 'nothing', 'for good', ''),
  ('public.refund_lines', '{request_id,refund_id}', 'nothing', 'for good', ''),
  ('public.shipments', '{carrier,tracking_number,tracking_url}', 'text', 'with the order', 'erase_person()'),
  (
    'public.orders',
    '{number,locale,status,fulfillment_status,currency,cart_hash,shipping_rates,session_id,payment_id,'
    'decided_payment_id}',
    'nothing', 'for good', ''
  ),
  ('public.order_risk', '{velocity_mode,three_d_secure,review_reasons}', 'nothing', 'with the order', ''),
  (
    'public.checkout_sessions',
    '{email,name,phone,shipping_name,shipping_address,billing_address,url,version,contact_version}', 'person',
    'with the order', 'erase_orders()'
  ),
  (
    'public.checkout_sessions',
    '{id,status,payment_status,payment_id,stripe_customer_id,currency,cart_hash,recovered_from}', 'nothing',
    'for good', ''
  ),
  ('public.customers', '{email,name}', 'person', 'until erased', 'erase_person()'),
  ('public.customers', '{stripe_customer_id}', 'nothing', 'until erased', 'erase_person()'),
  ('private.stripe_customers', '{email,name,version}', 'person', 'until erased', 'erase_person()'),
  ('private.stripe_customers', '{id}', 'nothing', 'for good: what comes later must be known as erased', ''),
  (
    'public.payments',
    '{id,status,currency,stripe_customer_id,charge_id,failure_code,decline_code,payment_method_type,'
    'card_brand,card_last4,card_country,risk_level,three_d_secure_result,version}', 'nothing', 'for good', ''
  ),
  (
    'public.payment_attempts', '{card_fingerprint,receipt_url,version}', 'person', 'with the order',
    'erase_orders()'
  ),
  ('public.payment_attempts', '{seller_message}', 'text', 'with the order', 'erase_person()'),
  (
    'public.payment_attempts',
    '{id,payment_id,outcome,currency,failure_code,decline_code,advice_code,payment_method_type,card_brand,'
    'card_last4,card_funding,card_country,three_d_secure_result,risk_level}', 'nothing', 'for good', ''
  ),
  ('public.notifications', '{recipient}', 'person', 'with the order', 'erase_orders()'),
  ('public.notifications', '{last_error,data}', 'text', 'with the order', 'erase_person()'),
  ('public.notifications', '{template,dedupe_key,status,provider_id}', 'nothing', 'for good', ''),
  ('public.order_events', '{data}', 'text', 'with the order', 'erase_person()'),
  ('public.order_events', '{kind,source}', 'nothing', 'for good', ''),
  ('public.staff_commands', '{args,result}', 'text', 'for good, as the audit log', 'erase_person()'),
  ('public.staff_commands', '{command,actor}', 'nothing', 'for good', ''),
  (
    'public.webhook_events', '{payload}',
    'person', 'retention_payload_days; of strangers retention_foreign_days',
    'purge_payloads(), erase_person()'
  ),
  ('public.webhook_events', '{last_error}', 'text', 'for good', 'erase_person()'),
  (
    'public.webhook_events', '{id,type,status,api_version,ignored_reason,source_ip}',
    'nothing', 'for good: a late delivery must be known; source_ip is Stripe''s', ''
  ),
  ('public.webhook_rejections', '{source_ip}', 'person', 'retention_log_days', 'purge_old_data()'),
  ('public.webhook_rejections', '{reason}', 'nothing', 'retention_log_days', 'purge_old_data()'),
  (
    'public.fraud_signals', '{data,source_id}',
    'person', 'velocity hits that no paid order has: retention_signal_days', 'purge_signals(), erase_orders()'
  ),
  (
    'public.fraud_signals', '{payment_id,charge_id,kind,severity,answer,version}',
    'nothing', 'with the order', ''
  ),
  (
    'public.alerts', '{data,dedupe_key}', 'text', 'resolved: retention_alert_days',
    'purge_alerts(), erase_person()'
  ),
  ('public.alerts', '{kind,severity,status}', 'nothing', 'resolved: retention_alert_days', 'purge_alerts()'),
  ('public.inventory_journal', '{note}', 'text', 'for good, as the journal', 'erase_person()'),
  ('public.inventory_journal', '{kind,actor}', 'nothing', 'for good', ''),
  ('public.refund_requests', '{problem}', 'text', 'with the order', 'erase_person()'),
  ('public.refund_requests', '{id,payment_id,cause,status}', 'nothing', 'for good', ''),
  (
    'public.refunds', '{id,payment_id,charge_id,currency,status,reason,failure_reason,request_id,version}',
    'nothing', 'for good', ''
  ),
  ('public.refund_reasons', '{refund_id,reason}', 'nothing', 'for good', ''),
  (
    'public.disputes',
    '{id,payment_id,charge_id,currency,reason,status,statuses_seen,network_reason_code,version}', 'nothing',
    'for good', ''
  ),
  ('public.reconciliation_drift', '{before,after}', 'text', 'retention_alert_days', 'purge_old_data()'),
  ('public.reconciliation_drift', '{kind,object_id}', 'nothing', 'retention_alert_days', 'purge_old_data()'),
  ('public.order_items', '{sku,name}', 'nothing', 'for good', ''),
  ('public.products', '{slug,name,description,image_url}', 'nothing', 'for good', ''),
  (
    'public.product_variants', '{sku,size,color,currency,stripe_price_id,image_url}', 'nothing', 'for good',
    ''
  ),
  ('public.inventory_reservations', '{status}', 'nothing', 'for good', ''),
  ('public.shipping_rates', '{name,currency,countries}', 'nothing', 'for good', ''),
  ('public.stripe_webhook_ips', '{address}', 'nothing', 'as Stripe publishes them', ''),
  (
    'private.jobs', '{payload,last_error}', 'text', 'the retention of its kind',
    'purge_jobs(), erase_person()'
  ),
  ('private.jobs', '{kind,dedupe_key,status,worker}', 'nothing', 'the retention of its kind', 'purge_jobs()'),
  ('private.rate_limits', '{key}', 'person', 'an hour', 'take_rate_limits()'),
  ('private.circuit_breakers', '{reason}', 'text', 'until the provider is back', 'erase_person()'),
  ('private.carriers', '{name,tracking_url}', 'nothing', 'for good', ''),
  ('private.circuit_breakers', '{provider}', 'nothing', 'for good', ''),
  ('private.disposable_email_domains', '{domain}', 'nothing', 'for good', ''),
  ('private.heartbeats', '{name}', 'nothing', 'for good', ''),
  ('private.job_kinds', '{kind,provider,description}', 'nothing', 'for good', ''),
  ('private.periodic_jobs', '{kind}', 'nothing', 'for good', ''),
  ('private.raised_alerts', '{dedupe_key}', 'nothing', 'for good', ''),
  ('private.reconciliation_cursors', '{name}', 'nothing', 'for good', ''),
  ('private.released_mismatches', '{session_id,reason}', 'nothing', 'with the order', ''),
  ('private.retention_rules', '{table_name,columns,holds,kept,ended_by}', 'nothing', 'for good', ''),
  ('private.settings', '{key,value,description}', 'nothing', 'for good', ''),
  ('private.velocity_rule_sets', '{digest,rules}', 'nothing', 'for good', ''),
  ('private.velocity_rules', '{name,subject,measure,currency,action,alert,description}', 'nothing',
    'for good', ''),
  ('private.webhook_address_changes', '{added,removed}', 'nothing', 'for good: addresses of Stripe''s', ''),
  ('private.webhook_endpoint_states', '{state,endpoint_id,differences}', 'nothing',
    'until the next look at Stripe', '');

create function private.words_pattern(p_words text[]) returns text
language sql
immutable
set search_path = ''
as $$
  -- As typed, and as JSON writes it. An address inside a longer one is somebody else's.
  select '(?<![[:alnum:]._%+-])(?:' || string_agg(
    distinct regexp_replace(regexp_replace(x.word, '([].*+?^${}()|\\[-])', '\\\1', 'g'), '\s+', '\\s+', 'g'),
    '|'
  )
    || ')(?![[:alnum:]]|[.-][[:alnum:]])'
  from unnest(p_words) w (word)
  cross join lateral (values (w.word), (btrim(to_json(w.word)::text, '"'))) as x (word)
$$;
comment on function private.words_pattern(text[]) is
  'A regular expression that finds any of these words. Null: there are none.';

create function private.phone_pattern(p_phone text) returns text
language sql
immutable
set search_path = ''
as $$
  select '\+?(?<![0-9])' || regexp_replace(d.digits, '(.)(?=.)', '\1[ ()./-]*', 'g') || '(?![0-9])'
  from (select regexp_replace(p_phone, '[^0-9]', '', 'g') as digits) d
  where length(d.digits) >= 7
$$;
comment on function private.phone_pattern(text) is
  'A regular expression that finds a phone number however it is spaced. Null: too short to be one.';

create function private.redact(p_value jsonb, p_pattern text) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case jsonb_typeof(p_value)
    when 'string' then to_jsonb(regexp_replace(p_value #>> '{}', p_pattern, '[erased]', 'gi'))
    when 'array' then (
      select coalesce(jsonb_agg(private.redact(x.value, p_pattern) order by x.position), '[]')
      from jsonb_array_elements(p_value) with ordinality as x (value, position)
    )
    when 'object' then (
      select coalesce(jsonb_object_agg(x.key, private.redact(x.value, p_pattern)), '{}')
      from jsonb_each(p_value) x
    )
    else p_value
  end;
end;
$$;
comment on function private.redact(jsonb, text) is
  'A JSON value with [erased] for whatever its texts have of the pattern.';

create function private.redact_texts(p_pattern text, p_order_ids uuid[] default null) returns integer
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_count integer;
  v_total integer := 0;
begin
  perform set_config('kct.erasing', 'on', true);
  for r in
    select x.table_name, a.attname, a.atttypid = 'jsonb'::regtype as json,
      exists (
        select 1 from pg_attribute o where o.attrelid = a.attrelid and o.attname = 'order_id'
      ) as of_order
    from private.retention_rules x
    join pg_attribute a on a.attrelid = x.table_name::regclass and a.attname = any (x.columns)
    where x.holds = 'text'
  loop
    continue when p_order_ids is not null and not r.of_order;
    execute format(
      case when r.json then 'update %1$s set %2$I = private.redact(%2$I, $1) where %2$I::text ~* $1'
        else 'update %1$s set %2$I = regexp_replace(%2$I, $1, ''[erased]'', ''gi'') where %2$I ~* $1' end
        || case when p_order_ids is not null then ' and order_id = any ($2)' else '' end,
      r.table_name, r.attname
    ) using p_pattern, p_order_ids;
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  perform set_config('kct.erasing', '', true);
  return v_total;
end;
$$;
comment on function private.redact_texts(text, uuid[]) is
  'Removes what the pattern finds from every column that retention_rules calls text; p_order_ids: only in '
  'the rows of these orders. Returns how many values changed.';

create function private.without_digest(p_version text) returns text
language sql
immutable
set search_path = ''
as $$
  select regexp_replace(p_version, '[0-9a-f]{32}$', '')
$$;
comment on function private.without_digest(text) is 'A version of a fact without the digest of what it said.';

create function private.erase_orders(p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.checkout_sessions s set
    email = null, name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, url = null, version = private.without_digest(s.version),
    contact_version = private.without_digest(s.contact_version)
  where s.order_id = any (p_order_ids);
  update public.payment_attempts a
  set card_fingerprint = null, receipt_url = null, version = private.without_digest(a.version)
  where a.order_id = any (p_order_ids);
  update public.fraud_signals f set data = f.data - 'subject_digest'
  where f.order_id = any (p_order_ids) and f.data ? 'subject_digest';
  update public.notifications n set recipient = null where n.order_id = any (p_order_ids);
  update public.orders o set
    email = null, customer_name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, purchase_ip = null, user_agent = null, idempotency_key = null,
    erased_at = coalesce(o.erased_at, now())
  where o.id = any (p_order_ids);
end;
$$;
comment on function private.erase_orders(uuid[]) is
  'Takes the personal data out of orders and of all that hangs on them. Amounts, ids, card brand and last '
  'four digits stay: bookkeeping law wants them. The caller has locked the orders.';

create function private.erase_own_texts(p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.staff_commands c set args = c.args - '{reason,note}'::text[]
  where c.order_id = any (p_order_ids) and c.args ?| array['reason', 'note'];
  update public.returns r set reason = null where r.order_id = any (p_order_ids) and r.reason is not null;
  update private.jobs j set
    payload = j.payload || jsonb_build_object('note', null)
      || case when j.payload ->> 'reason' in ('duplicate', 'fraudulent', 'requested_by_customer')
        then '{}' else jsonb_build_object('reason', null) end,
    last_error = case when j.last_error is not null then '[erased]' end
  where (j.payload ?| array['note', 'reason'] or j.last_error is not null) and (
    j.payload ->> 'order_id' = any (p_order_ids::text[])
    or j.payload ->> 'dispute_id' in (select d.id from public.disputes d where d.order_id = any (p_order_ids))
    or j.payload ->> 'notification_id' in (
      select n.id::text from public.notifications n where n.order_id = any (p_order_ids)
    )
  );
end;
$$;
comment on function private.erase_own_texts(uuid[]) is
  'Removes what staff wrote about orders, and what providers said of their jobs: it may name the buyer in '
  'any way.';

create function private.erase_events(p_order_ids uuid[], p_stripe_ids text[], p_email text, p_pattern text)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_ids text[] := array(
    select s.id from public.checkout_sessions s where s.order_id = any (p_order_ids)
    union all select p.id from public.payments p where p.order_id = any (p_order_ids)
    union all select a.id from public.payment_attempts a where a.order_id = any (p_order_ids)
    union all select r.id from public.refunds r where r.order_id = any (p_order_ids)
    union all select d.id from public.disputes d where d.order_id = any (p_order_ids)
    union all select f.source_id from public.fraud_signals f where f.order_id = any (p_order_ids)
  ) || p_stripe_ids;
  v_count integer;
begin
  -- Of one that is still to be applied, what it says of money is needed.
  update public.webhook_events e set payload = case
    when e.status in ('processed', 'ignored') and e.next_attempt_at is null then '{"erased": true}'
    else private.redact(e.payload, p_pattern)
  end
  where not e.payload ? 'erased' and (
    e.payload #>> '{data,object,id}' = any (v_ids)
    or e.payload #>> '{data,object,payment_intent}' = any (v_ids)
    or e.payload #>> '{data,object,charge}' = any (v_ids)
    -- By address alone: a household shares its name, street and phone.
    or (
      e.payload::text ilike '%' || p_email || '%' and e.payload::text ~* private.words_pattern(array[p_email])
    )
  );
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.erase_events(uuid[], text[], text, text) is
  'Empties the stored payloads of events about these orders, these Stripe customers, or with this address, '
  'ours or not, dead ones too; from one that is still to be applied it takes what the pattern finds. '
  'Returns how many.';

create function private.erase_stripe_customers(p_ids text[], p_livemode boolean) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.stripe_customers as c (id, livemode, version, deleted_at, erased_at)
  select x.id, p_livemode, '', now(), now() from unnest(p_ids) as x (id)
  on conflict (id) do update set
    email = null, name = null, version = private.without_digest(c.version),
    -- It will be: until then no checkout must name it again.
    deleted_at = coalesce(c.deleted_at, now()), erased_at = coalesce(c.erased_at, now());
  perform private.enqueue_job(
    'delete_stripe_customer', 'delete_stripe_customer:' || x.id,
    jsonb_build_object('stripe_customer_id', x.id)
  ) from unnest(p_ids) as x (id);
end;
$$;
comment on function private.erase_stripe_customers(text[], boolean) is
  'Notes Stripe customers as erased, and has Stripe''s own copy deleted by a job.';

create function private.refuse_disputed(p_order_ids uuid[]) returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  d record;
begin
  select x.id, o.number, x.evidence_due_by into d
  from public.disputes x join public.orders o on o.id = x.order_id
  where x.order_id = any (p_order_ids)
    and private.awaits_evidence(x)
  order by x.evidence_due_by limit 1;
  if found then
    raise exception 'dispute % of order % still needs this data as evidence (due %)', d.id, d.number,
      d.evidence_due_by
      using errcode = 'KCINV',
        hint = 'Call submit_dispute_evidence(), or accept the dispute in Stripe''s dashboard; then erase '
               'again.';
  end if;
end;
$$;
comment on function private.refuse_disputed(uuid[]) is
  'KCINV while a dispute of one of these orders waits for evidence: defending a claim goes before erasure '
  '(GDPR article 17(3)(e)).';

create function private.words_of_person(
  p_email text,
  p_order_ids uuid[],
  p_customer_ids uuid[],
  p_stripe_ids text[],
  out anywhere text,
  out own text
)
language sql
stable
set search_path = ''
as $$
  with known (email, name, phone, line1) as (
    select p_email, null, null, null
    union select o.email, x.name, o.phone, x.line1
    from public.orders o cross join lateral (values
      (o.customer_name, o.billing_address ->> 'line1'), (o.shipping_name, o.shipping_address ->> 'line1')
    ) as x (name, line1)
    where o.id = any (p_order_ids)
    union select s.email, x.name, s.phone, x.line1
    from public.checkout_sessions s cross join lateral (values
      (s.name, s.billing_address ->> 'line1'), (s.shipping_name, s.shipping_address ->> 'line1')
    ) as x (name, line1)
    where s.order_id = any (p_order_ids)
    union select c.email, c.name, null, null from public.customers c where c.id = any (p_customer_ids)
    union select c.email, c.name, null, null from private.stripe_customers c where c.id = any (p_stripe_ids)
  ), words (word, own_only) as (
    select k.email, false from known k
    -- A single name may be a word, or somebody else's: it is searched for in the rows of the orders only.
    union select k.name, k.name !~ '\S\s+\S' from known k
    union select k.line1, length(k.line1) < 8 from known k
    union select part, true from known k, regexp_split_to_table(k.name, '\s+') part where length(part) >= 3
  )
  select
    concat_ws(
      '|', private.words_pattern(array_agg(w.word) filter (where not w.own_only and btrim(w.word) <> '')),
      p.phones
    ),
    concat_ws('|', private.words_pattern(array_agg(w.word) filter (where btrim(w.word) <> '')), p.phones)
  from words w
  cross join (select string_agg(distinct private.phone_pattern(k.phone), '|') as phones from known k) p
  group by p.phones
$$;
comment on function private.words_of_person(text, uuid[], uuid[], text[]) is
  'Patterns for what identifies a buyer: anywhere (addresses, full names, street, phone), and own: single '
  'names as well, for the rows of their orders.';

create function private.erase_customers(p_customer_ids uuid[]) returns void
language sql
set search_path = ''
as $$
  update public.customers c
  set email = null, name = null, stripe_customer_id = null,
    stripe_deleted_at = coalesce(c.stripe_deleted_at, now())
  where c.id = any (p_customer_ids)
$$;
comment on function private.erase_customers(uuid[]) is
  'Empties customer rows. At Stripe erase_stripe_customers() sees to it.';

create function private.erase_person(p_email text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_email text := lower(btrim(p_email));
  v_order_ids uuid[];
  v_customer_ids uuid[];
  v_stripe_ids text[];
  v_words record;
  v_modes boolean[];
  v_count jsonb;
  v_order_id uuid;
begin
  v_order_ids := array(
    select o.id from public.orders o where lower(o.email) = v_email
    union select s.order_id from public.checkout_sessions s where lower(s.email) = v_email
    union select n.order_id from public.notifications n where lower(n.recipient) = v_email
  );
  v_customer_ids := array(
    select c.id from public.customers c where lower(c.email) = v_email
    -- The row of a guest is that of their orders, whatever address it has by now.
    or (
      c.user_id is null and c.id in (select o.customer_id from public.orders o where o.id = any (v_order_ids))
    )
  );
  v_order_ids := array(
    select o.id from public.orders o where o.id = any (v_order_ids) or o.customer_id = any (v_customer_ids)
    order by o.id for no key update
  );
  v_stripe_ids := array(
    select c.stripe_customer_id from public.customers c where c.id = any (v_customer_ids)
    union select s.stripe_customer_id from public.checkout_sessions s where s.order_id = any (v_order_ids)
    union select c.id from private.stripe_customers c where lower(c.email) = v_email
    -- An account that used this address on one order keeps its own customer.
    except select c.stripe_customer_id from public.customers c where not c.id = any (v_customer_ids)
    except select null
  );
  perform private.refuse_disputed(v_order_ids);
  v_modes := array(
    select o.livemode from public.orders o where o.id = any (v_order_ids)
    union select c.livemode from public.customers c where c.id = any (v_customer_ids)
  );
  select w.anywhere, w.own into v_words
  from private.words_of_person(v_email, v_order_ids, v_customer_ids, v_stripe_ids) w;

  v_count := jsonb_build_object(
    'orders', cardinality(v_order_ids), 'customers', cardinality(v_customer_ids),
    'stripe_customers', cardinality(v_stripe_ids),
    'events', private.erase_events(v_order_ids, v_stripe_ids, v_email, v_words.own)
  );
  perform private.erase_own_texts(v_order_ids);
  v_count := v_count || jsonb_build_object(
    'texts', private.redact_texts(v_words.anywhere) + private.redact_texts(v_words.own, v_order_ids)
  );
  if not exists (select 1 from jsonb_each(v_count) c where c.value <> '0') then
    return v_count;
  end if;
  perform private.erase_digests(v_email, v_order_ids);
  update public.orders o set cancelled_at = coalesce(o.cancelled_at, now())
  where o.id = any (v_order_ids) and o.status = 'pending';
  perform private.erase_orders(v_order_ids);
  perform private.erase_stripe_customers(v_stripe_ids, coalesce(v_modes[1], false));
  perform private.erase_customers(v_customer_ids);
  foreach v_order_id in array v_order_ids loop
    perform private.settle_order(v_order_id, 'staff');
  end loop;
  return v_count;
end;
$$;
comment on function private.erase_person(text) is
  'Removes a person from everything that is known under an e-mail address, and ends their open payment '
  'pages. What comes later about their orders is stored without them. Returns counts; all of them 0: nobody '
  'is known, and nothing was changed. KCINV: a dispute needs the data.';

create function private.erase_digests(p_email text, p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Hits that stopped a checkout belong to no order: they are known by the digest of whom they stopped.
  delete from public.fraud_signals f
  where f.kind = 'velocity' and f.order_id is null and f.data ->> 'subject_digest' in (
    select left(private.keyed_digest(k), 16)
    from (
      select private.email_key(p_email) as k
      union select text(n.network)
      from public.orders o cross join lateral private.address_keys(o.purchase_ip) n
      where o.id = any (p_order_ids)
    ) keys
    where k is not null
  );
  delete from private.rate_limits l using public.orders o
  where o.id = any (p_order_ids) and l.key like '%' || host(o.purchase_ip) || '%';
end;
$$;
comment on function private.erase_digests(text, uuid[]) is
  'Removes the counters that are kept under a digest of an e-mail address, or under the network addresses '
  'of orders.';

create function private.forget_unpaid_orders(p_limit integer) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_order_ids uuid[] := array(
    select o.id from public.orders o
    where o.paid_at is null and o.erased_at is null and o.status in ('expired', 'payment_failed', 'cancelled')
      and o.created_at < now() - private.retention('unpaid')
      and not exists (
        select 1 from public.payments p where p.order_id = o.id and p.status in ('processing', 'succeeded')
      )
    order by o.created_at
    limit p_limit
    for no key update skip locked
  );
begin
  perform private.erase_own_texts(v_order_ids);
  perform private.erase_orders(v_order_ids);
  return cardinality(v_order_ids);
end;
$$;
comment on function private.forget_unpaid_orders(integer) is
  'Takes the personal data out of up to p_limit orders that ended unpaid longer than retention_unpaid_days '
  'ago: no law wants them kept.';
