-- Generated from supabase/schemas/reconciliation by 'deno task migrations': edit there.

-- What is known of orders and objects, made short, so that before and after can be compared.

create function private.digest_orders(p_order_ids uuid[]) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_object_agg(o.number, jsonb_build_object(
    'status', o.status, 'fulfillment_status', o.fulfillment_status, 'amount_paid', o.amount_paid,
    'amount_refunded', o.amount_refunded, 'session_id', o.session_id, 'payment_id', o.payment_id,
    'stock', (
      select jsonb_agg(distinct r.status) from public.inventory_reservations r where r.order_id = o.id
    ),
    'disputes', (select jsonb_object_agg(d.id, d.status) from public.disputes d where d.order_id = o.id),
    'refunds', (select jsonb_object_agg(f.id, f.status) from public.refunds f where f.order_id = o.id)
  ))
  from public.orders o
  where o.id = any (p_order_ids)
$$;
comment on function private.digest_orders(uuid[]) is
  'What matters of orders, by number, for the drift log. No personal data.';

create function private.digest_object(p_fact jsonb) returns jsonb
language sql
stable
set search_path = ''
as $$
  select case p_fact ->> 'fact'
    when 'checkout_session' then (
      select jsonb_build_object(
        'status', s.status, 'payment_status', s.payment_status, 'amount_total', s.amount_total
      )
      from public.checkout_sessions s where s.id = p_fact ->> 'id'
    )
    when 'payment' then (
      select jsonb_build_object('status', p.status, 'amount_received', p.amount_received)
      from public.payments p where p.id = p_fact ->> 'id'
    )
    when 'payment_attempt' then (
      select jsonb_build_object('outcome', a.outcome)
      from public.payment_attempts a where a.id = p_fact ->> 'id'
    )
    when 'refund' then (
      select jsonb_build_object('status', r.status, 'amount', r.amount)
      from public.refunds r where r.id = p_fact ->> 'id'
    )
    when 'dispute' then (
      select jsonb_build_object('status', d.status, 'amount', d.amount, 'evidence_due_by', d.evidence_due_by)
      from public.disputes d where d.id = p_fact ->> 'id'
    )
    when 'fraud_signal' then (
      select jsonb_build_object('open', f.open)
      from public.fraud_signals f where f.source_id = p_fact ->> 'id'
    )
  end
$$;
comment on function private.digest_object(jsonb) is
  'What matters of the row of a fact, for the drift log; null when there is none.';

create function private.digest_facts(p_facts jsonb, p_order_ids uuid[]) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'orders', private.digest_orders(p_order_ids),
    'objects', (
      select jsonb_object_agg(f ->> 'id', private.digest_object(f))
      from jsonb_array_elements(coalesce(p_facts, '[]')) f
      where private.digest_object(f) is not null
    )
  )
$$;
comment on function private.digest_facts(jsonb, uuid[]) is
  'State of the rows that facts are about, and of their orders.';

create function private.orders_of_facts(p_facts jsonb) returns uuid[]
language sql
stable
set search_path = ''
as $$
  select coalesce(array_agg(distinct found.order_id), '{}')
  from (
    select private.order_of_fact(f) as order_id from jsonb_array_elements(coalesce(p_facts, '[]')) f
  ) found
  where found.order_id is not null
$$;
comment on function private.orders_of_facts(jsonb) is
  'The orders that facts belong to, as far as they are known.';

-- Reconciliation: Stripe is the truth about money, and we may have missed something it said. The reconciler
-- reads Stripe's list of events and its objects, applies what differs through the same facts as a webhook,
-- and writes down every repair with the state before and after.

create table public.reconciliation_drift (
  id bigint generated always as identity primary key,
  run_id uuid not null,
  kind text not null,
  object_id text not null,
  order_id uuid references public.orders (id) on delete set null,
  before jsonb,
  after jsonb,
  found_at timestamptz not null default clock_timestamp()
);
comment on table public.reconciliation_drift is
  'Repairs: what Stripe knew and we did not, with the state before and after. Append-only.';
comment on column public.reconciliation_drift.kind is
  'missed_event (object_id is the event), or the kind of the object that differed: checkout_session, '
  'payment, charge, refund, dispute, review, early_fraud_warning.';
create index reconciliation_drift_found_at_idx on public.reconciliation_drift (found_at desc);
create index reconciliation_drift_order_id_idx on public.reconciliation_drift (order_id);
create trigger refuse_change before update on public.reconciliation_drift
  for each row when (old.order_id is not distinct from new.order_id) execute function private.refuse_change();

alter table public.reconciliation_drift enable row level security;
create policy reconciliation_drift_read on public.reconciliation_drift for select to authenticated
  using ((select private.is_admin()));
