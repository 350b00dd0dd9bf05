-- What Stripe posted, word for word, and what was turned away.

create table public.webhook_events (
  id text primary key,
  type text not null,
  status text not null,
  attempts integer not null default 0,
  delivery_count integer not null default 0,
  delivered_at timestamptz,
  livemode boolean not null,
  api_version text,
  stripe_created_at timestamptz not null,
  received_at timestamptz not null default now(),
  processed_at timestamptz,
  next_attempt_at timestamptz,
  last_error text,
  ignored_reason text,
  source_ip inet,
  object_id text,
  payload jsonb not null,
  constraint webhook_events_status_known check (status in ('processed', 'ignored', 'failed', 'dead')),
  constraint webhook_events_delivered_has_time check ((delivery_count > 0) = (delivered_at is not null))
);
comment on table public.webhook_events is
  'Every authentic event, once. The primary key is Stripe''s event id: a second delivery only counts up. '
  'After retention_event_days only the id is left, in private.purged_webhook_events.';
comment on column public.webhook_events.id is 'The event at Stripe, evt_….';
comment on column public.webhook_events.type is
  'What happened, in Stripe''s words: checkout.session.completed, charge.refunded, ….';
comment on column public.webhook_events.status is
  'processed; ignored: see ignored_reason; failed: tried again at next_attempt_at; dead: given up.';
comment on column public.webhook_events.livemode is 'False: of test mode.';
comment on column public.webhook_events.api_version is 'The version of Stripes API that it was written in.';
comment on column public.webhook_events.stripe_created_at is 'When it happened at Stripe.';
comment on column public.webhook_events.processed_at is
  'When its facts were last applied, or it was ignored.';
comment on column public.webhook_events.next_attempt_at is 'When it is tried again; null: not at all.';
comment on column public.webhook_events.last_error is 'Why it failed the last time.';
comment on column public.webhook_events.ignored_reason is 'Why nothing was done with it.';
comment on column public.webhook_events.source_ip is 'Where it was delivered from.';
comment on column public.webhook_events.object_id is
  'The object at Stripe that it is about (cs_…, pi_…, ch_…): stays when the payload goes. Null: a customer.';
comment on column public.webhook_events.payload is 'What Stripe sent; emptied after retention_payload_days.';
comment on column public.webhook_events.delivery_count is
  'How often Stripe delivered it to stripe-webhook. 0: never; it was fetched by reconciliation.';
comment on column public.webhook_events.delivered_at is 'When Stripe last delivered it; null: never.';
comment on column public.webhook_events.received_at is 'When it was stored, delivered or fetched.';
comment on column public.webhook_events.attempts is 'How often its facts were applied or tried.';
create index webhook_events_received_at_idx on public.webhook_events (received_at desc);
create index webhook_events_delivered_at_idx on public.webhook_events (livemode, delivered_at desc)
  where delivered_at is not null;
