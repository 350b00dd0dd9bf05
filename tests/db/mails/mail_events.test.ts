import assert from "node:assert/strict";
import type postgres from "postgres";
import { deliver } from "../settlement/arrange.ts";
import { searchDatabase, undone } from "../settlement/search.ts";
import { attachSession, beginOrder } from "../settlement/shop.ts";
import { Story } from "../settlement/story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;
type Status = "delivered" | "failed" | "suppressed" | "bounced" | "complained";

/** A paid order's confirmation; `sent` says whether the worker lived to note that it is out. */
async function mailOf(tx: Tx, sent = true) {
  const story = new Story(await beginOrder(tx), 60, "T");
  await attachSession(tx, story, "a");
  story.paid("a");
  await deliver(tx, story.moves);
  const [row] = await tx`select id from public.notifications where order_id = ${story.frame.orderId}`;
  const id = String(row?.["id"]), orderId = story.frame.orderId;
  if (sent) {
    await tx`select public.record_notification_result(${id}, 'sent', 'old@example.com', 'mail_1', null)`;
  }
  return { id, orderId, orderNumber: story.frame.orderNumber };
}

async function tell(
  tx: Tx,
  id: string | null,
  status: Status,
  { permanent = true, provider = "mail_1", to = "old@example.com" } = {},
): Promise<string> {
  const [row] = await tx`select outcome from public.record_mail_event(
    ${id}, ${provider}, ${status}, ${permanent}, ${to}, now(), 'Permanent General')`;
  return row?.["outcome"];
}

async function noted(tx: Tx, id: string): Promise<Record<string, unknown>> {
  const [row] = await tx`select status, recipient, provider_id, sent_at is not null as sent,
      delivered_at is not null as delivered, last_error
    from public.notifications where id = ${id}`;
  return { ...row };
}

async function suppressions(tx: Tx): Promise<string[]> {
  const rows = await tx`select s.reason, coalesce(
      (select e from unnest(array['old@example.com', 'new@example.com']) e where private.email_hmac(e) = s.email_hmac),
      'another') as who
    from public.mail_suppressions s order by s.reason`;
  return rows.map(({ reason, who }) => `${reason} ${who}`);
}

const statuses: Status[] = ["delivered", "failed", "suppressed", "bounced", "complained"];

Deno.test("two reports of a mail end the same in either order, twice or once", async () => {
  for (const first of statuses) {
    for (const second of statuses) {
      const ends: unknown[] = [];
      for (const order of [[first, second], [second, first], [first, first, second, first]]) {
        await undone(sql, async (tx) => {
          const { id } = await mailOf(tx);
          for (const status of order) await tell(tx, id, status);
          ends.push(await noted(tx, id));
        });
      }
      const [end] = ends;
      assert.deepEqual(ends, [end, end, end], `${first} ${second}`);
    }
  }
});

Deno.test("a mail that comes back for good suppresses its address once, and its order says so", async () => {
  await undone(sql, async (tx) => {
    const { id, orderId, orderNumber } = await mailOf(tx);
    assert.equal(await tell(tx, id, "bounced"), "recorded");
    assert.equal(await tell(tx, id, "bounced"), "unchanged");
    assert.equal(await tell(tx, id, "delivered"), "recorded");
    assert.equal(await tell(tx, id, "delivered"), "unchanged");
    assert.deepEqual(await noted(tx, id), {
      status: "bounced",
      recipient: "old@example.com",
      provider_id: "mail_1",
      sent: true,
      delivered: true,
      last_error: "Permanent General",
    });
    assert.deepEqual(await suppressions(tx), ["bounced old@example.com"]);
    const trail = await tx`select kind, source, data ->> 'template' as template from public.order_events
      where order_id = ${orderId} and kind like 'mail%'`;
    assert.deepEqual(trail.map((row) => ({ ...row })), [
      { kind: "mail_bounced", source: "mail", template: "order_confirmation" },
    ]);
    const [waiting] =
      await tx`select reasons from reporting.orders_needing_attention where number = ${orderNumber}`;
    assert.deepEqual(waiting?.["reasons"], ["mail_returned"]);
    await tx`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z')`;
    assert.deepEqual([...await tx`select * from reporting.orders_needing_attention`], []);
  });
});

Deno.test("a full mailbox does not suppress its address", async () => {
  await undone(sql, async (tx) => {
    const { id } = await mailOf(tx);
    await tell(tx, id, "bounced", { permanent: false });
    assert.equal((await noted(tx, id))["status"], "bounced");
    assert.deepEqual(await suppressions(tx), []);
  });
});

Deno.test("a bounce suppresses the address that the mail went to, not the one corrected since", async () => {
  await undone(sql, async (tx) => {
    const { id, orderId } = await mailOf(tx);
    await tx`update public.orders set email = 'new@example.com' where id = ${orderId}`;
    await tell(tx, id, "bounced");
    assert.deepEqual(await suppressions(tx), ["bounced old@example.com"]);
    const [next] = await tx`select private.mail_suppression('order_shipped', 'new@example.com') as problem`;
    assert.equal(next?.["problem"], null);
  });
});

