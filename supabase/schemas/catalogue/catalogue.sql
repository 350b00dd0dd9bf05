-- What is sold. Anybody reads what is active; staff read all; written in the dashboard.

create function private.largest_amount(p_currency text) returns bigint
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case p_currency when 'idr' then 999999999999 else 99999999 end;
end;
$$;
comment on function private.largest_amount(text) is
  'The most that Stripe charges at once, in minor units: eight digits, twelve of rupiah.';

create function private.amount_step(p_currency text) returns integer
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Three decimals, of which the last must be 0; two decimals that a currency has lost, which must be 00.
  return case
    when p_currency in ('bhd', 'jod', 'kwd', 'omr', 'tnd') then 10
    when p_currency in ('isk', 'ugx') then 100
    else 1
  end;
end;
$$;
comment on function private.amount_step(text) is
  'Amounts of a currency are multiples of this, in minor units.';

create function private.major_unit(p_currency text) returns integer
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when p_currency in (
      'bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'
    ) then 1
    when p_currency in ('bhd', 'jod', 'kwd', 'omr', 'tnd') then 1000
    else 100
  end;
end;
$$;
comment on function private.major_unit(text) is
  'Minor units of a currency in one of its units: 100 cents of a dollar, 1 of a yen.';

create function private.amount_problem(p_amount bigint, p_currency text) returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  c_currencies constant text :=
    'aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad '
    'cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd '
    'hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl '
    'mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg '
    'qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah '
    'ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw';
  v_step constant integer := private.amount_step(p_currency);
  v_max constant bigint := private.largest_amount(p_currency);
begin
  if p_currency is null or p_currency <> all (string_to_array(c_currencies, ' ')) then
    return 'must be in a currency that Stripe takes';
  elsif p_amount is null or p_amount < 0 or p_amount > v_max then
    return format('must be from 0 to %s (minor units of %s)', v_max, p_currency);
  elsif p_amount % v_step <> 0 then
    return format('must end in %s (minor units of %s)', substr(v_step::text, 2), p_currency);
  end if;
  return null;
end;
$$;
comment on function private.amount_problem(bigint, text) is
  'Why Stripe would refuse an amount in minor units, or null. The twin of _shared/stripe/money.ts, which '
  'says where the rules come from.';

