/** What all staff commands have in common, and those about prices, alerts, disputes and people. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { admin, asRole, customer, sqlstateOf } from "../../support/role.ts";
import { deliver } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder, SKU } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

async function paidOrder(tx: Tx | postgres.Sql, tag = "T"): Promise<Story> {
  const story = new Story(await beginOrder(tx), 60, tag);
  await attachSession(tx, story, "a");
  story.paid("a");
  await deliver(tx, story.moves);
  story.events.length = 0;
  return story;
}

/** The refusal of a statement, as staff read it in the SQL editor. */
async function refusal(
  tx: Tx,
  statement: string,
  args: postgres.ParameterOrJSON<never>[] = [],
): Promise<string> {
  await tx`savepoint refused`;
  try {
    await tx.unsafe(statement, args);
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error;
    await tx`rollback to savepoint refused`;
    return [error.code, error.message, error.hint].filter(Boolean).join(" | ");
  }
  return assert.fail(`not refused: ${statement}`);
}

Deno.test("amounts that look like major units are caught, and the refusal says what to write", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber } } = await paidOrder(tx);
    const ask = (amount: string) => refusal(tx, `select public.request_refund('${orderNumber}', ${amount})`);
    assert.match(await ask("129.00"), /^SHINV .* 129\.00 USD is 12900 /);
    assert.match(await ask("5"), /^SHREF .* 5 is 0\.05 USD \| For 5 USD write 500\..*p_confirm => true/);
    assert.match(await ask("99"), /^SHREF/);
    assert.match(await refusal(tx, `select public.set_price('${SKU}', 129.00)`), /129\.00 USD is 12900/);
    assert.match(
      await refusal(
        tx,
        `select public.set_price('${SKU}', 129, p_confirm => true) union all
      select public.set_price('${SKU}', 12.5)`,
      ),
      /12\.5 USD is 1250/,
    );
    assert.equal((await tx`select 1 from public.refund_requests`).length, 0);

    await tx`select public.request_refund(${orderNumber}, 5, p_confirm => true)`;
    await tx`select public.request_refund(${orderNumber}, 100)`;
    const asked = await tx`select amount::int from public.refund_requests order by amount`;
    assert.deepEqual(asked.map(({ amount }) => amount), [5, 100]);
  });
});

Deno.test("a currency without decimals has no amount that is too small", async () => {
  const [units] = await sql`select private.major_unit('jpy') as jpy, private.major_unit('usd') as usd,
    private.major_unit('kwd') as kwd, private.read_amount('5', 'jpy', false)::int as five`;
  assert.deepEqual({ ...units }, { jpy: 1, usd: 100, kwd: 1_000, five: 5 });
});

Deno.test("a dry run tells what would happen, and nothing happens", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber } } = await paidOrder(tx);
    const everything = async () => {
      const [row] = await tx`select search.state(array(select id from public.orders)) as state,
        (select count(*)::int from public.staff_commands) as commands`;
      return row;
    };
    const before = await everything();
    const [row] =
      await tx`select public.request_refund(${orderNumber}, p_restock => true, p_dry_run => true) as refund,
      public.set_price(${SKU}, 13000, p_dry_run => true) as price`;
    assert.deepEqual(row?.["refund"], {
      ok: true,
      before: { status: "paid", fulfillment_status: "unfulfilled" },
      amount: 25_800,
      currency: "usd",
      left: 0,
      restock: true,
      status: "paid",
      fulfillment_status: "on_hold",
      mails: ["order_confirmation"],
      stock: [{ sku: SKU, change: -2 }],
      dry_run: true,
    });
    assert.deepEqual([row?.["price"]["was"], row?.["price"]["price_amount"]], [12_900, 13_000]);
    assert.deepEqual(await everything(), before);
    assert.match(
      await refusal(tx, `select public.request_refund('${orderNumber}', 99999, p_dry_run => true)`),
      /^SHREF/,
      "what would be refused is refused",
    );
  });
});

Deno.test("the same command with the same id is carried out once, also from several connections at once", async () => {
  await using own = await searchDatabase();
  const { frame: { orderNumber } } = await paidOrder(own.sql);
  const id = crypto.randomUUID();
  const ask = () =>
    own.sql`select public.request_refund(${orderNumber}, 500, p_command_id => ${id}) ->> 'command_id' as id`;
  const answers = await Promise.all([ask(), ask(), ask(), ask()]);
  assert.deepEqual(answers.map(([row]) => row?.["id"]), [id, id, id, id]);
  assert.equal((await own.sql`select 1 from public.refund_requests`).length, 1);
  const other = own.sql`select public.receive_return(${orderNumber}, p_command_id => ${id})`;
  assert.equal(await sqlstateOf(other), "SHINV", "another command");
});

Deno.test("alerts are acknowledged and resolved by command, which is audited; a resolved one stays resolved", async () => {
  await undone(sql, async (tx) => {
    const story = await paidOrder(tx);
    story.disputed(story.payment("a"), "d", "needs_response");
    await deliver(tx, story.moves);
    const [alert] = await tx`select id from public.alerts where kind = 'dispute_opened'`;
    const state = async () =>
      (await tx`select status from public.alerts where id = ${alert?.["id"]}`)[0]?.["status"];
    await tx`select public.acknowledge_alert(${alert?.["id"]})`;
    assert.equal(await state(), "acknowledged");
    const [row] = await tx`select public.resolve_alert(${alert?.["id"]}, 'they have called') as answer`;
    assert.deepEqual([row?.["answer"]["kind"], row?.["answer"]["was"]], ["dispute_opened", "acknowledged"]);
    await tx`select public.acknowledge_alert(${alert?.["id"]})`;
    await tx`select private.settle_order(${story.frame.orderId}, 'test')`;
    assert.equal(await state(), "resolved");
    const log = await tx`select command, args ->> 'note' as note from public.staff_commands
      where command like '%alert' order by created_at, command`;
    assert.equal(log.filter(({ note }) => note === "they have called").length, 1);
    assert.match(await refusal(tx, `select public.resolve_alert('${crypto.randomUUID()}')`), /^SHINV/);
  });
});

