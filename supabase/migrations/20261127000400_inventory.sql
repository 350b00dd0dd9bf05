-- Generated from supabase/schemas/inventory by 'deno task migrations': edit there.

-- How much there is. Checkout reserves, settlement commits; staff adjust.
--
--   on_hand    goods on the shelf that no paid order owns
--   reserved   part of on_hand that open checkouts hold
--   committed  goods that paid orders own (sold, and not restocked)
--
-- Every change of on_hand + committed is a delivery or a correction, so it writes inventory_adjustments by
-- itself: received goods = sum of adjustments = on_hand + committed, always.

create table public.inventory_levels (
  variant_id uuid primary key references public.product_variants (id) on delete restrict,
  on_hand integer not null default 0,
  reserved integer not null default 0,
  committed integer not null default 0,
  available integer generated always as (on_hand - reserved) stored,
  constraint inventory_levels_reserved_within_on_hand check (0 <= reserved and reserved <= on_hand),
  constraint inventory_levels_committed_not_negative check (committed >= 0)
);
comment on table public.inventory_levels is
  'Stock per variant. A row that has had stock or a reservation cannot be deleted: its ledger and its '
  'orders refer to it. reserved is the sum of active reservations, committed that of committed ones.';

create table public.inventory_adjustments (
  id bigint generated always as identity primary key,
  variant_id uuid not null references public.inventory_levels (variant_id) on delete restrict,
  delta integer not null,
  reason text not null,
  actor text not null,
  created_at timestamptz not null default now(),
  constraint inventory_adjustments_delta_not_zero check (delta <> 0)
);
comment on table public.inventory_adjustments is
  'Ledger of goods received (delta > 0) and lost or corrected (delta < 0). Written by a trigger, never '
  'changed.';
create index inventory_adjustments_variant_id_idx on public.inventory_adjustments (variant_id);

create function private.record_inventory_adjustment() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_delta integer := new.on_hand + new.committed;
begin
  if tg_op = 'UPDATE' then
    v_delta := v_delta - old.on_hand - old.committed;
  end if;
  if v_delta <> 0 then
    insert into public.inventory_adjustments (variant_id, delta, reason, actor)
    values (
      new.variant_id,
      v_delta,
      coalesce(nullif(current_setting('kct.adjustment_reason', true), ''), lower(tg_op)),
      coalesce(nullif(current_setting('kct.actor', true), ''), session_user)
    );
  end if;
  return null;
end;
$$;
comment on function private.record_inventory_adjustment() is
  'Trigger of inventory_levels: writes the ledger row for any change of on_hand + committed. Reason and '
  'actor come from the settings kct.adjustment_reason and kct.actor of the transaction.';

create trigger record_inventory_adjustment after insert or update of on_hand,
  committed on public.inventory_levels
  for each row execute function private.record_inventory_adjustment();

alter table public.inventory_levels enable row level security;
alter table public.inventory_adjustments enable row level security;

create policy inventory_levels_read on public.inventory_levels for select to authenticated
  using ((select private.is_admin()));
create policy inventory_adjustments_read on public.inventory_adjustments for select to authenticated
  using ((select private.is_admin()));

revoke all on public.inventory_levels from public, anon, authenticated, service_role;
grant select on public.inventory_levels to authenticated, service_role;
revoke all on public.inventory_adjustments from public, anon, authenticated, service_role;
revoke all on sequence public.inventory_adjustments_id_seq from public, anon, authenticated, service_role;
grant select on public.inventory_adjustments to authenticated, service_role;

-- What shoppers see of the stock: enough to buy, and no way to count what the shop has and sells.
insert into private.settings (key, value, description) values
  ('stock_shown_max', '20', 'The largest figure that shoppers are shown as available.');

create function private.shown_stock(p_pieces integer) returns integer
language plpgsql
stable
set search_path = ''
as $$
begin
  return least(greatest(coalesce(p_pieces, 0), 0), (private.setting('stock_shown_max'))::integer);
end;
$$;
comment on function private.shown_stock(integer) is
  'As many pieces as shoppers are told of: at most setting stock_shown_max.';

create function private.shown_available(p_variant_id uuid, out available integer, out or_more boolean)
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_pieces integer := (select l.available from public.inventory_levels l where l.variant_id = p_variant_id);
begin
  available := private.shown_stock(v_pieces);
  or_more := coalesce(v_pieces > available, false);
end;
$$;
comment on function private.shown_available(uuid) is
  'What anybody may know of a variant''s stock. Runs with its owner''s rights: only staff read '
  'inventory_levels.';
grant execute on function private.shown_available(uuid) to anon, authenticated, service_role;

-- Under the policies of product_variants: stock of a hidden product stays hidden.
create view public.availability with (security_invoker = true) as
select v.id as variant_id, v.product_id, s.available, s.or_more
from public.product_variants v cross join lateral private.shown_available(v.id) s;
comment on view public.availability is
  'How many pieces of each variant can be bought now, at most stock_shown_max; or_more: there are more than '
  'that. A hint: checkout decides again.';
revoke all on public.availability from public, anon, authenticated, service_role;
grant select on public.availability to anon, authenticated, service_role;

-- Stock held for an order. One row per order and variant for its whole life:
-- active (held) -> committed (sold) or released (given back), and back to active or committed when late
-- money or a new attempt finds stock. The hold outlives Stripe's session: see docs/decisions.md.

create table public.inventory_reservations (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references public.orders (id) on delete cascade,
  variant_id uuid not null references public.inventory_levels (variant_id) on delete restrict,
  quantity integer not null,
  status text not null default 'active',
  expires_at timestamptz not null,
  updated_at timestamptz not null default now(),
  constraint inventory_reservations_order_variant_key unique (order_id, variant_id),
  constraint inventory_reservations_quantity_positive check (quantity > 0),
  constraint inventory_reservations_status_known check (status in ('active', 'committed', 'released'))
);
comment on table public.inventory_reservations is
  'Stock held by an order. expires_at only tells the sweeper when to ask Stripe; time alone releases '
  'nothing.';
create index inventory_reservations_variant_id_idx on public.inventory_reservations (variant_id)
  where status <> 'released';
create index inventory_reservations_due_idx on public.inventory_reservations (expires_at)
  where status = 'active';

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
