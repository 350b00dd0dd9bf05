import { imageOf } from "./catalogue.js";
import { el } from "./dom.js";

function initials(name) {
  return name.split(/\s+/).slice(0, 2).map((word) => word.slice(0, 1).toUpperCase()).join("");
}

/** What stands where a picture is missing or cannot be loaded. */
function placeholder(name, alt) {
  const role = alt === "" ? { "aria-hidden": "true" } : { role: "img", "aria-label": alt };
  return el("span", { class: "no-picture", ...role }, initials(name));
}

/** The picture of a product in one colour; `alt` is empty where the name stands beside it. */
export function picture(product, color, { alt = "", loading = null } = {}) {
  const src = imageOf(product, color);
  if (src === null) return placeholder(product.name, alt);
  const onerror = (event) => event.target.replaceWith(placeholder(product.name, alt));
  return el("img", { src, alt, width: 400, height: 500, loading, onerror });
}