Deno.test("a bounce suppresses the address that its report names, whatever the worker took it for", async () => {
  await undone(sql, async (tx) => {
    // The first try's answer was lost. The second one was to another address: its key was known, and nothing sent.
    const { id } = await mailOf(tx, false);
    await tx`select public.record_notification_result(${id}, 'sent', 'new@example.com', null, null)`;
    await tell(tx, id, "bounced", { to: "old@example.com" });
    assert.deepEqual(await suppressions(tx), ["bounced old@example.com"]);
    assert.equal((await noted(tx, id))["recipient"], "old@example.com");
  });
});

Deno.test("a report finds a mail whose worker died before it could note the provider's id, and it is not sent again", async () => {
  await undone(sql, async (tx) => {
    const { id } = await mailOf(tx, false);
    assert.equal(await tell(tx, id, "delivered"), "recorded");
    assert.deepEqual(await noted(tx, id), {
      status: "sent",
      recipient: "old@example.com",
      provider_id: "mail_1",
      sent: true,
      delivered: true,
      last_error: null,
    });
    const [late] =
      await tx`select public.record_notification_result(${id}, 'failed', null, null, 'no answer') as it`;
    assert.equal(late?.["it"], false);
    const [mail] = await tx`select public.get_notification(${id}) ->> 'is_sent' as sent`;
    assert.equal(mail?.["sent"], "true");
  });
});

Deno.test("a report without our tag is known by the provider's id; of a stranger's mail nothing is kept", async () => {
  await undone(sql, async (tx) => {
    const { id } = await mailOf(tx);
    assert.equal(await tell(tx, null, "bounced", { provider: "mail_of_another_system" }), "unknown");
    assert.equal(await tell(tx, crypto.randomUUID(), "complained"), "unknown");
    assert.deepEqual(await suppressions(tx), []);
    assert.equal(await tell(tx, null, "delivered"), "recorded");
    assert.equal((await noted(tx, id))["delivered"], true);
    assert.equal(await tell(tx, null, "delivered"), "unchanged");
  });
});

Deno.test("after a bounce only what the law needs is sent; after a complaint all but reminders", async () => {
  const templates = [
    "order_confirmation",
    "order_cancelled",
    "order_shipped",
    "refund_issued",
    "payment_declined",
    "payment_reminder",
  ];
  const sends = async (tx: Tx) => {
    const rows = await tx`select t from unnest(${templates}::text[]) t
      where private.mail_suppression(t, 'OLD@example.com') is null`;
    return rows.map(({ t }) => t);
  };
  await undone(sql, async (tx) => {
    assert.deepEqual(await sends(tx), templates);
    await tell(tx, (await mailOf(tx)).id, "complained");
    assert.deepEqual(await sends(tx), templates.slice(0, 4));
  });
  await undone(sql, async (tx) => {
    await tell(tx, (await mailOf(tx)).id, "bounced");
    assert.deepEqual(await sends(tx), templates.slice(0, 2));
  });
});

Deno.test("an erased person stays unsubscribed, and a late report brings no address back", async () => {
  await undone(sql, async (tx) => {
    const { id, orderId } = await mailOf(tx, false);
    await tx`select public.unsubscribe_reminders(private.email_hmac('old@example.com'))`;
    await tx`select public.unsubscribe_reminders(private.email_hmac('old@example.com'))`;
    const [order] = await tx`select email from public.orders where id = ${orderId}`;
    await tx`select public.erase_customer(${order?.["email"]})`;
    // Its worker was at it when the order was erased.
    await tx`select public.record_notification_result(${id}, 'sent', 'old@example.com', 'mail_1', null)`;
    assert.deepEqual(await noted(tx, id), {
      status: "sent",
      recipient: null,
      provider_id: "mail_1",
      sent: true,
      delivered: false,
      last_error: null,
    });
    await tell(tx, id, "delivered");
    assert.equal((await noted(tx, id))["recipient"], null);
    assert.deepEqual(await suppressions(tx), ["unsubscribed old@example.com"]);
  });
});

Deno.test("staff lift a suppression; a bounce that is told again does not bring it back; no address stays in the log", async () => {
  await undone(sql, async (tx) => {
    const { id } = await mailOf(tx);
    await tell(tx, id, "bounced");
    await tx`select public.lift_mail_suppression(' Old@example.com')`;
    assert.deepEqual(await suppressions(tx), []);
    await tell(tx, id, "bounced");
    assert.deepEqual(await suppressions(tx), []);
    const [log] = await tx`select args from public.staff_commands where command = 'lift_mail_suppression'`;
    assert.deepEqual(Object.keys(log?.["args"]).sort(), ["email_hmac", "reason"]);
  });
  await undone(sql, async (tx) => {
    await assert.rejects(() => tx`select public.lift_mail_suppression('old@example.com')`, { code: "SHINV" });
  });
});

Deno.test("a mail that arrived is evidence in a dispute, one that came back is not", async () => {
  await undone(sql, async (tx) => {
    for (
      const [status, arrived] of [["sent", true], ["complained", true], ["bounced", false], ["failed", false]]
    ) {
      const [row] = await tx`select private.mail_arrived(${status as string}) as it`;
      assert.equal(row?.["it"], arrived, `${status}`);
    }
  });
});
