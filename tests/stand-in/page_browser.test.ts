import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type Stripe from "stripe";
import { TestBrowser, withoutBrowser } from "../e2e/browser.ts";
import { shirt, standIn } from "./stand_in.ts";

const ignore = withoutBrowser();

/** Everything a session can ask for. */
const FULL: Partial<Stripe.Checkout.SessionCreateParams> = {
  allow_promotion_codes: true,
  automatic_tax: { enabled: true },
  billing_address_collection: "required",
  consent_collection: { terms_of_service: "required" },
  phone_number_collection: { enabled: true },
  shipping_address_collection: { allowed_countries: ["US", "CA"] },
  shipping_options: [0, 1500].map((amount) => ({
    shipping_rate_data: {
      display_name: amount === 0 ? "Standard" : "Express",
      type: "fixed_amount",
      fixed_amount: { amount, currency: "usd" },
    },
  })),
};

/** Opens a session's page; the stand-in's own front page takes the shop's place afterwards. */
async function withPage(
  width: number,
  params: Partial<Stripe.Checkout.SessionCreateParams>,
  work: (page: Page, session: Stripe.Checkout.Session, stripe: Stripe) => Promise<void>,
): Promise<void> {
  await using stand = await standIn();
  await using browser = await TestBrowser.launch();
  const coupon = await stand.stripe.coupons.create({ percent_off: 10 });
  await stand.stripe.promotionCodes.create({ promotion: { type: "coupon", coupon: coupon.id }, code: "TEN" });
  const session = await stand.stripe.checkout.sessions.create(shirt({
    success_url: `${stand.url}/?paid={CHECKOUT_SESSION_ID}`,
    ...params,
  }));
  const page = await browser.newShopper(width);
  await page.goto(session.url ?? "");
  await work(page, session, stand.stripe);
  assert.deepEqual(browser.problems, []);
}

async function typeCard(page: Page, number: string): Promise<void> {
  await page.getByLabel("Card number").fill("");
  await page.getByLabel("Card number").pressSequentially(number);
  await page.getByLabel("Expiration date").fill("");
  await page.getByLabel("Expiration date").pressSequentially("1240");
  await page.getByLabel("Security code").fill("123");
  await page.getByLabel("Cardholder name").fill("Sam Shopper");
}

async function typeAddress(page: Page): Promise<void> {
  await page.getByLabel("Email").fill("sam@example.com");
  await page.getByLabel("Phone number").fill("2175550123");
  await page.getByLabel("Full name", { exact: true }).fill("Sam Shopper");
  await page.locator("#shipping_line1").fill("1 Main St");
  await page.locator("#shipping_city").fill("Springfield");
  await page.locator("#shipping_state").fill("IL");
  await page.locator("#shipping_postal_code").fill("62701");
}

const payButton = (page: Page) => page.getByRole("button", { name: /^Pay/ });

