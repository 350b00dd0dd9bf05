-- What is old goes: finished jobs, payloads and then rows of events, counters, resolved alerts. Ids of events
-- stay for ever, so that a late delivery is still known; so do jobs that settling would queue again if it did
-- not find them.

insert into private.settings (key, value, description) values
  (
    'retention_payload_days', '90',
    'How long the payloads of processed and ignored webhook events are kept. They carry personal data.'
  ),
  (
    'retention_event_days', '1095',
    'How long webhook events are kept; of older ones only the ids stay. 60 or more.'
  ),
  (
    'retention_foreign_days', '3',
    'How long the payloads of events about customers and objects that are not ours are kept: as long as '
    'Stripe may take to deliver what makes them ours.'
  ),
  ('retention_unpaid_days', '90', 'How long orders that were never paid keep personal data.'),
  ('retention_signal_days', '365', 'How long velocity hits are kept that belong to no paid order.'),
  ('retention_log_days', '90', 'How long counters of refused webhooks and runs of the scheduler are kept.'),
  ('retention_alert_days', '365', 'How long resolved alerts and the drift log are kept.');

-- A negative one would delete what is of today.
alter table private.settings add constraint settings_retention_fits check (
  key !~ '^retention_[a-z]+_days$'
  or (jsonb_typeof(value) = 'number' and value #>> '{}' ~ '^[1-9][0-9]{0,3}$')
);

-- Stripe delivers for three days and lists events for thirty: what can still come is known by its row.
alter table private.settings add constraint settings_retention_keeps_events check (
  key <> 'retention_event_days' or case when value #>> '{}' ~ '^[0-9]{1,9}$'
    then (value #>> '{}')::integer >= 60 else false end
);

create index webhook_events_purgeable_idx on public.webhook_events (received_at)
  where status in ('processed', 'ignored') and not payload ? 'purged' and not payload ? 'erased';

create function private.retention(p_setting text) returns interval
language sql
stable
set search_path = ''
as $$
  select make_interval(days => (private.setting('retention_' || p_setting || '_days'))::integer)
$$;
comment on function private.retention(text) is 'A retention setting as an interval.';

create function private.purge_jobs(p_limit integer) returns integer
language sql
set search_path = ''
as $$
  with old as (
    select j.id
    from private.job_kinds k
    cross join lateral (
      select x.id from private.jobs x
      where x.kind = k.kind and x.status in ('done', 'discarded') and x.finished_at < now() - k.retention
      order by x.finished_at
      limit p_limit
    ) j
    where k.retention is not null
    limit p_limit
  ), purged as (
    delete from private.jobs x using old where x.id = old.id returning 1
  )
  select count(*)::integer from purged
$$;
comment on function private.purge_jobs(integer) is
  'Deletes up to p_limit jobs that finished longer ago than their kind is kept. Dead jobs stay until '
  'somebody has looked.';

create function private.purge_schedule(p_limit integer) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer := 0;
begin
  if to_regclass('cron.job_run_details') is not null then
    execute 'delete from cron.job_run_details where runid in (select runid from cron.job_run_details where '
            'end_time < now() - $1 limit $2)'
      using private.retention('log'), p_limit;
    get diagnostics v_count = row_count;
  end if;
  return v_count;
end;
$$;
comment on function private.purge_schedule(integer) is
  'Deletes old rows of pg_cron''s log, where there is one; it never does so itself.';

create function private.purge_rate_limits(p_limit integer) returns integer
language sql
set search_path = ''
as $$
  with purged as (
    delete from private.rate_limits r
    where (r.key, r.window_start) in (
      select x.key, x.window_start from private.rate_limits x
      where x.window_start < now() - interval '1 day' limit p_limit for update skip locked
    )
    returning 1
  )
  select count(*)::integer from purged
$$;
comment on function private.purge_rate_limits(integer) is
  'Deletes up to p_limit counters of the rate limits that count no more: they name network addresses, and '
  'in a quiet shop take_rate_limits() seldom comes to it.';

create function private.purge_alerts(p_limit integer) returns integer
language sql
set search_path = ''
as $$
  with old as (
    select a.id, a.dedupe_key
    from public.alerts a
    where a.status = 'resolved' and a.last_at < now() - private.retention('alert')
      and not exists (
        select 1 from private.jobs j
        where j.kind = 'send_alert' and j.payload ->> 'alert_id' = a.id::text
          and j.status not in ('done', 'discarded')
      )
    limit p_limit
  ), told as (
    -- With the jobs of its messages: one left behind would keep the next alert of this cause, which counts
    -- from one again, from being told when it gets as far.
    delete from private.jobs j using old
    where j.kind = 'send_alert' and j.payload ->> 'alert_id' = old.id::text
  ), purged as (
    delete from public.alerts a using old where a.id = old.id returning 1
  )
  select count(*)::integer from purged
$$;
comment on function private.purge_alerts(integer) is
  'Deletes up to p_limit resolved alerts that are older than retention_alert_days, with the jobs that told '
  'of them. raised_alerts stay.';

create function private.purge_payloads(p_limit integer) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.webhook_events set payload = '{"purged": true}'
  where id in (
    select e.id from public.webhook_events e
    where e.status in ('processed', 'ignored') and not e.payload ? 'purged' and not e.payload ? 'erased'
      -- One that is to be applied anew is needed until it was.
      and e.next_attempt_at is null
      and e.received_at < now() - least(private.retention('payload'), private.retention('foreign'))
      and (
        e.received_at < now() - private.retention('payload') or e.ignored_reason = 'foreign_object'
        or (e.type in ('customer.updated', 'customer.deleted') and not exists (
          select 1 from private.stripe_customers c where c.id = e.payload #>> '{data,object,id}'
        ))
      )
    order by e.received_at
    limit p_limit
    for no key update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.purge_payloads(integer) is
  'Empties up to p_limit payloads of finished events: after retention_payload_days, and after '
  'retention_foreign_days where they are about strangers.';

create function private.purge_events(p_limit integer) returns integer
language sql
set search_path = ''
as $$
  with old as (
    select e.id from public.webhook_events e
    where e.received_at < now() - private.retention('event')
      and e.status in ('processed', 'ignored') and e.next_attempt_at is null
    order by e.received_at
    limit p_limit
    for update skip locked
  ), kept as (
    insert into private.purged_webhook_events (id) select o.id from old o on conflict do nothing
  ), purged as (
    delete from public.webhook_events e using old o where e.id = o.id returning 1
  )
  select count(*)::integer from purged
$$;
comment on function private.purge_events(integer) is
  'Deletes up to p_limit events that are older than retention_event_days and of which nothing is to be done; '
  'their ids stay. The oldest lie side by side, so their pages are free for new ones.';

create function private.purge_signals(p_limit integer) returns integer
language sql
set search_path = ''
as $$
  with purged as (
    delete from public.fraud_signals where id in (
      select f.id from public.fraud_signals f left join public.orders o on o.id = f.order_id
      -- A paid order is measured again at each settling, and must find what it had found.
      where f.kind = 'velocity' and o.paid_at is null and f.created_at < now() - private.retention('signal')
      limit p_limit
    ) returning 1
  )
  select count(*)::integer from purged
$$;
comment on function private.purge_signals(integer) is
  'Deletes up to p_limit velocity hits older than retention_signal_days that belong to no paid order.';

create type public.purge_report as (purged jsonb, more boolean);
comment on type public.purge_report is
  'How many rows of each kind were removed ({ kind: count }), and whether there are more.';

create function public.purge_old_data(p_limit integer) returns public.purge_report
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_jobs integer := private.purge_jobs(p_limit);
  v_schedule integer := private.purge_schedule(p_limit);
  v_payloads integer := private.purge_payloads(p_limit);
  v_events integer := private.purge_events(p_limit);
  v_unpaid integer := private.forget_unpaid_orders(p_limit);
  v_signals integer := private.purge_signals(p_limit);
  v_limits integer := private.purge_rate_limits(p_limit);
  v_rejections integer;
  v_alerts integer;
  v_drift integer;
begin
  delete from public.webhook_rejections where id in (
    select r.id
    from public.webhook_rejections r where r.last_at < now() - private.retention('log') limit p_limit
  );
  get diagnostics v_rejections = row_count;
  v_alerts := private.purge_alerts(p_limit);
  delete from public.reconciliation_drift where id in (
    select d.id
    from public.reconciliation_drift d where d.found_at < now() - private.retention('alert') limit p_limit
  );
  get diagnostics v_drift = row_count;
  return row(
    jsonb_build_object(
      'jobs', v_jobs, 'payloads', v_payloads, 'rejections', v_rejections, 'alerts', v_alerts,
      'drift', v_drift, 'schedule_runs', v_schedule,
      'unpaid_orders', v_unpaid, 'signals', v_signals, 'rate_limits', v_limits, 'events', v_events
    ),
    greatest(
      v_jobs, v_payloads, v_rejections, v_alerts, v_drift, v_schedule, v_unpaid, v_signals, v_limits,
      v_events
    ) >= p_limit
  )::public.purge_report;
end;
$$;
comment on function public.purge_old_data(integer) is
  'Removes up to p_limit rows of each kind that retention settings call old. more: call again.';
grant execute on function public.purge_old_data(integer) to service_role;
