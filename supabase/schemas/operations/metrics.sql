-- Counters, histograms and gauges for a monitor (docs/monitoring.md). Whoever counts adds a row to
-- private.metric_samples, in the transaction that did what is counted: no row is shared, so nobody waits, and
-- what was rolled back was never counted. fold_metrics() adds the rows up, called by the heartbeat and by
-- whoever reads. Nothing reads a table that grows, and no counter ever falls.

create table private.metrics (
  name text primary key,
  type text not null,
  unit text,
  labels text[] not null default '{}',
  allowed jsonb not null default '{}',
  bounds double precision[],
  counted_by text not null,
  help text not null,
  constraint metrics_type_known check (type in ('counter', 'histogram', 'gauge')),
  constraint metrics_name_ends_in_unit check (unit is null or right(name, length(unit) + 1) = '_' || unit),
  constraint metrics_histogram_has_bounds check ((type = 'histogram') = (bounds is not null)),
  constraint metrics_counted_by_known check (counted_by in ('functions', 'database', 'health'))
);
comment on table private.metrics is
  'The registry of all metrics; a monitor sees them with the prefix shop_. What is not here is not counted.';
comment on column private.metrics.allowed is
  'Label: [values]. Any other value is counted as "other". A label without a list takes its values from a '
  'registry (job kinds, mails, events that we listen to).';
comment on column private.metrics.bounds is 'Upper bounds of a histogram''s buckets, rising.';
comment on column private.metrics.counted_by is
  'functions: in memory, told to record_metrics(); database: in the transaction that did it, or measured; '
  'health: a figure of get_health().';
alter table private.metrics enable row level security;

create table private.metric_samples (
  id bigint generated always as identity primary key,
  metric text not null,
  labels text[] not null,
  bucket smallint not null,
  count integer not null,
  total double precision not null
);
comment on table private.metric_samples is
  'What was counted and not added up yet. Only ever added to, and taken by fold_metrics().';
alter table private.metric_samples enable row level security;

create table private.metric_series (
  metric text not null references private.metrics (name),
  labels text[] not null,
  bucket smallint not null,
  count bigint not null,
  total double precision not null,
  constraint metric_series_pkey primary key (metric, labels, bucket)
);
comment on table private.metric_series is
  'Every series as a monitor sees it. count: of a counter, or of one bucket of a histogram (not cumulative, '
  'the last is beyond all bounds); total: sum of what a histogram observed, or the value of a gauge.';
alter table private.metric_series enable row level security;

create function private.metric_bucket(p_bounds double precision[], p_value double precision)
returns smallint
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_bucket smallint := 0;
  v_bound double precision;
begin
  -- A handful of comparisons, of which a query would be ten times as long.
  foreach v_bound in array p_bounds loop
    exit when (v_bound < p_value) is not true;
    v_bucket := v_bucket + 1;
  end loop;
  return v_bucket;
end;
$$;
comment on function private.metric_bucket(double precision[], double precision) is
  'The bucket of a value, from 0: the first whose upper bound is not below it, as le has it.';

create function private.count_metric(p_metric text, p_labels text[] default '{}', p_count integer default 1)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.metric_samples (metric, labels, bucket, count, total)
  values (p_metric, p_labels, 0, p_count, 0);
end;
$$;
comment on function private.count_metric(text, text[], integer) is
  'Counts something that happens in this transaction. p_labels: in the order of private.metrics.labels.';

create function private.observe_metric(p_metric text, p_labels text[], p_value double precision) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.metric_samples (metric, labels, bucket, count, total)
  select m.name, p_labels, private.metric_bucket(m.bounds, p_value), 1, greatest(0, p_value)
  from private.metrics m where m.name = p_metric;
end;
$$;
comment on function private.observe_metric(text, text[], double precision) is
  'Adds one value to a histogram, in its unit. Below zero (Stripe''s clock may be ahead of ours) is zero.';

create function private.bounded_labels(p_metric text, p_labels text[]) returns text[]
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Far more than any metric has; whoever makes up values gets no further.
  c_series_max constant integer := 300;
  v_labels constant text[] := array(
    select case
      when m.allowed ? l.name and not m.allowed -> l.name ? coalesce(p_labels[l.at], '') then 'other'
      else coalesce(left(p_labels[l.at], 100), 'none')
    end
    from private.metrics m, unnest(m.labels) with ordinality l (name, at)
    where m.name = p_metric order by l.at
  );
begin
  if exists (select 1 from private.metric_series s where s.metric = p_metric and s.labels = v_labels)
    or (
      select count(distinct s.labels) from private.metric_series s where s.metric = p_metric
    ) < c_series_max then
    return v_labels;
  end if;
  return array_fill('other'::text, array[cardinality(v_labels)]);
end;
$$;
comment on function private.bounded_labels(text, text[]) is
  'The labels under which something is added up: values that are not allowed become "other", and so does a '
  'whole series once its metric has 300.';

create function private.fold_metrics() returns void
language plpgsql
set search_path = ''
as $$
declare
  c_samples_max constant integer := 20000;
  r record;
  v_labels text[];
