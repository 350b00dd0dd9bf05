import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { eventually } from "../../support/poll.ts";
import { eventOf, holdDeliveries, payOrder } from "./paid_order.ts";
import { foreignEvent, newEventId, webhookFunction } from "./webhook_function.ts";

/**
 * What Stripe gets, what the database holds, and how it heals, for each way in which the database can fail.
 */
Deno.test("stripe-webhook when the database fails", async (test) => {
  await using stack = await testStack();
  const { sql } = stack;
  const local = webhookFunction(stack);
  await holdDeliveries(stack);
  const stored = async (id: unknown) => (await sql`select * from webhook_events where id = ${String(id)}`)[0];
  const runJobs = async () => {
    const response = await fetch(`${stack.functions_url}/retry-jobs`, {
      method: "POST",
      headers: { "apikey": stack.secret_key, "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(response.status, 200);
    return await response.json();
  };

  await test.step("down: 500, nothing stored; the next delivery lands", async () => {
    const down = webhookFunction({ ...stack, api_url: "http://127.0.0.1:9" }, {
      STRIPE_WEBHOOK_IP_MODE: "off",
    });
    const event = foreignEvent();
    const response = await down.deliver(event);
    assert.equal(response.status, 500);
    assert.equal((await response.json()).error.code, "not_recorded");
    assert.equal(await stored(event["id"]), undefined);
    assert.equal((await local.deliver(event)).status, 200);
  });

  await test.step("killed mid-request: 500, nothing stored, no half transaction", async () => {
    const order = await payOrder(stack);
    const event = eventOf(order, "checkout.session.completed");
    // The order's row is locked, so the delivery is caught in the middle of its transaction.
    const release = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const holder = sql.begin(async (tx) => {
      await tx`select 1 from orders where id = ${order.orderId} for update`;
      locked.resolve();
      await release.promise;
    });
    await locked.promise;
    const delivery = local.deliver(event);
    await eventually("the delivery to wait for the order", async () => {
      const waiting = await sql`
        select pid from pg_stat_activity
        where wait_event_type = 'Lock' and query like '%receive_stripe_event%' and datname = current_database()`;
      if (waiting.length === 0) return false;
      await sql`select pg_terminate_backend(${waiting[0]?.["pid"]})`;
      return true;
    });
    const response = await delivery;
    assert.equal(response.status, 500);
    release.resolve();
    await holder;
    assert.equal(await stored(event["id"]), undefined);
    assert.deepEqual(await (await local.deliver(event)).json(), {
      received: true,
      event_id: event["id"],
      outcome: "applied",
    });
    const [row] = await sql`select status from orders where id = ${order.orderId}`;
    assert.equal(row?.["status"], "paid");
  });

  await test.step("slow: a statement that runs out of time is 500, nothing stored; the next delivery lands", async () => {
    const order = await payOrder(stack);
    const event = eventOf(order, "checkout.session.completed");
    // Postgres lets no handler catch a cancelled statement, so the whole transaction goes and Stripe keeps the event.
    await withBrokenFacts(stack, "query_canceled", async () => {
      assert.equal((await local.deliver(event)).status, 500);
    });
    assert.equal(await stored(event["id"]), undefined);
    assert.equal((await (await local.deliver(event)).json()).outcome, "applied");
    assert.equal((await sql`select status from orders where id = ${order.orderId}`)[0]?.["status"], "paid");
  });

  await test.step("serialization failure while applying: stored, queued, healed", async () => {
    const order = await payOrder(stack);
    const event = eventOf(order, "checkout.session.completed");
    await withBrokenFacts(stack, "serialization_failure", async () => {
      assert.equal((await (await local.deliver(event)).json()).outcome, "queued");
    });
    const row = await stored(event["id"]);
    assert.equal(row?.["status"], "failed");
    assert.match(String(row?.["last_error"]), /^40001/);
    assert(row?.["next_attempt_at"] instanceof Date);
    assert.equal(
      (await sql`select status from orders where id = ${order.orderId}`)[0]?.["status"],
      "pending",
    );
    await healAndCheck(order.orderId, event);
  });

  await test.step("serialization failure of the whole transaction: repeated at once, unseen by Stripe", async () => {
    let failures = 2;
    const flaky = webhookFunction(stack, {}, (input, init) => {
      if (!String(input).includes("receive_stripe_event") || failures-- <= 0) return fetch(input, init);
      const body = { code: "40001", message: "could not serialize access", details: null, hint: null };
      return Promise.resolve(Response.json(body, { status: 500 }));
    });
    const event = foreignEvent();
    const response = await flaky.deliver(event);
    assert.equal((await response.json()).outcome, "ignored");
    assert.equal(flaky.calls.filter((call) => call === "receive_stripe_event").length, 3);
    assert.equal((await stored(event["id"]))?.["delivery_count"], 1);
  });

  await test.step("answer lost after the commit: 500, and the next delivery is a duplicate", async () => {
    const deaf = webhookFunction(stack, {}, async (input, init) => {
      const response = await fetch(input, init);
      if (!String(input).includes("receive_stripe_event")) return response;
      await response.body?.cancel();
      throw new TypeError("connection reset");
    });
    const event = foreignEvent();
    assert.equal((await deaf.deliver(event)).status, 500);
    assert.equal((await (await local.deliver(event)).json()).outcome, "duplicate");
  });

  await test.step("poison: a payload that no translator understands is stored, retried, and dead with an alert in the end", async () => {
    const id = newEventId();
    const event = {
      ...foreignEvent(id),
      type: "charge.dispute.created",
      data: { object: { id: "du_poison", object: "dispute", currency: { not: "a currency" } } },
    };
    const response = await local.deliver(event);
    assert.equal((await response.json()).outcome, "queued");
    assert.match(String((await stored(id))?.["last_error"]), /^translation failed/);
    // A second delivery tries again and is still not lost.
    assert.equal((await (await local.deliver(event)).json()).outcome, "queued");
    await sql`update private.jobs set attempts = max_attempts - 1, run_at = now() where payload ->> 'event_id' = ${id}`;
    const tally = await runJobs();
    assert(tally.dead >= 1, JSON.stringify(tally));
    assert.equal((await stored(id))?.["status"], "dead");
    const alerts = await sql`select 1 from alerts where kind = 'job_dead' and dedupe_key like ${`%${id}`}`;
    assert.equal(alerts.length, 1);
  });

  await test.step("an outage of the list of addresses costs no delivery", async () => {
    const blind = webhookFunction(
      stack,
      {},
      (input, init) =>
        String(input).includes("get_webhook_allowlist")
          ? Promise.reject(new TypeError("down"))
          : fetch(input, init),
    );
    assert.equal((await blind.deliver(foreignEvent(), { address: "203.0.113.50" })).status, 200);
  });

  await test.step("createCall() reports an unreachable database as 503, a refused key as 500", async () => {
    const env = { supabaseUrl: "http://127.0.0.1:9", secretKeys: { default: stack.secret_key } };
    await assert.rejects(createCall(env)("count_jobs", {}), {
      code: "database_unavailable",
      retryable: true,
    });
    const wrongKey = createCall({
      supabaseUrl: stack.api_url,
      secretKeys: { default: stack.publishable_key },
    });
    await assert.rejects(wrongKey("count_jobs", {}), { code: "internal_error" });
  });

  await test.step("keeps every invariant", async () => {
    assert.deepEqual([...await sql`select * from check_invariants()`], []);
  });

  async function healAndCheck(orderId: string, event: Record<string, unknown>): Promise<void> {
    await sql`update private.jobs set run_at = now() where payload ->> 'event_id' = ${String(event["id"])}`;
    await runJobs();
    assert.equal((await stored(event["id"]))?.["status"], "processed");
    assert.equal((await sql`select status from orders where id = ${orderId}`)[0]?.["status"], "paid");
  }
});

/** Makes every write of a session's state fail with a condition while `work` runs. */
async function withBrokenFacts(
  { sql }: Awaited<ReturnType<typeof testStack>>,
  condition: "query_canceled" | "serialization_failure",
  work: () => Promise<void>,
): Promise<void> {
  await sql.unsafe(`
    create function private.break_for_test() returns trigger language plpgsql as $$
    begin raise exception 'broken for a test' using errcode = '${condition}'; end $$;
    create trigger break_for_test before update on public.checkout_sessions
      for each row execute function private.break_for_test()`);
  try {
    await work();
  } finally {
    await sql.unsafe(
      `drop trigger break_for_test on public.checkout_sessions; drop function private.break_for_test()`,
    );
  }
}
