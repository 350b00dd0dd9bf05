/** `deno task dev` as a developer meets it: start, stop, kill, wrong ports, wrong variables. */
import assert from "node:assert/strict";
import { DevProcess, partOf, processesOf } from "../support/dev_process.ts";
import { eventually } from "../support/poll.ts";
import { connect } from "../../scripts/lib/connection.ts";
import { type StackFile } from "../../scripts/lib/stack_file.ts";

const FILE_KEYS = [
  "api_url",
  "db_url",
  "functions_url",
  "pid",
  "publishable_key",
  "secret_key",
  "stripe_secret_key",
  "stripe_url",
  "stripe_webhook_secret",
  "web_url",
];

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "kct-dev-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Asks each part of a stack; returns the statuses. */
async function askAll(stack: StackFile): Promise<number[]> {
  const headers = { apikey: stack.publishable_key };
  const urls = [
    `${stack.functions_url}/health`,
    `${stack.api_url}/rest/v1/products?select=slug&limit=1`,
    `${stack.api_url}/auth/v1/.well-known/jwks.json`,
    `${stack.web_url}/store`,
  ];
  const statuses: number[] = [];
  for (const url of urls) {
    const response = await fetch(url, { headers });
    await response.body?.cancel();
    statuses.push(response.status);
  }
  const stripe = await fetch(`${stack.stripe_url}/v1/events`, {
    headers: { authorization: `Bearer ${stack.stripe_secret_key}` },
  });
  await stripe.body?.cancel();
  return [...statuses, stripe.status];
}

async function buyOne(stack: StackFile): Promise<{ order_id: string; session_id: string }> {
  const sql = connect(stack.db_url);
  const [variant] = await sql<{ sku: string }[]>`select v.sku from public.product_variants v
    join public.inventory_levels l on l.variant_id = v.id where v.active and l.on_hand - l.reserved > 0 limit 1`;
  await sql.end();
  const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
    method: "POST",
    headers: { apikey: stack.publishable_key, "content-type": "application/json" },
    body: JSON.stringify({ items: [{ sku: variant?.sku, quantity: 1 }] }),
  });
  const order = await response.json();
  assert.equal(response.status, 201, JSON.stringify(order));
  return order;
}

async function orderStatus(stack: StackFile, orderId: string): Promise<string | undefined> {
  const sql = connect(stack.db_url);
  try {
    const [order] = await sql<{ status: string }[]>`select status from public.orders where id = ${orderId}`;
    return order?.status;
  } finally {
    await sql.end();
  }
}

Deno.test({
  name: "two stacks run side by side, answer on all parts, and leave nothing behind after Ctrl-C",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using one = await temporaryFolder();
    await using two = await temporaryFolder();
    await using first = new DevProcess(one.path);
    await using second = new DevProcess(two.path);
    const stacks = [await first.ready(), await second.ready()];
    for (const stack of stacks) {
      assert.deepEqual(Object.keys(stack).sort(), FILE_KEYS);
      assert.deepEqual(await askAll(stack), [200, 200, 200, 200, 200]);
    }
    for (const [at, dev] of [first, second].entries()) {
      const stack = stacks[at];
      for (const url of [stack?.web_url, stack?.api_url, stack?.db_url]) {
        await eventually(`${url} to be printed`, () => dev.output.includes(url ?? "?"));
      }
      dev.pressCtrlC();
      assert.equal(await dev.ended, 0, dev.output);
      assert.deepEqual(await processesOf(dev.dir), []);
      await assert.rejects(Deno.stat(`${dev.dir}/stack.json`), Deno.errors.NotFound);
    }
  },
});

Deno.test({
  name:
    "killed with -9, no part stays; started again with another signing secret, the order, its session and its payment are there",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using dir = await temporaryFolder();
    const killed = new DevProcess(dir.path);
    const before = await killed.ready();
    const order = await buyOne(before);
    killed.signal("SIGKILL");
    await killed.ended;
    await eventually(
      "all parts to end by themselves",
      async () => (await processesOf(dir.path)).length === 0,
    );

    const secret = "whsec_of_the_second_start";
    await using again = new DevProcess(dir.path, { STRIPE_WEBHOOK_SECRETS: secret });
    const stack = await again.ready();
    assert.equal(stack.secret_key, before.secret_key, "keys are kept");
    assert.equal(stack.stripe_webhook_secret, secret);
    assert.equal(await orderStatus(stack, order.order_id), "pending");
    const paid = await fetch(`${stack.stripe_url}/_control/pay`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ session: order.session_id }),
    });
    assert.equal(paid.status, 200, await paid.text());
    await eventually(
      "the order to be paid",
      async () => (await orderStatus(stack, order.order_id)) === "paid",
    );
    const sql = connect(stack.db_url);
    const refused = await sql`select reason from public.webhook_rejections`;
    await sql.end();
    assert.deepEqual([...refused], []);
  },
});

Deno.test({
  name:
    "killed with -9 and started again at once on the same ports, it waits for the parts that are still ending",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using dir = await temporaryFolder();
    const killed = new DevProcess(dir.path);
    const before = await killed.ready();
    const gateway = await partOf(dir.path, "/gateway/main.ts");
    Deno.kill(gateway, "SIGSTOP");
    killed.signal("SIGKILL");
    await killed.ended;
    await using again = new DevProcess(dir.path, {
      LOCAL_API_PORT: new URL(before.api_url).port,
      LOCAL_STRIPE_PORT: new URL(before.stripe_url).port,
    });
    try {
      await eventually("it to wait", () => {
        assert.equal(again.code, null, again.output);
        return /^Waiting for the parts of a stack/m.test(again.output);
      });
    } finally {
      Deno.kill(gateway, "SIGCONT");
    }
    const stack = await again.ready();
    assert.equal(stack.api_url, before.api_url);
    assert.deepEqual(await askAll(stack), [200, 200, 200, 200, 200]);
  },
});

