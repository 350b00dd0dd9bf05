import assert from "node:assert/strict";
import postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endingOf } from "./arrange.ts";
import { delivery } from "./moves.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

async function paidOrder(tx: Tx): Promise<Story> {
  const story = new Story(await beginOrder(tx), 60, "T");
  await attachSession(tx, story, "a");
  story.paid("a");
  await deliver(tx, story.moves);
  return story;
}

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

async function refusal(tx: Tx, statement: PromiseLike<unknown>): Promise<string | null> {
  await tx`savepoint refused`;
  const state = await sqlstateOf(statement);
  await tx`rollback to savepoint refused`;
  return state;
}

Deno.test("mark_fulfilled() notes the parcel and mails once; a shipped order is neither cancelled nor shipped again", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber, orderId } } = await paidOrder(tx);
    await tx`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z999')`;
    const [order] = await tx`select fulfillment_status, carrier, tracking_number from public.orders o
        join public.shipments s on s.order_id = o.id where o.id = ${orderId}`;
    assert.deepEqual({ ...order }, {
      fulfillment_status: "fulfilled",
      carrier: "UPS",
      tracking_number: "1Z999",
    });
    assert.equal((await tx`select 1 from public.notifications where template = 'order_shipped'`).length, 1);
    assert.equal(await refusal(tx, tx`select public.mark_fulfilled(${orderNumber})`), "SHINV");
    assert.equal(await refusal(tx, tx`select public.cancel_order(${orderNumber})`), "SHINV");
  });
});

/** The mails about an order's parcel: what each says, and why it would not be sent. */
async function parcelMails(tx: Tx, orderId: string) {
  const rows = await tx`select n.data, private.notification_problem(n, o) as problem
    from public.notifications n join public.orders o on o.id = n.order_id
    where n.order_id = ${orderId} and n.template = 'order_shipped' order by n.dedupe_key, n.data ->> 'tracking_number'`;
  return rows.map(({ data, problem }) => [data.tracking_number, data.corrected ?? null, problem]);
}

Deno.test("mark_fulfilled() corrects carrier and tracking number of a shipped order, and mails each correction once", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber, orderId } } = await paidOrder(tx);
    await tx`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z-WRONG')`;
    assert.deepEqual(await parcelMails(tx, orderId), [["1Z-WRONG", null, null]]);
    const [before] = await tx`select fulfilled_at from public.orders where id = ${orderId}`;

    // Not sent yet: the mail that waits would be wrong, so the other one goes in its stead.
    await tx`select public.mark_fulfilled(${orderNumber}, null, '1Z-BETTER')`;
    const wrong = "the tracking number has been corrected since";
    assert.deepEqual(await parcelMails(tx, orderId), [["1Z-WRONG", null, wrong], ["1Z-BETTER", false, null]]);

    await tx`update public.notifications set status = 'sent' where data ->> 'tracking_number' = '1Z-BETTER'`;
    await tx`select public.mark_fulfilled(${orderNumber}, 'DHL', '1Z-RIGHT')`;
    assert.deepEqual((await parcelMails(tx, orderId)).filter(([, , problem]) => problem === null), [
      ["1Z-RIGHT", true, null],
    ]);
    const [order] =
      await tx`select fulfillment_status, carrier, tracking_number, fulfilled_at from public.orders o
      join public.shipments s on s.order_id = o.id where o.id = ${orderId}`;
    assert.deepEqual({ ...order }, {
      fulfillment_status: "fulfilled",
      carrier: "DHL",
      tracking_number: "1Z-RIGHT",
      fulfilled_at: before?.["fulfilled_at"],
    });

    const again = tx`select public.mark_fulfilled(${orderNumber}, 'DHL', '1Z-RIGHT')`;
    assert.equal(await refusal(tx, again), "SHINV", "nothing to correct");
    assert.equal((await parcelMails(tx, orderId)).length, 3);
    await tx`select public.resend_notification(${orderNumber}, 'order_shipped')`;
    assert.deepEqual((await parcelMails(tx, orderId)).at(-1), ["1Z-RIGHT", null, null]);
  });
});

