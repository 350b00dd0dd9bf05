-- The life of an attempt after the order exists: its session, a new attempt, or none at all.

create function public.attach_checkout_session(
  p_order_id uuid,
  p_attempt integer,
  p_fact jsonb,
  p_email_change integer default null
) returns void
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_created boolean;
begin
  perform private.lock_order(p_order_id);
  v_created := not exists (select 1 from public.checkout_sessions where id = p_fact ->> 'id');
  -- Time zero: whatever an event says of this session is newer than what its creation said. One that is not
  -- open any more was read later: it may have been paid, and not in 1970.
  perform private.merge_checkout_session(
    private.without_person(p_fact, p_order_id) || jsonb_build_object('attempt', p_attempt), p_order_id,
    case p_fact ->> 'status' when 'open' then to_timestamp(0) else now() end
  );
  -- A webhook that came first has merged the session without its link.
  update public.checkout_sessions set url = p_fact ->> 'url' where id = p_fact ->> 'id' and url is null;
  -- An account's first session tells us the customer that Stripe made for it.
  update public.customers c set stripe_customer_id = p_fact ->> 'customer_id'
  from public.orders o
  where o.id = p_order_id and c.id = o.customer_id and c.stripe_customer_id is null
    and c.livemode = (p_fact ->> 'livemode')::boolean
    and not exists (
      select 1 from public.customers other where other.stripe_customer_id = p_fact ->> 'customer_id'
    )
    and not exists (
      select 1 from private.stripe_customers gone
      where gone.id = p_fact ->> 'customer_id' and gone.deleted_at is not null
    );
  -- Only of the customer that the session is for: another one was given another address.
  update public.customers c set email_changes_told = greatest(c.email_changes_told, p_email_change)
  from public.orders o
  where o.id = p_order_id and c.id = o.customer_id and c.stripe_customer_id = p_fact ->> 'customer_id'
    and p_email_change is not null;
  if v_created then
    perform private.record_order_event(
      p_order_id, 'checkout_session_created', 'checkout',
      jsonb_build_object('session_id', p_fact ->> 'id', 'attempt', p_attempt)
    );
  end if;
  perform private.settle_order(p_order_id, 'checkout');
end;
$$;
comment on function public.attach_checkout_session(uuid, integer, jsonb, integer) is
  'Notes the session that Stripe made for an attempt. p_email_change: which address of the account '
  'Stripe''s customer has now, as customer_email_change of the snapshot. Idempotent. '
  'SHORD: no such order.';
grant execute on function public.attach_checkout_session(uuid, integer, jsonb, integer) to service_role;

