-- Generated from supabase/schemas/velocity by 'deno task migrations': edit there.

-- How much of what, in how long, is too much. One row per rule; change thresholds and actions with update.

create table private.velocity_rules (
  name text primary key,
  subject text not null,
  measure text not null,
  window_seconds integer not null,
  threshold bigint not null,
  baseline_share numeric,
  min_pieces integer,
  currency text,
  action text not null,
  alert text,
  enabled boolean not null default true,
  description text not null,
  updated_at timestamptz not null default now(),
  constraint velocity_rules_subject_known
    check (subject in ('address', 'email', 'user', 'order', 'card', 'shipping_address', 'shop')),
  constraint velocity_rules_measure_known check (
    measure in (
      'unpaid_checkouts', 'declines', 'declined_orders', 'cards', 'emails', 'amount', 'disposable_email',
      'outages', 'held_pieces', 'held_share'
    )
  ),
  constraint velocity_rules_action_known check (
    action in ('allow', 'require_3ds', 'require_challenge', 'review', 'block')
  ),
  constraint velocity_rules_alert_known check (alert in ('warning', 'critical')),
  -- What strangers did is no reason to refuse anybody.
  constraint velocity_rules_shop_refuses_nobody check (subject <> 'shop' or action <> 'block'),
  -- A card or an address is known when the goods are paid, and an order holds what it is for.
  constraint velocity_rules_held_of_shopper
    check (measure not in ('held_pieces', 'held_share') or subject in ('user', 'email', 'address', 'shop')),
  constraint velocity_rules_min_pieces_positive check (min_pieces > 0),
  constraint velocity_rules_window_range check (window_seconds between 1 and 31 * 86400),
  constraint velocity_rules_threshold_positive check (threshold > 0),
  -- A sum is in one currency, and so is its limit.
  constraint velocity_rules_amount_has_currency check (measure <> 'amount' or currency is not null),
  constraint velocity_rules_baseline_share_range check (baseline_share > 0 and baseline_share < 1)
);
comment on table private.velocity_rules is
  'Velocity rules. A rule hits when its measure over its subject and window reaches the threshold; each hit '
  'is a row in fraud_signals. Rules over refused attempts are measured again at each refusal, where block '
  'closes the payment pages of its subject, and require_3ds and require_challenge those of the refused '
  'orders that ask for less. Rules on an address look at each IPv6 network that holds it, with 1, 1.5 and 3 '
  'times the threshold for /64, /56 and /48. Rules on card and shipping_address look at paid orders, '
  'because checkout does not know these yet; there block means review.';
comment on column private.velocity_rules.measure is
  'unpaid_checkouts: orders not paid. declines: refused payment attempts. declined_orders: orders whose '
  'card was refused and that nothing has paid; each card of such an order counts, but with baseline_share '
  'of one buyer three at most (and, for the shop, of one network): their own rules see to the rest. '
  'cards, emails: how many different ones. amount: what the subject orders, this cart included, in '
  'currency; an order in another currency counts with today''s prices of its goods in this one. '
  'disposable_email: 1 for a throw-away address. outages: orders whose payment failed because '
  'the bank, the network or the processor was away; these refusals count in no other measure. '
  'held_pieces: pieces that unpaid orders hold, this cart included. held_share: how much of the stock '
  'that is, in percent: of all pieces, or of each article in stock, averaged over all articles, whichever '
  'is more.';
comment on column private.velocity_rules.baseline_share is
  'The share of orders that is refused on an ordinary day: with 0.2, one refusal in five is expected and '
  'does not count. The rule hits when the refusals beyond that share, counted back from now, weigh as '
  'much as threshold refusals in a row: good orders before an attack or among it do not hide it, and a '
  'busy day does not look like one. Null: each refusal counts. Measure outages: the least share of the '
  'orders tried that must have met one.';
comment on column private.velocity_rules.min_pieces is
  'held_share: fewer pieces than this are no hit, however small the stock is.';
comment on column private.velocity_rules.alert is
  'A hit tells staff. Rules with action block do so by themselves, as critical.';
comment on column private.velocity_rules.action is
  'allow: only record. require_3ds: the bank is asked, and decides whether it asks the buyer. '
  'require_challenge: the bank is to ask the buyer. review: a paid order waits for staff. block: no '
  'checkout for now, open payment pages closed, and an alert.';
alter table private.velocity_rules enable row level security;

insert into private.velocity_rules (
  name, subject, measure, window_seconds, threshold, baseline_share, currency, action, description
) values
  (
    'user_unpaid_checkouts', 'user', 'unpaid_checkouts', 3600, 10, null, null, 'block',
    'One account starts checkouts and pays none.'
  ),
  (
    'user_declines', 'user', 'declines', 3600, 8, null, null, 'block',
    'One account tries cards that banks refuse.'
  ),
  ('user_cards', 'user', 'cards', 86400, 4, null, null, 'review', 'Many cards on one account.'),
  ('user_many_cards', 'user', 'cards', 86400, 8, null, null, 'block', 'Far too many cards on one account.'),
  (
    'user_amount', 'user', 'amount', 86400, 1000000, null, 'usd', 'review',
    'More than 10 000 dollars a day on one account.'
  ),
  (
    'email_unpaid_checkouts', 'email', 'unpaid_checkouts', 3600, 10, null, null, 'require_3ds',
    'One guest address starts checkouts and pays none. Anybody can type it, so nobody is refused.'
  ),
  (
    'email_declines', 'email', 'declines', 3600, 8, null, null, 'block',
    'One guest address tries cards that banks refuse.'
  ),
  ('email_cards', 'email', 'cards', 86400, 4, null, null, 'review', 'Many cards under one guest address.'),
  (
    'email_amount', 'email', 'amount', 86400, 1000000, null, 'usd', 'review',
    'More than 10 000 dollars a day under one guest address.'
  ),
  (
    'email_disposable', 'email', 'disposable_email', 60, 1, null, null, 'require_3ds',
    'A throw-away e-mail domain.'
  ),
  (
    'address_unpaid_checkouts', 'address', 'unpaid_checkouts', 600, 40, null, null, 'require_3ds',
    'One network address starts many checkouts. Offices share an address, so nobody is refused.'
  ),
  (
    'address_declined_orders', 'address', 'declined_orders', 3600, 8, 0.4, null, 'block',
    'Order after order of one network address is refused and never paid: no family does that, and no '
    'office on a busy day.'
  ),
  (
    'address_emails', 'address', 'emails', 3600, 10, null, null, 'require_3ds',
    'One network address under many names.'
  ),
  (
    'address_amount', 'address', 'amount', 86400, 2500000, null, 'usd', 'review',
    'More than 25 000 dollars a day from one network address.'
  ),
  (
    'order_declines', 'order', 'declines', 3600, 8, null, null, 'block',
    'One payment page tries cards that banks refuse.'
  ),
  (
    'card_declines', 'card', 'declines', 86400, 5, null, null, 'review',
    'A card that was refused many times before it worked.'
  ),
  (
    'card_emails', 'card', 'emails', 86400, 10, null, null, 'allow',
    'One card under many e-mail addresses. Only recorded: all of Stripe''s test orders share a few cards.'
  ),
  (
    'shipping_address_emails', 'shipping_address', 'emails', 86400, 10, null, null, 'allow',
    'One delivery address under many e-mail addresses. Only recorded: offices and parcel shops look like '
    'this.'
  );

