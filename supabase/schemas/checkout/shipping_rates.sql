-- What delivery costs. Stripe's page shows the active rates in the order's currency, and the shopper picks
-- one.

create table public.shipping_rates (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  amount bigint not null,
  currency text not null,
  countries text[],
  delivery_days_min integer,
  delivery_days_max integer,
  tax_code text,
  sort_order integer not null default 100,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  constraint shipping_rates_name_length check (char_length(name) between 1 and 100),
  constraint shipping_rates_name_visible check (private.one_line(name) is not null),
  constraint shipping_rates_currency_format check (currency ~ '^[a-z]{3}$'),
  constraint shipping_rates_amount_at_stripe check (private.amount_problem(amount, currency) is null),
  constraint shipping_rates_tax_code_format check (tax_code ~ '^txcd_[0-9]{8}$'),
  constraint shipping_rates_countries_format
    check (array_to_string(countries, ',') ~ '^[A-Z]{2}(,[A-Z]{2})*$'),
  constraint shipping_rates_delivery_days_ordered check (
    delivery_days_min > 0 and delivery_days_max > 0 and delivery_days_min <= delivery_days_max
  )
);
comment on table public.shipping_rates is
  'Delivery prices offered at checkout, cheapest sort_order first, five at most (Stripe''s limit). amount '
  'is in minor units. Without an active rate delivery is free.';
comment on column public.shipping_rates.countries is
  'Null: for every country. Stripe''s page cannot tie a rate to the address that is entered there, so a page '
  'offers only rates that hold for every country that it delivers to: the one that was asked for, else all '
  'of SHIPPING_COUNTRIES, else those of the first rate.';
comment on column public.shipping_rates.tax_code is
  'What delivery is for taxes, of https://docs.stripe.com/tax/tax-codes, say txcd_92010001; null: the '
  'account''s default at Stripe.';
comment on constraint shipping_rates_amount_at_stripe on public.shipping_rates is
  'An amount that Stripe takes in this currency: private.amount_problem() says why it is not.';
create index shipping_rates_offer_idx on public.shipping_rates (currency, sort_order) where active;

alter table public.shipping_rates enable row level security;
create policy shipping_rates_read on public.shipping_rates for select to anon, authenticated
  using (active or (select private.is_admin()));
revoke all on public.shipping_rates from public, anon, authenticated, service_role;
grant select on public.shipping_rates to anon, authenticated, service_role;

create function private.rate_holds(r public.shipping_rates, p_currency text, p_country text) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return r.active and r.currency = p_currency
    and (p_country is null or r.countries is null or p_country = any (r.countries));
end;
$$;
comment on function private.rate_holds(public.shipping_rates, text, text) is
  'Whether a delivery price is offered in a currency, and for a country where one is known.';

create function private.can_deliver(p_currency text, p_country text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.shipping_rates r where private.rate_holds(r, p_currency, p_country))
    or not exists (select 1 from public.shipping_rates r where r.active);
end;
$$;
comment on function private.can_deliver(text, text) is
  'Whether a delivery price holds for an order, or the shop has none at all and delivers free.';

create function private.offered_shipping_rates(p_currency text, p_country text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_rates jsonb;
begin
  select jsonb_agg(jsonb_build_object(
    'id', r.id, 'name', r.name, 'amount', r.amount, 'countries', r.countries,
    'delivery_days_min', r.delivery_days_min, 'delivery_days_max', r.delivery_days_max,
    'tax_code', r.tax_code
  ) order by r.sort_order, r.amount, r.id)
  into v_rates
  from public.shipping_rates r
  where private.rate_holds(r, p_currency, p_country);
  if not private.can_deliver(p_currency, p_country) then
    raise exception 'no delivery price holds'
      using errcode = 'SHSHP',
        detail = jsonb_build_object('currency', p_currency, 'country', p_country)::text;
  end if;
  return coalesce(v_rates, '[]');
end;
$$;
comment on function private.offered_shipping_rates(text, text) is
  'The active rates of a currency, and of a country where one is known, in the order in which a shopper '
  'sees them. None where the shop has none at all. SHSHP: it has some, and none of them holds.';
