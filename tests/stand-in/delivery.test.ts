import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventually } from "../support/poll.ts";
import { Receiver } from "./receiver.ts";
import { payIntent, refusal, shirt, standIn } from "./stand_in.ts";
import { nonEmpty } from "../support/non_empty.ts";

const { test } = Deno;

interface Shown {
  deliveries: {
    event_id: string;
    type: string;
    status: number;
    at: string;
    attempt: number;
    error: string | null;
  }[];
  pending: number;
}

test("webhooks: events reach the endpoint signed, in the payload that GET /v1/events shows", async () => {
  await using stand = await standIn();
  await using hook = new Receiver();
  const { stripe, control } = stand;
  const endpoint = await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  assert.match(endpoint.secret ?? "", /^whsec_\w{32}$/);
  assert.equal((await stripe.webhookEndpoints.retrieve(endpoint.id)).secret, undefined);
  const session = await stripe.checkout.sessions.create(shirt());
  await control("POST", "pay", { session: session.id });
  assert.equal((await control("POST", "flush")).status, 200);
  assert.deepEqual(hook.types.sort(), [
    "charge.succeeded",
    "checkout.session.completed",
    "payment_intent.created",
    "payment_intent.succeeded",
  ]);
  for (const { body, signature, id } of hook.received) {
    const event = await stripe.webhooks.constructEventAsync(body, signature, endpoint.secret ?? "");
    assert.equal(event.livemode, false);
    assert.equal(event.api_version, "2026-10-28.endive");
    assert.equal(event.pending_webhooks, 1);
    const stored = await stripe.events.retrieve(id);
    assert.equal(stored.pending_webhooks, 0);
    assert.deepEqual(stored.data, event.data);
  }
  const { body } = await control<Shown>("GET", "deliveries");
  assert.equal(body.deliveries.length, 4);
  assert.ok(
    nonEmpty(body.deliveries).every(({ status, at }) => status === 200 && !Number.isNaN(Date.parse(at))),
  );
});

test("webhooks: each endpoint gets only the events it enabled, and a disabled or deleted one none", async () => {
  await using stand = await standIn();
  await using all = new Receiver();
  await using some = new Receiver();
  const { stripe, control } = stand;
  const everything = await stripe.webhookEndpoints.create({ url: all.url, enabled_events: ["*"] });
  const customers = await stripe.webhookEndpoints.create({
    url: some.url,
    enabled_events: ["customer.created"],
  });
  assert.notEqual(everything.secret, customers.secret);
  await stripe.customers.create({});
  await stripe.products.create({ name: "x" });
  await control("POST", "flush");
  assert.deepEqual(all.types.sort(), ["customer.created", "product.created"]);
  assert.deepEqual(some.types, ["customer.created"]);
  await stripe.webhookEndpoints.update(everything.id, { disabled: true });
  await stripe.webhookEndpoints.del(customers.id);
  await stripe.customers.create({});
  await control("POST", "flush");
  assert.equal(all.received.length + some.received.length, 3);
  const wrong = await refusal(stripe.webhookEndpoints.create({ url: "ftp://x", enabled_events: ["*"] }));
  assert.equal(wrong.code, "url_invalid");
});

test("webhooks: an endpoint cannot enable what is no type of event", async () => {
  await using stand = await standIn();
  const enabled_events = ["charge.failed", "charge.exploded" as "charge.failed"] as const;
  const error = await refusal(
    stand.stripe.webhookEndpoints.create({
      url: "http://shop.test/hook",
      enabled_events: [...enabled_events],
    }),
  );
  assert.deepEqual([error.statusCode, error.param], [400, "enabled_events[1]"]);
});

