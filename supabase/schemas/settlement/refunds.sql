-- What becomes of a refund that was asked for.

create function private.ask_refund(
  p_id text,
  p_order_id uuid,
  p_payment_id text,
  p_amount bigint,
  p_cause text,
  p_reason text,
  p_restock boolean
) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  insert into public.refund_requests (id, order_id, payment_id, amount, cause, restock)
  values (p_id, p_order_id, p_payment_id, p_amount, p_cause, p_restock)
  on conflict (id) do nothing;
  if not found then
    return false;
  end if;
  perform private.enqueue_job(
    'refund_payment', 'refund_payment:' || p_id,
    jsonb_build_object(
      'payment_id', p_payment_id, 'order_id', p_order_id, 'amount', p_amount, 'reason', p_reason,
      'cause', p_cause, 'refund_request_id', p_id
    ),
    now(), 20
  );
  return true;
end;
$$;
comment on function private.ask_refund(text, uuid, text, bigint, text, text, boolean) is
  'Asks for a refund, once per p_id: the request and its job. p_amount null: all that is left. Returns '
  'whether it is new.';

create function private.refuse_refund_amount(p_amount bigint, p_currency text) returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_amount is not null and private.amount_problem(p_amount, p_currency) is not null then
    raise exception 'a refund of % is not one that Stripe takes: %', p_amount,
      private.amount_problem(p_amount, p_currency)
      using errcode = 'SHREF';
  end if;
end;
$$;
comment on function private.refuse_refund_amount(bigint, text) is
  'Raises SHREF for an amount that Stripe does not refund in this currency. Null, all that is left, is '
  'Stripe''s own figure.';

create function private.refund_request_id(p_cause text, p_payment_id text) returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- The customer reads it with their refund, and need not read there that the shop was warned of them.
  return case p_cause when 'fraudulent' then 'shop' else p_cause end || ':' || p_payment_id;
end;
$$;
comment on function private.refund_request_id(text, text) is
  'The id of the refund that settling asks for, once per payment and cause.';

create function private.queue_refund(
  p_payment_id text,
  p_order_id uuid,
  p_cause text,
  p_source text
) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  if not private.ask_refund(
    private.refund_request_id(p_cause, p_payment_id), p_order_id, p_payment_id, null, p_cause, p_cause, false
  ) then
    return false;
  end if;
  perform private.record_order_event(
    p_order_id, 'refund_queued', p_source, jsonb_build_object('payment_id', p_payment_id, 'why', p_cause)
  );
  return true;
end;
$$;
comment on function private.queue_refund(text, uuid, text, text) is
  'Queues the refund of all that is left of a payment, once per payment and cause. Returns whether it is '
  'new.';

create function private.lines_of_request(p_request_id text) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'sku', i.sku, 'quantity', l.quantity, 'restock', exists (
        select 1 from public.return_lines b join public.returns r on r.id = b.return_id
        where r.refund_request_id = p_request_id and b.order_item_id = i.id and b.restock
      )
    ) order by i.sku collate "C"), '[]')
    from public.refund_lines l join public.order_items i on i.id = l.order_item_id
    where l.request_id = p_request_id
  );
end;
$$;
comment on function private.lines_of_request(text) is
  'The pieces that a refund request is about: [{ sku, quantity, restock }]. restock: they go back on the '
  'shelf with it.';

create type public.refund_judgement as (
  outcome text,
  by text,
  refusals integer,
  restock boolean,
  lines jsonb
);
comment on type public.refund_judgement is
  'Whether a refund may be made now: go, made (it has been), overtaken, or disputed (a bank has the money '
  'or decides about it); by names the refund or request that may stand in for it; refusals counts how '
  'often Stripe has refused it. What it is about travels in its metadata: restock, and lines [{ sku, '
  'quantity, restock }].';

create function public.judge_refund(p_request_id text) returns public.refund_judgement
language plpgsql
security definer
set search_path = ''
as $$
declare
  q public.refund_requests;
  v_by text;
  v_outcome text;
begin
  perform private.lock_order(x.order_id) from public.refund_requests x where x.id = p_request_id;
  select * into q from public.refund_requests where id = p_request_id;
  if not found then
    raise exception 'there is no refund request %', p_request_id using errcode = 'SHINV';
  end if;
  if exists (select 1 from public.refunds r where r.request_id = q.id) then
    return row('made', null, q.refusals, q.restock, null)::public.refund_judgement;
  end if;
  v_by := private.refund_overtaken_by(q);
  v_outcome := case
    when v_by is not null then 'overtaken'
    when private.refund_awaits_dispute(q) then 'disputed'
    else 'go'
  end;
  -- Noted at once: the dispute may end before the job does.
  update public.refund_requests x
  set status = case v_outcome when 'disputed' then 'disputed' else 'queued' end
  where x.id = q.id and x.status in ('queued', 'disputed');
  return row(
    v_outcome, v_by, q.refusals, q.restock,
    private.lines_of_request(q.id)
  )::public.refund_judgement;
