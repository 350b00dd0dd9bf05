/** Where Stripe sends the shopper back to: only ever to our own origins. */
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";
import type { PaymentPage } from "./session_params.ts";

/** Stripe replaces this with the session's id. */
const placeholder = "{CHECKOUT_SESSION_ID}";
/** Stripe takes 5 000 characters; the session id comes on top. */
const urlLength = 4_900;

export type ReturnUrlEnv = Pick<Env, "allowedOrigins" | "siteUrl">;

/** What a request says of the page it wants; null where it says nothing. */
export interface WantedPage {
  uiMode: PaymentPage["ui_mode"];
  successUrl: string | null;
  cancelUrl: string | null;
  returnUrl: string | null;
}

/**
 * The page that a request wants, with every address checked. Whoever has paid comes back with
 * `session_id={CHECKOUT_SESSION_ID}` in the query.
 * @throws AppError `invalid_request` or `origin_not_allowed`.
 */
export function paymentPage(wanted: WantedPage, env: ReturnUrlEnv): PaymentPage {
  if (wanted.uiMode !== "hosted_page") {
    return { ui_mode: wanted.uiMode, return_url: doneUrl(wanted.returnUrl, "return_url", env) };
  }
  return {
    ui_mode: "hosted_page",
    success_url: doneUrl(wanted.successUrl, "success_url", env),
    cancel_url: cancelUrl(wanted.cancelUrl, env),
  };
}

/** The page that a mail's link leads to: Stripe's own, since the link is opened outside of the shop. */
export function pageOfLink(env: ReturnUrlEnv): PaymentPage {
  return paymentPage({ uiMode: "hosted_page", successUrl: null, cancelUrl: null, returnUrl: null }, env);
}

/** Where the shopper is after paying: the address that Stripe makes of the page's template. */
export function doneUrlOf(sessionId: string, page: PaymentPage): string {
  const template = page.ui_mode === "hosted_page" ? page.success_url : page.return_url;
  return template.replaceAll(placeholder, sessionId);
}

function doneUrl(given: string | null, field: string, env: ReturnUrlEnv): string {
  const url = checkedUrl(given ?? `${env.siteUrl}/success`, given === null ? null : field, env);
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

/** The URL behind Stripe's back button. */
function cancelUrl(given: string | null, env: ReturnUrlEnv): string {
  return checkedUrl(given ?? `${env.siteUrl}/cancelled`, given === null ? null : "cancel_url", env).href;
}

/** The shop's page that offers to go on with the order of a resume link, and posts its `token` when asked to. */
export function resumeUrl(token: string, { siteUrl }: Pick<Env, "siteUrl">): string {
  const url = new URL(`${siteUrl}/resume`);
  url.searchParams.set("token", token);
  return url.href;
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
