/** What stripe-webhook makes of genuine deliveries. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import type Stripe from "stripe";
import type { Fact } from "../../supabase/functions/_shared/stripe_events/facts.ts";
import { endSessions } from "../../supabase/functions/stripe-webhook/end_sessions.ts";
import { down as stripeDown, orderId, stripeRefusal } from "./checkout_world.ts";
import { errorOf, fakeCall, fixedClock, fixture, keptLog, testEnv } from "./fakes.ts";
import { deliver, outcomeOf, stripeAddress, world } from "./webhook_world.ts";

Deno.test("stripe-webhook stores a genuine event with its facts in one call", async () => {
  const here = world();
  const event = await fixture("checkout.session.completed");
  const response = await deliver(here, event);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { received: true, event_id: event["id"], outcome: "applied" });
  assert.equal(here.received.length, 1);
  const [stored] = here.received;
  assert.equal(stored?.p_facts?.[0]?.fact, "checkout_session");
  assert.equal(stored?.p_ignored_reason, null);
  assert.equal(stored?.p_error, null);
  assert.equal(stored?.p_source_ip, stripeAddress);
  assert.equal(stored?.p_stripe_created_at, new Date(Number(event["created"]) * 1000).toISOString());
  assert.deepEqual(stored?.p_alerts, []);
});

Deno.test("stripe-webhook ends the pages that an event gives away, once it is stored, and no others", async () => {
  const event = await fixture("charge.failed");
  const here = world({
    receive: () => Promise.resolve(outcomeOf({ closing_sessions: ["cs_test_1", "cs_test_2"] })),
  });
  assert.equal((await deliver(here, event)).status, 200);
  assert.deepEqual(here.ended, ["cs_test_1", "cs_test_2"]);

  const quiet = world();
  await deliver(quiet, event);
  assert.deepEqual(quiet.ended, []);
  const down = world({ receive: () => Promise.reject(new AppError("database_unavailable")) });
  assert.equal((await deliver(down, event)).status, 500);
  assert.deepEqual(down.ended, []);
});

Deno.test("endSessions() ends each page for itself: what fails or is paid keeps no other open", async () => {
  const { log, lines } = keptLog();
  const applied: string[] = [];
  const asked: string[] = [];
  const session = (id: string, status: string) =>
    ({
      id,
      object: "checkout.session",
      status,
      payment_status: "unpaid",
      metadata: { order_id: orderId },
    }) as unknown as Stripe.Checkout.Session;
  const call = fakeCall((name, { p_facts }) => {
    assert.equal(name, "apply_stripe_facts");
    applied.push(
      ...(p_facts as Fact[]).flatMap((fact) =>
        fact.fact === "checkout_session" ? [`${fact.id} ${fact.status}`] : []
      ),
    );
    return Promise.resolve(true);
  });
  await endSessions(["cs_down", "cs_open", "cs_paid", ...Array.from({ length: 30 }, (_, at) => `cs_${at}`)], {
    env: testEnv(),
    call,
    log,
    now: fixedClock().now,
    stripe: {
      expireSession: (id) => {
        asked.push(id);
        if (id === "cs_down") return Promise.reject(stripeDown());
        if (id === "cs_paid") return Promise.reject(stripeRefusal("session"));
        return Promise.resolve(session(id, "expired"));
      },
      retrieveSession: (id) => Promise.resolve(session(id, "complete")),
    },
  });
  assert.equal(asked.length, 20, "the rest is for the queue");
  assert.ok(applied.includes("cs_open expired") && applied.includes("cs_paid complete"), applied.join());
  assert.equal(applied.length, 19);
  assert.equal(lines.filter(({ message }) => message === "session_not_ended").length, 1);
});

Deno.test("stripe-webhook writes one log line per delivery, with nothing personal in it", async () => {
  const here = world();
  await deliver(here, await fixture("checkout.session.completed"));
  assert.equal(here.lines.length, 1);
  const [line] = here.lines;
  for (const field of ["event_id", "type", "outcome", "duration_ms", "delivery_count", "request_id"]) {
    assert(line !== undefined && field in line, field);
  }
  // Words that no random id can spell: ids are letters and digits.
  assert(!/ada turner|ada@|portland|shop\.example/i.test(JSON.stringify(line)));
});

Deno.test("stripe-webhook stores an event of the other livemode as ignored, with an alert", async () => {
  const here = world();
  const response = await deliver(here, { ...await fixture("charge.succeeded"), livemode: true });
  assert.equal(response.status, 200);
  assert.equal(here.received[0]?.p_ignored_reason, "other_livemode");
  assert.equal(here.received[0]?.p_facts, null);
  assert.equal(here.received[0]?.p_alerts[0]?.kind, "webhook_other_livemode");
});

Deno.test("stripe-webhook stores an event of a connected account as ignored, with one alert for all", async () => {
  const here = world();
  const event = { ...await fixture("checkout.session.completed"), account: "acct_1ConnectedOther" };
  assert.equal((await deliver(here, event)).status, 200);
  const [received] = here.received;
  assert.deepEqual([received?.p_ignored_reason, received?.p_facts], ["connected_account", null]);
  const [alert] = received?.p_alerts ?? [];
  assert.deepEqual([alert?.dedupe_key, alert?.data["account"]], [
    "webhook_connected_account:any",
    "acct_1ConnectedOther",
  ]);
});

Deno.test("stripe-webhook of a connected account takes its own events, and no others", async () => {
  const reasonOf = async (outside: Record<string, unknown>, accountId?: string) => {
    const here = world(accountId === undefined ? {} : { accountId });
    await deliver(here, { ...await fixture("checkout.session.completed"), ...outside });
    return here.received[0]?.p_ignored_reason;
  };
  const own = "acct_1OurOwnAccount";
  assert.equal(await reasonOf({ account: own }, own), null);
  assert.equal(await reasonOf({ account: "acct_1ConnectedOther" }, own), "connected_account");
  // An endpoint of the account itself names none.
  assert.equal(await reasonOf({}, own), null);
  // An organisation's endpoint names it in context; without a name of our own nothing can be said about it.
  assert.equal(await reasonOf({ context: own }, own), null);
  assert.equal(await reasonOf({ context: `org_1/${own}` }, own), null);
  assert.equal(await reasonOf({ context: "acct_1ConnectedOther" }, own), "connected_account");
  assert.equal(await reasonOf({ context: "acct_1ConnectedOther" }), null);
  assert.equal(await reasonOf({ account: null, context: null }), null);
});

Deno.test("stripe-webhook stores a thin payload as ignored, with an alert", async () => {
  const here = world();
  const thin = {
    id: "evt_test_thin",
    object: "v2.core.event",
    type: "v1.billing.meter.error_report_triggered",
    created: "2026-11-08T12:00:00.000Z",
    livemode: false,
    related_object: { id: "mtr_1", type: "billing.meter", url: "/v1/billing/meters/mtr_1" },
  };
  assert.equal((await deliver(here, thin)).status, 200);
  assert.equal(here.received[0]?.p_ignored_reason, "thin_payload");
  assert.equal(here.received[0]?.p_alerts[0]?.kind, "webhook_thin_payload");
});

Deno.test("stripe-webhook takes a thin event as a reason to read the object again", async () => {
  const thin = (type: string, related_object?: object | null) => ({
    id: "evt_test_thin",
    object: "v2.core.event",
    type,
    created: "2026-11-08T12:00:00.000Z",
    livemode: false,
    ...(related_object === undefined ? {} : { related_object }),
  });
  const receivedOf = async (event: object) => {
    const here = world();
    assert.equal((await deliver(here, event)).status, 200);
    const [received] = here.received;
    return [received?.p_facts ?? received?.p_ignored_reason, received?.p_alerts.map(({ kind }) => kind)];
  };
  const unread = { fact: "unread", order_id: null, recovered_from: null, event_id: "evt_test_thin" };
  const related = (type: string, id: string) => ({ type, id, url: `/v1/${type}s/${id}` });
  for (
    const [type, object, fact] of [
      ["v1.checkout.session.completed", related("checkout.session", "cs_1"), { object: "checkout_session" }],
      ["v1.payment_intent.succeeded", related("payment_intent", "pi_1"), { object: "payment" }],
      ["v1.charge.refunded", related("charge", "ch_1"), { object: "charge" }],
      ["v1.refund.failed", related("refund", "re_1"), { object: "refund" }],
      ["v1.charge.dispute.closed", related("dispute", "dp_1"), { object: "dispute" }],
      ["v1.review.opened", related("review", "prv_1"), { object: "review" }],
      ["v1.customer.deleted", related("customer", "cus_1"), { object: "customer" }],
    ] as const
  ) {
    const payment_id = fact.object === "payment" ? object.id : null;
    assert.deepEqual(await receivedOf(thin(type, object)), [[{
      ...unread,
      ...fact,
      id: object.id,
      payment_id,
    }], []]);
  }
  const warning = thin(
    "v1.radar.early_fraud_warning.created",
    related("radar.early_fraud_warning", "issfr_1"),
  );
  assert.deepEqual(await receivedOf(warning), ["left_to_reconciler", []]);
  const useless: [object, string][] = [
    [thin("v1.invoice.paid", related("invoice", "in_1")), "thin_payload"],
    [thin("v1.charge.refunded", null), "thin_payload"],
    [thin("v1.charge.refunded"), "thin_payload"],
    [thin("v1.charge.refunded", { type: "charge", id: 7 }), "thin_payload"],
    [thin("v1.constructor", related("charge", "ch_1")), "thin_payload"],
    [thin("v2.core.event_destination.ping", related("v2.core.event_destination", "ed_1")), "thin_payload"],
  ];
  for (const [event, reason] of useless) {
    assert.deepEqual(await receivedOf(event), [reason, ["webhook_thin_payload"]]);
  }
  const ofOthers = { ...thin("v1.charge.refunded", related("charge", "ch_1")), livemode: true };
  assert.deepEqual(await receivedOf(ofOthers), ["other_livemode", ["webhook_other_livemode"]]);
});

Deno.test("stripe-webhook takes Stripe's word on its own health", async () => {
  for (const [state, over] of [["firing", false], ["resolved", true]] as const) {
    const here = world();
    await deliver(here, {
      id: "evt_test_health",
      object: "v2.core.event",
      type: `v2.core.health.api_error.${state}`,
      created: "2026-11-08T12:00:00.000Z",
      livemode: false,
    });
    assert.deepEqual(here.received[0]?.p_facts, [
      { fact: "stripe_health", subject: "api_error", over, event_id: "evt_test_health" },
    ]);
  }
});

Deno.test("stripe-webhook processes an event of another API version and raises an alert", async () => {
  const here = world();
  await deliver(here, { ...await fixture("charge.succeeded"), api_version: "2025-01-27.acacia" });
  assert(here.received[0]?.p_facts !== null);
  assert.equal(here.received[0]?.p_alerts[0]?.dedupe_key, "webhook_api_version:2025-01-27.acacia");
});

Deno.test("stripe-webhook stores a type it does not listen to as ignored", async () => {
  const here = world();
  await deliver(here, { ...await fixture("charge.succeeded"), type: "invoice.created" });
  assert.equal(here.received[0]?.p_ignored_reason, "unsubscribed_type");
});

Deno.test("stripe-webhook stores a poison event with the translator's error", async () => {
  const here = world();
  const event = await fixture("checkout.session.completed");
  const data = event["data"] as { object: Record<string, unknown> };
  data.object["currency"] = { not: "a currency" };
  assert.equal((await deliver(here, event)).status, 200);
  assert.match(here.received[0]?.p_error ?? "", /translation failed/);
  assert.equal(here.received[0]?.p_facts, null);
});

Deno.test("stripe-webhook answers 500 not_recorded when the database does not take the event", async () => {
  const here = world({ receive: () => Promise.reject(new AppError("database_unavailable")) });
  const response = await deliver(here, await fixture("charge.succeeded"));
  assert.equal(response.status, 500);
  assert.equal((await errorOf(response)).code, "not_recorded");
  assert.deepEqual(here.rejected, [], "our own failure does not count against Stripe");
  const [line] = here.lines;
  assert.equal(
    (line?.["details"] as { type?: string } | undefined)?.type,
    "charge.succeeded",
    "the log names the event",
  );
});

Deno.test("stripe-webhook passes the database's outcome on", async () => {
  for (const outcome of ["duplicate", "ignored", "queued"] as const) {
    const here = world({ receive: () => Promise.resolve(outcomeOf({ outcome, delivery_count: 2 })) });
    const response = await deliver(here, await fixture("charge.succeeded"));
    assert.equal(response.status, 200);
    assert.equal((await response.json()).outcome, outcome);
  }
});