-- What the whole shop has seen asks for more, and refuses nobody. Accounts that have paid before are asked
-- for nothing.
insert into private.velocity_rules (
  name, subject, measure, window_seconds, threshold, baseline_share, action, alert, description
) values
  ('shop_declined_orders', 'shop', 'declined_orders', 600, 6, 0.4, 'require_challenge', 'critical',
    'Order after order of the shop is refused: somebody tests cards from rotating addresses.'),
  ('shop_declined_cards', 'shop', 'declined_orders', 3600, 10, null, 'require_challenge', 'warning',
    'Cards of orders that nobody has paid, whatever sold in between: testers who are slow, or hide in a '
    'busy hour or an outage.'),
  ('shop_outages', 'shop', 'outages', 600, 5, 0.1, 'allow', 'critical',
    'Payments of many orders fail because a bank, a network or the processor is away. No fraud: only '
    'staff are told.');

insert into private.velocity_rules (
  name, subject, measure, window_seconds, threshold, min_pieces, action, alert, description
) values
  ('user_held_pieces', 'user', 'held_pieces', 3600, 200, null, 'block', null,
    'Unpaid orders of one account hold 200 pieces.'),
  ('user_held_share', 'user', 'held_share', 3600, 25, 60, 'block', null,
    'Unpaid orders of one account hold a quarter of the stock.'),
  ('email_held_pieces', 'email', 'held_pieces', 3600, 200, null, 'require_3ds', 'warning',
    'Unpaid orders under one guest address hold 200 pieces. Anybody can type it, so nobody is refused.'),
  ('email_held_share', 'email', 'held_share', 3600, 25, 60, 'require_3ds', 'warning',
    'Unpaid orders under one guest address hold a quarter of the stock. Anybody can type it, so nobody is '
    'refused.'),
  ('address_held_pieces', 'address', 'held_pieces', 3600, 400, null, 'block', null,
    'Unpaid orders of one network address hold 400 pieces.'),
  ('address_held_share', 'address', 'held_share', 3600, 25, 60, 'block', null,
    'Unpaid orders of one network address hold a quarter of the stock.'),
  ('shop_held_share', 'shop', 'held_share', 3600, 40, 60, 'allow', 'warning',
    'Unpaid orders hold two fifths of the stock: a rush, or somebody keeps it from others. Only staff are '
    'told.');

create table private.velocity_rule_sets (
  id bigint generated always as identity primary key,
  digest text not null,
  rules jsonb not null,
  constraint velocity_rule_sets_digest_key unique (digest)
);
comment on table private.velocity_rule_sets is
  'Rules on card and delivery address as they stood when orders were paid, each set once: a paid order is '
  'measured by these, however the rules change.';
alter table private.velocity_rule_sets enable row level security;

create table private.disposable_email_domains (
  domain text primary key,
  constraint disposable_email_domains_lower check (domain = lower(domain))
);
comment on table private.disposable_email_domains is
  'Domains that give anybody a mailbox for minutes. Subdomains count as well.';
alter table private.disposable_email_domains enable row level security;

insert into private.disposable_email_domains (domain)
select unnest(string_to_array(
  '10minutemail.com,20minutemail.com,33mail.com,anonbox.net,burnermail.io,discard.email,dispostable.com,'
  'dropmail.me,emailondeck.com,fakeinbox.com,fakemail.net,getairmail.com,getnada.com,grr.la,'
  'guerrillamail.biz,guerrillamail.com,guerrillamail.de,guerrillamail.net,guerrillamail.org,'
  'guerrillamailblock.com,inboxkitten.com,mail-temp.com,maildrop.cc,mailcatch.com,mailinator.com,'
  'mailnesia.com,mailsac.com,mintemail.com,mohmal.com,mytemp.email,sharklasers.com,spam4.me,'
  'spamgourmet.com,temp-mail.io,temp-mail.org,tempail.com,tempmail.com,tempmailo.com,tempr.email,'
  'throwawaymail.com,trashmail.com,trashmail.de,yopmail.com,yopmail.fr', ','
));

create function private.email_key(p_email text) returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_address text := lower(trim(p_email));
  v_name text := split_part(split_part(v_address, '@', 1), '+', 1);
  v_domain text := split_part(v_address, '@', 2);
begin
  if v_address not like '%_@_%' then return null; end if;
  -- shop+1@gmail.com, s.hop@googlemail.com and shop@gmail.com reach one mailbox.
  if v_domain in ('gmail.com', 'googlemail.com') then return replace(v_name, '.', '') || '@gmail.com'; end if;
  return v_name || '@' || v_domain;
end;
$$;
comment on function private.email_key(text) is
  'The mailbox behind an address: lower case, without +tags, without Gmail''s dots. Null for what is no '
  'address.';

