-- Generated from supabase/schemas/operations by 'deno task migrations': edit there.

-- What happens by the clock. One heartbeat (retry-jobs, called every minute on Supabase and every two seconds
-- offline) queues all of it: nothing else has to be scheduled.

create table private.periodic_jobs (
  kind text primary key references private.job_kinds (kind),
  every interval not null,
  every_when_quiet interval,
  priority integer not null default 200,
  next_at timestamptz
);
comment on table private.periodic_jobs is
  'Kinds of job that are queued again and again. next_at null: never yet; the first comes a minute after '
  'the first heartbeat.';
comment on column private.periodic_jobs.every_when_quiet is
  'How often while the shop is quiet, see is_quiet(); null: as ever.';
alter table private.periodic_jobs enable row level security;

insert into private.periodic_jobs (kind, every, every_when_quiet) values
  ('reconcile_events', '1 minute', '10 minutes'),
  ('reconcile_objects', '1 hour', null),
  ('refresh_webhook_addresses', '1 day', null),
  ('purge', '1 day', null);

create table private.heartbeats (
  name text primary key,
  last_at timestamptz not null default now(),
  silent_from timestamptz,
  resumed_at timestamptz
);
comment on table private.heartbeats is
  'When something that must keep happening last happened. Health compares it with the clock.';
comment on column private.heartbeats.silent_from is
  'When it last stopped for five minutes or more; null: it never did.';
comment on column private.heartbeats.resumed_at is 'When it went on after that.';
alter table private.heartbeats enable row level security;

create index jobs_expire_session_idx on private.jobs ((payload ->> 'session_id'))
  where kind = 'expire_checkout_session' and status in ('queued', 'running');

create function private.queue_expiries() returns integer
language plpgsql
set search_path = ''
as $$
declare
  -- Stripe ends sessions by itself and says so within seconds; this is for when nobody heard it.
  c_grace constant interval := '2 minutes';
  c_sessions_max constant integer := 200;
  r record;
  v_queued integer := 0;
begin
  for r in
    select s.id, s.order_id, k.key
    from public.checkout_sessions s
    -- Once an hour on the first day, then once a day, until Stripe has said how the session ended.
    cross join lateral format(
      'expire_checkout_session:%s:%s', s.id, to_char(
        now(), case when s.expires_at > now() - interval '1 day' then 'YYYYMMDDHH24' else 'YYYYMMDD' end
      )
    ) as k (key)
    where s.status = 'open' and s.expires_at < now() - c_grace
      -- Those that were looked at take no room from the others.
      and not exists (select 1 from private.jobs j where j.dedupe_key = k.key)
      and not exists (
        select 1 from private.jobs j
        where j.kind = 'expire_checkout_session' and j.payload ->> 'session_id' = s.id
          and j.status in ('queued', 'running')
      )
    order by s.expires_at
    limit c_sessions_max
  loop
    if private.enqueue_job(
      'expire_checkout_session', r.key,
      jsonb_build_object('session_id', r.id, 'order_id', r.order_id), now(), 60
    ) then
      v_queued := v_queued + 1;
    end if;
  end loop;

  if exists (select 1 from private.lost_checkouts(1)) and not exists (
    select 1 from private.jobs j where j.kind = 'find_lost_sessions' and j.status in ('queued', 'running')
  ) and private.enqueue_job('find_lost_sessions', 'find_lost_sessions:' || to_char(now(), 'YYYYMMDDHH24MI'),
  '{}', now(), 60) then
    v_queued := v_queued + 1;
  end if;
  return v_queued;
end;
$$;
comment on function private.queue_expiries() is
  'The expiry sweep: queues a look at Stripe for every session that should have ended and every attempt '
  'that never heard back. Releases nothing itself: stock goes back on Stripe''s word only.';

create function private.lost_checkouts(p_limit integer)
returns table (order_id uuid, attempt integer, started_at timestamptz, ended_at timestamptz)
language sql
stable
set search_path = ''
as $$
  -- Stripe makes no session that ends in less than 30 minutes. Five minutes after that moment no answer is
  -- under way any more, so what is not at Stripe then will never be.
  select o.id, o.attempt,
    coalesce(
      (
        select max(e.created_at)
        from public.order_events e where e.order_id = o.id and e.kind = 'checkout_reopened'
      ),
      o.created_at
    ),
    o.session_expires_at - interval '25 minutes'
  from (
    select p.* from public.orders p where p.status in ('pending', 'processing')
    union all
    -- These stay cancelled for good. What Stripe took for one is found by its payment.
    select c.* from public.orders c
    where c.status = 'cancelled' and c.session_expires_at > now() - interval '30 days'
  ) o
  where o.session_expires_at < now() + interval '25 minutes'
    and o.abandoned_at is null and o.session_id is null
    and not exists (
      select 1 from public.checkout_sessions s where s.order_id = o.id and s.attempt = o.attempt
    )
  order by o.session_expires_at
  limit p_limit
$$;
comment on function private.lost_checkouts(integer) is
  'Orders whose current attempt has no session although none can be made any more: the answer was lost, or '
  'the call never happened. started_at and ended_at: when Stripe can have made it.';

create function public.get_lost_checkouts(p_limit integer)
returns table (order_id uuid, attempt integer, started_at timestamptz, ended_at timestamptz)
language sql
stable
security definer
set search_path = ''
as $$
  select * from private.lost_checkouts(p_limit)
$$;
comment on function public.get_lost_checkouts(integer) is
  'Attempts whose session nobody knows, and when Stripe can have made it, oldest first.';
grant execute on function public.get_lost_checkouts(integer) to service_role;

create function private.note_heartbeat() returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.heartbeats as h (name) values ('retry_jobs')
  on conflict (name) do update set last_at = now(),
    silent_from = case when h.last_at < now() - interval '5 minutes' then h.last_at else h.silent_from end,
    resumed_at = case when h.last_at < now() - interval '5 minutes' then now() else h.resumed_at end
  where h.last_at < now() - interval '5 seconds';
end;
$$;
comment on function private.note_heartbeat() is
  'Notes that somebody called retry-jobs, and since when nobody had, if that was five minutes or more.';

create function private.beat(p_part text) returns integer
language plpgsql
set search_path = ''
as $$
declare
  c_key constant text := 'heartbeat_part_failed:' || p_part;
  v_answer text;
begin
  begin
    execute format('select private.%I()', p_part) into v_answer;
  exception
    when deadlock_detected or lock_not_available or serialization_failure then
      -- The next heartbeat is a minute away.
      return 0;
    when others then
      perform private.raise_alert(
        'heartbeat_part_failed', 'critical', c_key,
        jsonb_build_object('part', p_part, 'error', private.error_text(sqlstate, sqlerrm))
      );
      return 0;
  end;
  update public.alerts set status = 'resolved' where dedupe_key = c_key and status <> 'resolved';
  -- Only a number is a count of jobs.
  return case when v_answer ~ '^\d+$' then v_answer::integer else 0 end;
end;
$$;
comment on function private.beat(text) is
  'Runs one part of the heartbeat, a function of private without arguments, and returns how many jobs it has '
  'queued. One that fails stops no other: it is undone, and told as heartbeat_part_failed until it works.';

create function private.is_quiet() returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  c_lull constant interval := '10 minutes';
begin
  return not exists (select 1 from public.orders o where o.status in ('pending', 'processing'))
    and not exists (select 1 from public.webhook_events e where e.received_at > now() - c_lull);
end;
$$;
comment on function private.is_quiet() is
  'Whether nobody is buying: no order waits to be paid, and Stripe has told nothing for ten minutes.';

create function public.enqueue_periodic_jobs(p_settings jsonb default '{}') returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_parts constant text[] := array[
    'watch_deliveries', 'watch_audit_trail', 'queue_digest', 'queue_budget_report', 'count_objectives',
    'measure_stock', 'fold_metrics', 'queue_expiries', 'queue_recovery_mails'
  ];
  r private.periodic_jobs;
  v_quiet boolean := private.is_quiet();
  v_part text;
  v_queued integer := 0;
begin
  -- Policies cannot read the environment, so the heartbeat carries what they need of it. It never lowers: a
  -- worker that works on the project with another environment must not open to everybody what staff alone may
  -- read.
  update private.settings
  set value = 'true', updated_at = now()
  where key = 'admin_require_mfa' and p_settings -> key = 'true' and value <> 'true';

  perform private.note_heartbeat();
  if private.rescue_under_way() then
    -- What the clock says is due may have been done by the database that was lost: finish_rescue() knows.
    return 0;
  end if;
  foreach v_part in array c_parts loop
    v_queued := v_queued + private.beat(v_part);
  end loop;

  for r in
    select p.* from private.periodic_jobs p
    where p.next_at is null
      or p.next_at <= now() - case when v_quiet then coalesce(p.every_when_quiet - p.every, '0') else '0' end
    order by p.kind
    for update skip locked
  loop
    if r.next_at is not null and not exists (
      select 1 from private.jobs j where j.kind = r.kind and j.status in ('queued', 'running')
    ) and private.enqueue_job(r.kind, format('%s:%s', r.kind, floor(extract(epoch from r.next_at))), '{}',
    now(), r.priority) then
      v_queued := v_queued + 1;
    end if;
    update private.periodic_jobs
    set next_at = now() + case
      when r.next_at is null then least(r.every, interval '1 minute')
      else r.every
    end
    where kind = r.kind;
  end loop;
  return v_queued;
end;
$$;
comment on function public.enqueue_periodic_jobs(jsonb) is
  'The heartbeat: p_settings { admin_require_mfa: true } turns that on in private.settings, nothing here '
  'turns it off. Raises and resolves the alerts about deliveries, seals the audit trail, counts, and queues '
  'what has ended, each part by itself; then queues whatever is due by the clock, each once per period '
  'however often this is called, and never a second of a kind while one waits; nothing while a restored '
  'database catches up. Returns how many were queued.';
grant execute on function public.enqueue_periodic_jobs(jsonb) to service_role;

-- The daily update of the addresses that Stripe posts webhooks from.

create table private.webhook_address_changes (
  id bigint generated always as identity primary key,
  added jsonb not null,
  removed jsonb not null,
  changed_at timestamptz not null default now()
);
comment on table private.webhook_address_changes is
  'Append-only: what each update added to and removed from the addresses that may post webhooks.';
alter table private.webhook_address_changes enable row level security;

create type public.webhook_address_change as (added text[], removed text[]);
comment on type public.webhook_address_change is
  'What an update added to and removed from the addresses that may post webhooks.';

create function public.replace_webhook_addresses(p_addresses text[]) returns public.webhook_address_change
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_addresses inet[] := array(select distinct a::inet from unnest(p_addresses) a);
  v_known integer := (select count(*) from public.stripe_webhook_ips);
  v_change public.webhook_address_change;
begin
  -- A cut or wrong page would shut Stripe out: Stripe never took away half of its addresses at once.
  if cardinality(v_addresses) = 0 or cardinality(v_addresses) * 2 < v_known then
    raise exception 'a list of % addresses cannot replace one of %', cardinality(v_addresses), v_known
      using errcode = 'SHINV';
  end if;
  with gone as (
    delete from public.stripe_webhook_ips
    where not address = any (v_addresses) returning host(address) as address
  )
  select coalesce(array_agg(gone.address), '{}') into v_change.removed from gone;
  with new as (
    insert into public.stripe_webhook_ips (address) select unnest(v_addresses) on conflict do nothing
    returning host(address) as address
  )
  select coalesce(array_agg(new.address), '{}') into v_change.added from new;
  insert into private.heartbeats (name)
  values ('webhook_addresses') on conflict (name) do update set last_at = now();
  if cardinality(v_change.added) > 0 or cardinality(v_change.removed) > 0 then
    insert into private.webhook_address_changes (added, removed)
    values (to_jsonb(v_change.added), to_jsonb(v_change.removed));
    perform private.raise_alert(
      'webhook_addresses_changed', 'info',
      'webhook_addresses_changed', to_jsonb(v_change)
    );
  end if;
  return v_change;
end;
$$;
comment on function public.replace_webhook_addresses(text[]) is
  'Takes over Stripe''s published list of webhook addresses; a change is '
  'written down and told to staff. SHINV: the list is empty or has shrunk by more than half.';
grant execute on function public.replace_webhook_addresses(text[]) to service_role;

-- Bringing back what died, and hurrying what waits for its next try: webhook events and jobs, by id, by type,
-- or all. An event that was processed or ignored can be translated anew, should an older release have made
-- less of it. Each is a staff command, so that who did it stands in the log; running one again is harmless,
-- because facts merge and outward calls carry keys.

