-- What the staff commands about stock do.

create function private.run_adjust_inventory(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_variant_id uuid;
  v_delta integer := (p_args ->> 'delta')::integer;
  v_on_hand integer;
begin
  select id into v_variant_id from public.product_variants where sku = p_args ->> 'sku';
  if not found then
    raise exception 'unknown sku %', p_args ->> 'sku'
      using errcode = 'SHSKU', detail = jsonb_build_array(p_args ->> 'sku')::text;
  elsif v_delta = 0 then
    raise exception 'delta must be a whole number other than 0' using errcode = 'SHINV';
  end if;
  perform private.name_stock_move('adjustment', null, p_args ->> 'reason');
  -- Not an upsert: a check constraint would judge the row that is only proposed, here a negative on_hand.
  update public.inventory_levels set on_hand = on_hand + v_delta
  where variant_id = v_variant_id and on_hand + v_delta >= reserved
  returning on_hand into v_on_hand;
  if not found then
    if v_delta < 0 or exists (select 1 from public.inventory_levels where variant_id = v_variant_id) then
      raise exception 'stock of % cannot go below what is reserved', p_args ->> 'sku'
        using errcode = 'SHSTK', hint = 'Open checkouts hold pieces; reporting.inventory_position has them.';
    end if;
    insert into public.inventory_levels (variant_id, on_hand) values (v_variant_id, v_delta)
    returning on_hand into v_on_hand;
  end if;
  perform private.name_stock_move(null);
  return jsonb_build_object('sku', p_args ->> 'sku', 'on_hand', v_on_hand);
end;
$$;
comment on function private.run_adjust_inventory(jsonb) is
  'Carries out adjust_inventory, and answers { sku, on_hand }; the journal row comes from the trigger. '
  'SHSKU, SHINV, SHSTK: would go below what open checkouts hold.';

create function private.sold_and_here(p_variant_id uuid) returns integer
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(p.here), 0)
    from public.inventory_reservations r join public.orders o on o.id = r.order_id
    cross join lateral private.line_positions(o.id) p
    where r.variant_id = p_variant_id and r.status = 'committed' and p.variant_id = p_variant_id
      and (o.fulfilled_at is null or exists (select 1 from public.returns x where x.order_id = o.id))
  );
end;
$$;
comment on function private.sold_and_here(uuid) is
  'Pieces of a variant that paid orders own and that have not left the house.';

create function private.parse_counts(p_counts jsonb) returns table (sku text, counted integer)
language plpgsql
immutable
set search_path = ''
as $$
declare
  c record;
begin
  for c in
    select x.value as line, x.ordinality as n from jsonb_array_elements(p_counts) with ordinality x
  loop
    if jsonb_typeof(c.line) <> 'object' or c.line - '{sku,counted}'::text[] <> '{}'
      or jsonb_typeof(c.line -> 'sku') is distinct from 'string'
      or coalesce(c.line ->> 'counted', '') !~ '^[0-9]{1,6}$' then
      raise exception 'line % must be a SKU and how many were counted, a whole number from 0 to 999999', c.n
        using errcode = 'SHINV', hint = '[{"sku": "SHIRT-OXF-WHT-M", "counted": 12}]';
    end if;
    sku := c.line ->> 'sku';
    counted := (c.line ->> 'counted')::integer;
    return next;
  end loop;
end;
$$;
comment on function private.parse_counts(jsonb) is
  'The lines of a stock count, [{ sku, counted }]. SHINV: a line is something else.';

create function private.parse_csv_counts(p_csv text) returns jsonb
language sql
immutable
set search_path = ''
as $$
  select coalesce(jsonb_agg(
    case
      when cardinality(l.cells) = 2 then jsonb_build_object('sku', l.cells[1], 'counted', l.cells[2])
      else to_jsonb(l.line)
    end order by l.n
  ), '[]')
  from (
    select x.line, row_number() over (order by x.n) as n, array(
      select btrim(c, ' "') from regexp_split_to_table(x.line, '[,;\t]') c
    ) as cells
    from regexp_split_to_table(p_csv, '\r?\n') with ordinality x (line, n)
    where btrim(x.line) <> ''
  ) l
  where l.n > 1 or lower(l.cells[1]) <> 'sku'
$$;
comment on function private.parse_csv_counts(text) is
  'The lines of a CSV file with SKU and figure (comma, semicolon or tab; with or without a heading that '
  'begins with sku), in the form of parse_counts().';

