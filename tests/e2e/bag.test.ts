import assert from "node:assert/strict";
import { CARD_THAT_PAYS } from "./payment_page.ts";
import { shopFloor } from "./shop_floor.ts";
import { BLUE_SHIRT, BURGUNDY_TIE, Shopper, WHITE_SHIRT } from "./shopper.ts";

const { floor, test } = shopFloor();

test("bag: the last piece goes to who checks out first; the other is told, and can buy once it is back", async () => {
  const first = await floor().visitor();
  const second = await floor().visitor();
  await first.shopper.addToBag(BURGUNDY_TIE);
  await second.shopper.addToBag(BURGUNDY_TIE);
  await second.shopper.openBag();
  const session = await first.shopper.checkOut();

  await second.shopper.checkoutButton.click();
  await second.shopper.page.getByText("Somebody was faster").waitFor();
  assert.match(await second.shopper.notice(), /Grenadine Silk Tie, Burgundy, One size has just sold out/);
  assert.equal(await second.shopper.checkoutButton.isDisabled(), true);
  assert.match(await second.shopper.page.locator(".line-problem").innerText(), /Sold out/);
  await second.shopper.open(`/products/${BURGUNDY_TIE.slug}`);
  assert.equal(await second.shopper.page.getByRole("radio", { name: /^Burgundy/ }).isDisabled(), true);

  await floor().expire(session);
  await floor().untilOrder(session, "expired");
  const again = await second.shopper.checkOut();
  await second.payment.pay(CARD_THAT_PAYS);
  await second.shopper.followUntil("paid");
  await floor().untilOrder(again, "paid");
  assert.deepEqual(await floor().stockOf("TIE-SILK-BUR"), { on_hand: 0, reserved: 0, available: 0 });
});

test("bag: one click takes what is left when that is less than was asked for", async () => {
  const { shopper } = await floor().visitor(360);
  const { page } = shopper;
  await shopper.addToBag({ slug: "wool-suit", color: "Charcoal", size: "38R" }, 2);
  await shopper.addToBag({ slug: "flannel-trousers", color: "Grey", size: "32" });
  await shopper.addToBag({ slug: "oxford-shirt", color: "White", size: "L" });
  await shopper.openBag();
  await floor().stack.sql`
    update public.inventory_levels l set on_hand = case v.sku when 'SUIT-CHR-38R' then 1 else 0 end
    from public.product_variants v where v.id = l.variant_id and v.sku in ('SUIT-CHR-38R', 'TRS-FLN-GRY-32')`;
  await shopper.checkoutButton.click();
  await page.getByText("Somebody was faster").waitFor();
  assert.match(
    await shopper.notice(),
    /Suit, Charcoal, 38R: only 1 left.*Trousers, Grey, 32 has just sold out/,
  );
  assert.equal(
    await page.evaluate("document.querySelector('.notice').getBoundingClientRect().bottom <= innerHeight"),
    true,
    "the message is off the screen of who has just pressed the button",
  );
  assert.equal(await page.evaluate("document.activeElement.id"), "fit");
  await page.keyboard.press("Enter");
  assert.equal(
    await page.locator("#announcement").innerText(),
    "Your bag has been changed, subtotal $778.00",
  );
  await page.keyboard.press("Enter");
  assert.deepEqual(await floor().linesOf(await shopper.onPaymentPage()), [["SHIRT-OXF-WHT-L", 1], [
    "SUIT-CHR-38R",
    1,
  ]]);
});

test("bag: a larger bag that cannot be had leaves the open page alone, and is told what is left", async () => {
  const { shopper } = await floor().visitor();
  const { page } = shopper;
  await shopper.addToBag({ slug: "flannel-trousers", color: "Navy", size: "32" });
  const first = await shopper.checkOut();
  await shopper.openBag();
  await page.getByRole("button", { name: "One more" }).click();
  await floor().stack.sql`
    update public.inventory_levels set on_hand = 1
    where variant_id = (select id from public.product_variants where sku = 'TRS-FLN-NVY-32')`;
  await shopper.checkoutButton.click();
  await page.getByText("Somebody was faster").waitFor();
  assert.match(await shopper.notice(), /Navy, 32: only 1 left/);
  await floor().untilOrder(first, "pending");
  await page.locator("#fit").click();
  await shopper.checkoutButton.click();
  assert.notEqual(await shopper.onPaymentPage(), first);
});

