-- Generated from supabase/schemas/payments by 'deno task migrations': edit there.

-- What Stripe says about money: the fact tables. Each row is a register that merges facts in any order; the
-- column version decides which snapshot is the newest (rules: docs/settlement.md). order_id may be null until
-- the payment is linked to an order.

create table public.checkout_sessions (
  id text primary key,
  order_id uuid not null references public.orders (id) on delete cascade,
  attempt integer,
  status text not null,
  payment_status text not null,
  async_payment_failed boolean not null default false,
  awaited_payment boolean not null default false,
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
  expires_at timestamptz not null,
  recovered_from text,
  terms_consent text,
  promotions_consent text,
  completed_at timestamptz,
  closing_at timestamptz,
  version text collate "C" not null,
  contact_version text collate "C" not null,
  created_at timestamptz not null default now()
);
comment on table public.checkout_sessions is
  'Checkout Sessions of our orders, as last seen. An order may have several: resumed, recovered.';
comment on column public.checkout_sessions.business is
  'What a business buyer gave on the payment page: { name, tax_ids: [{ type, value }] }.';
comment on column public.checkout_sessions.terms_consent is
  'accepted: the shopper has ticked the terms on the payment page, which asks where CHECKOUT_TERMS_CONSENT '
  'is on; else null.';
comment on column public.checkout_sessions.promotions_consent is
  'opt_in or opt_out: what the shopper has said to promotional mails on the payment page; null: not asked.';
comment on column public.checkout_sessions.awaited_payment is
  'It was once seen complete with its payment under way: a slow method.';
comment on column public.checkout_sessions.closing_at is
  'When a velocity rule had it ended: no door leads to it any more, although Stripe may not have closed it '
  'yet. No fact of Stripe''s.';
comment on column public.checkout_sessions.metadata_order_id is
  'The order its metadata names. Anything but order_id means that somebody changed the metadata: the order '
  'is reviewed.';
comment on column public.checkout_sessions.contact_version is
  'Which snapshot wrote e-mail address, name, phone and addresses: an address that is known is not lost to '
  'a later event without it.';
create index checkout_sessions_order_id_idx on public.checkout_sessions (order_id);
create index checkout_sessions_payment_id_idx on public.checkout_sessions (payment_id);
create index checkout_sessions_stripe_customer_id_idx on public.checkout_sessions (stripe_customer_id);
create index checkout_sessions_open_idx on public.checkout_sessions (expires_at) where status = 'open';
create index checkout_sessions_closing_idx on public.checkout_sessions (closing_at)
  where status = 'open' and closing_at is not null;

create table public.payments (
  id text primary key,
  order_id uuid references public.orders (id) on delete cascade,
  status text not null,
  amount bigint not null,
  amount_received bigint not null default 0,
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
  succeeded_at timestamptz,
  version text collate "C" not null,
  created_at timestamptz not null default now()
);
comment on table public.payments is
  'PaymentIntents. Card columns are those of the successful (else the latest) attempt; brand and last4 are '
  'all that is kept of a card number.';
comment on column public.payments.presentment_amount is
  'What the customer was charged where they paid in a currency of their own (Adaptive Pricing), in minor '
  'units of presentment_currency; null: amount in currency.';
comment on column public.payments.presentment_currency is
  'The currency that the customer paid in; null: the payment''s own.';
comment on column public.payments.order_id is
  'The order of the session that it pays for; until that is known, the one its metadata names.';
create index payments_order_id_idx on public.payments (order_id);
create index payments_charge_id_idx on public.payments (charge_id);

create table public.payment_attempts (
  id text primary key,
  payment_id text not null,
  order_id uuid references public.orders (id) on delete cascade,
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
  version text collate "C" not null,
  created_at timestamptz not null
);
comment on table public.payment_attempts is
  'Every try to pay: charges, and confirmations that failed before a charge. created_at is Stripe''s time.';
