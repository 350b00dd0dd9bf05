/** private.retention_periods: it says what the rules do, and docs/operations.md shows it. */
import assert from "node:assert/strict";
import { nonEmpty } from "../support/non_empty.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const periods = await sql`select data, kept, setting, reason, tables from private.retention_periods`;

Deno.test("every retention setting has its period, and every period of days is a setting", async () => {
  const settings =
    await sql`select key, value from private.settings where key like 'retention\\_%' order by key`;
  const named = periods.filter(({ setting }) => setting !== null);
  assert.deepEqual(named.map(({ setting }) => setting).sort(), settings.map(({ key }) => key));
  for (const { setting, kept } of named) {
    assert.equal(kept, `${settings.find(({ key }) => key === setting)?.["value"]} days`);
  }
  for (const { data, kept, setting } of periods) {
    assert.equal(/\d/.test(kept), setting !== null, `${data}: days come from a setting`);
  }
});

Deno.test("every table that retention_rules knows to hold a person or texts has its period, with the settings of its rules", async () => {
  const rules = await sql`select table_name, string_agg(kept, ' ') as kept from private.retention_rules
    where holds in ('person', 'text') group by table_name order by table_name`;
  for (const { table_name: table, kept } of rules) {
    const of = periods.filter(({ tables }) => tables.includes(table));
    assert(of.length > 0, `${table} has a period`);
    assert.deepEqual(
      of.flatMap(({ setting }) => setting ?? []).sort(),
      [...new Set(kept.match(/retention_\w+_days/g) ?? [])].sort(),
      table,
    );
  }
  const known = await sql`select distinct table_name from private.retention_rules`;
  for (const table of periods.flatMap(({ tables }) => tables)) {
    assert(known.some(({ table_name: name }) => name === table), `${table} is in retention_rules`);
  }
});

Deno.test("docs/operations.md shows the periods as they are", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/operations.md", import.meta.url));
  const shown = [...page.matchAll(/^\|(.+)\|$/gm)].map(([, line = ""]) =>
    line.split("|").map((cell) => cell.trim().replaceAll("`", ""))
  ).filter((cells) => cells.length === 4);
  const heading = shown.findIndex(([first]) => first === "data");
  assert(heading >= 0);
  assert.deepEqual(
    shown.slice(heading + 2, heading + 2 + periods.length),
    periods.map(({ data, kept, setting, reason }) => [data, kept, setting ?? "", reason]),
  );
});

Deno.test("a period is a number of days, one at least: nothing else is taken", async () => {
  const settings = periods.flatMap(({ setting }) => setting ?? []);
  for (const setting of new Set(nonEmpty(settings))) {
    for (const bad of ["0", "-1", "1.5", "10000", "null", '"90"', "true", "[]"]) {
      const change = sql`update private.settings set value = ${bad}::text::jsonb where key = ${setting}`;
      await assert.rejects(change, /settings_retention_fits/, `${setting} ${bad}`);
    }
  }
});
