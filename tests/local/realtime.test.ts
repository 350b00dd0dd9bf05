import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { localGateway } from "../support/gateway.ts";

Deno.test("the offline gateway says by name that it has no Realtime, over HTTP and on the socket", async (test) => {
  await using database = await createTestDatabase();
  const gateway = await localGateway(database.url);
  try {
    await test.step("a call", async () => {
      const response = await fetch(`${gateway.url}/realtime/v1/api/broadcast`, {
        method: "POST",
        body: "{}",
      });
      assert.equal(response.status, 501);
      assert.equal((await response.json()).code, "realtime_not_supported");
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
    });

    await test.step("a channel of supabase-js", async () => {
      const client = createClient(gateway.url, gateway.keys.publishable_key);
      const { promise, resolve } = Promise.withResolvers<[string, string]>();
      client.channel("order-page:1f").on("broadcast", { event: "changed" }, () => {})
        .subscribe((status, error) => resolve([status, error?.message ?? ""]));
      const [status, message] = await promise;
      await client.removeAllChannels();
      await client.realtime.disconnect();
      assert.equal(status, "CHANNEL_ERROR");
      assert.match(message, /^realtime_not_supported: .*polling/);
    });

    await test.step("a heartbeat, and what is no frame", async () => {
      const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/realtime/v1/websocket?vsn=1.0.0`);
      const next = () =>
        new Promise<MessageEvent>((resolve) => socket.addEventListener("message", resolve, { once: true }));
      await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
      const heard = next();
      socket.send(JSON.stringify({ topic: "phoenix", event: "heartbeat", payload: {}, ref: "1" }));
      const { ref, payload } = JSON.parse((await heard).data);
      assert.deepEqual([ref, payload.status], ["1", "ok"]);
      const closed = new Promise<CloseEvent>((resolve) =>
        socket.addEventListener("close", resolve, { once: true })
      );
      socket.send("null");
      assert.deepEqual([(await closed).code, (await closed).reason], [1003, "realtime_not_supported"]);
    });
  } finally {
    await gateway.stop();
  }
});
