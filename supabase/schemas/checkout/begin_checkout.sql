-- begin_checkout(): a new order from a cart, or the one that the same request made before.

create function private.open_checkouts(p_user_id uuid, p_session_id text, p_livemode boolean)
returns setof public.orders
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_user_id is not null then
    return query select o.* from public.orders o
      join public.customers c on c.id = o.customer_id
      where c.user_id = p_user_id and o.livemode = p_livemode and o.status = 'pending';
  end if;
  -- Whoever knows the id of a session has been to its payment page. That of another account is none of
  -- theirs.
  if p_session_id is not null then
    return query select o.* from public.checkout_sessions s
      join public.orders o on o.id = s.order_id
      left join public.customers c on c.id = o.customer_id
      where s.id = p_session_id and o.livemode = p_livemode and o.status = 'pending' and c.user_id is null;
  end if;
end;
$$;
comment on function private.open_checkouts(uuid, text, boolean) is
  'The unpaid checkouts of a shopper: those of the account, and for guests the one whose session id they '
  'present. An e-mail address is no proof of anything and is not looked at.';

create function private.superseded_sessions(p_key text, p_user_id uuid, p_session_id text, p_livemode boolean)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(s.id order by s.id)
    from private.open_checkouts(p_user_id, p_session_id, p_livemode) o
    join public.checkout_sessions s on s.order_id = o.id
    where s.status = 'open' and (p_key is null or o.idempotency_key is distinct from p_key)
  );
end;
$$;
comment on function private.superseded_sessions(text, uuid, text, boolean) is
  'Open payment pages of a shopper that a checkout with this key takes the place of, or null.';

create function private.account_customer(p_user_id uuid, p_email text, p_livemode boolean) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_email text;
  v_id uuid;
begin
  -- The account's own address, not the one that this cart names.
  select coalesce(nullif(lower(trim(u.email)), ''), p_email) into v_email
  from auth.users u where u.id = p_user_id;
  if not found then
    -- Deleted while their token still runs: they go on as a guest.
    return null;
  end if;
  insert into public.customers as c (user_id, email, livemode) values (p_user_id, v_email, p_livemode)
  on conflict on constraint customers_user_id_key do update set email = coalesce(excluded.email, c.email)
  returning id into v_id;
  return v_id;
end;
$$;
comment on function private.account_customer(uuid, text, boolean) is
  'The customers row of an account, made at its first checkout. Null when the account is gone.';

create function private.create_order(
  p_cart jsonb,
  p_risk jsonb,
  p_key text,
  p_user_id uuid,
  p_email text,
  p_client_ip inet,
  p_user_agent text,
  p_locale text,
  p_livemode boolean,
  p_velocity_mode text,
  p_session_seconds integer,
  p_hold_seconds integer,
  p_accepts_marketing boolean,
  p_ui_mode text
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_customer_id uuid := case
    when p_user_id is not null then private.account_customer(p_user_id, p_email, p_livemode)
  end;
  v_order_id uuid;
  v_snapshot jsonb;
begin
  insert into public.orders (
    customer_id, account_id, email, mail_to_account, locale, accepts_marketing, currency, amount_subtotal,
    amount_total, livemode, cart_hash, idempotency_key, ui_mode, session_expires_at, purchase_ip,
    user_agent, prices_include_tax, shipping_rates, asked_currency, asked_country
  ) values (
    v_customer_id, case when v_customer_id is not null then p_user_id end, p_email,
    coalesce((select lower(u.email) = lower(p_email) from auth.users u where u.id = p_user_id), false),
    p_locale, p_accepts_marketing, p_cart ->> 'currency', (p_cart ->> 'amount')::bigint,
    (p_cart ->> 'amount')::bigint, p_livemode,
    p_cart ->> 'hash', p_key, p_ui_mode, now() + make_interval(secs => p_session_seconds), p_client_ip,
    left(p_user_agent, 500), coalesce((private.setting('prices_include_tax'))::boolean, false),
    private.offered_shipping_rates(p_cart ->> 'currency', p_cart ->> 'asked_country'),
    p_cart ->> 'asked_currency', p_cart ->> 'asked_country'
  ) returning id into v_order_id;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount, tax_code)
  select v_order_id, l.variant_id, l.sku, l.name, l.quantity, l.unit_amount, l.tax_code
  from jsonb_to_recordset(p_cart -> 'lines') as l (
    variant_id uuid, sku text, name text, quantity integer, unit_amount bigint, tax_code text
  );
  update public.order_risk set velocity_mode = p_velocity_mode, three_d_secure = p_risk ->> 'three_d_secure'
  where order_id = v_order_id;
  perform private.record_velocity_hits(p_risk, v_order_id);
  perform private.record_order_event(
    v_order_id, 'order_created', 'checkout',
    jsonb_build_object('amount_subtotal', p_cart -> 'amount', 'currency', p_cart ->> 'currency')
  );
  perform private.record_order_event(v_order_id, 'stock_reserved', 'checkout');
  v_snapshot := private.checkout_snapshot(v_order_id, 'created');
  -- Last, because whoever else buys these goods waits from here to the commit.
  perform private.reserve_stock(v_order_id, now() + make_interval(secs => p_hold_seconds));
  return v_snapshot;