create function private.is_disposable(p_mailbox text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  v_labels text[] := string_to_array(split_part(p_mailbox, '@', 2), '.');
begin
  return exists (
    select 1 from private.disposable_email_domains d
    where d.domain = any (array(
      select array_to_string(v_labels[i:], '.') from generate_series(1, cardinality(v_labels)) i
    ))
  );
end;
$$;
comment on function private.is_disposable(text) is
  'Whether a mailbox (as of email_key()) is at a domain that gives anybody one for minutes, or below it.';

create function private.address_key(p_ip inet, p_prefix integer default 56) returns inet
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case family(p_ip)
    when 6 then network(set_masklen(p_ip, p_prefix))::inet
    else set_masklen(p_ip, 32)
  end;
end;
$$;
comment on function private.address_key(inet, integer) is
  'The network that an address belongs to: an IPv4 address alone, the /p_prefix of an IPv6 address. 56 is '
  'what one connection has as a rule.';

create function private.address_keys(p_ip inet) returns table (network inet, factor numeric)
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- A phone has a /64, a home a /56, a company a /48; what each may do grows less than its addresses do.
  return query select private.address_key(p_ip, w.prefix), w.factor
  from (values (64, 1), (56, 1.5), (48, 3)) w (prefix, factor)
  where family(p_ip) = 6 or w.factor = 1;
end;
$$;
comment on function private.address_keys(inet) is
  'The networks that limits count for an address, narrow to wide, and what their thresholds are multiplied '
  'with.';

create function private.is_outage(p_failure_code text, p_decline_code text) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(array_remove(array[lower(p_failure_code), lower(p_decline_code)], null) && array[
    'processing_error', 'issuer_not_available', 'try_again_later', 'reenter_transaction',
    'payment_method_provider_timeout'
  ], false);
end;
$$;
comment on function private.is_outage(text, text) is
  'Whether a refusal says that the bank, the network or the processor was away, and nothing about the '
  'shopper or the card.';

create function private.is_of_buyer(p_failure_code text, p_decline_code text, p_method text) returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return not private.is_outage(p_failure_code, p_decline_code)
    and coalesce(p_method, 'card') in ('card', 'link');
end;
$$;
comment on function private.is_of_buyer(text, text, text) is
  'Whether a refusal says something about a buyer who tries cards. One who turns back at a bank or wallet, '
  'or whose bank debit bounces days later, has shown no card; nor does an outage say anything.';

create function private.delivery_key(p_address jsonb) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_address ->> 'line1' is null then return null; end if;
  return lower(regexp_replace(
    concat_ws(
      '|', p_address ->> 'line1', p_address ->> 'line2', p_address ->> 'postal_code', p_address ->> 'country'
    ), '[^[:alnum:]|]', '', 'g'
  ));
end;
$$;
comment on function private.delivery_key(jsonb) is
  'A delivery address without case, spaces and punctuation. Null without a street.';

create index orders_email_key_idx on public.orders (private.email_key(email), created_at);
create index orders_address_key_idx on public.orders (private.address_key(purchase_ip, 48), created_at);
create index orders_delivery_key_idx on public.orders (private.delivery_key(shipping_address), created_at);
create index payment_attempts_created_at_idx on public.payment_attempts (created_at);
-- What the rules on the whole shop count at each checkout, however many payments succeed in between.
create index payment_attempts_refused_idx on public.payment_attempts (created_at)
  where outcome in ('failed', 'blocked');
create index fraud_signals_velocity_idx on public.fraud_signals (created_at) where kind = 'velocity';
-- Who holds stock right now: a small part of the table, however long the shop has been open.
create index orders_holding_email_idx on public.orders (private.email_key(email))
  where status in ('pending', 'processing');
create index orders_holding_address_idx on public.orders (private.address_key(purchase_ip, 48))
  where status in ('pending', 'processing');
create index inventory_reservations_active_idx on public.inventory_reservations (order_id)
  where status = 'active';

-- Velocity: whom the rules look at.

create function private.subject_orders(p_subject text, p_key text, p_livemode boolean, p_since timestamptz)
returns setof public.orders
language plpgsql
stable
set search_path = ''
as $$
begin
  case p_subject
    when 'address' then
      return query select * from public.orders o
        where private.address_key(o.purchase_ip, 48) = private.address_key(p_key::inet, 48)
          and o.purchase_ip <<= p_key::inet and o.created_at >= p_since and o.livemode = p_livemode;
    when 'email' then
      return query select * from public.orders o
        where private.email_key(o.email) = p_key and o.created_at >= p_since and o.livemode = p_livemode;
    when 'user' then
      return query select o.* from public.orders o join public.customers c on c.id = o.customer_id
        where c.user_id = p_key::uuid and o.created_at >= p_since and o.livemode = p_livemode;
    when 'order' then
      return query select * from public.orders o where o.id = p_key::uuid and o.livemode = p_livemode;
    when 'shipping_address' then
      return query select * from public.orders o
        where private.delivery_key(o.shipping_address) = p_key and o.created_at >= p_since
          and o.livemode = p_livemode;
    when 'card' then
      return query select * from public.orders o
        where o.livemode = p_livemode and o.id in (
          select a.order_id
          from public.payment_attempts a where a.card_fingerprint = p_key and a.created_at >= p_since
        );
    else
      return query select * from public.orders o where o.created_at >= p_since and o.livemode = p_livemode;
  end case;
end;
$$;
comment on function private.subject_orders(text, text, boolean, timestamptz) is
  'Orders of one subject of the velocity rules since a time.';

create function private.subject_attempts(p_subject text, p_key text, p_livemode boolean, p_since timestamptz)
returns setof public.payment_attempts
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_subject = 'shop' then
    return query select * from public.payment_attempts a
      where a.created_at >= p_since and a.livemode = p_livemode
        and (a.outcome not in ('failed', 'blocked')
          or private.is_of_buyer(a.failure_code, a.decline_code, a.payment_method_type));
  elsif p_subject = 'card' then
    return query select * from public.payment_attempts a
      where a.card_fingerprint = p_key and a.created_at >= p_since and a.livemode = p_livemode
        and (a.outcome not in ('failed', 'blocked')
          or private.is_of_buyer(a.failure_code, a.decline_code, a.payment_method_type));
  else
    -- A payment page stays open for a day at most, so an order may be that much older than its attempts.
    return query select a.* from public.payment_attempts a
      where a.created_at >= p_since
        and (a.outcome not in ('failed', 'blocked')
          or private.is_of_buyer(a.failure_code, a.decline_code, a.payment_method_type))
        and a.order_id in (
          select o.id from private.subject_orders(p_subject, p_key, p_livemode, p_since - interval '1 day') o
        );
  end if;
end;
$$;
comment on function private.subject_attempts(text, text, boolean, timestamptz) is
  'Payment attempts of one subject of the velocity rules since a time, without refusals that say nothing '
  'about a buyer who tries cards: see is_of_buyer().';

create function private.velocity_keys(p_user_id uuid, p_mailbox text, p_ip inet, p_order_id uuid)
returns table (subject text, measure text, key text, factor numeric)
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_user_id is not null then
    return query values ('user', null::text, p_user_id::text, 1::numeric);
  end if;
  if p_order_id is not null then
    return query values ('order', null::text, p_order_id::text, 1::numeric);
  end if;
  if p_mailbox is not null then
    -- Anybody can type anybody's address: what was done under it must not lock an account out.
    return query values (
      'email', case when p_user_id is not null then 'disposable_email' end, p_mailbox, 1::numeric
    );
  end if;
  if p_user_id is null or not exists (
    select 1 from public.customers c join public.orders o on o.customer_id = c.id
    where c.user_id = p_user_id and o.paid_at is not null
  ) then
    return query values ('shop', null::text, 'shop', 1::numeric);
  end if;
  if p_ip is not null then
    return query select 'address', null::text, text(n.network), n.factor from private.address_keys(p_ip) n;
  end if;
end;
$$;
comment on function private.velocity_keys(uuid, text, inet, uuid) is
  'Whom rules measure when this shopper orders or pays: key of each subject, the measure if it is only one, '
  'and what a threshold is multiplied with. p_mailbox as of email_key(). p_order_id null: the order does not '
  'exist yet.';

-- Velocity: what the rules measure.

create function private.weigh_refusals(
  p_rule private.velocity_rules,
  p_key text,
  p_threshold numeric,
  p_livemode boolean, p_since timestamptz, p_until timestamptz,
  out o_value bigint, out o_oldest timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Who has more is seen by the rules on themselves.
  c_of_one_max constant integer := 3;
  -- Far more than an attack needs to be seen, and no more work in a busy shop than in a quiet one.
  c_attempts_max constant integer := 300;
  c_failed_challenge constant text := 'payment_intent_authentication_failure';
begin
  with used as (
    -- Each refused card of an order that nothing has paid, and each paid order once.
    select a.order_id, max(a.created_at) as at, not a.paid as declined
    from (
      select x.*, exists (
        select 1 from public.payment_attempts g
        where g.order_id = x.order_id and g.outcome in ('succeeded', 'pending')
      ) as paid
      from (
        select * from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) y
        where y.order_id is not null and y.created_at <= p_until
          -- Without a share only refusals weigh.
          and (p_rule.baseline_share is not null or y.outcome in ('failed', 'blocked'))
          -- Who fails the challenge that the shop itself asks for must not be why it goes on asking.
          and (p_rule.subject <> 'shop' or y.failure_code is distinct from c_failed_challenge)
        order by y.created_at desc limit c_attempts_max
      ) x
    ) a
    group by a.order_id, a.paid, case when not a.paid then coalesce(a.card_fingerprint, a.id) end
  ), counted as (
    select u.*, o.created_at as ordered_at,
      row_number() over (
        partition by u.declined, case when u.declined and p_rule.baseline_share is not null
          then coalesce(o.customer_id::text, private.email_key(o.email), o.id::text) end
        order by u.at, o.created_at, o.id
      ) as of_buyer,
      row_number() over (
        partition by u.declined, case when u.declined and p_rule.baseline_share is not null
          then private.address_key(o.purchase_ip) end
        order by u.at, o.created_at, o.id
      ) as of_network
    from used u
    -- One by one: the few that were tried, and never the table as a whole.
    cross join lateral (select * from public.orders x where x.id = u.order_id limit 1) o
  ), scored as (
    -- From now backwards: how far the refusals exceed the ordinary share.
    select c.at, row_number() over back as back, count(*) filter (where c.declined) over back as declines,
      sum(c.declined::integer - coalesce(p_rule.baseline_share, 0)) over back as excess
    from counted c
    where (not c.declined and p_rule.baseline_share is not null) or (c.declined
      and (p_rule.baseline_share is null or (
        (c.of_buyer <= c_of_one_max or p_rule.subject in ('user', 'email', 'order'))
        and (c.of_network <= c_of_one_max or p_rule.subject <> 'shop')
      )))
    -- Stripe's clock counts seconds; which order is the later one decides ties.
    window back as (order by c.at desc, c.ordered_at desc, c.order_id rows unbounded preceding)
  )
  select max(s.declines), (array_agg(s.at order by s.back))[1] into o_value, o_oldest
  from scored s where s.excess >= p_threshold * (1 - coalesce(p_rule.baseline_share, 0));
end;
$$;
comment on function private.weigh_refusals(
  private.velocity_rules, text, numeric, boolean, timestamptz, timestamptz
) is
  'Measure declined_orders: how many refusals weigh against the good orders of a subject, when they exceed '
  'the ordinary share by as much as p_threshold; o_oldest: the refusal that the rule lets go with.';

create function private.holding_orders(p_subject text, p_key text) returns setof uuid
language plpgsql
stable
set search_path = ''
as $$
begin
  case p_subject
    when 'address' then
      return query select o.id from public.orders o
        where o.status in ('pending', 'processing')
          and private.address_key(o.purchase_ip, 48) = private.address_key(p_key::inet, 48)
          and o.purchase_ip <<= p_key::inet;
    when 'email' then
      return query select o.id from public.orders o
        where o.status in ('pending', 'processing') and private.email_key(o.email) = p_key;
    when 'user' then
      return query select o.id from public.orders o join public.customers c on c.id = o.customer_id
        where o.status in ('pending', 'processing') and c.user_id = p_key::uuid;
  end case;
end;
$$;
comment on function private.holding_orders(text, text) is
  'Unpaid orders of a subject of the velocity rules that may hold stock.';

create function private.measure_shop_holds(p_rule private.velocity_rules) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select case
      when p_rule.measure = 'held_pieces' then t.pieces
      when t.pieces >= coalesce(p_rule.min_pieces, 1) then floor(100 * greatest(
        t.shares / greatest(t.articles, 1), t.pieces / greatest(t.stock, t.pieces)::float8
        -- What is 29 % is not to come out a trifle below.
      ) + 1e-6)
    end
    from (
      select sum(l.reserved) as pieces, sum(l.on_hand) as stock,
        sum(l.reserved / greatest(l.on_hand, l.reserved, 1)::float8) as shares,
        sum(least(l.on_hand, 1)) as articles
      from public.inventory_levels l
    ) t
  );
