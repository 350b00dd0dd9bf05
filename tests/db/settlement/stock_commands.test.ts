/** What adjust_inventory() books, and what of the stock nobody can remove. */
import assert from "node:assert/strict";
import { paidOrder, refusal } from "./goods.ts";
import { searchDatabase, undone } from "./search.ts";
import { beginOrder } from "./shop.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("adjust_inventory() books goods with a reason and never goes below what checkouts hold", async () => {
  await undone(sql, async (tx) => {
    await beginOrder(tx);
    await tx`select public.adjust_inventory('COAT-GRY-L', -8, 'stocktaking')`;
    const [entry] =
      await tx`select change, kind, note from public.inventory_journal order by id desc limit 1`;
    assert.deepEqual({ ...entry }, { change: -8, kind: "adjustment", note: "stocktaking" });
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('COAT-GRY-L', -1, 'loss')`), "SHSTK");
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('NO-SUCH-SKU', 1, 'found')`), "SHSKU");
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('COAT-GRY-L', 0, 'nothing')`), "SHINV");
  });
});

Deno.test("a stock row with reservations or history, its variant, its product and its orders cannot be deleted, moved or emptied away", async () => {
  await undone(sql, async (tx) => {
    await paidOrder(tx);
    const statements = [
      "delete from public.inventory_levels",
      "update public.inventory_levels set variant_id = gen_random_uuid()",
      "truncate public.inventory_levels",
      "delete from public.product_variants",
      "delete from public.products",
      "delete from public.inventory_reservations",
      "delete from public.orders",
    ];
    for (const statement of statements) {
      const state = await refusal(tx, tx.unsafe(statement));
      assert(["23503", "23001", "0A000", "SHSTK", "SHAPP"].includes(`${state}`), `${statement}: ${state}`);
    }
    const addVariant = async (sku: string, onHand: number) => {
      const [variant] = await tx`insert into public.product_variants (product_id, sku, price_amount)
        select id, ${sku}, 1 from public.products returning id`;
      await tx`insert into public.inventory_levels (variant_id, on_hand) values (${
        variant?.["id"]
      }, ${onHand})`;
      return tx`delete from public.inventory_levels where variant_id = ${variant?.["id"]} returning 1`;
    };
    assert.match(`${await refusal(tx, addVariant("RECEIVED", 1))}`, /^23/, "the journal remains");
    assert.equal((await addVariant("NEVER-STOCKED", 0)).length, 1);
  });
});
