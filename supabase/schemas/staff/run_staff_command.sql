-- Running a command as its row is written. Every function that staff call hands over to submit_command().

create function private.command_outcome(p_order_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  -- What this transaction has written carries its time.
  return coalesce((
    select jsonb_build_object(
      'status', o.status, 'fulfillment_status', o.fulfillment_status,
      'mails', (
        select coalesce(jsonb_agg(n.template order by n.template), '[]')
        from public.notifications n where n.order_id = o.id and n.created_at = now()
      ),
      'stock', (
        select coalesce(jsonb_agg(jsonb_build_object('sku', v.sku, 'change', j.change) order by j.id), '[]')
        from public.inventory_journal j join public.product_variants v on v.id = j.variant_id
        where j.order_id = o.id and j.created_at = now()
      )
    )
    from public.orders o where o.id = p_order_id
  ), '{}');
end;
$$;
comment on function private.command_outcome(uuid) is
  'What a command has done to its order: { status, fulfillment_status, mails (queued), stock: [{ sku, change '
  '}] }; {} without an order.';

create function private.order_in_short(p_order_number text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('before', jsonb_build_object(
      'status', o.status, 'fulfillment_status', o.fulfillment_status
    ))
    from public.orders o where o.number = p_order_number
  );
end;
$$;
comment on function private.order_in_short(text) is
  'How an order is before a command: { before: { status, fulfillment_status } }; null: none was named.';

create function private.run_order_command(p_id uuid, p_command text, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  case p_command
    when 'request_refund' then return private.run_request_refund(p_id, p_args);
    when 'assign_refund' then return private.run_assign_refund(p_args);
    when 'announce_return' then return private.run_announce_return(p_args);
    when 'exchange_return' then return private.run_exchange_return(p_args);
    when 'receive_return' then return private.run_receive_return(p_args);
    when 'close_return' then return private.run_close_return(p_args);
    when 'mark_fulfilled' then return private.run_mark_fulfilled(p_id, p_args);
    when 'correct_shipment' then return private.run_correct_shipment(p_id, p_args);
    when 'cancel_order' then return private.run_cancel_order(p_args);
    when 'release_review' then perform private.run_release_review(p_args);
    when 'resend_notification' then perform private.run_resend_notification(p_id, p_args);
    else return null;
  end case;
  return '{}';
end;
$$;
comment on function private.run_order_command(uuid, text, jsonb) is
  'Carries out a command about an order, and returns what it answers; null: it is about something else.';

create function private.run_shop_command(p_id uuid, p_command text, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  case p_command
    when 'redrive_webhook_event' then perform private.redrive_event(p_args ->> 'event_id');
    when 'redrive_job' then perform private.redrive_job((p_args ->> 'job_id')::bigint);
    when 'erase_customer' then return private.run_erase_customer(p_id, p_args);
    when 'adjust_inventory' then return private.run_adjust_inventory(p_args);
    when 'count_inventory' then
      return private.run_count_inventory('count', p_args -> 'counts', p_args ->> 'note');
    when 'import_inventory' then
      return private.run_count_inventory(
        'import', private.parse_csv_counts(p_args ->> 'csv'), p_args ->> 'note'
      );
    when 'add_product' then return private.run_add_product(p_args);
    when 'add_variant' then perform private.run_add_variant(p_args);
    when 'set_price' then return private.run_set_price(p_args);
    when 'acknowledge_alert' then return private.run_settle_alert('acknowledged', p_args);
    when 'resolve_alert' then return private.run_settle_alert('resolved', p_args);
    when 'set_alert_rule' then return private.run_set_alert_rule(p_args);
    when 'lift_mail_suppression' then perform private.run_lift_mail_suppression(p_id, p_args);
    -- Nothing to carry out: the row says who asked.
    when 'export_person' then null;
  end case;
  return '{}';
end;
$$;
comment on function private.run_shop_command(uuid, text, jsonb) is
  'Carries out a command that is about no order, and returns what it answers.';

create function private.run_staff_command() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_order_id uuid;
  v_before jsonb;
  v_answer jsonb;
begin
  -- Not before the insert: what the policies refuse is not told what a command understands.
  new.args := private.clean_staff_args(new.command, new.args);
  update public.staff_commands c set args = new.args where c.id = new.id and c.args <> new.args;
  perform set_config('kct.actor', new.actor, true);
  v_before := private.order_in_short(new.args ->> 'order_number');
  case new.command
    when 'submit_dispute_evidence' then v_order_id := private.run_submit_dispute_evidence(new.id, new.args);
    when 'accept_dispute' then v_order_id := private.run_accept_dispute(new.args);
    when 'leave_dispute' then v_order_id := private.run_leave_dispute(new.args);
    else
      v_answer := coalesce(
        private.run_order_command(new.id, new.command, new.args),
        private.run_shop_command(new.id, new.command, new.args)
      );
  end case;
  v_order_id := coalesce(v_order_id, (
    select o.id from public.orders o
    where o.number = coalesce(new.args ->> 'order_number', v_answer ->> 'order_number')
  ));
  if v_order_id is not null then
    perform private.record_order_event(
      v_order_id, new.command, 'staff', jsonb_build_object('command_id', new.id, 'actor', new.actor)
    );
    perform private.settle_order(v_order_id, 'staff');
  end if;
  update public.staff_commands c
  set order_id = v_order_id,
    result = '{"ok": true}' || coalesce(v_before, '{}') || private.command_outcome(v_order_id)
      || coalesce(v_answer, '{}')
  where c.id = new.id;
  return null;
end;
$$;
comment on function private.run_staff_command() is
  'Trigger of staff_commands: carries the command out, notes the result and the audit row. An error undoes '
  'the insert as well.';

create function private.mask_command() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  new.args := private.mask_cards_in(new.args);
  return new;
end;
$$;
comment on function private.mask_command() is
  'Trigger of staff_commands: a card number in a note, a reason or a tracking number is masked before '
  'anything is stored.';
create trigger mask_command before insert on public.staff_commands
  for each row execute function private.mask_command();

create trigger run_staff_command after insert on public.staff_commands
  for each row execute function private.run_staff_command();

create function private.is_command(c public.staff_commands, p_command text, p_args jsonb) returns boolean
language sql
immutable
set search_path = ''
as $$
  select c.command = p_command and not exists (
    select 1 from jsonb_each(private.mask_cards_in(p_args)) a
    where a.value <> coalesce(c.args -> a.key, 'null')
      -- The log does not keep them for good, or nobody wrote them.
      and not (
        not c.args ? a.key and (a.key in ('email', 'note', 'reason') or btrim(a.value #>> '{}') = '')
      )
  )
$$;
comment on function private.is_command(public.staff_commands, text, jsonb) is
  'Whether this row of the log is that command with those arguments.';
-- Asked with the caller's rights, and so is what it asks.
grant execute on function private.is_command(public.staff_commands, text, jsonb),
  private.mask_cards_in(jsonb), private.mask_cards(text), private.is_card_number(text)
to authenticated, service_role;

create function private.submit_command(
  p_command text,
  p_args jsonb,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_id constant uuid := coalesce(p_command_id, gen_random_uuid());
  c public.staff_commands;
  v_result jsonb;
begin
  -- The policies say the same, in words that help nobody.
  if current_user = 'authenticated' and not private.is_admin() then
    raise exception '% is for staff only', p_command using
      errcode = '42501',
      hint = 'Staff have app_metadata.role = admin and, where ADMIN_REQUIRE_MFA is set, have signed in with '
        'a second factor.';
  end if;
  begin
    insert into public.staff_commands (id, command, args) values (v_id, p_command, p_args)
    on conflict (id) do nothing;
    select * into c from public.staff_commands x where x.id = v_id;
    if not private.is_command(c, p_command, p_args) then
      raise exception 'command % was another one', v_id using errcode = 'SHINV';
    end if;
    v_result := c.result || jsonb_build_object('command_id', c.id);
    if p_dry_run then
      raise exception 'dry run' using errcode = 'SHDRY';
    end if;
  exception when sqlstate 'SHDRY' then
    v_result := v_result - 'command_id' || '{"dry_run": true}';
  end;
  return v_result;
end;
$$;
comment on function private.submit_command(text, jsonb, boolean, uuid) is
  'Inserts a staff command as the caller, whose policies decide, and returns its result. p_dry_run: carries '
  'it out, undoes all of it, and returns what the result would be. p_command_id: the same command with the '
  'same id is carried out once and answers the same again. 42501: the caller is not staff; SHINV: the id was '
  'another command''s, or had other arguments.';
grant execute on function private.submit_command(text, jsonb, boolean, uuid) to authenticated, service_role;
