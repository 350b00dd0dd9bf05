-- Generated from supabase/schemas/queue by 'deno task migrations': edit there.

-- What Stripe posted, word for word, and what was turned away.

create table public.webhook_events (
  id text primary key,
  type text not null,
  status text not null,
  attempts integer not null default 0,
  delivery_count integer not null default 0,
  delivered_at timestamptz,
  livemode boolean not null,
  api_version text,
  stripe_created_at timestamptz not null,
  received_at timestamptz not null default now(),
  processed_at timestamptz,
  next_attempt_at timestamptz,
  last_error text,
  ignored_reason text,
  source_ip inet,
  object_id text,
  payload jsonb not null,
  constraint webhook_events_status_known check (status in ('processed', 'ignored', 'failed', 'dead')),
  constraint webhook_events_delivered_has_time check ((delivery_count > 0) = (delivered_at is not null))
);
comment on table public.webhook_events is
  'Every authentic event, once. The primary key is Stripe''s event id: a second delivery only counts up. '
  'After retention_event_days only the id is left, in private.purged_webhook_events.';
comment on column public.webhook_events.id is 'The event at Stripe, evt_….';
comment on column public.webhook_events.type is
  'What happened, in Stripe''s words: checkout.session.completed, charge.refunded, ….';
comment on column public.webhook_events.status is
  'processed; ignored: see ignored_reason; failed: tried again at next_attempt_at; dead: given up.';
comment on column public.webhook_events.livemode is 'False: of test mode.';
comment on column public.webhook_events.api_version is 'The version of Stripes API that it was written in.';
comment on column public.webhook_events.stripe_created_at is 'When it happened at Stripe.';
comment on column public.webhook_events.processed_at is
  'When its facts were last applied, or it was ignored.';
comment on column public.webhook_events.next_attempt_at is 'When it is tried again; null: not at all.';
comment on column public.webhook_events.last_error is 'Why it failed the last time.';
comment on column public.webhook_events.ignored_reason is 'Why nothing was done with it.';
comment on column public.webhook_events.source_ip is 'Where it was delivered from.';
comment on column public.webhook_events.object_id is
  'The object at Stripe that it is about (cs_…, pi_…, ch_…): stays when the payload goes. Null: a customer.';
comment on column public.webhook_events.payload is 'What Stripe sent; emptied after retention_payload_days.';
comment on column public.webhook_events.delivery_count is
  'How often Stripe delivered it to stripe-webhook. 0: never; it was fetched by reconciliation.';
comment on column public.webhook_events.delivered_at is 'When Stripe last delivered it; null: never.';
comment on column public.webhook_events.received_at is 'When it was stored, delivered or fetched.';
comment on column public.webhook_events.attempts is 'How often its facts were applied or tried.';
create index webhook_events_received_at_idx on public.webhook_events (received_at desc);
create index webhook_events_delivered_at_idx on public.webhook_events (livemode, delivered_at desc)
  where delivered_at is not null;
