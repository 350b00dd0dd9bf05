/** Tokens that name an order and their own end. */
import { type LinkEnv, readToken, signedToken } from "../auth/signed_link.ts";
import { AppError } from "../errors.ts";

/**
 * A token for an order that is good until `expiresAt` (epoch seconds).
 * @param purpose what it opens, and nothing else.
 */
export function orderToken(
  purpose: string,
  orderId: string,
  expiresAt: number,
  env: LinkEnv,
): Promise<string> {
  return signedToken(purpose, `${orderId}.${expiresAt}`, env);
}

/**
 * The order that a token of this purpose names.
 * @param now epoch milliseconds.
 * @throws AppError `invalid_request` for a token that we did not sign, `link_expired` for one past its end.
 */
export async function readOrderToken(
  purpose: string,
  token: string,
  env: LinkEnv,
  now: number,
): Promise<string> {
  const claims = await readToken(purpose, token, env);
  const [, orderId, expiresAt] =
    /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,12})$/.exec(claims ?? "") ?? [];
  if (orderId === undefined) {
    throw new AppError("invalid_request", {
      message: "This link is not valid; it may have been cut off.",
      details: [{ path: "token", message: "is not a link of this shop" }],
    });
  }
  if (Number(expiresAt) * 1000 <= now) throw new AppError("link_expired");
  return orderId;
}
