-- Velocity: measuring the rules at checkout and at payment, and what a hit leads to.

create function private.subject_orders(p_subject text, p_key text, p_livemode boolean, p_since timestamptz) returns setof public.orders
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  case p_subject
    when 'address' then
      return query select * from public.orders o
        where private.address_key(o.purchase_ip) = p_key::inet and o.created_at >= p_since and o.livemode = p_livemode;
    when 'email' then
      return query select * from public.orders o
        where private.email_key(o.email) = p_key and o.created_at >= p_since and o.livemode = p_livemode;
    when 'user' then
      return query select o.* from public.orders o join public.customers c on c.id = o.customer_id
        where c.user_id = p_key::uuid and o.created_at >= p_since and o.livemode = p_livemode;
    when 'order' then
      return query select * from public.orders o where o.id = p_key::uuid and o.livemode = p_livemode;
    when 'shipping_address' then
      return query select * from public.orders o
        where private.delivery_key(o.shipping_address) = p_key and o.created_at >= p_since and o.livemode = p_livemode;
    when 'card' then
      return query select * from public.orders o
        where o.livemode = p_livemode and o.id in (
          select a.order_id from public.payment_attempts a where a.card_fingerprint = p_key and a.created_at >= p_since
        );
    else
      return query select * from public.orders o where o.created_at >= p_since and o.livemode = p_livemode;
  end case;
end;
$$;
comment on function private.subject_orders(text, text, boolean, timestamptz) is 'Orders of one subject of the velocity rules since a time.';
revoke execute on function private.subject_orders(text, text, boolean, timestamptz) from public, anon, authenticated;

create function private.subject_attempts(p_subject text, p_key text, p_livemode boolean, p_since timestamptz) returns setof public.payment_attempts
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if p_subject = 'shop' then
    return query select * from public.payment_attempts a where a.created_at >= p_since and a.livemode = p_livemode;
  elsif p_subject = 'card' then
    return query select * from public.payment_attempts a
      where a.card_fingerprint = p_key and a.created_at >= p_since and a.livemode = p_livemode;
  else
    -- A payment page stays open for a day at most, so an order may be that much older than its attempts.
    return query select a.* from public.payment_attempts a
      where a.created_at >= p_since
        and a.order_id in (select o.id from private.subject_orders(p_subject, p_key, p_livemode, p_since - interval '1 day') o);
  end if;
end;
$$;
comment on function private.subject_attempts(text, text, boolean, timestamptz) is 'Payment attempts of one subject of the velocity rules since a time.';
revoke execute on function private.subject_attempts(text, text, boolean, timestamptz) from public, anon, authenticated;

create function private.measure_velocity(
  p_rule private.velocity_rules,
  p_key text,
  p_amount bigint,
  p_currency text,
  p_livemode boolean,
  p_at timestamptz,
  p_order_id uuid default null
) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_since timestamptz := p_at - make_interval(secs => p_rule.window_seconds);
  -- Attempts carry Stripe's clock, which is not quite ours.
  v_until timestamptz := p_at + interval '1 minute';
  v_value bigint;
  v_times timestamptz[];
  -- What the rule lets go with, once it has left the window.
  v_oldest timestamptz;
  -- Who has more is seen by the rules on themselves.
  c_of_one_max constant integer := 3;
  -- Far more than an attack needs to be seen, and no more work in a busy shop than in a quiet one.
  c_attempts_max constant integer := 300;
