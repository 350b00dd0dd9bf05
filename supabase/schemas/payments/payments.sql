-- What Stripe says about money: the fact tables. Each row is a register that merges facts in any order; the
-- column version decides which snapshot is the newest (rules: docs/settlement.md). order_id may be null until
-- the payment is linked to an order.

create table public.checkout_sessions (
  id text primary key,
  order_id uuid not null references public.orders (id) on delete cascade,
  attempt integer,
  status text not null,
  payment_status text not null,
  async_payment_failed boolean not null default false,
  awaited_payment boolean not null default false,
  payment_id text,
  stripe_customer_id text,
  currency text,
  amount_subtotal bigint,
  amount_total bigint,
  amount_discount bigint,
  amount_shipping bigint,
  amount_tax bigint,
  presentment_amount bigint,
  presentment_currency text,
  livemode boolean not null,
  metadata_order_id uuid,
  cart_hash text,
  email text,
  name text,
  phone text,
  shipping_name text,
  shipping_address jsonb,
  billing_address jsonb,
  business jsonb,
  url text,
  expires_at timestamptz not null,
  recovered_from text,
  terms_consent text,
  promotions_consent text,
  completed_at timestamptz,
  closing_at timestamptz,
  version text collate "C" not null,
  contact_version text collate "C" not null,
  created_at timestamptz not null default now()
);
comment on table public.checkout_sessions is
  'Checkout Sessions of our orders, as last seen. An order may have several: resumed, recovered.';
comment on column public.checkout_sessions.business is
  'What a business buyer gave on the payment page: { name, tax_ids: [{ type, value }] }.';
comment on column public.checkout_sessions.terms_consent is
  'accepted: the shopper has ticked the terms on the payment page, which asks where CHECKOUT_TERMS_CONSENT '
  'is on; else null.';
comment on column public.checkout_sessions.promotions_consent is
  'opt_in or opt_out: what the shopper has said to promotional mails on the payment page; null: not asked.';
comment on column public.checkout_sessions.awaited_payment is
  'It was once seen complete with its payment under way: a slow method.';
comment on column public.checkout_sessions.closing_at is
  'When a velocity rule had it ended: no door leads to it any more, although Stripe may not have closed it '
  'yet. No fact of Stripe''s.';
comment on column public.checkout_sessions.metadata_order_id is
  'The order its metadata names. Anything but order_id means that somebody changed the metadata: the order '
  'is reviewed.';
comment on column public.checkout_sessions.contact_version is
  'Which snapshot wrote e-mail address, name, phone and addresses: an address that is known is not lost to '
  'a later event without it.';
create index checkout_sessions_order_id_idx on public.checkout_sessions (order_id);
create index checkout_sessions_payment_id_idx on public.checkout_sessions (payment_id);
create index checkout_sessions_stripe_customer_id_idx on public.checkout_sessions (stripe_customer_id);
create index checkout_sessions_open_idx on public.checkout_sessions (expires_at) where status = 'open';
create index checkout_sessions_closing_idx on public.checkout_sessions (closing_at)
  where status = 'open' and closing_at is not null;

create table public.payments (
  id text primary key,
  order_id uuid references public.orders (id) on delete cascade,
  status text not null,
  amount bigint not null,
  amount_received bigint not null default 0,
  currency text not null,
  presentment_amount bigint,
  presentment_currency text,
  livemode boolean not null,
  metadata_order_id uuid,
  stripe_customer_id text,
  charge_id text,
  failure_code text,
  decline_code text,
  payment_method_type text,
  card_brand text,
  card_last4 text,
  card_country text,
  risk_level text,
  risk_score integer,
  three_d_secure_result text,
  succeeded_at timestamptz,
  version text collate "C" not null,
  created_at timestamptz not null default now()
);
comment on table public.payments is
  'PaymentIntents. Card columns are those of the successful (else the latest) attempt; brand and last4 are '
  'all that is kept of a card number.';
comment on column public.payments.presentment_amount is
  'What the customer was charged where they paid in a currency of their own (Adaptive Pricing), in minor '
  'units of presentment_currency; null: amount in currency.';
comment on column public.payments.presentment_currency is
  'The currency that the customer paid in; null: the payment''s own.';
comment on column public.payments.order_id is
  'The order of the session that it pays for; until that is known, the one its metadata names.';
create index payments_order_id_idx on public.payments (order_id);
create index payments_charge_id_idx on public.payments (charge_id);

