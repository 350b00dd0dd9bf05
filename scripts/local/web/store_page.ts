import { html } from "../../stand-in/http/html.ts";
import { htmlResponse } from "./responses.ts";

/** Paths under /store that the storefront's router knows; others are answered 404. */
const KNOWN = /^(?:|cart|pay|account|success|order|cancelled|resume|products\/[a-z0-9-]+)$/;

/**
 * The storefront's one document. Everything it shows comes from the API, called with the publishable key;
 * what it needs for that stands in meta elements, with the address of Stripe.js and Stripe's publishable key.
 */
export function storePage(
  path: string,
  options: { apiUrl: string; publishableKey: string; stripeUrl: string },
): Response | null {
  if (!KNOWN.test(path.replace(/\/$/, ""))) return null;
  const api = new URL(options.apiUrl).origin;
  const page = html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="description" content="Suits, shirts, knitwear and shoes, made to be worn for years.">
        <meta name="shop-api" content="${options.apiUrl}">
        <meta name="shop-key" content="${options.publishableKey}">
        <meta name="stripe-js" content="${options.stripeUrl}/endive/stripe.js">
        <meta name="stripe-key" content="pk_test_standin">
        <title>KCT Menswear</title>
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
        <link rel="stylesheet" href="/store/store.css">
        <script type="module" src="/store/main.js"></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to content</a>
        <aside class="ribbon"
          aria-label="About this store">Demo store. Nothing is shipped and no money moves.</aside>
        <header class="masthead">
          <a class="logo" href="/store"><b>KCT</b> Menswear</a>
          <nav aria-label="Shop">
            <a href="/store">Shop</a>
            <a href="/store/account" id="account-link">Sign in</a>
            <a href="/store/cart" id="cart-link">Bag <span id="cart-count" class="count" hidden></span></a>
          </nav>
        </header>
        <main id="main" tabindex="-1" aria-busy="true">
          <p class="loading">Loading…</p>
        </main>
        <p id="announcement" class="visually-hidden" role="status"></p>
        <noscript><p class="notice">The store needs JavaScript to read the catalogue and to start a checkout.</p></noscript>
        <footer class="foot">
          <p>KCT Menswear</p>
          <p>Card payment by Stripe</p>
          <p>Returns within 30 days</p>
        </footer>
      </body>
    </html>
  `;
  // Only the page that needs Stripe.js may hold anything from elsewhere.
  const guest = /^pay\/?$/.test(path) ? { guest: new URL(options.stripeUrl).origin } : {};
  return htmlResponse(page, { connectTo: [api], webPictures: true, ...guest });
}