end;
$$;
comment on function private.create_order(
  jsonb, jsonb, text, uuid, text, inet, text, text, boolean, text, integer, integer, boolean, text
) is
  'A pending order with the frozen prices of p_cart (see price_cart()), what the velocity rules found, and '
  'its stock reserved. Returns its checkout_snapshot(). SHSTK.';

create function private.wait_for_repeats(p_key text, p_user_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_key is not null then
    perform pg_advisory_xact_lock(hashtextextended('checkout:' || p_key, 0));
  end if;
  if p_user_id is not null then
    perform pg_advisory_xact_lock(hashtextextended('checkout-of:' || p_user_id, 0));
  end if;
end;
$$;
comment on function private.wait_for_repeats(text, uuid) is
  'Parallel checkouts of one key, and of one account, queue up here: the later one finds what the '
  'first made.';

create function private.checkout_key(p_user_id uuid, p_idempotency_key text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return coalesce(p_user_id::text, 'guest') || ':' || case
    -- How long a guest's key was says how hard it is to guess.
    when starts_with(p_idempotency_key, 'digest:') then left(
      'k' || private.keyed_digest(p_idempotency_key),
      coalesce(substring(p_idempotency_key from '^digest:(\d{1,3}):')::integer, length(p_idempotency_key))
    )
    else p_idempotency_key
  end;
end;
$$;
comment on function private.checkout_key(uuid, text) is
  'What is stored of an Idempotency-Key, with whose it is; null: there is none. One that holds what looks '
  'like a card number comes as digest:<length>:<SHA-256>, and is stored as a digest with the key of the '
  'database, as long as it was: who has a bare one can try all card numbers.';

create function private.same_checkout_again(
  p_user_id uuid,
  p_email text,
  p_session_id text,
  p_livemode boolean,
  p_cart jsonb,
  p_ui_mode text
) returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  -- "The same cart again a few seconds later": longer than a browser waits before it gives up and repeats.
  c_repeat_window constant interval := '30 seconds';
begin
  return (
    select o.id
    from private.open_checkouts(p_user_id, p_session_id, p_livemode) o
    where o.created_at > now() - c_repeat_window and o.cart_hash = p_cart ->> 'hash'
      and o.asked_country is not distinct from p_cart ->> 'asked_country' and o.ui_mode = p_ui_mode
      -- Who has signed in since wants it in the account; who names another address mistyped the first.
      and o.account_id is not distinct from p_user_id and lower(o.email) is not distinct from lower(p_email)
    order by o.created_at desc limit 1
  );
end;
$$;
comment on function private.same_checkout_again(uuid, text, text, boolean, jsonb, text) is
  'The open order that a request without an Idempotency-Key repeats, or null: same shopper and address, '
  'same cart, same kind of page, seconds ago.';

create function private.note_marketing_choice(p_order_id uuid, p_accepts_marketing boolean) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.orders set accepts_marketing = p_accepts_marketing
  where id = p_order_id and accepts_marketing is distinct from p_accepts_marketing
    and p_accepts_marketing is not null;
end;
$$;
comment on function private.note_marketing_choice(uuid, boolean) is
  'Whether reminders may follow, as a repeat of a checkout says; null: it says nothing. The last word '
  'counts: a box that is unticked meanwhile must not bring mails.';

create function public.begin_checkout(
  p_items jsonb,
  p_idempotency_key text, p_user_id uuid, p_email text,
  p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean,
  p_session_seconds integer, p_hold_seconds integer,
  p_velocity_mode text default 'off',
  p_previous_session_id text default null, p_supersede boolean default true,
  p_accepts_marketing boolean default null, p_ui_mode text default 'hosted_page',
  p_currency text default null, p_country text default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_key text := private.checkout_key(p_user_id, p_idempotency_key);
  v_found jsonb;
  v_cart jsonb;
  v_order_id uuid;
  v_superseded jsonb; v_risk jsonb;
begin
  perform private.refuse_during_rescue();
  perform private.wait_for_repeats(v_key, p_user_id);
  if p_supersede then
    v_superseded := private.superseded_sessions(v_key, p_user_id, p_previous_session_id, p_livemode);
  end if;
  if v_key is not null then
    v_found := private.find_checkout(
      v_key, private.asked_lines(p_items), p_email, v_superseded, p_client_ip::inet, p_ui_mode, p_currency,
      p_country, p_livemode
    );
    if v_found ->> 'outcome' in ('ended', 'existing') then
      v_order_id := (v_found ->> 'order_id')::uuid;
    elsif v_found is not null then
      return v_found;
    end if;
  end if;
  if v_order_id is null then
    v_cart := private.price_cart(p_items, p_currency, p_country);
  end if;
  if p_idempotency_key is null then
    v_order_id := private.same_checkout_again(
      p_user_id, p_email, p_previous_session_id, p_livemode, v_cart, p_ui_mode
    );
  end if;
  if v_order_id is not null then
    perform private.note_marketing_choice(v_order_id, p_accepts_marketing);
    return private.enter_checkout(
      v_order_id, p_velocity_mode, p_client_ip, p_supersede,
      coalesce(v_found ->> 'outcome' = 'ended', false), p_session_seconds, p_hold_seconds, p_ui_mode
    );
  end if;
  if v_superseded is not null then
    perform private.refuse_shortage(v_cart -> 'lines', v_superseded);
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_superseded);
  end if;

  v_risk := private.check_velocity(
    p_velocity_mode, p_user_id, p_email, p_client_ip::inet, v_cart, p_livemode
  );
  if v_risk ->> 'action' = 'block' then
    return private.velocity_exceeded(v_risk);
  end if;
  return private.create_order(
    v_cart, v_risk, v_key, p_user_id, p_email, p_client_ip::inet, p_user_agent, p_locale, p_livemode,
    p_velocity_mode, p_session_seconds, p_hold_seconds, p_accepts_marketing, p_ui_mode
  );
end;
$$;
comment on function public.begin_checkout(
  jsonb, text, uuid, text, text, text, text, boolean, integer, integer, text, text, boolean, boolean, text,
  text, text
) is
  'Makes a pending order with frozen prices and reserved stock from [{ sku, quantity }], or finds the one '
  'this Idempotency-Key (or this shopper, seconds ago) made before. Outcomes: created, existing (the '
  'snapshot to send to Stripe), superseded (expire session_ids at Stripe, then ask again with p_supersede '
  'false), velocity_exceeded. p_currency, p_country: what the shopper wants to pay in, and where the parcel '
  'goes; null: not said. SHSKU unknown_sku, SHSTK insufficient_stock, SHIDC idempotency_conflict, SHCUR '
  'mixed currencies, SHNIC currency_unavailable, SHSHP shipping_unavailable, SHINV invalid, SHCLO checkout '
  'is closed.';
grant execute on function public.begin_checkout(
  jsonb, text, uuid, text, text, text, text, boolean, integer, integer, text, text, boolean, boolean, text,
  text, text
) to service_role;
