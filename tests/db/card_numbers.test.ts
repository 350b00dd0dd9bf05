import assert from "node:assert/strict";
import { maskCardNumbers } from "../../supabase/functions/_shared/text/card_numbers.ts";
import { fromDatabaseFailure, valueless } from "../../supabase/functions/_shared/errors.ts";
import { storable } from "../../supabase/functions/_shared/database/storable.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { cardNumber, digits, phoneNumber, randomBelow, spaced, trackingNumber } from "../support/numbers.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("SQL and TypeScript mask the same card numbers, and leave the same texts alone", async () => {
  const random = randomBelow(47);
  const gaps = [" ", "-", ".", "\u00a0", "/", "\u2013", "  ", ""];
  const texts = Array.from({ length: 3_000 }, () => {
    const parts = Array.from({ length: 1 + random(3) }, () => {
      const card = cardNumber(random);
      return [
        card,
        spaced(card, gaps[random(gaps.length)]),
        trackingNumber(random),
        phoneNumber(random),
        digits(random, 12 + random(12)),
        spaced(digits(random, 12 + random(12)), gaps[random(gaps.length)]),
        `pi_${card}`,
        `+${card}`,
        "Flat 12",
        "DE27",
      ][random(10)];
    });
    return parts.join([" ", ", ", "\n", "; "][random(4)]);
  });
  const rows = await sql<{ text: string; masked: string }[]>`
    select t.text, private.mask_cards(t.text) as masked from jsonb_array_elements_text(${
    sql.json(texts)
  }) t (text)`;
  assert.equal(rows.length, texts.length);
  let masked = 0;
  for (const row of rows) {
    assert.equal(row.masked, maskCardNumbers(row.text), JSON.stringify(row.text));
    if (row.masked !== row.text) masked += 1;
  }
  assert(masked > 500 && masked < 2_500, String(masked));
});

Deno.test("SQL and TypeScript reach the same texts of a JSON value", async () => {
  const number = "4539148803436467";
  const value = {
    id: number,
    job_id: 7,
    sku: number,
    order_number: number,
    reason: number,
    note: `a ${spaced(number)}`,
    lines: [{ sku: number, text: number }, number, 1, null, true],
    empty: [],
    none: {},
  };
  const [row] = await sql`select private.mask_cards_in(${sql.json(value)}) as masked`;
  assert.deepEqual(row?.["masked"], storable(value));
});

/** What PostgreSQL says, and what of it is somebody's value. */
const failures: [string, string][] = [
  ["select ${1}::uuid", "22P02"],
  ["select ${1}::bigint", "22P02"],
  ["select ${1}::jsonb", "22P02"],
  ["select ${1}::timestamptz", "22007"],
  ["select ${1}::inet", "22P02"],
  ["select '99999999999999999999'::bigint", "22003"],
  ["insert into public.products (slug, name) values (${1}, 'x')", "23514"],
];

Deno.test("no text of a database error carries the value that it was about", async () => {
  const value = 'Ada "Countess" Turner, 48 Alder Street';
  for (const [statement, expected] of failures) {
    const text = statement.replace("${1}", `'${value.replaceAll("'", "''")}'`);
    const failure = await sql.unsafe(text).then(
      () => null,
      (error) => error as { code: string; message: string },
    );
    assert.equal(failure?.code, expected, statement);
    const { code = "", message = "" } = failure ?? {};
    const { cause } = fromDatabaseFailure({ code, message, details: null, status: 400 });
    assert(cause instanceof Error);
    const [row] = await sql`select private.error_text(${code}, ${message}) as kept`;
    assert.equal(row?.["kept"], `${code} ${cause.message}`);
    for (const said of [cause.message, String(row?.["kept"])]) {
      assert.doesNotMatch(said, /Ada|Alder|9999999/, said);
      assert.match(said, /invalid|range|violates|syntax/, said);
    }
  }
  assert.equal(valueless('violates check constraint "orders_x"'), 'violates check constraint "orders_x"');
});
