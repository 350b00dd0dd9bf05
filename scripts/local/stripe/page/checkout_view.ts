import type Stripe from "stripe";
import { type Html, html } from "../../web/html.ts";
import { type Context, idOf } from "../core/context.ts";
import { MERCHANT } from "../core/merchant.ts";
import { formatMoney } from "../core/money.ts";
import type { SessionInternals } from "../checkout/session_internals.ts";
import { savedCards } from "../checkout/session_customer.ts";
import { document, footer } from "./layout.ts";
import { summaryView } from "./summary_view.ts";

const BILLING_COUNTRIES =
  "AT,AU,BE,BR,CA,CH,CZ,DE,DK,ES,FI,FR,GB,GR,HK,HU,IE,IN,IT,JP,KR,LU,MX,NL,NO,NZ,PL,PT,RO,SE,SG,US,ZA".split(
    ",",
  );

const countryNames = new Intl.DisplayNames("en", { type: "region" });

interface FieldOptions {
  name: string;
  label: string;
  autocomplete: string;
  type?: string;
  inputmode?: string;
  placeholder?: string;
  value?: string;
  required?: boolean;
  maxlength?: number;
  className?: string;
  readonly?: boolean;
}

function field(options: FieldOptions): Html {
  const required = options.required !== false;
  return html`
    <div class="field ${options.className ?? ""}">
      <label for="${options.name}">${options.label}${required ? null : html`
        <span class="optional">optional</span>
      `}</label>
      <input id="${options.name}" name="${options.name}" type="${options.type ??
        "text"}" value="${options.value ?? ""}"
        autocomplete="${options.autocomplete}" inputmode="${options.inputmode ??
          "text"}" placeholder="${options.placeholder ?? ""}"
        maxlength="${options.maxlength ?? 200}" ${required
          ? html`required`
          : null} ${options.readonly === true ? html`readonly` : null}
        aria-describedby="${options.name}-error">
      <p class="field-error" id="${options.name}-error" aria-live="polite"></p>
    </div>
  `;
}

function countrySelect(name: string, countries: readonly string[], autocomplete: string): Html {
  const sorted = countries.map((code) => ({ code, label: countryNames.of(code) ?? code }))
    .sort((a, b) => a.label.localeCompare(b.label));
  const chosen = countries.includes("US") ? "US" : countries[0] ?? "US";
  return html`
    <div class="field">
      <label for="${name}">Country or region</label>
      <select id="${name}" name="${name}" autocomplete="${autocomplete}">
    ${sorted.map(({ code, label }) =>
      html`<option value="${code}" ${code === chosen ? html`selected` : null}>${label}</option>`
    )}
      </select>
    </div>
  `;
}

function addressFields(prefix: "billing" | "shipping", countries: readonly string[]): Html {
  return html`${countrySelect(`${prefix}_country`, countries, `${prefix} country`)}
${
    field({
      name: `${prefix}_line1`,
      label: "Address line 1",
      autocomplete: `${prefix} address-line1`,
      placeholder: "Street and number",
    })
  }
${
    field({
      name: `${prefix}_line2`,
      label: "Apartment, suite",
      autocomplete: `${prefix} address-line2`,
      required: false,
    })
  }
<div class="pair">
${field({ name: `${prefix}_city`, label: "City", autocomplete: `${prefix} address-level2` })}
${
    field({
      name: `${prefix}_state`,
      label: "State",
      autocomplete: `${prefix} address-level1`,
      required: false,
    })
  }
</div>
${
    field({
      name: `${prefix}_postal_code`,
      label: "ZIP code",
      autocomplete: `${prefix} postal-code`,
      maxlength: 12,
    })
  }`;
}

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
  const unit = (maximum ?? minimum)?.unit.replace("_", " ") ?? "";
  if (minimum !== null && maximum !== null) return `${minimum.value}–${maximum.value} ${unit}s`;
  if (maximum !== null) return `Up to ${maximum.value} ${unit}s`;
  if (minimum !== null) return `At least ${minimum.value} ${unit}s`;
  return "";
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

function cardFields(session: Stripe.Checkout.Session): Html {
  return html`<div class="card-fields" data-method-panel="card">
<div class="field">
<label for="card_number">Card number</label>
<span class="card-input"><input id="card_number" name="card_number" inputmode="numeric" autocomplete="cc-number"
  placeholder="1234 1234 1234 1234" maxlength="23" required aria-describedby="card_number-error"><span
  class="brand" data-brand="unknown" aria-hidden="true"></span></span>
<p class="field-error" id="card_number-error" aria-live="polite"></p>
</div>
<div class="pair">
${
    field({
      name: "card_expiry",
      label: "Expiration date",
      autocomplete: "cc-exp",
      inputmode: "numeric",
      placeholder: "MM / YY",
      maxlength: 9,
    })
  }
${
    field({
      name: "card_cvc",
      label: "Security code",
      autocomplete: "cc-csc",
      inputmode: "numeric",
      placeholder: "CVC",
      maxlength: 4,
    })
  }
</div>
${
    field({
      name: "name",
      label: "Cardholder name",
      autocomplete: "cc-name",
      placeholder: "Full name on card",
    })
  }
${billingFields(session)}
</div>`;
}