create index payment_attempts_payment_id_idx on public.payment_attempts (payment_id);
create index payment_attempts_order_id_idx on public.payment_attempts (order_id);
create index payment_attempts_card_fingerprint_idx on public.payment_attempts (card_fingerprint, created_at);

create table public.refunds (
  id text primary key,
  order_id uuid references public.orders (id) on delete cascade,
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
  was_pending boolean not null default false,
  succeeded_at timestamptz,
  failed_at timestamptz,
  released_at timestamptz,
  version text collate "C" not null,
  created_at timestamptz not null,
  seen_at timestamptz not null default clock_timestamp()
);
comment on column public.refunds.presentment_amount is
  'What the customer gets back in the currency that they paid in (Adaptive Pricing), in minor units of '
  'presentment_currency; null: amount in currency.';
comment on column public.refunds.presentment_currency is
  'The currency that the customer gets it in; null: the refund''s own.';
comment on column public.refunds.seen_at is
  'When we first heard of it: staff who ask for a refund do not know of one that was made and not heard '
  'of.';
comment on column public.refunds.released_at is
  'When staff let the order ship although this refund of all its money had failed.';
comment on column public.refunds.request_id is
  'The refund_requests row that asked for it; null for one made in Stripe''s dashboard.';
comment on column public.refunds.was_pending is
  'It was once seen on its way: most refunds are complete when they are made.';
comment on column public.refunds.succeeded_at is
  'When it was first seen succeeded; stays when it fails afterwards.';
comment on column public.refunds.failed_at is
  'When it was first seen failed or cancelled: what was given back before then was not meant in its stead.';
comment on table public.refunds is
  'Refund ledger, keyed by Stripe''s id, whoever asked for it. Only succeeded ones count as money given '
  'back.';
comment on column public.refunds.reason is
  'As the customer may read it: null where Stripe was told that the payment was fraudulent. refund_reasons '
  'says it all.';

create table public.refund_reasons (
  refund_id text primary key references public.refunds (id) on delete cascade,
  reason text
);
comment on table public.refund_reasons is
  'The reason of each refund as Stripe has it, suspicion of fraud included: for staff.';
create index refunds_order_id_idx on public.refunds (order_id);
create index refunds_payment_id_idx on public.refunds (payment_id);
create index refunds_charge_id_idx on public.refunds (charge_id);
create index refunds_request_id_idx on public.refunds (request_id);

alter table public.checkout_sessions enable row level security;
alter table public.payments enable row level security;
alter table public.payment_attempts enable row level security;
alter table public.refunds enable row level security;
alter table public.refund_reasons enable row level security;

create policy checkout_sessions_read on public.checkout_sessions for select to authenticated
  using ((select private.is_admin()));
create policy payments_read on public.payments for select to authenticated
  using ((select private.is_admin()));
create policy payment_attempts_read on public.payment_attempts for select to authenticated
  using ((select private.is_admin()));
create policy refund_reasons_read on public.refund_reasons for select to authenticated
  using ((select private.is_admin()));
create policy refunds_read on public.refunds for select to authenticated
  -- As in customers_read.
  using (
    (select private.is_admin()) and (
      id between (select private.first_for_staff()::text) and (select 'z')
      or id >= private.first_for_staff()::text
    )
    or order_id = any (array(
      select o.id from public.orders o join public.customers c on c.id = o.customer_id
      where c.user_id = (select auth.uid())
    ))
  );

revoke all
  on public.checkout_sessions, public.payments, public.payment_attempts, public.refunds, public.refund_reasons
  from public, anon, authenticated, service_role;
grant select
  on public.checkout_sessions, public.payments, public.payment_attempts, public.refunds, public.refund_reasons
  to authenticated, service_role;

-- What shoppers have agreed to on the payment page: the terms, in which version, and promotional mails.

insert into private.settings (key, value, description) values
  (
    'terms_version', 'null',
    'Version of the terms that shoppers accept from now on, say "2026-03"; null: none is noted.'
  );

