import assert from "node:assert/strict";
import postgres from "postgres";
import { deliver, deliverEach, endingOf } from "./arrange.ts";
import { randomFrom } from "./runs.ts";
import { explore, searchDatabase, undone } from "./search.ts";
import { attachment, attachSession, beginOrder } from "./shop.ts";
import type { Move } from "./moves.ts";
import { Story } from "./story.ts";

const database = await searchDatabase(1_000);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** What the success page and the reconciler read from the API: session, payment and charge in one answer. */
function reading(story: Story, at: number): Move {
  const facts = story.moves.flatMap((move) => move.call === "event" ? move.facts : []);
  return { call: "read", at, facts };
}

Deno.test("webhook, success page and reconciler give one result in every order", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    story.paid("a");
    // Read in the second in which the events were made, as a page does that is faster than the webhook.
    const at = story.events[0]?.created ?? 0;
    const moves: Move[] = [
      ...story.moves,
      reading(story, at),
      { call: "settle", order_id: story.frame.orderId },
    ];
    await explore(tx, moves, [story.frame.orderId], async () => {
      const end = await endingOf(tx, story);
      assert.deepEqual([end.status, end.mails, end.stock], ["paid", ["order_confirmation"], [998, 0, 2]]);
    });
  });
});

for (const end of ["paid", "expired"] as const) {
  Deno.test(`events that overtake the checkout's own attach change nothing: ${end}`, async () => {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 1, "T");
      if (end === "paid") story.paid("a");
      else {
        story.declined("a");
        story.expired("a");
      }
      const moves: Move[] = [attachment(story, "a"), ...story.moves];
      await explore(tx, moves, [story.frame.orderId], async () => {
        const { status, stock } = await endingOf(tx, story);
        assert.deepEqual([status, stock], [end, end === "paid" ? [998, 0, 2] : [1_000, 0, 0]]);
      });
    });
  });
}

Deno.test("staff may cancel at any moment of a payment: the money goes back, the goods stay", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    const payment = story.paid("a");
    // Whether the confirmation was sent before is the one thing that depends on the moment: here it always was.
    await tx`select private.queue_notification(${story.frame.orderId}, 'order_confirmation')`;
    const moves: Move[] = [...story.moves, { call: "cancel", order_number: story.frame.orderNumber }];
    await explore(tx, moves, [story.frame.orderId], async () => {
      const before = await endingOf(tx, story);
      assert.deepEqual([before.status, before.fulfillment], ["paid", "cancelled"]);
      story.events.length = 0;
      story.refunded(payment, "1", 25_800);
      await deliver(tx, story.moves);
      const end = await endingOf(tx, story);
      assert.deepEqual([end.status, end.fulfillment, end.stock], ["refunded", "cancelled", [1_000, 0, 0]]);
      assert.deepEqual(end.jobs, ["expire_checkout_session:a", "refund_payment:cancelled:a"]);
      assert.deepEqual(end.mails, ["order_cancelled", "order_confirmation", "refund_issued"]);
    });
  });
});

Deno.test("any one of the three callers alone settles an order", async () => {
  for (const caller of ["webhook", "page"]) {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 1, "T");
      await attachSession(tx, story, "a");
      story.paid("a");
      await deliver(tx, caller === "webhook" ? story.moves.slice(-1) : [reading(story, 1_793_500_100)]);
      const end = await endingOf(tx, story);
      assert.deepEqual([end.status, end.mails, end.stock], ["paid", ["order_confirmation"], [998, 0, 2]]);
    });
  }
});

Deno.test("all callers at once, each several times: every effect happens once, nobody waits for ever", async () => {
  // A database of its own: what is committed here would show in the other tests, in whatever order they run.
  const ours = await searchDatabase(1_000);
  const { sql } = ours;
  const clients = Array.from({ length: 12 }, () => postgres(ours.url, { max: 1, onnotice: () => {} }));
  try {
    const stories: Story[] = [];
    for (let index = 0; index < 12; index++) {
      const story = new Story(await beginOrder(sql), 1, `P${index}x`);
      await attachSession(sql, story, "a");
      await attachSession(sql, story, "b", 2);
      const payment = story.paid("a");
      story.paid("b");
      if (index % 3 === 0) story.refunded(payment, "1", 1_000);
      stories.push(story);
    }
    const random = randomFrom(7);
    const calls = stories.flatMap((story) => {
      const own = [...story.moves, reading(story, 1_793_500_300), {
        call: "settle" as const,
        order_id: story.frame.orderId,
      }];
      return [...own, ...own];
    }).map((move) => ({ move, at: random() })).sort((a, b) => a.at - b.at).map(({ move }) => move);

    // Each client works off its share; a deadlock would come out as an event that is queued.
    const outcomes = await Promise.all(
      clients.map((client, lane) =>
        deliverEach(client, calls.filter((_, index) => index % clients.length === lane))
      ),
    );
    assert(!outcomes.flat().includes("queued"), "no call failed");
    for (const [index, story] of stories.entries()) {
      const end = await endingOf(sql, story);
      assert.equal(end.status, index % 3 === 0 ? "partially_refunded" : "paid");
      assert.deepEqual(end.jobs.filter((job) => job.startsWith("refund")), ["refund_payment:duplicate:b"]);
      assert.equal(end.mails.filter((mail) => mail === "order_confirmation").length, 1);
      assert.deepEqual(end.alerts, ["duplicate_payment"]);
    }
    assert.deepEqual((await endingOf(sql, stories[0] ?? assert.fail())).stock, [976, 0, 24]);
    assert.deepEqual([...await sql`select * from public.check_invariants()`], []);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    await ours.drop();
  }
});
