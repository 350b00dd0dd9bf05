import assert from "node:assert/strict";
import type Stripe from "stripe";
import { refusal, shirt, standIn } from "./stand_in.ts";

const { test } = Deno;

const BACK = "http://shop.test/done?session_id={CHECKOUT_SESSION_ID}";

/** One shirt, to be paid on the shop's own page. */
function onOwnPage(
  ui_mode: "elements" | "embedded_page",
  change: Partial<Stripe.Checkout.SessionCreateParams> = {},
): Stripe.Checkout.SessionCreateParams {
  const { success_url: _success, cancel_url: _cancel, ...rest } = shirt();
  return { ...rest, ui_mode, return_url: BACK, ...change };
}

const REFUSED: [string, Stripe.Checkout.SessionCreateParams, string][] = [
  ["a return URL on the hosted page", shirt({ return_url: BACK }), "return_url"],
  ["a success URL on the embedded page", onOwnPage("embedded_page", { success_url: BACK }), "success_url"],
  ["a cancel URL with elements", onOwnPage("elements", { cancel_url: BACK }), "cancel_url"],
  ["text of its own with elements", onOwnPage("elements", { submit_type: "book" }), "submit_type"],
  [
    "branding with elements",
    onOwnPage("elements", { branding_settings: { font_family: "inter" } }),
    "branding_settings",
  ],
  [
    "redirects with elements",
    onOwnPage("elements", { redirect_on_completion: "never" }),
    "redirect_on_completion",
  ],
  [
    "a return URL that is never used",
    onOwnPage("embedded_page", { redirect_on_completion: "never" }),
    "return_url",
  ],
];

for (const [what, params, param] of REFUSED) {
  test(`a session with ${what} is refused`, async () => {
    await using stand = await standIn();
    const error = await refusal(stand.stripe.checkout.sessions.create(params));
    assert.deepEqual([error.statusCode, error.param], [400, param], error.message);
  });
}

test("a session of an own page needs a return URL, and `form` is not played", async () => {
  await using stand = await standIn();
  const { return_url: _, ...bare } = onOwnPage("embedded_page");
  const missing = await refusal(stand.stripe.checkout.sessions.create(bare));
  assert.deepEqual([missing.param, missing.code], ["return_url", "parameter_missing"]);
  const form = await refusal(stand.stripe.checkout.sessions.create({ ...bare, ui_mode: "form" }));
  assert.equal(form.statusCode, 501);
});

test("the embedded page opens with its secret alone, in frames of this machine, and the hosted page in none", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(onOwnPage("embedded_page"));
  assert.deepEqual(
    [session.url, session.return_url, session.redirect_on_completion, session.ui_mode],
    [null, BACK, "always", "embedded_page"],
  );
  const statusOf = async (path: string) => {
    const response = await fetch(`${stand.url}${path}`);
    await response.body?.cancel();
    return [
      response.status,
      /frame-ancestors ([^;]+)/.exec(response.headers.get("content-security-policy") ?? "")?.[1],
    ];
  };
  assert.deepEqual(await statusOf(`/c/embed/${session.client_secret}`), [
    200,
    "'self' http://127.0.0.1:* http://localhost:*",
  ]);
  assert.equal((await statusOf(`/c/embed/${session.client_secret}x`))[0], 404);
  assert.equal((await statusOf(`/c/pay/${session.id}`))[0], 404);
  const hosted = await stand.stripe.checkout.sessions.create(shirt());
  assert.equal(hosted.client_secret, null);
  assert.deepEqual(await statusOf(`/c/pay/${hosted.id}`), [200, "'self'"]);
  assert.equal((await statusOf("/endive/stripe.js"))[0], 200);
});

for (const [redirect, expected] of [["always", true], ["if_required", false], ["never", false]] as const) {
  test(`redirect_on_completion ${redirect}: a card ${expected ? "leads to" : "does without"} the return URL`, async () => {
    await using stand = await standIn();
    const { return_url, ...bare } = onOwnPage("embedded_page", { redirect_on_completion: redirect });
    const session = await stand.stripe.checkout.sessions.create(
      redirect === "never" || return_url === undefined ? bare : { ...bare, return_url },
    );
    const answer = await fetch(`${stand.url}/c/pay/${session.id}/confirm`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        method: "card",
        email: "ada@example.com",
        card: { number: "4242424242424242", exp_month: 12, exp_year: 2040, cvc: "123" },
      }),
    });
    const { redirect: target } = await answer.json();
    assert.equal(target, expected ? BACK.replace("{CHECKOUT_SESSION_ID}", session.id) : null);
    const paid = await stand.stripe.checkout.sessions.retrieve(session.id);
    assert.deepEqual([paid.payment_status, paid.client_secret], ["paid", null]);
  });
}

test("a session of elements is paid without a page, and an expired one has no secret any more", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const session = await stripe.checkout.sessions.create(onOwnPage("elements"));
  assert.equal(session.redirect_on_completion, undefined);
  const paid = await stand.control<{ payment_status: string }>("POST", "pay", { session: session.id });
  assert.equal(paid.body.payment_status, "paid");
  const other = await stripe.checkout.sessions.create(onOwnPage("elements"));
  assert.equal((await stripe.checkout.sessions.expire(other.id)).client_secret, null);
});
