-- The limiter for shops without Upstash, and for when Upstash is down: a sliding window over two fixed ones.

create unlogged table private.rate_limits (
  key text not null,
  window_start timestamptz not null,
  count integer not null,
  constraint rate_limits_pkey primary key (key, window_start)
);
comment on table private.rate_limits is 'Requests per key and window. Unlogged: losing it in a crash only forgives.';
create index rate_limits_window_start_idx on private.rate_limits (window_start);
alter table private.rate_limits enable row level security;

create function public.take_rate_limits(p_buckets jsonb) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  b record;
  v_start timestamptz;
  v_elapsed numeric;
  v_current integer;
  v_previous integer;
begin
  -- Keys in one order, so that two requests cannot wait for each other.
  for b in
    select * from jsonb_to_recordset(p_buckets) as x (key text, "limit" integer, window_seconds integer) order by x.key
  loop
    v_start := to_timestamp(floor(extract(epoch from clock_timestamp()) / b.window_seconds) * b.window_seconds);
    v_elapsed := extract(epoch from clock_timestamp() - v_start) / b.window_seconds;
    insert into private.rate_limits as r (key, window_start, count) values (b.key, v_start, 1)
    on conflict on constraint rate_limits_pkey do update set count = r.count + 1
    returning count into v_current;
    select coalesce(sum(r.count), 0) into v_previous from private.rate_limits r
    where r.key = b.key and r.window_start = v_start - make_interval(secs => b.window_seconds);
    if v_current + v_previous * (1 - v_elapsed) > b.limit then
      -- A refused request takes nothing: who waits as told gets in.
      update private.rate_limits r set count = r.count - 1 where r.key = b.key and r.window_start = v_start;
      return jsonb_build_object(
        'allowed', false, 'key', b.key,
        'retry_after_seconds', greatest(1, ceil(b.window_seconds * (1 - v_elapsed)))::integer
      );
    end if;
  end loop;
  -- Old windows go a few at a time, in about one call of a hundred.
  if random() < 0.01 then
    delete from private.rate_limits r
    where (r.key, r.window_start) in (
      select d.key, d.window_start from private.rate_limits d
      where d.window_start < now() - interval '1 day' limit 1000 for update skip locked
    );
  end if;
  return jsonb_build_object('allowed', true, 'key', null, 'retry_after_seconds', 0);
end;
$$;
comment on function public.take_rate_limits(jsonb) is
  'Counts one request in each bucket [{ key, limit, window_seconds }] and answers { allowed, key, retry_after_seconds } with the first bucket that is full.';
revoke execute on function public.take_rate_limits(jsonb) from public, anon, authenticated;
grant execute on function public.take_rate_limits(jsonb) to service_role;
