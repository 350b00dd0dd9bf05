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
