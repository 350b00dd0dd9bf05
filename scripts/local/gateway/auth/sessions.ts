import { ACCESS_TOKEN_SECONDS, type AuthUser, signAccessToken } from "./tokens.ts";
import type { Context } from "./context.ts";
import { AuthError, unsupported } from "./errors.ts";
import { credentials, readBody, requireClaims, shownUser } from "./users.ts";

interface SessionRow {
  id: string;
  aal: string;
}

/** A spent refresh token gives the session once more for so long: two tabs may have sent it at once. */
const REUSE_SECONDS = 10;

/** `POST token`. */
export async function signIn(request: Request, context: Context): Promise<Response> {
  const grant = new URL(request.url).searchParams.get("grant_type");
  const body = await readBody(request);
  if (grant === "password") return await signInWithPassword(body, context);
  if (grant === "refresh_token") return await refresh(body, context);
  throw unsupported(`grant_type=${grant}`);
}

async function signInWithPassword(body: Record<string, unknown>, context: Context): Promise<Response> {
  const { sql } = context;
  const { email, password } = credentials(body);
  const [user] = await sql<AuthUser[]>`
    select * from auth.users
    where email = ${email} and encrypted_password = extensions.crypt(${password}, encrypted_password)`;
  if (user === undefined) throw new AuthError(400, "invalid_credentials", "Invalid login credentials");
  if (user.email_confirmed_at === null) {
    throw new AuthError(400, "email_not_confirmed", "Email not confirmed");
  }
  return Response.json(await openSession(user, context));
}

async function refresh(body: Record<string, unknown>, context: Context): Promise<Response> {
  const { sql } = context;
  const token = typeof body.refresh_token === "string" ? body.refresh_token : "";
  const [used] = await sql<{ session_id: string }[]>`
    update auth.refresh_tokens set revoked = true, updated_at = now()
    where token = ${token} and not revoked returning session_id`;
  const next = used === undefined ? await reused(token, context) : null;
  const [session] = await sql<(SessionRow & { user_id: string })[]>`
    update auth.sessions set refreshed_at = now() at time zone 'utc' where id = ${
    used?.session_id ?? next?.session_id ?? null
  }
    returning id, aal, user_id`;
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${session?.user_id ?? null}`;
  if (session === undefined || user === undefined) {
    throw new AuthError(400, "session_not_found", "Session not found");
  }
  return Response.json(
    await sessionOf(user, session, next?.token ?? await issueToken(session, context), context),
  );
}

/** The session's present token for one that was spent a moment ago; for an older one the session ends. */
async function reused(token: string, { sql }: Context): Promise<{ token: string; session_id: string }> {
  const [spent] = await sql<{ session_id: string; recent: boolean }[]>`
    select session_id, updated_at > now() - make_interval(secs => ${REUSE_SECONDS}) as recent
    from auth.refresh_tokens where token = ${token}`;
  if (spent === undefined) {
    throw new AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
  }
  const [present] = await sql<{ token: string; session_id: string }[]>`
    select token, session_id from auth.refresh_tokens
    where session_id = ${spent.session_id} and not revoked order by created_at desc limit 1`;
  if (spent.recent && present !== undefined) return present;
  await sql`update auth.refresh_tokens set revoked = true where session_id = ${spent.session_id}`;
  throw new AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
}

/** `POST logout`. */
export async function signOut(request: Request, context: Context): Promise<Response> {
  const claims = await requireClaims(request, context);
  const { sql } = context;
  const scope = new URL(request.url).searchParams.get("scope") ?? "global";
  const id = `${claims.session_id}`, user = `${claims.sub}`;
  if (scope === "local") await sql`delete from auth.sessions where id = ${id}`;
  else if (scope === "others") await sql`delete from auth.sessions where user_id = ${user} and id <> ${id}`;
  else await sql`delete from auth.sessions where user_id = ${user}`;
  return new Response(null, { status: 204 });
}

/** Starts a session and returns it as Auth answers it. */
export async function openSession(user: AuthUser, context: Context) {
  const { sql } = context;
  const [session] = await sql<SessionRow[]>`
    insert into auth.sessions (user_id) values (${user.id}) returning id, aal`;
  const [signedIn] = await sql<AuthUser[]>`
    update auth.users set last_sign_in_at = now() where id = ${user.id} returning *`;
  if (session === undefined || signedIn === undefined) throw new Error("the session was not stored");
  return await sessionOf(signedIn, session, await issueToken(session, context), context);
}

/** Makes a session one of two factors (aal2) and answers it anew; the user's other sessions end, as at Auth. */
export async function strengthenSession(id: string, context: Context) {
  const { sql } = context;
  const [session] = await sql<(SessionRow & { user_id: string })[]>`
    update auth.sessions set aal = 'aal2' where id = ${id} returning id, aal, user_id`;
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${session?.user_id ?? null}`;
  if (session === undefined || user === undefined) {
    throw new AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist");
  }
  await sql`delete from auth.sessions where user_id = ${user.id} and id <> ${id}`;
  return await sessionOf(user, session, await issueToken(session, context), context);
}

async function issueToken({ id }: SessionRow, { sql }: Context): Promise<string> {
  const token = crypto.getRandomValues(new Uint8Array(24)).toBase64({ alphabet: "base64url" });
  await sql`insert into auth.refresh_tokens (token, session_id) values (${token}, ${id})`;
  return token;
}

async function sessionOf(user: AuthUser, session: SessionRow, refreshToken: string, context: Context) {
  return {
    access_token: await signAccessToken(user, session, context.keys),
    token_type: "bearer",
    expires_in: ACCESS_TOKEN_SECONDS,
    expires_at: Math.floor(Date.now() / 1000) + ACCESS_TOKEN_SECONDS,
    refresh_token: refreshToken,
    user: await shownUser(user, context),
  };
}
