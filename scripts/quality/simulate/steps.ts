/** What happens in a world, as a list: each step stands for itself and can be left out. */
import { Random } from "../chaos/random.ts";
import { hashOf } from "./kernel.ts";

/** Who may be out of reach: the shop's API (its database with it), Stripe, the mail provider. */
export type Party = "api" | "stripe" | "web";

/** `at`: milliseconds after the world began. Steps about an order that was never made do nothing. */
export type Step =
  & { at: number }
  & (
    | {
      do: "buy";
      order: number;
      lines: { sku: string; quantity: number }[];
      patience: number;
      twice: boolean;
      /** Signed in; absent: a guest. */
      member?: boolean;
    }
    /** On the page that was opened last, or on the first; Stripe's events about it may never have existed. */
    | { do: "pay"; order: number; card: string; first?: boolean; unheard?: boolean }
    | { do: "resume"; order: number }
    | { do: "debit"; order: number; account: string }
    | { do: "look"; order: number }
    /** Two members of staff may ask for the same at once; "most" is more than half of what was paid. */
    | { do: "refund"; order: number; amount: number | "most" | null; restock: boolean; twice?: boolean }
    | { do: "return piece" | "announce return" | "receive return"; order: number; sku: string }
    | { do: "cancel"; order: number }
    | { do: "ship"; order: number; sku: string | null }
    | { do: "release"; order: number }
    | { do: "accept dispute" | "leave dispute"; order: number }
    | { do: "refund at Stripe"; order: number; amount: number | null; unheard?: boolean }
    | { do: "warning" | "review" | "dispute"; order: number }
    | { do: "stock"; sku: string; delta: number }
    | { do: "weather"; forMs: number; lost: number; doubled: number; slow: number }
    | { do: "cut off"; who: Party; forMs: number }
    | { do: "kill"; name: string; after: number }
  );

const minute = 60_000;

const good = "4242424242424242";
const declined = ["4000000000000002", "4000000000009995", "4000000000000119"];
const disputed = ["4000000000000259", "4000000000002685", "4000000000001976"];
const warned = "4000000000005423";
const slowRefunds = ["4000000000007726", "4000000000005126"];

/** Of some there are plenty, of some a few, of one a single piece. */
const popular = ["SHIRT-OXF-WHT-M", "SHIRT-OXF-BLU-M", "TIE-SILK-NVY", "TIE-SILK-GRN", "KNIT-CRW-OAT-M"];
const skus = [...popular, "KNIT-CRW-GRN-M", "COAT-CML-S", "SUIT-CHR-38R", "SHOE-CAP-BRN-12", "COAT-CML-M"];

type Cart = { sku: string; quantity: number }[];

/** How a day goes. */
export interface Day {
  orders: number;
  /** Between the first order and the last. */
  hours: number;
}

export const shopDay: Day = { orders: 200, hours: 3 };

/** The steps of a world, in the order of their times: each fourth day is one without any trouble. */
export function planDay(seed: number, { orders, hours }: Day): Step[] {
  const random = new Random(hashOf(`plan ${seed}`));
  const span = hours * 60 * minute;
  const steps = Array.from({ length: orders }, (_, order) => planOrder(random, order, random.whole(0, span)))
    .flat();
  for (const sku of popular) steps.push({ at: 0, do: "stock", sku, delta: Math.ceil(orders / 4) });
  for (let at = 0; at < Math.ceil(orders / 12); at++) {
    steps.push({
      at: random.whole(0, span),
      do: "stock",
      sku: random.pick(skus),
      delta: random.whole(-3, 12),
    });
  }
  const calm = seed % 4 === 0;
  if (!calm) steps.push(...planTrouble(random, orders, span));
  return steps.filter((step) => !calm || step.do !== "cut off").sort((a, b) => a.at - b.at);
}