end;
$$;
comment on function public.judge_refund(text) is
  'Whether a refund may be made now, with all that is known of its payment. Apply what Stripe lists first. '
  'SHINV: no such request.';
grant execute on function public.judge_refund(text) to service_role;

create function private.check_refund_redrive(p_job private.jobs) returns void
language plpgsql
set search_path = ''
as $$
declare
  q public.refund_requests;
  v_by text;
  v_left bigint;
  v_gone text;
begin
  select * into q from public.refund_requests where id = p_job.payload ->> 'refund_request_id';
  if not found or exists (select 1 from public.refunds r where r.request_id = q.id) then
    -- The job finds the refund and is content.
    return;
  end if;
  v_by := private.refund_overtaken_by(q);
  v_left := private.refundable_amount(q.payment_id, q.id);
  select string_agg(p.sku, ', ' order by p.sku collate "C") into v_gone
  from public.refund_lines l join private.line_positions(q.order_id) p on p.order_item_id = l.order_item_id
  where l.request_id = q.id and l.quantity > p.paid - p.refunded;
  if v_left <= 0 then
    raise exception 'refund %: nothing of its payment is left to give back', q.id
      using errcode = 'SHREF', hint = 'Goods that have come back go on the shelf with receive_return().';
  elsif q.status = 'not_needed' and q.amount is not null then
    raise exception 'refund % was not needed: the payment had been refunded', q.id
      using errcode = 'SHREF', hint = 'Should the customer get more, ask for it anew with request_refund().';
  elsif v_by is not null then
    raise exception 'refund % was given up, and % came in its stead', q.id, v_by
      using errcode = 'SHREF', hint = 'Should the customer get both, ask for it anew with request_refund().';
  elsif v_gone is not null then
    raise exception 'refund % was given up, and pieces of it have been exchanged or refunded since: %', q.id,
      v_gone
      using errcode = 'SHREF', hint = 'Ask for what is still owed anew with request_refund().';
  elsif q.amount > v_left then
    raise exception 'refund % is about % (minor units), and % can still be refunded', q.id, q.amount, v_left
      using errcode = 'SHREF', hint = 'Refunds under way count as given back.';
  end if;
end;
$$;
comment on function private.check_refund_redrive(private.jobs) is
  'Raises SHREF when a refund must not run again: nothing or less is left, a part was not needed, or '
  'another one may stand in for it. One of all that is left may: it gives back what a bounced refund has '
  'left. Call with the order locked.';

create function private.resume_refund(p_job private.jobs) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.refund_requests set status = 'queued', given_up_at = null
  where id = p_job.payload ->> 'refund_request_id' and status <> 'done';
  if found then
    perform private.settle_order((p_job.payload ->> 'order_id')::uuid, 'staff');
  end if;
end;
$$;
comment on function private.resume_refund(private.jobs) is
  'A refund that was given up runs again: its money counts as given back once more.';

