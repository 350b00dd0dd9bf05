/** Web pages of elsewhere and the servers of this machine. */
import assert from "node:assert/strict";
import { type TestStack, testStack } from "../support/stack.ts";

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

async function ask(url: string, { method = "GET", headers = {}, body }: Asked): Promise<number> {
  // A client that may say another Host than the one it asks.
  using client = Deno.createHttpClient({ allowHost: true });
  const init = {
    client,
    method,
    headers,
    redirect: "manual" as const,
    ...(body === undefined ? {} : { body }),
  };
  const response = await fetch(url, init);
  await response.body?.cancel();
  return response.status;
}

/** What a raw request for a socket is answered; `fetch` may not send one. */
async function handshake(url: string, headers: Record<string, string>): Promise<number> {
  const { hostname, port, host, pathname } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  await connection.write(new TextEncoder().encode(`GET ${pathname} HTTP/1.1\r\n${lines.join("")}\r\n`));
  const start = new Uint8Array(64);
  const length = await connection.read(start);
  return Number(new TextDecoder().decode(start.subarray(0, length ?? 0)).split(" ")[1]);
}

Deno.test("servers of this machine", async (test) => {
  await using stack: TestStack = await testStack({ web: true });
  const places = [
    `${stack.web_url}/console`,
    `${stack.web_url}/inbox.json`,
    `${stack.web_url}/store`,
    `${stack.stripe_url}/_control/requests`,
    `${stack.stripe_url}/_control/deliveries`,
    `${stack.stripe_url}/c/pay/cs_test_x`,
    `${stack.stripe_url}/v1/events`,
    `${stack.functions_url}/health`,
    `${stack.api_url}/auth/v1/.well-known/jwks.json`,
    `${stack.api_url}/rest/v1/products`,
    `${stack.api_url}/`,
  ];
  await test.step("answer to no name but this machine's", async () => {
    for (const place of places) {
      const { port } = new URL(place);
      for (
        const host of [
          `evil.example:${port}`,
          `127.0.0.1.evil.example:${port}`,
          "evil.example",
          "localhost.:1",
        ]
      ) {
        assert.equal(await ask(place, { headers: { host } }), 403, `${place} as ${host}`);
      }
      for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
        assert.notEqual(await ask(place, { headers: { host } }), 403, `${place} as ${host}`);
      }
    }
  });

  await test.step("open no socket for a page of another site", async () => {
    const url = `${stack.stripe_url}/v1/stripecli/listen/made-up`;
    const upgrade = { connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
    const asked = { ...upgrade, "sec-websocket-key": btoa("sixteen bytes id") };
    assert.equal(await handshake(url, { ...asked, origin: "https://evil.example" }), 403);
    assert.notEqual(await handshake(url, asked), 403);
  });

  await test.step("change nothing for a page of another site, and what they should for everybody else", async () => {
    const calls: [string, string][] = [
      [`${stack.stripe_url}/_control/faults`, "{}"],
      [`${stack.web_url}/resend/_control/faults`, '{"status":500,"times":1}'],
    ];
    for (const [url, body] of calls) {
      const own = new URL(url).origin;
      const json = { "content-type": "application/json" };
      const post = (headers: Record<string, string>) =>
        ask(url, { method: "POST", headers: { ...json, ...headers }, body });
      const foreign: Record<string, string>[] = [
        { origin: "https://evil.example" },
        { origin: "null" },
        { origin: "http://localhost:3000" },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site", origin: "http://localhost:3000" },
        { "sec-fetch-site": "cross-site", origin: "https://evil.example", "content-type": "text/plain" },
      ];
      for (const headers of foreign) {
        assert.equal(await post(headers), 403, `${url} ${JSON.stringify(headers)}`);
      }
      assert.equal(await ask(url, { method: "DELETE", headers: { origin: "https://evil.example" } }), 403);
      const ours: Record<string, string>[] = [
        {},
        { origin: own },
        { origin: own, "sec-fetch-site": "same-origin" },
        { origin: "null", "sec-fetch-site": "same-origin" },
        { "sec-fetch-site": "none" },
      ];
      for (const headers of ours) assert.equal(await post(headers), 200, `${url} ${JSON.stringify(headers)}`);
      await ask(url, { method: "DELETE" });
    }
  });
});
