-- Harness of the convergence search: applies one move and describes everything that matters afterwards.
create schema search;

create function search.state(p_order_ids uuid[]) returns jsonb
language plpgsql
stable
as $$
begin
  return jsonb_build_object(
    'orders', (
      select jsonb_agg(
        to_jsonb(o) - '{customer_id,oversold_at,restocked_at,cancelled_at,abandoned_at,fulfilled_at,created_at,updated_at,session_expires_at}'::text[]
          || jsonb_build_object(
            'oversold', o.oversold_at is not null, 'restocked', o.restocked_at is not null, 'cancelled', o.cancelled_at is not null,
            'customer', (select to_jsonb(c) - '{id,created_at}'::text[] from public.customers c where c.id = o.customer_id)
          )
        order by o.id
      ) from public.orders o where o.id = any (p_order_ids)
    ),
    'risk', (
      select jsonb_agg(to_jsonb(k) - 'review_released_at' order by k.order_id)
      from public.order_risk k where k.order_id = any (p_order_ids)
    ),
    'refund_reasons', (select jsonb_agg(to_jsonb(r) order by r.refund_id) from public.refund_reasons r),
    'sessions', (select jsonb_agg(to_jsonb(s) - '{created_at,observed_at}'::text[] order by s.id) from public.checkout_sessions s where s.order_id = any (p_order_ids)),
    'payments', (select jsonb_agg(to_jsonb(p) - 'created_at' order by p.id) from public.payments p),
    'attempts', (select jsonb_agg(to_jsonb(a) order by a.id) from public.payment_attempts a),
    'refunds', (select jsonb_agg(to_jsonb(r) - 'seen_at' order by r.id) from public.refunds r),
    'released', (
      select jsonb_agg(jsonb_build_array(m.order_id, m.session_id, m.reason) order by m.order_id, m.session_id, m.reason)
      from private.released_mismatches m
    ),
    'refund_requests', (
      select jsonb_agg(to_jsonb(q) - '{created_at,given_up_at}'::text[] order by q.id) from public.refund_requests q
    ),
    'disputes', (select jsonb_agg(to_jsonb(d) order by d.id) from public.disputes d),
    'signals', (select jsonb_agg(to_jsonb(f) - '{id,released_at}'::text[] || jsonb_build_object('released', f.released_at is not null) order by f.source_id) from public.fraud_signals f),
    'stripe_customers', (select jsonb_agg(to_jsonb(c) order by c.id) from private.stripe_customers c),
    'shipments', (
      select jsonb_agg(jsonb_build_array(s.order_id, s.parcel, s.carrier, s.tracking_number, l.order_item_id, l.quantity)
        order by s.order_id, s.parcel, l.order_item_id)
      from public.shipments s join public.shipment_lines l on l.shipment_id = s.id
    ),
    'returns', (
      select jsonb_agg(jsonb_build_array(r.order_id, r.status, r.received_at is not null, r.stocked_at is not null,
        l.order_item_id, l.quantity, l.unsent, l.restock) order by r.order_id, r.status, l.order_item_id, l.quantity)
      from public.returns r join public.return_lines l on l.return_id = r.id
    ),
    'reservations', (
      select jsonb_agg(jsonb_build_array(r.order_id, r.variant_id, r.quantity, r.returned, r.status) order by r.order_id, r.variant_id)
      from public.inventory_reservations r
    ),
    'stock', (select jsonb_agg(jsonb_build_array(l.variant_id, l.on_hand, l.reserved, l.committed) order by l.variant_id) from public.inventory_levels l),
    'notifications', (
      select jsonb_agg(jsonb_build_array(n.order_id, n.template, n.dedupe_key, n.status, n.data) order by n.order_id, n.template, n.dedupe_key)
      from public.notifications n
    ),
    'alerts', (
      select jsonb_agg(jsonb_build_array(a.dedupe_key, a.kind, a.severity, a.status, a.count, a.data) order by a.dedupe_key) from public.alerts a
    ),
    'jobs', (
      select jsonb_agg(jsonb_build_array(j.dedupe_key, j.kind, j.payload - '{notification_id,alert_id}'::text[], j.status) order by j.dedupe_key)
      from private.jobs j
    ),
    -- The path an order took differs with the order of events, and shall: what happened to it shall not.
    'audit', (
      select jsonb_agg(jsonb_build_array(e.order_id, e.kind, e.data) order by e.order_id, e.kind, e.data)
      from public.order_events e where e.kind not in ('status_changed', 'stock_committed', 'stock_released', 'stock_active', 'checkout_session_created', 'cancel_order')
    ),
    'events', (select jsonb_agg(jsonb_build_array(e.id, e.status, e.ignored_reason, e.last_error) order by e.id) from public.webhook_events e)
  );
end;
$$;

