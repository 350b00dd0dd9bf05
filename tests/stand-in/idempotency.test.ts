/** Idempotency keys: what is replayed, refused and run. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { payIntent, refusal, standIn } from "./stand_in.ts";
import { post } from "./form_post.ts";

const { test } = Deno;

test("idempotency keys: the same request replays, other parameters are an error, a refused one may be corrected", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const first = await stripe.customers.create({ name: "One" }, { idempotencyKey: "k1" });
  const again = await stripe.customers.create({ name: "One" }, { idempotencyKey: "k1" });
  assert.equal(again.id, first.id);
  const other = await refusal(stripe.customers.create({ name: "Two" }, { idempotencyKey: "k1" }));
  assert.equal(other.statusCode, 400);
  assert.equal(other.type, "StripeIdempotencyError");
  await refusal(stripe.customers.create({ email: "nobody" }, { idempotencyKey: "k2" }));
  const corrected = await stripe.customers.create({ email: "a@example.com" }, { idempotencyKey: "k2" });
  assert.equal(corrected.email, "a@example.com");
  assert.equal((await stripe.customers.list()).data.length, 2);
});

test("idempotency keys: a declined payment is replayed, not tried again", async () => {
  await using stand = await standIn();
  const pay = () => payIntent(stand.stripe, "pm_card_chargeDeclined", {});
  const params: Stripe.PaymentIntentCreateParams = {
    allowed_payment_method_types: ["card"],
    amount: 2000,
    currency: "usd",
    confirm: true,
    payment_method: "pm_card_chargeDeclined",
  };
  const first = await refusal(stand.stripe.paymentIntents.create(params, { idempotencyKey: "d" }));
  const second = await refusal(stand.stripe.paymentIntents.create(params, { idempotencyKey: "d" }));
  assert.equal(first.code, "card_declined");
  assert.equal(second.payment_intent?.id, first.payment_intent?.id);
  assert.equal((await stand.stripe.paymentIntents.list()).data.length, 1);
  await refusal(pay());
  assert.equal((await stand.stripe.paymentIntents.list()).data.length, 2);
});

test("idempotency keys: a refusal that began to run is replayed, whatever has changed since", async () => {
  await using stand = await standIn();
  const intent = await payIntent(stand.stripe, "pm_card_visa", {});
  const tooMuch = () =>
    post(stand.url, "/v1/refunds", `payment_intent=${intent.id}&amount=999999`, {
      "idempotency-key": "over",
    });
  const first = await tooMuch();
  assert.equal(first.headers.get("idempotent-replayed"), null);
  const { error } = await first.json();
  assert.equal(error.code, "amount_too_large");
  await stand.stripe.refunds.create({ payment_intent: intent.id });
  const again = await tooMuch();
  assert.deepEqual([again.status, again.headers.get("idempotent-replayed")], [400, "true"]);
  assert.deepEqual((await again.json()).error, error);
  const missing = () => stand.stripe.customers.update("cus_none", { name: "x" }, { idempotencyKey: "gone" });
  assert.equal((await refusal(missing())).code, "resource_missing");
  assert.equal((await refusal(missing())).headers?.["idempotent-replayed"], "true");
  const unsupported = () => post(stand.url, "/v1/charges", "", { "idempotency-key": "later" });
  await (await unsupported()).body?.cancel();
  const asked = await unsupported();
  assert.deepEqual([asked.status, asked.headers.get("idempotent-replayed")], [501, null]);
  await asked.body?.cancel();
});

test("idempotency keys: the order of the parameters does not matter, that of a list does", async () => {
  await using stand = await standIn();
  const create = (body: string) => post(stand.url, "/v1/products", body, { "idempotency-key": "order" });
  const first = await (await create("name=A&images[]=http://a.test&images[]=http://b.test")).json();
  const same = await (await create("images[]=http://a.test&images[]=http://b.test&name=A")).json();
  assert.equal(same.id, first.id);
  const other = await (await create("name=A&images[]=http://b.test&images[]=http://a.test")).json();
  assert.equal(other.error.type, "idempotency_error");
});

test("idempotency keys: one that was used at another address is refused", async () => {
  await using stand = await standIn();
  const create = (path: string) => post(stand.url, path, "name=A", { "idempotency-key": "elsewhere" });
  assert.equal((await (await create("/v1/customers")).json()).object, "customer");
  const answer = await create("/v1/products");
  const { error } = await answer.json();
  assert.deepEqual([answer.status, error.type], [400, "idempotency_error"]);
  assert.match(
    error.message,
    /same endpoint they were first used for \('\/v1\/products' vs '\/v1\/customers'\)/,
  );
});

test("idempotency keys: the second of two simultaneous requests answers 409", async () => {
  await using stand = await standIn();
  await stand.control("POST", "faults", { api: [{ match: "POST /v1/customers", delay_ms: 60, times: 2 }] });
  const create = () => post(stand.url, "/v1/customers", "name=Slow", { "idempotency-key": "same" });
  const answers = await Promise.all([create(), create()]);
  const bodies = await Promise.all(answers.map((answer) => answer.json()));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
  const refused = bodies.find((body) => "error" in body);
  assert.equal(refused.error.code, "idempotency_key_in_use");
  const replay = await create();
  assert.equal((await replay.json()).id, bodies.find((body) => "id" in body).id);
  assert.equal(replay.headers.get("idempotent-replayed"), "true");
});
