/** Tax codes and tax ids, as a shop meets them. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { refusal, shirt, standIn } from "./stand_in.ts";

const { test } = Deno;

function taxedShirt(tax_code: string, changes: Partial<Stripe.Checkout.SessionCreateParams> = {}) {
  return shirt({
    automatic_tax: { enabled: true },
    line_items: [{
      price_data: {
        currency: "usd",
        unit_amount: 10_000,
        tax_behavior: "exclusive",
        product_data: { name: "Shirt", tax_code },
      },
      quantity: 1,
    }],
    ...changes,
  });
}

test("what no tax is on has none, and what is no tax code is refused", async () => {
  await using stand = await standIn();
  const sessions = stand.stripe.checkout.sessions;
  for (const [code, tax] of [["txcd_30011000", 800], ["txcd_00000000", 0]] as const) {
    const { id } = await sessions.create(taxedShirt(code));
    await stand.control("POST", "pay", { session: id });
    assert.equal((await sessions.retrieve(id)).total_details?.amount_tax, tax, code);
  }
  const refused = await refusal(sessions.create(taxedShirt("clothes")));
  assert.deepEqual([refused.statusCode, refused.code], [400, "resource_missing"]);
});

test("a session asks a business for its tax id only where it was told to, and takes none that is malformed", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const { sessions } = stripe.checkout;
  const business = { business_name: "Turner Ltd", tax_id: { type: "eu_vat", value: "DE123456789" } };
  const pay = async (session: string, fields: object) =>
    (await control("POST", "pay", { session, ...fields })).status;

  assert.equal(await pay((await sessions.create(shirt())).id, business), 400);
  const { id } = await sessions.create(shirt({ tax_id_collection: { enabled: true } }));
  assert.equal(await pay(id, { ...business, tax_id: { type: "eu_vat", value: "none" } }), 400);
  assert.equal(await pay(id, { tax_id: business.tax_id }), 400, "an id without a name");
  assert.equal(await pay(id, { ...business, tax_id: { type: "br_cnpj", value: "1" } }), 501);
  assert.equal(await pay(id, business), 200);
  const { customer_details: details, collected_information: collected } = await sessions.retrieve(id);
  assert.deepEqual([details?.business_name, details?.tax_ids, collected?.business_name ?? "Turner Ltd"], [
    "Turner Ltd",
    [{ type: "eu_vat", value: "DE123456789" }],
    "Turner Ltd",
  ]);

  const required = await sessions.create(
    shirt({ tax_id_collection: { enabled: true, required: "if_supported" } }),
  );
  assert.equal(await pay(required.id, {}), 400);
  const customer = (await stripe.customers.create({ email: "a@example.com" })).id;
  const plain = shirt({ customer, tax_id_collection: { enabled: true } });
  assert.match((await refusal(sessions.create(plain))).message, /customer_update\[name\]/);
  await sessions.create({ ...plain, customer_update: { name: "auto" } });
});