test("webhooks: a failure and a redirect are retried with growing delays, each time freshly signed", async () => {
  await using stand = await standIn({ pace: { retryDelaysMs: [1100, 30] } });
  await using hook = new Receiver();
  const { stripe, control } = stand;
  const { promise: looked, resolve: look } = Promise.withResolvers<void>();
  hook.answer = async (_seen, nth) => {
    if (nth === 1) return new Response("no", { status: 500 });
    if (nth === 2) return new Response(null, { status: 302, headers: { location: hook.url } });
    await looked;
    return new Response(null, { status: 204 });
  };
  const { secret = "" } = await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  const { id } = await stripe.customers.create({});
  // What the hook has answered, the stand-in may not have read yet.
  await eventually(
    "the first attempt to have failed",
    async () => (await stripe.events.list({ delivery_success: false })).data[0]?.type === "customer.created",
  );
  look();
  await control("POST", "flush");
  assert.equal(hook.received.length, 3);
  assert.equal(new Set(hook.received.map((seen) => seen.id)).size, 1);
  const stamps = hook.received.map(({ signature }) => Number(/t=(\d+)/.exec(signature)?.[1]));
  assert.ok((stamps[1] ?? 0) > (stamps[0] ?? 0), "the second attempt must carry a new timestamp");
  for (const { body, signature } of hook.received) {
    await stripe.webhooks.constructEventAsync(body, signature, secret);
  }
  const { body } = await control<Shown>("GET", `deliveries?event=${hook.received[0]?.id}`);
  assert.deepEqual(body.deliveries.map(({ status, attempt }) => [attempt, status]), [[3, 204], [2, 302], [
    1,
    500,
  ]]);
  assert.equal((await stripe.events.list({ delivery_success: false })).data.length, 0);
  assert.ok(id.startsWith("cus_"));
});

test("webhooks: while a secret is rolled both signatures are sent", async () => {
  await using stand = await standIn();
  await using hook = new Receiver();
  const { stripe, control } = stand;
  const endpoint = await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  const rolled = await control<{ secret: string }>("POST", "roll_secret", { webhook_endpoint: endpoint.id });
  await stripe.customers.create({});
  await control("POST", "flush");
  const [seen] = hook.received;
  assert.ok(seen !== undefined);
  assert.equal(seen.signature.match(/v1=/g)?.length, 2);
  await stripe.webhooks.constructEventAsync(seen.body, seen.signature, rolled.body.secret);
  await stripe.webhooks.constructEventAsync(seen.body, seen.signature, endpoint.secret ?? "");
});

test("webhooks: an endpoint that fails for long is disabled, and works again once enabled", async () => {
  await using stand = await standIn({ pace: { retryDelaysMs: [20], disableAfterMs: 60 } });
  await using hook = new Receiver();
  const { stripe, control } = stand;
  hook.answer = () => new Response("no", { status: 503 });
  const endpoint = await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  await stripe.customers.create({});
  await eventually(
    "the endpoint to be disabled",
    async () => (await stripe.webhookEndpoints.retrieve(endpoint.id)).status === "disabled",
  );
  const failures = hook.received.length;
  await stripe.customers.create({});
  assert.equal((await control("POST", "flush")).status, 200);
  assert.equal(hook.received.length, failures);
  hook.answer = () => new Response("ok");
  await stripe.webhookEndpoints.update(endpoint.id, { disabled: false });
  await stripe.customers.create({});
  await control("POST", "flush");
  assert.equal(hook.received.length, failures + 1);
});

test("webhooks: what is changed while the last failing attempt is under way is not lost when the endpoint is disabled", async () => {
  await using stand = await standIn({ pace: { retryDelaysMs: [20], disableAfterMs: 0 } });
  await using hook = new Receiver();
  const { stripe } = stand;
  const { promise: changed, resolve: change } = Promise.withResolvers<void>();
  hook.answer = async () => {
    await changed;
    return new Response("no", { status: 503 });
  };
  const { id } = await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  await stripe.customers.create({});
  await eventually("the attempt", () => hook.received.length === 1);
  await stripe.webhookEndpoints.update(id, { enabled_events: ["customer.created"] });
  change();
  const endpoint = await eventually("the endpoint to be disabled", async () => {
    const found = await stripe.webhookEndpoints.retrieve(id);
    return found.status === "disabled" && found;
  });
  assert.deepEqual(endpoint.enabled_events, ["customer.created"]);
});