Deno.test("nothing promises goods of an order that will not be sent: neither a mail that waits nor one that staff send again", async () => {
  const ends: Record<string, (tx: Tx, story: Story) => Promise<unknown>> = {
    "cancelled": (tx, story) => tx`select public.cancel_order(${story.frame.orderNumber})`.execute(),
    "refunded": (tx, story) => {
      story.events.length = 0;
      story.refunded(story.payment("a"), "1", story.frame.amount);
      return deliver(tx, story.moves);
    },
    "shipped and returned": async (tx, story) => {
      await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z')`;
      story.events.length = 0;
      story.refunded(story.payment("a"), "1", story.frame.amount);
      await deliver(tx, story.moves);
      await tx`select public.receive_return(${story.frame.orderNumber})`;
    },
  };
  for (const [name, end] of Object.entries(ends)) {
    await undone(sql, async (tx) => {
      const story = await paidOrder(tx);
      await end(tx, story);
      const promises = await tx`select n.template, public.get_notification(n.id) ->> 'problem' as problem
        from public.notifications n where n.template in ('order_confirmation', 'order_shipped')`;
      assert(promises.length > 0);
      for (const { template, problem } of promises) {
        assert.notEqual(problem, null, `${name}: ${template}`);
        const again = tx`select public.resend_notification(${story.frame.orderNumber}, ${template})`;
        assert.equal(await refusal(tx, again), "SHINV", `${name}: ${template}`);
      }
    });
  }
});

Deno.test("cancel_order() on a pending order frees its stock only when Stripe says that the session is over", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    const open = await endingOf(tx, story);
    assert.deepEqual([open.status, open.stock, open.jobs], ["cancelled", [8 + 2, 2, 0], [
      "expire_checkout_session:a",
    ]]);
    story.expired("a");
    await deliver(tx, story.moves);
    assert.deepEqual((await endingOf(tx, story)).stock, [10, 0, 0]);
  });
});

/** A command with arguments that it takes, and what must be refused of each type. */
const commands: Record<string, Record<string, unknown>> = {
  request_refund: {
    order_number: "KCT-0",
    amount: 100,
    reason: "x",
    restock: true,
    lines: [],
    shipping: true,
    confirm: true,
  },
  assign_refund: { refund_id: "re_0", lines: [], restock: true },
  announce_return: { order_number: "KCT-0", lines: [], reason: "x" },
  close_return: { return_id: "x", note: "x" },
  cancel_order: { order_number: "KCT-0", reason: "x" },
  receive_return: { order_number: "KCT-0", lines: [], note: "x" },
  release_review: { order_number: "KCT-0", note: "x" },
  mark_fulfilled: { order_number: "KCT-0", carrier: "UPS", tracking_number: "1Z", lines: [] },
  correct_shipment: { order_number: "KCT-0", parcel: 1, carrier: "UPS", tracking_number: "1Z" },
  submit_dispute_evidence: { dispute_id: "dp_0", note: "x" },
  resend_notification: { order_number: "KCT-0", template: "order_confirmation" },
  redrive_webhook_event: { event_id: "evt_0" },
  redrive_job: { job_id: 1 },
  erase_customer: { email: "nobody@example.com" },
  adjust_inventory: { sku: "NONE", delta: 1, reason: "x" },
  count_inventory: { counts: [], note: "x" },
  import_inventory: { csv: "NONE,1", note: "x" },
  add_product: { slug: "x", name: "x", description: "x", image_url: "x", active: true },
  set_price: { sku: "COAT-GRY-L", price_amount: 100, confirm: true },
  acknowledge_alert: { alert_id: "x" },
  resolve_alert: { alert_id: "x", note: "x" },
  accept_dispute: { dispute_id: "dp_0", note: "x" },
  export_person: { email: "nobody@example.com" },
  lift_mail_suppression: { email: "nobody@example.com", reason: "bounced" },
  add_variant: {
    product_slug: "none",
    sku: "X",
    price_amount: 1,
    currency: "usd",
    size: "M",
    color: "Blue",
    on_hand: 1,
    confirm: true,
  },
};
const wrong: Record<string, string[]> = {
  string: ["1", "true", "{}", "[]", `"${"x".repeat(20_001)}"`, '"a\\u0001b"'],
  number: ['"1"', '"1e3"', '"NaN"', "1.5", "1e30", "-1e30", "1e400", "true", "{}", "[1]"],
  boolean: ['"banana"', '"true"', "1", "{}", "[true]"],
  object: ['"x"', "1", "{}"],
};

