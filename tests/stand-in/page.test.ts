import assert from "node:assert/strict";
import {
  brandOf,
  codeProblem,
  expiryProblem,
  formatExpiry,
  formatNumber,
  numberProblem,
} from "../../scripts/stand-in/page/assets/card_format.js";
import { shirt, type StandIn, standIn } from "./stand_in.ts";

const { test } = Deno;

const CARD = { number: "4242 4242 4242 4242", exp_month: 12, exp_year: 2040, cvc: "123" };
const SHOPPER = { method: "card", email: "sam@example.com", name: "Sam Shopper", card: CARD };

interface PageAnswer {
  status: string;
  redirect: string;
  challenge_url: string;
  error: { message: string; code: string | null; field: string | null };
}

async function confirm(url: string | null, body: object, type = "application/json") {
  const response = await fetch(`${url}/confirm`, {
    method: "POST",
    headers: { "content-type": type },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() as PageAnswer };
}

async function html(url: string | null): Promise<{ status: number; text: string; policy: string }> {
  const response = await fetch(url ?? "");
  return {
    status: response.status,
    text: await response.text(),
    policy: response.headers.get("content-security-policy") ?? "",
  };
}

function open(stand: StandIn, change: Parameters<typeof shirt>[0] = {}) {
  return stand.stripe.checkout.sessions.create(shirt(change));
}

test("the page shows the cart and asks for what the session wants, and nothing of the shop's is markup", async () => {
  await using stand = await standIn();
  const session = await open(stand, {
    shipping_address_collection: { allowed_countries: ["US", "CA"] },
    phone_number_collection: { enabled: true },
    consent_collection: { terms_of_service: "required" },
    allow_promotion_codes: true,
    line_items: [{
      price_data: {
        currency: "usd",
        unit_amount: 4550,
        product_data: {
          name: `<script>alert("x")</script> & Sons`,
          images: ["http://shop.test/a.png?b=1&c=2"],
        },
      },
      quantity: 2,
    }],
  });
  const page = await html(session.url);
  assert.equal(page.status, 200);
  assert.match(page.policy, /default-src 'self'/);
  for (
    const part of [
      "$91.00",
      "$45.50 each",
      "Card number",
      "Phone number",
      "Canada",
      "Promotion code",
      "I agree",
    ]
  ) {
    assert.ok(page.text.includes(part), `the page lacks ${part}`);
  }
  assert.ok(!page.text.includes("<script>alert"));
  assert.ok(page.text.includes("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; Sons"));
  const plain = await html((await open(stand)).url);
  for (const part of ["Shipping address", "Phone number", "I agree", "Promotion code"]) {
    assert.ok(!plain.text.includes(part), `the page asks for ${part}`);
  }
});

test("paying on the page leads to the shop's success address with the session's id in it", async () => {
  await using stand = await standIn();
  const session = await open(stand);
  const paid = await confirm(session.url, SHOPPER);
  assert.deepEqual(paid, {
    status: 200,
    body: { status: "complete", redirect: `http://shop.test/done?session_id=${session.id}` },
  });
  assert.match((await html(session.url)).text, /all done here/);
  const twice = await confirm(session.url, SHOPPER);
  assert.equal(twice.status, 400);
  assert.match(twice.body.error.message, /already been completed/);
  assert.equal((await stand.stripe.charges.list()).data.length, 1);
});

test("two clicks at once pay once", async () => {
  await using stand = await standIn();
  const session = await open(stand);
  const answers = await Promise.all([confirm(session.url, SHOPPER), confirm(session.url, SHOPPER)]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400]);
  assert.equal((await stand.stripe.charges.list()).data.length, 1);
});

test("a decline is told in Stripe's words, a wrong number at its field", async () => {
  await using stand = await standIn();
  const session = await open(stand);
  const declined = await confirm(session.url, { ...SHOPPER, card: { ...CARD, number: "4000000000009995" } });
  assert.equal(declined.status, 402);
  assert.deepEqual(declined.body.error, {
    message: "Your card has insufficient funds.",
    code: "card_declined",
    field: null,
  });
  const wrong = await confirm(session.url, { ...SHOPPER, card: { ...CARD, number: "4242424242424241" } });
  assert.equal(wrong.body.error.field, "card_number");
  for (const [number, field] of [["4000000000000127", "card_cvc"], ["4000000000000069", "card_expiry"]]) {
    const pointed = await confirm(session.url, { ...SHOPPER, card: { ...CARD, number } });
    assert.equal(pointed.status, 402);
    assert.equal(pointed.body.error.field, field);
  }
});