begin
  case p_rule.measure
    when 'disposable_email' then
      select count(*) into v_value from private.disposable_email_domains d
      where lower(split_part(p_key, '@', 2)) = d.domain or lower(split_part(p_key, '@', 2)) like '%.' || d.domain;
    when 'unpaid_checkouts' then
      select count(*), array_agg(o.created_at order by o.created_at) into v_value, v_times
      from private.subject_orders(p_rule.subject, p_key, p_livemode, v_since) o
      where o.paid_at is null and o.created_at <= p_at and o.id is distinct from p_order_id;
    when 'emails' then
      select count(*), array_agg(e.at order by e.at) into v_value, v_times
      from (
        select max(o.created_at) as at
        from private.subject_orders(p_rule.subject, p_key, p_livemode, v_since) o
        where o.email is not null and o.created_at <= p_at and o.id is distinct from p_order_id
        group by private.email_key(o.email)
      ) e;
    when 'amount' then
      if p_currency is not distinct from coalesce(p_rule.currency, p_currency) then
        select coalesce(max(spent.amount), 0) + p_amount, max(spent.at) filter (where spent.amount + p_amount >= p_rule.threshold and p_amount < p_rule.threshold)
        into v_value, v_oldest
        from (
          select o.created_at as at, sum(o.amount_subtotal) over (order by o.created_at desc, o.id) as amount
          from private.subject_orders(p_rule.subject, p_key, p_livemode, v_since) o
          where o.currency = p_currency and o.created_at <= p_at and o.id is distinct from p_order_id
            and (o.paid_at is not null or o.status in ('pending', 'processing'))
        ) spent;
      end if;
    when 'declines' then
      select count(*), array_agg(a.created_at order by a.created_at) into v_value, v_times
      from private.subject_attempts(p_rule.subject, p_key, p_livemode, v_since) a
      where a.outcome in ('failed', 'blocked') and a.created_at <= v_until;
    when 'cards' then
      select count(*), array_agg(c.at order by c.at) into v_value, v_times
      from (
        select max(a.created_at) as at
        from private.subject_attempts(p_rule.subject, p_key, p_livemode, v_since) a
        where a.card_fingerprint is not null and a.created_at <= v_until
        group by a.card_fingerprint
      ) c;
    when 'declined_orders' then
      with used as (
        -- Each refused card of an order that nothing has paid, and each paid order once.
        select a.order_id, max(a.created_at) as at, not a.paid as declined
        from (
          select x.*, bool_or(x.outcome in ('succeeded', 'pending')) over (partition by x.order_id) as paid
          from (
            select * from private.subject_attempts(p_rule.subject, p_key, p_livemode, v_since) y
            where y.order_id is not null and y.created_at <= v_until
            order by y.created_at desc limit c_attempts_max
          ) x
        ) a
        group by a.order_id, a.paid, case when not a.paid then coalesce(a.card_fingerprint, a.id) end
      ), counted as (
        select u.*, o.created_at as ordered_at,
          row_number() over (
            partition by u.declined, coalesce(o.customer_id::text, private.email_key(o.email), o.id::text) order by u.at, o.created_at, o.id
          ) as of_buyer,
          row_number() over (partition by u.declined, private.address_key(o.purchase_ip) order by u.at, o.created_at, o.id) as of_network
        from used u
        join public.orders o on o.id = u.order_id
      ), scored as (
        -- From now backwards: how far the refusals exceed the ordinary share.
        select c.at, row_number() over back as back, count(*) filter (where c.declined) over back as declines,
          sum(c.declined::integer - coalesce(p_rule.min_share, 0)) over back as excess
        from counted c
        where not c.declined or (
          (c.of_buyer <= c_of_one_max or p_rule.subject in ('user', 'email', 'order')) and (c.of_network <= c_of_one_max or p_rule.subject <> 'shop')
        )
        -- Stripe's clock counts seconds; which order is the later one decides ties.
        window back as (order by c.at desc, c.ordered_at desc, c.order_id rows unbounded preceding)
      )
      select max(s.declines), (array_agg(s.at order by s.back))[1] into v_value, v_oldest
      from scored s where s.excess >= p_rule.threshold * (1 - coalesce(p_rule.min_share, 0));
  end case;
  if coalesce(v_value, 0) < p_rule.threshold then
    return null;
  end if;
  return jsonb_build_object(
    'rule', p_rule.name, 'rule_action', p_rule.action, 'subject', p_rule.subject, 'measure', p_rule.measure,
    'value', v_value, 'threshold', p_rule.threshold, 'window_seconds', p_rule.window_seconds,
    -- The subject itself is personal data: a keyed digest is enough to see that two hits are of one.
    'subject_digest', left(private.keyed_digest(p_key), 16),
    -- When enough has left the window for the rule to let go; all of the window where this cart is enough by itself.
    'retry_after_seconds', greatest(1, coalesce(ceil(extract(epoch from
      coalesce(v_oldest, v_times[v_value - p_rule.threshold + 1]) + make_interval(secs => p_rule.window_seconds) - p_at
    ))::integer, p_rule.window_seconds))
  );
