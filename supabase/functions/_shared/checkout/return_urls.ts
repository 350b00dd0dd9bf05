/** Where Stripe sends the shopper back to: only ever to our own origins. */
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";

/** Stripe replaces this with the session's id. */
const placeholder = "{CHECKOUT_SESSION_ID}";
/** Stripe takes 5 000 characters; the session id comes on top. */
const urlLength = 4_900;

export type ReturnUrlEnv = Pick<Env, "allowedOrigins" | "siteUrl">;

/**
 * The success URL with `session_id={CHECKOUT_SESSION_ID}` in its query.
 * @throws AppError `invalid_request` or `origin_not_allowed`.
 */
export function successUrl(given: string | null, env: ReturnUrlEnv): string {
  const url = checkedUrl(given ?? `${env.siteUrl}/success`, given === null ? null : "success_url", env);
  // Written by hand: with encoded braces, Stripe would not find its placeholder.
  const others = url.search.slice(1).split("&").filter((pair) =>
    pair !== "" && !pair.startsWith("session_id=")
  );
  url.search = "";
  const { hash } = url;
  url.hash = "";
  const page = url.href.replaceAll(encodeURI(placeholder), placeholder);
  return `${page}?${[...others, `session_id=${placeholder}`].join("&")}${hash}`;
}

/**
 * The URL behind Stripe's back button.
 * @throws AppError `invalid_request` or `origin_not_allowed`.
 */
export function cancelUrl(given: string | null, env: ReturnUrlEnv): string {
  return checkedUrl(given ?? `${env.siteUrl}/cancelled`, given === null ? null : "cancel_url", env).href;
}

/** The shop's page that offers to go on with the order of a resume link, and posts its `token` when asked to. */
export function resumeUrl(token: string, { siteUrl }: Pick<Env, "siteUrl">): string {
  const url = new URL(`${siteUrl}/resume`);
  url.searchParams.set("token", token);
  return url.href;
}

/** The success URL of a session that is known already. */
export function successUrlFor(sessionId: string, template: string): string {
  return template.replaceAll(placeholder, sessionId);
}

function checkedUrl(value: string, field: string | null, env: ReturnUrlEnv): URL {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw new AppError("invalid_request", {
      details: [{ path: field, message: "must be an absolute web address" }],
    });
  }
  // What is not ASCII has become three or more characters each.
  if (url.href.length > urlLength) {
    throw new AppError("invalid_request", { details: [{ path: field, message: "is too long" }] });
  }
  // SITE_URL is the shop's own setting; only what a caller names is held against the list.
  if (field !== null && !env.allowedOrigins.includes(url.origin)) {
    throw new AppError("origin_not_allowed", {
      message: "The shopper may only be sent back to the shop.",
      details: [{ path: field, message: "must be on one of the shop's origins" }],
    });
  }
  return url;
}
