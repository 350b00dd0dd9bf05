import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventTypes, refusal, type StandIn, standIn } from "./stand_in.ts";

const { test } = Deno;

async function tie({ stripe }: StandIn, recurring?: Stripe.PriceCreateParams.Recurring): Promise<string> {
  const price = await stripe.prices.create({
    currency: "usd",
    unit_amount: 5900,
    product_data: { name: "Tie" },
    ...(recurring === undefined ? {} : { recurring }),
  });
  return price.id;
}

/** Follows a link as a browser does; returns the session it opened, or what its page says. */
async function follow(stand: StandIn, url: string): Promise<{ session: string | null; page: string }> {
  const response = await fetch(url, { redirect: "manual" });
  const page = await response.text();
  const session = /\/c\/pay\/(\w+)$/.exec(response.headers.get("location") ?? "")?.[1] ?? null;
  assert.equal(response.status, session === null ? 200 : 303);
  assert.ok(url.startsWith(stand.url));
  return { session, page };
}

test("whoever follows a payment link gets a session of their own, and the link closes at its limit", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const link = await stripe.paymentLinks.create({
    line_items: [{
      price: await tie(stand),
      quantity: 2,
      adjustable_quantity: { enabled: true, maximum: 4 },
    }],
    after_completion: {
      type: "redirect",
      redirect: { url: "http://shop.test/thanks?s={CHECKOUT_SESSION_ID}" },
    },
    metadata: { campaign: "spring" },
    restrictions: { completed_sessions: { limit: 1 } },
    inactive_message: "All gone.",
    expand: ["line_items"],
  });
  assert.deepEqual(
    [link.active, link.currency, link.line_items?.data.map(({ amount_total }) => amount_total)],
    [true, "usd", [11_800]],
  );
  const first = await follow(
    stand,
    `${link.url}?client_reference_id=c-1&prefilled_email=jenny%40example.com`,
  );
  const second = await follow(stand, link.url);
  assert.notEqual(first.session, second.session);
  const session = await stripe.checkout.sessions.retrieve(first.session ?? "", { expand: ["line_items"] });
  assert.deepEqual(
    [session.payment_link, session.metadata, session.client_reference_id, session.customer_email],
    [link.id, { campaign: "spring" }, "c-1", "jenny@example.com"],
  );
  assert.deepEqual(session.line_items?.data[0]?.adjustable_quantity, {
    enabled: true,
    minimum: 0,
    maximum: 4,
  });
  await control("POST", "pay", { session: session.id });
  const closed = await stripe.paymentLinks.retrieve(link.id);
  assert.deepEqual([closed.active, closed.restrictions?.completed_sessions], [false, { count: 1, limit: 1 }]);
  assert.match((await follow(stand, link.url)).page, /All gone\./);
  const listed = await stripe.checkout.sessions.list({ payment_link: link.id, status: "complete" });
  assert.deepEqual(listed.data.map(({ id }) => id), [session.id]);
  const types = (await eventTypes(stripe)).filter((type) => type.startsWith("payment_link."));
  assert.deepEqual(types, ["payment_link.created", "payment_link.updated"]);
});

test("a payment link without a page of the shop ends on Stripe's, and is changed and switched off", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const link = await stripe.paymentLinks.create({ line_items: [{ price: await tie(stand), quantity: 1 }] });
  const { session } = await follow(stand, link.url);
  await control("POST", "pay", { session });
  const paid = await stripe.checkout.sessions.retrieve(session ?? "");
  assert.deepEqual([paid.success_url, paid.payment_status], [null, "paid"]);
  const page = await (await fetch(`${stand.url}/c/pay/${session}`)).text();
  assert.match(page, /You&#39;re all done here|You're all done here/);
  await stripe.paymentLinks.update(link.id, { active: false, allow_promotion_codes: true });
  assert.match((await follow(stand, link.url)).page, /no longer active/);
  assert.deepEqual((await stripe.paymentLinks.list({ active: true })).data, []);
  const lines = await stripe.paymentLinks.listLineItems(link.id);
  assert.equal(lines.data.length, 1);

  const monthly = await tie(stand, { interval: "month" });
  const recurring = await refusal(
    stripe.paymentLinks.create({ line_items: [{ price: monthly, quantity: 1 }] }),
  );
  assert.match(recurring.message, /does not support payment links for recurring prices/);
  const torn = await refusal(
    stripe.paymentLinks.create({
      line_items: [{ price: await tie(stand), quantity: 1 }],
      after_completion: { type: "hosted_confirmation", redirect: { url: "http://shop.test" } },
    }),
  );
  assert.equal(torn.param, "after_completion[redirect]");
});
