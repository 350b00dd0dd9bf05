/** How a session is shown: on Stripe's page, as Stripe's page inside the shop's, or as elements on the shop's page. */
import type Stripe from "stripe";
import type { Context } from "../core/context.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import type { SessionCreate } from "./session_params.ts";

type UiMode = "elements" | "embedded_page" | "hosted_page";

/** What each mode does not take, in the words of Stripe's reference of the parameters. */
const REFUSED: Record<UiMode, readonly (keyof SessionCreate)[]> = {
  hosted_page: ["redirect_on_completion", "return_url"],
  embedded_page: ["cancel_url", "success_url"],
  elements: [
    "after_expiration",
    "branding_settings",
    "cancel_url",
    "custom_text",
    "origin_context",
    "redirect_on_completion",
    "submit_type",
    "success_url",
  ],
};

/** The mode that is asked for; refuses what does not go with it. */
export function readUiMode(params: SessionCreate): UiMode {
  const mode = params.ui_mode ?? "hosted_page";
  if (mode === "form") throw unsupported("Checkout Sessions with ui_mode `form`");
  const refused = REFUSED[mode].filter((name) => params[name] !== undefined);
  if (refused.length > 0) {
    throw invalidRequest(
      `The following parameters are not supported with 'ui_mode: ${mode}': ${refused.join(", ")}.`,
      refused[0],
    );
  }
  if (mode === "hosted_page") {
    requireUrl(params, "success_url");
    return mode;
  }
  if (mode === "embedded_page" && params.after_expiration !== undefined) {
    throw unsupported("`after_expiration` of Checkout Sessions with ui_mode `embedded_page`");
  }
  if (params.redirect_on_completion !== "never") requireUrl(params, "return_url");
  else if (params.return_url !== undefined) {
    throw invalidRequest(
      "`return_url` can not be set when `redirect_on_completion` is `never`.",
      "return_url",
    );
  }
  return mode;
}

function requireUrl(params: SessionCreate, name: "return_url" | "success_url"): void {
  if (params[name] === undefined) {
    throw invalidRequest(`Missing required param: ${name}.`, name, "parameter_missing");
  }
}

/** What a session says of where it is paid. */
export function placeOf(
  context: Context,
  id: string,
  mode: UiMode,
  params: SessionCreate,
): Pick<
  Stripe.Checkout.Session,
  "client_secret" | "redirect_on_completion" | "return_url" | "ui_mode" | "url"
> {
  if (mode === "hosted_page") {
    return { client_secret: null, ui_mode: mode, url: `${context.baseUrl}/c/pay/${id}` };
  }
  return {
    client_secret: `${id}_${newId("client_secret")}`,
    ...(mode === "embedded_page"
      ? { redirect_on_completion: params.redirect_on_completion ?? "always" }
      : {}),
    ...(params.return_url === undefined ? {} : { return_url: params.return_url }),
    ui_mode: mode,
    url: null,
  };
}

/** A session that is no longer open can be paid nowhere. */
export const CLOSED = { client_secret: null, url: null } as const;

/** Where a shopper goes after paying; null: the page of the shop goes on by itself. */
export function afterPayment(session: Stripe.Checkout.Session, byRedirect = false): string | null {
  const stays = session.redirect_on_completion === "never" ||
    (session.redirect_on_completion === "if_required" && !byRedirect);
  const target = session.ui_mode === "hosted_page"
    // A payment link may end with Stripe's own page.
    ? session.success_url ?? `/c/pay/${session.id}`
    : stays
    ? null
    : session.return_url;
  return target?.replaceAll("{CHECKOUT_SESSION_ID}", session.id) ?? null;
}
