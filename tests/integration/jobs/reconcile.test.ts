import assert from "node:assert/strict";
import { reconcile } from "../../../scripts/live/reconcile.ts";
import { work } from "../../../supabase/functions/retry-jobs/worker.ts";
import { reconcileObjects } from "../../../supabase/functions/_shared/jobs/reconcile_objects.ts";
import { inLanes } from "../../../supabase/functions/_shared/jobs/lanes.ts";
import { testStack } from "../../support/stack.ts";
import {
  blockWebhooks,
  type Checkout,
  checkout,
  drain,
  flush,
  holdOf,
  jobContext,
  orderRow,
  pay,
  unblockWebhooks,
  violations,
} from "./shop.ts";
import { nonEmpty } from "../../support/non_empty.ts";
import { live, portrait, reconcileByItself } from "./lives.ts";

/** Orders in each of the two groups; 200 by hand. */
const orders = Number(Deno.env.get("RECONCILE_ORDERS") ?? "18");

Deno.test("reconcile: orders whose webhooks never came end like orders whose webhooks did", async (test) => {
  await using stack = await testStack({ web: true });
  const context = jobContext(stack);
  await stack.sql`update public.inventory_levels set on_hand = on_hand + 1000`;

  const trade = async (): Promise<Checkout[]> => {
    const made: Checkout[] = [];
    await inLanes(Array.from({ length: orders }, (_, n) => n), 4, async (n) => {
      const order = await checkout(stack);
      made[n] = order;
      await live(stack, order, n);
    });
    return made;
  };

  const heard = await trade();
  await flush(stack);
  await drain(stack);
  await blockWebhooks(stack);
  const unheard = await trade();
  const [before] = await stack.sql`select count(*)::integer as events from public.webhook_events`;
  const pending = await Promise.all(unheard.map(({ order_id }) => orderRow(stack, order_id)));
  assert.ok(nonEmpty(pending).every(({ status }) => status === "pending"), "the webhooks must not have come");

  await test.step("a dry run says what it would repair, and changes nothing", async () => {
    const { drift } = await reconcile(context, { sinceMs: 3_600_000, dryRun: true });
    assert.ok(drift.length > orders);
    assert.deepEqual(await Promise.all(unheard.map(({ order_id }) => orderRow(stack, order_id))), pending);
    const [after] = await stack.sql`
      select (select count(*) from public.webhook_events)::integer as events, (select count(*) from public.reconciliation_drift)::integer as drift`;
    assert.deepEqual([after?.events, after?.drift], [before?.events, 0]);
  });

  await test.step("after one run every order equals its twin", async () => {
    const startedAt = performance.now();
    await unblockWebhooks(stack);
    await reconcileByItself(stack);
    await drain(stack);
    if (orders > 18) {
      console.log(`reconciled ${orders} orders in ${Math.round(performance.now() - startedAt)} ms`);
    }
    for (const [n, order] of unheard.entries()) {
      const twin = heard[n];
      assert.ok(twin !== undefined);
      assert.deepEqual(
        await portrait(stack, order),
        await portrait(stack, twin),
        `order ${n} (scenario ${n % 9})`,
      );
    }
  });

  await test.step("every repair is a row of the drift log, with before and after", async () => {
    const rows = await stack
      .sql`select object_id, order_number, before, after from reporting.reconciliation_drift where kind = 'missed_event'`;
    const [missed] = await stack.sql`
      select count(*)::integer as count from public.webhook_events where status = 'processed' and source_ip is null`;
    assert.equal(rows.length, missed?.count);
    const [first] = unheard;
    const own = rows.filter(({ order_number }) => order_number === first?.order_number);
    const states = own.map((row) => [
      row.before.orders[first?.order_number ?? ""].status,
      row.after.orders[first?.order_number ?? ""].status,
    ]);
    assert.ok(states.some(([from, to]) => from === "pending" && to === "paid"), JSON.stringify(states));
  });

  await test.step("a second run repairs nothing", async () => {
    assert.deepEqual(await reconcile(context, { sinceMs: 3_600_000, dryRun: false }), {
      drift: [],
      problems: [],
      complete: true,
    });
  });

  await test.step("a run that is out of time does not say that all is well", async () => {
    const { complete } = await reconcile(context, { sinceMs: 3_600_000, dryRun: true, budgetMs: -1 });
    assert.equal(complete, false);
  });

  await test.step("an event that was stored and lost its effect is found by comparing objects", async () => {
    const [, , , partial] = unheard;
    assert.ok(partial !== undefined);
    await stack.sql`delete from public.refunds where order_id = ${partial.order_id}`;
    await stack.sql`select private.settle_order(${partial.order_id}, 'test')`;
    assert.equal((await orderRow(stack, partial.order_id)).amount_refunded, 0);
    const { drift } = await reconcile(context, { sinceMs: 3_600_000, dryRun: false });
    assert.deepEqual(drift.map(({ kind }) => kind), ["refund"]);
    assert.equal((await orderRow(stack, partial.order_id)).amount_refunded, 500);
  });

  assert.deepEqual(await violations(stack), []);
});

