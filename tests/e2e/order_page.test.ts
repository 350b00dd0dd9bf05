import assert from "node:assert/strict";
import { orderPageToken } from "../../supabase/functions/_shared/checkout/order_link.ts";
import { eventually } from "../support/poll.ts";
import { shopFloor } from "./shop_floor.ts";
import { BLUE_SHIRT } from "./shopper.ts";

const { floor, test } = shopFloor();

/** The link to the order's page in the confirmation that the inbox has for it. */
async function linkOfMail(number: string): Promise<string> {
  return await eventually("the confirmation to arrive", async () => {
    const { data } = await (await fetch(`${floor().stack.web_url}/inbox.json`)).json();
    const mail = (data as { subject: string; text: string }[]).find(({ subject }) =>
      subject.includes(number)
    );
    return mail !== undefined && /http\S+\/order#token=\S+/.exec(mail.text)?.[0];
  });
}

for (const width of [1280, 360]) {
  test(`order page, ${width} wide: the mail leads to it, and it follows parcels and refunds`, async () => {
    const { sql } = floor().stack;
    const { shopper } = await floor().visitor(width);
    await shopper.addToBag(BLUE_SHIRT, 2);
    const session = await shopper.checkOut();
    await floor().control("pay", { session });
    const { number, amount_total } = await floor().untilOrder(session, "paid");
    const { page } = shopper;
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    const link = await linkOfMail(number);
    const token = link.slice(link.indexOf("=") + 1);
    await page.goto(link);
    await page.locator('[data-status="paid"]').waitFor();
    assert.equal(await page.locator("#order-number").innerText(), number);
    assert.equal(await page.locator("#delivery").innerText(), "Being packed");
    assert.deepEqual(asked.filter((url) => url.includes(token) && !url.includes("/order-status?")), []);
    /** Who comes back to the page sees news at once. */
    const look = () => page.evaluate(() => dispatchEvent(new Event("focus")));
    const one = sql.json([{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }]);

    await sql`select public.mark_fulfilled(${number}, 'UPS', '1Z12345E0205271688', ${one})`;
    await look();
    const first = page.locator('[data-parcel="1"]');
    await first.waitFor();
    assert.match(await first.innerText(), /1 × Oxford Button-Down Shirt/);
    assert.equal(
      await first.getByRole("link").getAttribute("href"),
      "https://www.ups.com/track?tracknum=1Z12345E0205271688",
    );
    assert.equal(await page.locator("#delivery").innerText(), "Sent in part, the rest is being packed");

    await sql`select public.mark_fulfilled(${number}, 'Bicycle', null)`;
    await look();
    const second = page.locator('[data-parcel="2"]');
    await second.waitFor();
    assert.match(await second.innerText(), /Bicycle/);
    await page.getByText("Your order is on its way.", { exact: true }).waitFor();
    assert.equal(await page.locator("#delivery").innerText(), "Shipped");

    await sql`select public.request_refund(${number}, 5000)`;
    await floor().untilOrder(session, "partially_refunded");
    await look();
    await page.locator('[data-refund="done"]').waitFor();
    assert.match(await page.locator('[data-refund="done"]').innerText(), /Paid back\s+\$50\.00/);
    assert.match(await page.locator('[data-kind="refunded"]').innerText(), /-\$50\.00/);
    assert.ok(amount_total >= 25_800);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${overflow} pixels too wide`);
  });
}

test("order page says so where the link is cut off, too old, or missing", async () => {
  const { shopper } = await floor().visitor();
  const { page } = shopper;
  const open = async (path: string) => {
    await page.goto("about:blank");
    await shopper.open(path);
    return await shopper.notice();
  };
  assert.match(await open("/order"), /incomplete/);
  assert.match(await open("/order#token=x"), /not complete/);
  const old = await orderPageToken(
    crypto.randomUUID(),
    { linkSigningSecret: floor().linkSigningSecret },
    Date.now() - 91 * 86_400_000,
  );
  assert.match(await open(`/order#token=${old}`), /expired/);
});
