/** Proofs of an address: a link and a code in a mail, and what they are kept as until somebody brings them back. */
import { createHash, randomInt } from "node:crypto";
import type { AuthSettings, Context } from "./context.ts";
import { AuthError } from "./errors.ts";
import { proofMail } from "./mails.ts";
import type { Method } from "./sessions.ts";
import type { AuthUser } from "./tokens.ts";
import { invalid } from "./users.ts";

/** How long a link or a code is good for. */
export const PROOF_HOURS = 1;

const CODE_DIGITS = 6;
/** The tokens of a client that will exchange a code for its session (PKCE) begin so. */
const CODE_FLOW = "pkce_";

/** A code to type in, and the token of the link; only the token is stored. */
export interface Proof {
  code: string;
  token: string;
}

/** Makes a proof of `email`; `prefix` comes from {@linkcode beginFlow}. */
export function newProof(email: string, prefix: string): Proof {
  const code = `${randomInt(10 ** CODE_DIGITS)}`.padStart(CODE_DIGITS, "0");
  return { code, token: prefix + tokenOf(email, code) };
}

/** What a code that was mailed to `email` is stored as, in either flow. */
export function tokensOf(email: string, code: string): string[] {
  const token = tokenOf(email, code);
  return [token, CODE_FLOW + token];
}

function tokenOf(email: string, code: string): string {
  return createHash("sha224").update(email + code).digest("hex");
}

export const isOfCodeFlow = (token: string): boolean => token.startsWith(CODE_FLOW);

/** Keeps the challenge of a client of the PKCE flow and returns how its tokens begin; nothing for other clients. */
export async function beginFlow(
  body: Record<string, unknown>,
  user: AuthUser,
  method: Method,
  { sql }: Context,
): Promise<string> {
  const challenge = codeChallenge(body);
  if (challenge === null) return "";
  const how = `${body.code_challenge_method}`.toLowerCase();
  await sql`
    insert into auth.flow_state (user_id, auth_code, code_challenge_method, code_challenge, authentication_method)
    values (${user.id}, ${crypto.randomUUID()}, ${how}, ${challenge}, ${method})`;
  return CODE_FLOW;
}

/** The challenge of a body, or null; refuses one that is malformed. */
function codeChallenge(body: Record<string, unknown>): string | null {
  const { code_challenge: challenge = "", code_challenge_method: method = "" } = body;
  if ((challenge || "") === "" && (method || "") === "") return null;
  if (typeof challenge !== "string" || challenge === "" || !/^(s256|plain)$/i.test(`${method}`)) {
    throw invalid("PKCE flow requires code_challenge_method and code_challenge");
  }
  if (challenge.length < 43 || challenge.length > 128) {
    throw invalid("code challenge has to be between 43 and 128 characters");
  }
  if (!/^[a-zA-Z._~0-9-]+$/.test(challenge)) {
    throw invalid(
      "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes",
    );
  }
  return challenge;
}

/** The code that the client of the PKCE flow exchanges for its session. */
export async function codeOfFlow(user: AuthUser, method: Method, { sql }: Context): Promise<string> {
  const [flow] = await sql<{ auth_code: string }[]>`
    update auth.flow_state set auth_code_issued_at = now() where id = (
      select id from auth.flow_state where user_id = ${user.id} and authentication_method = ${method}
      order by created_at desc limit 1
    ) returning auth_code`;
  if (flow !== undefined) return flow.auth_code;
  throw new AuthError(400, "flow_state_not_found", "No associated flow state found.");
}

/** Mails a link and a code. `redirect` is the page that was asked for. */
export async function sendProof(
  type: string,
  to: string,
  proof: Proof,
  redirect: string,
  context: Context,
): Promise<void> {
  const { subject, request, failure } = WORDS[type] ?? { subject: type, request: "", failure: type };
  try {
    await context.sendMail(
      proofMail(to, subject, request, linkTo(type, proof.token, redirect, context), proof.code),
    );
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    console.error(`a mail of Auth could not be sent: ${reason}`);
    throw new AuthError(500, "unexpected_failure", `Error sending ${failure} email`);
  }
}

const WORDS: Record<string, { subject: string; request: string; failure: string }> = {
  signup: {
    subject: "Confirm your e-mail address",
    request: "Open this link to confirm your account:",
    failure: "confirmation",
  },
  recovery: {
    subject: "Reset your password",
    request: "Open this link to choose another password:",
    failure: "recovery",
  },
  email_change: {
    subject: "Confirm your new e-mail address",
    request: "Open this link to change the address of your account:",
    failure: "email change",
  },
};

/** The address that a mail leads to. */
export function linkTo(type: string, token: string, redirect: string, { settings }: Context): string {
  const params = new URLSearchParams({ token, type, redirect_to: allowedTarget(redirect, settings).href });
  return `${settings.url()}/verify?${params}`;
}

/** The page that a request wants its mail to lead to. */
export function redirectOf(request: Request): string {
  return new URL(request.url).searchParams.get("redirect_to") ?? "";
}

/** Where a link leads: to the page that was asked for, if it is the shop's, else to the shop. */
export function allowedTarget(asked: string, { redirectOrigins, siteUrl }: AuthSettings): URL {
  const listed = URL.canParse(asked) && redirectOrigins.includes(new URL(asked).origin);
  return new URL(listed ? asked : siteUrl);
}
