import { cartLines, MAX_QUANTITY, onCartChangeElsewhere, setQuantity } from "../cart.js";
import { loadCatalogue } from "../catalogue.js";
import { openCheckout, startCheckout } from "../checkout.js";
import { announce, el, notice, show } from "../dom.js";
import { messageFor } from "../messages.js";
import { formatMoney } from "../money.js";
import { picture } from "../picture.js";
import { formatTime } from "../time.js";

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

/** How many pieces of a line can be bought. */
function left({ line, variant }) {
  return Math.min(line.quantity, variant?.available ?? 0);
}

function problemOf({ line, variant }) {
  if (variant === null) return "No longer for sale. Please remove it.";
  if (variant.available === 0) return "Sold out. Please remove it.";
  if (line.quantity > variant.available) return `Only ${variant.available} left.`;
  return null;
}

function quantityControl(entry, update) {
  const { line, variant } = entry;
  const most = Math.min(MAX_QUANTITY, Math.max(1, variant?.available ?? 1));
  const id = `quantity-${line.sku}`;
  return el(
    "div",
    { class: "quantity", role: "group", "aria-label": `Quantity of ${describe(line)}` },
    el("button", {
      type: "button",
      id: `${id}-less`,
      "aria-label": "One less",
      disabled: line.quantity <= 1,
      onclick: () => update(line.sku, line.quantity - 1, `${id}-less`),
    }, "−"),
    el("output", { id }, String(line.quantity)),
    el("button", {
      type: "button",
      id: `${id}-more`,
      "aria-label": "One more",
      disabled: variant === null || line.quantity >= most,
      onclick: () => update(line.sku, line.quantity + 1, `${id}-more`),
    }, "+"),
  );
}

