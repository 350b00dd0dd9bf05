import {
  currency,
  email,
  type Field,
  map,
  oneOf,
  paramsOf,
  readParams,
  required,
  text,
  truth,
  whole,
} from "../core/fields.ts";
import { address, type AddressInput } from "../core/address_fields.ts";
import { API_VERSION } from "../core/api_version.ts";
import type { ApiError } from "../core/errors.ts";
import type { FormMap } from "../core/form.ts";
import type { ShopperDetails } from "../checkout/pay_session.ts";
import { OTHER_METHODS } from "../payments/other_methods.ts";
import type { MethodInput } from "../payments/payment_methods.ts";

/** Digits, however the shopper spaced them. */
const digits: Field<string> = {
  read: (node, context) => text(40).read(node, context).replaceAll(/[\s-]/g, ""),
};

type FieldName =
  | "account_number"
  | "billing_address"
  | "business_name"
  | "card"
  | "currency"
  | "email"
  | "iban"
  | "method"
  | "name"
  | "phone"
  | "promotions"
  | "save"
  | "saved_method"
  | "shipping_address"
  | "shipping_name"
  | "tax_id"
  | "terms";

/** A tax id and its kind. */
export const taxIdInput = map({ type: required(text(40)), value: required(text(40)) });

const confirmParams = paramsOf<Record<FieldName, unknown>>()({
  method: required(oneOf("card", "sepa_debit", "us_bank_account", ...OTHER_METHODS)),
  email: required(email),
  name: text(200),
  phone: text(40),
  card: map({ number: required(digits), exp_month: whole(0, 99), exp_year: whole(0, 9999), cvc: text(4) }),
  iban: text(42),
  account_number: text(20),
  business_name: text(150),
  tax_id: taxIdInput,
  currency,
  billing_address: address,
  shipping_name: text(200),
  shipping_address: address,
  terms: truth,
  promotions: truth,
  save: truth,
  saved_method: text(),
});

const updateParams = paramsOf<
  Record<
    "line" | "quantity" | "promotion_code" | "remove_promotion" | "shipping_address" | "shipping_rate",
    unknown
  >
>()({
  line: text(),
  quantity: whole(1, 999_999),
  promotion_code: text(500),
  remove_promotion: truth,
  shipping_address: address,
  shipping_rate: text(),
});

/** What the page sends when the shopper presses the button. */
export interface Confirmation {
  details: ShopperDetails;
  method: MethodInput;
  /** One of the customer's saved cards instead. */
  savedMethod: string | null;
}

/** Reads the page's JSON, told apart from a hostile one by the same checks the API has. */
export function readConfirmation(form: FormMap): Confirmation {
  const value = readParams(confirmParams, form, { path: "", version: API_VERSION, operation: "the page" });
  const billing: AddressInput | undefined = value.billing_address ?? value.shipping_address;
  const details: ShopperDetails = {
    email: value.email,
    acceptsTerms: value.terms ?? false,
    acceptsPromotions: value.promotions ?? false,
    savesMethod: value.save ?? false,
    business: {
      ...(value.business_name === undefined ? {} : { name: value.business_name }),
      ...(value.tax_id === undefined ? {} : { taxId: value.tax_id }),
    },
    ...(value.currency === undefined ? {} : { currency: value.currency }),
    ...(value.name === undefined ? {} : { name: value.name }),
    ...(value.phone === undefined ? {} : { phone: value.phone }),
    ...(billing === undefined ? {} : { billingAddress: billing }),
    ...(value.shipping_name === undefined ? {} : { shippingName: value.shipping_name }),
    ...(value.shipping_address === undefined ? {} : { shippingAddress: value.shipping_address }),
  };
  const method: MethodInput = {
    type: value.method,
    billing_details: {
      email: value.email,
      name: value.name ?? null,
      phone: value.phone ?? null,
      ...(billing === undefined ? {} : { address: billing }),
    },
    ...(value.card === undefined ? {} : { card: value.card }),
    ...(value.iban === undefined ? {} : { sepa_debit: { iban: value.iban } }),
    ...(value.account_number === undefined
      ? {}
      : { us_bank_account: { account_number: value.account_number } }),
  };
  return { details, method, savedMethod: value.saved_method ?? null };
}

/** A change the shopper makes before paying. */
export interface CartChange {
  line?: string;
  quantity?: number;
  promotion_code?: string;
  remove_promotion?: boolean;
  shipping_address?: AddressInput;
  shipping_rate?: string;
}

export function readCartChange(form: FormMap): CartChange {
  return readParams(updateParams, form, { path: "", version: API_VERSION, operation: "the page" });
}

/** The page's answer to an error: what to say, and at which field. */
export function problemOf(error: ApiError): { message: string; code: string | null; field: string | null } {
  return {
    message: error.body.message,
    code: error.body.code ?? null,
    field: FIELDS[error.body.param ?? ""] ?? null,
  };
}

/** The field that an error is shown at. */
const FIELDS: Record<string, string> = {
  "account_number": "account_number",
  "card[number]": "card_number",
  "consent[terms_of_service]": "terms",
  cvc: "card_cvc",
  email: "email",
  exp_month: "card_expiry",
  exp_year: "card_expiry",
  number: "card_number",
  "sepa_debit[iban]": "iban",
  business_name: "business_name",
  shipping_address: "shipping_country",
  tax_id: "tax_id",
  "us_bank_account[account_number]": "account_number",
};
