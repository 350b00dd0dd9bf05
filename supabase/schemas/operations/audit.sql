-- The audit trail: order_events, staff_commands and inventory_journal. Nobody changes or deletes a row of it,
-- and a change past the triggers is found.
--
-- Each row is sealed once: a leaf holds a digest of what the row says, and a salted digest of its texts.
-- Leaves are sealed in batches, and each seal's digest contains the one before it, so to change a row
-- somebody has to make all seals after it anew. Writers take no lock for that: they note their row as
-- unsealed in the same transaction, and the heartbeat seals what has been committed. A transaction that
-- commits late is sealed later; none is skipped.
--
-- What a person may ask to have removed stays out of the chain: the text is in its row, the salt of its
-- digest beside the leaf, in no digest. An erasure changes the one and empties the other, and the row is
-- sealed once more as it is now. The digest that stays says nothing without its salt.

create table private.audited_tables (
  name text primary key,
  numbered_by text not null,
  texts text[] not null
);
comment on table private.audited_tables is
  'Append-only tables that are sealed. numbered_by: their identity column; texts: columns that an erasure '
  'may change.';
insert into private.audited_tables (name, numbered_by, texts) values
  ('public.order_events', 'id', '{data}'),
  ('public.staff_commands', 'number', '{args,result}'),
  ('public.inventory_journal', 'id', '{note}');

create table private.audit_unsealed (
  table_name text not null references private.audited_tables (name),
  row_number bigint not null,
  noted_at timestamptz not null default clock_timestamp(),
  constraint audit_unsealed_pkey primary key (table_name, row_number)
);
comment on table private.audit_unsealed is
  'Rows that wait to be sealed: written since the last seal, or changed by an erasure.';

create table private.audit_seals (
  id bigint primary key,
  digest bytea not null,
  sealed_at timestamptz not null default clock_timestamp()
);
comment on table private.audit_seals is
  'The chain, numbered from 1. digest: of the leaves of this seal and the digest before it. The newest one, '
  'kept outside of this database, proves the whole trail.';

create table private.audit_leaves (
  -- The seal is written after its leaves, whose digest it holds.
  seal_id bigint not null references private.audit_seals (id) deferrable initially deferred,
  position integer not null,
  table_name text not null references private.audited_tables (name),
  row_number bigint not null,
  row_digest bytea not null,
  text_digest bytea not null,
  salt bytea,
  constraint audit_leaves_pkey primary key (seal_id, position)
);
comment on table private.audit_leaves is
  'What was sealed of each row, by seal. text_digest: of salt and texts. A row that an erasure has changed '
  'has a leaf for each time.';
comment on column private.audit_leaves.salt is 'It goes with the text: an erasure empties it.';
create index audit_leaves_row_idx on private.audit_leaves (table_name, row_number, seal_id);

alter table private.audited_tables enable row level security;
alter table private.audit_unsealed enable row level security;
alter table private.audit_seals enable row level security;
alter table private.audit_leaves enable row level security;

create function private.refuse_any_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'SHAPP';
end;
$$;
comment on function private.refuse_any_change() is
  'Trigger of the chain: refuses update, delete and truncate with SQLSTATE SHAPP, whoever asks.';

create trigger refuse_change before update or delete on private.audit_seals
  for each row execute function private.refuse_any_change();
create trigger refuse_truncate before truncate on private.audit_seals
  for each statement execute function private.refuse_any_change();
create trigger refuse_delete before delete on private.audit_leaves
  for each row execute function private.refuse_any_change();
create trigger refuse_change before update on private.audit_leaves
  for each row when (new.salt is not null or to_jsonb(new) - 'salt' <> to_jsonb(old) - 'salt')
  execute function private.refuse_any_change();
create trigger refuse_truncate before truncate on private.audit_leaves
  for each statement execute function private.refuse_any_change();

create function private.refuse_own_number() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_last bigint;
begin
  begin
    v_last := currval(tg_argv[1]::regclass);
  exception when object_not_in_prerequisite_state then
    -- Nothing was numbered in this session yet, so this row was not either.
    v_last := null;
  end;
  if (to_jsonb(new) ->> tg_argv[0])::bigint is distinct from v_last then
    raise exception 'rows of %.% are numbered by the database', tg_table_schema, tg_table_name
      using errcode = 'SHAPP';
  end if;
  return new;
end;
$$;
comment on function private.refuse_own_number() is
  'Trigger of audited tables, for each row before it is written: its number is the one that was just drawn. '
  'SHAPP: a number of somebody''s own choice, which would stand between rows that are sealed.';

create trigger refuse_own_number before insert on public.order_events
  for each row execute function private.refuse_own_number('id', 'public.order_events_id_seq');
