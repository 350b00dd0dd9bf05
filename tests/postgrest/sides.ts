/** The REST layer and the real PostgREST side by side, each behind a gateway. */
import assert from "node:assert/strict";
import { importJWK, SignJWT } from "jose";
import { findPostgrest, type Postgrest, startPostgrest } from "../../scripts/local/postgrest.ts";
import { createTestDatabase, type Template } from "../../scripts/local/test_database.ts";
import { localGateway, type TestGateway } from "../support/gateway.ts";
import type { Ask } from "./queries/ask.ts";

/** Headers that say something; the rest is of servers and connections. */
const COMPARED = [
  "content-type",
  "content-range",
  "content-location",
  "content-profile",
  "location",
  "preference-applied",
  "www-authenticate",
  "cache-control",
  "x-mine",
  "x-a",
];

/** An answer as it is compared. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  /** Byte for byte. */
  body: string;
}

/** One of the two. */
export interface Side extends AsyncDisposable {
  send(ask: Ask): Promise<Answer>;
}

/** A gateway over a database of its own: both sides start with the same rows. */
export async function startSide(real: boolean, schema: string, template?: Template): Promise<Side> {
  const database = await createTestDatabase(template);
  await database.sql.unsafe(schema).simple();
  let postgrest: Postgrest | null = null;
  const gateway = await localGateway(
    database.url,
    undefined,
    { maxRows: 100 },
    !real ? undefined : async (keys, config) => {
      const program = await findPostgrest();
      postgrest = await startPostgrest({
        program,
        dbUrl: database.url,
        jwks: keys.jwks,
        config,
        onLine: () => {},
      });
      return postgrest.url;
    },
  );
  const tokens = await tokensOf(gateway);
  return {
    send: (ask) => send(ask, gateway, tokens),
    [Symbol.asyncDispose]: async () => {
      await gateway.stop();
      await postgrest?.stop();
      await database.drop();
    },
  };
}

async function tokensOf({ keys }: TestGateway): Promise<Record<Ask["as"], string>> {
  const sign = async (claims: Record<string, unknown>, expires: string, key = keys.jwt_private_key) =>
    await new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: keys.jwt_private_key.kid ?? "", typ: "JWT" })
      .setSubject("aaaaaaaa-0000-4000-8000-000000000001")
      .setExpirationTime(expires)
      .sign(await importJWK(key, "ES256"));
  const user = await sign({ role: "authenticated" }, "1h");
  const inAnHour = Math.floor(Date.now() / 1000) + 3600;
  const base64url = (text: string) =>
    new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
  const [head, body] = user.split(".");
  const other = (await sign({ role: "service_role" }, "1h")).split(".")[2];
  return {
    anon: "",
    service: "",
    user,
    expired: await sign({ role: "authenticated" }, "-1h"),
    forged: `${head}.${body}.${other}`,
    strange: await sign({ role: "nobody" }, "1h"),
    nameless: await sign({ role: null }, "1h"),
    early: await sign({ role: "authenticated", nbf: inAnHour }, "2h"),
    future: await sign({ role: "authenticated", iat: inAnHour }, "2h"),
    unsigned: `${base64url('{"alg":"none"}')}.${body}.`,
    garbled: `${base64url("{")}.${body}.x`,
    half: `${head}.${body}`,
  };
}

async function send(ask: Ask, { url, keys }: TestGateway, tokens: Record<string, string>): Promise<Answer> {
  const headers = new Headers(ask.headers);
  headers.set("apikey", ask.as === "service" ? keys.secret_key : keys.publishable_key);
  if (tokens[ask.as] !== "") headers.set("authorization", `Bearer ${tokens[ask.as]}`);
  const response = await fetch(`${url}/rest/v1/${ask.path}`, {
    method: ask.method,
    headers,
    ...(ask.body === undefined ? {} : { body: ask.body }),
  });
  const text = await response.text();
  const shown = COMPARED.flatMap((name) => {
    const value = response.headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  return { status: response.status, headers: Object.fromEntries(shown), body: text };
}

/** Whether two answers are the same. */
export function same(one: Answer, other: Answer): boolean {
  try {
    assert.deepEqual(one, other);
    return true;
  } catch (error) {
    if (error instanceof assert.AssertionError) return false;
    throw error;
  }
}

/** A request in a line. */
export function describe({ method, path, as, headers, body }: Ask): string {
  return `${method} ${
    decodeURIComponent(path.replaceAll(/%(?![0-9a-f]{2})/gi, "%25").replaceAll("%00", "%2500"))
  } as ${as} ${JSON.stringify(headers)} ${body ?? ""}`;
}

/** An answer in a line. */
export function show({ status, headers, body }: Answer): string {
  return `${status} ${JSON.stringify(headers)} ${body}`;
}
