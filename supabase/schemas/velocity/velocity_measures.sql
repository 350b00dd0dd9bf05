-- Velocity: what the rules measure.

create function private.weigh_refusals(
  p_rule private.velocity_rules,
  p_key text,
  p_threshold numeric,
  p_livemode boolean, p_since timestamptz, p_until timestamptz,
  out o_value bigint, out o_oldest timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Who has more is seen by the rules on themselves.
  c_of_one_max constant integer := 3;
  -- Far more than an attack needs to be seen, and no more work in a busy shop than in a quiet one.
  c_attempts_max constant integer := 300;
  c_failed_challenge constant text := 'payment_intent_authentication_failure';
begin
  with used as (
    -- Each refused card of an order that nothing has paid, and each paid order once.
    select a.order_id, max(a.created_at) as at, not a.paid as declined
    from (
      select x.*, exists (
        select 1 from public.payment_attempts g
        where g.order_id = x.order_id and g.outcome in ('succeeded', 'pending')
      ) as paid
      from (
        select * from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) y
        where y.order_id is not null and y.created_at <= p_until
          -- Without a share only refusals weigh.
          and (p_rule.baseline_share is not null or y.outcome in ('failed', 'blocked'))
          -- Who fails the challenge that the shop itself asks for must not be why it goes on asking.
          and (p_rule.subject <> 'shop' or y.failure_code is distinct from c_failed_challenge)
        order by y.created_at desc limit c_attempts_max
      ) x
    ) a
    group by a.order_id, a.paid, case when not a.paid then coalesce(a.card_fingerprint, a.id) end
  ), counted as (
    select u.*, o.created_at as ordered_at,
      row_number() over (
        partition by u.declined, case when u.declined and p_rule.baseline_share is not null
          then coalesce(o.customer_id::text, private.email_key(o.email), o.id::text) end
        order by u.at, o.created_at, o.id
      ) as of_buyer,
      row_number() over (
        partition by u.declined, case when u.declined and p_rule.baseline_share is not null
          then private.address_key(o.purchase_ip) end
        order by u.at, o.created_at, o.id
      ) as of_network
    from used u
    -- One by one: the few that were tried, and never the table as a whole.
    cross join lateral (select * from public.orders x where x.id = u.order_id limit 1) o
  ), scored as (
    -- From now backwards: how far the refusals exceed the ordinary share.
    select c.at, row_number() over back as back, count(*) filter (where c.declined) over back as declines,
      sum(c.declined::integer - coalesce(p_rule.baseline_share, 0)) over back as excess
    from counted c
    where (not c.declined and p_rule.baseline_share is not null) or (c.declined
      and (p_rule.baseline_share is null or (
        (c.of_buyer <= c_of_one_max or p_rule.subject in ('user', 'email', 'order'))
        and (c.of_network <= c_of_one_max or p_rule.subject <> 'shop')
      )))
    -- Stripe's clock counts seconds; which order is the later one decides ties.
    window back as (order by c.at desc, c.ordered_at desc, c.order_id rows unbounded preceding)
  )
  select max(s.declines), (array_agg(s.at order by s.back))[1] into o_value, o_oldest
  from scored s where s.excess >= p_threshold * (1 - coalesce(p_rule.baseline_share, 0));
end;
$$;
comment on function private.weigh_refusals(
  private.velocity_rules, text, numeric, boolean, timestamptz, timestamptz
) is
  'Measure declined_orders: how many refusals weigh against the good orders of a subject, when they exceed '
  'the ordinary share by as much as p_threshold; o_oldest: the refusal that the rule lets go with.';

create function private.holding_orders(p_subject text, p_key text) returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
begin
  case p_subject
    when 'address' then
      return query select o.id from public.orders o
        where o.status in ('pending', 'processing')
          and private.address_key(o.purchase_ip, 48) = private.address_key(p_key::inet, 48)
          and o.purchase_ip <<= p_key::inet;
    when 'email' then
      return query select o.id from public.orders o
        where o.status in ('pending', 'processing') and private.email_key(o.email) = p_key;
    when 'user' then
      return query select o.id from public.orders o join public.customers c on c.id = o.customer_id
        where o.status in ('pending', 'processing') and c.user_id = p_key::uuid;
  end case;
