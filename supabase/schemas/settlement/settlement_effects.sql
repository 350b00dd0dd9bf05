-- Side effects of settling. Each condition here only ever goes from false to true while facts come in, and
-- each effect has a key, so that any order of events ends in the same set of jobs, mails and alerts.

create function private.settle_effects(
  o public.orders,
  p_before public.orders,
  h private.order_history,
  p_mismatches text[],
  p_source text
) returns void
language plpgsql
set search_path = ''
as $$
begin
  if o.session_id is not null then
    perform private.settle_paid_effects(o, p_before, h, p_mismatches, p_source);
  end if;
  if h.has_sessions_to_tell or o.cancelled_at is not null then
    perform private.settle_session_effects(o);
  end if;
  if h.has_refunds then
    perform private.settle_refund_effects(o, p_source);
  end if;
  if h.has_disputes then
    perform private.settle_dispute_effects(o, p_source);
  end if;
  if h.has_signals then
    perform private.settle_fraud_effects(o, p_source);
  end if;
  perform private.settle_risk_alerts(o, p_before, h, p_mismatches);
end;
$$;
comment on function private.settle_effects(
  public.orders, public.orders, private.order_history, text[], text
) is
  'Side effects of a settled order: jobs, mails, alerts. Called by settle_order() only.';

create function private.settle_session_effects(o public.orders) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
begin
  for r in
    select cs.id, cs.awaited_payment, cs.async_payment_failed, exists (
      select 1 from private.settled_sessions other where other.order_id = o.id and other.id <> cs.id
    ) as other_settled
    from public.checkout_sessions cs where cs.order_id = o.id
  loop
    -- A shopper must not be able to pay what was cancelled, or pay twice. Not only sessions that look open:
    -- which do depends on the order of events, and the job is content with one that has ended.
    if o.cancelled_at is not null or r.other_settled then
      perform private.enqueue_job(
        'expire_checkout_session', 'expire_checkout_session:' || r.id,
        jsonb_build_object('session_id', r.id, 'order_id', o.id), now(), 30
      );
    end if;
    if r.awaited_payment then
      perform private.queue_notification(o.id, 'payment_processing', r.id);
    end if;
    if r.async_payment_failed then
      perform private.queue_notification(o.id, 'payment_failed', r.id);
    end if;
  end loop;
end;
$$;
comment on function private.settle_session_effects(public.orders) is
  'Ends the payment pages that must not be paid any more, and tells of payments that take time or have '
  'failed. Called by settle_order() only.';

