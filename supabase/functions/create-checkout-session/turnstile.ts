/**
 * Cloudflare Turnstile, optional: with CHECKOUT_TURNSTILE_SECRET set, a checkout needs the token of a solved
 * widget (https://developers.cloudflare.com/turnstile/get-started/server-side-validation/).
 */
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import type { Logger } from "../_shared/log.ts";
import { sha256 } from "../_shared/text/sha256.ts";

export interface TurnstileDeps {
  env: Pick<Env, "checkout" | "allowedOrigins" | "siteUrl">;
  fetch: typeof fetch;
  log: Logger;
}

/** Whose token it is: the check of a repeated request may be repeated, but only for the same shopper. */
export interface TurnstileRequest {
  token: string | null;
  address: string | null;
  userId: string | null;
  idempotencyKey: string | null;
}

interface Verdict {
  success: boolean;
  "error-codes"?: unknown;
  hostname?: unknown;
  action?: unknown;
  metadata?: unknown;
}

const timeoutMs = 2_000;
/** What the widget may call itself; a token that was solved for something else pays for no checkout. */
const actionOfCheckout = "checkout";
/** What Cloudflare says when it is its own trouble or ours, and not the shopper's. */
const notOfShopper = ["internal-error", "missing-input-secret", "invalid-input-secret"];

/**
 * Checks the token, if the shop uses Turnstile. While Cloudflare cannot be asked, shoppers pass: rate limits and
 * velocity rules still stand, and an outage of the check must not close the shop. A verdict counts whatever status it
 * comes with.
 * @throws AppError `invalid_request` at `turnstile_token`.
 */
export async function checkTurnstile(request: TurnstileRequest, deps: TurnstileDeps): Promise<void> {
  const { turnstile } = deps.env.checkout;
  if (turnstile === null) return;
  const { token } = request;
  if (token === null) throw refused("is required");
  const verdict = await ask(token, request, turnstile, deps);
  if (verdict === null) return;
  if (!verdict.success) {
    const codes = Array.isArray(verdict["error-codes"]) ? verdict["error-codes"] : [];
    if (!codes.some((code) => notOfShopper.includes(code))) {
      throw refused("was not accepted; solve the check again");
    }
    deps.log.error("turnstile_not_usable", { codes });
    return;
  }
  if (!isOfThisShop(verdict, deps.env)) throw refused("was solved for another site or purpose");
}

/** The verdict, or null while there is none to be had. */
async function ask(
  token: string,
  { address, userId, idempotencyKey }: TurnstileRequest,
  turnstile: { secret: string; url: string },
  { fetch, log }: TurnstileDeps,
): Promise<Verdict | null> {
  const form = new FormData();
  form.set("secret", turnstile.secret);
  form.set("response", token);
  if (address !== null) form.set("remoteip", address);
  // A token is good for one check; with this, a repeated request of the same shopper may present it again.
  if (idempotencyKey !== null) {
    form.set("idempotency_key", await uuidOf(`${userId ?? "guest"}|${idempotencyKey}|${token}`));
  }
  try {
    const response = await fetch(turnstile.url, {
      method: "POST",
      body: form,
      signal: AbortSignal.timeout(timeoutMs),
    });
    const verdict = verdictOf(await response.json().catch(() => null));
    if (verdict !== null) return verdict;
    // Cloudflare has read the request and does not like it; everything else says nothing of the token.
    if (response.status === 400 || response.status === 422) return { success: false };
    throw new Error(`status ${response.status} without a verdict`);
  } catch (error) {
    log.warn("turnstile_unavailable", { error });
    return null;
  }
}

/** Only `true` is a success. Null where there is no verdict in the answer. */
function verdictOf(answer: unknown): Verdict | null {
  if (typeof answer !== "object" || answer === null || !("success" in answer)) return null;
  return { ...answer, success: answer.success === true };
}

function isOfThisShop(
  { hostname, action, metadata }: Verdict,
  { allowedOrigins, siteUrl }: TurnstileDeps["env"],
) {
  // Cloudflare's test keys name a site of their own.
  const test = typeof metadata === "object" && metadata !== null && "result_with_testing_key" in metadata &&
    metadata.result_with_testing_key === true;
  const hosts = [...allowedOrigins, siteUrl].map((url) => new URL(url).hostname);
  const ofSite = test || typeof hostname !== "string" || hostname === "" || hosts.includes(hostname);
  const ofPurpose = test || typeof action !== "string" || action === "" || action === actionOfCheckout;
  return ofSite && ofPurpose;
}

function refused(message: string): AppError {
  return new AppError("invalid_request", { details: [{ path: "turnstile_token", message }] });
}

/** A UUID that is always the same for the same text. */
async function uuidOf(text: string): Promise<string> {
  const hex = (await sha256(text)).slice(0, 32);
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");
}
