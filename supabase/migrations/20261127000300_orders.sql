-- Generated from supabase/schemas/orders by 'deno task migrations': edit there.

-- Who buys: an account, a Stripe customer, or both.

create table public.customers (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references auth.users (id) on delete set null,
  email text,
  name text,
  stripe_customer_id text,
  livemode boolean not null default false,
  stripe_deleted_at timestamptz,
  email_changes integer not null default 0,
  email_changes_told integer not null default 0,
  created_at timestamptz not null default now(),
  constraint customers_user_id_key unique (user_id, livemode),
  constraint customers_stripe_customer_id_key unique (stripe_customer_id),
  constraint customers_email_length check (char_length(email) <= 320)
);
comment on table public.customers is
  'A buyer. user_id is set for accounts, stripe_customer_id once Stripe knows them; guests have only the '
  'latter.';
comment on column public.customers.email_changes is
  'How often an account''s address has changed; Stripe''s customer has the address of change number '
  'email_changes_told.';
create index customers_email_idx on public.customers (lower(email));

create function private.count_email_change() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.email_changes := old.email_changes + 1;
  return new;
end;
$$;
comment on function private.count_email_change() is
  'Trigger of customers: an account''s address has changed, and Stripe''s customer does not know yet.';

create trigger count_email_change before update of email on public.customers
  for each row when (new.user_id is not null and old.email is distinct from new.email)
  execute function private.count_email_change();

alter table public.customers enable row level security;
create policy customers_read on public.customers for select to authenticated
  -- Staff, or the owner. Each side has conditions that an index can answer, or the whole table would be read
  -- for somebody with one row. Those of staff are true of every row: the first is computed once and spares
  -- the second, whose function the planner calls and so knows for whom it plans. A plan kept for somebody
  -- else is slower, never wrong: is_admin() decides.
  using (
    (select private.is_admin()) and (
      id between (select private.first_for_staff()) and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
      or id >= private.first_for_staff()
    )
    or user_id = (select auth.uid())
  );
revoke all on public.customers from public, anon, authenticated, service_role;
grant select on public.customers to authenticated, service_role;

-- What Stripe says of the customers of our sessions. The account may have others, who never bought here: of
-- them no row is made. An update may come before the session that makes one ours: see know_customer().
create table private.stripe_customers (
  id text primary key,
  livemode boolean not null,
  email text,
  name text,
  deleted_at timestamptz,
  erased_at timestamptz,
  version text collate "C" not null
);
comment on table private.stripe_customers is
  'Stripe customers that a session of ours named, as last seen in events. deleted_at is set once and stays: '
  'deletion is final at Stripe.';
comment on column private.stripe_customers.erased_at is
  'When staff erased the person: whatever Stripe says of this customer later is stored without personal '
  'data.';
create index stripe_customers_email_idx on private.stripe_customers (lower(email));
alter table private.stripe_customers enable row level security;

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

-- What comes back: announced by the customer or by a refund, received in the house, closed when nothing is
-- left to do. A piece that was sold is kept by the customer or stands in one return.
--
--   requested -> received -> closed; requested -> closed (it never came), or closed with its refund

create table public.returns (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references public.orders (id) on delete cascade,
  status text not null default 'requested',
  reason text,
  refund_request_id text,
  received_at timestamptz,
  stocked_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  constraint returns_status_known check (status in ('requested', 'received', 'closed')),
  constraint returns_received_has_time check (
    (status <> 'requested' or received_at is null) and (status <> 'received' or received_at is not null)
  ),
  constraint returns_stocked_was_received check (stocked_at is null or received_at is not null)
);
comment on table public.returns is
  'Pieces that come back to the house, or that a refund has taken out of an order before they left it.';
comment on column public.returns.refund_request_id is
  'The refund with which its pieces go back on the shelf, once that has succeeded.';
comment on column public.returns.received_at is
  'When the pieces were in the house; null in a closed return: they never came.';
comment on column public.returns.stocked_at is 'When settle_order() booked its pieces, once.';
create index returns_order_id_idx on public.returns (order_id);
create index returns_refund_request_id_idx on public.returns (refund_request_id);

