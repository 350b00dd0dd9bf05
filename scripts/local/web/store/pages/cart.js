import { cartLines, clearCart, MAX_QUANTITY, setQuantity } from "../cart.js";
import { imageOf, loadCatalogue } from "../catalogue.js";
import { forgetCheckout, orderStatus, startCheckout } from "../checkout.js";
import { el, notice, show } from "../dom.js";
import { messageFor } from "../messages.js";
import { formatMoney } from "../money.js";

/** Orders that are beyond paying: sending the shopper to their payment page again would be a dead end. */
const BEYOND_PAYING = new Set(["paid", "processing", "needs_review", "refunded", "partially_refunded"]);

function describe(line) {
  return [line.name ?? line.sku, line.color, line.size].filter(Boolean).join(", ");
}

/** Joins the bag with what the catalogue says now; `variant` is null for a piece that is no longer sold. */
function join(lines, products) {
  return lines.map((line) => {
    for (const product of products) {
      const variant = product.variants.find((other) => other.sku === line.sku);
      if (variant !== undefined) return { line, product, variant };
    }
    return { line, product: null, variant: null };
  });
}

function problemOf({ line, variant }) {
  if (variant === null) return "No longer for sale. Please remove it.";
  if (variant.available === 0) return "Sold out. Please remove it.";
  if (line.quantity > variant.available) return `Only ${variant.available} left.`;
  return null;
}

function quantityControl(entry, redraw) {
  const { line, variant } = entry;
  const most = Math.min(MAX_QUANTITY, Math.max(1, variant?.available ?? 1));
  const change = (quantity, focus) => {
    setQuantity(line.sku, quantity);
    redraw(focus);
  };
  const id = `quantity-${line.sku}`;
  return el(
    "div",
    { class: "quantity", role: "group", "aria-label": `Quantity of ${describe(line)}` },
    el("button", {
      type: "button",
      id: `${id}-less`,
      "aria-label": "One less",
      disabled: line.quantity <= 1,
      onclick: () => change(line.quantity - 1, `${id}-less`),
    }, "−"),
    el("output", { id }, String(line.quantity)),
    el("button", {
      type: "button",
      id: `${id}-more`,
      "aria-label": "One more",
      disabled: variant === null || line.quantity >= most,
      onclick: () => change(line.quantity + 1, `${id}-more`),
    }, "+"),
  );
}

function lineItem(entry, redraw) {
  const { line, product, variant } = entry;
  const problem = problemOf(entry);
  const remove = () => {
    setQuantity(line.sku, 0);
    redraw("bag-title");
  };
  return el(
    "li",
    { class: "line" },
    el(
      "span",
      { class: "frame small" },
      product === null ? null : el("img", {
        src: imageOf(product, variant.color),
        alt: "",
        width: 400,
        height: 500,
      }),
    ),
    el(
      "div",
      { class: "line-text" },
      el(
        "p",
        { class: "line-name" },
        product === null
          ? line.name ?? line.sku
          : el("a", { href: `/store/products/${product.slug}` }, product.name),
      ),
      el("p", { class: "line-variant" }, [line.color, line.size].filter(Boolean).join(" · ")),
      problem === null ? null : el("p", { class: "line-problem" }, problem),
      el(
        "div",
        { class: "line-actions" },
        quantityControl(entry, redraw),
        el("button", {
          type: "button",
          class: "plain",
          "aria-label": `Remove ${describe(line)}`,
          onclick: remove,
        }, "Remove"),
      ),
    ),
    el(
      "p",
      { class: "line-price" },
      variant === null ? "–" : formatMoney(variant.price_amount * line.quantity, variant.currency),
    ),
  );
}

