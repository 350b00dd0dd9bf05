-- The schema as all migrations leave it. Generated: 'deno task ok --write' writes it, 'deno task ok' compares it.
-- For reading and reviewing; migrations are the source.


schema private;
comment on schema private is 'Internal: queue, rate limits, settings and the functions that decide. Not exposed over the API.';
grant usage on schema private to anon;
grant usage on schema private to authenticated;
grant usage on schema private to service_role;


schema public;
comment on schema public is 'standard public schema';
grant usage on schema public to anon;
grant usage on schema public to authenticated;
grant usage on schema public to public;
grant usage on schema public to service_role;


schema reporting;
comment on schema reporting is 'Read-only views for the dashboard. Not exposed over the API.';
grant usage on schema reporting to service_role;


sequence private.jobs_id_seq as bigint start 1 increment 1;


sequence private.order_number_seq as bigint start 100001 increment 1;


sequence public.inventory_adjustments_id_seq as bigint start 1 increment 1;


sequence public.order_events_id_seq as bigint start 1 increment 1;


sequence public.webhook_rejections_id_seq as bigint start 1 increment 1;


table private.jobs (
  id bigint generated always as identity not null,
  kind text not null,
  payload jsonb default '{}'::jsonb not null,
  dedupe_key text not null,
  status text default 'queued'::text not null,
  priority smallint default 100 not null,
  run_at timestamp with time zone default now() not null,
  attempts integer default 0 not null,
  max_attempts integer default 12 not null,
  lease_id uuid,
  leased_until timestamp with time zone,
  worker text,
  last_error text,
  created_at timestamp with time zone default now() not null,
  finished_at timestamp with time zone,
  constraint jobs_dedupe_key_key UNIQUE (dedupe_key),
  constraint jobs_pkey PRIMARY KEY (id),
  constraint jobs_running_has_lease CHECK (((status = 'running'::text) = ((lease_id IS NOT NULL) AND (leased_until IS NOT NULL)))),
  constraint jobs_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'done'::text, 'discarded'::text, 'dead'::text])))
);
comment on table private.jobs is 'Outbox and queue. dedupe_key makes each effect happen once; lower priority runs first.';
comment on column private.jobs.attempts is 'Counted at claim, so that a job that kills its worker runs out of attempts too.';
CREATE INDEX jobs_dead_idx ON private.jobs USING btree (kind) WHERE (status = 'dead'::text);
CREATE INDEX jobs_finished_at_idx ON private.jobs USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX jobs_queued_idx ON private.jobs USING btree (priority, run_at, id) WHERE (status = 'queued'::text);
CREATE INDEX jobs_running_idx ON private.jobs USING btree (leased_until) WHERE (status = 'running'::text);
row level security on private.jobs;


unlogged table private.rate_limits (
  key text not null,
  window_start timestamp with time zone not null,
  count integer not null,
  constraint rate_limits_pkey PRIMARY KEY (key, window_start)
);
comment on table private.rate_limits is 'Requests per key and window. Unlogged: losing it in a crash only forgives.';
CREATE INDEX rate_limits_window_start_idx ON private.rate_limits USING btree (window_start);
row level security on private.rate_limits;


table private.settings (
  key text not null,
  value jsonb not null,
  description text not null,
  updated_at timestamp with time zone default now() not null,
  constraint settings_pkey PRIMARY KEY (key)
);
comment on table private.settings is 'Switches read by SQL functions. Change a value with update; it takes effect at once.';
row level security on private.settings;


table public.alerts (
  id uuid default gen_random_uuid() not null,
  kind text not null,
  severity text not null,
  dedupe_key text not null,
  status text default 'open'::text not null,
  count integer default 1 not null,
  first_at timestamp with time zone default now() not null,
  last_at timestamp with time zone default now() not null,
  data jsonb default '{}'::jsonb not null,
  constraint alerts_dedupe_key_key UNIQUE (dedupe_key),
  constraint alerts_pkey PRIMARY KEY (id),
  constraint alerts_severity_known CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'critical'::text]))),
  constraint alerts_status_known CHECK ((status = ANY (ARRAY['open'::text, 'acknowledged'::text, 'resolved'::text])))
);
comment on table public.alerts is 'One row per cause (dedupe_key), counted up while it goes on. Carries ids and figures, no personal data.';
CREATE INDEX alerts_open_idx ON public.alerts USING btree (last_at DESC) WHERE (status = 'open'::text);
row level security on public.alerts;
policy alerts_read on public.alerts as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.alerts to authenticated;
grant select on table public.alerts to service_role;


table public.checkout_sessions (
  id text not null,
  order_id uuid not null,
  attempt integer,
  status text not null,
  payment_status text not null,
  async_payment_failed boolean default false not null,
  payment_id text,
  stripe_customer_id text,
  currency text,
  amount_subtotal bigint,
  amount_total bigint,
  amount_discount bigint,
  amount_shipping bigint,
  amount_tax bigint,
  livemode boolean not null,
  cart_hash text,
  email text,
  name text,
  phone text,
  shipping_name text,
  shipping_address jsonb,
  billing_address jsonb,
  url text,
  expires_at timestamp with time zone not null,
  recovered_from text,
  observed_at timestamp with time zone,
  completed_at timestamp with time zone,
  version text not null,
  created_at timestamp with time zone default now() not null,
  constraint checkout_sessions_pkey PRIMARY KEY (id),
  constraint checkout_sessions_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.checkout_sessions is 'Checkout Sessions of our orders, as last seen. An order may have several: resumed, recovered.';
comment on column public.checkout_sessions.observed_at is 'When the session was last read from Stripe''s API; keeps a polling success page from asking Stripe each time.';
CREATE INDEX checkout_sessions_open_idx ON public.checkout_sessions USING btree (expires_at) WHERE (status = 'open'::text);
CREATE INDEX checkout_sessions_order_id_idx ON public.checkout_sessions USING btree (order_id);
CREATE INDEX checkout_sessions_payment_id_idx ON public.checkout_sessions USING btree (payment_id);
row level security on public.checkout_sessions;
policy checkout_sessions_read on public.checkout_sessions as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.checkout_sessions to authenticated;
grant select on table public.checkout_sessions to service_role;


table public.customers (
  id uuid default gen_random_uuid() not null,
  user_id uuid,
  email text,
  name text,
  stripe_customer_id text,
  livemode boolean default false not null,
  stripe_deleted_at timestamp with time zone,
  version text default ''::text not null,
  created_at timestamp with time zone default now() not null,
  constraint customers_stripe_customer_id_key UNIQUE (stripe_customer_id),
  constraint customers_user_id_key UNIQUE (user_id, livemode),
  constraint customers_pkey PRIMARY KEY (id),
  constraint customers_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE SET NULL,
  constraint customers_email_length CHECK ((char_length(email) <= 320))
);
comment on table public.customers is 'A buyer. user_id is set for accounts, stripe_customer_id once Stripe knows them; guests have only the latter.';
CREATE INDEX customers_email_idx ON public.customers USING btree (lower(email));
row level security on public.customers;
policy customers_read on public.customers as permissive for select to authenticated using (((user_id = ( SELECT auth.uid() AS uid)) OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.customers to authenticated;
grant select on table public.customers to service_role;


table public.disputes (
  id text not null,
  order_id uuid,
  payment_id text,
  charge_id text,
  amount bigint not null,
  currency text not null,
  livemode boolean not null,
  reason text not null,
  status text not null,
  evidence_due_by timestamp with time zone,
  evidence_submission_count integer default 0 not null,
  has_evidence boolean default false not null,
  network_reason_code text,
  funds_withdrawn boolean default false not null,
  funds_reinstated boolean default false not null,
  version text not null,
  created_at timestamp with time zone not null,
  constraint disputes_pkey PRIMARY KEY (id),
  constraint disputes_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.disputes is 'Chargebacks (dp_, du_) and inquiries (status warning_*). funds_* become true once and stay.';
CREATE INDEX disputes_charge_id_idx ON public.disputes USING btree (charge_id);
CREATE INDEX disputes_order_id_idx ON public.disputes USING btree (order_id);
CREATE INDEX disputes_payment_id_idx ON public.disputes USING btree (payment_id);
row level security on public.disputes;
policy disputes_read on public.disputes as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.disputes to authenticated;
grant select on table public.disputes to service_role;


table public.fraud_signals (
  id uuid default gen_random_uuid() not null,
  source_id text,
  order_id uuid,
  payment_id text,
  charge_id text,
  kind text not null,
  severity text not null,
  open boolean default true not null,
  was_actionable boolean default false not null,
  data jsonb default '{}'::jsonb not null,
  version text default ''::text not null,
  created_at timestamp with time zone default now() not null,
  constraint fraud_signals_source_id_key UNIQUE (source_id),
  constraint fraud_signals_pkey PRIMARY KEY (id),
  constraint fraud_signals_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint fraud_signals_severity_known CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'critical'::text])))
);
comment on table public.fraud_signals is 'Early fraud warnings, Radar reviews (source_id = Stripe''s id) and velocity hits (no source_id).';
comment on column public.fraud_signals.was_actionable is 'True once any version of the signal was actionable; does not go back, so that the refund decision does not depend on the order of events.';
CREATE INDEX fraud_signals_charge_id_idx ON public.fraud_signals USING btree (charge_id);
CREATE INDEX fraud_signals_order_id_idx ON public.fraud_signals USING btree (order_id);
CREATE INDEX fraud_signals_payment_id_idx ON public.fraud_signals USING btree (payment_id);
row level security on public.fraud_signals;
policy fraud_signals_read on public.fraud_signals as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.fraud_signals to authenticated;
grant select on table public.fraud_signals to service_role;


table public.inventory_adjustments (
  id bigint generated always as identity not null,
  variant_id uuid not null,
  delta integer not null,
  reason text not null,
  actor text not null,
  created_at timestamp with time zone default now() not null,
  constraint inventory_adjustments_pkey PRIMARY KEY (id),
  constraint inventory_adjustments_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES product_variants(id) ON DELETE RESTRICT,
  constraint inventory_adjustments_delta_not_zero CHECK ((delta <> 0))
);
comment on table public.inventory_adjustments is 'Ledger of goods received (delta > 0) and lost or corrected (delta < 0). Written by a trigger, never changed.';
CREATE INDEX inventory_adjustments_variant_id_idx ON public.inventory_adjustments USING btree (variant_id);
row level security on public.inventory_adjustments;
policy inventory_adjustments_read on public.inventory_adjustments as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.inventory_adjustments to authenticated;
grant select on table public.inventory_adjustments to service_role;


table public.inventory_levels (
  variant_id uuid not null,
  on_hand integer default 0 not null,
  reserved integer default 0 not null,
  committed integer default 0 not null,
  available integer generated always as ((on_hand - reserved)) stored,
  updated_at timestamp with time zone default now() not null,
  constraint inventory_levels_pkey PRIMARY KEY (variant_id),
  constraint inventory_levels_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES product_variants(id) ON DELETE RESTRICT,
  constraint inventory_levels_committed_not_negative CHECK ((committed >= 0)),
  constraint inventory_levels_reserved_within_on_hand CHECK (((0 <= reserved) AND (reserved <= on_hand)))
);
comment on table public.inventory_levels is 'Stock per variant. reserved is the sum of active reservations, committed that of committed ones.';
CREATE TRIGGER record_inventory_adjustment BEFORE INSERT OR UPDATE ON public.inventory_levels FOR EACH ROW EXECUTE FUNCTION private.record_inventory_adjustment();
row level security on public.inventory_levels;
policy inventory_levels_read on public.inventory_levels as permissive for select to anon, authenticated using ((EXISTS ( SELECT 1
   FROM product_variants v
  WHERE (v.id = inventory_levels.variant_id))));
grant select on table public.inventory_levels to anon;
grant select on table public.inventory_levels to authenticated;
grant select on table public.inventory_levels to service_role;


table public.inventory_reservations (
  id uuid default gen_random_uuid() not null,
  order_id uuid not null,
  variant_id uuid not null,
  quantity integer not null,
  status text default 'active'::text not null,
  expires_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint inventory_reservations_order_variant_key UNIQUE (order_id, variant_id),
  constraint inventory_reservations_pkey PRIMARY KEY (id),
  constraint inventory_reservations_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint inventory_reservations_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES product_variants(id) ON DELETE RESTRICT,
  constraint inventory_reservations_quantity_positive CHECK ((quantity > 0)),
  constraint inventory_reservations_status_known CHECK ((status = ANY (ARRAY['active'::text, 'committed'::text, 'released'::text])))
);
comment on table public.inventory_reservations is 'Stock held by an order. expires_at only tells the sweeper when to ask Stripe; time alone releases nothing.';
CREATE INDEX inventory_reservations_due_idx ON public.inventory_reservations USING btree (expires_at) WHERE (status = 'active'::text);
CREATE INDEX inventory_reservations_variant_id_idx ON public.inventory_reservations USING btree (variant_id) WHERE (status <> 'released'::text);
row level security on public.inventory_reservations;
policy inventory_reservations_read on public.inventory_reservations as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.inventory_reservations to authenticated;
grant select on table public.inventory_reservations to service_role;


table public.notifications (
  id uuid default gen_random_uuid() not null,
  order_id uuid not null,
  template text not null,
  dedupe_key text default ''::text not null,
  recipient text,
  status text default 'queued'::text not null,
  sent_at timestamp with time zone,
  provider_id text,
  last_error text,
  data jsonb default '{}'::jsonb not null,
  created_at timestamp with time zone default now() not null,
  constraint notifications_once UNIQUE (order_id, template, dedupe_key),
  constraint notifications_pkey PRIMARY KEY (id),
  constraint notifications_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint notifications_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'sent'::text, 'failed'::text])))
);
comment on table public.notifications is 'Mails to customers: at most one per order, template and dedupe_key. recipient is filled in when the mail is sent.';
row level security on public.notifications;
policy notifications_read on public.notifications as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.notifications to authenticated;
grant select on table public.notifications to service_role;


