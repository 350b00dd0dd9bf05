-- Who is staff.

create function private.is_admin() returns boolean
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_claims constant jsonb := auth.jwt();
begin
  -- In plpgsql for its kept plans: every query of staff asks this for each table that it reads.
  return coalesce(v_claims -> 'app_metadata' ->> 'role' = 'admin', false)
    and (
      not coalesce((
        select s.value::boolean from private.settings s where s.key = 'admin_require_mfa'
      ), false)
      or coalesce(v_claims ->> 'aal' = 'aal2', false)
    );
end;
$$;
comment on function private.is_admin() is
  'True when the caller''s JWT carries app_metadata.role = admin (users cannot write app_metadata) and, '
  'where admin_require_mfa is set, a second factor (aal2).';
grant execute on function private.is_admin() to anon, authenticated, service_role;
