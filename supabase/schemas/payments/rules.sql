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
