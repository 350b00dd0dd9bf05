import type { Mutant } from "./mutant.ts";

const settlement = (...names: string[]) => names.map((name) => `tests/db/settlement/${name}.test.ts`);
const checkout = (...names: string[]) => names.map((name) => `tests/db/checkout/${name}.test.ts`);
const velocity = checkout("velocity", "velocity_pages", "held_stock", "velocity_crowds");

/** Faults of abuse protection, privacy and safety that were there once, brought back. */
export const abuseFaults: Mutant[] = [
  {
    name: "abuse: a page that was opened again is immune after the first hit",
    file: "supabase/schemas/velocity/velocity_after_checkout.sql",
    find: "continue when v_hit is null;",
    replace: "continue when v_hit is null or exists (select 1 from public.fraud_signals f " +
      "where f.order_id = o.id and f.kind = 'velocity' and f.data ->> 'rule' = (v_rule.rule).name);",
    tests: checkout("velocity_pages"),
  },
  {
    name: "abuse: the link of a mail leads past the rules",
    file: "supabase/schemas/checkout/checkout.sql",
    find: "    p_velocity_mode, v_user_id, o.email, coalesce(",
    replace: "    'off', v_user_id, o.email, coalesce(",
    tests: checkout("velocity_pages", "attempts"),
  },
  {
    name: "abuse: two addresses close the shop to every guest",
    file: "supabase/schemas/velocity/velocity.sql",
    find: "case p_mode when 'enforce' then (v_rule.rule).action else 'allow' end",
    replace: "case when p_mode <> 'enforce' then 'allow' when (v_rule.rule).subject = 'shop' then 'block' " +
      "else (v_rule.rule).action end",
    tests: velocity,
  },
  {
    name: "abuse: honest guests' pages are ended with those of testers",
    file: "supabase/schemas/velocity/velocity_after_checkout.sql",
    find: "where p_rule.action = 'block'\n",
    replace: "where true\n",
    tests: checkout("velocity_pages"),
  },
  {
    name: "abuse: one guest takes the whole stock off sale",
    file: "supabase/schemas/velocity/velocity_bounds.sql",
    find: "where r.enabled and case\n    when r.measure = 'outages' then false",
    replace: "where r.enabled and case\n    when r.measure = 'outages' or r.measure like 'held%' then false",
    tests: checkout("held_stock"),
  },
  {
    name: "abuse: every IPv6 address of a connection is a network of its own",
    file: "supabase/schemas/velocity/velocity_rules.sql",
    find: "(values (64, 1), (56, 1.5), (48, 3)) w (prefix, factor)",
    replace: "(values (128, 1)) w (prefix, factor)",
    tests: [...checkout("velocity", "velocity_crowds", "held_stock"), "tests/db/rls_functions.test.ts"],
  },
  {
    name: "abuse: a guest without an address is shown the page of one with the same key",
    file: "supabase/schemas/checkout/checkout.sql",
    find: "and lower(o.email) is distinct from lower(p_email))",
    replace: "and lower(o.email) <> lower(p_email))",
    tests: checkout("idempotency"),
  },
  {
    name: "abuse: Turnstile's no with another status than 200 lets pass",
    file: "supabase/functions/create-checkout-session/turnstile.ts",
    find: "    const verdict = verdictOf(",
    replace: `    if (!response.ok) throw new Error("no verdict");\n    const verdict = verdictOf(`,
    tests: ["tests/integration/checkout/turnstile.test.ts"],
  },
  {
    name: "abuse: Stripe is asked about session ids that somebody made up",
    file: "supabase/functions/order-status/handler.ts",
    find: `if (!isOfStripe(sessionId, deps.env)) throw new AppError("order_not_found");`,
    replace: "",
    tests: ["tests/unit/order_status.test.ts"],
  },
  {
    name: "abuse: a mail scanner opens an order again",
    file: "supabase/functions/resume-checkout/handler.ts",
    find: "return redirect(await look(orderId, token, bound, deadline));",
    replace: "return redirect(await reopen(orderId, address, bound, deadline));",
    tests: ["tests/integration/checkout/resume.test.ts"],
  },
  {
    name: "abuse: the body of a caller that is shut out is read",
    file: "supabase/functions/stripe-webhook/handler.ts",
    find: `      refuseBlocked(caller, mayBeSigned(signature, deps.now()), deps);
      refuseUnlisted(caller, deps);
      const body = await readBody(request, bodyLimitBytes);`,
    replace: `      const body = await readBody(request, bodyLimitBytes);
      refuseBlocked(caller, mayBeSigned(signature, deps.now()), deps);
      refuseUnlisted(caller, deps);`,
    tests: ["tests/unit/stripe_webhook_door.test.ts"],
  },
  {
    name: "abuse: ten bad requests of an address shut authentic events out",
    file: "supabase/functions/stripe-webhook/handler.ts",
    find: "(signed && !isRefused(caller, deps))",
    replace: "(signed && false)",
    tests: ["tests/integration/webhook/flood.test.ts"],
  },
  {
    name: "abuse: names of unknown fields are sent back at length",
    file: "supabase/functions/_shared/http/valid_body.ts",
    find: "return characters.length <= nameLength ? name",
    replace: "return name.length > 0 ? name",
    tests: ["tests/unit/create_checkout_input.test.ts"],
  },
  {
    name: "abuse: anybody says which address a request comes from",
    file: "supabase/functions/_shared/http/client_ip.ts",
    find: "if (!bySecretKey) return clientAddress(headers);",
    replace: "",
    tests: ["tests/unit/client_ip.test.ts"],
  },
  {
    name: "privacy: whoever signs up with an address gets its guest orders",
    file: "supabase/schemas/orders/account_orders.sql",
    find: "new.confirmation_sent_at <= new.email_confirmed_at or private.is_vouched_for(new.id, new.email)",
    replace: "true",
    tests: checkout("accounts"),
  },
  {
    name: "privacy: what comes after an erasure brings the person back",
    file: "supabase/schemas/facts/facts_after_payment.sql",
    find: "if not private.is_erased(p_fact, p_order_id) then",
    replace: "if true then",
    tests: settlement("erasure"),
  },
  {
    name: "privacy: an erasure leaves the fingerprints of cards",
    file: "supabase/schemas/operations/erasure.sql",
    find: "set card_fingerprint = null, receipt_url = null,",
    replace: "set receipt_url = null,",
    tests: settlement("erasure", "erase_customer"),
  },
  {
    name: "privacy: an erasure takes the evidence of an open dispute",
    file: "supabase/schemas/operations/erasure.sql",
    find: "perform private.refuse_disputed(s.order_ids);",
    replace: "",
    tests: settlement("erase_customer"),
  },
  {
    name: "privacy: orders that nobody paid keep personal data for ever",
    file: "supabase/schemas/operations/erasure.sql",
    find: "where o.paid_at is null and o.erased_at is null and o.status",
    replace: "where false and o.status",
    tests: settlement("erasure"),
  },
  {
    name: "privacy: customers of the account who never bought here are kept",
    file: "supabase/schemas/facts/apply_facts.sql",
    find: "continue when not exists (select 1 from private.stripe_customers c where c.id = v_fact ->> 'id');",
    replace: "continue when false;",
    tests: settlement("erasure"),
  },
  {
    name: "privacy: client secrets are stored with events",
    file: "supabase/schemas/facts/stripe_events.sql",
    find: "if (p_payload #> v_path) ?| c_secret then",
    replace: "if false then",
    tests: settlement("erasure"),
  },
  {
    name: "privacy: shoppers count what the shop has and sells",
    file: "supabase/schemas/inventory/inventory.sql",
    find: "return least(greatest(coalesce(p_pieces, 0), 0), (private.setting('stock_shown_max'))::integer);",
    replace: "return greatest(coalesce(p_pieces, 0), 0);",
    tests: ["tests/db/rls.test.ts"],
  },
  {
    name: "privacy: a name that is a link is one in our mails",
    file: "supabase/functions/_shared/text/outside_text.ts",
    find: "  return oneLine(broken, max);",
    replace: "  void broken;\n  return oneLine(text, max);",
    tests: ["tests/unit/outside_text.test.ts"],
  },
  {
    name: "privacy: a card number in a name is stored",
    file: "supabase/functions/_shared/database/storable.ts",
    find: "return maskCardNumbers(wellFormed(value)) as T;",
    replace: "return wellFormed(value) as T;",
    tests: ["tests/unit/card_numbers.test.ts"],
  },
  {
    name: "safety: events that were fetched count as delivered, so a dead endpoint looks well",
    file: "supabase/schemas/facts/stripe_events.sql",
    find: `    e.delivery_count := p_delivered::integer;
    e.delivered_at := case when p_delivered then now() end;`,
    replace: `    e.delivery_count := 1;
    e.delivered_at := now();`,
    tests: ["tests/db/jobs/deliveries.test.ts"],
  },
  {
    name: "safety: nobody hears of an endpoint that Stripe has disabled",
    file: "supabase/schemas/operations/deliveries.sql",
    find: "s.state in ('disabled', 'missing') and s.endpoint_id is not null",
    replace: "s.state in ('missing') and s.endpoint_id is not null",
    tests: ["tests/db/jobs/deliveries.test.ts"],
  },
  {
    name: "safety: a command with an odd argument stops its order from settling",
    file: "supabase/schemas/staff/staff_commands.sql",
    find: "elsif jsonb_typeof(a.value) <> (",
    replace: "elsif 'none' = (",
    tests: settlement("command_arguments"),
  },
  {
    name: "safety: the log of staff takes the name that a row claims",
    file: "supabase/schemas/staff/staff_commands.sql",
    find: "  new.actor := coalesce(\n",
    replace: "  new.actor := coalesce(\n    new.actor,\n",
    tests: settlement("staff_commands"),
  },
  {
    name: "safety: production asks over plain http",
    file: "supabase/functions/_shared/env.ts",
    find: "production && addresses.some(",
    replace: "false && addresses.some(",
    tests: ["tests/unit/env.test.ts"],
  },
  {
    name: "safety: a worker of another environment opens staff's data without a second factor",
    file: "supabase/schemas/operations/periodic.sql",
    find: `  set value = 'true', updated_at = now()
  where key = 'admin_require_mfa' and p_settings -> key = 'true' and value <> 'true';`,
    replace: `  set value = p_settings -> key, updated_at = now()
  where key = 'admin_require_mfa' and p_settings ? key;`,
    tests: ["tests/db/jobs/periodic.test.ts", "tests/db/rls.test.ts"],
  },
  {
    name: "safety: a token of another project signs in",
    file: "supabase/functions/_shared/auth/caller.ts",
    find: "    audience: signedInRole,\n    issuer: env.authIssuer,\n",
    replace: "",
    tests: ["tests/unit/auth.test.ts"],
  },
  {
    name: "safety: a page of any site reads the offline stack under a name of its own",
    file: "scripts/local/gateway/server.ts",
    find: "if (!namesThisMachine(request)) {",
    replace: "if (false) {",
    tests: ["tests/local/strangers.test.ts"],
  },
];
