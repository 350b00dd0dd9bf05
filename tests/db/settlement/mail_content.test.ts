import assert from "node:assert/strict";
import type postgres from "postgres";
import { templateNames } from "../../../supabase/functions/_shared/mails/mod.ts";
import { searchDatabase, undone } from "./search.ts";
import { arrange, deliver } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { beginOrder } from "./shop.ts";
import { Story } from "./story.ts";
import { nonEmpty } from "../../support/non_empty.ts";
import type { Notification } from "../../../supabase/functions/_shared/database/notifications.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** A paid order's confirmation as the job gets it, after `change` of the order. */
async function confirmation(change: (tx: postgres.ReservedSql, orderId: string) => PromiseLike<unknown>) {
  return await undone(sql, async (tx): Promise<Notification> => {
    const lifecycle = lifecycles.find(({ name }) => name === "pay");
    assert(lifecycle !== undefined);
    const story = new Story(await beginOrder(tx), 1, "T");
    await deliver(tx, await arrange(tx, lifecycle, story));
    await change(tx, story.frame.orderId);
    const [row] = await tx`select public.get_notification(id) as mail from public.notifications
      where order_id = ${story.frame.orderId} and template = 'order_confirmation'`;
    return row?.["mail"];
  });
}

Deno.test("a mail has the shop's settings, the card that paid and the catalogue's pictures", async () => {
  const { shop, order } = await confirmation(async (tx) => {
    await tx`update private.settings set value = '"Example"' where key = 'shop_name'`;
    await tx`update public.product_variants set image_url = '/images/variant.png'`;
  });
  assert.equal(shop.name, "Example");
  assert.equal(shop.logo_url, null);
  assert.deepEqual(order.card, { brand: "visa", last4: "4242" });
  for (const { image_url } of nonEmpty(order.items)) assert.equal(image_url, "/images/variant.png");
});

Deno.test("a mail names the delivery price that was chosen, unless two offered ones cost the same", async () => {
  const named = async (rates: unknown[]) => {
    const mail = await confirmation((tx, id) =>
      tx`update public.orders set amount_shipping = 500, shipping_rates = ${
        tx.json(rates as postgres.JSONValue)
      } where id = ${id}`
    );
    return mail.order.shipping_method;
  };
  const rate = (name: string, amount: number) => ({ id: name, name, amount, countries: null });
  assert.equal(await named([rate("Standard", 500), rate("Express", 900)]), "Standard");
  assert.equal(await named([rate("Standard", 500), rate("Pick-up", 500)]), null);
  assert.equal(await named([rate("Express", 900)]), null);
  assert.equal(await named([]), null);
});

Deno.test("a mail has what a business buyer gave, and nothing of it once the order is erased", async () => {
  const business = { name: "Turner Ltd", tax_ids: [{ type: "eu_vat", value: "DE123456789" }] };
  const give = (tx: postgres.ReservedSql, id: string) =>
    tx`update public.checkout_sessions set business = ${tx.json(business)} where order_id = ${id}`;
  assert.deepEqual((await confirmation(give)).order.business, business);
  const erased = await confirmation(async (tx, id) => {
    await give(tx, id);
    await tx`select private.erase_orders(array[${id}::uuid])`;
  });
  assert.equal(erased.order.business, null);
});

Deno.test("a mail about a refund names its pieces, also those that staff assign after it was queued", async () => {
  await undone(sql, async (tx) => {
    const lifecycle = lifecycles.find(({ name }) => name === "full refund");
    assert(lifecycle !== undefined);
    const story = new Story(await beginOrder(tx), 1, "T");
    await deliver(tx, await arrange(tx, lifecycle, story));
    const pieces = async () => {
      const rows = await tx`select public.get_notification(id) -> 'data' as data from public.notifications
        where order_id = ${story.frame.orderId} and template = 'refund_issued'`;
      return rows.map(({ data }) => data.items);
    };
    assert.deepEqual(await pieces(), [null]);
    const [line] = await tx`select i.id, i.name, r.id as refund_id
      from public.order_items i join public.refunds r using (order_id)
      where order_id = ${story.frame.orderId} order by sku limit 1`;
    await tx`insert into public.refund_lines (refund_id, order_item_id, quantity)
      values (${line?.["refund_id"]}, ${line?.["id"]}, 1)`;
    assert.deepEqual(await pieces(), [[{ name: line?.["name"], quantity: 1 }]]);
  });
});

Deno.test("staff who ask for a mail that does not exist are told which there are", async () => {
  await undone(sql, async (tx) => {
    const { orderNumber } = await beginOrder(tx);
    await assert.rejects(
      tx`select public.resend_notification(${orderNumber}, 'order_confirmed')`.execute(),
      {
        code: "SHINV",
        message: `there is no mail order_confirmed; there are: ${[...templateNames].sort().join(", ")}`,
      },
    );
  });
});
