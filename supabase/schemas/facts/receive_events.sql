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
