-- A year in which nothing is wrong: orders by the hour, the weekday and the season, with two days of sale; some are
-- left, some cards refused, some goods come back, a few disputes. For the alert rules, which are to stay quiet.
--
-- Settings of the session as for year.sql: year.orders, year.seed, year.ends. For an empty database that is thrown
-- away: triggers and foreign keys sleep.

set session_replication_role = replica;

create function pg_temp.dice(p_n bigint, p_salt text) returns double precision language sql immutable as $$
  select (1 + (hashtextextended(p_salt || p_n, current_setting('year.seed')::bigint) & 1048575)) / 1048577.0
$$;
create function pg_temp.bell(p_n bigint, p_salt text) returns double precision language sql immutable as $$
  select sqrt(-2 * ln(pg_temp.dice(p_n, p_salt))) * cos(2 * pi() * pg_temp.dice(p_n, p_salt || 'turned'))
$$;

-- How busy each hour is: evenings, Sundays and December more than others; a day of sale six times as much.
create temp table busy as
select h.at, sum(h.weight) over (order by h.at) as reached
from (
  select g.at,
    (0.15 + greatest(0, sin(pi() * (extract(hour from g.at) - 5) / 19)))
      * case extract(dow from g.at) when 0 then 1.4 when 6 then 1.2 else 1 end
      * (1 + 0.5 * greatest(0, sin(2 * pi() * (extract(doy from g.at) - 250) / 365)))
      * case when extract(doy from g.at) in (100, 331) then 6 else 1 end as weight
  from generate_series(
    current_setting('year.ends')::timestamptz - interval '364 days', current_setting('year.ends')::timestamptz,
    interval '1 hour'
  ) as g (at)
) h;
create index on busy (reached);
analyze busy;

create temp table story as
select l.*, md5('order' || l.n || current_setting('year.seed'))::uuid as id, 'pi_' || l.n as payment_id,
  l.created_at + interval '2 minutes' + l.tries * interval '3 minutes' as paid_at,
  greatest(500, round(8000 * exp(0.55 * pg_temp.bell(l.n, 'amount'))))::bigint as amount,
  1 + floor(-ln(pg_temp.dice(l.n, 'pieces')) * 1.2)::integer as pieces,
  case when pg_temp.dice(l.n, 'brand') < 0.55 then 'visa' when pg_temp.dice(l.n, 'brand') < 0.9 then 'mastercard'
    else 'amex' end as brand,
  case when pg_temp.dice(l.n, 'abroad') < 0.02 then 'DE' else 'US' end as card_country
from (
  select g.n, b.at + pg_temp.dice(g.n, 'second') * interval '1 hour' as created_at,
    pg_temp.dice(g.n, 'paid') < 0.74 as paid,
    -- Refused once in ten; half of these try again.
    (pg_temp.dice(g.n, 'refused') < 0.1)::integer as tries
  from generate_series(1, current_setting('year.orders')::integer) as g (n)
  cross join (select max(reached) as all_year from busy) y
  cross join lateral (
    select x.at from busy x where x.reached >= pg_temp.dice(g.n, 'when') * y.all_year order by x.reached limit 1
  ) b
) l;
create index on story (n);

insert into public.orders (
  id, number, email, status, fulfillment_status, currency, amount_subtotal, amount_total, amount_paid, livemode,
  cart_hash, session_expires_at, payment_id, fulfilled_at, paid_at, shipping_address, created_at, updated_at
)
select s.id, 'Q-' || s.n, 'shopper' || s.n || '@example.com', case when s.paid then 'paid' else 'expired' end,
  case when s.paid then 'fulfilled' else 'unfulfilled' end, 'usd', s.amount, s.amount,
  case when s.paid then s.amount else 0 end, false, '-', s.created_at + interval '30 minutes', s.payment_id,
  case when s.paid then s.paid_at + interval '2 days' end, case when s.paid then s.paid_at end, '{"country": "US"}',
  s.created_at, s.created_at
