import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventTypes, idOf, payIntent, refusal, standIn } from "./stand_in.ts";

const { test } = Deno;

const BY_CARD = { automatic_payment_methods: { enabled: true, allow_redirects: "never" } } as const;

test("a card is set up, becomes the customer's, and is charged without its owner", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const customer = await stripe.customers.create({ email: "jenny@example.com" });
  const waiting = await stripe.setupIntents.create({
    ...BY_CARD,
    customer: customer.id,
    metadata: { a: "1" },
  });
  assert.deepEqual([waiting.status, waiting.usage], ["requires_payment_method", "off_session"]);
  const missing = await refusal(stripe.setupIntents.confirm(waiting.id));
  assert.equal(missing.code, "setup_intent_unexpected_state");
  const done = await stripe.setupIntents.confirm(waiting.id, { payment_method: "pm_card_visa" });
  assert.deepEqual([done.status, done.mandate], ["succeeded", null]);
  const method = await stripe.paymentMethods.retrieve(idOf(done.payment_method));
  assert.equal(method.customer, customer.id);
  const paid = await payIntent(stripe, method.id, { customer: customer.id, off_session: true });
  assert.equal(paid.status, "succeeded");
  const attempts = await stripe.setupAttempts.list({ setup_intent: done.id });
  assert.deepEqual(attempts.data.map(({ id, status }) => [id, status]), [[done.latest_attempt, "succeeded"]]);
  assert.equal((await refusal(stripe.setupIntents.cancel(done.id))).code, "setup_intent_unexpected_state");
  assert.deepEqual((await eventTypes(stripe)).slice(0, 4), [
    "customer.created",
    "setup_intent.created",
    "payment_method.attached",
    "setup_intent.succeeded",
  ]);
  assert.equal((await stripe.setupIntents.list({ customer: customer.id })).data.length, 1);
});

test("a card that its bank declines, or that is not verified, is not set up; the intent can be tried again", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const declined = await refusal(
    stripe.setupIntents.create({ ...BY_CARD, confirm: true, payment_method: "pm_card_chargeDeclined" }),
  );
  assert.deepEqual([declined.statusCode, declined.code], [402, "card_declined"]);
  const failed = (declined.raw as { setup_intent: Stripe.SetupIntent }).setup_intent;
  const stored = await stripe.setupIntents.retrieve(failed.id, { expand: ["latest_attempt"] });
  assert.deepEqual([stored.status, stored.last_setup_error?.code], [
    "requires_payment_method",
    "card_declined",
  ]);
  assert.equal((stored.latest_attempt as Stripe.SetupAttempt).status, "failed");

  const asked = await stripe.setupIntents.confirm(stored.id, {
    payment_method: "pm_card_authenticationRequiredOnSetup",
    return_url: "http://shop.test/back",
  });
  assert.deepEqual([asked.status, asked.next_action?.type], ["requires_action", "redirect_to_url"]);
  const bank = asked.next_action?.redirect_to_url?.url ?? "";
  assert.match(await (await fetch(bank)).text(), /asks to save your card/);
  const answer = async (outcome: string) => {
    const response = await fetch(bank, {
      method: "POST",
      body: new URLSearchParams({ outcome }),
      redirect: "manual",
    });
    await response.body?.cancel();
    return response.headers.get("location");
  };
  assert.equal(
    await answer("fail"),
    `http://shop.test/back?setup_intent=${stored.id}&redirect_status=failed`,
  );
  const unverified = await stripe.setupIntents.retrieve(stored.id);
  assert.equal(unverified.last_setup_error?.code, "setup_intent_authentication_failure");
  await stripe.setupIntents.confirm(stored.id, {
    payment_method: "pm_card_authenticationRequiredOnSetup",
    return_url: "http://shop.test/back",
  });
  await answer("pass");
  assert.equal((await stripe.setupIntents.retrieve(stored.id)).status, "succeeded");
  assert.deepEqual(await eventTypes(stripe), [
    "setup_intent.created",
    "setup_intent.setup_failed",
    "setup_intent.requires_action",
    "setup_intent.setup_failed",
    "setup_intent.requires_action",
    "setup_intent.succeeded",
  ]);
});

