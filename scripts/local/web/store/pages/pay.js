import { cartLines } from "../cart.js";
import { startCheckout } from "../checkout.js";
import { STRIPE_JS, STRIPE_KEY } from "../config.js";
import { el, notice, show } from "../dom.js";
import { messageFor } from "../messages.js";

/** Stripe.js is always loaded from Stripe, and only where it is needed. */
function loadStripe() {
  return new Promise((resolve, reject) => {
    const failed = () => reject(new Error("Stripe.js could not be loaded."));
    document.head.append(
      el("script", { src: STRIPE_JS, onload: () => resolve(globalThis.Stripe(STRIPE_KEY)), onerror: failed }),
    );
  });
}

/**
 * The payment on the store's own page: a frame of Stripe's. Opening it again, also after a reload, leads to the same
 * session; its secret comes from the API each time and is kept nowhere.
 */
export async function payPage() {
  if (cartLines().length === 0) return location.replace("/store/cart");
  const frame = el("div", { id: "payment", class: "payment" });
  const back = el("a", { class: "button", href: "/store/cart" }, "Back to the bag");
  show("Payment", el("h1", {}, "Payment"), frame, el("p", { class: "notice-actions" }, back));
  try {
    const session = await startCheckout("embedded_page");
    // Paid already, in another tab say.
    if (session.url !== null) return location.replace(session.url);
    const stripe = await loadStripe();
    const fetchClientSecret = () => Promise.resolve(session.client_secret);
    (await stripe.createEmbeddedCheckoutPage({ fetchClientSecret })).mount("#payment");
  } catch (error) {
    const names = new Map(cartLines().map(({ sku, name }) => [sku, name ?? sku]));
    const { title, text } = messageFor(error, (sku) => names.get(sku) ?? sku);
    frame.replaceChildren(notice("error", title, text));
    if (error.code === undefined) throw error;
  }
}
