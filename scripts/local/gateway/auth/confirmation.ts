/** Proof of addresses: sign-up and change of address send a link, and what it proves counts once it is opened. */
import type { AuthUser } from "./tokens.ts";
import type { AuthSettings, Context } from "./context.ts";
import { AuthError, unsupported } from "./errors.ts";
import { linkMail, type SendMail } from "./mails.ts";
import { openSession } from "./sessions.ts";
import {
  createUser,
  credentials,
  emailOf,
  readBody,
  requirePassword,
  requireUser,
  shownUser,
  userOf,
} from "./users.ts";

/** How long a link is good for. */
const LINK_HOURS = 1;

/** `POST signup`. */
export async function signUp(request: Request, context: Context): Promise<Response> {
  const { settings } = context;
  const body = await readBody(request);
  if (body.email === undefined && body.phone === undefined) {
    throw new AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
  }
  requireNoCodeFlow(body);
  const { email, password } = credentials(body);
  requirePassword(password);
  const known = await userOf(email, context);
  if (known !== null && !settings.confirmations) {
    throw new AuthError(422, "user_already_exists", "User already registered");
  }
  // Whether an address has an account is told to nobody but its owner, by mail.
  if (known !== null && known.email_confirmed_at !== null) return Response.json(decoyOf(email));
  const confirmed = !settings.confirmations;
  const user = known ?? await createUser({ email, password, confirmed, metadata: body.data }, context);
  if (user === null) throw new AuthError(422, "user_already_exists", "User already registered");
  if (confirmed) return Response.json(await openSession(user, context));
  try {
    const asked = await sendConfirmation(user, redirectOf(request), context);
    return Response.json(await shownUser(asked, context));
  } catch (error) {
    // Auth does both or neither: who signs up again must not be told that the account is waiting for a mail.
    if (known === null) await context.sql`delete from auth.users where id = ${user.id}`;
    throw error;
  }
}

/** `POST admin/users`: an account made by the shop's own server, confirmed or not; no mail is sent. */
export async function adminCreateUser(request: Request, context: Context): Promise<Response> {
  const key = request.headers.get("apikey") ?? "";
  if (context.keys.roleOf(key) !== "service_role") throw new AuthError(403, "not_admin", "User not allowed");
  const body = await readBody(request);
  const { email, password } = credentials(body);
  requirePassword(password);
  const confirmed = body.email_confirm === true;
  const user = await createUser({ email, password, confirmed, metadata: body.user_metadata }, context);
  if (user === null) throw taken();
  return Response.json(await shownUser(user, context));
}

/** What a sign-up with a taken address answers: like a new user, but for `identities`. */
function decoyOf(email: string) {
  const now = new Date().toISOString();
  return {
    id: crypto.randomUUID(),
    aud: "authenticated",
    role: "",
    email,
    phone: "",
    confirmation_sent_at: now,
    app_metadata: { provider: "email", providers: ["email"] },
    user_metadata: {},
    identities: [],
    created_at: now,
    updated_at: now,
    is_anonymous: false,
  };
}

/** `POST resend`. Answers the same whether there is anything to send or not. */
export async function resend(request: Request, context: Context): Promise<Response> {
  const body = await readBody(request);
  requireNoCodeFlow(body);
  if (body.type !== "signup" && body.type !== "email_change") {
    throw unsupported(`resend of type ${body.type}`);
  }
  const user = await userOf(emailOf(body.email), context);
  if (user !== null && body.type === "signup" && user.email_confirmed_at === null) {
    await sendConfirmation(user, redirectOf(request), context);
  } else if (user !== null && body.type === "email_change" && user.email_change) {
    await sendChange(user, user.email_change, redirectOf(request), context);
  }
  return Response.json({});
}

