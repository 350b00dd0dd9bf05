-- The daily update of the addresses that Stripe posts webhooks from.

create table private.webhook_address_changes (
  id bigint generated always as identity primary key,
  added jsonb not null,
  removed jsonb not null,
  changed_at timestamptz not null default now()
);
comment on table private.webhook_address_changes is
  'Append-only: what each update added to and removed from the addresses that may post webhooks.';
alter table private.webhook_address_changes enable row level security;

create type public.webhook_address_change as (added text[], removed text[]);
comment on type public.webhook_address_change is
  'What an update added to and removed from the addresses that may post webhooks.';

create function public.replace_webhook_addresses(p_addresses text[]) returns public.webhook_address_change
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_addresses inet[] := array(select distinct a::inet from unnest(p_addresses) a);
  v_known integer := (select count(*) from public.stripe_webhook_ips);
  v_change public.webhook_address_change;
begin
  -- A cut or wrong page would shut Stripe out: Stripe never took away half of its addresses at once.
  if cardinality(v_addresses) = 0 or cardinality(v_addresses) * 2 < v_known then
    raise exception 'a list of % addresses cannot replace one of %', cardinality(v_addresses), v_known
      using errcode = 'SHINV';
  end if;
  with gone as (
    delete from public.stripe_webhook_ips
    where not address = any (v_addresses) returning host(address) as address
  )
  select coalesce(array_agg(gone.address), '{}') into v_change.removed from gone;
  with new as (
    insert into public.stripe_webhook_ips (address) select unnest(v_addresses) on conflict do nothing
    returning host(address) as address
  )
  select coalesce(array_agg(new.address), '{}') into v_change.added from new;
  insert into private.heartbeats (name)
  values ('webhook_addresses') on conflict (name) do update set last_at = now();
  if cardinality(v_change.added) > 0 or cardinality(v_change.removed) > 0 then
    insert into private.webhook_address_changes (added, removed)
    values (to_jsonb(v_change.added), to_jsonb(v_change.removed));
    perform private.raise_alert(
      'webhook_addresses_changed', 'info',
      'webhook_addresses_changed', to_jsonb(v_change)
    );
  end if;
  return v_change;
end;
$$;
comment on function public.replace_webhook_addresses(text[]) is
  'Takes over Stripe''s published list of webhook addresses; a change is '
  'written down and told to staff. SHINV: the list is empty or has shrunk by more than half.';
grant execute on function public.replace_webhook_addresses(text[]) to service_role;
