-- Orders that the restored database does not know, made anew from what their sessions at Stripe carry.

create function private.rescued_variant(p_line jsonb, p_currency text) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_named constant uuid := (p_line ->> 'variant_id')::uuid;
  v_id uuid := (
    select v.id from public.product_variants v
    where v.id = v_named or (v_named is null and v.sku = p_line ->> 'sku')
  );
  v_product_id uuid;
begin
  if v_id is null then
    v_id := coalesce(v_named, gen_random_uuid());
    insert into public.products (slug, name, active)
    values ('rescued-' || v_id, coalesce(p_line ->> 'name', p_line ->> 'sku'), false)
    returning id into v_product_id;
    insert into public.product_variants (id, product_id, sku, price_amount, currency, active)
    select v_id, v_product_id,
      case when exists (select 1 from public.product_variants v where v.sku = p_line ->> 'sku')
        then 'RESCUED-' || v_id else p_line ->> 'sku' end,
      (p_line ->> 'unit_amount')::bigint, p_currency, false;
  end if;
  insert into public.inventory_levels (variant_id) values (v_id) on conflict (variant_id) do nothing;
  return v_id;
end;
$$;
comment on function private.rescued_variant(jsonb, text) is
  'The goods of a line { variant_id, sku, name, unit_amount }. What was added to the catalogue after the '
  'backup is added again under its own id, not for sale, so that the order has its goods.';

