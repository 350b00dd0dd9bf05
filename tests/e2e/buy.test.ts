import assert from "node:assert/strict";
import { eventually } from "../support/poll.ts";
import { CARD_THAT_IS_DECLINED, CARD_THAT_PAYS, PaymentPage } from "./payment_page.ts";
import { shopFloor } from "./shop_floor.ts";
import { BLUE_SHIRT, Shopper, WHITE_SHIRT } from "./shopper.ts";

const { floor, test } = shopFloor();

test("demo store sells: from the shelf to a paid order, with stock, event and audit trail", async () => {
  const { shopper, payment } = await floor().visitor();
  const before = await floor().stockOf("SHIRT-OXF-WHT-M");
  await shopper.open("");
  await shopper.page.getByRole("link", { name: /Oxford Button-Down Shirt/ }).click();
  await shopper.page.waitForURL(/products\/oxford-shirt/);
  await shopper.addToBag(WHITE_SHIRT, 2);
  const session = await shopper.checkOut();

  const pending = await floor().orderOf(session);
  assert.equal(pending.status, "pending");
  const { on_hand, reserved, available } = before;
  assert.deepEqual(await floor().stockOf("SHIRT-OXF-WHT-M"), {
    on_hand,
    reserved: reserved + 2,
    available: available - 2,
  });

  await payment.pay(CARD_THAT_PAYS);
  await shopper.followUntil("paid");
  assert.equal(await shopper.page.locator("#order-number").innerText(), pending.number);
  assert.match(await shopper.page.locator(".receipt").innerText(), /2 × Oxford Button-Down Shirt/);
  assert.equal(await shopper.page.locator("#cart-count").isVisible(), false);

  const paid = await floor().untilOrder(session, "paid");
  assert.equal(paid.amount_paid, paid.amount_total);
  assert.ok(paid.amount_total >= 25_800);
  assert.equal(paid.currency, "usd");
  assert.deepEqual(await floor().stockOf("SHIRT-OXF-WHT-M"), {
    on_hand: on_hand - 2,
    reserved,
    available: available - 2,
  });
  const completed = await eventually("the completion event to be stored", async () => {
    const events = await floor().eventsOf(session);
    return events.find((event) => event.type === "checkout.session.completed");
  });
  assert.equal(completed.status, "processed");
  const trail = await floor().auditTrail(paid.id);
  for (const kind of ["order_created", "stock_reserved", "checkout_session_created", "status_changed"]) {
    assert.ok(trail.includes(kind), `${kind} is missing in ${trail}`);
  }
  assert.equal(trail.filter((kind) => kind === "stock_committed").length, 1);
});

