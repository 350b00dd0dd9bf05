/**
 * An account of each order and each article that the world keeps for itself, from what Stripe has, what staff were told
 * yes to and what was mailed: the shop's own books are held against it.
 */
import type { Actors, Order } from "./actors.ts";
import type { Shop } from "./shop.ts";

/** What Stripe has, as far as the account needs it. */
export interface AtStripe {
  sessions: {
    id: string;
    created: number;
    metadata: Record<string, string>;
    payment_intent: string | null;
    payment_status: string;
  }[];
  payments: { id: string; amount_received: number }[];
  refunds: {
    id: string;
    created: number;
    amount: number;
    status: string;
    payment_intent: string;
    metadata: Record<string, string>;
  }[];
  disputes: { id: string; payment_intent: string }[];
}

/** An order in the shop's books. */
interface Booked {
  id: string;
  number: string;
  status: string;
  total: number;
  paid: number;
  refunded: number;
  cancelled: boolean;
  /** In seconds since 1970. */
  cancelled_at: number | null;
  oversold: boolean;
  shipped: boolean;
  addressed: boolean;
  payment_id: string | null;
  /** Kinds of the mails that were sent, with what they are about. */
  mails: string[];
}

/** An order in the world's account. */
interface Known {
  booked: Booked;
  received: number;
  refunded: number;
  /** Something else than a sale has happened: money back, a warning, a dispute, a cancellation. */
  touched: boolean;
  disputed: boolean;
  /** Somebody has put goods back on the shelf, or the shop itself has reason to. */
  homecoming: boolean;
}

interface Finding {
  rule: string;
  detail: unknown;
}

const alive = ({ status }: { status: string }) => !["failed", "canceled"].includes(status);

/** Everything in which the shop's books differ from the account. */
export async function holdAgainstAccount(
  shop: Shop,
  actors: Actors,
  stripe: AtStripe,
  troubled: boolean,
): Promise<Finding[]> {
  const orders = await ordersOf(shop, actors, stripe);
  return [
    ...orders.flatMap((order) => wrongWith(order, stripe)),
    ...await refundsAskedFor(shop, actors, stripe, troubled),
    ...await shelf(shop, actors, orders),
  ];
}

async function ordersOf(shop: Shop, { done }: Actors, stripe: AtStripe): Promise<Known[]> {
  const booked = await shop.ask((sql) =>
    sql<Booked[]>`
      select o.id, o.number, o.status, o.amount_total::integer as total, o.amount_paid::integer as paid,
        o.amount_refunded::integer as refunded, o.cancelled_at is not null as cancelled,
        extract(epoch from o.cancelled_at)::double precision as cancelled_at,
        o.oversold_at is not null as oversold, o.fulfilled_at is not null as shipped,
        o.shipping_address is not null as addressed, o.payment_id, to_jsonb(array(
          select n.template || ' ' || coalesce(n.data ->> 'refund_id', '') from public.notifications n
          where n.order_id = o.id and n.sent_at is not null order by 1
        )) as mails
      from public.orders o order by o.number`
  );
  const commands = Map.groupBy(done, ({ args }) => args["p_order_number"]);
  const received = new Map(stripe.payments.map(({ id, amount_received }) => [id, amount_received]));
  return booked.map((order) => {
    const pages = stripe.sessions.filter(({ metadata }) => metadata["order_id"] === order.id);
    const payments = pages.flatMap(({ payment_intent }) => payment_intent ?? []);
    const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
    const back = stripe.refunds.filter(({ payment_intent }) => payments.includes(payment_intent));
    const disputed = stripe.disputes.some(({ payment_intent }) => payments.includes(payment_intent));
    const told = commands.get(order.number) ?? [];
    const asked = told.map(({ name }) => name);
    const requests = told.map(({ id }) => id);
    const byItself = back.some(({ metadata }) =>
      metadata["refund_request_id"] !== undefined && !requests.includes(metadata["refund_request_id"])
    );
    return {
      booked: order,
      received: sum(payments.map((id) => received.get(id) ?? 0)),
      refunded: sum(back.filter(alive).map(({ amount }) => amount)),
      touched: back.length > 0 || disputed || order.status === "needs_review" ||
        ["cancel_order", "request_refund", "release_review"].some((name) => asked.includes(name)),
      disputed,
      homecoming: order.cancelled || order.oversold || disputed || byItself ||
        told.some(({ name, args }) =>
          name === "receive_return" || args["p_restock"] === true ||
          name === "request_refund" && args["p_lines"] !== undefined
        ),
    };
  });
}

