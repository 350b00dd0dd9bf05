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
  if v_claims -> 'app_metadata' ->> 'role' is distinct from 'admin' then
    return false;
  end if;
  -- A token outlives what it says, by an hour as a rule: the account and its session decide. Whom another
  -- issuer vouches for has no account here, and no session; those of an account that is deleted go with it.
  return not exists (
    select 1 from auth.users u
    where u.id = (v_claims ->> 'sub')::uuid
      and (
        u.raw_app_meta_data ->> 'role' is distinct from 'admin'
        or u.deleted_at is not null or u.banned_until > now()
      )
  )
    and (
      v_claims ->> 'session_id' is null
      or exists (select 1 from auth.sessions s where s.id = (v_claims ->> 'session_id')::uuid)
    )
    and (
      not coalesce((
        select s.value::boolean from private.settings s where s.key = 'admin_require_mfa'
      ), false)
      or coalesce(v_claims ->> 'aal' = 'aal2', false)
    );
end;
$$;
comment on function private.is_admin() is
  'True when the caller''s JWT carries app_metadata.role = admin (users cannot write app_metadata), their '
  'account here, if they have one, still has that role and is not banned, the session of the token has not '
  'ended and, where admin_require_mfa is set, it is one of two factors (aal2).';
grant execute on function private.is_admin() to anon, authenticated, service_role;

create function private.first_for_staff() returns uuid
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Without claims nothing is ruled out here.
  if position('"admin"' in current_setting('request.jwt.claims', true)) = 0 then
    return null;
  end if;
  return '00000000-0000-0000-0000-000000000000';
end;
$$;
comment on function private.first_for_staff() is
  'The least id there can be, or null for claims that cannot be of staff: how an index finds what staff may '
  'read of a table that customers read too. Grants nothing: is_admin() does.';
grant execute on function private.first_for_staff() to authenticated, service_role;