create function private.requeue_job(p_job_id bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Who asks for another try believes that the cause is gone: the provider is asked at once.
  update private.circuit_breakers b set open_until = now()
  from private.jobs j join private.job_kinds k on k.kind = j.kind
  where j.id = p_job_id and b.provider = k.provider and b.open_until > now();
  update private.jobs
  set status = 'queued', run_at = now(), attempts = 0, lost_leases = 0, finished_at = null, lease_id = null,
    leased_until = null
  where id = p_job_id
    and (status in ('queued', 'dead', 'discarded') or (status = 'done' and kind = 'retry_event'));
end;
$$;
comment on function private.requeue_job(bigint) is
  'Makes a waiting, dead or discarded job due now, with all its attempts; that of an event also when it is '
  'done.';

create function private.redrive_event(p_event_id text) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- What was processed stays so until it has been tried: next_attempt_at says that it is to be.
  update public.webhook_events
  set status = case status when 'dead' then 'failed' else status end, next_attempt_at = now()
  where id = p_event_id and not payload ?| array['erased', 'purged'];
  if not found then
    raise exception 'event % is not stored here, or its payload is gone; reconcile fetches what Stripe '
      'still has', p_event_id using errcode = 'SHEVT';
  end if;
  if not private.enqueue_job(
    'retry_event', 'retry_event:' || p_event_id, jsonb_build_object('event_id', p_event_id), now(), 10
  ) then
    perform private.requeue_job(j.id) from private.jobs j where j.dedupe_key = 'retry_event:' || p_event_id;
  end if;
end;
$$;
comment on function private.redrive_event(text) is
  'Queues a webhook event again: it is translated anew and its facts merged. SHEVT: it is not stored, or '
  'its payload was purged or erased.';

create function private.redrive_job(p_job_id bigint) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_job private.jobs;
begin
  perform private.lock_before_jobs(array[p_job_id]);
  select * into v_job from private.jobs where id = p_job_id for update;
  if not found then
    raise exception 'job % is not stored here', p_job_id using errcode = 'SHINV';
  elsif v_job.status not in ('queued', 'dead', 'discarded') then
    raise exception 'job % is not waiting, dead or discarded (status %)', p_job_id, v_job.status
      using errcode = 'SHINV';
  elsif v_job.kind = 'retry_event' then
    perform private.redrive_event(v_job.payload ->> 'event_id');
  elsif v_job.kind = 'refund_payment' then
    perform private.check_refund_redrive(v_job);
    perform private.requeue_job(p_job_id);
    perform private.resume_refund(v_job);
  else
    -- What the mail's last refusal said of it no longer holds.
    if v_job.kind = 'send_mail' then
      update public.notifications set status = 'queued'
      where id = (v_job.payload ->> 'notification_id')::uuid and status = 'failed';
    end if;
    perform private.requeue_job(p_job_id);
  end if;
end;
$$;
comment on function private.redrive_job(bigint) is
  'Queues a waiting, dead or discarded job again. SHINV: it is done, running or unknown. SHREF: a refund '
  'that another one may stand in for, or that is more than is left.';

create function private.redrivable(
  p_event_ids text[],
  p_job_ids bigint[],
  p_type text,
  p_all boolean,
  p_again boolean,
  p_after text,
  p_limit integer
) returns table (what text, id text, type text, status text, last_error text, problem text)
language sql
stable
set search_path = ''
as $$
  select x.* from (
    select 'event' as what, i.id, e.type, coalesce(e.status, 'missing') as status, e.last_error,
      case
        when e.id is null then 'is not stored here; reconcile fetches it, if Stripe still has it'
        when e.payload ?| array['erased', 'purged'] then 'has no payload any more'
      end as problem
    from unnest(p_event_ids) as i (id) left join public.webhook_events e on e.id = i.id
    union all
    select 'job', i.id::text, j.kind, coalesce(j.status, 'missing'), j.last_error,
      case
        when j.id is null then 'is not stored here'
        when j.status not in ('queued', 'dead', 'discarded') then 'is ' || j.status
      end
    from unnest(p_job_ids) as i (id) left join private.jobs j on j.id = i.id
    union all
    select 'event', e.id, e.type, e.status, e.last_error, null
    from public.webhook_events e
    where (
        (e.status in ('failed', 'dead') and (p_all or e.type = p_type))
        or (p_again and e.type = p_type and not e.payload ?| array['erased', 'purged'])
      ) and not e.id = any (coalesce(p_event_ids, '{}'))
    union all
    select 'job', j.id::text, j.kind, j.status, j.last_error, null
    from private.jobs j
    -- The job of an event comes back with its event.
    where (j.status = 'dead' or (j.status = 'queued' and j.attempts > 0)) and j.kind <> 'retry_event'
      and (p_all or j.kind = p_type) and not j.id = any (coalesce(p_job_ids, '{}'))
  ) x
  where p_after is null or x.what || ' ' || x.id collate "C" > p_after
  order by x.what || ' ' || x.id collate "C" limit p_limit
$$;
comment on function private.redrivable(text[], bigint[], text, boolean, boolean, text, integer) is
  'The events and jobs that redrive() means by its arguments; problem: why a named one cannot run again.';

create type public.redriven_item as (
  what text,
  id text,
  type text,
  status text,
  error text,
  redriven boolean,
  problem text
);
comment on type public.redriven_item is
  'An event or job that redrive() was asked for: its event type or job kind, status and last error before '
  'it, whether it is queued again now, and why not.';

create function public.redrive(
  p_event_ids text[],
  p_job_ids bigint[],
  p_type text,
  p_all boolean,
  p_dry_run boolean,
  p_actor text,
  p_again boolean default false,
  p_after text default null,
  p_limit integer default null
) returns public.redriven_item[]
language plpgsql
security definer
set search_path = ''
as $$
declare
  r record;
  v_items public.redriven_item[] := '{}';
  v_problem text;
begin
  if not p_dry_run then
    perform private.lock_before_jobs(
      coalesce(array_agg(x.id::bigint) filter (where x.what = 'job'), '{}'),
      coalesce(array_agg(x.id) filter (where x.what = 'event'), '{}')
    )
    from private.redrivable(p_event_ids, p_job_ids, p_type, p_all, p_again, p_after, p_limit) x
    where x.problem is null;
  end if;
  for r in
    select x.* from private.redrivable(p_event_ids, p_job_ids, p_type, p_all, p_again, p_after, p_limit) x
  loop
    v_problem := r.problem;
    if v_problem is null and not p_dry_run then
      begin
        insert into public.staff_commands (command, args, actor) values (
          case r.what when 'event' then 'redrive_webhook_event' else 'redrive_job' end,
          case r.what
            when 'event' then jsonb_build_object('event_id', r.id)
            else jsonb_build_object('job_id', r.id::bigint)
          end,
          p_actor
        );
      exception when others then
        v_problem := sqlerrm;
      end;
    end if;
    v_items := v_items || row(
      r.what, r.id, r.type, r.status, r.last_error, v_problem is null and not p_dry_run, v_problem
    )::public.redriven_item;
  end loop;
  return v_items;
end;
$$;
comment on function public.redrive(
  text[], bigint[], text, boolean, boolean, text, boolean, text, integer
) is
  'Queues failed or dead events and jobs again (a failed job waits for its next try): the named ones, all '
  'of a type (event type or job kind), or all. Named events, and with p_again all events of the type, also '
  'when they were processed or ignored. p_dry_run: only lists them. Each is logged in staff_commands; '
  'p_actor names the tool, beside who is really connected. Tens of thousands take too long for one call: '
  'p_limit takes so many, by name ("event evt_…", "job 123"), behind p_after, the name of the last one '
  'before. Returns an array, which no limit on rows cuts.';
grant execute on function public.redrive(
  text[], bigint[], text, boolean, boolean, text, boolean, text, integer
) to service_role;

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

-- What is known of confirmed fraud, for the lists that Radar's rules read.

create function private.confirmed_fraud(p_livemode boolean) returns table (order_id uuid, since timestamptz)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.id, max(x.at)
  from (
    select d.order_id, d.created_at as at
    from public.disputes d where d.reason = 'fraudulent' and d.status <> 'warning_closed'
    union all
    -- A warning that staff looked at and released is none any more.
    select f.order_id, f.created_at
    from public.fraud_signals f
    where f.kind = 'early_fraud_warning' and f.was_actionable and f.released_at is null
  ) x
  join public.orders o on o.id = x.order_id
  where o.livemode = p_livemode
    and x.at > now() - private.retention('signal')
    -- The bank has found that it was the cardholder after all.
    and not exists (select 1 from public.disputes d where d.order_id = o.id and d.status = 'won')
  group by o.id;
end;
$$;
comment on function private.confirmed_fraud(boolean) is
  'Orders whose cardholder, or whose bank, says that it was not them, in the last retention_signal_days: '
  'disputed as fraudulent, and neither won nor closed as a mere inquiry, or reported by an early fraud '
  'warning that staff have not released.';

create type public.fraud_value as (item_type text, value text);
comment on type public.fraud_value is 'A value for one of Radar''s lists, under Stripe''s name of its type.';

create function public.get_fraud_values(p_livemode boolean) returns public.fraud_value[]
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return array(
    select distinct row(v.item_type, v.value)::public.fraud_value as item
    from private.confirmed_fraud(p_livemode) c
    join public.orders o on o.id = c.order_id
    cross join lateral (
      select 'email' as item_type, lower(btrim(o.email)) as value
      union all
      select 'ip_address', host(o.purchase_ip)
      union all
      select 'card_fingerprint', a.card_fingerprint
      from public.payment_attempts a where a.order_id = o.id and a.outcome = 'succeeded'
    ) v
    where v.value <> ''
    order by item
  );
end;
$$;
comment on function public.get_fraud_values(boolean) is
  'What confirmed fraud was done with, for Radar''s value lists: addresses, networks'' addresses and '
  'fingerprints of cards. What was erased or has been cleared is gone from it. An array, which no limit on '
  'rows cuts: what is missing here leaves the lists.';
grant execute on function public.get_fraud_values(boolean) to service_role;

-- Where personal data is, and how long it stays.

-- private.retention_rules lists every column that can hold text. A test holds it against the schema, so that
-- a new column is judged the day it appears. Erasing empties what is `person` by hand (erasure.sql), and
-- searches what is `text`.

create table private.retention_rules (
  table_name text not null,
  columns text[] not null,
  holds text not null,
  kept text not null,
  ended_by text not null,
  constraint retention_rules_pkey primary key (table_name, holds),
  constraint retention_rules_holds_known check (holds in ('person', 'text', 'nothing'))
);
comment on table private.retention_rules is
  'What each table holds of people, and for how long. holds: person (names, addresses, what identifies '
  'somebody; emptied by erasure), text (written by people or providers: may mention somebody, so erasure '
  'searches it), nothing (ids, closed sets of words, figures, the catalogue).';
comment on column private.retention_rules.kept is 'How long: a setting, an event, or for good.';
comment on column private.retention_rules.ended_by is 'The functions that remove it.';
alter table private.retention_rules enable row level security;

insert into private.retention_rules (table_name, columns, holds, kept, ended_by) values
  ('public.orders',
    '{email,customer_name,phone,shipping_name,shipping_address,billing_address,purchase_ip,user_agent,'
    'idempotency_key}', 'person',
    'paid: as bookkeeping law wants, until erased; never paid: retention_unpaid_days',
    'erase_person(), forget_unpaid_orders()'),
  ('public.returns', '{reason}', 'text', 'with the order', 'erase_person()'),
  ('public.returns', '{status,refund_request_id}', 'nothing', 'for good', ''),
  ('public.refund_lines', '{request_id,refund_id}', 'nothing', 'for good', ''),
  ('public.shipments', '{carrier,tracking_number,tracking_url}', 'text', 'with the order', 'erase_person()'),
  (
    'public.orders',
    '{number,locale,status,fulfillment_status,currency,cart_hash,ui_mode,shipping_rates,session_id,'
    'payment_id,decided_payment_id,asked_currency,asked_country}',
    'nothing', 'for good', ''
  ),
  ('public.order_risk', '{velocity_mode,three_d_secure,review_reasons}', 'nothing', 'with the order', ''),
  (
    'public.checkout_sessions',
    '{email,name,phone,shipping_name,shipping_address,billing_address,business,promotions_consent,url,'
    'version,contact_version}',
    'person',
    'with the order', 'erase_orders()'
  ),
  (
    'public.checkout_sessions',
    '{id,status,payment_status,payment_id,stripe_customer_id,currency,cart_hash,recovered_from,'
    'terms_consent,presentment_currency}',
    'nothing',
    'for good', ''
  ),
  ('public.order_terms', '{version}', 'nothing', 'for good', ''),
  ('private.terms_texts', '{version,refund_policy,cancellation_policy}', 'nothing', 'for good', ''),
  ('public.customers', '{email,name}', 'person', 'until erased', 'erase_person()'),
  ('public.customers', '{stripe_customer_id}', 'nothing', 'until erased', 'erase_person()'),
  ('private.stripe_customers', '{email,name,version}', 'person', 'until erased', 'erase_person()'),
  ('private.stripe_customers', '{id}', 'nothing', 'for good: what comes later must be known as erased', ''),
  (
    'public.payments',
    '{id,status,currency,stripe_customer_id,charge_id,failure_code,decline_code,payment_method_type,'
    'card_brand,card_last4,card_country,risk_level,three_d_secure_result,presentment_currency,version}',
    'nothing', 'for good', ''
  ),
  (
    'public.payment_attempts', '{card_fingerprint,receipt_url,version}', 'person', 'with the order',
    'erase_orders()'
  ),
  ('public.payment_attempts', '{seller_message}', 'text', 'with the order', 'erase_person()'),
  (
    'public.payment_attempts',
    '{id,payment_id,outcome,currency,failure_code,decline_code,advice_code,payment_method_type,card_brand,'
    'card_last4,card_funding,card_country,three_d_secure_result,risk_level,presentment_currency}',
    'nothing', 'for good', ''
  ),
  ('public.notifications', '{recipient}', 'person', 'with the order', 'erase_orders()'),
  ('public.notifications', '{last_error,data}', 'text', 'with the order', 'erase_person()'),
  ('public.notifications', '{template,dedupe_key,status,provider_id}', 'nothing', 'for good', ''),
  ('private.unchecked_orders', '{violations}', 'nothing', 'until it is true again', ''),
  ('private.alert_lulls', '{kind}', 'nothing', 'for good', ''),
  ('private.alert_rules', '{kind,unit,severity,description}', 'nothing', 'for good', ''),
  ('private.alert_incidents', '{kind}', 'nothing', 'for good', ''),
  ('public.mail_suppressions', '{email_hmac,reason}', 'nothing',
    'for good, under a keyed digest: whoever was erased stays unsubscribed', ''),
  ('public.order_events', '{data}', 'text', 'with the order', 'erase_person()'),
  ('public.order_events', '{kind,source}', 'nothing', 'for good', ''),
  ('public.staff_commands', '{args,result}', 'text', 'for good, as the audit log', 'erase_person()'),
  ('public.staff_commands', '{command,actor}', 'nothing', 'for good', ''),
  (
    'public.webhook_events', '{payload}',
    'person', 'retention_payload_days; of strangers retention_foreign_days',
    'purge_payloads(), erase_person()'
  ),
  (
    'public.webhook_events', '{last_error}', 'text', 'retention_event_days',
    'purge_events(), erase_person()'
  ),
  (
    'public.webhook_events', '{id,type,status,api_version,ignored_reason,source_ip,object_id}',
    'nothing', 'retention_event_days; source_ip is Stripe''s', 'purge_events()'
  ),
  ('private.purged_webhook_events', '{id}', 'nothing', 'for good: a late delivery must be known', ''),
  ('public.webhook_rejections', '{source_ip}', 'person', 'retention_log_days', 'purge_old_data()'),
  ('public.webhook_rejections', '{reason}', 'nothing', 'retention_log_days', 'purge_old_data()'),
  (
    'public.fraud_signals', '{data,source_id}',
    'person', 'velocity hits that no paid order has: retention_signal_days', 'purge_signals(), erase_orders()'
  ),
  (
    'public.fraud_signals', '{payment_id,charge_id,kind,severity,answer,version}',
    'nothing', 'with the order', ''
  ),
  (
    'public.alerts', '{data,dedupe_key}', 'text', 'resolved: retention_alert_days',
    'purge_alerts(), erase_person()'
  ),
  ('public.alerts', '{kind,severity,status}', 'nothing', 'resolved: retention_alert_days', 'purge_alerts()'),
  ('public.inventory_journal', '{note}', 'text', 'for good, as the journal', 'erase_person()'),
  ('public.inventory_journal', '{kind,actor}', 'nothing', 'for good', ''),
  ('public.refund_requests', '{problem}', 'text', 'with the order', 'erase_person()'),
  ('public.refund_requests', '{id,payment_id,cause,status}', 'nothing', 'for good', ''),
  (
    'public.refunds',
    '{id,payment_id,charge_id,currency,presentment_currency,status,reason,failure_reason,request_id,version}',
    'nothing', 'for good', ''
  ),
  ('public.refund_reasons', '{refund_id,reason}', 'nothing', 'for good', ''),
  (
    'public.disputes',
    '{id,payment_id,charge_id,currency,reason,status,statuses_seen,network_reason_code,version}', 'nothing',
    'for good', ''
  ),
  ('public.dispute_decisions', '{dispute_id,round,decision,reason}', 'nothing', 'for good', ''),
  ('public.reconciliation_drift', '{before,after}', 'text', 'retention_alert_days', 'purge_old_data()'),
  ('public.reconciliation_drift', '{kind,object_id}', 'nothing', 'retention_alert_days', 'purge_old_data()'),
  ('public.order_items', '{sku,name,tax_code}', 'nothing', 'for good', ''),
  ('public.products', '{slug,name,description,image_url,tax_code}', 'nothing', 'for good', ''),
  (
    'public.product_variants', '{sku,size,color,currency,stripe_price_id,image_url}', 'nothing', 'for good',
    ''
  ),
  ('public.variant_prices', '{currency}', 'nothing', 'for good', ''),
  ('public.inventory_reservations', '{status}', 'nothing', 'for good', ''),
  ('public.shipping_rates', '{name,currency,countries,tax_code}', 'nothing', 'for good', ''),
  ('public.stripe_webhook_ips', '{address}', 'nothing', 'as Stripe publishes them', ''),
  (
    'private.jobs', '{payload,last_error}', 'text', 'the retention of its kind',
    'purge_jobs(), erase_person()'
  ),
  ('private.jobs', '{kind,dedupe_key,status,worker}', 'nothing', 'the retention of its kind', 'purge_jobs()'),
  ('private.rate_limits', '{key}', 'person', 'two days', 'take_rate_limits(), purge_old_data()'),
  ('private.circuit_breakers', '{reason}', 'text', 'until the provider is back', 'erase_person()'),
  ('private.audited_tables', '{name,numbered_by,texts}', 'nothing', 'for good', ''),
  ('private.audit_unsealed', '{table_name}', 'nothing', 'until it is sealed', 'seal_audit_trail()'),
  ('private.audit_leaves', '{table_name}', 'nothing', 'for good', ''),
  ('private.carriers', '{name,tracking_url}', 'nothing', 'for good', ''),
  ('private.circuit_breakers', '{provider}', 'nothing', 'for good', ''),
  ('private.disposable_email_domains', '{domain}', 'nothing', 'for good', ''),
  ('private.heartbeats', '{name}', 'nothing', 'for good', ''),
  ('private.job_kinds', '{kind,provider,description}', 'nothing', 'for good', ''),
  ('private.metrics', '{name,type,unit,labels,allowed,counted_by,help}', 'nothing', 'for good', ''),
  ('private.metric_samples', '{metric,labels}', 'nothing', 'until the next heartbeat', 'fold_metrics()'),
  ('private.metric_series', '{metric,labels}', 'nothing', 'for good', ''),
  ('private.objectives', '{name,functions,description}', 'nothing', 'for good', ''),
  ('private.objective_days', '{objective}', 'nothing', 'for good', ''),
  ('private.periodic_jobs', '{kind}', 'nothing', 'for good', ''),
  ('private.raised_alerts', '{dedupe_key}', 'nothing', 'for good', ''),
  ('private.reconciliation_cursors', '{name}', 'nothing', 'for good', ''),
  ('private.released_mismatches', '{session_id,reason}', 'nothing', 'with the order', ''),
  ('private.retention_rules', '{table_name,columns,holds,kept,ended_by}', 'nothing', 'for good', ''),
  ('private.settings', '{key,value,description}', 'nothing', 'for good', ''),
  ('private.velocity_rule_sets', '{digest,rules}', 'nothing', 'for good', ''),
  ('private.velocity_rules', '{name,subject,measure,currency,action,alert,description}', 'nothing',
    'for good', ''),
  ('private.webhook_address_changes', '{added,removed}', 'nothing', 'for good: addresses of Stripe''s', ''),
  ('private.webhook_endpoint_states', '{state,endpoint_id,differences}', 'nothing',
    'until the next look at Stripe', '');

-- How long what is kept of people, and why, in one table that can be shown to them.

create view private.retention_periods with (security_invoker = true) as
select x.data,
  coalesce((private.setting(x.setting) #>> '{}') || ' days', x.kept) as kept,
  x.setting, x.reason, x.tables
from (values
  (
    'paid orders: names, addresses, payment pages, mails', 'until erasure is asked for', null,
    'contract and bookkeeping (GDPR art. 6(1)(b), (c))',
    array[
      'public.orders', 'public.checkout_sessions', 'public.payment_attempts', 'public.notifications',
      'public.returns', 'public.shipments', 'public.refund_requests', 'public.customers',
      'private.stripe_customers', 'public.fraud_signals'
    ]
  ),
  (
    'paid orders: amounts, ids, accepted terms', 'for good', null,
    'bookkeeping, legal claims (GDPR art. 6(1)(c), 17(3)(e))', array['public.order_terms']
  ),
  (
    'consent to promotional mails', 'until erasure is asked for', null,
    'proof of the consent (GDPR art. 7(1))', array['public.checkout_sessions']
  ),
  (
    'orders that were never paid', null, 'retention_unpaid_days',
    'steps before a contract, not needed after them (GDPR art. 5(1)(e), 6(1)(b))', array['public.orders']
  ),
  (
    'events of Stripe as received', null, 'retention_payload_days',
    'repair of what was applied wrongly (GDPR art. 6(1)(f))', array['public.webhook_events']
  ),
  (
    'events of Stripe about strangers', null, 'retention_foreign_days',
    'until it is known whose they are (GDPR art. 5(1)(c))', array['public.webhook_events']
  ),
  (
    'events of Stripe: type, outcome, errors', null, 'retention_event_days',
    'operation of the shop (GDPR art. 6(1)(f))', array['public.webhook_events']
  ),
  (
    'signs of misuse without a paid order', null, 'retention_signal_days',
    'prevention of fraud (GDPR recital 47)', array['public.fraud_signals']
  ),
  (
    'network addresses of refused webhooks', null, 'retention_log_days',
    'security of the systems (GDPR recital 49)', array['public.webhook_rejections']
  ),
  (
    'counters of the rate limits', 'two days', null,
    'security of the systems (GDPR recital 49)', array['private.rate_limits']
  ),
  (
    'resolved alerts, repairs', null, 'retention_alert_days',
    'operation of the shop (GDPR art. 6(1)(f))', array['public.alerts', 'public.reconciliation_drift']
  ),
  (
    'work that waits or has failed', 'until it is done, or the retention of its kind', null,
    'contract (GDPR art. 6(1)(b))', array['private.jobs', 'private.circuit_breakers']
  ),
  (
    'the audit trail', 'for good; a person''s words until erasure is asked for', null,
    'accountability and bookkeeping (GDPR art. 5(2), 6(1)(c))',
    array['public.order_events', 'public.staff_commands', 'public.inventory_journal']
  )
) as x (data, kept, setting, reason, tables);
comment on view private.retention_periods is
  'What is kept of people, how long and on which legal ground; tables: where it is (retention_rules says '
  'it by column). Who operates the shop checks the grounds against the law of their country.';

-- How a person is found in texts, and taken out of them.

create function private.words_pattern(p_words text[]) returns text
language sql
immutable
set search_path = ''
as $$
  -- As typed, and as JSON writes it. An address inside a longer one is somebody else's.
  select '(?<![[:alnum:]._%+-])(?:' || string_agg(
    distinct regexp_replace(regexp_replace(x.word, '([].*+?^${}()|\\[-])', '\\\1', 'g'), '\s+', '\\s+', 'g'),
    '|'
  )
    || ')(?![[:alnum:]]|[.-][[:alnum:]])'
  from unnest(p_words) w (word)
  cross join lateral (values (w.word), (btrim(to_json(w.word)::text, '"'))) as x (word)
$$;
comment on function private.words_pattern(text[]) is
  'A regular expression that finds any of these words. Null: there are none.';

create function private.phone_pattern(p_phone text) returns text
language sql
immutable
set search_path = ''
as $$
  select '\+?(?<![0-9])' || regexp_replace(d.digits, '(.)(?=.)', '\1[ ()./-]*', 'g') || '(?![0-9])'
  from (select regexp_replace(p_phone, '[^0-9]', '', 'g') as digits) d
  where length(d.digits) >= 7
$$;
comment on function private.phone_pattern(text) is
  'A regular expression that finds a phone number however it is spaced. Null: too short to be one.';

create function private.redact(p_value jsonb, p_pattern text, p_mark text default '[erased]')
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case jsonb_typeof(p_value)
    when 'string' then to_jsonb(regexp_replace(p_value #>> '{}', p_pattern, p_mark, 'gi'))
    when 'array' then (
      select coalesce(jsonb_agg(private.redact(x.value, p_pattern, p_mark) order by x.position), '[]')
      from jsonb_array_elements(p_value) with ordinality as x (value, position)
    )
    when 'object' then (
      select coalesce(jsonb_object_agg(x.key, private.redact(x.value, p_pattern, p_mark)), '{}')
      from jsonb_each(p_value) x
    )
    else p_value
  end;
end;
$$;
comment on function private.redact(jsonb, text, text) is
  'A JSON value with p_mark for whatever its texts have of the pattern.';

create function private.redact_texts(p_pattern text, p_order_ids uuid[] default null) returns integer
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_count integer;
  v_total integer := 0;
begin
  perform set_config('kct.erasing', 'on', true);
  for r in
    select x.table_name, a.attname, a.atttypid = 'jsonb'::regtype as json,
      exists (
        select 1 from pg_attribute o where o.attrelid = a.attrelid and o.attname = 'order_id'
      ) as of_order
    from private.retention_rules x
    join pg_attribute a on a.attrelid = x.table_name::regclass and a.attname = any (x.columns)
    where x.holds = 'text'
  loop
    continue when p_order_ids is not null and not r.of_order;
    execute format(
      case when r.json then 'update %1$s set %2$I = private.redact(%2$I, $1) where %2$I::text ~* $1'
        else 'update %1$s set %2$I = regexp_replace(%2$I, $1, ''[erased]'', ''gi'') where %2$I ~* $1' end
        || case when p_order_ids is not null then ' and order_id = any ($2)' else '' end,
      r.table_name, r.attname
    ) using p_pattern, p_order_ids;
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  perform set_config('kct.erasing', '', true);
  return v_total;
end;
$$;
comment on function private.redact_texts(text, uuid[]) is
  'Removes what the pattern finds from every column that retention_rules calls text; p_order_ids: only in '
  'the rows of these orders. Returns how many values changed.';

create function private.without_digest(p_version text) returns text
language sql
immutable
set search_path = ''
as $$
  select regexp_replace(p_version, '[0-9a-f]{32}$', '')
$$;
comment on function private.without_digest(text) is 'A version of a fact without the digest of what it said.';

create function private.words_of_person(
  p_email text,
  p_order_ids uuid[],
  p_customer_ids uuid[],
  p_stripe_ids text[],
  out anywhere text,
  out own text
)
language sql
stable
set search_path = ''
as $$
  with known (email, name, phone, phrase) as (
    select p_email, null, null, null
    union select o.email, x.name, o.phone, x.line1
    from public.orders o cross join lateral (values
      (o.customer_name, o.billing_address ->> 'line1'), (o.shipping_name, o.shipping_address ->> 'line1')
    ) as x (name, line1)
    where o.id = any (p_order_ids)
    union select s.email, x.name, s.phone, x.line1
    from public.checkout_sessions s cross join lateral (values
      (s.name, s.billing_address ->> 'line1'), (s.shipping_name, s.shipping_address ->> 'line1')
    ) as x (name, line1)
    where s.order_id = any (p_order_ids)
    union select null, null, null, x.phrase
    from public.checkout_sessions s cross join lateral (
      select s.business ->> 'name'
      union select t ->> 'value' from jsonb_array_elements(s.business -> 'tax_ids') t
    ) as x (phrase)
    where s.order_id = any (p_order_ids)
    union select c.email, c.name, null, null from public.customers c where c.id = any (p_customer_ids)
    union select c.email, c.name, null, null from private.stripe_customers c where c.id = any (p_stripe_ids)
  ), words (word, own_only) as (
    select k.email, false from known k
    -- A single name may be a word, or somebody else's: it is searched for in the rows of the orders only.
    union select k.name, k.name !~ '\S\s+\S' from known k
    union select k.phrase, length(k.phrase) < 8 from known k
    union select part, true from known k, regexp_split_to_table(k.name, '\s+') part where length(part) >= 3
  )
  select
    concat_ws(
      '|', private.words_pattern(array_agg(w.word) filter (where not w.own_only and btrim(w.word) <> '')),
      p.phones
    ),
    concat_ws('|', private.words_pattern(array_agg(w.word) filter (where btrim(w.word) <> '')), p.phones)
  from words w
  cross join (select string_agg(distinct private.phone_pattern(k.phone), '|') as phones from known k) p
  group by p.phones
$$;
comment on function private.words_of_person(text, uuid[], uuid[], text[]) is
  'Patterns for what identifies a buyer: anywhere (addresses, full names, company, tax ids, street, phone), '
  'and own: single names and short words as well, for the rows of their orders.';

-- What is stored of a person, found and locked before an erasure.

create function private.events_of_person(p_order_ids uuid[], p_stripe_ids text[], p_email text)
returns setof text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_ids text[] := array(
    select s.id from public.checkout_sessions s where s.order_id = any (p_order_ids)
    union all select p.id from public.payments p where p.order_id = any (p_order_ids)
    union all select a.id from public.payment_attempts a where a.order_id = any (p_order_ids)
    union all select r.id from public.refunds r where r.order_id = any (p_order_ids)
    union all select d.id from public.disputes d where d.order_id = any (p_order_ids)
    union all select f.source_id from public.fraud_signals f where f.order_id = any (p_order_ids)
  ) || p_stripe_ids;
begin
  return query
  select e.id from public.webhook_events e
  where not e.payload ? 'erased' and (
    e.payload #>> '{data,object,id}' = any (v_ids)
    or e.payload #>> '{data,object,payment_intent}' = any (v_ids)
    or e.payload #>> '{data,object,charge}' = any (v_ids)
    -- By address alone: a household shares its name, street and phone.
    or (
      e.payload::text ilike '%' || p_email || '%' and e.payload::text ~* private.words_pattern(array[p_email])
    )
  );
end;
$$;
comment on function private.events_of_person(uuid[], text[], text) is
  'Stored events about these orders, these Stripe customers, or with this address, ours or not, dead ones '
  'too.';

create type private.person_scope as (
  order_ids uuid[],
  customer_ids uuid[],
  stripe_ids text[],
  event_ids text[],
  failed_event_ids text[]
);
comment on type private.person_scope is
  'What is stored of a person: orders, customers, and events of Stripe. failed_event_ids: all events whose '
  'error may name somebody.';

create function private.scope_of_person(p_email text) returns private.person_scope
language plpgsql
stable
set search_path = ''
as $$
declare
  s private.person_scope;
begin
  s.order_ids := array(
    select o.id from public.orders o where lower(o.email) = p_email
    union select x.order_id from public.checkout_sessions x where lower(x.email) = p_email
    union select n.order_id from public.notifications n where lower(n.recipient) = p_email
  );
  s.customer_ids := array(
    select c.id from public.customers c where lower(c.email) = p_email
    -- The row of a guest is that of their orders, whatever address it has by now.
    or (
      c.user_id is null and c.id in (select o.customer_id from public.orders o where o.id = any (s.order_ids))
    )
    order by c.id
  );
  s.order_ids := array(
    select o.id from public.orders o where o.id = any (s.order_ids) or o.customer_id = any (s.customer_ids)
    order by o.id
  );
  s.stripe_ids := array(
    select c.stripe_customer_id from public.customers c where c.id = any (s.customer_ids)
    union select x.stripe_customer_id from public.checkout_sessions x where x.order_id = any (s.order_ids)
    union select c.id from private.stripe_customers c where lower(c.email) = p_email
    -- An account that used this address on one order keeps its own customer.
    except select c.stripe_customer_id from public.customers c where not c.id = any (s.customer_ids)
    except select null
    order by 1
  );
  s.event_ids := array(
    select x from private.events_of_person(s.order_ids, s.stripe_ids, p_email) x order by x
  );
  s.failed_event_ids := array(
    select e.id from public.webhook_events e where e.last_error is not null order by e.id
  );
  return s;
end;
$$;
comment on function private.scope_of_person(text) is
  'What is stored under an e-mail address (in lower case), by id.';

create function private.lock_person(p_email text) returns private.person_scope
language plpgsql
set search_path = ''
as $$
declare
  s private.person_scope;
begin
  loop
    begin
      s := private.scope_of_person(p_email);
      -- Events before orders, as who receives or tries an event locks them.
      perform 1 from public.webhook_events e
      where e.id = any (s.event_ids || s.failed_event_ids)
      order by e.id
      for no key update;
      perform 1 from public.orders o where o.id = any (s.order_ids) order by o.id for no key update;
      exit when s = private.scope_of_person(p_email);
      raise exception 'more has come in' using errcode = 'SHAGN';
    exception when sqlstate 'SHAGN' then
      -- Locked in the right order means from the beginning: this undoes the locks.
      null;
    end;
  end loop;
  return s;
end;
$$;
comment on function private.lock_person(text) is
  'scope_of_person(), locked: events by id, then orders by id.';

-- How personal data goes: a person who asks, and orders that were never paid.
--

create function private.erase_orders(p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.checkout_sessions s set
    email = null, name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, business = null, promotions_consent = null, url = null,
    version = private.without_digest(s.version), contact_version = private.without_digest(s.contact_version)
  where s.order_id = any (p_order_ids);
  update public.payment_attempts a
  set card_fingerprint = null, receipt_url = null, version = private.without_digest(a.version)
  where a.order_id = any (p_order_ids);
  update public.fraud_signals f set data = f.data - 'subject_digest'
  where f.order_id = any (p_order_ids) and f.data ? 'subject_digest';
  update public.notifications n set recipient = null where n.order_id = any (p_order_ids);
  update public.orders o set
    email = null, customer_name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, purchase_ip = null, user_agent = null, idempotency_key = null,
    erased_at = coalesce(o.erased_at, now())
  where o.id = any (p_order_ids);
end;
$$;
comment on function private.erase_orders(uuid[]) is
  'Takes the personal data out of orders and of all that hangs on them. Amounts, ids, card brand and last '
  'four digits stay: bookkeeping law wants them. The caller has locked the orders.';

create function private.erase_own_texts(p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform set_config('kct.erasing', 'on', true);
  update public.staff_commands c set args = c.args - '{reason,note}'::text[]
  where c.order_id = any (p_order_ids) and c.args ?| array['reason', 'note'];
  perform set_config('kct.erasing', '', true);
  update public.returns r set reason = null where r.order_id = any (p_order_ids) and r.reason is not null;
  update private.jobs j set
    payload = j.payload || jsonb_build_object('note', null)
      || case when j.payload ->> 'reason' in ('duplicate', 'fraudulent', 'requested_by_customer')
        then '{}' else jsonb_build_object('reason', null) end,
    last_error = case when j.last_error is not null then '[erased]' end
  where (j.payload ?| array['note', 'reason'] or j.last_error is not null) and (
    j.payload ->> 'order_id' = any (p_order_ids::text[])
    or j.payload ->> 'dispute_id' in (select d.id from public.disputes d where d.order_id = any (p_order_ids))
    or j.payload ->> 'notification_id' in (
      select n.id::text from public.notifications n where n.order_id = any (p_order_ids)
    )
  );
end;
$$;
comment on function private.erase_own_texts(uuid[]) is
  'Removes what staff wrote about orders, and what providers said of their jobs: it may name the buyer in '
  'any way.';

create function private.erase_events(p_event_ids text[], p_pattern text) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  -- Of one that is still to be applied, what it says of money is needed.
  update public.webhook_events e set payload = case
    when e.status in ('processed', 'ignored') and e.next_attempt_at is null then '{"erased": true}'
    else private.redact(e.payload, p_pattern)
  end
  where e.id = any (p_event_ids);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.erase_events(text[], text) is
  'Empties the stored payloads of events; from one that is still to be applied it takes what the pattern '
  'finds. Returns how many.';

create function private.erase_stripe_customers(p_ids text[], p_livemode boolean) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.stripe_customers as c (id, livemode, version, deleted_at, erased_at)
  select x.id, p_livemode, '', now(), now() from unnest(p_ids) as x (id)
  on conflict (id) do update set
    email = null, name = null, version = private.without_digest(c.version),
    -- It will be: until then no checkout must name it again.
    deleted_at = coalesce(c.deleted_at, now()), erased_at = coalesce(c.erased_at, now());
  perform private.enqueue_job(
    'delete_stripe_customer', 'delete_stripe_customer:' || x.id,
    jsonb_build_object('stripe_customer_id', x.id)
  ) from unnest(p_ids) as x (id);
end;
$$;
comment on function private.erase_stripe_customers(text[], boolean) is
  'Notes Stripe customers as erased, and has Stripe''s own copy deleted by a job.';

create function private.refuse_disputed(p_order_ids uuid[]) returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  d record;
begin
  select x.id, o.number, x.evidence_due_by into d
  from public.disputes x join public.orders o on o.id = x.order_id
  where x.order_id = any (p_order_ids)
    and private.awaits_evidence(x)
  order by x.evidence_due_by limit 1;
  if found then
    raise exception 'dispute % of order % still needs this data as evidence (due %)', d.id, d.number,
      d.evidence_due_by
      using errcode = 'SHINV',
        hint = 'Call submit_dispute_evidence(), or accept the dispute in Stripe''s dashboard; then erase '
               'again.';
  end if;
end;
$$;
comment on function private.refuse_disputed(uuid[]) is
  'SHINV while a dispute of one of these orders waits for evidence: defending a claim goes before erasure '
  '(GDPR article 17(3)(e)).';

create function private.erase_customers(p_customer_ids uuid[]) returns void
language sql
set search_path = ''
as $$
  update public.customers c
  set email = null, name = null, stripe_customer_id = null,
    stripe_deleted_at = coalesce(c.stripe_deleted_at, now())
  where c.id = any (p_customer_ids)
$$;
comment on function private.erase_customers(uuid[]) is
  'Empties customer rows. At Stripe erase_stripe_customers() sees to it.';

create function private.erase_person(p_email text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_email constant text := lower(btrim(p_email));
  s private.person_scope := private.lock_person(v_email);
  v_words record;
  v_modes boolean[];
  v_count jsonb;
  v_order_id uuid;
begin
  perform private.refuse_disputed(s.order_ids);
  v_modes := array(
    select o.livemode from public.orders o where o.id = any (s.order_ids)
    union select c.livemode from public.customers c where c.id = any (s.customer_ids)
  );
  select w.anywhere, w.own into v_words
  from private.words_of_person(v_email, s.order_ids, s.customer_ids, s.stripe_ids) w;

  v_count := jsonb_build_object(
    'orders', cardinality(s.order_ids), 'customers', cardinality(s.customer_ids),
    'stripe_customers', cardinality(s.stripe_ids),
    'events', private.erase_events(s.event_ids, v_words.own)
  );
  perform private.erase_own_texts(s.order_ids);
  v_count := v_count || jsonb_build_object(
    'texts', private.redact_texts(v_words.anywhere) + private.redact_texts(v_words.own, s.order_ids)
  );
  if not exists (select 1 from jsonb_each(v_count) c where c.value <> '0') then
    return v_count;
  end if;
  perform private.erase_digests(v_email, s.order_ids);
  -- A payment under way too: who would get the goods is not known any more when its money comes.
  update public.orders o set cancelled_at = coalesce(o.cancelled_at, now())
  where o.id = any (s.order_ids) and o.status in ('pending', 'processing');
  perform private.erase_orders(s.order_ids);
  perform private.erase_stripe_customers(s.stripe_ids, coalesce(v_modes[1], false));
  perform private.erase_customers(s.customer_ids);
  foreach v_order_id in array s.order_ids loop
    perform private.settle_order(v_order_id, 'staff');
  end loop;
  return v_count;
end;
$$;
comment on function private.erase_person(text) is
  'Removes a person from everything that is known under an e-mail address, and ends their open payment '
  'pages; what a payment under way brings goes back. What comes later about their orders is stored without '
  'them. Returns counts; all of them 0: nobody is known, and nothing was changed. SHINV: a dispute needs the '
  'data.';

create function private.erase_digests(p_email text, p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Hits that stopped a checkout belong to no order: they are known by the digest of whom they stopped.
  delete from public.fraud_signals f
  where f.kind = 'velocity' and f.order_id is null and f.data ->> 'subject_digest' in (
    select left(private.keyed_digest(k), 16)
    from (
      select private.email_key(p_email) as k
      union select text(n.network)
      from public.orders o cross join lateral private.address_keys(o.purchase_ip) n
      where o.id = any (p_order_ids)
    ) keys
    where k is not null
  );
  -- A counter's key ends in what it counts: an IPv4 address, or one of the networks of an IPv6 address.
  delete from private.rate_limits l
  using public.orders o cross join lateral private.address_keys(o.purchase_ip) n
  where o.id = any (p_order_ids)
    and substring(l.key from ':([0-9]+(?:\.[0-9]+){3}|[0-9a-f:]+::/[0-9]+)$')::inet = n.network;
end;
$$;
comment on function private.erase_digests(text, uuid[]) is
  'Removes the counters that are kept under a digest of an e-mail address, or under the network addresses '
  'of orders.';

create function private.forget_unpaid_orders(p_limit integer) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_order_ids uuid[] := array(
    select o.id from public.orders o
    where o.paid_at is null and o.erased_at is null and o.status in ('expired', 'payment_failed', 'cancelled')
      and o.created_at < now() - private.retention('unpaid')
      and not exists (
        select 1 from public.payments p where p.order_id = o.id and p.status in ('processing', 'succeeded')
      )
    order by o.created_at
    limit p_limit
    for no key update skip locked
  );
begin
  perform private.erase_own_texts(v_order_ids);
  perform private.erase_orders(v_order_ids);
  return cardinality(v_order_ids);
end;
$$;
comment on function private.forget_unpaid_orders(integer) is
  'Takes the personal data out of up to p_limit orders that ended unpaid longer than retention_unpaid_days '
  'ago: no law wants them kept.';

-- The whole story of an order, for whoever looks for what went wrong: ids, words and figures, nothing
-- personal.

create type public.trace_moment as (at timestamptz, kind text, what text, detail jsonb);
comment on type public.trace_moment is
  'One thing that happened to an order: when, of what kind (request, session, event, attempt, payment, '
  'order, job, mail, refund, dispute, risk, parcel, return, staff, alert, repair), what, and ids and '
  'figures.';

create type public.order_trace as (
  order_id uuid,
  number text,
  status text,
  fulfillment_status text,
  amount_total bigint,
  currency text,
  livemode boolean,
  created_at timestamptz,
  moments public.trace_moment[]
);
comment on type public.order_trace is
  'An order as it stands, and what happened to it in order of time. amount_total in minor units.';

create function private.ids_of_order(p_order_id uuid) returns text[]
language sql
stable
set search_path = ''
as $$
  select array_agg(distinct x.id) filter (where x.id is not null)
  from (
    select p_order_id::text
    union all select unnest(array[s.id, s.payment_id]) from public.checkout_sessions s
    where s.order_id = p_order_id
    union all select unnest(array[p.id, p.charge_id]) from public.payments p where p.order_id = p_order_id
    union all select a.id from public.payment_attempts a where a.order_id = p_order_id
    union all select q.id from public.refund_requests q where q.order_id = p_order_id
    union all select r.id from public.refunds r where r.order_id = p_order_id
    union all select d.id from public.disputes d where d.order_id = p_order_id
    union all select f.source_id from public.fraud_signals f where f.order_id = p_order_id
    union all select n.id::text from public.notifications n where n.order_id = p_order_id
  ) as x (id)
$$;
comment on function private.ids_of_order(uuid) is
  'The ids of an order and of all that belongs to it, here and at Stripe: what order_of() leads back from.';

create function private.names_any(p_data jsonb, p_ids text[]) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return exists (
    select 1 from jsonb_each_text(p_data) x where x.key like '%\_id' and x.value = any (p_ids)
  );
end;
$$;
comment on function private.names_any(jsonb, text[]) is
  'Whether a field …_id of an alert''s data or a command''s arguments is one of these ids.';

create function private.trace_of_money(p_order_id uuid) returns setof public.trace_moment
language sql
stable
set search_path = ''
as $$
  select s.created_at, 'session', 'session_seen', jsonb_build_object(
    'id', s.id, 'attempt', s.attempt, 'status', s.status, 'payment_status', s.payment_status,
    'payment_id', s.payment_id, 'expires_at', s.expires_at, 'completed_at', s.completed_at,
    'recovered_from', s.recovered_from, 'closing_at', s.closing_at
  ) from public.checkout_sessions s where s.order_id = p_order_id
  union all
  select p.created_at, 'payment', p.status, jsonb_build_object(
    'id', p.id, 'amount', p.amount, 'amount_received', p.amount_received, 'currency', p.currency,
    'charge_id', p.charge_id, 'method', p.payment_method_type, 'failure_code', p.failure_code,
    'decline_code', p.decline_code, 'risk_level', p.risk_level, 'succeeded_at', p.succeeded_at,
    'presentment_amount', p.presentment_amount, 'presentment_currency', p.presentment_currency
  ) from public.payments p where p.order_id = p_order_id
  union all
  select a.created_at, 'attempt', a.outcome, jsonb_build_object(
    'id', a.id, 'payment_id', a.payment_id, 'amount', a.amount, 'currency', a.currency,
    'failure_code', a.failure_code, 'decline_code', a.decline_code, 'advice_code', a.advice_code,
    'three_d_secure', a.three_d_secure_result
  ) from public.payment_attempts a where a.order_id = p_order_id
  union all
  select q.created_at, 'refund', 'refund_request_' || q.status, jsonb_build_object(
    'id', q.id, 'payment_id', q.payment_id, 'amount', q.amount, 'cause', q.cause, 'refusals', q.refusals,
    'error', q.problem, 'given_up_at', q.given_up_at
  ) from public.refund_requests q where q.order_id = p_order_id
  union all
  select r.created_at, 'refund', 'refund_' || r.status, jsonb_build_object(
    'id', r.id, 'request_id', r.request_id, 'payment_id', r.payment_id, 'amount', r.amount,
    'currency', r.currency, 'succeeded_at', r.succeeded_at, 'failed_at', r.failed_at,
    'presentment_amount', r.presentment_amount, 'presentment_currency', r.presentment_currency,
    'error', r.failure_reason
  ) from public.refunds r where r.order_id = p_order_id
  union all
  select d.created_at, 'dispute', d.status, jsonb_build_object(
    'id', d.id, 'payment_id', d.payment_id, 'amount', d.amount, 'currency', d.currency, 'reason', d.reason,
    'evidence_due_by', d.evidence_due_by, 'submissions', d.evidence_submission_count
  ) from public.disputes d where d.order_id = p_order_id
  union all
  select f.created_at, 'risk', f.kind, jsonb_build_object(
    'id', f.source_id, 'payment_id', f.payment_id, 'severity', f.severity, 'open', f.open,
    'answer', f.answer, 'released_at', f.released_at
  ) from public.fraud_signals f where f.order_id = p_order_id
$$;
comment on function private.trace_of_money(uuid) is
  'What Stripe has said of an order''s sessions, payments, refunds, disputes and risk, each as it stands. '
  'Times of attempts, refunds and disputes are Stripe''s, in whole seconds.';

create function private.trace_of_house(p_order_id uuid) returns setof public.trace_moment
language sql
stable
set search_path = ''
as $$
  select e.created_at,
    case when e.kind in ('order_created', 'checkout_reopened') then 'request' else 'order' end, e.kind,
    e.data || jsonb_build_object('source', e.source)
  from public.order_events e
  -- A command stands in the story itself.
  where e.order_id = p_order_id and not (e.source = 'staff' and e.data ? 'command_id')
  union all
  select n.created_at, 'mail', n.template, jsonb_build_object(
    'id', n.id, 'status', n.status, 'sent_at', n.sent_at, 'delivered_at', n.delivered_at,
    'provider_id', n.provider_id, 'error', n.last_error
  ) from public.notifications n where n.order_id = p_order_id
  union all
  select s.shipped_at, 'parcel', 'shipped', jsonb_build_object('parcel', s.parcel, 'carrier', s.carrier)
  from public.shipments s where s.order_id = p_order_id
  union all
  select r.created_at, 'return', r.status, jsonb_build_object(
    'id', r.id, 'refund_request_id', r.refund_request_id, 'received_at', r.received_at,
    'stocked_at', r.stocked_at
  ) from public.returns r where r.order_id = p_order_id
  union all
  select x.found_at, 'repair', x.kind, jsonb_build_object('id', x.object_id, 'run_id', x.run_id)
  from public.reconciliation_drift x where x.order_id = p_order_id
$$;
comment on function private.trace_of_house(uuid) is
  'What happened to an order here: its audit trail, mails, parcels, returns and repairs.';

create function private.trace_of_queue(o public.orders, p_ids text[]) returns setof public.trace_moment
language plpgsql
stable
set search_path = ''
as $$
declare
  v_events text[] := array(
    select e.id from public.webhook_events e where e.object_id = any (p_ids)
    -- What has never been applied may be about an object that nothing else has told of.
    union select e.id from public.webhook_events e
    where e.status in ('failed', 'dead') and e.payload #>> '{data,object,metadata,order_id}' = o.id::text
  );
  v_ids text[] := p_ids || v_events;
  -- Nothing was queued for an order before there was one. Read from end to end, so without a call for each.
  v_jobs bigint[] := array(
    select j.id from private.jobs j
    where j.created_at >= o.created_at and jsonb_path_query_array(j.payload, '$.*') ?| v_ids
  );
  v_named text[] := v_ids || v_jobs::text[];
  v_alerts uuid[] := array(
    select a.id from public.alerts a
    where a.last_at >= o.created_at
      and (a.data ->> 'order_number' = o.number or private.names_any(a.data, v_named))
  );
begin
  return query
  select e.received_at, 'event', e.type, jsonb_build_object(
    'id', e.id, 'object_id', e.object_id, 'status', e.status, 'created', e.stripe_created_at,
    'settled', e.processed_at, 'attempts', e.attempts, 'deliveries', e.delivery_count, 'error', e.last_error,
    'reason', e.ignored_reason, 'next_attempt_at', e.next_attempt_at,
    'lag_seconds', round(extract(epoch from e.received_at - e.stripe_created_at), 3)
  ) from public.webhook_events e where e.id = any (v_events)
  union all
  select j.created_at, 'job', j.kind, jsonb_build_object(
    'id', j.id, 'status', j.status, 'attempts', j.attempts, 'max_attempts', j.max_attempts,
    'run_at', j.run_at, 'finished_at', j.finished_at, 'error', j.last_error
  ) from private.jobs j
  where j.id = any (v_jobs) or (j.kind = 'send_alert' and j.payload ->> 'alert_id' = any (v_alerts::text[]))
  union all
  select a.first_at, 'alert', a.kind, jsonb_build_object(
    'id', a.id, 'severity', a.severity, 'status', a.status, 'count', a.count, 'last_at', a.last_at
  ) from public.alerts a where a.id = any (v_alerts)
  union all
  select c.created_at, 'staff', c.command, jsonb_build_object('id', c.id, 'actor', c.actor)
  from public.staff_commands c
  where c.order_id = o.id
    or (c.created_at >= o.created_at and private.names_any(c.args, v_named || v_alerts::text[]));
end;
$$;
comment on function private.trace_of_queue(public.orders, text[]) is
  'The events, jobs, alerts and commands about an order, found by the ids of all that belongs to it.';

create function public.get_order_trace(p_order text) returns public.order_trace
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  c_kinds constant text[] := '{request,session,event,attempt,payment,order,job}';
  o public.orders;
  v_trace public.order_trace;
  v_words text;
begin
  select * into o from public.orders where number = p_order;
  if not found then
    select * into o from public.orders where id = private.order_of(p_order);
  end if;
  if not found then
    raise exception 'no order is known under %', left(p_order, 100) using errcode = 'SHORD';
  end if;
  v_words := nullif((private.words_of_person(lower(o.email), array[o.id], array[o.customer_id], array(
    select s.stripe_customer_id from public.checkout_sessions s where s.order_id = o.id
  ))).own, '');
  select o.id, o.number, o.status, o.fulfillment_status, o.amount_total, o.currency, o.livemode, o.created_at,
    array_agg(
      row(
        m.at, m.kind, m.what,
        private.redact(jsonb_strip_nulls(m.detail), coalesce(v_words, '(?!)'), '***')
      )::public.trace_moment
      order by m.at, coalesce(array_position(c_kinds, m.kind), 99), m.what, m.detail ->> 'id'
    )
  into v_trace
  from (
    select * from private.trace_of_money(o.id)
    union all select * from private.trace_of_house(o.id)
    union all select * from private.trace_of_queue(o, private.ids_of_order(o.id))
  ) m;
  return v_trace;
end;
$$;
comment on function public.get_order_trace(text) is
  'An order''s whole story in order of time. p_order: its number, its id, or the id of anything that belongs '
  'to it (session, payment, refund, dispute, event, mail). No personal data: what identifies the buyer is '
  '*** where a text mentions it. Reads the jobs and alerts since the order. SHORD: nothing is known under '
  'this name.';
grant execute on function public.get_order_trace(text) to service_role;

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

-- The audit trail: order_events, staff_commands and inventory_journal. Nobody changes or deletes a row of it,
-- and a change past the triggers is found.
--
-- Each row is sealed once: a leaf holds a digest of what the row says, and a salted digest of its texts.
-- Leaves are sealed in batches, and each seal's digest contains the one before it, so to change a row
-- somebody has to make all seals after it anew. Writers take no lock for that: they note their row as
-- unsealed in the same transaction, and the heartbeat seals what has been committed. A transaction that
-- commits late is sealed later; none is skipped.
--
-- What a person may ask to have removed stays out of the chain: the text is in its row, the salt of its
-- digest beside the leaf, in no digest. An erasure changes the one and empties the other, and the row is
-- sealed once more as it is now. The digest that stays says nothing without its salt.

create table private.audited_tables (
  name text primary key,
  numbered_by text not null,
  texts text[] not null
);
comment on table private.audited_tables is
  'Append-only tables that are sealed. numbered_by: their identity column; texts: columns that an erasure '
  'may change.';
insert into private.audited_tables (name, numbered_by, texts) values
  ('public.order_events', 'id', '{data}'),
  ('public.staff_commands', 'number', '{args,result}'),
  ('public.inventory_journal', 'id', '{note}');

create table private.audit_unsealed (
  table_name text not null references private.audited_tables (name),
  row_number bigint not null,
  noted_at timestamptz not null default clock_timestamp(),
  constraint audit_unsealed_pkey primary key (table_name, row_number)
);
comment on table private.audit_unsealed is
  'Rows that wait to be sealed: written since the last seal, or changed by an erasure.';

create table private.audit_seals (
  id bigint primary key,
  digest bytea not null,
  sealed_at timestamptz not null default clock_timestamp()
);
comment on table private.audit_seals is
  'The chain, numbered from 1. digest: of the leaves of this seal and the digest before it. The newest one, '
  'kept outside of this database, proves the whole trail.';

create table private.audit_leaves (
  -- The seal is written after its leaves, whose digest it holds.
  seal_id bigint not null references private.audit_seals (id) deferrable initially deferred,
  position integer not null,
  table_name text not null references private.audited_tables (name),
  row_number bigint not null,
  row_digest bytea not null,
  text_digest bytea not null,
  salt bytea,
  constraint audit_leaves_pkey primary key (seal_id, position)
);
comment on table private.audit_leaves is
  'What was sealed of each row, by seal. text_digest: of salt and texts. A row that an erasure has changed '
  'has a leaf for each time.';
comment on column private.audit_leaves.salt is 'It goes with the text: an erasure empties it.';
create index audit_leaves_row_idx on private.audit_leaves (table_name, row_number, seal_id);

alter table private.audited_tables enable row level security;
alter table private.audit_unsealed enable row level security;
alter table private.audit_seals enable row level security;
alter table private.audit_leaves enable row level security;

create function private.refuse_any_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'SHAPP';
end;
$$;
comment on function private.refuse_any_change() is
  'Trigger of the chain: refuses update, delete and truncate with SQLSTATE SHAPP, whoever asks.';

create trigger refuse_change before update or delete on private.audit_seals
  for each row execute function private.refuse_any_change();
create trigger refuse_truncate before truncate on private.audit_seals
  for each statement execute function private.refuse_any_change();
create trigger refuse_delete before delete on private.audit_leaves
  for each row execute function private.refuse_any_change();
create trigger refuse_change before update on private.audit_leaves
  for each row when (new.salt is not null or to_jsonb(new) - 'salt' <> to_jsonb(old) - 'salt')
  execute function private.refuse_any_change();
create trigger refuse_truncate before truncate on private.audit_leaves
  for each statement execute function private.refuse_any_change();

create function private.refuse_own_number() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_last bigint;
begin
  begin
    v_last := currval(tg_argv[1]::regclass);
  exception when object_not_in_prerequisite_state then
    -- Nothing was numbered in this session yet, so this row was not either.
    v_last := null;
  end;
  if (to_jsonb(new) ->> tg_argv[0])::bigint is distinct from v_last then
    raise exception 'rows of %.% are numbered by the database', tg_table_schema, tg_table_name
      using errcode = 'SHAPP';
  end if;
  return new;
end;
$$;
comment on function private.refuse_own_number() is
  'Trigger of audited tables, for each row before it is written: its number is the one that was just drawn. '
  'SHAPP: a number of somebody''s own choice, which would stand between rows that are sealed.';

create trigger refuse_own_number before insert on public.order_events
  for each row execute function private.refuse_own_number('id', 'public.order_events_id_seq');
create trigger refuse_own_number before insert on public.staff_commands
  for each row execute function private.refuse_own_number('number', 'public.staff_commands_number_seq');
create trigger refuse_own_number before insert on public.inventory_journal
  for each row execute function private.refuse_own_number('id', 'public.inventory_journal_id_seq');

create function private.note_unsealed() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_table constant text := format('%s.%s', tg_table_schema, tg_table_name);
  v_number constant bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
begin
  -- Locked whether it is there or not, and before the salt goes: who seals it at this moment is waited for,
  -- and who comes later passes it by.
  insert into private.audit_unsealed (table_name, row_number) values (v_table, v_number)
  on conflict on constraint audit_unsealed_pkey do update set noted_at = excluded.noted_at where false;
  if tg_op = 'UPDATE' then
    update private.audit_leaves l set salt = null
    where l.table_name = v_table and l.row_number = v_number and l.salt is not null;
  end if;
  return null;
end;
$$;
comment on function private.note_unsealed() is
  'Trigger of audited tables: a row was written, or an erasure has changed it, so it waits to be sealed.';

create trigger note_unsealed after insert or update on public.order_events
  for each row execute function private.note_unsealed('id');
create trigger note_unsealed after insert or update on public.staff_commands
  for each row execute function private.note_unsealed('number');
create trigger note_unsealed after insert or update on public.inventory_journal
  for each row execute function private.note_unsealed('id');

create function private.audited_rows(p_table text, p_numbers bigint[])
returns table (row_number bigint, row_digest bytea, texts bytea)
language plpgsql
stable
set search_path = ''
-- Times are written as text.
set timezone = 'UTC'
as $$
declare
  a private.audited_tables;
begin
  select * into strict a from private.audited_tables x where x.name = p_table;
  return query execute format(
    'select t.%2$I, sha256(convert_to(jsonb_strip_nulls(to_jsonb(t) - $1)::text, ''UTF8'')), '
      'convert_to((select jsonb_object_agg(k, to_jsonb(t) -> k) from unnest($1) k)::text, ''UTF8'') '
      'from %1$s t where t.%2$I = any ($2)',
    a.name, a.numbered_by
  ) using a.texts, p_numbers;
end;
$$;
comment on function private.audited_rows(text, bigint[]) is
  'Rows of an audited table as they are now: the digest of what no erasure changes, and the texts. A column '
  'that is added later and empty changes nothing.';

create function private.leaves_digest(p_seal_id bigint) returns bytea
language sql
stable
set search_path = ''
as $$
  select sha256(string_agg(
    convert_to(format('%s:%s:', l.table_name, l.row_number), 'UTF8') || l.row_digest || l.text_digest, ''
    order by l.position
  ))
  from private.audit_leaves l where l.seal_id = p_seal_id
$$;
comment on function private.leaves_digest(bigint) is 'Digest of the leaves of a seal.';

create function private.seal_audit_trail(p_limit integer default 2000) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_last private.audit_seals;
  v_id bigint;
  v_due private.audit_unsealed[];
  v_count integer;
begin
  -- One at a time, and nobody waits: the next heartbeat looks again.
  if not pg_try_advisory_xact_lock(hashtextextended('seal_audit_trail', 0)) then
    return 0;
  end if;
  select * into v_last from private.audit_seals s order by s.id desc limit 1;
  v_id := coalesce(v_last.id, 0) + 1;
  v_due := array(
    select u from private.audit_unsealed u
    order by u.noted_at, u.table_name, u.row_number
    limit p_limit
    for update skip locked
  );
  -- A statement of its own: it sees whatever was changed before the lock, and what comes after waits.
  with due as (
    select d.table_name, d.row_number from unnest(v_due) d
  ), found as (
    select t.table_name, r.row_number, r.row_digest, r.texts, uuid_send(gen_random_uuid()) as salt
    from (select d.table_name, array_agg(d.row_number) as numbers from due d group by d.table_name) t
    cross join lateral private.audited_rows(t.table_name, t.numbers) r
  ), done as (
    delete from private.audit_unsealed u using found f
    where u.table_name = f.table_name and u.row_number = f.row_number
  )
  insert into private.audit_leaves (
    seal_id, position, table_name, row_number, row_digest, text_digest, salt
  )
  select v_id, row_number() over (order by f.table_name, f.row_number), f.table_name, f.row_number,
    f.row_digest, sha256(f.salt || f.texts), f.salt
  from found f;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    insert into private.audit_seals (id, digest)
    values (v_id, sha256(coalesce(v_last.digest, '') || private.leaves_digest(v_id)));
  end if;
  return v_count;
end;
$$;
comment on function private.seal_audit_trail(integer) is
  'Seals up to p_limit rows that wait for it, the oldest first, and returns how many.';

-- What is found of a change past the triggers of the audit trail.

create function private.check_seals(p_from bigint, p_to bigint)
returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a seal is made of its rows and of the seal before it', jsonb_build_object('seal', n.id)
  from generate_series(p_from, p_to) n (id)
  left join private.audit_seals s on s.id = n.id
  left join private.audit_seals b on b.id = n.id - 1
  where s.digest is distinct from sha256(coalesce(b.digest, '') || private.leaves_digest(n.id))
    or (n.id > 1 and b.id is null);

  return query
  select 'a sealed row is there, and says what it said',
    jsonb_build_object('table', l.table_name, 'number', l.row_number, 'seal', l.seal_id)
  from (
    select x.table_name, array_agg(distinct x.row_number) as numbers
    from private.audit_leaves x where x.seal_id between p_from and p_to group by x.table_name
  ) t
  join private.audit_leaves l on l.table_name = t.table_name and l.seal_id between p_from and p_to
  left join private.audited_rows(t.table_name, t.numbers) r on r.row_number = l.row_number
  where r.row_digest is distinct from l.row_digest or (
    -- Of a row that was sealed again, or waits for it, only the newest text counts.
    l.text_digest is distinct from sha256(l.salt || r.texts)
    and not exists (
      select 1 from private.audit_leaves x
      where x.table_name = l.table_name and x.row_number = l.row_number and x.seal_id > l.seal_id
    )
    and not exists (
      select 1 from private.audit_unsealed u
      where l.salt is null and u.table_name = l.table_name and u.row_number = l.row_number
    )
  );
end;
$$;
comment on function private.check_seals(bigint, bigint) is
  'What does not fit in the seals of these numbers: a row that was changed or deleted, a leaf or a seal that '
  'was. None when all is well.';

create function private.check_audit_coverage() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
declare
  a private.audited_tables;
begin
  for a in select * from private.audited_tables x order by x.name loop
    return query execute format(
      'select ''a row of the audit trail is sealed or waits for it'', '
        'jsonb_build_object(''table'', $1, ''number'', t.%2$I) '
        'from %1$s t '
        'where not exists (select 1 from private.audit_leaves l '
        'where l.table_name = $1 and l.row_number = t.%2$I) '
        'and not exists (select 1 from private.audit_unsealed u '
        'where u.table_name = $1 and u.row_number = t.%2$I)',
      a.name, a.numbered_by
    ) using a.name;
    return query execute format(
      'select ''a row that waits to be sealed is there'', '
        'jsonb_build_object(''table'', $1, ''number'', u.row_number) '
        'from private.audit_unsealed u where u.table_name = $1 '
        'and not exists (select 1 from %1$s t where t.%2$I = u.row_number)',
      a.name, a.numbered_by
    ) using a.name;
  end loop;
end;
$$;
comment on function private.check_audit_coverage() is
  'Rows that were written or deleted past the triggers of the audit trail.';

create function public.check_audit_chain() returns table (invariant text, detail jsonb)
language sql
stable
security definer
set search_path = ''
as $$
  select * from private.check_seals(1, (select coalesce(max(s.id), 0) from private.audit_seals s))
  union all select * from private.check_audit_coverage()
$$;
comment on function public.check_audit_chain() is
  'What was changed, deleted or slipped in of the audit trail: one row each, none when all is well. Part of '
  'check_invariants().';
grant execute on function public.check_audit_chain() to service_role;

create function private.watch_audit_trail(
  p_minute integer default extract(epoch from now())::bigint / 60 % 1440
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_seals bigint;
  v_problem jsonb;
begin
  perform private.seal_audit_trail();
  select coalesce(max(s.id), 0) into v_seals from private.audit_seals s;
  -- All of them once a day, the same share each minute.
  select to_jsonb(c) into v_problem
  from private.check_seals(v_seals * p_minute / 1440 + 1, v_seals * (p_minute + 1) / 1440) c limit 1;
  if v_problem is not null and not exists (
    select 1 from public.alerts a
    where a.dedupe_key = 'audit_trail_broken' and a.status <> 'resolved' and a.data = v_problem
  ) then
    perform private.raise_alert('audit_trail_broken', 'critical', 'audit_trail_broken', v_problem);
  end if;
end;
$$;
comment on function private.watch_audit_trail(integer) is
  'Part of the heartbeat: seals what waits, looks at the seals whose turn it is in this minute of the day '
  '(UTC), and raises the alert audit_trail_broken. The alert is resolved by a person.';

-- What must always be true of stock; see check_invariants().

create function private.check_stock(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'reserved is the sum of active reservations',
    jsonb_build_object('variant_id', l.variant_id, 'reserved', l.reserved, 'sum', r.active)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'active'), 0) as active
    from public.inventory_reservations where variant_id = l.variant_id and status <> 'released'
  ) r on true
  where l.reserved <> r.active and (p_orders is null or l.variant_id in (
    select v.variant_id from public.inventory_reservations v where v.order_id = any (p_orders)
  ))
  union all
  select 'committed is the sum of committed reservations',
    jsonb_build_object('variant_id', l.variant_id, 'committed', l.committed, 'sum', r.committed)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity - returned) filter (where status = 'committed'), 0) as committed
    from public.inventory_reservations where variant_id = l.variant_id and status <> 'released'
  ) r on true
  where l.committed <> r.committed and (p_orders is null or l.variant_id in (
    select v.variant_id from public.inventory_reservations v where v.order_id = any (p_orders)
  ))
  union all
  select 'on_hand is the sum of its journal',
    jsonb_build_object('variant_id', l.variant_id, 'on_hand', l.on_hand, 'sum', j.sum)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(change), 0) as sum
    from public.inventory_journal where variant_id = l.variant_id
  ) j on true
  where l.on_hand <> j.sum and (p_orders is null or l.variant_id in (
    select v.variant_id from public.inventory_reservations v where v.order_id = any (p_orders)
  ));
end;
$$;
comment on function private.check_stock(uuid[]) is
  'Rules about what is on the shelf: see check_invariants().';

create function private.check_reservations(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a paid order owns its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.cancelled_at is null and o.oversold_at is null
    and o.restocked_at is null and o.status in ('paid', 'partially_refunded') and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'committed'
        and r.quantity = i.quantity + (private.exchanged_pieces(i.id)).came
    )
  )
  union all
  select 'an expired order holds no stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.status in ('expired', 'payment_failed') and exists (
    select 1 from public.inventory_reservations r where r.order_id = o.id and r.status <> 'released'
  )
  union all
  select 'a reservation is as large as its line',
    jsonb_build_object('order_id', r.order_id, 'variant_id', r.variant_id, 'quantity', r.quantity)
  from public.inventory_reservations r
  left join public.order_items i on i.order_id = r.order_id and i.variant_id = r.variant_id
  where (p_orders is null or r.order_id = any (p_orders))
    and i.quantity + (private.exchanged_pieces(i.id)).came is distinct from r.quantity
  union all
  select 'an open order holds its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.status in ('pending', 'processing') and o.cancelled_at is null and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'active'
    )
  )
  -- A payment that got under way after the goods had been given back may have found them gone.
  and not (o.status = 'processing' and exists (
    select 1 from public.order_events e where e.order_id = o.id and e.kind = 'stock_released'
  ))
  union all
  select 'an order that is not to ship owns no stock',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and (
    o.restocked_at is not null
    or (not private.has_shipped(o.id) and (o.cancelled_at is not null or o.oversold_at is not null))
  ) and exists (
    select 1 from public.inventory_reservations r where r.order_id = o.id and r.status = 'committed'
  )
  union all
  select 'goods go back because a refund asked for it, staff received them, or nothing was sent',
    jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.restocked_at is not null and not private.restock_due(o) and not private.all_returned(o.id)
  and not exists (
    select 1
    from public.staff_commands c where c.order_id = o.id and c.command in ('receive_return', 'cancel_order')
  ) and not exists (
    select 1 from public.refund_requests q where q.order_id = o.id and (q.restock or q.cause = 'fraudulent')
  );
