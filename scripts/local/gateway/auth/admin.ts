/** `/auth/v1/admin/*`: accounts as the shop's own server manages them, with the secret key. No mail is sent. */
import postgres from "postgres";
import { changeEmail, taken } from "./confirmation.ts";
import type { Context } from "./context.ts";
import { AuthError, unsupported } from "./errors.ts";
import { deleteFactor } from "./factors.ts";
import { linkTo, newProof } from "./proofs.ts";
import type { AuthUser } from "./tokens.ts";
import {
  changePassword,
  createUser,
  emailOf,
  invalid,
  mergeMetadata,
  readBody,
  refuseForeign,
  requirePassword,
  shownUser,
  userOf,
} from "./users.ts";

const PAGE_SIZE = 50;

/** What an account may be given at Auth, and not here. */
const FOREIGN = ["aud", "id", "password_hash", "phone", "phone_confirm", "role"];

/** Answers `path`, what follows `/auth/v1/`, or null where it is no such path. */
export async function adminRoute(request: Request, path: string, context: Context): Promise<Response | null> {
  if (!path.startsWith("admin/")) return null;
  const key = request.headers.get("apikey") ?? "";
  if (context.keys.roleOf(key) !== "service_role") throw new AuthError(403, "not_admin", "User not allowed");
  const { method } = request;
  if (path === "admin/users" && method === "GET") return await listUsers(request, context);
  if (path === "admin/users" && method === "POST") return await makeUser(request, context);
  if (path === "admin/generate_link" && method === "POST") return await makeLink(request, context);
  const [, id, factors, factor] = /^admin\/users\/([^/]+)(\/factors(?:\/([^/]+))?)?$/.exec(path) ?? [];
  if (id === undefined) return null;
  const user = await userById(id, context);
  if (factors !== undefined) return await factorsOf(method, user, factor, context);
  if (method === "GET") return Response.json(await shownUser(user, context));
  if (method === "PUT") return await changeUser(request, user, context);
  if (method === "DELETE") return await deleteUser(request, user, context);
  return null;
}

async function userById(id: string, { sql }: Context): Promise<AuthUser> {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) {
    throw new AuthError(404, "validation_failed", "user_id must be an UUID");
  }
  const [user] = await sql<AuthUser[]>`select * from auth.users where id = ${id}`;
  if (user === undefined) throw new AuthError(404, "user_not_found", "User not found");
  return user;
}

async function listUsers(request: Request, context: Context): Promise<Response> {
  const url = new URL(request.url);
  const number = (name: string, usual: number) => Number(url.searchParams.get(name) || usual);
  const page = number("page", 1), size = number("per_page", PAGE_SIZE);
  if (![page, size].every((value) => Number.isInteger(value) && value > 0)) {
    throw invalid("Bad Pagination Parameters: page and per_page are numbers from 1");
  }
  const users = await context.sql<AuthUser[]>`
    select * from auth.users order by created_at desc, id limit ${size} offset ${(page - 1) * size}`;
  const [counted] = await context.sql<{ total: number }[]>`select count(*)::int as total from auth.users`;
  const total = counted?.total ?? 0, last = Math.ceil(total / size);
  const link = (to: number, rel: string) => `<${url.pathname}?page=${to}&per_page=${size}>; rel="${rel}"`;
  const links = [...(page < last ? [link(page + 1, "next")] : []), link(Math.max(last, 1), "last")];
  return Response.json(
    { users: await Promise.all(users.map((user) => shownUser(user, context))), aud: "authenticated" },
    { headers: { "x-total-count": `${total}`, link: links.join(", ") } },
  );
}

async function makeUser(request: Request, context: Context): Promise<Response> {
  const body = await readBody(request);
  refuseForeign(body, FOREIGN, "POST /auth/v1/admin/users");
  if (body.email === undefined) throw invalid("Cannot create a user without either an email or phone");
  const email = emailOf(body.email);
  const password = typeof body.password === "string" && body.password !== ""
    ? body.password
    : crypto.randomUUID();
  requirePassword(password);
  const confirmed = body.email_confirm === true;
  const user = await createUser({ email, password, confirmed, metadata: body.user_metadata }, context);
  if (user === null) throw taken();
  return await changed(user, body, context);
}

