-- What staff must know, and what customers are told.

create table public.alerts (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  severity text not null,
  dedupe_key text not null,
  status text not null default 'open',
  count integer not null default 1,
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  data jsonb not null default '{}',
  told_at timestamptz,
  over_told_at timestamptz,
  constraint alerts_dedupe_key_key unique (dedupe_key),
  constraint alerts_severity_known check (severity in ('info', 'warning', 'critical')),
  constraint alerts_status_known check (status in ('open', 'acknowledged', 'resolved'))
);
comment on table public.alerts is
  'One row per cause (dedupe_key), counted up while it goes on. Carries ids and figures, no personal data.';
comment on column public.alerts.told_at is
  'When staff were sent it. Null: not yet, or only in the digest.';
comment on column public.alerts.over_told_at is 'When staff were sent that it is over.';
create index alerts_untold_idx on public.alerts (kind) where told_at is null or over_told_at is null;
create index alerts_open_idx on public.alerts (last_at desc) where status = 'open';

create table public.notifications (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references public.orders (id) on delete cascade,
  template text not null,
  dedupe_key text not null default '',
  recipient text,
  status text not null default 'queued',
  sent_at timestamptz,
  delivered_at timestamptz,
  provider_id text,
  last_error text,
  data jsonb not null default '{}',
  created_at timestamptz not null default now(),
  constraint notifications_once unique (order_id, template, dedupe_key),
  constraint notifications_status_known check (status in (
    'queued', 'sent', 'bounced', 'complained', 'suppressed', 'failed', 'skipped'
  )),
  constraint notifications_delivered_was_sent check (delivered_at is null or sent_at is not null)
);
comment on table public.notifications is
  'Mails to customers: at most one per order, template and dedupe_key. recipient is filled in when the mail '
  'is sent, sent_at when the provider has taken it, delivered_at when the server of its reader had. skipped: '
  'what it says had stopped being true before it was sent; suppressed: its address takes no mail (ours to '
  'know, or the provider''s); last_error says why.';

create index notifications_created_at_idx on public.notifications (created_at);

create table private.raised_alerts (
  dedupe_key text primary key,
  raised_at timestamptz not null default now()
);
comment on table private.raised_alerts is
  'Alerts about states, which settling finds again for ever: raised once. Outlives the alert itself, which '
  'retention deletes.';
alter table private.raised_alerts enable row level security;

alter table public.alerts enable row level security;
alter table public.notifications enable row level security;
create policy alerts_read on public.alerts for select to authenticated using ((select private.is_admin()));
create policy notifications_read on public.notifications for select to authenticated
  using ((select private.is_admin()));
revoke all on public.alerts, public.notifications from public, anon, authenticated, service_role;
grant select on public.alerts, public.notifications to authenticated, service_role;

create function private.severity_rank(p_severity text) returns integer
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array_position('{info,warning,critical}', p_severity);
end;
$$;
comment on function private.severity_rank(text) is 'Severities in order, from 1; null: no severity.';

create function private.queue_alert_message(a public.alerts, p_over boolean default false) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_key constant text := case
    when p_over then format('send_alert:over:%s:%s', a.dedupe_key, a.count)
    else concat_ws(':', 'send_alert', a.dedupe_key, nullif(a.count, 1))
  end;
begin
  if private.enqueue_job(
    'send_alert', v_key, jsonb_build_object('alert_id', a.id), now(), case when p_over then 60 else 50 end
  ) or private.effects_are_past() then
    return;
  end if;
  -- What was to be told before is judged anew: the alert was closed and opened in between, uncounted.
  update private.jobs set status = 'queued', run_at = now(), attempts = 0, finished_at = null
  where dedupe_key = v_key and status in ('done', 'discarded', 'dead');
  if not found then
    -- One that a worker has in hand was judged before, perhaps.
    perform private.enqueue_job(
      'send_alert', v_key || ':' || gen_random_uuid(), jsonb_build_object('alert_id', a.id), now(), 60
    )
    from private.jobs j where j.dedupe_key = v_key and j.status = 'running';
  end if;
end;
$$;
comment on function private.queue_alert_message(public.alerts, boolean) is
  'Queues a look at whether staff are to be told of an alert, or (p_over) that its kind is over.';

