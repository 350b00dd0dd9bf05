-- A year of a shop, made in one go: orders of every lifecycle in three currencies, with their sessions,
-- payments, refunds, disputes, parcels, mails and events, as settling leaves them behind.
--
-- Settings of the session: year.orders (how many), year.seed (another seed, another year), year.ends (its last
-- moment). The same three make the same year. For a database that is thrown away: triggers and foreign keys sleep,
-- and the stock is set to what the orders make of it.

set session_replication_role = replica;

create function pg_temp.dice(p_n bigint, p_salt text) returns double precision language sql immutable as $$
  select (hashtextextended(p_salt || p_n, current_setting('year.seed')::bigint) & 1048575) / 1048576.0
$$;
create function pg_temp.pick(p_from text[], p_n bigint, p_salt text) returns text language sql immutable as $$
  select p_from[1 + floor(pg_temp.dice(p_n, p_salt) * array_length(p_from, 1))::integer]
$$;

-- The catalogue: twenty articles in each currency.
create temp table shelf as
select c.currency, a.n as article, md5('variant' || c.currency || a.n)::uuid as variant_id,
  md5('product' || a.n)::uuid as product_id, upper(c.currency) || '-' || lpad(a.n::text, 2, '0') as sku,
  'Article ' || a.n as name, 2900 + 700 * a.n as price
from (values ('usd'), ('eur'), ('jpy')) as c (currency), generate_series(1, 20) as a (n);
insert into public.products (id, slug, name)
select distinct product_id, 'article-' || article, name from shelf;
insert into public.product_variants (id, product_id, sku, size, color, price_amount, currency)
select variant_id, product_id, sku, 'M', initcap(currency), price, currency from shelf;

-- One row for each order, with its lot: what becomes of it.
create temp table lot as
select s.n, md5('order' || s.n || current_setting('year.seed'))::uuid as id, 'KCT-' || 200000 + s.n as number,
  pg_temp.pick(array['usd', 'usd', 'usd', 'usd', 'usd', 'usd', 'usd', 'eur', 'eur', 'jpy'], s.n, 'currency')
    as currency,
  s.created_at, s.created_at + interval '7 minutes' as paid_at, s.age,
  floor(power(pg_temp.dice(s.n, 'customer'), 2) * s.orders / 3)::integer as customer,
  'pi_' || lpad(s.n::text, 9, '0') as payment_id, 'cs_test_' || lpad(s.n::text, 9, '0') as session_id,
  case
    when s.n > s.orders - 5 then 'pending'
    -- Late in the year each lot comes three times, however small the year is.
    when s.n > s.orders - 62 then (array[
      'paid', 'expired', 'declined', 'cancelled', 'processing', 'debit_failed', 'partly_refunded', 'refunded',
      'bounced', 'refund_pending', 'dispute_lost', 'dispute_won', 'dispute_open', 'warned', 'twice', 'free',
      'called_off', 'in_parts', 'paid'
    ])[1 + (s.orders - s.n) % 19]
    when s.d < 0.22 then 'expired'
    when s.d < 0.25 then 'declined'
    when s.d < 0.26 then 'cancelled'
    when s.d < 0.265 then case when s.age < interval '2 days' then 'processing' else 'debit_failed' end
    when s.d < 0.30 then 'partly_refunded'
    when s.d < 0.33 then 'refunded'
    when s.d < 0.335 then 'bounced'
    when s.d < 0.34 then 'refund_pending'
    when s.d < 0.343 then 'dispute_lost'
    when s.d < 0.346 then 'dispute_won'
    when s.d < 0.348 then case when s.age < interval '30 days' then 'dispute_open' else 'dispute_lost' end
    when s.d < 0.351 then case when s.age < interval '30 days' then 'warned' else 'paid' end
    when s.d < 0.354 then 'twice'
    when s.d < 0.359 then 'free'
    when s.d < 0.363 then 'called_off'
    when s.d < 0.366 then 'in_parts'
    else 'paid'
  end as life
