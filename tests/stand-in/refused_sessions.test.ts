import assert from "node:assert/strict";
import { type Case, misjudged } from "./refusals.ts";

const { test } = Deno;

const SESSION = "mode=payment&success_url=http://shop.test/ok";
const LINE = "line_items[0][quantity]=1&line_items[0]";
const DATA = `${LINE}[price_data][currency]=usd`;
const NOW = Math.floor(Date.now() / 1000);

const SESSIONS = ([
  [
    "a price beside price_data",
    `${LINE}[price]={price}&${DATA}&${LINE}[price_data][product]={product}`,
    "line_items[0][price_data]",
  ],
  [
    "neither price nor price_data",
    LINE.replace("&line_items[0]", ""),
    "line_items[0][price]",
    "parameter_missing",
  ],
  [
    "a product beside product_data",
    `${DATA}&${LINE}[price_data][unit_amount]=900&${LINE}[price_data][product]={product}&${LINE}[price_data][product_data][name]=x`,
    "line_items[0][price_data][product_data]",
  ],
  [
    "unit_amount beside its decimal",
    `${DATA}&${LINE}[price_data][unit_amount]=900&${LINE}[price_data][unit_amount_decimal]=900&${LINE}[price_data][product]={product}`,
    "line_items[0][price_data][unit_amount_decimal]",
  ],
  [
    "a price without an amount",
    `${DATA}&${LINE}[price_data][product]={product}`,
    "line_items[0][price_data][unit_amount]",
    "parameter_missing",
  ],
  ["a price of an inactive product", `${LINE}[price]={idlePrice}`, "line_items[0][price]"],
  [
    "an inactive product",
    `${DATA}&${LINE}[price_data][unit_amount]=900&${LINE}[price_data][product]={idle}`,
    "line_items[0][price_data][product]",
  ],
  ["a deleted customer", `${LINE}[price]={price}&customer={gone}`, "customer", "resource_missing"],
  [
    "a customer beside an e-mail",
    `${LINE}[price]={price}&customer={customer}&customer_email=a@b.co`,
    "customer_email",
  ],
  [
    "changes to a customer that is not named",
    `${LINE}[price]={price}&customer_update[name]=auto`,
    "customer",
    "parameter_missing",
  ],
  [
    "tax for a customer of nowhere",
    `${LINE}[price]={price}&customer={customer}&automatic_tax[enabled]=true`,
    "automatic_tax",
    "customer_tax_location_invalid",
  ],
  [
    "discounts beside codes",
    `${LINE}[price]={price}&discounts[0][coupon]={coupon}&allow_promotion_codes=true`,
    "allow_promotion_codes",
  ],
  [
    "a coupon beside a code",
    `${LINE}[price]={price}&discounts[0][coupon]={coupon}&discounts[0][promotion_code]={off}`,
    "discounts[0][promotion_code]",
  ],
  [
    "an inactive shipping rate",
    `${LINE}[price]={price}&shipping_options[0][shipping_rate]={rate}`,
    "shipping_options[0][shipping_rate]",
  ],
  [
    "a shipping rate beside its data",
    `${LINE}[price]={price}&shipping_options[0][shipping_rate]={rate}&shipping_options[0][shipping_rate_data][display_name]=x`,
    "shipping_options[0][shipping_rate_data]",
  ],
  [
    "a descriptor for a card",
    `${LINE}[price]={price}&payment_intent_data[statement_descriptor]=SHIRTS`,
    "payment_intent_data[statement_descriptor]",
  ],
  [
    "what belongs to subscriptions",
    `${LINE}[price]={price}&subscription_data[description]=x`,
    "subscription_data",
  ],
  [
    "a way to collect subscriptions",
    `${LINE}[price]={price}&payment_method_collection=always`,
    "payment_method_collection",
  ],
  ["the old name of a ui_mode", `${LINE}[price]={price}&ui_mode=hosted`, "ui_mode"],
  ["an end in the past", `${LINE}[price]={price}&expires_at=${NOW - 60}`, "expires_at"],
] as [string, string, string, string?][]).map(([name, form, ...refusal]): Case => [
  name,
  "/v1/checkout/sessions",
  `${SESSION}&${form}`,
  ...refusal,
]);

const OTHERS: Case[] = [
  ["an update of an expired session", "/v1/checkout/sessions/{expired}", "metadata[a]=b"],
  ["expiring twice", "/v1/checkout/sessions/{expired}/expire", ""],
  [
    "what the hosted page collects itself",
    "/v1/checkout/sessions/{hosted}",
    "collected_information[shipping_details][name]=x&collected_information[shipping_details][address][country]=US&collected_information[shipping_details][address][line1]=1",
    "collected_information",
  ],
  ["a change of a deleted customer", "/v1/customers/{gone}", "name=x", "id", "resource_missing"],
  ["an e-mail that is none", "/v1/customers", "email=nobody", "email", "email_invalid"],
  ["a member of a list where text is due", "/v1/customers", "name[]=x", "name"],
  ["text where a map is due", "/v1/customers", "address=x", "address"],
  ["expansion that is no list", "/v1/customers", "expand=address", "expand"],
  ["expansion of what is plain", "/v1/customers", "expand[]=description", "expand"],
  ["expansion of five levels", "/v1/customers", "expand[]=a.b.c.d.e", "expand"],
  [
    "an endpoint without events",
    "/v1/webhook_endpoints",
    "url=http://shop.test/hook",
    "enabled_events",
    "parameter_missing",
  ],
  [
    "an endpoint of no version",
    "/v1/webhook_endpoints",
    "url=http://shop.test/hook&enabled_events[]=*&api_version=2025-01-01",
    "api_version",
  ],
  [
    "an e-mail that is none, on a list of them",
    "/v1/radar/value_list_items",
    "value_list={list}&value=nobody",
    "value",
  ],
];

test("Checkout Sessions: what Stripe refuses is refused, by parameter and code", async () => {
  assert.deepEqual(await misjudged(SESSIONS), []);
});

test("everything else: what Stripe refuses is refused, by parameter and code", async () => {
  assert.deepEqual(await misjudged(OTHERS), []);
});
