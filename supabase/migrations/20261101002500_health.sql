-- Invariants and health figures.

create function public.check_invariants() returns table (invariant text, detail jsonb)
language sql
stable
security definer
set search_path = ''
as $$
  select 'reserved is the sum of active reservations', jsonb_build_object('variant_id', l.variant_id, 'reserved', l.reserved, 'sum', r.active)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'active'), 0) as active
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.reserved <> r.active
  union all
  select 'committed is the sum of committed reservations', jsonb_build_object('variant_id', l.variant_id, 'committed', l.committed, 'sum', r.committed)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'committed'), 0) as committed
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.committed <> r.committed
  union all
  select 'on_hand and committed are what was received', jsonb_build_object('variant_id', l.variant_id, 'on_hand', l.on_hand, 'committed', l.committed, 'received', a.received)
  from public.inventory_levels l
  left join lateral (select coalesce(sum(delta), 0) as received from public.inventory_adjustments where variant_id = l.variant_id) a on true
  where l.on_hand + l.committed <> a.received
  union all
  select 'lines add up to the subtotal', jsonb_build_object('order', o.number, 'subtotal', o.amount_subtotal)
  from public.orders o
  where o.amount_subtotal <> (select coalesce(sum(i.unit_amount * i.quantity), 0) from public.order_items i where i.order_id = o.id)
  union all
  select 'refunded is the sum of succeeded refunds', jsonb_build_object('order', o.number, 'amount_refunded', o.amount_refunded)
  from public.orders o
  where o.amount_refunded <> (
    select coalesce(sum(r.amount), 0) from public.refunds r where r.payment_id = o.payment_id and r.status = 'succeeded'
  )
  union all
  select 'no payment is refunded by more than it brought', jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from public.payments p
  where p.status = 'succeeded' and p.amount_received < (
    select coalesce(sum(r.amount), 0) from public.refunds r where r.payment_id = p.id and r.status = 'succeeded'
  )
  union all
  select 'a paid order has a settled session, and a succeeded payment unless it was free', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  left join public.payments p on p.id = o.payment_id
  where o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded')
    and (o.session_id is null or (o.payment_id is null and o.amount_total > 0) or (o.payment_id is not null and p.status is distinct from 'succeeded'))
  union all
  select 'a paid order owns its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('paid', 'partially_refunded') and o.cancelled_at is null and o.oversold_at is null and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'committed' and r.quantity = i.quantity
    )
  )
  union all
  select 'an expired order holds no stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('expired', 'payment_failed') and exists (
    select 1 from public.inventory_reservations r where r.order_id = o.id and r.status <> 'released'
  )
  union all
  select 'a second payment is on its way back', jsonb_build_object('order', o.number, 'payment_id', p.id)
  from public.orders o
  join public.payments p on p.order_id = o.id and p.status = 'succeeded' and p.id is distinct from o.payment_id
  where o.session_id is not null
    and not exists (select 1 from private.jobs j where j.dedupe_key = 'refund_payment:duplicate:' || p.id)
  union all
  select 'order status is what settle_order() derives from the facts', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('pending', 'expired') and exists (
    select 1 from public.checkout_sessions s
    where s.order_id = o.id and s.status = 'complete' and s.payment_status in ('paid', 'no_payment_required')
  )
  union all
  select 'an unfinished event has a job', jsonb_build_object('event_id', e.id, 'status', e.status)
  from public.webhook_events e
  where e.status = 'failed' and not exists (
    select 1 from private.jobs j where j.dedupe_key = 'retry_event:' || e.id and j.status in ('queued', 'running')
  )
  union all
  select 'a queued mail has a job', jsonb_build_object('notification_id', n.id)
  from public.notifications n
  where n.status = 'queued' and not exists (
    select 1 from private.jobs j where j.kind = 'send_mail' and j.payload ->> 'notification_id' = n.id::text and j.status in ('queued', 'running', 'dead')
  )
$$;
comment on function public.check_invariants() is 'What must always be true and is not: one row per violation, none when all is well. For tests, doctor and staff.';
revoke execute on function public.check_invariants() from public, anon, authenticated;
grant execute on function public.check_invariants() to service_role;

create function private.worst_status(variadic p_conditions boolean[]) returns text
language sql
immutable
set search_path = ''
as $$
  select case when true = any (p_conditions) then 'degraded' else 'ok' end
$$;
comment on function private.worst_status(boolean[]) is 'degraded when any condition holds, else ok.';
revoke execute on function private.worst_status(boolean[]) from public, anon, authenticated;

create function private.webhooks_health() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'status', private.worst_status(
      count(*) filter (where e.status = 'dead') > 0,
      min(e.received_at) filter (where e.status = 'failed') < now() - interval '15 minutes'
    ),
    'failed', count(*) filter (where e.status = 'failed'),
    'dead', count(*) filter (where e.status = 'dead'),
    'last_received_at', (select max(r.received_at) from public.webhook_events r)
  )
  from public.webhook_events e where e.status in ('failed', 'dead')