create table private.terms_texts (
  version text not null,
  refund_policy text,
  cancellation_policy text,
  created_at timestamptz not null default now(),
  constraint terms_texts_pkey primary key (version),
  constraint terms_texts_has_text check (coalesce(refund_policy, cancellation_policy) is not null),
  constraint terms_texts_refund_fits check (char_length(refund_policy) between 1 and 40000),
  constraint terms_texts_cancellation_fits check (char_length(cancellation_policy) between 1 and 40000)
);
comment on table private.terms_texts is
  'What the terms of a version say of refunds and cancellations, word for word: shown to the bank when an '
  'order that was placed under them is disputed. Some twelve pages each at most.';
alter table private.terms_texts enable row level security;
revoke all on private.terms_texts from public, anon, authenticated, service_role;

create function private.keep_terms_text() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if exists (select 1 from public.order_terms t where t.version = old.version) then
    raise exception 'orders were placed under the terms %, whose text stays as it is', old.version
      using errcode = 'SHINV', hint = 'Insert the new text under a new version, and set terms_version to it.';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end;
$$;
comment on function private.keep_terms_text() is
  'Trigger of terms_texts. SHINV: the text was in force when orders were placed, and is evidence.';

create trigger keep_terms_text before update or delete on private.terms_texts
  for each row execute function private.keep_terms_text();

create table public.order_terms (
  order_id uuid not null references public.orders (id) on delete cascade,
  attempt integer not null,
  version text not null,
  constraint order_terms_pkey primary key (order_id, attempt)
);
create index order_terms_version_idx on public.order_terms (version);
comment on table public.order_terms is
  'The version of the terms that was in force when an attempt of an order began, and so on its payment page.';
alter table public.order_terms enable row level security;
create policy order_terms_read on public.order_terms for select to authenticated
  using ((select private.is_admin()));
revoke all on public.order_terms from public, anon, authenticated, service_role;
grant select on public.order_terms to authenticated, service_role;

create function private.note_terms() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_version constant text := private.setting('terms_version') #>> '{}';
begin
  if v_version is not null then
    insert into public.order_terms (order_id, attempt, version) values (new.id, new.attempt, v_version);
  end if;
  return null;
end;
$$;
comment on function private.note_terms() is
  'Trigger of orders: notes the terms of each attempt as it begins; the setting may change before it is '
  'paid.';

create trigger note_terms_of_first after insert on public.orders
  for each row execute function private.note_terms();
create trigger note_terms_of_next after update of attempt on public.orders
  for each row when (old.attempt is distinct from new.attempt) execute function private.note_terms();

create view public.order_consents with (security_invoker = true) as
select s.order_id, s.id as session_id, s.completed_at as given_at, s.terms_consent,
  case when s.terms_consent is not null then t.version end as terms_version, s.promotions_consent
from public.checkout_sessions s
-- A page that Stripe has recovered knows no attempt: it shows the terms of the one it came from.
left join public.checkout_sessions f on f.id = s.recovered_from
left join public.order_terms t on t.order_id = s.order_id and t.attempt = coalesce(s.attempt, f.attempt)
where s.status = 'complete' and (s.terms_consent is not null or s.promotions_consent is not null);
comment on view public.order_consents is
  'What was agreed to with each order, and when: terms_consent (accepted) with the version of the terms, and '
  'promotions_consent (opt_in, opt_out). An erasure takes the latter.';
revoke all on public.order_consents from public, anon, authenticated, service_role;
grant select on public.order_consents to authenticated, service_role;

create function private.accepted_terms(p_order_id uuid) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'version', c.terms_version, 'accepted_at', c.given_at,
    'refund_policy', t.refund_policy, 'cancellation_policy', t.cancellation_policy
  )
  from public.order_consents c
  left join private.terms_texts t on t.version = c.terms_version
  where c.order_id = p_order_id and c.terms_consent = 'accepted' and c.given_at is not null
  order by c.given_at limit 1