Deno.test("reconcile: what is still open is looked at, however old it is", async () => {
  await using stack = await testStack();
  const context = jobContext(stack);
  const { stripe } = context;
  const disputed = await checkout(stack);
  await pay(stack, disputed.session_id, "4000000000000259");
  await flush(stack);
  const [open] = await stack.sql`select id from disputes where order_id = ${disputed.order_id}`;
  await blockWebhooks(stack);
  await stripe.disputes.close(open?.id);
  // Older than the lists go back, and no event tells: as if it had never been generated.
  const since = new Date(context.now() + 60_000);
  const look = (dryRun: boolean) =>
    reconcileObjects(context, { runId: crypto.randomUUID(), since, budgetMs: 30_000, dryRun });
  await stack.sql`update disputes set livemode = true where id = ${open?.id}`;
  assert.deepEqual((await look(true)).drift, [], "Stripe's test mode knows nothing of what is live");
  await stack.sql`update disputes set livemode = false where id = ${open?.id}`;
  for (const dryRun of [true, false]) {
    const { drift, problems } = await look(dryRun);
    assert.deepEqual(problems, []);
    assert.deepEqual(drift.map(({ kind, id }) => [kind, id]), [["dispute", open?.id]]);
  }
  assert.equal((await stack.sql`select status from disputes where id = ${open?.id}`)[0]?.status, "lost");
  // What has ended is not asked for again.
  assert.deepEqual(await look(false), { seen: 0, drift: [], problems: [], complete: true });
  assert.deepEqual(await violations(stack), []);
});

Deno.test("reconcile: an hour in which nothing happens asks Stripe twenty times at most, and a new order wakes it", async () => {
  await using stack = await testStack();
  const asked = async () => {
    const response = await fetch(`${stack.stripe_url}/_control/requests`);
    return (await response.json()).requests.length;
  };
  const minutePasses = async () => {
    await stack.sql`update private.periodic_jobs set next_at = next_at - interval '1 minute'`;
    await stack.sql`update private.reconciliation_cursors set position = position - interval '1 minute'`;
    // The clock does not go on: what is queued now would have the key of what was queued before.
    await stack.sql`delete from private.jobs where status = 'done'`;
    await stack.sql`select public.enqueue_periodic_jobs()`;
    await drain(stack);
  };
  // Everything has its first time.
  for (let minute = 0; minute < 15; minute++) await minutePasses();
  const before = await asked();
  for (let minute = 0; minute < 60; minute++) await minutePasses();
  const idle = await asked() - before;
  assert.ok(idle > 0 && idle <= 20, `${idle} calls`);

  await minutePasses();
  const eventsRead = async () => {
    const [row] = await stack
      .sql`select count(*)::integer as jobs from private.jobs where kind = 'reconcile_events'`;
    return row?.["jobs"];
  };
  await checkout(stack);
  const known = await eventsRead();
  await minutePasses();
  assert.equal(await eventsRead(), known + 1);
});

