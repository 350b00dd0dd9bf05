-- Generated from supabase/schemas/staff by 'deno task migrations': edit there.

-- What staff may do. A command is a row: who, what, when, with which arguments. The functions of staff only
-- insert it, as the caller and under the caller's policies; the trigger carries it out in the same
-- transaction. So there is no privileged function that an API role may execute, and nothing unaudited.

create table public.staff_commands (
  id uuid primary key default gen_random_uuid(),
  number bigint generated always as identity,
  command text not null,
  args jsonb not null default '{}',
  actor text not null default coalesce(auth.uid()::text, session_user::text),
  order_id uuid references public.orders (id) on delete set null,
  result jsonb,
  created_at timestamptz not null default now(),
  constraint staff_commands_number_key unique (number),
  constraint staff_commands_command_known check (command in (
    'request_refund', 'cancel_order', 'release_review', 'mark_fulfilled', 'correct_shipment',
    'submit_dispute_evidence',
    'resend_notification', 'redrive_webhook_event', 'redrive_job', 'erase_customer',
    'assign_refund', 'announce_return', 'exchange_return', 'close_return', 'receive_return',
    'adjust_inventory', 'count_inventory', 'import_inventory', 'add_product', 'add_variant', 'set_price',
    'acknowledge_alert', 'resolve_alert', 'set_alert_rule', 'accept_dispute', 'export_person',
    'lift_mail_suppression', 'leave_dispute'
  ))
);
comment on table public.staff_commands is
  'Insert-only log of what staff asked for. Inserting a row carries it out; a refused command leaves no '
  'row.';
create index staff_commands_order_id_idx on public.staff_commands (order_id);

alter table public.staff_commands enable row level security;
create policy staff_commands_read on public.staff_commands for select to authenticated
  using ((select private.is_admin()));
create policy staff_commands_insert on public.staff_commands for insert to authenticated
  with check ((select private.is_admin()));
revoke all on public.staff_commands from public, anon, authenticated, service_role;
revoke all on sequence public.staff_commands_number_seq from public, anon, authenticated, service_role;
grant select on public.staff_commands to authenticated, service_role;
grant insert (id, command, args) on public.staff_commands to authenticated, service_role;

-- Until it has its result, a row is being carried out.
create trigger refuse_change before update on public.staff_commands
  for each row when (old.result is not null) execute function private.refuse_change();
create trigger refuse_delete before delete on public.staff_commands
  for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.staff_commands
  for each statement execute function private.refuse_change();

create function private.staff_command_fields(p_command text)
returns table (field text, type text, required boolean, size bigint)
language sql
immutable
set search_path = ''
as $$
  select f.field, f.type, f.required, f.size
  from (values
    ('request_refund', 'order_number', 'text', true, 64),
    ('request_refund', 'amount', 'amount', false, 999999999999),
    ('request_refund', 'reason', 'text', false, 500), ('request_refund', 'restock', 'boolean', false, null),
    ('request_refund', 'lines', 'array', false, 10000),
    ('request_refund', 'shipping', 'boolean', false, null),
    ('request_refund', 'confirm', 'boolean', false, null),
    ('assign_refund', 'refund_id', 'text', true, 100), ('assign_refund', 'lines', 'array', true, 10000),
    ('assign_refund', 'restock', 'boolean', false, null),
    ('announce_return', 'order_number', 'text', true, 64), ('announce_return', 'lines', 'array', true, 10000),
    ('announce_return', 'reason', 'text', false, 500),
    ('exchange_return', 'order_number', 'text', true, 64), ('exchange_return', 'lines', 'array', true, 10000),
    ('exchange_return', 'reason', 'text', false, 500),
    ('close_return', 'return_id', 'text', true, 64), ('close_return', 'note', 'text', false, 2000),
    ('cancel_order', 'order_number', 'text', true, 64), ('cancel_order', 'reason', 'text', false, 500),
    ('receive_return', 'order_number', 'text', true, 64), ('receive_return', 'lines', 'array', false, 10000),
    ('receive_return', 'note', 'text', false, 2000),
    ('release_review', 'order_number', 'text', true, 64), ('release_review', 'note', 'text', false, 2000),
    ('mark_fulfilled', 'order_number', 'text', true, 64), ('mark_fulfilled', 'carrier', 'text', false, 100),
    ('mark_fulfilled', 'tracking_number', 'text', false, 100),
    ('mark_fulfilled', 'lines', 'array', false, 10000),
    ('correct_shipment', 'order_number', 'text', true, 64),
    ('correct_shipment', 'parcel', 'integer', true, 1000),
    ('correct_shipment', 'carrier', 'text', false, 100),
    ('correct_shipment', 'tracking_number', 'text', false, 100),
    ('submit_dispute_evidence', 'dispute_id', 'text', true, 100),
    -- Stripe takes 20 000 characters of text in one field of evidence.
    ('submit_dispute_evidence', 'note', 'text', false, 20000),
    ('submit_dispute_evidence', 'acknowledge_fee', 'boolean', false, null),
    ('resend_notification', 'order_number', 'text', true, 64),
    ('resend_notification', 'template', 'text', true, 64),
    ('redrive_webhook_event', 'event_id', 'text', true, 255),
    ('redrive_job', 'job_id', 'integer', true, 9007199254740991),
    ('erase_customer', 'email', 'text', true, 320),
    ('adjust_inventory', 'sku', 'text', true, 64), ('adjust_inventory', 'delta', 'integer', true, 1000000),
    ('adjust_inventory', 'reason', 'text', false, 500),
    ('count_inventory', 'counts', 'array', true, 200000), ('count_inventory', 'note', 'text', false, 500),
    ('import_inventory', 'csv', 'text', true, 200000), ('import_inventory', 'note', 'text', false, 500),
    ('add_product', 'slug', 'text', true, 200), ('add_product', 'name', 'text', true, 200),
    ('add_product', 'description', 'text', false, 2000), ('add_product', 'image_url', 'text', false, 2000),
    ('add_product', 'active', 'boolean', false, null),
    ('set_price', 'sku', 'text', true, 64), ('set_price', 'price_amount', 'amount', true, 999999999999),
    ('set_price', 'confirm', 'boolean', false, null), ('set_price', 'currency', 'text', false, 3),
    ('acknowledge_alert', 'alert_id', 'text', true, 64),
    ('resolve_alert', 'alert_id', 'text', true, 64), ('resolve_alert', 'note', 'text', false, 2000),
    ('set_alert_rule', 'kind', 'text', true, 64), ('set_alert_rule', 'threshold', 'amount', false, 99999999),
    ('set_alert_rule', 'minimum', 'integer', false, 1000000),
    ('set_alert_rule', 'window_seconds', 'integer', false, 7776000),
    ('set_alert_rule', 'severity', 'text', false, 20), ('set_alert_rule', 'enabled', 'boolean', false, null),
    ('set_alert_rule', 'quiet_hours', 'text', false, 20),
    ('accept_dispute', 'dispute_id', 'text', true, 100), ('accept_dispute', 'note', 'text', false, 2000),
    ('leave_dispute', 'dispute_id', 'text', true, 100), ('leave_dispute', 'note', 'text', false, 2000),
    ('export_person', 'email', 'text', true, 320),
    ('lift_mail_suppression', 'email', 'text', true, 320),
    ('lift_mail_suppression', 'reason', 'text', true, 20),
    ('add_variant', 'product_slug', 'text', true, 200), ('add_variant', 'sku', 'text', true, 64),
    ('add_variant', 'price_amount', 'amount', true, 999999999999),
    ('add_variant', 'confirm', 'boolean', false, null), ('add_variant', 'currency', 'text', true, 3),
    ('add_variant', 'size', 'text', false, 100), ('add_variant', 'color', 'text', false, 100),
    ('add_variant', 'on_hand', 'integer', false, 1000000)
  ) as f (command, field, type, required, size)
  where f.command = p_command
$$;
comment on function private.staff_command_fields(text) is
  'Arguments of a staff command: their JSON type (amount: a number, see read_amount()), and size: the length '
  'of a text or array (as text), the greatest number, either sign. No rows: there is no such command.';

create function private.clean_staff_args(p_command text, p_args jsonb) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  a record;
  v_args jsonb := '{}';
  v_value jsonb;
  v_missing text;
begin
  if jsonb_typeof(p_args) <> 'object' then
    raise exception 'arguments of % must be an object', p_command using errcode = 'SHINV';
  end if;
  for a in
    select g.key, g.value, g.value #>> '{}' as text, f.type, f.size
    from jsonb_each(p_args) g left join private.staff_command_fields(p_command) f on f.field = g.key
  loop
    v_value := a.value;
    if a.type is null then
      raise exception '% has no argument %', p_command, left(a.key, 40) using errcode = 'SHINV';
    elsif jsonb_typeof(a.value) = 'null'
      or (a.type = 'text' and jsonb_typeof(a.value) = 'string' and btrim(a.text) = '') then
      continue;
    elsif jsonb_typeof(a.value) <> (
      case when a.type = 'text' then 'string' when a.type in ('integer', 'amount') then 'number'
        else a.type end
    ) then
      raise exception '% of % must be of type %', a.key, p_command, a.type using errcode = 'SHINV';
    elsif a.type = 'amount' and abs(a.text::numeric) <= a.size then
      -- As it was written: read_amount() judges it with the currency.
      null;
    elsif a.type = 'amount' then
      raise exception '% of % must be at most %', a.key, p_command, a.size using errcode = 'SHINV';
    elsif a.type = 'integer' then
      if a.text::numeric <> trunc(a.text::numeric) or abs(a.text::numeric) > a.size then
        raise exception '% of % must be a whole number of at most %', a.key, p_command, a.size
          using errcode = 'SHINV';
      end if;
      -- 1.0 is whole, and no integer in the eyes of a cast.
      v_value := to_jsonb(a.text::numeric::bigint);
    elsif char_length(a.text) > a.size or a.text ~ '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]' then
      raise exception '% of % must have at most % characters and no control characters', a.key, p_command,
        a.size
        using errcode = 'SHINV';
    end if;
    v_args := v_args || jsonb_build_object(a.key, v_value);
  end loop;

  select string_agg(f.field, ', ') into v_missing
  from private.staff_command_fields(p_command) f where f.required and not v_args ? f.field;
  if v_missing is not null then
    raise exception '% needs %', p_command, v_missing using errcode = 'SHINV';
  end if;
  return v_args;
end;
$$;
comment on function private.clean_staff_args(text, jsonb) is
  'The arguments of a staff command, without those left empty. SHINV: unknown, of the wrong type, too '
  'large, or missing.';

