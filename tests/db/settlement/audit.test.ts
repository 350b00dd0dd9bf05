/** The audit trail: nobody changes a row of it, and who does it past the triggers is found. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { eventually } from "../../support/poll.ts";
import { sqlstateOf } from "../../support/role.ts";
import { type Db, paidOrder, refusal } from "./goods.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";
import { deliver } from "./arrange.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const tables = {
  "order_events": "id",
  "staff_commands": "number",
  "inventory_journal": "id",
};

async function seal(db: Db): Promise<number> {
  const [row] = await db`select private.seal_audit_trail() as rows`;
  return row?.["rows"];
}

async function problems(db: Db): Promise<string[]> {
  return (await db`select invariant, detail from public.check_audit_chain()`).map(({ invariant, detail }) =>
    `${invariant} ${detail.table ?? ""}`.trim()
  );
}

/** Past the triggers, as the owner of the database may. */
async function past(tx: postgres.ReservedSql, statement: string): Promise<void> {
  await tx`set local session_replication_role = replica`;
  await tx.unsafe(statement);
  await tx`set local session_replication_role = default`;
}

/** An order with rows in all three tables, sealed. */
async function sealed(tx: postgres.ReservedSql): Promise<Story> {
  const story = await paidOrder(tx);
  await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z999')`;
  await tx`select public.adjust_inventory('COAT-GRY-L', 1, 'found by Ada Turner')`;
  assert((await seal(tx)) > 5);
  assert.equal(await seal(tx), 0);
  assert.deepEqual(await problems(tx), []);
  return story;
}

for (const [table, number] of Object.entries(tables)) {
  Deno.test(`${table} is append-only, for its owner and the service role too, and the database numbers it`, async () => {
    await undone(sql, async (tx) => {
      await sealed(tx);
      for (
        const statement of [
          `update public.${table} set created_at = now()`,
          `delete from public.${table}`,
          `truncate public.${table} cascade`,
        ]
      ) {
        assert.equal(await refusal(tx, tx.unsafe(statement)), "SHAPP", statement);
        await tx`savepoint service`;
        await tx`set local role service_role`;
        assert.equal(await refusal(tx, tx.unsafe(statement)), "42501", statement);
        await tx`rollback to savepoint service`;
      }
      const columns = await tx`select string_agg(quote_ident(attname), ', ') as list from pg_attribute
        where attrelid = ${`public.${table}`}::regclass and attnum > 0 and attname not in ('id', ${number})`;
      const list = columns[0]?.["list"];
      const between = `insert into public.${table} (${number}, ${list}) overriding system value
        select 0, ${list} from public.${table} limit 1`;
      assert.equal(await refusal(tx, tx.unsafe(between)), "SHAPP", "a number of one's own");
      if (table !== "staff_commands") {
        const several = `insert into public.${table} (${list})
          select ${list} from public.${table}, generate_series(1, 3) limit 3`;
        assert.equal(await refusal(tx, tx.unsafe(several)), null, "several rows at once");
      }
    });
  });

  Deno.test(`${table}: a sealed row that is changed or deleted is found, and one that is slipped in`, async () => {
    const texts = {
      order_events: "data = '{}'",
      staff_commands: "args = '{}'",
      inventory_journal: "note = 'x'",
    };
    const changes: Record<string, string> = {
      "the time": `update public.${table} set created_at = created_at + interval '1 second'`,
      "the text": `update public.${table} set ${texts[table as keyof typeof texts]}`,
      "the row": `delete from public.${table} where ${number} = (select min(${number}) from public.${table})`,
      "its number": `update public.${table} set ${number} = default
        where ${number} = (select min(${number}) from public.${table})`,
      "its leaf":
        `update private.audit_leaves set row_digest = sha256(row_digest) where table_name = 'public.${table}'`,
    };
    for (const [what, change] of Object.entries(changes)) {
      await undone(sql, async (tx) => {
        await sealed(tx);
        await past(tx, change);
        assert.notDeepEqual(await problems(tx), [], what);
      });
    }
    await undone(sql, async (tx) => {
      await sealed(tx);
      await past(
        tx,
        {
          order_events: `insert into public.order_events (order_id, kind, source)
            select order_id, 'invented', 'staff' from public.order_events limit 1`,
          staff_commands:
            `insert into public.staff_commands (command, actor) values ('cancel_order', 'somebody')`,
          inventory_journal: `insert into public.inventory_journal (variant_id, change, kind, actor)
            select variant_id, 1, 'edit', 'somebody' from public.inventory_journal limit 1`,
        }[table] ?? "",
      );
      assert.deepEqual(await problems(tx), [
        `a row of the audit trail is sealed or waits for it public.${table}`,
      ]);
    });
  });
}

