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
