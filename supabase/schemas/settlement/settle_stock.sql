-- settle_stock(): the goods of an order follow its money.

create function private.settle_stock(p_order_id uuid, p_target text, p_source text) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_moved integer;
begin
  if not exists (
    select 1 from public.inventory_reservations r where r.order_id = p_order_id and r.status <> p_target
  ) then
    return true;
  end if;
  perform private.lock_stock_of_orders(array[p_order_id]);

  if p_target in ('committed', 'active') and (private.effects_are_past() or private.rescue_under_way()) then
    perform private.top_up_stock(p_order_id);
  end if;
  if p_target in ('committed', 'active') and exists (
    select 1
    from public.inventory_reservations r
    join public.inventory_levels l on l.variant_id = r.variant_id
    where r.order_id = p_order_id and r.status = 'released'
      and l.on_hand - l.reserved < r.quantity - r.returned
  ) then
    return false;
  end if;

  perform private.name_stock_move(
    case p_target when 'committed' then 'sale' else 'release' end, p_order_id, null, p_source
  );
  update public.inventory_levels l set
    on_hand = l.on_hand
      - case when p_target = 'committed' then r.pieces else 0 end
      + case when r.status = 'committed' then r.pieces else 0 end,
    reserved = l.reserved
      + case when p_target = 'active' then r.pieces else 0 end
      - case when r.status = 'active' then r.pieces else 0 end,
    committed = l.committed
      + case when p_target = 'committed' then r.pieces else 0 end
      - case when r.status = 'committed' then r.pieces else 0 end
  from (
    select x.order_id, x.variant_id, x.status, x.quantity - x.returned as pieces
    from public.inventory_reservations x
  ) r
  where r.order_id = p_order_id and r.variant_id = l.variant_id and r.status <> p_target;
  perform private.name_stock_move(null);

  update public.inventory_reservations
  set status = p_target, updated_at = now()
  where order_id = p_order_id and status <> p_target;
  get diagnostics v_moved = row_count;
  perform private.record_order_event(
    p_order_id, 'stock_' || p_target, p_source, jsonb_build_object('lines', v_moved)
  );
  return true;
end;
$$;
comment on function private.settle_stock(uuid, text, text) is
  'Moves all reservations of an order to committed (sold), active (held again) or released (given back; '
  'sold goods return to the shelf). Returns false, changing nothing, when released stock is to be taken '
  'again and is gone. Called by settle_order() only.';
