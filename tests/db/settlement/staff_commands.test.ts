/** The log of staff commands, and what they answer. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { paidOrder, refusal } from "./goods.ts";
import { searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";
import { admin } from "../../support/role.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** The error of a statement that must fail. */
async function refusalOf(statement: PromiseLike<unknown>): Promise<postgres.PostgresError> {
  try {
    await statement;
  } catch (error) {
    if (error instanceof postgres.PostgresError) return error;
    throw error;
  }
  return assert.fail("it was not refused");
}

Deno.test("nobody writes the log under another name or time, nor an answer or order of their own", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber, orderId } } = await paidOrder(tx);
    const other = await beginOrder(tx);
    const write = async (claims: Record<string, unknown>) => {
      await tx`select set_config('request.jwt.claims', ${JSON.stringify(claims)}, true)`;
      const [row] =
        await tx`insert into public.staff_commands (command, args, actor, created_at, order_id, result)
        values ('cancel_order', ${tx.json({ order_number: orderNumber })}, 'somebody else', '2020-01-01',
          ${other.orderId}, '{"ok": false}')
        returning id`;
      const [command] =
        await tx`select actor, created_at > now() - interval '1 hour' as today, order_id, result
        from public.staff_commands where id = ${row?.["id"]}`;
      const [event] = await tx`select data ->> 'actor' as actor from public.order_events
        where order_id = ${orderId} and data ->> 'command_id' = ${row?.["id"]}`;
      assert.deepEqual([command?.["today"], command?.["order_id"], command?.["result"].ok], [
        true,
        orderId,
        true,
      ]);
      assert.equal(event?.["actor"], command?.["actor"]);
      return command?.["actor"];
    };
    const user = crypto.randomUUID();
    assert.equal(await write({ sub: user, app_metadata: { role: "admin" } }), user);
    assert.equal(await write({}), "postgres (somebody else)");
  });
});

Deno.test("facts are applied in the name of what reads them, never in that of staff or of an event", async () => {
  await undone(sql, async (tx) => {
    for (const source of ["staff", "evt_1", crypto.randomUUID(), "", null]) {
      const apply = tx`select public.apply_stripe_facts('[]', ${source}, now())`;
      assert.equal(await refusal(tx, apply), "SHINV", `${source}`);
    }
    for (const source of ["order_status", "reconcile", "job", "checkout"]) {
      assert.equal(await refusal(tx, tx`select public.apply_stripe_facts('[]', ${source}, now())`), null);
    }
  });
});

Deno.test("a refusal says why, and what to do", async () => {
  await undone(sql, async (tx) => {
    const told = async (statement: PromiseLike<unknown>) => {
      await tx`savepoint refused`;
      const { message, hint } = await refusalOf(statement);
      await tx`rollback to savepoint refused`;
      return `${message}; ${hint}`;
    };
    const { orderNumber: unpaid } = await beginOrder(tx);
    assert.match(
      await told(tx`select public.request_refund(${unpaid})`),
      /has no money to give back \(status pending\).*cancel_order\(\)/,
    );
    assert.match(await told(tx`select public.mark_fulfilled(${unpaid})`), /must not ship.*that is paid/);
    assert.match(
      await told(tx`select public.release_review(${unpaid})`),
      /not held for review.*orders_needing/,
    );
    assert.match(
      await told(tx`select public.submit_dispute_evidence('dp_nope')`),
      /there is no dispute dp_nope/,
    );

    const story = await paidOrder(tx);
    const { orderNumber, orderId } = story.frame;
    await tx`select public.request_refund(${orderNumber})`;
    assert.match(
      await told(tx`select public.request_refund(${orderNumber})`),
      /has been given back, or is on its way/,
    );
    await tx`select private.settle_order(${orderId}, 'test')`;
    assert.match(
      await told(tx`select public.mark_fulfilled(${orderNumber})`),
      /fulfilment on_hold.*Held by: refund_under_way/,
    );
  });
});

Deno.test("a refused command leaves no row in the log", async () => {
  await undone(sql, async (tx) => {
    assert.equal(await refusal(tx, tx`select public.cancel_order('KCT-0')`), "SHORD");
    assert.equal(await refusal(tx, tx`select public.release_review('KCT-0')`), "SHORD");
    assert.equal((await tx`select 1 from public.staff_commands`).length, 0);
  });
});

Deno.test("resend_notification() repeats a mail that the order has had, and no other", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber } } = await paidOrder(tx);
    await tx`select public.resend_notification(${orderNumber}, 'order_confirmation')`;
    assert.equal(
      (await tx`select 1 from public.notifications where template = 'order_confirmation'`).length,
      2,
    );
    assert.equal(
      await refusal(tx, tx`select public.resend_notification(${orderNumber}, 'order_shipped')`),
      "SHINV",
    );
    const { message } = await refusalOf(tx`select public.resend_notification(${orderNumber}, 'nope')`);
    assert.equal(message, `order ${orderNumber} has had no mail nope; it has had: order_confirmation`);
  });
});

