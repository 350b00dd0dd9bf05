import type Stripe from "stripe";
import { need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import {
  currency,
  map,
  metadata,
  oneOf,
  paramsOf,
  percentage,
  required,
  text,
  timestamp,
  truth,
  whole,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { checkUnits } from "../core/money.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";

const noParams = paramsOf<unknown>()({});

/** `/v1/coupons` and `/v1/promotion_codes` */
export const couponRoutes: Route[] = [
  route(
    "POST",
    "/v1/coupons",
    paramsOf<Stripe.CouponCreateParams>()({
      amount_off: whole(1),
      currency,
      duration: oneOf("forever", "once", "repeating"),
      duration_in_months: whole(1, 100),
      id: text(),
      max_redemptions: whole(1),
      metadata,
      name: text(40),
      percent_off: percentage,
      redeem_by: timestamp,
    }, { unsupported: ["applies_to", "currency_options"] }),
    (context, params) => {
      if ((params.amount_off === undefined) === (params.percent_off === undefined)) {
        throw invalidRequest("Must provide exactly one of `percent_off` or `amount_off`.", "percent_off");
      }
      if (params.amount_off !== undefined && params.currency === undefined) {
        throw invalidRequest(
          "You must pass currency when passing amount_off.",
          "currency",
          "parameter_missing",
        );
      }
      if (params.amount_off !== undefined) {
        checkUnits(params.amount_off, params.currency ?? "usd", "amount_off");
      }
      const id = params.id ?? newId("coupon");
      if (context.store.get("coupon", id) !== undefined) {
        throw invalidRequest("Coupon already exists.", "id", "resource_already_exists");
      }
      const coupon: Stripe.Coupon = {
        id,
        object: "coupon",
        amount_off: params.amount_off ?? null,
        created: context.now,
        currency: params.currency ?? null,
        duration: params.duration ?? "once",
        duration_in_months: params.duration_in_months ?? null,
        livemode: false,
        max_redemptions: params.max_redemptions ?? null,
        metadata: changedMetadata({}, params.metadata),
        name: params.name ?? null,
        percent_off: params.percent_off ?? null,
        redeem_by: params.redeem_by ?? null,
        times_redeemed: 0,
        valid: true,
      };
      context.store.put("coupon", coupon);
      context.emit("coupon.created", coupon);
      return coupon;
    },
  ),
  route("GET", "/v1/coupons/:id", noParams, (context, _params, id) => need(context, "coupon", id)),
  route(
    "POST",
    "/v1/coupons/:id",
    paramsOf<Stripe.CouponUpdateParams>()({ metadata, name: text(40) }, {
      unsupported: ["currency_options"],
    }),
    (context, params, id) => {
      const coupon = need(context, "coupon", id);
      const changed: Stripe.Coupon = {
        ...coupon,
        metadata: changedMetadata(coupon.metadata ?? {}, params.metadata),
        name: params.name ?? coupon.name,
      };
      context.store.put("coupon", changed);
      context.emit("coupon.updated", changed, coupon);
      return changed;
    },
  ),
  route("DELETE", "/v1/coupons/:id", noParams, (context, _params, id) => {
    const coupon = need(context, "coupon", id);
    context.store.remove("coupon", id);
    context.emit("coupon.deleted", coupon);
    return { id, object: "coupon", deleted: true };
  }),
  listRoute("/v1/coupons", "coupon", paramsOf<Stripe.CouponListParams>()(datedListParams)),
  route(
    "POST",
    "/v1/promotion_codes",
    paramsOf<Stripe.PromotionCodeCreateParams>()({
      promotion: map({ coupon: text(), type: required(oneOf("coupon")) }),
      active: truth,
      code: text(500),
      customer: text(),
      expires_at: timestamp,
      max_redemptions: whole(1),
      metadata,
      restrictions: map({
        first_time_transaction: truth,
        minimum_amount: whole(1),
        minimum_amount_currency: currency,
      }, { unsupported: ["currency_options"] }),
    }, { unsupported: ["customer_account"], older: { coupon: text() } }),
    (context, params) => {
      const older = (params as { coupon?: string }).coupon;
      const couponId = params.promotion?.coupon ?? older;
      if (couponId === undefined) {
        throw invalidRequest(
          "Missing required param: promotion[coupon].",
          "promotion[coupon]",
          "parameter_missing",
        );
      }
      const coupon = need(context, "coupon", couponId, "promotion[coupon]");
      const code = params.code ?? newId("coupon").toUpperCase();
      const taken = context.store.all("promotion_code", ["code", code]).some(({ active }) => active);
      if (taken) throw invalidRequest("An active promotion code with `code` already exists.", "code");
      const promotionCode: Stripe.PromotionCode = {
        id: newId("promotion_code"),
        object: "promotion_code",
        active: params.active ?? true,
        code,
        created: context.now,
        customer: params.customer ?? null,
        customer_account: null,
        expires_at: params.expires_at ?? null,
        livemode: false,
        max_redemptions: params.max_redemptions ?? null,
        metadata: changedMetadata({}, params.metadata),
        promotion: { coupon: coupon.id, type: "coupon" },
        restrictions: {
          first_time_transaction: params.restrictions?.first_time_transaction ?? false,
          minimum_amount: params.restrictions?.minimum_amount ?? null,
          minimum_amount_currency: params.restrictions?.minimum_amount_currency ?? null,
        },
        times_redeemed: 0,
      };
      context.store.put("promotion_code", promotionCode);
      context.emit("promotion_code.created", promotionCode);
      return promotionCode;
    },
  ),
  route(
    "GET",
    "/v1/promotion_codes/:id",
    noParams,
    (context, _params, id) => need(context, "promotion_code", id),
  ),
  route(
    "POST",
    "/v1/promotion_codes/:id",
    paramsOf<Stripe.PromotionCodeUpdateParams>()({ active: truth, metadata }, {
      unsupported: ["restrictions"],
    }),
    (context, params, id) => {
      const code = need(context, "promotion_code", id);
      const changed: Stripe.PromotionCode = {
        ...code,
        active: params.active ?? code.active,
        metadata: changedMetadata(code.metadata ?? {}, params.metadata),
      };
      context.store.put("promotion_code", changed);
      context.emit("promotion_code.updated", changed, code);
      return changed;
    },
  ),
  listRoute(
    "/v1/promotion_codes",
    "promotion_code",
    paramsOf<Stripe.PromotionCodeListParams>()({
      ...datedListParams,
      active: truth,
      code: text(500),
      coupon: text(),
      customer: text(),
    }, { unsupported: ["customer_account"] }),
    { coupon: "promotion.coupon" },
  ),
];
