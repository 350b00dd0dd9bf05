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
