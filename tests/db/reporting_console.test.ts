/** What the console shows beside the other reports: the queue and figures over time, worked out by hand. */
import assert from "node:assert/strict";
import { deliver } from "./settlement/arrange.ts";
import { searchDatabase } from "./settlement/search.ts";
import { attachSession, beginOrder } from "./settlement/shop.ts";
import { Story } from "./settlement/story.ts";

const database = await searchDatabase(10);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const story = new Story(await beginOrder(sql), 60, "P", 1_793_500_000);
await attachSession(sql, story, "a");
story.paid("a");
await deliver(sql, story.moves);
const number = story.frame.orderNumber;

Deno.test("jobs name the order that they are about, and every id of it, whatever the job hangs on", async () => {
  const [ids] = await sql`select o.id, n.id as mail, o.session_id, o.payment_id from public.orders o
    join public.notifications n on n.order_id = o.id where o.number = ${number}`;
  await sql`insert into private.jobs (kind, dedupe_key, payload) values
    ('refresh_payment', 'by-payment', ${sql.json({ payment_id: ids?.["payment_id"] })}),
    ('expire_checkout_session', 'by-session', ${sql.json({ session_id: ids?.["session_id"], n: 1 })}),
    ('purge', 'by-nothing', '{}')`;
  const about = async (id: unknown) =>
    (await sql`select kind, order_number, about from reporting.jobs where about && array[${`${id}`}] order by id`)
      .map((row) => [row["kind"], row["order_number"], row["about"]]);
  assert.deepEqual(await about(ids?.["mail"]), [["send_mail", number, [ids?.["mail"]]]]);
  assert.deepEqual(await about(ids?.["payment_id"]), [["refresh_payment", number, [ids?.["payment_id"]]]]);
  assert.deepEqual(await about(ids?.["session_id"]), [
    ["expire_checkout_session", number, [ids?.["session_id"]]],
  ]);
  const [purge] =
    await sql`select order_number, about, what_it_does from reporting.jobs where kind = 'purge'`;
  assert.deepEqual([purge?.["order_number"], purge?.["about"]], [null, []]);
  assert.match(`${purge?.["what_it_does"]}`, /retention/);
});

Deno.test("queue_hourly counts what was due at the end of each hour, and what ended in it", async () => {
  await sql.begin(async (tx) => {
    await tx`delete from private.jobs`;
    const add = (status: string, run: string, finished: string | null) =>
      tx`insert into private.jobs (kind, dedupe_key, status, created_at, run_at, finished_at)
        select 'purge', gen_random_uuid()::text, ${status}, now() - interval '9 days',
          date_trunc('hour', now()) + ${run}::interval, date_trunc('hour', now()) + ${finished}::interval`;
    await add("done", "-3 hours", "-90 minutes");
    await add("dead", "-3 hours", "-30 minutes");
    await add("done", "-8 days", "-30 minutes");
    await add("done", "-9 days", "-8 days");
    await add("queued", "-70 minutes", null);
    await add("queued", "3 hours", null);
    const rows =
      await tx`select waiting::int, done::int, dead::int from reporting.queue_hourly order by hour`;
    assert.equal(rows.length, 168);
    assert.deepEqual({ ...rows[0] }, { waiting: 1, done: 0, dead: 0 }, "due before the first hour");
    assert.deepEqual(rows.slice(-5).map((row) => [row["waiting"], row["done"], row["dead"]]), [
      [1, 0, 0],
      [3, 0, 0],
      [3, 1, 0],
      [1, 1, 1],
      [1, 0, 0],
    ]);
    await tx`rollback and chain`;
  });
});

Deno.test("webhook_lag_hourly says how late the events of an hour were, and leaves out those that were fetched", async () => {
  await sql`update public.webhook_events set received_at = now() - interval '8 days'`;
  await sql`insert into public.webhook_events
      (id, type, status, delivery_count, delivered_at, livemode, stripe_created_at, received_at, payload)
    select 'evt_lag' || s, 'charge.succeeded', 'processed', least(s, 1), case when s > 0 then now() end, false,
      h - make_interval(secs => s), h, '{}'
    from generate_series(0, 11) s, (select date_trunc('hour', now()) - interval '1 hour' as h) x`;
  assert.deepEqual(
    (await sql`select events::int, lag_p50_seconds::float as p50, lag_p95_seconds::float as p95
      from reporting.webhook_lag_hourly`).map((row) => ({ ...row })),
    [{ events: 11, p50: 6, p95: 10.5 }],
  );
});

Deno.test("stock_daily tells what was sold from what came, and what is left adds up", async () => {
  await sql`select public.adjust_inventory('COAT-GRY-L', 5, 'a delivery')`;
  const rows = await sql`select sold::int, added::int, on_hand::int from reporting.stock_daily order by day`;
  const sum = (name: string) => rows.reduce((all, row) => all + row[name], 0);
  const [level] = await sql`select sum(on_hand)::int as on_hand from public.inventory_levels`;
  assert.equal(rows.at(-1)?.["on_hand"], level?.["on_hand"]);
  assert.deepEqual([sum("sold"), sum("added")], [2, 15]);
});

Deno.test("find_order finds the orders of an SKU, however its letters are written", async () => {
  for (const text of ["COAT-GRY-L", "coat-gry-l"]) {
    assert.deepEqual(
      (await sql`select number from reporting.find_order(${text})`).map((row) => row["number"]),
      [
        number,
      ],
    );
  }
  assert.deepEqual([...await sql`select number from reporting.find_order('COAT-GRY')`], []);
});