create table public.payment_attempts (
  id text primary key,
  payment_id text not null,
  order_id uuid references public.orders (id) on delete cascade,
  outcome text not null,
  amount bigint,
  currency text,
  presentment_amount bigint,
  presentment_currency text,
  livemode boolean not null,
  failure_code text,
  decline_code text,
  advice_code text,
  payment_method_type text,
  card_brand text,
  card_last4 text,
  card_funding text,
  card_country text,
  card_fingerprint text,
  three_d_secure_result text,
  risk_level text,
  risk_score integer,
  seller_message text,
  receipt_url text,
  version text collate "C" not null,
  created_at timestamptz not null
);
comment on table public.payment_attempts is
  'Every try to pay: charges, and confirmations that failed before a charge. created_at is Stripe''s time.';
create index payment_attempts_payment_id_idx on public.payment_attempts (payment_id);
create index payment_attempts_order_id_idx on public.payment_attempts (order_id);
create index payment_attempts_card_fingerprint_idx on public.payment_attempts (card_fingerprint, created_at);

create table public.refunds (
  id text primary key,
  order_id uuid references public.orders (id) on delete cascade,
  payment_id text,
  charge_id text,
  amount bigint not null,
  currency text not null,
  presentment_amount bigint,
  presentment_currency text,
  status text not null,
  reason text,
  failure_reason text,
  request_id text,
  was_pending boolean not null default false,
  succeeded_at timestamptz,
  failed_at timestamptz,
  released_at timestamptz,
  version text collate "C" not null,
  created_at timestamptz not null,
  seen_at timestamptz not null default clock_timestamp()
);
comment on column public.refunds.presentment_amount is
  'What the customer gets back in the currency that they paid in (Adaptive Pricing), in minor units of '
  'presentment_currency; null: amount in currency.';
comment on column public.refunds.presentment_currency is
  'The currency that the customer gets it in; null: the refund''s own.';
comment on column public.refunds.seen_at is
  'When we first heard of it: staff who ask for a refund do not know of one that was made and not heard '
  'of.';
comment on column public.refunds.released_at is
  'When staff let the order ship although this refund of all its money had failed.';
comment on column public.refunds.request_id is
  'The refund_requests row that asked for it; null for one made in Stripe''s dashboard.';
comment on column public.refunds.was_pending is
  'It was once seen on its way: most refunds are complete when they are made.';
comment on column public.refunds.succeeded_at is
  'When it was first seen succeeded; stays when it fails afterwards.';
comment on column public.refunds.failed_at is
  'When it was first seen failed or cancelled: what was given back before then was not meant in its stead.';
comment on table public.refunds is
  'Refund ledger, keyed by Stripe''s id, whoever asked for it. Only succeeded ones count as money given '
  'back.';
comment on column public.refunds.reason is
  'As the customer may read it: null where Stripe was told that the payment was fraudulent. refund_reasons '
  'says it all.';

create table public.refund_reasons (
  refund_id text primary key references public.refunds (id) on delete cascade,
  reason text
);
comment on table public.refund_reasons is
  'The reason of each refund as Stripe has it, suspicion of fraud included: for staff.';
create index refunds_order_id_idx on public.refunds (order_id);
create index refunds_payment_id_idx on public.refunds (payment_id);
create index refunds_charge_id_idx on public.refunds (charge_id);
create index refunds_request_id_idx on public.refunds (request_id);

alter table public.checkout_sessions enable row level security;
alter table public.payments enable row level security;
alter table public.payment_attempts enable row level security;
alter table public.refunds enable row level security;
alter table public.refund_reasons enable row level security;

create policy checkout_sessions_read on public.checkout_sessions for select to authenticated
  using ((select private.is_admin()));
create policy payments_read on public.payments for select to authenticated
  using ((select private.is_admin()));
create policy payment_attempts_read on public.payment_attempts for select to authenticated
  using ((select private.is_admin()));
create policy refund_reasons_read on public.refund_reasons for select to authenticated
  using ((select private.is_admin()));
create policy refunds_read on public.refunds for select to authenticated
  -- As in customers_read.
  using (
    (select private.is_admin()) and (
      id between (select private.first_for_staff()::text) and (select 'z')
      or id >= private.first_for_staff()::text
    )
    or order_id = any (array(
      select o.id from public.orders o join public.customers c on c.id = o.customer_id
      where c.user_id = (select auth.uid())
    ))
  );

revoke all
  on public.checkout_sessions, public.payments, public.payment_attempts, public.refunds, public.refund_reasons
  from public, anon, authenticated, service_role;
grant select
  on public.checkout_sessions, public.payments, public.payment_attempts, public.refunds, public.refund_reasons
  to authenticated, service_role;