function planOrder(random: Random, order: number, at: number): Step[] {
  const lines = [
    ...new Set(
      Array.from({ length: random.whole(1, 3) }, () => random.pick(random.chance(0.8) ? popular : skus)),
    ),
  ]
    .map((sku) => ({ sku, quantity: random.chance(0.2) ? 2 : 1 }));
  const first = lines[0]?.sku ?? "";
  const buy = (after: number): Step => ({
    at: at + after,
    do: "buy",
    order,
    lines,
    patience: random.chance(0.2) ? 1 : 6,
    twice: random.chance(0.1),
  });
  const pay = (after: number, card = good): Step => ({ at: at + after, do: "pay", order, card });
  const soon = () => random.whole(20_000, 8 * minute);
  const later = (after: number) => after + random.whole(2 * minute, 60 * minute);
  const paid = soon();
  if (random.chance(0.2)) return planRareStory(random, order, at, lines);
  const story = random.whole(0, 99);
  if (story < 10) return [buy(0)];
  if (story < 15) return [buy(0), pay(paid, random.pick(declined))];
  if (story < 25) return [buy(0), pay(soon() / 2 | 0, random.pick(declined)), pay(8 * minute + paid)];
  // The page has ended by then, or nearly: the same cart is asked for again.
  if (story < 32) return [buy(0), buy(random.whole(25, 45) * minute), pay(random.whole(46, 60) * minute)];
  if (story < 38) {
    const account = random.pick(["000123456789", "000123456789", "000222222227"]);
    return [buy(0), { at: at + paid, do: "debit", order, account }, {
      at: later(at + paid),
      do: "ship",
      order,
      sku: null,
    }];
  }
  const look: Step[] = random.chance(0.7)
    ? [{ at: at + paid + random.whole(100, 5_000), do: "look", order }]
    : [];
  const start = (card = good): Step[] => [buy(0), pay(paid, card), ...look];
  const after = later(at + paid);
  if (story < 43) {
    return [...start(random.pick(disputed)), {
      at: after,
      do: random.pick(["accept dispute", "leave dispute"]),
      order,
    }];
  }
  if (story < 47) return start(warned);
  if (story < 50) {
    return [...start(), { at: after, do: random.pick(["warning", "review"]), order }, {
      at: later(after),
      do: "release",
      order,
    }];
  }
  if (story < 56) return [...start(), { at: after, do: "cancel", order }];
  if (story < 58) return [buy(0), { at: at + (paid / 2 | 0), do: "cancel", order }, pay(paid)];
  if (story < 64) {
    return [...start(random.pick(slowRefunds)), {
      at: after,
      do: "refund",
      order,
      amount: null,
      restock: random.chance(0.5),
    }];
  }
  if (story < 72) {
    return [
      ...start(),
      { at: after, do: "refund", order, amount: random.whole(100, 5_000), restock: false },
      {
        at: later(after),
        do: random.pick(["refund", "refund at Stripe"]),
        order,
        amount: null,
        restock: true,
      },
    ];
  }
  if (story < 75) {
    return [
      ...start(),
      { at: after, do: "refund", order, amount: 500, restock: false },
      // Before the job has run, most often.
      { at: after + random.whole(0, 30_000), do: "refund at Stripe", order, amount: 500 },
    ];
  }
  if (story < 78) {
    return [...start(), {
      at: after,
      do: "refund at Stripe",
      order,
      amount: random.chance(0.5) ? null : 200,
    }];
  }
  if (story < 84) {
    return [
      ...start(),
      { at: after, do: "ship", order, sku: first },
      { at: later(after), do: "ship", order, sku: null },
      { at: later(later(after)), do: "return piece", order, sku: first },
    ];
  }
  return [...start(), { at: after, do: "ship", order, sku: null }];
}

