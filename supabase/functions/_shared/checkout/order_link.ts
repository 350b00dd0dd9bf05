/** Links to the page of an order. A token names the order and its own end, and shows what `order-status` answers. */
import type { LinkEnv } from "../auth/signed_link.ts";
import { orderToken, readOrderToken } from "./order_token.ts";

/** As long as a shopper may come back to a mail: a parcel that is late, a return, a refund that takes its time. */
export const linkDays = 90;
const purpose = "order-page/1";

/**
 * The token of a link to an order's page.
 * @param now epoch milliseconds.
 */
export function orderPageToken(orderId: string, env: LinkEnv, now: number): Promise<string> {
  return orderToken(purpose, orderId, Math.floor(now / 1000) + linkDays * 86_400, env);
}

/**
 * The order whose page a token shows.
 * @param now epoch milliseconds.
 * @throws AppError `invalid_request` for a token that we did not sign, `link_expired` for one past its end.
 */
export function readOrderPageToken(token: string, env: LinkEnv, now: number): Promise<string> {
  return readOrderToken(purpose, token, env, now);
}
