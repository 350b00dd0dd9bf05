import assert from "node:assert/strict";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
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

function pickError(error: { code: string; message: string; details: string; hint: string } | null) {
  return error === null
    ? null
    : { code: error.code, message: error.message, details: error.details, hint: error.hint };
}

Deno.test("select returns columns, aliases and JSON paths in the asked order", async () => {
  const { data } = await anon.from("shelves").select("id, title:name, z:data->k->>z").order("id", {
    ascending: false,
  });
  assert.deepEqual(data, [{ id: 2, title: "B", z: null }, { id: 1, title: 'A, "one"', z: "1" }]);
});

Deno.test("select embeds children and parents over foreign keys", async () => {
  const children = await anon.from("shelves").select("name, books(isbn)").eq("books.isbn", "S1").order("id");
  assert.deepEqual(children.data, [{ name: 'A, "one"', books: [{ isbn: "S1" }] }, { name: "B", books: [] }]);
  const parents = await anon.from("books").select("isbn, shelves!inner(name)").eq("shelves.name", "B");
  assert.deepEqual(parents.data, [{ isbn: "S3", shelves: { name: "B" } }]);
});

Deno.test("an unknown embedding is refused by name", async () => {
  const { error, status } = await anon.from("books").select("isbn, authors(name)");
  assert.deepEqual([status, error?.code], [400, "PGRST200"]);
});

Deno.test("filters compare, combine and quote as supabase-js sends them", async () => {
  const isbns = async (query: PromiseLike<{ data: { isbn: string }[] | null }>) =>
    (await query).data?.map((row) => row.isbn).sort().join();
  const books = () => anon.from("books").select("isbn");
  assert.equal(await isbns(books().or("isbn.eq.S1,and(price.gt.100,price.lte.200)")), "S1,S2");
  assert.equal(await isbns(books().in("isbn", ["S1", "S3"])), "S1,S3");
  assert.equal(await isbns(books().not("isbn", "in", "(S1,S3)")), "S2");
  assert.equal(await isbns(books().gte("price", 100).neq("isbn", "S1")), "S2");
  assert.equal(await isbns(books().ilike("isbn", "s%").lt("price", 6)), "S3");
  assert.equal(await isbns(books().is("price", null)), "");
  const named = await anon.from("shelves").select("id").or('name.in.("A, \\"one\\"","x")');
  assert.deepEqual(named.data, [{ id: 1 }]);
  const tagged = await anon.from("shelves").select("id").contains("tags", ["x"]);
  assert.deepEqual(tagged.data, [{ id: 1 }]);
});

Deno.test("filter values reach the database as values, never as SQL", async () => {
  const hostile = "x' or true --";
  const { data, error } = await anon.from("shelves").select("id").eq("name", hostile);
  assert.deepEqual([data, error], [[], null]);
  const column = await anon.from("shelves").select("id").eq('"name\\" or true --"', "x");
  assert.equal(column.error?.code, "42703");
  const grouped = await anon.from("shelves").select("id").or(`name.eq."${hostile}"`);
  assert.deepEqual([grouped.data, grouped.error], [[], null]);
});

Deno.test("row level security decides what anon sees", async () => {
  const { count } = await anon.from("shelves").select("*", { count: "exact", head: true });
  assert.equal(count, 2);
  assert.equal((await service.from("shelves").select("*", { count: "exact", head: true })).count, 3);
});

Deno.test("count=exact with a limit answers 206 and the range", async () => {
  const { status, count, data } = await anon.from("books").select("isbn", { count: "exact" }).order("isbn")
    .range(1, 1);
  assert.deepEqual([status, count, data], [206, 3, [{ isbn: "S2" }]]);
});

Deno.test("single() wants exactly one row, maybeSingle() at most one", async () => {
  const none = await anon.from("books").select().eq("id", 99).single();
  assert.deepEqual([none.status, none.error?.code], [406, "PGRST116"]);
  assert.equal((await anon.from("books").select().eq("id", 99).maybeSingle()).data, null);
  assert.equal((await anon.from("books").select("isbn").eq("isbn", "S1").single()).data?.isbn, "S1");
});

Deno.test("insert, upsert, update and delete return what they wrote", async () => {
  const inserted = await service.from("books").insert([{ shelf_id: 2, isbn: "N1" }, {
    shelf_id: 2,
    isbn: "N2",
  }]).select("isbn");
  assert.deepEqual([inserted.status, inserted.data], [201, [{ isbn: "N1" }, { isbn: "N2" }]]);
  const merged = await service.from("books").upsert({ shelf_id: 2, isbn: "N1", price: 7 }, {
    onConflict: "isbn",
  })
    .select("price").single();
  assert.equal(merged.data?.price, 7);
  const ignored = await service.from("books").upsert({ shelf_id: 2, isbn: "N1", price: 8 }, {
    onConflict: "isbn",
    ignoreDuplicates: true,
  }).select();
  assert.deepEqual(ignored.data, []);
  const updated = await service.from("books").update({ price: 9 }).eq("isbn", "N1").select("isbn, price");
  assert.deepEqual(updated.data, [{ isbn: "N1", price: 9 }]);
  const silent = await service.from("books").delete().eq("isbn", "N2");
  assert.deepEqual([silent.status, silent.data], [204, null]);
  const deleted = await service.from("books").delete().eq("isbn", "N1").select("isbn");
  assert.deepEqual(deleted.data, [{ isbn: "N1" }]);
});

