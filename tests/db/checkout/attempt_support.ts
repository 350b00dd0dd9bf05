/** What tests of repeated and resumed checkouts share. */
import type postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import {
  addVariants,
  applyFacts,
  type Begun,
  holdSeconds,
  sessionFact,
  sessionSeconds,
} from "./cart_support.ts";

/** One suit. */
export const items = [{ sku: "SUIT", quantity: 1 }];

/** A shop with `onHand` suits, and ties enough. */
export async function world(onHand = 1) {
  const database = await createTestDatabase();
  await addVariants(database.sql, [{ sku: "SUIT", onHand }, { sku: "TIE", onHand: 9, price: 500 }]);
  return database;
}

/** An account; returns its id. */
export async function addUser(sql: postgres.Sql): Promise<string> {
  const [user] = await sql<{ id: string }[]>`
    insert into auth.users (id, email) values (gen_random_uuid(), ${`${crypto.randomUUID()}@example.com`}) returning id`;
  if (user === undefined) throw new Error("no user");
  return user.id;
}

/** Stripe says that the session is over. */
export async function expire(sql: postgres.Sql, begun: Begun, session: { id: string }): Promise<void> {
  await applyFacts(sql, [sessionFact(begun, { ...session, status: "expired" })]);
}

/** The next attempt of an order. */
export async function restart(sql: postgres.Sql, begun: Begun): Promise<Begun> {
  const [row] = await sql<{ answer: Begun }[]>`
    select public.restart_checkout_attempt(${begun.order_id}, ${begun.attempt}, ${sessionSeconds}, ${holdSeconds}) as answer`;
  if (row === undefined) throw new Error("no answer");
  return row.answer;
}

/** Orders there are. */
export async function countOrders(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from public.orders`;
  return row?.count ?? -1;
}
