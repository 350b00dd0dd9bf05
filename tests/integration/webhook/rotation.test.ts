import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { payOrder } from "./paid_order.ts";

interface Delivery {
  status: number | null;
}

Deno.test("rolling the endpoint's secret at Stripe under load refuses no delivery", async () => {
  const [first, second, third] = Array.from(
    { length: 3 },
    () => `whsec_${crypto.randomUUID().replaceAll("-", "")}`,
  );
  // The settings hold two secrets; the third one is rolled in at Stripe before anybody has deployed it.
  await using stack = await testStack({ env: { STRIPE_WEBHOOK_SECRETS: `${first},${second}` } });
  const stripe = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${stack.stripe_url}${path}`, {
      ...init,
      headers: { "authorization": `Bearer ${stack.stripe_secret_key}`, "content-type": "application/json" },
    });
    assert(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
    return await response.json();
  };
  const [endpoint] = (await stripe("/v1/webhook_endpoints")).data;
  const roll = (secret: string | undefined) =>
    stripe("/_control/roll_secret", {
      method: "POST",
      body: JSON.stringify({ webhook_endpoint: endpoint.id, secret }),
    });

  const orders = 24;
  let paid = 0;
  await Promise.all(Array.from({ length: 4 }, async () => {
    while (paid < orders) {
      paid += 1;
      if (paid === orders / 3) await roll(second);
      if (paid === (orders / 3) * 2) await roll(third);
      await payOrder(stack);
    }
  }));
  await stripe("/_control/flush", { method: "POST", body: "{}" });

  const { deliveries }: { deliveries: Delivery[] } = await stripe("/_control/deliveries");
  assert(deliveries.length >= orders * 3, `${deliveries.length} deliveries`);
  assert.deepEqual([...new Set(deliveries.map((delivery) => delivery.status))], [200]);
  assert.deepEqual([...await stack.sql`select reason from webhook_rejections`], []);
  const states = await stack.sql`select status, count(*)::int from orders group by status`;
  assert.deepEqual([...states], [{ status: "paid", count: orders }]);
  assert.deepEqual([...await stack.sql`select * from check_invariants()`], []);
});
