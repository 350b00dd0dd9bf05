-- Disputes that nobody answers are answered all the same: fought, accepted or left alone, by these settings
-- and not before the last hours, so that staff have all the time there is. A dispute can want an answer up to
-- three times (an inquiry, the chargeback, an appeal); each such round is a status of Stripe's and has one
-- decision. What becomes of it at Stripe is the job answer_dispute.

alter table private.settings
  add constraint settings_dispute_fits check (
    case key
      when 'dispute_answer_hours' then
        value = 'null' or (jsonb_typeof(value) = 'number' and value #>> '{}' ~ '^[1-9][0-9]{0,2}$')
      when 'dispute_accept_below' then
        jsonb_typeof(value) = 'object' and not jsonb_path_exists(
          value,
          '$.keyvalue() ? (!(@.key like_regex "^[a-z]{3}$") || @.value.type() != "number" || @.value < 0)'
        )
      when 'dispute_win_percent' then
        jsonb_typeof(value) = 'object' and not jsonb_path_exists(
          value,
          '$.keyvalue() ? (!(@.key like_regex "^[a-z_]{1,60}$") || @.value.type() != "number"
            || @.value < 0 || @.value > 100)'
        )
      else true
    end
  );

insert into private.settings (key, value, description) values
  (
    'dispute_answer_hours', '48',
    'So many hours before its deadline a dispute is answered that staff have not answered; null: never.'
  ),
  (
    'dispute_accept_below', '{}',
    'Disputes of less than so much are accepted instead of fought, by currency in minor units: '
    '{"usd": 2500}. The amount counts by its chance, see dispute_win_percent. Inquiries are always answered.'
  ),
  (
    'dispute_win_percent', '{}',
    'Of 100 disputes of a reason so many are won: {"fraudulent": 30, "product_not_received": 70}. A reason '
    'that is not named counts as 100, so that its amount alone decides.'
  );

create table public.dispute_decisions (
  dispute_id text not null references public.disputes (id) on delete cascade,
  round text not null,
  decision text not null,
  reason text not null,
  submissions integer not null,
  created_at timestamptz not null default now(),
  constraint dispute_decisions_pkey primary key (dispute_id, round),
  constraint dispute_decisions_decision_known check (decision in ('fight', 'accept', 'leave')),
  constraint dispute_decisions_reason_known
    check (reason in ('policy', 'below_limit', 'written', 'staff', 'fee', 'no_field'))
);
comment on table public.dispute_decisions is
  'What was decided about a dispute that staff had not answered, once for each round. What staff submit or '
  'accept themselves is in staff_commands.';
comment on column public.dispute_decisions.dispute_id is 'disputes.id.';
comment on column public.dispute_decisions.round is
  'The status that waited for the answer: warning_needs_response, needs_response, appeal_needs_response.';
comment on column public.dispute_decisions.decision is
  'fight: evidence is submitted; accept: the dispute is closed; leave: nothing is done.';
comment on column public.dispute_decisions.reason is
  'Why: policy (the settings), below_limit (worth less than dispute_accept_below), written (somebody has '
  'written evidence at Stripe), staff (leave_dispute()), fee (fighting costs one, which only staff '
  'acknowledge), no_field (Stripe takes no evidence in this round: of an appeal of another payment than by '
  'card, of an inquiry of Klarna''s).';
comment on column public.dispute_decisions.submissions is
  'How often evidence had been submitted when it was decided: more means that it has been answered.';
comment on column public.dispute_decisions.created_at is 'When it was decided.';
alter table public.dispute_decisions enable row level security;
create policy dispute_decisions_read on public.dispute_decisions for select to authenticated
  using ((select private.is_admin()));
revoke all on public.dispute_decisions from public, anon, authenticated, service_role;
grant select on public.dispute_decisions to authenticated, service_role;

create function private.queue_dispute_answers(d public.disputes) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.enqueue_job(
    'answer_dispute', 'answer_dispute:' || d.id || ':' || s.status,
    jsonb_build_object('dispute_id', d.id, 'round', s.status), now(), 20
  )
  from unnest(d.statuses_seen) s (status)
  where s.status in ('warning_needs_response', 'needs_response', 'appeal_needs_response');
end;
$$;
comment on function private.queue_dispute_answers(public.disputes) is
  'One job for each round that a dispute was ever seen in; it waits until the deadline is near. Called by '
  'settle_order() only.';