table public.order_events (
  id bigint generated always as identity not null,
  order_id uuid not null,
  kind text not null,
  source text not null,
  data jsonb default '{}'::jsonb not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  constraint order_events_pkey PRIMARY KEY (id),
  constraint order_events_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.order_events is 'Append-only audit trail: what happened to an order, and through whom (checkout, stripe event, job, staff).';
CREATE INDEX order_events_order_id_idx ON public.order_events USING btree (order_id, id);
CREATE TRIGGER refuse_change BEFORE UPDATE ON public.order_events FOR EACH ROW EXECUTE FUNCTION private.refuse_change();
row level security on public.order_events;
policy order_events_read on public.order_events as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.order_events to authenticated;
grant select on table public.order_events to service_role;


table public.order_items (
  id uuid default gen_random_uuid() not null,
  order_id uuid not null,
  variant_id uuid not null,
  sku text not null,
  name text not null,
  quantity integer not null,
  unit_amount bigint not null,
  constraint order_items_order_variant_key UNIQUE (order_id, variant_id),
  constraint order_items_pkey PRIMARY KEY (id),
  constraint order_items_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint order_items_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES product_variants(id) ON DELETE RESTRICT,
  constraint order_items_quantity_positive CHECK ((quantity > 0)),
  constraint order_items_unit_amount_not_negative CHECK ((unit_amount >= 0))
);
comment on table public.order_items is 'Frozen lines of an order: one per SKU, name and price as they were at checkout.';
CREATE INDEX order_items_variant_id_idx ON public.order_items USING btree (variant_id);
row level security on public.order_items;
policy order_items_read on public.order_items as permissive for select to authenticated using ((EXISTS ( SELECT 1
   FROM orders o
  WHERE (o.id = order_items.order_id))));
grant select on table public.order_items to authenticated;
grant select on table public.order_items to service_role;


table public.orders (
  id uuid default gen_random_uuid() not null,
  number text default private.next_order_number() not null,
  customer_id uuid,
  email text,
  customer_name text,
  phone text,
  shipping_name text,
  shipping_address jsonb,
  billing_address jsonb,
  locale text,
  status text default 'pending'::text not null,
  fulfillment_status text default 'unfulfilled'::text not null,
  currency text not null,
  amount_subtotal bigint not null,
  amount_discount bigint default 0 not null,
  amount_shipping bigint default 0 not null,
  amount_tax bigint default 0 not null,
  amount_total bigint not null,
  amount_paid bigint default 0 not null,
  amount_refunded bigint default 0 not null,
  livemode boolean not null,
  cart_hash text not null,
  idempotency_key text,
  attempt integer default 1 not null,
  session_expires_at timestamp with time zone not null,
  purchase_ip inet,
  user_agent text,
  session_id text,
  payment_id text,
  review_reasons text[] default '{}'::text[] not null,
  review_released_at timestamp with time zone,
  oversold_at timestamp with time zone,
  abandoned_at timestamp with time zone,
  cancelled_at timestamp with time zone,
  cancel_reason text,
  carrier text,
  tracking_number text,
  fulfilled_at timestamp with time zone,
  paid_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint orders_idempotency_key_key UNIQUE (idempotency_key),
  constraint orders_number_key UNIQUE (number),
  constraint orders_pkey PRIMARY KEY (id),
  constraint orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers(id) ON DELETE SET NULL,
  constraint orders_amounts_not_negative CHECK ((LEAST(amount_subtotal, amount_discount, amount_shipping, amount_tax, amount_total, amount_paid, amount_refunded) >= 0)),
  constraint orders_fulfillment_status_known CHECK ((fulfillment_status = ANY (ARRAY['unfulfilled'::text, 'on_hold'::text, 'fulfilled'::text, 'cancelled'::text]))),
  constraint orders_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'paid'::text, 'needs_review'::text, 'payment_failed'::text, 'expired'::text, 'cancelled'::text, 'partially_refunded'::text, 'refunded'::text])))
);
comment on table public.orders is 'One order. status, fulfillment_status, amounts and session_id/payment_id are derived by settle_order(); nothing else writes them.';
comment on column public.orders.amount_subtotal is 'Frozen at checkout: sum of unit_amount * quantity. A payment is compared with it before the order becomes paid.';
comment on column public.orders.cart_hash is 'Hash of the frozen lines and currency; travels in the session''s metadata and must come back unchanged.';
comment on column public.orders.idempotency_key is 'Who asked (user or guest) and their Idempotency-Key; the same key finds the same order again.';
comment on column public.orders.attempt is 'Number of the checkout attempt: a new one after an expired or failed session. Part of Stripe''s idempotency key.';
comment on column public.orders.session_id is 'The session whose payment this order keeps. Set once.';
comment on column public.orders.payment_id is 'The payment this order keeps; null for a free order. Any other payment of the order is refunded.';
comment on column public.orders.abandoned_at is 'Set when an attempt ended without any session at Stripe, which frees its stock.';
CREATE INDEX orders_created_at_idx ON public.orders USING btree (created_at DESC);
CREATE INDEX orders_customer_id_idx ON public.orders USING btree (customer_id);
CREATE INDEX orders_open_idx ON public.orders USING btree (session_expires_at) WHERE (status = ANY (ARRAY['pending'::text, 'processing'::text, 'cancelled'::text]));
CREATE INDEX orders_payment_id_idx ON public.orders USING btree (payment_id);
row level security on public.orders;
policy orders_read on public.orders as permissive for select to authenticated using (((customer_id IN ( SELECT c.id
   FROM customers c
  WHERE (c.user_id = ( SELECT auth.uid() AS uid)))) OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.orders to authenticated;
grant select on table public.orders to service_role;


table public.payment_attempts (
  id text not null,
  payment_id text not null,
  order_id uuid,
  outcome text not null,
  amount bigint,
  currency text,
  livemode boolean not null,
  failure_code text,
  decline_code text,
  advice_code text,
  payment_method_type text,
  card_brand text,
  card_last4 text,
  card_funding text,
  card_country text,
  card_fingerprint text,
  three_d_secure_result text,
  risk_level text,
  risk_score integer,
  seller_message text,
  receipt_url text,
  version text not null,
  created_at timestamp with time zone not null,
  constraint payment_attempts_pkey PRIMARY KEY (id),
  constraint payment_attempts_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.payment_attempts is 'Every try to pay: charges, and confirmations that failed before a charge. created_at is Stripe''s time.';
CREATE INDEX payment_attempts_card_fingerprint_idx ON public.payment_attempts USING btree (card_fingerprint, created_at);
CREATE INDEX payment_attempts_order_id_idx ON public.payment_attempts USING btree (order_id);
CREATE INDEX payment_attempts_payment_id_idx ON public.payment_attempts USING btree (payment_id);
row level security on public.payment_attempts;
policy payment_attempts_read on public.payment_attempts as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.payment_attempts to authenticated;
grant select on table public.payment_attempts to service_role;


table public.payments (
  id text not null,
  order_id uuid,
  status text not null,
  amount bigint not null,
  amount_received bigint default 0 not null,
  currency text not null,
  livemode boolean not null,
  stripe_customer_id text,
  charge_id text,
  failure_code text,
  decline_code text,
  payment_method_type text,
  card_brand text,
  card_last4 text,
  card_country text,
  risk_level text,
  risk_score integer,
  three_d_secure_result text,
  succeeded_at timestamp with time zone,
  version text not null,
  created_at timestamp with time zone default now() not null,
  constraint payments_pkey PRIMARY KEY (id),
  constraint payments_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.payments is 'PaymentIntents. Card columns are those of the successful (else the latest) attempt; brand and last4 are all that is kept of a card number.';
CREATE INDEX payments_charge_id_idx ON public.payments USING btree (charge_id);
CREATE INDEX payments_order_id_idx ON public.payments USING btree (order_id);
row level security on public.payments;
policy payments_read on public.payments as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.payments to authenticated;
grant select on table public.payments to service_role;


table public.product_variants (
  id uuid default gen_random_uuid() not null,
  product_id uuid not null,
  sku text not null,
  size text,
  color text,
  price_amount bigint not null,
  currency text default 'usd'::text not null,
  stripe_price_id text,
  active boolean default true not null,
  created_at timestamp with time zone default now() not null,
  constraint product_variants_sku_key UNIQUE (sku),
  constraint product_variants_pkey PRIMARY KEY (id),
  constraint product_variants_product_id_fkey FOREIGN KEY (product_id) REFERENCES products(id) ON DELETE RESTRICT,
  constraint product_variants_currency_format CHECK ((currency ~ '^[a-z]{3}$'::text)),
  constraint product_variants_price_amount_range CHECK (((price_amount >= 0) AND (price_amount <= 99999999))),
  constraint product_variants_sku_format CHECK ((sku ~ '^[A-Za-z0-9._-]{1,64}$'::text))
);
comment on table public.product_variants is 'One sellable size and colour. price_amount is in minor units of currency.';
CREATE INDEX product_variants_product_id_idx ON public.product_variants USING btree (product_id);
row level security on public.product_variants;
policy product_variants_read on public.product_variants as permissive for select to anon, authenticated using (((active AND (EXISTS ( SELECT 1
   FROM products p
  WHERE ((p.id = product_variants.product_id) AND p.active)))) OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.product_variants to anon;
grant select on table public.product_variants to authenticated;
grant select on table public.product_variants to service_role;


table public.products (
  id uuid default gen_random_uuid() not null,
  slug text not null,
  name text not null,
  description text,
  image_url text,
  active boolean default true not null,
  created_at timestamp with time zone default now() not null,
  constraint products_slug_key UNIQUE (slug),
  constraint products_pkey PRIMARY KEY (id),
  constraint products_description_length CHECK ((char_length(description) <= 2000)),
  constraint products_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200))),
  constraint products_slug_format CHECK ((slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'::text))
);
comment on table public.products is 'A thing on sale; its sizes and colours are product_variants.';
comment on column public.products.image_url is 'Absolute https URL, or a path below the shop''s site. Only absolute https URLs are shown on Stripe''s page.';
row level security on public.products;
policy products_read on public.products as permissive for select to anon, authenticated using ((active OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.products to anon;
grant select on table public.products to authenticated;
grant select on table public.products to service_role;


table public.refunds (
  id text not null,
  order_id uuid,
  payment_id text,
  charge_id text,
  amount bigint not null,
  currency text not null,
  status text not null,
  reason text,
  failure_reason text,
  request_id text,
  version text not null,
  created_at timestamp with time zone not null,
  constraint refunds_pkey PRIMARY KEY (id),
  constraint refunds_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.refunds is 'Refund ledger, keyed by Stripe''s id, whoever asked for it. Only succeeded ones count as money given back.';
CREATE INDEX refunds_charge_id_idx ON public.refunds USING btree (charge_id);
CREATE INDEX refunds_order_id_idx ON public.refunds USING btree (order_id);
CREATE INDEX refunds_payment_id_idx ON public.refunds USING btree (payment_id);
row level security on public.refunds;
policy refunds_read on public.refunds as permissive for select to authenticated using (((EXISTS ( SELECT 1
   FROM orders o
  WHERE (o.id = refunds.order_id))) OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.refunds to authenticated;
grant select on table public.refunds to service_role;


table public.staff_commands (
  id uuid default gen_random_uuid() not null,
  command text not null,
  args jsonb default '{}'::jsonb not null,
  actor text default COALESCE((auth.uid())::text, (SESSION_USER)::text) not null,
  order_id uuid,
  result jsonb,
  created_at timestamp with time zone default now() not null,
  constraint staff_commands_pkey PRIMARY KEY (id),
  constraint staff_commands_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE SET NULL,
  constraint staff_commands_command_known CHECK ((command = ANY (ARRAY['request_refund'::text, 'cancel_order'::text, 'release_review'::text, 'mark_fulfilled'::text, 'submit_dispute_evidence'::text, 'resend_notification'::text, 'redrive_webhook_event'::text, 'erase_customer'::text, 'adjust_inventory'::text])))
);
comment on table public.staff_commands is 'Insert-only log of what staff asked for. Inserting a row carries it out; a refused command leaves no row.';
CREATE INDEX staff_commands_order_id_idx ON public.staff_commands USING btree (order_id);
CREATE TRIGGER refuse_delete BEFORE DELETE ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER run_staff_command AFTER INSERT ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.run_staff_command();
row level security on public.staff_commands;
policy staff_commands_insert on public.staff_commands as permissive for insert to authenticated with check (( SELECT private.is_admin() AS is_admin));
policy staff_commands_read on public.staff_commands as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.staff_commands to authenticated;
grant select on table public.staff_commands to service_role;


table public.stripe_webhook_ips (
  address inet not null,
  added_at timestamp with time zone default now() not null,
  constraint stripe_webhook_ips_pkey PRIMARY KEY (address)
);
comment on table public.stripe_webhook_ips is 'Addresses that Stripe posts webhooks from (stripe.com/files/ips/ips_webhooks.json); refreshed daily by a job.';
row level security on public.stripe_webhook_ips;
policy stripe_webhook_ips_read on public.stripe_webhook_ips as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.stripe_webhook_ips to authenticated;
grant select on table public.stripe_webhook_ips to service_role;


table public.webhook_events (
  id text not null,
  type text not null,
  status text not null,
  attempts integer default 0 not null,
  delivery_count integer default 1 not null,
  livemode boolean not null,
  api_version text,
  stripe_created_at timestamp with time zone not null,
  received_at timestamp with time zone default now() not null,
  processed_at timestamp with time zone,
  next_attempt_at timestamp with time zone,
  last_error text,
  ignored_reason text,
  source_ip inet,
  payload jsonb not null,
  constraint webhook_events_pkey PRIMARY KEY (id),
  constraint webhook_events_status_known CHECK ((status = ANY (ARRAY['processed'::text, 'ignored'::text, 'failed'::text, 'dead'::text])))
);
comment on table public.webhook_events is 'Every authentic event, once. The primary key is Stripe''s event id: a second delivery only counts up.';
comment on column public.webhook_events.attempts is 'How often its facts were applied or tried.';
CREATE INDEX webhook_events_received_at_idx ON public.webhook_events USING btree (received_at DESC);
CREATE INDEX webhook_events_unfinished_idx ON public.webhook_events USING btree (next_attempt_at) WHERE (status = ANY (ARRAY['failed'::text, 'dead'::text]));
row level security on public.webhook_events;
policy webhook_events_read on public.webhook_events as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.webhook_events to authenticated;
grant select on table public.webhook_events to service_role;


table public.webhook_rejections (
  id bigint generated always as identity not null,
  reason text not null,
  source_ip inet,
  count bigint default 1 not null,
  first_at timestamp with time zone default now() not null,
  last_at timestamp with time zone default now() not null,
  constraint webhook_rejections_reason_source_key UNIQUE NULLS NOT DISTINCT (reason, source_ip),
  constraint webhook_rejections_pkey PRIMARY KEY (id)
);
comment on table public.webhook_rejections is 'Requests refused by stripe-webhook, counted by reason and address. Bounded: past 10 000 addresses new ones are counted under null.';
row level security on public.webhook_rejections;
policy webhook_rejections_read on public.webhook_rejections as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.webhook_rejections to authenticated;
grant select on table public.webhook_rejections to service_role;


view reporting.disputes_due with (security_invoker=true) as
 SELECT d.id,
    o.number AS order_number,
    d.reason,
    d.status,
    d.amount,
    d.currency,
    d.evidence_due_by,
    (d.evidence_due_by - now()) AS time_left,
    d.has_evidence
   FROM (disputes d
     LEFT JOIN orders o ON ((o.id = d.order_id)))
  WHERE (d.status = ANY (ARRAY['needs_response'::text, 'warning_needs_response'::text, 'appeal_needs_response'::text]))
  ORDER BY d.evidence_due_by;
comment on view reporting.disputes_due is 'Disputes that wait for evidence, most urgent first.';
grant select on view reporting.disputes_due to service_role;


view reporting.inventory_position with (security_invoker=true) as
 SELECT v.sku,
    p.name,
    v.size,
    v.color,
    l.on_hand,
    l.reserved,
    l.available,
    l.committed
   FROM ((inventory_levels l
     JOIN product_variants v ON ((v.id = l.variant_id)))
     JOIN products p ON ((p.id = v.product_id)));
comment on view reporting.inventory_position is 'Stock per SKU.';
grant select on view reporting.inventory_position to service_role;


view reporting.orders_needing_attention with (security_invoker=true) as
 SELECT number,
    status,
    fulfillment_status,
    review_reasons,
    amount_total,
    currency,
    created_at
   FROM orders o
  WHERE ((status = 'needs_review'::text) OR (fulfillment_status = 'on_hold'::text) OR ((status = ANY (ARRAY['pending'::text, 'processing'::text])) AND (session_expires_at < (now() - '01:00:00'::interval)) AND (status = 'pending'::text)));
comment on view reporting.orders_needing_attention is 'Held orders, and open ones that should have ended an hour ago.';
grant select on view reporting.orders_needing_attention to service_role;


view reporting.payment_health with (security_invoker=true) as
 SELECT date_trunc('day'::text, created_at) AS day,
    outcome,
    COALESCE(decline_code, failure_code) AS code,
    count(*) AS attempts
   FROM payment_attempts a
  GROUP BY (date_trunc('day'::text, created_at)), outcome, COALESCE(decline_code, failure_code);
comment on view reporting.payment_health is 'Payment attempts per day, outcome and decline code.';
grant select on view reporting.payment_health to service_role;


view reporting.revenue_daily with (security_invoker=true) as
 SELECT date_trunc('day'::text, paid_at) AS day,
    currency,
    livemode,
    count(*) AS orders,
    sum(amount_paid) AS amount_paid,
    sum(amount_refunded) AS amount_refunded,
    sum((amount_paid - amount_refunded)) AS amount_net
   FROM orders o
  WHERE (paid_at IS NOT NULL)
  GROUP BY (date_trunc('day'::text, paid_at)), currency, livemode;
comment on view reporting.revenue_daily is 'Paid orders per day (by payment day) in minor units.';
grant select on view reporting.revenue_daily to service_role;


view reporting.suspicious_activity with (security_invoker=true) as
 SELECT 'rejected webhooks'::text AS what,
    host(r.source_ip) AS who,
    r.reason AS detail,
    r.count,
    r.last_at
   FROM webhook_rejections r
UNION ALL
 SELECT 'fraud signal'::text AS what,
    o.number AS who,
    f.kind AS detail,
    1 AS count,
    f.created_at AS last_at
   FROM (fraud_signals f
     LEFT JOIN orders o ON ((o.id = f.order_id)));
comment on view reporting.suspicious_activity is 'Refused webhook requests and fraud signals.';
grant select on view reporting.suspicious_activity to service_role;


view reporting.webhook_health with (security_invoker=true) as
 SELECT type,
    status,
    count(*) AS events,
    sum(delivery_count) AS deliveries,
    max(received_at) AS last_received_at,
    count(*) FILTER (WHERE (received_at > (now() - '1 day'::interval))) AS last_day
   FROM webhook_events e
  GROUP BY type, status;
comment on view reporting.webhook_health is 'Events per type and outcome.';
grant select on view reporting.webhook_health to service_role;


CREATE OR REPLACE FUNCTION private.apply_facts(p_facts jsonb, p_at timestamp with time zone, p_source text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_payment_id text;
  v_fact jsonb;
  v_kind text;
  v_order_id uuid;
  v_order_ids uuid[] := '{}';
  v_applied integer := 0;
begin
  -- A refund and the event that tells whose payment it is may run side by side: whoever comes second sees the first.
  for v_payment_id in
    select distinct case f ->> 'fact' when 'payment' then f ->> 'id' else f ->> 'payment_id' end as payment_id
    from jsonb_array_elements(p_facts) f
    order by payment_id
  loop
    if v_payment_id is not null then
      perform pg_advisory_xact_lock(hashtextextended('payment:' || v_payment_id, 0));
    end if;
  end loop;

  perform 1
  from public.orders o
  where o.id in (select private.order_of_fact(f) from jsonb_array_elements(p_facts) f)
  order by o.id
  for no key update;

  for v_fact in select f from jsonb_array_elements(p_facts) f loop
    v_kind := v_fact ->> 'fact';
    v_order_id := private.order_of_fact(v_fact);
    if v_kind = 'unknown_value' then
      perform private.raise_alert(
        'unknown_stripe_value', 'warning', format('unknown_stripe_value:%s:%s', v_fact ->> 'field', v_fact ->> 'value'),
        v_fact - 'fact'
      );
      continue;
    elsif v_kind in ('checkout_session', 'payment', 'payment_attempt') and v_order_id is null then
      -- Somebody else's: only these three carry our metadata, so without an order they are not ours.
      continue;
    end if;
    case v_kind
      when 'checkout_session' then perform private.merge_checkout_session(v_fact, v_order_id, p_at);
      when 'payment' then perform private.merge_payment(v_fact, v_order_id, p_at);
      when 'payment_attempt' then perform private.merge_payment_attempt(v_fact, v_order_id, p_at);
      when 'refund' then perform private.merge_refund(v_fact, v_order_id, p_at);
      when 'dispute' then perform private.merge_dispute(v_fact, v_order_id, p_at);
      when 'fraud_signal' then perform private.merge_fraud_signal(v_fact, v_order_id, p_at);
      when 'customer' then perform private.merge_customer(v_fact, p_at);
      else raise exception 'unknown fact %', v_kind using errcode = 'KCINV';
    end case;
    v_applied := v_applied + 1;
    if v_order_id is not null and not v_order_id = any (v_order_ids) then
      v_order_ids := v_order_ids || v_order_id;
    end if;
  end loop;

  perform private.link_payments(v_order_ids);
  for v_order_id in select unnest(v_order_ids) order by 1 loop
    perform private.settle_order(v_order_id, p_source);
  end loop;
  return jsonb_build_object('applied', v_applied, 'order_ids', to_jsonb(v_order_ids));
end;
$function$;
comment on function private.apply_facts(p_facts jsonb, p_at timestamp with time zone, p_source text) is 'Merges facts seen at p_at and settles the orders they touch. Locks in one order: payments (advisory), orders by id, stock by variant. Returns { applied, order_ids }; applied 0: nothing here is ours.';


CREATE OR REPLACE FUNCTION private.backoff(p_attempts integer)
 RETURNS interval
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  -- Full jitter: uniform in [1 s, min(max, base * 2^(attempts - 1))].
  select make_interval(secs => 1 + random() * (
    least(
      (private.setting('event_retry_max_seconds'))::numeric,
      (private.setting('event_retry_base_seconds'))::numeric * power(2::numeric, least(greatest(p_attempts, 1), 30) - 1)
    )::double precision - 1
  ))
$function$;
comment on function private.backoff(p_attempts integer) is 'Delay before try number p_attempts + 1: exponential with full jitter, limits in private.settings.';


CREATE OR REPLACE FUNCTION private.bury_job(p_job_id bigint, p_reason text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_job private.jobs;
begin
  update private.jobs
  set status = 'dead', lease_id = null, leased_until = null, finished_at = now(), last_error = p_reason
  where id = p_job_id
  returning * into v_job;
  if v_job.kind = 'retry_event' then
    update public.webhook_events
    set status = 'dead', next_attempt_at = null
    where id = v_job.payload ->> 'event_id' and status = 'failed';
  end if;
  perform private.raise_alert(
    'job_dead', 'critical', 'job_dead:' || v_job.dedupe_key,
    jsonb_build_object('job_id', v_job.id, 'kind', v_job.kind, 'attempts', v_job.attempts, 'error', p_reason)
  );
end;
$function$;
comment on function private.bury_job(p_job_id bigint, p_reason text) is 'Marks a job dead after its last attempt, its webhook event too, and raises a critical alert with the cause.';


CREATE OR REPLACE FUNCTION private.checkout_snapshot(p_order_id uuid, p_outcome text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'outcome', p_outcome,
    'order_id', o.id,
    'order_number', o.number,
    'attempt', o.attempt,
    'currency', o.currency,
    'amount_subtotal', o.amount_subtotal,
    'session_expires_at', floor(extract(epoch from o.session_expires_at))::bigint,
    'email', o.email,
    'locale', o.locale,
    'stripe_customer_id', (select c.stripe_customer_id from public.customers c where c.id = o.customer_id),
    'cart_hash', o.cart_hash,
    'items', (
      select jsonb_agg(jsonb_build_object(
        'sku', i.sku, 'name', i.name, 'description', p.description, 'image_url', p.image_url,
        'quantity', i.quantity, 'unit_amount', i.unit_amount, 'stripe_price_id', v.stripe_price_id
      ) order by i.sku collate "C")
      from public.order_items i
      join public.product_variants v on v.id = i.variant_id
      join public.products p on p.id = v.product_id
      where i.order_id = o.id
    ),
    'session', (
      select jsonb_build_object('id', s.id, 'url', s.url, 'status', s.status, 'expires_at', floor(extract(epoch from s.expires_at))::bigint)
      from public.checkout_sessions s
      where s.order_id = o.id and (s.attempt = o.attempt or s.id = o.session_id)
      order by (s.id = o.session_id) desc nulls last, s.created_at desc
      limit 1
    )
  )
  from public.orders o
  where o.id = p_order_id
$function$;
comment on function private.checkout_snapshot(p_order_id uuid, p_outcome text) is 'All that the checkout function needs to create, repeat or return the session of an order''s current attempt. session null: Stripe has not been asked, or its answer was lost.';


CREATE OR REPLACE FUNCTION private.enqueue_job(p_kind text, p_dedupe_key text, p_payload jsonb, p_run_at timestamp with time zone DEFAULT now(), p_priority integer DEFAULT 100, p_max_attempts integer DEFAULT 12)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into private.jobs (kind, dedupe_key, payload, run_at, priority, max_attempts)
  values (p_kind, p_dedupe_key, p_payload, p_run_at, p_priority, p_max_attempts)
  on conflict on constraint jobs_dedupe_key_key do nothing;
  return found;
end;
$function$;
comment on function private.enqueue_job(p_kind text, p_dedupe_key text, p_payload jsonb, p_run_at timestamp with time zone, p_priority integer, p_max_attempts integer) is 'Queues an effect unless one with this dedupe_key was ever queued. Returns whether it is new. Lower p_priority runs first.';


CREATE OR REPLACE FUNCTION private.find_checkout(p_idempotency_key text, p_lines jsonb, p_session_seconds integer, p_hold_seconds integer)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders;
begin
  select * into o from public.orders where idempotency_key = p_idempotency_key for no key update;
  if not found then
    return null;
  end if;
  -- Compared as asked for, not as priced: a price change meanwhile is not another cart.
  if p_lines is distinct from (
    select jsonb_agg(jsonb_build_array(i.sku, i.quantity) order by i.sku collate "C") from public.order_items i where i.order_id = o.id
  ) then
    raise exception 'this Idempotency-Key was used for another cart' using errcode = 'KCIDC';
  end if;
  if o.status in ('expired', 'payment_failed') then
    perform private.reopen_checkout(o.id, p_session_seconds, p_hold_seconds);
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$function$;
comment on function private.find_checkout(p_idempotency_key text, p_lines jsonb, p_session_seconds integer, p_hold_seconds integer) is 'The order that an Idempotency-Key made before, or null. An expired one gets a new attempt. p_lines: [[sku, quantity]…] sorted by sku. KCIDC: the key belongs to another cart.';


CREATE OR REPLACE FUNCTION private.fraud_reasons(p_order_id uuid, p_released boolean)
 RETURNS text[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(distinct
    case f.kind when 'early_fraud_warning' then 'early_fraud_warning' when 'review' then 'radar_review' else 'velocity_review' end
  ), '{}')
  from public.fraud_signals f
  where f.order_id = p_order_id
    and not p_released
    and case f.kind
      when 'early_fraud_warning' then f.was_actionable
      when 'review' then f.open
      else f.open and f.data ->> 'action' = 'review'
    end
$function$;
comment on function private.fraud_reasons(p_order_id uuid, p_released boolean) is 'Fraud holds of an order: an early fraud warning, an open Radar review, a velocity rule with action review. p_released: staff have released the order.';


CREATE OR REPLACE FUNCTION private.hash_cart(p_order_id uuid)
 RETURNS text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select left(encode(sha256(convert_to(
    o.currency || ';' || string_agg(i.sku || 'x' || i.quantity || '@' || i.unit_amount, ';' order by i.sku collate "C"), 'UTF8'
  )), 'hex'), 32)
  from public.orders o join public.order_items i on i.order_id = o.id
  where o.id = p_order_id
  group by o.currency
$function$;
comment on function private.hash_cart(p_order_id uuid) is 'Hash of an order''s frozen lines (sku, quantity, price) and currency; goes into the session''s metadata.';


CREATE OR REPLACE FUNCTION private.is_admin()
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'admin', false)
    and (
      not coalesce((private.setting('admin_require_mfa'))::boolean, false)
      or coalesce((select auth.jwt()) ->> 'aal' = 'aal2', false)
    )
$function$;
comment on function private.is_admin() is 'True when the caller''s JWT carries app_metadata.role = admin (users cannot write app_metadata) and, where admin_require_mfa is set, a second factor (aal2).';
grant execute on function private.is_admin() to anon;
grant execute on function private.is_admin() to authenticated;
grant execute on function private.is_admin() to service_role;


CREATE OR REPLACE FUNCTION private.link_payments(p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  update public.refunds r set order_id = p.order_id, payment_id = p.id from public.payments p
  where p.order_id = any (p_order_ids) and r.order_id is null and (r.payment_id = p.id or (r.payment_id is null and r.charge_id = p.charge_id));
  update public.disputes d set order_id = p.order_id, payment_id = p.id from public.payments p
  where p.order_id = any (p_order_ids) and d.order_id is null and (d.payment_id = p.id or (d.payment_id is null and d.charge_id = p.charge_id));
  update public.fraud_signals f set order_id = p.order_id, payment_id = p.id from public.payments p
  where p.order_id = any (p_order_ids) and f.order_id is null and (f.payment_id = p.id or (f.payment_id is null and f.charge_id = p.charge_id));
end;
$function$;
comment on function private.link_payments(p_order_ids uuid[]) is 'Gives refunds, disputes and fraud signals that came before their payment was known their order.';


CREATE OR REPLACE FUNCTION private.lock_order_by_number(p_order_number text)
 RETURNS orders
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders;
begin
  select * into o from public.orders where number = p_order_number for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_number using errcode = 'KCORD';
  end if;
  return o;
end;
$function$;
comment on function private.lock_order_by_number(p_order_number text) is 'The order of a number, locked. KCORD: no such order.';


CREATE OR REPLACE FUNCTION private.merge_checkout_session(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  f record;
  v_version text;
  v_paid boolean;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, attempt integer, status text, payment_status text, async_payment_failed boolean, payment_id text, customer_id text,
    currency text, amount_subtotal bigint, amount_total bigint, amount_discount bigint, amount_shipping bigint,
    amount_tax bigint, livemode boolean, cart_hash text, email text, name text, phone text, shipping_name text,
    shipping_address jsonb, billing_address jsonb, url text, expires_at bigint, recovered_from text
  );
  v_version := private.version(
    private.rank(array['open', 'expired', 'complete'], f.status),
    private.rank(array['unpaid', 'no_payment_required', 'paid'], f.payment_status),
    private.stamp(p_at),
    md5((p_fact - 'async_payment_failed')::text)
  );
  v_paid := f.status = 'complete' and f.payment_status in ('paid', 'no_payment_required');

  insert into public.checkout_sessions as s (
    id, order_id, attempt, status, payment_status, async_payment_failed, payment_id, stripe_customer_id, currency,
    amount_subtotal, amount_total, amount_discount, amount_shipping, amount_tax, livemode, cart_hash, email, name,
    phone, shipping_name, shipping_address, billing_address, url, expires_at, recovered_from, completed_at, version
  ) values (
    f.id, p_order_id, f.attempt, f.status, f.payment_status, f.async_payment_failed, f.payment_id, f.customer_id, f.currency,
    f.amount_subtotal, f.amount_total, f.amount_discount, f.amount_shipping, f.amount_tax, f.livemode, f.cart_hash, f.email, f.name,
    f.phone, f.shipping_name, f.shipping_address, f.billing_address, f.url, to_timestamp(f.expires_at), f.recovered_from,
    case when f.status = 'complete' then p_at end, v_version
  )
  on conflict (id) do update set
    attempt = coalesce(s.attempt, excluded.attempt),
    async_payment_failed = s.async_payment_failed or excluded.async_payment_failed,
    url = coalesce(s.url, excluded.url),
    recovered_from = coalesce(s.recovered_from, excluded.recovered_from),
    completed_at = least(s.completed_at, excluded.completed_at);

  update public.checkout_sessions s set
    status = f.status, payment_status = f.payment_status, payment_id = f.payment_id, stripe_customer_id = f.customer_id,
    currency = f.currency, amount_subtotal = f.amount_subtotal, amount_total = f.amount_total,
    amount_discount = f.amount_discount, amount_shipping = f.amount_shipping, amount_tax = f.amount_tax,
    livemode = f.livemode, cart_hash = f.cart_hash, email = f.email, name = f.name, phone = f.phone,
    shipping_name = f.shipping_name, shipping_address = f.shipping_address, billing_address = f.billing_address,
    expires_at = to_timestamp(f.expires_at), version = v_version
  where s.id = f.id and s.version < v_version;

  -- A paid session proves that its payment succeeded, also when the payment's own events are still under way.
  if v_paid and f.payment_id is not null then
    perform private.merge_payment(
      jsonb_build_object(
        'id', f.payment_id, 'livemode', f.livemode, 'status', 'succeeded', 'amount', f.amount_total,
        'amount_received', f.amount_total, 'currency', f.currency, 'customer_id', f.customer_id
      ),
      p_order_id, p_at, 'session'
    );
  end if;
end;
$function$;
comment on function private.merge_checkout_session(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a checkout_session fact seen at p_at into checkout_sessions. The order of a known session never changes.';


CREATE OR REPLACE FUNCTION private.merge_customer(p_fact jsonb, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_version text := private.version(private.stamp(p_at), md5(p_fact::text));
begin
  if (p_fact ->> 'deleted')::boolean then
    -- Deletion is final at Stripe. Forgetting the id makes the next checkout create a new customer.
    update public.customers
    set stripe_deleted_at = coalesce(stripe_deleted_at, p_at), stripe_customer_id = null
    where stripe_customer_id = p_fact ->> 'id';
  else
    -- An account's address comes from Supabase Auth; only guests take theirs from Stripe.
    update public.customers
    set email = coalesce(p_fact ->> 'email', email), name = coalesce(p_fact ->> 'name', name), version = v_version
    where stripe_customer_id = p_fact ->> 'id' and user_id is null and version < v_version;
  end if;
end;
$function$;
comment on function private.merge_customer(p_fact jsonb, p_at timestamp with time zone) is 'Merges a customer fact: a guest''s address and name, or the deletion of the Stripe customer.';


CREATE OR REPLACE FUNCTION private.merge_dispute(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, charge_id text, livemode boolean, amount bigint, currency text, reason text, status text,
    evidence_due_by bigint, evidence_submission_count integer, has_evidence boolean, network_reason_code text,
    funds_withdrawn boolean, funds_reinstated boolean, created bigint
  );
  v_version := private.version(
    private.stamp(p_at),
    private.rank(
      array[
        'warning_needs_response', 'warning_under_review', 'needs_response', 'under_review', 'lost',
        'appeal_needs_response', 'appeal_under_review', 'warning_closed', 'prevented', 'won'
      ],
      f.status
    ),
    md5((p_fact - 'funds_withdrawn' - 'funds_reinstated')::text)
  );
  insert into public.disputes as d (
    id, order_id, payment_id, charge_id, livemode, amount, currency, reason, status, evidence_due_by,
    evidence_submission_count, has_evidence, network_reason_code, funds_withdrawn, funds_reinstated, version, created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.livemode, f.amount, f.currency, f.reason, f.status, to_timestamp(f.evidence_due_by),
    f.evidence_submission_count, f.has_evidence, f.network_reason_code, f.funds_withdrawn, f.funds_reinstated, v_version, to_timestamp(f.created)
  )
  on conflict (id) do update set
    order_id = coalesce(d.order_id, excluded.order_id),
    funds_withdrawn = d.funds_withdrawn or excluded.funds_withdrawn,
    funds_reinstated = d.funds_reinstated or excluded.funds_reinstated;
  update public.disputes d set
    payment_id = coalesce(f.payment_id, d.payment_id), charge_id = coalesce(f.charge_id, d.charge_id), amount = f.amount,
    currency = f.currency, reason = f.reason, status = f.status, evidence_due_by = to_timestamp(f.evidence_due_by),
    evidence_submission_count = f.evidence_submission_count, has_evidence = f.has_evidence,
    network_reason_code = f.network_reason_code, version = v_version
  where d.id = f.id and d.version < v_version;
end;
$function$;
comment on function private.merge_dispute(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a dispute fact seen at p_at into disputes.';


CREATE OR REPLACE FUNCTION private.merge_fraud_signal(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, kind text, payment_id text, charge_id text, open boolean, reason text, created bigint
  );
  v_version := private.version(private.stamp(p_at), private.rank(array['true', 'false'], f.open::text), md5(p_fact::text));
  insert into public.fraud_signals as s (
    source_id, order_id, payment_id, charge_id, kind, severity, open, was_actionable, data, version, created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.kind,
    case f.kind when 'early_fraud_warning' then 'critical' else 'warning' end,
    f.open, f.open, jsonb_build_object('reason', f.reason), v_version, to_timestamp(f.created)
  )
  on conflict on constraint fraud_signals_source_id_key do update set
    order_id = coalesce(s.order_id, excluded.order_id),
    was_actionable = s.was_actionable or excluded.was_actionable;
  update public.fraud_signals s set
    payment_id = coalesce(f.payment_id, s.payment_id), charge_id = coalesce(f.charge_id, s.charge_id),
    open = f.open, data = jsonb_build_object('reason', f.reason), version = v_version
  where s.source_id = f.id and s.version < v_version;
end;
$function$;
comment on function private.merge_fraud_signal(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges an early fraud warning or a review seen at p_at into fraud_signals.';


CREATE OR REPLACE FUNCTION private.merge_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone, p_source text DEFAULT 'intent'::text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, status text, amount bigint, amount_received bigint, currency text, livemode boolean,
    customer_id text, charge_id text, failure_code text, decline_code text
  );
  v_version := private.version(
    private.rank(array['canceled', 'succeeded'], f.status),
    -- What a session tells of its payment yields to what the payment tells of itself.
    private.rank(array['session', 'intent'], p_source),
    private.stamp(p_at),
    private.rank(
      array['requires_confirmation', 'requires_action', 'processing', 'requires_payment_method', 'requires_capture', 'canceled', 'succeeded'],
      f.status
    ),
    md5(p_fact::text)
  );

  insert into public.payments as p (
    id, order_id, status, amount, amount_received, currency, livemode, stripe_customer_id, charge_id, failure_code,
    decline_code, succeeded_at, version
  ) values (
    f.id, p_order_id, f.status, f.amount, f.amount_received, f.currency, f.livemode, f.customer_id, f.charge_id, f.failure_code,
    f.decline_code, case when f.status = 'succeeded' then p_at end, v_version
  )
  on conflict (id) do update set
    order_id = coalesce(p.order_id, excluded.order_id),
    succeeded_at = least(p.succeeded_at, excluded.succeeded_at);

  update public.payments p set
    status = f.status, amount = f.amount, amount_received = f.amount_received, currency = f.currency,
    livemode = f.livemode, stripe_customer_id = f.customer_id, charge_id = f.charge_id,
    failure_code = f.failure_code, decline_code = f.decline_code, version = v_version
  where p.id = f.id and p.version < v_version;
end;
$function$;
comment on function private.merge_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone, p_source text) is 'Merges a payment fact seen at p_at into payments. p_source: intent (the payment itself) or session (what a paid session says of it).';


CREATE OR REPLACE FUNCTION private.merge_payment_attempt(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, livemode boolean, outcome text, amount bigint, currency text, failure_code text,
    decline_code text, advice_code text, payment_method_type text, card_brand text, card_last4 text, card_funding text,
    card_country text, card_fingerprint text, three_d_secure_result text, risk_level text, risk_score integer,
    seller_message text, receipt_url text, created bigint
  );
  v_version := private.version(
    private.rank(array['pending', 'failed', 'blocked', 'succeeded'], f.outcome), private.stamp(p_at), md5(p_fact::text)
  );
  insert into public.payment_attempts as a (
    id, payment_id, order_id, livemode, outcome, amount, currency, failure_code, decline_code, advice_code,
    payment_method_type, card_brand, card_last4, card_funding, card_country, card_fingerprint, three_d_secure_result,
    risk_level, risk_score, seller_message, receipt_url, version, created_at
  ) values (
    f.id, f.payment_id, p_order_id, f.livemode, f.outcome, f.amount, f.currency, f.failure_code, f.decline_code, f.advice_code,
    f.payment_method_type, f.card_brand, f.card_last4, f.card_funding, f.card_country, f.card_fingerprint, f.three_d_secure_result,
    f.risk_level, f.risk_score, f.seller_message, f.receipt_url, v_version, to_timestamp(f.created)
  )
  on conflict (id) do update set
    order_id = coalesce(a.order_id, excluded.order_id),
    outcome = excluded.outcome, amount = excluded.amount, currency = excluded.currency, livemode = excluded.livemode,
    failure_code = excluded.failure_code, decline_code = excluded.decline_code, advice_code = excluded.advice_code,
    payment_method_type = excluded.payment_method_type, card_brand = excluded.card_brand, card_last4 = excluded.card_last4,
    card_funding = excluded.card_funding, card_country = excluded.card_country, card_fingerprint = excluded.card_fingerprint,
    three_d_secure_result = excluded.three_d_secure_result, risk_level = excluded.risk_level, risk_score = excluded.risk_score,
    seller_message = excluded.seller_message, receipt_url = excluded.receipt_url, version = excluded.version
  where a.version < excluded.version;
end;
$function$;
comment on function private.merge_payment_attempt(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a payment_attempt fact seen at p_at into payment_attempts.';


CREATE OR REPLACE FUNCTION private.merge_refund(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, charge_id text, amount bigint, currency text, status text, reason text,
    failure_reason text, request_id text, created bigint
  );
  v_version := private.version(
    private.rank(array['pending', 'requires_action', 'succeeded', 'canceled', 'failed'], f.status), private.stamp(p_at), md5(p_fact::text)
  );
  insert into public.refunds as r (
    id, order_id, payment_id, charge_id, amount, currency, status, reason, failure_reason, request_id, version, created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.amount, f.currency, f.status, f.reason, f.failure_reason, f.request_id,
    v_version, to_timestamp(f.created)
  )
  on conflict (id) do update set
    order_id = coalesce(r.order_id, excluded.order_id),
    payment_id = coalesce(excluded.payment_id, r.payment_id), charge_id = coalesce(excluded.charge_id, r.charge_id),
    amount = excluded.amount, currency = excluded.currency, status = excluded.status, reason = excluded.reason,
    failure_reason = excluded.failure_reason, request_id = coalesce(excluded.request_id, r.request_id), version = excluded.version
  where r.version < excluded.version;
end;
$function$;
comment on function private.merge_refund(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a refund fact seen at p_at into refunds.';


CREATE OR REPLACE FUNCTION private.next_order_number()
 RETURNS text
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(private.setting('order_number_prefix') #>> '{}', '') || nextval('private.order_number_seq')::text
$function$;
comment on function private.next_order_number() is 'Next order number, e.g. KCT-100001. Numbers may have gaps: a refused checkout uses one up.';


CREATE OR REPLACE FUNCTION private.order_of_fact(p_fact jsonb)
 RETURNS uuid
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  -- What we linked ourselves comes before what metadata says.
  select coalesce(
    (select s.order_id from public.checkout_sessions s where s.id = p_fact ->> 'id' and p_fact ->> 'fact' = 'checkout_session'),
    (select s.order_id from public.checkout_sessions s where s.id = p_fact ->> 'recovered_from'),
    (
      select p.order_id from public.payments p
      where p.id = case p_fact ->> 'fact' when 'payment' then p_fact ->> 'id' else p_fact ->> 'payment_id' end
    ),
    (select o.id from public.orders o where o.id::text = lower(p_fact ->> 'order_id')),
    (select p.order_id from public.payments p where p.charge_id = p_fact ->> 'charge_id' limit 1)
  )
$function$;
comment on function private.order_of_fact(p_fact jsonb) is 'The order a fact belongs to, or null when it is not (yet) known.';


CREATE OR REPLACE FUNCTION private.price_cart(p_items jsonb)
 RETURNS TABLE(variant_id uuid, sku text, name text, quantity bigint, unit_amount bigint, currency text)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_unknown jsonb;
begin
  select jsonb_agg(distinct w.sku) into v_unknown
  from jsonb_to_recordset(p_items) as w (sku text)
  where not exists (
    select 1 from public.product_variants v join public.products p on p.id = v.product_id
    where v.sku = w.sku and v.active and p.active
  );
  if v_unknown is not null then
    raise exception 'unknown sku' using errcode = 'KCSKU', detail = v_unknown::text;
  end if;
  return query
    select v.id, v.sku, concat_ws(' – ', p.name, nullif(concat_ws(', ', v.color, v.size), '')), sum(w.quantity), v.price_amount, v.currency
    from jsonb_to_recordset(p_items) as w (sku text, quantity integer)
    join public.product_variants v on v.sku = w.sku
    join public.products p on p.id = v.product_id
    group by v.id, v.sku, p.name, v.color, v.size, v.price_amount, v.currency;
end;
$function$;
comment on function private.price_cart(p_items jsonb) is 'The lines of a cart, summed per SKU, with names and today''s prices. KCSKU with the list: unknown or inactive SKUs (the two look alike on purpose).';


CREATE OR REPLACE FUNCTION private.process_stripe_event(p_event_id text, p_stripe_created_at timestamp with time zone, p_facts jsonb, p_ignored_reason text, p_error text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_reason text := p_ignored_reason;
  v_error text := p_error;
  v_result jsonb;
  v_run_at timestamptz := now() + private.backoff(1);
begin
  if v_reason is null and v_error is null then
    begin
      v_result := private.apply_facts(p_facts, p_stripe_created_at, p_event_id);
      if (v_result ->> 'applied')::integer = 0 and not jsonb_path_exists(p_facts, '$[*] ? (@.fact == "unknown_value")') then
        v_reason := 'foreign_object';
      else
        perform private.queue_refreshes(p_facts, p_stripe_created_at);
      end if;
    exception when others then
      -- Stored all the same: from here on our queue owns the retry.
      v_error := sqlstate || ' ' || sqlerrm;
    end;
  end if;

  update public.webhook_events set
    status = case when v_error is not null then 'failed' when v_reason is not null then 'ignored' else 'processed' end,
    ignored_reason = v_reason,
    attempts = attempts + 1,
    processed_at = case when v_error is null then now() end,
    next_attempt_at = case when v_error is not null then v_run_at end,
    last_error = v_error
  where id = p_event_id;

  if v_error is not null then
    perform private.enqueue_job('retry_event', 'retry_event:' || p_event_id, jsonb_build_object('event_id', p_event_id), v_run_at, 10);
    return jsonb_build_object('outcome', 'queued', 'reason', v_error);
  elsif v_reason is not null then
    return jsonb_build_object('outcome', 'ignored', 'reason', v_reason);
  end if;
  return jsonb_build_object('outcome', 'applied', 'order_ids', v_result -> 'order_ids');
end;
$function$;
comment on function private.process_stripe_event(p_event_id text, p_stripe_created_at timestamp with time zone, p_facts jsonb, p_ignored_reason text, p_error text) is 'Applies the facts of a stored event, or notes why it is ignored. When that fails the event stays stored as failed with a retry_event job, and the failure leaves no other trace.';


CREATE OR REPLACE FUNCTION private.queue_notification(p_order_id uuid, p_template text, p_dedupe_key text DEFAULT ''::text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_id uuid;
begin
  insert into public.notifications (order_id, template, dedupe_key, data)
  values (p_order_id, p_template, p_dedupe_key, p_data)
  on conflict on constraint notifications_once do nothing
  returning id into v_id;
  if v_id is null then
    return false;
  end if;
  perform private.enqueue_job(
    'send_mail', concat_ws(':', 'send_mail', p_order_id, p_template, nullif(p_dedupe_key, '')),
    jsonb_build_object('notification_id', v_id)
  );
  return true;
end;
$function$;
comment on function private.queue_notification(p_order_id uuid, p_template text, p_dedupe_key text, p_data jsonb) is 'Queues one mail per (order, template, dedupe key), with its job. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.queue_refreshes(p_facts jsonb, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_fact jsonb;
  v_kind text;
begin
  for v_fact in select f from jsonb_array_elements(p_facts) f loop
    v_kind := case
      when v_fact ->> 'fact' in ('dispute', 'refund') then 'refresh_' || (v_fact ->> 'fact')
      when v_fact ->> 'kind' = 'review' then 'refresh_review'
    end;
    if v_kind is not null then
      -- A few seconds later, so that one reading serves all events of the same second.
      perform private.enqueue_job(
        v_kind, format('%s:%s:%s', v_kind, v_fact ->> 'id', floor(extract(epoch from p_at))::bigint),
        jsonb_build_object(replace(v_kind, 'refresh_', '') || '_id', v_fact ->> 'id'), now() + interval '5 seconds', 150
      );
    end if;
  end loop;
end;
$function$;
comment on function private.queue_refreshes(p_facts jsonb, p_at timestamp with time zone) is 'Two events of one second cannot be told apart by time: each dispute, refund and review is read again from Stripe, once per object and second.';


CREATE OR REPLACE FUNCTION private.queue_refund(p_payment_id text, p_order_id uuid, p_why text, p_source text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  -- No amount: all that is left. The job finds out at Stripe, and is content when nothing is.
  if not private.enqueue_job(
    'refund_payment', 'refund_payment:' || p_why || ':' || p_payment_id,
    jsonb_build_object('payment_id', p_payment_id, 'order_id', p_order_id, 'amount', null, 'reason', p_why, 'refund_request_id', p_why || ':' || p_payment_id),
    now(), 20
  ) then
    return false;
  end if;
  perform private.record_order_event(p_order_id, 'refund_queued', p_source, jsonb_build_object('payment_id', p_payment_id, 'why', p_why));
  return true;
end;
$function$;
comment on function private.queue_refund(p_payment_id text, p_order_id uuid, p_why text, p_source text) is 'Queues the refund of all that is left of a payment, once per payment and cause. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.raise_alert(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_alert public.alerts;
begin
  insert into public.alerts as a (kind, severity, dedupe_key, data)
  values (p_kind, p_severity, p_dedupe_key, p_data)
  on conflict on constraint alerts_dedupe_key_key
  do update set count = a.count + 1, last_at = now(), data = excluded.data,
    status = case a.status when 'resolved' then 'open' else a.status end
  returning * into v_alert;
  if v_alert.count = 1 then
    perform private.enqueue_job('send_alert', 'send_alert:' || p_dedupe_key, jsonb_build_object('alert_id', v_alert.id), now(), 50);
  end if;
end;
$function$;
comment on function private.raise_alert(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb) is 'Something happened (again) that staff must know: opens or counts up the alert of p_dedupe_key and, the first time, queues its message.';


CREATE OR REPLACE FUNCTION private.raise_alert_once(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  if exists (select 1 from public.alerts where dedupe_key = p_dedupe_key) then
    return false;
  end if;
  perform private.raise_alert(p_kind, p_severity, p_dedupe_key, p_data);
  return true;
end;
$function$;
comment on function private.raise_alert_once(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb) is 'Raises an alert about a state, which settling again finds again: it is raised once and not counted up. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.rank(p_ladder text[], p_value text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select lpad(coalesce(array_position(p_ladder, p_value), 0)::text, 2, '0')
$function$;
comment on function private.rank(p_ladder text[], p_value text) is 'Position of a value on a ladder as two digits; 00 for a value this code does not know.';
grant execute on function private.rank(p_ladder text[], p_value text) to public;


CREATE OR REPLACE FUNCTION private.record_inventory_adjustment()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_delta integer := new.on_hand + new.committed;
begin
  if tg_op = 'UPDATE' then
    v_delta := v_delta - old.on_hand - old.committed;
    new.updated_at := now();
  end if;
  if v_delta <> 0 then
    insert into public.inventory_adjustments (variant_id, delta, reason, actor)
    values (
      new.variant_id,
      v_delta,
      coalesce(nullif(current_setting('kct.adjustment_reason', true), ''), lower(tg_op)),
      coalesce(nullif(current_setting('kct.actor', true), ''), session_user)
    );
  end if;
  return new;
end;
$function$;
comment on function private.record_inventory_adjustment() is 'Trigger of inventory_levels: writes the ledger row for any change of on_hand + committed. Reason and actor come from the settings kct.adjustment_reason and kct.actor of the transaction.';


CREATE OR REPLACE FUNCTION private.record_order_event(p_order_id uuid, p_kind text, p_source text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  insert into public.order_events (order_id, kind, source, data) values (p_order_id, p_kind, p_source, p_data)
$function$;
comment on function private.record_order_event(p_order_id uuid, p_kind text, p_source text, p_data jsonb) is 'Adds a row to an order''s audit trail. p_data carries no personal data.';


CREATE OR REPLACE FUNCTION private.redrive_event(p_event_id text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  update public.webhook_events set status = 'failed', next_attempt_at = now()
  where id = p_event_id and status in ('failed', 'dead');
  if not found then
    raise exception 'event % is not failed or dead', p_event_id using errcode = 'KCEVT';
  end if;
  if not private.enqueue_job('retry_event', 'retry_event:' || p_event_id, jsonb_build_object('event_id', p_event_id), now(), 10) then
    perform private.requeue_job(j.id) from private.jobs j where j.dedupe_key = 'retry_event:' || p_event_id;
  end if;
end;
$function$;
comment on function private.redrive_event(p_event_id text) is 'Queues a failed or dead webhook event again. KCEVT: it is neither.';


CREATE OR REPLACE FUNCTION private.refundable_amount(p_payment_id text)
 RETURNS bigint
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce((select p.amount_received from public.payments p where p.id = p_payment_id and p.status = 'succeeded'), 0)
    - coalesce((
      select sum(r.amount) from public.refunds r
      where r.payment_id = p_payment_id and r.status in ('pending', 'requires_action', 'succeeded')
    ), 0)
    - coalesce((
      -- Asked for, and not yet visible as a refund.
      select sum((j.payload ->> 'amount')::bigint) from private.jobs j
      where j.kind = 'refund_payment' and j.payload ->> 'payment_id' = p_payment_id
        and j.status in ('queued', 'running', 'done')
        and not exists (select 1 from public.refunds r where r.request_id = j.payload ->> 'refund_request_id')
    ), 0)
$function$;
comment on function private.refundable_amount(p_payment_id text) is 'Minor units of a payment that can still be refunded, requests under way counted as given back. Call with the order locked.';


CREATE OR REPLACE FUNCTION private.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'KCAPP';
end;
$function$;
comment on function private.refuse_change() is 'Trigger of append-only tables: refuses update and delete with SQLSTATE KCAPP.';


CREATE OR REPLACE FUNCTION private.refuse_shortage(p_wanted jsonb)
 RETURNS void
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_short jsonb;
begin
  select jsonb_agg(jsonb_build_object(
    'sku', v.sku, 'requested', w.quantity, 'available', greatest(coalesce(l.on_hand - l.reserved, 0), 0)
  ) order by v.sku collate "C")
  into v_short
  from jsonb_to_recordset(p_wanted) as w (variant_id uuid, quantity integer)
  join public.product_variants v on v.id = w.variant_id
  left join public.inventory_levels l on l.variant_id = w.variant_id
  where coalesce(l.on_hand - l.reserved, 0) < w.quantity;
  if v_short is not null then
    raise exception 'not enough stock' using errcode = 'KCSTK', detail = v_short::text;
  end if;
end;
$function$;
comment on function private.refuse_shortage(p_wanted jsonb) is 'Raises KCSTK with [{ sku, requested, available }] when stock does not cover [{ variant_id, quantity }]. Call with the rows locked.';


CREATE OR REPLACE FUNCTION private.reopen_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  perform private.reserve_stock(p_order_id, now() + make_interval(secs => p_hold_seconds));
  update public.orders set
    attempt = attempt + 1,
    session_expires_at = now() + make_interval(secs => p_session_seconds),
    abandoned_at = null
  where id = p_order_id;
  perform private.record_order_event(p_order_id, 'checkout_reopened', 'checkout');
  perform private.settle_order(p_order_id, 'checkout');
end;
$function$;
comment on function private.reopen_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer) is 'A new attempt of an order at its frozen prices: holds stock again (KCSTK when it is gone) and counts up the attempt. The caller has locked the order.';


CREATE OR REPLACE FUNCTION private.requeue_job(p_job_id bigint)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  update private.jobs
  set status = 'queued', run_at = now(), attempts = 0, finished_at = null, lease_id = null, leased_until = null
  where id = p_job_id and status in ('queued', 'dead', 'discarded')
$function$;
comment on function private.requeue_job(p_job_id bigint) is 'Makes a waiting, dead or discarded job due now, with all its attempts.';


CREATE OR REPLACE FUNCTION private.reserve_stock(p_order_id uuid, p_expires_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_wanted jsonb;
begin
  -- Every writer of inventory_levels locks by variant_id, so two carts cannot wait for each other.
  perform 1
  from public.inventory_levels l
  where l.variant_id in (select i.variant_id from public.order_items i where i.order_id = p_order_id)
  order by l.variant_id
  for no key update;

  select coalesce(jsonb_agg(jsonb_build_object('variant_id', i.variant_id, 'quantity', i.quantity)), '[]')
  into v_wanted
  from public.order_items i
  left join public.inventory_reservations r on r.order_id = i.order_id and r.variant_id = i.variant_id
  where i.order_id = p_order_id and coalesce(r.status, 'released') = 'released';
  perform private.refuse_shortage(v_wanted);

  update public.inventory_levels l set reserved = l.reserved + w.quantity
  from jsonb_to_recordset(v_wanted) as w (variant_id uuid, quantity integer)
  where l.variant_id = w.variant_id;

  insert into public.inventory_reservations as r (order_id, variant_id, quantity, expires_at)
  select i.order_id, i.variant_id, i.quantity, p_expires_at
  from public.order_items i
  where i.order_id = p_order_id
  on conflict on constraint inventory_reservations_order_variant_key do update set
    status = case r.status when 'released' then 'active' else r.status end,
    expires_at = greatest(r.expires_at, excluded.expires_at),
    updated_at = now();
end;
$function$;
comment on function private.reserve_stock(p_order_id uuid, p_expires_at timestamp with time zone) is 'Holds stock for all lines of an order or, raising KCSTK, for none. Lines already held keep their hold; p_expires_at extends it.';


CREATE OR REPLACE FUNCTION private.restock_wanted(o orders)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select o.amount_paid > 0 and o.amount_refunded >= o.amount_paid and exists (
    select 1 from public.staff_commands c
    where c.order_id = o.id and c.command = 'request_refund' and (c.args ->> 'restock')::boolean
  )
$function$;
comment on function private.restock_wanted(o orders) is 'True when an order is refunded in full and staff asked for its goods to go back on the shelf.';


CREATE OR REPLACE FUNCTION private.review_reasons(o orders, s checkout_sessions, p payments)
 RETURNS text[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select array_remove(array[
    case when s.currency is distinct from o.currency or p.currency <> o.currency
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded' and a.currency is distinct from o.currency
      ) then 'currency_mismatch' end,
    case when s.amount_subtotal is distinct from o.amount_subtotal
      or s.amount_total is distinct from
        s.amount_subtotal - s.amount_discount + s.amount_shipping
        + case when (private.setting('prices_include_tax'))::boolean then 0 else s.amount_tax end
      or (s.payment_id is null and s.amount_total <> 0)
      or p.amount <> s.amount_total
      or p.amount_received <> s.amount_total
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded' and a.amount is distinct from s.amount_total
      ) then 'amount_mismatch' end,
    case when s.livemode <> o.livemode or p.livemode <> o.livemode then 'livemode_mismatch' end,
    case when s.cart_hash is distinct from o.cart_hash then 'cart_mismatch' end,
    case when p.order_id <> o.id then 'payment_of_another_order' end
  ], null)
$function$;
comment on function private.review_reasons(o orders, s checkout_sessions, p payments) is 'Compares the kept session and payment with the frozen order. Empty: the money is right. Shipping, tax and discount are accepted as Stripe computed them, as long as the sum holds.';


CREATE OR REPLACE FUNCTION private.run_adjust_inventory(p_args jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_variant_id uuid;
  v_delta integer := (p_args ->> 'delta')::integer;
begin
  select id into v_variant_id from public.product_variants where sku = p_args ->> 'sku';
  if not found then
    raise exception 'unknown sku %', p_args ->> 'sku' using errcode = 'KCSKU', detail = jsonb_build_array(p_args ->> 'sku')::text;
  elsif v_delta is null or v_delta = 0 then
    raise exception 'delta must be a whole number other than 0' using errcode = 'KCINV';
  end if;
  perform set_config('kct.adjustment_reason', coalesce(p_args ->> 'reason', 'adjustment'), true);
  -- Not an upsert: a check constraint would judge the row that is only proposed, here a negative on_hand.
  update public.inventory_levels set on_hand = on_hand + v_delta
  where variant_id = v_variant_id and on_hand + v_delta >= reserved;
  if not found then
    if v_delta < 0 or exists (select 1 from public.inventory_levels where variant_id = v_variant_id) then
      raise exception 'stock of % cannot go below what is reserved', p_args ->> 'sku' using errcode = 'KCSTK';
    end if;
    insert into public.inventory_levels (variant_id, on_hand) values (v_variant_id, v_delta);
  end if;
  perform set_config('kct.adjustment_reason', '', true);
end;
$function$;
comment on function private.run_adjust_inventory(p_args jsonb) is 'Carries out adjust_inventory; the ledger row comes from the trigger. KCSKU, KCINV, KCSTK: would go below what open checkouts hold.';


CREATE OR REPLACE FUNCTION private.run_cancel_order(p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
begin
  if o.fulfilled_at is not null then
    raise exception 'order % has been shipped; refund it instead', o.number using errcode = 'KCINV';
  end if;
  update public.orders
  set cancelled_at = coalesce(cancelled_at, now()), cancel_reason = coalesce(cancel_reason, p_args ->> 'reason')
  where id = o.id;
  perform private.settle_order(o.id, 'staff');
  return o.id;
end;
$function$;
comment on function private.run_cancel_order(p_args jsonb) is 'Carries out cancel_order: settling expires open sessions and refunds what was paid. KCINV: already shipped.';


CREATE OR REPLACE FUNCTION private.run_erase_customer(p_args jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_email text := lower(p_args ->> 'email');
  v_order_ids uuid[];
begin
  select coalesce(array_agg(o.id), '{}') into v_order_ids
  from public.orders o left join public.customers c on c.id = o.customer_id
  where lower(o.email) = v_email or lower(c.email) = v_email;

  update public.webhook_events e set payload = '{"erased": true}'
  where e.status in ('processed', 'ignored') and (
    e.payload #>> '{data,object,id}' in (
      select s.id from public.checkout_sessions s where s.order_id = any (v_order_ids)
      union all select p.id from public.payments p where p.order_id = any (v_order_ids)
      union all select a.id from public.payment_attempts a where a.order_id = any (v_order_ids)
      union all select c.stripe_customer_id from public.customers c where lower(c.email) = v_email
    )
    or e.payload #>> '{data,object,payment_intent}' in (select p.id from public.payments p where p.order_id = any (v_order_ids))
  );
  update public.checkout_sessions set email = null, name = null, phone = null, shipping_name = null, shipping_address = null, billing_address = null
  where order_id = any (v_order_ids);
  update public.orders set email = null, customer_name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, purchase_ip = null, user_agent = null
  where id = any (v_order_ids);
  update public.notifications set recipient = null where order_id = any (v_order_ids);
  update public.customers set email = null, name = null where lower(email) = v_email;
end;
$function$;
comment on function private.run_erase_customer(p_args jsonb) is 'Carries out erase_customer: removes names, addresses and stored payloads of everything bought under an e-mail address; amounts and ids stay, as bookkeeping law wants.';


CREATE OR REPLACE FUNCTION private.run_mark_fulfilled(p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
begin
  if o.fulfillment_status <> 'unfulfilled' or o.status not in ('paid', 'partially_refunded') then
    raise exception 'order % must not ship (status %, fulfilment %)', o.number, o.status, o.fulfillment_status using errcode = 'KCINV';
  end if;
  update public.orders
  set fulfilled_at = now(), carrier = p_args ->> 'carrier', tracking_number = p_args ->> 'tracking_number'
  where id = o.id;
  perform private.settle_order(o.id, 'staff');
  perform private.queue_notification(o.id, 'order_shipped');
  return o.id;
end;
$function$;
comment on function private.run_mark_fulfilled(p_args jsonb) is 'Carries out mark_fulfilled: notes carrier and tracking number, queues the mail. KCINV: unpaid, held, cancelled or shipped already.';


CREATE OR REPLACE FUNCTION private.run_release_review(p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
begin
  if o.status <> 'needs_review' or 'oversold' = any (o.review_reasons) then
    raise exception 'order % is not held for review (status %, %)', o.number, o.status, array_to_string(o.review_reasons, ', ')
      using errcode = 'KCINV', hint = 'An oversold order is refunded by itself and cannot be released.';
  end if;
  update public.orders set review_released_at = now() where id = o.id;
  perform private.settle_order(o.id, 'staff');
  return o.id;
end;
$function$;
comment on function private.run_release_review(p_args jsonb) is 'Carries out release_review: a person has looked, the order may ship. KCINV: nothing to release.';


CREATE OR REPLACE FUNCTION private.run_request_refund(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_refundable bigint := private.refundable_amount(o.payment_id);
  v_amount bigint := coalesce((p_args ->> 'amount')::bigint, v_refundable);
begin
  if v_amount < 1 or v_amount > v_refundable then
    raise exception 'order % can be refunded by 1 to % (minor units of %), not %', o.number, v_refundable, o.currency, v_amount
      using errcode = 'KCREF', hint = 'Refunds under way count as given back.';
  end if;
  perform private.enqueue_job(
    'refund_payment', 'refund_payment:request:' || p_command_id,
    jsonb_build_object(
      'payment_id', o.payment_id, 'order_id', o.id, 'amount', v_amount, 'reason', coalesce(p_args ->> 'reason', 'requested_by_customer'),
      'refund_request_id', p_command_id
    ),
    now(), 20
  );
  return o.id;
end;
$function$;
comment on function private.run_request_refund(p_command_id uuid, p_args jsonb) is 'Carries out request_refund: queues one refund. KCREF: more than is left, or nothing is.';


CREATE OR REPLACE FUNCTION private.run_resend_notification(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_data jsonb;
begin
  select n.data into v_data from public.notifications n
  where n.order_id = o.id and n.template = p_args ->> 'template'
  order by n.created_at desc limit 1;
  if not found then
    raise exception 'order % has had no mail %', o.number, p_args ->> 'template' using errcode = 'KCINV';
  end if;
  perform private.queue_notification(o.id, p_args ->> 'template', 'resend:' || p_command_id, v_data);
  return o.id;
end;
$function$;
comment on function private.run_resend_notification(p_command_id uuid, p_args jsonb) is 'Carries out resend_notification: queues a mail that the order has had before once more. KCINV: it never had it.';


CREATE OR REPLACE FUNCTION private.run_staff_command()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_order_id uuid;
begin
  perform set_config('kct.actor', new.actor, true);
  case new.command
    when 'request_refund' then v_order_id := private.run_request_refund(new.id, new.args);
    when 'cancel_order' then v_order_id := private.run_cancel_order(new.args);
    when 'release_review' then v_order_id := private.run_release_review(new.args);
    when 'mark_fulfilled' then v_order_id := private.run_mark_fulfilled(new.args);
    when 'submit_dispute_evidence' then v_order_id := private.run_submit_dispute_evidence(new.id, new.args);
    when 'resend_notification' then v_order_id := private.run_resend_notification(new.id, new.args);
    when 'redrive_webhook_event' then perform private.redrive_event(new.args ->> 'event_id');
    when 'erase_customer' then
      perform private.run_erase_customer(new.args);
      -- The log of an erasure must not keep the address.
      update public.staff_commands set args = '{}' where id = new.id;
    when 'adjust_inventory' then perform private.run_adjust_inventory(new.args);
  end case;
  update public.staff_commands c
  set order_id = v_order_id,
      result = jsonb_build_object('ok', true, 'status', (select o.status from public.orders o where o.id = v_order_id))
  where c.id = new.id;
  if v_order_id is not null then
    perform private.record_order_event(v_order_id, new.command, 'staff', jsonb_build_object('command_id', new.id, 'actor', new.actor));
    -- request_refund is read from this table when the order settles.
    perform private.settle_order(v_order_id, 'staff');
  end if;
  return null;
end;
$function$;
comment on function private.run_staff_command() is 'Trigger of staff_commands: carries the command out, notes the result and the audit row. An error undoes the insert as well.';


CREATE OR REPLACE FUNCTION private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  d public.disputes;
begin
  select * into d from public.disputes where id = p_args ->> 'dispute_id' for no key update;
  if not found or d.status not in ('needs_response', 'warning_needs_response', 'appeal_needs_response') then
    raise exception 'dispute % does not wait for evidence (status %)', p_args ->> 'dispute_id', coalesce(d.status, 'unknown')
      using errcode = 'KCINV';
  end if;
  perform private.enqueue_job(
    'submit_dispute_evidence', 'submit_dispute_evidence:' || p_command_id,
    jsonb_build_object('dispute_id', d.id, 'note', p_args ->> 'note', 'submit', true), now(), 20
  );
  return d.order_id;
end;
$function$;
comment on function private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb) is 'Carries out submit_dispute_evidence: queues the submission. KCINV: the dispute does not wait for a response.';


CREATE OR REPLACE FUNCTION private.setting(p_key text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select value from private.settings where key = p_key
$function$;
comment on function private.setting(p_key text) is 'Value of a switch in private.settings, or null.';
grant execute on function private.setting(p_key text) to service_role;


CREATE OR REPLACE FUNCTION private.settle_customer(o orders, s checkout_sessions)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_id uuid := o.customer_id;
begin
  if s.stripe_customer_id is null then
    return v_id;
  end if;
  if v_id is null then
    select c.id into v_id from public.customers c where c.stripe_customer_id = s.stripe_customer_id;
    if v_id is null then
      insert into public.customers (email, name, stripe_customer_id, livemode)
      values (s.email, s.name, s.stripe_customer_id, s.livemode)
      on conflict on constraint customers_stripe_customer_id_key do update set email = coalesce(customers.email, excluded.email)
      returning id into v_id;
    end if;
    return v_id;
  end if;
  update public.customers c
  set stripe_customer_id = s.stripe_customer_id
  where c.id = v_id and c.stripe_customer_id is null
    and not exists (select 1 from public.customers other where other.stripe_customer_id = s.stripe_customer_id);
  return v_id;
end;
$function$;
comment on function private.settle_customer(o orders, s checkout_sessions) is 'The customer row of a paid order: the account that ordered, or the guest whom Stripe knows. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_effects(o orders, p_mismatches text[], p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  r record;
begin
  if o.session_id is not null then
    perform private.settle_paid_effects(o, p_mismatches, p_source);
  end if;

  -- A shopper must not be able to pay what was cancelled, or pay twice.
  for r in
    select cs.id from public.checkout_sessions cs
    where cs.order_id = o.id and cs.status = 'open' and (o.cancelled_at is not null or o.session_id is not null)
      and not exists (select 1 from public.checkout_sessions again where again.recovered_from = cs.id)
  loop
    perform private.enqueue_job(
      'expire_checkout_session', 'expire_checkout_session:' || r.id,
      jsonb_build_object('session_id', r.id, 'order_id', o.id), now(), 30
    );
  end loop;

  for r in select cs.id from public.checkout_sessions cs where cs.order_id = o.id and cs.async_payment_failed loop
    perform private.queue_notification(o.id, 'payment_failed', r.id);
  end loop;

  for r in select f.id, f.amount, f.status from public.refunds f where f.order_id = o.id loop
    perform private.queue_notification(o.id, 'refund_issued', r.id, jsonb_build_object('amount', r.amount));
    if r.status = 'failed' and private.raise_alert_once(
      'refund_failed', 'critical', 'refund_failed:' || r.id, jsonb_build_object('order_number', o.number, 'refund_id', r.id, 'amount', r.amount)
    ) then
      perform private.record_order_event(o.id, 'refund_failed', p_source, jsonb_build_object('refund_id', r.id));
    end if;
  end loop;

  perform private.settle_risk_effects(o, p_source);
end;
$function$;
comment on function private.settle_effects(o orders, p_mismatches text[], p_source text) is 'Side effects of a settled order: jobs, mails, alerts. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_order(p_order_id uuid, p_source text)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders;
  v_before public.orders;
  s public.checkout_sessions;
  p public.payments;
  v_sessions record;
  v_paid boolean;
  v_restock boolean;
  v_target text;
  v_mismatches text[] := '{}';
begin
  select * into o from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  v_before := o;

  -- Which payment the order keeps: the first that settled. Set once; any other is refunded below.
  if o.session_id is null then
    select cs.id, cs.payment_id into o.session_id, o.payment_id
    from public.checkout_sessions cs
    left join public.payments pi on pi.id = cs.payment_id
    where cs.order_id = o.id and cs.status = 'complete'
      and (cs.payment_status in ('paid', 'no_payment_required') or pi.status = 'succeeded')
    order by cs.completed_at, cs.id
    limit 1;
  end if;
  v_paid := o.session_id is not null;

  select
    count(*) filter (where cs.status = 'open') as open,
    count(*) filter (
      where cs.status = 'complete' and cs.payment_status = 'unpaid' and not cs.async_payment_failed
        and coalesce(pi.status, '') <> 'succeeded'
    ) as processing,
    count(*) filter (where cs.async_payment_failed) as failed,
    coalesce(bool_or(cs.attempt = o.attempt), false) as attempt_known
  into v_sessions
  from public.checkout_sessions cs
  left join public.payments pi on pi.id = cs.payment_id
  where cs.order_id = o.id;

  if v_paid then
    select * into s from public.checkout_sessions where id = o.session_id;
    select * into p from public.payments where id = o.payment_id;
    v_mismatches := private.review_reasons(o, s, p);
    o.paid_at := s.completed_at;
    if s.payment_status = 'unpaid' then
      o.paid_at := p.succeeded_at;
    end if;
    o.amount_paid := case when o.payment_id is null then 0 else coalesce(p.amount_received, s.amount_total) end;
    o.amount_discount := coalesce(s.amount_discount, 0);
    o.amount_shipping := coalesce(s.amount_shipping, 0);
    o.amount_tax := coalesce(s.amount_tax, 0);
    o.amount_total := coalesce(s.amount_total, 0);
    o.email := coalesce(s.email, o.email);
    o.customer_name := s.name;
    o.phone := s.phone;
    o.shipping_name := s.shipping_name;
    o.shipping_address := s.shipping_address;
    o.billing_address := s.billing_address;
    o.customer_id := private.settle_customer(o, s);
    select coalesce(sum(r.amount), 0) into o.amount_refunded
    from public.refunds r
    where r.payment_id = o.payment_id and r.status = 'succeeded';
  end if;
  v_restock := private.restock_wanted(o);

  v_target := case
    when v_paid and o.cancelled_at is null and o.oversold_at is null and not v_restock then 'committed'
    when v_paid then 'released'
    -- Stock of an attempt in flight, of an open session and of a payment under way stays held.
    when v_sessions.open = 0 and v_sessions.processing = 0 and (v_sessions.attempt_known or o.abandoned_at is not null)
      then 'released'
  end;
  if v_target is not null and not private.settle_stock(o.id, v_target, p_source) then
    o.oversold_at := now();
  end if;

  -- A refund in full closes every open question.
  o.review_reasons := case
    when not v_paid or (o.amount_paid > 0 and o.amount_refunded >= o.amount_paid) then '{}'
    else case when o.review_released_at is null then v_mismatches else '{}' end
      || case when o.oversold_at is not null then array['oversold'] else '{}' end
      || private.fraud_reasons(o.id, o.review_released_at is not null)
  end;

  -- The table of docs/settlement.md, first rule that holds.
  o.status := case
    when v_paid and cardinality(o.review_reasons) > 0 then 'needs_review'
    when o.amount_refunded >= o.amount_paid and o.amount_paid > 0 then 'refunded'
    when o.amount_refunded > 0 then 'partially_refunded'
    when v_paid then 'paid'
    when v_sessions.processing > 0 then 'processing'
    when v_sessions.failed > 0 and v_sessions.open = 0 and (v_sessions.attempt_known or o.abandoned_at is not null) then 'payment_failed'
    when o.cancelled_at is not null then 'cancelled'
    when v_sessions.open = 0 and (v_sessions.attempt_known or o.abandoned_at is not null) then 'expired'
    else 'pending'
  end;
  o.fulfillment_status := case
    when o.fulfilled_at is not null then 'fulfilled'
    when o.cancelled_at is not null or o.oversold_at is not null or o.status = 'refunded' then 'cancelled'
    when o.status = 'needs_review' or exists (
      select 1 from public.disputes d where d.order_id = o.id and d.status not in ('won', 'warning_closed', 'prevented')
    ) then 'on_hold'
    else 'unfulfilled'
  end;

  if o is distinct from v_before then
    o.updated_at := now();
    update public.orders set
      session_id = o.session_id, payment_id = o.payment_id, customer_id = o.customer_id, email = o.email,
      customer_name = o.customer_name, phone = o.phone, shipping_name = o.shipping_name,
      shipping_address = o.shipping_address, billing_address = o.billing_address, status = o.status,
      fulfillment_status = o.fulfillment_status, amount_discount = o.amount_discount,
      amount_shipping = o.amount_shipping, amount_tax = o.amount_tax, amount_total = o.amount_total,
      amount_paid = o.amount_paid, amount_refunded = o.amount_refunded, review_reasons = o.review_reasons,
      oversold_at = o.oversold_at, paid_at = o.paid_at, updated_at = o.updated_at
    where id = o.id;
  end if;
  if o.status <> v_before.status then
    perform private.record_order_event(o.id, 'status_changed', p_source, jsonb_build_object('from', v_before.status, 'to', o.status));
  end if;
  perform private.settle_effects(o, v_mismatches, p_source);
  return o.status;
end;
$function$;
comment on function private.settle_order(p_order_id uuid, p_source text) is 'Derives an order from its facts under a row lock, moves its stock and fires each side effect once. The only writer of order status and committed stock. p_source: who asked (event id, order_status, reconcile, job, staff), for the audit trail. Returns the status. KCORD: no such order.';


CREATE OR REPLACE FUNCTION private.settle_paid_effects(o orders, p_mismatches text[], p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  r record;
begin
  if not exists (select 1 from public.order_events e where e.order_id = o.id and e.kind = 'payment_received') then
    perform private.record_order_event(
      o.id, 'payment_received', p_source,
      jsonb_build_object('session_id', o.session_id, 'payment_id', o.payment_id, 'amount', o.amount_paid, 'currency', o.currency)
    );
  end if;

  if cardinality(p_mismatches) > 0 then
    perform private.raise_alert_once(
      'payment_mismatch', 'critical', 'payment_mismatch:' || o.id,
      jsonb_build_object('order_number', o.number, 'reasons', to_jsonb(p_mismatches))
    );
  end if;
  if (cardinality(p_mismatches) = 0 or o.review_released_at is not null) and o.oversold_at is null and o.cancelled_at is null then
    perform private.queue_notification(o.id, 'order_confirmation');
  end if;

  if o.oversold_at is not null and o.payment_id is not null and private.queue_refund(o.payment_id, o.id, 'oversold', p_source) then
    perform private.queue_notification(o.id, 'order_unfulfillable');
    perform private.raise_alert_once('oversold', 'critical', 'oversold:' || o.id, jsonb_build_object('order_number', o.number));
  end if;
  if o.cancelled_at is not null and o.fulfilled_at is null and o.payment_id is not null
    and private.queue_refund(o.payment_id, o.id, 'cancelled', p_source) then
    perform private.queue_notification(o.id, 'order_cancelled');
    perform private.raise_alert_once('cancelled_order_paid', 'warning', 'cancelled_order_paid:' || o.id, jsonb_build_object('order_number', o.number));
  end if;

  for r in
    select pi.id from public.payments pi
    where pi.order_id = o.id and pi.status = 'succeeded' and pi.id is distinct from o.payment_id
  loop
    if private.queue_refund(r.id, o.id, 'duplicate', p_source) then
      perform private.queue_notification(o.id, 'duplicate_payment_refunded', r.id);
      perform private.raise_alert_once(
        'duplicate_payment', 'warning', 'duplicate_payment:' || r.id, jsonb_build_object('order_number', o.number, 'payment_id', r.id)
      );
    end if;
  end loop;

  -- Details of the card, for staff: those of the attempt that succeeded, else of the latest.
  update public.payments pi set
    payment_method_type = a.payment_method_type, card_brand = a.card_brand, card_last4 = a.card_last4,
    card_country = a.card_country, risk_level = a.risk_level, risk_score = a.risk_score,
    three_d_secure_result = a.three_d_secure_result
  from (
    select distinct on (t.payment_id) t.*
    from public.payment_attempts t
    where t.order_id = o.id
    order by t.payment_id, (t.outcome = 'succeeded') desc, t.created_at desc, t.id
  ) a
  where pi.id = a.payment_id
    and (pi.payment_method_type, pi.card_brand, pi.card_last4, pi.card_country, pi.risk_level, pi.risk_score, pi.three_d_secure_result)
      is distinct from
      (a.payment_method_type, a.card_brand, a.card_last4, a.card_country, a.risk_level, a.risk_score, a.three_d_secure_result);
end;
$function$;
comment on function private.settle_paid_effects(o orders, p_mismatches text[], p_source text) is 'Side effects of an order that has money: confirmation, refunds of money it cannot keep, alerts, card details. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_risk_effects(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  -- Days before the evidence deadline on which staff are reminded.
  c_reminders constant integer[] := array[7, 3, 1];
  r record;
  v_days integer;
begin
  for r in select d.* from public.disputes d where d.order_id = o.id loop
    if private.raise_alert_once(
      'dispute_opened', 'critical', 'dispute_opened:' || r.id,
      jsonb_build_object('order_number', o.number, 'dispute_id', r.id, 'amount', r.amount, 'currency', r.currency, 'reason', r.reason)
    ) then
      perform private.record_order_event(o.id, 'dispute_opened', p_source, jsonb_build_object('dispute_id', r.id));
    end if;
    if r.status in ('won', 'lost', 'warning_closed', 'prevented') and private.raise_alert_once(
      'dispute_closed', case r.status when 'lost' then 'critical' else 'info' end, 'dispute_closed:' || r.id || ':' || r.status,
      jsonb_build_object('order_number', o.number, 'dispute_id', r.id, 'status', r.status)
    ) then
      perform private.record_order_event(o.id, 'dispute_closed', p_source, jsonb_build_object('dispute_id', r.id, 'status', r.status));
    end if;
    if r.evidence_due_by is not null then
      foreach v_days in array c_reminders loop
        perform private.enqueue_job(
          'remind_dispute', format('remind_dispute:%s:%s', r.id, v_days),
          jsonb_build_object('dispute_id', r.id, 'days', v_days), r.evidence_due_by - make_interval(days => v_days)
        );
      end loop;
    end if;
  end loop;

  for r in
    select f.* from public.fraud_signals f
    where f.order_id = o.id and f.kind in ('early_fraud_warning', 'review') and f.was_actionable
  loop
    perform private.raise_alert_once(
      r.kind, r.severity, r.kind || ':' || r.source_id,
      jsonb_build_object('order_number', o.number, 'signal_id', r.source_id, 'reason', r.data ->> 'reason')
    );
    if r.kind = 'early_fraud_warning' and o.payment_id is not null and o.fulfilled_at is null and o.review_released_at is null
      and private.setting('early_fraud_warning_policy') = '"refund"' then
      perform private.queue_refund(o.payment_id, o.id, 'fraudulent', p_source);
    end if;
  end loop;
end;
$function$;
comment on function private.settle_risk_effects(o orders, p_source text) is 'Alerts, evidence reminders (7, 3 and 1 days before the deadline) and the refund policy for disputes, early fraud warnings and reviews. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_stock(p_order_id uuid, p_target text, p_source text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_moved integer;
begin
  if not exists (select 1 from public.inventory_reservations r where r.order_id = p_order_id and r.status <> p_target) then
    return true;
  end if;
  -- One order for all: every writer of inventory_levels locks by variant_id.
  perform 1
  from public.inventory_levels l
  where l.variant_id in (select r.variant_id from public.inventory_reservations r where r.order_id = p_order_id)
  order by l.variant_id
  for no key update;

  if p_target = 'committed' and exists (
    select 1
    from public.inventory_reservations r
    join public.inventory_levels l on l.variant_id = r.variant_id
    where r.order_id = p_order_id and r.status = 'released' and l.on_hand - l.reserved < r.quantity
  ) then
    return false;
  end if;

  update public.inventory_levels l set
    on_hand = l.on_hand
      - case when p_target = 'committed' then r.quantity else 0 end
      + case when r.status = 'committed' then r.quantity else 0 end,
    reserved = l.reserved - case when r.status = 'active' then r.quantity else 0 end,
    committed = l.committed
      + case when p_target = 'committed' then r.quantity else 0 end
      - case when r.status = 'committed' then r.quantity else 0 end
  from public.inventory_reservations r
  where r.order_id = p_order_id and r.variant_id = l.variant_id and r.status <> p_target;

  update public.inventory_reservations
  set status = p_target, updated_at = now()
  where order_id = p_order_id and status <> p_target;
  get diagnostics v_moved = row_count;
  perform private.record_order_event(p_order_id, 'stock_' || p_target, p_source, jsonb_build_object('lines', v_moved));
  return true;
end;
$function$;
comment on function private.settle_stock(p_order_id uuid, p_target text, p_source text) is 'Moves all reservations of an order to committed (sold) or released (given back; sold goods return to the shelf). Returns false, changing nothing, when released stock is to be committed and is gone. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.stamp(p_at timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select lpad(floor(extract(epoch from p_at))::bigint::text, 12, '0')
$function$;
comment on function private.stamp(p_at timestamp with time zone) is 'Whole seconds of a time, as Stripe stamps events, in twelve digits.';
grant execute on function private.stamp(p_at timestamp with time zone) to public;


CREATE OR REPLACE FUNCTION private.submit_command(p_command text, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_id uuid := gen_random_uuid();
begin
  insert into public.staff_commands (id, command, args) values (v_id, p_command, p_args);
  return (select c.result || jsonb_build_object('command_id', c.id) from public.staff_commands c where c.id = v_id);
end;
$function$;
comment on function private.submit_command(p_command text, p_args jsonb) is 'Inserts a staff command as the caller, whose policies decide, and returns its result.';
grant execute on function private.submit_command(p_command text, p_args jsonb) to authenticated;
grant execute on function private.submit_command(p_command text, p_args jsonb) to service_role;


CREATE OR REPLACE FUNCTION private.version(VARIADIC p_parts text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select array_to_string(p_parts, '|')
$function$;
comment on function private.version(VARIADIC p_parts text[]) is 'Joins the fixed-width parts of a version.';
grant execute on function private.version(VARIADIC p_parts text[]) to public;


CREATE OR REPLACE FUNCTION public.adjust_inventory(p_sku text, p_delta integer, p_reason text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('adjust_inventory', jsonb_build_object('sku', p_sku, 'delta', p_delta, 'reason', p_reason))
$function$;
comment on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text) is 'Goods received (p_delta > 0), lost or recounted (p_delta < 0). Staff only.';
grant execute on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text) to authenticated;
grant execute on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text) to service_role;


CREATE OR REPLACE FUNCTION public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_result jsonb;
begin
  v_result := private.apply_facts(p_facts, p_observed_at, p_source);
  update public.checkout_sessions s set observed_at = p_observed_at
  from jsonb_array_elements(p_facts) f
  where f ->> 'fact' = 'checkout_session' and s.id = f ->> 'id' and (s.observed_at is null or s.observed_at < p_observed_at);
  return jsonb_build_object('applied', (v_result ->> 'applied')::integer > 0, 'order_ids', v_result -> 'order_ids');
end;
$function$;
comment on function public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone) is 'Merges facts read from Stripe''s API at p_observed_at (before the request was sent) and settles. p_source: order_status, reconcile or job.';
grant execute on function public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_created boolean;
  v_status text;
begin
  perform 1 from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  v_created := not exists (select 1 from public.checkout_sessions where id = p_fact ->> 'id');
  -- Time zero: whatever an event says of this session is newer than what its creation said.
  perform private.merge_checkout_session(p_fact || jsonb_build_object('attempt', p_attempt), p_order_id, to_timestamp(0));
  -- A webhook that came first has merged the session without its link.
  update public.checkout_sessions set url = p_fact ->> 'url' where id = p_fact ->> 'id' and url is null;
  if v_created then
    perform private.record_order_event(p_order_id, 'checkout_session_created', 'checkout', jsonb_build_object('session_id', p_fact ->> 'id', 'attempt', p_attempt));
  end if;
  v_status := private.settle_order(p_order_id, 'checkout');
  return jsonb_build_object('created', v_created, 'status', v_status);
end;
$function$;
comment on function public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb) is 'Notes the session that Stripe made for an attempt. Idempotent: created is true for the first call only. KCORD: no such order.';
grant execute on function public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  -- Also keeps a sum of lines far below what bigint and Stripe's 99 999 999 hold.
  c_quantity_max constant integer := 99;
  -- Stripe takes amounts of at most eight digits.
  c_amount_max constant bigint := 99999999;
  v_key text := case when p_idempotency_key is not null then coalesce(p_user_id::text, 'guest') || ':' || p_idempotency_key end;
  v_lines jsonb;
  v_currencies text[];
  v_quantity_max bigint;
  v_amount bigint;
  v_customer_id uuid;
  v_found jsonb;
  v_order_id uuid;
begin
  if v_key is not null then
    -- Parallel repeats queue up here and find the order that the first one made.
    perform pg_advisory_xact_lock(hashtextextended('checkout:' || v_key, 0));
    select jsonb_agg(jsonb_build_array(w.sku, w.quantity) order by w.sku collate "C") into v_lines
    from (
      select x.sku, sum(x.quantity) as quantity from jsonb_to_recordset(p_items) as x (sku text, quantity integer) group by x.sku
    ) w;
    v_found := private.find_checkout(v_key, v_lines, p_session_seconds, p_hold_seconds);
    if v_found is not null then
      return v_found;
    end if;
  end if;

  select array_agg(distinct c.currency), max(c.quantity), sum(c.unit_amount * c.quantity)
  into v_currencies, v_quantity_max, v_amount
  from private.price_cart(p_items) c;
  if v_currencies is null or v_quantity_max > c_quantity_max or v_quantity_max < 1 then
    raise exception 'a line must have a quantity from 1 to %, counting repeated SKUs together', c_quantity_max using errcode = 'KCINV';
  elsif cardinality(v_currencies) > 1 then
    raise exception 'all items of a cart must have the same currency' using errcode = 'KCCUR', detail = to_jsonb(v_currencies)::text;
  elsif v_amount > c_amount_max then
    raise exception 'the total of the cart is too large' using errcode = 'KCINV';
  end if;

  if p_user_id is not null then
    insert into public.customers as c (user_id, email, livemode) values (p_user_id, p_email, p_livemode)
    on conflict on constraint customers_user_id_key do update set email = coalesce(excluded.email, c.email)
    returning id into v_customer_id;
  end if;

  insert into public.orders (
    customer_id, email, locale, currency, amount_subtotal, amount_total, livemode, cart_hash, idempotency_key,
    session_expires_at, purchase_ip, user_agent
  ) values (
    v_customer_id, p_email, p_locale, v_currencies[1], v_amount, v_amount, p_livemode, '', v_key,
    now() + make_interval(secs => p_session_seconds), p_client_ip::inet, left(p_user_agent, 500)
  ) returning id into v_order_id;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
  select v_order_id, c.variant_id, c.sku, c.name, c.quantity::integer, c.unit_amount from private.price_cart(p_items) c;
  update public.orders set cart_hash = private.hash_cart(v_order_id) where id = v_order_id;

  perform private.reserve_stock(v_order_id, now() + make_interval(secs => p_hold_seconds));
  perform private.record_order_event(v_order_id, 'order_created', 'checkout', jsonb_build_object('amount_subtotal', v_amount, 'currency', v_currencies[1]));
  perform private.record_order_event(v_order_id, 'stock_reserved', 'checkout');
  return private.checkout_snapshot(v_order_id, 'created');
end;
$function$;
comment on function public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer) is 'Makes a pending order with frozen prices and reserved stock from [{ sku, quantity }], or finds the one this Idempotency-Key made before. Returns the snapshot to send to Stripe (outcome created or existing). KCSKU unknown_sku, KCSTK insufficient_stock, KCIDC idempotency_conflict, KCCUR mixed currencies, KCINV invalid.';
grant execute on function public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer) to service_role;


CREATE OR REPLACE FUNCTION public.cancel_order(p_order_number text, p_reason text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('cancel_order', jsonb_build_object('order_number', p_order_number, 'reason', p_reason))
$function$;
comment on function public.cancel_order(p_order_number text, p_reason text) is 'Cancels an order that has not shipped: closes its checkout, frees its stock, refunds what was paid. Staff only.';
grant execute on function public.cancel_order(p_order_number text, p_reason text) to authenticated;
grant execute on function public.cancel_order(p_order_number text, p_reason text) to service_role;


CREATE OR REPLACE FUNCTION public.check_invariants()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select 'reserved is the sum of active reservations', jsonb_build_object('variant_id', l.variant_id, 'reserved', l.reserved, 'sum', r.active)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'active'), 0) as active
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.reserved <> r.active
  union all
  select 'committed is the sum of committed reservations', jsonb_build_object('variant_id', l.variant_id, 'committed', l.committed, 'sum', r.committed)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'committed'), 0) as committed
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.committed <> r.committed
  union all
  select 'on_hand and committed are what was received', jsonb_build_object('variant_id', l.variant_id, 'on_hand', l.on_hand, 'committed', l.committed, 'received', a.received)
  from public.inventory_levels l
  left join lateral (select coalesce(sum(delta), 0) as received from public.inventory_adjustments where variant_id = l.variant_id) a on true
  where l.on_hand + l.committed <> a.received
  union all
  select 'lines add up to the subtotal', jsonb_build_object('order', o.number, 'subtotal', o.amount_subtotal)
  from public.orders o
  where o.amount_subtotal <> (select coalesce(sum(i.unit_amount * i.quantity), 0) from public.order_items i where i.order_id = o.id)
  union all
  select 'refunded is the sum of succeeded refunds', jsonb_build_object('order', o.number, 'amount_refunded', o.amount_refunded)
  from public.orders o
  where o.amount_refunded <> (
    select coalesce(sum(r.amount), 0) from public.refunds r where r.payment_id = o.payment_id and r.status = 'succeeded'
  )
  union all
  select 'no payment is refunded by more than it brought', jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from public.payments p
  where p.status = 'succeeded' and p.amount_received < (
    select coalesce(sum(r.amount), 0) from public.refunds r where r.payment_id = p.id and r.status = 'succeeded'
  )
  union all
  select 'a paid order has a settled session, and a succeeded payment unless it was free', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  left join public.payments p on p.id = o.payment_id
  where o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded')
    and (o.session_id is null or (o.payment_id is null and o.amount_total > 0) or (o.payment_id is not null and p.status is distinct from 'succeeded'))
  union all
  select 'a paid order owns its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('paid', 'partially_refunded') and o.cancelled_at is null and o.oversold_at is null and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'committed' and r.quantity = i.quantity
    )
  )
  union all
  select 'an expired order holds no stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('expired', 'payment_failed') and exists (
    select 1 from public.inventory_reservations r where r.order_id = o.id and r.status <> 'released'
  )
  union all
  select 'a second payment is on its way back', jsonb_build_object('order', o.number, 'payment_id', p.id)
  from public.orders o
  join public.payments p on p.order_id = o.id and p.status = 'succeeded' and p.id is distinct from o.payment_id
  where o.session_id is not null
    and not exists (select 1 from private.jobs j where j.dedupe_key = 'refund_payment:duplicate:' || p.id)
  union all
  select 'order status is what settle_order() derives from the facts', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('pending', 'expired') and exists (
    select 1 from public.checkout_sessions s
    where s.order_id = o.id and s.status = 'complete' and s.payment_status in ('paid', 'no_payment_required')
  )
  union all
  select 'an unfinished event has a job', jsonb_build_object('event_id', e.id, 'status', e.status)
  from public.webhook_events e
  where e.status = 'failed' and not exists (
    select 1 from private.jobs j where j.dedupe_key = 'retry_event:' || e.id and j.status in ('queued', 'running')
  )
  union all
  select 'a queued mail has a job', jsonb_build_object('notification_id', n.id)
  from public.notifications n
  where n.status = 'queued' and not exists (
    select 1 from private.jobs j where j.kind = 'send_mail' and j.payload ->> 'notification_id' = n.id::text and j.status in ('queued', 'running', 'dead')
  )
$function$;
comment on function public.check_invariants() is 'What must always be true and is not: one row per violation, none when all is well. For tests, doctor and staff.';
grant execute on function public.check_invariants() to service_role;


CREATE OR REPLACE FUNCTION public.claim_jobs(p_worker text, p_limit integer, p_lease_seconds integer, p_kinds text[] DEFAULT NULL::text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_jobs jsonb;
begin
  -- A lease that ran out means that its worker died: the job is due again, or dead once its attempts are used up.
  perform private.bury_job(j.id, 'worker died: lease ran out')
  from (
    select e.id from private.jobs e
    where e.status = 'running' and e.leased_until < now() and e.attempts >= e.max_attempts
    for update skip locked
  ) j;

  update private.jobs j
  set status = 'queued', lease_id = null, leased_until = null, last_error = 'worker died: lease ran out'
  where j.id in (
    select e.id from private.jobs e
    where e.status = 'running' and e.leased_until < now()
    for update skip locked
  );

  with due as (
    select j.id
    from private.jobs j
    where j.status = 'queued' and j.run_at <= now() and (p_kinds is null or j.kind = any (p_kinds))
    order by j.priority, j.run_at, j.id
    limit greatest(0, least(p_limit, 1000))
    for update skip locked
  ), claimed as (
    update private.jobs j
    set status = 'running',
        attempts = j.attempts + 1,
        lease_id = gen_random_uuid(),
        leased_until = now() + make_interval(secs => p_lease_seconds),
        worker = p_worker
    from due
    where j.id = due.id
    returning j.id, j.kind, j.payload, j.attempts, j.max_attempts, j.lease_id, j.created_at, j.priority, j.run_at
  )
  select coalesce(
    jsonb_agg(
      jsonb_build_object(
        'id', c.id, 'kind', c.kind, 'payload', c.payload, 'attempts', c.attempts,
        'max_attempts', c.max_attempts, 'lease_id', c.lease_id, 'created_at', c.created_at
      )
      order by c.priority, c.run_at, c.id
    ),
    '[]'
  )
  into v_jobs
  from claimed c;

  return jsonb_build_object('jobs', v_jobs);
end;
$function$;
comment on function public.claim_jobs(p_worker text, p_limit integer, p_lease_seconds integer, p_kinds text[]) is 'Leases up to p_limit due jobs to p_worker for p_lease_seconds; rows locked by another worker are skipped. Jobs whose lease ran out are due again.';
grant execute on function public.claim_jobs(p_worker text, p_limit integer, p_lease_seconds integer, p_kinds text[]) to service_role;


CREATE OR REPLACE FUNCTION public.count_jobs()
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object('remaining',
    (select count(*) from private.jobs where status = 'queued' and run_at <= now())
    + (select count(*) from private.jobs where status = 'running'))
$function$;
comment on function public.count_jobs() is 'How many jobs are due or running.';
grant execute on function public.count_jobs() to service_role;


CREATE OR REPLACE FUNCTION public.erase_customer(p_email text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('erase_customer', jsonb_build_object('email', p_email))
$function$;
comment on function public.erase_customer(p_email text) is 'Removes the personal data of everything bought under an e-mail address. Staff only.';
grant execute on function public.erase_customer(p_email text) to authenticated;
grant execute on function public.erase_customer(p_email text) to service_role;


CREATE OR REPLACE FUNCTION public.finish_job(p_job_id bigint, p_lease_id uuid, p_outcome text, p_reason text DEFAULT NULL::text, p_run_at timestamp with time zone DEFAULT NULL::timestamp with time zone)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_job private.jobs;
  v_run_at timestamptz;
begin
  select * into v_job from private.jobs
  where id = p_job_id and status = 'running' and lease_id = p_lease_id
  for update;
  if not found then
    return jsonb_build_object('finished', false, 'status', (select status from private.jobs where id = p_job_id));
  end if;

  if p_outcome in ('done', 'discard') then
    update private.jobs
    set status = case p_outcome when 'done' then 'done' else 'discarded' end,
        lease_id = null, leased_until = null, finished_at = now(), last_error = p_reason
    where id = p_job_id;
  elsif p_outcome = 'retry' and v_job.attempts >= v_job.max_attempts then
    perform private.bury_job(p_job_id, p_reason);
  elsif p_outcome in ('retry', 'snooze') then
    v_run_at := coalesce(p_run_at, now() + private.backoff(v_job.attempts));
    update private.jobs
    set status = 'queued', lease_id = null, leased_until = null, run_at = v_run_at, last_error = p_reason,
        -- A snooze is not a failure: it costs no attempt.
        attempts = attempts - case p_outcome when 'snooze' then 1 else 0 end
    where id = p_job_id;
    if v_job.kind = 'retry_event' then
      update public.webhook_events set next_attempt_at = v_run_at
      where id = v_job.payload ->> 'event_id' and status = 'failed';
    end if;
  else
    raise exception 'unknown job outcome %', p_outcome using errcode = 'KCINV';
  end if;
  return jsonb_build_object('finished', true, 'status', (select status from private.jobs where id = p_job_id));
end;
$function$;
comment on function public.finish_job(p_job_id bigint, p_lease_id uuid, p_outcome text, p_reason text, p_run_at timestamp with time zone) is 'Ends the lease of a job: done, discard, retry (backoff unless p_run_at is given; dead after the last attempt) or snooze (no attempt used). finished = false: the lease was lost and nothing changed. KCINV: unknown outcome.';
grant execute on function public.finish_job(p_job_id bigint, p_lease_id uuid, p_outcome text, p_reason text, p_run_at timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.get_alert(p_alert_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select to_jsonb(a) from public.alerts a where a.id = p_alert_id
$function$;
comment on function public.get_alert(p_alert_id uuid) is 'An alert as the send_alert job needs it, or null.';
grant execute on function public.get_alert(p_alert_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.get_health()
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object('checks', jsonb_build_object(
    'database', jsonb_build_object('status', 'ok'),
    'webhooks', (
      select jsonb_build_object(
        'status', case when count(*) filter (where e.status = 'dead') > 0 then 'degraded'
          when min(e.received_at) filter (where e.status = 'failed') < now() - interval '15 minutes' then 'degraded' else 'ok' end,
        'failed', count(*) filter (where e.status = 'failed'),
        'dead', count(*) filter (where e.status = 'dead'),
        'last_received_at', (select max(r.received_at) from public.webhook_events r)
      )
      from public.webhook_events e where e.status in ('failed', 'dead')
    ),
    'jobs', (
      select jsonb_build_object(
        'status', case when count(*) filter (where j.status = 'dead') > 0 then 'degraded'
          when min(j.run_at) filter (where j.status = 'queued') < now() - interval '15 minutes' then 'degraded' else 'ok' end,
        'due', count(*) filter (where j.status = 'queued' and j.run_at <= now()),
        'running', count(*) filter (where j.status = 'running'),
        'dead', count(*) filter (where j.status = 'dead'),
        'oldest_due_seconds', coalesce(floor(extract(epoch from now() - min(j.run_at) filter (where j.status = 'queued' and j.run_at <= now()))), 0)
      )
      from private.jobs j where j.status in ('queued', 'running', 'dead')
    ),
    'alerts', (
      select jsonb_build_object('status', 'ok', 'open', count(*), 'critical', count(*) filter (where a.severity = 'critical'))
      from public.alerts a where a.status = 'open'
    )
  ))
$function$;
comment on function public.get_health() is 'Figures for the health endpoint: { checks: { name: { status, … } } }. Counts only, no personal data.';
grant execute on function public.get_health() to service_role;


CREATE OR REPLACE FUNCTION public.get_notification(p_notification_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'id', n.id,
    'order_id', n.order_id,
    'template', n.template,
    'status', n.status,
    'recipient', coalesce(n.recipient, o.email),
    'data', n.data,
    'order', jsonb_build_object(
      'number', o.number, 'status', o.status, 'fulfillment_status', o.fulfillment_status, 'currency', o.currency,
      'amount_subtotal', o.amount_subtotal, 'amount_discount', o.amount_discount, 'amount_shipping', o.amount_shipping,
      'amount_tax', o.amount_tax, 'amount_total', o.amount_total, 'amount_refunded', o.amount_refunded,
      'customer_name', o.customer_name, 'shipping_name', o.shipping_name, 'shipping_address', o.shipping_address,
      'carrier', o.carrier, 'tracking_number', o.tracking_number, 'locale', o.locale, 'paid_at', o.paid_at,
      'items', (
        select jsonb_agg(jsonb_build_object('sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount) order by i.sku)
        from public.order_items i where i.order_id = o.id
      )
    )
  )
  from public.notifications n join public.orders o on o.id = n.order_id
  where n.id = p_notification_id
$function$;
comment on function public.get_notification(p_notification_id uuid) is 'A mail with all that its template shows, or null. recipient null: no address is known yet.';
grant execute on function public.get_notification(p_notification_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.get_order_status(p_session_id text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'order_number', o.number,
    'status', o.status,
    'fulfillment_status', o.fulfillment_status,
    'currency', o.currency,
    'amount_total', o.amount_total,
    'items', (
      select jsonb_agg(jsonb_build_object('sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount) order by i.sku collate "C")
      from public.order_items i where i.order_id = o.id
    ),
    'paid_at', o.paid_at,
    -- Settled, or asked a moment ago: a polling page must not become a load on Stripe.
    'settled', o.status not in ('pending', 'processing') or s.status = 'expired' or coalesce(s.observed_at > now() - interval '2 seconds', false)
  )
  from public.checkout_sessions s join public.orders o on o.id = s.order_id
  where s.id = p_session_id
$function$;
comment on function public.get_order_status(p_session_id text) is 'What the success page shows, found by session id; no personal data. settled false: Stripe may know more, ask it. Null: no such session.';
grant execute on function public.get_order_status(p_session_id text) to service_role;


CREATE OR REPLACE FUNCTION public.get_stripe_event(p_event_id text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'id', e.id, 'type', e.type, 'livemode', e.livemode, 'api_version', e.api_version,
    'stripe_created_at', e.stripe_created_at, 'status', e.status, 'payload', e.payload
  )
  from public.webhook_events e
  where e.id = p_event_id
$function$;
comment on function public.get_stripe_event(p_event_id text) is 'A stored event with its payload, or null.';
grant execute on function public.get_stripe_event(p_event_id text) to service_role;


CREATE OR REPLACE FUNCTION public.get_webhook_allowlist()
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'addresses', coalesce(jsonb_agg(host(address) order by address), '[]'),
    'refreshed_at', max(added_at)
  )
  from public.stripe_webhook_ips
$function$;
comment on function public.get_webhook_allowlist() is 'The addresses Stripe posts from, as text. The webhook function caches them.';
grant execute on function public.get_webhook_allowlist() to service_role;


CREATE OR REPLACE FUNCTION public.mark_fulfilled(p_order_number text, p_carrier text DEFAULT NULL::text, p_tracking_number text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('mark_fulfilled', jsonb_build_object('order_number', p_order_number, 'carrier', p_carrier, 'tracking_number', p_tracking_number))
$function$;
comment on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text) is 'Notes that an order has shipped and mails the customer. Staff only.';
grant execute on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text) to authenticated;
grant execute on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text) to service_role;


CREATE OR REPLACE FUNCTION public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_event public.webhook_events;
  v_result jsonb;
begin
  -- Concurrent deliveries of one event queue up on its primary key; only the first one gets to apply it.
  insert into public.webhook_events as e (id, type, status, livemode, api_version, stripe_created_at, source_ip, payload)
  values (p_event_id, p_type, 'failed', p_livemode, p_api_version, p_stripe_created_at, p_source_ip::inet, p_payload)
  on conflict (id) do update set delivery_count = e.delivery_count + 1
  returning * into v_event;

  if v_event.delivery_count = 1 then
    perform private.raise_alert(a.kind, a.severity, a.dedupe_key, coalesce(a.data, '{}'))
    from jsonb_to_recordset(coalesce(p_alerts, '[]')) as a (kind text, severity text, dedupe_key text, data jsonb);
  elsif v_event.status in ('processed', 'ignored') then
    return jsonb_build_object('outcome', 'duplicate', 'delivery_count', v_event.delivery_count);
  end if;

  v_result := private.process_stripe_event(p_event_id, p_stripe_created_at, p_facts, p_ignored_reason, p_error);
  return v_result || jsonb_build_object('delivery_count', v_event.delivery_count);
end;
$function$;
comment on function public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb) is 'Stores an authentic event and applies it, in one transaction. Exactly one of p_facts, p_ignored_reason and p_error (the translator threw) is given; p_alerts: [{ kind, severity, dedupe_key, data }]. Returns { outcome: applied | duplicate | ignored | queued, delivery_count, reason? }. An error means that nothing was stored.';
grant execute on function public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  update public.notifications
  set status = p_status, recipient = coalesce(p_recipient, recipient), provider_id = p_provider_id, last_error = p_error,
      sent_at = case p_status when 'sent' then coalesce(sent_at, now()) end
  where id = p_notification_id and status <> 'sent';
  return jsonb_build_object('recorded', found);
end;
$function$;
comment on function public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text) is 'Notes that a mail was sent (with the provider''s id) or failed for good. A sent mail stays sent.';
grant execute on function public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text) to service_role;


CREATE OR REPLACE FUNCTION public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer DEFAULT 1)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  -- Room for every honest misconfiguration and a good picture of an attack, while a spoofed flood stays small.
  c_addresses_max constant integer := 10000;
  v_source_ip inet := p_source_ip::inet;
begin
  update public.webhook_rejections set count = count + p_count, last_at = now()
  where reason = p_reason and source_ip is not distinct from v_source_ip;
  if found then
    return jsonb_build_object('recorded', true);
  end if;
  if (select count(*) from (select 1 from public.webhook_rejections limit c_addresses_max) counted) >= c_addresses_max then
    v_source_ip := null;
  end if;
  insert into public.webhook_rejections as r (reason, source_ip, count) values (p_reason, v_source_ip, p_count)
  on conflict on constraint webhook_rejections_reason_source_key
  do update set count = r.count + excluded.count, last_at = now();
  return jsonb_build_object('recorded', true);
end;
$function$;
comment on function public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer) is 'Counts p_count refused webhook requests under (reason, address). p_source_ip null: address unknown. Past 10 000 rows, new addresses are counted under null.';
grant execute on function public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer) to service_role;


CREATE OR REPLACE FUNCTION public.redrive_webhook_event(p_event_id text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('redrive_webhook_event', jsonb_build_object('event_id', p_event_id))
$function$;
comment on function public.redrive_webhook_event(p_event_id text) is 'Queues a failed or dead webhook event again. Staff only.';
grant execute on function public.redrive_webhook_event(p_event_id text) to authenticated;
grant execute on function public.redrive_webhook_event(p_event_id text) to service_role;


CREATE OR REPLACE FUNCTION public.release_review(p_order_number text, p_note text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('release_review', jsonb_build_object('order_number', p_order_number, 'note', p_note))
$function$;
comment on function public.release_review(p_order_number text, p_note text) is 'Lets an order that is held for review ship. Staff only.';
grant execute on function public.release_review(p_order_number text, p_note text) to authenticated;
grant execute on function public.release_review(p_order_number text, p_note text) to service_role;


CREATE OR REPLACE FUNCTION public.request_refund(p_order_number text, p_amount bigint DEFAULT NULL::bigint, p_reason text DEFAULT NULL::text, p_restock boolean DEFAULT false)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('request_refund', jsonb_build_object('order_number', p_order_number, 'amount', p_amount, 'reason', p_reason, 'restock', coalesce(p_restock, false)))
$function$;
comment on function public.request_refund(p_order_number text, p_amount bigint, p_reason text, p_restock boolean) is 'Refunds an order: p_amount in minor units, or all that is left. p_restock: put the goods back on the shelf once it is refunded in full. Staff only.';
grant execute on function public.request_refund(p_order_number text, p_amount bigint, p_reason text, p_restock boolean) to authenticated;
grant execute on function public.request_refund(p_order_number text, p_amount bigint, p_reason text, p_restock boolean) to service_role;


CREATE OR REPLACE FUNCTION public.resend_notification(p_order_number text, p_template text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('resend_notification', jsonb_build_object('order_number', p_order_number, 'template', p_template))
$function$;
comment on function public.resend_notification(p_order_number text, p_template text) is 'Mails a template that the order has had before once more. Staff only.';
grant execute on function public.resend_notification(p_order_number text, p_template text) to authenticated;
grant execute on function public.resend_notification(p_order_number text, p_template text) to service_role;


CREATE OR REPLACE FUNCTION public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders;
begin
  select * into o from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  -- Only the attempt that Stripe refused moves on; a parallel repeat finds that it already has.
  if o.attempt = p_attempt and not exists (select 1 from public.checkout_sessions s where s.order_id = o.id and s.attempt = p_attempt) then
    perform private.reopen_checkout(o.id, p_session_seconds, p_hold_seconds);
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$function$;
comment on function public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer) is 'Replaces an attempt that Stripe never carried out, because its expires_at had come too near, by the next one. Same answer as begin_checkout(). KCORD, KCSTK.';
grant execute on function public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer) to service_role;


CREATE OR REPLACE FUNCTION public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_event public.webhook_events;
begin
  select * into v_event from public.webhook_events where id = p_event_id for no key update;
  if not found then
    raise exception 'event % is not stored', p_event_id using errcode = 'KCEVT';
  elsif v_event.status in ('processed', 'ignored') then
    return jsonb_build_object('outcome', 'duplicate');
  end if;
  return private.process_stripe_event(p_event_id, v_event.stripe_created_at, p_facts, p_ignored_reason, p_error);
end;
$function$;
comment on function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text) is 'Tries a stored event again with a fresh translation of its payload. duplicate: it has been applied meanwhile. KCEVT: no such event.';
grant execute on function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text) to service_role;


CREATE OR REPLACE FUNCTION public.submit_dispute_evidence(p_dispute_id text, p_note text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('submit_dispute_evidence', jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note))
$function$;
comment on function public.submit_dispute_evidence(p_dispute_id text, p_note text) is 'Sends the evidence assembled from the order, and the note, to the bank. Final: Stripe takes evidence once. Staff only.';
grant execute on function public.submit_dispute_evidence(p_dispute_id text, p_note text) to authenticated;
grant execute on function public.submit_dispute_evidence(p_dispute_id text, p_note text) to service_role;


CREATE OR REPLACE FUNCTION public.take_rate_limits(p_buckets jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  b record;
  v_start timestamptz;
  v_elapsed numeric;
  v_current integer;
  v_previous integer;
begin
  -- Keys in one order, so that two requests cannot wait for each other.
  for b in
    select * from jsonb_to_recordset(p_buckets) as x (key text, "limit" integer, window_seconds integer) order by x.key
  loop
    v_start := to_timestamp(floor(extract(epoch from clock_timestamp()) / b.window_seconds) * b.window_seconds);
    v_elapsed := extract(epoch from clock_timestamp() - v_start) / b.window_seconds;
    insert into private.rate_limits as r (key, window_start, count) values (b.key, v_start, 1)
    on conflict on constraint rate_limits_pkey do update set count = r.count + 1
    returning count into v_current;
    select coalesce(sum(r.count), 0) into v_previous from private.rate_limits r
    where r.key = b.key and r.window_start = v_start - make_interval(secs => b.window_seconds);
    if v_current + v_previous * (1 - v_elapsed) > b.limit then
      -- A refused request takes nothing: who waits as told gets in.
      update private.rate_limits r set count = r.count - 1 where r.key = b.key and r.window_start = v_start;
      return jsonb_build_object(
        'allowed', false, 'key', b.key,
        'retry_after_seconds', greatest(1, ceil(b.window_seconds * (1 - v_elapsed)))::integer
      );
    end if;
  end loop;
  -- Old windows go a few at a time, in about one call of a hundred.
  if random() < 0.01 then
    delete from private.rate_limits r
    where (r.key, r.window_start) in (
      select d.key, d.window_start from private.rate_limits d
      where d.window_start < now() - interval '1 day' limit 1000 for update skip locked
    );
  end if;
  return jsonb_build_object('allowed', true, 'key', null, 'retry_after_seconds', 0);
end;
$function$;
comment on function public.take_rate_limits(p_buckets jsonb) is 'Counts one request in each bucket [{ key, limit, window_seconds }] and answers { allowed, key, retry_after_seconds } with the first bucket that is full.';
grant execute on function public.take_rate_limits(p_buckets jsonb) to service_role;