/** Inserts a command past the functions, as an admin's REST call may. */
function insert(tx: Tx, command: string, args: string): PromiseLike<unknown> {
  return tx.unsafe("insert into public.staff_commands (command, args) values ($1, $2::text::jsonb)", [
    command,
    args,
  ]);
}

Deno.test("every staff command has its arguments in this file", async () => {
  const [check] = await sql`select pg_get_constraintdef(oid) as text from pg_constraint
    where conname = 'staff_commands_command_known'`;
  const known = [...String(check?.["text"]).matchAll(/'(\w+)'/g)].map((match) => match[1]).sort();
  assert.deepEqual(known, Object.keys(commands).sort());
  for (const [command, args] of Object.entries(commands)) {
    const fields = await sql`select field from private.staff_command_fields(${command})`;
    assert.deepEqual(fields.map(({ field }) => field).sort(), Object.keys(args).sort(), command);
  }
});

Deno.test("arguments of a command are judged when they are written: no odd one gets in, and the order settles on", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderId, orderNumber } } = await paidOrder(tx);
    for (const [command, valid] of Object.entries(commands)) {
      const args = "order_number" in valid ? { ...valid, order_number: orderNumber } : valid;
      const text = (changes: Record<string, string>) => {
        const fields = Object.entries(args).map(([key, value]) =>
          `${JSON.stringify(key)}: ${changes[key] ?? JSON.stringify(value)}`
        );
        return `{${
          [
            ...fields,
            ...Object.entries(changes).filter(([key]) => !(key in args)).map(([key, value]) =>
              `${JSON.stringify(key)}: ${value}`
            ),
          ].join(", ")
        }}`;
      };
      for (const bad of ["null", "[]", '"x"', "1", text({ unknown: "1" }), text({ __proto: "{}" })]) {
        assert.equal(await refusal(tx, insert(tx, command, bad)), "SHINV", `${command} ${bad}`);
      }
      for (const [field, value] of Object.entries(args)) {
        for (const bad of wrong[typeof value] ?? []) {
          const odd = text({ [field]: bad });
          assert.equal(
            await refusal(tx, insert(tx, command, odd)),
            "SHINV",
            `${command} ${odd.slice(0, 99)}`,
          );
        }
      }
    }
    assert.equal(await refusal(tx, insert(tx, "nonsense", "{}")), "23514");
    assert.equal((await tx`select 1 from public.staff_commands`).length, 0);
    const [settled] = await tx`select private.settle_order(${orderId}, 'test') as status`;
    assert.equal(settled?.["status"], "paid");
  });
});

Deno.test("arguments left empty are as good as none, and a whole number may be written 1.0", async () => {
  await undone(sql, async (tx) => {
    await insert(tx, "adjust_inventory", `{"sku": "COAT-GRY-L", "delta": 10.0, "reason": " "}`);
    const [command] = await tx`select args from public.staff_commands`;
    assert.deepEqual(command?.["args"], { sku: "COAT-GRY-L", delta: 10 });
  });
});

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

