import type Stripe from "stripe";
import { CLOVER } from "../core/api_version.ts";
import { address, fullAddress, fullShipping, shipping } from "../core/address_fields.ts";
import { type Context, idOf, need } from "../core/context.ts";
import {
  clearable,
  email,
  type Field,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  text,
  until,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { LABELS } from "../core/records.ts";
import { type ApiError, invalidRequest, resourceMissing, unsupported } from "../core/errors.ts";
import { datedListParams, listOf, listParams, type Route, route } from "../core/router.ts";
import { METHOD_TYPES } from "../payments/foreign_methods.ts";
import {
  attachToCustomer,
  checkAttachable,
  checkUnspent,
  spend,
  usePaymentMethod,
} from "../payments/payment_methods.ts";
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
  /** The method that is charged where none is named. */
  defaultMethod?: string | null;
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
      default_payment_method: input.defaultMethod ?? null,
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
  "next_invoice_sequence",
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
const CREATION = ["tax_id_data", "test_clock"];

/** The method that is charged where none is named. */
const invoiceSettings = map({ default_payment_method: clearable(text()) }, {
  unsupported: ["custom_fields", "footer", "rendering_options"],
});

const createParams = paramsOf<Stripe.CustomerCreateParams>()({
  address: clearable(address),
  description: text(),
  email,
  invoice_settings: invoiceSettings,
  metadata,
  name: text(256),
  payment_method: text(),
  phone: text(20),
  preferred_locales: list(text()),
  shipping: clearable(shipping),
  tax_exempt: clearable(oneOf("exempt", "none", "reverse")),
}, { unsupported: NOT_SIMULATED, older });

const updateParams = paramsOf<Stripe.CustomerUpdateParams>()({
  address: clearable(address),
  description: clearable(text()),
  email: clearable(email),
  invoice_settings: invoiceSettings,
  metadata,
  name: clearable(text(256)),
  phone: clearable(text(20)),
  preferred_locales: list(text()),
  shipping: clearable(shipping),
  tax_exempt: clearable(oneOf("exempt", "none", "reverse")),
}, { unsupported: [...NOT_SIMULATED.filter((name) => !CREATION.includes(name)), ...LEGACY], older });

/** A payment method that a new customer may have. */
function freeMethod(context: Context, id: string): Stripe.PaymentMethod {
  const method = usePaymentMethod(context, id);
  checkUnspent(context, method);
  if (method.customer !== null) {
    throw invalidRequest(
      "The payment method you provided has already been attached to a customer.",
      "payment_method",
    );
  }
  checkAttachable(context, method);
  return method;
}

function notTheirs(id: string): ApiError {
  return invalidRequest(
    `The customer does not have a payment method with the ID ${id}. The payment method must be attached to the customer.`,
    "invoice_settings[default_payment_method]",
    "resource_missing",
  );
}

/** `/v1/customers` */
export const customerRoutes: Route[] = [
  route("POST", "/v1/customers", createParams, (context, params) => {
    const method = params.payment_method === undefined ? null : freeMethod(context, params.payment_method);
    const chosen = params.invoice_settings?.default_payment_method ?? null;
    if (chosen !== null && chosen !== params.payment_method) throw notTheirs(chosen);
    const customer = createCustomer(context, {
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
      defaultMethod: chosen === null ? null : method?.id ?? null,
    });
    if (method !== null) attachToCustomer(context, method, customer.id);
    return customer;
  }),
  route(
    "GET",
    "/v1/customers/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "customer", id),
  ),
  route("POST", "/v1/customers/:id", updateParams, (context, params, id) => {
    const customer = needPresent(context, id);
    const {
      address: newAddress,
      metadata: change,
      shipping: newShipping,
      tax_exempt,
      invoice_settings,
      ...rest
    } = params;
    const chosen = invoice_settings?.default_payment_method;
    if (chosen !== undefined && chosen !== null) {
      const method = context.store.get("payment_method", chosen);
      if (method === undefined || idOf(method.customer) !== id) throw notTheirs(chosen);
    }
    const changed: Stripe.Customer = {
      ...customer,
      ...rest,
      ...(tax_exempt === undefined ? {} : { tax_exempt: tax_exempt ?? "none" }),
      address: newAddress === undefined
        ? customer.address ?? null
        : newAddress === null
        ? null
        : fullAddress(newAddress),
      invoice_settings: chosen === undefined
        ? customer.invoice_settings
        : { ...customer.invoice_settings, default_payment_method: chosen },
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
    "/v1/customers/:id/payment_methods/:method",
    paramsOf<unknown>()({}),
    (context, _params, id, methodId) => {
      needPresent(context, id);
      const method = context.store.get("payment_method", methodId);
      if (method !== undefined && idOf(method.customer) === id) return method;
      throw resourceMissing(LABELS.payment_method, methodId, "payment_method");
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
