/** Alerts about mails that did not go out: each is over when its own mail has, and not with that of another. */
import assert from "node:assert/strict";
import { type Db, paidCart, paidOrder, ship } from "../settlement/goods.ts";
import { searchDatabase, undone } from "../settlement/search.ts";
import { claim, finish } from "../jobs/queue.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** Runs the job of a mail to its last end: given up, or sent. */
async function endMail(db: Db, orderId: string, template: string, key: string, sent: boolean) {
  const [mail] = await db`select n.id from public.notifications n
    where n.order_id = ${orderId} and n.template = ${template} and n.dedupe_key = ${key}`;
  const id = String(mail?.["id"]);
  await db`update private.jobs set run_at = now() + interval '1 day' where status = 'queued'`;
  await db`update private.jobs set run_at = now(), max_attempts = 1 where payload ->> 'notification_id' = ${id}`;
  const jobs = await claim(db, 1);
  if (sent) {
    await db`select public.record_notification_result(${id}, 'sent', 'a@example.com', ${id}, null)`;
  }
  await finish(db, jobs, sent ? { outcome: "done" } : { outcome: "retry", reason: "not understood" });
  return id;
}

async function openAlerts(db: Db): Promise<string[]> {
  const rows = await db`select kind || ' ' || count as alert from public.alerts
    where kind in ('job_dead', 'mail_failed') and status <> 'resolved' order by dedupe_key`;
  return rows.map(({ alert }) => alert);
}

async function jobOf(db: Db, id: string): Promise<string> {
  const [job] = await db`select status from private.jobs where payload ->> 'notification_id' = ${id}`;
  return job?.["status"];
}

Deno.test("the mail of a second parcel buries nothing of the first one's", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    const { orderId } = story.frame;
    await ship(tx, story, [{ sku: "SHIRT", quantity: 3 }]);
    const first = await endMail(tx, orderId, "order_shipped", "1", false);
    assert.deepEqual(await openAlerts(tx), ["job_dead 1"]);
    await ship(tx, story);
    await endMail(tx, orderId, "order_shipped", "2", true);
    assert.equal(await jobOf(tx, first), "dead");
    assert.deepEqual(await openAlerts(tx), ["job_dead 1"]);
  });
});

Deno.test("a mail that is repeated takes the alert about the first one away, and what is left of it", async () => {
  await undone(sql, async (tx) => {
    const story = await paidOrder(tx);
    const { orderId, orderNumber } = story.frame;
    await ship(tx, story);
    const first = await endMail(tx, orderId, "order_shipped", "1", false);
    const [again] = await tx`select public.resend_notification(${orderNumber}, 'order_shipped') as id`;
    const command = String(again?.["id"]?.["command_id"]);
    await endMail(tx, orderId, "order_shipped", `resend:${command}`, true);
    assert.deepEqual(await openAlerts(tx), []);
    assert.equal(await jobOf(tx, first), "discarded");
    const [mail] = await tx`select status, last_error from public.notifications where id = ${first}`;
    assert.deepEqual({ ...mail }, { status: "skipped", last_error: "it was sent again meanwhile" });
    await tx`update public.notifications set created_at = created_at - interval '2 hours'`;
    await tx`update private.jobs set run_at = now()`;
    const [health] =
      await tx`select h #>> '{checks,mail,oldest_queued_seconds}' as waits, h #>> '{checks,jobs,dead}' as dead
      from public.get_health() h`;
    assert.deepEqual({ ...health }, { waits: "7200", dead: "0" }, "the confirmation alone waits");
  });
});

Deno.test("a mail that was reported before its worker heard of it says nothing of other orders' mails", async () => {
  await undone(sql, async (tx) => {
    const lost = await paidOrder(tx);
    await endMail(tx, lost.frame.orderId, "order_confirmation", "", false);
    assert.deepEqual(await openAlerts(tx), ["job_dead 1"]);
    const other = await paidCart(tx, {}, undefined, "U");
    const [mail] =
      await tx`select id from public.notifications where order_id = ${other.story.frame.orderId}`;
    const id = String(mail?.["id"]);
    // The provider's answer takes longer than its report.
    await tx`select public.record_mail_event(${id}, 'mail_1', 'delivered', false, 'b@example.com', now(), null)`;
    await tx`select public.record_notification_result(${id}, 'sent', 'b@example.com', 'mail_1', null)`;
    assert.deepEqual(await openAlerts(tx), ["job_dead 1"]);
  });
});

Deno.test("of two refunds' mails that their provider did not send each has its own alert", async () => {
  await undone(sql, async (tx) => {
    const story = await paidOrder(tx);
    const { orderId } = story.frame;
    const ids: string[] = [];
    for (const refund of ["re_1", "re_2"]) {
      await tx`select private.queue_notification(${orderId}, 'refund_issued', ${refund},
        ${tx.json({ refund_id: refund })})`;
      ids.push(await endMail(tx, orderId, "refund_issued", refund, true));
    }
    const [one = "", two = ""] = ids;
    const report = (id: string, status: string) =>
      tx`select public.record_mail_event(${id}, ${id}, ${status}, false, 'a@example.com', now(), 'quota')`;
    await report(one, "failed");
    await report(two, "failed");
    assert.deepEqual(await openAlerts(tx), ["mail_failed 1", "mail_failed 1"]);
    await report(two, "delivered");
    assert.deepEqual(await openAlerts(tx), ["mail_failed 1"]);
  });
});

Deno.test("a parcel whose mail died is told of, though the mail of another one was sent again", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    const { orderId, orderNumber } = story.frame;
    await ship(tx, story, [{ sku: "SHIRT", quantity: 3 }]);
    const first = await endMail(tx, orderId, "order_shipped", "1", false);
    await ship(tx, story);
    await tx`update public.notifications set created_at = created_at - interval '1 minute' where id = ${first}`;
    const [again] = await tx`select public.resend_notification(${orderNumber}, 'order_shipped') as it`;
    await endMail(tx, orderId, "order_shipped", `resend:${again?.["it"]?.["command_id"]}`, true);
    assert.deepEqual(await openAlerts(tx), ["job_dead 1"]);
    await tx`update public.notifications set created_at = created_at + interval '1 minute'
      where dedupe_key like 'resend:%'`;
    const [mail] = await tx`select public.get_notification(${first}) ->> 'problem' as problem`;
    assert.equal(mail?.["problem"], null);
  });
});
