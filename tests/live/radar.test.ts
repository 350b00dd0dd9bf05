import assert from "node:assert/strict";
import Stripe from "stripe";
import { fraudLists, syncFraudLists } from "../../scripts/live/radar.ts";
import { TaskError } from "../../scripts/lib/errors.ts";
import { startStripe } from "../../scripts/stand-in/server.ts";
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";

type Value = { item_type: string; value: string };
type Context = Parameters<typeof syncFraudLists>[0];

const stand = await startStripe({ port: 0, dir: null });
const stripe = createStripe({
  stripeSecretKey: ["sk", "test", "RadarTests000000"].join("_"),
  stripeApiBase: new URL(stand.url),
});
Deno.test.afterAll(() => stand.stop());

const fraud: Value[] = [
  ...Array.from({ length: 120 }, (_, n) => ({ item_type: "email", value: `buyer${n}@example.com` })),
  { item_type: "card_fingerprint", value: "aBcDeF0123456789" },
  { item_type: "ip_address", value: "203.0.113.7" },
];

async function sync(values: Value[], { dryRun = false, as = stripe } = {}) {
  const rpc = { getFraudValues: () => Promise.resolve(values) };
  const context = { rpc, stripe: as, env: { livemode: false, stripeAccountId: null } };
  const changes = await syncFraudLists(context as unknown as Context, { dryRun });
  return Object.fromEntries(
    changes.map(({ alias, known, added, removed }) => [alias, [known, added, removed]]),
  );
}

async function listed(alias: string): Promise<string[]> {
  const [list] = (await stripe.radar.valueLists.list({ alias })).data;
  if (list === undefined) return [];
  const values: string[] = [];
  for await (const { value } of stripe.radar.valueListItems.list({ value_list: list.id })) values.push(value);
  return values.sort();
}

Deno.test("radar: a dry run makes no list, a run makes them, and another changes nothing", async () => {
  const asked = { shop_fraud_email: [0, 120, 0], shop_fraud_card: [0, 1, 0], shop_fraud_ip: [0, 1, 0] };
  assert.deepEqual(await sync(fraud, { dryRun: true }), asked);
  for (const { alias } of fraudLists) assert.deepEqual(await listed(alias), []);
  assert.deepEqual(await sync(fraud), asked);
  assert.equal((await listed("shop_fraud_email")).length, 120);
  assert.deepEqual(await listed("shop_fraud_card"), ["aBcDeF0123456789"]);
  assert.deepEqual(await sync(fraud), {
    shop_fraud_email: [120, 0, 0],
    shop_fraud_card: [1, 0, 0],
    shop_fraud_ip: [1, 0, 0],
  });
});

Deno.test("radar: what is cleared leaves the lists, what is new comes, also when two run at once", async () => {
  const now = [...fraud.slice(1), { item_type: "ip_address", value: "2001:db8::7" }];
  assert.deepEqual((await sync(now, { dryRun: true })).shop_fraud_email, [120, 0, 1]);
  assert.equal((await listed("shop_fraud_email")).length, 120);
  await Promise.all([sync(now), sync(now)]);
  assert.equal((await listed("shop_fraud_email")).length, 119);
  assert.deepEqual(await listed("shop_fraud_ip"), ["2001:db8::7", "203.0.113.7"]);
});

Deno.test("radar: a key without the permission is told which one it needs", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () =>
      Response.json({ error: { type: "invalid_request_error", message: "no permission" } }, { status: 403 }),
  );
  try {
    const refused = createStripe({
      stripeSecretKey: ["rk", "test", "RadarTests000000"].join("_"),
      stripeApiBase: new URL(`http://127.0.0.1:${server.addr.port}`),
    });
    assert.ok(refused instanceof Stripe);
    await assert.rejects(
      sync(fraud, { as: refused }),
      (error) => error instanceof TaskError && /write access to Radar value lists/.test(error.message),
    );
  } finally {
    await server.shutdown();
  }
});
