-- Orders that somebody made as a guest appear in the account that confirms the same e-mail address.

create function private.attach_guest_orders(p_user_id uuid, p_email text) returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  r record;
  v_attached integer := 0;
begin
  -- Only paid orders: they carry the address that was used on Stripe's page; before that anybody can type any.
  for r in
    select o.id, o.livemode
    from public.orders o left join public.customers c on c.id = o.customer_id
    where lower(o.email) = lower(p_email) and o.paid_at is not null and c.user_id is null
    order by o.id
    for no key update of o
  loop
    update public.orders set customer_id = private.account_customer(p_user_id, p_email, r.livemode) where id = r.id;
    perform private.record_order_event(r.id, 'attached_to_account', 'auth');
    v_attached := v_attached + 1;
  end loop;
  return v_attached;
end;
$$;
comment on function private.attach_guest_orders(uuid, text) is
  'Gives an account the paid guest orders under its confirmed address, and returns how many. The guest''s row and its Stripe customer stay as they are.';
revoke execute on function private.attach_guest_orders(uuid, text) from public, anon, authenticated;

create function private.on_email_confirmed() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if new.email is not null and new.email_confirmed_at is not null then
    update public.customers set email = new.email where user_id = new.id and email is distinct from new.email;
    perform private.attach_guest_orders(new.id, new.email);
  end if;
  return new;
exception
  -- Nobody may be kept from signing in by what becomes of old orders.
  when others then
    raise warning 'guest orders not attached: %', private.error_text(sqlstate, sqlerrm);
    return new;
end;
$$;
comment on function private.on_email_confirmed() is 'Trigger of auth.users: an address was confirmed, or a confirmed one changed.';
revoke execute on function private.on_email_confirmed() from public, anon, authenticated;

do $$
begin
  create trigger kct_email_confirmed_on_insert after insert on auth.users
    for each row when (new.email_confirmed_at is not null)
    execute function private.on_email_confirmed();
  create trigger kct_email_confirmed_on_update after update of email, email_confirmed_at on auth.users
    for each row when (
      new.email_confirmed_at is not null
      and (old.email_confirmed_at is null or old.email is distinct from new.email)
    )
    execute function private.on_email_confirmed();
exception
  -- A platform that keeps auth.users to itself: orders then attach when `attach_guest_orders` is called by hand.
  when insufficient_privilege then
    raise warning 'auth.users allows no trigger: guest orders do not attach to accounts by themselves';
end;
$$;
