import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import type Stripe from "stripe";
import type { EventOutcome, ReceivedEvent } from "../../supabase/functions/_shared/database/events.ts";
import type { Fact } from "../../supabase/functions/_shared/stripe_events/facts.ts";
import { endSessions } from "../../supabase/functions/stripe-webhook/end_sessions.ts";
import { signPayload } from "../../supabase/functions/_shared/stripe/signature.ts";
import { type Deps, handle } from "../../supabase/functions/stripe-webhook/handler.ts";
import { createRejections } from "../../supabase/functions/stripe-webhook/rejections.ts";
import { createMemoryLimiter } from "../../supabase/functions/_shared/limits/rate_limit.ts";
import { down as stripeDown, orderId, stripeRefusal } from "./checkout_world.ts";
import { errorOf, fakeCall, fixedClock, fixture, keptLog, testEnv } from "./fakes.ts";

const secret = "whsec_unit_tests";
const stripeAddress = "3.18.12.63";
const foreignAddress = "203.0.113.7";

interface World {
  deps: Deps;
  received: ReceivedEvent[];
  rejected: [string, string | null, number][];
  ended: string[];
  lines: Record<string, unknown>[];
  clock: ReturnType<typeof fixedClock>;
}

function outcomeOf(changes: Partial<EventOutcome> = {}): EventOutcome {
  return {
    outcome: "applied",
    reason: null,
    delivery_count: 1,
    order_ids: [],
    closing_sessions: [],
    ...changes,
  };
}

function world(changes: {
  mode?: "enforce" | "report" | "off";
  secrets?: string[];
  livemode?: boolean;
  accountId?: string;
  membership?: "listed" | "unlisted" | "unknown";
  receive?: () => Promise<EventOutcome>;
} = {}): World {
  const clock = fixedClock();
  const { log, lines } = keptLog();
  const received: ReceivedEvent[] = [];
  const rejected: World["rejected"] = [];
  const ended: string[] = [];
  const rpc = {
    receiveStripeEvent: (event: ReceivedEvent) => {
      received.push(event);
      return changes.receive?.() ?? Promise.resolve(outcomeOf());
    },
    recordWebhookRejection: (reason: string, address: string | null, count: number) => {
      rejected.push([reason, address, count]);
      return Promise.resolve();
    },
  };
  const limiter = createMemoryLimiter({ now: clock.now });
  const deps: Deps = {
    env: {
      livemode: changes.livemode ?? false,
      stripeAccountId: changes.accountId ?? null,
      stripeWebhookSecrets: changes.secrets ?? [secret],
      stripeWebhookIpMode: changes.mode ?? "enforce",
    },
    rpc,
    allowlist: {
      check: (address) =>
        Promise.resolve(changes.membership ?? (address === stripeAddress ? "listed" : "unlisted")),
    },
    rejections: createRejections({ rpc, limiter, limitPerMinute: 10, log, now: clock.now, later: () => {} }),
    endSessions: (ids) => ended.push(...ids),
    log,
    now: clock.now,
  };
  return { deps, received, rejected, ended, lines, clock };
}

interface Delivery {
  body?: BodyInit;
  signature?: string | null;
  address?: string | null;
  method?: string;
}

function requestOf(
  { body = "{}", signature = null, address = stripeAddress, method = "POST" }: Delivery,
): Request {
  const headers = new Headers({ "content-type": "application/json" });
  if (signature !== null) headers.set("stripe-signature", signature);
  if (address !== null) headers.set("cf-connecting-ip", address);
  return new Request("http://functions.example/stripe-webhook", {
    method,
    headers,
    ...(method === "POST" ? { body } : {}),
  });
}

async function deliver(
  { deps, clock }: World,
  event: unknown,
  { address = stripeAddress, signer = secret, at = 0 }: {
    address?: string | null;
    signer?: string;
    at?: number;
  } = {},
): Promise<Response> {
  const body = typeof event === "string" ? event : JSON.stringify(event);
  const signature = await signPayload(
    new TextEncoder().encode(body),
    signer,
    Math.floor(clock.now() / 1000) + at,
  );
  return await handle(requestOf({ body, signature, address }), deps);
}

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

Deno.test("stripe-webhook answers 405 to other methods", async () => {
  assert.equal((await handle(requestOf({ method: "GET" }), world().deps)).status, 405);
});

Deno.test("stripe-webhook answers 413 past one MiB, before it looks at the signature", async () => {
  const here = world();
  const response = await handle(requestOf({ body: new Uint8Array(1024 * 1024 + 1) }), here.deps);
  assert.equal(response.status, 413);
  assert.equal((await errorOf(response)).code, "body_too_large");
});

Deno.test("stripe-webhook in enforce mode refuses an address that is not Stripe's, with a valid signature too", async () => {
  const here = world();
  const response = await deliver(here, await fixture("charge.succeeded"), { address: foreignAddress });
  assert.equal(response.status, 403);
  assert.equal((await errorOf(response)).code, "ip_not_allowed");
  assert.deepEqual(here.received, []);
  assert.deepEqual(here.rejected, [["ip_not_allowed", foreignAddress, 1]]);
});

