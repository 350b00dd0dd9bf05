import type Stripe from "stripe";
import { need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import {
  country,
  type Field,
  metadata,
  oneOf,
  paramsOf,
  required,
  text,
  textOf,
  truth,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";

/** From 0 to 100, with up to four decimals. */
const taxPercentage: Field<number> = {
  read(node, context) {
    const given = textOf(node, context);
    if (!/^-?\d{1,15}(\.\d{1,15})?$/.test(given)) {
      throw invalidRequest(`Invalid decimal: ${given}`, context.path);
    }
    const value = Number(given);
    if (value < 0 || value > 100) {
      throw invalidRequest(`Invalid ${context.path}: must be between 0 and 100`, context.path);
    }
    if ((given.split(".")[1] ?? "").length <= 4) return value;
    throw invalidRequest(
      `Invalid decimal: ${given}; must contain at most 4 decimal places`,
      context.path,
    );
  },
};

const taxType = oneOf(
  ..."admissions_tax,amusement_tax,attendance_tax,communications_tax,digital_excise_tax,entertainment_tax,get_fund,gross_receipts_tax,gst,hospitality_tax,hst,igst,jct,lease_tax,luxury_tax,mass_transit_parking_tax,nhil,parking_tax,pst,qst,resort_tax,retail_delivery_fee,rst,sales_tax,service_tax,tourism_tax,utility_users_tax,vat"
    .split(","),
);

/** What can be said of a rate when it is made and later. */
const common = {
  active: truth,
  country,
  description: text(),
  jurisdiction: text(50),
  metadata,
  state: text(),
  tax_type: taxType,
};

/** `/v1/tax_rates`; line items do not take them yet. */
export const taxRateRoutes: Route[] = [
  route(
    "POST",
    "/v1/tax_rates",
    paramsOf<Stripe.TaxRateCreateParams>()({
      ...common,
      display_name: required(text(50)),
      inclusive: required(truth),
      percentage: required(taxPercentage),
    }),
    (context, params) => {
      const rate: Stripe.TaxRate = {
        id: newId("tax_rate"),
        object: "tax_rate",
        active: params.active ?? true,
        country: params.country ?? null,
        created: context.now,
        description: params.description ?? null,
        display_name: params.display_name,
        effective_percentage: null,
        flat_amount: null,
        inclusive: params.inclusive,
        jurisdiction: params.jurisdiction ?? null,
        jurisdiction_level: null,
        livemode: false,
        metadata: changedMetadata({}, params.metadata),
        percentage: params.percentage,
        rate_type: "percentage",
        state: params.state ?? null,
        tax_type: params.tax_type ?? null,
      };
      context.store.put("tax_rate", rate);
      context.emit("tax_rate.created", rate);
      return rate;
    },
  ),
  route(
    "GET",
    "/v1/tax_rates/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "tax_rate", id),
  ),
  route(
    "POST",
    "/v1/tax_rates/:id",
    paramsOf<Stripe.TaxRateUpdateParams>()({ ...common, display_name: text(50) }),
    (context, params, id) => {
      const rate = need(context, "tax_rate", id);
      const { metadata: change, ...rest } = params;
      const changed: Stripe.TaxRate = {
        ...rate,
        ...rest,
        metadata: changedMetadata(rate.metadata ?? {}, change),
      };
      context.store.put("tax_rate", changed);
      context.emit("tax_rate.updated", changed, rate);
      return changed;
    },
  ),
  listRoute(
    "/v1/tax_rates",
    "tax_rate",
    paramsOf<Stripe.TaxRateListParams>()({ ...datedListParams, active: truth, inclusive: truth }),
  ),
];