end;
$$;
comment on function private.measure_shop_holds(private.velocity_rules) is
  'Measures held_pieces and held_share of the whole shop: what all unpaid orders hold. One pass over the '
  'stock, since each checkout asks.';

create function private.measure_holds(
  p_rule private.velocity_rules,
  p_key text,
  p_lines jsonb,
  p_order_id uuid,
  out o_value bigint,
  out o_until timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_held record;
begin
  if p_rule.subject = 'shop' then
    o_value := private.measure_shop_holds(p_rule);
    return;
  end if;
  -- The stock is one, whoever asks in which mode.
  select sum(h.quantity) as pieces, max(h.expires_at) as until,
    sum(h.quantity::numeric / greatest(coalesce(l.on_hand, 0), h.quantity)) as articles
  into v_held
  from (
    select x.variant_id, sum(x.quantity) as quantity, max(x.expires_at) as expires_at
    from (
      select r.variant_id, r.quantity, r.expires_at
      from private.holding_orders(p_rule.subject, p_key) o (id)
      join public.inventory_reservations r on r.order_id = o.id and r.status = 'active'
      where o.id is distinct from p_order_id
      union all
      select w.variant_id, w.quantity, null
      from jsonb_to_recordset(p_lines) as w (variant_id uuid, quantity integer)
    ) x
    group by x.variant_id
  ) h
  left join public.inventory_levels l on l.variant_id = h.variant_id;
  o_value := v_held.pieces;
  o_until := v_held.until;
  if p_rule.measure = 'held_share' and o_value is not null then
    -- By pieces or by articles: neither a pile of socks nor an empty rail of suits hides the other.
    o_value := case when o_value >= coalesce(p_rule.min_pieces, 1) then (
      select floor(100 * greatest(
        v_held.articles / greatest(count(*), 1), v_held.pieces / greatest(sum(l.on_hand), v_held.pieces)
      ))
      from public.inventory_levels l where l.on_hand > 0
    ) end;
  end if;
end;
$$;
comment on function private.measure_holds(private.velocity_rules, text, jsonb, uuid) is
  'Measures held_pieces and held_share: what unpaid orders of a subject hold together with p_lines, [{ '
  'variant_id, quantity }] of the cart that asks; for the shop, what all of them hold. o_until: when the '
  'last hold runs out.';

create function private.measured_times(
  p_rule private.velocity_rules,
  p_key text,
  p_livemode boolean,
  p_since timestamptz,
  p_at timestamptz,
  p_order_id uuid
) returns timestamptz[]
language plpgsql
stable
set search_path = ''
as $$
declare
  -- Attempts carry Stripe's clock, which is not quite ours.
  v_until timestamptz := p_at + interval '1 minute';
begin
  return case p_rule.measure
    when 'unpaid_checkouts' then array(
      select o.created_at from private.subject_orders(p_rule.subject, p_key, p_livemode, p_since) o
      where o.paid_at is null and o.created_at <= p_at and o.id is distinct from p_order_id
      order by 1
    )
    when 'emails' then array(
      select max(o.created_at) from private.subject_orders(p_rule.subject, p_key, p_livemode, p_since) o
      where o.email is not null and o.created_at <= p_at and o.id is distinct from p_order_id
      group by private.email_key(o.email)
      order by 1
    )
    when 'declines' then array(
      select a.created_at from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) a
      where a.outcome in ('failed', 'blocked') and a.created_at <= v_until
      order by 1
    )
    when 'cards' then array(
      select max(a.created_at) from private.subject_attempts(p_rule.subject, p_key, p_livemode, p_since) a
      where a.card_fingerprint is not null and a.created_at <= v_until
      group by a.card_fingerprint
      order by 1
    )
  end;
