import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { stopClock } from "../../support/stopped_clock.ts";
import { hasRedis, startUpstash } from "../rate_limit/upstash_standin.ts";
import { signPayload } from "../../../supabase/functions/_shared/stripe/signature.ts";
import {
  foreignAddress,
  foreignEvent,
  signedRequest,
  stripeAddresses,
  type WebhookFunction,
  webhookFunction,
} from "./webhook_function.ts";

const burstSize = 1_000;

Deno.test("stripe-webhook under floods and bursts", async (test) => {
  await using stack = await testStack();
  const { sql } = stack;

  const forge = (local: WebhookFunction, address: string | null) =>
    local.deliver(foreignEvent(), { address, secret: "whsec_of_an_attacker" });
  const count = async () => Number((await sql`select count(*) from webhook_events`)[0]?.["count"]);

  await test.step("an attacker's 11th bad request is 429 without the database; what cannot be signed, without cryptography", async () => {
    const local = webhookFunction(stack, { STRIPE_WEBHOOK_IP_MODE: "report" });
    for (let index = 0; index < 10; index++) assert.equal((await forge(local, foreignAddress)).status, 400);
    const calls = local.calls.length;
    const unsigned = ["t=1,v1=00", "", `t=${Math.floor(Date.now() / 1000)},v0=00`];
    const impossible = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        signedRequest(foreignEvent(), {
          address: foreignAddress,
          secret: stack.stripe_webhook_secret,
          offsetSeconds: -3_600,
          ...(index % 2 === 0 ? { headers: { "stripe-signature": unsigned[index % 3] ?? "" } } : {}),
        })),
    );
    const { sign } = crypto.subtle;
    let hashed = 0;
    crypto.subtle.sign = (...args) => {
      hashed += 1;
      return sign.apply(crypto.subtle, args);
    };
    try {
      for (const request of impossible) assert.equal((await local.fetch(request)).status, 429);
      assert.equal(hashed, 0);
    } finally {
      crypto.subtle.sign = sign;
    }
    for (let index = 0; index < 100; index++) {
      const refused = await forge(local, foreignAddress);
      assert.equal(refused.status, 429);
      assert((Number(refused.headers.get("retry-after")) || 0) >= 1);
    }
    assert.equal(local.calls.length, calls);
  });

  await test.step("an authentic event is taken from an address that is shut out, where the list is not enforced", async () => {
    for (const mode of ["report", "off"]) {
      const local = webhookFunction(stack, { STRIPE_WEBHOOK_IP_MODE: mode });
      const address = `203.0.113.${mode.length}`;
      for (let index = 0; index < 11; index++) await forge(local, address);
      assert.equal((await forge(local, address)).status, 429);
      assert.equal((await local.deliver(foreignEvent(), { address })).status, 200);
    }
    const strict = webhookFunction(stack, { STRIPE_WEBHOOK_IP_MODE: "enforce" });
    for (let index = 0; index < 11; index++) await forge(strict, "203.0.113.77");
    assert.equal((await strict.deliver(foreignEvent(), { address: "203.0.113.77" })).status, 429);
  });

  await test.step("another worker knows the attacker from Postgres", async () => {
    const other = webhookFunction(stack, { STRIPE_WEBHOOK_IP_MODE: "report" });
    assert.equal((await forge(other, foreignAddress)).status, 429);
    assert(other.calls.includes("take_rate_limits"));
  });

  await test.step("1 000 genuine events from three addresses all land right after a forged flood", async () => {
    const local = webhookFunction(stack);
    // The flood spoofs hundreds of addresses and, in the headers a caller controls, Stripe's own.
    await inLanes(800, 16, async (index) => {
      const address = `198.51.${(index >> 8) & 255}.${index & 255}`;
      const response = await forge(local, address);
      assert([403, 429].includes(response.status), `${response.status}`);
    });
    for (let index = 0; index < 60; index++) await forge(local, stripeAddresses[index % 3] ?? null);
    const before = await count();
    const startedAt = performance.now();
    await inLanes(burstSize, 32, async (index) => {
      const response = await local.deliver(foreignEvent(), { address: stripeAddresses[index % 3] ?? null });
      assert.equal(response.status, 200, await response.text());
    });
    console.log(`    ${burstSize} events in ${Math.round(performance.now() - startedAt)} ms`);
    assert.equal(await count() - before, burstSize);
  });

  await test.step("a flood of spoofed addresses cannot fill the table of rejections", async () => {
    await sql`
      insert into webhook_rejections (reason, source_ip)
      select 'invalid_signature', '10.0.0.0'::inet + i from generate_series(1, 9990) as i`;
    await sql`
      select record_webhook_rejection('invalid_signature', host('10.1.0.0'::inet + i), 1)
      from generate_series(1, 510) as i`;
    const [row] = await sql`select count(*)::int as rows, sum(count)::int as total from webhook_rejections
      where source_ip << '10.0.0.0/8' or source_ip = '::'`;
    assert(Number(row?.["rows"]) <= 10_001, `${row?.["rows"]} rows`);
    assert(Number(row?.["total"]) >= 10_500, "none is lost");
  });

  await test.step("rolling the secret under load refuses nothing", async () => {
    const [old, fresh] = [stack.stripe_webhook_secret, "whsec_the_fresh_one"];
    const both = `${fresh},${old}`;
    // Stripe signs with old, with both for a day, then with fresh; the settings follow in between.
    const phases: { settings: string; signers: string[] }[] = [
      { settings: old, signers: [old] },
      { settings: old, signers: [old, fresh] },
      { settings: both, signers: [old, fresh] },
      { settings: both, signers: [fresh] },
      { settings: fresh, signers: [fresh] },
    ];
    const statuses = new Map<number, number>();
    for (const { settings, signers } of phases) {
      const local = webhookFunction(stack, { STRIPE_WEBHOOK_SECRETS: settings });
      await inLanes(60, 12, async () => {
        const response = await local.fetch(await signedByAll(foreignEvent(), signers));
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      });
    }
    assert.deepEqual([...statuses], [[200, 300]]);
  });

  const redisMissing = !await hasRedis();
  await test.step({
    name: "with Upstash the attacker is counted there, and the database is left alone",
    ignore: redisMissing,
    fn: async () => {
      await using upstash = await startUpstash();
      // Windows turn over at each full minute, and then let a request or two more through.
      using _clock = stopClock();
      const settings = {
        STRIPE_WEBHOOK_IP_MODE: "report",
        UPSTASH_REDIS_REST_URL: upstash.url,
        UPSTASH_REDIS_REST_TOKEN: upstash.token,
      };
      const [first, second] = [webhookFunction(stack, settings), webhookFunction(stack, settings)];
      for (let index = 0; index < 10; index++) assert.equal((await forge(first, "203.0.113.99")).status, 400);
      assert.equal((await forge(second, "203.0.113.99")).status, 429);
      assert(![...first.calls, ...second.calls].includes("take_rate_limits"));
      assert.equal((await second.deliver(foreignEvent())).status, 200);
    },
  });

  await test.step("with Redis hanging and Postgres down the memory of the worker still limits", async () => {
    const local = webhookFunction(
      { ...stack, api_url: "http://127.0.0.1:9" },
      {
        STRIPE_WEBHOOK_IP_MODE: "report",
        UPSTASH_REDIS_REST_URL: "http://127.0.0.1:9",
        UPSTASH_REDIS_REST_TOKEN: "t",
      },
    );
    for (let index = 0; index < 10; index++) assert.equal((await forge(local, foreignAddress)).status, 400);
    assert.equal((await forge(local, foreignAddress)).status, 429);
  });
});

/** Runs `work` for 0 … count - 1, `lanes` at a time. */
async function inLanes(count: number, lanes: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: lanes }, async () => {
    while (next < count) await work(next++);
  }));
}

async function signedByAll(event: object, secrets: string[]): Promise<Request> {
  const body = JSON.stringify(event);
  const time = Math.floor(Date.now() / 1000);
  const signed = await Promise.all(
    secrets.map((secret) => signPayload(new TextEncoder().encode(body), secret, time)),
  );
  const signature = [`t=${time}`, ...signed.map((header) => header.split(",")[1])].join(",");
  return new Request("http://functions.example/stripe-webhook", {
    method: "POST",
    body,
    headers: { "stripe-signature": signature, "cf-connecting-ip": stripeAddresses[0] },
  });
}
