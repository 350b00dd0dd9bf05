-- What the page of an order asks.

create function public.get_order_status(p_session_id text default null, p_order_id uuid default null)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  s public.checkout_sessions;
  o public.orders;
begin
  if p_order_id is null then
    select * into s from public.checkout_sessions where id = p_session_id;
    select * into o from public.orders where id = s.order_id;
  else
    select * into o from public.orders where id = p_order_id;
    select * into s from public.checkout_sessions x where x.order_id = p_order_id
    -- The one that was paid, else the newest.
    order by coalesce(x.id = o.session_id, false) desc, x.attempt desc nulls last, x.id collate "C" limit 1;
  end if;
  if o.id is null then
    return null;
  end if;
  return private.order_page(o) || jsonb_build_object(
    'live_topic', private.live_topic(o.id),
    'order_id', o.id,
    'session_id', s.id,
    -- An order that is cancelled, or paid through another page, says nothing of a page that is open for all
    -- we know: it may just have been paid.
    'settled', s.id is null or (o.status not in ('pending', 'processing') and s.status <> 'open')
      or s.status = 'expired'
  );
end;
$$;
comment on function public.get_order_status(text, uuid) is
  'What the page of an order shows, found by one of its sessions or by its id; no personal data. live_topic: '
  'the Realtime topic that says when to ask again. settled false: Stripe may know more of session_id, ask '
  'it. Null: no such session or order.';
grant execute on function public.get_order_status(text, uuid) to service_role;
