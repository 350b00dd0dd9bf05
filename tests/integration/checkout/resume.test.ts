import assert from "node:assert/strict";
import { resumeLink, resumeToken } from "../../../supabase/functions/_shared/checkout/resume_link.ts";
import { eventually } from "../../support/poll.ts";
import { testStack } from "../../support/stack.ts";
import {
  assertInvariants,
  checkout,
  control,
  endUnheard,
  flush,
  reopen,
  runJobs,
  sessionsOf,
  setAvailable,
  stripeApi,
} from "./shop.ts";

const linkSigningSecret = `resume-${crypto.randomUUID()}`;
const env = { linkSigningSecret };
const sku = "SHIRT-OXF-WHT-M";
const items = [{ sku, quantity: 1 }];
const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const later = () => Math.floor(Date.now() / 1000) + 600;

Deno.test("resume-checkout leads a link's order on", async (test) => {
  // Jobs run when they are told to: one that ends a page at Stripe would look like something that a link has changed.
  await using stack = await testStack({ env: { LINK_SIGNING_SECRET: linkSigningSecret }, web: true });
  const open = async (token: string, headers: Record<string, string> = {}) => {
    const response = await fetch(
      `${stack.functions_url}/resume-checkout?token=${encodeURIComponent(token)}`,
      {
        redirect: "manual",
        headers,
      },
    );
    const text = await response.text();
    return {
      status: response.status,
      location: response.headers.get("location"),
      type: response.headers.get("content-type"),
      text,
      error: text.startsWith("{") ? JSON.parse(text).error : null,
    };
  };
  const order = async () => (await checkout(stack, { items })).body;
  const expire = async (sessionId: string) => {
    await stripeApi(stack, "POST", `checkout/sessions/${sessionId}/expire`);
    await flush(stack);
  };

  /** All that a request can change of an order: its rows, what it holds, and what Stripe was asked to do for it. */
  const everythingOf = async (orderId: string) => {
    const [rows] = await stack.sql`
      select to_jsonb(o) as orders,
        (select jsonb_agg(to_jsonb(s) order by s.id) from public.checkout_sessions s where s.order_id = o.id) as sessions,
        (select jsonb_agg(to_jsonb(r) order by r.id) from public.inventory_reservations r where r.order_id = o.id)
          as reservations,
        (select count(*) from public.order_events e where e.order_id = o.id) as events,
        (select count(*) from public.fraud_signals f where f.order_id = o.id) as signals
      from public.orders o where o.id = ${orderId}`;
    const { requests } = await (await fetch(`${stack.stripe_url}/_control/requests`)).json();
    const sessions = new Set(
      (await sessionsOf(stack, orderId)).map(({ id }) => `/v1/checkout/sessions/${id}/expire`),
    );
    const writes = requests.filter(({ method, path }: { method: string; path: string }) =>
      method === "POST" && (path === "/v1/checkout/sessions" || sessions.has(path))
    );
    return JSON.stringify({ ...rows, writes: writes.length });
  };
  /** Where a link leads, having made sure that opening it has changed nothing. */
  const look = async (token: string) => {
    const [orderId = ""] = token.split(".");
    const before = await everythingOf(orderId);
    const answer = await open(token);
    assert.equal(await everythingOf(orderId), before, "a link that is opened changes nothing");
    return answer;
  };
  const offer = (token: string) => `${stack.web_url}/store/resume?token=${token}`;

  await test.step("to its open page, without a new session", async () => {
    const { order_id, url } = await order();
    const token = await resumeToken(order_id, later(), env);
    const answer = await look(token);
    assert.deepEqual([answer.status, answer.location], [303, url]);
    const again = await reopen(stack, token);
    assert.deepEqual([again.status, again.body], [200, { url }]);
    assert.equal((await sessionsOf(stack, order_id)).length, 1);
  });

  await test.step("to the shop's offer when the last page has expired; ten shoppers who take it up get one page, at today's price", async () => {
    const { order_id, session_id, amount_subtotal } = await order();
    await expire(session_id);
    const [old] = await stack.sql<{ price_amount: string }[]>`
      select price_amount from public.product_variants where sku = ${sku}`;
    await stack.sql`update public.product_variants set price_amount = price_amount + 100 where sku = ${sku}`;
    const token = await resumeToken(order_id, later(), env);
    const link = await look(token);
    assert.deepEqual([link.status, link.location], [303, offer(token)]);

    const answers = await Promise.all(Array.from({ length: 10 }, () => reopen(stack, token)));
    await stack.sql`update public.product_variants set price_amount = ${
      old?.price_amount ?? ""
    } where sku = ${sku}`;
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(new Set(answers.map(({ body }) => body.url)).size, 1);
    const sessions = await sessionsOf(stack, order_id);
    assert.deepEqual(sessions.map(({ status }) => status).sort(), ["expired", "open"]);
    const fresh = sessions.find(({ status }) => status === "open");
    const session = await stripeApi(stack, "GET", `checkout/sessions/${fresh?.id}`);
    assert.equal(session.amount_subtotal, amount_subtotal + 100);
    assert.equal((await look(token)).location, answers[0]?.body.url);

    assert.ok((await control(stack, "pay", { session: fresh?.id })).ok);
    await flush(stack);
    const [paid] = await stack.sql`select status from public.orders where id = ${order_id}`;
    assert.equal(paid?.["status"], "paid");
    const success = `${stack.web_url}/store/success?session_id=${fresh?.id}`;
    assert.equal((await look(token)).location, success);
    assert.deepEqual((await reopen(stack, token)).body, { url: success });
  });

  await test.step("to the offer, and a new page, when the last has run out although Stripe's event has not come", async () => {
    const { order_id, session_id } = await order();
    await endUnheard(stack, session_id, async () => {
      const token = await resumeToken(order_id, later(), env);
      assert.equal((await look(token)).location, offer(token));
      const answer = await reopen(stack, token);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      const fresh = (await sessionsOf(stack, order_id)).find(({ status }) => status === "open");
      assert.ok(fresh !== undefined && answer.body.url.includes(fresh.id), answer.body.url);
    });
  });

  await test.step("past a page that was paid or closed, although Stripe's event has not come", async () => {
    const [bought, closed] = [await order(), await order()];
    await control(stack, "faults", { deliver: { drop: 1 } });
    try {
      assert.ok((await control(stack, "pay", { session: bought.session_id })).ok);
      const paid = await resumeToken(bought.order_id, later(), env);
      const success = `${stack.web_url}/store/success?session_id=${bought.session_id}`;
      assert.equal((await look(paid)).location, success);
      assert.deepEqual((await reopen(stack, paid)).body, { url: success });

      await stripeApi(stack, "POST", `checkout/sessions/${closed.session_id}/expire`);
      const token = await resumeToken(closed.order_id, later(), env);
      assert.equal((await look(token)).location, offer(token));
      const again = await reopen(stack, token);
      assert.equal(again.status, 200, JSON.stringify(again.body));
      const fresh = (await sessionsOf(stack, closed.order_id)).find(({ status }) => status === "open");
      assert.ok(fresh !== undefined && again.body.url.includes(fresh.id), again.body.url);
    } finally {
      await fetch(`${stack.stripe_url}/_control/faults`, { method: "DELETE" });
    }
  });

  await test.step("to the page that the database knows while Stripe cannot be asked", async () => {
    const { order_id, session_id, url } = await order();
    const match = `GET /v1/checkout/sessions/${session_id}`;
    await control(stack, "faults", { api: [{ match, status: 500 }] });
    try {
      const token = await resumeToken(order_id, later(), env);
      const answer = await look(token);
      assert.deepEqual([answer.status, answer.location], [303, url]);
      assert.deepEqual((await reopen(stack, token)).body, { url });
    } finally {
      await fetch(`${stack.stripe_url}/_control/faults`, { method: "DELETE" });
    }
  });

  await test.step("to the offer when it is sold out, which can then not be taken up: 409 with what is left", async () => {
    const { order_id, session_id } = await order();
    await expire(session_id);
    await setAvailable(stack, sku, 0);
    const token = await resumeToken(order_id, later(), env);
    assert.equal((await look(token)).location, offer(token));
    const { status, body } = await reopen(stack, token);
    assert.deepEqual([status, body.error?.code], [409, "insufficient_stock"]);
    assert.deepEqual(body.error?.details, [{ sku, requested: 1, available: 0 }]);
    await setAvailable(stack, sku, 50);
  });

  await test.step("nowhere when staff have cancelled it", async () => {
    const { order_id, order_number } = await order();
    await stack.sql`select public.cancel_order(${order_number}, 'test')`;
    const token = await resumeToken(order_id, later(), env);
    const answer = await look(token);
    assert.deepEqual([answer.status, answer.error?.code], [409, "conflict"]);
    const page = await open(token, { accept: "text/html,application/xhtml+xml" });
    assert.equal(page.status, 409);
    assert.match(page.type ?? "", /^text\/plain/);
    assert.match(page.text, /cancelled[\s\S]*To the shop: http/);
    const again = await reopen(stack, token);
    assert.deepEqual([again.status, again.body.error?.code], [409, "conflict"]);
  });

  await test.step("nowhere when it is past its end: 410", async () => {
    const { order_id } = await order();
    const answer = await open(await resumeToken(order_id, Math.floor(Date.now() / 1000) - 1, env));
    assert.deepEqual([answer.status, answer.error?.code], [410, "link_expired"]);
    const token = await resumeToken(order_id, 1, env);
    assert.match((await open(token, { accept: "text/html" })).text, /has expired/);
    const again = await reopen(stack, token);
    assert.deepEqual([again.status, again.body.error?.code], [410, "link_expired"]);
  });

  await test.step("nowhere for any token that is not ours, and without a look into the database", async () => {
    const { order_id } = await order();
    const good = await resumeToken(order_id, later(), env);
    const [claimsOrder, claimsEnd, signature] = good.split(".");
    const forged = await resumeToken(order_id, later(), { linkSigningSecret: "another".repeat(8) });
    // The last character carries four bits of the signature and two that mean nothing.
    const last = base64url.indexOf(good.at(-1) ?? "");
    const respelled = [1, 2, 3].map((bits) => good.slice(0, -1) + base64url[last + bits]);
    const flipped = `${signature?.[0] === "A" ? "B" : "A"}${signature?.slice(1)}`;
    for (
      const token of [
        "",
        "x",
        `${claimsOrder}.${claimsEnd}`,
        `${claimsOrder}.${Number(claimsEnd) + 86_400}.${signature}`,
        `${crypto.randomUUID()}.${claimsEnd}.${signature}`,
        `${claimsOrder}.${claimsEnd}.${flipped}`,
        ...respelled,
        `${good}A`,
        ` ${good}`,
        good.toUpperCase(),
        forged,
        `${claimsOrder}.${claimsEnd}.${"*".repeat(43)}`,
        "a".repeat(3_000),
      ]
    ) {
      const [answer, again] = [await open(token), await reopen(stack, token)];
      assert.deepEqual([answer.status, answer.error?.code], [400, "invalid_request"], token.slice(0, 100));
      assert.deepEqual([again.status, again.body.error?.code], [400, "invalid_request"], token.slice(0, 100));
    }
  });

  await test.step("nowhere for an order that is gone", async () => {
    const answer = await open(await resumeToken(crypto.randomUUID(), later(), env));
    assert.deepEqual([answer.status, answer.error?.code], [404, "order_not_found"]);
  });

  await test.step("as a JSON body only, which no form of another site can send", async () => {
    const { order_id } = await order();
    const token = await resumeToken(order_id, later(), env);
    const post = async (body: string, headers: Record<string, string>) => {
      const response = await fetch(`${stack.functions_url}/resume-checkout`, {
        method: "POST",
        headers,
        body,
      });
      return [response.status, (await response.json()).error.code];
    };
    const form = { "content-type": "application/x-www-form-urlencoded" };
    assert.deepEqual(await post(`token=${token}`, form), [415, "unsupported_media_type"]);
    const type = { "content-type": "application/json" };
    assert.deepEqual(await post(JSON.stringify({ token, to: "x" }), type), [400, "invalid_request"]);
    assert.deepEqual(await post("{}", type), [400, "invalid_request"]);
    const foreign = { ...type, origin: "https://evil.example" };
    assert.deepEqual(await post(JSON.stringify({ token }), foreign), [403, "origin_not_allowed"]);
  });

  await test.step("as the link in a mail does", async () => {
    const { order_id, url } = await order();
    const link = await resumeLink(order_id, { linkSigningSecret, supabaseUrl: stack.api_url }, Date.now());
    const response = await fetch(link, { redirect: "manual" });
    assert.deepEqual([response.status, response.headers.get("location")], [303, url]);
    assert.equal(response.headers.get("referrer-policy"), "no-referrer");
  });

  await test.step("from the mail about a payment that failed late", async () => {
    const late = await checkout(stack, { customer_email: "ada@example.com" });
    const paid = await control(stack, "pay", {
      session: late.body.session_id,
      account_number: "000123456789",
    });
    assert.ok(paid.ok, await paid.clone().text());
    const { payment_intent } = await paid.json();
    const settled = await control(stack, "settle", { payment_intent, outcome: "failed" });
    assert.ok(settled.ok, await settled.text());
    await flush(stack);

    const link = await eventually("the mail with the link", async () => {
      await runJobs(stack);
      for await (const entry of Deno.readDir(`${stack.dir}/mails`)) {
        const text = await Deno.readTextFile(`${stack.dir}/mails/${entry.name}`);
        const found = /http:\/\/[^\s"\\<]+\/resume-checkout\?token=[\w.-]+/.exec(text);
        if (found !== null && text.includes(late.body.order_number)) return found[0];
      }
      return null;
    });
    const token = new URL(link).searchParams.get("token") ?? "";
    assert.equal((await look(token)).location, offer(token));
    assert.equal((await reopen(stack, token)).status, 200);
    const [row] = await stack.sql`select status, attempt from public.orders where id = ${late.body.order_id}`;
    assert.deepEqual({ ...row }, { status: "pending", attempt: 2 });
  });

  await assertInvariants(stack);
});
