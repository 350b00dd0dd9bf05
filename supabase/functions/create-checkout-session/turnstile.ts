/**
 * Cloudflare Turnstile, optional: with CHECKOUT_TURNSTILE_SECRET set, a checkout needs the token of a solved
 * widget (https://developers.cloudflare.com/turnstile/get-started/server-side-validation/).
 */
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import type { Logger } from "../_shared/log.ts";

export interface TurnstileDeps {
  env: Pick<Env, "checkout">;
  fetch: typeof fetch;
  log: Logger;
}

const timeoutMs = 2_000;

/**
 * Checks the token, if the shop uses Turnstile. While Cloudflare cannot be asked, shoppers pass: rate limits and
 * velocity rules still stand, and an outage of the check must not close the shop.
 * @throws AppError `invalid_request` at `turnstile_token`.
 */
export async function checkTurnstile(
  token: string | null,
  address: string | null,
  idempotencyKey: string | null,
  { env, fetch, log }: TurnstileDeps,
): Promise<void> {
  const { turnstile } = env.checkout;
  if (turnstile === null) return;
  if (token === null) throw refused("is required");
  const form = new FormData();
  form.set("secret", turnstile.secret);
  form.set("response", token);
  if (address !== null) form.set("remoteip", address);
  // A token is good for one check; with this, a repeated request may present it again.
  if (idempotencyKey !== null) form.set("idempotency_key", await uuidOf(`${idempotencyKey}|${token}`));

  let verdict: { success?: unknown };
  try {
    const response = await fetch(turnstile.url, {
      method: "POST",
      body: form,
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    verdict = await response.json();
  } catch (error) {
    log.warn("turnstile_unavailable", { error });
    return;
  }
  if (verdict?.success !== true) throw refused("was not accepted; solve the check again");
}

function refused(message: string): AppError {
  return new AppError("invalid_request", { details: [{ path: "turnstile_token", message }] });
}

/** A UUID that is always the same for the same text. */
async function uuidOf(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const hex = [...digest.slice(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");
}