/** `PUT user`: another address, password or metadata. */
export async function updateUser(request: Request, context: Context): Promise<Response> {
  const { sql, settings } = context;
  const body = await readBody(request);
  requireNoCodeFlow(body);
  const user = await requireUser(request, context);
  if (typeof body.password === "string") {
    requirePassword(body.password);
    await sql`
      update auth.users set updated_at = now(),
        encrypted_password = extensions.crypt(${body.password}, extensions.gen_salt('bf', 4))
      where id = ${user.id}`;
  }
  if (typeof body.data === "object" && body.data !== null) {
    await sql`
      update auth.users set updated_at = now(),
        raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || ${JSON.stringify(body.data)}::text::jsonb
      where id = ${user.id}`;
  }
  const email = body.email === undefined ? user.email : emailOf(body.email);
  if (email !== user.email) {
    if (await userOf(email, context) !== null) throw taken();
    if (settings.confirmations) await sendChange(user, email, redirectOf(request), context);
    else await changeEmail(user, email, context);
  }
  return Response.json(await shownUser(await requireUser(request, context), context));
}

/** `GET verify`: the link of a mail. It leads to the shop, with a session or with what is wrong in the fragment. */
export async function openLink(request: Request, context: Context): Promise<Response> {
  const params = new URL(request.url).searchParams;
  const target = allowedTarget(params.get("redirect_to") ?? "", context.settings);
  const lead = (fragment: Record<string, string>) => {
    target.hash = new URLSearchParams(fragment).toString();
    return new Response(null, { status: 303, headers: { location: target.href } });
  };
  try {
    const verified = await verify(params.get("type") ?? "", params.get("token") ?? "", context);
    if (verified === null) {
      const message = "Confirmation link accepted. Please proceed to confirm link sent to the other email";
      return lead({ message });
    }
    const { access_token, refresh_token, expires_in, expires_at, token_type } = await openSession(
      verified,
      context,
    );
    return lead({
      access_token,
      expires_at: `${expires_at}`,
      expires_in: `${expires_in}`,
      refresh_token,
      token_type,
      type: params.get("type") ?? "",
    });
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return lead({ error: "access_denied", error_code: error.code, error_description: error.message });
  }
}

/** `POST verify`, with the token of a link that the shop's own page took. */
export async function verifyToken(request: Request, context: Context): Promise<Response> {
  const body = await readBody(request);
  const token = typeof body.token_hash === "string" ? body.token_hash : "";
  if (token === "") throw unsupported("codes to type in; open the link of the mail");
  const verified = await verify(`${body.type}`, token, context);
  if (verified !== null) return Response.json(await openSession(verified, context));
  const msg = "Confirmation link accepted. Please proceed to confirm link sent to the other email";
  return Response.json({ code: 200, msg });
}

/** The user whose address a token proves, or null while the other address of a change is still to be proven. */
async function verify(type: string, token: string, context: Context): Promise<AuthUser | null> {
  if (type === "signup" || type === "email") return await verifySignUp(token, context);
  if (type === "email_change") return await verifyChange(token, context);
  throw unsupported(`verify of type ${type}`);
}

async function verifySignUp(token: string, context: Context): Promise<AuthUser> {
  const { sql } = context;
  const [user] = await sql<AuthUser[]>`
    update auth.users set email_confirmed_at = now(), confirmation_token = null, updated_at = now()
    where confirmation_token = ${token} and confirmation_sent_at > now() - make_interval(hours => ${LINK_HOURS})
    returning *`;
  if (user === undefined) throw expired();
  return await noteProven(user, context);
}

/** Both addresses have to agree, as "Secure email change" has it: the account may be somebody else's for a moment. */
async function verifyChange(token: string, context: Context): Promise<AuthUser | null> {
  const { sql } = context;
  const [opened] = await sql<{ id: string; waits: boolean }[]>`
    update auth.users set updated_at = now(), email_change_confirm_status = 1,
      email_change_token_new = nullif(email_change_token_new, ${token}),
      email_change_token_current = nullif(email_change_token_current, ${token})
    where ${token} in (email_change_token_new, email_change_token_current)
      and email_change_sent_at > now() - make_interval(hours => ${LINK_HOURS})
    returning id, coalesce(email_change_token_new, email_change_token_current) is not null as waits`;
  if (opened === undefined) throw expired();
  if (opened.waits) return null;
  const [user] = await sql<AuthUser[]>`
    update auth.users u set email = email_change, email_change = '', email_change_confirm_status = 0,
      email_confirmed_at = coalesce(email_confirmed_at, now())
    where id = ${opened.id} and not exists (select from auth.users o where o.email = u.email_change)
    returning *`;
  if (user === undefined) throw taken();
  return await noteProven(user, context);
}

