-- Velocity: which rules are worth measuring. Most shoppers have done nothing yet: few rules can hit them.

create function private.recent_activity(
  p_subject text,
  p_key text,
  p_since timestamptz,
  out o_orders timestamptz[],
  out o_attempts timestamptz[],
  out o_holds boolean
)
language plpgsql
stable
set search_path = ''
as $$
declare
  -- A payment page stays open for a day at most, so an order may be that much older than its attempts.
  v_since timestamptz := p_since - interval '1 day';
  v_ids uuid[];
begin
  if p_subject not in ('user', 'email', 'address') then
    return;
  end if;
  select array_agg(t.id), coalesce(array_agg(t.created_at), '{}'),
    coalesce(bool_or(t.status in ('pending', 'processing')), false)
  into v_ids, o_orders, o_holds
  from (
    select o.id, o.created_at, o.status from public.orders o
    where p_subject = 'email' and private.email_key(o.email) = p_key
    union all
    select o.id, o.created_at, o.status from public.orders o
    where p_subject = 'address' and o.purchase_ip <<= p_key::inet
      and private.address_key(o.purchase_ip, 48) = private.address_key(p_key::inet, 48)
    union all
    select o.id, o.created_at, o.status
    from public.orders o join public.customers c on c.id = o.customer_id
    where p_subject = 'user' and c.user_id = p_key::uuid
  ) t
  where t.created_at >= v_since or t.status in ('pending', 'processing');
  o_attempts := case when v_ids is null then '{}' else array(
    select a.created_at from public.payment_attempts a
    where a.order_id = any (v_ids) and a.created_at >= p_since
  ) end;
end;
$$;
comment on function private.recent_activity(text, text, timestamptz) is
  'When a subject of the velocity rules ordered and tried to pay since p_since (and somewhat before), and '
  'whether it may hold stock: no measure counts more. Null for subjects that are not looked at.';

create function private.shop_refusals_reach(p_threshold bigint, p_since timestamptz, p_livemode boolean)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.payment_attempts a
    where a.outcome in ('failed', 'blocked') and a.created_at >= p_since and a.livemode = p_livemode
    offset p_threshold - 1
  );
end;
$$;
comment on function private.shop_refusals_reach(bigint, timestamptz, boolean) is
  'Whether the whole shop has seen that many refused attempts.';

create function private.rules_that_may_hit(
  p_user_id uuid,
  p_mailbox text,
  p_ip inet,
  p_cart jsonb,
  p_livemode boolean,
  p_order_id uuid
) returns table (rule private.velocity_rules, key text, factor numeric)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
  v_amount bigint := (p_cart ->> 'amount')::bigint;
  v_pieces bigint := (
    select sum((l ->> 'quantity')::integer) from jsonb_array_elements(p_cart -> 'lines') l
  );
  v_longest integer := (select max(r.window_seconds) from private.velocity_rules r where r.enabled);
begin
  return query
  with subjects as materialized (
    select k.*, a.*
    from private.velocity_keys(p_user_id, p_mailbox, p_ip, p_order_id) k
    cross join lateral private.recent_activity(
      k.subject, k.key, v_at - make_interval(secs => v_longest)
    ) a
  )
  select r, s.key, s.factor
  from subjects s
  join private.velocity_rules r on r.subject = s.subject and r.measure = coalesce(s.measure, r.measure)
  cross join lateral (
    select ceil(r.threshold * s.factor)::bigint as threshold,
      v_at - make_interval(secs => r.window_seconds) as since
  ) b
  where r.enabled and case
    when r.measure = 'outages' then false
    when r.measure = 'disposable_email' then private.is_disposable(s.key)
    when r.subject = 'shop' and r.measure in ('declines', 'declined_orders')
      then private.shop_refusals_reach(b.threshold, b.since, p_livemode)
    when s.o_orders is null then true
    when r.measure in ('unpaid_checkouts', 'emails')
      then (select count(*) from unnest(s.o_orders) t where t >= b.since) >= b.threshold
    when r.measure in ('declines', 'declined_orders', 'cards')
      then (select count(*) from unnest(s.o_attempts) t where t >= b.since) >= b.threshold
    when r.measure = 'amount'
      then s.o_orders <> '{}' or r.currency <> p_cart ->> 'currency' or v_amount >= b.threshold
    when r.measure = 'held_pieces' then s.o_holds or v_pieces >= b.threshold
    when r.measure = 'held_share' then s.o_holds or v_pieces >= coalesce(r.min_pieces, 1)
    -- A measure that has no bound here is taken each time.
    else true
  end
  order by r.name, s.factor;
end;
$$;
comment on function private.rules_that_may_hit(uuid, text, inet, jsonb, boolean, uuid) is
  'The rules that a checkout has to measure, and for whom: those whose measure could reach the threshold by '
  'what is cheap to know.';
