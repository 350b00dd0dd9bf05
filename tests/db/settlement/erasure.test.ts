import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver } from "./arrange.ts";
import { delivery, type Move } from "./moves.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";
import { nonEmpty } from "../../support/non_empty.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

/** What the fixtures' buyer is known by; staff use single names and other spellings. */
const person = String
  .raw`ada@example\.com|turner|alder street|503[^0-9a-z]{0,3}555[^0-9a-z]?0142|203\.0\.113\.24`;

/** Delivers what is new of a story, payloads and all, as the webhook stores them. */
async function tell(tx: Tx, story: Story): Promise<void> {
  for (const event of story.events.splice(0)) {
    const move = delivery(event);
    assert.equal(move.call, "event");
    await deliver(tx, [{ ...move, payload: JSON.parse(JSON.stringify(event)) } as Move]);
  }
}

async function paidOrder(tx: Tx, tag = "T"): Promise<Story> {
  const story = new Story(await beginOrder(tx), 60, tag);
  await attachSession(tx, story, `${tag}a`);
  story.paid(`${tag}a`);
  await tell(tx, story);
  return story;
}

/** Every text, JSON, array and network column of every table that holds the pattern. */
async function traces(tx: Tx, pattern = person): Promise<string[]> {
  const columns = await tx`
    select c.oid::regclass::text as table, a.attname as column
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'private') and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
    order by 1, 2`;
  const found: string[] = [];
  for (const { table, column } of columns) {
    const [row] = await tx.unsafe(
      `select count(*)::int as count from ${table} where "${column}"::text ~* $1`,
      [pattern],
    );
    if (row?.["count"] > 0) found.push(`${table}.${column}`);
  }
  return found;
}

async function erase(tx: Tx, email: string) {
  const [row] = await tx`select public.erase_customer(${email}) as answer`;
  return row?.["answer"];
}

async function refusal(tx: Tx, statement: PromiseLike<unknown>): Promise<string | null> {
  await tx`savepoint refused`;
  const state = await sqlstateOf(statement);
  await tx`rollback to savepoint refused`;
  return state;
}

Deno.test("every column that can hold text stands in retention_rules, once, and no other does", async () => {
  const columns = await sql`
    select n.nspname || '.' || c.relname || '.' || a.attname as name
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid left join pg_type e on e.oid = t.typelem
    where n.nspname in ('public', 'private') and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
      and coalesce(e.typname, t.typname) in ('text', 'varchar', 'bpchar', 'char', 'name', 'json', 'jsonb', 'inet', 'cidr', 'xml')
    order by 1`;
  const rules = await sql`
    select r.table_name || '.' || x.name as name from private.retention_rules r, unnest(r.columns) as x (name) order by 1`;
  assert.deepEqual(rules.map(({ name }) => name).sort(), columns.map(({ name }) => name).sort());
});

Deno.test("what ends the personal data of a table is a function that exists, or a setting", async () => {
  const rules = await sql`select kept, ended_by from private.retention_rules where holds <> 'nothing'`;
  const names = new Set((await sql`select proname from pg_proc`).map(({ proname }) => proname));
  const settings = new Set((await sql`select key from private.settings`).map(({ key }) => key));
  const named = (column: string, pattern: RegExp) =>
    nonEmpty(
      rules.flatMap((rule) => [...String(rule[column]).matchAll(pattern)].map((match) => match.at(-1) ?? "")),
    );
  assert.deepEqual(rules.filter(({ ended_by }) => ended_by === ""), []);
  for (const name of named("ended_by", /(\w+)\(\)/g)) assert(names.has(name), name);
  for (const name of named("kept", /retention_\w+/g)) assert(settings.has(name), name);
});

