import assert from "node:assert/strict";
import type postgres from "postgres";
import { arrange, deliver } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import type { Move } from "./moves.ts";
import { firstSeed, randomFrom, shuffledWithDuplicates } from "./runs.ts";
import { searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

type Tx = postgres.ReservedSql;

const database = await searchDatabase();

for (const lifecycle of lifecycles) {
  Deno.test(`events received together end as one by one: ${lifecycle.name}`, async () => {
    await undone(database.sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 1, "T");
      const moves = await arrange(tx, lifecycle, story);
      const shuffled = shuffledWithDuplicates(moves.length, randomFrom(firstSeed)).flatMap((at) =>
        moves[at] ?? []
      );
      const state = async (apply: (moves: Move[]) => Promise<void>, sequence: Move[]) => {
        await tx`savepoint before`;
        await apply(sequence);
        const [row] = await tx`select search.rows(search.state(${[story.frame.orderId]})) as state`;
        const violations = [...await tx`select * from public.check_invariants()`];
        await tx`rollback to savepoint before`;
        assert.deepEqual(violations, []);
        return row?.["state"];
      };
      const expected = await state(async (moves) => void await deliver(tx, moves), moves);
      for (const sequence of [moves, moves.toReversed(), shuffled]) {
        assert.deepEqual(await state((moves) => receiveTogether(tx, moves), sequence), expected);
      }
    });
  });
}

Deno.test("two orders received together are settled once each, by the first event about them", async () => {
  await undone(database.sql, async (tx) => {
    const lifecycle = lifecycles.find(({ name }) => name === "pay");
    assert(lifecycle !== undefined);
    const stories = [new Story(await beginOrder(tx), 1, "A"), new Story(await beginOrder(tx), 1, "B")];
    const moves: Move[] = [];
    for (const story of stories) moves.push(...await arrange(tx, lifecycle, story));
    assert.deepEqual(await outcomesOf(tx, moves), moves.map(() => "applied"));
    for (const story of stories) {
      const changes = await tx`select source from public.order_events
        where order_id = ${story.frame.orderId} and kind = 'status_changed'`;
      assert.deepEqual(changes.map(({ source }) => source), [eventIds(moves, story)[0]]);
    }
    assert.deepEqual(await outcomesOf(tx, moves), moves.map(() => "duplicate"));
  });
});

Deno.test("an event that cannot be merged fails alone, and one that stops an order from settling stops them all", async () => {
  await undone(database.sql, async (tx) => {
    const lifecycle = lifecycles.find(({ name }) => name === "pay");
    assert(lifecycle !== undefined);
    const story = new Story(await beginOrder(tx), 1, "A");
    const moves = await arrange(tx, lifecycle, story);
    const [first, ...others] = moves;
    assert(first?.call === "event");
    const poison = { ...first, facts: [{ ...first.facts[0], fact: "unheard_of" }] } as unknown as Move;
    assert.deepEqual(await outcomesOf(tx, [poison, ...others]), ["queued", ...others.map(() => "applied")]);

    await tx`savepoint before`;
    const other = new Story(await beginOrder(tx), 1, "B");
    const theirs = await arrange(tx, lifecycle, other);
    await tx`alter table public.orders add constraint never_paid check (id <> ${
      tx.unsafe(`'${other.frame.orderId}'`)
    } or paid_at is null) not valid`;
    await tx`savepoint broken`;
    await assert.rejects(outcomesOf(tx, theirs), /never_paid/);
    await tx`rollback to savepoint broken`;
    const [stored] = await tx`select count(*)::int as n from public.webhook_events where id = any (${
      eventIds(theirs, other)
    })`;
    assert.equal(stored?.["n"], 0);
  });
});

Deno.test("a payment that only now names its charge settles its order with the refund that named nothing else", async () => {
  await undone(database.sql, async (tx) => {
    const lifecycle = lifecycles.find(({ name }) => name === "full refund");
    assert(lifecycle !== undefined);
    const story = new Story(await beginOrder(tx), 1, "A");
    const moves = await arrange(tx, lifecycle, story);
    const event = (type: string) => {
      const found = moves.find((move) => move.call === "event" && move.type === type);
      assert(found?.call === "event", type);
      return found;
    };
    const refund = event("refund.created");
    const byCharge = {
      ...refund,
      facts: refund.facts.map((fact) => fact.fact === "refund" ? { ...fact, payment_id: null } : fact),
    };
    const refunded = async () =>
      (await tx`select amount_refunded::int as n from public.orders where id = ${story.frame.orderId}`)[0]
        ?.["n"];
    await deliver(tx, [event("checkout.session.completed"), byCharge]);
    assert.equal(await refunded(), 0);
    const paid = event("payment_intent.succeeded");
    // Without its attempt, which would be news by itself.
    await deliver(tx, [{ ...paid, facts: paid.facts.filter(({ fact }) => fact === "payment") }]);
    assert.notEqual(await refunded(), 0);
  });
});

