-- Who buys: an account, a Stripe customer, or both.

create table public.customers (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references auth.users (id) on delete set null,
  email text,
  name text,
  stripe_customer_id text,
  livemode boolean not null default false,
  stripe_deleted_at timestamptz,
  created_at timestamptz not null default now(),
  constraint customers_user_id_key unique (user_id, livemode),
  constraint customers_stripe_customer_id_key unique (stripe_customer_id),
  constraint customers_email_length check (char_length(email) <= 320)
);
comment on table public.customers is 'A buyer. user_id is set for accounts, stripe_customer_id once Stripe knows them; guests have only the latter.';
create index customers_email_idx on public.customers (lower(email));

alter table public.customers enable row level security;
create policy customers_read on public.customers for select to authenticated
  using (user_id = (select auth.uid()) or (select private.is_admin()));
revoke all on public.customers from public, anon, authenticated, service_role;
grant select on public.customers to authenticated, service_role;

-- What Stripe says of its customers, ours or not: an update may come before the order that makes one ours.
create table private.stripe_customers (
  id text primary key,
  livemode boolean not null,
  email text,
  name text,
  deleted_at timestamptz,
  version text collate "C" not null
);
comment on table private.stripe_customers is 'Stripe customers as last seen in events. deleted_at is set once and stays: deletion is final at Stripe.';
create index stripe_customers_email_idx on private.stripe_customers (lower(email));
alter table private.stripe_customers enable row level security;
