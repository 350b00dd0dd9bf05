/** What tests of goods do: a paid cart, its parcels, returns and refunds. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endRefundJob } from "./arrange.ts";
import { attachSession, beginCart, beginOrder, type CartLine } from "./shop.ts";
import { type Extras, type Payment, Story } from "./story.ts";

export type Db = postgres.ReservedSql | postgres.Sql;
export type Answer = Record<string, unknown>;
/** Pieces that a command names. */
export interface Line {
  sku: string;
  quantity: number;
  restock?: boolean;
}

/** Three shirts at 100 and a tie at 50. */
export const cart: CartLine[] = [{ sku: "SHIRT", quantity: 3, price: 10_000 }, {
  sku: "TIE",
  quantity: 1,
  price: 5_000,
}];

/** A paid order of the shop's only variant. */
export async function paidOrder(db: Db): Promise<Story> {
  const story = new Story(await beginOrder(db), 60, "T");
  await attachSession(db, story, "a");
  story.paid("a");
  await deliver(db, story.moves);
  return story;
}

/** Three shirts at 100 and a tie at 50, paid. */
export async function paidCart(
  db: Db,
  extras: Extras = {},
  lines = cart,
  tag = "T",
): Promise<{ story: Story; payment: Payment }> {
  const story = new Story(await beginCart(db, lines), 60, tag);
  await attachSession(db, story, "a");
  const payment = story.paid("a", extras);
  await tell(db, story);
  return { story, payment };
}

/** Delivers what has happened in the story since. */
export async function tell(db: Db, story: Story): Promise<void> {
  await deliver(db, story.moves);
  story.events.length = 0;
}

/** Asks for the money of pieces, or of all; `named`: further arguments. */
export function refund(db: Db, story: Story, lines: Line[] | null, named = "") {
  return db.unsafe(
    `select public.request_refund($1, p_lines => $2::text::jsonb ${named}) as answer`,
    [story.frame.orderNumber, lines === null ? null : JSON.stringify(lines)],
  );
}

/** Takes pieces in, or all. */
export function receive(db: Db, story: Story, lines: Line[] | null) {
  return db.unsafe("select public.receive_return($1, $2::text::jsonb) as answer", [
    story.frame.orderNumber,
    lines === null ? null : JSON.stringify(lines),
  ]);
}

/** What a command answered. */
export function answerOf(rows: readonly postgres.Row[]): Answer {
  return rows[0]?.["answer"];
}

/** Stripe makes the refund that a command asked for. */
export async function succeed(
  db: Db,
  story: Story,
  payment: Payment,
  answer: Answer,
  name = "1",
): Promise<void> {
  story.refunded(payment, name, Number(answer["amount"]), "succeeded", String(answer["command_id"]));
  await tell(db, story);
  await endRefundJob(db, String(answer["command_id"]), "done");
}

/** Pieces of a SKU on the shelf, and sold. */
export async function shelf(db: Db, sku: string): Promise<[number, number]> {
  const [level] = await db`select l.on_hand, l.committed from public.inventory_levels l
    join public.product_variants v on v.id = l.variant_id where v.sku = ${sku}`;
  return [level?.["on_hand"], level?.["committed"]];
}

/** The SQLSTATE with which a statement is refused, undone; null: it is not. */
export async function refusal(
  tx: postgres.ReservedSql,
  statement: PromiseLike<unknown>,
): Promise<string | null> {
  await tx`savepoint refused`;
  const state = await sqlstateOf(statement);
  await tx`rollback to savepoint refused`;
  return state;
}

/** Holds the database against everything that must always be true. */
export async function sound(db: Db): Promise<void> {
  assert.deepEqual([...await db`select * from public.check_invariants()`], []);
}

/** Sends a parcel, with all or with some lines. */
export async function ship(db: Db, story: Story, lines: Line[] | null = null): Promise<void> {
  await db`select public.mark_fulfilled(${story.frame.orderNumber}, p_lines => ${
    lines === null ? null : JSON.stringify(lines)
  }::text::jsonb)`;
}