create function public.restart_checkout_attempt(
  p_order_id uuid,
  p_attempt integer,
  p_session_seconds integer,
  p_hold_seconds integer
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  o public.orders := private.lock_order(p_order_id);
begin
  perform private.refuse_during_rescue();
  -- Only the attempt that the caller saw end moves on; a parallel repeat finds that it already has.
  if o.attempt = p_attempt and o.session_id is null and o.cancelled_at is null and o.erased_at is null
    and not exists (
      select 1 from public.checkout_sessions s
      where s.order_id = o.id and s.attempt = p_attempt and s.status <> 'expired'
    ) then
    return private.enter_checkout(
      o.id, (private.risk_of(o.id)).velocity_mode, null, false, true, p_session_seconds, p_hold_seconds,
      null
    );
  end if;
  return private.checkout_snapshot(o.id, 'existing');
end;
$$;
comment on function public.restart_checkout_attempt(uuid, integer, integer, integer) is
  'Replaces an attempt that Stripe never carried out (its expires_at had come too near), or whose session '
  'has expired, by the next one, if the velocity rules let it. Same answer as begin_checkout(): existing or '
  'velocity_exceeded. SHORD, SHSTK, SHCLO.';
grant execute on function public.restart_checkout_attempt(uuid, integer, integer, integer) to service_role;

create function private.alert_refused_checkout(p_order_id uuid, p_refusal jsonb) returns void
language sql
set search_path = ''
as $$
  select private.raise_alert(
    'checkout_refused', 'critical',
    -- One cause, one alert: which line of the cart it was says nothing.
    concat_ws(
      ':', 'checkout_refused', p_refusal ->> 'status', p_refusal ->> 'code',
      regexp_replace(p_refusal ->> 'param', '\[\d+\]', '[]', 'g')
    ),
    p_refusal || jsonb_build_object(
      'order_number', o.number, 'amount', o.amount_subtotal, 'currency', o.currency,
      'skus', (
        select jsonb_agg(i.sku order by i.sku collate "C") from public.order_items i where i.order_id = o.id
      )
    )
  )
  from public.orders o where o.id = p_order_id
$$;
comment on function private.alert_refused_checkout(uuid, jsonb) is
  'Tells staff that Stripe refuses to sell an order, and why: { code, param, status, message }. One alert '
  'per cause, counted up.';

create function public.abandon_checkout(
  p_order_id uuid,
  p_attempt integer,
  p_refusal jsonb default null
) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  o public.orders := private.lock_order(p_order_id);
  v_abandoned boolean;
begin
  v_abandoned := o.attempt = p_attempt and o.abandoned_at is null
    and not exists (
      select 1 from public.checkout_sessions s where s.order_id = o.id and s.attempt = p_attempt
    );
  if v_abandoned then
    update public.orders set abandoned_at = now() where id = o.id;
    perform private.record_order_event(
      o.id, 'checkout_abandoned', 'checkout', jsonb_build_object('attempt', p_attempt)
    );
    perform private.settle_order(o.id, 'checkout');
  end if;
  if p_refusal is not null then
    perform private.alert_refused_checkout(o.id, p_refusal);
  end if;
  return v_abandoned;
end;
$$;
comment on function public.abandon_checkout(uuid, integer, jsonb) is
  'Ends an attempt that has no session, which frees its stock. Call it only when Stripe has refused the '
  'attempt, or has been asked and knows no session of it that could still be paid. p_refusal: what Stripe '
  'said, for an alert. Returns false when the attempt has a session, or is not the current one. SHORD: no '
  'such order.';
grant execute on function public.abandon_checkout(uuid, integer, jsonb) to service_role;

create function public.forget_checkout_session(p_session_id text) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- A wrong key knows no session either: there is a day to put it right.
  c_patience constant interval := '1 day';
  v_order_id uuid;
begin
  select s.order_id into v_order_id
  from public.checkout_sessions s
  where s.id = p_session_id and s.status = 'open' and s.expires_at < now() - c_patience;
  if v_order_id is null then
    return false;
  end if;
  perform private.lock_order(v_order_id);
  update public.checkout_sessions set status = 'expired' where id = p_session_id and status = 'open';
  if found then
    perform private.record_order_event(
      v_order_id, 'checkout_session_forgotten', 'job', jsonb_build_object('session_id', p_session_id)
    );
    perform private.settle_order(v_order_id, 'job');
  end if;
  return true;
end;
$$;
comment on function public.forget_checkout_session(text) is
  'Stripe says that there is no such session: its account is another one now, or its test data was deleted. '
  'Counts it as expired, which frees its stock, once it has been over for a day. Returns whether it has '
  'been. Should Stripe tell of its payment after all, that is settled as late money.';
grant execute on function public.forget_checkout_session(text) to service_role;

create function private.checkout_end(o public.orders, p_livemode boolean) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  if o.session_id is not null or o.status = 'processing' then
    return jsonb_build_object('outcome', 'paid', 'session_id', coalesce(o.session_id, (
      select s.id from public.checkout_sessions s
      where s.order_id = o.id and s.status = 'complete' order by s.completed_at desc limit 1
    )));
  elsif o.cancelled_at is not null or o.erased_at is not null or o.livemode <> p_livemode then
    return jsonb_build_object('outcome', 'cancelled');
  end if;
  return null;
end;
$$;
comment on function private.checkout_end(public.orders, boolean) is
  'Why an order leads to no payment page any more: paid { session_id }, also while the payment is under '
  'way, or cancelled, as are all of the other mode once a project has gone live. Null while it waits to be '
  'paid. p_livemode null: of either mode.';

create function public.find_open_checkout(p_order_id uuid, p_livemode boolean default null) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  o public.orders;
begin
  select * into o from public.orders where id = p_order_id;
  if not found then
    raise exception 'order % does not exist', p_order_id using errcode = 'SHORD';
  end if;
  return coalesce(private.checkout_end(o, p_livemode), jsonb_build_object('outcome', 'unpaid', 'session', (
    select jsonb_build_object('id', s.id, 'url', s.url)
    from public.checkout_sessions s
    where s.order_id = o.id and s.attempt = o.attempt and s.status = 'open' and s.url is not null
      and s.expires_at > now() and s.closing_at is null
    order by s.created_at desc limit 1
  )));
end;
$$;
comment on function public.find_open_checkout(uuid, boolean) is
  'What a resume link leads to without changing anything: unpaid with the session { id, url } that can '
  'still be paid, or null; paid: { session_id } for the success page; cancelled, also for an order of the '
  'other mode than p_livemode. SHORD: no such order.';
grant execute on function public.find_open_checkout(uuid, boolean) to service_role;

create function public.resume_checkout(
  p_order_id uuid,
  p_session_seconds integer,
  p_hold_seconds integer,
  p_velocity_mode text default null,
  p_client_ip text default null,
  p_supersede boolean default true,
  p_livemode boolean default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  o public.orders := private.lock_order(p_order_id);
  v_ended constant boolean := o.status in ('expired', 'payment_failed');
  v_end constant jsonb := private.checkout_end(o, p_livemode);
  v_superseded jsonb;
begin
  perform private.refuse_during_rescue();
  if v_end is not null then
    return v_end;
  end if;
  if v_ended and p_supersede then
    -- As under its key: what the account's other page holds may be what this order needs.
    v_superseded := private.superseded_sessions(
      o.idempotency_key, (select c.user_id from public.customers c where c.id = o.customer_id), null,
      o.livemode
    );
  end if;
  if v_superseded is not null then
    perform private.refuse_shortage(jsonb_agg(to_jsonb(i)), v_superseded)
    from public.order_items i where i.order_id = o.id and i.quantity > 0;
    return jsonb_build_object('outcome', 'superseded', 'session_ids', v_superseded);
  end if;
  return private.enter_checkout(
    o.id, coalesce(p_velocity_mode, (private.risk_of(o.id)).velocity_mode), p_client_ip, p_supersede,
    v_ended, p_session_seconds, p_hold_seconds, 'hosted_page'
  );
end;
$$;
comment on function public.resume_checkout(uuid, integer, integer, text, text, boolean, boolean) is
  'Opens an unpaid order again, on a hosted page. existing: the snapshot of an attempt that can be paid, '
  'a new one at today''s prices when the last has expired or failed; paid: { session_id } for the success '
  'page; cancelled, also for an order of the other mode than p_livemode; superseded: expire session_ids at '
  'Stripe, then ask again with p_supersede false; velocity_exceeded. p_velocity_mode null: that of the last '
  'attempt. SHORD: no such order. SHSTK: sold out. SHCLO: checkout is closed.';
grant execute on function public.resume_checkout(uuid, integer, integer, text, text, boolean, boolean)
  to service_role;

create function public.forget_stripe_customer(p_order_id uuid, p_stripe_customer_id text) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.merge_customer(
    jsonb_build_object(
      'id', p_stripe_customer_id, 'livemode', o.livemode, 'email', null, 'name', null, 'deleted', true
    ), now()
  )
  from public.orders o where o.id = p_order_id;
  return private.checkout_snapshot(p_order_id, 'existing');
end;
$$;
comment on function public.forget_stripe_customer(uuid, text) is
  'Stripe says that this customer is gone, before its event has come. Returns the snapshot of the order, '
  'now without it.';
grant execute on function public.forget_stripe_customer(uuid, text) to service_role;
