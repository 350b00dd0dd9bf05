import type Stripe from "stripe";
import { type Html, html } from "../http/html.ts";
import { type Context, idOf } from "../core/context.ts";
import { MERCHANT } from "../core/merchant.ts";
import type { SessionInternals } from "../checkout/session_internals.ts";
import { TAX_ID_FORMATS } from "../checkout/business.ts";
import { document, footer } from "./layout.ts";
import { addressFields, field } from "./form_fields_view.ts";
import { paymentSection } from "./payment_view.ts";
import { summaryView } from "./summary_view.ts";
import { formatMoney } from "../core/currencies.ts";
import { offeredCurrencies } from "../payments/presentment.ts";

function contactSection(session: Stripe.Checkout.Session): Html {
  const known = session.customer_details?.email ?? null;
  return html`<section aria-labelledby="contact-title">
<h2 id="contact-title">Contact information</h2>
${
    field({
      name: "email",
      label: "Email",
      type: "email",
      inputmode: "email",
      autocomplete: "email",
      placeholder: "email@example.com",
      value: known ?? "",
      readonly: known !== null,
    })
  }
${
    session.phone_number_collection?.enabled === true
      ? field({
        name: "phone",
        label: "Phone number",
        type: "tel",
        inputmode: "tel",
        autocomplete: "tel",
        maxlength: 20,
      })
      : null
  }
</section>`;
}

function deliverySection(session: Stripe.Checkout.Session): Html | null {
  const collection = session.shipping_address_collection;
  if (collection === null) return null;
  const note = session.custom_text.shipping_address?.message;
  return html`<section aria-labelledby="delivery-title">
<h2 id="delivery-title">Shipping address</h2>
${field({ name: "shipping_name", label: "Full name", autocomplete: "shipping name" })}
${addressFields("shipping", collection.allowed_countries)}
${note === undefined ? null : html`<p class="custom-text">${note}</p>`}
</section>`;
}

function estimateText(rate: Stripe.ShippingRate): string {
  const { minimum, maximum } = rate.delivery_estimate ?? { minimum: null, maximum: null };
  const most = maximum ?? minimum;
  if (most === null) return "";
  const unit = `${most.unit.replace("_", " ")}${most.value === 1 ? "" : "s"}`;
  if (minimum === null) return `Up to ${most.value} ${unit}`;
  if (maximum === null) return `At least ${most.value} ${unit}`;
  return minimum.value === maximum.value
    ? `${most.value} ${unit}`
    : `${minimum.value}–${maximum.value} ${unit}`;
}

function shippingSection(
  context: Context,
  session: Stripe.Checkout.Session,
  internals: SessionInternals,
): Html | null {
  if (session.shipping_options.length === 0) return null;
  const rates = session.shipping_options.map(({ shipping_rate }) =>
    context.store.get("shipping_rate", idOf(shipping_rate) ?? "")
  )
    .filter((rate) => rate !== undefined);
  return html`<fieldset class="choices">
<legend>Shipping method</legend>
${
    rates.map((rate) =>
      html`
        <label
          class="choice"><input type="radio" name="shipping_rate" value="${rate
            .id}" ${rate.id === internals.shippingRate
            ? html`checked`
            : null}><span class="choice-text"><span>${rate.display_name ??
            "Shipping"}</span><span class="line-note">${estimateText(
              rate,
            )}</span></span><span>${(rate.fixed_amount?.amount ?? 0) === 0 ? "Free" : formatMoney(
              rate.fixed_amount?.amount ?? 0,
              rate.fixed_amount?.currency ?? "usd",
            )}</span></label>
      `
    )
  }
</fieldset>`;
}

/** Company and tax id of a business buyer; nothing where the session does not ask. */
function businessSection(session: Stripe.Checkout.Session): Html | null {
  if (session.tax_id_collection?.enabled !== true) return null;
  return html`<section aria-labelledby="business-title">
<h2 id="business-title">Purchasing as a business</h2>
${field({ name: "business_name", label: "Business name", autocomplete: "organization", required: false })}
<div class="field"><label for="tax_id_type">Kind of tax ID</label>
<select id="tax_id_type" name="tax_id_type">${
    Object.keys(TAX_ID_FORMATS).map((type) =>
      html`<option value="${type}">${type.replace("_", " ")}</option>`
    )
  }</select></div>
${field({ name: "tax_id", label: "Tax ID", autocomplete: "off", required: false })}
</section>`;
}