revoke all on public.reconciliation_drift from public, anon, authenticated, service_role;
revoke all on sequence public.reconciliation_drift_id_seq from public, anon, authenticated, service_role;
grant select on public.reconciliation_drift to authenticated, service_role;

create table private.reconciliation_cursors (
  name text primary key,
  position timestamptz not null,
  updated_at timestamptz not null default now()
);
comment on table private.reconciliation_cursors is
  'How far a stream of Stripe has been read: everything created before position is in.';
alter table private.reconciliation_cursors enable row level security;

create function public.get_reconciliation_cursor(p_name text) returns timestamptz
language sql
stable
security definer
set search_path = ''
as $$
  -- A shop that starts today has missed nothing of last week, and Stripe keeps events for 30 days.
  select greatest(
    coalesce(
      (select c.position from private.reconciliation_cursors c where c.name = p_name),
      now() - interval '1 day'
    ),
    now() - interval '30 days'
  )
$$;
comment on function public.get_reconciliation_cursor(text) is 'How far a stream has been read.';
grant execute on function public.get_reconciliation_cursor(text) to service_role;

create function public.advance_reconciliation_cursor(p_name text, p_position timestamptz) returns timestamptz
language sql
security definer
set search_path = ''
as $$
  insert into private.reconciliation_cursors as c (name, position) values (p_name, p_position)
  on conflict (name) do update set position = greatest(c.position, excluded.position), updated_at = now()
  returning position
$$;
comment on function public.advance_reconciliation_cursor(text, timestamptz) is
  'Notes how far a stream has been read; never goes back. Returns how far that is now.';
grant execute on function public.advance_reconciliation_cursor(text, timestamptz) to service_role;

create function public.list_unknown_events(p_event_ids text[]) returns text[]
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(array_agg(i.id order by i.position), '{}')
  from unnest(p_event_ids) with ordinality as i (id, position)
  where not exists (select 1 from public.webhook_events e where e.id = i.id)
    and not exists (select 1 from private.purged_webhook_events p where p.id = i.id)
$$;
comment on function public.list_unknown_events(text[]) is
  'Which of these events were never received, in the given order.';
grant execute on function public.list_unknown_events(text[]) to service_role;

create type public.repair as (outcome text, changed boolean, before jsonb, after jsonb);
comment on type public.repair is
  'What reconciling one thing changed, or would change: the state before and after, and, of an event, its '
  'outcome as of receive_stripe_event().';

create function public.reconcile_stripe_event(
  p_run_id uuid,
  p_event jsonb,
  p_facts jsonb,
  p_ignored_reason text,
  p_error text,
  p_dry_run boolean
) returns public.repair
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_order_ids uuid[] := private.orders_of_facts(p_facts);
  v_before jsonb := private.digest_facts(p_facts, v_order_ids);
  v_after jsonb;
  v_received public.event_outcome;
begin
  begin
    v_received := private.store_stripe_event(
      p_event ->> 'id', p_event ->> 'type', (p_event ->> 'livemode')::boolean, p_event ->> 'api_version',
      to_timestamp((p_event ->> 'created')::bigint), null, p_event, p_facts, p_ignored_reason, p_error,
      false
    );
    v_order_ids := array(select distinct x.id from unnest(v_order_ids || v_received.order_ids) as x (id));
    v_after := private.digest_facts(p_facts, v_order_ids);
    if p_dry_run then
      raise exception 'dry run' using errcode = 'SHDRY';
    end if;
  exception when sqlstate 'SHDRY' then
    null;
  end;
  if not p_dry_run and v_received.outcome in ('applied', 'queued') then
    insert into public.reconciliation_drift (run_id, kind, object_id, order_id, before, after)
    values (
      p_run_id, 'missed_event', p_event ->> 'id',
      (select o.id from public.orders o where o.id = any (v_order_ids) order by o.id limit 1), v_before,
      v_after
    );
  end if;
  return row(v_received.outcome, v_before is distinct from v_after, v_before, v_after)::public.repair;
end;
$$;
comment on function public.reconcile_stripe_event(uuid, jsonb, jsonb, text, text, boolean) is
  'Stores and applies an event that was fetched, as the webhook would have done, and writes the drift '
  'row. p_dry_run: says what would change and changes nothing.';
grant execute on function public.reconcile_stripe_event(uuid, jsonb, jsonb, text, text, boolean)
  to service_role;

create function public.reconcile_stripe_object(
  p_run_id uuid,
  p_kind text,
  p_object_id text,
  p_facts jsonb,
  p_observed_at timestamptz,
  p_dry_run boolean
) returns public.repair
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_order_ids uuid[];
  v_before jsonb;
  v_after jsonb;
  v_changed boolean;