create function private.run_count_inventory(p_kind text, p_counts jsonb, p_note text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  c record;
  v_problem jsonb;
  v_changed jsonb := '[]';
  v_lines integer;
begin
  select count(*), jsonb_agg(distinct x.sku) filter (where v.id is null or x.times > 1)
  into v_lines, v_problem
  from (select p.sku, count(*) over (partition by p.sku) as times from private.parse_counts(p_counts) p) x
  left join public.product_variants v on v.sku = x.sku;
  if v_lines = 0 then
    raise exception 'there is no line to book' using errcode = 'SHINV';
  elsif v_problem is not null then
    raise exception 'nothing was booked; unknown, or listed twice: %', (
      select string_agg(s, ', ') from jsonb_array_elements_text(v_problem) s
    ) using errcode = 'SHSKU', detail = v_problem::text;
  end if;
  insert into public.inventory_levels (variant_id)
  select v.id from private.parse_counts(p_counts) x join public.product_variants v on v.sku = x.sku
  order by v.id
  on conflict (variant_id) do nothing;

  -- Locked first, read after: what a sale that was under way has taken must be seen whole.
  perform 1
  from public.inventory_levels l join public.product_variants v on v.id = l.variant_id
  where v.sku in (select x.sku from private.parse_counts(p_counts) x)
  order by l.variant_id
  for no key update of l;
  perform private.name_stock_move(p_kind, null, p_note);
  for c in
    select x.sku, x.counted, l.variant_id, l.on_hand, l.reserved, private.sold_and_here(l.variant_id) as sold
    from private.parse_counts(p_counts) x
    join public.product_variants v on v.sku = x.sku
    join public.inventory_levels l on l.variant_id = v.id
    order by x.sku
  loop
    if c.counted < c.sold + c.reserved then
      raise exception 'of % there must be % at least: % are sold and not sent, % are held by open checkouts',
        c.sku, c.sold + c.reserved, c.sold, c.reserved
        using errcode = 'SHSTK', hint = 'Count again; if pieces are lost, cancel or refund an order first.';
    elsif c.counted <> c.on_hand + c.sold then
      update public.inventory_levels set on_hand = c.counted - c.sold where variant_id = c.variant_id;
      v_changed := v_changed || jsonb_build_object(
        'sku', c.sku, 'was', c.on_hand + c.sold, 'counted', c.counted
      );
    end if;
  end loop;
  perform private.name_stock_move(null);
  return jsonb_build_object('lines', v_lines, 'changed', v_changed);
end;
$$;
comment on function private.run_count_inventory(text, jsonb, text) is
  'Carries out count_inventory and import_inventory: sets the stock to what was counted in the house, sold '
  'pieces that have not been sent included. All lines or none. Answers { lines, changed: [{ sku, was, '
  'counted }] }. SHSKU: unknown or listed twice; SHINV: not a count; SHSTK: less than orders and checkouts '
  'hold.';

create function public.adjust_inventory(
  p_sku text,
  p_delta integer,
  p_reason text,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'adjust_inventory',
    jsonb_build_object('sku', p_sku, 'delta', p_delta, 'reason', p_reason),
    p_dry_run, p_command_id
  )
$$;
comment on function public.adjust_inventory(text, integer, text, boolean, uuid) is
  'Goods received (p_delta > 0) or lost (p_delta < 0). Staff only.';
grant execute on function public.adjust_inventory(
  text, integer, text, boolean, uuid
) to authenticated, service_role;

create function public.count_inventory(
  p_counts jsonb,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'count_inventory',
    jsonb_build_object('counts', p_counts, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.count_inventory(jsonb, text, boolean, uuid) is
  'Sets the stock to what was counted: p_counts [{"sku", "counted"}], all pieces in the house, those sold '
  'and not sent included. All lines or none; counting again changes nothing. Staff only.';
grant execute on function public.count_inventory(jsonb, text, boolean, uuid) to authenticated, service_role;

create function public.import_inventory(
  p_csv text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'import_inventory',
    jsonb_build_object('csv', p_csv, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.import_inventory(text, text, boolean, uuid) is
  'As count_inventory(), from a CSV file: SKU and pieces in the house, with or without a heading that begins '
  'with sku. Staff only.';
grant execute on function public.import_inventory(text, text, boolean, uuid) to authenticated, service_role;
