/** Ports that are free when they are chosen, and taken when they are used. */
import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/local/postgres.ts";
import { testStack } from "../support/stack.ts";

/** Somebody else takes the next port that is looked for, as soon as it is let go; returns which one it was. */
async function whileNextFreePortIsTaken<T>(work: () => Promise<T>): Promise<{ result: T; taken: number }> {
  const listen = Deno.listen;
  let holder: Deno.Listener | undefined;
  const listenAndKeep = (options: Deno.TcpListenOptions) => {
    const listener = listen(options);
    if (options.port !== 0 || holder !== undefined) return listener;
    holder = listener;
    return { addr: listener.addr, close: () => {} };
  };
  Deno.listen = listenAndKeep as typeof Deno.listen;
  try {
    const result = await work();
    assert.ok(holder !== undefined, "no free port was looked for");
    return { result, taken: (holder.addr as Deno.NetAddr).port };
  } finally {
    Deno.listen = listen;
    holder?.close();
  }
}

Deno.test("startPostgres() takes another free port when its choice is taken before the server listens", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kct-ports-" });
  const { result: server, taken } = await whileNextFreePortIsTaken(() => startPostgres({ dir, port: 0 }));
  assert.notEqual(server.port, taken);
  await server.stop();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("startStack() takes other free ports when one is taken before its part listens", async () => {
  const { result, taken } = await whileNextFreePortIsTaken(() => testStack());
  await using stack = result;
  for (const url of [stack.api_url, stack.stripe_url]) assert.notEqual(new URL(url).port, `${taken}`);
  const health = await fetch(`${stack.functions_url}/health`);
  assert.equal(health.status, 200, await health.text());
});
