/** The code of docs/storefront.md, taken out of the page and run against a stack. */
import assert from "node:assert/strict";
import { resumeToken } from "../../supabase/functions/_shared/checkout/resume_link.ts";
import { unsubscribeLink } from "../../supabase/functions/_shared/mails/unsubscribe_link.ts";
import { createClient } from "@supabase/supabase-js";
import { orderPageToken } from "../../supabase/functions/_shared/checkout/order_link.ts";
import type { OrderStatus } from "../../supabase/functions/_shared/database/orders.ts";
import { eventually } from "../support/poll.ts";
import { type TestStack, testStack } from "../support/stack.ts";

interface Order {
  order_number: string;
  status: string;
  amount_total: number;
}

interface Guide {
  loadCatalogue(shop: Shop): Promise<{ slug: string; variants: { sku: string; available: number }[] }[]>;
  startCheckout(
    shop: Shop,
    order: unknown,
  ): Promise<{ order_id: string; session_id: string; url: string; order_number: string }>;
  startOwnCheckout(
    shop: Shop,
    order: unknown,
  ): Promise<{ session_id: string; url: string | null; client_secret: string | null }>;
  mountPayment(stripe: unknown, session: unknown, place: string): Promise<string | null>;
  mountElements(
    stripe: unknown,
    session: unknown,
    places: Record<string, string>,
  ): Promise<(contact: { email: string; phone: string }) => Promise<string | null>>;
  followOrder(shop: Shop, sessionId: string, options: { pause: number }): AsyncIterable<Order>;
  orderOfLink(shop: Shop, token: string): Promise<OrderStatus>;
  watchOrder(
    supabase: unknown,
    read: () => Promise<OrderStatus>,
    show: (order: OrderStatus) => void,
    options: { signal: AbortSignal; pause: number; gap: number },
  ): Promise<void>;
  signIn(shop: Shop, email: string, password: string): Promise<string>;
  reopen(shop: Shop, token: string): Promise<string>;
  unsubscribe(shop: Shop, token: string): Promise<void>;
  myOrders(shop: Shop, token: string): Promise<{ number: string; items: { sku: string }[] }[]>;
}

interface Shop {
  url: string;
  key: string;
}

async function loadGuide(): Promise<Guide> {
  const page = await Deno.readTextFile(new URL("../../docs/storefront.md", import.meta.url));
  const blocks = [...page.matchAll(/^```js\n(.*?)^```/gms)].map((match) => match[1]);
  assert.ok(blocks.length >= 5, "the guide has lost its code");
  return await import(`data:text/javascript,${encodeURIComponent(blocks.join("\n"))}`);
}

async function pay(stack: TestStack, session: string): Promise<void> {
  const response = await fetch(`${stack.stripe_url}/_control/pay`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ session }),
  });
  assert.equal(response.status, 200, await response.text());
}

