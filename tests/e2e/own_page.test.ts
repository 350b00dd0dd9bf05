import assert from "node:assert/strict";
import type { Frame, Page } from "playwright-core";
import { eventually } from "../support/poll.ts";
import { CARD_THAT_PAYS, PaymentPage } from "./payment_page.ts";
import { shopFloor } from "./shop_floor.ts";
import { BLUE_SHIRT } from "./shopper.ts";

const { floor, test } = shopFloor();

/** A test card that the bank always asks about. */
const CARD_WITH_CHALLENGE = "4000000000003220";

/** Stripe's frame on the store's own page, once it is there, and the session it is for. */
async function stripeFrame(page: Page): Promise<{ frame: Frame; session: string }> {
  await page.waitForURL(/\/store\/pay$/);
  const frame = await eventually("the payment frame", () => page.frame("embedded-checkout") ?? false);
  await frame.waitForURL(/\/c\/embed\/cs_/);
  const session = /\/c\/embed\/(cs_test_[A-Za-z0-9]+)_secret_/.exec(frame.url())?.[1];
  assert.ok(session, frame.url());
  return { frame, session };
}

test("demo store: a shopper pays on the shop's own page, past a reload and the bank's questions", async () => {
  const { shopper } = await floor().visitor();
  const { page } = shopper;
  await shopper.addToBag(BLUE_SHIRT);
  await shopper.openBag();
  await page.locator("#pay-here").click();
  const { session } = await stripeFrame(page);
  const { number } = await floor().orderOf(session);
  await page.reload();
  const again = await stripeFrame(page);
  assert.equal(again.session, session, "a reload began another checkout");
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.doesNotMatch(stored, /_secret_/);

  await new PaymentPage(again.frame).pay(CARD_WITH_CHALLENGE);
  await page.frameLocator('iframe[name="embedded-checkout"]').frameLocator("#challenge iframe")
    .getByRole("button", { name: "Complete authentication" }).click();
  await shopper.followUntil("paid");
  assert.equal(await page.locator("#order-number").innerText(), number);
  assert.equal((await floor().untilOrder(session, "paid")).number, number);
});

test("demo store: who turns from the shop's own page to Stripe's pays once, and the frame left behind is closed", async () => {
  const { shopper, payment } = await floor().visitor();
  const { page } = shopper;
  await shopper.addToBag({ ...BLUE_SHIRT, size: "L" });
  await shopper.openBag();
  await page.locator("#pay-here").click();
  const { session: left } = await stripeFrame(page);
  const taken = (await floor().stockOf("SHIRT-OXF-BLU-L")).reserved;
  const hosted = await shopper.checkOut();
  assert.equal((await floor().orderOf(left)).status, "expired");
  assert.equal((await floor().stockOf("SHIRT-OXF-BLU-L")).reserved, taken, "the piece is held twice");
  await payment.pay(CARD_THAT_PAYS);
  await shopper.followUntil("paid");
  await floor().untilOrder(hosted, "paid");
});

test("demo store: a shopper who turns back at a wallet comes back to the shop, and from there to the same frame", async () => {
  const { shopper } = await floor().visitor();
  const { page } = shopper;
  await shopper.addToBag({ slug: "merino-crewneck", color: "Oatmeal", size: "M" });
  await shopper.openBag();
  await page.locator("#pay-here").click();
  const payByPayPal = async (answer: string) => {
    const { frame, session } = await stripeFrame(page);
    const payment = new PaymentPage(frame);
    await payment.fillIn(CARD_THAT_PAYS);
    await frame.getByLabel("PayPal").check();
    await payment.payButton.click();
    await page.getByRole("heading", { name: "PayPal test payment page" }).waitFor();
    await page.getByRole("button", { name: answer }).click();
    return session;
  };
  const session = await payByPayPal("Fail test payment");
  await shopper.followUntil("pending");
  assert.equal((await floor().orderOf(session)).status, "pending");
  await page.getByRole("link", { name: "Back to the payment" }).click();
  assert.equal(await payByPayPal("Authorize test payment"), session);
  await shopper.followUntil("paid");
  await floor().untilOrder(session, "paid");
});

test("demo store: by a bank or wallet from Stripe's page, past a change of mind", async () => {
  const { shopper, payment } = await floor().visitor();
  const { page } = shopper;
  await shopper.addToBag({ slug: "merino-crewneck", color: "Oatmeal", size: "L" });
  const session = await shopper.checkOut();
  for (const answer of ["Fail test payment", "Authorize test payment"]) {
    await payment.fillIn(CARD_THAT_PAYS);
    await page.getByLabel("Klarna").check();
    await payment.payButton.click();
    await page.getByRole("button", { name: answer }).click();
    if (answer.startsWith("Fail")) assert.match(await payment.message(), /./);
  }
  await shopper.followUntil("paid");
  await floor().untilOrder(session, "paid");
});
