import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { foreignEvent, stripeAddresses, webhookFunction } from "./webhook_function.ts";

const newAddress = "192.0.2.44";

Deno.test("the addresses that may post webhooks follow Stripe's published list", async (test) => {
  let published: () => Response = () => new Response(null, { status: 500 });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => published());
  await using stack = await testStack({
    env: { STRIPE_WEBHOOK_IPS_URL: `http://127.0.0.1:${server.addr.port}/ips.json` },
  });
  const { sql } = stack;
  const seeded = (await sql`select host(address) as address from stripe_webhook_ips order by address`)
    .map((row) => String(row["address"]));
  const listed = async () =>
    (await sql`select host(address) as address from stripe_webhook_ips order by address`).map((row) =>
      row["address"]
    );
  const refresh = async () => {
    const key = `refresh_webhook_addresses:${crypto.randomUUID()}`;
    await sql`select private.enqueue_job('refresh_webhook_addresses', ${key}, '{}')`;
    // The breaker of a failing provider would hold the next job back; here each answer is looked at by itself.
    await sql`delete from private.circuit_breakers`;
    const response = await fetch(`${stack.functions_url}/retry-jobs`, {
      method: "POST",
      headers: { "apikey": stack.secret_key, "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(response.status, 200, await response.text());
    const [job] = await sql`select status, last_error from private.jobs where dedupe_key = ${key}`;
    await sql`delete from private.jobs where dedupe_key = ${key}`;
    return { status: job?.["status"], error: String(job?.["last_error"]) };
  };

  await test.step("the migrations seed the published list", () => {
    for (const address of stripeAddresses) assert(seeded.includes(address));
  });

  const badAnswers: [string, () => Response][] = [
    ["an error page", () => new Response("down", { status: 503 })],
    ["a page that is no JSON", () => new Response("<html></html>")],
    ["another JSON", () => Response.json({ API: seeded })],
    ["an empty list", () => Response.json({ WEBHOOKS: [] })],
    [
      "a list with something that is no address",
      () => Response.json({ WEBHOOKS: [...seeded, "stripe.com"] }),
    ],
    ["a list of less than half the length", () => Response.json({ WEBHOOKS: seeded.slice(0, 5) })],
    ["a redirect to nowhere", () => Response.redirect("http://127.0.0.1:9/ips.json")],
  ];
  for (const [name, answer] of badAnswers) {
    await test.step(`${name} changes nothing and is tried again`, async () => {
      published = answer;
      const { status, error } = await refresh();
      assert.equal(status, "queued", error);
      assert.deepEqual(await listed(), seeded);
    });
  }

  await test.step("a new list is taken over, written down and told to staff; the receiver follows", async () => {
    const removed = seeded[0] ?? "";
    const local = webhookFunction(stack);
    assert.equal((await local.deliver(foreignEvent(), { address: removed })).status, 200);
    published = () => Response.json({ WEBHOOKS: [...seeded.slice(1), newAddress] });
    assert.deepEqual(await refresh(), { status: "done", error: "null" });
    assert((await listed()).includes(newAddress));
    const changes = await sql`select added, removed from private.webhook_address_changes`;
    assert.deepEqual([...changes], [{ added: [newAddress], removed: [removed] }]);
    const [alert] = await sql`select data from alerts where kind = 'webhook_addresses_changed'`;
    assert.deepEqual(alert?.["data"], { added: [newAddress], removed: [removed] });
    const fresh = webhookFunction(stack);
    assert.equal((await fresh.deliver(foreignEvent(), { address: newAddress })).status, 200);
    assert.equal((await fresh.deliver(foreignEvent(), { address: removed })).status, 403);
  });

  await test.step("the same list again is no change", async () => {
    assert.equal((await refresh()).status, "done");
    assert.equal((await sql`select 1 from private.webhook_address_changes`).length, 1);
  });
});
