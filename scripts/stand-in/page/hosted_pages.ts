import type Stripe from "stripe";
import type { Html } from "../http/html.ts";
import { fullAddress } from "../core/address_fields.ts";
import { type Context, idOf, need } from "../core/context.ts";
import { MERCHANT } from "../core/merchant.ts";
import { API_VERSION } from "../core/api_version.ts";
import { ApiError, invalidRequest } from "../core/errors.ts";
import { formFromJson, type FormMap } from "../core/form.ts";
import { applyDiscount, codeProblem } from "../checkout/discounts.ts";
import { expireOnTime, recoverSession } from "../checkout/expire_session.ts";
import { endChallenge, needInternals, needOpenSession, paySession } from "../checkout/pay_session.ts";
import { linkProblem } from "../checkout/link_limits.ts";
import { openLink } from "../checkout/payment_link_session.ts";
import { withQuantity } from "../checkout/cart_input.ts";
import { savedCards } from "../checkout/session_customer.ts";
import { afterPayment } from "../checkout/ui_mode.ts";
import { withTotals } from "../checkout/totals.ts";
import { sessionOfIntent } from "../payments/intents.ts";
import { completeSetup } from "../payments/setup_intents.ts";
import { createPaymentMethod } from "../payments/payment_methods.ts";
import { isOther, OTHER_NAMES } from "../payments/other_methods.ts";
import { authorizeView, challengeDone, challengeView, receiptView } from "./challenge_view.ts";
import { checkoutView, payLabel } from "./checkout_view.ts";
import { notice, page } from "./layout.ts";
import { problemOf, readCartChange, readConfirmation } from "./shopper_input.ts";
import { summaryView } from "./summary_view.ts";
import { formatMoney } from "../core/currencies.ts";

/** Stripe.js is loaded by the name of its release, as the API version ends in it. */
const RELEASE = API_VERSION.split(".")[1] ?? "";
const ASSETS = new URL("./assets/", import.meta.url);
const ASSET_TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

type InContext = <T>(work: (context: Context) => T) => T;

/** The pages a shopper sees: checkout, the bank's challenge, recovery links, receipts. */
export class HostedPages {
  readonly #inContext: InContext;

  constructor(inContext: InContext) {
    this.#inContext = inContext;
  }

  async handle(request: Request, url: URL): Promise<Response> {
    const [, area = "", first = "", second = "", third = ""] = url.pathname.split("/");
    const call = `${request.method} ${area}`;
    try {
      if (call === "GET _page") return await asset(first);
      if (call === `GET ${RELEASE}` && first === "stripe.js") return await asset("stripe.js");
      if (call === "GET c" && first === "pay" && third === "") return this.#checkout(second);
      if (call === "GET c" && first === "embed" && third === "") return this.#embedded(second);
      if (call === "GET c" && first === "pay" && third === "state") return Response.json(this.#state(second));
      if (call === "POST c" && first === "pay" && third === "update") {
        return Response.json(this.#update(second, await readJson(request)));
      }
      if (call === "POST c" && first === "pay" && third === "confirm") {
        return Response.json(this.#confirm(second, await readJson(request)));
      }
      if (call === "GET 3ds") return this.#challenge(first);
      if (call === "POST 3ds") return this.#endChallenge(first, await request.formData(), request);
      if (call === "GET authorize") return this.#authorize(first);
      if (call === "POST authorize") return this.#endRedirect(first, await request.formData());
      if (call === "GET b") return this.#followLink(first, url.searchParams);
      if (call === "GET r") return this.#recover(first, second);
      if (call === "GET mandates") return this.#mandate(first);
      if (call === "GET receipts") return this.#receipt(first);
      if (call === "GET ") {
        return page(notice("Stripe stand-in", "This server speaks Stripe's API at /v1.", null));
      }
      return notFound();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (request.method === "POST" && area === "c") {
        return Response.json({ error: problemOf(error) }, { status: error.status });
      }
      if (error.status === 404) return notFound();
      return page(notice("Something went wrong", error.body.message, null), error.status);
    }
  }

  #checkout(id: string): Response {
    return this.#inContext((context) => {
      const seen = need(context, "checkout.session", id);
      if (seen.status === "open" && seen.expires_at <= context.now) expireOnTime(context, id);
      const session = need(context, "checkout.session", id);
      if (session.ui_mode !== "hosted_page") return notFound();
      if (session.status === "open") return page(checkoutView(context, session, needInternals(context, id)));
      return page(session.status === "complete" ? completeNotice(session) : expiredNotice(session));
    });
  }

