import type Stripe from "stripe";
import { type Html, html } from "../http/html.ts";
import { type Context, idOf } from "../core/context.ts";
import { type SessionInternals, type SessionLine, unitAmountOf } from "../checkout/session_internals.ts";
import { type LineTotals, TEST_TAX_PERCENT, totalsOf } from "../checkout/totals.ts";
import { formatMoney } from "../core/currencies.ts";

/** Whole letters from a product's name, for products without a picture or with one that cannot be loaded. */
function initials(name: string): string {
  return name.split(/\s+/).slice(0, 2).map((word) => word.slice(0, 1).toUpperCase()).join("");
}

function lineView({ line, subtotal }: LineTotals, currency: string): Html {
  const each = line.quantity > 1
    ? html`<span class="line-each">${formatMoney(unitAmountOf(line), currency)} each</span>`
    : null;
  return html`<li class="line">
${
    line.image === null
      ? html`<span class="line-picture" aria-hidden="true">${initials(line.name)}</span>`
      : html`<img class="line-picture" src="${line.image}" alt="" width="48" height="48" data-initials="${
        initials(line.name)
      }">`
  }
<span class="line-text">
<span class="line-name">${line.name}</span>
${line.description === null ? null : html`<span class="line-note">${line.description}</span>`}
${quantityView(line)}
</span>
<span class="line-amount">${formatMoney(subtotal, currency)}${each}</span>
</li>`;
}

/** How many of it; what the shopper may change is a field. */
function quantityView({ adjustable, id, name, quantity }: SessionLine): Html {
  if (adjustable === undefined) return html`<span class="line-note">Qty ${quantity}</span>`;
  return html`
    <label
      class="line-note">Qty <input type="number" class="line-quantity" data-line="${id}" value="${quantity}"
    min="${adjustable.minimum}" max="${adjustable.maximum}" aria-label="Quantity of ${name}"></label>
  `;
}

function row(label: string | Html, value: string | Html, className = ""): Html {
  return html`
    <div class="row ${className}">
      <dt>${label}</dt>
      <dd>${value}</dd>
    </div>
  `;
}

function promotion(context: Context, session: Stripe.Checkout.Session, off: number): Html | null {
  const applied = session.discounts?.[0];
  const currency = session.currency ?? "usd";
  if (applied !== undefined) {
    const coupon = context.store.known("coupon", idOf(applied.coupon) ?? "");
    const code = context.store.get("promotion_code", idOf(applied.promotion_code) ?? "");
    const rule = coupon?.percent_off === null || coupon === undefined ? "" : ` (${coupon.percent_off}% off)`;
    const name = code?.code ?? coupon?.name ?? "Discount";
    const remove = session.allow_promotion_codes === true
      ? html`
        <button type="button" class="link" data-remove-promotion
          aria-label="Remove promotion code ${name}">Remove</button>
      `
      : null;
    return row(html`<span class="tag">${name}</span>${rule} ${remove}`, `−${formatMoney(off, currency)}`);
  }
  if (session.allow_promotion_codes !== true) return null;
  return html`
    <div class="row promotion">
      <dt><label for="promotion">Promotion code</label></dt>
      <dd>
        <form data-promotion novalidate>
          <span
            class="promotion-field"><input id="promotion" name="promotion" autocomplete="off" autocapitalize="characters"
      spellcheck="false" placeholder="Add promotion code" aria-describedby="promotion-error"><button
      type="submit">Apply</button></span>
          <p class="field-error" id="promotion-error" aria-live="polite"></p>
        </form>
      </dd>
    </div>
  `;
}

/** The cart with its totals: rendered here for the first view and again after each change. */
export function summaryView(
  context: Context,
  session: Stripe.Checkout.Session,
  internals: SessionInternals,
): Html {
  const currency = session.currency ?? "usd";
  const totals = totalsOf(context, session, internals);
  const total = formatMoney(totals.total, currency);
  const taxText = session.automatic_tax.enabled
    ? internals.taxAddress === null ? "Enter address to calculate" : formatMoney(totals.tax, currency)
    : null;
  const shipping = totals.shipping;
  const untaxed = totals.subtotal - totals.discount + (shipping?.amount ?? 0);
  return html`
    <details class="summary-details" data-summary>
      <summary><span class="summary-toggle">Order summary</span><span class="summary-total">${total}</span></summary>
      <ul class="lines">${totals.lines.map((line) => lineView(line, currency))}</ul>
      <dl class="rows">
    ${row("Subtotal", formatMoney(totals.subtotal, currency), "strong")}
    ${promotion(context, session, totals.discount)}
    ${shipping === null ? null : row(
      html`Shipping <span class="line-note">${shipping.rate.display_name ?? ""}</span>`,
      shipping.amount === 0 ? "Free" : formatMoney(shipping.amount, currency),
    )}
    ${taxText === null ? null : row(
      html`Tax <span class="line-note">${TEST_TAX_PERCENT}% test rate${
        totals.tax > 0 && totals.total === untaxed ? ", included" : ""
      }</span>`,
      taxText,
    )}
    ${row("Total due", total, "total")}
      </dl>
    </details>
  `;
}
