-- What is known of orders and objects, made short, so that before and after can be compared.

create function private.digest_orders(p_order_ids uuid[]) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_object_agg(o.number, jsonb_build_object(
    'status', o.status, 'fulfillment_status', o.fulfillment_status, 'amount_paid', o.amount_paid,
    'amount_refunded', o.amount_refunded, 'session_id', o.session_id, 'payment_id', o.payment_id,
    'stock', (
      select jsonb_agg(distinct r.status) from public.inventory_reservations r where r.order_id = o.id
    ),
    'disputes', (select jsonb_object_agg(d.id, d.status) from public.disputes d where d.order_id = o.id),
    'refunds', (select jsonb_object_agg(f.id, f.status) from public.refunds f where f.order_id = o.id)
  ))
  from public.orders o
  where o.id = any (p_order_ids)
$$;
comment on function private.digest_orders(uuid[]) is
  'What matters of orders, by number, for the drift log. No personal data.';

create function private.digest_object(p_fact jsonb) returns jsonb
language sql
stable
set search_path = ''
as $$
  select case p_fact ->> 'fact'
    when 'checkout_session' then (
      select jsonb_build_object(
        'status', s.status, 'payment_status', s.payment_status, 'amount_total', s.amount_total
      )
      from public.checkout_sessions s where s.id = p_fact ->> 'id'
    )
    when 'payment' then (
      select jsonb_build_object('status', p.status, 'amount_received', p.amount_received)
      from public.payments p where p.id = p_fact ->> 'id'
    )
    when 'payment_attempt' then (
      select jsonb_build_object('outcome', a.outcome)
      from public.payment_attempts a where a.id = p_fact ->> 'id'
    )
    when 'refund' then (
      select jsonb_build_object('status', r.status, 'amount', r.amount)
      from public.refunds r where r.id = p_fact ->> 'id'
    )
    when 'dispute' then (
      select jsonb_build_object('status', d.status, 'amount', d.amount, 'evidence_due_by', d.evidence_due_by)
      from public.disputes d where d.id = p_fact ->> 'id'
    )
    when 'fraud_signal' then (
      select jsonb_build_object('open', f.open)
      from public.fraud_signals f where f.source_id = p_fact ->> 'id'
    )
  end
$$;
comment on function private.digest_object(jsonb) is
  'What matters of the row of a fact, for the drift log; null when there is none.';

create function private.digest_facts(p_facts jsonb, p_order_ids uuid[]) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'orders', private.digest_orders(p_order_ids),
    'objects', (
      select jsonb_object_agg(f ->> 'id', private.digest_object(f))
      from jsonb_array_elements(coalesce(p_facts, '[]')) f
      where private.digest_object(f) is not null
    )
  )
$$;
comment on function private.digest_facts(jsonb, uuid[]) is
  'State of the rows that facts are about, and of their orders.';

create function private.orders_of_facts(p_facts jsonb) returns uuid[]
language sql
stable
set search_path = ''
as $$
  select coalesce(array_agg(distinct found.order_id), '{}')
  from (
    select private.order_of_fact(f) as order_id from jsonb_array_elements(coalesce(p_facts, '[]')) f
  ) found
  where found.order_id is not null
$$;
comment on function private.orders_of_facts(jsonb) is
  'The orders that facts belong to, as far as they are known.';
