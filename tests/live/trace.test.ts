/** `deno task trace`: the whole story of an order, and nothing of the person who bought it. */
import assert from "node:assert/strict";
import { checkout, drain, flush, pay, plentySku } from "../integration/jobs/shop.ts";
import { type TestStack, testStack } from "../support/stack.ts";
import { shows } from "../support/words.ts";

interface Trace {
  order: { number: string; order_id: string; status: string };
  trace_id: string;
  moments: { at: string; kind: string; what: string; detail: Record<string, unknown> }[];
}

async function trace(stack: TestStack, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", new URL("../../scripts/live/trace.ts", import.meta.url).pathname, ...args],
    env: { LOCAL_DIR: stack.dir, SUPABASE_URL: "", SUPABASE_SECRET_KEYS: "" },
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

async function traceOf(stack: TestStack, name: string): Promise<Trace> {
  const { code, out, err } = await trace(stack, name, "--json");
  assert.equal(code, 0, err);
  return JSON.parse(out);
}

const email = "ada.lovelace@example.com";

/** Bought with a declined card first, disputed, and cancelled: its refund waits for the bank; a mail of it has failed. */
async function eventfulOrder(stack: TestStack) {
  const order = await checkout(stack, plentySku, 1, email);
  await pay(stack, order.session_id, "4000000000000002");
  await pay(stack, order.session_id, "4000000000000259");
  await flush(stack);
  await drain(stack);
  const { sql } = stack;
  await sql`select public.cancel_order(${order.order_number}, 'charged back')`;
  await drain(stack);
  await flush(stack);
  await sql`update private.jobs set last_error = 'refused: Jenny Rosen <ada.lovelace@example.com>, not staff@example.com'
    where kind = 'send_mail' and payload ->> 'notification_id' in
      (select id::text from public.notifications where order_id = ${order.order_id})`;
  return order;
}

Deno.test("deno task trace tells an order's whole story, in order of time, by whatever name", async (test) => {
  await using stack = await testStack({ web: true });
  const order = await eventfulOrder(stack);
  const stranger = await checkout(stack);
  await pay(stack, stranger.session_id);
  await flush(stack);
  await stack.sql`select public.request_refund(${stranger.order_number}, 500, 'requested_by_customer')`;
  await drain(stack);
  await flush(stack);
  await stack.sql`select public.mark_fulfilled(${stranger.order_number}, 'UPS', '1Z12345E0205271688')`;
  const story = await traceOf(stack, order.order_number);
  const kinds = (kind: string) => story.moments.filter((moment) => moment.kind === kind);
  const namesOf = (kind: string) => [...new Set(kinds(kind).map(({ what }) => what))].sort();

  await test.step("every kind of thing is in it", () => {
    assert.equal(story.order.number, order.order_number);
    assert.equal(story.trace_id, order.order_id.replaceAll("-", ""));
    assert.deepEqual(namesOf("request"), ["order_created"]);
    assert.equal(kinds("session").length, 1);
    assert.deepEqual(namesOf("attempt"), ["failed", "succeeded"]);
    assert.deepEqual(namesOf("payment"), ["succeeded"]);
    assert.deepEqual(namesOf("refund"), ["refund_request_disputed"]);
    assert.deepEqual(namesOf("staff"), ["cancel_order"]);
    assert.equal(kinds("dispute").length, 1);
    assert(namesOf("alert").includes("dispute_opened"), String(namesOf("alert")));
    assert(namesOf("mail").includes("order_confirmation"), String(namesOf("mail")));
    for (const kind of ["refund_payment", "send_alert", "send_mail", "submit_dispute_evidence"]) {
      assert(namesOf("job").includes(kind), `${kind} in ${namesOf("job")}`);
    }
    for (const type of ["checkout.session.completed", "charge.failed", "charge.dispute.created"]) {
      assert(namesOf("event").includes(type), `${type} in ${namesOf("event")}`);
    }
    for (const { detail } of kinds("event")) {
      assert.equal(typeof detail["lag_seconds"], "number");
      assert.deepEqual([detail["status"], typeof detail["settled"]], ["processed", "string"]);
    }
    const times = story.moments.map(({ at }) => Date.parse(at));
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
  });

  await test.step("it has nothing of the buyer, and nothing of another order", () => {
    const text = JSON.stringify(story);
    for (const word of ["jenny", "rosen", "lovelace", "example.com", "0259"]) {
      assert(!shows(text, word), `${word} in ${text}`);
    }
    assert(text.includes("refused: ***"), "what a provider said stays otherwise");
    assert(!text.includes(stranger.session_id) && !text.includes(stranger.order_id));
  });

  await test.step("a refund is told, and a parcel without what its carrier's page would show of the buyer", async () => {
    const { moments } = await traceOf(stack, stranger.session_id);
    const told = moments.filter(({ kind }) => ["parcel", "refund", "staff"].includes(kind)).map(({ what }) =>
      what
    );
    assert.deepEqual(told.sort(), [
      "mark_fulfilled",
      "refund_request_done",
      "refund_succeeded",
      "request_refund",
      "shipped",
    ]);
    assert(!JSON.stringify(moments).includes("1Z12345"));
  });

  await test.step("its id, and the ids of what belongs to it, lead to it", async () => {
    const idOf = (kind: string) => String(kinds(kind)[0]?.detail["id"]);
    const names = ["payment", "attempt", "refund", "dispute", "event", "mail", "alert"].map(idOf);
    const { sql } = stack;
    for (const name of [order.order_id, story.trace_id, order.session_id, ...names]) {
      const [row] = await sql`select (public.get_order_trace(${name})).order_id`;
      assert.equal(row?.["order_id"], order.order_id, name);
    }
    assert.equal((await traceOf(stack, order.session_id)).order.order_id, order.order_id);
  });

  await test.step("an event outlives its payload in it, and one that failed is there", async () => {
    const { sql } = stack;
    const [event] = await sql`update public.webhook_events set payload = '{"purged": true}'
      where object_id = ${order.session_id} returning id`;
    await sql`insert into public.webhook_events (id, type, status, livemode, stripe_created_at, last_error, payload)
      values ('evt_failed', 'charge.updated', 'failed', false, now(), 'XX000: broken', ${
      sql.json({ data: { object: { id: "ch_unheard_of", metadata: { order_id: order.order_id } } } })
    })`;
    const ids = (await traceOf(stack, order.order_id)).moments.map(({ detail }) => detail["id"]);
    assert(ids.includes(event?.["id"]) && ids.includes("evt_failed"));
    await sql`delete from public.webhook_events where id = 'evt_failed'`;
  });

  await test.step("the table has a line for each moment, and no colours where it is piped", async () => {
    const { code, out } = await trace(stack, order.order_number);
    assert.equal(code, 0);
    assert.match(out, new RegExp(`^Order ${order.order_number}: .*test mode\nid ${order.order_id}, trace `));
    assert.match(
      out,
      /\n *\+\d+\.\d{3} s +\d+\.\d{3} s +event +checkout\.session\.completed +evt_\w+, processed/,
    );
    assert(!out.includes("\u001b"));
    assert(out.trimEnd().split("\n").length >= story.moments.length + 4);
  });

  await test.step("what nothing is known of is one line and code 1", async () => {
    const { code, out, err } = await trace(stack, "KCT-1");
    assert.deepEqual([code, out], [1, ""]);
    assert.match(
      err,
      /^the stack in .* knows nothing called KCT-1 \(SHORD\): give the order's number or id[^\n]*\n$/,
    );
  });
});
