import { LocalKeys } from "./keys.ts";
import { verifyAccessToken } from "./auth/tokens.ts";

/** Who sends a request, as the database will see it. */
export interface Caller {
  role: "anon" | "authenticated" | "service_role";
  claims: Record<string, unknown>;
}

/** A request without a usable key or token, with the answer that Supabase's gateway gives. */
export class Unidentified extends Error {
  override name = "Unidentified";

  constructor(readonly response: Response) {
    super("the request carries no valid key");
  }
}

/** Tells the caller from `apikey` and `Authorization`, as Supabase's gateway and PostgREST do together. */
export async function identify(request: Request, keys: LocalKeys): Promise<Caller> {
  const apikey = request.headers.get("apikey") ?? new URL(request.url).searchParams.get("apikey");
  const bearer = /^Bearer\s+(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  const key = apikey ?? bearer ?? "";
  if (key === "") {
    throw refused("No API key found in request", "No `apikey` request header or url param was found.");
  }
  const role = keys.roleOf(key);
  if (role === null) throw refused("Invalid API key", "Double check the API key.");
  if (bearer === undefined || bearer === key) return { role, claims: { role } };
  const claims = await verifyAccessToken(bearer, keys);
  if (claims === null) {
    throw new Unidentified(Response.json(
      { code: "PGRST301", details: null, hint: null, message: "JWT could not be verified or has expired" },
      { status: 401, headers: { "www-authenticate": 'Bearer error="invalid_token"' } },
    ));
  }
  return { role: "authenticated", claims };
}

function refused(message: string, hint: string): Unidentified {
  return new Unidentified(Response.json({ message, hint }, { status: 401 }));
}
