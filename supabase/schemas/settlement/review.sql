-- What of an order a person should look at: money that does not match, signs of fraud.

create function private.review_reasons(o public.orders, s public.checkout_sessions, p public.payments)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return array_remove(array[
    case when s.metadata_order_id <> o.id or p.metadata_order_id <> o.id then 'order_mismatch' end,
    case when s.currency is distinct from o.currency or p.currency <> o.currency
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded'
          and a.currency is distinct from o.currency
      ) then 'currency_mismatch' end,
    case when s.amount_subtotal is distinct from o.amount_subtotal
      or s.amount_total is distinct from
        s.amount_subtotal - s.amount_discount + s.amount_shipping
        + case when o.prices_include_tax then 0 else s.amount_tax end
      or (s.payment_id is null and s.amount_total <> 0)
      or (s.payment_status = 'no_payment_required' and (s.amount_total <> 0 or s.payment_id is not null))
      or p.amount <> s.amount_total
      or p.amount_received <> s.amount_total
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded'
          and a.amount is distinct from s.amount_total
      ) then 'amount_mismatch' end,
    case when s.livemode <> o.livemode or p.livemode <> o.livemode
      or exists (
        select 1 from public.payment_attempts a
        where a.payment_id = s.payment_id and a.outcome = 'succeeded' and a.livemode <> o.livemode
      ) then 'livemode_mismatch' end,
    case when s.cart_hash is distinct from o.cart_hash then 'cart_mismatch' end,
    case when p.order_id <> o.id then 'payment_of_another_order' end
  ], null);
end;
$$;
comment on function private.review_reasons(public.orders, public.checkout_sessions, public.payments) is
  'Compares the kept session and payment with the frozen order. Empty: the money is right. Shipping, tax '
  'and discount are accepted as Stripe computed them, as long as the sum holds.';

create function private.unreleased_mismatches(p_order_id uuid, p_session_id text, p_reasons text[])
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return case when p_reasons = '{}' then '{}' else (
    select coalesce(array_agg(x.reason order by x.position), '{}')
    from unnest(p_reasons) with ordinality as x (reason, position)
    where not exists (
      select 1 from private.released_mismatches m
      where m.order_id = p_order_id and m.session_id = p_session_id and m.reason = x.reason
    )
  ) end;
end;
$$;
comment on function private.unreleased_mismatches(uuid, text, text[]) is
  'What of review_reasons() nobody has released: another reason, or the same one in the money of another '
  'session, is news.';

create function private.holds_order(f public.fraud_signals) returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return f.released_at is null and case f.kind
    when 'early_fraud_warning' then f.was_actionable
    when 'review' then f.open
    else f.open and f.data ->> 'action' = 'review'
  end;
end;
$$;
comment on function private.holds_order(public.fraud_signals) is
  'Whether a sign of fraud holds its order: an early fraud warning, an open Radar review, a velocity rule '
  'with action review, that staff have not released.';

create function private.fraud_reasons(p_order_id uuid) returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(array_agg(distinct
      case f.kind
        when 'early_fraud_warning' then 'early_fraud_warning'
        when 'review' then 'radar_review'
        else 'velocity_review'
      end
    ), '{}')
    from public.fraud_signals f
    where f.order_id = p_order_id and private.holds_order(f)
  );
end;
$$;
comment on function private.fraud_reasons(uuid) is 'Fraud holds of an order: see holds_order().';
