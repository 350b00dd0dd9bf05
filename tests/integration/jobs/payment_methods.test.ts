/** Every family of ways to pay, from the payment page to what the shopper reads, as docs/checkout.md lists them. */
import assert from "node:assert/strict";
import type { z } from "zod";
import type { orderStatusAnswer } from "../../../supabase/functions/_shared/http/answers.ts";
import { eventually } from "../../support/poll.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { type Checkout, checkout, drain, flush, holdOf, jobContext, orderRow, violations } from "./shop.ts";

type Page = z.infer<typeof orderStatusAnswer>;

/** A tie of each currency: some methods are for one alone. */
const sku = (currency: "eur" | "usd") => `TIE-IN-${currency.toUpperCase()}`;

async function control(stack: TestStack, call: string, body: object) {
  const response = await fetch(`${stack.stripe_url}/_control/${call}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer: { payment_intent: string; payment_status: string } = await response.json();
  return { status: response.status, ...answer };
}

/** What the page of the order says. */
async function pageOf(stack: TestStack, { session_id }: Checkout): Promise<Page> {
  const response = await fetch(`${stack.functions_url}/order-status?session_id=${session_id}`, {
    headers: { apikey: stack.publishable_key },
  });
  return await response.json();
}

/** The mails that have gone out about an order: their templates, oldest first. */
async function mailsOf(stack: TestStack, { order_id }: Checkout): Promise<string[]> {
  await drain(stack);
  const rows = await stack.sql<{ template: string }[]>`
    select template from public.notifications
    where order_id = ${order_id} and status = 'sent' order by created_at, template`;
  return rows.map(({ template }) => template);
}

async function textOf(stack: TestStack, subject: RegExp, { order_number }: Checkout): Promise<string> {
  for await (const entry of Deno.readDir(`${stack.dir}/mails`)) {
    if (!entry.name.endsWith(".json")) continue;
    const mail = JSON.parse(await Deno.readTextFile(`${stack.dir}/mails/${entry.name}`));
    if (mail.subject.includes(order_number) && subject.test(mail.subject)) return mail.text;
  }
  throw new Error(`no mail ${subject} about ${order_number}`);
}

Deno.test("payment methods, from the payment page to what the shopper reads", async (test) => {
  await using stack = await testStack({ web: true });
  await stack.sql`
    with ties as (insert into public.products (slug, name) values ('ties', 'Tie') returning id), variants as (
      insert into public.product_variants (product_id, sku, color, price_amount, currency)
      select id, 'TIE-IN-' || upper(c), c, 4900, c from ties, unnest(array['eur', 'usd']) c returning id
    )
    insert into public.inventory_levels (variant_id, on_hand) select id, 100 from variants
    on conflict (variant_id) do update set on_hand = excluded.on_hand`;
  const order = (currency: "eur" | "usd") => checkout(stack, sku(currency));
  const pay = async ({ session_id }: Checkout, how: object) => {
    const paid = await control(stack, "pay", { session: session_id, ...how });
    await flush(stack);
    return paid;
  };

  const atOnce: [string, "eur" | "usd"][] = [
    ["ideal", "eur"],
    ["bancontact", "eur"],
    ["klarna", "usd"],
    ["paypal", "usd"],
    ["link", "usd"],
    ["apple_pay", "usd"],
    ["google_pay", "eur"],
  ];
  await test.step("redirects, Link and wallets are paid at once, and the browser need not come back", async () => {
    const orders: [string, Checkout][] = [];
    for (const [payment_method, currency] of atOnce) {
      const bought = await order(currency);
      await pay(bought, { payment_method });
      orders.push([payment_method, bought]);
    }
    for (const [method, bought] of orders) {
      const { status, payment_id } = await orderRow(stack, bought.order_id);
      assert.equal(status, "paid", method);
      const [payment] = await stack.sql`
        select payment_method_type as type from public.payments where id = ${payment_id}`;
      assert.equal(payment?.["type"], method.endsWith("_pay") ? "card" : method);
      assert.deepEqual(await mailsOf(stack, bought), ["order_confirmation"]);
    }
  });

  await test.step("a shopper who never comes back from the bank: held, then free again, and nothing is charged later", async () => {
    const bought = await order("eur");
    const left = await pay(bought, { payment_method: "ideal", redirect: "leave" });
    assert.equal((await pageOf(stack, bought)).status, "pending");
    assert.equal(await holdOf(stack, bought.order_id), "active");
    await jobContext(stack).stripe.checkout.sessions.expire(bought.session_id);
    await flush(stack);
    assert.equal((await pageOf(stack, bought)).status, "expired");
    assert.equal(await holdOf(stack, bought.order_id), "released");
    const late = await control(stack, "redirect", {
      payment_intent: left.payment_intent,
      outcome: "authorize",
    });
    assert.equal(late.status, 400);
  });

  await test.step("a shopper who authorizes late, while the page is open, is paid by the event alone", async () => {
    const bought = await order("eur");
    const left = await pay(bought, { payment_method: "bancontact", redirect: "leave" });
    await control(stack, "redirect", { payment_intent: left.payment_intent, outcome: "authorize" });
    await flush(stack);
    assert.equal((await orderRow(stack, bought.order_id)).status, "paid");
  });

  await test.step("a shopper who turns back at the bank is told in the mail what is true, and pays otherwise in the same session", async () => {
    const bought = await order("eur");
    await pay(bought, { payment_method: "ideal", redirect: "cancel" });
    assert.equal((await pageOf(stack, bought)).status, "pending");
    await stack.sql`select private.queue_recovery_mails(now() + interval '20 minutes')`;
    assert.deepEqual(await mailsOf(stack, bought), ["payment_declined"]);
    assert.doesNotMatch(await textOf(stack, /did not go through/, bought), /declined|your bank/);
    await pay(bought, { payment_method: "paypal" });
    assert.equal((await orderRow(stack, bought.order_id)).status, "paid");
  });

  for (const [payment_method, currency] of [["sepa_debit", "eur"], ["us_bank_account", "usd"]] as const) {
    await test.step(`${payment_method}: days under way, past its hold; then the money, then a dispute that comes as lost`, async () => {
      const bought = await order(currency);
      const debit = await pay(bought, { payment_method });
      assert.equal(debit.payment_status, "unpaid");
      assert.equal((await pageOf(stack, bought)).status, "processing");
      assert.deepEqual(await mailsOf(stack, bought), ["payment_processing"]);
      await stack.sql`
        update public.inventory_reservations set expires_at = now() - interval '1 day' where order_id = ${bought.order_id}`;
      await drain(stack);
      assert.equal(await holdOf(stack, bought.order_id), "active", "what is being paid is nobody else's");

      await control(stack, "settle", { payment_intent: debit.payment_intent, outcome: "succeeded" });
      await flush(stack);
      assert.deepEqual(
        [(await pageOf(stack, bought)).status, await mailsOf(stack, bought)],
        ["paid", ["payment_processing", "order_confirmation"]],
      );
      await control(stack, "dispute", { payment_intent: debit.payment_intent });
      await flush(stack);
      const { status, fulfillment_status } = await orderRow(stack, bought.order_id);
      assert.deepEqual(
        [status, fulfillment_status],
        ["paid", "on_hold"],
        "the money is gone: nothing is sent",
      );
    });

    await test.step(`${payment_method}: a debit that bounces days later frees the stock and says so`, async () => {
      const bought = await order(currency);
      const debit = await pay(bought, { payment_method });
      await control(stack, "settle", { payment_intent: debit.payment_intent, outcome: "failed" });
      await flush(stack);
      assert.equal((await pageOf(stack, bought)).status, "payment_failed");
      assert.equal(await holdOf(stack, bought.order_id), "released");
      assert.deepEqual(await mailsOf(stack, bought), ["payment_failed"]);
    });
  }

  /** An order by Klarna, and the refund that staff have asked for. */
  const refunded = async (refund: "held" | "requires_action") => {
    const bought = await order("usd");
    const { payment_intent } = await pay(bought, { payment_method: "klarna", refund });
    await stack.sql`select public.request_refund(${bought.order_number}, 1000, 'requested_by_customer')`;
    return { bought, payment_intent };
  };
  /** The bank, or the customer, moves the one refund of a payment. */
  const move = async (payment_intent: string, status: string) => {
    // drain() reads again at once what would wait until the second is over, and one reading serves a second.
    const second = Math.floor(Date.now() / 1000);
    await eventually("the next second", () => Promise.resolve(Date.now() >= (second + 1) * 1000));
    const { data: [refund] } = await jobContext(stack).stripe.refunds.list({ payment_intent });
    await control(stack, "refund", { refund: refund?.id, status });
    await flush(stack);
    // Two moves within a second are told apart by reading the refund itself.
    await drain(stack);
  };

  await test.step("a refund for which the customer has to name an account says so, and then that it has come", async () => {
    const { bought, payment_intent } = await refunded("requires_action");
    assert.ok((await mailsOf(stack, bought)).includes("refund_issued"));
    assert.match(await textOf(stack, /^Refund/, bought), /Stripe[\s\S]*which bank account it should go to/);
    assert.deepEqual((await pageOf(stack, bought)).refunds.map(({ status }) => status), ["details_needed"]);
    await move(payment_intent, "pending");
    assert.deepEqual((await pageOf(stack, bought)).refunds.map(({ status }) => status), ["on_its_way"]);
    await move(payment_intent, "succeeded");
    const { refunds, amount_refunded } = await pageOf(stack, bought);
    assert.deepEqual([refunds[0]?.status, amount_refunded], ["done", 1000]);
    assert.ok((await mailsOf(stack, bought)).includes("refund_settled"));
    assert.match(await textOf(stack, /is complete/, bought), /Your bank has the/);
  });

  await test.step("a refund that is days under way, and fails: the page, a mail and an alert say that the customer has not got it", async () => {
    const { bought, payment_intent } = await refunded("held");
    await drain(stack);
    assert.deepEqual((await pageOf(stack, bought)).refunds.map(({ status }) => status), ["on_its_way"]);
    await move(payment_intent, "failed");
    const { refunds, amount_refunded } = await pageOf(stack, bought);
    assert.deepEqual([refunds[0]?.status, amount_refunded], ["failed", 0]);
    assert.ok((await mailsOf(stack, bought)).includes("refund_failed"));
    const [alert] = await stack.sql`
      select severity from public.alerts where kind = 'refund_failed' and data ->> 'order_number' = ${bought.order_number}`;
    assert.equal(alert?.["severity"], "critical");
  });

  assert.deepEqual(await violations(stack), []);
});
