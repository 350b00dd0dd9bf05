import type Stripe from "stripe";
import { country, map, required, text } from "./fields.ts";

/** An address parameter; `line1` is asked for where goods are sent. */
export const address = map({
  city: text(),
  country,
  line1: text(),
  line2: text(),
  postal_code: text(),
  state: text(),
});

export interface AddressInput {
  city?: string;
  country?: string;
  line1?: string;
  line2?: string;
  postal_code?: string;
  state?: string;
}

/** An address as objects carry it: every member there, null when unknown. */
export function fullAddress(input: AddressInput): Stripe.Address {
  return {
    city: input.city ?? null,
    country: input.country ?? null,
    line1: input.line1 ?? null,
    line2: input.line2 ?? null,
    postal_code: input.postal_code ?? null,
    state: input.state ?? null,
  };
}

/** Name and address of a parcel. */
export const shipping = map({
  address: required(address),
  name: required(text()),
  carrier: text(),
  phone: text(),
  tracking_number: text(),
});

export interface ShippingInput {
  address: AddressInput;
  name: string;
  carrier?: string;
  phone?: string;
  tracking_number?: string;
}

export interface FullShipping {
  address: Stripe.Address;
  carrier: string | null;
  name: string;
  phone: string | null;
  tracking_number: string | null;
}

export function fullShipping(input: ShippingInput): FullShipping {
  return {
    address: fullAddress(input.address),
    carrier: input.carrier ?? null,
    name: input.name,
    phone: input.phone ?? null,
    tracking_number: input.tracking_number ?? null,
  };
}
