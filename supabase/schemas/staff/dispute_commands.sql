-- What the staff commands about disputes do.

create function private.run_submit_dispute_evidence(p_command_id uuid, p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d public.disputes;
begin
  select * into d from public.disputes where id = p_args ->> 'dispute_id' for no key update;
  if not found then
    raise exception 'there is no dispute %', p_args ->> 'dispute_id' using errcode = 'SHINV';
  elsif not private.awaits_evidence(d) then
    raise exception 'dispute % does not wait for evidence (status %)', d.id, d.status using errcode = 'SHINV';
  elsif exists (
    select 1 from private.jobs j
    where j.kind = 'submit_dispute_evidence' and j.status in ('queued', 'running')
      and j.payload ->> 'dispute_id' = d.id and j.payload -> 'submit' = 'true'
  ) then
    raise exception 'evidence for dispute % is on its way already', d.id
      using errcode = 'SHINV', hint = 'Stripe takes evidence once; what was submitted cannot be changed.';
  end if;
  perform private.enqueue_job(
    'submit_dispute_evidence', 'submit_dispute_evidence:' || p_command_id,
    jsonb_build_object('dispute_id', d.id, 'note', p_args ->> 'note', 'submit', true), now(), 20
  );
  return d.order_id;
end;
$$;
comment on function private.run_submit_dispute_evidence(uuid, jsonb) is
  'Carries out submit_dispute_evidence: queues the submission. SHINV: no such dispute, it does not wait for '
  'a response, or evidence is on its way.';

create function private.run_accept_dispute(p_args jsonb) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  d public.disputes;
begin
  select * into d from public.disputes where id = p_args ->> 'dispute_id' for no key update;
  if not found then
    raise exception 'there is no dispute %', p_args ->> 'dispute_id' using errcode = 'SHINV';
  elsif not private.awaits_evidence(d) then
    raise exception 'dispute % does not wait for an answer (status %)', d.id, d.status
      using errcode = 'SHINV';
  elsif exists (
    select 1 from private.jobs j
    where j.kind = 'submit_dispute_evidence' and j.status in ('queued', 'running')
      and j.payload ->> 'dispute_id' = d.id and j.payload -> 'submit' = 'true'
  ) then
    raise exception 'evidence for dispute % is on its way', d.id using errcode = 'SHINV';
  end if;
  -- Once for each dispute: asked again, the job that is there does it.
  perform private.enqueue_job(
    'close_dispute', 'close_dispute:' || d.id, jsonb_build_object('dispute_id', d.id), now(), 20
  );
  return d.order_id;
end;
$$;
comment on function private.run_accept_dispute(jsonb) is
  'Carries out accept_dispute: queues the job that closes it at Stripe, once. SHINV: no such dispute, it '
  'does not wait for an answer, or evidence is on its way.';

create function public.submit_dispute_evidence(
  p_dispute_id text,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'submit_dispute_evidence',
    jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.submit_dispute_evidence(text, text, boolean, uuid) is
  'Sends the evidence assembled from the order, and the note, to the bank. Final: Stripe takes evidence '
  'once. Staff only.';
grant execute on function public.submit_dispute_evidence(
  text, text, boolean, uuid
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
