-- What has come back of an order, booked once.

create function private.refund_has_come_true(p_request_id text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.refunds r where r.request_id = p_request_id and r.succeeded_at is not null
  ) or exists (
    -- Somebody had given back all of it by hand before the job ran.
    select 1 from public.refund_requests q join private.settled_payments p on p.id = q.payment_id
    where q.id = p_request_id and q.status = 'not_needed' and p.amount_received <= (
      select coalesce(sum(r.amount), 0) from public.refunds r
      where r.payment_id = q.payment_id and r.succeeded_at is not null
    )
  );
end;
$$;
comment on function private.refund_has_come_true(text) is
  'Whether the money of a refund request has left. Once true it stays so: a refund that bounces afterwards '
  'moves no goods.';

create function private.all_returned(p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.returns r where r.order_id = p_order_id)
    and not exists (select 1 from private.line_positions(p_order_id) p where p.returned < p.quantity);
end;
$$;
comment on function private.all_returned(uuid) is 'Whether every piece of an order has come back.';

create function private.is_withdrawn(p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.returns r where r.order_id = p_order_id)
    and not private.has_shipped(p_order_id)
    and not exists (select 1 from private.line_positions(p_order_id) p where p.to_ship > 0);
end;
$$;
comment on function private.is_withdrawn(uuid) is
  'Whether refunds have taken every piece out of an order before any left.';

create function private.settle_returns(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  update public.returns r set received_at = clock_timestamp(), status = 'closed'
  where r.order_id = o.id and r.status = 'requested' and private.refund_has_come_true(r.refund_request_id);

  v_ids := array(
    select r.id from public.returns r
    where r.order_id = o.id and r.received_at is not null and r.stocked_at is null
  );
  if cardinality(v_ids) > 0 then
    perform private.lock_stock_of_order(o.id);
  end if;
  perform private.name_stock_move('return', o.id, null, p_source);
  with back as (
    select i.variant_id, sum(x.quantity) as pieces, sum(x.quantity) filter (where x.restock) as good
    from public.return_lines x join public.order_items i on i.id = x.order_item_id
    where x.return_id = any (v_ids) group by i.variant_id
  ), moved as (
    -- Of an order whose goods have all gone back, these have too.
    update public.inventory_levels l
    set committed = l.committed - b.pieces, on_hand = l.on_hand + coalesce(b.good, 0)
    from back b join public.inventory_reservations r
      on r.variant_id = b.variant_id and r.order_id = o.id and r.status = 'committed'
    where l.variant_id = b.variant_id
  )
  update public.inventory_reservations r set returned = r.returned + b.pieces, updated_at = now()
  from back b where r.order_id = o.id and r.variant_id = b.variant_id;
  perform private.name_stock_move(null);
  update public.returns r set stocked_at = clock_timestamp() where r.id = any (v_ids);

  update public.returns r set status = 'closed'
  where r.order_id = o.id and r.status = 'received' and not exists (
    select 1 from private.line_positions(o.id) p cross join lateral private.refunded_pieces(p.order_item_id) f
    where p.returned - p.exchanged > f.made
  );
end;
$$;
comment on function private.settle_returns(public.orders, text) is
  'Books the pieces of each return once: what waited for its refund when that has succeeded, what staff '
  'received at once. Closes returns when all that came back is paid back or exchanged. '
  'Called by settle_order() only.';

create function private.settle_exchanges(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if not exists (
    select 1 from public.order_items i join public.return_lines l on l.exchanged_for = i.id
    where i.order_id = o.id
  ) then
    return;
  end if;
  perform private.lock_stock_of_order(o.id);
  perform private.name_stock_move('exchange', o.id, null, p_source);
  with due as (
    select r.id, r.variant_id, r.status,
      i.quantity + (private.exchanged_pieces(i.id)).came - r.quantity as pieces
    from public.inventory_reservations r
    join public.order_items i on i.order_id = r.order_id and i.variant_id = r.variant_id
    where r.order_id = o.id
  ), moved as (
    -- Of an order whose goods have all gone back, these have too.
    update public.inventory_levels l set on_hand = l.on_hand - d.pieces, committed = l.committed + d.pieces
    from due d where l.variant_id = d.variant_id and d.status = 'committed' and d.pieces <> 0
  )
  update public.inventory_reservations r set quantity = r.quantity + d.pieces, updated_at = now()
  from due d where r.id = d.id and d.pieces <> 0;
  perform private.name_stock_move(null);
end;
$$;
comment on function private.settle_exchanges(public.orders, text) is
  'Makes what an order owns as many pieces as its lines have with their exchanges: takes from the shelf what '
  'an exchange has brought, and gives back what one that was closed had. Called by settle_order() only.';
