-- Goods that come back with the money, and what keeps goods from leaving.

create function private.restock_due(o public.orders) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1
    from public.refunds r left join public.refund_requests q on q.id = r.request_id
    where r.payment_id = o.payment_id and r.succeeded_at is not null and (
      q.restock
      -- A warning stops parcels that have not left. By its name: the refund may be heard of before the
      -- warning.
      or (r.request_id = private.refund_request_id('fraudulent', r.payment_id)
        and not private.has_shipped(o.id))
    )
  ) or exists (
    -- Somebody had given back all of it by hand before the job ran: what was asked for is true, once that
    -- money has left.
    select 1 from public.refund_requests q
    where q.order_id = o.id and q.payment_id = o.payment_id and q.status = 'not_needed'
      and (q.restock or (q.cause = 'fraudulent' and not private.has_shipped(o.id)))
      and o.amount_paid <= (
        select coalesce(sum(r.amount), 0) from public.refunds r
        where r.payment_id = o.payment_id and r.succeeded_at is not null
      )
  );
end;
$$;
comment on function private.restock_due(public.orders) is
  'Whether a refund that asked for it has put the goods of an order back on the shelf. Once true it stays '
  'so: a refund that bounces afterwards moves no goods.';

create function private.hold_reasons(o public.orders) returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array_remove(array[
    case when o.status = 'needs_review' then 'review' end,
    case when exists (
      select 1 from public.disputes d
      where d.order_id = o.id and private.dispute_holds(d, o.payment_id)
    ) then 'dispute' end,
    case when o.amount_paid > o.amount_refunded and (
      exists (
        select 1 from public.refund_requests q
        where q.payment_id = o.payment_id and q.status = 'queued' and q.amount is null
      )
      or o.amount_paid <= (
        select back.given from private.refunded_amounts back where back.payment_id = o.payment_id
      )
    ) then 'refund_under_way' end,
    case when exists (
      select 1 from public.refunds r join private.refund_states s on s.id = r.id and s.has_bounced
      where r.payment_id = o.payment_id and r.released_at is null
        and o.amount_paid <= r.amount + (
          select back.given from private.refunded_amounts back where back.payment_id = o.payment_id
        )
        and not private.refund_tried_again(r)
    ) then 'refund_failed' end,
    case when exists (
      select 1 from public.refund_requests q
      where q.payment_id = o.payment_id and q.amount is null and private.refund_is_owed(q)
    ) then 'refund_refused' end
  ], null);
end;
$$;
comment on function private.hold_reasons(public.orders) is
  'What keeps an order that has not shipped from shipping: review; dispute (see dispute_holds()); '
  'refund_under_way (all of its money); refund_failed (all of its money was to go back, bounced, and '
  'nobody has tried again or released the order); refund_refused (the same of a refund that Stripe does '
  'not take).';
grant execute on function private.hold_reasons(public.orders) to authenticated, service_role;