test("webhooks: an event that one endpoint never takes is given up in the end", async () => {
  await using stand = await standIn({ pace: { retryDelaysMs: [20], giveUpAfterMs: 0 } });
  await using hook = new Receiver();
  hook.answer = ({ type }) => new Response(null, { status: type === "product.created" ? 500 : 200 });
  await stand.stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  await stand.stripe.products.create({ name: "Poison" });
  await stand.stripe.customers.create({});
  assert.equal((await stand.control("POST", "flush")).status, 200);
  const failed = (await stand.stripe.events.list({ delivery_success: false })).data;
  assert.deepEqual(failed.map(({ type }) => type), ["product.created"]);
});

test("webhooks: an endpoint that does not answer is tried again until it does", async () => {
  await using stand = await standIn();
  await using hook = new Receiver();
  const { stripe, control } = stand;
  // No server listens on the port for discarded data, and no other test takes it.
  const { id } = await stripe.webhookEndpoints.create({
    url: "http://127.0.0.1:9/hook",
    enabled_events: ["*"],
  });
  await stripe.customers.create({});
  await eventually(
    "a failed attempt",
    async () =>
      (await control<Shown>("GET", "deliveries")).body.deliveries.some(({ status, error }) =>
        status === 0 && error
      ),
  );
  await stripe.webhookEndpoints.update(id, { url: hook.url });
  await control("POST", "flush");
  assert.deepEqual(hook.types, ["customer.created"]);
});

test("delivery faults: duplicates, losses and disorder, and still every event arrives", async () => {
  await using stand = await standIn();
  await using hook = new Receiver();
  const { stripe, control } = stand;
  await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  await control("POST", "faults", { deliver: { duplicate: 2, drop: 0.3, shuffle: true, delay_ms: [0, 50] } });
  // At once: one after the other they could be further apart than the shuffling reaches.
  await Promise.all(Array.from({ length: 12 }, (_, n) => stripe.customers.create({ name: `${n}` })));
  const { data } = await stripe.events.list({ type: "customer.created", limit: 100 });
  const created = data.map((event) => (event.data.object as Stripe.Customer).id).reverse();
  assert.equal((await control("POST", "flush")).status, 200);
  assert.equal(hook.received.length, 24);
  const order = hook.received.map(({ body }) => (JSON.parse(body).data.object.id as string));
  assert.deepEqual([...new Set(order)].sort(), created.toSorted());
  assert.notDeepEqual([...new Set(order)], created);
  await control("DELETE", "faults");
  const { body } = await control<{ deliver: { duplicate: number } }>("GET", "faults");
  assert.equal(body.deliver.duplicate, 1);
});

test("faults that make no sense, or could never happen, are refused by name", async () => {
  await using stand = await standIn();
  const refused: [object, RegExp][] = [
    [{ deliver: { drop: {} } }, /deliver\[drop\] must be between 0 and 1/],
    [{ deliver: { drop: "" } }, /deliver\[drop\] must be between 0 and 1/],
    [{ deliver: { drop: [0.3] } }, /deliver\[drop\] must be between 0 and 1/],
    [{ deliver: { delay_ms: [500, 0] } }, /deliver\[delay_ms\] must be \[from, to\]/],
    [{ api: [{ match: "/v1/charges", status: 500 }] }, /api\[0\]\[match\] must be the beginning of/],
    [{ api: [{ match: "post /v1/charges", status: 500 }] }, /api\[0\]\[match\] must be the beginning of/],
    [[], /must be a JSON object/],
  ];
  for (const [body, message] of refused) {
    const answer = await stand.control<{ error: { message: string } }>("POST", "faults", body);
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.match(answer.body.error.message, message);
  }
  const bare = await stand.control("POST", "faults", { api: [{ match: "POST", status: 503 }] });
  assert.equal(bare.status, 200);
  assert.equal((await refusal(stand.stripe.customers.create({}))).statusCode, 503);
  await stand.control("DELETE", "faults");
  const { body } = await stand.control<{ api: unknown[] }>("GET", "faults");
  assert.deepEqual(body.api, []);
});

