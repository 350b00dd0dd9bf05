/** The error budgets of a week, and when staff are told of them. */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { forget } from "./registry.ts";

const database = await createTestDatabase();
const { sql } = database;
await sql`update private.settings set value = '"Europe/Berlin"' where key = 'shop_time_zone'`;
Deno.test.afterAll(() => database.drop());

Deno.test("a week's budget counts its seven days, and 28 days for what may go wrong", async () => {
  await forget(sql);
  await sql`insert into private.objective_days (objective, day, good, bad) values
    ('mail', '2026-11-01', 1000, 100),
    ('mail', '2026-11-02', 100, 3),
    ('mail', '2026-11-22', 50, 2),
    ('mail', '2026-11-23', 40, 1),
    ('mail', '2026-11-29', 7, 1),
    ('mail', '2026-11-30', 1000, 100)`;
  const [row] = await sql`select public.get_error_budgets('2026-11-23') as budgets`;
  const { week, objectives } = row?.budgets;
  assert.equal(week, "2026-11-23");
  const [checkout, mail, ...others] = objectives;
  assert.deepEqual(mail, {
    name: "mail",
    target: 0.99,
    good: 47,
    bad: 2,
    bad_in_budget: 7,
    budget: (197 + 7) * 0.01,
  });
  assert.deepEqual([checkout.good, checkout.bad, checkout.budget, others.length], [0, 0, 0, 3]);
});

Deno.test("what is counted stands under the day of the shop's clock", async () => {
  await forget(sql);
  await sql`select private.count_objective('checkout', 5, 0)`;
  await sql`select private.count_objective('checkout', 2, 1)`;
  await sql`select public.get_metrics()`;
  await sql`select private.count_objective('checkout', 1, 1)`;
  await sql`select public.get_metrics()`;
  const days =
    await sql`select objective, day = private.local_day(now()) as today, good::integer, bad::integer
    from private.objective_days`;
  assert.deepEqual([...days], [{ objective: "checkout", today: true, good: 8, bad: 2 }]);
  const [day] = await sql`select private.local_day('2026-11-22 23:30:00+00')::text as day`;
  assert.equal(day?.day, "2026-11-23");
});

Deno.test("the report comes once a week: on Monday from the digest's hour on, or when somebody works again", async () => {
  const queue = async (at: string) =>
    (await sql`select private.queue_budget_report(${at}) as queued`)[0]?.queued;
  await sql`delete from private.jobs`;
  // Monday, 30 November, in Berlin: an hour ahead of UTC.
  assert.equal(await queue("2026-11-30 05:59:00+00"), false);
  assert.equal(await queue("2026-11-30 06:00:00+00"), true);
  assert.equal(await queue("2026-11-30 06:01:00+00"), false);
  assert.equal(await queue("2026-12-06 22:59:00+00"), false, "still that week's");
  assert.equal(await queue("2026-12-09 12:00:00+00"), true, "nobody worked on Monday");
  const jobs = await sql`select payload ->> 'week' as week from private.jobs order by id`;
  assert.deepEqual(jobs.map(({ week }) => week), ["2026-11-23", "2026-11-30"]);
  await sql`update private.settings set value = 'null' where key = 'digest_hour'`;
  assert.equal(await queue("2026-12-14 12:00:00+00"), false);
});
