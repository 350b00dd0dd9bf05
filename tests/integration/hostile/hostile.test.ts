import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { eventOf, holdDeliveries, payOrder } from "../webhook/paid_order.ts";
import { type HostileRequest, hostileRequest, type Ingredients } from "./corpus.ts";
import { talk } from "./raw_http.ts";
import { nonEmpty } from "../../support/non_empty.ts";

const requests = Number(Deno.env.get("HOSTILE_REQUESTS") ?? 5_000);
const seed = Number(Deno.env.get("HOSTILE_SEED") ?? 1);
const lanes = 24;
/** Between two fifths, when caches are filled and code is compiled, and the end. */
const growthLimitBytes = 96 * 1024 * 1024;

type TestStack = Awaited<ReturnType<typeof testStack>>;

Deno.test(`${requests} hostile requests: never a 5xx, never a state change, memory flat (seed ${seed})`, async (test) => {
  await using stack = await testStack({ env: { STRIPE_WEBHOOK_EXTRA_IPS: "127.0.0.1,::1" } });
  await holdDeliveries(stack);
  const order = await payOrder(stack);
  const given: Ingredients = {
    webhookSecret: stack.stripe_webhook_secret,
    publishableKey: stack.publishable_key,
    secretKey: stack.secret_key,
    event: eventOf(order, "checkout.session.completed"),
  };
  // The event has not been delivered: a copy that got through would be seen to pay the order.
  const before = await businessState(stack);
  const slow = slowBodies(stack);
  const statuses = new Map<string, number>();
  let midway = 0;

  await test.step("generated requests", async () => {
    let next = 0;
    await Promise.all(Array.from({ length: lanes }, async () => {
      while (next < requests) {
        const index = next++;
        if (index === Math.floor(requests * 2 / 5)) midway = await memoryOf(stack);
        const request = await hostileRequest(seed, index, given);
        const status = await send(stack, request);
        assert(status < 500, `seed ${seed}, request ${index} (${request.recipe}): ${status}`);
        const line = `${request.recipe} ${status}`;
        statuses.set(line, (statuses.get(line) ?? 0) + 1);
      }
    }));
    assert(statuses.size > 15, "the corpus reaches many answers");
    // Only two recipes are authentic and may be taken in, and then only as something ignored.
    const accepted = [...statuses.keys()].filter((line) => /^(?!signed_|wrong_method).* 2\d\d$/.test(line));
    assert.deepEqual(accepted, []);
  });

  await test.step("requests that no client library would send", async () => {
    const { hostname, port } = new URL(stack.api_url);
    const head = (lines: string[]) =>
      ["POST /functions/v1/stripe-webhook HTTP/1.1", `Host: ${hostname}:${port}`, ...lines, "", ""].join(
        "\r\n",
      );
    const conversations = [
      head(["Content-Length: 2", "Stripe-Signature: t=1,v1=00", "Stripe-Signature: t=2,v1=11"]) + "{}",
      head(["Content-Length: 2", "Content-Length: 3"]) + "{}",
      head(["Content-Length: 2", "Transfer-Encoding: chunked"]) + "2\r\n{}\r\n0\r\n\r\n",
      head(["Transfer-Encoding: chunked"]) + "zz\r\n{}\r\n0\r\n\r\n",
      head(["Transfer-Encoding: chunked"]) + "ffffffffffffffff\r\n{}",
      head(["Content-Length: -1"]) + "{}",
      head(["Content-Length: 99999999999999999999"]) + "{}",
      head([`X-Long: ${"a".repeat(100_000)}`, "Content-Length: 0"]),
      head(["Content-Length: 2", "X-Nul: a\0b"]) + "{}",
      head(["Content-Length: 2", "No-Colon"]) + "{}",
      "GET /functions/v1/stripe-webhook\r\n\r\n",
      "\0\0\0\0\r\n\r\n",
      "POST /functions/v1/stripe-webhook HTTP/9.9\r\n\r\n",
    ];
    const answers = await Promise.all(conversations.map((text) => talk(stack.api_url, text, 3_000)));
    for (const [index, status] of answers.entries()) {
      assert(status === null || status < 500, `conversation ${index}: ${status}`);
    }
  });

  await test.step("bodies that trickle are given up on", async () => {
    for (const status of nonEmpty(await slow)) {
      assert(status === null || (status >= 400 && status < 500), `${status}`);
    }
  });

  await test.step("nothing changed", async () => {
    assert.deepEqual(await businessState(stack), before);
    const stored = await stack
      .sql`select id, status from webhook_events where status <> 'ignored' and status <> 'failed'`;
    assert.deepEqual([...stored], []);
  });

  await test.step("memory is flat", async () => {
    const after = await memoryOf(stack);
    assert(after - midway < growthLimitBytes, `grew from ${mb(midway)} to ${mb(after)} MB`);
    console.log(
      `    ${mb(midway)} MB after two fifths, ${mb(after)} MB at the end; ${statuses.size} kinds of answer`,
    );
  });

  await test.step("the shop still works", async () => {
    const { status } = await fetch(`${stack.functions_url}/health`);
    assert.equal(status, 200);
  });
});

