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