end;
$$;
comment on function private.measured_times(
  private.velocity_rules, text, boolean, timestamptz, timestamptz, uuid
) is
  'When each of the things happened that a rule counts (orders, mailboxes, refusals, cards), oldest first: '
  'as many as the measure says. p_order_id: an order that does not count.';

create function private.count_outages(
  p_rule private.velocity_rules,
  p_livemode boolean,
  p_since timestamptz,
  p_until timestamptz
) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select count(*) filter (where t.outage)
    from (
      select bool_or(
        a.outcome in ('failed', 'blocked') and private.is_outage(a.failure_code, a.decline_code)
      ) as outage
      from public.payment_attempts a
      where a.created_at between p_since and p_until and a.livemode = p_livemode
      group by a.order_id
    ) t
    having count(*) filter (where t.outage) >= coalesce(p_rule.baseline_share, 0) * count(*)
  );
end;
$$;
comment on function private.count_outages(private.velocity_rules, boolean, timestamptz, timestamptz) is
  'Measure outages: how many orders met one, or null when they are less than baseline_share of those tried.';

create function private.worth_of_order(o public.orders, p_currency text) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return case when o.currency = p_currency then o.amount_subtotal else (
    select sum(private.price_in(v, p_currency) * i.quantity)
    from public.order_items i join public.product_variants v on v.id = i.variant_id
    where i.order_id = o.id
  ) end;
end;
$$;
comment on function private.worth_of_order(public.orders, text) is
  'The goods of an order in a currency, in its minor units: as ordered where it is the order''s own, else at '
  'today''s prices in it. Null: nothing of it is sold in that currency.';

create function private.worth_of_cart(
  p_in text,
  p_amount bigint,
  p_currency text,
  p_lines jsonb,
  p_order_id uuid
) returns bigint
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when p_currency = p_in then p_amount
    when p_order_id is not null then (
      select private.worth_of_order(o, p_in) from public.orders o where o.id = p_order_id
    )
    else (
      select sum(private.price_in(v, p_in) * l.quantity)
      from jsonb_to_recordset(p_lines) as l (variant_id uuid, quantity integer)
      join public.product_variants v on v.id = l.variant_id
    )
  end;
end;
$$;
comment on function private.worth_of_cart(text, bigint, text, jsonb, uuid) is
  'worth_of_order() in currency p_in, of the order that asks, or of the cart that is to become one.';

create function private.measure_amount(
  p_rule private.velocity_rules,
  p_key text,
  p_worth bigint,
  p_threshold bigint,
  p_livemode boolean,
  p_since timestamptz,
  p_at timestamptz,
  p_order_id uuid,
  out o_value bigint,
  out o_oldest timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
begin
  select coalesce(max(s.amount), 0) + p_worth,
    max(s.at) filter (where s.amount + p_worth >= p_threshold and p_worth < p_threshold)
  into o_value, o_oldest
  from (
    select o.created_at as at, sum(private.worth_of_order(o, p_rule.currency)) over (
      order by o.created_at desc, o.id
    ) as amount
    from private.subject_orders(p_rule.subject, p_key, p_livemode, p_since) o
    where o.created_at <= p_at and o.id is distinct from p_order_id
      and (o.paid_at is not null or o.status in ('pending', 'processing'))
  ) s
  where p_worth is not null;
end;
$$;
comment on function private.measure_amount(
  private.velocity_rules, text, bigint, bigint, boolean, timestamptz, timestamptz, uuid
) is
  'Measure amount: what the subject orders together with p_worth, each order in the currency of the rule. '
  'Null: what asks is not sold in it. o_oldest: the order with which the threshold was passed.';

-- measure_velocity(): whether a rule is hit.

create function private.measure_velocity(
  p_rule private.velocity_rules,
  p_key text,
  p_amount bigint,
  p_currency text,
  p_livemode boolean, p_at timestamptz,
  p_order_id uuid default null,
  p_lines jsonb default '[]',
  p_factor numeric default 1
) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_since timestamptz := p_at - make_interval(secs => p_rule.window_seconds);
  -- Attempts carry Stripe's clock, which is not quite ours.
  v_until timestamptz := p_at + interval '1 minute';
  v_threshold bigint := ceil(p_rule.threshold * p_factor);
  v_value bigint;
  v_times timestamptz[];
  -- What the rule lets go with, once it has left the window.
  v_oldest timestamptz;
  v_free_at timestamptz;
begin
  case p_rule.measure
    when 'disposable_email' then
      v_value := private.is_disposable(p_key)::integer;
    when 'amount' then
      select w.o_value, w.o_oldest into v_value, v_oldest
      from private.measure_amount(
        p_rule, p_key, private.worth_of_cart(p_rule.currency, p_amount, p_currency, p_lines, p_order_id),
        v_threshold, p_livemode, v_since, p_at, p_order_id
      ) w;
    when 'unpaid_checkouts', 'emails', 'declines', 'cards' then
      v_times := private.measured_times(p_rule, p_key, p_livemode, v_since, p_at, p_order_id);
      v_value := cardinality(v_times);
    when 'declined_orders' then
      select w.o_value, w.o_oldest into v_value, v_oldest
      from private.weigh_refusals(p_rule, p_key, v_threshold, p_livemode, v_since, v_until) w;
    when 'outages' then
      v_value := private.count_outages(p_rule, p_livemode, v_since, v_until);
    when 'held_pieces', 'held_share' then
      select h.o_value, h.o_until into v_value, v_free_at
      from private.measure_holds(p_rule, p_key, p_lines, p_order_id) h;
  end case;
  if coalesce(v_value, 0) < v_threshold then
    return null;
  end if;
  v_oldest := coalesce(v_oldest, v_times[v_value - v_threshold + 1], p_at);
  v_free_at := coalesce(v_free_at, v_oldest + make_interval(secs => p_rule.window_seconds));
  return jsonb_build_object(
    'rule', p_rule.name, 'rule_action', p_rule.action, 'subject', p_rule.subject, 'measure', p_rule.measure,
    'value', v_value, 'threshold', v_threshold, 'window_seconds', p_rule.window_seconds,
    'alert', coalesce(p_rule.alert, case p_rule.action when 'block' then 'critical' end),
    -- The subject itself is personal data: a keyed digest is enough to see that two hits are of one.
    'subject_digest', left(private.keyed_digest(p_key), 16),
    -- When enough has left the window for the rule to let go; all of it where this cart is enough by itself.
    'retry_after_seconds', greatest(1, ceil(extract(epoch from v_free_at - p_at))::integer)
  );
end;
$$;
comment on function private.measure_velocity(
  private.velocity_rules, text, bigint, text, boolean, timestamptz, uuid, jsonb, numeric
) is
  'A hit of a rule by a subject up to p_at, or null. p_amount, p_currency and p_lines: the cart that asks; '
  'p_order_id: the order that asks, which does not count against itself; p_factor: what the threshold is '
  'multiplied with. retry_after_seconds: until the rule lets go.';

-- Velocity: which rules are worth measuring. Most shoppers have done nothing yet: few rules can hit them.

create function private.recent_activity(
  p_subject text,
  p_key text,
  p_since timestamptz,
  out o_orders timestamptz[],
  out o_attempts timestamptz[],
  out o_holds boolean
)
language plpgsql
stable
set search_path = ''
as $$
declare
  -- A payment page stays open for a day at most, so an order may be that much older than its attempts.
  v_since timestamptz := p_since - interval '1 day';
  v_ids uuid[];
begin
  if p_subject not in ('user', 'email', 'address') then
    return;
  end if;
  select array_agg(t.id), coalesce(array_agg(t.created_at), '{}'),
    coalesce(bool_or(t.status in ('pending', 'processing')), false)
  into v_ids, o_orders, o_holds
  from (
    select o.id, o.created_at, o.status from public.orders o
    where p_subject = 'email' and private.email_key(o.email) = p_key
    union all
    select o.id, o.created_at, o.status from public.orders o
    where p_subject = 'address' and o.purchase_ip <<= p_key::inet
      and private.address_key(o.purchase_ip, 48) = private.address_key(p_key::inet, 48)
    union all
    select o.id, o.created_at, o.status
    from public.orders o join public.customers c on c.id = o.customer_id
    where p_subject = 'user' and c.user_id = p_key::uuid
  ) t
  where t.created_at >= v_since or t.status in ('pending', 'processing');
  o_attempts := case when v_ids is null then '{}' else array(
    select a.created_at from public.payment_attempts a
    where a.order_id = any (v_ids) and a.created_at >= p_since
  ) end;
end;
$$;
comment on function private.recent_activity(text, text, timestamptz) is
  'When a subject of the velocity rules ordered and tried to pay since p_since (and somewhat before), and '
  'whether it may hold stock: no measure counts more. Null for subjects that are not looked at.';

create function private.shop_refusals_reach(p_threshold bigint, p_since timestamptz, p_livemode boolean)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from public.payment_attempts a
    where a.outcome in ('failed', 'blocked') and a.created_at >= p_since and a.livemode = p_livemode
    offset p_threshold - 1
  );
