import type Stripe from "stripe";
import { type Html, html } from "../http/html.ts";
import { MERCHANT } from "../core/merchant.ts";
import { document } from "./layout.ts";
import { formatMoney } from "../core/currencies.ts";

/** The bank's page of a 3-D Secure challenge. */
export function challengeView(id: string, asks: string): Html {
  return document(
    "Verify your payment",
    html`
      <body class="challenge-page">
        <main class="challenge">
          <p class="badge">Test bank</p>
          <h1>3D Secure 2 test page</h1>
          <p>${MERCHANT.name} asks to ${asks}. Your bank would now
      check that it is you. Choose how the check ends.</p>
          <form method="post" action="/3ds/${id}">
            <button class="pay" name="outcome" value="pass" type="submit">Complete authentication</button>
            <button class="plain" name="outcome" value="fail" type="submit">Fail authentication</button>
          </form>
        </main>
      </body>
    `,
  );
}

/** The page of a bank or wallet that a method leads to, as Stripe's test mode shows it. */
export function authorizeView(intent: Stripe.PaymentIntent, method: string): Html {
  return document(
    `${method} test payment page`,
    html`
      <body class="challenge-page">
        <main class="challenge">
          <p class="badge">Test mode</p>
          <h1>${method} test payment page</h1>
          <p>${MERCHANT.name} asks for <strong>${formatMoney(
            intent.amount,
            intent.currency,
          )}</strong>. Choose what you do here; whoever closes this page has answered nothing.</p>
          <form method="post" action="/authorize/${intent.id}">
            <button class="pay" name="outcome" value="pass" type="submit">Authorize test payment</button>
            <button class="plain" name="outcome" value="fail" type="submit">Fail test payment</button>
          </form>
        </main>
      </body>
    `,
  );
}

/** Shown inside the checkout page's dialog once the challenge ended: tells the page around it. */
export function challengeDone(): Html {
  return document(
    "Verified",
    html`
      <body class="challenge-page">
        <main class="challenge">
          <p>Returning to the shop…</p>
        </main>
      </body>
    `,
    "challenge_done.js",
  );
}

/** A receipt, as `charge.receipt_url` links it. */
export function receiptView(charge: Stripe.Charge): Html {
  const card = charge.payment_method_details?.card;
  return document(
    `Receipt from ${MERCHANT.name}`,
    html`
      <body class="notice-page">
        <main class="notice">
          <p class="notice-shop">Receipt from ${MERCHANT.name}</p>
          <h1>${formatMoney(charge.amount_captured, charge.currency)}</h1>
          <dl class="rows">
      <div class="row"><dt>Date paid</dt><dd>${new Date(charge.created * 1000).toISOString().slice(
        0,
        10,
      )}</dd></div>
      <div class="row"><dt>Payment method</dt><dd>${card === undefined
        ? charge.payment_method_details?.type ?? ""
        : `${card.brand} ···· ${card.last4}`}</dd></div>
      ${charge.amount_refunded > 0
        ? html`
          <div class="row">
            <dt>Refunded</dt>
            <dd>${formatMoney(charge.amount_refunded, charge.currency)}</dd>
          </div>
        `
        : null}
          </dl>
        </main>
      </body>
    `,
  );
}
