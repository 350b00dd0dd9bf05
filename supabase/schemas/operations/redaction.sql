-- How a person is found in texts, and taken out of them.

create function private.words_pattern(p_words text[]) returns text
language sql
immutable
set search_path = ''
as $$
  -- As typed, and as JSON writes it. An address inside a longer one is somebody else's.
  select '(?<![[:alnum:]._%+-])(?:' || string_agg(
    distinct regexp_replace(regexp_replace(x.word, '([].*+?^${}()|\\[-])', '\\\1', 'g'), '\s+', '\\s+', 'g'),
    '|'
  )
    || ')(?![[:alnum:]]|[.-][[:alnum:]])'
  from unnest(p_words) w (word)
  cross join lateral (values (w.word), (btrim(to_json(w.word)::text, '"'))) as x (word)
$$;
comment on function private.words_pattern(text[]) is
  'A regular expression that finds any of these words. Null: there are none.';

create function private.phone_pattern(p_phone text) returns text
language sql
immutable
set search_path = ''
as $$
  select '\+?(?<![0-9])' || regexp_replace(d.digits, '(.)(?=.)', '\1[ ()./-]*', 'g') || '(?![0-9])'
  from (select regexp_replace(p_phone, '[^0-9]', '', 'g') as digits) d
  where length(d.digits) >= 7
$$;
comment on function private.phone_pattern(text) is
  'A regular expression that finds a phone number however it is spaced. Null: too short to be one.';

create function private.redact(p_value jsonb, p_pattern text, p_mark text default '[erased]')
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case jsonb_typeof(p_value)
    when 'string' then to_jsonb(regexp_replace(p_value #>> '{}', p_pattern, p_mark, 'gi'))
    when 'array' then (
      select coalesce(jsonb_agg(private.redact(x.value, p_pattern, p_mark) order by x.position), '[]')
      from jsonb_array_elements(p_value) with ordinality as x (value, position)
    )
    when 'object' then (
      select coalesce(jsonb_object_agg(x.key, private.redact(x.value, p_pattern, p_mark)), '{}')
      from jsonb_each(p_value) x
    )
    else p_value
  end;
end;
$$;
comment on function private.redact(jsonb, text, text) is
  'A JSON value with p_mark for whatever its texts have of the pattern.';

create function private.redact_texts(p_pattern text, p_order_ids uuid[] default null) returns integer
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_count integer;
  v_total integer := 0;
begin
  perform set_config('kct.erasing', 'on', true);
  for r in
    select x.table_name, a.attname, a.atttypid = 'jsonb'::regtype as json,
      exists (
        select 1 from pg_attribute o where o.attrelid = a.attrelid and o.attname = 'order_id'
      ) as of_order
    from private.retention_rules x
    join pg_attribute a on a.attrelid = x.table_name::regclass and a.attname = any (x.columns)
    where x.holds = 'text'
  loop
    continue when p_order_ids is not null and not r.of_order;
    execute format(
      case when r.json then 'update %1$s set %2$I = private.redact(%2$I, $1) where %2$I::text ~* $1'
        else 'update %1$s set %2$I = regexp_replace(%2$I, $1, ''[erased]'', ''gi'') where %2$I ~* $1' end
        || case when p_order_ids is not null then ' and order_id = any ($2)' else '' end,
      r.table_name, r.attname
    ) using p_pattern, p_order_ids;
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  perform set_config('kct.erasing', '', true);
  return v_total;
end;
$$;
comment on function private.redact_texts(text, uuid[]) is
  'Removes what the pattern finds from every column that retention_rules calls text; p_order_ids: only in '
  'the rows of these orders. Returns how many values changed.';

create function private.without_digest(p_version text) returns text
language sql
immutable
set search_path = ''
as $$
  select regexp_replace(p_version, '[0-9a-f]{32}$', '')
$$;
comment on function private.without_digest(text) is 'A version of a fact without the digest of what it said.';

create function private.words_of_person(
  p_email text,
  p_order_ids uuid[],
  p_customer_ids uuid[],
  p_stripe_ids text[],
  out anywhere text,
  out own text
)
language sql
stable
set search_path = ''
as $$
  with known (email, name, phone, phrase) as (
    select p_email, null, null, null
    union select o.email, x.name, o.phone, x.line1
    from public.orders o cross join lateral (values
      (o.customer_name, o.billing_address ->> 'line1'), (o.shipping_name, o.shipping_address ->> 'line1')
    ) as x (name, line1)
    where o.id = any (p_order_ids)
    union select s.email, x.name, s.phone, x.line1
    from public.checkout_sessions s cross join lateral (values
      (s.name, s.billing_address ->> 'line1'), (s.shipping_name, s.shipping_address ->> 'line1')
    ) as x (name, line1)
    where s.order_id = any (p_order_ids)
    union select null, null, null, x.phrase
    from public.checkout_sessions s cross join lateral (
      select s.business ->> 'name'
      union select t ->> 'value' from jsonb_array_elements(s.business -> 'tax_ids') t
    ) as x (phrase)
    where s.order_id = any (p_order_ids)
    union select c.email, c.name, null, null from public.customers c where c.id = any (p_customer_ids)
    union select c.email, c.name, null, null from private.stripe_customers c where c.id = any (p_stripe_ids)
  ), words (word, own_only) as (
    select k.email, false from known k
    -- A single name may be a word, or somebody else's: it is searched for in the rows of the orders only.
    union select k.name, k.name !~ '\S\s+\S' from known k
    union select k.phrase, length(k.phrase) < 8 from known k
    union select part, true from known k, regexp_split_to_table(k.name, '\s+') part where length(part) >= 3
  )
  select
    concat_ws(
      '|', private.words_pattern(array_agg(w.word) filter (where not w.own_only and btrim(w.word) <> '')),
      p.phones
    ),
    concat_ws('|', private.words_pattern(array_agg(w.word) filter (where btrim(w.word) <> '')), p.phones)
  from words w
  cross join (select string_agg(distinct private.phone_pattern(k.phone), '|') as phones from known k) p
  group by p.phones
$$;
comment on function private.words_of_person(text, uuid[], uuid[], text[]) is
  'Patterns for what identifies a buyer: anywhere (addresses, full names, company, tax ids, street, phone), '
  'and own: single names and short words as well, for the rows of their orders.';
