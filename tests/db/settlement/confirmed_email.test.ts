/** Who hears of an order before its money has come. */
import assert from "node:assert/strict";
import { deliver } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
Deno.test.afterAll(() => database.drop());

Deno.test("of two pages that were confirmed and not paid yet, the later one gives the address", async () => {
  for (const first of ["a", "b"]) {
    await undone(database.sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 60, "T");
      for (const [index, name] of ["a", "b"].entries()) await attachSession(tx, story, name, index + 1);
      const pages: Record<string, string> = {
        [story.id("cs_test", "a")]: "first@example.com",
        [story.id("cs_test", "b")]: "second@example.com",
      };
      // Whichever is heard of first.
      for (const name of first === "a" ? ["a", "b"] : ["b", "a"]) {
        story.frame.attempt = name === "a" ? 1 : 2;
        story.processing(name);
      }
      for (const { data } of story.events) {
        const object = data.object as unknown as { id: string; customer_details?: { email: string } };
        const email = pages[object.id];
        if (object.customer_details !== undefined && email !== undefined) {
          object.customer_details.email = email;
        }
      }
      await deliver(tx, story.moves);
      const [order] = await tx`select email, status from public.orders where id = ${story.frame.orderId}`;
      assert.deepEqual({ ...order }, { email: "second@example.com", status: "processing" });
    });
  }
});
