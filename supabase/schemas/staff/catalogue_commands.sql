-- What the staff commands about products and prices do.

create function private.read_price(p_args jsonb, p_currency text) returns bigint
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_problem text := private.amount_problem(0, p_currency);
  v_amount bigint;
begin
  if v_problem is null then
    v_amount := private.read_amount(p_args -> 'price_amount', p_currency, (p_args ->> 'confirm')::boolean);
    v_problem := private.amount_problem(v_amount, p_currency);
  end if;
  if v_problem is not null then
    raise exception 'price_amount %', v_problem using errcode = 'SHINV';
  end if;
  return v_amount;
end;
$$;
comment on function private.read_price(jsonb, text) is
  'The price that a command names, in minor units. SHINV, SHREF: see read_amount(), or one that Stripe '
  'refuses.';

create function private.run_add_product(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid;
begin
  if p_args ->> 'slug' !~ '^[a-z0-9]+(-[a-z0-9]+)*$' then
    raise exception 'slug must be lower case words and figures with hyphens, e.g. oxford-shirt'
      using errcode = 'SHINV';
  end if;
  insert into public.products (slug, name, description, image_url, active)
  values (
    p_args ->> 'slug', p_args ->> 'name', p_args ->> 'description', p_args ->> 'image_url',
    coalesce((p_args ->> 'active')::boolean, true)
  )
  on conflict (slug) do nothing
  returning id into v_id;
  if v_id is null then
    raise exception 'product % exists already', p_args ->> 'slug'
      using errcode = 'SHINV', hint = 'Its sizes and colours come with add_variant().';
  end if;
  return jsonb_build_object('product_id', v_id);
end;
$$;
comment on function private.run_add_product(jsonb) is
  'Carries out add_product, and answers { product_id }. SHINV: the slug is taken, or not one.';

create function private.run_add_variant(p_args jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_product_id uuid;
  v_variant_id uuid;
  v_currency constant text := lower(p_args ->> 'currency');
  v_price_amount constant bigint := private.read_price(p_args, v_currency);
  v_on_hand constant integer := coalesce((p_args ->> 'on_hand')::integer, 0);
begin
  select id into v_product_id from public.products where slug = p_args ->> 'product_slug';
  if not found then
    raise exception 'there is no product %', p_args ->> 'product_slug'
      using errcode = 'SHINV', hint = 'add_product() makes one.';
  elsif v_on_hand < 0 then
    raise exception 'on_hand must not be negative' using errcode = 'SHINV';
  elsif exists (select 1 from public.product_variants where sku = p_args ->> 'sku') then
    raise exception 'sku % exists already', p_args ->> 'sku' using errcode = 'SHINV';
  end if;
  insert into public.product_variants (product_id, sku, size, color, price_amount, currency)
  values (v_product_id, p_args ->> 'sku', p_args ->> 'size', p_args ->> 'color', v_price_amount, v_currency)
  returning id into v_variant_id;
  insert into public.inventory_levels (variant_id, on_hand) values (v_variant_id, v_on_hand);
end;
$$;
comment on function private.run_add_variant(jsonb) is
  'Carries out add_variant: the variant and its stock row. SHINV: no such product, the SKU exists, or a '
  'price that Stripe refuses; SHREF: a price that looks like major units.';

create function private.run_set_price(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v public.product_variants;
  v_currency text;
  v_was bigint;
  v_amount bigint;
begin
  select * into v from public.product_variants x where x.sku = p_args ->> 'sku' for no key update;
  if not found then
    raise exception 'unknown sku %', p_args ->> 'sku'
      using errcode = 'SHSKU', detail = jsonb_build_array(p_args ->> 'sku')::text;
  end if;
  v_currency := coalesce(lower(p_args ->> 'currency'), v.currency);
  v_was := private.price_in(v, v_currency);
  v_amount := private.read_price(p_args, v_currency);
  if v_currency = v.currency then
    update public.product_variants set price_amount = v_amount where id = v.id and price_amount <> v_amount;
  else
    insert into public.variant_prices (variant_id, currency, price_amount) values (v.id, v_currency, v_amount)
    on conflict (variant_id, currency) do update set price_amount = excluded.price_amount;
  end if;
  return jsonb_build_object('sku', v.sku, 'currency', v_currency, 'was', v_was, 'price_amount', v_amount);
end;
$$;
comment on function private.run_set_price(jsonb) is
  'Carries out set_price, and answers { sku, currency, was, price_amount } (was null: it had no price in '
  'this currency); orders that exist keep their price. SHSKU; SHINV: a price that Stripe refuses; SHREF: '
  'one that looks like major units.';

create function public.add_product(
  p_slug text,
  p_name text,
  p_description text default null,
  p_image_url text default null,
  p_active boolean default true,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'add_product',
    jsonb_build_object(
      'slug', p_slug, 'name', p_name, 'description', p_description, 'image_url', p_image_url,
      'active', p_active
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.add_product(text, text, text, text, boolean, boolean, uuid) is
  'Adds a product; its sizes and colours come with add_variant(). Staff only.';
grant execute on function public.add_product(
  text, text, text, text, boolean, boolean, uuid
) to authenticated, service_role;

create function public.add_variant(
  p_product_slug text,
  p_sku text,
  p_price_amount numeric,
  p_currency text,
  p_size text default null,
  p_color text default null,
  p_on_hand integer default 0,
  p_confirm boolean default false,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'add_variant',
    jsonb_build_object(
      'product_slug', p_product_slug, 'sku', p_sku, 'price_amount', p_price_amount, 'currency', p_currency,
      'size', p_size, 'color', p_color, 'on_hand', p_on_hand, 'confirm', nullif(p_confirm, false)
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.add_variant(
  text, text, numeric, text, text, text, integer, boolean, boolean, uuid
) is
  'Puts a size and colour of a product on sale, with its stock. p_price_amount in Stripe''s minor units; a '
  'price that Stripe refuses is refused, one below one unit of the currency needs p_confirm. Staff only.';
grant execute on function public.add_variant(
  text, text, numeric, text, text, text, integer, boolean, boolean, uuid
) to authenticated, service_role;

create function public.set_price(
  p_sku text,
  p_price_amount numeric,
  p_confirm boolean default false,
  p_currency text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'set_price',
    jsonb_build_object(
      'sku', p_sku, 'price_amount', p_price_amount, 'confirm', nullif(p_confirm, false),
      'currency', p_currency
    ),
    p_dry_run, p_command_id
  )
$$;
comment on function public.set_price(text, numeric, boolean, text, boolean, uuid) is
  'Gives a SKU another price, in minor units of its currency, or of p_currency: a price in a further '
  'currency. For checkouts from now on. Less than one unit of the currency needs p_confirm. Staff only.';
grant execute on function public.set_price(
  text, numeric, boolean, text, boolean, uuid
) to authenticated, service_role;
