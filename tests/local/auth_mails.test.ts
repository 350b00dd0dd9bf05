/** What the mails of the offline Auth are good for: lost passwords, changes of address, codes, the PKCE flow. */
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

/** The PKCE flow keeps its secret where the session would be kept. */
function client(flowType: "implicit" | "pkce" = "implicit") {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  const auth = { persistSession: flowType === "pkce", autoRefreshToken: false, flowType, storage };
  return createClient(gateway.url, gateway.keys.publishable_key, { auth }).auth;
}

const server = createClient(gateway.url, gateway.keys.secret_key, {
  auth: { persistSession: false, autoRefreshToken: false },
}).auth.admin;

async function account(email: string): Promise<{ email: string; password: string }> {
  const credentials = { email, password: "demo-password" };
  assert.equal((await server.createUser({ ...credentials, email_confirm: true })).error, null);
  return credentials;
}

/** Link, code and subject of the newest mail to `to`. */
function mailTo(to: string): { link: string; code: string; subject: string; token: string } {
  const mail = gateway.mails.findLast((sent) => sent.to === to);
  const link = /https?:\S+/.exec(mail?.text ?? "")?.[0] ?? "",
    code = /code: (\d{6})/.exec(mail?.text ?? "")?.[1] ?? "";
  assert.ok(mail !== undefined && link !== "" && code !== "", `no proof was mailed to ${to}`);
  return { link, code, subject: mail.subject, token: new URL(link).searchParams.get("token") ?? "" };
}

async function open(link: string): Promise<URL> {
  const response = await fetch(link, { redirect: "manual" });
  await response.body?.cancel();
  assert.equal(response.status, 303);
  return new URL(response.headers.get("location") ?? "");
}

const fragment = (url: URL) => new URLSearchParams(url.hash.slice(1));

Deno.test("a lost password is replaced by whoever opens the mail's link, once", async () => {
  const { email, password } = await account("lost@example.com");
  const asked = await client().resetPasswordForEmail(email, { redirectTo: "http://localhost:5173/reset" });
  assert.equal(asked.error, null);
  const { link, subject } = mailTo(email);
  assert.equal(subject, "Reset your password");
  const page = await open(link);
  assert.equal(page.origin + page.pathname, "http://localhost:5173/reset");
  assert.equal(fragment(page).get("type"), "recovery");
  const auth = client();
  await auth.setSession({
    access_token: fragment(page).get("access_token") ?? "",
    refresh_token: fragment(page).get("refresh_token") ?? "",
  });
  assert.equal((await auth.updateUser({ password: "found-password" })).error, null);
  assert.equal((await client().signInWithPassword({ email, password })).error?.code, "invalid_credentials");
  assert.equal((await client().signInWithPassword({ email, password: "found-password" })).error, null);
  assert.equal(fragment(await open(link)).get("error_code"), "otp_expired");
  const mails = gateway.mails.length;
  assert.equal((await client().resetPasswordForEmail("nobody@example.com")).error, null, "nobody is told");
  assert.equal(gateway.mails.length, mails);
});

Deno.test("the code of a mail, or the token of its link, does what the link does", async () => {
  const { email } = await account("code@example.com");
  await client().resetPasswordForEmail(email);
  const { code, token } = mailTo(email);
  const verify = async (given: Parameters<ReturnType<typeof client>["verifyOtp"]>[0]) => {
    const { data, error } = await client().verifyOtp(given);
    return error === null ? data.session?.user.email : `${error.status} ${error.code}`;
  };
  const wrong = code === "000000" ? "000001" : "000000";
  assert.equal(await verify({ email, token: wrong, type: "recovery" }), "403 otp_expired");
  assert.equal(
    await verify({ email: "admin@example.com", token: code, type: "recovery" }),
    "403 otp_expired",
  );
  assert.equal(await verify({ email, token: code, type: "signup" }), "403 otp_expired", "of another kind");
  assert.equal(await verify({ email, token: code, type: "recovery" }), email);
  assert.equal(await verify({ token_hash: token, type: "recovery" }), "403 otp_expired", "both are spent");
  await client().resetPasswordForEmail(email);
  assert.equal(await verify({ token_hash: mailTo(email).token, type: "recovery" }), email);
  await client().resetPasswordForEmail(email);
  await database.sql`
    update auth.users set recovery_sent_at = now() - interval '2 hours' where email = ${email}`;
  assert.equal(
    await verify({ email, token: mailTo(email).code, type: "recovery" }),
    "403 otp_expired",
    "too late",
  );

  const fresh = "fresh-code@example.com";
  await client().signUp({ email: fresh, password: "long-enough" });
  assert.equal(await verify({ email: fresh, token: mailTo(fresh).code, type: "email" }), fresh);
  const made = await server.generateLink({ type: "recovery", email });
  assert.equal(
    await verify({ email, token: made.data.properties?.email_otp ?? "", type: "recovery" }),
    email,
  );
});

Deno.test("an address changes by the codes of both mails, and either may be sent again", async () => {
  const credentials = await account("old@example.com");
  const auth = client();
  await auth.signInWithPassword(credentials);
  assert.equal((await auth.updateUser({ email: "new@example.com" })).error, null);
  const first = mailTo("new@example.com");
  assert.equal((await client().resend({ type: "email_change", email: "old@example.com" })).error, null);
  assert.equal(fragment(await open(first.link)).get("error_code"), "otp_expired", "the newer mail counts");
  const half = await client().verifyOtp({
    email: "new@example.com",
    token: mailTo("new@example.com").code,
    type: "email_change",
  });
  assert.deepEqual([half.error, half.data.session], [null, null]);
  assert.equal((await auth.getUser()).data.user?.email, "old@example.com");
  const whole = await client().verifyOtp({
    email: "old@example.com",
    token: mailTo("old@example.com").code,
    type: "email_change",
  });
  assert.equal(whole.data.session?.user.email, "new@example.com");
  const wrong = await client().resend({ type: "sms" as "signup", email: "new@example.com" });
  assert.equal(wrong.error?.code, "validation_failed");
});

Deno.test("in the PKCE flow a link leads to a code, which only the client that asked can exchange", async () => {
  const { email } = await account("pkce@example.com");
  const auth = client("pkce");
  assert.equal(
    (await auth.resetPasswordForEmail(email, { redirectTo: "http://localhost:5173/reset" })).error,
    null,
  );
  const { link, token } = mailTo(email);
  assert.match(token, /^pkce_/);
  const page = await open(link);
  const code = page.searchParams.get("code") ?? "";
  assert.deepEqual([page.hash, code !== ""], ["", true]);
  const other = client("pkce");
  await other.resetPasswordForEmail("nobody@example.com");
  assert.equal((await other.exchangeCodeForSession(code)).error?.code, "bad_code_verifier");
  const mine = await auth.exchangeCodeForSession(code);
  assert.equal(mine.data.session?.user.email, email);
  const again = await open(link);
  assert.deepEqual([again.searchParams.get("error_code"), fragment(again).get("error_code")], [
    "otp_expired",
    "otp_expired",
  ]);

  const fresh = client("pkce");
  await fresh.signUp({ email: "pkce-new@example.com", password: "long-enough" });
  const welcome = await open(mailTo("pkce-new@example.com").link);
  const session = await fresh.exchangeCodeForSession(welcome.searchParams.get("code") ?? "");
  assert.equal(session.data.session?.user.email, "pkce-new@example.com");
});