Deno.test("a chain that is cut, shortened or made anew in the middle is found", async () => {
  for (
    const change of [
      "delete from private.audit_seals where id = 1",
      "delete from private.audit_leaves where seal_id = 1 and position = 1",
      "delete from private.audit_leaves where seal_id = 2; delete from private.audit_seals where id = 2",
      "update private.audit_seals set digest = sha256(digest) where id = 1",
      "update private.audit_leaves set salt = null",
      "update private.audit_leaves set salt = sha256(salt)",
    ]
  ) {
    await undone(sql, async (tx) => {
      await sealed(tx);
      await tx`select public.adjust_inventory('COAT-GRY-L', 1, 'one more')`;
      await seal(tx);
      assert.deepEqual(await problems(tx), []);
      assert.equal(
        await refusal(tx, tx.unsafe(change.split(";")[0] ?? "")),
        change.endsWith("salt = null") ? null : "SHAPP",
      );
      await past(tx, change);
      assert.notDeepEqual(await problems(tx), [], change);
    });
  }
});

Deno.test("an erasure and retention take their texts with the salt, and the chain stays whole", async () => {
  await undone(sql, async (tx) => {
    const story = await sealed(tx);
    await tx`select public.announce_return(${story.frame.orderNumber}, '[{"sku": "COAT-GRY-L", "quantity": 1}]',
      'Ada says that it is too small')`;
    await seal(tx);
    const texts = async () => {
      const [row] = await tx`select (select string_agg(args::text, '') from public.staff_commands)
        || (select string_agg(note, '') from public.inventory_journal) as text`;
      return String(row?.["text"]);
    };
    assert.match(await texts(), /Ada/);
    await tx`select public.erase_customer('ada@example.com')`;
    assert.doesNotMatch(await texts(), /Ada/);
    assert.deepEqual(await problems(tx), [], "until it is sealed again");
    assert.equal(
      (await tx`select from private.audit_leaves join private.audit_unsealed u using (table_name, row_number)
        where salt is not null`)
        .length,
      0,
      "no salt of a text that has gone",
    );
    await seal(tx);
    assert.deepEqual(await problems(tx), [], "and after");

    // What was erased cannot be written again, nor otherwise.
    await past(
      tx,
      "update public.inventory_journal set note = 'found by Ada Turner' where note like '%erased%'",
    );
    assert.deepEqual(await problems(tx), [
      "a sealed row is there, and says what it said public.inventory_journal",
    ]);
  });
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "U");
    await attachSession(tx, story, "a");
    await tx`select public.cancel_order(${story.frame.orderNumber}, 'Ada has changed her mind')`;
    story.expired("a");
    await deliver(tx, story.moves);
    await seal(tx);
    await tx`update public.orders set created_at = now() - interval '1 year'`;
    await tx`select public.purge_old_data(100)`;
    const [command] = await tx`select args from public.staff_commands`;
    assert.deepEqual(Object.keys(command?.["args"]), ["order_number"]);
    assert.deepEqual(await problems(tx), []);
    await seal(tx);
    assert.deepEqual(await problems(tx), []);
  });
});

