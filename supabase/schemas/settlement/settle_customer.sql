-- settle_customer(): whose a paid order is.

create function private.settle_customer(o public.orders, s public.checkout_sessions) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid := o.customer_id;
begin
  if s.stripe_customer_id is null then
    return v_id;
  end if;
  if v_id is null then
    -- By another order of the same buyer as well: the row forgets the id of a deleted Stripe customer.
    select coalesce(
      (select c.id from public.customers c where c.stripe_customer_id = s.stripe_customer_id),
      (
        select other.customer_id
        from public.checkout_sessions cs
        join public.orders other on other.id = cs.order_id and other.session_id = cs.id
        where cs.stripe_customer_id = s.stripe_customer_id and other.customer_id is not null
        limit 1
      )
    ) into v_id;
    if v_id is null then
      insert into public.customers (email, name, stripe_customer_id, livemode)
      values (s.email, s.name, s.stripe_customer_id, s.livemode)
      on conflict on constraint customers_stripe_customer_id_key do update
        set email = coalesce(customers.email, excluded.email)
      returning id into v_id;
      perform private.settle_stripe_customer(s.stripe_customer_id);
    end if;
    return v_id;
  end if;
  update public.customers c
  set stripe_customer_id = s.stripe_customer_id
  where c.id = v_id and c.stripe_customer_id is null and c.livemode = s.livemode
    and not exists (
      select 1 from public.customers other where other.stripe_customer_id = s.stripe_customer_id
    )
    and not exists (
      select 1
      from private.stripe_customers gone where gone.id = s.stripe_customer_id and gone.deleted_at is not null
    );
  return v_id;
end;
$$;
comment on function private.settle_customer(public.orders, public.checkout_sessions) is
  'The customer row of a paid order: the account that ordered, or the guest whom Stripe knows. A deleted '
  'Stripe customer is not linked again. Called by settle_order() only.';
