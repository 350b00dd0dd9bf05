import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { corsHeaders as libraryHeaders } from "@supabase/supabase-js/cors";
import { createLocalJWKSet, jwtVerify } from "jose";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { localGateway } from "../support/gateway.ts";

const database = await createTestDatabase();
await database.sql`create function public.who() returns jsonb language sql as
  'select jsonb_build_object(''uid'', auth.uid(), ''role'', auth.role(), ''admin'', auth.jwt() -> ''app_metadata'' ->> ''role'')'`;
await database.sql`grant execute on function public.who() to public`;
const gateway = await localGateway(database.url);
const client = () =>
  createClient(gateway.url, gateway.keys.publishable_key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });

Deno.test.afterAll(async () => {
  await gateway.stop();
  await database.drop();
});

Deno.test("demo users sign in, and the database knows them by their claims", async () => {
  const supabase = client();
  const { data, error } = await supabase.auth.signInWithPassword({
    email: "admin@example.com",
    password: "demo-password",
  });
  assert.equal(error, null);
  const who = await supabase.rpc("who");
  assert.deepEqual(who.data, { uid: data.user?.id, role: "authenticated", admin: "admin" });
  assert.equal((await supabase.auth.getUser()).data.user?.email, "admin@example.com");
});

Deno.test("access tokens are ES256, verify with the published keys and carry what policies read", async () => {
  const { data } = await client().auth.signInWithPassword({
    email: "shopper@example.com",
    password: "demo-password",
  });
  const jwks = await (await fetch(`${gateway.url}/auth/v1/.well-known/jwks.json`)).json();
  assert.equal(JSON.stringify(jwks).includes('"d"'), false, "the private half stays private");
  const { payload, protectedHeader } = await jwtVerify(
    data.session?.access_token ?? "",
    createLocalJWKSet(jwks),
    { audience: "authenticated" },
  );
  assert.equal(protectedHeader.alg, "ES256");
  assert.equal(payload.sub, data.user?.id);
  for (const claim of ["role", "aal", "session_id", "email", "app_metadata", "exp"]) {
    assert.ok(claim in payload, claim);
  }
});

Deno.test("a wrong password is refused without telling whether the user exists", async () => {
  const wrong = await client().auth.signInWithPassword({ email: "admin@example.com", password: "nope" });
  const unknown = await client().auth.signInWithPassword({ email: "nobody@example.com", password: "nope" });
  assert.equal(wrong.error?.code, "invalid_credentials");
  assert.equal(unknown.error?.message, wrong.error?.message);
});

/** The link in the newest mail to `to`. */
function linkIn(to: string): string {
  const mail = gateway.mails.findLast((sent) => sent.to === to);
  const link = /https?:\S+/.exec(mail?.text ?? "")?.[0];
  assert.ok(link, `no link was mailed to ${to}`);
  return link;
}

/** Opens a link as a browser does and returns where it leads, with the fields of the fragment. */
async function open(link: string): Promise<{ page: string; fields: URLSearchParams }> {
  const response = await fetch(link, { redirect: "manual" });
  await response.body?.cancel();
  assert.equal(response.status, 303);
  const target = new URL(response.headers.get("location") ?? "");
  return { page: target.origin + target.pathname, fields: new URLSearchParams(target.hash.slice(1)) };
}

async function proof(email: string) {
  const [user] = await database.sql<{ sent: boolean; confirmed: boolean; proven: boolean }[]>`
    select u.confirmation_sent_at is not null as sent, u.email_confirmed_at is not null as confirmed,
      exists (select 1 from private.proven_accounts p where p.user_id = u.id) as proven
    from auth.users u where u.email = ${email}`;
  return user === undefined ? null : { ...user };
}

Deno.test("a sign-up counts once the link of its mail was opened", async () => {
  const credentials = { email: "New@example.com", password: "long-enough" };
  const { data, error } = await client().auth.signUp({
    ...credentials,
    options: { emailRedirectTo: "http://localhost:5173/welcome", data: { name: "N" } },
  });
  assert.equal(error, null);
  assert.equal(data.session, null);
  assert.deepEqual([data.user?.email, data.user?.email_confirmed_at, data.user?.user_metadata.name], [
    "new@example.com",
    undefined,
    "N",
  ]);
  assert.deepEqual(data.user?.identities?.map(({ provider }) => provider), ["email"]);
  assert.deepEqual(await proof("new@example.com"), { sent: true, confirmed: false, proven: false });
  const early = await client().auth.signInWithPassword(credentials);
  assert.equal(early.error?.code, "email_not_confirmed");
  const wrong = await client().auth.signInWithPassword({ ...credentials, password: "not this one" });
  assert.equal(wrong.error?.code, "invalid_credentials");

  const link = linkIn("new@example.com");
  const { page, fields } = await open(link);
  assert.equal(page, "http://localhost:5173/welcome");
  assert.equal(fields.get("type"), "signup");
  assert.deepEqual(await proof("new@example.com"), { sent: true, confirmed: true, proven: true });
  const opened = await client().auth.getUser(fields.get("access_token") ?? "");
  assert.equal(opened.data.user?.identities?.[0]?.identity_data?.email_verified, true);
  assert.equal((await client().auth.signInWithPassword(credentials)).error, null);
  assert.equal((await open(link)).fields.get("error_code"), "otp_expired");
});

