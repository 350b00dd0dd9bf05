-- Addresses that get no mail, or no reminders. Kept as digests: whoever was erased stays unsubscribed.

create table public.mail_suppressions (
  email_hmac text not null,
  reason text not null,
  created_at timestamptz not null default now(),
  constraint mail_suppressions_pkey primary key (email_hmac, reason),
  constraint mail_suppressions_reason_known check (reason in ('unsubscribed', 'complained', 'bounced'))
);
comment on table public.mail_suppressions is
  'Addresses under private.email_hmac(). unsubscribed, complained (somebody called a mail spam): no '
  'reminders. bounced (the address does not exist): nothing but what the law needs, see '
  'private.mail_owed_by_law(). Outlives erasure.';
alter table public.mail_suppressions enable row level security;
create policy mail_suppressions_read on public.mail_suppressions for select to authenticated
  using ((select private.is_admin()));
revoke all on public.mail_suppressions from public, anon, authenticated, service_role;
grant select on public.mail_suppressions to authenticated, service_role;

create function private.email_hmac(p_email text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return private.keyed_digest('mail:' || lower(btrim(p_email)));
end;
$$;
comment on function private.email_hmac(text) is
  'What an address is known by in mail_suppressions: its HMAC under this database''s own key. The key is not '
  'rotated, since that would lift every suppression. Case and spaces around do not count; null for null.';

create function private.reminders_unsubscribed(p_email text) returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (select 1 from public.mail_suppressions s where s.email_hmac = private.email_hmac(p_email))
$$;
comment on function private.reminders_unsubscribed(text) is
  'Whether an address must get no reminders: it unsubscribed, complained, or does not exist. Mails that an '
  'order needs do not ask.';

create function private.address_bounced(p_email text) returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select 1 from public.mail_suppressions s
    where s.email_hmac = private.email_hmac(p_email) and s.reason = 'bounced'
  )
$$;
comment on function private.address_bounced(text) is
  'Whether a mail server has said for good that it does not take mail for an address.';

create function private.is_reminder(p_template text) returns boolean
language sql
immutable
set search_path = ''
as $$
  select p_template in ('payment_declined', 'payment_reminder')
$$;
comment on function private.is_reminder(text) is
  'Whether a mail asks to buy: it carries a link to unsubscribe, and goes to nobody who did. All others are '
  'about what the customer has bought.';

create function private.mail_owed_by_law(p_template text) returns boolean
language sql
immutable
set search_path = ''
as $$
  select p_template in ('order_confirmation', 'order_cancelled', 'order_unfulfillable')
$$;
comment on function private.mail_owed_by_law(text) is
  'Whether the law wants a mail sent even to an address that has bounced: the contract on a durable medium '
  '(directive 2011/83/EU, article 8(7)), and that the goods will not come (article 18).';

create function private.mail_suppression(p_template text, p_email text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when private.address_bounced(p_email) and not private.mail_owed_by_law(p_template)
      then 'mail to this address came back for good'
    when private.is_reminder(p_template) and private.reminders_unsubscribed(p_email)
      then 'this address gets no reminders'
  end;
end;
$$;
comment on function private.mail_suppression(text, text) is
  'Why a mail must not go to an address, or null.';

create function public.unsubscribe_reminders(p_email_hmac text) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into public.mail_suppressions (email_hmac, reason) values (p_email_hmac, 'unsubscribed')
  on conflict on constraint mail_suppressions_pkey do nothing;
end;
$$;
comment on function public.unsubscribe_reminders(text) is
  'Ends reminders for the address with this private.email_hmac(). A second time changes nothing.';
grant execute on function public.unsubscribe_reminders(text) to service_role;
