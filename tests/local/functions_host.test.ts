import assert from "node:assert/strict";
import { localGateway } from "../support/gateway.ts";

const dir = await Deno.makeTempDir();
const functions: Record<string, string> = {
  mirror: `export default { fetch: async (request) => Response.json({
    url: request.url, method: request.method, headers: Object.fromEntries(request.headers), body: await request.text() }) };`,
  "no-boot": `throw new Error("the environment is not complete: SITE_URL is missing"); export default {};`,
  shapeless: `export const fetch = () => new Response("never");`,
  throws: `export default { fetch() { throw new Error("inner detail"); } };`,
};
for (const [name, source] of Object.entries(functions)) {
  await Deno.mkdir(`${dir}/${name}`);
  await Deno.writeTextFile(`${dir}/${name}/index.ts`, source);
}
await Deno.mkdir(`${dir}/_shared`);
await Deno.writeTextFile(
  `${dir}/_shared/index.ts`,
  "export default { fetch: () => new Response('secret') };",
);
const gateway = await localGateway("postgresql://postgres@127.0.0.1:1/none", dir);
const url = `${gateway.url}/functions/v1`;

Deno.test.afterAll(async () => {
  await gateway.stop();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a function gets the request with its path, method and body", async () => {
  const response = await fetch(`${url}/mirror/sub/path?a=1`, { method: "PUT", body: "hello" });
  const seen = await response.json();
  assert.deepEqual([new URL(seen.url).pathname, new URL(seen.url).search], ["/mirror/sub/path", "?a=1"]);
  assert.deepEqual([seen.method, seen.body], ["PUT", "hello"]);
});

Deno.test("the caller's address is written by the gateway, whatever the caller claims", async () => {
  const claims = {
    "cf-connecting-ip": "3.18.12.63",
    "x-real-ip": "3.18.12.63",
    "x-forwarded-for": "3.18.12.63, 1.1.1.1",
  };
  const { headers } = await (await fetch(`${url}/mirror`, { headers: claims })).json();
  assert.equal(headers["cf-connecting-ip"], "127.0.0.1");
  assert.equal(headers["x-real-ip"], "127.0.0.1");
  assert.equal(headers["x-forwarded-for"], "3.18.12.63, 1.1.1.1, 127.0.0.1");
});

Deno.test("a function that fails to start answers 503 and says why in the log only; others keep working", async () => {
  const response = await fetch(`${url}/no-boot`);
  const body = await response.text();
  assert.deepEqual([response.status, JSON.parse(body).code], [503, "BOOT_ERROR"]);
  assert.equal(body.includes("SITE_URL"), false);
  assert.ok(gateway.logged.some((line) => line.includes("no-boot") && line.includes("SITE_URL")));
  const other = await fetch(`${url}/mirror`);
  assert.equal(other.status, 200);
  await other.body?.cancel();
});

Deno.test("a function without export default { fetch } is named in the log", async () => {
  const response = await fetch(`${url}/shapeless`);
  assert.equal(response.status, 503);
  await response.body?.cancel();
  assert.ok(gateway.logged.some((line) => line.includes("export default { fetch }")));
});

Deno.test("a function that throws answers 500 without its inner detail", async () => {
  const response = await fetch(`${url}/throws`);
  const body = await response.text();
  assert.equal(response.status, 500);
  assert.equal(body.includes("inner detail"), false);
});

Deno.test("what is not a function is not found", async () => {
  for (const name of ["nope", "_shared", "..%2Fsecrets", ".hidden", ""]) {
    const response = await fetch(`${url}/${name}`);
    assert.equal(response.status, 404, name);
    await response.body?.cancel();
  }
});

Deno.test("REST answers 503 with Retry-After while the database is down", async () => {
  const response = await fetch(`${gateway.url}/rest/v1/orders`, {
    headers: { apikey: gateway.keys.secret_key },
  });
  assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
  assert.equal((await response.json()).code, "PGRST001");
});
