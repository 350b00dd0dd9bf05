-- The schema as all migrations leave it. Generated: 'deno task ok --write' writes it, 'deno task ok' compares it.
-- For reading and reviewing; supabase/schemas is the source.


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


sequence private.velocity_rule_sets_id_seq as bigint start 1 increment 1;


sequence private.webhook_address_changes_id_seq as bigint start 1 increment 1;


sequence public.inventory_adjustments_id_seq as bigint start 1 increment 1;


sequence public.order_events_id_seq as bigint start 1 increment 1;


sequence public.reconciliation_drift_id_seq as bigint start 1 increment 1;


sequence public.webhook_rejections_id_seq as bigint start 1 increment 1;


table private.circuit_breakers (
  provider text not null,
  failures integer default 0 not null,
  opened_at timestamp with time zone,
  open_until timestamp with time zone,
  reason text,
  constraint circuit_breakers_pkey PRIMARY KEY (provider),
  constraint circuit_breakers_open_has_time CHECK (((opened_at IS NULL) = (open_until IS NULL)))
);
comment on table private.circuit_breakers is 'One row per provider that has ever failed. Closed: open_until null. Open: its jobs are not claimed. Past open_until: one job at a time is let through to see.';
comment on column private.circuit_breakers.failures is 'In a row, since the provider last answered.';
row level security on private.circuit_breakers;


table private.digest_keys (
  id boolean default true not null,
  key bytea not null,
  constraint digest_keys_pkey PRIMARY KEY (id),
  constraint digest_keys_one_row CHECK (id)
);
comment on table private.digest_keys is 'The key of keyed_digest(), made by this database. A digest says nothing to who does not have it.';
row level security on private.digest_keys;


table private.disposable_email_domains (
  domain text not null,
  constraint disposable_email_domains_pkey PRIMARY KEY (domain),
  constraint disposable_email_domains_lower CHECK ((domain = lower(domain)))
);
comment on table private.disposable_email_domains is 'Domains that give anybody a mailbox for minutes. Subdomains count as well.';
row level security on private.disposable_email_domains;


table private.heartbeats (
  name text not null,
  last_at timestamp with time zone default now() not null,
  constraint heartbeats_pkey PRIMARY KEY (name)
);
comment on table private.heartbeats is 'When something that must keep happening last happened. Health compares it with the clock.';
row level security on private.heartbeats;


table private.job_kinds (
  kind text not null,
  provider text,
  max_attempts integer default 12 not null,
  backoff_base_seconds integer,
  backoff_max_seconds integer,
  retention interval,
  description text not null,
  constraint job_kinds_pkey PRIMARY KEY (kind),
  constraint job_kinds_max_attempts_positive CHECK ((max_attempts > 0))
);
comment on table private.job_kinds is 'Limits per kind of job. A kind that is missing here gets the defaults.';
comment on column private.job_kinds.provider is 'Whom the job calls. While a provider''s circuit breaker is open, its jobs are not claimed.';
comment on column private.job_kinds.backoff_base_seconds is 'Null: setting event_retry_base_seconds; likewise the maximum.';
comment on column private.job_kinds.retention is 'How long finished jobs are kept. Null: always, because settling again must find that the effect was queued before.';
row level security on private.job_kinds;


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
  lost_leases integer default 0 not null,
  lease_id uuid,
  leased_until timestamp with time zone,
  worker text,
  last_error text,
  created_at timestamp with time zone default now() not null,
  finished_at timestamp with time zone,
  constraint jobs_dedupe_key_key UNIQUE (dedupe_key),
  constraint jobs_pkey PRIMARY KEY (id),
  constraint jobs_finished_has_time CHECK (((status = ANY (ARRAY['done'::text, 'discarded'::text, 'dead'::text])) = (finished_at IS NOT NULL))),
  constraint jobs_running_has_lease CHECK (((status = 'running'::text) = ((lease_id IS NOT NULL) AND (leased_until IS NOT NULL)))),
  constraint jobs_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'done'::text, 'discarded'::text, 'dead'::text])))
);
comment on table private.jobs is 'Outbox and queue. dedupe_key makes each effect happen once; lower priority runs first.';
comment on column private.jobs.attempts is 'Counted at claim, so that a job that kills its worker runs out of attempts too.';
comment on column private.jobs.lost_leases is 'How often a worker died with this job in hand, since it last came to an end. Such a job is run alone.';
CREATE INDEX jobs_dead_idx ON private.jobs USING btree (kind) WHERE (status = 'dead'::text);
CREATE INDEX jobs_due_idx ON private.jobs USING btree (run_at) WHERE (status = 'queued'::text);
CREATE INDEX jobs_expire_session_idx ON private.jobs USING btree (((payload ->> 'session_id'::text))) WHERE ((kind = 'expire_checkout_session'::text) AND (status = ANY (ARRAY['queued'::text, 'running'::text])));
CREATE INDEX jobs_finished_idx ON private.jobs USING btree (kind, finished_at) WHERE (status = ANY (ARRAY['done'::text, 'discarded'::text]));
CREATE INDEX jobs_notification_idx ON private.jobs USING btree (((payload ->> 'notification_id'::text))) WHERE (kind = 'send_mail'::text);
CREATE INDEX jobs_queued_idx ON private.jobs USING btree (priority, run_at, id) WHERE ((status = 'queued'::text) AND (lost_leases = 0));
CREATE INDEX jobs_refund_payment_idx ON private.jobs USING btree (((payload ->> 'payment_id'::text))) WHERE (kind = 'refund_payment'::text);
CREATE INDEX jobs_running_idx ON private.jobs USING btree (leased_until) WHERE (status = 'running'::text);
CREATE INDEX jobs_suspect_idx ON private.jobs USING btree (run_at, id) WHERE ((status = 'queued'::text) AND (lost_leases > 0));
row level security on private.jobs;


table private.periodic_jobs (
  kind text not null,
  every interval not null,
  priority integer default 200 not null,
  next_at timestamp with time zone,
  constraint periodic_jobs_pkey PRIMARY KEY (kind),
  constraint periodic_jobs_kind_fkey FOREIGN KEY (kind) REFERENCES private.job_kinds(kind)
);
comment on table private.periodic_jobs is 'Kinds of job that are queued again and again. next_at null: never yet; the first comes a minute after the first heartbeat.';
row level security on private.periodic_jobs;


table private.proven_accounts (
  user_id uuid not null,
  proven_at timestamp with time zone default now() not null,
  constraint proven_accounts_pkey PRIMARY KEY (user_id),
  constraint proven_accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table private.proven_accounts is 'Accounts whose present e-mail address is proven to be theirs. Gone as soon as the address changes without proof.';
row level security on private.proven_accounts;


table private.raised_alerts (
  dedupe_key text not null,
  raised_at timestamp with time zone default now() not null,
  constraint raised_alerts_pkey PRIMARY KEY (dedupe_key)
);
comment on table private.raised_alerts is 'Alerts about states, which settling finds again for ever: raised once. Outlives the alert itself, which retention deletes.';
row level security on private.raised_alerts;


unlogged table private.rate_limits (
  key text not null,
  window_start timestamp with time zone not null,
  count integer not null,
  constraint rate_limits_pkey PRIMARY KEY (key, window_start)
);
comment on table private.rate_limits is 'Requests per key and window. Unlogged: losing it in a crash only forgives.';
CREATE INDEX rate_limits_window_start_idx ON private.rate_limits USING btree (window_start);
row level security on private.rate_limits;


table private.reconciliation_cursors (
  name text not null,
  "position" timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint reconciliation_cursors_pkey PRIMARY KEY (name)
);
comment on table private.reconciliation_cursors is 'How far a stream of Stripe has been read: everything created before position is in.';
row level security on private.reconciliation_cursors;


table private.released_mismatches (
  order_id uuid not null,
  session_id text not null,
  reason text not null,
  released_at timestamp with time zone default now() not null,
  constraint released_mismatches_pkey PRIMARY KEY (order_id, session_id, reason),
  constraint released_mismatches_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table private.released_mismatches is 'What staff released of an order''s money: the reasons that were open, and the session whose money they looked at.';
row level security on private.released_mismatches;


table private.retention_rules (
  table_name text not null,
  columns text[] not null,
  holds text not null,
  kept text not null,
  ended_by text not null,
  constraint retention_rules_pkey PRIMARY KEY (table_name, holds),
  constraint retention_rules_holds_known CHECK ((holds = ANY (ARRAY['person'::text, 'text'::text, 'nothing'::text])))
);
comment on table private.retention_rules is 'What each table holds of people, and for how long. holds: person (names, addresses, what identifies somebody; emptied by erasure), text (written by people or providers: may mention somebody, so erasure searches it), nothing (ids, closed sets of words, figures, the catalogue).';
comment on column private.retention_rules.kept is 'How long: a setting, an event, or for good.';
comment on column private.retention_rules.ended_by is 'The functions that remove it.';
row level security on private.retention_rules;


table private.settings (
  key text not null,
  value jsonb not null,
  description text not null,
  updated_at timestamp with time zone default now() not null,
  constraint settings_pkey PRIMARY KEY (key),
  constraint settings_early_fraud_warning_policy_known CHECK (((key <> 'early_fraud_warning_policy'::text) OR (value = ANY (ARRAY['"refund"'::jsonb, '"review"'::jsonb]))))
);
comment on table private.settings is 'Switches read by SQL functions. Change a value with update; it takes effect at once.';
row level security on private.settings;


table private.stripe_customers (
  id text not null,
  livemode boolean not null,
  email text,
  name text,
  deleted_at timestamp with time zone,
  erased_at timestamp with time zone,
  version text not null,
  constraint stripe_customers_pkey PRIMARY KEY (id)
);
comment on table private.stripe_customers is 'Stripe customers that a session of ours named, as last seen in events. deleted_at is set once and stays: deletion is final at Stripe.';
comment on column private.stripe_customers.erased_at is 'When staff erased the person: whatever Stripe says of this customer later is stored without personal data.';
CREATE INDEX stripe_customers_email_idx ON private.stripe_customers USING btree (lower(email));
row level security on private.stripe_customers;


table private.velocity_rule_sets (
  id bigint generated always as identity not null,
  digest text not null,
  rules jsonb not null,
  constraint velocity_rule_sets_digest_key UNIQUE (digest),
  constraint velocity_rule_sets_pkey PRIMARY KEY (id)
);
comment on table private.velocity_rule_sets is 'Rules on card and delivery address as they stood when orders were paid, each set once: a paid order is measured by these, however the rules change.';
row level security on private.velocity_rule_sets;


table private.velocity_rules (
  name text not null,
  subject text not null,
  measure text not null,
  window_seconds integer not null,
  threshold bigint not null,
  min_share numeric,
  min_pieces integer,
  currency text,
  action text not null,
  alert text,
  enabled boolean default true not null,
  description text not null,
  updated_at timestamp with time zone default now() not null,
  constraint velocity_rules_pkey PRIMARY KEY (name),
  constraint velocity_rules_action_known CHECK ((action = ANY (ARRAY['allow'::text, 'require_3ds'::text, 'require_challenge'::text, 'review'::text, 'block'::text]))),
  constraint velocity_rules_alert_known CHECK ((alert = ANY (ARRAY['warning'::text, 'critical'::text]))),
  constraint velocity_rules_measure_known CHECK ((measure = ANY (ARRAY['unpaid_checkouts'::text, 'declines'::text, 'declined_orders'::text, 'cards'::text, 'emails'::text, 'amount'::text, 'disposable_email'::text, 'outages'::text, 'held_pieces'::text, 'held_share'::text]))),
  constraint velocity_rules_min_pieces_positive CHECK ((min_pieces > 0)),
  constraint velocity_rules_min_share_range CHECK (((min_share > (0)::numeric) AND (min_share < (1)::numeric))),
  constraint velocity_rules_shop_refuses_nobody CHECK (((subject <> 'shop'::text) OR (action <> 'block'::text))),
  constraint velocity_rules_subject_known CHECK ((subject = ANY (ARRAY['address'::text, 'email'::text, 'user'::text, 'order'::text, 'card'::text, 'shipping_address'::text, 'shop'::text]))),
  constraint velocity_rules_threshold_positive CHECK ((threshold > 0)),
  constraint velocity_rules_window_range CHECK (((window_seconds >= 1) AND (window_seconds <= (31 * 86400))))
);
comment on table private.velocity_rules is 'Velocity rules. A rule hits when its measure over its subject and window reaches the threshold; each hit is a row in fraud_signals. Rules over refused attempts are measured again at each refusal, where block closes the payment pages of its subject, and require_3ds and require_challenge those of the refused orders that ask for less. Rules on an address look at each IPv6 network that holds it, with 1, 1.5 and 3 times the threshold for /64, /56 and /48. Rules on card and shipping_address look at paid orders, because checkout does not know these yet; there block means review.';
comment on column private.velocity_rules.measure is 'unpaid_checkouts: orders not paid. declines: refused payment attempts. declined_orders: orders whose card was refused and that nothing has paid; each card of such an order counts, but with min_share of one buyer three at most (and, for the shop, of one network): their own rules see to the rest. cards, emails: how many different ones. amount: what the subject orders, this cart included, in currency. disposable_email: 1 for a throw-away address. outages: orders whose payment failed because the bank, the network or the processor was away; these refusals count in no other measure. held_pieces: pieces that unpaid orders hold, this cart included. held_share: how much of the stock that is, in percent: of all pieces, or of each article in stock, averaged over all articles, whichever is more.';
comment on column private.velocity_rules.min_share is 'The share of refused orders that is ordinary. The rule hits when, counted back from now, there are as many refusals beyond that share as threshold refusals in a row have: neither good orders before an attack nor some among it hide it, and a busy day does not look like one.';
comment on column private.velocity_rules.min_pieces is 'held_share: fewer pieces than this are no hit, however small the stock is.';
comment on column private.velocity_rules.action is 'allow: only record. require_3ds: the bank is asked, and decides whether it asks the buyer. require_challenge: the bank is to ask the buyer. review: a paid order waits for staff. block: no checkout for now, open payment pages closed, and an alert.';
comment on column private.velocity_rules.alert is 'A hit tells staff. Rules with action block do so by themselves, as critical.';
row level security on private.velocity_rules;


table private.webhook_address_changes (
  id bigint generated always as identity not null,
  added jsonb not null,
  removed jsonb not null,
  changed_at timestamp with time zone default now() not null,
  constraint webhook_address_changes_pkey PRIMARY KEY (id)
);
comment on table private.webhook_address_changes is 'Append-only: what each update added to and removed from the addresses that may post webhooks.';
row level security on private.webhook_address_changes;


table private.webhook_endpoint_states (
  livemode boolean not null,
  state text not null,
  endpoint_id text,
  differences jsonb default '[]'::jsonb not null,
  since timestamp with time zone default now() not null,
  checked_at timestamp with time zone default now() not null,
  constraint webhook_endpoint_states_pkey PRIMARY KEY (livemode),
  constraint webhook_endpoint_states_state_known CHECK ((state = ANY (ARRAY['ok'::text, 'disabled'::text, 'changed'::text, 'missing'::text, 'not_permitted'::text])))
);
comment on table private.webhook_endpoint_states is 'How the webhook endpoint at our address was when Stripe was last asked, in each mode.';
comment on column private.webhook_endpoint_states.endpoint_id is 'The endpoint last seen at our address; null: there never was one, and events come another way if at all.';
comment on column private.webhook_endpoint_states.differences is 'What is not as the registry of events says, in words.';
comment on column private.webhook_endpoint_states.since is 'When it was first found in this state.';
row level security on private.webhook_endpoint_states;


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
  metadata_order_id uuid,
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
  completed_at timestamp with time zone,
  closing_at timestamp with time zone,
  version text not null,
  contact_version text not null,
  created_at timestamp with time zone default now() not null,
  constraint checkout_sessions_pkey PRIMARY KEY (id),
  constraint checkout_sessions_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.checkout_sessions is 'Checkout Sessions of our orders, as last seen. An order may have several: resumed, recovered.';
comment on column public.checkout_sessions.metadata_order_id is 'The order its metadata names. Anything but order_id means that somebody changed the metadata: the order is reviewed.';
comment on column public.checkout_sessions.closing_at is 'When a velocity rule had it ended: no door leads to it any more, although Stripe may not have closed it yet. No fact of Stripe''s.';
comment on column public.checkout_sessions.contact_version is 'Which snapshot wrote e-mail address, name, phone and addresses: an address that is known is not lost to a later event without it.';
CREATE INDEX checkout_sessions_closing_idx ON public.checkout_sessions USING btree (closing_at) WHERE ((status = 'open'::text) AND (closing_at IS NOT NULL));
CREATE INDEX checkout_sessions_open_idx ON public.checkout_sessions USING btree (expires_at) WHERE (status = 'open'::text);
CREATE INDEX checkout_sessions_order_id_idx ON public.checkout_sessions USING btree (order_id);
CREATE INDEX checkout_sessions_payment_id_idx ON public.checkout_sessions USING btree (payment_id);
CREATE INDEX checkout_sessions_stripe_customer_id_idx ON public.checkout_sessions USING btree (stripe_customer_id);
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
  email_changes integer default 0 not null,
  email_changes_told integer default 0 not null,
  created_at timestamp with time zone default now() not null,
  constraint customers_stripe_customer_id_key UNIQUE (stripe_customer_id),
  constraint customers_user_id_key UNIQUE (user_id, livemode),
  constraint customers_pkey PRIMARY KEY (id),
  constraint customers_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE SET NULL,
  constraint customers_email_length CHECK ((char_length(email) <= 320))
);
comment on table public.customers is 'A buyer. user_id is set for accounts, stripe_customer_id once Stripe knows them; guests have only the latter.';
comment on column public.customers.email_changes is 'How often an account''s address has changed; Stripe''s customer has the address of change number email_changes_told.';
CREATE INDEX customers_email_idx ON public.customers USING btree (lower(email));
CREATE TRIGGER count_email_change BEFORE UPDATE OF email ON public.customers FOR EACH ROW WHEN (((new.user_id IS NOT NULL) AND (old.email IS DISTINCT FROM new.email))) EXECUTE FUNCTION private.count_email_change();
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
  statuses_seen text[] not null,
  evidence_due_by timestamp with time zone,
  first_due_by timestamp with time zone,
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
comment on column public.disputes.statuses_seen is 'Every status it was ever seen in, sorted: each ending is announced, also one that a later ending overtook.';
comment on column public.disputes.first_due_by is 'The earliest evidence deadline ever seen. Once there is one, staff are reminded; the reminders go by evidence_due_by.';
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
  answer text,
  released_at timestamp with time zone,
  data jsonb default '{}'::jsonb not null,
  version text default ''::text not null,
  created_at timestamp with time zone default now() not null,
  constraint fraud_signals_source_id_key UNIQUE (source_id),
  constraint fraud_signals_pkey PRIMARY KEY (id),
  constraint fraud_signals_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint fraud_signals_answer_known CHECK ((answer = ANY (ARRAY['refund'::text, 'review'::text]))),
  constraint fraud_signals_severity_known CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'critical'::text])))
);
comment on table public.fraud_signals is 'Early fraud warnings, Radar reviews (source_id = Stripe''s id) and velocity hits (no source_id).';
comment on column public.fraud_signals.was_actionable is 'True once any version of the signal was actionable; does not go back, so that the refund decision does not depend on the order of events.';
comment on column public.fraud_signals.answer is 'What early_fraud_warning_policy said of a warning when it was first seen actionable: refund, or review (also when the parcel had left). Frozen: the setting may change.';
comment on column public.fraud_signals.released_at is 'When staff released the order knowing this sign: it holds the order no more. What comes later does.';
CREATE INDEX fraud_signals_charge_id_idx ON public.fraud_signals USING btree (charge_id);
CREATE INDEX fraud_signals_order_id_idx ON public.fraud_signals USING btree (order_id);
CREATE INDEX fraud_signals_payment_id_idx ON public.fraud_signals USING btree (payment_id);
CREATE INDEX fraud_signals_velocity_idx ON public.fraud_signals USING btree (created_at) WHERE (kind = 'velocity'::text);
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
  constraint inventory_adjustments_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES inventory_levels(variant_id) ON DELETE RESTRICT,
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
  constraint inventory_levels_pkey PRIMARY KEY (variant_id),
  constraint inventory_levels_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES product_variants(id) ON DELETE RESTRICT,
  constraint inventory_levels_committed_not_negative CHECK ((committed >= 0)),
  constraint inventory_levels_reserved_within_on_hand CHECK (((0 <= reserved) AND (reserved <= on_hand)))
);
comment on table public.inventory_levels is 'Stock per variant. A row that has had stock or a reservation cannot be deleted: its ledger and its orders refer to it. reserved is the sum of active reservations, committed that of committed ones.';
CREATE TRIGGER record_inventory_adjustment AFTER INSERT OR UPDATE OF on_hand, committed ON public.inventory_levels FOR EACH ROW EXECUTE FUNCTION private.record_inventory_adjustment();
row level security on public.inventory_levels;
policy inventory_levels_read on public.inventory_levels as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
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
  constraint inventory_reservations_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES inventory_levels(variant_id) ON DELETE RESTRICT,
  constraint inventory_reservations_quantity_positive CHECK ((quantity > 0)),
  constraint inventory_reservations_status_known CHECK ((status = ANY (ARRAY['active'::text, 'committed'::text, 'released'::text])))
);
comment on table public.inventory_reservations is 'Stock held by an order. expires_at only tells the sweeper when to ask Stripe; time alone releases nothing.';
CREATE INDEX inventory_reservations_active_idx ON public.inventory_reservations USING btree (order_id) WHERE (status = 'active'::text);
CREATE INDEX inventory_reservations_due_idx ON public.inventory_reservations USING btree (expires_at) WHERE (status = 'active'::text);
CREATE INDEX inventory_reservations_variant_id_idx ON public.inventory_reservations USING btree (variant_id) WHERE (status <> 'released'::text);
CREATE TRIGGER refuse_lost_hold BEFORE DELETE ON public.inventory_reservations FOR EACH ROW WHEN ((old.status <> 'released'::text)) EXECUTE FUNCTION private.refuse_lost_hold();
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
  constraint notifications_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'sent'::text, 'failed'::text, 'skipped'::text])))
);
comment on table public.notifications is 'Mails to customers: at most one per order, template and dedupe_key. recipient is filled in when the mail is sent. skipped: what it says had stopped being true before it was sent; last_error says why.';
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
comment on table public.order_items is 'Frozen lines of an order: one per variant, name and price as they were when the attempt began.';
comment on column public.order_items.sku is 'What the shopper asked for, for good: the variant may be called otherwise by now. Goods are known by variant_id.';
CREATE INDEX order_items_variant_id_idx ON public.order_items USING btree (variant_id);
row level security on public.order_items;
policy order_items_read on public.order_items as permissive for select to authenticated using ((EXISTS ( SELECT 1
   FROM orders o
  WHERE (o.id = order_items.order_id))));
grant select on table public.order_items to authenticated;
grant select on table public.order_items to service_role;


table public.order_risk (
  order_id uuid not null,
  velocity_mode text default 'off'::text not null,
  velocity_rule_set bigint,
  three_d_secure text,
  declined_attempts integer default 0 not null,
  outage_attempts integer default 0 not null,
  review_reasons text[] default '{}'::text[] not null,
  review_released_at timestamp with time zone,
  constraint order_risk_pkey PRIMARY KEY (order_id),
  constraint order_risk_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint order_risk_three_d_secure_known CHECK ((three_d_secure = ANY (ARRAY['any'::text, 'challenge'::text]))),
  constraint order_risk_velocity_mode_known CHECK ((velocity_mode = ANY (ARRAY['enforce'::text, 'report'::text, 'off'::text])))
);
comment on table public.order_risk is 'What the shop thinks of the risk of an order, one row for each: for staff. review_reasons is derived by settle_order().';
comment on column public.order_risk.velocity_mode is 'VELOCITY_MODE when the attempt began: enforce, report or off.';
comment on column public.order_risk.velocity_rule_set is 'The velocity rules on card and delivery address as they stood when the order was first seen paid: a row of private.velocity_rule_sets.';
comment on column public.order_risk.three_d_secure is 'What the velocity rules ask of the card: challenge, any, or null for Stripe''s own judgement. Frozen for the attempt, so that a repeat sends the same parameters; only raised within it.';
comment on column public.order_risk.declined_attempts is 'How many refused attempts the order had when it was last settled, outages apart: each further one is a case for the velocity rules, once.';
comment on column public.order_risk.outage_attempts is 'How many attempts met an outage of the bank, the network or the processor: private.is_outage().';
comment on column public.order_risk.review_released_at is 'When staff last released it. What they released stands in private.released_mismatches and in fraud_signals.released_at: news holds the order again.';
row level security on public.order_risk;
policy order_risk_read on public.order_risk as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.order_risk to authenticated;
grant select on table public.order_risk to service_role;


table public.orders (
  id uuid default gen_random_uuid() not null,
  number text default private.next_order_number() not null,
  customer_id uuid,
  account_id uuid,
  email text,
  mail_to_account boolean default false not null,
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
  prices_include_tax boolean default false not null,
  shipping_rates jsonb default '[]'::jsonb not null,
  session_id text,
  payment_id text,
  decided_payment_id text,
  oversold_at timestamp with time zone,
  restocked_at timestamp with time zone,
  abandoned_at timestamp with time zone,
  cancelled_at timestamp with time zone,
  carrier text,
  tracking_number text,
  fulfilled_at timestamp with time zone,
  paid_at timestamp with time zone,
  erased_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint orders_idempotency_key_key UNIQUE (idempotency_key),
  constraint orders_number_key UNIQUE (number),
  constraint orders_pkey PRIMARY KEY (id),
  constraint orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers(id) ON DELETE SET NULL,
  constraint orders_amounts_not_negative CHECK ((LEAST(amount_subtotal, amount_discount, amount_shipping, amount_tax, amount_total, amount_paid, amount_refunded) >= 0)),
  constraint orders_fulfillment_status_known CHECK ((fulfillment_status = ANY (ARRAY['unfulfilled'::text, 'on_hold'::text, 'fulfilled'::text, 'cancelled'::text]))),
  constraint orders_shipped_is_not_oversold CHECK (((fulfilled_at IS NULL) OR (oversold_at IS NULL))),
  constraint orders_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'paid'::text, 'needs_review'::text, 'payment_failed'::text, 'expired'::text, 'cancelled'::text, 'partially_refunded'::text, 'refunded'::text])))
);
comment on table public.orders is 'One order. status, fulfillment_status, amounts and session_id/payment_id are derived by settle_order(); nothing else writes them.';
comment on column public.orders.account_id is 'The account that was signed in at checkout, frozen: it travels in the metadata at Stripe, which a repeat must not change. Whose the order is now, customer_id says.';
comment on column public.orders.mail_to_account is 'The order went under its account''s own address: mails follow the account when that changes.';
comment on column public.orders.amount_subtotal is 'Frozen at checkout: sum of unit_amount * quantity. A payment is compared with it before the order becomes paid.';
comment on column public.orders.cart_hash is 'Hash of the frozen lines and currency; travels in the session''s metadata and must come back unchanged.';
comment on column public.orders.idempotency_key is 'Who asked (user or guest) and their Idempotency-Key; the same key finds the same order again.';
comment on column public.orders.attempt is 'Number of the checkout attempt: a new one after an expired or failed session. Part of Stripe''s idempotency key.';
comment on column public.orders.prices_include_tax is 'The setting of that name when the attempt began: how its tax is computed and its sum is checked.';
comment on column public.orders.shipping_rates is 'The delivery prices that the attempt offers, as they were when it began.';
comment on column public.orders.session_id is 'The settled session whose payment this order keeps: see private.kept_session().';
comment on column public.orders.payment_id is 'The payment this order keeps; null for a free order. Any other payment of the order is refunded.';
comment on column public.orders.decided_payment_id is 'The payment that the order kept when staff first asked for a refund or its goods came back: their decision was about its money, so the order keeps it, whatever is paid later.';
comment on column public.orders.restocked_at is 'Set once, when the goods went back on the shelf: with a refund that asked for it, or by receive_return(). They are not taken again.';
comment on column public.orders.abandoned_at is 'Set when an attempt ended without any session at Stripe, which frees its stock.';
comment on column public.orders.erased_at is 'When its personal data was removed, by erase_customer() or because it was never paid and is old. What comes later is stored without.';
CREATE INDEX orders_address_key_idx ON public.orders USING btree (private.address_key(purchase_ip, 48), created_at);
CREATE INDEX orders_created_at_idx ON public.orders USING btree (created_at DESC);
CREATE INDEX orders_customer_id_idx ON public.orders USING btree (customer_id);
CREATE INDEX orders_delivery_key_idx ON public.orders USING btree (private.delivery_key(shipping_address), created_at);
CREATE INDEX orders_email_key_idx ON public.orders USING btree (private.email_key(email), created_at);
CREATE INDEX orders_erasable_idx ON public.orders USING btree (created_at) WHERE ((paid_at IS NULL) AND (erased_at IS NULL));
CREATE INDEX orders_holding_address_idx ON public.orders USING btree (private.address_key(purchase_ip, 48)) WHERE (status = ANY (ARRAY['pending'::text, 'processing'::text]));
CREATE INDEX orders_holding_email_idx ON public.orders USING btree (private.email_key(email)) WHERE (status = ANY (ARRAY['pending'::text, 'processing'::text]));
CREATE INDEX orders_open_idx ON public.orders USING btree (session_expires_at) WHERE (status = ANY (ARRAY['pending'::text, 'processing'::text, 'cancelled'::text]));
CREATE INDEX orders_paid_at_idx ON public.orders USING btree (livemode, paid_at) WHERE (paid_at IS NOT NULL);
CREATE INDEX orders_payment_id_idx ON public.orders USING btree (payment_id);
CREATE TRIGGER add_order_risk AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION private.add_order_risk();
CREATE TRIGGER attach_to_account AFTER UPDATE OF paid_at, email ON public.orders FOR EACH ROW WHEN (((new.paid_at IS NOT NULL) AND ((old.paid_at IS NULL) OR (old.email IS DISTINCT FROM new.email)))) EXECUTE FUNCTION private.on_order_paid();
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
CREATE INDEX payment_attempts_created_at_idx ON public.payment_attempts USING btree (created_at);
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
  metadata_order_id uuid,
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
comment on column public.payments.order_id is 'The order of the session that it pays for; until that is known, the one its metadata names.';
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
  image_url text,
  active boolean default true not null,
  created_at timestamp with time zone default now() not null,
  constraint product_variants_sku_key UNIQUE (sku),
  constraint product_variants_pkey PRIMARY KEY (id),
  constraint product_variants_product_id_fkey FOREIGN KEY (product_id) REFERENCES products(id) ON DELETE RESTRICT,
  constraint product_variants_currency_format CHECK ((currency ~ '^[a-z]{3}$'::text)),
  constraint product_variants_price_amount_range CHECK (((price_amount >= 0) AND (price_amount <= '999999999999'::bigint))),
  constraint product_variants_sku_format CHECK ((sku ~ '^[A-Za-z0-9._-]{1,64}$'::text))
);
comment on table public.product_variants is 'One sellable size and colour. price_amount is in minor units of currency.';
comment on column public.product_variants.size is 'Null when the thing has none; an empty text becomes null.';
comment on column public.product_variants.color is 'Null when the thing has none; an empty text becomes null.';
comment on column public.product_variants.price_amount is 'In Stripe''s minor units. A price that Stripe refuses (KWD 12.345) is stored and raises the alert unsellable_price; add_variant() refuses it.';
comment on column public.product_variants.image_url is 'The picture of this colour, in the form of products.image_url; null for that of the product.';
CREATE INDEX product_variants_product_id_idx ON public.product_variants USING btree (product_id);
CREATE TRIGGER judge_price AFTER INSERT OR UPDATE OF price_amount, currency, active ON public.product_variants FOR EACH ROW EXECUTE FUNCTION private.judge_price();
CREATE TRIGGER tidy_options BEFORE INSERT OR UPDATE OF size, color ON public.product_variants FOR EACH ROW EXECUTE FUNCTION private.tidy_options();
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
  constraint products_name_visible CHECK ((private.one_line(name) IS NOT NULL)),
  constraint products_slug_format CHECK ((slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'::text))
);
comment on table public.products is 'A thing on sale; its sizes and colours are product_variants.';
comment on column public.products.image_url is 'Absolute https URL, or a path on the site of SITE_URL; either is shown on Stripe''s page too.';
row level security on public.products;
policy products_read on public.products as permissive for select to anon, authenticated using ((active OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.products to anon;
grant select on table public.products to authenticated;
grant select on table public.products to service_role;


table public.reconciliation_drift (
  id bigint generated always as identity not null,
  run_id uuid not null,
  kind text not null,
  object_id text not null,
  order_id uuid,
  before jsonb,
  after jsonb,
  found_at timestamp with time zone default clock_timestamp() not null,
  constraint reconciliation_drift_pkey PRIMARY KEY (id),
  constraint reconciliation_drift_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE SET NULL
);
comment on table public.reconciliation_drift is 'Repairs: what Stripe knew and we did not, with the state before and after. Append-only.';
comment on column public.reconciliation_drift.kind is 'missed_event (object_id is the event), or the kind of the object that differed: checkout_session, payment, refund, dispute.';
CREATE INDEX reconciliation_drift_found_at_idx ON public.reconciliation_drift USING btree (found_at DESC);
CREATE INDEX reconciliation_drift_order_id_idx ON public.reconciliation_drift USING btree (order_id);
CREATE TRIGGER refuse_change BEFORE UPDATE ON public.reconciliation_drift FOR EACH ROW WHEN ((NOT (old.order_id IS DISTINCT FROM new.order_id))) EXECUTE FUNCTION private.refuse_change();
row level security on public.reconciliation_drift;
policy reconciliation_drift_read on public.reconciliation_drift as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.reconciliation_drift to authenticated;
grant select on table public.reconciliation_drift to service_role;


table public.refund_reasons (
  refund_id text not null,
  reason text,
  constraint refund_reasons_pkey PRIMARY KEY (refund_id),
  constraint refund_reasons_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds(id) ON DELETE CASCADE
);
comment on table public.refund_reasons is 'The reason of each refund as Stripe has it, suspicion of fraud included: for staff.';
row level security on public.refund_reasons;
policy refund_reasons_read on public.refund_reasons as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.refund_reasons to authenticated;
grant select on table public.refund_reasons to service_role;


table public.refund_requests (
  id text not null,
  order_id uuid not null,
  payment_id text not null,
  amount bigint,
  cause text not null,
  restock boolean default false not null,
  status text default 'queued'::text not null,
  problem text,
  refusals integer default 0 not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  given_up_at timestamp with time zone,
  constraint refund_requests_pkey PRIMARY KEY (id),
  constraint refund_requests_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint refund_requests_amount_positive CHECK ((amount > 0)),
  constraint refund_requests_cause_known CHECK ((cause = ANY (ARRAY['requested'::text, 'cancelled'::text, 'oversold'::text, 'duplicate'::text, 'fraudulent'::text]))),
  constraint refund_requests_given_up_has_time CHECK (((status = 'given_up'::text) = (given_up_at IS NOT NULL))),
  constraint refund_requests_restock_is_full CHECK (((NOT restock) OR (amount IS NULL))),
  constraint refund_requests_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'done'::text, 'not_needed'::text, 'given_up'::text])))
);
comment on table public.refund_requests is 'Refunds asked for, once each. While one is queued its money counts as given back. Carries no personal data.';
comment on column public.refund_requests.id is 'The staff command that asked, or cause and payment, e.g. oversold:pi_…. Travels in the refund''s metadata.';
comment on column public.refund_requests.amount is 'Minor units; null: all that is left when the job runs.';
comment on column public.refund_requests.restock is 'Whether the goods go back on the shelf with this refund.';
comment on column public.refund_requests.problem is 'What Stripe said when it last refused, or why it was given up.';
comment on column public.refund_requests.refusals is 'How often Stripe has refused. Stripe repeats a refusal for a day under the same idempotency key, so each refusal makes another key; an answer that was lost does not.';
CREATE INDEX refund_requests_order_id_idx ON public.refund_requests USING btree (order_id);
CREATE INDEX refund_requests_payment_id_idx ON public.refund_requests USING btree (payment_id);
row level security on public.refund_requests;
policy refund_requests_read on public.refund_requests as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.refund_requests to authenticated;
grant select on table public.refund_requests to service_role;


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
  succeeded_at timestamp with time zone,
  failed_at timestamp with time zone,
  released_at timestamp with time zone,
  version text not null,
  created_at timestamp with time zone not null,
  seen_at timestamp with time zone default clock_timestamp() not null,
  constraint refunds_pkey PRIMARY KEY (id),
  constraint refunds_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.refunds is 'Refund ledger, keyed by Stripe''s id, whoever asked for it. Only succeeded ones count as money given back.';
comment on column public.refunds.reason is 'As the customer may read it: null where Stripe was told that the payment was fraudulent. refund_reasons says it all.';
comment on column public.refunds.request_id is 'The refund_requests row that asked for it; null for one made in Stripe''s dashboard.';
comment on column public.refunds.succeeded_at is 'When it was first seen succeeded; stays when it fails afterwards.';
comment on column public.refunds.failed_at is 'When it was first seen failed or cancelled: what was given back before then was not meant in its stead.';
comment on column public.refunds.released_at is 'When staff let the order ship although this refund of all its money had failed.';
comment on column public.refunds.seen_at is 'When we first heard of it: staff who ask for a refund do not know of one that was made and not heard of.';
CREATE INDEX refunds_charge_id_idx ON public.refunds USING btree (charge_id);
CREATE INDEX refunds_order_id_idx ON public.refunds USING btree (order_id);
CREATE INDEX refunds_payment_id_idx ON public.refunds USING btree (payment_id);
CREATE INDEX refunds_request_id_idx ON public.refunds USING btree (request_id);
row level security on public.refunds;
policy refunds_read on public.refunds as permissive for select to authenticated using (((EXISTS ( SELECT 1
   FROM orders o
  WHERE (o.id = refunds.order_id))) OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.refunds to authenticated;
grant select on table public.refunds to service_role;


table public.shipping_rates (
  id uuid default gen_random_uuid() not null,
  name text not null,
  amount bigint not null,
  currency text not null,
  countries text[],
  delivery_days_min integer,
  delivery_days_max integer,
  sort_order integer default 100 not null,
  active boolean default true not null,
  created_at timestamp with time zone default now() not null,
  constraint shipping_rates_pkey PRIMARY KEY (id),
  constraint shipping_rates_amount_at_stripe CHECK ((private.amount_problem(amount, currency) IS NULL)),
  constraint shipping_rates_countries_format CHECK ((array_to_string(countries, ','::text) ~ '^[A-Z]{2}(,[A-Z]{2})*$'::text)),
  constraint shipping_rates_currency_format CHECK ((currency ~ '^[a-z]{3}$'::text)),
  constraint shipping_rates_delivery_days_ordered CHECK (((delivery_days_min > 0) AND (delivery_days_max > 0) AND (delivery_days_min <= delivery_days_max))),
  constraint shipping_rates_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100))),
  constraint shipping_rates_name_visible CHECK ((private.one_line(name) IS NOT NULL))
);
comment on table public.shipping_rates is 'Delivery prices offered at checkout, cheapest sort_order first, five at most (Stripe''s limit). amount is in minor units. Without an active rate delivery is free.';
comment on column public.shipping_rates.countries is 'Null: for every country. Otherwise the rate is offered only when it covers all of SHIPPING_COUNTRIES: Stripe''s hosted page cannot tie a rate to the address that is entered there.';
CREATE INDEX shipping_rates_offer_idx ON public.shipping_rates USING btree (currency, sort_order) WHERE active;
row level security on public.shipping_rates;
policy shipping_rates_read on public.shipping_rates as permissive for select to anon, authenticated using ((active OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.shipping_rates to anon;
grant select on table public.shipping_rates to authenticated;
grant select on table public.shipping_rates to service_role;


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
  constraint staff_commands_command_known CHECK ((command = ANY (ARRAY['request_refund'::text, 'cancel_order'::text, 'release_review'::text, 'mark_fulfilled'::text, 'submit_dispute_evidence'::text, 'resend_notification'::text, 'redrive_webhook_event'::text, 'redrive_job'::text, 'erase_customer'::text, 'adjust_inventory'::text, 'receive_return'::text, 'add_variant'::text])))
);
comment on table public.staff_commands is 'Insert-only log of what staff asked for. Inserting a row carries it out; a refused command leaves no row.';
CREATE INDEX staff_commands_order_id_idx ON public.staff_commands USING btree (order_id);
CREATE TRIGGER mask_command BEFORE INSERT ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.mask_command();
CREATE TRIGGER refuse_delete BEFORE DELETE ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER run_staff_command AFTER INSERT ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.run_staff_command();
CREATE TRIGGER sign_staff_command BEFORE INSERT ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.sign_staff_command();
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
  delivery_count integer default 0 not null,
  delivered_at timestamp with time zone,
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
  constraint webhook_events_delivered_has_time CHECK (((delivery_count > 0) = (delivered_at IS NOT NULL))),
  constraint webhook_events_status_known CHECK ((status = ANY (ARRAY['processed'::text, 'ignored'::text, 'failed'::text, 'dead'::text])))
);
comment on table public.webhook_events is 'Every authentic event, once. The primary key is Stripe''s event id: a second delivery only counts up.';
comment on column public.webhook_events.attempts is 'How often its facts were applied or tried.';
comment on column public.webhook_events.delivery_count is 'How often Stripe delivered it to stripe-webhook. 0: never; it was fetched by reconciliation.';
comment on column public.webhook_events.delivered_at is 'When Stripe last delivered it; null: never.';
comment on column public.webhook_events.received_at is 'When it was stored, delivered or fetched.';
CREATE INDEX webhook_events_customer_idx ON public.webhook_events USING btree (((payload #>> '{data,object,id}'::text[]))) WHERE (type = ANY (ARRAY['customer.updated'::text, 'customer.deleted'::text]));
CREATE INDEX webhook_events_delivered_at_idx ON public.webhook_events USING btree (livemode, delivered_at DESC) WHERE (delivered_at IS NOT NULL);
CREATE INDEX webhook_events_purgeable_idx ON public.webhook_events USING btree (received_at) WHERE ((status = ANY (ARRAY['processed'::text, 'ignored'::text])) AND (NOT (payload ? 'purged'::text)) AND (NOT (payload ? 'erased'::text)));
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


view public.availability with (security_invoker=true) as
 SELECT v.id AS variant_id,
    v.product_id,
    s.available,
    s.or_more
   FROM (product_variants v
     CROSS JOIN LATERAL private.shown_available(v.id) s(available, or_more));
comment on view public.availability is 'How many pieces of each variant can be bought now, at most stock_shown_max; or_more: there are more than that. A hint: checkout decides again.';
grant select on view public.availability to anon;
grant select on view public.availability to authenticated;
grant select on view public.availability to service_role;


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
 WITH found(order_id, reason) AS (
         SELECT o_1.id,
            reason.reason
           FROM (orders o_1
             JOIN order_risk k ON ((k.order_id = o_1.id))),
            LATERAL unnest(k.review_reasons) reason(reason)
          WHERE (o_1.status = 'needs_review'::text)
        UNION ALL
         SELECT d.order_id,
                CASE d.status
                    WHEN 'lost'::text THEN 'dispute_lost'::text
                    ELSE 'dispute_open'::text
                END AS "case"
           FROM (disputes d
             JOIN orders o_1 ON ((o_1.id = d.order_id)))
          WHERE (private.dispute_holds(d.*, o_1.payment_id) AND ((d.status <> 'lost'::text) OR (o_1.fulfillment_status = 'on_hold'::text)))
        UNION ALL
         SELECT q.order_id,
            'refund_refused'::text
           FROM refund_requests q
          WHERE (private.refund_is_owed(q.*) AND (EXISTS ( SELECT 1
                   FROM alerts a
                  WHERE ((a.dedupe_key = ('refund_refused:'::text || q.id)) AND (a.status <> 'resolved'::text)))))
        UNION ALL
         SELECT q.order_id,
            'refund_delayed'::text
           FROM refund_requests q
          WHERE ((q.status = 'queued'::text) AND (q.problem IS NOT NULL))
        UNION ALL
         SELECT r_1.order_id,
            'refund_failed'::text
           FROM refunds r_1
          WHERE ((r_1.status = ANY (ARRAY['failed'::text, 'canceled'::text])) AND (private.money_left(r_1.payment_id) > 0) AND (NOT private.refund_tried_again(r_1.*)) AND (EXISTS ( SELECT 1
                   FROM alerts a
                  WHERE ((a.dedupe_key = ('refund_failed:'::text || r_1.id)) AND (a.status <> 'resolved'::text)))))
        UNION ALL
         SELECT o_1.id,
            'checkout_not_ended'::text
           FROM orders o_1
          WHERE ((o_1.status = ANY (ARRAY['pending'::text, 'cancelled'::text])) AND (o_1.session_expires_at < (now() - '01:00:00'::interval)) AND (EXISTS ( SELECT 1
                   FROM inventory_reservations r_1
                  WHERE ((r_1.order_id = o_1.id) AND (r_1.status = 'active'::text)))))
        UNION ALL
         SELECT o_1.id,
            'payment_not_ended'::text
           FROM orders o_1
          WHERE ((o_1.status = 'processing'::text) AND (o_1.session_expires_at < (now() - '21 days'::interval)))
        )
 SELECT o.number,
    r.reasons,
    o.status,
    o.fulfillment_status,
    o.amount_total,
    o.currency,
    o.created_at
   FROM (( SELECT f.order_id,
            array_agg(DISTINCT f.reason ORDER BY f.reason) AS reasons
           FROM found f
          GROUP BY f.order_id) r
     JOIN orders o ON ((o.id = r.order_id)));
comment on view reporting.orders_needing_attention is 'Orders that wait for a person, one row each, with every reason: the review reasons; dispute_open; dispute_lost (and the goods are still here); refund_refused, refund_delayed, refund_failed; checkout_not_ended (should have an hour ago, and holds stock); payment_not_ended (under way for three weeks). docs/operations.md says what to do.';
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


view reporting.reconciliation_drift with (security_invoker=true) as
 SELECT d.found_at,
    d.kind,
    d.object_id,
    o.number AS order_number,
    d.before,
    d.after,
    d.run_id
   FROM (reconciliation_drift d
     LEFT JOIN orders o ON ((o.id = d.order_id)))
  ORDER BY d.found_at DESC, d.id DESC;
comment on view reporting.reconciliation_drift is 'What the reconciler repaired, newest first.';
grant select on view reporting.reconciliation_drift to service_role;


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
    count(*) FILTER (WHERE (delivery_count = 0)) AS fetched,
    max(delivered_at) AS last_delivered_at,
    max(received_at) AS last_received_at,
    count(*) FILTER (WHERE (received_at > (now() - '1 day'::interval))) AS last_day
   FROM webhook_events e
  GROUP BY type, status;
comment on view reporting.webhook_health is 'Events per type and outcome. fetched: Stripe never delivered them, reconciliation read them.';
grant select on view reporting.webhook_health to service_role;


CREATE OR REPLACE FUNCTION private.account_customer(p_user_id uuid, p_email text, p_livemode boolean)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_email text;
  v_id uuid;
begin
  -- The account's own address, not the one that this cart names.
  select coalesce(nullif(lower(trim(u.email)), ''), p_email) into v_email
  from auth.users u where u.id = p_user_id;
  if not found then
    -- Deleted while their token still runs: they go on as a guest.
    return null;
  end if;
  insert into public.customers as c (user_id, email, livemode) values (p_user_id, v_email, p_livemode)
  on conflict on constraint customers_user_id_key do update set email = coalesce(excluded.email, c.email)
  returning id into v_id;
  return v_id;
end;
$function$;
comment on function private.account_customer(p_user_id uuid, p_email text, p_livemode boolean) is 'The customers row of an account, made at its first checkout. Null when the account is gone.';


CREATE OR REPLACE FUNCTION private.add_order_risk()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  insert into public.order_risk (order_id) values (new.id);
  return null;
end;
$function$;
comment on function private.add_order_risk() is 'Trigger of orders: each has its row of order_risk.';


CREATE OR REPLACE FUNCTION private.address_key(p_ip inet, p_prefix integer DEFAULT 56)
 RETURNS inet
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select case family(p_ip)
    when 6 then network(set_masklen(p_ip, p_prefix))::inet
    else set_masklen(p_ip, 32)
  end
$function$;
comment on function private.address_key(p_ip inet, p_prefix integer) is 'The network that an address belongs to: an IPv4 address alone, the /p_prefix of an IPv6 address. 56 is what one connection has as a rule.';


CREATE OR REPLACE FUNCTION private.address_keys(p_ip inet)
 RETURNS TABLE(network inet, factor numeric)
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  -- A phone has a /64, a home a /56, a company a /48; what each may do grows less than its addresses do.
  select private.address_key(p_ip, w.prefix), w.factor
  from (values (64, 1), (56, 1.5), (48, 3)) w (prefix, factor)
  where family(p_ip) = 6 or w.factor = 1
$function$;
comment on function private.address_keys(p_ip inet) is 'The networks that limits count for an address, narrow to wide, and what their thresholds are multiplied with.';


CREATE OR REPLACE FUNCTION private.admit_checkout(o orders, p_velocity_mode text, p_client_ip text, p_supersede boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_user_id uuid := (select c.user_id from public.customers c where c.id = o.customer_id);
  v_cart jsonb;
  v_risk jsonb;
  v_pages jsonb;
begin
  select jsonb_build_object('amount', o.amount_subtotal, 'currency', o.currency, 'lines', jsonb_agg(
    jsonb_build_object('variant_id', i.variant_id, 'quantity', i.quantity)
  )) into v_cart
  from public.order_items i where i.order_id = o.id;
  v_risk := private.check_velocity(
    p_velocity_mode, v_user_id, o.email, coalesce(p_client_ip::inet, o.purchase_ip), v_cart, o.livemode, o.id
  );
  if v_risk ->> 'action' = 'block' then
    return jsonb_build_object(
      'outcome', 'velocity_exceeded', 'retry_after_seconds', v_risk -> 'retry_after_seconds'
    );
  end if;
  -- Stripe cannot make an open page ask for more: its own buyer, who is here, gets another one instead.
  select jsonb_agg(s.id order by s.id) into v_pages
  from public.checkout_sessions s
  where s.order_id = o.id and s.status = 'open' and p_supersede and (
    s.closing_at is not null
    or private.three_d_secure_rank(v_risk ->> 'three_d_secure')
      > private.three_d_secure_rank((private.risk_of(o.id)).three_d_secure)
  );
  if v_pages is not null then
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_pages);
  end if;
  return v_risk;
end;
$function$;
comment on function private.admit_checkout(o orders, p_velocity_mode text, p_client_ip text, p_supersede boolean) is 'The velocity rules at every door to the payment page of an order that exists: velocity_exceeded, superseded (its open page asks for less than the rules do now, or is being ended), or the risk to go in with. p_client_ip null: where the order came from.';


CREATE OR REPLACE FUNCTION private.alert_refused_checkout(p_order_id uuid, p_refusal jsonb)
 RETURNS void
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.raise_alert(
    'checkout_refused', 'critical',
    -- One cause, one alert: which line of the cart it was says nothing.
    concat_ws(
      ':', 'checkout_refused', p_refusal ->> 'status', p_refusal ->> 'code',
      regexp_replace(p_refusal ->> 'param', '\[\d+\]', '[]', 'g')
    ),
    p_refusal || jsonb_build_object(
      'order_number', o.number, 'amount', o.amount_subtotal, 'currency', o.currency,
      'skus', (
        select jsonb_agg(i.sku order by i.sku collate "C") from public.order_items i where i.order_id = o.id
      )
    )
  )
  from public.orders o where o.id = p_order_id
$function$;
comment on function private.alert_refused_checkout(p_order_id uuid, p_refusal jsonb) is 'Tells staff that Stripe refuses to sell an order, and why: { code, param, status, message }. One alert per cause, counted up.';


CREATE OR REPLACE FUNCTION private.amount_problem(p_amount bigint, p_currency text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO ''
AS $function$
declare
  c_currencies constant text :=
    'aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad '
    'cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd '
    'hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl '
    'mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg '
    'qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah '
    'ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw';
  -- Three decimals, of which the last must be 0; two decimals that a currency has lost, which must be 00.
  v_step constant integer := case
    when p_currency in ('bhd', 'jod', 'kwd', 'omr', 'tnd') then 10
    when p_currency in ('isk', 'ugx') then 100
    else 1
  end;
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
$function$;
comment on function private.amount_problem(p_amount bigint, p_currency text) is 'Why Stripe would refuse an amount in minor units, or null. The twin of _shared/stripe/money.ts, which says where the rules come from.';


CREATE OR REPLACE FUNCTION private.answer_of_hits(p_hits jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'action', case
      when 'block' = any (a.actions) then 'block'
      when 'review' = any (a.actions) then 'review'
      when 'require_challenge' = any (a.actions) then 'require_challenge'
      when 'require_3ds' = any (a.actions) then 'require_3ds'
      else 'allow'
    end,
    'three_d_secure', case
      when 'require_challenge' = any (a.actions) then 'challenge'
      when 'require_3ds' = any (a.actions) then 'any'
    end,
    'retry_after_seconds', a.retry_after_seconds,
    'hits', p_hits
  )
  from (
    select coalesce(array_agg(h ->> 'action'), '{}') as actions,
      max((h ->> 'retry_after_seconds')::integer) filter (where h ->> 'action' = 'block')
        as retry_after_seconds
    from jsonb_array_elements(p_hits) h
  ) a
$function$;
comment on function private.answer_of_hits(p_hits jsonb) is 'What hits come to together: { action (the strongest), three_d_secure, retry_after_seconds, hits }.';


CREATE OR REPLACE FUNCTION private.apply_facts(p_facts jsonb, p_at timestamp with time zone, p_source text, p_livemode boolean DEFAULT NULL::boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_fact jsonb;
  v_kind text;
  v_order_id uuid;
  v_order_ids uuid[] := '{}';
  v_payment_ids text[] := '{}';
  v_applied integer := 0;
begin
  perform private.lock_facts(p_facts);

  for v_fact in select f from jsonb_array_elements(p_facts) f loop
    v_kind := v_fact ->> 'fact';
    v_order_id := private.order_of_fact(v_fact);
    if v_kind = 'unknown_value' then
      perform private.raise_alert(
        'unknown_stripe_value', 'warning',
        format('unknown_stripe_value:%s:%s', v_fact ->> 'field', v_fact ->> 'value'),
        v_fact - 'fact'
      );
      continue;
    elsif v_kind in ('checkout_session', 'payment', 'payment_attempt') and v_order_id is null then
      -- Somebody else's: only these three carry our metadata, so without an order they are not ours.
      continue;
    elsif exists (select 1 from public.orders o where o.id = v_order_id and o.livemode <> p_livemode) then
      -- Test and live mode are two worlds: the same id means another object there.
      continue;
    elsif v_kind = 'unread' then
      -- Nothing to merge: queue_refreshes() has it read. What is of no order of ours is not.
      v_applied := v_applied + (v_order_id is not null)::integer;
      continue;
    end if;
    if v_kind = 'customer'
      and not exists (select 1 from private.stripe_customers c where c.id = v_fact ->> 'id') then
      -- Nobody who bought here, so nothing of them is kept. Should they buy later, know_customer() looks
      -- again.
      v_applied := v_applied + 1;
      continue;
    end if;
    v_fact := private.without_person(v_fact, v_order_id);
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
    v_order_ids := v_order_ids || v_order_id;
    v_payment_ids := v_payment_ids
      || coalesce(private.payment_of_fact(v_fact), private.payment_of_charge(v_fact ->> 'charge_id'));
  end loop;

  v_order_ids := v_order_ids || private.link_payments(v_payment_ids);
  select coalesce(array_agg(distinct x.id order by x.id), '{}') into v_order_ids
  from unnest(v_order_ids) as x (id) where x.id is not null;
  foreach v_order_id in array v_order_ids loop
    perform private.settle_order(v_order_id, p_source);
  end loop;
  return jsonb_build_object('applied', v_applied, 'order_ids', to_jsonb(v_order_ids));
end;
$function$;
comment on function private.apply_facts(p_facts jsonb, p_at timestamp with time zone, p_source text, p_livemode boolean) is 'Merges facts seen at p_at and settles the orders they touch. p_livemode: mode of the event that brought them; facts about an order of the other mode are passed over. Returns { applied, order_ids }; applied 0: nothing here is ours.';


CREATE OR REPLACE FUNCTION private.ask_refund(p_id text, p_order_id uuid, p_payment_id text, p_amount bigint, p_cause text, p_reason text, p_restock boolean)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  insert into public.refund_requests (id, order_id, payment_id, amount, cause, restock)
  values (p_id, p_order_id, p_payment_id, p_amount, p_cause, p_restock)
  on conflict (id) do nothing;
  if not found then
    return false;
  end if;
  perform private.enqueue_job(
    'refund_payment', 'refund_payment:' || p_id,
    jsonb_build_object(
      'payment_id', p_payment_id, 'order_id', p_order_id, 'amount', p_amount, 'reason', p_reason,
      'cause', p_cause, 'refund_request_id', p_id
    ),
    now(), 20
  );
  return true;
end;
$function$;
comment on function private.ask_refund(p_id text, p_order_id uuid, p_payment_id text, p_amount bigint, p_cause text, p_reason text, p_restock boolean) is 'Asks for a refund, once per p_id: the request and its job. p_amount null: all that is left. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.asked_lines(p_items jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select jsonb_agg(jsonb_build_array(w.sku, w.quantity) order by w.sku collate "C")
  from (
    select x.sku, sum(x.quantity) as quantity
    from jsonb_to_recordset(p_items) as x (sku text, quantity integer) group by x.sku
  ) w
$function$;
comment on function private.asked_lines(p_items jsonb) is 'A cart as asked for: [[sku, quantity]…], summed and sorted. Two carts are the same cart when this is equal; prices do not matter.';


CREATE OR REPLACE FUNCTION private.attach_guest_orders(p_user_id uuid, p_email text, p_order_id uuid DEFAULT NULL::uuid)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
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
$function$;
comment on function private.attach_guest_orders(p_user_id uuid, p_email text, p_order_id uuid) is 'Gives an account the paid guest orders under its proven address (all, or p_order_id alone), and returns how many. The guest''s row and its Stripe customer stay as they are.';


CREATE OR REPLACE FUNCTION private.awaits_evidence(d disputes)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select d.status in ('needs_response', 'warning_needs_response', 'appeal_needs_response')
$function$;
comment on function private.awaits_evidence(d disputes) is 'Whether a dispute waits for the shop''s answer.';


CREATE OR REPLACE FUNCTION private.backoff(p_attempts integer, p_kind text DEFAULT NULL::text)
 RETURNS interval
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  -- Full jitter: uniform in [0, min(max, base * 2^(attempts - 1))], and never less than a second.
  select make_interval(secs => greatest(1, random() * least(
    coalesce(k.backoff_max_seconds, (private.setting('event_retry_max_seconds'))::numeric),
    coalesce(
      k.backoff_base_seconds, (private.setting('event_retry_base_seconds'))::numeric
    ) * power(2::numeric, least(greatest(p_attempts, 1), 30) - 1)
  )::double precision))
  from (select p_kind as kind) asked left join private.job_kinds k on k.kind = asked.kind
$function$;
comment on function private.backoff(p_attempts integer, p_kind text) is 'Delay before try number p_attempts + 1: exponential with full jitter, limits of the kind or of private.settings.';


CREATE OR REPLACE FUNCTION private.bury_job(p_job_id bigint, p_reason text)
 RETURNS void
 LANGUAGE plpgsql
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
  if v_job.kind = 'refund_payment' and private.note_refund_outcome(v_job, p_reason, 'critical') then
    return;
  end if;
  -- A message that cannot be delivered must not ask for another message; health shows it.
  if v_job.kind <> 'send_alert' then
    perform private.raise_alert(
      'job_dead', 'critical', 'job_dead:' || private.effect_name(v_job.dedupe_key),
      jsonb_build_object(
        'job_id', v_job.id, 'kind', v_job.kind, 'attempts', v_job.attempts, 'error', p_reason
      )
    );
  end if;
end;
$function$;
comment on function private.bury_job(p_job_id bigint, p_reason text) is 'Marks a job dead after its last attempt, its webhook event too, and raises a critical alert with the cause.';


CREATE OR REPLACE FUNCTION private.call_retry_jobs()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- retry-jobs stops claiming after a minute; a shorter limit would report healthy calls as timed out.
  c_timeout_milliseconds constant integer := 140000;
  v_url text;
  v_key text;
  v_request_id bigint;
begin
  execute $sql$ select decrypted_secret
  from vault.decrypted_secrets where name = 'retry_jobs_url' $sql$ into v_url;
  execute $sql$ select decrypted_secret
  from vault.decrypted_secrets where name = 'retry_jobs_key' $sql$ into v_key;
  if v_url is null or v_key is null then
    raise exception 'the Vault secrets retry_jobs_url and retry_jobs_key are not set'
      using hint = 'Run deno task setup, or select private.set_schedule_target(url, key).';
  end if;
  execute $sql$
    select net.http_post(
      url := $1, body := '{}'::jsonb,
      headers := jsonb_build_object('content-type', 'application/json', 'apikey', $2),
      timeout_milliseconds := $3
    )
  $sql$ into v_request_id using v_url, v_key, c_timeout_milliseconds;
  return v_request_id;
end;
$function$;
comment on function private.call_retry_jobs() is 'Run by pg_cron: posts to retry-jobs with the key from Vault. Returns pg_net''s request id. The text of the cron job holds no key.';


CREATE OR REPLACE FUNCTION private.check_declined_velocity(o orders)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  k public.order_risk := private.risk_of(o.id);
  v_declines integer;
  v_at timestamptz;
  v_user_id uuid;
  v_rule private.velocity_rules;
  v_key record;
  v_hit jsonb;
begin
  select count(*), max(a.created_at) into v_declines, v_at
  from public.payment_attempts a
  where a.order_id = o.id and a.outcome in ('failed', 'blocked')
    and not private.is_outage(a.failure_code, a.decline_code);
  if k.velocity_mode = 'off' or o.session_id is not null or v_declines <= k.declined_attempts then
    return v_declines;
  end if;
  select c.user_id into v_user_id from public.customers c where c.id = o.customer_id;

  for v_rule in
    select * from private.velocity_rules r
    where r.enabled and r.action in ('require_3ds', 'require_challenge', 'block')
      and r.measure in ('declines', 'declined_orders', 'cards')
      and r.subject in ('user', 'email', 'order', 'address', 'shop')
    order by r.name
  loop
    for v_key in select * from private.velocity_keys(v_rule, v_user_id, o.email, o.purchase_ip, o.id) loop
      v_hit := private.measure_velocity(
        v_rule, v_key.key, o.amount_subtotal, o.currency, o.livemode, v_at, p_factor => v_key.factor
      );
      continue when v_hit is null;
      v_hit := v_hit || jsonb_build_object(
        'mode', k.velocity_mode,
        'action', case k.velocity_mode when 'enforce' then v_rule.action else 'allow' end
      );
      if private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit)), o.id) > 0 then
        perform private.raise_velocity_alerts(jsonb_build_array(v_hit));
      end if;
      if k.velocity_mode = 'enforce' then
        perform private.end_pages(v_rule, v_key.key, o, v_at);
      end if;
    end loop;
  end loop;
  return v_declines;
end;
$function$;
comment on function private.check_declined_velocity(o orders) is 'Measures the rules over refused attempts at each refusal of an unpaid order: a page that is open needs no new checkout to try the next card. A hit is recorded and raises the alert once per attempt of the order, and ends pages each time. Returns how many refusals the order has, which is what it has been measured by. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.check_money()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select 'lines add up to the subtotal', jsonb_build_object('order', o.number, 'subtotal', o.amount_subtotal)
  from public.orders o
  where o.amount_subtotal <> (
    select coalesce(sum(i.unit_amount * i.quantity), 0) from public.order_items i where i.order_id = o.id
  )
  union all
  select 'the hash of an order is that of its lines',
    jsonb_build_object('order', o.number, 'cart_hash', o.cart_hash)
  from public.orders o
  where o.cart_hash is distinct from private.hash_of_order(o.id)
  union all
  select 'refunded is the sum of succeeded refunds',
    jsonb_build_object('order', o.number, 'amount_refunded', o.amount_refunded)
  from public.orders o
  where o.amount_refunded <> (
    select coalesce(sum(r.amount), 0)
    from public.refunds r where r.payment_id = o.payment_id and r.status = 'succeeded'
  )
  union all
  select 'no payment is refunded by more than it brought',
    jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from public.payments p
  where p.status = 'succeeded' and p.amount_received < (
    select coalesce(sum(r.amount), 0)
    from public.refunds r where r.payment_id = p.id and r.status = 'succeeded'
  )
  union all
  select 'a paid order has a settled session, and a succeeded payment unless it was free',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  left join public.payments p on p.id = o.payment_id
  where o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded')
    and (
      o.session_id is null or (o.payment_id is null and o.amount_total > 0)
      or (o.payment_id is not null and p.status is distinct from 'succeeded')
    )
  union all
  select 'what is given back and what can still run is no more than the payment brought',
    jsonb_build_object('payment_id', p.id, 'amount_received', p.amount_received)
  from public.payments p
  cross join lateral (
    select coalesce(sum(r.amount), 0) as live from public.refunds r
    where r.payment_id = p.id and r.status not in ('failed', 'canceled')
  ) given
  where p.status = 'succeeded' and p.amount_received < given.live + (
    select coalesce(sum(q.amount), 0) from public.refund_requests q
    -- Where all is given back nothing can run, and one that another may stand in for will be judged so.
    where q.payment_id = p.id and q.status = 'queued' and given.live < p.amount_received
      and private.refund_overtaken_by(q) is null
      and not exists (select 1 from public.refunds r where r.request_id = q.id)
  )
  union all
  select 'subtotal, discount, shipping and tax add up to the total',
    jsonb_build_object('order', o.number, 'amount_total', o.amount_total)
  from public.orders o join public.order_risk k on k.order_id = o.id
  where o.session_id is not null and cardinality(k.review_reasons) = 0
    and not private.is_released(o, 'amount_mismatch')
    and o.amount_total <> o.amount_subtotal - o.amount_discount + o.amount_shipping
      + case when o.prices_include_tax then 0 else o.amount_tax end
    and o.status <> 'refunded'
  union all
  select 'a paid order was paid in full',
    jsonb_build_object('order', o.number, 'amount_paid', o.amount_paid, 'amount_total', o.amount_total)
  from public.orders o
  where o.status in ('paid', 'partially_refunded') and o.amount_paid <> o.amount_total
    and not private.is_released(o, 'amount_mismatch')
  union all
  select 'an order keeps the first of its settled sessions',
    jsonb_build_object('order', o.number, 'session_id', o.session_id)
  from public.orders o
  where o.session_id is distinct from (private.kept_session(o.id)).id
  union all
  select 'an order keeps the payment that was decided about', jsonb_build_object('order', o.number,
    'payment_id', o.payment_id)
  from public.orders o
  where o.decided_payment_id is not null and o.payment_id is distinct from o.decided_payment_id
  union all
  select 'a second payment is on its way back', jsonb_build_object('order', o.number, 'payment_id', p.id)
  from public.orders o
  join public.checkout_sessions s on s.order_id = o.id and s.status = 'complete'
  join public.payments p on p.id = s.payment_id and p.order_id = o.id and p.status = 'succeeded'
    and p.id is distinct from o.payment_id
  where not exists (
    select 1 from public.refund_requests q where q.id = 'duplicate:' || p.id
  )
  union all
  select 'money of an order that is not to ship is on its way back',
    jsonb_build_object('order', o.number, 'payment_id', o.payment_id)
  from public.orders o
  where o.payment_id is not null and o.fulfilled_at is null
    and (o.cancelled_at is not null or o.oversold_at is not null)
    and not exists (
      select 1
      from public.refund_requests q where q.id in ('cancelled:' || o.payment_id, 'oversold:' || o.payment_id)
    )
  union all
  select 'money of an order came through one of its sessions',
    jsonb_build_object('order', o.number, 'payment_id', p.id)
  from public.payments p
  join public.orders o on o.id = p.order_id
  -- The payment may be an hour ahead of its session's event.
  where p.status = 'succeeded' and p.succeeded_at < now() - interval '1 hour'
    and not exists (select 1 from public.checkout_sessions s where s.payment_id = p.id)
  union all
  select 'attempts, refunds, disputes and signals belong to the order of their payment',
    jsonb_build_object('id', x.id, 'payment_id', x.payment_id)
  from (
    select a.id, a.payment_id, a.order_id from public.payment_attempts a
    union all select r.id, r.payment_id, r.order_id from public.refunds r
    union all select d.id, d.payment_id, d.order_id from public.disputes d
    union all select f.source_id, f.payment_id, f.order_id from public.fraud_signals f
  ) x
  join public.payments p on p.id = x.payment_id
  where x.order_id is distinct from p.order_id
  union all
  select 'test and live mode do not mix', jsonb_build_object('order', o.number, 'session_id', s.id)
  from public.orders o
  join public.checkout_sessions s on s.id = o.session_id
  left join public.payments p on p.id = o.payment_id
  where (s.livemode <> o.livemode or p.livemode <> o.livemode) and o.status in ('paid', 'partially_refunded')
    and not private.is_released(o, 'livemode_mismatch')
$function$;
comment on function private.check_money() is 'Rules about money: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_order_state()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select 'the money of an order shows in its status',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (o.session_id is not null) <> (o.status in ('paid', 'needs_review', 'partially_refunded', 'refunded'))
    and not (
      o.status = 'cancelled' and o.amount_paid = 0
      and (o.cancelled_at is not null or o.oversold_at is not null)
    )
  union all
  select 'an order that staff cancelled and nobody pays reads cancelled',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.cancelled_at is not null and o.amount_paid = 0 and o.status not in ('cancelled', 'processing')
  union all
  select 'an order that is not to ship does not wait for shipment',
    jsonb_build_object('order', o.number, 'fulfillment_status', o.fulfillment_status)
  from public.orders o
  where o.fulfilled_at is null and o.fulfillment_status <> 'cancelled'
    and (o.cancelled_at is not null or o.oversold_at is not null or o.restocked_at is not null)
  union all
  select 'nothing ships while all of its money is on its way back', jsonb_build_object('order', o.number)
  from public.orders o
  where o.fulfillment_status = 'unfulfilled' and cardinality(private.hold_reasons(o)) > 0
  union all
  select 'what holds an order and nobody has released stands in its review reasons',
    jsonb_build_object('order', o.number, 'signal', f.id)
  from public.fraud_signals f
  join public.orders o on o.id = f.order_id
  where private.holds_order(f) and o.session_id is not null and o.status in ('paid', 'partially_refunded')
  union all
  select 'a disputed order is on hold until it has shipped',
    jsonb_build_object('order', o.number, 'dispute_id', d.id)
  from public.disputes d
  join public.orders o on o.id = d.order_id
  where private.dispute_holds(d, o.payment_id) and o.fulfillment_status = 'unfulfilled'
  union all
  select 'an order that is held for review is on hold until it has shipped',
    jsonb_build_object('order', o.number)
  from public.orders o
  where o.status = 'needs_review' and o.fulfillment_status = 'unfulfilled'
  union all
  select 'money received is in the audit trail', jsonb_build_object('order', o.number)
  from public.orders o
  where o.session_id is not null and not exists (
    select 1 from public.order_events e
    where e.order_id = o.id and e.kind = 'payment_received' and e.data ->> 'session_id' = o.session_id
  )
  union all
  select 'an order that is paid and held by nothing has its confirmation',
    jsonb_build_object('order', o.number)
  from public.orders o
  where o.status = 'paid' and o.cancelled_at is null and o.oversold_at is null
    and not exists (
      select 1 from public.notifications n where n.order_id = o.id and n.template = 'order_confirmation'
    )
$function$;
comment on function private.check_order_state() is 'Rules about the state of orders: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_outages(o orders)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  k public.order_risk := private.risk_of(o.id);
  v_outages integer;
  v_at timestamptz;
  v_rule private.velocity_rules;
  v_hit jsonb;
begin
  select count(*), max(a.created_at) into v_outages, v_at
  from public.payment_attempts a
  where a.order_id = o.id and a.outcome in ('failed', 'blocked')
    and private.is_outage(a.failure_code, a.decline_code);
  if k.velocity_mode = 'off' or v_outages <= k.outage_attempts then
    return v_outages;
  end if;
  for v_rule in
    select * from private.velocity_rules r
    where r.enabled and r.subject = 'shop' and r.measure = 'outages' order by r.name
  loop
    v_hit := private.measure_velocity(v_rule, 'shop', o.amount_subtotal, o.currency, o.livemode, v_at);
    if v_hit is not null then
      perform private.raise_velocity_alerts(jsonb_build_array(v_hit));
    end if;
  end loop;
  return v_outages;
end;
$function$;
comment on function private.check_outages(o orders) is 'Tells staff when a bank, a network or the processor is away for many at once, at each such refusal of an order. Nobody is refused for it. Returns how many the order has had. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.check_outbox()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select 'an unfinished event has a job', jsonb_build_object('event_id', e.id, 'status', e.status)
  from public.webhook_events e
  where e.status = 'failed' and not exists (
    select 1
    from private.jobs j where j.dedupe_key = 'retry_event:' || e.id and j.status in ('queued', 'running')
  )
  union all
  select 'a refund that is asked for has a job that can run, and one that was given up has none',
    jsonb_build_object('request_id', q.id, 'status', q.status)
  from public.refund_requests q
  where q.status in ('queued', 'given_up') and (q.status = 'queued') <> exists (
    select 1 from private.jobs j
    where j.kind = 'refund_payment' and j.dedupe_key = 'refund_payment:' || q.id
      and j.status in ('queued', 'running')
  )
  union all
  select 'staff know of a refund that was given up and is still owed', jsonb_build_object('request_id', q.id)
  from public.refund_requests q
  -- Resolved by a person is known to a person; an old one may have been purged since.
  where private.refund_is_owed(q) and q.given_up_at > now() - interval '30 days' and not exists (
    select 1 from public.alerts a
    where a.dedupe_key = 'refund_refused:' || q.id and (a.status <> 'resolved' or not a.data ? 'not_owed')
  )
  union all
  select 'a queued mail has a job', jsonb_build_object('notification_id', n.id)
  from public.notifications n
  where n.status = 'queued' and not exists (
    select 1 from private.jobs j
    where j.kind = 'send_mail' and j.payload ->> 'notification_id' = n.id::text
      and j.status in ('queued', 'running', 'dead')
  )
$function$;
comment on function private.check_outbox() is 'Rules about effects that are owed: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_paid_velocity(o orders)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_rule private.velocity_rules;
  v_key text;
  v_hit jsonb;
  k public.order_risk := private.risk_of(o.id);
  v_set_id bigint := k.velocity_rule_set;
begin
  if k.velocity_mode = 'off' then
    return v_set_id;
  end if;
  -- Facts may come late, and are measured then; by the rules of the day it was paid.
  v_set_id := coalesce(v_set_id, private.freeze_velocity_rules());
  for v_rule in
    select r.*
    from private.velocity_rule_sets s, jsonb_populate_recordset(null::private.velocity_rules, s.rules) r
    where s.id = v_set_id order by r.name
  loop
    v_key := case v_rule.subject
      when 'shipping_address' then private.delivery_key(o.shipping_address)
      when 'card' then (
        select a.card_fingerprint from public.payment_attempts a
        where a.order_id = o.id and a.outcome = 'succeeded' and a.card_fingerprint is not null
        order by a.created_at, a.id limit 1
      )
    end;
    continue when v_key is null or exists (
      select 1 from public.fraud_signals f
      where f.order_id = o.id and f.kind = 'velocity' and f.data ->> 'rule' = v_rule.name
    );
    v_hit := private.measure_velocity(
      v_rule, v_key, o.amount_subtotal, o.currency, o.livemode, greatest(o.paid_at, o.created_at), o.id
    );
    if v_hit is not null then
      v_hit := v_hit || jsonb_build_object(
        'mode', k.velocity_mode,
        -- The money is there already: to block means to hold the goods.
        'action', case
          when k.velocity_mode <> 'enforce' then 'allow'
          when v_rule.action = 'block' then 'review'
          else v_rule.action
        end
      );
      perform private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit)), o.id);
    end if;
  end loop;
  return v_set_id;
end;
$function$;
comment on function private.check_paid_velocity(o orders) is 'Measures the rules on card and delivery address once an order is paid, by what had happened until then and by the rules as they stood, so that settling again finds the same. Returns the set of rules, for velocity_rule_set. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.check_refund_redrive(p_job private.jobs)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  q public.refund_requests;
  v_by text;
  v_left bigint;
begin
  select * into q from public.refund_requests where id = p_job.payload ->> 'refund_request_id';
  if not found or exists (select 1 from public.refunds r where r.request_id = q.id) then
    -- The job finds the refund and is content.
    return;
  end if;
  v_by := private.refund_overtaken_by(q);
  v_left := private.refundable_amount(q.payment_id, q.id);
  if v_left <= 0 then
    raise exception 'refund %: nothing of its payment is left to give back', q.id
      using errcode = 'KCREF', hint = 'Goods that have come back go on the shelf with receive_return().';
  elsif q.status = 'not_needed' and q.amount is not null then
    raise exception 'refund % was not needed: the payment had been refunded', q.id
      using errcode = 'KCREF', hint = 'Should the customer get more, ask for it anew with request_refund().';
  elsif v_by is not null then
    raise exception 'refund % was given up, and % came in its stead', q.id, v_by
      using errcode = 'KCREF', hint = 'Should the customer get both, ask for it anew with request_refund().';
  elsif q.amount > v_left then
    raise exception 'refund % is about % (minor units), and % can still be refunded', q.id, q.amount, v_left
      using errcode = 'KCREF', hint = 'Refunds under way count as given back.';
  end if;
end;
$function$;
comment on function private.check_refund_redrive(p_job private.jobs) is 'Raises KCREF when a refund must not run again: nothing or less is left, a part was not needed, or another one may stand in for it. One of all that is left may: it gives back what a bounced refund has left. Call with the order locked.';


CREATE OR REPLACE FUNCTION private.check_stock()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select 'reserved is the sum of active reservations',
    jsonb_build_object('variant_id', l.variant_id, 'reserved', l.reserved, 'sum', r.active)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'active'), 0) as active
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.reserved <> r.active
  union all
  select 'committed is the sum of committed reservations',
    jsonb_build_object('variant_id', l.variant_id, 'committed', l.committed, 'sum', r.committed)
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(quantity) filter (where status = 'committed'), 0) as committed
    from public.inventory_reservations where variant_id = l.variant_id
  ) r on true
  where l.committed <> r.committed
  union all
  select 'on_hand and committed are what was received',
    jsonb_build_object(
      'variant_id', l.variant_id, 'on_hand', l.on_hand, 'committed', l.committed, 'received', a.received
    )
  from public.inventory_levels l
  left join lateral (
    select coalesce(sum(delta), 0) as received
    from public.inventory_adjustments where variant_id = l.variant_id
  ) a on true
  where l.on_hand + l.committed <> a.received
  union all
  select 'a paid order owns its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('paid', 'partially_refunded') and o.cancelled_at is null and o.oversold_at is null
    and o.restocked_at is null and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'committed'
        and r.quantity = i.quantity
    )
  )
  union all
  select 'an expired order holds no stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('expired', 'payment_failed') and exists (
    select 1 from public.inventory_reservations r where r.order_id = o.id and r.status <> 'released'
  )
  union all
  select 'a reservation is as large as its line',
    jsonb_build_object('order_id', r.order_id, 'variant_id', r.variant_id, 'quantity', r.quantity)
  from public.inventory_reservations r
  left join public.order_items i on i.order_id = r.order_id and i.variant_id = r.variant_id
  where i.quantity is distinct from r.quantity
  union all
  select 'an open order holds its stock', jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where o.status in ('pending', 'processing') and o.cancelled_at is null and exists (
    select 1 from public.order_items i
    where i.order_id = o.id and not exists (
      select 1 from public.inventory_reservations r
      where r.order_id = o.id and r.variant_id = i.variant_id and r.status = 'active'
    )
  )
  -- A payment that got under way after the goods had been given back may have found them gone.
  and not (o.status = 'processing' and exists (
    select 1 from public.order_events e where e.order_id = o.id and e.kind = 'stock_released'
  ))
  union all
  select 'an order that is not to ship owns no stock',
    jsonb_build_object('order', o.number, 'status', o.status)
  from public.orders o
  where (
    o.restocked_at is not null
    or (o.fulfilled_at is null and (o.cancelled_at is not null or o.oversold_at is not null))
  )
    and exists (
      select 1 from public.inventory_reservations r where r.order_id = o.id and r.status = 'committed'
    )
  union all
  select 'goods go back because a refund asked for it, staff received them, or nothing was sent',
    jsonb_build_object('order', o.number)
  from public.orders o
  where o.restocked_at is not null and not private.restock_due(o) and not exists (
    select 1
    from public.staff_commands c where c.order_id = o.id and c.command in ('receive_return', 'cancel_order')
  ) and not exists (
    select 1 from public.refund_requests q where q.order_id = o.id and (q.restock or q.cause = 'fraudulent')
  )
$function$;
comment on function private.check_stock() is 'Rules about stock: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_velocity(p_mode text, p_user_id uuid, p_email text, p_ip inet, p_cart jsonb, p_livemode boolean, p_order_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_mailbox text := private.email_key(p_email);
  v_rule private.velocity_rules;
  v_key record;
  v_hit jsonb;
  v_hits jsonb := '[]';
  v_result jsonb;
begin
  if p_mode = 'off' then
    return jsonb_build_object('action', 'allow', 'hits', '[]'::jsonb);
  end if;
  -- A burst under one mailbox or from one network must not slip through because none of it sees the others.
  if v_mailbox is not null then
    perform pg_advisory_xact_lock(hashtextextended('velocity:' || v_mailbox, 0));
  end if;
  if p_ip is not null then
    perform pg_advisory_xact_lock(hashtextextended('velocity:' || text(private.address_key(p_ip)), 0));
  end if;

  for v_rule in
    select * from private.velocity_rules r
    where r.enabled and r.subject in ('user', 'email', 'order', 'address', 'shop') and r.measure <> 'outages'
    order by r.name
  loop
    for v_key in select * from private.velocity_keys(v_rule, p_user_id, p_email, p_ip, p_order_id) loop
      v_hit := private.measure_velocity(
        v_rule, v_key.key, (p_cart ->> 'amount')::bigint, p_cart ->> 'currency', p_livemode,
        clock_timestamp(), p_order_id, p_cart -> 'lines', v_key.factor
      );
      if v_hit is not null then
        v_hits := v_hits || (v_hit || jsonb_build_object(
          'mode', p_mode, 'action', case p_mode when 'enforce' then v_rule.action else 'allow' end
        ));
        -- A network within a network is no second hit.
        exit;
      end if;
    end loop;
  end loop;

  v_result := private.answer_of_hits(v_hits);
  perform private.raise_velocity_alerts(v_hits);
  if v_result ->> 'action' = 'block' then
    perform private.record_velocity_hits(v_result, p_order_id);
  end if;
  return v_result;
end;
$function$;
comment on function private.check_velocity(p_mode text, p_user_id uuid, p_email text, p_ip inet, p_cart jsonb, p_livemode boolean, p_order_id uuid) is 'Measures the rules for a door to a payment page: { action, three_d_secure, retry_after_seconds, hits }, the strongest action of all hits. p_cart: { amount, currency, lines: [{ variant_id, quantity }] }; p_order_id: the order that the page is for, once it exists. Mode report: every action is allow, and the hits tell what would have been. Records the hits of a block itself, since nothing will carry them.';


CREATE OR REPLACE FUNCTION private.checkout_end(o orders)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  if o.session_id is not null or o.status = 'processing' then
    return jsonb_build_object('outcome', 'paid', 'session_id', coalesce(o.session_id, (
      select s.id from public.checkout_sessions s
      where s.order_id = o.id and s.status = 'complete' order by s.completed_at desc limit 1
    )));
  elsif o.cancelled_at is not null or o.erased_at is not null then
    return jsonb_build_object('outcome', 'cancelled');
  end if;
  return null;
end;
$function$;
comment on function private.checkout_end(o orders) is 'Why an order leads to no payment page any more: paid { session_id }, also while the payment is under way, or cancelled. Null while it waits to be paid.';


CREATE OR REPLACE FUNCTION private.checkout_snapshot(p_order_id uuid, p_outcome text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  -- In plpgsql for its kept plan: planning this takes longer than running it, for every checkout.
  return (select jsonb_build_object(
    'outcome', p_outcome,
    'order_id', o.id,
    'order_number', o.number,
    'account_id', o.account_id,
    'attempt', o.attempt,
    'currency', o.currency,
    'amount_subtotal', o.amount_subtotal,
    'session_expires_at', floor(extract(epoch from o.session_expires_at))::bigint,
    'email', o.email,
    'locale', o.locale,
    'stripe_customer_id', c.stripe_customer_id,
    -- An account that Stripe does not know yet. generation counts deletions: Stripe answers a repeated
    -- idempotency key with the customer it made first, also when that one is gone.
    'customer', case when c.user_id is not null and c.stripe_customer_id is null then jsonb_build_object(
      'id', c.id, 'email', c.email,
      'generation', coalesce(floor(extract(epoch from c.stripe_deleted_at) * 1000)::bigint, 0)
    ) end,
    -- An address that has changed since Stripe's customer was last given one.
    'customer_email', case when c.user_id is not null and c.stripe_customer_id is not null
      and c.email_changes > c.email_changes_told then c.email end,
    'customer_email_change', case when c.user_id is not null then c.email_changes end,
    'cart_hash', o.cart_hash,
    'three_d_secure', (private.risk_of(o.id)).three_d_secure,
    'prices_include_tax', o.prices_include_tax,
    'shipping_rates', o.shipping_rates,
    'items', (
      select jsonb_agg(jsonb_build_object(
        'sku', i.sku, 'name', i.name, 'description', p.description,
        'image_url', coalesce(v.image_url, p.image_url),
        'quantity', i.quantity, 'unit_amount', i.unit_amount, 'stripe_price_id', v.stripe_price_id
      ) order by i.sku collate "C")
      from public.order_items i
      join public.product_variants v on v.id = i.variant_id
      join public.products p on p.id = v.product_id
      where i.order_id = o.id
    ),
    'session', (
      select jsonb_build_object(
        'id', s.id, 'url', s.url, 'status', s.status,
        'expires_at', floor(extract(epoch from s.expires_at))::bigint
      )
      from public.checkout_sessions s
      where s.order_id = o.id and (s.attempt = o.attempt or s.id = o.session_id)
      order by (s.id = o.session_id) desc nulls last, (s.status = 'open') desc, s.created_at desc
      limit 1
    )
  )
  from public.orders o
  left join public.customers c on c.id = o.customer_id
  where o.id = p_order_id);
end;
$function$;
comment on function private.checkout_snapshot(p_order_id uuid, p_outcome text) is 'All that the checkout function needs to create, repeat or return the session of an order''s current attempt. session null: Stripe has not been asked, or its answer was lost.';


CREATE OR REPLACE FUNCTION private.clean_staff_args(p_command text, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  a record;
  v_args jsonb := '{}';
  v_value jsonb;
  v_missing text;
begin
  if jsonb_typeof(p_args) <> 'object' then
    raise exception 'arguments of % must be an object', p_command using errcode = 'KCINV';
  end if;
  for a in
    select g.key, g.value, g.value #>> '{}' as text, f.type, f.size
    from jsonb_each(p_args) g left join private.staff_command_fields(p_command) f on f.field = g.key
  loop
    v_value := a.value;
    if a.type is null then
      raise exception '% has no argument %', p_command, left(a.key, 40) using errcode = 'KCINV';
    elsif jsonb_typeof(a.value) = 'null'
      or (a.type = 'text' and jsonb_typeof(a.value) = 'string' and btrim(a.text) = '') then
      continue;
    elsif jsonb_typeof(a.value) <> (
      case a.type when 'text' then 'string' when 'integer' then 'number' else a.type end
    ) then
      raise exception '% of % must be of type %', a.key, p_command, a.type using errcode = 'KCINV';
    elsif a.type = 'integer' then
      if a.text::numeric <> trunc(a.text::numeric) or abs(a.text::numeric) > a.size then
        raise exception '% of % must be a whole number of at most %', a.key, p_command, a.size
          using errcode = 'KCINV';
      end if;
      -- 1.0 is whole, and no integer in the eyes of a cast.
      v_value := to_jsonb(a.text::numeric::bigint);
    elsif char_length(a.text) > a.size or a.text ~ '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]' then
      raise exception '% of % must have at most % characters and no control characters', a.key, p_command,
        a.size
        using errcode = 'KCINV';
    end if;
    v_args := v_args || jsonb_build_object(a.key, v_value);
  end loop;

  select string_agg(f.field, ', ') into v_missing
  from private.staff_command_fields(p_command) f where f.required and not v_args ? f.field;
  if v_missing is not null then
    raise exception '% needs %', p_command, v_missing using errcode = 'KCINV';
  end if;
  return v_args;
end;
$function$;
comment on function private.clean_staff_args(p_command text, p_args jsonb) is 'The arguments of a staff command, without those left empty. KCINV: unknown, of the wrong type, too large, or missing.';


CREATE OR REPLACE FUNCTION private.concerns_erased(p_facts jsonb, p_order_ids jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  return exists (
    select 1 from public.orders o
    where o.erased_at is not null and (
      o.id in (select x::uuid from jsonb_array_elements_text(p_order_ids) x)
      or o.id in (select private.order_of_fact(f) from jsonb_array_elements(p_facts) f)
    )
  ) or exists (select 1 from jsonb_array_elements(p_facts) f where private.is_erased(f, null));
end;
$function$;
comment on function private.concerns_erased(p_facts jsonb, p_order_ids jsonb) is 'Whether an event with these facts, which touched these orders, is about somebody who has been erased: its payload is not kept.';


CREATE OR REPLACE FUNCTION private.count_email_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  new.email_changes := old.email_changes + 1;
  return new;
end;
$function$;
comment on function private.count_email_change() is 'Trigger of customers: an account''s address has changed, and Stripe''s customer does not know yet.';


CREATE OR REPLACE FUNCTION private.count_outages(p_rule private.velocity_rules, p_livemode boolean, p_since timestamp with time zone, p_until timestamp with time zone)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  return (
    select count(*) filter (where t.outage)
    from (
      select bool_or(
        a.outcome in ('failed', 'blocked') and private.is_outage(a.failure_code, a.decline_code)
      ) as outage
      from public.payment_attempts a
      where a.created_at between p_since and p_until and a.livemode = p_livemode
      group by a.order_id
    ) t
    having count(*) filter (where t.outage) >= coalesce(p_rule.min_share, 0) * count(*)
  );
end;
$function$;
comment on function private.count_outages(p_rule private.velocity_rules, p_livemode boolean, p_since timestamp with time zone, p_until timestamp with time zone) is 'Measure outages: how many orders met one, or null when they are less than min_share of those tried.';


CREATE OR REPLACE FUNCTION private.delivery_key(p_address jsonb)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select lower(regexp_replace(
    concat_ws(
      '|', p_address ->> 'line1', p_address ->> 'line2', p_address ->> 'postal_code', p_address ->> 'country'
    ), '[^[:alnum:]|]', '', 'g'
  ))
  where p_address ->> 'line1' is not null
$function$;
comment on function private.delivery_key(p_address jsonb) is 'A delivery address without case, spaces and punctuation. Null without a street.';


CREATE OR REPLACE FUNCTION private.delivery_problems()
 RETURNS TABLE(kind text, severity text, data jsonb)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  (
    select 'webhook_silence', 'critical', jsonb_build_object(
      'livemode', s.livemode,
      'last_delivered_at', case when isfinite(s.last_delivered_at) then s.last_delivered_at end
    )
    from private.webhook_silence() s order by s.livemode desc limit 1
  )
  union all
  select
    case s.state when 'disabled' then 'webhook_endpoint_disabled' else 'webhook_endpoint_changed' end,
    case s.state when 'changed' then 'warning' else 'critical' end,
    jsonb_build_object(
      'endpoint_id', s.endpoint_id, 'livemode', s.livemode, 'since', s.since, 'differences', s.differences
    )
  from (select * from private.webhook_endpoint_states order by checked_at desc limit 1) s
  where s.state = 'changed'
    -- Unless events go on coming: from the Stripe CLI, a platform's endpoint, or by way of another domain.
    or (
      s.state in ('disabled', 'missing') and s.endpoint_id is not null
      and private.last_delivery(s.livemode) < s.since + interval '1 minute'
    )
  union all
  select 'reconciliation_drift', 'warning',
    jsonb_build_object('last_hour', count(*), 'last_id', max(d.object_id))
  from private.recent_drift() d
  where d.found_at < now() - interval '10 minutes'
  having count(*) > 0
$function$;
comment on function private.delivery_problems() is 'Why deliveries are not to be relied on, at most one row a kind: webhook_silence, webhook_endpoint_disabled, webhook_endpoint_changed, reconciliation_drift. Alerts and health both say what this says.';


CREATE OR REPLACE FUNCTION private.digest_facts(p_facts jsonb, p_order_ids uuid[])
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'orders', private.digest_orders(p_order_ids),
    'objects', (
      select jsonb_object_agg(f ->> 'id', private.digest_object(f))
      from jsonb_array_elements(coalesce(p_facts, '[]')) f
      where private.digest_object(f) is not null
    )
  )
$function$;
comment on function private.digest_facts(p_facts jsonb, p_order_ids uuid[]) is 'State of the rows that facts are about, and of their orders.';


CREATE OR REPLACE FUNCTION private.digest_object(p_fact jsonb)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select case p_fact ->> 'fact'
    when 'checkout_session' then (
      select jsonb_build_object(
        'status', s.status, 'payment_status', s.payment_status, 'amount_total', s.amount_total
      )
      from public.checkout_sessions s where s.id = p_fact ->> 'id'
    )
    when 'payment' then (
      select jsonb_build_object('status', p.status, 'amount_received', p.amount_received)
      from public.payments p where p.id = p_fact ->> 'id'
    )
    when 'payment_attempt' then (
      select jsonb_build_object('outcome', a.outcome)
      from public.payment_attempts a where a.id = p_fact ->> 'id'
    )
    when 'refund' then (
      select jsonb_build_object('status', r.status, 'amount', r.amount)
      from public.refunds r where r.id = p_fact ->> 'id'
    )
    when 'dispute' then (
      select jsonb_build_object('status', d.status, 'amount', d.amount, 'evidence_due_by', d.evidence_due_by)
      from public.disputes d where d.id = p_fact ->> 'id'
    )
    when 'fraud_signal' then (
      select jsonb_build_object('open', f.open)
      from public.fraud_signals f where f.source_id = p_fact ->> 'id'
    )
  end
$function$;
comment on function private.digest_object(p_fact jsonb) is 'What matters of the row of a fact, for the drift log; null when there is none.';


CREATE OR REPLACE FUNCTION private.digest_orders(p_order_ids uuid[])
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select jsonb_object_agg(o.number, jsonb_build_object(
    'status', o.status, 'fulfillment_status', o.fulfillment_status, 'amount_paid', o.amount_paid,
    'amount_refunded', o.amount_refunded, 'session_id', o.session_id, 'payment_id', o.payment_id,
    'stock', (
      select jsonb_agg(distinct r.status) from public.inventory_reservations r where r.order_id = o.id
    ),
    'disputes', (select jsonb_object_agg(d.id, d.status) from public.disputes d where d.order_id = o.id),
    'refunds', (select jsonb_object_agg(f.id, f.status) from public.refunds f where f.order_id = o.id)
  ))
  from public.orders o
  where o.id = any (p_order_ids)
$function$;
comment on function private.digest_orders(p_order_ids uuid[]) is 'What matters of orders, by number, for the drift log. No personal data.';


CREATE OR REPLACE FUNCTION private.dispute_holds(d disputes, p_payment_id text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select d.status not in ('won', 'warning_closed', 'prevented', 'lost')
    -- Of a second payment the customer has got back what was theirs; the one that the order keeps is as
    -- good as before.
    or (d.status = 'lost' and d.payment_id = p_payment_id)
$function$;
comment on function private.dispute_holds(d disputes, p_payment_id text) is 'Whether a dispute keeps its order from shipping: while it is open, and when the payment that the order keeps (p_payment_id) was lost to it.';
grant execute on function private.dispute_holds(d disputes, p_payment_id text) to authenticated;
grant execute on function private.dispute_holds(d disputes, p_payment_id text) to service_role;


CREATE OR REPLACE FUNCTION private.earlier_orders(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select coalesce(jsonb_agg(to_jsonb(e) order by e.paid_at desc), '[]')
  from (
    select b.number, b.paid_at, b.amount_paid, b.currency, p.charge_id, b.email,
      host(b.purchase_ip) as purchase_ip, b.shipping_address,
      c.user_id, b.fulfilled_at,
      floor(extract(epoch from o.paid_at - b.paid_at) / 86400)::integer as days_before,
      coalesce(b.purchase_ip = o.purchase_ip, false) as same_ip,
      coalesce(b.shipping_address = o.shipping_address, false) as same_address,
      coalesce(c.user_id is not null and b.customer_id = o.customer_id, false) as same_account,
      (
        select string_agg(i.quantity || ' × ' || i.name, ', ' order by i.sku collate "C")
        from public.order_items i where i.order_id = b.id
      ) as description
    from public.orders o
    join public.orders b on b.id <> o.id and b.paid_at < o.paid_at and b.livemode = o.livemode
      and (b.customer_id = o.customer_id or lower(b.email) = lower(o.email))
    join public.payments p on p.id = b.payment_id
    left join public.customers c on c.id = b.customer_id
    where o.id = p_order_id and b.status = 'paid' and p.charge_id is not null
      and not exists (select 1 from public.disputes d where d.order_id = b.id)
      and not exists (
        select 1 from public.fraud_signals f where f.order_id = b.id and f.kind = 'early_fraud_warning'
      )
    order by b.paid_at desc
    limit 20
  ) e
$function$;
comment on function private.earlier_orders(p_order_id uuid) is 'Orders that the buyer of an order (by account or e-mail address) paid before it, kept, and did not dispute; what they have in common with it is marked.';


CREATE OR REPLACE FUNCTION private.effect_name(p_dedupe_key text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select regexp_replace(p_dedupe_key, ':\d+$', '')
$function$;
comment on function private.effect_name(p_dedupe_key text) is 'What a job is for: its dedupe_key without the time that makes each round of a recurring job one of its own. Staff are told once of what fails round after round.';


CREATE OR REPLACE FUNCTION private.email_key(p_email text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  -- shop+1@gmail.com, s.hop@googlemail.com and shop@gmail.com reach one mailbox.
  select case when split_part(a.address, '@', 2) in ('gmail.com', 'googlemail.com')
    then replace(split_part(split_part(a.address, '@', 1), '+', 1), '.', '') || '@gmail.com'
    else split_part(split_part(a.address, '@', 1), '+', 1) || '@' || split_part(a.address, '@', 2)
  end
  from (select lower(trim(p_email)) as address) a
  where a.address like '%_@_%'
$function$;
comment on function private.email_key(p_email text) is 'The mailbox behind an address: lower case, without +tags, without Gmail''s dots. Null for what is no address.';


CREATE OR REPLACE FUNCTION private.end_pages(p_rule private.velocity_rules, p_key text, o orders, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- Stripe keeps no payment page open for longer.
  c_page_life constant interval := '1 day';
  v_asked integer := case p_rule.action when 'block' then 3 when 'require_challenge' then 2 else 1 end;
  v_page record;
begin
  for v_page in
    with refused as materialized (
      -- Of a rule that asks for more, only pages whose own buyer was refused: the rest has done nothing.
      select distinct r.id, r.customer_id
      from private.subject_attempts(
        p_rule.subject, p_key, o.livemode, p_at - make_interval(secs => p_rule.window_seconds)
      ) a
      join public.orders r on r.id = a.order_id
      where p_rule.action <> 'block' and a.outcome in ('failed', 'blocked')
        and not exists (
          select 1 from public.orders p where p.customer_id = r.customer_id and p.paid_at is not null
        )
    ), theirs as materialized (
      select x.id from private.subject_orders(p_rule.subject, p_key, o.livemode, p_at - c_page_life) x
      where p_rule.action = 'block'
    )
    select s.id, s.order_id
    from public.checkout_sessions s
    join public.orders other on other.id = s.order_id
    join public.order_risk k on k.order_id = other.id
    where s.status = 'open' and other.paid_at is null
      and private.three_d_secure_rank(k.three_d_secure) < v_asked and (
      other.id = o.id
      or other.id in (select t.id from theirs t)
      or exists (select 1 from refused r where r.id = other.id or r.customer_id = other.customer_id)
    )
    order by s.id
  loop
    update public.checkout_sessions set closing_at = now() where id = v_page.id and closing_at is null;
    perform private.enqueue_job(
      'expire_checkout_session', 'expire_checkout_session:velocity:' || v_page.id,
      jsonb_build_object('session_id', v_page.id, 'order_id', v_page.order_id), now(), 10
    );
  end loop;
end;
$function$;
comment on function private.end_pages(p_rule private.velocity_rules, p_key text, o orders, p_at timestamp with time zone) is 'Has the payment pages of a hit ended: with action block all of the subject, else those of refused buyers that ask less of the card than the rule does, the page of o among them. No door leads to them from now on.';


CREATE OR REPLACE FUNCTION private.enqueue_job(p_kind text, p_dedupe_key text, p_payload jsonb, p_run_at timestamp with time zone DEFAULT now(), p_priority integer DEFAULT 100, p_max_attempts integer DEFAULT NULL::integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  insert into private.jobs (kind, dedupe_key, payload, run_at, priority, max_attempts)
  values (
    p_kind, p_dedupe_key, p_payload, p_run_at, p_priority,
    coalesce(p_max_attempts, (select k.max_attempts from private.job_kinds k where k.kind = p_kind), 12)
  )
  on conflict on constraint jobs_dedupe_key_key do nothing;
  return found;
end;
$function$;
comment on function private.enqueue_job(p_kind text, p_dedupe_key text, p_payload jsonb, p_run_at timestamp with time zone, p_priority integer, p_max_attempts integer) is 'Queues an effect unless one with this dedupe_key was ever queued. Returns whether it is new. Lower p_priority runs first; p_max_attempts null: the kind''s limit.';


CREATE OR REPLACE FUNCTION private.enter_checkout(p_order_id uuid, p_velocity_mode text, p_client_ip text, p_supersede boolean, p_reopen boolean, p_session_seconds integer, p_hold_seconds integer)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  o public.orders;
  v_risk jsonb;
  v_raised boolean;
begin
  select * into o from public.orders where id = p_order_id for no key update;
  if o.session_id is not null or o.status = 'processing' or o.cancelled_at is not null
    or o.erased_at is not null then
    -- Leads to no payment page.
    return private.checkout_snapshot(o.id, 'existing');
  end if;
  v_risk := private.admit_checkout(o, p_velocity_mode, p_client_ip, p_supersede);
  if v_risk ? 'outcome' then
    return v_risk;
  end if;
  v_raised := private.three_d_secure_rank(v_risk ->> 'three_d_secure')
    > private.three_d_secure_rank((private.risk_of(o.id)).three_d_secure);
  update public.order_risk set
    velocity_mode = case when p_reopen then p_velocity_mode else velocity_mode end,
    three_d_secure = v_risk ->> 'three_d_secure'
  where order_id = o.id and (p_reopen or v_raised);
  if p_reopen then
    perform private.reopen_checkout(o.id, p_session_seconds, p_hold_seconds);
  end if;
  perform private.record_velocity_hits(v_risk, o.id);
  return private.checkout_snapshot(o.id, 'existing');
end;
$function$;
comment on function private.enter_checkout(p_order_id uuid, p_velocity_mode text, p_client_ip text, p_supersede boolean, p_reopen boolean, p_session_seconds integer, p_hold_seconds integer) is 'The one way to the payment page of an order that exists: repeats, resumed and restarted attempts all pass the velocity rules here. p_reopen: begin a new attempt. Outcomes: existing, superseded, velocity_exceeded.';


CREATE OR REPLACE FUNCTION private.erase_digests(p_email text, p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  -- Hits that stopped a checkout belong to no order: they are known by the digest of whom they stopped.
  delete from public.fraud_signals f
  where f.kind = 'velocity' and f.order_id is null and f.data ->> 'subject_digest' in (
    select left(private.keyed_digest(k), 16)
    from (
      select private.email_key(p_email) as k
      union select text(n.network)
      from public.orders o cross join lateral private.address_keys(o.purchase_ip) n
      where o.id = any (p_order_ids)
    ) keys
    where k is not null
  );
  delete from private.rate_limits l using public.orders o
  where o.id = any (p_order_ids) and l.key like '%' || host(o.purchase_ip) || '%';
end;
$function$;
comment on function private.erase_digests(p_email text, p_order_ids uuid[]) is 'Removes the counters that are kept under a digest of an e-mail address, or under the network addresses of orders.';


CREATE OR REPLACE FUNCTION private.erase_events(p_order_ids uuid[], p_stripe_ids text[], p_email text, p_pattern text)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_ids text[] := array(
    select s.id from public.checkout_sessions s where s.order_id = any (p_order_ids)
    union all select p.id from public.payments p where p.order_id = any (p_order_ids)
    union all select a.id from public.payment_attempts a where a.order_id = any (p_order_ids)
    union all select r.id from public.refunds r where r.order_id = any (p_order_ids)
    union all select d.id from public.disputes d where d.order_id = any (p_order_ids)
    union all select f.source_id from public.fraud_signals f where f.order_id = any (p_order_ids)
  ) || p_stripe_ids;
  v_count integer;
begin
  -- Of one that is still to be applied, what it says of money is needed.
  update public.webhook_events e set payload = case
    when e.status in ('processed', 'ignored') and e.next_attempt_at is null then '{"erased": true}'
    else private.redact(e.payload, p_pattern)
  end
  where not e.payload ? 'erased' and (
    e.payload #>> '{data,object,id}' = any (v_ids)
    or e.payload #>> '{data,object,payment_intent}' = any (v_ids)
    or e.payload #>> '{data,object,charge}' = any (v_ids)
    -- By address alone: a household shares its name, street and phone.
    or (
      e.payload::text ilike '%' || p_email || '%' and e.payload::text ~* private.words_pattern(array[p_email])
    )
  );
  get diagnostics v_count = row_count;
  return v_count;
end;
$function$;
comment on function private.erase_events(p_order_ids uuid[], p_stripe_ids text[], p_email text, p_pattern text) is 'Empties the stored payloads of events about these orders, these Stripe customers, or with this address, ours or not, dead ones too; from one that is still to be applied it takes what the pattern finds. Returns how many.';


CREATE OR REPLACE FUNCTION private.erase_orders(p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  update public.checkout_sessions s set
    email = null, name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, url = null, version = private.without_digest(s.version),
    contact_version = private.without_digest(s.contact_version)
  where s.order_id = any (p_order_ids);
  update public.payment_attempts a
  set card_fingerprint = null, receipt_url = null, version = private.without_digest(a.version)
  where a.order_id = any (p_order_ids);
  update public.fraud_signals f set data = f.data - 'subject_digest'
  where f.order_id = any (p_order_ids) and f.data ? 'subject_digest';
  update public.notifications n set recipient = null where n.order_id = any (p_order_ids);
  update public.orders o set
    email = null, customer_name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, purchase_ip = null, user_agent = null, idempotency_key = null,
    erased_at = coalesce(o.erased_at, now())
  where o.id = any (p_order_ids);
end;
$function$;
comment on function private.erase_orders(p_order_ids uuid[]) is 'Takes the personal data out of orders and of all that hangs on them. Amounts, ids, card brand and last four digits stay: bookkeeping law wants them. The caller has locked the orders.';


CREATE OR REPLACE FUNCTION private.erase_own_texts(p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  update public.staff_commands c set args = c.args - '{reason,note}'::text[]
  where c.order_id = any (p_order_ids) and c.args ?| array['reason', 'note'];
  update private.jobs j set
    payload = j.payload || jsonb_build_object('note', null)
      || case when j.payload ->> 'reason' in ('duplicate', 'fraudulent', 'requested_by_customer')
        then '{}' else jsonb_build_object('reason', null) end,
    last_error = case when j.last_error is not null then '[erased]' end
  where (j.payload ?| array['note', 'reason'] or j.last_error is not null) and (
    j.payload ->> 'order_id' = any (p_order_ids::text[])
    or j.payload ->> 'dispute_id' in (select d.id from public.disputes d where d.order_id = any (p_order_ids))
    or j.payload ->> 'notification_id' in (
      select n.id::text from public.notifications n where n.order_id = any (p_order_ids)
    )
  );
end;
$function$;
comment on function private.erase_own_texts(p_order_ids uuid[]) is 'Removes what staff wrote about orders, and what providers said of their jobs: it may name the buyer in any way.';


CREATE OR REPLACE FUNCTION private.erase_person(p_email text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_email text := lower(btrim(p_email));
  v_order_ids uuid[];
  v_customer_ids uuid[];
  v_stripe_ids text[];
  v_words record;
  v_modes boolean[];
  v_count jsonb;
  v_order_id uuid;
begin
  v_order_ids := array(
    select o.id from public.orders o where lower(o.email) = v_email
    union select s.order_id from public.checkout_sessions s where lower(s.email) = v_email
    union select n.order_id from public.notifications n where lower(n.recipient) = v_email
  );
  v_customer_ids := array(
    select c.id from public.customers c where lower(c.email) = v_email
    -- The row of a guest is that of their orders, whatever address it has by now.
    or (
      c.user_id is null and c.id in (select o.customer_id from public.orders o where o.id = any (v_order_ids))
    )
  );
  v_order_ids := array(
    select o.id from public.orders o where o.id = any (v_order_ids) or o.customer_id = any (v_customer_ids)
    order by o.id for no key update
  );
  v_stripe_ids := array(
    select c.stripe_customer_id from public.customers c where c.id = any (v_customer_ids)
    union select s.stripe_customer_id from public.checkout_sessions s where s.order_id = any (v_order_ids)
    union select c.id from private.stripe_customers c where lower(c.email) = v_email
    -- An account that used this address on one order keeps its own customer.
    except select c.stripe_customer_id from public.customers c where not c.id = any (v_customer_ids)
    except select null
  );
  perform private.refuse_disputed(v_order_ids);
  v_modes := array(
    select o.livemode from public.orders o where o.id = any (v_order_ids)
    union select c.livemode from public.customers c where c.id = any (v_customer_ids)
  );
  select w.anywhere, w.own into v_words
  from private.words_of_person(v_email, v_order_ids, v_customer_ids, v_stripe_ids) w;

  v_count := jsonb_build_object(
    'orders', cardinality(v_order_ids), 'customers', cardinality(v_customer_ids),
    'stripe_customers', cardinality(v_stripe_ids),
    'events', private.erase_events(v_order_ids, v_stripe_ids, v_email, v_words.own)
  );
  perform private.erase_own_texts(v_order_ids);
  v_count := v_count || jsonb_build_object(
    'texts', private.redact_texts(v_words.anywhere) + private.redact_texts(v_words.own, v_order_ids)
  );
  if not exists (select 1 from jsonb_each(v_count) c where c.value <> '0') then
    return v_count;
  end if;
  perform private.erase_digests(v_email, v_order_ids);
  update public.orders o set cancelled_at = coalesce(o.cancelled_at, now())
  where o.id = any (v_order_ids) and o.status = 'pending';
  perform private.erase_orders(v_order_ids);
  perform private.erase_stripe_customers(v_stripe_ids, coalesce(v_modes[1], false));
  update public.customers c
  set email = null, name = null, stripe_customer_id = null,
    stripe_deleted_at = coalesce(c.stripe_deleted_at, now())
  where c.id = any (v_customer_ids);
  foreach v_order_id in array v_order_ids loop
    perform private.settle_order(v_order_id, 'staff');
  end loop;
  return v_count;
end;
$function$;
comment on function private.erase_person(p_email text) is 'Removes a person from everything that is known under an e-mail address, and ends their open payment pages. What comes later about their orders is stored without them. Returns counts; all of them 0: nobody is known, and nothing was changed. KCINV: a dispute needs the data.';


CREATE OR REPLACE FUNCTION private.erase_stripe_customers(p_ids text[], p_livemode boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  insert into private.stripe_customers as c (id, livemode, version, deleted_at, erased_at)
  select x.id, p_livemode, '', now(), now() from unnest(p_ids) as x (id)
  on conflict (id) do update set
    email = null, name = null, version = private.without_digest(c.version),
    -- It will be: until then no checkout must name it again.
    deleted_at = coalesce(c.deleted_at, now()), erased_at = coalesce(c.erased_at, now());
  perform private.enqueue_job(
    'delete_stripe_customer', 'delete_stripe_customer:' || x.id,
    jsonb_build_object('stripe_customer_id', x.id)
  ) from unnest(p_ids) as x (id);
end;
$function$;
comment on function private.erase_stripe_customers(p_ids text[], p_livemode boolean) is 'Notes Stripe customers as erased, and has Stripe''s own copy deleted by a job.';


CREATE OR REPLACE FUNCTION private.error_text(p_sqlstate text, p_message text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select p_sqlstate || ' ' || case
    when p_sqlstate like 'KC%' then p_message
    else regexp_replace(p_message, '(: |\mvalue )".*"', '\1"***"')
  end
$function$;
comment on function private.error_text(p_sqlstate text, p_message text) is 'An error of the database as it may be stored and logged: without the value that it was about. Twin of valueless() in _shared/errors.ts.';


CREATE OR REPLACE FUNCTION private.find_checkout(p_idempotency_key text, p_lines jsonb, p_email text, p_superseded jsonb, p_client_ip inet)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- 'guest:' and what can still be guessed: a UUID has 36 characters.
  c_guessable constant integer := 6 + 16;
  o public.orders;
begin
  select * into o from public.orders where idempotency_key = p_idempotency_key for no key update;
  if not found then
    return null;
  end if;
  -- Compared as asked for, not as priced: a price change meanwhile is not another cart. A guest's address is
  -- part of it (none, too), and of a key that can be guessed the network: a key that two guests happen to
  -- share, or that somebody tries, does not show one the other's payment page.
  if p_lines is distinct from private.order_lines(o.id)
    or (p_idempotency_key like 'guest:%' and o.session_id is null
      and lower(o.email) is distinct from lower(p_email))
    or (p_idempotency_key like 'guest:%' and length(p_idempotency_key) < c_guessable
      and private.address_key(o.purchase_ip) is distinct from private.address_key(p_client_ip)) then
    raise exception 'this Idempotency-Key was used for another cart' using errcode = 'KCIDC';
  end if;
  if o.cancelled_at is not null then
    raise exception 'this order has been cancelled' using errcode = 'KCSTA';
  elsif o.status in ('expired', 'payment_failed') then
    if p_superseded is not null then
      return jsonb_build_object('outcome', 'superseded', 'session_ids', p_superseded);
    end if;
    return jsonb_build_object('outcome', 'ended', 'order_id', o.id);
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$function$;
comment on function private.find_checkout(p_idempotency_key text, p_lines jsonb, p_email text, p_superseded jsonb, p_client_ip inet) is 'The order that an Idempotency-Key made before, or null. ended: it has expired or failed and can be opened again. superseded: it can, once other pages of the shopper (p_superseded) are closed. p_lines as of asked_lines(). KCIDC: the key belongs to another cart. KCSTA: staff have cancelled the order.';


CREATE OR REPLACE FUNCTION private.finish_job(p_job_id bigint, p_lease_id uuid, p_outcome text, p_reason text, p_run_at timestamp with time zone, p_alert text)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_job private.jobs;
  v_name text;
  v_run_at timestamptz;
begin
  select * into v_job from private.jobs
  where id = p_job_id and status = 'running' and lease_id = p_lease_id
  for update;
  if not found then
    return null;
  end if;
  v_name := private.effect_name(v_job.dedupe_key);
  if p_outcome in ('done', 'discard') then
    update private.jobs
    set status = case p_outcome when 'done' then 'done' else 'discarded' end, lost_leases = 0,
        lease_id = null, leased_until = null, finished_at = now(), last_error = p_reason
    where id = p_job_id
    returning * into v_job;
    -- Brought back from the dead, or the next round of it, and well: staff need not look any more.
    update public.alerts set status = 'resolved'
    where status <> 'resolved' and dedupe_key in (
      'job_dead:' || v_name,
      case when p_alert is null then 'job_discarded:' || v_name end,
      -- One of the kind got through: what held them is gone.
      case when p_outcome = 'done' then 'job_blocked:' || v_job.kind end
    );
    update private.jobs set status = 'discarded'
    where status = 'dead' and kind = v_job.kind and private.effect_name(dedupe_key) = v_name;
  elsif p_outcome = 'retry' and v_job.attempts >= v_job.max_attempts then
    perform private.bury_job(p_job_id, p_reason);
    v_job.status := 'dead';
  elsif p_outcome in ('retry', 'snooze') then
    v_run_at := coalesce(p_run_at, now() + private.backoff(v_job.attempts, v_job.kind));
    update private.jobs
    set status = 'queued', lost_leases = 0, lease_id = null, leased_until = null, run_at = v_run_at,
      last_error = p_reason,
        -- A snooze is not a failure: it costs no attempt.
        attempts = attempts - case p_outcome when 'snooze' then 1 else 0 end
    where id = p_job_id
    returning * into v_job;
    if v_job.kind = 'retry_event' then
      update public.webhook_events set next_attempt_at = v_run_at
      where id = v_job.payload ->> 'event_id' and status = 'failed';
    end if;
  else
    raise exception 'unknown job outcome %', p_outcome using errcode = 'KCINV';
  end if;
  if v_job.kind = 'refund_payment' and v_job.status <> 'dead'
    and private.note_refund_outcome(v_job, p_reason, p_alert) then
    return v_job.status;
  end if;
  if p_alert is not null and v_job.status = 'queued' then
    perform private.raise_alert(
      'job_blocked', p_alert, 'job_blocked:' || v_job.kind,
      jsonb_build_object('job_id', v_job.id, 'kind', v_job.kind, 'reason', p_reason)
    );
  elsif p_alert is not null and v_job.status <> 'dead' then
    perform private.raise_alert(
      'job_discarded', p_alert, 'job_discarded:' || v_name,
      jsonb_build_object('job_id', v_job.id, 'kind', v_job.kind, 'reason', p_reason)
    );
  end if;
  return v_job.status;
end;
$function$;
comment on function private.finish_job(p_job_id bigint, p_lease_id uuid, p_outcome text, p_reason text, p_run_at timestamp with time zone, p_alert text) is 'Ends the lease of a job: done, discard, retry (backoff unless p_run_at is given; dead after the last attempt) or snooze (no attempt used). p_alert: severity with which staff are told. Returns the new status; null: the lease was lost and nothing changed. KCINV: unknown outcome.';


CREATE OR REPLACE FUNCTION private.follow_alert(p_dedupe_key text, p_wanted boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  update public.alerts a set
    status = case when p_wanted then 'open' else 'resolved' end,
    data = case when p_wanted then a.data - 'over' else a.data || '{"over": true}' end
  where a.dedupe_key = p_dedupe_key
    and case when p_wanted then a.status = 'resolved' and a.data ? 'over' else a.status <> 'resolved' end;
end;
$function$;
comment on function private.follow_alert(p_dedupe_key text, p_wanted boolean) is 'Closes an alert whose cause is gone, and opens it again, without another message, when the cause is back: so it ends the same in any order of events. What staff have resolved stays resolved.';


CREATE OR REPLACE FUNCTION private.forget_unpaid_orders(p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_order_ids uuid[] := array(
    select o.id from public.orders o
    where o.paid_at is null and o.erased_at is null and o.status in ('expired', 'payment_failed', 'cancelled')
      and o.created_at < now() - private.retention('unpaid')
      and not exists (
        select 1 from public.payments p where p.order_id = o.id and p.status in ('processing', 'succeeded')
      )
    order by o.created_at
    limit p_limit
    for no key update skip locked
  );
begin
  perform private.erase_own_texts(v_order_ids);
  perform private.erase_orders(v_order_ids);
  return cardinality(v_order_ids);
end;
$function$;
comment on function private.forget_unpaid_orders(p_limit integer) is 'Takes the personal data out of up to p_limit orders that ended unpaid longer than retention_unpaid_days ago: no law wants them kept.';


CREATE OR REPLACE FUNCTION private.fraud_reasons(p_order_id uuid)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(distinct
    case
      f.kind
      when 'early_fraud_warning' then 'early_fraud_warning'
      when 'review' then 'radar_review'
      else 'velocity_review'
    end
  ), '{}')
  from public.fraud_signals f
  where f.order_id = p_order_id and private.holds_order(f)
$function$;
comment on function private.fraud_reasons(p_order_id uuid) is 'Fraud holds of an order: see holds_order().';


CREATE OR REPLACE FUNCTION private.freeze_velocity_rules()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_rules jsonb := (
    select coalesce(jsonb_agg(to_jsonb(r) - '{description,updated_at}'::text[] order by r.name), '[]')
    from private.velocity_rules r
    where r.enabled and r.subject in ('card', 'shipping_address')
  );
  v_digest text := md5(v_rules::text);
  v_id bigint;
begin
  select id into v_id from private.velocity_rule_sets where digest = v_digest;
  if v_id is null then
    insert into private.velocity_rule_sets (digest, rules) values (v_digest, v_rules)
    on conflict on constraint velocity_rule_sets_digest_key do update set digest = excluded.digest
    returning id into v_id;
  end if;
  return v_id;
end;
$function$;
comment on function private.freeze_velocity_rules() is 'The row of velocity_rule_sets with today''s rules on card and delivery address.';


CREATE OR REPLACE FUNCTION private.has_scheduler()
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select to_regprocedure('cron.schedule(text,text,text)') is not null
    and exists (
      select 1
      from pg_catalog.pg_proc p where p.pronamespace = to_regnamespace('net') and p.proname = 'http_post'
    )
    and to_regclass('vault.decrypted_secrets') is not null
$function$;
comment on function private.has_scheduler() is 'True where pg_cron, pg_net and Vault are installed.';


CREATE OR REPLACE FUNCTION private.hash_lines(p_lines jsonb, p_currency text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select left(encode(sha256(convert_to(
    p_currency || ';'
      || string_agg(l.variant_id || 'x' || l.quantity || '@' || l.unit_amount, ';' order by l.variant_id),
    'UTF8'
  )), 'hex'), 32)
  from jsonb_to_recordset(p_lines) as l (variant_id uuid, quantity integer, unit_amount bigint)
$function$;
comment on function private.hash_lines(p_lines jsonb, p_currency text) is 'Hash of lines (variant, quantity, price) and currency. It goes into the session''s metadata and must come back unchanged. By variant: two SKUs may be swapped while an order waits.';


CREATE OR REPLACE FUNCTION private.hash_of_order(p_order_id uuid)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select private.hash_lines(
    jsonb_agg(jsonb_build_object(
      'variant_id', i.variant_id, 'quantity', i.quantity, 'unit_amount', i.unit_amount
    )),
    o.currency
  )
  from public.orders o join public.order_items i on i.order_id = o.id
  where o.id = p_order_id
  group by o.id
$function$;
comment on function private.hash_of_order(p_order_id uuid) is 'hash_lines() of the lines that an order has now.';


CREATE OR REPLACE FUNCTION private.hold_reasons(o orders)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select array_remove(array[
    case when o.status = 'needs_review' then 'review' end,
    case when exists (
      select 1 from public.disputes d
      where d.order_id = o.id and private.dispute_holds(d, o.payment_id)
    ) then 'dispute' end,
    case when o.amount_paid > o.amount_refunded and (
      exists (
        select 1 from public.refund_requests q
        where q.payment_id = o.payment_id and q.status = 'queued' and q.amount is null
      )
      or o.amount_paid <= (
        select coalesce(sum(r.amount), 0) from public.refunds r
        where r.payment_id = o.payment_id and r.status not in ('failed', 'canceled')
      )
    ) then 'refund_under_way' end,
    case when exists (
      select 1 from public.refunds r
      where r.payment_id = o.payment_id and r.status in ('failed', 'canceled') and r.released_at is null
        and o.amount_paid <= r.amount + (
          select coalesce(sum(live.amount), 0) from public.refunds live
          where live.payment_id = o.payment_id and live.status not in ('failed', 'canceled')
        )
        and not private.refund_tried_again(r)
    ) then 'refund_failed' end,
    case when exists (
      select 1 from public.refund_requests q
      where q.payment_id = o.payment_id and q.amount is null and private.refund_is_owed(q)
    ) then 'refund_refused' end
  ], null)
$function$;
comment on function private.hold_reasons(o orders) is 'What keeps an order that has not shipped from shipping: review; dispute (see dispute_holds()); refund_under_way (all of its money); refund_failed (all of its money was to go back, bounced, and nobody has tried again or released the order); refund_refused (the same of a refund that Stripe does not take).';
grant execute on function private.hold_reasons(o orders) to authenticated;
grant execute on function private.hold_reasons(o orders) to service_role;


CREATE OR REPLACE FUNCTION private.holding_orders(p_subject text, p_key text)
 RETURNS SETOF uuid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  case p_subject
    when 'address' then
      return query select o.id from public.orders o
        where o.status in ('pending', 'processing')
          and private.address_key(o.purchase_ip, 48) = private.address_key(p_key::inet, 48)
          and o.purchase_ip <<= p_key::inet;
    when 'email' then
      return query select o.id from public.orders o
        where o.status in ('pending', 'processing') and private.email_key(o.email) = p_key;
    when 'user' then
      return query select o.id from public.orders o join public.customers c on c.id = o.customer_id
        where o.status in ('pending', 'processing') and c.user_id = p_key::uuid;
  end case;
end;
$function$;
comment on function private.holding_orders(p_subject text, p_key text) is 'Unpaid orders of a subject of the velocity rules that may hold stock.';


CREATE OR REPLACE FUNCTION private.holds_order(f fraud_signals)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select f.released_at is null and case f.kind
    when 'early_fraud_warning' then f.was_actionable
    when 'review' then f.open
    else f.open and f.data ->> 'action' = 'review'
  end
$function$;
comment on function private.holds_order(f fraud_signals) is 'Whether a sign of fraud holds its order: an early fraud warning, an open Radar review, a velocity rule with action review, that staff have not released.';


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


CREATE OR REPLACE FUNCTION private.is_card_number(p_digits text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
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
$function$;
comment on function private.is_card_number(p_digits text) is 'Whether digits are a card number by issuer prefix, length and check digit. The twin of isCardNumber() in _shared/text/card_numbers.ts.';


CREATE OR REPLACE FUNCTION private.is_erased(p_fact jsonb, p_order_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  return exists (select 1 from public.orders o where o.id = p_order_id and o.erased_at is not null)
    or (p_fact ->> 'fact' = 'customer' and exists (
      select 1 from private.stripe_customers c where c.id = p_fact ->> 'id' and c.erased_at is not null
    ));
end;
$function$;
comment on function private.is_erased(p_fact jsonb, p_order_id uuid) is 'Whether a fact is about an order or a Stripe customer that has been erased.';


CREATE OR REPLACE FUNCTION private.is_newer_version(p_version text, p_than text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  -- Versions begin with their date; what has none (thin events, none) is older than all.
  select coalesce(substring(p_version from '^\d{4}-\d{2}-\d{2}'), '') collate "C"
    > coalesce(substring(p_than from '^\d{4}-\d{2}-\d{2}'), '') collate "C"
$function$;
comment on function private.is_newer_version(p_version text, p_than text) is 'Whether an API version is newer than another.';


CREATE OR REPLACE FUNCTION private.is_outage(p_failure_code text, p_decline_code text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select coalesce(c.codes && array[
    'processing_error', 'issuer_not_available', 'try_again_later', 'reenter_transaction',
    'payment_method_provider_timeout'
  ], false)
  from (select array_remove(array[lower(p_failure_code), lower(p_decline_code)], null) as codes) c
$function$;
comment on function private.is_outage(p_failure_code text, p_decline_code text) is 'Whether a refusal says that the bank, the network or the processor was away, and nothing about the shopper or the card.';


CREATE OR REPLACE FUNCTION private.is_released(o orders, p_reason text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select exists (
    select 1 from private.released_mismatches m
    where m.order_id = o.id and m.session_id = o.session_id and m.reason = p_reason
  )
$function$;
comment on function private.is_released(o orders, p_reason text) is 'Whether staff have released this mismatch of the money that the order keeps.';


CREATE OR REPLACE FUNCTION private.is_vouched_for(p_user_id uuid, p_email text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select exists (
    select 1 from auth.identities i
    where i.user_id = p_user_id
      -- Auth's own two say what Auth was told, and a company's directory (sso:) says what its owner likes.
      and i.provider not in ('email', 'phone') and i.provider not like 'sso:%'
      and lower(i.identity_data ->> 'email') = lower(p_email)
      and lower(i.identity_data ->> 'email_verified') = 'true'
  )
$function$;
comment on function private.is_vouched_for(p_user_id uuid, p_email text) is 'Whether a sign-in provider of this account has verified the address.';


CREATE OR REPLACE FUNCTION private.jobs_health()
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'status', private.worst_status(
      count(*) filter (where j.status = 'dead') > 0,
      min(j.run_at) filter (where j.status = 'queued') < now() - interval '15 minutes',
      -- Nobody calls retry-jobs any more: mail, refunds and repairs stand still.
      (select h.last_at from private.heartbeats h where h.name = 'retry_jobs') < now() - interval '10 minutes'
    ),
    'due', count(*) filter (where j.status = 'queued' and j.run_at <= now()),
    'running', count(*) filter (where j.status = 'running'),
    'dead', count(*) filter (where j.status = 'dead'),
    'oldest_due_seconds',
    coalesce(
      floor(
        extract(epoch from now() - min(j.run_at) filter (where j.status = 'queued' and j.run_at <= now()))
      ), 0
    ),
    'last_run_at', (select h.last_at from private.heartbeats h where h.name = 'retry_jobs')
  )
  from private.jobs j where j.status in ('queued', 'running', 'dead')
$function$;
comment on function private.jobs_health() is 'Health check jobs: the backlog, the dead, and whether anybody works at all.';


CREATE OR REPLACE FUNCTION private.judge_price()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
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
    where dedupe_key = 'unsellable_price:' || new.id and status <> 'resolved';
  end if;
  return null;
end;
$function$;
comment on function private.judge_price() is 'Trigger of product_variants: staff hear at once of a price that Stripe refuses, whichever way it came in; mended or retired, the alert closes.';


CREATE OR REPLACE FUNCTION private.kept_session(p_order_id uuid)
 RETURNS checkout_sessions
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  -- The one that was decided about; else free ones first, then by payment id: a rule over what every report
  -- of a paid session carries. So the choice among those known never falls on one that an earlier choice
  -- has passed over and refunded; nor does the decision, which is about the one kept then.
  select cs.*
  from public.checkout_sessions cs
  join public.orders o on o.id = cs.order_id
  left join public.payments p on p.id = cs.payment_id
  where cs.order_id = p_order_id and cs.status = 'complete'
    and (cs.payment_status in ('paid', 'no_payment_required') or p.status = 'succeeded')
  order by coalesce(cs.payment_id = o.decided_payment_id, false) desc,
    cs.payment_id collate "C" nulls first, cs.id collate "C"
  limit 1
$function$;
comment on function private.kept_session(p_order_id uuid) is 'The settled session whose payment an order keeps, or null. Any other settled payment of the order is refunded.';


CREATE OR REPLACE FUNCTION private.keyed_digest(p_text text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  v_key bytea := (select k.key from private.digest_keys k);
begin
  -- HMAC-SHA-256; the extension that has it is not everywhere.
  return encode(
    sha256(private.xor_key(v_key, 92) || sha256(private.xor_key(v_key, 54) || convert_to(p_text, 'UTF8'))),
    'hex'
  );
end;
$function$;
comment on function private.keyed_digest(p_text text) is 'HMAC-SHA-256 of a text under this database''s own key, in hexadecimal.';


CREATE OR REPLACE FUNCTION private.know_customer(p_id text, p_livemode boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  e record;
begin
  insert into private.stripe_customers (id, livemode, version)
  select p_id, p_livemode, '' where p_id is not null
  on conflict (id) do nothing;
  if not found then
    return;
  end if;
  -- What came before we knew that this is a customer of ours was not kept, except in the event that brought
  -- it.
  for e in
    select w.type = 'customer.deleted' as deleted, w.payload #> '{data,object}' as customer,
      w.stripe_created_at
    from public.webhook_events w
    where w.type in ('customer.updated', 'customer.deleted') and w.payload #>> '{data,object,id}' = p_id
      and w.livemode = p_livemode
  loop
    perform private.merge_customer(
      jsonb_build_object(
        'fact', 'customer', 'id', p_id, 'livemode', p_livemode, 'deleted', e.deleted,
        'email', case when not e.deleted then e.customer -> 'email' end,
        'name', case when not e.deleted then e.customer -> 'name' end
      ),
      e.stripe_created_at
    );
  end loop;
end;
$function$;
comment on function private.know_customer(p_id text, p_livemode boolean) is 'A session of ours names a Stripe customer: from now on its events are merged, and so are those that came before and are still stored.';


CREATE OR REPLACE FUNCTION private.knowledge(p_fact jsonb)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO ''
AS $function$
begin
  return (
    select lpad(count(*)::text, 3, '0')
    from jsonb_path_query(p_fact, 'strict $.**') as x (value)
    where jsonb_typeof(x.value) not in ('null', 'object', 'array')
  );
end;
$function$;
comment on function private.knowledge(p_fact jsonb) is 'How many fields of a fact say something, as three digits: of two translations of one event the fuller one wins.';


CREATE OR REPLACE FUNCTION private.largest_amount(p_currency text)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select case p_currency when 'idr' then 999999999999 else 99999999 end
$function$;
comment on function private.largest_amount(p_currency text) is 'The most that Stripe charges at once, in minor units: eight digits, twelve of rupiah.';


CREATE OR REPLACE FUNCTION private.last_delivery(p_livemode boolean)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select coalesce(max(e.delivered_at), '-infinity') from public.webhook_events e
  where e.livemode = p_livemode and e.delivered_at is not null
$function$;
comment on function private.last_delivery(p_livemode boolean) is 'When Stripe last delivered an event of this mode; -infinity: never.';


CREATE OR REPLACE FUNCTION private.limit_wait(p_limit integer, p_window_seconds integer, p_current integer, p_previous integer, p_elapsed numeric)
 RETURNS numeric
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select case
    -- There is room in this window as soon as enough of the last one has slid out.
    when p_current < p_limit then (
      1 - (p_limit - 1 - p_current)::numeric / p_previous - p_elapsed
    ) * p_window_seconds
    -- Only the next window has room, once enough of this one has slid out.
    else (1 - p_elapsed + greatest(0, 1 - (p_limit - 1)::numeric / p_current)) * p_window_seconds
  end
$function$;
comment on function private.limit_wait(p_limit integer, p_window_seconds integer, p_current integer, p_previous integer, p_elapsed numeric) is 'Seconds until a refused request fits. p_current and p_previous: requests taken in this window and the last; p_elapsed: how far this window has gone, 0 to 1.';


CREATE OR REPLACE FUNCTION private.link_payments(p_payment_ids text[])
 RETURNS uuid[]
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  p record;
  v_order_ids uuid[] := '{}';
begin
  for p in
    select pi.id, pi.order_id as before,
      -- Failed attempts too: what names only a charge may name any of them.
      array(select a.id from public.payment_attempts a where a.payment_id = pi.id)
        || pi.charge_id as charge_ids,
      coalesce(
      (select s.order_id from public.checkout_sessions s where s.payment_id = pi.id order by s.id limit 1),
      (select o.id from public.orders o where o.id = pi.metadata_order_id),
      pi.order_id
    ) as order_id
    from public.payments pi
    where pi.id = any (p_payment_ids)
  loop
    update public.payments x set order_id = p.order_id
    where x.id = p.id and x.order_id is distinct from p.order_id;
    update public.payment_attempts x set order_id = p.order_id
    where x.payment_id = p.id and x.order_id is distinct from p.order_id;
    update public.refunds x set order_id = p.order_id, payment_id = p.id
    where (x.payment_id = p.id or (x.payment_id is null and x.charge_id = any (p.charge_ids)))
      and (x.order_id is distinct from p.order_id or x.payment_id is null);
    update public.disputes x set order_id = p.order_id, payment_id = p.id
    where (x.payment_id = p.id or (x.payment_id is null and x.charge_id = any (p.charge_ids)))
      and (x.order_id is distinct from p.order_id or x.payment_id is null);
    update public.fraud_signals x set order_id = p.order_id, payment_id = p.id
    where (x.payment_id = p.id or (x.payment_id is null and x.charge_id = any (p.charge_ids)))
      and (x.order_id is distinct from p.order_id or x.payment_id is null);
    v_order_ids := v_order_ids || p.order_id || p.before;
  end loop;
  return v_order_ids;
end;
$function$;
comment on function private.link_payments(p_payment_ids text[]) is 'Gives payments their order (the session''s word before that of metadata), and to what hangs on them: attempts, refunds, disputes, signals, whichever came first. Returns the orders to settle.';


CREATE OR REPLACE FUNCTION private.lock_facts(p_facts jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_payment_id text;
begin
  -- A refund and the event that tells whose payment it is may run side by side: whoever comes second sees the
  -- first.
  for v_payment_id in
    select distinct private.payment_of_fact(f) as payment_id
    from jsonb_array_elements(p_facts) f order by payment_id
  loop
    if v_payment_id is not null then
      perform pg_advisory_xact_lock(hashtextextended('payment:' || v_payment_id, 0));
    end if;
  end loop;

  perform 1
  from public.orders o
  where o.id in (
    select private.order_of_fact(f) from jsonb_array_elements(p_facts) f
    union
    select p.order_id
    from jsonb_array_elements(p_facts) f join public.payments p on p.id = private.payment_of_fact(f)
    union
    select s.order_id from jsonb_array_elements(p_facts) f
    join public.checkout_sessions s on s.payment_id = private.payment_of_fact(f)
  )
  order by o.id
  for no key update;
end;
$function$;
comment on function private.lock_facts(p_facts jsonb) is 'Locks what facts may touch, in the one order that all use: payments (advisory), orders by id. Stock by variant comes after, in settle_order().';


CREATE OR REPLACE FUNCTION private.lock_order_by_number(p_order_number text)
 RETURNS orders
 LANGUAGE plpgsql
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


CREATE OR REPLACE FUNCTION private.lock_orders_of_refunds(p_job_ids bigint[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select 1 from public.orders o
  where o.id in (
    select q.order_id
    from private.jobs j join public.refund_requests q on q.id = j.payload ->> 'refund_request_id'
    where j.id = any (p_job_ids) and j.kind = 'refund_payment'
  )
  order by o.id
  for no key update
$function$;
comment on function private.lock_orders_of_refunds(p_job_ids bigint[]) is 'Locks the orders of refund jobs that are about to end, before the jobs: orders come first everywhere.';


CREATE OR REPLACE FUNCTION private.lost_checkouts(p_limit integer)
 RETURNS TABLE(order_id uuid, attempt integer, started_at timestamp with time zone, ended_at timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  -- Stripe makes no session that ends in less than 30 minutes. Five minutes after that moment no answer is
  -- under way any more, so what is not at Stripe then will never be.
  select o.id, o.attempt,
    coalesce(
      (
        select max(e.created_at)
        from public.order_events e where e.order_id = o.id and e.kind = 'checkout_reopened'
      ),
      o.created_at
    ),
    o.session_expires_at - interval '25 minutes'
  from public.orders o
  where o.status in ('pending', 'processing', 'cancelled')
    and o.session_expires_at < now() + interval '25 minutes'
    and o.abandoned_at is null and o.session_id is null
    and not exists (
      select 1 from public.checkout_sessions s where s.order_id = o.id and s.attempt = o.attempt
    )
  order by o.session_expires_at
  limit p_limit
$function$;
comment on function private.lost_checkouts(p_limit integer) is 'Orders whose current attempt has no session although none can be made any more: the answer was lost, or the call never happened. started_at and ended_at: when Stripe can have made it.';


CREATE OR REPLACE FUNCTION private.mail_recipient(o orders)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select case
    when o.email is null then null
    when o.mail_to_account then coalesce(
      (select c.email from public.customers c where c.id = o.customer_id), o.email
    )
    -- A guest's address as corrected at Stripe. An account's Stripe customer follows the account instead.
    else coalesce((
      select s.email from public.customers c join private.stripe_customers s on s.id = c.stripe_customer_id
      where c.id = o.customer_id and c.user_id is null
    ), o.email)
  end
$function$;
comment on function private.mail_recipient(o orders) is 'Whom a mail of this order goes to now: the account''s present address where the order went under the account''s own, a guest''s as corrected at Stripe, else the address typed on the payment page. Null: none is known, or the customer was erased.';


CREATE OR REPLACE FUNCTION private.mask_cards(p_text text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO ''
AS $function$
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
$function$;
comment on function private.mask_cards(p_text text) is 'A text with every card number reduced to its last four digits. The twin of maskCardNumbers() in _shared/text/card_numbers.ts.';


CREATE OR REPLACE FUNCTION private.mask_cards_in(p_value jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO ''
AS $function$
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
$function$;
comment on function private.mask_cards_in(p_value jsonb) is 'mask_cards() for every text in a JSON value, other than those under the name of an id.';


CREATE OR REPLACE FUNCTION private.mask_command()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  new.args := private.mask_cards_in(new.args);
  return new;
end;
$function$;
comment on function private.mask_command() is 'Trigger of staff_commands: a card number in a note, a reason or a tracking number is masked before anything is stored.';


CREATE OR REPLACE FUNCTION private.measure_holds(p_rule private.velocity_rules, p_key text, p_lines jsonb, p_order_id uuid, OUT o_value bigint, OUT o_until timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  v_held record;
begin
  -- The stock is one, whoever asks in which mode.
  select sum(h.quantity) as pieces, max(h.expires_at) as until,
    sum(h.quantity::numeric / greatest(coalesce(l.on_hand, 0), h.quantity)) as articles
  into v_held
  from (
    select x.variant_id, sum(x.quantity) as quantity, max(x.expires_at) as expires_at
    from (
      select r.variant_id, r.quantity, r.expires_at
      from private.holding_orders(p_rule.subject, p_key) o (id)
      join public.inventory_reservations r on r.order_id = o.id and r.status = 'active'
      where p_rule.subject <> 'shop' and o.id is distinct from p_order_id
      union all
      select v.variant_id, v.reserved, null from public.inventory_levels v
      where p_rule.subject = 'shop' and v.reserved > 0
      union all
      select w.variant_id, w.quantity, null
      from jsonb_to_recordset(p_lines) as w (variant_id uuid, quantity integer)
      where p_rule.subject <> 'shop'
    ) x
    group by x.variant_id
  ) h
  left join public.inventory_levels l on l.variant_id = h.variant_id;
  o_value := v_held.pieces;
  o_until := v_held.until;
  if p_rule.measure = 'held_share' and o_value is not null then
    -- By pieces or by articles: neither a pile of socks nor an empty rail of suits hides the other.
    o_value := case when o_value >= coalesce(p_rule.min_pieces, 1) then (
      select floor(100 * greatest(
        v_held.articles / greatest(count(*), 1), v_held.pieces / greatest(sum(l.on_hand), v_held.pieces)
      ))
      from public.inventory_levels l where l.on_hand > 0
    ) end;
  end if;
end;
$function$;
comment on function private.measure_holds(p_rule private.velocity_rules, p_key text, p_lines jsonb, p_order_id uuid, OUT o_value bigint, OUT o_until timestamp with time zone) is 'Measures held_pieces and held_share: what unpaid orders of a subject hold together with p_lines, [{ variant_id, quantity }] of the cart that asks; for the shop, what all of them hold. o_until: when the last hold runs out.';


CREATE OR REPLACE FUNCTION private.measure_velocity(p_rule private.velocity_rules, p_key text, p_amount bigint, p_currency text, p_livemode boolean, p_at timestamp with time zone, p_order_id uuid DEFAULT NULL::uuid, p_lines jsonb DEFAULT '[]'::jsonb, p_factor numeric DEFAULT 1)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  v_since timestamptz := p_at - make_interval(secs => p_rule.window_seconds);
  -- Attempts carry Stripe's clock, which is not quite ours.
  v_until timestamptz := p_at + interval '1 minute';
  v_threshold bigint := ceil(p_rule.threshold * p_factor);
  v_value bigint;
  v_times timestamptz[];
  -- What the rule lets go with, once it has left the window.
  v_oldest timestamptz;
  v_free_at timestamptz;
begin
  case p_rule.measure
    when 'disposable_email' then
      select count(*) into v_value from private.disposable_email_domains d
      where lower(split_part(p_key, '@', 2)) = d.domain
        or lower(split_part(p_key, '@', 2)) like '%.' || d.domain;
    when 'amount' then
      if p_currency is not distinct from coalesce(p_rule.currency, p_currency) then
        select coalesce(max(s.amount), 0) + p_amount,
          max(s.at) filter (where s.amount + p_amount >= v_threshold and p_amount < v_threshold)
        into v_value, v_oldest
        from (
          select o.created_at as at, sum(o.amount_subtotal) over (order by o.created_at desc, o.id) as amount
          from private.subject_orders(p_rule.subject, p_key, p_livemode, v_since) o
          where o.currency = p_currency and o.created_at <= p_at and o.id is distinct from p_order_id
            and (o.paid_at is not null or o.status in ('pending', 'processing'))
        ) s;
      end if;
    when 'unpaid_checkouts', 'emails', 'declines', 'cards' then
      v_times := private.measured_times(p_rule, p_key, p_livemode, v_since, p_at, p_order_id);
      v_value := cardinality(v_times);
    when 'declined_orders' then
      select w.o_value, w.o_oldest into v_value, v_oldest
      from private.weigh_refusals(p_rule, p_key, v_threshold, p_livemode, v_since, v_until) w;
    when 'outages' then
      v_value := private.count_outages(p_rule, p_livemode, v_since, v_until);
    when 'held_pieces', 'held_share' then
      select h.o_value, h.o_until into v_value, v_free_at
      from private.measure_holds(p_rule, p_key, p_lines, p_order_id) h;
  end case;
  if coalesce(v_value, 0) < v_threshold then
    return null;
  end if;
  v_oldest := coalesce(v_oldest, v_times[v_value - v_threshold + 1], p_at);
  v_free_at := coalesce(v_free_at, v_oldest + make_interval(secs => p_rule.window_seconds));
  return jsonb_build_object(
    'rule', p_rule.name, 'rule_action', p_rule.action, 'subject', p_rule.subject, 'measure', p_rule.measure,
    'value', v_value, 'threshold', v_threshold, 'window_seconds', p_rule.window_seconds,
    'alert', coalesce(p_rule.alert, case p_rule.action when 'block' then 'critical' end),
    -- The subject itself is personal data: a keyed digest is enough to see that two hits are of one.
    'subject_digest', left(private.keyed_digest(p_key), 16),
    -- When enough has left the window for the rule to let go; all of the window where this cart is enough by
    -- itself.
    'retry_after_seconds', greatest(1, ceil(extract(epoch from v_free_at - p_at))::integer)
  );
end;
$function$;
comment on function private.measure_velocity(p_rule private.velocity_rules, p_key text, p_amount bigint, p_currency text, p_livemode boolean, p_at timestamp with time zone, p_order_id uuid, p_lines jsonb, p_factor numeric) is 'A hit of a rule by a subject up to p_at, or null. p_amount, p_currency and p_lines: the cart that asks; p_order_id: the order that asks, which does not count against itself; p_factor: what the threshold is multiplied with. retry_after_seconds: until the rule lets go.';


CREATE OR REPLACE FUNCTION private.measured_times(p_rule private.velocity_rules, p_key text, p_livemode boolean, p_since timestamp with time zone, p_at timestamp with time zone, p_order_id uuid)
 RETURNS timestamp with time zone[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  -- Attempts carry Stripe's clock, which is not quite ours.
  v_until timestamptz := p_at + interval '1 minute';
begin
  return case p_rule.measure
    when 'unpaid_checkouts' then array(
      select o.created_at from private.subject_orders(p_rule.subject, p_key, p_livemode, p_since) o
      where o.paid_at is null and o.created_at <= p_at and o.id is distinct from p_order_id
      order by 1
    )
    when 'emails' then array(
      select max(o.created_at) from private.subject_orders(p_rule.subject, p_key, p_livemode, p_since) o
      where o.email is not null and o.created_at <= p_at and o.id is distinct from p_order_id
      group by private.email_key(o.email)
      order by 1
    )
    when 'declines' then array(
      select a.created_at from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) a
      where a.outcome in ('failed', 'blocked') and a.created_at <= v_until
      order by 1
    )
    when 'cards' then array(
      select max(a.created_at) from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) a
      where a.card_fingerprint is not null and a.created_at <= v_until
      group by a.card_fingerprint
      order by 1
    )
  end;
end;
$function$;
comment on function private.measured_times(p_rule private.velocity_rules, p_key text, p_livemode boolean, p_since timestamp with time zone, p_at timestamp with time zone, p_order_id uuid) is 'When each of the things happened that a rule counts (orders, mailboxes, refusals, cards), oldest first: as many as the measure says. p_order_id: an order that does not count.';


CREATE OR REPLACE FUNCTION private.merge_checkout_session(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  f record;
  v_snapshot jsonb := p_fact - '{async_payment_failed,attempt,url,recovered_from}'::text[];
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, attempt integer, status text, payment_status text, async_payment_failed boolean, payment_id text,
    customer_id text, currency text, amount_subtotal bigint, amount_total bigint, amount_discount bigint,
    amount_shipping bigint, amount_tax bigint, livemode boolean, cart_hash text, email text, name text,
    phone text, shipping_name text, shipping_address jsonb, billing_address jsonb, url text,
    expires_at bigint, recovered_from text, order_id uuid
  );
  v_version := private.version(
    private.rank(array['open', 'expired', 'complete'], f.status),
    private.rank(array['unpaid', 'no_payment_required', 'paid'], f.payment_status),
    private.stamp(p_at), private.knowledge(v_snapshot), md5(v_snapshot::text)
  );

  insert into public.checkout_sessions as s (
    id, order_id, attempt, status, payment_status, async_payment_failed, livemode, url, expires_at,
    recovered_from, completed_at, version, contact_version
  ) values (
    f.id, p_order_id, f.attempt, f.status, f.payment_status, f.async_payment_failed, f.livemode, f.url,
    to_timestamp(f.expires_at), f.recovered_from, case when f.status = 'complete' then p_at end, '', ''
  )
  on conflict (id) do update set
    attempt = least(s.attempt, excluded.attempt),
    async_payment_failed = s.async_payment_failed or excluded.async_payment_failed,
    url = least(s.url, excluded.url),
    recovered_from = least(s.recovered_from, excluded.recovered_from),
    completed_at = least(s.completed_at, excluded.completed_at);

  update public.checkout_sessions s set
    status = f.status, payment_status = f.payment_status, payment_id = f.payment_id,
    stripe_customer_id = f.customer_id, currency = f.currency, amount_subtotal = f.amount_subtotal,
    amount_total = f.amount_total, amount_discount = f.amount_discount, amount_shipping = f.amount_shipping,
    amount_tax = f.amount_tax, livemode = f.livemode, metadata_order_id = f.order_id, cart_hash = f.cart_hash,
    expires_at = to_timestamp(f.expires_at), version = v_version
  where s.id = f.id and s.version <= v_version;
  perform private.know_customer(f.customer_id, f.livemode);
  perform private.merge_session_contact(f.id, v_snapshot, v_version);
  perform private.merge_session_payment(p_fact, p_order_id, p_at);
end;
$function$;
comment on function private.merge_checkout_session(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a checkout_session fact seen at p_at into checkout_sessions. The order of a known session never changes.';


CREATE OR REPLACE FUNCTION private.merge_customer(p_fact jsonb, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  f record;
begin
  select * into f
  from jsonb_to_record(p_fact) as x (id text, livemode boolean, email text, name text, deleted boolean);
  insert into private.stripe_customers as c (id, livemode, email, name, deleted_at, version)
  values (
    f.id, f.livemode, f.email, f.name, case when f.deleted then p_at end,
    -- What it said before its deletion stays what we know of it.
    private.version(
      case when f.deleted then '0' else '1' end, private.stamp(p_at), private.knowledge(p_fact),
      md5(p_fact::text)
    )
  )
  on conflict (id) do update set
    email = case when c.version <= excluded.version then excluded.email else c.email end,
    name = case when c.version <= excluded.version then excluded.name else c.name end,
    deleted_at = least(c.deleted_at, excluded.deleted_at),
    version = greatest(c.version, excluded.version)
  where c.livemode = excluded.livemode;
  perform private.settle_stripe_customer(f.id);
end;
$function$;
comment on function private.merge_customer(p_fact jsonb, p_at timestamp with time zone) is 'Merges a customer fact seen at p_at into private.stripe_customers. apply_facts() passes over customers who never bought here.';


CREATE OR REPLACE FUNCTION private.merge_dispute(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  f record;
  v_snapshot jsonb := p_fact - '{payment_id,charge_id,funds_withdrawn,funds_reinstated}'::text[];
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, charge_id text, livemode boolean, amount bigint, currency text, reason text,
    status text, evidence_due_by bigint, evidence_submission_count integer, has_evidence boolean,
    network_reason_code text, funds_withdrawn boolean, funds_reinstated boolean, created bigint
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
    private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
  insert into public.disputes as d (
    id, order_id, payment_id, charge_id, livemode, amount, currency, reason, status, statuses_seen,
    evidence_due_by, first_due_by, evidence_submission_count, has_evidence, network_reason_code,
    funds_withdrawn, funds_reinstated, version, created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.livemode, f.amount, f.currency, f.reason, f.status,
    array[f.status], to_timestamp(f.evidence_due_by), to_timestamp(f.evidence_due_by),
      f.evidence_submission_count, f.has_evidence, f.network_reason_code,
    f.funds_withdrawn, f.funds_reinstated, v_version, to_timestamp(f.created)
  )
  on conflict (id) do update set
    order_id = coalesce(d.order_id, excluded.order_id),
    payment_id = least(d.payment_id, excluded.payment_id), charge_id = least(d.charge_id, excluded.charge_id),
    created_at = least(d.created_at, excluded.created_at),
    statuses_seen = (
      select array_agg(distinct x collate "C" order by x collate "C")
      from unnest(d.statuses_seen || excluded.statuses_seen) x
    ),
    first_due_by = least(d.first_due_by, excluded.first_due_by),
    funds_withdrawn = d.funds_withdrawn or excluded.funds_withdrawn,
    funds_reinstated = d.funds_reinstated or excluded.funds_reinstated;
  update public.disputes d set
    livemode = f.livemode, amount = f.amount, currency = f.currency, reason = f.reason, status = f.status,
    evidence_due_by = to_timestamp(f.evidence_due_by),
    evidence_submission_count = f.evidence_submission_count, has_evidence = f.has_evidence,
    network_reason_code = f.network_reason_code, version = v_version
  where d.id = f.id and d.version <= v_version;
end;
$function$;
comment on function private.merge_dispute(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a dispute fact seen at p_at into disputes.';


CREATE OR REPLACE FUNCTION private.merge_fraud_signal(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  f record;
  v_snapshot jsonb := p_fact - '{payment_id,charge_id}'::text[];
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, kind text, payment_id text, charge_id text, open boolean, reason text, created bigint
  );
  v_version := private.version(
    private.stamp(p_at), private.rank(array['true', 'false'], f.open::text),
    private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
  insert into public.fraud_signals as s (
    source_id, order_id, payment_id, charge_id, kind, severity, open, was_actionable, data, version,
    created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.kind,
    case f.kind when 'early_fraud_warning' then 'critical' else 'warning' end,
    f.open, f.open, jsonb_build_object('reason', f.reason), v_version, to_timestamp(f.created)
  )
  on conflict on constraint fraud_signals_source_id_key do update set
    order_id = coalesce(s.order_id, excluded.order_id),
    payment_id = least(s.payment_id, excluded.payment_id), charge_id = least(s.charge_id, excluded.charge_id),
    created_at = least(s.created_at, excluded.created_at),
    was_actionable = s.was_actionable or excluded.was_actionable;
  update public.fraud_signals s set
    open = f.open, data = jsonb_build_object('reason', f.reason), version = v_version
  where s.source_id = f.id and s.version <= v_version;
end;
$function$;
comment on function private.merge_fraud_signal(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges an early fraud warning or a review seen at p_at into fraud_signals.';


CREATE OR REPLACE FUNCTION private.merge_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone, p_source text DEFAULT 'intent'::text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, status text, amount bigint, amount_received bigint, currency text, livemode boolean,
    customer_id text, charge_id text, failure_code text, decline_code text, order_id uuid
  );
  v_version := private.version(
    private.rank(array['canceled', 'succeeded'], f.status),
    -- What a session tells of its payment yields to what the payment tells of itself.
    private.rank(array['session', 'intent'], p_source),
    private.stamp(p_at),
    private.rank(
      array[
        'requires_confirmation', 'requires_action', 'processing', 'requires_payment_method',
        'requires_capture', 'canceled', 'succeeded'
      ],
      f.status
    ),
    private.knowledge(p_fact), md5(p_fact::text)
  );

  insert into public.payments as p (
    id, order_id, status, amount, amount_received, currency, livemode, metadata_order_id, stripe_customer_id,
    charge_id, failure_code, decline_code, succeeded_at, version
  ) values (
    f.id, p_order_id, f.status, f.amount, f.amount_received, f.currency, f.livemode, f.order_id,
    f.customer_id, f.charge_id, f.failure_code, f.decline_code,
    case when f.status = 'succeeded' then p_at end, v_version
  )
  on conflict (id) do update set
    order_id = coalesce(p.order_id, excluded.order_id),
    succeeded_at = least(p.succeeded_at, excluded.succeeded_at);

  update public.payments p set
    status = f.status, amount = f.amount, amount_received = f.amount_received, currency = f.currency,
    livemode = f.livemode, metadata_order_id = f.order_id, stripe_customer_id = f.customer_id,
    charge_id = f.charge_id, failure_code = f.failure_code, decline_code = f.decline_code, version = v_version
  where p.id = f.id and p.version <= v_version;
end;
$function$;
comment on function private.merge_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone, p_source text) is 'Merges a payment fact seen at p_at into payments. p_source: intent (the payment itself) or session (what a paid session says of it). link_payments() has the last word on its order.';


CREATE OR REPLACE FUNCTION private.merge_payment_attempt(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  f record;
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, livemode boolean, outcome text, amount bigint, currency text, failure_code text,
    decline_code text, advice_code text, payment_method_type text, card_brand text, card_last4 text,
    card_funding text, card_country text, card_fingerprint text, three_d_secure_result text, risk_level text,
    risk_score integer, seller_message text, receipt_url text, created bigint
  );
  v_version := private.version(
    private.rank(array['pending', 'failed', 'blocked', 'succeeded'], f.outcome), private.stamp(p_at),
    private.knowledge(p_fact), md5(p_fact::text)
  );
  insert into public.payment_attempts as a (
    id, payment_id, order_id, livemode, outcome, amount, currency, failure_code, decline_code, advice_code,
    payment_method_type, card_brand, card_last4, card_funding, card_country, card_fingerprint,
    three_d_secure_result, risk_level, risk_score, seller_message, receipt_url, version, created_at
  ) values (
    f.id, f.payment_id, p_order_id, f.livemode, f.outcome, f.amount, f.currency, f.failure_code,
    f.decline_code, f.advice_code, f.payment_method_type, f.card_brand, f.card_last4, f.card_funding,
    f.card_country, f.card_fingerprint, f.three_d_secure_result, f.risk_level, f.risk_score, f.seller_message,
    f.receipt_url, v_version, to_timestamp(f.created)
  )
  on conflict (id) do update set
    payment_id = excluded.payment_id, created_at = excluded.created_at,
    outcome = excluded.outcome, amount = excluded.amount, currency = excluded.currency,
    livemode = excluded.livemode, failure_code = excluded.failure_code, decline_code = excluded.decline_code,
    advice_code = excluded.advice_code, payment_method_type = excluded.payment_method_type,
    card_brand = excluded.card_brand, card_last4 = excluded.card_last4, card_funding = excluded.card_funding,
    card_country = excluded.card_country, card_fingerprint = excluded.card_fingerprint,
    three_d_secure_result = excluded.three_d_secure_result, risk_level = excluded.risk_level,
    risk_score = excluded.risk_score, seller_message = excluded.seller_message,
    receipt_url = excluded.receipt_url, version = excluded.version
  where a.version <= excluded.version;
end;
$function$;
comment on function private.merge_payment_attempt(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a payment_attempt fact seen at p_at into payment_attempts.';


CREATE OR REPLACE FUNCTION private.merge_refund(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  f record;
  v_snapshot jsonb := p_fact - '{payment_id,charge_id,request_id}'::text[];
  v_version text;
begin
  select * into f from jsonb_to_record(p_fact) as x (
    id text, payment_id text, charge_id text, amount bigint, currency text, status text, reason text,
    failure_reason text, request_id text, created bigint
  );
  v_version := private.version(
    private.rank(array['pending', 'requires_action', 'succeeded', 'canceled', 'failed'], f.status),
    private.stamp(p_at), private.knowledge(v_snapshot), md5(v_snapshot::text)
  );
  insert into public.refunds as r (
    id, order_id, payment_id, charge_id, amount, currency, status, reason, failure_reason, request_id,
      succeeded_at,
    failed_at, version, created_at
  ) values (
    f.id, p_order_id, f.payment_id, f.charge_id, f.amount, f.currency, f.status, nullif(f.reason,
      'fraudulent'), f.failure_reason, f.request_id,
    case f.status when 'succeeded' then p_at end, case when f.status in ('failed', 'canceled') then p_at end,
    v_version, to_timestamp(f.created)
  )
  on conflict (id) do update set
    order_id = coalesce(r.order_id, excluded.order_id),
    payment_id = least(r.payment_id, excluded.payment_id), charge_id = least(r.charge_id, excluded.charge_id),
    request_id = least(r.request_id, excluded.request_id), created_at = least(r.created_at,
      excluded.created_at),
    succeeded_at = least(r.succeeded_at, excluded.succeeded_at),
    failed_at = least(r.failed_at, excluded.failed_at);
  update public.refunds r set
    amount = f.amount, currency = f.currency, status = f.status, reason = nullif(f.reason, 'fraudulent'),
    failure_reason = f.failure_reason, version = v_version
  where r.id = f.id and r.version <= v_version;
  if found then
    insert into public.refund_reasons (refund_id, reason) values (f.id, f.reason)
    on conflict (refund_id) do update set reason = excluded.reason;
  end if;
end;
$function$;
comment on function private.merge_refund(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a refund fact seen at p_at into refunds.';


CREATE OR REPLACE FUNCTION private.merge_session_contact(p_session_id text, p_fact jsonb, p_version text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  -- Stripe never takes an address back: a snapshot without one is told by an event that cannot carry it.
  update public.checkout_sessions s set
    email = f.email, name = f.name, phone = f.phone, shipping_name = f.shipping_name,
    shipping_address = f.shipping_address, billing_address = f.billing_address, contact_version = f.version
  from (
    select x.*,
      private.version(case when x.shipping_address is null then '0' else '1' end, p_version) as version
    from jsonb_to_record(p_fact) as x (
      email text, name text, phone text, shipping_name text, shipping_address jsonb, billing_address jsonb
    )
  ) f
  where s.id = p_session_id and s.contact_version <= f.version;
end;
$function$;
comment on function private.merge_session_contact(p_session_id text, p_fact jsonb, p_version text) is 'Who bought, and where the parcel goes: the newest snapshot that has a delivery address, or else the newest.';


CREATE OR REPLACE FUNCTION private.merge_session_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  -- A paid session proves that its payment succeeded, also when the payment's own events are still under way.
  if p_fact ->> 'status' = 'complete' and p_fact ->> 'payment_status' = 'paid'
    and p_fact ->> 'payment_id' is not null then
    perform private.merge_payment(
      jsonb_build_object(
        'id', p_fact -> 'payment_id', 'livemode', p_fact -> 'livemode', 'status', 'succeeded',
        'amount', coalesce((p_fact ->> 'amount_total')::bigint, 0),
        'amount_received', coalesce((p_fact ->> 'amount_total')::bigint, 0),
        'currency', coalesce(p_fact ->> 'currency', ''), 'customer_id', p_fact -> 'customer_id',
        'order_id', p_fact -> 'order_id'
      ),
      p_order_id, p_at, 'session'
    );
  end if;
end;
$function$;
comment on function private.merge_session_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges what a paid session says of its payment.';


CREATE OR REPLACE FUNCTION private.mismatch_alert(p_order_id uuid)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  -- What turns up after a release is news.
  return (
    select concat_ws(':', 'payment_mismatch', p_order_id, extract(epoch from k.review_released_at))
    from public.order_risk k where k.order_id = p_order_id
  );
end;
$function$;
comment on function private.mismatch_alert(p_order_id uuid) is 'The dedupe_key of the alert payment_mismatch of an order: another one after each release.';


CREATE OR REPLACE FUNCTION private.money_left(p_payment_id text)
 RETURNS bigint
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select p.amount_received
    - coalesce((
      select sum(r.amount) from public.refunds r
      where r.payment_id = p.id and r.status not in ('failed', 'canceled')
    ), 0)
    -- The bank has given it to the customer: only what was disputed, which may be a part. In another currency
    -- nobody can tell, and it counts as all.
    - coalesce((
      select sum(case when d.currency = p.currency then d.amount else p.amount_received end)
      from public.disputes d where d.payment_id = p.id and d.status = 'lost'
    ), 0)
  from public.payments p
  where p.id = p_payment_id
$function$;
comment on function private.money_left(p_payment_id text) is 'Minor units of a payment that the customer has not got back, neither by refunds under way or made nor by lost disputes.';
grant execute on function private.money_left(p_payment_id text) to authenticated;
grant execute on function private.money_left(p_payment_id text) to service_role;


CREATE OR REPLACE FUNCTION private.next_order_number()
 RETURNS text
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select coalesce(private.setting('order_number_prefix') #>> '{}', '')
    || nextval('private.order_number_seq')::text
$function$;
comment on function private.next_order_number() is 'Next order number, e.g. KCT-100001. Numbers may have gaps: a refused checkout uses one up.';


CREATE OR REPLACE FUNCTION private.note_email_proof(p_user_id uuid, p_proven boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  if p_proven then
    insert into private.proven_accounts (user_id) values (p_user_id) on conflict (user_id) do nothing;
  else
    delete from private.proven_accounts where user_id = p_user_id;
  end if;
end;
$function$;
comment on function private.note_email_proof(p_user_id uuid, p_proven boolean) is 'Notes whether an account''s address, which has just changed or been confirmed, is proven.';


CREATE OR REPLACE FUNCTION private.note_provider(p_provider text, p_answers integer, p_outages integer, p_unauthorized boolean, p_reason text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- Enough to tell an outage from bad luck, few enough to spare the queue.
  c_failures_max constant integer := 5;
  c_wait_base_seconds constant integer := 15;
  c_wait_max_seconds constant integer := 600;
  b private.circuit_breakers;
begin
  if p_answers = 0 and p_outages = 0 then
    -- The one that was to find out never asked: the next one may.
    update private.circuit_breakers set open_until = now() where provider = p_provider and open_until > now();
    return false;
  elsif p_answers > 0 then
    update private.circuit_breakers set failures = 0, opened_at = null, open_until = null, reason = null
    where provider = p_provider and (failures > 0 or open_until is not null)
    returning * into b;
    if found then
      update public.alerts set status = 'resolved'
      where dedupe_key in ('provider_down:' || p_provider, 'provider_unauthorized:' || p_provider)
        and status <> 'resolved';
    end if;
    return false;
  end if;

  insert into private.circuit_breakers as x (provider, failures, reason)
  values (p_provider, p_outages, p_reason)
  on conflict (provider) do update set failures = x.failures + p_outages, reason = p_reason
  returning * into b;
  if b.failures < c_failures_max and not p_unauthorized and b.open_until is null then
    return false;
  end if;
  update private.circuit_breakers set
    opened_at = coalesce(opened_at, now()),
    open_until = now() + make_interval(
      secs => least(
        c_wait_max_seconds,
        c_wait_base_seconds * power(2, least(greatest(b.failures - c_failures_max, 0), 20))
      )
    )
  where provider = p_provider;
  if p_unauthorized then
    perform private.raise_alert(
      'provider_unauthorized', 'critical', 'provider_unauthorized:' || p_provider,
      jsonb_build_object('provider', p_provider, 'error', p_reason)
    );
  elsif b.opened_at is null then
    perform private.raise_alert(
      'provider_down', 'critical', 'provider_down:' || p_provider,
      jsonb_build_object('provider', p_provider, 'error', p_reason)
    );
  end if;
  return true;
end;
$function$;
comment on function private.note_provider(p_provider text, p_answers integer, p_outages integer, p_unauthorized boolean, p_reason text) is 'Counts how a provider did. Five outages in a row, or a refused key, open its breaker for 15 s, doubling to 10 min; an answer closes it. Neither (0, 0): whoever was let through to see did not get that far, so the next job is. Returns whether it is open.';


CREATE OR REPLACE FUNCTION private.note_refund_outcome(p_job private.jobs, p_reason text, p_alert text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- Stripe has refused for good, or its answer was never had: either way nobody tries again by itself.
  v_given_up constant boolean := p_job.status = 'dead'
  or (p_job.status = 'discarded' and p_alert is not null);
  q public.refund_requests;
begin
  update public.refund_requests x set
    status = case
      when v_given_up then 'given_up'
      when p_job.status = 'discarded' then 'not_needed'
      when p_job.status = 'done' then 'done'
      else 'queued'
    end,
    problem = case p_job.status when 'done' then null else p_reason end,
    refusals = x.refusals + case when p_alert is not null then 1 else 0 end,
    given_up_at = case when v_given_up then clock_timestamp() end
  where x.id = p_job.payload ->> 'refund_request_id'
  returning * into q;
  if not found then
    return false;
  end if;
  if p_alert is not null or v_given_up then
    perform private.tell_of_refund(q, p_job.id, p_reason);
  end if;
  perform private.settle_order(q.order_id, 'job');
  return true;
end;
$function$;
comment on function private.note_refund_outcome(p_job private.jobs, p_reason text, p_alert text) is 'Books how a refund job ended (or that it waits for another try) on its request, tells staff, and settles the order. False: the job has no request. The order is locked.';


CREATE OR REPLACE FUNCTION private.notification_problem(n notifications, o orders)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  return case
    when o.erased_at is not null then 'the personal data of the order has been erased'
    when n.template = 'order_confirmation'
      and o.fulfillment_status = 'cancelled' then 'the order will not be sent'
    when n.template = 'order_confirmation' and o.status = 'refunded' then 'the order has been refunded'
    when n.template = 'order_shipped' and o.restocked_at is not null then 'the goods have come back'
    when n.template = 'order_shipped' and n.data ? 'tracking_number'
      and (n.data ->> 'carrier', n.data ->> 'tracking_number') is distinct from (o.carrier, o.tracking_number)
      then 'the tracking number has been corrected since'
    when n.template = 'payment_failed' and o.session_id is not null then 'the order has been paid'
    when n.template = 'payment_failed' and o.cancelled_at is not null then 'the order has been cancelled'
    when n.template = 'refund_issued' and exists (
      select 1 from public.refunds r
      where r.id = coalesce(n.data ->> 'refund_id', n.dedupe_key) and r.status in ('failed', 'canceled')
    ) then 'the refund did not go through'
    when n.template = 'duplicate_payment_refunded' and not exists (
      select 1
      from public.refunds r where r.payment_id = n.dedupe_key and r.status not in ('failed', 'canceled')
    ) and n.dedupe_key like 'pi\_%' then 'the refund did not go through'
    when exists (
      select 1 from public.notifications later
      where later.order_id = n.order_id and later.template = n.template and later.status = 'sent'
        and later.created_at > n.created_at and later.dedupe_key like 'resend:%'
    ) then 'it was sent again meanwhile'
  end;
end;
$function$;
comment on function private.notification_problem(n notifications, o orders) is 'Why a mail must not be sent any more, or null: a mail is judged when it is sent, and what it says must be true then.';


CREATE OR REPLACE FUNCTION private.offered_shipping_rates(p_currency text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', r.id, 'name', r.name, 'amount', r.amount, 'countries', r.countries,
    'delivery_days_min', r.delivery_days_min, 'delivery_days_max', r.delivery_days_max
  ) order by r.sort_order, r.amount, r.id), '[]')
  from public.shipping_rates r
  where r.active and r.currency = p_currency
$function$;
comment on function private.offered_shipping_rates(p_currency text) is 'The active rates of a currency in the order in which a shopper sees them.';


CREATE OR REPLACE FUNCTION private.on_email_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  if tg_op = 'UPDATE' and old.email is distinct from new.email then
    -- Auth mailed a link to the new address and the link was opened. Without confirmations it changes the
    -- address at once, and email_change was never written.
    perform private.note_email_proof(
      new.id,
      coalesce(lower(old.email_change) = lower(new.email) and old.email_change_sent_at is not null, false)
    );
  end if;
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
  return new;
exception
  -- Nobody may be kept from signing in by what becomes of old orders.
  when others then
    raise warning 'guest orders not attached: %', private.error_text(sqlstate, sqlerrm);
    return new;
end;
$function$;
comment on function private.on_email_changed() is 'Trigger of auth.users: an address was confirmed or changed. Keeps private.proven_accounts, tells the customers row, and attaches guest orders to what is proven.';


CREATE OR REPLACE FUNCTION private.on_order_paid()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  perform private.attach_guest_orders(u.id, u.email, new.id)
  from auth.users u join private.proven_accounts p on p.user_id = u.id
  -- As in Auth's own unique index: lower case, and nobody from a company's directory.
  where u.email = lower(new.email) and u.is_sso_user = false and u.email_confirmed_at is not null;
  return null;
end;
$function$;
comment on function private.on_order_paid() is 'Trigger of orders: one that a member made while signed out reaches the account, if its address is proven.';


CREATE OR REPLACE FUNCTION private.one_line(p_text text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select nullif(btrim(regexp_replace(
    p_text, '[[:space:][:cntrl:]\u00a0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3000\ufeff]+', ' ', 'g'
  )), '')
$function$;
comment on function private.one_line(p_text text) is 'A text on one line, without what hides or turns it; null when nothing is left to see.';


CREATE OR REPLACE FUNCTION private.open_checkouts(p_user_id uuid, p_session_id text, p_livemode boolean)
 RETURNS SETOF orders
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  if p_user_id is not null then
    return query select o.* from public.orders o
      join public.customers c on c.id = o.customer_id
      where c.user_id = p_user_id and o.livemode = p_livemode and o.status = 'pending';
  end if;
  -- Whoever knows the id of a session has been to its payment page. That of another account is none of
  -- theirs.
  if p_session_id is not null then
    return query select o.* from public.checkout_sessions s
      join public.orders o on o.id = s.order_id
      left join public.customers c on c.id = o.customer_id
      where s.id = p_session_id and o.livemode = p_livemode and o.status = 'pending' and c.user_id is null;
  end if;
end;
$function$;
comment on function private.open_checkouts(p_user_id uuid, p_session_id text, p_livemode boolean) is 'The unpaid checkouts of a shopper: those of the account, and for guests the one whose session id they present. An e-mail address is no proof of anything and is not looked at.';


CREATE OR REPLACE FUNCTION private.order_lines(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select jsonb_agg(jsonb_build_array(i.sku, i.quantity) order by i.sku collate "C")
  from public.order_items i where i.order_id = p_order_id
$function$;
comment on function private.order_lines(p_order_id uuid) is 'The lines of an order in the form of asked_lines().';


CREATE OR REPLACE FUNCTION private.order_of_fact(p_fact jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  v_order_id uuid;
begin
  -- What we linked ourselves comes before what metadata says.
  if coalesce(p_fact ->> 'object', p_fact ->> 'fact') = 'checkout_session' then
    select s.order_id into v_order_id from public.checkout_sessions s where s.id = p_fact ->> 'id';
    if v_order_id is null and p_fact ->> 'recovered_from' is not null then
      select s.order_id into v_order_id
      from public.checkout_sessions s where s.id = p_fact ->> 'recovered_from';
    end if;
  end if;
  if v_order_id is null then
    select p.order_id into v_order_id from public.payments p where p.id = private.payment_of_fact(p_fact);
  end if;
  if v_order_id is null then
    select o.id into v_order_id from public.orders o where o.id = (p_fact ->> 'order_id')::uuid;
  end if;
  if v_order_id is null and p_fact ->> 'charge_id' is not null then
    select p.order_id into v_order_id
    from public.payments p where p.id = private.payment_of_charge(p_fact ->> 'charge_id');
  end if;
  return v_order_id;
end;
$function$;
comment on function private.order_of_fact(p_fact jsonb) is 'The order a fact belongs to, or null when it is not (yet) known.';


CREATE OR REPLACE FUNCTION private.orders_of_facts(p_facts jsonb)
 RETURNS uuid[]
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(distinct found.order_id), '{}')
  from (
    select private.order_of_fact(f) as order_id from jsonb_array_elements(coalesce(p_facts, '[]')) f
  ) found
  where found.order_id is not null
$function$;
comment on function private.orders_of_facts(p_facts jsonb) is 'The orders that facts belong to, as far as they are known.';


CREATE OR REPLACE FUNCTION private.payment_of_charge(p_charge_id text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  return coalesce(
    (select a.payment_id from public.payment_attempts a where a.id = p_charge_id),
    (select p.id from public.payments p where p.charge_id = p_charge_id order by p.id limit 1)
  );
end;
$function$;
comment on function private.payment_of_charge(p_charge_id text) is 'The payment that a charge belongs to, for facts that name only the charge; null while neither has been heard of.';


CREATE OR REPLACE FUNCTION private.payment_of_fact(p_fact jsonb)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select case p_fact ->> 'fact' when 'payment' then p_fact ->> 'id' else p_fact ->> 'payment_id' end
$function$;
comment on function private.payment_of_fact(p_fact jsonb) is 'The payment a fact is about, or null.';


CREATE OR REPLACE FUNCTION private.phone_pattern(p_phone text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select '\+?(?<![0-9])' || regexp_replace(d.digits, '(.)(?=.)', '\1[ ()./-]*', 'g') || '(?![0-9])'
  from (select regexp_replace(p_phone, '[^0-9]', '', 'g') as digits) d
  where length(d.digits) >= 7
$function$;
comment on function private.phone_pattern(p_phone text) is 'A regular expression that finds a phone number however it is spaced. Null: too short to be one.';


CREATE OR REPLACE FUNCTION private.pick_jobs(p_limit integer, p_kinds text[])
 RETURNS bigint[]
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- A job that outlived its worker waits for the others, but not for ever.
  c_suspect_waits constant interval := '2 minutes';
  v_closed text[] := array(
    select k.kind from private.job_kinds k join private.circuit_breakers b on b.provider = k.provider
    where b.open_until is not null
  );
  v_suspect bigint;
  v_suspect_run_at timestamptz;
  v_ids bigint[] := '{}';
begin
  select j.id, j.run_at into v_suspect, v_suspect_run_at
  from private.jobs j
  where j.status = 'queued' and j.lost_leases > 0 and j.run_at <= now()
    and (p_kinds is null or j.kind = any (p_kinds)) and not j.kind = any (v_closed)
  order by j.run_at, j.id
  limit 1
  for update skip locked;
  if v_suspect_run_at < now() - c_suspect_waits then
    return array[v_suspect];
  end if;

  v_ids := array(
    select j.id from private.jobs j
    where j.status = 'queued' and j.lost_leases = 0 and j.run_at <= now()
      and (p_kinds is null or j.kind = any (p_kinds)) and not j.kind = any (v_closed)
    order by j.priority, j.run_at, j.id
    limit p_limit
    for update skip locked
  );
  if cardinality(v_ids) = 0 and v_suspect is not null then
    return array[v_suspect];
  end if;
  return v_ids;
end;
$function$;
comment on function private.pick_jobs(p_limit integer, p_kinds text[]) is 'Locks up to p_limit due jobs, most urgent first; or the one job that was in hand when its worker died, alone, when nothing else is due or it has waited long enough.';


CREATE OR REPLACE FUNCTION private.pick_probes(p_lease_seconds integer, p_kinds text[])
 RETURNS bigint[]
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_breaker private.circuit_breakers;
  v_id bigint;
  v_ids bigint[] := '{}';
begin
  for v_breaker in
    select b.*
    from private.circuit_breakers b where b.open_until <= now() order by b.provider for update skip locked
  loop
    select j.id into v_id
    from private.jobs j join private.job_kinds k on k.kind = j.kind
    where j.status = 'queued' and j.run_at <= now() and k.provider = v_breaker.provider
      and (p_kinds is null or j.kind = any (p_kinds))
    order by j.priority, j.run_at, j.id
    limit 1
    for update of j skip locked;
    if found then
      v_ids := v_ids || v_id;
      -- Nobody else probes while this one is on its way, and somebody will if its worker dies.
      update private.circuit_breakers set open_until = now() + make_interval(secs => p_lease_seconds)
      where provider = v_breaker.provider;
    end if;
  end loop;
  return v_ids;
end;
$function$;
comment on function private.pick_probes(p_lease_seconds integer, p_kinds text[]) is 'For each provider whose breaker has been open long enough: one due job, locked, to find out whether it answers again.';


CREATE OR REPLACE FUNCTION private.price_cart(p_items jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  v_wanted jsonb;
  v_unknown jsonb;
begin
  -- The one place where a SKU becomes a variant: from here on a line is known by variant_id, whatever it is
  -- called.
  select jsonb_agg(jsonb_build_object('variant_id', v.id, 'sku', w.sku, 'quantity', w.quantity)),
    jsonb_agg(distinct w.sku) filter (where v.id is null)
  into v_wanted, v_unknown
  from jsonb_to_recordset(p_items) as w (sku text, quantity integer)
  left join public.product_variants v on v.sku = w.sku and v.active
    and exists (select 1 from public.products p where p.id = v.product_id and p.active);
  if v_unknown is not null then
    raise exception 'unknown sku' using errcode = 'KCSKU', detail = v_unknown::text;
  end if;
  return private.price_lines(coalesce(v_wanted, '[]'));
end;
$function$;
comment on function private.price_cart(p_items jsonb) is 'Today''s cart from [{ sku, quantity }], as of price_lines(). KCSKU with the list: unknown or inactive SKUs (the two look alike on purpose). KCINV, KCCUR.';


CREATE OR REPLACE FUNCTION private.price_lines(p_wanted jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  -- Also keeps a sum of lines far below what bigint holds.
  c_quantity_max constant integer := 99;
  v_cart record;
begin
  -- One statement, so that names, prices and their sum are those of one moment.
  select
    jsonb_agg(jsonb_build_object(
      'variant_id', c.variant_id, 'sku', c.sku, 'name', c.name, 'quantity', c.quantity,
      'unit_amount', c.unit_amount
    ) order by c.sku collate "C") as lines,
    array_agg(distinct c.currency) as currencies,
    min(c.quantity_min) as quantity_min,
    max(c.quantity) as quantity_max,
    sum(c.unit_amount * c.quantity) as amount
  into v_cart
  from (
    select v.id as variant_id, w.sku, v.price_amount as unit_amount, v.currency,
      private.variant_name(p.name, v.color, v.size) as name,
      sum(w.quantity) as quantity, min(w.quantity) as quantity_min
    from jsonb_to_recordset(p_wanted) as w (variant_id uuid, sku text, quantity integer)
    join public.product_variants v on v.id = w.variant_id
    join public.products p on p.id = v.product_id
    group by v.id, p.id, w.sku
  ) c;
  if v_cart.lines is null or v_cart.quantity_min is null or v_cart.quantity_min < 1
    or v_cart.quantity_max > c_quantity_max then
    raise exception 'the cart is not valid' using errcode = 'KCINV', detail = private.problem_of_items(
      format('must have quantities from 1 to %s, counting repeated SKUs together', c_quantity_max)
    );
  elsif cardinality(v_cart.currencies) > 1 then
    raise exception 'the cart is not valid'
      using errcode = 'KCCUR', detail = private.problem_of_items('must all have the same currency');
  elsif v_cart.amount > private.largest_amount(v_cart.currencies[1]) then
    raise exception 'the cart is not valid'
      using errcode = 'KCINV', detail = private.problem_of_items('come to a total that is too large');
  end if;
  return jsonb_build_object(
    'lines', v_cart.lines,
    'currency', v_cart.currencies[1],
    'amount', v_cart.amount,
    'hash', private.hash_lines(v_cart.lines, v_cart.currencies[1])
  );
end;
$function$;
comment on function private.price_lines(p_wanted jsonb) is 'Today''s names and prices of [{ variant_id, sku, quantity }], the SKU as the caller calls it: { lines: [{ variant_id, sku, name, quantity, unit_amount }] summed and sorted by SKU, currency, amount, hash }. KCINV, KCCUR.';


CREATE OR REPLACE FUNCTION private.problem_of_items(p_message text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select jsonb_build_array(jsonb_build_object('path', 'items', 'message', p_message))::text
$function$;
comment on function private.problem_of_items(p_message text) is 'What an invalid request says of its lines, in the form of details.';


CREATE OR REPLACE FUNCTION private.process_stripe_event(p_event_id text, p_stripe_created_at timestamp with time zone, p_facts jsonb, p_ignored_reason text, p_error text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_reason text := p_ignored_reason;
  v_error text := p_error;
  v_result jsonb;
  v_run_at timestamptz := now() + private.backoff(1);
  v_livemode boolean := (select e.livemode from public.webhook_events e where e.id = p_event_id);
  v_closing jsonb;
begin
  if v_reason is null and v_error is null then
    begin
      v_result := private.apply_facts(p_facts, p_stripe_created_at, p_event_id, v_livemode);
      if (v_result ->> 'applied')::integer = 0
        and not jsonb_path_exists(p_facts, '$[*] ? (@.fact == "unknown_value")') then
        v_reason := 'foreign_object';
      else
        perform private.queue_refreshes(p_facts, p_stripe_created_at);
      end if;
    exception when others then
      -- Stored all the same: from here on our queue owns the retry.
      v_error := private.error_text(sqlstate, sqlerrm);
    end;
  end if;

  update public.webhook_events set
    status = case
      when v_error is not null then 'failed'
      when v_reason is not null then 'ignored'
      else 'processed'
    end, ignored_reason = v_reason,
    attempts = attempts + 1,
    processed_at = case when v_error is null then now() end,
    next_attempt_at = case when v_error is not null then v_run_at end,
    last_error = v_error,
    payload = case when v_error is null and private.concerns_erased(p_facts, v_result -> 'order_ids')
      then '{"erased": true}' else payload end
  where id = p_event_id;

  if v_error is not null then
    perform private.enqueue_job(
      'retry_event', 'retry_event:' || p_event_id, jsonb_build_object('event_id', p_event_id), v_run_at, 10
    );
    return jsonb_build_object('outcome', 'queued', 'reason', v_error);
  elsif v_reason is not null then
    return jsonb_build_object('outcome', 'ignored', 'reason', v_reason);
  end if;
  select jsonb_agg(s.id order by s.id) into v_closing
  from public.checkout_sessions s where s.status = 'open' and s.closing_at = now();
  return jsonb_strip_nulls(jsonb_build_object(
    'outcome', 'applied', 'order_ids', v_result -> 'order_ids', 'closing_sessions', v_closing
  ));
end;
$function$;
comment on function private.process_stripe_event(p_event_id text, p_stripe_created_at timestamp with time zone, p_facts jsonb, p_ignored_reason text, p_error text) is 'Applies the facts of a stored event, or notes why it is ignored. When that fails the event stays stored as failed with a retry_event job, and the failure leaves no other trace. closing_sessions: payment pages that it had ended; their jobs are queued, and who can ends them at once.';


CREATE OR REPLACE FUNCTION private.providers_health()
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'status', private.worst_status(bool_or(b.open_until is not null)),
    'down', count(*) filter (where b.open_until is not null)
  )
    || coalesce(jsonb_object_agg(b.provider || '_failures', b.failures) filter (where b.failures > 0), '{}')
  from private.circuit_breakers b
$function$;
comment on function private.providers_health() is 'Health check providers: whose circuit breaker is open.';


CREATE OR REPLACE FUNCTION private.purge_alerts(p_limit integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  with old as (
    select a.id, a.dedupe_key
    from public.alerts a
    where a.status = 'resolved' and a.last_at < now() - private.retention('alert')
      and not exists (
        select 1 from private.jobs j
        where j.dedupe_key = 'send_alert:' || a.dedupe_key and j.status not in ('done', 'discarded')
      )
    limit p_limit
  ), told as (
    -- With its message's job: left behind, it would keep the next alert of this cause from being told.
    delete from private.jobs j using old where j.dedupe_key = 'send_alert:' || old.dedupe_key
  ), purged as (
    delete from public.alerts a using old where a.id = old.id returning 1
  )
  select count(*)::integer from purged
$function$;
comment on function private.purge_alerts(p_limit integer) is 'Deletes up to p_limit resolved alerts that are older than retention_alert_days, with the jobs that told of them. raised_alerts stay.';


CREATE OR REPLACE FUNCTION private.purge_jobs(p_limit integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  with old as (
    select j.id
    from private.job_kinds k
    cross join lateral (
      select x.id from private.jobs x
      where x.kind = k.kind and x.status in ('done', 'discarded') and x.finished_at < now() - k.retention
      order by x.finished_at
      limit p_limit
    ) j
    where k.retention is not null
    limit p_limit
  ), purged as (
    delete from private.jobs x using old where x.id = old.id returning 1
  )
  select count(*)::integer from purged
$function$;
comment on function private.purge_jobs(p_limit integer) is 'Deletes up to p_limit jobs that finished longer ago than their kind is kept. Dead jobs stay until somebody has looked.';


CREATE OR REPLACE FUNCTION private.purge_payloads(p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_count integer;
begin
  update public.webhook_events set payload = '{"purged": true}'
  where id in (
    select e.id from public.webhook_events e
    where e.status in ('processed', 'ignored') and not e.payload ? 'purged' and not e.payload ? 'erased'
      and e.received_at < now() - least(private.retention('payload'), private.retention('foreign'))
      and (
        e.received_at < now() - private.retention('payload') or e.ignored_reason = 'foreign_object'
        or (e.type in ('customer.updated', 'customer.deleted') and not exists (
          select 1 from private.stripe_customers c where c.id = e.payload #>> '{data,object,id}'
        ))
      )
    order by e.received_at
    limit p_limit
  );
  get diagnostics v_count = row_count;
  return v_count;
end;
$function$;
comment on function private.purge_payloads(p_limit integer) is 'Empties up to p_limit payloads of finished events: after retention_payload_days, and after retention_foreign_days where they are about strangers.';


CREATE OR REPLACE FUNCTION private.purge_schedule(p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_count integer := 0;
begin
  if to_regclass('cron.job_run_details') is not null then
    execute 'delete from cron.job_run_details where runid in (select runid from cron.job_run_details where '
            'end_time < now() - $1 limit $2)'
      using private.retention('log'), p_limit;
    get diagnostics v_count = row_count;
  end if;
  return v_count;
end;
$function$;
comment on function private.purge_schedule(p_limit integer) is 'Deletes old rows of pg_cron''s log, where there is one; it never does so itself.';


CREATE OR REPLACE FUNCTION private.purge_signals(p_limit integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  with purged as (
    delete from public.fraud_signals where id in (
      select f.id from public.fraud_signals f left join public.orders o on o.id = f.order_id
      -- A paid order is measured again at each settling, and must find what it had found.
      where f.kind = 'velocity' and o.paid_at is null and f.created_at < now() - private.retention('signal')
      limit p_limit
    ) returning 1
  )
  select count(*)::integer from purged
$function$;
comment on function private.purge_signals(p_limit integer) is 'Deletes up to p_limit velocity hits older than retention_signal_days that belong to no paid order.';


CREATE OR REPLACE FUNCTION private.queue_dispute_reminders(d disputes)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- Days before the evidence deadline on which staff are reminded.
  c_reminders constant integer[] := array[7, 3, 1];
  v_days integer;
  v_key text;
  v_run_at timestamptz;
begin
  foreach v_days in array c_reminders loop
    v_key := format('remind_dispute:%s:%s', d.id, v_days);
    v_run_at := coalesce(d.evidence_due_by, d.first_due_by) - make_interval(days => v_days);
    -- The job looks again: the deadline may have moved, the dispute may be over.
    if not private.enqueue_job(
      'remind_dispute', v_key, jsonb_build_object('dispute_id', d.id, 'days', v_days), v_run_at
    ) and private.awaits_evidence(d) and v_run_at > now() then
      -- Spent for an earlier deadline: an inquiry that was answered has become a chargeback, or there is an
      -- appeal.
      update private.jobs set status = 'queued', run_at = v_run_at, attempts = 0, finished_at = null
      where dedupe_key = v_key and status in ('done', 'discarded');
    end if;
  end loop;
end;
$function$;
comment on function private.queue_dispute_reminders(d disputes) is 'Reminders 7, 3 and 1 days before the evidence deadline, one job each for all deadlines that a dispute ever has. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.queue_expiries()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- Stripe ends sessions by itself and says so within seconds; this is for when nobody heard it.
  c_grace constant interval := '2 minutes';
  c_sessions_max constant integer := 200;
  r record;
  v_queued integer := 0;
begin
  for r in
    select s.id, s.order_id, s.expires_at
    from public.checkout_sessions s
    where s.status = 'open' and s.expires_at < now() - c_grace
      and not exists (
        select 1 from private.jobs j
        where j.kind = 'expire_checkout_session' and j.payload ->> 'session_id' = s.id
          and j.status in ('queued', 'running')
      )
    order by s.expires_at
    limit c_sessions_max
  loop
    -- Once an hour on the first day, then once a day, until Stripe has said how the session ended.
    if private.enqueue_job(
      'expire_checkout_session',
      format(
        'expire_checkout_session:%s:%s', r.id,
        to_char(
          now(), case when r.expires_at > now() - interval '1 day' then 'YYYYMMDDHH24' else 'YYYYMMDD' end
        )
      ),
      jsonb_build_object('session_id', r.id, 'order_id', r.order_id), now(), 60
    ) then
      v_queued := v_queued + 1;
    end if;
  end loop;

  if exists (select 1 from private.lost_checkouts(1)) and not exists (
    select 1 from private.jobs j where j.kind = 'find_lost_sessions' and j.status in ('queued', 'running')
  ) and private.enqueue_job('find_lost_sessions', 'find_lost_sessions:' || to_char(now(), 'YYYYMMDDHH24MI'),
  '{}', now(), 60) then
    v_queued := v_queued + 1;
  end if;
  return v_queued;
end;
$function$;
comment on function private.queue_expiries() is 'The expiry sweep: queues a look at Stripe for every session that should have ended and every attempt that never heard back. Releases nothing itself: stock goes back on Stripe''s word only.';


CREATE OR REPLACE FUNCTION private.queue_notification(p_order_id uuid, p_template text, p_dedupe_key text DEFAULT ''::text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
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
 SET search_path TO ''
AS $function$
declare
  v_fact jsonb;
  v_object text;
  v_unread boolean;
begin
  for v_fact in select f from jsonb_array_elements(p_facts) f loop
    v_unread := v_fact ->> 'fact' = 'unread';
    v_object := case
      when v_fact ->> 'fact' in ('dispute', 'refund') then v_fact ->> 'fact'
      when v_fact ->> 'kind' = 'review' then 'review'
      when v_unread and private.order_of_fact(v_fact) is not null then v_fact ->> 'object'
    end;
    if v_object is not null then
      perform private.enqueue_job(
        'refresh_' || v_object,
        format('refresh_%s:%s:%s', v_object, v_fact ->> 'id', floor(extract(epoch from p_at))::bigint),
        jsonb_build_object(v_object || '_id', v_fact ->> 'id'),
        -- A few seconds later, so that one reading serves all events of the same second; at once, and before
        -- the mails, where the event did not tell it all.
        now() + case when v_unread then interval '0' else interval '5 seconds' end,
        case when v_unread then 20 else 150 end
      );
    end if;
  end loop;
end;
$function$;
comment on function private.queue_refreshes(p_facts jsonb, p_at timestamp with time zone) is 'Reads again from Stripe, once per object and second: each dispute, refund and review, because two events of one second cannot be told apart by time; and what an event''s API version does not tell in full (unread).';


CREATE OR REPLACE FUNCTION private.queue_refund(p_payment_id text, p_order_id uuid, p_cause text, p_source text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  if not private.ask_refund(
    private.refund_request_id(p_cause, p_payment_id), p_order_id, p_payment_id, null, p_cause, p_cause, false
  ) then
    return false;
  end if;
  perform private.record_order_event(
    p_order_id, 'refund_queued', p_source, jsonb_build_object('payment_id', p_payment_id, 'why', p_cause)
  );
  return true;
end;
$function$;
comment on function private.queue_refund(p_payment_id text, p_order_id uuid, p_cause text, p_source text) is 'Queues the refund of all that is left of a payment, once per payment and cause. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.raise_alert(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_known text := (select status from public.alerts where dedupe_key = p_dedupe_key);
  v_alert public.alerts;
begin
  insert into public.alerts as a (kind, severity, dedupe_key, data)
  values (p_kind, p_severity, p_dedupe_key, p_data)
  on conflict on constraint alerts_dedupe_key_key
  do update set count = a.count + 1, last_at = now(), data = excluded.data,
    status = case a.status when 'resolved' then 'open' else a.status end
  returning * into v_alert;
  if v_alert.count = 1 then
    perform private.enqueue_job(
      'send_alert', 'send_alert:' || p_dedupe_key, jsonb_build_object('alert_id', v_alert.id), now(), 50
    );
  elsif v_known = 'resolved' then
    perform private.enqueue_job(
      'send_alert', format('send_alert:%s:%s', p_dedupe_key, v_alert.count),
      jsonb_build_object('alert_id', v_alert.id), now(), 50
    );
  end if;
end;
$function$;
comment on function private.raise_alert(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb) is 'Something happened (again) that staff must know: opens or counts up the alert of p_dedupe_key and, when it is new or had been resolved, queues its message.';


CREATE OR REPLACE FUNCTION private.raise_alert_once(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  -- Not asked of the alerts: an old one may have been deleted, and what it said is no news.
  insert into private.raised_alerts (dedupe_key) values (p_dedupe_key)
  on conflict (dedupe_key) do nothing;
  if not found then
    return false;
  end if;
  perform private.raise_alert(p_kind, p_severity, p_dedupe_key, p_data);
  return true;
end;
$function$;
comment on function private.raise_alert_once(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb) is 'Raises an alert about a state, which settling again finds again: it is raised once and not counted up. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.raise_velocity_alerts(p_hits jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- Hits closer together than this belong to one attack, or to one outage.
  c_lull constant interval := '1 hour';
  v_alert record;
  v_key text;
begin
  for v_alert in
    select x.kind, case when bool_or(x.severity = 'critical') then 'critical' else 'warning' end as severity,
      jsonb_agg(distinct x.rule) as rules, jsonb_object_agg(x.rule, x.value) as figures
    from (
      select h ->> 'rule' as rule, h -> 'value' as value, h ->> 'alert' as severity, case
        when h ->> 'measure' = 'outages' then 'payment_outage'
        when h ->> 'measure' like 'held%' and h ->> 'subject' = 'shop' then 'stock_held'
        else 'velocity'
      end as kind
      from jsonb_array_elements(p_hits) h where h ->> 'alert' is not null
    ) x
    group by x.kind order by x.kind
  loop
    -- Somebody is raising it at this moment: nobody has to wait with stock in hand to raise it again.
    continue when not pg_try_advisory_xact_lock(hashtextextended('velocity alert ' || v_alert.kind, 0));
    select a.dedupe_key into v_key from public.alerts a
    where a.kind = v_alert.kind and a.last_at > clock_timestamp() - c_lull
      and (a.severity = 'critical' or v_alert.severity = 'warning')
    order by a.last_at desc limit 1;
    perform private.raise_alert(
      v_alert.kind, v_alert.severity,
      coalesce(v_key, concat_ws(
        ':', v_alert.kind, nullif(v_alert.severity, 'critical'),
        to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS')
      )),
      jsonb_build_object('rules', v_alert.rules, 'figures', v_alert.figures)
    );
  end loop;
end;
$function$;
comment on function private.raise_velocity_alerts(p_hits jsonb) is 'Tells staff of hits: one alert per attack (velocity), outage (payment_outage) or rush on the stock (stock_held), counted up while it goes on, whichever rules it runs into.';


CREATE OR REPLACE FUNCTION private.rank(p_ladder text[], p_value text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select lpad(coalesce(array_position(p_ladder, p_value), 0)::text, 2, '0')
$function$;
comment on function private.rank(p_ladder text[], p_value text) is 'Position of a value on a ladder as two digits; 00 for a value this code does not know.';


CREATE OR REPLACE FUNCTION private.recent_drift()
 RETURNS SETOF reconciliation_drift
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select d.*
  from public.reconciliation_drift d
  -- What concerns no order of ours may be older than this shop.
  where d.order_id is not null and d.found_at > now() - interval '1 hour' and not exists (
    select 1 from public.webhook_events e
    where d.kind = 'missed_event' and e.id = d.object_id and e.delivery_count > 0
  ) and not exists (
    select 1 from public.webhook_events e
    where d.kind <> 'missed_event' and e.received_at > d.found_at - interval '1 minute'
      and e.delivered_at > d.found_at and e.payload #>> '{data,object,id}' = d.object_id
  )
$function$;
comment on function private.recent_drift() is 'What reconciliation had to fetch or repair of our orders within the last hour, and Stripe has not delivered since: reading an event or object moments before its delivery is no drift.';


CREATE OR REPLACE FUNCTION private.reconciliation_health()
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'status', private.worst_status(
      (select c.position from private.reconciliation_cursors c
        where c.name = 'events') < now() - interval '3 hours',
      exists (select 1 from private.delivery_problems() p where p.kind = 'reconciliation_drift')
    ),
    'events_read_to_at', (select c.position from private.reconciliation_cursors c where c.name = 'events'),
    'drift_last_hour', coalesce((
      select p.data -> 'last_hour' from private.delivery_problems() p where p.kind = 'reconciliation_drift'
    ), '0'),
    'repairs_last_day', (select count(*) from public.reconciliation_drift d
      where d.found_at > now() - interval '1 day')
  )
$function$;
comment on function private.reconciliation_health() is 'Health check reconciliation: how far Stripe''s events have been read, and what had to be repaired.';


CREATE OR REPLACE FUNCTION private.record_inventory_adjustment()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_delta integer := new.on_hand + new.committed;
begin
  if tg_op = 'UPDATE' then
    v_delta := v_delta - old.on_hand - old.committed;
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
  return null;
end;
$function$;
comment on function private.record_inventory_adjustment() is 'Trigger of inventory_levels: writes the ledger row for any change of on_hand + committed. Reason and actor come from the settings kct.adjustment_reason and kct.actor of the transaction.';


CREATE OR REPLACE FUNCTION private.record_order_event(p_order_id uuid, p_kind text, p_source text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS void
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  insert into public.order_events (order_id, kind, source, data) values (p_order_id, p_kind, p_source, p_data)
$function$;
comment on function private.record_order_event(p_order_id uuid, p_kind text, p_source text, p_data jsonb) is 'Adds a row to an order''s audit trail. p_data carries no personal data.';


CREATE OR REPLACE FUNCTION private.record_velocity_hits(p_risk jsonb, p_order_id uuid)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_attempt integer := (select o.attempt from public.orders o where o.id = p_order_id);
  v_recorded integer;
begin
  insert into public.fraud_signals as f (source_id, order_id, kind, severity, open, data)
  select
    -- Refused checkouts make no order. Anybody can send them, so they are counted, per subject, rule and
    -- window.
    case when p_order_id is null then concat_ws(
      ':', 'velocity', h ->> 'rule', h ->> 'subject_digest',
      floor(extract(epoch from now()) / (h ->> 'window_seconds')::integer)
    ) end,
    p_order_id, 'velocity',
    case
      when h ->> 'rule_action' = 'block' or h ->> 'alert' = 'critical' then 'critical'
      when h ->> 'rule_action' = 'review' or h ->> 'alert' = 'warning' then 'warning'
      else 'info'
    end,
    h ->> 'action' = 'review',
    (h - array['retry_after_seconds', 'alert'])
      || jsonb_strip_nulls(
        jsonb_build_object('attempt', v_attempt, 'count', case when p_order_id is null then 1 end)
      )
  from jsonb_array_elements(p_risk -> 'hits') h
  where p_order_id is null or not exists (
    select 1 from public.fraud_signals known
    where known.order_id = p_order_id and known.kind = 'velocity' and known.data ->> 'rule' = h ->> 'rule'
      and known.data ->> 'attempt' = v_attempt::text
  )
  on conflict on constraint fraud_signals_source_id_key do update
  set data = excluded.data || jsonb_build_object('count', (f.data ->> 'count')::integer + 1);
  get diagnostics v_recorded = row_count;
  return v_recorded;
end;
$function$;
comment on function private.record_velocity_hits(p_risk jsonb, p_order_id uuid) is 'One fraud_signals row per hit of an order, rule and attempt; of refused checkouts one per subject, rule and window, counted up. An open one with action review holds its order once it is paid. Returns how many are new.';


CREATE OR REPLACE FUNCTION private.recover_jobs()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  c_error constant text := 'worker died: lease ran out';
  v_job private.jobs;
begin
  perform private.lock_orders_of_refunds(array(
    select j.id from private.jobs j
    where j.kind = 'refund_payment' and j.status = 'running' and j.leased_until < now()
      and j.attempts >= j.max_attempts
  ));
  for v_job in
    select j.* from private.jobs j
    where j.status = 'running' and j.leased_until < now()
    order by j.id
    for update skip locked
  loop
    if v_job.attempts >= v_job.max_attempts then
      perform private.bury_job(v_job.id, c_error);
    else
      update private.jobs
      set status = 'queued', lease_id = null, leased_until = null, last_error = c_error,
        lost_leases = lost_leases + 1,
          run_at = case lost_leases when 0 then run_at else now() + private.backoff(attempts, kind) end
      where id = v_job.id;
    end if;
  end loop;
end;
$function$;
comment on function private.recover_jobs() is 'A lease that ran out means that its worker died: the job is due again (the first time at once), or dead once its attempts are used up.';


CREATE OR REPLACE FUNCTION private.redact(p_value jsonb, p_pattern text)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO ''
AS $function$
begin
  return case jsonb_typeof(p_value)
    when 'string' then to_jsonb(regexp_replace(p_value #>> '{}', p_pattern, '[erased]', 'gi'))
    when 'array' then (
      select coalesce(jsonb_agg(private.redact(x.value, p_pattern) order by x.position), '[]')
      from jsonb_array_elements(p_value) with ordinality as x (value, position)
    )
    when 'object' then (
      select coalesce(jsonb_object_agg(x.key, private.redact(x.value, p_pattern)), '{}')
      from jsonb_each(p_value) x
    )
    else p_value
  end;
end;
$function$;
comment on function private.redact(p_value jsonb, p_pattern text) is 'A JSON value with [erased] for whatever its texts have of the pattern.';


CREATE OR REPLACE FUNCTION private.redact_texts(p_pattern text, p_order_ids uuid[] DEFAULT NULL::uuid[])
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  r record;
  v_count integer;
  v_total integer := 0;
begin
  perform set_config('kct.erasing', 'on', true);
  for r in
    select x.table_name, a.attname, a.atttypid = 'jsonb'::regtype as json,
      exists (
        select 1 from pg_attribute o where o.attrelid = a.attrelid and o.attname = 'order_id'
      ) as of_order
    from private.retention_rules x
    join pg_attribute a on a.attrelid = x.table_name::regclass and a.attname = any (x.columns)
    where x.holds = 'text'
  loop
    continue when p_order_ids is not null and not r.of_order;
    execute format(
      case when r.json then 'update %1$s set %2$I = private.redact(%2$I, $1) where %2$I::text ~* $1'
        else 'update %1$s set %2$I = regexp_replace(%2$I, $1, ''[erased]'', ''gi'') where %2$I ~* $1' end
        || case when p_order_ids is not null then ' and order_id = any ($2)' else '' end,
      r.table_name, r.attname
    ) using p_pattern, p_order_ids;
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  perform set_config('kct.erasing', '', true);
  return v_total;
end;
$function$;
comment on function private.redact_texts(p_pattern text, p_order_ids uuid[]) is 'Removes what the pattern finds from every column that retention_rules calls text; p_order_ids: only in the rows of these orders. Returns how many values changed.';


CREATE OR REPLACE FUNCTION private.redrive_event(p_event_id text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  -- What was processed stays so until it has been tried: next_attempt_at says that it is to be.
  update public.webhook_events
  set status = case status when 'dead' then 'failed' else status end, next_attempt_at = now()
  where id = p_event_id and not payload ?| array['erased', 'purged'];
  if not found then
    raise exception
      'event % is not stored here, or its payload is gone; reconcile fetches what Stripe still has',
        p_event_id
      using errcode = 'KCEVT';
  end if;
  if not private.enqueue_job(
    'retry_event', 'retry_event:' || p_event_id, jsonb_build_object('event_id', p_event_id), now(), 10
  ) then
    perform private.requeue_job(j.id) from private.jobs j where j.dedupe_key = 'retry_event:' || p_event_id;
  end if;
end;
$function$;
comment on function private.redrive_event(p_event_id text) is 'Queues a webhook event again: it is translated anew and its facts merged. KCEVT: it is not stored, or its payload was purged or erased.';


CREATE OR REPLACE FUNCTION private.redrive_job(p_job_id bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_job private.jobs;
begin
  perform private.lock_orders_of_refunds(array[p_job_id]);
  select * into v_job from private.jobs where id = p_job_id for update;
  if not found then
    raise exception 'job % is not stored here', p_job_id using errcode = 'KCINV';
  elsif v_job.status not in ('queued', 'dead', 'discarded') then
    raise exception 'job % is not waiting, dead or discarded (status %)', p_job_id, v_job.status
      using errcode = 'KCINV';
  elsif v_job.kind = 'retry_event' then
    perform private.redrive_event(v_job.payload ->> 'event_id');
  elsif v_job.kind = 'refund_payment' then
    perform private.check_refund_redrive(v_job);
    perform private.requeue_job(p_job_id);
    perform private.resume_refund(v_job);
  else
    -- What the mail's last refusal said of it no longer holds.
    if v_job.kind = 'send_mail' then
      update public.notifications set status = 'queued'
      where id = (v_job.payload ->> 'notification_id')::uuid and status = 'failed';
    end if;
    perform private.requeue_job(p_job_id);
  end if;
end;
$function$;
comment on function private.redrive_job(p_job_id bigint) is 'Queues a waiting, dead or discarded job again. KCINV: it is done, running or unknown. KCREF: a refund that another one may stand in for, or that is more than is left.';


CREATE OR REPLACE FUNCTION private.refund_is_owed(q refund_requests)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select q.status = 'given_up' and private.refund_overtaken_by(q) is null
    and private.money_left(q.payment_id) > coalesce((
      -- One made since that failed has an alert of its own.
      select sum(r.amount) from public.refunds r
      where r.payment_id = q.payment_id and r.status in ('failed', 'canceled')
        and r.seen_at > q.created_at
    ), 0)
$function$;
comment on function private.refund_is_owed(q refund_requests) is 'Whether a refund that was given up still waits for a person: nothing stands in for it, and the customer has not got all of the payment back.';
grant execute on function private.refund_is_owed(q refund_requests) to authenticated;
grant execute on function private.refund_is_owed(q refund_requests) to service_role;


CREATE OR REPLACE FUNCTION private.refund_overtaken_by(q refund_requests)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  -- Two requests that wait side by side are two refunds. One that was made by hand and not heard of before,
  -- or asked for after this one had been given up, may be meant in its stead: nobody can know, and the
  -- customer must not get it twice.
  select case when q.amount is not null then coalesce(
    (
      select r.id from public.refunds r
      -- One that failed stands in as well: staff have an alert of its own about that money.
      where r.payment_id = q.payment_id and r.seen_at > q.created_at
        and not exists (select 1 from public.refund_requests known where known.id = r.request_id)
      order by r.created_at, r.id
      limit 1
    ),
    (
      select later.id from public.refund_requests later
      where later.payment_id = q.payment_id and later.created_at > q.given_up_at
      order by later.created_at
      limit 1
    )
  ) end
$function$;
comment on function private.refund_overtaken_by(q refund_requests) is 'The refund made in Stripe''s dashboard that was first heard of since a request, or the request made after it was given up, that may stand in for it; null when there is none. A request for all that is left is never overtaken: it gives back the rest.';
grant execute on function private.refund_overtaken_by(q refund_requests) to authenticated;
grant execute on function private.refund_overtaken_by(q refund_requests) to service_role;


CREATE OR REPLACE FUNCTION private.refund_request_id(p_cause text, p_payment_id text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  -- The customer reads it with their refund, and need not read there that the shop was warned of them.
  select case p_cause when 'fraudulent' then 'shop' else p_cause end || ':' || p_payment_id
$function$;
comment on function private.refund_request_id(p_cause text, p_payment_id text) is 'The id of the refund that settling asks for, once per payment and cause.';


CREATE OR REPLACE FUNCTION private.refund_tried_again(r refunds)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  -- What failed first is made good first. What waited when r had failed is the greatest sum, over all
  -- failures up to it, of what failed since less what was given back between.
  select coalesce((
    select sum(later.amount) from public.refunds later
    where later.payment_id = r.payment_id and later.created_at > r.failed_at
  ), 0) >= (
    select max((
      select sum(f.amount) from public.refunds f
      where f.payment_id = r.payment_id and (f.failed_at, f.id) between (first.failed_at, first.id)
        and (r.failed_at, r.id)
    ) - coalesce((
      select sum(made.amount) from public.refunds made
      where made.payment_id = r.payment_id and made.created_at > first.failed_at
        and made.created_at <= r.failed_at
    ), 0))
    from public.refunds first
    where first.payment_id = r.payment_id and (first.failed_at, first.id) <= (r.failed_at, r.id)
  )
$function$;
comment on function private.refund_tried_again(r refunds) is 'Whether the money of a refund that failed has been given back anew since, whatever became of that: what failed too waits by itself. What was given back before the failure does not count, and one refund makes good one.';
grant execute on function private.refund_tried_again(r refunds) to authenticated;
grant execute on function private.refund_tried_again(r refunds) to service_role;


CREATE OR REPLACE FUNCTION private.refundable_amount(p_payment_id text, p_except text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  v_received bigint := (
    select p.amount_received from public.payments p where p.id = p_payment_id and p.status = 'succeeded'
  );
  v_live bigint;
  v_queued bigint;
  v_all_queued boolean;
begin
  select coalesce(sum(r.amount), 0) into v_live
  from public.refunds r
  where r.payment_id = p_payment_id and r.status not in ('failed', 'canceled');

  select coalesce(sum(q.amount), 0), coalesce(bool_or(q.amount is null), false) into v_queued, v_all_queued
  from public.refund_requests q
  where q.payment_id = p_payment_id and q.status = 'queued' and q.id is distinct from p_except
    and not exists (select 1 from public.refunds r where r.request_id = q.id);
  return case when v_all_queued then 0 else coalesce(v_received, 0) - v_live - v_queued end;
end;
$function$;
comment on function private.refundable_amount(p_payment_id text, p_except text) is 'Minor units of a payment that can still be refunded; what is asked for and can still run counts as given back, except the request p_except. Call with the order locked.';


CREATE OR REPLACE FUNCTION private.refunds_on_warning(f fraud_signals, o orders)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_answer text := f.answer;
begin
  if v_answer is null then
    v_answer := case
      when o.fulfilled_at is null and private.setting('early_fraud_warning_policy') = '"refund"' then 'refund'
      else 'review'
    end;
    update public.fraud_signals set answer = v_answer where id = f.id;
  end if;
  return v_answer = 'refund' and f.released_at is null and o.fulfilled_at is null;
end;
$function$;
comment on function private.refunds_on_warning(f fraud_signals, o orders) is 'Whether an actionable early fraud warning gives the money back by itself: nothing has shipped, nobody has released it, and the policy said so when the warning was first seen actionable, which is noted here. Otherwise a person decides.';


CREATE OR REPLACE FUNCTION private.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  -- An erasure takes a person's words out of a row, and changes nothing else. No API role may update at all.
  if tg_op = 'UPDATE' and current_setting('kct.erasing', true) = 'on' then
    return new;
  end if;
  raise exception '% is append-only', tg_table_name using errcode = 'KCAPP';
end;
$function$;
comment on function private.refuse_change() is 'Trigger of append-only tables: refuses update and delete with SQLSTATE KCAPP, but for what erase_person() removes.';


CREATE OR REPLACE FUNCTION private.refuse_disputed(p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  d record;
begin
  select x.id, o.number, x.evidence_due_by into d
  from public.disputes x join public.orders o on o.id = x.order_id
  where x.order_id = any (p_order_ids)
    and x.status in ('needs_response', 'warning_needs_response', 'appeal_needs_response')
  order by x.evidence_due_by limit 1;
  if found then
    raise exception 'dispute % of order % still needs this data as evidence (due %)', d.id, d.number,
      d.evidence_due_by
      using errcode = 'KCINV',
        hint = 'Call submit_dispute_evidence(), or accept the dispute in Stripe''s dashboard; then erase '
               'again.';
  end if;
end;
$function$;
comment on function private.refuse_disputed(p_order_ids uuid[]) is 'KCINV while a dispute of one of these orders waits for evidence: defending a claim goes before erasure (GDPR article 17(3)(e)).';


CREATE OR REPLACE FUNCTION private.refuse_lost_hold()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  raise exception 'this order holds or owns goods: cancel it, its stock goes back by itself'
    using errcode = 'KCSTK';
end;
$function$;
comment on function private.refuse_lost_hold() is 'Trigger of inventory_reservations: a hold that is deleted, alone or with its order, would leave goods that nobody has and nobody can sell.';


CREATE OR REPLACE FUNCTION private.refuse_refund_amount(p_amount bigint, p_currency text)
 RETURNS void
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO ''
AS $function$
begin
  if p_amount is not null and private.amount_problem(p_amount, p_currency) is not null then
    raise exception 'a refund of % is not one that Stripe takes: %', p_amount,
      private.amount_problem(p_amount, p_currency)
      using errcode = 'KCREF';
  end if;
end;
$function$;
comment on function private.refuse_refund_amount(p_amount bigint, p_currency text) is 'Raises KCREF for an amount that Stripe does not refund in this currency. Null, all that is left, is Stripe''s own figure.';


CREATE OR REPLACE FUNCTION private.refuse_shortage(p_wanted jsonb)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  v_short jsonb;
begin
  select jsonb_agg(jsonb_build_object(
    'sku', w.sku, 'requested', w.quantity, 'available', private.shown_stock(l.on_hand - l.reserved)
  ) order by w.sku collate "C")
  into v_short
  from jsonb_to_recordset(p_wanted) as w (variant_id uuid, sku text, quantity integer)
  left join public.inventory_levels l on l.variant_id = w.variant_id
  where coalesce(l.on_hand - l.reserved, 0) < w.quantity;
  if v_short is not null then
    raise exception 'not enough stock' using errcode = 'KCSTK', detail = v_short::text;
  end if;
end;
$function$;
comment on function private.refuse_shortage(p_wanted jsonb) is 'Raises KCSTK with [{ sku, requested, available }] when stock does not cover [{ variant_id, sku, quantity }]. Call with the rows locked.';


CREATE OR REPLACE FUNCTION private.reopen_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_currency text;
  v_gone jsonb;
  v_cart jsonb;
begin
  select currency into v_currency from public.orders where id = p_order_id;
  select jsonb_agg(
    jsonb_build_object('sku', i.sku, 'requested', i.quantity, 'available', 0) order by i.sku collate "C"
  ) into v_gone
  from public.order_items i
  join public.product_variants v on v.id = i.variant_id
  join public.products p on p.id = v.product_id
  where i.order_id = p_order_id and (not v.active or not p.active or v.currency <> v_currency);
  if v_gone is not null then
    raise exception 'no longer sold' using errcode = 'KCSTK', detail = v_gone::text;
  end if;

  perform private.reserve_stock(p_order_id, now() + make_interval(secs => p_hold_seconds));
  -- Today's prices and names: the shopper sees them on the new payment page, and an old order is no way to an
  -- old price. The lines stay its own: their goods are known by variant, and their SKU is the one that was
  -- asked for.
  select private.price_lines(jsonb_agg(
    jsonb_build_object('variant_id', i.variant_id, 'sku', i.sku, 'quantity', i.quantity)
  ))
  into v_cart
  from public.order_items i where i.order_id = p_order_id;
  update public.order_items i set unit_amount = l.unit_amount, name = l.name
  from jsonb_to_recordset(v_cart -> 'lines') as l (variant_id uuid, name text, unit_amount bigint)
  where i.order_id = p_order_id and i.variant_id = l.variant_id
    and (i.unit_amount, i.name) is distinct from (l.unit_amount, l.name);
  update public.orders set
    attempt = attempt + 1,
    session_expires_at = now() + make_interval(secs => p_session_seconds),
    prices_include_tax = coalesce((private.setting('prices_include_tax'))::boolean, false),
    shipping_rates = private.offered_shipping_rates(currency),
    abandoned_at = null,
    cart_hash = v_cart ->> 'hash',
    amount_subtotal = (v_cart ->> 'amount')::bigint,
    amount_total = (v_cart ->> 'amount')::bigint
  where id = p_order_id;
  perform private.record_order_event(
    p_order_id, 'checkout_reopened', 'checkout', jsonb_build_object('amount_subtotal', v_cart -> 'amount')
  );
  perform private.settle_order(p_order_id, 'checkout');
end;
$function$;
comment on function private.reopen_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer) is 'A new attempt of an unpaid order at today''s prices: holds stock again (KCSTK when it is gone or no longer sold) and counts up the attempt. The caller has locked the order.';


CREATE OR REPLACE FUNCTION private.requeue_job(p_job_id bigint)
 RETURNS void
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  -- Who asks for another try believes that the cause is gone: the provider is asked at once.
  update private.circuit_breakers b set open_until = now()
  from private.jobs j join private.job_kinds k on k.kind = j.kind
  where j.id = p_job_id and b.provider = k.provider and b.open_until > now();
  update private.jobs
  set status = 'queued', run_at = now(), attempts = 0, lost_leases = 0, finished_at = null, lease_id = null,
    leased_until = null
  where id = p_job_id
    and (status in ('queued', 'dead', 'discarded') or (status = 'done' and kind = 'retry_event'))
$function$;
comment on function private.requeue_job(p_job_id bigint) is 'Makes a waiting, dead or discarded job due now, with all its attempts; that of an event also when it is done.';


CREATE OR REPLACE FUNCTION private.reserve_stock(p_order_id uuid, p_expires_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
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

  select coalesce(
    jsonb_agg(jsonb_build_object('variant_id', i.variant_id, 'sku', i.sku, 'quantity', i.quantity)), '[]'
  )
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


CREATE OR REPLACE FUNCTION private.restock_answer(p_command_id uuid, p_command text, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  if p_command <> 'request_refund' or p_args -> 'restock' is distinct from 'true' then
    return '{}';
  elsif (select q.restock from public.refund_requests q where q.id = p_command_id::text) then
    return jsonb_build_object('restock', true);
  end if;
  return jsonb_build_object(
    'restock', false,
    'notice', 'Nothing was put back on the shelf: only a refund of all that is left does that. '
      || 'When the goods of the whole order have come back, call receive_return().'
  );
end;
$function$;
comment on function private.restock_answer(p_command_id uuid, p_command text, p_args jsonb) is 'What request_refund with p_restock answers about the goods: whether they go back with this refund, and if not, why and what does.';


CREATE OR REPLACE FUNCTION private.restock_due(o orders)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select exists (
    select 1
    from public.refunds r left join public.refund_requests q on q.id = r.request_id
    where r.payment_id = o.payment_id and r.succeeded_at is not null and (
      q.restock
      -- A warning stops parcels that have not left. By its name: the refund may be heard of before the
      -- warning.
      or (r.request_id = private.refund_request_id('fraudulent', r.payment_id) and o.fulfilled_at is null)
    )
  ) or exists (
    -- Somebody had given back all of it by hand before the job ran: what was asked for is true, once that
    -- money has left.
    select 1 from public.refund_requests q
    where q.order_id = o.id and q.payment_id = o.payment_id and q.status = 'not_needed'
      and (q.restock or (q.cause = 'fraudulent' and o.fulfilled_at is null))
      and o.amount_paid <= (
        select coalesce(sum(r.amount), 0) from public.refunds r
        where r.payment_id = o.payment_id and r.succeeded_at is not null
      )
  )
$function$;
comment on function private.restock_due(o orders) is 'Whether a refund that asked for it has put the goods of an order back on the shelf. Once true it stays so: a refund that bounces afterwards moves no goods.';


CREATE OR REPLACE FUNCTION private.resume_refund(p_job private.jobs)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  update public.refund_requests set status = 'queued', given_up_at = null
  where id = p_job.payload ->> 'refund_request_id' and status <> 'done';
  if found then
    perform private.settle_order((p_job.payload ->> 'order_id')::uuid, 'staff');
  end if;
end;
$function$;
comment on function private.resume_refund(p_job private.jobs) is 'A refund that was given up runs again: its money counts as given back once more.';


CREATE OR REPLACE FUNCTION private.retention(p_setting text)
 RETURNS interval
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select make_interval(days => (private.setting('retention_' || p_setting || '_days'))::integer)
$function$;
comment on function private.retention(p_setting text) is 'A retention setting as an interval.';


CREATE OR REPLACE FUNCTION private.review_reasons(o orders, s checkout_sessions, p payments)
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  return array_remove(array[
    case when s.metadata_order_id <> o.id or p.metadata_order_id <> o.id then 'order_mismatch' end,
    case when s.currency is distinct from o.currency or p.currency <> o.currency
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded'
          and a.currency is distinct from o.currency
      ) then 'currency_mismatch' end,
    case when s.amount_subtotal is distinct from o.amount_subtotal
      or s.amount_total is distinct from
        s.amount_subtotal - s.amount_discount + s.amount_shipping
        + case when o.prices_include_tax then 0 else s.amount_tax end
      or (s.payment_id is null and s.amount_total <> 0)
      or (s.payment_status = 'no_payment_required' and (s.amount_total <> 0 or s.payment_id is not null))
      or p.amount <> s.amount_total
      or p.amount_received <> s.amount_total
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded'
          and a.amount is distinct from s.amount_total
      ) then 'amount_mismatch' end,
    case when s.livemode <> o.livemode or p.livemode <> o.livemode
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded' and a.livemode <> o.livemode
      ) then 'livemode_mismatch' end,
    case when s.cart_hash is distinct from o.cart_hash then 'cart_mismatch' end,
    case when p.order_id <> o.id then 'payment_of_another_order' end
  ], null);
end;
$function$;
comment on function private.review_reasons(o orders, s checkout_sessions, p payments) is 'Compares the kept session and payment with the frozen order. Empty: the money is right. Shipping, tax and discount are accepted as Stripe computed them, as long as the sum holds.';


CREATE OR REPLACE FUNCTION private.risk_of(p_order_id uuid)
 RETURNS order_risk
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  return (select k from public.order_risk k where k.order_id = p_order_id);
end;
$function$;
comment on function private.risk_of(p_order_id uuid) is 'The order_risk row of an order.';


CREATE OR REPLACE FUNCTION private.run_add_variant(p_args jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_product_id uuid;
  v_variant_id uuid;
  v_price_amount bigint := (p_args ->> 'price_amount')::bigint;
  v_currency text := lower(p_args ->> 'currency');
  v_on_hand integer := coalesce((p_args ->> 'on_hand')::integer, 0);
begin
  select id into v_product_id from public.products where slug = p_args ->> 'product_slug';
  if not found then
    raise exception 'there is no product %', p_args ->> 'product_slug' using errcode = 'KCINV';
  elsif private.amount_problem(v_price_amount, v_currency) is not null then
    raise exception 'price_amount %', private.amount_problem(v_price_amount, v_currency)
      using errcode = 'KCINV';
  elsif v_on_hand < 0 then
    raise exception 'on_hand must not be negative' using errcode = 'KCINV';
  elsif exists (select 1 from public.product_variants where sku = p_args ->> 'sku') then
    raise exception 'sku % exists already', p_args ->> 'sku' using errcode = 'KCINV';
  end if;
  insert into public.product_variants (product_id, sku, size, color, price_amount, currency)
  values (v_product_id, p_args ->> 'sku', p_args ->> 'size', p_args ->> 'color', v_price_amount, v_currency)
  returning id into v_variant_id;
  insert into public.inventory_levels (variant_id, on_hand) values (v_variant_id, v_on_hand);
end;
$function$;
comment on function private.run_add_variant(p_args jsonb) is 'Carries out add_variant: the variant and its stock row. KCINV: no such product, the SKU exists, or a price that Stripe refuses.';


CREATE OR REPLACE FUNCTION private.run_adjust_inventory(p_args jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_variant_id uuid;
  v_delta integer := (p_args ->> 'delta')::integer;
begin
  select id into v_variant_id from public.product_variants where sku = p_args ->> 'sku';
  if not found then
    raise exception 'unknown sku %', p_args ->> 'sku'
      using errcode = 'KCSKU', detail = jsonb_build_array(p_args ->> 'sku')::text;
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
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
begin
  if o.fulfilled_at is not null then
    raise exception 'order % has been shipped; refund it instead', o.number using errcode = 'KCINV';
  elsif o.status = 'refunded' and o.cancelled_at is null then
    -- The money is back already, and the customer knows: what is left to do is the goods.
    update public.orders set restocked_at = coalesce(restocked_at, now()) where id = o.id;
    perform private.settle_order(o.id, 'staff');
    return o.id;
  end if;
  update public.orders set cancelled_at = coalesce(cancelled_at, now()) where id = o.id;
  perform private.settle_order(o.id, 'staff');
  return o.id;
end;
$function$;
comment on function private.run_cancel_order(p_args jsonb) is 'Carries out cancel_order: settling expires open sessions and refunds what was paid. Of an order that is refunded already only the goods go back. KCINV: already shipped.';


CREATE OR REPLACE FUNCTION private.run_erase_customer(p_command_id uuid, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_count jsonb;
  v_found boolean;
begin
  -- The log of an erasure must not keep the address.
  update public.staff_commands set args = '{}' where id = p_command_id;
  v_count := private.erase_person(p_args ->> 'email');
  v_found := exists (select 1 from jsonb_each(v_count) c where c.value <> '0');
  return jsonb_build_object('ok', v_found, 'found', v_found, 'erased', v_count)
    || case when not v_found then jsonb_build_object(
      'problem',
      'Nobody is known under this address: nothing was erased. Compare the spelling with the order.'
    ) else '{}' end;
end;
$function$;
comment on function private.run_erase_customer(p_command_id uuid, p_args jsonb) is 'Carries out erase_customer, and answers with counts: { ok, found, erased: { orders, customers, stripe_customers, events, texts }, problem? }; found false: nobody is known, and nothing was changed. KCINV: a dispute still needs the data.';


CREATE OR REPLACE FUNCTION private.run_mark_fulfilled(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_carrier text := coalesce(p_args ->> 'carrier', o.carrier);
  v_tracking text := coalesce(p_args ->> 'tracking_number', o.tracking_number);
  v_data jsonb := jsonb_build_object('carrier', v_carrier, 'tracking_number', v_tracking);
begin
  if o.fulfilled_at is not null then
    if (v_carrier, v_tracking) is not distinct from (o.carrier, o.tracking_number) then
      raise exception 'order % has shipped already', o.number
        using errcode = 'KCINV', hint = 'To correct the parcel, give another carrier or tracking number.';
    end if;
    update public.orders set carrier = v_carrier, tracking_number = v_tracking where id = o.id;
    -- A number that nobody has been told yet needs no correction: the mail that waits is not sent, this one
    -- is.
    perform private.queue_notification(o.id, 'order_shipped', 'corrected:' || p_command_id, v_data
      || jsonb_build_object(
      'corrected', exists (
        select 1 from public.notifications n
        where n.order_id = o.id and n.template = 'order_shipped' and n.status = 'sent'
      )
    ));
    return o.id;
  elsif o.fulfillment_status <> 'unfulfilled' or o.status not in ('paid', 'partially_refunded') then
    raise exception 'order % must not ship (status %, fulfilment %)', o.number, o.status, o.fulfillment_status
      using errcode = 'KCINV', hint = case when o.fulfillment_status = 'on_hold'
        then format(
          'Held by: %s. See reporting.orders_needing_attention.',
          array_to_string(private.hold_reasons(o), ', ')
        )
        else 'Only an order that is paid and neither held, cancelled nor refunded is sent.' end;
  end if;
  update public.orders
  set fulfilled_at = now(), carrier = v_carrier, tracking_number = v_tracking
  where id = o.id;
  perform private.settle_order(o.id, 'staff');
  -- The number goes with the mail: tried again, it must be the same mail.
  perform private.queue_notification(o.id, 'order_shipped', '', v_data);
  return o.id;
end;
$function$;
comment on function private.run_mark_fulfilled(p_command_id uuid, p_args jsonb) is 'Carries out mark_fulfilled: notes carrier and tracking number, queues the mail. Of an order that has shipped it corrects them, and mails each correction once. KCINV: unpaid, held or cancelled; shipped already and nothing to correct.';


CREATE OR REPLACE FUNCTION private.run_receive_return(p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
begin
  if jsonb_typeof(p_args -> 'lines') <> 'null' then
    raise exception 'goods come back all together; single lines are not supported' using errcode = 'KCINV';
  elsif o.restocked_at is not null then
    raise exception 'the goods of order % are back on the shelf already', o.number using errcode = 'KCINV';
  elsif o.fulfilled_at is null and o.status <> 'refunded' then
    raise exception 'order % has not shipped (status %); cancel it instead', o.number, o.status
      using errcode = 'KCINV';
  end if;
  update public.orders set restocked_at = now() where id = o.id;
  perform private.settle_order(o.id, 'staff');
  return o.id;
end;
$function$;
comment on function private.run_receive_return(p_args jsonb) is 'Carries out receive_return: the goods of a shipped or refunded order go back on the shelf, once, whatever became of its money. KCINV: back already, or never sent.';


CREATE OR REPLACE FUNCTION private.run_release_review(p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_reasons text[] := (private.risk_of(o.id)).review_reasons;
  v_held text[] := private.hold_reasons(o);
begin
  if not (
    o.status = 'needs_review'
    or (o.fulfillment_status = 'on_hold' and v_held && array['refund_failed', 'refund_refused'])
  )
    or 'oversold' = any (v_reasons) then
    raise exception 'order % is not held for review (status %, fulfilment %)', o.number, o.status,
      o.fulfillment_status
      using errcode = 'KCINV', hint = case when 'oversold' = any (v_reasons)
        then 'An oversold order is refunded by itself and cannot be released.'
        else 'What waits for a person stands in reporting.orders_needing_attention.' end;
  elsif 'refund_under_way' = any (v_held) then
    raise exception 'all the money of order % is on its way back', o.number using errcode = 'KCINV';
  end if;
  -- What is known now, and no more: what comes later, staff have not looked at.
  insert into private.released_mismatches (order_id, session_id, reason)
  select o.id, cs.id, reason
  from public.checkout_sessions cs
  left join public.payments p on p.id = cs.payment_id
  cross join unnest(private.unreleased_mismatches(o.id, cs.id, private.review_reasons(o, cs, p))) reason
  where cs.id = o.session_id;
  update public.fraud_signals f set released_at = now() where f.order_id = o.id and private.holds_order(f);
  update public.refunds r set released_at = now()
  where r.payment_id = o.payment_id and r.status in ('failed', 'canceled') and r.released_at is null;
  -- It may ship: all of its money is not to go back any more.
  update public.refund_requests q set status = 'not_needed', given_up_at = null, restock = false
  where q.payment_id = o.payment_id and q.amount is null and q.status = 'given_up';
  update public.alerts set status = 'resolved'
  where dedupe_key = private.mismatch_alert(o.id) and status <> 'resolved';
  update public.order_risk set review_released_at = now() where order_id = o.id;
  perform private.settle_order(o.id, 'staff');
  return o.id;
end;
$function$;
comment on function private.run_release_review(p_args jsonb) is 'Carries out release_review: a person has looked at what holds the order now, and it may ship. A sign of fraud or a mismatch that turns up later holds it again. KCINV: nothing to release, or its money is on its way back.';


CREATE OR REPLACE FUNCTION private.run_request_refund(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_refundable bigint := private.refundable_amount(o.payment_id);
  v_amount bigint := coalesce((p_args ->> 'amount')::bigint, v_refundable);
  v_full boolean := v_amount = v_refundable;
begin
  if o.paid_at is null or o.amount_paid = 0 then
    raise exception 'order % has no money to give back (status %)', o.number, o.status
      using errcode = 'KCREF', hint = 'An order that is not paid is ended by cancel_order().';
  elsif v_refundable < 1 then
    raise exception 'all the money of order % has been given back, or is on its way', o.number
      using errcode = 'KCREF', hint = 'Refunds under way count as given back.';
  elsif v_amount < 1 or v_amount > v_refundable then
    raise exception 'order % can be refunded by 1 to % (minor units of %), not %', o.number, v_refundable,
      o.currency, v_amount
      using errcode = 'KCREF', hint = 'Refunds under way count as given back.';
  end if;
  perform private.refuse_refund_amount(case when not v_full then v_amount end, o.currency);
  update public.orders set decided_payment_id = coalesce(decided_payment_id, payment_id) where id = o.id;
  perform private.ask_refund(
    p_command_id::text, o.id, o.payment_id, case when not v_full then v_amount end, 'requested',
    coalesce(p_args ->> 'reason', 'requested_by_customer'),
    v_full and coalesce((p_args ->> 'restock')::boolean, false)
  );
  return o.id;
end;
$function$;
comment on function private.run_request_refund(p_command_id uuid, p_args jsonb) is 'Carries out request_refund: queues one refund. Asked for all that is left, it gives back the rest, whatever is refunded by hand meanwhile. KCREF: more than is left, or nothing is.';


CREATE OR REPLACE FUNCTION private.run_resend_notification(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  n public.notifications;
  v_problem text;
begin
  select * into n from public.notifications x
  where x.order_id = o.id and x.template = p_args ->> 'template'
  order by x.created_at desc, x.id limit 1;
  if not found then
    raise exception 'order % has had no mail %; it has had: %', o.number, p_args ->> 'template', coalesce(
      (select string_agg(distinct x.template, ', ') from public.notifications x where x.order_id = o.id),
        'none'
    ) using errcode = 'KCINV';
  end if;
  n.status := 'queued';
  if n.template = 'order_shipped' then
    n.data := (n.data - 'corrected')
      || jsonb_build_object('carrier', o.carrier, 'tracking_number', o.tracking_number);
  end if;
  v_problem := private.notification_problem(n, o);
  if v_problem is not null then
    raise exception 'mail % of order % must not be sent again: %', n.template, o.number, v_problem
      using errcode = 'KCINV';
  end if;
  perform private.queue_notification(o.id, n.template, 'resend:' || p_command_id, n.data);
  return o.id;
end;
$function$;
comment on function private.run_resend_notification(p_command_id uuid, p_args jsonb) is 'Carries out resend_notification: queues a mail that the order has had before once more. KCINV: it never had it, or what it says is not true any more.';


CREATE OR REPLACE FUNCTION private.run_staff_command()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_order_id uuid;
  v_answer jsonb := '{}';
begin
  -- Not before the insert: what the policies refuse is not told what a command understands.
  new.args := private.clean_staff_args(new.command, new.args);
  update public.staff_commands c set args = new.args where c.id = new.id and c.args <> new.args;
  perform set_config('kct.actor', new.actor, true);
  case new.command
    when 'request_refund' then v_order_id := private.run_request_refund(new.id, new.args);
    when 'cancel_order' then v_order_id := private.run_cancel_order(new.args);
    when 'release_review' then v_order_id := private.run_release_review(new.args);
    when 'mark_fulfilled' then v_order_id := private.run_mark_fulfilled(new.id, new.args);
    when 'submit_dispute_evidence' then v_order_id := private.run_submit_dispute_evidence(new.id, new.args);
    when 'resend_notification' then v_order_id := private.run_resend_notification(new.id, new.args);
    when 'redrive_webhook_event' then perform private.redrive_event(new.args ->> 'event_id');
    when 'redrive_job' then perform private.redrive_job((new.args ->> 'job_id')::bigint);
    when 'erase_customer' then v_answer := private.run_erase_customer(new.id, new.args);
    when 'adjust_inventory' then perform private.run_adjust_inventory(new.args);
    when 'receive_return' then v_order_id := private.run_receive_return(new.args);
    when 'add_variant' then perform private.run_add_variant(new.args);
  end case;
  update public.staff_commands c
  set order_id = v_order_id,
      result = jsonb_build_object(
        'ok', true, 'status', (select o.status from public.orders o where o.id = v_order_id)
      )
        || private.restock_answer(new.id, new.command, new.args) || v_answer
  where c.id = new.id;
  if v_order_id is not null then
    perform private.record_order_event(
      v_order_id, new.command, 'staff', jsonb_build_object('command_id', new.id, 'actor', new.actor)
    );
    perform private.settle_order(v_order_id, 'staff');
  end if;
  return null;
end;
$function$;
comment on function private.run_staff_command() is 'Trigger of staff_commands: carries the command out, notes the result and the audit row. An error undoes the insert as well.';


CREATE OR REPLACE FUNCTION private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  d public.disputes;
begin
  select * into d from public.disputes where id = p_args ->> 'dispute_id' for no key update;
  if not found then
    raise exception 'there is no dispute %', p_args ->> 'dispute_id' using errcode = 'KCINV';
  elsif d.status not in ('needs_response', 'warning_needs_response', 'appeal_needs_response') then
    raise exception 'dispute % does not wait for evidence (status %)', d.id, d.status using errcode = 'KCINV';
  elsif exists (
    select 1 from private.jobs j
    where j.kind = 'submit_dispute_evidence' and j.status in ('queued', 'running')
      and j.payload ->> 'dispute_id' = d.id and j.payload -> 'submit' = 'true'
  ) then
    raise exception 'evidence for dispute % is on its way already', d.id
      using errcode = 'KCINV', hint = 'Stripe takes evidence once; what was submitted cannot be changed.';
  end if;
  perform private.enqueue_job(
    'submit_dispute_evidence', 'submit_dispute_evidence:' || p_command_id,
    jsonb_build_object('dispute_id', d.id, 'note', p_args ->> 'note', 'submit', true), now(), 20
  );
  return d.order_id;
end;
$function$;
comment on function private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb) is 'Carries out submit_dispute_evidence: queues the submission. KCINV: no such dispute, it does not wait for a response, or evidence is on its way.';


CREATE OR REPLACE FUNCTION private.schedule_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  v_runs jsonb := '{}';
  v_answers jsonb := '{}';
begin
  -- Only where Supabase's scheduler is installed; dynamic, because elsewhere the tables do not exist.
  if to_regclass('cron.job_run_details') is not null then
    execute $sql$
      select jsonb_build_object(
        'runs_failed', count(*) filter (where d.status = 'failed'),
        'last_run_at', max(d.start_time)
      )
      from cron.job_run_details d join cron.job j on j.jobid = d.jobid
      where j.jobname = 'retry-jobs' and d.start_time > now() - interval '1 hour'
    $sql$ into v_runs;
  end if;
  if to_regclass('net._http_response') is not null then
    execute $sql$
      select jsonb_build_object(
        'calls_failed',
        count(*) filter (
          where r.timed_out or r.error_msg is not null or r.status_code not between 200 and 299
        ),
        'calls', count(*)
      )
      from net._http_response r where r.created > now() - interval '15 minutes'
    $sql$ into v_answers;
  end if;
  return jsonb_build_object('status', private.worst_status(
    (v_runs ->> 'runs_failed')::integer > 0,
    -- A single slow answer is noise; most of them failing is a wrong key or address.
    (v_answers ->> 'calls_failed')::integer > (v_answers ->> 'calls')::integer / 2
  )) || v_runs || v_answers;
end;
$function$;
comment on function private.schedule_health() is 'Health check schedule: failed runs of pg_cron and failed calls of pg_net; ok where there is neither.';


CREATE OR REPLACE FUNCTION private.schedule_jobs()
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_relation text;
begin
  if not private.has_scheduler() then
    return false;
  end if;
  -- By name: scheduling again replaces the entry.
  execute $sql$ select cron.schedule('retry-jobs', '* * * * *', 'select private.call_retry_jobs()') $sql$;
  -- pg_net keeps the headers of what it has not sent yet, and with them the key. Its schema is not exposed,
  -- and API roles have no business there either way.
  foreach v_relation in array array[
    'net.http_request_queue', 'net._http_response', 'vault.secrets', 'vault.decrypted_secrets',
    'cron.job', 'cron.job_run_details'
  ] loop
    if to_regclass(v_relation) is not null then
      begin
        execute format('revoke all on %s from public, anon, authenticated', v_relation);
      exception when insufficient_privilege then
        null;
      end;
      if has_table_privilege('anon', v_relation, 'select')
        or has_table_privilege('authenticated', v_relation, 'select') then
        raise warning '% can be read by API roles and belongs to another role: keep its schema out of the '
                      'exposed schemas', v_relation;
      end if;
    end if;
  end loop;
  return true;
end;
$function$;
comment on function private.schedule_jobs() is 'Schedules retry-jobs once a minute where there is a scheduler, and shuts API roles out of the tables that hold keys. Returns false where there is none.';


CREATE OR REPLACE FUNCTION private.set_schedule_target(p_url text, p_key text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  r record;
  v_id uuid;
begin
  if not private.has_scheduler() then
    raise exception 'this database has no pg_cron, pg_net and Vault' using errcode = 'KCINV',
      hint = 'Enable the extensions in the Supabase dashboard, or call retry-jobs from another scheduler.';
  end if;
  for r in select *
    from (values ('retry_jobs_url', p_url), ('retry_jobs_key', p_key)) as secret (name, value) loop
    execute 'select id from vault.secrets where name = $1' into v_id using r.name;
    if v_id is null then
      execute 'select vault.create_secret($1, $2)' using r.value, r.name;
    else
      execute 'select vault.update_secret($1, $2)' using v_id, r.value;
    end if;
  end loop;
  perform private.schedule_jobs();
end;
$function$;
comment on function private.set_schedule_target(p_url text, p_key text) is 'Notes in Vault where retry-jobs is and which secret key opens it, and (re)schedules it. For deno task setup. KCINV: no scheduler here.';


CREATE OR REPLACE FUNCTION private.setting(p_key text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select value from private.settings where key = p_key
$function$;
comment on function private.setting(p_key text) is 'Value of a switch in private.settings, or null.';


CREATE OR REPLACE FUNCTION private.settle_customer(o orders, s checkout_sessions)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_id uuid := o.customer_id;
begin
  if s.stripe_customer_id is null then
    return v_id;
  end if;
  if v_id is null then
    -- By another order of the same buyer as well: the row forgets the id of a deleted Stripe customer.
    select coalesce(
      (select c.id from public.customers c where c.stripe_customer_id = s.stripe_customer_id),
      (
        select other.customer_id
        from public.checkout_sessions cs
        join public.orders other on other.id = cs.order_id and other.session_id = cs.id
        where cs.stripe_customer_id = s.stripe_customer_id and other.customer_id is not null
        limit 1
      )
    ) into v_id;
    if v_id is null then
      insert into public.customers (email, name, stripe_customer_id, livemode)
      values (s.email, s.name, s.stripe_customer_id, s.livemode)
      on conflict on constraint customers_stripe_customer_id_key do update
        set email = coalesce(customers.email, excluded.email)
      returning id into v_id;
      perform private.settle_stripe_customer(s.stripe_customer_id);
    end if;
    return v_id;
  end if;
  update public.customers c
  set stripe_customer_id = s.stripe_customer_id
  where c.id = v_id and c.stripe_customer_id is null and c.livemode = s.livemode
    and not exists (
      select 1 from public.customers other where other.stripe_customer_id = s.stripe_customer_id
    )
    and not exists (
      select 1
      from private.stripe_customers gone where gone.id = s.stripe_customer_id and gone.deleted_at is not null
    );
  return v_id;
end;
$function$;
comment on function private.settle_customer(o orders, s checkout_sessions) is 'The customer row of a paid order: the account that ordered, or the guest whom Stripe knows. A deleted Stripe customer is not linked again. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_effects(o orders, p_mismatches text[], p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  r record;
begin
  if o.session_id is not null then
    perform private.settle_paid_effects(o, p_mismatches, p_source);
  end if;

  -- A shopper must not be able to pay what was cancelled, or pay twice. Not only sessions that look open:
  -- which do depends on the order of events, and the job is content with one that has ended.
  for r in
    select cs.id from public.checkout_sessions cs
    where cs.order_id = o.id and (
      o.cancelled_at is not null
      or exists (
        select 1
        from public.checkout_sessions other
        left join public.payments p on p.id = other.payment_id
        where other.order_id = o.id and other.id <> cs.id and other.status = 'complete'
          and (other.payment_status in ('paid', 'no_payment_required') or p.status = 'succeeded')
      )
    )
  loop
    perform private.enqueue_job(
      'expire_checkout_session', 'expire_checkout_session:' || r.id,
      jsonb_build_object('session_id', r.id, 'order_id', o.id), now(), 30
    );
  end loop;

  for r in select cs.id
    from public.checkout_sessions cs where cs.order_id = o.id and cs.async_payment_failed loop
    perform private.queue_notification(o.id, 'payment_failed', r.id);
  end loop;

  perform private.settle_refund_effects(o, p_source);
  perform private.settle_risk_effects(o, p_source);
  perform private.settle_risk_alerts(o, p_mismatches);
end;
$function$;
comment on function private.settle_effects(o orders, p_mismatches text[], p_source text) is 'Side effects of a settled order: jobs, mails, alerts. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_order(p_order_id uuid, p_source text)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  o public.orders;
  v_before public.orders;
  k public.order_risk;
  s public.checkout_sessions;
  p public.payments;
  v_under_way public.checkout_sessions;
  v_sessions record;
  v_paid boolean;
  v_nothing_to_ship boolean;
  v_target text;
  v_mismatches text[] := '{}';
begin
  select * into o from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  v_before := o;
  k := private.risk_of(o.id);

  s := private.kept_session(o.id);
  o.session_id := s.id;
  o.payment_id := s.payment_id;
  v_paid := s.id is not null;

  select
    -- A state that this code does not know holds the stock: it must not be taken for an end.
    count(*) filter (where cs.status not in ('complete', 'expired')) as open,
    count(*) filter (
      where cs.status = 'complete' and cs.payment_status not in ('paid', 'no_payment_required')
        and not cs.async_payment_failed
        and coalesce(pi.status, '') <> 'succeeded'
    ) as processing,
    count(*) filter (where cs.async_payment_failed) as failed,
    coalesce(bool_or(cs.attempt = o.attempt), false) as attempt_known,
    (
      array_agg(
        cs.email order by cs.attempt desc nulls last, cs.id collate "C"
      ) filter (where cs.status = 'complete' and cs.email is not null)
    )[1] as email
  into v_sessions
  from public.checkout_sessions cs
  left join public.payments pi on pi.id = cs.payment_id
  where cs.order_id = o.id;

  -- Before the payment too: who hears of a debit that failed is known from the page where it was ordered.
  o.email := coalesce(s.email, v_sessions.email, o.email);
  if v_paid then
    select * into p from public.payments where id = o.payment_id;
    v_mismatches := private.unreleased_mismatches(o.id, s.id, private.review_reasons(o, s, p));
    o.paid_at := coalesce(p.succeeded_at, s.completed_at);
    o.amount_paid := coalesce(p.amount_received, 0);
    o.amount_discount := coalesce(s.amount_discount, 0);
    o.amount_shipping := coalesce(s.amount_shipping, 0);
    o.amount_tax := coalesce(s.amount_tax, 0);
    o.amount_total := coalesce(s.amount_total, 0);
    o.customer_name := s.name;
    o.phone := s.phone;
    o.shipping_name := s.shipping_name;
    o.shipping_address := s.shipping_address;
    o.billing_address := s.billing_address;
    o.customer_id := private.settle_customer(o, s);
    select coalesce(sum(r.amount), 0) into o.amount_refunded
    from public.refunds r
    where r.payment_id = o.payment_id and r.status = 'succeeded';
  else
    -- A debit under way shows what was confirmed, any other unpaid order its cart.
    select cs.* into v_under_way
    from public.checkout_sessions cs
    where cs.order_id = o.id and cs.status = 'complete' and not cs.async_payment_failed
    order by cs.attempt desc nulls last, cs.id collate "C"
    limit 1;
    o.amount_discount := coalesce(v_under_way.amount_discount, 0);
    o.amount_shipping := coalesce(v_under_way.amount_shipping, 0);
    o.amount_tax := coalesce(v_under_way.amount_tax, 0);
    o.amount_total := coalesce(v_under_way.amount_total, o.amount_subtotal);
  end if;
  k.declined_attempts := private.check_declined_velocity(o);
  k.outage_attempts := private.check_outages(o);
  if o.restocked_at is null and private.restock_due(o) then
    o.restocked_at := now();
  end if;
  if o.restocked_at is not null then
    o.decided_payment_id := coalesce(o.decided_payment_id, o.payment_id);
  end if;

  v_target := case
    when v_paid and o.cancelled_at is null and o.oversold_at is null
      and o.restocked_at is null then 'committed'
    when v_paid then 'released'
    -- Stock of an attempt in flight, of an open session and of a payment under way stays held.
    when v_sessions.open = 0 and v_sessions.processing = 0
      and (v_sessions.attempt_known or o.abandoned_at is not null)
      then 'released'
    -- Given back already when another session of the order was completed: held again until its money comes.
    when v_sessions.processing > 0 and o.cancelled_at is null then 'active'
  end;
  if v_target is not null and not private.settle_stock(o.id, v_target, p_source) and v_paid then
    o.oversold_at := now();
  end if;

  if v_paid then
    k.velocity_rule_set := private.check_paid_velocity(o);
  end if;
  -- Where nothing was paid there is nothing to give back.
  v_nothing_to_ship := v_paid and o.amount_paid = 0
    and (o.cancelled_at is not null or o.oversold_at is not null);
  -- A refund in full closes every open question.
  k.review_reasons := case
    when not v_paid or v_nothing_to_ship
      or (o.amount_paid > 0 and o.amount_refunded >= o.amount_paid) then '{}'
    else v_mismatches
      || case when o.oversold_at is not null then array['oversold'] else '{}' end
      || private.fraud_reasons(o.id)
  end;

  -- The table of docs/settlement.md, first rule that holds.
  o.status := case
    when v_paid and cardinality(k.review_reasons) > 0 then 'needs_review'
    when o.amount_refunded >= o.amount_paid and o.amount_paid > 0 then 'refunded'
    when o.amount_refunded > 0 then 'partially_refunded'
    when v_nothing_to_ship then 'cancelled'
    when v_paid then 'paid'
    when v_sessions.processing > 0 then 'processing'
    when o.cancelled_at is not null then 'cancelled'
    when v_sessions.failed > 0 and v_sessions.open = 0
      and (v_sessions.attempt_known or o.abandoned_at is not null) then 'payment_failed'
    when v_sessions.open = 0 and (v_sessions.attempt_known or o.abandoned_at is not null) then 'expired'
    else 'pending'
  end;
  o.fulfillment_status := case
    when o.fulfilled_at is not null then 'fulfilled'
    when o.cancelled_at is not null or o.oversold_at is not null or o.restocked_at is not null
      or o.status = 'refunded'
      then 'cancelled'
    when cardinality(private.hold_reasons(o)) > 0 then 'on_hold'
    else 'unfulfilled'
  end;

  if o is distinct from v_before then
    o.updated_at := now();
    update public.orders set
      session_id = o.session_id, payment_id = o.payment_id, decided_payment_id = o.decided_payment_id,
      customer_id = o.customer_id, email = o.email,
      customer_name = o.customer_name, phone = o.phone, shipping_name = o.shipping_name,
      shipping_address = o.shipping_address, billing_address = o.billing_address, status = o.status,
      fulfillment_status = o.fulfillment_status, amount_discount = o.amount_discount,
      amount_shipping = o.amount_shipping, amount_tax = o.amount_tax, amount_total = o.amount_total,
      amount_paid = o.amount_paid, amount_refunded = o.amount_refunded,
      oversold_at = o.oversold_at, restocked_at = o.restocked_at, paid_at = o.paid_at,
      updated_at = o.updated_at
    where id = o.id;
  end if;
  update public.order_risk x set
    review_reasons = k.review_reasons, declined_attempts = k.declined_attempts,
    outage_attempts = k.outage_attempts, velocity_rule_set = k.velocity_rule_set
  where x.order_id = o.id and x is distinct from k;
  if o.status <> v_before.status then
    perform private.record_order_event(
      o.id, 'status_changed', p_source, jsonb_build_object('from', v_before.status, 'to', o.status)
    );
  end if;
  perform private.settle_effects(o, v_mismatches, p_source);
  return o.status;
end;
$function$;
comment on function private.settle_order(p_order_id uuid, p_source text) is 'Derives an order from its facts under a row lock, moves its stock and fires each side effect once. The only writer of order status and committed stock. p_source: who asked (event id, order_status, reconcile, job, staff), for the audit trail. Returns the status. KCORD: no such order.';


CREATE OR REPLACE FUNCTION private.settle_paid_effects(o orders, p_mismatches text[], p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  r record;
begin
  for r in
    select cs.id, cs.payment_id, cs.amount_total, cs.currency
    from public.checkout_sessions cs
    left join public.payments pi on pi.id = cs.payment_id
    where cs.order_id = o.id and cs.status = 'complete'
      and (cs.payment_status in ('paid', 'no_payment_required') or pi.status = 'succeeded')
      and not exists (
        select 1 from public.order_events e
        where e.order_id = o.id and e.kind = 'payment_received' and e.data ->> 'session_id' = cs.id
      )
  loop
    perform private.record_order_event(
      o.id, 'payment_received', p_source,
      jsonb_build_object(
        'session_id', r.id, 'payment_id', r.payment_id, 'amount', r.amount_total, 'currency', r.currency
      )
    );
  end loop;

  if cardinality(p_mismatches) > 0 then
    perform private.raise_alert_once(
      'payment_mismatch', 'critical',
      private.mismatch_alert(o.id),
      jsonb_build_object('order_number', o.number, 'reasons', to_jsonb(p_mismatches))
    );
  end if;
  if cardinality(p_mismatches) = 0 and o.oversold_at is null and o.cancelled_at is null then
    perform private.queue_notification(o.id, 'order_confirmation');
  end if;

  if o.oversold_at is not null then
    perform private.queue_notification(o.id, 'order_unfulfillable');
    perform private.raise_alert_once(
      'oversold', 'critical', 'oversold:' || o.id, jsonb_build_object('order_number', o.number)
    );
    if o.payment_id is not null then
      perform private.queue_refund(o.payment_id, o.id, 'oversold', p_source);
    end if;
  end if;
  if o.cancelled_at is not null and o.fulfilled_at is null then
    perform private.queue_notification(o.id, 'order_cancelled');
    if o.payment_id is not null and private.queue_refund(o.payment_id, o.id, 'cancelled', p_source) then
      perform private.raise_alert_once(
        'cancelled_order_paid', 'warning',
        'cancelled_order_paid:' || o.id, jsonb_build_object('order_number', o.number)
      );
    end if;
  end if;

  for r in
    -- Only money that a session of ours brought in: a payment that is ahead of its session may be the one to
    -- keep.
    select pi.id
    from public.checkout_sessions cs
    join public.payments pi on pi.id = cs.payment_id
    where cs.order_id = o.id and cs.status = 'complete' and pi.order_id = o.id and pi.status = 'succeeded'
      and pi.id is distinct from o.payment_id
    group by pi.id
  loop
    if private.queue_refund(r.id, o.id, 'duplicate', p_source) then
      perform private.raise_alert_once(
        'duplicate_payment', 'warning',
        'duplicate_payment:' || r.id, jsonb_build_object('order_number', o.number, 'payment_id', r.id)
      );
    end if;
    -- Not before Stripe has taken the refund: until then nothing is on its way.
    if exists (select 1 from public.refunds f where f.payment_id = r.id) then
      perform private.queue_notification(o.id, 'duplicate_payment_refunded', r.id);
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
    and (
      pi.payment_method_type, pi.card_brand, pi.card_last4, pi.card_country, pi.risk_level, pi.risk_score,
      pi.three_d_secure_result
    )
      is distinct from
      (
        a.payment_method_type, a.card_brand, a.card_last4, a.card_country, a.risk_level, a.risk_score,
        a.three_d_secure_result
      );
end;
$function$;
comment on function private.settle_paid_effects(o orders, p_mismatches text[], p_source text) is 'Side effects of an order that has money: confirmation, refunds of money it cannot keep, alerts, card details. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_refund_alerts(p_order_id uuid)
 RETURNS void
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  update public.alerts a set
    status = 'resolved',
    data = a.data || case a.kind when 'refund_refused' then '{"not_owed": true}' else '{}' end::jsonb
  from public.refund_requests q
  where q.order_id = p_order_id and a.status <> 'resolved' and (
    (a.dedupe_key = 'refund_refused:' || q.id and not private.refund_is_owed(q))
    or (a.dedupe_key = 'refund_delayed:' || q.id and (q.status <> 'queued' or q.problem is null))
    or (a.dedupe_key = 'refund_overtaken:' || q.id and (private.money_left(q.payment_id) <= 0 or exists (
      select 1 from public.refund_requests later
      where later.payment_id = q.payment_id and later.created_at > q.given_up_at
    )))
  );
  -- Tried again, whatever becomes of it: should it fail too, it has an alert of its own.
  update public.alerts a set status = 'resolved'
  from public.refunds r
  where r.order_id = p_order_id and r.status in ('failed', 'canceled')
    and a.dedupe_key = 'refund_failed:' || r.id
    and a.status <> 'resolved' and (private.refund_tried_again(r) or private.money_left(r.payment_id) <= 0);
  -- What closed by itself opens by itself: a lost dispute was won after all, a refund that stood in for it
  -- bounced.
  select private.tell_of_refund(q, j.id, q.problem)
  from public.refund_requests q
  join public.alerts a on a.dedupe_key = 'refund_refused:' || q.id and a.status = 'resolved'
    and a.data ? 'not_owed'
  left join private.jobs j on j.dedupe_key = 'refund_payment:' || q.id
  where q.order_id = p_order_id and private.refund_is_owed(q)
$function$;
comment on function private.settle_refund_alerts(p_order_id uuid) is 'Resolves the alerts about refunds of an order that were made, asked for anew or tried again, or are not owed any more; opens again those that are owed once more, except what staff have resolved. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_refund_effects(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  r record;
  v_data jsonb;
begin
  for r in select f.id, f.amount, f.currency, f.status, f.failure_reason
    from public.refunds f where f.order_id = o.id loop
    v_data := jsonb_build_object('amount', r.amount, 'refund_id', r.id);
    -- Queued also when it is first heard of as failed, so that every order of events queues the same mails.
    -- What has stopped being true is not sent: see notification_problem().
    perform private.queue_notification(o.id, 'refund_issued', r.id, v_data);
    if r.status in ('failed', 'canceled') then
      perform private.queue_notification(o.id, 'refund_failed', r.id, v_data);
      if private.raise_alert_once(
        'refund_failed', 'critical', 'refund_failed:' || r.id,
        jsonb_build_object(
          'order_number', o.number, 'refund_id', r.id, 'amount', r.amount, 'currency', r.currency,
          'status', r.status, 'cause', r.failure_reason,
          'action',
          'The customer has not got this money: ask for it anew with request_refund() (a second payment of '
            || 'the order is refunded in Stripe''s dashboard), or pay it in another way.'
        )
      ) then
        perform private.record_order_event(
          o.id, 'refund_failed', p_source, jsonb_build_object('refund_id', r.id)
        );
      end if;
    end if;
  end loop;
  perform private.settle_refund_alerts(o.id);
end;
$function$;
comment on function private.settle_refund_effects(o orders, p_source text) is 'What customer and staff hear of refunds that exist, and the alerts that they close. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_risk_alerts(o orders, p_mismatches text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  perform private.follow_alert(x.kind || ':' || d.id || x.status, private.awaits_evidence(d))
  from public.disputes d
  cross join (values
    ('dispute_opened', ''), ('dispute_escalated', ':needs_response'), ('dispute_escalated',
      ':appeal_needs_response')
  ) as x (kind, status)
  where d.order_id = o.id;
  -- A reminder is about one deadline, and does not come back.
  update public.alerts a set status = 'resolved'
  from public.disputes d
  where d.order_id = o.id and not private.awaits_evidence(d) and a.status <> 'resolved'
    and a.kind = 'dispute_due' and a.data ->> 'dispute_id' = d.id;
  perform private.follow_alert(f.kind || ':' || f.source_id, o.status = 'needs_review'
    and private.holds_order(f))
  from public.fraud_signals f
  where f.order_id = o.id and f.source_id is not null;
  if o.session_id is not null then
    perform private.follow_alert(
      private.mismatch_alert(o.id), o.status = 'needs_review' and cardinality(p_mismatches) > 0
    );
  end if;
end;
$function$;
comment on function private.settle_risk_alerts(o orders, p_mismatches text[]) is 'Resolves the alerts that leave nothing to do: of disputes that wait for no answer, and of signs of fraud and mismatches that hold the order no longer. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_risk_effects(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  r public.disputes;
  v_signal public.fraud_signals;
  v_status text;
begin
  for r in select d.* from public.disputes d where d.order_id = o.id loop
    if private.raise_alert_once(
      'dispute_opened', 'critical', 'dispute_opened:' || r.id,
      jsonb_build_object(
        'order_number', o.number, 'dispute_id', r.id, 'amount', r.amount, 'currency', r.currency,
        'reason', r.reason
      )
    ) then
      perform private.record_order_event(
        o.id, 'dispute_opened', p_source, jsonb_build_object('dispute_id', r.id)
      );
    end if;
    foreach v_status in array r.statuses_seen loop
      if (v_status = 'appeal_needs_response' or (v_status = 'needs_response' and r.statuses_seen && array[
        'warning_needs_response', 'warning_under_review', 'warning_closed'
      ])) and private.raise_alert_once(
        'dispute_escalated', 'critical', 'dispute_escalated:' || r.id || ':' || v_status,
        jsonb_build_object(
          'order_number', o.number, 'dispute_id', r.id, 'status', v_status, 'amount', r.amount, 'currency',
            r.currency
        )
      ) then
        perform private.record_order_event(
          o.id, 'dispute_escalated', p_source, jsonb_build_object('dispute_id', r.id, 'status', v_status)
        );
      elsif v_status in ('won', 'lost', 'warning_closed', 'prevented') and private.raise_alert_once(
        'dispute_closed', case v_status when 'lost' then 'critical' else 'info' end,
          'dispute_closed:' || r.id || ':' || v_status,
        jsonb_build_object('order_number', o.number, 'dispute_id', r.id, 'status', v_status)
      ) then
        perform private.record_order_event(
          o.id, 'dispute_closed', p_source, jsonb_build_object('dispute_id', r.id, 'status', v_status)
        );
      end if;
    end loop;
    -- Staged, so that Stripe has something should nobody find the time; not submitted, which is final.
    perform private.enqueue_job(
      'submit_dispute_evidence', 'stage_dispute_evidence:' || r.id,
      jsonb_build_object('dispute_id', r.id, 'note', null, 'submit', false), now(), 120
    );
    if r.first_due_by is not null then
      perform private.queue_dispute_reminders(r);
    end if;
  end loop;

  for v_signal in
    select f.* from public.fraud_signals f
    where f.order_id = o.id and f.kind in ('early_fraud_warning', 'review') and f.was_actionable
  loop
    perform private.raise_alert_once(
      v_signal.kind, v_signal.severity, v_signal.kind || ':' || v_signal.source_id,
      jsonb_build_object('order_number', o.number, 'signal_id', v_signal.source_id)
    );
    -- The payment that was warned of, which need not be the one that the order keeps.
    if v_signal.kind = 'early_fraud_warning' and private.refunds_on_warning(v_signal, o)
      and exists (
        select 1 from public.payments p where p.id = v_signal.payment_id and p.status = 'succeeded'
      ) then
      perform private.queue_refund(v_signal.payment_id, o.id, 'fraudulent', p_source);
    end if;
  end loop;
end;
$function$;
comment on function private.settle_risk_effects(o orders, p_source text) is 'Alerts, evidence reminders and the refund policy for disputes, early fraud warnings and reviews. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_stock(p_order_id uuid, p_target text, p_source text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_moved integer;
begin
  if not exists (
    select 1 from public.inventory_reservations r where r.order_id = p_order_id and r.status <> p_target
  ) then
    return true;
  end if;
  -- One order for all: every writer of inventory_levels locks by variant_id.
  perform 1
  from public.inventory_levels l
  where l.variant_id in (
    select r.variant_id from public.inventory_reservations r where r.order_id = p_order_id
  )
  order by l.variant_id
  for no key update;

  if p_target in ('committed', 'active') and exists (
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
    reserved = l.reserved
      + case when p_target = 'active' then r.quantity else 0 end
      - case when r.status = 'active' then r.quantity else 0 end,
    committed = l.committed
      + case when p_target = 'committed' then r.quantity else 0 end
      - case when r.status = 'committed' then r.quantity else 0 end
  from public.inventory_reservations r
  where r.order_id = p_order_id and r.variant_id = l.variant_id and r.status <> p_target;

  update public.inventory_reservations
  set status = p_target, updated_at = now()
  where order_id = p_order_id and status <> p_target;
  get diagnostics v_moved = row_count;
  perform private.record_order_event(
    p_order_id, 'stock_' || p_target, p_source, jsonb_build_object('lines', v_moved)
  );
  return true;
end;
$function$;
comment on function private.settle_stock(p_order_id uuid, p_target text, p_source text) is 'Moves all reservations of an order to committed (sold), active (held again) or released (given back; sold goods return to the shelf). Returns false, changing nothing, when released stock is to be taken again and is gone. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_stripe_customer(p_stripe_customer_id text)
 RETURNS void
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  update public.customers c set
    -- An account's address comes from Supabase Auth; only guests take theirs from Stripe.
    email = case when c.user_id is null then coalesce(s.email, c.email) else c.email end,
    name = case when c.user_id is null then coalesce(s.name, c.name) else c.name end,
    stripe_deleted_at = s.deleted_at,
    -- Forgetting the id makes the next checkout create a new customer.
    stripe_customer_id = case when s.deleted_at is null then c.stripe_customer_id end
  from private.stripe_customers s
  where s.id = p_stripe_customer_id and c.livemode = s.livemode and (
    c.stripe_customer_id = s.id
    -- Forgotten with the deletion: then by what they bought.
    or (c.stripe_customer_id is null and c.id in (
      select o.customer_id
      from public.checkout_sessions cs join public.orders o on o.id = cs.order_id and o.session_id = cs.id
      where cs.stripe_customer_id = s.id
    ))
  )
$function$;
comment on function private.settle_stripe_customer(p_stripe_customer_id text) is 'Brings the customers row of a Stripe customer up to what Stripe last said of it: a guest''s address and name, a deletion.';


CREATE OR REPLACE FUNCTION private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean)
 RETURNS record
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_pieces integer := (select l.available from public.inventory_levels l where l.variant_id = p_variant_id);
begin
  available := private.shown_stock(v_pieces);
  or_more := coalesce(v_pieces > available, false);
end;
$function$;
comment on function private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean) is 'What anybody may know of a variant''s stock. Runs with its owner''s rights: only staff read inventory_levels.';
grant execute on function private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean) to anon;
grant execute on function private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean) to authenticated;
grant execute on function private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean) to service_role;


CREATE OR REPLACE FUNCTION private.shown_stock(p_pieces integer)
 RETURNS integer
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  return least(greatest(coalesce(p_pieces, 0), 0), (private.setting('stock_shown_max'))::integer);
end;
$function$;
comment on function private.shown_stock(p_pieces integer) is 'As many pieces as shoppers are told of: at most setting stock_shown_max.';


CREATE OR REPLACE FUNCTION private.sign_staff_command()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  -- Whatever the row claims: who is signed in, or else the session, with the tool that it says it is.
  new.actor := coalesce(
    auth.uid()::text, concat_ws(' ', session_user, '(' || nullif(left(new.actor, 100), session_user) || ')')
  );
  new.created_at := now();
  new.order_id := null;
  new.result := null;
  return new;
end;
$function$;
comment on function private.sign_staff_command() is 'Trigger of staff_commands: a row carries the name of who really wrote it, and the time.';


CREATE OR REPLACE FUNCTION private.staff_command_fields(p_command text)
 RETURNS TABLE(field text, type text, required boolean, size bigint)
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select f.field, f.type, f.required, f.size
  from (values
    ('request_refund', 'order_number', 'text', true, 64),
    ('request_refund', 'amount', 'integer', false, 999999999999),
    ('request_refund', 'reason', 'text', false, 500),
    ('request_refund', 'restock', 'boolean', false, null),
    ('cancel_order', 'order_number', 'text', true, 64),
    ('cancel_order', 'reason', 'text', false, 500),
    ('receive_return', 'order_number', 'text', true, 64),
    ('receive_return', 'lines', 'array', false, 10000),
    ('receive_return', 'note', 'text', false, 2000),
    ('release_review', 'order_number', 'text', true, 64),
    ('release_review', 'note', 'text', false, 2000),
    ('mark_fulfilled', 'order_number', 'text', true, 64),
    ('mark_fulfilled', 'carrier', 'text', false, 100),
    ('mark_fulfilled', 'tracking_number', 'text', false, 100),
    ('submit_dispute_evidence', 'dispute_id', 'text', true, 100),
    -- Stripe takes 20 000 characters of text in one field of evidence.
    ('submit_dispute_evidence', 'note', 'text', false, 20000),
    ('resend_notification', 'order_number', 'text', true, 64),
    ('resend_notification', 'template', 'text', true, 64),
    ('redrive_webhook_event', 'event_id', 'text', true, 255),
    ('redrive_job', 'job_id', 'integer', true, 9007199254740991),
    ('erase_customer', 'email', 'text', true, 320),
    ('adjust_inventory', 'sku', 'text', true, 64),
    ('adjust_inventory', 'delta', 'integer', true, 1000000),
    ('adjust_inventory', 'reason', 'text', false, 500),
    ('add_variant', 'product_slug', 'text', true, 200),
    ('add_variant', 'sku', 'text', true, 64),
    ('add_variant', 'price_amount', 'integer', true, 999999999999),
    ('add_variant', 'currency', 'text', true, 3),
    ('add_variant', 'size', 'text', false, 100),
    ('add_variant', 'color', 'text', false, 100),
    ('add_variant', 'on_hand', 'integer', false, 1000000)
  ) as f (command, field, type, required, size)
  where f.command = p_command
$function$;
comment on function private.staff_command_fields(p_command text) is 'Arguments of a staff command: their JSON type, and size: the length of a text or array (as text), the greatest amount of an integer, either sign. No rows: there is no such command.';


CREATE OR REPLACE FUNCTION private.stamp(p_at timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select lpad(floor(extract(epoch from p_at) * 1000)::bigint::text, 15, '0')
$function$;
comment on function private.stamp(p_at timestamp with time zone) is 'A time in milliseconds, fifteen digits. Stripe stamps events with whole seconds, so what was read within that second counts as newer; should it not be, the refresh a few seconds later mends it.';


CREATE OR REPLACE FUNCTION private.store_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb, p_delivered boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_event public.webhook_events;
  v_result jsonb;
begin
  -- Concurrent deliveries of one event queue up on its primary key; only the first one gets to apply it.
  insert into public.webhook_events as e (
    id, type, status, livemode, api_version, stripe_created_at, source_ip, payload, delivery_count,
      delivered_at
  ) values (
    p_event_id, p_type, 'failed', p_livemode, p_api_version, p_stripe_created_at, p_source_ip::inet,
    private.without_secrets(p_payload), p_delivered::integer, case when p_delivered then now() end
  )
  on conflict (id) do update set
    delivery_count = e.delivery_count + p_delivered::integer,
    delivered_at = case when p_delivered then now() else e.delivered_at end,
    source_ip = coalesce(e.source_ip, excluded.source_ip)
  returning * into v_event;

  if p_delivered and v_event.delivery_count = 1 then
    perform private.raise_alert(a.kind, a.severity, a.dedupe_key, coalesce(a.data, '{}'))
    from jsonb_to_recordset(coalesce(p_alerts, '[]')) as a (kind text, severity text, dedupe_key text,
      data jsonb);
  end if;
  if v_event.status in ('processed', 'ignored') and (
    p_facts is null or v_event.payload ? 'erased'
    or not private.is_newer_version(p_api_version, v_event.api_version)
  ) then
    return jsonb_build_object('outcome', 'duplicate', 'delivery_count', v_event.delivery_count);
  elsif v_event.status = 'dead' then
    -- Delivered anew, it lives again: its job goes on trying if this fails too, and ends well (with its
    -- alert) if not.
    perform private.redrive_event(p_event_id);
  end if;
  if private.is_newer_version(p_api_version, v_event.api_version) then
    -- While an endpoint's version is changed, two endpoints deliver each event: the newer may know more.
    update public.webhook_events set api_version = p_api_version, payload = private.without_secrets(p_payload)
    where id = p_event_id;
  end if;

  v_result := private.process_stripe_event(
    p_event_id, p_stripe_created_at, p_facts, p_ignored_reason, p_error
  );
  return v_result || jsonb_build_object('delivery_count', v_event.delivery_count);
end;
$function$;
comment on function private.store_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb, p_delivered boolean) is 'receive_stripe_event() for both ways an event comes: p_delivered tells whether Stripe posted it to us, which delivery_count and delivered_at count, or we fetched it.';


CREATE OR REPLACE FUNCTION private.subject_attempts(p_subject text, p_key text, p_livemode boolean, p_since timestamp with time zone)
 RETURNS SETOF payment_attempts
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  if p_subject = 'shop' then
    return query select * from public.payment_attempts a
      where a.created_at >= p_since and a.livemode = p_livemode
        and (a.outcome not in ('failed', 'blocked') or not private.is_outage(a.failure_code, a.decline_code));
  elsif p_subject = 'card' then
    return query select * from public.payment_attempts a
      where a.card_fingerprint = p_key and a.created_at >= p_since and a.livemode = p_livemode
        and (a.outcome not in ('failed', 'blocked') or not private.is_outage(a.failure_code, a.decline_code));
  else
    -- A payment page stays open for a day at most, so an order may be that much older than its attempts.
    return query select a.* from public.payment_attempts a
      where a.created_at >= p_since
        and (a.outcome not in ('failed', 'blocked') or not private.is_outage(a.failure_code, a.decline_code))
        and a.order_id in (
          select o.id from private.subject_orders(p_subject, p_key, p_livemode, p_since - interval '1 day') o
        );
  end if;
end;
$function$;
comment on function private.subject_attempts(p_subject text, p_key text, p_livemode boolean, p_since timestamp with time zone) is 'Payment attempts of one subject of the velocity rules since a time, without those that met an outage: these say nothing about the shopper.';


CREATE OR REPLACE FUNCTION private.subject_orders(p_subject text, p_key text, p_livemode boolean, p_since timestamp with time zone)
 RETURNS SETOF orders
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
begin
  case p_subject
    when 'address' then
      return query select * from public.orders o
        where private.address_key(o.purchase_ip, 48) = private.address_key(p_key::inet, 48)
          and o.purchase_ip <<= p_key::inet and o.created_at >= p_since and o.livemode = p_livemode;
    when 'email' then
      return query select * from public.orders o
        where private.email_key(o.email) = p_key and o.created_at >= p_since and o.livemode = p_livemode;
    when 'user' then
      return query select o.* from public.orders o join public.customers c on c.id = o.customer_id
        where c.user_id = p_key::uuid and o.created_at >= p_since and o.livemode = p_livemode;
    when 'order' then
      return query select * from public.orders o where o.id = p_key::uuid and o.livemode = p_livemode;
    when 'shipping_address' then
      return query select * from public.orders o
        where private.delivery_key(o.shipping_address) = p_key and o.created_at >= p_since
          and o.livemode = p_livemode;
    when 'card' then
      return query select * from public.orders o
        where o.livemode = p_livemode and o.id in (
          select a.order_id
          from public.payment_attempts a where a.card_fingerprint = p_key and a.created_at >= p_since
        );
    else
      return query select * from public.orders o where o.created_at >= p_since and o.livemode = p_livemode;
  end case;
end;
$function$;
comment on function private.subject_orders(p_subject text, p_key text, p_livemode boolean, p_since timestamp with time zone) is 'Orders of one subject of the velocity rules since a time.';


CREATE OR REPLACE FUNCTION private.submit_command(p_command text, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_id uuid := gen_random_uuid();
begin
  -- The policies say the same, in words that help nobody.
  if current_user = 'authenticated' and not private.is_admin() then
    raise exception '% is for staff only', p_command using
      errcode = '42501',
      hint = 'Staff have app_metadata.role = admin and, where ADMIN_REQUIRE_MFA is set, have signed in with '
        'a second factor.';
  end if;
  insert into public.staff_commands (id, command, args) values (v_id, p_command, p_args);
  return (
    select c.result || jsonb_build_object('command_id', c.id) from public.staff_commands c where c.id = v_id
  );
end;
$function$;
comment on function private.submit_command(p_command text, p_args jsonb) is 'Inserts a staff command as the caller, whose policies decide, and returns its result. 42501: the caller is not staff.';
grant execute on function private.submit_command(p_command text, p_args jsonb) to authenticated;
grant execute on function private.submit_command(p_command text, p_args jsonb) to service_role;


CREATE OR REPLACE FUNCTION private.superseded_sessions(p_key text, p_user_id uuid, p_session_id text, p_livemode boolean)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select jsonb_agg(s.id order by s.id)
  from private.open_checkouts(p_user_id, p_session_id, p_livemode) o
  join public.checkout_sessions s on s.order_id = o.id
  where s.status = 'open' and (p_key is null or o.idempotency_key is distinct from p_key)
$function$;
comment on function private.superseded_sessions(p_key text, p_user_id uuid, p_session_id text, p_livemode boolean) is 'Open payment pages of a shopper that a checkout with this key takes the place of, or null.';


CREATE OR REPLACE FUNCTION private.tell_of_refund(q refund_requests, p_job_id bigint, p_cause text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  v_kind constant text := case
    when q.status = 'queued' then 'refund_delayed'
    when private.refund_overtaken_by(q) is not null then 'refund_overtaken'
    else 'refund_refused'
  end;
begin
  perform private.raise_alert(
    v_kind, case v_kind when 'refund_refused' then 'critical' else 'warning' end, v_kind || ':' || q.id,
    jsonb_build_object(
      'order_number', o.number, 'amount', coalesce(q.amount, private.refundable_amount(q.payment_id, q.id)),
      'currency', o.currency, 'cause', p_cause, 'payment_id', q.payment_id, 'request_id', q.id,
      'job_id', p_job_id,
      'action', case v_kind
        when 'refund_delayed' then 'It is tried again for days. If the Stripe balance is empty, add funds.'
        when 'refund_overtaken' then 'Should the customer get both, ask for it anew with request_refund().'
        else 'Remove the cause and redrive the job, or give the money back in another way.'
      end
    )
  )
  from public.orders o where o.id = q.order_id;
end;
$function$;
comment on function private.tell_of_refund(q refund_requests, p_job_id bigint, p_cause text) is 'Alerts staff about a refund that Stripe does not take: order, amount, cause and what to do now. Kinds refund_delayed, refund_overtaken, refund_refused.';


CREATE OR REPLACE FUNCTION private.three_d_secure_rank(p_asked text)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select case p_asked when 'challenge' then 2 when 'any' then 1 else 0 end
$function$;
comment on function private.three_d_secure_rank(p_asked text) is 'What a page asks of the card, as a number: more is stronger. Null, Stripe''s own judgement, is 0.';


CREATE OR REPLACE FUNCTION private.tidy_options()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  new.size := private.one_line(new.size);
  new.color := private.one_line(new.color);
  return new;
end;
$function$;
comment on function private.tidy_options() is 'Trigger of product_variants: a size or colour that somebody cleared is none, not an empty one.';


CREATE OR REPLACE FUNCTION private.unreleased_mismatches(p_order_id uuid, p_session_id text, p_reasons text[])
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(x.reason order by x.position), '{}')
  from unnest(p_reasons) with ordinality as x (reason, position)
  where not exists (
    select 1 from private.released_mismatches m
    where m.order_id = p_order_id and m.session_id = p_session_id and m.reason = x.reason
  )
$function$;
comment on function private.unreleased_mismatches(p_order_id uuid, p_session_id text, p_reasons text[]) is 'What of review_reasons() nobody has released: another reason, or the same one in the money of another session, is news.';


CREATE OR REPLACE FUNCTION private.variant_name(p_product text, p_color text, p_size text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select concat_ws(' – ', private.one_line(p_product), nullif(concat_ws(', ', p_color, p_size), ''))
$function$;
comment on function private.variant_name(p_product text, p_color text, p_size text) is 'A variant as buyers know it: Wool Suit – Navy, 40R, or Belt when it comes in one way only.';


CREATE OR REPLACE FUNCTION private.velocity_keys(p_rule private.velocity_rules, p_user_id uuid, p_email text, p_ip inet, p_order_id uuid)
 RETURNS TABLE(key text, factor numeric)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select k.key, k.factor
  from (
    select case p_rule.subject
      when 'user' then p_user_id::text
      when 'order' then p_order_id::text
      -- Anybody can type anybody's address: what was done under it must not lock an account out.
      when 'email' then case
        when p_user_id is null or p_rule.measure = 'disposable_email' then private.email_key(p_email)
      end
      when 'shop' then case when not exists (
        select 1 from public.customers c join public.orders o on o.customer_id = c.id
        where c.user_id = p_user_id and o.paid_at is not null
      ) then 'shop' end
    end as key, 1::numeric as factor
    where p_rule.subject <> 'address'
    union all
    select text(n.network), n.factor from private.address_keys(p_ip) n where p_rule.subject = 'address'
  ) k
  where k.key is not null
$function$;
comment on function private.velocity_keys(p_rule private.velocity_rules, p_user_id uuid, p_email text, p_ip inet, p_order_id uuid) is 'Whom a rule measures when this shopper orders or pays, and what its threshold is multiplied with. No row: the rule does not look at them. p_order_id null: the order does not exist yet.';


CREATE OR REPLACE FUNCTION private.version(VARIADIC p_parts text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select array_to_string(p_parts, '|')
$function$;
comment on function private.version(VARIADIC p_parts text[]) is 'Joins the fixed-width parts of a version.';


CREATE OR REPLACE FUNCTION private.watch_deliveries()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- How often the endpoint is looked at while something is wrong; else as private.periodic_jobs says.
  c_look_again constant interval := '5 minutes';
  r record;
  v_wrong boolean := exists (select 1 from private.recent_drift());
begin
  -- One at a time, and nobody waits: the next heartbeat looks again.
  if not pg_try_advisory_xact_lock(hashtextextended('watch_deliveries', 0)) then
    return;
  end if;
  for r in
    select k.kind, p.severity, p.data, a.data as told
    from (values
      ('reconciliation_drift'), ('webhook_endpoint_changed'),
      ('webhook_endpoint_disabled'), ('webhook_silence')
    ) k (kind)
    left join private.delivery_problems() p on p.kind = k.kind
    left join public.alerts a on a.dedupe_key = k.kind and a.status <> 'resolved'
    order by k.kind
  loop
    v_wrong := v_wrong or r.severity is not null;
    if r.severity is not null and r.told is distinct from r.data then
      perform private.raise_alert(r.kind, r.severity, r.kind, r.data);
    elsif r.severity is null and r.told is not null then
      update public.alerts set status = 'resolved' where dedupe_key = r.kind;
    end if;
  end loop;
  if v_wrong then
    update private.periodic_jobs p set next_at = greatest(now(), p.next_at - p.every + c_look_again)
    where p.kind = 'check_webhook_endpoint'
      and p.next_at > greatest(now(), p.next_at - p.every + c_look_again);
  end if;
end;
$function$;
comment on function private.watch_deliveries() is 'Opens an alert for each of delivery_problems() and resolves those that are over. While there is any, or something had to be fetched, the endpoint at Stripe is looked at sooner.';


CREATE OR REPLACE FUNCTION private.webhook_silence()
 RETURNS TABLE(livemode boolean, last_delivered_at timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select m.livemode, l.at
  from (values (true), (false)) m (livemode), private.last_delivery(m.livemode) l (at)
  where exists (
    select 1 from public.orders o
    -- Stripe's events of one payment come within seconds of each other, and its clock is not ours.
    where o.livemode = m.livemode and o.paid_at > l.at + interval '1 minute'
      and o.paid_at between now() - interval '1 day' and now() - interval '10 minutes'
  ) or exists (
    select 1
    from public.reconciliation_drift d join public.webhook_events e on e.id = d.object_id
    where d.kind = 'missed_event' and d.order_id is not null and d.found_at > now() - interval '1 day'
      and e.livemode = m.livemode and e.delivery_count = 0
      and e.stripe_created_at > l.at + interval '1 minute'
      and e.stripe_created_at between now() - interval '1 day' and now() - interval '10 minutes'
  )
$function$;
comment on function private.webhook_silence() is 'Modes in which money moved within the last day, ten minutes ago or more, and Stripe has delivered nothing since. Without money there is no silence, however long nothing comes.';


CREATE OR REPLACE FUNCTION private.webhooks_health()
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'status', private.worst_status(
      count(*) filter (where e.status = 'dead') > 0,
      min(e.received_at) filter (where e.status = 'failed') < now() - interval '15 minutes',
      exists (select 1 from private.delivery_problems() p where p.kind <> 'reconciliation_drift')
    ),
    'problems', (
      select coalesce(jsonb_agg(p.kind order by p.kind), '[]')
      from private.delivery_problems() p where p.kind <> 'reconciliation_drift'
    ),
    'failed', count(*) filter (where e.status = 'failed'),
    'dead', count(*) filter (where e.status = 'dead'),
    'last_delivered_at', (
      select max(l.at) from (values (true), (false)) m (livemode), private.last_delivery(m.livemode) l (at)
      where isfinite(l.at)
    )
  ) || coalesce((
    select jsonb_build_object('endpoint', s.state, 'endpoint_checked_at', s.checked_at)
    from private.webhook_endpoint_states s order by s.checked_at desc limit 1
  ), '{}')
  from public.webhook_events e where e.status in ('failed', 'dead')
$function$;
comment on function private.webhooks_health() is 'Health check webhooks: events that could not be applied, deliveries that do not come (problems), and how Stripe''s endpoint was when it was last looked at.';


CREATE OR REPLACE FUNCTION private.weigh_refusals(p_rule private.velocity_rules, p_key text, p_threshold numeric, p_livemode boolean, p_since timestamp with time zone, p_until timestamp with time zone, OUT o_value bigint, OUT o_oldest timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  -- Who has more is seen by the rules on themselves.
  c_of_one_max constant integer := 3;
  -- Far more than an attack needs to be seen, and no more work in a busy shop than in a quiet one.
  c_attempts_max constant integer := 300;
  c_failed_challenge constant text := 'payment_intent_authentication_failure';
begin
  with used as (
    -- Each refused card of an order that nothing has paid, and each paid order once.
    select a.order_id, max(a.created_at) as at, not a.paid as declined
    from (
      select x.*, exists (
        select 1 from public.payment_attempts g
        where g.order_id = x.order_id and g.outcome in ('succeeded', 'pending')
      ) as paid
      from (
        select * from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) y
        where y.order_id is not null and y.created_at <= p_until
          -- Without a share only refusals weigh.
          and (p_rule.min_share is not null or y.outcome in ('failed', 'blocked'))
          -- Who fails the challenge that the shop itself asks for must not be why it goes on asking.
          and (p_rule.subject <> 'shop' or y.failure_code is distinct from c_failed_challenge)
        order by y.created_at desc limit c_attempts_max
      ) x
    ) a
    group by a.order_id, a.paid, case when not a.paid then coalesce(a.card_fingerprint, a.id) end
  ), counted as (
    select u.*, o.created_at as ordered_at,
      row_number() over (
        partition by u.declined, case when u.declined and p_rule.min_share is not null
          then coalesce(o.customer_id::text, private.email_key(o.email), o.id::text) end
        order by u.at, o.created_at, o.id
      ) as of_buyer,
      row_number() over (
        partition by u.declined, case when u.declined and p_rule.min_share is not null
          then private.address_key(o.purchase_ip) end
        order by u.at, o.created_at, o.id
      ) as of_network
    from used u
    -- One by one: the few that were tried, and never the table as a whole.
    cross join lateral (select * from public.orders x where x.id = u.order_id limit 1) o
  ), scored as (
    -- From now backwards: how far the refusals exceed the ordinary share.
    select c.at, row_number() over back as back, count(*) filter (where c.declined) over back as declines,
      sum(c.declined::integer - coalesce(p_rule.min_share, 0)) over back as excess
    from counted c
    where (not c.declined and p_rule.min_share is not null) or (c.declined
      and (p_rule.min_share is null or (
        (c.of_buyer <= c_of_one_max or p_rule.subject in ('user', 'email', 'order'))
        and (c.of_network <= c_of_one_max or p_rule.subject <> 'shop')
      )))
    -- Stripe's clock counts seconds; which order is the later one decides ties.
    window back as (order by c.at desc, c.ordered_at desc, c.order_id rows unbounded preceding)
  )
  select max(s.declines), (array_agg(s.at order by s.back))[1] into o_value, o_oldest
  from scored s where s.excess >= p_threshold * (1 - coalesce(p_rule.min_share, 0));
end;
$function$;
comment on function private.weigh_refusals(p_rule private.velocity_rules, p_key text, p_threshold numeric, p_livemode boolean, p_since timestamp with time zone, p_until timestamp with time zone, OUT o_value bigint, OUT o_oldest timestamp with time zone) is 'Measure declined_orders: how many refusals weigh against the good orders of a subject, when they exceed the ordinary share by as much as p_threshold; o_oldest: the refusal that the rule lets go with.';


CREATE OR REPLACE FUNCTION private.without_digest(p_version text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select regexp_replace(p_version, '[0-9a-f]{32}$', '')
$function$;
comment on function private.without_digest(p_version text) is 'A version of a fact without the digest of what it said.';


CREATE OR REPLACE FUNCTION private.without_person(p_fact jsonb, p_order_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
declare
  -- Everything in a fact that says who somebody is.
  c_personal constant text[] := array[
    'email', 'name', 'phone', 'shipping_name', 'shipping_address', 'billing_address',
    'card_fingerprint', 'receipt_url'
  ];
begin
  if not private.is_erased(p_fact, p_order_id) then
    return p_fact;
  end if;
  return p_fact || (
    select coalesce(jsonb_object_agg(k, null), '{}') from unnest(c_personal) k where p_fact ? k
  );
end;
$function$;
comment on function private.without_person(p_fact jsonb, p_order_id uuid) is 'A fact as it may be merged: of an erased order or customer without personal data, any other as it is.';


CREATE OR REPLACE FUNCTION private.without_secrets(p_payload jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  -- With a client secret, whoever reads the log could act on the payment page as the shopper.
  select p_payload #- '{data,object,client_secret}' #- '{data,object,next_action}'
    #- '{data,object,payment_intent,client_secret}' #- '{data,object,payment_intent,next_action}'
    #- '{data,object,setup_intent,client_secret}' #- '{data,previous_attributes,client_secret}'
    #- '{data,previous_attributes,next_action}'
$function$;
comment on function private.without_secrets(p_payload jsonb) is 'A webhook''s payload as it is stored: without client secrets and the addresses that carry them.';


CREATE OR REPLACE FUNCTION private.words_of_person(p_email text, p_order_ids uuid[], p_customer_ids uuid[], p_stripe_ids text[], OUT anywhere text, OUT own text)
 RETURNS record
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  with known (email, name, phone, line1) as (
    select p_email, null, null, null
    union select o.email, x.name, o.phone, x.line1
    from public.orders o cross join lateral (values
      (o.customer_name, o.billing_address ->> 'line1'), (o.shipping_name, o.shipping_address ->> 'line1')
    ) as x (name, line1)
    where o.id = any (p_order_ids)
    union select s.email, x.name, s.phone, x.line1
    from public.checkout_sessions s cross join lateral (values
      (s.name, s.billing_address ->> 'line1'), (s.shipping_name, s.shipping_address ->> 'line1')
    ) as x (name, line1)
    where s.order_id = any (p_order_ids)
    union select c.email, c.name, null, null from public.customers c where c.id = any (p_customer_ids)
    union select c.email, c.name, null, null from private.stripe_customers c where c.id = any (p_stripe_ids)
  ), words (word, own_only) as (
    select k.email, false from known k
    -- A single name may be a word, or somebody else's: it is searched for in the rows of the orders only.
    union select k.name, k.name !~ '\S\s+\S' from known k
    union select k.line1, length(k.line1) < 8 from known k
    union select part, true from known k, regexp_split_to_table(k.name, '\s+') part where length(part) >= 3
  )
  select
    concat_ws(
      '|', private.words_pattern(array_agg(w.word) filter (where not w.own_only and btrim(w.word) <> '')),
      p.phones
    ),
    concat_ws('|', private.words_pattern(array_agg(w.word) filter (where btrim(w.word) <> '')), p.phones)
  from words w
  cross join (select string_agg(distinct private.phone_pattern(k.phone), '|') as phones from known k) p
  group by p.phones
$function$;
comment on function private.words_of_person(p_email text, p_order_ids uuid[], p_customer_ids uuid[], p_stripe_ids text[], OUT anywhere text, OUT own text) is 'Patterns for what identifies a buyer: anywhere (addresses, full names, street, phone), and own: single names as well, for the rows of their orders.';


CREATE OR REPLACE FUNCTION private.words_pattern(p_words text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  -- As typed, and as JSON writes it. An address inside a longer one is somebody else's.
  select '(?<![[:alnum:]._%+-])(?:' || string_agg(
    distinct regexp_replace(regexp_replace(x.word, '([].*+?^${}()|\\[-])', '\\\1', 'g'), '\s+', '\\s+', 'g'),
    '|'
  )
    || ')(?![[:alnum:]]|[.-][[:alnum:]])'
  from unnest(p_words) w (word)
  cross join lateral (values (w.word), (btrim(to_json(w.word)::text, '"'))) as x (word)
$function$;
comment on function private.words_pattern(p_words text[]) is 'A regular expression that finds any of these words. Null: there are none.';


CREATE OR REPLACE FUNCTION private.worst_status(VARIADIC p_conditions boolean[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select case when true = any (p_conditions) then 'degraded' else 'ok' end
$function$;
comment on function private.worst_status(VARIADIC p_conditions boolean[]) is 'degraded when any condition holds, else ok.';


CREATE OR REPLACE FUNCTION private.xor_key(p_key bytea, p_byte integer)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO ''
AS $function$
  select string_agg(
    set_byte('\x00'::bytea, 0, case when i < length(p_key) then get_byte(p_key, i) else 0 end # p_byte),
    ''::bytea order by i
  )
  from generate_series(0, 63) i
$function$;
comment on function private.xor_key(p_key bytea, p_byte integer) is 'A key of at most 64 bytes, filled up to a block of SHA-256, each byte combined with p_byte.';


CREATE OR REPLACE FUNCTION public.abandon_checkout(p_order_id uuid, p_attempt integer, p_refusal jsonb DEFAULT NULL::jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders;
  v_abandoned boolean;
begin
  select * into o from public.orders where id = p_order_id for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  v_abandoned := o.attempt = p_attempt and o.abandoned_at is null
    and not exists (
      select 1 from public.checkout_sessions s where s.order_id = o.id and s.attempt = p_attempt
    );
  if v_abandoned then
    update public.orders set abandoned_at = now() where id = o.id;
    perform private.record_order_event(
      o.id, 'checkout_abandoned', 'checkout', jsonb_build_object('attempt', p_attempt)
    );
    perform private.settle_order(o.id, 'checkout');
  end if;
  if p_refusal is not null then
    perform private.alert_refused_checkout(o.id, p_refusal);
  end if;
  return jsonb_build_object(
    'abandoned', v_abandoned, 'status', (select status from public.orders where id = o.id)
  );
end;
$function$;
comment on function public.abandon_checkout(p_order_id uuid, p_attempt integer, p_refusal jsonb) is 'Ends an attempt that has no session, which frees its stock. Call it only when Stripe has refused the attempt, or has been asked and knows no session of it that could still be paid. p_refusal: what Stripe said, for an alert. abandoned false: the attempt has a session, or is not the current one. KCORD: no such order.';
grant execute on function public.abandon_checkout(p_order_id uuid, p_attempt integer, p_refusal jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.add_variant(p_product_slug text, p_sku text, p_price_amount bigint, p_currency text, p_size text DEFAULT NULL::text, p_color text DEFAULT NULL::text, p_on_hand integer DEFAULT 0)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('add_variant', jsonb_build_object(
    'product_slug', p_product_slug, 'sku', p_sku, 'price_amount', p_price_amount, 'currency', p_currency,
    'size', p_size, 'color', p_color, 'on_hand', p_on_hand
  ))
$function$;
comment on function public.add_variant(p_product_slug text, p_sku text, p_price_amount bigint, p_currency text, p_size text, p_color text, p_on_hand integer) is 'Puts a size and colour of a product on sale, with its stock. p_price_amount in Stripe''s minor units; a price that Stripe refuses is refused. Staff only.';
grant execute on function public.add_variant(p_product_slug text, p_sku text, p_price_amount bigint, p_currency text, p_size text, p_color text, p_on_hand integer) to authenticated;
grant execute on function public.add_variant(p_product_slug text, p_sku text, p_price_amount bigint, p_currency text, p_size text, p_color text, p_on_hand integer) to service_role;


CREATE OR REPLACE FUNCTION public.adjust_inventory(p_sku text, p_delta integer, p_reason text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command(
    'adjust_inventory', jsonb_build_object('sku', p_sku, 'delta', p_delta, 'reason', p_reason)
  )
$function$;
comment on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text) is 'Goods received (p_delta > 0), lost or recounted (p_delta < 0). Staff only.';
grant execute on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text) to authenticated;
grant execute on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text) to service_role;


CREATE OR REPLACE FUNCTION public.advance_reconciliation_cursor(p_name text, p_position timestamp with time zone)
 RETURNS jsonb
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  insert into private.reconciliation_cursors as c (name, position) values (p_name, p_position)
  on conflict (name) do update set position = greatest(c.position, excluded.position), updated_at = now()
  returning jsonb_build_object('position', position)
$function$;
comment on function public.advance_reconciliation_cursor(p_name text, p_position timestamp with time zone) is 'Notes how far a stream has been read; never goes back. Returns { position }.';
grant execute on function public.advance_reconciliation_cursor(p_name text, p_position timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_result jsonb;
begin
  -- It stands in the audit trail: nobody passes for staff or for an event there.
  if p_source is null or p_source not in ('order_status', 'reconcile', 'job', 'checkout') then
    raise exception 'facts do not come from %', p_source using errcode = 'KCINV';
  end if;
  v_result := private.apply_facts(p_facts, p_observed_at, p_source);
  return jsonb_build_object(
    'applied', (v_result ->> 'applied')::integer > 0, 'order_ids', v_result -> 'order_ids'
  );
end;
$function$;
comment on function public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone) is 'Merges facts read from Stripe''s API at p_observed_at (before the request was sent) and settles. p_source: order_status, reconcile, job or checkout. KCINV: anything else.';
grant execute on function public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb, p_email_change integer DEFAULT NULL::integer)
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
  perform private.merge_checkout_session(
    private.without_person(p_fact, p_order_id) || jsonb_build_object('attempt', p_attempt), p_order_id,
    to_timestamp(0)
  );
  -- A webhook that came first has merged the session without its link.
  update public.checkout_sessions set url = p_fact ->> 'url' where id = p_fact ->> 'id' and url is null;
  -- An account's first session tells us the customer that Stripe made for it.
  update public.customers c set stripe_customer_id = p_fact ->> 'customer_id'
  from public.orders o
  where o.id = p_order_id and c.id = o.customer_id and c.stripe_customer_id is null
    and c.livemode = (p_fact ->> 'livemode')::boolean
    and not exists (
      select 1 from public.customers other where other.stripe_customer_id = p_fact ->> 'customer_id'
    )
    and not exists (
      select 1 from private.stripe_customers gone
      where gone.id = p_fact ->> 'customer_id' and gone.deleted_at is not null
    );
  -- Only of the customer that the session is for: another one was given another address.
  update public.customers c set email_changes_told = greatest(c.email_changes_told, p_email_change)
  from public.orders o
  where o.id = p_order_id and c.id = o.customer_id and c.stripe_customer_id = p_fact ->> 'customer_id'
    and p_email_change is not null;
  if v_created then
    perform private.record_order_event(
      p_order_id, 'checkout_session_created', 'checkout',
      jsonb_build_object('session_id', p_fact ->> 'id', 'attempt', p_attempt)
    );
  end if;
  v_status := private.settle_order(p_order_id, 'checkout');
  return jsonb_build_object('created', v_created, 'status', v_status);
end;
$function$;
comment on function public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb, p_email_change integer) is 'Notes the session that Stripe made for an attempt. p_email_change: which address of the account Stripe''s customer has now, as customer_email_change of the snapshot. Idempotent: created is true for the first call only. KCORD: no such order.';
grant execute on function public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb, p_email_change integer) to service_role;


CREATE OR REPLACE FUNCTION public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text DEFAULT 'off'::text, p_previous_session_id text DEFAULT NULL::text, p_supersede boolean DEFAULT true)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  -- "The same cart again a few seconds later": longer than a browser waits before it gives up and repeats.
  c_repeat_window constant interval := '30 seconds';
  v_key text := coalesce(p_user_id::text, 'guest') || ':' || p_idempotency_key;
  v_lines jsonb := private.asked_lines(p_items);
  v_found jsonb;
  v_cart jsonb;
  v_again uuid;
  v_superseded jsonb;
  v_risk jsonb;
  v_customer_id uuid;
  v_order_id uuid;
begin
  -- Parallel repeats queue up here and find the order that the first one made.
  if v_key is not null then
    perform pg_advisory_xact_lock(hashtextextended('checkout:' || v_key, 0));
  end if;
  if p_user_id is not null then
    perform pg_advisory_xact_lock(hashtextextended('checkout-of:' || p_user_id, 0));
  end if;
  if p_supersede then
    v_superseded := private.superseded_sessions(v_key, p_user_id, p_previous_session_id, p_livemode);
  end if;
  if v_key is not null then
    v_found := private.find_checkout(v_key, v_lines, p_email, v_superseded, p_client_ip::inet);
    if v_found ->> 'outcome' in ('ended', 'existing') then
      return private.enter_checkout(
        (v_found ->> 'order_id')::uuid, p_velocity_mode, p_client_ip, p_supersede,
        v_found ->> 'outcome' = 'ended', p_session_seconds, p_hold_seconds
      );
    elsif v_found is not null then
      return v_found;
    end if;
  end if;
  v_cart := private.price_cart(p_items);

  if p_idempotency_key is null then
    select o.id into v_again
    from private.open_checkouts(p_user_id, p_previous_session_id, p_livemode) o
    where o.created_at > now() - c_repeat_window and o.cart_hash = v_cart ->> 'hash'
    order by o.created_at desc limit 1;
    if v_again is not null then
      return private.enter_checkout(
        v_again, p_velocity_mode, p_client_ip, p_supersede, false, p_session_seconds, p_hold_seconds
      );
    end if;
  end if;
  if v_superseded is not null then
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_superseded);
  end if;

  v_risk := private.check_velocity(
    p_velocity_mode, p_user_id, p_email, p_client_ip::inet, v_cart, p_livemode
  );
  if v_risk ->> 'action' = 'block' then
    return jsonb_build_object(
      'outcome', 'velocity_exceeded', 'retry_after_seconds', v_risk -> 'retry_after_seconds'
    );
  end if;

  if p_user_id is not null then
    v_customer_id := private.account_customer(p_user_id, p_email, p_livemode);
  end if;
  insert into public.orders (
    customer_id, account_id, email, mail_to_account, locale, currency, amount_subtotal, amount_total,
    livemode, cart_hash, idempotency_key,
    session_expires_at, purchase_ip, user_agent, prices_include_tax, shipping_rates
  ) values (
    v_customer_id, case when v_customer_id is not null then p_user_id end, p_email,
    coalesce((select lower(u.email) = lower(p_email) from auth.users u where u.id = p_user_id), false),
    p_locale, v_cart ->> 'currency', (v_cart ->> 'amount')::bigint, (v_cart ->> 'amount')::bigint, p_livemode,
    v_cart ->> 'hash', v_key, now() + make_interval(secs => p_session_seconds), p_client_ip::inet,
    left(p_user_agent, 500),
    coalesce((private.setting('prices_include_tax'))::boolean, false),
    private.offered_shipping_rates(v_cart ->> 'currency')
  ) returning id into v_order_id;
  update public.order_risk set velocity_mode = p_velocity_mode, three_d_secure = v_risk ->> 'three_d_secure'
  where order_id = v_order_id;
  insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
  select v_order_id, l.variant_id, l.sku, l.name, l.quantity, l.unit_amount
  from jsonb_to_recordset(v_cart -> 'lines') as l (
    variant_id uuid, sku text, name text, quantity integer, unit_amount bigint
  );
  perform private.record_velocity_hits(v_risk, v_order_id);

  perform private.reserve_stock(v_order_id, now() + make_interval(secs => p_hold_seconds));
  perform private.record_order_event(
    v_order_id, 'order_created', 'checkout',
    jsonb_build_object('amount_subtotal', v_cart -> 'amount', 'currency', v_cart ->> 'currency')
  );
  perform private.record_order_event(v_order_id, 'stock_reserved', 'checkout');
  return private.checkout_snapshot(v_order_id, 'created');
end;
$function$;
comment on function public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text, p_previous_session_id text, p_supersede boolean) is 'Makes a pending order with frozen prices and reserved stock from [{ sku, quantity }], or finds the one this Idempotency-Key (or this shopper, seconds ago) made before. Outcomes: created, existing (the snapshot to send to Stripe), superseded (expire session_ids at Stripe, then ask again with p_supersede false), velocity_exceeded. KCSKU unknown_sku, KCSTK insufficient_stock, KCIDC idempotency_conflict, KCCUR mixed currencies, KCINV invalid.';
grant execute on function public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text, p_previous_session_id text, p_supersede boolean) to service_role;


CREATE OR REPLACE FUNCTION public.cancel_order(p_order_number text, p_reason text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command(
    'cancel_order', jsonb_build_object('order_number', p_order_number, 'reason', p_reason)
  )
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
  select * from private.check_stock()
  union all select * from private.check_money()
  union all select * from private.check_order_state()
  union all select * from private.check_outbox()
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
  v_ids bigint[];
  v_jobs jsonb;
begin
  perform private.recover_jobs();
  v_ids := private.pick_probes(p_lease_seconds, p_kinds);
  if cardinality(v_ids) = 0 then
    v_ids := private.pick_jobs(greatest(0, least(p_limit, 1000)), p_kinds);
  end if;

  with claimed as (
    update private.jobs j
    set status = 'running',
        attempts = j.attempts + 1,
        lease_id = gen_random_uuid(),
        leased_until = now() + make_interval(secs => p_lease_seconds),
        worker = p_worker
    where j.id = any (v_ids)
    returning j.id, j.kind, j.payload, j.attempts, j.max_attempts, j.lease_id, j.created_at, j.priority,
      j.run_at
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
comment on function public.claim_jobs(p_worker text, p_limit integer, p_lease_seconds integer, p_kinds text[]) is 'Leases up to p_limit due jobs to p_worker for p_lease_seconds; fewer does not mean that nothing is left, none does. Rows locked by another worker are skipped, jobs whose lease ran out are due again, jobs of a provider that is down wait.';
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


CREATE OR REPLACE FUNCTION public.enqueue_periodic_jobs(p_settings jsonb DEFAULT '{}'::jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  r private.periodic_jobs;
  v_queued integer := 0;
begin
  -- Policies cannot read the environment, so the heartbeat carries what they need of it. It never lowers: a
  -- worker that works on the project with another environment must not open to everybody what staff alone may
  -- read.
  update private.settings
  set value = 'true', updated_at = now()
  where key = 'admin_require_mfa' and p_settings -> key = 'true' and value <> 'true';

  insert into private.heartbeats as h (name) values ('retry_jobs')
  on conflict (name) do update set last_at = now() where h.last_at < now() - interval '5 seconds';
  perform private.watch_deliveries();

  for r in
    select p.* from private.periodic_jobs p
    where p.next_at is null or p.next_at <= now()
    order by p.kind
    for update skip locked
  loop
    if r.next_at is not null and not exists (
      select 1 from private.jobs j where j.kind = r.kind and j.status in ('queued', 'running')
    ) and private.enqueue_job(r.kind, format('%s:%s', r.kind, floor(extract(epoch from r.next_at))), '{}',
    now(), r.priority) then
      v_queued := v_queued + 1;
    end if;
    update private.periodic_jobs
    set next_at = now() + case
      when r.next_at is null then least(r.every, interval '1 minute')
      else r.every
    end
    where kind = r.kind;
  end loop;
  return jsonb_build_object('queued', v_queued + private.queue_expiries());
end;
$function$;
comment on function public.enqueue_periodic_jobs(p_settings jsonb) is 'The heartbeat: p_settings { admin_require_mfa: true } turns that on in private.settings, nothing here turns it off.
Raises and resolves the alerts about deliveries, then queues whatever is due by the clock, each once per period however often this is called, and never a second of a kind
while one waits. Returns { queued }.';
grant execute on function public.enqueue_periodic_jobs(p_settings jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.erase_customer(p_email text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('erase_customer', jsonb_build_object('email', p_email))
$function$;
comment on function public.erase_customer(p_email text) is 'Removes a person from everything known under an e-mail address, also at Stripe, and answers with counts; ok and found are false when nobody is known under it. Refused while a dispute waits for evidence. Staff only.';
grant execute on function public.erase_customer(p_email text) to authenticated;
grant execute on function public.erase_customer(p_email text) to service_role;


CREATE OR REPLACE FUNCTION public.find_open_checkout(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  o public.orders;
begin
  select * into o from public.orders where id = p_order_id;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'KCORD';
  end if;
  return coalesce(private.checkout_end(o), jsonb_build_object('outcome', 'unpaid', 'session', (
    select jsonb_build_object('id', s.id, 'url', s.url)
    from public.checkout_sessions s
    where s.order_id = o.id and s.attempt = o.attempt and s.status = 'open' and s.url is not null
      and s.expires_at > now() and s.closing_at is null
    order by s.created_at desc limit 1
  )));
end;
$function$;
comment on function public.find_open_checkout(p_order_id uuid) is 'What a resume link leads to without changing anything: unpaid with the session { id, url } that can still be paid, or null; paid: { session_id } for the success page; cancelled. KCORD: no such order.';
grant execute on function public.find_open_checkout(p_order_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.finish_jobs(p_results jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_note record;
  v_down text[] := '{}';
  v_result record;
  v_held boolean;
  v_status text;
  v_answer jsonb := '[]';
begin
  perform private.lock_orders_of_refunds(
    array(select (r ->> 'id')::bigint from jsonb_array_elements(p_results) r)
  );
  -- Providers in one order, jobs in one order: two workers cannot wait for each other.
  for v_note in
    select k.provider,
      count(*) filter (where r.provider_state = 'up') as answers,
      count(*) filter (where r.provider_state in ('down', 'unauthorized')) as outages,
      coalesce(bool_or(r.provider_state = 'unauthorized'), false) as unauthorized,
      max(r.reason) filter (where r.provider_state in ('down', 'unauthorized')) as reason
    from jsonb_to_recordset(p_results) as r (id bigint, reason text, provider_state text)
    join private.jobs j on j.id = r.id
    join private.job_kinds k on k.kind = j.kind
    where k.provider is not null
    group by k.provider
    order by k.provider
  loop
    if private.note_provider(
      v_note.provider, v_note.answers::integer, v_note.outages::integer, v_note.unauthorized, v_note.reason
    ) then
      v_down := v_down || v_note.provider::text;
    end if;
  end loop;

  for v_result in
    select r.*, k.provider
    from jsonb_to_recordset(p_results) as r (
      id bigint, lease_id uuid, outcome text, reason text, run_at timestamptz, alert text, provider_state text
    )
    left join private.jobs j on j.id = r.id
    left join private.job_kinds k on k.kind = j.kind
    order by r.id
  loop
    -- While the breaker is open the provider is to blame, not the job: it waits for its turn and loses no
    -- attempt.
    v_held := v_result.outcome = 'retry' and v_result.provider_state in ('down', 'unauthorized')
      and v_result.provider = any (v_down);
    v_status := private.finish_job(
      v_result.id, v_result.lease_id, case when v_held then 'snooze' else v_result.outcome end,
      v_result.reason, case when v_held then coalesce(v_result.run_at, now()) else v_result.run_at end,
      v_result.alert
    );
    v_answer := v_answer
      || jsonb_build_object('id', v_result.id, 'finished', v_status is not null, 'status', v_status);
  end loop;
  return jsonb_build_object('jobs', v_answer);
end;
$function$;
comment on function public.finish_jobs(p_results jsonb) is 'Ends leases: [{ id, lease_id, outcome: done | discard | retry | snooze, reason, run_at, alert: severity, provider_state: up | down | unauthorized }], all but the first three optional. Returns { jobs: [{ id, finished, status }] }; finished false: the lease was lost and nothing changed. KCINV: unknown outcome, nothing changed for any.';
grant execute on function public.finish_jobs(p_results jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.forget_stripe_customer(p_order_id uuid, p_stripe_customer_id text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  perform private.merge_customer(
    jsonb_build_object(
      'id', p_stripe_customer_id, 'livemode', o.livemode, 'email', null, 'name', null, 'deleted', true
    ), now()
  )
  from public.orders o where o.id = p_order_id;
  return private.checkout_snapshot(p_order_id, 'existing');
end;
$function$;
comment on function public.forget_stripe_customer(p_order_id uuid, p_stripe_customer_id text) is 'Stripe says that this customer is gone, before its event has come. Returns the snapshot of the order, now without it.';
grant execute on function public.forget_stripe_customer(p_order_id uuid, p_stripe_customer_id text) to service_role;


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


CREATE OR REPLACE FUNCTION public.get_dispute_evidence(p_dispute_id text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object(
    'dispute', jsonb_build_object(
      'id', d.id, 'status', d.status, 'reason', d.reason, 'network_reason_code', d.network_reason_code,
      'amount', d.amount, 'currency', d.currency, 'evidence_due_by', d.evidence_due_by,
      'has_evidence', d.has_evidence, 'evidence_submission_count', d.evidence_submission_count
    ),
    'order', case when o.id is not null then jsonb_build_object(
      'number', o.number, 'email', o.email, 'customer_name', o.customer_name, 'phone', o.phone,
      'user_id', c.user_id, 'purchase_ip', host(o.purchase_ip), 'user_agent', o.user_agent,
      'billing_address', o.billing_address, 'shipping_name', o.shipping_name,
      'shipping_address', o.shipping_address,
      'currency', o.currency, 'amount_total', o.amount_total, 'amount_refunded', o.amount_refunded,
      'created_at', o.created_at, 'paid_at', o.paid_at,
      'carrier', o.carrier, 'tracking_number', o.tracking_number, 'fulfilled_at', o.fulfilled_at,
      'items', (
        select jsonb_agg(
          jsonb_build_object(
            'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount
          ) order by i.sku collate "C"
        )
        from public.order_items i where i.order_id = o.id
      ),
      'mails', (
        select coalesce(
          jsonb_agg(
            jsonb_build_object('template', n.template, 'recipient', n.recipient, 'sent_at', n.sent_at)
            order by n.sent_at
          ), '[]'
        )
        from public.notifications n where n.order_id = o.id and n.status = 'sent'
      ),
      'payment', (
        select jsonb_build_object(
          'charge_id', p.charge_id, 'card_brand', p.card_brand, 'card_last4', p.card_last4,
          'three_d_secure_result', p.three_d_secure_result, 'risk_level', p.risk_level
        )
        from public.payments p where p.id = d.payment_id
      ),
      'earlier_orders', private.earlier_orders(o.id)
    ) end
  )
  from public.disputes d
  left join public.orders o on o.id = d.order_id
  left join public.customers c on c.id = o.customer_id
  where d.id = p_dispute_id
$function$;
comment on function public.get_dispute_evidence(p_dispute_id text) is 'A dispute with what the shop knows of its order: customer, addresses, items, carrier and tracking, mails sent, purchase address, earlier undisputed orders. Null: no such dispute; order null: not one of ours.';
grant execute on function public.get_dispute_evidence(p_dispute_id text) to service_role;


CREATE OR REPLACE FUNCTION public.get_health()
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object('checks', jsonb_build_object(
    'database', jsonb_build_object('status', 'ok'),
    'webhooks', private.webhooks_health(),
    'jobs', private.jobs_health(),
    'providers', private.providers_health(),
    'reconciliation', private.reconciliation_health(),
    'schedule', private.schedule_health(),
    'staff', jsonb_build_object('status', 'ok', 'second_factor', private.setting('admin_require_mfa')),
    'alerts', (
      select jsonb_build_object(
        'status', 'ok', 'open', count(*), 'critical', count(*) filter (where a.severity = 'critical')
      )
      from public.alerts a where a.status = 'open'
    )
  ))
$function$;
comment on function public.get_health() is 'Figures for the health endpoint: { checks: { name: { status, … } } }. Counts and times only, no personal data.';
grant execute on function public.get_health() to service_role;


CREATE OR REPLACE FUNCTION public.get_lost_checkouts(p_limit integer)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object('checkouts', coalesce(jsonb_agg(to_jsonb(c)), '[]'))
  from private.lost_checkouts(p_limit) c
$function$;
comment on function public.get_lost_checkouts(p_limit integer) is 'Attempts whose session nobody knows: { checkouts: [{ order_id, attempt, started_at, ended_at }] }, oldest first.';
grant execute on function public.get_lost_checkouts(p_limit integer) to service_role;


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
    -- Decided as it is sent: a try that failed does not hold an address that has been corrected since.
    'recipient', case n.status when 'sent' then n.recipient else private.mail_recipient(o) end,
    'data', n.data,
    'problem', private.notification_problem(n, o),
    'order', jsonb_build_object(
      'number', o.number, 'status', o.status, 'fulfillment_status', o.fulfillment_status,
      'currency', o.currency,
      'amount_subtotal', o.amount_subtotal, 'amount_discount', o.amount_discount,
      'amount_shipping', o.amount_shipping,
      'amount_tax', o.amount_tax, 'amount_total', o.amount_total, 'amount_refunded', o.amount_refunded,
      'amount_paid', o.amount_paid,
      'customer_name', o.customer_name, 'shipping_name', o.shipping_name,
      'shipping_address', o.shipping_address,
      'carrier', o.carrier, 'tracking_number', o.tracking_number, 'locale', o.locale, 'paid_at', o.paid_at,
      'items', (
        select jsonb_agg(
          jsonb_build_object(
            'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount
          ) order by i.sku
        )
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
      select jsonb_agg(
        jsonb_build_object(
          'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount
        ) order by i.sku collate "C"
      )
      from public.order_items i where i.order_id = o.id
    ),
    'paid_at', o.paid_at,
    -- An order that is cancelled, or paid through another page, says nothing of a page that is open for all
    -- we know: it may just have been paid.
    'settled', (o.status not in ('pending', 'processing') and s.status <> 'open') or s.status = 'expired'
  )
  from public.checkout_sessions s join public.orders o on o.id = s.order_id
  where s.id = p_session_id
$function$;
comment on function public.get_order_status(p_session_id text) is 'What the success page shows, found by session id; no personal data. settled false: Stripe may know more, ask it. Null: no such session.';
grant execute on function public.get_order_status(p_session_id text) to service_role;


CREATE OR REPLACE FUNCTION public.get_reconciliation_cursor(p_name text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  -- A shop that starts today has missed nothing of last week, and Stripe keeps events for 30 days.
  select jsonb_build_object('position', greatest(
    coalesce(
      (select c.position from private.reconciliation_cursors c where c.name = p_name),
      now() - interval '1 day'
    ),
    now() - interval '30 days'
  ))
$function$;
comment on function public.get_reconciliation_cursor(p_name text) is 'How far a stream has been read: { position }.';
grant execute on function public.get_reconciliation_cursor(p_name text) to service_role;


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


CREATE OR REPLACE FUNCTION public.judge_refund(p_request_id text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  q public.refund_requests;
  v_by text;
begin
  perform 1 from public.orders o join public.refund_requests x on x.order_id = o.id
  where x.id = p_request_id for no key update of o;
  select * into q from public.refund_requests where id = p_request_id;
  if not found then
    raise exception 'there is no refund request %', p_request_id using errcode = 'KCINV';
  end if;
  if exists (select 1 from public.refunds r where r.request_id = q.id) then
    return jsonb_build_object('outcome', 'made');
  end if;
  v_by := private.refund_overtaken_by(q);
  return jsonb_build_object(
    'outcome', case when v_by is null then 'go' else 'overtaken' end, 'by', v_by, 'refusals', q.refusals
  );
end;
$function$;
comment on function public.judge_refund(p_request_id text) is 'Whether a refund may be made now, with all that is known of its payment: { outcome: go (with refusals) | made | overtaken (with by) }. Apply what Stripe lists first. KCINV: no such request.';
grant execute on function public.judge_refund(p_request_id text) to service_role;


CREATE OR REPLACE FUNCTION public.list_differing_objects(p_objects jsonb)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object('ids', coalesce(jsonb_agg(x.id), '[]'))
  from jsonb_to_recordset(p_objects) as x (kind text, id text, status text, amount bigint)
  where not exists (
    select 1 from public.payments p
    where x.kind = 'payment' and p.id = x.id and p.status = x.status and p.amount_received = x.amount
    union all
    select 1 from public.refunds r
    where x.kind = 'refund' and r.id = x.id and r.status = x.status and r.amount = x.amount
    union all
    select 1 from public.disputes d
    where x.kind = 'dispute' and d.id = x.id and d.status = x.status and d.amount = x.amount
  )
$function$;
comment on function public.list_differing_objects(p_objects jsonb) is 'Which of [{ kind: payment | refund | dispute, id, status, amount }] we do not have in this state: { ids }.';
grant execute on function public.list_differing_objects(p_objects jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.list_open_checkouts(p_limit integer)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object('session_ids', coalesce(jsonb_agg(s.id), '[]'))
  from (
    select cs.id
    from public.checkout_sessions cs
    where (cs.status = 'open' and cs.expires_at < now())
      or (cs.status = 'complete' and cs.payment_status = 'unpaid' and not cs.async_payment_failed
        and cs.created_at > now() - interval '30 days')
    order by cs.created_at
    limit p_limit
  ) s
$function$;
comment on function public.list_open_checkouts(p_limit integer) is 'Sessions that should have ended by now, or whose money is still on its way: { session_ids }.';
grant execute on function public.list_open_checkouts(p_limit integer) to service_role;


CREATE OR REPLACE FUNCTION public.list_unknown_events(p_event_ids text[])
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select jsonb_build_object('event_ids', coalesce(jsonb_agg(i.id order by i.position), '[]'))
  from unnest(p_event_ids) with ordinality as i (id, position)
  where not exists (select 1 from public.webhook_events e where e.id = i.id)
$function$;
comment on function public.list_unknown_events(p_event_ids text[]) is 'Which of these events were never received, in the given order: { event_ids }.';
grant execute on function public.list_unknown_events(p_event_ids text[]) to service_role;


CREATE OR REPLACE FUNCTION public.mark_fulfilled(p_order_number text, p_carrier text DEFAULT NULL::text, p_tracking_number text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command(
    'mark_fulfilled',
    jsonb_build_object(
      'order_number', p_order_number, 'carrier', p_carrier, 'tracking_number', p_tracking_number
    )
  )
$function$;
comment on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text) is 'Notes that an order has shipped and mails the customer. Called again with another carrier or tracking number it corrects them, and mails the correction. Staff only.';
grant execute on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text) to authenticated;
grant execute on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text) to service_role;


CREATE OR REPLACE FUNCTION public.purge_old_data(p_limit integer)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_jobs integer := private.purge_jobs(p_limit);
  v_schedule integer := private.purge_schedule(p_limit);
  v_payloads integer := private.purge_payloads(p_limit);
  v_unpaid integer := private.forget_unpaid_orders(p_limit);
  v_signals integer := private.purge_signals(p_limit);
  v_rejections integer;
  v_alerts integer;
  v_drift integer;
begin
  delete from public.webhook_rejections where id in (
    select r.id
    from public.webhook_rejections r where r.last_at < now() - private.retention('log') limit p_limit
  );
  get diagnostics v_rejections = row_count;
  v_alerts := private.purge_alerts(p_limit);
  delete from public.reconciliation_drift where id in (
    select d.id
    from public.reconciliation_drift d where d.found_at < now() - private.retention('alert') limit p_limit
  );
  get diagnostics v_drift = row_count;
  return jsonb_build_object(
    'purged', jsonb_build_object(
      'jobs', v_jobs, 'payloads', v_payloads, 'rejections', v_rejections, 'alerts', v_alerts,
      'drift', v_drift, 'schedule_runs', v_schedule,
      'unpaid_orders', v_unpaid, 'signals', v_signals
    ),
    'more', greatest(
      v_jobs, v_payloads, v_rejections, v_alerts, v_drift, v_schedule, v_unpaid, v_signals
    ) >= p_limit
  );
end;
$function$;
comment on function public.purge_old_data(p_limit integer) is 'Removes up to p_limit rows of each kind that retention settings call old. Returns { purged: { … }, more }: more true, call again.';
grant execute on function public.purge_old_data(p_limit integer) to service_role;


CREATE OR REPLACE FUNCTION public.receive_return(p_order_number text, p_lines jsonb DEFAULT NULL::jsonb, p_note text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command(
    'receive_return', jsonb_build_object('order_number', p_order_number, 'lines', p_lines, 'note', p_note)
  )
$function$;
comment on function public.receive_return(p_order_number text, p_lines jsonb, p_note text) is 'Puts the goods of a shipped or refunded order back on the shelf, without moving money. p_lines must be null: all of them. Staff only.';
grant execute on function public.receive_return(p_order_number text, p_lines jsonb, p_note text) to authenticated;
grant execute on function public.receive_return(p_order_number text, p_lines jsonb, p_note text) to service_role;


CREATE OR REPLACE FUNCTION public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  return private.store_stripe_event(
    p_event_id, p_type, p_livemode, p_api_version, p_stripe_created_at, p_source_ip, p_payload, p_facts,
    p_ignored_reason, p_error, p_alerts, true
  );
end;
$function$;
comment on function public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb) is 'Stores an authentic event that Stripe delivered and applies it, in one transaction. Exactly one of p_facts, p_ignored_reason and p_error (the translator threw) is given; p_alerts: [{ kind, severity, dedupe_key, data }]. A further delivery in a newer API version is merged as well. Returns { outcome: applied | duplicate | ignored | queued, delivery_count, reason?, closing_sessions? }. An error means that nothing was stored.';
grant execute on function public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.reconcile_stripe_event(p_run_id uuid, p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_dry_run boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_order_ids uuid[] := private.orders_of_facts(p_facts);
  v_before jsonb := private.digest_facts(p_facts, v_order_ids);
  v_after jsonb;
  v_result jsonb;
begin
  begin
    v_result := private.store_stripe_event(
      p_event ->> 'id', p_event ->> 'type', (p_event ->> 'livemode')::boolean, p_event ->> 'api_version',
      to_timestamp((p_event ->> 'created')::bigint), null, p_event, p_facts, p_ignored_reason, p_error, '[]',
      false
    );
    v_order_ids := array(
      select distinct x.id
      from unnest(
        v_order_ids || array(select (i #>> '{}')::uuid from jsonb_array_elements(v_result -> 'order_ids') i)
      ) as x (id)
    );
    v_after := private.digest_facts(p_facts, v_order_ids);
    if p_dry_run then
      raise exception 'dry run' using errcode = 'KCDRY';
    end if;
  exception when sqlstate 'KCDRY' then
    null;
  end;
  if not p_dry_run and v_result ->> 'outcome' in ('applied', 'queued') then
    insert into public.reconciliation_drift (run_id, kind, object_id, order_id, before, after)
    values (
      p_run_id, 'missed_event', p_event ->> 'id',
      (select o.id from public.orders o where o.id = any (v_order_ids) order by o.id limit 1), v_before,
      v_after
    );
  end if;
  return jsonb_build_object(
    'outcome', v_result -> 'outcome', 'changed', v_before is distinct from v_after, 'before', v_before,
    'after', v_after
  );
end;
$function$;
comment on function public.reconcile_stripe_event(p_run_id uuid, p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_dry_run boolean) is 'Stores and applies an event that was fetched, as the webhook would have done, and writes the drift row. p_dry_run: says what would change and changes nothing. Returns { outcome, changed, before, after }.';
grant execute on function public.reconcile_stripe_event(p_run_id uuid, p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_dry_run boolean) to service_role;


CREATE OR REPLACE FUNCTION public.reconcile_stripe_object(p_run_id uuid, p_kind text, p_object_id text, p_facts jsonb, p_observed_at timestamp with time zone, p_dry_run boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_order_ids uuid[] := private.orders_of_facts(p_facts);
  v_before jsonb := private.digest_facts(p_facts, v_order_ids);
  v_after jsonb;
  v_changed boolean;
begin
  begin
    perform public.apply_stripe_facts(p_facts, 'reconcile', p_observed_at);
    v_after := private.digest_facts(p_facts, v_order_ids);
    if p_dry_run then
      raise exception 'dry run' using errcode = 'KCDRY';
    end if;
  exception when sqlstate 'KCDRY' then
    null;
  end;
  v_changed := v_before is distinct from v_after;
  if v_changed and not p_dry_run then
    insert into public.reconciliation_drift (run_id, kind, object_id, order_id, before, after)
    values (p_run_id, p_kind, p_object_id, v_order_ids[1], v_before, v_after);
  end if;
  return jsonb_build_object('changed', v_changed, 'before', v_before, 'after', v_after);
end;
$function$;
comment on function public.reconcile_stripe_object(p_run_id uuid, p_kind text, p_object_id text, p_facts jsonb, p_observed_at timestamp with time zone, p_dry_run boolean) is 'Applies facts read from Stripe''s API at p_observed_at and, when that changed something, writes the drift row. p_dry_run: says what would change and changes nothing. Returns { changed, before, after }.';
grant execute on function public.reconcile_stripe_object(p_run_id uuid, p_kind text, p_object_id text, p_facts jsonb, p_observed_at timestamp with time zone, p_dry_run boolean) to service_role;


CREATE OR REPLACE FUNCTION public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  n public.notifications;
  v_recorded boolean;
begin
  update public.notifications
  set status = p_status, recipient = coalesce(p_recipient, recipient), provider_id = p_provider_id,
    last_error = p_error,
      sent_at = case p_status when 'sent' then coalesce(sent_at, now()) end
  where id = p_notification_id and status <> 'sent'
  returning * into n;
  v_recorded := found;
  if p_status = 'sent' then
    -- Sent after all, perhaps as a repeat that staff asked for: nobody need look at the one that was not.
    update public.alerts a set status = 'resolved'
    where a.status <> 'resolved' and a.kind in ('job_dead', 'job_discarded')
      and starts_with(a.dedupe_key, concat_ws(':', a.kind, 'send_mail', n.order_id, n.template));
  end if;
  return jsonb_build_object('recorded', v_recorded);
end;
$function$;
comment on function public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text) is 'Notes that a mail was sent (with the provider''s id), was skipped because it is not true any more, or failed for good. A sent mail stays sent.';
grant execute on function public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text) to service_role;


CREATE OR REPLACE FUNCTION public.record_webhook_endpoint(p_livemode boolean, p_state text, p_endpoint_id text, p_differences text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into private.webhook_endpoint_states as s (livemode, state, endpoint_id, differences)
  values (p_livemode, p_state, p_endpoint_id, to_jsonb(p_differences))
  on conflict (livemode) do update set
    state = excluded.state,
    endpoint_id = coalesce(excluded.endpoint_id, s.endpoint_id),
    differences = excluded.differences,
    since = case when s.state = excluded.state then s.since else now() end,
    checked_at = now();
  perform private.watch_deliveries();
  return jsonb_build_object('recorded', true);
end;
$function$;
comment on function public.record_webhook_endpoint(p_livemode boolean, p_state text, p_endpoint_id text, p_differences text[]) is 'Notes what Stripe says of the webhook endpoint at our address in the mode of the key. p_state: ok, disabled, changed (p_differences says how), missing (p_endpoint_id null), not_permitted (the key may not read endpoints). Alerts follow.';
grant execute on function public.record_webhook_endpoint(p_livemode boolean, p_state text, p_endpoint_id text, p_differences text[]) to service_role;


CREATE OR REPLACE FUNCTION public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer DEFAULT 1)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  -- Room for every honest misconfiguration and a good picture of an attack, while a spoofed flood stays
  -- small.
  c_addresses_max constant integer := 10000;
  v_source_ip inet := p_source_ip::inet;
begin
  update public.webhook_rejections set count = count + p_count, last_at = now()
  where reason = p_reason and source_ip is not distinct from v_source_ip;
  if found then
    return jsonb_build_object('recorded', true);
  end if;
  if (
    select count(*) from (select 1 from public.webhook_rejections limit c_addresses_max) counted
  ) >= c_addresses_max then
    v_source_ip := null;
  end if;
  insert into public.webhook_rejections as r (reason, source_ip, count)
  values (p_reason, v_source_ip, p_count)
  on conflict on constraint webhook_rejections_reason_source_key
  do update set count = r.count + excluded.count, last_at = now();
  return jsonb_build_object('recorded', true);
end;
$function$;
comment on function public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer) is 'Counts p_count refused webhook requests under (reason, address). p_source_ip null: address unknown. Past 10 000 rows, new addresses are counted under null.';
grant execute on function public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer) to service_role;


CREATE OR REPLACE FUNCTION public.redrive(p_event_ids text[], p_job_ids bigint[], p_type text, p_all boolean, p_dry_run boolean, p_actor text, p_again boolean DEFAULT false)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  r record;
  v_items jsonb := '[]';
  v_problem text;
begin
  for r in
    select 'event' as what, i.id, e.type, coalesce(e.status, 'missing') as status, e.last_error,
      case
        when e.id is null then 'is not stored here; reconcile fetches it, if Stripe still has it'
        when e.payload ?| array['erased', 'purged'] then 'has no payload any more'
      end as problem
    from unnest(p_event_ids) as i (id) left join public.webhook_events e on e.id = i.id
    union all
    select 'job', i.id::text, j.kind, coalesce(j.status, 'missing'), j.last_error,
      case
        when j.id is null then 'is not stored here'
        when j.status not in ('queued', 'dead', 'discarded') then 'is ' || j.status
      end
    from unnest(p_job_ids) as i (id) left join private.jobs j on j.id = i.id
    union all
    select 'event', e.id, e.type, e.status, e.last_error, null
    from public.webhook_events e
    where (
        (e.status in ('failed', 'dead') and (p_all or e.type = p_type))
        or (p_again and e.type = p_type and not e.payload ?| array['erased', 'purged'])
      ) and not e.id = any (coalesce(p_event_ids, '{}'))
    union all
    select 'job', j.id::text, j.kind, j.status, j.last_error, null
    from private.jobs j
    -- The job of an event comes back with its event.
    where (j.status = 'dead' or (j.status = 'queued' and j.attempts > 0)) and j.kind <> 'retry_event'
      and (p_all or j.kind = p_type) and not j.id = any (coalesce(p_job_ids, '{}'))
    order by 1, 2
  loop
    v_problem := r.problem;
    if v_problem is null and not p_dry_run then
      begin
        insert into public.staff_commands (command, args, actor) values (
          case r.what when 'event' then 'redrive_webhook_event' else 'redrive_job' end,
          case
            r.what
            when 'event' then jsonb_build_object('event_id', r.id)
            else jsonb_build_object('job_id', r.id::bigint)
          end,
          p_actor
        );
      exception when others then
        v_problem := sqlerrm;
      end;
    end if;
    v_items := v_items || jsonb_build_object(
      'what', r.what, 'id', r.id, 'type', r.type, 'status', r.status, 'error', r.last_error,
      'redriven', v_problem is null and not p_dry_run, 'problem', v_problem
    );
  end loop;
  return jsonb_build_object('items', v_items);
end;
$function$;
comment on function public.redrive(p_event_ids text[], p_job_ids bigint[], p_type text, p_all boolean, p_dry_run boolean, p_actor text, p_again boolean) is 'Queues failed or dead events and jobs again (a failed job waits for its next try): the named ones, all of a type (event type or job kind), or all. Named events, and with p_again all events of the type, also when they were processed or ignored. p_dry_run: only lists them. Each is logged in staff_commands; p_actor names the tool, beside who is really connected. Returns { items: [{ what, id, type, status, error, redriven, problem }] }.';
grant execute on function public.redrive(p_event_ids text[], p_job_ids bigint[], p_type text, p_all boolean, p_dry_run boolean, p_actor text, p_again boolean) to service_role;


CREATE OR REPLACE FUNCTION public.redrive_webhook_event(p_event_id text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command('redrive_webhook_event', jsonb_build_object('event_id', p_event_id))
$function$;
comment on function public.redrive_webhook_event(p_event_id text) is 'Queues a webhook event again, whatever became of it: it is translated anew and its facts merged. Staff only.';
grant execute on function public.redrive_webhook_event(p_event_id text) to authenticated;
grant execute on function public.redrive_webhook_event(p_event_id text) to service_role;


CREATE OR REPLACE FUNCTION public.release_review(p_order_number text, p_note text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command(
    'release_review', jsonb_build_object('order_number', p_order_number, 'note', p_note)
  )
$function$;
comment on function public.release_review(p_order_number text, p_note text) is 'Lets an order that is held for review ship. Releases what is known now; what turns up later holds it again. Staff only.';
grant execute on function public.release_review(p_order_number text, p_note text) to authenticated;
grant execute on function public.release_review(p_order_number text, p_note text) to service_role;


CREATE OR REPLACE FUNCTION public.remind_dispute(p_dispute_id text, p_days integer)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  d public.disputes;
  v_run_at timestamptz;
begin
  select * into d from public.disputes where id = p_dispute_id;
  if not found or not private.awaits_evidence(d) or d.evidence_due_by is null then
    return jsonb_build_object('outcome', 'over', 'run_at', null);
  end if;
  v_run_at := d.evidence_due_by - make_interval(days => p_days);
  -- The deadline has been moved since this reminder was made.
  if v_run_at > now() then
    return jsonb_build_object('outcome', 'early', 'run_at', v_run_at);
  end if;
  perform private.raise_alert_once(
    'dispute_due', case when p_days <= 1 then 'critical' else 'warning' end,
    format('dispute_due:%s:%s:%s', d.id, p_days, floor(extract(epoch from d.evidence_due_by))),
    jsonb_build_object(
      'dispute_id', d.id, 'order_number', (select o.number from public.orders o where o.id = d.order_id),
      'days', p_days, 'evidence_due_by', d.evidence_due_by, 'amount', d.amount, 'currency', d.currency
    )
  );
  return jsonb_build_object('outcome', 'reminded', 'run_at', null);
end;
$function$;
comment on function public.remind_dispute(p_dispute_id text, p_days integer) is 'Tells staff that evidence is due in p_days days, once for each deadline. Answers { outcome: reminded | early (not before run_at: the deadline has moved) | over (nothing to answer any more) }.';
grant execute on function public.remind_dispute(p_dispute_id text, p_days integer) to service_role;


CREATE OR REPLACE FUNCTION public.replace_webhook_addresses(p_addresses text[])
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  v_addresses inet[] := array(select distinct a::inet from unnest(p_addresses) a);
  v_known integer := (select count(*) from public.stripe_webhook_ips);
  v_added jsonb;
  v_removed jsonb;
begin
  -- A cut or wrong page would shut Stripe out: Stripe never took away half of its addresses at once.
  if cardinality(v_addresses) = 0 or cardinality(v_addresses) * 2 < v_known then
    raise exception 'a list of % addresses cannot replace one of %', cardinality(v_addresses), v_known
      using errcode = 'KCINV';
  end if;
  with gone as (
    delete from public.stripe_webhook_ips
    where not address = any (v_addresses) returning host(address) as address
  )
  select coalesce(jsonb_agg(gone.address), '[]') into v_removed from gone;
  with new as (
    insert into public.stripe_webhook_ips (address) select unnest(v_addresses) on conflict do nothing
    returning host(address) as address
  )
  select coalesce(jsonb_agg(new.address), '[]') into v_added from new;
  insert into private.heartbeats (name)
  values ('webhook_addresses') on conflict (name) do update set last_at = now();
  if v_added <> '[]' or v_removed <> '[]' then
    insert into private.webhook_address_changes (added, removed) values (v_added, v_removed);
    perform private.raise_alert(
      'webhook_addresses_changed', 'info',
      'webhook_addresses_changed', jsonb_build_object('added', v_added, 'removed', v_removed)
    );
  end if;
  return jsonb_build_object('added', v_added, 'removed', v_removed);
end;
$function$;
comment on function public.replace_webhook_addresses(p_addresses text[]) is 'Takes over Stripe''s published list of webhook addresses. Returns { added, removed }; a change is written down and told to staff. KCINV: the list is empty or has shrunk by more than half.';
grant execute on function public.replace_webhook_addresses(p_addresses text[]) to service_role;


CREATE OR REPLACE FUNCTION public.request_refund(p_order_number text, p_amount bigint DEFAULT NULL::bigint, p_reason text DEFAULT NULL::text, p_restock boolean DEFAULT false)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command(
    'request_refund',
    jsonb_build_object(
      'order_number', p_order_number, 'amount', p_amount, 'reason', p_reason,
      'restock', coalesce(p_restock, false)
    )
  )
$function$;
comment on function public.request_refund(p_order_number text, p_amount bigint, p_reason text, p_restock boolean) is 'Refunds an order: p_amount in minor units, or all that is left. p_restock: with all that is left, the goods go back on the shelf once that refund has succeeded; with a part nothing does, and the answer says so ({ restock: false, notice }). Staff only.';
grant execute on function public.request_refund(p_order_number text, p_amount bigint, p_reason text, p_restock boolean) to authenticated;
grant execute on function public.request_refund(p_order_number text, p_amount bigint, p_reason text, p_restock boolean) to service_role;


CREATE OR REPLACE FUNCTION public.resend_notification(p_order_number text, p_template text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command(
    'resend_notification', jsonb_build_object('order_number', p_order_number, 'template', p_template)
  )
$function$;
comment on function public.resend_notification(p_order_number text, p_template text) is 'Mails a template that the order has had before once more, if what it says is still true. Staff only.';
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
  -- Only the attempt that the caller saw end moves on; a parallel repeat finds that it already has.
  if o.attempt = p_attempt and o.session_id is null and o.cancelled_at is null and o.erased_at is null
    and not exists (
    select 1 from public.checkout_sessions s
    where s.order_id = o.id and s.attempt = p_attempt and s.status <> 'expired'
  ) then
    return private.enter_checkout(
      o.id, (private.risk_of(o.id)).velocity_mode, null, false, true, p_session_seconds, p_hold_seconds
    );
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$function$;
comment on function public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer) is 'Replaces an attempt that Stripe never carried out (its expires_at had come too near), or whose session has expired, by the next one, if the velocity rules let it. Same answer as begin_checkout(): existing or velocity_exceeded. KCORD, KCSTK.';
grant execute on function public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer) to service_role;


CREATE OR REPLACE FUNCTION public.resume_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text DEFAULT NULL::text, p_client_ip text DEFAULT NULL::text, p_supersede boolean DEFAULT true)
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
  return coalesce(private.checkout_end(o), private.enter_checkout(
    o.id, coalesce(p_velocity_mode, (private.risk_of(o.id)).velocity_mode), p_client_ip, p_supersede,
    o.status in ('expired', 'payment_failed'), p_session_seconds, p_hold_seconds
  ));
end;
$function$;
comment on function public.resume_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text, p_client_ip text, p_supersede boolean) is 'Opens an unpaid order again. existing: the snapshot of an attempt that can be paid, a new one at today''s prices when the last has expired or failed; paid: { session_id } for the success page; cancelled; superseded: expire session_ids at Stripe, then ask again with p_supersede false; velocity_exceeded. p_velocity_mode null: that of the last attempt. KCORD: no such order. KCSTK: sold out.';
grant execute on function public.resume_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text, p_client_ip text, p_supersede boolean) to service_role;


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
  elsif v_event.status in ('processed', 'ignored') and v_event.next_attempt_at is null then
    return jsonb_build_object('outcome', 'duplicate');
  end if;
  return private.process_stripe_event(
    p_event_id, v_event.stripe_created_at, p_facts, p_ignored_reason, p_error
  );
end;
$function$;
comment on function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text) is 'Tries a stored event again with a fresh translation of its payload. duplicate: it has been applied meanwhile, and nobody asked for it to be applied anew. KCEVT: no such event.';
grant execute on function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text) to service_role;


CREATE OR REPLACE FUNCTION public.submit_dispute_evidence(p_dispute_id text, p_note text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO ''
AS $function$
  select private.submit_command(
    'submit_dispute_evidence', jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note)
  )
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
    return jsonb_build_object(
      'allowed', false, 'key', v_full, 'retry_after_seconds', greatest(1, ceil(v_wait))::integer
    );
  end if;
  -- Old windows go a few at a time, in about one call of a hundred.
  if random() < 0.01 then
    delete from private.rate_limits r
    where (r.key, r.window_start) in (
      select d.key, d.window_start from private.rate_limits d
      where d.window_start < v_now - interval '1 day' limit 1000 for update skip locked
    );
  end if;
  return jsonb_build_object('allowed', true, 'key', null, 'retry_after_seconds', 0);
end;
$function$;
comment on function public.take_rate_limits(p_buckets jsonb) is 'Counts one request in each bucket [{ key, limit, window_seconds }] and answers { allowed, key, retry_after_seconds } with the bucket that is full the longest.';
grant execute on function public.take_rate_limits(p_buckets jsonb) to service_role;


default grants of postgres on f: {postgres=X/postgres}