create function private.tell_of_refund(q public.refund_requests, p_job_id bigint, p_cause text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_kind constant text := case
    when q.status = 'queued' then 'refund_delayed'
    when private.refund_overtaken_by(q) is not null then 'refund_overtaken'
    else 'refund_refused'
  end;
begin
  perform private.raise_alert(
    v_kind, case v_kind when 'refund_refused' then 'critical' else 'warning' end, v_kind || ':' || q.id,
    jsonb_build_object(
      'order_number', o.number, 'amount', coalesce(q.amount, private.refundable_amount(q.payment_id, q.id)),
      'currency', o.currency, 'cause', p_cause, 'payment_id', q.payment_id, 'request_id', q.id,
      'job_id', p_job_id,
      'action', case v_kind
        when 'refund_delayed' then 'It is tried again for days. If the Stripe balance is empty, add funds.'
        when 'refund_overtaken' then 'Should the customer get both, ask for it anew with request_refund().'
        else 'Remove the cause and redrive the job, or give the money back in another way.'
      end
    )
  )
  from public.orders o where o.id = q.order_id;
end;
$$;
comment on function private.tell_of_refund(public.refund_requests, bigint, text) is
  'Alerts staff about a refund that Stripe does not take: order, amount, cause and what to do now. Kinds '
  'refund_delayed, refund_overtaken, refund_refused.';

create function private.note_refund_outcome(p_job private.jobs, p_reason text, p_alert text) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  -- Stripe has refused for good, or its answer was never had: either way nobody tries again by itself.
  v_given_up constant boolean := p_job.status = 'dead'
  or (p_job.status = 'discarded' and p_alert is not null);
  q public.refund_requests;
begin
  update public.refund_requests x set
    status = case
      when v_given_up then 'given_up'
      when p_job.status = 'discarded' and x.status = 'disputed' then 'disputed'
      when p_job.status = 'discarded' then 'not_needed'
      when p_job.status = 'done' then 'done'
      else 'queued'
    end,
    problem = case p_job.status when 'done' then null else p_reason end,
    refusals = x.refusals
      + case when p_alert is not null or (p_job.status = 'discarded' and x.status = 'disputed') then 1
        else 0 end,
    given_up_at = case when v_given_up then clock_timestamp() end
  where x.id = p_job.payload ->> 'refund_request_id'
  returning * into q;
  if not found then
    return false;
  end if;
  if p_alert is not null or v_given_up then
    perform private.tell_of_refund(q, p_job.id, p_reason);
  end if;
  perform private.settle_order(q.order_id, 'job');
  return true;
end;
$$;
comment on function private.note_refund_outcome(private.jobs, text, text) is
  'Books how a refund job ended (or that it waits for another try) on its request, tells staff, and settles '
  'the order. False: the job has no request. The order is locked.';

create function private.resume_disputed_refunds(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  with resumed as (
    update private.jobs j
    set status = 'queued', run_at = now(), attempts = 0, lost_leases = 0, finished_at = null
    from public.refund_requests q
    where q.order_id = p_order_id and q.status = 'disputed' and not private.refund_awaits_dispute(q)
      and j.dedupe_key = 'refund_payment:' || q.id and j.status = 'discarded'
    returning q.id
  )
  update public.refund_requests q set status = 'queued', problem = null
  from resumed r where q.id = r.id;
end;
$$;
comment on function private.resume_disputed_refunds(uuid) is
  'Refunds of an order that waited for a bank run again once it has decided: for the shop, whose customer '
  'gets the money now; or against it, about less than all, and Stripe tells what becomes of the rest. A job '
  'that is just ending comes by here when it has. Called by settle_order() only.';

create function private.settle_refund_alerts(p_order_id uuid) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.alerts a set
    status = 'resolved',
    data = a.data || case a.kind when 'refund_refused' then '{"not_owed": true}' else '{}' end::jsonb
  from public.refund_requests q
  where q.order_id = p_order_id and a.status <> 'resolved' and (
    (a.dedupe_key = 'refund_refused:' || q.id and not private.refund_is_owed(q))
    or (a.dedupe_key = 'refund_delayed:' || q.id and (q.status <> 'queued' or q.problem is null))
    or (a.dedupe_key = 'refund_overtaken:' || q.id and (private.money_left(q.payment_id) <= 0 or exists (
      select 1 from public.refund_requests later
      where later.payment_id = q.payment_id and later.created_at > q.given_up_at
    )))
  );
  -- Tried again, whatever becomes of it: should it fail too, it has an alert of its own.
  update public.alerts a set
    status = 'resolved',
    data = a.data || case when private.refund_tried_again(r) then '{}' else '{"not_owed": true}' end::jsonb
  from public.refunds r join private.refund_states s on s.id = r.id and s.has_bounced
  where r.order_id = p_order_id and a.dedupe_key = 'refund_failed:' || r.id
    and a.status <> 'resolved' and (private.refund_tried_again(r) or private.money_left(r.payment_id) <= 0);
  -- What closed by itself opens by itself: a lost dispute was won after all, a refund that stood in for it
  -- bounced.
  perform private.tell_of_refund(q, j.id, q.problem)
  from public.refund_requests q
  join public.alerts a on a.dedupe_key = 'refund_refused:' || q.id and a.status = 'resolved'
    and a.data ? 'not_owed'
  left join private.jobs j on j.dedupe_key = 'refund_payment:' || q.id
  where q.order_id = p_order_id and private.refund_is_owed(q);
  perform private.raise_alert(a.kind, a.severity, a.dedupe_key, a.data - 'not_owed')
  from public.refunds r
  join public.alerts a on a.dedupe_key = 'refund_failed:' || r.id and a.status = 'resolved'
    and a.data ? 'not_owed'
  where r.order_id = p_order_id and r.released_at is null and not private.refund_tried_again(r)
    and private.money_left(r.payment_id) > 0;
end;
$$;
comment on function private.settle_refund_alerts(uuid) is
  'Resolves the alerts about refunds of an order that were made, asked for anew or tried again, or are '
  'not owed any more; opens again those that are owed once more, except what staff have resolved. Called '
  'by settle_order() only.';
