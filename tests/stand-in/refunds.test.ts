import assert from "node:assert/strict";
import { eventually } from "../support/poll.ts";
import { eventTypes, idOf, payIntent, refusal, standIn } from "./stand_in.ts";

const { test } = Deno;

test("refunds: partial, then the rest; more than is left is refused in Stripe's words", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const intent = await payIntent(stripe, "pm_card_visa");
  const part = await stripe.refunds.create({
    payment_intent: intent.id,
    amount: 500,
    reason: "requested_by_customer",
  });
  assert.equal(part.status, "succeeded");
  assert.match(part.id, /^re_3/);
  const tooMuch = await refusal(stripe.refunds.create({ payment_intent: intent.id, amount: 1501 }));
  assert.match(tooMuch.message, /\$15\.01\) is greater than unrefunded amount on charge \(\$15\.00\)/);
  const charge = await stripe.charges.retrieve(idOf(intent.latest_charge));
  assert.deepEqual([charge.amount_refunded, charge.refunded], [500, false]);
  await stripe.refunds.create({ charge: charge.id });
  const done = await stripe.charges.retrieve(charge.id, { expand: ["refunds"] });
  assert.deepEqual([done.amount_refunded, done.refunded], [2000, true]);
  assert.equal(done.refunds?.data.length, 2);
  assert.equal((await refusal(stripe.refunds.create({ charge: charge.id }))).code, "charge_already_refunded");
  const types = (await eventTypes(stripe)).slice(3);
  assert.deepEqual(types, ["refund.created", "charge.refunded", "refund.created", "charge.refunded"]);
});

test("refunds: an unpaid intent and an uncaptured charge have nothing to give back", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const open = await stripe.paymentIntents.create({ amount: 100, currency: "usd" });
  const unpaid = await refusal(stripe.refunds.create({ payment_intent: open.id }));
  assert.match(unpaid.message, /does not have a successful charge to refund/);
  const held = await payIntent(stripe, "pm_card_visa", { capture_method: "manual" });
  assert.match(
    (await refusal(stripe.refunds.create({ payment_intent: held.id }))).message,
    /not been captured/,
  );
  assert.match((await refusal(stripe.refunds.create({}))).message, /payment_intent or charge/);
});

test("refunds: test card …7726 is pending, then succeeds", async () => {
  await using stand = await standIn({ pace: { refundMs: 100 } });
  const { stripe } = stand;
  const intent = await payIntent(stripe, "pm_card_pendingRefund");
  const refund = await stripe.refunds.create({ payment_intent: intent.id });
  assert.equal(refund.status, "pending");
  await eventually(
    "the refund to succeed",
    async () => (await stripe.refunds.retrieve(refund.id)).status === "succeeded",
  );
  const types = await eventTypes(stripe);
  assert.deepEqual(types.slice(-2), ["refund.updated", "charge.refund.updated"]);
});

test("refunds: test card …5126 succeeds, then fails, and the charge counts the money again", async () => {
  await using stand = await standIn({ pace: { refundMs: 100 } });
  const { stripe } = stand;
  const intent = await payIntent(stripe, "pm_card_refundFail");
  const refund = await stripe.refunds.create({ payment_intent: intent.id });
  assert.equal(refund.status, "succeeded");
  await eventually(
    "the refund to fail",
    async () => (await stripe.refunds.retrieve(refund.id)).status === "failed",
  );
  const failed = await stripe.refunds.retrieve(refund.id);
  assert.equal(failed.failure_reason, "expired_or_canceled_card");
  const charge = await stripe.charges.retrieve(idOf(intent.latest_charge));
  assert.deepEqual([charge.amount_refunded, charge.refunded], [0, false]);
  assert.deepEqual((await eventTypes(stripe)).slice(-4), [
    "charge.updated",
    "refund.updated",
    "charge.refund.updated",
    "refund.failed",
  ]);
});

test("refunds: every cent is in the balance, fees included", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const intent = await payIntent(stripe, "pm_card_visa");
  const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 700 });
  const lines = (await stripe.balanceTransactions.list()).data;
  assert.deepEqual(lines.map(({ type, amount, fee, net }) => ({ type, amount, fee, net })), [
    { type: "refund", amount: -700, fee: 0, net: -700 },
    { type: "charge", amount: 2000, fee: 88, net: 1912 },
  ]);
  assert.equal(lines[0]?.id, refund.balance_transaction);
});

test("refunds: the list below a charge pages by its own address", async () => {
  await using stand = await standIn();
  const intent = await payIntent(stand.stripe, "pm_card_visa", {});
  for (let n = 0; n < 12; n++) await stand.stripe.refunds.create({ payment_intent: intent.id, amount: 10 });
  const { latest_charge: charge } = await stand.stripe.paymentIntents.retrieve(intent.id, {
    expand: ["latest_charge.refunds"],
  });
  assert.ok(typeof charge === "object" && charge !== null);
  const first = charge.refunds;
  assert.deepEqual([first?.data.length, first?.has_more], [10, true]);
  const rest = await stand.stripe.rawRequest("GET", `${first?.url}?starting_after=${first?.data.at(-1)?.id}`);
  assert.equal((rest as unknown as { data: unknown[] }).data.length, 2);
});
