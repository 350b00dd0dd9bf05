/** The second factor at the offline Auth, as supabase-js sets it up and proves it. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { totpCode } from "../../scripts/local/gateway/auth/factors.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { localGateway } from "../support/gateway.ts";

const database = await createTestDatabase();
const gateway = await localGateway(database.url);
Deno.test.afterAll(async () => {
  await gateway.stop();
  await database.drop();
});

async function signedIn() {
  const { auth } = createClient(gateway.url, gateway.keys.publishable_key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { error } = await auth.signInWithPassword({ email: "admin@example.com", password: "demo-password" });
  assert.equal(error, null);
  return auth;
}

const method = (entry: string | { method: string }) => typeof entry === "string" ? entry : entry.method;

const codeNow = (secret: string) => totpCode(secret, Math.floor(Date.now() / 30_000));

Deno.test("totpCode() is RFC 6238's: the last six digits of its examples", () => {
  const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  assert.deepEqual(
    [59, 1_111_111_109, 2_000_000_000].map((seconds) => totpCode(secret, Math.floor(seconds / 30))),
    ["287082", "081804", "279037"],
  );
});

Deno.test("a factor counts once a code of it was right, and makes the session one of two factors", async () => {
  const auth = await signedIn();
  const other = await signedIn();
  const { data: factor, error } = await auth.mfa.enroll({ factorType: "totp", friendlyName: "phone" });
  assert.equal(error, null);
  assert.ok(factor);
  const level = async () => (await auth.mfa.getAuthenticatorAssuranceLevel()).data;
  assert.equal((await level())?.nextLevel, "aal1", "it was not proven yet");

  const wrong = await auth.mfa.challengeAndVerify({ factorId: factor.id, code: "abcdef" });
  assert.equal(wrong.error?.code, "mfa_verification_failed");
  assert.equal((await level())?.currentLevel, "aal1");

  const { data: challenge } = await auth.mfa.challenge({ factorId: factor.id });
  assert.ok(challenge);
  const prove = (code: string, challengeId = challenge.id) =>
    auth.mfa.verify({ factorId: factor.id, challengeId, code });
  assert.equal((await prove("abcdef")).error?.code, "mfa_verification_failed");
  assert.equal(
    (await prove(codeNow(factor.totp.secret), crypto.randomUUID())).error?.code,
    "mfa_factor_not_found",
  );
  assert.equal((await prove(codeNow(factor.totp.secret))).error, null, "a wrong code does not use it up");
  assert.deepEqual([(await level())?.currentLevel, (await level())?.nextLevel], ["aal2", "aal2"]);
  assert.deepEqual((await level())?.currentAuthenticationMethods.map(method), ["totp", "password"]);
  const used = await prove(codeNow(factor.totp.secret));
  assert.equal(used.error?.code, "mfa_ip_address_mismatch", "a challenge is good once");
  const late = (await auth.mfa.challenge({ factorId: factor.id })).data;
  await database.sql`
    update auth.mfa_challenges set created_at = now() - interval '6 minutes' where id = ${late?.id ?? ""}`;
  const expired = await prove(codeNow(factor.totp.secret), late?.id ?? "");
  assert.equal(expired.error?.code, "mfa_challenge_expired");
  assert.equal((await auth.refreshSession()).error, null);
  assert.equal((await level())?.currentLevel, "aal2", "also after a renewal");
  const ended = (await other.getUser()).error?.name;
  assert.equal(ended, "AuthSessionMissingError", "the user's weaker sessions have ended");

  const again = await signedIn();
  const weak = await again.mfa.getAuthenticatorAssuranceLevel();
  assert.deepEqual([weak.data?.currentLevel, weak.data?.nextLevel], ["aal1", "aal2"]);
  const second = await again.mfa.enroll({ factorType: "totp", friendlyName: "tablet" });
  assert.equal(second.error?.code, "insufficient_aal", "a password alone adds none beside one that counts");
  const removed = await again.mfa.unenroll({ factorId: factor.id });
  assert.equal(removed.error?.code, "insufficient_aal", "nor takes it away");
  const foreign =
    createClient(gateway.url, gateway.keys.publishable_key, { auth: { persistSession: false } }).auth;
  await foreign.signInWithPassword({ email: "shopper@example.com", password: "demo-password" });
  const changed = await again.updateUser({ password: "another-password" });
  assert.deepEqual([changed.error?.status, changed.error?.code], [401, "insufficient_aal"]);
  const stolen = await foreign.mfa.challenge({ factorId: factor.id });
  assert.equal(stolen.error?.code, "mfa_factor_not_found", "nobody else's");
  assert.equal((await auth.mfa.unenroll({ factorId: factor.id })).error, null);
  await auth.refreshSession();
  assert.equal((await level())?.currentLevel, "aal1", "without the factor the session is weak again");
  assert.deepEqual((await level())?.currentAuthenticationMethods.map(method), ["password"]);
  assert.equal((await (await signedIn()).mfa.getAuthenticatorAssuranceLevel()).data?.nextLevel, "aal1");
});

Deno.test("a name is taken once, also by a factor that was never proven", async () => {
  const auth = await signedIn();
  const { data: begun } = await auth.mfa.enroll({ factorType: "totp" });
  assert.ok(begun);
  const again = await auth.mfa.enroll({ factorType: "totp" });
  assert.equal(again.error?.code, "mfa_factor_name_conflict");
  assert.equal((await auth.mfa.unenroll({ factorId: begun.id })).error, null);
  assert.equal((await auth.mfa.enroll({ factorType: "totp" })).error, null);
});
