-- Generated from supabase/schemas/notifications by 'deno task migrations': edit there.

-- The shop as its customers know it: the settings that mails are written with.

create function private.shop_setting_fits(p_key text, p_value jsonb) returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  v_text text := p_value #>> '{}';
begin
  if not starts_with(p_key, 'shop_') then
    return true;
  elsif p_value = 'null' then
    return p_key not in ('shop_name', 'shop_accent_color', 'shop_locale', 'shop_time_zone');
  elsif jsonb_typeof(p_value) <> 'string' then
    return false;
  end if;
  return case
    when p_key = 'shop_accent_color' then v_text ~ '^#[0-9a-fA-F]{6}$'
    when p_key = 'shop_locale' then v_text ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$'
    when p_key = 'shop_time_zone'
      then exists (select 1 from pg_catalog.pg_timezone_names z where z.name = v_text)
    when p_key = 'shop_contact_email' then v_text ~ '^[^[:space:]@<>"]+@[^[:space:]@<>"]+\.[^[:space:]@<>"]+$'
    when p_key like '%\_url' then v_text ~ (
      '^(https://[^[:space:]/"<>@]+(/[^[:space:]"<>]*)?'
      '|/([^[:space:]/"<>][^[:space:]"<>]*)?)$'
    )
    when p_key = 'shop_postal_address' then char_length(v_text) between 1 and 500
    else v_text = private.one_line(v_text) and char_length(v_text) <= 100
  end;
end;
$$;
comment on function private.shop_setting_fits(text, jsonb) is
  'Whether a setting that begins with shop_ has a value that mails can show: a colour #rrggbb, an https '
  'address or a path on the site of SITE_URL, a known time zone, one line of text. Others always fit.';

alter table private.settings
  add constraint settings_shop_fits check (private.shop_setting_fits(key, value));

insert into private.settings (key, value, description) values
  ('shop_name', '"Our shop"', 'The shop as its customers know it, in mails.'),
  ('shop_sender_name', 'null', 'The name in From of mails to customers; null: EMAIL_FROM as it is.'),
  (
    'shop_logo_url', 'null',
    'Picture above every mail: https address, or a path on the site of SITE_URL. PNG or JPEG: mail programs '
    'show no SVG. null: the name.'
  ),
  ('shop_accent_color', '"#1c1c1e"', 'Colour of buttons in mails, #rrggbb.'),
  ('shop_contact_email', 'null', 'Where customers write to: in the footer of mails, and where answers go.'),
  (
    'shop_order_url', 'null',
    'The page of an order: https address or path on the site; {number} in it is the order''s number, {token} '
    'what opens it.'
  ),
  ('shop_returns_url', 'null', 'The page about returns: https address or path on the site.'),
  ('shop_privacy_url', 'null', 'The page about privacy: https address or path on the site.'),
  (
    'shop_admin_order_url', 'null',
    'Where staff look at an order, linked from alerts: https address or path; {number} is its number.'
  ),
  (
    'shop_runbook_url', 'null',
    'The runbook (docs/runbook.md) as staff can open it, linked from alerts with #kind.'
  ),
  ('shop_postal_address', 'null', 'Footer of every mail: who the shop is, one line after the other.'),
  ('shop_locale', '"en"', 'Language tag of mails to whom no other language is known for, and to staff.'),
  (
    'shop_time_zone', '"UTC"',
    'Time zone of the dates in mails and of the days in reports, as in pg_timezone_names.'
  ),
  ('shop_statement_descriptor', 'null', 'What card statements show, as set at Stripe; shown on receipts.');

create function private.shop() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_object_agg(substr(s.key, 6), s.value)
    from private.settings s where starts_with(s.key, 'shop_')
  );
end;
$$;
comment on function private.shop() is
  'The settings that begin with shop_, by their names without it: what every mail is written with.';

-- Addresses that get no mail, or no reminders. Kept as digests: whoever was erased stays unsubscribed.

create table public.mail_suppressions (
  email_hmac text not null,
  reason text not null,
  created_at timestamptz not null default now(),
  constraint mail_suppressions_pkey primary key (email_hmac, reason),
  constraint mail_suppressions_reason_known check (reason in ('unsubscribed', 'complained', 'bounced'))
);
comment on table public.mail_suppressions is
  'Addresses under private.email_hmac(). unsubscribed, complained (somebody called a mail spam): no '
  'reminders. bounced (the address does not exist): nothing but what the law needs, see '
  'private.mail_owed_by_law(). Outlives erasure.';
alter table public.mail_suppressions enable row level security;
create policy mail_suppressions_read on public.mail_suppressions for select to authenticated
  using ((select private.is_admin()));
revoke all on public.mail_suppressions from public, anon, authenticated, service_role;
grant select on public.mail_suppressions to authenticated, service_role;

create function private.email_hmac(p_email text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return private.keyed_digest('mail:' || lower(btrim(p_email)));
end;
$$;
comment on function private.email_hmac(text) is
  'What an address is known by in mail_suppressions: its HMAC under this database''s own key. The key is not '
  'rotated, since that would lift every suppression. Case and spaces around do not count; null for null.';

create function private.reminders_unsubscribed(p_email text) returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (select 1 from public.mail_suppressions s where s.email_hmac = private.email_hmac(p_email))
$$;
comment on function private.reminders_unsubscribed(text) is
  'Whether an address must get no reminders: it unsubscribed, complained, or does not exist. Mails that an '
  'order needs do not ask.';

create function private.address_bounced(p_email text) returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select 1 from public.mail_suppressions s
    where s.email_hmac = private.email_hmac(p_email) and s.reason = 'bounced'
  )
$$;
comment on function private.address_bounced(text) is
  'Whether a mail server has said for good that it does not take mail for an address.';

