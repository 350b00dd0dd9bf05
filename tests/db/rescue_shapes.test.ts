/** What the wrappers of a rescue say of the answers of SQL functions, held against what comes over the API. */
import assert from "node:assert/strict";
import { createCall } from "../../supabase/functions/_shared/database/client.ts";
import type { EventOutcome } from "../../supabase/functions/_shared/database/events.ts";
import {
  rescueCalls,
  type RescuedOrder,
  type RescueEnd,
  type RescueWindow,
} from "../../supabase/functions/_shared/database/rescue.ts";
import type { CheckoutSessionFact } from "../../supabase/functions/_shared/stripe_events/facts.ts";
import { localGateway } from "../support/gateway.ts";
import { sessionFact } from "./checkout/cart_support.ts";
import { searchDatabase } from "./settlement/search.ts";
import { beginOrder } from "./settlement/shop.ts";
import { check, eventShape, type Shape } from "./shapes.ts";

Deno.test("the shapes of a rescue", async () => {
  await using database = await searchDatabase(9);
  const { sql } = database;
  const gateway = await localGateway(database.url);
  const env = { supabaseUrl: gateway.url, secretKeys: { default: gateway.keys.secret_key } };
  const called = new Set<string>();
  const rpc = rescueCalls(createCall(env, (input, init) => {
    called.add(String(input).replace(/^.*\/rpc\//, ""));
    return fetch(input, init);
  }));
  await beginOrder(sql);
  const window: Shape<RescueWindow> = { since: "set", stopped_at: "set", under_way: "set", shop_id: "set" };
  check<RescueWindow>(await rpc.getRescueWindow(null, null), window, "getRescueWindow()");
  check<RescueWindow>(await rpc.beginRescue(null, null), window, "beginRescue()");
  const [order] = await sql<{ id: string; number: string }[]>`
    select o.id, o.number from public.orders o order by o.number limit 1`;
  const unknown = crypto.randomUUID();
  assert.deepEqual(await rpc.listMissingOrders([order?.id ?? "", unknown]), [unknown]);
  assert.ok(Array.isArray(await rpc.listRescueObjects()));
  assert.deepEqual(await rpc.listPassedEvents("", 10), []);
  assert.equal(await rpc.rescueFacts([], new Date(), new Date()), 0);
  const event = { id: "evt_rescued", type: "charge.failed", livemode: false, created: 1_793_000_000 };
  const outcome = await rpc.rescueStripeEvent(event, { ignoredReason: "not ours" });
  check<EventOutcome>(outcome, eventShape, "rescueStripeEvent()");
  const refund = { request_id: "x", order_id: unknown, payment_id: "pi_1", amount: 1, created: 1 };
  assert.equal(
    await rpc.rescueRefund({ ...refund, cause: "requested", whole: true, restock: false, lines: [] }),
    false,
  );
  const begun = { order_id: order?.id ?? "", attempt: 1, cart_hash: "x", amount_subtotal: 1 };
  const session = sessionFact(begun) as unknown as CheckoutSessionFact;
  const rescued = await rpc.rescueOrder({
    id: order?.id ?? "",
    number: "1",
    attempt: 1,
    account_id: null,
    currency: "usd",
    livemode: false,
    email: null,
    locale: null,
    ui_mode: "hosted_page",
    prices_include_tax: false,
    shipping_rates: [],
    created: 1_793_000_000,
    expires_at: 1_793_000_100,
    open: false,
    lines: [],
  }, session);
  check<RescuedOrder>(rescued, { outcome: "set", number: "set" }, "rescueOrder()");
  assert.deepEqual([rescued.outcome, rescued.number], ["known", order?.number]);
  assert.equal(typeof await rpc.dateRescued(10), "number");
  check<RescueEnd>(
    await rpc.finishRescue(),
    { stock_added: "set", paid_orders: "set" },
    "finishRescue()",
  );
  const wrapped = Object.keys(rpc).map((name) =>
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  );
  assert.deepEqual([...called].sort(), wrapped.sort(), "every wrapper is looked at here");
  await gateway.stop();
});
