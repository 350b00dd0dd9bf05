/** One shopper with a storefront that does as docs/storefront.md says: waits as told, and repeats with the same key. */
import type { Shopper } from "./plan.ts";
import type { World } from "./world.ts";

/** One request that a shopper waited for. */
export interface Answer {
  what: "checkout" | "order-status";
  /** Milliseconds since the doors opened at which it was sent. */
  sentMs: number;
  tookMs: number;
  /** What it came to: `created`, the code of an error, `timeout`, or `no answer`. */
  code: string;
  status: number;
  retryAfter: number | null;
}

export type Ending = "paid" | "left" | "sold out" | "card refused" | "gave up" | "not seen paid";

export interface Visit {
  shopper: Shopper;
  answers: Answer[];
  ending: Ending;
  /** Milliseconds from the payment until the shop's page says so. */
  seenMs: number | null;
}

/** Storefronts give up after this and repeat. */
const patienceMs = 10_000;
/** How often a shopper is told to come back before walking away. */
const triesMax = 6;
/** Without a time to wait. */
const pauseMs = 2_000;
/** The success page asks again so often, for so long. */
const polling = { everyMs: 2_500, times: 24 };

/** Lives the visit from the arrival on; `openedAt` and the times of answers are `performance.now()`. */
export async function visit(world: World, shopper: Shopper, openedAt: number): Promise<Visit> {
  await pause(openedAt + shopper.arrivesMs - performance.now());
  const made: Visit = { shopper, answers: [], ending: "gave up", seenMs: null };
  const key = crypto.randomUUID();
  const ask = asker(world, made, openedAt);
  let session = await checkOut(made, ask, key);
  if (session === null) return made;
  made.ending = "left";
  for (const card of shopper.cards) {
    await pause(shopper.thinksMs);
    let paid = await pay(world, session, card, shopper.email);
    if (paid === "ended") {
      // The page was closed under the shopper: the same key leads to another one.
      session = await checkOut(made, ask, key);
      if (session === null) return made;
      paid = await pay(world, session, card, shopper.email);
    }
    if (paid !== "paid") made.ending = "card refused";
    else return await success(made, ask, session);
  }
  return made;
}

type Ask = (what: Answer["what"], path: string, init: RequestInit) => Promise<Record<string, unknown> | null>;

function asker(world: World, made: Visit, openedAt: number): Ask {
  return async (what, path, init) => {
    const sentAt = performance.now();
    let status = 0, code: string, retryAfter: number | null = null;
    let body: Record<string, unknown> | null = null;
    try {
      const response = await fetch(`${world.functionsUrl}/${path}`, {
        ...init,
        headers: {
          apikey: world.keys.secret_key,
          "x-shopper-ip": made.shopper.address,
          "content-type": "application/json",
          ...init.headers,
        },
        signal: AbortSignal.timeout(patienceMs),
      });
      status = response.status;
      retryAfter = Number(response.headers.get("retry-after")) || null;
      const answer = await response.json();
      if (response.ok) body = answer;
      code = response.ok ? "ok" : String(answer?.error?.code);
    } catch (error) {
      code = error instanceof DOMException && error.name === "TimeoutError" ? "timeout" : "no answer";
    }
    made.answers.push({
      what,
      sentMs: sentAt - openedAt,
      tookMs: performance.now() - sentAt,
      code,
      status,
      retryAfter,
    });
    return body;
  };
}

/** The session's id; null when the shopper goes home, with the reason in `made.ending`. */
async function checkOut(made: Visit, ask: Ask, key: string): Promise<string | null> {
  const { sku, email } = made.shopper;
  for (let tried = 1; tried <= triesMax; tried++) {
    const order = await ask("checkout", "create-checkout-session", {
      method: "POST",
      headers: { "idempotency-key": key },
      body: JSON.stringify({ items: [{ sku, quantity: 1 }], customer_email: email }),
    });
    if (order !== null) return String(order["session_id"]);
    const { code, retryAfter } = made.answers.at(-1) ?? { code: "", retryAfter: null };
    if (code === "insufficient_stock") {
      made.ending = "sold out";
      return null;
    }
    if (tried < triesMax) await pause(retryAfter === null ? pauseMs : retryAfter * 1_000);
  }
  made.ending = "gave up";
  return null;
}

/** On Stripe's page, which is not ours: what it does costs the shopper no patience. */
async function pay(
  world: World,
  session: string,
  card: string,
  email: string,
): Promise<"paid" | "declined" | "ended"> {
  const response = await fetch(`${world.stripeUrl}/_control/pay`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ session, card, email, three_d_secure: "pass" }),
  });
  await response.body?.cancel();
  if (response.ok) return "paid";
  return response.status === 402 ? "declined" : "ended";
}

/** The shop's page after paying, until it can say that the order is paid. */
async function success(made: Visit, ask: Ask, session: string): Promise<Visit> {
  const paidAt = performance.now();
  for (let look = 0; look < polling.times; look++) {
    const order = await ask("order-status", `order-status?session_id=${session}`, { method: "GET" });
    if (order?.["status"] === "paid") {
      return { ...made, ending: "paid", seenMs: performance.now() - paidAt };
    }
    await pause(polling.everyMs);
  }
  return { ...made, ending: "not seen paid" };
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, Math.max(0, ms)));
}
