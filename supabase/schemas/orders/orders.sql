-- Orders: a frozen snapshot of what was asked for, and what settle_order() derives from the facts.

create sequence private.order_number_seq start 100001;

create function private.next_order_number() returns text
language plpgsql
volatile
set search_path = ''
as $$
begin
  return coalesce(private.setting('order_number_prefix') #>> '{}', '')
    || nextval('private.order_number_seq')::text;
end;
$$;
comment on function private.next_order_number() is
  'Next order number: 100001, 100002, … after the setting order_number_prefix. Numbers may have gaps: a '
  'refused checkout uses one up.';

create table public.orders (
  id uuid primary key default gen_random_uuid(),
  number text not null default private.next_order_number(),
  customer_id uuid references public.customers (id) on delete set null,
  account_id uuid,
  email text,
  mail_to_account boolean not null default false,
  customer_name text,
  phone text,
  shipping_name text,
  shipping_address jsonb,
  billing_address jsonb,
  locale text,
  accepts_marketing boolean,

  status text not null default 'pending',
  fulfillment_status text not null default 'unfulfilled',
  currency text not null,
  amount_subtotal bigint not null,
  amount_discount bigint not null default 0,
  amount_shipping bigint not null default 0,
  amount_tax bigint not null default 0,
  amount_total bigint not null,
  amount_paid bigint not null default 0,
  amount_refunded bigint not null default 0,
  livemode boolean not null,

  cart_hash text not null,
  idempotency_key text,
  ui_mode text not null default 'hosted_page',
  attempt integer not null default 1,
  session_expires_at timestamptz not null,
  purchase_ip inet,
  user_agent text,
  prices_include_tax boolean not null default false,
  shipping_rates jsonb not null default '[]',
  asked_currency text,
  asked_country text,

  session_id text,
  payment_id text,
  decided_payment_id text,
  oversold_at timestamptz,
  restocked_at timestamptz,
  abandoned_at timestamptz,
  cancelled_at timestamptz,
  fulfilled_at timestamptz,
  paid_at timestamptz,
  erased_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),

  constraint orders_number_key unique (number),
  constraint orders_idempotency_key_key unique (idempotency_key),
  constraint orders_ui_mode_known check (ui_mode in ('hosted_page', 'embedded_page', 'elements')),
  constraint orders_status_known check (status in (
    'pending', 'processing', 'paid', 'needs_review', 'payment_failed', 'expired', 'cancelled',
    'partially_refunded', 'refunded'
  )),
  constraint orders_fulfillment_status_known check (
    fulfillment_status in ('unfulfilled', 'on_hold', 'fulfilled', 'cancelled')
  ),
  constraint orders_shipped_is_not_oversold check (fulfilled_at is null or oversold_at is null),
  constraint orders_amounts_not_negative check (
    least(
      amount_subtotal, amount_discount, amount_shipping, amount_tax, amount_total, amount_paid,
      amount_refunded
    ) >= 0
  )
);
comment on table public.orders is
  'One order. status, fulfillment_status, amounts and session_id/payment_id are derived by '
  'settle_order(); nothing else writes them.';
comment on column public.orders.id is 'For joins; people go by number.';
comment on column public.orders.number is 'What customers and staff call it. Numbers may have gaps.';
comment on column public.orders.customer_id is
  'Whose it is: customers.id; null: nobody is known yet, or it was a guest without a Stripe customer.';
comment on column public.orders.email is 'Where its mails go; null: not known yet, or erased.';
comment on column public.orders.customer_name is 'The name typed at the payment.';
comment on column public.orders.phone is 'Typed at the payment, where it is asked for.';
comment on column public.orders.shipping_name is 'Whom the parcel goes to.';
comment on column public.orders.shipping_address is
  'Where the parcel goes, as Stripe has it: line1, line2, postal_code, city, state, country.';
