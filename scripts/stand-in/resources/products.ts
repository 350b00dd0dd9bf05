import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import {
  clearable,
  clearableList,
  list,
  metadata,
  type MetadataChange,
  oneOf,
  paramsOf,
  required,
  text,
  truth,
  url,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { ownId, productDescriptor, taxCode } from "../core/kinds.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { onlyOneOf } from "../core/rules.ts";
import { invalidRequest } from "../core/errors.ts";
import { changedMetadata } from "../checkout/session_internals.ts";

export interface ProductInput {
  id?: string;
  name: string;
  active?: boolean;
  description?: string;
  images?: string[];
  metadata?: MetadataChange;
  shippable?: boolean;
  statement_descriptor?: string;
  tax_code?: string;
  unit_label?: string;
  url?: string;
}

/**
 * Creates a product; those that a session makes on the fly raise no event. `path` is where the parameters stand that
 * describe it.
 */
export function createProduct(
  context: Context,
  input: ProductInput,
  { announced = true, path = "" }: { announced?: boolean; path?: string } = {},
): Stripe.Product {
  if (input.id !== undefined && context.store.get("product", input.id) !== undefined) {
    throw invalidRequest(
      "Product already exists.",
      path === "" ? "id" : `${path}[id]`,
      "resource_already_exists",
    );
  }
  const product: Stripe.Product = {
    id: input.id ?? newId("product"),
    object: "product",
    active: input.active ?? true,
    created: context.now,
    default_price: null,
    description: input.description ?? null,
    images: input.images ?? [],
    livemode: false,
    marketing_features: [],
    metadata: changedMetadata({}, input.metadata),
    name: input.name,
    package_dimensions: null,
    shippable: input.shippable ?? null,
    statement_descriptor: input.statement_descriptor ?? null,
    tax_code: input.tax_code ?? null,
    tax_details: null,
    type: "service",
    unit_label: input.unit_label ?? null,
    updated: context.now,
    url: input.url ?? null,
  };
  context.store.put("product", product);
  if (announced) context.emit("product.created", product);
  return product;
}

const createParams = paramsOf<Stripe.ProductCreateParams>()({
  name: required(text()),
  active: truth,
  description: text(40_000),
  id: ownId,
  images: list(url, 8),
  metadata,
  shippable: truth,
  statement_descriptor: productDescriptor,
  tax_code: taxCode,
  type: oneOf("good", "service"),
  unit_label: text(12),
  url,
}, { unsupported: ["default_price_data", "marketing_features", "package_dimensions", "tax_details"] });

const updateParams = paramsOf<Stripe.ProductUpdateParams>()({
  name: text(),
  active: truth,
  default_price: text(),
  description: clearable(text(40_000)),
  images: clearableList(url, 8),
  metadata,
  shippable: truth,
  statement_descriptor: productDescriptor,
  tax_code: clearable(taxCode),
  unit_label: clearable(text(12)),
  url: clearable(url),
}, { unsupported: ["marketing_features", "package_dimensions", "tax_details"] });

/** Refuses a default price that is of another product, or put away. */
function checkDefault(context: Context, product: string, id: string): void {
  const price = need(context, "price", id, "default_price");
  if (idOf(price.product) !== product) {
    throw invalidRequest(
      `The price \`${id}\` does not belong to the product \`${product}\`.`,
      "default_price",
    );
  }
  if (!price.active) {
    throw invalidRequest("The default price of a product must be active.", "default_price");
  }
}

/** `/v1/products` */
export const productRoutes: Route[] = [
  route("POST", "/v1/products", createParams, (context, params) => createProduct(context, params)),
  route(
    "GET",
    "/v1/products/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "product", id),
  ),
  route("POST", "/v1/products/:id", updateParams, (context, params, id) => {
    const product = need(context, "product", id);
    if (params.default_price !== undefined) checkDefault(context, id, params.default_price);
    const { metadata: change, ...rest } = params;
    const changed: Stripe.Product = {
      ...product,
      ...rest,
      metadata: changedMetadata(product.metadata, change),
      updated: context.now,
    };
    context.store.put("product", changed);
    context.emit("product.updated", changed, product);
    return changed;
  }),
  route("DELETE", "/v1/products/:id", paramsOf<unknown>()({}), (context, _params, id) => {
    const product = need(context, "product", id);
    if (context.store.all("price", ["product", id]).length > 0) {
      throw invalidRequest("This product cannot be deleted because it has one or more user-created prices.");
    }
    context.store.remove("product", id);
    context.emit("product.deleted", product);
    return { id, object: "product", deleted: true };
  }),
  listRoute(
    "/v1/products",
    "product",
    paramsOf<Stripe.ProductListParams>()({
      ...datedListParams,
      active: truth,
      ids: list(text(), 100),
      shippable: truth,
      url,
    }, { rules: [onlyOneOf("ids", "starting_after"), onlyOneOf("ids", "ending_before")] }),
    { ids: "id" },
  ),
];
