-- Every metric, once. docs/operations.md and docs/monitoring.md follow it, and tests compare.

insert into private.metrics (name, type, unit, labels, allowed, bounds, counted_by, help) values
  (
    'request_duration_seconds', 'histogram', 'seconds', '{function,outcome}', '{
      "function": ["create-checkout-session", "health", "mail-webhook", "order-status", "resume-checkout",
        "retry-jobs", "stripe-webhook", "unsubscribe"],
      "outcome": ["ok", "refused", "limited", "failed"]
    }', '{0.05,0.1,0.25,0.5,1,2.5,5,10}', 'functions',
    'How long requests took. refused: answered 4xx, limited: 429, failed: 5xx.'
  ),
  (
    'checkouts', 'counter', null, '{result}', '{"result": [
      "created", "repeated", "busy", "checkout_closed", "checkout_refused", "conflict",
      "currency_unavailable", "database_unavailable", "idempotency_conflict", "insufficient_stock",
      "internal_error", "invalid_request", "origin_not_allowed", "rate_limited", "shipping_unavailable",
      "stripe_unavailable", "unauthorized", "unknown_sku", "velocity_exceeded"
    ]}', null, 'functions',
    'Checkouts by result: a payment page (created, or repeated for the same key), or the error code.'
  ),
  (
    'rate_limit_decisions', 'counter', null, '{limiter,decision}', '{
      "limiter": ["upstash", "postgres", "memory"], "decision": ["allowed", "refused", "failed"]
    }', null, 'functions',
    'What the rate limiters decided. failed: it did not answer, the next one was asked.'
  ),
  (
    'webhook_senders', 'counter', null, '{membership}',
    '{"membership": ["listed", "unlisted", "unknown"]}', null, 'functions',
    'Callers of stripe-webhook by Stripe''s list of addresses. unknown: the list could not be read.'
  ),
  (
    'webhook_deliveries', 'counter', null, '{type,outcome}',
    '{"outcome": ["applied", "duplicate", "ignored", "queued"]}', null, 'database',
    'Authentic deliveries of Stripe by type of event and outcome. Types that nobody listens to are "other".'
  ),
  (
    'webhook_refusals', 'counter', null, '{reason}', '{"reason": [
      "missing_signature", "invalid_signature", "timestamp_out_of_tolerance", "invalid_payload",
      "ip_not_allowed", "body_too_large", "request_timeout", "rate_limited"
    ]}', null, 'database', 'Requests that stripe-webhook turned away.'
  ),
  (
    'webhook_lag_seconds', 'histogram', 'seconds', '{source}', '{"source": ["delivered", "fetched"]}',
    '{1,2,5,10,30,60,300,3600}', 'database',
    'From when an event happened at Stripe to when its facts were first applied.'
  ),
  (
    'payment_attempts', 'counter', null, '{outcome}',
    '{"outcome": ["succeeded", "failed", "blocked", "pending"]}', null, 'database',
    'Tries to pay, by outcome.'
  ),
  (
    'declines', 'counter', null, '{class}', '{"class": [
      "funds", "details", "card", "authentication", "issuer", "fraud", "technical"
    ]}', null, 'database', 'Tries to pay that were declined or blocked, by class of the decline code.'
  ),
  (
    'three_d_secure', 'counter', null, '{result}', '{"result": [
      "authenticated", "attempt_acknowledged", "exempted", "failed", "not_supported", "processing_error"
    ]}', null, 'database', 'Tries to pay that 3D Secure had a word in, by its result.'
  ),
  ('payments', 'counter', null, '{}', '{}', null, 'database', 'Payments that succeeded.'),
  (
    'refunds', 'counter', null, '{status}', '{"status": ["succeeded", "failed"]}', null, 'database',
    'Refunds by what became of them. One that succeeded and bounced counts in both.'
  ),
  (
    'disputes', 'counter', null, '{status}', '{"status": [
      "warning_needs_response", "warning_under_review", "warning_closed", "needs_response", "under_review",
      "appeal_needs_response", "appeal_under_review", "won", "lost", "prevented"
    ]}', null, 'database', 'How many disputes were ever seen in each status of Stripe''s.'
  ),
  (
    'jobs', 'counter', null, '{kind,outcome}',
    '{"outcome": ["done", "discarded", "retried", "dead", "lost"]}', null, 'database',
    'Ends of jobs. retried: they wait for another try; lost: their worker died.'
  ),
  (
    'job_wait_seconds', 'histogram', 'seconds', '{kind}', '{}', '{1,5,15,60,300,900,3600}', 'database',
    'How long jobs were due when a worker took them.'
  ),
  (
    'mails', 'counter', null, '{template,outcome}', '{"outcome": [
      "queued", "sent", "delivered", "bounced", "complained", "suppressed", "failed", "skipped"
    ]}', null, 'database', 'Mails to customers, each time their status changed or they were delivered.'
  ),
  (
    'mail_delay_seconds', 'histogram', 'seconds', '{}', '{}', '{5,15,60,300,900,3600}', 'database',
    'From when a mail was queued to when its provider took it.'
  ),
  (
    'reconciliation_drift', 'counter', null, '{kind}', '{"kind": [
      "missed_event", "checkout_session", "payment", "charge", "refund", "dispute", "review",
      "early_fraud_warning"
    ]}', null, 'database', 'Repairs: what Stripe knew and the shop did not.'
  ),
  (
    'provider_breaker_openings', 'counter', null, '{provider}', '{}', null, 'database',
    'How often a provider''s circuit breaker opened.'
  ),
  (
    'objective_events', 'counter', null, '{objective,result}', '{
      "objective": ["checkout", "webhook", "mail", "page", "stock"], "result": ["good", "bad"]
    }', null, 'database', 'What counts for each service level objective, and whether it was met.'
  ),
  (
    'objective_target_ratio', 'gauge', 'ratio', '{objective}', '{}', null, 'database',
    'The share that is to be good.'
  ),
  (
    'provider_breaker_open', 'gauge', null, '{provider}', '{}', null, 'database',
    '1 while a provider''s circuit breaker is open.'
  ),
  (
    'provider_failures', 'gauge', null, '{provider}', '{}', null, 'database',
    'Failures in a row since the provider last answered.'
  ),
  (
    'stock_held_pieces', 'gauge', 'pieces', '{}', '{}', null, 'database',
    'Pieces that open checkouts hold.'
  ),
  (
    'stock_low_articles', 'gauge', 'articles', '{}', '{}', null, 'database',
    'Articles on sale with at most low_stock_at pieces to sell.'
  );