Deno.test("erasing finds the person in what staff and providers wrote, in dead and foreign events, jobs and alerts", async () => {
  await undone(sql, async (tx) => {
    const story = await paidOrder(tx);
    const { orderId, orderNumber } = story.frame;
    await tx`select public.request_refund(${orderNumber}, 100, 'Turner called, 503-555-0142')`;
    await tx`select public.adjust_inventory('COAT-GRY-L', 1, 'came back from Ada  Turner, ada@example.com')`;
    await tx`select private.record_order_event(${orderId}, 'note', 'staff', '{"text": "ask Turner"}')`;
    await tx`select private.raise_alert('job_dead', 'warning', 'x', '{"error": "resend 422: ADA@example.com"}')`;
    await tx`update private.jobs set last_error = 'resend 422: invalid to address ada@example.com'`;
    await tx`update public.notifications set recipient = 'ada@example.com', last_error = 'no mailbox of Ada Turner'`;
    await tx`update public.webhook_events set status = 'dead', last_error = '22P02 "ada@example.com"'
      where type = 'charge.succeeded'`;
    await tx`insert into public.webhook_events (id, type, status, ignored_reason, livemode, stripe_created_at, payload)
      values ('evt_foreign', 'checkout.session.completed', 'ignored', 'foreign_object', false, now(),
        '{"data": {"object": {"id": "cs_foreign", "customer_details": {"email": "ada@example.com"}}}}')`;
    await tx`update public.payment_attempts set receipt_url = 'https://pay.stripe.com/receipts/x'`;
    const before = await traces(tx);
    for (const column of ["orders.email", "orders.purchase_ip", "webhook_events.payload", "alerts.data"]) {
      assert(before.some((name) => name.endsWith(column)), `${column} has something to erase: ${before}`);
    }

    const { erased } = await erase(tx, "Ada@Example.com ");
    assert.deepEqual(await traces(tx), []);
    assert.equal(erased.orders, 1);
    assert.equal(erased.customers, 1);
    for (const what of ["events", "texts", "stripe_customers"]) assert(erased[what] > 0, what);
    assert.deepEqual(await traces(tx, "receipts/x"), []);
    const [left] = await tx`select
      (select count(*)::int from public.payment_attempts where card_fingerprint is not null) as fingerprints,
      (select count(*)::int from public.payment_attempts where version ~ '[0-9a-f]{32}$') as digests,
      (select amount_paid::int from public.orders) as paid, (select status from public.orders) as status`;
    assert.deepEqual({ ...left }, { fingerprints: 0, digests: 0, paid: 25_800, status: "paid" });
    const jobs = await tx`select payload from private.jobs where kind = 'delete_stripe_customer'`;
    assert.deepEqual(jobs.map(({ payload }) => payload), [{ stripe_customer_id: "cus_T" }]);
    // Its money can still be given back: the job has all that it needs.
    const [refund] = await tx`select payload from private.jobs where kind = 'refund_payment'`;
    assert.deepEqual([refund?.["payload"].amount, refund?.["payload"].reason], [100, null]);
  });
});

Deno.test("erasing a business buyer finds company and tax id in notes and in events that wait", async () => {
  await undone(sql, async (tx) => {
    const { orderNumber, orderId } = (await paidOrder(tx)).frame;
    const business = { name: "Analytical Engines GmbH", tax_ids: [{ type: "eu_vat", value: "DE123456789" }] };
    await tx`update public.checkout_sessions set business = ${tx.json(business)} where order_id = ${orderId}`;
    await tx`update public.webhook_events set status = 'dead',
      payload = jsonb_set(payload, '{data,object,customer_details,business}', ${tx.json(business)})
      where type = 'checkout.session.completed'`;
    await tx`select public.request_refund(${orderNumber}, 100, 'reverse charge, DE123456789')`;
    await tx`select public.adjust_inventory('COAT-GRY-L', 1, 'fetched by Analytical Engines GmbH')`;
    const company = "analytical engines|de123456789";
    const before = await traces(tx, company);
    for (const column of ["webhook_events.payload", "staff_commands.args", "checkout_sessions.business"]) {
      assert(before.some((name) => name.endsWith(column)), `${column} has something to erase: ${before}`);
    }
    await erase(tx, "ada@example.com");
    assert.deepEqual(await traces(tx, company), []);
  });
});