test("events: a request's id and idempotency key, previous attributes, type filters and resending", async () => {
  await using stand = await standIn();
  await using hook = new Receiver();
  const { stripe, control } = stand;
  await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  const customer = await stripe.customers.create({ name: "A" }, { idempotencyKey: "key-1" });
  await stripe.customers.update(customer.id, { name: "B" });
  await payIntent(stripe, "pm_card_visa");
  const [created] = (await stripe.events.list({ type: "customer.created" })).data;
  assert.deepEqual(created?.request, { id: customer.lastResponse.requestId, idempotency_key: "key-1" });
  const [updated] = (await stripe.events.list({ types: ["customer.updated"] })).data;
  assert.deepEqual(updated?.data.previous_attributes, { name: "A" });
  assert.equal((await stripe.events.list({ type: "customer.*" })).data.length, 2);
  await control("POST", "flush");
  const before = hook.received.length;
  const again = await fetch(`${stand.url}/v1/events/${created?.id}/retry`, {
    method: "POST",
    headers: { authorization: "Bearer sk_test_000000000000" },
    body: new URLSearchParams({ for_stripecli: "true" }),
  });
  assert.equal(again.status, 200);
  await again.body?.cancel();
  await control("POST", "flush");
  assert.equal(hook.received.length, before + 1);
  assert.equal(hook.received.at(-1)?.id, created?.id);
});

test("events: previous_attributes names what changed, unset values as null, and no change makes no event", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const previous = async (type: Stripe.Event["type"]) =>
    (await stripe.events.list({ type })).data.map(({ data }) => data.previous_attributes);
  const { id } = await stripe.customers.create({ name: "A", metadata: { kept: "1", old: "2" } });
  await stripe.customers.update(id, { email: "a@shop.test", address: { line1: "1 High St" } });
  await stripe.customers.update(id, { metadata: { old: "", new: "3" } });
  await stripe.customers.update(id, { name: "A" });
  assert.deepEqual(await previous("customer.updated"), [
    { metadata: { new: null, old: "2" } },
    { address: null, email: null },
  ]);
  const intent = await payIntent(stripe, "pm_card_createDispute");
  const [dispute] = (await stripe.disputes.list({ payment_intent: intent.id })).data;
  await stripe.disputes.update(dispute?.id ?? "", { evidence: { uncategorized_text: "mine" } });
  assert.deepEqual(await previous("charge.dispute.updated"), [{
    evidence: { uncategorized_text: null },
    evidence_details: { has_evidence: false, submission_count: 0, submission_method: "not_submitted" },
    status: "needs_response",
  }]);
});

test("the control API shows every delivery attempt, or as many as asked for", async () => {
  await using stand = await standIn();
  await using hook = new Receiver();
  const { stripe, control } = stand;
  await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["customer.created"] });
  await control("POST", "faults", { deliver: { duplicate: 100 } });
  for (let customer = 0; customer < 11; customer++) await stripe.customers.create({});
  await control("POST", "flush");
  assert.equal((await control<Shown>("GET", "deliveries")).body.deliveries.length, 1100);
  assert.equal((await control<Shown>("GET", "deliveries?limit=3")).body.deliveries.length, 3);
});

test("flush answers 504 while something cannot be delivered", async () => {
  await using stand = await standIn({ flushMs: 150, pace: { retryDelaysMs: [10_000] } });
  await using hook = new Receiver();
  hook.answer = () => new Response("no", { status: 500 });
  await stand.stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] });
  await stand.stripe.customers.create({});
  assert.equal((await stand.control("POST", "flush")).status, 504);
});