create function private.raise_alert(
  p_kind text,
  p_severity text,
  p_dedupe_key text,
  p_data jsonb default '{}'
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_was public.alerts;
  v_alert public.alerts;
  -- What happened before a restored database was lost, staff were told then; they see it in the list.
  v_told_at constant timestamptz := case when private.effects_are_past() then now() end;
begin
  -- Locked: one that somebody is just resolving is opened again, and that is news.
  select * into v_was from public.alerts x where x.dedupe_key = p_dedupe_key for no key update;
  insert into public.alerts as a (kind, severity, dedupe_key, data, told_at)
  values (p_kind, p_severity, p_dedupe_key, p_data, v_told_at)
  on conflict on constraint alerts_dedupe_key_key
  do update set count = a.count + 1, last_at = now(), data = excluded.data,
    severity = case
      when a.status = 'resolved'
        or private.severity_rank(excluded.severity) > private.severity_rank(a.severity)
        then excluded.severity
      else a.severity
    end,
    status = case a.status when 'resolved' then 'open' else a.status end,
    told_at = case a.status when 'resolved' then v_told_at else a.told_at end,
    over_told_at = case a.status when 'resolved' then null else a.over_told_at end
  returning * into v_alert;
  if (
    v_alert.count = 1 or v_was.status = 'resolved'
    or (v_alert.told_at is null and v_alert.severity <> v_was.severity)
  ) and private.sent_at_once(v_alert.severity) then
    perform private.queue_alert_message(v_alert);
  end if;
end;
$$;
comment on function private.raise_alert(text, text, text, jsonb) is
  'Something happened (again) that staff must know: opens or counts up the alert of p_dedupe_key and, when '
  'it is new, had been resolved or has become worse, queues its message if its severity is sent at once. An '
  'open alert keeps the worst severity, one that opens again takes the new one.';

create function private.raise_alert_once(
  p_kind text,
  p_severity text,
  p_dedupe_key text,
  p_data jsonb default '{}'
) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- Not asked of the alerts: an old one may have been deleted, and what it said is no news.
  insert into private.raised_alerts (dedupe_key) values (p_dedupe_key)
  on conflict (dedupe_key) do nothing;
  if not found then
    return false;
  end if;
  perform private.raise_alert(p_kind, p_severity, p_dedupe_key, p_data);
  return true;
end;
$$;
comment on function private.raise_alert_once(text, text, text, jsonb) is
  'Raises an alert about a state, which settling again finds again: it is raised once and not counted up. '
  'Returns whether it is new.';

create function private.queue_notification(
  p_order_id uuid,
  p_template text,
  p_dedupe_key text default '',
  p_data jsonb default '{}'
) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_past constant boolean := private.effects_are_past();
  v_id uuid;
begin
  insert into public.notifications (order_id, template, dedupe_key, data, status, last_error)
  values (
    p_order_id, p_template, p_dedupe_key, p_data,
    case when v_past then 'skipped' else 'queued' end, case when v_past then private.past_mail() end
  )
  on conflict on constraint notifications_once do nothing
  returning id into v_id;
  if v_id is null then
    return false;
  end if;
  perform private.enqueue_job(
    'send_mail', concat_ws(':', 'send_mail', p_order_id, p_template, nullif(p_dedupe_key, '')),
    jsonb_build_object('notification_id', v_id)
  );
  return true;
end;
$$;
comment on function private.queue_notification(uuid, text, text, jsonb) is
  'Queues one mail per (order, template, dedupe key), with its job; of what happened before a restored '
  'database was lost, notes that it was sent. Returns whether it is new.';

create function private.mail_subject(n public.notifications) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(n.data ->> 'parcel', n.data ->> 'refund_id', '');
end;
$$;
comment on function private.mail_subject(public.notifications) is
  'What a mail is about besides its order: the number of a parcel, a refund; empty: nothing. What is true of '
  'a mail and of its repetition says nothing of another parcel''s or refund''s.';

create function private.notification_problem(n public.notifications, o public.orders) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when o.erased_at is not null then 'the personal data of the order has been erased'
    when n.template = 'order_confirmation'
      and o.fulfillment_status = 'cancelled' then 'the order will not be sent'
    when n.template = 'order_confirmation' and o.status = 'refunded' then 'the order has been refunded'
    when n.template = 'order_shipped' and o.restocked_at is not null then 'the goods have come back'
    when n.template = 'order_shipped' and not exists (
      select 1 from public.shipments s
      where s.order_id = o.id and s.parcel = (n.data ->> 'parcel')::integer
        and (s.carrier, s.tracking_number)
          is not distinct from (n.data ->> 'carrier', n.data ->> 'tracking_number')
    ) then 'the tracking number has been corrected since'
    when n.template in ('payment_processing', 'payment_failed')
      and o.session_id is not null then 'the order has been paid'
    when n.template in ('payment_processing', 'payment_failed')
      and o.cancelled_at is not null then 'the order has been cancelled'
    when n.template = 'payment_processing' and not exists (
      select 1 from public.checkout_sessions cs
      where cs.order_id = o.id and cs.status = 'complete' and cs.payment_status = 'unpaid'
        and not cs.async_payment_failed
    ) then 'the payment did not go through'
    when n.template in ('refund_issued', 'refund_settled') and exists (
      select 1 from private.refund_states r
      where r.id = coalesce(n.data ->> 'refund_id', n.dedupe_key) and r.has_bounced
    ) then 'the refund did not go through'
    when n.template = 'refund_issued' and exists (
      select 1 from private.refund_states r
      where r.id = coalesce(n.data ->> 'refund_id', n.dedupe_key) and r.took_time
    ) then 'the refund is complete'
    when n.template = 'duplicate_payment_refunded' and not exists (
      select 1 from private.refund_states r where r.payment_id = n.dedupe_key and not r.has_bounced
    ) and n.dedupe_key like 'pi\_%' then 'the refund did not go through'
    when exists (
      select 1 from public.notifications later
      where later.order_id = n.order_id and later.template = n.template
        and private.mail_subject(later) = private.mail_subject(n) and private.mail_arrived(later.status)
        and later.created_at > n.created_at and later.dedupe_key like 'resend:%'
    ) then 'it was sent again meanwhile'
    when n.template in ('payment_declined', 'payment_reminder') then private.recovery_problem(o, n.template)
  end;
end;
$$;
comment on function private.notification_problem(public.notifications, public.orders) is
  'Why a mail must not be sent any more, or null: a mail is judged when it is sent, and what it says must '
  'be true then.';

create function private.mail_recipient(o public.orders) returns text
language sql
stable
set search_path = ''
as $$
  select case
    when o.email is null then null
    when o.mail_to_account then coalesce(
      (select c.email from public.customers c where c.id = o.customer_id), o.email
    )
    -- A guest's address as corrected at Stripe. An account's Stripe customer follows the account instead.
    else coalesce((
      select s.email from public.customers c join private.stripe_customers s on s.id = c.stripe_customer_id
      where c.id = o.customer_id and c.user_id is null
    ), o.email)
  end
$$;
comment on function private.mail_recipient(public.orders) is
  'Whom a mail of this order goes to now: the account''s present address where the order went under the '
  'account''s own, a guest''s as corrected at Stripe, else the address typed on the payment page. Null: '
  'none is known, or the customer was erased.';

create function private.recipient_to_keep(p_order_id uuid, p_recipient text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (select p_recipient from public.orders o where o.id = p_order_id and o.erased_at is null);
end;
$$;
comment on function private.recipient_to_keep(uuid, text) is
  'The address that a mail of an order went to; null once the order is erased, of which nothing personal '
  'comes back.';

create function private.note_mail_event(n public.notifications, p_status text) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.record_order_event(
    n.order_id, 'mail_' || p_status, 'mail',
    jsonb_build_object('notification_id', n.id, 'template', n.template)
  );
end;
$$;
comment on function private.note_mail_event(public.notifications, text) is
  'Notes in the trail of its order that a mail did not arrive, or was unwelcome.';

create function public.record_notification_result(
  p_notification_id uuid,
  p_status text,
  p_recipient text,
  p_provider_id text,
  p_error text
) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  n public.notifications;
  v_recorded boolean;
begin
  -- Before the order is looked at: an erasure that is under way is waited for.
  perform 1 from public.notifications x where x.id = p_notification_id for no key update;
  update public.notifications
  set status = p_status,
    recipient = coalesce(private.recipient_to_keep(order_id, p_recipient), recipient),
    provider_id = p_provider_id, last_error = p_error,
    sent_at = case p_status when 'sent' then now() end
  where id = p_notification_id and sent_at is null
  returning * into n;
  v_recorded := found;
  if v_recorded and p_status = 'sent' then
    perform private.forget_mail_alerts(n);
  elsif v_recorded and p_status = 'failed' then
    perform private.note_mail_event(n, p_status);
  end if;
  return v_recorded;
end;
$$;
comment on function public.record_notification_result(uuid, text, text, text, text) is
  'Notes that a mail was sent (with the provider''s id), was skipped because it is not true any more, was '
  'suppressed because its address takes none, or failed for good. A sent mail stays sent: false.';
grant execute on function public.record_notification_result(uuid, text, text, text, text) to service_role;
