-- How personal data goes: a person who asks, and orders that were never paid.
--

create function private.erase_orders(p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.checkout_sessions s set
    email = null, name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, business = null, promotions_consent = null, url = null,
    version = private.without_digest(s.version), contact_version = private.without_digest(s.contact_version)
  where s.order_id = any (p_order_ids);
  update public.payment_attempts a
  set card_fingerprint = null, receipt_url = null, version = private.without_digest(a.version)
  where a.order_id = any (p_order_ids);
  update public.fraud_signals f set data = f.data - 'subject_digest'
  where f.order_id = any (p_order_ids) and f.data ? 'subject_digest';
  update public.notifications n set recipient = null where n.order_id = any (p_order_ids);
  update public.orders o set
    email = null, customer_name = null, phone = null, shipping_name = null, shipping_address = null,
    billing_address = null, purchase_ip = null, user_agent = null, idempotency_key = null,
    erased_at = coalesce(o.erased_at, now())
  where o.id = any (p_order_ids);
end;
$$;
comment on function private.erase_orders(uuid[]) is
  'Takes the personal data out of orders and of all that hangs on them. Amounts, ids, card brand and last '
  'four digits stay: bookkeeping law wants them. The caller has locked the orders.';

create function private.erase_own_texts(p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform set_config('kct.erasing', 'on', true);
  update public.staff_commands c set args = c.args - '{reason,note}'::text[]
  where c.order_id = any (p_order_ids) and c.args ?| array['reason', 'note'];
  perform set_config('kct.erasing', '', true);
  update public.returns r set reason = null where r.order_id = any (p_order_ids) and r.reason is not null;
  update private.jobs j set
    payload = j.payload || jsonb_build_object('note', null)
      || case when j.payload ->> 'reason' in ('duplicate', 'fraudulent', 'requested_by_customer')
        then '{}' else jsonb_build_object('reason', null) end,
    last_error = case when j.last_error is not null then '[erased]' end
  where (j.payload ?| array['note', 'reason'] or j.last_error is not null) and (
    j.payload ->> 'order_id' = any (p_order_ids::text[])
    or j.payload ->> 'dispute_id' in (select d.id from public.disputes d where d.order_id = any (p_order_ids))
    or j.payload ->> 'notification_id' in (
      select n.id::text from public.notifications n where n.order_id = any (p_order_ids)
    )
  );
end;
$$;
comment on function private.erase_own_texts(uuid[]) is
  'Removes what staff wrote about orders, and what providers said of their jobs: it may name the buyer in '
  'any way.';

create function private.erase_events(p_event_ids text[], p_pattern text) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  -- Of one that is still to be applied, what it says of money is needed.
  update public.webhook_events e set payload = case
    when e.status in ('processed', 'ignored') and e.next_attempt_at is null then '{"erased": true}'
    else private.redact(e.payload, p_pattern)
  end
  where e.id = any (p_event_ids);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.erase_events(text[], text) is
  'Empties the stored payloads of events; from one that is still to be applied it takes what the pattern '
  'finds. Returns how many.';

create function private.erase_stripe_customers(p_ids text[], p_livemode boolean) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.stripe_customers as c (id, livemode, version, deleted_at, erased_at)
  select x.id, p_livemode, '', now(), now() from unnest(p_ids) as x (id)
  on conflict (id) do update set
    email = null, name = null, version = private.without_digest(c.version),
    -- It will be: until then no checkout must name it again.
    deleted_at = coalesce(c.deleted_at, now()), erased_at = coalesce(c.erased_at, now());
  perform private.enqueue_job(
    'delete_stripe_customer', 'delete_stripe_customer:' || x.id,
    jsonb_build_object('stripe_customer_id', x.id)
  ) from unnest(p_ids) as x (id);
end;
$$;
comment on function private.erase_stripe_customers(text[], boolean) is
  'Notes Stripe customers as erased, and has Stripe''s own copy deleted by a job.';

create function private.refuse_disputed(p_order_ids uuid[]) returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  d record;
begin
  select x.id, o.number, x.evidence_due_by into d
  from public.disputes x join public.orders o on o.id = x.order_id
  where x.order_id = any (p_order_ids)
    and private.awaits_evidence(x)
  order by x.evidence_due_by limit 1;
  if found then
    raise exception 'dispute % of order % still needs this data as evidence (due %)', d.id, d.number,
      d.evidence_due_by
      using errcode = 'SHINV',
        hint = 'Call submit_dispute_evidence(), or accept the dispute in Stripe''s dashboard; then erase '
               'again.';
  end if;
end;
$$;
comment on function private.refuse_disputed(uuid[]) is
  'SHINV while a dispute of one of these orders waits for evidence: defending a claim goes before erasure '
  '(GDPR article 17(3)(e)).';

create function private.erase_customers(p_customer_ids uuid[]) returns void
language sql
set search_path = ''
as $$
  update public.customers c
  set email = null, name = null, stripe_customer_id = null,
    stripe_deleted_at = coalesce(c.stripe_deleted_at, now())
  where c.id = any (p_customer_ids)
$$;
comment on function private.erase_customers(uuid[]) is
  'Empties customer rows. At Stripe erase_stripe_customers() sees to it.';

create function private.erase_person(p_email text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_email constant text := lower(btrim(p_email));
  s private.person_scope := private.lock_person(v_email);
  v_words record;
  v_modes boolean[];
  v_count jsonb;
  v_order_id uuid;
begin
  perform private.refuse_disputed(s.order_ids);
  v_modes := array(
    select o.livemode from public.orders o where o.id = any (s.order_ids)
    union select c.livemode from public.customers c where c.id = any (s.customer_ids)
  );
  select w.anywhere, w.own into v_words
  from private.words_of_person(v_email, s.order_ids, s.customer_ids, s.stripe_ids) w;

  v_count := jsonb_build_object(
    'orders', cardinality(s.order_ids), 'customers', cardinality(s.customer_ids),
    'stripe_customers', cardinality(s.stripe_ids),
    'events', private.erase_events(s.event_ids, v_words.own)
  );
  perform private.erase_own_texts(s.order_ids);
  v_count := v_count || jsonb_build_object(
    'texts', private.redact_texts(v_words.anywhere) + private.redact_texts(v_words.own, s.order_ids)
  );
  if not exists (select 1 from jsonb_each(v_count) c where c.value <> '0') then
    return v_count;
  end if;
  perform private.erase_digests(v_email, s.order_ids);
  -- A payment under way too: who would get the goods is not known any more when its money comes.
  update public.orders o set cancelled_at = coalesce(o.cancelled_at, now())
  where o.id = any (s.order_ids) and o.status in ('pending', 'processing');
  perform private.erase_orders(s.order_ids);
  perform private.erase_stripe_customers(s.stripe_ids, coalesce(v_modes[1], false));
  perform private.erase_customers(s.customer_ids);
  foreach v_order_id in array s.order_ids loop
    perform private.settle_order(v_order_id, 'staff');
  end loop;
  return v_count;
end;
$$;
comment on function private.erase_person(text) is
  'Removes a person from everything that is known under an e-mail address, and ends their open payment '
  'pages; what a payment under way brings goes back. What comes later about their orders is stored without '
  'them. Returns counts; all of them 0: nobody is known, and nothing was changed. SHINV: a dispute needs the '
  'data.';

create function private.erase_digests(p_email text, p_order_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Hits that stopped a checkout belong to no order: they are known by the digest of whom they stopped.
  delete from public.fraud_signals f
  where f.kind = 'velocity' and f.order_id is null and f.data ->> 'subject_digest' in (
    select left(private.keyed_digest(k), 16)
    from (
      select private.email_key(p_email) as k
      union select text(n.network)
      from public.orders o cross join lateral private.address_keys(o.purchase_ip) n
      where o.id = any (p_order_ids)
    ) keys
    where k is not null
  );
  -- A counter's key ends in what it counts: an IPv4 address, or one of the networks of an IPv6 address.
  delete from private.rate_limits l
  using public.orders o cross join lateral private.address_keys(o.purchase_ip) n
  where o.id = any (p_order_ids)
    and substring(l.key from ':([0-9]+(?:\.[0-9]+){3}|[0-9a-f:]+::/[0-9]+)$')::inet = n.network;
end;
$$;
comment on function private.erase_digests(text, uuid[]) is
  'Removes the counters that are kept under a digest of an e-mail address, or under the network addresses '
  'of orders.';

create function private.forget_unpaid_orders(p_limit integer) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_order_ids uuid[] := array(
    select o.id from public.orders o
    where o.paid_at is null and o.erased_at is null and o.status in ('expired', 'payment_failed', 'cancelled')
      and o.created_at < now() - private.retention('unpaid')
      and not exists (
        select 1 from public.payments p where p.order_id = o.id and p.status in ('processing', 'succeeded')
      )
    order by o.created_at
    limit p_limit
    for no key update skip locked
  );
begin
  perform private.erase_own_texts(v_order_ids);
  perform private.erase_orders(v_order_ids);
  return cardinality(v_order_ids);
end;
$$;
comment on function private.forget_unpaid_orders(integer) is
  'Takes the personal data out of up to p_limit orders that ended unpaid longer than retention_unpaid_days '
  'ago: no law wants them kept.';
