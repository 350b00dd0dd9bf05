/**
 * Links that end reminders. A token carries the HMAC of the address as the database keeps it: it says nothing to who
 * finds it in a log, needs no order to look up, and never expires, since a mail is kept for years.
 */
import { type LinkEnv, readToken, signedToken } from "../auth/signed_link.ts";
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";

const purpose = "unsubscribe/1";

/** The link for the address with this HMAC (`recipient_hmac` of a notification). */
export async function unsubscribeLink(
  hmac: string,
  env: LinkEnv & Pick<Env, "supabaseUrl">,
): Promise<string> {
  return `${env.supabaseUrl}/functions/v1/unsubscribe?token=${await signedToken(purpose, hmac, env)}`;
}

/**
 * The HMAC that a token names.
 * @throws AppError `invalid_request` for a token that we did not sign.
 */
export async function readUnsubscribeToken(token: string, env: LinkEnv): Promise<string> {
  const hmac = await readToken(purpose, token, env);
  if (hmac === null || !/^[0-9a-f]{64}$/.test(hmac)) {
    throw new AppError("invalid_request", {
      message: "This link is not valid; it may have been cut off.",
      details: [{ path: "token", message: "is not a link of this shop" }],
    });
  }
  return hmac;
}

/** The headers that make a mailbox show its own button to unsubscribe (RFC 8058). */
export function unsubscribeHeaders(link: string): Record<string, string> {
  return { "List-Unsubscribe": `<${link}>`, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" };
}
