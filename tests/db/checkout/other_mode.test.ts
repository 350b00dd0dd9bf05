/** A project that goes live keeps its test orders, and browsers keep their keys and links. */
import assert from "node:assert/strict";
import {
  attachSession,
  beginCheckout,
  type Begun,
  holdSeconds,
  isRefusal,
  sessionSeconds,
  tryCheckout,
  violations,
} from "./cart_support.ts";
import { addUser, expire, items, world } from "./attempt_support.ts";

const key = crypto.randomUUID();

for (const page of ["open", "expired"]) {
  for (const who of ["a guest", "an account"]) {
    Deno.test(`no key of ${who} and no link leads a live checkout to a test order whose page is ${page}`, async () => {
      await using database = await world(5);
      const { sql } = database;
      const userId = who === "a guest" ? null : await addUser(sql);
      const test = await beginCheckout(sql, { items, key, userId });
      const session = await attachSession(sql, test);
      if (page === "expired") await expire(sql, test, session);

      const live = await tryCheckout(sql, { items, key, userId, livemode: true });
      assert.ok(isRefusal(live) && live.sqlstate === "SHIDC", JSON.stringify(live));
      const resumed = async (livemode: boolean) => {
        const [row] = await sql<{ found: Begun; resumed: Begun }[]>`
          select public.find_open_checkout(${test.order_id}, p_livemode => ${livemode}) as found,
            public.resume_checkout(${test.order_id}, ${sessionSeconds}, ${holdSeconds}, p_livemode => ${livemode})
              as resumed`;
        return [row?.found.outcome, row?.resumed.outcome];
      };
      assert.deepEqual(await resumed(true), ["cancelled", "cancelled"]);
      const [order] = await sql`select attempt from public.orders where id = ${test.order_id}`;
      assert.equal(order?.["attempt"], 1, "no attempt was begun that real money could pay");

      const fresh = await beginCheckout(sql, { items, key: crypto.randomUUID(), userId, livemode: true });
      assert.equal(fresh.outcome, "created");
      assert.deepEqual(await resumed(false), ["unpaid", "existing"]);
      assert.deepEqual(await violations(sql), []);
    });
  }
}
