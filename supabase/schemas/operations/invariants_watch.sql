-- What must always be true is looked at all the time, a few orders at once.

insert into private.job_kinds (kind, provider, max_attempts, retention, description) values
  ('check_orders', null, 12, '1 day', 'Looks at what must always be true of orders that were settled.');
insert into private.periodic_jobs (kind, every) values ('check_orders', '5 minutes');

create table private.unchecked_orders (
  order_id uuid primary key,
  noted_at timestamptz not null default clock_timestamp(),
  violations jsonb
);
comment on table private.unchecked_orders is
  'Orders that wait to be checked: settled since, broken when last looked at, or all of them once a day. '
  'Written in the transaction that settles, so that none that commits late is passed over.';
comment on column private.unchecked_orders.violations is 'What was not true of it when last looked at.';
create index unchecked_orders_noted_at_idx on private.unchecked_orders (noted_at) where violations is null;
create index unchecked_orders_broken_idx on private.unchecked_orders (noted_at) where violations is not null;
alter table private.unchecked_orders enable row level security;

create function private.note_all_orders() returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.heartbeats as h (name) values ('all_orders_noted')
  on conflict (name) do update set last_at = now() where h.last_at < now() - interval '1 day';
  if found then
    insert into private.unchecked_orders (order_id) select o.id from public.orders o
    on conflict (order_id) do nothing;
  end if;
end;
$$;
comment on function private.note_all_orders() is
  'Once a day has all orders checked: what was changed past settling is found as well. They are many, but '
  'no more are looked at at once than otherwise.';

create function private.violations_of(p_orders uuid[]) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_agg(to_jsonb(c) order by c.invariant, c.detail) from private.check_orders(p_orders) c
$$;
comment on function private.violations_of(uuid[]) is
  'What is not true of these orders: [{ invariant, detail }]; null: all is well.';

create function private.tell_violations() returns void
language plpgsql
set search_path = ''
as $$
declare
  v_data jsonb;
begin
  select jsonb_build_object(
    'violations', count(*), 'first', jsonb_path_query_array(jsonb_agg(x.v order by x.v), '$[0 to 9]')
  ) into v_data
  from (
    select distinct jsonb_array_elements(u.violations) as v
    from private.unchecked_orders u where u.violations is not null
    union
    select to_jsonb(c) from private.check_queue() c
  ) x
  having count(*) > 0;
  if v_data is null then
    update public.alerts set status = 'resolved'
    where dedupe_key = 'invariant_violated' and status <> 'resolved';
  elsif not exists (
    select 1 from public.alerts a
    where a.dedupe_key = 'invariant_violated' and a.status <> 'resolved' and a.data = v_data
  ) then
    perform private.raise_alert('invariant_violated', 'critical', 'invariant_violated', v_data);
  end if;
end;
$$;
comment on function private.tell_violations() is
  'Opens the alert invariant_violated, which names the first ten violations, or resolves it when none is '
  'left.';

create function public.check_settled_orders(p_limit integer) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_orders uuid[];
  v_broken uuid[];
begin
  perform private.note_all_orders();
  -- A row that a settlement holds is left for the next time: it is not decided yet what is to be checked.
  v_broken := array(
    select u.order_id from private.unchecked_orders u
    where u.violations is not null order by u.noted_at limit p_limit for update skip locked
  );
  v_orders := array(
    select u.order_id from private.unchecked_orders u
    where u.violations is null order by u.noted_at limit p_limit for update skip locked
  );
  if private.violations_of(v_orders) is not null then
    v_broken := v_broken || v_orders;
    v_orders := '{}';
  end if;
  update private.unchecked_orders u
  set violations = private.violations_of(array[u.order_id]), noted_at = clock_timestamp()
  where u.order_id = any (v_broken);
  delete from private.unchecked_orders u
  where u.order_id = any (v_orders) or (u.order_id = any (v_broken) and u.violations is null);
  perform private.tell_violations();
  return exists (
    select 1 from private.unchecked_orders u where u.violations is null for update skip locked
  );
end;
$$;
comment on function public.check_settled_orders(integer) is
  'Checks up to p_limit orders that were settled since they were last checked, and as many of those that '
  'were broken then. The alert invariant_violated follows. Returns whether there are more.';
grant execute on function public.check_settled_orders(integer) to service_role;
