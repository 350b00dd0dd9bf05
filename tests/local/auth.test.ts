import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { createLocalJWKSet, jwtVerify } from "jose";
import { createTestDatabase } from "../support/database.ts";
import { localGateway } from "../support/gateway.ts";

const database = await createTestDatabase();
await database.sql`create function public.who() returns jsonb language sql as
  'select jsonb_build_object(''uid'', auth.uid(), ''role'', auth.role(), ''admin'', auth.jwt() -> ''app_metadata'' ->> ''role'')'`;
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

Deno.test("a refresh token works once and gives the same user", async () => {
  const supabase = client();
  const first = await supabase.auth.signInWithPassword({
    email: "shopper@example.com",
    password: "demo-password",
  });
  const token = first.data.session?.refresh_token ?? "";
  const second = await supabase.auth.refreshSession({ refresh_token: token });
  assert.equal(second.data.user?.id, first.data.user?.id);
  const again = await client().auth.refreshSession({ refresh_token: token });
  assert.equal(again.error?.code, "refresh_token_not_found");
});

Deno.test("signing up creates a customer, once per address", async () => {
  const credentials = { email: "new@example.com", password: "long-enough" };
  const { data, error } = await client().auth.signUp(credentials);
  assert.deepEqual([error, data.user?.email, data.user?.app_metadata.role], [
    null,
    "new@example.com",
    undefined,
  ]);
  assert.equal((await client().auth.signUp(credentials)).error?.code, "user_already_exists");
  const weak = await client().auth.signUp({ email: "weak@example.com", password: "short" });
  assert.equal(weak.error?.code, "weak_password");
});

Deno.test("signing out ends the session's refresh tokens", async () => {
  const supabase = client();
  const { data } = await supabase.auth.signInWithPassword({
    email: "shopper@example.com",
    password: "demo-password",
  });
  assert.equal((await supabase.auth.signOut()).error, null);
  const again = await client().auth.refreshSession({ refresh_token: data.session?.refresh_token ?? "" });
  assert.notEqual(again.error, null);
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
