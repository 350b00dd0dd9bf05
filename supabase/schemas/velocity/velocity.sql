-- Velocity: the rules at checkout, and what a hit leads to.

create function private.three_d_secure_rank(p_asked text) returns integer
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case p_asked when 'challenge' then 2 when 'any' then 1 else 0 end;
end;
$$;
comment on function private.three_d_secure_rank(text) is
  'What a page asks of the card, as a number: more is stronger. Null, Stripe''s own judgement, is 0.';

create function private.answer_of_hits(p_hits jsonb) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'action', case
        when 'block' = any (a.actions) then 'block'
        when 'review' = any (a.actions) then 'review'
        when 'require_challenge' = any (a.actions) then 'require_challenge'
        when 'require_3ds' = any (a.actions) then 'require_3ds'
        else 'allow'
      end,
      'three_d_secure', case
        when 'require_challenge' = any (a.actions) then 'challenge'
        when 'require_3ds' = any (a.actions) then 'any'
      end,
      'retry_after_seconds', a.retry_after_seconds,
      'hits', p_hits
    )
    from (
      select coalesce(array_agg(h ->> 'action'), '{}') as actions,
        max((h ->> 'retry_after_seconds')::integer) filter (where h ->> 'action' = 'block')
          as retry_after_seconds
      from jsonb_array_elements(p_hits) h
    ) a
  );
end;
$$;
comment on function private.answer_of_hits(jsonb) is
  'What hits come to together: { action (the strongest), three_d_secure, retry_after_seconds, hits }.';

