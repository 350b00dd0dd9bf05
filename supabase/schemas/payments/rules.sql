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
