import { crewneck } from "./knitwear.ts";
import { cloth } from "./palette.ts";
import { overcoat, suit, tuxedo } from "./tailoring.ts";
import { shirt } from "./shirt.ts";
import { shoes } from "./shoes.ts";
import { tie } from "./tie.ts";
import { trousers } from "./trousers.ts";

/** Draws a garment in one cloth colour, into a 400 × 500 view box. */
export type Drawing = (color: string) => string;

const DRAWINGS: Readonly<Record<string, { draw: Drawing; color: string; ground: string; floor?: number }>> = {
  "wool-suit": { draw: suit, color: "navy", ground: "#e6e7ea" },
  "shawl-tuxedo": { draw: tuxedo, color: "black", ground: "#e5e1db" },
  "oxford-shirt": { draw: shirt, color: "white", ground: "#dfe4e6" },
  "flannel-trousers": { draw: trousers, color: "grey", ground: "#ece7df" },
  "merino-crewneck": { draw: crewneck, color: "oatmeal", ground: "#e4e6e0" },
  "wool-overcoat": { draw: overcoat, color: "camel", ground: "#e9e5df" },
  "cap-toe-oxfords": { draw: shoes, color: "black", ground: "#e8e4de", floor: 436 },
  "silk-tie": { draw: tie, color: "burgundy", ground: "#e9e6e1" },
};

/** The illustration of a product as an SVG document, or null for a slug without one. Unknown colours fall back. */
export function illustration(slug: string, color: string): string | null {
  const entry = DRAWINGS[slug];
  if (entry === undefined) return null;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 500">
<rect width="400" height="500" fill="${entry.ground}"/>
<ellipse cx="200" cy="${entry.floor ?? 462}" rx="128" ry="11" fill="#000" opacity=".07"/>
<g stroke-linejoin="round" stroke-linecap="round">${entry.draw(cloth(color, entry.color))}</g>
</svg>`;
}
