/** After the day: when a world has come to rest, and what is wrong with it then. */
import { jobCalls } from "../../../supabase/functions/_shared/jobs/calls.ts";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { createStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { reconcile } from "../../live/reconcile.ts";
import type { Actors } from "./actors.ts";
import { beginning } from "./kernel.ts";
import { holdAgainstAccount } from "./account.ts";
import type { AtStripe } from "./account_books.ts";
import { origins, type Shop } from "./shop.ts";

/** Something that must not be. */
export interface Violation {
  rule: string;
  detail: unknown;
}

/** A dispute has something to do each day until the bank decides: only what comes on the first one is waited for. */
const disputesMs = 30 * 3_600_000;

/** What is still to be done before tomorrow; null: nothing. */
export async function unrest(shop: Shop): Promise<unknown> {
  const response = await fetch(`${origins.stripe}/_control/deliveries?limit=1`);
  const { pending } = await response.json();
  const firstDay = new Date(beginning + disputesMs).toISOString();
  const [left] = await shop.ask((sql) =>
    sql`select
      (select jsonb_agg(distinct j.kind) from private.jobs j where j.status in ('queued', 'running')
        and j.run_at < now() + interval '20 hours'
        and (j.kind not in ('answer_dispute', 'remind_dispute') or j.run_at < ${firstDay}::timestamptz)
        and j.kind not in (select p.kind from private.periodic_jobs p)) as jobs,
      (select nullif(count(*), 0)::integer from public.webhook_events where status = 'failed') as events,
      (select nullif(count(*), 0)::integer from private.lost_checkouts(1)) as lost,
      (select nullif(count(*), 0)::integer from public.checkout_sessions where status = 'open') as open,
      (select nullif(count(*), 0)::integer from public.orders where status = 'processing') as debits,
      (select nullif(count(*), 0)::integer from public.refunds where status = 'pending') as refunds`
  );
  const found = { ...left, deliveries: pending === 0 ? null : pending };
  return Object.values(found).every((value) => value === null) ? null : found;
}

/** Everything that is wrong in the end. */
export async function judge(shop: Shop, actors: Actors, troubled: boolean): Promise<Violation[]> {
  const rows = await shop.ask((sql) => sql`select invariant, detail from public.check_invariants()`);
  const found: Violation[] = rows.map(({ invariant, detail }) => ({ rule: invariant, detail }));
  const add = (rule: string, details: readonly unknown[]) => {
    for (const detail of details) found.push({ rule, detail });
  };
  add("no actor is surprised", actors.surprises);
  add(
    "no job dies",
    await shop.ask((sql) => sql`select kind, last_error from private.jobs where status = 'dead'`),
  );
  add("nothing fails that should not", unexpected(shop, troubled));
  add("goods are on the shelf or sold, and none comes from nowhere", await goodsOf(shop));
  const stripe: AtStripe = {
    sessions: await listAll(shop, "checkout/sessions"),
    payments: await listAll(shop, "payment_intents"),
    refunds: await listAll(shop, "refunds"),
    disputes: await listAll(shop, "disputes"),
    events: await listAll(shop, "events"),
  };
  found.push(...await againstStripe(shop, stripe), ...await mailsOf(shop));
  found.push(...await holdAgainstAccount(shop, actors, stripe, troubled));
  const { drift, problems } = await reconcile({
    rpc: jobCalls(createCall({ supabaseUrl: origins.api, secretKeys: { default: shop.keys.secret_key } })),
    stripe: createStripe({
      stripeSecretKey: shop.keys.stripe_secret_key,
      stripeApiBase: new URL(origins.stripe),
    }),
    env: { livemode: false, stripeAccountId: null },
  }, { sinceMs: 10 * 86_400_000, dryRun: true });
  add("the database agrees with Stripe", [...drift, ...problems]);
  return found;
}

/** On a day without trouble no error is written; on others none that says that the fault is ours. */
function unexpected({ errors }: Shop, troubled: boolean): string[] {
  return errors.map(({ text }) => text).filter((text) =>
    !troubled || /internal_error|alert_rules_failed/.test(text)
  );
}

async function listAll<T extends { id: string }>({ keys }: Shop, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let after = "";;) {
    const response = await fetch(`${origins.stripe}/v1/${path}?limit=100${after}`, {
      headers: { authorization: `Bearer ${keys.stripe_secret_key}` },
    });
    const page: { data: T[]; has_more: boolean } = await response.json();
    items.push(...page.data);
    if (!page.has_more) return items;
    after = `&starting_after=${page.data.at(-1)?.id}`;
  }
}

