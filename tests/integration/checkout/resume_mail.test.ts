import assert from "node:assert/strict";
import { eventually } from "../../support/poll.ts";
import { testStack } from "../../support/stack.ts";
import { checkout, control, flush } from "./shop.ts";

Deno.test("the mail about a payment that failed late carries a link that opens the order again", async () => {
  await using stack = await testStack({ web: true, jobs: true });
  const order = await checkout(stack, { customer_email: "ada@example.com" });
  const paid = await control(stack, "pay", {
    session: order.body.session_id,
    account_number: "000123456789",
  });
  assert.ok(paid.ok, await paid.clone().text());
  const { payment_intent } = await paid.json();
  const settled = await control(stack, "settle", { payment_intent, outcome: "failed" });
  assert.ok(settled.ok, await settled.text());
  await flush(stack);

  const link = await eventually("the mail with the link", async () => {
    for await (const entry of Deno.readDir(`${stack.dir}/mails`)) {
      const text = await Deno.readTextFile(`${stack.dir}/mails/${entry.name}`);
      const found = /http:\/\/[^\s"\\<]+\/resume-checkout\?token=[\w.-]+/.exec(text);
      if (found !== null && text.includes(order.body.order_number)) return found[0];
    }
    return null;
  });
  const response = await fetch(link, { redirect: "manual" });
  assert.equal(response.status, 303, await response.text());
  const [row] = await stack.sql`select status, attempt from public.orders where id = ${order.body.order_id}`;
  assert.deepEqual({ ...row }, { status: "pending", attempt: 2 });
});
