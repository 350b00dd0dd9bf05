/** Who stripe-webhook lets in: methods, sizes, addresses, signatures, limits. */
import assert from "node:assert/strict";
import { handle } from "../../supabase/functions/stripe-webhook/handler.ts";
import { errorOf, fixture } from "./fakes.ts";
import { deliver, foreignAddress, requestOf, secret, stripeAddress, World, world } from "./webhook_world.ts";

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