begin
  -- Locked before it is looked at: what a webhook or another run changes meanwhile is no repair of this one.
  perform private.lock_facts(p_facts);
  v_order_ids := private.orders_of_facts(p_facts);
  v_before := private.digest_facts(p_facts, v_order_ids);
  begin
    perform public.apply_stripe_facts(p_facts, 'reconcile', p_observed_at);
    v_after := private.digest_facts(p_facts, v_order_ids);
    if p_dry_run then
      raise exception 'dry run' using errcode = 'SHDRY';
    end if;
  exception when sqlstate 'SHDRY' then
    null;
  end;
  v_changed := v_before is distinct from v_after;
  if v_changed and not p_dry_run then
    insert into public.reconciliation_drift (run_id, kind, object_id, order_id, before, after)
    values (p_run_id, p_kind, p_object_id, v_order_ids[1], v_before, v_after);
  end if;
  return row(null, v_changed, v_before, v_after)::public.repair;
end;
$$;
comment on function public.reconcile_stripe_object(uuid, text, text, jsonb, timestamptz, boolean) is
  'Applies facts read from Stripe''s API at p_observed_at and, when that changed something, writes the '
  'drift row. p_dry_run: says what would change and changes nothing.';
grant execute on function public.reconcile_stripe_object(uuid, text, text, jsonb, timestamptz, boolean)
  to service_role;

create function public.list_differing_objects(p_objects jsonb) returns text[]
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(array_agg(x.id), '{}')
  from jsonb_to_recordset(p_objects) as x (kind text, id text, status text, amount bigint)
  where not exists (
    select 1 from public.payments p
    where x.kind = 'payment' and p.id = x.id and p.status = x.status and p.amount_received = x.amount
    union all
    select 1 from public.refunds r
    where x.kind = 'refund' and r.id = x.id and r.status = x.status and r.amount = x.amount
    union all
    select 1 from public.disputes d
    where x.kind = 'dispute' and d.id = x.id and d.status = x.status and d.amount = x.amount
    union all
    select 1 from public.payment_attempts a
    where x.kind = 'charge' and a.id = x.id and a.outcome = x.status and a.amount = x.amount
    union all
    select 1 from public.fraud_signals f
    where x.kind in ('review', 'early_fraud_warning') and f.source_id = x.id
      -- Staff close them as well.
      and (x.status = 'open' or not f.open)
  )
$$;
comment on function public.list_differing_objects(jsonb) is
  'Which of [{ kind: payment | charge | refund | dispute | review | early_fraud_warning, id, status, '
  'amount }] we do not have in this state: their ids. Status of the last two: open or closed.';
grant execute on function public.list_differing_objects(jsonb) to service_role;

create type public.open_object as (kind text, id text);
comment on type public.open_object is
  'Something that is not at its end as far as we know: checkout_session, payment, refund, dispute or review, '
  'and its id at Stripe.';

-- What is open, a small part of each table however long the shop has been: see list_open_objects().
create index checkout_sessions_unpaid_idx on public.checkout_sessions (completed_at)
  where status = 'complete' and payment_status = 'unpaid' and not async_payment_failed;
create index payments_open_idx on public.payments (created_at)
  where status in ('processing', 'requires_capture');
create index refunds_open_idx on public.refunds (created_at) where status in ('pending', 'requires_action');
create index disputes_open_idx on public.disputes (created_at)
  where status not in ('won', 'lost', 'warning_closed', 'prevented');
create index fraud_signals_open_reviews_idx on public.fraud_signals (source_id)
  where kind = 'review' and open;

create function public.list_open_objects(
  p_since timestamptz,
  p_limit integer,
  p_livemode boolean default null
) returns public.open_object[]
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  return array(
    select row(x.kind, x.id)::public.open_object
    from (
      select 'checkout_session' as kind, cs.id, o.livemode
      from public.checkout_sessions cs left join public.orders o on o.id = cs.order_id
      where (cs.status = 'open' and cs.expires_at < now())
        or (cs.status = 'complete' and cs.payment_status = 'unpaid' and not cs.async_payment_failed)
      union all
      select 'payment', p.id, p.livemode from public.payments p
      where p.status in ('processing', 'requires_capture') and p.created_at < p_since
      union all
      select 'refund', r.id, p.livemode
      from public.refunds r left join public.payments p on p.id = r.payment_id
      where r.status in ('pending', 'requires_action') and r.created_at < p_since
      union all
      select 'dispute', d.id, d.livemode from public.disputes d
      where d.status not in ('won', 'lost', 'warning_closed', 'prevented') and d.created_at < p_since
      union all
      -- No list of Stripe's has them by time, so they are open objects from the start.
      select 'review', f.source_id, p.livemode
      from public.fraud_signals f left join public.payments p on p.id = f.payment_id
      where f.kind = 'review' and f.open and f.source_id is not null
    ) x
    -- A shop that went live with its data cannot ask about what it tried out.
    where p_livemode is null or x.livemode is null or x.livemode = p_livemode
    -- Where there are more than can be looked at, each has its turn.
    order by random()
    limit p_limit
  );
