/** Payment on the shop's own page: the same order, hold and settlement as on Stripe's. */
import assert from "node:assert/strict";
import { resumeToken } from "../../../supabase/functions/_shared/checkout/resume_link.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { eventually } from "../../support/poll.ts";
import {
  assertInvariants,
  checkout,
  control,
  endUnheard,
  flush,
  forwardAll,
  reopen,
  sessionsOf,
  startProxy,
  stockOf,
  stripeApi,
} from "./shop.ts";

const linkSigningSecret = `own-page-${crypto.randomUUID()}`;
const sku = "SHIRT-OXF-WHT-M";
const items = [{ sku, quantity: 1 }];
const embedded = { items, ui_mode: "embedded_page" };

async function tokenOf(orderId: string): Promise<string> {
  return await resumeToken(orderId, Math.floor(Date.now() / 1000) + 600, { linkSigningSecret });
}

/** Tables in whose rows a text stands, whatever the column. */
async function tablesWith(stack: TestStack, text: string): Promise<string[]> {
  const tables = await stack.sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')`;
  const found: string[] = [];
  for (const { name } of tables) {
    const [row] = await stack.sql<{ held: boolean }[]>`
      select exists (select 1 from ${stack.sql.unsafe(name)} t where t::text like ${`%${text}%`}) as held`;
    if (row?.held === true) found.push(name);
  }
  return found;
}

Deno.test("checkout on the shop's own page", async (test) => {
  await using proxy = startProxy();
  await using stack = await testStack({
    env: { LINK_SIGNING_SECRET: linkSigningSecret, STRIPE_API_BASE: proxy.url },
  });
  proxy.target = stack.stripe_url;

  await test.step("a repeat of a key has the same session and its secret, read anew; another kind of page is another request", async () => {
    const key = crypto.randomUUID();
    const first = await checkout(stack, embedded, { key });
    assert.deepEqual([first.status, first.body.url], [201, null]);
    assert.match(first.body.client_secret, new RegExp(`^${first.body.session_id}_secret_`));
    proxy.calls.length = 0;
    const repeat = await checkout(stack, embedded, { key });
    assert.deepEqual([repeat.status, repeat.body], [200, first.body]);
    assert.deepEqual(proxy.calls, [`GET /v1/checkout/sessions/${first.body.session_id}`]);
    for (const ui_mode of [undefined, "hosted_page", "elements"]) {
      const other = await checkout(stack, { items, ...(ui_mode === undefined ? {} : { ui_mode }) }, { key });
      assert.deepEqual([other.status, other.body.error.code], [409, "idempotency_conflict"]);
    }
  });

  for (const ui_mode of ["embedded_page", "elements"]) {
    await test.step(`${ui_mode} is paid and settled as Stripe's page is, and its secret stands nowhere`, async () => {
      const key = crypto.randomUUID();
      const before = await stockOf(stack, sku);
      const { body } = await checkout(stack, { items, ui_mode }, { key });
      assert.equal((await stockOf(stack, sku)).reserved, before.reserved + 1);
      // A decline and a success: all that Stripe tells of both is stored.
      await (await control(stack, "pay", { session: body.session_id, card: "4000000000000002" })).body
        ?.cancel();
      const paid = await control(stack, "pay", { session: body.session_id });
      assert.equal(paid.status, 200, await paid.text());
      await flush(stack);
      const [order] = await stack.sql`select status, ui_mode from public.orders where id = ${body.order_id}`;
      assert.deepEqual({ ...order }, { status: "paid", ui_mode });
      const repeat = await checkout(stack, { items, ui_mode }, { key });
      assert.match(repeat.body.url, new RegExp(`/success\\?session_id=${body.session_id}$`));
      assert.equal(repeat.body.client_secret, null);
      assert.deepEqual(await tablesWith(stack, body.client_secret), []);
    });
  }

  await test.step("a mail's link closes the frame and leads to Stripe's page; the key leads back to a frame, once each", async () => {
    const key = crypto.randomUUID();
    const { body: first } = await checkout(stack, embedded, { key });
    const held = await stockOf(stack, sku);
    const hosted = await reopen(stack, await tokenOf(first.order_id));
    assert.match(hosted.body.url, /\/c\/pay\/cs_/);
    assert.equal((await reopen(stack, await tokenOf(first.order_id))).body.url, hosted.body.url);
    const again = await checkout(stack, embedded, { key });
    assert.equal(again.body.order_id, first.order_id);
    assert.notEqual(again.body.client_secret, first.client_secret);
    const sessions = await sessionsOf(stack, first.order_id);
    assert.deepEqual(sessions.map(({ status }) => status).sort(), ["expired", "expired", "open"]);
    assert.equal(sessions.find(({ status }) => status === "open")?.id, again.body.session_id);
    assert.deepEqual(await stockOf(stack, sku), held, "one piece, however often it was opened");
  });

  await test.step("a frame whose time has run out, although no event has come, gives way to a new one", async () => {
    const key = crypto.randomUUID();
    const { body: first } = await checkout(stack, embedded, { key });
    await endUnheard(stack, first.session_id, async () => {
      // The clock of the database has not noticed either: Stripe's word alone says so.
      await stack.sql`
        update public.checkout_sessions set expires_at = now() + interval '1 hour' where id = ${first.session_id}`;
      const { status, body } = await checkout(stack, embedded, { key });
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.order_id, first.order_id);
      assert.notEqual(body.session_id, first.session_id);
    });
  });

  await test.step("a frame that was paid, although no event has come, leads to the page after paying", async () => {
    const key = crypto.randomUUID();
    const { body: first } = await checkout(stack, embedded, { key });
    await control(stack, "faults", { deliver: { drop: 1 } });
    await (await control(stack, "pay", { session: first.session_id })).body?.cancel();
    const { body } = await checkout(stack, embedded, { key });
    assert.match(body.url, new RegExp(`session_id=${first.session_id}$`));
    await fetch(`${stack.stripe_url}/_control/faults`, { method: "DELETE" });
    const [order] = await stack.sql`select status from public.orders where id = ${first.order_id}`;
    assert.equal(order?.["status"], "paid");
  });

  await test.step("while Stripe is down the repeat is 503, and the key completes later", async () => {
    const key = crypto.randomUUID();
    const { body: first } = await checkout(stack, embedded, { key });
    proxy.intercept = () => new Response("down", { status: 503 });
    const refused = await checkout(stack, embedded, { key });
    proxy.intercept = forwardAll;
    assert.deepEqual([refused.status, refused.body.error.code], [503, "stripe_unavailable"]);
    assert.equal((await checkout(stack, embedded, { key })).body.client_secret, first.client_secret);
  });

  await test.step("another cart closes the frame of the last one", async () => {
    const { body: first } = await checkout(stack, embedded, { key: crypto.randomUUID() });
    const next = await checkout(stack, {
      items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }],
      previous_session_id: first.session_id,
    }, { key: crypto.randomUUID() });
    assert.match(next.body.url, /\/c\/pay\//);
    assert.equal((await stripeApi(stack, "GET", `checkout/sessions/${first.session_id}`)).status, "expired");
  });

  await eventually("all events to be processed", async () => {
    const [left] = await stack.sql<{ count: number }[]>`
      select count(*)::int as count from public.webhook_events where status = 'failed'`;
    return left?.count === 0;
  });
  await assertInvariants(stack);
});
