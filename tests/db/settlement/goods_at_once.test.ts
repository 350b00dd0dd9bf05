/** Several members of staff at once, on orders that share their goods: every rule holds, and nobody waits for ever. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { assertInvariants } from "../../support/invariants.ts";
import { type Db, paidCart } from "./goods.ts";
import { firstSeed, randomFrom } from "./runs.ts";
import { searchDatabase } from "./search.ts";

const staffCount = 5;
const roundCount = 12;

type Command = [name: string, args: Record<string, unknown>];

/** A command that may or may not be right for the order. */
function draw(random: () => number, order_number: string): Command {
  const below = (n: number) => Math.floor(random() * n);
  const [one, other] = random() < 0.5 ? ["SHIRT", "TIE"] : ["TIE", "SHIRT"];
  const pieces = (more = {}) => [one, other].slice(below(2)).map((sku) => ({ sku, quantity: 1, ...more }));
  const swap = [{ sku: one, for: other, quantity: 1 }, { sku: other, for: one, quantity: 1 }].slice(below(2));
  const commands: Command[] = [
    ["mark_fulfilled", { order_number, lines: pieces() }],
    ["mark_fulfilled", { order_number, tracking_number: `T${below(3)}` }],
    ["request_refund", { order_number, lines: pieces({ restock: random() < 0.5 }) }],
    ["request_refund", { order_number, shipping: true }],
    ["announce_return", { order_number, lines: pieces() }],
    ["receive_return", { order_number, lines: pieces({ restock: random() < 0.5 }) }],
    ["receive_return", { order_number }],
    ["exchange_return", { order_number, lines: swap }],
    ["cancel_order", { order_number }],
    ["adjust_inventory", { sku: one, delta: 1 }],
    ["count_inventory", { counts: [one, other].map((sku) => ({ sku, counted: 30 })) }],
  ];
  return commands[below(commands.length)] ?? ["cancel_order", { order_number }];
}

/** Carries a command out; a tenth of them dies before it is committed. Returns the SQLSTATE of a refusal. */
async function carryOut(db: Db, [command, args]: Command, dies: boolean): Promise<string | null> {
  await db`begin`;
  try {
    await db`insert into public.staff_commands (command, args)
      values (${command}, ${JSON.stringify(args)}::text::jsonb)`;
    await db.unsafe(dies ? "rollback" : "commit");
    return null;
  } catch (error) {
    await db`rollback`;
    const { code, message } = error as postgres.PostgresError;
    return `${code} ${message}`;
  }
}

Deno.test("staff at once on orders that share their goods: each command whole or not at all, and no deadlock", async () => {
  await using own = await searchDatabase();
  const random = randomFrom(firstSeed);
  const numbers: string[] = [];
  for (const tag of ["A", "B", "C"]) {
    const lines = ["SHIRT", "TIE"].map((sku) => ({ sku, quantity: 2, price: 10_000 }));
    numbers.push((await paidCart(own.sql, { shipping: 500 }, lines, tag)).story.frame.orderNumber);
  }
  const staff = Array.from({ length: staffCount }, () => postgres(own.url, { max: 1, onnotice: () => {} }));
  let kept = 0;
  try {
    for (let round = 0; round < roundCount; round++) {
      const outcomes = await Promise.all(staff.map(async (db) => {
        const command = draw(random, numbers[Math.floor(random() * numbers.length)] ?? "");
        const dies = random() < 0.1;
        const refused = await carryOut(db, command, dies);
        return { command, refused, kept: refused === null && !dies };
      }));
      for (const { command, refused } of outcomes) {
        assert.match(refused ?? "SH", /^SH/, `CONVERGENCE_SEED=${firstSeed} ${JSON.stringify(command)}`);
      }
      kept += outcomes.filter((outcome) => outcome.kept).length;
      assert.deepEqual([...await own.sql`select * from public.check_invariants()`], []);
    }
  } finally {
    for (const db of staff) await db.end();
  }
  const [log] = await own.sql`select count(*)::int as n,
    count(*) filter (where order_id is not null and not exists (
      select 1 from public.order_events e where e.order_id = c.order_id and e.data ->> 'command_id' = c.id::text
    ))::int as unnamed from public.staff_commands c`;
  assert.deepEqual({ ...log }, { n: kept, unnamed: 0 });
  assert(kept > 8, `${kept} commands were carried out`);
  await assertInvariants(own.sql);
});
