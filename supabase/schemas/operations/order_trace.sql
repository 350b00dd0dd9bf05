-- The whole story of an order, for whoever looks for what went wrong: ids, words and figures, nothing
-- personal.

create type public.trace_moment as (at timestamptz, kind text, what text, detail jsonb);
comment on type public.trace_moment is
  'One thing that happened to an order: when, of what kind (request, session, event, attempt, payment, '
  'order, job, mail, refund, dispute, risk, parcel, return, staff, alert, repair), what, and ids and '
  'figures.';

create type public.order_trace as (
  order_id uuid,
  number text,
  status text,
  fulfillment_status text,
  amount_total bigint,
  currency text,
  livemode boolean,
  created_at timestamptz,
  moments public.trace_moment[]
);
comment on type public.order_trace is
  'An order as it stands, and what happened to it in order of time. amount_total in minor units.';

create function private.ids_of_order(p_order_id uuid) returns text[]
language sql
stable
set search_path = ''
as $$
  select array_agg(distinct x.id) filter (where x.id is not null)
  from (
    select p_order_id::text
    union all select unnest(array[s.id, s.payment_id]) from public.checkout_sessions s
    where s.order_id = p_order_id
    union all select unnest(array[p.id, p.charge_id]) from public.payments p where p.order_id = p_order_id
    union all select a.id from public.payment_attempts a where a.order_id = p_order_id
    union all select q.id from public.refund_requests q where q.order_id = p_order_id
    union all select r.id from public.refunds r where r.order_id = p_order_id
    union all select d.id from public.disputes d where d.order_id = p_order_id
    union all select f.source_id from public.fraud_signals f where f.order_id = p_order_id
    union all select n.id::text from public.notifications n where n.order_id = p_order_id
  ) as x (id)
$$;
comment on function private.ids_of_order(uuid) is
  'The ids of an order and of all that belongs to it, here and at Stripe: what order_of() leads back from.';

create function private.names_any(p_data jsonb, p_ids text[]) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return exists (
    select 1 from jsonb_each_text(p_data) x where x.key like '%\_id' and x.value = any (p_ids)
  );
end;
$$;
comment on function private.names_any(jsonb, text[]) is
  'Whether a field …_id of an alert''s data or a command''s arguments is one of these ids.';

create function private.trace_of_money(p_order_id uuid) returns setof public.trace_moment
language sql
stable
set search_path = ''
as $$
  select s.created_at, 'session', 'session_seen', jsonb_build_object(
    'id', s.id, 'attempt', s.attempt, 'status', s.status, 'payment_status', s.payment_status,
    'payment_id', s.payment_id, 'expires_at', s.expires_at, 'completed_at', s.completed_at,
    'recovered_from', s.recovered_from, 'closing_at', s.closing_at
  ) from public.checkout_sessions s where s.order_id = p_order_id
  union all
  select p.created_at, 'payment', p.status, jsonb_build_object(
    'id', p.id, 'amount', p.amount, 'amount_received', p.amount_received, 'currency', p.currency,
    'charge_id', p.charge_id, 'method', p.payment_method_type, 'failure_code', p.failure_code,
    'decline_code', p.decline_code, 'risk_level', p.risk_level, 'succeeded_at', p.succeeded_at,
    'presentment_amount', p.presentment_amount, 'presentment_currency', p.presentment_currency
  ) from public.payments p where p.order_id = p_order_id
  union all
  select a.created_at, 'attempt', a.outcome, jsonb_build_object(
    'id', a.id, 'payment_id', a.payment_id, 'amount', a.amount, 'currency', a.currency,
    'failure_code', a.failure_code, 'decline_code', a.decline_code, 'advice_code', a.advice_code,
    'three_d_secure', a.three_d_secure_result
  ) from public.payment_attempts a where a.order_id = p_order_id
  union all
  select q.created_at, 'refund', 'refund_request_' || q.status, jsonb_build_object(
    'id', q.id, 'payment_id', q.payment_id, 'amount', q.amount, 'cause', q.cause, 'refusals', q.refusals,
    'error', q.problem, 'given_up_at', q.given_up_at
  ) from public.refund_requests q where q.order_id = p_order_id
  union all
  select r.created_at, 'refund', 'refund_' || r.status, jsonb_build_object(
    'id', r.id, 'request_id', r.request_id, 'payment_id', r.payment_id, 'amount', r.amount,
    'currency', r.currency, 'succeeded_at', r.succeeded_at, 'failed_at', r.failed_at,
    'presentment_amount', r.presentment_amount, 'presentment_currency', r.presentment_currency,
    'error', r.failure_reason
  ) from public.refunds r where r.order_id = p_order_id
  union all
  select d.created_at, 'dispute', d.status, jsonb_build_object(
    'id', d.id, 'payment_id', d.payment_id, 'amount', d.amount, 'currency', d.currency, 'reason', d.reason,
    'evidence_due_by', d.evidence_due_by, 'submissions', d.evidence_submission_count
  ) from public.disputes d where d.order_id = p_order_id
  union all
  select f.created_at, 'risk', f.kind, jsonb_build_object(
    'id', f.source_id, 'payment_id', f.payment_id, 'severity', f.severity, 'open', f.open,
    'answer', f.answer, 'released_at', f.released_at
  ) from public.fraud_signals f where f.order_id = p_order_id
