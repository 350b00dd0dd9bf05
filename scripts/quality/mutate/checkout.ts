import type { Mutant } from "./mutant.ts";

const files = (...names: string[]) => names.map((name) => `tests/db/checkout/${name}.test.ts`);
const tests = files(
  "idempotency",
  "attempts",
  "renamed_goods",
  "open_pages",
  "accounts",
  "amounts",
  "velocity_pages",
  "currencies",
);

/** Mistakes at the till. */
export const checkoutMutants: Mutant[] = [
  {
    name: "checkout: an inactive product is sold again when an order is reopened",
    file: "supabase/schemas/catalogue/catalogue.sql",
    find: "where p.id = v.product_id and p.active);",
    replace: "where p.id = v.product_id);",
    tests: tests,
  },
  {
    name: "checkout: an order is reopened in another currency",
    file: "supabase/schemas/catalogue/catalogue.sql",
    find: "return v.active and private.price_in(v, p_currency) is not null",
    replace: "return v.active",
    tests: tests,
  },
  {
    name: "checkout: a reopened order keeps its old prices",
    file: "supabase/schemas/checkout/checkout.sql",
    find: "update public.order_items i set unit_amount = l.unit_amount, name = l.name, tax_code = l.tax_code",
    replace: "update public.order_items i set name = l.name, tax_code = l.tax_code",
    tests: tests,
  },
  {
    name: "checkout: a reopened order stays on its attempt",
    file: "supabase/schemas/checkout/checkout.sql",
    find: `    attempt = attempt + 1,
    session_expires_at`,
    replace: `    attempt = attempt,
    session_expires_at`,
    tests: tests,
  },
  {
    name: "checkout: a guest is shown the page of another address",
    file: "supabase/schemas/checkout/checkout.sql",
    find: "and lower(o.email) is distinct from lower(p_email))",
    replace: "and false)",
    tests: tests,
  },
  {
    name: "checkout: a key that can be guessed shows a page to another network",
    file: "supabase/schemas/checkout/checkout.sql",
    find: "and length(p_idempotency_key) < c_guessable",
    replace: "and length(p_idempotency_key) < 0",
    tests: tests,
  },
  {
    name: "checkout: a cancelled order is opened again",
    file: "supabase/schemas/checkout/checkout.sql",
    find: `  if o.cancelled_at is not null then
    raise exception 'this order has been cancelled'`,
    replace: `  if false then
    raise exception 'this order has been cancelled'`,
    tests: tests,
  },
  {
    name: "checkout: a reopened order forgets that it had been given up",
    file: "supabase/schemas/checkout/checkout.sql",
    find: `    abandoned_at = null,
`,
    replace: "",
    tests: tests,
  },
  {
    name: "checkout: a page that is being ended is shown again",
    file: "supabase/schemas/checkout/checkout.sql",
    find: "    s.closing_at is not null\n",
    replace: "    false\n",
    tests: tests,
  },
];
