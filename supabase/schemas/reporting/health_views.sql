-- What goes on behind the orders: alerts, webhooks, strangers, repairs.

create view reporting.open_alerts with (security_invoker = true) as
select a.kind, a.severity, a.status, a.data ->> 'order_number' as order_number,
  coalesce(g.what_to_do, a.data ->> 'action', 'See docs/runbook.md.') as what_to_do, a.count, a.first_at,
  a.last_at, a.data, a.id
from public.alerts a
left join (values
  ('admin_without_mfa', 'They set up a second factor; ADMIN_REQUIRE_MFA=true makes everybody.'),
  ('alert_rule_failed', 'A rule cannot be measured: data says why. Tell your developer.'),
  ('audit_trail_broken', 'select * from check_audit_chain() lists what was changed; find out who could.'),
  ('cancelled_order_paid', 'Nothing: all of it is refunded. resolve_alert().'),
  ('checkout_errors', 'Shoppers get no payment page: deno task doctor, then the functions log.'),
  ('checkout_refused', 'Stripe refuses to sell: fix what data names, then resolve_alert().'),
  ('decline_rate', 'Look at reporting.payment_health and reporting.suspicious_activity.'),
  ('dispute_closed', 'Won: nothing. Lost, and the goods are still here: cancel_order().'),
  ('dispute_due', 'The deadline is near: submit_dispute_evidence() or accept_dispute().'),
  ('dispute_escalated', 'It has become a chargeback with a deadline of its own: submit_dispute_evidence().'),
  ('dispute_opened', 'submit_dispute_evidence() before the deadline in reporting.disputes_due.'),
  ('dispute_ratio', 'Look at reporting.disputes_due; refund early fraud warnings, hold what looks odd.'),
  ('duplicate_payment', 'Nothing: the second payment is refunded. resolve_alert().'),
  ('early_fraud_warning', 'cancel_order() refunds before a dispute comes; or release_review().'),
  ('erasure_done', 'Nothing, if it was meant.'),
  ('heartbeat_part_failed', 'A part of each minute''s work fails: data says why. Tell your developer.'),
  ('invariant_violated', 'Data names what is not true: call your developer, and ship none of these orders.'),
  ('job_backlog', 'retry-jobs does not keep up: deno task doctor.'),
  ('job_blocked', 'A job waits for somebody: data says for what.'),
  ('job_dead', 'Remove the cause in data, then: deno task redrive with its job_id.'),
  ('job_discarded', 'It was not done and will not be: data says why.'),
  ('key_mode_changed', 'Nothing, if it was meant; else set STRIPE_SECRET_KEY anew.'),
  ('large_refund', 'Nothing, if it was meant; else ask who made it.'),
  ('mail_bouncing', 'See the mail provider''s dashboard for the cause.'),
  ('mail_failed', 'Remove the cause at the mail provider, then resend_notification().'),
  ('method_outage', 'See Stripe''s status page. Shoppers may pay in another way.'),
  ('order_country_mismatch', 'Look at the order before it is sent; cancel_order() refunds it.'),
  ('order_high_value', 'Look at the order before it is sent; cancel_order() refunds it.'),
  ('order_many_pieces', 'Look at the order before it is sent; cancel_order() refunds it.'),
  ('oversold', 'Nothing: it is refunded. Compare the stock with the shelf: count_inventory().'),
  ('payment_mismatch', 'Compare with Stripe''s dashboard: release_review() or cancel_order().'),
  ('payment_outage', 'See Stripe''s status page. Shoppers may try again.'),
  ('provider_down', 'Wait: what it should do is tried again. Look at the provider''s status page.'),
  ('provider_unauthorized', 'A key was revoked or is wrong: set it anew, then deno task setup.'),
  ('reconciliation_drift', 'Deliveries fail: look at the webhook endpoint in Stripe''s dashboard.'),
  ('refund_delayed', 'Add funds to the Stripe balance if sales do not fill it. It is tried again.'),
  ('refund_failed', 'request_refund() again, or pay in another way and resolve_alert().'),
  ('refund_overtaken', 'Should the customer get both refunds: request_refund() anew.'),
  ('refund_refused', 'Ask for another amount, or pay in another way and resolve_alert().'),
  ('refund_spike', 'Look at reporting.refunds_daily: a faulty article, or somebody who should not.'),
  ('refunds_by_one', 'Ask them; staff_commands has each.'),
  ('review', 'Look at the payment: release_review() or cancel_order().'),
  ('scheduler_silent', 'Find out why nobody called retry-jobs: docs/operations.md says where to look.'),
  ('signature_failures', 'A wrong secret: copy it again from the endpoint into STRIPE_WEBHOOK_SECRETS.'),
  ('stock_held', 'A rush, or somebody keeps stock from others: look at reporting.abandoned_checkouts.'),
  ('stock_leak', 'Settle the order that data names; deno task reconcile.'),
  ('stripe_health', 'Look at Health in Stripe''s Workbench. Shoppers may try again.'),
  ('unknown_stripe_value', 'Nothing at once: tell your developer.'),
  ('unsellable_price', 'set_price() with what Stripe takes, or retire the article.'),
  ('velocity', 'Nothing: who tests cards is refused. Look at reporting.suspicious_activity.'),
  ('webhook_address_unknown', 'Find out what changed before the functions. Deliveries go on.'),
  ('webhook_address_unlisted', 'Compare the address with Stripe''s list before you allow it.'),
  ('webhook_addresses_changed', 'Nothing, but for a firewall of your own.'),
  ('webhook_api_version', 'deno task setup creates the endpoint anew.'),
  ('webhook_connected_account', 'Point that endpoint elsewhere, or set STRIPE_ACCOUNT_ID.'),
  ('webhook_endpoint_changed', 'deno task setup brings the endpoint back to what it should be.'),
  ('webhook_endpoint_disabled', 'Enable the endpoint in Stripe''s dashboard.'),
  ('webhook_lag', 'Wait, if Stripe has a backlog; else look at Event deliveries in its dashboard.'),
  ('webhook_other_livemode', 'Remove the wrong endpoint at Stripe.'),
  ('webhook_silence', 'deno task doctor, then Event deliveries in Stripe''s dashboard.'),
  ('webhook_thin_payload', 'Choose snapshot payloads at the endpoint.')
) as g (kind, what_to_do) on g.kind = a.kind
where (select private.sees_reports()) and a.status <> 'resolved'
order by array_position(array['critical', 'warning', 'info'], a.severity), a.last_at desc;
comment on view reporting.open_alerts is
  'What staff have been told and nobody has resolved, the gravest first, with what to do.';
