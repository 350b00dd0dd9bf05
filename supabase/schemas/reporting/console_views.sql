-- What the console shows beside the other reports: the queue, and figures over time.

-- The queue stays closed to everybody else; staff read it under the same rule as the tables of public.
create policy jobs_read on private.jobs for select to authenticated using ((select private.is_admin()));
create policy job_kinds_read on private.job_kinds for select to authenticated
  using ((select private.is_admin()));
grant select on private.jobs, private.job_kinds to authenticated, service_role;

create view reporting.jobs with (security_invoker = true) as
select j.id, j.kind, k.description as what_it_does, j.status,
  (
    select o.number from public.orders o where o.id = coalesce(
      (j.payload ->> 'order_id')::uuid,
      (
        select n.order_id from public.notifications n where n.id = (j.payload ->> 'notification_id')::uuid
      ),
      (select s.order_id from public.checkout_sessions s where s.id = j.payload ->> 'session_id'),
      (select p.order_id from public.payments p where p.id = j.payload ->> 'payment_id'),
      (select r.order_id from public.refunds r where r.id = j.payload ->> 'refund_id'),
      (select d.order_id from public.disputes d where d.id = j.payload ->> 'dispute_id')
    )
  ) as order_number,
  array(
    select p.value from jsonb_each_text(j.payload) p where p.key like '%\_id' and p.value is not null
    order by p.key
  ) as about,
  j.attempts, j.max_attempts, j.run_at, j.last_error, j.created_at, j.finished_at, j.payload
from private.jobs j left join private.job_kinds k on k.kind = j.kind
where (select private.sees_reports());
comment on view reporting.jobs is
  'The queue: what is to be done outside of the database, what was done, and what was given up: '
  'redrive_job() queues that again.';
comment on column reporting.jobs.id is 'For redrive_job().';
comment on column reporting.jobs.kind is 'What is to be done.';
comment on column reporting.jobs.what_it_does is 'The same in words.';
comment on column reporting.jobs.status is
  'queued; running; done; discarded: another try cannot help; dead: given up after the last try.';
comment on column reporting.jobs.order_number is 'The order that it is about; null: about none.';
comment on column reporting.jobs.about is 'The ids that it is about: order, mail, payment, event, ….';
comment on column reporting.jobs.attempts is 'How often it was tried.';
comment on column reporting.jobs.max_attempts is 'How often it is tried before it is dead.';
comment on column reporting.jobs.run_at is 'When it is due, or was.';
comment on column reporting.jobs.last_error is 'Why it failed the last time.';
comment on column reporting.jobs.created_at is 'When it was queued.';
comment on column reporting.jobs.finished_at is 'When it ended; null: not yet.';
comment on column reporting.jobs.payload is 'What it was told: ids, and what to do with them.';

create view reporting.queue_hourly with (security_invoker = true) as
with first as (
  select date_trunc('hour', now()) - interval '167 hours' as hour
), kept as materialized (
  select least(j.run_at, coalesce(j.finished_at, j.run_at)) as due_at, j.finished_at, j.status
  from private.jobs j, first f
  where j.finished_at is null or j.finished_at >= f.hour
), moves as (
  select generate_series(f.hour, now(), interval '1 hour') as hour, 0 as change, 0 as done, 0 as dead
  from first f
  union all
  select date_trunc('hour', greatest(k.due_at, f.hour)), 1, 0, 0 from kept k, first f where k.due_at <= now()
  union all
  select date_trunc('hour', k.finished_at), -1, (k.status <> 'dead')::integer, (k.status = 'dead')::integer
  from kept k where k.finished_at is not null
)
select m.hour, sum(sum(m.change)) over (order by m.hour)::bigint as waiting, sum(m.done)::bigint as done,
  sum(m.dead)::bigint as dead
from moves m
where (select private.sees_reports())
group by m.hour
order by m.hour;
comment on view reporting.queue_hourly is
  'The queue in each hour of the last week. Jobs that retention has removed since are not counted.';
