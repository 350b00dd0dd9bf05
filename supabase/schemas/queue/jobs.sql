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
