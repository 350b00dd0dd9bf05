import assert from "node:assert/strict";
import { findStripeCli, StripeCli } from "../../scripts/lib/stripe_cli.ts";
import { eventually } from "../support/poll.ts";
import { Receiver } from "../stand-in/receiver.ts";
import { eventTypes, type StandIn, standIn, TEST_KEY } from "../stand-in/stand_in.ts";

const { test } = Deno;

const FIXTURES = new URL("../../scripts/stand-in/fixtures/", import.meta.url).pathname;

/** What `stripe trigger` brings along, and the events each must leave behind, oldest first. */
const TRIGGERS: Record<string, string[]> = {
  "checkout.session.completed": [
    "product.created",
    "price.created",
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
  ],
  "checkout.session.async_payment_succeeded": [
    "checkout.session.completed",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.async_payment_succeeded",
  ],
  "checkout.session.async_payment_failed": [
    "checkout.session.completed",
    "charge.failed",
    "payment_intent.payment_failed",
    "checkout.session.async_payment_failed",
  ],
  "checkout.session.expired": ["product.created", "price.created", "checkout.session.expired"],
  "payment_intent.created": ["payment_intent.created"],
  "payment_intent.succeeded": ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"],
  "payment_intent.payment_failed": [
    "payment_intent.created",
    "charge.failed",
    "payment_intent.payment_failed",
  ],
  "payment_intent.requires_action": ["payment_intent.created", "payment_intent.requires_action"],
  "payment_intent.processing": ["payment_intent.created", "charge.pending", "payment_intent.processing"],
  "payment_intent.amount_capturable_updated": [
    "charge.succeeded",
    "payment_intent.amount_capturable_updated",
  ],
  "payment_intent.canceled": ["payment_intent.created", "payment_intent.canceled"],
  "charge.succeeded": ["charge.succeeded"],
  "charge.failed": ["charge.failed"],
  "charge.captured": ["charge.succeeded", "charge.captured", "payment_intent.succeeded"],
  "charge.refunded": ["refund.created", "charge.refunded"],
  "charge.refund.updated": ["refund.created", "charge.refunded", "refund.updated", "charge.refund.updated"],
  "charge.dispute.created": ["charge.succeeded", "charge.dispute.created"],
  "charge.dispute.updated": ["charge.dispute.created", "charge.dispute.updated"],
  "charge.dispute.closed": ["charge.dispute.created", "charge.dispute.closed"],
  "customer.created": ["customer.created"],
  "customer.updated": ["customer.created", "customer.updated"],
  "customer.deleted": ["customer.created", "customer.deleted"],
  "product.created": ["product.created"],
  "product.updated": ["product.created", "product.updated"],
  "price.created": ["product.created", "price.created"],
  "price.updated": ["product.created", "price.created", "price.updated"],
  "coupon.created": ["coupon.created"],
  "promotion_code.created": ["coupon.created", "promotion_code.created"],
  "payment_method.attached": ["customer.created", "payment_method.attached"],
  "payment_method.detached": ["payment_method.attached", "payment_method.detached"],
  "payment_method.updated": ["payment_method.attached", "setup_intent.succeeded", "payment_method.updated"],
  "product.deleted": ["product.created", "product.deleted"],
  "coupon.updated": ["coupon.created", "coupon.updated"],
  "coupon.deleted": ["coupon.created", "coupon.deleted"],
  "promotion_code.updated": ["promotion_code.created", "promotion_code.updated"],
  "balance.available": ["charge.succeeded", "payment_intent.succeeded", "balance.available"],
  "payout.created": ["balance.available", "payout.created"],
  "payout.updated": ["payout.created", "payout.updated"],
  "tax_rate.created": ["tax_rate.created"],
  "tax_rate.updated": ["tax_rate.created", "tax_rate.updated"],
  "setup_intent.created": ["setup_intent.created"],
  "setup_intent.succeeded": ["setup_intent.created", "setup_intent.succeeded"],
  "setup_intent.canceled": ["setup_intent.created", "setup_intent.canceled"],
  "setup_intent.requires_action": ["setup_intent.created", "setup_intent.requires_action"],
  "setup_intent.setup_failed": ["setup_intent.created", "setup_intent.setup_failed"],
};

