-- Health figures: asked every few seconds by whoever watches the shop, so none of them may read a table that
-- grows. What waits or failed has a partial index, and counting stops at 1000. All of it is plpgsql, whose
-- plans are kept: making them took longer than running them.

create index webhook_events_failed_idx on public.webhook_events (status, received_at)
  where status in ('failed', 'dead');
create index webhook_events_fetched_idx on public.webhook_events (received_at) where delivery_count = 0;
create index notifications_undelivered_idx on public.notifications (status, created_at)
  where status in ('queued', 'failed', 'bounced');

create function private.worst_status(variadic p_conditions boolean[]) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when true = any (p_conditions) then 'degraded' else 'ok' end;
end;
$$;
comment on function private.worst_status(boolean[]) is 'degraded when any condition holds, else ok.';

create function private.webhook_lag() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'lag_p50_seconds', round(percentile_cont(0.5) within group (order by e.lag)::numeric, 1),
      'lag_p95_seconds', round(percentile_cont(0.95) within group (order by e.lag)::numeric, 1)
    )
    from (
      -- Stripe's clock may be ahead of ours, and says whole seconds.
      select greatest(0, extract(epoch from x.received_at - x.stripe_created_at)) as lag
      from public.webhook_events x
      where x.received_at > now() - interval '1 hour' and x.delivery_count > 0
      order by x.received_at desc
      limit 500
    ) e
  );
end;
$$;
comment on function private.webhook_lag() is
  'Part of the health check webhooks: from when an event happened at Stripe to when it was stored here, of '
  'the last 500 delivered within the hour, in seconds; null: none was.';

create function private.webhook_refusals() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    -- The table is bounded: see record_webhook_rejection().
    select jsonb_build_object('rejections', coalesce(sum(r.count), 0), 'last_rejected_at', max(r.last_at))
    from public.webhook_rejections r
  );
end;
$$;
comment on function private.webhook_refusals() is
  'Part of the health check webhooks: how many requests were refused, as far back as counters are kept.';

create function private.webhooks_health() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with problems as materialized (
      select p.kind from private.delivery_problems() p where p.kind <> 'reconciliation_drift'
    ), counted as materialized (
      select
        (
          select count(*) from (select 1 from public.webhook_events where status = 'failed' limit 1000) x
        ) as failed,
        (
          select count(*) from (select 1 from public.webhook_events where status = 'dead' limit 1000) x
        ) as dead,
        (select min(e.received_at) from public.webhook_events e where e.status = 'failed') as failed_since
    )
    select jsonb_build_object(
      'status', private.worst_status(
        c.dead > 0, c.failed_since < now() - interval '15 minutes', exists (select 1 from problems)
      ),
      'problems', (select coalesce(jsonb_agg(p.kind order by p.kind), '[]') from problems p),
      'failed', c.failed,
      'dead', c.dead,
      'last_delivered_at', (
        select max(l.at) from (values (true), (false)) m (livemode), private.last_delivery(m.livemode) l (at)
        where isfinite(l.at)
      ),
      'last_fetched_at', (select max(e.received_at) from public.webhook_events e where e.delivery_count = 0)
    ) || private.webhook_lag() || private.webhook_refusals() || coalesce((
      select jsonb_build_object('endpoint', s.state, 'endpoint_checked_at', s.checked_at)
      from private.webhook_endpoint_states s order by s.checked_at desc limit 1
    ), '{}')
    from counted c
  );
end;
$$;
comment on function private.webhooks_health() is
  'Health check webhooks: events that could not be applied, deliveries that do not come (problems), how late '
  'they are, what was refused, and how Stripe''s endpoint was when it was last looked at.';

create function private.jobs_health() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with counted as materialized (
      select
        (
          select count(*) from (
            select 1 from private.jobs where status = 'queued' and run_at <= now() limit 1000
          ) x
        ) as due,
        (select count(*) from (select 1 from private.jobs where status = 'running' limit 1000) x) as running,
        (select count(*) from (select 1 from private.jobs where status = 'dead' limit 1000) x) as dead,
        (select min(j.run_at) from private.jobs j where j.status = 'queued') as due_since,
        (select h.last_at from private.heartbeats h where h.name = 'retry_jobs') as last_run_at
    )
    select jsonb_build_object(
      'status', case
        -- Nobody calls retry-jobs any more: mail, refunds and repairs stand still.
        when c.last_run_at < now() - interval '5 minutes' then 'down'
        else private.worst_status(c.dead > 0, c.due_since < now() - interval '15 minutes')
      end,
      'due', c.due,
      'running', c.running,
      'dead', c.dead,
      'oldest_due_seconds', coalesce(greatest(0, floor(extract(epoch from now() - c.due_since))), 0),
      'last_run_at', c.last_run_at
    )
    from counted c
  );
end;
$$;
comment on function private.jobs_health() is
  'Health check jobs: the backlog, the dead, and whether anybody works at all: down when retry-jobs has not '
  'been called for five minutes, which no shop gets over by itself.';

