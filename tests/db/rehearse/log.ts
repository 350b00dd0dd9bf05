/** A shop with a log of events: orders of all lifecycles, made by the functions and told by whole payloads. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { arrange, deliverEach } from "../settlement/arrange.ts";
import type { Lifecycle } from "../settlement/lifecycle.ts";
import { lifecycles } from "../settlement/lifecycles.ts";
import { beginOrder, stockShop } from "../settlement/shop.ts";
import { Story } from "../settlement/story.ts";

/** The lifecycle of that name. */
export function lifecycle(name: string): Lifecycle {
  const found = lifecycles.find((each) => each.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

/** Fills the shelves. Ids of the catalogue are of another version than those of orders. */
export async function openShop(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(await Deno.readTextFile(new URL("../settlement/search.sql", import.meta.url))).simple();
  await stockShop(sql, 1_000_000);
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    const id = "11111111-1111-1111-8111-111111111111";
    await tx`update public.product_variants set id = ${id}`;
    await tx`update public.inventory_levels set variant_id = ${id}`;
  });
}

/** An order lives its life; its events are stored as Stripe has sent them. */
export async function tellOrder(sql: postgres.Sql, life: Lifecycle, tag: string): Promise<Story> {
  const story = new Story(await beginOrder(sql), 60, tag);
  await deliverEach(sql, await arrange(sql, life, story));
  await storePayloads(sql, story);
  return story;
}

/** The log has the events of a story as Stripe has sent them. */
export async function storePayloads(sql: postgres.Sql, story: Story): Promise<void> {
  for (const event of story.events) {
    await sql`update public.webhook_events set payload = ${sql.json(JSON.parse(JSON.stringify(event)))},
        api_version = ${event.api_version},
        object_id = case when type not like 'customer.%' then ${
      JSON.parse(JSON.stringify(event)).data.object.id
    } end
      where id = ${event.id}`;
  }
}
