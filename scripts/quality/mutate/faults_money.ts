import type { Mutant } from "./mutant.ts";

const settlement = (...names: string[]) => names.map((name) => `tests/db/settlement/${name}.test.ts`);
const checkout = (...names: string[]) => names.map((name) => `tests/db/checkout/${name}.test.ts`);
const translated = ["tests/unit/stripe_events", "tests/integration/jobs/older_versions.test.ts"];

/** Faults of money, stock and orders that were there once, brought back. */
export const moneyFaults: Mutant[] = [
  {
    name: "money: a refund that was given up and asked for anew is brought back and pays twice",
    file: "supabase/schemas/settlement/refund_rules.sql",
    find: "return case when q.amount is not null then coalesce(",
    replace: "return case when false then coalesce(",
    tests: settlement("refunds_given_up", "refund_requests"),
  },
  {
    name: "money: a refund of all that meets one of a part gives back nothing",
    file: "supabase/schemas/settlement/refund_rules.sql",
    find: "return case when q.amount is not null then coalesce(",
    replace: "return case when true then coalesce(",
    tests: settlement("refunds_given_up", "refund_requests"),
  },
  {
    name: "money: an empty balance is the end of a refund",
    file: "supabase/functions/_shared/jobs/refund_payment.ts",
    find: `if (!passes && (finalCodes.includes(code) || cause === "requested")) return outcome;`,
    replace: "if (Number(now) > 0) return outcome;",
    tests: ["tests/unit/job_outcomes.test.ts", "tests/integration/jobs/effects.test.ts"],
  },
  {
    name: "money: a mail promises a refund that Stripe has not taken",
    file: "supabase/schemas/settlement/settlement_effects.sql",
    find: "if exists (select 1 from public.refunds f where f.payment_id = r.id) then",
    replace: "if true then",
    tests: settlement("late_money", "mail_truth"),
  },
  {
    name: "money: a refund that bounces takes the goods from the shelf again",
    file: "supabase/schemas/settlement/settlement.sql",
    find: "  if o.restocked_at is null and (\n",
    replace: "  o.restocked_at := null;\n  if (\n",
    also: [{
      file: "supabase/schemas/settlement/holds.sql",
      find: "where r.payment_id = o.payment_id and r.succeeded_at is not null and (\n      q.restock",
      replace: "where r.payment_id = o.payment_id and r.status = 'succeeded' and (\n      q.restock",
    }],
    tests: settlement("refund_restock"),
  },
  {
    name: "money: a refund that bounced is not told to the customer",
    file: "supabase/schemas/settlement/settlement_effects.sql",
    find: "perform private.queue_notification(o.id, 'refund_failed', r.id, v_data);",
    replace: "",
    tests: settlement("refunds", "mail_truth", "refund_restock"),
  },
  {
    name: "money: a refund puts goods back that nobody asked to put back",
    file: "supabase/schemas/settlement/holds.sql",
    find: "      q.restock\n      -- A warning stops",
    replace: "      true\n      -- A warning stops",
    tests: settlement("refund_restock"),
  },
  {
    name: "money: today's setting of taxes judges the orders of before",
    file: "supabase/schemas/settlement/review.sql",
    find: "case when o.prices_include_tax then 0",
    replace: "case when (private.setting('prices_include_tax'))::boolean then 0",
    tests: ["tests/integration/checkout/taxes.test.ts"],
  },
  {
    name: "money: kronur and shillings are written a hundred times too large",
    file: "supabase/functions/_shared/stripe/money.ts",
    find: `const withoutDecimals = new Set("bif`,
    replace: `const withoutDecimals = new Set("isk ugx bif`,
    tests: ["tests/unit/money.test.ts"],
  },
  {
    name: "money: goods have a price that Stripe refuses",
    file: "supabase/schemas/catalogue/catalogue.sql",
    find: "elsif p_amount % v_step <> 0 then",
    replace: "elsif false then",
    tests: checkout("amounts"),
  },
  {
    name: "money: a free order that was cancelled reads paid",
    file: "supabase/schemas/settlement/derive_order.sql",
    find: "    when v_nothing_to_ship then 'cancelled'\n",
    replace: "",
    tests: settlement("derive"),
  },
  {
    name: "money: a refund that only charge.refunded tells of is not heard of",
    file: "supabase/functions/_shared/stripe_events/charge.ts",
    find: "if (given <= told && methodTold) return [];",
    replace: "if (methodTold) return [];",
    tests: translated,
  },
  {
    name: "money: the address is lost where an older version has it",
    file: "supabase/functions/_shared/stripe_events/older_shapes.ts",
    find: "?? session.shipping_details ?? session.shipping ??",
    replace: "??",
    tests: translated,
  },
  {
    name: "money: the shopper's currency is taken for the shop's",
    file: "supabase/functions/_shared/stripe_events/older_shapes.ts",
    find: "  if (conversion !== null) {",
    replace: "  if (false) {",
    tests: ["tests/unit/stripe_events"],
  },
  {
    name: "money: an event that comes again in a newer version is a duplicate",
    file: "supabase/schemas/facts/stripe_events.sql",
    find: "or e.payload ? 'erased' or not private.is_newer_version(p_api_version, e.api_version)",
    replace: "or true",
    tests: settlement("versions"),
  },
  {
    name: "money: events of a connected account are believed",
    file: "supabase/functions/_shared/stripe_events/judge.ts",
    find: `if (typeof account === "string" && account !== "") return account !== own;`,
    replace: "",
    tests: ["tests/unit/stripe_webhook.test.ts"],
  },
  {
    name: "orders: an account without an address cannot check out",
    file: "supabase/functions/_shared/text/email_address.ts",
    find: "return parsed.success ? parsed.data : null;",
    replace: "return normalizeEmail(claim);",
    tests: ["tests/unit/auth.test.ts"],
  },
  {
    name: "orders: what Stripe refuses is shown as an outage",
    file: "supabase/functions/_shared/checkout/open_session.ts",
    find: `? new AppError("checkout_refused", { cause: error })`,
    replace: `? new AppError("stripe_unavailable", { cause: error })`,
    tests: ["tests/unit/create_checkout_session_attempts.test.ts"],
  },
  {
    name: "orders: Stripe does not hear that an account's address has changed",
    file: "supabase/functions/_shared/checkout/open_session.ts",
    find: "if (email !== null) await deps.stripe.updateCustomer(id, { email }, deadline.stripeMs());",
    replace: "void email;",
    tests: [
      "tests/unit/create_checkout_session_attempts.test.ts",
      "tests/integration/checkout/customers.test.ts",
    ],
  },
  {
    name: "orders: a cancelled order whose debit fails asks for money",
    file: "supabase/schemas/settlement/derive_order.sql",
    find: `    when f.cancelled then 'cancelled'
    when f.sessions_failed > 0 and v_nothing_will_come then 'payment_failed'`,
    replace: `    when f.sessions_failed > 0 and v_nothing_will_come then 'payment_failed'
    when f.cancelled then 'cancelled'`,
    tests: settlement("derive"),
  },
  {
    name: "orders: an order is reopened by its SKUs, which mean other goods by now",
    file: "supabase/schemas/checkout/checkout.sql",
    find: "jsonb_build_object('variant_id', i.variant_id, 'sku', i.sku, 'quantity', i.quantity)",
    replace:
      "jsonb_build_object('variant_id', (select v.id from public.product_variants v where v.sku = i.sku), " +
      "'sku', i.sku, 'quantity', i.quantity)",
    tests: checkout("renamed_goods"),
  },
  {
    name: "orders: a release lets pass the warning that comes after it",
    file: "supabase/schemas/settlement/review.sql",
    find: "return f.released_at is null and case f.kind",
    replace: "return not exists (select 1 from public.order_risk k where k.order_id = f.order_id " +
      "and k.review_released_at is not null) and case f.kind",
    tests: settlement("fraud_warnings"),
  },
  {
    name: "orders: an alert that retention has removed comes back as news",
    file: "supabase/schemas/notifications/alerts.sql",
    find: `  insert into private.raised_alerts (dedupe_key) values (p_dedupe_key)
  on conflict (dedupe_key) do nothing;
  if not found then`,
    replace: "  if exists (select 1 from public.alerts a where a.dedupe_key = p_dedupe_key) then",
    tests: settlement("disputes"),
  },
  {
    name: "orders: mails are thrown away while the provider refuses the sender",
    file: "supabase/functions/_shared/mail_providers/resend.ts",
    find: `return { kind: "unauthorized", error };`,
    replace: `return { kind: "refused", error };`,
    tests: ["tests/unit/mail_providers.test.ts", "tests/unit/mail_jobs.test.ts"],
  },
  {
    name: "orders: a confirmation promises the goods of a cancelled order",
    file: "supabase/schemas/notifications/alerts.sql",
    find: "and o.fulfillment_status = 'cancelled' then 'the order will not be sent'",
    replace: "and false then 'the order will not be sent'",
    tests: settlement("shipment_commands", "mail_truth"),
  },
  {
    name: "orders: what a member buys while signed out does not reach the account",
    file: "supabase/schemas/orders/account_orders.sql",
    find: "where u.email = lower(new.email) and u.is_sso_user",
    replace: "where false and u.is_sso_user",
    tests: checkout("accounts"),
  },
  {
    name: "orders: a rotated signing key signs everybody out",
    file: "supabase/functions/_shared/auth/keys.ts",
    find: "if (kid === null || has(inline, kid)) return inline;",
    replace: "if (kid === null || inline.length > 0) return inline;",
    tests: ["tests/unit/auth.test.ts"],
  },
  {
    name: "orders: who reads Traditional Chinese gets Simplified",
    file: "supabase/functions/_shared/text/locale.ts",
    find: "return theirs === language && form === script;",
    replace: "return theirs === language;",
    tests: ["tests/unit/create_checkout_input.test.ts"],
  },
];
