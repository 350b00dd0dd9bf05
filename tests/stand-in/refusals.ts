/** What the tests of refusals share: a world of objects to name, and how a request is judged. */
import type Stripe from "stripe";
import { post } from "./form_post.ts";
import { idOf, payIntent, type StandIn, standIn } from "./stand_in.ts";

/** What the requests name. */
async function world({ stripe }: StandIn) {
  const customer = (await stripe.customers.create({ email: "a@example.com" })).id;
  const other = (await stripe.customers.create({})).id;
  const gone = (await stripe.customers.create({})).id;
  await stripe.customers.del(gone);
  const product = (await stripe.products.create({ name: "Tie" })).id;
  const idle = (await stripe.products.create({ name: "Hat", active: false })).id;
  const price = (
    await stripe.prices.create({ product, currency: "usd", unit_amount: 900, lookup_key: "tie" })
  ).id;
  await stripe.products.update(product, { default_price: price });
  const idlePrice = (await stripe.prices.create({ product: idle, currency: "usd", unit_amount: 900 })).id;
  const inclusive = (
    await stripe.prices.create({ product, currency: "usd", unit_amount: 900, tax_behavior: "inclusive" })
  ).id;
  const rate = await stripe.shippingRates.create({
    display_name: "Slow",
    fixed_amount: { amount: 500, currency: "usd" },
  });
  await stripe.shippingRates.update(rate.id, { active: false });
  const coupon = (await stripe.coupons.create({ percent_off: 10, max_redemptions: 5 })).id;
  const codeOf = { promotion: { type: "coupon", coupon } } as const;
  await stripe.promotionCodes.create({ ...codeOf, code: "Taken" });
  const off = (await stripe.promotionCodes.create({ ...codeOf, code: "TAKEN", active: false })).id;
  const paid = await payIntent(stripe, "pm_card_visa");
  const open = (await stripe.paymentIntents.create({ amount: 2000, currency: "usd" })).id;
  const canceled = (await stripe.paymentIntents.create({ amount: 2000, currency: "usd" })).id;
  await stripe.paymentIntents.cancel(canceled);
  const kept = (await stripe.paymentMethods.attach("pm_card_visa", { customer })).id;
  const detached = (await stripe.paymentMethods.attach("pm_card_visa", { customer })).id;
  await stripe.paymentMethods.detach(detached);
  const session: Stripe.Checkout.SessionCreateParams = {
    mode: "payment",
    success_url: "http://shop.test/ok",
    line_items: [{ price, quantity: 1 }],
  };
  const hosted = (await stripe.checkout.sessions.create(session)).id;
  const expired = (await stripe.checkout.sessions.create(session)).id;
  await stripe.checkout.sessions.expire(expired);
  const list =
    (await stripe.radar.valueLists.create({ alias: "mails", name: "Mails", item_type: "email" })).id;
  return {
    canceled,
    charge: idOf(paid.latest_charge),
    coupon,
    customer,
    detached,
    expired,
    gone,
    hosted,
    idle,
    idlePrice,
    inclusive,
    kept,
    list,
    off,
    open,
    other,
    paid: paid.id,
    price,
    product,
    rate: rate.id,
    used: idOf(paid.payment_method),
  };
}

type World = Awaited<ReturnType<typeof world>>;

/** Name, address, form (`{name}` stands for what the world has), and the refusal's parameter and code. */
export type Case = [name: string, path: string, form: string, param?: string | undefined, code?: string];

/** Sends each request, and says which were not refused as they should be. */
export async function misjudged(cases: readonly Case[]): Promise<string[]> {
  await using stand = await standIn();
  const made = await world(stand);
  const wrong: string[] = [];
  for (const [name, path, form, param, code] of cases) {
    const filled = (text: string) => text.replace(/\{(\w+)\}/g, (_, key) => made[key as keyof World]);
    const answer = await post(stand.url, filled(path), filled(form));
    const { error } = await answer.json() as { error?: Record<string, unknown> };
    const status = code === "resource_missing" && param === "id" ? 404 : 400;
    const told = [answer.status, error?.type, error?.param, error?.code];
    const due = [status, "invalid_request_error", param, code];
    if (JSON.stringify(told) !== JSON.stringify(due)) {
      wrong.push(`${name}: ${JSON.stringify(told)} instead of ${JSON.stringify(due)}: ${error?.message}`);
    }
  }
  return wrong;
}