test("bag: a bag whose order was refunded can be bought again", async () => {
  const { shopper } = await floor().visitor();
  await shopper.addToBag({ ...BLUE_SHIRT, size: "L" });
  const session = await shopper.checkOut();
  await floor().control("pay", { session });
  const { number } = await floor().untilOrder(session, "paid");
  await floor().stack.sql`select public.request_refund(${number}, null, 'requested_by_customer', true)`;
  await floor().untilOrder(session, "refunded");

  await shopper.openBag();
  await shopper.checkoutButton.click();
  await shopper.followUntil("refunded");
  await shopper.page.getByRole("link", { name: "Back to the bag" }).click();
  await shopper.checkoutButton.click();
  assert.notEqual(await shopper.onPaymentPage(), session);
});

test("bag: who pays for a piece that has sold out meanwhile is told, and gets the money back", async () => {
  const first = await floor().visitor();
  const second = await floor().visitor();
  const green = { slug: "merino-crewneck", color: "Bottle Green", size: "M" };
  await floor().stack.sql`
    update public.inventory_levels set on_hand = 1
    where variant_id = (select id from public.product_variants where sku = 'KNIT-CRW-GRN-M')`;
  await first.shopper.addToBag(green);
  const late = await first.shopper.checkOut();
  // The hold is gone while the page can still be paid: a database that was set back to yesterday, say.
  await floor().stack.sql`
    with lost as (
      update public.inventory_reservations r set status = 'released'
      from public.checkout_sessions s
      where s.id = ${late} and r.order_id = s.order_id
      returning r.variant_id, r.quantity
    )
    update public.inventory_levels l set reserved = l.reserved - lost.quantity
    from lost where l.variant_id = lost.variant_id`;
  await second.shopper.addToBag(green);
  const bought = await second.shopper.checkOut();
  await floor().control("pay", { session: bought });
  await floor().untilOrder(bought, "paid");

  // The browser is back before the event that tells us of this page, and the page shows what the refund's job waits for.
  await floor().whileJobsWait(() =>
    floor().whileUnheard(async () => {
      await first.payment.pay(CARD_THAT_PAYS);
      await first.shopper.page.locator(".state-refunding").waitFor();
    })
  );
  await first.shopper.followUntil("refunded");
  assert.match(await first.shopper.page.locator("main").innerText(), /money is on its way back/);
  const { id, amount_paid } = await floor().orderOf(late);
  const refunds = await floor().stack
    .sql`select amount::int, status from public.refunds where order_id = ${id}`;
  assert.deepEqual([...refunds], [{ amount: amount_paid, status: "succeeded" }]);
  assert.deepEqual(await floor().stockOf("KNIT-CRW-GRN-M"), { on_hand: 0, reserved: 0, available: 0 });
  await second.shopper.openSuccessPage(bought);
  await second.shopper.followUntil("paid");
});

test("bag: who has been signed out meanwhile is told, and the next click checks out as a guest", async () => {
  const { shopper } = await floor().visitor();
  await shopper.addToBag(WHITE_SHIRT);
  await shopper.page.evaluate(`localStorage.setItem("kct.session", JSON.stringify({
    access_token: "a.b.c", refresh_token: "gone", expires_at: Date.now() + 3_600_000, email: "gone@example.com",
  }))`);
  await shopper.openBag();
  const account = shopper.page.locator("#account-link");
  assert.equal(await account.innerText(), "My orders");
  await shopper.checkoutButton.click();
  await shopper.page.getByText("You have been signed out").waitFor();
  assert.equal(await account.innerText(), "Sign in");
  await shopper.checkoutButton.click();
  await shopper.onPaymentPage();
});

