import assert from "node:assert/strict";
import type { EventOutcome, ReceivedEvent } from "../../supabase/functions/_shared/database/events.ts";
import { AppError, fromDatabaseFailure } from "../../supabase/functions/_shared/errors.ts";
import { createReceiver } from "../../supabase/functions/stripe-webhook/receiver.ts";
import { eventually } from "../support/poll.ts";

const outcome = (event: ReceivedEvent): EventOutcome => ({
  outcome: "applied",
  reason: event.p_event_id,
  delivery_count: 1,
  order_ids: [],
  closing_sessions: [],
});

/** A database whose calls end when they are let go. */
function database(fail: (ids: (string | null)[]) => Error | null = () => null) {
  const calls: (string | null)[][] = [];
  const held: (() => void)[] = [];
  const call = <T>(events: ReceivedEvent[], answer: () => T): Promise<T> => {
    const ids = events.map(({ p_event_id }) => p_event_id);
    calls.push(ids);
    return new Promise((resolve, reject) =>
      held.push(() => {
        const error = fail(ids);
        if (error === null) resolve(answer());
        else reject(error);
      })
    );
  };
  const rpc = {
    receiveStripeEvent: (event: ReceivedEvent) => call([event], () => outcome(event)),
    receiveStripeEvents: (events: ReceivedEvent[]) => call(events, () => events.map(outcome)),
  };
  /** Lets all calls end that are under way, and those that they lead to. */
  const letGo = async () => {
    while (held.length > 0) {
      held.shift()?.();
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
  };
  return { rpc, calls, letGo };
}

const event = (n: number) => ({ p_event_id: `evt_${n}` }) as ReceivedEvent;

Deno.test("deliveries that come one by one are sent one by one, at once", async () => {
  const { rpc, calls, letGo } = database();
  const receiver = createReceiver(rpc);
  for (const n of [1, 2, 3]) {
    const answer = receiver.receive(event(n));
    assert.deepEqual(calls.at(-1), [`evt_${n}`]);
    await letGo();
    assert.equal((await answer).reason, `evt_${n}`);
  }
});

Deno.test("deliveries that come while two calls are under way share the next, and each gets its own answer", async () => {
  const { rpc, calls, letGo } = database();
  const receiver = createReceiver(rpc);
  const answers = Array.from({ length: 30 }, (_, n) => receiver.receive(event(n)));
  await letGo();
  assert.deepEqual(calls.map(({ length }) => length), [1, 1, 20, 8]);
  const reasons = (await Promise.all(answers)).map(({ reason }) => reason);
  assert.deepEqual(reasons, answers.map((_, n) => `evt_${n}`));
});

Deno.test("when a shared call is refused each is sent alone, and only the poison fails", async () => {
  const poison = new AppError("internal_error");
  const { rpc, calls, letGo } = database((ids) => ids.includes("evt_3") ? poison : null);
  const receiver = createReceiver(rpc);
  const answers = [0, 1, 2, 3, 4].map((n) => receiver.receive(event(n)));
  const settled = Promise.allSettled(answers);
  await letGo();
  assert.deepEqual((await settled).map(({ status }) => status), [
    "fulfilled",
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  assert.deepEqual(calls.slice(2), [["evt_2", "evt_3", "evt_4"], ["evt_2"], ["evt_3"], ["evt_4"]]);
});

Deno.test("while the database is away nobody asks it for each event, and none is acknowledged", async () => {
  const away = new AppError("database_unavailable");
  const { rpc, calls, letGo } = database(() => away);
  const receiver = createReceiver(rpc);
  const settled = Promise.allSettled([0, 1, 2, 3].map((n) => receiver.receive(event(n))));
  await letGo();
  assert.deepEqual((await settled).map(({ status }) => status), Array(4).fill("rejected"));
  assert.deepEqual(calls.map(({ length }) => length), [1, 1, 2]);
  const later = receiver.receive(event(5));
  const failed = assert.rejects(later, away);
  await letGo();
  await failed;
});

Deno.test("a delivery that waits for too long in a shared call keeps only itself from being stored", async () => {
  const statementTimeout = fromDatabaseFailure({ code: "57014", message: "", details: null, status: 500 });
  const { rpc, letGo } = database((ids) => ids.includes("evt_3") ? statementTimeout : null);
  const receiver = createReceiver(rpc);
  const settled = Promise.allSettled([0, 1, 2, 3, 4].map((n) => receiver.receive(event(n))));
  await letGo();
  assert.deepEqual((await settled).flatMap(({ status }, n) => status === "rejected" ? [n] : []), [3]);
});

Deno.test("calls that wait for somebody do not keep the deliveries behind them", async () => {
  const { rpc, calls, letGo } = database();
  const receiver = createReceiver(rpc);
  const answers = [0, 1, 2, 3].map((n) => receiver.receive(event(n)));
  assert.deepEqual(calls, [["evt_0"], ["evt_1"]]);
  await eventually("the others to be sent", () => Promise.resolve(calls.length > 2));
  assert.deepEqual(calls.at(-1), ["evt_2", "evt_3"]);
  await letGo();
  assert.equal((await Promise.all(answers)).length, 4);
});
