-- Generated from supabase/schemas/platform by 'deno task migrations': edit there.

-- Schemas, and the little of Supabase that policies lean on where a plain Postgres lacks it.
--
-- `public` is the API (PostgREST). `private` holds the queue, limits and internal functions and is never
-- exposed; API roles may pass through it only to run the few functions that policies call.
-- `reporting` holds views for staff, in the dashboard and over the API: they run with their reader's rights.
--
-- Projects made before 2026 grant everything in `public` to the API roles by default. So every grant on a
-- table there comes after a revoke; a test applies the migrations to such a database and compares.

create schema if not exists private;
comment on schema private is
  'Internal: queue, rate limits, settings and the functions that decide. Not exposed over the API.';
create schema if not exists reporting;
comment on schema reporting is
  'Read-only views for staff. Exposed over the API: policies of the tables beneath decide.';

revoke all on schema private from public;
revoke all on schema reporting from public;
grant usage on schema private to anon, authenticated, service_role;
grant usage on schema reporting to service_role;

-- Supabase owns schema auth. A plain Postgres (CI, a scratch database) has none: give it the few names
-- that these migrations mention, with the meaning that Supabase gives them. On Supabase nothing happens here.
do $$
begin
  if to_regclass('auth.users') is null then
    create schema if not exists auth;
    grant usage on schema auth to anon, authenticated, service_role;
    create table auth.users (
      id uuid primary key default gen_random_uuid(),
      email text,
      email_confirmed_at timestamptz,
      confirmation_sent_at timestamptz,
      email_change text,
      email_change_sent_at timestamptz,
      is_sso_user boolean not null default false
    );
    alter table auth.users enable row level security;
    create table auth.identities (
      id uuid primary key default gen_random_uuid(),
      provider_id text not null,
      user_id uuid not null references auth.users (id) on delete cascade,
      identity_data jsonb not null,
      provider text not null
    );
    alter table auth.identities enable row level security;
  end if;
  if to_regprocedure('auth.jwt()') is null then
    create function auth.jwt() returns jsonb language sql stable set search_path = '' as
      'select coalesce(nullif(current_setting(''request.jwt.claims'', true), ''''), ''{}'')::jsonb';
    create function auth.uid() returns uuid language sql stable set search_path = '' as
      'select nullif(auth.jwt() ->> ''sub'', '''')::uuid';
  end if;
end;
$$;

-- One row per switch that SQL needs to know. A function is nobody's until it is granted. That everybody may
-- call a new one is a default of the whole database (in one schema it cannot be revoked); that the API roles
-- may, one of schema public in older projects.
alter default privileges revoke execute on functions from public;
alter default privileges in schema public revoke execute on functions from anon, authenticated, service_role;

