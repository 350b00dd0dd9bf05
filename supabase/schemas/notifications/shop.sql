-- The shop as its customers know it: the settings that mails are written with.

create function private.shop_setting_fits(p_key text, p_value jsonb) returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  v_text text := p_value #>> '{}';
begin
  if not starts_with(p_key, 'shop_') then
    return true;
  elsif p_value = 'null' then
    return p_key not in ('shop_name', 'shop_accent_color', 'shop_locale', 'shop_time_zone');
  elsif jsonb_typeof(p_value) <> 'string' then
    return false;
  end if;
  return case
    when p_key = 'shop_accent_color' then v_text ~ '^#[0-9a-fA-F]{6}$'
    when p_key = 'shop_locale' then v_text ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$'
    when p_key = 'shop_time_zone'
      then exists (select 1 from pg_catalog.pg_timezone_names z where z.name = v_text)
    when p_key = 'shop_contact_email' then v_text ~ '^[^[:space:]@<>"]+@[^[:space:]@<>"]+\.[^[:space:]@<>"]+$'
    when p_key like '%\_url' then v_text ~ (
      '^(https://[^[:space:]/"<>@]+(/[^[:space:]"<>]*)?'
      '|/([^[:space:]/"<>][^[:space:]"<>]*)?)$'
    )
    when p_key = 'shop_postal_address' then char_length(v_text) between 1 and 500
    else v_text = private.one_line(v_text) and char_length(v_text) <= 100
  end;
end;
$$;
comment on function private.shop_setting_fits(text, jsonb) is
  'Whether a setting that begins with shop_ has a value that mails can show: a colour #rrggbb, an https '
  'address or a path on the site of SITE_URL, a known time zone, one line of text. Others always fit.';

alter table private.settings
  add constraint settings_shop_fits check (private.shop_setting_fits(key, value));

insert into private.settings (key, value, description) values
  ('shop_name', '"Our shop"', 'The shop as its customers know it, in mails.'),
  ('shop_sender_name', 'null', 'The name in From of mails to customers; null: EMAIL_FROM as it is.'),
  (
    'shop_logo_url', 'null',
    'Picture above every mail: https address, or a path on the site of SITE_URL. PNG or JPEG: mail programs '
    'show no SVG. null: the name.'
  ),
  ('shop_accent_color', '"#1c1c1e"', 'Colour of buttons in mails, #rrggbb.'),
  ('shop_contact_email', 'null', 'Where customers write to: in the footer of mails, and where answers go.'),
  (
    'shop_order_url', 'null',
    'The page of an order: https address or path on the site; {number} in it is the order''s number, {token} '
    'what opens it.'
  ),
  ('shop_returns_url', 'null', 'The page about returns: https address or path on the site.'),
  ('shop_privacy_url', 'null', 'The page about privacy: https address or path on the site.'),
  (
    'shop_admin_order_url', 'null',
    'Where staff look at an order, linked from alerts: https address or path; {number} is its number.'
  ),
  (
    'shop_runbook_url', 'null',
    'The runbook (docs/runbook.md) as staff can open it, linked from alerts with #kind.'
  ),
  ('shop_postal_address', 'null', 'Footer of every mail: who the shop is, one line after the other.'),
  ('shop_locale', '"en"', 'Language tag of mails to whom no other language is known for, and to staff.'),
  (
    'shop_time_zone', '"UTC"',
    'Time zone of the dates in mails and of the days in reports, as in pg_timezone_names.'
  ),
  ('shop_statement_descriptor', 'null', 'What card statements show, as set at Stripe; shown on receipts.');

create function private.shop() returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_object_agg(substr(s.key, 6), s.value)
    from private.settings s where starts_with(s.key, 'shop_')
  );
end;
$$;
comment on function private.shop() is
  'The settings that begin with shop_, by their names without it: what every mail is written with.';