  /** Stripe's page for a frame on the shop's page. Whoever has the secret may pay. */
  #embedded(secret: string): Response {
    return this.#inContext((context) => {
      const id = secret.split("_secret_")[0] ?? "";
      const seen = need(context, "checkout.session", id);
      if (seen.ui_mode !== "embedded_page") return notFound();
      if (seen.status === "open" && seen.expires_at <= context.now) expireOnTime(context, id);
      const session = need(context, "checkout.session", id);
      if (session.status !== "open") {
        return page(
          session.status === "complete" ? completeNotice(session) : expiredNotice(session),
          200,
          true,
        );
      }
      if (session.client_secret !== secret) return notFound();
      return page(checkoutView(context, session, needInternals(context, id)), 200, true);
    });
  }

  /** How the page's payment stands: it asks after a challenge. */
  #state(id: string): object {
    return this.#inContext((context) => {
      const session = need(context, "checkout.session", id);
      if (session.status === "complete") return { status: "complete", redirect: afterPayment(session) };
      const intent = context.store.get("payment_intent", idOf(session.payment_intent) ?? "");
      const failure = intent?.last_payment_error?.message ?? null;
      return { status: session.status, error: failure === null ? null : { message: failure, field: null } };
    });
  }

  #update(id: string, form: FormMap): object {
    const change = readCartChange(form);
    return this.#inContext((context) => {
      const { session, internals } = needOpenSession(context, id);
      let next = session;
      if (change.promotion_code !== undefined) next = withPromotion(context, session, change.promotion_code);
      if (change.remove_promotion === true && session.allow_promotion_codes === true) {
        next = { ...next, discounts: [] };
      }
      const offered = session.shipping_options.some(({ shipping_rate }) =>
        idOf(shipping_rate) === change.shipping_rate
      );
      if (change.shipping_rate !== undefined && !offered) {
        throw invalidRequest("This shipping method is not offered.", "shipping_rate");
      }
      const nextInternals = {
        ...internals,
        lines: change.line === undefined
          ? internals.lines
          : withQuantity(internals.lines, change.line, change.quantity ?? 1),
        shippingRate: change.shipping_rate ?? internals.shippingRate,
        taxAddress: change.shipping_address === undefined
          ? internals.taxAddress
          : fullAddress(change.shipping_address),
      };
      const saved = withTotals(context, next, nextInternals);
      context.store.put("checkout.session", saved);
      context.store.setInternals("session", id, nextInternals);
      return {
        summary: summaryView(context, saved, nextInternals).text,
        total: formatMoney(saved.amount_total ?? 0, saved.currency ?? "usd"),
        pay_label: payLabel(saved),
        free: saved.amount_total === 0,
      };
    });
  }

  #confirm(id: string, form: FormMap): object {
    const { details, method, savedMethod } = readConfirmation(form);
    const attempt = this.#inContext((context) =>
      paySession(
        context,
        id,
        details,
        () =>
          savedMethod === null ? createPaymentMethod(context, method) : savedCard(context, id, savedMethod),
      )
    );
    // The failed attempt is a fact by now: only its answer is an error.
    if (attempt.kind === "declined") throw attempt.error;
    if (attempt.kind === "action_required") {
      const away = attempt.intent.next_action?.redirect_to_url?.url ?? "";
      return away.includes("/authorize/")
        ? { status: "requires_action", redirect_url: away }
        : { status: "requires_action", challenge_url: `/3ds/${attempt.intent.id}` };
    }
    return { status: "complete", redirect: afterPayment(attempt.session) };
  }

  #challenge(id: string): Response {
    return this.#inContext((context) => {
      const setup = context.store.get("setup_intent", id);
      if (setup?.status === "requires_action") return page(challengeView(id, "save your card"));
      const intent = need(context, "payment_intent", id);
      if (intent.status !== "requires_action") {
        return page(notice("Nothing to verify", "This payment is not waiting for your bank.", null));
      }
      return page(
        challengeView(id, `charge ${formatMoney(intent.amount, intent.currency)}`),
        200,
        isEmbedded(sessionOfIntent(context, id)),
      );
    });
  }

  #endChallenge(id: string, form: FormData, request: Request): Response {
    const passed = form.get("outcome") === "pass";
    if (id.startsWith("seti_")) return this.#endSetup(id, passed);
    const { returnUrl, ofSession, framed } = this.#inContext((context) => {
      const back = context.store.internals("payment_intent", id)?.return_url ?? null;
      const { session } = endChallenge(context, id, passed);
      return { returnUrl: back, ofSession: session !== undefined, framed: isEmbedded(session) };
    });
    if (ofSession && request.headers.get("sec-fetch-dest") === "iframe") {
      return page(challengeDone(), 200, framed);
    }
    if (returnUrl === null) return page(challengeDone());
    const target = new URL(returnUrl);
    if (!ofSession) {
      target.searchParams.set("payment_intent", id);
      target.searchParams.set("redirect_status", passed ? "succeeded" : "failed");
    }
    return new Response(null, { status: 303, headers: { location: target.href } });
  }

  #endSetup(id: string, passed: boolean): Response {
    const returnUrl = this.#inContext((context) => {
      completeSetup(context, need(context, "setup_intent", id), passed);
      return context.store.internals("setup_intent", id)?.return_url ?? null;
    });
    if (returnUrl === null) return page(challengeDone());
    const target = new URL(returnUrl);
    target.searchParams.set("setup_intent", id);
    target.searchParams.set("redirect_status", passed ? "succeeded" : "failed");
    return new Response(null, { status: 303, headers: { location: target.href } });
  }

  #authorize(id: string): Response {
    return this.#inContext((context) => {
      const intent = need(context, "payment_intent", id);
      if (intent.status !== "requires_action") {
        return page(notice("Nothing to authorize", "This payment is over: nothing was asked of you.", null));
      }
      const { type } = need(context, "payment_method", idOf(intent.payment_method) ?? "");
      return page(authorizeView(intent, isOther(type) ? OTHER_NAMES[type] : type));
    });
  }

  /** The bank or wallet sends the shopper back to the page they left, which may be the shop's own. */
  #endRedirect(id: string, form: FormData): Response {
    const target = this.#inContext((context) => {
      const back = context.store.internals("payment_intent", id)?.return_url ?? "/";
      const { session } = endChallenge(context, id, form.get("outcome") === "pass");
      return session?.status === "complete" ? afterPayment(session, true) ?? back : back;
    });
    return new Response(null, { status: 303, headers: { location: target } });
  }

  #followLink(id: string, given: URLSearchParams): Response {
    return this.#inContext((context) => {
      const problem = linkProblem(need(context, "payment_link", id));
      if (problem !== null) return page(notice("This link is closed", problem, null));
      const session = openLink(context, id, {
        clientReferenceId: given.get("client_reference_id"),
        email: given.get("prefilled_email"),
      });
      return new Response(null, { status: 303, headers: { location: session.url ?? "/" } });
    });
  }

  #recover(id: string, token: string): Response {
    const session = this.#inContext((context) => recoverSession(context, id, token));
    return new Response(null, { status: 303, headers: { location: session.url ?? "/" } });
  }

  /** What a mandate's address shows the customer who gave it. */
  #mandate(id: string): Response {
    return this.#inContext((context) => {
      const mandate = need(context, "mandate", id);
      const reference = mandate.payment_method_details.sepa_debit?.reference ?? "";
      return page(
        notice(`Mandate ${reference}`, `You allow ${MERCHANT.name} to debit your bank account.`, null),
      );
    });
  }

  #receipt(id: string): Response {
    return this.#inContext((context) => page(receiptView(need(context, "charge", id))));
  }
}

