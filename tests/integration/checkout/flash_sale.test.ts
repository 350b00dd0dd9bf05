import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { assertInvariants, checkout, setAvailable, stockOf } from "./shop.ts";

Deno.test("500 shoppers at once over HTTP buy exactly the 50 units there are; the others get a clean 409", async () => {
  await using stack = await testStack();
  const sku = "SHIRT-OXF-WHT-M";
  await setAvailable(stack, sku, 50);
  const answers = await Promise.all(
    Array.from(
      { length: 500 },
      (_, at) =>
        checkout(stack, { items: [{ sku, quantity: 1 }], customer_email: `s${at}@example.com` }, {
          key: `sale-${at}`,
        }),
    ),
  );
  const tally = Object.groupBy(answers, ({ status }) => String(status));
  assert.deepEqual(
    Object.fromEntries(Object.entries(tally).map(([status, some]) => [status, some?.length])),
    { 201: 50, 409: 450 },
    JSON.stringify(answers.find(({ status }) => status !== 201 && status !== 409)?.body),
  );
  for (const { body } of tally["409"] ?? []) {
    assert.equal(body.error.code, "insufficient_stock");
    assert.deepEqual(body.error.details, [{ sku, requested: 1, available: 0 }]);
  }
  const stock = await stockOf(stack, sku);
  assert.equal(stock.reserved, stock.on_hand);
  assert.equal(new Set((tally["201"] ?? []).map(({ body }) => body.session_id)).size, 50);
  await assertInvariants(stack);
});
