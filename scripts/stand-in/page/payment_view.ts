import type Stripe from "stripe";
import { type Html, html } from "../http/html.ts";
import type { Context } from "../core/context.ts";
import { MERCHANT } from "../core/merchant.ts";
import { savedCards } from "../checkout/session_customer.ts";
import type { SessionInternals } from "../checkout/session_internals.ts";
import { isOther, isRedirect, OTHER_NAMES } from "../payments/other_methods.ts";
import { addressFields, countrySelect, field } from "./form_fields_view.ts";

const BILLING_COUNTRIES =
  "AT,AU,BE,BR,CA,CH,CZ,DE,DK,ES,FI,FR,GB,GR,HK,HU,IE,IN,IT,JP,KR,LU,MX,NL,NO,NZ,PL,PT,RO,SE,SG,US,ZA".split(
    ",",
  );

function cardFields(session: Stripe.Checkout.Session): Html {
  return html`<div class="card-fields" data-method-panel="card">
<div class="field">
<label for="card_number">Card number</label>
<span class="card-input"><input id="card_number" name="card_number" inputmode="numeric" autocomplete="cc-number"
  placeholder="1234 1234 1234 1234" required aria-describedby="card_number-error"><span
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
  ...OTHER_NAMES,
  card: "Card",
  sepa_debit: "SEPA Direct Debit",
  us_bank_account: "US bank account",
};

/** What a method asks for here: a bank debit its account, the others nothing. */
function methodPanel(type: string): Html {
  if (!isOther(type)) return bankFields(type);
  const text = isRedirect(type)
    ? `You go to ${OTHER_NAMES[type]} to complete your payment, and come back here.`
    : `You pay with what ${OTHER_NAMES[type]} keeps for your e-mail address.`;
  return html`
    <div data-method-panel="${type}" hidden>
      <p class="custom-text">${text}</p>
    </div>
  `;
}

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

/** How to pay: saved cards, a new card, or a bank account. */
export function paymentSection(
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
          class="choice"><input type="radio" name="method" value="${type}" ${saved.length === 0 && index === 0
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
${types.filter((type) => type !== "card").map(methodPanel)}
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
