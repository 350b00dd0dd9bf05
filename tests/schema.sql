-- Structure and signatures as all migrations leave them. Generated: 'deno task ok --write' writes it, 'deno task ok' compares it.
-- For reading and reviewing; supabase/schemas is the source, with the bodies.


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
comment on schema reporting is 'Read-only views for staff. Exposed over the API: policies of the tables beneath decide.';
grant usage on schema reporting to authenticated;
grant usage on schema reporting to service_role;


type private.alert_finding as (subject text, value numeric, data jsonb);


type private.applied_facts as (applied integer, order_ids uuid[], erased boolean);


type private.locked_orders as (erased_ids uuid[], live_ids uuid[], order_ids uuid[]);


type private.order_facts as (paid boolean, amount_paid bigint, amount_refunded bigint, sessions_open integer, sessions_under_way integer, sessions_failed integer, attempt_has_ended boolean, cancelled boolean, oversold boolean, restocked boolean, fulfilled boolean, withdrawn boolean, mismatches text[], fraud_reasons text[], hold_reasons text[]);


type private.order_history as (has_sessions_to_tell boolean, has_refunds boolean, has_disputes boolean, has_signals boolean, has_returns boolean, has_shipments boolean);


type private.order_state as (stock text, review_reasons text[], status text, fulfillment_status text);


type private.person_scope as (order_ids uuid[], customer_ids uuid[], stripe_ids text[], event_ids text[], failed_event_ids text[]);


type public.dispute_action as (action text, run_at timestamp with time zone);


type public.dispute_reminder as (outcome text, run_at timestamp with time zone);


type public.event_outcome as (outcome text, reason text, delivery_count integer, order_ids uuid[], closing_sessions text[]);


type public.fraud_value as (item_type text, value text);


type public.limit_decision as (allowed boolean, key text, retry_after_seconds integer);


type public.mail_event_outcome as (outcome text, order_id uuid);


type public.open_object as (kind text, id text);


type public.order_trace as (order_id uuid, number text, status text, fulfillment_status text, amount_total bigint, currency text, livemode boolean, created_at timestamp with time zone, moments trace_moment[]);


type public.purge_report as (purged jsonb, more boolean);


type public.redriven_item as (what text, id text, type text, status text, error text, redriven boolean, problem text);


type public.refund_judgement as (outcome text, by text, refusals integer, restock boolean, lines jsonb);


type public.repair as (outcome text, changed boolean, before jsonb, after jsonb);


type public.rescue_end as (stock_added text[], paid_orders text[]);


type public.rescue_window as (since timestamp with time zone, stopped_at timestamp with time zone, under_way boolean, shop_id text);


type public.rescued_order as (outcome text, number text);


type public.trace_moment as (at timestamp with time zone, kind text, what text, detail jsonb);


type public.webhook_address_change as (added text[], removed text[]);


type public.webhook_allowlist as (addresses text[], refreshed_at timestamp with time zone);


sequence private.jobs_id_seq as bigint start 1 increment 1;


sequence private.metric_samples_id_seq as bigint start 1 increment 1;


sequence private.order_number_seq as bigint start 100001 increment 1;


sequence private.rescues_id_seq as bigint start 1 increment 1;


sequence private.velocity_rule_sets_id_seq as bigint start 1 increment 1;


sequence private.webhook_address_changes_id_seq as bigint start 1 increment 1;


sequence public.inventory_journal_id_seq as bigint start 1 increment 1;


sequence public.order_events_id_seq as bigint start 1 increment 1;


sequence public.reconciliation_drift_id_seq as bigint start 1 increment 1;


sequence public.staff_commands_number_seq as bigint start 1 increment 1;


sequence public.webhook_rejections_id_seq as bigint start 1 increment 1;


table private.alert_incidents (
  kind text not null,
  told_at timestamp with time zone,
  telling_until timestamp with time zone,
  constraint alert_incidents_pkey PRIMARY KEY (kind)
);
comment on table private.alert_incidents is 'When staff were last sent something about each kind of alert. telling_until: a worker is at it; what it does not report back by then, another one does again.';
row level security on private.alert_incidents;


table private.alert_lulls (
  kind text not null,
  lull interval not null,
  constraint alert_lulls_pkey PRIMARY KEY (kind),
  constraint alert_lulls_positive CHECK ((lull > '00:00:00'::interval))
);
comment on table private.alert_lulls is 'Kinds of alert that are counted up as long as they go on, with nothing that says when they end: those that were not counted for so long are over. All others end with their cause.';
row level security on private.alert_lulls;


table private.alert_rules (
  kind text not null,
  threshold numeric not null,
  unit text not null,
  minimum integer default 1 not null,
  window_seconds integer,
  severity text not null,
  once boolean default false not null,
  enabled boolean default true not null,
  quiet_from time without time zone,
  quiet_until time without time zone,
  description text not null,
  updated_at timestamp with time zone default now() not null,
  constraint alert_rules_pkey PRIMARY KEY (kind),
  constraint alert_rules_kind_names_a_function CHECK ((kind ~ '^[a-z][a-z_]{1,50}$'::text)),
  constraint alert_rules_minimum_fits CHECK (((minimum >= 1) AND (minimum <= 1000000))),
  constraint alert_rules_quiet_hours_are_two CHECK (((quiet_from IS NULL) = (quiet_until IS NULL))),
  constraint alert_rules_severity_known CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'critical'::text]))),
  constraint alert_rules_threshold_fits CHECK (
CASE unit
    WHEN 'share'::text THEN ((threshold > (0)::numeric) AND (threshold <= (1)::numeric))
    WHEN 'times'::text THEN ((threshold >= (1)::numeric) AND (threshold <= (1000)::numeric))
    WHEN 'count'::text THEN ((threshold >= (1)::numeric) AND (threshold <= (1000000)::numeric) AND (threshold = trunc(threshold)))
    ELSE ((threshold >= (60)::numeric) AND (threshold <= ((30 * 86400))::numeric))
END),
  constraint alert_rules_unit_known CHECK ((unit = ANY (ARRAY['share'::text, 'times'::text, 'count'::text, 'seconds'::text]))),
  constraint alert_rules_window_fits CHECK (((window_seconds >= 60) AND (window_seconds <= (90 * 86400))))
);
comment on table private.alert_rules is 'Alert rules, changed by set_alert_rule(). Each is measured by the function private.rule_<kind>() and raises alerts of its kind.';
comment on column private.alert_rules.kind is 'The kind of its alerts; docs/runbook.md has each.';
comment on column private.alert_rules.threshold is 'From which figure on it tells, in its unit.';
comment on column private.alert_rules.unit is 'share: a part of 1, 0.2 is a fifth. times: so many times what is usual. count: so many. seconds: so long.';
comment on column private.alert_rules.minimum is 'How many must be there before it judges: the first decline of a small shop is no jump. Description says of what.';
comment on column private.alert_rules.window_seconds is 'How far it looks back; null: it looks at what is now.';
comment on column private.alert_rules.severity is 'Severity of its alerts: info, warning or critical.';
comment on column private.alert_rules.once is 'True: about a thing that has happened, told once for each. False: about a state, which opens again as long as it lasts, even if staff have resolved its alert.';
comment on column private.alert_rules.enabled is 'False: it does not tell, and what it told is over.';
comment on column private.alert_rules.quiet_from is 'Quiet hours, in the shop''s time zone: from then until quiet_until nothing is opened. What is still so afterwards is told then. Null: none.';
comment on column private.alert_rules.quiet_until is 'End of the quiet hours; may be on the next day.';
comment on column private.alert_rules.description is 'What it tells, and what its minimum counts.';
comment on column private.alert_rules.updated_at is 'When it was last changed.';
row level security on private.alert_rules;


table private.audit_leaves (
  seal_id bigint not null,
  "position" integer not null,
  table_name text not null,
  row_number bigint not null,
  row_digest bytea not null,
  text_digest bytea not null,
  salt bytea,
  constraint audit_leaves_pkey PRIMARY KEY (seal_id, "position"),
  constraint audit_leaves_seal_id_fkey FOREIGN KEY (seal_id) REFERENCES private.audit_seals(id) DEFERRABLE INITIALLY DEFERRED,
  constraint audit_leaves_table_name_fkey FOREIGN KEY (table_name) REFERENCES private.audited_tables(name)
);
comment on table private.audit_leaves is 'What was sealed of each row, by seal. text_digest: of salt and texts. A row that an erasure has changed has a leaf for each time.';
comment on column private.audit_leaves.salt is 'It goes with the text: an erasure empties it.';
CREATE INDEX audit_leaves_row_idx ON private.audit_leaves USING btree (table_name, row_number, seal_id);
CREATE TRIGGER refuse_change BEFORE UPDATE ON private.audit_leaves FOR EACH ROW WHEN (((new.salt IS NOT NULL) OR ((to_jsonb(new.*) - 'salt'::text) <> (to_jsonb(old.*) - 'salt'::text)))) EXECUTE FUNCTION private.refuse_any_change();
CREATE TRIGGER refuse_delete BEFORE DELETE ON private.audit_leaves FOR EACH ROW EXECUTE FUNCTION private.refuse_any_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON private.audit_leaves FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_any_change();
row level security on private.audit_leaves;


table private.audit_seals (
  id bigint not null,
  digest bytea not null,
  sealed_at timestamp with time zone default clock_timestamp() not null,
  constraint audit_seals_pkey PRIMARY KEY (id)
);
comment on table private.audit_seals is 'The chain, numbered from 1. digest: of the leaves of this seal and the digest before it. The newest one, kept outside of this database, proves the whole trail.';
CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE ON private.audit_seals FOR EACH ROW EXECUTE FUNCTION private.refuse_any_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON private.audit_seals FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_any_change();
row level security on private.audit_seals;


table private.audit_unsealed (
  table_name text not null,
  row_number bigint not null,
  noted_at timestamp with time zone default clock_timestamp() not null,
  constraint audit_unsealed_pkey PRIMARY KEY (table_name, row_number),
  constraint audit_unsealed_table_name_fkey FOREIGN KEY (table_name) REFERENCES private.audited_tables(name)
);
comment on table private.audit_unsealed is 'Rows that wait to be sealed: written since the last seal, or changed by an erasure.';
row level security on private.audit_unsealed;


table private.audited_tables (
  name text not null,
  numbered_by text not null,
  texts text[] not null,
  constraint audited_tables_pkey PRIMARY KEY (name)
);
comment on table private.audited_tables is 'Append-only tables that are sealed. numbered_by: their identity column; texts: columns that an erasure may change.';
row level security on private.audited_tables;


table private.carriers (
  name text not null,
  tracking_url text not null,
  constraint carriers_pkey PRIMARY KEY (name),
  constraint carriers_name_lower CHECK ((name = lower(name))),
  constraint carriers_tracking_url_https CHECK (((tracking_url ~ '^https://'::text) AND (tracking_url ~~ '%{number}%'::text)))
);
comment on table private.carriers is 'Where each carrier shows its parcels; {number} stands for the tracking number. name in lower case.';
row level security on private.carriers;


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
  silent_from timestamp with time zone,
  resumed_at timestamp with time zone,
  constraint heartbeats_pkey PRIMARY KEY (name)
);
comment on table private.heartbeats is 'When something that must keep happening last happened. Health compares it with the clock.';
comment on column private.heartbeats.silent_from is 'When it last stopped for five minutes or more; null: it never did.';
comment on column private.heartbeats.resumed_at is 'When it went on after that.';
row level security on private.heartbeats;


table private.job_kinds (
  kind text not null,
  provider text,
  max_attempts integer default 12 not null,
  backoff_base_seconds integer,
  backoff_max_seconds integer,
  retention interval,
  once_only boolean default false not null,
  description text not null,
  constraint job_kinds_pkey PRIMARY KEY (kind),
  constraint job_kinds_max_attempts_positive CHECK ((max_attempts > 0))
);
comment on table private.job_kinds is 'Limits per kind of job. A kind that is missing here gets the defaults.';
comment on column private.job_kinds.provider is 'Whom the job calls. While a provider''s circuit breaker is open, its jobs are not claimed.';
comment on column private.job_kinds.backoff_base_seconds is 'Null: setting event_retry_base_seconds; likewise the maximum.';
comment on column private.job_kinds.retention is 'How long finished jobs are kept. Null: always, because settling again must find that the effect was queued before.';
comment on column private.job_kinds.once_only is 'It tells somebody, or writes at Stripe, without looking whether that was done: after a restore of the database, what was due before counts as done. All others look first, and run.';
row level security on private.job_kinds;
policy job_kinds_read on private.job_kinds as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table private.job_kinds to authenticated;
grant select on table private.job_kinds to service_role;


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
CREATE INDEX jobs_alert_idx ON private.jobs USING btree (((payload ->> 'alert_id'::text))) WHERE (kind = 'send_alert'::text);
CREATE INDEX jobs_dead_idx ON private.jobs USING btree (kind) WHERE (status = 'dead'::text);
CREATE INDEX jobs_due_idx ON private.jobs USING btree (run_at) WHERE (status = 'queued'::text);
CREATE INDEX jobs_expire_session_idx ON private.jobs USING btree (((payload ->> 'session_id'::text))) WHERE ((kind = 'expire_checkout_session'::text) AND (status = ANY (ARRAY['queued'::text, 'running'::text])));
CREATE INDEX jobs_finished_idx ON private.jobs USING btree (kind, finished_at) WHERE (status = ANY (ARRAY['done'::text, 'discarded'::text]));
CREATE INDEX jobs_notification_idx ON private.jobs USING btree (((payload ->> 'notification_id'::text))) WHERE (kind = 'send_mail'::text);
CREATE INDEX jobs_queued_idx ON private.jobs USING btree (priority, run_at, id) WHERE ((status = 'queued'::text) AND (lost_leases = 0));
CREATE INDEX jobs_queued_mails_idx ON private.jobs USING btree (priority, run_at, id) WHERE ((status = 'queued'::text) AND (lost_leases = 0) AND (kind = 'send_mail'::text));
CREATE INDEX jobs_refund_payment_idx ON private.jobs USING btree (((payload ->> 'payment_id'::text))) WHERE (kind = 'refund_payment'::text);
CREATE INDEX jobs_running_idx ON private.jobs USING btree (leased_until) WHERE (status = 'running'::text);
CREATE INDEX jobs_suspect_idx ON private.jobs USING btree (run_at, id) WHERE ((status = 'queued'::text) AND (lost_leases > 0));
row level security on private.jobs;
policy jobs_read on private.jobs as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table private.jobs to authenticated;
grant select on table private.jobs to service_role;


table private.key_modes (
  livemode boolean not null,
  seen_at timestamp with time zone not null,
  constraint key_modes_pkey PRIMARY KEY (livemode)
);
comment on table private.key_modes is 'When the functions last had a Stripe key of each mode.';
row level security on private.key_modes;


table private.metric_samples (
  id bigint generated always as identity not null,
  metric text not null,
  labels text[] not null,
  bucket smallint not null,
  count integer not null,
  total double precision not null,
  constraint metric_samples_pkey PRIMARY KEY (id)
);
comment on table private.metric_samples is 'What was counted and not added up yet. Only ever added to, and taken by fold_metrics().';
row level security on private.metric_samples;


table private.metric_series (
  metric text not null,
  labels text[] not null,
  bucket smallint not null,
  count bigint not null,
  total double precision not null,
  constraint metric_series_pkey PRIMARY KEY (metric, labels, bucket),
  constraint metric_series_metric_fkey FOREIGN KEY (metric) REFERENCES private.metrics(name)
);
comment on table private.metric_series is 'Every series as a monitor sees it. count: of a counter, or of one bucket of a histogram (not cumulative, the last is beyond all bounds); total: sum of what a histogram observed, or the value of a gauge.';
row level security on private.metric_series;


table private.metrics (
  name text not null,
  type text not null,
  unit text,
  labels text[] default '{}'::text[] not null,
  allowed jsonb default '{}'::jsonb not null,
  bounds double precision[],
  counted_by text not null,
  help text not null,
  constraint metrics_pkey PRIMARY KEY (name),
  constraint metrics_counted_by_known CHECK ((counted_by = ANY (ARRAY['functions'::text, 'database'::text, 'health'::text]))),
  constraint metrics_histogram_has_bounds CHECK (((type = 'histogram'::text) = (bounds IS NOT NULL))),
  constraint metrics_name_ends_in_unit CHECK (((unit IS NULL) OR ("right"(name, (length(unit) + 1)) = ('_'::text || unit)))),
  constraint metrics_type_known CHECK ((type = ANY (ARRAY['counter'::text, 'histogram'::text, 'gauge'::text])))
);
comment on table private.metrics is 'The registry of all metrics; a monitor sees them with the prefix shop_. What is not here is not counted.';
comment on column private.metrics.allowed is 'Label: [values]. Any other value is counted as "other". A label without a list takes its values from a registry (job kinds, mails, events that we listen to).';
comment on column private.metrics.bounds is 'Upper bounds of a histogram''s buckets, rising.';
comment on column private.metrics.counted_by is 'functions: in memory, told to record_metrics(); database: in the transaction that did it, or measured; health: a figure of get_health().';
row level security on private.metrics;


table private.objective_days (
  objective text not null,
  day date not null,
  good bigint default 0 not null,
  bad bigint default 0 not null,
  constraint objective_days_pkey PRIMARY KEY (objective, day),
  constraint objective_days_objective_fkey FOREIGN KEY (objective) REFERENCES private.objectives(name)
);
comment on table private.objective_days is 'How each objective was met, by day in the shop''s time zone: five rows a day, kept for good.';
row level security on private.objective_days;


table private.objectives (
  name text not null,
  target numeric not null,
  within_seconds integer not null,
  functions text[] default '{}'::text[] not null,
  counted_until timestamp with time zone default now() not null,
  description text not null,
  constraint objectives_pkey PRIMARY KEY (name),
  constraint objectives_target_is_share CHECK (((target > (0)::numeric) AND (target < (1)::numeric)))
);
comment on table private.objectives is 'What the shop promises itself. functions: whose requests count; counted_until: how far mails and events have been judged.';
row level security on private.objectives;


