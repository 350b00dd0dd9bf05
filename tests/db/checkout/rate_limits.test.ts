import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { items, world } from "./attempt_support.ts";
import { beginCheckout } from "./cart_support.ts";

interface Decision {
  allowed: boolean;
  key: string | null;
  retry_after_seconds: number;
}

interface Bucket {
  key: string;
  limit: number;
  window_seconds: number;
}

async function take(sql: postgres.Sql, buckets: Bucket[]): Promise<Decision> {
  const [row] = await sql<{ decision: Decision }[]>`
    select to_jsonb(public.take_rate_limits(${
    sql.json(buckets as unknown as postgres.JSONValue)
  })) as decision`;
  if (row === undefined) throw new Error("no decision");
  return row.decision;
}

/** A window that lasts far longer than the test: at its end, at midnight, hardly anything of it has slid out yet. */
const day = 86_400;

Deno.test("erasing a buyer removes the counters of their networks, and of no others", async () => {
  await using database = await world(2);
  const { sql } = database;
  const keys = [
    "checkout:192.0.2.1",
    "checkout:192.0.2.10",
    "checkout:2001:db8:0:0::/64",
    "checkout:2001:db8:1::/48",
    "checkout:2001:db8:0::/48",
    "checkout:unknown",
    "resume:192.0.2.1",
    "resume:92.0.2.1",
    "resume:all",
  ];
  await take(sql, keys.map((key) => ({ key, limit: 5, window_seconds: day })));
  for (const ip of ["192.0.2.1", "2001:db8::5"]) {
    await beginCheckout(sql, { items, key: ip, ip, email: "ada@example.com" });
  }
  await sql`select public.erase_customer('ada@example.com')`;
  const left = await sql<{ key: string }[]>`select key from private.rate_limits order by key collate "C"`;
  assert.deepEqual(left.map(({ key }) => key), [
    "checkout:192.0.2.10",
    "checkout:2001:db8:1::/48",
    "checkout:unknown",
    "resume:92.0.2.1",
    "resume:all",
  ]);
});

Deno.test("take_rate_limits() lets exactly the limit through, also side by side", async () => {
  await using database = await createTestDatabase();
  const decisions = await Promise.all(
    Array.from({ length: 60 }, () => take(database.sql, [{ key: "a", limit: 25, window_seconds: day }])),
  );
  assert.equal(decisions.filter(({ allowed }) => allowed).length, 25);
});

Deno.test("take_rate_limits() takes nothing from any bucket when one is full", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  const mail = { key: "mail", limit: 1, window_seconds: day };
  const address = { key: "address", limit: 3, window_seconds: day };
  assert.equal((await take(sql, [mail, address])).allowed, true);
  for (let round = 0; round < 5; round++) {
    const refused = await take(sql, [mail, address]);
    assert.deepEqual([refused.allowed, refused.key], [false, "mail"]);
  }
  const [row] = await sql`select sum(count)::integer as count from private.rate_limits where key = 'address'`;
  assert.equal(row?.["count"], 1);
  assert.equal((await take(sql, [address])).allowed, true);
});

Deno.test("limit_wait() names the moment at which the request fits, for every filling", async () => {
  await using database = await createTestDatabase();
  // Fits at t when current + 1 + previous * (1 - elapsed) <= limit, as take_rate_limits() decides it.
  const wrong = await database.sql`
    with cases as (
      select l as "limit", c as current, p as previous, e / 10.0 as elapsed,
        private.limit_wait(l, 60, c, p, e / 10.0) as wait
      from generate_series(1, 6) l, generate_series(0, 6) c, generate_series(0, 8) p, generate_series(0, 9) e
      where c <= l and c + 1 + p * (1 - e / 10.0) > l
    ), at_end as (
      select *, elapsed + wait / 60 as t from cases
    )
    select * from at_end
    where wait <= 0
      or case when t <= 1 then current + 1 + previous * (1 - t) > "limit" + 0.0001
        else 1 + current * (1 - (t - 1)) > "limit" + 0.0001 end
      -- A moment earlier it does not fit yet.
      or case when t - 0.001 <= 1 and t <= 1 then current + 1 + previous * (1 - (t - 0.001)) <= "limit"
        else t - 0.001 > 1 and 1 + current * (1 - (t - 0.001 - 1)) <= "limit" end`;
  assert.deepEqual([...wrong], []);
});
