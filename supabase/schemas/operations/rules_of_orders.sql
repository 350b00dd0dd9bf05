-- Alert rules about orders that are out of the ordinary, and about what is done with money by hand.

create index refunds_created_at_idx on public.refunds (created_at);
create index staff_commands_money_idx on public.staff_commands (created_at)
  where command in ('request_refund', 'cancel_order');
create index staff_commands_erasures_idx on public.staff_commands (created_at)
  where command = 'erase_customer';

create function private.exceeds_chance(p_count numeric, p_expected numeric) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Of things that come by chance, a count is within six standard deviations of its mean all year long.
  return p_count > p_expected + 6 * sqrt(p_expected);
end;
$$;
comment on function private.exceeds_chance(numeric, numeric) is
  'Whether a count is more than chance makes of so many expected (Poisson: its variance is its mean).';

create function private.usual_orders(p_livemode boolean, p_now timestamptz)
returns table (currency text, amount bigint, orders bigint)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select x.currency, percentile_disc(0.5) within group (order by x.amount_total), count(*)
  from (
    select o.currency, o.amount_total from public.orders o
    where o.livemode = p_livemode and o.paid_at is not null and o.paid_at <= p_now
    order by o.paid_at desc limit 500
  ) x
  group by x.currency;
end;
$$;
comment on function private.usual_orders(boolean, timestamptz) is
  'What an order is usually worth in each currency: the median of the last 500 that were paid, in minor '
  'units, and how many these were.';

