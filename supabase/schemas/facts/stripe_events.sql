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