Deno.test("a write without a filter is refused, as pg-safeupdate does", async () => {
  const { error, status } = await service.from("books").update({ price: 1 });
  assert.deepEqual([status, error?.code], [400, "21000"]);
});

Deno.test("a write that single() refuses leaves nothing behind", async () => {
  const { error } = await service.rpc("insert_and_fail", { p_name: "ghost" }).single();
  assert.equal(error?.code, "PGRST116");
  assert.deepEqual((await service.from("shelves").select("id").eq("name", "ghost")).data, []);
});

Deno.test("denied and broken writes answer with PostgREST's status and body", async () => {
  const denied = await anon.from("books").insert({ shelf_id: 1 });
  assert.deepEqual([denied.status, denied.error?.code], [401, "42501"]);
  const duplicate = await service.from("books").insert({ shelf_id: 1, isbn: "S1" });
  assert.deepEqual([duplicate.status, duplicate.error?.code], [409, "23505"]);
  assert.equal(duplicate.error?.details, "Key (isbn)=(S1) already exists.");
  const column = await service.from("books").insert({ nope: 1 });
  assert.deepEqual([column.status, column.error?.code], [400, "PGRST204"]);
  const table = await service.from("nope").select();
  assert.deepEqual([table.status, table.error?.code], [404, "42P01"]);
});

for (
  const [code, status] of [
    ["P0001", 400],
    ["SH001", 400],
    ["PT404", 404],
    ["PT429", 429],
    ["40001", 500],
    ["57014", 500],
    ["23505", 409],
    ["42501", 401],
    ["53300", 503],
  ] as const
) {
  Deno.test(`SQLSTATE ${code} raised by a function becomes ${status} with message, details and hint`, async () => {
    const { error, status: answered } = await anon.rpc("fail_with", { p_code: code });
    assert.equal(answered, status);
    assert.deepEqual(pickError(error), { code, message: "no", details: "because", hint: "try" });
  });
}

Deno.test("a changed schema is noticed without a restart", async () => {
  await database.sql`alter table public.books add column cover text`;
  const deadline = Date.now() + 10_000;
  let answer = await service.from("books").update({ cover: "hard" }).eq("isbn", "S1").select("cover");
  while (answer.error !== null && Date.now() < deadline) {
    answer = await service.from("books").update({ cover: "hard" }).eq("isbn", "S1").select("cover");
  }
  assert.deepEqual(answer.data, [{ cover: "hard" }]);
});

Deno.test("requests without a known key are refused before they reach the database", async () => {
  const call = (headers: Record<string, string>) => fetch(`${gateway.url}/rest/v1/books`, { headers });
  for (const headers of [{}, { apikey: "sb_publishable_wrong" }, { apikey: "" }]) {
    const response = await call(headers as Record<string, string>);
    assert.equal(response.status, 401);
    await response.body?.cancel();
  }
  const forged = await call({ apikey: gateway.keys.publishable_key, authorization: "Bearer a.b.c" });
  assert.deepEqual([forged.status, (await forged.json()).code], [401, "PGRST301"]);
});

Deno.test("what is not supported answers 501 and names the feature", async () => {
  const headers = { apikey: gateway.keys.publishable_key };
  for (
    const [path, feature] of [
      ["rest/v1/", "OpenAPI"],
      ["storage/v1/object", "storage"],
      ["auth/v1/factors", "factors"],
    ] as const
  ) {
    const response = await fetch(`${gateway.url}/${path}`, { headers });
    assert.equal(response.status, 501, path);
    assert.ok((await response.text()).includes(feature.replaceAll('"', '\\"')), path);
  }
});

Deno.test("schemas of config.toml are exposed, each under its own profile, and no other", async () => {
  const ask = (schema: string, client = service) => (client as SupabaseClient).schema(schema);
  const { error, status } = await ask("private").from("jobs").select();
  assert.deepEqual([status, error?.code, error?.message], [
    406,
    "PGRST106",
    "The schema must be one of the following: public, reporting",
  ]);
  const named = await ask("reporting").from("revenue_daily").select("day, orders", { count: "exact" });
  assert.deepEqual([named.status, named.data, named.count], [200, [], 0]);
  assert.equal((await ask("reporting").from("books").select()).error?.code, "42P01");
  assert.equal((await service.from("revenue_daily").select()).error?.code, "42P01");
  const found = await ask("reporting").rpc("find_order", { p_text: "ada@example.com" }).range(0, 9);
  assert.deepEqual([found.status, found.data], [200, []]);
  assert.equal((await service.rpc("find_order", { p_text: "x" })).error?.code, "PGRST202");
  assert.equal((await ask("reporting", anon).from("revenue_daily").select()).error?.code, "42501");
});

