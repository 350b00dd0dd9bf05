-- Rescue: a database that was restored from a backup catches up with Stripe. What has happened since the
-- backup is told by Stripe's objects and events, and merged and settled like everything else. Its effects
-- (mails, alerts, evidence) were had when it happened: they are recorded as done instead of had again.

create table private.rescues (
  id bigint generated always as identity primary key,
  since timestamptz not null,
  stopped_at timestamptz not null,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  constraint rescues_in_order check (since <= stopped_at and stopped_at <= started_at)
);
comment on table private.rescues is
  'One row for each time that this database was restored and caught up with Stripe. While one is not '
  'finished, checkout is closed and no job runs.';
comment on column private.rescues.since is 'From here on Stripe was asked for everything.';
comment on column private.rescues.stopped_at is
  'When the database that was lost did its last work. Effects of what happened from since until then are '
  'never had again, also when they turn up later.';
create unique index rescues_one_at_a_time on private.rescues ((true)) where finished_at is null;
alter table private.rescues enable row level security;

create function private.rescue_under_way() returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from private.rescues r where r.finished_at is null);
end;
$$;
comment on function private.rescue_under_way() is
  'Whether this database is catching up with Stripe just now.';

create function private.refuse_during_rescue() returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if private.rescue_under_way() then
    raise exception 'the shop is being restored' using errcode = 'SHCLO';
  end if;
end;
$$;
comment on function private.refuse_during_rescue() is
  'Raises SHCLO while the database catches up: stock and order numbers are not known yet.';

create function private.date_effects(p_at timestamptz) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_past constant boolean := exists (
    select 1 from private.rescues r where p_at between r.since and r.stopped_at
  );
  v_setting constant text := set_config('kct.past', case when v_past then 'on' else '' end, true);
begin
  return v_past;
end;
$$;
comment on function private.date_effects(timestamptz) is
  'Says when that happened which this transaction is about to settle, and returns whether it is past: see '
  'effects_are_past().';

create function private.effects_are_past() returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return current_setting('kct.past', true) = 'on';
end;
$$;
comment on function private.effects_are_past() is
  'Whether what is settled happened before the database was lost, so that its effects have been had.';

create type public.rescue_window as (
  since timestamptz,
  stopped_at timestamptz,
  under_way boolean,
  shop_id text
);
comment on type public.rescue_window is
  'What a rescue asks Stripe for (from since on), until when the lost database worked, whether it has begun, '
  'and whose objects it looks for: see shop_id().';

create function private.newest_thing(p_before timestamptz) returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return greatest(
    (select max(o.created_at) from public.orders o where o.created_at < p_before),
    (select max(e.received_at) from public.webhook_events e where e.received_at < p_before),
    (select max(j.created_at) from private.jobs j where j.created_at < p_before)
  );
end;
$$;
comment on function private.newest_thing(timestamptz) is
  'When the newest order, event or job from before p_before was made; null: there is none.';

create function public.get_rescue_window(p_since timestamptz, p_stopped_at timestamptz)
returns public.rescue_window
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  -- What a transaction had begun before the backup may have been committed after it.
  c_overlap constant interval := '1 hour';
  w public.rescue_window;
begin
  select r.since, r.stopped_at, true, private.shop_id() into w
  from private.rescues r where r.finished_at is null;
  if found then
    return w;
  end if;
  -- A restored server has been started since: what came in after that is not from the backup.
  -- Stripe stamps whole seconds.
  w.since := date_trunc('second', coalesce(
    p_since,
    coalesce(private.newest_thing(pg_postmaster_start_time()), private.newest_thing('infinity'), now())
      - c_overlap
  ));
  w.stopped_at := coalesce(p_stopped_at, now());
  w.under_way := false;
  w.shop_id := private.shop_id();
  if w.stopped_at > now() or w.since > w.stopped_at then
    raise exception 'a rescue cannot reach from % to %', w.since, w.stopped_at using errcode = 'SHINV';
  end if;
  return w;
end;
$$;
comment on function public.get_rescue_window(timestamptz, timestamptz) is
  'What a rescue would ask for; once one has begun, what it asks for. p_since null: from an hour before the '
  'newest thing of the backup on. p_stopped_at null: the lost database worked until now. SHINV: a window '
  'that ends before it begins, or has not passed.';