/** What a shop sees once a week, and then has to get right: a fifth of the orders here. */
function planRareStory(random: Random, order: number, at: number, lines: Cart): Step[] {
  const after = (minutes: [number, number]) => at + random.whole(minutes[0] * minute, minutes[1] * minute);
  const buy = (when = at, more: { order?: number; member?: boolean } = {}): Step => (
    { at: when, do: "buy", order, lines, patience: 6, twice: false, ...more }
  );
  const sku = lines[0]?.sku ?? "";
  const paid = at + random.whole(20_000, 4 * minute);
  const pay: Step = { at: paid, do: "pay", order, card: good };
  const all = { do: "refund" as const, order, amount: null, restock: true };
  const stories: (() => Step[])[] = [
    // Money that comes after the goods were given back to the shelf, and perhaps to somebody else.
    () => {
      const rival = 10_000 + order;
      const scarce = [{ sku: random.pick(skus.slice(popular.length)), quantity: 1 }];
      return [
        { ...buy(), lines: scarce } as Step,
        { at: at + 30_000, do: "cut off", who: "stripe", forMs: 5 * minute },
        { at: at + 40_000, do: "cancel", order },
        { ...pay, at: after([2, 4]) },
        { ...buy(after([6, 9]), { order: rival }), lines: scarce } as Step,
        { at: after([10, 12]), do: "pay", order: rival, card: good },
      ];
    },
    // Two pages of one order, both paid.
    () => [
      buy(),
      buy(at + random.whole(25 * minute, 30 * minute)),
      { ...pay, at: after([25, 31]), first: true },
      { ...pay, at: after([31, 40]) },
    ],
    () => [buy(), { ...pay, unheard: true }],
    () => [buy(), pay, { at: after([6, 30]), do: "refund at Stripe", order, amount: null, unheard: true }],
    () => [buy(), { ...pay, unheard: true }, { at: after([30, 60]), ...all }],
    // A colleague has not heard of it, and asks again.
    () => [
      buy(),
      pay,
      { at: after([6, 20]), ...all, restock: false, twice: true },
      { at: after([25, 50]), ...all, restock: false, amount: random.pick([null, 300]) },
    ],
    () => [
      buy(),
      pay,
      {
        at: after([6, 20]),
        do: "refund",
        order,
        amount: random.pick([700, "most"] as const),
        restock: false,
        twice: true,
      },
      { at: after([6, 40]), ...all },
    ],
    // The bank is faster than the shop, and Stripe gives nothing back any more.
    () => {
      const asked = after([6, 40]);
      return [
        buy(),
        pay,
        { at: asked, ...all, restock: false, amount: random.pick([null, 900]) },
        { at: asked + random.whole(0, 20_000), do: "dispute", order },
        { at: after([60, 120]), do: random.pick(["accept dispute", "leave dispute"]), order },
      ];
    },
    () => [
      buy(),
      { ...pay, card: random.pick(disputed) },
      { at: after([5, 90]), do: "refund", order, amount: random.pick([null, 900]), restock: false },
      { at: after([90, 120]), do: random.pick(["accept dispute", "leave dispute"]), order },
    ],
    () => [
      buy(),
      pay,
      { at: after([6, 20]), do: "ship", order, sku },
      { at: after([21, 40]), do: "announce return", order, sku },
      { at: after([41, 60]), do: "receive return", order, sku },
      { at: after([61, 90]), do: "refund", order, amount: null, restock: false },
    ],
    () => [buy(at, { member: true }), pay, { at: after([6, 20]), do: "cancel", order }],
    () => [buy(), { ...pay, card: declined[0] ?? good }, { at: after([35, 50]), do: "resume", order }, {
      ...pay,
      at: after([51, 60]),
    }],
    () => [buy(), { ...pay, card: warned }, { at: after([8, 20]), do: "release", order }, {
      at: after([21, 30]),
      ...all,
    }],
    () => [buy(), { ...pay, card: random.pick(slowRefunds) }, { at: after([6, 20]), do: "cancel", order }],
  ];
  return random.pick(stories)();
}

function planTrouble(random: Random, orders: number, span: number): Step[] {
  const some = (least: number, most: number) => random.whole(least, Math.max(least, most));
  const times = <T extends Step>(count: number, make: () => T) => Array.from({ length: count }, make);
  return [
    ...times(some(1, orders / 40), () => ({
      at: random.whole(0, span),
      do: "weather" as const,
      forMs: random.whole(2, 40) * minute,
      lost: random.pick([0.02, 0.1, 0.3]),
      doubled: random.pick([0, 0.05, 0.2]),
      slow: random.pick([0, 0.05, 0.2]),
    })),
    ...times(some(0, orders / 80), () => ({
      at: random.whole(0, span),
      do: "cut off" as const,
      who: random.pick(["api", "stripe", "web"] as const),
      forMs: random.whole(1, 20) * minute,
    })),
    ...times(some(1, orders / 6), () => ({
      at: random.whole(0, span),
      do: "kill" as const,
      name: random.pick([
        "create-checkout-session",
        "stripe-webhook",
        "stripe-webhook",
        "retry-jobs",
        "retry-jobs",
        "order-status",
      ]),
      after: random.whole(1, 12),
    })),
  ];
}
