-- What is stored of a person, found and locked before an erasure.

create function private.events_of_person(p_order_ids uuid[], p_stripe_ids text[], p_email text)
returns setof text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_ids text[] := array(
    select s.id from public.checkout_sessions s where s.order_id = any (p_order_ids)
    union all select p.id from public.payments p where p.order_id = any (p_order_ids)
    union all select a.id from public.payment_attempts a where a.order_id = any (p_order_ids)
    union all select r.id from public.refunds r where r.order_id = any (p_order_ids)
    union all select d.id from public.disputes d where d.order_id = any (p_order_ids)
    union all select f.source_id from public.fraud_signals f where f.order_id = any (p_order_ids)
  ) || p_stripe_ids;
begin
  return query
  select e.id from public.webhook_events e
  where not e.payload ? 'erased' and (
    e.payload #>> '{data,object,id}' = any (v_ids)
    or e.payload #>> '{data,object,payment_intent}' = any (v_ids)
    or e.payload #>> '{data,object,charge}' = any (v_ids)
    -- By address alone: a household shares its name, street and phone.
    or (
      e.payload::text ilike '%' || p_email || '%' and e.payload::text ~* private.words_pattern(array[p_email])
    )
  );
end;
$$;
comment on function private.events_of_person(uuid[], text[], text) is
  'Stored events about these orders, these Stripe customers, or with this address, ours or not, dead ones '
  'too.';

create type private.person_scope as (
  order_ids uuid[],
  customer_ids uuid[],
  stripe_ids text[],
  event_ids text[],
  failed_event_ids text[]
);
comment on type private.person_scope is
  'What is stored of a person: orders, customers, and events of Stripe. failed_event_ids: all events whose '
  'error may name somebody.';

create function private.scope_of_person(p_email text) returns private.person_scope
language plpgsql
stable
set search_path = ''
as $$
declare
  s private.person_scope;
begin
  s.order_ids := array(
    select o.id from public.orders o where lower(o.email) = p_email
    union select x.order_id from public.checkout_sessions x where lower(x.email) = p_email
    union select n.order_id from public.notifications n where lower(n.recipient) = p_email
  );
  s.customer_ids := array(
    select c.id from public.customers c where lower(c.email) = p_email
    -- The row of a guest is that of their orders, whatever address it has by now.
    or (
      c.user_id is null and c.id in (select o.customer_id from public.orders o where o.id = any (s.order_ids))
    )
    order by c.id
  );
  s.order_ids := array(
    select o.id from public.orders o where o.id = any (s.order_ids) or o.customer_id = any (s.customer_ids)
    order by o.id
  );
  s.stripe_ids := array(
    select c.stripe_customer_id from public.customers c where c.id = any (s.customer_ids)
    union select x.stripe_customer_id from public.checkout_sessions x where x.order_id = any (s.order_ids)
    union select c.id from private.stripe_customers c where lower(c.email) = p_email
    -- An account that used this address on one order keeps its own customer.
    except select c.stripe_customer_id from public.customers c where not c.id = any (s.customer_ids)
    except select null
    order by 1
  );
  s.event_ids := array(
    select x from private.events_of_person(s.order_ids, s.stripe_ids, p_email) x order by x
  );
  s.failed_event_ids := array(
    select e.id from public.webhook_events e where e.last_error is not null order by e.id
  );
  return s;
end;
$$;
comment on function private.scope_of_person(text) is
  'What is stored under an e-mail address (in lower case), by id.';

create function private.lock_person(p_email text) returns private.person_scope
language plpgsql
set search_path = ''
as $$
declare
  s private.person_scope;
begin
  loop
    begin
      s := private.scope_of_person(p_email);
      -- Events before orders, as who receives or tries an event locks them.
      perform 1 from public.webhook_events e
      where e.id = any (s.event_ids || s.failed_event_ids)
      order by e.id
      for no key update;
      perform 1 from public.orders o where o.id = any (s.order_ids) order by o.id for no key update;
      exit when s = private.scope_of_person(p_email);
      raise exception 'more has come in' using errcode = 'SHAGN';
    exception when sqlstate 'SHAGN' then
      -- Locked in the right order means from the beginning: this undoes the locks.
      null;
    end;
  end loop;
  return s;
end;
$$;
comment on function private.lock_person(text) is
  'scope_of_person(), locked: events by id, then orders by id.';
