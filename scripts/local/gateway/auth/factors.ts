/** Second factors: a key in an authenticator, proven by its codes (TOTP, RFC 6238). `/auth/v1/factors…` */
import { createHmac } from "node:crypto";
import type { Context } from "./context.ts";
import { AuthError, unsupported } from "./errors.ts";
import { strengthenSession } from "./sessions.ts";
import { readBody, requireClaims, requireUser } from "./users.ts";

/** Seconds that a code is good for; the one before and the one after count too, for clocks that differ. */
const STEP_SECONDS = 30;
/** How long a challenge waits for its code. */
const CHALLENGE_MINUTES = 5;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

interface Factor {
  id: string;
  secret: string;
  status: string;
}

/** Answers `path`, what follows `/auth/v1/`, or null where it is about no factor. */
export async function factorRoute(
  request: Request,
  path: string,
  context: Context,
): Promise<Response | null> {
  if (request.method === "POST" && path === "factors") return await enrol(request, context);
  const [, id, action = ""] = /^factors\/([0-9a-f-]{36})(?:\/(challenge|verify))?$/.exec(path) ?? [];
  if (id === undefined) return null;
  if (request.method === "POST" && action === "challenge") return await challenge(request, id, context);
  if (request.method === "POST" && action === "verify") return await verify(request, id, context);
  if (request.method === "DELETE" && action === "") return await removeFactor(request, id, context);
  return null;
}

/** A new factor, which counts once a code of it was verified. */
async function enrol(request: Request, context: Context): Promise<Response> {
  const user = await requireUser(request, context);
  const { factor_type, friendly_name = "", issuer = "offline" } = await readBody(request);
  if (factor_type !== "totp") throw unsupported(`factors of type ${factor_type}`);
  const own = await context.sql<{ friendly_name: string; status: string }[]>`
    select friendly_name, status from auth.mfa_factors where user_id = ${user.id}`;
  if (own.some((factor) => factor.friendly_name === friendly_name)) {
    const message = `A factor with the friendly name "${friendly_name}" for this user already exists`;
    throw new AuthError(422, "mfa_factor_name_conflict", message);
  }
  if (own.some(({ status }) => status === "verified")) {
    await requireBoth(request, context, "AAL2 required to enroll a new factor");
  }
  const secret = base32(crypto.getRandomValues(new Uint8Array(20)));
  const [factor] = await context.sql<{ id: string }[]>`
    insert into auth.mfa_factors (user_id, friendly_name, secret)
    values (${user.id}, ${`${friendly_name}`}, ${secret}) returning id`;
  const label = encodeURIComponent(`${issuer}:${user.email}`);
  return Response.json({
    id: factor?.id,
    type: "totp",
    friendly_name,
    totp: { qr_code: NO_PICTURE, secret, uri: `otpauth://totp/${label}?secret=${secret}&issuer=${issuer}` },
  });
}

/** Auth draws a QR code here; offline the key is typed in. */
const NO_PICTURE =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 180 180"><text x="90" y="94" text-anchor="middle" ' +
  'font-family="sans-serif" font-size="15">No QR code offline</text></svg>';

async function challenge(request: Request, id: string, context: Context): Promise<Response> {
  const factor = await factorOf(request, id, context);
  const [row] = await context.sql<{ id: string; expires_at: number }[]>`
    insert into auth.mfa_challenges (factor_id) values (${factor.id})
    returning id, extract(epoch from created_at + make_interval(mins => ${CHALLENGE_MINUTES}))::int as expires_at`;
  return Response.json({ ...row, type: "totp" });
}

/** A right code makes the factor count and the session a strong one (aal2). */
async function verify(request: Request, id: string, context: Context): Promise<Response> {
  const { sql } = context;
  const factor = await factorOf(request, id, context);
  const claims = await requireClaims(request, context);
  const { challenge_id, code } = await readBody(request);
  const [open] = await sql`
    update auth.mfa_challenges set verified_at = now()
    where id::text = ${`${challenge_id}`} and factor_id = ${factor.id} and verified_at is null
      and created_at > now() - make_interval(mins => ${CHALLENGE_MINUTES})
    returning id`;
  if (open === undefined) {
    throw new AuthError(
      422,
      "mfa_challenge_expired",
      "MFA challenge has expired, verify against another challenge",
    );
  }
  const step = Math.floor(Date.now() / 1000 / STEP_SECONDS);
  if (![step - 1, step, step + 1].some((at) => totpCode(factor.secret, at) === code)) {
    throw new AuthError(422, "mfa_verification_failed", "Invalid TOTP code entered");
  }
  await sql`update auth.mfa_factors set status = 'verified', updated_at = now() where id = ${factor.id}`;
  return Response.json(await strengthenSession(`${claims.session_id}`, context));
}

async function removeFactor(request: Request, id: string, context: Context): Promise<Response> {
  const factor = await factorOf(request, id, context);
  if (factor.status === "verified") {
    await requireBoth(request, context, "AAL2 required to unenroll verified factor");
  }
  await context.sql`delete from auth.mfa_factors where id = ${factor.id}`;
  return Response.json({ id: factor.id });
}

/** Who has a second factor must have used it. */
async function requireBoth(request: Request, context: Context, message: string): Promise<void> {
  const claims = await requireClaims(request, context);
  if (claims["aal"] !== "aal2") throw new AuthError(403, "insufficient_aal", message);
}

async function factorOf(request: Request, id: string, context: Context): Promise<Factor> {
  const user = await requireUser(request, context);
  const [factor] = await context.sql<Factor[]>`
    select id, secret, status from auth.mfa_factors where id = ${id} and user_id = ${user.id}`;
  if (factor === undefined) throw new AuthError(404, "mfa_factor_not_found", "Factor not found");
  return factor;
}

/** The six digits of a key in one step of time. */
export function totpCode(secret: string, step: number): string {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(step));
  const mac = createHmac("sha1", unbase32(secret)).update(new Uint8Array(counter.buffer)).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{5}/g) ?? []).map((five) => ALPHABET[parseInt(five, 2)]).join("");
}

function unbase32(text: string): Uint8Array {
  const bits = [...text].map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, "0")).join("");
  return Uint8Array.from((bits.match(/.{8}/g) ?? []).map((eight) => parseInt(eight, 2)));
}