$$;
comment on function private.accepted_terms(uuid) is
  'The terms that were accepted with an order first, with the texts of that version where they are kept; '
  'null: nothing was asked.';

-- Refunds that were asked for: by staff, or by settlement because money came that the order cannot keep. The
-- refund itself is Stripe's and stands in public.refunds; its request_id names the row here.
--
--   queued -> done | not_needed | given_up, and from given_up back to queued (redrive)
--   queued -> disputed while a bank has the money or decides about it, and back once it has not

create table public.refund_requests (
  id text primary key,
  order_id uuid not null references public.orders (id) on delete cascade,
  payment_id text not null,
  amount bigint,
  cause text not null,
  restock boolean not null default false,
  status text not null default 'queued',
  problem text,
  refusals integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  given_up_at timestamptz,
  constraint refund_requests_amount_positive check (amount > 0),
  constraint refund_requests_cause_known check (
    cause in ('requested', 'cancelled', 'oversold', 'duplicate', 'fraudulent')
  ),
  constraint refund_requests_status_known check (
    status in ('queued', 'done', 'not_needed', 'given_up', 'disputed')
  ),
  constraint refund_requests_given_up_has_time check ((status = 'given_up') = (given_up_at is not null)),
  -- Goods go back with all of the money, or by receive_return().
  constraint refund_requests_restock_is_full check (not restock or amount is null)
);
comment on table public.refund_requests is
  'Refunds asked for, once each. While one is queued its money counts as given back. Carries no personal '
  'data.';
comment on column public.refund_requests.id is
  'The staff command that asked, or cause and payment, e.g. oversold:pi_…. Travels in the refund''s '
  'metadata.';
comment on column public.refund_requests.amount is 'Minor units; null: all that is left when the job runs.';
comment on column public.refund_requests.restock is
  'Whether the goods go back on the shelf with this refund.';
comment on column public.refund_requests.status is
  'queued: its job runs or waits; done; not_needed: the money was given back by other means, or the order '
  'may ship; given_up: a person decides; disputed: waits for a bank, and is queued again should the shop '
  'win.';
comment on column public.refund_requests.problem is
  'What Stripe said when it last refused, or why it was given up.';
comment on column public.refund_requests.refusals is
  'How often Stripe has refused. Stripe repeats a refusal for a day under the same idempotency key, so each '
  'refusal makes another key; an answer that was lost does not.';
create index refund_requests_order_id_idx on public.refund_requests (order_id);
create index refund_requests_payment_id_idx on public.refund_requests (payment_id);

alter table public.refund_requests enable row level security;
create policy refund_requests_read on public.refund_requests for select to authenticated
  using ((select private.is_admin()));
revoke all on public.refund_requests from public, anon, authenticated, service_role;
grant select on public.refund_requests to authenticated, service_role;

create function private.refund_is_off(q public.refund_requests) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Null, of a refund that nobody asked for here, is none that is off.
  return coalesce(
    q.status = 'given_up' or (q.status = 'not_needed' and exists (
      select 1
      from public.payments p left join private.refunded_amounts back on back.payment_id = p.id
      where p.id = q.payment_id and p.amount_received > coalesce(back.given, 0)
    )), false
  );
end;
$$;
comment on function private.refund_is_off(public.refund_requests) is
  'Whether a refund that was asked for gives nothing back: it was given up, or it is not needed although '
  'the shop has money of the payment, because staff have released the order.';

-- Which pieces a refund is about, and what they are worth.

create table public.refund_lines (
  id uuid primary key default gen_random_uuid(),
  request_id text references public.refund_requests (id) on delete cascade,
  refund_id text references public.refunds (id) on delete cascade,
  order_item_id uuid not null references public.order_items (id) on delete cascade,
  quantity integer not null,
  constraint refund_lines_once unique nulls not distinct (request_id, refund_id, order_item_id),
  constraint refund_lines_quantity_positive check (quantity > 0),
  constraint refund_lines_of_one check ((request_id is null) <> (refund_id is null))
);
comment on table public.refund_lines is
  'Pieces that a refund gives the money of back: one that was asked for here (request_id), or one made in '
  'Stripe''s dashboard and assigned afterwards (refund_id).';
