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
