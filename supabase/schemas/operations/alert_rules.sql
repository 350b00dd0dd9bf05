-- Every minute, by a job: each alert rule is measured, its alerts are opened, counted and resolved.

insert into private.job_kinds (kind, provider, max_attempts, retention, description) values
  ('evaluate_alert_rules', null, 12, '1 day', 'Measures the alert rules.');
-- Before all else: what it tells of a backlog must not wait behind it.
insert into private.periodic_jobs (kind, every, priority) values ('evaluate_alert_rules', '1 minute', 5);

create table private.alert_lulls (
  kind text primary key,
  lull interval not null,
  constraint alert_lulls_positive check (lull > interval '0')
);
comment on table private.alert_lulls is
  'Kinds of alert that are counted up as long as they go on, with nothing that says when they end: those '
  'that were not counted for so long are over. All others end with their cause.';
alter table private.alert_lulls enable row level security;
insert into private.alert_lulls (kind, lull) values
  ('velocity', '1 day'), ('payment_outage', '1 hour'), ('stock_held', '1 hour'),
  ('webhook_address_unknown', '1 day'), ('webhook_address_unlisted', '1 day'),
  ('webhook_addresses_changed', '1 day'), ('webhook_api_version', '1 day'),
  ('webhook_connected_account', '1 day'), ('webhook_other_livemode', '1 day'),
  ('webhook_thin_payload', '1 day');

create function private.is_quiet_hour(r private.alert_rules, p_now timestamptz) returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  v_time constant time := (p_now at time zone (private.setting('shop_time_zone') #>> '{}'))::time;
begin
  return coalesce(case
    when r.quiet_from <= r.quiet_until then v_time >= r.quiet_from and v_time < r.quiet_until
    else v_time >= r.quiet_from or v_time < r.quiet_until
  end, false);
end;
$$;
comment on function private.is_quiet_hour(private.alert_rules, timestamptz) is
  'Whether a rule opens nothing at this moment.';

create function private.tell_finding(r private.alert_rules, f private.alert_finding, p_key text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_data constant jsonb := f.data || jsonb_strip_nulls(jsonb_build_object(
    'value', f.value, 'threshold', r.threshold
  ));
  a public.alerts;
begin
  if r.once then
    perform private.raise_alert_once(r.kind, r.severity, p_key, v_data);
    return;
  end if;
  select * into a from public.alerts x where x.dedupe_key = p_key;
  -- Figures move with the window: it is news when they are worse than all that was told.
  if a.id is null or a.status = 'resolved' or f.value > (a.data ->> 'value')::numeric
    or private.severity_rank(r.severity) > private.severity_rank(a.severity) then
    perform private.raise_alert(r.kind, r.severity, p_key, v_data);
  end if;
end;
$$;
comment on function private.tell_finding(private.alert_rules, private.alert_finding, text) is
  'Opens the alert of a finding, or counts it up where it is worse than what was told.';

create function private.evaluate_alert_rule(
  r private.alert_rules,
  p_livemode boolean,
  p_now timestamptz
) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- What comes and goes at the edge of a threshold is one alert.
  c_lull constant interval := '10 minutes';
  v_quiet constant boolean := private.is_quiet_hour(r, p_now);
  f private.alert_finding;
  v_key text;
  v_keys text[] := '{}';
begin
  if r.enabled then
    for f in
      execute format('select * from private.%I($1, $2, $3)', 'rule_' || r.kind) using r, p_livemode, p_now
    loop
      v_key := concat_ws(':', r.kind, nullif(f.subject, ''));
      v_keys := v_keys || v_key;
      if not v_quiet then
        perform private.tell_finding(r, f, v_key);
      end if;
    end loop;
  end if;
  if v_keys <> '{}' then
    update public.alerts a set last_at = p_now
    where a.kind = r.kind and a.status <> 'resolved' and a.dedupe_key = any (v_keys);
  end if;
  update public.alerts a set status = 'resolved'
  where a.kind = r.kind and a.status <> 'resolved' and a.dedupe_key <> all (v_keys)
    and (a.last_at <= p_now - c_lull or r.once or not r.enabled);
end;
$$;
comment on function private.evaluate_alert_rule(private.alert_rules, boolean, timestamptz) is
  'Measures one rule for the mode of the key, at p_now: opens and counts its alerts, and resolves what it '
  'has not found for ten minutes.';

create function public.evaluate_alert_rules(p_livemode boolean, p_now timestamptz default now())
returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  r private.alert_rules;
  v_failed integer := 0;
begin
  -- One at a time; the next minute looks again.
  if not pg_try_advisory_xact_lock(hashtextextended('alert rules', 0)) then
    return 0;
  end if;
  for r in select * from private.alert_rules x order by x.kind loop
    begin
      perform private.evaluate_alert_rule(r, p_livemode, p_now);
      update public.alerts set status = 'resolved'
      where dedupe_key = 'alert_rule_failed:' || r.kind and status <> 'resolved';
    exception when others then
      -- The others are measured all the same.
      v_failed := v_failed + 1;
      perform private.raise_alert(
        'alert_rule_failed', 'critical', 'alert_rule_failed:' || r.kind,
        jsonb_build_object('rule', r.kind, 'error', private.error_text(sqlstate, sqlerrm))
      );
    end;
  end loop;
  update public.alerts a set status = 'resolved'
  from private.alert_lulls l
  where l.kind = a.kind and a.status <> 'resolved' and a.last_at <= p_now - l.lull;
  return v_failed;
end;
$$;
comment on function public.evaluate_alert_rules(boolean, timestamptz) is
  'Measures all alert rules for the mode of the key, at p_now. One that fails stops no other, and raises '
  'alert_rule_failed. Resolves besides what has not been counted for the time in private.alert_lulls. '
  'Returns how many failed.';
grant execute on function public.evaluate_alert_rules(boolean, timestamptz) to service_role;
