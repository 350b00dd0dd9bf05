-- Orders for people: what waits and why, the packing list, one order at a glance, customers, unpaid carts.

create index orders_to_ship_idx on public.orders (paid_at)
  where fulfillment_status = 'unfulfilled' and paid_at is not null;
create index orders_in_review_idx on public.orders (created_at) where status = 'needs_review';
create index payments_card_last4_idx on public.payments (card_last4);

create function private.phone_end(p_phone text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return right(translate(p_phone, ' +()/.-', ''), 7);
end;
$$;
comment on function private.phone_end(text) is
  'The last seven digits of a phone number, however they are grouped: what two ways to write it share.';
grant execute on function private.phone_end(text) to authenticated, service_role;
create index orders_phone_idx on public.orders (private.phone_end(phone)) where phone is not null;

create view reporting.orders_to_ship with (security_invoker = true) as
select o.number, (now() at time zone z.zone)::date - (o.paid_at at time zone z.zone)::date as days_waiting,
  o.paid_at,
  private.address_text(coalesce(o.shipping_name, o.customer_name), o.shipping_address) as ship_to,
  o.shipping_address ->> 'country' as country, o.phone, o.email, l.items, l.pieces,
  (select count(*) from public.shipments s where s.order_id = o.id) as parcels_sent,
  o.amount_total, private.money_text(o.amount_total, o.currency) as amount_total_text, o.currency, o.livemode
from public.orders o
cross join (select private.report_setting('shop_time_zone') as zone) z
cross join lateral (
  select string_agg(p.to_ship || ' × ' || p.name || ' (' || p.sku || ')', E'\n' order by p.sku collate "C")
      as items,
    sum(p.to_ship)::integer as pieces
  from private.line_positions(o.id) p where p.to_ship > 0
) l
where (select private.sees_reports()) and o.fulfillment_status = 'unfulfilled' and o.paid_at is not null
  and o.erased_at is null
order by o.paid_at, o.number;
comment on view reporting.orders_to_ship is
  'The packing list: paid orders that nothing holds and of which pieces are still here, the oldest first. '
  'Not those whose address was erased: they wait in orders_needing_attention.';
comment on column reporting.orders_to_ship.number is 'The order''s number.';
comment on column reporting.orders_to_ship.days_waiting is 'Days since it was paid.';
comment on column reporting.orders_to_ship.paid_at is 'When it was paid.';
comment on column reporting.orders_to_ship.ship_to is 'Name and address for the label, a line each.';
comment on column reporting.orders_to_ship.country is 'The address''s country, two letters.';
comment on column reporting.orders_to_ship.phone is 'For the carrier; null: not asked.';
comment on column reporting.orders_to_ship.email is 'The customer''s address.';
comment on column reporting.orders_to_ship.items is
  'What is still to be sent: pieces × name (SKU), a line each.';
comment on column reporting.orders_to_ship.pieces is 'How many pieces that is.';
comment on column reporting.orders_to_ship.parcels_sent is 'Parcels that have left already.';
comment on column reporting.orders_to_ship.amount_total is 'What the whole order costs, in minor units.';
comment on column reporting.orders_to_ship.amount_total_text is 'The same as text.';
comment on column reporting.orders_to_ship.currency is 'ISO code in lower case.';
comment on column reporting.orders_to_ship.livemode is 'False: made with test keys.';

create view reporting.order_overview with (security_invoker = true) as
select o.number, o.status, o.fulfillment_status,
  coalesce(
    (
      select string_agg(distinct w.reason, ', ' order by w.reason)
      from reporting.attention_reasons w where w.order_id = o.id
    ),
    case
      when o.fulfillment_status = 'on_hold' then nullif(array_to_string(private.hold_reasons(o), ', '), '')
      when o.fulfillment_status = 'unfulfilled' and o.paid_at is not null then 'shipping'
      when o.status in ('pending', 'processing') then 'payment'
    end
  ) as waits_for,
  o.customer_name, o.email, o.phone,
  private.address_text(coalesce(o.shipping_name, o.customer_name), o.shipping_address) as ship_to,
  (
    select string_agg(
      i.quantity || ' × ' || i.name || ' (' || i.sku || ')', E'\n' order by i.sku collate "C"
    )
    from public.order_items i where i.order_id = o.id and i.quantity > 0
  ) as items,
  o.amount_total, private.money_text(o.amount_total, o.currency) as amount_total_text,
  o.amount_paid, private.money_text(o.amount_paid, o.currency) as amount_paid_text,
  o.amount_refunded, private.money_text(o.amount_refunded, o.currency) as amount_refunded_text, o.currency,
  (
    select private.money_text((x.charged ->> 'amount')::bigint, x.charged ->> 'currency')
    from (select private.presentment(o) as charged) x
  ) as charged_as,
  (
    select concat_ws(' ', coalesce(p.card_brand, p.payment_method_type), p.card_last4)
    from public.payments p where p.id = o.payment_id
  ) as paid_with,
  (
    select string_agg(concat_ws(' ', s.carrier, s.tracking_number), E'\n' order by s.parcel)
    from public.shipments s where s.order_id = o.id
  ) as tracking,
  (
    select string_agg(s.tracking_url, E'\n' order by s.parcel) from public.shipments s where s.order_id = o.id
  ) as tracking_urls,
  (
    select n.template || ' ' || n.status from public.notifications n
    where n.order_id = o.id order by n.created_at desc, n.id limit 1
  ) as last_mail,
  (
    select coalesce(n.sent_at, n.created_at) from public.notifications n
    where n.order_id = o.id order by n.created_at desc, n.id limit 1
  ) as last_mail_at,
  (
    select string_agg(d.reason || ' ' || d.status, E'\n' order by d.created_at)
    from public.disputes d where d.order_id = o.id
  ) as disputes,
  o.created_at, o.paid_at, o.fulfilled_at, o.livemode, o.payment_id, o.id as order_id
from public.orders o
where (select private.sees_reports());
comment on view reporting.order_overview is
  'One order at a glance, a row each. Ask by number, or with reporting.find_order().';
comment on column reporting.order_overview.number is 'The order''s number.';
comment on column reporting.order_overview.status is 'orders.status.';
comment on column reporting.order_overview.fulfillment_status is 'orders.fulfillment_status.';
comment on column reporting.order_overview.waits_for is
  'Why it waits: its reasons in reporting.attention_reasons, else what holds it, else shipping or payment; '
  'null: it waits for nothing.';
comment on column reporting.order_overview.customer_name is 'The name typed at the payment.';
comment on column reporting.order_overview.email is 'The customer''s address; null: not known.';
comment on column reporting.order_overview.phone is 'The customer''s phone; null: not asked.';
comment on column reporting.order_overview.ship_to is 'Name and address of the delivery, a line each.';
comment on column reporting.order_overview.items is 'What was ordered: pieces × name (SKU), a line each.';
comment on column reporting.order_overview.amount_total is 'What it costs, in minor units.';
comment on column reporting.order_overview.amount_total_text is 'The same as text.';
comment on column reporting.order_overview.amount_paid is 'What was paid, in minor units.';
comment on column reporting.order_overview.amount_paid_text is 'The same as text.';
comment on column reporting.order_overview.amount_refunded is 'What was given back, in minor units.';
comment on column reporting.order_overview.amount_refunded_text is 'The same as text.';
comment on column reporting.order_overview.currency is 'ISO code in lower case.';
comment on column reporting.order_overview.charged_as is
  'What the customer was charged in a currency of their own, as text; null: amount_paid_text.';
comment on column reporting.order_overview.paid_with is
  'Brand and last four digits of the card, or how else.';
comment on column reporting.order_overview.tracking is
  'Carrier and tracking number of each parcel, a line each.';
comment on column reporting.order_overview.tracking_urls is
  'The carriers'' pages of the parcels, a line each.';
comment on column reporting.order_overview.last_mail is
  'The latest mail to the customer, and what became of it.';
comment on column reporting.order_overview.last_mail_at is 'When that was sent, or queued.';
comment on column reporting.order_overview.disputes is 'Reason and status of each dispute, a line each.';
comment on column reporting.order_overview.created_at is 'When checkout began.';
comment on column reporting.order_overview.paid_at is 'When it was paid; null: not yet.';
comment on column reporting.order_overview.fulfilled_at is 'When its last piece left; null: not yet.';
comment on column reporting.order_overview.livemode is 'False: made with test keys.';
comment on column reporting.order_overview.payment_id is 'The payment at Stripe, pi_….';
comment on column reporting.order_overview.order_id is 'orders.id, to join with.';

create function reporting.find_order(p_text text) returns setof reporting.order_overview
language plpgsql
stable
rows 20
set search_path = ''
as $$
declare
  v_text constant text := btrim(coalesce(p_text, ''));
  -- A phone number begins with zeros within its country, and has the country's code abroad.
  v_phone constant text := ltrim(regexp_replace(v_text, '[^0-9]', '', 'g'), '0');
  v_number constant text := (
    select o.number from public.orders o
    where o.number in (upper(v_text), private.report_setting('order_number_prefix') || v_text)
    limit 1
  );
  v_variant constant uuid := (
    select v.id from public.product_variants v where v.sku in (v_text, upper(v_text)) limit 1
  );
  v_kind constant text := case
    when v_number is not null then 'number'
    when v_variant is not null then 'sku'
    when v_text like '%@%' then 'email'
    when v_text ~ '^[0-9]{4}$' then 'last4'
    when length(v_phone) >= 7 and v_text ~ '^[0-9 +()/.-]+$' then 'phone'
    when v_text ~ '[[:alpha:]]{2}' then 'name'
  end;
  -- Of the text nothing is a pattern.
  v_like constant text := '%' || regexp_replace(v_text, '([\\%_])', '\\\1', 'g') || '%';
begin
  return query
  with found as (
    select o.id from public.orders o where v_kind = 'number' and o.number = v_number
    union
    select o.id from public.orders o where v_kind = 'email' and lower(o.email) = lower(v_text)
    union
    select i.order_id from public.order_items i where v_kind = 'sku' and i.variant_id = v_variant
    union
    select p.order_id from public.payments p where v_kind = 'last4' and p.card_last4 = v_text
    union
    -- However its digits are grouped: what both ways to write it have is the same.
    select o.id from public.orders o
    where v_kind = 'phone' and private.phone_end(o.phone) = right(v_phone, 7)
      and (
        v_phone like '%' || ltrim(translate(o.phone, ' +()/.-', ''), '0')
        or translate(o.phone, ' +()/.-', '') like '%' || v_phone
      )
    union
    select o.id from public.orders o
    where v_kind = 'name' and (o.customer_name ilike v_like or o.shipping_name ilike v_like)
  )
  select v.* from reporting.order_overview v
  where v.order_id in (
    select o.id from public.orders o join found f on f.id = o.id order by o.created_at desc limit 50
  )
  order by v.created_at desc;
end;
$$;
comment on function reporting.find_order(text) is
  'Orders by what a customer says: order number (with or without its prefix), SKU, e-mail address in any '
  'case, part of a name, the last four digits of the card, or a phone number (seven digits at least) however '
  'it is written. The newest fifty, as in reporting.order_overview.';
revoke all on function reporting.find_order(text) from public, anon;
grant execute on function reporting.find_order(text) to authenticated, service_role;

create view reporting.customer_history with (security_invoker = true) as
select lower(o.email) as email,
  (array_agg(o.customer_name order by o.created_at desc) filter (where o.customer_name is not null))[1]
    as name,
  o.currency, o.livemode, count(*) as checkouts, count(o.paid_at) as orders,
  coalesce(sum(o.amount_paid), 0)::bigint as amount_paid,
  coalesce(sum(o.amount_refunded), 0)::bigint as amount_refunded,
  coalesce(sum(o.amount_paid - o.amount_refunded), 0)::bigint as amount_net,
  private.money_text(coalesce(sum(o.amount_paid - o.amount_refunded), 0)::bigint, o.currency)
    as amount_net_text,
  coalesce(sum(d.disputes), 0)::bigint as disputes,
  min(o.paid_at) as first_paid_at, max(o.paid_at) as last_paid_at,
  (array_agg(o.number order by o.created_at desc))[1] as last_number
from public.orders o
left join (
  select d.order_id, count(*) as disputes from public.disputes d group by d.order_id
) d on d.order_id = o.id
where (select private.sees_reports()) and o.email is not null
group by lower(o.email), o.currency, o.livemode;
comment on view reporting.customer_history is
  'What each e-mail address has bought, a row for each currency; guests and accounts alike.';
comment on column reporting.customer_history.email is 'The address, in lower case.';
comment on column reporting.customer_history.name is 'The name on the latest order that has one.';
comment on column reporting.customer_history.currency is 'ISO code in lower case.';
comment on column reporting.customer_history.livemode is 'False: made with test keys.';
comment on column reporting.customer_history.checkouts is 'Orders begun, paid or not.';
comment on column reporting.customer_history.orders is 'Orders paid.';
comment on column reporting.customer_history.amount_paid is 'What was paid for them, in minor units.';
comment on column reporting.customer_history.amount_refunded is 'What was given back, in minor units.';
comment on column reporting.customer_history.amount_net is 'What remained, in minor units.';
comment on column reporting.customer_history.amount_net_text is 'The same as text.';
comment on column reporting.customer_history.disputes is 'Disputes and inquiries of these orders.';
comment on column reporting.customer_history.first_paid_at is 'When the first was paid; null: none was.';
comment on column reporting.customer_history.last_paid_at is 'When the latest was paid; null: none was.';
comment on column reporting.customer_history.last_number is 'Number of the latest order, paid or not.';

create view reporting.abandoned_checkouts with (security_invoker = true) as
select o.number, o.created_at, o.status, o.email, o.customer_name, o.phone,
  (
    select string_agg(
      i.quantity || ' × ' || i.name || ' (' || i.sku || ')', E'\n' order by i.sku collate "C"
    )
    from public.order_items i where i.order_id = o.id
  ) as items,
  o.amount_total, private.money_text(o.amount_total, o.currency) as amount_total_text, o.currency,
  (
    select count(*) from public.payment_attempts a where a.order_id = o.id and a.outcome = 'failed'
  ) as refused_payments,
  (
    select coalesce(a.decline_code, a.failure_code) from public.payment_attempts a
    where a.order_id = o.id and a.outcome = 'failed' order by a.created_at desc, a.id limit 1
  ) as last_refusal,
  o.livemode
from public.orders o
where (select private.sees_reports())
  and o.paid_at is null and o.erased_at is null and o.session_expires_at < now()
  and o.status in ('pending', 'expired', 'payment_failed')
order by o.created_at desc;
comment on view reporting.abandoned_checkouts is
  'Carts that went to the payment page and were never paid, the newest first. Left out are those that staff '
  'cancelled, and those whose personal data is gone (retention_unpaid_days).';
comment on column reporting.abandoned_checkouts.number is 'The order''s number.';
comment on column reporting.abandoned_checkouts.created_at is 'When checkout began.';
comment on column reporting.abandoned_checkouts.status is
  'expired, payment_failed, or pending: not ended yet.';
comment on column reporting.abandoned_checkouts.email is 'The shopper''s address; null: none was typed.';
comment on column reporting.abandoned_checkouts.customer_name is 'The shopper''s name; null: none was typed.';
comment on column reporting.abandoned_checkouts.phone is 'The shopper''s phone; null: none was typed.';
comment on column reporting.abandoned_checkouts.items is
  'What was in the cart: pieces × name (SKU), a line each.';
comment on column reporting.abandoned_checkouts.amount_total is 'What it would have cost, in minor units.';
comment on column reporting.abandoned_checkouts.amount_total_text is 'The same as text.';
comment on column reporting.abandoned_checkouts.currency is 'ISO code in lower case.';
comment on column reporting.abandoned_checkouts.refused_payments is 'How often a payment was refused.';
comment on column reporting.abandoned_checkouts.last_refusal is 'Why the last one was: Stripe''s code.';
comment on column reporting.abandoned_checkouts.livemode is 'False: made with test keys.';
