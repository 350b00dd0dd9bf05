-- What shoppers have agreed to on the payment page: the terms, in which version, and promotional mails.

insert into private.settings (key, value, description) values
  (
    'terms_version', 'null',
    'Version of the terms that shoppers accept from now on, say "2026-03"; null: none is noted.'
  );

create table public.order_terms (
  order_id uuid not null references public.orders (id) on delete cascade,
  attempt integer not null,
  version text not null,
  constraint order_terms_pkey primary key (order_id, attempt)
);
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