end;
$$;
comment on function public.list_open_objects(timestamptz, integer, boolean) is
  'What may have ended without a word, however old: sessions that should have ended by now or whose money is '
  'on its way, open reviews, and payments, refunds and disputes under way that were made before p_since (the '
  'younger ones are in Stripe''s lists). At most p_limit of them, chosen at random. p_livemode: those of '
  'this mode, and those whose mode is not known; null: all.';
grant execute on function public.list_open_objects(timestamptz, integer, boolean) to service_role;

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

-- Orders that the restored database does not know, made anew from what their sessions at Stripe carry.

create function private.rescued_variant(p_line jsonb, p_currency text) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_named constant uuid := (p_line ->> 'variant_id')::uuid;
  v_id uuid := (
    select v.id from public.product_variants v
    where v.id = v_named or (v_named is null and v.sku = p_line ->> 'sku')
  );
  v_product_id uuid;
begin
  if v_id is null then
    v_id := coalesce(v_named, gen_random_uuid());
    insert into public.products (slug, name, active)
    values ('rescued-' || v_id, coalesce(p_line ->> 'name', p_line ->> 'sku'), false)
    returning id into v_product_id;
    insert into public.product_variants (id, product_id, sku, price_amount, currency, active)
    select v_id, v_product_id,
      case when exists (select 1 from public.product_variants v where v.sku = p_line ->> 'sku')
        then 'RESCUED-' || v_id else p_line ->> 'sku' end,
      (p_line ->> 'unit_amount')::bigint, p_currency, false;
  end if;
  insert into public.inventory_levels (variant_id) values (v_id) on conflict (variant_id) do nothing;
  return v_id;
end;
$$;
comment on function private.rescued_variant(jsonb, text) is
  'The goods of a line { variant_id, sku, name, unit_amount }. What was added to the catalogue after the '
  'backup is added again under its own id, not for sale, so that the order has its goods.';