Deno.test("what commits late is sealed late, and writers at once wait for nobody", async () => {
  await using own = await searchDatabase();
  const late = postgres(own.url, { max: 1, onnotice: () => {} });
  await late`begin`;
  await late`select public.add_product('begun-first', 'Begun first')`;
  const [first] = await late`select max(number) as number from public.staff_commands`;
  const { orderNumber } = (await paidOrder(own.sql)).frame;
  await own.sql`select public.mark_fulfilled(${orderNumber})`;
  assert((await seal(own.sql)) > 0);
  const [last] = await own.sql`select max(row_number) as number from private.audit_leaves
    where table_name = 'public.staff_commands'`;
  assert(last?.["number"] > first?.["number"], "one that began later is sealed already");
  await late`commit`;
  await late.end();
  assert((await seal(own.sql)) > 0);
  assert.deepEqual(await problems(own.sql), []);
  assert.equal((await own.sql`select 1 from private.audit_unsealed`).length, 0);

  const work = Array.from({ length: 12 }, (_, index) => [
    sqlstateOf(own.sql`select public.adjust_inventory('COAT-GRY-L', ${index + 1}, 'at once')`),
    sqlstateOf(own.sql`select private.seal_audit_trail(3)`),
  ]).flat();
  assert.deepEqual(new Set(await Promise.all(work)), new Set([null]));
  while ((await seal(own.sql)) > 0);
  assert.equal((await own.sql`select 1 from private.audit_unsealed`).length, 0);
  assert.deepEqual(await problems(own.sql), []);
});

/** A sealed row of order_events, and an erasure of its text that is not committed yet. */
async function erasure(url: string, id: string): Promise<postgres.Sql> {
  const eraser = postgres(url, { max: 1, onnotice: () => {} });
  await eraser`begin`;
  await eraser`select set_config('kct.erasing', 'on', true)`;
  await eraser`update public.order_events set data = '{"erased": true}' where id = ${id}`;
  return eraser;
}

Deno.test("an erasure and a seal of the same row at once: the new text is sealed, and the old salt goes", async () => {
  for (const first of ["the seal", "the erasure"] as const) {
    await using own = await searchDatabase();
    await paidOrder(own.sql);
    const [row] = await own.sql`select max(id)::text as id from public.order_events`;
    const id = String(row?.["id"]);
    if (first === "the seal") {
      const sealer = postgres(own.url, { max: 1, onnotice: () => {} });
      await sealer`begin`;
      await sealer`select private.seal_audit_trail()`;
      const erased = erasure(own.url, id);
      await eventually(
        "the erasure to wait for the seal",
        async () =>
          (await own.sql`select 1 from pg_stat_activity
          where wait_event_type = 'Lock' and datname = current_database()`).length > 0,
      );
      await sealer`commit`;
      await sealer.end();
      const eraser = await erased;
      await eraser`commit`;
      await eraser.end();
    } else {
      const eraser = await erasure(own.url, id);
      await seal(own.sql);
      await eraser`commit`;
      await eraser.end();
    }
    const salts = await own.sql`select from private.audit_leaves
      where salt is not null and table_name = 'public.order_events' and row_number = ${id}`;
    assert.equal(salts.length, 0, `${first} first: no salt of a text that has gone`);
    assert.equal(await seal(own.sql), 1, `${first} first: it is sealed again`);
    assert.deepEqual(await problems(own.sql), [], first);
  }
});

Deno.test("the heartbeat seals, looks at every seal once a day, and tells staff what it finds", async () => {
  await undone(sql, async (tx) => {
    await paidOrder(tx);
    await tx`select public.enqueue_periodic_jobs()`;
    assert.equal(await seal(tx), 0, "the heartbeat has");
    await tx`select public.adjust_inventory('COAT-GRY-L', 1, 'one more')`;
    await tx`select private.watch_audit_trail(minute) from generate_series(0, 1439) minute`;
    const alerts = () =>
      tx`select kind, severity, count from public.alerts where kind = 'audit_trail_broken'`;
    assert.equal((await alerts()).length, 0);
    await past(tx, "update public.inventory_journal set change = change + 1 where note = 'one more'");
    await tx`select private.watch_audit_trail(minute) from generate_series(0, 1439) minute`;
    assert.deepEqual([...await alerts()], [{ kind: "audit_trail_broken", severity: "critical", count: 1 }]);
    const [health] = await tx`select public.get_health() #> '{checks,audit}' as audit`;
    assert.equal(health?.["audit"].status, "degraded");
  });
});