Deno.test("malformed bodies and queries are the caller's fault", async () => {
  const headers = { apikey: gateway.keys.secret_key, "content-type": "application/json" };
  const post = (path: string, body: string) =>
    fetch(`${gateway.url}/rest/v1/${path}`, { method: "POST", headers, body });
  for (
    const [path, body] of [["rpc/echo", "{"], ["rpc/echo", "[1]"], ["books", "[{},1]"], [
      "books",
      '[{"isbn":"a"},{}]',
    ]] as const
  ) {
    const response = await post(path, body);
    assert.deepEqual([response.status, (await response.json()).code], [400, "PGRST102"], body);
  }
  const query = await fetch(`${gateway.url}/rest/v1/books?order=id.down`, { headers });
  assert.deepEqual([query.status, (await query.json()).code], [400, "PGRST100"]);
});

Deno.test("max_rows of config.toml cuts reads, embedded lists and sets as PostgREST does, and no write", async (t) => {
  const capped = await localGateway(database.url, undefined, { maxRows: 3 });
  const capping = createClient(capped.url, capped.keys.secret_key, options);
  const names = ["c1", "c2", "c3", "c4", "c5"];
  try {
    await t.step("what is written is answered whole", async () => {
      const written = await capping.from("shelves").insert(names.map((name) => ({ name }))).select(
        "id, name",
      );
      assert.equal(written.data?.length, 5);
      const [first] = written.data ?? [];
      const books = names.map((isbn) => ({ isbn, shelf_id: first?.id }));
      assert.equal((await capping.from("books").insert(books).select("id")).data?.length, 5);
    });
    const ours = () =>
      capping.from("shelves").select("name", { count: "exact" }).in("name", names).order("name");
    await t.step("a read is cut, and its count says so", async () => {
      const { data, count, status } = await ours();
      assert.deepEqual([data?.map((row) => row.name), count, status], [["c1", "c2", "c3"], 5, 206]);
      assert.equal((await capping.from("shelves").select("name").in("name", names)).status, 200);
    });
    await t.step("a larger limit or range changes nothing, a smaller one counts", async () => {
      assert.equal((await ours().limit(1000)).data?.length, 3);
      assert.equal((await ours().range(0, 999)).data?.length, 3);
      assert.equal((await ours().limit(2)).data?.length, 2);
      assert.deepEqual((await ours().range(3, 999)).data?.map((row) => row.name), ["c4", "c5"]);
    });
    await t.step("a list embedded in a row is cut as well", async () => {
      const { data } = await capping.from("shelves").select("name, books(isbn)").eq("name", "c1").single();
      assert.equal(data?.books.length, 3);
    });
    await t.step("sets of rows and of values are cut", async () => {
      const rows = await capping.rpc("count_to", { p_n: 9 }, { count: "exact" });
      assert.deepEqual([rows.data?.length, rows.count], [3, 9]);
      const values = await capping.rpc("numbers", { p_n: 9 }, { count: "exact" });
      assert.deepEqual([values.data, values.count, values.status], [[1, 2, 3], 9, 206]);
      const [row] = (await capping.rpc("count_to", { p_n: 9 }, { count: "exact" }).gt("number", 7)).data ??
        [];
      assert.equal(row?.number, 8);
    });
    await t.step(
      "the Range header counts like limit and offset, together with them, and for GET only",
      async () => {
        const ask = async (query: string, range: string, method = "GET") => {
          const response = await fetch(
            `${capped.url}/rest/v1/shelves?select=name&name=like.c*&order=name${query}`,
            {
              method,
              headers: { apikey: capped.keys.secret_key, prefer: "count=exact", range },
            },
          );
          const text = await response.text();
          return [
            response.status,
            response.headers.get("content-range"),
            response.ok ? text : JSON.parse(text).code,
          ];
        };
        assert.deepEqual(await ask("", "1-1"), [206, "1-1/6", '[{"name":"c2"}]']);
        assert.deepEqual((await ask("", "0-99")).slice(0, 2), [206, "0-2/6"]);
        assert.deepEqual((await ask("&limit=2", "1-99")).slice(0, 2), [206, "1-1/6"]);
        assert.deepEqual((await ask("", "4-")).slice(0, 2), [206, "4-5/6"]);
        assert.deepEqual((await ask("", "4-5", "HEAD")).slice(0, 2), [206, "0-2/6"]);
        assert.deepEqual(await ask("", "7-9"), [416, "*/6", "PGRST103"]);
        assert.deepEqual(await ask("", "5-3"), [416, null, "PGRST103"]);
      },
    );
  } finally {
    await service.from("books").delete().in("isbn", names);
    await service.from("shelves").delete().in("name", names);
    await capped.stop();
  }
});
