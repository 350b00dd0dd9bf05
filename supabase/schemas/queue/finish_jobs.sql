-- Ending jobs: a closed set of outcomes, guarded by the lease. What the outcomes say of a provider drives its
-- circuit breaker.

create function private.effect_name(p_dedupe_key text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- A mail has no rounds: what ends its key is the number of a parcel or of a reminder.
  return case
    when starts_with(p_dedupe_key, 'send_mail:') then p_dedupe_key
    else regexp_replace(p_dedupe_key, ':\d+$', '')
  end;
end;
$$;
comment on function private.effect_name(text) is
  'What a job is for: its dedupe_key without the time that makes each round of a recurring job one of its '
  'own. Staff are told once of what fails round after round.';

create function private.bury_job(p_job_id bigint, p_reason text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_job private.jobs;
begin
  select * into v_job from private.jobs where id = p_job_id;
  if v_job.kind = 'send_mail' and exists (
    select 1 from public.notifications n
    where n.id = (v_job.payload ->> 'notification_id')::uuid and n.sent_at is not null
  ) then
    -- It is out: its worker died before it could say so here.
    perform private.end_job(v_job, 'done', p_reason, null);
    return;
  end if;
  update private.jobs
  set status = 'dead', lease_id = null, leased_until = null, finished_at = now(), last_error = p_reason
  where id = p_job_id
  returning * into v_job;
  if v_job.kind = 'retry_event' then
    update public.webhook_events
    set status = 'dead', next_attempt_at = null
    where id = v_job.payload ->> 'event_id' and status = 'failed';
  end if;
  if v_job.kind = 'refund_payment' and private.note_refund_outcome(v_job, p_reason, 'critical') then
    return;
  end if;
  -- A message that cannot be delivered must not ask for another message; health shows it.
  if v_job.kind <> 'send_alert' then
    perform private.raise_alert(
      'job_dead', 'critical', 'job_dead:' || private.effect_name(v_job.dedupe_key),
      jsonb_build_object(
        'job_id', v_job.id, 'kind', v_job.kind, 'attempts', v_job.attempts, 'error', p_reason
      )
    );
  end if;
end;
$$;
comment on function private.bury_job(bigint, text) is
  'Marks a job dead after its last attempt, its webhook event too, and raises a critical alert with the '
  'cause. That of a mail that is out all the same is done.';

create function private.note_provider(
  p_provider text,
  p_answers integer,
  p_outages integer,
  p_unauthorized boolean,
  p_reason text
) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  -- Enough to tell an outage from bad luck, few enough to spare the queue.
  c_failures_max constant integer := 5;
  c_wait_base_seconds constant integer := 15;
  c_wait_max_seconds constant integer := 600;
  b private.circuit_breakers;
begin
  if p_answers = 0 and p_outages = 0 then
    -- The one that was to find out never asked: the next one may.
    update private.circuit_breakers set open_until = now() where provider = p_provider and open_until > now();
    return false;
  elsif p_answers > 0 then
    update private.circuit_breakers set failures = 0, opened_at = null, open_until = null, reason = null
    where provider = p_provider and (failures > 0 or open_until is not null)
    returning * into b;
    if found then
      update public.alerts set status = 'resolved'
      where dedupe_key in ('provider_down:' || p_provider, 'provider_unauthorized:' || p_provider)
        and status <> 'resolved';
    end if;
    return false;
  end if;

  insert into private.circuit_breakers as x (provider, failures, reason)
  values (p_provider, p_outages, p_reason)
  on conflict (provider) do update set failures = x.failures + p_outages, reason = p_reason
  returning * into b;
  if b.failures < c_failures_max and not p_unauthorized and b.open_until is null then
    return false;
  end if;
  if b.open_until is null then
    perform private.count_metric('provider_breaker_openings', array[p_provider]);
  end if;
  update private.circuit_breakers set
    opened_at = coalesce(opened_at, now()),
    open_until = now() + make_interval(
      secs => least(
        c_wait_max_seconds,
        c_wait_base_seconds * power(2, least(greatest(b.failures - c_failures_max, 0), 20))
      )
    )
  where provider = p_provider;
  if p_unauthorized then
    perform private.raise_alert(
      'provider_unauthorized', 'critical', 'provider_unauthorized:' || p_provider,
      jsonb_build_object('provider', p_provider, 'error', p_reason)
    );
  elsif b.opened_at is null then
    perform private.raise_alert(
      'provider_down', 'critical', 'provider_down:' || p_provider,
      jsonb_build_object('provider', p_provider, 'error', p_reason)
    );
  end if;
  return true;
end;
$$;
comment on function private.note_provider(text, integer, integer, boolean, text) is
  'Counts how a provider did. Five outages in a row, or a refused key, open its breaker for 15 s, doubling '
  'to 10 min; an answer closes it. Neither (0, 0): whoever was let through to see did not get that far, so '
  'the next job is. Returns whether it is open.';

create function private.end_job(p_job private.jobs, p_outcome text, p_reason text, p_alert text)
returns private.jobs
language plpgsql
set search_path = ''
as $$
declare
  v_name constant text := private.effect_name(p_job.dedupe_key);
  v_job private.jobs;
begin
  update private.jobs
  set status = case p_outcome when 'done' then 'done' else 'discarded' end, lost_leases = 0,
    lease_id = null, leased_until = null, finished_at = now(), last_error = p_reason
  where id = p_job.id
  returning * into v_job;
  -- Brought back from the dead, or the next round of it, and well: staff need not look any more.
  update public.alerts set status = 'resolved'
  where status <> 'resolved' and dedupe_key in (
    'job_dead:' || v_name,
    case when p_alert is null then 'job_discarded:' || v_name end,
    -- One of the kind got through: what held them is gone.
    case when p_outcome = 'done' then 'job_blocked:' || v_job.kind end
  );
  update private.jobs set status = 'discarded'
  where status = 'dead' and kind = v_job.kind and private.effect_name(dedupe_key) = v_name;
  return v_job;
end;
$$;
comment on function private.end_job(private.jobs, text, text, text) is
  'Books outcome done or discard of a job in hand, and clears what earlier rounds of it left: alerts and '
  'dead jobs. Returns the job as it is now.';

create function private.wait_with_job(p_job private.jobs, p_outcome text, p_reason text, p_run_at timestamptz)
returns private.jobs
language plpgsql
set search_path = ''
as $$
declare
  v_job private.jobs;
begin
  update private.jobs
  set status = 'queued', lost_leases = 0, lease_id = null, leased_until = null, run_at = p_run_at,
    last_error = p_reason,
    -- A snooze is not a failure: it costs no attempt.
    attempts = attempts - case p_outcome when 'snooze' then 1 else 0 end
  where id = p_job.id
  returning * into v_job;
  if v_job.kind = 'retry_event' then
    update public.webhook_events set next_attempt_at = p_run_at
    where id = v_job.payload ->> 'event_id' and status = 'failed';
  end if;
  return v_job;
end;
$$;
comment on function private.wait_with_job(private.jobs, text, text, timestamptz) is
  'Books outcome retry or snooze of a job in hand: it waits until p_run_at. Returns the job as it is now.';

create function private.finish_job(
  p_job_id bigint,
  p_lease_id uuid,
  p_outcome text,
  p_reason text,
  p_run_at timestamptz,
  p_alert text
) returns text
language plpgsql
set search_path = ''
as $$
declare
  v_job private.jobs;
begin
  select * into v_job from private.jobs
  where id = p_job_id and status = 'running' and lease_id = p_lease_id
  for update;
  if not found then
    return null;
  end if;
  if p_outcome in ('done', 'discard') then
    v_job := private.end_job(v_job, p_outcome, p_reason, p_alert);
  elsif p_outcome = 'retry' and v_job.attempts >= v_job.max_attempts then
    perform private.bury_job(p_job_id, p_reason);
    v_job.status := 'dead';
  elsif p_outcome in ('retry', 'snooze') then
    v_job := private.wait_with_job(
      v_job, p_outcome, p_reason,
      coalesce(p_run_at, now() + private.backoff(v_job.attempts, v_job.kind))
    );
  else
    raise exception 'unknown job outcome %', p_outcome using errcode = 'SHINV';
  end if;
  if v_job.kind = 'refund_payment' and v_job.status <> 'dead'
    and private.note_refund_outcome(v_job, p_reason, p_alert) then
    return v_job.status;
  end if;
  if p_alert is not null and v_job.status = 'queued' then
    perform private.raise_alert(
      'job_blocked', p_alert, 'job_blocked:' || v_job.kind,
      jsonb_build_object('job_id', v_job.id, 'kind', v_job.kind, 'reason', p_reason)
    );
  elsif p_alert is not null and v_job.status <> 'dead' then
    perform private.raise_alert(
      'job_discarded', p_alert, 'job_discarded:' || private.effect_name(v_job.dedupe_key),
      jsonb_build_object('job_id', v_job.id, 'kind', v_job.kind, 'reason', p_reason)
    );
  end if;
  return v_job.status;
end;
$$;
comment on function private.finish_job(bigint, uuid, text, text, timestamptz, text) is
  'Ends the lease of a job: done, discard, retry (backoff unless p_run_at is given; dead after the last '
  'attempt) or snooze (no attempt used). p_alert: severity with which staff are told. Returns the new '
  'status; null: the lease was lost and nothing changed. SHINV: unknown outcome.';

create function public.finish_jobs(p_results jsonb) returns table (id bigint, finished boolean, status text)
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_note record;
  v_down text[] := '{}';
  v_ended text[] := '{}';
  v_result record;
  v_held boolean;
begin
  perform private.lock_before_jobs(
    array(select (r ->> 'id')::bigint from jsonb_array_elements(p_results) r)
  );
  -- Providers in one order, jobs in one order: two workers cannot wait for each other.
  for v_note in
    select k.provider,
      count(*) filter (where r.provider_state = 'up') as answers,
      count(*) filter (where r.provider_state in ('down', 'unauthorized')) as outages,
      coalesce(bool_or(r.provider_state = 'unauthorized'), false) as unauthorized,
      max(r.reason) filter (where r.provider_state in ('down', 'unauthorized')) as reason
    from jsonb_to_recordset(p_results) as r (id bigint, reason text, provider_state text)
    join private.jobs j on j.id = r.id
    join private.job_kinds k on k.kind = j.kind
    where k.provider is not null
    group by k.provider
    order by k.provider
  loop
    if private.note_provider(
      v_note.provider, v_note.answers::integer, v_note.outages::integer, v_note.unauthorized, v_note.reason
    ) then
      v_down := v_down || v_note.provider::text;
    end if;
  end loop;

  for v_result in
    select r.*, j.kind, k.provider
    from jsonb_to_recordset(p_results) as r (
      id bigint, lease_id uuid, outcome text, reason text, run_at timestamptz, alert text, provider_state text
    )
    left join private.jobs j on j.id = r.id
    left join private.job_kinds k on k.kind = j.kind
    order by r.id
  loop
    -- While the breaker is open the provider is to blame, not the job: it waits for its turn and loses no
    -- attempt.
    v_held := v_result.outcome = 'retry' and v_result.provider_state in ('down', 'unauthorized')
      and v_result.provider = any (v_down);
    id := v_result.id;
    status := private.finish_job(
      v_result.id, v_result.lease_id, case when v_held then 'snooze' else v_result.outcome end,
      v_result.reason, case when v_held then coalesce(v_result.run_at, now()) else v_result.run_at end,
      v_result.alert
    );
    finished := status is not null;
    if finished then
      v_ended := v_ended || array[array[v_result.kind, replace(status, 'queued', 'retried')]];
    end if;
    return next;
  end loop;
  perform private.count_ended_jobs(v_ended);
end;
$$;
comment on function public.finish_jobs(jsonb) is
  'Ends leases: [{ id, lease_id, outcome: done | discard | retry | snooze, reason, run_at, alert: severity, '
  'provider_state: up | down | unauthorized }], all but the first three optional. Returns one row each; '
  'finished false, status null: the lease was lost and nothing changed. SHINV: unknown outcome, '
  'nothing changed for any.';
grant execute on function public.finish_jobs(jsonb) to service_role;
