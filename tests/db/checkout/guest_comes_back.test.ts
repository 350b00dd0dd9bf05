/** Guests who come back with the key of an order whose payment page knows more of them than the cart did. */
import assert from "node:assert/strict";
import { applyFacts, attachSession, beginCheckout, sessionFact, violations } from "./cart_support.ts";
import { items, world } from "./attempt_support.ts";

const key = crypto.randomUUID();

for (const email of [null, "ada@example.com"]) {
  Deno.test(`a guest who named ${email ?? "no address"} in the cart and another on the page of a slow payment comes back to the same order`, async () => {
    await using database = await world(5);
    const { sql } = database;
    const begun = await beginCheckout(sql, { items, key, email });
    const session = await attachSession(sql, begun);
    const underWay = sessionFact(begun, {
      id: session.id,
      status: "complete",
      payment_id: "pi_1",
      awaited_payment: true,
      email: "ada@work.example",
    });
    await applyFacts(sql, [underWay]);
    const [order] = await sql`select status, email from public.orders where id = ${begun.order_id}`;
    assert.deepEqual({ ...order }, { status: "processing", email: "ada@work.example" });

    // Another key would sell the cart a second time.
    const again = await beginCheckout(sql, { items, key, email });
    assert.deepEqual([again.outcome, again.order_id, again.session?.status], [
      "existing",
      begun.order_id,
      "complete",
    ]);

    await applyFacts(sql, [{ ...underWay, async_payment_failed: true }]);
    const anew = await beginCheckout(sql, { items, key, email });
    assert.deepEqual([anew.outcome, anew.order_id, anew.attempt], ["existing", begun.order_id, 2]);
    assert.deepEqual(await violations(sql), []);
  });
}
