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