Deno.test("adjust_inventory() books goods with a reason and never goes below what checkouts hold", async () => {
  await undone(sql, async (tx) => {
    await beginOrder(tx);
    await tx`select public.adjust_inventory('COAT-GRY-L', -8, 'stocktaking')`;
    const [entry] =
      await tx`select change, kind, note from public.inventory_journal order by id desc limit 1`;
    assert.deepEqual({ ...entry }, { change: -8, kind: "adjustment", note: "stocktaking" });
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('COAT-GRY-L', -1, 'loss')`), "SHSTK");
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('NO-SUCH-SKU', 1, 'found')`), "SHSKU");
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('COAT-GRY-L', 0, 'nothing')`), "SHINV");
  });
});

Deno.test("a stock row with reservations or history, its variant, its product and its orders cannot be deleted, moved or emptied away", async () => {
  await undone(sql, async (tx) => {
    await paidOrder(tx);
    const statements = [
      "delete from public.inventory_levels",
      "update public.inventory_levels set variant_id = gen_random_uuid()",
      "truncate public.inventory_levels",
      "delete from public.product_variants",
      "delete from public.products",
      "delete from public.inventory_reservations",
      "delete from public.orders",
    ];
    for (const statement of statements) {
      const state = await refusal(tx, tx.unsafe(statement));
      assert(["23503", "23001", "0A000", "SHSTK"].includes(`${state}`), `${statement}: ${state}`);
    }
    const addVariant = async (sku: string, onHand: number) => {
      const [variant] = await tx`insert into public.product_variants (product_id, sku, price_amount)
        select id, ${sku}, 1 from public.products returning id`;
      await tx`insert into public.inventory_levels (variant_id, on_hand) values (${
        variant?.["id"]
      }, ${onHand})`;
      return tx`delete from public.inventory_levels where variant_id = ${variant?.["id"]} returning 1`;
    };
    assert.match(`${await refusal(tx, addVariant("RECEIVED", 1))}`, /^23/, "the journal remains");
    assert.equal((await addVariant("NEVER-STOCKED", 0)).length, 1);
  });
});

Deno.test("erase_customer() leaves no name, address or network address of the buyer anywhere", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    const payment = story.paid("a");
    story.disputed(payment, "d", "needs_response");
    story.customerChanged("ada@example.com");
    for (const event of story.events) {
      const move = delivery(event);
      await deliver(tx, [move]);
      await tx`update public.webhook_events set payload = ${
        tx.json(JSON.parse(JSON.stringify(event)))
      } where id = ${event.id}`;
    }
    // Another order of the same guest, of whom only an abandoned payment page knows the address.
    const left = new Story(await beginOrder(tx), 60, "L");
    await attachSession(tx, left, "l");
    left.expired("l");
    await deliver(tx, left.moves);
    const tables =
      await tx`select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('public', 'private') and c.relkind = 'r'`;
    const traces = async () => {
      const found: string[] = [];
      for (const { name } of tables) {
        const [{ count } = { count: 0 }] = await tx.unsafe(
          `select count(*)::int as count from ${name} t
            where t::text ~* 'ada@example\\.com|Ada Turner|Alder Street|5035550142|203\\.0\\.113\\.24'`,
        );
        if (count > 0) found.push(name);
      }
      return found.sort();
    };
    const before = await traces();
    for (
      const table of [
        "public.orders",
        "public.customers",
        "public.checkout_sessions",
        "public.webhook_events",
        "private.stripe_customers",
      ]
    ) {
      assert(before.includes(table), `${table} has something to erase`);
    }
    const erase = () => tx`select public.erase_customer(' ADA@example.com')`;
    assert.equal(await refusal(tx, erase()), "SHINV", "the bank waits for an answer");
    assert.deepEqual(await traces(), before, "a refused erasure changes nothing");
    await tx`update public.disputes set status = 'under_review'`;
    await erase();
    assert.deepEqual(await traces(), []);

    // Settling again brings nothing back, and the books stay.
    await tx`select private.settle_order(${story.frame.orderId}, 'test')`;
    assert.deepEqual(await traces(), []);
    const [order] =
      await tx`select status, amount_paid::int from public.orders where id = ${story.frame.orderId}`;
    assert.deepEqual({ ...order }, { status: "paid", amount_paid: 25_800 });
  });
});
