import assert from "node:assert/strict";
import { assertInvariants } from "../../support/invariants.ts";
import { sqlstateOf } from "../../support/role.ts";
import { endingOf, endRefundJob } from "./arrange.ts";
import {
  type Answer,
  answerOf,
  type Db,
  type Line,
  paidCart,
  receive,
  refund,
  refusal,
  shelf,
  ship,
  sound,
  succeed,
  tell,
} from "./goods.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginCart } from "./shop.ts";
import { type Payment, Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** Stripe takes the refund that a command asked for, and the bank returns it. */
async function bounce(db: Db, story: Story, payment: Payment, answer: Answer, name: string): Promise<void> {
  story.refunded(payment, name, Number(answer["amount"]), "pending", String(answer["command_id"])).settled(
    "failed",
  );
  await tell(db, story);
  await endRefundJob(db, String(answer["command_id"]), "done");
}

Deno.test("one of three shirts comes back: its money, and the shirt on the shelf once that has succeeded", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await ship(tx, story);
    const answer = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1, restock: true }]));
    assert.deepEqual([answer["amount"], answer["left"]], [10_000, 25_000]);
    assert.deepEqual(await shelf(tx, "SHIRT"), [7, 3], "not before the refund has succeeded");
    await succeed(tx, story, payment, answer);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2]);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.refunded], [
      "partially_refunded",
      "fulfilled",
      10_000,
    ]);
    const [row] = await tx`select kind, change from public.inventory_journal order by id desc limit 1`;
    assert.deepEqual({ ...row }, { kind: "return", change: 1 });
    assert.deepEqual((await tx`select status from public.returns`).map(({ status }) => status), ["closed"]);
    await sound(tx);
    // A refund that the bank returns afterwards moves no goods.
    story.refunded(payment, "1", 10_000, "succeeded", String(answer["command_id"])).settled("failed");
    await tell(tx, story);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2]);
    const again = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1, restock: true }]));
    await succeed(tx, story, payment, again, "2");
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2], "the same shirt is not restocked twice");
    await sound(tx);
  });
});

for (
  const [what, extras] of Object.entries({
    "nothing else": {},
    "a discount": { discount: 3_333 },
    "tax": { tax: 2_917 },
    "delivery": { shipping: 995 },
    "all of it": { discount: 3_333, shipping: 995, tax: 2_701 },
  })
) {
  Deno.test(`all pieces and the delivery together are all of the money, piece by piece: with ${what}`, async () => {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidCart(tx, extras);
      let sum = 0;
      for (const [n, sku] of ["SHIRT", "TIE", "SHIRT", "SHIRT"].entries()) {
        const answer = answerOf(await refund(tx, story, [{ sku, quantity: 1 }]));
        sum += Number(answer["amount"]);
        await succeed(tx, story, payment, answer, `${n}`);
      }
      const goods = 35_000 - (extras.discount ?? 0);
      assert.equal(sum, Math.floor(payment.amount * goods / (goods + (extras.shipping ?? 0))));
      if (sum < payment.amount) {
        const delivery = answerOf(await refund(tx, story, null, ", p_shipping => true"));
        assert.equal(sum + Number(delivery["amount"]), payment.amount);
      }
      assert.equal(await refusal(tx, refund(tx, story, [{ sku: "TIE", quantity: 1 }])), "SHREF");
      await sound(tx);
    });
  });
}

Deno.test("shares of a currency whose amounts have a step keep the step", async () => {
  await undone(sql, async (tx) => {
    const isk = [{ sku: "ISK-A", quantity: 3, price: 33_300 }, { sku: "ISK-B", quantity: 1, price: 10_000 }];
    const story = new Story(await beginCart(tx, isk, "isk"), 60, "T");
    await attachSession(tx, story, "a");
    story.paid("a", { discount: 1_000 });
    await tell(tx, story);
    const answer = answerOf(await refund(tx, story, [{ sku: "ISK-A", quantity: 1 }]));
    assert.equal(Number(answer["amount"]) % 100, 0);
  });
});

