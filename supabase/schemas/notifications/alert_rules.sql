-- Rules that tell staff of what needs a window, a threshold or the clock: one row each, looked at every
-- minute. What is raised in the moment in which it happens needs no row here.

create table private.alert_rules (
  kind text primary key,
  threshold numeric not null,
  unit text not null,
  minimum integer not null default 1,
  window_seconds integer,
  severity text not null,
  once boolean not null default false,
  enabled boolean not null default true,
  quiet_from time,
  quiet_until time,
  description text not null,
  updated_at timestamptz not null default now(),
  constraint alert_rules_kind_names_a_function check (kind ~ '^[a-z][a-z_]{1,50}$'),
  constraint alert_rules_unit_known check (unit in ('share', 'times', 'count', 'seconds')),
  constraint alert_rules_threshold_fits check (
    case unit
      when 'share' then threshold > 0 and threshold <= 1
      when 'times' then threshold >= 1 and threshold <= 1000
      when 'count' then threshold >= 1 and threshold <= 1000000 and threshold = trunc(threshold)
      else threshold >= 60 and threshold <= 30 * 86400
    end
  ),
  constraint alert_rules_minimum_fits check (minimum between 1 and 1000000),
  constraint alert_rules_window_fits check (window_seconds between 60 and 90 * 86400),
  constraint alert_rules_severity_known check (severity in ('info', 'warning', 'critical')),
  constraint alert_rules_quiet_hours_are_two check ((quiet_from is null) = (quiet_until is null))
);
comment on table private.alert_rules is
  'Alert rules, changed by set_alert_rule(). Each is measured by the function private.rule_<kind>() and '
  'raises alerts of its kind.';
comment on column private.alert_rules.kind is 'The kind of its alerts; docs/runbook.md has each.';
comment on column private.alert_rules.threshold is 'From which figure on it tells, in its unit.';
comment on column private.alert_rules.unit is
  'share: a part of 1, 0.2 is a fifth. times: so many times what is usual. count: so many. seconds: so long.';
comment on column private.alert_rules.minimum is
  'How many must be there before it judges: the first decline of a small shop is no jump. Description says '
  'of what.';
comment on column private.alert_rules.window_seconds is
  'How far it looks back; null: it looks at what is now.';
comment on column private.alert_rules.severity is 'Severity of its alerts: info, warning or critical.';
comment on column private.alert_rules.once is
  'True: about a thing that has happened, told once for each. False: about a state, which opens again as '
  'long as it lasts, even if staff have resolved its alert.';
comment on column private.alert_rules.enabled is 'False: it does not tell, and what it told is over.';
comment on column private.alert_rules.quiet_from is
  'Quiet hours, in the shop''s time zone: from then until quiet_until nothing is opened. What is still so '
  'afterwards is told then. Null: none.';
comment on column private.alert_rules.quiet_until is 'End of the quiet hours; may be on the next day.';
comment on column private.alert_rules.description is 'What it tells, and what its minimum counts.';
comment on column private.alert_rules.updated_at is 'When it was last changed.';
alter table private.alert_rules enable row level security;

-- What the command says when a change does not fit.
comment on constraint alert_rules_threshold_fits on private.alert_rules is
  'threshold must be above 0 and at most 1 (share), 1 to 1000 (times), a whole number from 1 (count), 60 to '
  '2592000 (seconds)';
comment on constraint alert_rules_minimum_fits on private.alert_rules is 'minimum must be at least 1';
comment on constraint alert_rules_window_fits on private.alert_rules is
  'window_seconds must be 60 to 7776000, 90 days';
comment on constraint alert_rules_severity_known on private.alert_rules is
  'severity must be info, warning or critical';

insert into private.alert_rules (kind, threshold, unit, minimum, window_seconds, severity, description) values
  ('webhook_lag', 300, 'seconds', 5, 900, 'warning',
    'Deliveries arrive so late, one in twenty of them. Minimum: late deliveries.'),
  ('signature_failures', 3, 'count', 1, 900, 'critical',
    'Deliveries from Stripe''s own addresses, or from unknown ones, whose signature or time is wrong.'),
  ('job_backlog', 900, 'seconds', 1, null, 'critical',
    'A job is due so long, and nobody takes it. Jobs of a provider that is down do not count, nor mails '
    'while others leave. Minimum: jobs.'),
  ('scheduler_silent', 300, 'seconds', 1, 3600, 'critical',
    'Nobody had called retry-jobs for so long; told when somebody does again. Window: how long it is told.'),
  ('checkout_errors', 0.5, 'share', 5, 900, 'critical',
    'Share of checkouts that began and got no payment page. Minimum: checkouts.'),
  ('decline_rate', 0.2, 'share', 20, 3600, 'warning',
    'Refused orders exceed those of the same hour of the last four weeks by this share of the orders tried, '
    'and by more than chance makes. Minimum: orders tried.'),
  ('method_outage', 0.9, 'share', 12, 3600, 'warning',
    'This share of the orders tried with one brand of card or method was refused. Minimum: orders tried.'),
  ('refund_spike', 4, 'times', 6, 86400, 'warning',
    'So many times the refunds of the four weeks before, and more than chance makes. Minimum: refunds.'),
  ('refunds_by_one', 4, 'times', 15, 86400, 'warning',
    'One member of staff refunds or cancels so many times what they used to in the four weeks before, and '
    'more than chance makes. Minimum: refunds and cancellations.'),
  ('stock_leak', 3600, 'seconds', 1, null, 'warning',
    'Goods are held so long after nobody can pay for them any more. Minimum: holds.'),
  ('dispute_ratio', 0.01, 'share', 10, 2592000, 'warning',
    'Visa''s ratio: disputes and fraud reports to sales, in the window or at the pace of its last third. '
    'Visa calls 0.015 excessive, from 1500 a month on. Minimum: disputes and fraud reports.'),
  ('mail_bouncing', 0.2, 'share', 5, 86400, 'warning',
    'This share of the mails failed, bounced or brought a complaint. Minimum: such mails.'),
  ('key_mode_changed', 1, 'count', 1, 86400, 'critical',
    'The Stripe key is of another mode than it was within the window.'),
  ('admin_without_mfa', 600, 'seconds', 1, 86400, 'warning',
    'A member of staff is signed in with a password alone, for so long. Window: since when the session was '
    'last used.');
insert into private.alert_rules (kind, threshold, unit, minimum, window_seconds, severity, once, description)
values
  ('order_high_value', 15, 'times', 30, 86400, 'warning', true,
    'A paid order of so many times the usual amount waits to be sent. Minimum: orders that say what is '
    'usual.'),
  ('order_country_mismatch', 8, 'times', 30, 86400, 'warning', true,
    'The same of a card from another country than the delivery. Minimum: orders that say what is usual.'),
  ('order_many_pieces', 30, 'count', 1, 86400, 'warning', true,
    'A paid order of so many pieces waits to be sent.'),
  ('large_refund', 10, 'times', 30, 86400, 'warning', true,
    'A refund of so many times the usual order. Minimum: orders that say what is usual.'),
  ('erasure_done', 1, 'count', 1, 86400, 'info', true, 'Somebody was erased.');

create index alerts_unresolved_idx on public.alerts (kind) where status <> 'resolved';

create type private.alert_finding as (subject text, value numeric, data jsonb);
comment on type private.alert_finding is
  'What a rule has found: of what (an order''s number, a brand; empty: of the shop), how much, and the '
  'figures for staff. One alert for each subject; it is counted up when value grows.';
