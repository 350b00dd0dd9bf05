import assert from "node:assert/strict";
import type Stripe from "stripe";
import { amountProblem, currencies } from "../../supabase/functions/_shared/stripe/money.ts";
import { payIntent, refusal, shirt, standIn } from "./stand_in.ts";

const { test } = Deno;

/** A session for one thing at this price. */
function thing(
  unit_amount: number,
  currency: string,
  change: Partial<Stripe.Checkout.SessionCreateParams> = {},
) {
  return shirt({
    line_items: [{ price_data: { currency, unit_amount, product_data: { name: "Thing" } }, quantity: 1 }],
    ...change,
  });
}

test("amounts with decimals that a currency does not have are refused wherever they are written", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const fixed = (amount: number, currency: string) => ({
    display_name: "Post",
    type: "fixed_amount" as const,
    fixed_amount: { amount, currency },
  });
  const product = await stripe.products.create({ name: "Thing" });
  const paid = await payIntent(stripe, "pm_card_visa", { amount: 500_000, currency: "ugx" });
  const odd: [Promise<unknown>, string][] = [
    [stripe.checkout.sessions.create(thing(1_299_050, "isk")), "line_items[0][price_data][unit_amount]"],
    [
      stripe.checkout.sessions.create(
        thing(500_000, "ugx", { shipping_options: [{ shipping_rate_data: fixed(50, "ugx") }] }),
      ),
      "shipping_options[0][shipping_rate_data][fixed_amount][amount]",
    ],
    [stripe.paymentIntents.create({ amount: 12_345, currency: "kwd" }), "amount"],
    [stripe.prices.create({ product: product.id, unit_amount: 150, currency: "isk" }), "unit_amount"],
    [stripe.shippingRates.create(fixed(12_345, "bhd")), "fixed_amount[amount]"],
    [stripe.coupons.create({ amount_off: 150, currency: "ugx", duration: "once" }), "amount_off"],
    [stripe.refunds.create({ payment_intent: paid.id, amount: 150 }), "amount"],
  ];
  for (const [call, param] of odd) {
    const error = await refusal(call);
    assert.deepEqual([error.type, error.statusCode, error.param], ["StripeInvalidRequestError", 400, param]);
    assert.match(error.message, /^Invalid amount\. /);
  }
  assert.match(
    (await refusal(stripe.refunds.create({ payment_intent: paid.id, amount: 150 }))).message,
    /Currency UGX has become effectively zero-decimal and charged amounts must be evenly divisible by 100\./,
  );
  assert.equal((await stripe.refunds.create({ payment_intent: paid.id, amount: 100 })).amount, 100);
});

test("rupiah go up to twelve digits, everything else to eight", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const suit = await stripe.checkout.sessions.create(thing(250_000_000, "idr"));
  assert.equal(suit.amount_total, 250_000_000);
  assert.equal(
    (await stripe.paymentIntents.create({ amount: 999_999_999_999, currency: "idr" })).currency,
    "idr",
  );
  for (const [amount, currency] of [[100_000_000, "usd"], [100_000_000, "jpy"]] as const) {
    assert.equal(
      (await refusal(stripe.checkout.sessions.create(thing(amount, currency)))).code,
      "amount_too_large",
    );
  }
  assert.equal(
    (await refusal(stripe.paymentIntents.create({ amount: 100, currency: "xts" }))).statusCode,
    400,
  );
});

test("whatever the discount and the tax, a total is one that can be charged, and its parts add up", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const coupon = await stripe.coupons.create({ percent_off: 7.5, duration: "once" });
  for (const currency of ["usd", "isk", "ugx", "kwd", "jpy", "huf"]) {
    for (const tax_behavior of ["inclusive", "exclusive"] as const) {
      const customer = await stripe.customers.create({
        address: {
          line1: "1 Main Street",
          city: "Portland",
          state: "OR",
          postal_code: "97205",
          country: "US",
        },
      });
      const session = await stripe.checkout.sessions.create(shirt({
        customer: customer.id,
        customer_update: { shipping: "auto", address: "auto" },
        automatic_tax: { enabled: true },
        discounts: [{ coupon: coupon.id }],
        line_items: [1_299_900, 70_100].map((unit_amount) => ({
          price_data: { currency, unit_amount, tax_behavior, product_data: { name: "Thing" } },
          quantity: 1,
        })),
        shipping_options: [{
          shipping_rate_data: {
            display_name: "Post",
            type: "fixed_amount",
            fixed_amount: { amount: 90_100, currency },
            tax_behavior,
          },
        }],
      }));
      const page = await fetch(`${session.url}/update`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ shipping_address: { country: "US", postal_code: "97205", state: "OR" } }),
      });
      await page.body?.cancel();
      const { amount_subtotal, amount_total, total_details } = await stripe.checkout.sessions.retrieve(
        session.id,
      );
      const what = `${currency} ${tax_behavior}`;
      assert.equal(amountProblem(amount_total ?? -1, currency), null, what);
      const { amount_discount = 0, amount_shipping = 0, amount_tax = 0 } = total_details ?? {};
      for (const part of [amount_discount, amount_shipping ?? 0, amount_tax]) {
        assert.equal(amountProblem(part, currency), null, what);
      }
      assert(amount_discount > 0 && amount_tax > 0, what);
      const sum = (amount_subtotal ?? 0) - amount_discount + (amount_shipping ?? 0) +
        (tax_behavior === "exclusive" ? amount_tax : 0);
      assert.equal(sum, amount_total, what);
    }
  }
});

test("every currency that the shop knows is one that the stand-in takes", async () => {
  await using stand = await standIn();
  for (const currency of currencies) {
    const intent = await stand.stripe.paymentIntents.create({ amount: 1_000_000, currency });
    assert.equal(intent.currency, currency);
  }
});