create function private.rescued_lines(p_lines jsonb, p_currency text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  l jsonb;
  v_id uuid;
  v_lines jsonb := '[]';
begin
  for l in select x from jsonb_array_elements(p_lines) x order by x ->> 'sku' collate "C" loop
    v_id := private.rescued_variant(l, p_currency);
    v_lines := v_lines || (
      select l || jsonb_build_object(
        'variant_id', v.id, 'name', coalesce(l ->> 'name', private.variant_name(p.name, v.color, v.size))
      )
      from public.product_variants v join public.products p on p.id = v.product_id
      where v.id = v_id
    );
  end loop;
  return v_lines;
end;
$$;
comment on function private.rescued_lines(jsonb, text) is
  'Lines with their goods: see rescued_variant(). A name that Stripe does not tell is that of the catalogue.';

create function private.rescued_number(p_number text, p_order_id uuid) returns text
language plpgsql
set search_path = ''
as $$
declare
  v_number text := p_number;
  v_digits constant text := substring(p_number from '[0-9]{1,15}$');
begin
  -- Somebody may have bought between the restore and the rescue.
  for n in 2 .. 99 loop
    exit when not exists (select 1 from public.orders o where o.number = v_number and o.id <> p_order_id);
    v_number := p_number || '-' || n;
  end loop;
  if v_digits is not null then
    -- Of two at the same time the lower one must not come last.
    perform pg_advisory_xact_lock(hashtextextended('rescued number', 0));
    perform setval('private.order_number_seq', v_digits::bigint)
    from private.order_number_seq s where s.last_value < v_digits::bigint;
  end if;
  return v_number;
end;
$$;
comment on function private.rescued_number(text, uuid) is
  'The number of a rescued order: its own, or with -2 behind it where another order has that by now. New '
  'orders are numbered after it.';

create function private.top_up_stock(p_order_id uuid) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_pieces integer;
begin
  perform private.lock_stock_of_order(p_order_id);
  perform private.name_stock_move('adjustment', null, private.top_up_note(), 'rescue');
  with missing as (
    select r.variant_id, r.quantity - r.returned - (l.on_hand - l.reserved) as pieces
    from public.inventory_reservations r join public.inventory_levels l on l.variant_id = r.variant_id
    where r.order_id = p_order_id and r.status = 'released'
      and r.quantity - r.returned > l.on_hand - l.reserved
  ), added as (
    update public.inventory_levels l set on_hand = l.on_hand + m.pieces
    from missing m where l.variant_id = m.variant_id
    returning m.pieces
  )
  select coalesce(sum(a.pieces), 0) into v_pieces from added a;
  perform private.name_stock_move(null);
  return v_pieces;
end;
$$;
comment on function private.top_up_stock(uuid) is
  'Adds the pieces that an order had and that the restored stock lacks: goods that were received after the '
  'backup. Without them the order would be taken for oversold, and refunded. Returns how many. Called with '
  'the order locked.';

create function private.top_up_note() returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return 'sold after the backup, and not in its stock';
end;
$$;
comment on function private.top_up_note() is 'The note of what top_up_stock() adds, in inventory_journal.';

create function private.hold_rescued_stock(p_order_id uuid, p_open boolean, p_expires_at timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  -- As long as checkout holds goods beyond the end of their page.
  c_hold constant interval := '30 minutes';
begin
  insert into public.inventory_reservations (order_id, variant_id, quantity, status, expires_at)
  select i.order_id, i.variant_id, i.quantity, 'released', p_expires_at + c_hold
  from public.order_items i where i.order_id = p_order_id
  on conflict on constraint inventory_reservations_order_variant_key do nothing;
  -- Only what a page may still sell is held: the goods of one that has ended were free, and may have been
  -- sold to somebody else.
  if p_open then
    perform private.top_up_stock(p_order_id);
    perform private.reserve_stock(p_order_id, p_expires_at + c_hold);
  end if;
end;
$$;
comment on function private.hold_rescued_stock(uuid, boolean, timestamptz) is
  'The reservations of a rescued order: held while its page is open (p_open), else free until settling takes '
  'what was paid for.';

create function private.make_rescued_order(p_order jsonb, p_lines jsonb) returns text
language plpgsql
set search_path = ''
as $$
declare
  x record;
  v_number text;
  v_customer_id uuid;
begin
  select * into x from jsonb_to_record(p_order) as o (
    id uuid, number text, attempt integer, account_id uuid, currency text, livemode boolean, email text,
    locale text, ui_mode text, prices_include_tax boolean, shipping_rates jsonb, created bigint,
    expires_at bigint
  );
  v_number := private.rescued_number(x.number, x.id);
  if x.account_id is not null then
    v_customer_id := private.account_customer(x.account_id, x.email, x.livemode);
  end if;
  insert into public.orders (
    id, number, customer_id, account_id, email, mail_to_account, locale, accepts_marketing, currency,
    amount_subtotal, amount_total, livemode, cart_hash, ui_mode, attempt, session_expires_at,
    prices_include_tax, shipping_rates, created_at
  )
  select x.id, v_number, v_customer_id, x.account_id, x.email,
    coalesce((select lower(u.email) = lower(x.email) from auth.users u where u.id = x.account_id), false),
    x.locale,
    -- Whether the shopper agreed to reminders is not known at Stripe: who may have said no is not reminded.
    false,
    x.currency, l.amount, l.amount, x.livemode, private.hash_lines(p_lines, x.currency), x.ui_mode,
    x.attempt, to_timestamp(x.expires_at), x.prices_include_tax, x.shipping_rates, to_timestamp(x.created)
  from (
    select sum(i.quantity * i.unit_amount) as amount
    from jsonb_to_recordset(p_lines) as i (quantity integer, unit_amount bigint)
  ) l;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount, tax_code)
  select x.id, l.variant_id, l.sku, l.name, l.quantity, l.unit_amount, l.tax_code
  from jsonb_to_recordset(p_lines) as l (
    variant_id uuid, sku text, name text, quantity integer, unit_amount bigint, tax_code text
  );
  perform private.record_order_event(
    x.id, 'order_created', 'rescue',
    jsonb_build_object('amount_subtotal', (
      select o.amount_subtotal from public.orders o where o.id = x.id
    ), 'currency', x.currency)
  );
  return v_number;
end;
$$;
comment on function private.make_rescued_order(jsonb, jsonb) is
  'Writes an order as its session at Stripe tells it; p_lines with their variants. Its cart_hash is that of '
  'the lines, so that settling sees when they are not what was sold. Returns its number.';

create function private.reopen_rescued_order(p_order jsonb, p_lines jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_id constant uuid := (p_order ->> 'id')::uuid;
begin
  update public.order_items i set unit_amount = l.unit_amount, name = l.name, tax_code = l.tax_code
  from jsonb_to_recordset(p_lines) as l (variant_id uuid, name text, unit_amount bigint, tax_code text)
  where i.order_id = v_id and i.variant_id = l.variant_id;
  update public.orders o set
    attempt = (p_order ->> 'attempt')::integer,
    session_expires_at = to_timestamp((p_order ->> 'expires_at')::bigint),
    prices_include_tax = (p_order ->> 'prices_include_tax')::boolean,
    shipping_rates = p_order -> 'shipping_rates', abandoned_at = null,
    cart_hash = private.hash_of_order(v_id), amount_subtotal = l.amount
  from (
    select sum(i.quantity * i.unit_amount) as amount from public.order_items i where i.order_id = v_id
  ) l
  where o.id = v_id;
  perform private.record_order_event(
    v_id, 'checkout_reopened', 'rescue', jsonb_build_object('attempt', p_order -> 'attempt')
  );
end;
$$;
comment on function private.reopen_rescued_order(jsonb, jsonb) is
  'A later attempt of an order that the backup has: its prices, delivery prices and end are those of that '
  'attempt.';

create function private.rescue_terms(p_order jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_id constant uuid := (p_order ->> 'id')::uuid;
  v_attempt constant integer := (p_order ->> 'attempt')::integer;
begin
  if not p_order ? 'terms_version' then
    return;
  end if;
  delete from public.order_terms t where t.order_id = v_id and t.attempt = v_attempt;
  insert into public.order_terms (order_id, attempt, version)
  select v_id, v_attempt, p_order ->> 'terms_version' where p_order ->> 'terms_version' is not null;
end;
$$;
comment on function private.rescue_terms(jsonb) is
  'Notes the terms that stood on the payment page of a rescued attempt (terms_version; null: none were in '
  'force), and not those of the restored setting. Not there: made before pages told them.';

create type public.rescued_order as (outcome text, number text);
comment on type public.rescued_order is
  'What a session meant: made (an order that was not known), reopened (a later attempt of a known one) or '
  'known; and the number of the order.';

create function public.rescue_order(p_order jsonb, p_fact jsonb) returns public.rescued_order
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_id constant uuid := (p_order ->> 'id')::uuid;
  v_ends constant timestamptz := to_timestamp((p_order ->> 'expires_at')::bigint);
  v_open constant boolean := (p_order ->> 'open')::boolean;
  v_lines jsonb;
  o public.orders;
  r public.rescued_order := row('known', null);
begin
  perform private.date_effects(to_timestamp((p_order ->> 'created')::bigint));
  if cardinality(public.list_missing_orders(array[v_id])) = 0 then
    o := private.lock_order(v_id);
  end if;
  if o.id is null or (o.attempt < (p_order ->> 'attempt')::integer and o.erased_at is null) then
    v_lines := private.rescued_lines(p_order -> 'lines', p_order ->> 'currency');
    if o.id is null then
      r := row('made', private.make_rescued_order(p_order, v_lines));
    else
      perform private.reopen_rescued_order(p_order, v_lines);
      r.outcome := 'reopened';
    end if;
    perform private.hold_rescued_stock(v_id, v_open, v_ends);
    perform private.rescue_terms(p_order);
  end if;
  r.number := coalesce(r.number, o.number);
  perform public.attach_checkout_session(v_id, (p_order ->> 'attempt')::integer, p_fact);
  update public.checkout_sessions s set created_at = to_timestamp((p_order ->> 'created')::bigint)
  where s.id = p_fact ->> 'id' and s.created_at > to_timestamp((p_order ->> 'created')::bigint)
    and r.outcome <> 'known';
  return r;
end;
$$;
comment on function public.rescue_order(jsonb, jsonb) is
  'Makes the order of a session at Stripe, or a later attempt of one that the backup has, and notes the '
  'session as it was when it was made (p_fact). p_order: { id, number, attempt, account_id, currency, '
  'livemode, email, locale, ui_mode, prices_include_tax, shipping_rates, created, expires_at, open, lines: '
  '[{ variant_id, sku, name, quantity, unit_amount, tax_code }] }; times in seconds. Repeating it changes '
  'nothing.';
grant execute on function public.rescue_order(jsonb, jsonb) to service_role;

create function public.list_missing_orders(p_order_ids uuid[]) returns uuid[]
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return array(
    select distinct x.id from unnest(p_order_ids) as x (id)
    where not exists (select 1 from public.orders o where o.id = x.id) order by 1
  );
end;
$$;
comment on function public.list_missing_orders(uuid[]) is
  'Which of these orders this database does not have.';
grant execute on function public.list_missing_orders(uuid[]) to service_role;

-- What a rescue does besides: refunds that were asked for here, times, and its end.

create function public.rescue_refund(p_refund jsonb) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  x record;
  o public.orders;
begin
  select * into x from jsonb_to_record(p_refund) as r (
    request_id text, order_id uuid, payment_id text, amount bigint, created bigint, cause text,
    whole boolean, restock boolean, lines jsonb
  );
  if cardinality(public.list_missing_orders(array[x.order_id])) > 0 then
    return false;
  end if;
  o := private.lock_order(x.order_id);
  update private.jobs j set status = 'done', finished_at = now(), lease_id = null, leased_until = null
  where j.dedupe_key = 'refund_payment:' || x.request_id and j.status in ('queued', 'running');
  update public.refund_requests q set status = 'done'
  where q.id = x.request_id and q.status in ('queued', 'disputed');
  if found or exists (select 1 from public.refund_requests q where q.id = x.request_id) then
    return false;
  end if;
  insert into public.refund_requests (id, order_id, payment_id, amount, cause, restock, status, created_at)
  values (
    x.request_id, o.id, x.payment_id, case when not x.whole then x.amount end, x.cause,
    x.restock and x.whole, 'done', to_timestamp(x.created)
  );
  update public.orders c set
    cancelled_at = case when x.cause = 'cancelled' then coalesce(c.cancelled_at, to_timestamp(x.created))
      else c.cancelled_at end,
    decided_payment_id = case when x.cause = 'requested'
      then coalesce(c.decided_payment_id, x.payment_id) else c.decided_payment_id end
  where c.id = o.id;
  if jsonb_array_length(x.lines) > 0 then
    perform private.book_refund_lines(o, x.request_id, null, x.lines, false);
  end if;
  -- The refund itself may be known already.
  perform private.date_effects(to_timestamp(x.created));
  perform private.settle_order(o.id, 'rescue');
  return true;
end;
$$;
comment on function public.rescue_refund(jsonb) is
  'Notes that a refund at Stripe was asked for here, before anything of it is settled: { request_id, '
  'order_id, payment_id, amount, created, cause, whole, restock, lines: [{ sku, quantity, restock }] }, as '
  'its metadata has it. So it is not asked for again, and its goods go where they went. Returns whether that '
  'was news. SHSKU, SHINV: lines that the order does not have.';
grant execute on function public.rescue_refund(jsonb) to service_role;

create function private.completed_at_stripe(s public.checkout_sessions, p_started_at timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(
    (
      select p.succeeded_at from public.payments p
      where p.id = s.payment_id and p.succeeded_at < p_started_at
    ),
    (
      select min(t.created_at) from public.payment_attempts t
      where t.payment_id = s.payment_id and t.outcome not in ('failed', 'blocked')
    ),
    s.created_at
  );
end;
$$;
comment on function private.completed_at_stripe(public.checkout_sessions, timestamptz) is
  'When a session was completed that a rescue begun at p_started_at saw complete first, by what was paid for '
  'it. Not before p_started_at: it was paid while the rescue ran.';

create function private.undated_orders(p_started_at timestamptz, p_limit integer) returns uuid[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select distinct x.order_id from (
      select p.order_id
      from public.payments p join public.payment_attempts a on a.payment_id = p.id
      where p.succeeded_at >= p_started_at and a.outcome = 'succeeded' and a.created_at < p_started_at
      union all
      select r.order_id from public.refunds r
      where r.created_at < p_started_at and greatest(r.succeeded_at, r.failed_at) >= p_started_at
      union all
      select s.order_id from public.checkout_sessions s
      where s.created_at < p_started_at and s.completed_at >= p_started_at
        and private.completed_at_stripe(s, p_started_at) < p_started_at
    ) x
    where x.order_id is not null order by 1 limit p_limit
  );
end;
$$;
comment on function private.undated_orders(timestamptz, integer) is
  'Orders of which something is known only since p_started_at that is older at Stripe.';

create function public.date_rescued(p_limit integer) returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  w private.rescues;
  v_ids uuid[];
begin
  select * into w from private.rescues x where x.finished_at is null;
  v_ids := private.undated_orders(w.started_at, p_limit);
  perform private.lock_order(x.id) from unnest(v_ids) as x (id);
  perform private.date_effects(w.stopped_at);
  -- Only events say when something happened. Where Stripe has them no more, it was first seen by the rescue,
  -- and the object's own time is nearer.
  update public.payments p set succeeded_at = a.at, created_at = least(p.created_at, a.at)
  from (
    select t.payment_id, min(t.created_at) as at from public.payment_attempts t
    where t.order_id = any (v_ids) and t.outcome = 'succeeded' group by t.payment_id
  ) a
  where a.payment_id = p.id and p.succeeded_at >= w.started_at and a.at < w.started_at;
  update public.refunds r set
    succeeded_at = case when r.succeeded_at >= w.started_at then r.created_at else r.succeeded_at end,
    failed_at = case when r.failed_at >= w.started_at then r.created_at else r.failed_at end
  where r.order_id = any (v_ids) and r.created_at < w.started_at;
  update public.checkout_sessions s set completed_at = private.completed_at_stripe(s, w.started_at)
  where s.order_id = any (v_ids) and s.created_at < w.started_at and s.completed_at >= w.started_at
    and private.completed_at_stripe(s, w.started_at) < w.started_at;
  perform private.settle_order(x.id, 'rescue') from unnest(v_ids) as x (id);
  return cardinality(v_ids);
end;
$$;
comment on function public.date_rescued(integer) is
  'Gives what the rescue saw first the time of its object at Stripe (when a card was charged, a refund '
  'made), for up to p_limit orders, and settles them. Returns how many; call it until there are none.';
grant execute on function public.date_rescued(integer) to service_role;

create function private.give_back_top_up(p_started_at timestamptz) returns text[]
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_back integer;
  v_left text[] := '{}';
begin
  for r in
    select j.variant_id, v.sku, sum(j.change)::integer as pieces
    from public.inventory_journal j join public.product_variants v on v.id = j.variant_id
    where j.created_at >= p_started_at and j.actor = 'rescue' and j.note = private.top_up_note()
    group by j.variant_id, v.sku having sum(j.change) > 0
    order by j.variant_id
  loop
    select least(r.pieces, l.on_hand - l.reserved) into v_back
    from public.inventory_levels l where l.variant_id = r.variant_id for no key update;
    perform private.name_stock_move('adjustment', null, private.top_up_note(), 'rescue');
    update public.inventory_levels l set on_hand = l.on_hand - v_back
    where l.variant_id = r.variant_id and v_back > 0;
    perform private.name_stock_move(null);
    if r.pieces > v_back then
      v_left := v_left || format('%s %s', r.pieces - v_back, r.sku);
    end if;
  end loop;
  return v_left;
end;
$$;
comment on function private.give_back_top_up(timestamptz) is
  'Takes out what top_up_stock() has added since p_started_at and what is on the shelf after all: goods that '
  'came back before they were sold again. Returns what stays added, as "pieces SKU".';

create function public.list_passed_events(p_after text, p_limit integer) returns text[]
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_ids constant text[] := array(
    select e.id from public.webhook_events e, private.rescues w
    where w.finished_at is null and e.ignored_reason = 'foreign_object' and e.stripe_created_at >= w.since
      and not e.payload ?| array['erased', 'purged'] and e.id > p_after
    order by e.id limit p_limit
  );
begin
  perform private.lock_before_jobs('{}', v_ids);
  perform private.redrive_event(x.id) from unnest(v_ids) as x (id);
  return v_ids;
end;
$$;
comment on function public.list_passed_events(text, integer) is
  'Events that came before their orders were known here, and were passed over: they are to be applied again, '
  'and may be by retry_stripe_event(). Those that are somebody else''s end as they were. By id, the first '
  'p_limit behind p_after (an empty text at first); call it until there are none.';
grant execute on function public.list_passed_events(text, integer) to service_role;

create type public.rescue_end as (stock_added text[], paid_orders text[]);
comment on type public.rescue_end is
  'What staff look at after a rescue. stock_added: "pieces SKU" that were sold and not in the stock of the '
  'backup; paid_orders: numbers of orders that wait to be sent, and may have been sent already.';

create function public.finish_rescue() returns public.rescue_end
language plpgsql
security definer
set search_path = ''
as $$
declare
  w private.rescues;
  r public.rescue_end;
begin
  perform pg_advisory_xact_lock(hashtextextended('rescue', 0));
  select * into w from private.rescues x where x.finished_at is null;
  if not found then
    raise exception 'no rescue is under way' using errcode = 'SHINV';
  end if;
  perform private.date_effects(w.stopped_at);
  -- Reminders go by the clock: those that were due until then have been sent.
  perform private.queue_recovery_mails(w.stopped_at);
  r.stock_added := private.give_back_top_up(w.started_at);
  r.paid_orders := array(
    -- Those of the backup as well: what was sent after it is not in it.
    select o.number from public.orders o
    where o.paid_at <= w.stopped_at and o.fulfillment_status in ('unfulfilled', 'on_hold')
    order by o.number
  );
  update private.rescues x set finished_at = clock_timestamp() where x.id = w.id;
  return r;
end;
$$;
comment on function public.finish_rescue() is
  'Ends a rescue: checkout opens, jobs run. SHINV: none is under way.';
grant execute on function public.finish_rescue() to service_role;
