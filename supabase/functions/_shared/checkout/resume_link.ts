/** Links that lead back to an unpaid order. A token names the order and its own end. */
import type { LinkEnv } from "../auth/signed_link.ts";
import type { Env } from "../env.ts";
import { orderToken, readOrderToken } from "./order_token.ts";

/** Long enough for a mail that waits over a holiday. */
const linkDays = 7;
const purpose = "resume-checkout/1";

/**
 * The link that a mail carries.
 * @param now epoch milliseconds.
 */
export async function resumeLink(
  orderId: string,
  env: LinkEnv & Pick<Env, "supabaseUrl">,
  now: number,
  days = linkDays,
): Promise<string> {
  const token = await resumeToken(orderId, Math.floor(now / 1000) + days * 86_400, env);
  return `${env.supabaseUrl}/functions/v1/resume-checkout?token=${token}`;
}

/** A token for an order that is good until `expiresAt` (epoch seconds). */
export function resumeToken(orderId: string, expiresAt: number, env: LinkEnv): Promise<string> {
  return orderToken(purpose, orderId, expiresAt, env);
}

/**
 * The order that a token names.
 * @param now epoch milliseconds.
 * @throws AppError `invalid_request` for a token that we did not sign, `link_expired` for one past its end.
 */
export function readResumeToken(token: string | null, env: LinkEnv, now: number): Promise<string> {
  return readOrderToken(purpose, token ?? "", env, now);
}
