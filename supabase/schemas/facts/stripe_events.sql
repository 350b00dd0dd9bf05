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
language sql
immutable
set search_path = ''
as $$
  -- With a client secret, whoever reads the log could act on the payment page as the shopper.
  select p_payload #- '{data,object,client_secret}' #- '{data,object,next_action}'
    #- '{data,object,payment_intent,client_secret}' #- '{data,object,payment_intent,next_action}'
    #- '{data,object,setup_intent,client_secret}' #- '{data,previous_attributes,client_secret}'
    #- '{data,previous_attributes,next_action}'
$$;
comment on function private.without_secrets(jsonb) is
  'A webhook''s payload as it is stored: without client secrets and the addresses that carry them.';

create function private.process_stripe_event(
  p_event_id text,
  p_stripe_created_at timestamptz,
  p_facts jsonb,
  p_ignored_reason text,
  p_error text
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_reason text := p_ignored_reason;
  v_error text := p_error;
  v_result jsonb;
  v_run_at timestamptz := now() + private.backoff(1);
  v_livemode boolean := (select e.livemode from public.webhook_events e where e.id = p_event_id);
  v_closing jsonb;
begin
  if v_reason is null and v_error is null then
    begin
      v_result := private.apply_facts(p_facts, p_stripe_created_at, p_event_id, v_livemode);
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
    processed_at = case when v_error is null then now() end,
    next_attempt_at = case when v_error is not null then v_run_at end,
    last_error = v_error,
    payload = case when v_error is null and private.concerns_erased(p_facts, v_result -> 'order_ids')
      then '{"erased": true}' else payload end
  where id = p_event_id;

  if v_error is not null then
    perform private.enqueue_job(
      'retry_event', 'retry_event:' || p_event_id, jsonb_build_object('event_id', p_event_id), v_run_at, 10
    );
    return jsonb_build_object('outcome', 'queued', 'reason', v_error);
  elsif v_reason is not null then
    return jsonb_build_object('outcome', 'ignored', 'reason', v_reason);
  end if;
  select jsonb_agg(s.id order by s.id) into v_closing
  from public.checkout_sessions s where s.status = 'open' and s.closing_at = now();
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'applied', 'order_ids', v_result -> 'order_ids', 'closing_sessions', v_closing
  ));
end;
$$;
comment on function private.process_stripe_event(text, timestamptz, jsonb, text, text) is
  'Applies the facts of a stored event, or notes why it is ignored. When that fails the event stays stored '
  'as failed with a retry_event job, and the failure leaves no other trace. closing_sessions: payment pages '
  'that it had ended; their jobs are queued, and who can ends them at once.';

create function private.is_newer_version(p_version text, p_than text) returns boolean
language sql
immutable
set search_path = ''
as $$
  -- Versions begin with their date; what has none (thin events, none) is older than all.
  select coalesce(substring(p_version from '^\d{4}-\d{2}-\d{2}'), '') collate "C"
    > coalesce(substring(p_than from '^\d{4}-\d{2}-\d{2}'), '') collate "C"
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
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_event public.webhook_events;
  v_result jsonb;
begin
  -- Concurrent deliveries of one event queue up on its primary key; only the first one gets to apply it.
  insert into public.webhook_events as e (
    id, type, status, livemode, api_version, stripe_created_at, source_ip, payload,
    delivery_count, delivered_at
  ) values (
    p_event_id, p_type, 'failed', p_livemode, p_api_version, p_stripe_created_at, p_source_ip::inet,
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
    return jsonb_build_object('outcome', 'duplicate', 'delivery_count', v_event.delivery_count);
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

  v_result := private.process_stripe_event(
    p_event_id, p_stripe_created_at, p_facts, p_ignored_reason, p_error
  );
  return v_result || jsonb_build_object('delivery_count', v_event.delivery_count);
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
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
begin
  return private.store_stripe_event(
    p_event_id, p_type, p_livemode, p_api_version, p_stripe_created_at, p_source_ip, p_payload, p_facts,
    p_ignored_reason, p_error, p_alerts, true
  );
end;
$$;
comment on function public.receive_stripe_event(
  text, text, boolean, text, timestamptz, text, jsonb, jsonb, text, text, jsonb
) is
  'Stores an authentic event that Stripe delivered and applies it, in one transaction. Exactly one of '
  'p_facts, p_ignored_reason and p_error (the translator threw) is given; p_alerts: [{ kind, severity, '
  'dedupe_key, data }]. A further delivery in a newer API version is merged as well. Returns { outcome: '
  'applied | duplicate | ignored | queued, delivery_count, reason?, closing_sessions? }. An error means '
  'that nothing was stored.';
grant execute on function public.receive_stripe_event(
  text, text, boolean, text, timestamptz, text, jsonb, jsonb, text, text, jsonb
) to service_role;

create function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_event public.webhook_events;
begin
  select * into v_event from public.webhook_events where id = p_event_id for no key update;
  if not found then
    raise exception 'event % is not stored', p_event_id using errcode = 'KCEVT';
  elsif v_event.status in ('processed', 'ignored') and v_event.next_attempt_at is null then
    return jsonb_build_object('outcome', 'duplicate');
  end if;
  return private.process_stripe_event(
    p_event_id, v_event.stripe_created_at, p_facts, p_ignored_reason, p_error
  );
end;
$$;
comment on function public.retry_stripe_event(text, jsonb, text, text) is
  'Tries a stored event again with a fresh translation of its payload. duplicate: it has been applied '
  'meanwhile, and nobody asked for it to be applied anew. KCEVT: no such event.';
grant execute on function public.retry_stripe_event(text, jsonb, text, text) to service_role;

create function public.get_stripe_event(p_event_id text) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'id', e.id, 'type', e.type, 'livemode', e.livemode, 'api_version', e.api_version,
    'stripe_created_at', e.stripe_created_at, 'status', e.status, 'payload', e.payload
  )
  from public.webhook_events e
  where e.id = p_event_id
$$;
comment on function public.get_stripe_event(text) is 'A stored event with its payload, or null.';
grant execute on function public.get_stripe_event(text) to service_role;

create function public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamptz)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_result jsonb;
begin
  -- It stands in the audit trail: nobody passes for staff or for an event there.
  if p_source is null or p_source not in ('order_status', 'reconcile', 'job', 'checkout') then
    raise exception 'facts do not come from %', p_source using errcode = 'KCINV';
  end if;
  v_result := private.apply_facts(p_facts, p_observed_at, p_source);
  return jsonb_build_object(
    'applied', (v_result ->> 'applied')::integer > 0, 'order_ids', v_result -> 'order_ids'
  );
end;
$$;
comment on function public.apply_stripe_facts(jsonb, text, timestamptz) is
  'Merges facts read from Stripe''s API at p_observed_at (before the request was sent) and settles. '
  'p_source: order_status, reconcile, job or checkout. KCINV: anything else.';
grant execute on function public.apply_stripe_facts(jsonb, text, timestamptz) to service_role;
