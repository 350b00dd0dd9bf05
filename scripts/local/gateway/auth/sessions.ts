import { createHash } from "node:crypto";
import { ACCESS_TOKEN_SECONDS, type AuthUser, signAccessToken } from "./tokens.ts";
import type { Context } from "./context.ts";
import { AuthError, unsupported } from "./errors.ts";
import {
  invalid,
  isBanned,
  readBody,
  refusePhone,
  requireSession,
  type SessionRow,
  shownUser,
  weaknessOf,
} from "./users.ts";

/** How somebody has signed in, as `amr` tells. */
export type Method = "password" | "otp" | "totp" | "email/signup" | "recovery" | "magiclink" | "email_change";

/** A spent refresh token may be used once more for so long. */
const REUSE_SECONDS = 10;
/** How long a code of the PKCE flow is good for. */
const CODE_MINUTES = 5;

/** `POST token`. */
export async function signIn(request: Request, context: Context): Promise<Response> {
  const grant = new URL(request.url).searchParams.get("grant_type");
  const body = await readBody(request);
  if (grant === "password") return await signInWithPassword(body, context);
  if (grant === "refresh_token") return await refresh(body, context);
  if (grant === "pkce") return await exchangeCode(body, context);
  throw unsupported(`grant_type=${grant}`);
}

async function signInWithPassword(body: Record<string, unknown>, context: Context): Promise<Response> {
  const { sql } = context;
  refusePhone(body, "login");
  if (typeof body.email !== "string" || body.email === "") throw invalid("missing email or phone");
  const password = `${body.password ?? ""}`;
  const [user] = await sql<(AuthUser & { matches: boolean | null })[]>`
    select *, encrypted_password = extensions.crypt(${password}, encrypted_password) as matches
    from auth.users where email = ${body.email.trim().toLowerCase()}`;
  if (user === undefined) throw new AuthError(400, "invalid_credentials", "Invalid login credentials");
  if (isBanned(user)) throw new AuthError(400, "user_banned", "User is banned");
  if (user.matches !== true) throw new AuthError(400, "invalid_credentials", "Invalid login credentials");
  if (user.email_confirmed_at === null) {
    throw new AuthError(400, "email_not_confirmed", "Email not confirmed");
  }
  const weakness = weaknessOf(password);
  const session = await openSession(user, "password", context);
  return Response.json(weakness === null ? session : { ...session, weak_password: weakness });
}

/** The code that a link of the PKCE flow led to, with the secret that only the client has that asked for it. */
async function exchangeCode(body: Record<string, unknown>, context: Context): Promise<Response> {
  const { sql } = context;
  const { auth_code: code, code_verifier: verifier } = body;
  if (typeof code !== "string" || code === "" || typeof verifier !== "string" || verifier === "") {
    throw invalid("invalid request: both auth code and code verifier should be non-empty");
  }
  const [flow] = await sql<
    {
      id: string;
      user_id: string;
      code_challenge_method: string;
      code_challenge: string;
      authentication_method: Method;
      open: boolean;
    }[]
  >`
    select *, auth_code_issued_at > now() - make_interval(mins => ${CODE_MINUTES}) as open
    from auth.flow_state where auth_code = ${code} and auth_code_issued_at is not null`;
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${flow?.user_id ?? null}`;
  if (flow === undefined || user === undefined) {
    throw new AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found");
  }
  if (!flow.open) {
    throw new AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired");
  }
  const hashed = createHash("sha256").update(verifier).digest("base64url");
  if (flow.code_challenge !== (flow.code_challenge_method === "s256" ? hashed : verifier)) {
    const message = "code challenge does not match previously saved code verifier";
    throw new AuthError(400, "bad_code_verifier", message);
  }
  await sql`delete from auth.flow_state where id = ${flow.id}`;
  return Response.json(await openSession(user, flow.authentication_method, context));
}

async function refresh(body: Record<string, unknown>, context: Context): Promise<Response> {
  const { sql } = context;
  const token = typeof body.refresh_token === "string" ? body.refresh_token : "";
  if (!/^[a-z0-9]{12}$/.test(token)) throw invalid("Refresh token is not valid");
  const [spent] = await sql<{ session_id: string }[]>`
    update auth.refresh_tokens set revoked = true, updated_at = now()
    where token = ${token} and not revoked returning session_id`;
  const next = spent === undefined ? await reused(token, context) : { ...spent, token: null };
  const [session] = await sql<SessionRow[]>`
    update auth.sessions set refreshed_at = now() at time zone 'utc' where id = ${next.session_id}
    returning id, user_id, aal`;
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${session?.user_id ?? null}`;
  if (session === undefined || user === undefined) {
    throw new AuthError(400, "session_not_found", "Invalid Refresh Token: No Valid Session Found");
  }
  if (isBanned(user)) throw new AuthError(400, "user_banned", "Invalid Refresh Token: User Banned");
  return Response.json(
    await sessionOf(user, session, next.token ?? await issueToken(session.id, token, context), context),
  );
}

