-- Which order something is about: whatever has an id leads back to one.

create function private.order_of(p_id text) returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  v_order_id uuid;
begin
  if p_id ~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$' then
    return coalesce(
      (select o.id from public.orders o where o.id = p_id::uuid),
      (select n.order_id from public.notifications n where n.id = p_id::uuid),
      (select q.order_id from public.refund_requests q where q.id = p_id),
      (select private.order_named_in(a.data) from public.alerts a where a.id = p_id::uuid)
    );
  end if;
  v_order_id := coalesce(
    (select s.order_id from public.checkout_sessions s where s.id = p_id),
    (select p.order_id from public.payments p where p.id = p_id),
    (select a.order_id from public.payment_attempts a where a.id = p_id),
    (select r.order_id from public.refunds r where r.id = p_id),
    (select d.order_id from public.disputes d where d.id = p_id),
    (select f.order_id from public.fraud_signals f where f.source_id = p_id),
    (select q.order_id from public.refund_requests q where q.id = p_id)
  );
  if v_order_id is null and p_id like 'evt\_%' then
    v_order_id := (select private.order_of(e.object_id) from public.webhook_events e where e.id = p_id);
  end if;
  return v_order_id;
end;
$$;
comment on function private.order_of(text) is
  'The order that an id belongs to: its own (also without dashes, as a trace id), of a session, payment, try '
  'to pay, refund, dispute, warning, event, mail or alert. Null: none that is known here.';

create function private.order_named_in(p_data jsonb) returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  r record;
  v_order_id uuid;
begin
  for r in
    select x.key, x.value from jsonb_each_text(p_data) x
    where x.key = 'order_number' or x.key like '%\_id' order by x.key <> 'order_id', x.key
  loop
    if r.key = 'order_number' then
      select o.id into v_order_id from public.orders o where o.number = r.value;
    else
      v_order_id := private.order_of(r.value);
    end if;
    exit when v_order_id is not null;
  end loop;
  return v_order_id;
end;
$$;
comment on function private.order_named_in(jsonb) is
  'The order that the payload of a job or the data of an alert is about, told by its fields order_number and '
  '…_id. Null: none.';

create function private.orders_of_payment(p_payment_id text) returns uuid[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select p.order_id from public.payments p where p.id = p_payment_id
    union all
    select s.order_id from public.checkout_sessions s where s.payment_id = p_payment_id
  );
end;
$$;
comment on function private.orders_of_payment(text) is
  'The orders that a payment is known to be of: its own, and those of the sessions that name it.';