/** Without confirmations an address changes at once, and `email_change` is never written. */
async function changeEmail(user: AuthUser, email: string, { sql }: Context): Promise<void> {
  await sql`update auth.users set email = ${email}, updated_at = now() where id = ${user.id}`;
  await sql`
    update auth.identities set identity_data = identity_data || jsonb_build_object('email', ${email}::text)
    where user_id = ${user.id} and provider = 'email'`;
}

async function noteProven(user: AuthUser, { sql }: Context): Promise<AuthUser> {
  await sql`
    update auth.identities set updated_at = now(), identity_data = identity_data ||
      jsonb_build_object('email', ${user.email}::text, 'email_verified', true)
    where user_id = ${user.id} and provider = 'email'`;
  return user;
}

async function sendConfirmation(user: AuthUser, redirect: string, context: Context): Promise<AuthUser> {
  const token = newToken();
  const [sent] = await context.sql<AuthUser[]>`
    update auth.users set confirmation_token = ${token}, confirmation_sent_at = now() where id = ${user.id}
    returning *`;
  const link = linkTo("signup", token, redirect, context);
  await post(
    linkMail(user.email, "Confirm your e-mail address", "Open this link to confirm your account:", link),
    context,
  );
  return sent ?? user;
}

async function sendChange(user: AuthUser, email: string, redirect: string, context: Context): Promise<void> {
  const tokens = { fresh: newToken(), current: user.email ? newToken() : null };
  await context.sql`
    update auth.users set email_change = ${email}, email_change_sent_at = now(), email_change_confirm_status = 0,
      email_change_token_new = ${tokens.fresh}, email_change_token_current = ${tokens.current}
    where id = ${user.id}`;
  const mail = (to: string, token: string) => {
    const text = `Open this link to change the address of your account from ${user.email} to ${email}:`;
    const link = linkTo("email_change", token, redirect, context);
    return post(linkMail(to, "Confirm your new e-mail address", text, link), context);
  };
  await mail(email, tokens.fresh);
  if (tokens.current !== null) await mail(user.email, tokens.current);
}

async function post(mail: Parameters<SendMail>[0], { sendMail }: Context): Promise<void> {
  try {
    await sendMail(mail);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    console.error(`a mail of Auth could not be sent: ${reason}`);
    throw new AuthError(500, "unexpected_failure", "Error sending confirmation email");
  }
}

function newToken(): string {
  return crypto.getRandomValues(new Uint8Array(28)).toHex();
}

function linkTo(type: string, token: string, redirect: string, { settings }: Context): string {
  const params = new URLSearchParams({ token, type, redirect_to: allowedTarget(redirect, settings).href });
  return `${settings.url()}/verify?${params}`;
}

function redirectOf(request: Request): string {
  return new URL(request.url).searchParams.get("redirect_to") ?? "";
}

/** Where a link leads: to the page that was asked for, if it is the shop's, else to the shop. */
function allowedTarget(asked: string, { redirectOrigins, siteUrl }: AuthSettings): URL {
  const listed = URL.canParse(asked) && redirectOrigins.includes(new URL(asked).origin);
  return new URL(listed ? asked : siteUrl);
}

/** A client of the PKCE flow could do nothing with the session that our links lead to. */
function requireNoCodeFlow(body: Record<string, unknown>): void {
  if (typeof body.code_challenge === "string" && body.code_challenge !== "") {
    throw unsupported('the PKCE flow; create the client with { auth: { flowType: "implicit" } }');
  }
}

function taken(): AuthError {
  return new AuthError(422, "email_exists", "A user with this email address has already been registered");
}

function expired(): AuthError {
  return new AuthError(403, "otp_expired", "Email link is invalid or has expired");
}
