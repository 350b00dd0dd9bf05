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