from story s;
insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
select s.id, md5('variant')::uuid, 'S', 'S', s.pieces, s.amount / s.pieces from story s;
insert into public.checkout_sessions (
  id, order_id, status, payment_status, livemode, expires_at, version, contact_version, created_at
)
select 'cs_' || s.n, s.id, case when s.paid then 'complete' else 'expired' end,
  case when s.paid then 'paid' else 'unpaid' end, false, s.created_at + interval '30 minutes', '1', '1', s.created_at
from story s
-- Stripe did not answer, and the shopper left.
where pg_temp.dice(s.n, 'session') > 0.001;
insert into public.payments (
  id, order_id, status, amount, currency, livemode, card_brand, card_country, succeeded_at, version, created_at
)
select s.payment_id, s.id, 'succeeded', s.amount, 'usd', false, s.brand, s.card_country, s.paid_at, '1', s.created_at
from story s where s.paid;
insert into public.payment_attempts (
  id, payment_id, order_id, outcome, livemode, decline_code, payment_method_type, card_brand, version, created_at
)
select 'ch_' || s.n, s.payment_id, s.id, 'succeeded', false, null, 'card', s.brand, '1', s.paid_at
from story s where s.paid
union all
select 'ch_refused_' || s.n, s.payment_id, s.id, 'failed', false,
  case when pg_temp.dice(s.n, 'why') < 0.03 then 'issuer_not_available' else 'insufficient_funds' end, 'card', s.brand,
  '1', s.created_at + interval '2 minutes'
from story s where s.tries > 0 and (s.paid or pg_temp.dice(s.n, 'left') < 0.5);

-- Six in a hundred come back, by two people; two in a thousand are disputed, less than one reported as fraud.
insert into public.refunds (id, order_id, payment_id, amount, currency, status, version, created_at)
select 're_' || s.n, s.id, s.payment_id, case when pg_temp.dice(s.n, 'part') < 0.4 then s.amount / 2 else s.amount end,
  'usd', 'succeeded', '1', r.at
from story s
cross join lateral (select s.paid_at + (3 + 25 * pg_temp.dice(s.n, 'back')) * interval '1 day' as at) r
where s.paid and pg_temp.dice(s.n, 'refund') < 0.06;
insert into public.staff_commands (command, actor, order_id, created_at)
select 'request_refund', case when pg_temp.dice(s.n, 'who') < 0.7 then 'ada' else 'bob' end, f.order_id, f.created_at
from public.refunds f join story s on s.id = f.order_id
union all
select 'erase_customer', 'ada', null, current_setting('year.ends')::timestamptz - interval '100 days';
insert into public.disputes (
  id, order_id, payment_id, amount, currency, livemode, reason, status, statuses_seen, version, created_at
)
select 'du_' || s.n, s.id, s.payment_id, s.amount, 'usd', false, 'fraudulent', 'lost', '{lost}', '1',
  s.paid_at + (10 + 50 * pg_temp.dice(s.n, 'disputed on')) * interval '1 day'
from story s where s.paid and pg_temp.dice(s.n, 'dispute') < 0.002;
insert into public.fraud_signals (source_id, order_id, payment_id, kind, severity, created_at)
select 'issfr_' || s.n, s.id, s.payment_id, 'early_fraud_warning', 'critical', s.paid_at + interval '3 days'
from story s where s.paid and pg_temp.dice(s.n, 'dispute') < 0.0008;

insert into public.notifications (order_id, template, dedupe_key, status, created_at)
select s.id, m.template, '', case when pg_temp.dice(s.n, m.template) < 0.015 then 'bounced' else 'sent' end,
  s.paid_at + m.after
from story s
cross join (values ('order_confirmation', interval '0'), ('order_shipped', interval '2 days')) m (template, after)
where s.paid;
insert into public.webhook_events (
  id, type, status, livemode, stripe_created_at, received_at, delivered_at, delivery_count, payload
)
select 'evt_' || s.n, 'checkout.session.completed', 'processed', false, s.paid_at, s.paid_at + l.lag, s.paid_at + l.lag,
  1, '{}'
from story s
cross join lateral (
  -- One in two hundred comes at the second try, an hour later.
  select case when pg_temp.dice(s.n, 'slow') < 0.005 then interval '1 hour'
    else pg_temp.dice(s.n, 'lag') * interval '5 seconds' end as lag
) l
where s.paid;

drop table story, busy;
reset session_replication_role;
