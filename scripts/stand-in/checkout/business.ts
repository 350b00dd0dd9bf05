import type Stripe from "stripe";
import { invalidRequest, unsupported } from "../core/errors.ts";

/** What a business buyer gives on the page. */
export interface BusinessInput {
  name?: string;
  taxId?: { type: string; value: string };
}

/** The kinds of tax ids that the page knows, and what each looks like. */
export const TAX_ID_FORMATS: Readonly<Record<string, RegExp>> = {
  eu_vat: /^[A-Z]{2}[0-9A-Z]{2,13}$/,
  gb_vat: /^(GB)?(\d{9}|\d{12})$/,
  us_ein: /^\d{2}-\d{7}$/,
};

type Collected = Pick<Stripe.Checkout.Session.CustomerDetails, "business_name" | "tax_ids">;

/**
 * What the session keeps of a business buyer.
 * @throws an invalid request for tax ids that the page does not ask for, or that are none.
 */
export function collectedBusiness(session: Stripe.Checkout.Session, given: BusinessInput): Collected {
  const collection = session.tax_id_collection;
  if (collection?.enabled !== true) {
    if (given.name !== undefined || given.taxId !== undefined) {
      throw invalidRequest("This Checkout Session does not collect tax IDs.", "tax_id");
    }
    return { business_name: null, tax_ids: [] };
  }
  const { taxId } = given;
  if (taxId === undefined) {
    if (collection.required === "if_supported") throw invalidRequest("A tax ID is required.", "tax_id");
    return { business_name: given.name ?? null, tax_ids: [] };
  }
  const format = Object.hasOwn(TAX_ID_FORMATS, taxId.type) ? TAX_ID_FORMATS[taxId.type] : undefined;
  if (format === undefined) throw unsupported(`tax IDs of type \`${taxId.type}\``);
  if (!format.test(taxId.value)) {
    throw invalidRequest(`Invalid value for ${taxId.type}.`, "tax_id", "tax_id_invalid");
  }
  // Stripe's page asks for the name that belongs to the id.
  if (given.name === undefined) throw invalidRequest("A business name is required.", "business_name");
  return {
    business_name: given.name,
    tax_ids: [{ type: taxId.type as Stripe.Checkout.Session.CustomerDetails.TaxId.Type, value: taxId.value }],
  };
}