test("bag: a double click makes one order with one session", async () => {
  const { shopper } = await floor().visitor();
  await shopper.addToBag(WHITE_SHIRT);
  await shopper.openBag();
  const before = await floor().orderCount();
  await shopper.checkoutButton.dblclick();
  await shopper.onPaymentPage();
  assert.equal(await floor().orderCount(), before + 1);
});

test("bag: the same bag checked out in two tabs at once leads to one session", async () => {
  const { shopper } = await floor().visitor();
  await shopper.addToBag(BLUE_SHIRT);
  await shopper.checkOut();
  await shopper.openBag();
  const before = await floor().orderCount();
  const tab = await shopper.page.context().newPage();
  await tab.goto(shopper.page.url());
  await tab.locator("#checkout").waitFor();
  await Promise.all([shopper.checkoutButton.click(), tab.locator("#checkout").click()]);
  const session = await shopper.onPaymentPage();
  await tab.waitForURL(new RegExp(`/c/pay/${session}`));
  assert.equal(await floor().orderCount(), before);
  await tab.close();
});

test("bag: what another tab keeps of its checkout does not take the button from under a press", async () => {
  const { shopper } = await floor().visitor();
  const { page } = shopper;
  await shopper.addToBag(BLUE_SHIRT);
  await shopper.openBag();
  const tab = await page.context().newPage();
  await tab.goto(`${floor().stack.web_url}/store/cancelled`);
  await page.evaluate("addEventListener('storage', () => document.body.dataset.heard = 'yes')");
  await shopper.checkoutButton.hover();
  await page.mouse.down();
  await tab.evaluate("localStorage.setItem('kct.checkout', JSON.stringify({ fingerprint: '', key: '' }))");
  await page.locator("body[data-heard]").waitFor();
  await page.mouse.up();
  await shopper.onPaymentPage();
});

test(
  "bag: the back button leaves the payment page, and checkout returns to the same session",
  async () => {
    const { shopper, payment } = await floor().visitor();
    await shopper.addToBag({ ...BLUE_SHIRT, size: "S" });
    const session = await shopper.checkOut();
    const orders = await floor().orderCount();
    await shopper.page.goBack();
    await shopper.checkoutButton.filter({ hasText: /^Checkout$/ }).waitFor();
    await shopper.checkoutButton.click();
    assert.equal(await shopper.onPaymentPage(), session);
    assert.equal(await floor().orderCount(), orders);

    await payment.pay(CARD_THAT_PAYS);
    await shopper.followUntil("paid");
    await shopper.openBag();
    await shopper.page.getByText("Your bag is empty").waitFor();
  },
);

test(
  "bag: paid without coming back, the same bag shows that order instead of asking for money again",
  async () => {
    const { shopper } = await floor().visitor();
    await shopper.addToBag({ ...WHITE_SHIRT, size: "S" });
    const session = await shopper.checkOut();
    const orders = await floor().orderCount();
    await floor().control("pay", { session });
    await floor().untilOrder(session, "paid");

    await shopper.openBag();
    await shopper.checkoutButton.click();
    await shopper.followUntil("paid");
    assert.match(shopper.page.url(), new RegExp(session));
    assert.equal(await floor().orderCount(), orders);
  },
);

test(
  "bag: the last piece in a shopper's own open checkout does not look sold out to them",
  async () => {
    const { shopper, payment } = await floor().visitor();
    await shopper.addToBag({ slug: "wool-overcoat", color: "Camel", size: "S" });
    const session = await shopper.checkOut();
    assert.equal((await floor().stockOf("COAT-CML-S")).available, 0);
    await payment.goBack();
    await shopper.openBag();
    assert.equal(await shopper.page.locator(".line-problem").count(), 0);
    await shopper.checkoutButton.click();
    assert.equal(await shopper.onPaymentPage(), session);
  },
);

test(
  "bag: when Stripe cannot be reached the shopper is told, and the next click makes the order once",
  async () => {
    const { shopper } = await floor().visitor();
    await shopper.addToBag({ ...WHITE_SHIRT, size: "XL" });
    await shopper.openBag();
    const before = await floor().orderCount();
    await floor().faults({ api: [{ match: "POST /v1/checkout/sessions", status: 500, times: 100 }] });
    await shopper.checkoutButton.click();
    await shopper.page.getByText("The payment page cannot be reached").waitFor();
    assert.match(await shopper.notice(), /not been charged/);
    await floor().faults(null);
    await shopper.checkoutButton.click();
    await shopper.onPaymentPage();
    assert.equal(await floor().orderCount(), before + 1);
  },
);

