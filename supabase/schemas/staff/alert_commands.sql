-- What the staff commands about alerts do.

create function private.run_settle_alert(p_status text, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  a public.alerts;
begin
  select * into a from public.alerts x where x.id::text = p_args ->> 'alert_id' for no key update;
  if not found then
    raise exception 'there is no alert %', p_args ->> 'alert_id' using errcode = 'SHINV';
  end if;
  -- Of one that is resolved nothing is left to acknowledge; and what staff have resolved stays so.
  update public.alerts x set status = p_status, data = x.data - '{over,not_owed}'::text[]
  where x.id = a.id and x.status <> 'resolved';
  return jsonb_strip_nulls(jsonb_build_object(
    'kind', a.kind, 'was', a.status, 'order_number', a.data ->> 'order_number'
  ));
end;
$$;
comment on function private.run_settle_alert(text, jsonb) is
  'Carries out acknowledge_alert and resolve_alert; doing it again changes nothing. Answers { kind, was, '
  'order_number? }. SHINV: no such alert.';

create function public.acknowledge_alert(
  p_alert_id uuid,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'acknowledge_alert',
    jsonb_build_object('alert_id', p_alert_id),
    p_dry_run, p_command_id
  )
$$;
comment on function public.acknowledge_alert(uuid, boolean, uuid) is
  'Somebody looks at an alert. Staff only.';
grant execute on function public.acknowledge_alert(uuid, boolean, uuid) to authenticated, service_role;

create function public.resolve_alert(
  p_alert_id uuid,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'resolve_alert',
    jsonb_build_object('alert_id', p_alert_id, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.resolve_alert(uuid, text, boolean, uuid) is
  'Nothing is left to do about an alert. Happening again, it opens again. Staff only.';
grant execute on function public.resolve_alert(uuid, text, boolean, uuid) to authenticated, service_role;

create function private.quiet_hours_text(p_from time, p_until time) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(to_char(p_from, 'HH24:MI') || '-' || to_char(p_until, 'HH24:MI'), 'none');
end;
$$;
comment on function private.quiet_hours_text(time, time) is
  'Quiet hours as staff write them: 22:00-07:00, or none.';

create function private.rule_in_short(r private.alert_rules) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'threshold', r.threshold, 'unit', r.unit, 'minimum', r.minimum, 'window_seconds', r.window_seconds,
    'severity', r.severity, 'enabled', r.enabled,
    'quiet_hours', private.quiet_hours_text(r.quiet_from, r.quiet_until)
  );
end;
$$;
comment on function private.rule_in_short(private.alert_rules) is
  'An alert rule as set_alert_rule() answers it.';

create function private.read_quiet_hours(p_text text, out o_from time, out o_until time)
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_text = 'none' then
    return;
  elsif p_text !~ '^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$' then
    raise exception 'quiet_hours must be like 22:00-07:00, or none' using errcode = 'SHINV';
  end if;
  o_from := split_part(p_text, '-', 1)::time;
  o_until := split_part(p_text, '-', 2)::time;
end;
$$;
comment on function private.read_quiet_hours(text) is
  'Quiet hours from HH:MM-HH:MM; both null: none. SHINV: written otherwise.';

create function private.run_set_alert_rule(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_was private.alert_rules;
  v_is private.alert_rules;
  v_quiet record;
  v_constraint text;
begin
  select * into v_was from private.alert_rules r where r.kind = p_args ->> 'kind' for no key update;
  if not found then
    raise exception 'there is no alert rule %; there are: %', p_args ->> 'kind',
      (select string_agg(r.kind, ', ' order by r.kind) from private.alert_rules r)
      using errcode = 'SHINV';
  elsif v_was.window_seconds is null and p_args ? 'window_seconds' then
    raise exception '% looks at what is now: it has no window', v_was.kind using errcode = 'SHINV';
  end if;
  v_quiet := private.read_quiet_hours(
    coalesce(p_args ->> 'quiet_hours', private.quiet_hours_text(v_was.quiet_from, v_was.quiet_until))
  );
  begin
    update private.alert_rules r set
      threshold = coalesce((p_args ->> 'threshold')::numeric, r.threshold),
      minimum = coalesce((p_args ->> 'minimum')::integer, r.minimum),
      window_seconds = coalesce((p_args ->> 'window_seconds')::integer, r.window_seconds),
      severity = coalesce(p_args ->> 'severity', r.severity),
      enabled = coalesce((p_args ->> 'enabled')::boolean, r.enabled),
      quiet_from = v_quiet.o_from, quiet_until = v_quiet.o_until, updated_at = now()
    where r.kind = v_was.kind
    returning * into v_is;
  exception when check_violation then
    get stacked diagnostics v_constraint = constraint_name;
    raise exception '%: %', v_was.kind, (
      select obj_description(c.oid, 'pg_constraint') from pg_catalog.pg_constraint c
      where c.conrelid = 'private.alert_rules'::regclass and c.conname = v_constraint
    ) using errcode = 'SHINV';
  end;
  return jsonb_build_object(
    'kind', v_was.kind, 'was', private.rule_in_short(v_was), 'is', private.rule_in_short(v_is)
  );
end;
$$;
comment on function private.run_set_alert_rule(jsonb) is
  'Carries out set_alert_rule: what is not given stays. Answers { kind, was, is }. SHINV: no such rule, or a '
  'value that does not fit it.';

create function public.set_alert_rule(
  p_kind text,
  p_threshold numeric default null,
  p_minimum integer default null,
  p_window_seconds integer default null,
  p_severity text default null,
  p_enabled boolean default null,
  p_quiet_hours text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'set_alert_rule',
    jsonb_build_object(
      'kind', p_kind, 'threshold', p_threshold, 'minimum', p_minimum, 'window_seconds', p_window_seconds,
      'severity', p_severity, 'enabled', p_enabled, 'quiet_hours', p_quiet_hours
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.set_alert_rule(
  text, numeric, integer, integer, text, boolean, text, boolean, uuid
) is
  'Changes an alert rule of private.alert_rules; what is left out stays. p_quiet_hours: 22:00-07:00 in the '
  'shop''s time zone, or none. Staff only.';
grant execute on function public.set_alert_rule(
  text, numeric, integer, integer, text, boolean, text, boolean, uuid
) to authenticated, service_role;