begin
  -- One at a time, and nobody waits: what is left is added up the next time.
  if not pg_try_advisory_xact_lock(hashtextextended('fold_metrics', 0)) then
    return;
  end if;
  for r in
    with taken as (
      delete from private.metric_samples s
      where s.id in (select x.id from private.metric_samples x order by x.id limit c_samples_max)
      returning s.metric, s.labels, s.bucket, s.count, s.total
    )
    select t.metric, t.labels, t.bucket, sum(t.count) as count, sum(t.total) as total
    from taken t join private.metrics m on m.name = t.metric
    group by t.metric, t.labels, t.bucket
    order by t.metric, t.labels, t.bucket
  loop
    v_labels := private.bounded_labels(r.metric, r.labels);
    insert into private.metric_series as s (metric, labels, bucket, count, total)
    values (r.metric, v_labels, r.bucket, r.count, r.total)
    on conflict on constraint metric_series_pkey
    do update set count = s.count + excluded.count, total = s.total + excluded.total;
    if r.metric = 'objective_events' then
      perform private.add_to_objective_day(v_labels[1], v_labels[2], r.count::bigint);
    end if;
  end loop;
end;
$$;
comment on function private.fold_metrics() is
  'Adds up what was counted since the last time, at most 20 000 rows at once.';

create function public.record_metrics(p_samples jsonb) returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_taken integer;
begin
  with given as (
    select row_number() over () as id, s.metric, s.labels, s.count, s."values", m.type, m.bounds
    from jsonb_to_recordset(p_samples) as s (
      metric text, labels text[], count integer, "values" double precision[]
    )
    join private.metrics m on m.name = s.metric and m.counted_by = 'functions'
      and cardinality(s.labels) = cardinality(m.labels)
      and case m.type
        when 'counter' then s.count between 1 and 1000000
        else cardinality(s."values") between 1 and 10000
      end
  ), observed as (
    select g.metric, g.labels, g.bounds, least(greatest(v, 0), 86400) as value
    from given g, unnest(g."values") v where g.type = 'histogram'
  ), written as (
    insert into private.metric_samples (metric, labels, bucket, count, total)
    select g.metric, g.labels, 0, g.count, 0 from given g where g.type = 'counter'
    union all
    select o.metric, o.labels, private.metric_bucket(o.bounds, o.value), count(*), sum(o.value)
    from observed o group by 1, 2, 3
    union all
    select 'objective_events', array[
        x.name, case when o.labels[2] <> 'failed' and o.value <= x.within_seconds then 'good' else 'bad' end
      ], 0, count(*), 0
    from observed o join private.objectives x on o.labels[1] = any (x.functions)
    where o.metric = 'request_duration_seconds'
    group by 2
  )
  select count(*) into v_taken from given;
  return jsonb_array_length(p_samples) - v_taken;
end;
$$;
comment on function public.record_metrics(jsonb) is
  'Counts what a function has seen: [{ metric, labels, count }] of counters, [{ metric, labels, values }] of '
  'histograms, in their unit. How requests ended counts for the objectives too. Returns how many were '
  'refused: unknown, not the functions'' to count, or with a wrong number of labels.';
grant execute on function public.record_metrics(jsonb) to service_role;

create function private.metric_gauges() returns table (metric text, labels text[], total double precision)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'provider_breaker_open', array[b.provider], (b.open_until is not null)::integer::double precision
  from private.circuit_breakers b
  union all
  select 'provider_failures', array[b.provider], b.failures::double precision
  from private.circuit_breakers b
  union all
  select 'objective_target_ratio', array[o.name], o.target::double precision from private.objectives o;
end;
$$;
comment on function private.metric_gauges() is
  'Gauges that are read from small tables when they are asked for.';

create function public.get_metrics() returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.fold_metrics();
  return (
    with samples as materialized (
      select s.metric, s.labels, s.bucket, s.count, s.total from private.metric_series s
      union all
      select g.metric, g.labels, 0, 0, g.total from private.metric_gauges() g
    ), grouped as (
      select s.metric, jsonb_agg(
        jsonb_build_array(s.labels, s.bucket, s.count, s.total) order by s.labels, s.bucket
      ) as samples
      from samples s group by s.metric
    )
    select jsonb_agg(jsonb_build_object(
      'name', m.name, 'type', m.type, 'unit', m.unit, 'help', m.help, 'labels', m.labels,
      'bounds', m.bounds, 'counted_by', m.counted_by, 'samples', coalesce(g.samples, '[]')
    ) order by m.name)
    from private.metrics m left join grouped g on g.metric = m.name
  );
end;
$$;
comment on function public.get_metrics() is
  'All metrics: [{ name, type, unit, help, labels, bounds, counted_by, samples: [[labels, bucket, count, '
  'total]] }], see private.metric_series. Those counted by health have no samples here. Adds up first what '
  'was counted since the last time.';
grant execute on function public.get_metrics() to service_role;
