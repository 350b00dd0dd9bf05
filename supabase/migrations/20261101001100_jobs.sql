-- The outbox: every outward effect (mail, refund, session expiry, alert, re-reading an object) is a row
-- here, written in the transaction that decided it. retry-jobs leases rows and runs them.
--
--   queued -> running (leased) -> done | discarded | dead, or back to queued (retry, snooze)

create table private.jobs (
  id bigint generated always as identity primary key,
  kind text not null,
  payload jsonb not null default '{}',
  dedupe_key text not null,
  status text not null default 'queued',
  priority smallint not null default 100,
  run_at timestamptz not null default now(),
  attempts integer not null default 0,
  max_attempts integer not null default 12,
  lease_id uuid,
  leased_until timestamptz,
  worker text,
  last_error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint jobs_dedupe_key_key unique (dedupe_key),
  constraint jobs_status_known check (status in ('queued', 'running', 'done', 'discarded', 'dead')),
  constraint jobs_running_has_lease check ((status = 'running') = (lease_id is not null and leased_until is not null))
);
comment on table private.jobs is 'Outbox and queue. dedupe_key makes each effect happen once; lower priority runs first.';
comment on column private.jobs.attempts is 'Counted at claim, so that a job that kills its worker runs out of attempts too.';
create index jobs_queued_idx on private.jobs (priority, run_at, id) where status = 'queued';
create index jobs_running_idx on private.jobs (leased_until) where status = 'running';
create index jobs_finished_at_idx on private.jobs (finished_at) where finished_at is not null;
create index jobs_dead_idx on private.jobs (kind) where status = 'dead';
alter table private.jobs enable row level security;

create function private.enqueue_job(
  p_kind text,
  p_dedupe_key text,
  p_payload jsonb,
  p_run_at timestamptz default now(),
  p_priority integer default 100,
  p_max_attempts integer default 12
) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.jobs (kind, dedupe_key, payload, run_at, priority, max_attempts)
  values (p_kind, p_dedupe_key, p_payload, p_run_at, p_priority, p_max_attempts)
  on conflict on constraint jobs_dedupe_key_key do nothing;
  return found;
end;
$$;
comment on function private.enqueue_job(text, text, jsonb, timestamptz, integer, integer) is
  'Queues an effect unless one with this dedupe_key was ever queued. Returns whether it is new. Lower p_priority runs first.';
revoke execute on function private.enqueue_job(text, text, jsonb, timestamptz, integer, integer) from public, anon, authenticated;

create function private.backoff(p_attempts integer) returns interval
language sql
volatile
security definer
set search_path = ''
as $$
  -- Full jitter: uniform in [1 s, min(max, base * 2^(attempts - 1))].
  select make_interval(secs => 1 + random() * (
    least(
      (private.setting('event_retry_max_seconds'))::numeric,
      (private.setting('event_retry_base_seconds'))::numeric * power(2::numeric, least(greatest(p_attempts, 1), 30) - 1)
    )::double precision - 1
  ))
$$;
comment on function private.backoff(integer) is 'Delay before try number p_attempts + 1: exponential with full jitter, limits in private.settings.';
revoke execute on function private.backoff(integer) from public, anon, authenticated;

