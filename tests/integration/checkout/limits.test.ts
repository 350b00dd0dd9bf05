import assert from "node:assert/strict";
import { resumeToken } from "../../../supabase/functions/_shared/checkout/resume_link.ts";
import { eventually } from "../../support/poll.ts";
import { testStack } from "../../support/stack.ts";
import { assertInvariants, checkout, control, flush, reopen, setAvailable, signUp } from "./shop.ts";

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

  await test.step("links to resume an order are limited as well, followed or taken up", async () => {
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
    const reopened = await reopen(stack, token);
    assert.deepEqual([reopened.status, reopened.body.error?.code], [429, "rate_limited"]);
  });
});

Deno.test("a payment page that tries card after card is closed at Stripe by the event that tells of it, without the job queue", async () => {
  await using stack = await testStack({ env: { VELOCITY_MODE: "enforce" } });
  const { body } = await checkout(stack, { customer_email: "tester@example.com" });
  const page = async () => {
    const [session] = await stack.sql<{ status: string }[]>`
      select status from public.checkout_sessions where id = ${body.session_id}`;
    return session?.status;
  };
  for (let card = 0; card < 8; card++) {
    const number = card % 2 === 0 ? "4000000000000002" : "4000000000009995";
    const declined = await control(stack, "pay", { session: body.session_id, card: number });
    assert.equal(declined.status, 402, await declined.text());
    await flush(stack);
  }
  await eventually("the page to be closed", async () => await page() === "expired");
  assert.equal(
    (await control(stack, "pay", { session: body.session_id, card: "4242424242424242" })).status,
    400,
  );
  await assertInvariants(stack);
});

Deno.test("who comes back to a page that asks for less than the rules do gets another one, by its key and by its link", async () => {
  await using stack = await testStack({
    env: { VELOCITY_MODE: "enforce", LINK_SIGNING_SECRET: linkSigningSecret },
  });
  await stack.sql`
    update private.velocity_rules set threshold = 2 where name in ('shop_declined_cards', 'order_declines')`;
  const key = crypto.randomUUID();
  const cart = { customer_email: "ada@example.com" };
  const byKey = (await checkout(stack, cart, { key })).body;
  const byLink = (await checkout(stack, { customer_email: "grace@example.com" })).body;
  const tester = (await checkout(stack, { customer_email: "tester@example.com" })).body;
  for (const card of ["4000000000000002", "4000000000009995"]) {
    assert.equal((await control(stack, "pay", { session: tester.session_id, card })).status, 402);
  }
  await flush(stack);

  const again = await checkout(stack, cart, { key });
  assert.deepEqual([again.status, again.body.order_id], [200, byKey.order_id]);
  const token = await resumeToken(byLink.order_id, Math.floor(Date.now() / 1000) + 60, { linkSigningSecret });
  const reopened = await reopen(stack, token);
  assert.equal(reopened.status, 200);
  const pages = await stack.sql<{ id: string; url: string; status: string; asks: string | null }[]>`
    select s.id, s.url, s.status, (select k.three_d_secure from public.order_risk k where k.order_id = o.id) as asks from public.checkout_sessions s
    join public.orders o on o.id = s.order_id where o.email <> 'tester@example.com'`;
  for (const [old, url] of [[byKey, again.body.url], [byLink, reopened.body.url]] as const) {
    assert.notEqual(url, old.url);
    assert.equal(pages.find(({ id }) => id === old.session_id)?.status, "expired");
    const page = pages.find((candidate) => candidate.url === url);
    assert.deepEqual([page?.status, page?.asks], ["open", "challenge"]);
  }
  const repeat = await checkout(stack, cart, { key });
  assert.equal(repeat.body.url, again.body.url, "which asks enough and stays");

  const testers = await resumeToken(tester.order_id, Math.floor(Date.now() / 1000) + 60, {
    linkSigningSecret,
  });
  const link = await fetch(`${stack.functions_url}/resume-checkout?token=${testers}`, { redirect: "manual" });
  await link.body?.cancel();
  assert.equal(
    new URL(link.headers.get("location") ?? "").searchParams.get("token"),
    testers,
    "not to the page",
  );
  const refused = await reopen(stack, testers);
  assert.deepEqual([refused.status, refused.body.error?.code], [429, "velocity_exceeded"]);
  assert.ok((refused.retryAfter ?? 0) > 0);
  await assertInvariants(stack);
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
