import assert from "node:assert/strict";
import { type Case, misjudged } from "./refusals.ts";

const { test } = Deno;

const INTENT = "amount=2000&currency=usd";

const INTENTS: Case[] = [
  ["off_session without confirm", "/v1/payment_intents", `${INTENT}&off_session=true`, "off_session"],
  [
    "return_url without confirm",
    "/v1/payment_intents",
    `${INTENT}&return_url=http://shop.test`,
    "return_url",
  ],
  [
    "mandate_data without confirm",
    "/v1/payment_intents",
    `${INTENT}&mandate_data[customer_acceptance][type]=offline`,
    "mandate_data",
  ],
  [
    "error_on_requires_action without confirm",
    "/v1/payment_intents",
    `${INTENT}&error_on_requires_action=true`,
    "error_on_requires_action",
  ],
  [
    "a descriptor for a card",
    "/v1/payment_intents",
    `${INTENT}&statement_descriptor=SHIRTS`,
    "statement_descriptor",
  ],
  [
    "a descriptor with odd characters",
    "/v1/payment_intents",
    `${INTENT}&statement_descriptor_suffix=A*B`,
    "statement_descriptor_suffix",
  ],
  [
    "a descriptor of digits",
    "/v1/payment_intents",
    `${INTENT}&statement_descriptor_suffix=12345`,
    "statement_descriptor_suffix",
  ],
  [
    "a descriptor that is too short",
    "/v1/payment_intents",
    `${INTENT}&allowed_payment_method_types[]=us_bank_account&statement_descriptor=ABCD`,
    "statement_descriptor",
  ],
  [
    "a descriptor that is too long",
    "/v1/payment_intents",
    `${INTENT}&statement_descriptor_suffix=${"A".repeat(23)}`,
    "statement_descriptor_suffix",
  ],
  [
    "payment_method_types, removed",
    "/v1/payment_intents",
    `${INTENT}&payment_method_types[]=card`,
    "payment_method_types",
    "payment_method_types_no_longer_supported",
  ],
  [
    "a payment method beside its data",
    "/v1/payment_intents",
    `${INTENT}&payment_method={kept}&payment_method_data[type]=card&payment_method_data[card][token]=tok_visa`,
    "payment_method_data",
  ],
  ["a deleted customer", "/v1/payment_intents", `${INTENT}&customer={gone}`, "customer", "resource_missing"],
  [
    "a detached payment method",
    "/v1/payment_intents",
    `${INTENT}&payment_method={detached}`,
    "payment_method",
  ],
  [
    "a payment method used up",
    "/v1/payment_intents",
    `${INTENT}&payment_method={used}&confirm=true`,
    "payment_method",
  ],
  [
    "keeping the method of an absent shopper",
    "/v1/payment_intents",
    `${INTENT}&customer={customer}&payment_method={kept}&confirm=true&off_session=true&setup_future_usage=off_session`,
    "off_session",
  ],
  [
    "a method that is not allowed",
    "/v1/payment_intents",
    `${INTENT}&allowed_payment_method_types[]=us_bank_account&payment_method=pm_card_visa&confirm=true`,
    "payment_method",
    "payment_intent_incompatible_payment_method",
  ],
  ["a method without its details", "/v1/payment_methods", "type=card", "card", "parameter_missing"],
  [
    "details of another type",
    "/v1/payment_methods",
    "type=card&card[token]=tok_visa&sepa_debit[iban]=AT611904300234573201",
    "sepa_debit",
  ],
  [
    "the amount of a paid one",
    "/v1/payment_intents/{paid}",
    "amount=3000",
    "amount",
    "payment_intent_unexpected_state",
  ],
  [
    "the currency of a paid one",
    "/v1/payment_intents/{paid}",
    "currency=eur",
    "currency",
    "payment_intent_unexpected_state",
  ],
  [
    "the currency of a canceled one",
    "/v1/payment_intents/{canceled}",
    "currency=eur",
    "currency",
    "payment_intent_unexpected_state",
  ],
  [
    "the customer of a paid one",
    "/v1/payment_intents/{paid}",
    "customer={customer}",
    "customer",
    "payment_intent_unexpected_state",
  ],
  [
    "a currency that the amount is too small in",
    "/v1/payment_intents/{open}",
    "currency=huf",
    "amount",
    "amount_too_small",
  ],
  [
    "capturing a paid one",
    "/v1/payment_intents/{paid}/capture",
    "",
    undefined,
    "payment_intent_unexpected_state",
  ],
  [
    "ending a paid one",
    "/v1/payment_intents/{paid}/cancel",
    "",
    undefined,
    "payment_intent_unexpected_state",
  ],
  [
    "ending one twice",
    "/v1/payment_intents/{canceled}/cancel",
    "",
    undefined,
    "payment_intent_unexpected_state",
  ],
  [
    "confirming a paid one",
    "/v1/payment_intents/{paid}/confirm",
    "payment_method=pm_card_visa",
    undefined,
    "payment_intent_unexpected_state",
  ],
  [
    "confirming without a method",
    "/v1/payment_intents/{open}/confirm",
    "",
    undefined,
    "payment_intent_unexpected_state",
  ],
  [
    "attaching what was detached",
    "/v1/payment_methods/{detached}/attach",
    "customer={customer}",
    "payment_method",
  ],
  [
    "attaching what was used up",
    "/v1/payment_methods/{used}/attach",
    "customer={customer}",
    "payment_method",
  ],
  ["attaching to another customer", "/v1/payment_methods/{kept}/attach", "customer={other}"],
  [
    "attaching to a deleted customer",
    "/v1/payment_methods/pm_card_visa/attach",
    "customer={gone}",
    "customer",
    "resource_missing",
  ],
  ["changing a method that is nobody's", "/v1/payment_methods/{used}", "metadata[a]=b"],
  ["a refund of two things", "/v1/refunds", "charge={charge}&payment_intent={paid}", "payment_intent"],
  ["a refund of too much", "/v1/refunds", "charge={charge}&amount=2001", "amount", "amount_too_large"],
  ["a refund of nothing", "/v1/refunds", "charge={charge}&amount=0", "amount", "parameter_invalid_integer"],
  [
    "a refund of what was never paid",
    "/v1/refunds",
    "payment_intent={open}",
    "payment_intent",
    "payment_intent_unexpected_state",
  ],
];

test("payments: what Stripe refuses is refused, by parameter and code", async () => {
  assert.deepEqual(await misjudged(INTENTS), []);
});
