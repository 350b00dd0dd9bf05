/** Adaptive Pricing: a shopper pays in a currency of their own, the session's amounts stay as they are. */
import assert from "node:assert/strict";
import { idOf, refusal, shirt, type StandIn, standIn } from "./stand_in.ts";

const { test } = Deno;

const adaptive = shirt({ adaptive_pricing: { enabled: true } });

async function paidIn(stand: StandIn, currency: string, session: string) {
  const paid = await stand.control<{ payment_intent: string }>("POST", "pay", { session, currency });
  assert.equal(paid.status, 200, JSON.stringify(paid.body));
  return paid.body.payment_intent;
}

test("session, payment, charge and refunds say what the shopper was charged, and count in the shop's currency", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const open = await stripe.checkout.sessions.create(adaptive);
  assert.deepEqual([open.adaptive_pricing, open.presentment_details], [{ enabled: true }, undefined]);
  const intent = await stripe.paymentIntents.retrieve(await paidIn(stand, "gbp", open.id), {
    expand: ["latest_charge"],
  });
  const session = await stripe.checkout.sessions.retrieve(open.id);
  const charge = typeof intent.latest_charge === "object" ? intent.latest_charge : null;
  const presented = { presentment_amount: 10_578, presentment_currency: "gbp" };
  for (const told of [session, intent, charge]) {
    assert.equal(told?.currency, "usd");
    assert.deepEqual(told?.presentment_details, presented);
  }
  assert.deepEqual([session.amount_total, intent.amount_received, charge?.amount], [12_900, 12_900, 12_900]);

  const parts = [];
  for (const amount of [4_300, 4_300, undefined]) {
    const refund = await stripe.refunds.create({
      payment_intent: intent.id,
      ...(amount === undefined ? {} : { amount }),
    });
    assert.deepEqual([refund.amount, refund.currency], [4_300, "usd"]);
    parts.push(refund.presentment_details?.presentment_amount ?? 0);
  }
  assert.equal(parts.reduce((sum, part) => sum + part), 10_578, `${parts}`);
});

test("only a session with Adaptive Pricing offers other currencies, and only those that it has", async () => {
  await using stand = await standIn();
  const sessions = stand.stripe.checkout.sessions;
  const pay = async (session: string, currency: string) =>
    (await stand.control("POST", "pay", { session, currency })).status;
  assert.equal(await pay((await sessions.create(shirt())).id, "gbp"), 400);
  assert.equal(await pay((await sessions.create(adaptive)).id, "brl"), 400);
  const held = await sessions.create({ ...adaptive, payment_intent_data: { capture_method: "manual" } });
  assert.equal(await pay(held.id, "gbp"), 400);
  // Its own currency is no other.
  const own = await sessions.create(shirt());
  assert.equal(await pay(own.id, "usd"), 200);
  assert.equal((await sessions.retrieve(own.id)).presentment_details, undefined);
  assert.equal(
    (await refusal(sessions.create(shirt({ adaptive_pricing: { enabled: 2 } as never })))).statusCode,
    400,
  );
});

test("after a decline in one currency the next attempt says its own", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const session = await stripe.checkout.sessions.create(adaptive);
  await stand.control("POST", "pay", { session: session.id, currency: "gbp", card: "4000000000000002" });
  const declined = await stripe.checkout.sessions.retrieve(session.id, { expand: ["payment_intent"] });
  const before = typeof declined.payment_intent === "object" ? declined.payment_intent : null;
  assert.equal(before?.presentment_details?.presentment_currency, "gbp");
  await stand.control("POST", "pay", { session: session.id });
  const after = await stripe.paymentIntents.retrieve(idOf(declined.payment_intent) ?? "");
  assert.deepEqual([after.status, after.presentment_details], ["succeeded", undefined]);
});
