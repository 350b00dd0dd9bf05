/** What it costs to render a mail once everything is loaded: a receipt, the longest of them. */
import type { Notification } from "../../../supabase/functions/_shared/database/notifications.ts";
import { renderMail } from "../../../supabase/functions/_shared/mails/mod.ts";
import { createTestDatabase } from "../../local/test_database.ts";
import { fillYear } from "../year/year.ts";

const warmUpRounds = 100;
const links = { siteUrl: "https://shop.example", resumeUrl: null, orderToken: null, unsubscribeUrl: null };

/** Median milliseconds of rendering one receipt, over `mails` of them. */
export async function benchMails(mails: number): Promise<number> {
  await using database = await createTestDatabase();
  const { sql } = database;
  await fillYear(sql, { orders: 500, seed: 1, ends: new Date() });
  const rows = await sql<{ order: Notification["order"]; shop: Notification["shop"] }[]>`
    select private.mail_order(o) as order, private.shop() as shop from public.orders o
    where o.paid_at is not null order by o.number limit 200`;
  const receipts = rows.map(({ order, shop }): Notification => ({
    id: "bench",
    order_id: "bench",
    template: "order_confirmation",
    recipient: null,
    recipient_hmac: null,
    suppression: null,
    is_sent: false,
    is_reminder: false,
    status: "queued",
    problem: null,
    data: {},
    order,
    shop,
  }));
  const times: number[] = [];
  for (let n = -warmUpRounds; n < mails; n++) {
    const receipt = receipts[Math.abs(n) % receipts.length];
    if (receipt === undefined) throw new Error("there is no paid order to render a receipt of");
    const started = performance.now();
    renderMail(receipt, links);
    if (n >= 0) times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}