$$;
comment on function private.trace_of_money(uuid) is
  'What Stripe has said of an order''s sessions, payments, refunds, disputes and risk, each as it stands. '
  'Times of attempts, refunds and disputes are Stripe''s, in whole seconds.';

create function private.trace_of_house(p_order_id uuid) returns setof public.trace_moment
language sql
stable
set search_path = ''
as $$
  select e.created_at,
    case when e.kind in ('order_created', 'checkout_reopened') then 'request' else 'order' end, e.kind,
    e.data || jsonb_build_object('source', e.source)
  from public.order_events e
  -- A command stands in the story itself.
  where e.order_id = p_order_id and not (e.source = 'staff' and e.data ? 'command_id')
  union all
  select n.created_at, 'mail', n.template, jsonb_build_object(
    'id', n.id, 'status', n.status, 'sent_at', n.sent_at, 'delivered_at', n.delivered_at,
    'provider_id', n.provider_id, 'error', n.last_error
  ) from public.notifications n where n.order_id = p_order_id
  union all
  select s.shipped_at, 'parcel', 'shipped', jsonb_build_object('parcel', s.parcel, 'carrier', s.carrier)
  from public.shipments s where s.order_id = p_order_id
  union all
  select r.created_at, 'return', r.status, jsonb_build_object(
    'id', r.id, 'refund_request_id', r.refund_request_id, 'received_at', r.received_at,
    'stocked_at', r.stocked_at
  ) from public.returns r where r.order_id = p_order_id
  union all
  select x.found_at, 'repair', x.kind, jsonb_build_object('id', x.object_id, 'run_id', x.run_id)
  from public.reconciliation_drift x where x.order_id = p_order_id
$$;
comment on function private.trace_of_house(uuid) is
  'What happened to an order here: its audit trail, mails, parcels, returns and repairs.';

create function private.trace_of_queue(o public.orders, p_ids text[]) returns setof public.trace_moment
language plpgsql
stable
set search_path = ''
as $$
declare
  v_events text[] := array(
    select e.id from public.webhook_events e where e.object_id = any (p_ids)
    -- What has never been applied may be about an object that nothing else has told of.
    union select e.id from public.webhook_events e
    where e.status in ('failed', 'dead') and e.payload #>> '{data,object,metadata,order_id}' = o.id::text
  );
  v_ids text[] := p_ids || v_events;
  -- Nothing was queued for an order before there was one. Read from end to end, so without a call for each.
  v_jobs bigint[] := array(
    select j.id from private.jobs j
    where j.created_at >= o.created_at and jsonb_path_query_array(j.payload, '$.*') ?| v_ids
  );
  v_named text[] := v_ids || v_jobs::text[];
  v_alerts uuid[] := array(
    select a.id from public.alerts a
    where a.last_at >= o.created_at
      and (a.data ->> 'order_number' = o.number or private.names_any(a.data, v_named))
  );
