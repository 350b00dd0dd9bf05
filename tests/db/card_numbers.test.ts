import assert from "node:assert/strict";
import { maskCardNumbers } from "../../supabase/functions/_shared/card_numbers.ts";
import { storable } from "../../supabase/functions/_shared/rpc.ts";
import { createTestDatabase } from "../support/database.ts";
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