Deno.test("nothing that comes after an erasure brings the person back, and no mail is sent", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    const payment = story.paid("a");
    const late = [...story.events];
    await tell(tx, story);
    await erase(tx, "ada@example.com");
    // The same events again, a redelivery with another id, a refund, a change and the end of the customer.
    await tx`delete from public.webhook_events where type in ('charge.succeeded', 'checkout.session.completed')`;
    story.events.push(...late);
    await tell(tx, story);
    story.refunded(payment, "1", 100);
    const customer = story.customerChanged("ada@example.com");
    customer.deleted();
    await tell(tx, story);
    assert.deepEqual(await traces(tx), []);
    const [order] =
      await tx`select amount_refunded::int as refunded from public.orders where id = ${story.frame.orderId}`;
    assert.equal(order?.["refunded"], 100, "the money is booked all the same");
    const mails =
      await tx`select public.get_notification(n.id) ->> 'problem' as problem from public.notifications n`;
    assert(mails.length > 1);
    for (const { problem } of mails) assert.match(problem, /erased/);
    const stripeIds = await tx`select stripe_customer_id from public.customers`;
    assert.deepEqual(stripeIds.map((row) => row["stripe_customer_id"]), [null]);
    assert.equal((await erase(tx, "ada@example.com")).found, false, "there is nobody left to erase");
  });
});

Deno.test("an address that nobody has is answered as not found, an empty one is refused, and neither changes anything", async () => {
  await undone(sql, async (tx) => {
    await paidOrder(tx);
    const before = await traces(tx);
    for (const email of ["nobody@example.com", "da@example.com", "@example.com", "%"]) {
      const answer = await erase(tx, email);
      assert.deepEqual([answer.ok, answer.found, answer.erased.orders], [false, false, 0], email);
      assert.match(answer.problem, /nothing was erased/);
    }
    for (const email of ["", "  ", null]) {
      assert.equal(await refusal(tx, tx`select public.erase_customer(${email})`), "SHINV", `${email}`);
    }
    assert.deepEqual(await traces(tx), before);
    assert.equal((await tx`select 1 from private.jobs where kind = 'delete_stripe_customer'`).length, 0);
  });
});

Deno.test("another buyer whose address ends alike keeps everything", async () => {
  await undone(sql, async (tx) => {
    const other = await paidOrder(tx, "O");
    await tx`update public.checkout_sessions set email = 'not.ada@example.com'`;
    await tx`update public.orders set email = 'not.ada@example.com'`;
    await tx`update public.customers set email = 'not.ada@example.com'`;
    await tx`update public.webhook_events set payload = replace(replace(payload::text, 'ada@example.com', 'not.ada@example.com'), 'Turner', 'Lovelace')::jsonb`;
    const before = await traces(tx, "not.ada@example.com");
    await paidOrder(tx, "T");
    await erase(tx, "ada@example.com");
    assert.deepEqual(await traces(tx, "not.ada@example.com"), before);
    const [order] = await tx`select email, erased_at from public.orders where id = ${other.frame.orderId}`;
    assert.deepEqual({ ...order }, { email: "not.ada@example.com", erased_at: null });
  });
});

Deno.test("an open checkout of an erased person is ended, and no link opens it again", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    const { orderId } = story.frame;
    await attachSession(tx, story, "a");
    await tx`update public.orders set email = 'ada@example.com' where id = ${orderId}`;
    await erase(tx, "ada@example.com");
    const [job] = await tx`select 1 from private.jobs where kind = 'expire_checkout_session'`;
    assert(job !== undefined);
    const [resumed] =
      await tx`select public.resume_checkout(${orderId}, 1800, 5400) ->> 'outcome' as outcome`;
    assert.equal(resumed?.["outcome"], "cancelled");
  });
});