async function changeUser(request: Request, user: AuthUser, context: Context): Promise<Response> {
  const { sql } = context;
  const body = await readBody(request);
  refuseForeign(body, FOREIGN, "PUT /auth/v1/admin/users/:id");
  if (typeof body.password === "string") {
    requirePassword(body.password);
    await changePassword(user, body.password, null, context);
  }
  if (body.email_confirm === true) {
    await sql`
      update auth.users set email_confirmed_at = coalesce(email_confirmed_at, now()) where id = ${user.id}`;
  }
  if (body.email !== undefined && body.email !== "") {
    const email = emailOf(body.email);
    const owner = await userOf(email, context);
    if (owner !== null && owner.id !== user.id) throw taken();
    await changeEmail(user, email, context);
  }
  await mergeMetadata("raw_user_meta_data", user, body.user_metadata, context);
  return await changed(user, body, context);
}

/** What both a new and a known account may be given. */
async function changed(user: AuthUser, body: Record<string, unknown>, context: Context): Promise<Response> {
  await mergeMetadata("raw_app_meta_data", user, body.app_metadata, context);
  if (typeof body.ban_duration === "string") {
    const milliseconds = durationOf(body.ban_duration);
    await context.sql`
      update auth.users set banned_until = ${milliseconds === 0 ? null : new Date(Date.now() + milliseconds)}
      where id = ${user.id}`;
  }
  return Response.json(await shownUser(await userById(user.id, context), context));
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `none`, or a duration of Go's: `24h`, `1h30m`. In milliseconds. */
function durationOf(text: string): number {
  if (text === "none") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) {
    throw invalid(`invalid format for ban duration: time: invalid duration "${text}"`);
  }
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
    .reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNITS[unit] ?? 0), 0);
}

async function deleteUser(request: Request, user: AuthUser, { sql }: Context): Promise<Response> {
  const body = (await request.text()).trim();
  if (body !== "" && JSON.parse(body).should_soft_delete === true) {
    throw unsupported("deleting a user softly");
  }
  try {
    await sql`delete from auth.users where id = ${user.id}`;
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error;
    throw new AuthError(500, "unexpected_failure", "Database error deleting user");
  }
  return Response.json({});
}

async function factorsOf(
  method: string,
  user: AuthUser,
  id: string | undefined,
  context: Context,
): Promise<Response | null> {
  const factors = await context.sql<{ id: string }[]>`
    select id, created_at, updated_at, status, friendly_name, factor_type from auth.mfa_factors
    where user_id = ${user.id} order by created_at, id`;
  if (id === undefined) return method === "GET" ? Response.json([...factors]) : null;
  const factor = factors.find((one) => one.id === id);
  if (factor === undefined) throw new AuthError(404, "mfa_factor_not_found", "Factor not found");
  if (method !== "DELETE") return null;
  await deleteFactor(id, context);
  return Response.json(factor);
}

/** `admin/generate_link`, for a mail that the shop sends itself. */
async function makeLink(request: Request, context: Context): Promise<Response> {
  const body = await readBody(request);
  if (body.type !== "recovery" && body.type !== "magiclink") throw unsupported(`links of type ${body.type}`);
  const user = await userOf(emailOf(body.email), context);
  if (user === null) throw new AuthError(404, "user_not_found", "User with this email not found");
  const proof = newProof(user.email, "");
  await context.sql`
    update auth.users set recovery_token = ${proof.token}, recovery_sent_at = now() where id = ${user.id}`;
  const redirect = typeof body.redirect_to === "string" ? body.redirect_to : "";
  const link = linkTo(body.type, proof.token, redirect, context);
  return Response.json({
    ...await shownUser(await userById(user.id, context), context),
    action_link: link,
    email_otp: proof.code,
    hashed_token: proof.token,
    verification_type: body.type,
    redirect_to: new URL(link).searchParams.get("redirect_to"),
  });
}
