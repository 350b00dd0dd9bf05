-- Claiming: who runs which job now. Leases make overlapping workers safe; circuit breakers keep a dead
-- provider from burning attempts; a job that was in hand when its worker died is run alone, so that one that
-- kills workers takes no other with it.

create table private.circuit_breakers (
  provider text primary key,
  failures integer not null default 0,
  opened_at timestamptz,
  open_until timestamptz,
  reason text,
  constraint circuit_breakers_open_has_time check ((opened_at is null) = (open_until is null))
);
comment on table private.circuit_breakers is
  'One row per provider that has ever failed. Closed: open_until null. Open: its jobs are not claimed. Past '
  'open_until: one job at a time is let through to see.';
comment on column private.circuit_breakers.failures is 'In a row, since the provider last answered.';
alter table private.circuit_breakers enable row level security;

create function private.recover_jobs() returns void
language plpgsql
set search_path = ''
as $$
declare
  c_error constant text := 'worker died: lease ran out';
  v_job private.jobs;
begin
  perform private.lock_before_jobs(array(
    select j.id from private.jobs j
    where j.kind in ('refund_payment', 'retry_event') and j.status = 'running' and j.leased_until < now()
      and j.attempts >= j.max_attempts
  ));
  for v_job in
    select j.* from private.jobs j
    where j.status = 'running' and j.leased_until < now()
    order by j.id
    for update skip locked
  loop
    if v_job.attempts >= v_job.max_attempts then
      perform private.bury_job(v_job.id, c_error);
    else
      update private.jobs
      set status = 'queued', lease_id = null, leased_until = null, last_error = c_error,
        lost_leases = lost_leases + 1,
          run_at = case lost_leases when 0 then run_at else now() + private.backoff(attempts, kind) end
      where id = v_job.id;
    end if;
    perform private.count_metric('jobs', array[v_job.kind, 'lost']);
  end loop;
end;
$$;
comment on function private.recover_jobs() is
  'A lease that ran out means that its worker died: the job is due again (the first time at once), or dead '
  'once its attempts are used up.';

create function private.pick_probes(p_lease_seconds integer) returns bigint[]
language plpgsql
set search_path = ''
as $$
declare
  v_breaker private.circuit_breakers;
  v_id bigint;
  v_ids bigint[] := '{}';
begin
  for v_breaker in
    select b.*
    from private.circuit_breakers b where b.open_until <= now() order by b.provider for update skip locked
  loop
    select j.id into v_id
    from private.jobs j join private.job_kinds k on k.kind = j.kind
    where j.status = 'queued' and j.run_at <= now() and k.provider = v_breaker.provider
    order by j.priority, j.run_at, j.id
    limit 1
    for update of j skip locked;
    if found then
      v_ids := v_ids || v_id;
      -- Nobody else probes while this one is on its way, and somebody will if its worker dies.
      update private.circuit_breakers set open_until = now() + make_interval(secs => p_lease_seconds)
      where provider = v_breaker.provider;
    end if;
  end loop;
  return v_ids;
end;
$$;
comment on function private.pick_probes(integer) is
  'For each provider whose breaker has been open long enough: one due job, locked, to find out whether it '
  'answers again.';

create function private.pick_jobs(p_limit integer, p_mails integer) returns bigint[]
language plpgsql
set search_path = ''
as $$
declare
  -- A job that outlived its worker waits for the others, but not for ever: first for new ones, then only for
  -- those that have waited as long. Several that kill each worker must not keep all else from being done.
  c_suspect_waits constant interval := '2 minutes';
  c_suspect_waits_at_most constant interval := '2 hours';
  v_closed text[] := array(
    select k.kind from private.job_kinds k join private.circuit_breakers b on b.provider = k.provider
    where b.open_until is not null
  );
  v_suspect bigint;
  v_suspect_run_at timestamptz;
  v_ids bigint[] := '{}';
