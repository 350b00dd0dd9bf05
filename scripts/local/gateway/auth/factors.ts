/** Second factors: a key in an authenticator, proven by its codes (TOTP, RFC 6238). `/auth/v1/factors…` */
import { createHmac } from "node:crypto";
import type { Context } from "./context.ts";
import { AuthError, unsupported } from "./errors.ts";
import { strengthenSession } from "./sessions.ts";
import { readBody, requireSession, type SessionRow } from "./users.ts";

/** Seconds that a code is good for; the one before and the one after count too, for clocks that differ. */
const STEP_SECONDS = 30;
/** How long a challenge waits for its code. */
const CHALLENGE_MINUTES = 5;
/** How long a factor waits for its first code. */
const FACTOR_MINUTES = 5;
const MOST_FACTORS = 10;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

interface Factor {
  id: string;
  user_id: string;
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
  const { user, session } = await requireSession(request, context);
  const { factor_type, friendly_name = "", issuer = "offline" } = await readBody(request);
  if (factor_type !== "totp") throw unsupported(`factors of type ${factor_type}`);
  await context.sql`
    delete from auth.mfa_factors
    where status = 'unverified' and created_at < now() - make_interval(mins => ${FACTOR_MINUTES})`;
  const own = await context.sql<{ friendly_name: string; status: string }[]>`
    select friendly_name, status from auth.mfa_factors where user_id = ${user.id}`;
  if (own.some((factor) => factor.friendly_name === friendly_name)) {
    const message = `A factor with the friendly name "${friendly_name}" for this user already exists`;
    throw new AuthError(422, "mfa_factor_name_conflict", message);
  }
  if (own.length >= MOST_FACTORS) {
    const message = "Maximum number of verified factors reached, unenroll to continue";
    throw new AuthError(422, "too_many_enrolled_mfa_factors", message);
  }
  if (own.some(({ status }) => status === "verified") && session.aal !== "aal2") {
    throw new AuthError(403, "insufficient_aal", "AAL2 required to enroll a new factor");
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
  const { factor } = await factorOf(request, id, context);
  const [row] = await context.sql<{ id: string; expires_at: number }[]>`
    insert into auth.mfa_challenges (factor_id) values (${factor.id})
    returning id, extract(epoch from created_at + make_interval(mins => ${CHALLENGE_MINUTES}))::int as expires_at`;
  return Response.json({ ...row, type: "totp" });
}

/** A right code makes the factor count and the session a strong one (aal2). */
async function verify(request: Request, id: string, context: Context): Promise<Response> {
  const { sql } = context;
  const { factor, session } = await factorOf(request, id, context);
  const { challenge_id, code } = await readBody(request);
  const [challenge] = await sql<{ id: string; verified: boolean; open: boolean }[]>`
    select id, verified_at is not null as verified,
      created_at > now() - make_interval(mins => ${CHALLENGE_MINUTES}) as open
    from auth.mfa_challenges where id::text = ${`${challenge_id}`} and factor_id = ${factor.id}`;
  if (challenge === undefined) {
    const message = "MFA factor with the provided challenge ID not found";
    throw new AuthError(422, "mfa_factor_not_found", message);
  }
  // Auth has one refusal for a challenge that was met and for one of another address.
  if (challenge.verified) {
    const message = "Challenge and verify IP addresses mismatch.";
    throw new AuthError(422, "mfa_ip_address_mismatch", message);
  }
  if (!challenge.open) {
    await sql`delete from auth.mfa_challenges where id = ${challenge.id}`;
    throw new AuthError(
      422,
      "mfa_challenge_expired",
      `MFA challenge ${challenge.id} has expired, verify against another challenge or create a new challenge.`,
    );
  }
  const step = Math.floor(Date.now() / 1000 / STEP_SECONDS);
  if (![step - 1, step, step + 1].some((at) => totpCode(factor.secret, at) === code)) {
    throw new AuthError(422, "mfa_verification_failed", "Invalid TOTP code entered");
  }
  const [met] = await sql`
    update auth.mfa_challenges set verified_at = now() where id = ${challenge.id} and verified_at is null returning id`;
  if (met === undefined) {
    throw new AuthError(422, "mfa_ip_address_mismatch", "Challenge and verify IP addresses mismatch.");
  }
  await sql`update auth.mfa_factors set status = 'verified', updated_at = now() where id = ${factor.id}`;
  await sql`delete from auth.mfa_factors where user_id = ${factor.user_id} and status = 'unverified'`;
  return Response.json(await strengthenSession(session.id, factor.id, context));
}

async function removeFactor(request: Request, id: string, context: Context): Promise<Response> {
  const { factor, session } = await factorOf(request, id, context);
  if (factor.status === "verified" && session.aal !== "aal2") {
    throw new AuthError(422, "insufficient_aal", "AAL2 required to unenroll verified factor");
  }
  await deleteFactor(factor.id, context);
  return Response.json({ id: factor.id });
}

/** Takes a factor away; the sessions that it made strong are weak again, once their token is renewed. */
export async function deleteFactor(id: string, { sql }: Context): Promise<void> {
  await sql`
    delete from auth.mfa_amr_claims where authentication_method = 'totp'
      and session_id in (select s.id from auth.sessions s where s.factor_id = ${id})`;
  await sql`update auth.sessions set aal = 'aal1', factor_id = null where factor_id = ${id}`;
  await sql`delete from auth.mfa_factors where id = ${id}`;
}

async function factorOf(
  request: Request,
  id: string,
  context: Context,
): Promise<{ factor: Factor; session: SessionRow }> {
  const { user, session } = await requireSession(request, context);
  const [factor] = await context.sql<Factor[]>`
    select id, user_id, secret, status from auth.mfa_factors where id = ${id} and user_id = ${user.id}`;
  if (factor === undefined) throw new AuthError(404, "mfa_factor_not_found", "Factor not found");
  return { factor, session };
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