test("delivery times read as people say them", async () => {
  await using stand = await standIn();
  const days = (minimum: number | null, maximum: number | null) => ({
    shipping_rate_data: {
      type: "fixed_amount" as const,
      display_name: "Post",
      fixed_amount: { amount: 900, currency: "usd" },
      delivery_estimate: {
        ...(minimum === null ? {} : { minimum: { unit: "business_day" as const, value: minimum } }),
        ...(maximum === null ? {} : { maximum: { unit: "business_day" as const, value: maximum } }),
      },
    },
  });
  const session = await open(stand, {
    shipping_options: [days(2, 5), days(1, 1), days(null, 3), days(1, null)],
  });
  const { text } = await html(session.url);
  for (
    const words of [
      "2–5 business days",
      "1 business day<",
      "Up to 3 business days",
      "At least 1 business day<",
    ]
  ) {
    assert.ok(text.includes(words), `the page lacks ${words}`);
  }
});

test("required terms are held on the server too", async () => {
  await using stand = await standIn();
  const session = await open(stand, { consent_collection: { terms_of_service: "required" } });
  const refused = await confirm(session.url, SHOPPER);
  assert.equal(refused.body.error.field, "terms");
  assert.equal((await confirm(session.url, { ...SHOPPER, terms: true })).status, 200);
  const paid = await stand.stripe.checkout.sessions.retrieve(session.id);
  assert.deepEqual(paid.consent, { promotions: null, terms_of_service: "accepted" });
});

test("3-D Secure: the challenge page ends the payment, whichever button", async () => {
  await using stand = await standIn();
  const session = await open(stand);
  const asked = await confirm(session.url, { ...SHOPPER, card: { ...CARD, number: "4000000000003220" } });
  assert.equal(asked.body.status, "requires_action");
  const url = `${stand.url}${asked.body.challenge_url}`;
  assert.match((await html(url)).text, /Fail authentication/);
  const end = (outcome: string) =>
    fetch(url, {
      method: "POST",
      headers: { "sec-fetch-dest": "iframe" },
      body: new URLSearchParams({ outcome }),
    });
  await (await end("fail")).body?.cancel();
  const state = async () => await (await fetch(`${session.url}/state`)).json();
  assert.match((await state()).error.message, /unable to authenticate/);
  await confirm(session.url, { ...SHOPPER, card: { ...CARD, number: "4000000000003220" } });
  const passed = await end("pass");
  assert.match(await passed.text(), /challenge_done\.js/);
  assert.equal((await state()).redirect, `http://shop.test/done?session_id=${session.id}`);
});

test("an expired session's page says so and offers the way back", async () => {
  await using stand = await standIn();
  const plain = await open(stand);
  await stand.stripe.checkout.sessions.expire(plain.id);
  const page = await html(plain.url);
  assert.match(page.text, /has expired/);
  assert.match(page.text, /http:\/\/shop\.test\/cart/);
  const recoverable = await open(stand, { after_expiration: { recovery: { enabled: true } } });
  const expired = await stand.stripe.checkout.sessions.expire(recoverable.id);
  const link = expired.after_expiration?.recovery?.url ?? "none";
  assert.ok((await html(recoverable.url)).text.includes(link));
});

test("a bank debit on the page completes the session unpaid", async () => {
  await using stand = await standIn();
  const session = await open(stand);
  const { card: _, ...rest } = SHOPPER;
  const paid = await confirm(session.url, {
    ...rest,
    method: "us_bank_account",
    account_number: "000123456789",
  });
  assert.equal(paid.body.status, "complete");
  assert.equal((await stand.stripe.checkout.sessions.retrieve(session.id)).payment_status, "unpaid");
  const other = await open(stand);
  const unknown = await confirm(other.url, { ...rest, method: "us_bank_account", account_number: "12345" });
  assert.equal(unknown.body.error.field, "account_number");
});

test("the page refuses forms from elsewhere, unknown fields, broken JSON and unknown sessions", async () => {
  await using stand = await standIn();
  const session = await open(stand);
  assert.equal((await confirm(session.url, SHOPPER, "text/plain")).status, 400);
  assert.equal((await confirm(session.url, { ...SHOPPER, amount: 1 })).body.error.code, "parameter_unknown");
  assert.equal((await confirm(session.url, { ...SHOPPER, email: "x" })).body.error.field, "email");
  const broken = await fetch(`${session.url}/confirm`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{",
  });
  assert.equal(broken.status, 400);
  await broken.body?.cancel();
  assert.equal((await html(`${stand.url}/c/pay/cs_test_none`)).status, 404);
  assert.equal((await html(`${stand.url}/_page/..%2f..%2fserver.ts`)).status, 404);
  assert.equal((await html(`${stand.url}/favicon.ico`)).status, 404);
});

