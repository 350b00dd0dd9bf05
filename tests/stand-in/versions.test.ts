import assert from "node:assert/strict";
import { API_VERSION, OBEYED } from "../../scripts/stand-in/core/api_version.ts";
import { post } from "./form_post.ts";
import { Receiver } from "./receiver.ts";
import { shirt, type StandIn, standIn, TEST_KEY } from "./stand_in.ts";

const { test } = Deno;

async function get(stand: StandIn, path: string, version: string) {
  const response = await fetch(stand.url + path, {
    headers: { authorization: `Bearer ${TEST_KEY}`, "stripe-version": version },
  });
  return await response.json();
}

/** What a request of this version answers. */
async function ask(stand: StandIn, path: string, form: string, version: string) {
  const response = await post(stand.url, path, form, { "stripe-version": version });
  return { ...await response.json(), http: response.status, version: response.headers.get("stripe-version") };
}

test("API versions: those since 2020 are obeyed, older ones and previews named 501, others are none", async () => {
  await using stand = await standIn();
  for (const version of OBEYED) {
    const answer = await ask(stand, "/v1/customers", "", version);
    assert.deepEqual([answer.http, answer.version], [200, version]);
  }
  for (
    const version of [
      "2020-03-02",
      "2019-05-16",
      "2026-10-28.preview",
      `${OBEYED.at(-1)}; some_beta=v1`,
    ]
  ) {
    const answer = await ask(stand, "/v1/customers", "", version);
    assert.equal(answer.http, 501, version);
    assert.match(
      answer.error.message,
      /the API version .* it speaks 2020-08-27 to|the beta some_beta=v1/,
    );
  }
  for (const version of ["2025-03-31", "2025-03-31.clover", "2026-11-25.endive", "latest"]) {
    const answer = await ask(stand, "/v1/customers", "", version);
    assert.equal(answer.http, 400, version);
    assert.match(answer.error.message, /^Invalid Stripe API version: /);
  }
});

test("API versions: ways to pay are named by type before Endive, modes of the page otherwise before Dahlia", async () => {
  await using stand = await standIn();
  const session = "mode=payment&success_url=http://shop.test/ok&line_items[0][quantity]=1" +
    "&line_items[0][price_data][currency]=usd&line_items[0][price_data][unit_amount]=900" +
    "&line_items[0][price_data][product_data][name]=Tie";
  const dahlia = await ask(
    stand,
    "/v1/checkout/sessions",
    `${session}&payment_method_types[]=card&ui_mode=hosted_page`,
    "2026-08-26.dahlia",
  );
  assert.deepEqual([dahlia.http, dahlia.ui_mode, dahlia.payment_method_types], [200, "hosted_page", [
    "card",
  ]]);
  const clover = await ask(stand, "/v1/checkout/sessions", `${session}&ui_mode=hosted`, "2026-02-25.clover");
  assert.deepEqual([clover.http, clover.ui_mode], [200, "hosted"]);
  const mixed = await ask(
    stand,
    "/v1/checkout/sessions",
    `${session}&ui_mode=hosted_page`,
    "2026-02-25.clover",
  );
  assert.deepEqual([mixed.http, mixed.error.param], [400, "ui_mode"]);
  const intent = await ask(
    stand,
    "/v1/payment_intents",
    "amount=100&currency=usd&payment_method_types[]=card",
    "2025-02-24.acacia",
  );
  assert.deepEqual([intent.payment_method_types, intent.invoice], [["card"], null]);
});

test("API versions: since 2023-08-16 what names no ways to pay takes the Dashboard's, and may lead away", async () => {
  await using stand = await standIn();
  for (
    const [path, form] of [
      ["/v1/payment_intents", "amount=100&currency=usd&payment_method=pm_card_visa&confirm=true"],
      ["/v1/setup_intents", "payment_method=pm_card_visa&confirm=true"],
    ] as const
  ) {
    const before = await ask(stand, path, form, "2022-11-15");
    assert.deepEqual([before.status, before.automatic_payment_methods], ["succeeded", null], path);
    for (const version of ["2023-08-16", "2025-08-27.basil", API_VERSION]) {
      const { http, error } = await ask(stand, path, form, version);
      assert.deepEqual([http, error?.param], [400, "return_url"], `${path} ${version}`);
    }
  }
});

test("API versions: before Clover a promotion code names its coupon, and carries it whole", async () => {
  await using stand = await standIn();
  const { id } = await stand.stripe.coupons.create({ percent_off: 10 });
  const basil = await ask(stand, "/v1/promotion_codes", `coupon=${id}&code=TEN`, "2025-08-27.basil");
  assert.deepEqual([basil.coupon.id, basil.coupon.percent_off, basil.promotion], [id, 10, undefined]);
  const newer = `promotion[type]=coupon&promotion[coupon]=${id}`;
  const refused = await ask(stand, "/v1/promotion_codes", newer, "2025-08-27.basil");
  assert.deepEqual([refused.http, refused.error.code], [400, "parameter_unknown"]);
  const listed = await get(stand, "/v1/promotion_codes", "2025-08-27.basil");
  assert.equal(listed.data[0].coupon.id, id);
  const clover = await get(stand, `/v1/promotion_codes/${basil.id}`, "2025-09-30.clover");
  assert.deepEqual([clover.promotion, clover.coupon], [{ coupon: id, type: "coupon" }, undefined]);
});

