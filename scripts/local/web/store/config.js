/** Where the shop's API is and the key that identifies the shop to it. The key is public by design. */
function meta(name) {
  const content = document.querySelector(`meta[name="${name}"]`)?.getAttribute("content");
  if (!content) throw new Error(`The page has no meta element "${name}".`);
  return content;
}

export const API_URL = meta("shop-api").replace(/\/$/, "");
export const PUBLISHABLE_KEY = meta("shop-key");

/** Where Stripe.js is loaded from, and Stripe's own publishable key, for paying on the shop's page. */
export const STRIPE_JS = meta("stripe-js");
export const STRIPE_KEY = meta("stripe-key");