comment on column reporting.queue_hourly.hour is 'When the hour begins.';
comment on column reporting.queue_hourly.waiting is 'Jobs that were due and not done at its end, or are now.';
comment on column reporting.queue_hourly.done is 'Jobs that ended in it, those included that were discarded.';
comment on column reporting.queue_hourly.dead is 'Jobs that were given up in it.';

create view reporting.webhook_lag_hourly with (security_invoker = true) as
select date_trunc('hour', e.received_at) as hour, count(*) as events,
  round(percentile_cont(0.5) within group (order by e.lag)::numeric, 1) as lag_p50_seconds,
  round(percentile_cont(0.95) within group (order by e.lag)::numeric, 1) as lag_p95_seconds
from (
  -- Stripe's clock may be ahead of ours, and says whole seconds.
  select x.received_at, greatest(0, extract(epoch from x.received_at - x.stripe_created_at)) as lag
  from public.webhook_events x
  where x.received_at > now() - interval '7 days' and x.delivery_count > 0
) e
where (select private.sees_reports())
group by 1
order by 1;
comment on view reporting.webhook_lag_hourly is
  'How late Stripe''s events were in each hour of the last week: from when something happened at Stripe to '
  'when it was stored here. Hours without events are left out.';
comment on column reporting.webhook_lag_hourly.hour is 'When the hour begins.';
comment on column reporting.webhook_lag_hourly.events is 'Events that were delivered in it, each once.';
comment on column reporting.webhook_lag_hourly.lag_p50_seconds is 'Half of them came within so many seconds.';
comment on column reporting.webhook_lag_hourly.lag_p95_seconds is
  'Nineteen out of twenty came within so many seconds.';

create view reporting.stock_daily with (security_invoker = true) as
select s.day, s.sold, s.added, sum(s.sold * -1 + s.added) over (order by s.day)::bigint as on_hand
from (
  select (j.created_at at time zone (select private.report_setting('shop_time_zone')))::date as day,
    coalesce(-sum(j.change) filter (where j.kind in ('sale', 'release')), 0)::bigint as sold,
    coalesce(sum(j.change) filter (where j.kind not in ('sale', 'release')), 0)::bigint as added
  from public.inventory_journal j
  group by 1
) s
where (select private.sees_reports())
order by s.day desc;
comment on view reporting.stock_daily is
  'Pieces in the house by the shop''s day, all articles together. Days on which nothing moved are left out.';
comment on column reporting.stock_daily.day is 'The shop''s day.';
comment on column reporting.stock_daily.sold is 'Pieces sold, less those of orders that were called off.';
comment on column reporting.stock_daily.added is
  'Pieces that came: deliveries, returns and corrections; negative: more went than came.';
comment on column reporting.stock_daily.on_hand is 'Pieces in the house and not sold when the day ended.';

create view reporting.shop with (security_invoker = true) as
select private.report_setting('shop_name') as name, private.report_setting('shop_time_zone') as time_zone,
  private.report_setting('shop_runbook_url') as runbook_url,
  private.report_setting('low_stock_at')::integer as low_stock_at,
  (select count(*) from public.alerts a where a.status = 'open') as open_alerts,
  (select count(*) from private.jobs j where j.status = 'dead') as dead_jobs,
  (select count(*) from public.webhook_events e where e.status = 'dead') as dead_events
where (select private.sees_reports());
comment on view reporting.shop is 'The shop in one row; no row: who asks is not staff.';
comment on column reporting.shop.name is 'Setting shop_name.';
comment on column reporting.shop.time_zone is 'Setting shop_time_zone, in which reports count days.';
comment on column reporting.shop.runbook_url is 'Setting shop_runbook_url; null: not set.';
comment on column reporting.shop.low_stock_at is 'Setting low_stock_at.';
comment on column reporting.shop.open_alerts is 'Alerts that nobody looks at yet.';
comment on column reporting.shop.dead_jobs is 'Jobs that were given up.';
comment on column reporting.shop.dead_events is 'Events of Stripe''s that were given up.';
