/** Sessions of the offline Auth: who has signed out where, and what a refresh token is good for. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { localGateway } from "../support/gateway.ts";

const database = await createTestDatabase();
const gateway = await localGateway(database.url);
Deno.test.afterAll(async () => {
  await gateway.stop();
  await database.drop();
});

const client = (key = gateway.keys.publishable_key) =>
  createClient(gateway.url, key, { auth: { persistSession: false, autoRefreshToken: false } });

async function signedIn(email = "shopper@example.com") {
  const { auth } = client();
  const { data, error } = await auth.signInWithPassword({ email, password: "demo-password" });
  assert.equal(error, null);
  return { auth, token: data.session?.refresh_token ?? "" };
}

async function refresh(token: string) {
  const { data, error } = await client().auth.refreshSession({ refresh_token: token });
  return error === null ? data.session?.refresh_token ?? "" : `refused: ${error.code}`;
}

/** Whether Auth says that the session is gone, which supabase-js has an error of its own for. */
function ended({ error }: { error: Error | null }): boolean {
  return error?.name === "AuthSessionMissingError";
}

/** As if it had been spent longer ago than a token may be used again. */
async function age(token: string): Promise<void> {
  await database
    .sql`update auth.refresh_tokens set updated_at = now() - interval '11 seconds' where token = ${token}`;
}

Deno.test("signing out ends the session here, elsewhere or everywhere, at once", async () => {
  const [here, there, third] = [await signedIn(), await signedIn(), await signedIn()];
  const alive = async ({ auth }: typeof here) => ended(await auth.getUser()) ? "ended" : "alive";
  assert.equal((await third.auth.signOut({ scope: "local" })).error, null);
  assert.deepEqual([await alive(here), await alive(there)], ["alive", "alive"]);
  assert.equal((await here.auth.signOut({ scope: "others" })).error, null);
  assert.deepEqual([await alive(here), await alive(there)], ["alive", "ended"]);
  const fourth = await signedIn();
  const { data } = await here.auth.getSession();
  const told = () =>
    fetch(`${gateway.url}/auth/v1/user`, {
      headers: {
        apikey: gateway.keys.publishable_key,
        authorization: `Bearer ${data.session?.access_token}`,
      },
    });
  assert.equal((await fourth.auth.signOut()).error, null);
  const gone = await told();
  assert.deepEqual([gone.status, (await gone.json()).error_code], [403, "session_not_found"]);
  assert.equal(await alive(here), "ended");
  assert.equal(await refresh(fourth.token), "refused: refresh_token_not_found");
  const wrong = await fetch(`${gateway.url}/auth/v1/logout?scope=nowhere`, {
    method: "POST",
    headers: {
      apikey: gateway.keys.publishable_key,
      authorization: `Bearer ${(await (await signedIn()).auth.getSession()).data.session?.access_token}`,
    },
  });
  assert.deepEqual([wrong.status, (await wrong.json()).error_code], [400, "validation_failed"]);
  const rest = await fetch(`${gateway.url}/rest/v1/products?select=id&limit=1`, {
    headers: {
      apikey: gateway.keys.publishable_key,
      authorization: `Bearer ${data.session?.access_token}`,
    },
  });
  await rest.body?.cancel();
  assert.equal(rest.status, 200, "the REST API believes a token until it expires");
});

Deno.test("a spent refresh token gives its unused successor, and another one within ten seconds only", async () => {
  const { token: first } = await signedIn();
  const second = await refresh(first);
  await age(first);
  assert.equal(await refresh(first), second, "the answer may have been lost");
  const third = await refresh(second);
  const beside = await refresh(second);
  assert.equal(beside, third);
  const fourth = await refresh(third);
  const twin = await refresh(second);
  assert.notEqual(twin, fourth, "a tab that sent it at the same moment");
  assert.match(twin, /^[a-z2-7]{12}$/);
  assert.equal(await refresh(first), "refused: refresh_token_already_used", "too old by now");
  assert.equal(await refresh(twin), "refused: refresh_token_already_used", "the whole session is over");
  assert.equal(await refresh(fourth), "refused: refresh_token_already_used");
  assert.equal(await refresh("a1b2c3d4e5f6"), "refused: refresh_token_not_found");
  assert.equal(await refresh("made-up"), "refused: validation_failed");
});

