-- Stock held for an order. One row per order and variant for its whole life:
-- active (held) -> committed (sold) or released (given back), and back to active or committed when late
-- money or a new attempt finds stock. The hold outlives Stripe's session: see docs/decisions.md.

create table public.inventory_reservations (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references public.orders (id) on delete cascade,
  variant_id uuid not null references public.inventory_levels (variant_id) on delete restrict,
  quantity integer not null,
  returned integer not null default 0,
  status text not null default 'active',
  expires_at timestamptz not null,
  updated_at timestamptz not null default now(),
  constraint inventory_reservations_order_variant_key unique (order_id, variant_id),
  constraint inventory_reservations_quantity_not_negative check (quantity >= 0),
  constraint inventory_reservations_returned_within check (returned between 0 and quantity),
  constraint inventory_reservations_status_known check (status in ('active', 'committed', 'released'))
);
comment on table public.inventory_reservations is
  'Stock held by an order. expires_at only tells the sweeper when to ask Stripe; time alone releases '
  'nothing.';
comment on column public.inventory_reservations.quantity is
  'Pieces of the line, those that came by exchange included; 0: the exchange that brought them was closed.';
comment on column public.inventory_reservations.returned is
  'Pieces that came back by themselves, on the shelf or damaged: quantity less these is what the order has.';
create index inventory_reservations_variant_id_idx on public.inventory_reservations (variant_id)
  include (status, quantity, returned) where status <> 'released';
create index inventory_reservations_due_idx on public.inventory_reservations (expires_at)
  where status = 'active';

create function private.lock_stock_of_orders(p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- One order for all: every writer of inventory_levels locks by variant_id.
  perform 1
  from public.inventory_levels l
  where l.variant_id in (
    select r.variant_id from public.inventory_reservations r where r.order_id = any (p_order_ids)
  )
  order by l.variant_id
  for no key update;
end;
$$;
comment on function private.lock_stock_of_orders(uuid[]) is
  'Locks the stock of all that orders have reserved, in the order that everybody locks it in.';

create function private.lock_stock_of_order(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.lock_stock_of_orders(array[p_order_id]);
end;
$$;
comment on function private.lock_stock_of_order(uuid) is
  'Locks the stock of all that an order holds or owns, until the transaction ends.';

create function private.refuse_lost_hold() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'this order holds or owns goods: cancel it, its stock goes back by itself'
    using errcode = 'SHSTK';
end;
$$;
comment on function private.refuse_lost_hold() is
  'Trigger of inventory_reservations: a hold that is deleted, alone or with its order, would leave goods '
  'that nobody has and nobody can sell.';

create trigger refuse_lost_hold before delete on public.inventory_reservations
  for each row when (old.status <> 'released') execute function private.refuse_lost_hold();

alter table public.inventory_reservations enable row level security;
create policy inventory_reservations_read on public.inventory_reservations for select to authenticated
  using ((select private.is_admin()));
revoke all on public.inventory_reservations from public, anon, authenticated, service_role;
grant select on public.inventory_reservations to authenticated, service_role;