Deno.test("a page of the shop may take the token of a link and confirm with it", async () => {
  const email = "page@example.com";
  await client().auth.signUp({ email, password: "long-enough" });
  const token_hash = new URL(linkIn(email)).searchParams.get("token") ?? "";
  const { data } = await client().auth.verifyOtp({ token_hash, type: "signup" });
  assert.equal(data.session?.user.email, email);
  const again = await client().auth.verifyOtp({ token_hash, type: "signup" });
  assert.equal(again.error?.code, "otp_expired");
});

Deno.test("a taken address is told by mail only, and an unconfirmed one gets another mail", async () => {
  const taken = await client().auth.signUp({ email: "shopper@example.com", password: "long-enough" });
  assert.deepEqual([taken.error, taken.data.session, taken.data.user?.identities], [null, null, []]);
  assert.equal(gateway.mails.some(({ to }) => to === "shopper@example.com"), false);

  const credentials = { email: "twice@example.com", password: "long-enough" };
  await client().auth.signUp(credentials);
  const first = linkIn(credentials.email);
  assert.equal((await client().auth.signUp({ ...credentials, password: "somebody-else" })).error, null);
  assert.equal((await client().auth.resend({ type: "signup", email: credentials.email })).error, null);
  assert.equal((await client().auth.resend({ type: "signup", email: "nobody@example.com" })).error, null);
  assert.equal((await open(first)).fields.get("error_code"), "otp_expired");
  await open(linkIn(credentials.email));
  assert.equal((await client().auth.signInWithPassword(credentials)).error, null);
});

Deno.test("a link leads to the shop alone, and not for ever", async () => {
  await client().auth.signUp({
    email: "led@example.com",
    password: "long-enough",
    options: { emailRedirectTo: "https://evil.example/" },
  });
  await database.sql`
    update auth.users set confirmation_sent_at = now() - interval '2 hours' where email = 'led@example.com'`;
  const late = await open(linkIn("led@example.com"));
  assert.equal(late.page, "https://shop.example/store");
  assert.equal(late.fields.get("error_code"), "otp_expired");
  assert.equal((await proof("led@example.com"))?.confirmed, false);
});

Deno.test("a sign-up whose mail is refused leaves no account behind", async () => {
  gateway.mailFails.reason = "no mail today";
  try {
    const { error } = await client().auth.signUp({ email: "lost@example.com", password: "long-enough" });
    assert.deepEqual([error?.status, error?.message], [500, "Error sending confirmation email"]);
  } finally {
    gateway.mailFails.reason = null;
  }
  assert.equal(await proof("lost@example.com"), null);
});

Deno.test("an address changes when both the old and the new one agree", async () => {
  const supabase = client();
  const credentials = { email: "before@example.com", password: "long-enough" };
  await supabase.auth.signUp(credentials);
  await open(linkIn(credentials.email));
  await supabase.auth.signInWithPassword(credentials);
  const asked = await supabase.auth.updateUser({ email: "after@example.com" });
  assert.deepEqual([asked.error, asked.data.user?.email, asked.data.user?.new_email], [
    null,
    "before@example.com",
    "after@example.com",
  ]);
  assert.match((await open(linkIn("after@example.com"))).fields.get("message") ?? "", /other email/);
  assert.equal(await proof("after@example.com"), null);
  await open(linkIn("before@example.com"));
  assert.deepEqual(await proof("after@example.com"), { sent: true, confirmed: true, proven: true });
  const stolen = await supabase.auth.updateUser({ email: "shopper@example.com" });
  assert.equal(stolen.error?.code, "email_exists");
});

