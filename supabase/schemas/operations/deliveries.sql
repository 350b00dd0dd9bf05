-- Do Stripe's deliveries arrive? Events that are fetched keep orders right while the webhook is dead, so that
-- nobody would notice. Four causes, each with an alert that opens and closes with it, and the same in health.

create table private.webhook_endpoint_states (
  livemode boolean primary key,
  state text not null,
  endpoint_id text,
  differences jsonb not null default '[]',
  since timestamptz not null default now(),
  checked_at timestamptz not null default now(),
  constraint webhook_endpoint_states_state_known
    check (state in ('ok', 'disabled', 'changed', 'missing', 'not_permitted'))
);
comment on table private.webhook_endpoint_states is
  'How the webhook endpoint at our address was when Stripe was last asked, in each mode.';
comment on column private.webhook_endpoint_states.endpoint_id is
  'The endpoint last seen at our address; null: there never was one, and events come another way if at all.';
comment on column private.webhook_endpoint_states.differences is
  'What is not as the registry of events says, in words.';
comment on column private.webhook_endpoint_states.since is 'When it was first found in this state.';
alter table private.webhook_endpoint_states enable row level security;

insert into private.job_kinds (kind, provider, max_attempts, retention, description) values
  (
    'check_webhook_endpoint', 'stripe', 12, '7 days',
    'Looks at Stripe whether the webhook endpoint is as it should be.'
  );
insert into private.periodic_jobs (kind, every) values ('check_webhook_endpoint', '1 hour');

create index orders_paid_at_idx on public.orders (livemode, paid_at) where paid_at is not null;

create function private.last_delivery(p_livemode boolean) returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(max(e.delivered_at), '-infinity') from public.webhook_events e
    where e.livemode = p_livemode and e.delivered_at is not null
  );
end;
$$;
comment on function private.last_delivery(boolean) is
  'When Stripe last delivered an event of this mode; -infinity: never.';

create function private.recent_drift() returns setof public.reconciliation_drift
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select d.*
  from public.reconciliation_drift d
  -- What concerns no order of ours may be older than this shop.
  where d.order_id is not null and d.found_at > now() - interval '1 hour' and not exists (
    select 1 from public.webhook_events e
    where d.kind = 'missed_event' and e.id = d.object_id and e.delivery_count > 0
  ) and not exists (
    select 1 from public.webhook_events e
    where d.kind <> 'missed_event' and e.received_at > d.found_at - interval '1 minute'
      and e.delivered_at > d.found_at and e.object_id = d.object_id
  );
end;
$$;
comment on function private.recent_drift() is
  'What reconciliation had to fetch or repair of our orders within the last hour, and Stripe has not '
  'delivered since: reading an event or object moments before its delivery is no drift.';

create function private.webhook_silence() returns table (livemode boolean, last_delivered_at timestamptz)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select m.livemode, l.at
  from (values (true), (false)) m (livemode), private.last_delivery(m.livemode) l (at)
  where exists (
    select 1 from public.orders o
    -- Stripe's events of one payment come within seconds of each other, and its clock is not ours.
    where o.livemode = m.livemode and o.paid_at > l.at + interval '1 minute'
      and o.paid_at between now() - interval '1 day' and now() - interval '10 minutes'
  ) or exists (
    select 1
    from public.reconciliation_drift d join public.webhook_events e on e.id = d.object_id
    where d.kind = 'missed_event' and d.order_id is not null and d.found_at > now() - interval '1 day'
      and e.livemode = m.livemode and e.delivery_count = 0
      and e.stripe_created_at > l.at + interval '1 minute'
      and e.stripe_created_at between now() - interval '1 day' and now() - interval '10 minutes'
  );
end;
$$;
comment on function private.webhook_silence() is
  'Modes in which money moved within the last day, ten minutes ago or more, and Stripe has delivered '
  'nothing since. Without money there is no silence, however long nothing comes.';

