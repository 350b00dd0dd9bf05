import assert from "node:assert/strict";
import postgres from "postgres";
import { migrate, preparePlatform } from "../../../scripts/local/migrate.ts";
import { startPostgres } from "../../../scripts/local/postgres.ts";
import { startStack } from "../../../scripts/local/stack.ts";
import { eventually } from "../../support/poll.ts";
import { foreignEvent, signedRequest } from "./webhook_function.ts";
import { nonEmpty } from "../../support/non_empty.ts";

Deno.test("with Postgres stopped and started again: 500 while it is away, and every event lands in the end", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kct-postgres-down-" });
  let server = await startPostgres({ dir: `${dir}/postgres`, port: 0 });
  await preparePlatform(server.url);
  await migrate(server.url);
  const stack = await startStack({ dir, quiet: true, jobs: false, web: false, databaseUrl: server.url });
  try {
    const deliver = async (event: object) => {
      const url = `${stack.functions_url}/stripe-webhook`;
      const response = await fetch(await signedRequest(event, { secret: stack.stripe_webhook_secret }, url));
      return { status: response.status, body: await response.json() };
    };
    const before = foreignEvent();
    assert.equal((await deliver(before)).status, 200);

    await server.stop();
    const during = Array.from({ length: 5 }, () => foreignEvent());
    for (const { status, body } of nonEmpty(await Promise.all(during.map(deliver)))) {
      assert.equal(status, 500);
      assert.equal(body.error.code, "not_recorded");
    }
    const headers = { "apikey": stack.publishable_key, "content-type": "application/json" };
    const health = await fetch(`${stack.functions_url}/health`, { headers });
    assert.equal(health.status, 503);
    assert.equal((await health.json()).status, "down");
    const checkout = await fetch(`${stack.functions_url}/create-checkout-session`, {
      method: "POST",
      headers,
      body: JSON.stringify({ items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }] }),
    });
    assert.equal(checkout.status, 503);
    assert.equal((await checkout.json()).error.code, "database_unavailable");

    server = await startPostgres({ dir: `${dir}/postgres`, port: server.port });
    await eventually("the functions to reach the database again", async () => {
      const response = await fetch(`${stack.functions_url}/health`, { headers });
      await response.body?.cancel();
      return response.status === 200;
    });
    // As Stripe does: what was not acknowledged comes again.
    for (const event of during) assert.equal((await deliver(event)).body.outcome, "ignored");
    assert.equal((await deliver(before)).body.outcome, "duplicate");
    const sql = postgres(server.url, { max: 1 });
    const [row] = await sql`select count(*)::int as events from webhook_events`;
    await sql.end();
    assert.equal(row?.["events"], 6);
  } finally {
    await stack.stop();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
});
