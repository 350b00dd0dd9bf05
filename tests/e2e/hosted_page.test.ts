/** The stand-in's payment page as a shopper's browser runs it. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type Stripe from "stripe";
import { shirt, type StandIn, standIn } from "../stand-in/stand_in.ts";
import { TestBrowser, withoutBrowser } from "./browser.ts";
import { CARD_THAT_PAYS, PaymentPage } from "./payment_page.ts";

const CARD_WITH_CHALLENGE = "4000002760003184";
const CARD_WITH_WRONG_CODE = "4000000000000127";

const ignore = withoutBrowser();
let opened: { browser: TestBrowser; stand: StandIn } | null = null;

function here(): { browser: TestBrowser; stand: StandIn } {
  if (opened === null) throw new Error("stand-in and browser start before the first test");
  return opened;
}

if (!ignore) {
  Deno.test.beforeAll(async () => {
    opened = { stand: await standIn(), browser: await TestBrowser.launch() };
  });
  Deno.test.afterAll(async () => {
    await opened?.browser[Symbol.asyncDispose]();
    await opened?.stand.stop();
  });
}

/** Declares a test that gets a browser with the page of a new session, 360 pixels wide. */
function test(
  name: string,
  params: Partial<Stripe.Checkout.SessionCreateParams>,
  fn: (on: On) => Promise<void>,
) {
  const run = async () => {
    const { stand, browser } = here();
    const session = await stand.stripe.checkout.sessions.create(shirt({ ...params, ...shopAt(stand.url) }));
    const page = await browser.newShopper(360);
    try {
      await page.goto(session.url ?? "");
      await fn({ page, stand, session, payment: new PaymentPage(page) });
      assert.deepEqual(browser.problems, []);
    } finally {
      await page.context().close();
      browser.problems.length = 0;
    }
  };
  Deno.test({ name, fn: run, ignore, sanitizeOps: false, sanitizeResources: false });
}

interface On {
  page: Page;
  stand: StandIn;
  session: Stripe.Checkout.Session;
  payment: PaymentPage;
}

/** A shop that is always there: the stand-in's own front page. */
function shopAt(url: string): { success_url: string; cancel_url: string } {
  return { success_url: `${url}/?paid={CHECKOUT_SESSION_ID}`, cancel_url: `${url}/` };
}

const RATES: Stripe.Checkout.SessionCreateParams.ShippingOption[] = [["Standard", 900], ["Express", 2400]]
  .map(([name, amount]) => ({
    shipping_rate_data: {
      type: "fixed_amount",
      display_name: String(name),
      fixed_amount: { amount: Number(amount), currency: "usd" },
    },
  }));

/** Text of an input with a bar where the caret stands. */
async function withCaret(page: Page): Promise<string> {
  return await page.evaluate(`(() => {
    const { value, selectionStart } = document.activeElement;
    return value.slice(0, selectionStart) + "|" + value.slice(selectionStart);
  })()`);
}

test(
  "payment page: a card number is grouped as printed, and the caret stays where the shopper works",
  {},
  async ({ page }) => {
    const number = page.getByLabel("Card number");
    const cases: [typed: string, caret: number, keys: string[], shown: string][] = [
      ["378282246310005", 17, [], "3782 822463 10005|"],
      ["4242424242424242", 19, [], "4242 4242 4242 4242|"],
      ["4242137", 6, ["Delete"], "4242 1|7"],
      ["4242137", 7, ["Backspace"], "4242 1|7"],
      ["42421377", 4, ["Delete"], "4242| 377"],
      ["42421377", 5, ["Backspace"], "424|1 377"],
      ["4242137", 6, ["9"], "4242 19|37"],
    ];
    for (const [typed, caret, keys, shown] of cases) {
      await number.fill("");
      await number.pressSequentially(typed);
      await page.evaluate(`document.activeElement.setSelectionRange(${caret}, ${caret})`);
      for (const key of keys) await page.keyboard.press(key);
      assert.equal(await withCaret(page), shown, `${typed} at ${caret} ${keys}`);
    }
    await number.fill("");
    await page.keyboard.insertText(" 4242 - 4242 - 4242 - 4242 ");
    assert.equal(await withCaret(page), "4242 4242 4242 4242|");
    await page.getByLabel("Security code").pressSequentially("12345");
    assert.equal(await withCaret(page), "123|");
  },
);

