-- The daily update of the addresses that Stripe posts webhooks from.

create function public.replace_webhook_addresses(p_addresses text[]) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_addresses inet[] := array(select distinct a::inet from unnest(p_addresses) a);
  v_added jsonb;
  v_removed jsonb;
begin
  if cardinality(v_addresses) = 0 then
    raise exception 'an empty list would shut Stripe out' using errcode = 'KCINV';
  end if;
  with gone as (
    delete from public.stripe_webhook_ips where not address = any (v_addresses) returning host(address) as address
  )
  select coalesce(jsonb_agg(gone.address), '[]') into v_removed from gone;
  with new as (
    insert into public.stripe_webhook_ips (address) select unnest(v_addresses) on conflict do nothing returning host(address) as address
  )
  select coalesce(jsonb_agg(new.address), '[]') into v_added from new;
  insert into private.heartbeats (name) values ('webhook_addresses') on conflict (name) do update set last_at = now();
  if v_added <> '[]' or v_removed <> '[]' then
    perform private.raise_alert(
      'webhook_addresses_changed', 'info', 'webhook_addresses_changed', jsonb_build_object('added', v_added, 'removed', v_removed)
    );
  end if;
  return jsonb_build_object('added', v_added, 'removed', v_removed);
end;
$$;
comment on function public.replace_webhook_addresses(text[]) is
  'Takes over Stripe''s published list of webhook addresses. Returns { added, removed } and tells staff when something changed. KCINV: the list is empty.';
revoke execute on function public.replace_webhook_addresses(text[]) from public, anon, authenticated;
grant execute on function public.replace_webhook_addresses(text[]) to service_role;