create table private.settings (
  key text primary key,
  value jsonb not null,
  description text not null,
  updated_at timestamptz not null default now(),
  constraint settings_early_fraud_warning_policy_known
    check (key <> 'early_fraud_warning_policy' or value in ('"refund"', '"review"')),
  -- What reads one of these fails over anything else: every webhook, checkout or heartbeat.
  constraint settings_counts_are_counts check (
    key not in ('event_retry_base_seconds', 'event_retry_max_seconds', 'stock_shown_max', 'low_stock_at')
    or (jsonb_typeof(value) = 'number' and value #>> '{}' ~ '^[0-9]{1,6}$')
  ),
  constraint settings_switches_are_switches check (
    key not in ('admin_require_mfa', 'prices_include_tax') or jsonb_typeof(value) = 'boolean'
  )
);
comment on table private.settings is
  'Switches read by SQL functions. Change a value with update; it takes effect at once.';
alter table private.settings enable row level security;

insert into private.settings (key, value, description) values
  ('order_number_prefix', '""', 'What order numbers start with.'),
  (
    'admin_require_mfa', 'false',
    'true: staff need a second factor (aal2) before they can read. ADMIN_REQUIRE_MFA=true turns it on; '
    'only an update turns it off.'
  ),
  (
    'early_fraud_warning_policy', '"refund"',
    '"refund": give the money back while the warning is actionable and nothing has shipped, otherwise '
    'review. "review": always a person decides.'
  ),
  (
    'event_retry_base_seconds', '10',
    'First delay before a failed webhook event or job runs again; doubles with full jitter.'
  ),
  ('event_retry_max_seconds', '3600', 'Longest delay between two tries.');

create function private.setting(p_key text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (select value from private.settings where key = p_key);
end;
$$;
comment on function private.setting(text) is 'Value of a switch in private.settings, or null.';

-- Texts from outside. What the functions write is masked by them; staff write without them.

create function private.is_card_number(p_digits text) returns boolean
language sql
immutable
set search_path = ''
as $$
  select p_digits ~ (
    '^(?:4(?:[0-9]{15}|[0-9]{18})'
    '|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}'
    '|3[47][0-9]{13}'
    '|(?:30[0-5]|309|36[0-9]|3[89][0-9])[0-9]{11}'
    '|35(?:2[89]|[3-8][0-9])[0-9]{12}'
    '|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12}'
    '|62[0-9]{14,17}'
    '|(?:220[0-4]|50(?:18|20|38)|5893|6304|6759|676[1-3])[0-9]{12,15})$'
  ) and (
    select sum(case when n % 2 = 0 then d when d > 4 then 2 * d - 9 else 2 * d end) % 10 = 0
    from generate_series(0, length(p_digits) - 1) n, cast(substr(reverse(p_digits), n + 1, 1) as integer) d
  )
$$;
comment on function private.is_card_number(text) is
  'Whether digits are a card number by issuer prefix, length and check digit. The twin of isCardNumber() in '
  '_shared/text/card_numbers.ts.';

create function private.mask_cards(p_text text) returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  c_gap constant text := '[ \u00a0\u2009\u202f./\u2010-\u2015-]{1,2}';
  c_first constant text := '(?<!(?:^|[^0-9*])[0-9]{4}' || c_gap || ')(?<![A-Z]{2}[0-9]{2}' || c_gap || ')';
  c_fours constant text := replace('[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{4}', '-[', c_gap || '[');
  v_layout text;
  v_found text;
  v_digits text;
begin
  foreach v_layout in array array[
    c_first || c_fours || c_gap || '[0-9]{1,3}',
    c_first || c_fours || '(?!' || c_gap || '[0-9]{4}' || c_gap || '[0-9]{4})',
    c_first || '[0-9]{4}' || c_gap || '[0-9]{6}' || c_gap || '[0-9]{4,5}',
    '[0-9]{14,19}'
  ] loop
    for v_found in
      select m[1] from regexp_matches(p_text, '(?<![A-Za-z0-9_+])(' || v_layout || ')(?![A-Za-z0-9_])', 'g') m
    loop
      v_digits := regexp_replace(v_found, '[^0-9]', '', 'g');
      if private.is_card_number(v_digits) then
        p_text := regexp_replace(
          p_text, '(?<![A-Za-z0-9_+])' || replace(v_found, '.', '\.') || '(?![A-Za-z0-9_])',
          'card_***' || right(v_digits, 4)
        );
      end if;
    end loop;
  end loop;
  return p_text;
end;
$$;
comment on function private.mask_cards(text) is
  'A text with every card number reduced to its last four digits. The twin of maskCardNumbers() in '
  '_shared/text/card_numbers.ts.';

create function private.mask_cards_in(p_value jsonb) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case jsonb_typeof(p_value)
    when 'string' then to_jsonb(private.mask_cards(p_value #>> '{}'))
    when 'array' then (
      select coalesce(jsonb_agg(private.mask_cards_in(e.value) order by e.ordinality), '[]')
      from jsonb_array_elements(p_value) with ordinality e
    )
    when 'object' then (
      select coalesce(jsonb_object_agg(
        e.key, case
          when e.key ~ '(^|_)(id|sku|order_number)$' then e.value
          else private.mask_cards_in(e.value)
        end
      ), '{}')
      from jsonb_each(p_value) e
    )
    else p_value
  end;
end;
$$;
comment on function private.mask_cards_in(jsonb) is
  'mask_cards() for every text in a JSON value, other than those under the name of an id.';

create function private.error_text(p_sqlstate text, p_message text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return p_sqlstate || ' ' || case
    when p_sqlstate like 'SH%' then p_message
    else regexp_replace(p_message, '(: |\mvalue )".*"', '\1"***"')
  end;
end;
$$;
comment on function private.error_text(text, text) is
  'An error of the database as it may be stored and logged: without the value that it was about. Twin of '
  'valueless() in _shared/errors.ts.';

-- Digests of personal data are keyed, so that nobody who sees one can find out whose it is by trying
-- addresses.
create table private.digest_keys (
  id boolean primary key default true,
  key bytea not null,
  constraint digest_keys_one_row check (id)
);
comment on table private.digest_keys is
  'The key of keyed_digest(), made by this database. A digest says nothing to who does not have it.';
alter table private.digest_keys enable row level security;
-- Two random UUIDs have 244 random bits between them.
insert into private.digest_keys (key)
select decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

create function private.xor_key(p_key bytea, p_byte integer) returns bytea
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select string_agg(
      set_byte('\x00'::bytea, 0, case when i < length(p_key) then get_byte(p_key, i) else 0 end # p_byte),
      ''::bytea order by i
    )
    from generate_series(0, 63) i
  );
end;
$$;
comment on function private.xor_key(bytea, integer) is
  'A key of at most 64 bytes, filled up to a block of SHA-256, each byte combined with p_byte.';

create function private.keyed_digest(p_text text) returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_key bytea := (select k.key from private.digest_keys k);
begin
  -- HMAC-SHA-256; the extension that has it is not everywhere.
  return encode(
    sha256(private.xor_key(v_key, 92) || sha256(private.xor_key(v_key, 54) || convert_to(p_text, 'UTF8'))),
    'hex'
  );
end;
$$;
comment on function private.keyed_digest(text) is
  'HMAC-SHA-256 of a text under this database''s own key, in hexadecimal.';

create function private.shop_id() returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return left(private.keyed_digest('shop'), 16);
end;
$$;
comment on function private.shop_id() is
  'What tells this installation''s objects from those of others at the same account of Stripe: it stands in '
  'their metadata. Made with the database and restored with it; says nothing of anybody.';

create function private.each_once(p_items anyarray) returns anyarray
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_items p_items%type := array_remove(p_items, null);
begin
  -- Nearly always there is one, and a comparison takes a tenth of a query.
  if v_items[1] = all (v_items) then
    return v_items[1:1];
  end if;
  return array(select distinct x.item from unnest(v_items) as x (item) order by 1);
end;
$$;
comment on function private.each_once(anyarray) is 'Each item once, in their order; null is left out.';

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

-- The limiter for shops without Upstash, and for when Upstash is down: a sliding window over two fixed ones.

create unlogged table private.rate_limits (
  key text not null,
  window_start timestamptz not null,
  count integer not null,
  constraint rate_limits_pkey primary key (key, window_start)
);
comment on table private.rate_limits is
  'Requests per key and window. Unlogged: losing it in a crash only forgives.';
create index rate_limits_window_start_idx on private.rate_limits (window_start);
alter table private.rate_limits enable row level security;

create function private.limit_wait(
  p_limit integer,
  p_window_seconds integer,
  p_current integer,
  p_previous integer,
  p_elapsed numeric
) returns numeric
language sql
immutable
set search_path = ''
as $$
  select case
    -- There is room in this window as soon as enough of the last one has slid out.
    when p_current < p_limit then (
      1 - (p_limit - 1 - p_current)::numeric / p_previous - p_elapsed
    ) * p_window_seconds
    -- Only the next window has room, once enough of this one has slid out.
    else (1 - p_elapsed + greatest(0, 1 - (p_limit - 1)::numeric / p_current)) * p_window_seconds
  end
$$;
comment on function private.limit_wait(integer, integer, integer, integer, numeric) is
  'Seconds until a refused request fits. p_current and p_previous: requests taken in this window and the '
  'last; p_elapsed: how far this window has gone, 0 to 1.';

create type public.limit_decision as (allowed boolean, key text, retry_after_seconds integer);
comment on type public.limit_decision is
  'Whether a request may go on; if not, the bucket that is full the longest, and how long to wait.';

create function public.take_rate_limits(p_buckets jsonb) returns public.limit_decision
language plpgsql
security definer
set search_path = ''
as $$
declare
  b record;
  v_now timestamptz := clock_timestamp();
  v_start timestamptz;
  v_elapsed numeric;
  v_current integer;
  v_previous integer;
  v_wait numeric := 0;
  v_full text;
begin
  -- Keys in one order, so that two requests cannot wait for each other.
  for b in
    select *
    from jsonb_to_recordset(p_buckets) as x (key text, "limit" integer, window_seconds integer) order by x.key
  loop
    v_start := to_timestamp(floor(extract(epoch from v_now) / b.window_seconds) * b.window_seconds);
    v_elapsed := extract(epoch from v_now - v_start) / b.window_seconds;
    insert into private.rate_limits as r (key, window_start, count) values (b.key, v_start, 1)
    on conflict on constraint rate_limits_pkey do update set count = r.count + 1
    returning count into v_current;
    select coalesce(sum(r.count), 0) into v_previous from private.rate_limits r
    where r.key = b.key and r.window_start = v_start - make_interval(secs => b.window_seconds);
    if v_current + v_previous * (1 - v_elapsed) > b.limit
      and private.limit_wait(b.limit, b.window_seconds, v_current - 1, v_previous, v_elapsed) > v_wait then
      v_wait := private.limit_wait(b.limit, b.window_seconds, v_current - 1, v_previous, v_elapsed);
      v_full := b.key;
    end if;
  end loop;

  if v_full is not null then
    -- A refused request takes nothing from any bucket: who waits as told gets in.
    update private.rate_limits r set count = r.count - 1
    from jsonb_to_recordset(p_buckets) as x (key text, window_seconds integer)
    where r.key = x.key
      and r.window_start = to_timestamp(
        floor(extract(epoch from v_now) / x.window_seconds) * x.window_seconds
      );
    return row(false, v_full, greatest(1, ceil(v_wait))::integer)::public.limit_decision;
  end if;
  -- Old windows go a few at a time, in about one call of a hundred.
  if random() < 0.01 then
    delete from private.rate_limits r
    where (r.key, r.window_start) in (
      select d.key, d.window_start from private.rate_limits d
      where d.window_start < v_now - interval '1 day' limit 1000 for update skip locked
    );
  end if;
  return row(true, null, 0)::public.limit_decision;
end;
$$;
comment on function public.take_rate_limits(jsonb) is
  'Counts one request in each bucket [{ key, limit, window_seconds }].';
grant execute on function public.take_rate_limits(jsonb) to service_role;