Deno.test("another password ends the user's other sessions and must be another one", async () => {
  const server = client(gateway.keys.secret_key).auth.admin;
  const email = "changes@example.com";
  const made = await server.createUser({ email, password: "demo-password", email_confirm: true });
  assert.equal(made.error, null);
  const [here, there] = [await signedIn(email), await signedIn(email)];
  assert.equal((await here.auth.updateUser({ password: "demo-password" })).error?.code, "same_password");
  assert.equal((await here.auth.updateUser({ password: "x".repeat(73) })).error?.code, "validation_failed");
  assert.equal((await here.auth.updateUser({ password: "a-new-password" })).error, null);
  assert.equal((await here.auth.getUser()).error, null);
  assert.equal(ended(await there.auth.getUser()), true);
  const { error } = await client().auth.signInWithPassword({ email, password: "demo-password" });
  assert.equal(error?.code, "invalid_credentials");
});

Deno.test("the shop's server makes, lists, changes, bans and deletes accounts; nobody else does", async () => {
  const server = client(gateway.keys.secret_key).auth.admin;
  const credentials = { email: "made@example.com", password: "demo-password" };
  const refused = await client().auth.admin.createUser(credentials);
  assert.deepEqual([refused.error?.status, refused.error?.code], [403, "not_admin"]);
  const made = await server.createUser({
    ...credentials,
    email_confirm: true,
    app_metadata: { role: "admin" },
    user_metadata: { name: "M", old: 1 },
  });
  const id = made.data.user?.id ?? "";
  assert.deepEqual([made.data.user?.app_metadata.role, made.data.user?.app_metadata.provider], [
    "admin",
    "email",
  ]);
  assert.equal(gateway.mails.some(({ to }) => to === credentials.email), false);
  assert.equal((await server.createUser(credentials)).error?.code, "email_exists");

  const { data: page } = await server.listUsers({ page: 1, perPage: 1 });
  assert.deepEqual([page.users.map((user) => user.id), "total" in page && page.total > 1], [[id], true]);
  assert.equal((await server.getUserById(id)).data.user?.email, credentials.email);
  assert.equal((await server.getUserById(crypto.randomUUID())).error?.code, "user_not_found");
  const { data } = await server.updateUserById(id, {
    email: "renamed@example.com",
    user_metadata: { old: null, new: 2 },
  });
  assert.deepEqual([data.user?.email, data.user?.user_metadata], ["renamed@example.com", {
    name: "M",
    new: 2,
  }]);

  const { auth, token } = await signedIn("renamed@example.com");
  assert.equal((await server.updateUserById(id, { ban_duration: "1h30m" })).error, null);
  assert.equal((await auth.getUser()).error?.code, "user_banned");
  assert.equal(await refresh(token), "refused: user_banned");
  const banned = await client().auth.signInWithPassword({ ...credentials, email: "renamed@example.com" });
  assert.equal(banned.error?.code, "user_banned");
  assert.equal((await server.updateUserById(id, { ban_duration: "none" })).error, null);
  assert.equal((await auth.getUser()).error, null);

  assert.equal((await server.deleteUser(id)).error, null);
  assert.equal((await auth.getUser()).error?.code, "user_not_found");
});

Deno.test("telephone numbers are refused as where they are turned off, and what is not kept is named", async () => {
  const { auth } = client();
  const phone = "+4915112345678", password = "demo-password";
  assert.equal((await auth.signUp({ phone, password })).error?.message, "Phone signups are disabled");
  const { error } = await auth.signInWithPassword({ phone, password });
  assert.deepEqual([error?.status, error?.code], [400, "phone_provider_disabled"]);
  const server = client(gateway.keys.secret_key).auth.admin;
  const made = await server.createUser({ email: "hashed@example.com", password_hash: "$2y$10$abc" });
  assert.match(made.error?.message ?? "", /does not support `password_hash`/);
  const { data: { user } } = await server.createUser({ email: "bare@example.com", password });
  const changed = await server.updateUserById(user?.id ?? "", { phone });
  assert.match(changed.error?.message ?? "", /does not support `phone`/);
});
