-- The limiter for shops without Upstash, and for when Upstash is down: a sliding window over two fixed ones.

create unlogged table private.rate_limits (
  key text not null,
  window_start timestamptz not null,
  count integer not null,
  constraint rate_limits_pkey primary key (key, window_start)
);
comment on table private.rate_limits is
  'Requests per key and window. Unlogged: losing it in a crash only forgives.';
create index rate_limits_window_start_idx on private.rate_limits (window_start);
alter table private.rate_limits enable row level security;

create function private.limit_wait(
  p_limit integer,
  p_window_seconds integer,
  p_current integer,
  p_previous integer,
  p_elapsed numeric
) returns numeric
language sql
immutable
set search_path = ''
as $$
  select case
    -- There is room in this window as soon as enough of the last one has slid out.
    when p_current < p_limit then (
      1 - (p_limit - 1 - p_current)::numeric / p_previous - p_elapsed
    ) * p_window_seconds
    -- Only the next window has room, once enough of this one has slid out.
    else (1 - p_elapsed + greatest(0, 1 - (p_limit - 1)::numeric / p_current)) * p_window_seconds
  end
$$;
comment on function private.limit_wait(integer, integer, integer, integer, numeric) is
  'Seconds until a refused request fits. p_current and p_previous: requests taken in this window and the '
  'last; p_elapsed: how far this window has gone, 0 to 1.';

create type public.limit_decision as (allowed boolean, key text, retry_after_seconds integer);
comment on type public.limit_decision is
  'Whether a request may go on; if not, the bucket that is full the longest, and how long to wait.';

create function public.take_rate_limits(p_buckets jsonb) returns public.limit_decision
language plpgsql
security definer
set search_path = ''
as $$
declare
  b record;
  v_now timestamptz := clock_timestamp();
  v_start timestamptz;
  v_elapsed numeric;
  v_current integer;
  v_previous integer;
  v_wait numeric := 0;
  v_full text;
begin
  -- Keys in one order, so that two requests cannot wait for each other.
  for b in
    select *
    from jsonb_to_recordset(p_buckets) as x (key text, "limit" integer, window_seconds integer) order by x.key
  loop
    v_start := to_timestamp(floor(extract(epoch from v_now) / b.window_seconds) * b.window_seconds);
    v_elapsed := extract(epoch from v_now - v_start) / b.window_seconds;
    insert into private.rate_limits as r (key, window_start, count) values (b.key, v_start, 1)
    on conflict on constraint rate_limits_pkey do update set count = r.count + 1
    returning count into v_current;
    select coalesce(sum(r.count), 0) into v_previous from private.rate_limits r
    where r.key = b.key and r.window_start = v_start - make_interval(secs => b.window_seconds);
    if v_current + v_previous * (1 - v_elapsed) > b.limit
      and private.limit_wait(b.limit, b.window_seconds, v_current - 1, v_previous, v_elapsed) > v_wait then
      v_wait := private.limit_wait(b.limit, b.window_seconds, v_current - 1, v_previous, v_elapsed);
      v_full := b.key;
    end if;
  end loop;

  if v_full is not null then
    -- A refused request takes nothing from any bucket: who waits as told gets in.
    update private.rate_limits r set count = r.count - 1
    from jsonb_to_recordset(p_buckets) as x (key text, window_seconds integer)
    where r.key = x.key
      and r.window_start = to_timestamp(
        floor(extract(epoch from v_now) / x.window_seconds) * x.window_seconds
      );
    return row(false, v_full, greatest(1, ceil(v_wait))::integer)::public.limit_decision;
  end if;
  -- Old windows go a few at a time, in about one call of a hundred.
  if random() < 0.01 then
    delete from private.rate_limits r
    where (r.key, r.window_start) in (
      select d.key, d.window_start from private.rate_limits d
      where d.window_start < v_now - interval '1 day' limit 1000 for update skip locked
    );
  end if;
  return row(true, null, 0)::public.limit_decision;
end;
$$;
comment on function public.take_rate_limits(jsonb) is
  'Counts one request in each bucket [{ key, limit, window_seconds }].';
grant execute on function public.take_rate_limits(jsonb) to service_role;