from (
  select g.n, o.orders, pg_temp.dice(g.n, 'life') as d, t.created_at,
    current_setting('year.ends')::timestamptz - t.created_at as age
  from (select current_setting('year.orders')::integer as orders) o, generate_series(1, o.orders) as g (n)
  cross join lateral (
    select current_setting('year.ends')::timestamptz - case
      when g.n > o.orders - 5 then (o.orders - g.n + 1) * interval '1 minute'
      else interval '1 hour' + interval '364 days' * (o.orders - g.n + pg_temp.dice(g.n, 'when')) / o.orders
    end as created_at
  ) t
) s;
alter table lot add primary key (n);

create temp table line as
select l.n, l.id as order_id, md5('item' || l.id || i.at)::uuid as id, a.variant_id, a.sku,
  a.name || ' – ' || initcap(l.currency) || ', M' as name,
  1 + floor(pg_temp.dice(l.n, 'pieces' || i.at) * 2.2)::integer as quantity, a.price
from lot l
cross join generate_series(
  0, case l.life when 'in_parts' then 1 else floor(pg_temp.dice(l.n, 'lines') * 2.4)::integer end
) as i (at)
join shelf a on a.currency = l.currency
  and a.article = 1 + (floor(pg_temp.dice(l.n, 'article') * 20)::integer + i.at) % 20;
create index on line (n);

-- The money: a tenth off for some, tax on top in dollars and yen, inside the price in euros.
create temp table bill as
select g.n, g.goods, g.discount, g.shipping,
  case when g.currency = 'eur' then round((g.goods - g.discount + g.shipping) * 19 / 119.0)
    else round((g.goods - g.discount + g.shipping) * 0.08) end::bigint as tax
from (
  select l.n, l.currency, s.goods,
    case when l.life = 'free' then s.goods when pg_temp.dice(l.n, 'off') < 0.15 then s.goods / 10 else 0 end
      as discount,
    case when l.life = 'free' then 0 when l.currency = 'jpy' then 1500 else 995 end as shipping
  from lot l
  join (select n, sum(quantity * price)::bigint as goods from line group by n) s on s.n = l.n
) g;
alter table bill add primary key (n);

create temp table story as
select l.*, b.goods, b.discount, b.shipping, b.tax,
  b.goods - b.discount + b.shipping + case l.currency when 'eur' then 0 else b.tax end as total,
  l.life not in ('pending', 'expired', 'declined', 'cancelled', 'processing', 'debit_failed') as paid,
  l.life not in ('pending', 'expired', 'declined', 'cancelled', 'processing', 'debit_failed', 'warned',
    'called_off', 'in_parts')
    and l.age > interval '3 days' as shipped,
  l.life in ('expired', 'declined', 'cancelled', 'debit_failed') and l.age > interval '90 days' as erased,
  pg_temp.pick(array['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Niklaus'], l.customer, 'first') || ' '
    || pg_temp.pick(array['Lovelace', 'Hopper', 'Turing', 'Dijkstra', 'Liskov', 'Wirth'], l.customer, 'last')
    || ' ' || l.customer as person,
  case when pg_temp.dice(l.n, 'case') < 0.1 then 'Shopper' else 'shopper' end || l.customer || '@example.com'
    as email,
  '+1 212 555 ' || lpad((l.customer % 10000)::text, 4, '0') as phone,
  lpad(floor(pg_temp.dice(l.customer, 'card') * 10000)::integer::text, 4, '0') as last4,
  jsonb_build_object(
    'line1', l.customer || ' Main Street', 'city', 'Springfield', 'postal_code', '62701', 'state', 'IL',
    'country', case l.currency when 'eur' then 'DE' when 'jpy' then 'JP' else 'US' end
  ) as address
from lot l join bill b on b.n = l.n;
alter table story add primary key (n);
analyze story;
analyze line;

