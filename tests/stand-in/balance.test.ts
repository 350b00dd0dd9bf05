import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventTypes, idOf, payIntent, refusal, type StandIn, standIn } from "./stand_in.ts";

const { test } = Deno;

const DAY_S = 24 * 3600;

function usd(funds: Stripe.Balance.Available[]): number {
  return funds.find(({ currency }) => currency === "usd")?.amount ?? 0;
}

/** Everything that happens in the next days, the shop's daily payout with it. */
async function daysPass({ control }: StandIn): Promise<void> {
  await control("POST", "advance", { seconds: 3 * DAY_S });
}

test("a payment waits in the balance less its fee, becomes available at midnight and is paid out", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const paid = await payIntent(stripe, "pm_card_visa", { amount: 10_000, expand: ["latest_charge"] });
  const charge = await stripe.charges.retrieve(idOf(paid.latest_charge), { expand: ["balance_transaction"] });
  const line = charge.balance_transaction as Stripe.BalanceTransaction;
  // 2.9 % and 30 cents.
  assert.deepEqual(
    [line.type, line.amount, line.fee, line.net, line.status, line.source],
    ["charge", 10_000, 320, 9680, "pending", charge.id],
  );
  assert.deepEqual(line.fee_details.map(({ amount, type }) => [amount, type]), [[320, "stripe_fee"]]);
  assert.equal(line.available_on % DAY_S, 0);
  assert.ok(
    line.available_on >= charge.created + 2 * DAY_S && line.available_on <= charge.created + 3 * DAY_S,
  );
  const before = await stripe.balance.retrieve();
  assert.deepEqual([usd(before.available), usd(before.pending)], [0, 9680]);

  await daysPass(stand);
  assert.equal((await stripe.balanceTransactions.retrieve(line.id)).status, "available");
  const [payout] = (await stripe.payouts.list()).data;
  assert.ok(payout !== undefined);
  assert.deepEqual([payout.automatic, payout.amount, payout.status], [true, 9680, "pending"]);
  await stand.control("POST", "payout", { payout: payout.id, status: "paid" });
  assert.deepEqual((await eventTypes(stripe)).slice(-5), [
    "balance.available",
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.reconciliation_completed",
  ]);
  const after = await stripe.balance.retrieve();
  assert.deepEqual([usd(after.available), usd(after.pending)], [0, 0]);
  // What the shop's books reconcile a payout with.
  const parts = await stripe.balanceTransactions.list({ payout: payout.id });
  assert.deepEqual(parts.data.map(({ type, net }) => [type, net]), [["payout", -9680], ["charge", 9680]]);
  const page = await stripe.balanceTransactions.list({ payout: payout.id, limit: 1 });
  assert.equal(page.has_more, true);
  const rest = await stripe.balanceTransactions.list({
    payout: payout.id,
    starting_after: page.data[0]?.id ?? "",
  });
  assert.deepEqual([rest.data.length, rest.has_more], [1, false]);
});

test("refunds and disputes are lines of the balance, and the dispute's fee comes back with its money", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const paid = await payIntent(stripe, "pm_card_visa");
  const refund = await stripe.refunds.create({
    payment_intent: paid.id,
    amount: 500,
    expand: ["balance_transaction"],
  });
  const line = refund.balance_transaction as Stripe.BalanceTransaction;
  assert.deepEqual([line.type, line.amount, line.fee, line.net], ["refund", -500, 0, -500]);
  await payIntent(stripe, "pm_card_createDispute");
  const [dispute] = (await stripe.disputes.list()).data;
  assert.ok(dispute !== undefined);
  const [withdrawn] = dispute.balance_transactions;
  assert.deepEqual(
    [withdrawn?.type, withdrawn?.amount, withdrawn?.fee, withdrawn?.net],
    ["adjustment", -2000, 1500, -3500],
  );
  const { available, pending } = await stripe.balance.retrieve();
  assert.deepEqual([usd(available), usd(pending)], [-4000, 2 * (2000 - 88)]);
  assert.equal((await stripe.balanceTransactions.list({ type: "adjustment" })).data.length, 1);
  // There is nothing to pay out, so nothing is.
  await daysPass(stand);
  assert.deepEqual((await stripe.payouts.list()).data, []);
});

test("a payout by hand takes what is available, no more, and can be canceled until it leaves", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  await payIntent(stripe, "pm_card_bypassPending", { amount: 10_000 });
  const funds = async () => usd((await stripe.balance.retrieve()).available);
  assert.equal(await funds(), 9680);
  const order = { amount: 1000, currency: "usd", metadata: { week: "1" } };
  const tooMuch = await refusal(stripe.payouts.create({ ...order, amount: 9681 }));
  assert.equal(tooMuch.code, "balance_insufficient");
  const foreign = await refusal(stripe.payouts.create({ ...order, currency: "eur" }));
  assert.equal(foreign.code, "balance_insufficient");
  assert.equal((await refusal(stripe.payouts.create({ ...order, method: "instant" }))).statusCode, 501);
  assert.equal(
    (await refusal(stripe.payouts.create({ ...order, destination: "ba_none" }))).param,
    "destination",
  );

  const payout = await stripe.payouts.create({ ...order, expand: ["destination"] });
  assert.equal((payout.destination as Stripe.BankAccount).currency, "usd");
  assert.equal(await funds(), 8680);
  const manual = await refusal(stripe.balanceTransactions.list({ payout: payout.id }));
  assert.match(manual.message, /automatic transfers, not manual/);
  const canceled = await stripe.payouts.cancel(payout.id);
  assert.equal(canceled.status, "canceled");
  assert.equal(await funds(), 9680);
  assert.match((await refusal(stripe.payouts.cancel(payout.id))).message, /status of canceled/);

  const bounced = await stripe.payouts.create(order);
  await control("POST", "payout", { payout: bounced.id, status: "paid" });
  assert.match((await refusal(stripe.payouts.cancel(bounced.id))).message, /status of paid/);
  await control("POST", "payout", { payout: bounced.id, status: "failed" });
  const failed = await stripe.payouts.retrieve(bounced.id, { expand: ["failure_balance_transaction"] });
  assert.deepEqual([failed.status, failed.failure_code], ["failed", "account_closed"]);
  assert.equal((failed.failure_balance_transaction as Stripe.BalanceTransaction).amount, 1000);
  assert.equal(await funds(), 9680);
  assert.deepEqual((await stripe.payouts.list({ status: "failed" })).data.map(({ id }) => id), [bounced.id]);
  assert.deepEqual((await eventTypes(stripe)).filter((type) => type.startsWith("payout.")), [
    "payout.created",
    "payout.canceled",
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.updated",
    "payout.failed",
  ]);
});
