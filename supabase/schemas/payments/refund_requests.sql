-- Refunds that were asked for: by staff, or by settlement because money came that the order cannot keep. The
-- refund itself is Stripe's and stands in public.refunds; its request_id names the row here.
--
--   queued -> done | not_needed | given_up, and from given_up back to queued (redrive)
--   queued -> disputed while a bank has the money or decides about it, and back once it has not

create table public.refund_requests (
  id text primary key,
  order_id uuid not null references public.orders (id) on delete cascade,
  payment_id text not null,
  amount bigint,
  cause text not null,
  restock boolean not null default false,
  status text not null default 'queued',
  problem text,
  refusals integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  given_up_at timestamptz,
  constraint refund_requests_amount_positive check (amount > 0),
  constraint refund_requests_cause_known check (
    cause in ('requested', 'cancelled', 'oversold', 'duplicate', 'fraudulent')
  ),
  constraint refund_requests_status_known check (
    status in ('queued', 'done', 'not_needed', 'given_up', 'disputed')
  ),
  constraint refund_requests_given_up_has_time check ((status = 'given_up') = (given_up_at is not null)),
  -- Goods go back with all of the money, or by receive_return().
  constraint refund_requests_restock_is_full check (not restock or amount is null)
);
comment on table public.refund_requests is
  'Refunds asked for, once each. While one is queued its money counts as given back. Carries no personal '
  'data.';
comment on column public.refund_requests.id is
  'The staff command that asked, or cause and payment, e.g. oversold:pi_…. Travels in the refund''s '
  'metadata.';
comment on column public.refund_requests.amount is 'Minor units; null: all that is left when the job runs.';
comment on column public.refund_requests.restock is
  'Whether the goods go back on the shelf with this refund.';
comment on column public.refund_requests.status is
  'queued: its job runs or waits; done; not_needed: the money was given back by other means, or the order '
  'may ship; given_up: a person decides; disputed: waits for a bank, and is queued again should the shop '
  'win.';
comment on column public.refund_requests.problem is
  'What Stripe said when it last refused, or why it was given up.';
comment on column public.refund_requests.refusals is
  'How often Stripe has refused. Stripe repeats a refusal for a day under the same idempotency key, so each '
  'refusal makes another key; an answer that was lost does not.';
create index refund_requests_order_id_idx on public.refund_requests (order_id);
create index refund_requests_payment_id_idx on public.refund_requests (payment_id);

alter table public.refund_requests enable row level security;
create policy refund_requests_read on public.refund_requests for select to authenticated
  using ((select private.is_admin()));
revoke all on public.refund_requests from public, anon, authenticated, service_role;
grant select on public.refund_requests to authenticated, service_role;

create function private.refund_is_off(q public.refund_requests) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Null, of a refund that nobody asked for here, is none that is off.
  return coalesce(
    q.status = 'given_up' or (q.status = 'not_needed' and exists (
      select 1
      from public.payments p left join private.refunded_amounts back on back.payment_id = p.id
      where p.id = q.payment_id and p.amount_received > coalesce(back.given, 0)
    )), false
  );
end;
$$;
comment on function private.refund_is_off(public.refund_requests) is
  'Whether a refund that was asked for gives nothing back: it was given up, or it is not needed although '
  'the shop has money of the payment, because staff have released the order.';
