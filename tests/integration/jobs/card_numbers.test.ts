import assert from "node:assert/strict";
import { type TestStack, testStack } from "../../support/stack.ts";
import { checkout, control, drain, flush, plentySku } from "./shop.ts";

/** Passes for a card's number, and is nobody's. */
const number = "4539148803436467";
const spaced = "4539 1488 0343 6467";

/** Every text column of every table that holds the number, with the database's own schemas left out. */
async function holders({ sql }: TestStack): Promise<string[]> {
  const columns = await sql<{ name: string; row: string; value: string }[]>`
    select format('%I.%I', c.table_schema, c.table_name) as name, c.column_name as row, format('%I', c.column_name) as value
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where c.table_schema in ('public', 'private', 'auth') and t.table_type = 'BASE TABLE'
      and c.data_type in ('text', 'jsonb', 'json', 'ARRAY', 'character varying')`;
  assert(columns.length > 100);
  const found: string[] = [];
  for (const { name, row, value } of columns) {
    const [hit] = await sql.unsafe(
      `select 1 from ${name} where ${value}::text ~ '4539 ?1488 ?0343 ?6467' limit 1`,
    );
    if (hit !== undefined) found.push(`${name}.${row}`);
  }
  return found;
}

async function everythingIn(folder: string): Promise<string> {
  const texts: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile) texts.push(await Deno.readTextFile(`${folder}/${name}`));
  }
  return texts.join("\n");
}

Deno.test("a card number that somebody types is nowhere: not in a table, not in a mail, not in a log", async () => {
  await using stack = await testStack({ web: true });
  const { sql } = stack;
  const asked = await fetch(`${stack.functions_url}/create-checkout-session`, {
    method: "POST",
    headers: {
      apikey: stack.publishable_key,
      "content-type": "application/json",
      "idempotency-key": number,
      "user-agent": `agent ${number}`,
      "x-request-id": number,
      referer: `https://shop.example/?q=${number}`,
    },
    body: JSON.stringify({
      items: [{ sku: plentySku, quantity: 1 }],
      success_url: `${stack.web_url}/store/success`,
    }),
  });
  const text = await asked.text();
  assert.equal(asked.status, 201, text);
  const order = JSON.parse(text);
  await control(stack, "pay", {
    session: order.session_id,
    card: "4242424242424242",
    name: spaced,
    email: "shopper@example.com",
    address: { line1: number, line2: spaced, city: spaced, postal_code: "94103", state: "CA", country: "US" },
  });
  await flush(stack);
  await drain(stack);

  // Staff, wherever a command takes a text.
  await sql`select public.mark_fulfilled(${order.order_number}, ${spaced}, ${number})`;
  await drain(stack);
  await sql`select public.request_refund(${order.order_number}, 100, ${`card ${spaced}`})`;
  await sql`select public.receive_return(${order.order_number}, null, ${number})`;
  await sql`select public.adjust_inventory(${plentySku}, 1, ${number})`;
  const other = await checkout(stack);
  await sql`select public.cancel_order(${other.order_number}, ${`they said ${number}`})`;
  await drain(stack);
  await flush(stack);
  await drain(stack);

  assert.deepEqual(await holders(stack), []);
  const [row] = await sql`
    select o.customer_name, s.tracking_number, o.shipping_address ->> 'line1' as line1, o.idempotency_key
    from public.orders o join public.shipments s on s.order_id = o.id where o.id = ${order.order_id}`;
  // With the key of the database: who finds a bare digest can try all card numbers.
  assert.match(row?.["idempotency_key"], /^guest:k[0-9a-f]{15}$/);
  assert.deepEqual({ ...row, idempotency_key: null }, {
    customer_name: "card_***6467",
    tracking_number: "card_***6467",
    line1: "card_***6467",
    idempotency_key: null,
  });
  const written = await everythingIn(`${stack.dir}/mails`);
  assert.match(written, /Tracking: card_\*\*\*6467/);
  for (const place of [written, await everythingIn(`${stack.dir}/logs`)]) {
    assert.doesNotMatch(place, /4539 ?1488 ?0343 ?6467/);
  }
});
