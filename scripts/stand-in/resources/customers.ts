import type Stripe from "stripe";
import { CLOVER } from "../core/api_version.ts";
import { address, fullAddress, fullShipping, shipping } from "../core/address_fields.ts";
import { type Context, need } from "../core/context.ts";
import {
  clearable,
  email,
  type Field,
  list,
  metadata,
  oneOf,
  paramsOf,
  text,
  until,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { resourceMissing, unsupported } from "../core/errors.ts";
import { datedListParams, listOf, listParams, type Route, route } from "../core/router.ts";
import { METHOD_TYPES } from "../payments/foreign_methods.ts";
import { spend } from "../payments/payment_methods.ts";
import { changedMetadata } from "../checkout/session_internals.ts";

export interface CustomerInput {
  email: string | null;
  name: string | null;
  phone: string | null;
  address: Stripe.Address | null;
  metadata: Record<string, string>;
  description?: string | null;
  shipping?: Stripe.Customer.Shipping | null;
  preferredLocales?: string[];
  taxExempt?: "exempt" | "none" | "reverse";
}

/** Creates a customer and says so. */
export function createCustomer(context: Context, input: CustomerInput): Stripe.Customer {
  const id = newId("customer");
  const customer: Stripe.Customer = {
    id,
    object: "customer",
    address: input.address,
    balance: 0,
    created: context.now,
    currency: null,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: input.description ?? null,
    discount: null,
    email: input.email,
    invoice_prefix: id.slice(4, 12).toUpperCase(),
    invoice_settings: {
      custom_fields: null,
      default_payment_method: null,
      footer: null,
      rendering_options: null,
    },
    livemode: false,
    metadata: input.metadata,
    name: input.name,
    next_invoice_sequence: 1,
    phone: input.phone,
    preferred_locales: input.preferredLocales ?? [],
    shipping: input.shipping ?? null,
    tax_exempt: input.taxExempt ?? "none",
    test_clock: null,
  };
  context.store.put("customer", customer);
  context.emit("customer.created", customer);
  return customer;
}

/** The customer, unless it was deleted. */
function needPresent(context: Context, id: string): Stripe.Customer {
  const customer = need(context, "customer", id);
  if (customer.deleted === true) throw resourceMissing("customer", id);
  return customer;
}

const NOT_SIMULATED = [
  "balance",
  "business_name",
  "cash_balance",
  "default_source",
  "individual_name",
  "invoice_prefix",
  "invoice_settings",
  "next_invoice_sequence",
  "payment_method",
  "source",
  "tax",
  "tax_id_data",
  "test_clock",
  "validate",
];

/** What customers had before payment methods. */
const LEGACY = ["bank_account", "card", "default_alipay_account", "default_bank_account", "default_card"];

/** Versions before 2025-09-30 give a customer a discount of their own, for what is billed to them. */
const ownDiscount: Field<never> = {
  read(_node, context) {
    throw unsupported(`a customer's discount (the parameter \`${context.path}\` of ${context.operation})`);
  },
};
const older = { coupon: until(CLOVER, ownDiscount), promotion_code: until(CLOVER, ownDiscount) };

/** What only a new customer is given. */
const CREATION = ["payment_method", "tax_id_data", "test_clock"];

const createParams = paramsOf<Stripe.CustomerCreateParams>()({
  address: clearable(address),
  description: text(),
  email,
  metadata,
  name: text(256),
  phone: text(20),
  preferred_locales: list(text()),
  shipping: clearable(shipping),
  tax_exempt: clearable(oneOf("exempt", "none", "reverse")),
}, { unsupported: NOT_SIMULATED, older });

const updateParams = paramsOf<Stripe.CustomerUpdateParams>()({
  address: clearable(address),
  description: clearable(text()),
  email: clearable(email),
  metadata,
  name: clearable(text(256)),
  phone: clearable(text(20)),
  preferred_locales: list(text()),
  shipping: clearable(shipping),
  tax_exempt: clearable(oneOf("exempt", "none", "reverse")),
}, { unsupported: [...NOT_SIMULATED.filter((name) => !CREATION.includes(name)), ...LEGACY], older });

/** `/v1/customers` */
export const customerRoutes: Route[] = [
  route("POST", "/v1/customers", createParams, (context, params) =>
    createCustomer(context, {
      email: params.email ?? null,
      name: params.name ?? null,
      phone: params.phone ?? null,
      address: params.address === undefined || params.address === null ? null : fullAddress(params.address),
      metadata: changedMetadata({}, params.metadata),
      description: params.description ?? null,
      shipping: params.shipping === undefined || params.shipping === null
        ? null
        : fullShipping(params.shipping),
      preferredLocales: params.preferred_locales ?? [],
      taxExempt: params.tax_exempt ?? "none",
    })),
  route(
    "GET",
    "/v1/customers/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "customer", id),
  ),
  route("POST", "/v1/customers/:id", updateParams, (context, params, id) => {
    const customer = needPresent(context, id);
    const { address: newAddress, metadata: change, shipping: newShipping, tax_exempt, ...rest } = params;
    const changed: Stripe.Customer = {
      ...customer,
      ...rest,
      ...(tax_exempt === undefined ? {} : { tax_exempt: tax_exempt ?? "none" }),
      address: newAddress === undefined
        ? customer.address ?? null
        : newAddress === null
        ? null
        : fullAddress(newAddress),
      metadata: changedMetadata(customer.metadata, change),
      shipping: newShipping === undefined
        ? customer.shipping
        : newShipping === null
        ? null
        : fullShipping(newShipping),
    };
    context.store.put("customer", changed);
    context.emit("customer.updated", changed, customer);
    return changed;
  }),
  route("DELETE", "/v1/customers/:id", paramsOf<unknown>()({}), (context, _params, id) => {
    const customer = needPresent(context, id);
    for (const method of context.store.all("payment_method", ["customer", id])) {
      context.store.put("payment_method", { ...method, customer: null });
      spend(context, method.id);
    }
    const deleted: Stripe.DeletedCustomer = { id, object: "customer", deleted: true };
    context.store.put("customer", deleted);
    context.emit("customer.deleted", customer);
    return deleted;
  }),
  route(
    "GET",
    "/v1/customers/:id/payment_methods",
    paramsOf<Stripe.CustomerListPaymentMethodsParams>()({ ...listParams, type: oneOf(...METHOD_TYPES) }, {
      unsupported: ["allow_redisplay"],
    }),
    (context, params, id) => {
      needPresent(context, id);
      const type = params.type === undefined ? [] : [["type", params.type] as const];
      return listOf(context, "payment_method", `/v1/customers/${id}/payment_methods`, params, [
        ["customer", id],
        ...type,
      ]);
    },
  ),
  route(
    "GET",
    "/v1/customers",
    paramsOf<Stripe.CustomerListParams>()({ ...datedListParams, email }, { unsupported: ["test_clock"] }),
    (context, params) =>
      listOf(context, "customer", "/v1/customers", params, [
        // Deleted customers have nothing but their id left, and are not listed.
        ["livemode", false],
        ...(params.email === undefined ? [] : [["email", params.email] as const]),
      ]),
  ),
];