Deno.test("Auth tells whether it confirms, and without confirmations proves nothing", async () => {
  const settingsOf = async (url: string, key: string) =>
    await (await fetch(`${url}/auth/v1/settings`, { headers: { apikey: key } })).json();
  assert.equal((await settingsOf(gateway.url, gateway.keys.publishable_key)).mailer_autoconfirm, false);
  const trusting = await localGateway(database.url, undefined, { confirmations: false });
  try {
    const key = trusting.keys.publishable_key;
    assert.equal((await settingsOf(trusting.url, key)).mailer_autoconfirm, true);
    const options = { auth: { persistSession: false, autoRefreshToken: false } };
    const credentials = { email: "trusted@example.com", password: "long-enough" };
    const { data } = await createClient(trusting.url, key, options).auth.signUp(credentials);
    assert.equal(data.session?.user.email, "trusted@example.com");
    assert.deepEqual(await proof("trusted@example.com"), { sent: false, confirmed: true, proven: false });
    const again = await createClient(trusting.url, key, options).auth.signUp(credentials);
    assert.equal(again.error?.code, "user_already_exists");
  } finally {
    await trusting.stop();
  }
});

Deno.test("passwords are of 6 to 72 bytes, and nobody signs up without an address", async () => {
  const signUp = async (password: string) =>
    (await client().auth.signUp({ email: "weak@example.com", password })).error;
  const weak = await signUp("short");
  assert.deepEqual([weak?.status, weak?.code, weak?.message], [
    422,
    "weak_password",
    "Password should be at least 6 characters.",
  ]);
  assert.deepEqual((weak as { reasons?: string[] }).reasons, ["length"]);
  for (const long of ["x".repeat(73), "é".repeat(37)]) {
    const error = await signUp(long);
    assert.deepEqual([error?.status, error?.code, error?.message], [
      400,
      "validation_failed",
      "Password cannot be longer than 72 characters",
    ]);
  }
  assert.equal(await signUp("é".repeat(36)), null);
  assert.equal((await client().auth.signInAnonymously()).error?.code, "anonymous_provider_disabled");
});

Deno.test("every answer can be read by a browser: refusals, failures and what is not supported", async () => {
  const { url, keys } = gateway;
  const key = { apikey: keys.publishable_key };
  const asked: [string, RequestInit, number][] = [
    ["/storage/v1/object/list/images", { method: "POST", headers: key }, 501],
    ["/realtime/v1/websocket", {}, 501],
    ["/auth/v1/otp", { method: "POST", headers: key, body: "{}" }, 501],
    ["/auth/v1/token?grant_type=password", { method: "POST" }, 401],
    ["/auth/v1/token?grant_type=password", { method: "POST", headers: key, body: "{" }, 400],
    ["/auth/v1/user", { headers: key }, 401],
    ["/rest/v1/products", {}, 401],
    ["/rest/v1/nothing", { headers: key }, 404],
    ["/rest/v1/", { headers: key }, 501],
    ["/nowhere", {}, 404],
  ];
  for (const [path, init, status] of asked) {
    const response = await fetch(url + path, init);
    await response.body?.cancel();
    assert.equal(response.status, status, path);
    assert.equal(response.headers.get("access-control-allow-origin"), "*", path);
    const preflight = await fetch(url + path, {
      method: "OPTIONS",
      headers: { origin: "http://localhost:5173", "access-control-request-method": "POST" },
    });
    assert.equal(preflight.status, 204, path);
    const allowed = (preflight.headers.get("access-control-allow-headers") ?? "").split(", ");
    for (const name of (libraryHeaders["Access-Control-Allow-Headers"] ?? "").split(", ")) {
      assert.ok(allowed.includes(name), `${path}: ${name}`);
    }
  }
  const byUrl = await fetch(`${url}/rest/v1/products?select=id&limit=1&apikey=${keys.publishable_key}`);
  assert.equal(byUrl.status, 200, await byUrl.text());
});

Deno.test("a tampered token is refused", async () => {
  const { data } = await client().auth.signInWithPassword({
    email: "shopper@example.com",
    password: "demo-password",
  });
  const [header, , signature] = (data.session?.access_token ?? "").split(".");
  const claims = btoa(
    JSON.stringify({ role: "authenticated", sub: crypto.randomUUID(), app_metadata: { role: "admin" } }),
  );
  const response = await fetch(`${gateway.url}/rest/v1/rpc/who`, {
    method: "POST",
    headers: {
      apikey: gateway.keys.publishable_key,
      authorization: `Bearer ${header}.${claims}.${signature}`,
    },
  });
  assert.equal(response.status, 401);
  await response.body?.cancel();
});

Deno.test("Auth wants an API key and readable bodies", async () => {
  const noKey = await fetch(`${gateway.url}/auth/v1/token?grant_type=password`, {
    method: "POST",
    body: "{}",
  });
  assert.equal(noKey.status, 401);
  await noKey.body?.cancel();
  const broken = await fetch(`${gateway.url}/auth/v1/token?grant_type=password`, {
    method: "POST",
    headers: { apikey: gateway.keys.publishable_key },
    body: "{",
  });
  assert.deepEqual([broken.status, (await broken.json()).error_code], [400, "bad_json"]);
});