insert into public.orders (
  id, number, email, customer_name, phone, shipping_name, shipping_address, locale, status, fulfillment_status,
  currency, amount_subtotal, amount_discount, amount_shipping, amount_tax, amount_total, amount_paid,
  amount_refunded, livemode, cart_hash, session_expires_at, prices_include_tax, session_id, payment_id,
  cancelled_at, fulfilled_at, paid_at, erased_at, created_at, updated_at
)
select s.id, s.number, case when not s.erased then s.email end, case when s.paid then s.person end,
  case when s.paid then s.phone end, case when s.paid then s.person end, case when s.paid then s.address end,
  'en',
  case
    when s.life in ('pending', 'expired', 'cancelled', 'processing', 'refunded') then s.life
    when s.life = 'debit_failed' then 'payment_failed'
    when s.life = 'declined' then 'expired'
    when s.life = 'partly_refunded' then 'partially_refunded'
    when s.life = 'called_off' then 'refunded'
    when s.life = 'warned' then 'needs_review'
    else 'paid'
  end,
  case
    when s.shipped then 'fulfilled'
    when s.life in ('cancelled', 'called_off', 'refunded') then 'cancelled'
    when s.life in ('warned', 'dispute_open', 'dispute_lost') then 'on_hold'
    else 'unfulfilled'
  end,
  s.currency, s.goods,
  case when s.paid or s.life = 'processing' then s.discount else 0 end,
  case when s.paid or s.life = 'processing' then s.shipping else 0 end,
  case when s.paid or s.life = 'processing' then s.tax else 0 end,
  case when s.paid or s.life = 'processing' then s.total else s.goods end,
  case when s.paid then s.total else 0 end,
  case
    when s.life in ('refunded', 'called_off') then s.total
    when s.life = 'partly_refunded' then s.total / 3
    else 0
  end,
  false, private.hash_lines(h.lines, s.currency), s.created_at + interval '30 minutes', s.currency = 'eur',
  case when s.paid then s.session_id end, case when s.paid and s.life <> 'free' then s.payment_id end,
  case when s.life in ('cancelled', 'called_off') then s.created_at + interval '2 hours' end,
  case when s.shipped then s.paid_at + interval '2 days' end, case when s.paid then s.paid_at end,
  case when s.erased then s.created_at + interval '90 days' end, s.created_at, s.created_at
from story s
join (
  select n, jsonb_agg(jsonb_build_object('variant_id', variant_id, 'quantity', quantity, 'unit_amount', price))
    as lines
  from line group by n
) h on h.n = s.n;
insert into public.order_risk (order_id, review_reasons)
select id, case life when 'warned' then array['early_fraud_warning'] else '{}' end from story;
insert into public.order_items (id, order_id, variant_id, sku, name, quantity, unit_amount)
select id, order_id, variant_id, sku, name, quantity, price from line;

insert into public.checkout_sessions (
  id, order_id, attempt, status, payment_status, async_payment_failed, payment_id, currency, amount_subtotal,
  amount_total, amount_discount, amount_shipping, amount_tax, livemode, metadata_order_id, cart_hash, email, name,
  phone, shipping_name, shipping_address, expires_at, completed_at, version, contact_version, created_at
)
select s.session_id || x.suffix, s.id, 1,
  case s.life when 'pending' then 'open' when 'processing' then 'complete' when 'debit_failed' then 'complete'
    else case when s.paid then 'complete' else 'expired' end end,
  case when s.life = 'free' then 'no_payment_required' when s.paid then 'paid' else 'unpaid' end,
  s.life = 'debit_failed', case when s.life <> 'free' and (s.paid or s.life in ('processing', 'debit_failed'))
    then s.payment_id || x.suffix end,
  s.currency, s.goods, s.total, s.discount, s.shipping, s.tax, false, s.id, o.cart_hash,
  case when not s.erased then s.email end, case when s.paid then s.person end, case when s.paid then s.phone end,
  case when s.paid then s.person end, case when s.paid then s.address end, s.created_at + interval '30 minutes',
  case when s.paid then s.paid_at end, '1|1|' || private.stamp(s.paid_at), private.stamp(s.paid_at), s.created_at
