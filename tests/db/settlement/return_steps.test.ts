/**
 * A return step by step, in every order in which staff and Stripe may take the steps. Before each step its connection
 * dies inside the transaction, and each step is taken twice, as after an answer that was lost.
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { assertInvariants } from "../../support/invariants.ts";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endRefundJob } from "./arrange.ts";
import { type Db, paidCart, shelf, ship } from "./goods.ts";
import { searchDatabase } from "./search.ts";

type Step = (db: Db) => PromiseLike<unknown>;

const orders = [
  ["announce", "receive", "refund", "succeed"],
  ["announce", "refund", "receive", "succeed"],
  ["announce", "refund", "succeed", "receive"],
  ["announce", "refund with restock", "succeed"],
  ["announce", "refund with restock", "receive", "succeed"],
  ["receive", "refund", "succeed"],
  ["refund", "receive", "succeed"],
  ["refund", "succeed", "receive"],
  ["refund with restock", "succeed"],
  ["refund with restock", "receive", "succeed"],
] as const;

for (const order of orders) {
  Deno.test(`a return survives a crash before each step, and each step twice: ${order.join(", ")}`, async () => {
    await using own = await searchDatabase();
    const { sql } = own;
    const { story, payment } = await paidCart(sql);
    await ship(sql, story);
    const number = story.frame.orderNumber;
    const ids = {
      announce: crypto.randomUUID(),
      receive: crypto.randomUUID(),
      refund: crypto.randomUUID(),
    };
    const lines = (restock: boolean) => JSON.stringify([{ sku: "TIE", quantity: 1, restock }]);
    const refund = (restock: boolean, id: string): Step => (db) =>
      db`select public.request_refund(${number}, p_lines => ${
        lines(restock)
      }::text::jsonb, p_command_id => ${id})`;
    const announce = (id: string): Step => (db) =>
      db`select public.announce_return(${number}, '[{"sku": "TIE", "quantity": 1}]', p_command_id => ${id})`;
    const receive = (id: string): Step => (db) =>
      db`select public.receive_return(${number}, ${lines(true)}::text::jsonb, p_command_id => ${id})`;
    story.refunded(payment, "1", 5_000, "succeeded", ids.refund);
    const steps: Record<typeof order[number], { take: Step; anew?: Step }> = {
      "announce": { take: announce(ids.announce), anew: announce(crypto.randomUUID()) },
      "receive": { take: receive(ids.receive), anew: receive(crypto.randomUUID()) },
      "refund": { take: refund(false, ids.refund), anew: refund(false, crypto.randomUUID()) },
      "refund with restock": { take: refund(true, ids.refund), anew: refund(true, crypto.randomUUID()) },
      "succeed": { take: (db) => deliver(db, story.moves) },
    };
    const state = async () => {
      const rows = await sql`select
          (select jsonb_agg(to_jsonb(r) order by r.id) from public.returns r) as returns,
          (select jsonb_agg(to_jsonb(l) order by l.id) from public.return_lines l) as lines,
          (select jsonb_agg(to_jsonb(l) order by l.variant_id) from public.inventory_levels l) as levels,
          (select count(*)::int from public.inventory_journal) as moves,
          (select count(*)::int from public.refund_requests) as requests,
          (select count(*)::int from public.refund_lines) as refund_lines,
          (select count(*)::int from public.notifications) as mails,
          (select count(*)::int from private.jobs) as jobs,
          (select jsonb_agg(jsonb_build_array(status, fulfillment_status, amount_refunded)) from public.orders) as orders`;
      return [...rows];
    };

    for (const name of order) {
      const before = await state();
      const gone = Promise.withResolvers<void>();
      const doomed = postgres(own.url, { max: 1, onnotice: () => {}, onclose: () => gone.resolve() });
      await doomed`begin`;
      const [session] = await doomed`select pg_backend_pid() as pid`;
      await steps[name].take(doomed);
      await sql`select pg_terminate_backend(${session?.["pid"]})`;
      await gone.promise;
      await doomed.end({ timeout: 0 });
      assert.deepEqual(await state(), before, `${name}: what was not committed has not happened`);

      await steps[name].take(sql);
      const after = await state();
      assert.notDeepEqual(after, before, name);
      await steps[name].take(sql);
      assert.deepEqual(await state(), after, `${name}: the same again changes nothing`);
      const { anew } = steps[name];
      if (anew !== undefined) {
        assert.notEqual(await sqlstateOf(anew(sql)), null, `${name}: not by others either`);
      }
      assert.deepEqual(await state(), after, `${name}: a refusal changes nothing`);
      await assertInvariants(sql);
    }
    await endRefundJob(sql, ids.refund, "done");

    assert.deepEqual(await shelf(sql, "TIE"), [10, 0]);
    const [end] = await sql`select amount_refunded::int, status from public.orders`;
    assert.deepEqual({ ...end }, { amount_refunded: 5_000, status: "partially_refunded" });
    assert.deepEqual((await sql`select status from public.returns`).map(({ status }) => status), ["closed"]);
    await assertInvariants(sql);
  });
}
