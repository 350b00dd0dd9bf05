-- What the staff commands about an order as a whole do.

create function private.lock_order_by_number(p_order_number text) returns public.orders
language plpgsql
set search_path = ''
as $$
declare
  o public.orders;
begin
  select * into o from public.orders where number = p_order_number for no key update;
  if not found then
    raise exception 'order % does not exist', p_order_number using errcode = 'SHORD';
  end if;
  return o;
end;
$$;
comment on function private.lock_order_by_number(text) is
  'The order of a number, locked. SHORD: no such order.';

create function private.run_cancel_order(p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
begin
  if private.has_shipped(o.id) then
    raise exception 'order % has been shipped; refund it instead', o.number using errcode = 'SHINV';
  elsif o.status = 'refunded' and o.cancelled_at is null then
    -- The money is back already, and the customer knows: what is left to do is the goods.
    update public.orders set restocked_at = coalesce(restocked_at, now()) where id = o.id;
    perform private.settle_order(o.id, 'staff');
    return '{}';
  end if;
  update public.orders set cancelled_at = coalesce(cancelled_at, now()) where id = o.id;
  perform private.settle_order(o.id, 'staff');
  return jsonb_strip_nulls(jsonb_build_object('notice', (
    select case when private.money_left(q.payment_id) > 0 then
        'The payment is disputed, and Stripe refunds nothing of it: the refund waits, and is made by itself '
          || 'if the dispute is won. accept_dispute() lets the customer have the money now.'
      else 'The customer has the money from the bank: nothing is refunded.' end
    from public.refund_requests q
    where q.id = private.refund_request_id('cancelled', o.payment_id) and q.status in ('queued', 'disputed')
      and private.refund_awaits_dispute(q)
  )));
end;
$$;
comment on function private.run_cancel_order(jsonb) is
  'Carries out cancel_order: settling expires open sessions and refunds what was paid. Of an order that is '
  'refunded already only the goods go back. Answers { notice } when the refund waits for a bank. SHINV: '
  'already shipped.';

create function private.run_release_review(p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  v_reasons text[] := (private.risk_of(o.id)).review_reasons;
  v_held text[] := private.hold_reasons(o);
begin
  if not (
    o.status = 'needs_review'
    or (o.fulfillment_status = 'on_hold' and v_held && array['refund_failed', 'refund_refused'])
  )
    or 'oversold' = any (v_reasons) then
    raise exception 'order % is not held for review (status %, fulfilment %)', o.number, o.status,
      o.fulfillment_status
      using errcode = 'SHINV', hint = case when 'oversold' = any (v_reasons)
        then 'An oversold order is refunded by itself and cannot be released.'
        else 'What waits for a person stands in reporting.orders_needing_attention.' end;
  elsif 'refund_under_way' = any (v_held) then
    raise exception 'all the money of order % is on its way back', o.number using errcode = 'SHINV';
  end if;
  -- What is known now, and no more: what comes later, staff have not looked at.
  insert into private.released_mismatches (order_id, session_id, reason)
  select o.id, cs.id, reason
  from public.checkout_sessions cs
  left join public.payments p on p.id = cs.payment_id
  cross join unnest(private.unreleased_mismatches(o.id, cs.id, private.review_reasons(o, cs, p))) reason
  where cs.id = o.session_id;
  update public.fraud_signals f set released_at = now() where f.order_id = o.id and private.holds_order(f);
  update public.refunds r set released_at = now()
  from private.refund_states s
  where s.id = r.id and s.has_bounced and r.payment_id = o.payment_id and r.released_at is null;
  -- It may ship: all of its money is not to go back any more. One that is cancelled ships nothing.
  with kept as (
    update public.refund_requests q set status = 'not_needed', given_up_at = null, restock = false
    where q.payment_id = o.payment_id and q.amount is null and q.status in ('given_up', 'disputed')
      and o.cancelled_at is null
    returning q.id
  ), kept_pieces as (
    -- Nor are those pieces to stay that it has kept from leaving.
    update public.returns r set status = 'closed'
    from kept k
    where r.refund_request_id = k.id and r.status = 'requested' and not exists (
      select 1 from public.return_lines l where l.return_id = r.id and l.unsent < l.quantity
    )
  )
  update private.jobs j set status = 'discarded', finished_at = now(), lease_id = null, leased_until = null
  from kept k
  where j.dedupe_key = 'refund_payment:' || k.id and j.status in ('queued', 'running');
  update public.alerts set status = 'resolved'
  where dedupe_key = private.mismatch_alert(o.id) and status <> 'resolved';
  update public.order_risk set review_released_at = now() where order_id = o.id;
  perform private.settle_order(o.id, 'staff');
  return o.id;
end;
$$;
comment on function private.run_release_review(jsonb) is
  'Carries out release_review: a person has looked at what holds the order now, and it may ship. A sign of '
  'fraud or a mismatch that turns up later holds it again. SHINV: nothing to release, or its money is on '
  'its way back.';

create function private.run_resend_notification(p_command_id uuid, p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  o public.orders := private.lock_order_by_number(p_args ->> 'order_number');
  n public.notifications;
  v_problem text;
begin
  if p_args ->> 'template' <> all (private.mail_templates()) then
    raise exception 'there is no mail %; there are: %', left(p_args ->> 'template', 64),
      array_to_string(private.mail_templates(), ', ') using errcode = 'SHINV';
  end if;
  select * into n from public.notifications x
  where x.order_id = o.id and x.template = p_args ->> 'template'
  order by x.created_at desc, x.id limit 1;
  if not found then
    raise exception 'order % has had no mail %; it has had: %', o.number, p_args ->> 'template', coalesce(
      (select string_agg(distinct x.template, ', ') from public.notifications x where x.order_id = o.id),
      'none'
    ) using errcode = 'SHINV';
  end if;
  n.status := 'queued';
  if n.template = 'order_shipped' then
    n.data := (n.data - 'corrected') || (
      select private.parcel_data(s.id) from public.shipments s
      where s.order_id = o.id and s.parcel = (n.data ->> 'parcel')::integer
    );
  end if;
  v_problem := private.notification_problem(n, o);
  if v_problem is not null then
    raise exception 'mail % of order % must not be sent again: %', n.template, o.number, v_problem
      using errcode = 'SHINV';
  end if;
  perform private.queue_notification(o.id, n.template, 'resend:' || p_command_id, n.data);
  return o.id;
end;
$$;
comment on function private.run_resend_notification(uuid, jsonb) is
  'Carries out resend_notification: queues a mail that the order has had before once more. SHINV: there is '
  'no such mail, the order never had it, or what it says is not true any more.';

create function public.cancel_order(
  p_order_number text,
  p_reason text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'cancel_order',
    jsonb_build_object('order_number', p_order_number, 'reason', p_reason),
    p_dry_run, p_command_id
  )
$$;
comment on function public.cancel_order(text, text, boolean, uuid) is
  'Cancels an order that has not shipped: closes its checkout, frees its stock, refunds what was paid. '
  'Staff only.';
grant execute on function public.cancel_order(text, text, boolean, uuid) to authenticated, service_role;

create function public.release_review(
  p_order_number text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'release_review',
    jsonb_build_object('order_number', p_order_number, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.release_review(text, text, boolean, uuid) is
  'Lets an order that is held for review ship. Releases what is known now; what turns up later holds it '
  'again. Staff only.';
grant execute on function public.release_review(text, text, boolean, uuid) to authenticated, service_role;

create function public.resend_notification(
  p_order_number text,
  p_template text,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'resend_notification',
    jsonb_build_object('order_number', p_order_number, 'template', p_template),
    p_dry_run, p_command_id
  )
$$;
comment on function public.resend_notification(text, text, boolean, uuid) is
  'Mails a template that the order has had before once more, if what it says is still true. Staff only.';
grant execute on function public.resend_notification(
  text, text, boolean, uuid
) to authenticated, service_role;