create table public.return_lines (
  id uuid primary key default gen_random_uuid(),
  return_id uuid not null references public.returns (id) on delete cascade,
  order_item_id uuid not null references public.order_items (id) on delete cascade,
  quantity integer not null,
  unsent integer not null default 0,
  restock boolean not null,
  exchanged_for uuid references public.order_items (id) on delete cascade,
  constraint return_lines_once unique nulls not distinct (return_id, order_item_id, exchanged_for),
  constraint return_lines_quantity_positive check (quantity > 0),
  constraint return_lines_unsent_within check (unsent between 0 and quantity)
);
comment on table public.return_lines is
  'Pieces of a return, by line of the order. restock: they go on the shelf; false: damaged, or not seen yet.';
comment on column public.return_lines.unsent is
  'How many of them never left the house: they are not to be sent any more.';
comment on column public.return_lines.exchanged_for is
  'The line of the order from which as many pieces go to the customer instead, at the same price; null: no '
  'exchange.';
create index return_lines_exchanged_for_idx on public.return_lines (exchanged_for);
create index return_lines_order_item_id_idx on public.return_lines (order_item_id);

alter table public.returns enable row level security;
alter table public.return_lines enable row level security;
create policy returns_read on public.returns for select to authenticated
  using ((select private.is_admin()));
create policy return_lines_read on public.return_lines for select to authenticated
  using ((select private.is_admin()));
revoke all on public.returns, public.return_lines from public, anon, authenticated, service_role;
grant select on public.returns, public.return_lines to authenticated, service_role;

create function private.add_return_line(
  p_return_id uuid,
  p_order_item_id uuid,
  p_quantity integer,
  p_unsent integer,
  p_restock boolean,
  p_exchanged_for uuid default null
) returns void
language sql
set search_path = ''
as $$
  insert into public.return_lines as l (return_id, order_item_id, quantity, unsent, restock, exchanged_for)
  select p_return_id, p_order_item_id, p_quantity, p_unsent, p_restock, p_exchanged_for where p_quantity > 0
  on conflict (return_id, order_item_id, exchanged_for) do update
  set quantity = l.quantity + excluded.quantity, unsent = l.unsent + excluded.unsent,
    restock = excluded.restock
$$;
comment on function private.add_return_line(uuid, uuid, integer, integer, boolean, uuid) is
  'Adds pieces of a line to a return; p_exchanged_for: the line whose pieces go out for them.';

create function private.waits_for_refund(r public.returns) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return r.status = 'requested' and exists (
    select 1 from public.refund_requests q
    left join public.refunds f on f.request_id = q.id
    left join private.refund_states s on s.id = f.id
    where q.id = r.refund_request_id and not private.refund_is_off(q) and s.has_bounced is not true
  );
end;
$$;
comment on function private.waits_for_refund(public.returns) is
  'Whether the pieces of a return go back on the shelf with a refund that is still on its way: neither given '
  'up nor bounced.';

create function private.pieces_that_wait(p_order_item_id uuid) returns integer
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(l.quantity), 0)
    from public.return_lines l join public.returns r on r.id = l.return_id
    where l.order_item_id = p_order_item_id and private.waits_for_refund(r)
  );
end;
$$;
comment on function private.pieces_that_wait(uuid) is
  'Pieces of a line that are announced and go back on the shelf with the refund that they wait for.';

create function private.take_announced(
  p_return_id uuid,
  p_order_item_id uuid,
  p_quantity integer,
  p_restock boolean,
  p_free_only boolean
) returns integer
language plpgsql
set search_path = ''
as $$
declare
  l record;
  v_left integer := p_quantity;
  v_taken integer;
  v_unsent integer;
