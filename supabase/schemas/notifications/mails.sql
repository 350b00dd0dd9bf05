-- What a mail can show of its order.

create function private.mail_templates() returns text[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return array[
    'duplicate_payment_refunded', 'order_cancelled', 'order_confirmation', 'order_shipped',
    'order_unfulfillable', 'payment_declined', 'payment_failed', 'payment_processing', 'payment_reminder',
    'refund_failed', 'refund_issued', 'refund_settled'
  ];
end;
$$;
comment on function private.mail_templates() is 'The names of all mails to customers, in alphabetical order.';

create function private.chosen_shipping(o public.orders) returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_names text[];
begin
  select array_agg(distinct r ->> 'name') into v_names
  from jsonb_array_elements(o.shipping_rates) r where (r ->> 'amount')::bigint = o.amount_shipping;
  return case when cardinality(v_names) = 1 then v_names[1] end;
end;
$$;
comment on function private.chosen_shipping(public.orders) is
  'The name of the delivery price that the order was paid with. Null where none or several offered ones cost '
  'as much: Stripe does not say which was chosen.';

create function private.mail_order(o public.orders) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'number', o.number, 'status', o.status, 'fulfillment_status', o.fulfillment_status,
    'currency', o.currency,
    'amount_subtotal', o.amount_subtotal, 'amount_discount', o.amount_discount,
    'amount_shipping', o.amount_shipping,
    'amount_tax', o.amount_tax, 'amount_total', o.amount_total, 'amount_refunded', o.amount_refunded,
    'amount_paid', o.amount_paid, 'presentment', private.presentment(o),
    'customer_name', o.customer_name, 'shipping_name', o.shipping_name,
    'shipping_address', o.shipping_address, 'billing_address', o.billing_address,
    'shipping_method', private.chosen_shipping(o),
    'locale', o.locale,
    'created_at', o.created_at, 'paid_at', o.paid_at,
    'card', (
      select jsonb_build_object('brand', p.card_brand, 'last4', p.card_last4)
      from public.payments p where p.id = o.payment_id
    ),
    'business', (select s.business from public.checkout_sessions s where s.id = o.session_id),
    'decline', (
      select jsonb_build_object(
        'failure_code', a.failure_code, 'decline_code', a.decline_code, 'advice_code', a.advice_code,
        'method', a.payment_method_type
      )
      from public.payment_attempts a
      where a.order_id = o.id and a.outcome in ('failed', 'blocked')
      order by a.created_at desc, a.id desc limit 1
    ),
    'items', coalesce((
      select jsonb_agg(
        jsonb_build_object(
          'sku', i.sku, 'name', i.name, 'quantity', i.quantity, 'unit_amount', i.unit_amount,
          'image_url', coalesce(v.image_url, p.image_url)
        ) order by i.sku
      )
      from public.order_items i
      join public.product_variants v on v.id = i.variant_id
      join public.products p on p.id = v.product_id
      where i.order_id = o.id and i.quantity > 0
    ), '[]')
  );
end;
$$;
comment on function private.mail_order(public.orders) is
  'What mails show of an order. Names and prices are those of the order; pictures are the catalogue''s of '
  'today.';

create function private.refunded_items(p_refund_id text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_agg(
      jsonb_build_object('name', i.name, 'quantity', l.quantity) order by i.sku collate "C"
    )
    from public.refunds r
    join public.refund_lines l on l.refund_id = r.id or l.request_id = r.request_id
    join public.order_items i on i.id = l.order_item_id
    where r.id = p_refund_id
  );
end;
$$;
comment on function private.refunded_items(text) is
  'The pieces whose money a refund gives back: [{ name, quantity }]. Null for a refund of an amount alone.';

create function public.get_notification(p_notification_id uuid) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'id', n.id,
    'order_id', n.order_id,
    'template', n.template,
    'status', n.status,
    'recipient', r.recipient,
    'recipient_hmac', private.email_hmac(r.recipient),
    'suppression', private.mail_suppression(n.template, r.recipient),
    'is_sent', n.sent_at is not null,
    'is_reminder', private.is_reminder(n.template),
    'data', case
      when n.data ? 'refund_id'
      then n.data || jsonb_build_object(
        'items', private.refunded_items(n.data ->> 'refund_id'),
        'details_needed', exists (
          select 1 from public.refunds f
          where f.id = n.data ->> 'refund_id' and f.status = 'requires_action'
        ),
        'presentment', (
          select private.refund_presentment(r) from public.refunds r where r.id = n.data ->> 'refund_id'
        )
      )
      else n.data
    end,
    'problem', private.notification_problem(n, o),
    'order', private.mail_order(o),
    'shop', private.shop()
  )
  from public.notifications n
  join public.orders o on o.id = n.order_id
  -- Decided as it is sent: a try that failed does not hold an address that has been corrected since.
  cross join lateral (
    select case when n.sent_at is not null then n.recipient else private.mail_recipient(o) end as recipient
  ) r
  where n.id = p_notification_id
$$;
comment on function public.get_notification(uuid) is
  'A mail with all that its template shows, or null. recipient null: no address is known yet; suppression: '
  'why it must not go there, or null. A mail about a refund names its pieces in data.items, as they are '
  'known when it is sent (a refund of the dashboard may have been assigned to lines since), in '
  'data.presentment what the customer gets where they paid in another currency, and in data.details_needed '
  'whether Stripe is asking the customer where its money should go.';
grant execute on function public.get_notification(uuid) to service_role;