create function private.check_velocity(
  p_mode text,
  p_user_id uuid,
  p_email text,
  p_ip inet,
  p_cart jsonb,
  p_livemode boolean,
  p_order_id uuid default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_mailbox text := private.email_key(p_email);
  v_rule record;
  v_hit jsonb;
  v_hits jsonb := '[]';
  -- The rule that the last hit is of.
  v_hit_name text;
  v_result jsonb;
begin
  if p_mode = 'off' then
    return jsonb_build_object('action', 'allow', 'hits', '[]'::jsonb);
  end if;
  -- A burst under one mailbox or from one network must not slip through because none of it sees the others.
  if v_mailbox is not null then
    perform pg_advisory_xact_lock(hashtextextended('velocity:' || v_mailbox, 0));
  end if;
  if p_ip is not null then
    perform pg_advisory_xact_lock(hashtextextended('velocity:' || text(private.address_key(p_ip)), 0));
  end if;

  for v_rule in
    select * from private.rules_that_may_hit(p_user_id, v_mailbox, p_ip, p_cart, p_livemode, p_order_id)
  loop
    -- A network within a network is no second hit.
    continue when (v_rule.rule).name = v_hit_name;
    v_hit := private.measure_velocity(
      v_rule.rule, v_rule.key, (p_cart ->> 'amount')::bigint, p_cart ->> 'currency', p_livemode,
      clock_timestamp(), p_order_id, p_cart -> 'lines', v_rule.factor
    );
    if v_hit is not null then
      v_hits := v_hits || (v_hit || jsonb_build_object(
        'mode', p_mode, 'action', case p_mode when 'enforce' then (v_rule.rule).action else 'allow' end
      ));
      v_hit_name := (v_rule.rule).name;
    end if;
  end loop;

  v_result := private.answer_of_hits(v_hits);
  if v_hits <> '[]' then
    perform private.raise_velocity_alerts(v_hits);
  end if;
  if v_result ->> 'action' = 'block' then
    perform private.record_velocity_hits(v_result, p_order_id);
  end if;
  return v_result;
end;
$$;
comment on function private.check_velocity(text, uuid, text, inet, jsonb, boolean, uuid) is
  'Measures the rules for a door to a payment page: { action, three_d_secure, retry_after_seconds, hits }, '
  'the strongest action of all hits. p_cart: { amount, currency, lines: [{ variant_id, quantity }] }; '
  'p_order_id: the order that the page is for, once it exists. Mode report: every action is allow, and the '
  'hits tell what would have been. Records the hits of a block itself, since nothing will carry them.';

create function private.record_velocity_hits(p_risk jsonb, p_order_id uuid) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_attempt integer;
  v_recorded integer;
begin
  if p_risk -> 'hits' = '[]' then
    return 0;
  end if;
  v_attempt := (select o.attempt from public.orders o where o.id = p_order_id);
  insert into public.fraud_signals as f (source_id, order_id, kind, severity, open, data)
  select
    -- Refused checkouts make no order. Anybody can send them, so they are counted, per subject, rule and
    -- window.
    case when p_order_id is null then concat_ws(
      ':', 'velocity', h ->> 'rule', h ->> 'subject_digest',
      floor(extract(epoch from now()) / (h ->> 'window_seconds')::integer)
    ) end,
    p_order_id, 'velocity',
    case
      when h ->> 'rule_action' = 'block' or h ->> 'alert' = 'critical' then 'critical'
      when h ->> 'rule_action' = 'review' or h ->> 'alert' = 'warning' then 'warning'
      else 'info'
    end,
    h ->> 'action' = 'review',
    (h - array['retry_after_seconds', 'alert'])
      || jsonb_strip_nulls(
        jsonb_build_object('attempt', v_attempt, 'count', case when p_order_id is null then 1 end)
      )
  from jsonb_array_elements(p_risk -> 'hits') h
  where p_order_id is null or not exists (
    select 1 from public.fraud_signals known
    where known.order_id = p_order_id and known.kind = 'velocity' and known.data ->> 'rule' = h ->> 'rule'
      and known.data ->> 'attempt' = v_attempt::text
  )
  on conflict on constraint fraud_signals_source_id_key do update
  set data = excluded.data || jsonb_build_object('count', (f.data ->> 'count')::integer + 1);
  get diagnostics v_recorded = row_count;
  return v_recorded;
end;
$$;
comment on function private.record_velocity_hits(jsonb, uuid) is
  'One fraud_signals row per hit of an order, rule and attempt; of refused checkouts one per subject, rule '
  'and '
  'window, counted up. An open one with action review holds its order once it is paid. Returns how many '
  'are new.';

create function private.raise_velocity_alerts(p_hits jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- Hits closer together than this belong to one attack, or to one outage.
  c_lull constant interval := '1 hour';
  v_alert record;
  v_key text;
begin
  for v_alert in
    select x.kind, case when bool_or(x.severity = 'critical') then 'critical' else 'warning' end as severity,
      jsonb_agg(distinct x.rule) as rules, jsonb_object_agg(x.rule, x.value) as figures
    from (
      select h ->> 'rule' as rule, h -> 'value' as value, h ->> 'alert' as severity, case
        when h ->> 'measure' = 'outages' then 'payment_outage'
        when h ->> 'measure' like 'held%' and h ->> 'subject' = 'shop' then 'stock_held'
        else 'velocity'
      end as kind
      from jsonb_array_elements(p_hits) h where h ->> 'alert' is not null
    ) x
    group by x.kind order by x.kind
  loop
    -- Somebody is raising it at this moment: nobody has to wait with stock in hand to raise it again.
    continue when not pg_try_advisory_xact_lock(hashtextextended('velocity alert ' || v_alert.kind, 0));
    select a.dedupe_key into v_key from public.alerts a
    where a.kind = v_alert.kind and a.last_at > clock_timestamp() - c_lull
      and (a.severity = 'critical' or v_alert.severity = 'warning')
    order by a.last_at desc limit 1;
    perform private.raise_alert(
      v_alert.kind, v_alert.severity,
      coalesce(v_key, concat_ws(
        ':', v_alert.kind, nullif(v_alert.severity, 'critical'),
        to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS')
      )),
      jsonb_build_object('rules', v_alert.rules, 'figures', v_alert.figures)
    );
  end loop;
end;
$$;
comment on function private.raise_velocity_alerts(jsonb) is
  'Tells staff of hits: one alert per attack (velocity), outage (payment_outage) or rush on the stock '
  '(stock_held), counted up while it goes on, whichever rules it runs into.';