begin
  for l in
    select x.id, x.quantity, x.unsent, x.exchanged_for
    from public.return_lines x join public.returns r on r.id = x.return_id
    where x.order_item_id = p_order_item_id and r.status = 'requested' and r.id <> p_return_id
      and (not p_free_only or (x.exchanged_for is null and not private.waits_for_refund(r)))
    order by r.created_at, r.id, x.id
  loop
    v_taken := least(l.quantity, v_left);
    exit when v_taken = 0;
    -- What has left the house first: it is what comes back.
    v_unsent := greatest(0, v_taken - (l.quantity - l.unsent));
    delete from public.return_lines x where x.id = l.id and x.quantity = v_taken;
    if not found then
      update public.return_lines x set quantity = x.quantity - v_taken, unsent = x.unsent - v_unsent
      where x.id = l.id;
    end if;
    perform private.add_return_line(
      p_return_id, p_order_item_id, v_taken, v_unsent, p_restock, l.exchanged_for
    );
    v_left := v_left - v_taken;
  end loop;
  delete from public.returns r
  where r.order_id = (select i.order_id from public.order_items i where i.id = p_order_item_id)
    and r.status = 'requested' and r.id <> p_return_id
    and not exists (select 1 from public.return_lines x where x.return_id = r.id);
  return p_quantity - v_left;
end;
$$;
comment on function private.take_announced(uuid, uuid, integer, boolean, boolean) is
  'Moves up to p_quantity announced pieces of a line from other returns to this one, the oldest first, and '
  'returns how many. p_free_only: none that wait for a refund or are exchanged.';

create function private.exchanged_pieces(p_order_item_id uuid, out came integer, out went integer)
language plpgsql
stable
set search_path = ''
as $$
begin
  select coalesce(sum(l.quantity) filter (where l.exchanged_for = p_order_item_id), 0),
    coalesce(sum(l.quantity) filter (where l.order_item_id = p_order_item_id), 0)
  into came, went
  from public.return_lines l join public.returns r on r.id = l.return_id
  -- One that was closed and never came is no exchange.
  where l.exchanged_for is not null and (r.received_at is not null or r.status = 'requested')
    and (l.exchanged_for = p_order_item_id or l.order_item_id = p_order_item_id);
end;
$$;
comment on function private.exchanged_pieces(uuid, out integer, out integer) is
  'Pieces that exchanges have brought to a line (came) and taken from it (went). What was paid for them goes '
  'with them: their prices are equal.';

-- What has left the house: one row for each parcel, with the pieces in it. An order may go in several.

create table private.carriers (
  name text primary key,
  tracking_url text not null,
  constraint carriers_name_lower check (name = lower(name)),
  constraint carriers_tracking_url_https check (tracking_url ~ '^https://' and tracking_url like '%{number}%')
);
comment on table private.carriers is
  'Where each carrier shows its parcels; {number} stands for the tracking number. name in lower case.';
alter table private.carriers enable row level security;
insert into private.carriers (name, tracking_url) values
  ('ups', 'https://www.ups.com/track?tracknum={number}'),
  ('usps', 'https://tools.usps.com/go/TrackConfirmAction?tLabels={number}'),
  ('fedex', 'https://www.fedex.com/fedextrack/?trknbr={number}'),
  ('dhl', 'https://www.dhl.com/global-en/home/tracking.html?tracking-id={number}'),
  ('dpd', 'https://www.dpdgroup.com/mydpd/my-parcels/track?parcelNumber={number}'),
  ('gls', 'https://gls-group.com/track/{number}'),
  ('royal mail', 'https://www.royalmail.com/track-your-item#/tracking-results/{number}'),
  (
    'canada post',
    'https://www.canadapost-postescanada.ca/track-reperage/en#/search?searchFor={number}'
  );

create function private.tracking_url(p_carrier text, p_tracking_number text) returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_number constant text := regexp_replace(p_tracking_number, '\s', '', 'g');
begin
  -- Whatever else somebody typed does not become part of an address.
  return (
    select replace(c.tracking_url, '{number}', v_number)
    from private.carriers c
    where c.name = lower(btrim(p_carrier)) and v_number ~ '^[A-Za-z0-9-]{4,40}$'
  );
end;
$$;
comment on function private.tracking_url(text, text) is
  'The page that shows a parcel, or null: an unknown carrier, or nothing like a tracking number.';

