-- What is found of a change past the triggers of the audit trail.

create function private.check_seals(p_from bigint, p_to bigint)
returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select 'a seal is made of its rows and of the seal before it', jsonb_build_object('seal', n.id)
  from generate_series(p_from, p_to) n (id)
  left join private.audit_seals s on s.id = n.id
  left join private.audit_seals b on b.id = n.id - 1
  where s.digest is distinct from sha256(coalesce(b.digest, '') || private.leaves_digest(n.id))
    or (n.id > 1 and b.id is null);

  return query
  select 'a sealed row is there, and says what it said',
    jsonb_build_object('table', l.table_name, 'number', l.row_number, 'seal', l.seal_id)
  from (
    select x.table_name, array_agg(distinct x.row_number) as numbers
    from private.audit_leaves x where x.seal_id between p_from and p_to group by x.table_name
  ) t
  join private.audit_leaves l on l.table_name = t.table_name and l.seal_id between p_from and p_to
  left join private.audited_rows(t.table_name, t.numbers) r on r.row_number = l.row_number
  where r.row_digest is distinct from l.row_digest or (
    -- Of a row that was sealed again, or waits for it, only the newest text counts.
    l.text_digest is distinct from sha256(l.salt || r.texts)
    and not exists (
      select 1 from private.audit_leaves x
      where x.table_name = l.table_name and x.row_number = l.row_number and x.seal_id > l.seal_id
    )
    and not exists (
      select 1 from private.audit_unsealed u
      where l.salt is null and u.table_name = l.table_name and u.row_number = l.row_number
    )
  );
end;
$$;
comment on function private.check_seals(bigint, bigint) is
  'What does not fit in the seals of these numbers: a row that was changed or deleted, a leaf or a seal that '
  'was. None when all is well.';

create function private.check_audit_coverage() returns table (invariant text, detail jsonb)
language plpgsql
stable
set search_path = ''
as $$
declare
  a private.audited_tables;
begin
  for a in select * from private.audited_tables x order by x.name loop
    return query execute format(
      'select ''a row of the audit trail is sealed or waits for it'', '
        'jsonb_build_object(''table'', $1, ''number'', t.%2$I) '
        'from %1$s t '
        'where not exists (select 1 from private.audit_leaves l '
        'where l.table_name = $1 and l.row_number = t.%2$I) '
        'and not exists (select 1 from private.audit_unsealed u '
        'where u.table_name = $1 and u.row_number = t.%2$I)',
      a.name, a.numbered_by
    ) using a.name;
    return query execute format(
      'select ''a row that waits to be sealed is there'', '
        'jsonb_build_object(''table'', $1, ''number'', u.row_number) '
        'from private.audit_unsealed u where u.table_name = $1 '
        'and not exists (select 1 from %1$s t where t.%2$I = u.row_number)',
      a.name, a.numbered_by
    ) using a.name;
  end loop;
end;
$$;
comment on function private.check_audit_coverage() is
  'Rows that were written or deleted past the triggers of the audit trail.';

create function public.check_audit_chain() returns table (invariant text, detail jsonb)
language sql
stable
security definer
set search_path = ''
as $$
  select * from private.check_seals(1, (select coalesce(max(s.id), 0) from private.audit_seals s))
  union all select * from private.check_audit_coverage()
$$;
comment on function public.check_audit_chain() is
  'What was changed, deleted or slipped in of the audit trail: one row each, none when all is well. Part of '
  'check_invariants().';
grant execute on function public.check_audit_chain() to service_role;

create function private.watch_audit_trail(
  p_minute integer default extract(epoch from now())::bigint / 60 % 1440
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_seals bigint;
  v_problem jsonb;
begin
  perform private.seal_audit_trail();
  select coalesce(max(s.id), 0) into v_seals from private.audit_seals s;
  -- All of them once a day, the same share each minute.
  select to_jsonb(c) into v_problem
  from private.check_seals(v_seals * p_minute / 1440 + 1, v_seals * (p_minute + 1) / 1440) c limit 1;
  if v_problem is not null and not exists (
    select 1 from public.alerts a
    where a.dedupe_key = 'audit_trail_broken' and a.status <> 'resolved' and a.data = v_problem
  ) then
    perform private.raise_alert('audit_trail_broken', 'critical', 'audit_trail_broken', v_problem);
  end if;
end;
$$;
comment on function private.watch_audit_trail(integer) is
  'Part of the heartbeat: seals what waits, looks at the seals whose turn it is in this minute of the day '
  '(UTC), and raises the alert audit_trail_broken. The alert is resolved by a person.';