/**
 * A spent token: its successor while that is unused, since its answer may have been lost; another one within seconds,
 * since two tabs may have sent it; after that the whole session is over. (Auth, `internal/tokens/service.go`)
 */
async function reused(
  token: string,
  { sql }: Context,
): Promise<{ token: string | null; session_id: string }> {
  const [spent] = await sql<{ session_id: string; recent: boolean }[]>`
    select session_id, updated_at > now() - make_interval(secs => ${REUSE_SECONDS}) as recent
    from auth.refresh_tokens where token = ${token}`;
  if (spent === undefined) {
    throw new AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
  }
  const [present] = await sql<{ token: string; session_id: string; parent: string | null }[]>`
    select token, session_id, parent from auth.refresh_tokens
    where session_id = ${spent.session_id} and not revoked order by created_at desc limit 1`;
  if (present?.parent === token) return present;
  if (present !== undefined && spent.recent) return { ...spent, token: null };
  await sql`
    update auth.refresh_tokens set revoked = true, updated_at = '-infinity' where session_id = ${spent.session_id}`;
  throw new AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
}

/** `POST logout`. */
export async function signOut(request: Request, context: Context): Promise<Response> {
  const scope = new URL(request.url).searchParams.get("scope") || "global";
  const { user, session } = await requireSession(request, context);
  const { sql } = context;
  if (scope === "local") await sql`delete from auth.sessions where id = ${session.id}`;
  else if (scope === "others") {
    await sql`delete from auth.sessions where user_id = ${user.id} and id <> ${session.id}`;
  } else if (scope === "global") await sql`delete from auth.sessions where user_id = ${user.id}`;
  else throw invalid(`Unsupported logout scope "${scope}"`);
  return new Response(null, { status: 204 });
}

/** Starts a session and returns it as Auth answers it. */
export async function openSession(user: AuthUser, method: Method, context: Context) {
  const { sql } = context;
  const [session] = await sql<SessionRow[]>`
    insert into auth.sessions (user_id) values (${user.id}) returning id, user_id, aal`;
  const [signedIn] = await sql<AuthUser[]>`
    update auth.users set last_sign_in_at = now() where id = ${user.id} returning *`;
  if (session === undefined || signedIn === undefined) throw new Error("the session was not stored");
  await noteMethod(session.id, method, context);
  return await sessionOf(signedIn, session, await issueToken(session.id, null, context), context);
}

/** Makes a session one of two factors (aal2) and answers it anew; the user's weaker sessions end, as at Auth. */
export async function strengthenSession(id: string, factorId: string, context: Context) {
  const { sql } = context;
  await noteMethod(id, "totp", context);
  const [session] = await sql<SessionRow[]>`
    update auth.sessions set aal = 'aal2', factor_id = ${factorId} where id = ${id} returning id, user_id, aal`;
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${session?.user_id ?? null}`;
  if (session === undefined || user === undefined) {
    throw new AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist");
  }
  await sql`delete from auth.sessions where user_id = ${user.id} and aal < 'aal2'`;
  return await sessionOf(user, session, await issueToken(session.id, null, context), context);
}

async function noteMethod(id: string, method: Method, { sql }: Context): Promise<void> {
  await sql`
    insert into auth.mfa_amr_claims (session_id, authentication_method) values (${id}, ${method})
    on conflict (session_id, authentication_method) do update set updated_at = now()`;
}

const TOKEN_LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

async function issueToken(session: string, parent: string | null, { sql }: Context): Promise<string> {
  const token = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => TOKEN_LETTERS[byte % 32]).join(
    "",
  );
  await sql`
    insert into auth.refresh_tokens (token, session_id, parent) values (${token}, ${session}, ${parent})`;
  return token;
}

async function sessionOf(user: AuthUser, session: SessionRow, refreshToken: string, context: Context) {
  const amr = await context.sql<{ method: string; timestamp: number }[]>`
    select authentication_method as method, extract(epoch from updated_at)::int as timestamp
    from auth.mfa_amr_claims where session_id = ${session.id} order by updated_at desc`;
  return {
    access_token: await signAccessToken(user, { ...session, amr: [...amr] }, context.keys),
    token_type: "bearer",
    expires_in: ACCESS_TOKEN_SECONDS,
    expires_at: Math.floor(Date.now() / 1000) + ACCESS_TOKEN_SECONDS,
    refresh_token: refreshToken,
    user: await shownUser(user, context),
  };
}
