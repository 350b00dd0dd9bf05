-- Service level objectives (docs/monitoring.md): five promises, each with a share that is to be good. Each
-- thing that counts is counted once, as good or bad, when that is known: requests by the functions, paid
-- orders as they are settled, mails and events by the clock, when their time is over.

create table private.objectives (
  name text primary key,
  target numeric not null,
  within_seconds integer not null,
  functions text[] not null default '{}',
  counted_until timestamptz not null default now(),
  description text not null,
  constraint objectives_target_is_share check (target > 0 and target < 1)
);
comment on table private.objectives is
  'What the shop promises itself. functions: whose requests count; counted_until: how far mails and events '
  'have been judged.';
alter table private.objectives enable row level security;

insert into private.objectives (name, target, within_seconds, functions, description) values
  (
    'checkout', 0.995, 10, '{create-checkout-session}',
    'A checkout is answered, be it with a refusal, within 10 seconds.'
  ),
  (
    'webhook', 0.995, 10, '{}',
    'An event that concerns us is settled within 10 seconds of when it happened at Stripe.'
  ),
  ('mail', 0.99, 300, '{}', 'A mail is with its provider within 5 minutes.'),
  (
    'page', 0.995, 10, '{order-status,resume-checkout}',
    'The page of an order, and the way back to a payment page, are answered within 10 seconds.'
  ),
  ('stock', 0.999, 0, '{}', 'An order that was paid can be delivered: its goods were not sold twice.');

create table private.objective_days (
  objective text not null references private.objectives (name),
  day date not null,
  good bigint not null default 0,
  bad bigint not null default 0,
  constraint objective_days_pkey primary key (objective, day)
);
comment on table private.objective_days is
  'How each objective was met, by day in the shop''s time zone: five rows a day, kept for good.';
alter table private.objective_days enable row level security;