end;
$$;
comment on function private.measure_velocity(private.velocity_rules, text, bigint, text, boolean, timestamptz, uuid) is
  'A hit of a rule by a subject up to p_at, or null. p_amount and p_currency: the cart that asks; p_order_id: the order that asks, which does not count against itself. retry_after_seconds: until the rule lets go.';
revoke execute on function private.measure_velocity(private.velocity_rules, text, bigint, text, boolean, timestamptz, uuid) from public, anon, authenticated;

create function private.velocity_key(p_rule private.velocity_rules, p_user_id uuid, p_email text, p_ip inet, p_order_id uuid) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select case p_rule.subject
    when 'user' then p_user_id::text
    when 'order' then p_order_id::text
    when 'address' then host(private.address_key(p_ip)) || '/' || masklen(private.address_key(p_ip))
    -- Anybody can type anybody's address: what was done under it must not lock an account out.
    when 'email' then case when p_user_id is null or p_rule.measure = 'disposable_email' then private.email_key(p_email) end
    when 'shop' then case when not exists (
      select 1 from public.customers c join public.orders o on o.customer_id = c.id
      where c.user_id = p_user_id and o.paid_at is not null
    ) then 'shop' end
  end
$$;
comment on function private.velocity_key(private.velocity_rules, uuid, text, inet, uuid) is
  'Whom a rule measures when this shopper orders or pays. Null: the rule does not look at them. p_order_id null: the order does not exist yet.';
revoke execute on function private.velocity_key(private.velocity_rules, uuid, text, inet, uuid) from public, anon, authenticated;

