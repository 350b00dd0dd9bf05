import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { crashedCheckout, crashPoints } from "./crash_points.ts";
import {
  assertInvariants,
  checkout,
  control,
  endUnheard,
  flush,
  sessionsOf,
  setAvailable,
  signUp,
  stockOf,
  stripeApi,
} from "./shop.ts";

const sku = "SHIRT-OXF-WHT-M";
const items = [{ sku, quantity: 1 }];

Deno.test("checkout over HTTP happens once, whatever goes wrong on the way", async (test) => {
  await using stack = await testStack();

  await test.step("20 parallel clicks with one key: one order, one hold, one session, one answer", async () => {
    await setAvailable(stack, sku, 1);
    const before = await stockOf(stack, sku);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => checkout(stack, { items }, { key: "clicks" })),
    );
    assert.deepEqual(answers.map(({ status }) => status).filter((status) => status !== 200), [201]);
    const [first] = answers;
    assert.ok(first);
    for (const answer of answers) assert.deepEqual(answer.body, first.body);
    assert.deepEqual(await sessionsOf(stack, first.body.order_id), [{
      id: first.body.session_id,
      status: "open",
    }]);
    assert.equal((await stockOf(stack, sku)).reserved, before.reserved + 1);
    await setAvailable(stack, sku, 50);
  });

  for (const signedIn of [false, true]) {
    for (const point of crashPoints) {
      if (!signedIn && point.endsWith("customer")) continue;
      const who = signedIn ? "an account" : "a guest";
      await test.step(`the process of ${who} dies ${point}: the repeat completes the same order`, async () => {
        const token = signedIn ? await signUp(stack) : undefined;
        const key = crypto.randomUUID();
        const before = await stockOf(stack, sku);
        const request = {
          method: "POST",
          headers: {
            "apikey": stack.publishable_key,
            "content-type": "application/json",
            "idempotency-key": key,
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          },
          body: JSON.stringify({ items }),
        };
        await crashedCheckout(stack, request, point);
        const repeat = await checkout(stack, { items }, { key, ...(token === undefined ? {} : { token }) });
        assert.equal(repeat.status, point === "before begin" ? 201 : 200, JSON.stringify(repeat.body));
        const again = await checkout(stack, { items }, { key, ...(token === undefined ? {} : { token }) });
        assert.deepEqual([again.status, again.body], [200, repeat.body]);

        const sessions = await sessionsOf(stack, repeat.body.order_id);
        assert.deepEqual(sessions, [{ id: repeat.body.session_id, status: "open" }]);
        assert.equal((await stockOf(stack, sku)).reserved, before.reserved + 1);
        if (signedIn) {
          const { data } = await stripeApi(stack, "GET", "customers?limit=100");
          const [row] = await stack.sql<{ id: string; stripe_customer_id: string }[]>`
            select c.id, c.stripe_customer_id from public.orders o join public.customers c on c.id = o.customer_id
            where o.id = ${repeat.body.order_id}`;
          const made = (data as { id: string; metadata: Record<string, string> }[])
            .filter(({ metadata }) => metadata["customer_id"] === row?.id).map(({ id }) => id);
          assert.deepEqual(made, [row?.stripe_customer_id]);
        }
      });
    }
  }

  await test.step("Stripe fails twice, then works: 503, then the same order with the same key", async () => {
    await control(stack, "faults", { api: [{ match: "POST /v1/checkout/sessions", status: 500, times: 2 }] });
    const failed = await checkout(stack, { items }, { key: "outage" });
    assert.deepEqual([failed.status, failed.body.error.code], [503, "stripe_unavailable"]);
    assert.ok((failed.retryAfter ?? 0) >= 1);
    const worked = await checkout(stack, { items }, { key: "outage" });
    assert.equal(worked.status, 200);
    const [orders] = await stack.sql`
      select count(*)::int as count from public.orders where idempotency_key = 'guest:outage'`;
    assert.equal(orders?.["count"], 1);
    assert.equal((await sessionsOf(stack, worked.body.order_id)).length, 1);
  });

  await test.step("a failure that Stripe stored under the key does not stay for ever", async () => {
    await control(stack, "faults", {
      api: [{ match: "POST /v1/checkout/sessions", status: 500, times: 1, after: true }],
    });
    const answer = await checkout(stack, { items }, { key: "stored" });
    const worked = answer.status === 503 ? await checkout(stack, { items }, { key: "stored" }) : answer;
    assert.ok(worked.status === 200 || worked.status === 201, JSON.stringify(worked.body));
    assert.equal(
      (await sessionsOf(stack, worked.body.order_id)).filter(({ status }) => status === "open").length,
      1,
    );
  });

  await test.step("one key with another cart: 409, and nothing is made", async () => {
    const first = await checkout(stack, { items }, { key: "conflict" });
    const other = await checkout(stack, { items: [{ sku, quantity: 2 }] }, { key: "conflict" });
    assert.deepEqual([first.status, other.status, other.body.error.code], [201, 409, "idempotency_conflict"]);
  });

  await test.step("without a key, an account's identical cart of a moment ago is the same open session", async () => {
    const token = await signUp(stack);
    const clicks = await Promise.all([1, 2, 3].map(() => checkout(stack, { items }, { token })));
    assert.equal(new Set(clicks.map(({ body }) => body.session_id)).size, 1);
    const later = await checkout(stack, { items }, { token });
    assert.deepEqual([later.status, later.body.session_id], [200, clicks[0]?.body.session_id]);
  });

  await test.step("a changed cart ends the old page and frees its stock, even of the last unit", async () => {
    const token = await signUp(stack);
    await setAvailable(stack, sku, 1);
    const old = await checkout(stack, { items }, { token, key: "old" });
    assert.equal(old.status, 201);
    const changed = { items: [{ sku, quantity: 1 }, { sku: "SHIRT-OXF-BLU-M", quantity: 1 }] };
    const fresh = await checkout(stack, changed, { token, key: "new" });
    assert.equal(fresh.status, 201, JSON.stringify(fresh.body));
    assert.deepEqual((await sessionsOf(stack, old.body.order_id)).map(({ status }) => status), ["expired"]);
    const [order] = await stack.sql`select status from public.orders where id = ${old.body.order_id}`;
    assert.equal(order?.["status"], "expired");
    const stock = await stockOf(stack, sku);
    assert.equal(stock.on_hand, stock.reserved, "the last unit is held by the new order");
    await setAvailable(stack, sku, 50);
  });

  await test.step("a guest's changed cart does the same when it names the session it comes from", async () => {
    const old = await checkout(stack, { items });
    const fresh = await checkout(stack, {
      items: [{ sku, quantity: 2 }],
      previous_session_id: old.body.session_id,
    });
    assert.equal(fresh.status, 201);
    assert.deepEqual((await sessionsOf(stack, old.body.order_id)).map(({ status }) => status), ["expired"]);
    const same = await checkout(stack, {
      items: [{ sku, quantity: 2 }],
      previous_session_id: fresh.body.session_id,
    });
    assert.deepEqual([same.status, same.body.session_id], [200, fresh.body.session_id]);
  });

  await test.step("a session that is paid while the cart changes stays a paid order", async () => {
    const token = await signUp(stack);
    await control(stack, "faults", { deliver: { drop: 1 } });
    const old = await checkout(stack, { items }, { token, key: "paid-meanwhile" });
    assert.ok((await control(stack, "pay", { session: old.body.session_id })).ok);
    const fresh = await checkout(stack, { items: [{ sku, quantity: 2 }] }, { token, key: "next" });
    assert.equal(fresh.status, 201);
    const [order] = await stack.sql`select status from public.orders where id = ${old.body.order_id}`;
    assert.equal(order?.["status"], "paid");
    await fetch(`${stack.stripe_url}/_control/faults`, { method: "DELETE" });
  });

  await test.step("a page that Stripe does not know, since its account is another one, keeps nobody from the next cart", async () => {
    const token = await signUp(stack);
    const old = await checkout(stack, { items }, { token, key: "of-another-account" });
    await stack
      .sql`update public.checkout_sessions set id = 'cs_test_gone' where id = ${old.body.session_id}`;
    const fresh = await checkout(stack, { items: [{ sku, quantity: 2 }] }, { token, key: "of-this-account" });
    assert.equal(fresh.status, 201, JSON.stringify(fresh.body));
    await stack
      .sql`update public.checkout_sessions set id = ${old.body.session_id} where id = 'cs_test_gone'`;
  });

  await test.step("a paid key leads to the success page", async () => {
    const first = await checkout(stack, { items }, { key: "paid" });
    assert.ok((await control(stack, "pay", { session: first.body.session_id })).ok);
    await flush(stack);
    const repeat = await checkout(stack, { items }, { key: "paid" });
    assert.equal(repeat.status, 200);
    assert.ok(repeat.body.url.includes(`/success?session_id=${first.body.session_id}`));
  });

  await test.step("a key whose page has run out unheard leads to a new page, not to a dead end", async () => {
    const first = await checkout(stack, { items }, { key: "run-out" });
    await endUnheard(stack, first.body.session_id, async () => {
      const repeat = await checkout(stack, { items }, { key: "run-out" });
      assert.deepEqual([repeat.status, repeat.body.order_id], [200, first.body.order_id]);
      assert.notEqual(repeat.body.session_id, first.body.session_id);
      assert.ok(repeat.body.expires_at > Date.now() / 1000);
    });
  });

  await test.step("a key whose order staff have cancelled: 409, so that the shop takes a new key", async () => {
    const first = await checkout(stack, { items }, { key: "cancelled" });
    await stack.sql`select public.cancel_order(${first.body.order_number}, 'test')`;
    const repeat = await checkout(stack, { items }, { key: "cancelled" });
    assert.deepEqual([repeat.status, repeat.body.error.code], [409, "conflict"]);
  });

  await test.step("150 shoppers at once buy exactly the 20 units there are; the others get a clean 409", async () => {
    await setAvailable(stack, sku, 20);
    const buy = async (at: number, repeats = 10): ReturnType<typeof checkout> => {
      const body = { items: [{ sku, quantity: 1 }], customer_email: `s${at}@example.com` };
      const answer = await checkout(stack, body, { key: `sale-${at}` });
      // Where there is no time for all of them: as told, the same key again. What it had begun goes on as one order.
      if (answer.status === 503 && repeats > 0) return await buy(at, repeats - 1);
      return { ...answer, status: Math.max(answer.status, 201) };
    };
    const answers = await Promise.all(Array.from({ length: 150 }, (_, at) => buy(at)));
    const tally = Object.groupBy(answers, ({ status }) => String(status));
    assert.deepEqual(
      Object.fromEntries(Object.entries(tally).map(([status, some]) => [status, some?.length])),
      { 201: 20, 409: 130 },
      JSON.stringify(answers.find(({ status }) => status !== 201 && status !== 409)?.body),
    );
    for (const { body } of tally["409"] ?? []) {
      assert.equal(body.error.code, "insufficient_stock");
      assert.deepEqual(body.error.details, [{ sku, requested: 1, available: 0 }]);
    }
    const stock = await stockOf(stack, sku);
    assert.equal(stock.reserved, stock.on_hand);
    assert.equal(new Set((tally["201"] ?? []).map(({ body }) => body.session_id)).size, 20);
  });

  await assertInvariants(stack);
});
