-- Health figures.

create function private.worst_status(variadic p_conditions boolean[]) returns text
language sql
immutable
set search_path = ''
as $$
  select case when true = any (p_conditions) then 'degraded' else 'ok' end
$$;
comment on function private.worst_status(boolean[]) is 'degraded when any condition holds, else ok.';

create function private.webhooks_health() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'status', private.worst_status(
      count(*) filter (where e.status = 'dead') > 0,
      min(e.received_at) filter (where e.status = 'failed') < now() - interval '15 minutes',
      exists (select 1 from private.delivery_problems() p where p.kind <> 'reconciliation_drift')
    ),
    'problems', (
      select coalesce(jsonb_agg(p.kind order by p.kind), '[]')
      from private.delivery_problems() p where p.kind <> 'reconciliation_drift'
    ),
    'failed', count(*) filter (where e.status = 'failed'),
    'dead', count(*) filter (where e.status = 'dead'),
    'last_delivered_at', (
      select max(l.at) from (values (true), (false)) m (livemode), private.last_delivery(m.livemode) l (at)
      where isfinite(l.at)
    )
  ) || coalesce((
    select jsonb_build_object('endpoint', s.state, 'endpoint_checked_at', s.checked_at)
    from private.webhook_endpoint_states s order by s.checked_at desc limit 1
  ), '{}')
  from public.webhook_events e where e.status in ('failed', 'dead')
$$;
comment on function private.webhooks_health() is
  'Health check webhooks: events that could not be applied, deliveries that do not come (problems), and '
  'how Stripe''s endpoint was when it was last looked at.';

create function private.jobs_health() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'status', private.worst_status(
      count(*) filter (where j.status = 'dead') > 0,
      min(j.run_at) filter (where j.status = 'queued') < now() - interval '15 minutes',
      -- Nobody calls retry-jobs any more: mail, refunds and repairs stand still.
      (select h.last_at from private.heartbeats h where h.name = 'retry_jobs') < now() - interval '10 minutes'
    ),
    'due', count(*) filter (where j.status = 'queued' and j.run_at <= now()),
    'running', count(*) filter (where j.status = 'running'),
    'dead', count(*) filter (where j.status = 'dead'),
    'oldest_due_seconds',
    coalesce(
      floor(
        extract(epoch from now() - min(j.run_at) filter (where j.status = 'queued' and j.run_at <= now()))
      ), 0
    ),
    'last_run_at', (select h.last_at from private.heartbeats h where h.name = 'retry_jobs')
  )
  from private.jobs j where j.status in ('queued', 'running', 'dead')
$$;
comment on function private.jobs_health() is
  'Health check jobs: the backlog, the dead, and whether anybody works at all.';

create function private.providers_health() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'status', private.worst_status(bool_or(b.open_until is not null)),
    'down', count(*) filter (where b.open_until is not null)
  )
    || coalesce(jsonb_object_agg(b.provider || '_failures', b.failures) filter (where b.failures > 0), '{}')
  from private.circuit_breakers b
$$;
comment on function private.providers_health() is 'Health check providers: whose circuit breaker is open.';

create function private.reconciliation_health() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'status', private.worst_status(
      (select c.position from private.reconciliation_cursors c
        where c.name = 'events') < now() - interval '3 hours',
      exists (select 1 from private.delivery_problems() p where p.kind = 'reconciliation_drift')
    ),
    'events_read_to_at', (select c.position from private.reconciliation_cursors c where c.name = 'events'),
    'drift_last_hour', coalesce((
      select p.data -> 'last_hour' from private.delivery_problems() p where p.kind = 'reconciliation_drift'
    ), '0'),
    'repairs_last_day', (select count(*) from public.reconciliation_drift d
      where d.found_at > now() - interval '1 day')
  )
$$;
comment on function private.reconciliation_health() is
  'Health check reconciliation: how far Stripe''s events have been read, and what had to be repaired.';

create function private.schedule_health() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_runs jsonb := '{}';
  v_answers jsonb := '{}';
begin
  -- Only where Supabase's scheduler is installed; dynamic, because elsewhere the tables do not exist.
  if to_regclass('cron.job_run_details') is not null then
    execute $sql$
      select jsonb_build_object(
        'runs_failed', count(*) filter (where d.status = 'failed'),
        'last_run_at', max(d.start_time)
      )
      from cron.job_run_details d join cron.job j on j.jobid = d.jobid
      where j.jobname = 'retry-jobs' and d.start_time > now() - interval '1 hour'
    $sql$ into v_runs;
  end if;
  if to_regclass('net._http_response') is not null then
    execute $sql$
      select jsonb_build_object(
        'calls_failed',
        count(*) filter (
          where r.timed_out or r.error_msg is not null or r.status_code not between 200 and 299
        ),
        'calls', count(*)
      )
      from net._http_response r where r.created > now() - interval '15 minutes'
    $sql$ into v_answers;
  end if;
  return jsonb_build_object('status', private.worst_status(
    (v_runs ->> 'runs_failed')::integer > 0,
    -- A single slow answer is noise; most of them failing is a wrong key or address.
    (v_answers ->> 'calls_failed')::integer > (v_answers ->> 'calls')::integer / 2
  )) || v_runs || v_answers;
end;
$$;
comment on function private.schedule_health() is
  'Health check schedule: failed runs of pg_cron and failed calls of pg_net; ok where there is neither.';

create function private.audit_health() returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'status', private.worst_status(
      min(u.noted_at) < now() - interval '15 minutes',
      exists (select 1 from public.alerts a where a.kind = 'audit_trail_broken' and a.status <> 'resolved')
    ),
    'unsealed', count(*),
    'seals', (select coalesce(max(s.id), 0) from private.audit_seals s),
    'newest_digest', (
      select encode(s.digest, 'hex') from private.audit_seals s order by s.id desc limit 1
    )
  )
  from private.audit_unsealed u
$$;
comment on function private.audit_health() is
  'Health check audit: rows that wait to be sealed, how many seals there are, and the digest of the newest. '
  'Kept outside, it proves that the trail up to it is the one that was there.';

create function public.get_health() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object('checks', jsonb_build_object(
    'database', jsonb_build_object('status', 'ok'),
    'webhooks', private.webhooks_health(),
    'jobs', private.jobs_health(),
    'providers', private.providers_health(),
    'reconciliation', private.reconciliation_health(),
    'schedule', private.schedule_health(),
    'audit', private.audit_health(),
    'staff', jsonb_build_object('status', 'ok', 'second_factor', private.setting('admin_require_mfa')),
    'alerts', (
      select jsonb_build_object(
        'status', 'ok', 'open', count(*), 'critical', count(*) filter (where a.severity = 'critical')
      )
      from public.alerts a where a.status = 'open'
    )
  ))
$$;
comment on function public.get_health() is
  'Figures for the health endpoint: { checks: { name: { status, … } } }. Counts and times only, no personal '
  'data.';
grant execute on function public.get_health() to service_role;