begin
  return query
  select e.received_at, 'event', e.type, jsonb_build_object(
    'id', e.id, 'object_id', e.object_id, 'status', e.status, 'created', e.stripe_created_at,
    'settled', e.processed_at, 'attempts', e.attempts, 'deliveries', e.delivery_count, 'error', e.last_error,
    'reason', e.ignored_reason, 'next_attempt_at', e.next_attempt_at,
    'lag_seconds', round(extract(epoch from e.received_at - e.stripe_created_at), 3)
  ) from public.webhook_events e where e.id = any (v_events)
  union all
  select j.created_at, 'job', j.kind, jsonb_build_object(
    'id', j.id, 'status', j.status, 'attempts', j.attempts, 'max_attempts', j.max_attempts,
    'run_at', j.run_at, 'finished_at', j.finished_at, 'error', j.last_error
  ) from private.jobs j
  where j.id = any (v_jobs) or (j.kind = 'send_alert' and j.payload ->> 'alert_id' = any (v_alerts::text[]))
  union all
  select a.first_at, 'alert', a.kind, jsonb_build_object(
    'id', a.id, 'severity', a.severity, 'status', a.status, 'count', a.count, 'last_at', a.last_at
  ) from public.alerts a where a.id = any (v_alerts)
  union all
  select c.created_at, 'staff', c.command, jsonb_build_object('id', c.id, 'actor', c.actor)
  from public.staff_commands c
  where c.order_id = o.id
    or (c.created_at >= o.created_at and private.names_any(c.args, v_named || v_alerts::text[]));
end;
$$;
comment on function private.trace_of_queue(public.orders, text[]) is
  'The events, jobs, alerts and commands about an order, found by the ids of all that belongs to it.';

create function public.get_order_trace(p_order text) returns public.order_trace
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  c_kinds constant text[] := '{request,session,event,attempt,payment,order,job}';
  o public.orders;
  v_trace public.order_trace;
  v_words text;
begin
  select * into o from public.orders where number = p_order;
  if not found then
    select * into o from public.orders where id = private.order_of(p_order);
  end if;
  if not found then
    raise exception 'no order is known under %', left(p_order, 100) using errcode = 'SHORD';
  end if;
  v_words := nullif((private.words_of_person(lower(o.email), array[o.id], array[o.customer_id], array(
    select s.stripe_customer_id from public.checkout_sessions s where s.order_id = o.id
  ))).own, '');
  select o.id, o.number, o.status, o.fulfillment_status, o.amount_total, o.currency, o.livemode, o.created_at,
    array_agg(
      row(
        m.at, m.kind, m.what,
        private.redact(jsonb_strip_nulls(m.detail), coalesce(v_words, '(?!)'), '***')
      )::public.trace_moment
      order by m.at, coalesce(array_position(c_kinds, m.kind), 99), m.what, m.detail ->> 'id'
    )
  into v_trace
  from (
    select * from private.trace_of_money(o.id)
    union all select * from private.trace_of_house(o.id)
    union all select * from private.trace_of_queue(o, private.ids_of_order(o.id))
  ) m;
  return v_trace;
end;
$$;
comment on function public.get_order_trace(text) is
  'An order''s whole story in order of time. p_order: its number, its id, or the id of anything that belongs '
  'to it (session, payment, refund, dispute, event, mail). No personal data: what identifies the buyer is '
  '*** where a text mentions it. Reads the jobs and alerts since the order. SHORD: nothing is known under '
  'this name.';
grant execute on function public.get_order_trace(text) to service_role;