create function public.claim_jobs(
  p_worker text,
  p_limit integer,
  p_lease_seconds integer,
  p_kinds text[] default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_jobs jsonb;
begin
  -- A lease that ran out means that its worker died: the job is due again, or dead once its attempts are used up.
  perform private.bury_job(j.id, 'worker died: lease ran out')
  from (
    select e.id from private.jobs e
    where e.status = 'running' and e.leased_until < now() and e.attempts >= e.max_attempts
    for update skip locked
  ) j;

  update private.jobs j
  set status = 'queued', lease_id = null, leased_until = null, last_error = 'worker died: lease ran out'
  where j.id in (
    select e.id from private.jobs e
    where e.status = 'running' and e.leased_until < now()
    for update skip locked
  );

  with due as (
    select j.id
    from private.jobs j
    where j.status = 'queued' and j.run_at <= now() and (p_kinds is null or j.kind = any (p_kinds))
    order by j.priority, j.run_at, j.id
    limit greatest(0, least(p_limit, 1000))
    for update skip locked
  ), claimed as (
    update private.jobs j
    set status = 'running',
        attempts = j.attempts + 1,
        lease_id = gen_random_uuid(),
        leased_until = now() + make_interval(secs => p_lease_seconds),
        worker = p_worker
    from due
    where j.id = due.id
    returning j.id, j.kind, j.payload, j.attempts, j.max_attempts, j.lease_id, j.created_at, j.priority, j.run_at
  )
  select coalesce(
    jsonb_agg(
      jsonb_build_object(
        'id', c.id, 'kind', c.kind, 'payload', c.payload, 'attempts', c.attempts,
        'max_attempts', c.max_attempts, 'lease_id', c.lease_id, 'created_at', c.created_at
      )
      order by c.priority, c.run_at, c.id
    ),
    '[]'
  )
  into v_jobs
  from claimed c;

  return jsonb_build_object('jobs', v_jobs);
end;
$$;
comment on function public.claim_jobs(text, integer, integer, text[]) is
  'Leases up to p_limit due jobs to p_worker for p_lease_seconds; rows locked by another worker are skipped. Jobs whose lease ran out are due again.';
revoke execute on function public.claim_jobs(text, integer, integer, text[]) from public, anon, authenticated;
grant execute on function public.claim_jobs(text, integer, integer, text[]) to service_role;

create function private.bury_job(p_job_id bigint, p_reason text) returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_job private.jobs;
begin
  update private.jobs
  set status = 'dead', lease_id = null, leased_until = null, finished_at = now(), last_error = p_reason
  where id = p_job_id
  returning * into v_job;
  if v_job.kind = 'retry_event' then
    update public.webhook_events
    set status = 'dead', next_attempt_at = null
    where id = v_job.payload ->> 'event_id' and status = 'failed';
  end if;
  perform private.raise_alert(
    'job_dead', 'critical', 'job_dead:' || v_job.dedupe_key,
    jsonb_build_object('job_id', v_job.id, 'kind', v_job.kind, 'attempts', v_job.attempts, 'error', p_reason)
  );
end;
$$;
comment on function private.bury_job(bigint, text) is 'Marks a job dead after its last attempt, its webhook event too, and raises a critical alert with the cause.';
revoke execute on function private.bury_job(bigint, text) from public, anon, authenticated;

create function public.finish_job(
  p_job_id bigint,
  p_lease_id uuid,
  p_outcome text,
  p_reason text default null,
  p_run_at timestamptz default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_job private.jobs;
  v_run_at timestamptz;
begin
  select * into v_job from private.jobs
  where id = p_job_id and status = 'running' and lease_id = p_lease_id
  for update;
  if not found then
    return jsonb_build_object('finished', false, 'status', (select status from private.jobs where id = p_job_id));
  end if;

  if p_outcome in ('done', 'discard') then
    update private.jobs
    set status = case p_outcome when 'done' then 'done' else 'discarded' end,
        lease_id = null, leased_until = null, finished_at = now(), last_error = p_reason
    where id = p_job_id;
  elsif p_outcome = 'retry' and v_job.attempts >= v_job.max_attempts then
    perform private.bury_job(p_job_id, p_reason);
  elsif p_outcome in ('retry', 'snooze') then
    v_run_at := coalesce(p_run_at, now() + private.backoff(v_job.attempts));
    update private.jobs
    set status = 'queued', lease_id = null, leased_until = null, run_at = v_run_at, last_error = p_reason,
        -- A snooze is not a failure: it costs no attempt.
        attempts = attempts - case p_outcome when 'snooze' then 1 else 0 end
    where id = p_job_id;
    if v_job.kind = 'retry_event' then
      update public.webhook_events set next_attempt_at = v_run_at
      where id = v_job.payload ->> 'event_id' and status = 'failed';
    end if;
  else
    raise exception 'unknown job outcome %', p_outcome using errcode = 'KCINV';
  end if;
  return jsonb_build_object('finished', true, 'status', (select status from private.jobs where id = p_job_id));
end;
$$;
comment on function public.finish_job(bigint, uuid, text, text, timestamptz) is
  'Ends the lease of a job: done, discard, retry (backoff unless p_run_at is given; dead after the last attempt) or snooze (no attempt used). finished = false: the lease was lost and nothing changed. KCINV: unknown outcome.';
revoke execute on function public.finish_job(bigint, uuid, text, text, timestamptz) from public, anon, authenticated;
grant execute on function public.finish_job(bigint, uuid, text, text, timestamptz) to service_role;

create function public.count_jobs() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object('remaining',
    (select count(*) from private.jobs where status = 'queued' and run_at <= now())
    + (select count(*) from private.jobs where status = 'running'))
$$;
comment on function public.count_jobs() is 'How many jobs are due or running.';
revoke execute on function public.count_jobs() from public, anon, authenticated;
grant execute on function public.count_jobs() to service_role;