test(
  "payment page: can be used with the keyboard alone, the bank's check included",
  {},
  async ({ page, session }) => {
    const typed: Record<string, string> = {
      email: "sam@example.com",
      card_number: CARD_WITH_CHALLENGE,
      card_expiry: "1234",
      card_cvc: "123",
      name: "Sam Shopper",
      billing_postal_code: "62701",
    };
    const focused = "document.activeElement.id || document.activeElement.className";
    let at = await page.evaluate<string>(focused);
    assert.equal(at, "email");
    for (let steps = 0; at !== "pay" && steps < 20; steps++) {
      await page.keyboard.type(typed[at] ?? "");
      await page.keyboard.press("Tab");
      at = await page.evaluate<string>(focused);
    }
    const bank = page.frameLocator("dialog iframe");
    const message = page.getByRole("alert");

    await page.keyboard.press("Enter");
    await bank.getByRole("heading").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Escape");
    await message.getByText("The verification was cancelled").waitFor();
    assert.equal(await page.evaluate(focused), "pay");

    await page.keyboard.press("Enter");
    await bank.getByRole("heading").waitFor();
    await page.getByRole("button", { name: "Cancel the verification" }).press("Enter");
    await message.getByText("The verification was cancelled").waitFor();

    await page.keyboard.press("Enter");
    await bank.getByRole("heading").waitFor();
    await bank.getByRole("button", { name: "Fail authentication" }).press("Enter");
    await message.getByText("unable to authenticate").waitFor();
    assert.equal(await page.evaluate(focused), "pay");

    await page.keyboard.press("Enter");
    await bank.getByRole("heading").waitFor();
    await bank.getByRole("button", { name: "Complete authentication" }).press("Enter");
    await page.waitForURL(new RegExp(`paid=${session.id}`));
  },
);

test(
  "payment page: a bank's page that is slow to come is not stood in for by that of an earlier attempt",
  {},
  async ({ page, payment, session }) => {
    const bank = page.frameLocator("dialog iframe");
    await payment.fillIn(CARD_WITH_CHALLENGE);
    await payment.payButton.click();
    await bank.getByRole("heading").waitFor();
    await page.getByRole("button", { name: "Cancel the verification" }).click();
    await page.getByText("The verification was cancelled").waitFor();

    const { promise: asked, resolve: seen } = Promise.withResolvers<void>();
    const { promise: comes, resolve: come } = Promise.withResolvers<void>();
    await page.route("**/3ds/*", async (route) => {
      seen();
      await comes;
      await route.continue();
    }, { times: 1 });
    await payment.payButton.click();
    await asked;
    assert.equal(await bank.getByRole("heading").isVisible(), false);
    come();
    await bank.getByRole("button", { name: "Complete authentication" }).click();
    await page.waitForURL(new RegExp(`paid=${session.id}`));
  },
);

test(
  "payment page: a verification that the bank had passed before it was cancelled leads to the shop",
  {},
  async ({ page, payment, session }) => {
    const bank = page.frameLocator("dialog iframe");
    await payment.fillIn(CARD_WITH_CHALLENGE);
    await payment.payButton.click();
    await bank.getByRole("heading").waitFor();
    // The bank hears of it, and the shopper's page does not.
    const { promise: passed, resolve: pass } = Promise.withResolvers<void>();
    await page.route("**/3ds/*", async (route) => {
      await route.fetch();
      pass();
    });
    await bank.getByRole("button", { name: "Complete authentication" }).click();
    await passed;
    await page.getByRole("button", { name: "Cancel the verification" }).click();
    await page.waitForURL(new RegExp(`paid=${session.id}`));
  },
);

