-- What a rescue does besides: refunds that were asked for here, times, and its end.

create function public.rescue_refund(p_refund jsonb) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  x record;
  o public.orders;
begin
  select * into x from jsonb_to_record(p_refund) as r (
    request_id text, order_id uuid, payment_id text, amount bigint, created bigint, cause text,
    whole boolean, restock boolean, lines jsonb
  );
  if cardinality(public.list_missing_orders(array[x.order_id])) > 0 then
    return false;
  end if;
  o := private.lock_order(x.order_id);
  update private.jobs j set status = 'done', finished_at = now(), lease_id = null, leased_until = null
  where j.dedupe_key = 'refund_payment:' || x.request_id and j.status in ('queued', 'running');
  update public.refund_requests q set status = 'done'
  where q.id = x.request_id and q.status in ('queued', 'disputed');
  if found or exists (select 1 from public.refund_requests q where q.id = x.request_id) then
    return false;
  end if;
  insert into public.refund_requests (id, order_id, payment_id, amount, cause, restock, status, created_at)
  values (
    x.request_id, o.id, x.payment_id, case when not x.whole then x.amount end, x.cause,
    x.restock and x.whole, 'done', to_timestamp(x.created)
  );
  update public.orders c set
    cancelled_at = case when x.cause = 'cancelled' then coalesce(c.cancelled_at, to_timestamp(x.created))
      else c.cancelled_at end,
    decided_payment_id = case when x.cause = 'requested'
      then coalesce(c.decided_payment_id, x.payment_id) else c.decided_payment_id end
  where c.id = o.id;
  if jsonb_array_length(x.lines) > 0 then
    perform private.book_refund_lines(o, x.request_id, null, x.lines, false);
  end if;
  -- The refund itself may be known already.
  perform private.date_effects(to_timestamp(x.created));
  perform private.settle_order(o.id, 'rescue');
  return true;
end;
$$;
comment on function public.rescue_refund(jsonb) is
  'Notes that a refund at Stripe was asked for here, before anything of it is settled: { request_id, '
  'order_id, payment_id, amount, created, cause, whole, restock, lines: [{ sku, quantity, restock }] }, as '
  'its metadata has it. So it is not asked for again, and its goods go where they went. Returns whether that '
  'was news. SHSKU, SHINV: lines that the order does not have.';
grant execute on function public.rescue_refund(jsonb) to service_role;