function summary(entries, state, checkout) {
  const sold = entries.filter(({ variant }) => variant !== null);
  const currency = sold[0]?.variant.currency ?? "usd";
  const total = sold.reduce((sum, { line, variant }) => sum + variant.price_amount * line.quantity, 0);
  const blocked = entries.some((entry) => problemOf(entry) !== null);
  return el(
    "aside",
    { class: "summary", "aria-label": "Summary" },
    el("h2", {}, "Summary"),
    el(
      "p",
      { class: "row" },
      el("span", {}, "Subtotal"),
      el("b", { id: "subtotal" }, formatMoney(total, currency)),
    ),
    el("p", { class: "row soft" }, el("span", {}, "Shipping and tax"), el("span", {}, "at checkout")),
    el("button", {
      type: "button",
      id: "checkout",
      class: "primary wide",
      disabled: blocked,
      "aria-disabled": state.busy ? "true" : null,
      onclick: checkout,
    }, state.busy ? "Opening the payment page…" : "Checkout"),
    blocked ? el("p", { class: "soft small" }, "Please mend the marked lines first.") : null,
    el("p", { class: "soft small" }, "You pay on Stripe’s page. We never see your card number."),
  );
}

function emptyBag() {
  show(
    "Bag",
    el("h1", {}, "Your bag"),
    notice("info", "Your bag is empty", null, el("a", { class: "button", href: "/store" }, "Go to the shop")),
  );
}

class CartView {
  constructor(products) {
    this.products = products;
    this.state = { busy: false };
    this.message = null;
  }

  draw(focus = null) {
    const lines = cartLines();
    if (lines.length === 0 && this.message === null) return emptyBag();
    const entries = join(lines, this.products);
    const redraw = (next) => {
      this.message = null;
      this.draw(next);
    };
    show(
      "Bag",
      el("h1", { id: "bag-title", tabindex: -1 }, "Your bag"),
      el("div", { id: "message" }, this.message),
      lines.length === 0 ? null : el(
        "div",
        { class: "bag" },
        el(
          "ul",
          { class: "lines", "aria-label": "Pieces in your bag" },
          ...entries.map((entry) => lineItem(entry, redraw)),
        ),
        summary(entries, this.state, () => this.checkout()),
      ),
    );
    if (focus !== null) {
      const target = document.getElementById(focus);
      (target?.disabled ? document.getElementById("bag-title") : target)?.focus();
    }
  }

  async checkout() {
    if (this.state.busy) return;
    this.state.busy = true;
    this.message = null;
    this.draw("checkout");
    try {
      const session = await this.payableSession();
      if (session !== null) location.assign(session.url);
    } catch (error) {
      await this.failed(error);
    }
  }

  /**
   * A session that can be paid, or null when the shopper has been told that the bag is paid already: that may have
   * happened in another tab, or without coming back here.
   */
  async payableSession() {
    const session = await startCheckout();
    if (!session.repeated) return session;
    const order = await orderStatus(session.session_id).catch(() => null);
    if (order === null || order.status === "pending") return session;
    forgetCheckout();
    if (!BEYOND_PAYING.has(order.status)) return await startCheckout();
    clearCart();
    this.state.busy = false;
    this.message = notice(
      "info",
      "You have already paid for this bag",
      `It is order ${order.order_number}.`,
      el(
        "a",
        { class: "button", href: `/store/success?session_id=${encodeURIComponent(session.session_id)}` },
        "See the order",
      ),
    );
    this.draw("bag-title");
    return null;
  }

  async failed(error) {
    this.state.busy = false;
    if (error.code === "insufficient_stock" || error.code === "unknown_sku") {
      this.products = await loadCatalogue().catch(() => this.products);
    }
    const names = new Map(cartLines().map((line) => [line.sku, describe(line)]));
    const { title, text } = messageFor(error, (sku) => names.get(sku) ?? sku);
    this.message = notice("error", title, text);
    this.draw("checkout");
    if (error.code === undefined) throw error;
  }
}

/** The bag and the way to the payment page. */
export async function cartPage() {
  if (cartLines().length === 0) return emptyBag();
  new CartView(await loadCatalogue()).draw();
}