end;
$$;
comment on function private.holding_orders(text, text) is
  'Unpaid orders of a subject of the velocity rules that may hold stock.';

create function private.measure_shop_holds(p_rule private.velocity_rules) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select case
      when p_rule.measure = 'held_pieces' then t.pieces
      when t.pieces >= coalesce(p_rule.min_pieces, 1) then floor(100 * greatest(
        t.shares / greatest(t.articles, 1), t.pieces / greatest(t.stock, t.pieces)::float8
        -- What is 29 % is not to come out a trifle below.
      ) + 1e-6)
    end
    from (
      select sum(l.reserved) as pieces, sum(l.on_hand) as stock,
        sum(l.reserved / greatest(l.on_hand, l.reserved, 1)::float8) as shares,
        sum(least(l.on_hand, 1)) as articles
      from public.inventory_levels l
    ) t
  );
end;
$$;
comment on function private.measure_shop_holds(private.velocity_rules) is
  'Measures held_pieces and held_share of the whole shop: what all unpaid orders hold. One pass over the '
  'stock, since each checkout asks.';

create function private.measure_holds(
  p_rule private.velocity_rules,
  p_key text,
  p_lines jsonb,
  p_order_id uuid,
  out o_value bigint,
  out o_until timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_held record;
begin
  if p_rule.subject = 'shop' then
    o_value := private.measure_shop_holds(p_rule);
    return;
  end if;
  -- The stock is one, whoever asks in which mode.
  select sum(h.quantity) as pieces, max(h.expires_at) as until,
    sum(h.quantity::numeric / greatest(coalesce(l.on_hand, 0), h.quantity)) as articles
  into v_held
  from (
    select x.variant_id, sum(x.quantity) as quantity, max(x.expires_at) as expires_at
    from (
      select r.variant_id, r.quantity, r.expires_at
      from private.holding_orders(p_rule.subject, p_key) o (id)
      join public.inventory_reservations r on r.order_id = o.id and r.status = 'active'
      where o.id is distinct from p_order_id
      union all
      select w.variant_id, w.quantity, null
      from jsonb_to_recordset(p_lines) as w (variant_id uuid, quantity integer)
    ) x
    group by x.variant_id
  ) h
  left join public.inventory_levels l on l.variant_id = h.variant_id;
  o_value := v_held.pieces;
  o_until := v_held.until;
  if p_rule.measure = 'held_share' and o_value is not null then
    -- By pieces or by articles: neither a pile of socks nor an empty rail of suits hides the other.
    o_value := case when o_value >= coalesce(p_rule.min_pieces, 1) then (
      select floor(100 * greatest(
        v_held.articles / greatest(count(*), 1), v_held.pieces / greatest(sum(l.on_hand), v_held.pieces)
      ))
      from public.inventory_levels l where l.on_hand > 0
    ) end;
  end if;
end;
$$;
comment on function private.measure_holds(private.velocity_rules, text, jsonb, uuid) is
  'Measures held_pieces and held_share: what unpaid orders of a subject hold together with p_lines, [{ '
  'variant_id, quantity }] of the cart that asks; for the shop, what all of them hold. o_until: when the '
  'last hold runs out.';

create function private.measured_times(
  p_rule private.velocity_rules,
  p_key text,
  p_livemode boolean,
  p_since timestamptz,
  p_at timestamptz,
  p_order_id uuid
) returns timestamptz[]
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Attempts carry Stripe's clock, which is not quite ours.
  v_until timestamptz := p_at + interval '1 minute';
begin
  return case p_rule.measure
    when 'unpaid_checkouts' then array(
      select o.created_at from private.subject_orders(p_rule.subject, p_key, p_livemode, p_since) o
      where o.paid_at is null and o.created_at <= p_at and o.id is distinct from p_order_id
      order by 1
    )
    when 'emails' then array(
      select max(o.created_at) from private.subject_orders(p_rule.subject, p_key, p_livemode, p_since) o
      where o.email is not null and o.created_at <= p_at and o.id is distinct from p_order_id
      group by private.email_key(o.email)
      order by 1
    )
    when 'declines' then array(
      select a.created_at from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) a
      where a.outcome in ('failed', 'blocked') and a.created_at <= v_until
      order by 1
    )
    when 'cards' then array(
      select max(a.created_at) from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) a
      where a.card_fingerprint is not null and a.created_at <= v_until
      group by a.card_fingerprint
      order by 1
    )
  end;