begin
  select j.id, j.run_at into v_suspect, v_suspect_run_at
  from private.jobs j
  where j.status = 'queued' and j.lost_leases > 0 and j.run_at <= now() and not j.kind = any (v_closed)
  -- Most of a dead worker's jobs have done nothing: those that have killed once more come last.
  order by j.lost_leases, j.priority, j.run_at, j.id
  limit 1
  for update skip locked;
  if p_mails is not null and not 'send_mail' = any (v_closed) then
    v_ids := array(
      select j.id from private.jobs j
      where j.status = 'queued' and j.lost_leases = 0 and j.run_at <= now() and j.kind = 'send_mail'
      order by j.priority, j.run_at, j.id
      -- However many may leave, others get their half.
      limit greatest(0, least(p_mails, (p_limit + 1) / 2))
      for update skip locked
    );
    v_closed := v_closed || 'send_mail'::text;
  end if;
  v_ids := v_ids || array(
    select j.id from private.jobs j
    where j.status = 'queued' and j.lost_leases = 0 and j.run_at <= now() and not j.kind = any (v_closed)
    order by j.priority, j.run_at, j.id
    limit p_limit - cardinality(v_ids)
    for update skip locked
  );
  if v_suspect is not null and (
    cardinality(v_ids) = 0 or v_suspect_run_at < now() - c_suspect_waits_at_most
    or (v_suspect_run_at < now() - c_suspect_waits and not exists (
      select 1 from private.jobs j where j.id = any (v_ids) and j.run_at < now() - c_suspect_waits
    ))
  ) then
    return array[v_suspect];
  end if;
  return v_ids;
end;
$$;
comment on function private.pick_jobs(integer, integer) is
  'Locks up to p_limit due jobs, up to p_mails and half of p_limit of them mails (null: any number), most '
  'urgent first; or the one job that was in hand when its worker died, alone, when nothing else is due, or '
  'it has waited two minutes and nothing else has, or two hours.';

create function public.claim_jobs(
  p_worker text,
  p_limit integer,
  p_lease_seconds integer,
  p_mails integer default null
)
returns table (
  id bigint,
  kind text,
  payload jsonb,
  attempts integer,
  max_attempts integer,
  lease_id uuid,
  created_at timestamptz,
  order_id uuid
)
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_ids bigint[];
begin
  if private.rescue_under_way() then
    return;
  end if;
  perform private.recover_jobs();
  v_ids := private.pick_probes(p_lease_seconds);
  if cardinality(v_ids) = 0 then
    v_ids := private.pick_jobs(greatest(0, least(p_limit, 1000)), p_mails);
  end if;

  perform private.count_claimed_jobs(v_ids);
  return query with claimed as (
    update private.jobs j
    set status = 'running',
        attempts = j.attempts + 1,
        lease_id = gen_random_uuid(),
        leased_until = now() + make_interval(secs => p_lease_seconds),
        worker = p_worker
    where j.id = any (v_ids)
    returning j.id, j.kind, j.payload, j.attempts, j.max_attempts, j.lease_id, j.created_at, j.priority,
      j.run_at
  )
  select c.id, c.kind, c.payload, c.attempts, c.max_attempts, c.lease_id, c.created_at,
    private.order_named_in(c.payload)
  from claimed c
  order by c.priority, c.run_at, c.id;
end;
$$;
comment on function public.claim_jobs(text, integer, integer, integer) is
  'Leases up to p_limit due jobs to p_worker for p_lease_seconds; fewer does not mean that nothing is left, '
  'none does. Rows locked by another worker are skipped, jobs whose lease ran out are due again, jobs of a '
  'provider that is down wait. p_mails: at most so many mails to customers, for a provider that takes only '
  'so many a second, and half of p_limit; null, any number. The rest is left to others, so that a burst of '
  'mails holds up nothing. order_id: the order that a job is about, or null. None while a restored database '
  'catches up with Stripe.';
grant execute on function public.claim_jobs(text, integer, integer, integer) to service_role;
