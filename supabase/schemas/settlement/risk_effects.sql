-- Side effects of disputes and signs of fraud, by the rules of settlement_effects.sql.

create function private.refunds_on_warning(f public.fraud_signals, o public.orders) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_answer text := f.answer;
begin
  if v_answer is null then
    v_answer := case
      -- Whether it had shipped is not known any more; whether its money was given back is.
      when private.effects_are_past() then case when exists (
        select 1 from public.refund_requests q
        where q.id = private.refund_request_id('fraudulent', f.payment_id)
      ) then 'refund' else 'review' end
      when not private.has_shipped(o.id) and private.setting('early_fraud_warning_policy') = '"refund"'
        then 'refund'
      else 'review'
    end;
    update public.fraud_signals set answer = v_answer where id = f.id;
  end if;
  return v_answer = 'refund' and f.released_at is null and not private.has_shipped(o.id);
end;
$$;
comment on function private.refunds_on_warning(public.fraud_signals, public.orders) is
  'Whether an actionable early fraud warning gives the money back by itself: nothing has shipped, nobody '
  'has released it, and the policy said so when the warning was first seen actionable, which is noted '
  'here. Of one from before a restored database was lost, what was done then. Otherwise a person decides.';

create function private.queue_dispute_reminders(d public.disputes) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- Days before the evidence deadline on which staff are reminded.
  c_reminders constant integer[] := array[7, 3, 1];
  v_days integer;
  v_key text;
  v_run_at timestamptz;
begin
  foreach v_days in array c_reminders loop
    v_key := format('remind_dispute:%s:%s', d.id, v_days);
    v_run_at := coalesce(d.evidence_due_by, d.first_due_by) - make_interval(days => v_days);
    -- The job looks again: the deadline may have moved, the dispute may be over.
    if not private.enqueue_job(
      'remind_dispute', v_key, jsonb_build_object('dispute_id', d.id, 'days', v_days), v_run_at
    ) and private.awaits_evidence(d) then
      -- Spent for an earlier deadline: an inquiry that was answered has become a chargeback, or there is an
      -- appeal. Or it waits for a later one: the chargeback came before the inquiry's deadline.
      update private.jobs set status = 'queued', run_at = v_run_at, attempts = 0, finished_at = null
      where dedupe_key = v_key and (
        (status in ('done', 'discarded') and v_run_at > now())
        or (status = 'queued' and attempts = 0 and run_at > v_run_at)
      );
    end if;
  end loop;
end;
$$;
comment on function private.queue_dispute_reminders(public.disputes) is
  'Reminders 7, 3 and 1 days before the evidence deadline, one job each for all deadlines that a dispute '
  'ever has. Called by settle_order() only.';

create function private.settle_dispute_effects(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  r public.disputes;
  v_status text;
begin
  for r in select d.* from public.disputes d where d.order_id = o.id loop
    if private.raise_alert_once(
      'dispute_opened', 'critical', 'dispute_opened:' || r.id,
      jsonb_build_object(
        'order_number', o.number, 'dispute_id', r.id, 'amount', r.amount, 'currency', r.currency,
        'reason', r.reason
      )
    ) then
      perform private.record_order_event(
        o.id, 'dispute_opened', p_source, jsonb_build_object('dispute_id', r.id)
      );
    end if;
    foreach v_status in array r.statuses_seen loop
      if (v_status = 'appeal_needs_response' or (v_status = 'needs_response' and r.statuses_seen && array[
        'warning_needs_response', 'warning_under_review', 'warning_closed'
      ])) and private.raise_alert_once(
        'dispute_escalated', 'critical', 'dispute_escalated:' || r.id || ':' || v_status,
        jsonb_build_object(
          'order_number', o.number, 'dispute_id', r.id, 'status', v_status, 'amount', r.amount,
          'currency', r.currency
        )
      ) then
        perform private.record_order_event(
          o.id, 'dispute_escalated', p_source, jsonb_build_object('dispute_id', r.id, 'status', v_status)
        );
      elsif v_status in ('won', 'lost', 'warning_closed', 'prevented') and private.raise_alert_once(
        'dispute_closed', case v_status when 'lost' then 'critical' else 'info' end,
        'dispute_closed:' || r.id || ':' || v_status,
        jsonb_build_object('order_number', o.number, 'dispute_id', r.id, 'status', v_status)
      ) then
        perform private.record_order_event(
          o.id, 'dispute_closed', p_source, jsonb_build_object('dispute_id', r.id, 'status', v_status)
        );
      end if;
    end loop;
    -- Staged, so that staff see it in the dashboard and Smart Disputes can use it; submitting is final.
    perform private.enqueue_job(
      'submit_dispute_evidence', 'stage_dispute_evidence:' || r.id,
      jsonb_build_object('dispute_id', r.id, 'note', null, 'submit', false), now(), 120
    );
    perform private.queue_dispute_answers(r);
    if r.first_due_by is not null then
      perform private.queue_dispute_reminders(r);
    end if;
  end loop;
end;
$$;
comment on function private.settle_dispute_effects(public.orders, text) is
  'Alerts, staged evidence, answers and reminders for the disputes of an order. Called by settle_order() '
  'only.';

create function private.settle_fraud_effects(o public.orders, p_source text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_signal public.fraud_signals;
begin
  for v_signal in
    select f.* from public.fraud_signals f
    where f.order_id = o.id and f.kind in ('early_fraud_warning', 'review') and f.was_actionable
  loop
    perform private.raise_alert_once(
      v_signal.kind, v_signal.severity, v_signal.kind || ':' || v_signal.source_id,
      jsonb_build_object('order_number', o.number, 'signal_id', v_signal.source_id)
    );
    -- The payment that was warned of, which need not be the one that the order keeps.
    if v_signal.kind = 'early_fraud_warning' and private.refunds_on_warning(v_signal, o)
      and exists (select 1 from private.settled_payments p where p.id = v_signal.payment_id) then
      perform private.queue_refund(v_signal.payment_id, o.id, 'fraudulent', p_source);
    end if;
  end loop;
end;
$$;
comment on function private.settle_fraud_effects(public.orders, text) is
  'Alerts and the refund policy for early fraud warnings and reviews. Called by settle_order() only.';