create function private.delivery_problems() returns table (kind text, severity text, data jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  (
    select 'webhook_silence', 'critical', jsonb_build_object(
      'livemode', s.livemode,
      'last_delivered_at', case when isfinite(s.last_delivered_at) then s.last_delivered_at end
    )
    from private.webhook_silence() s order by s.livemode desc limit 1
  )
  union all
  select
    case s.state when 'disabled' then 'webhook_endpoint_disabled' else 'webhook_endpoint_changed' end,
    case s.state when 'changed' then 'warning' else 'critical' end,
    jsonb_build_object(
      'endpoint_id', s.endpoint_id, 'livemode', s.livemode, 'since', s.since, 'differences', s.differences
    )
  from (select * from private.webhook_endpoint_states order by checked_at desc limit 1) s
  where s.state = 'changed'
    -- Unless events go on coming: from the Stripe CLI, a platform's endpoint, or by way of another domain.
    or (
      s.state in ('disabled', 'missing') and s.endpoint_id is not null
      and private.last_delivery(s.livemode) < s.since + interval '1 minute'
    )
  union all
  select 'reconciliation_drift', 'warning',
    jsonb_build_object('last_hour', count(*), 'last_id', max(d.object_id))
  from private.recent_drift() d
  where d.found_at < now() - interval '10 minutes'
  having count(*) > 0;
end;
$$;
comment on function private.delivery_problems() is
  'Why deliveries are not to be relied on, at most one row a kind: webhook_silence, '
  'webhook_endpoint_disabled, webhook_endpoint_changed, reconciliation_drift. Alerts and health both say '
  'what this says.';

create function private.watch_deliveries() returns void
language plpgsql
set search_path = ''
as $$
declare
  -- How often the endpoint is looked at while something is wrong; else as private.periodic_jobs says.
  c_look_again constant interval := '5 minutes';
  r record;
  v_wrong boolean := exists (select 1 from private.recent_drift());
begin
  -- One at a time, and nobody waits: the next heartbeat looks again.
  if not pg_try_advisory_xact_lock(hashtextextended('watch_deliveries', 0)) then
    return;
  end if;
  for r in
    select k.kind, p.severity, p.data, a.data as told
    from (values
      ('reconciliation_drift'), ('webhook_endpoint_changed'),
      ('webhook_endpoint_disabled'), ('webhook_silence')
    ) k (kind)
    left join private.delivery_problems() p on p.kind = k.kind
    left join public.alerts a on a.dedupe_key = k.kind and a.status <> 'resolved'
    order by k.kind
  loop
    v_wrong := v_wrong or r.severity is not null;
    if r.severity is not null and r.told is distinct from r.data then
      perform private.raise_alert(r.kind, r.severity, r.kind, r.data);
    elsif r.severity is null and r.told is not null then
      update public.alerts set status = 'resolved' where dedupe_key = r.kind;
    end if;
  end loop;
  if v_wrong then
    update private.periodic_jobs p set next_at = greatest(now(), p.next_at - p.every + c_look_again)
    where p.kind = 'check_webhook_endpoint'
      and p.next_at > greatest(now(), p.next_at - p.every + c_look_again);
  end if;
end;
$$;
comment on function private.watch_deliveries() is
  'Opens an alert for each of delivery_problems() and resolves those that are over. While there is any, or '
  'something had to be fetched, the endpoint at Stripe is looked at sooner.';

create function public.record_webhook_endpoint(
  p_livemode boolean,
  p_state text,
  p_endpoint_id text,
  p_differences text[]
) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.webhook_endpoint_states as s (livemode, state, endpoint_id, differences)
  values (p_livemode, p_state, p_endpoint_id, to_jsonb(p_differences))
  on conflict (livemode) do update set
    state = excluded.state,
    endpoint_id = coalesce(excluded.endpoint_id, s.endpoint_id),
    differences = excluded.differences,
    since = case when s.state = excluded.state then s.since else now() end,
    checked_at = now();
  perform private.watch_deliveries();
end;
$$;
comment on function public.record_webhook_endpoint(boolean, text, text, text[]) is
  'Notes what Stripe says of the webhook endpoint at our address in the mode of the key. p_state: ok, '
  'disabled, changed (p_differences says how), missing (p_endpoint_id null), not_permitted (the key may '
  'not read endpoints). Alerts follow.';
grant execute on function public.record_webhook_endpoint(boolean, text, text, text[]) to service_role;
