/** Functions over REST: arguments, results and refusals. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { localGateway } from "../support/gateway.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { SCHEMA } from "./rest_shelves.ts";

const database = await createTestDatabase();
await database.sql.unsafe(SCHEMA).simple();
const gateway = await localGateway(database.url);
const options = { auth: { persistSession: false, autoRefreshToken: false } };
const service = createClient(gateway.url, gateway.keys.secret_key, options);
const anon = createClient(gateway.url, gateway.keys.publishable_key, options);

Deno.test.afterAll(async () => {
  await gateway.stop();
  await database.drop();
});

async function pick(call: PromiseLike<{ status: number; data: unknown }>): Promise<unknown[]> {
  const { status, data } = await call;
  return [status, data];
}

async function refusal(
  call: PromiseLike<{ status: number; error: { code: string } | null }>,
): Promise<unknown[]> {
  const { status, error } = await call;
  return [status, error?.code];
}

Deno.test("rpc passes JSON, arrays, text and null through unchanged and runs as the caller's role", async () => {
  const value = { x: [1, "é", null, { "": false }], big: 12345678901 };
  const { data } = await service.rpc("echo", { p_a: value, p_c: [1, 2] });
  assert.deepEqual([data.a, data.b, data.c, data.role], [value, "x", [1, 2], "service_role"]);
  assert.deepEqual((await anon.rpc("echo", { p_a: [1, 2] })).data.a, [1, 2]);
  const text = (await anon.rpc("echo", { p_a: "text", p_b: null })).data;
  assert.deepEqual([text.a, text.b, text.role, text.claims], ["text", null, "anon", { role: "anon" }]);
});

Deno.test("keys do not reach the database", async () => {
  assert.equal((await service.rpc("echo", { p_a: 1 })).data.apikey, null);
});

Deno.test("rpc answers by the function's kind of result", async () => {
  assert.deepEqual(await pick(service.rpc("nothing")), [204, null]);
  assert.deepEqual(await pick(anon.rpc("numbers", { p_n: 3 })), [200, [1, 2, 3]]);
  const filtered = anon.rpc("count_to", { p_n: 3 }).select("number, word").gt("number", 1).order("number", {
    ascending: false,
  });
  assert.deepEqual(await pick(filtered), [200, [{ number: 3, word: "w3" }, { number: 2, word: "w2" }]]);
  assert.deepEqual(await pick(anon.rpc("count_to", { p_n: 1 }).single()), [200, { number: 1, word: "w1" }]);
  assert.deepEqual(await pick(anon.rpc("count_to", { p_n: 1 }, { get: true })), [200, [{
    number: 1,
    word: "w1",
  }]]);
  const shelf = await anon.rpc("first_shelf");
  assert.deepEqual([shelf.data.id, shelf.data.built_at], [1, "2026-01-01T00:00:00+00:00"]);
});

Deno.test("rpc answers one composite as an object, with nulls for none, and an array of them as they are", async () => {
  const yes = { word: "yes", n: 1, tags: ["a"] };
  assert.deepEqual((await anon.rpc("judge", { p_n: 1 })).data, yes);
  assert.deepEqual((await anon.rpc("judge", { p_n: 1 }).single()).data, yes, "asked for as one object");
  assert.deepEqual((await anon.rpc("judge", { p_n: 1 }).select("word")).data, { word: "yes" });
  assert.deepEqual((await anon.rpc("judge", { p_n: 0 })).data, { word: null, n: null, tags: null });
  assert.deepEqual((await anon.rpc("named")).data, { a: 1, b: "x" });
  const list = [{ word: "yes", n: 1, tags: null }, { word: "yes", n: 2, tags: null }];
  assert.deepEqual((await anon.rpc("verdicts", { p_n: 2 })).data, list);
  assert.deepEqual((await anon.rpc("verdicts", { p_n: 2 }).single()).data, list, "an array is one value");
  assert.equal((await anon.rpc("verdicts", { p_n: 0 })).data, null);
});

Deno.test("rpc refuses unknown, ambiguous and forbidden functions", async () => {
  assert.deepEqual(await refusal(anon.rpc("nope", { a: 1 })), [404, "PGRST202"]);
  assert.deepEqual(await refusal(anon.rpc("echo", { p_b: "p_a is missing" })), [404, "PGRST202"]);
  assert.deepEqual(await refusal(anon.rpc("twice", { p_a: 1 })), [300, "PGRST203"]);
  assert.deepEqual(await refusal(anon.rpc("staff_only")), [401, "42501"]);
});
