import { read, write } from "./storage.js";

const NAME = "kct.cart";

/** The API takes quantities from 1 to 99 and at most 50 lines. */
export const MAX_QUANTITY = 99;
export const MAX_LINES = 50;

let listeners = [];

function isLine(line) {
  return typeof line?.sku === "string" && Number.isInteger(line.quantity) && line.quantity > 0;
}

/** The lines of the bag: `{ sku, quantity }` and what is needed to show them (name, slug, size, color). */
export function cartLines() {
  const lines = read(NAME, []);
  return Array.isArray(lines) ? lines.filter(isLine) : [];
}

function save(lines) {
  write(NAME, lines.length === 0 ? null : lines);
  for (const listener of listeners) listener();
}

/** Number of pieces in the bag. */
export function cartCount() {
  return cartLines().reduce((sum, line) => sum + line.quantity, 0);
}

/** Adds pieces of a variant, joining them with a line that is already there. False when there is no room for a line more. */
export function addToCart(line, quantity = 1) {
  const lines = cartLines();
  const present = lines.find((other) => other.sku === line.sku);
  if (present === undefined && lines.length >= MAX_LINES) return false;
  const total = Math.min(MAX_QUANTITY, (present?.quantity ?? 0) + quantity);
  save(
    present === undefined
      ? [...lines, { ...line, quantity: total }]
      : lines.map((other) => other.sku === line.sku ? { ...other, quantity: total } : other),
  );
  return true;
}

/** Sets the quantity of a line; 0 removes it. */
export function setQuantity(sku, quantity) {
  const bounded = Math.min(MAX_QUANTITY, Math.max(0, Math.trunc(quantity)));
  save(cartLines().map((line) => line.sku === sku ? { ...line, quantity: bounded } : line).filter(isLine));
}

/** Calls `listener` when the bag changes in another tab. */
export function onCartChangeElsewhere(listener) {
  addEventListener("storage", (event) => {
    if (event.key === NAME || event.key === null) listener();
  });
}

/** Calls `listener` when the bag changes, in this tab or another. */
export function onCartChange(listener) {
  listeners = [...listeners, listener];
  onCartChangeElsewhere(listener);
}
