import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { checkout, stripeApi } from "./shop.ts";

const shop = "https://shop.example";

Deno.test("checkout keeps to the rules of browsers and of the shop's own origins", async (test) => {
  await using stack = await testStack({
    env: { ALLOWED_ORIGINS: `${shop},https://www.shop.example`, SITE_URL: `${shop}/` },
  });
  const url = `${stack.functions_url}/create-checkout-session`;

  await test.step("a preflight of the shop names what may be sent; a foreign one gets nothing", async () => {
    const preflight = (origin: string) =>
      fetch(url, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "apikey,authorization,content-type,idempotency-key",
        },
      });
    const allowed = await preflight(shop);
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers.get("access-control-allow-origin"), shop);
    const headers = allowed.headers.get("access-control-allow-headers") ?? "";
    for (const name of ["apikey", "authorization", "content-type", "idempotency-key"]) {
      assert.ok(headers.includes(name));
    }
    assert.ok((allowed.headers.get("vary") ?? "").toLowerCase().includes("origin"));

    for (
      const origin of [
        "https://evil.example",
        "null",
        `${shop}.evil.example`,
        "http://shop.example",
        `${shop}:8443`,
        "http://localhost:5173",
        "http://127.0.0.1",
      ]
    ) {
      const refused = await preflight(origin);
      assert.equal(refused.status, 403, origin);
      assert.equal(refused.headers.get("access-control-allow-origin"), null);
      await refused.body?.cancel();
    }
  });

  await test.step("an answer, good or bad, can be read by the shop's pages, Retry-After too", async () => {
    for (const items of [[{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }], []]) {
      const response = await fetch(url, {
        method: "POST",
        headers: { origin: shop, apikey: stack.publishable_key, "content-type": "application/json" },
        body: JSON.stringify({ items }),
      });
      assert.equal(response.headers.get("access-control-allow-origin"), shop);
      const exposed = response.headers.get("access-control-expose-headers") ?? "";
      assert.ok(exposed.includes("retry-after") && exposed.includes("x-request-id"));
      await response.body?.cancel();
    }
  });

  await test.step("Stripe leads back to the shop only", async () => {
    const session = async (body: Record<string, unknown>) => {
      const answer = await checkout(stack, body);
      assert.equal(answer.status, 201, JSON.stringify(answer.body));
      return await stripeApi(stack, "GET", `checkout/sessions/${answer.body.session_id}`);
    };
    const usual = await session({});
    assert.equal(usual.success_url, `${shop}/success?session_id={CHECKOUT_SESSION_ID}`);
    const own = await session({
      success_url: "https://www.shop.example/done?x=1",
      cancel_url: `${shop}/cart`,
    });
    assert.equal(own.success_url, "https://www.shop.example/done?x=1&session_id={CHECKOUT_SESSION_ID}");

    for (
      const foreign of [
        "https://evil.example/",
        "//evil.example/",
        "https://shop.example@evil.example/",
        "https://shop.example.evil.example/",
        "https://evil.example\\@shop.example/",
        "https:evil.example",
        "javascript:alert(1)//https://shop.example",
        "data:text/html,x",
        "http://shop.example/",
        "https://shop.example:444/",
        "https://shop.example/\r\nx-injected: 1",
      ]
    ) {
      for (const field of ["success_url", "cancel_url"]) {
        const refused = await checkout(stack, { [field]: foreign });
        assert.ok([400, 403].includes(refused.status), `${field} ${foreign}: ${refused.status}`);
      }
    }
  });

  await test.step("what a caller writes into headers and fields stays data", async () => {
    const answer = await checkout(stack, { locale: "en" }, {
      headers: {
        "user-agent": `x"}\u00a0{"level":"error"`,
        "x-request-id": "bad id {}",
        "x-forwarded-for": "1.2.3.4, evil",
      },
    });
    assert.equal(answer.status, 201);
    const [order] = await stack
      .sql`select purchase_ip::text as ip, user_agent from public.orders where id = ${answer.body.order_id}`;
    assert.equal(order?.["ip"], "127.0.0.1/32", "the address is the proxy's word, not the caller's");
    for (
      const sku of [
        "' or 1=1 --",
        "\u0000",
        "A".repeat(101),
        "${jndi:ldap://x}",
        "../../etc/passwd",
        "<script>",
      ]
    ) {
      const refused = await checkout(stack, { items: [{ sku, quantity: 1 }] });
      assert.ok([400, 404].includes(refused.status), `${sku}: ${refused.status}`);
    }
  });

  await test.step("a hidden product is as unknown as one that never was, whatever its stock", async () => {
    await stack.sql`update public.product_variants set active = false where sku = 'SHIRT-OXF-BLU-M'`;
    const shape = async (sku: string) => {
      const { status, body } = await checkout(stack, { items: [{ sku, quantity: 99 }] });
      return {
        status,
        code: body.error.code,
        message: body.error.message,
        details: JSON.stringify(body.error.details).replaceAll(sku, "SKU"),
      };
    };
    assert.deepEqual(await shape("SHIRT-OXF-BLU-M"), await shape("NEVER-WAS"));
    // Beside a line that is short, the hidden one still is all that is told.
    const mixed = await checkout(stack, {
      items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }, { sku: "SHIRT-OXF-WHT-M", quantity: 99 }],
    });
    assert.deepEqual([mixed.status, mixed.body.error.details], [404, ["SHIRT-OXF-BLU-M"]]);
  });
});
