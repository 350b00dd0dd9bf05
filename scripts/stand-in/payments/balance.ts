/**
 * The account's balance: a line for every movement of money, in the currency it came in. What was paid waits until its
 * day; then it is available, and the account's schedule pays it out.
 */
import type Stripe from "stripe";
import type { Context } from "../core/context.ts";
import { newId } from "../core/ids.ts";

export const DAY_S = 24 * 3600;

/** The midnight (UTC) at the end of this moment's day, when money becomes available and payouts arrive. */
export function midnight(seconds: number): number {
  return Math.ceil(seconds / DAY_S) * DAY_S;
}

/** In place of a day: what came in has not waited for one. */
const AT_ONCE = "at once";

export interface BalanceInput {
  amount: number;
  currency: string;
  fee: number;
  source: string;
  type: Stripe.BalanceTransaction.Type;
  reportingCategory: string;
  availableOn?: number;
  description?: string;
}

/** Writes one line of the account's balance. Negative amounts leave it. */
export function recordBalance(context: Context, input: BalanceInput): Stripe.BalanceTransaction {
  const availableOn = input.availableOn ?? context.now;
  const waits = availableOn > context.now;
  // One alarm for all that becomes available together.
  if (waits && !anyWaits(context, availableOn)) {
    context.schedule("funds_available", String(availableOn), (availableOn - context.now) * 1000);
  }
  const transaction: Stripe.BalanceTransaction = {
    id: newId("balance_transaction"),
    object: "balance_transaction",
    amount: input.amount,
    available_on: availableOn,
    balance_type: "payments",
    created: context.now,
    currency: input.currency,
    description: input.description ?? null,
    exchange_rate: null,
    fee: input.fee,
    fee_details: input.fee === 0 ? [] : [{
      amount: input.fee,
      application: null,
      currency: input.currency,
      description: "Stripe processing fees",
      type: "stripe_fee",
    }],
    net: input.amount - input.fee,
    reporting_category: input.reportingCategory,
    source: input.source,
    status: waits ? "pending" : "available",
    type: input.type,
  };
  context.store.put("balance_transaction", transaction);
  // Told after what the payment itself leads to.
  if (!waits && transaction.reporting_category === "charge") context.schedule("funds_available", AT_ONCE, 0);
  return transaction;
}

function anyWaits(context: Context, availableOn: number): boolean {
  const { data } = context.store.list("balance_transaction", {
    limit: 1,
    filters: [["available_on", availableOn], ["status", "pending"]],
  });
  return data.length > 0;
}

/** Makes available what waited for this day, and says so. Returns whether a day has begun. */
export function releaseFunds(context: Context, day: string): boolean {
  const isDay = day !== AT_ONCE;
  const due = isDay
    ? context.store.all("balance_transaction", ["available_on", Number(day)], ["status", "pending"])
    : [];
  for (const transaction of due) {
    context.store.put("balance_transaction", { ...transaction, status: "available" });
  }
  context.emit("balance.available", balanceOf(context));
  return isDay;
}

interface Sum {
  currency: string;
  status: "available" | "pending";
  amount: number;
}

function sums(context: Context): Sum[] {
  return context.store.rows<Sum>(
    `select json_extract(body, '$.currency') as currency, json_extract(body, '$.status') as status,
       sum(json_extract(body, '$.net')) as amount
     from objects where kind = 'balance_transaction' group by 1, 2 order by 1`,
  );
}

/** What can be paid out in each currency. */
export function availableFunds(context: Context): ReadonlyMap<string, number> {
  return new Map(
    sums(context).filter(({ status }) => status === "available").map((sum) => [sum.currency, sum.amount]),
  );
}

/** The balance as the API shows it: each currency that ever moved, and the account's own. */
export function balanceOf(context: Context): Stripe.Balance {
  const known = sums(context);
  const currencies = [...new Set(["usd", ...known.map(({ currency }) => currency)])].sort();
  const funds = (wanted: Sum["status"]) =>
    currencies.map((currency) => {
      const amount = known.find((sum) => sum.currency === currency && sum.status === wanted)?.amount ?? 0;
      return { amount, currency, source_types: { card: amount } };
    });
  return {
    object: "balance",
    available: funds("available"),
    livemode: false,
    pending: funds("pending"),
    refund_and_dispute_prefunding: { available: zero(currencies), pending: zero(currencies) },
  };
}

function zero(currencies: readonly string[]): { amount: number; currency: string }[] {
  return currencies.map((currency) => ({ amount: 0, currency }));
}