end;
$$;
comment on function private.shop_refusals_reach(bigint, timestamptz, boolean) is
  'Whether the whole shop has seen that many refused attempts.';

create function private.rules_that_may_hit(
  p_user_id uuid,
  p_mailbox text,
  p_ip inet,
  p_cart jsonb,
  p_livemode boolean,
  p_order_id uuid
) returns table (rule private.velocity_rules, key text, factor numeric)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_at timestamptz := clock_timestamp();
  v_amount bigint := (p_cart ->> 'amount')::bigint;
  v_pieces bigint := (
    select sum((l ->> 'quantity')::integer) from jsonb_array_elements(p_cart -> 'lines') l
  );
  v_longest integer := (select max(r.window_seconds) from private.velocity_rules r where r.enabled);
begin
  return query
  with subjects as materialized (
    select k.*, a.*
    from private.velocity_keys(p_user_id, p_mailbox, p_ip, p_order_id) k
    cross join lateral private.recent_activity(
      k.subject, k.key, v_at - make_interval(secs => v_longest)
    ) a
  )
  select r, s.key, s.factor
  from subjects s
  join private.velocity_rules r on r.subject = s.subject and r.measure = coalesce(s.measure, r.measure)
  cross join lateral (
    select ceil(r.threshold * s.factor)::bigint as threshold,
      v_at - make_interval(secs => r.window_seconds) as since
  ) b
  where r.enabled and case
    when r.measure = 'outages' then false
    when r.measure = 'disposable_email' then private.is_disposable(s.key)
    when r.subject = 'shop' and r.measure in ('declines', 'declined_orders')
      then private.shop_refusals_reach(b.threshold, b.since, p_livemode)
    when s.o_orders is null then true
    when r.measure in ('unpaid_checkouts', 'emails')
      then (select count(*) from unnest(s.o_orders) t where t >= b.since) >= b.threshold
    when r.measure in ('declines', 'declined_orders', 'cards')
      then (select count(*) from unnest(s.o_attempts) t where t >= b.since) >= b.threshold
    when r.measure = 'amount'
      then s.o_orders <> '{}' or r.currency <> p_cart ->> 'currency' or v_amount >= b.threshold
    when r.measure = 'held_pieces' then s.o_holds or v_pieces >= b.threshold
    when r.measure = 'held_share' then s.o_holds or v_pieces >= coalesce(r.min_pieces, 1)
    -- A measure that has no bound here is taken each time.
    else true
  end
  order by r.name, s.factor;
end;
$$;
comment on function private.rules_that_may_hit(uuid, text, inet, jsonb, boolean, uuid) is
  'The rules that a checkout has to measure, and for whom: those whose measure could reach the threshold by '
  'what is cheap to know.';

-- Velocity: the rules at checkout, and what a hit leads to.

create function private.three_d_secure_rank(p_asked text) returns integer
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case p_asked when 'challenge' then 2 when 'any' then 1 else 0 end;
end;
$$;
comment on function private.three_d_secure_rank(text) is
  'What a page asks of the card, as a number: more is stronger. Null, Stripe''s own judgement, is 0.';

create function private.answer_of_hits(p_hits jsonb) returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'action', case
        when 'block' = any (a.actions) then 'block'
        when 'review' = any (a.actions) then 'review'
        when 'require_challenge' = any (a.actions) then 'require_challenge'
        when 'require_3ds' = any (a.actions) then 'require_3ds'
        else 'allow'
      end,
      'three_d_secure', case
        when 'require_challenge' = any (a.actions) then 'challenge'
        when 'require_3ds' = any (a.actions) then 'any'
      end,
      'retry_after_seconds', a.retry_after_seconds,
      'hits', p_hits
    )
    from (
      select coalesce(array_agg(h ->> 'action'), '{}') as actions,
        max((h ->> 'retry_after_seconds')::integer) filter (where h ->> 'action' = 'block')
          as retry_after_seconds
      from jsonb_array_elements(p_hits) h
    ) a
  );
end;
$$;
comment on function private.answer_of_hits(jsonb) is
  'What hits come to together: { action (the strongest), three_d_secure, retry_after_seconds, hits }.';

