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