create function private.rescued_lines(p_lines jsonb, p_currency text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  l jsonb;
  v_id uuid;
  v_lines jsonb := '[]';
begin
  for l in select x from jsonb_array_elements(p_lines) x order by x ->> 'sku' collate "C" loop
    v_id := private.rescued_variant(l, p_currency);
    v_lines := v_lines || (
      select l || jsonb_build_object(
        'variant_id', v.id, 'name', coalesce(l ->> 'name', private.variant_name(p.name, v.color, v.size))
      )
      from public.product_variants v join public.products p on p.id = v.product_id
      where v.id = v_id
    );
  end loop;
  return v_lines;
end;
$$;
comment on function private.rescued_lines(jsonb, text) is
  'Lines with their goods: see rescued_variant(). A name that Stripe does not tell is that of the catalogue.';

create function private.rescued_number(p_number text, p_order_id uuid) returns text
language plpgsql
set search_path = ''
as $$
declare
  v_number text := p_number;
  v_digits constant text := substring(p_number from '[0-9]{1,15}$');
begin
  -- Somebody may have bought between the restore and the rescue.
  for n in 2 .. 99 loop
    exit when not exists (select 1 from public.orders o where o.number = v_number and o.id <> p_order_id);
    v_number := p_number || '-' || n;
  end loop;
  if v_digits is not null then
    -- Of two at the same time the lower one must not come last.
    perform pg_advisory_xact_lock(hashtextextended('rescued number', 0));
    perform setval('private.order_number_seq', v_digits::bigint)
    from private.order_number_seq s where s.last_value < v_digits::bigint;
  end if;
  return v_number;
end;
$$;
comment on function private.rescued_number(text, uuid) is
  'The number of a rescued order: its own, or with -2 behind it where another order has that by now. New '
  'orders are numbered after it.';

create function private.top_up_stock(p_order_id uuid) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_pieces integer;
begin
  perform private.lock_stock_of_order(p_order_id);
  perform private.name_stock_move('adjustment', null, private.top_up_note(), 'rescue');
  with missing as (
    select r.variant_id, r.quantity - r.returned - (l.on_hand - l.reserved) as pieces
    from public.inventory_reservations r join public.inventory_levels l on l.variant_id = r.variant_id
    where r.order_id = p_order_id and r.status = 'released'
      and r.quantity - r.returned > l.on_hand - l.reserved
  ), added as (
    update public.inventory_levels l set on_hand = l.on_hand + m.pieces
    from missing m where l.variant_id = m.variant_id
    returning m.pieces
  )
  select coalesce(sum(a.pieces), 0) into v_pieces from added a;
  perform private.name_stock_move(null);
  return v_pieces;
end;
$$;
comment on function private.top_up_stock(uuid) is
  'Adds the pieces that an order had and that the restored stock lacks: goods that were received after the '
  'backup. Without them the order would be taken for oversold, and refunded. Returns how many. Called with '
  'the order locked.';

create function private.top_up_note() returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return 'sold after the backup, and not in its stock';
end;
$$;
comment on function private.top_up_note() is 'The note of what top_up_stock() adds, in inventory_journal.';

create function private.hold_rescued_stock(p_order_id uuid, p_open boolean, p_expires_at timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  -- As long as checkout holds goods beyond the end of their page.
  c_hold constant interval := '30 minutes';
begin
  insert into public.inventory_reservations (order_id, variant_id, quantity, status, expires_at)
  select i.order_id, i.variant_id, i.quantity, 'released', p_expires_at + c_hold
  from public.order_items i where i.order_id = p_order_id
  on conflict on constraint inventory_reservations_order_variant_key do nothing;
  -- Only what a page may still sell is held: the goods of one that has ended were free, and may have been
  -- sold to somebody else.
  if p_open then
    perform private.top_up_stock(p_order_id);
    perform private.reserve_stock(p_order_id, p_expires_at + c_hold);
  end if;
end;
$$;
comment on function private.hold_rescued_stock(uuid, boolean, timestamptz) is
  'The reservations of a rescued order: held while its page is open (p_open), else free until settling takes '
  'what was paid for.';

create function private.make_rescued_order(p_order jsonb, p_lines jsonb) returns text
language plpgsql
set search_path = ''
as $$
declare
  x record;
  v_number text;
  v_customer_id uuid;
begin
  select * into x from jsonb_to_record(p_order) as o (
    id uuid, number text, attempt integer, account_id uuid, currency text, livemode boolean, email text,
    locale text, ui_mode text, prices_include_tax boolean, shipping_rates jsonb, created bigint,
    expires_at bigint
  );
  v_number := private.rescued_number(x.number, x.id);
  if x.account_id is not null then
    v_customer_id := private.account_customer(x.account_id, x.email, x.livemode);
  end if;
  insert into public.orders (
    id, number, customer_id, account_id, email, mail_to_account, locale, accepts_marketing, currency,
    amount_subtotal, amount_total, livemode, cart_hash, ui_mode, attempt, session_expires_at,
    prices_include_tax, shipping_rates, created_at
  )
  select x.id, v_number, v_customer_id, x.account_id, x.email,
    coalesce((select lower(u.email) = lower(x.email) from auth.users u where u.id = x.account_id), false),
    x.locale,
    -- Whether the shopper agreed to reminders is not known at Stripe: who may have said no is not reminded.
    false,
    x.currency, l.amount, l.amount, x.livemode, private.hash_lines(p_lines, x.currency), x.ui_mode,
    x.attempt, to_timestamp(x.expires_at), x.prices_include_tax, x.shipping_rates, to_timestamp(x.created)
  from (
    select sum(i.quantity * i.unit_amount) as amount
    from jsonb_to_recordset(p_lines) as i (quantity integer, unit_amount bigint)
  ) l;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount, tax_code)
  select x.id, l.variant_id, l.sku, l.name, l.quantity, l.unit_amount, l.tax_code
  from jsonb_to_recordset(p_lines) as l (
    variant_id uuid, sku text, name text, quantity integer, unit_amount bigint, tax_code text
  );
  perform private.record_order_event(
    x.id, 'order_created', 'rescue',
    jsonb_build_object('amount_subtotal', (
      select o.amount_subtotal from public.orders o where o.id = x.id
    ), 'currency', x.currency)
  );
  return v_number;
end;
$$;
comment on function private.make_rescued_order(jsonb, jsonb) is
  'Writes an order as its session at Stripe tells it; p_lines with their variants. Its cart_hash is that of '
  'the lines, so that settling sees when they are not what was sold. Returns its number.';

create function private.reopen_rescued_order(p_order jsonb, p_lines jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_id constant uuid := (p_order ->> 'id')::uuid;
begin
  update public.order_items i set unit_amount = l.unit_amount, name = l.name, tax_code = l.tax_code
  from jsonb_to_recordset(p_lines) as l (variant_id uuid, name text, unit_amount bigint, tax_code text)
  where i.order_id = v_id and i.variant_id = l.variant_id;
  update public.orders o set
    attempt = (p_order ->> 'attempt')::integer,
    session_expires_at = to_timestamp((p_order ->> 'expires_at')::bigint),
    prices_include_tax = (p_order ->> 'prices_include_tax')::boolean,
    shipping_rates = p_order -> 'shipping_rates', abandoned_at = null,
    cart_hash = private.hash_of_order(v_id), amount_subtotal = l.amount
  from (
    select sum(i.quantity * i.unit_amount) as amount from public.order_items i where i.order_id = v_id
  ) l
  where o.id = v_id;
  perform private.record_order_event(
    v_id, 'checkout_reopened', 'rescue', jsonb_build_object('attempt', p_order -> 'attempt')
  );
end;
$$;
comment on function private.reopen_rescued_order(jsonb, jsonb) is
  'A later attempt of an order that the backup has: its prices, delivery prices and end are those of that '
  'attempt.';

create function private.rescue_terms(p_order jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_id constant uuid := (p_order ->> 'id')::uuid;
  v_attempt constant integer := (p_order ->> 'attempt')::integer;
begin
  if not p_order ? 'terms_version' then
    return;
  end if;
  delete from public.order_terms t where t.order_id = v_id and t.attempt = v_attempt;
  insert into public.order_terms (order_id, attempt, version)
  select v_id, v_attempt, p_order ->> 'terms_version' where p_order ->> 'terms_version' is not null;
end;
$$;
comment on function private.rescue_terms(jsonb) is
  'Notes the terms that stood on the payment page of a rescued attempt (terms_version; null: none were in '
  'force), and not those of the restored setting. Not there: made before pages told them.';

create type public.rescued_order as (outcome text, number text);
comment on type public.rescued_order is
  'What a session meant: made (an order that was not known), reopened (a later attempt of a known one) or '
  'known; and the number of the order.';

create function public.rescue_order(p_order jsonb, p_fact jsonb) returns public.rescued_order
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_id constant uuid := (p_order ->> 'id')::uuid;
  v_ends constant timestamptz := to_timestamp((p_order ->> 'expires_at')::bigint);
  v_open constant boolean := (p_order ->> 'open')::boolean;
  v_lines jsonb;
  o public.orders;
  r public.rescued_order := row('known', null);
begin
  perform private.date_effects(to_timestamp((p_order ->> 'created')::bigint));
  if cardinality(public.list_missing_orders(array[v_id])) = 0 then
    o := private.lock_order(v_id);
  end if;
  if o.id is null or (o.attempt < (p_order ->> 'attempt')::integer and o.erased_at is null) then
    v_lines := private.rescued_lines(p_order -> 'lines', p_order ->> 'currency');
    if o.id is null then
      r := row('made', private.make_rescued_order(p_order, v_lines));
    else
      perform private.reopen_rescued_order(p_order, v_lines);
      r.outcome := 'reopened';
    end if;
    perform private.hold_rescued_stock(v_id, v_open, v_ends);
    perform private.rescue_terms(p_order);
  end if;
  r.number := coalesce(r.number, o.number);
  perform public.attach_checkout_session(v_id, (p_order ->> 'attempt')::integer, p_fact);
  update public.checkout_sessions s set created_at = to_timestamp((p_order ->> 'created')::bigint)
  where s.id = p_fact ->> 'id' and s.created_at > to_timestamp((p_order ->> 'created')::bigint)
    and r.outcome <> 'known';
  return r;
end;
$$;
comment on function public.rescue_order(jsonb, jsonb) is
  'Makes the order of a session at Stripe, or a later attempt of one that the backup has, and notes the '
  'session as it was when it was made (p_fact). p_order: { id, number, attempt, account_id, currency, '
  'livemode, email, locale, ui_mode, prices_include_tax, shipping_rates, created, expires_at, open, lines: '
  '[{ variant_id, sku, name, quantity, unit_amount, tax_code }] }; times in seconds. Repeating it changes '
  'nothing.';
grant execute on function public.rescue_order(jsonb, jsonb) to service_role;

create function public.list_missing_orders(p_order_ids uuid[]) returns uuid[]
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return array(
    select distinct x.id from unnest(p_order_ids) as x (id)
    where not exists (select 1 from public.orders o where o.id = x.id) order by 1
  );
end;
$$;
comment on function public.list_missing_orders(uuid[]) is
  'Which of these orders this database does not have.';
grant execute on function public.list_missing_orders(uuid[]) to service_role;
