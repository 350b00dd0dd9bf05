/** Enough of Supabase Auth to sign in and stay signed in: `/auth/v1/*`. */
import type postgres from "postgres";
import type { LocalKeys } from "../keys.ts";
import { ACCESS_TOKEN_SECONDS, type AuthUser, signAccessToken, verifyAccessToken } from "./tokens.ts";

/** Answers one request; `path` is what follows `/auth/v1/`. */
export type AuthHandler = (request: Request, path: string) => Promise<Response>;

class AuthError extends Error {
  override name = "AuthError";

  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}

type Route = (request: Request, context: Context) => Promise<Response>;

interface Context {
  sql: postgres.Sql;
  keys: LocalKeys;
}

const ROUTES: Record<string, Route> = {
  "POST token": signIn,
  "POST signup": signUp,
  "GET user": currentUser,
  "POST logout": signOut,
  "GET health": () => Promise.resolve(Response.json({ name: "GoTrue", description: "offline stand-in" })),
  "GET settings": () => Promise.resolve(Response.json({ external: { email: true }, disable_signup: false })),
  "GET .well-known/jwks.json": (_request, { keys }) => Promise.resolve(Response.json(keys.jwks)),
};

/** Creates the layer over a pool that logs in as `supabase_auth_admin`. */
export function createAuth(sql: postgres.Sql, keys: LocalKeys): AuthHandler {
  return async (request, path) => {
    const route = ROUTES[`${request.method} ${path}`];
    try {
      if (route !== undefined) return await route(request, { sql, keys });
      throw new AuthError(
        501,
        "unsupported",
        `The offline Auth does not support ${request.method} /auth/v1/${path}`,
      );
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      return Response.json(
        { code: error.status, error_code: error.code, msg: error.message },
        { status: error.status },
      );
    }
  };
}

/** The paths that answer without an API key, as on hosted projects. */
export function isOpenAuthPath(path: string): boolean {
  return path === ".well-known/jwks.json";
}

async function signIn(request: Request, context: Context): Promise<Response> {
  const grant = new URL(request.url).searchParams.get("grant_type");
  const body = await readBody(request);
  if (grant === "password") return await signInWithPassword(body, context);
  if (grant === "refresh_token") return await refresh(body, context);
  throw new AuthError(501, "unsupported", `The offline Auth does not support grant_type=${grant}`);
}

async function signInWithPassword(body: Record<string, unknown>, context: Context): Promise<Response> {
  const { sql } = context;
  const { email, password } = credentials(body);
  const [user] = await sql<AuthUser[]>`
    update auth.users set last_sign_in_at = now()
    where email = ${email} and encrypted_password = extensions.crypt(${password}, encrypted_password)
    returning *`;
  if (user === undefined) throw new AuthError(400, "invalid_credentials", "Invalid login credentials");
  return await openSession(user, context);
}

async function refresh(body: Record<string, unknown>, context: Context): Promise<Response> {
  const { sql } = context;
  const token = typeof body.refresh_token === "string" ? body.refresh_token : "";
  const [used] = await sql<{ session_id: string }[]>`
    update auth.refresh_tokens set revoked = true where token = ${token} and not revoked returning session_id`;
  if (used === undefined) {
    throw new AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
  }
  const [session] = await sql<{ id: string; aal: string; user_id: string }[]>`
    update auth.sessions set refreshed_at = now() where id = ${used.session_id} returning id, aal, user_id`;
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${session?.user_id ?? null}`;
  if (session === undefined || user === undefined) {
    throw new AuthError(400, "session_not_found", "Session not found");
  }
  return await sessionResponse(user, session, context);
}

async function signUp(request: Request, context: Context): Promise<Response> {
  const body = await readBody(request);
  const { email, password } = credentials(body);
  if (password.length < 6) {
    throw new AuthError(422, "weak_password", "Password should be at least 6 characters.");
  }
  const metadata = JSON.stringify(typeof body.data === "object" && body.data !== null ? body.data : {});
  const [user] = await context.sql<AuthUser[]>`
    insert into auth.users (aud, role, email, encrypted_password, email_confirmed_at, last_sign_in_at,
      raw_app_meta_data, raw_user_meta_data)
    values ('authenticated', 'authenticated', ${email},
      extensions.crypt(${password}, extensions.gen_salt('bf', 4)), now(), now(),
      '{"provider": "email", "providers": ["email"]}', ${metadata}::text::jsonb)
    on conflict do nothing
    returning *`;
  if (user === undefined) throw new AuthError(422, "user_already_exists", "User already registered");
  return await openSession(user, context);
}

async function currentUser(request: Request, { sql, keys }: Context): Promise<Response> {
  const claims = await requireClaims(request, keys);
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${`${claims.sub}`}`;
  if (user === undefined) {
    throw new AuthError(403, "user_not_found", "User from sub claim in JWT does not exist");
  }
  return Response.json(shownUser(user));
}