table private.order_pages (
  order_id uuid not null,
  digest bytea not null,
  constraint order_pages_pkey PRIMARY KEY (order_id),
  constraint order_pages_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table private.order_pages is 'What the page of each order showed when it was last told to look again. Empty where there is no Realtime.';
row level security on private.order_pages;


table private.periodic_jobs (
  kind text not null,
  every interval not null,
  every_when_quiet interval,
  priority integer default 200 not null,
  next_at timestamp with time zone,
  constraint periodic_jobs_pkey PRIMARY KEY (kind),
  constraint periodic_jobs_kind_fkey FOREIGN KEY (kind) REFERENCES private.job_kinds(kind)
);
comment on table private.periodic_jobs is 'Kinds of job that are queued again and again. next_at null: never yet; the first comes a minute after the first heartbeat.';
comment on column private.periodic_jobs.every_when_quiet is 'How often while the shop is quiet, see is_quiet(); null: as ever.';
row level security on private.periodic_jobs;


table private.proven_accounts (
  user_id uuid not null,
  proven_at timestamp with time zone default now() not null,
  constraint proven_accounts_pkey PRIMARY KEY (user_id),
  constraint proven_accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table private.proven_accounts is 'Accounts whose present e-mail address is proven to be theirs. Gone as soon as the address changes without proof.';
row level security on private.proven_accounts;


table private.purged_webhook_events (
  id text not null,
  constraint purged_webhook_events_pkey PRIMARY KEY (id)
);
comment on table private.purged_webhook_events is 'The ids of events whose rows went after retention_event_days: should one come again, it is a duplicate.';
row level security on private.purged_webhook_events;


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


table private.refused_signatures (
  noted_at timestamp with time zone not null,
  total bigint not null,
  constraint refused_signatures_pkey PRIMARY KEY (noted_at)
);
comment on table private.refused_signatures is 'How many deliveries had been refused for their signature, minute by minute: webhook_rejections counts for good. Kept for the window of the rule.';
row level security on private.refused_signatures;


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


table private.rescues (
  id bigint generated always as identity not null,
  since timestamp with time zone not null,
  stopped_at timestamp with time zone not null,
  started_at timestamp with time zone default clock_timestamp() not null,
  finished_at timestamp with time zone,
  constraint rescues_pkey PRIMARY KEY (id),
  constraint rescues_in_order CHECK (((since <= stopped_at) AND (stopped_at <= started_at)))
);
comment on table private.rescues is 'One row for each time that this database was restored and caught up with Stripe. While one is not finished, checkout is closed and no job runs.';
comment on column private.rescues.since is 'From here on Stripe was asked for everything.';
comment on column private.rescues.stopped_at is 'When the database that was lost did its last work. Effects of what happened from since until then are never had again, also when they turn up later.';
CREATE UNIQUE INDEX rescues_one_at_a_time ON private.rescues USING btree ((true)) WHERE (finished_at IS NULL);
row level security on private.rescues;


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
  constraint settings_alert_at_once_known CHECK (((key <> 'alert_at_once'::text) OR (value = ANY (ARRAY['"info"'::jsonb, '"warning"'::jsonb, '"critical"'::jsonb])))),
  constraint settings_alert_group_minutes_fits CHECK (((key <> 'alert_group_minutes'::text) OR ((value #>> '{}'::text[]) ~ '^([0-9]|[1-9][0-9]{1,2})$'::text))),
  constraint settings_country_currencies_fit CHECK (((key <> 'country_currencies'::text) OR private.country_currencies_fit(value))),
  constraint settings_counts_are_counts CHECK (((key <> ALL (ARRAY['event_retry_base_seconds'::text, 'event_retry_max_seconds'::text, 'stock_shown_max'::text, 'low_stock_at'::text])) OR ((jsonb_typeof(value) = 'number'::text) AND ((value #>> '{}'::text[]) ~ '^[0-9]{1,6}$'::text)))),
  constraint settings_digest_hour_fits CHECK (((key <> 'digest_hour'::text) OR (value = 'null'::jsonb) OR ((value #>> '{}'::text[]) ~ '^([0-9]|1[0-9]|2[0-3])$'::text))),
  constraint settings_dispute_fits CHECK (
CASE key
    WHEN 'dispute_answer_hours'::text THEN ((value = 'null'::jsonb) OR ((jsonb_typeof(value) = 'number'::text) AND ((value #>> '{}'::text[]) ~ '^[1-9][0-9]{0,2}$'::text)))
    WHEN 'dispute_accept_below'::text THEN ((jsonb_typeof(value) = 'object'::text) AND (NOT jsonb_path_exists(value, '$.keyvalue()?((!(@."key" like_regex "^[a-z]{3}$") || @."value".type() != "number") || @."value" < 0)'::jsonpath)))
    WHEN 'dispute_win_percent'::text THEN ((jsonb_typeof(value) = 'object'::text) AND (NOT jsonb_path_exists(value, '$.keyvalue()?(((!(@."key" like_regex "^[a-z_]{1,60}$") || @."value".type() != "number") || @."value" < 0) || @."value" > 100)'::jsonpath)))
    ELSE true
END),
  constraint settings_early_fraud_warning_policy_known CHECK (((key <> 'early_fraud_warning_policy'::text) OR (value = ANY (ARRAY['"refund"'::jsonb, '"review"'::jsonb])))),
  constraint settings_recovery_fits CHECK (private.recovery_setting_fits(key, value)),
  constraint settings_retention_fits CHECK (((key !~ '^retention_[a-z]+_days$'::text) OR ((jsonb_typeof(value) = 'number'::text) AND ((value #>> '{}'::text[]) ~ '^[1-9][0-9]{0,3}$'::text)))),
  constraint settings_retention_keeps_events CHECK (((key <> 'retention_event_days'::text) OR
CASE
    WHEN ((value #>> '{}'::text[]) ~ '^[0-9]{1,9}$'::text) THEN (((value #>> '{}'::text[]))::integer >= 60)
    ELSE false
END)),
  constraint settings_shop_fits CHECK (private.shop_setting_fits(key, value)),
  constraint settings_switches_are_switches CHECK (((key <> ALL (ARRAY['admin_require_mfa'::text, 'prices_include_tax'::text])) OR (jsonb_typeof(value) = 'boolean'::text)))
);
comment on table private.settings is 'Switches read by SQL functions. Change a value with update; it takes effect at once.';
row level security on private.settings;


table private.staff_accounts (
  user_id uuid not null,
  noted_at timestamp with time zone default now() not null,
  constraint staff_accounts_pkey PRIMARY KEY (user_id),
  constraint staff_accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table private.staff_accounts is 'Accounts that had app_metadata.role = admin when Auth last wrote their role.';
row level security on private.staff_accounts;


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


table private.terms_texts (
  version text not null,
  refund_policy text,
  cancellation_policy text,
  created_at timestamp with time zone default now() not null,
  constraint terms_texts_pkey PRIMARY KEY (version),
  constraint terms_texts_cancellation_fits CHECK (((char_length(cancellation_policy) >= 1) AND (char_length(cancellation_policy) <= 40000))),
  constraint terms_texts_has_text CHECK ((COALESCE(refund_policy, cancellation_policy) IS NOT NULL)),
  constraint terms_texts_refund_fits CHECK (((char_length(refund_policy) >= 1) AND (char_length(refund_policy) <= 40000)))
);
comment on table private.terms_texts is 'What the terms of a version say of refunds and cancellations, word for word: shown to the bank when an order that was placed under them is disputed. Some twelve pages each at most.';
CREATE TRIGGER keep_terms_text BEFORE DELETE OR UPDATE ON private.terms_texts FOR EACH ROW EXECUTE FUNCTION private.keep_terms_text();
row level security on private.terms_texts;


table private.unchecked_orders (
  order_id uuid not null,
  noted_at timestamp with time zone default clock_timestamp() not null,
  violations jsonb,
  constraint unchecked_orders_pkey PRIMARY KEY (order_id)
);
comment on table private.unchecked_orders is 'Orders that wait to be checked: settled since, broken when last looked at, or all of them once a day. Written in the transaction that settles, so that none that commits late is passed over.';
comment on column private.unchecked_orders.violations is 'What was not true of it when last looked at.';
CREATE INDEX unchecked_orders_broken_idx ON private.unchecked_orders USING btree (noted_at) WHERE (violations IS NOT NULL);
CREATE INDEX unchecked_orders_noted_at_idx ON private.unchecked_orders USING btree (noted_at) WHERE (violations IS NULL);
row level security on private.unchecked_orders;


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
  baseline_share numeric,
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
  constraint velocity_rules_amount_has_currency CHECK (((measure <> 'amount'::text) OR (currency IS NOT NULL))),
  constraint velocity_rules_baseline_share_range CHECK (((baseline_share > (0)::numeric) AND (baseline_share < (1)::numeric))),
  constraint velocity_rules_held_of_shopper CHECK (((measure <> ALL (ARRAY['held_pieces'::text, 'held_share'::text])) OR (subject = ANY (ARRAY['user'::text, 'email'::text, 'address'::text, 'shop'::text])))),
  constraint velocity_rules_measure_known CHECK ((measure = ANY (ARRAY['unpaid_checkouts'::text, 'declines'::text, 'declined_orders'::text, 'cards'::text, 'emails'::text, 'amount'::text, 'disposable_email'::text, 'outages'::text, 'held_pieces'::text, 'held_share'::text]))),
  constraint velocity_rules_min_pieces_positive CHECK ((min_pieces > 0)),
  constraint velocity_rules_shop_refuses_nobody CHECK (((subject <> 'shop'::text) OR (action <> 'block'::text))),
  constraint velocity_rules_subject_known CHECK ((subject = ANY (ARRAY['address'::text, 'email'::text, 'user'::text, 'order'::text, 'card'::text, 'shipping_address'::text, 'shop'::text]))),
  constraint velocity_rules_threshold_positive CHECK ((threshold > 0)),
  constraint velocity_rules_window_range CHECK (((window_seconds >= 1) AND (window_seconds <= (31 * 86400))))
);
comment on table private.velocity_rules is 'Velocity rules. A rule hits when its measure over its subject and window reaches the threshold; each hit is a row in fraud_signals. Rules over refused attempts are measured again at each refusal, where block closes the payment pages of its subject, and require_3ds and require_challenge those of the refused orders that ask for less. Rules on an address look at each IPv6 network that holds it, with 1, 1.5 and 3 times the threshold for /64, /56 and /48. Rules on card and shipping_address look at paid orders, because checkout does not know these yet; there block means review.';
comment on column private.velocity_rules.measure is 'unpaid_checkouts: orders not paid. declines: refused payment attempts. declined_orders: orders whose card was refused and that nothing has paid; each card of such an order counts, but with baseline_share of one buyer three at most (and, for the shop, of one network): their own rules see to the rest. cards, emails: how many different ones. amount: what the subject orders, this cart included, in currency; an order in another currency counts with today''s prices of its goods in this one. disposable_email: 1 for a throw-away address. outages: orders whose payment failed because the bank, the network or the processor was away; these refusals count in no other measure. held_pieces: pieces that unpaid orders hold, this cart included. held_share: how much of the stock that is, in percent: of all pieces, or of each article in stock, averaged over all articles, whichever is more.';
comment on column private.velocity_rules.baseline_share is 'The share of orders that is refused on an ordinary day: with 0.2, one refusal in five is expected and does not count. The rule hits when the refusals beyond that share, counted back from now, weigh as much as threshold refusals in a row: good orders before an attack or among it do not hide it, and a busy day does not look like one. Null: each refusal counts. Measure outages: the least share of the orders tried that must have met one.';
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
  told_at timestamp with time zone,
  over_told_at timestamp with time zone,
  constraint alerts_dedupe_key_key UNIQUE (dedupe_key),
  constraint alerts_pkey PRIMARY KEY (id),
  constraint alerts_severity_known CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'critical'::text]))),
  constraint alerts_status_known CHECK ((status = ANY (ARRAY['open'::text, 'acknowledged'::text, 'resolved'::text])))
);
comment on table public.alerts is 'One row per cause (dedupe_key), counted up while it goes on. Carries ids and figures, no personal data.';
comment on column public.alerts.told_at is 'When staff were sent it. Null: not yet, or only in the digest.';
comment on column public.alerts.over_told_at is 'When staff were sent that it is over.';
CREATE INDEX alerts_open_idx ON public.alerts USING btree (last_at DESC) WHERE (status = 'open'::text);
CREATE INDEX alerts_unresolved_idx ON public.alerts USING btree (kind) WHERE (status <> 'resolved'::text);
CREATE INDEX alerts_untold_idx ON public.alerts USING btree (kind) WHERE ((told_at IS NULL) OR (over_told_at IS NULL));
CREATE TRIGGER alerts_over AFTER UPDATE OF status ON public.alerts FOR EACH ROW WHEN (((new.status = 'resolved'::text) AND (old.status <> 'resolved'::text) AND (new.told_at IS NOT NULL) AND (new.over_told_at IS NULL))) EXECUTE FUNCTION private.tell_that_it_is_over();
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
  awaited_payment boolean default false not null,
  payment_id text,
  stripe_customer_id text,
  currency text,
  amount_subtotal bigint,
  amount_total bigint,
  amount_discount bigint,
  amount_shipping bigint,
  amount_tax bigint,
  presentment_amount bigint,
  presentment_currency text,
  livemode boolean not null,
  metadata_order_id uuid,
  cart_hash text,
  email text,
  name text,
  phone text,
  shipping_name text,
  shipping_address jsonb,
  billing_address jsonb,
  business jsonb,
  url text,
  expires_at timestamp with time zone not null,
  recovered_from text,
  terms_consent text,
  promotions_consent text,
  completed_at timestamp with time zone,
  closing_at timestamp with time zone,
  version text not null,
  contact_version text not null,
  created_at timestamp with time zone default now() not null,
  constraint checkout_sessions_pkey PRIMARY KEY (id),
  constraint checkout_sessions_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.checkout_sessions is 'Checkout Sessions of our orders, as last seen. An order may have several: resumed, recovered.';
comment on column public.checkout_sessions.awaited_payment is 'It was once seen complete with its payment under way: a slow method.';
comment on column public.checkout_sessions.metadata_order_id is 'The order its metadata names. Anything but order_id means that somebody changed the metadata: the order is reviewed.';
comment on column public.checkout_sessions.business is 'What a business buyer gave on the payment page: { name, tax_ids: [{ type, value }] }.';
comment on column public.checkout_sessions.terms_consent is 'accepted: the shopper has ticked the terms on the payment page, which asks where CHECKOUT_TERMS_CONSENT is on; else null.';
comment on column public.checkout_sessions.promotions_consent is 'opt_in or opt_out: what the shopper has said to promotional mails on the payment page; null: not asked.';
comment on column public.checkout_sessions.closing_at is 'When a velocity rule had it ended: no door leads to it any more, although Stripe may not have closed it yet. No fact of Stripe''s.';
comment on column public.checkout_sessions.contact_version is 'Which snapshot wrote e-mail address, name, phone and addresses: an address that is known is not lost to a later event without it.';
CREATE INDEX checkout_sessions_closing_idx ON public.checkout_sessions USING btree (closing_at) WHERE ((status = 'open'::text) AND (closing_at IS NOT NULL));
CREATE INDEX checkout_sessions_open_idx ON public.checkout_sessions USING btree (expires_at) WHERE (status = 'open'::text);
CREATE INDEX checkout_sessions_order_id_idx ON public.checkout_sessions USING btree (order_id);
CREATE INDEX checkout_sessions_payment_id_idx ON public.checkout_sessions USING btree (payment_id);
CREATE INDEX checkout_sessions_stripe_customer_id_idx ON public.checkout_sessions USING btree (stripe_customer_id);
CREATE INDEX checkout_sessions_unpaid_idx ON public.checkout_sessions USING btree (completed_at) WHERE ((status = 'complete'::text) AND (payment_status = 'unpaid'::text) AND (NOT async_payment_failed));
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
policy customers_read on public.customers as permissive for select to authenticated using (((( SELECT private.is_admin() AS is_admin) AND (((id >= ( SELECT private.first_for_staff() AS first_for_staff)) AND (id <= ( SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS uuid))) OR (id >= private.first_for_staff()))) OR (user_id = ( SELECT auth.uid() AS uid))));
grant select on table public.customers to authenticated;
grant select on table public.customers to service_role;


table public.dispute_decisions (
  dispute_id text not null,
  round text not null,
  decision text not null,
  reason text not null,
  submissions integer not null,
  created_at timestamp with time zone default now() not null,
  constraint dispute_decisions_pkey PRIMARY KEY (dispute_id, round),
  constraint dispute_decisions_dispute_id_fkey FOREIGN KEY (dispute_id) REFERENCES disputes(id) ON DELETE CASCADE,
  constraint dispute_decisions_decision_known CHECK ((decision = ANY (ARRAY['fight'::text, 'accept'::text, 'leave'::text]))),
  constraint dispute_decisions_reason_known CHECK ((reason = ANY (ARRAY['policy'::text, 'below_limit'::text, 'written'::text, 'staff'::text, 'fee'::text, 'no_field'::text])))
);
comment on table public.dispute_decisions is 'What was decided about a dispute that staff had not answered, once for each round. What staff submit or accept themselves is in staff_commands.';
comment on column public.dispute_decisions.dispute_id is 'disputes.id.';
comment on column public.dispute_decisions.round is 'The status that waited for the answer: warning_needs_response, needs_response, appeal_needs_response.';
comment on column public.dispute_decisions.decision is 'fight: evidence is submitted; accept: the dispute is closed; leave: nothing is done.';
comment on column public.dispute_decisions.reason is 'Why: policy (the settings), below_limit (worth less than dispute_accept_below), written (somebody has written evidence at Stripe), staff (leave_dispute()), fee (fighting costs one, which only staff acknowledge), no_field (Stripe takes no evidence in this round: of an appeal of another payment than by card, of an inquiry of Klarna''s).';
comment on column public.dispute_decisions.submissions is 'How often evidence had been submitted when it was decided: more means that it has been answered.';
comment on column public.dispute_decisions.created_at is 'When it was decided.';
row level security on public.dispute_decisions;
policy dispute_decisions_read on public.dispute_decisions as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.dispute_decisions to authenticated;
grant select on table public.dispute_decisions to service_role;


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
  funds_reinstated_at timestamp with time zone,
  version text not null,
  created_at timestamp with time zone not null,
  constraint disputes_pkey PRIMARY KEY (id),
  constraint disputes_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.disputes is 'Chargebacks (dp_, du_) and inquiries (status warning_*). funds_* become true once and stay.';
comment on column public.disputes.id is 'The dispute at Stripe: du_… or dp_….';
comment on column public.disputes.order_id is 'orders.id; null: of a payment that is not ours, or not known yet.';
comment on column public.disputes.payment_id is 'The payment at Stripe, pi_….';
comment on column public.disputes.charge_id is 'The charge at Stripe, ch_….';
comment on column public.disputes.amount is 'What is disputed, in minor units; may be a part of the payment.';
comment on column public.disputes.currency is 'ISO code in lower case.';
comment on column public.disputes.livemode is 'False: of a test payment.';
comment on column public.disputes.reason is 'What the customer says, in Stripes words: fraudulent, product_not_received, ….';
comment on column public.disputes.status is 'Stripe''s: needs_response, under_review, won, lost; warning_…: an inquiry; appeal_…: a second round.';
comment on column public.disputes.statuses_seen is 'Every status it was ever seen in, sorted: each ending is announced, also one that a later ending overtook.';
comment on column public.disputes.evidence_due_by is 'Until when Stripe takes evidence; null: it takes none now.';
comment on column public.disputes.first_due_by is 'The earliest evidence deadline ever seen. Once there is one, staff are reminded; the reminders go by evidence_due_by.';
comment on column public.disputes.evidence_submission_count is 'How often evidence was submitted: a second time is hardly ever possible.';
comment on column public.disputes.has_evidence is 'Evidence is staged at Stripe.';
comment on column public.disputes.network_reason_code is 'The reason in the card networks words.';
comment on column public.disputes.funds_withdrawn is 'The bank has taken the money. Stays true.';
comment on column public.disputes.funds_reinstated is 'And given it back. Stays true.';
comment on column public.disputes.funds_reinstated_at is 'When it did, by the earliest word of it; the day on which accounting books it. Null: it has not.';
comment on column public.disputes.version is 'Which of Stripes reports this is; decides which one is newer.';
comment on column public.disputes.created_at is 'When it was opened.';
CREATE INDEX disputes_charge_id_idx ON public.disputes USING btree (charge_id);
CREATE INDEX disputes_created_at_idx ON public.disputes USING btree (created_at);
CREATE INDEX disputes_open_idx ON public.disputes USING btree (created_at) WHERE (status <> ALL (ARRAY['won'::text, 'lost'::text, 'warning_closed'::text, 'prevented'::text]));
CREATE INDEX disputes_order_id_idx ON public.disputes USING btree (order_id);
CREATE INDEX disputes_payment_id_idx ON public.disputes USING btree (payment_id);
CREATE TRIGGER count_dispute AFTER INSERT OR UPDATE OF statuses_seen ON public.disputes FOR EACH ROW EXECUTE FUNCTION private.count_dispute();
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
CREATE INDEX fraud_signals_open_reviews_idx ON public.fraud_signals USING btree (source_id) WHERE ((kind = 'review'::text) AND open);
CREATE INDEX fraud_signals_order_id_idx ON public.fraud_signals USING btree (order_id);
CREATE INDEX fraud_signals_payment_id_idx ON public.fraud_signals USING btree (payment_id);
CREATE INDEX fraud_signals_velocity_idx ON public.fraud_signals USING btree (created_at) WHERE (kind = 'velocity'::text);
CREATE INDEX fraud_signals_warnings_idx ON public.fraud_signals USING btree (created_at) WHERE (kind = 'early_fraud_warning'::text);
row level security on public.fraud_signals;
policy fraud_signals_read on public.fraud_signals as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.fraud_signals to authenticated;
grant select on table public.fraud_signals to service_role;


table public.inventory_journal (
  id bigint generated always as identity not null,
  variant_id uuid not null,
  change integer not null,
  kind text not null,
  order_id uuid,
  actor text not null,
  note text,
  created_at timestamp with time zone default now() not null,
  constraint inventory_journal_pkey PRIMARY KEY (id),
  constraint inventory_journal_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE RESTRICT,
  constraint inventory_journal_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES inventory_levels(variant_id) ON DELETE RESTRICT,
  constraint inventory_journal_change_not_zero CHECK ((change <> 0)),
  constraint inventory_journal_kind_known CHECK ((kind = ANY (ARRAY['opening'::text, 'sale'::text, 'release'::text, 'return'::text, 'exchange'::text, 'adjustment'::text, 'count'::text, 'import'::text, 'edit'::text])))
);
comment on table public.inventory_journal is 'Append-only: every change of on_hand. kind: opening (the row was made), sale and release (goods of an order go and, not sent after all or all together, come back), return (pieces came back), exchange (pieces go out for those that come back, or after all do not), adjustment, count, import, edit (by hand, past the commands). Written by a trigger.';
comment on column public.inventory_journal.actor is 'Who: a member of staff, or for an order what settled it (event id, job); else the session''s user.';
CREATE INDEX inventory_journal_order_id_idx ON public.inventory_journal USING btree (order_id);
CREATE INDEX inventory_journal_variant_id_idx ON public.inventory_journal USING btree (variant_id, id) INCLUDE (change);
CREATE TRIGGER note_unsealed AFTER INSERT OR UPDATE ON public.inventory_journal FOR EACH ROW EXECUTE FUNCTION private.note_unsealed('id');
CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE ON public.inventory_journal FOR EACH ROW EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER refuse_own_number BEFORE INSERT ON public.inventory_journal FOR EACH ROW EXECUTE FUNCTION private.refuse_own_number('id', 'public.inventory_journal_id_seq');
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.inventory_journal FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();
row level security on public.inventory_journal;
policy inventory_journal_read on public.inventory_journal as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.inventory_journal to authenticated;
grant select on table public.inventory_journal to service_role;


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
comment on table public.inventory_levels is 'Stock per variant. A row that has had stock or a reservation cannot be deleted: its journal and its orders refer to it. on_hand is the sum of its journal, reserved that of active reservations, committed that of committed ones.';
CREATE TRIGGER record_stock_move AFTER INSERT OR UPDATE OF on_hand ON public.inventory_levels FOR EACH ROW EXECUTE FUNCTION private.record_stock_move();
row level security on public.inventory_levels;
policy inventory_levels_read on public.inventory_levels as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.inventory_levels to authenticated;
grant select on table public.inventory_levels to service_role;


table public.inventory_reservations (
  id uuid default gen_random_uuid() not null,
  order_id uuid not null,
  variant_id uuid not null,
  quantity integer not null,
  returned integer default 0 not null,
  status text default 'active'::text not null,
  expires_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint inventory_reservations_order_variant_key UNIQUE (order_id, variant_id),
  constraint inventory_reservations_pkey PRIMARY KEY (id),
  constraint inventory_reservations_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint inventory_reservations_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES inventory_levels(variant_id) ON DELETE RESTRICT,
  constraint inventory_reservations_quantity_not_negative CHECK ((quantity >= 0)),
  constraint inventory_reservations_returned_within CHECK (((returned >= 0) AND (returned <= quantity))),
  constraint inventory_reservations_status_known CHECK ((status = ANY (ARRAY['active'::text, 'committed'::text, 'released'::text])))
);
comment on table public.inventory_reservations is 'Stock held by an order. expires_at only tells the sweeper when to ask Stripe; time alone releases nothing.';
comment on column public.inventory_reservations.quantity is 'Pieces of the line, those that came by exchange included; 0: the exchange that brought them was closed.';
comment on column public.inventory_reservations.returned is 'Pieces that came back by themselves, on the shelf or damaged: quantity less these is what the order has.';
CREATE INDEX inventory_reservations_active_idx ON public.inventory_reservations USING btree (order_id) WHERE (status = 'active'::text);
CREATE INDEX inventory_reservations_due_idx ON public.inventory_reservations USING btree (expires_at) WHERE (status = 'active'::text);
CREATE INDEX inventory_reservations_variant_id_idx ON public.inventory_reservations USING btree (variant_id) INCLUDE (status, quantity, returned) WHERE (status <> 'released'::text);
CREATE TRIGGER refuse_lost_hold BEFORE DELETE ON public.inventory_reservations FOR EACH ROW WHEN ((old.status <> 'released'::text)) EXECUTE FUNCTION private.refuse_lost_hold();
row level security on public.inventory_reservations;
policy inventory_reservations_read on public.inventory_reservations as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.inventory_reservations to authenticated;
grant select on table public.inventory_reservations to service_role;


table public.mail_suppressions (
  email_hmac text not null,
  reason text not null,
  created_at timestamp with time zone default now() not null,
  constraint mail_suppressions_pkey PRIMARY KEY (email_hmac, reason),
  constraint mail_suppressions_reason_known CHECK ((reason = ANY (ARRAY['unsubscribed'::text, 'complained'::text, 'bounced'::text])))
);
comment on table public.mail_suppressions is 'Addresses under private.email_hmac(). unsubscribed, complained (somebody called a mail spam): no reminders. bounced (the address does not exist): nothing but what the law needs, see private.mail_owed_by_law(). Outlives erasure.';
row level security on public.mail_suppressions;
policy mail_suppressions_read on public.mail_suppressions as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.mail_suppressions to authenticated;
grant select on table public.mail_suppressions to service_role;


table public.notifications (
  id uuid default gen_random_uuid() not null,
  order_id uuid not null,
  template text not null,
  dedupe_key text default ''::text not null,
  recipient text,
  status text default 'queued'::text not null,
  sent_at timestamp with time zone,
  delivered_at timestamp with time zone,
  provider_id text,
  last_error text,
  data jsonb default '{}'::jsonb not null,
  created_at timestamp with time zone default now() not null,
  constraint notifications_once UNIQUE (order_id, template, dedupe_key),
  constraint notifications_pkey PRIMARY KEY (id),
  constraint notifications_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint notifications_delivered_was_sent CHECK (((delivered_at IS NULL) OR (sent_at IS NOT NULL))),
  constraint notifications_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'sent'::text, 'bounced'::text, 'complained'::text, 'suppressed'::text, 'failed'::text, 'skipped'::text])))
);
comment on table public.notifications is 'Mails to customers: at most one per order, template and dedupe_key. recipient is filled in when the mail is sent, sent_at when the provider has taken it, delivered_at when the server of its reader had. skipped: what it says had stopped being true before it was sent; suppressed: its address takes no mail (ours to know, or the provider''s); last_error says why.';
CREATE INDEX notifications_created_at_idx ON public.notifications USING btree (created_at);
CREATE INDEX notifications_provider_id_idx ON public.notifications USING btree (provider_id) WHERE (provider_id IS NOT NULL);
CREATE INDEX notifications_undelivered_idx ON public.notifications USING btree (status, created_at) WHERE (status = ANY (ARRAY['queued'::text, 'failed'::text, 'bounced'::text]));
CREATE TRIGGER count_mail AFTER INSERT OR UPDATE OF status, sent_at, delivered_at ON public.notifications FOR EACH ROW EXECUTE FUNCTION private.count_mail();
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
CREATE TRIGGER note_unsealed AFTER INSERT OR UPDATE ON public.order_events FOR EACH ROW EXECUTE FUNCTION private.note_unsealed('id');
CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE ON public.order_events FOR EACH ROW EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER refuse_own_number BEFORE INSERT ON public.order_events FOR EACH ROW EXECUTE FUNCTION private.refuse_own_number('id', 'public.order_events_id_seq');
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.order_events FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();
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
  tax_code text,
  constraint order_items_order_variant_key UNIQUE (order_id, variant_id),
  constraint order_items_pkey PRIMARY KEY (id),
  constraint order_items_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint order_items_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES product_variants(id) ON DELETE RESTRICT,
  constraint order_items_quantity_not_negative CHECK ((quantity >= 0)),
  constraint order_items_unit_amount_not_negative CHECK ((unit_amount >= 0))
);
comment on table public.order_items is 'Frozen lines of an order: one per variant, name and price as they were when the attempt began.';
comment on column public.order_items.id is 'For joins.';
comment on column public.order_items.order_id is 'orders.id.';
comment on column public.order_items.variant_id is 'product_variants.id: the goods, whatever they are called by now.';
comment on column public.order_items.sku is 'What the shopper asked for, for good: the variant may be called otherwise by now. Goods are known by variant_id.';
comment on column public.order_items.name is 'As the shopper saw it.';
comment on column public.order_items.quantity is 'Pieces ordered: frozen. 0: a line that an exchange has added, whose pieces stand in return_lines.exchanged_for. What became of them is in shipment_lines and return_lines.';
comment on column public.order_items.unit_amount is 'The price of one, in minor units of the orders currency.';
comment on column public.order_items.tax_code is 'products.tax_code as it was when the attempt began; null: the account''s default at Stripe.';
CREATE INDEX order_items_variant_id_idx ON public.order_items USING btree (variant_id);
row level security on public.order_items;
policy order_items_read on public.order_items as permissive for select to authenticated using (((( SELECT private.is_admin() AS is_admin) AND (((id >= ( SELECT private.first_for_staff() AS first_for_staff)) AND (id <= ( SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS uuid))) OR (id >= private.first_for_staff()))) OR (order_id = ANY (ARRAY( SELECT o.id
   FROM (orders o
     JOIN customers c ON ((c.id = o.customer_id)))
  WHERE (c.user_id = ( SELECT auth.uid() AS uid)))))));
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


table public.order_terms (
  order_id uuid not null,
  attempt integer not null,
  version text not null,
  constraint order_terms_pkey PRIMARY KEY (order_id, attempt),
  constraint order_terms_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE
);
comment on table public.order_terms is 'The version of the terms that was in force when an attempt of an order began, and so on its payment page.';
CREATE INDEX order_terms_version_idx ON public.order_terms USING btree (version);
row level security on public.order_terms;
policy order_terms_read on public.order_terms as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.order_terms to authenticated;
grant select on table public.order_terms to service_role;


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
  accepts_marketing boolean,
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
  ui_mode text default 'hosted_page'::text not null,
  attempt integer default 1 not null,
  session_expires_at timestamp with time zone not null,
  purchase_ip inet,
  user_agent text,
  prices_include_tax boolean default false not null,
  shipping_rates jsonb default '[]'::jsonb not null,
  asked_currency text,
  asked_country text,
  session_id text,
  payment_id text,
  decided_payment_id text,
  oversold_at timestamp with time zone,
  restocked_at timestamp with time zone,
  abandoned_at timestamp with time zone,
  cancelled_at timestamp with time zone,
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
  constraint orders_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'paid'::text, 'needs_review'::text, 'payment_failed'::text, 'expired'::text, 'cancelled'::text, 'partially_refunded'::text, 'refunded'::text]))),
  constraint orders_ui_mode_known CHECK ((ui_mode = ANY (ARRAY['hosted_page'::text, 'embedded_page'::text, 'elements'::text])))
);
comment on table public.orders is 'One order. status, fulfillment_status, amounts and session_id/payment_id are derived by settle_order(); nothing else writes them.';
comment on column public.orders.id is 'For joins; people go by number.';
comment on column public.orders.number is 'What customers and staff call it. Numbers may have gaps.';
comment on column public.orders.customer_id is 'Whose it is: customers.id; null: nobody is known yet, or it was a guest without a Stripe customer.';
comment on column public.orders.account_id is 'The account that was signed in at checkout, frozen: it travels in the metadata at Stripe, which a repeat must not change. Whose the order is now, customer_id says.';
comment on column public.orders.email is 'Where its mails go; null: not known yet, or erased.';
comment on column public.orders.mail_to_account is 'The order went under its account''s own address: mails follow the account when that changes.';
comment on column public.orders.customer_name is 'The name typed at the payment.';
comment on column public.orders.phone is 'Typed at the payment, where it is asked for.';
comment on column public.orders.shipping_name is 'Whom the parcel goes to.';
comment on column public.orders.shipping_address is 'Where the parcel goes, as Stripe has it: line1, line2, postal_code, city, state, country.';
comment on column public.orders.billing_address is 'The address of the payment, in the same form.';
comment on column public.orders.locale is 'The shoppers language; mails are written in it.';
comment on column public.orders.accepts_marketing is 'Whether the shopper agreed to reminders, as the checkout or its last repeat said. Null: not asked.';
comment on column public.orders.status is 'How the money stands: see docs/contract.md. Derived.';
comment on column public.orders.fulfillment_status is 'How the goods stand: unfulfilled, on_hold, fulfilled, cancelled. Derived.';
comment on column public.orders.currency is 'ISO code in lower case. All amounts are in its minor units: 12900 is 129.00 USD, or 12900 JPY.';
comment on column public.orders.amount_subtotal is 'Frozen at checkout: sum of unit_amount * quantity. A payment is compared with it before the order becomes paid.';
comment on column public.orders.amount_discount is 'What was taken off, as Stripe computed it.';
comment on column public.orders.amount_shipping is 'Delivery.';
comment on column public.orders.amount_tax is 'Tax; part of the prices where prices_include_tax, else added to them.';
comment on column public.orders.amount_total is 'What it costs.';
comment on column public.orders.amount_paid is 'What the payment that it keeps has brought.';
comment on column public.orders.amount_refunded is 'What of it was given back and has arrived.';
comment on column public.orders.livemode is 'False: made with test keys.';
comment on column public.orders.cart_hash is 'Hash of the frozen lines and currency; travels in the session''s metadata and must come back unchanged.';
comment on column public.orders.idempotency_key is 'Who asked (user or guest) and their Idempotency-Key; the same key finds the same order again.';
comment on column public.orders.ui_mode is 'The kind of payment page that the request asked for, as Stripe names it. A page that a mail''s link opens is hosted_page whatever stands here.';
comment on column public.orders.attempt is 'Number of the checkout attempt: a new one after an expired or failed session. Part of Stripe''s idempotency key.';
comment on column public.orders.session_expires_at is 'Until when its latest payment page can be paid.';
comment on column public.orders.purchase_ip is 'The shoppers address on the network, for disputes.';
comment on column public.orders.user_agent is 'The shoppers browser, for disputes.';
comment on column public.orders.prices_include_tax is 'The setting of that name when the attempt began: how its tax is computed and its sum is checked.';
comment on column public.orders.shipping_rates is 'The delivery prices that the attempt offers, as they were when it began.';
comment on column public.orders.asked_currency is 'The currency that the shopper has asked for; null: none. A repeat under the same key must ask for it too.';
comment on column public.orders.asked_country is 'Where the parcel was to go, as the shopper had said before paying; null: not said.';
comment on column public.orders.session_id is 'The settled session whose payment this order keeps: see private.kept_session().';
comment on column public.orders.payment_id is 'The payment this order keeps; null for a free order. Any other payment of the order is refunded.';
comment on column public.orders.decided_payment_id is 'The payment that the order kept when staff first asked for a refund or its goods came back: their decision was about its money, so the order keeps it, whatever is paid later.';
comment on column public.orders.oversold_at is 'When its money came and the goods had gone: it is refunded.';
comment on column public.orders.restocked_at is 'Set once, when the goods went back on the shelf: with a refund that asked for it, or by receive_return(). They are not taken again.';
comment on column public.orders.abandoned_at is 'Set when an attempt ended without any session at Stripe, which frees its stock.';
comment on column public.orders.cancelled_at is 'When staff cancelled it.';
comment on column public.orders.fulfilled_at is 'When the last piece that was to be sent had left; null while some are still here. Derived.';
comment on column public.orders.paid_at is 'When it was paid; null: not yet.';
comment on column public.orders.erased_at is 'When its personal data was removed, by erase_customer() or because it was never paid and is old. What comes later is stored without.';
comment on column public.orders.created_at is 'When checkout began.';
comment on column public.orders.updated_at is 'When settling last changed it.';
CREATE INDEX orders_address_key_idx ON public.orders USING btree (private.address_key(purchase_ip, 48), created_at);
CREATE INDEX orders_created_at_idx ON public.orders USING btree (created_at DESC);
CREATE INDEX orders_customer_id_idx ON public.orders USING btree (customer_id);
CREATE INDEX orders_delivery_key_idx ON public.orders USING btree (private.delivery_key(shipping_address), created_at);
CREATE INDEX orders_email_idx ON public.orders USING btree (lower(email));
CREATE INDEX orders_email_key_idx ON public.orders USING btree (private.email_key(email), created_at);
CREATE INDEX orders_erasable_idx ON public.orders USING btree (created_at) WHERE ((paid_at IS NULL) AND (erased_at IS NULL));
CREATE INDEX orders_holding_address_idx ON public.orders USING btree (private.address_key(purchase_ip, 48)) WHERE (status = ANY (ARRAY['pending'::text, 'processing'::text]));
CREATE INDEX orders_holding_email_idx ON public.orders USING btree (private.email_key(email)) WHERE (status = ANY (ARRAY['pending'::text, 'processing'::text]));
CREATE INDEX orders_in_review_idx ON public.orders USING btree (created_at) WHERE (status = 'needs_review'::text);
CREATE INDEX orders_open_idx ON public.orders USING btree (session_expires_at) WHERE (status = ANY (ARRAY['pending'::text, 'processing'::text, 'cancelled'::text]));
CREATE INDEX orders_paid_at_idx ON public.orders USING btree (livemode, paid_at) WHERE (paid_at IS NOT NULL);
CREATE INDEX orders_payment_id_idx ON public.orders USING btree (payment_id);
CREATE INDEX orders_phone_idx ON public.orders USING btree (private.phone_end(phone)) WHERE (phone IS NOT NULL);
CREATE INDEX orders_to_ship_idx ON public.orders USING btree (paid_at) WHERE ((fulfillment_status = 'unfulfilled'::text) AND (paid_at IS NOT NULL));
CREATE INDEX orders_unpaid_expired_idx ON public.orders USING btree (session_expires_at) WHERE (status = 'expired'::text);
CREATE TRIGGER add_order_risk AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION private.add_order_risk();
CREATE TRIGGER attach_to_account AFTER UPDATE OF paid_at, email ON public.orders FOR EACH ROW WHEN (((new.paid_at IS NOT NULL) AND ((old.paid_at IS NULL) OR (old.email IS DISTINCT FROM new.email)))) EXECUTE FUNCTION private.on_order_paid();
CREATE TRIGGER count_paid_order AFTER UPDATE OF paid_at ON public.orders FOR EACH ROW WHEN (((old.paid_at IS NULL) AND (new.paid_at IS NOT NULL))) EXECUTE FUNCTION private.count_paid_order();
CREATE TRIGGER note_terms_of_first AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION private.note_terms();
CREATE TRIGGER note_terms_of_next AFTER UPDATE OF attempt ON public.orders FOR EACH ROW WHEN ((old.attempt IS DISTINCT FROM new.attempt)) EXECUTE FUNCTION private.note_terms();
row level security on public.orders;
policy orders_read on public.orders as permissive for select to authenticated using (((( SELECT private.is_admin() AS is_admin) AND (((id >= ( SELECT private.first_for_staff() AS first_for_staff)) AND (id <= ( SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS uuid))) OR (id >= private.first_for_staff()))) OR (customer_id = ANY (ARRAY( SELECT c.id
   FROM customers c
  WHERE (c.user_id = ( SELECT auth.uid() AS uid)))))));
grant select on table public.orders to authenticated;
grant select on table public.orders to service_role;


table public.payment_attempts (
  id text not null,
  payment_id text not null,
  order_id uuid,
  outcome text not null,
  amount bigint,
  currency text,
  presentment_amount bigint,
  presentment_currency text,
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
CREATE INDEX payment_attempts_refused_idx ON public.payment_attempts USING btree (created_at) WHERE (outcome = ANY (ARRAY['failed'::text, 'blocked'::text]));
CREATE TRIGGER count_new_payment_attempt AFTER INSERT ON public.payment_attempts FOR EACH ROW EXECUTE FUNCTION private.count_payment_attempt();
CREATE TRIGGER count_payment_attempt AFTER UPDATE OF outcome, three_d_secure_result ON public.payment_attempts FOR EACH ROW WHEN (((old.outcome <> new.outcome) OR (old.three_d_secure_result IS DISTINCT FROM new.three_d_secure_result))) EXECUTE FUNCTION private.count_payment_attempt();
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
  presentment_amount bigint,
  presentment_currency text,
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
comment on column public.payments.presentment_amount is 'What the customer was charged where they paid in a currency of their own (Adaptive Pricing), in minor units of presentment_currency; null: amount in currency.';
comment on column public.payments.presentment_currency is 'The currency that the customer paid in; null: the payment''s own.';
CREATE INDEX payments_card_last4_idx ON public.payments USING btree (card_last4);
CREATE INDEX payments_charge_id_idx ON public.payments USING btree (charge_id);
CREATE INDEX payments_open_idx ON public.payments USING btree (created_at) WHERE (status = ANY (ARRAY['processing'::text, 'requires_capture'::text]));
CREATE INDEX payments_order_id_idx ON public.payments USING btree (order_id);
CREATE INDEX payments_visa_idx ON public.payments USING btree (livemode, succeeded_at) WHERE ((card_brand = 'visa'::text) AND (succeeded_at IS NOT NULL));
CREATE TRIGGER count_new_payment AFTER INSERT ON public.payments FOR EACH ROW WHEN ((new.succeeded_at IS NOT NULL)) EXECUTE FUNCTION private.count_payment();
CREATE TRIGGER count_payment AFTER UPDATE OF succeeded_at ON public.payments FOR EACH ROW WHEN (((old.succeeded_at IS NULL) AND (new.succeeded_at IS NOT NULL))) EXECUTE FUNCTION private.count_payment();
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
CREATE TRIGGER judge_price AFTER INSERT OR DELETE OR UPDATE OF price_amount, currency, active ON public.product_variants FOR EACH ROW EXECUTE FUNCTION private.judge_price();
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
  tax_code text,
  active boolean default true not null,
  created_at timestamp with time zone default now() not null,
  constraint products_slug_key UNIQUE (slug),
  constraint products_pkey PRIMARY KEY (id),
  constraint products_description_length CHECK ((char_length(description) <= 2000)),
  constraint products_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200))),
  constraint products_name_visible CHECK ((private.one_line(name) IS NOT NULL)),
  constraint products_slug_format CHECK ((slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'::text)),
  constraint products_tax_code_format CHECK ((tax_code ~ '^txcd_[0-9]{8}$'::text))
);
comment on table public.products is 'A thing on sale; its sizes and colours are product_variants.';
comment on column public.products.image_url is 'Absolute https URL, or a path on the site of SITE_URL; either is shown on Stripe''s page too.';
comment on column public.products.tax_code is 'What it is for taxes, of https://docs.stripe.com/tax/tax-codes, say txcd_30011000; null: the account''s default at Stripe.';
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
comment on column public.reconciliation_drift.kind is 'missed_event (object_id is the event), or the kind of the object that differed: checkout_session, payment, charge, refund, dispute, review, early_fraud_warning.';
CREATE INDEX reconciliation_drift_found_at_idx ON public.reconciliation_drift USING btree (found_at DESC);
CREATE INDEX reconciliation_drift_order_id_idx ON public.reconciliation_drift USING btree (order_id);
CREATE TRIGGER count_drift AFTER INSERT ON public.reconciliation_drift FOR EACH ROW EXECUTE FUNCTION private.count_drift();
CREATE TRIGGER refuse_change BEFORE UPDATE ON public.reconciliation_drift FOR EACH ROW WHEN ((NOT (old.order_id IS DISTINCT FROM new.order_id))) EXECUTE FUNCTION private.refuse_change();
row level security on public.reconciliation_drift;
policy reconciliation_drift_read on public.reconciliation_drift as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.reconciliation_drift to authenticated;
grant select on table public.reconciliation_drift to service_role;


table public.refund_lines (
  id uuid default gen_random_uuid() not null,
  request_id text,
  refund_id text,
  order_item_id uuid not null,
  quantity integer not null,
  constraint refund_lines_once UNIQUE NULLS NOT DISTINCT (request_id, refund_id, order_item_id),
  constraint refund_lines_pkey PRIMARY KEY (id),
  constraint refund_lines_order_item_id_fkey FOREIGN KEY (order_item_id) REFERENCES order_items(id) ON DELETE CASCADE,
  constraint refund_lines_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds(id) ON DELETE CASCADE,
  constraint refund_lines_request_id_fkey FOREIGN KEY (request_id) REFERENCES refund_requests(id) ON DELETE CASCADE,
  constraint refund_lines_of_one CHECK (((request_id IS NULL) <> (refund_id IS NULL))),
  constraint refund_lines_quantity_positive CHECK ((quantity > 0))
);
comment on table public.refund_lines is 'Pieces that a refund gives the money of back: one that was asked for here (request_id), or one made in Stripe''s dashboard and assigned afterwards (refund_id).';
CREATE INDEX refund_lines_order_item_id_idx ON public.refund_lines USING btree (order_item_id);
CREATE INDEX refund_lines_refund_id_idx ON public.refund_lines USING btree (refund_id);
CREATE INDEX refund_lines_request_id_idx ON public.refund_lines USING btree (request_id);
row level security on public.refund_lines;
policy refund_lines_read on public.refund_lines as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.refund_lines to authenticated;
grant select on table public.refund_lines to service_role;


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
  constraint refund_requests_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'done'::text, 'not_needed'::text, 'given_up'::text, 'disputed'::text])))
);
comment on table public.refund_requests is 'Refunds asked for, once each. While one is queued its money counts as given back. Carries no personal data.';
comment on column public.refund_requests.id is 'The staff command that asked, or cause and payment, e.g. oversold:pi_…. Travels in the refund''s metadata.';
comment on column public.refund_requests.amount is 'Minor units; null: all that is left when the job runs.';
comment on column public.refund_requests.restock is 'Whether the goods go back on the shelf with this refund.';
comment on column public.refund_requests.status is 'queued: its job runs or waits; done; not_needed: the money was given back by other means, or the order may ship; given_up: a person decides; disputed: waits for a bank, and is queued again should the shop win.';
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
  presentment_amount bigint,
  presentment_currency text,
  status text not null,
  reason text,
  failure_reason text,
  request_id text,
  was_pending boolean default false not null,
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
comment on column public.refunds.presentment_amount is 'What the customer gets back in the currency that they paid in (Adaptive Pricing), in minor units of presentment_currency; null: amount in currency.';
comment on column public.refunds.presentment_currency is 'The currency that the customer gets it in; null: the refund''s own.';
comment on column public.refunds.reason is 'As the customer may read it: null where Stripe was told that the payment was fraudulent. refund_reasons says it all.';
comment on column public.refunds.request_id is 'The refund_requests row that asked for it; null for one made in Stripe''s dashboard.';
comment on column public.refunds.was_pending is 'It was once seen on its way: most refunds are complete when they are made.';
comment on column public.refunds.succeeded_at is 'When it was first seen succeeded; stays when it fails afterwards.';
comment on column public.refunds.failed_at is 'When it was first seen failed or cancelled: what was given back before then was not meant in its stead.';
comment on column public.refunds.released_at is 'When staff let the order ship although this refund of all its money had failed.';
comment on column public.refunds.seen_at is 'When we first heard of it: staff who ask for a refund do not know of one that was made and not heard of.';
CREATE INDEX refunds_charge_id_idx ON public.refunds USING btree (charge_id);
CREATE INDEX refunds_created_at_idx ON public.refunds USING btree (created_at);
CREATE INDEX refunds_open_idx ON public.refunds USING btree (created_at) WHERE (status = ANY (ARRAY['pending'::text, 'requires_action'::text]));
CREATE INDEX refunds_order_id_idx ON public.refunds USING btree (order_id);
CREATE INDEX refunds_payment_id_idx ON public.refunds USING btree (payment_id);
CREATE INDEX refunds_request_id_idx ON public.refunds USING btree (request_id);
CREATE TRIGGER count_refund AFTER INSERT OR UPDATE OF succeeded_at, failed_at ON public.refunds FOR EACH ROW EXECUTE FUNCTION private.count_refund();
row level security on public.refunds;
policy refunds_read on public.refunds as permissive for select to authenticated using (((( SELECT private.is_admin() AS is_admin) AND (((id >= ( SELECT (private.first_for_staff())::text AS first_for_staff)) AND (id <= ( SELECT 'z'::text))) OR (id >= (private.first_for_staff())::text))) OR (order_id = ANY (ARRAY( SELECT o.id
   FROM (orders o
     JOIN customers c ON ((c.id = o.customer_id)))
  WHERE (c.user_id = ( SELECT auth.uid() AS uid)))))));
grant select on table public.refunds to authenticated;
grant select on table public.refunds to service_role;


table public.return_lines (
  id uuid default gen_random_uuid() not null,
  return_id uuid not null,
  order_item_id uuid not null,
  quantity integer not null,
  unsent integer default 0 not null,
  restock boolean not null,
  exchanged_for uuid,
  constraint return_lines_once UNIQUE NULLS NOT DISTINCT (return_id, order_item_id, exchanged_for),
  constraint return_lines_pkey PRIMARY KEY (id),
  constraint return_lines_exchanged_for_fkey FOREIGN KEY (exchanged_for) REFERENCES order_items(id) ON DELETE CASCADE,
  constraint return_lines_order_item_id_fkey FOREIGN KEY (order_item_id) REFERENCES order_items(id) ON DELETE CASCADE,
  constraint return_lines_return_id_fkey FOREIGN KEY (return_id) REFERENCES returns(id) ON DELETE CASCADE,
  constraint return_lines_quantity_positive CHECK ((quantity > 0)),
  constraint return_lines_unsent_within CHECK (((unsent >= 0) AND (unsent <= quantity)))
);
comment on table public.return_lines is 'Pieces of a return, by line of the order. restock: they go on the shelf; false: damaged, or not seen yet.';
comment on column public.return_lines.unsent is 'How many of them never left the house: they are not to be sent any more.';
comment on column public.return_lines.exchanged_for is 'The line of the order from which as many pieces go to the customer instead, at the same price; null: no exchange.';
CREATE INDEX return_lines_exchanged_for_idx ON public.return_lines USING btree (exchanged_for);
CREATE INDEX return_lines_order_item_id_idx ON public.return_lines USING btree (order_item_id);
row level security on public.return_lines;
policy return_lines_read on public.return_lines as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.return_lines to authenticated;
grant select on table public.return_lines to service_role;


table public.returns (
  id uuid default gen_random_uuid() not null,
  order_id uuid not null,
  status text default 'requested'::text not null,
  reason text,
  refund_request_id text,
  received_at timestamp with time zone,
  stocked_at timestamp with time zone,
  created_at timestamp with time zone default clock_timestamp() not null,
  constraint returns_pkey PRIMARY KEY (id),
  constraint returns_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint returns_received_has_time CHECK ((((status <> 'requested'::text) OR (received_at IS NULL)) AND ((status <> 'received'::text) OR (received_at IS NOT NULL)))),
  constraint returns_status_known CHECK ((status = ANY (ARRAY['requested'::text, 'received'::text, 'closed'::text]))),
  constraint returns_stocked_was_received CHECK (((stocked_at IS NULL) OR (received_at IS NOT NULL)))
);
comment on table public.returns is 'Pieces that come back to the house, or that a refund has taken out of an order before they left it.';
comment on column public.returns.refund_request_id is 'The refund with which its pieces go back on the shelf, once that has succeeded.';
comment on column public.returns.received_at is 'When the pieces were in the house; null in a closed return: they never came.';
comment on column public.returns.stocked_at is 'When settle_order() booked its pieces, once.';
CREATE INDEX returns_order_id_idx ON public.returns USING btree (order_id);
CREATE INDEX returns_refund_request_id_idx ON public.returns USING btree (refund_request_id);
row level security on public.returns;
policy returns_read on public.returns as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.returns to authenticated;
grant select on table public.returns to service_role;


table public.shipment_lines (
  shipment_id uuid not null,
  order_item_id uuid not null,
  quantity integer not null,
  constraint shipment_lines_pkey PRIMARY KEY (shipment_id, order_item_id),
  constraint shipment_lines_order_item_id_fkey FOREIGN KEY (order_item_id) REFERENCES order_items(id) ON DELETE CASCADE,
  constraint shipment_lines_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES shipments(id) ON DELETE CASCADE,
  constraint shipment_lines_quantity_positive CHECK ((quantity > 0))
);
comment on table public.shipment_lines is 'Pieces in a parcel, by line of the order.';
CREATE INDEX shipment_lines_order_item_id_idx ON public.shipment_lines USING btree (order_item_id);
row level security on public.shipment_lines;
policy shipment_lines_read on public.shipment_lines as permissive for select to authenticated using (((( SELECT private.is_admin() AS is_admin) AND (((shipment_id >= ( SELECT private.first_for_staff() AS first_for_staff)) AND (shipment_id <= ( SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS uuid))) OR (shipment_id >= private.first_for_staff()))) OR (shipment_id = ANY (ARRAY( SELECT s.id
   FROM ((shipments s
     JOIN orders o ON ((o.id = s.order_id)))
     JOIN customers c ON ((c.id = o.customer_id)))
  WHERE (c.user_id = ( SELECT auth.uid() AS uid)))))));
grant select on table public.shipment_lines to authenticated;
grant select on table public.shipment_lines to service_role;


table public.shipments (
  id uuid default gen_random_uuid() not null,
  order_id uuid not null,
  parcel integer not null,
  carrier text,
  tracking_number text,
  tracking_url text,
  shipped_at timestamp with time zone default now() not null,
  constraint shipments_order_parcel_key UNIQUE (order_id, parcel),
  constraint shipments_pkey PRIMARY KEY (id),
  constraint shipments_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE CASCADE,
  constraint shipments_parcel_positive CHECK ((parcel > 0))
);
comment on table public.shipments is 'Parcels of an order, numbered from 1. Noted by mark_fulfilled(), corrected by correct_shipment().';
comment on column public.shipments.tracking_url is 'The carrier''s page of the parcel, where it is known.';
row level security on public.shipments;
policy shipments_read on public.shipments as permissive for select to authenticated using (((( SELECT private.is_admin() AS is_admin) AND (((id >= ( SELECT private.first_for_staff() AS first_for_staff)) AND (id <= ( SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS uuid))) OR (id >= private.first_for_staff()))) OR (order_id = ANY (ARRAY( SELECT o.id
   FROM (orders o
     JOIN customers c ON ((c.id = o.customer_id)))
  WHERE (c.user_id = ( SELECT auth.uid() AS uid)))))));
grant select on table public.shipments to authenticated;
grant select on table public.shipments to service_role;


table public.shipping_rates (
  id uuid default gen_random_uuid() not null,
  name text not null,
  amount bigint not null,
  currency text not null,
  countries text[],
  delivery_days_min integer,
  delivery_days_max integer,
  tax_code text,
  sort_order integer default 100 not null,
  active boolean default true not null,
  created_at timestamp with time zone default now() not null,
  constraint shipping_rates_pkey PRIMARY KEY (id),
  constraint shipping_rates_amount_at_stripe CHECK ((private.amount_problem(amount, currency) IS NULL)),
  constraint shipping_rates_countries_format CHECK ((array_to_string(countries, ','::text) ~ '^[A-Z]{2}(,[A-Z]{2})*$'::text)),
  constraint shipping_rates_currency_format CHECK ((currency ~ '^[a-z]{3}$'::text)),
  constraint shipping_rates_delivery_days_ordered CHECK (((delivery_days_min > 0) AND (delivery_days_max > 0) AND (delivery_days_min <= delivery_days_max))),
  constraint shipping_rates_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100))),
  constraint shipping_rates_name_visible CHECK ((private.one_line(name) IS NOT NULL)),
  constraint shipping_rates_tax_code_format CHECK ((tax_code ~ '^txcd_[0-9]{8}$'::text))
);
comment on table public.shipping_rates is 'Delivery prices offered at checkout, cheapest sort_order first, five at most (Stripe''s limit). amount is in minor units. Without an active rate delivery is free.';
comment on column public.shipping_rates.countries is 'Null: for every country. Stripe''s page cannot tie a rate to the address that is entered there, so a page offers only rates that hold for every country that it delivers to: the one that was asked for, else all of SHIPPING_COUNTRIES, else those of the first rate.';
comment on column public.shipping_rates.tax_code is 'What delivery is for taxes, of https://docs.stripe.com/tax/tax-codes, say txcd_92010001; null: the account''s default at Stripe.';
CREATE INDEX shipping_rates_offer_idx ON public.shipping_rates USING btree (currency, sort_order) WHERE active;
row level security on public.shipping_rates;
policy shipping_rates_read on public.shipping_rates as permissive for select to anon, authenticated using ((active OR ( SELECT private.is_admin() AS is_admin)));
grant select on table public.shipping_rates to anon;
grant select on table public.shipping_rates to authenticated;
grant select on table public.shipping_rates to service_role;


table public.staff_commands (
  id uuid default gen_random_uuid() not null,
  number bigint generated always as identity not null,
  command text not null,
  args jsonb default '{}'::jsonb not null,
  actor text default COALESCE((auth.uid())::text, (SESSION_USER)::text) not null,
  order_id uuid,
  result jsonb,
  created_at timestamp with time zone default now() not null,
  constraint staff_commands_number_key UNIQUE (number),
  constraint staff_commands_pkey PRIMARY KEY (id),
  constraint staff_commands_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id) ON DELETE SET NULL,
  constraint staff_commands_command_known CHECK ((command = ANY (ARRAY['request_refund'::text, 'cancel_order'::text, 'release_review'::text, 'mark_fulfilled'::text, 'correct_shipment'::text, 'submit_dispute_evidence'::text, 'resend_notification'::text, 'redrive_webhook_event'::text, 'redrive_job'::text, 'erase_customer'::text, 'assign_refund'::text, 'announce_return'::text, 'exchange_return'::text, 'close_return'::text, 'receive_return'::text, 'adjust_inventory'::text, 'count_inventory'::text, 'import_inventory'::text, 'add_product'::text, 'add_variant'::text, 'set_price'::text, 'acknowledge_alert'::text, 'resolve_alert'::text, 'set_alert_rule'::text, 'accept_dispute'::text, 'export_person'::text, 'lift_mail_suppression'::text, 'leave_dispute'::text])))
);
comment on table public.staff_commands is 'Insert-only log of what staff asked for. Inserting a row carries it out; a refused command leaves no row.';
CREATE INDEX staff_commands_erasures_idx ON public.staff_commands USING btree (created_at) WHERE (command = 'erase_customer'::text);
CREATE INDEX staff_commands_money_idx ON public.staff_commands USING btree (created_at) WHERE (command = ANY (ARRAY['request_refund'::text, 'cancel_order'::text]));
CREATE INDEX staff_commands_order_id_idx ON public.staff_commands USING btree (order_id);
CREATE TRIGGER mask_command BEFORE INSERT ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.mask_command();
CREATE TRIGGER note_unsealed AFTER INSERT OR UPDATE ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.note_unsealed('number');
CREATE TRIGGER refuse_change BEFORE UPDATE ON public.staff_commands FOR EACH ROW WHEN ((old.result IS NOT NULL)) EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER refuse_delete BEFORE DELETE ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER refuse_own_number BEFORE INSERT ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.refuse_own_number('number', 'public.staff_commands_number_seq');
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.staff_commands FOR EACH STATEMENT EXECUTE FUNCTION private.refuse_change();
CREATE TRIGGER run_staff_command AFTER INSERT ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.run_staff_command();
CREATE TRIGGER sign_staff_command BEFORE INSERT ON public.staff_commands FOR EACH ROW EXECUTE FUNCTION private.sign_staff_command();
row level security on public.staff_commands;
policy staff_commands_insert on public.staff_commands as permissive for insert to authenticated with check (( SELECT private.is_admin() AS is_admin));
policy staff_commands_read on public.staff_commands as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.staff_commands to authenticated;
grant select on table public.staff_commands to service_role;
grant insert on column public.staff_commands.id to authenticated;
grant insert on column public.staff_commands.id to service_role;
grant insert on column public.staff_commands.command to authenticated;
grant insert on column public.staff_commands.command to service_role;
grant insert on column public.staff_commands.args to authenticated;
grant insert on column public.staff_commands.args to service_role;


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


