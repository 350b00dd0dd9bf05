-- What the staff commands about alerts, disputes and people do.

create function private.run_settle_alert(p_status text, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  a public.alerts;
begin
  select * into a from public.alerts x where x.id::text = p_args ->> 'alert_id' for no key update;
  if not found then
    raise exception 'there is no alert %', p_args ->> 'alert_id' using errcode = 'SHINV';
  end if;
  -- Of one that is resolved nothing is left to acknowledge; and what staff have resolved stays so.
  update public.alerts x set status = p_status, data = x.data - '{over,not_owed}'::text[]
  where x.id = a.id and x.status <> 'resolved';
  return jsonb_strip_nulls(jsonb_build_object(
    'kind', a.kind, 'was', a.status, 'order_number', a.data ->> 'order_number'
  ));
end;
$$;
comment on function private.run_settle_alert(text, jsonb) is
  'Carries out acknowledge_alert and resolve_alert; doing it again changes nothing. Answers { kind, was, '
  'order_number? }. SHINV: no such alert.';

create function private.run_accept_dispute(p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d public.disputes;
begin
  select * into d from public.disputes where id = p_args ->> 'dispute_id' for no key update;
  if not found then
    raise exception 'there is no dispute %', p_args ->> 'dispute_id' using errcode = 'SHINV';
  elsif not private.awaits_evidence(d) then
    raise exception 'dispute % does not wait for an answer (status %)', d.id, d.status
      using errcode = 'SHINV';
  elsif exists (
    select 1 from private.jobs j
    where j.kind = 'submit_dispute_evidence' and j.status in ('queued', 'running')
      and j.payload ->> 'dispute_id' = d.id and j.payload -> 'submit' = 'true'
  ) then
    raise exception 'evidence for dispute % is on its way', d.id using errcode = 'SHINV';
  end if;
  -- Once for each dispute: asked again, the job that is there does it.
  perform private.enqueue_job(
    'close_dispute', 'close_dispute:' || d.id, jsonb_build_object('dispute_id', d.id), now(), 20
  );
  return d.order_id;
end;
$$;
comment on function private.run_accept_dispute(jsonb) is
  'Carries out accept_dispute: queues the job that closes it at Stripe, once. SHINV: no such dispute, it '
  'does not wait for an answer, or evidence is on its way.';

create function private.export_of_person(p_email text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_email constant text := lower(btrim(p_email));
  v_customers constant uuid[] := array(select c.id from public.customers c where lower(c.email) = v_email);
begin
  return jsonb_build_object(
    'email', v_email,
    'customers', (
      select coalesce(jsonb_agg(to_jsonb(c)), '[]') from public.customers c where c.id = any (v_customers)
    ),
    'orders', (
      select coalesce(jsonb_agg(
        to_jsonb(o) - '{cart_hash,idempotency_key}'::text[] || jsonb_build_object(
          'items', (
            select jsonb_agg(to_jsonb(i)) from public.order_items i where i.order_id = o.id
          ),
          'shipments', (select jsonb_agg(to_jsonb(s)) from public.shipments s where s.order_id = o.id),
          'returns', (select jsonb_agg(to_jsonb(r)) from public.returns r where r.order_id = o.id),
          'payments', (select jsonb_agg(to_jsonb(p)) from public.payments p where p.order_id = o.id),
          'attempts', (
            select jsonb_agg(to_jsonb(a)) from public.payment_attempts a where a.order_id = o.id
          ),
          'refunds', (select jsonb_agg(to_jsonb(r)) from public.refunds r where r.order_id = o.id),
          'disputes', (select jsonb_agg(to_jsonb(d)) from public.disputes d where d.order_id = o.id),
          'signs_of_fraud', (
            select jsonb_agg(to_jsonb(f)) from public.fraud_signals f where f.order_id = o.id
          ),
          'payment_pages', (
            select jsonb_agg(to_jsonb(s) - '{url,cart_hash}'::text[])
            from public.checkout_sessions s where s.order_id = o.id
          ),
          'mails', (
            select jsonb_agg(to_jsonb(n)) from public.notifications n where n.order_id = o.id
          ),
          'commands', (
            select jsonb_agg(to_jsonb(c)) from public.staff_commands c where c.order_id = o.id
          )
        ) order by o.created_at
      ), '[]')
      from public.orders o
      where lower(o.email) = v_email or o.customer_id = any (v_customers)
        or o.id in (select s.order_id from public.checkout_sessions s where lower(s.email) = v_email)
        or o.id in (select n.order_id from public.notifications n where lower(n.recipient) = v_email)
    )
  );
end;
$$;
comment on function private.export_of_person(text) is
  'All that is stored of a person under an e-mail address, as far as the caller may read it: { email, '
  'customers, orders: [{ …, items, shipments, returns, payments, attempts, refunds, disputes, '
  'signs_of_fraud, payment_pages, mails, commands }] }.';
grant execute on function private.export_of_person(text) to authenticated, service_role;
