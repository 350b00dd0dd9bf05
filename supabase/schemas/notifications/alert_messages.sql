-- What staff are sent about alerts: one message when an incident begins, with all alerts of its kind, one
-- when it is over. Everything else is in the digest.

insert into private.settings (key, value, description) values
  (
    'alert_at_once', '"critical"',
    'The least severity that is sent at once: "info", "warning" or "critical". The rest is in the daily '
    'digest.'
  ),
  (
    'alert_group_minutes', '5',
    'Further alerts of a kind that was just sent are collected for so long, and sent as one message.'
  );

alter table private.settings
  add constraint settings_alert_at_once_known
    check (key <> 'alert_at_once' or value in ('"info"', '"warning"', '"critical"')),
  add constraint settings_alert_group_minutes_fits
    check (key <> 'alert_group_minutes' or value #>> '{}' ~ '^([0-9]|[1-9][0-9]{1,2})$');

create table private.alert_incidents (
  kind text primary key,
  told_at timestamptz,
  telling_until timestamptz
);
comment on table private.alert_incidents is
  'When staff were last sent something about each kind of alert. telling_until: a worker is at it; what it '
  'does not report back by then, another one does again.';
alter table private.alert_incidents enable row level security;

create function private.sent_at_once(p_severity text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return private.severity_rank(p_severity)
    >= private.severity_rank(private.setting('alert_at_once') #>> '{}');
end;
$$;
comment on function private.sent_at_once(text) is
  'Whether alerts of a severity are sent at once, rather than in the digest.';

create function private.tell_that_it_is_over() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if private.effects_are_past() then
    update public.alerts a set over_told_at = now() where a.id = new.id;
    return null;
  end if;
  perform private.queue_alert_message(new, true);
  return null;
end;
$$;
comment on function private.tell_that_it_is_over() is
  'Queues a look at whether staff can be told that a kind of alert is over. Of one from before a restored '
  'database was lost they were.';

create trigger alerts_over after update of status on public.alerts
  for each row when (
    new.status = 'resolved' and old.status <> 'resolved' and new.told_at is not null
    and new.over_told_at is null
  )
  execute function private.tell_that_it_is_over();

create function private.alert_message(p_kind text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_news boolean := exists (
    select 1 from public.alerts a
    where a.kind = p_kind and a.status <> 'resolved' and a.told_at is null
      and private.sent_at_once(a.severity)
  );
begin
  if not v_news and exists (
    select 1 from public.alerts a
    where a.kind = p_kind and a.status <> 'resolved' and a.told_at is not null
  ) then
    return null;
  end if;
  return (
    select case when count(*) > 0 then jsonb_build_object(
      'outcome', 'tell', 'over', not v_news, 'kind', p_kind,
      'severity', case when bool_or(a.severity = 'critical') then 'critical' else max(a.severity) end,
      'count', sum(a.count), 'first_at', min(a.first_at), 'last_at', max(a.last_at),
      'alert_ids', jsonb_agg(a.id order by a.last_at desc, a.id),
      'alerts', jsonb_path_query_array(jsonb_agg(to_jsonb(a) order by a.last_at desc, a.id), '$[0 to 4]'),
      'shop', private.shop()
    ) end
    from public.alerts a
    where a.kind = p_kind and case
      when v_news then a.status <> 'resolved' and a.told_at is null and private.sent_at_once(a.severity)
      else a.status = 'resolved' and a.told_at is not null and a.over_told_at is null
    end
  );
end;
$$;
comment on function private.alert_message(text) is
  'What staff have not been sent yet about a kind of alert: those that are open, or, once none is, that they '
  'are over. alerts: the latest five of alert_ids; count: how often all of them were seen. Null: nothing.';

create function public.take_alert_message(p_alert_id uuid) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_lease constant interval := '1 minute';
  v_kind constant text := (select a.kind from public.alerts a where a.id = p_alert_id);
  v_group constant interval := make_interval(
    mins => (private.setting('alert_group_minutes') #>> '{}')::integer
  );
  i private.alert_incidents;
  v_message jsonb;
begin
  if v_kind is null then
    return jsonb_build_object('outcome', 'told');
  end if;
  insert into private.alert_incidents (kind) values (v_kind) on conflict (kind) do nothing;
  select * into i from private.alert_incidents x where x.kind = v_kind for update;
  v_message := private.alert_message(v_kind);
  if v_message is null then
    return jsonb_build_object('outcome', 'told');
  elsif i.telling_until > now() then
    return jsonb_build_object('outcome', 'wait', 'until', i.telling_until);
  elsif i.told_at > now() - v_group then
    return jsonb_build_object('outcome', 'wait', 'until', i.told_at + v_group);
  end if;
  update private.alert_incidents set telling_until = now() + c_lease where kind = v_kind;
  return v_message;
end;
$$;
comment on function public.take_alert_message(uuid) is
  'The message that a send_alert job is to send: all that is news about the kind of its alert (outcome tell, '
  'see alert_message()); wait: another worker is at it, or the last one is not alert_group_minutes old; '
  'told: nothing is news. Whoever takes it says with record_alert_message() that it went out.';
grant execute on function public.take_alert_message(uuid) to service_role;

create function public.record_alert_message(p_alert_ids uuid[], p_over boolean) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.alerts set
    told_at = case when not p_over then now() when status = 'resolved' then told_at end,
    over_told_at = case when p_over and status = 'resolved' then now() end
  where id = any (p_alert_ids);
  update private.alert_incidents i set told_at = now(), telling_until = null
  where i.kind in (select a.kind from public.alerts a where a.id = any (p_alert_ids));
  -- What was resolved while its message was on its way, or came back.
  perform private.queue_alert_message(a, not p_over) from public.alerts a
  where a.id = any (p_alert_ids) and (a.status = 'resolved') <> p_over
    and (not p_over or private.sent_at_once(a.severity));
  -- Staff can be reached: what was given up while they could not be is told now, if it is news still.
  update private.jobs j set status = 'queued', run_at = now(), attempts = 0, finished_at = null
  where j.id in (
    select x.id from private.jobs x where x.kind = 'send_alert' and x.status = 'dead' for update skip locked
  );
end;
$$;
comment on function public.record_alert_message(uuid[], boolean) is
  'Notes that staff were sent these alerts, or that they are over, and brings back the messages that were '
  'given up. Repeating it changes nothing.';
grant execute on function public.record_alert_message(uuid[], boolean) to service_role;
