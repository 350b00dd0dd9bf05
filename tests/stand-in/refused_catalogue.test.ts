import assert from "node:assert/strict";
import { type Case, misjudged } from "./refusals.ts";

const { test } = Deno;

const NOW = Math.floor(Date.now() / 1000);
const YEARS_S = 366 * 24 * 3600;

const CATALOGUE: Case[] = [
  [
    "a payment link that leads nowhere",
    "/v1/payment_links",
    "line_items[0][price]={price}&line_items[0][quantity]=1&after_completion[type]=redirect",
    "after_completion[redirect]",
    "parameter_missing",
  ],
  [
    "a lookup key twice",
    "/v1/prices",
    "currency=usd&unit_amount=1&product={product}&lookup_key=tie",
    "lookup_key",
    "resource_already_exists",
  ],
  [
    "a product beside product_data",
    "/v1/prices",
    "currency=usd&unit_amount=1&product={product}&product_data[name]=x",
    "product_data",
  ],
  ["no product", "/v1/prices", "currency=usd&unit_amount=1", "product", "parameter_missing"],
  [
    "unit_amount beside its decimal",
    "/v1/prices",
    "currency=usd&unit_amount=1&unit_amount_decimal=1&product={product}",
    "unit_amount_decimal",
  ],
  [
    "a negative amount",
    "/v1/prices",
    "currency=usd&unit_amount=-1&product={product}",
    "unit_amount",
    "parameter_invalid_integer",
  ],
  [
    "a negative decimal",
    "/v1/prices",
    "currency=usd&unit_amount_decimal=-1&product={product}",
    "unit_amount_decimal",
  ],
  [
    "thirteen decimal places",
    "/v1/prices",
    "currency=usd&unit_amount_decimal=1.1234567890123&product={product}",
    "unit_amount_decimal",
  ],
  [
    "what only sessions describe",
    "/v1/prices",
    "currency=usd&unit_amount=1&product_data[name]=x&product_data[description]=y",
    "product_data[description]",
    "parameter_unknown",
  ],
  [
    "a price every four years",
    "/v1/prices",
    "currency=usd&unit_amount=1&product={product}&recurring[interval]=year&recurring[interval_count]=4",
    "recurring[interval_count]",
  ],
  ["another way to count tax", "/v1/prices/{inclusive}", "tax_behavior=exclusive", "tax_behavior"],
  ["putting away a default price", "/v1/prices/{price}", "active=false", "active"],
  ["a default price of another product", "/v1/products/{idle}", "default_price={price}", "default_price"],
  ["a product id twice", "/v1/products", "name=x&id={product}", "id", "resource_already_exists"],
  ["a product id with odd characters", "/v1/products", "name=x&id=a/b", "id"],
  [
    "a product descriptor with a quote",
    "/v1/products",
    "name=x&statement_descriptor=it's",
    "statement_descriptor",
  ],
  ["an empty name", "/v1/products", "name=", "name", "parameter_invalid_empty"],
  ["both discounts", "/v1/coupons", "percent_off=10&amount_off=100&currency=usd", "amount_off"],
  ["no discount", "/v1/coupons", "duration=once", "percent_off", "parameter_missing"],
  ["an amount without a currency", "/v1/coupons", "amount_off=100", "currency", "parameter_missing"],
  ["more than everything", "/v1/coupons", "percent_off=100.1", "percent_off"],
  [
    "repeating without months",
    "/v1/coupons",
    "percent_off=10&duration=repeating",
    "duration_in_months",
    "parameter_missing",
  ],
  [
    "months that do not repeat",
    "/v1/coupons",
    "percent_off=10&duration=once&duration_in_months=2",
    "duration_in_months",
  ],
  ["a coupon of the past", "/v1/coupons", `percent_off=10&redeem_by=${NOW - 60}`, "redeem_by"],
  ["a coupon of the far future", "/v1/coupons", `percent_off=10&redeem_by=${NOW + 6 * YEARS_S}`, "redeem_by"],
  ["a coupon twice", "/v1/coupons", "percent_off=10&id={coupon}", "id", "resource_already_exists"],
  ["a coupon id with odd characters", "/v1/coupons", "percent_off=10&id=ten off", "id"],
  [
    "a code with odd characters",
    "/v1/promotion_codes",
    "promotion[type]=coupon&promotion[coupon]={coupon}&code=10% OFF",
    "code",
  ],
  [
    "a code twice, in other letters",
    "/v1/promotion_codes",
    "promotion[type]=coupon&promotion[coupon]={coupon}&code=tAKEN",
    "code",
  ],
  ["a code that another has, made active", "/v1/promotion_codes/{off}", "active=true", "code"],
  [
    "a code of the past",
    "/v1/promotion_codes",
    `promotion[type]=coupon&promotion[coupon]={coupon}&expires_at=${NOW - 60}`,
    "expires_at",
  ],
  [
    "more redemptions than the coupon has",
    "/v1/promotion_codes",
    "promotion[type]=coupon&promotion[coupon]={coupon}&max_redemptions=6",
    "max_redemptions",
  ],
  [
    "a minimum without its currency",
    "/v1/promotion_codes",
    "promotion[type]=coupon&promotion[coupon]={coupon}&restrictions[minimum_amount]=100",
    "restrictions[minimum_amount_currency]",
    "parameter_missing",
  ],
  [
    "a code of a deleted customer",
    "/v1/promotion_codes",
    "promotion[type]=coupon&promotion[coupon]={coupon}&customer={gone}",
    "customer",
    "resource_missing",
  ],
  ["where the coupon stood before", "/v1/promotion_codes", "coupon={coupon}", "coupon", "parameter_unknown"],
  [
    "a minimum above the maximum",
    "/v1/shipping_rates",
    "display_name=x&fixed_amount[amount]=1&fixed_amount[currency]=usd&delivery_estimate[minimum][unit]=week&delivery_estimate[minimum][value]=1&delivery_estimate[maximum][unit]=day&delivery_estimate[maximum][value]=5",
    "delivery_estimate[minimum]",
  ],
];

test("the catalogue: what Stripe refuses is refused, by parameter and code", async () => {
  assert.deepEqual(await misjudged(CATALOGUE), []);
});