create index webhook_events_object_id_idx on public.webhook_events (object_id);
create index webhook_events_customer_idx on public.webhook_events ((payload #>> '{data,object,id}'))
  where type in ('customer.updated', 'customer.deleted');

create table private.purged_webhook_events (id text primary key);
comment on table private.purged_webhook_events is
  'The ids of events whose rows went after retention_event_days: should one come again, it is a duplicate.';
alter table private.purged_webhook_events enable row level security;

create function private.was_purged(p_event_id text, p_stripe_created_at timestamptz) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- No row goes sooner, so what is new is not looked for; clocks may differ by some days.
  return p_stripe_created_at < now() - interval '50 days' and exists (
    select 1 from private.purged_webhook_events p where p.id = p_event_id
  );
end;
$$;
comment on function private.was_purged(text, timestamptz) is
  'Whether an event was stored once, and its row has gone since (purge_events()).';

create table public.webhook_rejections (
  id bigint generated always as identity primary key,
  reason text not null,
  source_ip inet,
  count bigint not null default 1,
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  constraint webhook_rejections_reason_source_key unique nulls not distinct (reason, source_ip)
);
comment on table public.webhook_rejections is
  'Requests refused by stripe-webhook, counted by reason and address. Bounded: past 10 000 rows new '
  'addresses are counted under ::, unless they are Stripe''s. Null: the address is not known.';

create table public.stripe_webhook_ips (
  address inet primary key,
  added_at timestamptz not null default now()
);
comment on table public.stripe_webhook_ips is
  'Addresses that Stripe posts webhooks from (stripe.com/files/ips/ips_webhooks.json); refreshed daily by a '
  'job.';

-- The published list of 2026; the daily job replaces it.
insert into public.stripe_webhook_ips (address) values
  ('3.18.12.63'), ('3.69.109.8'), ('3.120.168.93'), ('3.130.192.231'), ('13.235.14.237'), ('13.235.122.149'),
  ('18.211.135.69'), ('35.154.171.200'), ('35.157.207.129'), ('52.15.183.38'), ('54.88.130.119'),
  ('54.88.130.237'), ('54.187.174.169'), ('54.187.205.235'), ('54.187.216.72');

alter table public.webhook_events enable row level security;
alter table public.webhook_rejections enable row level security;
alter table public.stripe_webhook_ips enable row level security;
create policy webhook_events_read on public.webhook_events for select to authenticated
  using ((select private.is_admin()));
create policy webhook_rejections_read on public.webhook_rejections for select to authenticated
  using ((select private.is_admin()));
create policy stripe_webhook_ips_read on public.stripe_webhook_ips for select to authenticated
  using ((select private.is_admin()));
revoke all on public.webhook_events, public.webhook_rejections, public.stripe_webhook_ips
  from public, anon, authenticated, service_role;
revoke all on sequence public.webhook_rejections_id_seq from public, anon, authenticated, service_role;
grant select on public.webhook_events, public.webhook_rejections, public.stripe_webhook_ips
  to authenticated, service_role;

create function public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer default 1)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- Room for every honest misconfiguration and a good picture of an attack, while a spoofed flood stays
  -- small.
  c_addresses_max constant integer := 10000;
  v_source_ip inet := p_source_ip::inet;
begin
  perform private.count_metric('webhook_refusals', array[p_reason], p_count);
  update public.webhook_rejections set count = count + p_count, last_at = now()
  where reason = p_reason and source_ip is not distinct from v_source_ip;
  if found then
    return;
  end if;
  if v_source_ip is not null and (
    select count(*) from (select 1 from public.webhook_rejections limit c_addresses_max) counted
  ) >= c_addresses_max and not exists (
    select 1 from public.stripe_webhook_ips i where i.address = v_source_ip
  ) then
    v_source_ip := '::';
  end if;
  insert into public.webhook_rejections as r (reason, source_ip, count)
  values (p_reason, v_source_ip, p_count)
  on conflict on constraint webhook_rejections_reason_source_key
  do update set count = r.count + excluded.count, last_at = now();
end;
$$;
comment on function public.record_webhook_rejection(text, text, integer) is
  'Counts p_count refused webhook requests under (reason, address). p_source_ip null: address unknown. Past '
  '10 000 rows, new addresses but Stripe''s are counted under ::.';
grant execute on function public.record_webhook_rejection(text, text, integer) to service_role;

create type public.webhook_allowlist as (addresses text[], refreshed_at timestamptz);
comment on type public.webhook_allowlist is
  'The addresses that Stripe posts webhooks from, and when the newest of them was added.';

create function public.get_webhook_allowlist() returns public.webhook_allowlist
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(array_agg(host(address) order by address), '{}'), max(added_at)
  from public.stripe_webhook_ips
$$;
comment on function public.get_webhook_allowlist() is
  'The addresses Stripe posts from, as text. The webhook function caches them.';
grant execute on function public.get_webhook_allowlist() to service_role;

-- The outbox: every outward effect (mail, refund, session expiry, alert, re-reading an object) is a row
-- here, written in the transaction that decided it. retry-jobs leases rows and runs them.
--
--   queued -> running (leased) -> done | discarded | dead, or back to queued (retry, snooze)
--
-- Claiming is in claim_jobs.sql, ending a job in finish_jobs.sql.

create table private.job_kinds (
  kind text primary key,
  provider text,
  max_attempts integer not null default 12,
  backoff_base_seconds integer,
  backoff_max_seconds integer,
  retention interval,
  once_only boolean not null default false,
  description text not null,
  constraint job_kinds_max_attempts_positive check (max_attempts > 0)
);
comment on table private.job_kinds is
  'Limits per kind of job. A kind that is missing here gets the defaults.';
comment on column private.job_kinds.provider is
  'Whom the job calls. While a provider''s circuit breaker is open, its jobs are not claimed.';
comment on column private.job_kinds.backoff_base_seconds is
  'Null: setting event_retry_base_seconds; likewise the maximum.';
comment on column private.job_kinds.retention is
  'How long finished jobs are kept. Null: always, because settling again must find that the effect was '
  'queued before.';
comment on column private.job_kinds.once_only is
  'It tells somebody, or writes at Stripe, without looking whether that was done: after a restore of the '
  'database, what was due before counts as done. All others look first, and run.';
alter table private.job_kinds enable row level security;

insert into private.job_kinds (kind, provider, max_attempts, retention, description) values
  ('retry_event', null, 24, '30 days', 'Applies a stored webhook event whose facts could not be applied.'),
  (
    'expire_checkout_session', 'stripe', 24, '30 days',
    'Ends an open session at Stripe and takes over what Stripe says of it.'
  ),
  (
    'find_lost_sessions', 'stripe', 12, '2 days',
    'Looks at Stripe for sessions of attempts that never heard back; abandons those that have none.'
  ),
  ('refresh_dispute', 'stripe', 12, '7 days', 'Reads a dispute again.'),
  ('refresh_refund', 'stripe', 12, '7 days', 'Reads a refund again.'),
  ('refresh_review', 'stripe', 12, '7 days', 'Reads a review again.'),
  ('refresh_customer', 'stripe', 12, '7 days', 'Reads a customer again.'),
  ('refresh_checkout_session', 'stripe', 24, '7 days', 'Reads a session that an event did not tell in full.'),
  ('refresh_payment', 'stripe', 24, '7 days', 'Reads a payment that an event did not tell in full.'),
  (
    'refresh_charge', 'stripe', 24, '7 days',
    'Reads a charge and its refunds where an event did not tell all.'
  ),
  ('submit_dispute_evidence', 'stripe', 24, null, 'Stages or submits evidence.'),
  (
    'answer_dispute', 'stripe', 48, null,
    'Answers a dispute shortly before its deadline, if nobody else has.'
  ),
  ('close_dispute', 'stripe', 24, null, 'Accepts a dispute: closes it at Stripe.'),
  ('remind_dispute', null, 12, null, 'Reminds staff of a deadline.'),
  ('send_mail', 'mail', 12, '30 days', 'Mails a customer.'),
  ('send_alert', null, 12, '30 days', 'Tells staff of an incident, or that it is over.'),
  ('send_digest', null, 12, '30 days', 'Tells staff of the day before.'),
  ('send_budget_report', null, 12, '30 days', 'Tells staff how the objectives of the week before were met.'),
  ('reconcile_events', 'stripe', 12, '1 day', 'Ingests events that never arrived.'),
  (
    'reconcile_objects', 'stripe', 12, '7 days',
    'Compares payments, refunds, disputes and open checkouts with Stripe.'
  ),
  (
    'refresh_webhook_addresses', 'stripe_files', 12, '7 days',
    'Takes over the addresses that Stripe posts webhooks from.'
  ),
  (
    'delete_stripe_customer', 'stripe', 24, '30 days',
    'Deletes Stripe''s own copy of a customer who was erased.'
  ),
  ('purge', null, 12, '7 days', 'Removes what retention settings say is old.');
-- Up to six hours between two tries, about a week in all: an empty balance fills up with the next sales.
insert into private.job_kinds (kind, provider, max_attempts, backoff_max_seconds, retention, description)
values
  ('refund_payment', 'stripe', 64, 21600, null, 'Gives money back.');
update private.job_kinds set once_only = true where kind in (
  'send_mail', 'send_alert', 'send_digest', 'send_budget_report', 'remind_dispute',
  'submit_dispute_evidence', 'close_dispute'
);

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
  lost_leases integer not null default 0,
  lease_id uuid,
  leased_until timestamptz,
  worker text,
  last_error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint jobs_dedupe_key_key unique (dedupe_key),
  constraint jobs_status_known check (status in ('queued', 'running', 'done', 'discarded', 'dead')),
  constraint jobs_running_has_lease
    check ((status = 'running') = (lease_id is not null and leased_until is not null)),
  constraint jobs_finished_has_time
    check ((status in ('done', 'discarded', 'dead')) = (finished_at is not null))
);
comment on table private.jobs is
  'Outbox and queue. dedupe_key makes each effect happen once; lower priority runs first.';