function billingFields(session: Stripe.Checkout.Session): Html {
  const full = session.billing_address_collection === "required" || session.automatic_tax.enabled;
  const ships = session.shipping_address_collection !== null;
  const same = ships
    ? html`
      <label
        class="check"><input type="checkbox" name="billing_same" checked><span>Billing address is the same as shipping</span></label>
    `
    : null;
  const fields = full ? addressFields("billing", BILLING_COUNTRIES) : html`<div class="pair">
${countrySelect("billing_country", BILLING_COUNTRIES, "billing country")}
${
    field({
      name: "billing_postal_code",
      label: "ZIP code",
      autocomplete: "billing postal-code",
      maxlength: 12,
    })
  }
</div>`;
  return html`${same}<div data-billing ${ships ? html`hidden` : null}>${fields}</div>`;
}

const METHOD_NAMES: Record<string, string> = {
  card: "Card",
  sepa_debit: "SEPA Direct Debit",
  us_bank_account: "US bank account",
};

function bankFields(type: string): Html {
  const input = type === "sepa_debit"
    ? field({
      name: "iban",
      label: "IBAN",
      autocomplete: "off",
      placeholder: "DE89 3704 0044 0532 0130 00",
      maxlength: 42,
    })
    : html`<div class="pair">
${
      field({
        name: "routing_number",
        label: "Routing number",
        autocomplete: "off",
        inputmode: "numeric",
        value: "110000000",
        maxlength: 9,
      })
    }
${
      field({
        name: "account_number",
        label: "Account number",
        autocomplete: "off",
        inputmode: "numeric",
        placeholder: "000123456789",
        maxlength: 20,
      })
    }
</div>`;
  return html`<div data-method-panel="${type}" hidden>
${field({ name: `${type}_name`, label: "Account holder name", autocomplete: "name" })}
${input}
<p class="custom-text">By confirming, you allow ${MERCHANT.name} to debit this account once. The payment takes a while to settle.</p>
</div>`;
}

const BRAND_NAMES: Record<string, string> = { amex: "American Express", jcb: "JCB", unionpay: "UnionPay" };

function savedChoice(method: Stripe.PaymentMethod, checked: boolean): Html {
  const { brand = "", last4 = "", exp_month = 0, exp_year = 0 } = method.card ?? {};
  const name = BRAND_NAMES[brand] ?? brand.slice(0, 1).toUpperCase() + brand.slice(1);
  return html`
    <label
      class="choice"><input type="radio" name="method" value="card" data-saved="${method.id}" ${checked
        ? html`checked`
        : null}><span class="choice-text"><span>${name} •••• ${last4}</span><span class="line-note">Expires ${String(
          exp_month,
        ).padStart(2, "0")}/${exp_year % 100}</span></span></label>
  `;
}

function paymentSection(
  context: Context,
  session: Stripe.Checkout.Session,
  internals: SessionInternals,
): Html {
  const types = session.payment_method_types;
  const saved = types.includes("card") ? savedCards(context, session) : [];
  const choice = types.length + saved.length < 2 ? null : html`<fieldset class="choices methods">
<legend class="visually-hidden">Payment method</legend>
${saved.map((method, index) => savedChoice(method, index === 0))}
${
    types.map((type, index) =>
      html`
        <label
          class="choice"><input type="radio" name="method" value="${type}" ${index === 0
            ? html`checked`
            : null}><span class="choice-text"><span>${METHOD_NAMES[type] ?? type}</span></span></label>
      `
    )
  }
</fieldset>`;
  return html`<section aria-labelledby="payment-title">
<h2 id="payment-title">Payment method</h2>
${choice}
${types.includes("card") ? cardFields(session) : null}
${types.filter((type) => type !== "card").map(bankFields)}
${
    internals.offersSaving
      ? html`
        <label class="check"
          data-save><input type="checkbox" name="save"><span>Save my payment details for next time</span></label>
      `
      : null
  }
</section>`;
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
    html`<body class="checkout" data-session="${session.id}">
<div class="columns">
<aside class="side" aria-label="Order">
<header class="head">${back}<span class="badge">Test mode</span></header>
<p class="pay-caption">Pay ${MERCHANT.name}</p>
<p class="pay-total" data-total>${formatMoney(session.amount_total ?? 0, session.currency ?? "usd")}</p>
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
${consent(session)}
<p class="message" role="alert" id="message"></p>
<button class="pay" type="submit" data-state="idle"><span class="pay-label">${payLabel(session)}</span><span
  class="spinner" aria-hidden="true"></span><span class="tick" aria-hidden="true">✓</span></button>
${note === undefined ? null : html`<p class="custom-text">${note}</p>`}
</form>
<noscript><p class="message">This page needs JavaScript.</p></noscript>
</main>
</div>
<dialog id="challenge" aria-label="Verify your payment"><iframe title="Your bank's verification page"></iframe></dialog>
${footer()}
</body>`,
    "checkout.js",
  );
}
