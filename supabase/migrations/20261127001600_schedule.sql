-- Generated from supabase/schemas/schedule by 'deno task migrations': edit there.

-- Who calls retry-jobs on Supabase: pg_cron once a minute, through pg_net, with address and key from Vault. A
-- plain Postgres has none of the three; there this file only creates functions that say so, and whoever runs
-- the shop calls retry-jobs by other means (the offline stack does so every two seconds).

do $$
declare
  v_extension text;
begin
  -- Only where all three can be had: a clock without a way to call out is no use.
  if (
    select count(*) from pg_available_extensions where name in ('pg_cron', 'pg_net', 'supabase_vault')
  ) = 3 then
    foreach v_extension in array array['pg_cron', 'pg_net', 'supabase_vault'] loop
      begin
        execute format('create extension if not exists %I', v_extension);
      -- Not allowed, not preloaded, or not in this database (pg_cron lives in one of a cluster): the shop
      -- runs without.
      exception when others then
        raise warning 'extension % could not be created (%): enable it in the dashboard, then run select '
                      'private.schedule_jobs()', v_extension, sqlerrm;
      end;
    end loop;
  end if;
end;
$$;

create function private.has_scheduler() returns boolean
language sql
stable
set search_path = ''
as $$
  select to_regprocedure('cron.schedule(text,text,text)') is not null
    and exists (
      select 1
      from pg_catalog.pg_proc p where p.pronamespace = to_regnamespace('net') and p.proname = 'http_post'
    )
    and to_regclass('vault.decrypted_secrets') is not null
$$;
comment on function private.has_scheduler() is 'True where pg_cron, pg_net and Vault are installed.';

create function private.call_retry_jobs() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  -- retry-jobs stops claiming after a minute; a shorter limit would report healthy calls as timed out.
  c_timeout_milliseconds constant integer := 140000;
  v_url text;
  v_key text;
  -- More than it may run: a burst is worked off as fast as one call can.
  c_body constant jsonb := '{"limit": 1000}';
  v_request_id bigint;
begin
  execute $sql$ select decrypted_secret
  from vault.decrypted_secrets where name = 'retry_jobs_url' $sql$ into v_url;
  execute $sql$ select decrypted_secret
  from vault.decrypted_secrets where name = 'retry_jobs_key' $sql$ into v_key;
  if v_url is null or v_key is null then
    raise exception 'the Vault secrets retry_jobs_url and retry_jobs_key are not set'
      using hint = 'Run deno task setup, or select private.set_schedule_target(url, key).';
  end if;
  execute $sql$
    select net.http_post(
      url := $1, body := $4,
      headers := jsonb_build_object('content-type', 'application/json', 'apikey', $2),
      timeout_milliseconds := $3
    )
  $sql$ into v_request_id using v_url, v_key, c_timeout_milliseconds, c_body;
  return v_request_id;
end;
$$;
comment on function private.call_retry_jobs() is
  'Run by pg_cron: posts to retry-jobs with the key from Vault. Returns pg_net''s request id. The text of '
  'the cron job holds no key.';

create function private.set_schedule_target(p_url text, p_key text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_id uuid;
begin
  if not private.has_scheduler() then
    raise exception 'this database has no pg_cron, pg_net and Vault' using errcode = 'SHINV',
      hint = 'Enable the extensions in the Supabase dashboard, or call retry-jobs from another scheduler.';
  end if;
  for r in select *
    from (values ('retry_jobs_url', p_url), ('retry_jobs_key', p_key)) as secret (name, value) loop
    execute 'select id from vault.secrets where name = $1' into v_id using r.name;
    if v_id is null then
      execute 'select vault.create_secret($1, $2)' using r.value, r.name;
    else
      execute 'select vault.update_secret($1, $2)' using v_id, r.value;
    end if;
  end loop;
  perform private.schedule_jobs();
end;
$$;
comment on function private.set_schedule_target(text, text) is
  'Notes in Vault where retry-jobs is and which secret key opens it, and (re)schedules it. For deno task '
  'setup. SHINV: no scheduler here.';

create function private.schedule_jobs() returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_relation text;
begin
  if not private.has_scheduler() then
    return false;
  end if;
  -- By name: scheduling again replaces the entry.
  execute $sql$ select cron.schedule('retry-jobs', '* * * * *', 'select private.call_retry_jobs()') $sql$;
  -- pg_net keeps the headers of what it has not sent yet, and with them the key. Its schema is not exposed,
  -- and API roles have no business there either way.
  foreach v_relation in array array[
    'net.http_request_queue', 'net._http_response', 'vault.secrets', 'vault.decrypted_secrets',
    'cron.job', 'cron.job_run_details'
  ] loop
    if to_regclass(v_relation) is not null then
      begin
        execute format('revoke all on %s from public, anon, authenticated', v_relation);
      exception when insufficient_privilege then
        null;
      end;
      if has_table_privilege('anon', v_relation, 'select')
        or has_table_privilege('authenticated', v_relation, 'select') then
        raise warning '% can be read by API roles and belongs to another role: keep its schema out of the '
                      'exposed schemas', v_relation;
      end if;
    end if;
  end loop;
  return true;
end;
$$;
comment on function private.schedule_jobs() is
  'Schedules retry-jobs once a minute where there is a scheduler, and shuts API roles out of the tables '
  'that hold keys. Returns false where there is none.';

select private.schedule_jobs();