create function private.check_velocity(
  p_mode text,
  p_user_id uuid,
  p_email text,
  p_ip inet,
  p_cart jsonb,
  p_livemode boolean,
  p_order_id uuid default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_mailbox text := private.email_key(p_email);
  v_rule record;
  v_hit jsonb;
  v_hits jsonb := '[]';
  -- The rule that the last hit is of.
  v_hit_name text;
  v_result jsonb;
begin
  if p_mode = 'off' then
    return jsonb_build_object('action', 'allow', 'hits', '[]'::jsonb);
  end if;
  -- A burst under one mailbox or from one network must not slip through because none of it sees the others.
  if v_mailbox is not null then
    perform pg_advisory_xact_lock(hashtextextended('velocity:' || v_mailbox, 0));
  end if;
  if p_ip is not null then
    perform pg_advisory_xact_lock(hashtextextended('velocity:' || text(private.address_key(p_ip)), 0));
  end if;

  for v_rule in
    select * from private.rules_that_may_hit(p_user_id, v_mailbox, p_ip, p_cart, p_livemode, p_order_id)
  loop
    -- A network within a network is no second hit.
    continue when (v_rule.rule).name = v_hit_name;
    v_hit := private.measure_velocity(
      v_rule.rule, v_rule.key, (p_cart ->> 'amount')::bigint, p_cart ->> 'currency', p_livemode,
      clock_timestamp(), p_order_id, p_cart -> 'lines', v_rule.factor
    );
    if v_hit is not null then
      v_hits := v_hits || (v_hit || jsonb_build_object(
        'mode', p_mode, 'action', case p_mode when 'enforce' then (v_rule.rule).action else 'allow' end
      ));
      v_hit_name := (v_rule.rule).name;
    end if;
  end loop;

  v_result := private.answer_of_hits(v_hits);
  if v_hits <> '[]' then
    perform private.raise_velocity_alerts(v_hits);
  end if;
  if v_result ->> 'action' = 'block' then
    perform private.record_velocity_hits(v_result, p_order_id);
  end if;
  return v_result;
end;
$$;
comment on function private.check_velocity(text, uuid, text, inet, jsonb, boolean, uuid) is
  'Measures the rules for a door to a payment page: { action, three_d_secure, retry_after_seconds, hits }, '
  'the strongest action of all hits. p_cart: { amount, currency, lines: [{ variant_id, quantity }] }; '
  'p_order_id: the order that the page is for, once it exists. Mode report: every action is allow, and the '
  'hits tell what would have been. Records the hits of a block itself, since nothing will carry them.';

create function private.record_velocity_hits(p_risk jsonb, p_order_id uuid) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_attempt integer;
  v_recorded integer;
begin
  if p_risk -> 'hits' = '[]' then
    return 0;
  end if;
  v_attempt := (select o.attempt from public.orders o where o.id = p_order_id);
  insert into public.fraud_signals as f (source_id, order_id, kind, severity, open, data)
  select
    -- Refused checkouts make no order. Anybody can send them, so they are counted, per subject, rule and
    -- window.
    case when p_order_id is null then concat_ws(
      ':', 'velocity', h ->> 'rule', h ->> 'subject_digest',
      floor(extract(epoch from now()) / (h ->> 'window_seconds')::integer)
    ) end,
    p_order_id, 'velocity',
    case
      when h ->> 'rule_action' = 'block' or h ->> 'alert' = 'critical' then 'critical'
      when h ->> 'rule_action' = 'review' or h ->> 'alert' = 'warning' then 'warning'
      else 'info'
    end,
    h ->> 'action' = 'review',
    (h - array['retry_after_seconds', 'alert'])
      || jsonb_strip_nulls(
        jsonb_build_object('attempt', v_attempt, 'count', case when p_order_id is null then 1 end)
      )
  from jsonb_array_elements(p_risk -> 'hits') h
  where p_order_id is null or not exists (
    select 1 from public.fraud_signals known
    where known.order_id = p_order_id and known.kind = 'velocity' and known.data ->> 'rule' = h ->> 'rule'
      and known.data ->> 'attempt' = v_attempt::text
  )
  on conflict on constraint fraud_signals_source_id_key do update
  set data = excluded.data || jsonb_build_object('count', (f.data ->> 'count')::integer + 1);
  get diagnostics v_recorded = row_count;
  return v_recorded;
end;
$$;
comment on function private.record_velocity_hits(jsonb, uuid) is
  'One fraud_signals row per hit of an order, rule and attempt; of refused checkouts one per subject, rule '
  'and '
  'window, counted up. An open one with action review holds its order once it is paid. Returns how many '
  'are new.';

create function private.raise_velocity_alerts(p_hits jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- Hits closer together than this belong to one attack, or to one outage.
  c_lull constant interval := '1 hour';
  v_alert record;
  v_key text;
begin
  for v_alert in
    select x.kind, case when bool_or(x.severity = 'critical') then 'critical' else 'warning' end as severity,
      jsonb_agg(distinct x.rule) as rules, jsonb_object_agg(x.rule, x.value) as figures
    from (
      select h ->> 'rule' as rule, h -> 'value' as value, h ->> 'alert' as severity, case
        when h ->> 'measure' = 'outages' then 'payment_outage'
        when h ->> 'measure' like 'held%' and h ->> 'subject' = 'shop' then 'stock_held'
        else 'velocity'
      end as kind
      from jsonb_array_elements(p_hits) h where h ->> 'alert' is not null
    ) x
    group by x.kind order by x.kind
  loop
    -- Somebody is raising it at this moment: nobody has to wait with stock in hand to raise it again.
    continue when not pg_try_advisory_xact_lock(hashtextextended('velocity alert ' || v_alert.kind, 0));
    select a.dedupe_key into v_key from public.alerts a
    where a.kind = v_alert.kind and a.last_at > clock_timestamp() - c_lull
      and (a.severity = 'critical' or v_alert.severity = 'warning')
    order by a.last_at desc limit 1;
    perform private.raise_alert(
      v_alert.kind, v_alert.severity,
      coalesce(v_key, concat_ws(
        ':', v_alert.kind, nullif(v_alert.severity, 'critical'),
        to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS')
      )),
      jsonb_build_object('rules', v_alert.rules, 'figures', v_alert.figures)
    );
  end loop;
end;
$$;
comment on function private.raise_velocity_alerts(jsonb) is
  'Tells staff of hits: one alert per attack (velocity), outage (payment_outage) or rush on the stock '
  '(stock_held), counted up while it goes on, whichever rules it runs into.';

-- Velocity after checkout: what has been paid, what has been refused, and outages.

create function private.freeze_velocity_rules() returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_rules jsonb := (
    select coalesce(jsonb_agg(to_jsonb(r) - '{description,updated_at}'::text[] order by r.name), '[]')
    from private.velocity_rules r
    where r.enabled and r.subject in ('card', 'shipping_address')
  );
  v_digest text := md5(v_rules::text);
  v_id bigint;
begin
  select id into v_id from private.velocity_rule_sets where digest = v_digest;
  if v_id is null then
    insert into private.velocity_rule_sets (digest, rules) values (v_digest, v_rules)
    on conflict on constraint velocity_rule_sets_digest_key do update set digest = excluded.digest
    returning id into v_id;
  end if;
  return v_id;
end;
$$;
comment on function private.freeze_velocity_rules() is
  'The row of velocity_rule_sets with today''s rules on card and delivery address.';

create function private.check_paid_velocity(o public.orders, k public.order_risk) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  v_rule private.velocity_rules;
  v_key text;
  v_hit jsonb;
  v_set_id bigint := k.velocity_rule_set;
begin
  if k.velocity_mode = 'off' then
    return v_set_id;
  end if;
  -- Facts may come late, and are measured then; by the rules of the day it was paid.
  v_set_id := coalesce(v_set_id, private.freeze_velocity_rules());
  for v_rule in
    select r.*
    from private.velocity_rule_sets s, jsonb_populate_recordset(null::private.velocity_rules, s.rules) r
    where s.id = v_set_id order by r.name
  loop
    v_key := case v_rule.subject
      when 'shipping_address' then private.delivery_key(o.shipping_address)
      when 'card' then (
        select a.card_fingerprint from public.payment_attempts a
        where a.order_id = o.id and a.outcome = 'succeeded' and a.card_fingerprint is not null
        order by a.created_at, a.id limit 1
      )
    end;
    continue when v_key is null or exists (
      select 1 from public.fraud_signals f
      where f.order_id = o.id and f.kind = 'velocity' and f.data ->> 'rule' = v_rule.name
    );
    v_hit := private.measure_velocity(
      v_rule, v_key, o.amount_subtotal, o.currency, o.livemode, greatest(o.paid_at, o.created_at), o.id
    );
    if v_hit is not null then
      v_hit := v_hit || jsonb_build_object(
        'mode', k.velocity_mode,
        -- The money is there already: to block means to hold the goods.
        'action', case
          when k.velocity_mode <> 'enforce' then 'allow'
          when v_rule.action = 'block' then 'review'
          else v_rule.action
        end
      );
      perform private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit)), o.id);
    end if;
  end loop;
  return v_set_id;
