import assert from "node:assert/strict";
import { eventually } from "../../support/poll.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { checkout, drain, flush, pay, plentySku } from "./shop.ts";

/** A paid order of this address, its confirmation sent. */
async function orderOf(stack: TestStack, email: string) {
  const order = await checkout(stack, plentySku, 1, email);
  await pay(stack, order.session_id);
  await flush(stack);
  await drain(stack);
  return order;
}

/** Waits until the order's mails are as told: `template status` each. */
async function mailsBecome(stack: TestStack, orderId: string, expected: string[]): Promise<void> {
  await eventually(`mails to be ${expected.join(", ")}`, async () => {
    const rows = await stack.sql`select template || ' ' || status as mail from public.notifications
      where order_id = ${orderId} order by 1`;
    return JSON.stringify(rows.map(({ mail }) => mail)) === JSON.stringify(expected);
  });
}

Deno.test("mails: what the provider reports of them reaches the order, and the next mail heeds it", async (test) => {
  await using stack = await testStack({ web: true });
  const ship = async (orderNumber: string) => {
    await stack.sql`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z')`;
    await drain(stack);
  };
  const suppressions = async (email: string) => {
    const rows = await stack.sql`select reason from public.mail_suppressions
      where email_hmac = private.email_hmac(${email}) order by reason`;
    return rows.map(({ reason }) => reason);
  };

  await test.step("delivered", async () => {
    const order = await orderOf(stack, "delivered+1@resend.dev");
    await eventually("the mail to be delivered", async () => {
      const [mail] = await stack.sql`select status, delivered_at is not null as delivered
        from public.notifications where order_id = ${order.order_id}`;
      return mail?.["status"] === "sent" && mail["delivered"] === true;
    });
    assert.deepEqual(await suppressions("delivered+1@resend.dev"), []);
  });

  await test.step("bounced: no further mail but what the law needs, until staff lift it", async () => {
    const email = "bounced+1@resend.dev";
    const order = await orderOf(stack, email);
    await mailsBecome(stack, order.order_id, ["order_confirmation bounced"]);
    assert.deepEqual(await suppressions(email), ["bounced"]);
    await ship(order.order_number);
    await mailsBecome(stack, order.order_id, ["order_confirmation bounced", "order_shipped suppressed"]);
    const second = await orderOf(stack, email);
    await mailsBecome(stack, second.order_id, ["order_confirmation bounced"]);
    await stack.sql`select public.lift_mail_suppression(${email})`;
    await stack.sql`select public.resend_notification(${order.order_number}, 'order_shipped')`;
    await drain(stack);
    await mailsBecome(stack, order.order_id, [
      "order_confirmation bounced",
      "order_shipped bounced",
      "order_shipped suppressed",
    ]);
  });

  await test.step("complained: mails about the order still come, reminders do not", async () => {
    const email = "complained+1@resend.dev";
    const order = await orderOf(stack, email);
    await mailsBecome(stack, order.order_id, ["order_confirmation complained"]);
    assert.deepEqual(await suppressions(email), ["complained"]);
    const [asked] = await stack.sql`select private.reminders_unsubscribed(${email}) as it`;
    assert.equal(asked?.["it"], true);
    await ship(order.order_number);
    await mailsBecome(stack, order.order_id, ["order_confirmation complained", "order_shipped complained"]);
  });

  await test.step("suppressed by the provider: noted, and its own list is left alone", async () => {
    const order = await orderOf(stack, "suppressed+1@resend.dev");
    await mailsBecome(stack, order.order_id, ["order_confirmation suppressed"]);
    assert.deepEqual(await suppressions("suppressed+1@resend.dev"), []);
    const [waiting] = await stack.sql`select reasons from reporting.orders_needing_attention
      where number = ${order.order_number}`;
    assert.deepEqual(waiting?.["reasons"], ["mail_returned"]);
  });
});
