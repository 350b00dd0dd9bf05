-- Alert rules about deliveries, jobs and mail. What they have in common: see private.evaluate_alert_rule().

create table private.refused_signatures (
  noted_at timestamptz primary key,
  total bigint not null
);
comment on table private.refused_signatures is
  'How many deliveries had been refused for their signature, minute by minute: webhook_rejections counts for '
  'good. Kept for the window of the rule.';
alter table private.refused_signatures enable row level security;

create table private.key_modes (
  livemode boolean primary key,
  seen_at timestamptz not null
);
comment on table private.key_modes is 'When the functions last had a Stripe key of each mode.';
alter table private.key_modes enable row level security;

create function private.rule_webhook_lag(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', x.late::numeric,
    jsonb_build_object('late', x.late, 'deliveries', x.deliveries, 'slowest_seconds', round(x.slowest))
  from (
    select count(*) as deliveries, count(*) filter (where e.lag >= r.threshold) as late,
      max(e.lag) as slowest
    from (
      select extract(epoch from w.received_at - w.stripe_created_at) as lag
      from public.webhook_events w
      where w.received_at > p_now - make_interval(secs => r.window_seconds) and w.received_at <= p_now
        and w.livemode = p_livemode and w.delivery_count > 0
      order by w.received_at desc limit 500
    ) e
  ) x
  -- One that Stripe had to send twice is late, and nothing is wrong.
  where x.late >= r.minimum and x.late >= 0.05 * x.deliveries;
end;
$$;
comment on function private.rule_webhook_lag(private.alert_rules, boolean, timestamptz) is
  'How many of the last 500 deliveries in the window came late, once they are one in twenty.';

create function private.rule_signature_failures(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
set search_path = ''
as $$
declare
  v_from constant timestamptz := p_now - make_interval(secs => r.window_seconds);
  v_total bigint;
  v_before bigint;
begin
  select coalesce(sum(w.count), 0) into v_total
  from public.webhook_rejections w
  where w.reason in ('invalid_signature', 'timestamp_out_of_tolerance')
    -- Strangers may try as they like: they are limited, and suspicious_activity lists them.
    and (w.source_ip is null or exists (
      select 1 from public.stripe_webhook_ips i where i.address = w.source_ip
    ));
  -- Retention has removed counters, or Stripe an address: what comes from now on counts all the same.
  update private.refused_signatures s set total = v_total where s.total > v_total;
  insert into private.refused_signatures (noted_at, total) values (p_now, v_total)
  on conflict (noted_at) do update set total = excluded.total;
  delete from private.refused_signatures s
  where s.noted_at < (select max(x.noted_at) from private.refused_signatures x where x.noted_at <= v_from);
  select s.total into v_before from private.refused_signatures s order by s.noted_at limit 1;
  if v_total - v_before >= r.threshold then
    return next ('', v_total - v_before, '{}')::private.alert_finding;
  end if;
end;
$$;
comment on function private.rule_signature_failures(private.alert_rules, boolean, timestamptz) is
  'Deliveries of Stripe''s, or from unknown addresses, that were refused for their signature or time within '
  'the window: a wrong secret.';

create function private.rule_job_backlog(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Mails are paced: in a burst they wait for their turn, and that is how it should be.
  c_turn constant interval := '5 minutes';
  v_waiting text[] := array(
    select k.kind from private.job_kinds k join private.circuit_breakers b on b.provider = k.provider
    where b.open_until is not null
    union all
    select 'send_mail' where exists (
      select 1 from private.jobs j
      where j.kind = 'send_mail' and j.status in ('done', 'discarded') and j.finished_at > p_now - c_turn
    )
  );
begin
  return query
  select '', count(*)::numeric, jsonb_build_object('oldest_due_at', min(x.run_at))
  from (
    select j.run_at from private.jobs j
    where j.status = 'queued' and j.run_at <= p_now - make_interval(secs => r.threshold::double precision)
      and not j.kind = any (v_waiting)
    order by j.run_at limit 1000
  ) x
  having count(*) >= r.minimum;
end;
$$;
comment on function private.rule_job_backlog(private.alert_rules, boolean, timestamptz) is
  'Jobs that have been due for longer than the threshold, at most 1000; neither those of a provider that is '
  'down, nor mails while others of them leave.';

create function private.rule_scheduler_silent(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', round(extract(epoch from h.resumed_at - h.silent_from)),
    jsonb_build_object('from', h.silent_from, 'until', h.resumed_at)
  from private.heartbeats h
  where h.name = 'retry_jobs' and h.resumed_at <= p_now
    and h.resumed_at > p_now - make_interval(secs => r.window_seconds)
    and extract(epoch from h.resumed_at - h.silent_from) >= r.threshold;
end;
$$;
comment on function private.rule_scheduler_silent(private.alert_rules, boolean, timestamptz) is
  'The last time that nobody called retry-jobs, in seconds. While it lasts only health can tell it (503): '
  'nothing runs that could.';

create function private.rule_mail_bouncing(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select '', round(x.failing::numeric / x.mails, 3),
    jsonb_build_object('mails', x.mails, 'failing', x.failing)
  from (
    select count(*) as mails,
      count(*) filter (where n.status in ('failed', 'bounced', 'complained')) as failing
    from public.notifications n
    where n.created_at > p_now - make_interval(secs => r.window_seconds) and n.created_at <= p_now
      and n.status in ('sent', 'failed', 'bounced', 'complained')
  ) x
  where x.failing >= r.minimum and x.failing >= r.threshold * x.mails;
end;
$$;
comment on function private.rule_mail_bouncing(private.alert_rules, boolean, timestamptz) is
  'Share of the window''s mails that failed, bounced or brought a complaint.';

create function private.rule_key_mode_changed(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
set search_path = ''
as $$
begin
  insert into private.key_modes as m (livemode, seen_at) values (p_livemode, p_now)
  on conflict (livemode) do update set seen_at = greatest(m.seen_at, excluded.seen_at);
  return query
  select case when p_livemode then 'live' else 'test' end, 1::numeric,
    jsonb_build_object('livemode', p_livemode, 'other_seen_at', m.seen_at)
  from private.key_modes m
  where m.livemode <> p_livemode and m.seen_at > p_now - make_interval(secs => r.window_seconds);
end;
$$;
comment on function private.rule_key_mode_changed(private.alert_rules, boolean, timestamptz) is
  'The mode of the Stripe key differs from what it was within the window.';
