/** A restored database takes over from Stripe what its backup does not have: `deno task rescue`. */
import assert from "node:assert/strict";
import { planRescue, rescue, type RescueContext } from "../../../scripts/live/rescue/rescue.ts";
import { reconcile } from "../../../scripts/live/reconcile.ts";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { jobCalls } from "../../../supabase/functions/_shared/jobs/calls.ts";
import { rescueCalls } from "../../../supabase/functions/_shared/database/rescue.ts";
import { createStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import { work } from "../../../supabase/functions/retry-jobs/worker.ts";
import { nonEmpty } from "../../support/non_empty.ts";
import { eventually } from "../../support/poll.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { checkout } from "../checkout/shop.ts";
import { flush, jobContext, violations } from "../jobs/shop.ts";
import {
  addGoods,
  copyDatabase,
  dayOf,
  digests,
  dropDatabase,
  goOn,
  NEW_GOODS,
  openShop,
  readOpenPages,
  setTerms,
  settleDown,
  signUps,
  stockOf,
  trade,
  tradeElsewhere,
} from "./day.ts";

/** 1000 orders by hand: RESCUE_ORDERS. */
const wanted = Deno.env.get("RESCUE_ORDERS");
const day = dayOf(wanted === undefined ? null : Number(wanted));
const kept = day.morning.length;
const orders = kept + day.afternoon.length;
const large = orders > 100;
const options = { since: null, stoppedAt: null, progress: () => {} };

/** What a rescue asks, with `fetch` in between; without events, of Stripe's objects alone. */
function contextOf(stack: TestStack, fetcher: typeof fetch = fetch, events = true): RescueContext {
  const { env } = jobContext(stack);
  const call = createCall(env, fetcher);
  const stripe = createStripe(env, fetcher);
  const silent = { list: () => Promise.resolve({ data: [], has_more: false }) };
  return {
    env,
    rpc: { ...jobCalls(call), ...rescueCalls(call) },
    stripe: events ? stripe : Object.assign(Object.create(stripe), { events: silent }),
  };
}

/** A connection that counts what is asked of Stripe. */
function countingFetch(stack: TestStack): { fetcher: typeof fetch; asked(): number } {
  let asked = 0;
  const fetcher: typeof fetch = (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (url.startsWith(stack.stripe_url)) asked++;
    return fetch(input, init);
  };
  return { fetcher, asked: () => asked };
}

/** A connection that breaks for good with its call number `last`: before it is made, or after, with its answer lost. */
function dyingFetch(last: number): { fetcher: typeof fetch; died(): boolean } {
  let calls = 0;
  const fetcher: typeof fetch = async (input, init) => {
    calls++;
    if (calls > last || (calls === last && last % 2 === 0)) throw new TypeError("killed");
    const response = await fetch(input, init);
    if (calls < last) return response;
    await response.body?.cancel();
    throw new TypeError("killed");
  };
  return { fetcher, died: () => calls >= last };
}

/** Runs and dies, each time a little later, until one comes through. Returns how often it died. */
async function rescueDying(
  stack: TestStack,
  events: boolean,
  first: number,
  next: (last: number) => number,
): Promise<number> {
  for (let deaths = 0, last = first;; deaths++, last = next(last)) {
    const { fetcher, died } = dyingFetch(last);
    const ended = await rescue(contextOf(stack, fetcher, events), options).then(() => true, () => false);
    if (!died()) {
      assert.ok(ended, "fails without having been killed");
      return deaths;
    }
    if (ended) continue;
    const [open] = await stack
      .sql`select count(*)::int as count from private.rescues where finished_at is null`;
    if (last > 3) assert.equal(open?.count, 1, "checkout stays closed while it has not ended");
  }
}

interface Effects {
  mails: number;
  refunds: number;
}

/** What customers have had: mails that went out, refunds at Stripe. */
async function effects(stack: TestStack): Promise<Effects> {
  let mails = 0;
  for await (const entry of Deno.readDir(`${stack.dir}/mails`)) if (entry.name.endsWith(".json")) mails++;
  const refunds = await Array.fromAsync(jobContext(stack).stripe.refunds.list({ limit: 100 }));
  return { mails, refunds: refunds.length };
}

function assertSame(found: Map<string, unknown>, expected: Map<string, unknown>): void {
  assert.deepEqual([...found.keys()], [...expected.keys()]);
  for (const [number, digest] of nonEmpty([...expected])) {
    assert.deepEqual(found.get(number), digest, `order ${number}`);
  }
}

Deno.test("rescue: yesterday's backup and Stripe make today", async (test) => {
  await using stack = await testStack({ web: true, env: { CHECKOUT_PROMOTION_CODES: "true" } });
  const name = new URL(stack.db_url).pathname.slice(1);
  const backup = `${name}_backup`;
  await openShop(stack);
  await setTerms(stack, "of the morning");
  const accounts = await signUps(stack, orders);
  try {
    const first = await trade(stack, day.morning, 0, accounts);
    await flush(stack);
    // What was bought so far is in the backup, and nothing that follows from it later.
    await copyDatabase(stack, name, backup);
    // Stripe tells no more than the second: what follows is of a later one.
    const [moment] = await stack.sql`select date_trunc('second', clock_timestamp()) as at`;
    await eventually("the next second", () => Date.now() >= Number(moment?.["at"]) + 1000);
    await addGoods(stack);
    await setTerms(stack, "of the afternoon");
    await tradeElsewhere(stack);
    const second = await trade(stack, day.afternoon, kept, accounts, NEW_GOODS);
    await flush(stack);
    await goOn(stack, day, [...first, ...second], accounts);
    await readOpenPages(stack);
    await settleDown(stack);
    assert.deepEqual(await violations(stack), []);
    const before = {
      full: await digests(stack),
      objects: await digests(stack, true),
      stock: await stockOf(stack),
      effects: await effects(stack),
      next: (await stack.sql`select last_value from private.order_number_seq`)[0]?.["last_value"],
    };
    assert.equal(before.full.size, orders);
    // Plans of a small day do not do for a large one.
    const analyze = async () => void (large && await stack.sql`analyze`);
    const restore = async () => {
      await copyDatabase(stack, backup, name);
      await analyze();
    };
    const compare = async (objects: boolean) => {
      await analyze();
      assertSame(await digests(stack, objects), objects ? before.objects : before.full);
      assert.deepEqual(await stockOf(stack), before.stock);
      assert.deepEqual(await violations(stack), []);
      const again = await stack.sql`select dedupe_key from private.jobs
        where status = 'queued' and kind in ('send_mail', 'send_alert', 'refund_payment', 'submit_dispute_evidence')`;
      assert.deepEqual([...again], [], "mails, alerts or refunds would be made again");
    };

    await test.step("a dry run names what is missing and changes nothing", async () => {
      await restore();
      const known = await digests(stack);
      const plan = await planRescue(contextOf(stack), options);
      assert.deepEqual(plan.missing, [...before.full.keys()].filter((number) => !known.has(number)).sort());
      assert.equal(plan.others, 1);
      assertSame(await digests(stack), known);
      assert.equal((await stack.sql`select count(*)::int as count from private.rescues`)[0]?.["count"], 0);
    });

    await test.step("checkout, queue and health know that it is under way", async () => {
      await contextOf(stack).rpc.beginRescue(null, null);
      const { status, body, retryAfter } = await checkout(stack, {});
      assert.deepEqual([status, body.error?.code], [503, "checkout_closed"]);
      assert.ok(Number(retryAfter) > 0);
      assert.equal((await work(100, jobContext(stack))).claimed, 0);
      const health = await fetch(`${stack.functions_url}/health`, { headers: { apikey: stack.secret_key } });
      const { checks } = await health.json();
      assert.deepEqual([checks.database.status, checks.database.rescue], ["degraded", true]);
    });

    await test.step("from objects alone, killed at many points, every order is what it was", async () => {
      const startedAt = performance.now();
      const deaths = await rescueDying(stack, false, large ? Infinity : 1, (last) => Math.ceil(last * 1.7));
      if (large) console.error(`from objects: ${Math.round(performance.now() - startedAt)} ms`);
      else assert.ok(deaths > 5, `${deaths} deaths`);
      await compare(true);
    });

    await test.step("with events, every order has its times and its history as well", async () => {
      await restore();
      const startedAt = performance.now();
      const { fetcher, asked } = countingFetch(stack);
      const report = await rescue(contextOf(stack, fetcher), options);
      if (large) {
        const ms = Math.round(performance.now() - startedAt);
        console.error(`${orders} orders rescued in ${ms} ms, with ${asked()} calls to Stripe`);
      }
      // Pages of lists, and what had not ended one by one: not a call for each order that had.
      assert.ok(asked() < 40 + orders, `${asked()} calls to Stripe`);
      assert.deepEqual(report.problems, []);
      assert.equal(report.made.length, day.afternoon.length);
      assert.equal(report.others, 1);
      assert.deepEqual(report.end.stock_added, [`1 ${NEW_GOODS}`]);
      await compare(false);
      await settleDown(stack);
      assert.deepEqual(await effects(stack), before.effects, "mails or refunds were made again");
      await compare(false);
    });

    await test.step("a second run changes nothing", async () => {
      const again = await rescue(contextOf(stack), options);
      assert.deepEqual([again.made, again.reopened, again.refunds, again.events], [[], [], 0, 0]);
      await compare(false);
    });

    await test.step("events that were passed over because their order was not known count after all", async () => {
      await restore();
      const context = contextOf(stack);
      await reconcile(context, { sinceMs: 3_600_000, dryRun: false });
      const [passed] = await stack.sql`select count(*)::int as count from public.webhook_events
        where ignored_reason = 'foreign_object'`;
      assert.ok(passed?.["count"] > orders);
      await stack.sql`update public.webhook_events set received_at = stripe_created_at`;
      const told: string[] = [];
      const progress = (text: string) => told.push(text);
      assert.deepEqual((await rescue(context, { ...options, since: moment?.["at"], progress })).problems, []);
      assert.match(told.join("\n"), new RegExp(`^  ${passed?.["count"]} that had been passed over`, "m"));
      await compare(false);
    });

    await test.step("what happened after the database had stopped is told as ever, and refunded once", async () => {
      await restore();
      await rescue(contextOf(stack), { ...options, stoppedAt: moment?.["at"] });
      await settleDown(stack);
      const [told] = await stack.sql`select count(*)::int as count from public.notifications
        where status = 'sent' and template = 'order_confirmation'`;
      assert.ok(told?.["count"] > day.afternoon.length / 3, `${told?.["count"]} confirmations`);
      assert.equal((await effects(stack)).refunds, before.effects.refunds);
      assertSame(await digests(stack), before.full);
    });

    await test.step("new orders are numbered after the rescued ones", async () => {
      const { status, body } = await checkout(stack, {});
      assert.equal(status, 201);
      assert.ok(Number(/\d+$/.exec(body.order_number)?.[0]) > Number(before.next));
    });
  } finally {
    await dropDatabase(stack, backup);
  }
});
