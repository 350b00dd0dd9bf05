import assert from "node:assert/strict";
import { CARD_THAT_PAYS } from "./payment_page.ts";
import { shopFloor } from "./shop_floor.ts";
import { WHITE_SHIRT } from "./shopper.ts";

const { floor, test } = shopFloor();
/** A window of its own takes a busy machine long. */
const popupMs = 60_000;

test("account: a sign-up is asked to open the link in the inbox, and then sees its guest orders", async () => {
  const { shopper, payment } = await floor().visitor();
  const { page } = shopper;
  // Whom the payment page's form names.
  const email = "shopper.e2e@example.com";
  await shopper.addToBag(WHITE_SHIRT);
  const session = await shopper.checkOut();
  await payment.pay(CARD_THAT_PAYS);
  await shopper.followUntil("paid");
  const { number } = await floor().untilOrder(session, "paid");

  await shopper.open("/account");
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("long-enough");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("heading", { name: "Please confirm your address" }).waitFor();

  await shopper.open("/account");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("long-enough");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Please confirm your address" }).waitFor();
  await page.getByRole("button", { name: "Send it again" }).click();
  await page.getByText("Sent again").waitFor();

  const [inbox] = await Promise.all([
    page.waitForEvent("popup", { timeout: popupMs }),
    page.getByRole("link", { name: "Open the inbox" }).click(),
  ]);
  // The confirmation of the order may come after it.
  const request = "Confirm your e-mail address";
  await inbox.getByRole("link", { name: new RegExp(email) }).filter({ hasText: request }).first().click();
  const [store] = await Promise.all([
    inbox.waitForEvent("popup", { timeout: popupMs }),
    inbox.frameLocator("iframe").getByRole("link", { name: request }).click(),
  ]);
  await store.getByRole("heading", { name: "My orders" }).waitFor();
  assert.equal(new URL(store.url()).hash, "", "the session does not stay in the address");
  await store.locator(`[data-order="${number}"]`).waitFor();
});
