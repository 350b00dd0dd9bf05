-- Who buys: an account, a Stripe customer, or both.

create table public.customers (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references auth.users (id) on delete set null,
  email text,
  name text,
  stripe_customer_id text,
  livemode boolean not null default false,
  stripe_deleted_at timestamptz,
  email_changes integer not null default 0,
  email_changes_told integer not null default 0,
  created_at timestamptz not null default now(),
  constraint customers_user_id_key unique (user_id, livemode),
  constraint customers_stripe_customer_id_key unique (stripe_customer_id),
  constraint customers_email_length check (char_length(email) <= 320)
);
comment on table public.customers is
  'A buyer. user_id is set for accounts, stripe_customer_id once Stripe knows them; guests have only the '
  'latter.';
comment on column public.customers.email_changes is
  'How often an account''s address has changed; Stripe''s customer has the address of change number '
  'email_changes_told.';
create index customers_email_idx on public.customers (lower(email));

create function private.count_email_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.email_changes := old.email_changes + 1;
  return new;
end;
$$;
comment on function private.count_email_change() is
  'Trigger of customers: an account''s address has changed, and Stripe''s customer does not know yet.';

create trigger count_email_change before update of email on public.customers
  for each row when (new.user_id is not null and old.email is distinct from new.email)
  execute function private.count_email_change();

alter table public.customers enable row level security;
create policy customers_read on public.customers for select to authenticated
  -- Staff, or the owner. Each side has conditions that an index can answer, or the whole table would be read
  -- for somebody with one row. Those of staff are true of every row: the first is computed once and spares
  -- the second, whose function the planner calls and so knows for whom it plans. A plan kept for somebody
  -- else is slower, never wrong: is_admin() decides.
  using (
    (select private.is_admin()) and (
      id between (select private.first_for_staff()) and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
      or id >= private.first_for_staff()
    )
    or user_id = (select auth.uid())
  );
revoke all on public.customers from public, anon, authenticated, service_role;
grant select on public.customers to authenticated, service_role;

-- What Stripe says of the customers of our sessions. The account may have others, who never bought here: of
-- them no row is made. An update may come before the session that makes one ours: see know_customer().
create table private.stripe_customers (
  id text primary key,
  livemode boolean not null,
  email text,
  name text,
  deleted_at timestamptz,
  erased_at timestamptz,
  version text collate "C" not null
);
comment on table private.stripe_customers is
  'Stripe customers that a session of ours named, as last seen in events. deleted_at is set once and stays: '
  'deletion is final at Stripe.';
comment on column private.stripe_customers.erased_at is
  'When staff erased the person: whatever Stripe says of this customer later is stored without personal '
  'data.';
create index stripe_customers_email_idx on private.stripe_customers (lower(email));
alter table private.stripe_customers enable row level security;
