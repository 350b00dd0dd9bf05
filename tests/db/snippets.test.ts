/** supabase/snippets: each question runs as staff, is answered in a shop with a year of orders, and says what it asks. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../scripts/lib/paths.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { fillYear } from "../../scripts/quality/year/year.ts";
import { admin, asRole } from "../support/role.ts";
import { nonEmpty } from "../support/non_empty.ts";

const folder = join(ROOT, "supabase/snippets");
const names = nonEmpty([...Deno.readDirSync(folder)].map(({ name }) => name)).sort();

const database = await createTestDatabase();
const { sql } = database;
await fillYear(sql, { orders: 500, seed: 3, ends: new Date() });
// What the snippets name as an example, and what they ask about and the year does not have.
await sql`update public.orders set number = 'KCT-100001', email = 'Ada@example.com'
  where number = (select min(number) from public.orders where paid_at is not null)`;
await sql`update public.product_variants set sku = 'SHIRT-OXF-WHT-M' where sku = 'USD-01'`;
await sql`update public.inventory_levels set on_hand = reserved + 1
  where variant_id = (select id from public.product_variants where sku = 'SHIRT-OXF-WHT-M')`;
await sql`update public.notifications set status = 'failed', sent_at = null
  where id = (select id from public.notifications order by created_at limit 1)`;
Deno.test.afterAll(() => database.drop());

for (const name of names) {
  Deno.test(`${name} is one question that staff can ask, with an answer`, async () => {
    const text = await Deno.readTextFile(join(folder, name));
    assert.match(name, /^[a-z-]+\.sql$/);
    assert.match(text, /^-- [A-Z].*[.?]\n/, "its first line is the question");
    assert.equal(text.split(";").length, 2, "one statement");
    // The dashboard finds tables of public by their bare names.
    const rows = await asRole(sql, admin(), (tx) => tx.unsafe(text));
    assert(rows.length > 0, "no answer");
  });
}

Deno.test("docs/reporting.md lists every snippet with its question", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs/reporting.md"));
  for (const name of names) {
    const text = await Deno.readTextFile(join(folder, name));
    const question = /^-- (.*?[.?])(?: |\n)/.exec(text)?.[1];
    assert(page.replaceAll(/\s+/g, " ").includes(`| \`${name}\` | ${question} |`), `${name}: ${question}`);
  }
});
