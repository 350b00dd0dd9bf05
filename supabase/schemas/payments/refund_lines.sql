-- Which pieces a refund is about, and what they are worth.

create table public.refund_lines (
  id uuid primary key default gen_random_uuid(),
  request_id text references public.refund_requests (id) on delete cascade,
  refund_id text references public.refunds (id) on delete cascade,
  order_item_id uuid not null references public.order_items (id) on delete cascade,
  quantity integer not null,
  constraint refund_lines_once unique nulls not distinct (request_id, refund_id, order_item_id),
  constraint refund_lines_quantity_positive check (quantity > 0),
  constraint refund_lines_of_one check ((request_id is null) <> (refund_id is null))
);
comment on table public.refund_lines is
  'Pieces that a refund gives the money of back: one that was asked for here (request_id), or one made in '
  'Stripe''s dashboard and assigned afterwards (refund_id).';
create index refund_lines_request_id_idx on public.refund_lines (request_id);
create index refund_lines_refund_id_idx on public.refund_lines (refund_id);
create index refund_lines_order_item_id_idx on public.refund_lines (order_item_id);
alter table public.refund_lines enable row level security;
create policy refund_lines_read on public.refund_lines for select to authenticated
  using ((select private.is_admin()));
revoke all on public.refund_lines from public, anon, authenticated, service_role;
grant select on public.refund_lines to authenticated, service_role;

create function private.refunded_pieces(p_order_item_id uuid, out given integer, out made integer)
language plpgsql
stable
set search_path = ''
as $$
begin
  select coalesce(sum(l.quantity) filter (where not bounced.yes and not private.refund_is_off(q)), 0),
    coalesce(sum(l.quantity) filter (
      where r.succeeded_at is not null or (q.status = 'not_needed' and not private.refund_is_off(q))
    ), 0)
  into given, made
  from public.refund_lines l
  left join public.refund_requests q on q.id = l.request_id
  left join public.refunds r on r.id = l.refund_id or r.request_id = l.request_id
  cross join lateral (
    select exists (select 1 from private.refund_states s where s.id = r.id and s.has_bounced) as yes
  ) bounced
  where l.order_item_id = p_order_item_id;
end;
$$;
comment on function private.refunded_pieces(uuid) is
  'Pieces of a line whose money was given back. given: made or under way; made: Stripe has said so once.';

create function private.share_of_price(o public.orders, p_price numeric) returns bigint
language plpgsql
stable
set search_path = ''
as $$
declare
  v_goods constant numeric := o.amount_subtotal - o.amount_discount;
  v_step constant integer := private.amount_step(o.currency);
begin
  -- Tax goes with what it was on: goods and delivery in proportion. Where prices include it, it is in both.
  if o.amount_subtotal = 0 or v_goods + o.amount_shipping <= 0 then
    return 0;
  end if;
  return v_step * div(
    o.amount_paid * v_goods * p_price, (v_goods + o.amount_shipping) * o.amount_subtotal * v_step
  );
end;
$$;
comment on function private.share_of_price(public.orders, numeric) is
  'What pieces whose prices add up to p_price have cost, in minor units of what was paid: with their share '
  'of discount and tax, without delivery.';

create function private.share_of_goods(o public.orders) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return private.share_of_price(o, o.amount_subtotal);
end;
$$;
comment on function private.share_of_goods(public.orders) is
  'What of the money paid was for goods; the rest was for delivery.';