/** What the CLI brings along beyond that: the feature that each of them is refused by, by name. */
const REFUSED: Record<string, string[]> = {
  "API v2": ["v1.billing.meter.no_meter_found"],
  "GET /v1/billing": ["v1.billing.meter.error_report_triggered"],
  // The transfers first confirm an intent that names no methods, without a `return_url`.
  "POST /v1/accounts": [
    "transfer.created",
    "account.application.deauthorized",
    "account.updated",
    "transfer.reversed",
    "transfer.updated",
  ],
  "POST /v1/billing_portal": [
    "billing_portal.configuration.created",
    "billing_portal.configuration.updated",
    "billing_portal.session.created",
  ],
  "POST /v1/customers/:id/sources": ["customer.source.created", "customer.source.updated"],
  "POST /v1/identity": [
    "identity.verification_session.canceled",
    "identity.verification_session.created",
    "identity.verification_session.redacted",
  ],
  "POST /v1/invoiceitems": [
    "credit_note.created",
    "credit_note.updated",
    "credit_note.voided",
    "invoice.created",
    "invoice.deleted",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.sent",
    "invoice.updated",
    "invoice.voided",
    "invoiceitem.created",
    "invoiceitem.deleted",
  ],
  "POST /v1/issuing": [
    "issuing_authorization.request",
    "issuing_authorization.request.eu",
    "issuing_authorization.request.gb",
    "issuing_card.created",
    "issuing_card.created.eu",
    "issuing_card.created.gb",
    "issuing_cardholder.created",
    "issuing_cardholder.created.eu",
    "issuing_cardholder.created.gb",
    "issuing_transaction.created",
    "issuing_transaction.purchase_details_receipt_updated",
    "issuing_transaction.updated",
  ],
  "payment links for recurring prices": ["payment_link.created", "payment_link.updated"],
  "POST /v1/plans": ["plan.created", "plan.deleted", "plan.updated"],
  "POST /v1/reporting": ["reporting.report_run.succeeded"],
  "POST /v1/subscriptions": [
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "subscription.payment_failed",
    "subscription.payment_succeeded",
  ],
  "POST /v1/test_helpers": [
    "cash_balance.funds_available",
    "customer_cash_balance_transaction.created",
    "subscription_schedule.completed",
    "subscription_schedule.expiring",
    "test_helpers.test_clock.advancing",
    "test_helpers.test_clock.created",
    "test_helpers.test_clock.deleted",
    "test_helpers.test_clock.ready",
  ],
  "POST /v1/topups": ["topup.created"],
  "a customer's discount": [
    "customer.discount.created",
    "customer.discount.deleted",
    "customer.discount.updated",
  ],
  "the parameter `source` of POST /v1/customers": [
    "quote.accepted",
    "quote.canceled",
    "quote.created",
    "quote.finalized",
    "subscription_schedule.aborted",
    "subscription_schedule.canceled",
    "subscription_schedule.created",
    "subscription_schedule.released",
    "subscription_schedule.updated",
  ],
  // The CLI sends parameters in no order, so what is named is the type or the options of that type.
  "customer_balance": ["payment_intent.partially_funded"],
};

/** Events that the CLI does not bring along: `stripe trigger` takes a fixture file of that name instead. */
const OWN_FIXTURES: Record<string, string[]> = {
  "refund.created": ["refund.created"],
  "refund.updated": ["refund.created", "refund.updated"],
  "refund.failed": ["refund.created", "refund.failed"],
  "radar.early_fraud_warning.created": ["radar.early_fraud_warning.created"],
  "review.opened": ["review.opened"],
  "review.closed": ["review.opened", "review.closed"],
  "charge.dispute.funds_withdrawn": ["charge.dispute.funds_withdrawn"],
  "charge.dispute.funds_reinstated": ["charge.dispute.closed", "charge.dispute.funds_reinstated"],
};

const cliPath = await findStripeCli();
if (cliPath === null) {
  const reason = "the Stripe CLI is not available: npx could not fetch it, and STRIPE_CLI_PATH is not set";
  if (Deno.env.get("CI") === "true") throw new Error(reason);
  console.log(`skipped: ${reason}`);
}
const ignore = cliPath === null;

async function withCli(work: (cli: StripeCli, stand: StandIn) => Promise<void>): Promise<void> {
  await using stand = await standIn();
  const cli = await StripeCli.open(cliPath ?? "", stand.url, TEST_KEY);
  try {
    await work(cli, stand);
  } finally {
    await cli.close();
  }
}

/** True when `wanted` appears in `seen` in this order, other events between them allowed. */
function containsInOrder(seen: readonly string[], wanted: readonly string[]): boolean {
  let at = 0;
  for (const type of seen) if (type === wanted[at]) at++;
  return at === wanted.length;
}

for (const [what, expected] of Object.entries({ ...TRIGGERS, ...OWN_FIXTURES })) {
  test(
    { name: `stripe trigger ${what} succeeds and leaves its events behind`, ignore },
    () =>
      withCli(async (cli, stand) => {
        const event = what in OWN_FIXTURES ? FIXTURES + what : what;
        const { ok, stdout, stderr } = await cli.run("trigger", event);
        assert.ok(ok && stdout.includes("Trigger succeeded"), stdout + stderr);
        const types = await eventually(`the events of ${what}`, async () => {
          const seen = await eventTypes(stand.stripe);
          return containsInOrder(seen, expected) ? seen : null;
        });
        assert.ok(types.includes(expected.at(-1) ?? ""));
      }),
  );
}

