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