async function signOut(request: Request, { sql, keys }: Context): Promise<Response> {
  const claims = await requireClaims(request, keys);
  const scope = new URL(request.url).searchParams.get("scope") ?? "global";
  const id = `${claims.session_id}`, user = `${claims.sub}`;
  if (scope === "local") await sql`delete from auth.sessions where id = ${id}`;
  else if (scope === "others") await sql`delete from auth.sessions where user_id = ${user} and id <> ${id}`;
  else await sql`delete from auth.sessions where user_id = ${user}`;
  return new Response(null, { status: 204 });
}

async function openSession(user: AuthUser, context: Context): Promise<Response> {
  const [session] = await context.sql<{ id: string; aal: string }[]>`
    insert into auth.sessions (user_id) values (${user.id}) returning id, aal`;
  if (session === undefined) throw new Error("the session was not stored");
  return await sessionResponse(user, session, context);
}

async function sessionResponse(
  user: AuthUser,
  session: { id: string; aal: string },
  { sql, keys }: Context,
): Promise<Response> {
  const token = crypto.getRandomValues(new Uint8Array(24)).toBase64({ alphabet: "base64url" });
  await sql`insert into auth.refresh_tokens (token, session_id) values (${token}, ${session.id})`;
  return Response.json({
    access_token: await signAccessToken(user, session, keys),
    token_type: "bearer",
    expires_in: ACCESS_TOKEN_SECONDS,
    expires_at: Math.floor(Date.now() / 1000) + ACCESS_TOKEN_SECONDS,
    refresh_token: token,
    user: shownUser(user),
  });
}

function shownUser(user: AuthUser) {
  return {
    id: user.id,
    aud: "authenticated",
    role: "authenticated",
    email: user.email,
    email_confirmed_at: user.email_confirmed_at,
    phone: "",
    last_sign_in_at: user.last_sign_in_at,
    app_metadata: user.raw_app_meta_data,
    user_metadata: user.raw_user_meta_data,
    identities: [],
    created_at: user.created_at,
    updated_at: user.updated_at,
    is_anonymous: false,
  };
}

async function requireClaims(request: Request, keys: LocalKeys): Promise<Record<string, unknown>> {
  const token = /^Bearer\s+(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (token === undefined) {
    throw new AuthError(401, "no_authorization", "This endpoint requires a Bearer token");
  }
  const claims = await verifyAccessToken(token, keys);
  if (claims === null) throw new AuthError(403, "bad_jwt", "invalid JWT: unable to verify or expired");
  return claims;
}

async function readBody(request: Request): Promise<Record<string, unknown>> {
  const body: unknown = await request.json().catch(() => null);
  if (typeof body !== "object" || body === null) {
    throw new AuthError(400, "bad_json", "Could not parse request body as JSON");
  }
  return { ...body };
}

function credentials(body: Record<string, unknown>): { email: string; password: string } {
  const { email, password } = body;
  if (typeof email !== "string" || typeof password !== "string" || !email.includes("@")) {
    throw new AuthError(400, "validation_failed", "An email and a password are needed");
  }
  return { email: email.toLowerCase(), password };
}