$$;
comment on function private.webhooks_health() is 'Health check webhooks: events that could not be applied.';
revoke execute on function private.webhooks_health() from public, anon, authenticated;

create function private.jobs_health() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'status', private.worst_status(
      count(*) filter (where j.status = 'dead') > 0,
      min(j.run_at) filter (where j.status = 'queued') < now() - interval '15 minutes',
      -- Nobody calls retry-jobs any more: mail, refunds and repairs stand still.
      (select h.last_at from private.heartbeats h where h.name = 'retry_jobs') < now() - interval '10 minutes'
    ),
    'due', count(*) filter (where j.status = 'queued' and j.run_at <= now()),
    'running', count(*) filter (where j.status = 'running'),
    'dead', count(*) filter (where j.status = 'dead'),
    'oldest_due_seconds', coalesce(floor(extract(epoch from now() - min(j.run_at) filter (where j.status = 'queued' and j.run_at <= now()))), 0),
    'last_run_at', (select h.last_at from private.heartbeats h where h.name = 'retry_jobs')
  )
  from private.jobs j where j.status in ('queued', 'running', 'dead')
$$;
comment on function private.jobs_health() is 'Health check jobs: the backlog, the dead, and whether anybody works at all.';
revoke execute on function private.jobs_health() from public, anon, authenticated;

create function private.providers_health() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object('status', private.worst_status(bool_or(b.open_until is not null)), 'down', count(*) filter (where b.open_until is not null))
    || coalesce(jsonb_object_agg(b.provider || '_failures', b.failures) filter (where b.failures > 0), '{}')
  from private.circuit_breakers b
$$;
comment on function private.providers_health() is 'Health check providers: whose circuit breaker is open.';
revoke execute on function private.providers_health() from public, anon, authenticated;

create function private.reconciliation_health() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'status', private.worst_status((select c.position from private.reconciliation_cursors c where c.name = 'events') < now() - interval '3 hours'),
    'events_read_to_at', (select c.position from private.reconciliation_cursors c where c.name = 'events'),
    'repairs_last_day', (select count(*) from public.reconciliation_drift d where d.found_at > now() - interval '1 day')
  )
$$;
comment on function private.reconciliation_health() is 'Health check reconciliation: how far Stripe''s events have been read, and what had to be repaired.';
revoke execute on function private.reconciliation_health() from public, anon, authenticated;

create function private.schedule_health() returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_runs jsonb := '{}';
  v_answers jsonb := '{}';
begin
  -- Only where Supabase's scheduler is installed; dynamic, because elsewhere the tables do not exist.
  if to_regclass('cron.job_run_details') is not null then
    execute $sql$
      select jsonb_build_object(
        'runs_failed', count(*) filter (where d.status = 'failed'),
        'last_run_at', max(d.start_time)
      )
      from cron.job_run_details d join cron.job j on j.jobid = d.jobid
      where j.jobname = 'retry-jobs' and d.start_time > now() - interval '1 hour'
    $sql$ into v_runs;
  end if;
  if to_regclass('net._http_response') is not null then
    execute $sql$
      select jsonb_build_object(
        'calls_failed', count(*) filter (where r.timed_out or r.error_msg is not null or r.status_code not between 200 and 299),
        'calls', count(*)
      )
      from net._http_response r where r.created > now() - interval '15 minutes'
    $sql$ into v_answers;
  end if;
  return jsonb_build_object('status', private.worst_status(
    (v_runs ->> 'runs_failed')::integer > 0,
    -- A single slow answer is noise; most of them failing is a wrong key or address.
    (v_answers ->> 'calls_failed')::integer > (v_answers ->> 'calls')::integer / 2
  )) || v_runs || v_answers;
end;
$$;
comment on function private.schedule_health() is 'Health check schedule: failed runs of pg_cron and failed calls of pg_net; ok where there is neither.';
revoke execute on function private.schedule_health() from public, anon, authenticated;

create function public.get_health() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object('checks', jsonb_build_object(
    'database', jsonb_build_object('status', 'ok'),
    'webhooks', private.webhooks_health(),
    'jobs', private.jobs_health(),
    'providers', private.providers_health(),
    'reconciliation', private.reconciliation_health(),
    'schedule', private.schedule_health(),
    'alerts', (
      select jsonb_build_object('status', 'ok', 'open', count(*), 'critical', count(*) filter (where a.severity = 'critical'))
      from public.alerts a where a.status = 'open'
    )
  ))
$$;
comment on function public.get_health() is 'Figures for the health endpoint: { checks: { name: { status, … } } }. Counts and times only, no personal data.';
revoke execute on function public.get_health() from public, anon, authenticated;
grant execute on function public.get_health() to service_role;
