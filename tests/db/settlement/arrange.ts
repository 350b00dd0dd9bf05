/** Brings a lifecycle to where its events may come in any order, and reads off how it ended. */
import type postgres from "postgres";
import { attachSession, SKU, stockOf } from "./shop.ts";
import type { Move } from "./moves.ts";
import type { Story } from "./story.ts";
import { type Ending, type Lifecycle } from "./lifecycle.ts";

type Db = postgres.ReservedSql | postgres.Sql;

/** Attaches the sessions, tells the story, cancels where the lifecycle wants it; returns the moves that are left. */
export async function arrange(sql: Db, lifecycle: Lifecycle, story: Story): Promise<Move[]> {
  for (const [index, name] of (lifecycle.sessions ?? ["a"]).entries()) {
    await attachSession(sql, story, name, index + 1);
  }
  lifecycle.tell(story);
  const { cancelAfter, act } = lifecycle;
  const after = act?.after ?? cancelAfter;
  if (after === undefined) return story.moves;
  const isFirst = (move: Move) => move.call === "event" && after.includes(move.type);
  await deliver(sql, story.moves.filter(isFirst));
  await act?.by(sql, story);
  if (cancelAfter !== undefined) await sql`select public.cancel_order(${story.frame.orderNumber})`;
  return story.moves.filter((move) => !isFirst(move));
}

/** Staff ask for a refund of the payment of session `a`; `name` tells several requests apart. */
export async function askRefund(
  sql: Db,
  story: Story,
  name: string,
  amount: number | null,
  restock = false,
): Promise<void> {
  await sql`select private.ask_refund(${story.id("req", name)}, ${story.frame.orderId}, ${
    story.id("pi", "a")
  },
    ${amount}, 'requested', 'test', ${restock})`;
  await sql`select private.settle_order(${story.frame.orderId}, 'staff')`;
}

/** The job of a refund request ends as given. */
export async function endRefundJob(
  sql: Db,
  requestId: string,
  outcome: "done" | "discard" | "retry",
  alert: string | null = null,
): Promise<void> {
  const lease = crypto.randomUUID();
  await sql`update private.jobs set status = 'running', lease_id = ${lease}, leased_until = now() + interval '1 minute',
      attempts = attempts + 1
    where payload ->> 'refund_request_id' = ${requestId}`;
  await sql`select private.finish_job(j.id, ${lease}, ${outcome}, 'stripe says no', null, ${alert})
    from private.jobs j where payload ->> 'refund_request_id' = ${requestId}`;
}

/** The job of a refund request that was given up is brought back. */
export async function redriveRefund(sql: Db, requestId: string): Promise<void> {
  await sql`select private.redrive_job(j.id) from private.jobs j where payload ->> 'refund_request_id' = ${requestId}`;
}

/** Delivers moves one after the other and returns the outcomes. */
export async function deliver(sql: Db, moves: Move[]): Promise<string[]> {
  const rows = await sql`
    select search.move(m.value) as outcome
    from (
      select value from jsonb_array_elements(${sql.json(JSON.parse(JSON.stringify(moves)))})
        with ordinality x (value, place) order by x.place
    ) m`;
  return rows.map((row) => row["outcome"]);
}

/** Delivers each move in a transaction of its own, as Stripe and the page make them: what others do comes between. */
export async function deliverEach(sql: Db, moves: Move[]): Promise<string[]> {
  const outcomes: string[] = [];
  for (const move of moves) outcomes.push(...await deliver(sql, [move]));
  return outcomes;
}

/** How an order stands, in the words of {@linkcode Ending}. */
export async function endingOf(sql: Db, story: Story): Promise<Ending> {
  const { orderId } = story.frame;
  const [order] = await sql`select status, fulfillment_status, amount_paid::int, amount_refunded::int
    from public.orders where id = ${orderId}`;
  const mails =
    await sql`select template || case when public.get_notification(id) ->> 'recipient' is null then ' to nobody' else '' end
      as template
    from public.notifications where order_id = ${orderId} order by 1`;
  const jobs = await sql`select kind, dedupe_key from private.jobs
    where kind not in ('send_mail', 'send_alert') and kind not like 'refresh%' and dedupe_key like ${`%_${story.tag}_%`}`;
  const alerts = await sql`select kind from public.alerts
    where data ->> 'order_number' = ${story.frame.orderNumber} order by 1`;
  return {
    status: order?.["status"],
    fulfillment: order?.["fulfillment_status"],
    stock: await stockOf(sql),
    paid: order?.["amount_paid"],
    refunded: order?.["amount_refunded"],
    mails: mails.map((row) => row["template"]),
    jobs: jobs.map((row) => shortKey(row["kind"], row["dedupe_key"], story)).sort(),
    alerts: alerts.map((row) => row["kind"]),
  };
}

/** `refund_payment:duplicate:pi_T_b` → `refund_payment:duplicate:b`. */
function shortKey(kind: string, key: string, story: Story): string {
  const [, ...parts] = key.split(":");
  return [kind, ...parts].join(":").replaceAll(new RegExp(`[a-z_]+_${story.tag}_`, "g"), "");
}

/** Staff send so many pieces of the order's only line. */
export async function ship(sql: Db, story: Story, quantity: number): Promise<void> {
  const lines = sql.json([{ sku: SKU, quantity }]);
  await sql`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z-1', ${lines})`;
}

/** Staff refund so many pieces of the order's only line and put them back; `name` tells several requests apart. */
export async function refundPieces(
  sql: Db,
  story: Story,
  name: string,
  quantity: number,
  amount: number,
): Promise<void> {
  const { orderId } = story.frame;
  const id = story.id("req", name);
  await sql`select private.ask_refund(${id}, ${orderId}, ${
    story.id("pi", "a")
  }, ${amount}, 'requested', 'test', false)`;
  await sql`select private.book_refund_lines(o, ${id}, null, ${sql.json([{ sku: SKU, quantity }])}, true)
    from public.orders o where o.id = ${orderId}`;
  await sql`select private.settle_order(${orderId}, 'staff')`;
}

/** Staff release the order. */
export async function release(sql: Db, story: Story): Promise<void> {
  await sql`select public.release_review(${story.frame.orderNumber})`;
}
