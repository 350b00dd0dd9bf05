import { el } from "./dom.js";

/** Colour names the shop uses, as classes of the style sheet; an unknown name gets a neutral swatch. */
export function swatch(name) {
  const slug = name.toLowerCase().replace(/[^a-z]+/g, "-");
  return el("span", { class: `swatch swatch-${slug}`, title: name, "aria-hidden": "true" });
}
