import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { assertInvariants, checkout, control, flush, signUp, stripeApi } from "./shop.ts";

Deno.test("an account has one Stripe customer", async (test) => {
  await using stack = await testStack();
  const customersAtStripe = async (): Promise<{ id: string; email: string }[]> =>
    (await stripeApi(stack, "GET", "customers?limit=100")).data;
  const sessionCustomer = async (sessionId: string): Promise<string> =>
    (await stripeApi(stack, "GET", `checkout/sessions/${sessionId}`)).customer;

  await test.step("although its first checkouts come side by side", async () => {
    const token = await signUp(stack, "twins@example.com");
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, at) => checkout(stack, {}, { token, key: `twin-${at}` })),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
    const made = (await customersAtStripe()).filter(({ email }) => email === "twins@example.com");
    assert.equal(made.length, 1);
    const customers = await Promise.all(answers.map(({ body }) => sessionCustomer(body.session_id)));
    assert.deepEqual(new Set(customers), new Set([made[0]?.id]));
  });

  for (const told of [true, false]) {
    await test.step(`that is made anew when somebody deletes it in Stripe, ${told ? "and" : "before"} we hear of it`, async () => {
      const email = `deleted-${told}@example.com`;
      const token = await signUp(stack, email);
      const first = await checkout(stack, {}, { token, key: `a-${told}` });
      const old = await sessionCustomer(first.body.session_id);
      if (!told) await control(stack, "faults", { deliver: { drop: 1 } });
      await stripeApi(stack, "DELETE", `customers/${old}`);
      if (told) await flush(stack);
      const second = await checkout(stack, { items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }] }, {
        token,
        key: `b-${told}`,
      });
      assert.equal(second.status, 201, JSON.stringify(second.body));
      const fresh = await sessionCustomer(second.body.session_id);
      assert.notEqual(fresh, old);
      const [row] = await stack.sql`select stripe_customer_id from public.customers where email = ${email}`;
      assert.equal(row?.["stripe_customer_id"], fresh);
      await fetch(`${stack.stripe_url}/_control/faults`, { method: "DELETE" });
    });
  }

  await test.step("that has the account's present address, before the next page shows it", async () => {
    const [old, fresh] = ["moves-from@example.com", "moves-to@example.com"];
    const token = await signUp(stack, old);
    const first = await checkout(stack, {}, { token, key: "moving-1" });
    const customer = await sessionCustomer(first.body.session_id);
    await stack.sql`update auth.users set email = ${fresh} where email = ${old}`;
    const second = await checkout(stack, { items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }] }, {
      token,
      key: "moving-2",
    });
    assert.equal(second.status, 201, JSON.stringify(second.body));
    assert.equal(await sessionCustomer(second.body.session_id), customer);
    assert.equal((await stripeApi(stack, "GET", `customers/${customer}`)).email, fresh);
  });

  await test.step("and sees the orders that it made as a guest, once its address is proven", async () => {
    const email = "guest-first@example.com";
    const guest = await checkout(stack, { customer_email: email });
    assert.ok((await control(stack, "pay", { session: guest.body.session_id, email })).ok);
    await flush(stack);
    const token = await signUp(stack, email);
    // A link that was mailed and opened, in Auth's columns.
    await stack
      .sql`update auth.users set confirmation_sent_at = now(), email_confirmed_at = null where email = ${email}`;
    await stack.sql`update auth.users set email_confirmed_at = now() where email = ${email}`;
    const response = await fetch(`${stack.api_url}/rest/v1/orders?select=number,status`, {
      headers: { apikey: stack.publishable_key, authorization: `Bearer ${token}` },
    });
    assert.deepEqual(await response.json(), [{ number: guest.body.order_number, status: "paid" }]);
  });

  await assertInvariants(stack);
});