comment on column public.orders.billing_address is 'The address of the payment, in the same form.';
comment on column public.orders.locale is 'The shoppers language; mails are written in it.';
comment on column public.orders.status is 'How the money stands: see docs/contract.md. Derived.';
comment on column public.orders.fulfillment_status is
  'How the goods stand: unfulfilled, on_hold, fulfilled, cancelled. Derived.';
comment on column public.orders.currency is
  'ISO code in lower case. All amounts are in its minor units: 12900 is 129.00 USD, or 12900 JPY.';
comment on column public.orders.amount_discount is 'What was taken off, as Stripe computed it.';
comment on column public.orders.amount_shipping is 'Delivery.';
comment on column public.orders.amount_tax is
  'Tax; part of the prices where prices_include_tax, else added to them.';
comment on column public.orders.amount_total is 'What it costs.';
comment on column public.orders.amount_paid is 'What the payment that it keeps has brought.';
comment on column public.orders.amount_refunded is 'What of it was given back and has arrived.';
comment on column public.orders.livemode is 'False: made with test keys.';
comment on column public.orders.session_expires_at is 'Until when its latest payment page can be paid.';
comment on column public.orders.purchase_ip is 'The shoppers address on the network, for disputes.';
comment on column public.orders.user_agent is 'The shoppers browser, for disputes.';
comment on column public.orders.oversold_at is 'When its money came and the goods had gone: it is refunded.';
comment on column public.orders.cancelled_at is 'When staff cancelled it.';
comment on column public.orders.paid_at is 'When it was paid; null: not yet.';
comment on column public.orders.created_at is 'When checkout began.';
comment on column public.orders.updated_at is 'When settling last changed it.';
comment on column public.orders.account_id is
  'The account that was signed in at checkout, frozen: it travels in the metadata at Stripe, which a '
  'repeat must not change. Whose the order is now, customer_id says.';
comment on column public.orders.amount_subtotal is
  'Frozen at checkout: sum of unit_amount * quantity. A payment is compared with it before the order '
  'becomes paid.';
comment on column public.orders.mail_to_account is
  'The order went under its account''s own address: mails follow the account when that changes.';
comment on column public.orders.accepts_marketing is
  'Whether the shopper agreed to reminders, as the checkout or its last repeat said. Null: not asked.';
comment on column public.orders.cart_hash is
  'Hash of the frozen lines and currency; travels in the session''s metadata and must come back unchanged.';
comment on column public.orders.idempotency_key is
  'Who asked (user or guest) and their Idempotency-Key; the same key finds the same order again.';
comment on column public.orders.ui_mode is
  'The kind of payment page that the request asked for, as Stripe names it. A page that a mail''s link opens '
  'is hosted_page whatever stands here.';
comment on column public.orders.attempt is
  'Number of the checkout attempt: a new one after an expired or failed session. Part of Stripe''s '
  'idempotency key.';
comment on column public.orders.prices_include_tax is
  'The setting of that name when the attempt began: how its tax is computed and its sum is checked.';
comment on column public.orders.shipping_rates is
  'The delivery prices that the attempt offers, as they were when it began.';
comment on column public.orders.asked_currency is
  'The currency that the shopper has asked for; null: none. A repeat under the same key must ask for it too.';
comment on column public.orders.asked_country is
  'Where the parcel was to go, as the shopper had said before paying; null: not said.';
comment on column public.orders.restocked_at is
  'Set once, when the goods went back on the shelf: with a refund that asked for it, or by '
  'receive_return(). They are not taken again.';
comment on column public.orders.session_id is
  'The settled session whose payment this order keeps: see private.kept_session().';
comment on column public.orders.payment_id is
  'The payment this order keeps; null for a free order. Any other payment of the order is refunded.';
comment on column public.orders.decided_payment_id is
  'The payment that the order kept when staff first asked for a refund or its goods came back: their '
  'decision was about its money, so the order keeps it, whatever is paid later.';
comment on column public.orders.fulfilled_at is
  'When the last piece that was to be sent had left; null while some are still here. Derived.';