async function againstStripe(shop: Shop, stripe: AtStripe): Promise<Violation[]> {
  const { sessions, payments, refunds, events } = stripe;
  const stored = new Map(
    (await shop.ask((sql) =>
      sql<{ id: string; status: string }[]>`select id, status from public.webhook_events`
    ))
      .map(({ id, status }) => [id, status]),
  );
  const lost = events.filter(({ type }) => enabledEvents.includes(type))
    .map(({ id, type }) => ({ id, type, status: stored.get(id) }))
    .filter(({ status }) => status !== "processed" && status !== "ignored");
  const requests = refunds.flatMap(({ metadata }) => metadata["refund_request_id"] ?? []);
  const attempts = sessions.map(({ metadata }) => `${metadata["order_id"]}/${metadata["attempt"]}`);
  const known = await shop.ask((sql) =>
    sql<{ id: string; received: number; refunded: number }[]>`
      select p.id, p.amount_received::integer as received, (
        select coalesce(sum(r.amount), 0) from public.refunds r
        where r.payment_id = p.id and r.status not in ('failed', 'canceled')
      )::integer as refunded
      from public.payments p`
  );
  const byId = new Map(known.map((payment) => [payment.id, payment]));
  const money = payments.filter(({ amount_received }) => amount_received > 0).flatMap((payment) => {
    const refunded = refunds.filter((refund) =>
      refund.payment_intent === payment.id && !["failed", "canceled"].includes(refund.status)
    ).reduce((sum, { amount }) => sum + amount, 0);
    const here = byId.get(payment.id);
    const same = here?.received === payment.amount_received && here.refunded === refunded;
    return same ? [] : [{ id: payment.id, received: payment.amount_received, refunded, here }];
  });
  return [
    ...lost.map((detail) => ({ rule: "every event that Stripe sent is stored and applied", detail })),
    ...repeated(requests).map((detail) => ({ rule: "one refund per request", detail })),
    ...repeated(attempts).map((detail) => ({ rule: "one session per attempt of an order", detail })),
    ...money.map((detail) => ({
      rule: "what was paid and given back is the same here and at Stripe",
      detail,
    })),
  ];
}

/** What staff have put on the shelf is there, or an order has it. */
async function goodsOf(shop: Shop): Promise<readonly unknown[]> {
  return await shop.ask((sql) =>
    sql`
      select v.sku, l.on_hand, l.committed, x.put
      from public.inventory_levels l join public.product_variants v on v.id = l.variant_id, lateral (
        select coalesce(sum(j.change), 0) as put from public.inventory_journal j
        where j.variant_id = l.variant_id and j.kind in ('opening', 'adjustment', 'count', 'import', 'edit')
      ) x
      where l.on_hand < 0 or l.on_hand + l.committed <> x.put`
  );
}

/** Alerts may come again; a mail to a customer may not. */
async function mailsOf(shop: Shop): Promise<Violation[]> {
  const keys = shop.mails.map(({ idempotency_key: key }) => key ?? "");
  const sent = await shop.ask((sql) =>
    sql<{ id: string }[]>`select id from public.notifications where sent_at is not null`
  );
  const unsent = sent.filter(({ id }) => !keys.some((key) => key.endsWith(`notification_${id}`)));
  return [
    ...repeated(keys).map((detail) => ({ rule: "no mail goes out twice", detail })),
    ...unsent.map(({ id }) => ({ rule: "every mail that is noted as sent was sent", detail: id })),
  ];
}

function repeated(items: string[]): string[] {
  const seen = new Set<string>();
  return items.filter((item) => seen.has(item) || !seen.add(item));
}