function lineItem(entry, update) {
  const { line, product, variant } = entry;
  const problem = problemOf(entry);
  return el(
    "li",
    { class: "line" },
    el(
      "span",
      { class: "frame small" },
      product === null ? null : picture(product, variant.color),
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
        quantityControl(entry, update),
        el("button", {
          type: "button",
          class: "plain",
          "aria-label": `Remove ${describe(line)}`,
          onclick: () => update(line.sku, 0, "bag-title"),
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

/** The sum of each currency: amounts of two cannot be added, nor paid together. */
function subtotals(entries) {
  const sums = new Map();
  for (const { line, variant } of entries) {
    if (variant === null) continue;
    const before = sums.get(variant.currency) ?? 0;
    sums.set(variant.currency, before + variant.price_amount * line.quantity);
  }
  return [...sums].map(([currency, sum]) => formatMoney(sum, currency));
}

function subtotal(entries) {
  return subtotals(entries).join(" and ") || "–";
}

/** What to do about marked lines: one click takes what there is and leaves the rest. */
function offer(entries, takeWhatIsLeft) {
  const anything = entries.some((entry) => left(entry) > 0);
  return [
    el("p", { class: "soft small" }, "Please change the marked lines first."),
    el(
      "button",
      { type: "button", id: "fit", class: "wide", onclick: takeWhatIsLeft },
      anything ? "Take what is left" : "Remove them",
    ),
  ];
}

function summary(entries, view) {
  const marked = entries.some((entry) => problemOf(entry) !== null);
  const mixed = subtotals(entries).length > 1;
  return el(
    "aside",
    { class: "summary", "aria-label": "Summary" },
    el("h2", {}, "Summary"),
    el(
      "p",
      { class: "row" },
      el("span", {}, "Subtotal"),
      el("b", { id: "subtotal" }, subtotal(entries)),
    ),
    el("p", { class: "row soft" }, el("span", {}, "Shipping and tax"), el("span", {}, "at checkout")),
    // Beside the button, so that it is seen by who has just pressed it.
    el("div", { id: "message" }, view.message),
    marked ? offer(entries, () => view.takeWhatIsLeft()) : null,
    mixed
      ? notice(
        "info",
        "Two currencies in one bag",
        "They cannot be paid together. Please remove the pieces of one, and order them after this.",
      )
      : null,
    el("button", {
      type: "button",
      id: "checkout",
      class: "primary wide",
      disabled: marked || mixed,
      "aria-disabled": view.state.busy ? "true" : null,
      onclick: () => view.checkout(),
    }, view.state.busy ? "Opening the payment page…" : "Checkout"),
    el("button", {
      type: "button",
      id: "pay-here",
      class: "wide",
      disabled: marked || mixed,
      onclick: () => view.payHere(),
    }, "Pay on this site"),
    el("p", { class: "soft small" }, "You pay on Stripe’s page, or in a frame of Stripe’s on ours."),
    el("p", { class: "soft small" }, "We never see your card number."),
  );
}

function emptyBag() {
  show(
    "Bag",
    el("h1", {}, "Your bag"),
    notice("info", "Your bag is empty", null, el("a", { class: "button", href: "/store" }, "Go to the shop")),
  );
}

/** The pieces that are missing may be held by the shopper's own payment page, which this bag cannot close. */
function heldElsewhere(error) {
  const open = openCheckout();
  const missing = error.code === "insufficient_stock" && Array.isArray(error.details) ? error.details : [];
  if (open === null || open.closable || !missing.some(({ sku }) => open.held[sku] > 0)) return null;
  return notice(
    "error",
    "You already hold these pieces",
    `A payment page that you opened before holds them until ${
      formatTime(open.endsAt)
    }. Finish there, or change your bag after that.`,
    el("a", { class: "button", href: open.url }, "Back to that payment page"),
  );
}

/** The bag as it is drawn. `busy` while the payment page is being opened. */
class CartView {
  constructor(products) {
    this.products = products;
    this.state = { busy: false };
    this.message = null;
  }

  draw(focus = null) {
    const lines = cartLines();
    if (lines.length === 0) return emptyBag();
    const entries = this.entries();
    const update = (sku, quantity, next) => this.update(sku, quantity, next);
    show(
      "Bag",
      el("h1", { id: "bag-title", tabindex: -1 }, "Your bag"),
      el(
        "div",
        { class: "bag" },
        el(
          "ul",
          { class: "lines", "aria-label": "Pieces in your bag" },
          ...entries.map((entry) => lineItem(entry, update)),
        ),
        summary(entries, this),
      ),
    );
    if (focus !== null) {
      const targets = focus === "checkout" ? ["checkout", "fit"] : [focus, "bag-title"];
      targets.map((id) => document.getElementById(id)).find((target) => target && !target.disabled)?.focus();
    }
  }

  entries() {
    return join(cartLines(), this.products);
  }

  /** Not while the payment page is being opened: it would ask for another bag than the one on the screen. */
  update(sku, quantity, focus) {
    if (this.state.busy) return;
    setQuantity(sku, quantity);
    this.message = null;
    this.draw(focus);
    announce(`Quantity ${quantity}, subtotal ${subtotal(this.entries())}`);
  }

  takeWhatIsLeft() {
    for (const entry of this.entries()) setQuantity(entry.line.sku, left(entry));
    this.message = null;
    this.draw("checkout");
    announce(`Your bag has been changed, subtotal ${subtotal(this.entries())}`);
  }

  async checkout() {
    if (this.state.busy) return;
    this.state.busy = true;
    this.message = null;
    this.draw("checkout");
    try {
      const session = await startCheckout();
      location.assign(session.url);
    } catch (error) {
      await this.failed(error);
    }
  }

  payHere() {
    if (!this.state.busy) location.assign("/store/pay");
  }

  failure(error) {
    const names = new Map(cartLines().map((line) => [line.sku, describe(line)]));
    const { title, text } = messageFor(error, (sku) => names.get(sku) ?? sku);
    return notice("error", title, text);
  }

  /** What checkout says is left counts more than the catalogue, which may not have been read anew. */
  believe(details) {
    for (const { variant } of this.entries()) {
      const said = details?.find?.(({ sku }) => sku === variant?.sku);
      if (said !== undefined) variant.available = said.available;
    }
  }

  async failed(error) {
    this.state.busy = false;
    if (error.code === "insufficient_stock" || error.code === "unknown_sku") {
      this.products = await loadCatalogue().catch(() => this.products);
    }
    const held = heldElsewhere(error);
    if (held === null && error.code === "insufficient_stock") this.believe(error.details);
    this.message = held ?? this.failure(error);
    this.draw("checkout");
    if (error.code === undefined) throw error;
  }
}

let shown = null;

// Only then: what else another tab keeps changes nothing here, and drawing anew takes the button from under a press.
onCartChangeElsewhere(() => {
  if (shown !== null && !shown.state.busy) shown.draw();
});

/** The bag and the way to the payment page. */
export async function cartPage() {
  if (cartLines().length === 0) return emptyBag();
  shown = new CartView(await loadCatalogue());
  shown.draw();
}
