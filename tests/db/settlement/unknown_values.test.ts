import assert from "node:assert/strict";
import type postgres from "postgres";
import { arrange, deliver, endingOf } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";
import { delivery } from "./moves.ts";
import { type Payment, Story } from "./story.ts";
import { nonEmpty } from "../../support/non_empty.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

interface Case {
  /** As the alert names it. */
  field: string;
  type: string;
  /** The value laid over the fixture's object. */
  changes: Record<string, unknown>;
  tell: (story: Story) => void;
  /** Where the value is stored. */
  stored: (tx: postgres.ReservedSql) => PromiseLike<readonly unknown[]>;
  status: string;
  fulfillment: string;
  stock: [number, number, number];
}

const newest = "a_newer_value";
const paid = (story: Story): Payment => story.paid("a");
const sold = { status: "paid", fulfillment: "unfulfilled", stock: [8, 0, 2] as [number, number, number] };
const held = { status: "pending", fulfillment: "unfulfilled", stock: [10, 2, 0] as [number, number, number] };

const cases: Case[] = [
  {
    field: "checkout_session.status",
    type: "checkout.session.expired",
    changes: { status: newest },
    tell: (story) => story.expired("a"),
    stored: (tx) => tx`select 1 from public.webhook_events where status = 'processed'`,
    ...held,
  },
  {
    field: "checkout_session.payment_status",
    type: "checkout.session.completed",
    changes: { payment_status: newest },
    tell: (story) => void story.processing("a"),
    stored: (tx) => tx`select 1 from public.checkout_sessions where payment_status = ${newest}`,
    ...held,
    status: "processing",
  },
  {
    field: "payment_intent.status",
    type: "payment_intent.processing",
    changes: { status: newest },
    tell: (story) => void story.processing("a"),
    stored: (tx) => tx`select 1 from public.payments where status = ${newest}`,
    ...held,
    status: "processing",
  },
  {
    field: "charge.status",
    type: "charge.succeeded",
    changes: { status: newest },
    tell: (story) => void paid(story),
    stored: (tx) => tx`select 1 from public.payment_attempts where outcome = ${newest}`,
    ...sold,
  },
  {
    field: "charge.outcome.type",
    type: "charge.succeeded",
    changes: { outcome: { type: newest } },
    tell: (story) => void paid(story),
    stored: (tx) => tx`select 1 from public.payment_attempts`,
    ...sold,
  },
  {
    field: "refund.status",
    type: "refund.created",
    changes: { status: newest },
    tell: (story) => void story.refunded(paid(story), "1", 25_800),
    stored: (tx) => tx`select 1 from public.refunds where status = ${newest}`,
    ...sold,
    // All of the money may be on its way back: nothing ships until that is known.
    fulfillment: "on_hold",
  },
  {
    field: "dispute.status",
    type: "charge.dispute.created",
    changes: { status: newest },
    tell: (story) => void story.disputed(paid(story), "d", "warning_needs_response"),
    stored: (tx) => tx`select 1 from public.disputes where status = ${newest}`,
    ...sold,
    fulfillment: "on_hold",
  },
];

for (const { field, type, changes, tell, stored, ...end } of cases) {
  Deno.test(`an unknown ${field} is stored, alerts staff and is not guessed at`, async () => {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 60, "T");
      await arrange(tx, { name: "", tell, end: {} }, story);
      const events = story.events.map((event) => {
        if (event.type !== type) return event;
        const copy = structuredClone(event);
        const object = copy.data.object as unknown as Record<string, unknown>;
        for (const [key, value] of Object.entries(changes)) {
          const old = object[key];
          object[key] = typeof value === "object" ? { ...(old as object), ...value } : value;
        }
        return copy;
      });
      const outcomes = await deliver(tx, events.map(delivery));
      assert(nonEmpty(outcomes).every((outcome) => outcome === "applied"), `${outcomes}`);
      assert.equal((await stored(tx)).length, 1, "stored");
      const alerts = await tx`select severity from public.alerts
        where dedupe_key = ${`unknown_stripe_value:${field}:${newest}`}`;
      assert.deepEqual([...alerts], [{ severity: "warning" }]);
      const { status, fulfillment, stock } = await endingOf(tx, story);
      assert.deepEqual({ status, fulfillment, stock }, end);
    });
  });
}

Deno.test("a session that is first heard of in an unknown state is not taken for over: its order waits and holds its stock", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    story.expired("a");
    for (const event of story.events) (event.data.object as unknown as { status: string }).status = newest;
    assert.deepEqual(await deliver(tx, story.moves), ["applied"]);
    const sessions = await tx`select status from public.checkout_sessions`;
    assert.deepEqual(sessions.map(({ status }) => status), [newest]);
    const { status, stock } = await endingOf(tx, story);
    assert.deepEqual({ status, stock }, { status: held.status, stock: held.stock });
  });
});

Deno.test("money on its way back in an unknown state cannot be refunded a second time", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await arrange(tx, { name: "", tell: (s) => void s.refunded(s.paid("a"), "1", 25_800), end: {} }, story);
    await deliver(tx, story.moves);
    await tx`update public.refunds set status = ${newest}`;
    const [row] = await tx`select private.refundable_amount(${story.id("pi", "a")})::int as left`;
    assert.equal(row?.["left"], 0);
  });
});