table public.variant_prices (
  variant_id uuid not null,
  currency text not null,
  price_amount bigint not null,
  constraint variant_prices_pkey PRIMARY KEY (variant_id, currency),
  constraint variant_prices_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES product_variants(id) ON DELETE CASCADE,
  constraint variant_prices_amount_at_stripe CHECK ((private.amount_problem(price_amount, currency) IS NULL))
);
comment on table public.variant_prices is 'What a variant costs in further currencies, in minor units of each. In its own currency it costs product_variants.price_amount, whatever stands here.';
comment on column public.variant_prices.variant_id is 'The variant that is sold at this price.';
comment on column public.variant_prices.currency is 'ISO code in lower case.';
comment on column public.variant_prices.price_amount is 'In Stripe''s minor units of the currency.';
row level security on public.variant_prices;
policy variant_prices_read on public.variant_prices as permissive for select to anon, authenticated using ((EXISTS ( SELECT 1
   FROM product_variants v
  WHERE (v.id = variant_prices.variant_id))));
grant select on table public.variant_prices to anon;
grant select on table public.variant_prices to authenticated;
grant select on table public.variant_prices to service_role;


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
  object_id text,
  payload jsonb not null,
  constraint webhook_events_pkey PRIMARY KEY (id),
  constraint webhook_events_delivered_has_time CHECK (((delivery_count > 0) = (delivered_at IS NOT NULL))),
  constraint webhook_events_status_known CHECK ((status = ANY (ARRAY['processed'::text, 'ignored'::text, 'failed'::text, 'dead'::text])))
);
comment on table public.webhook_events is 'Every authentic event, once. The primary key is Stripe''s event id: a second delivery only counts up. After retention_event_days only the id is left, in private.purged_webhook_events.';
comment on column public.webhook_events.id is 'The event at Stripe, evt_….';
comment on column public.webhook_events.type is 'What happened, in Stripe''s words: checkout.session.completed, charge.refunded, ….';
comment on column public.webhook_events.status is 'processed; ignored: see ignored_reason; failed: tried again at next_attempt_at; dead: given up.';
comment on column public.webhook_events.attempts is 'How often its facts were applied or tried.';
comment on column public.webhook_events.delivery_count is 'How often Stripe delivered it to stripe-webhook. 0: never; it was fetched by reconciliation.';
comment on column public.webhook_events.delivered_at is 'When Stripe last delivered it; null: never.';
comment on column public.webhook_events.livemode is 'False: of test mode.';
comment on column public.webhook_events.api_version is 'The version of Stripes API that it was written in.';
comment on column public.webhook_events.stripe_created_at is 'When it happened at Stripe.';
comment on column public.webhook_events.received_at is 'When it was stored, delivered or fetched.';
comment on column public.webhook_events.processed_at is 'When its facts were last applied, or it was ignored.';
comment on column public.webhook_events.next_attempt_at is 'When it is tried again; null: not at all.';
comment on column public.webhook_events.last_error is 'Why it failed the last time.';
comment on column public.webhook_events.ignored_reason is 'Why nothing was done with it.';
comment on column public.webhook_events.source_ip is 'Where it was delivered from.';
comment on column public.webhook_events.object_id is 'The object at Stripe that it is about (cs_…, pi_…, ch_…): stays when the payload goes. Null: a customer.';
comment on column public.webhook_events.payload is 'What Stripe sent; emptied after retention_payload_days.';
CREATE INDEX webhook_events_customer_idx ON public.webhook_events USING btree (((payload #>> '{data,object,id}'::text[]))) WHERE (type = ANY (ARRAY['customer.updated'::text, 'customer.deleted'::text]));
CREATE INDEX webhook_events_delivered_at_idx ON public.webhook_events USING btree (livemode, delivered_at DESC) WHERE (delivered_at IS NOT NULL);
CREATE INDEX webhook_events_failed_idx ON public.webhook_events USING btree (status, received_at) WHERE (status = ANY (ARRAY['failed'::text, 'dead'::text]));
CREATE INDEX webhook_events_fetched_idx ON public.webhook_events USING btree (received_at) WHERE (delivery_count = 0);
CREATE INDEX webhook_events_object_id_idx ON public.webhook_events USING btree (object_id);
CREATE INDEX webhook_events_purgeable_idx ON public.webhook_events USING btree (received_at) WHERE ((status = ANY (ARRAY['processed'::text, 'ignored'::text])) AND (NOT (payload ? 'purged'::text)) AND (NOT (payload ? 'erased'::text)));
CREATE INDEX webhook_events_received_at_idx ON public.webhook_events USING btree (received_at DESC);
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
comment on table public.webhook_rejections is 'Requests refused by stripe-webhook, counted by reason and address. Bounded: past 10 000 rows new addresses are counted under ::, unless they are Stripe''s. Null: the address is not known.';
row level security on public.webhook_rejections;
policy webhook_rejections_read on public.webhook_rejections as permissive for select to authenticated using (( SELECT private.is_admin() AS is_admin));
grant select on table public.webhook_rejections to authenticated;
grant select on table public.webhook_rejections to service_role;


view private.refund_states with (security_invoker=true) (
  id text,
  order_id uuid,
  payment_id text,
  amount bigint,
  has_bounced boolean,
  is_made boolean,
  took_time boolean
);
comment on view private.refund_states is 'Refunds. has_bounced: the shop has the money still; is_made: the customer has it; neither: under way. took_time: it was under way and has been made, for good or not.';
grant select on view private.refund_states to authenticated;
grant select on view private.refund_states to service_role;


view private.refunded_amounts with (security_invoker=true) (
  payment_id text,
  given bigint,
  made bigint
);
comment on view private.refunded_amounts is 'What has been given back of payments that have refunds, in minor units. given: made or under way.';
grant select on view private.refunded_amounts to authenticated;
grant select on view private.refunded_amounts to service_role;


view private.retention_periods with (security_invoker=true) (
  data text,
  kept text,
  setting text,
  reason text,
  tables text[]
);
comment on view private.retention_periods is 'What is kept of people, how long and on which legal ground; tables: where it is (retention_rules says it by column). Who operates the shop checks the grounds against the law of their country.';


view private.settled_payments with (security_invoker=true) (
  id text,
  order_id uuid,
  amount_received bigint,
  succeeded_at timestamp with time zone
);
comment on view private.settled_payments is 'Payments whose money is there.';


view private.settled_sessions with (security_invoker=true) (
  id text,
  order_id uuid,
  payment_id text,
  amount_total bigint,
  currency text
);
comment on view private.settled_sessions is 'Sessions that brought their money, or had nothing to pay: by the word of the session or of its payment, whichever comes first.';


view public.availability with (security_invoker=true) (
  variant_id uuid,
  product_id uuid,
  available integer,
  or_more boolean
);
comment on view public.availability is 'How many pieces of each variant can be bought now, at most stock_shown_max; or_more: there are more than that. A hint: checkout decides again.';
grant select on view public.availability to anon;
grant select on view public.availability to authenticated;
grant select on view public.availability to service_role;


view public.order_consents with (security_invoker=true) (
  order_id uuid,
  session_id text,
  given_at timestamp with time zone,
  terms_consent text,
  terms_version text,
  promotions_consent text
);
comment on view public.order_consents is 'What was agreed to with each order, and when: terms_consent (accepted) with the version of the terms, and promotions_consent (opt_in, opt_out). An erasure takes the latter.';
grant select on view public.order_consents to authenticated;
grant select on view public.order_consents to service_role;


view reporting.abandoned_checkouts with (security_invoker=true) (
  number text,
  created_at timestamp with time zone,
  status text,
  email text,
  customer_name text,
  phone text,
  items text,
  amount_total bigint,
  amount_total_text text,
  currency text,
  refused_payments bigint,
  last_refusal text,
  livemode boolean
);
comment on view reporting.abandoned_checkouts is 'Carts that went to the payment page and were never paid, the newest first. Left out are those that staff cancelled, and those whose personal data is gone (retention_unpaid_days).';
grant select on view reporting.abandoned_checkouts to authenticated;
grant select on view reporting.abandoned_checkouts to service_role;


view reporting.accounting_export with (security_invoker=true) (
  day date,
  kind text,
  order_number text,
  reference text,
  country text,
  currency text,
  amount_goods bigint,
  amount_discount bigint,
  amount_shipping bigint,
  amount_tax bigint,
  amount_gross bigint,
  amount_net bigint,
  amount_gross_text text,
  amount_net_text text,
  tax_ids text,
  booked_at timestamp with time zone,
  livemode boolean
);
comment on view reporting.accounting_export is 'Every movement of money, a row each, for a spreadsheet: kind is sale, duplicate_payment (an order was paid twice; its refund follows), refund, refund_returned (it bounced), dispute (the bank took the money) or dispute_returned. What leaves is negative: the sum of amount_gross is what came and stayed. Stripe''s fees and payouts are in Stripe''s reports.';
grant select on view reporting.accounting_export to authenticated;
grant select on view reporting.accounting_export to service_role;


view reporting.attention_reasons with (security_invoker=true) (
  order_id uuid,
  reason text
);
comment on view reporting.attention_reasons is 'Why orders wait for a person, a row for each order and reason; orders_needing_attention has a row for each order.';
grant select on view reporting.attention_reasons to authenticated;
grant select on view reporting.attention_reasons to service_role;


view reporting.customer_history with (security_invoker=true) (
  email text,
  name text,
  currency text,
  livemode boolean,
  checkouts bigint,
  orders bigint,
  amount_paid bigint,
  amount_refunded bigint,
  amount_net bigint,
  amount_net_text text,
  disputes bigint,
  first_paid_at timestamp with time zone,
  last_paid_at timestamp with time zone,
  last_number text
);
comment on view reporting.customer_history is 'What each e-mail address has bought, a row for each currency; guests and accounts alike.';
grant select on view reporting.customer_history to authenticated;
grant select on view reporting.customer_history to service_role;


view reporting.disputes_due with (security_invoker=true) (
  id text,
  order_number text,
  reason text,
  status text,
  amount bigint,
  amount_text text,
  currency text,
  evidence_due_by timestamp with time zone,
  time_left interval,
  has_evidence boolean,
  email text,
  fulfillment_status text,
  created_at timestamp with time zone,
  livemode boolean
);
comment on view reporting.disputes_due is 'Disputes that wait for evidence, most urgent first: submit_dispute_evidence() or accept_dispute().';
grant select on view reporting.disputes_due to authenticated;
grant select on view reporting.disputes_due to service_role;


view reporting.inventory_position with (security_invoker=true) (
  sku text,
  name text,
  size text,
  color text,
  on_hand integer,
  reserved integer,
  available integer,
  committed integer,
  price_amount bigint,
  price_amount_text text,
  currency text,
  on_sale boolean
);
comment on view reporting.inventory_position is 'Stock by SKU.';
grant select on view reporting.inventory_position to authenticated;
grant select on view reporting.inventory_position to service_role;


view reporting.jobs with (security_invoker=true) (
  id bigint,
  kind text,
  what_it_does text,
  status text,
  order_number text,
  about text[],
  attempts integer,
  max_attempts integer,
  run_at timestamp with time zone,
  last_error text,
  created_at timestamp with time zone,
  finished_at timestamp with time zone,
  payload jsonb
);
comment on view reporting.jobs is 'The queue: what is to be done outside of the database, what was done, and what was given up: redrive_job() queues that again.';
grant select on view reporting.jobs to authenticated;
grant select on view reporting.jobs to service_role;


view reporting.low_stock with (security_invoker=true) (
  sku text,
  name text,
  size text,
  color text,
  available integer,
  on_hand integer,
  reserved integer,
  sold_30_days bigint,
  days_left integer
);
comment on view reporting.low_stock is 'Articles on sale that run out: at most setting low_stock_at pieces to sell, the fewest first.';
grant select on view reporting.low_stock to authenticated;
grant select on view reporting.low_stock to service_role;


view reporting.open_alerts with (security_invoker=true) (
  kind text,
  severity text,
  status text,
  order_number text,
  what_to_do text,
  count integer,
  first_at timestamp with time zone,
  last_at timestamp with time zone,
  data jsonb,
  id uuid
);
comment on view reporting.open_alerts is 'What staff have been told and nobody has resolved, the gravest first, with what to do.';
grant select on view reporting.open_alerts to authenticated;
grant select on view reporting.open_alerts to service_role;


view reporting.order_overview with (security_invoker=true) (
  number text,
  status text,
  fulfillment_status text,
  waits_for text,
  customer_name text,
  email text,
  phone text,
  ship_to text,
  items text,
  amount_total bigint,
  amount_total_text text,
  amount_paid bigint,
  amount_paid_text text,
  amount_refunded bigint,
  amount_refunded_text text,
  currency text,
  charged_as text,
  paid_with text,
  tracking text,
  tracking_urls text,
  last_mail text,
  last_mail_at timestamp with time zone,
  disputes text,
  created_at timestamp with time zone,
  paid_at timestamp with time zone,
  fulfilled_at timestamp with time zone,
  livemode boolean,
  payment_id text,
  order_id uuid
);
comment on view reporting.order_overview is 'One order at a glance, a row each. Ask by number, or with reporting.find_order().';
grant select on view reporting.order_overview to authenticated;
grant select on view reporting.order_overview to service_role;


view reporting.orders_needing_attention with (security_invoker=true) (
  number text,
  reasons text[],
  what_to_do text,
  status text,
  fulfillment_status text,
  amount_total bigint,
  amount_total_text text,
  currency text,
  email text,
  created_at timestamp with time zone,
  paid_at timestamp with time zone,
  livemode boolean
);
comment on view reporting.orders_needing_attention is 'Orders that wait for a person, one row each, with every reason: the review reasons; dispute_open; dispute_lost (and the goods are still here); refund_refused, refund_delayed, refund_failed; checkout_not_ended (should have an hour ago, and holds stock); payment_not_ended (under way for three weeks); mail_returned (the customer''s address takes no mail); address_erased (before it was sent). Oldest first.';
grant select on view reporting.orders_needing_attention to authenticated;
grant select on view reporting.orders_needing_attention to service_role;


view reporting.orders_to_ship with (security_invoker=true) (
  number text,
  days_waiting integer,
  paid_at timestamp with time zone,
  ship_to text,
  country text,
  phone text,
  email text,
  items text,
  pieces integer,
  parcels_sent bigint,
  amount_total bigint,
  amount_total_text text,
  currency text,
  livemode boolean
);
comment on view reporting.orders_to_ship is 'The packing list: paid orders that nothing holds and of which pieces are still here, the oldest first. Not those whose address was erased: they wait in orders_needing_attention.';
grant select on view reporting.orders_to_ship to authenticated;
grant select on view reporting.orders_to_ship to service_role;


view reporting.payment_health with (security_invoker=true) (
  day date,
  outcome text,
  code text,
  attempts bigint,
  livemode boolean
);
comment on view reporting.payment_health is 'Attempts to pay by the shop''s day, outcome and the bank''s code.';
grant select on view reporting.payment_health to authenticated;
grant select on view reporting.payment_health to service_role;


view reporting.queue_hourly with (security_invoker=true) (
  hour timestamp with time zone,
  waiting bigint,
  done bigint,
  dead bigint
);
comment on view reporting.queue_hourly is 'The queue in each hour of the last week. Jobs that retention has removed since are not counted.';
grant select on view reporting.queue_hourly to authenticated;
grant select on view reporting.queue_hourly to service_role;


view reporting.reconciliation_drift with (security_invoker=true) (
  found_at timestamp with time zone,
  kind text,
  object_id text,
  order_number text,
  before jsonb,
  after jsonb,
  run_id uuid
);
comment on view reporting.reconciliation_drift is 'What Stripe knew and we did not, until the reconciler repaired it; newest first.';
grant select on view reporting.reconciliation_drift to authenticated;
grant select on view reporting.reconciliation_drift to service_role;


view reporting.recovery with (security_invoker=true) (
  day date,
  currency text,
  livemode boolean,
  orders_mailed bigint,
  mails_sent bigint,
  orders_recovered bigint,
  amount_recovered bigint,
  amount_recovered_text text
);
comment on view reporting.recovery is 'Unpaid orders whose shoppers were mailed, by the day of the first mail in the shop''s time zone, and how many of them paid afterwards. Amounts in minor units, as paid.';
grant select on view reporting.recovery to authenticated;
grant select on view reporting.recovery to service_role;


view reporting.refunds_daily with (security_invoker=true) (
  day date,
  currency text,
  livemode boolean,
  refunds bigint,
  amount_refunded bigint,
  returned bigint,
  amount_returned bigint,
  amount_net bigint,
  amount_net_text text
);
comment on view reporting.refunds_daily is 'Refunds by the shop''s day on which they happened, whenever the order was paid.';
grant select on view reporting.refunds_daily to authenticated;
grant select on view reporting.refunds_daily to service_role;


view reporting.revenue_daily with (security_invoker=true) (
  day date,
  currency text,
  livemode boolean,
  orders bigint,
  amount_paid bigint,
  amount_refunded bigint,
  amount_net bigint,
  amount_tax bigint,
  amount_shipping bigint,
  amount_discount bigint,
  amount_net_text text
);
comment on view reporting.revenue_daily is 'Paid orders by the shop''s day on which they were paid; what was given back of them since counts on that day too. refunds_daily has refunds on their own day.';
grant select on view reporting.revenue_daily to authenticated;
grant select on view reporting.revenue_daily to service_role;


view reporting.shop with (security_invoker=true) (
  name text,
  time_zone text,
  runbook_url text,
  low_stock_at integer,
  open_alerts bigint,
  dead_jobs bigint,
  dead_events bigint
);
comment on view reporting.shop is 'The shop in one row; no row: who asks is not staff.';
grant select on view reporting.shop to authenticated;
grant select on view reporting.shop to service_role;


view reporting.stock_daily with (security_invoker=true) (
  day date,
  sold bigint,
  added bigint,
  on_hand bigint
);
comment on view reporting.stock_daily is 'Pieces in the house by the shop''s day, all articles together. Days on which nothing moved are left out.';
grant select on view reporting.stock_daily to authenticated;
grant select on view reporting.stock_daily to service_role;


view reporting.suspicious_activity with (security_invoker=true) (
  what text,
  who text,
  detail text,
  count bigint,
  last_at timestamp with time zone
);
comment on view reporting.suspicious_activity is 'Refused webhook requests and signs of fraud, the newest first.';
grant select on view reporting.suspicious_activity to authenticated;
grant select on view reporting.suspicious_activity to service_role;


view reporting.webhook_health with (security_invoker=true) (
  type text,
  status text,
  events bigint,
  deliveries bigint,
  fetched bigint,
  last_delivered_at timestamp with time zone,
  last_received_at timestamp with time zone,
  last_day bigint
);
comment on view reporting.webhook_health is 'Stripe''s events of the last 30 days by type and outcome, and whatever has failed, however long ago.';
grant select on view reporting.webhook_health to authenticated;
grant select on view reporting.webhook_health to service_role;


view reporting.webhook_lag_hourly with (security_invoker=true) (
  hour timestamp with time zone,
  events bigint,
  lag_p50_seconds numeric,
  lag_p95_seconds numeric
);
comment on view reporting.webhook_lag_hourly is 'How late Stripe''s events were in each hour of the last week: from when something happened at Stripe to when it was stored here. Hours without events are left out.';
grant select on view reporting.webhook_lag_hourly to authenticated;
grant select on view reporting.webhook_lag_hourly to service_role;


CREATE OR REPLACE FUNCTION private.accepted_terms(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.accepted_terms(p_order_id uuid) is 'The terms that were accepted with an order first, with the texts of that version where they are kept; null: nothing was asked.';


CREATE OR REPLACE FUNCTION private.account_customer(p_user_id uuid, p_email text, p_livemode boolean)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.account_customer(p_user_id uuid, p_email text, p_livemode boolean) is 'The customers row of an account, made at its first checkout. Null when the account is gone.';


CREATE OR REPLACE FUNCTION private.add_order_risk()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.add_order_risk() is 'Trigger of orders: each has its row of order_risk.';


CREATE OR REPLACE FUNCTION private.add_return_line(p_return_id uuid, p_order_item_id uuid, p_quantity integer, p_unsent integer, p_restock boolean, p_exchanged_for uuid DEFAULT NULL::uuid)
 RETURNS void
 LANGUAGE sql
 SET search_path TO '';
comment on function private.add_return_line(p_return_id uuid, p_order_item_id uuid, p_quantity integer, p_unsent integer, p_restock boolean, p_exchanged_for uuid) is 'Adds pieces of a line to a return; p_exchanged_for: the line whose pieces go out for them.';


CREATE OR REPLACE FUNCTION private.add_to_objective_day(p_objective text, p_result text, p_count bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.add_to_objective_day(p_objective text, p_result text, p_count bigint) is 'Adds what was counted for an objective (good or bad) to today.';


CREATE OR REPLACE FUNCTION private.address_bounced(p_email text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.address_bounced(p_email text) is 'Whether a mail server has said for good that it does not take mail for an address.';


CREATE OR REPLACE FUNCTION private.address_key(p_ip inet, p_prefix integer DEFAULT 56)
 RETURNS inet
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.address_key(p_ip inet, p_prefix integer) is 'The network that an address belongs to: an IPv4 address alone, the /p_prefix of an IPv6 address. 56 is what one connection has as a rule.';


CREATE OR REPLACE FUNCTION private.address_keys(p_ip inet)
 RETURNS TABLE(network inet, factor numeric)
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.address_keys(p_ip inet) is 'The networks that limits count for an address, narrow to wide, and what their thresholds are multiplied with.';


CREATE OR REPLACE FUNCTION private.address_text(p_name text, p_address jsonb)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.address_text(p_name text, p_address jsonb) is 'A name and an address as Stripe has it, a line each; null when there is nothing.';
grant execute on function private.address_text(p_name text, p_address jsonb) to authenticated;
grant execute on function private.address_text(p_name text, p_address jsonb) to service_role;


CREATE OR REPLACE FUNCTION private.admit_checkout(o orders, p_velocity_mode text, p_client_ip text, p_supersede boolean, p_ui_mode text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.admit_checkout(o orders, p_velocity_mode text, p_client_ip text, p_supersede boolean, p_ui_mode text) is 'The velocity rules at every door to the payment page of an order that exists: velocity_exceeded, superseded (its open page has run out, is being ended, asks for less than the rules do now, or is not of the kind p_ui_mode), or the risk to go in with. p_client_ip null: where the order came from. p_ui_mode null: any kind.';


CREATE OR REPLACE FUNCTION private.alert_message(p_kind text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.alert_message(p_kind text) is 'What staff have not been sent yet about a kind of alert: those that are open, or, once none is, that they are over. alerts: the latest five of alert_ids; count: how often all of them were seen. Null: nothing.';


CREATE OR REPLACE FUNCTION private.alert_refused_checkout(p_order_id uuid, p_refusal jsonb)
 RETURNS void
 LANGUAGE sql
 SET search_path TO '';
comment on function private.alert_refused_checkout(p_order_id uuid, p_refusal jsonb) is 'Tells staff that Stripe refuses to sell an order, and why: { code, param, status, message }. One alert per cause, counted up.';


CREATE OR REPLACE FUNCTION private.all_returned(p_order_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.all_returned(p_order_id uuid) is 'Whether every piece of an order has come back.';


CREATE OR REPLACE FUNCTION private.amount_problem(p_amount bigint, p_currency text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.amount_problem(p_amount bigint, p_currency text) is 'Why Stripe would refuse an amount in minor units, or null. The twin of _shared/stripe/money.ts, which says where the rules come from.';


CREATE OR REPLACE FUNCTION private.amount_step(p_currency text)
 RETURNS integer
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.amount_step(p_currency text) is 'Amounts of a currency are multiples of this, in minor units.';
grant execute on function private.amount_step(p_currency text) to authenticated;
grant execute on function private.amount_step(p_currency text) to service_role;


CREATE OR REPLACE FUNCTION private.announce_exchange(o orders, p_lines jsonb, p_reason text)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.announce_exchange(o orders, p_lines jsonb, p_reason text) is 'Writes the returns of an exchange: pieces that were sent are awaited, in the return that it answers; pieces that are still in the house have come back at once. SHINV: not to be exchanged; SHSKU.';


CREATE OR REPLACE FUNCTION private.answer_of_hits(p_hits jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.answer_of_hits(p_hits jsonb) is 'What hits come to together: { action (the strongest), three_d_secure, retry_after_seconds, hits }.';


CREATE OR REPLACE FUNCTION private.apply_facts(p_facts jsonb, p_at timestamp with time zone, p_source text, p_livemode boolean DEFAULT NULL::boolean, p_settle text DEFAULT 'always'::text)
 RETURNS private.applied_facts
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.apply_facts(p_facts jsonb, p_at timestamp with time zone, p_source text, p_livemode boolean, p_settle text) is 'Merges facts seen at p_at and settles orders. p_settle: news, those that they bring news of; always, all that they are about, which repairs what was damaged; never, the caller settles them. p_livemode: mode of the event that brought them; facts about an order of the other mode are passed over.';


CREATE OR REPLACE FUNCTION private.ask_refund(p_id text, p_order_id uuid, p_payment_id text, p_amount bigint, p_cause text, p_reason text, p_restock boolean)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.ask_refund(p_id text, p_order_id uuid, p_payment_id text, p_amount bigint, p_cause text, p_reason text, p_restock boolean) is 'Asks for a refund, once per p_id: the request and its job. p_amount null: all that is left. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.asked_lines(p_items jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.asked_lines(p_items jsonb) is 'A cart as asked for: [[sku, quantity]…], summed and sorted. Two carts are the same cart when this is equal; prices do not matter.';


CREATE OR REPLACE FUNCTION private.attach_guest_orders(p_user_id uuid, p_email text, p_order_id uuid DEFAULT NULL::uuid)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.attach_guest_orders(p_user_id uuid, p_email text, p_order_id uuid) is 'Gives an account the paid guest orders under its proven address (all, or p_order_id alone), and returns how many. The guest''s row and its Stripe customer stay as they are.';


CREATE OR REPLACE FUNCTION private.audit_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.audit_health() is 'Health check audit: rows that wait to be sealed, how many seals there are, and the digest of the newest. Kept outside, it proves that the trail up to it is the one that was there.';


CREATE OR REPLACE FUNCTION private.audited_rows(p_table text, p_numbers bigint[])
 RETURNS TABLE(row_number bigint, row_digest bytea, texts bytea)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
 SET "TimeZone" TO 'UTC';
comment on function private.audited_rows(p_table text, p_numbers bigint[]) is 'Rows of an audited table as they are now: the digest of what no erasure changes, and the texts. A column that is added later and empty changes nothing.';


CREATE OR REPLACE FUNCTION private.awaits_evidence(d disputes)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.awaits_evidence(d disputes) is 'Whether a dispute waits for the shop''s answer.';
grant execute on function private.awaits_evidence(d disputes) to authenticated;
grant execute on function private.awaits_evidence(d disputes) to service_role;


CREATE OR REPLACE FUNCTION private.backoff(p_attempts integer, p_kind text DEFAULT NULL::text)
 RETURNS interval
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.backoff(p_attempts integer, p_kind text) is 'Delay before try number p_attempts + 1: exponential with full jitter, limits of the kind or of private.settings.';


CREATE OR REPLACE FUNCTION private.beat(p_part text)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.beat(p_part text) is 'Runs one part of the heartbeat, a function of private without arguments, and returns how many jobs it has queued. One that fails stops no other: it is undone, and told as heartbeat_part_failed until it works.';


CREATE OR REPLACE FUNCTION private.book_refund_lines(o orders, p_request_id text, p_refund_id text, p_lines jsonb, p_restock boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.book_refund_lines(o orders, p_request_id text, p_refund_id text, p_lines jsonb, p_restock boolean) is 'Notes which pieces a refund is about, and announces the return of those that no return has yet: with restock they go on the shelf once the refund has succeeded (at once when it was made already), without they are awaited. Pieces that have not been sent are not to be sent any more.';


CREATE OR REPLACE FUNCTION private.bought_meanwhile(o orders)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.bought_meanwhile(o orders) is 'Whether the same address has begun another order since, or paid one: nobody is reminded of what they have replaced.';


CREATE OR REPLACE FUNCTION private.bounded_labels(p_metric text, p_labels text[])
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.bounded_labels(p_metric text, p_labels text[]) is 'The labels under which something is added up: values that are not allowed become "other", and so does a whole series once its metric has 300.';


CREATE OR REPLACE FUNCTION private.bury_job(p_job_id bigint, p_reason text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.bury_job(p_job_id bigint, p_reason text) is 'Marks a job dead after its last attempt, its webhook event too, and raises a critical alert with the cause. That of a mail that is out all the same is done.';


CREATE OR REPLACE FUNCTION private.call_retry_jobs()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.call_retry_jobs() is 'Run by pg_cron: posts to retry-jobs with the key from Vault. Returns pg_net''s request id. The text of the cron job holds no key.';


CREATE OR REPLACE FUNCTION private.can_deliver(p_currency text, p_country text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.can_deliver(p_currency text, p_country text) is 'Whether a delivery price holds for an order, or the shop has none at all and delivers free.';


CREATE OR REPLACE FUNCTION private.check_amounts(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_amounts(p_orders uuid[]) is 'Rules about the figures of orders: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_audit_coverage()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_audit_coverage() is 'Rows that were written or deleted past the triggers of the audit trail.';


CREATE OR REPLACE FUNCTION private.check_declined_velocity(o orders, k order_risk)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.check_declined_velocity(o orders, k order_risk) is 'Measures the rules over refused attempts at each refusal of an unpaid order: a page that is open needs no new checkout to try the next card. A hit is recorded and raises the alert once per attempt of the order, and ends pages each time. Returns how many refusals the order has, which is what it has been measured by. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.check_order_state(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_order_state(p_orders uuid[]) is 'Rules about the state of orders: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_orders(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.check_orders(p_orders uuid[]) is 'What is not true of these orders, their money, their parcels and the stock of what is in them; null: of all of the shop. One row per violation.';


CREATE OR REPLACE FUNCTION private.check_outages(o orders, k order_risk)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.check_outages(o orders, k order_risk) is 'Tells staff when a bank, a network or the processor is away for many at once, at each such refusal of an order. Nobody is refused for it. Returns how many the order has had. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.check_outbox(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_outbox(p_orders uuid[]) is 'Rules about effects that are owed: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_paid_velocity(o orders, k order_risk)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.check_paid_velocity(o orders, k order_risk) is 'Measures the rules on card and delivery address once an order is paid, by what had happened until then and by the rules as they stood, so that settling again finds the same. Returns the set of rules, for velocity_rule_set. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.check_parcels(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_parcels(p_orders uuid[]) is 'Rules about what has left the house: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_payments(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_payments(p_orders uuid[]) is 'Rules about money that came: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_queue()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_queue() is 'Rules about what waits, whichever order it is of: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_refund_redrive(p_job private.jobs)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.check_refund_redrive(p_job private.jobs) is 'Raises SHREF when a refund must not run again: nothing or less is left, a part was not needed, or another one may stand in for it. One of all that is left may: it gives back what a bounced refund has left. Call with the order locked.';


CREATE OR REPLACE FUNCTION private.check_refunds(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_refunds(p_orders uuid[]) is 'Rules about money that goes back: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_reservations(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_reservations(p_orders uuid[]) is 'Rules about the stock of orders: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_seals(p_from bigint, p_to bigint)
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_seals(p_from bigint, p_to bigint) is 'What does not fit in the seals of these numbers: a row that was changed or deleted, a leaf or a seal that was. None when all is well.';


CREATE OR REPLACE FUNCTION private.check_stock(p_orders uuid[])
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.check_stock(p_orders uuid[]) is 'Rules about what is on the shelf: see check_invariants().';


CREATE OR REPLACE FUNCTION private.check_velocity(p_mode text, p_user_id uuid, p_email text, p_ip inet, p_cart jsonb, p_livemode boolean, p_order_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.check_velocity(p_mode text, p_user_id uuid, p_email text, p_ip inet, p_cart jsonb, p_livemode boolean, p_order_id uuid) is 'Measures the rules for a door to a payment page: { action, three_d_secure, retry_after_seconds, hits }, the strongest action of all hits. p_cart: { amount, currency, lines: [{ variant_id, quantity }] }; p_order_id: the order that the page is for, once it exists. Mode report: every action is allow, and the hits tell what would have been. Records the hits of a block itself, since nothing will carry them.';


CREATE OR REPLACE FUNCTION private.checkout_end(o orders, p_livemode boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.checkout_end(o orders, p_livemode boolean) is 'Why an order leads to no payment page any more: paid { session_id }, also while the payment is under way, or cancelled, as are all of the other mode once a project has gone live. Null while it waits to be paid. p_livemode null: of either mode.';


CREATE OR REPLACE FUNCTION private.checkout_key(p_user_id uuid, p_idempotency_key text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.checkout_key(p_user_id uuid, p_idempotency_key text) is 'What is stored of an Idempotency-Key, with whose it is; null: there is none. One that holds what looks like a card number comes as digest:<length>:<SHA-256>, and is stored as a digest with the key of the database, as long as it was: who has a bare one can try all card numbers.';


CREATE OR REPLACE FUNCTION private.checkout_snapshot(p_order_id uuid, p_outcome text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.checkout_snapshot(p_order_id uuid, p_outcome text) is 'All that the checkout function needs to create, repeat or return the session of an order''s current attempt. session null: Stripe has not been asked, or its answer was lost.';


CREATE OR REPLACE FUNCTION private.chosen_shipping(o orders)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.chosen_shipping(o orders) is 'The name of the delivery price that the order was paid with. Null where none or several offered ones cost as much: Stripe does not say which was chosen.';


CREATE OR REPLACE FUNCTION private.clean_staff_args(p_command text, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.clean_staff_args(p_command text, p_args jsonb) is 'The arguments of a staff command, without those left empty. SHINV: unknown, of the wrong type, too large, or missing.';


CREATE OR REPLACE FUNCTION private.closing_sessions()
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.closing_sessions() is 'The payment pages that this transaction has ended.';


CREATE OR REPLACE FUNCTION private.command_outcome(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.command_outcome(p_order_id uuid) is 'What a command has done to its order: { status, fulfillment_status, mails (queued), stock: [{ sku, change }] }; {} without an order.';


CREATE OR REPLACE FUNCTION private.completed_at(p_order_id uuid)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.completed_at(p_order_id uuid) is 'When the last parcel of an order left; null while pieces are still to be sent, or nothing was.';


CREATE OR REPLACE FUNCTION private.completed_at_stripe(s checkout_sessions, p_started_at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.completed_at_stripe(s checkout_sessions, p_started_at timestamp with time zone) is 'When a session was completed that a rescue begun at p_started_at saw complete first, by what was paid for it. Not before p_started_at: it was paid while the rescue ran.';


CREATE OR REPLACE FUNCTION private.confirmed_email(p_order_id uuid)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.confirmed_email(p_order_id uuid) is 'The address that was confirmed on the latest payment page of an order, or null. Before the money too: who hears of a debit that failed is known from the page where it was ordered.';


CREATE OR REPLACE FUNCTION private.confirmed_fraud(p_livemode boolean)
 RETURNS TABLE(order_id uuid, since timestamp with time zone)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.confirmed_fraud(p_livemode boolean) is 'Orders whose cardholder, or whose bank, says that it was not them, in the last retention_signal_days: disputed as fraudulent, and neither won nor closed as a mere inquiry, or reported by an early fraud warning that staff have not released.';


CREATE OR REPLACE FUNCTION private.correct_parcel(p_command_id uuid, s shipments, p_carrier text, p_tracking_number text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.correct_parcel(p_command_id uuid, s shipments, p_carrier text, p_tracking_number text) is 'Gives a parcel another carrier or number (null: as it is) and queues the mail that says so. SHINV: nothing to correct.';


CREATE OR REPLACE FUNCTION private.count_claimed_jobs(p_job_ids bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_claimed_jobs(p_job_ids bigint[]) is 'Observes how long jobs that are being claimed were due.';


CREATE OR REPLACE FUNCTION private.count_dispute()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_dispute() is 'Trigger: counts a dispute once in each status that it is seen in.';


CREATE OR REPLACE FUNCTION private.count_drift()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_drift() is 'Trigger: counts a repair.';


CREATE OR REPLACE FUNCTION private.count_email_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_email_change() is 'Trigger of customers: an account''s address has changed, and Stripe''s customer does not know yet.';


CREATE OR REPLACE FUNCTION private.count_ended_jobs(p_ended text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_ended_jobs(p_ended text[]) is 'Counts jobs that have ended: [[kind, outcome]], as many as a worker tells of at once.';


CREATE OR REPLACE FUNCTION private.count_mail()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_mail() is 'Trigger: counts a mail in each status that it takes and when it is delivered, and how long it took to be sent.';


CREATE OR REPLACE FUNCTION private.count_metric(p_metric text, p_labels text[] DEFAULT '{}'::text[], p_count integer DEFAULT 1)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_metric(p_metric text, p_labels text[], p_count integer) is 'Counts something that happens in this transaction. p_labels: in the order of private.metrics.labels.';


CREATE OR REPLACE FUNCTION private.count_objective(p_objective text, p_good bigint, p_bad bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_objective(p_objective text, p_good bigint, p_bad bigint) is 'Counts for an objective.';


CREATE OR REPLACE FUNCTION private.count_objectives()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_objectives() is 'Judges the mails and events whose time is over since the last time, each once.';


CREATE OR REPLACE FUNCTION private.count_outages(p_rule private.velocity_rules, p_livemode boolean, p_since timestamp with time zone, p_until timestamp with time zone)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.count_outages(p_rule private.velocity_rules, p_livemode boolean, p_since timestamp with time zone, p_until timestamp with time zone) is 'Measure outages: how many orders met one, or null when they are less than baseline_share of those tried.';


CREATE OR REPLACE FUNCTION private.count_paid_order()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_paid_order() is 'Trigger: an order that is paid was good for the objective stock, unless its goods had gone.';


CREATE OR REPLACE FUNCTION private.count_payment()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_payment() is 'Trigger: counts a payment when it is first seen succeeded.';


CREATE OR REPLACE FUNCTION private.count_payment_attempt()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_payment_attempt() is 'Trigger: counts a try to pay for each outcome that it reaches, its decline, and its 3D Secure once.';


CREATE OR REPLACE FUNCTION private.count_refund()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.count_refund() is 'Trigger: counts a refund when it is first seen succeeded, and when it is first seen failed.';


CREATE OR REPLACE FUNCTION private.country_currencies_fit(p_value jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.country_currencies_fit(p_value jsonb) is 'Whether the setting country_currencies has a value that makes sense: countries (ISO, upper case), each with a currency that Stripe takes.';


CREATE OR REPLACE FUNCTION private.create_order(p_cart jsonb, p_risk jsonb, p_key text, p_user_id uuid, p_email text, p_client_ip inet, p_user_agent text, p_locale text, p_livemode boolean, p_velocity_mode text, p_session_seconds integer, p_hold_seconds integer, p_accepts_marketing boolean, p_ui_mode text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.create_order(p_cart jsonb, p_risk jsonb, p_key text, p_user_id uuid, p_email text, p_client_ip inet, p_user_agent text, p_locale text, p_livemode boolean, p_velocity_mode text, p_session_seconds integer, p_hold_seconds integer, p_accepts_marketing boolean, p_ui_mode text) is 'A pending order with the frozen prices of p_cart (see price_cart()), what the velocity rules found, and its stock reserved. Returns its checkout_snapshot(). SHSTK.';


CREATE OR REPLACE FUNCTION private.date_effects(p_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.date_effects(p_at timestamp with time zone) is 'Says when that happened which this transaction is about to settle, and returns whether it is past: see effects_are_past().';


CREATE OR REPLACE FUNCTION private.decline_class(p_code text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.decline_class(p_code text) is 'What kind of decline a code is, for figures: https://docs.stripe.com/declines/codes, and the reasons of Radar. "other": a code that is not known.';


CREATE OR REPLACE FUNCTION private.delivery_key(p_address jsonb)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.delivery_key(p_address jsonb) is 'A delivery address without case, spaces and punctuation. Null without a street.';


CREATE OR REPLACE FUNCTION private.delivery_problems()
 RETURNS TABLE(kind text, severity text, data jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.delivery_problems() is 'Why deliveries are not to be relied on, at most one row a kind: webhook_silence, webhook_endpoint_disabled, webhook_endpoint_changed, reconciliation_drift. Alerts and health both say what this says.';


CREATE OR REPLACE FUNCTION private.derive_order(f private.order_facts)
 RETURNS private.order_state
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.derive_order(f private.order_facts) is 'The rules of docs/settlement.md: stock, review reasons and statuses of an order by its facts, and by nothing else.';


CREATE OR REPLACE FUNCTION private.digest_facts(p_facts jsonb, p_order_ids uuid[])
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.digest_facts(p_facts jsonb, p_order_ids uuid[]) is 'State of the rows that facts are about, and of their orders.';


CREATE OR REPLACE FUNCTION private.digest_money(p_day date, p_livemode boolean, OUT sales jsonb, OUT refunds jsonb)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.digest_money(p_day date, p_livemode boolean, OUT sales jsonb, OUT refunds jsonb) is 'Orders paid and refunds that succeeded on a day in the shop''s time zone, in one mode: [{ currency, count, amount }], amounts in minor units.';


CREATE OR REPLACE FUNCTION private.digest_object(p_fact jsonb)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.digest_object(p_fact jsonb) is 'What matters of the row of a fact, for the drift log; null when there is none.';


CREATE OR REPLACE FUNCTION private.digest_orders(p_order_ids uuid[])
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.digest_orders(p_order_ids uuid[]) is 'What matters of orders, by number, for the drift log. No personal data.';


CREATE OR REPLACE FUNCTION private.dispute_answer_on_its_way(p_dispute_id text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.dispute_answer_on_its_way(p_dispute_id text) is 'Whether staff have submitted evidence or accepted a dispute, and the job has not done it yet.';


CREATE OR REPLACE FUNCTION private.dispute_holds(d disputes, p_payment_id text)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.dispute_holds(d disputes, p_payment_id text) is 'Whether a dispute keeps its order from shipping: while it is open, and when the payment that the order keeps (p_payment_id) was lost to it.';
grant execute on function private.dispute_holds(d disputes, p_payment_id text) to authenticated;
grant execute on function private.dispute_holds(d disputes, p_payment_id text) to service_role;


CREATE OR REPLACE FUNCTION private.dispute_policy(d disputes, p_written boolean, p_obstacle text)
 RETURNS TABLE(decision text, reason text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.dispute_policy(d disputes, p_written boolean, p_obstacle text) is 'What the settings say of a dispute that staff have not answered. p_written: a person has written evidence at Stripe; p_obstacle: why it cannot be fought without a person (fee, no_field), or null.';


CREATE OR REPLACE FUNCTION private.dispute_to_answer(p_dispute_id text)
 RETURNS disputes
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.dispute_to_answer(p_dispute_id text) is 'A dispute that staff want to answer, locked after its order. SHINV: there is none, it does not wait for an answer, or is being answered by itself right now.';


CREATE OR REPLACE FUNCTION private.dispute_undecided(d disputes)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.dispute_undecided(d disputes) is 'Whether a bank has taken the money of a dispute and may give it back.';


CREATE OR REPLACE FUNCTION private.each_once(p_items anyarray)
 RETURNS anyarray
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.each_once(p_items anyarray) is 'Each item once, in their order; null is left out.';


CREATE OR REPLACE FUNCTION private.earlier_orders(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.earlier_orders(p_order_id uuid) is 'Orders that the buyer of an order (see is_same_buyer()) paid before it, kept, and did not dispute; what they have in common with it is marked.';


CREATE OR REPLACE FUNCTION private.effect_name(p_dedupe_key text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.effect_name(p_dedupe_key text) is 'What a job is for: its dedupe_key without the time that makes each round of a recurring job one of its own. Staff are told once of what fails round after round.';


CREATE OR REPLACE FUNCTION private.effects_are_past()
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.effects_are_past() is 'Whether what is settled happened before the database was lost, so that its effects have been had.';


CREATE OR REPLACE FUNCTION private.email_hmac(p_email text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.email_hmac(p_email text) is 'What an address is known by in mail_suppressions: its HMAC under this database''s own key. The key is not rotated, since that would lift every suppression. Case and spaces around do not count; null for null.';


CREATE OR REPLACE FUNCTION private.email_key(p_email text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.email_key(p_email text) is 'The mailbox behind an address: lower case, without +tags, without Gmail''s dots. Null for what is no address.';


CREATE OR REPLACE FUNCTION private.end_job(p_job private.jobs, p_outcome text, p_reason text, p_alert text)
 RETURNS private.jobs
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.end_job(p_job private.jobs, p_outcome text, p_reason text, p_alert text) is 'Books outcome done or discard of a job in hand, and clears what earlier rounds of it left: alerts and dead jobs. Returns the job as it is now.';


CREATE OR REPLACE FUNCTION private.end_pages(p_rule private.velocity_rules, p_key text, o orders, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.end_pages(p_rule private.velocity_rules, p_key text, o orders, p_at timestamp with time zone) is 'Has the payment pages of a hit ended: with action block all of the subject, else those of refused buyers that ask less of the card than the rule does, the page of o among them. No door leads to them from now on.';


CREATE OR REPLACE FUNCTION private.enqueue_job(p_kind text, p_dedupe_key text, p_payload jsonb, p_run_at timestamp with time zone DEFAULT now(), p_priority integer DEFAULT 100, p_max_attempts integer DEFAULT NULL::integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.enqueue_job(p_kind text, p_dedupe_key text, p_payload jsonb, p_run_at timestamp with time zone, p_priority integer, p_max_attempts integer) is 'Queues an effect unless one with this dedupe_key was ever queued. Returns whether it is new. Lower p_priority runs first; p_max_attempts null: the kind''s limit. Of what happened before a restored database was lost, kinds that are once_only are noted as done.';


CREATE OR REPLACE FUNCTION private.enter_checkout(p_order_id uuid, p_velocity_mode text, p_client_ip text, p_supersede boolean, p_reopen boolean, p_session_seconds integer, p_hold_seconds integer, p_ui_mode text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.enter_checkout(p_order_id uuid, p_velocity_mode text, p_client_ip text, p_supersede boolean, p_reopen boolean, p_session_seconds integer, p_hold_seconds integer, p_ui_mode text) is 'The one way to the payment page of an order that exists: repeats, resumed and restarted attempts all pass the velocity rules here. p_reopen: begin a new attempt. p_ui_mode: as of admit_checkout(). Outcomes: existing, superseded, velocity_exceeded.';


CREATE OR REPLACE FUNCTION private.erase_customers(p_customer_ids uuid[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO '';
comment on function private.erase_customers(p_customer_ids uuid[]) is 'Empties customer rows. At Stripe erase_stripe_customers() sees to it.';


CREATE OR REPLACE FUNCTION private.erase_digests(p_email text, p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.erase_digests(p_email text, p_order_ids uuid[]) is 'Removes the counters that are kept under a digest of an e-mail address, or under the network addresses of orders.';


CREATE OR REPLACE FUNCTION private.erase_events(p_event_ids text[], p_pattern text)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.erase_events(p_event_ids text[], p_pattern text) is 'Empties the stored payloads of events; from one that is still to be applied it takes what the pattern finds. Returns how many.';


CREATE OR REPLACE FUNCTION private.erase_orders(p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.erase_orders(p_order_ids uuid[]) is 'Takes the personal data out of orders and of all that hangs on them. Amounts, ids, card brand and last four digits stay: bookkeeping law wants them. The caller has locked the orders.';


CREATE OR REPLACE FUNCTION private.erase_own_texts(p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.erase_own_texts(p_order_ids uuid[]) is 'Removes what staff wrote about orders, and what providers said of their jobs: it may name the buyer in any way.';


CREATE OR REPLACE FUNCTION private.erase_person(p_email text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.erase_person(p_email text) is 'Removes a person from everything that is known under an e-mail address, and ends their open payment pages; what a payment under way brings goes back. What comes later about their orders is stored without them. Returns counts; all of them 0: nobody is known, and nothing was changed. SHINV: a dispute needs the data.';


CREATE OR REPLACE FUNCTION private.erase_stripe_customers(p_ids text[], p_livemode boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.erase_stripe_customers(p_ids text[], p_livemode boolean) is 'Notes Stripe customers as erased, and has Stripe''s own copy deleted by a job.';


CREATE OR REPLACE FUNCTION private.error_text(p_sqlstate text, p_message text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.error_text(p_sqlstate text, p_message text) is 'An error of the database as it may be stored and logged: without the value that it was about. Twin of valueless() in _shared/errors.ts.';


CREATE OR REPLACE FUNCTION private.evaluate_alert_rule(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.evaluate_alert_rule(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Measures one rule for the mode of the key, at p_now: opens and counts its alerts, and resolves what it has not found for ten minutes.';


CREATE OR REPLACE FUNCTION private.event_lock(p_event_id text)
 RETURNS bigint
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.event_lock(p_event_id text) is 'The number of the advisory lock of an event.';


CREATE OR REPLACE FUNCTION private.events_of_person(p_order_ids uuid[], p_stripe_ids text[], p_email text)
 RETURNS SETOF text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.events_of_person(p_order_ids uuid[], p_stripe_ids text[], p_email text) is 'Stored events about these orders, these Stripe customers, or with this address, ours or not, dead ones too.';


CREATE OR REPLACE FUNCTION private.exceeds_chance(p_count numeric, p_expected numeric)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.exceeds_chance(p_count numeric, p_expected numeric) is 'Whether a count is more than chance makes of so many expected (Poisson: its variance is its mean).';


CREATE OR REPLACE FUNCTION private.exchange_line(o orders, i order_items, p_for text)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.exchange_line(o orders, i order_items, p_for text) is 'The line of the order from which a SKU goes out in exchange for a piece of line i, made if need be. SHSKU: no such SKU; SHINV: at another price.';


CREATE OR REPLACE FUNCTION private.exchange_price(o orders, i order_items, v product_variants)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.exchange_price(o orders, i order_items, v product_variants) is 'What a variant costs in exchange for a piece of this line, in minor units of the order: its price in the same order, the piece''s own where both cost the same today, or today''s; null: sold in another currency.';


CREATE OR REPLACE FUNCTION private.exchanged_pieces(p_order_item_id uuid, OUT came integer, OUT went integer)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.exchanged_pieces(p_order_item_id uuid, OUT came integer, OUT went integer) is 'Pieces that exchanges have brought to a line (came) and taken from it (went). What was paid for them goes with them: their prices are equal.';
grant execute on function private.exchanged_pieces(p_order_item_id uuid, OUT came integer, OUT went integer) to authenticated;
grant execute on function private.exchanged_pieces(p_order_item_id uuid, OUT came integer, OUT went integer) to service_role;


CREATE OR REPLACE FUNCTION private.export_of_order(o orders)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.export_of_order(o orders) is 'An order with all that hangs on it, as the person whose it is may see it, as far as the caller may read it.';
grant execute on function private.export_of_order(o orders) to authenticated;
grant execute on function private.export_of_order(o orders) to service_role;


CREATE OR REPLACE FUNCTION private.export_of_person(p_email text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.export_of_person(p_email text) is 'All that is stored of a person under an e-mail address, as far as the caller may read it: { email, customers, orders: [{ …, items, shipments, returns, payments, attempts, refund_requests, refunds, disputes, signs_of_fraud, payment_pages, consents, mails, commands, history }], mail_suppressions: [{ reason, since }] }.';
grant execute on function private.export_of_person(p_email text) to authenticated;
grant execute on function private.export_of_person(p_email text) to service_role;


CREATE OR REPLACE FUNCTION private.facts_of_order(o orders, h private.order_history, p_mismatches text[])
 RETURNS private.order_facts
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.facts_of_order(o orders, h private.order_history, p_mismatches text[]) is 'What derive_order() needs to know of an order as it is now; p_mismatches: see unreleased_mismatches().';


CREATE OR REPLACE FUNCTION private.find_checkout(p_idempotency_key text, p_lines jsonb, p_email text, p_superseded jsonb, p_client_ip inet, p_ui_mode text, p_currency text, p_country text, p_livemode boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.find_checkout(p_idempotency_key text, p_lines jsonb, p_email text, p_superseded jsonb, p_client_ip inet, p_ui_mode text, p_currency text, p_country text, p_livemode boolean) is 'The order that an Idempotency-Key made before, or null. ended: it has expired or failed and can be opened again. superseded: it can, once other pages of the shopper (p_superseded) are closed. p_lines as of asked_lines(). SHIDC: the key belongs to another cart, kind of page or mode. SHSTA: staff have cancelled the order.';


CREATE OR REPLACE FUNCTION private.finish_job(p_job_id bigint, p_lease_id uuid, p_outcome text, p_reason text, p_run_at timestamp with time zone, p_alert text)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.finish_job(p_job_id bigint, p_lease_id uuid, p_outcome text, p_reason text, p_run_at timestamp with time zone, p_alert text) is 'Ends the lease of a job: done, discard, retry (backoff unless p_run_at is given; dead after the last attempt) or snooze (no attempt used). p_alert: severity with which staff are told. Returns the new status; null: the lease was lost and nothing changed. SHINV: unknown outcome.';


CREATE OR REPLACE FUNCTION private.first_for_staff()
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.first_for_staff() is 'The least id there can be, or null for claims that cannot be of staff: how an index finds what staff may read of a table that customers read too. Grants nothing: is_admin() does.';
grant execute on function private.first_for_staff() to authenticated;
grant execute on function private.first_for_staff() to service_role;


CREATE OR REPLACE FUNCTION private.fold_metrics()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.fold_metrics() is 'Adds up what was counted since the last time, at most 20 000 rows at once.';


CREATE OR REPLACE FUNCTION private.follow_alert(p_dedupe_key text, p_wanted boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.follow_alert(p_dedupe_key text, p_wanted boolean) is 'Closes an alert whose cause is gone, and opens it again when the cause is back: so it ends the same in any order of events. Staff are sent another message only where they do not know that it is open. What staff have resolved stays resolved.';


CREATE OR REPLACE FUNCTION private.forget_mail_alerts(n notifications)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.forget_mail_alerts(n notifications) is 'Resolves the alerts about a mail that has gone out after all, perhaps as a repeat or a correction that staff asked for, and ends what it repeats where that was given up; nothing of another parcel''s or refund''s.';


CREATE OR REPLACE FUNCTION private.forget_unpaid_orders(p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.forget_unpaid_orders(p_limit integer) is 'Takes the personal data out of up to p_limit orders that ended unpaid longer than retention_unpaid_days ago: no law wants them kept.';


CREATE OR REPLACE FUNCTION private.fraud_reasons(p_order_id uuid)
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.fraud_reasons(p_order_id uuid) is 'Fraud holds of an order: see holds_order().';


CREATE OR REPLACE FUNCTION private.freeze_velocity_rules()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.freeze_velocity_rules() is 'The row of velocity_rule_sets with today''s rules on card and delivery address.';


CREATE OR REPLACE FUNCTION private.fresh_orders(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF orders
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.fresh_orders(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Orders that were paid within the window, have not been sent, and are to be: of others nothing can be kept back.';


CREATE OR REPLACE FUNCTION private.give_back_top_up(p_started_at timestamp with time zone)
 RETURNS text[]
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.give_back_top_up(p_started_at timestamp with time zone) is 'Takes out what top_up_stock() has added since p_started_at and what is on the shelf after all: goods that came back before they were sold again. Returns what stays added, as "pieces SKU".';


CREATE OR REPLACE FUNCTION private.has_scheduler()
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.has_scheduler() is 'True where pg_cron, pg_net and Vault are installed.';


CREATE OR REPLACE FUNCTION private.has_shipped(p_order_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.has_shipped(p_order_id uuid) is 'Whether anything of an order has left the house.';


CREATE OR REPLACE FUNCTION private.hash_lines(p_lines jsonb, p_currency text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.hash_lines(p_lines jsonb, p_currency text) is 'Hash of lines (variant, quantity, price) and currency. It goes into the session''s metadata and must come back unchanged. By variant: two SKUs may be swapped while an order waits.';


CREATE OR REPLACE FUNCTION private.hash_of_order(p_order_id uuid)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.hash_of_order(p_order_id uuid) is 'hash_lines() of the lines that were bought with an order.';


CREATE OR REPLACE FUNCTION private.history_of(p_order_id uuid, p_session_id text, p_payment_id text)
 RETURNS private.order_history
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.history_of(p_order_id uuid, p_session_id text, p_payment_id text) is 'What an order has that keeps p_session_id and p_payment_id, or none (null).';


CREATE OR REPLACE FUNCTION private.hold_reasons(o orders)
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.hold_reasons(o orders) is 'What keeps an order that has not shipped from shipping: review; dispute (see dispute_holds()); refund_under_way (all of its money); refund_failed (all of its money was to go back, bounced, and nobody has tried again or released the order); refund_refused (the same of a refund that Stripe does not take).';
grant execute on function private.hold_reasons(o orders) to authenticated;
grant execute on function private.hold_reasons(o orders) to service_role;


CREATE OR REPLACE FUNCTION private.hold_rescued_stock(p_order_id uuid, p_open boolean, p_expires_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.hold_rescued_stock(p_order_id uuid, p_open boolean, p_expires_at timestamp with time zone) is 'The reservations of a rescued order: held while its page is open (p_open), else free until settling takes what was paid for.';


CREATE OR REPLACE FUNCTION private.holding_orders(p_subject text, p_key text)
 RETURNS SETOF uuid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.holding_orders(p_subject text, p_key text) is 'Unpaid orders of a subject of the velocity rules that may hold stock.';


CREATE OR REPLACE FUNCTION private.holds_order(f fraud_signals)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.holds_order(f fraud_signals) is 'Whether a sign of fraud holds its order: an early fraud warning, an open Radar review, a velocity rule with action review, that staff have not released.';


CREATE OR REPLACE FUNCTION private.ids_of_order(p_order_id uuid)
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.ids_of_order(p_order_id uuid) is 'The ids of an order and of all that belongs to it, here and at Stripe: what order_of() leads back from.';


CREATE OR REPLACE FUNCTION private.is_admin()
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function private.is_admin() is 'True when the caller''s JWT carries app_metadata.role = admin (users cannot write app_metadata), their account here, if they have one, still has that role and is not banned, the session of the token has not ended and, where admin_require_mfa is set, it is one of two factors (aal2).';
grant execute on function private.is_admin() to anon;
grant execute on function private.is_admin() to authenticated;
grant execute on function private.is_admin() to service_role;


CREATE OR REPLACE FUNCTION private.is_card_number(p_digits text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.is_card_number(p_digits text) is 'Whether digits are a card number by issuer prefix, length and check digit. The twin of isCardNumber() in _shared/text/card_numbers.ts.';
grant execute on function private.is_card_number(p_digits text) to authenticated;
grant execute on function private.is_card_number(p_digits text) to service_role;


CREATE OR REPLACE FUNCTION private.is_charged_back(p_payment_id text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_charged_back(p_payment_id text) is 'Whether a bank has taken back money of a payment, or decides about it: Stripe refunds nothing of it then (charge_disputed). An inquiry takes nothing, and a refund is what settles it.';


CREATE OR REPLACE FUNCTION private.is_command(c staff_commands, p_command text, p_args jsonb)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.is_command(c staff_commands, p_command text, p_args jsonb) is 'Whether this row of the log is that command with those arguments.';
grant execute on function private.is_command(c staff_commands, p_command text, p_args jsonb) to authenticated;
grant execute on function private.is_command(c staff_commands, p_command text, p_args jsonb) to service_role;


CREATE OR REPLACE FUNCTION private.is_confirmed(p_order_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_confirmed(p_order_id uuid) is 'Whether a payment page of an order is complete. Until then the order is not judged by its payments, which may be heard of first.';


CREATE OR REPLACE FUNCTION private.is_disposable(p_mailbox text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_disposable(p_mailbox text) is 'Whether a mailbox (as of email_key()) is at a domain that gives anybody one for minutes, or below it.';


CREATE OR REPLACE FUNCTION private.is_erased(p_fact jsonb, p_order_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_erased(p_fact jsonb, p_order_id uuid) is 'Whether a fact is about an order or a Stripe customer that has been erased.';


CREATE OR REPLACE FUNCTION private.is_newer_version(p_version text, p_than text)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.is_newer_version(p_version text, p_than text) is 'Whether an API version is newer than another.';


CREATE OR REPLACE FUNCTION private.is_of_buyer(p_failure_code text, p_decline_code text, p_method text)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.is_of_buyer(p_failure_code text, p_decline_code text, p_method text) is 'Whether a refusal says something about a buyer who tries cards. One who turns back at a bank or wallet, or whose bank debit bounces days later, has shown no card; nor does an outage say anything.';


CREATE OR REPLACE FUNCTION private.is_offered(v product_variants, p_currency text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_offered(v product_variants, p_currency text) is 'Whether a variant is on sale today, in this currency. Says nothing of its stock.';


CREATE OR REPLACE FUNCTION private.is_outage(p_failure_code text, p_decline_code text)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.is_outage(p_failure_code text, p_decline_code text) is 'Whether a refusal says that the bank, the network or the processor was away, and nothing about the shopper or the card.';


CREATE OR REPLACE FUNCTION private.is_quiet()
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_quiet() is 'Whether nobody is buying: no order waits to be paid, and Stripe has told nothing for ten minutes.';


CREATE OR REPLACE FUNCTION private.is_quiet_hour(r private.alert_rules, p_now timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_quiet_hour(r private.alert_rules, p_now timestamp with time zone) is 'Whether a rule opens nothing at this moment.';


CREATE OR REPLACE FUNCTION private.is_released(o orders, p_reason text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.is_released(o orders, p_reason text) is 'Whether staff have released this mismatch of the money that the order keeps.';


CREATE OR REPLACE FUNCTION private.is_reminder(p_template text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.is_reminder(p_template text) is 'Whether a mail asks to buy: it carries a link to unsubscribe, and goes to nobody who did. All others are about what the customer has bought.';


CREATE OR REPLACE FUNCTION private.is_same_buyer(o orders, b orders)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_same_buyer(o orders, b orders) is 'Whether two orders are of one buyer for certain: of one account, or under one e-mail address with one delivery address or one card.';


CREATE OR REPLACE FUNCTION private.is_to_be_read(p_fact jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_to_be_read(p_fact jsonb) is 'Whether what an event did not tell (unread) is to be read from Stripe: what is of no order of ours is not.';


CREATE OR REPLACE FUNCTION private.is_vouched_for(p_user_id uuid, p_email text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.is_vouched_for(p_user_id uuid, p_email text) is 'Whether a sign-in provider of this account has verified the address.';


CREATE OR REPLACE FUNCTION private.is_withdrawn(p_order_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.is_withdrawn(p_order_id uuid) is 'Whether refunds have taken every piece out of an order before any left.';


CREATE OR REPLACE FUNCTION private.jobs_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.jobs_health() is 'Health check jobs: the backlog, the dead, and whether anybody works at all: down when retry-jobs has not been called for five minutes, which no shop gets over by itself.';


CREATE OR REPLACE FUNCTION private.judge_events(p_from timestamp with time zone, p_until timestamp with time zone, p_seconds integer)
 RETURNS TABLE(good bigint, bad bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.judge_events(p_from timestamp with time zone, p_until timestamp with time zone, p_seconds integer) is 'How many events stored in a time were settled within so many seconds of when they happened, and how many not. What is ignored concerns nobody here.';


CREATE OR REPLACE FUNCTION private.judge_mails(p_from timestamp with time zone, p_until timestamp with time zone, p_seconds integer)
 RETURNS TABLE(good bigint, bad bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.judge_mails(p_from timestamp with time zone, p_until timestamp with time zone, p_seconds integer) is 'How many mails queued in a time were taken by their provider within so many seconds, and how many not.';


CREATE OR REPLACE FUNCTION private.judge_order(o orders, k order_risk)
 RETURNS order_risk
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.judge_order(o orders, k order_risk) is 'Runs the velocity rules over what has come in since, and returns how far they have looked.';


CREATE OR REPLACE FUNCTION private.judge_price()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.judge_price() is 'Trigger of product_variants: staff hear at once of a price that Stripe refuses, whichever way it came in; corrected, retired or deleted, the alert closes.';


CREATE OR REPLACE FUNCTION private.keep_terms_text()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.keep_terms_text() is 'Trigger of terms_texts. SHINV: the text was in force when orders were placed, and is evidence.';


CREATE OR REPLACE FUNCTION private.kept_session(p_order_id uuid)
 RETURNS checkout_sessions
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.kept_session(p_order_id uuid) is 'The settled session whose payment an order keeps, or null. Any other settled payment of the order is refunded.';


CREATE OR REPLACE FUNCTION private.keyed_digest(p_text text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.keyed_digest(p_text text) is 'HMAC-SHA-256 of a text under this database''s own key, in hexadecimal.';


CREATE OR REPLACE FUNCTION private.know_customer(p_id text, p_livemode boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.know_customer(p_id text, p_livemode boolean) is 'A session of ours names a Stripe customer: from now on its events are merged, and so are those that came before and are still stored.';


CREATE OR REPLACE FUNCTION private.knowledge(p_fact jsonb)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.knowledge(p_fact jsonb) is 'How many fields of a fact say something, as three digits: of two translations of one event the fuller one wins.';


CREATE OR REPLACE FUNCTION private.largest_amount(p_currency text)
 RETURNS bigint
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.largest_amount(p_currency text) is 'The most that Stripe charges at once, in minor units: eight digits, twelve of rupiah.';


CREATE OR REPLACE FUNCTION private.last_delivery(p_livemode boolean)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.last_delivery(p_livemode boolean) is 'When Stripe last delivered an event of this mode; -infinity: never.';


CREATE OR REPLACE FUNCTION private.leaves_digest(p_seal_id bigint)
 RETURNS bytea
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.leaves_digest(p_seal_id bigint) is 'Digest of the leaves of a seal.';


CREATE OR REPLACE FUNCTION private.limit_wait(p_limit integer, p_window_seconds integer, p_current integer, p_previous integer, p_elapsed numeric)
 RETURNS numeric
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.limit_wait(p_limit integer, p_window_seconds integer, p_current integer, p_previous integer, p_elapsed numeric) is 'Seconds until a refused request fits. p_current and p_previous: requests taken in this window and the last; p_elapsed: how far this window has gone, 0 to 1.';


CREATE OR REPLACE FUNCTION private.limiter_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.limiter_health() is 'Health check limiter: how many keys the limiter in the database has counted in the last minute; none where Upstash counts. A figure only: never degraded.';


CREATE OR REPLACE FUNCTION private.line_positions(p_order_id uuid)
 RETURNS TABLE(order_item_id uuid, variant_id uuid, sku text, name text, unit_amount bigint, quantity integer, shipped integer, sent_back integer, returned integer, announced integer, refunded integer, here integer, to_ship integer, paid integer, exchanged integer, exchanging integer)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.line_positions(p_order_id uuid) is 'Where the pieces of each line of an order are. quantity: bought, and come by exchange; shipped: have left the house; sent_back: of those in returns, the ones that had left; returned and announced: in returns that came, and that are awaited; refunded: money given back or on its way; here: sold and still in the house; to_ship: still to be sent; paid: pieces whose price is on this line; exchanged and exchanging: of those returned and announced, what another piece goes out for. Call with the order locked.';
grant execute on function private.line_positions(p_order_id uuid) to authenticated;
grant execute on function private.line_positions(p_order_id uuid) to service_role;


CREATE OR REPLACE FUNCTION private.lines_of_request(p_request_id text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.lines_of_request(p_request_id text) is 'The pieces that a refund request is about: [{ sku, quantity, restock }]. restock: they go back on the shelf with it.';


CREATE OR REPLACE FUNCTION private.link_payments(p_payment_ids text[])
 RETURNS uuid[]
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.link_payments(p_payment_ids text[]) is 'Gives payments their order (the session''s word before that of metadata), and to what hangs on them: attempts, refunds, disputes, signals, whichever came first. Returns the orders to settle, before and after, where anything has found another one.';


CREATE OR REPLACE FUNCTION private.live_topic(p_order_id uuid)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.live_topic(p_order_id uuid) is 'The Realtime topic of an order''s page. Nobody can guess it, and it does not tell the order''s id.';


CREATE OR REPLACE FUNCTION private.local_day(p_at timestamp with time zone)
 RETURNS date
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.local_day(p_at timestamp with time zone) is 'The day of a moment in the shop''s time zone.';


CREATE OR REPLACE FUNCTION private.lock_before_jobs(p_job_ids bigint[], p_event_ids text[] DEFAULT '{}'::text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.lock_before_jobs(p_job_ids bigint[], p_event_ids text[]) is 'Locks what comes before jobs everywhere, for jobs that are about to be ended or brought back: their events (and these), then the orders of their refunds.';


CREATE OR REPLACE FUNCTION private.lock_event(p_event_id text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.lock_event(p_event_id text) is 'Concurrent deliveries of one event queue up here, and only the first one gets to apply it: its row is written once, when it is known what became of it. The row is locked too, where there is one.';


CREATE OR REPLACE FUNCTION private.lock_facts(p_facts jsonb)
 RETURNS private.locked_orders
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.lock_facts(p_facts jsonb) is 'Locks what facts may touch, in the one order that all use: Stripe''s customers and payments (advisory), orders by id. Stock by variant comes after, in settle_order().';


CREATE OR REPLACE FUNCTION private.lock_order(p_order_id uuid)
 RETURNS orders
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.lock_order(p_order_id uuid) is 'The row of an order, locked until the transaction ends. Everything that decides about an order begins here; the order comes before whatever else is locked. SHORD: no such order.';


CREATE OR REPLACE FUNCTION private.lock_order_by_number(p_order_number text)
 RETURNS orders
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.lock_order_by_number(p_order_number text) is 'The order of a number, locked. SHORD: no such order.';


CREATE OR REPLACE FUNCTION private.lock_person(p_email text)
 RETURNS private.person_scope
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.lock_person(p_email text) is 'scope_of_person(), locked: events by id, then orders by id.';


CREATE OR REPLACE FUNCTION private.lock_stock_of_order(p_order_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.lock_stock_of_order(p_order_id uuid) is 'Locks the stock of all that an order holds or owns, until the transaction ends.';


CREATE OR REPLACE FUNCTION private.lock_stock_of_orders(p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.lock_stock_of_orders(p_order_ids uuid[]) is 'Locks the stock of all that orders have reserved, in the order that everybody locks it in.';


CREATE OR REPLACE FUNCTION private.lost_checkouts(p_limit integer)
 RETURNS TABLE(order_id uuid, attempt integer, started_at timestamp with time zone, ended_at timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.lost_checkouts(p_limit integer) is 'Orders whose current attempt has no session although none can be made any more: the answer was lost, or the call never happened. started_at and ended_at: when Stripe can have made it.';


CREATE OR REPLACE FUNCTION private.mail_arrived(p_status text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.mail_arrived(p_status text) is 'Whether a mail has reached its reader, as far as anybody knows.';


CREATE OR REPLACE FUNCTION private.mail_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.mail_health() is 'Health check mail: mails that wait, and those of the last day that did not arrive.';


CREATE OR REPLACE FUNCTION private.mail_order(o orders)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.mail_order(o orders) is 'What mails show of an order. Names and prices are those of the order; pictures are the catalogue''s of today.';


CREATE OR REPLACE FUNCTION private.mail_owed_by_law(p_template text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.mail_owed_by_law(p_template text) is 'Whether the law wants a mail sent even to an address that has bounced: the contract on a durable medium (directive 2011/83/EU, article 8(7)), and that the goods will not come (article 18).';


CREATE OR REPLACE FUNCTION private.mail_rank(p_status text, p_delivered boolean)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.mail_rank(p_status text, p_delivered boolean) is 'Order of what can be known of a mail; the highest stays, whichever was reported first: a mail server may take a mail and return it later, and who complains has got it. 0: not sent yet, or not to be.';


CREATE OR REPLACE FUNCTION private.mail_recipient(o orders)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.mail_recipient(o orders) is 'Whom a mail of this order goes to now: the account''s present address where the order went under the account''s own, a guest''s as corrected at Stripe, else the address typed on the payment page. Null: none is known, or the customer was erased.';


CREATE OR REPLACE FUNCTION private.mail_subject(n notifications)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.mail_subject(n notifications) is 'What a mail is about besides its order: the number of a parcel, a refund; empty: nothing. What is true of a mail and of its repetition says nothing of another parcel''s or refund''s.';


CREATE OR REPLACE FUNCTION private.mail_suppression(p_template text, p_email text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.mail_suppression(p_template text, p_email text) is 'Why a mail must not go to an address, or null.';


CREATE OR REPLACE FUNCTION private.mail_templates()
 RETURNS text[]
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.mail_templates() is 'The names of all mails to customers, in alphabetical order.';


CREATE OR REPLACE FUNCTION private.major_unit(p_currency text)
 RETURNS integer
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.major_unit(p_currency text) is 'Minor units of a currency in one of its units: 100 cents of a dollar, 1 of a yen.';
grant execute on function private.major_unit(p_currency text) to authenticated;
grant execute on function private.major_unit(p_currency text) to service_role;


CREATE OR REPLACE FUNCTION private.make_rescued_order(p_order jsonb, p_lines jsonb)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.make_rescued_order(p_order jsonb, p_lines jsonb) is 'Writes an order as its session at Stripe tells it; p_lines with their variants. Its cart_hash is that of the lines, so that settling sees when they are not what was sold. Returns its number.';


CREATE OR REPLACE FUNCTION private.mask_cards(p_text text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.mask_cards(p_text text) is 'A text with every card number reduced to its last four digits. The twin of maskCardNumbers() in _shared/text/card_numbers.ts.';
grant execute on function private.mask_cards(p_text text) to authenticated;
grant execute on function private.mask_cards(p_text text) to service_role;


CREATE OR REPLACE FUNCTION private.mask_cards_in(p_value jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.mask_cards_in(p_value jsonb) is 'mask_cards() for every text in a JSON value, other than those under the name of an id.';
grant execute on function private.mask_cards_in(p_value jsonb) to authenticated;
grant execute on function private.mask_cards_in(p_value jsonb) to service_role;


CREATE OR REPLACE FUNCTION private.mask_command()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function private.mask_command() is 'Trigger of staff_commands: a card number in a note, a reason or a tracking number is masked before anything is stored.';


CREATE OR REPLACE FUNCTION private.may_be_reminded(o orders)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.may_be_reminded(o orders) is 'Whether a shopper may be reminded: what they said at our checkout counts, else what they chose on Stripe''s page, else the setting recovery_needs_consent.';


CREATE OR REPLACE FUNCTION private.measure_amount(p_rule private.velocity_rules, p_key text, p_worth bigint, p_threshold bigint, p_livemode boolean, p_since timestamp with time zone, p_at timestamp with time zone, p_order_id uuid, OUT o_value bigint, OUT o_oldest timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.measure_amount(p_rule private.velocity_rules, p_key text, p_worth bigint, p_threshold bigint, p_livemode boolean, p_since timestamp with time zone, p_at timestamp with time zone, p_order_id uuid, OUT o_value bigint, OUT o_oldest timestamp with time zone) is 'Measure amount: what the subject orders together with p_worth, each order in the currency of the rule. Null: what asks is not sold in it. o_oldest: the order with which the threshold was passed.';


CREATE OR REPLACE FUNCTION private.measure_holds(p_rule private.velocity_rules, p_key text, p_lines jsonb, p_order_id uuid, OUT o_value bigint, OUT o_until timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.measure_holds(p_rule private.velocity_rules, p_key text, p_lines jsonb, p_order_id uuid, OUT o_value bigint, OUT o_until timestamp with time zone) is 'Measures held_pieces and held_share: what unpaid orders of a subject hold together with p_lines, [{ variant_id, quantity }] of the cart that asks; for the shop, what all of them hold. o_until: when the last hold runs out.';


CREATE OR REPLACE FUNCTION private.measure_shop_holds(p_rule private.velocity_rules)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.measure_shop_holds(p_rule private.velocity_rules) is 'Measures held_pieces and held_share of the whole shop: what all unpaid orders hold. One pass over the stock, since each checkout asks.';


CREATE OR REPLACE FUNCTION private.measure_stock()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.measure_stock() is 'Sets the gauges of stock, at most once a minute: it reads the stock of every article, of which a shop has thousands at most.';


CREATE OR REPLACE FUNCTION private.measure_velocity(p_rule private.velocity_rules, p_key text, p_amount bigint, p_currency text, p_livemode boolean, p_at timestamp with time zone, p_order_id uuid DEFAULT NULL::uuid, p_lines jsonb DEFAULT '[]'::jsonb, p_factor numeric DEFAULT 1)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.measure_velocity(p_rule private.velocity_rules, p_key text, p_amount bigint, p_currency text, p_livemode boolean, p_at timestamp with time zone, p_order_id uuid, p_lines jsonb, p_factor numeric) is 'A hit of a rule by a subject up to p_at, or null. p_amount, p_currency and p_lines: the cart that asks; p_order_id: the order that asks, which does not count against itself; p_factor: what the threshold is multiplied with. retry_after_seconds: until the rule lets go.';


CREATE OR REPLACE FUNCTION private.measured_times(p_rule private.velocity_rules, p_key text, p_livemode boolean, p_since timestamp with time zone, p_at timestamp with time zone, p_order_id uuid)
 RETURNS timestamp with time zone[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.measured_times(p_rule private.velocity_rules, p_key text, p_livemode boolean, p_since timestamp with time zone, p_at timestamp with time zone, p_order_id uuid) is 'When each of the things happened that a rule counts (orders, mailboxes, refusals, cards), oldest first: as many as the measure says. p_order_id: an order that does not count.';


CREATE OR REPLACE FUNCTION private.merge_checkout_session(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_checkout_session(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a checkout_session fact seen at p_at into checkout_sessions. The order of a known session never changes. Returns whether that is news: whether anything is known now that was not known before.';


CREATE OR REPLACE FUNCTION private.merge_customer(p_fact jsonb, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_customer(p_fact jsonb, p_at timestamp with time zone) is 'Merges a customer fact seen at p_at into private.stripe_customers. apply_facts() passes over customers who never bought here.';


CREATE OR REPLACE FUNCTION private.merge_dispute(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_dispute(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a dispute fact seen at p_at into disputes, and returns whether that is news.';


CREATE OR REPLACE FUNCTION private.merge_fact(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_fact(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges one fact of an order, or of none yet, seen at p_at. Returns whether it is news that its order is judged by. SHINV: a fact that nobody knows.';


CREATE OR REPLACE FUNCTION private.merge_fraud_signal(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_fraud_signal(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges an early fraud warning or a review seen at p_at into fraud_signals, and returns whether that is news.';


CREATE OR REPLACE FUNCTION private.merge_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone, p_source text DEFAULT 'intent'::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone, p_source text) is 'Merges a payment fact seen at p_at into payments, and returns whether that is news. p_source: intent (the payment itself) or session (what a paid session says of it). link_payments() has the last word on its order.';


CREATE OR REPLACE FUNCTION private.merge_payment_attempt(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_payment_attempt(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a payment_attempt fact seen at p_at into payment_attempts, and returns whether that is news.';


CREATE OR REPLACE FUNCTION private.merge_refund(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_refund(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges a refund fact seen at p_at into refunds, and returns whether that is news.';


CREATE OR REPLACE FUNCTION private.merge_session_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.merge_session_payment(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone) is 'Merges what a paid session says of its payment, and returns whether that is news.';


CREATE OR REPLACE FUNCTION private.metric_bucket(p_bounds double precision[], p_value double precision)
 RETURNS smallint
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.metric_bucket(p_bounds double precision[], p_value double precision) is 'The bucket of a value, from 0: the first whose upper bound is not below it, as le has it.';


CREATE OR REPLACE FUNCTION private.metric_gauges()
 RETURNS TABLE(metric text, labels text[], total double precision)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.metric_gauges() is 'Gauges that are read from small tables when they are asked for.';


CREATE OR REPLACE FUNCTION private.mismatch_alert(p_order_id uuid)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.mismatch_alert(p_order_id uuid) is 'The dedupe_key of the alert payment_mismatch of an order: another one after each release.';


CREATE OR REPLACE FUNCTION private.money_back(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.money_back(p_order_id uuid) is 'The refunds of an order that have arrived, and the returns that were asked for; received_at null: the goods have not come back.';


CREATE OR REPLACE FUNCTION private.money_left(p_payment_id text)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.money_left(p_payment_id text) is 'Minor units of a payment that the customer has not got back, neither by refunds under way or made nor by lost disputes.';
grant execute on function private.money_left(p_payment_id text) to authenticated;
grant execute on function private.money_left(p_payment_id text) to service_role;


CREATE OR REPLACE FUNCTION private.money_text(p_amount bigint, p_currency text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.money_text(p_amount bigint, p_currency text) is 'An amount in minor units as people write it, with as many decimals as Stripe counts in the currency: 12900, usd is 129.00 USD; 12900, jpy is 12900 JPY. https://docs.stripe.com/currencies';
grant execute on function private.money_text(p_amount bigint, p_currency text) to authenticated;
grant execute on function private.money_text(p_amount bigint, p_currency text) to service_role;


CREATE OR REPLACE FUNCTION private.name_stock_move(p_kind text, p_order_id uuid DEFAULT NULL::uuid, p_note text DEFAULT NULL::text, p_actor text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.name_stock_move(p_kind text, p_order_id uuid, p_note text, p_actor text) is 'Says why the changes of on_hand that follow in this transaction are made, for their journal; p_kind null: what follows is not ours. Staff commands are signed by themselves (setting kct.actor).';


CREATE OR REPLACE FUNCTION private.names_any(p_data jsonb, p_ids text[])
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.names_any(p_data jsonb, p_ids text[]) is 'Whether a field …_id of an alert''s data or a command''s arguments is one of these ids.';


CREATE OR REPLACE FUNCTION private.newest_thing(p_before timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.newest_thing(p_before timestamp with time zone) is 'When the newest order, event or job from before p_before was made; null: there is none.';


CREATE OR REPLACE FUNCTION private.next_order_number()
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.next_order_number() is 'Next order number: 100001, 100002, … after the setting order_number_prefix. Numbers may have gaps: a refused checkout uses one up.';


CREATE OR REPLACE FUNCTION private.note_all_orders()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_all_orders() is 'Once a day has all orders checked: what was changed past settling is found as well. They are many, but no more are looked at at once than otherwise.';


CREATE OR REPLACE FUNCTION private.note_email_proof(p_user_id uuid, p_proven boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_email_proof(p_user_id uuid, p_proven boolean) is 'Notes whether an account''s address, which has just changed or been confirmed, is proven.';


CREATE OR REPLACE FUNCTION private.note_heartbeat()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_heartbeat() is 'Notes that somebody called retry-jobs, and since when nobody had, if that was five minutes or more.';


CREATE OR REPLACE FUNCTION private.note_mail_event(n notifications, p_status text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_mail_event(n notifications, p_status text) is 'Notes in the trail of its order that a mail did not arrive, or was unwelcome.';


CREATE OR REPLACE FUNCTION private.note_marketing_choice(p_order_id uuid, p_accepts_marketing boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_marketing_choice(p_order_id uuid, p_accepts_marketing boolean) is 'Whether reminders may follow, as a repeat of a checkout says; null: it says nothing. The last word counts: a box that is unticked meanwhile must not bring mails.';


CREATE OR REPLACE FUNCTION private.note_provider(p_provider text, p_answers integer, p_outages integer, p_unauthorized boolean, p_reason text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_provider(p_provider text, p_answers integer, p_outages integer, p_unauthorized boolean, p_reason text) is 'Counts how a provider did. Five outages in a row, or a refused key, open its breaker for 15 s, doubling to 10 min; an answer closes it. Neither (0, 0): whoever was let through to see did not get that far, so the next job is. Returns whether it is open.';


CREATE OR REPLACE FUNCTION private.note_received_money(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_received_money(o orders, p_source text) is 'Notes each settled session of an order once in its audit trail.';


CREATE OR REPLACE FUNCTION private.note_refund_outcome(p_job private.jobs, p_reason text, p_alert text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_refund_outcome(p_job private.jobs, p_reason text, p_alert text) is 'Books how a refund job ended (or that it waits for another try) on its request, tells staff, and settles the order. False: the job has no request. The order is locked.';


CREATE OR REPLACE FUNCTION private.note_staff_account()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function private.note_staff_account() is 'Trigger of auth.users: keeps private.staff_accounts as the role of an account says.';


CREATE OR REPLACE FUNCTION private.note_terms()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.note_terms() is 'Trigger of orders: notes the terms of each attempt as it begins; the setting may change before it is paid.';


CREATE OR REPLACE FUNCTION private.note_unsealed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function private.note_unsealed() is 'Trigger of audited tables: a row was written, or an erasure has changed it, so it waits to be sealed.';


CREATE OR REPLACE FUNCTION private.notification_problem(n notifications, o orders)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.notification_problem(n notifications, o orders) is 'Why a mail must not be sent any more, or null: a mail is judged when it is sent, and what it says must be true then.';


CREATE OR REPLACE FUNCTION private.object_of_event(p_payload jsonb)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.object_of_event(p_payload jsonb) is 'The object at Stripe that an event is about, snapshot or thin; null: none.';


CREATE OR REPLACE FUNCTION private.observe_metric(p_metric text, p_labels text[], p_value double precision)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.observe_metric(p_metric text, p_labels text[], p_value double precision) is 'Adds one value to a histogram, in its unit. Below zero (Stripe''s clock may be ahead of ours) is zero.';


CREATE OR REPLACE FUNCTION private.offered_shipping_rates(p_currency text, p_country text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.offered_shipping_rates(p_currency text, p_country text) is 'The active rates of a currency, and of a country where one is known, in the order in which a shopper sees them. None where the shop has none at all. SHSHP: it has some, and none of them holds.';


CREATE OR REPLACE FUNCTION private.on_email_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function private.on_email_changed() is 'Trigger of auth.users: an address was confirmed or changed. Keeps private.proven_accounts, tells the customers row, and attaches guest orders to what is proven.';


CREATE OR REPLACE FUNCTION private.on_order_paid()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.on_order_paid() is 'Trigger of orders: one that a member made while signed out reaches the account, if its address is proven.';


CREATE OR REPLACE FUNCTION private.one_line(p_text text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.one_line(p_text text) is 'A text on one line, without what hides or turns it; null when nothing is left to see.';


CREATE OR REPLACE FUNCTION private.open_checkouts(p_user_id uuid, p_session_id text, p_livemode boolean)
 RETURNS SETOF orders
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.open_checkouts(p_user_id uuid, p_session_id text, p_livemode boolean) is 'The unpaid checkouts of a shopper: those of the account, and for guests the one whose session id they present. An e-mail address is no proof of anything and is not looked at.';


CREATE OR REPLACE FUNCTION private.open_receipt(p_order_id uuid, p_note text)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.open_receipt(p_order_id uuid, p_note text) is 'The return that has come, without lines yet: the oldest announced one, or a new one.';


CREATE OR REPLACE FUNCTION private.order_as_asked(o orders)
 RETURNS orders
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_as_asked(o orders) is 'An order that is not paid, with the amounts that would be.';


CREATE OR REPLACE FUNCTION private.order_as_paid(o orders, s checkout_sessions, p payments)
 RETURNS orders
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_as_paid(o orders, s checkout_sessions, p payments) is 'The order with what its kept session and its payment say.';


CREATE OR REPLACE FUNCTION private.order_in_short(p_order_number text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_in_short(p_order_number text) is 'How an order is before a command: { before: { status, fulfillment_status } }; null: none was named.';


CREATE OR REPLACE FUNCTION private.order_lines(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_lines(p_order_id uuid) is 'The lines of an order in the form of asked_lines().';


CREATE OR REPLACE FUNCTION private.order_named_in(p_data jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_named_in(p_data jsonb) is 'The order that the payload of a job or the data of an alert is about, told by its fields order_number and …_id. Null: none.';


CREATE OR REPLACE FUNCTION private.order_of(p_id text)
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_of(p_id text) is 'The order that an id belongs to: its own (also without dashes, as a trace id), of a session, payment, try to pay, refund, dispute, warning, event, mail or alert. Null: none that is known here.';


CREATE OR REPLACE FUNCTION private.order_of_fact(p_fact jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_of_fact(p_fact jsonb) is 'The order a fact belongs to, or null when it is not (yet) known.';


CREATE OR REPLACE FUNCTION private.order_page(o orders)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_page(o orders) is 'What the page of an order shows: amounts in minor units, lines, parcels, what comes back, and refunds (on_its_way, details_needed, done, failed); presentment where the customer paid in another currency. No name, no address, no e-mail.';


CREATE OR REPLACE FUNCTION private.order_since(o orders, h private.order_history)
 RETURNS orders
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.order_since(o orders, h private.order_history) is 'The order with what has happened since it was paid: refunds, parcels, and goods that are back on the shelf.';


CREATE OR REPLACE FUNCTION private.orders_of_facts(p_facts jsonb)
 RETURNS uuid[]
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.orders_of_facts(p_facts jsonb) is 'The orders that facts belong to, as far as they are known.';


CREATE OR REPLACE FUNCTION private.orders_of_payment(p_payment_id text)
 RETURNS uuid[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.orders_of_payment(p_payment_id text) is 'The orders that a payment is known to be of: its own, and those of the sessions that name it.';


CREATE OR REPLACE FUNCTION private.parcel_data(p_shipment_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.parcel_data(p_shipment_id uuid) is 'What the mail about a parcel says: { parcel, carrier, tracking_number, tracking_url, items: [{ name, quantity }], part, more_to_come }.';


CREATE OR REPLACE FUNCTION private.parcel_pieces(p_shipment_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.parcel_pieces(p_shipment_id uuid) is 'What is in a parcel: [{ sku, name, quantity }].';


CREATE OR REPLACE FUNCTION private.parse_counts(p_counts jsonb)
 RETURNS TABLE(sku text, counted integer)
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.parse_counts(p_counts jsonb) is 'The lines of a stock count, [{ sku, counted }]. SHINV: a line is something else.';


CREATE OR REPLACE FUNCTION private.parse_csv_counts(p_csv text)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.parse_csv_counts(p_csv text) is 'The lines of a CSV file with SKU and figure (comma, semicolon or tab; with or without a heading that begins with sku), in the form of parse_counts().';


CREATE OR REPLACE FUNCTION private.parse_order_lines(p_order_id uuid, p_lines jsonb, p_fields text[])
 RETURNS TABLE(order_item_id uuid, sku text, quantity integer, line jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.parse_order_lines(p_order_id uuid, p_lines jsonb, p_fields text[]) is 'Lines [{ sku, quantity, … }] that a command names, as pieces of an order; p_fields: what else a line may have. SHINV: malformed, or listed twice; SHSKU: not in the order.';


CREATE OR REPLACE FUNCTION private.past_mail()
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.past_mail() is 'Why a mail that was due before the database was lost is not sent: what stands in its last_error.';


CREATE OR REPLACE FUNCTION private.payment_of_charge(p_charge_id text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.payment_of_charge(p_charge_id text) is 'The payment that a charge belongs to, for facts that name only the charge; null while neither has been heard of.';


CREATE OR REPLACE FUNCTION private.payment_of_fact(p_fact jsonb)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.payment_of_fact(p_fact jsonb) is 'The payment a fact is about, or null.';


CREATE OR REPLACE FUNCTION private.phone_end(p_phone text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.phone_end(p_phone text) is 'The last seven digits of a phone number, however they are grouped: what two ways to write it share.';
grant execute on function private.phone_end(p_phone text) to authenticated;
grant execute on function private.phone_end(p_phone text) to service_role;


CREATE OR REPLACE FUNCTION private.phone_pattern(p_phone text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.phone_pattern(p_phone text) is 'A regular expression that finds a phone number however it is spaced. Null: too short to be one.';


CREATE OR REPLACE FUNCTION private.pick_jobs(p_limit integer, p_mails integer)
 RETURNS bigint[]
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.pick_jobs(p_limit integer, p_mails integer) is 'Locks up to p_limit due jobs, up to p_mails and half of p_limit of them mails (null: any number), most urgent first; or the one job that was in hand when its worker died, alone, when nothing else is due, or it has waited two minutes and nothing else has, or two hours.';


CREATE OR REPLACE FUNCTION private.pick_probes(p_lease_seconds integer)
 RETURNS bigint[]
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.pick_probes(p_lease_seconds integer) is 'For each provider whose breaker has been open long enough: one due job, locked, to find out whether it answers again.';


CREATE OR REPLACE FUNCTION private.pieces_that_wait(p_order_item_id uuid)
 RETURNS integer
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.pieces_that_wait(p_order_item_id uuid) is 'Pieces of a line that are announced and go back on the shelf with the refund that they wait for.';


CREATE OR REPLACE FUNCTION private.presentment(o orders)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.presentment(o orders) is 'What the customer was charged for a paid order where they paid in a currency of their own: { amount, currency }, in its minor units. Null: amount_paid in the order''s currency.';
grant execute on function private.presentment(o orders) to authenticated;
grant execute on function private.presentment(o orders) to service_role;


CREATE OR REPLACE FUNCTION private.price_cart(p_items jsonb, p_currency text DEFAULT NULL::text, p_country text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.price_cart(p_items jsonb, p_currency text, p_country text) is 'Today''s cart from [{ sku, quantity }], as of price_lines(), with asked_currency and asked_country: in the currency that is asked for, else that of the country (setting country_currencies), else that of the articles. SHSKU with the list: unknown or inactive SKUs (the two look alike on purpose). SHINV, SHCUR, SHNIC.';


CREATE OR REPLACE FUNCTION private.price_in(v product_variants, p_currency text)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.price_in(v product_variants, p_currency text) is 'What a variant costs today in a currency, in its minor units; null: it is not sold in it.';


CREATE OR REPLACE FUNCTION private.price_lines(p_wanted jsonb, p_currency text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.price_lines(p_wanted jsonb, p_currency text) is 'Today''s names and prices of [{ variant_id, sku, quantity }], the SKU as the caller calls it: { lines: [{ variant_id, sku, name, quantity, unit_amount, tax_code }] summed and sorted by SKU, currency, amount, hash }. p_currency null: that of the variants, which must be one. SHINV, SHCUR, SHNIC.';


CREATE OR REPLACE FUNCTION private.problem_of_items(p_message text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.problem_of_items(p_message text) is 'What an invalid request says of its lines, in the form of details.';


CREATE OR REPLACE FUNCTION private.process_stripe_event(e webhook_events, p_facts jsonb, p_ignored_reason text, p_error text, p_settle text DEFAULT 'news'::text)
 RETURNS event_outcome
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.process_stripe_event(e webhook_events, p_facts jsonb, p_ignored_reason text, p_error text, p_settle text) is 'Applies the facts of an event, or notes why it is ignored, and writes its row. When that fails the event is stored as failed with a retry_event job, and the failure leaves no other trace. closing_sessions: payment pages that it had ended; their jobs are queued, and who can ends them at once.';


CREATE OR REPLACE FUNCTION private.providers_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.providers_health() is 'Health check providers: whose circuit breaker is open.';


CREATE OR REPLACE FUNCTION private.purge_alerts(p_limit integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO '';
comment on function private.purge_alerts(p_limit integer) is 'Deletes up to p_limit resolved alerts that are older than retention_alert_days, with the jobs that told of them. raised_alerts stay.';


CREATE OR REPLACE FUNCTION private.purge_events(p_limit integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO '';
comment on function private.purge_events(p_limit integer) is 'Deletes up to p_limit events that are older than retention_event_days and of which nothing is to be done; their ids stay. The oldest lie side by side, so their pages are free for new ones.';


CREATE OR REPLACE FUNCTION private.purge_jobs(p_limit integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO '';
comment on function private.purge_jobs(p_limit integer) is 'Deletes up to p_limit jobs that finished longer ago than their kind is kept. Dead jobs stay until somebody has looked.';


CREATE OR REPLACE FUNCTION private.purge_payloads(p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.purge_payloads(p_limit integer) is 'Empties up to p_limit payloads of finished events: after retention_payload_days, and after retention_foreign_days where they are about strangers.';


CREATE OR REPLACE FUNCTION private.purge_rate_limits(p_limit integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO '';
comment on function private.purge_rate_limits(p_limit integer) is 'Deletes up to p_limit counters of the rate limits that count no more: they name network addresses, and in a quiet shop take_rate_limits() seldom comes to it.';


CREATE OR REPLACE FUNCTION private.purge_schedule(p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.purge_schedule(p_limit integer) is 'Deletes old rows of pg_cron''s log, where there is one; it never does so itself.';


CREATE OR REPLACE FUNCTION private.purge_signals(p_limit integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO '';
comment on function private.purge_signals(p_limit integer) is 'Deletes up to p_limit velocity hits older than retention_signal_days that belong to no paid order.';


CREATE OR REPLACE FUNCTION private.queue_alert_message(a alerts, p_over boolean DEFAULT false)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_alert_message(a alerts, p_over boolean) is 'Queues a look at whether staff are to be told of an alert, or (p_over) that its kind is over.';


CREATE OR REPLACE FUNCTION private.queue_budget_report(p_now timestamp with time zone DEFAULT now())
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_budget_report(p_now timestamp with time zone) is 'Queues the report about the error budgets of the week before once a week, on Monday from digest_hour on, or later where nobody worked then. Returns whether it did.';


CREATE OR REPLACE FUNCTION private.queue_digest(p_now timestamp with time zone DEFAULT now())
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_digest(p_now timestamp with time zone) is 'Queues the digest of the day before once a day, from digest_hour on. Returns whether it did.';


CREATE OR REPLACE FUNCTION private.queue_dispute_answers(d disputes)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_dispute_answers(d disputes) is 'One job for each round that a dispute was ever seen in; it waits until the deadline is near. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.queue_dispute_reminders(d disputes)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_dispute_reminders(d disputes) is 'Reminders 7, 3 and 1 days before the evidence deadline, one job each for all deadlines that a dispute ever has. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.queue_expiries()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_expiries() is 'The expiry sweep: queues a look at Stripe for every session that should have ended and every attempt that never heard back. Releases nothing itself: stock goes back on Stripe''s word only.';


CREATE OR REPLACE FUNCTION private.queue_notification(p_order_id uuid, p_template text, p_dedupe_key text DEFAULT ''::text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_notification(p_order_id uuid, p_template text, p_dedupe_key text, p_data jsonb) is 'Queues one mail per (order, template, dedupe key), with its job; of what happened before a restored database was lost, notes that it was sent. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.queue_recovery_mails(p_now timestamp with time zone DEFAULT now())
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_recovery_mails(p_now timestamp with time zone) is 'Queues the mails to shoppers who left without paying that are due at p_now, each once, and notes them in the order''s trail. A reminder that was left out does not follow a later one. Returns how many.';


CREATE OR REPLACE FUNCTION private.queue_refreshes(p_facts jsonb, p_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_refreshes(p_facts jsonb, p_at timestamp with time zone) is 'Reads again from Stripe, once per object and second: each dispute, refund and review, because two events of one second cannot be told apart by time; and what an event''s API version does not tell in full, or a thin event not at all (unread; once per thin event).';


CREATE OR REPLACE FUNCTION private.queue_refund(p_payment_id text, p_order_id uuid, p_cause text, p_source text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_refund(p_payment_id text, p_order_id uuid, p_cause text, p_source text) is 'Queues the refund of all that is left of a payment, once per payment and cause. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.queue_retry(p_event_id text, p_run_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.queue_retry(p_event_id text, p_run_at timestamp with time zone) is 'Queues another try of an event that could not be applied. A job that waits, or is at it, stays as it is.';


CREATE OR REPLACE FUNCTION private.quiet_hours_text(p_from time without time zone, p_until time without time zone)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.quiet_hours_text(p_from time without time zone, p_until time without time zone) is 'Quiet hours as staff write them: 22:00-07:00, or none.';


CREATE OR REPLACE FUNCTION private.raise_alert(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.raise_alert(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb) is 'Something happened (again) that staff must know: opens or counts up the alert of p_dedupe_key and, when it is new, had been resolved or has become worse, queues its message if its severity is sent at once. An open alert keeps the worst severity, one that opens again takes the new one.';


CREATE OR REPLACE FUNCTION private.raise_alert_once(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.raise_alert_once(p_kind text, p_severity text, p_dedupe_key text, p_data jsonb) is 'Raises an alert about a state, which settling again finds again: it is raised once and not counted up. Returns whether it is new.';


CREATE OR REPLACE FUNCTION private.raise_alerts(p_alerts jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.raise_alerts(p_alerts jsonb) is 'Raises what deliveries come with, [{ kind, severity, dedupe_key, data }], by key: deliveries that have the same oddities do not wait for each other in a circle. Call with all else locked that is needed.';


CREATE OR REPLACE FUNCTION private.raise_velocity_alerts(p_hits jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.raise_velocity_alerts(p_hits jsonb) is 'Tells staff of hits: one alert per attack (velocity), outage (payment_outage) or rush on the stock (stock_held), counted up while it goes on, whichever rules it runs into.';


CREATE OR REPLACE FUNCTION private.rank(p_ladder text[], p_value text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.rank(p_ladder text[], p_value text) is 'Position of a value on a ladder as two digits; 00 for a value this code does not know.';


CREATE OR REPLACE FUNCTION private.rate_holds(r shipping_rates, p_currency text, p_country text)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.rate_holds(r shipping_rates, p_currency text, p_country text) is 'Whether a delivery price is offered in a currency, and for a country where one is known.';


CREATE OR REPLACE FUNCTION private.read_amount(p_amount jsonb, p_currency text, p_confirmed boolean)
 RETURNS bigint
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.read_amount(p_amount jsonb, p_currency text, p_confirmed boolean) is 'An amount that staff wrote, in minor units. SHINV: written with a decimal point; SHREF: less than one unit of the currency and not confirmed. Either looks like major units.';


CREATE OR REPLACE FUNCTION private.read_price(p_args jsonb, p_currency text)
 RETURNS bigint
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.read_price(p_args jsonb, p_currency text) is 'The price that a command names, in minor units. SHINV, SHREF: see read_amount(), or one that Stripe refuses.';


CREATE OR REPLACE FUNCTION private.read_quiet_hours(p_text text, OUT o_from time without time zone, OUT o_until time without time zone)
 RETURNS record
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.read_quiet_hours(p_text text, OUT o_from time without time zone, OUT o_until time without time zone) is 'Quiet hours from HH:MM-HH:MM; both null: none. SHINV: written otherwise.';


CREATE OR REPLACE FUNCTION private.receivable(o orders)
 RETURNS TABLE(order_item_id uuid, sku text, quantity integer, sent integer)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.receivable(o orders) is 'Pieces of each line that can come back: all that were sent or are not to be sent, less those that have. sent: of them, those that left and stand in no return.';


CREATE OR REPLACE FUNCTION private.receive_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_settle text)
 RETURNS event_outcome
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.receive_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_settle text) is 'Stores and applies a delivery, its alerts apart: see receive_stripe_event(). p_settle: see apply_facts().';


CREATE OR REPLACE FUNCTION private.recent_activity(p_subject text, p_key text, p_since timestamp with time zone, OUT o_orders timestamp with time zone[], OUT o_attempts timestamp with time zone[], OUT o_holds boolean)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.recent_activity(p_subject text, p_key text, p_since timestamp with time zone, OUT o_orders timestamp with time zone[], OUT o_attempts timestamp with time zone[], OUT o_holds boolean) is 'When a subject of the velocity rules ordered and tried to pay since p_since (and somewhat before), and whether it may hold stock: no measure counts more. Null for subjects that are not looked at.';


CREATE OR REPLACE FUNCTION private.recent_drift()
 RETURNS SETOF reconciliation_drift
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.recent_drift() is 'What reconciliation had to fetch or repair of our orders within the last hour, and Stripe has not delivered since: reading an event or object moments before its delivery is no drift.';


CREATE OR REPLACE FUNCTION private.recipient_to_keep(p_order_id uuid, p_recipient text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.recipient_to_keep(p_order_id uuid, p_recipient text) is 'The address that a mail of an order went to; null once the order is erased, of which nothing personal comes back.';


CREATE OR REPLACE FUNCTION private.reconciliation_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.reconciliation_health() is 'Health check reconciliation: how far Stripe''s events have been read, and what had to be repaired.';


CREATE OR REPLACE FUNCTION private.record_order_event(p_order_id uuid, p_kind text, p_source text, p_data jsonb DEFAULT '{}'::jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.record_order_event(p_order_id uuid, p_kind text, p_source text, p_data jsonb) is 'Adds a row to an order''s audit trail. p_data carries no personal data.';


CREATE OR REPLACE FUNCTION private.record_stock_move()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.record_stock_move() is 'Trigger of inventory_levels: writes the journal row of any change of on_hand, with what name_stock_move() said of it. What nobody named was done by hand: an opening stock or an edit.';


CREATE OR REPLACE FUNCTION private.record_velocity_hits(p_risk jsonb, p_order_id uuid)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.record_velocity_hits(p_risk jsonb, p_order_id uuid) is 'One fraud_signals row per hit of an order, rule and attempt; of refused checkouts one per subject, rule and window, counted up. An open one with action review holds its order once it is paid. Returns how many are new.';


CREATE OR REPLACE FUNCTION private.recover_jobs()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.recover_jobs() is 'A lease that ran out means that its worker died: the job is due again (the first time at once), or dead once its attempts are used up.';


CREATE OR REPLACE FUNCTION private.recovery_due(p_now timestamp with time zone)
 RETURNS TABLE(order_id uuid, template text, step integer)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.recovery_due(p_now timestamp with time zone) is 'Unpaid orders whose time for a mail has come at p_now: payment_declined once, payment_reminder by step. Whether they had it, and whether something speaks against it, is not asked here.';


CREATE OR REPLACE FUNCTION private.recovery_problem(o orders, p_template text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.recovery_problem(o orders, p_template text) is 'Why an unpaid order is not mailed about, or null. Asked when the mail is queued and again when it is sent.';


CREATE OR REPLACE FUNCTION private.recovery_setting_fits(p_key text, p_value jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.recovery_setting_fits(p_key text, p_value jsonb) is 'Whether a setting that begins with recovery_ has a value that makes sense: minutes or null; at most five numbers of hours up to 720, each greater than the one before; true or false. Others always fit.';


CREATE OR REPLACE FUNCTION private.redact(p_value jsonb, p_pattern text, p_mark text DEFAULT '[erased]'::text)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.redact(p_value jsonb, p_pattern text, p_mark text) is 'A JSON value with p_mark for whatever its texts have of the pattern.';


CREATE OR REPLACE FUNCTION private.redact_texts(p_pattern text, p_order_ids uuid[] DEFAULT NULL::uuid[])
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.redact_texts(p_pattern text, p_order_ids uuid[]) is 'Removes what the pattern finds from every column that retention_rules calls text; p_order_ids: only in the rows of these orders. Returns how many values changed.';


CREATE OR REPLACE FUNCTION private.redrivable(p_event_ids text[], p_job_ids bigint[], p_type text, p_all boolean, p_again boolean, p_after text, p_limit integer)
 RETURNS TABLE(what text, id text, type text, status text, last_error text, problem text)
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.redrivable(p_event_ids text[], p_job_ids bigint[], p_type text, p_all boolean, p_again boolean, p_after text, p_limit integer) is 'The events and jobs that redrive() means by its arguments; problem: why a named one cannot run again.';


CREATE OR REPLACE FUNCTION private.redrive_event(p_event_id text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.redrive_event(p_event_id text) is 'Queues a webhook event again: it is translated anew and its facts merged. SHEVT: it is not stored, or its payload was purged or erased.';


CREATE OR REPLACE FUNCTION private.redrive_job(p_job_id bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.redrive_job(p_job_id bigint) is 'Queues a waiting, dead or discarded job again. SHINV: it is done, running or unknown. SHREF: a refund that another one may stand in for, or that is more than is left.';


CREATE OR REPLACE FUNCTION private.refund_awaits_dispute(q refund_requests)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refund_awaits_dispute(q refund_requests) is 'Whether a refund that settling asked for is not to be made as things are: a bank decides about the payment, or has given all of it back. What a bank has left of a payment is owed, and Stripe refunds nothing of it: that is for a person.';


CREATE OR REPLACE FUNCTION private.refund_has_come_true(p_request_id text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refund_has_come_true(p_request_id text) is 'Whether the money of a refund request has left. Once true it stays so: a refund that bounces afterwards moves no goods.';


CREATE OR REPLACE FUNCTION private.refund_is_missed(q refund_requests)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refund_is_missed(q refund_requests) is 'Whether a refund is said not to be needed although the shop has the money, and no refund came back.';


CREATE OR REPLACE FUNCTION private.refund_is_off(q refund_requests)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refund_is_off(q refund_requests) is 'Whether a refund that was asked for gives nothing back: it was given up, or it is not needed although the shop has money of the payment, because staff have released the order.';
grant execute on function private.refund_is_off(q refund_requests) to authenticated;
grant execute on function private.refund_is_off(q refund_requests) to service_role;


CREATE OR REPLACE FUNCTION private.refund_is_owed(q refund_requests)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refund_is_owed(q refund_requests) is 'Whether a refund that was given up still waits for a person: nothing stands in for it, and the customer has not got all of the payment back.';
grant execute on function private.refund_is_owed(q refund_requests) to authenticated;
grant execute on function private.refund_is_owed(q refund_requests) to service_role;


CREATE OR REPLACE FUNCTION private.refund_overtaken_by(q refund_requests)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refund_overtaken_by(q refund_requests) is 'The refund made in Stripe''s dashboard that was first heard of since a request, or the request made after it was given up, that may stand in for it; null when there is none. A request for all that is left is never overtaken: it gives back the rest.';
grant execute on function private.refund_overtaken_by(q refund_requests) to authenticated;
grant execute on function private.refund_overtaken_by(q refund_requests) to service_role;


CREATE OR REPLACE FUNCTION private.refund_presentment(r refunds)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.refund_presentment(r refunds) is 'What the customer gets back by a refund in the currency that they paid in: { amount, currency }. Null: its amount in its own currency.';


CREATE OR REPLACE FUNCTION private.refund_request_id(p_cause text, p_payment_id text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.refund_request_id(p_cause text, p_payment_id text) is 'The id of the refund that settling asks for, once per payment and cause.';


CREATE OR REPLACE FUNCTION private.refund_second_payments(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.refund_second_payments(o orders, p_source text) is 'Gives back what came beside the payment that the order keeps, and tells customer and staff.';


CREATE OR REPLACE FUNCTION private.refund_tried_again(r refunds)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refund_tried_again(r refunds) is 'Whether the money of a refund that failed has been given back anew since, whatever became of that: what failed too waits by itself. What was given back before the failure does not count, and one refund makes good one.';
grant execute on function private.refund_tried_again(r refunds) to authenticated;
grant execute on function private.refund_tried_again(r refunds) to service_role;


CREATE OR REPLACE FUNCTION private.refundable_amount(p_payment_id text, p_except text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refundable_amount(p_payment_id text, p_except text) is 'Minor units of a payment that can still be refunded; what is asked for and can still run counts as given back, except the request p_except. Call with the order locked.';


CREATE OR REPLACE FUNCTION private.refunded_items(p_refund_id text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refunded_items(p_refund_id text) is 'The pieces whose money a refund gives back: [{ name, quantity }]. Null for a refund of an amount alone.';


CREATE OR REPLACE FUNCTION private.refunded_pieces(p_order_item_id uuid, OUT given integer, OUT made integer)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refunded_pieces(p_order_item_id uuid, OUT given integer, OUT made integer) is 'Pieces of a line whose money was given back. given: made or under way; made: Stripe has said so once.';
grant execute on function private.refunded_pieces(p_order_item_id uuid, OUT given integer, OUT made integer) to authenticated;
grant execute on function private.refunded_pieces(p_order_item_id uuid, OUT given integer, OUT made integer) to service_role;


CREATE OR REPLACE FUNCTION private.refunds_on_warning(f fraud_signals, o orders)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.refunds_on_warning(f fraud_signals, o orders) is 'Whether an actionable early fraud warning gives the money back by itself: nothing has shipped, nobody has released it, and the policy said so when the warning was first seen actionable, which is noted here. Of one from before a restored database was lost, what was done then. Otherwise a person decides.';


CREATE OR REPLACE FUNCTION private.refuse_any_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.refuse_any_change() is 'Trigger of the chain: refuses update, delete and truncate with SQLSTATE SHAPP, whoever asks.';


CREATE OR REPLACE FUNCTION private.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.refuse_change() is 'Trigger of append-only tables: refuses update, delete and truncate with SQLSTATE SHAPP, but for what erase_person() removes.';


CREATE OR REPLACE FUNCTION private.refuse_currency(p_wanted jsonb, p_currency text)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refuse_currency(p_wanted jsonb, p_currency text) is 'Raises SHNIC with [{ sku, currencies }] for lines [{ variant_id, sku }] that have no price in a currency.';


CREATE OR REPLACE FUNCTION private.refuse_delivery_again(o orders)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refuse_delivery_again(o orders) is 'SHREF: what was paid for delivery was asked for once, by a refund that was made or is under way.';


CREATE OR REPLACE FUNCTION private.refuse_disputed(p_order_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refuse_disputed(p_order_ids uuid[]) is 'SHINV while a dispute of one of these orders waits for evidence: defending a claim goes before erasure (GDPR article 17(3)(e)).';


CREATE OR REPLACE FUNCTION private.refuse_during_rescue()
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refuse_during_rescue() is 'Raises SHCLO while the database catches up: stock and order numbers are not known yet.';


CREATE OR REPLACE FUNCTION private.refuse_exchange(o orders)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refuse_exchange(o orders) is 'SHINV: an order whose pieces must not be exchanged, with what keeps them.';


CREATE OR REPLACE FUNCTION private.refuse_lost_hold()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.refuse_lost_hold() is 'Trigger of inventory_reservations: a hold that is deleted, alone or with its order, would leave goods that nobody has and nobody can sell.';


CREATE OR REPLACE FUNCTION private.refuse_own_number()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function private.refuse_own_number() is 'Trigger of audited tables, for each row before it is written: its number is the one that was just drawn. SHAPP: a number of somebody''s own choice, which would stand between rows that are sealed.';


CREATE OR REPLACE FUNCTION private.refuse_refund(o orders, p_refundable bigint, p_amount bigint)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refuse_refund(o orders, p_refundable bigint, p_amount bigint) is 'SHREF: nothing was paid, nothing is left, it is disputed, or less is left than is asked for.';


CREATE OR REPLACE FUNCTION private.refuse_refund_amount(p_amount bigint, p_currency text)
 RETURNS void
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.refuse_refund_amount(p_amount bigint, p_currency text) is 'Raises SHREF for an amount that Stripe does not refund in this currency. Null, all that is left, is Stripe''s own figure.';


CREATE OR REPLACE FUNCTION private.refuse_shipping(o orders)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.refuse_shipping(o orders) is 'SHINV: an order that must not ship, with what keeps it.';


CREATE OR REPLACE FUNCTION private.refuse_shortage(p_wanted jsonb, p_closing jsonb DEFAULT '[]'::jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.refuse_shortage(p_wanted jsonb, p_closing jsonb) is 'Raises SHSTK with [{ sku, requested, available }] when stock does not cover [{ variant_id, sku, quantity }]. Call with the rows locked; or before pages are closed (p_closing, ids of sessions, whose pieces will be free then), to look ahead: a shopper must not lose them for a cart that cannot be had.';


CREATE OR REPLACE FUNCTION private.reminders_unsubscribed(p_email text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.reminders_unsubscribed(p_email text) is 'Whether an address must get no reminders: it unsubscribed, complained, or does not exist. Mails that an order needs do not ask.';


CREATE OR REPLACE FUNCTION private.reopen_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.reopen_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer) is 'A new attempt of an unpaid order at today''s prices in its currency: holds stock again (SHSTK when it is gone or no longer sold) and counts up the attempt. SHSHP: no delivery price holds any more. The caller has locked the order.';


CREATE OR REPLACE FUNCTION private.reopen_rescued_order(p_order jsonb, p_lines jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.reopen_rescued_order(p_order jsonb, p_lines jsonb) is 'A later attempt of an order that the backup has: its prices, delivery prices and end are those of that attempt.';


CREATE OR REPLACE FUNCTION private.report_setting(p_key text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function private.report_setting(p_key text) is 'A setting that the views of schema reporting go by, as text, for those who may not read private.settings; null for any other.';
grant execute on function private.report_setting(p_key text) to authenticated;
grant execute on function private.report_setting(p_key text) to service_role;


CREATE OR REPLACE FUNCTION private.requeue_job(p_job_id bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.requeue_job(p_job_id bigint) is 'Makes a waiting, dead or discarded job due now, with all its attempts; that of an event also when it is done.';


CREATE OR REPLACE FUNCTION private.rescue_terms(p_order jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.rescue_terms(p_order jsonb) is 'Notes the terms that stood on the payment page of a rescued attempt (terms_version; null: none were in force), and not those of the restored setting. Not there: made before pages told them.';


CREATE OR REPLACE FUNCTION private.rescue_under_way()
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rescue_under_way() is 'Whether this database is catching up with Stripe just now.';


CREATE OR REPLACE FUNCTION private.rescued_lines(p_lines jsonb, p_currency text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.rescued_lines(p_lines jsonb, p_currency text) is 'Lines with their goods: see rescued_variant(). A name that Stripe does not tell is that of the catalogue.';


CREATE OR REPLACE FUNCTION private.rescued_number(p_number text, p_order_id uuid)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.rescued_number(p_number text, p_order_id uuid) is 'The number of a rescued order: its own, or with -2 behind it where another order has that by now. New orders are numbered after it.';


CREATE OR REPLACE FUNCTION private.rescued_variant(p_line jsonb, p_currency text)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.rescued_variant(p_line jsonb, p_currency text) is 'The goods of a line { variant_id, sku, name, unit_amount }. What was added to the catalogue after the backup is added again under its own id, not for sale, so that the order has its goods.';


CREATE OR REPLACE FUNCTION private.reserve_stock(p_order_id uuid, p_expires_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.reserve_stock(p_order_id uuid, p_expires_at timestamp with time zone) is 'Holds stock for all lines of an order or, raising SHSTK, for none. Lines already held keep their hold; p_expires_at extends it.';


CREATE OR REPLACE FUNCTION private.restock_due(o orders)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.restock_due(o orders) is 'Whether a refund that asked for it has put the goods of an order back on the shelf. Once true it stays so: a refund that bounces afterwards moves no goods.';


CREATE OR REPLACE FUNCTION private.resume_disputed_refunds(p_order_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.resume_disputed_refunds(p_order_id uuid) is 'Refunds of an order that waited for a bank run again once it has decided: for the shop, whose customer gets the money now; or against it, about less than all, and Stripe tells what becomes of the rest. A job that is just ending comes by here when it has. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.resume_refund(p_job private.jobs)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.resume_refund(p_job private.jobs) is 'A refund that was given up runs again: its money counts as given back once more.';


CREATE OR REPLACE FUNCTION private.retention(p_setting text)
 RETURNS interval
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.retention(p_setting text) is 'A retention setting as an interval.';


CREATE OR REPLACE FUNCTION private.returned_pieces(p_return_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.returned_pieces(p_return_id uuid) is 'What of a return had left the house before: [{ sku, name, quantity }].';


CREATE OR REPLACE FUNCTION private.review_reasons(o orders, s checkout_sessions, p payments)
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.review_reasons(o orders, s checkout_sessions, p payments) is 'Compares the kept session and payment with the frozen order. Empty: the money is right. Shipping, tax and discount are accepted as Stripe computed them, as long as the sum holds.';


CREATE OR REPLACE FUNCTION private.risk_of(p_order_id uuid)
 RETURNS order_risk
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.risk_of(p_order_id uuid) is 'The order_risk row of an order.';


CREATE OR REPLACE FUNCTION private.rule_admin_without_mfa(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_admin_without_mfa(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Members of staff who work in a session without a second factor. Auth says so of each session (aal).';


CREATE OR REPLACE FUNCTION private.rule_checkout_errors(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_checkout_errors(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Share of the checkouts that began in the window and got no payment page. A checkout that fails before it has an order leaves nothing here.';


CREATE OR REPLACE FUNCTION private.rule_decline_rate(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_decline_rate(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Share of the orders tried in the window that was refused, against the same hour of the last four weeks.';


CREATE OR REPLACE FUNCTION private.rule_dispute_ratio(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_dispute_ratio(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Visa''s ratio (VAMP): disputes and fraud reports of Visa cards to settled sales by them, in the window, and forecast for the next one from the pace of its last third.';


CREATE OR REPLACE FUNCTION private.rule_erasure_done(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_erasure_done(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Erasures that staff have carried out: nobody can take one back.';


CREATE OR REPLACE FUNCTION private.rule_in_short(r private.alert_rules)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.rule_in_short(r private.alert_rules) is 'An alert rule as set_alert_rule() answers it.';


CREATE OR REPLACE FUNCTION private.rule_job_backlog(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_job_backlog(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Jobs that have been due for longer than the threshold, at most 1000; neither those of a provider that is down, nor mails while others of them leave.';


CREATE OR REPLACE FUNCTION private.rule_key_mode_changed(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.rule_key_mode_changed(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'The mode of the Stripe key differs from what it was within the window.';


CREATE OR REPLACE FUNCTION private.rule_large_refund(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_large_refund(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Refunds of far more than an order is usually worth, whoever made them.';


CREATE OR REPLACE FUNCTION private.rule_mail_bouncing(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_mail_bouncing(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Share of the window''s mails that failed, bounced or brought a complaint.';


CREATE OR REPLACE FUNCTION private.rule_method_outage(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_method_outage(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Brands of card and methods with which hardly an order goes through. Which bank has issued a card Stripe does not tell.';


CREATE OR REPLACE FUNCTION private.rule_order_country_mismatch(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_order_country_mismatch(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Orders to be sent that are worth more than usual and were paid with a card of another country. Presents and travellers are alike, so small ones do not count.';


CREATE OR REPLACE FUNCTION private.rule_order_high_value(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_order_high_value(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Orders to be sent that are worth far more than usual.';


CREATE OR REPLACE FUNCTION private.rule_order_many_pieces(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_order_many_pieces(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Orders to be sent of many pieces.';


CREATE OR REPLACE FUNCTION private.rule_refund_spike(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_refund_spike(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Refunds in the window, against the four weeks before it.';


CREATE OR REPLACE FUNCTION private.rule_refunds_by_one(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_refunds_by_one(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Refunds and cancellations of one member of staff in the window, against what they did in the four weeks before it.';


CREATE OR REPLACE FUNCTION private.rule_scheduler_silent(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_scheduler_silent(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'The last time that nobody called retry-jobs, in seconds. While it lasts only health can tell it (503): nothing runs that could.';


CREATE OR REPLACE FUNCTION private.rule_signature_failures(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.rule_signature_failures(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Deliveries of Stripe''s, or from unknown addresses, that were refused for their signature or time within the window: a wrong secret.';


CREATE OR REPLACE FUNCTION private.rule_stock_leak(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_stock_leak(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'Holds on goods, at most 1000, that should have ended longer ago than the threshold.';


CREATE OR REPLACE FUNCTION private.rule_webhook_lag(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone)
 RETURNS SETOF private.alert_finding
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rule_webhook_lag(r private.alert_rules, p_livemode boolean, p_now timestamp with time zone) is 'How many of the last 500 deliveries in the window came late, once they are one in twenty.';


CREATE OR REPLACE FUNCTION private.rules_that_may_hit(p_user_id uuid, p_mailbox text, p_ip inet, p_cart jsonb, p_livemode boolean, p_order_id uuid)
 RETURNS TABLE(rule private.velocity_rules, key text, factor numeric)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.rules_that_may_hit(p_user_id uuid, p_mailbox text, p_ip inet, p_cart jsonb, p_livemode boolean, p_order_id uuid) is 'The rules that a checkout has to measure, and for whom: those whose measure could reach the threshold by what is cheap to know.';


CREATE OR REPLACE FUNCTION private.run_accept_dispute(p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_accept_dispute(p_args jsonb) is 'Carries out accept_dispute: queues the job that closes it at Stripe, once in each round. SHINV: no such dispute, it does not wait for an answer, or evidence is on its way.';


CREATE OR REPLACE FUNCTION private.run_add_product(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_add_product(p_args jsonb) is 'Carries out add_product, and answers { product_id }. SHINV: the slug is taken, or not one.';


CREATE OR REPLACE FUNCTION private.run_add_variant(p_args jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_add_variant(p_args jsonb) is 'Carries out add_variant: the variant and its stock row. SHINV: no such product, the SKU exists, or a price that Stripe refuses; SHREF: a price that looks like major units.';


CREATE OR REPLACE FUNCTION private.run_adjust_inventory(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_adjust_inventory(p_args jsonb) is 'Carries out adjust_inventory, and answers { sku, on_hand }; the journal row comes from the trigger. SHSKU, SHINV, SHSTK: would go below what open checkouts hold.';


CREATE OR REPLACE FUNCTION private.run_announce_return(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_announce_return(p_args jsonb) is 'Carries out announce_return: pieces that the customer will send back. Answers { return_id }. SHINV: not sent, or in a return already.';


CREATE OR REPLACE FUNCTION private.run_assign_refund(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_assign_refund(p_args jsonb) is 'Carries out assign_refund: says which pieces a refund of Stripe''s dashboard was about. SHREF: no such refund, one of our own or of another payment, one that failed, assigned already, or pieces that are refunded.';


CREATE OR REPLACE FUNCTION private.run_cancel_order(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_cancel_order(p_args jsonb) is 'Carries out cancel_order: settling expires open sessions and refunds what was paid. Of an order that is refunded already only the goods go back. Answers { notice } when the refund waits for a bank. SHINV: already shipped.';


CREATE OR REPLACE FUNCTION private.run_close_return(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_close_return(p_args jsonb) is 'Carries out close_return: of one that was received no money is due; one that was announced will not come. Of an exchange, what was to be sent instead stays. SHINV: no such return, closed already, its refund is under way, it would send what was refunded, or what goes out in exchange has been sent.';


CREATE OR REPLACE FUNCTION private.run_correct_shipment(p_command_id uuid, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_correct_shipment(p_command_id uuid, p_args jsonb) is 'Carries out correct_shipment. SHINV: no such parcel, or nothing to correct.';


CREATE OR REPLACE FUNCTION private.run_count_inventory(p_kind text, p_counts jsonb, p_note text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_count_inventory(p_kind text, p_counts jsonb, p_note text) is 'Carries out count_inventory and import_inventory: sets the stock to what was counted in the house, sold pieces that have not been sent included. All lines or none. Answers { lines, changed: [{ sku, was, counted }] }. SHSKU: unknown or listed twice; SHINV: not a count; SHSTK: less than orders and checkouts hold.';


CREATE OR REPLACE FUNCTION private.run_erase_customer(p_command_id uuid, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_erase_customer(p_command_id uuid, p_args jsonb) is 'Carries out erase_customer, and answers with counts: { ok, found, erased: { orders, customers, stripe_customers, events, texts }, problem? }; found false: nobody is known, and nothing was changed. SHINV: a dispute still needs the data.';


CREATE OR REPLACE FUNCTION private.run_exchange_return(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_exchange_return(p_args jsonb) is 'Carries out exchange_return: settling takes the new pieces from the shelf, and they are to be sent. Answers { return_id? (awaited), lines }. SHINV: nothing to exchange, or at another price; SHSKU; SHSTK: sold out.';


CREATE OR REPLACE FUNCTION private.run_leave_dispute(p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_leave_dispute(p_args jsonb) is 'Carries out leave_dispute: this round of the dispute is not answered by itself. SHINV: no such dispute, it does not wait for an answer, is being answered right now, or staff have answered it.';


CREATE OR REPLACE FUNCTION private.run_lift_mail_suppression(p_command_id uuid, p_args jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_lift_mail_suppression(p_command_id uuid, p_args jsonb) is 'Carries out lift_mail_suppression. SHINV: the address is not suppressed for this reason.';


CREATE OR REPLACE FUNCTION private.run_mark_fulfilled(p_command_id uuid, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_mark_fulfilled(p_command_id uuid, p_args jsonb) is 'Carries out mark_fulfilled: notes a parcel and queues its mail, and answers { parcel, to_ship }. Of an order that has shipped in one parcel it corrects that. SHINV: unpaid, held or cancelled; more than is still to be sent; nothing to correct.';


CREATE OR REPLACE FUNCTION private.run_order_command(p_id uuid, p_command text, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_order_command(p_id uuid, p_command text, p_args jsonb) is 'Carries out a command about an order, and returns what it answers; null: it is about something else.';


CREATE OR REPLACE FUNCTION private.run_receive_return(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_receive_return(p_args jsonb) is 'Carries out receive_return: pieces that are in the house again, announced or not, once each, whatever becomes of their money. Answers { return_id, lines, notice? }. SHINV: more than can come back.';


CREATE OR REPLACE FUNCTION private.run_release_review(p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_release_review(p_args jsonb) is 'Carries out release_review: a person has looked at what holds the order now, and it may ship. A sign of fraud or a mismatch that turns up later holds it again. SHINV: nothing to release, or its money is on its way back.';


CREATE OR REPLACE FUNCTION private.run_request_refund(p_command_id uuid, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_request_refund(p_command_id uuid, p_args jsonb) is 'Carries out request_refund: queues one refund, and answers { amount, currency, left, lines: [{ sku, quantity, amount }] }. Asked for all that is left, it gives back the rest, whatever is refunded by hand meanwhile. SHREF: more than is left, or nothing is; a payment in dispute; pieces that were refunded; an amount that looks like major units.';


CREATE OR REPLACE FUNCTION private.run_resend_notification(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_resend_notification(p_command_id uuid, p_args jsonb) is 'Carries out resend_notification: queues a mail that the order has had before once more. SHINV: there is no such mail, the order never had it, or what it says is not true any more.';


CREATE OR REPLACE FUNCTION private.run_set_alert_rule(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_set_alert_rule(p_args jsonb) is 'Carries out set_alert_rule: what is not given stays. Answers { kind, was, is }. SHINV: no such rule, or a value that does not fit it.';


CREATE OR REPLACE FUNCTION private.run_set_price(p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_set_price(p_args jsonb) is 'Carries out set_price, and answers { sku, currency, was, price_amount } (was null: it had no price in this currency); orders that exist keep their price. SHSKU; SHINV: a price that Stripe refuses; SHREF: one that looks like major units.';


CREATE OR REPLACE FUNCTION private.run_settle_alert(p_status text, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_settle_alert(p_status text, p_args jsonb) is 'Carries out acknowledge_alert and resolve_alert; doing it again changes nothing. Answers { kind, was, order_number? }. SHINV: no such alert.';


CREATE OR REPLACE FUNCTION private.run_shop_command(p_id uuid, p_command text, p_args jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_shop_command(p_id uuid, p_command text, p_args jsonb) is 'Carries out a command that is about no order, and returns what it answers.';


CREATE OR REPLACE FUNCTION private.run_staff_command()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function private.run_staff_command() is 'Trigger of staff_commands: carries the command out, notes the result and the audit row. An error undoes the insert as well.';


CREATE OR REPLACE FUNCTION private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb) is 'Carries out submit_dispute_evidence: queues the submission. SHINV: no such dispute, it does not wait for a response, or an answer is on its way.';


CREATE OR REPLACE FUNCTION private.same_checkout_again(p_user_id uuid, p_email text, p_session_id text, p_livemode boolean, p_cart jsonb, p_ui_mode text)
 RETURNS uuid
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.same_checkout_again(p_user_id uuid, p_email text, p_session_id text, p_livemode boolean, p_cart jsonb, p_ui_mode text) is 'The open order that a request without an Idempotency-Key repeats, or null: same shopper and address, same cart, same kind of page, seconds ago.';


CREATE OR REPLACE FUNCTION private.schedule_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.schedule_health() is 'Health check schedule: failed runs of pg_cron and failed calls of pg_net; ok where there is neither.';


CREATE OR REPLACE FUNCTION private.schedule_jobs()
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.schedule_jobs() is 'Schedules retry-jobs once a minute where there is a scheduler, and shuts API roles out of the tables that hold keys. Returns false where there is none.';


CREATE OR REPLACE FUNCTION private.scope_of_person(p_email text)
 RETURNS private.person_scope
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.scope_of_person(p_email text) is 'What is stored under an e-mail address (in lower case), by id.';


CREATE OR REPLACE FUNCTION private.seal_audit_trail(p_limit integer DEFAULT 2000)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.seal_audit_trail(p_limit integer) is 'Seals up to p_limit rows that wait for it, the oldest first, and returns how many.';


CREATE OR REPLACE FUNCTION private.sees_reports()
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.sees_reports() is 'Whether the views of schema reporting show anything to who reads them: staff, the secret key and the dashboard. A customer may read their own orders, but sums over them are no report.';
grant execute on function private.sees_reports() to authenticated;
grant execute on function private.sees_reports() to service_role;


CREATE OR REPLACE FUNCTION private.sent_at_once(p_severity text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.sent_at_once(p_severity text) is 'Whether alerts of a severity are sent at once, rather than in the digest.';


CREATE OR REPLACE FUNCTION private.set_schedule_target(p_url text, p_key text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.set_schedule_target(p_url text, p_key text) is 'Notes in Vault where retry-jobs is and which secret key opens it, and (re)schedules it. For deno task setup. SHINV: no scheduler here.';


CREATE OR REPLACE FUNCTION private.setting(p_key text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.setting(p_key text) is 'Value of a switch in private.settings, or null.';


CREATE OR REPLACE FUNCTION private.settle_customer(o orders, s checkout_sessions)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_customer(o orders, s checkout_sessions) is 'The customer row of a paid order: the account that ordered, or the guest whom Stripe knows. A deleted Stripe customer is not linked again. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_dispute_effects(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_dispute_effects(o orders, p_source text) is 'Alerts, staged evidence, answers and reminders for the disputes of an order. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_effects(o orders, p_before orders, h private.order_history, p_mismatches text[], p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_effects(o orders, p_before orders, h private.order_history, p_mismatches text[], p_source text) is 'Side effects of a settled order: jobs, mails, alerts. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_exchanges(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_exchanges(o orders, p_source text) is 'Makes what an order owns as many pieces as its lines have with their exchanges: takes from the shelf what an exchange has brought, and gives back what one that was closed had. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_fraud_effects(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_fraud_effects(o orders, p_source text) is 'Alerts and the refund policy for early fraud warnings and reviews. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_order(p_order_id uuid, p_source text)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_order(p_order_id uuid, p_source text) is 'Derives an order from its facts under a row lock, moves its stock and fires each side effect once. The only writer of order status and committed stock. p_source: who asked (event id, order_status, reconcile, job, staff), for the audit trail. Returns the status. SHORD: no such order.';


CREATE OR REPLACE FUNCTION private.settle_paid_effects(o orders, p_before orders, h private.order_history, p_mismatches text[], p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_paid_effects(o orders, p_before orders, h private.order_history, p_mismatches text[], p_source text) is 'Side effects of an order that has money: confirmation, refunds of money it cannot keep, alerts, card details. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_refund_alerts(p_order_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_refund_alerts(p_order_id uuid) is 'Resolves the alerts about refunds of an order that were made, asked for anew or tried again, or are not owed any more; opens again those that are owed once more, except what staff have resolved. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_refund_effects(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_refund_effects(o orders, p_source text) is 'What customer and staff hear of refunds that exist, the alerts that they close, and what waited for a bank. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_returns(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_returns(o orders, p_source text) is 'Books the pieces of each return once: what waited for its refund when that has succeeded, what staff received at once. Closes returns when all that came back is paid back or exchanged. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_risk_alerts(o orders, p_before orders, h private.order_history, p_mismatches text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_risk_alerts(o orders, p_before orders, h private.order_history, p_mismatches text[]) is 'Resolves the alerts that leave nothing to do: of disputes that wait for no answer, and of signs of fraud and mismatches that hold the order no longer. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_session_effects(o orders)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_session_effects(o orders) is 'Ends the payment pages that must not be paid any more, and tells of payments that take time or have failed. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_stock(p_order_id uuid, p_target text, p_source text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_stock(p_order_id uuid, p_target text, p_source text) is 'Moves all reservations of an order to committed (sold), active (held again) or released (given back; sold goods return to the shelf). Returns false, changing nothing, when released stock is to be taken again and is gone. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.settle_stripe_customer(p_stripe_customer_id text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_stripe_customer(p_stripe_customer_id text) is 'Brings the customers row of a Stripe customer up to what Stripe last said of it: a guest''s address and name, a deletion.';


CREATE OR REPLACE FUNCTION private.settle_unfulfillable(o orders, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.settle_unfulfillable(o orders, p_source text) is 'Money of an order that will not ship, because it is oversold or cancelled, goes back; customer and staff hear of it.';


CREATE OR REPLACE FUNCTION private.severity_rank(p_severity text)
 RETURNS integer
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.severity_rank(p_severity text) is 'Severities in order, from 1; null: no severity.';


CREATE OR REPLACE FUNCTION private.share_of_goods(o orders)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.share_of_goods(o orders) is 'What of the money paid was for goods; the rest was for delivery.';


CREATE OR REPLACE FUNCTION private.share_of_price(o orders, p_price numeric)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.share_of_price(o orders, p_price numeric) is 'What pieces whose prices add up to p_price have cost, in minor units of what was paid: with their share of discount and tax, without delivery.';


CREATE OR REPLACE FUNCTION private.ship(p_order_id uuid, p_carrier text, p_tracking_number text, p_lines jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.ship(p_order_id uuid, p_carrier text, p_tracking_number text, p_lines jsonb) is 'Notes a parcel with the lines, or with all that is still to be sent (p_lines null), and returns its id. SHINV: more than is still to be sent, or a tracking number that the order has already.';


CREATE OR REPLACE FUNCTION private.shop()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.shop() is 'The settings that begin with shop_, by their names without it: what every mail is written with.';


CREATE OR REPLACE FUNCTION private.shop_id()
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.shop_id() is 'What tells this installation''s objects from those of others at the same account of Stripe: it stands in their metadata. Made with the database and restored with it; says nothing of anybody.';


CREATE OR REPLACE FUNCTION private.shop_refusals_reach(p_threshold bigint, p_since timestamp with time zone, p_livemode boolean)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.shop_refusals_reach(p_threshold bigint, p_since timestamp with time zone, p_livemode boolean) is 'Whether the whole shop has seen that many refused attempts.';


CREATE OR REPLACE FUNCTION private.shop_setting_fits(p_key text, p_value jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.shop_setting_fits(p_key text, p_value jsonb) is 'Whether a setting that begins with shop_ has a value that mails can show: a colour #rrggbb, an https address or a path on the site of SITE_URL, a known time zone, one line of text. Others always fit.';


CREATE OR REPLACE FUNCTION private.show_cards(p_order_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.show_cards(p_order_id uuid) is 'Details of the card on each payment of an order, for staff: those of the attempt that succeeded, else of the latest.';


CREATE OR REPLACE FUNCTION private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean)
 RETURNS record
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean) is 'What anybody may know of a variant''s stock. Runs with its owner''s rights: only staff read inventory_levels.';
grant execute on function private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean) to anon;
grant execute on function private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean) to authenticated;
grant execute on function private.shown_available(p_variant_id uuid, OUT available integer, OUT or_more boolean) to service_role;


CREATE OR REPLACE FUNCTION private.shown_stock(p_pieces integer)
 RETURNS integer
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.shown_stock(p_pieces integer) is 'As many pieces as shoppers are told of: at most setting stock_shown_max.';


CREATE OR REPLACE FUNCTION private.sign_staff_command()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function private.sign_staff_command() is 'Trigger of staff_commands: a row carries the name of who really wrote it, and the time.';


CREATE OR REPLACE FUNCTION private.sold_and_here(p_variant_id uuid)
 RETURNS integer
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.sold_and_here(p_variant_id uuid) is 'Pieces of a variant that paid orders own and that have not left the house.';


CREATE OR REPLACE FUNCTION private.sold_out(p_order_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.sold_out(p_order_id uuid) is 'Whether an order that holds no stock could not be bought now: a piece is gone, or no longer offered.';


CREATE OR REPLACE FUNCTION private.staff_command_fields(p_command text)
 RETURNS TABLE(field text, type text, required boolean, size bigint)
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.staff_command_fields(p_command text) is 'Arguments of a staff command: their JSON type (amount: a number, see read_amount()), and size: the length of a text or array (as text), the greatest number, either sign. No rows: there is no such command.';


CREATE OR REPLACE FUNCTION private.stamp(p_at timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.stamp(p_at timestamp with time zone) is 'A time in milliseconds, fifteen digits. Stripe stamps events with whole seconds, so what was read within that second counts as newer; should it not be, the refresh a few seconds later corrects it.';


CREATE OR REPLACE FUNCTION private.stock_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.stock_health() is 'Health check stock: reservations that nobody can pay for any more, and that still hold goods an hour after they should have ended (leaks).';


CREATE OR REPLACE FUNCTION private.store_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_delivered boolean, p_settle text DEFAULT 'news'::text)
 RETURNS event_outcome
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.store_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_delivered boolean, p_settle text) is 'receive_stripe_event() for both ways an event comes: p_delivered tells whether Stripe posted it to us, which delivery_count and delivered_at count, or we fetched it. One whose row has been purged is a duplicate with a delivery_count of 0.';


CREATE OR REPLACE FUNCTION private.subject_attempts(p_subject text, p_key text, p_livemode boolean, p_since timestamp with time zone)
 RETURNS SETOF payment_attempts
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.subject_attempts(p_subject text, p_key text, p_livemode boolean, p_since timestamp with time zone) is 'Payment attempts of one subject of the velocity rules since a time, without refusals that say nothing about a buyer who tries cards: see is_of_buyer().';


CREATE OR REPLACE FUNCTION private.subject_orders(p_subject text, p_key text, p_livemode boolean, p_since timestamp with time zone)
 RETURNS SETOF orders
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.subject_orders(p_subject text, p_key text, p_livemode boolean, p_since timestamp with time zone) is 'Orders of one subject of the velocity rules since a time.';


CREATE OR REPLACE FUNCTION private.submit_command(p_command text, p_args jsonb, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.submit_command(p_command text, p_args jsonb, p_dry_run boolean, p_command_id uuid) is 'Inserts a staff command as the caller, whose policies decide, and returns its result. p_dry_run: carries it out, undoes all of it, and returns what the result would be. p_command_id: the same command with the same id is carried out once and answers the same again. 42501: the caller is not staff; SHINV: the id was another command''s, or had other arguments.';
grant execute on function private.submit_command(p_command text, p_args jsonb, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function private.submit_command(p_command text, p_args jsonb, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION private.superseded_sessions(p_key text, p_user_id uuid, p_session_id text, p_livemode boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.superseded_sessions(p_key text, p_user_id uuid, p_session_id text, p_livemode boolean) is 'Open payment pages of a shopper that a checkout with this key takes the place of, or null.';


CREATE OR REPLACE FUNCTION private.suppressions_of(p_email text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function private.suppressions_of(p_email text) is 'Why an address gets no mails, or no reminders: [{ reason, since }]. With its owner''s rights, since nobody else may compute what an address is kept under; null to who is not staff.';
grant execute on function private.suppressions_of(p_email text) to authenticated;
grant execute on function private.suppressions_of(p_email text) to service_role;


CREATE OR REPLACE FUNCTION private.take_announced(p_return_id uuid, p_order_item_id uuid, p_quantity integer, p_restock boolean, p_free_only boolean)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.take_announced(p_return_id uuid, p_order_item_id uuid, p_quantity integer, p_restock boolean, p_free_only boolean) is 'Moves up to p_quantity announced pieces of a line from other returns to this one, the oldest first, and returns how many. p_free_only: none that wait for a refund or are exchanged.';


CREATE OR REPLACE FUNCTION private.take_mail_event(n notifications, p_provider_id text, p_status text, p_recipient text, p_at timestamp with time zone, p_detail text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.take_mail_event(n notifications, p_provider_id text, p_status text, p_recipient text, p_at timestamp with time zone, p_detail text) is 'Notes what became of a mail, and on its order that it did not arrive or was unwelcome.';


CREATE OR REPLACE FUNCTION private.tell_finding(r private.alert_rules, f private.alert_finding, p_key text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.tell_finding(r private.alert_rules, f private.alert_finding, p_key text) is 'Opens the alert of a finding, or counts it up where it is worse than what was told.';


CREATE OR REPLACE FUNCTION private.tell_of_fact(p_fact jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.tell_of_fact(p_fact jsonb) is 'Tells staff what a fact says that is about no object: a value that nobody knows, or the health of Stripe. Events that were never generated are looked for at once.';


CREATE OR REPLACE FUNCTION private.tell_of_refund(q refund_requests, p_job_id bigint, p_cause text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.tell_of_refund(q refund_requests, p_job_id bigint, p_cause text) is 'Alerts staff about a refund that Stripe does not take: order, amount, cause and what to do now. Kinds refund_delayed, refund_overtaken, refund_refused.';


CREATE OR REPLACE FUNCTION private.tell_order_page(p_order_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.tell_order_page(p_order_id uuid) is 'Has open pages of an order ask again, through Realtime, when what they show has changed since the last time. Realtime sends it when the transaction commits; what fails is a warning, and no reason to undo it.';


CREATE OR REPLACE FUNCTION private.tell_that_it_is_over()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.tell_that_it_is_over() is 'Queues a look at whether staff can be told that a kind of alert is over. Of one from before a restored database was lost they were.';


CREATE OR REPLACE FUNCTION private.tell_violations()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.tell_violations() is 'Opens the alert invariant_violated, which names the first ten violations, or resolves it when none is left.';


CREATE OR REPLACE FUNCTION private.three_d_secure_rank(p_asked text)
 RETURNS integer
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.three_d_secure_rank(p_asked text) is 'What a page asks of the card, as a number: more is stronger. Null, Stripe''s own judgement, is 0.';


CREATE OR REPLACE FUNCTION private.tidy_options()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.tidy_options() is 'Trigger of product_variants: a size or colour that somebody cleared is none, not an empty one.';


CREATE OR REPLACE FUNCTION private.top_up_note()
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.top_up_note() is 'The note of what top_up_stock() adds, in inventory_journal.';


CREATE OR REPLACE FUNCTION private.top_up_stock(p_order_id uuid)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.top_up_stock(p_order_id uuid) is 'Adds the pieces that an order had and that the restored stock lacks: goods that were received after the backup. Without them the order would be taken for oversold, and refunded. Returns how many. Called with the order locked.';


CREATE OR REPLACE FUNCTION private.trace_of_house(p_order_id uuid)
 RETURNS SETOF trace_moment
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.trace_of_house(p_order_id uuid) is 'What happened to an order here: its audit trail, mails, parcels, returns and repairs.';


CREATE OR REPLACE FUNCTION private.trace_of_money(p_order_id uuid)
 RETURNS SETOF trace_moment
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.trace_of_money(p_order_id uuid) is 'What Stripe has said of an order''s sessions, payments, refunds, disputes and risk, each as it stands. Times of attempts, refunds and disputes are Stripe''s, in whole seconds.';


CREATE OR REPLACE FUNCTION private.trace_of_queue(o orders, p_ids text[])
 RETURNS SETOF trace_moment
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.trace_of_queue(o orders, p_ids text[]) is 'The events, jobs, alerts and commands about an order, found by the ids of all that belongs to it.';


CREATE OR REPLACE FUNCTION private.tracking_url(p_carrier text, p_tracking_number text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.tracking_url(p_carrier text, p_tracking_number text) is 'The page that shows a parcel, or null: an unknown carrier, or nothing like a tracking number.';


CREATE OR REPLACE FUNCTION private.tried_orders(p_livemode boolean, p_from timestamp with time zone, p_until timestamp with time zone, OUT o_tried bigint, OUT o_refused bigint)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.tried_orders(p_livemode boolean, p_from timestamp with time zone, p_until timestamp with time zone, OUT o_tried bigint, OUT o_refused bigint) is 'How many orders somebody tried to pay in a span of time, and how many of them were refused and not paid in it. Outages of a bank or network do not count.';


CREATE OR REPLACE FUNCTION private.twin_order(p_order_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.twin_order(p_order_id uuid) is 'The order that a disputed one may be taken for a duplicate of: paid by the same buyer, the same amount, at most 14 days before or after; null: there is none.';


CREATE OR REPLACE FUNCTION private.undated_orders(p_started_at timestamp with time zone, p_limit integer)
 RETURNS uuid[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.undated_orders(p_started_at timestamp with time zone, p_limit integer) is 'Orders of which something is known only since p_started_at that is older at Stripe.';


CREATE OR REPLACE FUNCTION private.unreleased_mismatches(p_order_id uuid, p_session_id text, p_reasons text[])
 RETURNS text[]
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.unreleased_mismatches(p_order_id uuid, p_session_id text, p_reasons text[]) is 'What of review_reasons() nobody has released: another reason, or the same one in the money of another session, is news.';


CREATE OR REPLACE FUNCTION private.upsert_session(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone, p_version text, p_contact_version text)
 RETURNS checkout_sessions
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.upsert_session(p_fact jsonb, p_order_id uuid, p_at timestamp with time zone, p_version text, p_contact_version text) is 'Writes what merge_checkout_session() has judged, and returns the row. Two snapshots, each the newest of its kind: how the session stands, and who bought and where the parcel goes.';


CREATE OR REPLACE FUNCTION private.usual_orders(p_livemode boolean, p_now timestamp with time zone)
 RETURNS TABLE(currency text, amount bigint, orders bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.usual_orders(p_livemode boolean, p_now timestamp with time zone) is 'What an order is usually worth in each currency: the median of the last 500 that were paid, in minor units, and how many these were.';


CREATE OR REPLACE FUNCTION private.variant_name(p_product text, p_color text, p_size text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.variant_name(p_product text, p_color text, p_size text) is 'A variant as buyers know it: Wool Suit – Navy, 40R, or Belt when it comes in one way only.';


CREATE OR REPLACE FUNCTION private.velocity_exceeded(p_risk jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.velocity_exceeded(p_risk jsonb) is 'The outcome of a checkout that check_velocity() blocks.';


CREATE OR REPLACE FUNCTION private.velocity_keys(p_user_id uuid, p_mailbox text, p_ip inet, p_order_id uuid)
 RETURNS TABLE(subject text, measure text, key text, factor numeric)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.velocity_keys(p_user_id uuid, p_mailbox text, p_ip inet, p_order_id uuid) is 'Whom rules measure when this shopper orders or pays: key of each subject, the measure if it is only one, and what a threshold is multiplied with. p_mailbox as of email_key(). p_order_id null: the order does not exist yet.';


CREATE OR REPLACE FUNCTION private.version(VARIADIC p_parts text[])
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.version(VARIADIC p_parts text[]) is 'Joins the fixed-width parts of a version.';


CREATE OR REPLACE FUNCTION private.violations_of(p_orders uuid[])
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.violations_of(p_orders uuid[]) is 'What is not true of these orders: [{ invariant, detail }]; null: all is well.';


CREATE OR REPLACE FUNCTION private.visa_cases(p_livemode boolean, p_from timestamp with time zone, p_until timestamp with time zone)
 RETURNS TABLE(at timestamp with time zone)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.visa_cases(p_livemode boolean, p_from timestamp with time zone, p_until timestamp with time zone) is 'Disputes and fraud reports of Visa cards as Visa''s acquirer monitoring programme counts them: by the moment in which they came. All sales here are without a card present.';


CREATE OR REPLACE FUNCTION private.wait_for_repeats(p_key text, p_user_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.wait_for_repeats(p_key text, p_user_id uuid) is 'Parallel checkouts of one key, and of one account, queue up here: the later one finds what the first made.';


CREATE OR REPLACE FUNCTION private.wait_with_job(p_job private.jobs, p_outcome text, p_reason text, p_run_at timestamp with time zone)
 RETURNS private.jobs
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.wait_with_job(p_job private.jobs, p_outcome text, p_reason text, p_run_at timestamp with time zone) is 'Books outcome retry or snooze of a job in hand: it waits until p_run_at. Returns the job as it is now.';


CREATE OR REPLACE FUNCTION private.waits_for_refund(r returns)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.waits_for_refund(r returns) is 'Whether the pieces of a return go back on the shelf with a refund that is still on its way: neither given up nor bounced.';


CREATE OR REPLACE FUNCTION private.was_purged(p_event_id text, p_stripe_created_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.was_purged(p_event_id text, p_stripe_created_at timestamp with time zone) is 'Whether an event was stored once, and its row has gone since (purge_events()).';


CREATE OR REPLACE FUNCTION private.watch_audit_trail(p_minute integer DEFAULT (((EXTRACT(epoch FROM now()))::bigint / 60) % (1440)::bigint))
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.watch_audit_trail(p_minute integer) is 'Part of the heartbeat: seals what waits, looks at the seals whose turn it is in this minute of the day (UTC), and raises the alert audit_trail_broken. The alert is resolved by a person.';


CREATE OR REPLACE FUNCTION private.watch_deliveries()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.watch_deliveries() is 'Opens an alert for each of delivery_problems() and resolves those that are over. While there is any, or something had to be fetched, the endpoint at Stripe is looked at sooner.';


CREATE OR REPLACE FUNCTION private.webhook_lag()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.webhook_lag() is 'Part of the health check webhooks: from when an event happened at Stripe to when it was stored here, of the last 500 delivered within the hour, in seconds; null: none was.';


CREATE OR REPLACE FUNCTION private.webhook_refusals()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.webhook_refusals() is 'Part of the health check webhooks: how many requests were refused, as far back as counters are kept.';


CREATE OR REPLACE FUNCTION private.webhook_silence()
 RETURNS TABLE(livemode boolean, last_delivered_at timestamp with time zone)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.webhook_silence() is 'Modes in which money moved within the last day, ten minutes ago or more, and Stripe has delivered nothing since. Without money there is no silence, however long nothing comes.';


CREATE OR REPLACE FUNCTION private.webhooks_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.webhooks_health() is 'Health check webhooks: events that could not be applied, deliveries that do not come (problems), how late they are, what was refused, and how Stripe''s endpoint was when it was last looked at.';


CREATE OR REPLACE FUNCTION private.weigh_refusals(p_rule private.velocity_rules, p_key text, p_threshold numeric, p_livemode boolean, p_since timestamp with time zone, p_until timestamp with time zone, OUT o_value bigint, OUT o_oldest timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.weigh_refusals(p_rule private.velocity_rules, p_key text, p_threshold numeric, p_livemode boolean, p_since timestamp with time zone, p_until timestamp with time zone, OUT o_value bigint, OUT o_oldest timestamp with time zone) is 'Measure declined_orders: how many refusals weigh against the good orders of a subject, when they exceed the ordinary share by as much as p_threshold; o_oldest: the refusal that the rule lets go with.';


CREATE OR REPLACE FUNCTION private.without_digest(p_version text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.without_digest(p_version text) is 'A version of a fact without the digest of what it said.';


CREATE OR REPLACE FUNCTION private.without_person(p_fact jsonb, p_order_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.without_person(p_fact jsonb, p_order_id uuid) is 'A fact as it may be merged: of an erased order or customer without personal data, any other as it is.';


CREATE OR REPLACE FUNCTION private.without_secrets(p_payload jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.without_secrets(p_payload jsonb) is 'A webhook''s payload as it is stored: without client secrets and the addresses that carry them.';


CREATE OR REPLACE FUNCTION private.words_of_person(p_email text, p_order_ids uuid[], p_customer_ids uuid[], p_stripe_ids text[], OUT anywhere text, OUT own text)
 RETURNS record
 LANGUAGE sql
 STABLE
 SET search_path TO '';
comment on function private.words_of_person(p_email text, p_order_ids uuid[], p_customer_ids uuid[], p_stripe_ids text[], OUT anywhere text, OUT own text) is 'Patterns for what identifies a buyer: anywhere (addresses, full names, company, tax ids, street, phone), and own: single names and short words as well, for the rows of their orders.';


CREATE OR REPLACE FUNCTION private.words_pattern(p_words text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO '';
comment on function private.words_pattern(p_words text[]) is 'A regular expression that finds any of these words. Null: there are none.';


CREATE OR REPLACE FUNCTION private.worst_status(VARIADIC p_conditions boolean[])
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.worst_status(VARIADIC p_conditions boolean[]) is 'degraded when any condition holds, else ok.';


CREATE OR REPLACE FUNCTION private.worth_of_cart(p_in text, p_amount bigint, p_currency text, p_lines jsonb, p_order_id uuid)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.worth_of_cart(p_in text, p_amount bigint, p_currency text, p_lines jsonb, p_order_id uuid) is 'worth_of_order() in currency p_in, of the order that asks, or of the cart that is to become one.';


CREATE OR REPLACE FUNCTION private.worth_of_lines(o orders, p_lines jsonb)
 RETURNS TABLE(order_item_id uuid, sku text, quantity integer, amount bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.worth_of_lines(o orders, p_lines jsonb) is 'Lines [{ sku, quantity, restock }] with what their pieces have cost. SHREF: pieces that are refunded already.';


CREATE OR REPLACE FUNCTION private.worth_of_order(o orders, p_currency text)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO '';
comment on function private.worth_of_order(o orders, p_currency text) is 'The goods of an order in a currency, in its minor units: as ordered where it is the order''s own, else at today''s prices in it. Null: nothing of it is sold in that currency.';


CREATE OR REPLACE FUNCTION private.write_event(e webhook_events)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.write_event(e webhook_events) is 'Writes an event, new or tried again. How often it was delivered stands in its row already.';


CREATE OR REPLACE FUNCTION private.write_order(o orders, p_before orders, k order_risk, k_before order_risk, p_source text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function private.write_order(o orders, p_before orders, k order_risk, k_before order_risk, p_source text) is 'Writes what settling has changed of an order and its risk, if anything. Called by settle_order() only.';


CREATE OR REPLACE FUNCTION private.xor_key(p_key bytea, p_byte integer)
 RETURNS bytea
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO '';
comment on function private.xor_key(p_key bytea, p_byte integer) is 'A key of at most 64 bytes, filled up to a block of SHA-256, each byte combined with p_byte.';


CREATE OR REPLACE FUNCTION public.abandon_checkout(p_order_id uuid, p_attempt integer, p_refusal jsonb DEFAULT NULL::jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.abandon_checkout(p_order_id uuid, p_attempt integer, p_refusal jsonb) is 'Ends an attempt that has no session, which frees its stock. Call it only when Stripe has refused the attempt, or has been asked and knows no session of it that could still be paid. p_refusal: what Stripe said, for an alert. Returns false when the attempt has a session, or is not the current one. SHORD: no such order.';
grant execute on function public.abandon_checkout(p_order_id uuid, p_attempt integer, p_refusal jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.accept_dispute(p_dispute_id text, p_note text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.accept_dispute(p_dispute_id text, p_note text, p_dry_run boolean, p_command_id uuid) is 'Gives up a dispute: a job closes it at Stripe, and the bank keeps the money. Final. Staff only.';
grant execute on function public.accept_dispute(p_dispute_id text, p_note text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.accept_dispute(p_dispute_id text, p_note text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.acknowledge_alert(p_alert_id uuid, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.acknowledge_alert(p_alert_id uuid, p_dry_run boolean, p_command_id uuid) is 'Somebody looks at an alert. Staff only.';
grant execute on function public.acknowledge_alert(p_alert_id uuid, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.acknowledge_alert(p_alert_id uuid, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.add_product(p_slug text, p_name text, p_description text DEFAULT NULL::text, p_image_url text DEFAULT NULL::text, p_active boolean DEFAULT true, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.add_product(p_slug text, p_name text, p_description text, p_image_url text, p_active boolean, p_dry_run boolean, p_command_id uuid) is 'Adds a product; its sizes and colours come with add_variant(). Staff only.';
grant execute on function public.add_product(p_slug text, p_name text, p_description text, p_image_url text, p_active boolean, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.add_product(p_slug text, p_name text, p_description text, p_image_url text, p_active boolean, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.add_variant(p_product_slug text, p_sku text, p_price_amount numeric, p_currency text, p_size text DEFAULT NULL::text, p_color text DEFAULT NULL::text, p_on_hand integer DEFAULT 0, p_confirm boolean DEFAULT false, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.add_variant(p_product_slug text, p_sku text, p_price_amount numeric, p_currency text, p_size text, p_color text, p_on_hand integer, p_confirm boolean, p_dry_run boolean, p_command_id uuid) is 'Puts a size and colour of a product on sale, with its stock. p_price_amount in Stripe''s minor units; a price that Stripe refuses is refused, one below one unit of the currency needs p_confirm. Staff only.';
grant execute on function public.add_variant(p_product_slug text, p_sku text, p_price_amount numeric, p_currency text, p_size text, p_color text, p_on_hand integer, p_confirm boolean, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.add_variant(p_product_slug text, p_sku text, p_price_amount numeric, p_currency text, p_size text, p_color text, p_on_hand integer, p_confirm boolean, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.adjust_inventory(p_sku text, p_delta integer, p_reason text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text, p_dry_run boolean, p_command_id uuid) is 'Goods received (p_delta > 0) or lost (p_delta < 0). Staff only.';
grant execute on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.adjust_inventory(p_sku text, p_delta integer, p_reason text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.advance_reconciliation_cursor(p_name text, p_position timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.advance_reconciliation_cursor(p_name text, p_position timestamp with time zone) is 'Notes how far a stream has been read; never goes back. Returns how far that is now.';
grant execute on function public.advance_reconciliation_cursor(p_name text, p_position timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.announce_return(p_order_number text, p_lines jsonb, p_reason text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.announce_return(p_order_number text, p_lines jsonb, p_reason text, p_dry_run boolean, p_command_id uuid) is 'Notes what a customer will send back: p_lines [{"sku", "quantity"}]. Moves neither money nor stock. Staff only.';
grant execute on function public.announce_return(p_order_number text, p_lines jsonb, p_reason text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.announce_return(p_order_number text, p_lines jsonb, p_reason text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET plan_cache_mode TO 'force_generic_plan';
comment on function public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone) is 'Merges facts read from Stripe''s API at p_observed_at (before the request was sent) and settles. p_source: order_status, reconcile, job or checkout. Returns whether anything was ours. While a restored database catches up, only a job''s reading is merged. SHINV: any other source.';
grant execute on function public.apply_stripe_facts(p_facts jsonb, p_source text, p_observed_at timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.assign_refund(p_refund_id text, p_lines jsonb, p_restock boolean DEFAULT false, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.assign_refund(p_refund_id text, p_lines jsonb, p_restock boolean, p_dry_run boolean, p_command_id uuid) is 'Says which pieces a refund was about that was made in Stripe''s dashboard: p_lines [{"sku", "quantity", "restock"}]. Staff only.';
grant execute on function public.assign_refund(p_refund_id text, p_lines jsonb, p_restock boolean, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.assign_refund(p_refund_id text, p_lines jsonb, p_restock boolean, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb, p_email_change integer DEFAULT NULL::integer)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET plan_cache_mode TO 'force_generic_plan';
comment on function public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb, p_email_change integer) is 'Notes the session that Stripe made for an attempt. p_email_change: which address of the account Stripe''s customer has now, as customer_email_change of the snapshot. Idempotent. SHORD: no such order.';
grant execute on function public.attach_checkout_session(p_order_id uuid, p_attempt integer, p_fact jsonb, p_email_change integer) to service_role;


CREATE OR REPLACE FUNCTION public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text DEFAULT 'off'::text, p_previous_session_id text DEFAULT NULL::text, p_supersede boolean DEFAULT true, p_accepts_marketing boolean DEFAULT NULL::boolean, p_ui_mode text DEFAULT 'hosted_page'::text, p_currency text DEFAULT NULL::text, p_country text DEFAULT NULL::text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET plan_cache_mode TO 'force_generic_plan';
comment on function public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text, p_previous_session_id text, p_supersede boolean, p_accepts_marketing boolean, p_ui_mode text, p_currency text, p_country text) is 'Makes a pending order with frozen prices and reserved stock from [{ sku, quantity }], or finds the one this Idempotency-Key (or this shopper, seconds ago) made before. Outcomes: created, existing (the snapshot to send to Stripe), superseded (expire session_ids at Stripe, then ask again with p_supersede false), velocity_exceeded. p_currency, p_country: what the shopper wants to pay in, and where the parcel goes; null: not said. SHSKU unknown_sku, SHSTK insufficient_stock, SHIDC idempotency_conflict, SHCUR mixed currencies, SHNIC currency_unavailable, SHSHP shipping_unavailable, SHINV invalid, SHCLO checkout is closed.';
grant execute on function public.begin_checkout(p_items jsonb, p_idempotency_key text, p_user_id uuid, p_email text, p_client_ip text, p_user_agent text, p_locale text, p_livemode boolean, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text, p_previous_session_id text, p_supersede boolean, p_accepts_marketing boolean, p_ui_mode text, p_currency text, p_country text) to service_role;


CREATE OR REPLACE FUNCTION public.begin_rescue(p_since timestamp with time zone, p_stopped_at timestamp with time zone)
 RETURNS rescue_window
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.begin_rescue(p_since timestamp with time zone, p_stopped_at timestamp with time zone) is 'Begins a rescue, or goes on with the one that was interrupted: closes checkout and the queue, and takes the mails that waited in the backup as sent. Arguments and errors as of get_rescue_window().';
grant execute on function public.begin_rescue(p_since timestamp with time zone, p_stopped_at timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.cancel_order(p_order_number text, p_reason text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.cancel_order(p_order_number text, p_reason text, p_dry_run boolean, p_command_id uuid) is 'Cancels an order that has not shipped: closes its checkout, frees its stock, refunds what was paid. Staff only.';
grant execute on function public.cancel_order(p_order_number text, p_reason text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.cancel_order(p_order_number text, p_reason text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.check_audit_chain()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.check_audit_chain() is 'What was changed, deleted or slipped in of the audit trail: one row each, none when all is well. Part of check_invariants().';
grant execute on function public.check_audit_chain() to service_role;


CREATE OR REPLACE FUNCTION public.check_invariants()
 RETURNS TABLE(invariant text, detail jsonb)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.check_invariants() is 'What must always be true and is not: one row per violation, none when all is well. For tests, doctor and staff.';
grant execute on function public.check_invariants() to service_role;


CREATE OR REPLACE FUNCTION public.check_settled_orders(p_limit integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.check_settled_orders(p_limit integer) is 'Checks up to p_limit orders that were settled since they were last checked, and as many of those that were broken then. The alert invariant_violated follows. Returns whether there are more.';
grant execute on function public.check_settled_orders(p_limit integer) to service_role;


CREATE OR REPLACE FUNCTION public.claim_jobs(p_worker text, p_limit integer, p_lease_seconds integer, p_mails integer DEFAULT NULL::integer)
 RETURNS TABLE(id bigint, kind text, payload jsonb, attempts integer, max_attempts integer, lease_id uuid, created_at timestamp with time zone, order_id uuid)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.claim_jobs(p_worker text, p_limit integer, p_lease_seconds integer, p_mails integer) is 'Leases up to p_limit due jobs to p_worker for p_lease_seconds; fewer does not mean that nothing is left, none does. Rows locked by another worker are skipped, jobs whose lease ran out are due again, jobs of a provider that is down wait. p_mails: at most so many mails to customers, for a provider that takes only so many a second, and half of p_limit; null, any number. The rest is left to others, so that a burst of mails holds up nothing. order_id: the order that a job is about, or null. None while a restored database catches up with Stripe.';
grant execute on function public.claim_jobs(p_worker text, p_limit integer, p_lease_seconds integer, p_mails integer) to service_role;


CREATE OR REPLACE FUNCTION public.close_return(p_return_id uuid, p_note text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.close_return(p_return_id uuid, p_note text, p_dry_run boolean, p_command_id uuid) is 'Ends a return: of one that was received no money is due, one that was announced will not come (pieces of it that were not sent are to be sent again). Staff only.';
grant execute on function public.close_return(p_return_id uuid, p_note text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.close_return(p_return_id uuid, p_note text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.correct_shipment(p_order_number text, p_parcel integer, p_carrier text DEFAULT NULL::text, p_tracking_number text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.correct_shipment(p_order_number text, p_parcel integer, p_carrier text, p_tracking_number text, p_dry_run boolean, p_command_id uuid) is 'Corrects carrier or tracking number of a parcel (numbered from 1 in each order) and mails the correction. Staff only.';
grant execute on function public.correct_shipment(p_order_number text, p_parcel integer, p_carrier text, p_tracking_number text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.correct_shipment(p_order_number text, p_parcel integer, p_carrier text, p_tracking_number text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.count_inventory(p_counts jsonb, p_note text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.count_inventory(p_counts jsonb, p_note text, p_dry_run boolean, p_command_id uuid) is 'Sets the stock to what was counted: p_counts [{"sku", "counted"}], all pieces in the house, those sold and not sent included. All lines or none; counting again changes nothing. Staff only.';
grant execute on function public.count_inventory(p_counts jsonb, p_note text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.count_inventory(p_counts jsonb, p_note text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.count_jobs()
 RETURNS bigint
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.count_jobs() is 'How many jobs are due or running.';
grant execute on function public.count_jobs() to service_role;


CREATE OR REPLACE FUNCTION public.date_rescued(p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.date_rescued(p_limit integer) is 'Gives what the rescue saw first the time of its object at Stripe (when a card was charged, a refund made), for up to p_limit orders, and settles them. Returns how many; call it until there are none.';
grant execute on function public.date_rescued(p_limit integer) to service_role;


CREATE OR REPLACE FUNCTION public.decide_dispute(p_dispute_id text, p_round text, p_written boolean DEFAULT false, p_obstacle text DEFAULT NULL::text)
 RETURNS dispute_action
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.decide_dispute(p_dispute_id text, p_round text, p_written boolean, p_obstacle text) is 'Decides about a dispute whose deadline is near and which nobody has answered, once for each round (p_round: the status), and notes it. The same again for whoever asks again, except that what was to be accepted is fought once somebody has written evidence at Stripe (p_written). p_obstacle: fee or no_field, see dispute_decisions.reason.';
grant execute on function public.decide_dispute(p_dispute_id text, p_round text, p_written boolean, p_obstacle text) to service_role;


CREATE OR REPLACE FUNCTION public.enqueue_periodic_jobs(p_settings jsonb DEFAULT '{}'::jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.enqueue_periodic_jobs(p_settings jsonb) is 'The heartbeat: p_settings { admin_require_mfa: true } turns that on in private.settings, nothing here turns it off. Raises and resolves the alerts about deliveries, seals the audit trail, counts, and queues what has ended, each part by itself; then queues whatever is due by the clock, each once per period however often this is called, and never a second of a kind while one waits; nothing while a restored database catches up. Returns how many were queued.';
grant execute on function public.enqueue_periodic_jobs(p_settings jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.erase_customer(p_email text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.erase_customer(p_email text, p_dry_run boolean, p_command_id uuid) is 'Removes a person from everything known under an e-mail address, also at Stripe, and answers with counts; ok and found are false when nobody is known under it. Refused while a dispute waits for evidence. Staff only.';
grant execute on function public.erase_customer(p_email text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.erase_customer(p_email text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.evaluate_alert_rules(p_livemode boolean, p_now timestamp with time zone DEFAULT now())
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.evaluate_alert_rules(p_livemode boolean, p_now timestamp with time zone) is 'Measures all alert rules for the mode of the key, at p_now. One that fails stops no other, and raises alert_rule_failed. Resolves besides what has not been counted for the time in private.alert_lulls. Returns how many failed.';
grant execute on function public.evaluate_alert_rules(p_livemode boolean, p_now timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.exchange_return(p_order_number text, p_lines jsonb, p_reason text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.exchange_return(p_order_number text, p_lines jsonb, p_reason text, p_dry_run boolean, p_command_id uuid) is 'Exchanges pieces for others of the same price: p_lines [{"sku", "for", "quantity"}]. What was sent is awaited; the new piece is taken from the shelf and is a parcel more of the same order. Moves no money. close_return() calls it off as long as the new piece has not been sent. Staff only.';
grant execute on function public.exchange_return(p_order_number text, p_lines jsonb, p_reason text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.exchange_return(p_order_number text, p_lines jsonb, p_reason text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.export_person(p_email text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO '';
comment on function public.export_person(p_email text, p_dry_run boolean, p_command_id uuid) is 'All that is stored of a person under an e-mail address, as JSON, for whom asks what is known of them (GDPR article 15). Staff only.';
grant execute on function public.export_person(p_email text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.export_person(p_email text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.find_open_checkout(p_order_id uuid, p_livemode boolean DEFAULT NULL::boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.find_open_checkout(p_order_id uuid, p_livemode boolean) is 'What a resume link leads to without changing anything: unpaid with the session { id, url } that can still be paid, or null; paid: { session_id } for the success page; cancelled, also for an order of the other mode than p_livemode. SHORD: no such order.';
grant execute on function public.find_open_checkout(p_order_id uuid, p_livemode boolean) to service_role;


CREATE OR REPLACE FUNCTION public.finish_jobs(p_results jsonb)
 RETURNS TABLE(id bigint, finished boolean, status text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.finish_jobs(p_results jsonb) is 'Ends leases: [{ id, lease_id, outcome: done | discard | retry | snooze, reason, run_at, alert: severity, provider_state: up | down | unauthorized }], all but the first three optional. Returns one row each; finished false, status null: the lease was lost and nothing changed. SHINV: unknown outcome, nothing changed for any.';
grant execute on function public.finish_jobs(p_results jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.finish_rescue()
 RETURNS rescue_end
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.finish_rescue() is 'Ends a rescue: checkout opens, jobs run. SHINV: none is under way.';
grant execute on function public.finish_rescue() to service_role;


CREATE OR REPLACE FUNCTION public.forget_checkout_session(p_session_id text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.forget_checkout_session(p_session_id text) is 'Stripe says that there is no such session: its account is another one now, or its test data was deleted. Counts it as expired, which frees its stock, once it has been over for a day. Returns whether it has been. Should Stripe tell of its payment after all, that is settled as late money.';
grant execute on function public.forget_checkout_session(p_session_id text) to service_role;


CREATE OR REPLACE FUNCTION public.forget_stripe_customer(p_order_id uuid, p_stripe_customer_id text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.forget_stripe_customer(p_order_id uuid, p_stripe_customer_id text) is 'Stripe says that this customer is gone, before its event has come. Returns the snapshot of the order, now without it.';
grant execute on function public.forget_stripe_customer(p_order_id uuid, p_stripe_customer_id text) to service_role;


CREATE OR REPLACE FUNCTION public.get_digest(p_day date, p_livemode boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_digest(p_day date, p_livemode boolean) is 'The day as staff are told of it, without what was tried out in the other mode: { day, sales, refunds, to_ship, attention: orders by reason, disputes whose deadline is within seven days, alerts: open ones by kind, mails_failed, shop }.';
grant execute on function public.get_digest(p_day date, p_livemode boolean) to service_role;


CREATE OR REPLACE FUNCTION public.get_dispute_evidence(p_dispute_id text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_dispute_evidence(p_dispute_id text) is 'A dispute with what the shop knows of its order: customer, addresses, items, parcels, mails sent, purchase address, terms accepted, earlier undisputed orders. Null: no such dispute; order null: not one of ours.';
grant execute on function public.get_dispute_evidence(p_dispute_id text) to service_role;


CREATE OR REPLACE FUNCTION public.get_error_budgets(p_week date)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_error_budgets(p_week date) is 'How the objectives were met in the seven days from p_week on: { week, shop, objectives: [{ name, target, good, bad, bad_in_budget, budget }] }. The last two are of the 28 days up to the end of the week: how many were bad, and how many may be.';
grant execute on function public.get_error_budgets(p_week date) to service_role;


CREATE OR REPLACE FUNCTION public.get_fraud_values(p_livemode boolean)
 RETURNS fraud_value[]
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_fraud_values(p_livemode boolean) is 'What confirmed fraud was done with, for Radar''s value lists: addresses, networks'' addresses and fingerprints of cards. What was erased or has been cleared is gone from it. An array, which no limit on rows cuts: what is missing here leaves the lists.';
grant execute on function public.get_fraud_values(p_livemode boolean) to service_role;


CREATE OR REPLACE FUNCTION public.get_health()
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_health() is 'Figures for the health endpoint: { checks: { name: { status, … } } }. Counts and times only, no personal data. Counts of what may grow stop at 1000.';
grant execute on function public.get_health() to service_role;


CREATE OR REPLACE FUNCTION public.get_lost_checkouts(p_limit integer)
 RETURNS TABLE(order_id uuid, attempt integer, started_at timestamp with time zone, ended_at timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_lost_checkouts(p_limit integer) is 'Attempts whose session nobody knows, and when Stripe can have made it, oldest first.';
grant execute on function public.get_lost_checkouts(p_limit integer) to service_role;


CREATE OR REPLACE FUNCTION public.get_metrics()
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_metrics() is 'All metrics: [{ name, type, unit, help, labels, bounds, counted_by, samples: [[labels, bucket, count, total]] }], see private.metric_series. Those counted by health have no samples here. Adds up first what was counted since the last time.';
grant execute on function public.get_metrics() to service_role;


CREATE OR REPLACE FUNCTION public.get_notification(p_notification_id uuid)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_notification(p_notification_id uuid) is 'A mail with all that its template shows, or null. recipient null: no address is known yet; suppression: why it must not go there, or null. A mail about a refund names its pieces in data.items, as they are known when it is sent (a refund of the dashboard may have been assigned to lines since), in data.presentment what the customer gets where they paid in another currency, and in data.details_needed whether Stripe is asking the customer where its money should go.';
grant execute on function public.get_notification(p_notification_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.get_order_status(p_session_id text DEFAULT NULL::text, p_order_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_order_status(p_session_id text, p_order_id uuid) is 'What the page of an order shows, found by one of its sessions or by its id; no personal data. live_topic: the Realtime topic that says when to ask again. settled false: Stripe may know more of session_id, ask it. Null: no such session or order.';
grant execute on function public.get_order_status(p_session_id text, p_order_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.get_order_trace(p_order text)
 RETURNS order_trace
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_order_trace(p_order text) is 'An order''s whole story in order of time. p_order: its number, its id, or the id of anything that belongs to it (session, payment, refund, dispute, event, mail). No personal data: what identifies the buyer is *** where a text mentions it. Reads the jobs and alerts since the order. SHORD: nothing is known under this name.';
grant execute on function public.get_order_trace(p_order text) to service_role;


CREATE OR REPLACE FUNCTION public.get_reconciliation_cursor(p_name text)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_reconciliation_cursor(p_name text) is 'How far a stream has been read.';
grant execute on function public.get_reconciliation_cursor(p_name text) to service_role;


CREATE OR REPLACE FUNCTION public.get_rescue_window(p_since timestamp with time zone, p_stopped_at timestamp with time zone)
 RETURNS rescue_window
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_rescue_window(p_since timestamp with time zone, p_stopped_at timestamp with time zone) is 'What a rescue would ask for; once one has begun, what it asks for. p_since null: from an hour before the newest thing of the backup on. p_stopped_at null: the lost database worked until now. SHINV: a window that ends before it begins, or has not passed.';
grant execute on function public.get_rescue_window(p_since timestamp with time zone, p_stopped_at timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.get_stripe_event(p_event_id text)
 RETURNS SETOF webhook_events
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_stripe_event(p_event_id text) is 'A stored event, or no row.';
grant execute on function public.get_stripe_event(p_event_id text) to service_role;


CREATE OR REPLACE FUNCTION public.get_webhook_allowlist()
 RETURNS webhook_allowlist
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.get_webhook_allowlist() is 'The addresses Stripe posts from, as text. The webhook function caches them.';
grant execute on function public.get_webhook_allowlist() to service_role;


CREATE OR REPLACE FUNCTION public.import_inventory(p_csv text, p_note text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.import_inventory(p_csv text, p_note text, p_dry_run boolean, p_command_id uuid) is 'As count_inventory(), from a CSV file: SKU and pieces in the house, with or without a heading that begins with sku. Staff only.';
grant execute on function public.import_inventory(p_csv text, p_note text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.import_inventory(p_csv text, p_note text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.judge_refund(p_request_id text)
 RETURNS refund_judgement
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.judge_refund(p_request_id text) is 'Whether a refund may be made now, with all that is known of its payment. Apply what Stripe lists first. SHINV: no such request.';
grant execute on function public.judge_refund(p_request_id text) to service_role;


CREATE OR REPLACE FUNCTION public.leave_dispute(p_dispute_id text, p_note text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.leave_dispute(p_dispute_id text, p_note text, p_dry_run boolean, p_command_id uuid) is 'Nothing answers this round of a dispute by itself: staff do, in time, or nobody does. Staff only.';
grant execute on function public.leave_dispute(p_dispute_id text, p_note text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.leave_dispute(p_dispute_id text, p_note text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.lift_mail_suppression(p_email text, p_reason text DEFAULT 'bounced'::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.lift_mail_suppression(p_email text, p_reason text, p_dry_run boolean, p_command_id uuid) is 'Sends mail to an address again: p_reason bounced (it works by now), complained or unsubscribed (only if the customer has asked for it). Resend keeps a list of its own. Staff only.';
grant execute on function public.lift_mail_suppression(p_email text, p_reason text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.lift_mail_suppression(p_email text, p_reason text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.list_differing_objects(p_objects jsonb)
 RETURNS text[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.list_differing_objects(p_objects jsonb) is 'Which of [{ kind: payment | charge | refund | dispute | review | early_fraud_warning, id, status, amount }] we do not have in this state: their ids. Status of the last two: open or closed.';
grant execute on function public.list_differing_objects(p_objects jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.list_missing_orders(p_order_ids uuid[])
 RETURNS uuid[]
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.list_missing_orders(p_order_ids uuid[]) is 'Which of these orders this database does not have.';
grant execute on function public.list_missing_orders(p_order_ids uuid[]) to service_role;


CREATE OR REPLACE FUNCTION public.list_open_objects(p_since timestamp with time zone, p_limit integer, p_livemode boolean DEFAULT NULL::boolean)
 RETURNS open_object[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.list_open_objects(p_since timestamp with time zone, p_limit integer, p_livemode boolean) is 'What may have ended without a word, however old: sessions that should have ended by now or whose money is on its way, open reviews, and payments, refunds and disputes under way that were made before p_since (the younger ones are in Stripe''s lists). At most p_limit of them, chosen at random. p_livemode: those of this mode, and those whose mode is not known; null: all.';
grant execute on function public.list_open_objects(p_since timestamp with time zone, p_limit integer, p_livemode boolean) to service_role;


CREATE OR REPLACE FUNCTION public.list_passed_events(p_after text, p_limit integer)
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.list_passed_events(p_after text, p_limit integer) is 'Events that came before their orders were known here, and were passed over: they are to be applied again, and may be by retry_stripe_event(). Those that are somebody else''s end as they were. By id, the first p_limit behind p_after (an empty text at first); call it until there are none.';
grant execute on function public.list_passed_events(p_after text, p_limit integer) to service_role;


CREATE OR REPLACE FUNCTION public.list_rescue_objects()
 RETURNS open_object[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.list_rescue_objects() is 'Everything that was not at its end as far as this database knows, and may have ended since its backup: what list_open_objects() knows, every open session, and warnings (kind early_fraud_warning).';
grant execute on function public.list_rescue_objects() to service_role;


CREATE OR REPLACE FUNCTION public.list_unknown_events(p_event_ids text[])
 RETURNS text[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO '';
comment on function public.list_unknown_events(p_event_ids text[]) is 'Which of these events were never received, in the given order.';
grant execute on function public.list_unknown_events(p_event_ids text[]) to service_role;


CREATE OR REPLACE FUNCTION public.mark_fulfilled(p_order_number text, p_carrier text DEFAULT NULL::text, p_tracking_number text DEFAULT NULL::text, p_lines jsonb DEFAULT NULL::jsonb, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text, p_lines jsonb, p_dry_run boolean, p_command_id uuid) is 'Notes a parcel and mails the customer: p_lines [{"sku", "quantity"}], or all that is still to be sent. The order is fulfilled when nothing is left. Of an order that has shipped in one parcel it corrects carrier and tracking number, and mails the correction. Staff only.';
grant execute on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text, p_lines jsonb, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.mark_fulfilled(p_order_number text, p_carrier text, p_tracking_number text, p_lines jsonb, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.purge_old_data(p_limit integer)
 RETURNS purge_report
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.purge_old_data(p_limit integer) is 'Removes up to p_limit rows of each kind that retention settings call old. more: call again.';
grant execute on function public.purge_old_data(p_limit integer) to service_role;


CREATE OR REPLACE FUNCTION public.receive_return(p_order_number text, p_lines jsonb DEFAULT NULL::jsonb, p_note text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.receive_return(p_order_number text, p_lines jsonb, p_note text, p_dry_run boolean, p_command_id uuid) is 'Pieces of an order are in the house again: p_lines [{"sku", "quantity", "restock"}], or all that can come back. They go on the shelf, with "restock": false (damaged) they do not. Moves no money. Staff only.';
grant execute on function public.receive_return(p_order_number text, p_lines jsonb, p_note text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.receive_return(p_order_number text, p_lines jsonb, p_note text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb)
 RETURNS event_outcome
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET plan_cache_mode TO 'force_generic_plan';
comment on function public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb) is 'Stores an authentic event that Stripe delivered and applies it, in one transaction. Exactly one of p_facts, p_ignored_reason and p_error (the translator threw) is given; p_alerts: [{ kind, severity, dedupe_key, data }]. A further delivery in a newer API version is merged as well. An error means that nothing was stored.';
grant execute on function public.receive_stripe_event(p_event_id text, p_type text, p_livemode boolean, p_api_version text, p_stripe_created_at timestamp with time zone, p_source_ip text, p_payload jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_alerts jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.receive_stripe_events(p_events jsonb)
 RETURNS SETOF event_outcome
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET plan_cache_mode TO 'force_generic_plan';
comment on function public.receive_stripe_events(p_events jsonb) is 'receive_stripe_event() for several deliveries in one transaction: [{ its parameters by name }], and one outcome each, in the same order. Each order is settled once. An error means that none of them was stored: the caller then gives each of them alone. closing_sessions: of all, with the first.';
grant execute on function public.receive_stripe_events(p_events jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.reconcile_stripe_event(p_run_id uuid, p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_dry_run boolean)
 RETURNS repair
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.reconcile_stripe_event(p_run_id uuid, p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_dry_run boolean) is 'Stores and applies an event that was fetched, as the webhook would have done, and writes the drift row. p_dry_run: says what would change and changes nothing.';
grant execute on function public.reconcile_stripe_event(p_run_id uuid, p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text, p_dry_run boolean) to service_role;


CREATE OR REPLACE FUNCTION public.reconcile_stripe_object(p_run_id uuid, p_kind text, p_object_id text, p_facts jsonb, p_observed_at timestamp with time zone, p_dry_run boolean)
 RETURNS repair
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.reconcile_stripe_object(p_run_id uuid, p_kind text, p_object_id text, p_facts jsonb, p_observed_at timestamp with time zone, p_dry_run boolean) is 'Applies facts read from Stripe''s API at p_observed_at and, when that changed something, writes the drift row. p_dry_run: says what would change and changes nothing.';
grant execute on function public.reconcile_stripe_object(p_run_id uuid, p_kind text, p_object_id text, p_facts jsonb, p_observed_at timestamp with time zone, p_dry_run boolean) to service_role;


CREATE OR REPLACE FUNCTION public.record_alert_message(p_alert_ids uuid[], p_over boolean)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.record_alert_message(p_alert_ids uuid[], p_over boolean) is 'Notes that staff were sent these alerts, or that they are over, and brings back the messages that were given up. Repeating it changes nothing.';
grant execute on function public.record_alert_message(p_alert_ids uuid[], p_over boolean) to service_role;


CREATE OR REPLACE FUNCTION public.record_mail_event(p_notification_id uuid, p_provider_id text, p_status text, p_permanent boolean, p_recipient text, p_at timestamp with time zone, p_detail text)
 RETURNS mail_event_outcome
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.record_mail_event(p_notification_id uuid, p_provider_id text, p_status text, p_permanent boolean, p_recipient text, p_at timestamp with time zone, p_detail text) is 'Notes what the provider says became of a mail: delivered, failed, suppressed, bounced, complained. A bounce for good (p_permanent) and a complaint suppress the address; repeats do not, so that a suppression that was lifted stays lifted; staff are told of a mail that the provider had taken and did not send.';
grant execute on function public.record_mail_event(p_notification_id uuid, p_provider_id text, p_status text, p_permanent boolean, p_recipient text, p_at timestamp with time zone, p_detail text) to service_role;


CREATE OR REPLACE FUNCTION public.record_metrics(p_samples jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.record_metrics(p_samples jsonb) is 'Counts what a function has seen: [{ metric, labels, count }] of counters, [{ metric, labels, values }] of histograms, in their unit. How requests ended counts for the objectives too. Returns how many were refused: unknown, not the functions'' to count, or with a wrong number of labels.';
grant execute on function public.record_metrics(p_samples jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text) is 'Notes that a mail was sent (with the provider''s id), was skipped because it is not true any more, was suppressed because its address takes none, or failed for good. A sent mail stays sent: false.';
grant execute on function public.record_notification_result(p_notification_id uuid, p_status text, p_recipient text, p_provider_id text, p_error text) to service_role;


CREATE OR REPLACE FUNCTION public.record_webhook_endpoint(p_livemode boolean, p_state text, p_endpoint_id text, p_differences text[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.record_webhook_endpoint(p_livemode boolean, p_state text, p_endpoint_id text, p_differences text[]) is 'Notes what Stripe says of the webhook endpoint at our address in the mode of the key. p_state: ok, disabled, changed (p_differences says how), missing (p_endpoint_id null), not_permitted (the key may not read endpoints). Alerts follow.';
grant execute on function public.record_webhook_endpoint(p_livemode boolean, p_state text, p_endpoint_id text, p_differences text[]) to service_role;


CREATE OR REPLACE FUNCTION public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer DEFAULT 1)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer) is 'Counts p_count refused webhook requests under (reason, address). p_source_ip null: address unknown. Past 10 000 rows, new addresses but Stripe''s are counted under ::.';
grant execute on function public.record_webhook_rejection(p_reason text, p_source_ip text, p_count integer) to service_role;


CREATE OR REPLACE FUNCTION public.redrive(p_event_ids text[], p_job_ids bigint[], p_type text, p_all boolean, p_dry_run boolean, p_actor text, p_again boolean DEFAULT false, p_after text DEFAULT NULL::text, p_limit integer DEFAULT NULL::integer)
 RETURNS redriven_item[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.redrive(p_event_ids text[], p_job_ids bigint[], p_type text, p_all boolean, p_dry_run boolean, p_actor text, p_again boolean, p_after text, p_limit integer) is 'Queues failed or dead events and jobs again (a failed job waits for its next try): the named ones, all of a type (event type or job kind), or all. Named events, and with p_again all events of the type, also when they were processed or ignored. p_dry_run: only lists them. Each is logged in staff_commands; p_actor names the tool, beside who is really connected. Tens of thousands take too long for one call: p_limit takes so many, by name ("event evt_…", "job 123"), behind p_after, the name of the last one before. Returns an array, which no limit on rows cuts.';
grant execute on function public.redrive(p_event_ids text[], p_job_ids bigint[], p_type text, p_all boolean, p_dry_run boolean, p_actor text, p_again boolean, p_after text, p_limit integer) to service_role;


CREATE OR REPLACE FUNCTION public.redrive_job(p_job_id bigint, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.redrive_job(p_job_id bigint, p_dry_run boolean, p_command_id uuid) is 'Queues a job again that was given up. Staff only.';
grant execute on function public.redrive_job(p_job_id bigint, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.redrive_job(p_job_id bigint, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.redrive_webhook_event(p_event_id text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.redrive_webhook_event(p_event_id text, p_dry_run boolean, p_command_id uuid) is 'Queues a webhook event again, whatever became of it: it is translated anew and its facts merged. Staff only.';
grant execute on function public.redrive_webhook_event(p_event_id text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.redrive_webhook_event(p_event_id text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.release_review(p_order_number text, p_note text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.release_review(p_order_number text, p_note text, p_dry_run boolean, p_command_id uuid) is 'Lets an order that is held for review ship. Releases what is known now; what turns up later holds it again. Staff only.';
grant execute on function public.release_review(p_order_number text, p_note text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.release_review(p_order_number text, p_note text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.remind_dispute(p_dispute_id text, p_days integer)
 RETURNS dispute_reminder
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.remind_dispute(p_dispute_id text, p_days integer) is 'Tells staff that evidence is due in p_days days, once for each deadline.';
grant execute on function public.remind_dispute(p_dispute_id text, p_days integer) to service_role;


CREATE OR REPLACE FUNCTION public.replace_webhook_addresses(p_addresses text[])
 RETURNS webhook_address_change
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.replace_webhook_addresses(p_addresses text[]) is 'Takes over Stripe''s published list of webhook addresses; a change is written down and told to staff. SHINV: the list is empty or has shrunk by more than half.';
grant execute on function public.replace_webhook_addresses(p_addresses text[]) to service_role;


CREATE OR REPLACE FUNCTION public.request_refund(p_order_number text, p_amount numeric DEFAULT NULL::numeric, p_reason text DEFAULT NULL::text, p_restock boolean DEFAULT false, p_lines jsonb DEFAULT NULL::jsonb, p_shipping boolean DEFAULT false, p_confirm boolean DEFAULT false, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.request_refund(p_order_number text, p_amount numeric, p_reason text, p_restock boolean, p_lines jsonb, p_shipping boolean, p_confirm boolean, p_dry_run boolean, p_command_id uuid) is 'Refunds an order: pieces (p_lines [{"sku", "quantity", "restock"}], with their share of discount and tax; p_shipping: and what was paid for delivery), an amount in minor units (alone or beside lines), or all that is left. restock: the pieces go back on the shelf once the refund has succeeded; with p_restock and neither lines nor amount, all do. Less than one unit of the currency needs p_confirm. p_dry_run tells what would happen. Staff only.';
grant execute on function public.request_refund(p_order_number text, p_amount numeric, p_reason text, p_restock boolean, p_lines jsonb, p_shipping boolean, p_confirm boolean, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.request_refund(p_order_number text, p_amount numeric, p_reason text, p_restock boolean, p_lines jsonb, p_shipping boolean, p_confirm boolean, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.rescue_facts(p_facts jsonb, p_observed_at timestamp with time zone, p_dated_at timestamp with time zone)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.rescue_facts(p_facts jsonb, p_observed_at timestamp with time zone, p_dated_at timestamp with time zone) is 'Merges what an object of Stripe''s says, read at p_observed_at, and settles. p_dated_at: when the object was made; made before the database was lost, its effects are taken as had. Returns how many facts were ours.';
grant execute on function public.rescue_facts(p_facts jsonb, p_observed_at timestamp with time zone, p_dated_at timestamp with time zone) to service_role;


CREATE OR REPLACE FUNCTION public.rescue_order(p_order jsonb, p_fact jsonb)
 RETURNS rescued_order
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.rescue_order(p_order jsonb, p_fact jsonb) is 'Makes the order of a session at Stripe, or a later attempt of one that the backup has, and notes the session as it was when it was made (p_fact). p_order: { id, number, attempt, account_id, currency, livemode, email, locale, ui_mode, prices_include_tax, shipping_rates, created, expires_at, open, lines: [{ variant_id, sku, name, quantity, unit_amount, tax_code }] }; times in seconds. Repeating it changes nothing.';
grant execute on function public.rescue_order(p_order jsonb, p_fact jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.rescue_refund(p_refund jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.rescue_refund(p_refund jsonb) is 'Notes that a refund at Stripe was asked for here, before anything of it is settled: { request_id, order_id, payment_id, amount, created, cause, whole, restock, lines: [{ sku, quantity, restock }] }, as its metadata has it. So it is not asked for again, and its goods go where they went. Returns whether that was news. SHSKU, SHINV: lines that the order does not have.';
grant execute on function public.rescue_refund(p_refund jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.rescue_stripe_event(p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text)
 RETURNS event_outcome
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.rescue_stripe_event(p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text) is 'Stores and applies an event that the restored database does not know; it leaves no row in the drift log.';
grant execute on function public.rescue_stripe_event(p_event jsonb, p_facts jsonb, p_ignored_reason text, p_error text) to service_role;


CREATE OR REPLACE FUNCTION public.resend_notification(p_order_number text, p_template text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.resend_notification(p_order_number text, p_template text, p_dry_run boolean, p_command_id uuid) is 'Mails a template that the order has had before once more, if what it says is still true. Staff only.';
grant execute on function public.resend_notification(p_order_number text, p_template text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.resend_notification(p_order_number text, p_template text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.resolve_alert(p_alert_id uuid, p_note text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.resolve_alert(p_alert_id uuid, p_note text, p_dry_run boolean, p_command_id uuid) is 'Nothing is left to do about an alert. Happening again, it opens again. Staff only.';
grant execute on function public.resolve_alert(p_alert_id uuid, p_note text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.resolve_alert(p_alert_id uuid, p_note text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer) is 'Replaces an attempt that Stripe never carried out (its expires_at had come too near), or whose session has expired, by the next one, if the velocity rules let it. Same answer as begin_checkout(): existing or velocity_exceeded. SHORD, SHSTK, SHCLO.';
grant execute on function public.restart_checkout_attempt(p_order_id uuid, p_attempt integer, p_session_seconds integer, p_hold_seconds integer) to service_role;


CREATE OR REPLACE FUNCTION public.resume_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text DEFAULT NULL::text, p_client_ip text DEFAULT NULL::text, p_supersede boolean DEFAULT true, p_livemode boolean DEFAULT NULL::boolean)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET plan_cache_mode TO 'force_generic_plan';
comment on function public.resume_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text, p_client_ip text, p_supersede boolean, p_livemode boolean) is 'Opens an unpaid order again, on a hosted page. existing: the snapshot of an attempt that can be paid, a new one at today''s prices when the last has expired or failed; paid: { session_id } for the success page; cancelled, also for an order of the other mode than p_livemode; superseded: expire session_ids at Stripe, then ask again with p_supersede false; velocity_exceeded. p_velocity_mode null: that of the last attempt. SHORD: no such order. SHSTK: sold out. SHCLO: checkout is closed.';
grant execute on function public.resume_checkout(p_order_id uuid, p_session_seconds integer, p_hold_seconds integer, p_velocity_mode text, p_client_ip text, p_supersede boolean, p_livemode boolean) to service_role;


CREATE OR REPLACE FUNCTION public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text)
 RETURNS event_outcome
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET plan_cache_mode TO 'force_generic_plan';
comment on function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text) is 'Tries a stored event again with a fresh translation of its payload. duplicate: it has been applied meanwhile, and nobody asked for it to be applied anew. SHEVT: no such event.';
grant execute on function public.retry_stripe_event(p_event_id text, p_facts jsonb, p_ignored_reason text, p_error text) to service_role;


CREATE OR REPLACE FUNCTION public.set_alert_rule(p_kind text, p_threshold numeric DEFAULT NULL::numeric, p_minimum integer DEFAULT NULL::integer, p_window_seconds integer DEFAULT NULL::integer, p_severity text DEFAULT NULL::text, p_enabled boolean DEFAULT NULL::boolean, p_quiet_hours text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.set_alert_rule(p_kind text, p_threshold numeric, p_minimum integer, p_window_seconds integer, p_severity text, p_enabled boolean, p_quiet_hours text, p_dry_run boolean, p_command_id uuid) is 'Changes an alert rule of private.alert_rules; what is left out stays. p_quiet_hours: 22:00-07:00 in the shop''s time zone, or none. Staff only.';
grant execute on function public.set_alert_rule(p_kind text, p_threshold numeric, p_minimum integer, p_window_seconds integer, p_severity text, p_enabled boolean, p_quiet_hours text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.set_alert_rule(p_kind text, p_threshold numeric, p_minimum integer, p_window_seconds integer, p_severity text, p_enabled boolean, p_quiet_hours text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.set_price(p_sku text, p_price_amount numeric, p_confirm boolean DEFAULT false, p_currency text DEFAULT NULL::text, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.set_price(p_sku text, p_price_amount numeric, p_confirm boolean, p_currency text, p_dry_run boolean, p_command_id uuid) is 'Gives a SKU another price, in minor units of its currency, or of p_currency: a price in a further currency. For checkouts from now on. Less than one unit of the currency needs p_confirm. Staff only.';
grant execute on function public.set_price(p_sku text, p_price_amount numeric, p_confirm boolean, p_currency text, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.set_price(p_sku text, p_price_amount numeric, p_confirm boolean, p_currency text, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.submit_dispute_evidence(p_dispute_id text, p_note text DEFAULT NULL::text, p_acknowledge_fee boolean DEFAULT false, p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE sql
 SET search_path TO '';
comment on function public.submit_dispute_evidence(p_dispute_id text, p_note text, p_acknowledge_fee boolean, p_dry_run boolean, p_command_id uuid) is 'Sends the evidence assembled from the order, and the note, to the bank. Final: Stripe takes evidence once. p_acknowledge_fee: a compliance dispute costs 500 USD unless it is won, and is not fought without. Staff only.';
grant execute on function public.submit_dispute_evidence(p_dispute_id text, p_note text, p_acknowledge_fee boolean, p_dry_run boolean, p_command_id uuid) to authenticated;
grant execute on function public.submit_dispute_evidence(p_dispute_id text, p_note text, p_acknowledge_fee boolean, p_dry_run boolean, p_command_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.take_alert_message(p_alert_id uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.take_alert_message(p_alert_id uuid) is 'The message that a send_alert job is to send: all that is news about the kind of its alert (outcome tell, see alert_message()); wait: another worker is at it, or the last one is not alert_group_minutes old; told: nothing is news. Whoever takes it says with record_alert_message() that it went out.';
grant execute on function public.take_alert_message(p_alert_id uuid) to service_role;


CREATE OR REPLACE FUNCTION public.take_rate_limits(p_buckets jsonb)
 RETURNS limit_decision
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.take_rate_limits(p_buckets jsonb) is 'Counts one request in each bucket [{ key, limit, window_seconds }].';
grant execute on function public.take_rate_limits(p_buckets jsonb) to service_role;


CREATE OR REPLACE FUNCTION public.unsubscribe_reminders(p_email_hmac text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO '';
comment on function public.unsubscribe_reminders(p_email_hmac text) is 'Ends reminders for the address with this private.email_hmac(). A second time changes nothing.';
grant execute on function public.unsubscribe_reminders(p_email_hmac text) to service_role;


CREATE OR REPLACE FUNCTION reporting.find_order(p_text text)
 RETURNS SETOF reporting.order_overview
 LANGUAGE plpgsql
 STABLE ROWS 20
 SET search_path TO '';
comment on function reporting.find_order(p_text text) is 'Orders by what a customer says: order number (with or without its prefix), SKU, e-mail address in any case, part of a name, the last four digits of the card, or a phone number (seven digits at least) however it is written. The newest fifty, as in reporting.order_overview.';
grant execute on function reporting.find_order(p_text text) to authenticated;
grant execute on function reporting.find_order(p_text text) to service_role;


default grants of postgres on f: {postgres=X/postgres}