create function private.check_velocity(
  p_mode text,
  p_user_id uuid,
  p_email text,
  p_ip inet,
  p_amount bigint,
  p_currency text,
  p_livemode boolean,
  p_order_id uuid default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_mailbox text := private.email_key(p_email);
  v_rule private.velocity_rules;
  v_key text;
  v_hit jsonb;
  v_hits jsonb := '[]';
  v_action text := 'allow';
  v_actions text[];
  v_result jsonb;
begin
  if p_mode = 'off' then
    return jsonb_build_object('action', 'allow', 'hits', '[]'::jsonb);
  end if;
  if v_mailbox is not null then
    -- A burst under one address must not slip through because none of it can see the others yet.
    perform pg_advisory_xact_lock(hashtextextended('velocity:' || v_mailbox, 0));
  end if;

  for v_rule in
    select * from private.velocity_rules r where r.enabled and r.subject in ('user', 'email', 'order', 'address', 'shop') order by r.name
  loop
    v_key := private.velocity_key(v_rule, p_user_id, p_email, p_ip, p_order_id);
    continue when v_key is null;
    v_hit := private.measure_velocity(v_rule, v_key, p_amount, p_currency, p_livemode, clock_timestamp(), p_order_id);
    if v_hit is not null then
      v_hits := v_hits || (v_hit || jsonb_build_object(
        'mode', p_mode, 'action', case p_mode when 'enforce' then v_rule.action else 'allow' end
      ));
    end if;
  end loop;

  select array_agg(h ->> 'action') into v_actions from jsonb_array_elements(v_hits) h;
  v_action := case
    when 'block' = any (v_actions) then 'block'
    when 'review' = any (v_actions) then 'review'
    when 'require_3ds' = any (v_actions) then 'require_3ds'
    else 'allow'
  end;
  v_result := jsonb_build_object(
    'action', v_action,
    'three_d_secure', case when 'require_3ds' = any (v_actions) then 'any' end,
    'retry_after_seconds', (select max((h ->> 'retry_after_seconds')::integer) from jsonb_array_elements(v_hits) h where h ->> 'action' = 'block'),
    'hits', v_hits
  );
  perform private.raise_attack_alert(v_hits);
  if v_action = 'block' then
    perform private.record_velocity_hits(v_result, p_order_id);
  end if;
  return v_result;
end;
$$;
comment on function private.check_velocity(text, uuid, text, inet, bigint, text, boolean, uuid) is
  'Measures the rules for a checkout: { action, three_d_secure, retry_after_seconds, hits }, the strongest action of all hits. p_order_id: an order that is to be opened again. Mode report: every action is allow, and the hits tell what would have been. Records the hits of a block itself, since no order will carry them.';
revoke execute on function private.check_velocity(text, uuid, text, inet, bigint, text, boolean, uuid) from public, anon, authenticated;

create function private.record_velocity_hits(p_risk jsonb, p_order_id uuid) returns void
language sql
security definer
set search_path = ''
as $$
  insert into public.fraud_signals as f (source_id, order_id, kind, severity, open, data)
  select
    -- Refused checkouts make no order. Anybody can send them, so they are counted, per subject, rule and window.
    case when p_order_id is null then concat_ws(
      ':', 'velocity', h ->> 'rule', h ->> 'subject_digest',
      floor(extract(epoch from now()) / (h ->> 'window_seconds')::integer)
    ) end,
    p_order_id, 'velocity',
    case h ->> 'rule_action' when 'block' then 'critical' when 'review' then 'warning' else 'info' end,
    h ->> 'action' = 'review', h - 'retry_after_seconds' || case when p_order_id is null then '{"count": 1}' else '{}' end::jsonb
  from jsonb_array_elements(p_risk -> 'hits') h
  on conflict on constraint fraud_signals_source_id_key do update
  set data = excluded.data || jsonb_build_object('count', coalesce((f.data ->> 'count')::integer, 0) + 1)
$$;
comment on function private.record_velocity_hits(jsonb, uuid) is
  'One fraud_signals row per hit of an order; of refused checkouts one per subject, rule and window, counted up. An open one with action review holds its order once it is paid.';
revoke execute on function private.record_velocity_hits(jsonb, uuid) from public, anon, authenticated;

create function private.raise_attack_alert(p_hits jsonb) returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- Refusals closer together than this belong to one attack.
  c_lull constant interval := '1 hour';
  v_rules jsonb;
  v_key text;
begin
  select jsonb_agg(distinct h ->> 'rule') into v_rules from jsonb_array_elements(p_hits) h where h ->> 'rule_action' = 'block';
  if v_rules is null then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('velocity alert', 0));
  select a.dedupe_key into v_key from public.alerts a
  where a.kind = 'velocity' and a.last_at > clock_timestamp() - c_lull
  order by a.last_at desc limit 1;
  perform private.raise_alert(
    'velocity', 'critical', coalesce(v_key, 'velocity:' || to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS')),
    jsonb_build_object('rules', v_rules)
  );
end;
$$;
comment on function private.raise_attack_alert(jsonb) is 'One alert per attack, counted up while it goes on, whichever rules it runs into.';
revoke execute on function private.raise_attack_alert(jsonb) from public, anon, authenticated;

create function private.freeze_velocity_rules() returns bigint
language plpgsql
security definer
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
revoke execute on function private.freeze_velocity_rules() from public, anon, authenticated;

create function private.check_paid_velocity(o public.orders) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_rule private.velocity_rules;
  v_key text;
  v_hit jsonb;
  v_set_id bigint;
  k public.order_risk;
begin
  select * into k from public.order_risk where order_id = o.id;
  v_set_id := k.velocity_rule_set;
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
      select 1 from public.fraud_signals f where f.order_id = o.id and f.kind = 'velocity' and f.data ->> 'rule' = v_rule.name
    );
    v_hit := private.measure_velocity(v_rule, v_key, o.amount_subtotal, o.currency, o.livemode, greatest(o.paid_at, o.created_at), o.id);
    if v_hit is not null then
      perform private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit || jsonb_build_object(
        'mode', k.velocity_mode,
        -- The money is there already: to block means to hold the goods.
        'action', case when k.velocity_mode <> 'enforce' then 'allow' when v_rule.action = 'block' then 'review' else v_rule.action end
      ))), o.id);
    end if;
  end loop;
  return v_set_id;
