import assert from "node:assert/strict";
import type postgres from "postgres";
import { arrange, deliver } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** The values for Radar's lists after a life of an order, and after `change`. */
async function valuesAfter(
  name: string,
  change: (tx: postgres.ReservedSql, orderId: string) => PromiseLike<unknown> = () => Promise.resolve(),
  livemode = false,
): Promise<Record<string, string[]>> {
  return await undone(sql, async (tx) => {
    const lifecycle = lifecycles.find((life) => life.name === name);
    assert(lifecycle !== undefined, name);
    const story = new Story(await beginOrder(tx), 1, "T");
    await deliver(tx, await arrange(tx, lifecycle, story));
    await tx`update public.orders set email = ' Ada@Example.com', purchase_ip = '203.0.113.7'
      where id = ${story.frame.orderId}`;
    await change(tx, story.frame.orderId);
    const rows = await tx`select item_type, array_agg(value) as values
      from unnest(public.get_fraud_values(${livemode})) group by item_type`;
    return Object.fromEntries(rows.map(({ item_type, values }) => [item_type, values]));
  });
}

Deno.test("a payment that its cardholder calls fraud gives address, network and card to Radar's lists", async () => {
  const values = await valuesAfter("dispute lost");
  assert.deepEqual(values["email"], ["ada@example.com"]);
  assert.deepEqual(values["ip_address"], ["203.0.113.7"]);
  assert.equal(values["card_fingerprint"]?.length, 1);
  assert.deepEqual(await valuesAfter("early fraud warning, then refund"), values);
});

Deno.test("what was cleared, erased, is too old or of the other mode is on no list of Radar's", async () => {
  assert.deepEqual(await valuesAfter("dispute won"), {});
  assert.deepEqual(await valuesAfter("dispute lost, then won on appeal"), {});
  assert.deepEqual(await valuesAfter("inquiry closed"), {});
  assert.deepEqual(await valuesAfter("pay"), {});
  assert.deepEqual(await valuesAfter("dispute lost", undefined, true), {});
  const old = await valuesAfter(
    "dispute lost",
    (tx) => tx`update public.disputes set created_at = now() - interval '366 days'`,
  );
  assert.deepEqual(old, {});
  const released = await valuesAfter(
    "early fraud warning, then refund",
    (tx) => tx`update public.fraud_signals set released_at = now()`,
  );
  assert.deepEqual(released, {});
  const erased = await valuesAfter(
    "dispute lost",
    (tx, id) => tx`select private.erase_orders(array[${id}::uuid])`,
  );
  assert.equal(erased["email"], undefined);
  assert.equal(erased["ip_address"], undefined);
});
