/** What Stripe lists since some moment, page by page. */
import type Stripe from "stripe";
import { type Reading, takeReading } from "../../../supabase/functions/_shared/database/readings.ts";
import { callStripe } from "../../../supabase/functions/_shared/stripe/client.ts";

/** Where a page begins, and what it is to show. */
export interface PageParams {
  created: { gte: number };
  limit: number;
  starting_after?: string;
}

/** A list reads more of Stripe than one object: it may take this long. */
const listMs = 60_000;
const pageSize = 100;

/** All objects of a list that were made since, newest first, each with the time of its page. */
export async function* listSince<T extends { id: string }>(
  since: Date,
  read: (page: PageParams) => Promise<{ data: T[]; has_more: boolean }>,
): AsyncGenerator<Reading<T>> {
  const created = { gte: Math.floor(since.getTime() / 1000) };
  let last: string | undefined;
  do {
    const from = last === undefined ? {} : { starting_after: last };
    const { object: page, observedAt } = await takeReading(
      Date.now,
      () => callStripe(() => read({ created, limit: pageSize, ...from }), listMs),
    );
    for (const object of page.data) yield { object, observedAt };
    last = page.has_more ? page.data.at(-1)?.id : undefined;
  } while (last !== undefined);
}

/** All lines of a session: the list of sessions shows the first ten. */
export async function linesOf(session: Stripe.Checkout.Session, stripe: Stripe): Promise<Stripe.LineItem[]> {
  const { line_items: shown } = session;
  if (shown !== undefined && !shown.has_more) return shown.data;
  return await callStripe(async () => {
    const lines: Stripe.LineItem[] = [];
    for await (const line of stripe.checkout.sessions.listLineItems(session.id, { limit: 100 })) {
      lines.push(line);
    }
    return lines;
  });
}