comment on column private.jobs.attempts is
  'Counted at claim, so that a job that kills its worker runs out of attempts too.';
comment on column private.jobs.lost_leases is
  'How often a worker died with this job in hand, since it last came to an end. Such a job is run alone.';
-- What waits is a small part of the table: claiming must not see what is finished.
create index jobs_queued_idx on private.jobs (priority, run_at, id)
  where status = 'queued' and lost_leases = 0;
create index jobs_queued_mails_idx on private.jobs (priority, run_at, id)
  where status = 'queued' and lost_leases = 0 and kind = 'send_mail';
create index jobs_suspect_idx on private.jobs (run_at, id) where status = 'queued' and lost_leases > 0;
create index jobs_due_idx on private.jobs (run_at) where status = 'queued';
create index jobs_running_idx on private.jobs (leased_until) where status = 'running';
create index jobs_finished_idx on private.jobs (kind, finished_at) where status in ('done', 'discarded');
create index jobs_dead_idx on private.jobs (kind) where status = 'dead';
create index jobs_notification_idx on private.jobs ((payload ->> 'notification_id')) where kind = 'send_mail';
create index jobs_alert_idx on private.jobs ((payload ->> 'alert_id')) where kind = 'send_alert';
create index jobs_refund_payment_idx on private.jobs ((payload ->> 'payment_id'))
  where kind = 'refund_payment';
