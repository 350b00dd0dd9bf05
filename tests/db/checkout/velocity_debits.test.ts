/** Orders whose bank debit is under way are no checkouts that nobody pays. */
import assert from "node:assert/strict";
import { applyFacts, attachSession, sessionFact } from "./cart_support.ts";
import { checkout, world } from "./velocity_support.ts";

// Not so yet: measured_times() takes every order without paid_at for one that nobody pays. Leaving out those under way
// would let bank debits of made-up accounts pass uncounted.
Deno.test.ignore(
  "a buyer whose bank debits are under way is not taken for one who pays nothing",
  async () => {
    await using database = await world();
    const { sql } = database;
    const [user] = await sql<{ id: string }[]>`
    insert into auth.users (id, email) values (gen_random_uuid(), 'purchasing@example.com') returning id`;
    for (let at = 0; at < 11; at++) {
      const begun = await checkout(sql, { userId: user?.id ?? "" });
      assert.equal(begun.outcome, "created", `order ${at + 1}`);
      const session = await attachSession(sql, begun);
      await applyFacts(sql, [
        sessionFact(begun, {
          id: session.id,
          status: "complete",
          payment_status: "unpaid",
          awaited_payment: true,
          payment_id: `pi_${begun.order_id}`,
        }),
      ]);
      const [order] = await sql`select status from public.orders where id = ${begun.order_id ?? null}`;
      assert.equal(order?.["status"], "processing");
    }
  },
);
