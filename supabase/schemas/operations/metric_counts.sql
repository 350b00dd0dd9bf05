-- What is counted where the truth is: rows that appear and change, each once, in the transaction that does
-- it.

create function private.decline_class(p_code text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case
    when p_code in ('insufficient_funds', 'card_velocity_exceeded', 'withdrawal_count_limit_exceeded')
      then 'funds'
    when p_code in (
      'incorrect_number', 'invalid_number', 'incorrect_cvc', 'invalid_cvc', 'invalid_expiry_month',
      'invalid_expiry_year', 'incorrect_zip', 'incorrect_address', 'incorrect_pin', 'invalid_pin',
      'invalid_account'
    ) then 'details'
    when p_code in (
      'expired_card', 'card_not_supported', 'currency_not_supported', 'not_permitted',
      'invalid_amount', 'new_account_information_available', 'service_not_allowed',
      'transaction_not_allowed'
    ) then 'card'
    when p_code in (
      'authentication_required', 'authentication_not_handled', 'mobile_device_authentication_required',
      'offline_pin_required', 'online_or_offline_pin_required', 'payment_intent_authentication_failure',
      'pin_try_exceeded'
    ) then 'authentication'
    when p_code in (
      'do_not_honor', 'generic_decline', 'call_issuer', 'do_not_try_again', 'no_action_taken',
      'revocation_of_all_authorizations', 'revocation_of_authorization', 'stop_payment_order',
      'security_violation', 'card_declined'
    ) then 'issuer'
    when p_code in (
      'fraudulent', 'lost_card', 'stolen_card', 'pickup_card', 'restricted_card', 'merchant_blacklist',
      'highest_risk_level', 'elevated_risk_level', 'rule', 'previously_declined_do_not_retry'
    ) then 'fraud'
    when p_code in (
      'processing_error', 'issuer_not_available', 'try_again_later', 'reenter_transaction', 'approve_with_id',
      'duplicate_transaction', 'payment_intent_payment_attempt_failed'
    ) then 'technical'
    else 'other'
  end;
end;
$$;
comment on function private.decline_class(text) is
  'What kind of decline a code is, for figures: https://docs.stripe.com/declines/codes, and the reasons of '
  'Radar. "other": a code that is not known.';

create function private.count_payment() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.count_metric('payments');
  return null;
end;
$$;
comment on function private.count_payment() is 'Trigger: counts a payment when it is first seen succeeded.';
create trigger count_new_payment after insert on public.payments
  for each row when (new.succeeded_at is not null) execute function private.count_payment();
create trigger count_payment after update of succeeded_at on public.payments
  for each row when (old.succeeded_at is null and new.succeeded_at is not null)
  execute function private.count_payment();

create function private.count_payment_attempt() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'INSERT' or new.outcome <> old.outcome then
    perform private.count_metric('payment_attempts', array[new.outcome]);
    if new.outcome in ('failed', 'blocked') then
      perform private.count_metric('declines', array[
        case new.outcome
          when 'blocked' then 'fraud' else private.decline_class(coalesce(new.decline_code, new.failure_code))
        end
      ]);
    end if;
  end if;
  if new.three_d_secure_result is not null
    and (tg_op = 'INSERT' or old.three_d_secure_result is null) then
    perform private.count_metric('three_d_secure', array[new.three_d_secure_result]);
  end if;
  return null;
end;
$$;
comment on function private.count_payment_attempt() is
  'Trigger: counts a try to pay for each outcome that it reaches, its decline, and its 3D Secure once.';
create trigger count_new_payment_attempt after insert on public.payment_attempts
  for each row execute function private.count_payment_attempt();
create trigger count_payment_attempt after update of outcome, three_d_secure_result on public.payment_attempts
  for each row when (
    old.outcome <> new.outcome or old.three_d_secure_result is distinct from new.three_d_secure_result
  ) execute function private.count_payment_attempt();

create function private.count_refund() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.succeeded_at is not null and (tg_op = 'INSERT' or old.succeeded_at is null) then
    perform private.count_metric('refunds', '{succeeded}');
  end if;
  if new.failed_at is not null and (tg_op = 'INSERT' or old.failed_at is null) then
    perform private.count_metric('refunds', '{failed}');
  end if;
  return null;
end;
$$;
comment on function private.count_refund() is
  'Trigger: counts a refund when it is first seen succeeded, and when it is first seen failed.';
create trigger count_refund after insert or update of succeeded_at, failed_at on public.refunds
  for each row execute function private.count_refund();

create function private.count_dispute() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.count_metric('disputes', array[x]) from unnest(new.statuses_seen) x
  where tg_op = 'INSERT' or not x = any (old.statuses_seen);
  return null;
end;
$$;
comment on function private.count_dispute() is
  'Trigger: counts a dispute once in each status that it is seen in.';
create trigger count_dispute after insert or update of statuses_seen on public.disputes
  for each row execute function private.count_dispute();

create function private.count_mail() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'INSERT' or new.status <> old.status then
    perform private.count_metric('mails', array[new.template, new.status]);
  end if;
  if new.delivered_at is not null and (tg_op = 'INSERT' or old.delivered_at is null) then
    perform private.count_metric('mails', array[new.template, 'delivered']);
  end if;
  if new.sent_at is not null and (tg_op = 'INSERT' or old.sent_at is null) then
    perform private.observe_metric(
      'mail_delay_seconds', '{}', extract(epoch from new.sent_at - new.created_at)
    );
  end if;
  return null;
end;
$$;
comment on function private.count_mail() is
  'Trigger: counts a mail in each status that it takes and when it is delivered, and how long it took to be '
  'sent.';
create trigger count_mail after insert or update of status, sent_at, delivered_at on public.notifications
  for each row execute function private.count_mail();

create function private.count_drift() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.count_metric('reconciliation_drift', array[new.kind]);
  return null;
end;
$$;
comment on function private.count_drift() is 'Trigger: counts a repair.';
create trigger count_drift after insert on public.reconciliation_drift
  for each row execute function private.count_drift();

create function private.count_claimed_jobs(p_job_ids bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.metric_samples (metric, labels, bucket, count, total)
  select 'job_wait_seconds', array[x.kind], private.metric_bucket(m.bounds, x.waited), count(*), sum(x.waited)
  from (
    select j.kind, greatest(0, extract(epoch from now() - j.run_at))::double precision as waited
    from private.jobs j where j.id = any (p_job_ids)
  ) x
  join private.metrics m on m.name = 'job_wait_seconds'
  group by x.kind, private.metric_bucket(m.bounds, x.waited);
end;
$$;
comment on function private.count_claimed_jobs(bigint[]) is
  'Observes how long jobs that are being claimed were due.';

create function private.count_ended_jobs(p_ended text[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.metric_samples (metric, labels, bucket, count, total)
  select 'jobs', array[p_ended[i][1], p_ended[i][2]], 0, count(*), 0
  from generate_subscripts(p_ended, 1) i
  group by 2;
end;
$$;
comment on function private.count_ended_jobs(text[]) is
  'Counts jobs that have ended: [[kind, outcome]], as many as a worker tells of at once.';

create function private.measure_stock() returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.heartbeats as h (name) values ('measure_stock')
  on conflict (name) do update set last_at = now() where h.last_at < now() - interval '1 minute';
  if not found then
    return;
  end if;
  insert into private.metric_series as s (metric, labels, bucket, count, total)
  select x.metric, '{}', 0, 0, x.total
  from (
    select coalesce(sum(l.reserved), 0) as held, count(*) filter (
      where v.active and p.active and l.available <= (private.setting('low_stock_at') #>> '{}')::integer
    ) as low
    from public.inventory_levels l
    join public.product_variants v on v.id = l.variant_id
    join public.products p on p.id = v.product_id
  ) found
  cross join lateral (
    values ('stock_held_pieces', found.held), ('stock_low_articles', found.low)
  ) x (metric, total)
  on conflict on constraint metric_series_pkey do update set total = excluded.total;
end;
$$;
comment on function private.measure_stock() is
  'Sets the gauges of stock, at most once a minute: it reads the stock of every article, of which a shop has '
  'thousands at most.';
