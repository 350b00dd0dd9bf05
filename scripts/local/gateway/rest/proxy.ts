/** Hands requests to a real PostgREST, as Supabase's gateway does: it gets a token in the place of a key. */
import { SignJWT } from "jose";
import { credentialsOf } from "../caller.ts";
import type { LocalKeys } from "../keys.ts";

/** Answers `path`, what follows `/rest/v1/`, with what the PostgREST at `url` answers. */
export function createRestProxy(
  url: string,
  keys: LocalKeys,
): (request: Request, path: string) => Promise<Response> {
  const tokens = new Map<string, Promise<string>>();
  const tokenOf = (role: string) => {
    const token = tokens.get(role) ?? signRole(role, keys);
    tokens.set(role, token);
    return token;
  };
  return async (request, path) => {
    const { role, token } = credentialsOf(request, keys);
    const headers = new Headers(request.headers);
    for (const name of ["apikey", "host", "connection"]) headers.delete(name);
    headers.set("authorization", `Bearer ${token ?? await tokenOf(role)}`);
    const response = await fetch(`${url}/${path}${new URL(request.url).search}`, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
    });
    return new Response(response.body, { status: response.status, headers: response.headers });
  };
}

async function signRole(role: string, keys: LocalKeys): Promise<string> {
  return await new SignJWT({ role })
    .setProtectedHeader({ alg: "ES256", kid: keys.signing.kid ?? "", typ: "JWT" })
    .sign(await keys.signingKey());
}
