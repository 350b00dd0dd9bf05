/** Sign-up, lost passwords and changes of address: each sends a mail, and counts once that is answered. */
import type { Context } from "./context.ts";
import { AuthError } from "./errors.ts";
import { beginFlow, newProof, redirectOf, sendProof } from "./proofs.ts";
import { openSession } from "./sessions.ts";
import type { AuthUser } from "./tokens.ts";
import {
  changePassword,
  createUser,
  credentials,
  emailOf,
  invalid,
  mergeMetadata,
  readBody,
  refuseForeign,
  refusePhone,
  requirePassword,
  requireSession,
  shownUser,
  userOf,
} from "./users.ts";

/** `POST signup`. */
export async function signUp(request: Request, context: Context): Promise<Response> {
  const { settings } = context;
  const body = await readBody(request);
  if (body.email === undefined && body.phone === undefined) {
    throw new AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
  }
  refusePhone(body, "signup");
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
  if (confirmed) return Response.json(await openSession(user, "password", context));
  try {
    const asked = await sendConfirmation(user, body, redirectOf(request), context);
    return Response.json(await shownUser(asked, context));
  } catch (error) {
    // Auth does both or neither: who signs up again must not be told that the account is waiting for a mail.
    if (known === null) await context.sql`delete from auth.users where id = ${user.id}`;
    throw error;
  }
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
  if (body.type !== "signup" && body.type !== "email_change") {
    throw invalid("Missing one of these types: signup, email_change, sms, phone_change");
  }
  if (body.email === undefined) throw invalid("Type provided requires an email address");
  const user = await userOf(emailOf(body.email), context);
  if (user !== null && body.type === "signup" && user.email_confirmed_at === null) {
    await sendConfirmation(user, body, redirectOf(request), context);
  } else if (user !== null && body.type === "email_change" && user.email_change) {
    await sendChange(user, user.email_change, body, redirectOf(request), context);
  }
  return Response.json({});
}

/** `POST recover`: a mail to who has lost the password. Answers the same whether there is such an account or not. */
export async function recover(request: Request, context: Context): Promise<Response> {
  const body = await readBody(request);
  if (body.email === undefined || body.email === "") throw invalid("Password recovery requires an email");
  const user = await userOf(emailOf(body.email), context);
  if (user === null) return Response.json({});
  const proof = newProof(user.email, await beginFlow(body, user, "recovery", context));
  await context.sql`
    update auth.users set recovery_token = ${proof.token}, recovery_sent_at = now() where id = ${user.id}`;
  await sendProof("recovery", user.email, proof, redirectOf(request), context);
  return Response.json({});
}

/** `PUT user`: another address, password or metadata. */
export async function updateUser(request: Request, context: Context): Promise<Response> {
  const { sql, settings } = context;
  const body = await readBody(request);
  const { user, session } = await requireSession(request, context);
  refuseForeign(body, ["phone"], "PUT /auth/v1/user");
  const email = body.email === undefined || body.email === "" ? user.email : emailOf(body.email);
  const password = typeof body.password === "string" ? body.password : null;
  if (password !== null) requirePassword(password);
  if (
    (password !== null || email !== user.email) && session.aal !== "aal2" && await hasFactor(user, context)
  ) {
    const message = "AAL2 session is required to update email or password when MFA is enabled.";
    throw new AuthError(401, "insufficient_aal", message);
  }
  if (email !== user.email && await userOf(email, context) !== null) throw taken();
  if (password !== null) {
    const [same] = await sql`
      select from auth.users
      where id = ${user.id} and encrypted_password = extensions.crypt(${password}, encrypted_password)`;
    if (same !== undefined) {
      throw new AuthError(422, "same_password", "New password should be different from the old password.");
    }
    await changePassword(user, password, session.id, context);
  }
  await mergeMetadata("raw_user_meta_data", user, body.data, context);
  if (email !== user.email) {
    if (settings.confirmations) await sendChange(user, email, body, redirectOf(request), context);
    else await changeEmail(user, email, context);
  }
  return Response.json(await shownUser((await requireSession(request, context)).user, context));
}

async function hasFactor(user: AuthUser, { sql }: Context): Promise<boolean> {
  const [factor] = await sql`
    select from auth.mfa_factors where user_id = ${user.id} and status = 'verified' limit 1`;
  return factor !== undefined;
}

/** Changes an address at once, as without confirmations and by the shop's own server. */
export async function changeEmail(user: AuthUser, email: string, { sql }: Context): Promise<void> {
  await sql`update auth.users set email = ${email}, updated_at = now() where id = ${user.id}`;
  await sql`
    update auth.identities set identity_data = identity_data || jsonb_build_object('email', ${email}::text)
    where user_id = ${user.id} and provider = 'email'`;
}

async function sendConfirmation(
  user: AuthUser,
  body: Record<string, unknown>,
  redirect: string,
  context: Context,
): Promise<AuthUser> {
  const proof = newProof(user.email, await beginFlow(body, user, "email/signup", context));
  const [sent] = await context.sql<AuthUser[]>`
    update auth.users set confirmation_token = ${proof.token}, confirmation_sent_at = now() where id = ${user.id}
    returning *`;
  await sendProof("signup", user.email, proof, redirect, context);
  return sent ?? user;
}

/** Both addresses have to agree, as "Secure email change" has it: the account may be somebody else's for a moment. */
async function sendChange(
  user: AuthUser,
  email: string,
  body: Record<string, unknown>,
  redirect: string,
  context: Context,
): Promise<void> {
  const prefix = await beginFlow(body, user, "email_change", context);
  const fresh = newProof(email, prefix), current = newProof(user.email, prefix);
  await context.sql`
    update auth.users set email_change = ${email}, email_change_sent_at = now(), email_change_confirm_status = 0,
      email_change_token_new = ${fresh.token}, email_change_token_current = ${current.token}
    where id = ${user.id}`;
  await sendProof("email_change", email, fresh, redirect, context);
  await sendProof("email_change", user.email, current, redirect, context);
}

/** An address that somebody else has. */
export function taken(): AuthError {
  return new AuthError(422, "email_exists", "A user with this email address has already been registered");
}
