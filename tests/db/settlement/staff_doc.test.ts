/** docs/staff.md: its examples run, in a shop with the orders that they name. */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { deliver } from "./arrange.ts";
import { attachSession, beginCart } from "./shop.ts";
import { Story } from "./story.ts";

const page = await Deno.readTextFile(new URL("../../../docs/staff.md", import.meta.url));
const examples = [...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(([, sql]) => sql ?? "");

const database = await createTestDatabase("seeded");
const { sql } = database;
Deno.test.afterAll(() => database.drop());
await sql`create sequence public.command_ids`;
await sql.unsafe(await Deno.readTextFile(new URL("search.sql", import.meta.url))).simple();

/** Twelve paid orders; the third has shipped in one parcel, the ninth was refunded in Stripe's dashboard, two are disputed. */
for (let n = 1; n <= 12; n++) {
  const story = new Story(
    await beginCart(sql, [
      { sku: "SHIRT-OXF-WHT-M", quantity: 2, price: 8_900 },
      { sku: "TIE-SILK-NVY", quantity: 1, price: 5_900 },
    ]),
    60,
    `D${n}`,
  );
  await attachSession(sql, story, "a");
  const payment = story.paid("a", { shipping: 995 });
  if (n === 9) story.refunded(payment, "1", 8_900);
  if (n > 10) story.disputed(payment, "d", "needs_response");
  if (n === 11) story.reviewed(payment, "1");
  await deliver(sql, story.moves);
  assert.equal(story.frame.orderNumber, `KCT-${100_000 + n}`);
  if (n === 3) await sql`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z-WRONG')`;
}

{
  const [mail] = await sql`select n.id from public.notifications n join public.orders o on o.id = n.order_id
    where o.number = 'KCT-100001'`;
  await sql`select public.record_mail_event(
    ${mail?.["id"]}, 'mail_1', 'bounced', true, 'ada@example.com', now(), 'Permanent General')`;
}

const [check] = await sql`select pg_get_constraintdef(oid) as text from pg_constraint
  where conname = 'staff_commands_command_known'`;
const known = [...String(check?.["text"]).matchAll(/'(\w+)'/g)].map(([, name = ""]) => name);

/** A digest of every table. */
async function contents(): Promise<Record<string, string>> {
  const tables = await sql`select c.oid::regclass::text as name, md5(query_to_xml(
      format('select t::text from %s t order by 1', c.oid::regclass), true, false, '')::text) as digest
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'private') and c.relkind = 'r'`;
  return Object.fromEntries(tables.map(({ name, digest }) => [name, digest]));
}

/** Runs a command of the page dry, which changes nothing, and then twice with one id, which is carried out once. */
async function runsOnce(example: string) {
  const called = new RegExp(`\\b(${known.join("|")})\\(`).exec(example);
  assert(called !== null);
  let end = called.index + called[0].length;
  for (let depth = 1, quoted = false; depth > 0; end++) {
    if (example[end] === "'") quoted = !quoted;
    else if (!quoted && example[end] === "(") depth++;
    else if (!quoted && example[end] === ")") depth--;
  }
  const calling = (more: string) => `${example.slice(called.index, end - 1)}, ${more})`;
  const statement = (calls: string) => example.slice(0, called.index) + calls + example.slice(end);
  const before = await contents();
  const [dry] = await sql.unsafe(statement(`${calling("p_dry_run => true")} as answer`));
  assert.equal(dry?.["answer"].dry_run, true, "a dry run says that it is one");
  assert.deepEqual(await contents(), before, "a dry run changes nothing");

  // Of each row that the example finds, the second call has the id of the first.
  const id = (value: string) => calling(`p_command_id => lpad(${value}('command_ids')::text, 32, '0')::uuid`);
  const rows = await sql.unsafe(statement(`${id("nextval")} as first, ${id("currval")} as second`));
  for (const { first, second } of rows) assert.deepEqual(second, first, "the same id answers the same again");
  return rows;
}

Deno.test("docs/staff.md: every example runs, in the order of the page", async (test) => {
  assert(examples.length > 10);
  for (const [index, example] of examples.entries()) {
    await test.step(`${index + 1}: ${example.split("\n")[0]}`, async () => {
      const rows = known.some((name) => example.includes(`${name}(`))
        ? await runsOnce(example)
        : await sql.unsafe(example);
      assert(rows.length > 0 || rows.command === "INSERT", "the example shows nothing");
      assert.deepEqual([...await sql`select * from public.check_invariants()`], []);
    });
  }
});

Deno.test("docs/staff.md has an example of every staff command", () => {
  assert.deepEqual(
    known.filter((name) => !examples.some((example) => example.includes(`${name}(`))),
    [],
  );
});
