/** Orders in other currencies than the shop's first: by Stripe's conversion, and by prices of their own. */
import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import {
  assertInvariants,
  checkout,
  control,
  flush,
  runJobs,
  setAvailable,
  stockOf,
  stripeApi,
} from "./shop.ts";

Deno.test("orders in other currencies: with Adaptive Pricing counted in their own, and by prices of their own", async (test) => {
  await using stack = await testStack({
    env: { CHECKOUT_ADAPTIVE_PRICING: "true", SHIPPING_COUNTRIES: "US,DE,FR" },
  });
  await setAvailable(stack, "SHIRT-OXF-WHT-M", 9);
  const { body } = await checkout(stack, {});
  const paid = await control(stack, "pay", { session: body.session_id, currency: "gbp" });
  assert.ok(paid.ok, await paid.text());
  await flush(stack);
  await stack.sql`select public.request_refund(${body.order_number})`;
  await runJobs(stack);
  await flush(stack);

  const response = await fetch(`${stack.functions_url}/order-status?session_id=${body.session_id}`, {
    headers: { apikey: stack.publishable_key },
  });
  const { status, currency, amount_total, presentment, refunds } = await response.json();
  assert.deepEqual([status, currency], ["refunded", "usd"]);
  assert.equal(presentment.currency, "gbp");
  assert.ok(presentment.amount > 0 && presentment.amount < amount_total);
  assert.deepEqual(refunds.map((refund: { presentment: unknown }) => refund.presentment), [presentment]);
  await assertInvariants(stack);

  await test.step("a shopper who asks for euros and Germany pays the price in euros, and delivery there", async () => {
    await stack.sql`delete from public.shipping_rates`;
    await stack.sql`insert into public.variant_prices (variant_id, currency, price_amount)
      select id, 'eur', 11_900 from public.product_variants where sku = 'SHIRT-OXF-WHT-M'`;
    await stack.sql`insert into public.shipping_rates (name, amount, currency, countries) values
      ('Post', 500, 'usd', null), ('DHL', 400, 'eur', '{DE}'), ('Europe', 900, 'eur', '{FR,DE}')`;
    const begun = await checkout(stack, { currency: "EUR", country: "de" });
    assert.equal(begun.status, 201, JSON.stringify(begun.body));
    assert.deepEqual([begun.body.currency, begun.body.amount_subtotal], ["eur", 11_900]);
    const session = await stripeApi(stack, "GET", `checkout/sessions/${begun.body.session_id}`);
    assert.deepEqual(session.shipping_address_collection.allowed_countries, ["DE"]);
    assert.equal(session.shipping_options.length, 2);
    const home = { line1: "Hauptstr. 5", city: "Berlin", postal_code: "10115", country: "DE" };
    const paid = await control(stack, "pay", { session: begun.body.session_id, address: home });
    assert.ok(paid.ok, await paid.text());
    await flush(stack);
    const [order] = await stack.sql`select status, currency, amount_total::int from public.orders
      where id = ${begun.body.order_id}`;
    assert.deepEqual({ ...order }, { status: "paid", currency: "eur", amount_total: 12_300 });
  });

  await test.step("what has no price in the currency, or no delivery, is refused by name, and nothing is held", async () => {
    const refusal = async (body: Record<string, unknown>) => {
      const answer = await checkout(stack, body);
      return [answer.status, answer.body.error.code, answer.body.error.details];
    };
    assert.deepEqual(await refusal({ currency: "gbp" }), [409, "currency_unavailable", [{
      sku: "SHIRT-OXF-WHT-M",
      currencies: ["eur", "usd"],
    }]]);
    assert.deepEqual(await refusal({ currency: "eur", country: "US" }), [409, "shipping_unavailable", {
      currency: "eur",
      country: "US",
    }]);
    assert.deepEqual(await refusal({ country: "KP" }), [409, "shipping_unavailable", { country: "KP" }]);
    assert.equal((await refusal({ currency: "euro" }))[1], "invalid_request");
    await stack.sql`update public.shipping_rates set countries = '{AQ}'`;
    assert.equal((await refusal({}))[1], "shipping_unavailable");
    assert.equal((await stockOf(stack, "SHIRT-OXF-WHT-M")).reserved, 0);
    const [alert] = await stack
      .sql`select data ->> 'code' as code from public.alerts where kind = 'checkout_refused'`;
    assert.equal(alert?.["code"], "shipping_unavailable");
  });
  await assertInvariants(stack);
});
