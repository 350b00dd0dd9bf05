import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { answeredMeanwhile, checkout, signUp } from "./shop.ts";

interface Turnstile extends AsyncDisposable {
  url: string;
  forms: Record<string, string>[];
  answer: (form: Record<string, string>) => Response | Promise<Response>;
}

/** Cloudflare's side of the check: a token is good once, or again with the same idempotency key. */
function startTurnstile(): Turnstile {
  const used = new Map<string, string>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const form = Object.fromEntries(
      [...await request.formData()].map(([name, value]) => [name, String(value)]),
    );
    turnstile.forms.push(form);
    return await turnstile.answer(form);
  });
  const turnstile: Turnstile = {
    url: `http://127.0.0.1:${server.addr.port}/turnstile/v0/siteverify`,
    forms: [],
    answer: (form) => {
      const token = form["response"] ?? "";
      const round = form["idempotency_key"] ?? crypto.randomUUID();
      const success = token.startsWith("human-") && (used.get(token) ?? round) === round;
      used.set(token, used.get(token) ?? round);
      return Response.json({ success, "error-codes": success ? [] : ["timeout-or-duplicate"] });
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return turnstile;
}

Deno.test("with CHECKOUT_TURNSTILE_SECRET a checkout needs the token of a solved check", async (test) => {
  await using turnstile = startTurnstile();
  const secret = `turnstile-${crypto.randomUUID()}`;
  await using stack = await testStack({
    env: { CHECKOUT_TURNSTILE_SECRET: secret, CHECKOUT_TURNSTILE_URL: turnstile.url },
  });

  await test.step("none, or a wrong one: 400 that names the field, and nothing is ordered", async () => {
    for (const token of [undefined, "robot"]) {
      const refused = await checkout(stack, token === undefined ? {} : { turnstile_token: token });
      assert.deepEqual([refused.status, refused.body.error.code], [400, "invalid_request"]);
      assert.equal(refused.body.error.details[0].path, "turnstile_token");
      assert.ok(!JSON.stringify(refused.body).includes(secret));
    }
    const [orders] = await stack.sql`select count(*)::int as count from public.orders`;
    assert.equal(orders?.["count"], 0);
  });

  await test.step("a good one passes with the secret and the caller's address; a repeat of the request may bring it again", async () => {
    const first = await checkout(stack, { turnstile_token: "human-1" }, { key: "cart-1" });
    assert.equal(first.status, 201, JSON.stringify(first.body));
    const form = turnstile.forms.at(-1);
    assert.deepEqual([form?.["secret"], form?.["remoteip"]], [secret, "127.0.0.1"]);
    assert.match(
      form?.["idempotency_key"] ?? "",
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    assert.equal((await checkout(stack, { turnstile_token: "human-1" }, { key: "cart-1" })).status, 200);
    assert.equal((await checkout(stack, { turnstile_token: "human-1" }, { key: "other" })).status, 400);
  });

  const verdicts: [string, number, Record<string, unknown>, number][] = [
    ["no, as a bad request", 400, { success: false, "error-codes": ["invalid-input-response"] }, 400],
    ["no, as forbidden", 403, { success: false, "error-codes": ["invalid-input-response"] }, 400],
    ["no, as a server's error", 500, { success: false, "error-codes": ["timeout-or-duplicate"] }, 400],
    ["yes, as a text", 200, { success: "true" }, 400],
    ["nothing, and does not like the request", 422, {}, 400],
    ["yes for another site", 200, { success: true, hostname: "evil.example" }, 400],
    ["yes for a sign-in", 200, { success: true, hostname: "127.0.0.1", action: "login" }, 400],
    ["yes for this checkout", 200, { success: true, hostname: "127.0.0.1", action: "checkout" }, 201],
    ["yes without a purpose", 200, { success: true, hostname: "localhost", action: "" }, 201],
    ["yes with its test keys", 200, {
      success: true,
      hostname: "example.com",
      metadata: { result_with_testing_key: true },
    }, 201],
    ["that our secret is wrong", 200, { success: false, "error-codes": ["invalid-input-secret"] }, 201],
    ["that it has trouble", 200, { success: false, "error-codes": ["internal-error"] }, 201],
  ];
  for (const [said, status, verdict, expected] of verdicts) {
    await test.step(`Cloudflare says ${said}: ${expected}`, async () => {
      const usual = turnstile.answer;
      turnstile.answer = () => Response.json(verdict, { status });
      const answer = await checkout(stack, { turnstile_token: "some-token" });
      turnstile.answer = usual;
      assert.equal(answer.status, expected, JSON.stringify(answer.body));
      if (expected === 400) assert.equal(answer.body.error.details[0].path, "turnstile_token");
    });
  }

  await test.step("one solved check pays for one shopper, also where several come with one key", async () => {
    const members = [await signUp(stack), await signUp(stack)];
    const statuses: number[] = [];
    for (const token of [members[0], members[1], undefined]) {
      const options = { key: "shared-key", ...(token === undefined ? {} : { token }) };
      statuses.push((await checkout(stack, { turnstile_token: "human-shared" }, options)).status);
    }
    assert.deepEqual(statuses, [201, 400, 400]);
  });

  for (
    const [trouble, answer] of [
      ["is down", () => new Response("", { status: 500 })],
      ["answers a page", () => new Response("<html>")],
      ["hangs", null],
    ] as const
  ) {
    await test.step(`while Cloudflare ${trouble}, shoppers pass`, async () => {
      const usual = turnstile.answer;
      const passed = await answeredMeanwhile((hang) => {
        turnstile.answer = answer ?? hang;
        return checkout(stack, { turnstile_token: "anything" });
      });
      turnstile.answer = usual;
      assert.equal(passed.status, 201, JSON.stringify(passed.body));
    });
  }
});
