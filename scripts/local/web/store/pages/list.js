import { loadCatalogue, priceOf } from "../catalogue.js";
import { el, notice, show } from "../dom.js";
import { formatMoney } from "../money.js";
import { picture } from "../picture.js";
import { swatch } from "../swatches.js";

/** Colours that have room below a picture. */
const MOST_SWATCHES = 8;

function priceText(product) {
  const { amount, currency, from } = priceOf(product);
  return `${from ? "From " : ""}${formatMoney(amount, currency)}`;
}

function tile(product) {
  const { color } = product.variants.find((variant) => variant.available > 0) ?? product.variants[0];
  const colors = product.colors.filter((name) => name !== null);
  return el(
    "li",
    { class: "tile" },
    el(
      "a",
      { href: `/store/products/${product.slug}` },
      el(
        "span",
        { class: "frame" },
        picture(product, color, { loading: "lazy" }),
        product.soldOut ? el("span", { class: "tag" }, "Sold out") : null,
      ),
      el("span", { class: "tile-name" }, product.name),
      el("span", { class: "tile-price" }, priceText(product)),
    ),
    colors.length === 0 ? null : el(
      "p",
      { class: "tile-colors" },
      el("span", { class: "visually-hidden" }, `Colours: ${colors.join(", ")}`),
      ...colors.slice(0, MOST_SWATCHES).map((name) => swatch(name)),
      colors.length > MOST_SWATCHES
        ? el("span", { class: "soft small", "aria-hidden": "true" }, `+${colors.length - MOST_SWATCHES}`)
        : null,
    ),
  );
}

/** The whole catalogue. */
export async function listPage() {
  const products = await loadCatalogue();
  show(
    "Shop",
    el(
      "section",
      { class: "hero" },
      el("h1", {}, "Dressed for the long run"),
      el("p", {}, "Suits, shirts, knitwear and shoes in honest materials, made to be worn for years."),
    ),
    products.length === 0
      ? notice("info", "The shop is being restocked", "Please come back soon.")
      : el("ul", { class: "grid", "aria-label": "Products" }, ...products.map(tile)),
  );
}