create table public.shipments (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references public.orders (id) on delete cascade,
  parcel integer not null,
  carrier text,
  tracking_number text,
  tracking_url text,
  shipped_at timestamptz not null default now(),
  constraint shipments_order_parcel_key unique (order_id, parcel),
  constraint shipments_parcel_positive check (parcel > 0)
);
comment on table public.shipments is
  'Parcels of an order, numbered from 1. Noted by mark_fulfilled(), corrected by correct_shipment().';
comment on column public.shipments.tracking_url is 'The carrier''s page of the parcel, where it is known.';

create table public.shipment_lines (
  shipment_id uuid not null references public.shipments (id) on delete cascade,
  order_item_id uuid not null references public.order_items (id) on delete cascade,
  quantity integer not null,
  constraint shipment_lines_pkey primary key (shipment_id, order_item_id),
  constraint shipment_lines_quantity_positive check (quantity > 0)
);
comment on table public.shipment_lines is 'Pieces in a parcel, by line of the order.';
create index shipment_lines_order_item_id_idx on public.shipment_lines (order_item_id);

alter table public.shipments enable row level security;
alter table public.shipment_lines enable row level security;
-- The inner selects are under the policies of orders: a customer sees the parcels of their own.
create policy shipments_read on public.shipments for select to authenticated
  -- As in customers_read, here and below.
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
create policy shipment_lines_read on public.shipment_lines for select to authenticated
  using (
    (select private.is_admin()) and (
      shipment_id between (select private.first_for_staff())
        and (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
      or shipment_id >= private.first_for_staff()
    )
    or shipment_id = any (array(
      select s.id from public.shipments s
        join public.orders o on o.id = s.order_id
        join public.customers c on c.id = o.customer_id
      where c.user_id = (select auth.uid())
    ))
  );
revoke all on public.shipments, public.shipment_lines from public, anon, authenticated, service_role;
grant select on public.shipments, public.shipment_lines to authenticated, service_role;

create function private.has_shipped(p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (select 1 from public.shipments s where s.order_id = p_order_id);
end;
$$;
comment on function private.has_shipped(uuid) is 'Whether anything of an order has left the house.';

create function private.line_positions(p_order_id uuid)
returns table (
  order_item_id uuid, variant_id uuid, sku text, name text, unit_amount bigint, quantity integer,
  shipped integer, sent_back integer, returned integer, announced integer, refunded integer,
  here integer, to_ship integer, paid integer, exchanged integer, exchanging integer
)
language plpgsql
stable
set search_path = ''
as $$
begin
  return query
  select i.id, i.variant_id, i.sku, i.name, i.unit_amount, i.quantity + e.came, s.shipped, b.sent_back,
    b.returned, b.announced, f.given, i.quantity + e.came - s.shipped - b.put_back,
    i.quantity + e.came - s.shipped - b.withdrawn, i.quantity + e.came - e.went, b.exchanged,
    e.went - b.exchanged
  from public.order_items i
  cross join lateral private.exchanged_pieces(i.id) e
  cross join lateral (
    select coalesce(sum(l.quantity), 0)::integer as shipped
    from public.shipment_lines l where l.order_item_id = i.id
  ) s
  cross join lateral (
    select coalesce(sum(l.quantity - l.unsent), 0)::integer as sent_back,
      coalesce(sum(l.quantity) filter (where r.received_at is not null), 0)::integer as returned,
      coalesce(sum(l.quantity) filter (where r.received_at is null), 0)::integer as announced,
      coalesce(sum(l.unsent) filter (where r.received_at is not null), 0)::integer as put_back,
      coalesce(sum(l.unsent), 0)::integer as withdrawn,
      coalesce(
        sum(l.quantity) filter (where r.received_at is not null and l.exchanged_for is not null), 0
      )::integer as exchanged
    from public.return_lines l join public.returns r on r.id = l.return_id
    -- A return that was closed and never came is none.
    where l.order_item_id = i.id and (r.received_at is not null or r.status = 'requested')
  ) b
  cross join lateral private.refunded_pieces(i.id) f
  where i.order_id = p_order_id
  order by i.sku collate "C", i.id;
end;
$$;
comment on function private.line_positions(uuid) is
  'Where the pieces of each line of an order are. quantity: bought, and come by exchange; shipped: have left '
  'the house; sent_back: of those in '
  'returns, the ones that had left; returned and announced: in returns that came, and that are awaited; '
  'refunded: money given back or on its way; here: sold and still in the house; to_ship: still to be sent; '
  'paid: pieces whose price is on this line; exchanged and exchanging: of those returned and announced, what '
  'another piece goes out for. '
  'Call with the order locked.';

create function private.completed_at(p_order_id uuid) returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  if not private.has_shipped(p_order_id)
    or exists (select 1 from private.line_positions(p_order_id) p where p.to_ship > 0) then
    return null;
  end if;
  return (select max(s.shipped_at) from public.shipments s where s.order_id = p_order_id);
end;
$$;
comment on function private.completed_at(uuid) is
  'When the last parcel of an order left; null while pieces are still to be sent, or nothing was.';

create function private.parse_order_lines(p_order_id uuid, p_lines jsonb, p_fields text[])
returns table (order_item_id uuid, sku text, quantity integer, line jsonb)
language plpgsql
stable
set search_path = ''
as $$
declare
  c record;
  v_skus constant text := (
    select string_agg(i.sku, ', ' order by i.sku collate "C")
    from public.order_items i where i.order_id = p_order_id
  );
begin
  if jsonb_array_length(p_lines) = 0 then
    raise exception 'p_lines has no line' using errcode = 'SHINV', hint = 'Leave it out to mean all.';
  end if;
  for c in select x.value as line, x.ordinality as n from jsonb_array_elements(p_lines) with ordinality x loop
    if jsonb_typeof(c.line) <> 'object' or c.line - ('{sku,quantity}'::text[] || p_fields) <> '{}'
      or jsonb_typeof(c.line -> 'sku') is distinct from 'string'
      or coalesce(c.line ->> 'quantity', '') !~ '^[1-9][0-9]{0,4}$'
      or coalesce(jsonb_typeof(c.line -> 'restock'), 'boolean') <> 'boolean' then
      raise exception 'line % must be a SKU of the order and a whole number of pieces', c.n
        using errcode = 'SHINV', hint = '[{"sku": "SHIRT-OXF-WHT-M", "quantity": 1}]';
    end if;
    sku := c.line ->> 'sku';
    quantity := (c.line ->> 'quantity')::integer;
    line := c.line;
    select i.id into order_item_id
    from public.order_items i where i.order_id = p_order_id and i.sku = parse_order_lines.sku;
    if not found then
      raise exception 'the order has no %; it has: %', left(sku, 64), v_skus using errcode = 'SHSKU';
    elsif (select count(*) from jsonb_array_elements(p_lines) x where x ->> 'sku' = parse_order_lines.sku) > 1
    then
      raise exception '% is listed twice', sku using errcode = 'SHINV';
    end if;
    return next;
  end loop;
end;
$$;
comment on function private.parse_order_lines(uuid, jsonb, text[]) is
  'Lines [{ sku, quantity, … }] that a command names, as pieces of an order; p_fields: what else a line may '
  'have. SHINV: malformed, or listed twice; SHSKU: not in the order.';

-- Orders that somebody made as a guest appear in the account that has proven the same e-mail address.
--
-- Auth's email_confirmed_at alone proves nothing: where "Confirm email" is off, it is set at sign-up, for any
-- address. Proof is a mail that Auth really sent to the address before it was confirmed, or a sign-in
-- provider (OAuth) that vouches for it. What the columns say at the moment of the change is kept here, since
-- later they do not say it any more: an address that was changed without a mail looks like the one before it.

create table private.proven_accounts (
  user_id uuid primary key references auth.users (id) on delete cascade,
  proven_at timestamptz not null default now()
);
comment on table private.proven_accounts is
  'Accounts whose present e-mail address is proven to be theirs. Gone as soon as the address changes '
  'without proof.';
alter table private.proven_accounts enable row level security;

create function private.is_vouched_for(p_user_id uuid, p_email text) returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select 1 from auth.identities i
    where i.user_id = p_user_id
      -- Auth's own two say what Auth was told, and a company's directory (sso:) says what its owner likes.
      and i.provider not in ('email', 'phone') and i.provider not like 'sso:%'
      and lower(i.identity_data ->> 'email') = lower(p_email)
      and lower(i.identity_data ->> 'email_verified') = 'true'
  )
$$;
comment on function private.is_vouched_for(uuid, text) is
  'Whether a sign-in provider of this account has verified the address.';

create function private.attach_guest_orders(
  p_user_id uuid,
  p_email text,
  p_order_id uuid default null
) returns integer
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_attached integer := 0;
begin
  -- Only paid orders: they carry the address that was used on Stripe's page; before that anybody can type
  -- any.
  for r in
    select o.id, o.livemode
    from public.orders o left join public.customers c on c.id = o.customer_id
    where lower(o.email) = lower(p_email) and o.paid_at is not null and c.user_id is null
      -- Says nothing new, and has an index.
      and private.email_key(o.email) = private.email_key(p_email)
      and (p_order_id is null or o.id = p_order_id)
    order by o.id
    for no key update of o
  loop
    update public.orders
    set customer_id = private.account_customer(p_user_id, p_email, r.livemode), mail_to_account = true
    where id = r.id;
    perform private.record_order_event(r.id, 'attached_to_account', 'auth');
    v_attached := v_attached + 1;
  end loop;
  return v_attached;
end;
$$;
comment on function private.attach_guest_orders(uuid, text, uuid) is
  'Gives an account the paid guest orders under its proven address (all, or p_order_id alone), and returns '
  'how many. The guest''s row and its Stripe customer stay as they are.';

create function private.note_email_proof(p_user_id uuid, p_proven boolean) returns void
language plpgsql
set search_path = ''
as $$
begin
  if p_proven then
    insert into private.proven_accounts (user_id) values (p_user_id) on conflict (user_id) do nothing;
  else
    delete from private.proven_accounts where user_id = p_user_id;
  end if;
end;
$$;
comment on function private.note_email_proof(uuid, boolean) is
  'Notes whether an account''s address, which has just changed or been confirmed, is proven.';

create function private.on_email_changed() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- Apart from the rest, so that what fails there does not undo that the address is not proven any more.
  begin
    if tg_op = 'UPDATE' and old.email is distinct from new.email then
      -- Auth mailed a link to the new address and the link was opened. Without confirmations it changes the
      -- address at once, and email_change was never written.
      perform private.note_email_proof(
        new.id,
        coalesce(lower(old.email_change) = lower(new.email) and old.email_change_sent_at is not null, false)
      );
    end if;
  exception when others then
    raise warning 'proof of an address not noted: %', private.error_text(sqlstate, sqlerrm);
    perform private.note_email_proof(new.id, false);
  end;
  begin
    if new.email_confirmed_at is not null and (tg_op = 'INSERT' or old.email_confirmed_at is null) and (
      new.confirmation_sent_at <= new.email_confirmed_at or private.is_vouched_for(new.id, new.email)
    ) then
      perform private.note_email_proof(new.id, true);
    end if;
    if nullif(new.email, '') is null or new.email_confirmed_at is null then
      return new;
    end if;
    update public.customers set email = lower(new.email)
    where user_id = new.id and email is distinct from lower(new.email);
    if exists (select 1 from private.proven_accounts p where p.user_id = new.id) then
      perform private.attach_guest_orders(new.id, new.email);
    end if;
  exception
    -- Nobody may be kept from signing in by what becomes of old orders.
    when others then
      raise warning 'guest orders not attached: %', private.error_text(sqlstate, sqlerrm);
  end;
  return new;
end;
$$;
comment on function private.on_email_changed() is
  'Trigger of auth.users: an address was confirmed or changed. Keeps private.proven_accounts, tells the '
  'customers row, and attaches guest orders to what is proven.';

create function private.on_order_paid() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.attach_guest_orders(u.id, u.email, new.id)
  from auth.users u join private.proven_accounts p on p.user_id = u.id
  -- As in Auth's own unique index: lower case, and nobody from a company's directory.
  where u.email = lower(new.email) and u.is_sso_user = false and u.email_confirmed_at is not null;
  return null;
end;
$$;
comment on function private.on_order_paid() is
  'Trigger of orders: one that a member made while signed out reaches the account, if its address is proven.';

create trigger attach_to_account after update of paid_at, email on public.orders
  for each row
    when (new.paid_at is not null and (old.paid_at is null or old.email is distinct from new.email))
  execute function private.on_order_paid();

do $$
begin
  create trigger kct_email_confirmed_on_insert after insert on auth.users
    for each row when (new.email_confirmed_at is not null)
    execute function private.on_email_changed();
  create trigger kct_email_confirmed_on_update after update of email, email_confirmed_at on auth.users
    for each row when (
      old.email is distinct from new.email
      or (old.email_confirmed_at is null and new.email_confirmed_at is not null)
    )
    execute function private.on_email_changed();
exception
  -- A platform that keeps auth.users to itself: orders then attach when `attach_guest_orders` is called by
  -- hand.
  when insufficient_privilege then
    raise warning 'auth.users allows no trigger: guest orders do not attach to accounts by themselves';
end;
$$;

-- Who had confirmed a mail before these migrations came.
insert into private.proven_accounts (user_id)
select u.id from auth.users u
where u.email_confirmed_at is not null and u.confirmation_sent_at <= u.email_confirmed_at;

-- Which order something is about: whatever has an id leads back to one.

create function private.order_of(p_id text) returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  v_order_id uuid;
begin
  if p_id ~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$' then
    return coalesce(
      (select o.id from public.orders o where o.id = p_id::uuid),
      (select n.order_id from public.notifications n where n.id = p_id::uuid),
      (select q.order_id from public.refund_requests q where q.id = p_id),
      (select private.order_named_in(a.data) from public.alerts a where a.id = p_id::uuid)
    );
  end if;
  v_order_id := coalesce(
    (select s.order_id from public.checkout_sessions s where s.id = p_id),
    (select p.order_id from public.payments p where p.id = p_id),
    (select a.order_id from public.payment_attempts a where a.id = p_id),
    (select r.order_id from public.refunds r where r.id = p_id),
    (select d.order_id from public.disputes d where d.id = p_id),
    (select f.order_id from public.fraud_signals f where f.source_id = p_id),
    (select q.order_id from public.refund_requests q where q.id = p_id)
  );
  if v_order_id is null and p_id like 'evt\_%' then
    v_order_id := (select private.order_of(e.object_id) from public.webhook_events e where e.id = p_id);
  end if;
  return v_order_id;
end;
$$;
comment on function private.order_of(text) is
  'The order that an id belongs to: its own (also without dashes, as a trace id), of a session, payment, try '
  'to pay, refund, dispute, warning, event, mail or alert. Null: none that is known here.';

create function private.order_named_in(p_data jsonb) returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  r record;
  v_order_id uuid;
begin
  for r in
    select x.key, x.value from jsonb_each_text(p_data) x
    where x.key = 'order_number' or x.key like '%\_id' order by x.key <> 'order_id', x.key
  loop
    if r.key = 'order_number' then
      select o.id into v_order_id from public.orders o where o.number = r.value;
    else
      v_order_id := private.order_of(r.value);
    end if;
    exit when v_order_id is not null;
  end loop;
  return v_order_id;
end;
$$;
comment on function private.order_named_in(jsonb) is
  'The order that the payload of a job or the data of an alert is about, told by its fields order_number and '
  '…_id. Null: none.';

create function private.orders_of_payment(p_payment_id text) returns uuid[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array(
    select p.order_id from public.payments p where p.id = p_payment_id
    union all
    select s.order_id from public.checkout_sessions s where s.payment_id = p_payment_id
  );
end;
$$;
comment on function private.orders_of_payment(text) is
  'The orders that a payment is known to be of: its own, and those of the sessions that name it.';
