-- What may be given back of a payment, and what is still owed.
--
-- A payment can give back what it brought, less the refunds that have not failed, less what is asked for and
-- can still run. A request that was given up no longer counts, so it may come back only while nothing has
-- happened that stands in for it: see refund_overtaken_by().

create function private.refundable_amount(p_payment_id text, p_except text default null) returns bigint
language plpgsql
stable
set search_path = ''
as $$
declare
  v_received bigint := (
    select p.amount_received from private.settled_payments p where p.id = p_payment_id
  );
  v_given bigint := (
    select back.given from private.refunded_amounts back where back.payment_id = p_payment_id
  );
  v_queued bigint;
  v_all_queued boolean;
begin
  select coalesce(sum(q.amount), 0), coalesce(bool_or(q.amount is null), false) into v_queued, v_all_queued
  from public.refund_requests q
  where q.payment_id = p_payment_id and q.status = 'queued' and q.id is distinct from p_except
    and not exists (select 1 from public.refunds r where r.request_id = q.id);
  return case
    when v_all_queued then 0
    else coalesce(v_received, 0) - coalesce(v_given, 0) - v_queued
  end;
end;
$$;
comment on function private.refundable_amount(text, text) is
  'Minor units of a payment that can still be refunded; what is asked for and can still run counts as given '
  'back, except the request p_except. Call with the order locked.';

create function private.refund_overtaken_by(q public.refund_requests) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Two requests that wait side by side are two refunds. One that was made by hand and not heard of before,
  -- or asked for after this one had been given up, may be meant in its stead: nobody can know, and the
  -- customer must not get it twice.
  return case when q.amount is not null then coalesce(
    (
      select r.id from public.refunds r
      -- One that failed stands in as well: staff have an alert of its own about that money.
      where r.payment_id = q.payment_id and r.seen_at > q.created_at
        and not exists (select 1 from public.refund_requests known where known.id = r.request_id)
      order by r.created_at, r.id
      limit 1
    ),
    (
      select later.id from public.refund_requests later
      where later.payment_id = q.payment_id and later.created_at > q.given_up_at
      order by later.created_at
      limit 1
    )
  ) end;
end;
$$;
comment on function private.refund_overtaken_by(public.refund_requests) is
  'The refund made in Stripe''s dashboard that was first heard of since a request, or the request made '
  'after it was given up, that may stand in for it; null when there is none. A request for all that is '
  'left is never overtaken: it gives back the rest.';
grant execute on function private.refund_overtaken_by(public.refund_requests) to authenticated, service_role;

create function private.money_left(p_payment_id text) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select p.amount_received
      - coalesce((select back.given from private.refunded_amounts back where back.payment_id = p.id), 0)
      -- The bank has given it to the customer: only what was disputed, which may be a part. In another
      -- currency nobody can tell, and it counts as all.
      - coalesce((
        select sum(case when d.currency = p.currency then d.amount else p.amount_received end)
        from public.disputes d where d.payment_id = p.id and d.status = 'lost'
      ), 0)
    from public.payments p
    where p.id = p_payment_id
  );
end;
$$;
comment on function private.money_left(text) is
  'Minor units of a payment that the customer has not got back, neither by refunds under way or made nor '
  'by lost disputes.';
grant execute on function private.money_left(text) to authenticated, service_role;

create function private.refund_awaits_dispute(q public.refund_requests) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Staff who asked for one hear that Stripe refuses it, and decide.
  return q.cause <> 'requested' and private.is_charged_back(q.payment_id) and (
    private.money_left(q.payment_id) <= 0 or exists (
      select 1 from public.disputes d where d.payment_id = q.payment_id and private.dispute_undecided(d)
    )
  );
end;
$$;
comment on function private.refund_awaits_dispute(public.refund_requests) is
  'Whether a refund that settling asked for is not to be made as things are: a bank decides about the '
  'payment, or has given all of it back. What a bank has left of a payment is owed, and Stripe refunds '
  'nothing of it: that is for a person.';

create function private.refund_is_owed(q public.refund_requests) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return q.status = 'given_up' and private.refund_overtaken_by(q) is null
    and private.money_left(q.payment_id) > coalesce((
      -- One made since that failed has an alert of its own.
      select sum(r.amount) from public.refunds r join private.refund_states s on s.id = r.id
      where r.payment_id = q.payment_id and s.has_bounced and r.seen_at > q.created_at
    ), 0);
end;
$$;
comment on function private.refund_is_owed(public.refund_requests) is
  'Whether a refund that was given up still waits for a person: nothing stands in for it, and the '
  'customer has not got all of the payment back.';
grant execute on function private.refund_is_owed(public.refund_requests) to authenticated, service_role;

create function private.refund_is_missed(q public.refund_requests) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- Of what came back staff have an alert.
  return q.status = 'not_needed' and private.money_left(q.payment_id) > 0 and not exists (
    select 1 from public.refunds r join private.refund_states s on s.id = r.id and s.has_bounced
    where r.payment_id = q.payment_id
  );
end;
$$;
comment on function private.refund_is_missed(public.refund_requests) is
  'Whether a refund is said not to be needed although the shop has the money, and no refund came back.';

create function private.refund_tried_again(r public.refunds) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  -- What failed first is made good first. What waited when r had failed is the greatest sum, over all
  -- failures up to it, of what failed since less what was given back between.
  return coalesce((
    select sum(later.amount) from public.refunds later
    where later.payment_id = r.payment_id and later.created_at > r.failed_at
  ), 0) >= (
    select max((
      select sum(f.amount) from public.refunds f
      where f.payment_id = r.payment_id and (f.failed_at, f.id) between (first.failed_at, first.id)
        and (r.failed_at, r.id)
    ) - coalesce((
      select sum(made.amount) from public.refunds made
      where made.payment_id = r.payment_id and made.created_at > first.failed_at
        and made.created_at <= r.failed_at
    ), 0))
    from public.refunds first
    where first.payment_id = r.payment_id and (first.failed_at, first.id) <= (r.failed_at, r.id)
  );
end;
$$;
comment on function private.refund_tried_again(public.refunds) is
  'Whether the money of a refund that failed has been given back anew since, whatever became of that: '
  'what failed too waits by itself. What was given back before the failure does not count, and one refund '
  'makes good one.';
grant execute on function private.refund_tried_again(public.refunds) to authenticated, service_role;
