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

export const endings = ["paid", "not seen paid", "sold out", "card refused", "left", "gave up"] as const;
export type Ending = typeof endings[number];

export interface Visit {
  shopper: Shopper;
  answers: Answer[];
  /** Null: not yet. */
  ending: Ending | null;
  /** Whether Stripe has the money. */
  paid: boolean;
  /** Milliseconds from the payment until the shop's page says so. */
  seenMs: number | null;
}

/** Storefronts give up after this and repeat. */
const patienceMs = 10_000;
/** How often a shopper is told to come back before walking away. */
const triesMax = 6;
/** Without a time to wait. */
const pauseMs = 2_000;
/** The success page asks again so often; who has paid looks at it for so long, however slow it is. */
const polling = { everyMs: 2_500, forMs: 60_000 };

/** A visit of somebody who has not come yet. */
export function plannedVisit(shopper: Shopper): Visit {
  return { shopper, answers: [], ending: null, paid: false, seenMs: null };
}

/** Lives the visit from the arrival to its ending; `openedAt` and the times of answers are `performance.now()`. */
export async function live(world: World, visit: Visit, openedAt: number): Promise<void> {
  const { shopper } = visit;
  await pause(openedAt + shopper.arrivesMs - performance.now());
  const key = crypto.randomUUID();
  const ask = asker(world, visit, openedAt);
  const checkOutAgain = () => checkOut(shopper, ask, key);
  let page = await checkOutAgain();
  let ending: Ending = "left";
  for (const card of shopper.cards) {
    if (page.session === null) break;
    await pause(shopper.thinksMs);
    let payment = await pay(world, page.session, card, shopper.email);
    if (payment === "ended") {
      // The page was closed under the shopper: the same key leads to another one.
      page = await checkOutAgain();
      if (page.session === null) break;
      payment = await pay(world, page.session, card, shopper.email);
    }
    ending = "card refused";
    if (payment !== "paid") continue;
    visit.paid = true;
    visit.seenMs = await successSeen(ask, page.session);
    ending = visit.seenMs === null ? "not seen paid" : "paid";
    break;
  }
  visit.ending = page.session === null ? page.why : ending;
}

/** `body` is null when there was no answer that helps. */
type Ask = (what: Answer["what"], path: string, init: RequestInit) => Promise<
  { body: Record<string, unknown> | null; answer: Answer }
>;

function asker(world: World, visit: Visit, openedAt: number): Ask {
  return async (what, path, init) => {
    const sentAt = performance.now();
    let status = 0, code: string, retryAfter: number | null = null;
    let body: Record<string, unknown> | null = null;
    try {
      const response = await fetch(`${world.functionsUrl}/${path}`, {
        ...init,
        headers: {
          apikey: world.keys.secret_key,
          "x-shopper-ip": visit.shopper.address,
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
    const answer: Answer = {
      what,
      sentMs: sentAt - openedAt,
      tookMs: performance.now() - sentAt,
      code,
      status,
      retryAfter,
    };
    visit.answers.push(answer);
    return { body, answer };
  };
}

type Page = { session: string } | { session: null; why: "sold out" | "gave up" };

/** Comes back as often as people do. */
async function checkOut({ sku, email }: Shopper, ask: Ask, key: string): Promise<Page> {
  for (let tried = 1;; tried++) {
    const { body, answer } = await ask("checkout", "create-checkout-session", {
      method: "POST",
      headers: { "idempotency-key": key },
      body: JSON.stringify({ items: [{ sku, quantity: 1 }], customer_email: email }),
    });
    if (body !== null) return { session: String(body["session_id"]) };
    if (answer.code === "insufficient_stock") return { session: null, why: "sold out" };
    if (tried === triesMax) return { session: null, why: "gave up" };
    await pause(answer.retryAfter === null ? pauseMs : answer.retryAfter * 1_000);
  }
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

/** Milliseconds until the shop's page says that the order is paid; null: it did not while anybody looked. */
async function successSeen(ask: Ask, session: string): Promise<number | null> {
  const paidAt = performance.now();
  for (;;) {
    const { body } = await ask("order-status", `order-status?session_id=${session}`, { method: "GET" });
    const lookedMs = performance.now() - paidAt;
    if (body?.["status"] === "paid") return lookedMs;
    if (lookedMs > polling.forMs) return null;
    await pause(polling.everyMs);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, Math.max(0, ms)));
}
