/** Values as people read them. */
import { billLines, formatMoney } from "../../../../supabase/functions/_shared/stripe/money.ts";

/** What a status means for the shop. The word itself carries the meaning; the colour helps the eye. */
export type Tone = "good" | "bad" | "warn" | "plain";

const TONES: Readonly<Record<Exclude<Tone, "plain">, string>> = {
  good: "paid processed succeeded complete committed sent delivered fulfilled resolved won done",
  bad: "failed bounced complained suppressed dead payment_failed blocked critical lost given_up",
  warn: "needs_review on_hold processing open needs_response warning_needs_response appeal_needs_response " +
    "warning high partially_refunded under_review warning_under_review discarded",
};

const toneOfWord = new Map(
  Object.entries(TONES).flatMap(([tone, words]) => words.split(" ").map((word) => [word, tone as Tone])),
);

/** The tone of a status word; Stripe adds some, and what is unknown is plain. */
export function toneOf(word: string): Tone {
  return toneOfWord.get(word) ?? "plain";
}

/** `needs_review` as words. */
export function words(text: string): string {
  return text.replaceAll("_", " ");
}

/** Minor units as money, `$129.00`; null is a dash. */
export function money(amount: number | null, currency: string | null): string {
  if (amount === null) return "–";
  return currency === null ? String(amount) : formatMoney(amount, currency);
}

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** How far a moment is from `now`, in its largest whole unit: `in 3 days`, `2 hours ago`, `just now`. */
export function fromNow(time: string | number | Date, now: number): string {
  const seconds = Math.trunc((new Date(time).getTime() - now) / 1000);
  const format = new Intl.RelativeTimeFormat("en", { numeric: "always" });
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return seconds <= 0 ? "just now" : "in a moment";
}

/** A moment in the shop's time zone, to the second. */
export function momentIn(zone: string, time: string): string {
  return new Intl.DateTimeFormat("en-GB", {
    dateStyle: "medium",
    timeStyle: "medium",
    timeZone: zone,
  }).format(new Date(time));
}

/** How urgent a deadline is: passed or within two days, within a week, later. */
export function urgency(deadline: string | null, now: number): Tone {
  if (deadline === null) return "plain";
  const days = (new Date(deadline).getTime() - now) / 86_400_000;
  return days < 2 ? "bad" : days < 7 ? "warn" : "plain";
}

/** The amounts of a row of `orders`, in minor units. */
export interface Bill {
  currency: string;
  amount_subtotal: number;
  amount_discount: number;
  amount_shipping: number;
  amount_tax: number;
  amount_total: number;
  amount_paid: number;
  amount_refunded: number;
}

/** An order's sums from goods to what was given back, so that they add up; what is 0 between them is left out. */
export function billOf(order: Bill): [label: string, amount: string][] {
  const lines = billLines({ ...order, items: [{ quantity: 1, unit_amount: order.amount_subtotal }] });
  const shown = (included: boolean) =>
    lines.filter((line) => line.included === included)
      .map((line): [string, number] => [line.label, line.amount]);
  const all: [string, number][] = [
    ["Goods", order.amount_subtotal],
    ...shown(false),
    ["Total", order.amount_total],
    ...shown(true),
    ["Paid", order.amount_paid],
    ["Refunded", order.amount_refunded],
  ];
  return all.map(([label, amount]) => [label, money(amount, order.currency)]);
}
