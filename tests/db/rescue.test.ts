/** What a rescue decides by itself: numbers that are taken, goods that were not there, warnings, and what waited. */
import assert from "node:assert/strict";
import { sessionFact } from "./checkout/cart_support.ts";
import { deliver } from "./settlement/arrange.ts";
import { searchDatabase } from "./settlement/search.ts";
import { attachSession, beginOrder } from "./settlement/shop.ts";
import { Story } from "./settlement/story.ts";

const database = await searchDatabase(1_000);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** An order that is paid, and its payment. */
async function paidOrder(tag: string): Promise<{ story: Story; orderId: string; paymentId: string }> {
  const story = new Story(await beginOrder(sql), 60, tag);
  await attachSession(sql, story, "a");
  const { id: paymentId } = story.paid("a");
  await deliver(sql, story.moves);
  return { story, orderId: story.frame.orderId, paymentId };
}

/** Runs `work` in a rescue of the last hour. */
async function rescued(work: () => Promise<void>): Promise<void> {
  await sql`select public.begin_rescue(now() - interval '1 hour', null)`;
  try {
    await work();
  } finally {
    await sql`select public.finish_rescue()`;
  }
}

const now = () => Math.floor(Date.now() / 1000);

Deno.test("a rescued order whose number was given to another one meanwhile keeps it with -2 behind", async () => {
  const { orderId } = await paidOrder("taken");
  const [taken] = await sql`select o.number, o.currency, i.sku from public.orders o
    join public.order_items i on i.order_id = o.id where o.id = ${orderId}`;
  const id = crypto.randomUUID();
  const order = {
    ...{ id, number: taken?.["number"], attempt: 1, account_id: null, currency: taken?.["currency"] },
    ...{ livemode: false, email: null, locale: null, ui_mode: "hosted_page", prices_include_tax: false },
    ...{ shipping_rates: [], created: now(), expires_at: now() + 1800, open: true },
    lines: [{
      ...{ variant_id: null, sku: taken?.["sku"], name: null, quantity: 1, unit_amount: 100, tax_code: null },
    }],
  };
  const session = sessionFact({ order_id: id, attempt: 1, cart_hash: "x", amount_subtotal: 100 });
  await rescued(async () => {
    const [made] = await sql`select r.* from public.rescue_order(${sql.json(order)}, ${
      sql.json(JSON.parse(JSON.stringify(session)))
    }) r`;
    assert.deepEqual([made?.["outcome"], made?.["number"]], ["made", `${taken?.["number"]}-2`]);
  });
  const [row] = await sql`select status from public.orders where id = ${id}`;
  assert.equal(row?.["status"], "pending");
});

Deno.test("goods that were not there: what was refunded for it says so, and is not refunded again", async () => {
  const { orderId, paymentId } = await paidOrder("sold");
  await rescued(async () => {
    const refund = {
      request_id: `oversold:${paymentId}`,
      order_id: orderId,
      payment_id: paymentId,
      amount: 1,
    };
    const told = { ...refund, created: now(), cause: "oversold", whole: true, restock: false, lines: [] };
    const [news] = await sql`select public.rescue_refund(${sql.json(told)}) as news`;
    const [again] = await sql`select public.rescue_refund(${sql.json(told)}) as news`;
    assert.deepEqual([news?.["news"], again?.["news"]], [true, false]);
  });
  const [order] = await sql`select o.oversold_at is not null as oversold,
      (select string_agg(distinct r.status, ',') from public.inventory_reservations r where r.order_id = o.id) as stock,
      (select count(*)::int from private.jobs j where j.kind = 'refund_payment' and j.status = 'queued'
        and j.payload ->> 'order_id' = o.id::text) as refunds
    from public.orders o where o.id = ${orderId}`;
  assert.deepEqual({ ...order }, { oversold: true, stock: "released", refunds: 0 });
});

Deno.test("events that were passed over are brought back so many at a time, each once", async () => {
  await sql`
    insert into public.webhook_events (id, type, status, ignored_reason, livemode, stripe_created_at, payload)
    select 'evt_passed_' || n, 'charge.failed', 'ignored', 'foreign_object', false, now(), '{}'
    from generate_series(1, 5) n`;
  const listed: string[] = [];
  await rescued(async () => {
    for (let after = ""; listed.length < 10;) {
      const [row] = await sql`select public.list_passed_events(${after}, 2) as ids`;
      const ids: string[] = row?.["ids"];
      if (ids.length === 0) break;
      assert.ok(ids.length <= 2);
      listed.push(...ids);
      after = ids.at(-1) ?? "";
      const [begun] = await sql`select count(*)::int as count from public.webhook_events
        where id like 'evt_passed_%' and next_attempt_at is not null`;
      assert.equal(begun?.["count"], listed.length);
    }
  });
  assert.deepEqual(listed, [1, 2, 3, 4, 5].map((n) => `evt_passed_${n}`));
});

Deno.test("what waited in the backup counts as done where nobody can tell, and runs where it looks first", async () => {
  await sql`select private.enqueue_job(k.kind, 'waits:' || k.kind, '{}', now() + k.later)
    from (values ('send_alert', interval '0'), ('remind_dispute', '1 day'), ('expire_checkout_session', '0'))
      k (kind, later)`;
  await rescued(async () => {
    assert.equal((await sql`select * from public.claim_jobs('test', 10, 60)`).length, 0, "closed");
    await assert.rejects(
      sql`select public.begin_checkout('[]', null, null, null, null, null, null, false, 1860, 3660)`,
      { code: "SHCLO" },
    );
  });
  const jobs = await sql`select kind, status from private.jobs where dedupe_key like 'waits:%' order by kind`;
  assert.deepEqual(jobs.map(({ kind, status }) => [kind, status]), [
    ["expire_checkout_session", "queued"],
    ["remind_dispute", "queued"],
    ["send_alert", "done"],
  ]);
});

Deno.test("while it runs, what a page reads waits, and a job that is about to pay knows what was paid", async () => {
  const { orderId, paymentId } = await paidOrder("reading");
  const refund = {
    ...{ fact: "refund", id: "re_of_the_lost", payment_id: paymentId, charge_id: null, order_id: orderId },
    ...{ amount: 100, currency: "usd", status: "succeeded", created: now() },
  };
  await rescued(async () => {
    for (const [source, merged] of [["order_status", false], ["job", true]] as const) {
      const [row] = await sql`
        select public.apply_stripe_facts(${sql.json([refund])}, ${source}, now()) as merged,
          exists (select from public.refunds r where r.id = ${refund.id}) as before`;
      assert.deepEqual([row?.["merged"], row?.["before"]], [merged, false], source);
    }
  });
  const [row] = await sql`select count(*)::int as refunds from public.refunds where id = ${refund.id}`;
  assert.equal(row?.["refunds"], 1);
});