end;
$$;
comment on function private.check_paid_velocity(public.orders, public.order_risk) is
  'Measures the rules on card and delivery address once an order is paid, by what had happened until then '
  'and by the rules as they stood, so that settling again finds the same. Returns the set of rules, for '
  'velocity_rule_set. Called by settle_order() only.';

create function private.end_pages(
  p_rule private.velocity_rules,
  p_key text,
  o public.orders,
  p_at timestamptz
) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- Stripe keeps no payment page open for longer.
  c_page_life constant interval := '1 day';
  v_asked integer := case p_rule.action when 'block' then 3 when 'require_challenge' then 2 else 1 end;
  v_page record;
begin
  for v_page in
    with refused as materialized (
      -- Of a rule that asks for more, only pages whose own buyer was refused: the rest has done nothing.
      select distinct r.id, r.customer_id
      from private.subject_attempts(
        p_rule.subject, p_key, o.livemode, p_at - make_interval(secs => p_rule.window_seconds)
      ) a
      join public.orders r on r.id = a.order_id
      where p_rule.action <> 'block' and a.outcome in ('failed', 'blocked')
        and not exists (
          select 1 from public.orders p where p.customer_id = r.customer_id and p.paid_at is not null
        )
    ), theirs as materialized (
      select x.id from private.subject_orders(p_rule.subject, p_key, o.livemode, p_at - c_page_life) x
      where p_rule.action = 'block'
    )
    select s.id, s.order_id
    from public.checkout_sessions s
    join public.orders other on other.id = s.order_id
    join public.order_risk k on k.order_id = other.id
    where s.status = 'open' and other.paid_at is null
      and private.three_d_secure_rank(k.three_d_secure) < v_asked and (
      other.id = o.id
      or other.id in (select t.id from theirs t)
      or exists (select 1 from refused r where r.id = other.id or r.customer_id = other.customer_id)
    )
    order by s.id
  loop
    update public.checkout_sessions set closing_at = now() where id = v_page.id and closing_at is null;
    perform private.enqueue_job(
      'expire_checkout_session', 'expire_checkout_session:velocity:' || v_page.id,
      jsonb_build_object('session_id', v_page.id, 'order_id', v_page.order_id), now(), 10
    );
  end loop;
end;
$$;
comment on function private.end_pages(private.velocity_rules, text, public.orders, timestamptz) is
  'Has the payment pages of a hit ended: with action block all of the subject, else those of refused buyers '
  'that ask less of the card than the rule does, the page of o among them. No door leads to them from now '
  'on.';

create function private.check_declined_velocity(o public.orders, k public.order_risk) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_declines integer;
  v_at timestamptz;
  v_user_id uuid;
  v_rule record;
  v_hit jsonb;
begin
  select count(*), max(a.created_at) into v_declines, v_at
  from public.payment_attempts a
  where a.order_id = o.id and a.outcome in ('failed', 'blocked')
    and private.is_of_buyer(a.failure_code, a.decline_code, a.payment_method_type);
  if k.velocity_mode = 'off' or o.session_id is not null or v_declines <= k.declined_attempts then
    return v_declines;
  end if;
  select c.user_id into v_user_id from public.customers c where c.id = o.customer_id;

  for v_rule in
    select r as rule, w.key, w.factor
    from private.velocity_keys(v_user_id, private.email_key(o.email), o.purchase_ip, o.id) w
    join private.velocity_rules r on r.subject = w.subject and r.measure = coalesce(w.measure, r.measure)
    where r.enabled and r.action in ('require_3ds', 'require_challenge', 'block')
      and r.measure in ('declines', 'declined_orders', 'cards')
    order by r.name, w.factor
  loop
    v_hit := private.measure_velocity(
      v_rule.rule, v_rule.key, o.amount_subtotal, o.currency, o.livemode, v_at, p_factor => v_rule.factor
    );
    continue when v_hit is null;
    v_hit := v_hit || jsonb_build_object(
      'mode', k.velocity_mode,
      'action', case k.velocity_mode when 'enforce' then (v_rule.rule).action else 'allow' end
    );
    if private.record_velocity_hits(jsonb_build_object('hits', jsonb_build_array(v_hit)), o.id) > 0 then
      perform private.raise_velocity_alerts(jsonb_build_array(v_hit));
    end if;
    if k.velocity_mode = 'enforce' then
      perform private.end_pages(v_rule.rule, v_rule.key, o, v_at);
    end if;
  end loop;
  return v_declines;
end;
$$;
comment on function private.check_declined_velocity(public.orders, public.order_risk) is
  'Measures the rules over refused attempts at each refusal of an unpaid order: a page that is open needs '
  'no new checkout to try the next card. A hit is recorded and raises the alert once per attempt of the '
  'order, and ends pages each time. Returns how many refusals the order has, which is what it has been '
  'measured by. Called by settle_order() only.';

create function private.check_outages(o public.orders, k public.order_risk) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_outages integer;
  v_at timestamptz;
  v_rule private.velocity_rules;
  v_hit jsonb;
begin
  select count(*), max(a.created_at) into v_outages, v_at
  from public.payment_attempts a
  where a.order_id = o.id and a.outcome in ('failed', 'blocked')
    and private.is_outage(a.failure_code, a.decline_code);
  if k.velocity_mode = 'off' or v_outages <= k.outage_attempts then
    return v_outages;
  end if;
  for v_rule in
    select * from private.velocity_rules r
    where r.enabled and r.subject = 'shop' and r.measure = 'outages' order by r.name
  loop
    v_hit := private.measure_velocity(v_rule, 'shop', o.amount_subtotal, o.currency, o.livemode, v_at);
    if v_hit is not null then
      perform private.raise_velocity_alerts(jsonb_build_array(v_hit));
    end if;
  end loop;
  return v_outages;
end;
$$;
comment on function private.check_outages(public.orders, public.order_risk) is
  'Tells staff when a bank, a network or the processor is away for many at once, at each such refusal of an '
  'order. Nobody is refused for it. Returns how many the order has had. Called by settle_order() only.';