function wrongWith({ booked, received, refunded, touched, disputed }: Known, stripe: AtStripe): Finding[] {
  const found: string[] = [];
  const kept = received - refunded;
  const paidPages = stripe.sessions.filter(({ metadata, payment_status }) =>
    metadata["order_id"] === booked.id && payment_status === "paid"
  );
  const confirmations = booked.mails.filter((mail) => mail === "order_confirmation ").length;
  if (kept > booked.total) found.push("no order keeps more than it costs");
  const nothingToSend = (booked.cancelled || booked.oversold) && !booked.shipped;
  const bounced = stripe.refunds.some((refund) =>
    !alive(refund) && booked.mails.some((m) => m.includes(refund.id))
  );
  if (nothingToSend && kept > 0 && !disputed && !bounced) {
    found.push("an order that is not sent keeps no money");
  }
  if (received > 0 && !touched && booked.status !== "paid") found.push("an order that was paid reads paid");
  if (received > 0 && booked.paid === 0) found.push("money that came is in the books");
  if (received === 0 && booked.total > 0 && booked.paid > 0) found.push("no order is paid without money");
  if (received > 0 && !touched && confirmations !== 1) found.push("who paid has one confirmation");
  const { cancelled_at } = booked;
  const opened = stripe.sessions.filter(({ metadata }) => metadata["order_id"] === booked.id);
  if (cancelled_at !== null && opened.some(({ created }) => created > cancelled_at + 60)) {
    found.push("no page is opened for a cancelled order");
  }
  const [partly, wholly] = [refunded > 0 && kept > 0, refunded > 0 && kept === 0];
  if (booked.status === (wholly ? "partially_refunded" : partly ? "refunded" : "")) {
    found.push("an order is refunded when all of its money is given back");
  }
  if (paidPages.length > 0 && !booked.addressed) found.push("an order that was paid has an address");
  for (const refund of stripe.refunds) {
    const told = booked.mails.filter((mail) => mail.endsWith(refund.id));
    if (alive(refund) || !told.some((mail) => mail.startsWith("refund_issued"))) continue;
    if (!told.some((mail) => mail.startsWith("refund_failed"))) {
      found.push("who was promised money hears that it bounced");
    }
  }
  return found.map((rule) => ({ rule, detail: { ...booked, received, given: refunded } }));
}

/** Each refund that staff were told yes to has reached Stripe once, or there is a reason that they can read. */
async function refundsAskedFor(
  shop: Shop,
  { done }: Actors,
  { refunds, disputes }: AtStripe,
  troubled: boolean,
): Promise<Finding[]> {
  const requests = await shop.ask((sql) =>
    sql<
      {
        id: string;
        payment_id: string;
        amount: number | null;
        status: string;
        alerts: number;
        left: number;
        at: number;
      }[]
    >`
      select q.id, q.payment_id, q.amount::integer as amount, q.status, extract(epoch from q.created_at)::double precision as at, (
        select count(*)::integer from public.alerts a where a.kind like 'refund%' and a.data ->> 'order_number' = (
            select o.number from public.orders o where o.id = q.order_id)
      ) as alerts, (
        p.amount_received - (
          select coalesce(sum(r.amount), 0) from public.refunds r
          where r.payment_id = p.id and r.status not in ('failed', 'canceled'))
      )::integer as left
      from public.refund_requests q join public.payments p on p.id = q.payment_id`
  );
  const byId = new Map(requests.map((request) => [request.id, request]));
  return done.filter(({ name }) => name === "request_refund").flatMap(({ id, args }): Finding[] => {
    const request = byId.get(id);
    const mine = refunds.filter(({ metadata }) => metadata["refund_request_id"] === id);
    const [first] = mine;
    const payment = refunds.filter((refund) => refund.payment_intent === request?.payment_id);
    if (first !== undefined && !troubled) {
      const known = payment.some((refund) =>
        refund.metadata["refund_request_id"] === undefined && refund.amount === first.amount &&
        request !== undefined && refund.created > request.at + 2 && refund.created < first.created - 10
      );
      if (known) return [{ rule: "a refund by hand is not repeated", detail: { args, payment } }];
    }
    if (args["p_amount"] === null && payment.every(alive) && request !== undefined && request.left > 0) {
      if (!disputes.some(({ payment_intent }) => payment_intent === request.payment_id)) {
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
    const byHand = refunds.some((refund) =>
      refund.payment_intent === request?.payment_id && alive(refund) &&
      !byId.has(refund.metadata["refund_request_id"] ?? "") &&
      (request.amount === null || refund.amount === request.amount)
    );
    const disputed = disputes.some(({ payment_intent }) => payment_intent === request?.payment_id);
    const told = request !== undefined &&
      (request.status === "given_up"
        ? request.alerts > 0
        : request.status === "not_needed" && (byHand || disputed || request.left === 0));
    return told
      ? []
      : [{ rule: "a refund that staff asked for reaches Stripe once", detail: { id, args, request, mine } }];
  });
}

/** Of each article there is what staff put there, less what was sold for good; where goods came back, somewhere between. */
async function shelf(shop: Shop, { done, orders, opening }: Actors, known: Known[]): Promise<Finding[]> {
  const levels = await shop.ask((sql) =>
    sql<{ sku: string; on_hand: number; reserved: number }[]>`
      select v.sku, l.on_hand::integer as on_hand, l.reserved::integer as reserved
      from public.inventory_levels l join public.product_variants v on v.id = l.variant_id order by v.sku`
  );
  const carts = new Map([...orders.values()].map((order: Order) => [order.order_id, order.lines]));
  const pieces = (sku: string, of: Known[]) =>
    of.flatMap(({ booked }) => carts.get(booked.id) ?? []).filter((line) => line.sku === sku)
      .reduce((sum, { quantity }) => sum + quantity, 0);
  const paid = known.filter(({ received }) => received > 0);
  const sold = paid.filter(({ homecoming }) => !homecoming);
  const home = (one: Known) => one.booked.cancelled && !one.booked.shipped && !one.disputed;
  return levels.flatMap((level) => {
    const put = (opening.get(level.sku) ?? 0) + done
      .filter(({ name, args }) => name === "adjust_inventory" && args["p_sku"] === level.sku)
      .reduce((sum, { args }) => sum + Number(args["p_delta"]), 0);
    const most = put - pieces(level.sku, sold);
    const least = put - pieces(level.sku, paid.filter((one) => !home(one)));
    const right = level.on_hand >= least && level.on_hand <= most && level.reserved === 0;
    return right
      ? []
      : [{ rule: "the shelf holds what the world counts", detail: { ...level, put, least, most } }];
  });
}