create function private.one_line(p_text text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return nullif(btrim(regexp_replace(
    p_text, '[[:space:][:cntrl:]\u00a0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3000\ufeff]+', ' ', 'g'
  )), '');
end;
$$;
comment on function private.one_line(text) is
  'A text on one line, without what hides or turns it; null when nothing is left to see.';

create table public.products (
  id uuid primary key default gen_random_uuid(),
  slug text not null,
  name text not null,
  description text,
  image_url text,
  tax_code text,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  constraint products_slug_key unique (slug),
  constraint products_slug_format check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  constraint products_name_length check (char_length(name) between 1 and 200),
  constraint products_name_visible check (private.one_line(name) is not null),
  constraint products_description_length check (char_length(description) <= 2000),
  constraint products_tax_code_format check (tax_code ~ '^txcd_[0-9]{8}$')
);
comment on table public.products is 'A thing on sale; its sizes and colours are product_variants.';
comment on column public.products.image_url is
  'Absolute https URL, or a path on the site of SITE_URL; either is shown on Stripe''s page too.';

comment on column public.products.tax_code is
  'What it is for taxes, of https://docs.stripe.com/tax/tax-codes, say txcd_30011000; null: the account''s '
  'default at Stripe.';

create table public.product_variants (
  id uuid primary key default gen_random_uuid(),
  product_id uuid not null references public.products (id) on delete restrict,
  sku text not null,
  size text,
  color text,
  price_amount bigint not null,
  currency text not null default 'usd',
  stripe_price_id text,
  image_url text,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  constraint product_variants_sku_key unique (sku),
  constraint product_variants_sku_format check (sku ~ '^[A-Za-z0-9._-]{1,64}$'),
  constraint product_variants_currency_format check (currency ~ '^[a-z]{3}$'),
  constraint product_variants_price_amount_range check (price_amount between 0 and 999999999999)
);
comment on table public.product_variants is
  'One sellable size and colour. price_amount is in minor units of currency.';
comment on column public.product_variants.image_url is
  'The picture of this colour, in the form of products.image_url; null for that of the product.';
comment on column public.product_variants.size is 'Null when the thing has none; an empty text becomes null.';
comment on column public.product_variants.color is
  'Null when the thing has none; an empty text becomes null.';
comment on column public.product_variants.price_amount is
  'In Stripe''s minor units. A price that Stripe refuses (KWD 12.345) is stored and raises the alert '
  'unsellable_price; add_variant() refuses it.';
create index product_variants_product_id_idx on public.product_variants (product_id);

create table public.variant_prices (
  variant_id uuid not null references public.product_variants (id) on delete cascade,
  currency text not null,
  price_amount bigint not null,
  constraint variant_prices_pkey primary key (variant_id, currency),
  constraint variant_prices_amount_at_stripe check (private.amount_problem(price_amount, currency) is null)
);
comment on table public.variant_prices is
  'What a variant costs in further currencies, in minor units of each. In its own currency it costs '
  'product_variants.price_amount, whatever stands here.';
comment on column public.variant_prices.variant_id is 'The variant that is sold at this price.';
comment on column public.variant_prices.currency is 'ISO code in lower case.';
comment on column public.variant_prices.price_amount is 'In Stripe''s minor units of the currency.';
comment on constraint variant_prices_amount_at_stripe on public.variant_prices is
  'An amount that Stripe takes in this currency: private.amount_problem() says why it is not.';

create function private.price_in(v public.product_variants, p_currency text) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  if v.currency = p_currency then
    return v.price_amount;
  end if;
  return (
    select p.price_amount from public.variant_prices p where p.variant_id = v.id and p.currency = p_currency
  );
end;
$$;
comment on function private.price_in(public.product_variants, text) is
  'What a variant costs today in a currency, in its minor units; null: it is not sold in it.';

create function private.is_offered(v public.product_variants, p_currency text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return v.active and private.price_in(v, p_currency) is not null
    and exists (select 1 from public.products p where p.id = v.product_id and p.active);
end;
$$;
comment on function private.is_offered(public.product_variants, text) is
  'Whether a variant is on sale today, in this currency. Says nothing of its stock.';

create function private.judge_price() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_problem text := private.amount_problem(new.price_amount, new.currency);
begin
  if new.active and v_problem is not null then
    raise warning 'the price of % %: Stripe will refuse to sell it', new.sku, v_problem;
    perform private.raise_alert(
      'unsellable_price', 'critical', 'unsellable_price:' || new.id,
      jsonb_build_object(
        'sku', new.sku, 'price_amount', new.price_amount, 'currency', new.currency,
        'problem', 'the price ' || v_problem
      )
    );
  else
    update public.alerts set status = 'resolved'
    where dedupe_key = 'unsellable_price:' || coalesce(new.id, old.id) and status <> 'resolved';
  end if;
  return null;
end;
$$;
comment on function private.judge_price() is
  'Trigger of product_variants: staff hear at once of a price that Stripe refuses, whichever way it came '
  'in; corrected, retired or deleted, the alert closes.';
create trigger judge_price
  after insert or update of price_amount, currency, active or delete on public.product_variants
  for each row execute function private.judge_price();

create function private.tidy_options() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.size := private.one_line(new.size);
  new.color := private.one_line(new.color);
  return new;
end;
$$;
comment on function private.tidy_options() is
  'Trigger of product_variants: a size or colour that somebody cleared is none, not an empty one.';
create trigger tidy_options before insert or update of size, color on public.product_variants
  for each row execute function private.tidy_options();

create function private.variant_name(p_product text, p_color text, p_size text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return concat_ws(' – ', private.one_line(p_product), nullif(concat_ws(', ', p_color, p_size), ''));
end;
$$;
comment on function private.variant_name(text, text, text) is
  'A variant as buyers know it: Wool Suit – Navy, 40R, or Belt when it comes in one way only.';

alter table public.products enable row level security;
alter table public.product_variants enable row level security;
alter table public.variant_prices enable row level security;

create policy products_read on public.products for select to anon, authenticated
  using (active or (select private.is_admin()));
create policy product_variants_read on public.product_variants for select to anon, authenticated
  using (
    (active and exists (select 1 from public.products p where p.id = product_id and p.active))
    or (select private.is_admin())
  );

-- The subselect is under the policies of variants: who sees one sees its prices.
create policy variant_prices_read on public.variant_prices for select to anon, authenticated
  using (exists (select 1 from public.product_variants v where v.id = variant_id));

revoke all on public.products, public.product_variants, public.variant_prices
  from public, anon, authenticated, service_role;
grant select on public.products, public.product_variants, public.variant_prices
  to anon, authenticated, service_role;