Deno.test("pieces refunded before they were sent are not sent, and the order is fulfilled with the rest", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    const answer = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 2, restock: true }]));
    assert.equal((await endingOf(tx, story)).fulfillment, "unfulfilled", "a part of the money holds nothing");
    assert.equal(
      await refusal(
        tx,
        tx`select public.mark_fulfilled(${story.frame.orderNumber}, p_lines =>
        ${tx.json([{ sku: "SHIRT", quantity: 2 }])})`,
      ),
      "SHINV",
    );
    await ship(tx, story);
    assert.deepEqual(
      (await tx`select sum(quantity)::int as sent from public.shipment_lines`)[0]?.["sent"],
      2,
    );
    assert.equal((await endingOf(tx, story)).fulfillment, "fulfilled");
    await succeed(tx, story, payment, answer);
    assert.deepEqual([await shelf(tx, "SHIRT"), await shelf(tx, "TIE")], [[9, 1], [9, 1]]);
    await sound(tx);
  });
});

Deno.test("when every piece was refunded before it left, the order is not waiting to be sent", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx, { shipping: 500 });
    const all = [{ sku: "SHIRT", quantity: 3, restock: true }, { sku: "TIE", quantity: 1, restock: true }];
    await succeed(tx, story, payment, answerOf(await refund(tx, story, all)));
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment], ["partially_refunded", "cancelled"]);
    assert.deepEqual(await shelf(tx, "SHIRT"), [10, 0]);
    await sound(tx);
  });
});

Deno.test("a return is announced, received with a damaged piece, paid back and closed; each step once", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    const announce = (lines: Line[]) =>
      tx`select public.announce_return(${story.frame.orderNumber}, ${
        tx.json(lines as never)
      }, 'too small') as answer`;
    assert.equal(
      await refusal(tx, announce([{ sku: "TIE", quantity: 1 }])),
      "SHINV",
      "nothing has been sent",
    );
    await ship(tx, story);
    const announced = answerOf(await announce([{ sku: "SHIRT", quantity: 2 }]));
    assert.equal(await refusal(tx, announce([{ sku: "SHIRT", quantity: 2 }])), "SHINV", "announced already");
    const states = async () => (await tx`select id, status from public.returns order by created_at, id`);
    assert.deepEqual((await states()).map(({ status }) => status), ["requested"]);

    // One of them arrives, and is damaged; the other is still awaited.
    const received = answerOf(await receive(tx, story, [{ sku: "SHIRT", quantity: 1, restock: false }]));
    assert.equal(received["return_id"], announced["return_id"], "the return that was announced");
    assert.deepEqual((await states()).map(({ status }) => status).sort(), ["received", "requested"]);
    assert.deepEqual(await shelf(tx, "SHIRT"), [7, 2], "damaged: neither on the shelf nor the customer's");
    await receive(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 1]);
    assert.equal(await refusal(tx, receive(tx, story, [{ sku: "SHIRT", quantity: 2 }])), "SHINV");
    await sound(tx);

    await succeed(
      tx,
      story,
      payment,
      answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 2, restock: true }])),
    );
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 1], "what has come back is not restocked again");
    assert.deepEqual((await states()).map(({ status }) => status), ["closed", "closed"]);
    await sound(tx);
  });
});

Deno.test("a parcel that arrives before its refund has succeeded is restocked once", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await ship(tx, story);
    const answer = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1, restock: true }]));
    await receive(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2]);
    await succeed(tx, story, payment, answer);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2]);
    await sound(tx);
  });
});

Deno.test("money first, goods later: a refund without restock awaits the pieces", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await ship(tx, story);
    await succeed(tx, story, payment, answerOf(await refund(tx, story, [{ sku: "TIE", quantity: 1 }])));
    assert.deepEqual(await shelf(tx, "TIE"), [9, 1]);
    await receive(tx, story, null);
    assert.deepEqual([await shelf(tx, "TIE"), await shelf(tx, "SHIRT")], [[10, 0], [10, 0]], "all came back");
    await sound(tx);
  });
});