-- A monitor sees a counter rise only from a value that it has seen: series that are known begin at zero.
insert into private.metric_series (metric, labels, bucket, count, total)
select m.name, array[]::text[], 0, 0, 0
from private.metrics m where m.type <> 'gauge' and m.labels = '{}'
union all
select m.name, array[a.value], 0, 0, 0
from private.metrics m, jsonb_array_elements_text(m.allowed -> m.labels[1]) a
where cardinality(m.labels) = 1 and m.allowed ?& m.labels
union all
select m.name, array[a.value, b.value], 0, 0, 0
from private.metrics m, jsonb_array_elements_text(m.allowed -> m.labels[1]) a,
  jsonb_array_elements_text(m.allowed -> m.labels[2]) b
where cardinality(m.labels) = 2 and m.allowed ?& m.labels;

-- Figures of get_health(), as a monitor sees them: check and figure, times as seconds since 1970.
insert into private.metrics (name, type, unit, counted_by, help)
select f.name, 'gauge', substring(f.name from '_(seconds)$'), 'health', f.help
from (values
  ('database_latency_seconds', 'One call to the database, there and back.'),
  ('webhooks_failed', 'Events that could not be applied and are tried again; at most 1000.'),
  ('webhooks_dead', 'Events that were given up; at most 1000.'),
  ('webhooks_lag_p50_seconds', 'From Stripe to here, half of the last 500 of the hour.'),
  ('webhooks_lag_p95_seconds', 'From Stripe to here, 95 % of the last 500 of the hour.'),
  ('webhooks_last_delivered_timestamp_seconds', 'When Stripe last delivered an event.'),
  ('webhooks_last_fetched_timestamp_seconds', 'When reconciliation last fetched an event.'),
  ('webhooks_rejections', 'Refused requests, as far back as they are kept.'),
  ('webhooks_last_rejected_timestamp_seconds', 'When a request was last refused.'),
  ('webhooks_endpoint_checked_timestamp_seconds', 'When the endpoint at Stripe was last looked at.'),
  ('jobs_due', 'Jobs that wait and are due; at most 1000.'),
  ('jobs_running', 'Jobs that a worker has; at most 1000.'),
  ('jobs_dead', 'Jobs that were given up; at most 1000.'),
  ('jobs_oldest_due_seconds', 'How long the oldest job has been due.'),
  ('jobs_last_run_timestamp_seconds', 'When retry-jobs was last called.'),
  ('providers_down', 'Providers whose circuit breaker is open.'),
  ('reconciliation_events_read_to_timestamp_seconds', 'Up to when Stripe''s events have been read.'),
  ('reconciliation_drift_last_hour', 'Repairs of the last hour that Stripe has not delivered since.'),
  ('reconciliation_repairs_last_day', 'Repairs of the last day; at most 1000.'),
  ('schedule_runs_failed', 'Failed runs of pg_cron within the hour.'),
  ('schedule_last_run_timestamp_seconds', 'When pg_cron last ran.'),
  ('schedule_calls', 'Calls of pg_net within 15 minutes.'),
  ('schedule_calls_failed', 'Failed calls of pg_net within 15 minutes.'),
  ('stock_leaks', 'Reservations that hold goods an hour too long; at most 1000.'),
  ('mail_queued', 'Mails that wait; at most 1000.'),
  ('mail_oldest_queued_seconds', 'How long the oldest mail has waited.'),
  ('mail_failed_last_day', 'Mails of the last day that did not arrive; at most 1000.'),
  ('limiter_keys_last_minute', 'Keys that the limiter in the database counted within a minute.'),
  ('audit_unsealed', 'Rows of the audit trail that wait for their seal; at most 1000.'),
  ('audit_seals', 'Seals of the audit trail.'),
  ('alerts_open', 'Alerts that nobody has acknowledged.'),
  ('alerts_critical', 'Critical ones among them.')
) f (name, help);