create function private.dispute_answer_on_its_way(p_dispute_id text) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select 1 from private.jobs j
    where j.status in ('queued', 'running') and j.payload ->> 'dispute_id' = p_dispute_id
      and (
        j.kind = 'close_dispute'
        or (j.kind = 'submit_dispute_evidence' and j.payload -> 'submit' = 'true')
      )
  );
end;
$$;
comment on function private.dispute_answer_on_its_way(text) is
  'Whether staff have submitted evidence or accepted a dispute, and the job has not done it yet.';

create function private.dispute_policy(d public.disputes, p_written boolean, p_obstacle text)
returns table (decision text, reason text)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_limit constant numeric := (private.setting('dispute_accept_below') ->> d.currency)::numeric;
  v_percent constant numeric := coalesce((private.setting('dispute_win_percent') ->> d.reason)::numeric, 100);
begin
  return query select x.decision, x.reason from (values
    (1, p_obstacle is not null, 'leave', p_obstacle),
    -- Somebody meant to fight, and was kept from finishing.
    (2, p_written, 'fight', 'written'),
    -- An answered inquiry costs nothing, and may keep the chargeback from coming.
    (3, d.status = 'warning_needs_response', 'fight', 'policy'),
    (4, d.amount * v_percent / 100 < v_limit, 'accept', 'below_limit'),
    (5, true, 'fight', 'policy')
  ) as x (place, applies, decision, reason)
  where x.applies order by x.place limit 1;
end;
$$;
comment on function private.dispute_policy(public.disputes, boolean, text) is
  'What the settings say of a dispute that staff have not answered. p_written: a person has written '
  'evidence at Stripe; p_obstacle: why it cannot be fought without a person (fee, no_field), or null.';

create type public.dispute_action as (action text, run_at timestamptz);
comment on type public.dispute_action is
  'What the job answer_dispute has to do: fight, accept, wait (look again at run_at) or over.';

create function public.decide_dispute(
  p_dispute_id text,
  p_round text,
  p_written boolean default false,
  p_obstacle text default null
) returns public.dispute_action
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_over constant public.dispute_action := row('over', null);
  v_tomorrow constant public.dispute_action := row('wait', now() + interval '1 day');
  v_hours constant integer := (private.setting('dispute_answer_hours') #>> '{}')::integer;
  d public.disputes;
  x public.dispute_decisions;
  v_at timestamptz;
begin
  perform private.lock_order(i.order_id) from public.disputes i
  where i.id = p_dispute_id and i.order_id is not null;
  select * into d from public.disputes i where i.id = p_dispute_id for no key update;
  if not found or d.order_id is null or d.status in ('won', 'lost', 'warning_closed', 'prevented')
    or (private.awaits_evidence(d) and d.status <> p_round) then
    return c_over;
  end if;
  select * into x from public.dispute_decisions i where i.dispute_id = d.id and i.round = p_round;
  -- A later round is heard of by looking, should its event be lost.
  if not private.awaits_evidence(d) or x.decision = 'leave'
    or d.evidence_submission_count > x.submissions then
    return v_tomorrow;
  elsif private.dispute_answer_on_its_way(d.id) then
    return row('wait', now() + interval '10 minutes')::public.dispute_action;
  elsif x.decision = 'fight' or (x.decision = 'accept' and not p_written) then
    return row(x.decision, null)::public.dispute_action;
  end if;
  v_at := d.evidence_due_by - make_interval(hours => v_hours);
  if v_at is null or v_at > now() then
    return row('wait', least(v_at, v_tomorrow.run_at))::public.dispute_action;
  end if;
  insert into public.dispute_decisions (dispute_id, round, decision, reason, submissions)
  select d.id, p_round, p.decision, p.reason, d.evidence_submission_count
  from private.dispute_policy(d, p_written, p_obstacle) p
  on conflict on constraint dispute_decisions_pkey do update
    set decision = excluded.decision, reason = excluded.reason, created_at = now()
  returning * into x;
  perform private.record_order_event(
    d.order_id, 'dispute_decided', 'job', to_jsonb(x) - '{created_at,submissions}'::text[]
  );
  return case x.decision when 'leave' then v_tomorrow else row(x.decision, null)::public.dispute_action end;
end;
$$;
comment on function public.decide_dispute(text, text, boolean, text) is
  'Decides about a dispute whose deadline is near and which nobody has answered, once for each round '
  '(p_round: the status), and notes it. The same again for whoever asks again, except that what was to be '
  'accepted is fought once somebody has written evidence at Stripe (p_written). p_obstacle: fee or '
  'no_field, see dispute_decisions.reason.';
grant execute on function public.decide_dispute(text, text, boolean, text) to service_role;