create trigger refuse_own_number before insert on public.staff_commands
  for each row execute function private.refuse_own_number('number', 'public.staff_commands_number_seq');
create trigger refuse_own_number before insert on public.inventory_journal
  for each row execute function private.refuse_own_number('id', 'public.inventory_journal_id_seq');

create function private.note_unsealed() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_table constant text := format('%s.%s', tg_table_schema, tg_table_name);
  v_number constant bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
begin
  -- Locked whether it is there or not, and before the salt goes: who seals it at this moment is waited for,
  -- and who comes later passes it by.
  insert into private.audit_unsealed (table_name, row_number) values (v_table, v_number)
  on conflict on constraint audit_unsealed_pkey do update set noted_at = excluded.noted_at where false;
  if tg_op = 'UPDATE' then
    update private.audit_leaves l set salt = null
    where l.table_name = v_table and l.row_number = v_number and l.salt is not null;
  end if;
  return null;
end;
$$;
comment on function private.note_unsealed() is
  'Trigger of audited tables: a row was written, or an erasure has changed it, so it waits to be sealed.';

create trigger note_unsealed after insert or update on public.order_events
  for each row execute function private.note_unsealed('id');
create trigger note_unsealed after insert or update on public.staff_commands
  for each row execute function private.note_unsealed('number');
create trigger note_unsealed after insert or update on public.inventory_journal
  for each row execute function private.note_unsealed('id');

create function private.audited_rows(p_table text, p_numbers bigint[])
returns table (row_number bigint, row_digest bytea, texts bytea)
language plpgsql
stable
set search_path = ''
-- Times are written as text.
set timezone = 'UTC'
as $$
declare
  a private.audited_tables;
begin
  select * into strict a from private.audited_tables x where x.name = p_table;
  return query execute format(
    'select t.%2$I, sha256(convert_to(jsonb_strip_nulls(to_jsonb(t) - $1)::text, ''UTF8'')), '
      'convert_to((select jsonb_object_agg(k, to_jsonb(t) -> k) from unnest($1) k)::text, ''UTF8'') '
      'from %1$s t where t.%2$I = any ($2)',
    a.name, a.numbered_by
  ) using a.texts, p_numbers;
end;
$$;
comment on function private.audited_rows(text, bigint[]) is
  'Rows of an audited table as they are now: the digest of what no erasure changes, and the texts. A column '
  'that is added later and empty changes nothing.';

create function private.leaves_digest(p_seal_id bigint) returns bytea
language sql
stable
set search_path = ''
as $$
  select sha256(string_agg(
    convert_to(format('%s:%s:', l.table_name, l.row_number), 'UTF8') || l.row_digest || l.text_digest, ''
    order by l.position
  ))
  from private.audit_leaves l where l.seal_id = p_seal_id
$$;
comment on function private.leaves_digest(bigint) is 'Digest of the leaves of a seal.';

create function private.seal_audit_trail(p_limit integer default 2000) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_last private.audit_seals;
  v_id bigint;
  v_due private.audit_unsealed[];
  v_count integer;
begin
  -- One at a time, and nobody waits: the next heartbeat looks again.
  if not pg_try_advisory_xact_lock(hashtextextended('seal_audit_trail', 0)) then
    return 0;
  end if;
  select * into v_last from private.audit_seals s order by s.id desc limit 1;
  v_id := coalesce(v_last.id, 0) + 1;
  v_due := array(
    select u from private.audit_unsealed u
    order by u.noted_at, u.table_name, u.row_number
    limit p_limit
    for update skip locked
  );
  -- A statement of its own: it sees whatever was changed before the lock, and what comes after waits.
  with due as (
    select d.table_name, d.row_number from unnest(v_due) d
  ), found as (
    select t.table_name, r.row_number, r.row_digest, r.texts, uuid_send(gen_random_uuid()) as salt
    from (select d.table_name, array_agg(d.row_number) as numbers from due d group by d.table_name) t
    cross join lateral private.audited_rows(t.table_name, t.numbers) r
  ), done as (
    delete from private.audit_unsealed u using found f
    where u.table_name = f.table_name and u.row_number = f.row_number
  )
  insert into private.audit_leaves (
    seal_id, position, table_name, row_number, row_digest, text_digest, salt
  )
  select v_id, row_number() over (order by f.table_name, f.row_number), f.table_name, f.row_number,
    f.row_digest, sha256(f.salt || f.texts), f.salt
  from found f;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    insert into private.audit_seals (id, digest)
    values (v_id, sha256(coalesce(v_last.digest, '') || private.leaves_digest(v_id)));
  end if;
  return v_count;
end;
$$;
comment on function private.seal_audit_trail(integer) is
  'Seals up to p_limit rows that wait for it, the oldest first, and returns how many.';
