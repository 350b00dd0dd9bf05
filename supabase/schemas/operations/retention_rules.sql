-- Where personal data is, and how long it stays.

-- private.retention_rules lists every column that can hold text. A test holds it against the schema, so that
-- a new column is judged the day it appears. Erasing empties what is `person` by hand (erasure.sql), and
-- searches what is `text`.

create table private.retention_rules (
  table_name text not null,
  columns text[] not null,
  holds text not null,
  kept text not null,
  ended_by text not null,
  constraint retention_rules_pkey primary key (table_name, holds),
  constraint retention_rules_holds_known check (holds in ('person', 'text', 'nothing'))
);
comment on table private.retention_rules is
  'What each table holds of people, and for how long. holds: person (names, addresses, what identifies '
  'somebody; emptied by erasure), text (written by people or providers: may mention somebody, so erasure '
  'searches it), nothing (ids, closed sets of words, figures, the catalogue).';
comment on column private.retention_rules.kept is 'How long: a setting, an event, or for good.';
comment on column private.retention_rules.ended_by is 'The functions that remove it.';
alter table private.retention_rules enable row level security;

insert into private.retention_rules (table_name, columns, holds, kept, ended_by) values
  ('public.orders',
    '{email,customer_name,phone,shipping_name,shipping_address,billing_address,purchase_ip,user_agent,'
    'idempotency_key}', 'person',
    'paid: as bookkeeping law wants, until erased; never paid: retention_unpaid_days',
    'erase_person(), forget_unpaid_orders()'),
  ('public.returns', '{reason}', 'text', 'with the order', 'erase_person()'),
  ('public.returns', '{status,refund_request_id}', 'nothing', 'for good', ''),
  ('public.refund_lines', '{request_id,refund_id}', 'nothing', 'for good', ''),
  ('public.shipments', '{carrier,tracking_number,tracking_url}', 'text', 'with the order', 'erase_person()'),
  (
    'public.orders',
    '{number,locale,status,fulfillment_status,currency,cart_hash,ui_mode,shipping_rates,session_id,'
    'payment_id,decided_payment_id,asked_currency,asked_country}',
    'nothing', 'for good', ''
  ),
  ('public.order_risk', '{velocity_mode,three_d_secure,review_reasons}', 'nothing', 'with the order', ''),
  (
    'public.checkout_sessions',
    '{email,name,phone,shipping_name,shipping_address,billing_address,business,promotions_consent,url,'
    'version,contact_version}',
    'person',
    'with the order', 'erase_orders()'
  ),
  (
    'public.checkout_sessions',
    '{id,status,payment_status,payment_id,stripe_customer_id,currency,cart_hash,recovered_from,'
    'terms_consent,presentment_currency}',
    'nothing',
    'for good', ''
  ),
  ('public.order_terms', '{version}', 'nothing', 'for good', ''),
  ('private.terms_texts', '{version,refund_policy,cancellation_policy}', 'nothing', 'for good', ''),
  ('public.customers', '{email,name}', 'person', 'until erased', 'erase_person()'),
  ('public.customers', '{stripe_customer_id}', 'nothing', 'until erased', 'erase_person()'),
  ('private.stripe_customers', '{email,name,version}', 'person', 'until erased', 'erase_person()'),
  ('private.stripe_customers', '{id}', 'nothing', 'for good: what comes later must be known as erased', ''),
  (
    'public.payments',
    '{id,status,currency,stripe_customer_id,charge_id,failure_code,decline_code,payment_method_type,'
    'card_brand,card_last4,card_country,risk_level,three_d_secure_result,presentment_currency,version}',
    'nothing', 'for good', ''
  ),
  (
    'public.payment_attempts', '{card_fingerprint,receipt_url,version}', 'person', 'with the order',
    'erase_orders()'
  ),
  ('public.payment_attempts', '{seller_message}', 'text', 'with the order', 'erase_person()'),
  (
    'public.payment_attempts',
    '{id,payment_id,outcome,currency,failure_code,decline_code,advice_code,payment_method_type,card_brand,'
    'card_last4,card_funding,card_country,three_d_secure_result,risk_level,presentment_currency}',
    'nothing', 'for good', ''
  ),
  ('public.notifications', '{recipient}', 'person', 'with the order', 'erase_orders()'),
  ('public.notifications', '{last_error,data}', 'text', 'with the order', 'erase_person()'),
  ('public.notifications', '{template,dedupe_key,status,provider_id}', 'nothing', 'for good', ''),
  ('private.unchecked_orders', '{violations}', 'nothing', 'until it is true again', ''),
  ('private.alert_lulls', '{kind}', 'nothing', 'for good', ''),
  ('private.alert_rules', '{kind,unit,severity,description}', 'nothing', 'for good', ''),
  ('private.alert_incidents', '{kind}', 'nothing', 'for good', ''),
  ('public.mail_suppressions', '{email_hmac,reason}', 'nothing',
    'for good, under a keyed digest: whoever was erased stays unsubscribed', ''),
  ('public.order_events', '{data}', 'text', 'with the order', 'erase_person()'),
  ('public.order_events', '{kind,source}', 'nothing', 'for good', ''),
  ('public.staff_commands', '{args,result}', 'text', 'for good, as the audit log', 'erase_person()'),
  ('public.staff_commands', '{command,actor}', 'nothing', 'for good', ''),
  (
    'public.webhook_events', '{payload}',
    'person', 'retention_payload_days; of strangers retention_foreign_days',
    'purge_payloads(), erase_person()'
  ),
  (
    'public.webhook_events', '{last_error}', 'text', 'retention_event_days',
    'purge_events(), erase_person()'
  ),
  (
    'public.webhook_events', '{id,type,status,api_version,ignored_reason,source_ip,object_id}',
    'nothing', 'retention_event_days; source_ip is Stripe''s', 'purge_events()'
  ),
  ('private.purged_webhook_events', '{id}', 'nothing', 'for good: a late delivery must be known', ''),
  ('public.webhook_rejections', '{source_ip}', 'person', 'retention_log_days', 'purge_old_data()'),
  ('public.webhook_rejections', '{reason}', 'nothing', 'retention_log_days', 'purge_old_data()'),
  (
    'public.fraud_signals', '{data,source_id}',
    'person', 'velocity hits that no paid order has: retention_signal_days', 'purge_signals(), erase_orders()'
  ),
  (
    'public.fraud_signals', '{payment_id,charge_id,kind,severity,answer,version}',
    'nothing', 'with the order', ''
  ),
  (
    'public.alerts', '{data,dedupe_key}', 'text', 'resolved: retention_alert_days',
    'purge_alerts(), erase_person()'
  ),
  ('public.alerts', '{kind,severity,status}', 'nothing', 'resolved: retention_alert_days', 'purge_alerts()'),
  ('public.inventory_journal', '{note}', 'text', 'for good, as the journal', 'erase_person()'),
  ('public.inventory_journal', '{kind,actor}', 'nothing', 'for good', ''),
  ('public.refund_requests', '{problem}', 'text', 'with the order', 'erase_person()'),
  ('public.refund_requests', '{id,payment_id,cause,status}', 'nothing', 'for good', ''),
  (
    'public.refunds',
    '{id,payment_id,charge_id,currency,presentment_currency,status,reason,failure_reason,request_id,version}',
    'nothing', 'for good', ''
  ),
  ('public.refund_reasons', '{refund_id,reason}', 'nothing', 'for good', ''),
  (
    'public.disputes',
    '{id,payment_id,charge_id,currency,reason,status,statuses_seen,network_reason_code,version}', 'nothing',
    'for good', ''
  ),
  ('public.dispute_decisions', '{dispute_id,round,decision,reason}', 'nothing', 'for good', ''),
  ('public.reconciliation_drift', '{before,after}', 'text', 'retention_alert_days', 'purge_old_data()'),
  ('public.reconciliation_drift', '{kind,object_id}', 'nothing', 'retention_alert_days', 'purge_old_data()'),
  ('public.order_items', '{sku,name,tax_code}', 'nothing', 'for good', ''),
  ('public.products', '{slug,name,description,image_url,tax_code}', 'nothing', 'for good', ''),
  (
    'public.product_variants', '{sku,size,color,currency,stripe_price_id,image_url}', 'nothing', 'for good',
    ''
  ),
  ('public.variant_prices', '{currency}', 'nothing', 'for good', ''),
  ('public.inventory_reservations', '{status}', 'nothing', 'for good', ''),
  ('public.shipping_rates', '{name,currency,countries,tax_code}', 'nothing', 'for good', ''),
  ('public.stripe_webhook_ips', '{address}', 'nothing', 'as Stripe publishes them', ''),
  (
    'private.jobs', '{payload,last_error}', 'text', 'the retention of its kind',
    'purge_jobs(), erase_person()'
  ),
  ('private.jobs', '{kind,dedupe_key,status,worker}', 'nothing', 'the retention of its kind', 'purge_jobs()'),
  ('private.rate_limits', '{key}', 'person', 'two days', 'take_rate_limits(), purge_old_data()'),
  ('private.circuit_breakers', '{reason}', 'text', 'until the provider is back', 'erase_person()'),
  ('private.audited_tables', '{name,numbered_by,texts}', 'nothing', 'for good', ''),
  ('private.audit_unsealed', '{table_name}', 'nothing', 'until it is sealed', 'seal_audit_trail()'),
  ('private.audit_leaves', '{table_name}', 'nothing', 'for good', ''),
  ('private.carriers', '{name,tracking_url}', 'nothing', 'for good', ''),
  ('private.circuit_breakers', '{provider}', 'nothing', 'for good', ''),
  ('private.disposable_email_domains', '{domain}', 'nothing', 'for good', ''),
  ('private.heartbeats', '{name}', 'nothing', 'for good', ''),
  ('private.job_kinds', '{kind,provider,description}', 'nothing', 'for good', ''),
  ('private.metrics', '{name,type,unit,labels,allowed,counted_by,help}', 'nothing', 'for good', ''),
  ('private.metric_samples', '{metric,labels}', 'nothing', 'until the next heartbeat', 'fold_metrics()'),
  ('private.metric_series', '{metric,labels}', 'nothing', 'for good', ''),
  ('private.objectives', '{name,functions,description}', 'nothing', 'for good', ''),
  ('private.objective_days', '{objective}', 'nothing', 'for good', ''),
  ('private.periodic_jobs', '{kind}', 'nothing', 'for good', ''),
  ('private.raised_alerts', '{dedupe_key}', 'nothing', 'for good', ''),
  ('private.reconciliation_cursors', '{name}', 'nothing', 'for good', ''),
  ('private.released_mismatches', '{session_id,reason}', 'nothing', 'with the order', ''),
  ('private.retention_rules', '{table_name,columns,holds,kept,ended_by}', 'nothing', 'for good', ''),
  ('private.settings', '{key,value,description}', 'nothing', 'for good', ''),
  ('private.velocity_rule_sets', '{digest,rules}', 'nothing', 'for good', ''),
  ('private.velocity_rules', '{name,subject,measure,currency,action,alert,description}', 'nothing',
    'for good', ''),
  ('private.webhook_address_changes', '{added,removed}', 'nothing', 'for good: addresses of Stripe''s', ''),
  ('private.webhook_endpoint_states', '{state,endpoint_id,differences}', 'nothing',
    'until the next look at Stripe', '');
