-- Velocity: whom the rules look at.

create function private.subject_orders(p_subject text, p_key text, p_livemode boolean, p_since timestamptz)
returns setof public.orders
language plpgsql
stable
set search_path = ''
as $$
begin
  case p_subject
    when 'address' then
      return query select * from public.orders o
        where private.address_key(o.purchase_ip, 48) = private.address_key(p_key::inet, 48)
          and o.purchase_ip <<= p_key::inet and o.created_at >= p_since and o.livemode = p_livemode;
    when 'email' then
      return query select * from public.orders o
        where private.email_key(o.email) = p_key and o.created_at >= p_since and o.livemode = p_livemode;
    when 'user' then
      return query select o.* from public.orders o join public.customers c on c.id = o.customer_id
        where c.user_id = p_key::uuid and o.created_at >= p_since and o.livemode = p_livemode;
    when 'order' then
      return query select * from public.orders o where o.id = p_key::uuid and o.livemode = p_livemode;
    when 'shipping_address' then
      return query select * from public.orders o
        where private.delivery_key(o.shipping_address) = p_key and o.created_at >= p_since
          and o.livemode = p_livemode;
    when 'card' then
      return query select * from public.orders o
        where o.livemode = p_livemode and o.id in (
          select a.order_id
          from public.payment_attempts a where a.card_fingerprint = p_key and a.created_at >= p_since
        );
    else
      return query select * from public.orders o where o.created_at >= p_since and o.livemode = p_livemode;
  end case;
end;
$$;
comment on function private.subject_orders(text, text, boolean, timestamptz) is
  'Orders of one subject of the velocity rules since a time.';

create function private.subject_attempts(p_subject text, p_key text, p_livemode boolean, p_since timestamptz)
returns setof public.payment_attempts
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_subject = 'shop' then
    return query select * from public.payment_attempts a
      where a.created_at >= p_since and a.livemode = p_livemode
        and (a.outcome not in ('failed', 'blocked')
          or private.is_of_buyer(a.failure_code, a.decline_code, a.payment_method_type));
  elsif p_subject = 'card' then
    return query select * from public.payment_attempts a
      where a.card_fingerprint = p_key and a.created_at >= p_since and a.livemode = p_livemode
        and (a.outcome not in ('failed', 'blocked')
          or private.is_of_buyer(a.failure_code, a.decline_code, a.payment_method_type));
  else
    -- A payment page stays open for a day at most, so an order may be that much older than its attempts.
    return query select a.* from public.payment_attempts a
      where a.created_at >= p_since
        and (a.outcome not in ('failed', 'blocked')
          or private.is_of_buyer(a.failure_code, a.decline_code, a.payment_method_type))
        and a.order_id in (
          select o.id from private.subject_orders(p_subject, p_key, p_livemode, p_since - interval '1 day') o
        );
  end if;
end;
$$;
comment on function private.subject_attempts(text, text, boolean, timestamptz) is
  'Payment attempts of one subject of the velocity rules since a time, without refusals that say nothing '
  'about a buyer who tries cards: see is_of_buyer().';

create function private.velocity_keys(p_user_id uuid, p_mailbox text, p_ip inet, p_order_id uuid)
returns table (subject text, measure text, key text, factor numeric)
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_user_id is not null then
    return query values ('user', null::text, p_user_id::text, 1::numeric);
  end if;
  if p_order_id is not null then
    return query values ('order', null::text, p_order_id::text, 1::numeric);
  end if;
  if p_mailbox is not null then
    -- Anybody can type anybody's address: what was done under it must not lock an account out.
    return query values (
      'email', case when p_user_id is not null then 'disposable_email' end, p_mailbox, 1::numeric
    );
  end if;
  if p_user_id is null or not exists (
    select 1 from public.customers c join public.orders o on o.customer_id = c.id
    where c.user_id = p_user_id and o.paid_at is not null
  ) then
    return query values ('shop', null::text, 'shop', 1::numeric);
  end if;
  if p_ip is not null then
    return query select 'address', null::text, text(n.network), n.factor from private.address_keys(p_ip) n;
  end if;
end;
$$;
comment on function private.velocity_keys(uuid, text, inet, uuid) is
  'Whom rules measure when this shopper orders or pays: key of each subject, the measure if it is only one, '
  'and what a threshold is multiplied with. p_mailbox as of email_key(). p_order_id null: the order does not '
  'exist yet.';