create function private.settle_refund_effects(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
  v_data jsonb;
begin
  for r in
    select f.id, f.amount, f.currency, f.status, f.failure_reason, s.has_bounced, s.took_time
    from public.refunds f join private.refund_states s on s.id = f.id
    where f.order_id = o.id
  loop
    v_data := jsonb_build_object('amount', r.amount, 'refund_id', r.id);
    -- Queued also when it is first heard of as failed, so that every order of events queues the same mails.
    -- What has stopped being true is not sent: see notification_problem().
    perform private.queue_notification(o.id, 'refund_issued', r.id, v_data);
    if r.took_time then
      perform private.queue_notification(o.id, 'refund_settled', r.id, v_data);
    end if;
    if r.has_bounced then
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
  perform private.resume_disputed_refunds(o.id);
  perform private.settle_refund_alerts(o.id);
end;
$$;
comment on function private.settle_refund_effects(public.orders, text) is
  'What customer and staff hear of refunds that exist, the alerts that they close, and what waited for a '
  'bank. Called by settle_order() only.';

create function private.mismatch_alert(p_order_id uuid) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  -- What turns up after a release is news.
  return (
    select concat_ws(':', 'payment_mismatch', p_order_id, extract(epoch from k.review_released_at))
    from public.order_risk k where k.order_id = p_order_id
  );
end;
$$;
comment on function private.mismatch_alert(uuid) is
  'The dedupe_key of the alert payment_mismatch of an order: another one after each release.';

create function private.follow_alert(p_dedupe_key text, p_wanted boolean) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_alert public.alerts;
begin
  update public.alerts a set
    status = case when p_wanted then 'open' else 'resolved' end,
    data = case when p_wanted then a.data - 'over' else a.data || '{"over": true}' end,
    told_at = case when not p_wanted or a.over_told_at is null then a.told_at end,
    over_told_at = case when not p_wanted then a.over_told_at end
  where a.dedupe_key = p_dedupe_key
    and case when p_wanted then a.status = 'resolved' and a.data ? 'over' else a.status <> 'resolved' end
  returning * into v_alert;
  -- Closed before anybody was told, or told to be over: they are told that it is not.
  if found and p_wanted and v_alert.told_at is null and private.sent_at_once(v_alert.severity) then
    perform private.queue_alert_message(v_alert);
  end if;
end;
$$;
comment on function private.follow_alert(text, boolean) is
  'Closes an alert whose cause is gone, and opens it again when the cause is back: so it ends the same in '
  'any order of events. Staff are sent another message only where they do not know that it is open. What '
  'staff have resolved stays resolved.';

create function private.settle_risk_alerts(
  o public.orders,
  p_before public.orders,
  h private.order_history,
  p_mismatches text[]
) returns void
language plpgsql
set search_path = ''
as $$
begin
  if h.has_disputes then
    perform private.follow_alert(x.kind || ':' || d.id || x.status, private.awaits_evidence(d))
    from public.disputes d
    cross join (values
      ('dispute_opened', ''), ('dispute_escalated', ':needs_response'),
      ('dispute_escalated', ':appeal_needs_response')
    ) as x (kind, status)
    where d.order_id = o.id;
    -- A reminder is about one deadline, and does not come back.
    update public.alerts a set status = 'resolved'
    from public.disputes d
    where d.order_id = o.id and not private.awaits_evidence(d) and a.status <> 'resolved'
      and a.kind = 'dispute_due' and a.data ->> 'dispute_id' = d.id;
  end if;
  if h.has_signals then
    perform private.follow_alert(
      f.kind || ':' || f.source_id, o.status = 'needs_review' and private.holds_order(f)
    )
    from public.fraud_signals f
    where f.order_id = o.id and f.source_id is not null;
  end if;
  -- Its alert is open only while the order is in review.
  if o.session_id is not null and (
    'needs_review' in (o.status, p_before.status) or cardinality(p_mismatches) > 0
  ) then
    perform private.follow_alert(
      private.mismatch_alert(o.id), o.status = 'needs_review' and cardinality(p_mismatches) > 0
    );
  end if;
end;
$$;
comment on function private.settle_risk_alerts(
  public.orders, public.orders, private.order_history, text[]
) is
  'Resolves the alerts that leave nothing to do: of disputes that wait for no answer, and of signs of '
  'fraud and mismatches that hold the order no longer. Called by settle_order() only.';

create function private.note_received_money(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
begin
  for r in
    select s.id, s.payment_id, s.amount_total, s.currency
    from private.settled_sessions s
    where s.order_id = o.id and not exists (
      select 1 from public.order_events e
      where e.order_id = o.id and e.kind = 'payment_received' and e.data ->> 'session_id' = s.id
    )
  loop
    perform private.record_order_event(
      o.id, 'payment_received', p_source,
      jsonb_build_object(
        'session_id', r.id, 'payment_id', r.payment_id, 'amount', r.amount_total, 'currency', r.currency
      )
    );
  end loop;
end;
$$;
comment on function private.note_received_money(public.orders, text) is
  'Notes each settled session of an order once in its audit trail.';

create function private.settle_unfulfillable(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if o.oversold_at is not null then
    perform private.queue_notification(o.id, 'order_unfulfillable');
    perform private.raise_alert_once(
      'oversold', 'critical', 'oversold:' || o.id, jsonb_build_object('order_number', o.number)
    );
    if o.payment_id is not null then
      perform private.queue_refund(o.payment_id, o.id, 'oversold', p_source);
    end if;
  end if;
  if o.cancelled_at is not null and not private.has_shipped(o.id) then
    perform private.queue_notification(o.id, 'order_cancelled');
    if o.payment_id is not null and private.queue_refund(o.payment_id, o.id, 'cancelled', p_source) then
      perform private.raise_alert_once(
        'cancelled_order_paid', 'warning',
        'cancelled_order_paid:' || o.id, jsonb_build_object('order_number', o.number)
      );
    end if;
  end if;
end;
$$;
comment on function private.settle_unfulfillable(public.orders, text) is
  'Money of an order that will not ship, because it is oversold or cancelled, goes back; customer and staff '
  'hear of it.';

create function private.refund_second_payments(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r record;
begin
  for r in
    -- Only money that a session of ours brought in: a payment that is ahead of its session may be the one to
    -- keep.
    select p.id
    from private.settled_sessions s join private.settled_payments p on p.id = s.payment_id
    where s.order_id = o.id and p.order_id = o.id and p.id is distinct from o.payment_id
    group by p.id
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
end;
$$;
comment on function private.refund_second_payments(public.orders, text) is
  'Gives back what came beside the payment that the order keeps, and tells customer and staff.';

create function private.show_cards(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.payments pi set
    payment_method_type = a.payment_method_type, card_brand = a.card_brand, card_last4 = a.card_last4,
    card_country = a.card_country, risk_level = a.risk_level, risk_score = a.risk_score,
    three_d_secure_result = a.three_d_secure_result
  from (
    select distinct on (t.payment_id) t.*
    from public.payment_attempts t
    where t.order_id = p_order_id
    order by t.payment_id, (t.outcome = 'succeeded') desc, t.created_at desc, t.id
  ) a
  where pi.id = a.payment_id
    and (
      pi.payment_method_type, pi.card_brand, pi.card_last4, pi.card_country, pi.risk_level, pi.risk_score,
      pi.three_d_secure_result
    ) is distinct from (
      a.payment_method_type, a.card_brand, a.card_last4, a.card_country, a.risk_level, a.risk_score,
      a.three_d_secure_result
    );
end;
$$;
comment on function private.show_cards(uuid) is
  'Details of the card on each payment of an order, for staff: those of the attempt that succeeded, else of '
  'the latest.';

create function private.settle_paid_effects(
  o public.orders,
  p_before public.orders,
  h private.order_history,
  p_mismatches text[],
  p_source text
) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- The session that it kept before was noted when it came to keep it.
  if o.session_id is distinct from p_before.session_id or h.has_sessions_to_tell then
    perform private.note_received_money(o, p_source);
  end if;
  if cardinality(p_mismatches) > 0 then
    perform private.raise_alert_once(
      'payment_mismatch', 'critical', private.mismatch_alert(o.id),
      jsonb_build_object('order_number', o.number, 'reasons', to_jsonb(p_mismatches))
    );
  end if;
  if cardinality(p_mismatches) = 0 and o.oversold_at is null and o.cancelled_at is null then
    perform private.queue_notification(o.id, 'order_confirmation');
  end if;
  if o.oversold_at is not null or o.cancelled_at is not null then
    perform private.settle_unfulfillable(o, p_source);
  end if;
  if h.has_sessions_to_tell then
    perform private.refund_second_payments(o, p_source);
  end if;
  perform private.show_cards(o.id);
end;
$$;
comment on function private.settle_paid_effects(
  public.orders, public.orders, private.order_history, text[], text
) is
  'Side effects of an order that has money: confirmation, refunds of money it cannot keep, alerts, card '
  'details. Called by settle_order() only.';
