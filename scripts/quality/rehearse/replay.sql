-- From the stored events to settled orders, and what differs then. Only in a rehearsal's shadow.

create procedure rehearsal.replay(p_events jsonb)
language plpgsql
as $$
declare
  e jsonb;
begin
  for e in select x from jsonb_array_elements(p_events) x loop
    begin
      perform public.receive_stripe_event(
        p_event_id => e ->> 'id', p_type => e ->> 'type', p_livemode => (e ->> 'livemode')::boolean,
        p_api_version => e ->> 'api_version', p_stripe_created_at => (e ->> 'stripe_created_at')::timestamptz,
        p_source_ip => null, p_payload => e -> 'payload', p_facts => e -> 'facts',
        p_ignored_reason => e ->> 'ignored_reason', p_error => e ->> 'error', p_alerts => '[]'
      );
    exception when others then
      insert into rehearsal.failures (order_id, what, id, error)
      values (private.order_of(e #>> '{payload,data,object,id}'), 'event', e ->> 'id', sqlerrm);
    end;
    commit;
  end loop;
end;
$$;
comment on procedure rehearsal.replay(jsonb) is
  'Receives events, [{ id, type, …, payload, facts | ignored_reason | error }], each in a transaction.';

create function rehearsal.note_what_was_told() returns void
language plpgsql
as $$
begin
  create table rehearsal.moments as
  select distinct (extract(epoch from e.stripe_created_at) * 1000)::bigint as at_ms
  from public.webhook_events e;
  create unique index on rehearsal.moments (at_ms);
  create table rehearsal.unread as
  select distinct x.value as id
  from private.jobs j, jsonb_each_text(j.payload) x
  where j.kind in ('refresh_checkout_session', 'refresh_payment');
  create unique index on rehearsal.unread (id);
  -- at_stripe: read there; else noted by the checkout, which stamps with time zero.
  create table rehearsal.by_read (order_id uuid, name text, key text, at_stripe boolean);
  insert into rehearsal.failures (order_id, what, id, error)
  select private.order_of(e.object_id), 'event', e.id, e.last_error
  from public.webhook_events e join rehearsal.events l on l.id = e.id
  where e.status = 'failed' and l.status = 'processed';
end;
$$;
comment on function rehearsal.note_what_was_told() is
  'Prepares carry_reads(): the moments of events, what events leave to be read from Stripe, failed events.';

create function rehearsal.was_read(p_version text) returns boolean
language plpgsql
stable
as $$
begin
  return not exists (
    select 1 from rehearsal.moments m where m.at_ms = substring(p_version from '\d{15}')::bigint
  );
end;
$$;
comment on function rehearsal.was_read(text) is
  'Whether the version of a fact is of no event in the log: it was read from Stripe, or noted by checkout.';

create function rehearsal.carry_reads(p_name text) returns void
language plpgsql
as $$
declare
  c constant rehearsal.compared := (select x from rehearsal.compared x where x.name = p_name);
  v_live constant text := (select string_agg(format('t.%I::text', x), ', ') from unnest(c.state) x);
begin
  -- News is what no event of the log told: the object was never told of, or not in full, or never shown in
  -- the state in which the live database has it.
  execute format(
    $q$
      with news as (
        select %1$s as key, t.order_id, substring(t.version from '\d{15}')::bigint > 0 as at_stripe
        from rehearsal.%3$I t
        join rehearsal.rehearsed r on r.order_id = t.order_id
        left join public.%3$I s on %2$s = %1$s
        where rehearsal.was_read(t.version) and (
          coalesce(s.version, '') = ''
          or exists (select 1 from rehearsal.unread u where u.id = %1$s)
          or (array[%4$s] is distinct from array[%5$s] and not exists (
            select 1 from rehearsal.events w cross join lateral (select w.payload #> '{data,object}' as e) o
            where w.object_id = %1$s and %6$s = array[%4$s]
          ))
        )
      ), gone as (
        delete from public.%3$I s using news n where %2$s = n.key
      )
      insert into rehearsal.by_read select n.order_id, %3$L, n.key, n.at_stripe from news n
    $q$,
    c.key, replace(c.key, 't.', 's.'), c.name, v_live, replace(v_live, 't.', 's.'), c.shows
  );
  execute format(
    'insert into public.%1$I select t.* from rehearsal.%1$I t '
      'join rehearsal.by_read b on b.name = %1$L and b.key = %2$s',
    c.name, c.key
  );
end;
$$;
comment on function rehearsal.carry_reads(text) is
  'Takes over from the live database the facts of a table that were read from Stripe and that the log cannot '
  'tell. Run with triggers asleep.';

create function rehearsal.carry_time(p_name text, p_column text) returns void
language plpgsql
as $$
begin
  -- Events carry whole seconds: a time with a fraction was seen by a reading that came before the event.
  execute format(
    'update public.%1$I s set %2$I = l.%2$I from rehearsal.%1$I l where l.id = s.id '
      'and l.%2$I <> date_trunc(''second'', l.%2$I) and (s.%2$I is null or l.%2$I < s.%2$I)',
    p_name, p_column
  );
end;
$$;
comment on function rehearsal.carry_time(text, text) is
  'Takes over the times at which something was first seen, where a reading from Stripe saw it.';

create function rehearsal.carry_over() returns void
language plpgsql
as $$
begin
  perform rehearsal.note_what_was_told();
  perform rehearsal.carry_reads(c.name) from rehearsal.compared c where c.rebuilt;
  perform rehearsal.carry_time('checkout_sessions', 'completed_at');
  perform rehearsal.carry_time('payments', 'succeeded_at');
  perform rehearsal.carry_time('refunds', 'succeeded_at');
  perform rehearsal.carry_time('refunds', 'failed_at');
  -- What staff and the policy decided about facts stands in their rows.
  update public.refunds s set released_at = l.released_at, seen_at = l.seen_at
  from rehearsal.refunds l where l.id = s.id;
  update public.fraud_signals s set answer = l.answer, released_at = l.released_at
  from rehearsal.fraud_signals l where l.source_id = s.source_id;
end;
$$;
comment on function rehearsal.carry_over() is
  'What is no matter of events: readings from Stripe, and decisions. Run with triggers asleep.';

create procedure rehearsal.settle(p_part integer, p_parts integer)
language plpgsql
as $$
declare
  r record;
begin
  for r in
    select c.order_id, c.number from rehearsal.rehearsed c
    where (hashtext(c.number) & 2147483647) % p_parts = p_part order by c.number
  loop
    begin
      perform private.settle_order(r.order_id, 'rehearsal');
    exception when others then
      insert into rehearsal.failures (order_id, what, id, error)
      values (r.order_id, 'order', r.number, sqlerrm);
    end;
    commit;
  end loop;
end;
$$;
comment on procedure rehearsal.settle(integer, integer) is
  'Settles part p_part (from 0) of the rehearsed orders, each in its own transaction.';

create type rehearsal.difference as (number text, what text, live text, shadow text);
comment on type rehearsal.difference is
  'A column that differs, as table[key].column, or what failed. Values of people are not told.';

create function rehearsal.told(p_column text, p_value jsonb) returns text
language sql
immutable
as $$
  select case
    when p_value = 'null' then 'null'
    when p_column in (
      'email', 'customer_name', 'name', 'phone', 'shipping_name', 'shipping_address', 'billing_address',
      'business', 'purchase_ip', 'user_agent', 'card_fingerprint', 'receipt_url', 'url', 'reason'
    ) then '(personal, ' || left(md5(p_value::text), 6) || ')'
    else p_value #>> '{}'
  end
$$;
comment on function rehearsal.told(text, jsonb) is
  'A value as a report may show it: what says who somebody is only as a digest, which differs as it does.';

create function rehearsal.compare(p_name text) returns setof rehearsal.difference
language plpgsql
as $$
declare
  c constant rehearsal.compared := (select x from rehearsal.compared x where x.name = p_name);
  v_row constant text := case
    when c.shown is null then format('to_jsonb(t) - %L::text[]', c.hidden)
    else format(
      '(select jsonb_object_agg(x.key, x.value) from jsonb_each(to_jsonb(t)) x where x.key = any (%L))',
      c.shown
    )
  end;
begin
  return query execute format(
    $q$
      with live as (
        select %1$s as key, %2$s as order_id, %4$s as data from rehearsal.%5$I t
      ), shadow as (
        select %1$s as key, %3$s as order_id, %4$s as data from public.%5$I t
      )
      select r.number, concat(%5$L, '[' || nullif(x.key, '') || ']', '.' || k.name),
        case when x.live is null then '(none)' when x.shadow is null then '(there)'
          else rehearsal.told(k.name, x.live -> k.name) end,
        case when x.shadow is null then '(none)' when x.live is null then '(there)'
          else rehearsal.told(k.name, x.shadow -> k.name) end
      from (
        select coalesce(l.key, s.key) as key, coalesce(l.order_id, s.order_id) as order_id,
          l.data as live, s.data as shadow
        from live l full join shadow s on s.key = l.key and s.order_id = l.order_id
        where l.data is distinct from s.data
      ) x
      join rehearsal.rehearsed r on r.order_id = x.order_id
      cross join lateral (
        select null as name where x.live is null or x.shadow is null
        union all
        select f.name from jsonb_object_keys(x.live) f (name)
        where x.live -> f.name is distinct from x.shadow -> f.name and x.shadow is not null
      ) k
    $q$,
    c.key, format(c.belongs_to, 'rehearsal'), format(c.belongs_to, 'public'), v_row, c.name
  );
end;
$$;
comment on function rehearsal.compare(text) is
  'What differs in one of the compared tables, column by column.';

create function rehearsal.differences() returns setof rehearsal.difference
language sql
as $$
  select d.* from rehearsal.compared c cross join lateral rehearsal.compare(c.name) d
  union all
  select r.number, format('%s %s', f.what, f.id), 'processed', 'failed: ' || f.error
  from rehearsal.failures f join rehearsal.rehearsed r on r.order_id = f.order_id
  order by 1, 2
$$;
comment on function rehearsal.differences() is 'All that differs between the live database and the shadow.';