from story s join public.orders o on o.id = s.id
cross join lateral (
  select '' as suffix union all select 'b' where s.life = 'twice'
) x;
insert into public.payments (
  id, order_id, status, amount, amount_received, currency, livemode, metadata_order_id, charge_id,
  payment_method_type, card_brand, card_last4, card_country, risk_level, succeeded_at, version, created_at
)
select s.payment_id || x.suffix, s.id,
  case when s.paid then 'succeeded' when s.life = 'processing' then 'processing' else 'requires_payment_method'
  end,
  s.total, case when s.paid then s.total else 0 end, s.currency, false, s.id,
  case when s.paid then replace(s.payment_id, 'pi_', 'ch_') || x.suffix end, 'card',
  pg_temp.pick(array['visa', 'mastercard', 'amex'], s.customer, 'brand'), s.last4, 'US', 'normal',
  case when s.paid then s.paid_at end, '1|1|' || private.stamp(s.paid_at), s.created_at
from story s
cross join lateral (
  select '' as suffix union all select 'b' where s.life = 'twice'
) x
where s.life <> 'free' and (s.paid or s.life in ('processing', 'debit_failed'));
insert into public.payment_attempts (
  id, payment_id, order_id, outcome, amount, currency, livemode, decline_code, payment_method_type, card_brand,
  card_last4, version, created_at
)
select replace(p.id, 'pi_', 'ch_'), p.id, p.order_id, 'succeeded', p.amount, p.currency, false, null, 'card',
  p.card_brand, p.card_last4, '1', p.succeeded_at
from public.payments p where p.succeeded_at is not null
union all
select 'ch_refused_' || s.n, s.payment_id, s.id, 'failed', s.total, s.currency, false,
  pg_temp.pick(array['insufficient_funds', 'generic_decline', 'do_not_honor'], s.n, 'refusal'), 'card', 'visa',
  s.last4, '1', s.created_at + interval '3 minutes'
from story s where s.life = 'declined' or (s.paid and pg_temp.dice(s.n, 'refused') < 0.08);

-- Money that went back: by staff at Stripe, by cancelling, of the second payment; some bounced, some under way.
insert into public.refunds (
  id, order_id, payment_id, charge_id, amount, currency, status, reason, request_id, succeeded_at, failed_at,
  version, created_at
)
select 're_' || lpad(s.n::text, 9, '0'), s.id, x.payment_id, replace(x.payment_id, 'pi_', 'ch_'),
  case s.life when 'partly_refunded' then s.total / 3 when 'refund_pending' then s.total / 4
    when 'bounced' then s.total / 2 else s.total end,
  s.currency,
  case s.life when 'bounced' then 'failed' when 'refund_pending' then 'pending' else 'succeeded' end,
  'requested_by_customer',
  case s.life when 'called_off' then 'cancelled:' || x.payment_id when 'twice' then 'duplicate:' || x.payment_id
  end,
  case when s.life <> 'refund_pending' then x.at end,
  case s.life when 'bounced' then x.at + interval '4 days' end, '1', x.at
from story s
cross join lateral (
  select case s.life when 'twice' then s.payment_id || 'b' else s.payment_id end as payment_id,
    s.paid_at + case when s.life in ('called_off', 'twice') then interval '2 hours'
      else interval '8 days' * pg_temp.dice(s.n, 'back') end as at
) x
where s.life in ('partly_refunded', 'refunded', 'bounced', 'refund_pending', 'called_off', 'twice');
insert into public.refund_requests (id, order_id, payment_id, cause, status, created_at)
select r.request_id, r.order_id, r.payment_id, split_part(r.request_id, ':', 1), 'done', r.created_at
from public.refunds r where r.request_id is not null;
insert into public.alerts (kind, severity, dedupe_key, data, first_at, last_at)
select 'refund_failed', 'critical', 'refund_failed:' || r.id,
  jsonb_build_object('order_number', o.number, 'refund_id', r.id), r.failed_at, r.failed_at
