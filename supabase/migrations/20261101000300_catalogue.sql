-- What is sold. Anybody reads what is active; staff read all; written in the dashboard.

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
  constraint product_variants_price_amount_range check (price_amount between 0 and 99999999),
  constraint product_variants_currency_format check (currency ~ '^[a-z]{3}$')
);
comment on table public.product_variants is 'One sellable size and colour. price_amount is in minor units of currency.';
comment on column public.product_variants.image_url is 'The picture of this colour, in the form of products.image_url; null for that of the product.';
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
