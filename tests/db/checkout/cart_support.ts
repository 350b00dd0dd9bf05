/** What tests of the checkout functions share: a catalogue of their own, and begin_checkout() by name. */
import type postgres from "postgres";

export interface CartLine {
  sku: string;
  quantity: number;
}

/** Everything that begin_checkout() takes; a test names what it is about. */
export interface CheckoutCall {
  items: CartLine[];
  key?: string | null;
  userId?: string | null;
  email?: string | null;
  ip?: string | null;
  velocityMode?: "enforce" | "report" | "off";
  previousSessionId?: string | null;
  supersede?: boolean;
  acceptsMarketing?: boolean | null;
  uiMode?: "hosted_page" | "embedded_page" | "elements";
  currency?: string | null;
  country?: string | null;
  livemode?: boolean;
}

/** The answer of begin_checkout(), as far as tests look at it. */
export interface Begun {
  outcome: "created" | "existing" | "velocity_exceeded" | "superseded";
  order_id: string;
  order_number: string;
  account_id: string | null;
  attempt: number;
  currency: string;
  country: string | null;
  shipping_rates: { name: string }[];
  amount_subtotal: number;
  session_expires_at: number;
  cart_hash: string;
  three_d_secure: string | null;
  items: { sku: string; quantity: number; unit_amount: number }[];
  session: { id: string; url: string | null; status: string } | null;
  customer: { id: string; email: string | null; generation: number } | null;
  customer_email: string | null;
  customer_email_change: number | null;
  stripe_customer_id: string | null;
  retry_after_seconds?: number;
  session_ids?: string[];
}

/** A failure of a SQL function of ours: its SQLSTATE and the JSON in its detail. */
export interface Refusal {
  sqlstate: string;
  detail: unknown;
}

export const sessionSeconds = 31 * 60;
export const holdSeconds = 61 * 60;

/** Calls begin_checkout() as the checkout function does. */
export async function beginCheckout(sql: postgres.Sql, call: CheckoutCall): Promise<Begun> {
  const [row] = await sql<{ answer: Begun }[]>`
    select public.begin_checkout(
      p_items => ${sql.json(call.items as unknown as postgres.JSONValue)}, p_idempotency_key => ${
    call.key ?? null
  },
      p_user_id => ${call.userId ?? null}, p_email => ${call.email ?? null}, p_client_ip => ${
    call.ip ?? null
  },
      p_user_agent => 'test', p_locale => null, p_livemode => ${call.livemode ?? false},
      p_session_seconds => ${sessionSeconds}, p_hold_seconds => ${holdSeconds},
      p_velocity_mode => ${call.velocityMode ?? "off"},
      p_previous_session_id => ${call.previousSessionId ?? null}, p_supersede => ${call.supersede ?? true},
      p_accepts_marketing => ${call.acceptsMarketing ?? null}, p_ui_mode => ${call.uiMode ?? "hosted_page"},
      p_currency => ${call.currency ?? null}, p_country => ${call.country ?? null}
    ) as answer`;
  if (row === undefined) throw new Error("begin_checkout() returned nothing");
  return row.answer;
}

/** Calls begin_checkout() and gives the refusal as a value; other failures are thrown. */
export async function tryCheckout(sql: postgres.Sql, call: CheckoutCall): Promise<Begun | Refusal> {
  try {
    return await beginCheckout(sql, call);
  } catch (error) {
    return refusalOf(error);
  }
}

/** The refusal in a database error of class SH; rethrows anything else. */
export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof Error) || !("code" in error) || !String(error.code).startsWith("SH")) throw error;
  const detail = "detail" in error && typeof error.detail === "string" ? JSON.parse(error.detail) : null;
  return { sqlstate: String(error.code), detail };
}

/** Tells a refusal from an answer. */
export function isRefusal(answer: Begun | Refusal): answer is Refusal {
  return "sqlstate" in answer;
}

/** Adds one product with a variant and stock per SKU; prices are in US cents. */
export async function addVariants(
  sql: postgres.Sql,
  variants: { sku: string; onHand: number; price?: number; currency?: string; active?: boolean }[],
): Promise<void> {
  const [product] = await sql<{ id: string }[]>`
    insert into public.products (slug, name) values (${`p-${crypto.randomUUID()}`}, 'Test shirt') returning id`;
  for (const { sku, onHand, price = 1_000, currency = "usd", active = true } of variants) {
    const [variant] = await sql<{ id: string }[]>`
      insert into public.product_variants (product_id, sku, price_amount, currency, active)
      values (${product?.id ?? null}, ${sku}, ${price}, ${currency}, ${active}) returning id`;
    await sql`insert into public.inventory_levels (variant_id, on_hand) values (${
      variant?.id ?? null
    }, ${onHand})`;
  }
}

export interface Level {
  sku: string;
  on_hand: number;
  reserved: number;
  committed: number;
  available: number;
}

/** Stock per SKU. */
export async function levels(sql: postgres.Sql): Promise<Map<string, Level>> {
  const rows = await sql<Level[]>`
    select v.sku, l.on_hand, l.reserved, l.committed, l.available
    from public.inventory_levels l join public.product_variants v on v.id = l.variant_id`;
  return new Map(rows.map((row) => [row.sku, row]));
}

/** Violations of what must always hold; an empty list is the pass. */
export async function violations(sql: postgres.Sql): Promise<unknown[]> {
  return [...await sql`select * from public.check_invariants()`];
}

/** A checkout_session fact for an order's attempt, as the translators write it. */
export function sessionFact(
  begun: Pick<Begun, "order_id" | "attempt" | "cart_hash" | "amount_subtotal">,
  overrides: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    fact: "checkout_session",
    id: `cs_test_${crypto.randomUUID().replaceAll("-", "")}`,
    order_id: begun.order_id,
    attempt: begun.attempt,
    cart_hash: begun.cart_hash,
    livemode: false,
    status: "open",
    payment_status: "unpaid",
    async_payment_failed: false,
    payment_id: null,
    customer_id: null,
    currency: "usd",
    amount_subtotal: begun.amount_subtotal,
    amount_total: begun.amount_subtotal,
    amount_discount: 0,
    amount_shipping: 0,
    amount_tax: 0,
    email: null,
    name: null,
    phone: null,
    shipping_name: null,
    shipping_address: null,
    billing_address: null,
    recovered_from: null,
    url: "https://checkout.example/pay",
    expires_at: Math.floor(Date.now() / 1000) + sessionSeconds,
    ...overrides,
  };
}

/** Notes the session of an attempt, as the checkout function does after Stripe's answer. */
export async function attachSession(
  sql: postgres.Sql,
  begun: Begun,
  overrides: Record<string, unknown> = {},
): Promise<Record<string, unknown> & { id: string }> {
  const fact = sessionFact(begun, overrides);
  await sql`select public.attach_checkout_session(${begun.order_id}, ${begun.attempt}, ${
    sql.json(fact as postgres.JSONValue)
  }, ${begun.customer_email_change ?? null}::integer)`;
  return fact as Record<string, unknown> & { id: string };
}

/** Applies facts as an event would, seen now. */
export async function applyFacts(sql: postgres.Sql, facts: Record<string, unknown>[]): Promise<void> {
  await sql`select public.apply_stripe_facts(${sql.json(facts as postgres.JSONValue)}, 'job', now())`;
}