comment on column public.orders.abandoned_at is
  'Set when an attempt ended without any session at Stripe, which frees its stock.';
comment on column public.orders.erased_at is
  'When its personal data was removed, by erase_customer() or because it was never paid and is old. What '
  'comes later is stored without.';
create index orders_erasable_idx on public.orders (created_at) where paid_at is null and erased_at is null;
create index orders_customer_id_idx on public.orders (customer_id);
create index orders_payment_id_idx on public.orders (payment_id);
create index orders_created_at_idx on public.orders (created_at desc);
create index orders_open_idx on public.orders (session_expires_at)
  where status in ('pending', 'processing', 'cancelled');

-- Apart from the orders, because a customer reads their own: staff and customers are one role of the
-- database, and `select=*` asks for every column. What the shop thinks of an order's risk is for staff.
create table public.order_risk (
  order_id uuid primary key references public.orders (id) on delete cascade,
  velocity_mode text not null default 'off',
  velocity_rule_set bigint,
  three_d_secure text,
  declined_attempts integer not null default 0,
  outage_attempts integer not null default 0,
  review_reasons text[] not null default '{}',
  review_released_at timestamptz,
  constraint order_risk_three_d_secure_known check (three_d_secure in ('any', 'challenge')),
  constraint order_risk_velocity_mode_known check (velocity_mode in ('enforce', 'report', 'off'))
);
comment on table public.order_risk is
  'What the shop thinks of the risk of an order, one row for each: for staff. review_reasons is derived by '
  'settle_order().';
comment on column public.order_risk.velocity_mode is
  'VELOCITY_MODE when the attempt began: enforce, report or off.';
comment on column public.order_risk.velocity_rule_set is
  'The velocity rules on card and delivery address as they stood when the order was first seen paid: a row '
  'of private.velocity_rule_sets.';
comment on column public.order_risk.three_d_secure is
  'What the velocity rules ask of the card: challenge, any, or null for Stripe''s own judgement. Frozen for '
  'the attempt, so that a repeat sends the same parameters; only raised within it.';
comment on column public.order_risk.declined_attempts is
  'How many refused attempts the order had when it was last settled, outages apart: each further one is a '
  'case for the velocity rules, once.';
comment on column public.order_risk.outage_attempts is
  'How many attempts met an outage of the bank, the network or the processor: private.is_outage().';
comment on column public.order_risk.review_released_at is
  'When staff last released it. What they released stands in private.released_mismatches and in '
  'fraud_signals.released_at: news holds the order again.';

create function private.add_order_risk() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  insert into public.order_risk (order_id) values (new.id);
  return null;
end;
$$;
comment on function private.add_order_risk() is 'Trigger of orders: each has its row of order_risk.';

create trigger add_order_risk after insert on public.orders
  for each row execute function private.add_order_risk();

create function private.risk_of(p_order_id uuid) returns public.order_risk
language plpgsql
stable
set search_path = ''
as $$
begin
  return (select k from public.order_risk k where k.order_id = p_order_id);
end;
$$;
comment on function private.risk_of(uuid) is 'The order_risk row of an order.';

create table public.order_items (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references public.orders (id) on delete cascade,
  variant_id uuid not null references public.product_variants (id) on delete restrict,
  sku text not null,
  name text not null,
  quantity integer not null,
  unit_amount bigint not null,
  tax_code text,
  constraint order_items_order_variant_key unique (order_id, variant_id),
  constraint order_items_quantity_not_negative check (quantity >= 0),
  constraint order_items_unit_amount_not_negative check (unit_amount >= 0)
);
comment on table public.order_items is
  'Frozen lines of an order: one per variant, name and price as they were when the attempt began.';
comment on column public.order_items.id is 'For joins.';
comment on column public.order_items.order_id is 'orders.id.';
comment on column public.order_items.variant_id is
  'product_variants.id: the goods, whatever they are called by now.';
