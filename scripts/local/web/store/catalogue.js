import { readAll } from "./api.js";
import { MAX_QUANTITY } from "./cart.js";
import { heldPieces } from "./checkout.js";

const SIZE_ORDER = ["XXS", "XS", "S", "M", "L", "XL", "XXL", "3XL"];

/** In the order of the rail; what has no size comes first. */
function compareSizes(a, b) {
  if (a === null || b === null) return (a === null ? 0 : 1) - (b === null ? 0 : 1);
  const [left, right] = [SIZE_ORDER.indexOf(a), SIZE_ORDER.indexOf(b)];
  if (left !== -1 && right !== -1) return left - right;
  return a.localeCompare(b, "en", { numeric: true });
}

function byText(column) {
  return (a, b) => a[column].localeCompare(b[column], "en");
}

function unique(values) {
  return [...new Set(values)];
}

function toProduct(product, variants, stock) {
  const own = variants.map((variant) => ({
    ...variant,
    available: piecesLeft(stock.get(variant.id)) + heldPieces(variant.sku),
  }));
  return {
    ...product,
    variants: own,
    colors: unique(own.map((variant) => variant.color)),
    sizes: unique(own.map((variant) => variant.size)).sort(compareSizes),
    soldOut: own.every((variant) => variant.available === 0),
  };
}

/** How many pieces there are to buy; the shop does not say how many more than `available` it has. */
function piecesLeft(stock) {
  return stock?.or_more ? MAX_QUANTITY : stock?.available ?? 0;
}

/**
 * The active catalogue with its availability: products, each with `variants` (sku, size, color, price_amount,
 * currency, available: also what this shopper already holds), `colors` and `sizes` (null stands for none). `slug` narrows it to one product.
 */
export async function loadCatalogue(slug = null) {
  const filter = slug === null ? "" : `&slug=eq.${encodeURIComponent(slug)}`;
  const products = await readAll(
    `/rest/v1/products?select=id,slug,name,description,image_url&active=eq.true${filter}`,
  );
  if (products.length === 0) return [];
  const of = slug === null ? "" : `&product_id=eq.${products[0].id}`;
  const [variants, levels] = await Promise.all([
    readAll(
      `/rest/v1/product_variants?select=id,product_id,sku,size,color,price_amount,currency,image_url&active=eq.true${of}`,
    ),
    readAll(`/rest/v1/availability?select=variant_id,available,or_more${of}`, { by: "variant_id" }),
  ]);
  const stock = new Map(levels.map((level) => [level.variant_id, level]));
  // Not Map.groupBy(): phones that are a few years old do not have it.
  const byProduct = new Map(products.map(({ id }) => [id, []]));
  for (const variant of variants.sort(byText("sku"))) byProduct.get(variant.product_id)?.push(variant);
  return products
    .filter((product) => byProduct.get(product.id).length > 0)
    .sort(byText("name"))
    .map((product) => toProduct(product, byProduct.get(product.id), stock))
    .sort((a, b) => priceOf(b).amount - priceOf(a).amount);
}

/** The picture of a product in one colour, or of the product when the colour has none of its own; null without any. */
export function imageOf(product, color) {
  const own = product.variants.find((variant) => variant.color === color && variant.image_url !== null);
  return own?.image_url ?? product.image_url;
}

/** The lowest price of a product, in the currency of its first variant, and whether its variants differ. */
export function priceOf({ variants }) {
  const [{ currency }] = variants;
  const amounts = variants.filter((variant) => variant.currency === currency)
    .map((variant) => variant.price_amount);
  const amount = Math.min(...amounts);
  const from = variants.some((variant) => variant.currency !== currency || variant.price_amount !== amount);
  return { amount, currency, from };
}
