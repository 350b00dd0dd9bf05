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