Deno.test("reconcile: an object that cannot be handled keeps no other waiting, and is named", async (test) => {
  await using stack = await testStack();
  const context = jobContext(stack);
  const silent = { list: () => Promise.resolve({ data: [], has_more: false }) };
  const objectsOnly = {
    ...context,
    stripe: Object.assign(Object.create(context.stripe), { events: silent }),
  };

  /** Under this id Stripe knows the order's session, or does not: as after a change of account. */
  const renameSession = async (orderId: string, from: string, to: string) => {
    await stack
      .sql`update public.checkout_sessions set id = ${to}, expires_at = now() - interval '10 minutes' where id = ${from}`;
    await stack.sql`update public.orders set session_id = ${to} where id = ${orderId}`;
  };

  await test.step("a session that Stripe does not know", async () => {
    const [lost, refunded] = [await checkout(stack), await checkout(stack)];
    await pay(stack, refunded.session_id);
    await flush(stack);
    await blockWebhooks(stack);
    await renameSession(lost.order_id, lost.session_id, "cs_test_gone");
    const { payment_id } = await orderRow(stack, refunded.order_id);
    await context.stripe.refunds.create({ payment_intent: payment_id, amount: 300 });
    const { drift, problems } = await reconcile(objectsOnly, { sinceMs: 3_600_000, dryRun: false });
    assert.deepEqual(problems.map(({ id }) => id), ["cs_test_gone"]);
    assert.deepEqual(drift.map(({ kind }) => kind), ["refund"]);
    assert.equal((await orderRow(stack, refunded.order_id)).amount_refunded, 300);
    assert.equal(await holdOf(stack, lost.order_id), "active", "stock goes back on Stripe's word only");

    await stack.sql`select private.enqueue_job('reconcile_objects', 'reconcile_objects:1', '{}')`;
    await drain(stack, objectsOnly);
    const [job] = await stack
      .sql`select status, last_error from private.jobs where kind = 'reconcile_objects'`;
    assert.equal(job?.status, "discarded");
    assert.match(job?.last_error, /cs_test_gone/);
    await renameSession(lost.order_id, "cs_test_gone", lost.session_id);
  });

  await test.step("an attempt that cannot be given up", async () => {
    const [stuck, free] = [await checkout(stack), await checkout(stack)];
    await stack.sql`delete from public.checkout_sessions where order_id in ${
      stack.sql([stuck.order_id, free.order_id])
    }`;
    // Neither reached Stripe; the first of them in the list is one that the database refuses to change.
    await stack.sql`
      update public.orders set attempt = 2, session_expires_at = now() + interval '20 minutes'
      where id in ${stack.sql([stuck.order_id, free.order_id])}`;
    await stack.sql`update public.orders set session_expires_at = now() where id = ${stuck.order_id}`;
    await stack.sql.unsafe(`
      create function private.refuse() returns trigger language plpgsql as $$ begin raise exception 'stuck'; end $$;
      create trigger refuse before update on public.orders for each row when (old.id = '${stuck.order_id}') execute function private.refuse()`);
    await stack.sql`select public.enqueue_periodic_jobs()`;
    await work(100, context);
    assert.equal(await holdOf(stack, free.order_id), "released");
    const [job] = await stack
      .sql`select status, last_error from private.jobs where kind = 'find_lost_sessions'`;
    assert.equal(job?.status, "queued");
    await stack.sql`drop trigger refuse on public.orders`;
    await drain(stack, context);
    assert.equal(await holdOf(stack, stuck.order_id), "released");
  });
});

