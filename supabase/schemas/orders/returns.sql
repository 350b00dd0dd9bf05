-- What comes back: announced by the customer or by a refund, received in the house, closed when nothing is
-- left to do. A piece that was sold is kept by the customer or stands in one return.
--
--   requested -> received -> closed; requested -> closed (it never came), or closed with its refund

create table public.returns (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references public.orders (id) on delete cascade,
  status text not null default 'requested',
  reason text,
  refund_request_id text,
  received_at timestamptz,
  stocked_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  constraint returns_status_known check (status in ('requested', 'received', 'closed')),
  constraint returns_received_has_time check (
    (status <> 'requested' or received_at is null) and (status <> 'received' or received_at is not null)
  ),
  constraint returns_stocked_was_received check (stocked_at is null or received_at is not null)
);
comment on table public.returns is
  'Pieces that come back to the house, or that a refund has taken out of an order before they left it.';
comment on column public.returns.refund_request_id is
  'The refund with which its pieces go back on the shelf, once that has succeeded.';
comment on column public.returns.received_at is
  'When the pieces were in the house; null in a closed return: they never came.';
comment on column public.returns.stocked_at is 'When settle_order() booked its pieces, once.';
create index returns_order_id_idx on public.returns (order_id);
create index returns_refund_request_id_idx on public.returns (refund_request_id);

create table public.return_lines (
  id uuid primary key default gen_random_uuid(),
  return_id uuid not null references public.returns (id) on delete cascade,
  order_item_id uuid not null references public.order_items (id) on delete cascade,
  quantity integer not null,
  unsent integer not null default 0,
  restock boolean not null,
  exchanged_for uuid references public.order_items (id) on delete cascade,
  constraint return_lines_once unique nulls not distinct (return_id, order_item_id, exchanged_for),
  constraint return_lines_quantity_positive check (quantity > 0),
  constraint return_lines_unsent_within check (unsent between 0 and quantity)
);
comment on table public.return_lines is
  'Pieces of a return, by line of the order. restock: they go on the shelf; false: damaged, or not seen yet.';
comment on column public.return_lines.unsent is
  'How many of them never left the house: they are not to be sent any more.';
comment on column public.return_lines.exchanged_for is
  'The line of the order from which as many pieces go to the customer instead, at the same price; null: no '
  'exchange.';
create index return_lines_exchanged_for_idx on public.return_lines (exchanged_for);
create index return_lines_order_item_id_idx on public.return_lines (order_item_id);

alter table public.returns enable row level security;
alter table public.return_lines enable row level security;
create policy returns_read on public.returns for select to authenticated
  using ((select private.is_admin()));
create policy return_lines_read on public.return_lines for select to authenticated
  using ((select private.is_admin()));
revoke all on public.returns, public.return_lines from public, anon, authenticated, service_role;
grant select on public.returns, public.return_lines to authenticated, service_role;

create function private.add_return_line(
  p_return_id uuid,
  p_order_item_id uuid,
  p_quantity integer,
  p_unsent integer,
  p_restock boolean,
  p_exchanged_for uuid default null
) returns void
language sql
set search_path = ''
as $$
  insert into public.return_lines as l (return_id, order_item_id, quantity, unsent, restock, exchanged_for)
  select p_return_id, p_order_item_id, p_quantity, p_unsent, p_restock, p_exchanged_for where p_quantity > 0
  on conflict (return_id, order_item_id, exchanged_for) do update
  set quantity = l.quantity + excluded.quantity, unsent = l.unsent + excluded.unsent,
    restock = excluded.restock
$$;
comment on function private.add_return_line(uuid, uuid, integer, integer, boolean, uuid) is
  'Adds pieces of a line to a return; p_exchanged_for: the line whose pieces go out for them.';

create function private.waits_for_refund(r public.returns) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return r.status = 'requested' and exists (
    select 1 from public.refund_requests q
    left join public.refunds f on f.request_id = q.id
    left join private.refund_states s on s.id = f.id
    where q.id = r.refund_request_id and not private.refund_is_off(q) and s.has_bounced is not true
  );
end;
$$;
comment on function private.waits_for_refund(public.returns) is
  'Whether the pieces of a return go back on the shelf with a refund that is still on its way: neither given '
  'up nor bounced.';

create function private.pieces_that_wait(p_order_item_id uuid) returns integer
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(l.quantity), 0)
    from public.return_lines l join public.returns r on r.id = l.return_id
    where l.order_item_id = p_order_item_id and private.waits_for_refund(r)
  );
end;
$$;
comment on function private.pieces_that_wait(uuid) is
  'Pieces of a line that are announced and go back on the shelf with the refund that they wait for.';

create function private.take_announced(
  p_return_id uuid,
  p_order_item_id uuid,
  p_quantity integer,
  p_restock boolean,
  p_free_only boolean
) returns integer
language plpgsql
set search_path = ''
as $$
declare
  l record;
  v_left integer := p_quantity;
  v_taken integer;
  v_unsent integer;
begin
  for l in
    select x.id, x.quantity, x.unsent, x.exchanged_for
    from public.return_lines x join public.returns r on r.id = x.return_id
    where x.order_item_id = p_order_item_id and r.status = 'requested' and r.id <> p_return_id
      and (not p_free_only or (x.exchanged_for is null and not private.waits_for_refund(r)))
    order by r.created_at, r.id, x.id
  loop
    v_taken := least(l.quantity, v_left);
    exit when v_taken = 0;
    -- What has left the house first: it is what comes back.
    v_unsent := greatest(0, v_taken - (l.quantity - l.unsent));
    delete from public.return_lines x where x.id = l.id and x.quantity = v_taken;
    if not found then
      update public.return_lines x set quantity = x.quantity - v_taken, unsent = x.unsent - v_unsent
      where x.id = l.id;
    end if;
    perform private.add_return_line(
      p_return_id, p_order_item_id, v_taken, v_unsent, p_restock, l.exchanged_for
    );
    v_left := v_left - v_taken;
  end loop;
  delete from public.returns r
  where r.order_id = (select i.order_id from public.order_items i where i.id = p_order_item_id)
    and r.status = 'requested' and r.id <> p_return_id
    and not exists (select 1 from public.return_lines x where x.return_id = r.id);
  return p_quantity - v_left;
end;
$$;
comment on function private.take_announced(uuid, uuid, integer, boolean, boolean) is
  'Moves up to p_quantity announced pieces of a line from other returns to this one, the oldest first, and '
  'returns how many. p_free_only: none that wait for a refund or are exchanged.';

create function private.exchanged_pieces(p_order_item_id uuid, out came integer, out went integer)
language plpgsql
stable
set search_path = ''
as $$
begin
  select coalesce(sum(l.quantity) filter (where l.exchanged_for = p_order_item_id), 0),
    coalesce(sum(l.quantity) filter (where l.order_item_id = p_order_item_id), 0)
  into came, went
  from public.return_lines l join public.returns r on r.id = l.return_id
  -- One that was closed and never came is no exchange.
  where l.exchanged_for is not null and (r.received_at is not null or r.status = 'requested')
    and (l.exchanged_for = p_order_item_id or l.order_item_id = p_order_item_id);
end;
$$;
comment on function private.exchanged_pieces(uuid, out integer, out integer) is
  'Pieces that exchanges have brought to a line (came) and taken from it (went). What was paid for them goes '
  'with them: their prices are equal.';