create function private.stock_health() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with counted as materialized (
      select count(*) as leaks
      from (
        select 1
        from public.inventory_reservations r join public.orders o on o.id = r.order_id
        -- A debit takes days, and holds its goods meanwhile.
        where r.status = 'active' and r.expires_at < now() - interval '1 hour' and o.status <> 'processing'
        limit 1000
      ) x
    )
    select jsonb_build_object('status', private.worst_status(c.leaks > 0), 'leaks', c.leaks) from counted c
  );
end;
$$;
comment on function private.stock_health() is
  'Health check stock: reservations that nobody can pay for any more, and that still hold goods an hour '
  'after they should have ended (leaks).';

create function private.mail_health() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with counted as materialized (
      select
        (
          select count(*) from (select 1 from public.notifications where status = 'queued' limit 1000) x
        ) as queued,
        (
          select count(*) from (
            select 1 from public.notifications
            where status in ('failed', 'bounced') and created_at > now() - interval '1 day'
            limit 1000
          ) x
        ) as failed,
        (select min(n.created_at) from public.notifications n where n.status = 'queued') as queued_since
    )
    select jsonb_build_object(
      'status', private.worst_status(c.queued_since < now() - interval '1 hour'),
      'queued', c.queued,
      'oldest_queued_seconds', coalesce(floor(extract(epoch from now() - c.queued_since)), 0),
      'failed_last_day', c.failed
    )
    from counted c
  );
end;
$$;
comment on function private.mail_health() is
  'Health check mail: mails that wait, and those of the last day that did not arrive.';

create function private.limiter_health() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('status', 'ok', 'keys_last_minute', count(*))
    from (
      select 1 from private.rate_limits l where l.window_start > now() - interval '1 minute' limit 1000
    ) x
  );
end;
$$;
comment on function private.limiter_health() is
  'Health check limiter: how many keys the limiter in the database has counted in the last minute; none '
  'where Upstash counts. A figure only: never degraded.';

create function private.providers_health() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'status', private.worst_status(bool_or(b.open_until is not null)),
      'down', count(*) filter (where b.open_until is not null)
    )
      || coalesce(jsonb_object_agg(b.provider || '_failures', b.failures) filter (where b.failures > 0), '{}')
    from private.circuit_breakers b
  );
end;
$$;
comment on function private.providers_health() is 'Health check providers: whose circuit breaker is open.';

create function private.reconciliation_health() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    with found as materialized (
      select
        (select c.position from private.reconciliation_cursors c where c.name = 'events') as read_to,
        (
          select p.data -> 'last_hour'
          from private.delivery_problems() p where p.kind = 'reconciliation_drift'
        ) as drift
    )
    select jsonb_build_object(
      'status', private.worst_status(f.read_to < now() - interval '3 hours', f.drift is not null),
      'events_read_to_at', f.read_to,
      'drift_last_hour', coalesce(f.drift, '0'),
      'repairs_last_day', (
        select count(*) from (
          select 1 from public.reconciliation_drift d where d.found_at > now() - interval '1 day' limit 1000
        ) x
      )
    )
    from found f
  );
end;
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
      -- By the primary key: there is no index on the time, and ninety days of runs are kept.
      from (select * from cron.job_run_details order by runid desc limit 500) d
      join cron.job j on j.jobid = d.jobid
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
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'status', private.worst_status(
        coalesce(bool_or(u.noted_at < now() - interval '15 minutes'), false),
        exists (select 1 from public.alerts a where a.kind = 'audit_trail_broken' and a.status <> 'resolved')
      ),
      'unsealed', count(*),
      'seals', (select coalesce(max(s.id), 0) from private.audit_seals s),
      'newest_digest', (
        select encode(s.digest, 'hex') from private.audit_seals s order by s.id desc limit 1
      )
    )
    -- By number, so the oldest of each table come first.
    from (
      select w.noted_at from private.audit_unsealed w order by w.table_name, w.row_number limit 1000
    ) u
  );
end;
$$;
comment on function private.audit_health() is
  'Health check audit: rows that wait to be sealed, how many seals there are, and the digest of the newest. '
  'Kept outside, it proves that the trail up to it is the one that was there.';

create function public.get_health() returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('checks', jsonb_build_object(
      'database', jsonb_build_object(
        'status', private.worst_status(private.rescue_under_way()), 'rescue', private.rescue_under_way()
      ),
      'webhooks', private.webhooks_health(),
      'jobs', private.jobs_health(),
      'providers', private.providers_health(),
      'reconciliation', private.reconciliation_health(),
      'schedule', private.schedule_health(),
      'stock', private.stock_health(),
      'mail', private.mail_health(),
      'limiter', private.limiter_health(),
      'audit', private.audit_health(),
      'staff', jsonb_build_object('status', 'ok', 'second_factor', private.setting('admin_require_mfa')),
      'alerts', (
        select jsonb_build_object(
          'status', 'ok', 'open', count(*), 'critical', count(*) filter (where a.severity = 'critical')
        )
        from public.alerts a where a.status = 'open'
      )
    ))
  );
end;
$$;
comment on function public.get_health() is
  'Figures for the health endpoint: { checks: { name: { status, … } } }. Counts and times only, no personal '
  'data. Counts of what may grow stop at 1000.';
grant execute on function public.get_health() to service_role;
