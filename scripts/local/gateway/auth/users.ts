import { type AuthUser, verifyAccessToken } from "./tokens.ts";
import type { Context } from "./context.ts";
import { AuthError } from "./errors.ts";

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
      email_change_sent_at: user.email_change_sent_at,
      new_email: user.email_change,
      last_sign_in_at: user.last_sign_in_at,
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

/** The user of an access token. */
export async function requireUser(request: Request, context: Context): Promise<AuthUser> {
  const claims = await requireClaims(request, context);
  const [user] = await context.sql<AuthUser[]>`select * from auth.users where id = ${`${claims.sub}`}`;
  if (user === undefined) {
    throw new AuthError(403, "user_not_found", "User from sub claim in JWT does not exist");
  }
  return user;
}

/** The claims of the request's access token. */
export async function requireClaims(request: Request, { keys }: Context): Promise<Record<string, unknown>> {
  const token = /^Bearer\s+(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (token === undefined) {
    throw new AuthError(401, "no_authorization", "This endpoint requires a Bearer token");
  }
  const claims = await verifyAccessToken(token, keys);
  if (claims === null) throw new AuthError(403, "bad_jwt", "invalid JWT: unable to verify or expired");
  return claims;
}

const PASSWORD_LENGTH = 6;

/** Refuses a password that is too short. */
export function requirePassword(password: string): void {
  if (password.length >= PASSWORD_LENGTH) return;
  const message = `Password should be at least ${PASSWORD_LENGTH} characters.`;
  throw new AuthError(422, "weak_password", message, { weak_password: { reasons: ["length"] } });
}

/** A JSON object from the request's body. */
export async function readBody(request: Request): Promise<Record<string, unknown>> {
  const body: unknown = await request.json().catch(() => null);
  if (typeof body !== "object" || body === null) {
    throw new AuthError(400, "bad_json", "Could not parse request body as JSON");
  }
  return { ...body };
}

/** An address as Auth keeps it. */
export function emailOf(value: unknown): string {
  if (typeof value !== "string" || !/^[^\s@]+@[^\s@]+$/.test(value.trim())) {
    throw new AuthError(400, "validation_failed", "Unable to validate email address: invalid format");
  }
  return value.trim().toLowerCase();
}

/** The address and password of a sign-up or sign-in. */
export function credentials(body: Record<string, unknown>): { email: string; password: string } {
  const { email, password } = body;
  if (typeof password !== "string" || password === "") {
    throw new AuthError(400, "validation_failed", "Signup requires a valid password");
  }
  return { email: emailOf(email), password };
}
