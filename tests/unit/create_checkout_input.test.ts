import assert from "node:assert/strict";
import { handle } from "../../supabase/functions/create-checkout-session/handler.ts";
import { environment, errorOf, publishableKey, secretKey, testEnv } from "./fakes.ts";
import { cart, checkoutOf, requestOf, world } from "./checkout_world.ts";
import { storable } from "../../supabase/functions/_shared/database/storable.ts";

Deno.test("create-checkout-session needs an API key, publishable or secret", async () => {
  for (const key of ["", "sb_publishable_other", "anon"]) {
    const response = await handle(requestOf(cart, { apikey: key }), world().deps);
    assert.equal(response.status, 401);
    assert.equal((await errorOf(response)).code, "unauthorized");
  }
  assert.equal((await handle(requestOf(cart, { apikey: secretKey }), world().deps)).status, 201);
});

Deno.test("create-checkout-session takes the repeated API key as bearer for a guest, and refuses a bad token", async () => {
  const guest = await handle(requestOf(cart, { authorization: `Bearer ${publishableKey}` }), world().deps);
  assert.equal(guest.status, 201);
  const forged = await handle(requestOf(cart, { authorization: "Bearer a.b.c" }), world().deps);
  assert.equal(forged.status, 401);
});

Deno.test("create-checkout-session counts and notes the address that a server passes with the secret key", async () => {
  const passed = { "x-shopper-ip": "198.51.100.77" };
  for (const [apikey, address] of [[secretKey, "198.51.100.77"], [publishableKey, "203.0.113.7"]] as const) {
    const here = world();
    assert.equal((await handle(requestOf(cart, { ...passed, apikey }), here.deps)).status, 201);
    assert.equal(here.begun[0]?.p_client_ip, address);
    assert.ok(JSON.stringify(here.limited).includes(`checkout:${address}`), JSON.stringify(here.limited));
  }
  const junk = await handle(requestOf(cart, { apikey: secretKey, "x-shopper-ip": "me" }), world().deps);
  assert.equal((await errorOf(junk)).code, "invalid_request");
});

const line = { sku: "A", quantity: 1 };
const badCarts: [string, unknown, string][] = [
  ["no items", {}, "items"],
  ["an empty cart", { items: [] }, "items"],
  ["51 lines", { items: Array(51).fill(line) }, "items"],
  ["quantity zero", { items: [{ sku: "A", quantity: 0 }] }, "items.0.quantity"],
  ["a negative quantity", { items: [{ sku: "A", quantity: -1 }] }, "items.0.quantity"],
  ["a huge quantity", { items: [{ sku: "A", quantity: 100 }] }, "items.0.quantity"],
  ["half a shirt", { items: [{ sku: "A", quantity: 1.5 }] }, "items.0.quantity"],
  ["a quantity as text", { items: [{ sku: "A", quantity: "1" }] }, "items.0.quantity"],
  ["a price", { items: [{ ...line, unit_amount: 1 }] }, "items.0.unit_amount"],
  ["an unknown field", { items: [line], total: 1 }, "total"],
  ["a list", [line], ""],
  ["null", null, ""],
  ["a line break in a SKU", { items: [{ sku: "A\r\nB", quantity: 1 }] }, "items.0.sku"],
  ["text turned round in a SKU", { items: [{ sku: "A\u202eB", quantity: 1 }] }, "items.0.sku"],
  ["a C1 line break in a SKU", { items: [{ sku: "A\u0085B", quantity: 1 }] }, "items.0.sku"],
  ["an address that is none", { items: [line], customer_email: "ada" }, "customer_email"],
  ["a relative URL", { items: [line], success_url: "/success" }, "success_url"],
  ["a script URL", { items: [line], cancel_url: "javascript:alert(1)" }, "cancel_url"],
  [
    "header injection in a URL",
    { items: [line], success_url: "https://shop.example/\r\nset-cookie: a=b" },
    "success_url",
  ],
  [
    "credentials in a URL",
    { items: [line], success_url: "https://shop.example@evil.example/" },
    "success_url",
  ],
  ["a kind of page that is none", { items: [line], ui_mode: "form" }, "ui_mode"],
  [
    "a return URL for Stripe's page",
    { items: [line], return_url: "https://shop.example/done" },
    "return_url",
  ],
  [
    "a success URL for a page of the shop's own",
    { items: [line], ui_mode: "embedded_page", success_url: "https://shop.example/done" },
    "success_url",
  ],
  [
    "a cancel URL for elements",
    { items: [line], ui_mode: "elements", cancel_url: "https://shop.example/" },
    "cancel_url",
  ],
  [
    "a script as return URL",
    { items: [line], ui_mode: "elements", return_url: "javascript:alert(1)" },
    "return_url",
  ],
  ["a locale that is none", { items: [line], locale: "../../etc" }, "locale"],
];

