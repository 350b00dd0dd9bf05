-- What the staff commands about money and goods that go back do.

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
begin
  select string_agg(format('%s of %s', p.quantity - p.refunded, p.sku), ', ' order by p.sku collate "C")
  into v_short
  from private.parse_order_lines(o.id, p_lines, '{restock}') x
  join private.line_positions(o.id) p on p.order_item_id = x.order_item_id
  where x.quantity > p.quantity - p.refunded;
  if v_short is not null then
    raise exception 'there is money left to give back for: %', v_short
      using errcode = 'SHREF', hint = 'Pieces that were refunded, or are about to be, are not again.';
  end if;
  return query
  select x.order_item_id, x.sku, x.quantity,
    private.share_of_pieces(o, x.order_item_id, p.refunded + x.quantity)
      - private.share_of_pieces(o, x.order_item_id, p.refunded)
  from private.parse_order_lines(o.id, p_lines, '{restock}') x
  join private.line_positions(o.id) p on p.order_item_id = x.order_item_id;
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
      greatest(0, p.returned - p.refunded) as here,
      greatest(0, p.returned + p.announced - p.refunded) as coming
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
immutable
set search_path = ''
as $$
begin
  if o.paid_at is null or o.amount_paid = 0 then
    raise exception 'order % has no money to give back (status %)', o.number, o.status
      using errcode = 'SHREF', hint = 'An order that is not paid is ended by cancel_order().';
  elsif p_refundable < 1 then
    raise exception 'all the money of order % has been given back, or is on its way', o.number
      using errcode = 'SHREF', hint = 'Refunds under way count as given back.';
  elsif p_amount < 1 or p_amount > p_refundable then
    raise exception 'order % can be refunded by 1 to % (minor units of %), not %', o.number, p_refundable,
      o.currency, p_amount
      using errcode = 'SHREF', hint = 'Refunds under way count as given back. p_amount may be less than what '
        'the lines have cost.';
  end if;
end;
$$;
comment on function private.refuse_refund(public.orders, bigint, bigint) is
  'SHREF: nothing was paid, nothing is left, or less is left than is asked for.';

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
    ), sum(w.amount) into v_worth, v_amount
    from private.worth_of_lines(o, v_lines) w;
  end if;
  if (p_args ->> 'shipping')::boolean then
    v_amount := o.amount_paid - private.share_of_goods(o) + case when v_lines is null then 0
      else v_amount end;
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
  'meanwhile. SHREF: more than is left, or nothing is; pieces that were refunded; an amount that looks like '
  'major units.';

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
  if r.request_id is not null or r.succeeded_at is null then
    raise exception 'refund % %', r.id, case when r.succeeded_at is null then 'has not succeeded'
      else 'was asked for here, and has its lines from there' end
      using errcode = 'SHREF', hint = 'Only a refund that was made in Stripe''s dashboard is assigned.';
  elsif exists (select 1 from public.refund_lines l where l.refund_id = r.id) then
    raise exception 'refund % has its lines already', r.id using errcode = 'SHREF';
  end if;
  perform private.worth_of_lines(o, p_args -> 'lines');
  perform private.book_refund_lines(
    o, null, r.id, p_args -> 'lines', coalesce((p_args ->> 'restock')::boolean, false)
  );
  return jsonb_build_object('order_number', o.number, 'amount', r.amount);
end;
$$;
comment on function private.run_assign_refund(jsonb) is
  'Carries out assign_refund: says which pieces a refund of Stripe''s dashboard was about. SHREF: no such '
  'refund, one of our own, assigned already, or pieces that are refunded.';

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
    raise exception 'the goods of order % have come back already', o.number using errcode = 'SHINV';
  end if;
  v_lines := coalesce(v_lines, (
    select jsonb_agg(jsonb_build_object('sku', c.sku, 'quantity', c.quantity))
    from private.receivable(o) c where c.quantity > 0
  ));
  if v_lines is null then
    raise exception 'order % has not shipped (status %); cancel it instead', o.number, o.status
      using errcode = 'SHINV', hint = 'Of an order that has shipped, what was sent has come back.';
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
  return jsonb_build_object('return_id', v_id, 'lines', v_lines);
end;
$$;
comment on function private.run_receive_return(jsonb) is
  'Carries out receive_return: pieces that are in the house again, announced or not, once each, whatever '
  'becomes of their money. Answers { return_id, lines }. SHINV: more than can come back.';

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
begin
  -- Orders are locked first everywhere.
  perform private.lock_order(x.order_id) from public.returns x where x.id::text = p_args ->> 'return_id';
  select * into r from public.returns x where x.id::text = p_args ->> 'return_id';
  if r.id is null or r.status = 'closed' then
    raise exception 'there is no open return %', p_args ->> 'return_id' using errcode = 'SHINV';
  elsif r.status = 'requested' and exists (
    select 1 from public.refund_requests q where q.id = r.refund_request_id and q.status <> 'given_up'
  ) then
    raise exception 'return % waits for its refund', r.id
      using errcode = 'SHINV', hint = 'It closes with the refund, or when the refund is given up.';
  elsif r.status = 'requested' and exists (
    select 1
    from public.return_lines l join private.line_positions(r.order_id) p on p.order_item_id = l.order_item_id
    where l.return_id = r.id and l.unsent > 0 and p.returned + p.announced - l.quantity < p.refunded
  ) then
    raise exception 'return % has pieces that were refunded and never sent', r.id
      using errcode = 'SHINV', hint = 'receive_return() takes them in, on the shelf or as damaged.';
  end if;
  update public.returns set status = 'closed' where id = r.id;
  return jsonb_build_object('order_number', (select o.number from public.orders o where o.id = r.order_id));
end;
$$;
comment on function private.run_close_return(jsonb) is
  'Carries out close_return: of one that was received no money is due; one that was announced will not come. '
  'SHINV: no such return, closed already, its refund is under way, or it would send what was refunded.';
