-- How long what is kept of people, and why, in one table that can be shown to them.

create view private.retention_periods with (security_invoker = true) as
select x.data,
  coalesce((private.setting(x.setting) #>> '{}') || ' days', x.kept) as kept,
  x.setting, x.reason, x.tables
from (values
  (
    'paid orders: names, addresses, payment pages, mails', 'until erasure is asked for', null,
    'contract and bookkeeping (GDPR art. 6(1)(b), (c))',
    array[
      'public.orders', 'public.checkout_sessions', 'public.payment_attempts', 'public.notifications',
      'public.returns', 'public.shipments', 'public.refund_requests', 'public.customers',
      'private.stripe_customers', 'public.fraud_signals'
    ]
  ),
  (
    'paid orders: amounts, ids, accepted terms', 'for good', null,
    'bookkeeping, legal claims (GDPR art. 6(1)(c), 17(3)(e))', array['public.order_terms']
  ),
  (
    'consent to promotional mails', 'until erasure is asked for', null,
    'proof of the consent (GDPR art. 7(1))', array['public.checkout_sessions']
  ),
  (
    'orders that were never paid', null, 'retention_unpaid_days',
    'steps before a contract, not needed after them (GDPR art. 5(1)(e), 6(1)(b))', array['public.orders']
  ),
  (
    'events of Stripe as received', null, 'retention_payload_days',
    'repair of what was applied wrongly (GDPR art. 6(1)(f))', array['public.webhook_events']
  ),
  (
    'events of Stripe about strangers', null, 'retention_foreign_days',
    'until it is known whose they are (GDPR art. 5(1)(c))', array['public.webhook_events']
  ),
  (
    'events of Stripe: type, outcome, errors', null, 'retention_event_days',
    'operation of the shop (GDPR art. 6(1)(f))', array['public.webhook_events']
  ),
  (
    'signs of misuse without a paid order', null, 'retention_signal_days',
    'prevention of fraud (GDPR recital 47)', array['public.fraud_signals']
  ),
  (
    'network addresses of refused webhooks', null, 'retention_log_days',
    'security of the systems (GDPR recital 49)', array['public.webhook_rejections']
  ),
  (
    'counters of the rate limits', 'two days', null,
    'security of the systems (GDPR recital 49)', array['private.rate_limits']
  ),
  (
    'resolved alerts, repairs', null, 'retention_alert_days',
    'operation of the shop (GDPR art. 6(1)(f))', array['public.alerts', 'public.reconciliation_drift']
  ),
  (
    'work that waits or has failed', 'until it is done, or the retention of its kind', null,
    'contract (GDPR art. 6(1)(b))', array['private.jobs', 'private.circuit_breakers']
  ),
  (
    'the audit trail', 'for good; a person''s words until erasure is asked for', null,
    'accountability and bookkeeping (GDPR art. 5(2), 6(1)(c))',
    array['public.order_events', 'public.staff_commands', 'public.inventory_journal']
  )
) as x (data, kept, setting, reason, tables);
comment on view private.retention_periods is
  'What is kept of people, how long and on which legal ground; tables: where it is (retention_rules says '
  'it by column). Who operates the shop checks the grounds against the law of their country.';
