-- What the commands of staff that are about no order do.

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
