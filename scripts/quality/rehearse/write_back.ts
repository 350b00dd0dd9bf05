/** What a rehearsal has made of the log, written over what the live database has. */
import type postgres from "postgres";
import { isLoopback } from "../../../supabase/functions/_shared/http/loopback.ts";
import { connect } from "../../lib/connection.ts";
import { atOneMoment, type LiveMoment, quoted } from "./live.ts";
import { receive } from "./shadow.ts";

/** A table of facts: its key, and the order of a row `t` as SQL. */
interface Rebuilt {
  table: string;
  key: string;
  order: string;
  /** Columns that somebody has decided and no event tells: they stay as they are where the row is there. */
  decided: string[];
}

const rebuilt: Rebuilt[] = [
  { table: "checkout_sessions", key: "id", order: "t.order_id", decided: ["closing_at", "created_at"] },
  { table: "payments", key: "id", order: "t.order_id", decided: ["created_at"] },
  { table: "payment_attempts", key: "id", order: "t.order_id", decided: [] },
  { table: "refunds", key: "id", order: "t.order_id", decided: ["released_at", "seen_at"] },
  {
    table: "refund_reasons",
    key: "refund_id",
    order: "(select r.order_id from public.refunds r where r.id = t.refund_id)",
    decided: [],
  },
  { table: "disputes", key: "id", order: "t.order_id", decided: [] },
  // What a velocity rule has found is no fact of Stripe's.
  {
    table: "fraud_signals",
    key: "source_id",
    order: "case when t.source_id is not null then t.order_id end",
    decided: ["id", "answer", "released_at"],
  },
];

/** What settling derives of an order. When its goods went back, and whose money it keeps, was decided once. */
const derived = {
  orders: {
    key: "id",
    columns:
      "session_id payment_id customer_name phone shipping_name shipping_address billing_address status " +
      "fulfillment_status amount_discount amount_shipping amount_tax amount_total amount_paid amount_refunded " +
      "paid_at fulfilled_at",
  },
  order_risk: { key: "order_id", columns: "review_reasons declined_attempts outage_attempts" },
} as const;

/**
 * Replaces the facts of the rehearsed orders, and what is derived from them, by those of the shadow: in one
 * transaction, in which the orders are locked. Settles them then; what they had told and moved is not done again.
 * Orders of which the live database has heard since `copiedAt`, when it was copied, are left as they are. Returns the
 * numbers of these.
 */
export async function writeBack(liveUrl: string, shadowUrl: string, copiedAt: Date): Promise<string[]> {
  const live = connect(liveUrl, {
    ...(new URL(liveUrl).searchParams.has("sslmode")
      ? {}
      : { ssl: isLoopback(liveUrl) ? false : "require" as const }),
    connection: { application_name: "rebuild", statement_timeout: 0 },
  });
  try {
    let ids: string[] = [];
    let left: string[] = [];
    await atOneMoment(shadowUrl, async (shadow) => {
      await live.begin(async (tx) => {
        await lockOrders(tx, shadow);
        left = await leaveChanged(tx, shadow, copiedAt);
        ids = (await tx`select order_id from rebuilt_orders order by 1`).map((row) =>
          String(row["order_id"])
        );
        for (const each of rebuilt) await replaceFacts(tx, shadow, each);
        for (const [table, { key, columns }] of Object.entries(derived)) {
          await replaceDerived(tx, shadow, table, key, columns.split(" "));
        }
      });
    });
    for (const id of ids) {
      await live.begin(async (tx) => {
        await tx`select set_config('kct.past', 'on', true)`;
        await tx`select private.settle_order(${id}, 'rebuild')`;
      });
    }
    return left;
  } finally {
    await live.end({ timeout: 1 });
  }
}

async function lockOrders(tx: postgres.TransactionSql, shadow: LiveMoment): Promise<void> {
  await tx`create temp table rebuilt_orders (order_id uuid primary key) on commit drop`;
  await receive(tx, shadow, "rehearsal.rehearsed", ["order_id"], "", "rebuilt_orders");
  await tx`select 1 from public.orders o join rebuilt_orders x on x.order_id = o.id order by o.id
    for no key update of o`;
}

/** Takes out orders that an event has told something of since the copy was made, and whose person was erased since. */
async function leaveChanged(
  tx: postgres.TransactionSql,
  shadow: LiveMoment,
  copiedAt: Date,
): Promise<string[]> {
  // An event has the time at which its transaction began, and may have been committed after the copy.
  const since = new Date(copiedAt.getTime() - 3_600_000);
  await tx`create temp table copied_events on commit drop as
    select e.id, e.processed_at from public.webhook_events e limit 0`;
  const recent = `where processed_at >= '${since.toISOString()}'`;
  await receive(tx, shadow, "rehearsal.events", ["id", "processed_at"], recent, "copied_events");
  const rows = await tx<{ number: string }[]>`
    with changed as (
      select private.order_of(e.object_id) as order_id from public.webhook_events e
      where e.processed_at >= ${since} and not exists (
        select from copied_events c where c.id = e.id and c.processed_at = e.processed_at
      )
      union
      select o.id from public.orders o where o.erased_at is not null
    ), left_out as (
      delete from rebuilt_orders x using changed c where c.order_id = x.order_id returning x.order_id
    )
    select o.number from public.orders o join left_out l on l.order_id = o.id order by o.number`;
  return rows.map(({ number }) => number);
}

async function arriving(
  tx: postgres.TransactionSql,
  shadow: LiveMoment,
  table: string,
  columns: string[],
  order: string,
): Promise<void> {
  await tx.unsafe(`drop table if exists pg_temp.arriving;
    create temp table arriving on commit drop as select ${columns.map(quoted).join(", ")} from public.${table}
      limit 0`).simple();
  const where = `t where ${order} in (select r.order_id from rehearsal.rehearsed r)`;
  await receive(tx, shadow, `public.${table}`, columns, where, "arriving");
  await tx.unsafe(`delete from arriving t
    where not exists (select from rebuilt_orders x where x.order_id = ${order})`);
}

async function replaceFacts(
  tx: postgres.TransactionSql,
  shadow: LiveMoment,
  { table, key, order, decided }: Rebuilt,
): Promise<void> {
  const columns = shadow.tables.get(`public.${table}`) ?? [];
  await arriving(tx, shadow, table, columns, order);
  await tx.unsafe(`delete from public.${table} t
    where ${order} in (select x.order_id from rebuilt_orders x)
      and not exists (select from arriving a where a.${key} = t.${key})`);
  const list = columns.map(quoted).join(", ");
  const told = columns.filter((column) => column !== key && !decided.includes(column))
    .map((column) => `${quoted(column)} = excluded.${quoted(column)}`).join(", ");
  await tx.unsafe(`insert into public.${table} (${list}) select ${list} from arriving
    on conflict (${key}) do update set ${told}`);
}

async function replaceDerived(
  tx: postgres.TransactionSql,
  shadow: LiveMoment,
  table: string,
  key: string,
  columns: string[],
): Promise<void> {
  await arriving(tx, shadow, table, [key, ...columns], `t.${key}`);
  const set = columns.map((column) => `${quoted(column)} = a.${quoted(column)}`).join(", ");
  await tx.unsafe(`update public.${table} t set ${set} from arriving a where a.${key} = t.${key}`);
}