create index refund_lines_request_id_idx on public.refund_lines (request_id);
create index refund_lines_refund_id_idx on public.refund_lines (refund_id);
create index refund_lines_order_item_id_idx on public.refund_lines (order_item_id);
alter table public.refund_lines enable row level security;
create policy refund_lines_read on public.refund_lines for select to authenticated
  using ((select private.is_admin()));
revoke all on public.refund_lines from public, anon, authenticated, service_role;
grant select on public.refund_lines to authenticated, service_role;

create function private.refunded_pieces(p_order_item_id uuid, out given integer, out made integer)
language plpgsql
stable
set search_path = ''
as $$
begin
  select coalesce(sum(l.quantity) filter (where not bounced.yes and not private.refund_is_off(q)), 0),
    coalesce(sum(l.quantity) filter (
      where r.succeeded_at is not null or (q.status = 'not_needed' and not private.refund_is_off(q))
    ), 0)
  into given, made
  from public.refund_lines l
  left join public.refund_requests q on q.id = l.request_id
  left join public.refunds r on r.id = l.refund_id or r.request_id = l.request_id
  cross join lateral (
    select exists (select 1 from private.refund_states s where s.id = r.id and s.has_bounced) as yes
  ) bounced
  where l.order_item_id = p_order_item_id;
end;
$$;
comment on function private.refunded_pieces(uuid) is
  'Pieces of a line whose money was given back. given: made or under way; made: Stripe has said so once.';

create function private.share_of_price(o public.orders, p_price numeric) returns bigint
language plpgsql
stable
set search_path = ''
as $$
declare
  v_goods constant numeric := o.amount_subtotal - o.amount_discount;
  v_step constant integer := private.amount_step(o.currency);
begin
  -- Tax goes with what it was on: goods and delivery in proportion. Where prices include it, it is in both.
  if o.amount_subtotal = 0 or v_goods + o.amount_shipping <= 0 then
    return 0;
  end if;
  return v_step * div(
    o.amount_paid * v_goods * p_price, (v_goods + o.amount_shipping) * o.amount_subtotal * v_step
  );
end;
$$;
comment on function private.share_of_price(public.orders, numeric) is
  'What pieces whose prices add up to p_price have cost, in minor units of what was paid: with their share '
  'of discount and tax, without delivery.';

create function private.share_of_goods(o public.orders) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return private.share_of_price(o, o.amount_subtotal);
end;
$$;
comment on function private.share_of_goods(public.orders) is
  'What of the money paid was for goods; the rest was for delivery.';

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

-- Rules of money that many ask about: each has one name, and stands here. Those that choose rows are views,
-- because Postgres plans them into the query that asks; they read with the rights of who asks.

create view private.settled_payments with (security_invoker = true) as
select p.id, p.order_id, p.amount_received, p.succeeded_at
from public.payments p
where p.status = 'succeeded';
comment on view private.settled_payments is 'Payments whose money is there.';

create view private.settled_sessions with (security_invoker = true) as
select cs.id, cs.order_id, cs.payment_id, cs.amount_total, cs.currency
from public.checkout_sessions cs
left join private.settled_payments p on p.id = cs.payment_id
where cs.status = 'complete' and (cs.payment_status in ('paid', 'no_payment_required') or p.id is not null);
comment on view private.settled_sessions is
  'Sessions that brought their money, or had nothing to pay: by the word of the session or of its payment, '
  'whichever comes first.';

create view private.refund_states with (security_invoker = true) as
select r.id, r.order_id, r.payment_id, r.amount,
  r.status in ('failed', 'canceled') as has_bounced, r.status = 'succeeded' as is_made,
  r.was_pending and r.succeeded_at is not null as took_time
