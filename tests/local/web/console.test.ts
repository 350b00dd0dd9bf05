import assert from "node:assert/strict";
import { startWeb } from "../../../scripts/local/web/server.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";

Deno.test("console reads every list from the database, page by page", async (test) => {
  const database = await createTestDatabase("seeded");
  const dir = await Deno.makeTempDir({ prefix: "kct-web-" });
  const nowhere = "http://127.0.0.1:1";
  const web = await startWeb({
    port: 0,
    dir,
    apiUrl: nowhere,
    stripeUrl: nowhere,
    dbUrl: database.url,
    publishableKey: "sb_publishable_local",
    secretKey: "sb_secret_local",
  });
  const read = async (path: string) => {
    const response = await fetch(web.url + path);
    const text = await response.text();
    assert.equal(response.status, 200, path);
    assert.doesNotMatch(text, /refused the query|have not been applied/, path);
    return text;
  };
  try {
    await database.sql`
      insert into public.webhook_rejections (reason, source_ip, last_at)
      select 'reason ' || i || '.', '10.0.0.1', now() - make_interval(mins => i) from generate_series(1, 201) i`;
    for (const area of ["orders", "events", "queue", "alerts", "inventory"]) {
      await test.step(area, async () => {
        await read(`/console/${area}`);
        await read(`/console/${area}?page=2`);
      });
    }
    await test.step("the last row is on the second page, and a made-up page is the first", async () => {
      const first = await read("/console/events");
      assert.match(first, /reason 200\./);
      assert.doesNotMatch(first, /reason 201\./);
      const more = /href="([^"]+)" rel="next"/.exec(first)?.[1] ?? "";
      const second = await read(more);
      assert.match(second, /reason 201\./);
      assert.match(second, /201 to 201/);
      for (const page of ["0", "-1", "x", "1e99"]) {
        assert.match(await read(`/console/events?rejections=${page}`), /reason 1\./);
      }
    });
  } finally {
    await web.stop();
    await database.drop();
    await Deno.remove(dir, { recursive: true });
  }
});