alter table private.jobs enable row level security;

create function private.enqueue_job(
  p_kind text,
  p_dedupe_key text,
  p_payload jsonb,
  p_run_at timestamptz default now(),
  p_priority integer default 100,
  p_max_attempts integer default null
) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  k constant private.job_kinds := (select x from private.job_kinds x where x.kind = p_kind);
  v_done constant boolean := private.effects_are_past() and coalesce(k.once_only, false)
    and p_run_at <= now();
begin
  insert into private.jobs (kind, dedupe_key, payload, run_at, priority, max_attempts, status, finished_at)
  values (
    p_kind, p_dedupe_key, p_payload, p_run_at, p_priority, coalesce(p_max_attempts, k.max_attempts, 12),
    case when v_done then 'done' else 'queued' end, case when v_done then now() end
  )
  on conflict on constraint jobs_dedupe_key_key do nothing;
  return found;
end;
$$;
comment on function private.enqueue_job(text, text, jsonb, timestamptz, integer, integer) is
  'Queues an effect unless one with this dedupe_key was ever queued. Returns whether it is new. Lower '
  'p_priority runs first; p_max_attempts null: the kind''s limit. Of what happened before a restored '
  'database was lost, kinds that are once_only are noted as done.';

create function private.backoff(p_attempts integer, p_kind text default null) returns interval
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- Full jitter: uniform in [0, min(max, base * 2^(attempts - 1))], and never less than a second.
  return (
    select make_interval(secs => greatest(1, random() * least(
      coalesce(k.backoff_max_seconds, (private.setting('event_retry_max_seconds'))::numeric),
      coalesce(
        k.backoff_base_seconds, (private.setting('event_retry_base_seconds'))::numeric
      ) * power(2::numeric, least(greatest(p_attempts, 1), 30) - 1)
    )::double precision))
    from (select p_kind as kind) asked left join private.job_kinds k on k.kind = asked.kind
  );
end;
$$;
comment on function private.backoff(integer, text) is
  'Delay before try number p_attempts + 1: exponential with full jitter, limits of the kind or of '
  'private.settings.';

create function public.count_jobs() returns bigint
language sql
stable
security definer
set search_path = ''
as $$
  select (select count(*) from private.jobs where status = 'queued' and run_at <= now())
    + (select count(*) from private.jobs where status = 'running')
$$;
comment on function public.count_jobs() is 'How many jobs are due or running.';
grant execute on function public.count_jobs() to service_role;

create function private.lock_before_jobs(p_job_ids bigint[], p_event_ids text[] default '{}') returns void
language plpgsql
set search_path = ''
as $$
declare
  -- Gathered first: one condition or the other over a table this large has no index.
  v_event_ids text[] := p_event_ids || array(
    select j.payload ->> 'event_id' from private.jobs j
    where j.id = any (p_job_ids) and j.kind = 'retry_event'
  );
begin
  if v_event_ids <> '{}' then
    perform 1 from public.webhook_events e
    where e.id = any (v_event_ids)
    order by e.id
    for no key update;
  end if;
  perform 1 from public.orders o
  where o.id in (
    select q.order_id
    from private.jobs j join public.refund_requests q on q.id = j.payload ->> 'refund_request_id'
    where j.id = any (p_job_ids) and j.kind = 'refund_payment'
  )
  order by o.id
  for no key update;
end;
$$;
comment on function private.lock_before_jobs(bigint[], text[]) is
  'Locks what comes before jobs everywhere, for jobs that are about to be ended or brought back: their '
  'events (and these), then the orders of their refunds.';

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
