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