create function private.completed_at_stripe(s public.checkout_sessions, p_started_at timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(
    (
      select p.succeeded_at from public.payments p
      where p.id = s.payment_id and p.succeeded_at < p_started_at
    ),
    (
      select min(t.created_at) from public.payment_attempts t
      where t.payment_id = s.payment_id and t.outcome not in ('failed', 'blocked')
    ),
    s.created_at
  );
end;
$$;
comment on function private.completed_at_stripe(public.checkout_sessions, timestamptz) is
  'When a session was completed that a rescue begun at p_started_at saw complete first, by what was paid for '
  'it. Not before p_started_at: it was paid while the rescue ran.';

create function private.undated_orders(p_started_at timestamptz, p_limit integer) returns uuid[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select distinct x.order_id from (
      select p.order_id
      from public.payments p join public.payment_attempts a on a.payment_id = p.id
      where p.succeeded_at >= p_started_at and a.outcome = 'succeeded' and a.created_at < p_started_at
      union all
      select r.order_id from public.refunds r
      where r.created_at < p_started_at and greatest(r.succeeded_at, r.failed_at) >= p_started_at
      union all
      select s.order_id from public.checkout_sessions s
      where s.created_at < p_started_at and s.completed_at >= p_started_at
        and private.completed_at_stripe(s, p_started_at) < p_started_at
    ) x
    where x.order_id is not null order by 1 limit p_limit
  );
end;
$$;
comment on function private.undated_orders(timestamptz, integer) is
  'Orders of which something is known only since p_started_at that is older at Stripe.';

create function public.date_rescued(p_limit integer) returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  w private.rescues;
  v_ids uuid[];
begin
  select * into w from private.rescues x where x.finished_at is null;
  v_ids := private.undated_orders(w.started_at, p_limit);
  perform private.lock_order(x.id) from unnest(v_ids) as x (id);
  perform private.date_effects(w.stopped_at);
  -- Only events say when something happened. Where Stripe has them no more, it was first seen by the rescue,
  -- and the object's own time is nearer.
  update public.payments p set succeeded_at = a.at, created_at = least(p.created_at, a.at)
  from (
    select t.payment_id, min(t.created_at) as at from public.payment_attempts t
    where t.order_id = any (v_ids) and t.outcome = 'succeeded' group by t.payment_id
  ) a
  where a.payment_id = p.id and p.succeeded_at >= w.started_at and a.at < w.started_at;
  update public.refunds r set
    succeeded_at = case when r.succeeded_at >= w.started_at then r.created_at else r.succeeded_at end,
    failed_at = case when r.failed_at >= w.started_at then r.created_at else r.failed_at end
  where r.order_id = any (v_ids) and r.created_at < w.started_at;
  update public.checkout_sessions s set completed_at = private.completed_at_stripe(s, w.started_at)
  where s.order_id = any (v_ids) and s.created_at < w.started_at and s.completed_at >= w.started_at
    and private.completed_at_stripe(s, w.started_at) < w.started_at;
  perform private.settle_order(x.id, 'rescue') from unnest(v_ids) as x (id);
  return cardinality(v_ids);
end;
$$;
comment on function public.date_rescued(integer) is
  'Gives what the rescue saw first the time of its object at Stripe (when a card was charged, a refund '
  'made), for up to p_limit orders, and settles them. Returns how many; call it until there are none.';
grant execute on function public.date_rescued(integer) to service_role;

create function private.give_back_top_up(p_started_at timestamptz) returns text[]
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_back integer;
  v_left text[] := '{}';
begin
  for r in
    select j.variant_id, v.sku, sum(j.change)::integer as pieces
    from public.inventory_journal j join public.product_variants v on v.id = j.variant_id
    where j.created_at >= p_started_at and j.actor = 'rescue' and j.note = private.top_up_note()
    group by j.variant_id, v.sku having sum(j.change) > 0
    order by j.variant_id
  loop
    select least(r.pieces, l.on_hand - l.reserved) into v_back
    from public.inventory_levels l where l.variant_id = r.variant_id for no key update;
    perform private.name_stock_move('adjustment', null, private.top_up_note(), 'rescue');
    update public.inventory_levels l set on_hand = l.on_hand - v_back
    where l.variant_id = r.variant_id and v_back > 0;
    perform private.name_stock_move(null);
    if r.pieces > v_back then
      v_left := v_left || format('%s %s', r.pieces - v_back, r.sku);
    end if;
  end loop;
  return v_left;
end;
$$;
comment on function private.give_back_top_up(timestamptz) is
  'Takes out what top_up_stock() has added since p_started_at and what is on the shelf after all: goods that '
  'came back before they were sold again. Returns what stays added, as "pieces SKU".';

create function public.list_passed_events(p_after text, p_limit integer) returns text[]
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_ids constant text[] := array(
    select e.id from public.webhook_events e, private.rescues w
    where w.finished_at is null and e.ignored_reason = 'foreign_object' and e.stripe_created_at >= w.since
      and not e.payload ?| array['erased', 'purged'] and e.id > p_after
    order by e.id limit p_limit
  );
begin
  perform private.lock_before_jobs('{}', v_ids);
  perform private.redrive_event(x.id) from unnest(v_ids) as x (id);
  return v_ids;
end;
$$;
comment on function public.list_passed_events(text, integer) is
  'Events that came before their orders were known here, and were passed over: they are to be applied again, '
  'and may be by retry_stripe_event(). Those that are somebody else''s end as they were. By id, the first '
  'p_limit behind p_after (an empty text at first); call it until there are none.';
grant execute on function public.list_passed_events(text, integer) to service_role;

create type public.rescue_end as (stock_added text[], paid_orders text[]);
comment on type public.rescue_end is
  'What staff look at after a rescue. stock_added: "pieces SKU" that were sold and not in the stock of the '
  'backup; paid_orders: numbers of orders that wait to be sent, and may have been sent already.';

create function public.finish_rescue() returns public.rescue_end
language plpgsql
security definer
set search_path = ''
as $$
declare
  w private.rescues;
  r public.rescue_end;
begin
  perform pg_advisory_xact_lock(hashtextextended('rescue', 0));
  select * into w from private.rescues x where x.finished_at is null;
  if not found then
    raise exception 'no rescue is under way' using errcode = 'SHINV';
  end if;
  perform private.date_effects(w.stopped_at);
  -- Reminders go by the clock: those that were due until then have been sent.
  perform private.queue_recovery_mails(w.stopped_at);
  r.stock_added := private.give_back_top_up(w.started_at);
  r.paid_orders := array(
    -- Those of the backup as well: what was sent after it is not in it.
    select o.number from public.orders o
    where o.paid_at <= w.stopped_at and o.fulfillment_status in ('unfulfilled', 'on_hold')
    order by o.number
  );
  update private.rescues x set finished_at = clock_timestamp() where x.id = w.id;
  return r;
end;
$$;
comment on function public.finish_rescue() is
  'Ends a rescue: checkout opens, jobs run. SHINV: none is under way.';
grant execute on function public.finish_rescue() to service_role;
