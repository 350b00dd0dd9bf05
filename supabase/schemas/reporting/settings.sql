-- What the views of schema reporting lean on: who sees them, the shop's time zone and figures, amounts and
-- addresses as text.

insert into private.settings (key, value, description) values
  ('low_stock_at', '3', 'reporting.low_stock lists what has this many pieces to sell, or fewer.');

create function private.report_setting(p_key text) returns text
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return (
    select s.value #>> '{}' from private.settings s
    where s.key = p_key and s.key in (
      'shop_time_zone', 'low_stock_at', 'order_number_prefix', 'shop_name', 'shop_runbook_url'
    )
  );
end;
$$;
comment on function private.report_setting(text) is
  'A setting that the views of schema reporting go by, as text, for those who may not read private.settings; '
  'null for any other.';
grant execute on function private.report_setting(text) to authenticated, service_role;

create function private.sees_reports() returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return current_user not in ('anon', 'authenticated') or private.is_admin();
end;
$$;
comment on function private.sees_reports() is
  'Whether the views of schema reporting show anything to who reads them: staff, the secret key and the '
  'dashboard. A customer may read their own orders, but sums over them are no report.';
grant execute on function private.sees_reports() to authenticated, service_role;

create function private.money_text(p_amount bigint, p_currency text) returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_unit constant integer := private.major_unit(p_currency);
  -- Two decimals that a currency has lost are not shown while they are 00.
  v_digits constant integer := case
    when private.amount_step(p_currency) = 100 and p_amount % 100 = 0 then 0
    else length(v_unit::text) - 1
  end;
begin
  return round(p_amount::numeric / v_unit, v_digits)::text || ' ' || upper(p_currency);
end;
$$;
comment on function private.money_text(bigint, text) is
  'An amount in minor units as people write it, with as many decimals as Stripe counts in the currency: '
  '12900, usd is 129.00 USD; 12900, jpy is 12900 JPY. https://docs.stripe.com/currencies';
grant execute on function
  private.money_text(bigint, text), private.major_unit(text), private.amount_step(text)
  to authenticated, service_role;

create function private.address_text(p_name text, p_address jsonb) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return nullif(concat_ws(
    E'\n', nullif(p_name, ''), nullif(p_address ->> 'line1', ''), nullif(p_address ->> 'line2', ''),
    nullif(concat_ws(
      ' ', nullif(p_address ->> 'postal_code', ''), nullif(p_address ->> 'city', ''),
      nullif(p_address ->> 'state', '')
    ), ''),
    nullif(p_address ->> 'country', '')
  ), '');
end;
$$;
comment on function private.address_text(text, jsonb) is
  'A name and an address as Stripe has it, a line each; null when there is nothing.';
grant execute on function private.address_text(text, jsonb) to authenticated, service_role;

-- The packing list and the reasons to wait are rules of the orders; they are asked with the reader's rights.
grant execute on function
  private.line_positions(uuid), private.refunded_pieces(uuid), private.exchanged_pieces(uuid),
  private.refund_is_off(public.refund_requests)
  to authenticated, service_role;

grant usage on schema reporting to authenticated;
