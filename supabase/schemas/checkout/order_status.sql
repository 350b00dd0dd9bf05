-- What the success page asks.

create function public.get_order_status(p_session_id text) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'order_number', o.number,
    'status', o.status,
    'fulfillment_status', o.fulfillment_status,
    'currency', o.currency,
    'amount_total', o.amount_total,
    'items', (
      select jsonb_agg(
        jsonb_build_object(
          'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount
        ) order by i.sku collate "C"
      )
      from public.order_items i where i.order_id = o.id and i.quantity > 0
    ),
    'paid_at', o.paid_at,
    -- An order that is cancelled, or paid through another page, says nothing of a page that is open for all
    -- we know: it may just have been paid.
    'settled', (o.status not in ('pending', 'processing') and s.status <> 'open') or s.status = 'expired'
  )
  from public.checkout_sessions s join public.orders o on o.id = s.order_id
  where s.id = p_session_id
$$;
comment on function public.get_order_status(text) is
  'What the success page shows, found by session id; no personal data. settled false: Stripe may know more, '
  'ask it. Null: no such session.';
grant execute on function public.get_order_status(text) to service_role;