async function send(stack: TestStack, request: HostileRequest): Promise<number> {
  const response = await fetch(`${stack.functions_url}/${request.path}`, {
    method: request.method,
    headers: request.headers,
    body: request.body as BodyInit | null,
    redirect: "manual",
  });
  await response.body?.cancel();
  return response.status;
}

/** Everything that an order, a stock level or a customer could change in. */
async function businessState({ sql }: TestStack): Promise<unknown> {
  const [row] = await sql`
    select
      (select jsonb_agg(to_jsonb(o) - 'updated_at' order by o.id) from orders o) as orders,
      (select jsonb_agg(to_jsonb(s) order by s.id) from checkout_sessions s) as sessions,
      (select jsonb_agg(to_jsonb(p) order by p.id) from payments p) as payments,
      (select jsonb_agg(to_jsonb(l) order by l.variant_id) from inventory_levels l) as levels,
      (select count(*) from order_events) as order_events,
      (select count(*) from notifications) as notifications,
      (select count(*) from customers) as customers,
      (select count(*) from refunds) as refunds`;
  return row;
}

/** Resident memory of the process that hosts the functions; Linux only, elsewhere 0 and nothing is asserted. */
async function memoryOf(stack: TestStack): Promise<number> {
  if (Deno.build.os !== "linux") return 0;
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const [command, environment] = await Promise.all(
      ["cmdline", "environ"].map((file) => Deno.readTextFile(`/proc/${name}/${file}`).catch(() => "")),
    );
    if (!command?.includes("gateway/main.ts") || !environment?.includes(`LOCAL_DIR=${stack.dir}\0`)) continue;
    const status = await Deno.readTextFile(`/proc/${name}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  }
  throw new Error("the functions' process was not found");
}

/** Connections that announce a body and send a byte of it; resolves to what each was answered. */
function slowBodies(stack: TestStack): Promise<(number | null)[]> {
  const { host } = new URL(stack.api_url);
  const head = (path: string, more: string[]) =>
    [
      `POST /functions/v1/${path} HTTP/1.1`,
      `Host: ${host}`,
      "Content-Type: application/json",
      ...more,
      "",
      "{",
    ].join("\r\n");
  const texts = [
    head("stripe-webhook", ["Content-Length: 1000", "Stripe-Signature: t=1,v1=00"]),
    head("stripe-webhook", ["Content-Length: 1000"]),
    head("create-checkout-session", ["Content-Length: 1000", `apikey: ${stack.publishable_key}`]),
    head("retry-jobs", ["Content-Length: 1000", `apikey: ${stack.secret_key}`]),
  ];
  return Promise.all(texts.map((text) => talk(stack.api_url, text, 20_000)));
}

function mb(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