end;
$$;
comment on function private.measured_times(
  private.velocity_rules, text, boolean, timestamptz, timestamptz, uuid
) is
  'When each of the things happened that a rule counts (orders, mailboxes, refusals, cards), oldest first: '
  'as many as the measure says. p_order_id: an order that does not count.';

create function private.count_outages(
  p_rule private.velocity_rules,
  p_livemode boolean,
  p_since timestamptz,
  p_until timestamptz
) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select count(*) filter (where t.outage)
    from (
      select bool_or(
        a.outcome in ('failed', 'blocked') and private.is_outage(a.failure_code, a.decline_code)
      ) as outage
      from public.payment_attempts a
      where a.created_at between p_since and p_until and a.livemode = p_livemode
      group by a.order_id
    ) t
    having count(*) filter (where t.outage) >= coalesce(p_rule.baseline_share, 0) * count(*)
  );
end;
$$;
comment on function private.count_outages(private.velocity_rules, boolean, timestamptz, timestamptz) is
  'Measure outages: how many orders met one, or null when they are less than baseline_share of those tried.';

create function private.worth_of_order(o public.orders, p_currency text) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return case when o.currency = p_currency then o.amount_subtotal else (
    select sum(private.price_in(v, p_currency) * i.quantity)
    from public.order_items i join public.product_variants v on v.id = i.variant_id
    where i.order_id = o.id
  ) end;
end;
$$;
comment on function private.worth_of_order(public.orders, text) is
  'The goods of an order in a currency, in its minor units: as ordered where it is the order''s own, else at '
  'today''s prices in it. Null: nothing of it is sold in that currency.';

create function private.worth_of_cart(
  p_in text,
  p_amount bigint,
  p_currency text,
  p_lines jsonb,
  p_order_id uuid
) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when p_currency = p_in then p_amount
    when p_order_id is not null then (
      select private.worth_of_order(o, p_in) from public.orders o where o.id = p_order_id
    )
    else (
      select sum(private.price_in(v, p_in) * l.quantity)
      from jsonb_to_recordset(p_lines) as l (variant_id uuid, quantity integer)
      join public.product_variants v on v.id = l.variant_id
    )
  end;
end;
$$;
comment on function private.worth_of_cart(text, bigint, text, jsonb, uuid) is
  'worth_of_order() in currency p_in, of the order that asks, or of the cart that is to become one.';

create function private.measure_amount(
  p_rule private.velocity_rules,
  p_key text,
  p_worth bigint,
  p_threshold bigint,
  p_livemode boolean,
  p_since timestamptz,
  p_at timestamptz,
  p_order_id uuid,
  out o_value bigint,
  out o_oldest timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
begin
  select coalesce(max(s.amount), 0) + p_worth,
    max(s.at) filter (where s.amount + p_worth >= p_threshold and p_worth < p_threshold)
  into o_value, o_oldest
  from (
    select o.created_at as at, sum(private.worth_of_order(o, p_rule.currency)) over (
      order by o.created_at desc, o.id
    ) as amount
    from private.subject_orders(p_rule.subject, p_key, p_livemode, p_since) o
    where o.created_at <= p_at and o.id is distinct from p_order_id
      and (o.paid_at is not null or o.status in ('pending', 'processing'))
  ) s
  where p_worth is not null;
end;
$$;
comment on function private.measure_amount(
  private.velocity_rules, text, bigint, bigint, boolean, timestamptz, timestamptz, uuid
) is
  'Measure amount: what the subject orders together with p_worth, each order in the currency of the rule. '
  'Null: what asks is not sold in it. o_oldest: the order with which the threshold was passed.';