from public.refunds r join public.orders o on o.id = r.order_id where r.failed_at is not null;

insert into public.disputes (
  id, order_id, payment_id, charge_id, amount, currency, livemode, reason, status, statuses_seen,
  evidence_due_by, first_due_by, has_evidence, funds_withdrawn, funds_reinstated, funds_reinstated_at,
  version, created_at
)
select 'du_' || lpad(s.n::text, 9, '0'), s.id, s.payment_id, replace(s.payment_id, 'pi_', 'ch_'), s.total,
  s.currency, false, pg_temp.pick(array['fraudulent', 'product_not_received'], s.n, 'why'), x.status,
  array['needs_response', x.status], s.paid_at + interval '30 days', s.paid_at + interval '30 days', true, true,
  x.status = 'won', case x.status when 'won' then s.paid_at + interval '40 days' end,
  private.stamp(
    s.paid_at + case x.status when 'needs_response' then interval '1 day' else interval '40 days' end
  ) || '|1', s.paid_at + interval '1 day'
from story s
cross join lateral (
  select case s.life when 'dispute_lost' then 'lost' when 'dispute_won' then 'won' else 'needs_response' end
    as status
) x
where s.life in ('dispute_lost', 'dispute_won', 'dispute_open');
insert into public.fraud_signals (
  source_id, order_id, payment_id, charge_id, kind, severity, open, was_actionable, answer, version, created_at
)
select 'issfr_' || s.n, s.id, s.payment_id, replace(s.payment_id, 'pi_', 'ch_'), 'early_fraud_warning',
  'critical', true, true, 'review', '1', s.paid_at + interval '1 hour'
from story s where s.life = 'warned';

-- Goods: parcels, and what is announced to come back of the orders that were refunded in part.
insert into public.shipments (id, order_id, parcel, carrier, tracking_number, tracking_url, shipped_at)
select md5('parcel' || s.id)::uuid, s.id, 1, 'UPS', '1Z' || lpad(s.n::text, 16, '0'),
  private.tracking_url('UPS', '1Z' || lpad(s.n::text, 16, '0')), s.paid_at + interval '2 days'
from story s where s.shipped or (s.life = 'in_parts' and s.age > interval '1 day');
insert into public.shipment_lines (shipment_id, order_item_id, quantity)
select p.id, i.id, i.quantity
from public.shipments p join story s on s.id = p.order_id join line i on i.n = s.n
where s.shipped or i.id = (select min(f.id::text) from line f where f.n = s.n)::uuid;
insert into public.returns (id, order_id, status, reason, created_at)
select md5('return' || s.id)::uuid, s.id, 'requested', 'too small', s.paid_at + interval '5 days'
from story s where s.life = 'partly_refunded' and s.shipped;
insert into public.return_lines (return_id, order_item_id, quantity, restock)
select x.id, min(i.id::text)::uuid, 1, false
from public.returns x join line i on i.order_id = x.order_id group by x.id;

insert into public.inventory_reservations (order_id, variant_id, quantity, status, expires_at, updated_at)
select s.id, i.variant_id, i.quantity,
  case when s.life in ('pending', 'processing') then 'active' when s.paid and s.life <> 'called_off'
    then 'committed' else 'released' end,
  s.created_at + interval '90 minutes', s.paid_at
from story s join line i on i.n = s.n;
create temp table stock as
select a.variant_id, a.article, floor(pg_temp.dice(a.article, 'stock' || a.currency) * 30)::integer as available,
  coalesce(sum(r.quantity) filter (where r.status = 'active'), 0)::integer as reserved,
  coalesce(sum(r.quantity) filter (where r.status = 'committed'), 0)::integer as committed