create function search.rows(p_state jsonb) returns jsonb
language sql
immutable
as $$
  -- Which snapshot won, and what was read again for it, differs with the telling: the rows shall not.
  select jsonb_object_agg(s.key, coalesce(
    (
      select jsonb_agg(case jsonb_typeof(x.value) when 'object' then x.value - '{version,contact_version}'::text[] else x.value end order by x.position)
      from jsonb_array_elements(nullif(s.value, 'null')) with ordinality as x (value, position)
      where s.key <> 'jobs' or x.value ->> 1 not like 'refresh%'
    ),
    '[]'
  ))
  from jsonb_each(p_state - 'events') s
$$;

create function search.move(p_move jsonb) returns text
language plpgsql
as $$
begin
  if p_move ->> 'call' = 'attach' then
    perform public.attach_checkout_session((p_move ->> 'order_id')::uuid, (p_move ->> 'attempt')::integer, p_move -> 'fact');
    return (select o.status from public.orders o where o.id = (p_move ->> 'order_id')::uuid);
  end if;
  return case p_move ->> 'call'
    when 'event' then (public.receive_stripe_event(
      p_move ->> 'id', p_move ->> 'type', (p_move ->> 'livemode')::boolean, coalesce(p_move ->> 'version', '2026-10-28.endive'),
      to_timestamp((p_move ->> 'at')::bigint), null, coalesce(p_move -> 'payload', '{}'), p_move -> 'facts', p_move ->> 'ignored', null, '[]'
    )).outcome
    when 'read' then public.apply_stripe_facts(p_move -> 'facts', 'order_status', to_timestamp((p_move ->> 'at')::bigint))::text
    when 'settle' then private.settle_order((p_move ->> 'order_id')::uuid, 'reconcile')
    when 'cancel' then public.cancel_order(p_move ->> 'order_number') ->> 'ok'
  end;
end;
$$;

create function search.hash(p_order_ids uuid[]) returns text
language plpgsql
stable
as $$
begin
  return md5(search.state(p_order_ids)::text);
end;
$$;

create function search.step(p_move jsonb, p_order_ids uuid[]) returns text
language plpgsql
as $$
declare
  v_outcome text := search.move(p_move);
begin
  return v_outcome || ' ' || search.hash(p_order_ids);
end;
$$;

create function search.repeat(p_moves jsonb, p_order_ids uuid[]) returns text
language plpgsql
as $$
declare
  m jsonb;
begin
  for m in select x from jsonb_array_elements(p_moves) x loop
    perform search.move(m);
  end loop;
  if m ? 'facts' then
    perform private.apply_facts(m -> 'facts', to_timestamp((m ->> 'at')::bigint), coalesce(m ->> 'id', 'repeat'));
  end if;
  return search.hash(p_order_ids);
end;
$$;

create function search.play(p_moves jsonb, p_sequence integer[], p_order_ids uuid[]) returns text
language plpgsql
as $$
declare
  v_index integer;
  v_outcome text;
begin
  foreach v_index in array p_sequence loop
    v_outcome := search.move(p_moves -> v_index);
    if v_outcome = 'queued' then
      raise exception 'move % failed: %', v_index, (select last_error from public.webhook_events e where e.id = p_moves -> v_index ->> 'id');
    end if;
  end loop;
  return search.hash(p_order_ids);
end;
$$;

create function search.merged(p_table text, p_facts jsonb, p_sequence integer[], p_order_id uuid) returns jsonb
language plpgsql
as $$
declare
  v_index integer;
  v_fact jsonb;
  v_at timestamptz;
  v_rows jsonb;
begin
  -- Undone at the end: what a transaction deletes would stay in the way of all that follows.
  begin
    foreach v_index in array p_sequence loop
      v_fact := p_facts -> v_index -> 'fact';
      v_at := to_timestamp((p_facts -> v_index ->> 'at')::bigint);
      case v_fact ->> 'fact'
        when 'checkout_session' then perform private.merge_checkout_session(v_fact, p_order_id, v_at);
        when 'payment' then perform private.merge_payment(v_fact, p_order_id, v_at, p_facts -> v_index ->> 'source');
        when 'payment_attempt' then perform private.merge_payment_attempt(v_fact, p_order_id, v_at);
        when 'refund' then perform private.merge_refund(v_fact, null, v_at);
        when 'dispute' then perform private.merge_dispute(v_fact, null, v_at);
        when 'fraud_signal' then perform private.merge_fraud_signal(v_fact, null, v_at);
        when 'customer' then perform private.merge_customer(v_fact, v_at);
      end case;
    end loop;
    execute format('select jsonb_agg(to_jsonb(t) - %L::text[]) from %s t', case p_table
      when 'public.fraud_signals' then '{id}'
      when 'public.checkout_sessions' then '{created_at}'
      when 'public.payments' then '{created_at}'
      when 'public.refunds' then '{seen_at}'
      else '{}'
    end, p_table) into v_rows;
    raise exception using errcode = 'UNDON';
  exception when sqlstate 'UNDON' then
    return v_rows;
  end;
end;
$$;