test("a customer is made with a saved card as the default, which ends when the card is detached", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const card = await stripe.paymentMethods.create({ type: "card", card: { token: "tok_visa" } });
  const customer = await stripe.customers.create({
    payment_method: card.id,
    invoice_settings: { default_payment_method: card.id },
  });
  assert.equal(customer.invoice_settings.default_payment_method, card.id);
  assert.equal((await stripe.paymentMethods.retrieve(card.id)).customer, customer.id);
  const other = await stripe.paymentMethods.create({ type: "card", card: { token: "tok_amex" } });
  const foreign = await refusal(
    stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: other.id } }),
  );
  assert.match(foreign.message, /does not have a payment method with the ID/);
  assert.match(
    (await refusal(stripe.customers.create({ payment_method: card.id }))).message,
    /already been attached/,
  );
  await stripe.paymentMethods.detach(card.id);
  const after = await stripe.customers.retrieve(customer.id) as Stripe.Customer;
  assert.equal(after.invoice_settings.default_payment_method, null);
  const declined = await refusal(stripe.customers.create({ payment_method: "pm_card_chargeDeclined" }));
  assert.equal(declined.code, "card_declined");
  assert.equal((await stripe.customers.list()).data.length, 1);
});

test("setting up refuses what Stripe refuses, and a bank debit needs its mandate", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const early = await refusal(
    stripe.setupIntents.create({ ...BY_CARD, return_url: "http://shop.test/back" }),
  );
  assert.equal(early.param, "return_url");
  const leads = await refusal(stripe.setupIntents.create({ confirm: true, payment_method: "pm_card_visa" }));
  assert.match(leads.message, /you must provide a `return_url`/);
  const [one, other] = await Promise.all([stripe.customers.create(), stripe.customers.create()]);
  const saved = await stripe.paymentMethods.attach("pm_card_visa", { customer: one.id });
  const foreign = await refusal(
    stripe.setupIntents.create({ ...BY_CARD, customer: other.id, payment_method: saved.id }),
  );
  assert.match(foreign.message, /does not belong to the Customer/);

  const iban = await stripe.paymentMethods.create({
    type: "sepa_debit",
    sepa_debit: { iban: "AT611904300234573201" },
    billing_details: { email: "a@example.com", name: "A" },
  });
  const setup = { allowed_payment_method_types: ["sepa_debit"], confirm: true, payment_method: iban.id };
  assert.equal((await refusal(stripe.setupIntents.create(setup))).code, "setup_intent_mandate_invalid");
  const done = await stripe.setupIntents.create({
    ...setup,
    mandate_data: {
      customer_acceptance: { type: "online", online: { ip_address: "127.0.0.1", user_agent: "test" } },
    },
    expand: ["mandate"],
  });
  const mandate = done.mandate as Stripe.Mandate;
  assert.deepEqual([mandate.type, mandate.status, mandate.payment_method], ["multi_use", "active", iban.id]);
  const { url = "", reference } = mandate.payment_method_details.sepa_debit ?? {};
  assert.match(await (await fetch(url)).text(), new RegExp(`Mandate ${reference}`));

  const debit = await stripe.paymentIntents.create({
    amount: 900,
    currency: "eur",
    allowed_payment_method_types: ["sepa_debit"],
    confirm: true,
    payment_method: iban.id,
    mandate_data: {
      customer_acceptance: { type: "online", online: { ip_address: "127.0.0.1", user_agent: "test" } },
    },
    expand: ["latest_charge"],
  });
  const charge = debit.latest_charge as Stripe.Charge;
  const once = await stripe.mandates.retrieve(charge.payment_method_details?.sepa_debit?.mandate ?? "");
  assert.deepEqual(once.single_use, { amount: 900, currency: "eur" });
});

test("a token stands for a card once, and keeps no number", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const token = await stripe.tokens.create({
    card: { number: "4000000000009995", exp_month: "12", exp_year: "2040", cvc: "123" },
  });
  assert.deepEqual([token.card?.last4, token.used], ["9995", false]);
  const method = await stripe.paymentMethods.create({ type: "card", card: { token: token.id } });
  const declined = await refusal(payIntent(stripe, method.id));
  assert.equal(declined.decline_code, "insufficient_funds");
  assert.equal((await stripe.tokens.retrieve(token.id)).used, true);
  const again = await refusal(stripe.paymentMethods.create({ type: "card", card: { token: token.id } }));
  assert.equal(again.code, "token_already_used");
  assert.equal((await stripe.tokens.retrieve("tok_amex")).card?.brand, "American Express");
  const wrong = await refusal(
    stripe.tokens.create({ card: { number: "4242424242424241", exp_month: "12", exp_year: "2040" } }),
  );
  assert.equal(wrong.code, "incorrect_number");
  assert.equal((await refusal(stripe.tokens.create({ pii: { id_number: "000000000" } }))).statusCode, 501);
});