end;
$$;
comment on function private.check_reservations(uuid[]) is
  'Rules about the stock of orders: see check_invariants().';

create function private.check_parcels(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'no more is sent of a line than was sold', jsonb_build_object('order', o.number, 'sku', p.sku)
  from public.orders o cross join lateral private.line_positions(o.id) p
  where (p_orders is null or o.id = any (p_orders)) and p.to_ship < 0
  union all
  select 'a parcel has lines of its own order', jsonb_build_object('shipment_id', s.id)
  from public.shipments s
  where (p_orders is null or s.order_id = any (p_orders)) and (
    not exists (select 1 from public.shipment_lines l where l.shipment_id = s.id) or exists (
      select 1 from public.shipment_lines l join public.order_items i on i.id = l.order_item_id
      where l.shipment_id = s.id and i.order_id <> s.order_id
    )
  )
  union all
  select 'of every line sold is what was kept and what came back',
    jsonb_build_object('order', o.number, 'sku', p.sku, 'quantity', p.quantity, 'returned', p.returned)
  from public.orders o
  join public.inventory_reservations r on r.order_id = o.id
  cross join lateral private.line_positions(o.id) p
  where (p_orders is null or o.id = any (p_orders))
    and p.variant_id = r.variant_id and r.returned <> p.returned
  union all
  select 'no more of a line comes back, or is paid back, than was sold',
    jsonb_build_object('order', o.number, 'sku', p.sku)
  from public.orders o cross join lateral private.line_positions(o.id) p
  where (p_orders is null or o.id = any (p_orders)) and (
    p.returned + p.announced > p.quantity or p.refunded > p.paid or p.sent_back > p.shipped
  )
  union all
  select 'pieces that came back are booked', jsonb_build_object('return_id', x.id)
  from public.returns x
  where (p_orders is null or x.order_id = any (p_orders)) and (
    (x.received_at is null) <> (x.stocked_at is null)
      or (x.status = 'requested' and private.refund_has_come_true(x.refund_request_id))
  )
  union all
  select 'an order is fulfilled when all that was to be sent has left', jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and (o.fulfilled_at is null) <> (private.completed_at(o.id) is null);
end;
$$;
comment on function private.check_parcels(uuid[]) is
  'Rules about what has left the house: see check_invariants().';

-- What must always be true of money; see check_invariants().

create function private.is_released(o public.orders, p_reason text) returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select 1 from private.released_mismatches m
    where m.order_id = o.id and m.session_id = o.session_id and m.reason = p_reason
  )
