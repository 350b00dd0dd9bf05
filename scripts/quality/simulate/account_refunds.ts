/** Refunds: what staff were told yes to, what Stripe made of it, and what they are still asked to look after. */
import type { Actors, Done } from "./actors.ts";
import { alive, type AtStripe, type Finding } from "./account_books.ts";
import type { Shop } from "./shop.ts";

/** A refund that was asked for, as it stands in the shop's books. */
interface Asked {
  id: string;
  payment_id: string;
  amount: number | null;
  status: string;
  /** Alerts about refunds of the same order. */
  alerts: number;
  /** What is left of the payment. */
  left: number;
  /** In seconds since 1970. */
  at: number;
  given_up_at: number | null;
}

interface Books {
  asked: Map<string, Asked>;
  /** When the shop first heard of a refund, in seconds since 1970. */
  seen: Map<string, number>;
  stripe: AtStripe;
  /** Seconds that an answer may be on its way. */
  slack: number;
}

/** Everything that is wrong with what staff were told of refunds. */
export async function refundsAskedFor(
  shop: Shop,
  { done }: Actors,
  stripe: AtStripe,
  troubled: boolean,
): Promise<Finding[]> {
  const asked = await shop.ask((sql) =>
    sql<Asked[]>`
      select q.id, q.payment_id, q.amount::integer as amount, q.status,
        extract(epoch from q.created_at)::double precision as at,
        extract(epoch from q.given_up_at)::double precision as given_up_at, (
          select count(*)::integer from public.alerts a where a.kind like 'refund%' and a.data ->> 'order_number' = (
            select o.number from public.orders o where o.id = q.order_id)
        ) as alerts, (
          p.amount_received - (
            select coalesce(sum(r.amount), 0) from public.refunds r
            where r.payment_id = p.id and r.status not in ('failed', 'canceled'))
        )::integer as left
      from public.refund_requests q join public.payments p on p.id = q.payment_id`
  );
  const seen = await shop.ask((sql) =>
    sql<{ id: string; at: number }[]>`
      select r.id, extract(epoch from r.seen_at)::double precision as at from public.refunds r`
  );
  const books = {
    asked: new Map(asked.map((request) => [request.id, request])),
    seen: new Map(seen.map(({ id, at }) => [id, at])),
    stripe,
    slack: troubled ? 120 : 10,
  };
  const mine = done.filter(({ name }) => name === "request_refund");
  return [
    ...mine.flatMap((command) => wrongWithRefund(command, books)),
    ...mine.filter(({ id }) => promisedTooMuch(id, books)).map(({ id, args }) => (
      { rule: "nobody is told yes to money that is not there", detail: { id, args } }
    )),
    ...await askedInVain(shop, stripe),
  ];
}

/** Each refund that staff were told yes to has reached Stripe once, or there is a reason that they can read. */
function wrongWithRefund({ id, args }: Done, books: Books): Finding[] {
  const { refunds, disputes } = books.stripe;
  const request = books.asked.get(id);
  const mine = refunds.filter(({ metadata }) => metadata["refund_request_id"] === id);
  const payment = refunds.filter((refund) => refund.payment_intent === request?.payment_id);
  const disputed = disputes.some(({ payment_intent }) => payment_intent === request?.payment_id);
  if (repeatsByHand(id, books)) {
    return [{ rule: "a refund by hand is not repeated", detail: { args, payment } }];
  }
  if (args["p_amount"] === null && payment.every(alive) && request !== undefined && request.left > 0) {
    if (!disputed) {
      return [{
        rule: "who was promised all of the money has all of it",
        detail: { args, request, payment },
      }];
    }
  }
  if (mine.length === 1) {
    const right = typeof args["p_amount"] !== "number" || mine[0]?.amount === args["p_amount"];
    return right ? [] : [{ rule: "a refund is of what staff asked for", detail: { args, mine } }];
  }
  const byHand = payment.some((refund) =>
    alive(refund) && !books.asked.has(refund.metadata["refund_request_id"] ?? "") &&
    (request?.amount === null || refund.amount === request?.amount)
  );
  const told = request !== undefined &&
    (request.status === "given_up"
      ? request.alerts > 0
      : request.status === "not_needed" && (byHand || disputed || request.left === 0));
  return told
    ? []
    : [{ rule: "a refund that staff asked for reaches Stripe once", detail: { id, args, request, mine } }];
}

/** Somebody gave back the same in Stripe's dashboard, the shop heard of it, and gave it back again. */
function repeatsByHand(id: string, { asked, seen, stripe: { refunds }, slack }: Books): boolean {
  const request = asked.get(id);
  const first = refunds.find(({ metadata }) => metadata["refund_request_id"] === id);
  if (request === undefined || first === undefined || request.amount === null) return false;
  return refunds.some((refund) => {
    const heard = seen.get(refund.id) ?? Infinity;
    return refund.payment_intent === request.payment_id &&
      refund.metadata["refund_request_id"] === undefined &&
      refund.amount === first.amount && heard > request.at && heard < first.created - slack;
  });
}

/** What had been asked for before, and what the shop knew to be given back by hand, had left less than this. */
function promisedTooMuch(id: string, { asked, seen, stripe: { payments, refunds } }: Books): boolean {
  const request = asked.get(id);
  const payment = payments.find((one) => one.id === request?.payment_id);
  if (request === undefined || payment === undefined) return false;
  const earlier = [...asked.values()].filter((one) =>
    one.payment_id === payment.id && one.at < request.at && one.status !== "not_needed" &&
    (one.given_up_at ?? Infinity) > request.at
  ).map((one) => {
    const made = refunds.filter(({ metadata }) => metadata["refund_request_id"] === one.id);
    return made.every(alive) ? made[0]?.amount ?? one.amount ?? 0 : 0;
  });
  const byHand = refunds.filter((refund) =>
    refund.payment_intent === payment.id && alive(refund) && (seen.get(refund.id) ?? Infinity) < request.at &&
    !asked.has(refund.metadata["refund_request_id"] ?? "")
  ).map(({ amount }) => amount);
  const spent = [...earlier, ...byHand].reduce((sum, amount) => sum + amount, 0);
  return payment.amount_received - spent < (request.amount ?? 1);
}

/** Alerts that ask for money which the customer has, by refunds or by a dispute that was lost. */
async function askedInVain(shop: Shop, { payments, refunds, disputes }: AtStripe): Promise<Finding[]> {
  const alerts = await shop.ask((sql) =>
    sql<{ dedupe_key: string; payment_id: string }[]>`
      select a.dedupe_key, coalesce(q.payment_id, r.payment_id) as payment_id
      from public.alerts a
      left join public.refund_requests q on q.id::text = split_part(a.dedupe_key, ':', 2)
      left join public.refunds r on r.id = split_part(a.dedupe_key, ':', 2)
      where a.status <> 'resolved' and a.kind in ('refund_refused', 'refund_failed', 'refund_overtaken')`
  );
  return alerts.flatMap(({ dedupe_key, payment_id }) => {
    const of = <T extends { payment_intent: string }>(all: T[]) =>
      all.filter(({ payment_intent }) => payment_intent === payment_id);
    const back = of(refunds).filter(alive);
    const lost = of(disputes).filter(({ status }) => status === "lost");
    const given = [...back, ...lost].reduce((sum, { amount }) => sum + amount, 0);
    const received = payments.find(({ id }) => id === payment_id)?.amount_received ?? Infinity;
    return given < received
      ? []
      : [{ rule: "nobody is asked for money that the customer has", detail: { dedupe_key, given } }];
  });
}