end;
$$;
comment on function private.check_paid_velocity(public.orders) is
  'Measures the rules on card and delivery address once an order is paid, by what had happened until then '
  'and by the rules as they stood, so that settling again finds the same. Returns the set of rules, for '
  'velocity_rule_set. Called by settle_order() only.';
revoke execute on function private.check_paid_velocity(public.orders) from public, anon, authenticated;

create function private.check_declined_velocity(o public.orders) returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- Stripe keeps no payment page open for longer.
  c_page_life constant interval := '1 day';
  v_declines integer;
  v_at timestamptz;
  v_user_id uuid;
  v_rule private.velocity_rules;
  v_key text;
  v_hit jsonb;
  v_testers_cart boolean;
  v_page record;
  k public.order_risk;
begin
  select * into k from public.order_risk where order_id = o.id;
  select count(*), max(a.created_at) into v_declines, v_at
  from public.payment_attempts a where a.order_id = o.id and a.outcome in ('failed', 'blocked');
  if k.velocity_mode = 'off' or o.session_id is not null or v_declines = k.declined_attempts then
    return v_declines;
  end if;
  select c.user_id into v_user_id from public.customers c where c.id = o.customer_id;

  for v_rule in
    select * from private.velocity_rules r
    where r.enabled and r.action = 'block' and r.measure in ('declines', 'declined_orders', 'cards')
      and r.subject in ('user', 'email', 'order', 'address', 'shop')
    order by r.name
  loop
    v_key := private.velocity_key(v_rule, v_user_id, o.email, o.purchase_ip, o.id);
    continue when v_key is null or exists (
      select 1 from public.fraud_signals f where f.order_id = o.id and f.kind = 'velocity' and f.data ->> 'rule' = v_rule.name
    );
    v_hit := private.measure_velocity(v_rule, v_key, o.amount_subtotal, o.currency, o.livemode, v_at);
    continue when v_hit is null;
    v_hit := v_hit || jsonb_build_object('mode', k.velocity_mode, 'action', case k.velocity_mode when 'enforce' then 'block' else 'allow' end);
    perform private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit)), o.id);
    perform private.raise_attack_alert(jsonb_build_array(v_hit));
    continue when k.velocity_mode <> 'enforce';
    -- The shop is everybody: there, only pages with the testers' cart go, which many were refused with and nobody has paid.
    v_testers_cart := v_rule.subject = 'shop' and (
      select count(distinct t.id) >= v_rule.threshold and not bool_or(a.outcome in ('succeeded', 'pending'))
      from private.subject_attempts('shop', v_key, o.livemode, v_at - make_interval(secs => v_rule.window_seconds)) a
      join public.orders t on t.id = a.order_id
      where t.cart_hash = o.cart_hash
    );
    for v_page in
      select s.id, s.order_id from public.checkout_sessions s
      join public.orders other on other.id = s.order_id
      where s.status = 'open' and (
        s.order_id = o.id
        or (v_testers_cart and other.cart_hash = o.cart_hash and other.customer_id is null and other.livemode = o.livemode)
        or (v_rule.subject <> 'shop' and other.paid_at is null and other.id in (
          select x.id from private.subject_orders(v_rule.subject, v_key, o.livemode, v_at - c_page_life) x
        ))
      )
      order by s.id
    loop
      perform private.enqueue_job(
        'expire_checkout_session', 'expire_checkout_session:velocity:' || v_page.id,
        jsonb_build_object('session_id', v_page.id, 'order_id', v_page.order_id), now(), 10
      );
    end loop;
  end loop;
  return v_declines;
end;
$$;
comment on function private.check_declined_velocity(public.orders) is
  'Measures the blocking rules over refused attempts when one of an unpaid order is refused: a page that is open needs no new checkout to try the next card. A hit raises the alert and queues the end of the open pages of its subject. Returns how many refusals the order has, which is what it has been measured by. Called by settle_order() only.';
revoke execute on function private.check_declined_velocity(public.orders) from public, anon, authenticated;
