import { LocalKeys } from "./keys.ts";
import { verifyToken } from "./auth/tokens.ts";

/** PostgREST lets clocks differ by so much. */
const LEEWAY_SECONDS = 30;

/** Who sends a request, as the database will see it. */
export interface Caller {
  role: string;
  claims: Record<string, unknown>;
}

/** A request without a usable key or token, with the answer that Supabase's gateway gives. */
export class Unidentified extends Error {
  override name = "Unidentified";

  constructor(readonly response: Response) {
    super("the request carries no valid key");
  }
}

/** The project's key of a request, and the token beside it, which nobody has verified yet. */
export interface Credentials {
  role: "anon" | "service_role";
  token: string | null;
}

/** Reads `apikey` and `Authorization` as Supabase's gateway does; without a key of the project it refuses. */
export function credentialsOf(request: Request, keys: LocalKeys): Credentials {
  const apikey = request.headers.get("apikey") ?? new URL(request.url).searchParams.get("apikey");
  const bearer = /^Bearer\s+(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  const key = apikey ?? bearer ?? "";
  if (key === "") {
    throw refused("No API key found in request", "No `apikey` request header or url param was found.");
  }
  const role = keys.roleOf(key);
  if (role === null) throw refused("Invalid API key", "Double check the API key.");
  return { role, token: bearer === undefined || bearer === key ? null : bearer };
}

/** Tells the caller as Supabase's gateway and PostgREST do together. */
export async function identify(request: Request, keys: LocalKeys): Promise<Caller> {
  const { role, token } = credentialsOf(request, keys);
  if (token === null) return { role, claims: { role } };
  const verified = await verifyToken(token, keys, LEEWAY_SECONDS);
  if ("problem" in verified) {
    const description = JSON.stringify(verified.problem);
    throw new Unidentified(Response.json(
      { code: "PGRST301", details: null, hint: null, message: verified.problem },
      {
        status: 401,
        headers: {
          "content-type": "application/json; charset=utf-8",
          "www-authenticate": `Bearer error="invalid_token", error_description=${description}`,
        },
      },
    ));
  }
  const claimed = "role" in verified.claims ? verified.claims.role : "anon";
  const named = typeof claimed === "string" ? claimed : JSON.stringify(claimed);
  return { role: named, claims: { ...verified.claims, role: named } };
}

function refused(message: string, hint: string): Unidentified {
  return new Unidentified(Response.json({ message, hint }, { status: 401 }));
}