Deno.test({
  name: "Ctrl-C while it starts ends it without an error, and nothing stays behind",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using dir = await temporaryFolder();
    const dev = new DevProcess(dir.path);
    await eventually("it to start its parts", async () => (await processesOf(dir.path)).length > 2);
    dev.pressCtrlC();
    assert.equal(await dev.ended, 0, dev.output);
    assert.match(dev.output, /^Stopping \(SIGINT\)$/m);
    assert.deepEqual(await processesOf(dir.path), []);
    await assert.rejects(Deno.stat(`${dir.path}/stack.json`), Deno.errors.NotFound);
  },
});

Deno.test("--fresh drops the data and the keys", async () => {
  await using dir = await temporaryFolder();
  const first = new DevProcess(dir.path);
  const before = await first.ready();
  const order = await buyOne(before);
  first.signal("SIGTERM");
  assert.equal(await first.ended, 0, first.output);
  await using second = new DevProcess(dir.path, {}, ["--fresh"]);
  const stack = await second.ready();
  assert.notEqual(stack.secret_key, before.secret_key);
  assert.equal(await orderStatus(stack, order.order_id), undefined);
});

Deno.test("a taken port is named with the variable that moves it, and nothing stays behind", async () => {
  await using dir = await temporaryFolder();
  using holder = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  for (const variable of ["LOCAL_API_PORT", "LOCAL_DB_PORT", "LOCAL_WEB_PORT", "LOCAL_STRIPE_PORT"]) {
    await using dev = new DevProcess(dir.path, { [variable]: `${holder.addr.port}` });
    assert.equal(await dev.ended, 1);
    assert.match(dev.output, new RegExp(`Port ${holder.addr.port} .*${variable}`));
    if (Deno.build.os === "linux") assert.deepEqual(await processesOf(dir.path), []);
  }
});

Deno.test("a second stack in the same folder is refused", async () => {
  await using dir = await temporaryFolder();
  await using first = new DevProcess(dir.path);
  await first.ready();
  await using second = new DevProcess(dir.path);
  assert.equal(await second.ended, 1);
  assert.match(second.output, /Another stack runs in .*LOCAL_DIR/);
});

Deno.test("a half-written data folder is named with the fix", async () => {
  await using dir = await temporaryFolder();
  await Deno.mkdir(`${dir.path}/postgres/data`, { recursive: true });
  await using dev = new DevProcess(dir.path);
  assert.equal(await dev.ended, 1);
  assert.ok(dev.output.includes(`${dir.path}/postgres/data`) && dev.output.includes("--fresh"), dev.output);
});

Deno.test("a malformed variable stops the functions with its name in the log, never its value; REST goes on", async () => {
  await using dir = await temporaryFolder();
  const value = "not an address 4711";
  await using dev = new DevProcess(dir.path, { SITE_URL: value });
  const stack = await dev.ready();
  const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
    method: "POST",
    body: "{}",
  });
  const body = await response.text();
  assert.equal(response.status, 503);
  assert.ok(!body.includes(value));
  await eventually("the log to name the variable", () => dev.output.includes("SITE_URL"));
  assert.ok(!dev.output.includes(value));
  const rest = await fetch(`${stack.api_url}/rest/v1/products?limit=1`, {
    headers: { apikey: stack.publishable_key },
  });
  assert.equal(rest.status, 200);
  await rest.body?.cancel();
});

Deno.test("a Supabase project of the environment is left alone, wherever it is: the stack works on its own", async () => {
  await using dir = await temporaryFolder();
  const calls: string[] = [];
  await using other = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    calls.push(`${request.method} ${new URL(request.url).pathname}`);
    return Response.json({}, { status: 500 });
  });
  await using dev = new DevProcess(dir.path, {
    SUPABASE_URL: `http://127.0.0.1:${other.addr.port}`,
    SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_of_another_project"}',
    SUPABASE_SECRET_KEYS: '{"default":"sb_secret_of_another_project"}',
  });
  const stack = await dev.ready();
  const order = await buyOne(stack);
  assert.equal(await orderStatus(stack, order.order_id), "pending");
  const sql = connect(stack.db_url);
  try {
    await eventually("retry-jobs to have worked here", async () => {
      const [beat] = await sql`select from private.heartbeats where name = 'retry_jobs'`;
      return beat !== undefined;
    });
  } finally {
    await sql.end();
  }
  assert.deepEqual(calls, []);
  assert.ok(!JSON.stringify(stack).includes("another_project"));
  const foreign = await fetch(`${stack.api_url}/rest/v1/products`, {
    headers: { apikey: "sb_secret_of_another_project" },
  });
  await foreign.body?.cancel();
  assert.equal(foreign.status, 401);
});

Deno.test("unknown arguments are refused", async () => {
  await using dir = await temporaryFolder();
  await using dev = new DevProcess(dir.path, {}, ["--frehs"]);
  assert.equal(await dev.ended, 2);
  assert.match(dev.output, /--frehs.*--fresh/);
});