Deno.test("accept_dispute() queues one job while the dispute waits for an answer, and none beside evidence", async () => {
  await undone(sql, async (tx) => {
    const story = await paidOrder(tx);
    const dispute = story.disputed(story.payment("a"), "d", "needs_response");
    await deliver(tx, story.moves);
    story.events.length = 0;
    const id = story.id("du", "d");
    await tx`savepoint evidence`;
    await tx`select public.submit_dispute_evidence(${id})`;
    assert.match(await refusal(tx, `select public.accept_dispute('${id}')`), /evidence .* is on its way/);
    await tx`rollback to savepoint evidence`;
    await tx`select public.accept_dispute(${id}, 'the parcel is lost')`;
    await tx`select public.accept_dispute(${id}, 'again')`;
    assert.equal((await tx`select 1 from private.jobs where kind = 'close_dispute'`).length, 1);
    dispute.closed("lost");
    await deliver(tx, story.moves);
    assert.match(
      await refusal(tx, `select public.accept_dispute('${id}')`),
      /does not wait .* \(status lost\)/,
    );
  });
});

Deno.test("export_person() has all of a person, in any case of the address, and is audited; customers may not ask", async () => {
  await using own = await searchDatabase();
  const story = await paidOrder(own.sql);
  await paidOrder(own.sql, "Other");
  await own
    .sql`update public.checkout_sessions set email = 'grace@example.com' where order_id <> ${story.frame.orderId}`;
  await own
    .sql`update public.customers set email = 'grace@example.com' where stripe_customer_id = 'cus_Other'`;
  await own.sql`select private.settle_order(id, 'test') from public.orders`;
  await own.sql`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z999')`;
  await own.sql`insert into public.mail_suppressions (email_hmac, reason)
    values (private.email_hmac('ada@example.com'), 'bounced'), (private.email_hmac('grace@example.com'), 'complained')`;
  const person = await asRole(own.sql, admin("aal2"), async (tx) => {
    const [row] = await tx`select public.export_person(' ADA@example.com') as person`;
    return row?.["person"];
  });
  assert.deepEqual(person.orders.map((order: { number: string }) => order.number), [story.frame.orderNumber]);
  const [order] = person.orders;
  assert.deepEqual(
    [order.shipping_name, order.items.length, order.shipments[0].tracking_number, order.payments.length],
    ["Ada Turner", 1, "1Z999", 1],
  );
  assert.deepEqual(person.mail_suppressions.map(({ reason }: { reason: string }) => reason), ["bounced"]);
  assert.doesNotMatch(JSON.stringify(person), /grace@example\.com/);
  const [log] = await own.sql`select actor from public.staff_commands where command = 'export_person'`;
  assert.notEqual(log, undefined);
  const asked = asRole(
    own.sql,
    customer(crypto.randomUUID()),
    (tx) => tx`select public.export_person('ada@example.com')`,
  );
  assert.equal(await sqlstateOf(asked), "42501");
  const suppressions = await asRole(
    own.sql,
    customer(crypto.randomUUID()),
    (tx) => tx`select private.suppressions_of('ada@example.com') as of`,
  );
  assert.deepEqual([...suppressions], [{ of: null }]);
});

Deno.test("add_product(), add_variant() and set_price() keep a catalogue; orders that exist keep their price", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderId } } = await paidOrder(tx);
    await tx`select public.add_product('silk-scarf', 'Silk scarf')`;
    await tx`select public.add_variant('silk-scarf', 'SCARF-RED', 4900, 'usd', p_color => 'Red', p_on_hand => 5)`;
    await tx`select public.set_price('SCARF-RED', 5200)`;
    await tx`select public.set_price(${SKU}, 15000)`;
    for (const amount of [11_900, 12_900]) {
      await tx`select public.set_price(${SKU}, ${amount}, p_currency => 'EUR')`;
    }
    const further = await tx`select currency, price_amount::int from public.variant_prices`;
    assert.deepEqual(further.map((row) => ({ ...row })), [{ currency: "eur", price_amount: 12_900 }]);
    assert.match(await refusal(tx, `select public.set_price('${SKU}', 100, p_currency => 'xxx')`), /^SHINV/);
    const prices = await tx`select sku, price_amount::int from public.product_variants order by sku`;
    assert.deepEqual(prices.map((row) => ({ ...row })), [
      { sku: SKU, price_amount: 15_000 },
      { sku: "SCARF-RED", price_amount: 5_200 },
    ]);
    const [item] = await tx`select unit_amount::int from public.order_items where order_id = ${orderId}`;
    assert.equal(item?.["unit_amount"], 12_900);
    assert.match(
      await refusal(tx, "select public.add_product('silk-scarf', 'Again')"),
      /exists already.*add_variant/,
    );
    assert.match(await refusal(tx, "select public.add_product('Silk Scarf', 'X')"), /slug must be/);
    assert.match(await refusal(tx, "select public.set_price('NONE', 100)"), /^SHSKU/);
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});