function isEmbedded(session: Stripe.Checkout.Session | undefined): boolean {
  return session?.ui_mode === "embedded_page";
}

function withPromotion(
  context: Context,
  session: Stripe.Checkout.Session,
  code: string,
): Stripe.Checkout.Session {
  if (session.allow_promotion_codes !== true) {
    throw invalidRequest("This shop takes no promotion codes here.");
  }
  const typed = code.trim().toLowerCase();
  const matching = context.store.all("promotion_code").filter((one) => one.code.toLowerCase() === typed);
  const found = matching.find(({ active }) => active) ?? matching[0];
  const problem = codeProblem(context, found, session);
  if (problem !== null || found === undefined) {
    throw invalidRequest(problem ?? "This code is invalid.", "promotion_code");
  }
  return applyDiscount(context, session, { promotion_code: found.id });
}

/** A saved card, if it is one the page of this session offers. */
function savedCard(context: Context, sessionId: string, id: string): Stripe.PaymentMethod {
  const session = need(context, "checkout.session", sessionId);
  const card = savedCards(context, session).find((method) => method.id === id);
  if (card === undefined) throw invalidRequest("This card is not saved here.", "saved_method");
  return card;
}

function completeNotice(session: Stripe.Checkout.Session): Html {
  const href = session.success_url === null ? null : afterPayment(session);
  return notice(
    "You're all done here",
    "You've already completed this payment.",
    href === null ? null : { href, label: "Return to the shop" },
  );
}

function expiredNotice(session: Stripe.Checkout.Session): Html {
  const recovery = session.after_expiration?.recovery?.url ?? null;
  if (recovery !== null) {
    return notice("This checkout has expired", "Your cart is still there.", {
      href: recovery,
      label: "Check out again",
    });
  }
  return notice(
    "This checkout has expired",
    "You have not been charged.",
    session.cancel_url === null ? null : { href: session.cancel_url, label: "Return to the shop" },
  );
}

function notFound(): Response {
  return page(notice("Page not found", "The page you were looking for could not be found.", null), 404);
}

async function asset(name: string): Promise<Response> {
  const type = /^[a-z_]+\.(css|js)$/.test(name) ? ASSET_TYPES[name.split(".")[1] ?? ""] : undefined;
  if (type === undefined) return notFound();
  try {
    return new Response(await Deno.readFile(new URL(name, ASSETS)), {
      headers: { "content-type": type, "cache-control": "no-cache", "x-content-type-options": "nosniff" },
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return notFound();
    throw error;
  }
}

async function readJson(request: Request): Promise<FormMap> {
  // A form on another site cannot send this type without being asked first.
  if (!(request.headers.get("content-type") ?? "").startsWith("application/json")) {
    throw invalidRequest("The page sends JSON.");
  }
  let value: unknown;
  try {
    value = JSON.parse(await request.text());
  } catch {
    throw invalidRequest("The page sends JSON.");
  }
  const form = formFromJson(value);
  if (typeof form === "string" || Array.isArray(form)) throw invalidRequest("The page sends a JSON object.");
  return form;
}
