/** A year in which nothing is wrong raises next to no alert: `scripts/quality/year/quiet.ts` looks at it closely. */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { liveQuietYear, quietAlertsMax } from "../../../scripts/quality/year/quiet.ts";

Deno.test("a quiet year, each twelfth day of it looked at, brings at most three alerts; then a bad hour is told", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  const ends = new Date("2026-06-30T18:00:00Z");
  const year = { orders: 8_000, seed: 7, ends };
  const { measured, alerts } = await liveQuietYear(sql, { ...year, everyMinutes: 120, everyDays: 12 });
  const told = `seed ${year.seed}: ${JSON.stringify(alerts)}`;
  assert.equal(measured, 28 * 12);
  assert(alerts.length <= quietAlertsMax, told);

  // The same shop, and every card is refused for an hour.
  await sql`insert into public.payment_attempts (id, payment_id, outcome, livemode, card_brand, version, created_at)
    select 'ch_bad_' || n, 'pi_bad_' || n, 'failed', false, 'discover', '1', ${ends}::timestamptz - n * interval '1 minute'
    from generate_series(1, 59) n`;
  const before = await sql`select kind from public.alerts where status <> 'resolved'`;
  await sql`select public.evaluate_alert_rules(false, ${ends})`;
  const kinds = (await sql`select kind from public.alerts where status <> 'resolved' order by kind`)
    .map(({ kind }) => kind).filter((kind) => !before.some((row) => row["kind"] === kind));
  assert.deepEqual(kinds, ["decline_rate", "method_outage"]);
});
