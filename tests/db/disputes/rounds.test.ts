/** What staff decide in one round of a dispute holds in that round, and does not keep them from deciding in the next one. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver } from "../settlement/arrange.ts";
import { searchDatabase, undone } from "../settlement/search.ts";
import { attachSession, beginOrder } from "../settlement/shop.ts";
import { type Payment, Story } from "../settlement/story.ts";

const database = await searchDatabase(50);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;
const days = 86_400;

async function paidOrder(tx: Tx): Promise<{ story: Story; payment: Payment }> {
  const story = new Story(await beginOrder(tx), 60, "T");
  await attachSession(tx, story, "a");
  const payment = story.paid("a");
  await tellAll(tx, story);
  return { story, payment };
}

/** Tells what has happened; the deadline of a dispute is `dueIn` seconds from now. */
async function tellAll(tx: Tx, story: Story, dueIn?: number): Promise<void> {
  if (dueIn !== undefined) {
    const due_by = Math.floor(Date.now() / 1000) + dueIn;
    for (const event of story.events) {
      const { object } = event.data as unknown as { object: { evidence_details?: Record<string, unknown> } };
      object.evidence_details = { ...object.evidence_details, due_by };
    }
  }
  await deliver(tx, story.moves);
  story.events.length = 0;
}

async function closings(tx: Tx): Promise<string[]> {
  const rows = await tx`select status from private.jobs where kind = 'close_dispute' order by id`;
  return rows.map((row) => row["status"]);
}

Deno.test("an inquiry that was accepted and becomes a chargeback all the same can be accepted again", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const inquiry = story.disputed(payment, "d", "warning_needs_response");
    await tellAll(tx, story);
    const id = story.id("du", "d");
    await tx`select public.accept_dispute(${id})`;
    await tx`update private.jobs set status = 'done', finished_at = now() where kind = 'close_dispute'`;
    inquiry.closed("warning_closed");
    await tellAll(tx, story);

    story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    await tx`select public.accept_dispute(${id})`;
    assert.deepEqual(await closings(tx), ["done", "queued"]);
  });
});

for (const status of ["dead", "discarded"] as const) {
  Deno.test(`a dispute whose acceptance ended ${status} is closed when staff accept it once more`, async () => {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      story.disputed(payment, "d", "needs_response");
      await tellAll(tx, story);
      await tx`select public.accept_dispute(${story.id("du", "d")})`;
      await tx`update private.jobs set status = ${status}, finished_at = now() where kind = 'close_dispute'`;
      await tx`select public.accept_dispute(${story.id("du", "d")})`;
      assert.deepEqual(await closings(tx), ["queued"]);
    });
  });
}

Deno.test("a dispute whose acceptance or evidence is on its way is not left", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const id = story.id("du", "d");
    for (
      const command of [
        tx`select public.accept_dispute(${id})`,
        tx`select public.submit_dispute_evidence(${id})`,
      ]
    ) {
      await tx`savepoint answered`;
      await command;
      assert.equal(await sqlstateOf(tx`select public.leave_dispute(${id})`), "SHINV");
      await tx`rollback to savepoint answered`;
    }
  });
});

Deno.test("a deadline that comes nearer brings the reminders forward", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const reminders = async () => {
      const rows = await tx`select (payload ->> 'days')::int as days,
          round(extract(epoch from run_at - now()) / ${days})::int as day
        from private.jobs where kind = 'remind_dispute' order by 1`;
      return rows.map(({ days, day }) => [days, day]);
    };
    story.disputed(payment, "d", "warning_needs_response");
    await tellAll(tx, story, 20 * days);
    assert.deepEqual(await reminders(), [[1, 19], [3, 17], [7, 13]]);
    // The bank does not wait for the answer to its inquiry.
    story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story, 9 * days);
    assert.deepEqual(await reminders(), [[1, 8], [3, 6], [7, 2]]);
  });
});