comment on column public.order_items.name is 'As the shopper saw it.';
comment on column public.order_items.quantity is
  'Pieces ordered: frozen. 0: a line that an exchange has added, whose pieces stand in '
  'return_lines.exchanged_for. What became of them is in shipment_lines and return_lines.';
comment on column public.order_items.unit_amount is
  'The price of one, in minor units of the orders currency.';
comment on column public.order_items.tax_code is
  'products.tax_code as it was when the attempt began; null: the account''s default at Stripe.';
comment on column public.order_items.sku is
  'What the shopper asked for, for good: the variant may be called otherwise by now. Goods are known by '
  'variant_id.';
create index order_items_variant_id_idx on public.order_items (variant_id);

create table public.order_events (
  id bigint generated always as identity primary key,
  order_id uuid not null references public.orders (id) on delete cascade,
  kind text not null,
  source text not null,
  data jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp()
);
comment on table public.order_events is
  'Append-only audit trail: what happened to an order, and through whom (checkout, stripe event, job, '
  'staff).';
create index order_events_order_id_idx on public.order_events (order_id, id);

create function private.refuse_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- An erasure takes a person's words out of a row, and changes nothing else. No API role may update at all.
  if tg_op = 'UPDATE' and current_setting('kct.erasing', true) = 'on' then
    return new;
  end if;
  raise exception '% is append-only', tg_table_name using errcode = 'SHAPP';
end;
$$;
comment on function private.refuse_change() is
  'Trigger of append-only tables: refuses update, delete and truncate with SQLSTATE SHAPP, but for what '
  'erase_person() removes.';

create trigger refuse_change before update or delete on public.order_events
  for each row execute function private.refuse_change();
create trigger refuse_truncate before truncate on public.order_events
  for each statement execute function private.refuse_change();

create function private.lock_order(p_order_id uuid) returns public.orders
language plpgsql
set search_path = ''
as $$
declare
  o public.orders;
begin
  select * into o from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'SHORD';
  end if;
  return o;
end;
$$;
comment on function private.lock_order(uuid) is
  'The row of an order, locked until the transaction ends. Everything that decides about an order begins '
  'here; the order comes before whatever else is locked. SHORD: no such order.';

create function private.record_order_event(
  p_order_id uuid,
  p_kind text,
  p_source text,
  p_data jsonb default '{}'
) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.order_events (order_id, kind, source, data)
  values (p_order_id, p_kind, p_source, p_data);
end;
$$;
comment on function private.record_order_event(uuid, text, text, jsonb) is
  'Adds a row to an order''s audit trail. p_data carries no personal data.';

alter table public.orders enable row level security;
alter table public.order_risk enable row level security;
alter table public.order_items enable row level security;
alter table public.order_events enable row level security;

create policy orders_read on public.orders for select to authenticated
  -- As in customers_read.
  using (
    (select private.is_admin()) and (
      id between (select private.first_for_staff()) and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
      or id >= private.first_for_staff()
    )
    or customer_id = any (array(select c.id from public.customers c where c.user_id = (select auth.uid())))
  );
create policy order_risk_read on public.order_risk for select to authenticated
  using ((select private.is_admin()));
create policy order_items_read on public.order_items for select to authenticated
  using (
    (select private.is_admin()) and (
      id between (select private.first_for_staff()) and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
      or id >= private.first_for_staff()
    )
    or order_id = any (array(
      select o.id from public.orders o join public.customers c on c.id = o.customer_id
      where c.user_id = (select auth.uid())
    ))
  );
create policy order_events_read on public.order_events for select to authenticated
  using ((select private.is_admin()));

revoke all on public.orders, public.order_risk, public.order_items, public.order_events
  from public, anon, authenticated, service_role;
revoke all on sequence public.order_events_id_seq from public, anon, authenticated, service_role;
grant select on public.orders, public.order_risk, public.order_items, public.order_events
  to authenticated, service_role;
