import assert from "node:assert/strict";
import { resumeToken } from "../../../supabase/functions/_shared/checkout/resume_link.ts";
import { testStack } from "../../support/stack.ts";
import { assertInvariants, checkout, control, flush, setAvailable, signUp } from "./shop.ts";

const linkSigningSecret = `limits-${crypto.randomUUID()}`;

Deno.test("CHECKOUT_RATE_LIMIT is counted per address and account", async (test) => {
  await using stack = await testStack({
    env: { CHECKOUT_RATE_LIMIT: "4", LINK_SIGNING_SECRET: linkSigningSecret },
  });

  const ordersMade = async () => {
    const [orders] = await stack.sql<{ count: number }[]>`select count(*)::int as count from public.orders`;
    return orders?.count ?? 0;
  };

  await test.step("each in its own bucket, and not by the e-mail address, which anybody can type", async () => {
    await checkout(stack, { customer_email: "Ada@example.com" }, { token: await signUp(stack) });
    const rows = await stack.sql<{ key: string }[]>`select key from private.rate_limits order by key`;
    const keys = rows.map(({ key }) => key);
    assert.equal(keys.length, 2);
    assert.ok(keys.some((key) => /^checkout:user:[0-9a-f-]{36}$/.test(key)), keys.join());
    assert.ok(keys.includes("checkout:127.0.0.1"), keys.join());
  });

  await test.step("and over it the answer is 429 with Retry-After, and nothing is reserved", async () => {
    await stack.sql`delete from private.rate_limits`;
    const before = await ordersMade();
    const answers = [];
    for (let at = 0; at < 5; at++) {
      answers.push(await checkout(stack, { customer_email: `a${at}@example.com` }));
    }
    assert.deepEqual(answers.map(({ status }) => status), [201, 201, 201, 201, 429]);
    const refused = answers[4];
    assert.equal(refused?.body.error.code, "rate_limited");
    assert.ok((refused?.retryAfter ?? 0) >= 1 && (refused?.retryAfter ?? 0) <= 75, `${refused?.retryAfter}`);
    assert.equal(await ordersMade(), before + 4);
  });

  await test.step("links to resume an order are limited as well", async () => {
    const token = await resumeToken(crypto.randomUUID(), Math.floor(Date.now() / 1000) + 60, {
      linkSigningSecret,
    });
    const statuses = [];
    for (let at = 0; at < 5; at++) {
      const response = await fetch(`${stack.functions_url}/resume-checkout?token=${token}`);
      statuses.push(response.status);
      await response.body?.cancel();
    }
    assert.deepEqual(statuses, [404, 404, 404, 404, 429]);
  });
});

Deno.test("card testing over HTTP ends within ten carts, with 429 velocity_exceeded and one alert; 3D Secure is raised for a throw-away mailbox", async () => {
  await using stack = await testStack({ env: { VELOCITY_MODE: "enforce" } });
  await setAvailable(stack, "SHIRT-OXF-WHT-M", 200);
  const thrown = await checkout(stack, { customer_email: "x@mailinator.com" });
  const session = await (await fetch(`${stack.stripe_url}/v1/checkout/sessions/${thrown.body.session_id}`, {
    headers: { authorization: `Bearer ${stack.stripe_secret_key}` },
  })).json();
  assert.equal(session.payment_method_options?.card?.request_three_d_secure, "any");

  let passed = 0;
  let refused = null;
  while (passed < 100 && refused === null) {
    const answer = await checkout(stack, { customer_email: `tester${passed}@example.com` });
    if (answer.status === 429) refused = answer;
    else {
      assert.equal(answer.status, 201, JSON.stringify(answer.body));
      passed += 1;
      const card = passed % 2 === 0 ? "4000000000000002" : "4000000000009995";
      const declined = await control(stack, "pay", { session: answer.body.session_id, card });
      assert.equal(declined.status, 402, await declined.text());
      await flush(stack);
    }
  }
  assert.ok(passed <= 10, `${passed} carts got through`);
  assert.equal(refused?.body.error.code, "velocity_exceeded");
  assert.ok((refused?.retryAfter ?? 0) > 0);
  const alerts = await stack.sql`select severity from public.alerts where kind = 'velocity'`;
  assert.deepEqual(alerts.map((alert) => alert["severity"]), ["critical"]);
  await assertInvariants(stack);
});