/** Passes requests on, but for those that `instead` answers. */
function proxyTo(
  target: string,
  instead: (path: string) => Response | null,
): AsyncDisposable & { url: string } {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { pathname, search } = new URL(request.url);
    return instead(pathname) ?? fetch(target + pathname + search, { headers: request.headers });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("storefront guide: its code reads the catalogue, checks out, follows the order and lists it", async () => {
  const linkSigningSecret = `guide-${crypto.randomUUID()}`;
  await using stack = await testStack({ env: { LINK_SIGNING_SECRET: linkSigningSecret } });
  const guide = await loadGuide();
  const shop = { url: stack.api_url, key: stack.publishable_key };

  const products = await guide.loadCatalogue(shop);
  const tie = products.find((product) => product.slug === "silk-tie")?.variants
    .find((variant) => variant.sku === "TIE-SILK-BUR");
  assert.equal(tie?.available, 1);

  await assert.rejects(guide.signIn(shop, "shopper@example.com", "wrong"), {
    status: 400,
    code: "invalid_credentials",
    message: "Invalid login credentials",
  });
  const token = await guide.signIn(shop, "shopper@example.com", "demo-password");
  const order = {
    items: [{ sku: "TIE-SILK-BUR", quantity: 1 }, { sku: "SHIRT-OXF-BLU-M", quantity: 2 }],
    key: crypto.randomUUID(),
    returnTo: stack.web_url + "/store",
    token,
  };
  const session = await guide.startCheckout(shop, order);
  const repeat = await guide.startCheckout(shop, order);
  assert.equal(repeat.session_id, session.session_id);
  const end = Math.floor(Date.now() / 1000) + 600;
  const link = await resumeToken(session.order_id, end, { linkSigningSecret });
  assert.equal(await guide.reopen(shop, link), session.url);
  await assert.rejects(guide.reopen(shop, "cut off"), { status: 400, code: "invalid_request" });

  const leave = new URL(
    await unsubscribeLink("a".repeat(64), { linkSigningSecret, supabaseUrl: stack.api_url }),
  ).searchParams.get("token") ?? "";
  await guide.unsubscribe(shop, leave);
  const [ended] = await stack.sql`select reason from public.mail_suppressions`;
  assert.equal(ended?.["reason"], "unsubscribed");
  await assert.rejects(guide.unsubscribe(shop, "cut off"), { status: 400, code: "invalid_request" });

  // What fails for a moment is asked again.
  let asked = 0;
  await using flaky = proxyTo(
    stack.api_url,
    (path) =>
      path.startsWith("/functions/v1/order-status") && ++asked === 1
        ? new Response("upstream", { status: 502 })
        : null,
  );
  const seen: Order[] = [];
  const following = (async () => {
    for await (
      const state of guide.followOrder({ ...shop, url: flaky.url }, session.session_id, { pause: 20 })
    ) {
      seen.push(state);
    }
  })();
  await eventually("the order to be seen before it is paid", () => seen.length > 0);
  await pay(stack, session.session_id);
  await following;
  assert.equal(seen[0]?.status, "pending");
  assert.equal(seen.at(-1)?.status, "paid");
  assert.equal(seen.at(-1)?.order_number, session.order_number);

  const [mine, ...others] = await guide.myOrders(shop, token);
  assert.deepEqual(others, []);
  assert.equal(mine?.number, session.order_number);
  assert.deepEqual(mine?.items.map((item) => item.sku).sort(), ["SHIRT-OXF-BLU-M", "TIE-SILK-BUR"]);

  const other = { ...order, items: [{ sku: "TIE-SILK-BUR", quantity: 1 }], key: crypto.randomUUID() };
  await assert.rejects(guide.startCheckout(shop, other), {
    status: 409,
    code: "insufficient_stock",
    details: [{ sku: "TIE-SILK-BUR", requested: 1, available: 0 }],
  });
});

Deno.test("storefront guide: its code pays on the shop's own page, and follows the order as from Stripe's", async () => {
  await using stack = await testStack();
  const guide = await loadGuide();
  const shop = { url: stack.api_url, key: stack.publishable_key };
  const order = {
    items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }],
    key: crypto.randomUUID(),
    returnTo: stack.web_url + "/store",
  };
  const session = await guide.startOwnCheckout(shop, order);
  const shown: unknown[] = [];
  const stripe = {
    async createEmbeddedCheckoutPage({ fetchClientSecret }: { fetchClientSecret: () => Promise<string> }) {
      const secret = await fetchClientSecret();
      return { mount: (place: string) => shown.push([place, secret]) };
    },
  };
  assert.equal(await guide.mountPayment(stripe, session, "#payment"), null);
  assert.deepEqual(shown, [["#payment", session.client_secret]]);
  await pay(stack, session.session_id);
  const repeat = await guide.startOwnCheckout(shop, order);
  const after = `${stack.web_url}/store/success?session_id=${session.session_id}`;
  assert.equal(await guide.mountPayment(stripe, repeat, "#payment"), after);
  for await (const { status } of guide.followOrder(shop, session.session_id, { pause: 20 })) {
    if (status === "paid") return;
  }
  assert.fail("the order was not paid");
});

Deno.test("storefront guide: its code for elements asks Stripe.js in turn, and says what was wrong", async () => {
  const guide = await loadGuide();
  const asked: unknown[] = [];
  const answers: Record<string, unknown> = {};
  const step = (name: string) => (value?: unknown) => {
    asked.push([name, value]);
    return Promise.resolve(answers[name] ?? { type: "success" });
  };
  const element = (name: string) => () => ({ mount: (place: string) => asked.push([name, place]) });
  const stripe = {
    initCheckoutElementsSdk: ({ clientSecret }: { clientSecret: string }) => {
      asked.push(clientSecret);
      return {
        createPaymentElement: element("payment"),
        createShippingAddressElement: element("shipping"),
        createBillingAddressElement: element("billing"),
        loadActions: () =>
          Promise.resolve({
            type: "success",
            actions: {
              updateEmail: step("email"),
              updatePhoneNumber: step("phone"),
              confirm: step("confirm"),
            },
          }),
      };
    },
  };
  const places = { payment: "#p", shipping: "#s", billing: "#b" };
  const press = await guide.mountElements(stripe, { client_secret: "secret" }, places);
  const contact = { email: "ada@example.com", phone: "+12175550123" };
  assert.equal(await press(contact), null);
  assert.deepEqual(asked, [
    "secret",
    ["payment", "#p"],
    ["shipping", "#s"],
    ["billing", "#b"],
    ["email", contact.email],
    ["phone", contact.phone],
    ["confirm", undefined],
  ]);
  answers["phone"] = { type: "error", error: { message: "Your phone number is incomplete." } };
  asked.length = 0;
  assert.equal(await press(contact), "Your phone number is incomplete.");
  assert.equal(asked.length, 2, "it paid although the number was refused");
});