Deno.test("redrive_webhook_event() queues a dead event again, and has an applied one translated anew", async () => {
  await undone(sql, async (tx) => {
    const story = await paidOrder(tx);
    const [event] = story.events;
    assert(event !== undefined);
    const states = () =>
      tx`select e.status as event, j.status as job, e.next_attempt_at is not null as due
      from public.webhook_events e join private.jobs j on j.dedupe_key = 'retry_event:' || e.id where e.id = ${event.id}`;
    await tx`select public.redrive_webhook_event(${event.id})`;
    assert.deepEqual([...await states()], [{ event: "processed", job: "queued", due: true }]);
    await tx`update public.webhook_events set status = 'dead' where id = ${event.id}`;
    await tx`select public.redrive_webhook_event(${event.id})`;
    assert.deepEqual([...await states()], [{ event: "failed", job: "queued", due: true }]);
    await tx`update public.webhook_events set payload = '{"purged": true}' where id = ${event.id}`;
    assert.equal(await refusal(tx, tx`select public.redrive_webhook_event(${event.id})`), "SHEVT");
    assert.equal(await refusal(tx, tx`select public.redrive_webhook_event('evt_of_nobody')`), "SHEVT");
  });
});

Deno.test("every command is a function whose last arguments are p_dry_run and p_command_id, and may be left out", async () => {
  const [check] = await sql`select pg_get_constraintdef(oid) as text from pg_constraint
    where conname = 'staff_commands_command_known'`;
  const known = [...String(check?.["text"]).matchAll(/'(\w+)'/g)].map(([, name = ""]) => name);
  const functions = await sql`select p.proname as name, pg_get_function_arguments(p.oid) as arguments
    from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname = any (${known})`;
  assert.deepEqual(functions.map(({ name }) => name).sort(), known.sort(), "each has one, and one only");
  for (const { name, arguments: list } of functions) {
    assert(list.endsWith("p_dry_run boolean DEFAULT false, p_command_id uuid DEFAULT NULL::uuid"), name);
  }
});

Deno.test("an id belongs to one command with its arguments: another is refused, and the same answers the same", async () => {
  await undone(sql, async (tx) => {
    const id = crypto.randomUUID();
    const adjust = (delta: number, reason: string | null) =>
      tx`select public.adjust_inventory('COAT-GRY-L', ${delta}, ${reason}, p_command_id => ${id}) as answer`;
    const [first] = await adjust(5, "a box");
    const [second] = await adjust(5, "a box");
    assert.deepEqual(second?.["answer"], first?.["answer"]);
    assert.equal(first?.["answer"].on_hand, 15);
    assert.equal(await refusal(tx, adjust(6, "a box")), "SHINV");
    assert.equal(await refusal(tx, adjust(5, "two boxes")), "SHINV");
    const card = crypto.randomUUID();
    for (const answer of ["first", "again"]) {
      const noted =
        tx`select public.adjust_inventory('COAT-GRY-L', 1, 'for 4242 4242 4242 4242', p_command_id => ${card})`;
      assert.equal(await refusal(tx, noted), null, `${answer}: what the log masks is the same still`);
    }
    const other = tx`select public.set_price('COAT-GRY-L', 500, p_command_id => ${id})`;
    assert.equal(await refusal(tx, other), "SHINV");
  });
});

Deno.test("a command in whose texts a card number was masked is carried out, and repeated, as any other", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber } } = await paidOrder(tx);
    const id = crypto.randomUUID();
    await tx`select set_config('request.jwt.claims', ${JSON.stringify(admin().claims)}, true)`;
    await tx`set local role authenticated`;
    const cancel = (reason: string) =>
      tx`select public.cancel_order(${orderNumber}, ${reason}, p_command_id => ${id}) as answer`;
    const [first] = await cancel("paid with 4242 4242 4242 4242");
    const [second] = await cancel("paid with 4242 4242 4242 4242");
    assert.equal(first?.["answer"].command_id, id);
    assert.deepEqual(second?.["answer"], first?.["answer"]);
    assert.equal(await refusal(tx, cancel("paid with 5555 5555 5555 4444")), "SHINV");
    const [row] = await tx`select args ->> 'reason' as reason from public.staff_commands`;
    assert.equal(row?.["reason"], "paid with card_***4242");
  });
});

Deno.test("one id sent many times at once is carried out once", async () => {
  await using own = await searchDatabase();
  const id = crypto.randomUUID();
  const answers = await Promise.all(
    Array.from({ length: 8 }, () =>
      own
        .sql`select public.adjust_inventory('COAT-GRY-L', 5, 'a box', p_command_id => ${id}) ->> 'on_hand' as there`),
  );
  assert.deepEqual(new Set(answers.map(([row]) => row?.["there"])), new Set(["15"]));
  assert.equal((await own.sql`select 1 from public.staff_commands`).length, 1);
});
