-- Alert rules about payments, checkouts, disputes and who looks at them.

-- Visa counts cases and sales by the month: the index alone answers, however many sales there are.
create index payments_visa_idx on public.payments (livemode, succeeded_at)
  where card_brand = 'visa' and succeeded_at is not null;
create index disputes_created_at_idx on public.disputes (created_at);
create index fraud_signals_warnings_idx on public.fraud_signals (created_at)
  where kind = 'early_fraud_warning';

create function private.rule_checkout_errors(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', round(x.failed::numeric / x.checkouts, 3),
    jsonb_build_object('checkouts', x.checkouts, 'failed', x.failed)
  from (
    select count(*) as checkouts, count(*) filter (where not exists (
      select 1 from public.checkout_sessions s where s.order_id = o.id
    )) as failed
    from public.orders o
    where o.livemode = p_livemode
      and o.created_at > p_now - make_interval(secs => r.window_seconds)
      -- What is younger may wait for Stripe's answer.
      and o.created_at <= p_now - interval '2 minutes'
  ) x
  where x.checkouts >= r.minimum and x.failed >= r.threshold * x.checkouts;
end;
$$;
comment on function private.rule_checkout_errors(private.alert_rules, boolean, timestamptz) is
  'Share of the checkouts that began in the window and got no payment page. A checkout that fails before it '
  'has an order leaves nothing here.';

create function private.tried_orders(
  p_livemode boolean,
  p_from timestamptz,
  p_until timestamptz,
  out o_tried bigint,
  out o_refused bigint
)
language plpgsql
stable
set search_path = ''
as $$
begin
  select count(*), count(*) filter (where not x.went_through) into o_tried, o_refused
  from (
    select bool_or(a.outcome not in ('failed', 'blocked')) as went_through
    from public.payment_attempts a
    where a.livemode = p_livemode and a.created_at > p_from and a.created_at <= p_until
      -- payment_outage tells of these.
      and not private.is_outage(a.failure_code, a.decline_code)
    group by coalesce(a.order_id::text, a.payment_id)
  ) x;
end;
$$;
comment on function private.tried_orders(boolean, timestamptz, timestamptz) is
  'How many orders somebody tried to pay in a span of time, and how many of them were refused and not paid '
  'in it. Outages of a bank or network do not count.';

create function private.rule_decline_rate(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  c_weeks constant integer := 4;
  -- Where the weeks before tell little, one in five is taken for usual: as much as 20 orders would say so.
  c_prior constant integer := 20;
  c_prior_refused constant integer := 4;
  v_window constant interval := make_interval(secs => r.window_seconds);
  v_now record;
  v_usual numeric;
begin
  select * into v_now from private.tried_orders(p_livemode, p_now - v_window, p_now);
  if v_now.o_tried < r.minimum then
    return;
  end if;
  select (sum(t.o_refused) + c_prior_refused) / (sum(t.o_tried) + c_prior) into v_usual
  from generate_series(1, c_weeks) w (n)
  cross join lateral private.tried_orders(
    p_livemode, p_now - w.n * interval '7 days' - v_window, p_now - w.n * interval '7 days'
  ) t;
  if v_now.o_refused >= v_now.o_tried * (v_usual + r.threshold)
    -- Six standard deviations of a share.
    and v_now.o_refused > v_now.o_tried * v_usual + 6 * sqrt(v_now.o_tried * v_usual * (1 - v_usual)) then
    return next (
      '', round(v_now.o_refused::numeric / v_now.o_tried, 3), jsonb_build_object(
        'tried', v_now.o_tried, 'refused', v_now.o_refused, 'usual', round(v_usual, 3)
      )
    )::private.alert_finding;
  end if;
end;
$$;
comment on function private.rule_decline_rate(private.alert_rules, boolean, timestamptz) is
  'Share of the orders tried in the window that was refused, against the same hour of the last four weeks.';

create function private.rule_method_outage(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select m.method, round(m.refused::numeric / m.tried, 3),
    jsonb_build_object('method', m.method, 'tried', m.tried, 'refused', m.refused)
  from (
    select x.method, count(*) as tried, count(*) filter (where not x.went_through) as refused
    from (
      select coalesce(a.card_brand, a.payment_method_type) as method,
        bool_or(a.outcome not in ('failed', 'blocked')) as went_through
      from public.payment_attempts a
      where a.livemode = p_livemode and a.created_at <= p_now
        and a.created_at > p_now - make_interval(secs => r.window_seconds)
      group by 1, coalesce(a.order_id::text, a.payment_id)
    ) x
    where x.method is not null
    group by x.method
  ) m
  where m.tried >= r.minimum and m.refused >= r.threshold * m.tried
  order by m.method;
end;
$$;
comment on function private.rule_method_outage(private.alert_rules, boolean, timestamptz) is
  'Brands of card and methods with which hardly an order goes through. Which bank has issued a card Stripe '
  'does not tell.';

create function private.visa_cases(p_livemode boolean, p_from timestamptz, p_until timestamptz)
returns table (at timestamptz)
language plpgsql
stable
set search_path = ''
as $$
begin
  -- A fraud report that becomes a dispute counts twice, as Visa counts. Inquiries do not count, nor does what
  -- was settled before it became a dispute.
  return query
  select d.created_at from public.disputes d
  cross join lateral (select y.card_brand from public.payments y where y.id = d.payment_id limit 1) p
  where d.livemode = p_livemode and d.created_at > p_from and d.created_at <= p_until
    and p.card_brand = 'visa' and d.status not like 'warning%' and d.status <> 'prevented'
  union all
  select f.created_at from public.fraud_signals f
  cross join lateral (
    select y.card_brand, y.livemode from public.payments y where y.id = f.payment_id limit 1
  ) p
  where f.kind = 'early_fraud_warning' and f.created_at > p_from and f.created_at <= p_until
    and p.card_brand = 'visa' and p.livemode = p_livemode;
end;
$$;
comment on function private.visa_cases(boolean, timestamptz, timestamptz) is
  'Disputes and fraud reports of Visa cards as Visa''s acquirer monitoring programme counts them: by the '
  'moment in which they came. All sales here are without a card present.';

create function private.rule_dispute_ratio(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  v_from constant timestamptz := p_now - make_interval(secs => r.window_seconds);
  -- The pace of the last third, kept up for a whole window, is the forecast.
  v_third constant timestamptz := p_now - make_interval(secs => r.window_seconds / 3);
  x record;
begin
  select
    (select count(*) from private.visa_cases(p_livemode, v_from, p_now)) as cases,
    (select count(*) from private.visa_cases(p_livemode, v_third, p_now)) as late_cases,
    (
      select count(*) from public.payments p
      where p.card_brand = 'visa' and p.livemode = p_livemode and p.succeeded_at > v_from
        and p.succeeded_at <= p_now
    ) as sales,
    (
      select count(*) from public.payments p
      where p.card_brand = 'visa' and p.livemode = p_livemode and p.succeeded_at > v_third
        and p.succeeded_at <= p_now
    ) as late_sales
  into x;
  if (x.cases >= r.minimum and x.cases >= r.threshold * x.sales)
    or (x.late_cases >= r.minimum and x.late_cases >= r.threshold * x.late_sales) then
    return next (
      '', round(greatest(
        x.cases::numeric / greatest(x.sales, 1), x.late_cases::numeric / greatest(x.late_sales, 1)
      ), 4), jsonb_build_object(
        'cases', x.cases, 'sales', x.sales, 'ratio', round(x.cases::numeric / greatest(x.sales, 1), 4),
        'forecast_cases', 3 * x.late_cases, 'forecast_sales', 3 * x.late_sales,
        'forecast_ratio', round(x.late_cases::numeric / greatest(x.late_sales, 1), 4)
      )
    )::private.alert_finding;
  end if;
end;
$$;
comment on function private.rule_dispute_ratio(private.alert_rules, boolean, timestamptz) is
  'Visa''s ratio (VAMP): disputes and fraud reports of Visa cards to settled sales by them, in the window, '
  'and forecast for the next one from the pace of its last third.';

create function private.rule_stock_leak(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', count(*)::numeric,
    jsonb_build_object('holds', count(*), 'order_number', min(x.number), 'oldest_ended_at', min(x.expires_at))
  from (
    select o.number, h.expires_at
    from public.inventory_reservations h
    cross join lateral (select y.number, y.status from public.orders y where y.id = h.order_id limit 1) o
    where h.status = 'active'
      and h.expires_at <= p_now - make_interval(secs => r.threshold::double precision)
      -- A debit takes days, and holds its goods meanwhile.
      and o.status <> 'processing'
    order by h.expires_at limit 1000
  ) x
  having count(*) >= r.minimum;
end;
$$;
comment on function private.rule_stock_leak(private.alert_rules, boolean, timestamptz) is
  'Holds on goods, at most 1000, that should have ended longer ago than the threshold.';
