-- measure_velocity(): whether a rule is hit.

create function private.measure_velocity(
  p_rule private.velocity_rules,
  p_key text,
  p_amount bigint,
  p_currency text,
  p_livemode boolean, p_at timestamptz,
  p_order_id uuid default null,
  p_lines jsonb default '[]',
  p_factor numeric default 1
) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_since timestamptz := p_at - make_interval(secs => p_rule.window_seconds);
  -- Attempts carry Stripe's clock, which is not quite ours.
  v_until timestamptz := p_at + interval '1 minute';
  v_threshold bigint := ceil(p_rule.threshold * p_factor);
  v_value bigint;
  v_times timestamptz[];
  -- What the rule lets go with, once it has left the window.
  v_oldest timestamptz;
  v_free_at timestamptz;
begin
  case p_rule.measure
    when 'disposable_email' then
      v_value := private.is_disposable(p_key)::integer;
    when 'amount' then
      select w.o_value, w.o_oldest into v_value, v_oldest
      from private.measure_amount(
        p_rule, p_key, private.worth_of_cart(p_rule.currency, p_amount, p_currency, p_lines, p_order_id),
        v_threshold, p_livemode, v_since, p_at, p_order_id
      ) w;
    when 'unpaid_checkouts', 'emails', 'declines', 'cards' then
      v_times := private.measured_times(p_rule, p_key, p_livemode, v_since, p_at, p_order_id);
      v_value := cardinality(v_times);
    when 'declined_orders' then
      select w.o_value, w.o_oldest into v_value, v_oldest
      from private.weigh_refusals(p_rule, p_key, v_threshold, p_livemode, v_since, v_until) w;
    when 'outages' then
      v_value := private.count_outages(p_rule, p_livemode, v_since, v_until);
    when 'held_pieces', 'held_share' then
      select h.o_value, h.o_until into v_value, v_free_at
      from private.measure_holds(p_rule, p_key, p_lines, p_order_id) h;
  end case;
  if coalesce(v_value, 0) < v_threshold then
    return null;
  end if;
  v_oldest := coalesce(v_oldest, v_times[v_value - v_threshold + 1], p_at);
  v_free_at := coalesce(v_free_at, v_oldest + make_interval(secs => p_rule.window_seconds));
  return jsonb_build_object(
    'rule', p_rule.name, 'rule_action', p_rule.action, 'subject', p_rule.subject, 'measure', p_rule.measure,
    'value', v_value, 'threshold', v_threshold, 'window_seconds', p_rule.window_seconds,
    'alert', coalesce(p_rule.alert, case p_rule.action when 'block' then 'critical' end),
    -- The subject itself is personal data: a keyed digest is enough to see that two hits are of one.
    'subject_digest', left(private.keyed_digest(p_key), 16),
    -- When enough has left the window for the rule to let go; all of it where this cart is enough by itself.
    'retry_after_seconds', greatest(1, ceil(extract(epoch from v_free_at - p_at))::integer)
  );
end;
$$;
comment on function private.measure_velocity(
  private.velocity_rules, text, bigint, text, boolean, timestamptz, uuid, jsonb, numeric
) is
  'A hit of a rule by a subject up to p_at, or null. p_amount, p_currency and p_lines: the cart that asks; '
  'p_order_id: the order that asks, which does not count against itself; p_factor: what the threshold is '
  'multiplied with. retry_after_seconds: until the rule lets go.';