test(
  {
    name: "every event of stripe trigger --help works, or is refused by the name of what is missing",
    ignore,
  },
  () =>
    withCli(async (cli) => {
      const { stdout } = await cli.run("trigger", "--help");
      const listed = /Supported events:\n([\s\S]*?)\n\n/.exec(stdout)?.[1] ?? "";
      const refused = Object.values(REFUSED).flat();
      assert.deepEqual(
        [...Object.keys(TRIGGERS), ...refused].sort(),
        listed.split("\n").map((line) => line.trim()).sort(),
      );
      // Events that stop at the same request are tried by one of them.
      for (const [feature, [event = ""]] of Object.entries(REFUSED)) {
        const { ok, stdout, stderr } = await cli.run("trigger", event);
        assert.equal(ok, false, event);
        const said = stdout + stderr;
        assert.match(said, /status=501.*does not support/s, event);
        assert.ok(said.includes(feature), `${event}: ${said}`);
      }
    }),
);

test(
  { name: "stripe trigger --override, --add and --remove change what the fixture asks for", ignore },
  () =>
    withCli(async (cli, { stripe }) => {
      const { ok, stdout, stderr } = await cli.run(
        "trigger",
        "checkout.session.completed",
        "--add",
        "checkout_session:metadata.order_id=o-77",
        "--override",
        "checkout_session:success_url=http://shop.test/overridden",
        "--remove",
        "product:description",
      );
      assert.ok(ok, stdout + stderr);
      const [session] = (await stripe.checkout.sessions.list()).data;
      assert.deepEqual(session?.metadata, { order_id: "o-77" });
      assert.equal(session?.success_url, "http://shop.test/overridden");
      assert.equal((await stripe.products.list()).data[0]?.description, null);
    }),
);

test({
  name: "stripe trigger with the newest API version is refused the removed payment_method_types",
  ignore,
}, () =>
  withCli(async (cli) => {
    const { ok, stdout, stderr } = await cli.run(
      "trigger",
      "payment_intent.created",
      "--api-version",
      "2026-10-28.endive",
    );
    assert.equal(ok, false);
    assert.match(stdout + stderr, /`payment_method_types` is no longer supported/);
  }));

test(
  { name: "stripe listen forwards every event signed, and stripe events resend delivers again", ignore },
  () =>
    withCli(async (cli, { stripe }) => {
      await using hook = new Receiver();
      const secret = await cli.secret();
      assert.equal(await cli.secret(), secret);
      const listener = await cli.listen(hook.url);
      try {
        assert.equal(listener.secret, secret);
        const customer = await stripe.customers.create({ name: "Jenny" });
        await stripe.customers.update(customer.id, { name: "Jane" });
        await eventually("both events", () => listener.answers.length === 2);
        assert.deepEqual(hook.types.sort(), ["customer.created", "customer.updated"]);
        for (const { body, signature } of hook.received) {
          const event = await stripe.webhooks.constructEventAsync(body, signature, secret);
          assert.equal(event.api_version, "2026-10-28.endive");
        }
        const [first] = hook.received;
        const resent = await cli.json<{ id: string }>("events", "resend", first?.id ?? "");
        assert.equal(resent.id, first?.id);
        await eventually("the resent event", () => listener.answers.length === 3);
        assert.equal(hook.received.at(-1)?.body, first?.body);
        hook.answer = () => new Response("no", { status: 500 });
        await stripe.customers.create({ name: "Third" });
        await eventually("our answer", () => listener.answers.some(({ status }) => status === 500));
      } finally {
        await listener.stop();
      }
    }),
);

test(
  { name: "stripe get, post, delete and the resource commands read and change objects", ignore },
  () =>
    withCli(async (cli, { stripe }) => {
      const made = await cli.json<{ id: string }>("post", "/v1/customers", "-d", "email=cli@example.com");
      const read = await cli.json<{ email: string }>("get", `/v1/customers/${made.id}`);
      assert.equal(read.email, "cli@example.com");
      const intent = await stripe.paymentIntents.create({ amount: 700, currency: "usd" });
      const shown = await cli.json<{ amount: number }>("payment_intents", "retrieve", intent.id);
      assert.equal(shown.amount, 700);
      const events = await cli.json<{ data: { type: string }[] }>("events", "list", "--limit", "5");
      assert.deepEqual(events.data.map(({ type }) => type), ["payment_intent.created", "customer.created"]);
      const gone = await cli.json<{ deleted: boolean }>("delete", `/v1/customers/${made.id}`, "--confirm");
      assert.equal(gone.deleted, true);
      const missing = await cli.json<{ error: { code: string } }>("get", "/v1/charges/ch_none");
      assert.equal(missing.error.code, "resource_missing");
    }),
);