Deno.test("storefront guide: its code reads a catalogue of more than max_rows", async () => {
  await using stack = await testStack();
  const guide = await loadGuide();
  const shop = { url: stack.api_url, key: stack.publishable_key };
  await stack.sql`
    with wide as (insert into public.products (slug, name) values ('wide', 'Wide') returning id)
    insert into public.product_variants (product_id, sku, color, price_amount, currency)
    select id, 'WIDE-' || lpad(i::text, 4, '0'), 'c' || i, 1000, 'usd' from wide, generate_series(1, 1300) i`;
  await stack.sql`
    insert into public.inventory_levels (variant_id, on_hand)
    select id, 5 from public.product_variants where sku like 'WIDE-%'
    on conflict (variant_id) do update set on_hand = excluded.on_hand`;
  const products = await guide.loadCatalogue(shop);
  const wide = products.find((product) => product.slug === "wide")?.variants ?? [];
  assert.deepEqual([wide.length, wide.filter((variant) => variant.available !== 5).length], [1300, 0]);
  assert.deepEqual([wide[0]?.sku, wide.at(-1)?.sku], ["WIDE-0001", "WIDE-1300"]);
  const [sold] = await stack.sql<{ count: number }[]>`
    select count(*)::int as count from public.product_variants v join public.products p on p.id = v.product_id
    where v.active and p.active`;
  assert.equal(products.flatMap((product) => product.variants).length, sold?.count);
});

Deno.test("storefront guide: its code watches an order, live where Realtime is and by polling where it is not", async () => {
  const linkSigningSecret = `guide-${crypto.randomUUID()}`;
  await using stack = await testStack({ env: { LINK_SIGNING_SECRET: linkSigningSecret } });
  const guide = await loadGuide();
  const shop = { url: stack.api_url, key: stack.publishable_key };
  const session = await guide.startCheckout(shop, {
    items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 2 }],
    key: crypto.randomUUID(),
    returnTo: stack.web_url + "/store",
  });
  await pay(stack, session.session_id);
  const token = await orderPageToken(session.order_id, { linkSigningSecret }, Date.now());
  const read = () => guide.orderOfLink(shop, token);
  await eventually("the order to be paid", async () => (await read()).status === "paid");

  /** Realtime as a page sees it: one channel that can be joined. */
  const live = {
    topic: "",
    tell: () => {},
    removed: false,
    channel(topic: string) {
      live.topic = topic;
      return live;
    },
    on(_kind: string, _filter: { event: string }, heard: () => void) {
      live.tell = heard;
      return live;
    },
    subscribe(joined: (status: string) => void) {
      joined("SUBSCRIBED");
      return live;
    },
    removeChannel() {
      live.removed = true;
    },
  };
  const offline = createClient(shop.url, shop.key);
  const watch = (supabase: unknown, pause: number) => {
    const end = new AbortController();
    const seen: number[] = [];
    const show = ({ shipments }: OrderStatus) => seen.push(shipments.length);
    const done = guide.watchOrder(supabase, read, show, { signal: end.signal, pause, gap: 1 });
    return { end, seen, done };
  };
  const [heard, polled] = [watch(live, 10_000_000), watch(offline, 20)];
  await eventually("both to have shown the order", () => heard.seen.length > 0 && polled.seen.length > 0);
  assert.equal(live.topic, (await read()).live_topic);
  await stack.sql`select public.mark_fulfilled(${session.order_number}, 'UPS', '1Z-1234')`;
  await eventually("the parcel to be seen by polling", () => polled.seen.at(-1) === 1);
  // Shown again where the last event of the payment came in between.
  assert.deepEqual([...new Set(heard.seen)], [0], "nobody has told it yet");
  live.tell();
  await eventually("the parcel to be seen live", () => heard.seen.at(-1) === 1);
  for (const { end, done } of [heard, polled]) {
    end.abort();
    await done;
  }
  await offline.realtime.disconnect();
  assert.equal(live.removed, true);
  assert.deepEqual([heard, polled].map(({ seen }) => [...new Set(seen)]), [[0, 1], [0, 1]]);
});
