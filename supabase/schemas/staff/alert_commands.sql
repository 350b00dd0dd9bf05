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