create function private.sign_staff_command() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- Whatever the row claims: who is signed in, or else the session, with the tool that it says it is.
  new.actor := coalesce(
    auth.uid()::text, concat_ws(' ', session_user, '(' || nullif(left(new.actor, 100), session_user) || ')')
  );
  new.created_at := now();
  new.order_id := null;
  new.result := null;
  return new;
end;
$$;
comment on function private.sign_staff_command() is
  'Trigger of staff_commands: a row carries the name of who really wrote it, and the time.';

create trigger sign_staff_command before insert on public.staff_commands
  for each row execute function private.sign_staff_command();

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

-- What the staff commands about an order as a whole do.

create function private.lock_order_by_number(p_order_number text) returns public.orders
language plpgsql
set search_path = ''
as $$
declare
  o public.orders;
begin
  select * into o from public.orders where number = p_order_number for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_number using errcode = 'SHORD';
  end if;
  return o;
end;
$$;
comment on function private.lock_order_by_number(text) is
  'The order of a number, locked. SHORD: no such order.';

create function private.run_cancel_order(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
begin
  if private.has_shipped(o.id) then
    raise exception 'order % has been shipped; refund it instead', o.number using errcode = 'SHINV';
  elsif o.status = 'refunded' and o.cancelled_at is null then
    -- The money is back already, and the customer knows: what is left to do is the goods.
    update public.orders set restocked_at = coalesce(restocked_at, now()) where id = o.id;
    perform private.settle_order(o.id, 'staff');
    return '{}';
  end if;
  update public.orders set cancelled_at = coalesce(cancelled_at, now()) where id = o.id;
  perform private.settle_order(o.id, 'staff');
  return jsonb_strip_nulls(jsonb_build_object('notice', (
    select case when private.money_left(q.payment_id) > 0 then
        'The payment is disputed, and Stripe refunds nothing of it: the refund waits, and is made by itself '
          || 'if the dispute is won. accept_dispute() lets the customer have the money now.'
      else 'The customer has the money from the bank: nothing is refunded.' end
    from public.refund_requests q
    where q.id = private.refund_request_id('cancelled', o.payment_id) and q.status in ('queued', 'disputed')
      and private.refund_awaits_dispute(q)
  )));
end;
$$;
comment on function private.run_cancel_order(jsonb) is
  'Carries out cancel_order: settling expires open sessions and refunds what was paid. Of an order that is '
  'refunded already only the goods go back. Answers { notice } when the refund waits for a bank. SHINV: '
  'already shipped.';

create function private.run_release_review(p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_reasons text[] := (private.risk_of(o.id)).review_reasons;
  v_held text[] := private.hold_reasons(o);
begin
  if not (
    o.status = 'needs_review'
    or (o.fulfillment_status = 'on_hold' and v_held && array['refund_failed', 'refund_refused'])
  )
    or 'oversold' = any (v_reasons) then
    raise exception 'order % is not held for review (status %, fulfilment %)', o.number, o.status,
      o.fulfillment_status
      using errcode = 'SHINV', hint = case when 'oversold' = any (v_reasons)
        then 'An oversold order is refunded by itself and cannot be released.'
        else 'What waits for a person stands in reporting.orders_needing_attention.' end;
  elsif 'refund_under_way' = any (v_held) then
    raise exception 'all the money of order % is on its way back', o.number using errcode = 'SHINV';
  end if;
  -- What is known now, and no more: what comes later, staff have not looked at.
  insert into private.released_mismatches (order_id, session_id, reason)
  select o.id, cs.id, reason
  from public.checkout_sessions cs
  left join public.payments p on p.id = cs.payment_id
  cross join unnest(private.unreleased_mismatches(o.id, cs.id, private.review_reasons(o, cs, p))) reason
  where cs.id = o.session_id;
  update public.fraud_signals f set released_at = now() where f.order_id = o.id and private.holds_order(f);
  update public.refunds r set released_at = now()
  from private.refund_states s
  where s.id = r.id and s.has_bounced and r.payment_id = o.payment_id and r.released_at is null;
  -- It may ship: all of its money is not to go back any more. One that is cancelled ships nothing.
  with kept as (
    update public.refund_requests q set status = 'not_needed', given_up_at = null, restock = false
    where q.payment_id = o.payment_id and q.amount is null and q.status in ('given_up', 'disputed')
      and o.cancelled_at is null
    returning q.id
  ), kept_pieces as (
    -- Nor are those pieces to stay that it has kept from leaving.
    update public.returns r set status = 'closed'
    from kept k
    where r.refund_request_id = k.id and r.status = 'requested' and not exists (
      select 1 from public.return_lines l where l.return_id = r.id and l.unsent < l.quantity
    )
  )
  update private.jobs j set status = 'discarded', finished_at = now(), lease_id = null, leased_until = null
  from kept k
  where j.dedupe_key = 'refund_payment:' || k.id and j.status in ('queued', 'running');
  update public.alerts set status = 'resolved'
  where dedupe_key = private.mismatch_alert(o.id) and status <> 'resolved';
  update public.order_risk set review_released_at = now() where order_id = o.id;
  perform private.settle_order(o.id, 'staff');
  return o.id;
end;
$$;
comment on function private.run_release_review(jsonb) is
  'Carries out release_review: a person has looked at what holds the order now, and it may ship. A sign of '
  'fraud or a mismatch that turns up later holds it again. SHINV: nothing to release, or its money is on '
  'its way back.';

create function private.run_resend_notification(p_command_id uuid, p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  n public.notifications;
  v_problem text;
begin
  if p_args ->> 'template' <> all (private.mail_templates()) then
    raise exception 'there is no mail %; there are: %', left(p_args ->> 'template', 64),
      array_to_string(private.mail_templates(), ', ') using errcode = 'SHINV';
  end if;
  select * into n from public.notifications x
  where x.order_id = o.id and x.template = p_args ->> 'template'
  order by x.created_at desc, x.id limit 1;
  if not found then
    raise exception 'order % has had no mail %; it has had: %', o.number, p_args ->> 'template', coalesce(
      (select string_agg(distinct x.template, ', ') from public.notifications x where x.order_id = o.id),
      'none'
    ) using errcode = 'SHINV';
  end if;
  n.status := 'queued';
  if n.template = 'order_shipped' then
    n.data := (n.data - 'corrected') || (
      select private.parcel_data(s.id) from public.shipments s
      where s.order_id = o.id and s.parcel = (n.data ->> 'parcel')::integer
    );
  end if;
  v_problem := private.notification_problem(n, o);
  if v_problem is not null then
    raise exception 'mail % of order % must not be sent again: %', n.template, o.number, v_problem
      using errcode = 'SHINV';
  end if;
  perform private.queue_notification(o.id, n.template, 'resend:' || p_command_id, n.data);
  return o.id;
end;
$$;
comment on function private.run_resend_notification(uuid, jsonb) is
  'Carries out resend_notification: queues a mail that the order has had before once more. SHINV: there is '
  'no such mail, the order never had it, or what it says is not true any more.';

create function public.cancel_order(
  p_order_number text,
  p_reason text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'cancel_order',
    jsonb_build_object('order_number', p_order_number, 'reason', p_reason),
    p_dry_run, p_command_id
  )
$$;
comment on function public.cancel_order(text, text, boolean, uuid) is
  'Cancels an order that has not shipped: closes its checkout, frees its stock, refunds what was paid. '
  'Staff only.';
grant execute on function public.cancel_order(text, text, boolean, uuid) to authenticated, service_role;

create function public.release_review(
  p_order_number text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'release_review',
    jsonb_build_object('order_number', p_order_number, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.release_review(text, text, boolean, uuid) is
  'Lets an order that is held for review ship. Releases what is known now; what turns up later holds it '
  'again. Staff only.';
grant execute on function public.release_review(text, text, boolean, uuid) to authenticated, service_role;

create function public.resend_notification(
  p_order_number text,
  p_template text,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'resend_notification',
    jsonb_build_object('order_number', p_order_number, 'template', p_template),
    p_dry_run, p_command_id
  )
$$;
comment on function public.resend_notification(text, text, boolean, uuid) is
  'Mails a template that the order has had before once more, if what it says is still true. Staff only.';
grant execute on function public.resend_notification(
  text, text, boolean, uuid
) to authenticated, service_role;

-- What the staff commands about money that goes back do.

create function private.read_amount(p_amount jsonb, p_currency text, p_confirmed boolean) returns bigint
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_unit constant integer := private.major_unit(p_currency);
  v_amount bigint;
begin
  if p_amount #>> '{}' ~ '[.eE]' then
    raise exception 'amounts are in minor units: % % is %', p_amount #>> '{}', upper(p_currency),
      round((p_amount #>> '{}')::numeric * v_unit)
      using errcode = 'SHINV', hint = 'Write it without a decimal point.';
  end if;
  v_amount := (p_amount #>> '{}')::bigint;
  if v_amount between 1 and v_unit - 1 and not coalesce(p_confirmed, false) then
    raise exception 'amounts are in minor units: % is % %', v_amount,
      round(v_amount::numeric / v_unit, length(v_unit::text) - 1), upper(p_currency)
      using errcode = 'SHREF', hint = format(
        'For %s %s write %s. If so little is meant, add p_confirm => true.', v_amount, upper(p_currency),
        v_amount * v_unit
      );
  end if;
  return v_amount;
end;
$$;
comment on function private.read_amount(jsonb, text, boolean) is
  'An amount that staff wrote, in minor units. SHINV: written with a decimal point; SHREF: less than one '
  'unit of the currency and not confirmed. Either looks like major units.';

create function private.worth_of_lines(o public.orders, p_lines jsonb)
returns table (order_item_id uuid, sku text, quantity integer, amount bigint)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_short text;
  v_before numeric;
begin
  select string_agg(format('%s of %s', p.paid - p.refunded, p.sku), ', ' order by p.sku collate "C")
  into v_short
  from private.parse_order_lines(o.id, p_lines, '{restock}') x
  join private.line_positions(o.id) p on p.order_item_id = x.order_item_id
  where x.quantity > p.paid - p.refunded;
  if v_short is not null then
    raise exception 'there is money left to give back for: %', v_short
      using errcode = 'SHREF', hint = 'Pieces that were refunded, or are about to be, are not again. Of an '
        'exchange the piece that the customer has now is refunded.';
  end if;
  -- Counted from the first piece that is refunded on, whichever it is: so all pieces together are all of the
  -- money for goods, however they were exchanged.
  v_before := (
    select coalesce(sum(p.unit_amount * p.refunded), 0) from private.line_positions(o.id) p
  );
  return query
  select w.order_item_id, w.sku, w.quantity,
    private.share_of_price(o, w.until) - private.share_of_price(o, w.until - w.price)
  from (
    select x.order_item_id, x.sku, x.quantity, p.unit_amount * x.quantity as price,
      v_before + sum(p.unit_amount * x.quantity) over (order by x.sku collate "C", x.order_item_id) as until
    from private.parse_order_lines(o.id, p_lines, '{restock}') x
    join private.line_positions(o.id) p on p.order_item_id = x.order_item_id
  ) w;
end;
$$;
comment on function private.worth_of_lines(public.orders, jsonb) is
  'Lines [{ sku, quantity, restock }] with what their pieces have cost. SHREF: pieces that are refunded '
  'already.';

create function private.book_refund_lines(
  o public.orders,
  p_request_id text,
  p_refund_id text,
  p_lines jsonb,
  p_restock boolean
) returns void
language plpgsql
set search_path = ''
as $$
declare
  x record;
  v_back uuid;
  v_awaited uuid;
  v_new integer;
  v_taken integer;
begin
  for x in
    select l.order_item_id, l.quantity, coalesce((l.line ->> 'restock')::boolean, p_restock) as restock,
      p.to_ship,
      -- Of what was refunded, what is still to come is not among what has.
      greatest(
        0, p.returned - p.exchanged - (p.refunded - private.pieces_that_wait(p.order_item_id))
      ) as here,
      greatest(0, p.returned - p.exchanged + p.announced - p.exchanging - p.refunded) as coming
    from private.parse_order_lines(o.id, p_lines, '{restock}') l
    join private.line_positions(o.id) p on p.order_item_id = l.order_item_id
  loop
    insert into public.refund_lines (request_id, refund_id, order_item_id, quantity)
    values (p_request_id, p_refund_id, x.order_item_id, x.quantity);
    -- What has come back or is on its way, and is not paid for yet, is what this refund is about first.
    v_new := greatest(0, x.quantity - x.here);
    continue when v_new = 0;
    if x.restock then
      if v_back is null then
        insert into public.returns (order_id, refund_request_id, reason)
        values (o.id, p_request_id, 'refund') returning id into v_back;
      end if;
      v_taken := private.take_announced(v_back, x.order_item_id, least(v_new, x.coming - x.here), true, true);
      v_new := v_new - v_taken;
      perform private.add_return_line(v_back, x.order_item_id, v_new, least(v_new, x.to_ship), true);
    elsif v_new > x.coming - x.here then
      if v_awaited is null then
        insert into public.returns (order_id, reason) values (o.id, 'refund') returning id into v_awaited;
      end if;
      v_new := v_new - (x.coming - x.here);
      perform private.add_return_line(v_awaited, x.order_item_id, v_new, least(v_new, x.to_ship), false);
    end if;
  end loop;
  if p_refund_id is not null then
    update public.returns set status = 'received', received_at = clock_timestamp() where id = v_back;
  end if;
end;
$$;
comment on function private.book_refund_lines(public.orders, text, text, jsonb, boolean) is
  'Notes which pieces a refund is about, and announces the return of those that no return has yet: with '
  'restock they go on the shelf once the refund has succeeded (at once when it was made already), without '
  'they are awaited. Pieces that have not been sent are not to be sent any more.';

create function private.refuse_refund(o public.orders, p_refundable bigint, p_amount bigint) returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if o.paid_at is null or o.amount_paid = 0 then
    raise exception 'order % has no money to give back (status %)', o.number, o.status
      using errcode = 'SHREF', hint = 'An order that is not paid is ended by cancel_order().';
  elsif p_refundable < 1 then
    raise exception 'all the money of order % has been given back, or is on its way', o.number
      using errcode = 'SHREF', hint = 'Refunds under way count as given back.';
  elsif private.is_charged_back(o.payment_id) then
    raise exception 'the payment of order % is disputed, and Stripe refunds nothing of it', o.number
      using errcode = 'SHREF', hint = 'While it is open, accept_dispute() lets the customer have the money. '
        'Once it is won the payment can be refunded; once it is lost the customer has it from the bank.';
  elsif p_amount < 1 or p_amount > p_refundable then
    raise exception 'order % can be refunded by 1 to % (minor units of %), not %', o.number, p_refundable,
      o.currency, p_amount
      using errcode = 'SHREF', hint = 'Refunds under way count as given back. p_amount may be less than what '
        'the lines have cost.';
  end if;
end;
$$;
comment on function private.refuse_refund(public.orders, bigint, bigint) is
  'SHREF: nothing was paid, nothing is left, it is disputed, or less is left than is asked for.';

create function private.refuse_delivery_again(o public.orders) returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if exists (
    select 1
    from public.staff_commands c join public.refund_requests q on q.id = c.id::text
    left join public.refunds r on r.request_id = q.id
    left join private.refund_states s on s.id = r.id
    where c.order_id = o.id and c.command = 'request_refund' and c.args -> 'shipping' = 'true'
      and q.payment_id = o.payment_id and not private.refund_is_off(q) and s.has_bounced is not true
  ) then
    raise exception 'the delivery of order % has been given back, or is about to be', o.number
      using errcode = 'SHREF', hint = 'Leave p_shipping out; p_amount alone gives back more.';
  end if;
end;
$$;
comment on function private.refuse_delivery_again(public.orders) is
  'SHREF: what was paid for delivery was asked for once, by a refund that was made or is under way.';

create function private.run_request_refund(p_command_id uuid, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_lines constant jsonb := p_args -> 'lines';
  v_restock constant boolean := coalesce((p_args ->> 'restock')::boolean, false);
  v_refundable bigint := private.refundable_amount(o.payment_id);
  v_amount bigint := v_refundable;
  v_worth jsonb;
  v_full boolean;
begin
  if o.paid_at is null or v_refundable < 1 then
    perform private.refuse_refund(o, v_refundable, 0);
  end if;
  if v_lines is not null then
    select jsonb_agg(
      jsonb_build_object('sku', w.sku, 'quantity', w.quantity, 'amount', w.amount) order by w.sku collate "C"
    ), least(sum(w.amount), v_refundable) into v_worth, v_amount
    from private.worth_of_lines(o, v_lines) w;
  end if;
  if (p_args ->> 'shipping')::boolean then
    perform private.refuse_delivery_again(o);
    v_amount := least(
      o.amount_paid - private.share_of_goods(o) + case when v_lines is null then 0 else v_amount end,
      v_refundable
    );
  end if;
  if p_args ? 'amount' then
    v_amount := private.read_amount(p_args -> 'amount', o.currency, (p_args ->> 'confirm')::boolean);
  end if;
  perform private.refuse_refund(o, v_refundable, v_amount);
  v_full := v_amount = v_refundable;
  perform private.refuse_refund_amount(case when not v_full then v_amount end, o.currency);
  update public.orders set decided_payment_id = coalesce(decided_payment_id, payment_id) where id = o.id;
  perform private.ask_refund(
    p_command_id::text, o.id, o.payment_id, case when not v_full then v_amount end, 'requested',
    coalesce(p_args ->> 'reason', 'requested_by_customer'), v_lines is null and v_full and v_restock
  );
  if v_lines is not null then
    perform private.book_refund_lines(o, p_command_id::text, null, v_lines, v_restock);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'amount', v_amount, 'currency', o.currency, 'left', v_refundable - v_amount, 'lines', v_worth,
    'restock', case when v_restock and v_lines is null then v_full end,
    'notice', case when v_restock and v_lines is null and not v_full then
      'Nothing was put back on the shelf: an amount does not say which pieces. Name them with p_lines, or '
        || 'call receive_return() when they have come back.'
    end
  ));
end;
$$;
comment on function private.run_request_refund(uuid, jsonb) is
  'Carries out request_refund: queues one refund, and answers { amount, currency, left, lines: [{ sku, '
  'quantity, amount }] }. Asked for all that is left, it gives back the rest, whatever is refunded by hand '
  'meanwhile. SHREF: more than is left, or nothing is; a payment in dispute; pieces that were refunded; an '
  'amount that looks like major units.';

create function private.run_assign_refund(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders;
  r public.refunds;
begin
  select * into r from public.refunds x where x.id = p_args ->> 'refund_id';
  if r.order_id is null then
    raise exception 'there is no refund % of an order', p_args ->> 'refund_id' using errcode = 'SHREF';
  end if;
  o := private.lock_order(r.order_id);
  if r.request_id is not null or r.succeeded_at is null or r.failed_at is not null then
    raise exception 'refund % %', r.id, case
        when r.failed_at is not null then 'has failed: the shop has its money'
        when r.succeeded_at is null then 'has not succeeded'
        else 'was asked for here, and has its lines from there'
      end
      using errcode = 'SHREF', hint = 'Only a refund that was made in Stripe''s dashboard is assigned.';
  elsif r.payment_id is distinct from o.payment_id then
    raise exception 'refund % is of another payment than the one that order % keeps', r.id, o.number
      using errcode = 'SHREF', hint = 'What was paid twice is no piece of the order that comes back.';
  elsif exists (select 1 from public.refund_lines l where l.refund_id = r.id) then
    raise exception 'refund % has its lines already', r.id using errcode = 'SHREF';
  end if;
  perform private.worth_of_lines(o, p_args -> 'lines');
  update public.orders set decided_payment_id = coalesce(decided_payment_id, payment_id) where id = o.id;
  perform private.book_refund_lines(
    o, null, r.id, p_args -> 'lines', coalesce((p_args ->> 'restock')::boolean, false)
  );
  return jsonb_build_object('order_number', o.number, 'amount', r.amount);
end;
$$;
comment on function private.run_assign_refund(jsonb) is
  'Carries out assign_refund: says which pieces a refund of Stripe''s dashboard was about. SHREF: no such '
  'refund, one of our own or of another payment, one that failed, assigned already, or pieces that are '
  'refunded.';

create function public.request_refund(
  p_order_number text,
  p_amount numeric default null,
  p_reason text default null,
  p_restock boolean default false,
  p_lines jsonb default null,
  p_shipping boolean default false,
  p_confirm boolean default false,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'request_refund',
    jsonb_build_object(
      'order_number', p_order_number, 'amount', p_amount, 'reason', p_reason,
      'restock', coalesce(p_restock, false), 'lines', p_lines, 'shipping', nullif(p_shipping, false),
      'confirm', nullif(p_confirm, false)
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.request_refund(
  text, numeric, text, boolean, jsonb, boolean, boolean, boolean, uuid
) is
  'Refunds an order: pieces (p_lines [{"sku", "quantity", "restock"}], with their share of discount and tax; '
  'p_shipping: and what was paid for delivery), an amount in minor units (alone or beside lines), or all '
  'that is left. restock: the pieces go back on the shelf once the refund has succeeded; with p_restock and '
  'neither lines nor amount, all do. Less than one unit of the currency needs p_confirm. p_dry_run tells '
  'what would happen. Staff only.';
grant execute on function public.request_refund(
  text, numeric, text, boolean, jsonb, boolean, boolean, boolean, uuid
) to authenticated, service_role;

create function public.assign_refund(
  p_refund_id text,
  p_lines jsonb,
  p_restock boolean default false,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'assign_refund',
    jsonb_build_object('refund_id', p_refund_id, 'lines', p_lines, 'restock', coalesce(p_restock, false)),
    p_dry_run, p_command_id
  )
$$;
comment on function public.assign_refund(text, jsonb, boolean, boolean, uuid) is
  'Says which pieces a refund was about that was made in Stripe''s dashboard: p_lines [{"sku", "quantity", '
  '"restock"}]. Staff only.';
grant execute on function public.assign_refund(
  text, jsonb, boolean, boolean, uuid
) to authenticated, service_role;

-- What the staff commands about goods that come back do.

create function private.receivable(o public.orders)
returns table (order_item_id uuid, sku text, quantity integer, sent integer)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select p.order_item_id, p.sku,
    p.quantity - p.returned - case when o.status = 'refunded' then 0 else p.to_ship end,
    p.shipped - p.sent_back
  from private.line_positions(o.id) p;
end;
$$;
comment on function private.receivable(public.orders) is
  'Pieces of each line that can come back: all that were sent or are not to be sent, less those that have. '
  'sent: of them, those that left and stand in no return.';

create function private.open_receipt(p_order_id uuid, p_note text) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  r public.returns;
  v_rest uuid;
begin
  select * into r from public.returns x
  where x.order_id = p_order_id and x.status = 'requested' order by x.created_at, x.id limit 1;
  if found then
    -- It is this one that has come; what of it has not is awaited in another.
    insert into public.returns (order_id, reason, refund_request_id, created_at)
    values (r.order_id, r.reason, r.refund_request_id, r.created_at) returning id into v_rest;
    update public.return_lines set return_id = v_rest where return_id = r.id;
  else
    insert into public.returns (order_id) values (p_order_id) returning id into r.id;
  end if;
  update public.returns
  set status = 'received', received_at = clock_timestamp(), reason = coalesce(p_note, reason)
  where id = r.id;
  return r.id;
end;
$$;
comment on function private.open_receipt(uuid, text) is
  'The return that has come, without lines yet: the oldest announced one, or a new one.';

create function private.run_receive_return(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_lines jsonb := p_args -> 'lines';
  v_id uuid;
  x record;
  v_taken integer;
begin
  if o.restocked_at is not null then
    raise exception 'the goods of order % have come back already', o.number
      using errcode = 'SHINV', hint = 'close_return() ends a return that is still open.';
  end if;
  v_lines := coalesce(v_lines, (
    select jsonb_agg(jsonb_build_object('sku', c.sku, 'quantity', c.quantity))
    from private.receivable(o) c where c.quantity > 0
  ));
  if v_lines is null and private.has_shipped(o.id) then
    raise exception 'of order % all that was sent has come back already', o.number using errcode = 'SHINV';
  elsif v_lines is null then
    raise exception 'order % has not shipped (status %)', o.number, o.status
      using errcode = 'SHINV', hint = 'cancel_order() ends an order that has not left.';
  end if;
  v_id := private.open_receipt(o.id, p_args ->> 'note');
  for x in
    select l.order_item_id, l.sku, l.quantity, coalesce((l.line ->> 'restock')::boolean, true) as restock,
      c.quantity as possible, c.sent
    from private.parse_order_lines(o.id, v_lines, '{restock}') l
    join private.receivable(o) c on c.order_item_id = l.order_item_id
  loop
    if x.quantity > x.possible then
      raise exception 'of % only % can come back', x.sku, x.possible
        using errcode = 'SHINV', hint = 'What was not sent, or has come back, does not come back.';
    end if;
    v_taken := private.take_announced(v_id, x.order_item_id, x.quantity, x.restock, false);
    perform private.add_return_line(
      v_id, x.order_item_id, x.quantity - v_taken, greatest(0, x.quantity - v_taken - x.sent), x.restock
    );
  end loop;
  update public.orders set decided_payment_id = coalesce(decided_payment_id, payment_id) where id = o.id;
  return jsonb_strip_nulls(jsonb_build_object('return_id', v_id, 'lines', v_lines, 'notice', case
    when exists (select 1 from public.return_lines l where l.return_id = v_id and not l.restock) and exists (
      select 1 from public.inventory_reservations r where r.order_id = o.id and r.status = 'released'
    ) then 'All goods of this order went on the shelf when it was ended: adjust_inventory() takes what is '
      || 'damaged off it.'
  end));
end;
$$;
comment on function private.run_receive_return(jsonb) is
  'Carries out receive_return: pieces that are in the house again, announced or not, once each, whatever '
  'becomes of their money. Answers { return_id, lines, notice? }. SHINV: more than can '
  'come back.';

create function private.run_announce_return(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_id uuid;
  v_short text;
begin
  select string_agg(format('%s of %s', greatest(0, c.sent), c.sku), ', ' order by c.sku collate "C")
  into v_short
  from private.parse_order_lines(o.id, p_args -> 'lines', '{}') l
  join private.receivable(o) c on c.order_item_id = l.order_item_id
  where l.quantity > c.sent;
  if v_short is not null then
    raise exception 'there can be sent back: %', v_short
      using errcode = 'SHINV', hint = 'Only what was sent, and stands in no return yet.';
  end if;
  insert into public.returns (order_id, reason) values (o.id, p_args ->> 'reason') returning id into v_id;
  insert into public.return_lines (return_id, order_item_id, quantity, restock)
  select v_id, l.order_item_id, l.quantity, false
  from private.parse_order_lines(o.id, p_args -> 'lines', '{}') l;
  return jsonb_build_object('return_id', v_id);
end;
$$;
comment on function private.run_announce_return(jsonb) is
  'Carries out announce_return: pieces that the customer will send back. Answers { return_id }. SHINV: not '
  'sent, or in a return already.';

create function private.run_close_return(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  r public.returns;
  v_all_back boolean;
begin
  -- Orders are locked first everywhere.
  perform private.lock_order(x.order_id) from public.returns x where x.id::text = p_args ->> 'return_id';
  select * into r from public.returns x where x.id::text = p_args ->> 'return_id';
  v_all_back := (select o.restocked_at is not null from public.orders o where o.id = r.order_id);
  if r.id is null or r.status = 'closed' then
    raise exception 'there is no open return %', p_args ->> 'return_id' using errcode = 'SHINV';
  elsif private.waits_for_refund(r) then
    raise exception 'return % waits for its refund', r.id
      using errcode = 'SHINV', hint = 'It closes with the refund; one that failed lets it be closed.';
  elsif r.status = 'requested' and not v_all_back and exists (
    select 1
    from public.return_lines l join private.line_positions(r.order_id) p on p.order_item_id = l.order_item_id
    where l.return_id = r.id and l.unsent > 0
      and p.returned - p.exchanged + p.announced - p.exchanging - l.quantity < p.refunded
  ) then
    raise exception 'return % has pieces that were refunded and never sent', r.id
      using errcode = 'SHINV', hint = 'receive_return() takes them in, on the shelf or as damaged.';
  elsif r.status = 'requested' and not v_all_back and exists (
    select 1 from private.line_positions(r.order_id) p
    where p.to_ship < (
      select sum(l.quantity) from public.return_lines l
      where l.return_id = r.id and l.exchanged_for = p.order_item_id
    )
  ) then
    raise exception 'what goes out in exchange for return % has been sent, or refunded', r.id
      using errcode = 'SHINV', hint = 'receive_return() with "restock": false writes off what does not come.';
  end if;
  update public.returns set status = 'closed',
    -- All goods of the order are on the shelf again, and so are these: it moves none.
    received_at = case when v_all_back then coalesce(received_at, clock_timestamp()) else received_at end
  where id = r.id;
  return jsonb_build_object('order_number', (select o.number from public.orders o where o.id = r.order_id));
end;
$$;
comment on function private.run_close_return(jsonb) is
  'Carries out close_return: of one that was received no money is due; one that was announced will not come. '
  'Of an exchange, what was to be sent instead stays. SHINV: no such return, closed already, its refund is '
  'under way, it would send what was refunded, or what goes out in exchange has been sent.';

create function public.announce_return(
  p_order_number text,
  p_lines jsonb,
  p_reason text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'announce_return',
    jsonb_build_object('order_number', p_order_number, 'lines', p_lines, 'reason', p_reason),
    p_dry_run, p_command_id
  )
$$;
comment on function public.announce_return(text, jsonb, text, boolean, uuid) is
  'Notes what a customer will send back: p_lines [{"sku", "quantity"}]. Moves neither money nor stock. Staff '
  'only.';
grant execute on function public.announce_return(
  text, jsonb, text, boolean, uuid
) to authenticated, service_role;

create function public.receive_return(
  p_order_number text,
  p_lines jsonb default null,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'receive_return',
    jsonb_build_object('order_number', p_order_number, 'lines', p_lines, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.receive_return(text, jsonb, text, boolean, uuid) is
  'Pieces of an order are in the house again: p_lines [{"sku", "quantity", "restock"}], or all that can come '
  'back. They go on the shelf, with "restock": false (damaged) they do not. Moves no money. Staff only.';
grant execute on function public.receive_return(
  text, jsonb, text, boolean, uuid
) to authenticated, service_role;

create function public.close_return(
  p_return_id uuid,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'close_return',
    jsonb_build_object('return_id', p_return_id, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.close_return(uuid, text, boolean, uuid) is
  'Ends a return: of one that was received no money is due, one that was announced will not come (pieces of '
  'it that were not sent are to be sent again). Staff only.';
grant execute on function public.close_return(uuid, text, boolean, uuid) to authenticated, service_role;

-- A piece comes back and another goes out for it, at the same price: the money of the order stays as it is.
--
-- The new pieces are a line of the same order: the one that has the SKU, or a new one of quantity 0, since
-- nothing more was bought. They count to it as long as their return is announced or has come
-- (exchanged_pieces()), so an exchange that is closed gives them up by itself.

create function private.refuse_exchange(o public.orders) returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  v_held constant text[] := private.hold_reasons(o);
begin
  if o.status not in ('paid', 'partially_refunded') or cardinality(v_held) > 0 or o.restocked_at is not null
    or o.fulfillment_status not in ('unfulfilled', 'fulfilled') then
    raise exception 'of order % nothing can be exchanged (status %, fulfilment %)', o.number, o.status,
      o.fulfillment_status
      using errcode = 'SHINV', hint = case
        when cardinality(v_held) > 0 then format('Held by: %s.', array_to_string(v_held, ', '))
        else 'Only of an order that is paid and neither held, cancelled nor returned.'
      end;
  end if;
end;
$$;
comment on function private.refuse_exchange(public.orders) is
  'SHINV: an order whose pieces must not be exchanged, with what keeps them.';

create function private.exchange_price(o public.orders, i public.order_items, v public.product_variants)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(
    -- Bought together: the price that this customer had.
    (select x.unit_amount from public.order_items x where x.order_id = o.id and x.variant_id = v.id),
    -- Prices that have gone up together are still equal.
    (
      select i.unit_amount from public.product_variants w
      where w.id = i.variant_id and private.price_in(w, o.currency) = private.price_in(v, o.currency)
    ),
    private.price_in(v, o.currency)
  );
end;
$$;
comment on function private.exchange_price(public.orders, public.order_items, public.product_variants) is
  'What a variant costs in exchange for a piece of this line, in minor units of the order: its price in the '
  'same order, the piece''s own where both cost the same today, or today''s; null: sold in another currency.';

create function private.exchange_line(o public.orders, i public.order_items, p_for text) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v public.product_variants;
  v_name text;
  v_price bigint;
  v_id uuid;
begin
  select * into v from public.product_variants x where x.sku = p_for;
  if not found then
    raise exception 'unknown sku %', left(p_for, 64)
      using errcode = 'SHSKU', detail = jsonb_build_array(left(p_for, 64))::text;
  end if;
  v_price := private.exchange_price(o, i, v);
  if v_price is distinct from i.unit_amount then
    raise exception '% does not cost what % has cost: % and % (minor units of %)', v.sku, i.sku,
      coalesce(v_price::text, 'another currency'), i.unit_amount, o.currency
      using errcode = 'SHINV', hint = format(
        'An exchange is for the same price. Refund %s with request_refund(), and let the customer order %s.',
        i.sku, v.sku
      );
  end if;
  select private.variant_name(p.name, v.color, v.size) into v_name
  from public.products p where p.id = v.product_id;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
  values (o.id, v.id, v.sku, v_name, 0, i.unit_amount)
  on conflict on constraint order_items_order_variant_key do nothing;
  insert into public.inventory_reservations (order_id, variant_id, quantity, status, expires_at)
  values (o.id, v.id, 0, 'committed', now())
  on conflict on constraint inventory_reservations_order_variant_key do nothing;
  select x.id into v_id from public.order_items x where x.order_id = o.id and x.variant_id = v.id;
  return v_id;
end;
$$;
comment on function private.exchange_line(public.orders, public.order_items, text) is
  'The line of the order from which a SKU goes out in exchange for a piece of line i, made if need be. '
  'SHSKU: no such SKU; SHINV: at another price.';

create function private.announce_exchange(
  o public.orders,
  p_lines jsonb,
  p_reason text
) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  x record;
  i public.order_items;
  v_for uuid;
  v_awaited uuid;
  v_here uuid;
  v_sent integer;
begin
  for x in
    select l.order_item_id, l.sku, l.quantity, l.line ->> 'for' as wanted, p.shipped - p.sent_back as sent,
      least(p.shipped - p.sent_back + p.to_ship, p.paid - p.refunded) as possible
    from private.parse_order_lines(o.id, p_lines, '{for}') l
    join private.line_positions(o.id) p on p.order_item_id = l.order_item_id
  loop
    if x.wanted is null then
      raise exception 'for which SKU is % exchanged?', x.sku
        using errcode = 'SHINV', hint = '[{"sku": "SHIRT-M", "for": "SHIRT-L", "quantity": 1}]';
    elsif x.quantity > x.possible then
      raise exception 'of % only % can be exchanged', x.sku, greatest(0, x.possible)
        using errcode = 'SHINV', hint = 'Only what the customer has or waits for, and what was not refunded.';
    end if;
    select * into i from public.order_items y where y.id = x.order_item_id;
    v_for := private.exchange_line(o, i, x.wanted);
    v_sent := least(x.quantity, x.sent);
    if v_sent > 0 and v_awaited is null then
      insert into public.returns (order_id, reason) values (o.id, p_reason) returning id into v_awaited;
    end if;
    if v_sent < x.quantity and v_here is null then
      insert into public.returns (order_id, reason, status, received_at)
      values (o.id, p_reason, 'received', clock_timestamp()) returning id into v_here;
    end if;
    perform private.add_return_line(v_awaited, x.order_item_id, v_sent, 0, false, v_for);
    perform private.add_return_line(
      v_here, x.order_item_id, x.quantity - v_sent, x.quantity - v_sent, true, v_for
    );
  end loop;
  return v_awaited;
end;
$$;
comment on function private.announce_exchange(public.orders, jsonb, text) is
  'Writes the returns of an exchange: pieces that were sent are awaited, in the return that it answers; '
  'pieces that are still in the house have come back at once. SHINV: not to be exchanged; SHSKU.';

create function private.run_exchange_return(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_id uuid;
begin
  perform private.refuse_exchange(o);
  v_id := private.announce_exchange(o, p_args -> 'lines', p_args ->> 'reason');
  perform private.lock_stock_of_order(o.id);
  perform private.refuse_shortage(coalesce((
    select jsonb_agg(jsonb_build_object('variant_id', i.variant_id, 'sku', i.sku, 'quantity', e.pieces))
    from public.order_items i join public.inventory_reservations r
      on r.order_id = i.order_id and r.variant_id = i.variant_id
    cross join lateral (
      select i.quantity + (private.exchanged_pieces(i.id)).came - r.quantity as pieces
    ) e
    where i.order_id = o.id and e.pieces > 0
  ), '[]'));
  return jsonb_strip_nulls(jsonb_build_object('return_id', v_id, 'lines', p_args -> 'lines'));
end;
$$;
comment on function private.run_exchange_return(jsonb) is
  'Carries out exchange_return: settling takes the new pieces from the shelf, and they are to be sent. '
  'Answers { return_id? (awaited), lines }. SHINV: nothing to exchange, or at another price; SHSKU; SHSTK: '
  'sold out.';

create function public.exchange_return(
  p_order_number text,
  p_lines jsonb,
  p_reason text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'exchange_return',
    jsonb_build_object('order_number', p_order_number, 'lines', p_lines, 'reason', p_reason),
    p_dry_run, p_command_id
  )
$$;
comment on function public.exchange_return(text, jsonb, text, boolean, uuid) is
  'Exchanges pieces for others of the same price: p_lines [{"sku", "for", "quantity"}]. What was sent is '
  'awaited; the new piece is taken from the shelf and is a parcel more of the same order. Moves no money. '
  'close_return() calls it off as long as the new piece has not been sent. Staff only.';
grant execute on function public.exchange_return(
  text, jsonb, text, boolean, uuid
) to authenticated, service_role;

-- What the staff commands about parcels do.

create function private.parcel_data(p_shipment_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'parcel', s.parcel, 'carrier', s.carrier, 'tracking_number', s.tracking_number,
      'tracking_url', s.tracking_url,
      'items', (
        select jsonb_agg(
          jsonb_build_object('name', i.name, 'quantity', l.quantity) order by i.sku collate "C"
        )
        from public.shipment_lines l join public.order_items i on i.id = l.order_item_id
        where l.shipment_id = s.id
      ),
      -- Of an order that goes in one parcel nobody is told what is in it.
      'part', s.parcel > 1 or exists (
        select 1 from private.line_positions(s.order_id) p where p.to_ship > 0
      ),
      'more_to_come', exists (select 1 from private.line_positions(s.order_id) p where p.to_ship > 0)
    )
    from public.shipments s where s.id = p_shipment_id
  );
end;
$$;
comment on function private.parcel_data(uuid) is
  'What the mail about a parcel says: { parcel, carrier, tracking_number, tracking_url, items: [{ name, '
  'quantity }], part, more_to_come }.';

create function private.refuse_shipping(o public.orders) returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if o.fulfillment_status <> 'unfulfilled' or o.status not in ('paid', 'partially_refunded') then
    raise exception 'order % must not ship (status %, fulfilment %)', o.number, o.status, o.fulfillment_status
      using errcode = 'SHINV', hint = case
        when o.fulfillment_status = 'on_hold' then format(
          'Held by: %s. See reporting.orders_needing_attention.',
          array_to_string(private.hold_reasons(o), ', ')
        )
        when o.fulfillment_status = 'fulfilled' then 'All of it has been sent.'
        else 'Only an order that is paid and neither held, cancelled nor refunded is sent.'
      end;
  end if;
end;
$$;
comment on function private.refuse_shipping(public.orders) is
  'SHINV: an order that must not ship, with what keeps it.';

create function private.ship(
  p_order_id uuid,
  p_carrier text,
  p_tracking_number text,
  p_lines jsonb
) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid := gen_random_uuid();
  v_short text;
begin
  select string_agg(format('%s of %s', p.to_ship, p.sku), ', ' order by p.sku collate "C") into v_short
  from private.parse_order_lines(p_order_id, p_lines, '{}') x
  join private.line_positions(p_order_id) p on p.order_item_id = x.order_item_id
  where x.quantity > p.to_ship;
  if v_short is not null then
    raise exception 'there are still to be sent: %', v_short
      using errcode = 'SHINV', hint = 'What has been sent, refunded or returned is not sent again.';
  elsif exists (
    select 1 from public.shipments s where s.order_id = p_order_id and s.tracking_number = p_tracking_number
  ) then
    raise exception 'parcel % is noted already', p_tracking_number
      using errcode = 'SHINV', hint = 'correct_shipment() corrects a parcel.';
  end if;
  insert into public.shipments (id, order_id, parcel, carrier, tracking_number, tracking_url)
  select v_id, p_order_id, coalesce(max(s.parcel), 0) + 1, p_carrier, p_tracking_number,
    private.tracking_url(p_carrier, p_tracking_number)
  from public.shipments s where s.order_id = p_order_id;
  insert into public.shipment_lines (shipment_id, order_item_id, quantity)
  select v_id, p.order_item_id, coalesce(x.quantity, p.to_ship)
  from private.line_positions(p_order_id) p
  left join private.parse_order_lines(p_order_id, p_lines, '{}') x on x.order_item_id = p.order_item_id
  where case when p_lines is null then p.to_ship > 0 else x.quantity is not null end;
  return v_id;
end;
$$;
comment on function private.ship(uuid, text, text, jsonb) is
  'Notes a parcel with the lines, or with all that is still to be sent (p_lines null), and returns its id. '
  'SHINV: more than is still to be sent, or a tracking number that the order has already.';

create function private.correct_parcel(
  p_command_id uuid,
  s public.shipments,
  p_carrier text,
  p_tracking_number text
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_carrier text := coalesce(p_carrier, s.carrier);
  v_tracking text := coalesce(p_tracking_number, s.tracking_number);
begin
  if (v_carrier, v_tracking) is not distinct from (s.carrier, s.tracking_number) then
    raise exception 'parcel % has shipped already, with this carrier and number', s.parcel
      using errcode = 'SHINV', hint = 'To correct it, give another carrier or tracking number.';
  end if;
  update public.shipments
  set carrier = v_carrier, tracking_number = v_tracking,
    tracking_url = private.tracking_url(v_carrier, v_tracking)
  where id = s.id;
  -- A number that nobody has been told yet needs no correction: the mail that waits is not sent, this one
  -- is.
  perform private.queue_notification(
    s.order_id, 'order_shipped', 'corrected:' || p_command_id,
    private.parcel_data(s.id) || jsonb_build_object(
      'corrected', exists (
        select 1 from public.notifications n
        where n.order_id = s.order_id and n.template = 'order_shipped'
          and private.mail_arrived(n.status)
          and (n.data ->> 'parcel')::integer = s.parcel
      )
    )
  );
end;
$$;
comment on function private.correct_parcel(uuid, public.shipments, text, text) is
  'Gives a parcel another carrier or number (null: as it is) and queues the mail that says so. SHINV: '
  'nothing to correct.';

create function private.run_mark_fulfilled(p_command_id uuid, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  s public.shipments;
  v_id uuid;
begin
  if o.fulfilled_at is not null and not p_args ? 'lines' then
    if (select count(*) from public.shipments x where x.order_id = o.id) > 1 then
      raise exception 'order % has shipped in several parcels', o.number
        using errcode = 'SHINV', hint = 'correct_shipment() corrects one of them by its number.';
    end if;
    select * into s from public.shipments x where x.order_id = o.id;
    perform private.correct_parcel(p_command_id, s, p_args ->> 'carrier', p_args ->> 'tracking_number');
    return jsonb_build_object('parcel', s.parcel, 'corrected', true);
  end if;
  perform private.refuse_shipping(o);
  v_id := private.ship(o.id, p_args ->> 'carrier', p_args ->> 'tracking_number', p_args -> 'lines');
  select * into s from public.shipments x where x.id = v_id;
  perform private.settle_order(o.id, 'staff');
  -- The number goes with the mail: tried again, it must be the same mail.
  perform private.queue_notification(
    o.id, 'order_shipped', s.parcel::text, private.parcel_data(s.id)
  );
  return jsonb_build_object('parcel', s.parcel) || jsonb_build_object('to_ship', (
    select coalesce(jsonb_agg(jsonb_build_object('sku', p.sku, 'quantity', p.to_ship)), '[]')
    from private.line_positions(o.id) p where p.to_ship > 0
  ));
end;
$$;
comment on function private.run_mark_fulfilled(uuid, jsonb) is
  'Carries out mark_fulfilled: notes a parcel and queues its mail, and answers { parcel, to_ship }. Of an '
  'order that has shipped in one parcel it corrects that. SHINV: unpaid, held or cancelled; more than is '
  'still to be sent; nothing to correct.';

create function private.run_correct_shipment(p_command_id uuid, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  s public.shipments;
begin
  select * into s from public.shipments x
  where x.order_id = o.id and x.parcel = (p_args ->> 'parcel')::integer;
  if not found then
    raise exception 'order % has no parcel %', o.number, p_args ->> 'parcel' using errcode = 'SHINV';
  end if;
  perform private.correct_parcel(p_command_id, s, p_args ->> 'carrier', p_args ->> 'tracking_number');
  return jsonb_build_object('parcel', s.parcel, 'corrected', true);
end;
$$;
comment on function private.run_correct_shipment(uuid, jsonb) is
  'Carries out correct_shipment. SHINV: no such parcel, or nothing to correct.';

create function public.mark_fulfilled(
  p_order_number text,
  p_carrier text default null,
  p_tracking_number text default null,
  p_lines jsonb default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'mark_fulfilled',
    jsonb_build_object(
      'order_number', p_order_number, 'carrier', p_carrier, 'tracking_number', p_tracking_number,
      'lines', p_lines
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.mark_fulfilled(text, text, text, jsonb, boolean, uuid) is
  'Notes a parcel and mails the customer: p_lines [{"sku", "quantity"}], or all that is still to be sent. '
  'The order is fulfilled when nothing is left. Of an order that has shipped in one parcel it corrects '
  'carrier and tracking number, and mails the correction. Staff only.';
grant execute on function public.mark_fulfilled(
  text, text, text, jsonb, boolean, uuid
) to authenticated, service_role;

create function public.correct_shipment(
  p_order_number text,
  p_parcel integer,
  p_carrier text default null,
  p_tracking_number text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'correct_shipment',
    jsonb_build_object(
      'order_number', p_order_number, 'parcel', p_parcel, 'carrier', p_carrier,
      'tracking_number', p_tracking_number
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.correct_shipment(text, integer, text, text, boolean, uuid) is
  'Corrects carrier or tracking number of a parcel (numbered from 1 in each order) and mails the correction. '
  'Staff only.';
grant execute on function public.correct_shipment(
  text, integer, text, text, boolean, uuid
) to authenticated, service_role;

-- What the staff commands about stock do.

create function private.run_adjust_inventory(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_variant_id uuid;
  v_delta integer := (p_args ->> 'delta')::integer;
  v_on_hand integer;
begin
  select id into v_variant_id from public.product_variants where sku = p_args ->> 'sku';
  if not found then
    raise exception 'unknown sku %', p_args ->> 'sku'
      using errcode = 'SHSKU', detail = jsonb_build_array(p_args ->> 'sku')::text;
  elsif v_delta = 0 then
    raise exception 'delta must be a whole number other than 0' using errcode = 'SHINV';
  end if;
  perform private.name_stock_move('adjustment', null, p_args ->> 'reason');
  -- Not an upsert: a check constraint would judge the row that is only proposed, here a negative on_hand.
  update public.inventory_levels set on_hand = on_hand + v_delta
  where variant_id = v_variant_id and on_hand + v_delta >= reserved
  returning on_hand into v_on_hand;
  if not found then
    if v_delta < 0 or exists (select 1 from public.inventory_levels where variant_id = v_variant_id) then
      raise exception 'stock of % cannot go below what is reserved', p_args ->> 'sku'
        using errcode = 'SHSTK', hint = 'Open checkouts hold pieces; reporting.inventory_position has them.';
    end if;
    insert into public.inventory_levels (variant_id, on_hand) values (v_variant_id, v_delta)
    returning on_hand into v_on_hand;
  end if;
  perform private.name_stock_move(null);
  return jsonb_build_object('sku', p_args ->> 'sku', 'on_hand', v_on_hand);
end;
$$;
comment on function private.run_adjust_inventory(jsonb) is
  'Carries out adjust_inventory, and answers { sku, on_hand }; the journal row comes from the trigger. '
  'SHSKU, SHINV, SHSTK: would go below what open checkouts hold.';

create function private.sold_and_here(p_variant_id uuid) returns integer
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(p.here), 0)
    from public.inventory_reservations r join public.orders o on o.id = r.order_id
    cross join lateral private.line_positions(o.id) p
    where r.variant_id = p_variant_id and r.status = 'committed' and p.variant_id = p_variant_id
      and (o.fulfilled_at is null or exists (select 1 from public.returns x where x.order_id = o.id))
  );
end;
$$;
comment on function private.sold_and_here(uuid) is
  'Pieces of a variant that paid orders own and that have not left the house.';

create function private.parse_counts(p_counts jsonb) returns table (sku text, counted integer)
language plpgsql
immutable
set search_path = ''
as $$
declare
  c record;
begin
  for c in
    select x.value as line, x.ordinality as n from jsonb_array_elements(p_counts) with ordinality x
  loop
    if jsonb_typeof(c.line) <> 'object' or c.line - '{sku,counted}'::text[] <> '{}'
      or jsonb_typeof(c.line -> 'sku') is distinct from 'string'
      or coalesce(c.line ->> 'counted', '') !~ '^[0-9]{1,6}$' then
      raise exception 'line % must be a SKU and how many were counted, a whole number from 0 to 999999', c.n
        using errcode = 'SHINV', hint = '[{"sku": "SHIRT-OXF-WHT-M", "counted": 12}]';
    end if;
    sku := c.line ->> 'sku';
    counted := (c.line ->> 'counted')::integer;
    return next;
  end loop;
end;
$$;
comment on function private.parse_counts(jsonb) is
  'The lines of a stock count, [{ sku, counted }]. SHINV: a line is something else.';

create function private.parse_csv_counts(p_csv text) returns jsonb
language sql
immutable
set search_path = ''
as $$
  select coalesce(jsonb_agg(
    case
      when cardinality(l.cells) = 2 then jsonb_build_object('sku', l.cells[1], 'counted', l.cells[2])
      else to_jsonb(l.line)
    end order by l.n
  ), '[]')
  from (
    select x.line, row_number() over (order by x.n) as n, array(
      select btrim(c, ' "') from regexp_split_to_table(x.line, '[,;\t]') c
    ) as cells
    from regexp_split_to_table(p_csv, '\r?\n') with ordinality x (line, n)
    where btrim(x.line) <> ''
  ) l
  where l.n > 1 or lower(l.cells[1]) <> 'sku'
$$;
comment on function private.parse_csv_counts(text) is
  'The lines of a CSV file with SKU and figure (comma, semicolon or tab; with or without a heading that '
  'begins with sku), in the form of parse_counts().';

create function private.run_count_inventory(p_kind text, p_counts jsonb, p_note text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  c record;
  v_problem jsonb;
  v_changed jsonb := '[]';
  v_lines integer;
begin
  select count(*), jsonb_agg(distinct x.sku) filter (where v.id is null or x.times > 1)
  into v_lines, v_problem
  from (select p.sku, count(*) over (partition by p.sku) as times from private.parse_counts(p_counts) p) x
  left join public.product_variants v on v.sku = x.sku;
  if v_lines = 0 then
    raise exception 'there is no line to book' using errcode = 'SHINV';
  elsif v_problem is not null then
    raise exception 'nothing was booked; unknown, or listed twice: %', (
      select string_agg(s, ', ') from jsonb_array_elements_text(v_problem) s
    ) using errcode = 'SHSKU', detail = v_problem::text;
  end if;
  insert into public.inventory_levels (variant_id)
  select v.id from private.parse_counts(p_counts) x join public.product_variants v on v.sku = x.sku
  order by v.id
  on conflict (variant_id) do nothing;

  -- Locked first, read after: what a sale that was under way has taken must be seen whole.
  perform 1
  from public.inventory_levels l join public.product_variants v on v.id = l.variant_id
  where v.sku in (select x.sku from private.parse_counts(p_counts) x)
  order by l.variant_id
  for no key update of l;
  perform private.name_stock_move(p_kind, null, p_note);
  for c in
    select x.sku, x.counted, l.variant_id, l.on_hand, l.reserved, private.sold_and_here(l.variant_id) as sold
    from private.parse_counts(p_counts) x
    join public.product_variants v on v.sku = x.sku
    join public.inventory_levels l on l.variant_id = v.id
    order by x.sku
  loop
    if c.counted < c.sold + c.reserved then
      raise exception 'of % there must be % at least: % are sold and not sent, % are held by open checkouts',
        c.sku, c.sold + c.reserved, c.sold, c.reserved
        using errcode = 'SHSTK', hint = 'Count again; if pieces are lost, cancel or refund an order first.';
    elsif c.counted <> c.on_hand + c.sold then
      update public.inventory_levels set on_hand = c.counted - c.sold where variant_id = c.variant_id;
      v_changed := v_changed || jsonb_build_object(
        'sku', c.sku, 'was', c.on_hand + c.sold, 'counted', c.counted
      );
    end if;
  end loop;
  perform private.name_stock_move(null);
  return jsonb_build_object('lines', v_lines, 'changed', v_changed);
end;
$$;
comment on function private.run_count_inventory(text, jsonb, text) is
  'Carries out count_inventory and import_inventory: sets the stock to what was counted in the house, sold '
  'pieces that have not been sent included. All lines or none. Answers { lines, changed: [{ sku, was, '
  'counted }] }. SHSKU: unknown or listed twice; SHINV: not a count; SHSTK: less than orders and checkouts '
  'hold.';

create function public.adjust_inventory(
  p_sku text,
  p_delta integer,
  p_reason text,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'adjust_inventory',
    jsonb_build_object('sku', p_sku, 'delta', p_delta, 'reason', p_reason),
    p_dry_run, p_command_id
  )
$$;
comment on function public.adjust_inventory(text, integer, text, boolean, uuid) is
  'Goods received (p_delta > 0) or lost (p_delta < 0). Staff only.';
grant execute on function public.adjust_inventory(
  text, integer, text, boolean, uuid
) to authenticated, service_role;

create function public.count_inventory(
  p_counts jsonb,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'count_inventory',
    jsonb_build_object('counts', p_counts, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.count_inventory(jsonb, text, boolean, uuid) is
  'Sets the stock to what was counted: p_counts [{"sku", "counted"}], all pieces in the house, those sold '
  'and not sent included. All lines or none; counting again changes nothing. Staff only.';
grant execute on function public.count_inventory(jsonb, text, boolean, uuid) to authenticated, service_role;

create function public.import_inventory(
  p_csv text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'import_inventory',
    jsonb_build_object('csv', p_csv, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.import_inventory(text, text, boolean, uuid) is
  'As count_inventory(), from a CSV file: SKU and pieces in the house, with or without a heading that begins '
  'with sku. Staff only.';
grant execute on function public.import_inventory(text, text, boolean, uuid) to authenticated, service_role;

-- What the staff commands about products and prices do.

create function private.read_price(p_args jsonb, p_currency text) returns bigint
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_problem text := private.amount_problem(0, p_currency);
  v_amount bigint;
begin
  if v_problem is null then
    v_amount := private.read_amount(p_args -> 'price_amount', p_currency, (p_args ->> 'confirm')::boolean);
    v_problem := private.amount_problem(v_amount, p_currency);
  end if;
  if v_problem is not null then
    raise exception 'price_amount %', v_problem using errcode = 'SHINV';
  end if;
  return v_amount;
end;
$$;
comment on function private.read_price(jsonb, text) is
  'The price that a command names, in minor units. SHINV, SHREF: see read_amount(), or one that Stripe '
  'refuses.';

create function private.run_add_product(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid;
begin
  if p_args ->> 'slug' !~ '^[a-z0-9]+(-[a-z0-9]+)*$' then
    raise exception 'slug must be lower case words and figures with hyphens, e.g. oxford-shirt'
      using errcode = 'SHINV';
  end if;
  insert into public.products (slug, name, description, image_url, active)
  values (
    p_args ->> 'slug', p_args ->> 'name', p_args ->> 'description', p_args ->> 'image_url',
    coalesce((p_args ->> 'active')::boolean, true)
  )
  on conflict (slug) do nothing
  returning id into v_id;
  if v_id is null then
    raise exception 'product % exists already', p_args ->> 'slug'
      using errcode = 'SHINV', hint = 'Its sizes and colours come with add_variant().';
  end if;
  return jsonb_build_object('product_id', v_id);
end;
$$;
comment on function private.run_add_product(jsonb) is
  'Carries out add_product, and answers { product_id }. SHINV: the slug is taken, or not one.';

create function private.run_add_variant(p_args jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_product_id uuid;
  v_variant_id uuid;
  v_currency constant text := lower(p_args ->> 'currency');
  v_price_amount constant bigint := private.read_price(p_args, v_currency);
  v_on_hand constant integer := coalesce((p_args ->> 'on_hand')::integer, 0);
begin
  select id into v_product_id from public.products where slug = p_args ->> 'product_slug';
  if not found then
    raise exception 'there is no product %', p_args ->> 'product_slug'
      using errcode = 'SHINV', hint = 'add_product() makes one.';
  elsif v_on_hand < 0 then
    raise exception 'on_hand must not be negative' using errcode = 'SHINV';
  elsif exists (select 1 from public.product_variants where sku = p_args ->> 'sku') then
    raise exception 'sku % exists already', p_args ->> 'sku' using errcode = 'SHINV';
  end if;
  insert into public.product_variants (product_id, sku, size, color, price_amount, currency)
  values (v_product_id, p_args ->> 'sku', p_args ->> 'size', p_args ->> 'color', v_price_amount, v_currency)
  returning id into v_variant_id;
  insert into public.inventory_levels (variant_id, on_hand) values (v_variant_id, v_on_hand);
end;
$$;
comment on function private.run_add_variant(jsonb) is
  'Carries out add_variant: the variant and its stock row. SHINV: no such product, the SKU exists, or a '
  'price that Stripe refuses; SHREF: a price that looks like major units.';

create function private.run_set_price(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v public.product_variants;
  v_currency text;
  v_was bigint;
  v_amount bigint;
begin
  select * into v from public.product_variants x where x.sku = p_args ->> 'sku' for no key update;
  if not found then
    raise exception 'unknown sku %', p_args ->> 'sku'
      using errcode = 'SHSKU', detail = jsonb_build_array(p_args ->> 'sku')::text;
  end if;
  v_currency := coalesce(lower(p_args ->> 'currency'), v.currency);
  v_was := private.price_in(v, v_currency);
  v_amount := private.read_price(p_args, v_currency);
  if v_currency = v.currency then
    update public.product_variants set price_amount = v_amount where id = v.id and price_amount <> v_amount;
  else
    insert into public.variant_prices (variant_id, currency, price_amount) values (v.id, v_currency, v_amount)
    on conflict (variant_id, currency) do update set price_amount = excluded.price_amount;
  end if;
  return jsonb_build_object('sku', v.sku, 'currency', v_currency, 'was', v_was, 'price_amount', v_amount);
end;
$$;
comment on function private.run_set_price(jsonb) is
  'Carries out set_price, and answers { sku, currency, was, price_amount } (was null: it had no price in '
  'this currency); orders that exist keep their price. SHSKU; SHINV: a price that Stripe refuses; SHREF: '
  'one that looks like major units.';

create function public.add_product(
  p_slug text,
  p_name text,
  p_description text default null,
  p_image_url text default null,
  p_active boolean default true,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'add_product',
    jsonb_build_object(
      'slug', p_slug, 'name', p_name, 'description', p_description, 'image_url', p_image_url,
      'active', p_active
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.add_product(text, text, text, text, boolean, boolean, uuid) is
  'Adds a product; its sizes and colours come with add_variant(). Staff only.';
grant execute on function public.add_product(
  text, text, text, text, boolean, boolean, uuid
) to authenticated, service_role;

create function public.add_variant(
  p_product_slug text,
  p_sku text,
  p_price_amount numeric,
  p_currency text,
  p_size text default null,
  p_color text default null,
  p_on_hand integer default 0,
  p_confirm boolean default false,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'add_variant',
    jsonb_build_object(
      'product_slug', p_product_slug, 'sku', p_sku, 'price_amount', p_price_amount, 'currency', p_currency,
      'size', p_size, 'color', p_color, 'on_hand', p_on_hand, 'confirm', nullif(p_confirm, false)
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.add_variant(
  text, text, numeric, text, text, text, integer, boolean, boolean, uuid
) is
  'Puts a size and colour of a product on sale, with its stock. p_price_amount in Stripe''s minor units; a '
  'price that Stripe refuses is refused, one below one unit of the currency needs p_confirm. Staff only.';
grant execute on function public.add_variant(
  text, text, numeric, text, text, text, integer, boolean, boolean, uuid
) to authenticated, service_role;

create function public.set_price(
  p_sku text,
  p_price_amount numeric,
  p_confirm boolean default false,
  p_currency text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'set_price',
    jsonb_build_object(
      'sku', p_sku, 'price_amount', p_price_amount, 'confirm', nullif(p_confirm, false),
      'currency', p_currency
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.set_price(text, numeric, boolean, text, boolean, uuid) is
  'Gives a SKU another price, in minor units of its currency, or of p_currency: a price in a further '
  'currency. For checkouts from now on. Less than one unit of the currency needs p_confirm. Staff only.';
grant execute on function public.set_price(
  text, numeric, boolean, text, boolean, uuid
) to authenticated, service_role;

-- What the staff commands about disputes do.

create function private.dispute_to_answer(p_dispute_id text) returns public.disputes
language plpgsql
set search_path = ''
as $$
declare
  d public.disputes;
begin
  perform private.lock_order(i.order_id) from public.disputes i
  where i.id = p_dispute_id and i.order_id is not null;
  select * into d from public.disputes i where i.id = p_dispute_id for no key update;
  if not found then
    raise exception 'there is no dispute %', p_dispute_id using errcode = 'SHINV';
  elsif not private.awaits_evidence(d) then
    raise exception 'dispute % does not wait for an answer (status %)', d.id, d.status
      using errcode = 'SHINV';
  elsif exists (
    select 1 from private.jobs j
    join public.dispute_decisions x on x.dispute_id = d.id and x.round = d.status and x.decision <> 'leave'
    where j.dedupe_key = 'answer_dispute:' || d.id || ':' || d.status and j.status = 'running'
  ) then
    raise exception 'dispute % is being answered at this moment', d.id
      using errcode = 'SHINV', hint = 'dispute_decisions says what was decided. Look again in a minute.';
  end if;
  return d;
end;
$$;
comment on function private.dispute_to_answer(text) is
  'A dispute that staff want to answer, locked after its order. SHINV: there is none, it does not wait for '
  'an answer, or is being answered by itself right now.';

create function private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d constant public.disputes := private.dispute_to_answer(p_args ->> 'dispute_id');
begin
  if private.dispute_answer_on_its_way(d.id) then
    raise exception 'evidence for dispute % is on its way already', d.id
      using errcode = 'SHINV', hint = 'Stripe takes evidence once; what was submitted cannot be changed.';
  end if;
  perform private.enqueue_job(
    'submit_dispute_evidence', 'submit_dispute_evidence:' || p_command_id,
    jsonb_build_object(
      'dispute_id', d.id, 'note', p_args ->> 'note', 'submit', true,
      'acknowledge_fee', coalesce((p_args -> 'acknowledge_fee')::boolean, false)
    ), now(), 20
  );
  return d.order_id;
end;
$$;
comment on function private.run_submit_dispute_evidence(uuid, jsonb) is
  'Carries out submit_dispute_evidence: queues the submission. SHINV: no such dispute, it does not wait for '
  'a response, or an answer is on its way.';

create function private.run_accept_dispute(p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d constant public.disputes := private.dispute_to_answer(p_args ->> 'dispute_id');
  v_key constant text := 'close_dispute:' || d.id || ':' || d.status;
begin
  if exists (
    select 1 from private.jobs j
    where j.kind = 'submit_dispute_evidence' and j.status in ('queued', 'running')
      and j.payload ->> 'dispute_id' = d.id and j.payload -> 'submit' = 'true'
  ) then
    raise exception 'evidence for dispute % is on its way', d.id using errcode = 'SHINV';
  end if;
  -- Once for each round: asked again, the job that is there does it, also one that had been given up.
  if not private.enqueue_job(
    'close_dispute', v_key, jsonb_build_object('dispute_id', d.id, 'round', d.status), now(), 20
  ) then
    perform private.requeue_job(j.id) from private.jobs j where j.dedupe_key = v_key;
  end if;
  return d.order_id;
end;
$$;
comment on function private.run_accept_dispute(jsonb) is
  'Carries out accept_dispute: queues the job that closes it at Stripe, once in each round. SHINV: no such '
  'dispute, it does not wait for an answer, or evidence is on its way.';

create function private.run_leave_dispute(p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d constant public.disputes := private.dispute_to_answer(p_args ->> 'dispute_id');
begin
  if private.dispute_answer_on_its_way(d.id) then
    raise exception 'an answer to dispute % is on its way', d.id using errcode = 'SHINV';
  end if;
  insert into public.dispute_decisions (dispute_id, round, decision, reason, submissions)
  values (d.id, d.status, 'leave', 'staff', d.evidence_submission_count)
  on conflict on constraint dispute_decisions_pkey do update
    set decision = 'leave', reason = 'staff', created_at = now();
  return d.order_id;
end;
$$;
comment on function private.run_leave_dispute(jsonb) is
  'Carries out leave_dispute: this round of the dispute is not answered by itself. SHINV: no such dispute, '
  'it does not wait for an answer, is being answered right now, or staff have answered it.';

create function public.submit_dispute_evidence(
  p_dispute_id text,
  p_note text default null,
  p_acknowledge_fee boolean default false,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'submit_dispute_evidence',
    jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note)
      || case when p_acknowledge_fee then '{"acknowledge_fee": true}'::jsonb else '{}' end,
    p_dry_run, p_command_id
  )
$$;
comment on function public.submit_dispute_evidence(text, text, boolean, boolean, uuid) is
  'Sends the evidence assembled from the order, and the note, to the bank. Final: Stripe takes evidence '
  'once. p_acknowledge_fee: a compliance dispute costs 500 USD unless it is won, and is not fought without. '
  'Staff only.';
grant execute on function public.submit_dispute_evidence(
  text, text, boolean, boolean, uuid
) to authenticated, service_role;

create function public.accept_dispute(
  p_dispute_id text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'accept_dispute',
    jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.accept_dispute(text, text, boolean, uuid) is
  'Gives up a dispute: a job closes it at Stripe, and the bank keeps the money. Final. Staff only.';
grant execute on function public.accept_dispute(text, text, boolean, uuid) to authenticated, service_role;

create function public.leave_dispute(
  p_dispute_id text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'leave_dispute',
    jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.leave_dispute(text, text, boolean, uuid) is
  'Nothing answers this round of a dispute by itself: staff do, in time, or nobody does. Staff only.';
grant execute on function public.leave_dispute(text, text, boolean, uuid) to authenticated, service_role;

-- What the staff commands about alerts do.

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

create function public.acknowledge_alert(
  p_alert_id uuid,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'acknowledge_alert',
    jsonb_build_object('alert_id', p_alert_id),
    p_dry_run, p_command_id
  )
$$;
comment on function public.acknowledge_alert(uuid, boolean, uuid) is
  'Somebody looks at an alert. Staff only.';
grant execute on function public.acknowledge_alert(uuid, boolean, uuid) to authenticated, service_role;

create function public.resolve_alert(
  p_alert_id uuid,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'resolve_alert',
    jsonb_build_object('alert_id', p_alert_id, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.resolve_alert(uuid, text, boolean, uuid) is
  'Nothing is left to do about an alert. Happening again, it opens again. Staff only.';
grant execute on function public.resolve_alert(uuid, text, boolean, uuid) to authenticated, service_role;

create function private.quiet_hours_text(p_from time, p_until time) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(to_char(p_from, 'HH24:MI') || '-' || to_char(p_until, 'HH24:MI'), 'none');
end;
$$;
comment on function private.quiet_hours_text(time, time) is
  'Quiet hours as staff write them: 22:00-07:00, or none.';

create function private.rule_in_short(r private.alert_rules) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'threshold', r.threshold, 'unit', r.unit, 'minimum', r.minimum, 'window_seconds', r.window_seconds,
    'severity', r.severity, 'enabled', r.enabled,
    'quiet_hours', private.quiet_hours_text(r.quiet_from, r.quiet_until)
  );
end;
$$;
comment on function private.rule_in_short(private.alert_rules) is
  'An alert rule as set_alert_rule() answers it.';

create function private.read_quiet_hours(p_text text, out o_from time, out o_until time)
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_text = 'none' then
    return;
  elsif p_text !~ '^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$' then
    raise exception 'quiet_hours must be like 22:00-07:00, or none' using errcode = 'SHINV';
  end if;
  o_from := split_part(p_text, '-', 1)::time;
  o_until := split_part(p_text, '-', 2)::time;
end;
$$;
comment on function private.read_quiet_hours(text) is
  'Quiet hours from HH:MM-HH:MM; both null: none. SHINV: written otherwise.';

create function private.run_set_alert_rule(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_was private.alert_rules;
  v_is private.alert_rules;
  v_quiet record;
  v_constraint text;
begin
  select * into v_was from private.alert_rules r where r.kind = p_args ->> 'kind' for no key update;
  if not found then
    raise exception 'there is no alert rule %; there are: %', p_args ->> 'kind',
      (select string_agg(r.kind, ', ' order by r.kind) from private.alert_rules r)
      using errcode = 'SHINV';
  elsif v_was.window_seconds is null and p_args ? 'window_seconds' then
    raise exception '% looks at what is now: it has no window', v_was.kind using errcode = 'SHINV';
  end if;
  v_quiet := private.read_quiet_hours(
    coalesce(p_args ->> 'quiet_hours', private.quiet_hours_text(v_was.quiet_from, v_was.quiet_until))
  );
  begin
    update private.alert_rules r set
      threshold = coalesce((p_args ->> 'threshold')::numeric, r.threshold),
      minimum = coalesce((p_args ->> 'minimum')::integer, r.minimum),
      window_seconds = coalesce((p_args ->> 'window_seconds')::integer, r.window_seconds),
      severity = coalesce(p_args ->> 'severity', r.severity),
      enabled = coalesce((p_args ->> 'enabled')::boolean, r.enabled),
      quiet_from = v_quiet.o_from, quiet_until = v_quiet.o_until, updated_at = now()
    where r.kind = v_was.kind
    returning * into v_is;
  exception when check_violation then
    get stacked diagnostics v_constraint = constraint_name;
    raise exception '%: %', v_was.kind, (
      select obj_description(c.oid, 'pg_constraint') from pg_catalog.pg_constraint c
      where c.conrelid = 'private.alert_rules'::regclass and c.conname = v_constraint
    ) using errcode = 'SHINV';
  end;
  return jsonb_build_object(
    'kind', v_was.kind, 'was', private.rule_in_short(v_was), 'is', private.rule_in_short(v_is)
  );
end;
$$;
comment on function private.run_set_alert_rule(jsonb) is
  'Carries out set_alert_rule: what is not given stays. Answers { kind, was, is }. SHINV: no such rule, or a '
  'value that does not fit it.';

create function public.set_alert_rule(
  p_kind text,
  p_threshold numeric default null,
  p_minimum integer default null,
  p_window_seconds integer default null,
  p_severity text default null,
  p_enabled boolean default null,
  p_quiet_hours text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'set_alert_rule',
    jsonb_build_object(
      'kind', p_kind, 'threshold', p_threshold, 'minimum', p_minimum, 'window_seconds', p_window_seconds,
      'severity', p_severity, 'enabled', p_enabled, 'quiet_hours', p_quiet_hours
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.set_alert_rule(
  text, numeric, integer, integer, text, boolean, text, boolean, uuid
) is
  'Changes an alert rule of private.alert_rules; what is left out stays. p_quiet_hours: 22:00-07:00 in the '
  'shop''s time zone, or none. Staff only.';
grant execute on function public.set_alert_rule(
  text, numeric, integer, integer, text, boolean, text, boolean, uuid
) to authenticated, service_role;

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

-- What staff call when something did not run; private.redrive_event() and redrive_job() do it.

create function public.redrive_webhook_event(
  p_event_id text,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'redrive_webhook_event',
    jsonb_build_object('event_id', p_event_id),
    p_dry_run, p_command_id
  )
$$;
comment on function public.redrive_webhook_event(text, boolean, uuid) is
  'Queues a webhook event again, whatever became of it: it is translated anew and its facts merged. Staff '
  'only.';
grant execute on function public.redrive_webhook_event(text, boolean, uuid) to authenticated, service_role;

create function public.redrive_job(
  p_job_id bigint,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'redrive_job',
    jsonb_build_object('job_id', p_job_id),
    p_dry_run, p_command_id
  )
$$;
comment on function public.redrive_job(bigint, boolean, uuid) is
  'Queues a job again that was given up. Staff only.';
grant execute on function public.redrive_job(bigint, boolean, uuid) to authenticated, service_role;
