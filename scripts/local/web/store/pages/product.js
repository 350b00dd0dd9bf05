import { addToCart, cartLines } from "../cart.js";
import { loadCatalogue } from "../catalogue.js";
import { announce, el, notice, show } from "../dom.js";
import { formatMoney } from "../money.js";
import { picture } from "../picture.js";
import { swatch } from "../swatches.js";

const LOW_STOCK = 3;

/** What is chosen where some variants of a product have a colour or size and others have none. */
const NONE = "Plain";

/** A radio group drawn as buttons, or nothing where there is none to choose. `choices` are { value, disabled, note }. */
function picker(name, legend, choices, chosen, onChoose) {
  if (choices.every(({ value }) => value === null)) return null;
  return el(
    "fieldset",
    { class: `picker picker-${name}` },
    el("legend", {}, legend),
    el(
      "div",
      { class: "choices" },
      ...choices.map(({ value, disabled, note, mark }) =>
        el(
          "label",
          { class: disabled ? "choice sold-out" : "choice", title: note },
          el("input", {
            type: "radio",
            name,
            value: value ?? "",
            checked: value === chosen,
            disabled,
            onchange: () => onChoose(value),
          }),
          el(
            "span",
            {},
            mark ?? null,
            value ?? NONE,
            note ? el("span", { class: "visually-hidden" }, `, ${note}`) : null,
          ),
        )
      ),
    ),
  );
}

/** How it stands with a variant: `[tone, text]`. */
function stockOf(product, variant) {
  if (product.soldOut) return ["none", "Sold out."];
  if (variant === undefined) return ["soft", "Choose a size."];
  if (variant.available === 0) {
    return ["none", `Sold out in this ${product.sizes.length > 1 ? "size" : "colour"}.`];
  }
  if (variant.available <= LOW_STOCK) return ["low", `Only ${variant.available} left.`];
  return ["", "In stock, ships within two days."];
}

function added(name) {
  announce(`${name} is in your bag`);
  return notice(
    "info",
    "Added to your bag",
    name,
    el("a", { class: "button", href: "/store/cart" }, "View bag"),
  );
}

function sizeLegend(size) {
  return size === undefined ? "Size" : `Size: ${size ?? NONE}`;
}

/** What the shopper has chosen on a product page, and the page drawn from it. */
class ProductView {
  constructor(product) {
    this.product = product;
    const first = product.variants.find((variant) => variant.available > 0) ?? product.variants[0];
    this.color = first.color;
    // Undefined until one is chosen; null is the size of what has none.
    this.size = product.sizes.length === 1 ? product.sizes[0] : undefined;
    this.message = null;
  }

  variant() {
    return this.variantOf(this.color, this.size);
  }

  variantOf(color, size) {
    return this.product.variants.find((variant) => variant.color === color && variant.size === size);
  }

  choose(change) {
    Object.assign(this, change);
    if (this.product.sizes.length > 1 && !(this.variant()?.available > 0)) this.size = undefined;
    this.message = null;
    this.draw();
    const name = Object.keys(change)[0];
    document.querySelector(`input[name="${name}"]:checked`)?.focus();
    announce(stockOf(this.product, this.variant())[1]);
  }

  add() {
    const { product } = this;
    const variant = this.variant();
    if (variant === undefined) {
      this.message = notice("error", "Please choose a size first.");
      this.draw();
      document.querySelector('input[name="size"]:not(:disabled)')?.focus();
      return;
    }
    const inBag = cartLines().find((line) => line.sku === variant.sku)?.quantity ?? 0;
    if (inBag >= variant.available) {
      this.message = notice("error", `All ${variant.available} we have are already in your bag.`);
    } else {
      const { sku, size, color } = variant;
      this.message = addToCart({ sku, size, color, name: product.name, slug: product.slug })
        ? added([product.name, color, size].filter(Boolean).join(", "))
        : notice("error", "Your bag is full", "Please order what is in it first.");
    }
    this.draw();
    document.querySelector("#add")?.focus();
  }

  sizeChoices() {
    return this.product.sizes.map((size) => {
      const variant = this.variantOf(this.color, size);
      const available = variant?.available ?? 0;
      const note = available === 0 ? "sold out" : available <= LOW_STOCK ? `only ${available} left` : null;
      return { value: size, disabled: available === 0, note };
    });
  }

  colorChoices() {
    return this.product.colors.map((color) => {
      const none = this.product.variants.every((variant) =>
        variant.color !== color || variant.available === 0
      );
      return { value: color, disabled: none, note: none ? "sold out" : null, mark: color && swatch(color) };
    });
  }

  draw() {
    const { product, color } = this;
    const variant = this.variant();
    const [tone, stock] = stockOf(product, variant);
    const shown = variant ?? product.variants.find((other) => other.color === color) ?? product.variants[0];
    show(
      product.name,
      el(
        "nav",
        { class: "crumbs", "aria-label": "Breadcrumb" },
        el("a", { href: "/store" }, "Shop"),
        " / ",
        product.name,
      ),
      el(
        "div",
        { class: "product" },
        el(
          "div",
          { class: "frame large" },
          picture(product, color, { alt: color === null ? product.name : `${product.name} in ${color}` }),
        ),
        el(
          "div",
          { class: "details" },
          el("h1", {}, product.name),
          el("p", { class: "price" }, formatMoney(shown.price_amount, shown.currency)),
          product.description ? el("p", { class: "description" }, product.description) : null,
          picker(
            "color",
            `Colour: ${color ?? NONE}`,
            this.colorChoices(),
            color,
            (value) => this.choose({ color: value }),
          ),
          picker(
            "size",
            sizeLegend(this.size),
            this.sizeChoices(),
            this.size,
            (value) => this.choose({ size: value }),
          ),
          el("p", { class: `stock ${tone}` }, stock),
          el(
            "button",
            {
              type: "button",
              id: "add",
              class: "primary wide",
              disabled: product.soldOut,
              onclick: () => this.add(),
            },
            product.soldOut ? "Sold out" : "Add to bag",
          ),
          el("div", { id: "message" }, this.message),
          el(
            "ul",
            { class: "promises" },
            el("li", {}, "Shipping is shown before you pay"),
            el("li", {}, "Returns within 30 days"),
            el("li", {}, "Card payment on Stripe’s page"),
          ),
        ),
      ),
    );
  }
}

/** One product with its colours and sizes. */
export async function productPage(slug) {
  const [product] = await loadCatalogue(slug);
  if (product === undefined) {
    show(
      "Not found",
      notice(
        "info",
        "We do not carry this piece any more",
        null,
        el("a", { class: "button", href: "/store" }, "Back to the shop"),
      ),
    );
    return;
  }
  new ProductView(product).draw();
}