Deno.test("a refund that Stripe refuses leaves its pieces to staff: awaited, received, or to be sent after all", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    const answer = answerOf(await refund(tx, story, [{ sku: "TIE", quantity: 1, restock: true }]));
    const [announced] = await tx`select id from public.returns`;
    const close = () => tx`select public.close_return(${announced?.["id"]})`;
    assert.equal(await refusal(tx, close()), "SHINV", "its refund is under way");
    await endRefundJob(tx, String(answer["command_id"]), "discard", "warning");
    assert.deepEqual(await shelf(tx, "TIE"), [9, 1]);
    await close();
    await ship(tx, story, [{ sku: "TIE", quantity: 1 }]);
    await sound(tx);
  });
});

for (const shipped of [true, false]) {
  Deno.test(`a refund that bounces and is asked for again is about the same pieces, ${shipped ? "sent" : "not sent"}`, async () => {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidCart(tx);
      if (shipped) await ship(tx, story);
      const tie = [{ sku: "TIE", quantity: 1, restock: true }];
      await bounce(tx, story, payment, answerOf(await refund(tx, story, tie)), "1");
      await tx`savepoint bounced`;
      const [awaited] = await tx`select id from public.returns`;
      await tx`select public.close_return(${awaited?.["id"]})`;
      await sound(tx);
      await tx`rollback to savepoint bounced`;

      const again = answerOf(await refund(tx, story, tie));
      await sound(tx);
      await succeed(tx, story, payment, again, "2");
      assert.deepEqual(await shelf(tx, "TIE"), [10, 0]);
      assert.deepEqual((await tx`select status from public.returns`).map(({ status }) => status), ["closed"]);
      await sound(tx);
    });
  });
}

Deno.test("a piece in the house whose refund bounced is refunded again, while another one waits for its refund", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx, {}, [
      { sku: "SHIRT", quantity: 2, price: 10_000 },
      { sku: "TIE", quantity: 1, price: 5_000 },
    ]);
    const shirt = { sku: "SHIRT", quantity: 1 };
    const first = answerOf(await refund(tx, story, [shirt]));
    const second = answerOf(await refund(tx, story, [{ ...shirt, restock: true }]));
    await receive(tx, story, [shirt]);
    await bounce(tx, story, payment, first, "1");
    const third = answerOf(await refund(tx, story, [{ ...shirt, restock: true }]));
    await sound(tx);
    await succeed(tx, story, payment, second, "2");
    await succeed(tx, story, payment, third, "3");
    assert.deepEqual(await shelf(tx, "SHIRT"), [10, 0]);
    await sound(tx);
  });
});

Deno.test("pieces that were refunded and never sent cannot be let go: they are received, on the shelf or as damaged", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    const answer = answerOf(await refund(tx, story, [{ sku: "TIE", quantity: 1 }]));
    const [announced] = await tx`select id from public.returns`;
    assert.equal(await refusal(tx, tx`select public.close_return(${announced?.["id"]})`), "SHINV");
    await succeed(tx, story, payment, answer);
    assert.equal(await refusal(tx, tx`select public.close_return(${announced?.["id"]})`), "SHINV");
    await receive(tx, story, [{ sku: "TIE", quantity: 1 }]);
    assert.deepEqual(await shelf(tx, "TIE"), [10, 0]);
    await sound(tx);
  });
});

Deno.test("an amount beside lines pays less than they cost, and books the pieces", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await ship(tx, story);
    const answer = answerOf(
      await refund(tx, story, [{ sku: "SHIRT", quantity: 1, restock: true }], ", p_amount => 8000"),
    );
    assert.equal(answer["amount"], 8_000);
    await succeed(tx, story, payment, answer);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2]);
    const more = refund(tx, story, [{ sku: "SHIRT", quantity: 1 }], ", p_amount => 30000");
    assert.equal(await refusal(tx, more), "SHREF", "more than is left");
    await sound(tx);
  });
});

