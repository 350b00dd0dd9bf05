/** Reads the tables, foreign keys, functions and roles of the schema `$1`, as one JSON text `snapshot`. */
export const SCHEMA_QUERY = `
select json_build_object(
  'relations', (
    select coalesce(json_agg(json_build_object(
      'schema', $1::text,
      'name', c.relname,
      'isView', c.relkind in ('v', 'm'),
      'columns', (
        select coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
          'default', case
            when a.attidentity <> '' then
              format('nextval(%L::regclass)', pg_get_serial_sequence(c.oid::regclass::text, a.attname))
            when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid)
          end) order by a.attnum), '[]')
        from pg_attribute a
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      ),
      'primaryKey', (
        select coalesce(json_agg(a.attname order by k.position), '[]')
        from pg_index i
        cross join lateral unnest(i.indkey) with ordinality as k (attnum, position)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
        where i.indrelid = c.oid and i.indisprimary
      )
    )), '[]')
    from pg_class c where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
  ),
  'foreignKeys', (
    select coalesce(json_agg(json_build_object(
      'name', k.conname,
      'table', s.relname,
      'columns', (
        select json_agg(a.attname order by p.position) from unnest(k.conkey) with ordinality as p (attnum, position)
        join pg_attribute a on a.attrelid = s.oid and a.attnum = p.attnum
      ),
      'foreignTable', t.relname,
      'foreignColumns', (
        select json_agg(a.attname order by p.position) from unnest(k.confkey) with ordinality as p (attnum, position)
        join pg_attribute a on a.attrelid = t.oid and a.attnum = p.attnum
      ),
      'oneToOne', exists (
        select from pg_constraint u
        where u.conrelid = s.oid and u.contype in ('p', 'u') and u.conkey <@ k.conkey and k.conkey <@ u.conkey
      )
    )), '[]')
    from pg_constraint k
    join pg_class s on s.oid = k.conrelid and s.relnamespace = $1::text::regnamespace
    join pg_class t on t.oid = k.confrelid and t.relnamespace = $1::text::regnamespace
    where k.contype = 'f' and k.conparentid = 0
  ),
  'routines', (
    select coalesce(json_agg(json_build_object(
      'schema', $1::text,
      'name', p.proname,
      'inputs', i.inputs,
      'result', case
        when p.prorettype = 'void'::regtype then 'void'
        when t.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false) then 'composite'
        else 'scalar' end,
      'returnsSet', p.proretset,
      'resultName', coalesce((select c.relname from pg_class c where c.oid = t.typrelid), t.typname),
      'volatile', p.provolatile = 'v',
      'timeout', (
        select substr(setting, length('statement_timeout=') + 1) from unnest(p.proconfig) setting
        where setting like 'statement_timeout=%'
      )
    ) order by p.pronargs, p.oid), '[]')
    from pg_proc p
    join pg_type t on t.oid = p.prorettype
    cross join lateral (
      select
        coalesce(json_agg(json_build_object('name', coalesce(u.name, ''), 'type', format_type(u.type, null),
          'optional', u.nth > p.pronargs - p.pronargdefaults, 'variadic', u.mode = 'v') order by u.nth), '[]')
          as inputs,
        case count(*) - count(u.name)
          when 0 then true
          when 1 then (array_agg(u.type))[1] in
            ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype)
          else false
        end as callable
      from (
        select a.type, nullif(p.proargnames[a.position], '') as name, coalesce(p.proargmodes[a.position], 'i') as mode,
          row_number() over (order by a.position) as nth
        from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as a (type, position)
        where coalesce(p.proargmodes[a.position], 'i') in ('i', 'b', 'v')
      ) u
    ) i
    where p.pronamespace = $1::text::regnamespace and p.prokind = 'f' and i.callable
      and p.prorettype <> 'trigger'::regtype
  ),
  'computed', (
    select coalesce(json_agg(json_build_object('name', p.proname, 'rowOf', c.relname, 'returns', r.relname,
      'single', not p.proretset or p.prorows = 1)), '[]')
    from pg_proc p
    join pg_type a on a.oid = p.proargtypes[0]
    join pg_class c on c.oid = a.typrelid and c.relkind <> 'c'
    join pg_type t on t.oid = p.prorettype
    join pg_class r on r.oid = t.typrelid and r.relkind <> 'c'
    where p.pronargs = 1 and p.pronamespace = $1::text::regnamespace and c.relnamespace = p.pronamespace
      and r.relnamespace = p.pronamespace
  ),
  'roles', (
    select coalesce(json_agg(json_build_object('name', rolname, 'settings', rolconfig)), '[]')
    from pg_roles where rolconfig is not null
  )
)::text as snapshot`;
