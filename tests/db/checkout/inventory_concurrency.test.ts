/** Many buyers at once on real connections: exactly the stock is sold, and everybody gets an answer. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { asRole } from "../../support/role.ts";
import {
  addVariants,
  applyFacts,
  attachSession,
  beginCheckout,
  type Begun,
  isRefusal,
  levels,
  type Refusal,
  refusalOf,
  sessionFact,
  tryCheckout,
  violations,
} from "./cart_support.ts";

/** Far more than the cores: lock queues form. Each connection plans every function anew. */
const connectionCount = 24;

function split(answers: (Begun | Refusal)[]): { sold: Begun[]; refused: Refusal[] } {
  return {
    sold: answers.filter((answer): answer is Begun => !isRefusal(answer)),
    refused: answers.filter(isRefusal),
  };
}

/** A small generator with a seed, so that a failing run can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

Deno.test("begin_checkout() sells 50 units to 500 concurrent buyers exactly", async () => {
  await using database = await createTestDatabase();
  await using pool = poolOf(database.url);
  await addVariants(database.sql, [{ sku: "LAST-50", onHand: 50 }]);

  const buyers = Array.from(
    { length: 500 },
    () => tryCheckout(pool.sql, { items: [{ sku: "LAST-50", quantity: 1 }], key: crypto.randomUUID() }),
  );
  const { sold, refused } = split(await Promise.all(buyers));

  assert.equal(sold.length, 50);
  assert.equal(refused.length, 450);
  for (const refusal of refused) {
    assert.deepEqual(refusal, {
      sqlstate: "SHSTK",
      detail: [{ sku: "LAST-50", requested: 1, available: 0 }],
    });
  }
  assert.deepEqual(await levels(database.sql).then((all) => all.get("LAST-50")), {
    sku: "LAST-50",
    on_hand: 50,
    reserved: 50,
    committed: 0,
    available: 0,
  });
  assert.deepEqual(await violations(database.sql), []);
});

Deno.test("begin_checkout() gives 500 concurrent mixed carts over 20 SKUs all or nothing, without a deadlock, while staff adjust stock", async () => {
  await using database = await createTestDatabase();
  await using pool = poolOf(database.url);
  const skus = Array.from({ length: 20 }, (_, at) => `MIX-${String(at).padStart(2, "0")}`);
  const startStock = 30;
  await addVariants(database.sql, skus.map((sku) => ({ sku, onHand: startStock })));

  const random = seeded(20_261_101);
  const carts = Array.from({ length: 500 }, () => {
    const chosen = skus.map((sku) => ({ sku, at: random() })).sort((a, b) => a.at - b.at).slice(
      0,
      1 + Math.floor(random() * 6),
    );
    return chosen.map(({ sku }) => ({ sku, quantity: 1 + Math.floor(random() * 3) }));
  });
  const adjustments = Array.from(
    { length: 80 },
    (_, at) => ({ sku: skus[at % skus.length] ?? "", delta: at % 3 === 0 ? -2 : 3 }),
  );

  const deadlocksBefore = await deadlocks(database.sql);
  const [answers, adjusted] = await Promise.all([
    Promise.all(carts.map((items) => tryCheckout(pool.sql, { items, key: crypto.randomUUID() }))),
    Promise.all(adjustments.map(({ sku, delta }) => adjust(pool.sql, sku, delta))),
  ]);
  const { sold, refused } = split(answers);
  assert.ok(sold.length > 50 && refused.length > 50, `${sold.length} sold, ${refused.length} refused`);

  const received = new Map(skus.map((sku) => [sku, startStock]));
  adjusted.forEach((done, at) => {
    const { sku, delta } = adjustments[at] ?? { sku: "", delta: 0 };
    if (done) received.set(sku, (received.get(sku) ?? 0) + delta);
  });
  const wanted = new Map<string, number>();
  for (const order of sold) {
    for (const { sku, quantity } of order.items) wanted.set(sku, (wanted.get(sku) ?? 0) + quantity);
  }
  for (const level of (await levels(database.sql)).values()) {
    assert.equal(level.on_hand, received.get(level.sku), `${level.sku}: every adjustment counts once`);
    assert.equal(
      level.reserved,
      wanted.get(level.sku) ?? 0,
      `${level.sku}: reserved is what the orders hold`,
    );
    assert.ok(level.available >= 0, `${level.sku}: never below zero`);
  }
  const [journal] = await database.sql<{ sum: number; commands: number }[]>`
    select (select sum(change)::int from public.inventory_journal) as sum,
      (select count(*)::int from public.staff_commands where command = 'adjust_inventory') as commands`;
  assert.equal(journal?.sum, [...received.values()].reduce((sum, count) => sum + count, 0));
  assert.equal(journal?.commands, adjusted.filter(Boolean).length, "each adjustment is audited");
  assert.equal(await deadlocks(database.sql), deadlocksBefore);
  for (const refusal of refused) {
    assert.equal(refusal.sqlstate, "SHSTK");
    const lines = refusal.detail as { sku: string; requested: number; available: number }[];
    assert.ok(lines.length > 0);
    for (const line of lines) assert.ok(line.available < line.requested && line.available >= 0);
  }
  assert.deepEqual(await violations(database.sql), []);
});

Deno.test("buying, paying, expiring, resuming and counting stock side by side lose nothing and wait for nobody in a circle", async () => {
  await using database = await createTestDatabase();
  await using pool = poolOf(database.url);
  const skus = ["BUSY-1", "BUSY-2", "BUSY-3", "BUSY-4"];
  await addVariants(database.sql, skus.map((sku) => ({ sku, onHand: 60 })));
  const random = seeded(7);
  const plans = Array.from({ length: 240 }, (_, at) => ({
    key: `key-${at % 200}`,
    // Few from each: what one network holds unpaid has a limit.
    ip: `203.0.113.${at % 20}`,
    items: skus.filter(() => random() < 0.6).map((sku) => ({ sku, quantity: 1 })),
    ending: random(),
  })).map((plan) => plan.items.length > 0 ? plan : { ...plan, items: [{ sku: "BUSY-1", quantity: 1 }] });
  const deadlocksBefore = await deadlocks(database.sql);

  const buy = async ({ key, ip, items, ending }: (typeof plans)[number]): Promise<string> => {
    const begun = await tryCheckout(pool.sql, { items, key, velocityMode: "enforce", ip });
    if (isRefusal(begun)) return begun.sqlstate;
    const session = await attachSession(pool.sql, begun, { id: `cs_${begun.order_id}_${begun.attempt}` });
    if (ending < 0.5) {
      const paid = {
        id: session.id,
        status: "complete",
        payment_status: "paid",
        payment_id: `pi_${begun.order_id}`,
      };
      await applyFacts(pool.sql, [sessionFact(begun, paid)]);
      return "paid";
    }
    if (ending < 0.8) {
      await applyFacts(pool.sql, [sessionFact(begun, { id: session.id, status: "expired" })]);
      await pool.sql`select public.resume_checkout(${begun.order_id}, 1860, 3660)`.catch(refusalOf);
      return "resumed";
    }
    return "open";
  };
  const counting = Array.from(
    { length: 60 },
    (_, at) => adjust(pool.sql, skus[at % skus.length] ?? "", at % 2 === 0 ? 1 : -1),
  );
  const endings = await Promise.all([...plans.map(buy), ...counting.map((done) => done.then(String))]);

  assert.ok(
    endings.includes("paid") && endings.includes("resumed") && endings.includes("open"),
    endings.join(),
  );
  assert.equal(await deadlocks(database.sql), deadlocksBefore);
  assert.deepEqual(await violations(database.sql), []);
});

Deno.test("begin_checkout() sums lines of one SKU before it looks at the stock", async () => {
  await using database = await createTestDatabase();
  await addVariants(database.sql, [{ sku: "TWICE", onHand: 3 }]);

  const refusal = await tryCheckout(database.sql, {
    items: [{ sku: "TWICE", quantity: 2 }, { sku: "TWICE", quantity: 2 }],
  });
  assert.deepEqual(refusal, { sqlstate: "SHSTK", detail: [{ sku: "TWICE", requested: 4, available: 3 }] });

  const begun = await beginCheckout(database.sql, {
    items: [{ sku: "TWICE", quantity: 1 }, { sku: "TWICE", quantity: 2 }],
  });
  assert.deepEqual(begun.items.map(({ sku, quantity }) => ({ sku, quantity })), [{
    sku: "TWICE",
    quantity: 3,
  }]);
});

Deno.test("begin_checkout() refuses a negative line that a larger one would hide", async () => {
  await using database = await createTestDatabase();
  await addVariants(database.sql, [{ sku: "PLUS", onHand: 9 }, { sku: "MINUS", onHand: 9 }]);

  for (const quantity of [0, -3]) {
    const refusal = await tryCheckout(database.sql, {
      items: [{ sku: "PLUS", quantity: 5 }, { sku: "MINUS", quantity }],
    });
    assert.ok(isRefusal(refusal) && refusal.sqlstate === "SHINV", JSON.stringify(refusal));
  }
});

Deno.test("begin_checkout() answers for a hidden product as for one that never existed", async () => {
  await using database = await createTestDatabase();
  await addVariants(database.sql, [{ sku: "HIDDEN", onHand: 9, active: false }]);

  const hidden = await tryCheckout(database.sql, { items: [{ sku: "HIDDEN", quantity: 99 }] });
  const unknown = await tryCheckout(database.sql, { items: [{ sku: "NEVER", quantity: 99 }] });
  assert.deepEqual(hidden, { sqlstate: "SHSKU", detail: ["HIDDEN"] });
  assert.deepEqual(unknown, { sqlstate: "SHSKU", detail: ["NEVER"] });
});

function poolOf(url: string): { sql: postgres.Sql } & AsyncDisposable {
  const sql = postgres(url, { max: connectionCount, onnotice: () => {} });
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}

async function deadlocks(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ deadlocks: number }[]>`
    select deadlocks::int as deadlocks from pg_stat_database where datname = current_database()`;
  return row?.deadlocks ?? 0;
}

/** One staff adjustment; false when stock that checkouts hold forbids it. */
async function adjust(sql: postgres.Sql, sku: string, delta: number): Promise<boolean> {
  try {
    await asRole(sql, "service_role", (tx) => tx`select public.adjust_inventory(${sku}, ${delta}, 'count')`);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "SHSTK") return false;
    throw error;
  }
}