Deno.test("a refund of Stripe's dashboard is assigned to its pieces afterwards, once", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await ship(tx, story);
    const assign = (id: string, lines: Line[]) =>
      tx`select public.assign_refund(${id}, ${tx.json(lines as never)}) as answer`;
    const id = story.id("re", "1");
    const lines = [{ sku: "SHIRT", quantity: 1, restock: true }];
    assert.equal(await refusal(tx, assign(id, lines)), "SHREF", "not heard of");
    story.refunded(payment, "1", 10_000);
    await tell(tx, story);
    await assign(id, lines);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2]);
    assert.equal(await refusal(tx, assign(id, lines)), "SHREF");
    assert.equal(await refusal(tx, refund(tx, story, [{ sku: "SHIRT", quantity: 3 }])), "SHREF");
    const rest = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 2 }]));
    assert.equal(rest["amount"], 20_000);
    await sound(tx);
  });
});

Deno.test("a second refund of all with restock puts back what has not come back yet", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await succeed(
      tx,
      story,
      payment,
      answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1, restock: true }])),
    );
    await succeed(tx, story, payment, answerOf(await refund(tx, story, null, ", p_restock => true")), "2");
    assert.deepEqual([await shelf(tx, "SHIRT"), await shelf(tx, "TIE")], [[10, 0], [10, 0]]);
    assert.equal((await endingOf(tx, story)).status, "refunded");
    await sound(tx);
  });
});

Deno.test("lines that make no sense are refused in words", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    const odd: [unknown, string][] = [
      [[{ sku: "SHIRT", quantity: 4 }], "SHREF"],
      [[{ sku: "COAT-GRY-L", quantity: 1 }], "SHSKU"],
      [[{ sku: "SHIRT", quantity: -1 }], "SHINV"],
      [[{ sku: "SHIRT", quantity: 1, restock: "yes" }], "SHINV"],
      [[{ sku: "SHIRT", quantity: 1, price: 1 }], "SHINV"],
      [[], "SHINV"],
    ];
    for (const [lines, state] of odd) {
      assert.equal(await refusal(tx, refund(tx, story, lines as Line[])), state, JSON.stringify(lines));
    }
    assert.equal(await refusal(tx, receive(tx, story, null)), "SHINV", "nothing has been sent");
    assert.equal((await tx`select 1 from public.returns`).length, 0);
  });
});

Deno.test("an erased order keeps its returns without what was written about them", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    await ship(tx, story);
    await tx`select public.announce_return(${story.frame.orderNumber}, ${
      tx.json([{ sku: "TIE", quantity: 1 }])
    },
      'Ada says that it is too short')`;
    await tx`select public.erase_customer('ada@example.com')`;
    assert.deepEqual((await tx`select reason from public.returns`).map(({ reason }) => reason), [null]);
  });
});

Deno.test("staff who refund, receive or announce the same pieces at once do it once", async () => {
  await using own = await searchDatabase();
  const { story, payment } = await paidCart(own.sql);
  await ship(own.sql, story);
  const line = [{ sku: "TIE", quantity: 1, restock: true }];
  const refunds = await Promise.all(
    Array.from({ length: 5 }, () => sqlstateOf(refund(own.sql, story, line))),
  );
  assert.deepEqual(refunds.filter((state) => state === null).length, 1);
  const shirts = [{ sku: "SHIRT", quantity: 2 }];
  const received = await Promise.all(
    Array.from({ length: 5 }, () => sqlstateOf(receive(own.sql, story, shirts))),
  );
  assert.deepEqual(received.filter((state) => state === null).length, 1);
  const [request] = await own.sql`select id from public.refund_requests`;
  await Promise.all([
    succeed(own.sql, story, payment, { amount: 5_000, command_id: request?.["id"] }),
    sqlstateOf(receive(own.sql, story, [{ sku: "TIE", quantity: 1 }])),
  ]);
  assert.deepEqual([await shelf(own.sql, "SHIRT"), await shelf(own.sql, "TIE")], [[9, 1], [10, 0]]);
  await assertInvariants(own.sql);
});