create index webhook_events_object_id_idx on public.webhook_events (object_id);
create index webhook_events_customer_idx on public.webhook_events ((payload #>> '{data,object,id}'))
  where type in ('customer.updated', 'customer.deleted');

create table private.purged_webhook_events (id text primary key);
comment on table private.purged_webhook_events is
  'The ids of events whose rows went after retention_event_days: should one come again, it is a duplicate.';
alter table private.purged_webhook_events enable row level security;

create function private.was_purged(p_event_id text, p_stripe_created_at timestamptz) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- No row goes sooner, so what is new is not looked for; clocks may differ by some days.
  return p_stripe_created_at < now() - interval '50 days' and exists (
    select 1 from private.purged_webhook_events p where p.id = p_event_id
  );
end;
$$;
comment on function private.was_purged(text, timestamptz) is
  'Whether an event was stored once, and its row has gone since (purge_events()).';

create table public.webhook_rejections (
  id bigint generated always as identity primary key,
  reason text not null,
  source_ip inet,
  count bigint not null default 1,
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  constraint webhook_rejections_reason_source_key unique nulls not distinct (reason, source_ip)
);
comment on table public.webhook_rejections is
  'Requests refused by stripe-webhook, counted by reason and address. Bounded: past 10 000 rows new '
  'addresses are counted under ::, unless they are Stripe''s. Null: the address is not known.';

create table public.stripe_webhook_ips (
  address inet primary key,
  added_at timestamptz not null default now()
);
comment on table public.stripe_webhook_ips is
  'Addresses that Stripe posts webhooks from (stripe.com/files/ips/ips_webhooks.json); refreshed daily by a '
  'job.';

-- The published list of 2026; the daily job replaces it.
insert into public.stripe_webhook_ips (address) values
  ('3.18.12.63'), ('3.69.109.8'), ('3.120.168.93'), ('3.130.192.231'), ('13.235.14.237'), ('13.235.122.149'),
  ('18.211.135.69'), ('35.154.171.200'), ('35.157.207.129'), ('52.15.183.38'), ('54.88.130.119'),
  ('54.88.130.237'), ('54.187.174.169'), ('54.187.205.235'), ('54.187.216.72');

alter table public.webhook_events enable row level security;
alter table public.webhook_rejections enable row level security;
alter table public.stripe_webhook_ips enable row level security;
create policy webhook_events_read on public.webhook_events for select to authenticated
  using ((select private.is_admin()));
create policy webhook_rejections_read on public.webhook_rejections for select to authenticated
  using ((select private.is_admin()));
create policy stripe_webhook_ips_read on public.stripe_webhook_ips for select to authenticated
  using ((select private.is_admin()));
revoke all on public.webhook_events, public.webhook_rejections, public.stripe_webhook_ips
  from public, anon, authenticated, service_role;
revoke all on sequence public.webhook_rejections_id_seq from public, anon, authenticated, service_role;
grant select on public.webhook_events, public.webhook_rejections, public.stripe_webhook_ips
  to authenticated, service_role;

create function public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer default 1)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- Room for every honest misconfiguration and a good picture of an attack, while a spoofed flood stays
  -- small.
  c_addresses_max constant integer := 10000;
  v_source_ip inet := p_source_ip::inet;
begin
  perform private.count_metric('webhook_refusals', array[p_reason], p_count);
  update public.webhook_rejections set count = count + p_count, last_at = now()
  where reason = p_reason and source_ip is not distinct from v_source_ip;
  if found then
    return;
  end if;
  if v_source_ip is not null and (
    select count(*) from (select 1 from public.webhook_rejections limit c_addresses_max) counted
  ) >= c_addresses_max and not exists (
    select 1 from public.stripe_webhook_ips i where i.address = v_source_ip
  ) then
    v_source_ip := '::';
  end if;
  insert into public.webhook_rejections as r (reason, source_ip, count)
  values (p_reason, v_source_ip, p_count)
  on conflict on constraint webhook_rejections_reason_source_key
  do update set count = r.count + excluded.count, last_at = now();
end;
$$;
comment on function public.record_webhook_rejection(text, text, integer) is
  'Counts p_count refused webhook requests under (reason, address). p_source_ip null: address unknown. Past '
  '10 000 rows, new addresses but Stripe''s are counted under ::.';
grant execute on function public.record_webhook_rejection(text, text, integer) to service_role;

create type public.webhook_allowlist as (addresses text[], refreshed_at timestamptz);
comment on type public.webhook_allowlist is
  'The addresses that Stripe posts webhooks from, and when the newest of them was added.';

create function public.get_webhook_allowlist() returns public.webhook_allowlist
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(array_agg(host(address) order by address), '{}'), max(added_at)
  from public.stripe_webhook_ips
$$;
comment on function public.get_webhook_allowlist() is
  'The addresses Stripe posts from, as text. The webhook function caches them.';
grant execute on function public.get_webhook_allowlist() to service_role;
