-- Generated from supabase/schemas/reporting by 'deno task migrations': edit there.

-- What the views of schema reporting lean on: who sees them, the shop's time zone and figures, amounts and
-- addresses as text.

insert into private.settings (key, value, description) values
  ('low_stock_at', '3', 'reporting.low_stock lists what has this many pieces to sell, or fewer.');

create function private.report_setting(p_key text) returns text
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  return (
    select s.value #>> '{}' from private.settings s
    where s.key = p_key and s.key in (
      'shop_time_zone', 'low_stock_at', 'order_number_prefix', 'shop_name', 'shop_runbook_url'
    )
  );
end;
$$;
comment on function private.report_setting(text) is
  'A setting that the views of schema reporting go by, as text, for those who may not read private.settings; '
  'null for any other.';
grant execute on function private.report_setting(text) to authenticated, service_role;

create function private.sees_reports() returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return current_user not in ('anon', 'authenticated') or private.is_admin();
end;
$$;
comment on function private.sees_reports() is
  'Whether the views of schema reporting show anything to who reads them: staff, the secret key and the '
  'dashboard. A customer may read their own orders, but sums over them are no report.';
grant execute on function private.sees_reports() to authenticated, service_role;

create function private.money_text(p_amount bigint, p_currency text) returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_unit constant integer := private.major_unit(p_currency);
  -- Two decimals that a currency has lost are not shown while they are 00.
  v_digits constant integer := case
    when private.amount_step(p_currency) = 100 and p_amount % 100 = 0 then 0
    else length(v_unit::text) - 1
  end;
begin
  return round(p_amount::numeric / v_unit, v_digits)::text || ' ' || upper(p_currency);
end;
$$;
comment on function private.money_text(bigint, text) is
  'An amount in minor units as people write it, with as many decimals as Stripe counts in the currency: '
  '12900, usd is 129.00 USD; 12900, jpy is 12900 JPY. https://docs.stripe.com/currencies';
grant execute on function
  private.money_text(bigint, text), private.major_unit(text), private.amount_step(text)
  to authenticated, service_role;

create function private.address_text(p_name text, p_address jsonb) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return nullif(concat_ws(
    E'\n', nullif(p_name, ''), nullif(p_address ->> 'line1', ''), nullif(p_address ->> 'line2', ''),
    nullif(concat_ws(
      ' ', nullif(p_address ->> 'postal_code', ''), nullif(p_address ->> 'city', ''),
      nullif(p_address ->> 'state', '')
    ), ''),
    nullif(p_address ->> 'country', '')
  ), '');
end;
$$;
comment on function private.address_text(text, jsonb) is
  'A name and an address as Stripe has it, a line each; null when there is nothing.';
grant execute on function private.address_text(text, jsonb) to authenticated, service_role;

-- The packing list and the reasons to wait are rules of the orders; they are asked with the reader's rights.
grant execute on function
  private.line_positions(uuid), private.refunded_pieces(uuid), private.exchanged_pieces(uuid),
  private.refund_is_off(public.refund_requests)
  to authenticated, service_role;

grant usage on schema reporting to authenticated;

-- What waits for a person, and why.

create view reporting.attention_reasons with (security_invoker = true) as
with found (order_id, reason) as (
  select o.id, r.reason
  from public.orders o join public.order_risk k on k.order_id = o.id, unnest(k.review_reasons) as r (reason)
  where o.status = 'needs_review'
  union all
  select d.order_id, case d.status when 'lost' then 'dispute_lost' else 'dispute_open' end
  from public.disputes d join public.orders o on o.id = d.order_id
  where private.dispute_holds(d, o.payment_id)
    -- Of a lost one the goods are left to decide on, if they are still here.
    and (d.status <> 'lost' or o.fulfillment_status = 'on_hold')
  union all
  select q.order_id, 'refund_refused' from public.refund_requests q
  -- Paid in another way: staff have resolved its alert.
  where private.refund_is_owed(q) and exists (
    select 1 from public.alerts a where a.dedupe_key = 'refund_refused:' || q.id and a.status <> 'resolved'
  )
  union all
  select q.order_id, 'refund_delayed' from public.refund_requests q
  where q.status = 'queued' and q.problem is not null
  union all
  select r.order_id, 'refund_failed'
  from public.refunds r join private.refund_states s on s.id = r.id and s.has_bounced
  where private.money_left(r.payment_id) > 0
    and not private.refund_tried_again(r)
    -- Paid in another way: staff have resolved its alert.
    and exists (
      select 1 from public.alerts a where a.dedupe_key = 'refund_failed:' || r.id and a.status <> 'resolved'
    )
  union all
  select o.id, 'checkout_not_ended'
  from public.orders o
  where o.status in ('pending', 'cancelled') and o.session_expires_at < now() - interval '1 hour'
    and exists (select 1 from public.inventory_reservations r where r.order_id = o.id and r.status = 'active')
  union all
  -- The slowest debits take three weeks.
  select o.id, 'payment_not_ended'
  from public.orders o
  where o.status = 'processing' and o.session_expires_at < now() - interval '21 days'
  union all
  -- As long as a parcel can still be stopped, the last word counts: a mail since may have arrived.
  select o.id, 'mail_returned'
  from public.orders o
  cross join lateral (
    select n.status from public.notifications n
    where n.order_id = o.id and n.status not in ('queued', 'skipped')
    order by n.created_at desc, n.id limit 1
  ) last
  where o.fulfillment_status in ('unfulfilled', 'on_hold') and o.paid_at is not null
    and last.status in ('bounced', 'suppressed')
  union all
  -- Nobody knows any more where to.
  select o.id, 'address_erased'
  from public.orders o
  where o.erased_at is not null and o.paid_at is not null and o.fulfillment_status = 'unfulfilled'
)
select f.order_id, f.reason from found f where (select private.sees_reports());
comment on view reporting.attention_reasons is
  'Why orders wait for a person, a row for each order and reason; orders_needing_attention has a row '
  'for each order.';