create function private.is_reminder(p_template text) returns boolean
language sql
immutable
set search_path = ''
as $$
  select p_template in ('payment_declined', 'payment_reminder')
$$;
comment on function private.is_reminder(text) is
  'Whether a mail asks to buy: it carries a link to unsubscribe, and goes to nobody who did. All others are '
  'about what the customer has bought.';

create function private.mail_owed_by_law(p_template text) returns boolean
language sql
immutable
set search_path = ''
as $$
  select p_template in ('order_confirmation', 'order_cancelled', 'order_unfulfillable')
$$;
comment on function private.mail_owed_by_law(text) is
  'Whether the law wants a mail sent even to an address that has bounced: the contract on a durable medium '
  '(directive 2011/83/EU, article 8(7)), and that the goods will not come (article 18).';

create function private.mail_suppression(p_template text, p_email text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when private.address_bounced(p_email) and not private.mail_owed_by_law(p_template)
      then 'mail to this address came back for good'
    when private.is_reminder(p_template) and private.reminders_unsubscribed(p_email)
      then 'this address gets no reminders'
  end;
end;
$$;
comment on function private.mail_suppression(text, text) is
  'Why a mail must not go to an address, or null.';

create function public.unsubscribe_reminders(p_email_hmac text) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into public.mail_suppressions (email_hmac, reason) values (p_email_hmac, 'unsubscribed')
  on conflict on constraint mail_suppressions_pkey do nothing;
end;
$$;
comment on function public.unsubscribe_reminders(text) is
  'Ends reminders for the address with this private.email_hmac(). A second time changes nothing.';
grant execute on function public.unsubscribe_reminders(text) to service_role;

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

-- What staff are sent about alerts: one message when an incident begins, with all alerts of its kind, one
-- when it is over. Everything else is in the digest.

insert into private.settings (key, value, description) values
  (
    'alert_at_once', '"critical"',
    'The least severity that is sent at once: "info", "warning" or "critical". The rest is in the daily '
    'digest.'
  ),
  (
    'alert_group_minutes', '5',
    'Further alerts of a kind that was just sent are collected for so long, and sent as one message.'
  );

alter table private.settings
  add constraint settings_alert_at_once_known
    check (key <> 'alert_at_once' or value in ('"info"', '"warning"', '"critical"')),
  add constraint settings_alert_group_minutes_fits
    check (key <> 'alert_group_minutes' or value #>> '{}' ~ '^([0-9]|[1-9][0-9]{1,2})$');

create table private.alert_incidents (
  kind text primary key,
  told_at timestamptz,
  telling_until timestamptz
);
comment on table private.alert_incidents is
  'When staff were last sent something about each kind of alert. telling_until: a worker is at it; what it '
  'does not report back by then, another one does again.';
alter table private.alert_incidents enable row level security;

create function private.sent_at_once(p_severity text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return private.severity_rank(p_severity)
    >= private.severity_rank(private.setting('alert_at_once') #>> '{}');
end;
$$;
comment on function private.sent_at_once(text) is
  'Whether alerts of a severity are sent at once, rather than in the digest.';

create function private.tell_that_it_is_over() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if private.effects_are_past() then
    update public.alerts a set over_told_at = now() where a.id = new.id;
    return null;
  end if;
  perform private.queue_alert_message(new, true);
  return null;
end;
$$;
comment on function private.tell_that_it_is_over() is
  'Queues a look at whether staff can be told that a kind of alert is over. Of one from before a restored '
  'database was lost they were.';

create trigger alerts_over after update of status on public.alerts
  for each row when (
    new.status = 'resolved' and old.status <> 'resolved' and new.told_at is not null
    and new.over_told_at is null
  )
  execute function private.tell_that_it_is_over();

create function private.alert_message(p_kind text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_news boolean := exists (
    select 1 from public.alerts a
    where a.kind = p_kind and a.status <> 'resolved' and a.told_at is null
      and private.sent_at_once(a.severity)
  );
begin
  if not v_news and exists (
    select 1 from public.alerts a
    where a.kind = p_kind and a.status <> 'resolved' and a.told_at is not null
  ) then
    return null;
  end if;
  return (
    select case when count(*) > 0 then jsonb_build_object(
      'outcome', 'tell', 'over', not v_news, 'kind', p_kind,
      'severity', case when bool_or(a.severity = 'critical') then 'critical' else max(a.severity) end,
      'count', sum(a.count), 'first_at', min(a.first_at), 'last_at', max(a.last_at),
      'alert_ids', jsonb_agg(a.id order by a.last_at desc, a.id),
      'alerts', jsonb_path_query_array(jsonb_agg(to_jsonb(a) order by a.last_at desc, a.id), '$[0 to 4]'),
      'shop', private.shop()
    ) end
    from public.alerts a
    where a.kind = p_kind and case
      when v_news then a.status <> 'resolved' and a.told_at is null and private.sent_at_once(a.severity)
      else a.status = 'resolved' and a.told_at is not null and a.over_told_at is null
    end
  );
end;
$$;
comment on function private.alert_message(text) is
  'What staff have not been sent yet about a kind of alert: those that are open, or, once none is, that they '
  'are over. alerts: the latest five of alert_ids; count: how often all of them were seen. Null: nothing.';

create function public.take_alert_message(p_alert_id uuid) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_lease constant interval := '1 minute';
  v_kind constant text := (select a.kind from public.alerts a where a.id = p_alert_id);
  v_group constant interval := make_interval(
    mins => (private.setting('alert_group_minutes') #>> '{}')::integer
  );
  i private.alert_incidents;
  v_message jsonb;
begin
  if v_kind is null then
    return jsonb_build_object('outcome', 'told');
  end if;
  insert into private.alert_incidents (kind) values (v_kind) on conflict (kind) do nothing;
  select * into i from private.alert_incidents x where x.kind = v_kind for update;
  v_message := private.alert_message(v_kind);
  if v_message is null then
    return jsonb_build_object('outcome', 'told');
  elsif i.telling_until > now() then
    return jsonb_build_object('outcome', 'wait', 'until', i.telling_until);
  elsif i.told_at > now() - v_group then
    return jsonb_build_object('outcome', 'wait', 'until', i.told_at + v_group);
  end if;
  update private.alert_incidents set telling_until = now() + c_lease where kind = v_kind;
  return v_message;
end;
$$;
comment on function public.take_alert_message(uuid) is
  'The message that a send_alert job is to send: all that is news about the kind of its alert (outcome tell, '
  'see alert_message()); wait: another worker is at it, or the last one is not alert_group_minutes old; '
  'told: nothing is news. Whoever takes it says with record_alert_message() that it went out.';
grant execute on function public.take_alert_message(uuid) to service_role;

create function public.record_alert_message(p_alert_ids uuid[], p_over boolean) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.alerts set
    told_at = case when not p_over then now() when status = 'resolved' then told_at end,
    over_told_at = case when p_over and status = 'resolved' then now() end
  where id = any (p_alert_ids);
  update private.alert_incidents i set told_at = now(), telling_until = null
  where i.kind in (select a.kind from public.alerts a where a.id = any (p_alert_ids));
  -- What was resolved while its message was on its way, or came back.
  perform private.queue_alert_message(a, not p_over) from public.alerts a
  where a.id = any (p_alert_ids) and (a.status = 'resolved') <> p_over
    and (not p_over or private.sent_at_once(a.severity));
  -- Staff can be reached: what was given up while they could not be is told now, if it is news still.
  update private.jobs j set status = 'queued', run_at = now(), attempts = 0, finished_at = null
  where j.id in (
    select x.id from private.jobs x where x.kind = 'send_alert' and x.status = 'dead' for update skip locked
  );
end;
$$;
comment on function public.record_alert_message(uuid[], boolean) is
  'Notes that staff were sent these alerts, or that they are over, and brings back the messages that were '
  'given up. Repeating it changes nothing.';
grant execute on function public.record_alert_message(uuid[], boolean) to service_role;

-- Rules that tell staff of what needs a window, a threshold or the clock: one row each, looked at every
-- minute. What is raised in the moment in which it happens needs no row here.

create table private.alert_rules (
  kind text primary key,
  threshold numeric not null,
  unit text not null,
  minimum integer not null default 1,
  window_seconds integer,
  severity text not null,
  once boolean not null default false,
  enabled boolean not null default true,
  quiet_from time,
  quiet_until time,
  description text not null,
  updated_at timestamptz not null default now(),
  constraint alert_rules_kind_names_a_function check (kind ~ '^[a-z][a-z_]{1,50}$'),
  constraint alert_rules_unit_known check (unit in ('share', 'times', 'count', 'seconds')),
  constraint alert_rules_threshold_fits check (
    case unit
      when 'share' then threshold > 0 and threshold <= 1
      when 'times' then threshold >= 1 and threshold <= 1000
      when 'count' then threshold >= 1 and threshold <= 1000000 and threshold = trunc(threshold)
      else threshold >= 60 and threshold <= 30 * 86400
    end
  ),
  constraint alert_rules_minimum_fits check (minimum between 1 and 1000000),
  constraint alert_rules_window_fits check (window_seconds between 60 and 90 * 86400),
  constraint alert_rules_severity_known check (severity in ('info', 'warning', 'critical')),
  constraint alert_rules_quiet_hours_are_two check ((quiet_from is null) = (quiet_until is null))
);
comment on table private.alert_rules is
  'Alert rules, changed by set_alert_rule(). Each is measured by the function private.rule_<kind>() and '
  'raises alerts of its kind.';
comment on column private.alert_rules.kind is 'The kind of its alerts; docs/runbook.md has each.';
comment on column private.alert_rules.threshold is 'From which figure on it tells, in its unit.';
comment on column private.alert_rules.unit is
  'share: a part of 1, 0.2 is a fifth. times: so many times what is usual. count: so many. seconds: so long.';
comment on column private.alert_rules.minimum is
  'How many must be there before it judges: the first decline of a small shop is no jump. Description says '
  'of what.';
comment on column private.alert_rules.window_seconds is
  'How far it looks back; null: it looks at what is now.';
comment on column private.alert_rules.severity is 'Severity of its alerts: info, warning or critical.';
comment on column private.alert_rules.once is
  'True: about a thing that has happened, told once for each. False: about a state, which opens again as '
  'long as it lasts, even if staff have resolved its alert.';
comment on column private.alert_rules.enabled is 'False: it does not tell, and what it told is over.';
comment on column private.alert_rules.quiet_from is
  'Quiet hours, in the shop''s time zone: from then until quiet_until nothing is opened. What is still so '
  'afterwards is told then. Null: none.';
comment on column private.alert_rules.quiet_until is 'End of the quiet hours; may be on the next day.';
comment on column private.alert_rules.description is 'What it tells, and what its minimum counts.';
comment on column private.alert_rules.updated_at is 'When it was last changed.';
alter table private.alert_rules enable row level security;

-- What the command says when a change does not fit.
comment on constraint alert_rules_threshold_fits on private.alert_rules is
  'threshold must be above 0 and at most 1 (share), 1 to 1000 (times), a whole number from 1 (count), 60 to '
  '2592000 (seconds)';
comment on constraint alert_rules_minimum_fits on private.alert_rules is 'minimum must be at least 1';
comment on constraint alert_rules_window_fits on private.alert_rules is
  'window_seconds must be 60 to 7776000, 90 days';
comment on constraint alert_rules_severity_known on private.alert_rules is
  'severity must be info, warning or critical';

insert into private.alert_rules (kind, threshold, unit, minimum, window_seconds, severity, description) values
  ('webhook_lag', 300, 'seconds', 5, 900, 'warning',
    'Deliveries arrive so late, one in twenty of them. Minimum: late deliveries.'),
  ('signature_failures', 3, 'count', 1, 900, 'critical',
    'Deliveries from Stripe''s own addresses, or from unknown ones, whose signature or time is wrong.'),
  ('job_backlog', 900, 'seconds', 1, null, 'critical',
    'A job is due so long, and nobody takes it. Jobs of a provider that is down do not count, nor mails '
    'while others leave. Minimum: jobs.'),
  ('scheduler_silent', 300, 'seconds', 1, 3600, 'critical',
    'Nobody had called retry-jobs for so long; told when somebody does again. Window: how long it is told.'),
  ('checkout_errors', 0.5, 'share', 5, 900, 'critical',
    'Share of checkouts that began and got no payment page. Minimum: checkouts.'),
  ('decline_rate', 0.2, 'share', 20, 3600, 'warning',
    'Refused orders exceed those of the same hour of the last four weeks by this share of the orders tried, '
    'and by more than chance makes. Minimum: orders tried.'),
  ('method_outage', 0.9, 'share', 12, 3600, 'warning',
    'This share of the orders tried with one brand of card or method was refused. Minimum: orders tried.'),
  ('refund_spike', 4, 'times', 6, 86400, 'warning',
    'So many times the refunds of the four weeks before, and more than chance makes. Minimum: refunds.'),
  ('refunds_by_one', 4, 'times', 15, 86400, 'warning',
    'One member of staff refunds or cancels so many times what they used to in the four weeks before, and '
    'more than chance makes. Minimum: refunds and cancellations.'),
  ('stock_leak', 3600, 'seconds', 1, null, 'warning',
    'Goods are held so long after nobody can pay for them any more. Minimum: holds.'),
  ('dispute_ratio', 0.01, 'share', 10, 2592000, 'warning',
    'Visa''s ratio: disputes and fraud reports to sales, in the window or at the pace of its last third. '
    'Visa calls 0.015 excessive, from 1500 a month on. Minimum: disputes and fraud reports.'),
  ('mail_bouncing', 0.2, 'share', 5, 86400, 'warning',
    'This share of the mails failed, bounced or brought a complaint. Minimum: such mails.'),
  ('key_mode_changed', 1, 'count', 1, 86400, 'critical',
    'The Stripe key is of another mode than it was within the window.'),
  ('admin_without_mfa', 600, 'seconds', 1, 86400, 'warning',
    'A member of staff is signed in with a password alone, for so long. Window: since when the session was '
    'last used.');
insert into private.alert_rules (kind, threshold, unit, minimum, window_seconds, severity, once, description)
values
  ('order_high_value', 15, 'times', 30, 86400, 'warning', true,
    'A paid order of so many times the usual amount waits to be sent. Minimum: orders that say what is '
    'usual.'),
  ('order_country_mismatch', 8, 'times', 30, 86400, 'warning', true,
    'The same of a card from another country than the delivery. Minimum: orders that say what is usual.'),
  ('order_many_pieces', 30, 'count', 1, 86400, 'warning', true,
    'A paid order of so many pieces waits to be sent.'),
  ('large_refund', 10, 'times', 30, 86400, 'warning', true,
    'A refund of so many times the usual order. Minimum: orders that say what is usual.'),
  ('erasure_done', 1, 'count', 1, 86400, 'info', true, 'Somebody was erased.');

create index alerts_unresolved_idx on public.alerts (kind) where status <> 'resolved';

create type private.alert_finding as (subject text, value numeric, data jsonb);
comment on type private.alert_finding is
  'What a rule has found: of what (an order''s number, a brand; empty: of the shop), how much, and the '
  'figures for staff. One alert for each subject; it is counted up when value grows.';

-- What became of a mail, as its provider reports it: late, twice, in any order.

create index notifications_provider_id_idx on public.notifications (provider_id)
  where provider_id is not null;

create function private.mail_rank(p_status text, p_delivered boolean) returns integer
language sql
immutable
set search_path = ''
as $$
  select coalesce(array_position(
    array['sent', 'failed', 'delivered', 'suppressed', 'bounced', 'complained'],
    case when p_status = 'sent' and p_delivered then 'delivered' else p_status end
  ), 0)
$$;
comment on function private.mail_rank(text, boolean) is
  'Order of what can be known of a mail; the highest stays, whichever was reported first: a mail server may '
  'take a mail and return it later, and who complains has got it. 0: not sent yet, or not to be.';

create function private.mail_arrived(p_status text) returns boolean
language sql
immutable
set search_path = ''
as $$
  select p_status in ('sent', 'complained')
$$;
comment on function private.mail_arrived(text) is
  'Whether a mail has reached its reader, as far as anybody knows.';

create function private.forget_mail_alerts(n public.notifications) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_repeated constant uuid[] := array(
    select m.id from public.notifications m
    where m.order_id = n.order_id and m.template = n.template and m.id <> n.id
      and n.dedupe_key ~ '^(resend|corrected):' and private.mail_subject(m) = private.mail_subject(n)
  );
begin
  update public.alerts a set status = 'resolved'
  where a.status <> 'resolved' and a.dedupe_key in (
    select concat_ws(':', k.kind, 'send_mail', m.order_id, m.template, nullif(m.dedupe_key, ''))
    from public.notifications m, unnest(array['job_dead', 'job_discarded', 'mail_failed']) as k (kind)
    where m.id = n.id or m.id = any (v_repeated)
  );
  -- What was given up is said by now: health does not wait for it any more.
  with buried as (
    update private.jobs j set status = 'discarded'
    where j.kind = 'send_mail' and j.status = 'dead'
      and j.payload ->> 'notification_id' = any ((v_repeated || n.id)::text[])
    returning (j.payload ->> 'notification_id')::uuid as id
  )
  update public.notifications m set status = 'skipped', last_error = 'it was sent again meanwhile'
  from buried where m.id = buried.id and m.status = 'queued';
end;
$$;
comment on function private.forget_mail_alerts(public.notifications) is
  'Resolves the alerts about a mail that has gone out after all, perhaps as a repeat or a correction that '
  'staff asked for, and ends what it repeats where that was given up; nothing of another parcel''s or '
  'refund''s.';

create function private.take_mail_event(
  n public.notifications,
  p_provider_id text,
  p_status text,
  p_recipient text,
  p_at timestamptz,
  p_detail text
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_delivered constant boolean := p_status = 'delivered';
  v_status constant text := case
    -- That it was delivered is kept of a mail that came back, too.
    when private.mail_rank(p_status, false) <= private.mail_rank(n.status, false) then n.status
    when v_delivered then 'sent' else p_status
  end;
begin
  update public.notifications set
    status = v_status, sent_at = coalesce(sent_at, p_at),
    delivered_at = case when v_delivered then p_at else delivered_at end,
    provider_id = coalesce(provider_id, p_provider_id),
    -- The provider knows where it went: what a worker noted may be the address of a repeat that it refused.
    recipient = coalesce(private.recipient_to_keep(order_id, p_recipient), recipient),
    last_error = case
      when private.mail_arrived(v_status) then null when v_delivered then last_error else p_detail
    end
  where id = n.id;
  if private.mail_arrived(v_status) then
    perform private.forget_mail_alerts(n);
  end if;
  if not v_delivered then
    perform private.note_mail_event(n, p_status);
  end if;
end;
$$;
comment on function private.take_mail_event(public.notifications, text, text, text, timestamptz, text) is
  'Notes what became of a mail, and on its order that it did not arrive or was unwelcome.';

create type public.mail_event_outcome as (outcome text, order_id uuid);
comment on type public.mail_event_outcome is
  'What was made of a report about a mail: recorded; unchanged: the same or more is known; unknown: no mail '
  'of ours. And the order that the mail is about.';

create function public.record_mail_event(
  p_notification_id uuid,
  p_provider_id text,
  p_status text,
  p_permanent boolean,
  p_recipient text,
  p_at timestamptz,
  p_detail text
) returns public.mail_event_outcome
language plpgsql
security definer
set search_path = ''
as $$
declare
  n public.notifications;
begin
  -- By our own id first: the worker may have died before it could note the provider's.
  select * into n from public.notifications x
  where x.id = p_notification_id or (p_notification_id is null and x.provider_id = p_provider_id)
  for update;
  if not found then
    return row('unknown', null)::public.mail_event_outcome;
  elsif private.mail_rank(p_status, false) <= private.mail_rank(n.status, n.delivered_at is not null)
    and (p_status <> 'delivered' or n.delivered_at is not null)
  then
    return row('unchanged', n.order_id)::public.mail_event_outcome;
  end if;
  perform private.take_mail_event(n, p_provider_id, p_status, p_recipient, p_at, p_detail);
  if p_status = 'failed' then
    perform private.raise_alert(
      'mail_failed', 'warning',
      concat_ws(':', 'mail_failed', 'send_mail', n.order_id, n.template, nullif(n.dedupe_key, '')),
      jsonb_build_object('notification_id', n.id, 'order_id', n.order_id, 'template', n.template)
    );
  elsif p_status = 'complained' or (p_status = 'bounced' and p_permanent) then
    -- Of the address it was sent to: the order may have another one since.
    insert into public.mail_suppressions (email_hmac, reason)
    select private.email_hmac(r), p_status from coalesce(p_recipient, n.recipient) r where r is not null
    on conflict on constraint mail_suppressions_pkey do nothing;
  end if;
  return row('recorded', n.order_id)::public.mail_event_outcome;
end;
$$;
comment on function public.record_mail_event(uuid, text, text, boolean, text, timestamptz, text) is
  'Notes what the provider says became of a mail: delivered, failed, suppressed, bounced, complained. A '
  'bounce for good (p_permanent) and a complaint suppress the address; repeats do not, so that a '
  'suppression that was lifted stays lifted; staff are told of a mail that the provider had taken and did '
  'not send.';
grant execute on function public.record_mail_event(uuid, text, text, boolean, text, timestamptz, text)
  to service_role;

-- What a mail can show of its order.

create function private.mail_templates() returns text[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array[
    'duplicate_payment_refunded', 'order_cancelled', 'order_confirmation', 'order_shipped',
    'order_unfulfillable', 'payment_declined', 'payment_failed', 'payment_processing', 'payment_reminder',
    'refund_failed', 'refund_issued', 'refund_settled'
  ];
end;
$$;
comment on function private.mail_templates() is 'The names of all mails to customers, in alphabetical order.';

create function private.chosen_shipping(o public.orders) returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_names text[];
begin
  select array_agg(distinct r ->> 'name') into v_names
  from jsonb_array_elements(o.shipping_rates) r where (r ->> 'amount')::bigint = o.amount_shipping;
  return case when cardinality(v_names) = 1 then v_names[1] end;
end;
$$;
comment on function private.chosen_shipping(public.orders) is
  'The name of the delivery price that the order was paid with. Null where none or several offered ones cost '
  'as much: Stripe does not say which was chosen.';

create function private.mail_order(o public.orders) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'number', o.number, 'status', o.status, 'fulfillment_status', o.fulfillment_status,
    'currency', o.currency,
    'amount_subtotal', o.amount_subtotal, 'amount_discount', o.amount_discount,
    'amount_shipping', o.amount_shipping,
    'amount_tax', o.amount_tax, 'amount_total', o.amount_total, 'amount_refunded', o.amount_refunded,
    'amount_paid', o.amount_paid, 'presentment', private.presentment(o),
    'customer_name', o.customer_name, 'shipping_name', o.shipping_name,
    'shipping_address', o.shipping_address, 'billing_address', o.billing_address,
    'shipping_method', private.chosen_shipping(o),
    'locale', o.locale,
    'created_at', o.created_at, 'paid_at', o.paid_at,
    'card', (
      select jsonb_build_object('brand', p.card_brand, 'last4', p.card_last4)
      from public.payments p where p.id = o.payment_id
    ),
    'business', (select s.business from public.checkout_sessions s where s.id = o.session_id),
    'decline', (
      select jsonb_build_object(
        'failure_code', a.failure_code, 'decline_code', a.decline_code, 'advice_code', a.advice_code,
        'method', a.payment_method_type
      )
      from public.payment_attempts a
      where a.order_id = o.id and a.outcome in ('failed', 'blocked')
      order by a.created_at desc, a.id desc limit 1
    ),
    'items', coalesce((
      select jsonb_agg(
        jsonb_build_object(
          'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount,
          'image_url', coalesce(v.image_url, p.image_url)
        ) order by i.sku
      )
      from public.order_items i
      join public.product_variants v on v.id = i.variant_id
      join public.products p on p.id = v.product_id
      where i.order_id = o.id and i.quantity > 0
    ), '[]')
  );
end;
$$;
comment on function private.mail_order(public.orders) is
  'What mails show of an order. Names and prices are those of the order; pictures are the catalogue''s of '
  'today.';

create function private.refunded_items(p_refund_id text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(
      jsonb_build_object('name', i.name, 'quantity', l.quantity) order by i.sku collate "C"
    )
    from public.refunds r
    join public.refund_lines l on l.refund_id = r.id or l.request_id = r.request_id
    join public.order_items i on i.id = l.order_item_id
    where r.id = p_refund_id
  );
end;
$$;
comment on function private.refunded_items(text) is
  'The pieces whose money a refund gives back: [{ name, quantity }]. Null for a refund of an amount alone.';

create function public.get_notification(p_notification_id uuid) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'id', n.id,
    'order_id', n.order_id,
    'template', n.template,
    'status', n.status,
    'recipient', r.recipient,
    'recipient_hmac', private.email_hmac(r.recipient),
    'suppression', private.mail_suppression(n.template, r.recipient),
    'is_sent', n.sent_at is not null,
    'is_reminder', private.is_reminder(n.template),
    'data', case
      when n.data ? 'refund_id'
      then n.data || jsonb_build_object(
        'items', private.refunded_items(n.data ->> 'refund_id'),
        'details_needed', exists (
          select 1 from public.refunds f
          where f.id = n.data ->> 'refund_id' and f.status = 'requires_action'
        ),
        'presentment', (
          select private.refund_presentment(r) from public.refunds r where r.id = n.data ->> 'refund_id'
        )
      )
      else n.data
    end,
    'problem', private.notification_problem(n, o),
    'order', private.mail_order(o),
    'shop', private.shop()
  )
  from public.notifications n
  join public.orders o on o.id = n.order_id
  -- Decided as it is sent: a try that failed does not hold an address that has been corrected since.
  cross join lateral (
    select case when n.sent_at is not null then n.recipient else private.mail_recipient(o) end as recipient
  ) r
  where n.id = p_notification_id
$$;
comment on function public.get_notification(uuid) is
  'A mail with all that its template shows, or null. recipient null: no address is known yet; suppression: '
  'why it must not go there, or null. A mail about a refund names its pieces in data.items, as they are '
  'known when it is sent (a refund of the dashboard may have been assigned to lines since), in '
  'data.presentment what the customer gets where they paid in another currency, and in data.details_needed '
  'whether Stripe is asking the customer where its money should go.';
grant execute on function public.get_notification(uuid) to service_role;

-- The day in one message to staff.

insert into private.settings (key, value, description) values
  (
    'digest_hour', '7',
    'Hour of the day, in the shop''s time zone, from which staff are sent the digest of the day before; '
    'null: never.'
  );
alter table private.settings
  add constraint settings_digest_hour_fits
    check (key <> 'digest_hour' or value = 'null' or value #>> '{}' ~ '^([0-9]|1[0-9]|2[0-3])$');

create function private.queue_digest(p_now timestamptz default now()) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_local constant timestamp := p_now at time zone (private.setting('shop_time_zone') #>> '{}');
begin
  if coalesce(extract(hour from v_local) < (private.setting('digest_hour') #>> '{}')::integer, true) then
    return false;
  end if;
  return private.enqueue_job(
    'send_digest', 'send_digest:' || v_local::date, jsonb_build_object('day', v_local::date - 1), now(), 150
  );
end;
$$;
comment on function private.queue_digest(timestamptz) is
  'Queues the digest of the day before once a day, from digest_hour on. Returns whether it did.';

create function private.digest_money(p_day date, p_livemode boolean, out sales jsonb, out refunds jsonb)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_zone constant text := private.setting('shop_time_zone') #>> '{}';
  v_from constant timestamptz := p_day::timestamp at time zone v_zone;
  v_until constant timestamptz := (p_day + 1)::timestamp at time zone v_zone;
begin
  sales := (
    select coalesce(jsonb_agg(to_jsonb(x) order by x.currency), '[]') from (
      select o.currency, count(*) as count, sum(o.amount_paid)::bigint as amount
      from public.orders o where o.livemode = p_livemode and o.paid_at >= v_from and o.paid_at < v_until
      group by o.currency
    ) x
  );
  refunds := (
    select coalesce(jsonb_agg(to_jsonb(x) order by x.currency), '[]') from (
      select r.currency, count(*) as count, sum(r.amount)::bigint as amount
      from public.refunds r join public.payments p on p.id = r.payment_id
      where p.livemode = p_livemode and r.succeeded_at >= v_from and r.succeeded_at < v_until
      group by r.currency
    ) x
  );
end;
$$;
comment on function private.digest_money(date, boolean) is
  'Orders paid and refunds that succeeded on a day in the shop''s time zone, in one mode: [{ currency, '
  'count, amount }], amounts in minor units.';

create function public.get_digest(p_day date, p_livemode boolean) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  c_known_within constant interval := '30 days';
  v_zone constant text := private.setting('shop_time_zone') #>> '{}';
  -- A day has 23 or 25 hours where the clocks change.
  v_from constant timestamptz := p_day::timestamp at time zone v_zone;
  v_until constant timestamptz := (p_day + 1)::timestamp at time zone v_zone;
begin
  return to_jsonb(private.digest_money(p_day, p_livemode)) || jsonb_build_object(
    'day', p_day,
    'to_ship', (
      select count(*) from public.orders o
      where o.fulfillment_status = 'unfulfilled' and o.status in ('paid', 'partially_refunded')
        and o.livemode = p_livemode
    ),
    'attention', (
      select coalesce(jsonb_object_agg(x.reason, x.orders), '{}') from (
        select reason, count(*) as orders
        from reporting.orders_needing_attention a, unnest(a.reasons) reason
        where a.livemode = p_livemode
        group by reason
      ) x
    ),
    'disputes', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.evidence_due_by), '[]') from (
        select d.order_number, d.amount, d.currency, d.evidence_due_by
        from reporting.disputes_due d
        where d.livemode = p_livemode and d.evidence_due_by < v_until + interval '7 days'
      ) x
    ),
    'alerts', (
      select coalesce(jsonb_object_agg(x.kind, x.alerts), '{}') from (
        select a.kind, count(*) as alerts from public.alerts a where a.status <> 'resolved' group by a.kind
      ) x
    ),
    'mails_failed', (
      -- By the day on which it was known: a server that is full gives a mail back days later.
      select count(*) from public.notifications n join public.orders o on o.id = n.order_id
      where o.livemode = p_livemode and n.status in ('failed', 'bounced', 'complained')
        and n.created_at >= v_from - c_known_within and n.created_at < v_until
        and exists (
          select 1 from public.order_events e
          where e.order_id = n.order_id and e.data ->> 'notification_id' = n.id::text
            and e.kind in ('mail_failed', 'mail_bounced', 'mail_complained')
            and e.created_at >= v_from and e.created_at < v_until
        )
    ),
    'shop', private.shop()
  );
end;
$$;
comment on function public.get_digest(date, boolean) is
  'The day as staff are told of it, without what was tried out in the other mode: { day, sales, refunds, '
  'to_ship, attention: orders by reason, disputes whose deadline is within seven days, alerts: open ones by '
  'kind, mails_failed, shop }.';
grant execute on function public.get_digest(date, boolean) to service_role;

-- Mails that bring an unpaid order back: one after a decline that was left at that, and reminders after its
-- page has expired. Found by the clock from the state of orders, so that a setting that changes holds for
-- all.

create function private.recovery_setting_fits(p_key text, p_value jsonb) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case p_key
    when 'recovery_decline_minutes' then p_value = 'null' or (
      jsonb_typeof(p_value) = 'number' and p_value #>> '{}' ~ '^[0-9]{1,4}$'
    )
    when 'recovery_reminder_hours' then
      jsonb_typeof(p_value) = 'array'
      and not jsonb_path_exists(p_value, '$[*] ? (@.type() != "number" || @ <= 0 || @ > 720)')
      and p_value = (select coalesce(jsonb_agg(distinct h), '[]') from jsonb_array_elements(p_value) h)
      and jsonb_array_length(p_value) <= 5
    when 'recovery_needs_consent' then jsonb_typeof(p_value) = 'boolean'
    else true
  end;
end;
$$;
comment on function private.recovery_setting_fits(text, jsonb) is
  'Whether a setting that begins with recovery_ has a value that makes sense: minutes or null; at most five '
  'numbers of hours up to 720, each greater than the one before; true or false. Others always fit.';

alter table private.settings
  add constraint settings_recovery_fits check (private.recovery_setting_fits(key, value));

insert into private.settings (key, value, description) values
  (
    'recovery_decline_minutes', '15',
    'Minutes after a decline, with nothing paid since and the payment page still open, when its shopper is '
    'mailed; null: never.'
  ),
  (
    'recovery_reminder_hours', '[1, 24]',
    'Hours after an unpaid page has expired when a reminder with a link goes out, one for each; []: never.'
  ),
  (
    'recovery_needs_consent', 'false',
    'true: reminders go only to shoppers who agreed (accepts_marketing of create-checkout-session, or '
    'promotions on Stripe''s page).'
  );

create index orders_unpaid_expired_idx on public.orders (session_expires_at) where status = 'expired';
create index orders_email_idx on public.orders (lower(email));

create function private.sold_out(p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1
    from public.order_items i
    join public.orders o on o.id = i.order_id
    join public.product_variants v on v.id = i.variant_id
    left join public.inventory_levels l on l.variant_id = v.id
    where i.order_id = p_order_id
      and (not private.is_offered(v, o.currency) or coalesce(l.available, 0) < i.quantity)
  );
end;
$$;
comment on function private.sold_out(uuid) is
  'Whether an order that holds no stock could not be bought now: a piece is gone, or no longer offered.';

create function private.bought_meanwhile(o public.orders) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.orders other
    where lower(other.email) = lower(o.email) and other.id <> o.id and other.livemode = o.livemode
      and (other.created_at > o.created_at and other.cancelled_at is null or other.paid_at > o.created_at)
  );
end;
$$;
comment on function private.bought_meanwhile(public.orders) is
  'Whether the same address has begun another order since, or paid one: nobody is reminded of what they '
  'have replaced.';

create function private.may_be_reminded(o public.orders) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(
    o.accepts_marketing,
    (
      select bool_or(s.promotions_consent = 'opt_in') from public.checkout_sessions s
      where s.order_id = o.id and s.promotions_consent is not null
    ),
    private.setting('recovery_needs_consent') <> 'true'
  );
end;
$$;
comment on function private.may_be_reminded(public.orders) is
  'Whether a shopper may be reminded: what they said at our checkout counts, else what they chose on '
  'Stripe''s page, else the setting recovery_needs_consent.';

create function private.recovery_problem(o public.orders, p_template text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  if o.session_id is not null then
    return 'the order has been paid';
  elsif o.cancelled_at is not null then
    return 'the order has been cancelled';
  elsif o.status = 'processing' then
    return 'a payment is under way';
  elsif p_template = 'payment_reminder' and o.status <> 'expired' then
    return 'the order is open again';
  elsif p_template = 'payment_declined' and not exists (
    select 1 from public.checkout_sessions s
    where s.order_id = o.id and s.status = 'open' and s.closing_at is null
  ) then
    return 'the payment page has closed';
  end if;
  -- Who tests cards gives the addresses of others.
  if exists (select 1 from public.fraud_signals f where f.order_id = o.id and f.kind = 'velocity') then
    return 'a velocity rule was hit';
  elsif exists (
    select 1 from public.payment_attempts a where a.order_id = o.id and a.outcome = 'blocked'
  ) then
    return 'a payment was blocked';
  elsif private.reminders_unsubscribed(private.mail_recipient(o)) then
    return 'the shopper has unsubscribed';
  elsif private.bought_meanwhile(o) then
    return 'the shopper has ordered again';
  elsif p_template = 'payment_declined' then
    return null;
  elsif not private.may_be_reminded(o) then
    return 'the shopper has not agreed to reminders';
  elsif private.sold_out(o.id) then
    return 'the goods are sold out';
  elsif not private.can_deliver(o.currency, o.asked_country) then
    return 'nothing can be delivered';
  end if;
  return null;
end;
$$;
comment on function private.recovery_problem(public.orders, text) is
  'Why an unpaid order is not mailed about, or null. Asked when the mail is queued and again when it is '
  'sent.';

create function private.recovery_due(p_now timestamptz)
returns table (order_id uuid, template text, step integer)
language plpgsql
stable
set search_path = ''
as $$
declare
  -- A mail that is late by more says something else than it should: left out after an outage.
  c_late constant interval := '6 hours';
  v_decline constant interval := make_interval(
    mins => (private.setting('recovery_decline_minutes') #>> '{}')::integer
  );
  v_hours constant double precision[] := array(
    select h::double precision
    from jsonb_array_elements_text(private.setting('recovery_reminder_hours')) h
  );
begin
  return query
  select o.id, 'payment_declined', 1
  from public.orders o
  cross join lateral (
    -- Somebody who is still trying is not interrupted.
    select max(a.created_at) as last_at from public.payment_attempts a
    where a.order_id = o.id and a.outcome = 'failed'
  ) d
  where o.status = 'pending' and o.erased_at is null
    and d.last_at <= p_now - v_decline and d.last_at > p_now - v_decline - c_late;

  return query
  select o.id, 'payment_reminder', s.step
  from public.orders o
  cross join lateral (
    select max(h.step)::integer as step, max(h.hours) as hours
    from unnest(v_hours) with ordinality h (hours, step)
    where o.session_expires_at <= p_now - make_interval(secs => h.hours * 3600)
  ) s
  where o.status = 'expired' and o.erased_at is null
    and o.session_expires_at > p_now - make_interval(secs => s.hours * 3600) - c_late
    and o.session_expires_at > p_now - make_interval(secs => v_hours[cardinality(v_hours)] * 3600) - c_late;
end;
$$;
comment on function private.recovery_due(timestamptz) is
  'Unpaid orders whose time for a mail has come at p_now: payment_declined once, payment_reminder by step. '
  'Whether they had it, and whether something speaks against it, is not asked here.';

create function private.queue_recovery_mails(p_now timestamptz default now()) returns integer
language plpgsql
set search_path = ''
as $$
declare
  r record;
  o public.orders;
  v_queued integer := 0;
begin
  for r in
    select d.* from private.recovery_due(p_now) d
    where not exists (
      select 1 from public.notifications n
      where n.order_id = d.order_id and n.template = d.template and n.dedupe_key between d.step::text and '9'
    )
  loop
    select * into o from public.orders x where x.id = r.order_id;
    continue when private.mail_recipient(o) is null or private.recovery_problem(o, r.template) is not null;
    if private.queue_notification(r.order_id, r.template, r.step::text) then
      perform private.record_order_event(
        r.order_id, 'recovery_mail_queued', 'schedule',
        jsonb_build_object('template', r.template, 'step', r.step)
      );
      v_queued := v_queued + 1;
    end if;
  end loop;
  return v_queued;
end;
$$;
comment on function private.queue_recovery_mails(timestamptz) is
  'Queues the mails to shoppers who left without paying that are due at p_now, each once, and notes them in '
  'the order''s trail. A reminder that was left out does not follow a later one. Returns how many.';