Deno.test("an event without news leaves its order alone, and redriven it settles it again", async () => {
  await undone(database.sql, async (tx) => {
    const lifecycle = lifecycles.find(({ name }) => name === "pay");
    assert(lifecycle !== undefined);
    const story = new Story(await beginOrder(tx), 1, "A");
    const moves = await arrange(tx, lifecycle, story);
    await deliver(tx, moves);
    const last = moves.at(-1);
    assert(last?.call === "event");
    const settled = await countSettled(tx);
    await deliver(tx, [{ ...last, id: "evt_no_news" }]);
    assert.equal(await settled(), 0);
    await tx`select private.redrive_event('evt_no_news')`;
    await tx`select public.retry_stripe_event('evt_no_news', ${
      tx.json(JSON.parse(JSON.stringify(last.facts)))
    }, null, null)`;
    assert.equal(await settled(), 1);
    // What is read from Stripe repairs as well.
    await tx`select public.apply_stripe_facts(${
      tx.json(JSON.parse(JSON.stringify(last.facts)))
    }, 'reconcile', now())`;
    assert.equal(await settled(), 2);
  });
});

Deno.test.afterAll(() => database.drop());

/** Delivers neighbouring events in one call, and whatever else happens in between by itself. */
async function receiveTogether(tx: Tx, moves: Move[]): Promise<void> {
  let events: Move[] = [];
  const send = async () => {
    if (events.length > 0) assert(!(await outcomesOf(tx, events)).includes("queued"));
    events = [];
  };
  for (const move of moves) {
    if (move.call === "event") events.push(move);
    else {
      await send();
      await deliver(tx, [move]);
    }
  }
  await send();
}

async function outcomesOf(tx: Tx, moves: Move[]): Promise<string[]> {
  const events = moves.map((move) => {
    if (move.call !== "event") throw new Error(`${move.call} is no event`);
    return {
      p_event_id: move.id,
      p_type: move.type,
      p_livemode: move.livemode,
      p_api_version: move.version ?? "2026-10-28.endive",
      p_stripe_created_at: new Date(move.at * 1000).toISOString(),
      p_payload: move.payload ?? {},
      p_facts: move.facts,
      p_alerts: [],
    };
  });
  const rows = await tx`select outcome from public.receive_stripe_events(${
    tx.json(JSON.parse(JSON.stringify(events)))
  })`;
  return rows.map(({ outcome }) => outcome);
}

function eventIds(moves: Move[], story: Story): string[] {
  return moves.flatMap((move) =>
    move.call === "event" && move.id.startsWith(`evt_${story.tag}_`) ? [move.id] : []
  );
}

Deno.test("a payment that is heard of before its page settles nothing, and a refused attempt does", async () => {
  for (const [name, settles] of [["pay", false], ["declined, then paid", true]] as const) {
    await undone(database.sql, async (tx) => {
      const lifecycle = lifecycles.find((lifecycle) => lifecycle.name === name);
      assert(lifecycle !== undefined);
      const moves = await arrange(tx, lifecycle, new Story(await beginOrder(tx), 1, "A"));
      const settled = await countSettled(tx);
      const payments = moves.filter((move) =>
        move.call === "event" && /^(payment_intent|charge)/.test(move.type)
      );
      assert(payments.length > 1);
      await deliver(tx, payments);
      assert.equal(await settled() > 0, settles, name);
      await deliver(tx, moves);
      const [order] = await tx`select status from public.orders`;
      assert.equal(order?.["status"], "paid");
    });
  }
});

/** Counts from now on how often orders are settled. */
async function countSettled(tx: Tx): Promise<() => Promise<number>> {
  await tx`create function search.count_settling() returns trigger language plpgsql as
    $$ begin perform nextval('search.settled'); return new; end $$`;
  await tx`create sequence search.settled`;
  await tx`create trigger count_settling before insert on private.unchecked_orders
    for each row execute function search.count_settling()`;
  return async () => {
    const [row] = await tx`select case when is_called then last_value else 0 end as n from search.settled`;
    return Number(row?.["n"]);
  };
}