create function private.local_day(p_at timestamptz) returns date
language plpgsql
stable
set search_path = ''
as $$
begin
  return (p_at at time zone (private.setting('shop_time_zone') #>> '{}'))::date;
end;
$$;
comment on function private.local_day(timestamptz) is 'The day of a moment in the shop''s time zone.';

create function private.add_to_objective_day(p_objective text, p_result text, p_count bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.objective_days as d (objective, day, good, bad)
  select o.name, private.local_day(now()), case p_result when 'good' then p_count else 0 end,
    case p_result when 'good' then 0 else p_count end
  from private.objectives o where o.name = p_objective
  on conflict on constraint objective_days_pkey
  do update set good = d.good + excluded.good, bad = d.bad + excluded.bad;
end;
$$;
comment on function private.add_to_objective_day(text, text, bigint) is
  'Adds what was counted for an objective (good or bad) to today.';

create function private.count_objective(p_objective text, p_good bigint, p_bad bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_good > 0 then
    perform private.count_metric('objective_events', array[p_objective, 'good'], p_good::integer);
  end if;
  if p_bad > 0 then
    perform private.count_metric('objective_events', array[p_objective, 'bad'], p_bad::integer);
  end if;
end;
$$;
comment on function private.count_objective(text, bigint, bigint) is 'Counts for an objective.';

create function private.count_paid_order() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.count_objective(
    'stock', (new.oversold_at is null)::integer, (new.oversold_at is not null)::integer
  );
  return null;
end;
$$;
comment on function private.count_paid_order() is
  'Trigger: an order that is paid was good for the objective stock, unless its goods had gone.';
create trigger count_paid_order after update of paid_at on public.orders
  for each row when (old.paid_at is null and new.paid_at is not null)
  execute function private.count_paid_order();

create function private.judge_mails(p_from timestamptz, p_until timestamptz, p_seconds integer)
returns table (good bigint, bad bigint)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select count(*) filter (where x.sent), count(*) filter (where not x.sent)
  from (
    select coalesce(n.sent_at <= n.created_at + make_interval(secs => p_seconds), false) as sent
    from public.notifications n
    where n.created_at >= p_from and n.created_at < p_until
      -- What must not be sent any more is not late.
      and not (n.sent_at is null and n.status in ('skipped', 'suppressed'))
  ) x;
end;
$$;
comment on function private.judge_mails(timestamptz, timestamptz, integer) is
  'How many mails queued in a time were taken by their provider within so many seconds, and how many not.';

create function private.judge_events(p_from timestamptz, p_until timestamptz, p_seconds integer)
returns table (good bigint, bad bigint)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select count(*) filter (where x.settled), count(*) filter (where not x.settled)
  from (
    select e.status = 'processed'
      and e.processed_at <= e.stripe_created_at + make_interval(secs => p_seconds) as settled
    from public.webhook_events e
    where e.received_at >= p_from and e.received_at < p_until and e.status <> 'ignored'
  ) x;
end;
$$;
comment on function private.judge_events(timestamptz, timestamptz, integer) is
  'How many events stored in a time were settled within so many seconds of when they happened, and how many '
  'not. What is ignored concerns nobody here.';

create function private.count_objectives() returns void
language plpgsql
set search_path = ''
as $$
declare
  -- What a transaction that is still under way has stored must be seen by then.
  c_grace constant interval := '1 minute';
  o private.objectives;
  v_until timestamptz;
  v_good bigint;
  v_bad bigint;
begin
  for o in
    select x.* from private.objectives x where x.name in ('mail', 'webhook')
    order by x.name for no key update skip locked
  loop
    v_until := now() - make_interval(secs => o.within_seconds) - c_grace;
    if v_until <= o.counted_until then
      continue;
    end if;
    if o.name = 'mail' then
      select j.good, j.bad into v_good, v_bad
      from private.judge_mails(o.counted_until, v_until, o.within_seconds) j;
    else
      select j.good, j.bad into v_good, v_bad
      from private.judge_events(o.counted_until, v_until, o.within_seconds) j;
    end if;
    perform private.count_objective(o.name, v_good, v_bad);
    update private.objectives set counted_until = v_until where name = o.name;
  end loop;
end;
$$;
comment on function private.count_objectives() is
  'Judges the mails and events whose time is over since the last time, each once.';

create function private.queue_budget_report(p_now timestamptz default now()) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_local constant timestamp := p_now at time zone (private.setting('shop_time_zone') #>> '{}');
  v_monday constant date := date_trunc('week', v_local)::date;
begin
  if coalesce(
    v_local < v_monday + make_interval(hours => (private.setting('digest_hour') #>> '{}')::integer), true
  ) then
    return false;
  end if;
  return private.enqueue_job(
    'send_budget_report', 'send_budget_report:' || v_monday, jsonb_build_object('week', v_monday - 7), now(),
    150
  );
end;
$$;
comment on function private.queue_budget_report(timestamptz) is
  'Queues the report about the error budgets of the week before once a week, on Monday from digest_hour on, '
  'or later where nobody worked then. Returns whether it did.';

create function public.get_error_budgets(p_week date) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  c_budget_days constant integer := 28;
begin
  return jsonb_build_object(
    'week', p_week,
    'shop', private.shop(),
    'objectives', (
      select jsonb_agg(to_jsonb(x) order by x.name)
      from (
        select o.name, o.target,
          coalesce(sum(d.good) filter (where d.day >= p_week), 0)::bigint as good,
          coalesce(sum(d.bad) filter (where d.day >= p_week), 0)::bigint as bad,
          coalesce(sum(d.bad), 0)::bigint as bad_in_budget,
          (coalesce(sum(d.good + d.bad), 0) * (1 - o.target))::double precision as budget
        from private.objectives o
        left join private.objective_days d on d.objective = o.name
          and d.day < p_week + 7 and d.day >= p_week + 7 - c_budget_days
        group by o.name
      ) x
    )
  );
end;
$$;
comment on function public.get_error_budgets(date) is
  'How the objectives were met in the seven days from p_week on: { week, shop, objectives: [{ name, target, '
  'good, bad, bad_in_budget, budget }] }. The last two are of the 28 days up to the end of the week: how '
  'many were bad, and how many may be.';
grant execute on function public.get_error_budgets(date) to service_role;