Deno.test({
  name: "page: a shopper at 360 pixels fills in everything, passes the challenge and is back at the shop",
  ignore,
}, () =>
  withPage(360, FULL, async (page, session, stripe) => {
    assert.equal(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
    await page.getByText("Order summary").click();
    await page.getByLabel("Promotion code", { exact: true }).fill("ten");
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("10% off").waitFor();
    await page.getByLabel("Express").check();
    await typeAddress(page);
    await typeCard(page, "4000000000003220");
    assert.equal(await page.getByLabel("Card number").inputValue(), "4000 0000 0000 3220");
    assert.equal(await page.getByLabel("Expiration date").inputValue(), "12 / 40");
    await page.getByLabel(/I agree/).check();
    // 12900 less 10 %, express shipping, and 8 % of both.
    await page.getByRole("button", { name: "Pay $141.59" }).click();
    const challenge = page.frameLocator("#challenge iframe");
    await challenge.getByRole("button", { name: "Fail authentication" }).click();
    await page.getByRole("alert").filter({ hasText: "unable to authenticate" }).waitFor();
    await payButton(page).click();
    await challenge.getByRole("button", { name: "Complete authentication" }).click();
    await page.waitForURL(new RegExp(`paid=${session.id}`));
    const paid = await stripe.checkout.sessions.retrieve(session.id);
    assert.equal(paid.payment_status, "paid");
    assert.equal(paid.amount_total, 14_159);
    assert.equal(paid.customer_details?.phone, "2175550123");
    assert.deepEqual(paid.consent, { promotions: null, terms_of_service: "accepted" });
  }));

Deno.test(
  { name: "page: what is missing or wrong is said at its field, and nothing is sent", ignore },
  () =>
    withPage(1280, FULL, async (page, _session, stripe) => {
      await payButton(page).click();
      assert.equal(await page.locator("#email-error").innerText(), "Required");
      assert.equal(await page.locator("#card_number-error").innerText(), "Your card number is required.");
      assert.equal(
        await page.locator("#terms-error").innerText(),
        "You must accept the terms of service to continue.",
      );
      assert.equal(await page.evaluate("document.activeElement.id"), "email");
      assert.equal(await page.getByLabel("Email").getAttribute("aria-invalid"), "true");
      await page.getByLabel("Email").fill("sam@example.com");
      assert.equal(await page.locator("#email-error").innerText(), "");
      await page.getByLabel("Card number").pressSequentially("4242424242424241");
      await page.getByLabel("Card number").blur();
      assert.equal(await page.locator("#card_number-error").innerText(), "Your card number is invalid.");
      assert.equal((await stripe.paymentIntents.list()).data.length, 0);
    }),
);

Deno.test(
  { name: "page: a decline is explained, and with the keyboard alone another card pays", ignore },
  () =>
    withPage(1280, {}, async (page, session, stripe) => {
      await page.getByLabel("Email").fill("sam@example.com");
      await typeCard(page, "4000000000009995");
      await page.getByLabel(/ZIP/).fill("62701");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").filter({ hasText: "insufficient funds" }).waitFor();
      await page.getByLabel("Card number").focus();
      await page.keyboard.press("Control+A");
      await page.keyboard.type("378282246310005");
      assert.equal(await page.getByLabel("Card number").inputValue(), "3782 822463 10005");
      assert.equal(await page.locator(".brand").getAttribute("data-brand"), "amex");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      await page.keyboard.type("1234");
      await page.keyboard.press("Enter");
      await page.waitForURL(new RegExp(`paid=${session.id}`));
      const [charge] = (await stripe.charges.list()).data;
      assert.equal(charge?.payment_method_details?.card?.brand, "amex");
      assert.equal(charge?.payment_method_details?.card?.checks?.address_postal_code_check, "pass");
    }),
);

Deno.test({
  name: "page: every input has a name for screen readers, and errors are tied to their fields",
  ignore,
}, () =>
  withPage(1280, FULL, async (page) => {
    const unnamed = await page.evaluate(`[...document.querySelectorAll("input, select, button, iframe")]
      .filter((element) => !(element.labels?.length || element.ariaLabel || element.title || element.textContent.trim()))
      .map((element) => element.outerHTML)`);
    assert.deepEqual(unnamed, []);
    const untied = await page.evaluate(`[...document.querySelectorAll("input[aria-describedby]")]
      .filter((input) => document.getElementById(input.getAttribute("aria-describedby")) === null)
      .map((input) => input.id)`);
    assert.deepEqual(untied, []);
    assert.equal(await page.evaluate("document.documentElement.lang"), "en");
  }));

Deno.test(
  { name: "page: a lost connection is told, and a payment whose answer got lost is not made twice", ignore },
  () =>
    withPage(1280, {}, async (page, session, stripe) => {
      await page.getByLabel("Email").fill("sam@example.com");
      await typeCard(page, "4242424242424242");
      await page.getByLabel(/ZIP/).fill("62701");
      await page.route("**/confirm", async (route) => {
        await route.fetch();
        await route.abort();
      });
      await payButton(page).click();
      await page.getByRole("alert").filter({ hasText: "will not be charged twice" }).waitFor();
      await page.unroute("**/confirm");
      await payButton(page).click();
      await page.waitForURL(new RegExp(`paid=${session.id}`));
      assert.equal((await stripe.charges.list()).data.length, 1);
    }),
);