test("saved cards: kept when the shopper ticks the box, offered next time, and to nobody else", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const customer = await stripe.customers.create({ email: "sam@example.com", name: "Sam" });
  const options: Parameters<typeof shirt>[0] = {
    customer: customer.id,
    customer_update: { address: "auto", name: "auto", shipping: "auto" },
    saved_payment_method_options: { payment_method_save: "enabled" },
    shipping_address_collection: { allowed_countries: ["US"] },
  };
  const first = await open(stand, options);
  assert.ok((await html(first.url)).text.includes("Save my payment details"));
  const home = { line1: "9 Elm St", city: "Ames", state: "IA", postal_code: "50010", country: "US" };
  await confirm(first.url, {
    ...SHOPPER,
    name: "Samuel",
    save: true,
    shipping_name: "Samuel",
    shipping_address: home,
  });
  const [card] = (await stripe.customers.listPaymentMethods(customer.id)).data;
  assert.equal(card?.allow_redisplay, "always");
  const updated = await stripe.customers.retrieve(customer.id);
  assert.ok(updated.deleted !== true);
  assert.equal(updated.name, "Samuel");
  assert.equal(updated.shipping?.address?.line1, "9 Elm St");

  const second = await open(stand, options);
  const offer = (await html(second.url)).text;
  assert.match(offer, /Visa •••• 4242/);
  const chosen = offer.match(/<input type="radio" name="method"[^>]*checked[^>]*>/g) ?? [];
  assert.equal(chosen.length, 1, "one way to pay is chosen beforehand");
  assert.match(chosen[0] ?? "", new RegExp(`data-saved="${card?.id}"`));
  const { card: _card, ...rest } = SHOPPER;
  const saved = { ...rest, shipping_address: home, saved_method: card?.id };
  assert.equal((await confirm(second.url, saved)).body.status, "complete");
  assert.equal((await stripe.charges.list({ customer: customer.id })).data.length, 2);

  const stranger = await stripe.customers.create({ email: "other@example.com" });
  const third = await open(stand, { ...options, customer: stranger.id });
  assert.doesNotMatch((await html(third.url)).text, /•••• 4242|data-saved=/);
  assert.equal((await confirm(third.url, saved)).status, 400);
});

test("a receipt shows what was paid", async () => {
  await using stand = await standIn();
  const session = await open(stand);
  await stand.control("POST", "pay", { session: session.id });
  const [charge] = (await stand.stripe.charges.list()).data;
  const receipt = await html(charge?.receipt_url ?? "");
  assert.match(receipt.text, /\$129\.00/);
  assert.match(receipt.text, /visa ···· 4242/);
});

test("formatNumber() groups digits as each brand prints them, and brandOf() knows the brand", () => {
  assert.equal(formatNumber("4242424242424242999"), "4242 4242 4242 4242");
  assert.equal(formatNumber("378282246310005"), "3782 822463 10005");
  assert.equal(formatNumber("42-42 4x"), "4242 4");
  assert.deepEqual(
    ["4", "55", "2221", "34", "6011", "36", "3566", "62", "9"].map((digits) => brandOf(digits)),
    [
      "visa",
      "mastercard",
      "mastercard",
      "amex",
      "discover",
      "diners",
      "jcb",
      "unionpay",
      "unknown",
    ],
  );
});

test("numberProblem() tells an incomplete number from an invalid one", () => {
  assert.equal(numberProblem(""), "Your card number is required.");
  assert.equal(numberProblem("4242 4242"), "Your card number is incomplete.");
  assert.equal(numberProblem("4242 4242 4242 4241"), "Your card number is invalid.");
  assert.equal(numberProblem("3782 822463 10005"), null);
});

test("formatExpiry() makes MM / YY of what people and browsers enter", () => {
  const cases: [string, boolean, string][] = [
    ["1", false, "1"],
    ["5", false, "05 / "],
    ["12", false, "12 / "],
    ["12 /", true, "12"],
    ["1234", false, "12 / 34"],
    ["12/2034", false, "12 / 34"],
    ["1/34", false, "01 / 34"],
    ["12 / 34", false, "12 / 34"],
    ["12 / 203", false, "12 / 203"],
    ["12 / 2034", false, "12 / 34"],
    ["12 / 345", false, "12 / 34"],
  ];
  for (const [typed, deleting, shown] of cases) assert.equal(formatExpiry(typed, deleting), shown);
});

test("expiryProblem() and codeProblem() know the past, the impossible and the incomplete", () => {
  const now = new Date(2026, 10, 24);
  assert.equal(expiryProblem("12 / 26", now), null);
  assert.match(expiryProblem("10 / 26", now) ?? "", /in the past/);
  assert.match(expiryProblem("12 / 25", now) ?? "", /year is in the past/);
  assert.match(expiryProblem("13 / 30", now) ?? "", /invalid/);
  assert.match(expiryProblem("12 / ", now) ?? "", /incomplete/);
  assert.equal(codeProblem("123", "visa"), null);
  assert.equal(codeProblem("1234", "amex"), null);
  assert.match(codeProblem("123", "amex") ?? "", /incomplete/);
  assert.match(codeProblem("1234", "visa") ?? "", /invalid/);
});
