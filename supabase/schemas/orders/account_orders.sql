-- Orders that somebody made as a guest appear in the account that has proven the same e-mail address.
--
-- Auth's email_confirmed_at alone proves nothing: where "Confirm email" is off, it is set at sign-up, for any
-- address. Proof is a mail that Auth really sent to the address before it was confirmed, or a sign-in
-- provider (OAuth) that vouches for it. What the columns say at the moment of the change is kept here, since
-- later they do not say it any more: an address that was changed without a mail looks like the one before it.

create table private.proven_accounts (
  user_id uuid primary key references auth.users (id) on delete cascade,
  proven_at timestamptz not null default now()
);
comment on table private.proven_accounts is
  'Accounts whose present e-mail address is proven to be theirs. Gone as soon as the address changes '
  'without proof.';
alter table private.proven_accounts enable row level security;

create function private.is_vouched_for(p_user_id uuid, p_email text) returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select 1 from auth.identities i
    where i.user_id = p_user_id
      -- Auth's own two say what Auth was told, and a company's directory (sso:) says what its owner likes.
      and i.provider not in ('email', 'phone') and i.provider not like 'sso:%'
      and lower(i.identity_data ->> 'email') = lower(p_email)
      and lower(i.identity_data ->> 'email_verified') = 'true'
  )
$$;
comment on function private.is_vouched_for(uuid, text) is
  'Whether a sign-in provider of this account has verified the address.';

create function private.attach_guest_orders(
  p_user_id uuid,
  p_email text,
  p_order_id uuid default null
) returns integer
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_attached integer := 0;
begin
  -- Only paid orders: they carry the address that was used on Stripe's page; before that anybody can type
  -- any.
  for r in
    select o.id, o.livemode
    from public.orders o left join public.customers c on c.id = o.customer_id
    where lower(o.email) = lower(p_email) and o.paid_at is not null and c.user_id is null
      -- Says nothing new, and has an index.
      and private.email_key(o.email) = private.email_key(p_email)
      and (p_order_id is null or o.id = p_order_id)
    order by o.id
    for no key update of o
  loop
    update public.orders
    set customer_id = private.account_customer(p_user_id, p_email, r.livemode), mail_to_account = true
    where id = r.id;
    perform private.record_order_event(r.id, 'attached_to_account', 'auth');
    v_attached := v_attached + 1;
  end loop;
  return v_attached;
end;
$$;
comment on function private.attach_guest_orders(uuid, text, uuid) is
  'Gives an account the paid guest orders under its proven address (all, or p_order_id alone), and returns '
  'how many. The guest''s row and its Stripe customer stay as they are.';

create function private.note_email_proof(p_user_id uuid, p_proven boolean) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_proven then
    insert into private.proven_accounts (user_id) values (p_user_id) on conflict (user_id) do nothing;
  else
    delete from private.proven_accounts where user_id = p_user_id;
  end if;
end;
$$;
comment on function private.note_email_proof(uuid, boolean) is
  'Notes whether an account''s address, which has just changed or been confirmed, is proven.';

create function private.on_email_changed() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- Apart from the rest, so that what fails there does not undo that the address is not proven any more.
  begin
    if tg_op = 'UPDATE' and old.email is distinct from new.email then
      -- Auth mailed a link to the new address and the link was opened. Without confirmations it changes the
      -- address at once, and email_change was never written.
      perform private.note_email_proof(
        new.id,
        coalesce(lower(old.email_change) = lower(new.email) and old.email_change_sent_at is not null, false)
      );
    end if;
  exception when others then
    raise warning 'proof of an address not noted: %', private.error_text(sqlstate, sqlerrm);
    perform private.note_email_proof(new.id, false);
  end;
  begin
    if new.email_confirmed_at is not null and (tg_op = 'INSERT' or old.email_confirmed_at is null) and (
      new.confirmation_sent_at <= new.email_confirmed_at or private.is_vouched_for(new.id, new.email)
    ) then
      perform private.note_email_proof(new.id, true);
    end if;
    if nullif(new.email, '') is null or new.email_confirmed_at is null then
      return new;
    end if;
    update public.customers set email = lower(new.email)
    where user_id = new.id and email is distinct from lower(new.email);
    if exists (select 1 from private.proven_accounts p where p.user_id = new.id) then
      perform private.attach_guest_orders(new.id, new.email);
    end if;
  exception
    -- Nobody may be kept from signing in by what becomes of old orders.
    when others then
      raise warning 'guest orders not attached: %', private.error_text(sqlstate, sqlerrm);
  end;
  return new;
end;
$$;
comment on function private.on_email_changed() is
  'Trigger of auth.users: an address was confirmed or changed. Keeps private.proven_accounts, tells the '
  'customers row, and attaches guest orders to what is proven.';

create function private.on_order_paid() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.attach_guest_orders(u.id, u.email, new.id)
  from auth.users u join private.proven_accounts p on p.user_id = u.id
  -- As in Auth's own unique index: lower case, and nobody from a company's directory.
  where u.email = lower(new.email) and u.is_sso_user = false and u.email_confirmed_at is not null;
  return null;
end;
$$;
comment on function private.on_order_paid() is
  'Trigger of orders: one that a member made while signed out reaches the account, if its address is proven.';

create trigger attach_to_account after update of paid_at, email on public.orders
  for each row
    when (new.paid_at is not null and (old.paid_at is null or old.email is distinct from new.email))
  execute function private.on_order_paid();

do $$
begin
  create trigger kct_email_confirmed_on_insert after insert on auth.users
    for each row when (new.email_confirmed_at is not null)
    execute function private.on_email_changed();
  create trigger kct_email_confirmed_on_update after update of email, email_confirmed_at on auth.users
    for each row when (
      old.email is distinct from new.email
      or (old.email_confirmed_at is null and new.email_confirmed_at is not null)
    )
    execute function private.on_email_changed();
exception
  -- A platform that keeps auth.users to itself: orders then attach when `attach_guest_orders` is called by
  -- hand.
  when insufficient_privilege then
    raise warning 'auth.users allows no trigger: guest orders do not attach to accounts by themselves';
end;
$$;

-- Who had confirmed a mail before these migrations came.
insert into private.proven_accounts (user_id)
select u.id from auth.users u
where u.email_confirmed_at is not null and u.confirmation_sent_at <= u.email_confirmed_at;
