-- Velocity: the rules at checkout, at payment and at each refusal, and what a hit leads to.

create function private.three_d_secure_rank(p_asked text) returns integer
language sql
immutable
set search_path = ''
as $$
  select case p_asked when 'challenge' then 2 when 'any' then 1 else 0 end
$$;
comment on function private.three_d_secure_rank(text) is
  'What a page asks of the card, as a number: more is stronger. Null, Stripe''s own judgement, is 0.';

create function private.answer_of_hits(p_hits jsonb) returns jsonb
language sql
immutable
set search_path = ''
as $$
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
  v_rule private.velocity_rules;
  v_key record;
  v_hit jsonb;
  v_hits jsonb := '[]';
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
    select * from private.velocity_rules r
    where r.enabled and r.subject in ('user', 'email', 'order', 'address', 'shop') and r.measure <> 'outages'
    order by r.name
  loop
    for v_key in select * from private.velocity_keys(v_rule, p_user_id, p_email, p_ip, p_order_id) loop
      v_hit := private.measure_velocity(
        v_rule, v_key.key, (p_cart ->> 'amount')::bigint, p_cart ->> 'currency', p_livemode,
        clock_timestamp(), p_order_id, p_cart -> 'lines', v_key.factor
      );
      if v_hit is not null then
        v_hits := v_hits || (v_hit || jsonb_build_object(
          'mode', p_mode, 'action', case p_mode when 'enforce' then v_rule.action else 'allow' end
        ));
        -- A network within a network is no second hit.
        exit;
      end if;
    end loop;
  end loop;

  v_result := private.answer_of_hits(v_hits);
  perform private.raise_velocity_alerts(v_hits);
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
  v_attempt integer := (select o.attempt from public.orders o where o.id = p_order_id);
  v_recorded integer;
begin
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

create function private.freeze_velocity_rules() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_rules jsonb := (
    select coalesce(jsonb_agg(to_jsonb(r) - '{description,updated_at}'::text[] order by r.name), '[]')
    from private.velocity_rules r
    where r.enabled and r.subject in ('card', 'shipping_address')
  );
  v_digest text := md5(v_rules::text);
  v_id bigint;
begin
  select id into v_id from private.velocity_rule_sets where digest = v_digest;
  if v_id is null then
    insert into private.velocity_rule_sets (digest, rules) values (v_digest, v_rules)
    on conflict on constraint velocity_rule_sets_digest_key do update set digest = excluded.digest
    returning id into v_id;
  end if;
  return v_id;
end;
$$;
comment on function private.freeze_velocity_rules() is
  'The row of velocity_rule_sets with today''s rules on card and delivery address.';

create function private.check_paid_velocity(o public.orders) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_rule private.velocity_rules;
  v_key text;
  v_hit jsonb;
  k public.order_risk := private.risk_of(o.id);
  v_set_id bigint := k.velocity_rule_set;
begin
  if k.velocity_mode = 'off' then
    return v_set_id;
  end if;
  -- Facts may come late, and are measured then; by the rules of the day it was paid.
  v_set_id := coalesce(v_set_id, private.freeze_velocity_rules());
  for v_rule in
    select r.*
    from private.velocity_rule_sets s, jsonb_populate_recordset(null::private.velocity_rules, s.rules) r
    where s.id = v_set_id order by r.name
  loop
    v_key := case v_rule.subject
      when 'shipping_address' then private.delivery_key(o.shipping_address)
      when 'card' then (
        select a.card_fingerprint from public.payment_attempts a
        where a.order_id = o.id and a.outcome = 'succeeded' and a.card_fingerprint is not null
        order by a.created_at, a.id limit 1
      )
    end;
    continue when v_key is null or exists (
      select 1 from public.fraud_signals f
      where f.order_id = o.id and f.kind = 'velocity' and f.data ->> 'rule' = v_rule.name
    );
    v_hit := private.measure_velocity(
      v_rule, v_key, o.amount_subtotal, o.currency, o.livemode, greatest(o.paid_at, o.created_at), o.id
    );
    if v_hit is not null then
      v_hit := v_hit || jsonb_build_object(
        'mode', k.velocity_mode,
        -- The money is there already: to block means to hold the goods.
        'action', case
          when k.velocity_mode <> 'enforce' then 'allow'
          when v_rule.action = 'block' then 'review'
          else v_rule.action
        end
      );
      perform private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit)), o.id);
    end if;
  end loop;
  return v_set_id;
end;
$$;
comment on function private.check_paid_velocity(public.orders) is
  'Measures the rules on card and delivery address once an order is paid, by what had happened until then '
  'and by the rules as they stood, so that settling again finds the same. Returns the set of rules, for '
  'velocity_rule_set. Called by settle_order() only.';

create function private.end_pages(
  p_rule private.velocity_rules,
  p_key text,
  o public.orders,
  p_at timestamptz
) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- Stripe keeps no payment page open for longer.
  c_page_life constant interval := '1 day';
  v_asked integer := case p_rule.action when 'block' then 3 when 'require_challenge' then 2 else 1 end;
  v_page record;