comment on column reporting.open_alerts.kind is 'What it is about; docs/runbook.md has each.';
comment on column reporting.open_alerts.severity is 'critical, warning or info.';
comment on column reporting.open_alerts.status is 'open, or acknowledged: somebody looks at it.';
comment on column reporting.open_alerts.order_number is 'The order; null: it is about none.';
comment on column reporting.open_alerts.what_to_do is 'What helps.';
comment on column reporting.open_alerts.count is 'How often it has happened.';
comment on column reporting.open_alerts.first_at is 'When it happened first.';
comment on column reporting.open_alerts.last_at is 'When it happened last.';
comment on column reporting.open_alerts.data is 'Ids and figures.';
comment on column reporting.open_alerts.id is 'For acknowledge_alert() and resolve_alert().';

create view reporting.webhook_health with (security_invoker = true) as
select e.type, e.status, count(*) as events, sum(e.delivery_count) as deliveries,
  count(*) filter (where e.delivery_count = 0) as fetched, max(e.delivered_at) as last_delivered_at,
  max(e.received_at) as last_received_at,
  count(*) filter (where e.received_at > now() - interval '1 day') as last_day
from public.webhook_events e
where (select private.sees_reports())
  -- By index: what is read grows with the month, not with the years.
  and (e.received_at > now() - interval '30 days' or e.status in ('failed', 'dead'))
group by e.type, e.status
order by e.type, e.status;
comment on view reporting.webhook_health is
  'Stripe''s events of the last 30 days by type and outcome, and whatever has failed, however long ago.';
comment on column reporting.webhook_health.type is 'The type, in Stripe''s words.';
comment on column reporting.webhook_health.status is
  'processed; ignored (webhook_events says why); failed: tried again by itself; dead: '
  'redrive_webhook_event().';
comment on column reporting.webhook_health.events is 'How many, each counted once.';
comment on column reporting.webhook_health.deliveries is 'How often Stripe delivered them, repeats included.';
comment on column reporting.webhook_health.fetched is
  'Of the events, those that Stripe never delivered and reconciliation read.';
comment on column reporting.webhook_health.last_delivered_at is
  'When Stripe last delivered one; null: never.';
comment on column reporting.webhook_health.last_received_at is
  'When the last one was stored, delivered or fetched.';
comment on column reporting.webhook_health.last_day is 'Of the events, those of the last 24 hours.';

create view reporting.suspicious_activity with (security_invoker = true) as
select s.what, s.who, s.detail, s.count, s.last_at
from (
  select 'rejected webhooks' as what, host(r.source_ip) as who, r.reason as detail, r.count, r.last_at
  from public.webhook_rejections r
  union all
  -- Of checkouts that were refused there is one row for many.
  select 'fraud signal', o.number, f.kind, coalesce((f.data ->> 'count')::bigint, 1), f.created_at
  from public.fraud_signals f left join public.orders o on o.id = f.order_id
) s
where (select private.sees_reports())
order by s.last_at desc;
comment on view reporting.suspicious_activity is
  'Refused webhook requests and signs of fraud, the newest first.';
comment on column reporting.suspicious_activity.what is 'rejected webhooks, or fraud signal.';
comment on column reporting.suspicious_activity.who is
  'The address that sent them (::, too many to tell apart; null, not known), or the order''s number.';
comment on column reporting.suspicious_activity.detail is 'Why they were refused, or the kind of sign.';
comment on column reporting.suspicious_activity.count is 'How many.';
comment on column reporting.suspicious_activity.last_at is 'When it happened last.';

create view reporting.reconciliation_drift with (security_invoker = true) as
select d.found_at, d.kind, d.object_id, o.number as order_number, d.before, d.after, d.run_id
from public.reconciliation_drift d left join public.orders o on o.id = d.order_id
where (select private.sees_reports())
order by d.found_at desc, d.id desc;
comment on view reporting.reconciliation_drift is
  'What Stripe knew and we did not, until the reconciler repaired it; newest first.';
comment on column reporting.reconciliation_drift.found_at is 'When it was repaired.';
comment on column reporting.reconciliation_drift.kind is
  'missed_event, or what differed: checkout_session, payment, refund, dispute.';
comment on column reporting.reconciliation_drift.object_id is 'Stripe''s id of it.';
comment on column reporting.reconciliation_drift.order_number is
  'The order''s number; null: it concerned none.';
comment on column reporting.reconciliation_drift.before is 'What stood here before.';
comment on column reporting.reconciliation_drift.after is 'What stands here since.';
comment on column reporting.reconciliation_drift.run_id is 'Which run of the reconciler.';

-- To all who are signed in, because staff are; sees_reports() keeps everybody else out.
revoke all on all tables in schema reporting from public, anon, authenticated, service_role;
grant select on all tables in schema reporting to authenticated, service_role;