Deno.test("reconcile: an event that cannot be received lets the others in, and the cursor waits for it", async () => {
  const { reconcileEvents } = await import("../../../supabase/functions/_shared/jobs/reconcile_events.ts");
  const now = 1_800_000_000_000;
  const events = [1, 2, 3].map((n) => ({
    id: `evt_${n}`,
    created: now / 1000 - 5_000 * n,
    type: "charge.failed",
  }));
  const received: string[] = [];
  let position = new Date(now - 6 * 3_600_000);
  const context = {
    env: { livemode: false, stripeAccountId: null },
    now: () => now,
    log: { info() {}, warn() {}, error() {}, with: () => context.log },
    stripe: {
      events: {
        list: (
          { created: { gte, lte }, types }: { created: { gte: number; lte: number }; types: string[] },
        ) =>
          Promise.resolve({
            data: events.filter(({ created, type }) =>
              types.includes(type) && created >= gte && created <= lte
            ),
            has_more: false,
          }),
      },
    },
    rpc: {
      getReconciliationCursor: () => Promise.resolve(position.toISOString()),
      advanceReconciliationCursor: (_: string, to: Date) => Promise.resolve((position = to).toISOString()),
      listUnknownEvents: (ids: string[]) => Promise.resolve(ids),
      reconcileStripeEvent: (_: string, { id }: { id: string }) => {
        if (id === "evt_2") return Promise.reject(new Error("refused"));
        received.push(id);
        return Promise.resolve({ outcome: "applied", changed: true, before: null, after: null });
      },
    },
  };
  type Context = Parameters<typeof reconcileEvents>[0];
  const options = { runId: "run", graceMs: 1_000, budgetMs: 60_000, dryRun: false };
  const report = await reconcileEvents(context as unknown as Context, options);
  assert.deepEqual(received, ["evt_3", "evt_1"]);
  assert.deepEqual(report.problems.map(({ id }) => id), ["evt_2"]);
  assert.ok(position.getTime() <= now - 10_000_000, "what is not in must be read again");
  assert.ok(position.getTime() > now - 6 * 3_600_000, "what is in need not be");
});

Deno.test("reconcile: the cursor goes forward over windows that are too full, and never jumps a gap", async () => {
  const { reconcileEvents } = await import("../../../supabase/functions/_shared/jobs/reconcile_events.ts");
  const now = 1_800_000_000_000;
  // 3 000 events within one minute, an hour ago, and a few around.
  const created = [
    ...Array.from({ length: 3_000 }, (_, n) => now / 1000 - 3_600 + n % 60),
    now / 1000 - 7_000,
    now / 1000 - 5,
  ];
  const events = created.map((at, n) => ({ id: `evt_${n}`, created: at, type: "charge.failed" }))
    .sort((a, b) => b.created - a.created);
  const received = new Set<string>();
  let position = new Date(now - 2 * 3_600_000);
  const list = ({ created: range, types, limit, starting_after }: {
    created: { gte: number; lte: number };
    types: string[];
    limit: number;
    starting_after?: string;
  }) => {
    const found = events.filter((event) =>
      types.includes(event.type) && event.created >= range.gte && event.created <= range.lte
    );
    const from = starting_after === undefined ? 0 : found.findIndex(({ id }) => id === starting_after) + 1;
    return Promise.resolve({ data: found.slice(from, from + limit), has_more: from + limit < found.length });
  };
  const context = {
    env: { livemode: false, stripeAccountId: null },
    now: () => now,
    log: { info() {}, warn() {}, error() {}, with: () => context.log },
    stripe: { events: { list } },
    rpc: {
      getReconciliationCursor: () => Promise.resolve(position.toISOString()),
      advanceReconciliationCursor: (_: string, to: Date) => {
        assert.ok(to >= position || to.getTime() <= now);
        if (to > position) position = to;
        return Promise.resolve(position.toISOString());
      },
      listUnknownEvents: (ids: string[]) => Promise.resolve(ids.filter((id) => !received.has(id))),
      reconcileStripeEvent: (_: string, event: { id: string }) => {
        assert.ok(!received.has(event.id), `${event.id} was received twice`);
        received.add(event.id);
        return Promise.resolve({ outcome: "applied", changed: true, before: null, after: null });
      },
    },
  };
  const options = { runId: "run", graceMs: 1_000, budgetMs: 60_000, dryRun: false };
  type Context = Parameters<typeof reconcileEvents>[0];
  const report = await reconcileEvents(context as unknown as Context, options);
  assert.equal(report.drift.length, events.length);
  assert.equal(position.getTime(), now - 1_000);

  // Reading from after the cursor must not move it: what lies between has not been read.
  position = new Date(now - 86_400_000);
  await reconcileEvents(context as unknown as Context, { ...options, from: new Date(now - 60_000) });
  assert.equal(position.getTime(), now - 86_400_000);
});
