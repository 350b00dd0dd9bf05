import { cartCount } from "../cart.js";
import { el, show } from "../dom.js";

/** Where the payment page's back link leads. The session stays open, so checking out again continues it. */
export function cancelledPage() {
  const count = cartCount();
  show(
    "Checkout left",
    el(
      "article",
      { class: "order" },
      el("h1", {}, "You have not been charged"),
      el(
        "p",
        { class: "description" },
        count > 0
          ? "You left the payment page. Your bag is as it was, and we hold its pieces for you for half an hour."
          : "You left the payment page.",
      ),
      el(
        "p",
        { class: "notice-actions" },
        count > 0 ? el("a", { class: "button primary", href: "/store/cart" }, "Back to the bag") : null,
        el("a", { class: "button", href: "/store" }, "Continue shopping"),
      ),
    ),
  );
}