/** The currencies to pay in; nothing where there is one. */
function currencySection(session: Stripe.Checkout.Session, internals: SessionInternals): Html | null {
  const offered = offeredCurrencies(session, internals.paymentIntentData.capture_method);
  if (offered.length === 1) return null;
  return html`<div class="field"><label for="currency">Pay in</label>
<select id="currency" name="currency">${
    offered.map((code) => html`<option value="${code}">${code.toUpperCase()}</option>`)
  }</select></div>`;
}

function consent(session: Stripe.Checkout.Session): Html {
  const terms = session.custom_text.terms_of_service_acceptance?.message ??
    `I agree to ${MERCHANT.name}'s Terms of Service and Privacy Policy`;
  return html`${
    session.consent_collection?.terms_of_service === "required"
      ? html`
        <div
          class="field"><label class="check"><input type="checkbox" id="terms" name="terms" required aria-describedby="terms-error"><span>${terms}</span></label>
        <p class="field-error" id="terms-error" aria-live="polite"></p></div>
      `
      : null
  }${
    session.consent_collection?.promotions === "auto"
      ? html`
        <label
          class="check"><input type="checkbox" name="promotions"><span>Keep me up to date with news and personalized offers</span></label>
      `
      : null
  }`;
}

const VERBS: Record<string, string> = { book: "Book", donate: "Donate", subscribe: "Subscribe" };

/** The words on the button. */
export function payLabel(session: Stripe.Checkout.Session): string {
  const amount = session.amount_total ?? 0;
  if (amount === 0) return "Place order";
  const verb = VERBS[session.submit_type ?? "auto"] ?? "Pay";
  return `${verb} ${formatMoney(amount, session.currency ?? "usd")}`;
}

/** What to say to a shopper who comes back from a bank or wallet without having paid. */
function cameBack(context: Context, session: Stripe.Checkout.Session): string {
  const intent = context.store.get("payment_intent", idOf(session.payment_intent) ?? "");
  const error = intent?.last_payment_error ?? null;
  return error === null || error.payment_method?.type === "card" ? "" : error.message ?? "";
}

/** The page of an open session. */
export function checkoutView(
  context: Context,
  session: Stripe.Checkout.Session,
  internals: SessionInternals,
): Html {
  const back = session.cancel_url === null
    ? html`<span class="shop">${MERCHANT.name}</span>`
    : html`<a class="shop" href="${session.cancel_url}" aria-label="Back to ${MERCHANT.name}"><span class="arrow"
  aria-hidden="true">←</span>${MERCHANT.name}</a>`;
  const note = session.custom_text.submit?.message;
  return document(
    `Checkout · ${MERCHANT.name}`,
    html`<body class="checkout" data-session="${session.id}" ${
      session.ui_mode === "embedded_page" ? html`data-embedded` : null
    }>
<div class="columns">
<aside class="side" aria-label="Order">
<header class="head">${back}<span class="badge">Test mode</span></header>
<h1 class="pay-caption">Pay ${MERCHANT.name}</h1>
<p class="pay-total" data-total aria-live="polite">${
      formatMoney(session.amount_total ?? 0, session.currency ?? "usd")
    }</p>
<div id="summary">${summaryView(context, session, internals)}</div>
</aside>
<main class="form-side">
<form id="checkout" novalidate autocomplete="on">
${contactSection(session)}
${deliverySection(session)}
${shippingSection(context, session, internals)}
<div data-payment ${session.amount_total === 0 ? html`hidden` : null}>${
      paymentSection(context, session, internals)
    }</div>
${businessSection(session)}
${currencySection(session, internals)}
${consent(session)}
<p class="message" role="alert" id="message">${cameBack(context, session)}</p>
<button class="pay" type="submit" data-state="idle"><span class="pay-label">${payLabel(session)}</span><span
  class="spinner" aria-hidden="true"></span><span class="tick" aria-hidden="true">✓</span></button>
${note === undefined ? null : html`<p class="custom-text">${note}</p>`}
</form>
<noscript><p class="message">This page needs JavaScript.</p></noscript>
</main>
</div>
<dialog id="challenge" aria-label="Verify your payment"><iframe title="Your bank's verification page"></iframe><form
  method="dialog"><button class="close" aria-label="Cancel the verification">×</button></form></dialog>
${footer()}
</body>`,
    "checkout.js",
  );
}
