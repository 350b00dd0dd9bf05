-- Who is staff.

create function private.is_admin() returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'admin', false)
    and (
      not coalesce((private.setting('admin_require_mfa'))::boolean, false)
      or coalesce((select auth.jwt()) ->> 'aal' = 'aal2', false)
    )
$$;
comment on function private.is_admin() is
  'True when the caller''s JWT carries app_metadata.role = admin (users cannot write app_metadata) and, '
  'where admin_require_mfa is set, a second factor (aal2).';
grant execute on function private.is_admin() to anon, authenticated, service_role;