from shelf a left join public.inventory_reservations r on r.variant_id = a.variant_id
group by a.variant_id, a.article, a.currency;
insert into public.inventory_levels (variant_id, on_hand, reserved, committed)
select variant_id, available + reserved, reserved, committed from stock;
insert into public.inventory_journal (variant_id, change, kind, actor, created_at)
select variant_id, available + reserved + committed, 'opening', 'staff',
  current_setting('year.ends')::timestamptz - interval '365 days'
from stock where available + reserved + committed <> 0;
insert into public.inventory_journal (variant_id, change, kind, order_id, actor, created_at)
select r.variant_id, -r.quantity, 'sale', r.order_id, 'evt', r.updated_at
from public.inventory_reservations r where r.status = 'committed';

-- What was told and written down.
insert into public.notifications (order_id, template, dedupe_key, recipient, status, sent_at, created_at)
select s.id, 'order_confirmation', '', s.email, 'sent', s.paid_at, s.paid_at from story s where s.paid
union all
select s.id, 'order_shipped', '1', s.email, 'sent', s.paid_at + interval '2 days', s.paid_at + interval '2 days'
from story s where s.shipped
union all
select r.order_id, 'refund_issued', r.id, null, 'sent', r.succeeded_at, r.succeeded_at
from public.refunds r where r.succeeded_at is not null;
insert into public.order_events (order_id, kind, source, data, created_at)
select s.id, 'payment_received', 'evt', jsonb_build_object('session_id', s.session_id), s.paid_at
from story s where s.paid;
insert into public.webhook_events (
  id, type, status, attempts, delivery_count, delivered_at, livemode, stripe_created_at, received_at, processed_at,
  payload
)
select 'evt_' || e.n || '_' || s.n, e.type,
  case when pg_temp.dice(s.n, 'dead' || e.n) < 0.002 then 'dead' else 'processed' end, 1,
  x.deliveries, case when x.deliveries > 0 then s.paid_at end, false, s.paid_at, s.paid_at, s.paid_at, '{}'
from story s
join (values
  (1, 'checkout.session.completed', true), (2, 'payment_intent.succeeded', true), (3, 'charge.succeeded', true),
  (4, 'checkout.session.expired', false)
) as e (n, type, paid) on e.paid = s.paid
cross join lateral (
  select case when pg_temp.dice(s.n, 'missed' || e.n) < 0.01 then 0
    when pg_temp.dice(s.n, 'again' || e.n) < 0.05 then 2 else 1 end as deliveries
) x;
insert into public.webhook_rejections (reason, source_ip, count, last_at)
select pg_temp.pick(array['invalid_signature', 'ip_not_allowed'], g.n, 'reason'),
  ('203.0.113.' || g.n)::inet, g.n, current_setting('year.ends')::timestamptz - g.n * interval '1 day'
from generate_series(1, 40) as g (n);
insert into public.reconciliation_drift (run_id, kind, object_id, order_id, before, after, found_at)
select md5('run')::uuid, 'missed_event', e.id, s.id, null, '{}', s.paid_at
from public.webhook_events e
join story s on e.id in ('evt_1_' || s.n, 'evt_2_' || s.n) and s.paid
where e.delivery_count = 0;

-- What a trigger notes of the audit trail.
insert into private.audit_unsealed (table_name, row_number)
select 'public.order_events', id from public.order_events
union all
select 'public.inventory_journal', id from public.inventory_journal;

drop table story, bill, line, lot, shelf, stock;
-- As the triggers that sleep would have noted.
insert into private.audit_unsealed (table_name, row_number)
select 'public.order_events', e.id from public.order_events e
union all
select 'public.inventory_journal', j.id from public.inventory_journal j
on conflict do nothing;

reset session_replication_role;
