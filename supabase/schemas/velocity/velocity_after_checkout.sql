-- Velocity after checkout: what has been paid, what has been refused, and outages.

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

create function private.check_paid_velocity(o public.orders, k public.order_risk) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_rule private.velocity_rules;
  v_key text;
  v_hit jsonb;
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
comment on function private.check_paid_velocity(public.orders, public.order_risk) is
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

create function private.check_declined_velocity(o public.orders, k public.order_risk) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_declines integer;
  v_at timestamptz;
  v_user_id uuid;
  v_rule record;
  v_hit jsonb;
begin
  select count(*), max(a.created_at) into v_declines, v_at
  from public.payment_attempts a
  where a.order_id = o.id and a.outcome in ('failed', 'blocked')
    and private.is_of_buyer(a.failure_code, a.decline_code, a.payment_method_type);
  if k.velocity_mode = 'off' or o.session_id is not null or v_declines <= k.declined_attempts then
    return v_declines;
  end if;
  select c.user_id into v_user_id from public.customers c where c.id = o.customer_id;

  for v_rule in
    select r as rule, w.key, w.factor
    from private.velocity_keys(v_user_id, private.email_key(o.email), o.purchase_ip, o.id) w
    join private.velocity_rules r on r.subject = w.subject and r.measure = coalesce(w.measure, r.measure)
    where r.enabled and r.action in ('require_3ds', 'require_challenge', 'block')
      and r.measure in ('declines', 'declined_orders', 'cards')
    order by r.name, w.factor
  loop
    v_hit := private.measure_velocity(
      v_rule.rule, v_rule.key, o.amount_subtotal, o.currency, o.livemode, v_at, p_factor => v_rule.factor
    );
    continue when v_hit is null;
    v_hit := v_hit || jsonb_build_object(
      'mode', k.velocity_mode,
      'action', case k.velocity_mode when 'enforce' then (v_rule.rule).action else 'allow' end
    );
    if private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit)), o.id) > 0 then
      perform private.raise_velocity_alerts(jsonb_build_array(v_hit));
    end if;
    if k.velocity_mode = 'enforce' then
      perform private.end_pages(v_rule.rule, v_rule.key, o, v_at);
    end if;
  end loop;
  return v_declines;
end;
$$;
comment on function private.check_declined_velocity(public.orders, public.order_risk) is
  'Measures the rules over refused attempts at each refusal of an unpaid order: a page that is open needs '
  'no new checkout to try the next card. A hit is recorded and raises the alert once per attempt of the '
  'order, and ends pages each time. Returns how many refusals the order has, which is what it has been '
  'measured by. Called by settle_order() only.';

create function private.check_outages(o public.orders, k public.order_risk) returns integer
language plpgsql
set search_path = ''
as $$
declare
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
comment on function private.check_outages(public.orders, public.order_risk) is
  'Tells staff when a bank, a network or the processor is away for many at once, at each such refusal of an '
  'order. Nobody is refused for it. Returns how many the order has had. Called by settle_order() only.';
