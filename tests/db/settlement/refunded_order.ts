/** A paid order whose refunds are told and asked for. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver } from "./arrange.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { type Payment, Story } from "./story.ts";

export type Db = postgres.ReservedSql | postgres.Sql;

export async function paidOrder(db: Db, tag = "T"): Promise<{ story: Story; payment: Payment }> {
  const story = new Story(await beginOrder(db), 60, tag);
  await attachSession(db, story, "a");
  const payment = story.paid("a");
  await tellAll(db, story);
  return { story, payment };
}

/** Delivers what the story has told since the last time. */
export async function tellAll(db: Db, story: Story): Promise<void> {
  await deliver(db, story.moves);
  story.events.length = 0;
}

export const total = 25_800;

/** Asks as staff would, and returns the request's id, which Stripe hands back in the refund's metadata. */
export async function ask(db: Db, story: Story, amount: number | null, restock = false): Promise<string> {
  const [row] =
    await db`select public.request_refund(${story.frame.orderNumber}, ${amount}, 'returned', ${restock})
    as answer`;
  return row?.["answer"]["command_id"];
}

export async function redrive(db: Db, requestId: string): Promise<string | null> {
  const [job] = await db`select id from private.jobs where payload ->> 'refund_request_id' = ${requestId}`;
  await db`savepoint attempt`;
  const state = await sqlstateOf(
    db`insert into public.staff_commands (command, args) values ('redrive_job', ${
      db.json({ job_id: Number(job?.["id"]) })
    })`,
  );
  if (state !== null) await db`rollback to savepoint attempt`;
  return state;
}

export async function openAlerts(db: Db): Promise<string[]> {
  const rows = await db`select kind from public.alerts where status = 'open' order by kind`;
  return rows.map((row) => row["kind"]);
}

export async function assertSound(db: Db): Promise<void> {
  assert.deepEqual([...await db`select * from public.check_invariants()`], []);
}
