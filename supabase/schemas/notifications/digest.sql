-- The day in one message to staff.

insert into private.settings (key, value, description) values
  (
    'digest_hour', '7',
    'Hour of the day, in the shop''s time zone, from which staff are sent the digest of the day before; '
    'null: never.'
  );
alter table private.settings
  add constraint settings_digest_hour_fits
    check (key <> 'digest_hour' or value = 'null' or value #>> '{}' ~ '^([0-9]|1[0-9]|2[0-3])$');

create function private.queue_digest(p_now timestamptz default now()) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_local constant timestamp := p_now at time zone (private.setting('shop_time_zone') #>> '{}');
begin
  if coalesce(extract(hour from v_local) < (private.setting('digest_hour') #>> '{}')::integer, true) then
    return false;
  end if;
  return private.enqueue_job(
    'send_digest', 'send_digest:' || v_local::date, jsonb_build_object('day', v_local::date - 1), now(), 150
  );
end;
$$;
comment on function private.queue_digest(timestamptz) is
  'Queues the digest of the day before once a day, from digest_hour on. Returns whether it did.';

create function private.digest_money(p_day date, p_livemode boolean, out sales jsonb, out refunds jsonb)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_zone constant text := private.setting('shop_time_zone') #>> '{}';
  v_from constant timestamptz := p_day::timestamp at time zone v_zone;
  v_until constant timestamptz := (p_day + 1)::timestamp at time zone v_zone;
begin
  sales := (
    select coalesce(jsonb_agg(to_jsonb(x) order by x.currency), '[]') from (
      select o.currency, count(*) as count, sum(o.amount_paid)::bigint as amount
      from public.orders o where o.livemode = p_livemode and o.paid_at >= v_from and o.paid_at < v_until
      group by o.currency
    ) x
  );
  refunds := (
    select coalesce(jsonb_agg(to_jsonb(x) order by x.currency), '[]') from (
      select r.currency, count(*) as count, sum(r.amount)::bigint as amount
      from public.refunds r join public.payments p on p.id = r.payment_id
      where p.livemode = p_livemode and r.succeeded_at >= v_from and r.succeeded_at < v_until
      group by r.currency
    ) x
  );
end;
$$;
comment on function private.digest_money(date, boolean) is
  'Orders paid and refunds that succeeded on a day in the shop''s time zone, in one mode: [{ currency, '
  'count, amount }], amounts in minor units.';

create function public.get_digest(p_day date, p_livemode boolean) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  c_known_within constant interval := '30 days';
  v_zone constant text := private.setting('shop_time_zone') #>> '{}';
  -- A day has 23 or 25 hours where the clocks change.
  v_from constant timestamptz := p_day::timestamp at time zone v_zone;
  v_until constant timestamptz := (p_day + 1)::timestamp at time zone v_zone;
begin
  return to_jsonb(private.digest_money(p_day, p_livemode)) || jsonb_build_object(
    'day', p_day,
    'to_ship', (
      select count(*) from public.orders o
      where o.fulfillment_status = 'unfulfilled' and o.status in ('paid', 'partially_refunded')
        and o.livemode = p_livemode
    ),
    'attention', (
      select coalesce(jsonb_object_agg(x.reason, x.orders), '{}') from (
        select reason, count(*) as orders
        from reporting.orders_needing_attention a, unnest(a.reasons) reason
        where a.livemode = p_livemode
        group by reason
      ) x
    ),
    'disputes', (
      select coalesce(jsonb_agg(to_jsonb(x) order by x.evidence_due_by), '[]') from (
        select d.order_number, d.amount, d.currency, d.evidence_due_by
        from reporting.disputes_due d
        where d.livemode = p_livemode and d.evidence_due_by < v_until + interval '7 days'
      ) x
    ),
    'alerts', (
      select coalesce(jsonb_object_agg(x.kind, x.alerts), '{}') from (
        select a.kind, count(*) as alerts from public.alerts a where a.status <> 'resolved' group by a.kind
      ) x
    ),
    'mails_failed', (
      -- By the day on which it was known: a server that is full gives a mail back days later.
      select count(*) from public.notifications n join public.orders o on o.id = n.order_id
      where o.livemode = p_livemode and n.status in ('failed', 'bounced', 'complained')
        and n.created_at >= v_from - c_known_within and n.created_at < v_until
        and exists (
          select 1 from public.order_events e
          where e.order_id = n.order_id and e.data ->> 'notification_id' = n.id::text
            and e.kind in ('mail_failed', 'mail_bounced', 'mail_complained')
            and e.created_at >= v_from and e.created_at < v_until
        )
    ),
    'shop', private.shop()
  );
end;
$$;
comment on function public.get_digest(date, boolean) is
  'The day as staff are told of it, without what was tried out in the other mode: { day, sales, refunds, '
  'to_ship, attention: orders by reason, disputes whose deadline is within seven days, alerts: open ones by '
  'kind, mails_failed, shop }.';
grant execute on function public.get_digest(date, boolean) to service_role;
