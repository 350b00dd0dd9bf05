/**
 * Deliveries that arrive while others are being stored share one call: Stripe sends the events of an order side by
 * side, and what is stored together settles its order once. A delivery that comes alone is sent at once.
 */
import type { EventCalls, EventOutcome, ReceivedEvent } from "../_shared/database/events.ts";
import { isAway } from "../_shared/errors.ts";

export interface Receiver {
  /** Answers when the event is stored; rejects when it is not. */
  receive(event: ReceivedEvent): Promise<EventOutcome>;
}

interface Waiting {
  event: ReceivedEvent;
  resolve: (outcome: EventOutcome) => void;
  reject: (error: unknown) => void;
}

/** Calls under way at once: one alone would leave the database idle between two. */
const callsMax = 2;
/** Locks are held until the last event of a call is settled. */
const eventsMax = 20;
/** A call that takes longer waits for somebody: the deliveries behind it do not wait with it. */
const slowMs = 1_000;

/** One for each worker. */
export function createReceiver(
  rpc: Pick<EventCalls, "receiveStripeEvent" | "receiveStripeEvents">,
): Receiver {
  const waiting: Waiting[] = [];
  let calls = 0;

  function next(): void {
    while (calls < callsMax && waiting.length > 0) {
      calls++;
      let counts = true;
      const goOn = () => {
        if (!counts) return;
        counts = false;
        calls--;
        next();
      };
      const timer = setTimeout(goOn, slowMs);
      void send(waiting.splice(0, eventsMax)).finally(() => {
        clearTimeout(timer);
        goOn();
      });
    }
  }

  async function send(batch: Waiting[]): Promise<void> {
    if (batch.length === 1) return await sendEach(batch);
    let outcomes: EventOutcome[];
    try {
      outcomes = await rpc.receiveStripeEvents(batch.map(({ event }) => event));
    } catch (error) {
      // While the database is away nothing is gained by asking it for each. One that waited for too long is there.
      if (isAway(error)) {
        return batch.forEach(({ reject }) => reject(error));
      }
      return await sendEach(batch);
    }
    batch.forEach(({ resolve, reject }, at) => {
      const outcome = outcomes[at];
      if (outcome === undefined) reject(new Error("an event has no outcome"));
      else resolve(outcome);
    });
  }

  /** One that cannot be stored fails alone. */
  async function sendEach(batch: Waiting[]): Promise<void> {
    await Promise.all(
      batch.map(({ event, resolve, reject }) => rpc.receiveStripeEvent(event).then(resolve, reject)),
    );
  }

  return {
    receive: (event) =>
      new Promise((resolve, reject) => {
        waiting.push({ event, resolve, reject });
        next();
      }),
  };
}
