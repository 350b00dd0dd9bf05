-- What the staff commands about disputes do.

create function private.dispute_to_answer(p_dispute_id text) returns public.disputes
language plpgsql
set search_path = ''
as $$
declare
  d public.disputes;
begin
  perform private.lock_order(i.order_id) from public.disputes i
  where i.id = p_dispute_id and i.order_id is not null;
  select * into d from public.disputes i where i.id = p_dispute_id for no key update;
  if not found then
    raise exception 'there is no dispute %', p_dispute_id using errcode = 'SHINV';
  elsif not private.awaits_evidence(d) then
    raise exception 'dispute % does not wait for an answer (status %)', d.id, d.status
      using errcode = 'SHINV';
  elsif exists (
    select 1 from private.jobs j
    join public.dispute_decisions x on x.dispute_id = d.id and x.round = d.status and x.decision <> 'leave'
    where j.dedupe_key = 'answer_dispute:' || d.id || ':' || d.status and j.status = 'running'
  ) then
    raise exception 'dispute % is being answered at this moment', d.id
      using errcode = 'SHINV', hint = 'dispute_decisions says what was decided. Look again in a minute.';
  end if;
  return d;
end;
$$;
comment on function private.dispute_to_answer(text) is
  'A dispute that staff want to answer, locked after its order. SHINV: there is none, it does not wait for '
  'an answer, or is being answered by itself right now.';

create function private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d constant public.disputes := private.dispute_to_answer(p_args ->> 'dispute_id');
begin
  if private.dispute_answer_on_its_way(d.id) then
    raise exception 'evidence for dispute % is on its way already', d.id
      using errcode = 'SHINV', hint = 'Stripe takes evidence once; what was submitted cannot be changed.';
  end if;
  perform private.enqueue_job(
    'submit_dispute_evidence', 'submit_dispute_evidence:' || p_command_id,
    jsonb_build_object(
      'dispute_id', d.id, 'note', p_args ->> 'note', 'submit', true,
      'acknowledge_fee', coalesce((p_args -> 'acknowledge_fee')::boolean, false)
    ), now(), 20
  );
  return d.order_id;
end;
$$;
comment on function private.run_submit_dispute_evidence(uuid, jsonb) is
  'Carries out submit_dispute_evidence: queues the submission. SHINV: no such dispute, it does not wait for '
  'a response, or an answer is on its way.';

create function private.run_accept_dispute(p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d constant public.disputes := private.dispute_to_answer(p_args ->> 'dispute_id');
  v_key constant text := 'close_dispute:' || d.id || ':' || d.status;
begin
  if exists (
    select 1 from private.jobs j
    where j.kind = 'submit_dispute_evidence' and j.status in ('queued', 'running')
      and j.payload ->> 'dispute_id' = d.id and j.payload -> 'submit' = 'true'
  ) then
    raise exception 'evidence for dispute % is on its way', d.id using errcode = 'SHINV';
  end if;
  -- Once for each round: asked again, the job that is there does it, also one that had been given up.
  if not private.enqueue_job(
    'close_dispute', v_key, jsonb_build_object('dispute_id', d.id, 'round', d.status), now(), 20
  ) then
    perform private.requeue_job(j.id) from private.jobs j where j.dedupe_key = v_key;
  end if;
  return d.order_id;
end;
$$;
comment on function private.run_accept_dispute(jsonb) is
  'Carries out accept_dispute: queues the job that closes it at Stripe, once in each round. SHINV: no such '
  'dispute, it does not wait for an answer, or evidence is on its way.';

create function private.run_leave_dispute(p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d constant public.disputes := private.dispute_to_answer(p_args ->> 'dispute_id');
begin
  if private.dispute_answer_on_its_way(d.id) then
    raise exception 'an answer to dispute % is on its way', d.id using errcode = 'SHINV';
  end if;
  insert into public.dispute_decisions (dispute_id, round, decision, reason, submissions)
  values (d.id, d.status, 'leave', 'staff', d.evidence_submission_count)
  on conflict on constraint dispute_decisions_pkey do update
    set decision = 'leave', reason = 'staff', created_at = now();
  return d.order_id;
end;
$$;
comment on function private.run_leave_dispute(jsonb) is
  'Carries out leave_dispute: this round of the dispute is not answered by itself. SHINV: no such dispute, '
  'it does not wait for an answer, is being answered right now, or staff have answered it.';

create function public.submit_dispute_evidence(
  p_dispute_id text,
  p_note text default null,
  p_acknowledge_fee boolean default false,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'submit_dispute_evidence',
    jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note)
      || case when p_acknowledge_fee then '{"acknowledge_fee": true}'::jsonb else '{}' end,
    p_dry_run, p_command_id
  )
$$;
comment on function public.submit_dispute_evidence(text, text, boolean, boolean, uuid) is
  'Sends the evidence assembled from the order, and the note, to the bank. Final: Stripe takes evidence '
  'once. p_acknowledge_fee: a compliance dispute costs 500 USD unless it is won, and is not fought without. '
  'Staff only.';
grant execute on function public.submit_dispute_evidence(
  text, text, boolean, boolean, uuid
) to authenticated, service_role;

create function public.accept_dispute(
  p_dispute_id text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'accept_dispute',
    jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.accept_dispute(text, text, boolean, uuid) is
  'Gives up a dispute: a job closes it at Stripe, and the bank keeps the money. Final. Staff only.';
grant execute on function public.accept_dispute(text, text, boolean, uuid) to authenticated, service_role;

create function public.leave_dispute(
  p_dispute_id text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'leave_dispute',
    jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.leave_dispute(text, text, boolean, uuid) is
  'Nothing answers this round of a dispute by itself: staff do, in time, or nobody does. Staff only.';
grant execute on function public.leave_dispute(text, text, boolean, uuid) to authenticated, service_role;