test("API versions: an endpoint gets events in the shapes of its own, signed as they are", async () => {
  await using stand = await standIn();
  await using old = new Receiver();
  await using now = new Receiver();
  const { stripe, control } = stand;
  const enabled_events = ["checkout.session.completed", "promotion_code.updated"] as const;
  const pinned = await stripe.webhookEndpoints.create({
    url: old.url,
    enabled_events: [...enabled_events],
    api_version: "2025-02-24.acacia",
  });
  await stripe.webhookEndpoints.create({ url: now.url, enabled_events: [...enabled_events] });
  const session = await stripe.checkout.sessions.create(
    shirt({ shipping_address_collection: { allowed_countries: ["US"] } }),
  );
  await control("POST", "pay", { session: session.id });
  const coupon = await stripe.coupons.create({ percent_off: 10 });
  const code = await stripe.promotionCodes.create({ promotion: { type: "coupon", coupon: coupon.id } });
  await stripe.promotionCodes.update(code.id, { active: false });
  assert.equal((await control("POST", "flush")).status, 200);
  const told = async (hook: Receiver, type: string) => {
    const { body, signature } = hook.received.find((seen) => seen.type === type) ??
      { body: "{}", signature: "" };
    if (hook === old) await stripe.webhooks.constructEventAsync(body, signature, pinned.secret ?? "");
    return JSON.parse(body);
  };
  const completed = await told(old, "checkout.session.completed");
  const { shipping_details, ui_mode, collected_information } = completed.data.object;
  assert.equal(completed.api_version, "2025-02-24.acacia");
  assert.equal(ui_mode, "hosted");
  assert.equal(shipping_details.address.country, "US");
  assert.deepEqual(shipping_details, collected_information.shipping_details);
  assert.equal(shipping_details.tracking_number, null);
  const changed = await told(old, "promotion_code.updated");
  assert.equal(changed.data.object.coupon.id, coupon.id);
  assert.deepEqual(changed.data.previous_attributes, { active: true });
  const newest = await told(now, "checkout.session.completed");
  assert.deepEqual(
    [newest.api_version, newest.data.object.ui_mode, newest.data.object.shipping_details],
    ["2026-10-28.endive", "hosted_page", undefined],
  );
  const read = await get(stand, `/v1/events/${completed.id}`, "2025-02-24.acacia");
  assert.deepEqual([read.api_version, read.data.object.ui_mode], ["2026-10-28.endive", "hosted_page"]);
});

test("API versions: of 2020, with which Stripe's samples come: charges and refunds inside, a payment from the start", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const old = "2020-08-27";
  const { id: product } = await stripe.products.create({ name: "Tie" });
  const { id: price } = await stripe.prices.create({ product, currency: "usd", unit_amount: 900 });
  const made = await ask(
    stand,
    "/v1/checkout/sessions",
    `mode=payment&success_url=http://shop.test/ok&payment_method_types[]=card&line_items[0][price]=${price}` +
      "&line_items[0][quantity]=1&shipping_address_collection[allowed_countries][]=US",
    old,
  );
  assert.deepEqual([made.http, made.customer_creation, made.shipping], [200, "always", null]);
  const before = await get(stand, `/v1/payment_intents/${made.payment_intent}`, old);
  assert.deepEqual([before.status, before.charges.data], ["requires_payment_method", []]);
  await control("POST", "pay", { session: made.id });
  const paid = await get(stand, `/v1/checkout/sessions/${made.id}?expand[]=payment_intent`, old);
  assert.deepEqual([paid.payment_intent.id, paid.shipping.address.country], [made.payment_intent, "US"]);
  const [charge] = paid.payment_intent.charges.data;
  assert.deepEqual([charge.paid, paid.payment_intent.latest_charge], [true, undefined]);
  await stripe.refunds.create({ charge: charge.id, amount: 100 });
  const refunded = await get(stand, `/v1/charges/${charge.id}`, old);
  assert.deepEqual(refunded.refunds.data.map(({ amount }: { amount: number }) => amount), [100]);
  assert.deepEqual((await get(stand, `/v1/products/${product}`, "2023-10-16")).features, []);
  const endpoint = await ask(
    stand,
    "/v1/webhook_endpoints",
    `url=http://shop.test&enabled_events[]=*&api_version=${old}`,
    old,
  );
  assert.deepEqual([endpoint.http, /it speaks 2024-10-28.acacia to/.test(endpoint.error.message)], [
    501,
    true,
  ]);
});