from public.refunds r;
comment on view private.refund_states is
  'Refunds. has_bounced: the shop has the money still; is_made: the customer has it; neither: under way. '
  'took_time: it was under way and has been made, for good or not.';

create view private.refunded_amounts with (security_invoker = true) as
select r.payment_id, coalesce(sum(r.amount) filter (where not r.has_bounced), 0)::bigint as given,
  coalesce(sum(r.amount) filter (where r.is_made), 0)::bigint as made
from private.refund_states r
group by r.payment_id;
comment on view private.refunded_amounts is
  'What has been given back of payments that have refunds, in minor units. given: made or under way.';

-- The views of reporting read them with the rights of staff.
grant select on private.refund_states, private.refunded_amounts to authenticated, service_role;

create function private.presentment(o public.orders) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object('amount', x.amount, 'currency', x.currency)
    from (
      select 1 as place, p.presentment_amount as amount, p.presentment_currency as currency
      from public.payments p where p.id = o.payment_id
      union all
      -- Older API versions tell it of the session alone.
      select 2, s.presentment_amount, s.presentment_currency
      from public.checkout_sessions s where s.id = o.session_id
    ) x
    where o.paid_at is not null and x.currency is not null
    order by x.place limit 1
  );
end;
$$;
comment on function private.presentment(public.orders) is
  'What the customer was charged for a paid order where they paid in a currency of their own: { amount, '
  'currency }, in its minor units. Null: amount_paid in the order''s currency.';
grant execute on function private.presentment(public.orders) to authenticated, service_role;

create function private.refund_presentment(r public.refunds) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when r.presentment_currency is not null then jsonb_build_object(
    'amount', r.presentment_amount, 'currency', r.presentment_currency
  ) end;
end;
$$;
comment on function private.refund_presentment(public.refunds) is
  'What the customer gets back by a refund in the currency that they paid in: { amount, currency }. Null: '
  'its amount in its own currency.';

create function private.dispute_holds(d public.disputes, p_payment_id text) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return d.status not in ('won', 'warning_closed', 'prevented', 'lost')
    -- Of a second payment the customer has got back what was theirs; the one that the order keeps is as
    -- good as before.
    or (d.status = 'lost' and d.payment_id = p_payment_id);
end;
$$;
comment on function private.dispute_holds(public.disputes, text) is
  'Whether a dispute keeps its order from shipping: while it is open, and when the payment that the order '
  'keeps (p_payment_id) was lost to it.';
grant execute on function private.dispute_holds(public.disputes, text) to authenticated, service_role;

create function private.dispute_undecided(d public.disputes) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return d.status not in ('won', 'prevented', 'lost') and d.status not like 'warning\_%';
end;
$$;
comment on function private.dispute_undecided(public.disputes) is
  'Whether a bank has taken the money of a dispute and may give it back.';

create function private.is_charged_back(p_payment_id text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.disputes d
    where d.payment_id = p_payment_id
      and (d.status = 'lost' or private.dispute_undecided(d))
  );
end;
$$;
comment on function private.is_charged_back(text) is
  'Whether a bank has taken back money of a payment, or decides about it: Stripe refunds nothing of it then '
  '(charge_disputed). An inquiry takes nothing, and a refund is what settles it.';

create function private.awaits_evidence(d public.disputes) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return d.status in ('needs_response', 'warning_needs_response', 'appeal_needs_response');
end;
$$;
comment on function private.awaits_evidence(public.disputes) is
  'Whether a dispute waits for the shop''s answer.';
grant execute on function private.awaits_evidence(public.disputes) to authenticated, service_role;

create function private.is_confirmed(p_order_id uuid) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.checkout_sessions s where s.order_id = p_order_id and s.status = 'complete'
  );
end;
$$;
comment on function private.is_confirmed(uuid) is
  'Whether a payment page of an order is complete. Until then the order is not judged by its payments, which '
  'may be heard of first.';