Deno.test("stripe-webhook in report mode takes the event and raises an alert", async () => {
  const here = world({ mode: "report" });
  const response = await deliver(here, await fixture("charge.succeeded"), { address: foreignAddress });
  assert.equal(response.status, 200);
  assert.equal(here.received[0]?.p_alerts[0]?.kind, "webhook_address_unlisted");
  assert(here.lines.some((line) => line["message"] === "webhook_address_unlisted"));
});

Deno.test("stripe-webhook in off mode takes the event in silence", async () => {
  const here = world({ mode: "off" });
  assert.equal(
    (await deliver(here, await fixture("charge.succeeded"), { address: foreignAddress })).status,
    200,
  );
  assert.deepEqual(here.received[0]?.p_alerts, []);
});

Deno.test("stripe-webhook without any address lets a valid signature pass, with an alert", async () => {
  const here = world();
  assert.equal((await deliver(here, await fixture("charge.succeeded"), { address: null })).status, 200);
  assert.equal(here.received[0]?.p_source_ip, null);
  assert.equal(here.received[0]?.p_alerts[0]?.kind, "webhook_address_unknown");
});

Deno.test("stripe-webhook stays open when the list could not be loaded", async () => {
  const here = world({ membership: "unknown" });
  assert.equal(
    (await deliver(here, await fixture("charge.succeeded"), { address: foreignAddress })).status,
    200,
  );
});

const refusals: [string, (here: World) => Promise<Response>, string][] = [
  ["no signature", ({ deps }) => handle(requestOf({}), deps), "missing_signature"],
  ["a foreign secret", (here) => deliver(here, "{}", { signer: "whsec_foreign_one" }), "invalid_signature"],
  ["an old capture", (here) => deliver(here, "{}", { at: -301 }), "timestamp_out_of_tolerance"],
  ["a future time", (here) => deliver(here, "{}", { at: 301 }), "timestamp_out_of_tolerance"],
  ["signed nonsense", (here) => deliver(here, "nonsense"), "invalid_payload"],
  ["a signed array", (here) => deliver(here, "[]"), "invalid_payload"],
  ["a signed object that is no event", (here) => deliver(here, "{}"), "invalid_payload"],
  [
    "a signed pit",
    (here) => deliver(here, `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`),
    "invalid_payload",
  ],
];

for (const [name, send, code] of refusals) {
  Deno.test(`stripe-webhook refuses ${name} with 400 ${code} and stores nothing`, async () => {
    const here = world();
    const response = await send(here);
    assert.equal(response.status, 400);
    assert.equal((await errorOf(response)).code, code);
    assert.deepEqual(here.received, []);
    assert.deepEqual(here.rejected, [[code, stripeAddress, 1]]);
  });
}

Deno.test("stripe-webhook takes either secret while one is rolled", async () => {
  const here = world({ secrets: ["whsec_the_new_one", secret] });
  assert.equal((await deliver(here, await fixture("charge.succeeded"))).status, 200);
  assert.equal(
    (await deliver(here, await fixture("charge.succeeded"), { signer: "whsec_the_new_one" })).status,
    200,
  );
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

Deno.test("stripe-webhook answers an attacker's 11th bad request in a minute with 429, without bookkeeping", async () => {
  const here = world();
  const bad = () => handle(requestOf({ address: foreignAddress, signature: "t=1,v1=00" }), here.deps);
  for (let index = 0; index < 10; index++) assert.equal((await bad()).status, 403);
  const eleventh = await bad();
  assert.equal(eleventh.status, 429);
  assert.match(eleventh.headers.get("retry-after") ?? "", /^\d+$/);
  assert.equal(here.rejected.length, 10);
  here.clock.advance(61_000);
  assert.equal((await bad()).status, 403, "the next minute starts afresh");
});

Deno.test("stripe-webhook reads no body of an address that is not Stripe's or has failed too often", async () => {
  for (const [mode, refused] of [["enforce", 403], ["report", 400]] as const) {
    const here = world({ mode });
    const from = () => {
      const request = requestOf({ body: "x".repeat(1000), address: foreignAddress, signature: "t=1,v1=00" });
      return { request, response: handle(request, here.deps) };
    };
    for (let index = 0; index < 10; index++) {
      const { request, response } = from();
      assert.equal((await response).status, refused);
      assert.equal(request.bodyUsed, mode === "report");
    }
    const { request, response } = from();
    assert.equal((await response).status, 429);
    assert.equal(request.bodyUsed, false);
  }
});

Deno.test("stripe-webhook never limits addresses of Stripe's, also after bad requests from them", async () => {
  const here = world();
  for (let index = 0; index < 30; index++) {
    assert.equal((await handle(requestOf({ signature: "t=1,v1=00" }), here.deps)).status, 400);
  }
  assert.equal((await deliver(here, await fixture("charge.succeeded"))).status, 200);
});

Deno.test("stripe-webhook limits bad requests without an address together, and still lets a valid signature pass", async () => {
  const here = world();
  const bad = () => handle(requestOf({ address: null, signature: "t=1,v1=00" }), here.deps);
  for (let index = 0; index < 10; index++) assert.equal((await bad()).status, 400);
  assert.equal((await bad()).status, 429);
  assert.equal((await deliver(here, await fixture("charge.succeeded"), { address: null })).status, 200);
});
