import assert from "node:assert/strict";
import { signedToken } from "../../supabase/functions/_shared/auth/signed_link.ts";
import { resumeToken } from "../../supabase/functions/_shared/checkout/resume_link.ts";
import {
  unsubscribeHeaders,
  unsubscribeLink,
} from "../../supabase/functions/_shared/mails/unsubscribe_link.ts";
import { type Deps, handle } from "../../supabase/functions/unsubscribe/handler.ts";
import { errorOf, keptLog, testEnv } from "./fakes.ts";

const hmac = "0123456789abcdef".repeat(4);
const env = testEnv();
const link = await unsubscribeLink(hmac, env);
const form = { "content-type": "application/x-www-form-urlencoded" };
const oneClick = "List-Unsubscribe=One-Click";

function world(envOfIt = env) {
  const ended: string[] = [];
  const { log, lines } = keptLog();
  const deps: Deps = {
    env: envOfIt,
    rpc: {
      unsubscribeReminders: (hmac) => {
        ended.push(hmac);
        return Promise.resolve(undefined as never);
      },
    },
    log,
  };
  return { ended, lines, ask: (url: string, init: RequestInit = {}) => handle(new Request(url, init), deps) };
}

Deno.test("a mailbox unsubscribes with one POST, as either kind of form, without a key or an origin", async () => {
  const multipart = new FormData();
  multipart.append("List-Unsubscribe", "One-Click");
  for (const init of [{ headers: form, body: oneClick }, { body: multipart }]) {
    const here = world();
    const answer = await here.ask(link, { method: "POST", ...init });
    assert.deepEqual([answer.status, await answer.json()], [200, { unsubscribed: true }]);
    assert.deepEqual(here.ended, [hmac]);
    assert.doesNotMatch(JSON.stringify(here.lines), /@/);
  }
});

Deno.test("a GET or HEAD only leads to the shop's page, and changes nothing", async () => {
  for (const method of ["GET", "HEAD"]) {
    const here = world();
    const answer = await here.ask(link, { method });
    assert.equal(answer.status, 303);
    const token = new URL(link).searchParams.get("token");
    assert.equal(answer.headers.get("location"), `https://shop.example/store/unsubscribe?token=${token}`);
    assert.equal(answer.headers.get("referrer-policy"), "no-referrer");
    assert.deepEqual(here.ended, []);
  }
});

Deno.test("a POST that does not say One-Click unsubscribes nobody", async () => {
  const bodies: [RequestInit, number][] = [
    [{ headers: form, body: "" }, 400],
    [{ headers: form, body: "List-Unsubscribe=Two-Clicks" }, 400],
    [{ headers: { "content-type": "multipart/form-data" }, body: oneClick }, 400],
    [{ headers: { "content-type": "application/json" }, body: '{"List-Unsubscribe":"One-Click"}' }, 415],
    [{ headers: form, body: `${oneClick}&x=${"y".repeat(5_000)}` }, 413],
  ];
  for (const [init, status] of bodies) {
    const here = world();
    assert.equal(
      (await here.ask(link, { method: "POST", ...init })).status,
      status,
      String(init.body).slice(0, 40),
    );
    assert.deepEqual(here.ended, []);
  }
});

Deno.test("only a token of this shop, for this purpose, is good; the secret before it still is", async () => {
  const old = testEnv({ LINK_SIGNING_SECRET: "z".repeat(32) });
  const rotated = testEnv({ LINK_SIGNING_SECRET: `${"y".repeat(32)}, ${"z".repeat(32)}` });
  const post = { method: "POST", headers: form, body: oneClick };
  const before = await unsubscribeLink(hmac, old);
  assert.equal((await world(rotated).ask(before, post)).status, 200);
  assert.equal((await world(rotated).ask(await unsubscribeLink(hmac, rotated), post)).status, 200);
  assert.equal((await world(old).ask(await unsubscribeLink(hmac, rotated), post)).status, 400);
  const base = "https://ref.example/unsubscribe";
  const order = await resumeToken("6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42", 2_000_000_000, env);
  // Signed by us, over the same claims, for another kind of link.
  const otherKind = `${base}?token=${await signedToken("resume-checkout/1", hmac, env)}`;
  for (
    const url of [
      base,
      otherKind,
      `${base}?token=`,
      `${base}?token=${order}`,
      link.slice(0, -1),
      link.replace("token=0", "token=1"),
    ]
  ) {
    const here = world();
    const answer = await here.ask(url, post);
    assert.equal((await errorOf(answer)).code, "invalid_request", url);
    assert.deepEqual(here.ended, []);
  }
});

Deno.test("a cut-off link is a text to read for a person, and an unknown origin is refused", async () => {
  const answer = await world().ask(link.slice(0, -9), { headers: { accept: "text/html" } });
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /link is not complete/);
  const here = world();
  const evil = await here.ask(link, {
    method: "POST",
    headers: { ...form, origin: "https://evil.example" },
    body: oneClick,
  });
  assert.equal((await errorOf(evil)).code, "origin_not_allowed");
  assert.deepEqual(here.ended, []);
});

Deno.test("the headers are those of RFC 8058", () => {
  assert.deepEqual(unsubscribeHeaders("https://x.example/u?token=t"), {
    "List-Unsubscribe": "<https://x.example/u?token=t>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
  });
});