begin
  for v_page in
    with refused as materialized (
      -- Of a rule that asks for more, only pages whose own buyer was refused: the rest has done nothing.
      select distinct r.id, r.customer_id
      from private.subject_attempts(
        p_rule.subject, p_key, o.livemode, p_at - make_interval(secs => p_rule.window_seconds)
      ) a
      join public.orders r on r.id = a.order_id
      where p_rule.action <> 'block' and a.outcome in ('failed', 'blocked')
        and not exists (
          select 1 from public.orders p where p.customer_id = r.customer_id and p.paid_at is not null
        )
    ), theirs as materialized (
      select x.id from private.subject_orders(p_rule.subject, p_key, o.livemode, p_at - c_page_life) x
      where p_rule.action = 'block'
    )
    select s.id, s.order_id
    from public.checkout_sessions s
    join public.orders other on other.id = s.order_id
    join public.order_risk k on k.order_id = other.id
    where s.status = 'open' and other.paid_at is null
      and private.three_d_secure_rank(k.three_d_secure) < v_asked and (
      other.id = o.id
      or other.id in (select t.id from theirs t)
      or exists (select 1 from refused r where r.id = other.id or r.customer_id = other.customer_id)
    )
    order by s.id
  loop
    update public.checkout_sessions set closing_at = now() where id = v_page.id and closing_at is null;
    perform private.enqueue_job(
      'expire_checkout_session', 'expire_checkout_session:velocity:' || v_page.id,
      jsonb_build_object('session_id', v_page.id, 'order_id', v_page.order_id), now(), 10
    );
  end loop;
end;
$$;
comment on function private.end_pages(private.velocity_rules, text, public.orders, timestamptz) is
  'Has the payment pages of a hit ended: with action block all of the subject, else those of refused buyers '
  'that ask less of the card than the rule does, the page of o among them. No door leads to them from now '
  'on.';

create function private.check_declined_velocity(o public.orders) returns integer
language plpgsql
set search_path = ''
as $$
declare
  k public.order_risk := private.risk_of(o.id);
  v_declines integer;
  v_at timestamptz;
  v_user_id uuid;
  v_rule private.velocity_rules;
  v_key record;
  v_hit jsonb;
begin
  select count(*), max(a.created_at) into v_declines, v_at
  from public.payment_attempts a
  where a.order_id = o.id and a.outcome in ('failed', 'blocked')
    and not private.is_outage(a.failure_code, a.decline_code);
  if k.velocity_mode = 'off' or o.session_id is not null or v_declines <= k.declined_attempts then
    return v_declines;
  end if;
  select c.user_id into v_user_id from public.customers c where c.id = o.customer_id;

  for v_rule in
    select * from private.velocity_rules r
    where r.enabled and r.action in ('require_3ds', 'require_challenge', 'block')
      and r.measure in ('declines', 'declined_orders', 'cards')
      and r.subject in ('user', 'email', 'order', 'address', 'shop')
    order by r.name
  loop
    for v_key in select * from private.velocity_keys(v_rule, v_user_id, o.email, o.purchase_ip, o.id) loop
      v_hit := private.measure_velocity(
        v_rule, v_key.key, o.amount_subtotal, o.currency, o.livemode, v_at, p_factor => v_key.factor
      );
      continue when v_hit is null;
      v_hit := v_hit || jsonb_build_object(
        'mode', k.velocity_mode,
        'action', case k.velocity_mode when 'enforce' then v_rule.action else 'allow' end
      );
      if private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit)), o.id) > 0 then
        perform private.raise_velocity_alerts(jsonb_build_array(v_hit));
      end if;
      if k.velocity_mode = 'enforce' then
        perform private.end_pages(v_rule, v_key.key, o, v_at);
      end if;
    end loop;
  end loop;
  return v_declines;
end;
$$;
comment on function private.check_declined_velocity(public.orders) is
  'Measures the rules over refused attempts at each refusal of an unpaid order: a page that is open needs '
  'no new checkout to try the next card. A hit is recorded and raises the alert once per attempt of the '
  'order, and ends pages each time. Returns how many refusals the order has, which is what it has been '
  'measured by. Called by settle_order() only.';

create function private.check_outages(o public.orders) returns integer
language plpgsql
set search_path = ''
as $$
declare
  k public.order_risk := private.risk_of(o.id);
  v_outages integer;
  v_at timestamptz;
  v_rule private.velocity_rules;
  v_hit jsonb;
begin
  select count(*), max(a.created_at) into v_outages, v_at
  from public.payment_attempts a
  where a.order_id = o.id and a.outcome in ('failed', 'blocked')
    and private.is_outage(a.failure_code, a.decline_code);
  if k.velocity_mode = 'off' or v_outages <= k.outage_attempts then
    return v_outages;
  end if;
  for v_rule in
    select * from private.velocity_rules r
    where r.enabled and r.subject = 'shop' and r.measure = 'outages' order by r.name
  loop
    v_hit := private.measure_velocity(v_rule, 'shop', o.amount_subtotal, o.currency, o.livemode, v_at);
    if v_hit is not null then
      perform private.raise_velocity_alerts(jsonb_build_array(v_hit));
    end if;
  end loop;
  return v_outages;
end;
$$;
comment on function private.check_outages(public.orders) is
  'Tells staff when a bank, a network or the processor is away for many at once, at each such refusal of an '
  'order. Nobody is refused for it. Returns how many the order has had. Called by settle_order() only.';
