import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { requireApiKey } from "../../supabase/functions/_shared/auth/caller.ts";
import { createAuthKeys, type Jwk } from "../../supabase/functions/_shared/auth/keys.ts";
import { fixedClock, publishableKey, testEnv } from "./fakes.ts";

const userId = "00000000-0000-4000-8000-00000000000a";
const wellKnown = "http://127.0.0.1:1/auth/v1/.well-known/jwks.json";

interface Signer {
  jwk: Jwk;
  token(claims?: Record<string, unknown>): Promise<string>;
}

async function signer(kid: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  return {
    jwk: { ...await exportJWK(publicKey), kid, alg: "ES256", use: "sig" } as Jwk,
    token: (claims = {}) =>
      new SignJWT({
        sub: userId,
        iss: "http://127.0.0.1:1/auth/v1",
        aud: "authenticated",
        role: "authenticated",
        email: "ada@example.com",
        exp: Math.floor(Date.now() / 1000) + 60,
        ...claims,
      }).setProtectedHeader({ alg: "ES256", kid }).sign(privateKey),
  };
}

/** Auth's well-known address: what it serves, and how often it was asked. */
function wellKnownOf(answer: () => Response): { fetch: typeof fetch; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    fetch: (url) => {
      asked.push(String(url));
      return Promise.resolve(answer());
    },
  };
}

function requestWith(token: string): Request {
  return new Request("http://functions.example/", {
    headers: { apikey: publishableKey, authorization: `Bearer ${token}` },
  });
}

Deno.test("a token of a key that SUPABASE_JWKS lacks is checked against Auth's own keys", async () => {
  const [old, fresh] = [await signer("old"), await signer("fresh")];
  const env = testEnv({ SUPABASE_JWKS: JSON.stringify({ keys: [old.jwk] }) });
  const auth = wellKnownOf(() => Response.json({ keys: [fresh.jwk] }));
  const keys = createAuthKeys({ fetch: auth.fetch });

  assert.equal((await requireApiKey(requestWith(await old.token()), env, keys)).user?.id, userId);
  assert.deepEqual(auth.asked, [], "a key that is at hand needs no question");
  const tokens = await Promise.all([fresh.token(), fresh.token(), fresh.token()]);
  const callers = await Promise.all(tokens.map((token) => requireApiKey(requestWith(token), env, keys)));
  assert.deepEqual(callers.map(({ user }) => user?.id), [userId, userId, userId]);
  assert.deepEqual(auth.asked, [wellKnown]);
});

Deno.test("made-up keys cost one question a minute, and a withdrawn key is forgotten", async () => {
  const [first, second] = [await signer("first"), await signer("second")];
  const clock = fixedClock();
  let served = [first.jwk];
  const auth = wellKnownOf(() => Response.json({ keys: served }));
  const keys = createAuthKeys({ fetch: auth.fetch, now: clock.now });
  const env = testEnv({ SUPABASE_JWKS: undefined });
  const names = async (kid: string) => (await keys(env, kid)).map((key) => key.kid);

  for (let at = 0; at < 20; at++) await names(`made-up-${at}`);
  assert.equal(auth.asked.length, 1);
  served = [second.jwk];
  clock.advance(59_999);
  assert.deepEqual(await names("second"), ["first"]);
  clock.advance(1);
  assert.deepEqual(await names("second"), ["second"]);
  assert.equal(auth.asked.length, 2);
  served = [first.jwk];
  clock.advance(10 * 60_000);
  assert.deepEqual(await names("second"), ["first"]);
});

Deno.test("while Auth cannot be asked for a key, nobody is told that their session has expired", async () => {
  const fresh = await signer("fresh");
  const clock = fixedClock();
  let up = false;
  const auth = wellKnownOf(() =>
    up ? Response.json({ keys: [fresh.jwk] }) : new Response("bad gateway", { status: 502 })
  );
  const keys = createAuthKeys({ fetch: auth.fetch, now: clock.now });
  const request = requestWith(await fresh.token());
  await assert.rejects(requireApiKey(request, testEnv(), keys), { code: "database_unavailable" });
  up = true;
  clock.advance(4_999);
  await assert.rejects(requireApiKey(request, testEnv(), keys), { code: "database_unavailable" });
  assert.equal(auth.asked.length, 1, "a flood while Auth is away costs a question each five seconds");
  clock.advance(1);
  assert.equal((await requireApiKey(request, testEnv(), keys)).user?.id, userId);
});

const strangers: [string, Record<string, unknown>][] = [
  ["of another project", { iss: "https://other.supabase.co/auth/v1" }],
  ["without an issuer", { iss: undefined }],
  ["for another audience", { aud: "admins" }],
  ["without an audience", { aud: undefined }],
  ["of a server", { role: "service_role" }],
  ["of nobody", { role: "anon" }],
  ["whose subject is no account", { sub: "1 or true" }],
  ["that has run out", { exp: 1_000 }],
];

for (const [name, claims] of strangers) {
  Deno.test(`a well-signed token ${name} is refused`, async () => {
    const key = await signer("key");
    const env = testEnv({ SUPABASE_JWKS: JSON.stringify({ keys: [key.jwk] }) });
    const request = requestWith(await key.token(claims));
    await assert.rejects(requireApiKey(request, env), { code: "unauthorized" });
  });
}

const claimed: [unknown, string | null][] = [
  ["", null],
  ["  ", null],
  [undefined, null],
  [null, null],
  [7, null],
  ["Ada@Example.com ", "ada@example.com"],
  ["ada@localhost", null],
  ["ada@example.com\0", null],
  ["a da@example.com", null],
  ["j\u00f6rg@example.com", null],
  [`${"a".repeat(250)}@example.com`, null],
];

Deno.test("an account's address is one that Stripe takes, in one form, or none", async () => {
  const key = await signer("key");
  const env = testEnv({ SUPABASE_JWKS: JSON.stringify({ keys: [key.jwk] }) });
  for (const [email, expected] of claimed) {
    const { user } = await requireApiKey(requestWith(await key.token({ email })), env);
    assert.deepEqual(user, { id: userId, email: expected }, JSON.stringify(email));
  }
});