test(
  "payment page: a change that is answered while a promotion code is typed leaves the shopper in that field",
  { allow_promotion_codes: true, shipping_options: RATES },
  async ({ page }) => {
    const { promise: typed, resolve: typing } = Promise.withResolvers<void>();
    await page.route("**/update", async (route) => {
      await typed;
      await route.continue();
    });
    await page.getByText("Order summary").click();
    await page.getByRole("radio", { name: /Express/ }).click();
    await page.getByLabel("Promotion code").pressSequentially("TEN");
    await page.keyboard.press("ArrowLeft");
    typing();
    await page.getByRole("button", { name: "Pay $153.00" }).waitFor();
    assert.equal(await withCaret(page), "TE|N");
  },
);

test(
  "payment page: a promotion code can be added and removed without losing the place on the page",
  { allow_promotion_codes: true },
  async ({ page, stand }) => {
    const coupon = await stand.stripe.coupons.create({ percent_off: 20, duration: "once" });
    const promotion = { type: "coupon", coupon: coupon.id } as const;
    await stand.stripe.promotionCodes.create({ promotion, code: "WEDDING20" });
    await page.getByText("Order summary").click();
    const code = page.getByLabel("Promotion code");
    await code.fill("NOTHING");
    await code.press("Enter");
    await page.getByText("This code is invalid").waitFor();
    await code.fill("wedding20");
    await code.press("Enter");
    await page.getByRole("button", { name: "Pay $103.20" }).waitFor();
    assert.match(await page.evaluate("document.activeElement.ariaLabel"), /Remove promotion code WEDDING20/);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Pay $129.00" }).waitFor();
    assert.equal(await page.evaluate("document.activeElement.id"), "promotion");
  },
);

test(
  "payment page: Pay waits for a change that is under way, and a change that fails is undone and told",
  { shipping_options: RATES },
  async ({ page, stand, session, payment }) => {
    await payment.fillIn(CARD_WITH_WRONG_CODE);
    const express = page.getByRole("radio", { name: /Express/ });
    await page.route("**/update", (route) => route.abort());
    await express.click();
    await page.getByText("could not reach the payment server").waitFor();
    assert.equal(await page.getByRole("radio", { name: /Standard/ }).isChecked(), true);
    await page.unroute("**/update");

    await payment.payButton.click();
    await page.locator("#card_cvc-error").getByText("security code is incorrect").waitFor();
    assert.equal(await page.evaluate("document.activeElement.id"), "card_cvc");

    await page.getByLabel("Card number").fill(CARD_THAT_PAYS);
    const { promise: payIsPressed, resolve: pressed } = Promise.withResolvers<void>();
    await page.route("**/update", async (route) => {
      await payIsPressed;
      await route.continue();
    });
    const log: string[] = [];
    page.on("response", (response) => response.url().endsWith("/update") && log.push("changed"));
    page.on("request", (request) => request.url().endsWith("/confirm") && log.push("paying"));
    await express.click();
    await payment.payButton.click();
    pressed();
    await page.waitForURL(/paid=cs_/);
    assert.deepEqual(log, ["changed", "paying"]);
    assert.equal((await stand.stripe.checkout.sessions.retrieve(session.id)).amount_total, 15_300);
  },
);

test(
  "payment page: pressing Pay after the session has expired shows that it has",
  {},
  async ({ page, stand, session, payment }) => {
    await payment.fillIn("4000000000000002");
    await payment.payButton.click();
    await page.getByText("Your card was declined").waitFor();
    await stand.stripe.checkout.sessions.expire(session.id);
    await payment.payButton.click();
    await page.getByRole("heading", { name: "This checkout has expired" }).waitFor();
  },
);
