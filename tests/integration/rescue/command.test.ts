/** `deno task rescue` on its command line: what it says when it does not begin, and when another one has begun. */
import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { checkout } from "../jobs/shop.ts";

const script = new URL("../../../scripts/live/rescue.ts", import.meta.url).pathname;

Deno.test("deno task rescue says whether checkout is closed, and takes no other window than it was begun with", async (test) => {
  await using stack = await testStack();
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", script, ...args],
      env: { LOCAL_DIR: stack.dir, SUPABASE_URL: "", SUPABASE_SECRET_KEYS: "", STRIPE_SECRET_KEY: "" },
    }).output();
    const text = new TextDecoder();
    return { code, said: text.decode(stderr), told: text.decode(stdout) };
  };

  await test.step("a window that the database refuses changes nothing, and that is what it says", async () => {
    const { code, said } = await run("--stopped", "2020-01-01T00:00Z");
    assert.equal(code, 1);
    assert.match(said, /^Nothing was changed\n {2}a rescue cannot reach/);
    assert.deepEqual([...await stack.sql`select 1 from private.rescues`], []);
  });

  const [begun] = await stack.sql`
    select (public.begin_rescue(now() - interval '2 hours', now() - interval '1 minute')).since::text as since`;
  const since = new Date(begun?.["since"]).toISOString();

  await test.step("once begun, another window is refused, and names the one that was begun", async () => {
    for (
      const args of [["--since", "2020-01-01T00:00Z"], ["--since", since, "--stopped", since], [
        "--since",
        "2020-01-01T00:00Z",
        "--dry-run",
      ]]
    ) {
      const { code, said } = await run(...args);
      assert.equal(code, 1, said);
      assert.match(said, /^A rescue has begun with --since .*, and checkout is closed: /);
    }
    assert.deepEqual([...await stack.sql`select 1 from private.rescues where finished_at is not null`], []);
  });

  await test.step("the same window goes on to the end", async () => {
    assert.deepEqual((await run("--since", since)).code, 0);
    assert.equal((await stack.sql`select 1 from private.rescues where finished_at is not null`).length, 1);
  });

  await test.step("numbers that were given to others are named, also by the next run, and no others", async () => {
    await stack.sql`update private.settings set value = '"2026-"' where key = 'order_number_prefix'`;
    const order = await checkout(stack);
    assert.match(order.order_number, /^2026-/);
    assert.doesNotMatch((await run()).told, /Their numbers were given/);
    await stack.sql`update public.orders set number = number || '-2' where id = ${order.order_id}`;
    const { told } = await run();
    assert.match(told, new RegExp(`Their numbers were given to other orders .*: ${order.order_number}-2\\.`));
  });
});