for (const [name, body, path] of badCarts) {
  Deno.test(`create-checkout-session refuses ${name} with the path of the field`, async () => {
    const here = world();
    const response = await handle(requestOf(body), here.deps);
    assert.equal(response.status, 400);
    const error = await errorOf(response);
    assert.equal(error.code, "invalid_request");
    assert.equal((error.details as { path: string }[])[0]?.path, path);
    assert.deepEqual([here.limited.length, here.begun.length], [0, 0]);
  });
}

Deno.test("create-checkout-session sends back little of what it does not know, in length and in number", async () => {
  const unknown = { [`${"😀".repeat(100)}1`]: 1, [`${"😀".repeat(100)}2`]: 1 };
  const answer = await handle(requestOf({ items: Array(50).fill({ ...line, ...unknown }) }), world().deps);
  const { details } = await errorOf(answer);
  assert.equal(answer.status, 400);
  const issues = details as { path: string; message: string }[];
  assert.equal(issues.length, 20);
  assert.deepEqual(issues[1], { path: `items.1.${"😀".repeat(40)}…`, message: "unknown field" });
});

Deno.test("create-checkout-session takes fields that say nothing for fields that are not there", async () => {
  const names = [
    "customer_email",
    "success_url",
    "cancel_url",
    "ui_mode",
    "return_url",
    "locale",
    "previous_session_id",
    "turnstile_token",
  ];
  for (const nothing of ["", "  ", null]) {
    const here = world();
    const body = { items: [line], ...Object.fromEntries(names.map((name) => [name, nothing])) };
    const response = await handle(requestOf(body), here.deps);
    assert.equal(response.status, 201, await response.text());
    const [begun] = here.begun;
    assert.deepEqual([begun?.p_email, begun?.p_locale, begun?.p_previous_session_id], [null, null, null]);
  }
});

Deno.test("create-checkout-session knows an e-mail address in one form", async () => {
  const here = world();
  await handle(requestOf({ ...cart, customer_email: " Ada.L@Example.COM\n" }), here.deps);
  assert.equal(here.begun[0]?.p_email, "ada.l@example.com");
});

const modeOf = { success_url: "hosted_page", cancel_url: "hosted_page", return_url: "embedded_page" };
for (const [field, ui_mode] of Object.entries(modeOf)) {
  Deno.test(`create-checkout-session refuses a foreign ${field}`, async () => {
    for (
      const url of ["https://evil.example/x", "https://shop.example.evil.example/", "http://shop.example/"]
    ) {
      const response = await handle(requestOf({ ...cart, ui_mode, [field]: url }), world().deps);
      assert.equal(response.status, 403);
      const error = await errorOf(response);
      assert.equal(error.code, "origin_not_allowed");
      assert.equal((error.details as { path: string }[])[0]?.path, field);
    }
  });
}

const successUrls: [string, string][] = [
  ["https://shop.example/done", "https://shop.example/done?session_id={CHECKOUT_SESSION_ID}"],
  ["https://shop.example/done?a=b%20c", "https://shop.example/done?a=b%20c&session_id={CHECKOUT_SESSION_ID}"],
  [
    "https://shop.example/done?session_id={CHECKOUT_SESSION_ID}",
    "https://shop.example/done?session_id={CHECKOUT_SESSION_ID}",
  ],
  [
    "https://shop.example/done?session_id=cs_forged#top",
    "https://shop.example/done?session_id={CHECKOUT_SESSION_ID}#top",
  ],
  [
    "https://shop.example/orders/{CHECKOUT_SESSION_ID}/done",
    "https://shop.example/orders/{CHECKOUT_SESSION_ID}/done?session_id={CHECKOUT_SESSION_ID}",
  ],
];

for (const [given, expected] of successUrls) {
  Deno.test(`create-checkout-session makes the success URL of ${given} carry the session`, async () => {
    const here = world();
    await handle(requestOf({ ...cart, success_url: given }), here.deps);
    await handle(requestOf({ ...cart, ui_mode: "embedded_page", return_url: given }), here.deps);
    assert.deepEqual([here.asked[0]?.params.success_url, here.asked[1]?.params.return_url], [
      expected,
      expected,
    ]);
  });
}

Deno.test("create-checkout-session answers 400 to a return URL that is too long for Stripe once it is encoded", async () => {
  for (const [field, ui_mode] of Object.entries(modeOf)) {
    const here = world();
    const response = await handle(
      requestOf({ ...cart, ui_mode, [field]: `https://shop.example/${"é".repeat(1_900)}` }),
      here.deps,
    );
    assert.equal(response.status, 400);
    assert.equal(((await errorOf(response)).details as { path: string }[])[0]?.path, field);
    assert.equal(here.begun.length, 0);
  }
});

