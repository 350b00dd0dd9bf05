/**
 * Requests made from Stripe's published specification: what creates an object is asked with each of its parameters, one
 * by one beside what it cannot do without. The answer fits the schema, or is a refusal that Stripe has too.
 */
import assert from "node:assert/strict";
import { post } from "./form_post.ts";
import { NEWER_THAN_THE_SPECIFICATION, SchemaCheck } from "./schema_check.ts";
import { payIntent, type StandIn, standIn } from "./stand_in.ts";
import { type Schema, specification } from "./stripe_mock.ts";

const { test } = Deno;

/** What each operation cannot do without. */
async function bases({ stripe }: StandIn): Promise<Record<string, () => Promise<string>>> {
  const product = (await stripe.products.create({ name: "Tie" })).id;
  const price = (await stripe.prices.create({ product, currency: "usd", unit_amount: 900 })).id;
  const coupon = (await stripe.coupons.create({ percent_off: 10 })).id;
  const plain = (form: string) => () => Promise.resolve(form);
  return {
    "/v1/checkout/sessions": plain(
      `mode=payment&success_url=http://shop.test/ok&line_items[0][price]=${price}&line_items[0][quantity]=1`,
    ),
    "/v1/coupons": plain("percent_off=10"),
    "/v1/customers": plain(""),
    "/v1/payment_intents": plain("amount=2000&currency=usd"),
    "/v1/payment_methods": plain("type=card&card[token]=tok_visa"),
    "/v1/prices": plain(`currency=usd&product=${product}&unit_amount=900`),
    "/v1/products": plain("name=Tie"),
    "/v1/promotion_codes": plain(`promotion[type]=coupon&promotion[coupon]=${coupon}`),
    "/v1/refunds": async () => `payment_intent=${(await payIntent(stripe, "pm_card_visa")).id}`,
    "/v1/setup_intents": plain(""),
    "/v1/shipping_rates": plain("display_name=Slow&fixed_amount[amount]=500&fixed_amount[currency]=usd"),
  };
}

/** What the forms name. */
async function named({ stripe }: StandIn): Promise<Record<string, string>> {
  const rate = await stripe.shippingRates.create({
    display_name: "Slow",
    fixed_amount: { amount: 500, currency: "usd" },
  });
  return {
    coupon: (await stripe.coupons.create({ percent_off: 10 })).id,
    customer: (await stripe.customers.create({})).id,
    payment_method: "pm_card_visa",
    product: (await stripe.products.create({ name: "Hat" })).id,
    shipping_rate: rate.id,
  };
}

/** What goes with nothing that the base has, or names what does not exist, and is refused by Stripe too. */
const REFUSED: Record<string, readonly string[]> = {
  "/v1/checkout/sessions": [
    "customer_update",
    "payment_method_collection",
    "payment_method_types",
    "redirect_on_completion",
    "return_url",
    "setup_intent_data",
    "subscription_data",
    "ui_mode",
  ],
  "/v1/coupons": ["amount_off", "applies_to", "duration_in_months"],
  "/v1/payment_intents": [
    "confirm",
    "error_on_requires_action",
    "mandate_data",
    "off_session",
    "payment_method_types",
    "return_url",
    "statement_descriptor",
  ],
  "/v1/payment_methods": ["card", "sepa_debit", "us_bank_account"],
  "/v1/prices": ["currency_options", "product_data", "unit_amount_decimal"],
  "/v1/refunds": ["charge", "payment_intent"],
  "/v1/setup_intents": ["confirm", "mandate_data", "payment_method_types", "return_url"],
};

const TEXTS: readonly [RegExp, string][] = [
  [/email/, "a@example.com"],
  [/url|images/, "http://shop.test/a"],
  [/country|allowed_countries/, "US"],
  [/tax_code/, "txcd_99999999"],
  [/currency/, "usd"],
  [/descriptor/, "SHIRTS"],
  [/code$/, "ABC-1"],
  [/^id$/, "own_id"],
];

/** The least that a parameter can be, as form. */
function leastForm(name: string, schema: Schema, ids: Record<string, string>): string {
  const { anyOf, enum: values, items, properties = {}, required = [], type, format } = schema;
  if (anyOf?.[0] !== undefined) return leastForm(name, anyOf[0], ids);
  if (values !== undefined) return `${name}=${values.find((value) => value !== "")}`;
  switch (type) {
    case "array":
      return leastForm(`${name}[0]`, items ?? {}, ids);
    case "boolean":
      return `${name}=true`;
    case "integer":
      return `${name}=${format === "unix-time" ? Math.floor(Date.now() / 1000) + 3600 : 100}`;
    case "number":
      return `${name}=10`;
    case "object": {
      const [first] = Object.keys(properties);
      const members = required.length > 0 || first === undefined ? required : [first];
      const inner = members.map((member) => leastForm(`${name}[${member}]`, properties[member] ?? {}, ids));
      return inner.length === 0 ? `${name}[a]=b` : inner.join("&");
    }
    default:
      if (format === "decimal") return `${name}=100`;
      return `${name}=${
        ids[/(\w+)\]?$/.exec(name)?.[1] ?? ""] ?? TEXTS.find(([pattern]) => pattern.test(name))?.[1] ?? "text"
      }`;
  }
}

test("what is made with each parameter of the specification fits its schema, or is refused as by Stripe", async () => {
  const spec = await specification();
  if (spec === null) return;
  await using stand = await standIn();
  const check = new SchemaCheck(spec);
  const wrong: string[] = [];
  const refused: Record<string, string[]> = {};
  const ids = await named(stand);
  let made = 0;
  for (const [path, base] of Object.entries(await bases(stand))) {
    const { post: operation } = spec.paths[path] as {
      post: { requestBody: { content: Record<string, { schema: Schema }> } };
    };
    const { properties = {} } = operation.requestBody.content["application/x-www-form-urlencoded"]?.schema ??
      {};
    for (const [name, schema] of Object.entries(properties)) {
      if (name === "expand") continue;
      const form = `${await base()}&${leastForm(name, schema, ids)}`;
      const answer = await post(stand.url, path, form);
      const body: unknown = await answer.json();
      if (answer.status === 200) {
        made++;
        const differences = check.differences(body).filter((difference) =>
          !NEWER_THAN_THE_SPECIFICATION.some((known) => difference.endsWith(known))
        );
        if (differences.length > 0) wrong.push(`${path} ${name}: ${differences.join("; ")}`);
      } else if (answer.status !== 501) {
        (refused[path] ??= []).push(name);
        assert.equal(answer.status, 400, `${path} ${name}`);
      }
    }
  }
  assert.ok(made > 90, `only ${made} objects were made`);
  assert.deepEqual(wrong, []);
  assert.deepEqual(refused, REFUSED);
});