Deno.test("an order that was never paid loses its personal data after retention_unpaid_days; a paid one does not", async () => {
  await undone(sql, async (tx) => {
    const paid = await paidOrder(tx, "P");
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    story.expired("a");
    await tell(tx, story);
    await tx`update public.orders set email = 'ada@example.com' where id = ${story.frame.orderId}`;
    const purge = async () => {
      const [row] = await tx`select purged from public.purge_old_data(100)`;
      return row?.["purged"].unpaid_orders;
    };
    const addresses = async () =>
      Object.fromEntries(
        (await tx`select id, purchase_ip from public.orders`).map((o) => [o.id, o.purchase_ip]),
      );
    await tx`update public.orders set created_at = now() - interval '89 days'`;
    assert.equal(await purge(), 0);
    await tx`update public.orders set created_at = now() - interval '91 days'`;
    assert.equal(await purge(), 1);
    assert.equal(await purge(), 0);
    assert.deepEqual(await addresses(), {
      [paid.frame.orderId]: "203.0.113.24",
      [story.frame.orderId]: null,
    });
  });
});

Deno.test("a Stripe customer who never bought here leaves no row, and nothing at all after three days", async () => {
  await undone(sql, async (tx) => {
    const stranger = new Story(await beginOrder(tx), 60, "S");
    stranger.customerChanged("ada@example.com");
    await tell(tx, stranger);
    assert.deepEqual(await traces(tx, "ada@example.com"), ["webhook_events.payload"]);
    assert.equal((await tx`select 1 from private.stripe_customers`).length, 0);
    await tx`update public.webhook_events set received_at = now() - interval '4 days'`;
    await tx`select public.purge_old_data(100)`;
    assert.deepEqual(await traces(tx, "ada@example.com"), []);
  });
});

Deno.test("client secrets are not stored with a payload", async () => {
  await undone(sql, async (tx) => {
    const secret = "pi_1_secret_x";
    const payload = { data: { object: { id: "pi_1", client_secret: secret, next_action: { url: secret } } } };
    await tx`select public.receive_stripe_event('evt_secret', 'payment_intent.processing', false, '2026-10-28.endive',
      now(), null, ${tx.json(payload)}, null, 'unsubscribed_type', null, '[]')`;
    const [event] = await tx`select payload from public.webhook_events where id = 'evt_secret'`;
    assert.deepEqual(event?.["payload"], { data: { object: { id: "pi_1" } } });
  });
});

Deno.test("counters of refused checkouts go with the person whom they were kept about", async () => {
  await undone(sql, async (tx) => {
    await paidOrder(tx);
    for (const key of ["ada@example.com", "203.0.113.24/32", "198.51.100.1/32"]) {
      await tx`insert into public.fraud_signals (source_id, kind, severity, data)
        values (${`velocity:${key}`}, 'velocity', 'critical',
          jsonb_build_object('subject_digest', left(private.keyed_digest(${key}), 16)))`;
    }
    await erase(tx, "ada@example.com");
    const left = await tx`select source_id from public.fraud_signals`;
    assert.deepEqual(left.map((row) => row["source_id"]), ["velocity:198.51.100.1/32"]);
  });
});

Deno.test("refused checkouts of one subject are one row a window, counted up: anybody can be refused", async () => {
  await undone(sql, async (tx) => {
    const hit = (digest: string) => ({
      hits: [{
        rule: "r",
        rule_action: "block",
        action: "block",
        window_seconds: 86_400,
        subject_digest: digest,
      }],
    });
    for (const digest of ["a", "a", "b", "a"]) {
      await tx`select private.record_velocity_hits(${tx.json(hit(digest))}, null)`;
    }
    const rows = await tx`select data ->> 'subject_digest' as of, data ->> 'count' as count
      from public.fraud_signals order by 1`;
    assert.deepEqual(rows.map((row) => ({ ...row })), [{ of: "a", count: "3" }, { of: "b", count: "1" }]);
  });
});
