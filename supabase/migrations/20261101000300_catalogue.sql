-- What is sold. Anybody reads what is active; staff read all; written in the dashboard.

create function private.amount_problem(p_amount bigint, p_currency text) returns text
language sql
immutable
set search_path = ''
as $$
  select case
    when p_amount < 0 then 'must not be negative'
    when p_amount > case p_currency when 'idr' then 999999999999 else 99999999 end then 'is more than Stripe charges'
    when p_currency in ('isk', 'ugx') and p_amount % 100 <> 0 then 'must be a multiple of 100: the currency has no decimals'
    when p_currency in ('bhd', 'jod', 'kwd', 'omr', 'tnd') and p_amount % 10 <> 0
      then 'must be a multiple of 10: the third decimal must be 0'
  end
$$;
comment on function private.amount_problem(bigint, text) is
  'Why Stripe would refuse an amount in minor units of a currency, or null. minor_units.ts is the same rule in TypeScript (https://docs.stripe.com/currencies#minor-units).';
revoke execute on function private.amount_problem(bigint, text) from public, anon;
-- Check constraints run as whoever writes.
grant execute on function private.amount_problem(bigint, text) to authenticated, service_role;

create table public.products (
  id uuid primary key default gen_random_uuid(),
  slug text not null,
  name text not null,
  description text,
  image_url text,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  constraint products_slug_key unique (slug),
  constraint products_slug_format check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  constraint products_name_length check (char_length(name) between 1 and 200),
  constraint products_description_length check (char_length(description) <= 2000)
);
comment on table public.products is 'A thing on sale; its sizes and colours are product_variants.';
comment on column public.products.image_url is 'Absolute https URL, or a path on the site of SITE_URL; either is shown on Stripe''s page too.';

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
  constraint product_variants_price_amount_chargeable check (private.amount_problem(price_amount, currency) is null),
  constraint product_variants_currency_format check (currency ~ '^[a-z]{3}$')
);
comment on table public.product_variants is 'One sellable size and colour. price_amount is in Stripe''s minor units of currency.';
comment on column public.product_variants.image_url is 'The picture of this colour, in the form of products.image_url; null for that of the product.';
create function private.clear_blank_options() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.size := nullif(btrim(new.size), '');
  new.color := nullif(btrim(new.color), '');
  new.image_url := nullif(btrim(new.image_url), '');
  return new;
end;
$$;
comment on function private.clear_blank_options() is
  'Trigger of product_variants: an option that somebody emptied in the table editor is none.';
revoke execute on function private.clear_blank_options() from public, anon, authenticated;
create trigger clear_blank_options before insert or update on public.product_variants
  for each row execute function private.clear_blank_options();

create function private.clear_blank_texts() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.description := nullif(btrim(new.description), '');
  new.image_url := nullif(btrim(new.image_url), '');
  return new;
end;
$$;
comment on function private.clear_blank_texts() is
  'Trigger of products: a text that somebody emptied in the table editor is none. Stripe refuses empty ones.';
revoke execute on function private.clear_blank_texts() from public, anon, authenticated;
create trigger clear_blank_texts before insert or update on public.products
  for each row execute function private.clear_blank_texts();

create index product_variants_product_id_idx on public.product_variants (product_id);

alter table public.products enable row level security;
alter table public.product_variants enable row level security;

create policy products_read on public.products for select to anon, authenticated
  using (active or (select private.is_admin()));
create policy product_variants_read on public.product_variants for select to anon, authenticated
  using (
    (active and exists (select 1 from public.products p where p.id = product_id and p.active))
    or (select private.is_admin())
  );

revoke all on public.products, public.product_variants from public, anon, authenticated, service_role;
grant select on public.products, public.product_variants to anon, authenticated, service_role;
