-- What shoppers have agreed to on the payment page: the terms, in which version, and promotional mails.

insert into private.settings (key, value, description) values
  (
    'terms_version', 'null',
    'Version of the terms that shoppers accept from now on, say "2026-03"; null: none is noted.'
  );

create table private.terms_texts (
  version text not null,
  refund_policy text,
  cancellation_policy text,
  created_at timestamptz not null default now(),
  constraint terms_texts_pkey primary key (version),
  constraint terms_texts_has_text check (coalesce(refund_policy, cancellation_policy) is not null),
  constraint terms_texts_refund_fits check (char_length(refund_policy) between 1 and 40000),
  constraint terms_texts_cancellation_fits check (char_length(cancellation_policy) between 1 and 40000)
);
comment on table private.terms_texts is
  'What the terms of a version say of refunds and cancellations, word for word: shown to the bank when an '
  'order that was placed under them is disputed. Some twelve pages each at most.';
alter table private.terms_texts enable row level security;
revoke all on private.terms_texts from public, anon, authenticated, service_role;

create function private.keep_terms_text() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if exists (select 1 from public.order_terms t where t.version = old.version) then
    raise exception 'orders were placed under the terms %, whose text stays as it is', old.version
      using errcode = 'SHINV', hint = 'Insert the new text under a new version, and set terms_version to it.';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end;
$$;
comment on function private.keep_terms_text() is
  'Trigger of terms_texts. SHINV: the text was in force when orders were placed, and is evidence.';

create trigger keep_terms_text before update or delete on private.terms_texts
  for each row execute function private.keep_terms_text();

create table public.order_terms (
  order_id uuid not null references public.orders (id) on delete cascade,
  attempt integer not null,
  version text not null,
  constraint order_terms_pkey primary key (order_id, attempt)
);
create index order_terms_version_idx on public.order_terms (version);
comment on table public.order_terms is
  'The version of the terms that was in force when an attempt of an order began, and so on its payment page.';
alter table public.order_terms enable row level security;
create policy order_terms_read on public.order_terms for select to authenticated
  using ((select private.is_admin()));
revoke all on public.order_terms from public, anon, authenticated, service_role;
grant select on public.order_terms to authenticated, service_role;

create function private.note_terms() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_version constant text := private.setting('terms_version') #>> '{}';
begin
  if v_version is not null then
    insert into public.order_terms (order_id, attempt, version) values (new.id, new.attempt, v_version);
  end if;
  return null;
end;
$$;
comment on function private.note_terms() is
  'Trigger of orders: notes the terms of each attempt as it begins; the setting may change before it is '
  'paid.';

create trigger note_terms_of_first after insert on public.orders
  for each row execute function private.note_terms();
create trigger note_terms_of_next after update of attempt on public.orders
  for each row when (old.attempt is distinct from new.attempt) execute function private.note_terms();

create view public.order_consents with (security_invoker = true) as
select s.order_id, s.id as session_id, s.completed_at as given_at, s.terms_consent,
  case when s.terms_consent is not null then t.version end as terms_version, s.promotions_consent
from public.checkout_sessions s
-- A page that Stripe has recovered knows no attempt: it shows the terms of the one it came from.
left join public.checkout_sessions f on f.id = s.recovered_from
left join public.order_terms t on t.order_id = s.order_id and t.attempt = coalesce(s.attempt, f.attempt)
where s.status = 'complete' and (s.terms_consent is not null or s.promotions_consent is not null);
comment on view public.order_consents is
  'What was agreed to with each order, and when: terms_consent (accepted) with the version of the terms, and '
  'promotions_consent (opt_in, opt_out). An erasure takes the latter.';
revoke all on public.order_consents from public, anon, authenticated, service_role;
grant select on public.order_consents to authenticated, service_role;

create function private.accepted_terms(p_order_id uuid) returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'version', c.terms_version, 'accepted_at', c.given_at,
    'refund_policy', t.refund_policy, 'cancellation_policy', t.cancellation_policy
  )
  from public.order_consents c
  left join private.terms_texts t on t.version = c.terms_version
  where c.order_id = p_order_id and c.terms_consent = 'accepted' and c.given_at is not null
  order by c.given_at limit 1
$$;
comment on function private.accepted_terms(uuid) is
  'The terms that were accepted with an order first, with the texts of that version where they are kept; '
  'null: nothing was asked.';
