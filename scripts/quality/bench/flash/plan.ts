/** Who comes to the sale, when, and what becomes of it: a seed repeats all of it. */
import { Random } from "../../chaos/random.ts";

/** An article of the sale, and how many there are. */
export interface Article {
  sku: string;
  stock: number;
}

export interface Shopper {
  /** Milliseconds after the doors open. */
  arrivesMs: number;
  sku: string;
  email: string;
  /** Many work in one office, behind one address. */
  address: string;
  /** Cards that are tried one after the other; none: leaves the payment page as it is. */
  cards: string[];
  /** How long the shopper types before each card. */
  thinksMs: number;
}

export interface Sale {
  shoppers: number;
  seconds: number;
  seed: number;
}

const good = "4242424242424242";
const declined = "4000000000000002";

/** Of the shoppers: who goes for which article, and how many pieces of the whole stock it has. */
const shares = [["SHIRT-OXF-WHT-M", 0.7], ["SHIRT-OXF-BLU-M", 0.2], ["KNIT-CRW-OAT-M", 0.1]] as const;
/** One piece for so many shoppers. */
const shoppersPerPiece = 10;
const officeShare = 0.02;
const leavesShare = 0.1;
const declinedShare = 0.15;
const mistakenShare = 0.05;
/** A third comes in the first tenth, the others ever more slowly. */
const rush = { share: 1 / 3, time: 0.1 };
/** Of the window, from reading the page to the last digit. */
const thinking = { from: 0.05, to: 0.35 };

export function articles({ shoppers }: Sale): Article[] {
  return shares.map(([sku, share]) => ({
    sku,
    stock: Math.max(1, Math.round(shoppers * share / shoppersPerPiece)),
  }));
}

/** All shoppers, in the order in which they come. */
export function planShoppers({ shoppers, seconds, seed }: Sale): Shopper[] {
  const random = new Random(seed);
  const windowMs = seconds * 1_000;
  return Array.from({ length: shoppers }, (_, at): Shopper => ({
    arrivesMs: arrival(random) * windowMs,
    sku: article(random.next()),
    email: `shopper${at}@example.com`,
    address: random.chance(officeShare) ? "198.51.100.7" : `10.${at >> 16}.${at >> 8 & 255}.${at & 255}`,
    cards: cards(random.next()),
    thinksMs: windowMs * (thinking.from + random.next() * (thinking.to - thinking.from)),
  })).sort((a, b) => a.arrivesMs - b.arrivesMs);
}

/** Of the window. */
function arrival(random: Random): number {
  if (random.chance(rush.share)) return random.next() * rush.time;
  return rush.time + random.next() ** 2 * (1 - rush.time);
}

function article(drawn: number): string {
  let sum = 0;
  for (const [sku, share] of shares) if (drawn < (sum += share)) return sku;
  return shares[0][0];
}

function cards(drawn: number): string[] {
  if (drawn < leavesShare) return [];
  if (drawn < leavesShare + mistakenShare) return [declined];
  return drawn < leavesShare + mistakenShare + declinedShare ? [declined, good] : [good];
}
