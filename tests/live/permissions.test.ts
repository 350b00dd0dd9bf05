import assert from "node:assert/strict";
import Stripe from "stripe";
import { checkPermissions, probes } from "../../scripts/live/doctor/permissions.ts";
import type { Subject } from "../../scripts/live/doctor/subject.ts";
import { startStripe } from "../../scripts/stand-in/server.ts";
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";
import {
  keyCreationUrl,
  type KeyPermission,
  keyPermissions,
} from "../../supabase/functions/_shared/stripe/permissions.ts";
import { nonEmpty } from "../support/non_empty.ts";

const functions = new URL("../../supabase/functions/", import.meta.url);
const names = keyPermissions.map(({ name }) => name);

/** The permission that each call of the functions needs. */
const neededBy: Record<string, KeyPermission | "none that Stripe names"> = {
  "checkout.sessions.create": "rak_checkout_session_write",
  "checkout.sessions.expire": "rak_checkout_session_write",
  "checkout.sessions.list": "rak_checkout_session_write",
  "checkout.sessions.retrieve": "rak_checkout_session_write",
  "customers.create": "rak_customer_write",
  "customers.retrieve": "rak_customer_write",
  "customers.update": "rak_customer_write",
  "customers.del": "rak_customer_write",
  "paymentIntents.list": "rak_payment_intent_read",
  "paymentIntents.retrieve": "rak_payment_intent_read",
  "charges.list": "rak_charge_write",
  "charges.retrieve": "rak_charge_write",
  "refunds.create": "rak_charge_write",
  "refunds.list": "rak_charge_write",
  "refunds.retrieve": "rak_charge_write",
  "disputes.close": "rak_dispute_write",
  "disputes.list": "rak_dispute_write",
  "disputes.retrieve": "rak_dispute_write",
  "disputes.update": "rak_dispute_write",
  "reviews.list": "rak_review_read",
  "files.create": "rak_file_write",
  "reviews.retrieve": "rak_review_read",
  // Refused to a restricted key, it is done without: see reconcile_objects.ts.
  "radar.earlyFraudWarnings.list": "none that Stripe names",
  "events.list": "rak_event_read",
  "webhookEndpoints.list": "rak_webhook_read",
};

/** A key for each set of permissions: all of them, all but one, and some that are too many. */
const keyOf = (tag: string) => ["rk", "test", `Permissions${tag}`].join("_");
const restrictedKeys = {
  [keyOf("All")]: names,
  [keyOf("More")]: [...names, "rak_webhook_write"],
  ...Object.fromEntries(names.map((name, at) => [keyOf(`Without${at}`), names.filter((n) => n !== name)])),
};
const stand = await startStripe({ port: 0, dir: null, restrictedKeys });
Deno.test.afterAll(() => stand.stop());

const client = (key: string) => createStripe({ stripeSecretKey: key, stripeApiBase: new URL(stand.url) });

async function findings(key: string): Promise<string[]> {
  const subject = { env: { stripeSecretKey: key, livemode: false }, stripe: client(key), kind: "project" };
  return (await checkPermissions(subject as unknown as Subject)).map(({ level, what }) => `${level} ${what}`);
}

/** Texts of all modules of the functions. */
async function* modules(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* modules(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield await Deno.readTextFile(new URL(name, folder));
  }
}

Deno.test("the functions' key has the permissions that the calls in the code need, and no other", async () => {
  const calls = new Set<string>();
  for await (const text of modules(functions)) {
    const found = text.matchAll(/\bstripe\s*\.\s*((?:[a-z]\w+\s*\.\s*){1,2}[a-z]\w+)\s*\(/g);
    for (const [, call = ""] of found) calls.add(call.replaceAll(/\s/g, ""));
  }
  const ours = nonEmpty([...calls].filter((call) => !call.startsWith("webhooks.")));
  assert.deepEqual(ours.sort(), Object.keys(neededBy).sort());
  const needed = new Set(
    ours.map((call) => neededBy[call]).filter((name) => name !== "none that Stripe names"),
  );
  assert.deepEqual([...needed].sort(), [...names].sort());
});

Deno.test("with a permission taken away, what needs it is refused, and nothing else", async () => {
  for (const [at, name] of names.entries()) {
    const stripe = client(keyOf(`Without${at}`));
    for (const [probed, call] of Object.entries(probes)) {
      const refused = await call(stripe).then(
        () => false,
        (error) => error instanceof Stripe.errors.StripePermissionError,
      );
      assert.equal(refused, probed === name, `${probed} without ${name}`);
    }
  }
});

Deno.test("a restricted key may not read through expand[] what it may not read", async () => {
  const full = client(keyOf("Other"));
  const intent = await full.paymentIntents.create({
    amount: 1_000,
    currency: "usd",
    confirm: true,
    payment_method: "pm_card_visa",
    automatic_payment_methods: { enabled: true, allow_redirects: "never" },
  });
  const expanded = (key: string) =>
    client(key).paymentIntents.retrieve(intent.id, { expand: ["latest_charge"] });
  assert.equal((await expanded(keyOf("All"))).id, intent.id);
  const charge = names.indexOf("rak_charge_write");
  await assert.rejects(expanded(keyOf(`Without${charge}`)), /Having the 'rak_charge_read' permission/);
  await assert.rejects(
    client(keyOf("All")).radar.earlyFraudWarnings.list(),
    (error) => error instanceof Stripe.errors.StripePermissionError && error.statusCode === 403,
  );
  await assert.rejects(client(keyOf("All")).balance.retrieve(), /Having the 'rak_balance_read' permission/);
});

Deno.test("doctor names each permission that the key lacks, and what it has too many", async () => {
  assert.deepEqual(await findings(keyOf("All")), [
    "ok the restricted key has the rights that the functions need",
  ]);
  for (const [at, { resource, right }] of keyPermissions.entries()) {
    assert.deepEqual(await findings(keyOf(`Without${at}`)), [
      `error the restricted key lacks "${resource}: ${right}"`,
    ]);
  }
  assert.deepEqual(await findings(keyOf("More")), [
    "warning the restricted key may also write webhook endpoints",
  ]);
  assert.deepEqual(await findings(["sk", "test", "Permissions00"].join("_")), [
    "warning STRIPE_SECRET_KEY may do everything at Stripe",
  ]);
});

Deno.test("doctor vouches for no right that Stripe has said nothing of", async () => {
  await using unwell = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json({ error: { type: "api_error", message: "Too many requests" } }, { status: 429 }),
  );
  const key = keyOf("All");
  const stripe = new Stripe(key, {
    host: "127.0.0.1",
    port: unwell.addr.port,
    protocol: "http",
    maxNetworkRetries: 0,
  });
  const subject = { env: { stripeSecretKey: key, livemode: false }, stripe, kind: "project" };
  assert.deepEqual((await checkPermissions(subject as unknown as Subject)).map(({ what }) => what), [
    "of 13 rights it cannot be told whether the restricted key has them",
  ]);
});

Deno.test("docs/going-live.md names the permissions as they are", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/going-live.md", import.meta.url));
  for (const { resource, right } of keyPermissions) {
    assert.match(page, new RegExp(`\\| ${resource} +\\| ${right} `), resource);
  }
  assert.ok(page.includes(keyCreationUrl(true)), keyCreationUrl(true));
});
