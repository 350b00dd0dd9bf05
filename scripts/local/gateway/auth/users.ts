import { type AuthUser, verifyAccessToken } from "./tokens.ts";
import type { Context } from "./context.ts";
import { AuthError, unsupported } from "./errors.ts";

interface Identity {
  id: string;
  provider_id: string;
  user_id: string;
  identity_data: Record<string, unknown>;
  provider: string;
  last_sign_in_at: string | null;
  created_at: string | null;
  updated_at: string | null;
  email: string | null;
}

/** A user as Auth shows one to its owner. */
export async function shownUser(user: AuthUser, { sql }: Context) {
  const identities = await sql<Identity[]>`
    select id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at, email
    from auth.identities where user_id = ${user.id} order by created_at, id`;
  const factors = await sql`
    select id, created_at, updated_at, status, friendly_name, factor_type from auth.mfa_factors
    where user_id = ${user.id} order by created_at, id`;
  return {
    id: user.id,
    aud: "authenticated",
    role: "authenticated",
    email: user.email,
    ...given({
      email_confirmed_at: user.email_confirmed_at,
      confirmed_at: user.email_confirmed_at,
      confirmation_sent_at: user.confirmation_sent_at,
      recovery_sent_at: user.recovery_sent_at,
      email_change_sent_at: user.email_change_sent_at,
      new_email: user.email_change,
      last_sign_in_at: user.last_sign_in_at,
      banned_until: user.banned_until,
    }),
    phone: "",
    app_metadata: user.raw_app_meta_data,
    user_metadata: user.raw_user_meta_data,
    identities: identities.map(({ id, provider_id, ...identity }) => ({
      identity_id: id,
      id: provider_id,
      ...identity,
    })),
    ...(factors.length === 0 ? {} : { factors }),
    created_at: user.created_at,
    updated_at: user.updated_at,
    is_anonymous: false,
  };
}

/** Auth leaves out what there is not. */
function given(fields: Record<string, string | null>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, string] => field[1] !== null && field[1] !== ""),
  );
}

/** Changes the user's own metadata; a field that is null goes. */
export async function mergeMetadata(
  column: "raw_user_meta_data" | "raw_app_meta_data",
  user: AuthUser,
  data: unknown,
  { sql }: Context,
): Promise<void> {
  if (typeof data !== "object" || data === null) return;
  await sql`
    update auth.users set updated_at = now(), ${sql(column)} = (
      select coalesce(jsonb_object_agg(key, value) filter (where value <> 'null'), '{}')
      from jsonb_each(coalesce(${sql(column)}, '{}') || ${JSON.stringify(data)}::text::jsonb)
    ) where id = ${user.id}`;
}

/** Stores another password; what the old one was good for is over, and all sessions but `except` end. */
export async function changePassword(
  user: AuthUser,
  password: string,
  except: string | null,
  { sql }: Context,
): Promise<void> {
  await sql`
    update auth.users set updated_at = now(), confirmation_token = null, recovery_token = null,
      email_change_token_new = null, email_change_token_current = null,
      encrypted_password = extensions.crypt(${password}, extensions.gen_salt('bf', 4))
    where id = ${user.id}`;
  await sql`delete from auth.sessions where user_id = ${user.id} and id is distinct from ${except}`;
}

/** A new account with its identity; null when the address is taken. */
export async function createUser(
  { email, password, confirmed, metadata }: {
    email: string;
    password: string;
    confirmed: boolean;
    metadata: unknown;
  },
  { sql }: Context,
): Promise<AuthUser | null> {
  const data = typeof metadata === "object" && metadata !== null ? metadata : {};
  const [user] = await sql<AuthUser[]>`
    insert into auth.users (aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
      raw_user_meta_data)
    values ('authenticated', 'authenticated', ${email},
      extensions.crypt(${password}, extensions.gen_salt('bf', 4)), ${confirmed ? sql`now()` : null},
      '{"provider": "email", "providers": ["email"]}', ${JSON.stringify(data)}::text::jsonb)
    on conflict do nothing
    returning *`;
  if (user === undefined) return null;
  await sql`
    insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
    values (${user.id}, ${user.id}, jsonb_build_object('sub', ${user.id}::text, 'email', ${email}::text,
      'email_verified', ${confirmed}::boolean, 'phone_verified', false), 'email', now(), now(), now())`;
  return user;
}