$$;
comment on function private.is_released(public.orders, text) is
  'Whether staff have released this mismatch of the money that the order keeps.';

create function private.check_amounts(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'lines add up to the subtotal', jsonb_build_object('order', o.number, 'subtotal', o.amount_subtotal)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.amount_subtotal <> (
    select coalesce(sum(i.unit_amount * i.quantity), 0) from public.order_items i where i.order_id = o.id
  )
  union all
  select 'what is exchanged has one price', jsonb_build_object('return_line', l.id)
  from public.return_lines l
  join public.order_items i on i.id = l.order_item_id join public.order_items x on x.id = l.exchanged_for
  where (p_orders is null or i.order_id = any (p_orders))
    and (i.order_id, i.unit_amount) <> (x.order_id, x.unit_amount)
  union all
  select 'the hash of an order is that of its lines',
    jsonb_build_object('order', o.number, 'cart_hash', o.cart_hash)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.cart_hash is distinct from private.hash_of_order(o.id)
  union all
  select 'subtotal, discount, shipping and tax add up to the total',
    jsonb_build_object('order', o.number, 'amount_total', o.amount_total)
  from public.orders o join public.order_risk k on k.order_id = o.id
  where (p_orders is null or o.id = any (p_orders))
    and o.session_id is not null and cardinality(k.review_reasons) = 0
    and not private.is_released(o, 'amount_mismatch')
    and o.amount_total <> o.amount_subtotal - o.amount_discount + o.amount_shipping
      + case when o.prices_include_tax then 0 else o.amount_tax end
    and o.status <> 'refunded'
  union all
  select 'a paid order was paid in full',
    jsonb_build_object('order', o.number, 'amount_paid', o.amount_paid, 'amount_total', o.amount_total)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.status in ('paid', 'partially_refunded') and o.amount_paid <> o.amount_total
    and not private.is_released(o, 'amount_mismatch');
end;
$$;
comment on function private.check_amounts(uuid[]) is
  'Rules about the figures of orders: see check_invariants().';

create function private.check_refunds(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'refunded is the sum of succeeded refunds',
    jsonb_build_object('order', o.number, 'amount_refunded', o.amount_refunded)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.amount_refunded <> (
    select coalesce(sum(r.amount), 0)
    from private.refund_states r where r.payment_id = o.payment_id and r.is_made
  )
  union all
  select 'no payment is refunded by more than it brought',
    jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from private.settled_payments p
  where (p_orders is null or p.order_id = any (p_orders)) and p.amount_received < (
    select b.made from private.refunded_amounts b where b.payment_id = p.id
  )
  union all
  select 'what is given back and what can still run is no more than the payment brought',
    jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from private.settled_payments p
  cross join lateral (
    select coalesce((select b.given from private.refunded_amounts b where b.payment_id = p.id), 0) as given
  ) back
  where (p_orders is null or p.order_id = any (p_orders)) and p.amount_received < back.given + (
    select coalesce(sum(q.amount), 0) from public.refund_requests q
    -- Where all is given back nothing can run, and one that another may stand in for will be judged so.
    where q.payment_id = p.id and q.status = 'queued' and back.given < p.amount_received
      and private.refund_overtaken_by(q) is null
      and not exists (select 1 from public.refunds r where r.request_id = q.id)
  )
  union all
  select 'a second payment is on its way back', jsonb_build_object('order', o.number, 'payment_id', p.id)
  from public.orders o
  join private.settled_sessions s on s.order_id = o.id
  join private.settled_payments p on p.id = s.payment_id and p.order_id = o.id
    and p.id is distinct from o.payment_id
  where (p_orders is null or o.id = any (p_orders)) and not exists (
    select 1 from public.refund_requests q where q.id = 'duplicate:' || p.id
  )
  union all
  select 'money of an order that is not to ship is on its way back',
    jsonb_build_object('order', o.number, 'payment_id', o.payment_id)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.payment_id is not null and not private.has_shipped(o.id)
    and (o.cancelled_at is not null or o.oversold_at is not null)
    and not exists (
      select 1
      from public.refund_requests q where q.id in ('cancelled:' || o.payment_id, 'oversold:' || o.payment_id)
        and not private.refund_is_missed(q)
    )
  union all
  select 'attempts, refunds, disputes and signals belong to the order of their payment',
    jsonb_build_object('id', x.id, 'payment_id', x.payment_id)
  from (
    select a.id, a.payment_id, a.order_id from public.payment_attempts a
    union all select r.id, r.payment_id, r.order_id from public.refunds r
    union all select d.id, d.payment_id, d.order_id from public.disputes d
    union all select f.source_id, f.payment_id, f.order_id from public.fraud_signals f
  ) x
  join public.payments p on p.id = x.payment_id
  where (p_orders is null or p.order_id = any (p_orders)) and x.order_id is distinct from p.order_id;
end;
$$;
comment on function private.check_refunds(uuid[]) is
  'Rules about money that goes back: see check_invariants().';

create function private.check_payments(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a paid order has a settled session, and a succeeded payment unless it was free',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  left join private.settled_payments p on p.id = o.payment_id
  where (p_orders is null or o.id = any (p_orders))
    and o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded')
    and (
      o.session_id is null or (o.payment_id is null and o.amount_total > 0)
      or (o.payment_id is not null and p.id is null)
    )
  union all
  select 'an order keeps the first of its settled sessions',
    jsonb_build_object('order', o.number, 'session_id', o.session_id)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.session_id is distinct from (private.kept_session(o.id)).id
  union all
  select 'an order keeps the payment that was decided about',
    jsonb_build_object('order', o.number, 'payment_id', o.payment_id)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.decided_payment_id is not null and o.payment_id is distinct from o.decided_payment_id
  union all
  select 'money of an order came through one of its sessions',
    jsonb_build_object('order', o.number, 'payment_id', p.id)
  from private.settled_payments p
  join public.orders o on o.id = p.order_id
  -- The payment may be an hour ahead of its session's event.
  where (p_orders is null or o.id = any (p_orders)) and p.succeeded_at < now() - interval '1 hour'
    and not exists (select 1 from public.checkout_sessions s where s.payment_id = p.id)
  union all
  select 'test and live mode do not mix', jsonb_build_object('order', o.number, 'session_id', s.id)
  from public.orders o
  join public.checkout_sessions s on s.id = o.session_id
  left join public.payments p on p.id = o.payment_id
  where (p_orders is null or o.id = any (p_orders))
    and (s.livemode <> o.livemode or p.livemode <> o.livemode) and o.status in ('paid', 'partially_refunded')
    and not private.is_released(o, 'livemode_mismatch');
end;
$$;
comment on function private.check_payments(uuid[]) is
  'Rules about money that came: see check_invariants().';

-- What must always be true. Each rule is a sentence; what is returned breaks it.

create function private.check_order_state(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'the money of an order shows in its status',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and (o.session_id is not null) <> (o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded'))
    and not (
      o.status = 'cancelled' and o.amount_paid = 0
      and (o.cancelled_at is not null or o.oversold_at is not null)
    )
  union all
  select 'an order that staff cancelled and nobody pays reads cancelled',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.cancelled_at is not null and o.amount_paid = 0 and o.status not in ('cancelled', 'processing')
  union all
  select 'an order that is not to ship does not wait for shipment',
    jsonb_build_object('order', o.number, 'fulfillment_status', o.fulfillment_status)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.fulfilled_at is null and o.fulfillment_status <> 'cancelled'
    and (o.cancelled_at is not null or o.oversold_at is not null or o.restocked_at is not null)
  union all
  select 'nothing ships while all of its money is on its way back', jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.fulfillment_status = 'unfulfilled' and cardinality(private.hold_reasons(o)) > 0
  union all
  select 'what holds an order and nobody has released stands in its review reasons',
    jsonb_build_object('order', o.number, 'signal', f.id)
  from public.fraud_signals f join public.orders o on o.id = f.order_id
  where (p_orders is null or o.id = any (p_orders))
    and private.holds_order(f) and o.session_id is not null and o.status in ('paid', 'partially_refunded')
  union all
  select 'a disputed order is on hold until it has shipped',
    jsonb_build_object('order', o.number, 'dispute_id', d.id)
  from public.disputes d join public.orders o on o.id = d.order_id
  where (p_orders is null or o.id = any (p_orders))
    and private.dispute_holds(d, o.payment_id) and o.fulfillment_status = 'unfulfilled'
  union all
  select 'an order that is held for review is on hold until it has shipped',
    jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.status = 'needs_review' and o.fulfillment_status = 'unfulfilled'
  union all
  select 'money received is in the audit trail', jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders)) and o.session_id is not null and not exists (
    select 1 from public.order_events e
    where e.order_id = o.id and e.kind = 'payment_received' and e.data ->> 'session_id' = o.session_id
  )
  union all
  select 'an order that is paid and held by nothing has its confirmation',
    jsonb_build_object('order', o.number)
  from public.orders o
  where (p_orders is null or o.id = any (p_orders))
    and o.status = 'paid' and o.cancelled_at is null and o.oversold_at is null
    and not exists (
      select 1 from public.notifications n where n.order_id = o.id and n.template = 'order_confirmation'
    );
end;
$$;
comment on function private.check_order_state(uuid[]) is
  'Rules about the state of orders: see check_invariants().';

create function private.check_outbox(p_orders uuid[]) returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a refund that is asked for has a job that can run, and one that was given up has none',
    jsonb_build_object('request_id', q.id, 'status', q.status)
  from public.refund_requests q
  where (p_orders is null or q.order_id = any (p_orders))
    and q.status in ('queued', 'given_up') and (q.status = 'queued') <> exists (
    select 1 from private.jobs j
    where j.kind = 'refund_payment' and j.dedupe_key = 'refund_payment:' || q.id
      and j.status in ('queued', 'running')
  )
  union all
  select 'a refund waits for a bank while it has the money, and no longer',
    jsonb_build_object('request_id', q.id)
  from public.refund_requests q
  where (p_orders is null or q.order_id = any (p_orders))
    and q.status = 'disputed' and not private.refund_awaits_dispute(q) and not exists (
    select 1 from private.jobs j
    where j.dedupe_key = 'refund_payment:' || q.id and j.status in ('queued', 'running')
  )
  union all
  select 'staff know of a refund that was given up and is still owed', jsonb_build_object('request_id', q.id)
  from public.refund_requests q
  -- Resolved by a person is known to a person; an old one may have been purged since.
  where (p_orders is null or q.order_id = any (p_orders))
    and private.refund_is_owed(q) and q.given_up_at > now() - interval '30 days' and not exists (
    select 1 from public.alerts a
    where a.dedupe_key = 'refund_refused:' || q.id and (a.status <> 'resolved' or not a.data ? 'not_owed')
  );
end;
$$;
comment on function private.check_outbox(uuid[]) is
  'Rules about effects that are owed: see check_invariants().';

create function private.check_queue() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'an unfinished event has a job', jsonb_build_object('event_id', e.id, 'status', e.status)
  from public.webhook_events e
  where e.status = 'failed' and not exists (
    select 1
    from private.jobs j where j.dedupe_key = 'retry_event:' || e.id and j.status in ('queued', 'running')
  )
  union all
  select 'a queued mail has a job', jsonb_build_object('notification_id', n.id)
  from public.notifications n
  where n.status = 'queued' and not exists (
    select 1 from private.jobs j
    where j.kind = 'send_mail' and j.payload ->> 'notification_id' = n.id::text
      and j.status in ('queued', 'running', 'dead')
  );
end;
$$;
comment on function private.check_queue() is
  'Rules about what waits, whichever order it is of: see check_invariants().';

create function private.check_orders(p_orders uuid[]) returns table (invariant text, detail jsonb)
language sql
stable
set search_path = ''
as $$
  select * from private.check_stock(p_orders)
  union all select * from private.check_reservations(p_orders)
  union all select * from private.check_amounts(p_orders)
  union all select * from private.check_refunds(p_orders)
  union all select * from private.check_payments(p_orders)
  union all select * from private.check_order_state(p_orders)
  union all select * from private.check_parcels(p_orders)
  union all select * from private.check_outbox(p_orders)
$$;
comment on function private.check_orders(uuid[]) is
  'What is not true of these orders, their money, their parcels and the stock of what is in them; null: of '
  'all of the shop. One row per violation.';

create function public.check_invariants() returns table (invariant text, detail jsonb)
language sql
stable
security definer
set search_path = ''
as $$
  select * from private.check_orders(null)
  union all select * from private.check_queue()
  union all select * from public.check_audit_chain()
$$;
comment on function public.check_invariants() is
  'What must always be true and is not: one row per violation, none when all is well. For tests, doctor and '
  'staff.';
grant execute on function public.check_invariants() to service_role;

-- What must always be true is looked at all the time, a few orders at once.

insert into private.job_kinds (kind, provider, max_attempts, retention, description) values
  ('check_orders', null, 12, '1 day', 'Looks at what must always be true of orders that were settled.');
insert into private.periodic_jobs (kind, every) values ('check_orders', '5 minutes');

create table private.unchecked_orders (
  order_id uuid primary key,
  noted_at timestamptz not null default clock_timestamp(),
  violations jsonb
);
comment on table private.unchecked_orders is
  'Orders that wait to be checked: settled since, broken when last looked at, or all of them once a day. '
  'Written in the transaction that settles, so that none that commits late is passed over.';
comment on column private.unchecked_orders.violations is 'What was not true of it when last looked at.';
create index unchecked_orders_noted_at_idx on private.unchecked_orders (noted_at) where violations is null;
create index unchecked_orders_broken_idx on private.unchecked_orders (noted_at) where violations is not null;
alter table private.unchecked_orders enable row level security;

create function private.note_all_orders() returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.heartbeats as h (name) values ('all_orders_noted')
  on conflict (name) do update set last_at = now() where h.last_at < now() - interval '1 day';
  if found then
    insert into private.unchecked_orders (order_id) select o.id from public.orders o
    on conflict (order_id) do nothing;
  end if;
end;
$$;
comment on function private.note_all_orders() is
  'Once a day has all orders checked: what was changed past settling is found as well. They are many, but '
  'no more are looked at at once than otherwise.';

create function private.violations_of(p_orders uuid[]) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_agg(to_jsonb(c) order by c.invariant, c.detail) from private.check_orders(p_orders) c
$$;
comment on function private.violations_of(uuid[]) is
  'What is not true of these orders: [{ invariant, detail }]; null: all is well.';

create function private.tell_violations() returns void
language plpgsql
set search_path = ''
as $$
declare
  v_data jsonb;
begin
  select jsonb_build_object(
    'violations', count(*), 'first', jsonb_path_query_array(jsonb_agg(x.v order by x.v), '$[0 to 9]')
  ) into v_data
  from (
    select distinct jsonb_array_elements(u.violations) as v
    from private.unchecked_orders u where u.violations is not null
    union
    select to_jsonb(c) from private.check_queue() c
  ) x
  having count(*) > 0;
  if v_data is null then
    update public.alerts set status = 'resolved'
    where dedupe_key = 'invariant_violated' and status <> 'resolved';
  elsif not exists (
    select 1 from public.alerts a
    where a.dedupe_key = 'invariant_violated' and a.status <> 'resolved' and a.data = v_data
  ) then
    perform private.raise_alert('invariant_violated', 'critical', 'invariant_violated', v_data);
  end if;
end;
$$;
comment on function private.tell_violations() is
  'Opens the alert invariant_violated, which names the first ten violations, or resolves it when none is '
  'left.';

create function public.check_settled_orders(p_limit integer) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_orders uuid[];
  v_broken uuid[];
begin
  perform private.note_all_orders();
  -- A row that a settlement holds is left for the next time: it is not decided yet what is to be checked.
  v_broken := array(
    select u.order_id from private.unchecked_orders u
    where u.violations is not null order by u.noted_at limit p_limit for update skip locked
  );
  v_orders := array(
    select u.order_id from private.unchecked_orders u
    where u.violations is null order by u.noted_at limit p_limit for update skip locked
  );
  if private.violations_of(v_orders) is not null then
    v_broken := v_broken || v_orders;
    v_orders := '{}';
  end if;
  update private.unchecked_orders u
  set violations = private.violations_of(array[u.order_id]), noted_at = clock_timestamp()
  where u.order_id = any (v_broken);
  delete from private.unchecked_orders u
  where u.order_id = any (v_orders) or (u.order_id = any (v_broken) and u.violations is null);
  perform private.tell_violations();
  return exists (
    select 1 from private.unchecked_orders u where u.violations is null for update skip locked
  );
end;
$$;
comment on function public.check_settled_orders(integer) is
  'Checks up to p_limit orders that were settled since they were last checked, and as many of those that '
  'were broken then. The alert invariant_violated follows. Returns whether there are more.';
grant execute on function public.check_settled_orders(integer) to service_role;

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

-- Alert rules about deliveries, jobs and mail. What they have in common: see private.evaluate_alert_rule().

create table private.refused_signatures (
  noted_at timestamptz primary key,
  total bigint not null
);
comment on table private.refused_signatures is
  'How many deliveries had been refused for their signature, minute by minute: webhook_rejections counts for '
  'good. Kept for the window of the rule.';
alter table private.refused_signatures enable row level security;

create table private.key_modes (
  livemode boolean primary key,
  seen_at timestamptz not null
);
comment on table private.key_modes is 'When the functions last had a Stripe key of each mode.';
alter table private.key_modes enable row level security;

create function private.rule_webhook_lag(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', x.late::numeric,
    jsonb_build_object('late', x.late, 'deliveries', x.deliveries, 'slowest_seconds', round(x.slowest))
  from (
    select count(*) as deliveries, count(*) filter (where e.lag >= r.threshold) as late,
      max(e.lag) as slowest
    from (
      select extract(epoch from w.received_at - w.stripe_created_at) as lag
      from public.webhook_events w
      where w.received_at > p_now - make_interval(secs => r.window_seconds) and w.received_at <= p_now
        and w.livemode = p_livemode and w.delivery_count > 0
      order by w.received_at desc limit 500
    ) e
  ) x
  -- One that Stripe had to send twice is late, and nothing is wrong.
  where x.late >= r.minimum and x.late >= 0.05 * x.deliveries;
end;
$$;
comment on function private.rule_webhook_lag(private.alert_rules, boolean, timestamptz) is
  'How many of the last 500 deliveries in the window came late, once they are one in twenty.';

create function private.rule_signature_failures(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
set search_path = ''
as $$
declare
  v_from constant timestamptz := p_now - make_interval(secs => r.window_seconds);
  v_total bigint;
  v_before bigint;
begin
  select coalesce(sum(w.count), 0) into v_total
  from public.webhook_rejections w
  where w.reason in ('invalid_signature', 'timestamp_out_of_tolerance')
    -- Strangers may try as they like: they are limited, and suspicious_activity lists them.
    and (w.source_ip is null or exists (
      select 1 from public.stripe_webhook_ips i where i.address = w.source_ip
    ));
  -- Retention has removed counters, or Stripe an address: what comes from now on counts all the same.
  update private.refused_signatures s set total = v_total where s.total > v_total;
  insert into private.refused_signatures (noted_at, total) values (p_now, v_total)
  on conflict (noted_at) do update set total = excluded.total;
  delete from private.refused_signatures s
  where s.noted_at < (select max(x.noted_at) from private.refused_signatures x where x.noted_at <= v_from);
  select s.total into v_before from private.refused_signatures s order by s.noted_at limit 1;
  if v_total - v_before >= r.threshold then
    return next ('', v_total - v_before, '{}')::private.alert_finding;
  end if;
end;
$$;
comment on function private.rule_signature_failures(private.alert_rules, boolean, timestamptz) is
  'Deliveries of Stripe''s, or from unknown addresses, that were refused for their signature or time within '
  'the window: a wrong secret.';

create function private.rule_job_backlog(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Mails are paced: in a burst they wait for their turn, and that is how it should be.
  c_turn constant interval := '5 minutes';
  v_waiting text[] := array(
    select k.kind from private.job_kinds k join private.circuit_breakers b on b.provider = k.provider
    where b.open_until is not null
    union all
    select 'send_mail' where exists (
      select 1 from private.jobs j
      where j.kind = 'send_mail' and j.status in ('done', 'discarded') and j.finished_at > p_now - c_turn
    )
  );
begin
  return query
  select '', count(*)::numeric, jsonb_build_object('oldest_due_at', min(x.run_at))
  from (
    select j.run_at from private.jobs j
    where j.status = 'queued' and j.run_at <= p_now - make_interval(secs => r.threshold::double precision)
      and not j.kind = any (v_waiting)
    order by j.run_at limit 1000
  ) x
  having count(*) >= r.minimum;
end;
$$;
comment on function private.rule_job_backlog(private.alert_rules, boolean, timestamptz) is
  'Jobs that have been due for longer than the threshold, at most 1000; neither those of a provider that is '
  'down, nor mails while others of them leave.';

create function private.rule_scheduler_silent(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', round(extract(epoch from h.resumed_at - h.silent_from)),
    jsonb_build_object('from', h.silent_from, 'until', h.resumed_at)
  from private.heartbeats h
  where h.name = 'retry_jobs' and h.resumed_at <= p_now
    and h.resumed_at > p_now - make_interval(secs => r.window_seconds)
    and extract(epoch from h.resumed_at - h.silent_from) >= r.threshold;
end;
$$;
comment on function private.rule_scheduler_silent(private.alert_rules, boolean, timestamptz) is
  'The last time that nobody called retry-jobs, in seconds. While it lasts only health can tell it (503): '
  'nothing runs that could.';

create function private.rule_mail_bouncing(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', round(x.failing::numeric / x.mails, 3),
    jsonb_build_object('mails', x.mails, 'failing', x.failing)
  from (
    select count(*) as mails,
      count(*) filter (where n.status in ('failed', 'bounced', 'complained')) as failing
    from public.notifications n
    where n.created_at > p_now - make_interval(secs => r.window_seconds) and n.created_at <= p_now
      and n.status in ('sent', 'failed', 'bounced', 'complained')
  ) x
  where x.failing >= r.minimum and x.failing >= r.threshold * x.mails;
end;
$$;
comment on function private.rule_mail_bouncing(private.alert_rules, boolean, timestamptz) is
  'Share of the window''s mails that failed, bounced or brought a complaint.';

create function private.rule_key_mode_changed(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
set search_path = ''
as $$
begin
  insert into private.key_modes as m (livemode, seen_at) values (p_livemode, p_now)
  on conflict (livemode) do update set seen_at = greatest(m.seen_at, excluded.seen_at);
  return query
  select case when p_livemode then 'live' else 'test' end, 1::numeric,
    jsonb_build_object('livemode', p_livemode, 'other_seen_at', m.seen_at)
  from private.key_modes m
  where m.livemode <> p_livemode and m.seen_at > p_now - make_interval(secs => r.window_seconds);
end;
$$;
comment on function private.rule_key_mode_changed(private.alert_rules, boolean, timestamptz) is
  'The mode of the Stripe key differs from what it was within the window.';

-- Alert rules about orders that are out of the ordinary, and about what is done with money by hand.

create index refunds_created_at_idx on public.refunds (created_at);
create index staff_commands_money_idx on public.staff_commands (created_at)
  where command in ('request_refund', 'cancel_order');
create index staff_commands_erasures_idx on public.staff_commands (created_at)
  where command = 'erase_customer';

create function private.exceeds_chance(p_count numeric, p_expected numeric) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Of things that come by chance, a count is within six standard deviations of its mean all year long.
  return p_count > p_expected + 6 * sqrt(p_expected);
end;
$$;
comment on function private.exceeds_chance(numeric, numeric) is
  'Whether a count is more than chance makes of so many expected (Poisson: its variance is its mean).';

create function private.usual_orders(p_livemode boolean, p_now timestamptz)
returns table (currency text, amount bigint, orders bigint)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select x.currency, percentile_disc(0.5) within group (order by x.amount_total), count(*)
  from (
    select o.currency, o.amount_total from public.orders o
    where o.livemode = p_livemode and o.paid_at is not null and o.paid_at <= p_now
    order by o.paid_at desc limit 500
  ) x
  group by x.currency;
end;
$$;
comment on function private.usual_orders(boolean, timestamptz) is
  'What an order is usually worth in each currency: the median of the last 500 that were paid, in minor '
  'units, and how many these were.';

create function private.fresh_orders(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof public.orders
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.* from public.orders o
  where o.livemode = p_livemode and o.paid_at > p_now - make_interval(secs => r.window_seconds)
    and o.paid_at <= p_now
    and (o.fulfilled_at is null or o.fulfilled_at > p_now)
    and (o.cancelled_at is null or o.cancelled_at > p_now)
    and o.fulfillment_status <> 'cancelled';
end;
$$;
comment on function private.fresh_orders(private.alert_rules, boolean, timestamptz) is
  'Orders that were paid within the window, have not been sent, and are to be: of others nothing can be kept '
  'back.';

create function private.rule_order_high_value(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.number, round(o.amount_total::numeric / u.amount, 1), jsonb_build_object(
    'order_number', o.number, 'amount', o.amount_total, 'currency', o.currency, 'usual', u.amount
  )
  from private.fresh_orders(r, p_livemode, p_now) o
  join private.usual_orders(p_livemode, p_now) u on u.currency = o.currency
  where u.orders >= r.minimum and u.amount > 0 and o.amount_total >= r.threshold * u.amount
  order by o.paid_at;
end;
$$;
comment on function private.rule_order_high_value(private.alert_rules, boolean, timestamptz) is
  'Orders to be sent that are worth far more than usual.';

create function private.rule_order_country_mismatch(
  r private.alert_rules, p_livemode boolean, p_now timestamptz
) returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.number, round(o.amount_total::numeric / u.amount, 1), jsonb_build_object(
    'order_number', o.number, 'amount', o.amount_total, 'currency', o.currency, 'usual', u.amount,
    'card_country', p.card_country, 'delivery_country', o.shipping_address ->> 'country'
  )
  from private.fresh_orders(r, p_livemode, p_now) o
  join private.usual_orders(p_livemode, p_now) u on u.currency = o.currency
  cross join lateral (select y.card_country from public.payments y where y.id = o.payment_id limit 1) p
  where u.orders >= r.minimum and u.amount > 0 and o.amount_total >= r.threshold * u.amount
    and upper(p.card_country) <> upper(o.shipping_address ->> 'country')
  order by o.paid_at;
end;
$$;
comment on function private.rule_order_country_mismatch(private.alert_rules, boolean, timestamptz) is
  'Orders to be sent that are worth more than usual and were paid with a card of another country. Presents '
  'and travellers are alike, so small ones do not count.';

create function private.rule_order_many_pieces(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.number, i.pieces::numeric, jsonb_build_object('order_number', o.number, 'pieces', i.pieces)
  from private.fresh_orders(r, p_livemode, p_now) o
  cross join lateral (
    select sum(x.quantity) as pieces from public.order_items x where x.order_id = o.id
  ) i
  where i.pieces >= r.threshold
  order by o.paid_at;
end;
$$;
comment on function private.rule_order_many_pieces(private.alert_rules, boolean, timestamptz) is
  'Orders to be sent of many pieces.';

create function private.rule_large_refund(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select f.id, round(f.amount::numeric / u.amount, 1), jsonb_build_object(
    'order_number', o.number, 'refund_id', f.id, 'amount', f.amount, 'currency', f.currency,
    'usual', u.amount
  )
  from public.refunds f
  join private.usual_orders(p_livemode, p_now) u on u.currency = f.currency
  cross join lateral (select x.* from public.orders x where x.id = f.order_id limit 1) o
  where f.created_at > p_now - make_interval(secs => r.window_seconds) and f.created_at <= p_now
    and o.livemode = p_livemode and u.orders >= r.minimum and u.amount > 0
    and f.amount >= r.threshold * u.amount
  order by f.created_at;
end;
$$;
comment on function private.rule_large_refund(private.alert_rules, boolean, timestamptz) is
  'Refunds of far more than an order is usually worth, whoever made them.';

create function private.rule_refund_spike(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  v_from constant timestamptz := p_now - make_interval(secs => r.window_seconds);
begin
  return query
  select '', x.refunds::numeric, jsonb_build_object('refunds', x.refunds, 'usual', round(x.usual, 1))
  from (
    select count(*) filter (where f.created_at > v_from) as refunds,
      count(*) filter (where f.created_at <= v_from) * r.window_seconds / extract(
        epoch from interval '28 days'
      ) as usual
    from public.refunds f
    cross join lateral (select o.livemode from public.orders o where o.id = f.order_id limit 1) o
    where f.created_at > v_from - interval '28 days' and f.created_at <= p_now and o.livemode = p_livemode
  ) x
  where x.refunds >= r.minimum and x.refunds >= r.threshold * x.usual
    and private.exceeds_chance(x.refunds, x.usual);
end;
$$;
comment on function private.rule_refund_spike(private.alert_rules, boolean, timestamptz) is
  'Refunds in the window, against the four weeks before it.';

create function private.rule_refunds_by_one(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  v_from constant timestamptz := p_now - make_interval(secs => r.window_seconds);
begin
  return query
  select x.actor, x.refunds::numeric, jsonb_build_object(
    'actor', x.actor, 'refunds', x.refunds, 'usual', round(x.usual, 1)
  )
  from (
    select c.actor, count(*) filter (where c.created_at > v_from) as refunds,
      count(*) filter (where c.created_at <= v_from) * r.window_seconds / extract(
        epoch from interval '28 days'
      ) as usual
    from public.staff_commands c
    where c.command in ('request_refund', 'cancel_order')
      and c.created_at > v_from - interval '28 days' and c.created_at <= p_now
    group by c.actor
  ) x
  where x.refunds >= r.minimum and x.refunds >= r.threshold * x.usual
    and private.exceeds_chance(x.refunds, x.usual);
end;
$$;
comment on function private.rule_refunds_by_one(private.alert_rules, boolean, timestamptz) is
  'Refunds and cancellations of one member of staff in the window, against what they did in the four weeks '
  'before it.';

create function private.rule_erasure_done(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select c.number::text, 1::numeric, jsonb_build_object('command', c.number, 'actor', c.actor)
  from public.staff_commands c
  where c.command = 'erase_customer'
    and c.created_at > p_now - make_interval(secs => r.window_seconds) and c.created_at <= p_now
  order by c.number;
end;
$$;
comment on function private.rule_erasure_done(private.alert_rules, boolean, timestamptz) is
  'Erasures that staff have carried out: nobody can take one back.';

-- Alert rules about payments, checkouts, disputes and who looks at them.

-- Visa counts cases and sales by the month: the index alone answers, however many sales there are.
create index payments_visa_idx on public.payments (livemode, succeeded_at)
  where card_brand = 'visa' and succeeded_at is not null;
create index disputes_created_at_idx on public.disputes (created_at);
create index fraud_signals_warnings_idx on public.fraud_signals (created_at)
  where kind = 'early_fraud_warning';

create function private.rule_checkout_errors(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', round(x.failed::numeric / x.checkouts, 3),
    jsonb_build_object('checkouts', x.checkouts, 'failed', x.failed)
  from (
    select count(*) as checkouts, count(*) filter (where not exists (
      select 1 from public.checkout_sessions s where s.order_id = o.id
    )) as failed
    from public.orders o
    where o.livemode = p_livemode
      and o.created_at > p_now - make_interval(secs => r.window_seconds)
      -- What is younger may wait for Stripe's answer.
      and o.created_at <= p_now - interval '2 minutes'
  ) x
  where x.checkouts >= r.minimum and x.failed >= r.threshold * x.checkouts;
end;
$$;
comment on function private.rule_checkout_errors(private.alert_rules, boolean, timestamptz) is
  'Share of the checkouts that began in the window and got no payment page. A checkout that fails before it '
  'has an order leaves nothing here.';

create function private.tried_orders(
  p_livemode boolean,
  p_from timestamptz,
  p_until timestamptz,
  out o_tried bigint,
  out o_refused bigint
)
language plpgsql
stable
set search_path = ''
as $$
begin
  select count(*), count(*) filter (where not x.went_through) into o_tried, o_refused
  from (
    select bool_or(a.outcome not in ('failed', 'blocked')) as went_through
    from public.payment_attempts a
    where a.livemode = p_livemode and a.created_at > p_from and a.created_at <= p_until
      -- payment_outage tells of these.
      and not private.is_outage(a.failure_code, a.decline_code)
    group by coalesce(a.order_id::text, a.payment_id)
  ) x;
end;
$$;
comment on function private.tried_orders(boolean, timestamptz, timestamptz) is
  'How many orders somebody tried to pay in a span of time, and how many of them were refused and not paid '
  'in it. Outages of a bank or network do not count.';

create function private.rule_decline_rate(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  c_weeks constant integer := 4;
  -- Where the weeks before tell little, one in five is taken for usual: as much as 20 orders would say so.
  c_prior constant integer := 20;
  c_prior_refused constant integer := 4;
  v_window constant interval := make_interval(secs => r.window_seconds);
  v_now record;
  v_usual numeric;
begin
  select * into v_now from private.tried_orders(p_livemode, p_now - v_window, p_now);
  if v_now.o_tried < r.minimum then
    return;
  end if;
  select (sum(t.o_refused) + c_prior_refused) / (sum(t.o_tried) + c_prior) into v_usual
  from generate_series(1, c_weeks) w (n)
  cross join lateral private.tried_orders(
    p_livemode, p_now - w.n * interval '7 days' - v_window, p_now - w.n * interval '7 days'
  ) t;
  if v_now.o_refused >= v_now.o_tried * (v_usual + r.threshold)
    -- Six standard deviations of a share.
    and v_now.o_refused > v_now.o_tried * v_usual + 6 * sqrt(v_now.o_tried * v_usual * (1 - v_usual)) then
    return next (
      '', round(v_now.o_refused::numeric / v_now.o_tried, 3), jsonb_build_object(
        'tried', v_now.o_tried, 'refused', v_now.o_refused, 'usual', round(v_usual, 3)
      )
    )::private.alert_finding;
  end if;
end;
$$;
comment on function private.rule_decline_rate(private.alert_rules, boolean, timestamptz) is
  'Share of the orders tried in the window that was refused, against the same hour of the last four weeks.';

create function private.rule_method_outage(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select m.method, round(m.refused::numeric / m.tried, 3),
    jsonb_build_object('method', m.method, 'tried', m.tried, 'refused', m.refused)
  from (
    select x.method, count(*) as tried, count(*) filter (where not x.went_through) as refused
    from (
      select coalesce(a.card_brand, a.payment_method_type) as method,
        bool_or(a.outcome not in ('failed', 'blocked')) as went_through
      from public.payment_attempts a
      where a.livemode = p_livemode and a.created_at <= p_now
        and a.created_at > p_now - make_interval(secs => r.window_seconds)
      group by 1, coalesce(a.order_id::text, a.payment_id)
    ) x
    where x.method is not null
    group by x.method
  ) m
  where m.tried >= r.minimum and m.refused >= r.threshold * m.tried
  order by m.method;
end;
$$;
comment on function private.rule_method_outage(private.alert_rules, boolean, timestamptz) is
  'Brands of card and methods with which hardly an order goes through. Which bank has issued a card Stripe '
  'does not tell.';

create function private.visa_cases(p_livemode boolean, p_from timestamptz, p_until timestamptz)
returns table (at timestamptz)
language plpgsql
stable
set search_path = ''
as $$
begin
  -- A fraud report that becomes a dispute counts twice, as Visa counts. Inquiries do not count, nor does what
  -- was settled before it became a dispute.
  return query
  select d.created_at from public.disputes d
  cross join lateral (select y.card_brand from public.payments y where y.id = d.payment_id limit 1) p
  where d.livemode = p_livemode and d.created_at > p_from and d.created_at <= p_until
    and p.card_brand = 'visa' and d.status not like 'warning%' and d.status <> 'prevented'
  union all
  select f.created_at from public.fraud_signals f
  cross join lateral (
    select y.card_brand, y.livemode from public.payments y where y.id = f.payment_id limit 1
  ) p
  where f.kind = 'early_fraud_warning' and f.created_at > p_from and f.created_at <= p_until
    and p.card_brand = 'visa' and p.livemode = p_livemode;
end;
$$;
comment on function private.visa_cases(boolean, timestamptz, timestamptz) is
  'Disputes and fraud reports of Visa cards as Visa''s acquirer monitoring programme counts them: by the '
  'moment in which they came. All sales here are without a card present.';

create function private.rule_dispute_ratio(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  v_from constant timestamptz := p_now - make_interval(secs => r.window_seconds);
  -- The pace of the last third, kept up for a whole window, is the forecast.
  v_third constant timestamptz := p_now - make_interval(secs => r.window_seconds / 3);
  x record;
begin
  select
    (select count(*) from private.visa_cases(p_livemode, v_from, p_now)) as cases,
    (select count(*) from private.visa_cases(p_livemode, v_third, p_now)) as late_cases,
    (
      select count(*) from public.payments p
      where p.card_brand = 'visa' and p.livemode = p_livemode and p.succeeded_at > v_from
        and p.succeeded_at <= p_now
    ) as sales,
    (
      select count(*) from public.payments p
      where p.card_brand = 'visa' and p.livemode = p_livemode and p.succeeded_at > v_third
        and p.succeeded_at <= p_now
    ) as late_sales
  into x;
  if (x.cases >= r.minimum and x.cases >= r.threshold * x.sales)
    or (x.late_cases >= r.minimum and x.late_cases >= r.threshold * x.late_sales) then
    return next (
      '', round(greatest(
        x.cases::numeric / greatest(x.sales, 1), x.late_cases::numeric / greatest(x.late_sales, 1)
      ), 4), jsonb_build_object(
        'cases', x.cases, 'sales', x.sales, 'ratio', round(x.cases::numeric / greatest(x.sales, 1), 4),
        'forecast_cases', 3 * x.late_cases, 'forecast_sales', 3 * x.late_sales,
        'forecast_ratio', round(x.late_cases::numeric / greatest(x.late_sales, 1), 4)
      )
    )::private.alert_finding;
  end if;
end;
$$;
comment on function private.rule_dispute_ratio(private.alert_rules, boolean, timestamptz) is
  'Visa''s ratio (VAMP): disputes and fraud reports of Visa cards to settled sales by them, in the window, '
  'and forecast for the next one from the pace of its last third.';

create function private.rule_stock_leak(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', count(*)::numeric,
    jsonb_build_object('holds', count(*), 'order_number', min(x.number), 'oldest_ended_at', min(x.expires_at))
  from (
    select o.number, h.expires_at
    from public.inventory_reservations h
    cross join lateral (select y.number, y.status from public.orders y where y.id = h.order_id limit 1) o
    where h.status = 'active'
      and h.expires_at <= p_now - make_interval(secs => r.threshold::double precision)
      -- A debit takes days, and holds its goods meanwhile.
      and o.status <> 'processing'
    order by h.expires_at limit 1000
  ) x
  having count(*) >= r.minimum;
end;
$$;
comment on function private.rule_stock_leak(private.alert_rules, boolean, timestamptz) is
  'Holds on goods, at most 1000, that should have ended longer ago than the threshold.';

-- Who is staff, for the alert rule about their second factor: auth.users is as large as the shop has
-- customers, and has no index on roles.

create table private.staff_accounts (
  user_id uuid primary key references auth.users (id) on delete cascade,
  noted_at timestamptz not null default now()
);
comment on table private.staff_accounts is
  'Accounts that had app_metadata.role = admin when Auth last wrote their role.';
alter table private.staff_accounts enable row level security;

create function private.note_staff_account() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if new.raw_app_meta_data ->> 'role' = 'admin' then
    insert into private.staff_accounts (user_id) values (new.id) on conflict (user_id) do nothing;
  else
    delete from private.staff_accounts s where s.user_id = new.id;
  end if;
  return null;
end;
$$;
comment on function private.note_staff_account() is
  'Trigger of auth.users: keeps private.staff_accounts as the role of an account says.';

do $$
begin
  create trigger kct_staff_account_on_insert after insert on auth.users
    for each row when (new.raw_app_meta_data ->> 'role' = 'admin')
    execute function private.note_staff_account();
  create trigger kct_staff_account_on_update after update of raw_app_meta_data on auth.users
    for each row when (
      old.raw_app_meta_data ->> 'role' is distinct from new.raw_app_meta_data ->> 'role'
      and 'admin' in (
        coalesce(old.raw_app_meta_data ->> 'role', ''), coalesce(new.raw_app_meta_data ->> 'role', '')
      )
    )
    execute function private.note_staff_account();
exception
  when insufficient_privilege then
    raise warning 'auth.users allows no trigger: admin_without_mfa knows only of staff who are there now';
end;
$$;

insert into private.staff_accounts (user_id)
select u.id from auth.users u where u.raw_app_meta_data ->> 'role' = 'admin';

create function private.rule_admin_without_mfa(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select s.user_id::text, count(*)::numeric, jsonb_build_object('user_id', s.user_id, 'sessions', count(*))
  from private.staff_accounts a
  join auth.sessions s on s.user_id = a.user_id
  -- A second factor raises the level of its session within moments of the first.
  where coalesce(s.aal::text, 'aal1') <> 'aal2'
    and s.created_at <= p_now - make_interval(secs => r.threshold::double precision)
    and coalesce(s.refreshed_at at time zone 'utc', s.created_at)
      > p_now - make_interval(secs => r.window_seconds)
  group by s.user_id
  having count(*) >= r.minimum
  order by s.user_id;
end;
$$;
comment on function private.rule_admin_without_mfa(private.alert_rules, boolean, timestamptz) is
  'Members of staff who work in a session without a second factor. Auth says so of each session (aal).';

-- Counters, histograms and gauges for a monitor (docs/monitoring.md). Whoever counts adds a row to
-- private.metric_samples, in the transaction that did what is counted: no row is shared, so nobody waits, and
-- what was rolled back was never counted. fold_metrics() adds the rows up, called by the heartbeat and by
-- whoever reads. Nothing reads a table that grows, and no counter ever falls.

create table private.metrics (
  name text primary key,
  type text not null,
  unit text,
  labels text[] not null default '{}',
  allowed jsonb not null default '{}',
  bounds double precision[],
  counted_by text not null,
  help text not null,
  constraint metrics_type_known check (type in ('counter', 'histogram', 'gauge')),
  constraint metrics_name_ends_in_unit check (unit is null or right(name, length(unit) + 1) = '_' || unit),
  constraint metrics_histogram_has_bounds check ((type = 'histogram') = (bounds is not null)),
  constraint metrics_counted_by_known check (counted_by in ('functions', 'database', 'health'))
);
comment on table private.metrics is
  'The registry of all metrics; a monitor sees them with the prefix shop_. What is not here is not counted.';
comment on column private.metrics.allowed is
  'Label: [values]. Any other value is counted as "other". A label without a list takes its values from a '
  'registry (job kinds, mails, events that we listen to).';
comment on column private.metrics.bounds is 'Upper bounds of a histogram''s buckets, rising.';
comment on column private.metrics.counted_by is
  'functions: in memory, told to record_metrics(); database: in the transaction that did it, or measured; '
  'health: a figure of get_health().';
alter table private.metrics enable row level security;

create table private.metric_samples (
  id bigint generated always as identity primary key,
  metric text not null,
  labels text[] not null,
  bucket smallint not null,
  count integer not null,
  total double precision not null
);
comment on table private.metric_samples is
  'What was counted and not added up yet. Only ever added to, and taken by fold_metrics().';
alter table private.metric_samples enable row level security;

create table private.metric_series (
  metric text not null references private.metrics (name),
  labels text[] not null,
  bucket smallint not null,
  count bigint not null,
  total double precision not null,
  constraint metric_series_pkey primary key (metric, labels, bucket)
);
comment on table private.metric_series is
  'Every series as a monitor sees it. count: of a counter, or of one bucket of a histogram (not cumulative, '
  'the last is beyond all bounds); total: sum of what a histogram observed, or the value of a gauge.';
alter table private.metric_series enable row level security;

create function private.metric_bucket(p_bounds double precision[], p_value double precision)
returns smallint
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_bucket smallint := 0;
  v_bound double precision;
begin
  -- A handful of comparisons, of which a query would be ten times as long.
  foreach v_bound in array p_bounds loop
    exit when (v_bound < p_value) is not true;
    v_bucket := v_bucket + 1;
  end loop;
  return v_bucket;
end;
$$;
comment on function private.metric_bucket(double precision[], double precision) is
  'The bucket of a value, from 0: the first whose upper bound is not below it, as le has it.';

create function private.count_metric(p_metric text, p_labels text[] default '{}', p_count integer default 1)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.metric_samples (metric, labels, bucket, count, total)
  values (p_metric, p_labels, 0, p_count, 0);
end;
$$;
comment on function private.count_metric(text, text[], integer) is
  'Counts something that happens in this transaction. p_labels: in the order of private.metrics.labels.';

create function private.observe_metric(p_metric text, p_labels text[], p_value double precision) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.metric_samples (metric, labels, bucket, count, total)
  select m.name, p_labels, private.metric_bucket(m.bounds, p_value), 1, greatest(0, p_value)
  from private.metrics m where m.name = p_metric;
end;
$$;
comment on function private.observe_metric(text, text[], double precision) is
  'Adds one value to a histogram, in its unit. Below zero (Stripe''s clock may be ahead of ours) is zero.';

create function private.bounded_labels(p_metric text, p_labels text[]) returns text[]
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Far more than any metric has; whoever makes up values gets no further.
  c_series_max constant integer := 300;
  v_labels constant text[] := array(
    select case
      when m.allowed ? l.name and not m.allowed -> l.name ? coalesce(p_labels[l.at], '') then 'other'
      else coalesce(left(p_labels[l.at], 100), 'none')
    end
    from private.metrics m, unnest(m.labels) with ordinality l (name, at)
    where m.name = p_metric order by l.at
  );
begin
  if exists (select 1 from private.metric_series s where s.metric = p_metric and s.labels = v_labels)
    or (
      select count(distinct s.labels) from private.metric_series s where s.metric = p_metric
    ) < c_series_max then
    return v_labels;
  end if;
  return array_fill('other'::text, array[cardinality(v_labels)]);
end;
$$;
comment on function private.bounded_labels(text, text[]) is
  'The labels under which something is added up: values that are not allowed become "other", and so does a '
  'whole series once its metric has 300.';

create function private.fold_metrics() returns void
language plpgsql
set search_path = ''
as $$
declare
  c_samples_max constant integer := 20000;
  r record;
  v_labels text[];
begin
  -- One at a time, and nobody waits: what is left is added up the next time.
  if not pg_try_advisory_xact_lock(hashtextextended('fold_metrics', 0)) then
    return;
  end if;
  for r in
    with taken as (
      delete from private.metric_samples s
      where s.id in (select x.id from private.metric_samples x order by x.id limit c_samples_max)
      returning s.metric, s.labels, s.bucket, s.count, s.total
    )
    select t.metric, t.labels, t.bucket, sum(t.count) as count, sum(t.total) as total
    from taken t join private.metrics m on m.name = t.metric
    group by t.metric, t.labels, t.bucket
    order by t.metric, t.labels, t.bucket
  loop
    v_labels := private.bounded_labels(r.metric, r.labels);
    insert into private.metric_series as s (metric, labels, bucket, count, total)
    values (r.metric, v_labels, r.bucket, r.count, r.total)
    on conflict on constraint metric_series_pkey
    do update set count = s.count + excluded.count, total = s.total + excluded.total;
    if r.metric = 'objective_events' then
      perform private.add_to_objective_day(v_labels[1], v_labels[2], r.count::bigint);
    end if;
  end loop;
end;
$$;
comment on function private.fold_metrics() is
  'Adds up what was counted since the last time, at most 20 000 rows at once.';

create function public.record_metrics(p_samples jsonb) returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_taken integer;
begin
  with given as (
    select row_number() over () as id, s.metric, s.labels, s.count, s."values", m.type, m.bounds
    from jsonb_to_recordset(p_samples) as s (
      metric text, labels text[], count integer, "values" double precision[]
    )
    join private.metrics m on m.name = s.metric and m.counted_by = 'functions'
      and cardinality(s.labels) = cardinality(m.labels)
      and case m.type
        when 'counter' then s.count between 1 and 1000000
        else cardinality(s."values") between 1 and 10000
      end
  ), observed as (
    select g.metric, g.labels, g.bounds, least(greatest(v, 0), 86400) as value
    from given g, unnest(g."values") v where g.type = 'histogram'
  ), written as (
    insert into private.metric_samples (metric, labels, bucket, count, total)
    select g.metric, g.labels, 0, g.count, 0 from given g where g.type = 'counter'
    union all
    select o.metric, o.labels, private.metric_bucket(o.bounds, o.value), count(*), sum(o.value)
    from observed o group by 1, 2, 3
    union all
    select 'objective_events', array[
        x.name, case when o.labels[2] <> 'failed' and o.value <= x.within_seconds then 'good' else 'bad' end
      ], 0, count(*), 0
    from observed o join private.objectives x on o.labels[1] = any (x.functions)
    where o.metric = 'request_duration_seconds'
    group by 2
  )
  select count(*) into v_taken from given;
  return jsonb_array_length(p_samples) - v_taken;
end;
$$;
comment on function public.record_metrics(jsonb) is
  'Counts what a function has seen: [{ metric, labels, count }] of counters, [{ metric, labels, values }] of '
  'histograms, in their unit. How requests ended counts for the objectives too. Returns how many were '
  'refused: unknown, not the functions'' to count, or with a wrong number of labels.';
grant execute on function public.record_metrics(jsonb) to service_role;

create function private.metric_gauges() returns table (metric text, labels text[], total double precision)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'provider_breaker_open', array[b.provider], (b.open_until is not null)::integer::double precision
  from private.circuit_breakers b
  union all
  select 'provider_failures', array[b.provider], b.failures::double precision
  from private.circuit_breakers b
  union all
  select 'objective_target_ratio', array[o.name], o.target::double precision from private.objectives o;
end;
$$;
comment on function private.metric_gauges() is
  'Gauges that are read from small tables when they are asked for.';

create function public.get_metrics() returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.fold_metrics();
  return (
    with samples as materialized (
      select s.metric, s.labels, s.bucket, s.count, s.total from private.metric_series s
      union all
      select g.metric, g.labels, 0, 0, g.total from private.metric_gauges() g
    ), grouped as (
      select s.metric, jsonb_agg(
        jsonb_build_array(s.labels, s.bucket, s.count, s.total) order by s.labels, s.bucket
      ) as samples
      from samples s group by s.metric
    )
    select jsonb_agg(jsonb_build_object(
      'name', m.name, 'type', m.type, 'unit', m.unit, 'help', m.help, 'labels', m.labels,
      'bounds', m.bounds, 'counted_by', m.counted_by, 'samples', coalesce(g.samples, '[]')
    ) order by m.name)
    from private.metrics m left join grouped g on g.metric = m.name
  );
end;
$$;
comment on function public.get_metrics() is
  'All metrics: [{ name, type, unit, help, labels, bounds, counted_by, samples: [[labels, bucket, count, '
  'total]] }], see private.metric_series. Those counted by health have no samples here. Adds up first what '
  'was counted since the last time.';
grant execute on function public.get_metrics() to service_role;

-- Every metric, once. docs/operations.md and docs/monitoring.md follow it, and tests compare.

insert into private.metrics (name, type, unit, labels, allowed, bounds, counted_by, help) values
  (
    'request_duration_seconds', 'histogram', 'seconds', '{function,outcome}', '{
      "function": ["create-checkout-session", "health", "mail-webhook", "order-status", "resume-checkout",
        "retry-jobs", "stripe-webhook", "unsubscribe"],
      "outcome": ["ok", "refused", "limited", "failed"]
    }', '{0.05,0.1,0.25,0.5,1,2.5,5,10}', 'functions',
    'How long requests took. refused: answered 4xx, limited: 429, failed: 5xx.'
  ),
  (
    'checkouts', 'counter', null, '{result}', '{"result": [
      "created", "repeated", "busy", "checkout_closed", "checkout_refused", "conflict",
      "currency_unavailable", "database_unavailable", "idempotency_conflict", "insufficient_stock",
      "internal_error", "invalid_request", "origin_not_allowed", "rate_limited", "shipping_unavailable",
      "stripe_unavailable", "unauthorized", "unknown_sku", "velocity_exceeded"
    ]}', null, 'functions',
    'Checkouts by result: a payment page (created, or repeated for the same key), or the error code.'
  ),
  (
    'rate_limit_decisions', 'counter', null, '{limiter,decision}', '{
      "limiter": ["upstash", "postgres", "memory"], "decision": ["allowed", "refused", "failed"]
    }', null, 'functions',
    'What the rate limiters decided. failed: it did not answer, the next one was asked.'
  ),
  (
    'webhook_senders', 'counter', null, '{membership}',
    '{"membership": ["listed", "unlisted", "unknown"]}', null, 'functions',
    'Callers of stripe-webhook by Stripe''s list of addresses. unknown: the list could not be read.'
  ),
  (
    'webhook_deliveries', 'counter', null, '{type,outcome}',
    '{"outcome": ["applied", "duplicate", "ignored", "queued"]}', null, 'database',
    'Authentic deliveries of Stripe by type of event and outcome. Types that nobody listens to are "other".'
  ),
  (
    'webhook_refusals', 'counter', null, '{reason}', '{"reason": [
      "missing_signature", "invalid_signature", "timestamp_out_of_tolerance", "invalid_payload",
      "ip_not_allowed", "body_too_large", "request_timeout", "rate_limited"
    ]}', null, 'database', 'Requests that stripe-webhook turned away.'
  ),
  (
    'webhook_lag_seconds', 'histogram', 'seconds', '{source}', '{"source": ["delivered", "fetched"]}',
    '{1,2,5,10,30,60,300,3600}', 'database',
    'From when an event happened at Stripe to when its facts were first applied.'
  ),
  (
    'payment_attempts', 'counter', null, '{outcome}',
    '{"outcome": ["succeeded", "failed", "blocked", "pending"]}', null, 'database',
    'Tries to pay, by outcome.'
  ),
  (
    'declines', 'counter', null, '{class}', '{"class": [
      "funds", "details", "card", "authentication", "issuer", "fraud", "technical"
    ]}', null, 'database', 'Tries to pay that were declined or blocked, by class of the decline code.'
  ),
  (
    'three_d_secure', 'counter', null, '{result}', '{"result": [
      "authenticated", "attempt_acknowledged", "exempted", "failed", "not_supported", "processing_error"
    ]}', null, 'database', 'Tries to pay that 3D Secure had a word in, by its result.'
  ),
  ('payments', 'counter', null, '{}', '{}', null, 'database', 'Payments that succeeded.'),
  (
    'refunds', 'counter', null, '{status}', '{"status": ["succeeded", "failed"]}', null, 'database',
    'Refunds by what became of them. One that succeeded and bounced counts in both.'
  ),
  (
    'disputes', 'counter', null, '{status}', '{"status": [
      "warning_needs_response", "warning_under_review", "warning_closed", "needs_response", "under_review",
      "appeal_needs_response", "appeal_under_review", "won", "lost", "prevented"
    ]}', null, 'database', 'How many disputes were ever seen in each status of Stripe''s.'
  ),
  (
    'jobs', 'counter', null, '{kind,outcome}',
    '{"outcome": ["done", "discarded", "retried", "dead", "lost"]}', null, 'database',
    'Ends of jobs. retried: they wait for another try; lost: their worker died.'
  ),
  (
    'job_wait_seconds', 'histogram', 'seconds', '{kind}', '{}', '{1,5,15,60,300,900,3600}', 'database',
    'How long jobs were due when a worker took them.'
  ),
  (
    'mails', 'counter', null, '{template,outcome}', '{"outcome": [
      "queued", "sent", "delivered", "bounced", "complained", "suppressed", "failed", "skipped"
    ]}', null, 'database', 'Mails to customers, each time their status changed or they were delivered.'
  ),
  (
    'mail_delay_seconds', 'histogram', 'seconds', '{}', '{}', '{5,15,60,300,900,3600}', 'database',
    'From when a mail was queued to when its provider took it.'
  ),
  (
    'reconciliation_drift', 'counter', null, '{kind}', '{"kind": [
      "missed_event", "checkout_session", "payment", "charge", "refund", "dispute", "review",
      "early_fraud_warning"
    ]}', null, 'database', 'Repairs: what Stripe knew and the shop did not.'
  ),
  (
    'provider_breaker_openings', 'counter', null, '{provider}', '{}', null, 'database',
    'How often a provider''s circuit breaker opened.'
  ),
  (
    'objective_events', 'counter', null, '{objective,result}', '{
      "objective": ["checkout", "webhook", "mail", "page", "stock"], "result": ["good", "bad"]
    }', null, 'database', 'What counts for each service level objective, and whether it was met.'
  ),
  (
    'objective_target_ratio', 'gauge', 'ratio', '{objective}', '{}', null, 'database',
    'The share that is to be good.'
  ),
  (
    'provider_breaker_open', 'gauge', null, '{provider}', '{}', null, 'database',
    '1 while a provider''s circuit breaker is open.'
  ),
  (
    'provider_failures', 'gauge', null, '{provider}', '{}', null, 'database',
    'Failures in a row since the provider last answered.'
  ),
  (
    'stock_held_pieces', 'gauge', 'pieces', '{}', '{}', null, 'database',
    'Pieces that open checkouts hold.'
  ),
  (
    'stock_low_articles', 'gauge', 'articles', '{}', '{}', null, 'database',
    'Articles on sale with at most low_stock_at pieces to sell.'
  );

-- A monitor sees a counter rise only from a value that it has seen: series that are known begin at zero.
insert into private.metric_series (metric, labels, bucket, count, total)
select m.name, array[]::text[], 0, 0, 0
from private.metrics m where m.type <> 'gauge' and m.labels = '{}'
union all
select m.name, array[a.value], 0, 0, 0
from private.metrics m, jsonb_array_elements_text(m.allowed -> m.labels[1]) a
where cardinality(m.labels) = 1 and m.allowed ?& m.labels
union all
select m.name, array[a.value, b.value], 0, 0, 0
from private.metrics m, jsonb_array_elements_text(m.allowed -> m.labels[1]) a,
  jsonb_array_elements_text(m.allowed -> m.labels[2]) b
where cardinality(m.labels) = 2 and m.allowed ?& m.labels;

-- Figures of get_health(), as a monitor sees them: check and figure, times as seconds since 1970.
insert into private.metrics (name, type, unit, counted_by, help)
select f.name, 'gauge', substring(f.name from '_(seconds)$'), 'health', f.help
from (values
  ('database_latency_seconds', 'One call to the database, there and back.'),
  ('webhooks_failed', 'Events that could not be applied and are tried again; at most 1000.'),
  ('webhooks_dead', 'Events that were given up; at most 1000.'),
  ('webhooks_lag_p50_seconds', 'From Stripe to here, half of the last 500 of the hour.'),
  ('webhooks_lag_p95_seconds', 'From Stripe to here, 95 % of the last 500 of the hour.'),
  ('webhooks_last_delivered_timestamp_seconds', 'When Stripe last delivered an event.'),
  ('webhooks_last_fetched_timestamp_seconds', 'When reconciliation last fetched an event.'),
  ('webhooks_rejections', 'Refused requests, as far back as they are kept.'),
  ('webhooks_last_rejected_timestamp_seconds', 'When a request was last refused.'),
  ('webhooks_endpoint_checked_timestamp_seconds', 'When the endpoint at Stripe was last looked at.'),
  ('jobs_due', 'Jobs that wait and are due; at most 1000.'),
  ('jobs_running', 'Jobs that a worker has; at most 1000.'),
  ('jobs_dead', 'Jobs that were given up; at most 1000.'),
  ('jobs_oldest_due_seconds', 'How long the oldest job has been due.'),
  ('jobs_last_run_timestamp_seconds', 'When retry-jobs was last called.'),
  ('providers_down', 'Providers whose circuit breaker is open.'),
  ('reconciliation_events_read_to_timestamp_seconds', 'Up to when Stripe''s events have been read.'),
  ('reconciliation_drift_last_hour', 'Repairs of the last hour that Stripe has not delivered since.'),
  ('reconciliation_repairs_last_day', 'Repairs of the last day; at most 1000.'),
  ('schedule_runs_failed', 'Failed runs of pg_cron within the hour.'),
  ('schedule_last_run_timestamp_seconds', 'When pg_cron last ran.'),
  ('schedule_calls', 'Calls of pg_net within 15 minutes.'),
  ('schedule_calls_failed', 'Failed calls of pg_net within 15 minutes.'),
  ('stock_leaks', 'Reservations that hold goods an hour too long; at most 1000.'),
  ('mail_queued', 'Mails that wait; at most 1000.'),
  ('mail_oldest_queued_seconds', 'How long the oldest mail has waited.'),
  ('mail_failed_last_day', 'Mails of the last day that did not arrive; at most 1000.'),
  ('limiter_keys_last_minute', 'Keys that the limiter in the database counted within a minute.'),
  ('audit_unsealed', 'Rows of the audit trail that wait for their seal; at most 1000.'),
  ('audit_seals', 'Seals of the audit trail.'),
  ('alerts_open', 'Alerts that nobody has acknowledged.'),
  ('alerts_critical', 'Critical ones among them.')
) f (name, help);

-- What is counted where the truth is: rows that appear and change, each once, in the transaction that does
-- it.

create function private.decline_class(p_code text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when p_code in ('insufficient_funds', 'card_velocity_exceeded', 'withdrawal_count_limit_exceeded')
      then 'funds'
    when p_code in (
      'incorrect_number', 'invalid_number', 'incorrect_cvc', 'invalid_cvc', 'invalid_expiry_month',
      'invalid_expiry_year', 'incorrect_zip', 'incorrect_address', 'incorrect_pin', 'invalid_pin',
      'invalid_account'
    ) then 'details'
    when p_code in (
      'expired_card', 'card_not_supported', 'currency_not_supported', 'not_permitted',
      'invalid_amount', 'new_account_information_available', 'service_not_allowed',
      'transaction_not_allowed'
    ) then 'card'
    when p_code in (
      'authentication_required', 'authentication_not_handled', 'mobile_device_authentication_required',
      'offline_pin_required', 'online_or_offline_pin_required', 'payment_intent_authentication_failure',
      'pin_try_exceeded'
    ) then 'authentication'
    when p_code in (
      'do_not_honor', 'generic_decline', 'call_issuer', 'do_not_try_again', 'no_action_taken',
      'revocation_of_all_authorizations', 'revocation_of_authorization', 'stop_payment_order',
      'security_violation', 'card_declined'
    ) then 'issuer'
    when p_code in (
      'fraudulent', 'lost_card', 'stolen_card', 'pickup_card', 'restricted_card', 'merchant_blacklist',
      'highest_risk_level', 'elevated_risk_level', 'rule', 'previously_declined_do_not_retry'
    ) then 'fraud'
    when p_code in (
      'processing_error', 'issuer_not_available', 'try_again_later', 'reenter_transaction', 'approve_with_id',
      'duplicate_transaction', 'payment_intent_payment_attempt_failed'
    ) then 'technical'
    else 'other'
  end;
end;
$$;
comment on function private.decline_class(text) is
  'What kind of decline a code is, for figures: https://docs.stripe.com/declines/codes, and the reasons of '
  'Radar. "other": a code that is not known.';

create function private.count_payment() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.count_metric('payments');
  return null;
end;
$$;
comment on function private.count_payment() is 'Trigger: counts a payment when it is first seen succeeded.';
create trigger count_new_payment after insert on public.payments
  for each row when (new.succeeded_at is not null) execute function private.count_payment();
create trigger count_payment after update of succeeded_at on public.payments
  for each row when (old.succeeded_at is null and new.succeeded_at is not null)
  execute function private.count_payment();

create function private.count_payment_attempt() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'INSERT' or new.outcome <> old.outcome then
    perform private.count_metric('payment_attempts', array[new.outcome]);
    if new.outcome in ('failed', 'blocked') then
      perform private.count_metric('declines', array[
        case new.outcome
          when 'blocked' then 'fraud' else private.decline_class(coalesce(new.decline_code, new.failure_code))
        end
      ]);
    end if;
  end if;
  if new.three_d_secure_result is not null
    and (tg_op = 'INSERT' or old.three_d_secure_result is null) then
    perform private.count_metric('three_d_secure', array[new.three_d_secure_result]);
  end if;
  return null;
end;
$$;
comment on function private.count_payment_attempt() is
  'Trigger: counts a try to pay for each outcome that it reaches, its decline, and its 3D Secure once.';
create trigger count_new_payment_attempt after insert on public.payment_attempts
  for each row execute function private.count_payment_attempt();
create trigger count_payment_attempt after update of outcome, three_d_secure_result on public.payment_attempts
  for each row when (
    old.outcome <> new.outcome or old.three_d_secure_result is distinct from new.three_d_secure_result
  ) execute function private.count_payment_attempt();

create function private.count_refund() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.succeeded_at is not null and (tg_op = 'INSERT' or old.succeeded_at is null) then
    perform private.count_metric('refunds', '{succeeded}');
  end if;
  if new.failed_at is not null and (tg_op = 'INSERT' or old.failed_at is null) then
    perform private.count_metric('refunds', '{failed}');
  end if;
  return null;
end;
$$;
comment on function private.count_refund() is
  'Trigger: counts a refund when it is first seen succeeded, and when it is first seen failed.';
create trigger count_refund after insert or update of succeeded_at, failed_at on public.refunds
  for each row execute function private.count_refund();

create function private.count_dispute() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.count_metric('disputes', array[x]) from unnest(new.statuses_seen) x
  where tg_op = 'INSERT' or not x = any (old.statuses_seen);
  return null;
end;
$$;
comment on function private.count_dispute() is
  'Trigger: counts a dispute once in each status that it is seen in.';
create trigger count_dispute after insert or update of statuses_seen on public.disputes
  for each row execute function private.count_dispute();

create function private.count_mail() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'INSERT' or new.status <> old.status then
    perform private.count_metric('mails', array[new.template, new.status]);
  end if;
  if new.delivered_at is not null and (tg_op = 'INSERT' or old.delivered_at is null) then
    perform private.count_metric('mails', array[new.template, 'delivered']);
  end if;
  if new.sent_at is not null and (tg_op = 'INSERT' or old.sent_at is null) then
    perform private.observe_metric(
      'mail_delay_seconds', '{}', extract(epoch from new.sent_at - new.created_at)
    );
  end if;
  return null;
end;
$$;
comment on function private.count_mail() is
  'Trigger: counts a mail in each status that it takes and when it is delivered, and how long it took to be '
  'sent.';
create trigger count_mail after insert or update of status, sent_at, delivered_at on public.notifications
  for each row execute function private.count_mail();

create function private.count_drift() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.count_metric('reconciliation_drift', array[new.kind]);
  return null;
end;
$$;
comment on function private.count_drift() is 'Trigger: counts a repair.';
create trigger count_drift after insert on public.reconciliation_drift
  for each row execute function private.count_drift();

create function private.count_claimed_jobs(p_job_ids bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.metric_samples (metric, labels, bucket, count, total)
  select 'job_wait_seconds', array[x.kind], private.metric_bucket(m.bounds, x.waited), count(*), sum(x.waited)
  from (
    select j.kind, greatest(0, extract(epoch from now() - j.run_at))::double precision as waited
    from private.jobs j where j.id = any (p_job_ids)
  ) x
  join private.metrics m on m.name = 'job_wait_seconds'
  group by x.kind, private.metric_bucket(m.bounds, x.waited);
end;
$$;
comment on function private.count_claimed_jobs(bigint[]) is
  'Observes how long jobs that are being claimed were due.';

create function private.count_ended_jobs(p_ended text[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.metric_samples (metric, labels, bucket, count, total)
  select 'jobs', array[p_ended[i][1], p_ended[i][2]], 0, count(*), 0
  from generate_subscripts(p_ended, 1) i
  group by 2;
end;
$$;
comment on function private.count_ended_jobs(text[]) is
  'Counts jobs that have ended: [[kind, outcome]], as many as a worker tells of at once.';

create function private.measure_stock() returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.heartbeats as h (name) values ('measure_stock')
  on conflict (name) do update set last_at = now() where h.last_at < now() - interval '1 minute';
  if not found then
    return;
  end if;
  insert into private.metric_series as s (metric, labels, bucket, count, total)
  select x.metric, '{}', 0, 0, x.total
  from (
    select coalesce(sum(l.reserved), 0) as held, count(*) filter (
      where v.active and p.active and l.available <= (private.setting('low_stock_at') #>> '{}')::integer
    ) as low
    from public.inventory_levels l
    join public.product_variants v on v.id = l.variant_id
    join public.products p on p.id = v.product_id
  ) found
  cross join lateral (
    values ('stock_held_pieces', found.held), ('stock_low_articles', found.low)
  ) x (metric, total)
  on conflict on constraint metric_series_pkey do update set total = excluded.total;
end;
$$;
comment on function private.measure_stock() is
  'Sets the gauges of stock, at most once a minute: it reads the stock of every article, of which a shop has '
  'thousands at most.';

-- Service level objectives (docs/monitoring.md): five promises, each with a share that is to be good. Each
-- thing that counts is counted once, as good or bad, when that is known: requests by the functions, paid
-- orders as they are settled, mails and events by the clock, when their time is over.

create table private.objectives (
  name text primary key,
  target numeric not null,
  within_seconds integer not null,
  functions text[] not null default '{}',
  counted_until timestamptz not null default now(),
  description text not null,
  constraint objectives_target_is_share check (target > 0 and target < 1)
);
comment on table private.objectives is
  'What the shop promises itself. functions: whose requests count; counted_until: how far mails and events '
  'have been judged.';
alter table private.objectives enable row level security;

insert into private.objectives (name, target, within_seconds, functions, description) values
  (
    'checkout', 0.995, 10, '{create-checkout-session}',
    'A checkout is answered, be it with a refusal, within 10 seconds.'
  ),
  (
    'webhook', 0.995, 10, '{}',
    'An event that concerns us is settled within 10 seconds of when it happened at Stripe.'
  ),
  ('mail', 0.99, 300, '{}', 'A mail is with its provider within 5 minutes.'),
  (
    'page', 0.995, 10, '{order-status,resume-checkout}',
    'The page of an order, and the way back to a payment page, are answered within 10 seconds.'
  ),
  ('stock', 0.999, 0, '{}', 'An order that was paid can be delivered: its goods were not sold twice.');

create table private.objective_days (
  objective text not null references private.objectives (name),
  day date not null,
  good bigint not null default 0,
  bad bigint not null default 0,
  constraint objective_days_pkey primary key (objective, day)
);
comment on table private.objective_days is
  'How each objective was met, by day in the shop''s time zone: five rows a day, kept for good.';
alter table private.objective_days enable row level security;

create function private.local_day(p_at timestamptz) returns date
language plpgsql
stable
set search_path = ''
as $$
begin
  return (p_at at time zone (private.setting('shop_time_zone') #>> '{}'))::date;
end;
$$;
comment on function private.local_day(timestamptz) is 'The day of a moment in the shop''s time zone.';

create function private.add_to_objective_day(p_objective text, p_result text, p_count bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.objective_days as d (objective, day, good, bad)
  select o.name, private.local_day(now()), case p_result when 'good' then p_count else 0 end,
    case p_result when 'good' then 0 else p_count end
  from private.objectives o where o.name = p_objective
  on conflict on constraint objective_days_pkey
  do update set good = d.good + excluded.good, bad = d.bad + excluded.bad;
end;
$$;
comment on function private.add_to_objective_day(text, text, bigint) is
  'Adds what was counted for an objective (good or bad) to today.';

create function private.count_objective(p_objective text, p_good bigint, p_bad bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_good > 0 then
    perform private.count_metric('objective_events', array[p_objective, 'good'], p_good::integer);
  end if;
  if p_bad > 0 then
    perform private.count_metric('objective_events', array[p_objective, 'bad'], p_bad::integer);
  end if;
end;
$$;
comment on function private.count_objective(text, bigint, bigint) is 'Counts for an objective.';

create function private.count_paid_order() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.count_objective(
    'stock', (new.oversold_at is null)::integer, (new.oversold_at is not null)::integer
  );
  return null;
end;
$$;
comment on function private.count_paid_order() is
  'Trigger: an order that is paid was good for the objective stock, unless its goods had gone.';
create trigger count_paid_order after update of paid_at on public.orders
  for each row when (old.paid_at is null and new.paid_at is not null)
  execute function private.count_paid_order();

create function private.judge_mails(p_from timestamptz, p_until timestamptz, p_seconds integer)
returns table (good bigint, bad bigint)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select count(*) filter (where x.sent), count(*) filter (where not x.sent)
  from (
    select coalesce(n.sent_at <= n.created_at + make_interval(secs => p_seconds), false) as sent
    from public.notifications n
    where n.created_at >= p_from and n.created_at < p_until
      -- What must not be sent any more is not late.
      and not (n.sent_at is null and n.status in ('skipped', 'suppressed'))
  ) x;
end;
$$;
comment on function private.judge_mails(timestamptz, timestamptz, integer) is
  'How many mails queued in a time were taken by their provider within so many seconds, and how many not.';

create function private.judge_events(p_from timestamptz, p_until timestamptz, p_seconds integer)
returns table (good bigint, bad bigint)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select count(*) filter (where x.settled), count(*) filter (where not x.settled)
  from (
    select e.status = 'processed'
      and e.processed_at <= e.stripe_created_at + make_interval(secs => p_seconds) as settled
    from public.webhook_events e
    where e.received_at >= p_from and e.received_at < p_until and e.status <> 'ignored'
  ) x;
end;
$$;
comment on function private.judge_events(timestamptz, timestamptz, integer) is
  'How many events stored in a time were settled within so many seconds of when they happened, and how many '
  'not. What is ignored concerns nobody here.';

create function private.count_objectives() returns void
language plpgsql
set search_path = ''
as $$
declare
  -- What a transaction that is still under way has stored must be seen by then.
  c_grace constant interval := '1 minute';
  o private.objectives;
  v_until timestamptz;
  v_good bigint;
  v_bad bigint;
begin
  for o in
    select x.* from private.objectives x where x.name in ('mail', 'webhook')
    order by x.name for no key update skip locked
  loop
    v_until := now() - make_interval(secs => o.within_seconds) - c_grace;
    if v_until <= o.counted_until then
      continue;
    end if;
    if o.name = 'mail' then
      select j.good, j.bad into v_good, v_bad
      from private.judge_mails(o.counted_until, v_until, o.within_seconds) j;
    else
      select j.good, j.bad into v_good, v_bad
      from private.judge_events(o.counted_until, v_until, o.within_seconds) j;
    end if;
    perform private.count_objective(o.name, v_good, v_bad);
    update private.objectives set counted_until = v_until where name = o.name;
  end loop;
end;
$$;
comment on function private.count_objectives() is
  'Judges the mails and events whose time is over since the last time, each once.';

create function private.queue_budget_report(p_now timestamptz default now()) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_local constant timestamp := p_now at time zone (private.setting('shop_time_zone') #>> '{}');
  v_monday constant date := date_trunc('week', v_local)::date;
begin
  if coalesce(
    v_local < v_monday + make_interval(hours => (private.setting('digest_hour') #>> '{}')::integer), true
  ) then
    return false;
  end if;
  return private.enqueue_job(
    'send_budget_report', 'send_budget_report:' || v_monday, jsonb_build_object('week', v_monday - 7), now(),
    150
  );
end;
$$;
comment on function private.queue_budget_report(timestamptz) is
  'Queues the report about the error budgets of the week before once a week, on Monday from digest_hour on, '
  'or later where nobody worked then. Returns whether it did.';

create function public.get_error_budgets(p_week date) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  c_budget_days constant integer := 28;
begin
  return jsonb_build_object(
    'week', p_week,
    'shop', private.shop(),
    'objectives', (
      select jsonb_agg(to_jsonb(x) order by x.name)
      from (
        select o.name, o.target,
          coalesce(sum(d.good) filter (where d.day >= p_week), 0)::bigint as good,
          coalesce(sum(d.bad) filter (where d.day >= p_week), 0)::bigint as bad,
          coalesce(sum(d.bad), 0)::bigint as bad_in_budget,
          (coalesce(sum(d.good + d.bad), 0) * (1 - o.target))::double precision as budget
        from private.objectives o
        left join private.objective_days d on d.objective = o.name
          and d.day < p_week + 7 and d.day >= p_week + 7 - c_budget_days
        group by o.name
      ) x
    )
  );
end;
$$;
comment on function public.get_error_budgets(date) is
  'How the objectives were met in the seven days from p_week on: { week, shop, objectives: [{ name, target, '
  'good, bad, bad_in_budget, budget }] }. The last two are of the 28 days up to the end of the week: how '
  'many were bad, and how many may be.';
grant execute on function public.get_error_budgets(date) to service_role;
