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
