-- Who is staff, for the alert rule about their second factor: auth.users is as large as the shop has
-- customers, and has no index on roles.

create table private.staff_accounts (
  user_id uuid primary key references auth.users (id) on delete cascade,
  noted_at timestamptz not null default now()
);
comment on table private.staff_accounts is
  'Accounts that had app_metadata.role = admin when Auth last wrote their role.';
alter table private.staff_accounts enable row level security;

create function private.note_staff_account() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if new.raw_app_meta_data ->> 'role' = 'admin' then
    insert into private.staff_accounts (user_id) values (new.id) on conflict (user_id) do nothing;
  else
    delete from private.staff_accounts s where s.user_id = new.id;
  end if;
  return null;
end;
$$;
comment on function private.note_staff_account() is
  'Trigger of auth.users: keeps private.staff_accounts as the role of an account says.';

do $$
begin
  create trigger kct_staff_account_on_insert after insert on auth.users
    for each row when (new.raw_app_meta_data ->> 'role' = 'admin')
    execute function private.note_staff_account();
  create trigger kct_staff_account_on_update after update of raw_app_meta_data on auth.users
    for each row when (
      old.raw_app_meta_data ->> 'role' is distinct from new.raw_app_meta_data ->> 'role'
      and 'admin' in (
        coalesce(old.raw_app_meta_data ->> 'role', ''), coalesce(new.raw_app_meta_data ->> 'role', '')
      )
    )
    execute function private.note_staff_account();
exception
  when insufficient_privilege then
    raise warning 'auth.users allows no trigger: admin_without_mfa knows only of staff who are there now';
end;
$$;

insert into private.staff_accounts (user_id)
select u.id from auth.users u where u.raw_app_meta_data ->> 'role' = 'admin';

create function private.rule_admin_without_mfa(r private.alert_rules, p_livemode boolean, p_now timestamptz)
returns setof private.alert_finding
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select s.user_id::text, count(*)::numeric, jsonb_build_object('user_id', s.user_id, 'sessions', count(*))
  from private.staff_accounts a
  join auth.sessions s on s.user_id = a.user_id
  -- A second factor raises the level of its session within moments of the first.
  where coalesce(s.aal::text, 'aal1') <> 'aal2'
    and s.created_at <= p_now - make_interval(secs => r.threshold::double precision)
    and coalesce(s.refreshed_at at time zone 'utc', s.created_at)
      > p_now - make_interval(secs => r.window_seconds)
  group by s.user_id
  having count(*) >= r.minimum
  order by s.user_id;
end;
$$;
comment on function private.rule_admin_without_mfa(private.alert_rules, boolean, timestamptz) is
  'Members of staff who work in a session without a second factor. Auth says so of each session (aal).';
