-- What the commands of staff that are about no order do.

create function private.run_add_variant(p_args jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_product_id uuid;
  v_variant_id uuid;
  v_price_amount bigint := (p_args ->> 'price_amount')::bigint;
  v_currency text := lower(p_args ->> 'currency');
  v_on_hand integer := coalesce((p_args ->> 'on_hand')::integer, 0);
begin
  select id into v_product_id from public.products where slug = p_args ->> 'product_slug';
  if not found then
    raise exception 'there is no product %', p_args ->> 'product_slug' using errcode = 'SHINV';
  elsif private.amount_problem(v_price_amount, v_currency) is not null then
    raise exception 'price_amount %', private.amount_problem(v_price_amount, v_currency)
      using errcode = 'SHINV';
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
  'price that Stripe refuses.';

create function private.run_adjust_inventory(p_args jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_variant_id uuid;
  v_delta integer := (p_args ->> 'delta')::integer;
begin
  select id into v_variant_id from public.product_variants where sku = p_args ->> 'sku';
  if not found then
    raise exception 'unknown sku %', p_args ->> 'sku'
      using errcode = 'SHSKU', detail = jsonb_build_array(p_args ->> 'sku')::text;
  elsif v_delta is null or v_delta = 0 then
    raise exception 'delta must be a whole number other than 0' using errcode = 'SHINV';
  end if;
  perform set_config('kct.adjustment_reason', coalesce(p_args ->> 'reason', 'adjustment'), true);
  -- Not an upsert: a check constraint would judge the row that is only proposed, here a negative on_hand.
  update public.inventory_levels set on_hand = on_hand + v_delta
  where variant_id = v_variant_id and on_hand + v_delta >= reserved;
  if not found then
    if v_delta < 0 or exists (select 1 from public.inventory_levels where variant_id = v_variant_id) then
      raise exception 'stock of % cannot go below what is reserved', p_args ->> 'sku' using errcode = 'SHSTK';
    end if;
    insert into public.inventory_levels (variant_id, on_hand) values (v_variant_id, v_delta);
  end if;
  perform set_config('kct.adjustment_reason', '', true);
end;
$$;
comment on function private.run_adjust_inventory(jsonb) is
  'Carries out adjust_inventory; the ledger row comes from the trigger. SHSKU, SHINV, SHSTK: would go below '
  'what open checkouts hold.';

create function private.run_erase_customer(p_command_id uuid, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_count jsonb;
  v_found boolean;
begin
  -- The log of an erasure must not keep the address.
  update public.staff_commands set args = '{}' where id = p_command_id;
  v_count := private.erase_person(p_args ->> 'email');
  v_found := exists (select 1 from jsonb_each(v_count) c where c.value <> '0');
  return jsonb_build_object('ok', v_found, 'found', v_found, 'erased', v_count)
    || case when not v_found then jsonb_build_object(
      'problem',
      'Nobody is known under this address: nothing was erased. Compare the spelling with the order.'
    ) else '{}' end;
end;
$$;
comment on function private.run_erase_customer(uuid, jsonb) is
  'Carries out erase_customer, and answers with counts: { ok, found, erased: { orders, customers, '
  'stripe_customers, events, texts }, problem? }; found false: nobody is known, and nothing was changed. '
  'SHINV: a dispute still needs the data.';
