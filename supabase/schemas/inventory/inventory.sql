-- How much there is. Checkout reserves, settlement sells; staff receive, count and correct.
--
--   on_hand    goods on the shelf that no paid order owns
--   reserved   part of on_hand that open checkouts hold
--   committed  goods that paid orders own (sold, and not come back)
--
-- Every change of on_hand is a row of inventory_journal, whoever makes it: a trigger writes it, so on_hand is
-- the sum of its journal, always.

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
  'Stock per variant. A row that has had stock or a reservation cannot be deleted: its journal and its '
  'orders refer to it. on_hand is the sum of its journal, reserved that of active reservations, committed '
  'that of committed ones.';

create table public.inventory_journal (
  id bigint generated always as identity primary key,
  variant_id uuid not null references public.inventory_levels (variant_id) on delete restrict,
  change integer not null,
  kind text not null,
  order_id uuid references public.orders (id) on delete restrict,
  actor text not null,
  note text,
  created_at timestamptz not null default now(),
  constraint inventory_journal_change_not_zero check (change <> 0),
  constraint inventory_journal_kind_known check (kind in (
    'opening', 'sale', 'release', 'return', 'exchange', 'adjustment', 'count', 'import', 'edit'
  ))
);
comment on table public.inventory_journal is
  'Append-only: every change of on_hand. kind: opening (the row was made), sale and release (goods of an '
  'order go and, not sent after all or all together, come back), return (pieces came back), exchange (pieces '
  'go out for those that come back, or after all do not), adjustment, '
  'count, import, edit (by hand, past the commands). Written by a trigger.';
comment on column public.inventory_journal.actor is
  'Who: a member of staff, or for an order what settled it (event id, job); else the session''s user.';
create index inventory_journal_variant_id_idx on public.inventory_journal (variant_id, id) include (change);
create index inventory_journal_order_id_idx on public.inventory_journal (order_id);

create trigger refuse_change before update or delete on public.inventory_journal
  for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.inventory_journal
  for each statement execute function private.refuse_change();

create function private.name_stock_move(
  p_kind text,
  p_order_id uuid default null,
  p_note text default null,
  p_actor text default null
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_move constant text := case when p_kind is null then '' else jsonb_build_object(
    'kind', p_kind, 'order_id', p_order_id, 'note', p_note, 'actor', p_actor
  )::text end;
  v_setting constant text := set_config('kct.stock_move', v_move, true);
begin
end;
$$;
comment on function private.name_stock_move(text, uuid, text, text) is
  'Says why the changes of on_hand that follow in this transaction are made, for their journal; p_kind null: '
  'what follows is not ours. Staff commands are signed by themselves (setting kct.actor).';

create function private.record_stock_move() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_move constant jsonb := coalesce(nullif(current_setting('kct.stock_move', true), ''), '{}')::jsonb;
  v_change integer := new.on_hand;
begin
  if tg_op = 'UPDATE' then
    v_change := v_change - old.on_hand;
  end if;
  if v_change <> 0 then
    insert into public.inventory_journal (variant_id, change, kind, order_id, actor, note)
    values (
      new.variant_id,
      v_change,
      coalesce(v_move ->> 'kind', case tg_op when 'INSERT' then 'opening' else 'edit' end),
      (v_move ->> 'order_id')::uuid,
      coalesce(nullif(current_setting('kct.actor', true), ''), v_move ->> 'actor', session_user),
      v_move ->> 'note'
    );
  end if;
  return null;
end;
$$;
comment on function private.record_stock_move() is
  'Trigger of inventory_levels: writes the journal row of any change of on_hand, with what '
  'name_stock_move() said of it. What nobody named was done by hand: an opening stock or an edit.';

create trigger record_stock_move after insert or update of on_hand on public.inventory_levels
  for each row execute function private.record_stock_move();

alter table public.inventory_levels enable row level security;
alter table public.inventory_journal enable row level security;

create policy inventory_levels_read on public.inventory_levels for select to authenticated
  using ((select private.is_admin()));
create policy inventory_journal_read on public.inventory_journal for select to authenticated
  using ((select private.is_admin()));

revoke all on public.inventory_levels from public, anon, authenticated, service_role;
grant select on public.inventory_levels to authenticated, service_role;
revoke all on public.inventory_journal from public, anon, authenticated, service_role;
revoke all on sequence public.inventory_journal_id_seq from public, anon, authenticated, service_role;
grant select on public.inventory_journal to authenticated, service_role;

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