/** Who has this address, if anybody. */
export async function userOf(email: string, { sql }: Context): Promise<AuthUser | null> {
  const [user] = await sql<AuthUser[]>`select * from auth.users where email = ${email}`;
  return user ?? null;
}

/** A session as the database has it. */
export interface SessionRow {
  id: string;
  user_id: string;
  aal: string;
}

/** The user of an access token, and the session that it was made for, which must not have ended. */
export async function requireSession(
  request: Request,
  { sql, keys }: Context,
): Promise<{ user: AuthUser; session: SessionRow }> {
  const token = /^Bearer\s+(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (token === undefined) {
    throw new AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token");
  }
  const claims = await verifyAccessToken(token, keys);
  if (claims === null) {
    throw new AuthError(403, "bad_jwt", "invalid JWT: unable to parse or verify signature");
  }
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${`${claims.sub}`}`;
  if (user === undefined) {
    throw new AuthError(403, "user_not_found", "User from sub claim in JWT does not exist");
  }
  const [session] = await sql<SessionRow[]>`
    select id, user_id, aal from auth.sessions where id = ${`${claims.session_id}`} and user_id = ${user.id}`;
  if (session === undefined) {
    throw new AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist");
  }
  if (isBanned(user)) throw new AuthError(403, "user_banned", "User is banned");
  return { user, session };
}

/** Whether a user may not sign in at this time. */
export function isBanned({ banned_until }: AuthUser): boolean {
  return banned_until !== null && Date.parse(banned_until) > Date.now();
}

const PASSWORD_BYTES = { least: 6, most: 72 };

/** What is wrong with a password's strength, if anything. */
export function weaknessOf(password: string): { message: string; reasons: string[] } | null {
  if (bytesOf(password) >= PASSWORD_BYTES.least) return null;
  return { message: `Password should be at least ${PASSWORD_BYTES.least} characters.`, reasons: ["length"] };
}

/** Refuses a password that is too short, or longer than bcrypt reads. Auth counts bytes. */
export function requirePassword(password: string): void {
  if (bytesOf(password) > PASSWORD_BYTES.most) {
    throw invalid(`Password cannot be longer than ${PASSWORD_BYTES.most} characters`);
  }
  const weakness = weaknessOf(password);
  if (weakness === null) return;
  const { message, reasons } = weakness;
  throw new AuthError(422, "weak_password", message, { weak_password: { reasons } });
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A refusal of what was sent. */
export function invalid(message: string): AuthError {
  return new AuthError(400, "validation_failed", message);
}

/** A JSON object from the request's body. */
export async function readBody(request: Request): Promise<Record<string, unknown>> {
  const body: unknown = await request.json().catch(() => null);
  if (typeof body !== "object" || body === null) {
    throw new AuthError(400, "bad_json", "Could not parse request body as JSON");
  }
  return { ...body };
}

/** Refuses telephone numbers as hosted projects do that have them turned off, as they are at first. */
export function refusePhone({ email, phone }: Record<string, unknown>, action: "login" | "signup"): void {
  if ((phone ?? "") === "") return;
  if ((email ?? "") !== "") {
    throw invalid(`Only an email address or phone number should be provided on ${action}.`);
  }
  throw new AuthError(400, "phone_provider_disabled", `Phone ${action}s are disabled`);
}

/** Names what Auth takes and this layer does not, rather than losing it. */
export function refuseForeign(body: Record<string, unknown>, names: readonly string[], where: string): void {
  const given = names.find((name) => body[name] !== undefined && body[name] !== "" && body[name] !== false);
  if (given !== undefined) throw unsupported(`\`${given}\` of ${where}`);
}

/** An address as Auth keeps it. */
export function emailOf(value: unknown): string {
  if (typeof value !== "string" || !/^[^\s@]+@[^\s@]+$/.test(value.trim())) {
    throw invalid("Unable to validate email address: invalid format");
  }
  return value.trim().toLowerCase();
}

/** The address and password of a sign-up. */
export function credentials(body: Record<string, unknown>): { email: string; password: string } {
  const { email, password } = body;
  if (typeof password !== "string" || password === "") {
    throw invalid("Signup requires a valid password");
  }
  return { email: emailOf(email), password };
}
