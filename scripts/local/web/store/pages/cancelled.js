import { cartCount } from "../cart.js";
import { openCheckout } from "../checkout.js";
import { el, show } from "../dom.js";
import { formatTime } from "../time.js";

function leftText(count) {
  if (count === 0) return "You left the payment page.";
  const open = openCheckout();
  return open === null
    ? "You left the payment page. Your bag is as it was."
    : `You left the payment page. Your bag is as it was, and we hold its pieces for you until ${
      formatTime(open.endsAt)
    }.`;
}

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
        leftText(count),
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
