-- What is known of confirmed fraud, for the lists that Radar's rules read.

create function private.confirmed_fraud(p_livemode boolean) returns table (order_id uuid, since timestamptz)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.id, max(x.at)
  from (
    select d.order_id, d.created_at as at
    from public.disputes d where d.reason = 'fraudulent' and d.status <> 'warning_closed'
    union all
    -- A warning that staff looked at and released is none any more.
    select f.order_id, f.created_at
    from public.fraud_signals f
    where f.kind = 'early_fraud_warning' and f.was_actionable and f.released_at is null
  ) x
  join public.orders o on o.id = x.order_id
  where o.livemode = p_livemode
    and x.at > now() - private.retention('signal')
    -- The bank has found that it was the cardholder after all.
    and not exists (select 1 from public.disputes d where d.order_id = o.id and d.status = 'won')
  group by o.id;
end;
$$;
comment on function private.confirmed_fraud(boolean) is
  'Orders whose cardholder, or whose bank, says that it was not them, in the last retention_signal_days: '
  'disputed as fraudulent, and neither won nor closed as a mere inquiry, or reported by an early fraud '
  'warning that staff have not released.';

create type public.fraud_value as (item_type text, value text);
comment on type public.fraud_value is 'A value for one of Radar''s lists, under Stripe''s name of its type.';

create function public.get_fraud_values(p_livemode boolean) returns public.fraud_value[]
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return array(
    select distinct row(v.item_type, v.value)::public.fraud_value as item
    from private.confirmed_fraud(p_livemode) c
    join public.orders o on o.id = c.order_id
    cross join lateral (
      select 'email' as item_type, lower(btrim(o.email)) as value
      union all
      select 'ip_address', host(o.purchase_ip)
      union all
      select 'card_fingerprint', a.card_fingerprint
      from public.payment_attempts a where a.order_id = o.id and a.outcome = 'succeeded'
    ) v
    where v.value <> ''
    order by item
  );
end;
$$;
comment on function public.get_fraud_values(boolean) is
  'What confirmed fraud was done with, for Radar''s value lists: addresses, networks'' addresses and '
  'fingerprints of cards. What was erased or has been cleared is gone from it. An array, which no limit on '
  'rows cuts: what is missing here leaves the lists.';
grant execute on function public.get_fraud_values(boolean) to service_role;