const locales: [string, string][] = [
  ["en-GB", "en-GB"],
  ["EN-gb", "en-GB"],
  ["de-AT", "de"],
  ["zh", "zh"],
  ["zh-CN", "zh"],
  ["zh-SG", "zh"],
  ["zh-Hans-HK", "zh"],
  ["zh-Hant", "zh-TW"],
  ["zh-Hant-US", "zh-TW"],
  ["zh-TW", "zh-TW"],
  ["zh-Hant-HK", "zh-HK"],
  ["zh-HK", "zh-HK"],
  ["zh-MO", "zh-HK"],
  ["no", "nb"],
  ["no-NO", "nb"],
  ["nn-NO", "nb"],
  ["nb-NO", "nb"],
  ["es", "es"],
  ["es-ES", "es"],
  ["es-MX", "es-419"],
  ["es-US", "es-419"],
  ["es-419", "es-419"],
  ["pt", "pt"],
  ["pt-PT", "pt"],
  ["pt-AO", "pt"],
  ["pt-Latn-BR", "pt-BR"],
  ["en-AU", "en"],
  ["en_US", "en"],
  ["en_GB", "en-GB"],
  ["fr-CA", "fr-CA"],
  ["fr-CH", "fr"],
  ["de-DE-u-co-phonebk", "de"],
  ["tl", "fil"],
  ["hi", "hi-IN"],
  ["sr-Latn", "auto"],
  ["ms-Arab", "auto"],
  ["en-u", "auto"],
  ["xx", "auto"],
  ["auto", "auto"],
];

for (const [given, expected] of locales) {
  Deno.test(`create-checkout-session shows Stripe's page for ${given} in ${expected}`, async () => {
    const here = world({ begin: () => Promise.resolve(checkoutOf({ locale: given })) });
    await handle(requestOf({ ...cart, locale: given }), here.deps);
    assert.equal(here.begun[0]?.p_locale, given);
    assert.equal(here.asked[0]?.params.locale, expected);
  });
}

Deno.test("create-checkout-session bounds the Idempotency-Key", async () => {
  for (const key of ["", "1", "k".repeat(256)]) {
    const response = await handle(requestOf(cart, { "idempotency-key": key }), world().deps);
    assert.equal(response.status, 400);
  }
  const here = world();
  assert.equal(
    (await handle(requestOf(cart, { "idempotency-key": "k".repeat(255) }), here.deps)).status,
    201,
  );
  assert.equal(here.begun[0]?.p_idempotency_key, "k".repeat(255));
});

Deno.test("create-checkout-session answers 413 and 415 before it parses", async () => {
  assert.equal((await handle(requestOf("x".repeat(2 * 1024 * 1024)), world().deps)).status, 413);
  assert.equal((await handle(requestOf("a=b", { "content-type": "text/plain" }), world().deps)).status, 415);
});

Deno.test("create-checkout-session passes images over https or of the shop's own site to Stripe", async () => {
  const [item] = checkoutOf().items;
  assert(item !== undefined);
  const cases = [
    ["https://cdn.example/a.png", ["https://cdn.example/a.png"]],
    ["/images/a.png", [new URL("/images/a.png", testEnv().siteUrl).href]],
    ["http://cdn.example/a.png", undefined],
    ["javascript:alert(1)", undefined],
    [null, undefined],
  ] as const;
  for (const [image_url, images] of cases) {
    const here = world({
      begin: () => Promise.resolve(checkoutOf({ items: [{ ...item, image_url, description: " " }] })),
    });
    await handle(requestOf(), here.deps);
    const product = here.asked[0]?.params.line_items?.[0]?.price_data?.product_data;
    assert.deepEqual(product?.images, images);
    assert.equal("description" in (product ?? {}), false);
  }
});

Deno.test("the unit environment has no variable that env.ts does not know", async () => {
  const { environmentVariables } = await import("../../supabase/functions/_shared/env.ts");
  for (const name of Object.keys(environment())) assert(environmentVariables.includes(name), name);
});

Deno.test("create-checkout-session keeps keys apart that hold what looks like a card number", async () => {
  const told = async (key: string) => {
    const here = world();
    assert.equal((await handle(requestOf(cart, { "idempotency-key": key }), here.deps)).status, 201);
    return here.begun[0]?.p_idempotency_key ?? "";
  };
  // The numbers pass for cards and end alike; masked, each would be card_***4242.
  const digits = ["4242424242424242", "4000001000004242", "4000096000004242"];
  const keys = [...digits, ...digits.map((key) => `cart-${key}`), "card_***4242", "cart-card_***4242"];
  const kept = await Promise.all(keys.map(told));
  assert.equal(new Set(kept.map(storable)).size, keys.length, kept.join(" "));
  assert.deepEqual(await Promise.all(keys.map(told)), kept);
  for (const [at, key] of digits.entries()) assert.ok(!kept[at]?.includes(key));
  assert.match(await told("378282246310005"), /^digest:15:[0-9a-f]{64}$/);
});