create function private.fresh_orders(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof public.orders
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.* from public.orders o
  where o.livemode = p_livemode and o.paid_at > p_now - make_interval(secs => r.window_seconds)
    and o.paid_at <= p_now
    and (o.fulfilled_at is null or o.fulfilled_at > p_now)
    and (o.cancelled_at is null or o.cancelled_at > p_now)
    and o.fulfillment_status <> 'cancelled';
end;
$$;
comment on function private.fresh_orders(private.alert_rules, boolean, timestamptz) is
  'Orders that were paid within the window, have not been sent, and are to be: of others nothing can be kept '
  'back.';

create function private.rule_order_high_value(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.number, round(o.amount_total::numeric / u.amount, 1), jsonb_build_object(
    'order_number', o.number, 'amount', o.amount_total, 'currency', o.currency, 'usual', u.amount
  )
  from private.fresh_orders(r, p_livemode, p_now) o
  join private.usual_orders(p_livemode, p_now) u on u.currency = o.currency
  where u.orders >= r.minimum and u.amount > 0 and o.amount_total >= r.threshold * u.amount
  order by o.paid_at;
end;
$$;
comment on function private.rule_order_high_value(private.alert_rules, boolean, timestamptz) is
  'Orders to be sent that are worth far more than usual.';

create function private.rule_order_country_mismatch(
  r private.alert_rules, p_livemode boolean, p_now timestamptz
) returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.number, round(o.amount_total::numeric / u.amount, 1), jsonb_build_object(
    'order_number', o.number, 'amount', o.amount_total, 'currency', o.currency, 'usual', u.amount,
    'card_country', p.card_country, 'delivery_country', o.shipping_address ->> 'country'
  )
  from private.fresh_orders(r, p_livemode, p_now) o
  join private.usual_orders(p_livemode, p_now) u on u.currency = o.currency
  cross join lateral (select y.card_country from public.payments y where y.id = o.payment_id limit 1) p
  where u.orders >= r.minimum and u.amount > 0 and o.amount_total >= r.threshold * u.amount
    and upper(p.card_country) <> upper(o.shipping_address ->> 'country')
  order by o.paid_at;
end;
$$;
comment on function private.rule_order_country_mismatch(private.alert_rules, boolean, timestamptz) is
  'Orders to be sent that are worth more than usual and were paid with a card of another country. Presents '
  'and travellers are alike, so small ones do not count.';

create function private.rule_order_many_pieces(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select o.number, i.pieces::numeric, jsonb_build_object('order_number', o.number, 'pieces', i.pieces)
  from private.fresh_orders(r, p_livemode, p_now) o
  cross join lateral (
    select sum(x.quantity) as pieces from public.order_items x where x.order_id = o.id
  ) i
  where i.pieces >= r.threshold
  order by o.paid_at;
end;
$$;
comment on function private.rule_order_many_pieces(private.alert_rules, boolean, timestamptz) is
  'Orders to be sent of many pieces.';

create function private.rule_large_refund(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select f.id, round(f.amount::numeric / u.amount, 1), jsonb_build_object(
    'order_number', o.number, 'refund_id', f.id, 'amount', f.amount, 'currency', f.currency,
    'usual', u.amount
  )
  from public.refunds f
  join private.usual_orders(p_livemode, p_now) u on u.currency = f.currency
  cross join lateral (select x.* from public.orders x where x.id = f.order_id limit 1) o
  where f.created_at > p_now - make_interval(secs => r.window_seconds) and f.created_at <= p_now
    and o.livemode = p_livemode and u.orders >= r.minimum and u.amount > 0
    and f.amount >= r.threshold * u.amount
  order by f.created_at;
end;
$$;
comment on function private.rule_large_refund(private.alert_rules, boolean, timestamptz) is
  'Refunds of far more than an order is usually worth, whoever made them.';

create function private.rule_refund_spike(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  v_from constant timestamptz := p_now - make_interval(secs => r.window_seconds);
begin
  return query
  select '', x.refunds::numeric, jsonb_build_object('refunds', x.refunds, 'usual', round(x.usual, 1))
  from (
    select count(*) filter (where f.created_at > v_from) as refunds,
      count(*) filter (where f.created_at <= v_from) * r.window_seconds / extract(
        epoch from interval '28 days'
      ) as usual
    from public.refunds f
    cross join lateral (select o.livemode from public.orders o where o.id = f.order_id limit 1) o
    where f.created_at > v_from - interval '28 days' and f.created_at <= p_now and o.livemode = p_livemode
  ) x
  where x.refunds >= r.minimum and x.refunds >= r.threshold * x.usual
    and private.exceeds_chance(x.refunds, x.usual);
end;
$$;
comment on function private.rule_refund_spike(private.alert_rules, boolean, timestamptz) is
  'Refunds in the window, against the four weeks before it.';

create function private.rule_refunds_by_one(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  v_from constant timestamptz := p_now - make_interval(secs => r.window_seconds);
begin
  return query
  select x.actor, x.refunds::numeric, jsonb_build_object(
    'actor', x.actor, 'refunds', x.refunds, 'usual', round(x.usual, 1)
  )
  from (
    select c.actor, count(*) filter (where c.created_at > v_from) as refunds,
      count(*) filter (where c.created_at <= v_from) * r.window_seconds / extract(
        epoch from interval '28 days'
      ) as usual
    from public.staff_commands c
    where c.command in ('request_refund', 'cancel_order')
      and c.created_at > v_from - interval '28 days' and c.created_at <= p_now
    group by c.actor
  ) x
  where x.refunds >= r.minimum and x.refunds >= r.threshold * x.usual
    and private.exceeds_chance(x.refunds, x.usual);
end;
$$;
comment on function private.rule_refunds_by_one(private.alert_rules, boolean, timestamptz) is
  'Refunds and cancellations of one member of staff in the window, against what they did in the four weeks '
  'before it.';

create function private.rule_erasure_done(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select c.number::text, 1::numeric, jsonb_build_object('command', c.number, 'actor', c.actor)
  from public.staff_commands c
  where c.command = 'erase_customer'
    and c.created_at > p_now - make_interval(secs => r.window_seconds) and c.created_at <= p_now
  order by c.number;
end;
$$;
comment on function private.rule_erasure_done(private.alert_rules, boolean, timestamptz) is
  'Erasures that staff have carried out: nobody can take one back.';