test(
  "bag: several lines add up, quantities change, and a removed line is gone from the order",
  async () => {
    const { shopper } = await floor().visitor();
    await shopper.addToBag({ slug: "silk-tie", color: "Navy" });
    await shopper.addToBag({ slug: "flannel-trousers", color: "Navy", size: "34" });
    await shopper.addToBag({ slug: "merino-crewneck", color: "Oatmeal", size: "M" });
    await shopper.openBag();
    await shopper.page.getByRole("group", { name: /Grenadine/ }).getByRole("button", { name: "One more" })
      .click();
    await shopper.page.getByRole("button", { name: /Remove Merino/ }).click();
    assert.equal(await shopper.page.locator("#subtotal").innerText(), "$307.00");
    assert.equal(await shopper.page.locator("#cart-count").innerText(), "3");
    await shopper.checkoutButton.click();
    const session = await shopper.onPaymentPage();
    assert.deepEqual(await floor().linesOf(session), [["TIE-SILK-NVY", 2], ["TRS-FLN-NVY-34", 1]]);
    const pictures = await shopper.page.locator("img.line-picture").evaluateAll((all) =>
      all.map((picture) => picture.getAttribute("src")?.split("/").at(-1))
    );
    assert.deepEqual(pictures, ["silk-tie.svg?color=Navy", "flannel-trousers.svg?color=Navy"]);
  },
);

test("bag: an order paid in one tab leaves what was added in another", async () => {
  const { shopper, payment } = await floor().visitor();
  await shopper.addToBag({ slug: "silk-tie", color: "Navy" });
  await shopper.checkOut();
  const tab = new Shopper(await shopper.page.context().newPage(), floor().stack.web_url);
  await tab.addToBag({ slug: "silk-tie", color: "Navy" });
  await tab.addToBag({ slug: "silk-tie", color: "Forest" });
  await payment.pay(CARD_THAT_PAYS);
  await shopper.followUntil("paid");
  const paidPage = shopper.page.url();
  await shopper.openBag();
  const left = shopper.page.locator(".line-variant");
  assert.deepEqual(await left.allInnerTexts(), ["Navy · One size", "Forest · One size"]);
  assert.equal(await shopper.page.locator("#cart-count").innerText(), "2");

  await shopper.page.goto(paidPage);
  await shopper.followUntil("paid");
  assert.equal(await shopper.page.locator("#cart-count").innerText(), "2");
});

test("demo store can be used with the keyboard alone", async () => {
  const { shopper } = await floor().visitor(360);
  const { page } = shopper;
  await shopper.open("/products/oxford-shirt");
  await page.getByRole("radio", { name: "S", exact: true }).focus();
  await page.keyboard.press("ArrowRight");
  await page.getByText("Size: M").waitFor();
  const announcement = page.locator("#announcement");
  assert.equal(await announcement.innerText(), "In stock, ships within two days.");
  assert.equal(await page.getByRole("radio", { name: "M", exact: true }).isChecked(), true);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("Added to your bag").waitFor();
  assert.equal(await page.evaluate("document.activeElement.id"), "add");
  assert.match(await announcement.innerText(), /^Oxford .*, M is in your bag$/);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/store\/cart/);
  await shopper.checkoutButton.focus();
  await page.keyboard.press("Enter");
  await shopper.onPaymentPage();
});

test("demo store fits a screen of 360 pixels", async () => {
  const { shopper } = await floor().visitor(360);
  await shopper.addToBag(WHITE_SHIRT);
  for (const path of ["", "/products/wool-suit", "/cart", "/account", "/cancelled", "/success"]) {
    await shopper.open(path);
    const width = await shopper.page.evaluate("document.documentElement.scrollWidth");
    assert.equal(width, 360, path);
  }
});
