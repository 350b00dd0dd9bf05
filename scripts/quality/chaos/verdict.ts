/** After the storm: lets everything finish, then holds the database against Stripe and the mail provider. */
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { jobCalls } from "../../../supabase/functions/_shared/jobs/calls.ts";
import { createStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { reconcile } from "../../live/reconcile.ts";
import { pause, runJobs } from "./workload.ts";
import type { World } from "./world.ts";

/** Something that must not be. */
export interface Violation {
  rule: string;
  detail: unknown;
}

const drainDeadlineMs = 60_000;

/** Lets time pass until nothing is left to do before tomorrow; a violation when that never happens. */
export async function settleDown(world: World): Promise<Violation[]> {
  const deadline = Date.now() + drainDeadlineMs;
  while (Date.now() < deadline) {
    await flush(world);
    await passTime(world);
    const answer = await runJobs(world);
    const [left] = await world.sql`
      select (select count(*) from private.jobs where status in ('queued', 'running') and run_at < now() + interval '20 hours')::integer as jobs,
        (select count(*) from public.webhook_events where status = 'failed')::integer as events,
        (select count(*) from private.lost_checkouts(1))::integer as lost,
        (select count(*) from public.checkout_sessions where status = 'open')::integer as open`;
    const idle = left?.jobs === 0 && left?.events === 0 && left?.lost === 0 && left?.open === 0;
    if (answer !== null && answer.claimed === 0 && idle && await flush(world)) return [];
    await pause(20);
  }
  const jobs = await world
    .sql`select kind, status, attempts, last_error from private.jobs where status in ('queued', 'running') limit 10`;
  return [{ rule: "everything comes to an end", detail: [...jobs] }];
}

/** Leases of the dead run out, waits are over, and unpaid sessions have had their time. */
async function passTime(world: World): Promise<void> {
  // One search a minute is queued; here a minute passes between any two.
  await world.sql`delete from private.jobs where kind = 'find_lost_sessions' and status = 'done'`;
  await world
    .sql`update private.jobs set leased_until = now() - interval '1 second' where status = 'running'`;
  await world
    .sql`update private.jobs set run_at = now() where status = 'queued' and run_at < now() + interval '20 hours'`;
  await world
    .sql`update private.alert_incidents set told_at = told_at - interval '1 day', telling_until = now() - interval '1 second'`;
  await world
    .sql`update private.circuit_breakers set open_until = now() - interval '1 second' where open_until is not null`;
  await world
    .sql`update public.orders set session_expires_at = now() + interval '20 minutes' where session_expires_at > now() + interval '20 minutes'`;
  await world
    .sql`update public.checkout_sessions set expires_at = now() - interval '5 minutes' where status = 'open' and expires_at > now() - interval '5 minutes'`;
}

async function flush(world: World): Promise<boolean> {
  const response = await fetch(`${world.stripeUrl}/_control/flush`, { method: "POST" });
  await response.body?.cancel();
  return response.ok;
}

/** Everything that is wrong in the end. */
export async function judge(world: World): Promise<Violation[]> {
  const found: Violation[] = [];
  for (const row of await world.sql`select invariant, detail from public.check_invariants()`) {
    found.push({ rule: row.invariant, detail: row.detail });
  }
  const dead = await world.sql`select kind, last_error from private.jobs where status = 'dead'`;
  for (const job of dead) found.push({ rule: "no job dies", detail: job });
  found.push(...await unstoredEvents(world), ...await doubledEffects(world), ...await doubledMails(world));
  const env = { supabaseUrl: world.restUrl, secretKeys: { default: world.keys.secret_key } };
  const stripe = createStripe({
    stripeSecretKey: world.keys.stripe_secret_key,
    stripeApiBase: new URL(world.stripeUrl),
  });
  const { drift, problems } = await reconcile({
    rpc: jobCalls(createCall(env)),
    stripe,
    env: { livemode: false, stripeAccountId: null },
  }, {
    sinceMs: 3_600_000,
    dryRun: true,
  });
  for (const item of [...drift, ...problems]) {
    found.push({ rule: "the database agrees with Stripe", detail: item });
  }
  return found;
}

async function listAll<T extends { id: string }>(world: World, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let after = "";;) {
    const response = await fetch(`${world.stripeUrl}/v1/${path}?limit=100${after}`, {
      headers: { authorization: `Bearer ${world.keys.stripe_secret_key}` },
    });
    const page: { data: T[]; has_more: boolean } = await response.json();
    items.push(...page.data);
    if (!page.has_more) return items;
    after = `&starting_after=${page.data.at(-1)?.id}`;
  }
}

async function unstoredEvents(world: World): Promise<Violation[]> {
  const events = await listAll<{ id: string; type: string }>(world, "events");
  const rows = await world.sql<
    { id: string; status: string }[]
  >`select id, status from public.webhook_events`;
  const stored = new Map(rows.map(({ id, status }) => [id, status]));
  return events.filter(({ type }) => enabledEvents.includes(type)).flatMap((event) => {
    const status = stored.get(event.id);
    const fine = status === "processed" || status === "ignored";
    return fine
      ? []
      : [{ rule: "every event that Stripe sent is stored and applied", detail: { ...event, status } }];
  });
}

interface Refund {
  id: string;
  amount: number;
  payment_intent: string;
  metadata: Record<string, string>;
}

interface Session {
  id: string;
  metadata: Record<string, string>;
}

async function doubledEffects(world: World): Promise<Violation[]> {
  const refunds = await listAll<Refund>(world, "refunds");
  const sessions = await listAll<Session>(world, "checkout/sessions");
  const requests = refunds.flatMap(({ metadata }) => metadata["refund_request_id"] ?? []);
  const attempts = sessions.map(({ metadata }) => `${metadata["order_id"]}/${metadata["attempt"]}`);
  const asked = await world.sql<{ id: string }[]>`
    select payload ->> 'refund_request_id' as id from private.jobs where kind = 'refund_payment' and status = 'done'`;
  return [
    ...repeated(requests).map((detail) => ({ rule: "one refund per request", detail })),
    ...repeated(attempts).map((detail) => ({ rule: "one session per attempt of an order", detail })),
    ...asked.filter(({ id }) => !requests.includes(id))
      .map(({ id: detail }) => ({ rule: "every refund that is done is at Stripe", detail })),
  ];
}

/** Alerts may come again; a mail to a customer may not. */
async function doubledMails(world: World): Promise<Violation[]> {
  const keys: string[] = [];
  for await (const entry of Deno.readDir(`${world.dir}/mails`)) {
    if (!entry.name.endsWith(".json")) continue;
    const mail = JSON.parse(await Deno.readTextFile(`${world.dir}/mails/${entry.name}`));
    keys.push(`${mail.to} ${mail.subject} ${mail.idempotency_key}`);
  }
  const sent = await world.sql<
    { id: string }[]
  >`select id from public.notifications where sent_at is not null`;
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