grant execute on function public.get_rescue_window(timestamptz, timestamptz) to service_role;

create function public.begin_rescue(p_since timestamptz, p_stopped_at timestamptz)
returns public.rescue_window
language plpgsql
security definer
set search_path = ''
as $$
declare
  w public.rescue_window;
begin
  perform pg_advisory_xact_lock(hashtextextended('rescue', 0));
  w := public.get_rescue_window(p_since, p_stopped_at);
  if w.under_way then
    return w;
  end if;
  insert into private.rescues (since, stopped_at) values (w.since, w.stopped_at);
  -- What waited in the backup was done by the database that was lost.
  update private.jobs j set
    status = 'done', finished_at = now(), lease_id = null, leased_until = null,
    last_error = 'taken as done before the database was restored'
  from private.job_kinds k
  where k.kind = j.kind and k.once_only and j.status in ('queued', 'running') and j.run_at <= w.stopped_at;
  update public.notifications n set status = 'skipped', last_error = private.past_mail()
  where n.status = 'queued' and n.created_at <= w.stopped_at;
  -- Velocity rules judge a moment, which has passed.
  update public.order_risk k set velocity_mode = 'off'
  from public.orders o
  where o.id = k.order_id and o.status in ('pending', 'processing') and k.velocity_mode <> 'off';
  return w;
end;
$$;
comment on function public.begin_rescue(timestamptz, timestamptz) is
  'Begins a rescue, or goes on with the one that was interrupted: closes checkout and the queue, and takes '
  'the mails that waited in the backup as sent. Arguments and errors as of get_rescue_window().';
grant execute on function public.begin_rescue(timestamptz, timestamptz) to service_role;

create function private.past_mail() returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return 'taken as sent before the database was restored';
end;
$$;
comment on function private.past_mail() is
  'Why a mail that was due before the database was lost is not sent: what stands in its last_error.';

create function public.rescue_stripe_event(
  p_event jsonb,
  p_facts jsonb,
  p_ignored_reason text,
  p_error text
) returns public.event_outcome
language plpgsql
security definer
set search_path = ''
as $$
begin
  return private.store_stripe_event(
    p_event ->> 'id', p_event ->> 'type', (p_event ->> 'livemode')::boolean, p_event ->> 'api_version',
    to_timestamp((p_event ->> 'created')::bigint), null, p_event, p_facts, p_ignored_reason, p_error, false
  );
end;
$$;
comment on function public.rescue_stripe_event(jsonb, jsonb, text, text) is
  'Stores and applies an event that the restored database does not know; it leaves no row in the drift log.';
grant execute on function public.rescue_stripe_event(jsonb, jsonb, text, text) to service_role;

create function public.rescue_facts(p_facts jsonb, p_observed_at timestamptz, p_dated_at timestamptz)
returns integer
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.date_effects(p_dated_at);
  return (private.apply_facts(p_facts, p_observed_at, 'rescue', null, 'news')).applied;
end;
$$;
comment on function public.rescue_facts(jsonb, timestamptz, timestamptz) is
  'Merges what an object of Stripe''s says, read at p_observed_at, and settles. p_dated_at: when the object '
  'was made; made before the database was lost, its effects are taken as had. Returns how many facts were '
  'ours.';
grant execute on function public.rescue_facts(jsonb, timestamptz, timestamptz) to service_role;

create function public.list_rescue_objects() returns public.open_object[]
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  return array(
    select row(x.kind, x.id)::public.open_object
    from (
      select o.kind, o.id from unnest(public.list_open_objects('infinity', null)) o
      union
      -- Also those that may still be open: they may have been paid since.
      select 'checkout_session', cs.id from public.checkout_sessions cs where cs.status = 'open'
      union
      select 'early_fraud_warning', f.source_id from public.fraud_signals f
      where f.kind = 'early_fraud_warning' and f.open
    ) x
    order by x.kind, x.id
  );
end;
$$;
comment on function public.list_rescue_objects() is
  'Everything that was not at its end as far as this database knows, and may have ended since its backup: '
  'what list_open_objects() knows, every open session, and warnings (kind early_fraud_warning).';
grant execute on function public.list_rescue_objects() to service_role;
