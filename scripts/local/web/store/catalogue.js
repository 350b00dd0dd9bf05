import { request } from "./api.js";
import { MAX_QUANTITY } from "./cart.js";
import { heldPieces } from "./checkout.js";

const SIZE_ORDER = ["XXS", "XS", "S", "M", "L", "XL", "XXL", "3XL"];

function compareSizes(a, b) {
  const [left, right] = [SIZE_ORDER.indexOf(a), SIZE_ORDER.indexOf(b)];
  if (left !== -1 && right !== -1) return left - right;
  return a.localeCompare(b, "en", { numeric: true });
}

function unique(values) {
  return [...new Set(values)];
}

function toProduct(product, variants, available) {
  const own = variants
    .filter((variant) => variant.product_id === product.id)
    .map((variant) => ({
      ...variant,
      available: Math.max(0, available.get(variant.id) ?? 0) + heldPieces(variant.sku),
    }));
  return {
    ...product,
    variants: own,
    colors: unique(own.map((variant) => variant.color)),
    sizes: unique(own.map((variant) => variant.size)).sort(compareSizes),
    soldOut: own.every((variant) => variant.available === 0),
  };
}

/**
 * The active catalogue with its availability: products, each with `variants` (sku, size, color, price_amount,
 * currency, available: also what this shopper already holds), `colors` and `sizes`. `slug` narrows it to one product.
 */
export async function loadCatalogue(slug = null) {
  const filter = slug === null ? "" : `&slug=eq.${encodeURIComponent(slug)}`;
  const products = await request(
    `/rest/v1/products?select=id,slug,name,description,image_url&active=eq.true&order=name${filter}`,
  );
  if (products.length === 0) return [];
  const of = slug === null ? "" : `&product_id=eq.${products[0].id}`;
  const variants = await request(
    `/rest/v1/product_variants?select=id,product_id,sku,size,color,price_amount,currency,image_url&active=eq.true&order=sku${of}`,
  );
  const levels = await availability(slug === null ? null : variants.map((variant) => variant.id));
  return products
    .map((product) => toProduct(product, variants, levels))
    .filter(({ variants }) => variants.length > 0)
    .sort((a, b) => priceOf(b).amount - priceOf(a).amount);
}

async function availability(ids) {
  const of = ids === null ? "" : `&variant_id=in.(${ids.join(",")})`;
  const rows = await request(`/rest/v1/availability?select=variant_id,available,or_more${of}`);
  return new Map(rows.map((row) => [row.variant_id, row.or_more ? MAX_QUANTITY : row.available]));
}

/** The picture of a product in one colour, or of the product when the colour has none of its own. */
export function imageOf(product, color) {
  const own = product.variants.find((variant) => variant.color === color && variant.image_url !== null);
  return own?.image_url ?? product.image_url ?? "";
}

/** The lowest price of a product and whether its variants differ. */
export function priceOf(product) {
  const amounts = product.variants.map((variant) => variant.price_amount);
  const lowest = Math.min(...amounts);
  return { amount: lowest, currency: product.variants[0].currency, from: Math.max(...amounts) > lowest };
}
