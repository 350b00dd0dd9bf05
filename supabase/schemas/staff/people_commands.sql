-- What the staff commands about people do.

create function private.run_erase_customer(p_command_id uuid, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_count jsonb;
  v_found boolean;
begin
  -- The log of an erasure must not keep the address.
  update public.staff_commands set args = '{}' where id = p_command_id;
  v_count := private.erase_person(p_args ->> 'email');
  v_found := exists (select 1 from jsonb_each(v_count) c where c.value <> '0');
  return jsonb_build_object('ok', v_found, 'found', v_found, 'erased', v_count)
    || case when not v_found then jsonb_build_object(
      'problem',
      'Nobody is known under this address: nothing was erased. Compare the spelling with the order.'
    ) else '{}' end;
end;
$$;
comment on function private.run_erase_customer(uuid, jsonb) is
  'Carries out erase_customer, and answers with counts: { ok, found, erased: { orders, customers, '
  'stripe_customers, events, texts }, problem? }; found false: nobody is known, and nothing was changed. '
  'SHINV: a dispute still needs the data.';

create function private.suppressions_of(p_email text) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if current_setting('role', true) in ('anon', 'authenticated') and not private.is_admin() then
    return null;
  end if;
  return (
    select coalesce(
      jsonb_agg(jsonb_build_object('reason', m.reason, 'since', m.created_at) order by m.reason), '[]'
    )
    from public.mail_suppressions m where m.email_hmac = private.email_hmac(p_email)
  );
end;
$$;
comment on function private.suppressions_of(text) is
  'Why an address gets no mails, or no reminders: [{ reason, since }]. With its owner''s rights, since '
  'nobody else may compute what an address is kept under; null to who is not staff.';
grant execute on function private.suppressions_of(text) to authenticated, service_role;

create function private.export_of_order(o public.orders) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return to_jsonb(o) - '{cart_hash,idempotency_key}'::text[] || jsonb_build_object(
    'items', (select jsonb_agg(to_jsonb(i)) from public.order_items i where i.order_id = o.id),
    'shipments', (select jsonb_agg(to_jsonb(s)) from public.shipments s where s.order_id = o.id),
    'returns', (select jsonb_agg(to_jsonb(r)) from public.returns r where r.order_id = o.id),
    'payments', (select jsonb_agg(to_jsonb(p)) from public.payments p where p.order_id = o.id),
    'attempts', (select jsonb_agg(to_jsonb(a)) from public.payment_attempts a where a.order_id = o.id),
    'refund_requests', (select jsonb_agg(to_jsonb(q)) from public.refund_requests q where q.order_id = o.id),
    'refunds', (select jsonb_agg(to_jsonb(r)) from public.refunds r where r.order_id = o.id),
    'disputes', (select jsonb_agg(to_jsonb(d)) from public.disputes d where d.order_id = o.id),
    'signs_of_fraud', (select jsonb_agg(to_jsonb(f)) from public.fraud_signals f where f.order_id = o.id),
    'payment_pages', (
      select jsonb_agg(to_jsonb(s) - '{url,cart_hash}'::text[])
      from public.checkout_sessions s where s.order_id = o.id
    ),
    'consents', (select jsonb_agg(to_jsonb(c)) from public.order_consents c where c.order_id = o.id),
    'mails', (select jsonb_agg(to_jsonb(n)) from public.notifications n where n.order_id = o.id),
    'commands', (select jsonb_agg(to_jsonb(c)) from public.staff_commands c where c.order_id = o.id),
    'history', (
      select jsonb_agg(to_jsonb(e) order by e.id) from public.order_events e where e.order_id = o.id
    )
  );
end;
$$;
comment on function private.export_of_order(public.orders) is
  'An order with all that hangs on it, as the person whose it is may see it, as far as the caller may read '
  'it.';
grant execute on function private.export_of_order(public.orders) to authenticated, service_role;

create function private.export_of_person(p_email text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_email constant text := lower(btrim(p_email));
  v_orders uuid[] := array(
    select o.id from public.orders o where lower(o.email) = v_email
    union select s.order_id from public.checkout_sessions s where lower(s.email) = v_email
    union select n.order_id from public.notifications n where lower(n.recipient) = v_email
  );
  v_customers constant uuid[] := array(
    select c.id from public.customers c
    where lower(c.email) = v_email
      -- As erasing has it: the row of a guest is that of their orders, whatever address it has by now.
      or (
        c.user_id is null and c.id in (select o.customer_id from public.orders o where o.id = any (v_orders))
      )
  );
begin
  return jsonb_build_object(
    'email', v_email,
    'customers', (
      select coalesce(jsonb_agg(to_jsonb(c)), '[]') from public.customers c where c.id = any (v_customers)
    ),
    'orders', (
      select coalesce(jsonb_agg(private.export_of_order(o) order by o.created_at), '[]')
      from public.orders o where o.id = any (v_orders) or o.customer_id = any (v_customers)
    ),
    'mail_suppressions', private.suppressions_of(v_email)
  );
end;
$$;
comment on function private.export_of_person(text) is
  'All that is stored of a person under an e-mail address, as far as the caller may read it: { email, '
  'customers, orders: [{ …, items, shipments, returns, payments, attempts, refund_requests, refunds, '
  'disputes, signs_of_fraud, payment_pages, consents, mails, commands, history }], mail_suppressions: '
  '[{ reason, since }] }.';
grant execute on function private.export_of_person(text) to authenticated, service_role;

create function public.erase_customer(
  p_email text,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'erase_customer',
    jsonb_build_object('email', p_email),
    p_dry_run, p_command_id
  )
$$;
comment on function public.erase_customer(text, boolean, uuid) is
  'Removes a person from everything known under an e-mail address, also at Stripe, and answers with counts; '
  'ok and found are false when nobody is known under it. Refused while a dispute waits for evidence. Staff '
  'only.';
grant execute on function public.erase_customer(text, boolean, uuid) to authenticated, service_role;

create function public.export_person(
  p_email text,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_result constant jsonb := private.submit_command(
    'export_person', jsonb_build_object('email', p_email), p_dry_run, p_command_id
  );
begin
  -- Whoever reads it stands in the log.
  return case when p_dry_run then v_result else private.export_of_person(p_email) end;
end;
$$;
comment on function public.export_person(text, boolean, uuid) is
  'All that is stored of a person under an e-mail address, as JSON, for whom asks what is known of them '
  '(GDPR article 15). Staff only.';
grant execute on function public.export_person(text, boolean, uuid) to authenticated, service_role;

create function private.run_lift_mail_suppression(p_command_id uuid, p_args jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_hmac text := private.email_hmac(p_args ->> 'email');
begin
  delete from public.mail_suppressions s where s.email_hmac = v_hmac and s.reason = p_args ->> 'reason';
  if not found then
    raise exception 'this address is not suppressed as %', p_args ->> 'reason' using
      errcode = 'SHINV', hint = 'Reasons are bounced, complained, unsubscribed.';
  end if;
  -- The log has no address that the list itself does not have.
  update public.staff_commands set args = args - 'email' || jsonb_build_object('email_hmac', v_hmac)
  where id = p_command_id;
end;
$$;
comment on function private.run_lift_mail_suppression(uuid, jsonb) is
  'Carries out lift_mail_suppression. SHINV: the address is not suppressed for this reason.';

create function public.lift_mail_suppression(
  p_email text,
  p_reason text default 'bounced',
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'lift_mail_suppression',
    jsonb_build_object('email', p_email, 'reason', p_reason),
    p_dry_run, p_command_id
  )
$$;
comment on function public.lift_mail_suppression(text, text, boolean, uuid) is
  'Sends mail to an address again: p_reason bounced (it works by now), complained or unsubscribed (only if '
  'the customer has asked for it). Resend keeps a list of its own. Staff only.';
grant execute on function public.lift_mail_suppression(
  text, text, boolean, uuid
) to authenticated, service_role;