test("demo store: a declined card shows Stripe's message, leaves the order pending, and another card pays", async () => {
  const { shopper, payment } = await floor().visitor();
  await shopper.addToBag(BLUE_SHIRT);
  const session = await shopper.checkOut();
  await payment.pay(CARD_THAT_IS_DECLINED);
  assert.match(await payment.message(), /declined/i);
  assert.match(shopper.page.url(), /\/c\/pay\//);
  assert.equal((await floor().orderOf(session)).status, "pending");

  await shopper.page.getByLabel(/card number/i).fill("");
  await payment.pay(CARD_THAT_PAYS);
  await shopper.followUntil("paid");
  const order = await floor().untilOrder(session, "paid");
  assert.equal(order.amount_paid, order.amount_total);
});

test("demo store: an abandoned checkout gives its pieces back when the session expires", async () => {
  const { shopper, payment } = await floor().visitor();
  const before = await floor().stockOf("SHIRT-OXF-WHT-L");
  await shopper.addToBag({ ...WHITE_SHIRT, size: "L" });
  const session = await shopper.checkOut();
  assert.equal((await floor().stockOf("SHIRT-OXF-WHT-L")).reserved, before.reserved + 1);

  await payment.goBack();
  await shopper.page.getByRole("heading", { name: "You have not been charged" }).waitFor();
  assert.equal(await shopper.page.locator("#cart-count").innerText(), "1");
  await floor().expire(session);
  await floor().untilOrder(session, "expired");
  assert.deepEqual(await floor().stockOf("SHIRT-OXF-WHT-L"), before);
  assert.ok((await floor().auditTrail((await floor().orderOf(session)).id)).includes("stock_released"));
});

test("demo store: the success page settles the order when no webhook arrives", async () => {
  const { shopper, payment } = await floor().visitor();
  await shopper.addToBag(WHITE_SHIRT);
  const session = await shopper.checkOut();
  await floor().whileUnheard(async () => {
    await payment.pay(CARD_THAT_PAYS);
    await shopper.followUntil("paid");
    assert.equal((await floor().orderOf(session)).status, "paid");
    assert.equal((await floor().eventsOf(session)).length, 0);
  });
});

test("success page of an order that was cancelled while it was paid follows the refund, before any event", async () => {
  const { shopper, payment } = await floor().visitor();
  await shopper.addToBag({ slug: "merino-crewneck", color: "Oatmeal", size: "M" });
  const session = await shopper.checkOut();
  const { number } = await floor().orderOf(session);
  await floor().whileJobsWait(() =>
    floor().whileUnheard(async () => {
      await floor().stack.sql`select public.cancel_order(${number}, 'asked for by phone')`;
      await payment.pay(CARD_THAT_PAYS);
      await shopper.page.locator(".state-refunding").waitFor();
    })
  );
  await shopper.followUntil("refunded");
});

test("success page follows a bank debit live to its end, and the bag does not ask for the money again", async () => {
  const { shopper } = await floor().visitor();
  await shopper.addToBag({ ...WHITE_SHIRT, size: "S" });
  const session = await shopper.checkOut();
  const debit = await floor().control("pay", { session, account_number: "000123456789" });
  await shopper.openSuccessPage(session);
  await shopper.followUntil("processing");
  assert.equal(await shopper.page.getByText("Being packed").isVisible(), false);
  assert.equal(await shopper.page.locator("#cart-count").isVisible(), false);

  await floor().control("settle", { payment_intent: debit.payment_intent, outcome: "failed" });
  await shopper.followUntil("payment_failed");
  assert.match(
    await shopper.page.locator("#announcement").innerText(),
    /did not go through.*not been charged.*e-mail with a link/,
  );
  await shopper.page.getByRole("link", { name: "Continue shopping" }).waitFor();
});

test("success page shows a receipt that adds up", async () => {
  const { sql } = floor().stack;
  await sql`insert into public.shipping_rates (name, amount, currency) values ('Standard', 900, 'usd')`;
  try {
    const { shopper } = await floor().visitor(360);
    await shopper.addToBag(BLUE_SHIRT, 2);
    const session = await shopper.checkOut();
    await floor().control("pay", { session });
    await shopper.openSuccessPage(session);
    await shopper.followUntil("paid");
    assert.deepEqual(
      (await shopper.page.locator("[data-kind]").allInnerTexts()).map((line) => line.split(/\n+/)),
      [["Subtotal", "$258.00"], ["Shipping", "$9.00"]],
    );
    assert.equal(await shopper.page.locator("#total").innerText(), "$267.00");
  } finally {
    await sql`update public.shipping_rates set active = false`;
  }
});

test("inbox has the confirmation of a new order", async () => {
  const { shopper, payment } = await floor().visitor();
  const staff = (await floor().visitor()).shopper.page;
  await shopper.addToBag(BLUE_SHIRT);
  const session = await shopper.checkOut();
  await payment.pay(CARD_THAT_PAYS);
  const { number } = await floor().untilOrder(session, "paid");
  await staff.goto(`${floor().stack.web_url}/inbox`);
  await staff.getByRole("link", { name: new RegExp(number) }).click();
  const letter = staff.frameLocator("iframe.letter");
  await letter.getByText("Oxford Button-Down Shirt").waitFor();
});

test(
  "demo store: an order of a signed-in shopper is listed under My orders, and for nobody else",
  async () => {
    const { shopper, payment } = await floor().visitor();
    await shopper.signIn("shopper@example.com");
    await shopper.addToBag(WHITE_SHIRT);
    const session = await shopper.checkOut();
    await payment.pay(CARD_THAT_PAYS);
    await shopper.followUntil("paid");
    const order = await floor().orderOf(session);
    await shopper.open("/account");
    const card = shopper.page.locator(`[data-order="${order.number}"]`);
    assert.match(await card.innerText(), /Paid[\s\S]*Oxford Button-Down Shirt/);

    await shopper.page.getByRole("button", { name: "Sign out" }).click();
    await shopper.page.getByRole("heading", { name: "Sign in" }).waitFor();
    const guest = await fetch(`${floor().stack.api_url}/rest/v1/orders?select=number`, {
      headers: { apikey: floor().stack.publishable_key },
    });
    const visible: unknown = await guest.json();
    assert.ok(!guest.ok || (Array.isArray(visible) && visible.length === 0), JSON.stringify(visible));
  },
);

test(
  "demo store: a bank debit that fails later is made good through the link in the mail, with a card",
  async () => {
    const { shopper } = await floor().visitor();
    await shopper.addToBag({ ...BLUE_SHIRT, size: "L" });
    const first = await shopper.checkOut();
    const email = "debit@example.com";
    const debit = await floor().control("pay", { session: first, account_number: "000123456789", email });
    await floor().untilOrder(first, "processing");
    await floor().control("settle", { payment_intent: debit.payment_intent, outcome: "failed" });
    const { number } = await floor().untilOrder(first, "payment_failed");
    assert.deepEqual((await floor().stockOf("SHIRT-OXF-BLU-L")).reserved, 0);

    const inbox = shopper.page;
    await eventually("the mail to arrive", async () => {
      await inbox.goto(`${floor().stack.web_url}/inbox`);
      return await inbox.getByRole("link", { name: `Your payment for order ${number} did not go through` })
        .isVisible();
    });
    await inbox.getByRole("link", { name: `Your payment for order ${number} did not go through` }).click();
    const opened = inbox.context().waitForEvent("page");
    await inbox.frameLocator("iframe.letter").getByRole("link", { name: "Complete your payment" }).click();
    const tab = await opened;
    await tab.locator("#reopen").waitFor();
    assert.equal(
      (await floor().stockOf("SHIRT-OXF-BLU-L")).reserved,
      0,
      "a link that is opened holds nothing",
    );
    await tab.locator("#reopen").click();
    const again = new Shopper(tab, floor().stack.web_url);
    const second = await again.onPaymentPage();
    assert.notEqual(second, first);
    assert.equal((await floor().orderOf(second)).number, number);
    assert.equal((await floor().stockOf("SHIRT-OXF-BLU-L")).reserved, 1);

    await new PaymentPage(tab).pay(CARD_THAT_PAYS);
    await again.followUntil("paid");
    assert.equal((await floor().untilOrder(second, "paid")).number, number);
    await tab.close();
  },
);

test("demo store: a link back to an order leads to where the order stands", async () => {
  const { shopper, payment } = await floor().visitor();
  const { page } = shopper;
  await shopper.addToBag({ slug: "merino-crewneck", color: "Oatmeal", size: "L" });
  const first = await shopper.checkOut();
  const { id, number } = await floor().orderOf(first);
  const link = await floor().linkBackTo(id);

  await page.goto(link);
  assert.equal(await shopper.onPaymentPage(), first, "an open page is opened again");

  await floor().expire(first);
  await floor().untilOrder(first, "expired");
  await page.goto(link);
  await page.getByRole("heading", { name: "Your order is still waiting" }).waitFor();
  assert.equal((await floor().orderOf(first)).status, "expired", "a link that is opened opens nothing");
  await page.locator("#reopen").click();
  const second = await shopper.onPaymentPage();
  assert.notEqual(second, first);
  assert.equal((await floor().orderOf(second)).number, number, "an expired order gets another page");

  await payment.pay(CARD_THAT_PAYS);
  await shopper.followUntil("paid");
  assert.equal(await page.locator("#cart-count").isVisible(), false, "what was bought is still in the bag");
  await page.goto(link);
  await shopper.followUntil("paid");
  assert.equal(await page.locator("#order-number").innerText(), number);
});

test("demo store: a link back to a cancelled order says so, and charges nothing", async () => {
  const { shopper } = await floor().visitor();
  await shopper.addToBag({ slug: "merino-crewneck", color: "Oatmeal", size: "S" });
  const session = await shopper.checkOut();
  const { id, number } = await floor().orderOf(session);
  await floor().stack.sql`select public.cancel_order(${number}, 'asked for by phone')`;
  await floor().untilOrder(session, "cancelled");
  const answer = await shopper.page.goto(await floor().linkBackTo(id));
  assert.equal(answer?.status(), 409);
  assert.match(await shopper.page.innerText("body"), /cancelled/);
});

test("demo store: a link back to an order that has sold out says so, and charges nothing", async () => {
  const { shopper } = await floor().visitor();
  await shopper.addToBag({ ...WHITE_SHIRT, size: "XL" });
  const session = await shopper.checkOut();
  const { id } = await floor().orderOf(session);
  await floor().expire(session);
  await floor().untilOrder(session, "expired");
  await floor().stack.sql`
    update public.inventory_levels set on_hand = reserved
    where variant_id = (select id from public.product_variants where sku = 'SHIRT-OXF-WHT-XL')`;

  const { page } = shopper;
  await page.goto(await floor().linkBackTo(id));
  await page.locator("#reopen").click();
  await page.getByText("Something in this order has sold out").waitFor();
  assert.equal(await page.locator("#reopen").count(), 0);
  assert.equal((await floor().orderOf(session)).status, "expired");
});
