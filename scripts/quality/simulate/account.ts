/**
 * An account of each order and each article that the world keeps for itself, from what Stripe has, what staff were told
 * yes to and what was mailed: the shop's own books are held against it.
 */
import type { Actors } from "./actors.ts";
import { alive, type AtStripe, type Booked, type Finding, type Known } from "./account_books.ts";
import { goodsOf } from "./account_goods.ts";
import { refundsAskedFor } from "./account_refunds.ts";
import type { Shop } from "./shop.ts";

/** Everything in which the shop's books differ from the account. */
export async function holdAgainstAccount(
  shop: Shop,
  actors: Actors,
  stripe: AtStripe,
  troubled: boolean,
): Promise<Finding[]> {
  const orders = await ordersOf(shop, actors, stripe);
  return [
    ...orders.flatMap((order) => [...wrongWith(order, stripe), ...wrongOnTheWay(order, stripe)]),
    ...await refundsAskedFor(shop, actors, stripe, troubled),
    ...await goodsOf(shop, actors, orders),
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
        )) as mails, coalesce((
          select jsonb_agg(jsonb_build_object(
            'kind', e.kind, 'to', e.data ->> 'to', 'at', extract(epoch from e.created_at)::double precision
          ) order by e.id)
          from public.order_events e where e.order_id = o.id
        ), '[]') as trail
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
      told,
      sessions: pages,
      refunds: back,
      payments: payments.filter((id) => (received.get(id) ?? 0) > 0),
      received: sum(payments.map((id) => received.get(id) ?? 0)),
      refunded: sum(back.filter(alive).map(({ amount }) => amount)),
      touched: back.length > 0 || disputed || order.status === "needs_review" ||
        ["cancel_order", "request_refund", "release_review"].some((name) => asked.includes(name)),
      disputed,
      byItself,
    };
  });
}

/** What was wrong for a while and is right again: nobody may have been told so meanwhile. */
function wrongOnTheWay(order: Known, { events }: AtStripe): Finding[] {
  const { booked, sessions, refunds, received } = order;
  const found: string[] = [];
  const succeeded = refunds.map(({ id, created, amount }) => {
    const told = events.filter(({ data }) => data.object.id === id);
    const waited = told.some(({ data }) => data.object.status === "pending");
    const done = told.filter(({ data }) => data.object.status === "succeeded").map((event) => event.created);
    return { amount, at: waited ? Math.min(...done) : created };
  });
  for (const { kind, to, at } of booked.trail) {
    if (kind !== "status_changed" || to !== "refunded" || booked.paid === 0) continue;
    const given = succeeded.filter((one) => one.at <= at + 1).reduce((sum, { amount }) => sum + amount, 0);
    if (given < booked.paid) found.push("an order is refunded once its money has been given back");
  }
  // An attempt that was given up may be made anew: then they are held again.
  const moves = booked.trail.map(({ kind }) => kind).filter((kind) =>
    /^stock_|^checkout_reopened/.test(kind)
  );
  const before = moves[moves.indexOf("stock_committed") - 1];
  if (sessions.length === 1 && received > 0 && !booked.cancelled && before === "stock_released") {
    found.push("goods of a page that is paid are held until the money comes");
  }
  return found.map((rule) => ({ rule, detail: { ...booked, succeeded } }));
}

function wrongWith(order: Known, stripe: AtStripe): Finding[] {
  const { booked, received, refunded, touched, disputed } = order;
  const found: string[] = [];
  const kept = received - refunded;
  const paidPages = order.sessions.filter(({ payment_status }) => payment_status === "paid");
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
  if (cancelled_at !== null && order.sessions.some(({ created }) => created > cancelled_at + 60)) {
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