comment on column reporting.attention_reasons.order_id is 'The order: orders.id.';
comment on column reporting.attention_reasons.reason is
  'The reason, a word of the list in docs/operations.md.';

create view reporting.orders_needing_attention with (security_invoker = true) as
select o.number, r.reasons, r.what_to_do, o.status, o.fulfillment_status, o.amount_total,
  private.money_text(o.amount_total, o.currency) as amount_total_text, o.currency, o.email, o.created_at,
  o.paid_at, o.livemode
from (
  select f.order_id, array_agg(distinct f.reason order by f.reason) as reasons,
    string_agg(distinct coalesce(g.what_to_do, 'See docs/operations.md.'), E'\n') as what_to_do
  from reporting.attention_reasons f
  left join (values
    ('early_fraud_warning', 'Look at the payment: release_review(), or cancel_order(), which refunds it.'),
    ('radar_review', 'Look at the payment: release_review(), or cancel_order(), which refunds it.'),
    ('velocity_review', 'Look at the payment: release_review(), or cancel_order(), which refunds it.'),
    ('amount_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('currency_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('livemode_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('cart_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('order_mismatch', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('payment_of_another_order', 'Compare with Stripe: release_review(), or cancel_order(), which refunds.'),
    ('oversold', 'Nothing: its refund is on its way.'),
    ('dispute_open', 'submit_dispute_evidence() before the deadline in reporting.disputes_due.'),
    ('dispute_lost', 'The goods are still here: cancel_order().'),
    ('refund_refused', 'Ask for another amount, or pay in another way and resolve the alert.'),
    ('refund_delayed', 'Add funds to the Stripe balance if sales do not fill it.'),
    ('refund_failed', 'request_refund() again, or pay in another way and resolve the alert.'),
    ('checkout_not_ended', 'See that the queue runs: Stripe ends the payment page.'),
    ('payment_not_ended', 'Look at the payment in Stripe''s dashboard.'),
    ('mail_returned', 'Ask for another address by phone; then lift_mail_suppression().'),
    ('address_erased', 'cancel_order(), which refunds it; or mark_fulfilled(), if the parcel has left.')
  ) as g (reason, what_to_do) on g.reason = f.reason
  group by f.order_id
) r
join public.orders o on o.id = r.order_id
order by o.created_at;
comment on view reporting.orders_needing_attention is
  'Orders that wait for a person, one row each, with every reason: the review reasons; dispute_open; '
  'dispute_lost (and the goods are still here); refund_refused, refund_delayed, refund_failed; '
  'checkout_not_ended (should have an hour ago, and holds stock); payment_not_ended (under way for three '
  'weeks); mail_returned (the customer''s address takes no mail); address_erased (before it was sent). '
  'Oldest first.';
comment on column reporting.orders_needing_attention.number is 'The order''s number.';
comment on column reporting.orders_needing_attention.reasons is 'Every reason, in alphabetical order.';
comment on column reporting.orders_needing_attention.what_to_do is
  'What helps, a line for each kind of reason.';
comment on column reporting.orders_needing_attention.status is 'orders.status.';
comment on column reporting.orders_needing_attention.fulfillment_status is 'orders.fulfillment_status.';
comment on column reporting.orders_needing_attention.amount_total is 'What it costs, in minor units.';
comment on column reporting.orders_needing_attention.amount_total_text is 'The same as text.';
comment on column reporting.orders_needing_attention.currency is 'ISO code in lower case.';
comment on column reporting.orders_needing_attention.email is 'The customer''s address; null: not known.';
comment on column reporting.orders_needing_attention.created_at is 'When checkout began.';
comment on column reporting.orders_needing_attention.paid_at is 'When it was paid; null: not yet.';
comment on column reporting.orders_needing_attention.livemode is 'False: made with test keys.';

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

-- Money, by the shop's day (setting shop_time_zone).

create view reporting.accounting_export with (security_invoker = true) as
with refund_bookings as (
  select r.id, r.order_id, r.payment_id, r.currency, -r.amount as amount, r.succeeded_at as booked_at,
    'refund' as kind
  from public.refunds r where r.succeeded_at is not null
  union all
  select r.id, r.order_id, r.payment_id, r.currency, r.amount, r.failed_at, 'refund_returned'
  from public.refunds r where r.succeeded_at is not null and r.failed_at is not null
), refund_sums as (
  -- Of the first refund on, so that the shares of all refunds together are the share of all of the money.
  select b.*, sum(-b.amount) over (
    partition by b.payment_id order by b.booked_at, b.id, b.kind rows unbounded preceding
  ) as given
  from refund_bookings b
), booked as (
  select o.paid_at as booked_at, 'sale' as kind, o.number, o.shipping_address ->> 'country' as country,
    coalesce(o.payment_id, o.session_id) as reference, o.currency, o.livemode, o.amount_subtotal as goods,
    -o.amount_discount as discount, o.amount_shipping as shipping, o.amount_tax as tax,
    o.amount_paid as gross
  from public.orders o where o.paid_at is not null
  union all
  -- Settling has asked for its refund in the moment in which it found it.
  select p.succeeded_at, 'duplicate_payment', o.number, o.shipping_address ->> 'country', p.id, p.currency,
    p.livemode, 0, 0, 0, 0, p.amount_received
  from public.refund_requests q
  join public.payments p on p.id = q.payment_id and p.succeeded_at is not null
  -- An order that keeps a free page has no payment of its own.
  join public.orders o on o.id = p.order_id and o.payment_id is distinct from p.id
  where q.cause = 'duplicate'
  union all
  select b.booked_at, b.kind, o.number, o.shipping_address ->> 'country', b.id, b.currency, p.livemode,
    0, 0, 0,
    -- Only the payment that the order keeps has paid its tax.
    case when o.payment_id = b.payment_id and o.amount_paid > 0 then
      div(o.amount_tax * (b.given + b.amount), o.amount_paid) - div(o.amount_tax * b.given, o.amount_paid)
    else 0 end::bigint,
    b.amount
  from refund_sums b
  left join public.payments p on p.id = b.payment_id
  -- Of others at the same account only what went is known, and not what came: none of it is the shop's.
  join public.orders o on o.id = coalesce(b.order_id, p.order_id)
  union all
  select d.created_at, 'dispute', o.number, o.shipping_address ->> 'country', d.id, d.currency, d.livemode,
    0, 0, 0, 0, -d.amount
  from public.disputes d join public.orders o on o.id = d.order_id
  where d.funds_withdrawn
  union all
  select d.funds_reinstated_at, 'dispute_returned', o.number,
    o.shipping_address ->> 'country', d.id, d.currency, d.livemode, 0, 0, 0, 0, d.amount
  from public.disputes d join public.orders o on o.id = d.order_id
  where d.funds_withdrawn and d.funds_reinstated
)
select (b.booked_at at time zone (select private.report_setting('shop_time_zone')))::date as day, b.kind,
  b.number as order_number, b.reference, b.country, b.currency, b.goods as amount_goods,
  b.discount as amount_discount, b.shipping as amount_shipping, b.tax as amount_tax,
  b.gross as amount_gross, b.gross - b.tax as amount_net,
  private.money_text(b.gross, b.currency) as amount_gross_text,
  private.money_text(b.gross - b.tax, b.currency) as amount_net_text,
  case when b.kind = 'sale' then (
    select string_agg(t ->> 'value', ', ' order by t ->> 'value')
    from public.orders o
    join public.checkout_sessions s on s.id = o.session_id
    cross join lateral jsonb_array_elements(s.business -> 'tax_ids') t
    where o.number = b.number
  ) end as tax_ids, b.booked_at, b.livemode
from booked b
where (select private.sees_reports());
comment on view reporting.accounting_export is
  'Every movement of money, a row each, for a spreadsheet: kind is sale, duplicate_payment (an order was '
  'paid twice; its refund follows), refund, refund_returned (it bounced), dispute (the bank took the money) '
  'or dispute_returned. What leaves is negative: the sum of amount_gross is what came and stayed. Stripe''s '
  'fees and payouts are in Stripe''s reports.';
comment on column reporting.accounting_export.day is 'The shop''s day on which it happened.';
comment on column reporting.accounting_export.kind is
  'sale, duplicate_payment, refund, refund_returned, dispute, dispute_returned.';
comment on column reporting.accounting_export.order_number is 'The order''s number.';
comment on column reporting.accounting_export.reference is
  'Stripe''s id: pi_… of a payment (cs_… where nothing was to pay), re_…, du_….';
comment on column reporting.accounting_export.country is 'Where the goods went, two letters.';
comment on column reporting.accounting_export.currency is 'ISO code in lower case. Sum each by itself.';
comment on column reporting.accounting_export.amount_goods is
  'Goods before the discount, in minor units; sales only.';
comment on column reporting.accounting_export.amount_discount is
  'Discount, in minor units, negative; sales only.';
comment on column reporting.accounting_export.amount_shipping is 'Delivery, in minor units; sales only.';
comment on column reporting.accounting_export.amount_tax is
  'Tax, in minor units: of a sale as Stripe computed it, of a refund its share by amount; 0 of disputes.';
comment on column reporting.accounting_export.amount_gross is 'What was paid or went back, in minor units.';
comment on column reporting.accounting_export.amount_net is 'Gross less tax, in minor units.';
comment on column reporting.accounting_export.amount_gross_text is 'Gross as text.';
comment on column reporting.accounting_export.amount_net_text is 'Net as text.';
comment on column reporting.accounting_export.tax_ids is
  'Tax ids that a business buyer has given; sales only. Null: none, or the buyer was erased.';
comment on column reporting.accounting_export.booked_at is
  'The moment: payment, success or failure of the refund, opening of the dispute; of dispute_returned, the '
  'earliest word of it.';
comment on column reporting.accounting_export.livemode is 'False: made with test keys.';

create view reporting.revenue_daily with (security_invoker = true) as
select s.*, private.money_text(s.amount_net, s.currency) as amount_net_text
from (
  select (o.paid_at at time zone (select private.report_setting('shop_time_zone')))::date as day, o.currency,
    o.livemode, count(*) as orders, sum(o.amount_paid)::bigint as amount_paid,
    sum(o.amount_refunded)::bigint as amount_refunded,
    sum(o.amount_paid - o.amount_refunded)::bigint as amount_net, sum(o.amount_tax)::bigint as amount_tax,
    sum(o.amount_shipping)::bigint as amount_shipping, sum(o.amount_discount)::bigint as amount_discount
  from public.orders o
  where (select private.sees_reports()) and o.paid_at is not null
  group by 1, 2, 3
) s
order by s.day desc, s.currency;
comment on view reporting.revenue_daily is
  'Paid orders by the shop''s day on which they were paid; what was given back of them since counts on that '
  'day too. refunds_daily has refunds on their own day.';
comment on column reporting.revenue_daily.day is 'The shop''s day on which they were paid.';
comment on column reporting.revenue_daily.currency is 'ISO code in lower case. Sum each by itself.';
comment on column reporting.revenue_daily.livemode is 'False: made with test keys.';
comment on column reporting.revenue_daily.orders is 'Orders paid on that day.';
comment on column reporting.revenue_daily.amount_paid is 'What was paid for them, in minor units.';
comment on column reporting.revenue_daily.amount_refunded is
  'What was given back of them so far, in minor units.';
comment on column reporting.revenue_daily.amount_net is 'What remained, in minor units, tax included.';
comment on column reporting.revenue_daily.amount_tax is 'Tax in amount_paid, in minor units.';
comment on column reporting.revenue_daily.amount_shipping is 'Delivery in amount_paid, in minor units.';
comment on column reporting.revenue_daily.amount_discount is 'Discounts given on them, in minor units.';
comment on column reporting.revenue_daily.amount_net_text is 'amount_net as text.';

create view reporting.refunds_daily with (security_invoker = true) as
select s.*, private.money_text(s.amount_net, s.currency) as amount_net_text
from (
  select b.day, b.currency, b.livemode, count(*) filter (where b.kind = 'refund') as refunds,
    coalesce(-sum(b.amount_gross) filter (where b.kind = 'refund'), 0)::bigint as amount_refunded,
    count(*) filter (where b.kind = 'refund_returned') as returned,
    coalesce(sum(b.amount_gross) filter (where b.kind = 'refund_returned'), 0)::bigint as amount_returned,
    -sum(b.amount_gross)::bigint as amount_net
  from reporting.accounting_export b
  where b.kind in ('refund', 'refund_returned')
  group by 1, 2, 3
) s
order by s.day desc, s.currency;
comment on view reporting.refunds_daily is
  'Refunds by the shop''s day on which they happened, whenever the order was paid.';
comment on column reporting.refunds_daily.day is 'The shop''s day on which the money went, or came back.';
comment on column reporting.refunds_daily.currency is 'ISO code in lower case. Sum each by itself.';
comment on column reporting.refunds_daily.livemode is 'False: made with test keys.';
comment on column reporting.refunds_daily.refunds is 'Refunds made on that day.';
comment on column reporting.refunds_daily.amount_refunded is 'What went back to customers, in minor units.';
comment on column reporting.refunds_daily.returned is
  'Refunds that bounced on that day, after they had succeeded.';
comment on column reporting.refunds_daily.amount_returned is 'What came back of them, in minor units.';
comment on column reporting.refunds_daily.amount_net is 'What went less what came back, in minor units.';
comment on column reporting.refunds_daily.amount_net_text is 'The same as text.';

create view reporting.payment_health with (security_invoker = true) as
select (a.created_at at time zone (select private.report_setting('shop_time_zone')))::date as day, a.outcome,
  coalesce(a.decline_code, a.failure_code) as code, count(*) as attempts, a.livemode
from public.payment_attempts a
where (select private.sees_reports())
group by 1, 2, 3, 5
order by 1 desc, 4 desc;
comment on view reporting.payment_health is
  'Attempts to pay by the shop''s day, outcome and the bank''s code.';
comment on column reporting.payment_health.day is 'The shop''s day.';
comment on column reporting.payment_health.outcome is 'succeeded or failed.';
comment on column reporting.payment_health.code is
  'Why it failed: Stripe''s decline or failure code; null: it did not.';
comment on column reporting.payment_health.attempts is 'How many.';
comment on column reporting.payment_health.livemode is 'False: made with test keys.';

create view reporting.disputes_due with (security_invoker = true) as
select d.id, o.number as order_number, d.reason, d.status, d.amount,
  private.money_text(d.amount, d.currency) as amount_text, d.currency, d.evidence_due_by,
  d.evidence_due_by - now() as time_left, d.has_evidence, o.email, o.fulfillment_status, d.created_at,
  d.livemode
from public.disputes d left join public.orders o on o.id = d.order_id
where (select private.sees_reports()) and private.awaits_evidence(d)
order by d.evidence_due_by;
comment on view reporting.disputes_due is
  'Disputes that wait for evidence, most urgent first: submit_dispute_evidence() or accept_dispute().';
comment on column reporting.disputes_due.id is 'The dispute at Stripe, du_… or dp_….';
comment on column reporting.disputes_due.order_number is
  'The order''s number; null: of a payment that is not ours.';
comment on column reporting.disputes_due.reason is 'What the customer says, in Stripe''s words.';
comment on column reporting.disputes_due.status is
  'needs_response; warning_needs_response: an inquiry, no money has moved; appeal_needs_response.';
comment on column reporting.disputes_due.amount is 'What is disputed, in minor units.';
comment on column reporting.disputes_due.amount_text is 'The same as text.';
comment on column reporting.disputes_due.currency is 'ISO code in lower case.';
comment on column reporting.disputes_due.evidence_due_by is 'Until when Stripe takes evidence.';
comment on column reporting.disputes_due.time_left is 'How long that is from now; negative: it is too late.';
comment on column reporting.disputes_due.has_evidence is
  'Evidence is staged at Stripe, and waits to be submitted.';
comment on column reporting.disputes_due.email is 'The customer''s address.';
comment on column reporting.disputes_due.fulfillment_status is
  'Whether the goods have left: orders.fulfillment_status.';
comment on column reporting.disputes_due.created_at is 'When it was opened.';
comment on column reporting.disputes_due.livemode is 'False: made with test keys.';

-- What is on the shelf, and what runs out.

create view reporting.inventory_position with (security_invoker = true) as
select v.sku, p.name, v.size, v.color, l.on_hand, l.reserved, l.available, l.committed, v.price_amount,
  private.money_text(v.price_amount, v.currency) as price_amount_text, v.currency,
  p.active and v.active as on_sale
from public.inventory_levels l
join public.product_variants v on v.id = l.variant_id
join public.products p on p.id = v.product_id
where (select private.sees_reports())
order by v.sku collate "C";
comment on view reporting.inventory_position is 'Stock by SKU.';
comment on column reporting.inventory_position.sku is 'The article.';
comment on column reporting.inventory_position.name is 'The product''s name.';
comment on column reporting.inventory_position.size is 'Null: it has none.';
comment on column reporting.inventory_position.color is 'Null: it has none.';
comment on column reporting.inventory_position.on_hand is 'In the house and not sold.';
comment on column reporting.inventory_position.reserved is 'Of it, held by open checkouts.';
comment on column reporting.inventory_position.available is 'Can be sold now: on_hand less reserved.';
comment on column reporting.inventory_position.committed is 'Sold and not come back, sent or not.';
comment on column reporting.inventory_position.price_amount is 'Today''s price, in minor units.';
comment on column reporting.inventory_position.price_amount_text is 'The same as text.';
comment on column reporting.inventory_position.currency is 'ISO code in lower case.';
comment on column reporting.inventory_position.on_sale is 'Shoppers see it.';

create view reporting.low_stock with (security_invoker = true) as
select v.sku, p.name, v.size, v.color, l.available, l.on_hand, l.reserved,
  coalesce(s.sold, 0) as sold_30_days, floor(l.available * 30.0 / nullif(s.sold, 0))::integer as days_left
from public.inventory_levels l
join public.product_variants v on v.id = l.variant_id and v.active
join public.products p on p.id = v.product_id and p.active
left join (
  select i.variant_id, sum(i.quantity) as sold
  from public.orders o join public.order_items i on i.order_id = o.id
  where o.paid_at > now() - interval '30 days' and o.livemode in (true, false)
  group by i.variant_id
) s on s.variant_id = v.id
where (select private.sees_reports())
  and l.available <= (select private.report_setting('low_stock_at'))::integer
order by l.available, v.sku collate "C";
comment on view reporting.low_stock is
  'Articles on sale that run out: at most setting low_stock_at pieces to sell, the fewest first.';
comment on column reporting.low_stock.sku is 'The article.';
comment on column reporting.low_stock.name is 'The product''s name.';
comment on column reporting.low_stock.size is 'Null: it has none.';
comment on column reporting.low_stock.color is 'Null: it has none.';
comment on column reporting.low_stock.available is 'Can be sold now.';
comment on column reporting.low_stock.on_hand is 'In the house and not sold.';
comment on column reporting.low_stock.reserved is 'Of it, held by open checkouts.';
comment on column reporting.low_stock.sold_30_days is 'Pieces in orders paid in the last 30 days.';
comment on column reporting.low_stock.days_left is 'How long it lasts at that pace; null: none was sold.';

-- What mails about unpaid orders have brought.

create view reporting.recovery with (security_invoker = true) as
with mailed as (
  select n.order_id, min(n.sent_at) as first_at, count(*) as mails
  from public.notifications n
  where n.template in ('payment_declined', 'payment_reminder') and n.sent_at is not null
  group by n.order_id
)
select r.*, private.money_text(r.amount_recovered, r.currency) as amount_recovered_text
from (
  select (m.first_at at time zone (select private.report_setting('shop_time_zone')))::date as day,
    o.currency, o.livemode, count(*) as orders_mailed, sum(m.mails)::bigint as mails_sent,
    count(*) filter (where o.paid_at > m.first_at) as orders_recovered,
    coalesce(sum(o.amount_paid) filter (where o.paid_at > m.first_at), 0)::bigint as amount_recovered
  from mailed m join public.orders o on o.id = m.order_id
  where (select private.sees_reports())
  group by 1, 2, 3
) r
order by r.day desc, r.currency;
comment on view reporting.recovery is
  'Unpaid orders whose shoppers were mailed, by the day of the first mail in the shop''s time zone, and how '
  'many of them paid afterwards. Amounts in minor units, as paid.';
comment on column reporting.recovery.day is 'The shop''s day of the first mail.';
comment on column reporting.recovery.currency is 'ISO code in lower case. Sum each by itself.';
comment on column reporting.recovery.livemode is 'False: made with test keys.';
comment on column reporting.recovery.orders_mailed is 'Unpaid orders that were mailed first on that day.';
comment on column reporting.recovery.mails_sent is 'Mails to them, on that day and later.';
comment on column reporting.recovery.orders_recovered is 'Of them, those that were paid afterwards.';
comment on column reporting.recovery.amount_recovered is 'What those brought, in minor units.';
comment on column reporting.recovery.amount_recovered_text is 'The same as text.';

-- What the console shows beside the other reports: the queue, and figures over time.

-- The queue stays closed to everybody else; staff read it under the same rule as the tables of public.
create policy jobs_read on private.jobs for select to authenticated using ((select private.is_admin()));
create policy job_kinds_read on private.job_kinds for select to authenticated
  using ((select private.is_admin()));
grant select on private.jobs, private.job_kinds to authenticated, service_role;

create view reporting.jobs with (security_invoker = true) as
select j.id, j.kind, k.description as what_it_does, j.status,
  (
    select o.number from public.orders o where o.id = coalesce(
      (j.payload ->> 'order_id')::uuid,
      (
        select n.order_id from public.notifications n where n.id = (j.payload ->> 'notification_id')::uuid
      ),
      (select s.order_id from public.checkout_sessions s where s.id = j.payload ->> 'session_id'),
      (select p.order_id from public.payments p where p.id = j.payload ->> 'payment_id'),
      (select r.order_id from public.refunds r where r.id = j.payload ->> 'refund_id'),
      (select d.order_id from public.disputes d where d.id = j.payload ->> 'dispute_id')
    )
  ) as order_number,
  array(
    select p.value from jsonb_each_text(j.payload) p where p.key like '%\_id' and p.value is not null
    order by p.key
  ) as about,
  j.attempts, j.max_attempts, j.run_at, j.last_error, j.created_at, j.finished_at, j.payload
from private.jobs j left join private.job_kinds k on k.kind = j.kind
where (select private.sees_reports());
comment on view reporting.jobs is
  'The queue: what is to be done outside of the database, what was done, and what was given up: '
  'redrive_job() queues that again.';
comment on column reporting.jobs.id is 'For redrive_job().';
comment on column reporting.jobs.kind is 'What is to be done.';
comment on column reporting.jobs.what_it_does is 'The same in words.';
comment on column reporting.jobs.status is
  'queued; running; done; discarded: another try cannot help; dead: given up after the last try.';
comment on column reporting.jobs.order_number is 'The order that it is about; null: about none.';
comment on column reporting.jobs.about is 'The ids that it is about: order, mail, payment, event, ….';
comment on column reporting.jobs.attempts is 'How often it was tried.';
comment on column reporting.jobs.max_attempts is 'How often it is tried before it is dead.';
comment on column reporting.jobs.run_at is 'When it is due, or was.';
comment on column reporting.jobs.last_error is 'Why it failed the last time.';
comment on column reporting.jobs.created_at is 'When it was queued.';
comment on column reporting.jobs.finished_at is 'When it ended; null: not yet.';
comment on column reporting.jobs.payload is 'What it was told: ids, and what to do with them.';

create view reporting.queue_hourly with (security_invoker = true) as
with first as (
  select date_trunc('hour', now()) - interval '167 hours' as hour
), kept as materialized (
  select least(j.run_at, coalesce(j.finished_at, j.run_at)) as due_at, j.finished_at, j.status
  from private.jobs j, first f
  where j.finished_at is null or j.finished_at >= f.hour
), moves as (
  select generate_series(f.hour, now(), interval '1 hour') as hour, 0 as change, 0 as done, 0 as dead
  from first f
  union all
  select date_trunc('hour', greatest(k.due_at, f.hour)), 1, 0, 0 from kept k, first f where k.due_at <= now()
  union all
  select date_trunc('hour', k.finished_at), -1, (k.status <> 'dead')::integer, (k.status = 'dead')::integer
  from kept k where k.finished_at is not null
)
select m.hour, sum(sum(m.change)) over (order by m.hour)::bigint as waiting, sum(m.done)::bigint as done,
  sum(m.dead)::bigint as dead
from moves m
where (select private.sees_reports())
group by m.hour
order by m.hour;
comment on view reporting.queue_hourly is
  'The queue in each hour of the last week. Jobs that retention has removed since are not counted.';
comment on column reporting.queue_hourly.hour is 'When the hour begins.';
comment on column reporting.queue_hourly.waiting is 'Jobs that were due and not done at its end, or are now.';
comment on column reporting.queue_hourly.done is 'Jobs that ended in it, those included that were discarded.';
comment on column reporting.queue_hourly.dead is 'Jobs that were given up in it.';

create view reporting.webhook_lag_hourly with (security_invoker = true) as
select date_trunc('hour', e.received_at) as hour, count(*) as events,
  round(percentile_cont(0.5) within group (order by e.lag)::numeric, 1) as lag_p50_seconds,
  round(percentile_cont(0.95) within group (order by e.lag)::numeric, 1) as lag_p95_seconds
from (
  -- Stripe's clock may be ahead of ours, and says whole seconds.
  select x.received_at, greatest(0, extract(epoch from x.received_at - x.stripe_created_at)) as lag
  from public.webhook_events x
  where x.received_at > now() - interval '7 days' and x.delivery_count > 0
) e
where (select private.sees_reports())
group by 1
order by 1;
comment on view reporting.webhook_lag_hourly is
  'How late Stripe''s events were in each hour of the last week: from when something happened at Stripe to '
  'when it was stored here. Hours without events are left out.';
comment on column reporting.webhook_lag_hourly.hour is 'When the hour begins.';
comment on column reporting.webhook_lag_hourly.events is 'Events that were delivered in it, each once.';
comment on column reporting.webhook_lag_hourly.lag_p50_seconds is 'Half of them came within so many seconds.';
comment on column reporting.webhook_lag_hourly.lag_p95_seconds is
  'Nineteen out of twenty came within so many seconds.';

create view reporting.stock_daily with (security_invoker = true) as
select s.day, s.sold, s.added, sum(s.sold * -1 + s.added) over (order by s.day)::bigint as on_hand
from (
  select (j.created_at at time zone (select private.report_setting('shop_time_zone')))::date as day,
    coalesce(-sum(j.change) filter (where j.kind in ('sale', 'release')), 0)::bigint as sold,
    coalesce(sum(j.change) filter (where j.kind not in ('sale', 'release')), 0)::bigint as added
  from public.inventory_journal j
  group by 1
) s
where (select private.sees_reports())
order by s.day desc;
comment on view reporting.stock_daily is
  'Pieces in the house by the shop''s day, all articles together. Days on which nothing moved are left out.';
comment on column reporting.stock_daily.day is 'The shop''s day.';
comment on column reporting.stock_daily.sold is 'Pieces sold, less those of orders that were called off.';
comment on column reporting.stock_daily.added is
  'Pieces that came: deliveries, returns and corrections; negative: more went than came.';
comment on column reporting.stock_daily.on_hand is 'Pieces in the house and not sold when the day ended.';

create view reporting.shop with (security_invoker = true) as
select private.report_setting('shop_name') as name, private.report_setting('shop_time_zone') as time_zone,
  private.report_setting('shop_runbook_url') as runbook_url,
  private.report_setting('low_stock_at')::integer as low_stock_at,
  (select count(*) from public.alerts a where a.status = 'open') as open_alerts,
  (select count(*) from private.jobs j where j.status = 'dead') as dead_jobs,
  (select count(*) from public.webhook_events e where e.status = 'dead') as dead_events
where (select private.sees_reports());
comment on view reporting.shop is 'The shop in one row; no row: who asks is not staff.';
comment on column reporting.shop.name is 'Setting shop_name.';
comment on column reporting.shop.time_zone is 'Setting shop_time_zone, in which reports count days.';
comment on column reporting.shop.runbook_url is 'Setting shop_runbook_url; null: not set.';
comment on column reporting.shop.low_stock_at is 'Setting low_stock_at.';
comment on column reporting.shop.open_alerts is 'Alerts that nobody looks at yet.';
comment on column reporting.shop.dead_jobs is 'Jobs that were given up.';
comment on column reporting.shop.dead_events is 'Events of Stripe''s that were given up.';

-- What goes on behind the orders: alerts, webhooks, strangers, repairs.

create view reporting.open_alerts with (security_invoker = true) as
select a.kind, a.severity, a.status, a.data ->> 'order_number' as order_number,
  coalesce(g.what_to_do, a.data ->> 'action', 'See docs/runbook.md.') as what_to_do, a.count, a.first_at,
  a.last_at, a.data, a.id
from public.alerts a
left join (values
  ('admin_without_mfa', 'They set up a second factor; ADMIN_REQUIRE_MFA=true makes everybody.'),
  ('alert_rule_failed', 'A rule cannot be measured: data says why. Tell your developer.'),
  ('audit_trail_broken', 'select * from check_audit_chain() lists what was changed; find out who could.'),
  ('cancelled_order_paid', 'Nothing: all of it is refunded. resolve_alert().'),
  ('checkout_errors', 'Shoppers get no payment page: deno task doctor, then the functions log.'),
  ('checkout_refused', 'Stripe refuses to sell: fix what data names, then resolve_alert().'),
  ('decline_rate', 'Look at reporting.payment_health and reporting.suspicious_activity.'),
  ('dispute_closed', 'Won: nothing. Lost, and the goods are still here: cancel_order().'),
  ('dispute_due', 'The deadline is near: submit_dispute_evidence() or accept_dispute().'),
  ('dispute_escalated', 'It has become a chargeback with a deadline of its own: submit_dispute_evidence().'),
  ('dispute_opened', 'submit_dispute_evidence() before the deadline in reporting.disputes_due.'),
  ('dispute_ratio', 'Look at reporting.disputes_due; refund early fraud warnings, hold what looks odd.'),
  ('duplicate_payment', 'Nothing: the second payment is refunded. resolve_alert().'),
  ('early_fraud_warning', 'cancel_order() refunds before a dispute comes; or release_review().'),
  ('erasure_done', 'Nothing, if it was meant.'),
  ('heartbeat_part_failed', 'A part of each minute''s work fails: data says why. Tell your developer.'),
  ('invariant_violated', 'Data names what is not true: call your developer, and ship none of these orders.'),
  ('job_backlog', 'retry-jobs does not keep up: deno task doctor.'),
  ('job_blocked', 'A job waits for somebody: data says for what.'),
  ('job_dead', 'Remove the cause in data, then: deno task redrive with its job_id.'),
  ('job_discarded', 'It was not done and will not be: data says why.'),
  ('key_mode_changed', 'Nothing, if it was meant; else set STRIPE_SECRET_KEY anew.'),
  ('large_refund', 'Nothing, if it was meant; else ask who made it.'),
  ('mail_bouncing', 'See the mail provider''s dashboard for the cause.'),
  ('mail_failed', 'Remove the cause at the mail provider, then resend_notification().'),
  ('method_outage', 'See Stripe''s status page. Shoppers may pay in another way.'),
  ('order_country_mismatch', 'Look at the order before it is sent; cancel_order() refunds it.'),
  ('order_high_value', 'Look at the order before it is sent; cancel_order() refunds it.'),
  ('order_many_pieces', 'Look at the order before it is sent; cancel_order() refunds it.'),
  ('oversold', 'Nothing: it is refunded. Compare the stock with the shelf: count_inventory().'),
  ('payment_mismatch', 'Compare with Stripe''s dashboard: release_review() or cancel_order().'),
  ('payment_outage', 'See Stripe''s status page. Shoppers may try again.'),
  ('provider_down', 'Wait: what it should do is tried again. Look at the provider''s status page.'),
  ('provider_unauthorized', 'A key was revoked or is wrong: set it anew, then deno task setup.'),
  ('reconciliation_drift', 'Deliveries fail: look at the webhook endpoint in Stripe''s dashboard.'),
  ('refund_delayed', 'Add funds to the Stripe balance if sales do not fill it. It is tried again.'),
  ('refund_failed', 'request_refund() again, or pay in another way and resolve_alert().'),
  ('refund_overtaken', 'Should the customer get both refunds: request_refund() anew.'),
  ('refund_refused', 'Ask for another amount, or pay in another way and resolve_alert().'),
  ('refund_spike', 'Look at reporting.refunds_daily: a faulty article, or somebody who should not.'),
  ('refunds_by_one', 'Ask them; staff_commands has each.'),
  ('review', 'Look at the payment: release_review() or cancel_order().'),
  ('scheduler_silent', 'Find out why nobody called retry-jobs: docs/operations.md says where to look.'),
  ('signature_failures', 'A wrong secret: copy it again from the endpoint into STRIPE_WEBHOOK_SECRETS.'),
  ('stock_held', 'A rush, or somebody keeps stock from others: look at reporting.abandoned_checkouts.'),
  ('stock_leak', 'Settle the order that data names; deno task reconcile.'),
  ('stripe_health', 'Look at Health in Stripe''s Workbench. Shoppers may try again.'),
  ('unknown_stripe_value', 'Nothing at once: tell your developer.'),
  ('unsellable_price', 'set_price() with what Stripe takes, or retire the article.'),
  ('velocity', 'Nothing: who tests cards is refused. Look at reporting.suspicious_activity.'),
  ('webhook_address_unknown', 'Find out what changed before the functions. Deliveries go on.'),
  ('webhook_address_unlisted', 'Compare the address with Stripe''s list before you allow it.'),
  ('webhook_addresses_changed', 'Nothing, but for a firewall of your own.'),
  ('webhook_api_version', 'deno task setup creates the endpoint anew.'),
  ('webhook_connected_account', 'Point that endpoint elsewhere, or set STRIPE_ACCOUNT_ID.'),
  ('webhook_endpoint_changed', 'deno task setup brings the endpoint back to what it should be.'),
  ('webhook_endpoint_disabled', 'Enable the endpoint in Stripe''s dashboard.'),
  ('webhook_lag', 'Wait, if Stripe has a backlog; else look at Event deliveries in its dashboard.'),
  ('webhook_other_livemode', 'Remove the wrong endpoint at Stripe.'),
  ('webhook_silence', 'deno task doctor, then Event deliveries in Stripe''s dashboard.'),
  ('webhook_thin_payload', 'Choose snapshot payloads at the endpoint.')
) as g (kind, what_to_do) on g.kind = a.kind
where (select private.sees_reports()) and a.status <> 'resolved'
order by array_position(array['critical', 'warning', 'info'], a.severity), a.last_at desc;
comment on view reporting.open_alerts is
  'What staff have been told and nobody has resolved, the gravest first, with what to do.';
comment on column reporting.open_alerts.kind is 'What it is about; docs/runbook.md has each.';
comment on column reporting.open_alerts.severity is 'critical, warning or info.';
comment on column reporting.open_alerts.status is 'open, or acknowledged: somebody looks at it.';
comment on column reporting.open_alerts.order_number is 'The order; null: it is about none.';
comment on column reporting.open_alerts.what_to_do is 'What helps.';
comment on column reporting.open_alerts.count is 'How often it has happened.';
comment on column reporting.open_alerts.first_at is 'When it happened first.';
comment on column reporting.open_alerts.last_at is 'When it happened last.';
comment on column reporting.open_alerts.data is 'Ids and figures.';
comment on column reporting.open_alerts.id is 'For acknowledge_alert() and resolve_alert().';

create view reporting.webhook_health with (security_invoker = true) as
select e.type, e.status, count(*) as events, sum(e.delivery_count) as deliveries,
  count(*) filter (where e.delivery_count = 0) as fetched, max(e.delivered_at) as last_delivered_at,
  max(e.received_at) as last_received_at,
  count(*) filter (where e.received_at > now() - interval '1 day') as last_day
from public.webhook_events e
where (select private.sees_reports())
  -- By index: what is read grows with the month, not with the years.
  and (e.received_at > now() - interval '30 days' or e.status in ('failed', 'dead'))
group by e.type, e.status
order by e.type, e.status;
comment on view reporting.webhook_health is
  'Stripe''s events of the last 30 days by type and outcome, and whatever has failed, however long ago.';
comment on column reporting.webhook_health.type is 'The type, in Stripe''s words.';
comment on column reporting.webhook_health.status is
  'processed; ignored (webhook_events says why); failed: tried again by itself; dead: '
  'redrive_webhook_event().';
comment on column reporting.webhook_health.events is 'How many, each counted once.';
comment on column reporting.webhook_health.deliveries is 'How often Stripe delivered them, repeats included.';
comment on column reporting.webhook_health.fetched is
  'Of the events, those that Stripe never delivered and reconciliation read.';
comment on column reporting.webhook_health.last_delivered_at is
  'When Stripe last delivered one; null: never.';
comment on column reporting.webhook_health.last_received_at is
  'When the last one was stored, delivered or fetched.';
comment on column reporting.webhook_health.last_day is 'Of the events, those of the last 24 hours.';

create view reporting.suspicious_activity with (security_invoker = true) as
select s.what, s.who, s.detail, s.count, s.last_at
from (
  select 'rejected webhooks' as what, host(r.source_ip) as who, r.reason as detail, r.count, r.last_at
  from public.webhook_rejections r
  union all
  -- Of checkouts that were refused there is one row for many.
  select 'fraud signal', o.number, f.kind, coalesce((f.data ->> 'count')::bigint, 1), f.created_at
  from public.fraud_signals f left join public.orders o on o.id = f.order_id
) s
where (select private.sees_reports())
order by s.last_at desc;
comment on view reporting.suspicious_activity is
  'Refused webhook requests and signs of fraud, the newest first.';
comment on column reporting.suspicious_activity.what is 'rejected webhooks, or fraud signal.';
comment on column reporting.suspicious_activity.who is
  'The address that sent them (::, too many to tell apart; null, not known), or the order''s number.';
comment on column reporting.suspicious_activity.detail is 'Why they were refused, or the kind of sign.';
comment on column reporting.suspicious_activity.count is 'How many.';
comment on column reporting.suspicious_activity.last_at is 'When it happened last.';

create view reporting.reconciliation_drift with (security_invoker = true) as
select d.found_at, d.kind, d.object_id, o.number as order_number, d.before, d.after, d.run_id
from public.reconciliation_drift d left join public.orders o on o.id = d.order_id
where (select private.sees_reports())
order by d.found_at desc, d.id desc;
comment on view reporting.reconciliation_drift is
  'What Stripe knew and we did not, until the reconciler repaired it; newest first.';
comment on column reporting.reconciliation_drift.found_at is 'When it was repaired.';
comment on column reporting.reconciliation_drift.kind is
  'missed_event, or what differed: checkout_session, payment, refund, dispute.';
comment on column reporting.reconciliation_drift.object_id is 'Stripe''s id of it.';
comment on column reporting.reconciliation_drift.order_number is
  'The order''s number; null: it concerned none.';
comment on column reporting.reconciliation_drift.before is 'What stood here before.';
comment on column reporting.reconciliation_drift.after is 'What stands here since.';
comment on column reporting.reconciliation_drift.run_id is 'Which run of the reconciler.';

-- To all who are signed in, because staff are; sees_reports() keeps everybody else out.
revoke all on all tables in schema reporting from public, anon, authenticated, service_role;
grant select on all tables in schema reporting to authenticated, service_role;
