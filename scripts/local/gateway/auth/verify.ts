/** `/auth/v1/verify`: the links and codes of mails come back. */
import { taken } from "./confirmation.ts";
import type { Context } from "./context.ts";
import { AuthError } from "./errors.ts";
import { allowedTarget, codeOfFlow, isOfCodeFlow, PROOF_HOURS, tokensOf } from "./proofs.ts";
import { type Method, openSession } from "./sessions.ts";
import type { AuthUser } from "./tokens.ts";
import { emailOf, invalid, isBanned, readBody } from "./users.ts";

const ACCEPTED = "Confirmation link accepted. Please proceed to confirm link sent to the other email";

/** How the client of the PKCE flow has signed in, by the type of its link. */
const METHODS: Record<string, Method> = {
  signup: "email/signup",
  recovery: "recovery",
  magiclink: "magiclink",
  email_change: "email_change",
};

/** `GET verify`: the link of a mail. It leads to the shop, with a session or with what is wrong in the fragment. */
export async function openLink(request: Request, context: Context): Promise<Response> {
  const params = new URL(request.url).searchParams;
  const target = allowedTarget(params.get("redirect_to") ?? "", context.settings);
  const type = params.get("type") ?? "", token = params.get("token") ?? "";
  if (type === "") throw invalid("Verify requires a verification type");
  if (token === "") throw invalid("Verify requires a token or a token hash");
  const byCode = isOfCodeFlow(token);
  const lead = (fields: Record<string, string>) => {
    target.hash = new URLSearchParams(fields).toString();
    return new Response(null, { status: 303, headers: { location: target.href } });
  };
  const alsoInQuery = (fields: Record<string, string>) => {
    if (byCode) { for (const [name, value] of Object.entries(fields)) target.searchParams.set(name, value); }
    return lead({ ...fields, sb: "" });
  };
  try {
    const user = await verify(type, [token], null, context);
    if (user === null) return alsoInQuery({ message: ACCEPTED });
    if (byCode) {
      target.searchParams.set("code", await codeOfFlow(user, METHODS[type] ?? "otp", context));
      return new Response(null, { status: 303, headers: { location: target.href } });
    }
    const session = await openSession(user, "otp", context);
    return lead({
      access_token: session.access_token,
      expires_at: `${session.expires_at}`,
      expires_in: `${session.expires_in}`,
      refresh_token: session.refresh_token,
      sb: "",
      token_type: session.token_type,
      type,
    });
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    const names: Record<number, string> = {
      400: "invalid_request",
      401: "unauthorized_client",
      403: "access_denied",
    };
    const name = names[error.status] ?? "server_error";
    return alsoInQuery({ error: name, error_code: error.code, error_description: error.message });
  }
}

/** `POST verify`: the token of a link that the shop's own page took, or the code of the mail with its address. */
export async function verifyToken(request: Request, context: Context): Promise<Response> {
  const body = await readBody(request);
  const type = text(body.type), token = text(body.token), hash = text(body.token_hash);
  if (type === "") throw invalid("Verify requires a verification type");
  if ((token === "") === (hash === "")) throw invalid("Verify requires either a token or a token hash");
  if (token !== "" && text(body.email) === "") {
    throw invalid("Only an email address or phone number should be provided on verify");
  }
  if (hash !== "" && [body.email, body.phone, body.redirect_to].some((given) => text(given) !== "")) {
    throw invalid("Only the token_hash and type should be provided");
  }
  const email = token === "" ? null : emailOf(body.email);
  const user = await verify(type, email === null ? [hash] : tokensOf(email, token), email, context);
  if (user === null) return Response.json({ code: "200", msg: ACCEPTED });
  return Response.json(await openSession(user, "otp", context));
}

const text = (value: unknown): string => typeof value === "string" ? value : "";

/** Columns of `auth.users` that hold the tokens of a type, and when they were sent. */
const KINDS = {
  confirmation: { columns: ["confirmation_token"], sent: "confirmation_sent_at" },
  recovery: { columns: ["recovery_token"], sent: "recovery_sent_at" },
  change: { columns: ["email_change_token_new", "email_change_token_current"], sent: "email_change_sent_at" },
} as const;

const KINDS_OF_TYPE: Record<string, (keyof typeof KINDS)[]> = {
  signup: ["confirmation"],
  invite: ["confirmation"],
  recovery: ["recovery"],
  magiclink: ["recovery"],
  email: ["confirmation", "recovery"],
  email_change: ["change"],
};

/**
 * The user whose address is proven by one of `tokens`, or null while the other address of a change is still to be
 * proven. With a code, `email` is the address that it was mailed to.
 */
async function verify(
  type: string,
  tokens: string[],
  email: string | null,
  context: Context,
): Promise<AuthUser | null> {
  const kinds = KINDS_OF_TYPE[type];
  if (kinds === undefined) {
    throw invalid(email === null ? "Invalid email verification type" : "Unsupported verification type");
  }
  const { sql } = context;
  for (const kind of kinds) {
    const { columns, sent } = KINDS[kind];
    const [found] = await sql<AuthUser[]>`
      select * from auth.users
      where (${sql(columns[0])} in ${sql(tokens)} or ${sql(columns.at(-1) ?? columns[0])} in ${sql(tokens)})
        and ${sql(sent)} > now() - make_interval(hours => ${PROOF_HOURS})`;
    if (found === undefined) continue;
    if (isBanned(found)) throw new AuthError(403, "user_banned", "User is banned");
    return kind === "change" ? await proveChange(found, tokens, context) : await prove(found, context);
  }
  const message = email === null ? "Email link is invalid or has expired" : "Token has expired or is invalid";
  throw new AuthError(403, "otp_expired", message);
}

/** The address of the account counts from now on; a token is good once. */
async function prove({ id }: AuthUser, context: Context): Promise<AuthUser> {
  const [user] = await context.sql<AuthUser[]>`
    update auth.users set email_confirmed_at = coalesce(email_confirmed_at, now()), confirmation_token = null,
      recovery_token = null, updated_at = now()
    where id = ${id} returning *`;
  if (user === undefined) throw new AuthError(403, "otp_expired", "Email link is invalid or has expired");
  return await noteProven(user, context);
}

async function proveChange({ id }: AuthUser, tokens: string[], context: Context): Promise<AuthUser | null> {
  const { sql } = context;
  const [opened] = await sql<{ waits: boolean }[]>`
    update auth.users set updated_at = now(), email_change_confirm_status = 1,
      email_change_token_new = case when email_change_token_new in ${sql(tokens)} then null
        else email_change_token_new end,
      email_change_token_current = case when email_change_token_current in ${sql(tokens)} then null
        else email_change_token_current end
    where id = ${id}
    returning coalesce(email_change_token_new, email_change_token_current) is not null as waits`;
  if (opened?.waits !== false) return null;
  const [user] = await sql<AuthUser[]>`
    update auth.users u set email = email_change, email_change = '', email_change_confirm_status = 0,
      email_confirmed_at = coalesce(email_confirmed_at, now())
    where id = ${id} and not exists (select from auth.users o where o.email = u.email_change)
    returning *`;
  if (user === undefined) throw taken();
  return await noteProven(user, context);
}

async function noteProven(user: AuthUser, { sql }: Context): Promise<AuthUser> {
  await sql`
    update auth.identities set updated_at = now(), identity_data = identity_data ||
      jsonb_build_object('email', ${user.email}::text, 'email_verified', true)
    where user_id = ${user.id} and provider = 'email'`;
  return user;
}
