-- Disputes and signs of fraud. They hold fulfilment and alert staff; they never move stock or payment status.

create table public.disputes (
  id text primary key,
  order_id uuid references public.orders (id) on delete cascade,
  payment_id text,
  charge_id text,
  amount bigint not null,
  currency text not null,
  livemode boolean not null,
  reason text not null,
  status text not null,
  statuses_seen text[] not null,
  evidence_due_by timestamptz,
  first_due_by timestamptz,
  evidence_submission_count integer not null default 0,
  has_evidence boolean not null default false,
  network_reason_code text,
  funds_withdrawn boolean not null default false,
  funds_reinstated boolean not null default false,
  funds_reinstated_at timestamptz,
  version text collate "C" not null,
  created_at timestamptz not null
);
comment on table public.disputes is
  'Chargebacks (dp_, du_) and inquiries (status warning_*). funds_* become true once and stay.';
comment on column public.disputes.id is 'The dispute at Stripe: du_… or dp_….';
comment on column public.disputes.order_id is
  'orders.id; null: of a payment that is not ours, or not known yet.';
comment on column public.disputes.payment_id is 'The payment at Stripe, pi_….';
comment on column public.disputes.charge_id is 'The charge at Stripe, ch_….';
comment on column public.disputes.amount is 'What is disputed, in minor units; may be a part of the payment.';
comment on column public.disputes.currency is 'ISO code in lower case.';
comment on column public.disputes.livemode is 'False: of a test payment.';
comment on column public.disputes.reason is
  'What the customer says, in Stripes words: fraudulent, product_not_received, ….';
comment on column public.disputes.status is
  'Stripe''s: needs_response, under_review, won, lost; warning_…: an inquiry; appeal_…: a second round.';
comment on column public.disputes.evidence_due_by is
  'Until when Stripe takes evidence; null: it takes none now.';
comment on column public.disputes.evidence_submission_count is
  'How often evidence was submitted: a second time is hardly ever possible.';
comment on column public.disputes.has_evidence is 'Evidence is staged at Stripe.';
comment on column public.disputes.network_reason_code is 'The reason in the card networks words.';
comment on column public.disputes.funds_withdrawn is 'The bank has taken the money. Stays true.';
comment on column public.disputes.funds_reinstated is 'And given it back. Stays true.';
comment on column public.disputes.funds_reinstated_at is
  'When it did, by the earliest word of it; the day on which accounting books it. Null: it has not.';
comment on column public.disputes.version is 'Which of Stripes reports this is; decides which one is newer.';
comment on column public.disputes.created_at is 'When it was opened.';
comment on column public.disputes.statuses_seen is
  'Every status it was ever seen in, sorted: each ending is announced, also one that a later ending '
  'overtook.';
comment on column public.disputes.first_due_by is
  'The earliest evidence deadline ever seen. Once there is one, staff are reminded; the reminders go by '
  'evidence_due_by.';
create index disputes_order_id_idx on public.disputes (order_id);
create index disputes_payment_id_idx on public.disputes (payment_id);
create index disputes_charge_id_idx on public.disputes (charge_id);

create table public.fraud_signals (
  id uuid primary key default gen_random_uuid(),
  source_id text,
  order_id uuid references public.orders (id) on delete cascade,
  payment_id text,
  charge_id text,
  kind text not null,
  severity text not null,
  open boolean not null default true,
  was_actionable boolean not null default false,
  answer text,
  released_at timestamptz,
  data jsonb not null default '{}',
  version text collate "C" not null default '',
  created_at timestamptz not null default now(),
  constraint fraud_signals_source_id_key unique (source_id),
  constraint fraud_signals_severity_known check (severity in ('info', 'warning', 'critical')),
  constraint fraud_signals_answer_known check (answer in ('refund', 'review'))
);
comment on table public.fraud_signals is
  'Early fraud warnings, Radar reviews (source_id = Stripe''s id) and velocity hits (no source_id).';
comment on column public.fraud_signals.was_actionable is
  'True once any version of the signal was actionable; does not go back, so that the refund decision does '
  'not depend on the order of events.';
comment on column public.fraud_signals.answer is
  'What early_fraud_warning_policy said of a warning when it was first seen actionable: refund, or review '
  '(also when the parcel had left). Frozen: the setting may change.';
comment on column public.fraud_signals.released_at is
  'When staff released the order knowing this sign: it holds the order no more. What comes later does.';
create index fraud_signals_order_id_idx on public.fraud_signals (order_id);
create index fraud_signals_payment_id_idx on public.fraud_signals (payment_id);
create index fraud_signals_charge_id_idx on public.fraud_signals (charge_id);

create table private.released_mismatches (
  order_id uuid not null references public.orders (id) on delete cascade,
  session_id text not null,
  reason text not null,
  released_at timestamptz not null default now(),
  constraint released_mismatches_pkey primary key (order_id, session_id, reason)
);
comment on table private.released_mismatches is
  'What staff released of an order''s money: the reasons that were open, and the session whose money they '
  'looked at.';
alter table private.released_mismatches enable row level security;

alter table public.disputes enable row level security;
alter table public.fraud_signals enable row level security;
create policy disputes_read on public.disputes for select to authenticated
  using ((select private.is_admin()));
create policy fraud_signals_read on public.fraud_signals for select to authenticated
  using ((select private.is_admin()));
revoke all on public.disputes, public.fraud_signals from public, anon, authenticated, service_role;
grant select on public.disputes, public.fraud_signals to authenticated, service_role;
